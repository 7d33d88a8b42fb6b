#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "events/events.h"

enum {
    FLIGHTS = 32, /* at once, one of each subscriber */
    /* of these, so that clients who hang leave each subscriber its own */
    LOGOUT_FLIGHTS = FLIGHTS - EVENTS_SUBSCRIBERS_MAX,
    LOOK_MS = 250,
    HOLD_MS = 5000, /* after an outcome that could not be written */
    PAUSE_MOST_S = 3600,
    ATTEMPTS = 80,        /* some two days */
    CLIENT_ATTEMPTS = 12, /* some half an hour: a session does not live for days */
};

struct flight {
    bool is_used, is_begun;
    struct store_letter letter;
};

/* A thread with all that it needs. What the token signs has one of its own: a token that is slow or
 * hangs holds up no letter that goes without it. */
struct lane {
    bool signs;
    struct service service;
    struct store *store;
    struct events_signer signer;
    struct remote_posts *posts;
    pthread_t thread;
    bool is_threaded;
    atomic_bool is_stopping;
    pthread_mutex_t lock;
    struct events_config *next;  /* to be taken up; the lock is for this, and for what posts is */
    struct events_config config; /* of the thread */
    struct flight flights[FLIGHTS];
    uint64_t hold_until_ms, forget_at_ms;
    enum b_code told; /* the last failure that was said */
    atomic_uint_least64_t delivered, failed, dead;
};
struct events_deliverer {
    struct lane lanes[EVENTS_LANES];
};

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

unsigned events_pause_s(unsigned n)
{
    uint32_t chance = 0;
    unsigned most = n < 12 ? 1u << n : PAUSE_MOST_S;
    most = most < PAUSE_MOST_S ? most : PAUSE_MOST_S;
    crypto_random(&chance, sizeof(chance));
    return most - (most > 1 ? chance % (most / 2) : 0);
}

/* Says a trouble once, until there is another. */
static void say(struct lane *d, enum b_code r, const char *what, const struct b_err *err)
{
    if (r != B_OK && r != d->told)
        (void)fprintf(stderr, "tessered: %s: %s\n", what, err->msg);
    d->told = r;
}

static bool is_logout(const struct store_letter *l)
{
    return strcmp(l->kind, SERVICE_LETTER_LOGOUT) == 0;
}

/* --- what became of a letter -------------------------------------------------------------------
 */

static bool is_of_client(const struct store_letter *l)
{
    return strncmp(l->subscriber, SERVICE_LETTER_CLIENT, sizeof(SERVICE_LETTER_CLIENT) - 1) == 0;
}

static unsigned attempts_of(const struct lane *d, const struct store_letter *l)
{
    unsigned most = d->config.attempts != 0 ? d->config.attempts : ATTEMPTS;
    if (is_of_client(l) && most > CLIENT_ATTEMPTS)
        most = CLIENT_ATTEMPTS;
    return most;
}

/* Where the outcome cannot be written, the letter waits as it was and goes again by the same name;
 * nothing goes for a while, so that a full disk is no flood of repetitions. */
static void write_outcome(struct lane *d, struct store_letter *l, enum events_verdict verdict)
{
    struct b_err err = {0};
    l->attempts++;
    l->state = verdict == EVENTS_TAKEN ? STORE_LETTER_DELIVERED : STORE_LETTER_WAITING;
    if (verdict == EVENTS_REFUSED || (verdict == EVENTS_AGAIN && l->attempts >= attempts_of(d, l)))
        l->state = STORE_LETTER_DEAD;
    l->next_at =
        (int64_t)time(NULL) + (verdict == EVENTS_AGAIN ? events_pause_s(l->attempts - 1) : 0);
    enum b_code r = service_outbox_told(&d->service, l, &err);
    say(d, r, "what became of a letter cannot be written", &err);
    if (r != B_OK) {
        d->hold_until_ms = now_ms() + HOLD_MS;
        return;
    }
    atomic_fetch_add(verdict == EVENTS_TAKEN ? &d->delivered : &d->failed, 1);
    atomic_fetch_add(&d->dead, l->state == STORE_LETTER_DEAD ? 1 : 0);
}

static void conclude(struct lane *d, const struct remote_posted *answer)
{
    struct flight *f = &d->flights[answer->tag];
    enum events_verdict verdict =
        events_judge(f->letter.kind, answer, f->letter.error, sizeof(f->letter.error));
    write_outcome(d, &f->letter, verdict);
    *f = (struct flight){.is_used = false};
}

