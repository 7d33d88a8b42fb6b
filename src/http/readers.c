/* Readers of the store, which calls borrow from the server. */
#include <string.h>

#include "http/http.h"

static size_t lent_to(const struct http_server *s, const uint8_t who[static HTTP_WHO])
{
    size_t n = 0;
    for (size_t i = 0; i < HTTP_READERS; i++)
        n += s->is_reader_used[i] && memcmp(s->reader_of[i], who, HTTP_WHO) == 0;
    return n;
}

struct store *http_borrow_reader(struct http_server *s, const struct http_peer *peer, size_t most)
{
    enum { WAIT_S = 5 };
    static const uint8_t nobody[HTTP_WHO];
    /* Behind one address may be many. */
    const uint8_t *who = peer != NULL && peer->has_certificate ? peer->who : nobody;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    int waited = 0;
    (void)pthread_mutex_lock(&s->readers_lock);
    size_t n = 0;
    for (;;) { /* from the last down: what whoever has less may take is left while there is more */
        bool has_share = who == nobody || lent_to(s, who) < HTTP_READERS_OF_ONE;
        for (n = has_share ? most : 0; n > 0 && s->is_reader_used[n - 1]; n--)
            continue;
        if (n > 0 || waited != 0)
            break;
        waited =
            pthread_cond_clockwait(&s->reader_freed, &s->readers_lock, CLOCK_MONOTONIC, &until);
    }
    if (n > 0) {
        s->is_reader_used[n - 1] = true;
        memcpy(s->reader_of[n - 1], who, HTTP_WHO);
    }
    (void)pthread_mutex_unlock(&s->readers_lock);
    return n > 0 ? s->readers[n - 1] : NULL;
}

void http_give_reader_back(struct http_server *s, struct store **reader)
{
    const struct store *was = *reader;
    *reader = NULL;
    if (was == NULL)
        return;
    (void)pthread_mutex_lock(&s->readers_lock);
    for (size_t i = 0; i < HTTP_READERS; i++)
        if (s->readers[i] == was)
            s->is_reader_used[i] = false;
    (void)pthread_mutex_unlock(&s->readers_lock);
    (void)pthread_cond_broadcast(&s->reader_freed); /* it may not be for the first who waits */
}
