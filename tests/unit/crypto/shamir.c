/* Sharing: what any threshold of shares gives, and what fewer do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "crypto/shamir.h"

enum { N = 32, COUNT = 6 };

static void shares_of(const struct crypto_shamir *s, const uint8_t *secret, uint8_t out[COUNT][N])
{
    uint8_t coefficients[COUNT * N];
    crypto_random(coefficients, sizeof(coefficients));
    for (uint8_t x = 1; x <= COUNT; x++)
        crypto_shamir_share(s, secret, coefficients, x, out[x - 1]);
}

static void any_threshold_of_shares_gives_the_secret(void **state)
{
    (void)state;
    uint8_t secret[N];
    uint8_t all[COUNT][N];
    unsigned tried = 0;
    crypto_random(secret, sizeof(secret));
    for (unsigned m = 1; m <= COUNT; m++) {
        const struct crypto_shamir s = {.n = N, .threshold = m};
        shares_of(&s, secret, all);
        for (unsigned set = 0; set < 1u << COUNT; set++) {
            uint8_t xs[COUNT], given[COUNT][N], got[N];
            unsigned n = 0;
            for (unsigned i = 0; i < COUNT; i++) {
                if ((set >> i & 1) == 0)
                    continue;
                xs[n] = (uint8_t)(i + 1);
                memcpy(given[n++], all[i], N);
            }
            if (n != m)
                continue;
            crypto_shamir_combine(&s, xs, given[0], got);
            assert_memory_equal(got, secret, N);
            tried++;
        }
    }
    assert_int_equal(tried, (1 << COUNT) - 1); /* every set but the empty one */
}

/* Numbers from outside: FIPS 197 §4.2 (57 . 83 = C1) and the field's generator 03. */
static void the_field_is_that_of_aes(void **state)
{
    (void)state;
    const struct crypto_shamir line = {.n = 1, .threshold = 2};
    const uint8_t zero = 0;
    uint8_t out = 0;
    crypto_shamir_share(&line, &zero, &(const uint8_t){0x57}, 0x83, &out);
    assert_int_equal(out, 0xC1);
    crypto_shamir_share(&line, &zero, &(const uint8_t){0x57}, 0x13, &out);
    assert_int_equal(out, 0xFE);
}

/* For one byte and every pair of a threshold of 3: for each secret, over all 65,536 choices of
 * coefficients, each of the 65,536 values of the two shares comes up exactly once. So two shares
 * have the same distribution, the flat one, whatever the secret is. */
static void two_shares_of_three_needed_fit_every_secret_equally(void **state)
{
    (void)state;
    static uint8_t seen[65536];
    const struct crypto_shamir s = {.n = 1, .threshold = 3};
    static const uint8_t secrets[] = {0x00, 0x01, 0x5A, 0xFF};
    static const uint8_t pairs[][2] = {{1, 2}, {1, 5}, {3, 4}, {2, 255}};
    for (size_t p = 0; p < B_COUNT(pairs); p++) {
        for (size_t k = 0; k < B_COUNT(secrets); k++) {
            memset(seen, 0, sizeof(seen));
            for (unsigned c = 0; c < 65536; c++) {
                const uint8_t coefficients[2] = {(uint8_t)c, (uint8_t)(c >> 8)};
                uint8_t a = 0, b = 0;
                crypto_shamir_share(&s, &secrets[k], coefficients, pairs[p][0], &a);
                crypto_shamir_share(&s, &secrets[k], coefficients, pairs[p][1], &b);
                seen[(unsigned)a << 8 | b]++;
            }
            for (unsigned v = 0; v < 65536; v++)
                assert_int_equal(seen[v], 1);
        }
    }
}

/* The same with the real sharing of 32 bytes: a share's bytes are flat, whatever the secret. Chi
 * square over 256 values; beyond 400 is less likely than 1 in 10^7. */
static void a_share_of_a_real_secret_looks_random(void **state)
{
    (void)state;
    static const uint8_t secret[N]; /* the least random one there is */
    const struct crypto_shamir s = {.n = N, .threshold = 2};
    static unsigned count[256];
    enum { ROUNDS = 4000 };
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t all[COUNT][N];
        shares_of(&s, secret, all);
        for (size_t b = 0; b < N; b++)
            count[all[3][b]]++;
    }
    const double expected = (double)ROUNDS * N / 256;
    double chi = 0;
    for (size_t v = 0; v < 256; v++)
        chi += ((double)count[v] - expected) * ((double)count[v] - expected) / expected;
    assert_true(chi < 400 && chi > 130);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_threshold_of_shares_gives_the_secret),
        cmocka_unit_test(the_field_is_that_of_aes),
        cmocka_unit_test(two_shares_of_three_needed_fit_every_secret_equally),
        cmocka_unit_test(a_share_of_a_real_secret_looks_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
