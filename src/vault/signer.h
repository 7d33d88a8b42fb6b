/*
 * Keys that sign tokens for relying parties (OpenID Connect Core, Back-Channel Logout, RFC 8417).
 * They are made here and leave wrapped, under a key that the token's master of role seal gives;
 * what wraps one binds it to its name and its algorithm:
 *
 *   version (1) || algorithm || key id (43) || nonce || ciphertext || tag
 *
 * Nothing is kept between two messages: unwrapping costs microseconds, and a signature opens its
 * key for itself alone.
 */
#ifndef TESSERE_VAULT_SIGNER_H
#define TESSERE_VAULT_SIGNER_H

#include "crypto/jws.h"
#include "vault/vaultd.h"

/* The answer's fields of signer_make. */
enum b_code vaultd_signer_make(struct vaultd *d, enum crypto_jws alg, struct wire_out *answer,
                               struct b_err *err);

struct vaultd_sign {
    enum vault_token_kind kind;
    struct b_rd wrapped, assertion, claims;
};
/* The answer's field of signer_sign. */
enum b_code vaultd_signer_sign(struct vaultd *d, const struct vaultd_sign *s,
                               struct wire_out *answer, struct b_err *err);

#endif
