/*
 * Signatures: Ed25519 (RFC 8032) for the journal, ECDSA P-256 with SHA-256 (FIPS 186-5, ES256 of
 * RFC 7518) for assertions and approvals. Private keys are raw bytes in the caller's secret memory;
 * libcrypto's own copies are wiped when a call returns.
 */
#ifndef TESSERE_CRYPTO_SIGN_H
#define TESSERE_CRYPTO_SIGN_H

#include "base/base.h"

enum {
    CRYPTO_ED25519_KEY = 32,
    CRYPTO_P256_SCALAR = 32,
    CRYPTO_P256_POINT = 65, /* 04 || X || Y */
    CRYPTO_SIGNATURE = 64,  /* Ed25519: R || S; ES256: r || s */
};

void crypto_ed25519_public(const uint8_t seed[static 32], uint8_t public_key[static 32]);
void crypto_ed25519_sign(const uint8_t seed[static 32], const void *message, size_t n,
                         uint8_t signature[static 64]);
B_NODISCARD bool crypto_ed25519_verify(const uint8_t public_key[static 32], const void *message,
                                       size_t n, const uint8_t signature[static 64]);

/* A P-256 key, ready to sign: made once, used often. scalar: 1 .. n-1, big endian; NULL when it is
 * not. Free with crypto_es256_free. */
struct crypto_es256;
struct crypto_es256 *crypto_es256_new(const uint8_t scalar[static 32]);
void crypto_es256_free(struct crypto_es256 **key);
void crypto_es256_public(const struct crypto_es256 *key, uint8_t point[static 65]);
B_NODISCARD bool crypto_es256_sign(const struct crypto_es256 *key, const void *message, size_t n,
                                   uint8_t signature[static 64]);
B_NODISCARD bool crypto_es256_verify(const uint8_t point[static 65], const void *message, size_t n,
                                     const uint8_t signature[static 64]);

#endif
