#include "service/desk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "service/kept.h"
#include "service/relay.h"

struct job {
    char name[SERVICE_DESK_NAME]; /* "": a free place */
    struct service_desk *desk;
    struct service_order order;
    struct service_kept *others; /* of a takeover at a tap */
    int64_t person, station;
    time_t deadline; /* of a wait for a card; of an outcome that is kept */
    pthread_t thread;
    bool is_started, is_cancelled;
    struct service sv;
    char actor[32];
    struct channel_card card;
    struct service_desk_event event;
    uint8_t steps_done;
    bool is_answered, has_plan, is_approved;
    bool is_told; /* somebody had its outcome */
    struct service_desk_answers answers;
    struct service_desk_frames ahead; /* sent before they were asked for, with their answers */
    struct service_desk_answers ahead_answers;
    struct b_err err;
};

/* One lock: nothing is done under it but copying. `changed` tells callers and threads alike. */
struct service_desk {
    char *store_path;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping;
    struct service_kept *others; /* NULL: nothing is taken over at taps */
    struct job jobs[SERVICE_DESK_ORDERS];
};

const char *service_desk_state_name(enum service_desk_state st)
{
    static const char *const names[] = {"waiting", "working", "frames", "plan", "done", "failed"};
    return names[st];
}

static time_t now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static struct timespec moment_in(int64_t ms)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + ms % 1000 * 1000000;
    t.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

struct service_desk *service_desk_new(const char *store_path)
{
    struct service_desk *d = calloc(1, sizeof(*d));
    pthread_condattr_t steady;
    if (d == NULL || (d->store_path = strdup(store_path)) == NULL) {
        free(d);
        return NULL;
    }
    b_check(pthread_mutex_init(&d->lock, NULL) == 0 && pthread_condattr_init(&steady) == 0 &&
            pthread_condattr_setclock(&steady, CLOCK_MONOTONIC) == 0 &&
            pthread_cond_init(&d->changed, &steady) == 0);
    (void)pthread_condattr_destroy(&steady);
    return d;
}

enum b_code service_desk_others(struct service_desk *d, const struct service_others *others,
                                struct b_err *err)
{
    struct service_kept *next = NULL;
    if (others != NULL && (next = service_kept_new(others)) == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "keeping keys of others");
    (void)pthread_mutex_lock(&d->lock);
    service_kept_drop(&d->others);
    d->others = next;
    (void)pthread_mutex_unlock(&d->lock);
    return B_OK;
}

