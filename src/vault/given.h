/*
 * Keys of other systems, which custodians gave in a ceremony: they open badges that others encoded.
 * They leave wrapped, under a key that the token's master of role seal gives; what wraps one binds
 * it to its type and its check value:
 *
 *   version (1) || type || check value (3) || nonce || ciphertext || tag
 *
 * So they open again wherever that master is, also in a token that was restored. No generation of
 * it follows the first, so that none of them is ever left behind by a rotation.
 */
#ifndef TESSERE_VAULT_GIVEN_H
#define TESSERE_VAULT_GIVEN_H

#include "vault/vaultd.h"

/* key lies in secret memory; out has room for VAULT_GIVEN. */
B_NODISCARD enum b_code vaultd_given_wrap(struct vaultd *d, const struct df_key *key,
                                          const uint8_t kcv[static 3], uint8_t *out,
                                          struct b_err *err);
/* Opens wrapped ones, which stand one after the other, into those that a job tries, after its own.
 * job lies in secret memory. B_E_GIVEN_KEY: this token did not wrap one of them. */
B_NODISCARD enum b_code vaultd_given_open(struct vaultd *d, struct b_rd wrapped,
                                          struct profile_job *job, struct b_err *err);

#endif
