#include <stdio.h>

#include "store/driver.h"
#include "store/store.h"

const char *store_generation_state_name(enum store_generation_state st)
{
    static const char *const names[] = {"pending", "active", "retiring", "retired", "compromised"};
    return (size_t)st < B_COUNT(names) ? names[st] : "?";
}

enum b_code store_generation_put(struct store *s, const struct store_generation *g,
                                 struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT OR REPLACE INTO generation (role, generation, state,"
                                  " kcv_method, kcv, created_at, compromised_at)"
                                  " VALUES (?, ?, ?, ?, ?, ?, ?)",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, g->role);
    driver_bind_int(st, 2, g->generation);
    driver_bind_int(st, 3, g->state);
    driver_bind_text(st, 4, g->kcv_method);
    driver_bind_blob(st, 5, g->kcv, sizeof(g->kcv));
    driver_bind_int(st, 6, g->created_at);
    driver_bind_int(st, 7, g->compromised_at);
    return store_run(&st, err);
}

#define COLUMNS "role, generation, state, kcv_method, kcv, created_at, compromised_at"

static enum b_code read_generation(struct statement *st, struct store_generation *g,
                                   struct b_err *err)
{
    *g = (struct store_generation){.role = (enum key_role)driver_int(st, 0),
                                   .generation = (uint8_t)driver_int(st, 1),
                                   .state = (enum store_generation_state)driver_int(st, 2),
                                   .created_at = driver_int(st, 5),
                                   .compromised_at = driver_int(st, 6)};
    driver_text(st, 3, g->kcv_method, sizeof(g->kcv_method));
    (void)driver_blob(st, 4, g->kcv, sizeof(g->kcv));
    return g->role < KEY_ROLE_ALL
               ? B_OK
               : b_err_set(err, B_E_STORE_CORRUPT, 0, "a generation of a role that does not exist");
}

enum b_code store_generation_get(struct store *s, enum key_role role, uint8_t generation,
                                 struct store_generation *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT " COLUMNS " FROM generation WHERE role = ? AND generation = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, role);
    driver_bind_int(st, 2, generation);
    r = driver_step(st, err);
    if (r == B_OK)
        r = read_generation(st, ret, err);
    driver_finish(&st);
    return r;
}

enum b_code store_generation_list(struct store *s, struct store_generation *gs, size_t cap,
                                  size_t *ret_count, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT " COLUMNS " FROM generation ORDER BY role, generation", &st, err);
    size_t n = 0;
    while (r == B_OK && (r = driver_step(st, err)) == B_OK)
        r = n < cap ? read_generation(st, &gs[n++], err)
                    : b_err_set(err, B_E_TOO_LARGE, 0, "more than %zu generations", cap);
    driver_finish(&st);
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    *ret_count = n;
    return B_OK;
}
