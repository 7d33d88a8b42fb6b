/*
 * The vault's own secrets, derived from the master of role seal in the token: nothing of them is
 * stored, and the token alone brings them back.
 *
 *   journal     Ed25519, signs checkpoints
 *   assertion   P-256, signs assertions of taps (ES256)
 *   pin         P-256, opens the boxes in which stations send PINs (HPKE)
 *   signer      AES-256, wraps the keys that sign tokens (signer.h)
 *   given       AES-256, wraps keys of other systems (given.h)
 *   pepper      32 bytes that PIN records are useless without
 *
 * Each is SHA-256(CMAC(label || 1) || CMAC(label || 2) || label || n), n from 0 until it serves.
 */
#ifndef TESSERE_VAULT_IDENTITY_H
#define TESSERE_VAULT_IDENTITY_H

#include "crypto/sign.h"
#include "vault/vaultd.h"

struct vaultd_identity {
    uint8_t journal[32], journal_public[32];
    uint8_t pin[32], pin_public[CRYPTO_P256_POINT];
    uint8_t pepper[32];
    uint8_t signer[32];
    uint8_t given[32];
    struct crypto_es256 *assertion;
    uint8_t assertion_public[CRYPTO_P256_POINT];
    char key_id[12]; /* of the assertion key: base64url of 8 bytes of its digest */
};

/* The identity, derived at the first need and kept until the vault ends. */
B_NODISCARD enum b_code vaultd_identity(struct vaultd *d, const struct vaultd_identity **ret,
                                        struct b_err *err);
void vaultd_identity_drop(struct vaultd *d);

/* checkpoint.c: what the vault signed last; it signs nothing that contradicts it. */
/* root: 32 bytes; proof and other: consistency from what vaultd_journal_seen tells, hashes of 32
 * bytes. */
B_NODISCARD enum b_code vaultd_checkpoint(struct vaultd *d, const struct vault_tree *asked,
                                          struct wire_out *answer, struct b_err *err);
/* The sizes that the next proofs must start from; 0: none was signed. */
B_NODISCARD enum b_code vaultd_journal_seen(struct vaultd *d, struct vault_seen *ret,
                                            struct b_err *err);
/* Goes on from this state, whatever was signed: the caller has seen to it that this may be. */
B_NODISCARD enum b_code vaultd_journal_accept(struct vaultd *d, uint64_t size,
                                              const uint8_t root[static 32], struct b_err *err);

/* assertion.c: a JWT (RFC 7519) for a tap that this vault has verified. */
struct vaultd_proven {
    const char *card; /* UID or serial in hexadecimal, as the key was derived */
    uint8_t generation;
    bool has_pin;
};
B_NODISCARD enum b_code vaultd_assert(struct vaultd *d, const struct vault_claims *claims,
                                      const struct vaultd_proven *proven, struct b_wr *jwt,
                                      struct b_err *err);
/* What an assertion of this vault's key says, at whatever age. B_E_ASSERTION. */
B_NODISCARD enum b_code vaultd_assertion_read(struct vaultd *d, struct b_rd jwt,
                                              struct b_wr *payload, struct b_err *err);
/* Appends base64url of what in holds. */
void vaultd_put_encoded(struct b_wr *w, struct b_rd in);

#endif
