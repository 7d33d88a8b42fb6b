/*
 * Derivations and authentications against what the machine can do: AES-NI instructions with
 * nothing around them (the limit), and OpenSSL's EVP_MAC (the peer). All are measured in turns in
 * one run, medians of rounds. One JSON object a line.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/crypto.h"
#include "desfire/pcd.h"

#if defined(__x86_64__)
#include <wmmintrin.h>
#define NI __attribute__((target("aes,sse2")))

enum { ROUNDS = 31, DERIVATIONS = 20000, AUTHENTICATIONS = 4000 };

static volatile uint8_t sink; /* keeps what is measured from being optimised away */

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others' load is not ours */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *v)
{
    qsort(v, ROUNDS, sizeof(*v), compare);
    return v[ROUNDS / 2];
}

static const uint8_t master[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                   0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF};
static uint8_t input[20] = {0x04, 0x78, 0x2E, 0x21, 0x80, 0x1D, 0x80, 0x30, 0x42, 0xF5};

/* --- bare instructions ---------------------------------------------------------------------------
 */

struct bare {
    __m128i enc[11], dec[11], k2;
};

#define EXPAND(k, i, rcon)                                                                 \
    do {                                                                                   \
        __m128i t_ = _mm_shuffle_epi32(_mm_aeskeygenassist_si128((k)[(i)-1], rcon), 0xFF); \
        __m128i b_ = (k)[(i)-1];                                                           \
        b_ = _mm_xor_si128(b_, _mm_slli_si128(b_, 4));                                     \
        b_ = _mm_xor_si128(b_, _mm_slli_si128(b_, 8));                                     \
        (k)[i] = _mm_xor_si128(b_, t_);                                                    \
    } while (0)

NI static void bare_expand(struct bare *k, __m128i key)
{
    k->enc[0] = key;
    EXPAND(k->enc, 1, 0x01);
    EXPAND(k->enc, 2, 0x02);
    EXPAND(k->enc, 3, 0x04);
    EXPAND(k->enc, 4, 0x08);
    EXPAND(k->enc, 5, 0x10);
    EXPAND(k->enc, 6, 0x20);
    EXPAND(k->enc, 7, 0x40);
    EXPAND(k->enc, 8, 0x80);
    EXPAND(k->enc, 9, 0x1B);
    EXPAND(k->enc, 10, 0x36);
}

NI static void bare_invert(struct bare *k)
{
    k->dec[0] = k->enc[10];
    for (int i = 1; i < 10; i++)
        k->dec[i] = _mm_aesimc_si128(k->enc[10 - i]);
    k->dec[10] = k->enc[0];
}

NI static inline __m128i bare_encrypt(const struct bare *k, __m128i v)
{
    v = _mm_xor_si128(v, k->enc[0]);
    for (int i = 1; i < 10; i++)
        v = _mm_aesenc_si128(v, k->enc[i]);
    return _mm_aesenclast_si128(v, k->enc[10]);
}

NI static inline __m128i bare_decrypt(const struct bare *k, __m128i v)
{
    v = _mm_xor_si128(v, k->dec[0]);
    for (int i = 1; i < 10; i++)
        v = _mm_aesdec_si128(v, k->dec[i]);
    return _mm_aesdeclast_si128(v, k->dec[10]);
}

NI static __m128i bare_double(__m128i v)
{
    uint8_t in[16], out[16];
    _mm_storeu_si128((__m128i *)(void *)in, v);
    for (int i = 0; i < 15; i++)
        out[i] = (uint8_t)(in[i] << 1 | in[i + 1] >> 7);
    out[15] = (uint8_t)(in[15] << 1 ^ (0x87 & -(in[0] >> 7)));
    return _mm_loadu_si128((const __m128i *)(const void *)out);
}

