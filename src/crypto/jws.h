/*
 * Keys that sign tokens for others (RFC 7515, RFC 7518): RSA-3072 with PKCS#1 v1.5 and SHA-256, or
 * P-256. A private key is bytes of the caller's secret memory in a form of our own, because
 * libcrypto's encoders leave copies behind; its own copies are wiped when a call returns.
 *
 *   RS256   n || d (384 bytes each) || p || q || d mod p-1 || d mod q-1 || 1/q mod p (192 each);
 *           e is 65537
 *   ES256   the scalar (32 bytes)
 *
 * A public key is SubjectPublicKeyInfo in DER.
 */
#ifndef TESSERE_CRYPTO_JWS_H
#define TESSERE_CRYPTO_JWS_H

#include "base/base.h"

enum crypto_jws { CRYPTO_JWS_RS256, CRYPTO_JWS_ES256, CRYPTO_JWS_COUNT };
enum {
    CRYPTO_JWS_PRIVATE_MAX = 2 * 384 + 5 * 192,
    CRYPTO_JWS_PUBLIC_MAX = 512,
    CRYPTO_JWS_SIGNATURE_MAX = 384,
    CRYPTO_JWK_ID = 44, /* room for an RFC 7638 thumbprint in base64url */
};

/* "RS256". */
const char *crypto_jws_name(enum crypto_jws alg);
/* CRYPTO_JWS_COUNT: none has this name. */
enum crypto_jws crypto_jws_from(const char *name);

/* Makes one; RSA takes a second. False: no memory. */
B_NODISCARD bool crypto_jws_make(enum crypto_jws alg, struct b_wr *private_key,
                                 struct b_wr *public_key);
B_NODISCARD bool crypto_jws_sign(enum crypto_jws alg, struct b_rd private_key, struct b_rd message,
                                 struct b_wr *signature);
B_NODISCARD bool crypto_jws_verify(enum crypto_jws alg, struct b_rd public_key, struct b_rd message,
                                   struct b_rd signature);

/* A public key as RFC 7517 names its parts, in base64url. */
struct crypto_jwk {
    enum crypto_jws alg;
    char id[CRYPTO_JWK_ID]; /* RFC 7638: SHA-256 */
    char n[516], e[8];      /* RS256 */
    char x[48], y[48];      /* ES256 */
};
/* False when it is no such key. */
B_NODISCARD bool crypto_jwk(struct b_rd public_key, struct crypto_jwk *ret);

#endif
