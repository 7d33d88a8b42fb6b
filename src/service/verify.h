/*
 * Verifying the journal, and with it the store: the tree against its stored hashes, its signed
 * checkpoints, an earlier checkpoint kept elsewhere, personal data against what the tree commits
 * to, and every record against what the journal says of it last.
 */
#ifndef TESSERE_SERVICE_VERIFY_H
#define TESSERE_SERVICE_VERIFY_H

#include "journal/journal.h"
#include "store/store.h"

struct service_verify {
    const struct journal_signer *signer; /* whose checkpoints count; NULL: they are not checked */
    const char *earlier;                 /* a note kept elsewhere, or NULL */
    const char *finess;
};
struct service_verified {
    uint64_t entries, hashes, checkpoints, records, personal, erased;
    uint8_t root[JOURNAL_HASH];
};
/* B_E_JOURNAL_BROKEN, _FORK, _ROLLBACK, _SIGNATURE name what is wrong, and where. */
B_NODISCARD enum b_code service_verify(struct store *s, const struct service_verify *what,
                                       struct service_verified *ret, struct b_err *err);

#endif