NI static double bare_derivations(void)
{
    struct bare k;
    bare_expand(&k, _mm_loadu_si128((const __m128i *)(const void *)master));
    k.k2 = bare_double(bare_double(bare_encrypt(&k, _mm_setzero_si128())));
    uint8_t m[32] = {0x01};
    memcpy(m + 1, input, sizeof(input));
    m[21] = 0x80;
    double start = seconds();
    for (uint32_t i = 0; i < DERIVATIONS; i++) {
        memcpy(m + 2, &i, sizeof(i));
        __m128i a = bare_encrypt(&k, _mm_loadu_si128((const __m128i *)(const void *)m));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(m + 16));
        b = bare_encrypt(&k, _mm_xor_si128(a, _mm_xor_si128(b, k.k2)));
        sink ^= (uint8_t)_mm_cvtsi128_si32(b);
    }
    return DERIVATIONS / (seconds() - start);
}

/* The AES work of a reader's EV2First in series: two schedules of one key, RndB out of its
 * cryptogram, token, proof, CMAC subkey, two session keys of two blocks each. */
NI static double bare_authentications(void)
{
    double start = seconds();
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)master);
    for (uint32_t i = 0; i < AUTHENTICATIONS; i++) {
        struct bare k;
        bare_expand(&k, _mm_xor_si128(x, _mm_set1_epi32((int)i)));
        bare_invert(&k);
        __m128i b = bare_decrypt(&k, x);
        __m128i t1 = bare_encrypt(&k, x);
        __m128i t2 = bare_encrypt(&k, _mm_xor_si128(t1, b));
        __m128i p = _mm_xor_si128(bare_decrypt(&k, t2), bare_decrypt(&k, t1));
        k.k2 = bare_double(bare_encrypt(&k, _mm_setzero_si128()));
        __m128i enc = bare_encrypt(&k, _mm_xor_si128(bare_encrypt(&k, p), k.k2));
        __m128i mac = bare_encrypt(&k, _mm_xor_si128(bare_encrypt(&k, b), k.k2));
        x = _mm_xor_si128(enc, mac);
    }
    sink ^= (uint8_t)_mm_cvtsi128_si32(x);
    return AUTHENTICATIONS / (seconds() - start);
}

/* --- OpenSSL's EVP_MAC
 * -------------------------------------------------------------------------------- */

static OSSL_PARAM *cmac_params(void)
{
    static char name[] = "AES-128-CBC";
    static OSSL_PARAM params[2];
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, name, 0);
    params[1] = OSSL_PARAM_construct_end();
    return params;
}

static double evp_derivations(bool is_kept)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    uint8_t m[21] = {0x01}, out[16];
    uint32_t n = is_kept ? DERIVATIONS / 4 : DERIVATIONS / 20;
    memcpy(m + 1, input, sizeof(input));
    bool is_good = EVP_MAC_init(ctx, master, 16, cmac_params()) == 1;
    double start = seconds();
    for (uint32_t i = 0; i < n; i++) {
        size_t len = 0;
        memcpy(m + 2, &i, sizeof(i));
        if (!is_kept) {
            EVP_MAC_CTX_free(ctx);
            ctx = EVP_MAC_CTX_new(mac);
        }
        is_good &= (is_kept ? EVP_MAC_init(ctx, NULL, 0, NULL)
                            : EVP_MAC_init(ctx, master, 16, cmac_params())) == 1;
        is_good &= EVP_MAC_update(ctx, m, sizeof(m)) == 1;
        is_good &= EVP_MAC_final(ctx, out, &len, sizeof(out)) == 1;
        sink ^= out[0];
    }
    double rate = n / (seconds() - start);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    if (!is_good) {
        (void)fprintf(stderr, "crypto_bench: EVP_MAC failed\n");
        exit(1);
    }
    return rate;
}

/* --- ours
 * ------------------------------------------------------------------------------------------------
 */

static double our_derivations(void)
{
    struct crypto_key key;
    uint8_t out[16];
    crypto_key_init(&key, CRYPTO_AES128, master);
    double start = seconds();
    for (uint32_t i = 0; i < DERIVATIONS; i++) {
        memcpy(input + 1, &i, sizeof(i));
        if (crypto_an10922(&key, input, sizeof(input), out, NULL) != B_OK)
            exit(1);
        sink ^= out[0];
    }
    double rate = DERIVATIONS / (seconds() - start);
    crypto_key_drop(&key);
    return rate;
}

