/*
 * Dual control, verified where the keys are. The roster names those who may approve and how many
 * must; its digest is an anchor in the token, so that the server that keeps its text cannot change
 * it. A proposal is a text; an approval is an ECDSA signature (P-256, SHA-256) over exactly that
 * text.
 *
 *   tessere-roster/v1                         tessere-proposal/v1
 *   establishment 750712184                   establishment 750712184
 *   quorum 2                                  roster <SHA-256 of the roster, hex>
 *   approver <name> <point, hex>              number 12
 *   …                                         action rotate
 *                                             argument <one line>
 *                                             proposer alice
 *                                             expires 1795470000
 *
 * Lines end with a line feed. What the vault does itself: action "rotate", argument "auth 4" (makes
 * that master key); action "roster", argument <digest of the new roster>; action "policy", argument
 * <digest of the tap policy>; action "accept", argument "<size> <root>" (goes on from that state of
 * the journal, whatever was signed before, once); action "ceremony", argument "init", "share",
 * "restore" or "rotate auth 4" (that ceremony may begin, once, also when it comes to nothing). What
 * acts once is remembered in the token until it expires. For every action it gives a receipt: an
 * Ed25519 signature by the journal's key over "tessere-receipt/v1\n" and the proposal.
 */
#ifndef TESSERE_VAULT_QUORUM_H
#define TESSERE_VAULT_QUORUM_H

#include "vault/vaultd.h"

enum { VAULTD_APPROVERS_MAX = 16, VAULTD_LINE_MAX = 256 };

struct vaultd_carry {
    struct b_rd roster, proposal;
    struct b_rd approvals; /* signatures of 64 bytes, in any order */
    int64_t now;           /* seconds since 1970 */
};
/* The answer's fields: receipt, and the key that was made or nothing. B_E_QUORUM, B_E_APPROVAL_BAD,
 * B_E_PROPOSAL_EXPIRED, B_E_PROPOSAL_DONE. */
enum b_code vaultd_carry_out(struct vaultd *d, const struct vaultd_carry *carry,
                             struct wire_out *answer, struct b_err *err);
/* The first roster of an establishment, and the digest of the policy in force; B_E_QUORUM when it
 * has one. */
enum b_code vaultd_found_roster(struct vaultd *d, struct b_rd roster, struct b_rd policy,
                                struct b_err *err);
/* The answer's fields: digests of roster and policy, empty where there is none. */
enum b_code vaultd_anchors(struct vaultd *d, struct wire_out *answer, struct b_err *err);
/* Whether the token has a roster: then a key is made by carrying out a proposal alone. */
enum b_code vaultd_has_roster(struct vaultd *d, bool *ret, struct b_err *err);

#endif
