#include "store/driver.h"
#include "store/store.h"

#define COLUMNS "id, name, type, kcv_method, kcv, wrapped, given_by, at, forgotten_at"

static void read_given(struct statement *st, struct store_given *k)
{
    *k = (struct store_given){
        .id = driver_int(st, 0), .at = driver_int(st, 7), .forgotten_at = driver_int(st, 8)};
    driver_text(st, 1, k->name, sizeof(k->name));
    driver_text(st, 2, k->type, sizeof(k->type));
    driver_text(st, 3, k->kcv_method, sizeof(k->kcv_method));
    (void)driver_blob(st, 4, k->kcv, sizeof(k->kcv));
    k->wrapped_len = driver_blob(st, 5, k->wrapped, sizeof(k->wrapped));
    driver_text(st, 6, k->by, sizeof(k->by));
}

enum b_code store_given_put(struct store *s, struct store_given *k, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO given_key (name, type, kcv_method, kcv, wrapped, given_by, at, forgotten_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    static const char update[] =
        "UPDATE given_key SET name = ?, type = ?, kcv_method = ?, kcv = ?, wrapped = ?,"
        " given_by = ?, at = ?, forgotten_at = ? WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, k->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, k->name);
    driver_bind_text(st, 2, k->type);
    driver_bind_text(st, 3, k->kcv_method);
    driver_bind_blob(st, 4, k->kcv, sizeof(k->kcv));
    driver_bind_blob(st, 5, k->wrapped, k->wrapped_len);
    driver_bind_text(st, 6, k->by);
    driver_bind_int(st, 7, k->at);
    driver_bind_int(st, 8, k->forgotten_at);
    if (k->id != 0)
        driver_bind_int(st, 9, k->id);
    r = store_run(&st, err);
    if (r == B_OK && k->id == 0)
        k->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_given_get(struct store *s, const char *name, struct store_given *ret,
                            struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT " COLUMNS " FROM given_key WHERE name = ? AND forgotten_at = 0", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, name);
    r = driver_step(st, err);
    if (r == B_OK)
        read_given(st, ret);
    else if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no key of another system is called %.40s", name);
    driver_finish(&st);
    return r;
}

enum b_code store_given_each(struct store *s, bool (*fn)(void *ctx, const struct store_given *k),
                             void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    struct store_given k;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM given_key ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        read_given(st, &k);
        if (!fn(ctx, &k))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
