/* A table in the place of a store, which outlives the runs on a card. */
#include <string.h>

#include "desk.h"

enum asked_as { ASKED_NOTHING, ASKED_FOR, ASKED_ABSENT, ASKED_TO_KEEP };

struct desk_stored desk_name_stored(enum key_role role, uint8_t generation,
                                    const char *diversification,
                                    const struct crypto_div_facts *facts)
{
    struct desk_stored k = {.role = role, .generation = generation};
    bool has_uid = crypto_div_uses_uid(crypto_div_find(diversification));
    k.who_len = has_uid ? 7 : facts->serial_len;
    memcpy(k.who, has_uid ? facts->uid : facts->serial, k.who_len);
    return k;
}

static bool is_named(const struct desk_stored *k, const struct desk_stored *name)
{
    return k->role == name->role && k->generation == name->generation &&
           k->who_len == name->who_len && memcmp(k->who, name->who, k->who_len) == 0;
}

static struct desk_stored *find(struct desk *d, const struct desk_stored *name)
{
    for (uint8_t i = 0; i < d->store_count; i++)
        if (is_named(&d->store[i], name))
            return &d->store[i];
    return NULL;
}

const struct desk_stored *desk_find_stored(const struct desk *d, const struct desk_stored *name)
{
    return find((struct desk *)(uintptr_t)d, name);
}

enum b_code desk_stored_key(struct desk *d, const struct desk_stored *name, bool may_draw,
                            struct df_key *ret, struct b_err *err)
{
    const struct desk_stored *k = find(d, name);
    if (k != NULL && k->is_handed) {
        memcpy(ret->bytes, k->key, sizeof(k->key));
        return B_OK;
    }
    bool is_absent = d->asked_as == ASKED_ABSENT && is_named(&d->asked, name);
    if (is_absent && !may_draw)
        return b_err_set(err, B_E_STORED_KEY_MISSING, 0, "as the table says");
    d->asked = *name;
    d->asked_as = is_absent ? ASKED_TO_KEEP : ASKED_FOR;
    if (is_absent)
        crypto_random(d->asked.key, sizeof(d->asked.key));
    return b_err_set(err, B_E_KEY_AWAITED, 0, "as the table says");
}

void desk_hand(struct desk *d)
{
    struct desk_stored *k = find(d, &d->asked);
    b_check(d->asked_as == ASKED_FOR || (d->asked_as == ASKED_TO_KEEP && k == NULL));
    if (d->asked_as == ASKED_TO_KEEP) {
        b_check(d->store_count < DESK_STORED_MAX);
        k = &d->store[d->store_count++];
        *k = d->asked;
    }
    if (k != NULL)
        k->is_handed = true;
    d->asked_as = k != NULL ? ASKED_NOTHING : ASKED_ABSENT;
}

void desk_take_back(struct desk *d)
{
    d->asked_as = ASKED_NOTHING;
    for (uint8_t i = 0; i < d->store_count; i++)
        d->store[i].is_handed = false;
}
