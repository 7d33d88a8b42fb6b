/* The store anew, from what the token tells, when the database is lost. */
#include "service/adopt.h"

#include <stdlib.h>

enum b_code service_note_establishment(struct service_change *c,
                                       const struct store_establishment *e, struct b_err *err)
{
    enum b_code r = store_establishment_put(c->store, e, err);
    if (r != B_OK)
        return r;
    service_vouch_establishment(c, e);
    return service_log(
        c,
        (struct service_entry){.kind = "establishment",
                               .detail = json_pack("{s:s, s:s, s:s}", "finess", e->finess, "name",
                                                   e->name, "profile", e->profile_id)},
        err);
}

struct adoption {
    const struct store_establishment *establishment;
    struct vault_key *keys;
    size_t count;
};

static int by_generation(const void *a, const void *b)
{
    const struct vault_key *x = a;
    const struct vault_key *y = b;
    return x->role != y->role ? (int)x->role - (int)y->role
                              : (int)x->generation - (int)y->generation;
}

/* In one change: a cut leaves all of it or nothing. */
static enum b_code note_adoption(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct adoption *a = ctx;
    struct store_establishment there;
    struct store_generation g;
    enum b_code r = store_establishment_get(c->store, &there, err);
    if (r == B_OK)
        return b_err_set(err, B_E_INITIALISED, 0, "the store is that of %s", there.finess);
    r = service_note_establishment(c, a->establishment, err);
    for (size_t i = 0; r == B_OK && i < a->count; i++)
        r = service_note_rotation(c, &a->keys[i], &g, err); /* the one before it is retiring */
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "adopt",
                               .detail = json_pack("{s:I}", "keys", (json_int_t)a->count)},
        err);
}

static enum b_code check_keys(const struct adoption *a, struct b_err *err)
{
    bool has_role[KEY_ROLE_ALL] = {false};
    for (size_t i = 0; i < a->count; i++) {
        has_role[a->keys[i].role] = true;
        if (!a->keys[i].is_safe)
            return b_err_set(err, B_E_KEY_UNSAFE, 0, "key %s %u of the token",
                             key_role_name(a->keys[i].role), a->keys[i].generation);
    }
    for (size_t role = 0; role < KEY_ROLE_ALL; role++)
        if (!has_role[role])
            return b_err_set(err, B_E_KEY_MISSING, 0,
                             "the token has no key %s of this establishment",
                             key_role_name((enum key_role)role));
    return B_OK;
}

enum b_code service_adopt(struct service *sv, const struct store_establishment *e,
                          struct vault_key *keys, size_t count, struct b_err *err)
{
    struct vault_anchors anchors;
    struct adoption a = {.establishment = e, .keys = keys, .count = count};
    enum b_code r = vault_anchors(sv->vault, &anchors, err);
    if (r == B_OK && anchors.has_roster)
        r = b_err_set(err, B_E_REFUSED, 0,
                      "the token knows a roster of approvers, whose text is in the lost database "
                      "alone: put a copy of that database back");
    if (r == B_OK)
        r = check_keys(&a, err);
    if (r != B_OK)
        return r;
    qsort(keys, count, sizeof(keys[0]), by_generation);
    return service_change(sv, note_adoption, &a, err);
}
