/* tessere badge: the desk. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static void answer_badge(struct cli *c, const struct store_badge *b)
{
    if (c->out == NULL)
        return;
    json_decref(c->out);
    c->out = cli_json_badge(b);
}

/* --- on the reader
 * ----------------------------------------------------------------------------------------- */

enum b_code cli_badge_enrol(struct cli *c, struct b_err *err)
{
    static struct service_done done;
    struct service_order order = {.what = SERVICE_ENROL};
    const char *ref = c->options[CLI_OPT_REF], *name = c->options[CLI_OPT_NAME];
    if (ref == NULL || ref[0] == '\0' || name == NULL || name[0] == '\0')
        return b_err_set(err, B_E_USAGE, 0, _("badge enrol needs --ref and --name of the holder"));
    if (strlen(ref) >= sizeof(order.ref) || strlen(name) >= sizeof(order.name))
        return b_err_set(err, B_E_USAGE, 0, _("--ref takes up to 63 characters, --name 127"));
    memcpy(order.ref, ref, strlen(ref) + 1);
    memcpy(order.name, name, strlen(name) + 1);
    enum b_code r = cli_at_desk(c, &order, &done, err);
    if (r != B_OK)
        return r;
    const struct store_badge *b = &done.badge;
    answer_badge(c, b);
    cli_say(c, CLI_GREEN, _("Badge %lld is ready for %s (%s).\n"), (long long)b->id, b->holder_name,
            b->holder_ref);
    return B_OK;
}

enum b_code cli_badge_repair(struct cli *c, struct b_err *err)
{
    static struct service_done done;
    const struct service_order order = {.what = SERVICE_REPAIR};
    enum b_code r = cli_at_desk(c, &order, &done, err);
    if (r != B_OK)
        return r;
    const struct store_badge *b = &done.badge;
    answer_badge(c, b);
    cli_say(c, CLI_GREEN, _("Badge %lld of %s is as its profile says.\n"), (long long)b->id,
            b->holder_name);
    return B_OK;
}

enum b_code cli_badge_blank(struct cli *c, struct b_err *err)
{
    static struct service_done done;
    const struct service_order order = {.what = SERVICE_BLANK};
    enum b_code r = cli_at_desk(c, &order, &done, err);
    if (r != B_OK)
        return r;
    const struct store_badge *b = &done.badge;
    answer_badge(c, b);
    cli_say(c, CLI_GREEN, _("The card of badge %lld is blank.\n"), (long long)b->id);
    return B_OK;
}

/* --- in the store
 * ------------------------------------------------------------------------------------------- */

static bool list_one(void *ctx, const struct store_badge *b)
{
    struct cli *c = ctx;
    char uid[15], at[24];
    if (c->out != NULL) {
        (void)json_array_append_new(json_object_get(c->out, "badges"), cli_json_badge(b));
        return true;
    }
    static const enum cli_color colors[] = {CLI_YELLOW, CLI_GREEN, CLI_YELLOW, CLI_RED, CLI_PLAIN};
    b_hex(uid, b->uid, sizeof(b->uid));
    cli_time(b->tapped_at, at, sizeof(at));
    cli_say(c, CLI_PLAIN, "%5lld  %s  ", (long long)b->id, uid);
    const char *state = cli_badge_state(b->state);
    cli_say(c, colors[b->state], "%-*s", cli_width(state, 10), state);
    cli_say(c, CLI_PLAIN, "  %-19s  %s (%s)\n", at, b->holder_name, b->holder_ref);
    return !cli_is_stopped(NULL);
}

enum b_code cli_badge_list(struct cli *c, struct b_err *err)
{
    enum b_code r = cli_open(c, false, err);
    if (r != B_OK)
        return r;
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "badges", json_array());
    const char *state = _("state");
    cli_say(c, CLI_BOLD, "%5s  %-14s  %-*s  %-19s  %s\n", _("badge"), "UID", cli_width(state, 10),
            state, _("last tap"), _("holder"));
    return store_badge_each(c->service.store, 0, c->options[CLI_OPT_HOLDER], list_one, c, err);
}

