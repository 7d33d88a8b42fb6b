/* tessere badge: the desk. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "service/json.h"
#include "service/relay.h"

static void answer_badge(struct cli *c, const struct store_badge *b)
{
    if (c->out == NULL)
        return;
    json_decref(c->out);
    c->out = cli_json_badge(b);
}

/* --- days --------------------------------------------------------------------------------------
 */

struct days {
    int64_t from, until; /* 0: without limit */
    bool is_temporary;
};

/* --from is that day's first second, --until its last, of this machine's time. */
static enum b_code read_days(const struct cli *c, struct days *ret, struct b_err *err)
{
    const char *from = c->options[CLI_OPT_FROM];
    const char *until = c->options[CLI_OPT_UNTIL];
    *ret = (struct days){.is_temporary = cli_has(c, CLI_OPT_TEMPORARY)};
    if ((from != NULL && !service_day_at(from, 0, &ret->from)) ||
        (until != NULL && !service_day_at(until, 1, &ret->until)))
        return b_err_set(err, B_E_USAGE, 0, _("a day is written YYYY-MM-DD, such as 2027-03-31"));
    ret->until -= until != NULL ? 1 : 0;
    if (ret->is_temporary && until == NULL)
        return b_err_set(err, B_E_USAGE, 0, _("--temporary needs --until"));
    return B_OK;
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
    struct days days;
    enum b_code r = read_days(c, &days, err);
    if (r == B_OK && days.until != 0 && days.until < service_now())
        r = b_err_set(err, B_E_USAGE, 0, _("--until: this day is past"));
    order.not_before = days.from;
    order.not_after = days.until;
    order.is_temporary = days.is_temporary;
    if (r == B_OK)
        r = cli_batch(c, &order.batch_id, err);
    if (r == B_OK)
        r = cli_at_desk(c, &order, &done, err);
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

enum b_code cli_badge_takeover(struct cli *c, struct b_err *err)
{
    static struct service_done done;
    struct service_order order = {.what = SERVICE_TAKEOVER};
    enum b_code r = cli_others(c, &order.others, err);
    if (r == B_OK)
        r = cli_at_desk(c, &order, &done, err);
    if (r != B_OK)
        return r;
    const struct store_badge *b = &done.badge;
    answer_badge(c, b);
    cli_say(c, CLI_GREEN, _("Badge %lld of %s (%s) is taken over.\n"), (long long)b->id,
            b->holder_name, b->holder_ref);
    return B_OK;
}

/* --- in the store
 * ------------------------------------------------------------------------------------------- */

/* As `fleet import` takes it in, so that the badges can be adopted from it one day. */
static bool list_row(const struct store_badge *b)
{
    static const char *const status[] = {[STORE_BADGE_ENROLLING] = "active",
                                         [STORE_BADGE_ACTIVE] = "active",
                                         [STORE_BADGE_SUSPENDED] = "suspended",
                                         [STORE_BADGE_REVOKED] = "revoked"};
    char uid[15], row[4 * STORE_TEXT_MAX + 64];
    struct b_wr w = b_wr_from(row, sizeof(row));
    static const uint8_t none[sizeof(b->uid)];
    if (b->state == STORE_BADGE_BLANKED || memcmp(b->uid, none, sizeof(none)) == 0)
        return true; /* nobody's, or torn before the card told its UID */
    b_hex(uid, b->uid, sizeof(b->uid));
    b_csv_put(&w, b->holder_ref);
    b_wr_u8(&w, ',');
    b_csv_put(&w, b->holder_name);
    b_check(b_wr_ok(&w));
    (void)printf("%s,%.*s,%s,%lld\r\n", uid, (int)w.len, row, status[b->state], (long long)b->id);
    return !cli_is_stopped(NULL);
}

static bool list_one(void *ctx, const struct store_badge *b)
{
    struct cli *c = ctx;
    char uid[15], at[24];
    if (c->out != NULL) {
        (void)json_array_append_new(json_object_get(c->out, "badges"), cli_json_badge(b));
        return true;
    }
    if (cli_has(c, CLI_OPT_CSV))
        return list_row(b);
    static const enum cli_color colors[] = {CLI_YELLOW, CLI_GREEN, CLI_YELLOW, CLI_RED, CLI_PLAIN};
    b_hex(uid, b->uid, sizeof(b->uid));
    cli_time(b->tapped_at, at, sizeof(at));
    cli_say(c, CLI_PLAIN, "%5lld  %s  ", (long long)b->id, uid);
    const char *state = cli_badge_state(b->state);
    cli_say(c, colors[b->state], "%-*s", cli_width(state, 10), state);
    cli_say(c, CLI_PLAIN, "  %-19s  %s (%s)\n", at, b->holder_name, b->holder_ref);
    return !cli_is_stopped(NULL);
}

static bool list_far(struct cli *c, const json_t *item)
{
    struct store_badge b;
    bool is_read = service_json_badge_read(item, &b);
    if (is_read)
        (void)list_one(c, &b);
    return is_read;
}

static enum b_code each_far(struct cli *c, struct b_err *err)
{
    enum { WORST = 3 }; /* signs for one byte */
    char part[WORST * STORE_TEXT_MAX] = "";
    char path[sizeof(part) + 32];
    const char *holder = c->options[CLI_OPT_HOLDER];
    enum b_code r = holder != NULL ? cli_far_escape(holder, part, sizeof(part), err) : B_OK;
    (void)snprintf(path, sizeof(path), "/v1/badges%s%s", holder != NULL ? "?holder=" : "", part);
    return r == B_OK ? cli_far_each(c, path, list_far, err) : r;
}

enum b_code cli_badge_list(struct cli *c, struct b_err *err)
{
    enum b_code r = cli_is_far(c) ? B_OK : cli_open(c, false, err);
    if (r != B_OK)
        return r;
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "badges", json_array());
    const char *state = _("state");
    if (c->out == NULL && cli_has(c, CLI_OPT_CSV))
        (void)printf("uid,ref,name,status,note\r\n");
    else
        cli_say(c, CLI_BOLD, "%5s  %-14s  %-*s  %-19s  %s\n", _("badge"), "UID",
                cli_width(state, 10), state, _("last tap"), _("holder"));
    return cli_is_far(c) ? each_far(c, err)
                         : store_badge_each(c->service.store, 0, c->options[CLI_OPT_HOLDER],
                                            list_one, c, err);
}

