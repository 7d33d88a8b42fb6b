/*
 * Shamir's secret sharing over GF(2^8) (Shamir 1979), byte by byte: each byte of the secret is the
 * value at 0 of a polynomial of degree threshold-1 whose other coefficients are random, and share x
 * is its value at x. Any `threshold` shares give the secret back; fewer fit every secret equally
 * well (docs/ceremonies.md has the reasoning, tests/unit/crypto/shamir.c counts it out).
 *
 * No table is indexed and no branch is taken by a secret byte: that is why this is not libgfshare.
 */
#ifndef TESSERE_CRYPTO_SHAMIR_H
#define TESSERE_CRYPTO_SHAMIR_H

#include "base/base.h"

enum { CRYPTO_SHARES_MAX = 16, CRYPTO_SHARED_MAX = 64 };

struct crypto_shamir {
    size_t n;           /* bytes of the secret, 1 .. CRYPTO_SHARED_MAX */
    unsigned threshold; /* 1 .. 255 */
};

/* The share at x, 1 .. 255. coefficients: (threshold-1) * n random bytes, the same for all shares
 * of a secret and used for no other. */
void crypto_shamir_share(const struct crypto_shamir *s, const uint8_t *secret,
                         const uint8_t *coefficients, uint8_t x, uint8_t *out);
/* The secret, out of `threshold` shares at xs, which must differ; shares: n bytes each. */
void crypto_shamir_combine(const struct crypto_shamir *s, const uint8_t *xs, const uint8_t *shares,
                           uint8_t *out);

#endif
