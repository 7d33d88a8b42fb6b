/* The journal as it is used: checkpoints signed by the vault, proofs, export, erasure. */
#ifndef TESSERE_SERVICE_JOURNAL_H
#define TESSERE_SERVICE_JOURNAL_H

#include "service/service.h"

/* Who signs this establishment's checkpoints: "tessere/<FINESS>" and the vault's key. */
B_NODISCARD enum b_code service_journal_signer(struct service *sv, struct journal_signer *ret,
                                               struct b_err *err);
/* Has the journal as it is signed, unless nothing was added since the last time. home: where the
 * newest checkpoint is kept as a file too, or NULL. B_OK also when there was nothing to do. */
B_NODISCARD enum b_code service_journal_checkpoint(struct service *sv, const char *home,
                                                   struct b_err *err);
/* Keeps a signed checkpoint, in a change. */
B_NODISCARD enum b_code service_note_checkpoint(struct service_change *c, uint64_t size,
                                                const char *note, struct b_err *err);
/* The journal as it is now. */
B_NODISCARD enum b_code service_journal_tree(struct service *sv, uint64_t *size,
                                             uint8_t root[static JOURNAL_HASH], struct b_err *err);
/* The vault goes on from the journal as it is, although it, or one before it, signed another: after
 * a restoration that the establishment decided. Journalled, with the size that was signed, and
 * signed. B_E_QUORUM once there is a roster. */
B_NODISCARD enum b_code service_journal_accept(struct service *sv, const char *home,
                                               struct b_err *err);
/* Proofs over the tree of `size` entries (0: of the newest checkpoint, which goes to *size). */
B_NODISCARD enum b_code service_journal_inclusion(struct service *sv, uint64_t index,
                                                  uint64_t *size, struct journal_proof *ret,
                                                  struct b_err *err);
/* All that somebody needs who has nothing but the published key: the entry, its proof and the
 * checkpoint of *ret_size entries. */
B_NODISCARD enum b_code service_journal_prove(struct service *sv, uint64_t index,
                                              uint64_t *ret_size, struct journal_inclusion *ret,
                                              struct b_err *err);
B_NODISCARD enum b_code service_journal_consistency(struct service *sv, uint64_t old,
                                                    uint64_t *size, struct journal_proof *ret,
                                                    struct b_err *err);
/* Writes the journal up to the newest checkpoint as static tiles below dir; once a roster is
 * founded, up to the one that a quorum allowed to take out (B_E_QUORUM). The export is journalled.
 */
B_NODISCARD enum b_code service_journal_export(struct service *sv, const char *dir,
                                               uint64_t *ret_size, struct b_err *err);
/* Forgets a person: personal data beside the journal, name and reference in the records. Badges
 * that still open something must be revoked or blank first (B_E_BADGE_STATE). Refused once a roster
 * is founded (B_E_QUORUM): then service_note_erasure is part of carrying out a proposal. */
B_NODISCARD enum b_code service_journal_erase(struct service *sv, const char *ref,
                                              uint64_t *ret_count, struct b_err *err);
B_NODISCARD enum b_code service_note_erasure(struct service_change *c, const char *ref,
                                             uint64_t *ret_count, struct b_err *err);

#endif
