/* tessere directory: what the hospital's directory says of people, and what to do about it. */
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "remote/remote.h"
#include "service/directory.h"

/* --- what waits --------------------------------------------------------------------------------
 */

/* An administrator decides about people, and not about a number. */
static bool list_held(void *ctx, const struct store_user *u)
{
    const struct cli *c = ctx;
    char at[24];
    cli_time(u->wished_at, at, sizeof(at));
    cli_say(c, CLI_PLAIN, "%-20s  %s  %-16s  %s%s%s\n", u->ref, at, u->source, u->name,
            u->department[0] != '\0' ? ", " : "", u->department);
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "people"),
                                    json_pack("{s:s, s:s, s:s, s:I, s:s}", "ref", u->ref, "name",
                                              u->name, "department", u->department, "at",
                                              (json_int_t)u->wished_at, "source", u->source));
    return !cli_is_stopped(NULL);
}

enum b_code cli_directory_status(struct cli *c, struct b_err *err)
{
    struct store_user_counts k = {.held = 0};
    json_t *o = NULL;
    enum b_code r =
        cli_is_far(c) ? cli_far(c, "GET", "/v1/directory", NULL, &o, err) : cli_open(c, false, err);
    if (r == B_OK && o != NULL)
        k = (struct store_user_counts){.staff = json_integer_value(json_object_get(o, "staff")),
                                       .leaving = json_integer_value(json_object_get(o, "leaving")),
                                       .held = json_integer_value(json_object_get(o, "held"))};
    else if (r == B_OK)
        r = store_user_count(c->service.store, (int64_t)time(NULL) - SERVICE_GUARD_SECONDS, &k,
                             err);
    json_decref(o);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_PLAIN, _("People of the directory: %lld\n"), (long long)k.staff);
    cli_say(c, CLI_PLAIN, _("Leavers of the last ten minutes: %lld\n"), (long long)k.leaving);
    cli_say(c, k.held > 0 ? CLI_RED : CLI_PLAIN, _("Who wait for an administrator: %lld\n"),
            (long long)k.held);
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out, json_pack("{s:I, s:I, s:I}", "staff", (json_int_t)k.staff, "leaving",
                              (json_int_t)k.leaving, "held", (json_int_t)k.held));
    if (cli_is_far(c))
        return B_OK;
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "people", json_array());
    return store_user_each(c->service.store, STORE_USER_HELD, 0, list_held, c, err);
}

static enum b_code decide(struct cli *c, bool is_refused, struct b_err *err)
{
    int64_t count = 0;
    json_t *o = NULL;
    const char *path = is_refused ? "/v1/directory/refuse" : "/v1/directory/release";
    enum b_code r = cli_is_far(c) ? B_OK : cli_open(c, false, err);
    if (r == B_OK && !cli_ask(c, is_refused ? _("Keep all who wait?") : _("Stop all who wait?")))
        r = b_err_set(err, B_E_CANCELLED, 0, "tessere directory");
    if (r == B_OK && cli_is_far(c))
        r = cli_far(c, "POST", path, json_object(), &o, err);
    else if (r == B_OK)
        r = service_directory_release(&c->service, is_refused, &count, err);
    if (o != NULL)
        count = json_integer_value(json_object_get(o, "count"));
    json_decref(o);
    if (r == B_OK)
        cli_say(c, CLI_PLAIN, is_refused ? _("Kept: %lld\n") : _("Stopped: %lld\n"),
                (long long)count);
    if (r == B_OK && c->out != NULL)
        (void)json_object_set_new(c->out, "count", json_integer(count));
    return r;
}

enum b_code cli_directory_release(struct cli *c, struct b_err *err)
{
    return decide(c, false, err);
}

enum b_code cli_directory_refuse(struct cli *c, struct b_err *err)
{
    return decide(c, true, err);
}

enum b_code cli_directory_verify(struct cli *c, struct b_err *err)
{
    struct store_user u;
    char ref[3 * STORE_NAME_MAX];
    char path[sizeof(ref) + 32];
    enum b_code r = cli_far_escape(c->operand, ref, sizeof(ref), err);
    (void)snprintf(path, sizeof(path), "/v1/holders/%s/verify", ref);
    if (r == B_OK && cli_is_far(c))
        return cli_far(c, "POST", path, json_object(), NULL, err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    return r == B_OK ? service_directory_verify(&c->service, c->operand, &u, err) : r;
}

/* --- orphans -----------------------------------------------------------------------------------
 */

static const struct {
    const char *name, *text;
} kinds[] = {
    {"badge-without-person", N_("a badge whose holder the directory does not know")},
    {"person-gone", N_("a badge in use of somebody who has left")},
    {"identity-old", N_("a national identifier that nobody verified for two years")},
};

struct line {
    const char *kind, *ref, *name, *state;
    int64_t badge, at;
};

static void print_csv(const struct line *l, const char *at)
{
    cli_csv_field(l->kind, ",");
    (void)printf("%lld,", (long long)l->badge);
    cli_csv_field(l->ref, ",");
    cli_csv_field(l->name, ",");
    cli_csv_field(l->state, ",");
    cli_csv_field(at, "\r\n");
}

static void print_orphan(struct cli *c, const struct line *l)
{
    char at[32] = "";
    const char *text = l->kind;
    for (size_t i = 0; i < B_COUNT(kinds); i++)
        if (strcmp(kinds[i].name, l->kind) == 0)
            text = _(kinds[i].text);
    if (l->at != 0)
        cli_time(l->at, at, sizeof(at));
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "orphans"),
                                    json_pack("{s:s, s:I, s:s, s:s, s:s, s:I}", "kind", l->kind,
                                              "badge", (json_int_t)l->badge, "ref", l->ref, "name",
                                              l->name, "state", l->state, "at", (json_int_t)l->at));
    else if (cli_has(c, CLI_OPT_CSV))
        print_csv(l, at);
    else
        cli_say(c, CLI_PLAIN, "%-20s  %6lld  %-10s  %-20s  %s: %s\n", l->ref, (long long)l->badge,
                l->state, at, l->name, text);
}

static void list_here(void *ctx, const struct service_orphan *o)
{
    const struct line l = {.kind = service_orphan_name(o->kind),
                           .ref = o->ref,
                           .name = o->name,
                           .state = o->state,
                           .badge = o->badge,
                           .at = o->at};
    print_orphan(ctx, &l);
}

static bool list_far(struct cli *c, const json_t *o)
{
    const struct line l = {.kind = remote_text(o, "kind"),
                           .ref = remote_text(o, "ref"),
                           .name = remote_text(o, "name"),
                           .state = remote_text(o, "state"),
                           .badge = json_integer_value(json_object_get(o, "badge")),
                           .at = json_integer_value(json_object_get(o, "at"))};
    print_orphan(c, &l);
    return l.kind[0] != '\0';
}

enum b_code cli_directory_orphans(struct cli *c, struct b_err *err)
{
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "orphans", json_array());
    else if (cli_has(c, CLI_OPT_CSV))
        (void)printf("kind,badge,ref,name,state,at\r\n");
    if (cli_is_far(c))
        return cli_far_each(c, "/v1/directory/orphans", list_far, err);
    enum b_code r = cli_open(c, false, err);
    return r == B_OK ? service_orphans(c->service.store, (int64_t)time(NULL), list_here, c, err)
                     : r;
}
