/* A software card as others encoded it: written into its memory, as their software would have. */
#ifndef TESSERE_TESTS_FOREIGN_H
#define TESSERE_TESTS_FOREIGN_H

#include "desfire/picc.h"

enum { FOREIGN_KEYS = 3, FOREIGN_PROOF_KEY = 1, FOREIGN_UID_KEY = 2 };

/* Creates an application with FOREIGN_KEYS keys of one type on a blank card. */
void foreign_application(struct df_picc *picc, struct df_random random, df_aid aid,
                         const struct df_key keys[static FOREIGN_KEYS]);
/* The card's own key. */
void foreign_card_key(struct df_picc *picc, const struct df_key *key);
/* An application in the card's memory, or NULL. */
const struct picc_app *foreign_find(const struct df_picc *picc, df_aid aid);

#endif