/* --- the next of each subscriber ---------------------------------------------------------------
 */

/* A time far away is one that a wrong clock has written. */
static bool is_due(const struct store_letter *l, int64_t now)
{
    return l->next_at <= now || l->next_at > now + PAUSE_MOST_S;
}

static bool is_known(const struct lane *d, const struct store_letter *l)
{
    return is_of_client(l) || events_subscriber_named(&d->config, l->subscriber) != NULL;
}

/* By the letter's kind alone, so that no letter is in both lanes. */
static bool is_signed(const struct store_letter *l)
{
    const struct service_event *event = service_event_named(l->kind);
    return is_logout(l) || (event != NULL && event->form == SERVICE_EVENT_CAEP);
}

static bool pick(void *ctx, const struct store_letter *l)
{
    struct lane *d = ctx;
    struct flight *free_one = NULL;
    unsigned logouts = 0;
    for (size_t i = 0; i < FLIGHTS; i++) {
        struct flight *f = &d->flights[i];
        if (f->is_used && strcmp(f->letter.subscriber, l->subscriber) == 0)
            return true;
        if (!f->is_used)
            free_one = f;
        else
            logouts += is_logout(&f->letter);
    }
    if (free_one == NULL)
        return false;
    if (is_logout(l) && logouts == LOGOUT_FLIGHTS)
        return true;
    if (is_due(l, (int64_t)time(NULL)) && is_known(d, l) && is_signed(l) == d->signs)
        *free_one = (struct flight){.is_used = true, .letter = *l};
    return true;
}

/* The staff id of the holder whom the letter is about, where the subscriber may have it. */
static enum b_code find_staff_id(struct lane *d, const struct events_subscriber *s,
                                 const struct store_letter *l, struct store_holder *ret,
                                 struct b_err *err)
{
    ret->ref[0] = '\0';
    if (s == NULL || !s->tells_staff_id)
        return B_OK;
    int64_t id = events_holder_of(l);
    enum b_code r = id != 0 ? store_holder_by_id(d->store, id, ret, err) : B_OK;
    return r == B_E_NOT_FOUND ? B_OK : r;
}

static void begin(struct lane *d, size_t at)
{
    struct store_letter *l = &d->flights[at].letter;
    static _Thread_local char body[EVENTS_BODY_MAX];
    static _Thread_local struct remote_post post;
    struct store_holder holder = {.id = 0};
    struct b_err err = {0};
    const struct events_subscriber *s = events_subscriber_named(&d->config, l->subscriber);
    const struct events_form f = {.config = &d->config,
                                  .subscriber = s,
                                  .signer = &d->signer,
                                  .staff_id = holder.ref,
                                  .now = (int64_t)time(NULL)};
    d->flights[at].is_begun = true;
    enum b_code r = find_staff_id(d, s, l, &holder, &err);
    if (r == B_OK)
        r = events_form(&f, l, body, &post, &err);
    post.tag = at;
    if (r == B_OK)
        r = remote_posts_add(d->posts, &post, &err);
    if (r == B_OK)
        return;
    size_t n = b_text_fit(err.msg, sizeof(l->error) - 1);
    memcpy(l->error, err.msg, n);
    l->error[n] = '\0';
    write_outcome(d, l, r == B_E_CONFIG ? EVENTS_REFUSED : EVENTS_AGAIN);
    d->flights[at] = (struct flight){.is_used = false};
}

static void begin_due(struct lane *d)
{
    struct b_err err = {0};
    enum b_code r = store_letter_heads(d->store, pick, d, &err);
    if (r != B_OK)
        say(d, r, "the outbox cannot be read", &err);
    for (size_t i = 0; i < FLIGHTS; i++)
        if (d->flights[i].is_used && !d->flights[i].is_begun)
            begin(d, i);
}

/* --- the thread --------------------------------------------------------------------------------
 */

/* Connections that were made by the former one end: its certificates may be trusted no more. What
 * is cut goes again at once, by the same name. */
static void take_config(struct lane *d)
{
    (void)pthread_mutex_lock(&d->lock);
    struct events_config *next = d->next;
    d->next = NULL;
    if (next != NULL) {
        remote_posts_free(&d->posts);
        d->posts = remote_posts_new();
        b_check(d->posts != NULL);
    }
    (void)pthread_mutex_unlock(&d->lock);
    if (next == NULL)
        return;
    memset(d->flights, 0, sizeof(d->flights));
    d->config = *next;
    b_wipe(next, sizeof(*next));
    free(next);
}

