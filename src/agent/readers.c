/*
 * Every reader has a thread and a connection of its own: a card that is slow, or a person who
 * leaves it there, holds nobody else up. Readers come and go; the reader service and the server
 * too.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/local.h"

enum { READERS = 16, LOOK_MS = 300, REMOVED_MS = 400 };

struct run;

struct reader {
    char name[128];
    bool is_used, has_ended;
    pthread_t thread;
    struct run *run;
    struct agent_config config; /* as of this generation; of the reader's thread */
    unsigned generation;
    struct agent_home home;
};

struct run {
    struct agent_live *live;
    const struct agent_watch *watch;
    unsigned taps_left; /* 0: without end */
    bool is_over;
    pthread_mutex_t lock;
    struct reader readers[READERS];
};

static bool is_stopped(void *ctx)
{
    struct run *run = ctx;
    (void)pthread_mutex_lock(&run->lock);
    bool is = run->is_over;
    (void)pthread_mutex_unlock(&run->lock);
    return is || (run->watch->is_stopped != NULL && run->watch->is_stopped(run->watch->ctx));
}

/* To be asked where a reader waits: it ends, or has a new configuration to take up. */
static bool is_interrupted(void *ctx)
{
    struct reader *me = ctx;
    return is_stopped(me->run) || agent_live_generation(me->run->live) != me->generation;
}

static void tell(struct run *run, const char *line)
{
    (void)pthread_mutex_lock(&run->lock);
    if (run->watch->status != NULL)
        run->watch->status(run->watch->ctx, line);
    (void)pthread_mutex_unlock(&run->lock);
}

static void tell_outcome(struct run *run, const struct agent_self *self, const char *reader,
                         const struct agent_outcome *o)
{
    (void)pthread_mutex_lock(&run->lock);
    run->watch->outcome(run->watch->ctx, self, reader, o);
    if (run->taps_left > 0 && --run->taps_left == 0)
        run->is_over = true;
    (void)pthread_mutex_unlock(&run->lock);
}

static void tell_lifted(struct run *run, const struct agent_self *self, const char *reader,
                        struct agent_outcome *o)
{
    (void)pthread_mutex_lock(&run->lock);
    if (run->watch->lifted != NULL && !o->is_desk)
        run->watch->lifted(run->watch->ctx, self, reader, o);
    (void)pthread_mutex_unlock(&run->lock);
}

static void rest(bool (*is_over)(void *ctx), void *ctx, unsigned ms)
{
    for (unsigned waited = 0; waited < ms && !is_over(ctx); waited += 100)
        (void)usleep(100 * 1000);
}

/* The keys of assertions, for programs on the socket. Without them those can verify nothing, and
 * say so; taps go on. */
static void learn_keys(const struct run *run, struct remote *r)
{
    json_t *set = NULL;
    struct b_err ignored;
    if (remote_call(r, "GET", "/v1/jwks", NULL, &set, &ignored) == B_OK)
        agent_local_keys(run->watch->local, set);
    json_decref(set);
}

/* Connects, however long it takes, and learns what this station is. NULL: interrupted. */
static struct remote *reach_server(struct reader *me, struct agent_self *self)
{
    struct run *run = me->run;
    struct remote *r = NULL;
    struct b_err err;
    char line[AGENT_TEXT_MAX + 64];
    unsigned most_ms = me->config.back_off_seconds * 1000;
    for (unsigned n = 1; !is_interrupted(me); n++) {
        enum b_code code = r == NULL ? agent_connect(&me->home, &r, &err) : B_OK;
        if (code == B_OK)
            code = agent_self(r, self, &err);
        if (code == B_OK) {
            (void)snprintf(line, sizeof(line), "%s: ready", self->name);
            tell(run, line);
            learn_keys(run, r);
            agent_local_server(run->watch->local, self->name, true);
            return r;
        }
        (void)snprintf(line, sizeof(line), "%s (%.160s); trying again", b_code_text(code), err.msg);
        tell(run, line);
        agent_local_server(run->watch->local, NULL, false);
        unsigned pause_ms = remote_pause_ms(n);
        rest(is_interrupted, me, pause_ms < most_ms ? pause_ms : most_ms);
    }
    remote_free(&r);
    return NULL;
}

/* The same card is not a second tap. */
static void wait_removed(struct run *run, struct channel *ch)
{
    struct b_err ignored;
    enum b_code r = B_E_CANCELLED;
    while (r == B_E_CANCELLED && !is_stopped(run))
        r = channel_pcsc_wait_removed(ch, REMOVED_MS, &ignored);
}

/* The former certificate ends with the first use of the new one: every reader connects again. */
static void renew(struct reader *me, struct remote *r)
{
    bool is_new = false;
    struct b_err err;
    if (agent_renew(&me->home, r, &is_new, &err) != B_OK)
        tell(me->run, err.msg);
    if (is_new)
        agent_live_again(me->run->live);
}

/* The configuration that holds now, and a connection by it. NULL: interrupted. */
static struct remote *begin(struct reader *me, struct agent_self *self)
{
    struct b_err err;
    me->generation = agent_live_get(me->run->live, &me->config);
    if (agent_home_open(&me->config, &me->home, &err) == B_OK)
        return reach_server(me, self);
    tell(me->run, err.msg);
    rest(is_interrupted, me, me->config.back_off_seconds * 1000);
    return NULL;
}

static void say_at_reader(void *ctx, const char *sentence)
{
    tell(ctx, sentence);
}

