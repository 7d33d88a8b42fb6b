/* tessere journal list: what happened, where and by whose badge, for people to read. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "service/service.h"
#include "store/store.h"

enum { NEWEST = 50 };

struct reading {
    struct cli *cli;
    json_t *holders; /* by the badge's number: whose it was then; null: erased, or nobody's */
    int64_t from, until, badge, station;
    const char *holder, *kinds;
    uint64_t shown;
};

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}

/* --- whose badge -------------------------------------------------------------------------------
 */

/* A card may be another person's later, so the holder is who the entries up to this one name, and
 * not who has the badge today. A commitment without its text is of somebody who was erased. */
static void learn_holder(struct reading *k, const char *badge, const json_t *body,
                         const char *personal)
{
    if (json_object_get(body, "personal") == NULL)
        return;
    json_t *known = personal != NULL ? json_loads(personal, 0, NULL) : NULL;
    (void)json_object_set_new(k->holders, badge, known != NULL ? known : json_null());
}

static bool learn_earlier(void *ctx, const struct store_entry *e)
{
    struct reading *k = ctx;
    char badge[24];
    (void)snprintf(badge, sizeof(badge), "%lld", (long long)e->badge_id);
    json_t *body = json_loadb(e->body, e->body_len, 0, NULL);
    learn_holder(k, badge, body, e->personal);
    json_decref(body);
    return true;
}

/* {"holder", "name"}, which lives as long as the cache, or NULL. */
static const json_t *holder_of_badge(struct reading *k, const struct store_entry *e,
                                     const json_t *body)
{
    struct b_err ignored;
    char badge[24];
    (void)snprintf(badge, sizeof(badge), "%lld", (long long)e->badge_id);
    learn_holder(k, badge, body, e->personal);
    if (json_object_get(k->holders, badge) == NULL &&
        store_entry_personal(k->cli->service.store, e->badge_id, e->index, learn_earlier, k,
                             &ignored) != B_OK)
        (void)json_object_set_new(k->holders, badge, json_null());
    return json_object_get(k->holders, badge);
}

/* Of an entry about a person and no badge: the row that it touched tells who. */
static void holder_of_state(const struct reading *k, const json_t *body, struct store_holder *ret)
{
    static const char row[] = "holder:";
    struct b_err ignored;
    const char *name = NULL;
    json_t *digest = NULL;
    json_object_foreach(json_object_get(body, "state"), name, digest)
    {
        if (strncmp(name, row, sizeof(row) - 1) != 0)
            continue;
        if (store_holder_by_id(k->cli->service.store, strtoll(name + sizeof(row) - 1, NULL, 10),
                               ret, &ignored) == B_OK)
            return;
    }
    *ret = (struct store_holder){.id = 0};
}

struct line {
    const struct store_entry *entry;
    json_t *body;
    char ref[STORE_NAME_MAX], name[STORE_TEXT_MAX];
    char station[STORE_NAME_MAX], actor[STORE_TEXT_MAX];
    char at[24];
    char *detail;
};

static void take_holder(struct reading *k, struct line *l)
{
    struct store_holder h;
    json_t *own = l->entry->personal != NULL ? json_loads(l->entry->personal, 0, NULL) : NULL;
    const json_t *of = l->entry->badge_id != 0 ? holder_of_badge(k, l->entry, l->body) : own;
    (void)snprintf(l->ref, sizeof(l->ref), "%s", text_of(of, "holder"));
    (void)snprintf(l->name, sizeof(l->name), "%s", text_of(of, "name"));
    json_decref(own);
    if (of != NULL)
        return;
    holder_of_state(k, l->body, &h);
    (void)snprintf(l->ref, sizeof(l->ref), "%s", h.ref);
    (void)snprintf(l->name, sizeof(l->name), "%s", h.name);
}

/* --- one entry ---------------------------------------------------------------------------------
 */

