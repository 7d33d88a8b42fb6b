#include "service/station_int.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/relay.h"

enum {
    PLACES = 8192,
    STATIONS = 65536,
    PROVE_WITHIN_US = 10 * 1000 * 1000,
    PIN_WITHIN_US = 60 * 1000 * 1000,
};

struct service_taps {
    pthread_mutex_t lock;
    size_t next, count;
    int64_t minute;            /* the one that is counted */
    uint32_t begun;            /* re-keys in it */
    uint8_t open_of[STATIONS]; /* taps under way, by the station's number */
    struct place places[PLACES];
};

struct service_taps *service_taps_new(void)
{
    struct service_taps *t = calloc(1, sizeof(*t));
    if (t != NULL)
        b_check(pthread_mutex_init(&t->lock, NULL) == 0);
    return t;
}

void service_taps_free(struct service_taps **t)
{
    free(*t);
    *t = NULL;
}

size_t service_taps_count(struct service_taps *t)
{
    (void)pthread_mutex_lock(&t->lock);
    size_t n = t->count;
    (void)pthread_mutex_unlock(&t->lock);
    return n;
}

static bool is_late(const struct place *p)
{
    return service_now_us() - p->since_us > (p->is_proven ? PIN_WITHIN_US : PROVE_WITHIN_US);
}

static uint8_t *open_of(struct service_taps *t, int64_t station)
{
    return &t->open_of[(uint64_t)station % STATIONS];
}

static void clear(struct service_taps *t, struct place *p)
{
    if (p->phase == PLACE_FREE)
        return;
    p->phase = PLACE_FREE;
    t->count--;
    (*open_of(t, p->station))--;
}

/* Forgets what stalled (the vault forgets it by itself), and what a station has that needs a place
 * more than its re-keys do. */
static void sweep(struct service_taps *t, int64_t station)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct place *p = &t->places[i];
        bool is_spare = p->phase == PLACE_GRANTED && p->station == station;
        if (is_spare || (p->phase >= PLACE_ASKED && is_late(p)))
            clear(t, p);
    }
}

/* A place of its own for a new tap of the station; NULL when it, or everybody, has too many. */
struct place *place_take(struct service_taps *t, int64_t station)
{
    struct place *found = NULL;
    (void)pthread_mutex_lock(&t->lock);
    if (*open_of(t, station) >= SERVICE_TAPS_OF_STATION || t->count == PLACES)
        sweep(t, station);
    bool may = *open_of(t, station) < SERVICE_TAPS_OF_STATION && t->count < PLACES;
    for (size_t i = 0; may && i < PLACES && found == NULL; i++) {
        size_t at = (t->next + i) % PLACES;
        struct place *p = &t->places[at];
        if (p->phase != PLACE_FREE)
            continue;
        (void)snprintf(p->name, sizeof(p->name), "%04zX", at); /* the vault draws the rest */
        p->phase = PLACE_BUSY;
        p->station = station;
        found = p;
        t->next = at + 1;
        t->count++;
        (*open_of(t, station))++;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return found;
}

/* The station's tap of this name, when it waits for a message: then it is the caller's. */
struct place *place_enter(struct service_taps *t, int64_t station, const char *name,
                          enum place_phase phase)
{
    uint8_t at[2];
    struct b_wr w = b_wr_from(at, sizeof(at));
    char head[5] = "";
    (void)snprintf(head, sizeof(head), "%.4s", name);
    if (strlen(name) != SERVICE_TAP_NAME - 1 || !b_unhex(&w, head) || w.len != 2)
        return NULL;
    size_t i = (size_t)(at[0] << 8 | at[1]);
    if (i >= PLACES)
        return NULL;
    struct place *p = &t->places[i];
    (void)pthread_mutex_lock(&t->lock);
    bool is_it = p->phase == phase && p->station == station && !is_late(p) &&
                 b_ct_eq(p->name, name, SERVICE_TAP_NAME);
    if (is_it)
        p->phase = PLACE_BUSY;
    (void)pthread_mutex_unlock(&t->lock);
    return is_it ? p : NULL;
}

void place_leave(struct service_taps *t, struct place *p, enum place_phase phase)
{
    (void)pthread_mutex_lock(&t->lock);
    p->is_proven = phase == PLACE_PROVEN;
    p->trying = 0;
    if (phase != PLACE_FREE)
        p->phase = phase;
    else
        clear(t, p);
    (void)pthread_mutex_unlock(&t->lock);
}

bool place_is_within_pace(struct service_taps *t, uint32_t pace)
{
    int64_t minute = service_now() / 60;
    (void)pthread_mutex_lock(&t->lock);
    if (t->minute != minute)
        t->begun = 0;
    t->minute = minute;
    bool is_within = pace == 0 || t->begun < pace;
    t->begun += is_within;
    (void)pthread_mutex_unlock(&t->lock);
    return is_within;
}

enum b_code service_tap_of_challenge(struct service_taps *taps, const char *challenge, char *name,
                                     uint32_t *ret_tries_left)
{
    enum b_code r = B_E_NOT_FOUND;
    (void)pthread_mutex_lock(&taps->lock);
    for (size_t i = 0; i < PLACES && r != B_OK; i++) {
        const struct place *p = &taps->places[i];
        if (p->phase != PLACE_PROVEN || is_late(p) || strcmp(p->answers, challenge) != 0)
            continue;
        memcpy(name, p->name, SERVICE_TAP_NAME);
        *ret_tries_left = p->tries_left;
        r = B_OK;
    }
    (void)pthread_mutex_unlock(&taps->lock);
    return r;
}

/* One PIN of a holder is looked at at a time: the next one's pause counts from how it ended. */
bool place_try_alone(struct service_taps *t, struct place *p, int64_t holder)
{
    bool is_alone = true;
    (void)pthread_mutex_lock(&t->lock);
    for (size_t i = 0; holder != 0 && i < PLACES && is_alone; i++)
        is_alone = t->places[i].trying != holder;
    p->trying = is_alone ? holder : 0;
    (void)pthread_mutex_unlock(&t->lock);
    return is_alone;
}
