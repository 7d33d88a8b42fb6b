/* The store anew when the database is lost: the token and the badges themselves tell the rest. */
#ifndef TESSERE_SERVICE_ADOPT_H
#define TESSERE_SERVICE_ADOPT_H

#include "service/service.h"

/* The establishment's row and the entry that tells it; in a change. */
B_NODISCARD enum b_code service_note_establishment(struct service_change *c,
                                                   const struct store_establishment *e,
                                                   struct b_err *err);
/* Fills a store without an establishment: of each role the newest key of the token is in use, older
 * ones are retiring. What had been retired or declared compromised is not known any more: that must
 * be said again. keys: the token's, which are sorted here. B_E_INITIALISED, B_E_KEY_MISSING,
 * B_E_KEY_UNSAFE; B_E_REFUSED where the token has a roster of approvers, which only a copy of the
 * former database names. */
B_NODISCARD enum b_code service_adopt(struct service *sv, const struct store_establishment *e,
                                      struct vault_key *keys, size_t count, struct b_err *err);

#endif