enum b_code cli_operand_badge(const struct cli *c, int64_t *ret, struct b_err *err)
{
    char *end = NULL;
    long long id = strtoll(c->operand, &end, 10);
    if (*end != '\0' || id <= 0)
        return b_err_set(err, B_E_USAGE, 0, _("a badge is named by its number, not \"%.40s\""),
                         c->operand);
    *ret = id;
    return B_OK;
}

static void show_entry(struct cli *c, uint64_t index, json_t *body)
{
    char at[24];
    json_int_t when = json_integer_value(json_object_get(body, "at"));
    const char *kind = json_string_value(json_object_get(body, "kind"));
    const char *outcome = json_string_value(json_object_get(body, "outcome"));
    const char *actor = json_string_value(json_object_get(body, "actor"));
    cli_time(when, at, sizeof(at));
    cli_say(c, CLI_PLAIN, "  %6llu  %s  %-12s %-18s %s\n", (unsigned long long)index, at,
            kind != NULL ? kind : "?", outcome != NULL ? outcome : "?",
            actor != NULL ? actor : "?");
    if (c->out != NULL && body != NULL) {
        (void)json_object_set_new(body, "entry", json_integer((json_int_t)index));
        (void)json_array_append(json_object_get(c->out, "history"), body);
    }
}

static bool show_stored(void *ctx, const struct store_entry *e)
{
    json_t *body = json_loadb(e->body, e->body_len, 0, NULL);
    show_entry(ctx, e->index, body);
    json_decref(body);
    return true;
}

