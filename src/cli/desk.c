/* Carrying an order of the desk out: on a reader here by the vault here, on a reader here by a
 * server, or by a server on the reader of a station. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "remote/remote.h"
#include "service/json.h"

/* --- watching the work -------------------------------------------------------------------------
 */

static bool approve(void *ctx, const struct profile_state *state, const struct profile_plan *plan)
{
    const struct cli *c = ctx;
    (void)state;
    cli_say_plan(c, plan);
    return cli_ask(c, _("Write this to the card? [y/N] "));
}

static void progress(void *ctx, const struct profile_plan *plan, size_t step, bool is_done)
{
    const struct cli *c = ctx;
    if (c->out != NULL || !isatty(STDOUT_FILENO))
        return;
    size_t done = step + (is_done ? 1 : 0), width = 30;
    size_t filled = width * done / plan->step_count;
    (void)printf("\r  [%.*s%.*s] %zu/%u ", (int)filled, "##############################",
                 (int)(width - filled), "..............................", done, plan->step_count);
    if (done == plan->step_count)
        (void)putchar('\n');
    (void)fflush(stdout);
}

/* --- by a server -------------------------------------------------------------------------------
 */

/* One order under way at the server; ch NULL: a station has the card. */
struct errand {
    struct cli *c;
    struct remote *server;
    struct channel *ch;
    struct profile_plan plan;
    json_t *event; /* the last */
};

static enum b_code not_of_the_desk(struct b_err *err)
{
    return b_err_set(err, B_E_SERVER_GONE, 0,
                     "the server's answer is not one of the desk: are both of one version?");
}

/* Takes the next event in place of the last. */
static void turn(struct errand *e, json_t *next)
{
    json_decref(e->event);
    e->event = next;
    size_t done = (size_t)json_integer_value(json_object_get(next, "steps_done"));
    if (done > 0 && done <= e->plan.step_count)
        progress(e->c, &e->plan, done, false);
}

static json_t *order_json(const struct service_order *o, const struct channel *ch, int64_t station)
{
    char uid[2 * sizeof(channel_card(ch)->uid) + 1] = "";
    json_t *body = json_pack("{s:s}", "what", service_what_name(o->what));
    if (o->what == SERVICE_ENROL) {
        (void)json_object_set_new(body, "ref", json_string(o->ref));
        (void)json_object_set_new(body, "name", json_string(o->name));
        (void)json_object_set_new(body, "not_before", json_integer(o->not_before));
        (void)json_object_set_new(body, "not_after", json_integer(o->not_after));
        (void)json_object_set_new(body, "temporary", json_boolean(o->is_temporary));
        if (o->batch_id != 0)
            (void)json_object_set_new(body, "batch", json_integer((json_int_t)o->batch_id));
    }
    if (ch == NULL) {
        (void)json_object_set_new(body, "station", json_integer(station));
        return body;
    }
    b_hex(uid, channel_card(ch)->uid, channel_card(ch)->uid_len);
    (void)json_object_set_new(body, "uid", json_string(uid));
    return body;
}

static enum b_code show_plan(struct errand *e, struct b_err *err)
{
    json_t *next = NULL;
    if (!service_json_plan_read(json_object_get(e->event, "plan"), &e->plan))
        return not_of_the_desk(err);
    if (!approve(e->c, NULL, &e->plan)) {
        remote_desk_cancel(e->server, e->event);
        return b_err_set(err, B_E_CANCELLED, 0, "the plan was not approved");
    }
    enum b_code r = remote_desk_approve(e->server, e->event, &next, err);
    if (r == B_OK)
        turn(e, next);
    return r;
}

static enum b_code follow(struct errand *e, struct b_err *err)
{
    enum b_code r = B_OK;
    while (r == B_OK && strcmp(remote_text(e->event, "state"), "done") != 0) {
        json_t *next = NULL;
        if (cli_is_stopped(NULL)) {
            remote_desk_cancel(e->server, e->event);
            return b_err_set(err, B_E_CANCELLED, 0, "interrupted");
        }
        if (strcmp(remote_text(e->event, "state"), "plan") == 0) {
            r = show_plan(e, err);
        } else {
            r = remote_desk_step(e->server, e->ch, e->event, &next, err);
            if (r == B_OK)
                turn(e, next);
        }
    }
    return r;
}

