/*
 * An engine computes one family of block ciphers on schedules that lie in struct crypto_key.
 *
 *   aes_ni        AES with the CPU's instructions
 *   aes_portable  AES by libcrypto, for CPUs without them
 *   tdea          two- and three-key triple DES by libcrypto
 *
 * Why not EVP: an EVP context keeps its schedule in libcrypto's heap, outside the secret arena, and
 * setting a key costs more than a whole authentication (docs/dependencies.md has the figures).
 */
#ifndef TESSERE_CRYPTO_ENGINE_H
#define TESSERE_CRYPTO_ENGINE_H

#include "crypto/crypto.h"

struct crypto_engine {
    void (*expand)(struct crypto_key *key, const uint8_t *bytes);
    void (*encrypt)(const struct crypto_key *key, const uint8_t *in, uint8_t *out);
    void (*decrypt)(const struct crypto_key *key, const uint8_t *in, uint8_t *out);
    /* chain = E(chain xor block) for each of n blocks. */
    void (*mac)(const struct crypto_key *key, uint8_t *chain, const uint8_t *in, size_t blocks);
    /* CBC decryption of n blocks: out = D(in) xor chain, chain = in. out may be in. */
    void (*unchain)(const struct crypto_key *key, uint8_t *chain, const uint8_t *in, uint8_t *out,
                    size_t blocks);
    /* out = E(E(m0) xor m1 xor subkey) of two blocks: the whole of an AN10922 part. */
    void (*mac_two)(const struct crypto_key *key, const uint8_t *m, const uint8_t *subkey,
                    uint8_t *out);
};

/* NULL on a CPU without AES instructions. */
const struct crypto_engine *crypto_engine_aes_ni(void);
extern const struct crypto_engine crypto_engine_aes_portable;
extern const struct crypto_engine crypto_engine_tdea;

/* As crypto_key_init, with a chosen engine: for tests of one against the other. */
void crypto_key_init_with(struct crypto_key *key, const struct crypto_engine *engine,
                          enum crypto_cipher cipher, const uint8_t *bytes);

/* The engine that this machine uses for a cipher. */
const struct crypto_engine *crypto_engine_for(enum crypto_cipher cipher);

/* As crypto_self_test, with chosen engines: for tests of the test. */
B_NODISCARD enum b_code crypto_self_test_with(const struct crypto_engine *aes,
                                              const struct crypto_engine *tdea, struct b_err *err);

#endif
