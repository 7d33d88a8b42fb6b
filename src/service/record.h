/* How the fields of a record are written for its digest in the journal. Private to the files that
 * make digests. */
#ifndef TESSERE_SERVICE_RECORD_H
#define TESSERE_SERVICE_RECORD_H

#include <string.h>

#include "base/base.h"
#include "crypto/crypto.h"

enum { RECORD_MAX = 1024 };

struct record {
    uint8_t bytes[RECORD_MAX];
    struct b_wr w;
};

static inline void begin(struct record *k, const uint8_t *salt, size_t n)
{
    k->w = b_wr_from(k->bytes, sizeof(k->bytes));
    b_wr_bytes(&k->w, salt, n);
}

static inline void number(struct record *k, int64_t v)
{
    b_wr_le64(&k->w, (uint64_t)v);
}

static inline void block(struct record *k, const void *p, size_t n)
{
    b_wr_le16(&k->w, (uint16_t)n);
    b_wr_bytes(&k->w, p, n);
}

static inline void text(struct record *k, const char *s)
{
    block(k, s, strlen(s));
}

static inline void end(struct record *k, uint8_t out[static 32])
{
    b_check(b_wr_ok(&k->w));
    crypto_sha256(k->bytes, k->w.len, out);
}

#endif