static void say_days(const struct cli *c, const struct store_badge *b)
{
    char from[24], until[24];
    if (b->not_before == 0 && b->not_after == 0)
        return;
    cli_time(b->not_before, from, sizeof(from));
    cli_time(b->not_after, until, sizeof(until));
    cli_say(c, CLI_PLAIN, _("  valid     %s to %s%s\n"), from, until,
            b->is_temporary ? _(", temporary") : "");
}

static void show_badge(struct cli *c, const struct store_badge *b)
{
    char uid[15], at[24];
    answer_badge(c, b);
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "history", json_array());
    b_hex(uid, b->uid, sizeof(b->uid));
    cli_say(c, CLI_BOLD, _("Badge %lld: %s (%s)\n"), (long long)b->id, b->holder_name,
            b->holder_ref);
    cli_say(c, CLI_PLAIN, _("  state     %s%s%s\n"), cli_badge_state(b->state),
            b->reason[0] != '\0' ? b_err_word(": ") : "", b->reason);
    cli_say(c, CLI_PLAIN, _("  card      DESFire %s, UID %s\n"), df_ev_name((enum df_ev)b->ev),
            uid);
    if (b->batch_id != 0)
        cli_say(c, CLI_PLAIN, _("  batch     %lld\n"), (long long)b->batch_id);
    if (b->is_in_office)
        cli_say(c, CLI_PLAIN, _("  the office has it\n"));
    cli_say(c, CLI_PLAIN, _("  profile   %s, revision %u\n"), b->profile_id, b->profile_revision);
    cli_say(c, CLI_PLAIN, _("  keys     "));
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++)
        cli_say(c, CLI_PLAIN, " %s %u", key_role_name((enum key_role)i), b->generation[i]);
    cli_time(b->tapped_at, at, sizeof(at));
    cli_say(c, CLI_PLAIN, _("\n  last tap  %s\n"), at);
    say_days(c, b);
}

/* A call about one badge: its record in the answer. */
static enum b_code call_far(const struct cli *c, const char *method, const char *path, json_t *body,
                            struct store_badge *ret, json_t **ret_o, struct b_err *err)
{
    json_t *o = NULL;
    enum b_code r = cli_far(c, method, path, body, &o, err);
    if (r == B_OK && !service_json_badge_read(o, ret))
        r = b_err_set(err, B_E_SERVER_GONE, 0,
                      "the server's answer is no badge: are both of one version?");
    if (r == B_OK && ret_o != NULL)
        *ret_o = json_incref(o);
    json_decref(o);
    return r;
}

static enum b_code show_far(struct cli *c, int64_t id, struct b_err *err)
{
    struct store_badge b;
    char path[64];
    json_t *o = NULL;
    json_t *body = NULL;
    size_t i = 0;
    (void)snprintf(path, sizeof(path), "/v1/badges/%lld", (long long)id);
    enum b_code r = call_far(c, "GET", path, NULL, &b, &o, err);
    if (r != B_OK)
        return r;
    show_badge(c, &b);
    json_array_foreach(json_object_get(o, "history"), i, body)
        show_entry(c, (uint64_t)json_integer_value(json_object_get(body, "entry")), body);
    json_decref(o);
    return B_OK;
}

