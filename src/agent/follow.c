#include "agent/follow.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 250 };

/* A thread and its connection. */
struct line {
    struct agent_follow *follow;
    pthread_t thread;
    bool is_used, is_configured;
    struct remote *remote; /* NULL: none */
    unsigned generation, failures;
    struct agent_config config;
    struct agent_home home;
};

struct agent_follow {
    struct agent_live *live;
    struct agent_local *local;
    struct agent_news news;
    atomic_bool is_stopping;
    struct line looks, acts;
};

static bool is_stopping(const struct line *n)
{
    return atomic_load(&n->follow->is_stopping);
}

/* The agent ends, or the line's configuration or certificate is not the newest. */
static bool is_cut(void *ctx)
{
    const struct line *n = ctx;
    return is_stopping(n) || agent_live_generation(n->follow->live) != n->generation;
}

/* The configuration and the certificate that hold now. */
static void renew(struct line *n)
{
    if (n->is_configured && !is_cut(n))
        return;
    n->is_configured = true;
    remote_free(&n->remote);
    n->failures = 0;
    n->generation = agent_live_get(n->follow->live, &n->config);
}

static enum b_code reach(struct line *n, struct b_err *err)
{
    if (n->remote != NULL)
        return B_OK;
    enum b_code r = agent_home_open(&n->config, &n->home, err);
    return r == B_OK ? agent_connect_long(&n->home, is_cut, n, &n->remote, err) : r;
}

/* Longer each time, and chance in it: the server comes back to all its stations at once. */
static void rest(struct line *n)
{
    unsigned most = n->config.back_off_seconds * 1000;
    unsigned ms = remote_pause_ms(++n->failures);
    remote_free(&n->remote);
    for (unsigned waited = 0; waited < (ms < most ? ms : most) && !is_cut(n); waited += 100)
        (void)usleep(100 * 1000);
}

/* --- the list ----------------------------------------------------------------------------------
 */

struct view {
    bool is_known;
    json_int_t number;
    int64_t soonest; /* when the first of the list expires; 0: never */
};

static enum b_code fetch(struct line *n, struct view *v, struct b_err *err)
{
    json_t *o = NULL;
    enum b_code r = remote_call(n->remote, "GET", "/v1/station/challenges", NULL, &o, err);
    if (r != B_OK)
        return r;
    const json_t *items = json_object_get(o, "items");
    *v =
        (struct view){.is_known = true, .number = json_integer_value(json_object_get(o, "number"))};
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_int_t at = json_integer_value(json_object_get(json_array_get(items, i), "expires_at"));
        if (v->soonest == 0 || at < v->soonest)
            v->soonest = at;
    }
    if (json_is_array(items))
        agent_local_list(n->follow->local, items, &n->follow->news);
    json_decref(o);
    return B_OK;
}

/* Until the list is another, or is to be looked at again. */
static enum b_code await(struct line *n, struct view *v, bool *ret_is_other, struct b_err *err)
{
    char path[96];
    json_t *o = NULL;
    (void)snprintf(path, sizeof(path), "/v1/station/changes?after=%lld", (long long)v->number);
    enum b_code r = remote_call(n->remote, "GET", path, NULL, &o, err);
    bool has_rung = json_integer_value(json_object_get(o, "number")) != v->number;
    *ret_is_other = has_rung || (v->soonest != 0 && v->soonest <= (int64_t)time(NULL));
    json_decref(o);
    return r;
}

static enum b_code look_once(struct line *n, struct view *v, struct b_err *err)
{
    bool is_other = true;
    enum b_code r = reach(n, err);
    if (r == B_OK && v->is_known)
        r = await(n, v, &is_other, err);
    return r == B_OK && is_other ? fetch(n, v, err) : r;
}

static void forget(struct line *n, struct view *v)
{
    v->is_known = false;
    agent_local_list(n->follow->local, NULL, &n->follow->news);
}

static void *look(void *arg)
{
    struct line *n = arg;
    struct view v = {.is_known = false};
    struct b_err err;
    while (!is_stopping(n)) {
        renew(n);
        bool is_wanted =
            n->config.hooks.tells_challenges || agent_local_is_watched(n->follow->local, LOOK_MS);
        if (!is_wanted && v.is_known)
            forget(n, &v);
        if (!is_wanted)
            continue;
        if (look_once(n, &v, &err) == B_OK) {
            n->failures = 0;
            continue;
        }
        forget(n, &v);
        rest(n);
    }
    remote_free(&n->remote);
    return NULL;
}

/* --- deeds -------------------------------------------------------------------------------------
 */

static enum b_code carry_out(struct line *n, const struct agent_deed *d, struct b_err *err)
{
    char path[96 + AGENT_CHALLENGE_MAX];
    json_t *nothing = json_object();
    const char *verb = d->ask == AGENT_CHOOSE ? "choose" : "refuse";
    if (d->ask == AGENT_LEAVE)
        (void)snprintf(path, sizeof(path), "/v1/station/leave");
    else
        (void)snprintf(path, sizeof(path), "/v1/station/challenges/%s/%s", d->challenge, verb);
    enum b_code r = reach(n, err);
    if (r == B_OK)
        r = remote_call(n->remote, "POST", path, nothing, NULL, err);
    json_decref(nothing);
    return r;
}

/* Not faster than people choose: it counts as the station's at the server, as its taps do. */
static void *act(void *arg)
{
    enum { PAUSE_MS = 100 };
    struct line *n = arg;
    struct agent_deed d;
    struct b_err err;
    while (!is_stopping(n)) {
        if (!agent_local_deed(n->follow->local, LOOK_MS, &d))
            continue;
        renew(n);
        enum b_code r = carry_out(n, &d, &err);
        const char *sentence = r != B_OK && n->remote != NULL ? remote_sentence(n->remote) : "";
        agent_local_done(n->follow->local, &d, r, sentence);
        if (r == B_E_SERVER_GONE)
            remote_free(&n->remote);
        (void)usleep(PAUSE_MS * 1000);
    }
    remote_free(&n->remote);
    return NULL;
}

/* --- from start to end -------------------------------------------------------------------------
 */

enum b_code agent_follow_start(struct agent_live *live, struct agent_local *l,
                               const struct agent_news *news, struct agent_follow **ret,
                               struct b_err *err)
{
    struct agent_follow *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "following what waits for a tap");
    f->live = live;
    f->local = l;
    f->news = *news;
    f->looks.follow = f->acts.follow = f;
    f->looks.is_used = pthread_create(&f->looks.thread, NULL, look, &f->looks) == 0;
    f->acts.is_used = pthread_create(&f->acts.thread, NULL, act, &f->acts) == 0;
    if (f->looks.is_used && f->acts.is_used) {
        *ret = f;
        return B_OK;
    }
    agent_follow_stop(&f);
    return b_err_set(err, B_E_SYSTEM, 0, "starting a thread");
}

void agent_follow_stop(struct agent_follow **pf)
{
    struct agent_follow *f = *pf;
    *pf = NULL;
    if (f == NULL)
        return;
    atomic_store(&f->is_stopping, true);
    if (f->looks.is_used)
        (void)pthread_join(f->looks.thread, NULL);
    if (f->acts.is_used)
        (void)pthread_join(f->acts.thread, NULL);
    free(f);
}
