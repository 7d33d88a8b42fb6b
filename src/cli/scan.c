/* tessere card scan: what is this card, and its verdict against the rules. */
#include <string.h>

#include "cli/cli.h"
#include "service/json.h"

static void say_name(const struct cli *c, const char *name)
{
    cli_say(c, CLI_PLAIN, "  %-*s ", cli_width(name, 24), name);
}

static void say_slot(const struct cli *c, const char *what, const struct profile_slot *s)
{
    static const char *const texts[] = {
        N_("not ours, not a known one"),
        N_("factory key"),
        N_("published default key"),
        N_("key shared with other badges"),
        N_("diversified, by others"),
        N_("diversified, ours"),
        N_("not tried"),
    };
    static const enum cli_color colors[] = {CLI_YELLOW, CLI_RED,   CLI_RED,  CLI_RED,
                                            CLI_YELLOW, CLI_GREEN, CLI_PLAIN};
    say_name(c, what);
    cli_say(c, colors[s->kind], "%s", _(texts[s->kind]));
    if (s->kind == PROFILE_KEY_DIVERSIFIED)
        cli_say(c, CLI_PLAIN, _(", generation %u"), s->generation);
    cli_say(c, CLI_PLAIN, s->is_proven ? _(" (proved)\n") : "\n");
}

static void say_card(const struct cli *c, const struct profile_state *s)
{
    char uid[15] = "";
    b_hex(uid, s->uid, s->uid_len);
    cli_say(c, CLI_BOLD, "MIFARE DESFire %s, %u B", df_ev_name(s->ev),
            df_storage_bytes(s->version.hw_storage));
    cli_say(c, CLI_PLAIN, _(", %u B free\n"), s->free_bytes);
    say_name(c, "UID");
    cli_say(c, CLI_PLAIN, "%s%s\n", s->uid_len > 0 ? uid : _("not known"),
            s->is_random_uid ? _(" (the card shows a random one)") : "");
    say_name(c, _("originality"));
    if (s->is_genuine_tried)
        cli_say(c, s->is_genuine ? CLI_GREEN : CLI_YELLOW, "%s\n",
                s->is_genuine ? s->product : _("signature is not NXP's"));
    else
        cli_say(c, CLI_PLAIN, "%s\n", _("no signature"));
    say_name(c, _("applications"));
    if (!s->lists_apps)
        cli_say(c, CLI_PLAIN, "%s\n", _("the card does not list them"));
    else if (s->app_count == 0)
        cli_say(c, CLI_PLAIN, "%s\n", _("none"));
    for (uint8_t i = 0; s->lists_apps && i < s->app_count; i++)
        cli_say(c, CLI_PLAIN, "%s%06X%s", i > 0 ? " " : "", s->apps[i],
                i + 1 == s->app_count ? "\n" : "");
}

static void say_keys(const struct cli *c, const struct profile_state *s)
{
    char what[48];
    say_slot(c, _("the card's key"), &s->card_key);
    if (s->layout > 0) {
        const struct profile_layout *l = &c->fleet.layouts[s->layout - 1];
        (void)snprintf(what, sizeof(what), _("%s, key %u"), l->id, l->proof_key);
        say_slot(c, what, &s->old);
    }
    for (uint8_t i = 0; s->has_app && i < s->slot_count; i++) {
        const struct profile *p = &c->service.profile;
        const char *role = i < p->key_count ? key_role_name(p->keys[i].role) : "-";
        (void)snprintf(what, sizeof(what), _("key %u (%s)"), i, role);
        say_slot(c, what, &s->slots[i]);
    }
}

static void answer_json(struct cli *c, const struct service_done *done)
{
    json_t *badge = done->badge.id != 0 ? cli_json_badge(&done->badge) : json_null();
    json_decref(c->out);
    c->out = service_json_state(&c->service.profile, &done->state);
    (void)json_object_set_new(c->out, "conform", json_boolean(service_is_conform(&done->plan)));
    (void)json_object_set_new(c->out, "plan", service_json_plan(&done->plan));
    (void)json_object_set_new(c->out, "badge", badge);
    if (done->state.layout > 0)
        (void)json_object_set_new(c->out, "layout",
                                  json_string(c->fleet.layouts[done->state.layout - 1].id));
}

enum b_code cli_card_scan(struct cli *c, struct b_err *err)
{
    static struct service_done done;
    struct service_order order = {.what = SERVICE_SCAN};
    enum b_code r = cli_others(c, &order.others, err);
    if (r == B_OK)
        r = cli_at_desk(c, &order, &done, err);
    if (r != B_OK)
        return r;
    if (c->out != NULL) {
        answer_json(c, &done);
        return B_OK;
    }
    say_card(c, &done.state);
    say_keys(c, &done.state);
    const struct store_badge *badge = &done.badge;
    if (badge->id != 0)
        cli_say(c, CLI_PLAIN, _("  badge %lld of %s, %s\n"), (long long)badge->id,
                badge->holder_name, cli_badge_state(badge->state));
    bool is_good = service_is_conform(&done.plan);
    cli_say(c, is_good ? CLI_GREEN : CLI_RED, is_good ? _("Conform.\n") : _("Not conform.\n"));
    cli_say_plan(c, &done.plan);
    return B_OK;
}