static enum b_code take_done(struct errand *e, enum service_what what, struct service_done *ret,
                             struct b_err *err)
{
    const json_t *badge = json_object_get(e->event, "badge");
    bool is_good = true;
    *ret = (struct service_done){.badge = {.id = 0}};
    if (what == SERVICE_SCAN)
        is_good = service_json_state_read(json_object_get(e->event, "card"), &ret->state,
                                          &e->c->service.profile) &&
                  service_json_plan_read(json_object_get(e->event, "plan"), &ret->plan);
    if (is_good && (what != SERVICE_SCAN || json_is_object(badge)))
        is_good = service_json_badge_read(badge, &ret->badge);
    return is_good ? B_OK : not_of_the_desk(err);
}

static enum b_code have_done(struct cli *c, struct remote *server, struct channel *ch,
                             int64_t station, const struct service_order *order,
                             struct service_done *ret, struct b_err *err)
{
    static struct errand e;
    e = (struct errand){.c = c, .server = server, .ch = ch};
    json_t *body = order_json(order, ch, station);
    enum b_code r = remote_call(server, "POST", "/v1/desk", body, &e.event, err);
    json_decref(body);
    if (r == B_OK && ch == NULL)
        cli_say(c, CLI_PLAIN, _("Put the badge on the reader of station %lld.\n"),
                (long long)station);
    if (r == B_OK)
        r = follow(&e, err);
    if (r == B_OK)
        r = take_done(&e, order->what, ret, err);
    json_decref(e.event);
    return r;
}

/* --- whoever does it ---------------------------------------------------------------------------
 */

static bool is_torn(enum b_code r)
{
    return r == B_E_CARD_REMOVED || r == B_E_CHANNEL;
}

/* The card that the work began on. One that shows a random UID cannot be told from another: then
 * the plan of what is left is asked for again. */
static void remember_card(struct cli *c, const struct channel *ch)
{
    const struct channel_card *card = channel_card(ch);
    if (card->uid_len != 7)
        return;
    memcpy(c->awaited, card->uid, card->uid_len);
    c->awaited_len = card->uid_len;
}

/* Works on the card; when it left in the middle and --wait was given, waits for the same card and
 * goes on: the engine converges from whatever it finds. server NULL: the vault is here. */
static enum b_code on_reader(struct cli *c, struct remote *server,
                             const struct service_order *order, struct service_done *ret,
                             struct b_err *err)
{
    enum { TRIES = 20 };
    const struct service_watch watch = {.approve = approve, .progress = progress, .ctx = c};
    struct channel *ch = NULL;
    enum b_code r = B_OK;
    for (int tries = 0; r == B_OK && tries < TRIES; tries++) {
        r = cli_open_card(c, 0, &ch, err);
        if (r == B_OK)
            remember_card(c, ch);
        if (r == B_OK)
            r = server != NULL ? have_done(c, server, ch, 0, order, ret, err)
                               : service_order_run(&c->service, ch, order, &watch, ret, err);
        channel_free(&ch);
        if (!is_torn(r) || tries + 1 == TRIES || !cli_has(c, CLI_OPT_WAIT) || cli_is_stopped(NULL))
            break;
        cli_say(c, CLI_YELLOW, _("\nThe card left before the work was done. Put it back.\n"));
        if (c->awaited_len > 0)
            c->options[CLI_OPT_YES] = ""; /* the plan was approved; what is left of it is too */
        r = B_OK;
    }
    return r;
}

static enum b_code read_station(const struct cli *c, int64_t *ret, struct b_err *err)
{
    const char *text = c->options[CLI_OPT_STATION];
    char *end = NULL;
    *ret = text != NULL ? strtoll(text, &end, 10) : 0;
    if (text != NULL && (*end != '\0' || *ret <= 0))
        return b_err_set(err, B_E_USAGE, 0, _("a station is named by its number, not \"%.40s\""),
                         text);
    return B_OK;
}

enum b_code cli_at_desk(struct cli *c, const struct service_order *order, struct service_done *ret,
                        struct b_err *err)
{
    struct remote *server = NULL;
    int64_t station = 0;
    enum b_code r = read_station(c, &station, err);
    if (r != B_OK)
        return r;
    if (!cli_has(c, CLI_OPT_SERVER)) {
        if (station != 0)
            return b_err_set(err, B_E_USAGE, 0, _("--station needs --server"));
        r = cli_open(c, true, err);
        return r == B_OK ? on_reader(c, NULL, order, ret, err) : r;
    }
    if (order->others.given_count > 0 || order->others.fleet != NULL)
        return b_err_set(err, B_E_USAGE, 0,
                         _("--keys-file and --fleet work with the vault here only: keys of others "
                           "are not sent to a server"));
    r = cli_connect(c, &server, err);
    if (r == B_OK)
        r = station != 0 ? have_done(c, server, NULL, station, order, ret, err)
                         : on_reader(c, server, order, ret, err);
    remote_free(&server);
    return r;
}