static enum b_code operand_id(const struct cli *c, int64_t *ret, struct b_err *err)
{
    char *end = NULL;
    long long id = strtoll(c->operand, &end, 10);
    if (*end != '\0' || id <= 0)
        return b_err_set(err, B_E_USAGE, 0, _("a badge is named by its number, not \"%.40s\""),
                         c->operand);
    *ret = id;
    return B_OK;
}

static bool show_entry(void *ctx, const struct store_entry *e)
{
    struct cli *c = ctx;
    char at[24];
    json_t *body = json_loadb(e->body, e->body_len, 0, NULL);
    json_int_t when = json_integer_value(json_object_get(body, "at"));
    const char *kind = json_string_value(json_object_get(body, "kind"));
    const char *outcome = json_string_value(json_object_get(body, "outcome"));
    const char *actor = json_string_value(json_object_get(body, "actor"));
    cli_time(when, at, sizeof(at));
    cli_say(c, CLI_PLAIN, "  %6llu  %s  %-12s %-18s %s\n", (unsigned long long)e->index, at,
            kind != NULL ? kind : "?", outcome != NULL ? outcome : "?",
            actor != NULL ? actor : "?");
    if (c->out != NULL && body != NULL) {
        (void)json_object_set_new(body, "entry", json_integer((json_int_t)e->index));
        (void)json_array_append(json_object_get(c->out, "history"), body);
    }
    json_decref(body);
    return true;
}

enum b_code cli_badge_show(struct cli *c, struct b_err *err)
{
    struct store_badge b;
    int64_t id = 0;
    char at[24];
    enum b_code r = operand_id(c, &id, err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = store_badge_by_id(c->service.store, id, &b, err);
    if (r != B_OK)
        return r;
    answer_badge(c, &b);
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "history", json_array());
    char uid[15];
    b_hex(uid, b.uid, sizeof(b.uid));
    cli_say(c, CLI_BOLD, _("Badge %lld: %s (%s)\n"), (long long)b.id, b.holder_name, b.holder_ref);
    cli_say(c, CLI_PLAIN, _("  state     %s%s%s\n"), cli_badge_state(b.state),
            b.reason[0] != '\0' ? ": " : "", b.reason);
    cli_say(c, CLI_PLAIN, _("  card      DESFire %s, UID %s\n"), df_ev_name((enum df_ev)b.ev), uid);
    cli_say(c, CLI_PLAIN, _("  profile   %s, revision %u\n"), b.profile_id, b.profile_revision);
    cli_say(c, CLI_PLAIN, _("  keys     "));
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++)
        cli_say(c, CLI_PLAIN, " %s %u", key_role_name((enum key_role)i), b.generation[i]);
    cli_time(b.tapped_at, at, sizeof(at));
    cli_say(c, CLI_PLAIN, _("\n  last tap  %s\n"), at);
    const struct store_entry_range range = {.badge_id = id, .count = 20, .is_newest = true};
    return store_entry_each(c->service.store, &range, show_entry, c, err);
}

static enum b_code change(struct cli *c,
                          enum b_code (*fn)(struct service *, int64_t, const char *,
                                            struct b_err *),
                          struct b_err *err)
{
    int64_t id = 0;
    struct store_badge b;
    const char *reason = c->options[CLI_OPT_REASON];
    enum b_code r = operand_id(c, &id, err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = fn(&c->service, id, reason != NULL ? reason : "", err);
    if (r == B_OK)
        r = store_badge_by_id(c->service.store, id, &b, err);
    if (r != B_OK)
        return r;
    answer_badge(c, &b);
    cli_say(c, CLI_PLAIN, _("Badge %lld of %s: %s.\n"), (long long)id, b.holder_name,
            cli_badge_state(b.state));
    return B_OK;
}

enum b_code cli_badge_suspend(struct cli *c, struct b_err *err)
{
    return change(c, service_suspend, err);
}

enum b_code cli_badge_revoke(struct cli *c, struct b_err *err)
{
    return change(c, service_revoke, err);
}

static enum b_code reinstate(struct service *sv, int64_t id, const char *reason, struct b_err *err)
{
    (void)reason;
    return service_reinstate(sv, id, err);
}

enum b_code cli_badge_reinstate(struct cli *c, struct b_err *err)
{
    return change(c, reinstate, err);
}
