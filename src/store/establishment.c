#include <stdio.h>

#include "store/driver.h"
#include "store/store.h"

enum b_code store_establishment_put(struct store *s, const struct store_establishment *e,
                                    struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT OR REPLACE INTO establishment (one, finess, name, system,"
                                  " profile_id) VALUES (1, ?, ?, ?, ?)",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, e->finess);
    driver_bind_text(st, 2, e->name);
    driver_bind_blob(st, 3, e->system, e->system_len);
    driver_bind_text(st, 4, e->profile_id);
    return store_run(&st, err);
}

enum b_code store_establishment_get(struct store *s, struct store_establishment *ret,
                                    struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT finess, name, system, profile_id FROM establishment", &st, err);
    if (r != B_OK)
        return r;
    r = driver_step(st, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "the store holds no establishment");
    if (r == B_OK) {
        driver_text(st, 0, ret->finess, sizeof(ret->finess));
        driver_text(st, 1, ret->name, sizeof(ret->name));
        ret->system_len = (uint8_t)driver_blob(st, 2, ret->system, sizeof(ret->system));
        driver_text(st, 3, ret->profile_id, sizeof(ret->profile_id));
    }
    driver_finish(&st);
    return r;
}
