#include <string.h>

#include "store/driver.h"
#include "store/store.h"

enum b_code store_browser_add(struct store *s, struct store_browser *b, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT INTO browser (kind, digest, station, created_at,"
                                  " expires_at) VALUES (?, ?, ?, ?, ?)",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, b->kind);
    driver_bind_blob(st, 2, b->digest, sizeof(b->digest));
    driver_bind_int(st, 3, b->station);
    driver_bind_int(st, 4, b->created_at);
    driver_bind_int(st, 5, b->expires_at);
    r = store_run(&st, err);
    if (r == B_OK)
        b->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_browser_find(struct store *s, enum store_browser_kind kind,
                               const uint8_t digest[static 32], int64_t now,
                               struct store_browser *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT b.id, b.station, b.created_at, b.expires_at"
                                  " FROM browser b JOIN station p ON p.id = b.station"
                                  " WHERE b.digest = ? AND b.kind = ? AND b.expires_at > ?"
                                  " AND p.state = ?",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, digest, 32);
    driver_bind_int(st, 2, kind);
    driver_bind_int(st, 3, now);
    driver_bind_int(st, 4, STORE_PARTY_ACTIVE);
    r = driver_step(st, err);
    if (r == B_OK) {
        *ret = (struct store_browser){.id = driver_int(st, 0),
                                      .kind = kind,
                                      .station = driver_int(st, 1),
                                      .created_at = driver_int(st, 2),
                                      .expires_at = driver_int(st, 3)};
        memcpy(ret->digest, digest, sizeof(ret->digest));
    }
    driver_finish(&st);
    return r;
}

enum b_code store_browser_has(struct store *s, enum store_browser_kind kind, int64_t now, bool *ret,
                              struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT 1 FROM browser WHERE kind = ? AND expires_at > ? LIMIT 1", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, kind);
    driver_bind_int(st, 2, now);
    r = driver_step(st, err);
    driver_finish(&st);
    *ret = r == B_OK;
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_browser_drop(struct store *s, int64_t id, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "DELETE FROM browser WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    return store_run(&st, err);
}

enum b_code store_browser_drop_of(struct store *s, int64_t station, enum store_browser_kind kind,
                                  struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "DELETE FROM browser WHERE station = ? AND kind = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, station);
    driver_bind_int(st, 2, kind);
    return store_run(&st, err);
}
