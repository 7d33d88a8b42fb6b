/*
 * What libmicrohttpd's timeout cannot see: a peer that sends a byte now and then. A connection has
 * a few seconds to make its first good request, and each request a few to be whole.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "http/http.h"

struct http_guard {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopping;
    bool is_stopping;
    uint64_t stall_ms;
    struct http_peer *peers;
};

uint64_t http_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void *watch(void *arg)
{
    struct http_guard *g = arg;
    (void)pthread_mutex_lock(&g->lock);
    while (!g->is_stopping) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        (void)pthread_cond_timedwait(&g->stopping, &g->lock, &until);
        uint64_t now = http_now_ms();
        for (struct http_peer *p = g->peers; p != NULL; p = p->next) {
            if (!atomic_load(&p->is_idle) && now - atomic_load(&p->since_ms) > g->stall_ms)
                (void)shutdown(p->fd, SHUT_RDWR); /* its thread notices and ends */
        }
    }
    (void)pthread_mutex_unlock(&g->lock);
    return NULL;
}

struct http_guard *http_guard_start(unsigned stall_seconds)
{
    struct http_guard *g = calloc(1, sizeof(*g));
    if (g == NULL)
        return NULL;
    g->stall_ms = (uint64_t)stall_seconds * 1000;
    b_check(pthread_mutex_init(&g->lock, NULL) == 0 && pthread_cond_init(&g->stopping, NULL) == 0);
    if (pthread_create(&g->thread, NULL, watch, g) != 0) {
        free(g);
        return NULL;
    }
    return g;
}

void http_guard_stop(struct http_guard **pg)
{
    struct http_guard *g = *pg;
    *pg = NULL;
    if (g == NULL)
        return;
    (void)pthread_mutex_lock(&g->lock);
    g->is_stopping = true;
    (void)pthread_cond_signal(&g->stopping);
    (void)pthread_mutex_unlock(&g->lock);
    (void)pthread_join(g->thread, NULL);
    b_check(g->peers == NULL);
    free(g);
}

void http_guard_set(struct http_guard *g, unsigned stall_seconds)
{
    (void)pthread_mutex_lock(&g->lock);
    g->stall_ms = (uint64_t)stall_seconds * 1000;
    (void)pthread_mutex_unlock(&g->lock);
}

struct http_peer *http_guard_add(struct http_guard *g, int fd)
{
    struct http_peer *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->fd = fd;
    atomic_store(&p->since_ms, http_now_ms());
    (void)pthread_mutex_lock(&g->lock);
    p->next = g->peers;
    p->back = &g->peers;
    if (p->next != NULL)
        p->next->back = &p->next;
    g->peers = p;
    (void)pthread_mutex_unlock(&g->lock);
    return p;
}

void http_guard_remove(struct http_guard *g, struct http_peer *p)
{
    (void)pthread_mutex_lock(&g->lock);
    *p->back = p->next;
    if (p->next != NULL)
        p->next->back = p->back;
    (void)pthread_mutex_unlock(&g->lock);
    free(p);
}
