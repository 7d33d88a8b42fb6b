/*
 * AES with the CPU's instructions (Intel, "AES-NI white paper", 2012: key expansion with
 * AESKEYGENASSIST, decryption by the equivalent inverse cipher of FIPS 197 §5.3.5).
 * Constant time by construction: no table, no branch on data.
 */
#include "crypto/engine.h"

#if defined(__x86_64__)

#include <string.h>
#include <wmmintrin.h>

#define NI __attribute__((target("aes,sse2")))

struct schedule {
    __m128i enc[15];
    __m128i dec[15];
};
static_assert(sizeof(struct schedule) <= sizeof(((struct crypto_key *)0)->schedule),
              "an AES schedule fits struct crypto_key");

static struct schedule *schedule_of(struct crypto_key *key)
{
    return (struct schedule *)(void *)key->schedule;
}

static const struct schedule *schedule_from(const struct crypto_key *key)
{
    return (const struct schedule *)(const void *)key->schedule;
}

static inline int rounds_of(enum crypto_cipher cipher)
{
    return cipher == CRYPTO_AES128 ? 10 : cipher == CRYPTO_AES192 ? 12 : 14;
}

NI static inline __m128i load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

NI static inline void store(uint8_t *p, __m128i v)
{
    _mm_storeu_si128((__m128i *)(void *)p, v);
}

/* w[i-4..i-1] from the four words before them and t, the transformed last word in every lane. */
NI static inline __m128i next_four(__m128i before, __m128i t)
{
    before = _mm_xor_si128(before, _mm_slli_si128(before, 4));
    before = _mm_xor_si128(before, _mm_slli_si128(before, 8));
    return _mm_xor_si128(before, t);
}

#define EXPAND_128(i, rcon) \
    k[i] = next_four(k[(i)-1], _mm_shuffle_epi32(_mm_aeskeygenassist_si128(k[(i)-1], rcon), 0xFF))

NI static void expand_128(__m128i *k, const uint8_t *bytes)
{
    k[0] = load(bytes);
    EXPAND_128(1, 0x01);
    EXPAND_128(2, 0x02);
    EXPAND_128(3, 0x04);
    EXPAND_128(4, 0x08);
    EXPAND_128(5, 0x10);
    EXPAND_128(6, 0x20);
    EXPAND_128(7, 0x40);
    EXPAND_128(8, 0x80);
    EXPAND_128(9, 0x1B);
    EXPAND_128(10, 0x36);
}

/* SubWord of one word, by the instruction: AESKEYGENASSIST puts it in lane 0 of its result. */
NI static uint32_t sub_word(uint32_t w)
{
    __m128i v = _mm_set_epi32(0, 0, (int)w, 0);
    return (uint32_t)_mm_cvtsi128_si32(_mm_aeskeygenassist_si128(v, 0));
}

/* AES-192 and AES-256 serve only to derive keys of fleets that are taken over: the plain key
 * expansion of FIPS 197 §5.2 is fast enough. */
NI static void expand_long(__m128i *k, const uint8_t *bytes, unsigned words, int rounds)
{
    uint32_t w[60];
    memcpy(w, bytes, (size_t)words * 4);
    uint32_t rcon = 1;
    for (unsigned i = words; i < 4 * ((unsigned)rounds + 1); i++) {
        uint32_t t = w[i - 1];
        if (i % words == 0) {
            t = sub_word(t);
            t = (t >> 8 | t << 24) ^ rcon;
            rcon = rcon << 1 ^ (rcon & 0x80 ? 0x11B : 0);
        } else if (words > 6 && i % words == 4) {
            t = sub_word(t);
        }
        w[i] = w[i - words] ^ t;
    }
    memcpy(k, w, 16 * ((size_t)rounds + 1));
    b_wipe(w, sizeof(w));
}

