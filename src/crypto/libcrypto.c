/*
 * Block ciphers of libcrypto on schedules in the caller's memory. These are the functions that
 * OpenSSL 3 marks as deprecated in favour of EVP; EVP would keep keys in its own heap, where they
 * are neither locked nor wiped at the moment we choose.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/aes.h>
#include <openssl/des.h>
#include <string.h>

#include "crypto/engine.h"

struct aes_schedule {
    AES_KEY enc, dec;
};
struct des_schedule {
    DES_key_schedule k[3];
};
static_assert(sizeof(struct aes_schedule) <= sizeof(((struct crypto_key *)0)->schedule),
              "libcrypto's AES schedules fit struct crypto_key");
static_assert(sizeof(struct des_schedule) <= sizeof(((struct crypto_key *)0)->schedule),
              "libcrypto's DES schedules fit struct crypto_key");

static struct aes_schedule *aes_of(struct crypto_key *key)
{
    return (struct aes_schedule *)(void *)key->schedule;
}

static const struct aes_schedule *aes_from(const struct crypto_key *key)
{
    return (const struct aes_schedule *)(const void *)key->schedule;
}

static void aes_expand(struct crypto_key *key, const uint8_t *bytes)
{
    int bits = (int)crypto_key_size(key->cipher) * 8;
    b_check(AES_set_encrypt_key(bytes, bits, &aes_of(key)->enc) == 0);
    b_check(AES_set_decrypt_key(bytes, bits, &aes_of(key)->dec) == 0);
}

static void aes_encrypt(const struct crypto_key *key, const uint8_t *in, uint8_t *out)
{
    AES_encrypt(in, out, &aes_from(key)->enc);
}

static void aes_decrypt(const struct crypto_key *key, const uint8_t *in, uint8_t *out)
{
    AES_decrypt(in, out, &aes_from(key)->dec);
}

static void chain_blocks(const struct crypto_key *key, uint8_t *chain, const uint8_t *in,
                         size_t blocks)
{
    size_t n = crypto_block_size(key->cipher);
    for (; blocks > 0; blocks--, in += n) {
        for (size_t i = 0; i < n; i++)
            chain[i] ^= in[i];
        key->engine->encrypt(key, chain, chain);
    }
}

static void unchain_blocks(const struct crypto_key *key, uint8_t *chain, const uint8_t *in,
                           uint8_t *out, size_t blocks)
{
    size_t n = crypto_block_size(key->cipher);
    for (; blocks > 0; blocks--, in += n, out += n) {
        uint8_t cipher[CRYPTO_BLOCK_MAX];
        memcpy(cipher, in, n); /* out may be in */
        key->engine->decrypt(key, cipher, out);
        for (size_t i = 0; i < n; i++)
            out[i] ^= chain[i];
        memcpy(chain, cipher, n);
    }
}

static void chain_two(const struct crypto_key *key, const uint8_t *m, const uint8_t *subkey,
                      uint8_t *out)
{
    size_t n = crypto_block_size(key->cipher);
    memset(out, 0, n);
    chain_blocks(key, out, m, 1);
    for (size_t i = 0; i < n; i++)
        out[i] ^= subkey[i];
    chain_blocks(key, out, m + n, 1);
}

const struct crypto_engine crypto_engine_aes_portable = {aes_expand,   aes_encrypt,    aes_decrypt,
                                                         chain_blocks, unchain_blocks, chain_two};

static void des_expand(struct crypto_key *key, const uint8_t *bytes)
{
    struct des_schedule *s = (struct des_schedule *)(void *)key->schedule;
    bool has_three = key->cipher == CRYPTO_TDEA3;
    for (size_t i = 0; i < 3; i++) {
        DES_cblock block;
        memcpy(block, bytes + (i == 2 && !has_three ? 0 : 8 * i), sizeof(block));
        DES_set_key_unchecked(&block, &s->k[i]);
        b_wipe(block, sizeof(block));
    }
}

static void des_block(const struct crypto_key *key, const uint8_t *in, uint8_t *out, int direction)
{
    struct des_schedule s;
    memcpy(&s, key->schedule, sizeof(s)); /* DES_ecb3_encrypt takes schedules that are not const */
    DES_cblock from, to;
    memcpy(from, in, sizeof(from));
    DES_ecb3_encrypt(&from, &to, &s.k[0], &s.k[1], &s.k[2], direction);
    memcpy(out, to, sizeof(to));
    b_wipe(&s, sizeof(s));
}

static void des_encrypt(const struct crypto_key *key, const uint8_t *in, uint8_t *out)
{
    des_block(key, in, out, DES_ENCRYPT);
}

static void des_decrypt(const struct crypto_key *key, const uint8_t *in, uint8_t *out)
{
    des_block(key, in, out, DES_DECRYPT);
}

const struct crypto_engine crypto_engine_tdea = {des_expand,   des_encrypt,    des_decrypt,
                                                 chain_blocks, unchain_blocks, chain_two};