static bool is_named(const char *list, const char *kind)
{
    size_t n = strlen(kind);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strcspn(at, ",") == n && strncmp(at, kind, n) == 0)
            return true;
    }
    return false;
}

static bool is_wanted(const struct reading *k, const struct line *l)
{
    int64_t at = json_integer_value(json_object_get(l->body, "at"));
    int64_t station = json_integer_value(json_object_get(l->body, "station"));
    return at >= k->from && (k->until == 0 || at < k->until) &&
           (k->station == 0 || station == k->station) &&
           (k->kinds == NULL || is_named(k->kinds, text_of(l->body, "kind"))) &&
           (k->holder == NULL || strstr(l->ref, k->holder) != NULL ||
            strstr(l->name, k->holder) != NULL);
}

static void name_station(const struct reading *k, int64_t id, char *ret, size_t cap)
{
    struct store_station t;
    struct b_err ignored;
    ret[0] = '\0';
    if (id != 0 && store_station_by_id(k->cli->service.store, id, &t, &ignored) == B_OK)
        (void)snprintf(ret, cap, "%s", t.name);
    else if (id != 0)
        (void)snprintf(ret, cap, "%lld", (long long)id);
}

/* person:1 is whoever has that number; other actors are what they say. */
static void name_actor(const struct reading *k, const char *actor, char *ret, size_t cap)
{
    static const char person[] = "person:", station[] = "station:";
    struct store_person p;
    struct b_err ignored;
    bool is_person = strncmp(actor, person, sizeof(person) - 1) == 0;
    (void)snprintf(ret, cap, "%s", actor);
    if (is_person &&
        store_person_by_id(k->cli->service.store, strtoll(actor + sizeof(person) - 1, NULL, 10), &p,
                           &ignored) == B_OK)
        (void)snprintf(ret, cap, "%s", p.name);
    if (strncmp(actor, station, sizeof(station) - 1) == 0)
        name_station(k, strtoll(actor + sizeof(station) - 1, NULL, 10), ret, cap);
}

static void print_csv(const struct line *l)
{
    (void)printf("%llu,", (unsigned long long)l->entry->index);
    cli_csv_field(l->at, ",");
    cli_csv_field(text_of(l->body, "kind"), ",");
    cli_csv_field(text_of(l->body, "outcome"), ",");
    cli_csv_field(l->actor, ",");
    cli_csv_field(l->station, ",");
    (void)printf("%lld,", (long long)l->entry->badge_id);
    cli_csv_field(l->ref, ",");
    cli_csv_field(l->name, ",");
    cli_csv_field(l->detail, "\r\n");
}

static void print_line(struct cli *c, const struct line *l)
{
    char badge[24] = "";
    if (l->entry->badge_id != 0)
        (void)snprintf(badge, sizeof(badge), "%lld", (long long)l->entry->badge_id);
    cli_say(c, CLI_PLAIN, "%7llu  %s  %-16s  %-16s  %-12s  %-12s  %5s  %-12s  %s%s%s\n",
            (unsigned long long)l->entry->index, l->at, text_of(l->body, "kind"),
            text_of(l->body, "outcome"), l->actor, l->station, badge, l->ref, l->name,
            l->detail[0] != '\0' ? "  " : "", l->detail);
    if (c->out == NULL)
        return;
    json_t *holder = json_pack("{s:s, s:s}", "ref", l->ref, "name", l->name);
    (void)json_object_set_new(l->body, "entry", json_integer((json_int_t)l->entry->index));
    (void)json_object_set_new(l->body, "holder", l->ref[0] != '\0' ? holder : json_null());
    if (l->ref[0] == '\0')
        json_decref(holder);
    (void)json_array_append(json_object_get(c->out, "entries"), l->body);
}

