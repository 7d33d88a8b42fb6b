/* tessere campaign: badges that follow a rotation. What is here and what a server tells is printed
 * from the same JSON. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "remote/remote.h"
#include "service/campaign.h"
#include "service/json.h"

static const char *state_text(const char *state)
{
    static const char *const texts[] = {N_("running"), N_("paused"), N_("ended")};
    for (int i = 0; i <= STORE_CAMPAIGN_ENDED; i++)
        if (strcmp(store_campaign_state_name((enum store_campaign_state)i), state) == 0)
            return _(texts[i]);
    return "?";
}

enum { WHY = sizeof(((struct store_campaign *)0)->why) };

/* Why it is paused or has ended: our words in their language, a person's as they are. */
static const char *why_text(const json_t *o, char room[static 2 * WHY])
{
    const char *why = remote_text(o, "why");
    char code[WHY];
    int failed = 0;
    unsigned tries = 0;
    if (strlen(why) >= sizeof(code) ||
        sscanf(why, SERVICE_CAMPAIGN_WHY, // NOLINT(cert-err34-c): our own words, or none
               &failed, &tries, code) != 3)
        return b_err_word(why);
    (void)snprintf(room, 2 * WHY, b_err_word(N_("%d of the last %u tries failed: %s")), failed,
                   tries, code);
    return room;
}

static long long number(const json_t *o, const char *name)
{
    return (long long)json_integer_value(json_object_get(o, name));
}

/* --- showing -----------------------------------------------------------------------------------
 */

static bool list_one(struct cli *c, const json_t *o)
{
    char at[24], why[2 * WHY];
    const char *state = state_text(remote_text(o, "state"));
    cli_time((int64_t)number(o, "started_at"), at, sizeof(at));
    cli_say(c, CLI_PLAIN, "%4lld  %-6s %3lld  %-*s  %s  %s\n", number(o, "id"),
            remote_text(o, "role"), number(o, "generation"), cli_width(state, 8), state, at,
            why_text(o, why));
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "campaigns"), json_deep_copy(o));
    return number(o, "id") > 0;
}

static bool list_here(void *ctx, const struct store_campaign *k)
{
    json_t *o = service_json_campaign(k);
    bool goes_on = list_one(ctx, o);
    json_decref(o);
    return goes_on;
}

enum b_code cli_campaign_list(struct cli *c, struct b_err *err)
{
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "campaigns", json_array());
    if (cli_is_far(c))
        return cli_far_each(c, "/v1/campaigns", list_one, err);
    enum b_code r = cli_open(c, false, err);
    return r == B_OK ? store_campaign_each(c->service.store, list_here, c, err) : r;
}

static void say_limits(struct cli *c, const json_t *o)
{
    if (number(o, "pace") > 0)
        cli_say(c, CLI_PLAIN, _("At most %lld badges a minute.\n"), number(o, "pace"));
    if (number(o, "pause_percent") > 0)
        cli_say(c, CLI_PLAIN, _("It pauses when %lld %% of the last tries fail.\n"),
                number(o, "pause_percent"));
}

static void say_campaign(struct cli *c, const json_t *o)
{
    char room[2 * WHY];
    const char *why = why_text(o, room);
    bool is_paused = strcmp(remote_text(o, "state"), "paused") == 0;
    cli_say(c, CLI_BOLD, _("Campaign %lld: role %s to generation %lld, %s"), number(o, "id"),
            remote_text(o, "role"), number(o, "generation"), state_text(remote_text(o, "state")));
    cli_say(c, is_paused ? CLI_RED : CLI_PLAIN, "%s%s\n", why[0] != '\0' ? b_err_word(": ") : "",
            why);
    if (c->out != NULL) {
        json_decref(c->out);
        c->out = json_deep_copy(o);
    }
}

static bool is_at(const json_t *part, enum store_campaign_place at)
{
    return strcmp(remote_text(part, "at"), store_campaign_place_name(at)) == 0;
}

/* Where they were done or tried, or tapped last: they add up to the lines above. */
static void say_part(struct cli *c, const json_t *part)
{
    const char *group = remote_text(part, "group");
    if (is_at(part, STORE_CAMPAIGN_NEVER))
        cli_say(c, CLI_PLAIN, _("  never tapped:"));
    else if (is_at(part, STORE_CAMPAIGN_DESK))
        cli_say(c, CLI_PLAIN, _("  at the desk:"));
    else if (group[0] == '\0')
        cli_say(c, CLI_PLAIN, _("  stations without a group:"));
    else
        cli_say(c, CLI_PLAIN, _("  stations \"%s\":"), group);
    cli_say(c, CLI_PLAIN, _(" %lld done, %lld seen, %lld not seen; %lld failed\n"),
            number(part, "done"), number(part, "seen"), number(part, "not_seen"),
            number(part, "failed"));
}