enum b_code cli_badge_show(struct cli *c, struct b_err *err)
{
    struct store_badge b;
    int64_t id = 0;
    enum b_code r = cli_operand_badge(c, &id, err);
    if (r == B_OK && cli_is_far(c))
        return show_far(c, id, err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = store_badge_by_id(c->service.store, id, &b, err);
    if (r != B_OK)
        return r;
    show_badge(c, &b);
    const struct store_entry_range range = {.badge_id = id, .count = 20, .is_newest = true};
    return store_entry_each(c->service.store, &range, show_stored, c, err);
}

typedef enum b_code change_fn(struct service *sv, int64_t id, const char *reason,
                              struct b_err *err);

static enum b_code change_here(struct cli *c, change_fn *fn, int64_t id, struct store_badge *ret,
                               struct b_err *err)
{
    const char *reason = c->options[CLI_OPT_REASON];
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = fn(&c->service, id, reason != NULL ? reason : "", err);
    return r == B_OK ? store_badge_by_id(c->service.store, id, ret, err) : r;
}

static enum b_code change_far(const struct cli *c, const char *verb, int64_t id,
                              struct store_badge *ret, struct b_err *err)
{
    char path[64];
    const char *reason = c->options[CLI_OPT_REASON];
    json_t *body = reason != NULL ? json_pack("{s:s}", "reason", reason) : json_object();
    if (body == NULL)
        return b_err_set(err, B_E_USAGE, 0, "--reason: UTF-8");
    (void)snprintf(path, sizeof(path), "/v1/badges/%lld/%s", (long long)id, verb);
    return call_far(c, "POST", path, body, ret, NULL, err);
}

static enum b_code change(struct cli *c, const char *verb, change_fn *fn, struct b_err *err)
{
    int64_t id = 0;
    struct store_badge b = {.id = 0};
    enum b_code r = cli_operand_badge(c, &id, err);
    if (r == B_OK)
        r = cli_is_far(c) ? change_far(c, verb, id, &b, err) : change_here(c, fn, id, &b, err);
    if (r != B_OK)
        return r;
    answer_badge(c, &b);
    cli_say(c, CLI_PLAIN, _("Badge %lld of %s: %s.\n"), (long long)id, b.holder_name,
            cli_badge_state(b.state));
    return B_OK;
}

enum b_code cli_badge_suspend(struct cli *c, struct b_err *err)
{
    return change(c, "suspend", service_suspend, err);
}

enum b_code cli_badge_revoke(struct cli *c, struct b_err *err)
{
    return change(c, "revoke", service_revoke, err);
}

static enum b_code reinstate(struct service *sv, int64_t id, const char *reason, struct b_err *err)
{
    (void)reason;
    return service_reinstate(sv, id, err);
}

enum b_code cli_badge_reinstate(struct cli *c, struct b_err *err)
{
    return change(c, "reinstate", reinstate, err);
}

static enum b_code validity_here(struct cli *c, int64_t id, const struct days *d,
                                 struct store_badge *ret, struct b_err *err)
{
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_validity(&c->service, id, d->from, d->until, d->is_temporary, err);
    return r == B_OK ? store_badge_by_id(c->service.store, id, ret, err) : r;
}

static enum b_code validity_far(const struct cli *c, int64_t id, const struct days *d,
                                struct store_badge *ret, struct b_err *err)
{
    char path[64];
    json_t *body = json_pack("{s:I, s:I, s:b}", "not_before", (json_int_t)d->from, "not_after",
                             (json_int_t)d->until, "temporary", (int)d->is_temporary);
    (void)snprintf(path, sizeof(path), "/v1/badges/%lld/validity", (long long)id);
    return call_far(c, "POST", path, body, ret, NULL, err);
}

enum b_code cli_badge_validity(struct cli *c, struct b_err *err)
{
    int64_t id = 0;
    struct days days;
    struct store_badge b;
    enum b_code r = cli_operand_badge(c, &id, err);
    if (r == B_OK)
        r = read_days(c, &days, err);
    if (r == B_OK)
        r = cli_is_far(c) ? validity_far(c, id, &days, &b, err)
                          : validity_here(c, id, &days, &b, err);
    if (r != B_OK)
        return r;
    answer_badge(c, &b);
    cli_say(c, CLI_BOLD, _("Badge %lld: %s (%s)\n"), (long long)b.id, b.holder_name, b.holder_ref);
    if (b.not_before == 0 && b.not_after == 0)
        cli_say(c, CLI_PLAIN, "%s", _("  valid     without limit\n"));
    else
        say_days(c, &b);
    return B_OK;
}
