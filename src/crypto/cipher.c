/* Keys, CBC and CMAC on top of an engine. */
#include <string.h>

#include "crypto/engine.h"

size_t crypto_key_size(enum crypto_cipher cipher)
{
    static const uint8_t sizes[] = {
        [CRYPTO_TDEA2] = 16,  [CRYPTO_TDEA3] = 24,  [CRYPTO_AES128] = 16,
        [CRYPTO_AES192] = 24, [CRYPTO_AES256] = 32,
    };
    return sizes[cipher];
}

size_t crypto_block_size(enum crypto_cipher cipher)
{
    return cipher == CRYPTO_TDEA2 || cipher == CRYPTO_TDEA3 ? 8 : 16;
}

static uint64_t load_be64(const uint8_t *p)
{
    uint64_t v = 0;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static void store_be64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
}

/* Doubling in GF(2^b), NIST SP 800-38B §6.1; without a branch on the secret bit. */
static void double_block(uint8_t *out, const uint8_t *in, size_t n)
{
    uint64_t high = load_be64(in);
    uint64_t carry = 0 - (high >> 63);
    if (n == 8) {
        store_be64(out, high << 1 ^ (carry & 0x1B));
        return;
    }
    uint64_t low = load_be64(in + 8);
    store_be64(out, high << 1 | low >> 63);
    store_be64(out + 8, low << 1 ^ (carry & 0x87));
}

/* out ^= in, a whole block of 8 or 16 bytes. */
static void xor_block(uint8_t *out, const uint8_t *in, size_t n)
{
    for (size_t at = 0; at < n; at += 8)
        store_be64(out + at, load_be64(out + at) ^ load_be64(in + at));
}

/* Of a whole block; a memcpy of a variable length would be a call. */
static void copy_block(uint8_t *out, const uint8_t *in, size_t n)
{
    for (size_t at = 0; at < n; at += 8)
        memcpy(out + at, in + at, 8);
}

void crypto_key_init_with(struct crypto_key *key, const struct crypto_engine *engine,
                          enum crypto_cipher cipher, const uint8_t *bytes)
{
    static const uint8_t zero[CRYPTO_BLOCK_MAX];
    uint8_t l[CRYPTO_BLOCK_MAX];
    size_t n = crypto_block_size(cipher);
    key->cipher = cipher;
    key->engine = engine;
    engine->expand(key, bytes);
    engine->encrypt(key, zero, l);
    double_block(key->k1, l, n);
    double_block(key->k2, key->k1, n);
    b_wipe(l, sizeof(l));
}

const struct crypto_engine *crypto_engine_for(enum crypto_cipher cipher)
{
    if (crypto_block_size(cipher) == 8)
        return &crypto_engine_tdea;
    const struct crypto_engine *ni = crypto_engine_aes_ni();
    return ni != NULL ? ni : &crypto_engine_aes_portable;
}

void crypto_key_init(struct crypto_key *key, enum crypto_cipher cipher, const uint8_t *bytes)
{
    crypto_key_init_with(key, crypto_engine_for(cipher), cipher, bytes);
}

void crypto_key_drop(struct crypto_key *key)
{
    b_wipe(key, sizeof(*key));
}

void crypto_encrypt_block(const struct crypto_key *key, const uint8_t *in, uint8_t *out)
{
    key->engine->encrypt(key, in, out);
}

void crypto_decrypt_block(const struct crypto_key *key, const uint8_t *in, uint8_t *out)
{
    key->engine->decrypt(key, in, out);
}

void crypto_cbc_encrypt(const struct crypto_key *key, uint8_t *iv, const uint8_t *in, uint8_t *out,
                        size_t n)
{
    size_t block = crypto_block_size(key->cipher);
    b_check(n % block == 0);
    for (size_t at = 0; at < n; at += block) {
        key->engine->mac(key, iv, in + at, 1);
        copy_block(out + at, iv, block);
    }
}

void crypto_cbc_decrypt(const struct crypto_key *key, uint8_t *iv, const uint8_t *in, uint8_t *out,
                        size_t n)
{
    size_t block = crypto_block_size(key->cipher);
    b_check(n % block == 0);
    key->engine->unchain(key, iv, in, out, n / block);
}

void crypto_cmac_begin(struct crypto_cmac *c, const struct crypto_key *key, const uint8_t *iv)
{
    c->key = key;
    c->pending_len = 0;
    if (iv != NULL)
        memcpy(c->chain, iv, crypto_block_size(key->cipher));
    else
        memset(c->chain, 0, sizeof(c->chain));
}

void crypto_cmac_update(struct crypto_cmac *c, const void *p, size_t n)
{
    size_t block = crypto_block_size(c->key->cipher);
    const uint8_t *in = p;
    if (c->pending_len == 0 && n > block) {
        size_t blocks = (n - 1) / block;
        c->key->engine->mac(c->key, c->chain, in, blocks);
        in += blocks * block;
        n -= blocks * block;
    }
    while (n > 0) {
        /* The last block waits: it is treated apart, full or not. */
        if (c->pending_len == block) {
            c->key->engine->mac(c->key, c->chain, c->pending, 1);
            c->pending_len = 0;
        }
        size_t take = block - c->pending_len;
        if (take > n)
            take = n;
        memcpy(c->pending + c->pending_len, in, take);
        c->pending_len = (uint8_t)(c->pending_len + take);
        in += take;
        n -= take;
    }
}

void crypto_cmac_final(struct crypto_cmac *c, uint8_t *out)
{
    size_t block = crypto_block_size(c->key->cipher);
    const uint8_t *subkey = c->key->k1;
    if (c->pending_len < block) {
        subkey = c->key->k2;
        c->pending[c->pending_len] = 0x80;
        memset(c->pending + c->pending_len + 1, 0, block - c->pending_len - 1);
    }
    xor_block(c->pending, subkey, block);
    c->key->engine->mac(c->key, c->chain, c->pending, 1);
    copy_block(out, c->chain, block);
}

void crypto_kcv(const struct crypto_key *key, uint8_t out[static CRYPTO_KCV])
{
    static const uint8_t zeros[16];
    struct crypto_cmac cmac;
    uint8_t mac[16];
    crypto_cmac_begin(&cmac, key, NULL);
    crypto_cmac_update(&cmac, zeros, sizeof(zeros));
    crypto_cmac_final(&cmac, mac);
    b_wipe(&cmac, sizeof(cmac));
    memcpy(out, mac, CRYPTO_KCV);
}

void crypto_cmac_two(const struct crypto_key *key, const uint8_t *m, uint8_t *out)
{
    key->engine->mac_two(key, m, key->k1, out);
}