/* The figures that a person asks for: who is done, who is not, and why. */
static void say_figures(struct cli *c, const json_t *o)
{
    const json_t *f = json_object_get(o, "badges");
    const json_t *part = NULL;
    size_t i = 0;
    long long all = number(f, "all");
    long long done = number(f, "done");
    cli_say(c, CLI_GREEN, _("%lld of %lld badges are done (%.1f %%).\n"), done, all,
            all > 0 ? 100.0 * (double)done / (double)all : 100.0);
    cli_say(c, CLI_PLAIN, _("%lld tapped since, and are not done; of %lld the last try failed.\n"),
            number(f, "seen"), number(f, "failed"));
    cli_say(c, CLI_PLAIN, _("%lld have not tapped since it began.\n"), number(f, "not_seen"));
    json_array_foreach(json_object_get(o, "groups"), i, part) say_part(c, part);
    say_limits(c, o);
    if (number(f, "all") == done)
        cli_say(
            c, CLI_PLAIN,
            _("Nothing needs the former generation: it can be retired (tessere key retire).\n"));
}

static int64_t id_of(const struct cli *c)
{
    return strtoll(c->operand, NULL, 10);
}

static enum b_code check_id(const struct cli *c, struct b_err *err)
{
    char *end = NULL;
    if (strtoll(c->operand, &end, 10) > 0 && *end == '\0')
        return B_OK;
    return b_err_set(err, B_E_USAGE, 0,
                     _("a campaign is named by its number, not \"%.40s\": tessere campaign list"),
                     c->operand);
}

static enum b_code figures(struct cli *c, json_t **ret, struct b_err *err)
{
    char path[64];
    struct store_campaign k;
    enum b_code r = check_id(c, err);
    (void)snprintf(path, sizeof(path), "/v1/campaigns/%lld", (long long)id_of(c));
    if (r == B_OK && cli_is_far(c))
        return cli_far(c, "GET", path, NULL, ret, err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = store_campaign_by_id(c->service.store, id_of(c), &k, err);
    return r == B_OK ? service_campaign_figures(c->service.store, &k, ret, err) : r;
}

enum b_code cli_campaign_show(struct cli *c, struct b_err *err)
{
    json_t *o = NULL;
    enum b_code r = figures(c, &o, err);
    if (r == B_OK) {
        say_campaign(c, o);
        say_figures(c, o);
    }
    json_decref(o);
    return r;
}

struct lacking {
    struct cli *c;
    struct store_campaign campaign;
};

static bool badge_one(struct cli *c, const json_t *o)
{
    char at[24];
    const json_t *holder = json_object_get(o, "holder");
    cli_time((int64_t)number(o, "tapped_at"), at, sizeof(at));
    cli_say(c, CLI_PLAIN, "%5lld  %s  %-19s  %s (%s)\n", number(o, "id"), remote_text(o, "uid"), at,
            remote_text(holder, "name"), remote_text(holder, "ref"));
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "badges"), json_deep_copy(o));
    return !cli_is_stopped(NULL) && number(o, "id") > 0;
}

static bool badge_here(void *ctx, const struct store_badge *b)
{
    const struct lacking *k = ctx;
    if (!service_campaign_lacks(&k->campaign, b))
        return true;
    json_t *o = service_json_badge(b);
    bool goes_on = badge_one(k->c, o);
    json_decref(o);
    return goes_on;
}

enum b_code cli_campaign_badges(struct cli *c, struct b_err *err)
{
    char path[64];
    struct lacking k = {.c = c};
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "badges", json_array());
    enum b_code r = check_id(c, err);
    (void)snprintf(path, sizeof(path), "/v1/campaigns/%lld/badges", (long long)id_of(c));
    if (r == B_OK && cli_is_far(c))
        return cli_far_each(c, path, badge_one, err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = store_campaign_by_id(c->service.store, id_of(c), &k.campaign, err);
    return r == B_OK ? store_badge_each(c->service.store, 0, NULL, badge_here, &k, err) : r;
}

/* --- acting ------------------------------------------------------------------------------------
 */

struct turn {
    const char *verb; /* of the API; "" to start one */
    enum b_code (*here)(struct cli *c, struct store_campaign *ret, struct b_err *err);
};

static const char *why_of(const struct cli *c)
{
    return cli_has(c, CLI_OPT_REASON) ? c->options[CLI_OPT_REASON] : "";
}

static enum b_code start(struct cli *c, struct store_campaign *ret, struct b_err *err)
{
    enum key_role role = key_role_from(c->operand);
    if (role == KEY_ROLE_COUNT)
        return b_err_set(err, B_E_USAGE, 0,
                         _("no role \"%.40s\": they are picc, app, auth, read, write"), c->operand);
    return service_campaign_start(&c->service, role, ret, err);
}

