/*
 * How often somebody may ask: a bucket of ten seconds' worth for each certificate, whatever
 * connections it comes on, and for each address from which people come without one. A hospital's
 * stations may share an address, so that one says nothing of who has a certificate.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "http/http.h"

enum { SETS = 1024, WAYS = 8, BURST_S = 10 };

struct bucket {
    uint8_t who[HTTP_WHO];
    uint64_t at_ms; /* 0: nobody's */
    double tokens;
};

struct http_rate {
    pthread_mutex_t lock;
    uint8_t salt[16]; /* nobody chooses whose bucket theirs takes the place of */
    struct bucket known[SETS][WAYS], strangers[SETS][WAYS];
};

struct http_rate *http_rate_new(void)
{
    struct http_rate *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    b_check(pthread_mutex_init(&r->lock, NULL) == 0);
    crypto_random(r->salt, sizeof(r->salt));
    return r;
}

void http_rate_free(struct http_rate **pr)
{
    struct http_rate *r = *pr;
    *pr = NULL;
    if (r != NULL)
        (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

/* Somebody's bucket, or in its place the one that was asked for longest ago, full. */
static struct bucket *find(struct bucket set[static WAYS], const uint8_t who[static HTTP_WHO],
                           double most, uint64_t now)
{
    struct bucket *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].at_ms != 0 && memcmp(set[i].who, who, HTTP_WHO) == 0)
            return &set[i];
        if (set[i].at_ms < oldest->at_ms)
            oldest = &set[i];
    }
    *oldest = (struct bucket){.at_ms = now, .tokens = most};
    memcpy(oldest->who, who, HTTP_WHO);
    return oldest;
}

bool http_rate_take(struct http_rate *r, const uint8_t who[static HTTP_WHO], bool has_certificate,
                    unsigned per_second)
{
    uint8_t digest[32];
    double most = (double)per_second * BURST_S;
    uint64_t now = http_now_ms();
    crypto_sha256_two(r->salt, sizeof(r->salt), who, HTTP_WHO, digest);
    size_t set = (size_t)(digest[0] << 8 | digest[1]) % SETS;
    (void)pthread_mutex_lock(&r->lock);
    struct bucket *b = find(has_certificate ? r->known[set] : r->strangers[set], who, most, now);
    b->tokens += now > b->at_ms ? (double)(now - b->at_ms) * per_second / 1000.0 : 0;
    b->at_ms = now;
    if (b->tokens > most)
        b->tokens = most;
    bool may = b->tokens >= 1;
    if (may)
        b->tokens -= 1;
    (void)pthread_mutex_unlock(&r->lock);
    return may;
}
