#include "crypto/shamir.h"

#include <string.h>

/* Modulo x^8 + x^4 + x^3 + x + 1, in a time that does not depend on a or b. */
static uint8_t multiply(uint8_t a, uint8_t b)
{
    unsigned product = 0;
    unsigned left = a;
    for (unsigned i = 0; i < 8; i++) {
        product ^= left & (0u - ((unsigned)b >> i & 1u));
        left = left << 1 ^ (0x11Bu & (0u - (left >> 7 & 1u)));
    }
    return (uint8_t)product;
}

/* a^254 */
static uint8_t invert(uint8_t a)
{
    uint8_t r = 1;
    for (unsigned i = 0; i < 7; i++) {
        a = multiply(a, a);
        r = multiply(r, a);
    }
    return r;
}

void crypto_shamir_share(const struct crypto_shamir *s, const uint8_t *secret,
                         const uint8_t *coefficients, uint8_t x, uint8_t *out)
{
    b_check(x != 0 && s->n > 0 && s->n <= CRYPTO_SHARED_MAX && s->threshold > 0);
    memset(out, 0, s->n);
    for (unsigned k = s->threshold - 1; k > 0; k--) /* Horner, from the highest power down */
        for (size_t i = 0; i < s->n; i++)
            out[i] = multiply(out[i] ^ coefficients[(k - 1) * s->n + i], x);
    for (size_t i = 0; i < s->n; i++)
        out[i] ^= secret[i];
}

void crypto_shamir_combine(const struct crypto_shamir *s, const uint8_t *xs, const uint8_t *shares,
                           uint8_t *out)
{
    b_check(s->n > 0 && s->n <= CRYPTO_SHARED_MAX);
    memset(out, 0, s->n);
    for (unsigned i = 0; i < s->threshold; i++) {
        uint8_t above = 1;
        uint8_t below = 1;
        for (unsigned k = 0; k < s->threshold; k++) {
            if (k == i)
                continue;
            b_check(xs[k] != xs[i]);
            above = multiply(above, xs[k]);
            below = multiply(below, xs[k] ^ xs[i]);
        }
        uint8_t weight = multiply(above, invert(below));
        for (size_t b = 0; b < s->n; b++)
            out[b] ^= multiply(shares[i * s->n + b], weight);
    }
}