/* One card, from its coming to the end of its work. Returns the tap's code. */
static enum b_code serve_card(struct reader *me, struct remote *r, const struct agent_self *self,
                              struct channel *ch, struct agent_outcome *outcome)
{
    const struct agent_watch *watch = me->run->watch;
    const struct agent_say say = {say_at_reader, me->run};
    struct agent_turn turn;
    struct b_err err;
    agent_turn_begin(watch->local, me->name, &watch->pin, &turn);
    const struct agent_wish wish = {.challenge = turn.challenge,
                                    .reader = me->name,
                                    .offer = agent_local_offered,
                                    .ctx = watch->local};
    if (agent_tap(r, self, ch, wish, &turn.pin, outcome, &err) != B_OK)
        (void)!agent_desk(r, ch, outcome, &err);
    if (agent_takeover(r, ch, &say, outcome))
        (void)!agent_tap(r, self, ch, wish, &turn.pin, outcome, &err);
    enum b_code code = outcome->code;
    outcome->is_waited_for = turn.wait != 0 || outcome->is_answer;
    agent_turn_end(&turn, me->name, outcome);
    tell_outcome(me->run, self, me->name, outcome);
    if (code == B_OK)
        agent_rekey(r, ch, outcome);
    return code;
}

static void *serve(void *arg)
{
    enum { RENEW_EVERY_S = 3600 };
    static _Thread_local struct agent_outcome outcome;
    struct reader *me = arg;
    struct run *run = me->run;
    struct agent_self self = {.key_no = 0};
    struct b_err err;
    time_t renewed = 0;
    struct remote *r = NULL;
    const struct channel_pcsc_wanted wanted = {
        .reader = me->name, .wait_ms = -1, .is_stopped = is_interrupted, .ctx = me};
    agent_local_reader(run->watch->local, me->name, true);
    while (!is_stopped(run)) {
        struct channel *ch = NULL;
        if (r == NULL || is_interrupted(me)) {
            remote_free(&r);
            r = begin(me, &self);
            if (!agent_config_has_reader(&me->config, me->name))
                break;
            continue;
        }
        if (time(NULL) - renewed > RENEW_EVERY_S) {
            renew(me, r);
            learn_keys(run, r);
            renewed = time(NULL);
            continue;
        }
        enum b_code code = channel_pcsc_open(&wanted, &ch, &err);
        if (code == B_E_NO_READER || code == B_E_PCSC_DOWN)
            break; /* the reader is gone; it is taken up again when it is back */
        if (code != B_OK) {
            rest(is_interrupted, me, LOOK_MS);
            continue;
        }
        enum b_code served = serve_card(me, r, &self, ch, &outcome);
        if (served == B_E_SERVER_GONE)
            remote_free(&r);
        wait_removed(run, ch);
        if (served == B_OK)
            tell_lifted(run, &self, me->name, &outcome);
        channel_free(&ch);
    }
    remote_free(&r);
    agent_local_reader(run->watch->local, me->name, false);
    (void)pthread_mutex_lock(&run->lock);
    me->has_ended = true;
    (void)pthread_mutex_unlock(&run->lock);
    return NULL;
}

/* A thread for a reader that has none. */
static void take_up(struct run *run, const struct channel_reader *found)
{
    const char *name = found->name;
    struct reader *free_one = NULL;
    for (size_t i = 0; i < READERS; i++) {
        struct reader *k = &run->readers[i];
        if (k->is_used && strcmp(k->name, name) == 0)
            return;
        if (!k->is_used && free_one == NULL)
            free_one = k;
    }
    if (free_one == NULL)
        return;
    memset(free_one, 0, sizeof(*free_one));
    free_one->is_used = true;
    free_one->run = run;
    free_one->generation = agent_live_generation(run->live);
    static_assert(sizeof(free_one->name) == sizeof(found->name), "one length of a reader's name");
    memcpy(free_one->name, name, sizeof(free_one->name));
    if (pthread_create(&free_one->thread, NULL, serve, free_one) != 0)
        free_one->is_used = false;
}

static void reap(struct run *run, bool all)
{
    for (size_t i = 0; i < READERS; i++) {
        struct reader *k = &run->readers[i];
        (void)pthread_mutex_lock(&run->lock);
        bool may = k->is_used && (all || k->has_ended);
        (void)pthread_mutex_unlock(&run->lock);
        if (!may)
            continue;
        (void)pthread_join(k->thread, NULL);
        k->is_used = false;
    }
}

enum b_code agent_run(struct agent_live *live, const struct agent_watch *watch, unsigned taps,
                      struct b_err *err)
{
    struct run *run = calloc(1, sizeof(*run));
    if (run == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "serving the readers");
    run->live = live;
    run->watch = watch;
    run->taps_left = taps;
    b_check(pthread_mutex_init(&run->lock, NULL) == 0);
    enum b_code told = B_OK;
    while (!is_stopped(run)) {
        static struct channel_reader found[READERS];
        static struct agent_config config;
        (void)agent_live_get(live, &config);
        size_t count = 0;
        struct b_err trouble;
        enum b_code r = channel_pcsc_list(found, READERS, &count, &trouble);
        if (r == B_OK && count == 0)
            r = b_err_set(&trouble, B_E_NO_READER, 0, "no reader");
        if (r != told && r != B_OK)
            tell(run, b_code_text(r));
        told = r;
        for (size_t i = 0; r == B_OK && i < count; i++)
            if (agent_config_has_reader(&config, found[i].name))
                take_up(run, &found[i]);
        reap(run, false);
        if (run->watch->alive != NULL)
            run->watch->alive(run->watch->ctx);
        rest(is_stopped, run, LOOK_MS);
    }
    agent_local_end(watch->local);
    reap(run, true);
    (void)pthread_mutex_destroy(&run->lock);
    free(run);
    return B_OK;
}
