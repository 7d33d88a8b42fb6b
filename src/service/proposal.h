/*
 * Dual control: a person proposes, others approve by a signature of their own key over the text,
 * and the vault verifies the quorum before anything is done (src/vault/quorum.h). Everything of it
 * is in the journal, the signatures too.
 *
 *   rotate ROLE             a new master key of the role
 *   retire ROLE GENERATION  its badges are no longer accepted
 *   compromise ROLE GENERATION
 *   erase REF               forget a holder
 *   roster                  the administrators and custodians as they are registered now
 */
#ifndef TESSERE_SERVICE_PROPOSAL_H
#define TESSERE_SERVICE_PROPOSAL_H

#include "service/service.h"

enum { SERVICE_PROPOSAL_SECONDS = 24 * 3600, SERVICE_ROSTER_MAX = 4096 };

/* The first roster: every active administrator and custodian. Needs the vault. */
B_NODISCARD enum b_code service_roster_found(struct service *sv, unsigned quorum,
                                             struct b_err *err);
/* what: one line as above. The proposer approves separately, by a signature like the others. */
B_NODISCARD enum b_code service_propose(struct service *sv, const struct store_person *proposer,
                                        const char *what, struct store_proposal *ret,
                                        struct b_err *err);
/* With the approval that makes the quorum, it is carried out: then ret->state is DONE. */
B_NODISCARD enum b_code service_approve(struct service *sv, const struct store_person *person,
                                        int64_t id, const uint8_t signature[static 64],
                                        struct store_proposal *ret, struct b_err *err);
B_NODISCARD enum b_code service_reject(struct service *sv, int64_t id, struct store_proposal *ret,
                                       struct b_err *err);

#endif
