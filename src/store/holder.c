#include <string.h>

#include "store/driver.h"
#include "store/store.h"

#define COLUMNS \
    "id, ref, name, state, pin, pin_tries, pin_failed_at, is_pin_locked, full_at, full_zone, salt"

const char *store_party_state_name(enum store_party_state st)
{
    static const char *const names[] = {"active", "suspended", "ended"};
    return (size_t)st < B_COUNT(names) ? names[st] : "?";
}

static void read_holder(struct statement *st, struct store_holder *h)
{
    *h = (struct store_holder){.id = driver_int(st, 0),
                               .state = (enum store_party_state)driver_int(st, 3),
                               .pin_tries = (uint32_t)driver_int(st, 5),
                               .pin_failed_at = driver_int(st, 6),
                               .is_pin_locked = driver_int(st, 7) != 0,
                               .full_at = driver_int(st, 8)};
    driver_text(st, 1, h->ref, sizeof(h->ref));
    driver_text(st, 2, h->name, sizeof(h->name));
    h->pin_len = driver_blob(st, 4, h->pin, sizeof(h->pin));
    driver_text(st, 9, h->full_zone, sizeof(h->full_zone));
    (void)driver_blob(st, 10, h->salt, sizeof(h->salt));
}

enum b_code store_holder_put(struct store *s, struct store_holder *h, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO holder (ref, name, state, pin, pin_tries, pin_failed_at, is_pin_locked,"
        " full_at, full_zone, salt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char update[] =
        "UPDATE holder SET ref = ?, name = ?, state = ?, pin = ?, pin_tries = ?,"
        " pin_failed_at = ?, is_pin_locked = ?, full_at = ?, full_zone = ?, salt = ?"
        " WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, h->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, h->ref);
    driver_bind_text(st, 2, h->name);
    driver_bind_int(st, 3, h->state);
    driver_bind_blob(st, 4, h->pin, h->pin_len);
    driver_bind_int(st, 5, h->pin_tries);
    driver_bind_int(st, 6, h->pin_failed_at);
    driver_bind_int(st, 7, h->is_pin_locked);
    driver_bind_int(st, 8, h->full_at);
    driver_bind_text(st, 9, h->full_zone);
    driver_bind_blob(st, 10, h->salt, sizeof(h->salt));
    if (h->id != 0)
        driver_bind_int(st, 11, h->id);
    r = store_run(&st, err);
    if (r == B_E_DUPLICATE)
        (void)b_err_set(err, r, 0, "there is a holder %s already", h->ref);
    if (r == B_OK && h->id == 0)
        h->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_holder_by_ref(struct store *s, const char *ref, struct store_holder *ret,
                                struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM holder WHERE ref = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, ref);
    r = driver_step(st, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no holder %s", ref);
    if (r == B_OK)
        read_holder(st, ret);
    driver_finish(&st);
    return r;
}

enum b_code store_holder_by_id(struct store *s, int64_t id, struct store_holder *ret,
                               struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM holder WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = driver_step(st, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no holder %lld", (long long)id);
    if (r == B_OK)
        read_holder(st, ret);
    driver_finish(&st);
    return r;
}

enum b_code store_holder_each(struct store *s, int64_t after_id, const char *part,
                              bool (*fn)(void *ctx, const struct store_holder *h), void *ctx,
                              struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s,
        "SELECT " COLUMNS " FROM holder WHERE id > ?1 AND (?2 = '' OR instr(lower(name),"
        " lower(?2)) > 0 OR instr(lower(ref), lower(?2)) > 0) ORDER BY id",
        &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, after_id);
    driver_bind_text(st, 2, part != NULL ? part : "");
    struct store_holder h;
    while ((r = driver_step(st, err)) == B_OK) {
        read_holder(st, &h);
        if (!fn(ctx, &h))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