void service_desk_stop(struct service_desk *d)
{
    if (d == NULL)
        return;
    (void)pthread_mutex_lock(&d->lock);
    d->is_stopping = true;
    (void)pthread_cond_broadcast(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
}

void service_desk_free(struct service_desk **d)
{
    if (*d == NULL)
        return;
    service_desk_stop(*d);
    for (size_t i = 0; i < SERVICE_DESK_ORDERS; i++)
        if ((*d)->jobs[i].is_started)
            (void)pthread_join((*d)->jobs[i].thread, NULL);
    service_kept_drop(&(*d)->others);
    (void)pthread_cond_destroy(&(*d)->changed);
    (void)pthread_mutex_destroy(&(*d)->lock);
    free((*d)->store_path);
    free(*d);
    *d = NULL;
}

/* --- in the order's thread ---------------------------------------------------------------------
 */

static void publish(struct job *j, enum service_desk_state st)
{
    j->event.state = st;
    j->event.step++;
    (void)pthread_cond_broadcast(&j->desk->changed);
}

/* Waits, with the lock, until *is_set; false when the time is over or the order is ended. */
static bool wait_for(struct job *j, const bool *is_set, int seconds)
{
    struct timespec end = moment_in((int64_t)seconds * 1000);
    int r = 0;
    while (!*is_set && !j->is_cancelled && !j->desk->is_stopping && r == 0)
        r = pthread_cond_timedwait(&j->desk->changed, &j->desk->lock, &end);
    return *is_set && !j->is_cancelled && !j->desk->is_stopping;
}

/* What always follows a command whatever the card answers, so that it can go in the same message:
 * the two other frames of GetVersion. */
static void look_ahead(struct service_desk_frames *f)
{
    static const uint8_t version[5] = {0x90, 0x60, 0, 0, 0};
    static const uint8_t more[5] = {0x90, 0xAF, 0, 0, 0};
    if (f->len[0] != sizeof(version) || memcmp(f->bytes[0], version, sizeof(version)) != 0)
        return;
    for (f->count = 1; f->count < SERVICE_DESK_FRAMES; f->count++) {
        memcpy(f->bytes[f->count], more, sizeof(more));
        f->len[f->count] = sizeof(more);
    }
}

/* The answer to a frame that went ahead; false when this is not one. */
static bool take_ahead(struct job *j, struct b_rd capdu, struct b_wr *rapdu)
{
    struct service_desk_frames *f = &j->ahead;
    struct service_desk_answers *a = &j->ahead_answers;
    bool is_it = f->count > 0 && a->count > 0 && capdu.left == f->len[0] &&
                 memcmp(capdu.p, f->bytes[0], capdu.left) == 0;
    if (!is_it) {
        f->count = a->count = 0; /* the card was asked something else than we thought */
        return false;
    }
    b_wr_bytes(rapdu, a->bytes[0], a->len[0]);
    f->count--;
    a->count--;
    memmove(f->bytes[0], f->bytes[1], f->count * sizeof(f->bytes[0]));
    memmove(&f->len[0], &f->len[1], f->count * sizeof(f->len[0]));
    memmove(a->bytes[0], a->bytes[1], a->count * sizeof(a->bytes[0]));
    memmove(&a->len[0], &a->len[1], a->count * sizeof(a->len[0]));
    return true;
}

static void keep_ahead(struct job *j)
{
    const struct service_desk_frames *f = &j->event.frames;
    const struct service_desk_answers *a = &j->answers;
    j->ahead.count = j->ahead_answers.count = 0;
    for (uint8_t i = 1; i < f->count && i < a->count; i++) {
        uint8_t to = j->ahead.count++;
        memcpy(j->ahead.bytes[to], f->bytes[i], f->len[i]);
        j->ahead.len[to] = f->len[i];
        memcpy(j->ahead_answers.bytes[to], a->bytes[i], a->len[i]);
        j->ahead_answers.len[to] = a->len[i];
    }
    j->ahead_answers.count = j->ahead.count;
}

static bool on_apdu(void *ctx, struct b_rd capdu, struct b_wr *rapdu)
{
    struct job *j = ctx;
    struct service_desk_frames *f = &j->event.frames;
    if (take_ahead(j, capdu, rapdu))
        return true;
    (void)pthread_mutex_lock(&j->desk->lock);
    b_check(capdu.left <= sizeof(f->bytes[0]));
    memcpy(f->bytes[0], capdu.p, capdu.left);
    f->len[0] = (uint16_t)capdu.left;
    f->count = 1;
    look_ahead(f);
    j->is_answered = false;
    publish(j, SERVICE_DESK_FRAMES_OUT);
    bool is_there = wait_for(j, &j->is_answered, SERVICE_DESK_CARD_SECONDS);
    f->resets = false;
    j->event.state = SERVICE_DESK_WORKS;
    is_there = is_there && !j->answers.is_gone && j->answers.count > 0;
    if (is_there) {
        b_wr_bytes(rapdu, j->answers.bytes[0], j->answers.len[0]);
        keep_ahead(j);
    }
    (void)pthread_mutex_unlock(&j->desk->lock);
    return is_there;
}

static void on_power(void *ctx)
{
    struct job *j = ctx;
    j->ahead.count = j->ahead_answers.count = 0;
    (void)pthread_mutex_lock(&j->desk->lock);
    j->event.frames.resets = true;
    (void)pthread_mutex_unlock(&j->desk->lock);
}

static bool on_plan(void *ctx, const struct profile_state *state, const struct profile_plan *plan)
{
    struct job *j = ctx;
    (void)pthread_mutex_lock(&j->desk->lock);
    j->event.done.state = *state;
    j->event.done.plan = *plan;
    j->has_plan = true;
    j->is_approved = false;
    publish(j, SERVICE_DESK_PLAN);
    bool is_good = wait_for(j, &j->is_approved, SERVICE_DESK_PERSON_SECONDS);
    j->event.state = SERVICE_DESK_WORKS;
    (void)pthread_mutex_unlock(&j->desk->lock);
    return is_good;
}

static void on_progress(void *ctx, const struct profile_plan *plan, size_t step, bool is_done)
{
    struct job *j = ctx;
    (void)plan;
    (void)pthread_mutex_lock(&j->desk->lock);
    j->event.steps_done = (uint8_t)(step + (is_done ? 1 : 0));
    (void)pthread_mutex_unlock(&j->desk->lock);
}

static void *run(void *ctx)
{
    struct job *j = ctx;
    static const struct channel_card_ops ops = {on_apdu, on_power};
    const struct service_watch watch = {j->person != 0 ? on_plan : NULL, on_progress, j};
    struct channel *ch = NULL;
    struct b_err err = {0};
    struct service_done *done = calloc(1, sizeof(*done));
    enum b_code r = done != NULL ? store_open(j->desk->store_path, false, &j->sv.store, &err)
                                 : b_err_set(&err, B_E_NO_MEMORY, 0, "an order of the desk");
    if (r == B_OK && (r = channel_card_new(&ops, j, &j->card, &ch)) != B_OK)
        (void)b_err_set(&err, r, 0, "an order of the desk");
    if (r == B_OK)
        r = service_order_run(&j->sv, ch, &j->order, &watch, done, &err);
    channel_free(&ch);
    store_free(&j->sv.store);
    (void)pthread_mutex_lock(&j->desk->lock);
    service_kept_drop(&j->others);
    if (r == B_OK)
        j->event.done = *done;
    j->err = err;
    j->deadline =
        now_s() + (j->person != 0 ? SERVICE_DESK_KEEP_SECONDS : SERVICE_DESK_REKEY_KEEP_SECONDS);
    publish(j, r == B_OK ? SERVICE_DESK_DONE : SERVICE_DESK_FAILED);
    (void)pthread_mutex_unlock(&j->desk->lock);
    free(done);
    return NULL;
}

/* --- for callers -------------------------------------------------------------------------------
 */

static bool is_over(const struct job *j)
{
    return j->event.state == SERVICE_DESK_DONE || j->event.state == SERVICE_DESK_FAILED;
}

/* Frees the places of orders whose outcome nobody asks for any more, and of those that no card
 * came for. */
static void sweep(struct service_desk *d)
{
    time_t now = now_s();
    for (size_t i = 0; i < SERVICE_DESK_ORDERS; i++) {
        struct job *j = &d->jobs[i];
        bool is_waiting = j->event.state == SERVICE_DESK_WAITS;
        if (j->name[0] == '\0' || !(is_over(j) || is_waiting) || now < j->deadline)
            continue;
        if (j->is_started)
            (void)pthread_join(j->thread, NULL); /* it has published its last word */
        *j = (struct job){.station = 0};
    }
}

static bool is_reader(const struct job *j, struct service_desk_caller who)
{
    return j->station != 0 ? who.station == j->station : who.person != 0 && who.person == j->person;
}

static bool is_owner(const struct job *j, struct service_desk_caller who)
{
    return who.person != 0 && who.person == j->person;
}

/* With the lock. Somebody else's order is as good as none. */
static enum b_code find(struct service_desk *d, struct service_desk_caller who, const char *name,
                        struct job **ret, struct b_err *err)
{
    sweep(d);
    for (size_t i = 0; i < SERVICE_DESK_ORDERS; i++) {
        struct job *j = &d->jobs[i];
        if (j->name[0] == '\0' || strcmp(j->name, name) != 0)
            continue;
        if (!is_reader(j, who) && !is_owner(j, who))
            break;
        *ret = j;
        return B_OK;
    }
    (void)b_err_set(err, B_E_NOT_FOUND, 0, "no order of this name, or it is over");
    return B_E_NOT_FOUND; /* a constant: gcc's analyzer cannot see through b_err_set */
}

static enum b_code start(struct job *j, const struct channel_card *card, struct b_err *err)
{
    j->card = *card;
    /* A tap may have left it in the middle of something; not one that was granted. */
    j->event.frames.resets = j->order.what != SERVICE_REKEY;
    j->event.state = SERVICE_DESK_WORKS;
    if (pthread_create(&j->thread, NULL, run, j) != 0) {
        service_kept_drop(&j->others);
        *j = (struct job){.station = 0};
        return b_err_set(err, B_E_SYSTEM, 0, "starting an order of the desk");
    }
    j->is_started = true;
    return B_OK;
}

static struct job *free_place(struct service_desk *d, int64_t person)
{
    struct job *place = NULL;
    size_t theirs = 0;
    size_t most = person != 0 ? SERVICE_DESK_ORDERS_OF_PERSON : SERVICE_DESK_REKEYS;
    sweep(d);
    for (size_t i = 0; i < SERVICE_DESK_ORDERS; i++) {
        struct job *j = &d->jobs[i];
        if (j->name[0] == '\0')
            place = j;
        else if (j->person == person && !is_over(j))
            theirs++;
    }
    if (place != NULL || theirs >= most)
        return theirs < most ? place : NULL;
    /* All are taken: an outcome that could be asked for once more gives its place, before one that
     * nobody has had so far, and an older one before a newer one. */
    for (size_t i = 0; i < SERVICE_DESK_ORDERS; i++) {
        struct job *j = &d->jobs[i];
        if (is_over(j) && (place == NULL || j->is_told > place->is_told ||
                           (j->is_told == place->is_told && j->deadline < place->deadline)))
            place = j;
    }
    if (place != NULL)
        place->deadline = 0;
    sweep(d);
    return place;
}

/* Two orders that wait at one station would leave it to chance which a card is for. */
static bool has_waiting(const struct service_desk *d, int64_t station)
{
    for (size_t i = 0; station != 0 && i < SERVICE_DESK_ORDERS; i++)
        if (d->jobs[i].name[0] != '\0' && d->jobs[i].station == station && !is_over(&d->jobs[i]))
            return true;
    return false;
}

/* A badge is taken over on one reader at a time: what comes to another meanwhile is a copy. */
static bool is_being_taken_over(const struct service_desk *d, const struct channel_card *card)
{
    for (size_t i = 0; i < SERVICE_DESK_ORDERS; i++) {
        const struct job *j = &d->jobs[i];
        if (j->name[0] != '\0' && j->order.what == SERVICE_TAKEOVER && !is_over(j) &&
            j->card.uid_len == card->uid_len && memcmp(j->card.uid, card->uid, card->uid_len) == 0)
            return true;
    }
    return false;
}

/* With the lock: a place for an order, or why there is none. */
static enum b_code find_place(struct service_desk *d, int64_t person,
                              const struct service_order *order, int64_t station,
                              const struct channel_card *card, struct job **ret, struct b_err *err)
{
    bool is_takeover = order->what == SERVICE_TAKEOVER;
    if (is_takeover && d->others == NULL)
        return b_err_set(err, B_E_NOT_FOUND, 0, "no badges are taken over at taps");
    if (is_takeover && is_being_taken_over(d, card))
        return b_err_set(err, B_E_VAULT_BUSY, 0, "this badge is being taken over");
    struct job *j = d->is_stopping ? NULL : free_place(d, person);
    if (j != NULL && has_waiting(d, station))
        return b_err_set(err, B_E_ORDER_WAITS, 0, "station %lld", (long long)station);
    *ret = j;
    if (j != NULL)
        return B_OK;
    (void)b_err_set(err, B_E_VAULT_BUSY, 0, "too many orders of the desk are under way");
    return B_E_VAULT_BUSY; /* a constant: gcc's analyzer cannot see through b_err_set */
}

enum b_code service_desk_open(struct service_desk *d, const struct service *sv, int64_t person,
                              const struct service_order *order, int64_t station,
                              const struct channel_card *card, char name[static SERVICE_DESK_NAME],
                              struct b_err *err)
{
    uint8_t random[(SERVICE_DESK_NAME - 1) / 2];
    struct job *j = NULL;
    b_check(person != 0 ? (station == 0) == (card != NULL) : station != 0 && card != NULL);
    b_check(person == 0 || order->what < SERVICE_ORDERED);
    enum b_code r = service_check_holder(&(struct service_holder){.ref = order->ref,
                                                                  .name = order->name,
                                                                  .not_after = order->not_after},
                                         err);
    if (r != B_OK)
        return r;
    (void)pthread_mutex_lock(&d->lock);
    r = find_place(d, person, order, station, card, &j, err);
    if (r != B_OK) {
        (void)pthread_mutex_unlock(&d->lock);
        return r;
    }
    memset(j, 0, sizeof(*j)); /* a literal of it would take the frame of a whole job */
    j->desk = d;
    j->order = *order;
    j->person = person;
    j->station = station;
    j->sv = *sv;
    crypto_random(random, sizeof(random));
    b_hex(j->name, random, sizeof(random));
    j->event.what = order->what;
    j->deadline = now_s() + SERVICE_DESK_PERSON_SECONDS;
    (void)snprintf(j->actor, sizeof(j->actor), "%s", sv->asker.actor);
    j->sv.asker = (struct service_asker){.actor = j->actor, .request = ""};
    j->sv.store = NULL;
    memcpy(name, j->name, SERVICE_DESK_NAME);
    if (order->what == SERVICE_TAKEOVER)
        j->order.others = service_kept_lend(j->others = d->others);
    r = card != NULL ? start(j, card, err) : B_OK;
    (void)pthread_mutex_unlock(&d->lock);
    return r;
}

enum b_code service_desk_waiting(struct service_desk *d, int64_t station,
                                 char name[static SERVICE_DESK_NAME], struct b_err *err)
{
    enum b_code r = B_E_NOT_FOUND;
    (void)pthread_mutex_lock(&d->lock);
    sweep(d);
    for (size_t i = 0; i < SERVICE_DESK_ORDERS && r != B_OK; i++) {
        const struct job *j = &d->jobs[i];
        if (j->name[0] == '\0' || j->station != station || j->event.state != SERVICE_DESK_WAITS)
            continue;
        memcpy(name, j->name, SERVICE_DESK_NAME);
        r = B_OK;
    }
    (void)pthread_mutex_unlock(&d->lock);
    return r == B_OK ? r : b_err_set(err, B_E_NOT_FOUND, 0, "nothing is to be done here");
}

enum b_code service_desk_present(struct service_desk *d, struct service_desk_caller who,
                                 const char *name, const struct channel_card *card,
                                 struct b_err *err)
{
    struct job *j = NULL;
    (void)pthread_mutex_lock(&d->lock);
    enum b_code r = find(d, who, name, &j, err);
    if (r == B_OK && !is_reader(j, who))
        r = b_err_set(err, B_E_NOT_FOUND, 0, "the card is presented by the station");
    if (r == B_OK && j->event.state == SERVICE_DESK_WAITS)
        r = start(j, card, err); /* else: a message that is repeated */
    (void)pthread_mutex_unlock(&d->lock);
    return r;
}

enum b_code service_desk_answer(struct service_desk *d, struct service_desk_caller who,
                                const char *name, uint32_t step,
                                const struct service_desk_answers *answers, struct b_err *err)
{
    struct job *j = NULL;
    (void)pthread_mutex_lock(&d->lock);
    enum b_code r = find(d, who, name, &j, err);
    if (r == B_OK && !is_reader(j, who))
        r = b_err_set(err, B_E_NOT_FOUND, 0, "frames are the station's");
    else if (r == B_OK && step > j->event.step)
        r = b_err_set(err, B_E_BAD_INPUT, step, "step %u has not been reached", step);
    if (r == B_OK && step == j->event.step && j->event.state == SERVICE_DESK_FRAMES_OUT &&
        !j->is_answered) {
        j->answers = *answers;
        j->is_answered = true;
        (void)pthread_cond_broadcast(&d->changed);
    } else if (r == B_OK && answers->is_gone && j->event.state == SERVICE_DESK_PLAN) {
        j->is_cancelled = true; /* the card left while the plan was read */
        (void)pthread_cond_broadcast(&d->changed);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return r;
}

enum b_code service_desk_approve(struct service_desk *d, struct service_desk_caller who,
                                 const char *name, const uint8_t digest[static 32],
                                 struct b_err *err)
{
    struct job *j = NULL;
    (void)pthread_mutex_lock(&d->lock);
    enum b_code r = find(d, who, name, &j, err);
    if (r == B_OK && !is_owner(j, who))
        r = b_err_set(err, B_E_NOT_FOUND, 0, "a plan is approved by the one who ordered it");
    else if (r == B_OK && (!j->has_plan || !b_ct_eq(digest, j->event.done.plan.digest, 32)))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "field digest: not that of the plan");
    if (r == B_OK) {
        j->is_approved = true;
        (void)pthread_cond_broadcast(&d->changed);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return r;
}

enum b_code service_desk_cancel(struct service_desk *d, struct service_desk_caller who,
                                const char *name, struct b_err *err)
{
    struct job *j = NULL;
    (void)pthread_mutex_lock(&d->lock);
    enum b_code r = find(d, who, name, &j, err);
    if (r == B_OK && j->event.state == SERVICE_DESK_WAITS) {
        *j = (struct job){.station = 0};
    } else if (r == B_OK) {
        j->is_cancelled = true;
        (void)pthread_cond_broadcast(&d->changed);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return r;
}

/* The one who ordered, when a station has the card, is not told of frames. */
static bool is_news(const struct job *j, struct service_desk_caller who, uint32_t after)
{
    if (j->event.step <= after || j->event.state == SERVICE_DESK_WORKS)
        return false;
    return j->event.state != SERVICE_DESK_FRAMES_OUT || is_reader(j, who);
}

enum b_code service_desk_look(struct service_desk *d, struct service_desk_caller who,
                              const char *name, uint32_t after, int wait_ms,
                              struct service_desk_event *ret, struct b_err *err)
{
    struct timespec end = moment_in(wait_ms);
    struct job *j = NULL;
    int waited = 0;
    (void)pthread_mutex_lock(&d->lock);
    enum b_code r = find(d, who, name, &j, err);
    while (r == B_OK && !is_news(j, who, after) && !d->is_stopping && waited == 0) {
        waited = pthread_cond_timedwait(&d->changed, &d->lock, &end);
        r = find(d, who, name, &j, err); /* it may be gone by now */
    }
    if (r == B_OK)
        j->is_told = is_over(j);
    if (r == B_OK && j->event.state == SERVICE_DESK_FAILED) {
        *err = j->err;
        r = err->code;
    } else if (r == B_OK) {
        *ret = j->event;
        if (!is_news(j, who, after) && ret->state != SERVICE_DESK_WAITS)
            ret->state = SERVICE_DESK_WORKS;
    }
    (void)pthread_mutex_unlock(&d->lock);
    return r;
}
