/*
 * What travels: keys wrapped under another key (RFC 3394, AES key wrap; longer ones by AES-256-GCM,
 * which binds them to what is said of them), and data sealed for who
 * holds the private key of an X.509 certificate (CMS, RFC 5652), so that `openssl cms -decrypt`, or
 * a card through it, opens it.
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

/* Any secret under a key, bound to a context: nonce (random) || ciphertext || tag. */
enum { CRYPTO_SEALED_OVERHEAD = 12 + 16 };
/* out: room for plain.left + CRYPTO_SEALED_OVERHEAD. */
void crypto_seal(const uint8_t kek[static CRYPTO_KEK], struct b_rd context, struct b_rd plain,
                 uint8_t *out);
/* out: sealed.left - CRYPTO_SEALED_OVERHEAD bytes of secret memory, wiped and false when it was not
 * sealed so. */
B_NODISCARD bool crypto_unseal(const uint8_t kek[static CRYPTO_KEK], struct b_rd context,
                               struct b_rd sealed, uint8_t *out);

/* Seals data as DER for the certificate (PEM or DER). AES-256-CBC, the key for RSA by OAEP, for EC
 * by ECDH. What is sealed must say by itself whether it is whole: EnvelopedData does not.
 * B_E_CERT_BAD. */
B_NODISCARD enum b_code crypto_cms_seal(struct b_rd certificate, struct b_rd data, struct b_wr *out,
                                        struct b_err *err);

/* Tells certificates of one key: SHA-256 of the public key. B_E_CERT_BAD. */
enum { CRYPTO_CMS_KEY = 32 };
B_NODISCARD enum b_code crypto_cms_key(struct b_rd certificate, uint8_t ret[static CRYPTO_CMS_KEY],
                                       struct b_err *err);

/*
 * Data of any length, sealed for several: CMS AuthEnvelopedData (RFC 5083) with AES-256-GCM,
 * streamed as it is made. Whoever holds one of the keys opens it whole; a changed bit is noticed.
 *
 *   new → to, for each certificate → write... → end
 */
struct crypto_envelope;
/* Writes to fd, which stays the caller's. */
B_NODISCARD enum b_code crypto_envelope_new(int fd, struct crypto_envelope **ret,
                                            struct b_err *err);
/* PEM or DER. B_E_CERT_BAD. */
B_NODISCARD enum b_code crypto_envelope_to(struct crypto_envelope *e, struct b_rd certificate,
                                           struct b_err *err);
B_NODISCARD bool crypto_envelope_write(struct crypto_envelope *e, const void *p, size_t n);
B_NODISCARD enum b_code crypto_envelope_end(struct crypto_envelope *e, struct b_err *err);
void crypto_envelope_free(struct crypto_envelope **e);
/* Opens one with a private key (PEM; its passphrase is asked for at the terminal) into fd. What is
 * in fd counts only when this is B_OK. B_E_KEY_FILE: that is no private key; B_E_BACKUP_SEALED: it
 * does not open this; B_E_TOO_LARGE above 2 GiB. */
B_NODISCARD enum b_code crypto_envelope_open(struct b_rd sealed, struct b_rd key, int fd,
                                             struct b_err *err);

#endif
