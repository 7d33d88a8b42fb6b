#include "store/driver.h"
#include "store/store.h"

static void read_stored(struct statement *st, struct store_stored *k)
{
    *k = (struct store_stored){.id = driver_int(st, 0),
                               .role = (enum key_role)driver_int(st, 2),
                               .generation = (uint8_t)driver_int(st, 3),
                               .at = driver_int(st, 5)};
    k->badge_len = (uint8_t)driver_blob(st, 1, k->badge, sizeof(k->badge));
    (void)driver_blob(st, 4, k->wrapped, sizeof(k->wrapped));
}

enum b_code store_stored_add(struct store *s, struct store_stored *k, struct b_err *err)
{
    struct statement *st = NULL;
    struct store_stored there = *k;
    enum b_code r = store_stored_get(s, &there, err);
    if (r == B_OK)
        return b_err_set(err, B_E_DUPLICATE, 0, "the badge has a stored key %s of generation %u",
                         key_role_name(k->role), k->generation);
    if (r == B_E_NOT_FOUND)
        r = store_prepare(s,
                          "INSERT INTO stored_key (badge, role, generation, wrapped, at)"
                          " VALUES (?, ?, ?, ?, ?)",
                          &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, k->badge, k->badge_len);
    driver_bind_int(st, 2, k->role);
    driver_bind_int(st, 3, k->generation);
    driver_bind_blob(st, 4, k->wrapped, sizeof(k->wrapped));
    driver_bind_int(st, 5, k->at);
    r = store_run(&st, err);
    if (r == B_OK)
        k->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_stored_get(struct store *s, struct store_stored *k, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT id, badge, role, generation, wrapped, at FROM stored_key"
                                  " WHERE badge = ? AND role = ? AND generation = ?",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, k->badge, k->badge_len);
    driver_bind_int(st, 2, k->role);
    driver_bind_int(st, 3, k->generation);
    r = driver_step(st, err);
    if (r == B_OK)
        read_stored(st, k);
    driver_finish(&st);
    return r;
}

enum b_code store_stored_each(struct store *s, bool (*fn)(void *ctx, const struct store_stored *k),
                              void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    struct store_stored k;
    enum b_code r = store_prepare(
        s, "SELECT id, badge, role, generation, wrapped, at FROM stored_key ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        read_stored(st, &k);
        if (!fn(ctx, &k))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_stored_count(struct store *s, int64_t *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT count(*) FROM stored_key", &st, err);
    if (r == B_OK)
        r = driver_step(st, err);
    *ret = r == B_OK ? driver_int(st, 0) : 0;
    driver_finish(&st);
    return r;
}
