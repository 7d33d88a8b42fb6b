/* Generations of master keys. */
#include <stdio.h>
#include <string.h>

#include "service/campaign.h"
#include "service/relay.h"

enum { KEYS_MAX = 256 };

struct rotation {
    const struct vault_key *key;
    struct store_generation *ret;
};

enum b_code service_note_rotation(struct service_change *c, const struct vault_key *key,
                                  struct store_generation *ret, struct b_err *err)
{
    static _Thread_local struct store_generation gs[STORE_GENERATIONS_MAX];
    size_t count = 0;
    enum b_code r = store_generation_list(c->store, gs, B_COUNT(gs), &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if (gs[i].role != key->role || gs[i].state != STORE_GENERATION_ACTIVE)
            continue;
        gs[i].state = STORE_GENERATION_RETIRING;
        r = store_generation_put(c->store, &gs[i], err);
        if (r == B_OK)
            r = service_log(c, (struct service_entry){.kind = "key-retiring", .generation = &gs[i]},
                            err);
    }
    if (r == B_OK)
        r = service_note_key(c, key, ret, err);
    return r == B_OK ? service_note_campaign(c, key->role, key->generation, err) : r;
}

static enum b_code note_rotation(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct rotation *k = ctx;
    return service_note_rotation(c, k->key, k->ret, err);
}

enum b_code service_note_key(struct service_change *c, const struct vault_key *key,
                             struct store_generation *ret, struct b_err *err)
{
    *ret = (struct store_generation){.role = key->role,
                                     .generation = key->generation,
                                     .state = STORE_GENERATION_ACTIVE,
                                     .created_at = c->now};
    (void)snprintf(ret->kcv_method, sizeof(ret->kcv_method), "%s", key->kcv_method);
    memcpy(ret->kcv, key->kcv, sizeof(ret->kcv));
    enum b_code r = store_generation_put(c->store, ret, err);
    if (r != B_OK)
        return r;
    return service_log(c, (struct service_entry){.kind = "key-active", .generation = ret}, err);
}

/* One that the token has and the store does not name was made by a rotation that was cut in
 * between: it is taken as it is, or this role could never be rotated again. */
static enum b_code make_or_take(struct vault *v, enum key_role role, uint8_t generation,
                                struct vault_key *ret, struct b_err *err)
{
    static _Thread_local struct vault_key keys[KEYS_MAX];
    size_t count = 0;
    enum b_code r = vault_key_generate(v, role, generation, ret, err);
    if (r != B_E_KEY_EXISTS)
        return r;
    r = vault_key_list(v, keys, B_COUNT(keys), &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if (keys[i].role != role || keys[i].generation != generation)
            continue;
        *ret = keys[i];
        return keys[i].is_safe ? B_OK
                               : b_err_set(err, B_E_KEY_UNSAFE, 0, "key %s %u of the token",
                                           key_role_name(role), generation);
    }
    return r == B_OK
               ? b_err_set(err, B_E_KEY_MISSING, 0, "key %s %u", key_role_name(role), generation)
               : r;
}

enum b_code service_next_generation(struct store *s, enum key_role role, uint8_t *ret,
                                    struct b_err *err)
{
    static _Thread_local struct store_generation gs[STORE_GENERATIONS_MAX];
    size_t count = 0;
    size_t usable = 0;
    uint8_t newest = 0;
    enum b_code r = store_generation_list(s, gs, B_COUNT(gs), &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if (gs[i].role != role)
            continue;
        newest = gs[i].generation > newest ? gs[i].generation : newest;
        usable += gs[i].state != STORE_GENERATION_RETIRED;
    }
    if (r != B_OK)
        return r;
    if (newest == KEY_GENERATION_MAX || count == B_COUNT(gs))
        return b_err_set(err, B_E_KEY_EXISTS, 0, "role %s has used all its generations",
                         key_role_name(role));
    if (usable >= PROFILE_GENERATIONS_MAX) /* a badge of one more would not be known any more */
        return b_err_set(
            err, B_E_GENERATION_NEEDED, 0,
            "role %s has %zu generations that badges may have: retire the oldest first",
            key_role_name(role), usable);
    *ret = (uint8_t)(newest + 1);
    return B_OK;
}

/* The key is made in the token first: a generation that the store names always exists. */
enum b_code service_rotate(struct service *sv, enum key_role role, struct store_generation *ret,
                           struct b_err *err)
{
    uint8_t next = 0;
    struct vault_key key;
    enum b_code r = service_next_generation(sv->store, role, &next, err);
    if (r == B_OK)
        r = make_or_take(sv->vault, role, next, &key, err);
    if (r != B_OK)
        return r;
    struct rotation k = {&key, ret};
    return service_change(sv, note_rotation, &k, err);
}