static enum b_code pause_here(struct cli *c, struct store_campaign *ret, struct b_err *err)
{
    return service_campaign_pause(&c->service, id_of(c), why_of(c), ret, err);
}

static enum b_code resume(struct cli *c, struct store_campaign *ret, struct b_err *err)
{
    return service_campaign_resume(&c->service, id_of(c), ret, err);
}

static enum b_code end(struct cli *c, struct store_campaign *ret, struct b_err *err)
{
    return service_campaign_end(&c->service, id_of(c), ret, err);
}

/* --pace and --pause-at; what is not given stays as it is. */
static enum b_code read_limit(const struct cli *c, enum cli_option o, long max, uint32_t *io,
                              struct b_err *err)
{
    char *rest = NULL;
    if (!cli_has(c, o))
        return B_OK;
    long v = strtol(c->options[o], &rest, 10);
    if (*rest != '\0' || rest == c->options[o] || v < 0 || v > max)
        return b_err_set(err, B_E_USAGE, 0, _("a number from 0 to %ld, not \"%.20s\""), max,
                         c->options[o]);
    *io = (uint32_t)v;
    return B_OK;
}

static enum b_code read_limits(const struct cli *c, uint32_t *pace, uint32_t *percent,
                               struct b_err *err)
{
    enum b_code r = read_limit(c, CLI_OPT_PACE, SERVICE_CAMPAIGN_PACE_MAX, pace, err);
    return r == B_OK ? read_limit(c, CLI_OPT_PAUSE_AT, 100, percent, err) : r;
}

static enum b_code limit(struct cli *c, struct store_campaign *ret, struct b_err *err)
{
    enum b_code r = store_campaign_by_id(c->service.store, id_of(c), ret, err);
    uint32_t pace = ret->pace;
    uint32_t percent = ret->pause_percent;
    if (r == B_OK)
        r = read_limits(c, &pace, &percent, err);
    return r == B_OK ? service_campaign_limit(&c->service, id_of(c), pace, percent, ret, err) : r;
}

static enum b_code body_of(const struct cli *c, const struct turn *t, json_t *body,
                           struct b_err *err)
{
    uint32_t pace = 0;
    uint32_t percent = 0;
    enum b_code r = read_limits(c, &pace, &percent, err);
    if (t->here == start)
        (void)json_object_set_new(body, "role", json_string(c->operand));
    if (t->here == pause_here)
        (void)json_object_set_new(body, "why", json_string(why_of(c)));
    if (cli_has(c, CLI_OPT_PACE))
        (void)json_object_set_new(body, "pace", json_integer(pace));
    if (cli_has(c, CLI_OPT_PAUSE_AT))
        (void)json_object_set_new(body, "pause_percent", json_integer(percent));
    return r;
}

static enum b_code turn_far(struct cli *c, const struct turn *t, json_t **ret, struct b_err *err)
{
    char path[96] = "/v1/campaigns";
    json_t *body = json_object();
    if (t->here != start)
        (void)snprintf(path, sizeof(path), "/v1/campaigns/%lld/%s", (long long)id_of(c), t->verb);
    enum b_code r = body_of(c, t, body, err);
    if (r == B_OK)
        return cli_far(c, "POST", path, body, ret, err);
    json_decref(body);
    return r;
}

static enum b_code turn(struct cli *c, const struct turn *t, struct b_err *err)
{
    struct store_campaign k = {.id = 0};
    json_t *o = NULL;
    enum b_code r = t->here != start ? check_id(c, err) : B_OK;
    if (r == B_OK && cli_is_far(c)) {
        r = turn_far(c, t, &o, err);
    } else if (r == B_OK) {
        r = cli_open(c, false, err);
        if (r == B_OK)
            r = t->here(c, &k, err);
        o = r == B_OK ? service_json_campaign(&k) : NULL;
    }
    if (r == B_OK) {
        say_campaign(c, o);
        say_limits(c, o);
    }
    json_decref(o);
    return r;
}

enum b_code cli_campaign_start(struct cli *c, struct b_err *err)
{
    static const struct turn t = {"", start};
    return turn(c, &t, err);
}

enum b_code cli_campaign_pause(struct cli *c, struct b_err *err)
{
    static const struct turn t = {"pause", pause_here};
    return turn(c, &t, err);
}

enum b_code cli_campaign_resume(struct cli *c, struct b_err *err)
{
    static const struct turn t = {"resume", resume};
    return turn(c, &t, err);
}

enum b_code cli_campaign_limit(struct cli *c, struct b_err *err)
{
    static const struct turn t = {"limit", limit};
    return turn(c, &t, err);
}

enum b_code cli_campaign_end(struct cli *c, struct b_err *err)
{
    static const struct turn t = {"end", end};
    return turn(c, &t, err);
}
