/*
 * Keys that travel: wrapped under another key (RFC 3394, AES key wrap), and data sealed for who
 * holds the private key of an X.509 certificate (CMS EnvelopedData, RFC 5652), so that
 * `openssl cms -decrypt`, or a card through it, opens them.
 */
#ifndef TESSERE_CRYPTO_WRAP_H
#define TESSERE_CRYPTO_WRAP_H

#include "base/base.h"

enum { CRYPTO_KEK = 32, CRYPTO_WRAPPED_MAX = 40, CRYPTO_CMS_MAX = 8192 };

/* n: 16, 24 or 32 bytes of key; out: n + 8. */
void crypto_key_wrap(const uint8_t kek[static CRYPTO_KEK], const uint8_t *key, size_t n,
                     uint8_t *out);
/* n: of the wrapped key; out: n - 8, wiped and false when it was not wrapped under this one. */
B_NODISCARD bool crypto_key_unwrap(const uint8_t kek[static CRYPTO_KEK], const uint8_t *wrapped,
                                   size_t n, uint8_t *out);

/* Seals data as DER for the certificate (PEM or DER). AES-256-CBC, the key for RSA by OAEP, for EC
 * by ECDH. What is sealed must say by itself whether it is whole: EnvelopedData does not.
 * B_E_CERT_BAD. */
B_NODISCARD enum b_code crypto_cms_seal(struct b_rd certificate, struct b_rd data, struct b_wr *out,
                                        struct b_err *err);

#endif
