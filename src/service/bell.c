#include "service/bell.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAMES = 4096, NAME = 64 };

/* A name that a newer one pushed out looks as if it had never rung: its waiter looks in the store
 * when its time is over. */
struct bell {
    char name[NAME];
    struct service_ring ring;
};

struct service_bells {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    uint64_t count;
    bool is_stopped;
    struct bell bells[NAMES];
};

struct service_bells *service_bells_new(void)
{
    pthread_condattr_t monotonic;
    struct service_bells *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    b_check(pthread_mutex_init(&b->lock, NULL) == 0);
    b_check(pthread_condattr_init(&monotonic) == 0);
    b_check(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    b_check(pthread_cond_init(&b->rung, &monotonic) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    return b;
}

void service_bells_free(struct service_bells **b)
{
    free(*b);
    *b = NULL;
}

/* FNV-1a; names are random. */
static size_t place_of(const char *name)
{
    uint32_t h = 2166136261u;
    for (const char *c = name; *c != '\0'; c++)
        h = (h ^ (uint8_t)*c) * 16777619u;
    return h % NAMES;
}

void service_ring(struct service_bells *b, const char *name, enum b_code code)
{
    if (b == NULL)
        return;
    struct bell *at = &b->bells[place_of(name)];
    (void)pthread_mutex_lock(&b->lock);
    (void)snprintf(at->name, sizeof(at->name), "%s", name);
    at->ring = (struct service_ring){.number = ++b->count, .code = code};
    (void)pthread_cond_broadcast(&b->rung);
    (void)pthread_mutex_unlock(&b->lock);
}

static bool has_rung(const struct bell *at, const char *name, uint64_t seen)
{
    return strcmp(at->name, name) == 0 && at->ring.number > seen;
}

void service_await(struct service_bells *b, const char *name, uint64_t seen, unsigned milliseconds,
                   struct service_ring *ret)
{
    const struct bell *at = &b->bells[place_of(name)];
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += milliseconds / 1000;
    end.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    *ret = (struct service_ring){.number = 0};
    (void)pthread_mutex_lock(&b->lock);
    int r = 0;
    while (r == 0 && !b->is_stopped && !has_rung(at, name, seen))
        r = pthread_cond_timedwait(&b->rung, &b->lock, &end);
    if (strcmp(at->name, name) == 0)
        *ret = at->ring;
    (void)pthread_mutex_unlock(&b->lock);
}

void service_bells_stop(struct service_bells *b)
{
    (void)pthread_mutex_lock(&b->lock);
    b->is_stopped = true;
    (void)pthread_cond_broadcast(&b->rung);
    (void)pthread_mutex_unlock(&b->lock);
}