NI static void expand(struct crypto_key *key, const uint8_t *bytes)
{
    struct schedule *s = schedule_of(key);
    int rounds = rounds_of(key->cipher);
    if (key->cipher == CRYPTO_AES128)
        expand_128(s->enc, bytes);
    else
        expand_long(s->enc, bytes, key->cipher == CRYPTO_AES192 ? 6 : 8, rounds);
    s->dec[0] = s->enc[rounds];
    for (int i = 1; i < rounds; i++)
        s->dec[i] = _mm_aesimc_si128(s->enc[rounds - i]);
    s->dec[rounds] = s->enc[0];
}

NI static inline __m128i encrypt_one(const __m128i *k, int rounds, __m128i v)
{
    v = _mm_xor_si128(v, k[0]);
#pragma GCC unroll 9
    for (int i = 1; i < 10; i++)
        v = _mm_aesenc_si128(v, k[i]);
    for (int i = 10; i < rounds; i++)
        v = _mm_aesenc_si128(v, k[i]);
    return _mm_aesenclast_si128(v, k[rounds]);
}

NI static void encrypt(const struct crypto_key *key, const uint8_t *in, uint8_t *out)
{
    const struct schedule *s = schedule_from(key);
    store(out, encrypt_one(s->enc, rounds_of(key->cipher), load(in)));
}

NI static inline __m128i decrypt_one(const __m128i *k, int rounds, __m128i v)
{
    v = _mm_xor_si128(v, k[0]);
#pragma GCC unroll 9
    for (int i = 1; i < 10; i++)
        v = _mm_aesdec_si128(v, k[i]);
    for (int i = 10; i < rounds; i++)
        v = _mm_aesdec_si128(v, k[i]);
    return _mm_aesdeclast_si128(v, k[rounds]);
}

NI static void decrypt(const struct crypto_key *key, const uint8_t *in, uint8_t *out)
{
    const struct schedule *s = schedule_from(key);
    store(out, decrypt_one(s->dec, rounds_of(key->cipher), load(in)));
}

/* Two blocks at a time: they do not wait for each other, as blocks do when encrypting. */
NI static void unchain(const struct crypto_key *key, uint8_t *chain, const uint8_t *in,
                       uint8_t *out, size_t blocks)
{
    const struct schedule *s = schedule_from(key);
    int rounds = rounds_of(key->cipher);
    __m128i before = load(chain);
    for (; blocks >= 2; blocks -= 2, in += 32, out += 32) {
        __m128i c0 = load(in), c1 = load(in + 16);
        __m128i p0 = decrypt_one(s->dec, rounds, c0), p1 = decrypt_one(s->dec, rounds, c1);
        store(out, _mm_xor_si128(p0, before));
        store(out + 16, _mm_xor_si128(p1, c0));
        before = c1;
    }
    if (blocks > 0) {
        __m128i c = load(in);
        store(out, _mm_xor_si128(decrypt_one(s->dec, rounds, c), before));
        before = c;
    }
    store(chain, before);
}

NI static void mac(const struct crypto_key *key, uint8_t *chain, const uint8_t *in, size_t blocks)
{
    const struct schedule *s = schedule_from(key);
    int rounds = rounds_of(key->cipher);
    __m128i v = load(chain);
    for (size_t i = 0; i < blocks; i++)
        v = encrypt_one(s->enc, rounds, _mm_xor_si128(v, load(in + 16 * i)));
    store(chain, v);
}

NI static void mac_two(const struct crypto_key *key, const uint8_t *m, const uint8_t *subkey,
                       uint8_t *out)
{
    const struct schedule *s = schedule_from(key);
    int rounds = rounds_of(key->cipher);
    __m128i last = _mm_xor_si128(load(m + 16), load(subkey));
    __m128i v = encrypt_one(s->enc, rounds, load(m));
    store(out, encrypt_one(s->enc, rounds, _mm_xor_si128(v, last)));
}

const struct crypto_engine *crypto_engine_aes_ni(void)
{
    static const struct crypto_engine engine = {expand, encrypt, decrypt, mac, unchain, mac_two};
    return __builtin_cpu_supports("aes") ? &engine : NULL;
}

#else

const struct crypto_engine *crypto_engine_aes_ni(void)
{
    return NULL;
}

#endif
