/* Generations of master keys. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "service/relay.h"

/* The key is made in the token first: a generation that the store names always exists. */
enum b_code service_rotate(struct service *sv, enum key_role role, struct store_generation *ret,
                           struct b_err *err)
{
    struct store_generation gs[64];
    size_t count = 0;
    enum b_code r = store_generation_list(sv->store, gs, B_COUNT(gs), &count, err);
    uint8_t newest = 0;
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if (gs[i].role == role && gs[i].generation > newest)
            newest = gs[i].generation;
    }
    if (r == B_OK && newest == KEY_GENERATION_MAX)
        r = b_err_set(err, B_E_KEY_EXISTS, 0, "role %s has used all its generations",
                      key_role_name(role));
    struct vault_key key;
    if (r == B_OK)
        r = vault_key_generate(sv->vault, role, (uint8_t)(newest + 1), &key, err);
    if (r != B_OK)
        return r;
    r = store_begin(sv->store, err);
    if (r != B_OK)
        return r;
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if (gs[i].role != role || gs[i].state != STORE_GENERATION_ACTIVE)
            continue;
        gs[i].state = STORE_GENERATION_RETIRING;
        r = store_generation_put(sv->store, &gs[i], err);
    }
    *ret = (struct store_generation){.role = role,
                                     .generation = key.generation,
                                     .state = STORE_GENERATION_ACTIVE,
                                     .created_at = (int64_t)time(NULL)};
    (void)snprintf(ret->kcv_method, sizeof(ret->kcv_method), "%s", key.kcv_method);
    memcpy(ret->kcv, key.kcv, sizeof(ret->kcv));
    if (r == B_OK)
        r = store_generation_put(sv->store, ret, err);
    char detail[64];
    (void)snprintf(detail, sizeof(detail), "%s generation %u", key_role_name(role),
                   ret->generation);
    if (r == B_OK)
        r = service_note(sv, "rotate", B_OK, 0, detail, err);
    if (r == B_OK)
        return store_commit(sv->store, err);
    store_rollback(sv->store);
    return r;
}
