/*
 * HPKE (RFC 9180), base mode, one message: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM.
 * A station seals a PIN with it for the vault, so that what lies between relays a box.
 *
 *   box = enc (65 bytes) || ciphertext || tag (16 bytes)
 */
#ifndef TESSERE_CRYPTO_HPKE_H
#define TESSERE_CRYPTO_HPKE_H

#include "base/base.h"

enum {
    CRYPTO_HPKE_ENC = 65,
    CRYPTO_HPKE_TAG = 16,
    CRYPTO_HPKE_OVERHEAD = CRYPTO_HPKE_ENC + CRYPTO_HPKE_TAG,
    CRYPTO_HPKE_TEXT_MAX = 256,
};

struct crypto_hpke {
    struct b_rd info, aad;
};

/* Seals for the point (65 bytes). box has room for text.left + CRYPTO_HPKE_OVERHEAD. False when the
 * point is none, or the text is longer than CRYPTO_HPKE_TEXT_MAX. */
B_NODISCARD bool crypto_hpke_seal(const uint8_t point[static 65], const struct crypto_hpke *context,
                                  struct b_rd text, uint8_t *box);
/* Opens with the scalar (32 bytes of secret memory). text has room for box.left -
 * CRYPTO_HPKE_OVERHEAD. False, and text zeroed, when it is not a box for this key and context. */
B_NODISCARD bool crypto_hpke_open(const uint8_t scalar[static 32],
                                  const struct crypto_hpke *context, struct b_rd box,
                                  uint8_t *text);
/* For known answers: with the sender's key given instead of drawn. */
B_NODISCARD bool crypto_hpke_seal_with(const uint8_t ephemeral[static 32],
                                       const uint8_t point[static 65],
                                       const struct crypto_hpke *context, struct b_rd text,
                                       uint8_t *box);

#endif
