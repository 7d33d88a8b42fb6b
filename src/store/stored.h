/* Badge keys of roles that are stored, wrapped by the vault. Part of store.h. */
#ifndef TESSERE_STORE_STORED_H
#define TESSERE_STORE_STORED_H

#include "base/base.h"
#include "crypto/role.h"

struct store;

enum { STORE_STORED_BADGE = 17, STORE_STORED_KEY = 24 };
/* The key that a badge has, or is about to have, in a role and generation. A row is never changed
 * and never removed: the card may have the key. */
struct store_stored {
    int64_t id;
    uint8_t badge[STORE_STORED_BADGE]; /* as the vault names it: 'u' and UID, or 's' and serial */
    uint8_t badge_len;
    enum key_role role;
    uint8_t generation;
    uint8_t wrapped[STORE_STORED_KEY];
    int64_t at;
};
/* Adds it; sets id. B_E_DUPLICATE when the badge has a key of this role and generation. */
B_NODISCARD enum b_code store_stored_add(struct store *s, struct store_stored *k,
                                         struct b_err *err);
/* Of k's badge, role and generation. B_E_NOT_FOUND without a message. */
B_NODISCARD enum b_code store_stored_get(struct store *s, struct store_stored *k,
                                         struct b_err *err);
B_NODISCARD enum b_code store_stored_each(struct store *s,
                                          bool (*fn)(void *ctx, const struct store_stored *k),
                                          void *ctx, struct b_err *err);
/* How many there are in all. */
B_NODISCARD enum b_code store_stored_count(struct store *s, int64_t *ret, struct b_err *err);

#endif