/* AN12196 table 14: the card's answers are published, so the reader's side runs alone. */
static const uint8_t rnd_a[16] = {0x13, 0xC5, 0xDB, 0x8A, 0x59, 0x30, 0x43, 0x9F,
                                  0xC3, 0xDE, 0xF9, 0xA4, 0xC6, 0x75, 0x36, 0x0F};
static const uint8_t answer_1[] = {0xA0, 0x4C, 0x12, 0x42, 0x13, 0xC1, 0x86, 0xF2, 0x23,
                                   0x99, 0xD3, 0x3A, 0xC2, 0xA3, 0x02, 0x15, 0x91, 0xAF};
static const uint8_t answer_2[] = {0x3F, 0xA6, 0x4D, 0xB5, 0x44, 0x6D, 0x1F, 0x34, 0xCD,
                                   0x6E, 0xA3, 0x11, 0x16, 0x7F, 0x5E, 0x49, 0x85, 0xB8,
                                   0x96, 0x90, 0xC0, 0x4A, 0x05, 0xF1, 0x7F, 0xA7, 0xAB,
                                   0x2F, 0x08, 0x12, 0x06, 0x63, 0x91, 0x00};

static void published_random(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memcpy(p, rnd_a, n < sizeof(rnd_a) ? n : sizeof(rnd_a));
}

static double our_authentications(void)
{
    static struct df_pcd pcd;
    struct df_key key = {.type = DF_KEY_AES};
    struct df_request r;
    uint8_t tx[DF_CAPDU_MAX], plain[64];
    struct b_wr out = b_wr_from(tx, sizeof(tx));
    df_pcd_init(&pcd, (struct df_random){published_random, NULL});
    df_req_authenticate(&r, DF_AUTH_EV2_FIRST, 0, &key);
    double start = seconds();
    for (int i = 0; i < AUTHENTICATIONS; i++) {
        enum df_want want = df_pcd_start(&pcd, &r, b_wr_from(plain, sizeof(plain)), &out);
        if (want == DF_TX)
            want = df_pcd_step(&pcd, b_rd_from(answer_1, sizeof(answer_1)), &out);
        if (want == DF_TX)
            want = df_pcd_step(&pcd, b_rd_from(answer_2, sizeof(answer_2)), &out);
        if (want != DF_DONE) {
            (void)fprintf(stderr, "crypto_bench: %s\n", df_pcd_error(&pcd)->msg);
            exit(1);
        }
    }
    double rate = AUTHENTICATIONS / (seconds() - start);
    df_pcd_drop(&pcd);
    return rate;
}

static void print(const char *name, double value, double limit, double peer)
{
    (void)printf("{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"/s\",\"limit\":%.0f,\"peer\":", name,
                 value, limit);
    if (peer > 0)
        (void)printf("%.0f,\"ratio_to_limit\":%.3f,\"ratio_to_peer\":%.2f}\n", peer, value / limit,
                     value / peer);
    else
        (void)printf("null,\"ratio_to_limit\":%.3f,\"ratio_to_peer\":null}\n", value / limit);
}

int main(void)
{
    double ours[ROUNDS], bare[ROUNDS], kept[ROUNDS], fresh[ROUNDS], auth[ROUNDS], least[ROUNDS];
    if (!__builtin_cpu_supports("aes")) {
        (void)fprintf(stderr, "crypto_bench: this CPU has no AES instructions: no limit\n");
        return 0;
    }
    for (int i = 0; i < ROUNDS; i++) {
        ours[i] = our_derivations();
        bare[i] = bare_derivations();
        kept[i] = evp_derivations(true);
        fresh[i] = evp_derivations(false);
        auth[i] = our_authentications();
        least[i] = bare_authentications();
    }
    double rate = median(ours), limit = median(bare);
    print("AN10922 AES-128, peer EVP_MAC with its context kept", rate, limit, median(kept));
    print("AN10922 AES-128, peer EVP_MAC with a new context", rate, limit, median(fresh));
    print("EV2First, reader's side, random numbers passed in", median(auth), median(least), 0);
    return 0;
}
#else
int main(void)
{
    (void)fprintf(stderr, "crypto_bench: the limit is written for x86-64\n");
    return 0;
}
#endif
