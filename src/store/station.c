#include <string.h>

#include "store/driver.h"
#include "store/store.h"

#define COLUMNS                                                                        \
    "id, name, grp, zone, state, fingerprint, next, code, code_expires, cert_expires," \
    " created_at, changed_at"

static void read_station(struct statement *st, struct store_station *t)
{
    *t = (struct store_station){.id = driver_int(st, 0),
                                .state = (enum store_party_state)driver_int(st, 4),
                                .code_expires = driver_int(st, 8),
                                .cert_expires = driver_int(st, 9),
                                .created_at = driver_int(st, 10),
                                .changed_at = driver_int(st, 11)};
    driver_text(st, 1, t->name, sizeof(t->name));
    driver_text(st, 2, t->group, sizeof(t->group));
    driver_text(st, 3, t->zone, sizeof(t->zone));
    (void)driver_blob(st, 5, t->fingerprint, sizeof(t->fingerprint));
    (void)driver_blob(st, 6, t->next, sizeof(t->next));
    (void)driver_blob(st, 7, t->code, sizeof(t->code));
}

enum b_code store_station_put(struct store *s, struct store_station *t, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO station (name, grp, zone, state, fingerprint, next, code, code_expires,"
        " cert_expires, created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char update[] =
        "UPDATE station SET name = ?, grp = ?, zone = ?, state = ?, fingerprint = ?, next = ?,"
        " code = ?, code_expires = ?, cert_expires = ?, created_at = ?, changed_at = ?"
        " WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, t->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, t->name);
    driver_bind_text(st, 2, t->group);
    driver_bind_text(st, 3, t->zone);
    driver_bind_int(st, 4, t->state);
    store_bind_digest(st, 5, t->fingerprint);
    store_bind_digest(st, 6, t->next);
    store_bind_digest(st, 7, t->code);
    driver_bind_int(st, 8, t->code_expires);
    driver_bind_int(st, 9, t->cert_expires);
    driver_bind_int(st, 10, t->created_at);
    driver_bind_int(st, 11, t->changed_at);
    if (t->id != 0)
        driver_bind_int(st, 12, t->id);
    r = store_run(&st, err);
    if (r == B_E_DUPLICATE)
        (void)b_err_set(err, r, 0, "there is a station %s already, or its certificate is another's",
                        t->name);
    if (r == B_OK && t->id == 0)
        t->id = driver_last_id(s->driver);
    return r;
}

static enum b_code take_one(struct statement *st, struct store_station *ret, struct b_err *err)
{
    enum b_code r = driver_step(st, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no such station");
    if (r == B_OK)
        read_station(st, ret);
    driver_finish(&st);
    return r;
}

enum b_code store_station_by_id(struct store *s, int64_t id, struct store_station *ret,
                                struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM station WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    return take_one(st, ret, err);
}

enum b_code store_station_by_fingerprint(struct store *s, const uint8_t fingerprint[static 32],
                                         struct store_station *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT " COLUMNS " FROM station WHERE fingerprint = ?1 OR next = ?1", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, fingerprint, 32);
    return take_one(st, ret, err);
}

enum b_code store_station_by_name(struct store *s, const char *name, struct store_station *ret,
                                  struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM station WHERE name = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, name);
    return take_one(st, ret, err);
}

enum b_code store_station_by_code(struct store *s, const uint8_t code[static 32],
                                  struct store_station *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM station WHERE code = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, code, 32);
    return take_one(st, ret, err);
}

enum b_code store_station_each(struct store *s, int64_t after_id,
                               bool (*fn)(void *ctx, const struct store_station *st), void *ctx,
                               struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT " COLUMNS " FROM station WHERE id > ? ORDER BY id", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, after_id);
    struct store_station t;
    while ((r = driver_step(st, err)) == B_OK) {
        read_station(st, &t);
        if (!fn(ctx, &t))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
