/*
 * Dual control: a person proposes, others approve by a signature of their own key over the text,
 * and the vault verifies the quorum before anything is done (src/vault/quorum.h). Everything of it
 * is in the journal, the signatures too. What can be proposed is the table action.def.
 */
#ifndef TESSERE_SERVICE_PROPOSAL_H
#define TESSERE_SERVICE_PROPOSAL_H

#include "service/service.h"

enum { SERVICE_PROPOSAL_SECONDS = 24 * 3600 };

/* The first roster: every active administrator and custodian. Needs the vault. */
B_NODISCARD enum b_code service_roster_found(struct service *sv, unsigned quorum,
                                             struct b_err *err);
/* what: one line of action.def; text: what comes with it, or "". The proposer approves separately,
 * by a signature like the others. */
B_NODISCARD enum b_code service_propose(struct service *sv, const struct store_person *proposer,
                                        const char *what, const char *text,
                                        struct store_proposal *ret, struct b_err *err);
/* With the approval that makes the quorum, it is carried out: then ret->state is DONE. Where that
 * fails, an approver may send the approval again to have it tried again. */
B_NODISCARD enum b_code service_approve(struct service *sv, const struct store_person *person,
                                        int64_t id, const uint8_t signature[static 64],
                                        struct store_proposal *ret, struct b_err *err);
B_NODISCARD enum b_code service_reject(struct service *sv, int64_t id, struct store_proposal *ret,
                                       struct b_err *err);
/* The one line of the proposal that says of what. */
void service_proposal_argument(const struct store_proposal *p, char *to, size_t cap);
/* The text that belongs to a proposal (policy, roster, certificate), SERVICE_TEXT_MAX of room; ""
 * for most. */
B_NODISCARD enum b_code service_proposal_kept(struct store *s, const struct store_proposal *p,
                                              char *text, struct b_err *err);
/* The newest proposal of this action that a quorum approved and that has not expired. Without a
 * roster nobody needs one: B_OK, id 0. B_E_QUORUM when there is none. */
B_NODISCARD enum b_code service_allowed(struct service *sv, const char *action,
                                        const char *argument, struct store_proposal *ret,
                                        struct b_err *err);
/* Shows such a proposal to the vault of this process too, which acts on it (a ceremony that may
 * begin). */
B_NODISCARD enum b_code service_proposal_again(struct service *sv, const struct store_proposal *p,
                                               struct b_err *err);

#endif