/* Every ten minutes, by one of the lanes. */
static void forget(struct lane *d)
{
    enum { EACH_MS = 600 * 1000 };
    struct b_err ignored;
    if (d->signs || now_ms() < d->forget_at_ms)
        return;
    d->forget_at_ms = now_ms() + EACH_MS;
    (void)!service_outbox_forget(&d->service, &ignored);
}

static void *deliver_all(void *arg)
{
    struct lane *d = arg;
    static _Thread_local struct remote_posted answer;
    while (!atomic_load(&d->is_stopping)) {
        take_config(d);
        forget(d);
        if (now_ms() >= d->hold_until_ms)
            begin_due(d);
        remote_posts_wait(d->posts, LOOK_MS);
        while (remote_posts_take(d->posts, &answer))
            conclude(d, &answer);
    }
    return NULL;
}

static enum b_code begin_lane(struct lane *d, struct b_err *err)
{
    d->posts = remote_posts_new();
    d->is_threaded = d->posts != NULL && pthread_create(&d->thread, NULL, deliver_all, d) == 0;
    return d->is_threaded ? B_OK
                          : b_err_set(err, B_E_SYSTEM, 0, "starting the thread of deliveries");
}

enum b_code events_deliverer_start(const struct service *sv,
                                   struct store *stores[static EVENTS_LANES],
                                   struct events_signer signer, const struct events_config *c,
                                   struct events_deliverer **ret, struct b_err *err)
{
    struct events_deliverer *all = calloc(1, sizeof(*all));
    enum b_code r = B_OK;
    for (size_t i = 0; all == NULL && i < EVENTS_LANES; i++)
        store_free(&stores[i]);
    if (all == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "starting deliveries");
    for (size_t i = 0; i < EVENTS_LANES; i++) {
        struct lane *d = &all->lanes[i];
        d->signs = i == 1;
        d->service = *sv;
        d->service.store = stores[i];
        d->service.asker = (struct service_asker){.actor = "server", .request = ""};
        d->store = stores[i];
        d->signer = signer;
        d->config = *c;
        b_check(pthread_mutex_init(&d->lock, NULL) == 0);
    }
    for (size_t i = 0; r == B_OK && i < EVENTS_LANES; i++)
        r = begin_lane(&all->lanes[i], err);
    if (r == B_OK)
        *ret = all;
    else
        events_deliverer_stop(&all);
    return r;
}

static void set_lane(struct lane *d, const struct events_config *c)
{
    struct events_config *next = calloc(1, sizeof(*next));
    b_check(next != NULL);
    *next = *c;
    (void)pthread_mutex_lock(&d->lock);
    struct events_config *former = d->next;
    d->next = next;
    remote_posts_wake(d->posts);
    (void)pthread_mutex_unlock(&d->lock);
    if (former != NULL)
        b_wipe(former, sizeof(*former));
    free(former);
}

void events_deliverer_set(struct events_deliverer *d, const struct events_config *c)
{
    for (size_t i = 0; i < EVENTS_LANES; i++)
        set_lane(&d->lanes[i], c);
}

static void stop_lane(struct lane *d)
{
    atomic_store(&d->is_stopping, true);
    if (d->is_threaded) {
        (void)pthread_mutex_lock(&d->lock);
        remote_posts_wake(d->posts);
        (void)pthread_mutex_unlock(&d->lock);
        (void)pthread_join(d->thread, NULL);
    }
    take_config(d);
    remote_posts_free(&d->posts);
    store_free(&d->store);
    b_wipe(&d->config, sizeof(d->config));
    (void)pthread_mutex_destroy(&d->lock);
}

void events_deliverer_stop(struct events_deliverer **pd)
{
    struct events_deliverer *d = *pd;
    *pd = NULL;
    for (size_t i = 0; d != NULL && i < EVENTS_LANES; i++)
        stop_lane(&d->lanes[i]);
    free(d);
}

struct events_counts events_counted(const struct events_deliverer *d)
{
    struct events_counts all = {0};
    for (size_t i = 0; d != NULL && i < EVENTS_LANES; i++) {
        all.delivered += atomic_load(&d->lanes[i].delivered);
        all.failed += atomic_load(&d->lanes[i].failed);
        all.dead += atomic_load(&d->lanes[i].dead);
    }
    return all;
}