/* What the entry has besides; a reason may name somebody, and is with what can be erased. */
static char *print_detail(const struct line *l)
{
    json_t *own = l->entry->personal != NULL ? json_loads(l->entry->personal, 0, NULL) : NULL;
    json_t *all = json_object();
    (void)json_object_update(all, json_object_get(l->body, "detail"));
    if (text_of(own, "reason")[0] != '\0')
        (void)json_object_set(all, "reason", json_object_get(own, "reason"));
    char *text = json_object_size(all) > 0 ? json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(all);
    json_decref(own);
    return text;
}

static void print_entry(const struct reading *k, struct line *l)
{
    char *detail = print_detail(l);
    l->detail = detail != NULL ? detail : (char[]){""};
    cli_time(json_integer_value(json_object_get(l->body, "at")), l->at, sizeof(l->at));
    name_station(k, json_integer_value(json_object_get(l->body, "station")), l->station,
                 sizeof(l->station));
    name_actor(k, text_of(l->body, "actor"), l->actor, sizeof(l->actor));
    if (k->cli->out == NULL && cli_has(k->cli, CLI_OPT_CSV))
        print_csv(l);
    else
        print_line(k->cli, l);
    free(detail);
}

static bool take_entry(void *ctx, const struct store_entry *e)
{
    struct reading *k = ctx;
    struct line l = {.entry = e, .body = json_loadb(e->body, e->body_len, 0, NULL)};
    take_holder(k, &l);
    if (is_wanted(k, &l)) {
        print_entry(k, &l);
        k->shown++;
    }
    json_decref(l.body);
    return !cli_is_stopped(NULL);
}

/* --- the command -------------------------------------------------------------------------------
 */

static enum b_code read_number(const struct cli *c, enum cli_option option, const char *name,
                               int64_t *ret, struct b_err *err)
{
    const char *text = c->options[option];
    char *end = NULL;
    *ret = text != NULL ? strtoll(text, &end, 10) : 0;
    return text == NULL || (*end == '\0' && *ret > 0)
               ? B_OK
               : b_err_set(err, B_E_USAGE, 0, _("--%s takes a number, not \"%.40s\""), name, text);
}

static enum b_code read_wanted(struct reading *k, struct b_err *err)
{
    const char *const *options = k->cli->options;
    const char *from = options[CLI_OPT_FROM], *until = options[CLI_OPT_UNTIL];
    k->holder = options[CLI_OPT_HOLDER];
    k->kinds = options[CLI_OPT_KIND];
    if ((from != NULL && !service_day_at(from, 0, &k->from)) ||
        (until != NULL && !service_day_at(until, 1, &k->until)))
        return b_err_set(err, B_E_USAGE, 0, _("a day is written YYYY-MM-DD, such as 2027-03-31"));
    enum b_code r = read_number(k->cli, CLI_OPT_BADGE, "badge", &k->badge, err);
    return r == B_OK ? read_number(k->cli, CLI_OPT_STATION, "station", &k->station, err) : r;
}

/* Without a wish the newest; with one, all that it fits. */
enum b_code cli_journal_list(struct cli *c, struct b_err *err)
{
    struct reading k = {.cli = c};
    enum b_code r = read_wanted(&k, err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r != B_OK)
        return r;
    bool is_any = k.from == 0 && k.until == 0 && k.badge == 0 && k.station == 0 &&
                  k.holder == NULL && k.kinds == NULL;
    const struct store_entry_range range = {
        .badge_id = k.badge, .count = is_any ? NEWEST : INT64_MAX, .is_newest = is_any};
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "entries", json_array());
    else if (cli_has(c, CLI_OPT_CSV))
        (void)printf("entry,at,kind,outcome,actor,station,badge,ref,name,detail\r\n");
    k.holders = json_object();
    r = store_entry_each(c->service.store, &range, take_entry, &k, err);
    json_decref(k.holders);
    if (r == B_OK && k.shown == 0 && !cli_has(c, CLI_OPT_CSV))
        cli_say(c, CLI_PLAIN, _("No entry of the journal fits.\n"));
    return r;
}
