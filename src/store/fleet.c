#include <string.h>

#include "store/driver.h"
#include "store/store.h"

const char *store_foreign_status_name(enum store_foreign_status st)
{
    static const char *const names[] = {"active", "suspended", "revoked"};
    return (size_t)st < B_COUNT(names) ? names[st] : "?";
}

const char *store_found_name(enum store_found f)
{
    static const char *const names[] = {"unknown", "ours",      "diversified",
                                        "shared",  "published", "factory"};
    return (size_t)f < B_COUNT(names) ? names[f] : "?";
}

/* --- lists -------------------------------------------------------------------------------------
 */

static void read_import(struct statement *st, struct store_fleet_import *i)
{
    *i = (struct store_fleet_import){
        .id = driver_int(st, 0), .count = driver_int(st, 2), .at = driver_int(st, 3)};
    driver_text(st, 1, i->name, sizeof(i->name));
    (void)driver_blob(st, 4, i->salt, sizeof(i->salt));
}

enum b_code store_fleet_import_put(struct store *s, struct store_fleet_import *i, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO fleet_import (name, count, at, salt) VALUES (?, ?, ?, ?)";
    static const char update[] =
        "UPDATE fleet_import SET name = ?, count = ?, at = ?, salt = ? WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, i->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, i->name);
    driver_bind_int(st, 2, i->count);
    driver_bind_int(st, 3, i->at);
    driver_bind_blob(st, 4, i->salt, sizeof(i->salt));
    if (i->id != 0)
        driver_bind_int(st, 5, i->id);
    r = store_run(&st, err);
    if (r == B_OK && i->id == 0)
        i->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_fleet_import_by_id(struct store *s, int64_t id, struct store_fleet_import *ret,
                                     struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT id, name, count, at, salt FROM fleet_import WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = driver_step(st, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no list %lld", (long long)id);
    if (r == B_OK)
        read_import(st, ret);
    driver_finish(&st);
    return r;
}

enum b_code store_fleet_import_each(struct store *s,
                                    bool (*fn)(void *ctx, const struct store_fleet_import *i),
                                    void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT id, name, count, at, salt FROM fleet_import ORDER BY id", &st, err);
    struct store_fleet_import i;
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        read_import(st, &i);
        if (!fn(ctx, &i))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_fleet_import_forget(struct store *s, int64_t id, struct b_err *err)
{
    static const char *const removals[] = {"DELETE FROM foreign_badge WHERE import = ?",
                                           "DELETE FROM fleet_import WHERE id = ?"};
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && i < B_COUNT(removals); i++) {
        struct statement *st = NULL;
        r = store_prepare(s, removals[i], &st, err);
        if (r != B_OK)
            return r;
        driver_bind_int(st, 1, id);
        r = store_run(&st, err);
    }
    return r;
}

/* --- their rows --------------------------------------------------------------------------------
 */

#define COLUMNS "id, import, line, uid, ref, name, status, note"

static enum b_code read_foreign(struct statement *st, struct store_foreign *f, struct b_err *err)
{
    *f = (struct store_foreign){.id = driver_int(st, 0),
                                .import = driver_int(st, 1),
                                .line = driver_int(st, 2),
                                .status = (enum store_foreign_status)driver_int(st, 6)};
    (void)driver_blob(st, 3, f->uid, sizeof(f->uid));
    driver_text(st, 4, f->ref, sizeof(f->ref));
    driver_text(st, 5, f->name, sizeof(f->name));
    driver_text(st, 7, f->note, sizeof(f->note));
    if (f->status >= STORE_FOREIGN_STATUS_COUNT)
        return b_err_set(err, B_E_STORE_CORRUPT, 0, "listed badge %lld has no status that exists",
                         (long long)f->id);
    return B_OK;
}

enum b_code store_foreign_add(struct store *s, struct store_foreign *f, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT INTO foreign_badge (import, line, uid, ref, name, status,"
                                  " note) VALUES (?, ?, ?, ?, ?, ?, ?)",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, f->import);
    driver_bind_int(st, 2, f->line);
    driver_bind_blob(st, 3, f->uid, sizeof(f->uid));
    driver_bind_text(st, 4, f->ref);
    driver_bind_text(st, 5, f->name);
    driver_bind_int(st, 6, f->status);
    driver_bind_text(st, 7, f->note);
    r = store_run(&st, err);
    if (r == B_OK)
        f->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_foreign_by_uid(struct store *s, const uint8_t uid[static 7],
                                 struct store_foreign *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT " COLUMNS " FROM foreign_badge WHERE uid = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, uid, 7);
    r = driver_step(st, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no list names this badge");
    if (r == B_OK)
        r = read_foreign(st, ret, err);
    driver_finish(&st);
    return r;
}

enum b_code store_foreign_each(struct store *s, int64_t import,
                               bool (*fn)(void *ctx, const struct store_foreign *f), void *ctx,
                               struct b_err *err)
{
    struct statement *st = NULL;
    struct store_foreign f;
    enum b_code r = store_prepare(
        s, "SELECT " COLUMNS " FROM foreign_badge WHERE import = ? ORDER BY id", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, import);
    while ((r = driver_step(st, err)) == B_OK) {
        r = read_foreign(st, &f, err);
        if (r != B_OK || !fn(ctx, &f))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_foreign_count(struct store *s, int64_t *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT count(*) FROM foreign_badge", &st, err);
    if (r == B_OK)
        r = driver_step(st, err);
    if (r == B_OK)
        *ret = driver_int(st, 0);
    driver_finish(&st);
    return r;
}

enum b_code store_foreign_erase(struct store *s, int64_t import, const char *ref, const char *gone,
                                struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "UPDATE foreign_badge SET ref = ?3, name = '', note = ''"
                                  " WHERE import = ?1 AND ref = ?2",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, import);
    driver_bind_text(st, 2, ref);
    driver_bind_text(st, 3, gone);
    return store_run(&st, err);
}

enum b_code store_foreign_import_of(struct store *s, const char *ref, int64_t *ret,
                                    struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT import FROM foreign_badge WHERE ref = ? LIMIT 1", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, ref);
    r = driver_step(st, err);
    if (r == B_OK)
        *ret = driver_int(st, 0);
    driver_finish(&st);
    return r;
}

/* --- what was found ----------------------------------------------------------------------------
 */

static enum b_code read_finding(struct statement *st, struct store_finding *f, struct b_err *err)
{
    *f = (struct store_finding){.id = driver_int(st, 0),
                                .found = (enum store_found)driver_int(st, 2),
                                .ev = (uint8_t)driver_int(st, 3),
                                .at = driver_int(st, 4)};
    (void)driver_blob(st, 1, f->uid, sizeof(f->uid));
    if (f->found >= STORE_FOUND_COUNT)
        return b_err_set(err, B_E_STORE_CORRUPT, 0, "finding %lld is none that exists",
                         (long long)f->id);
    return B_OK;
}

enum b_code store_finding_put(struct store *s, struct store_finding *f, struct b_err *err)
{
    static const char insert[] = "INSERT INTO finding (uid, found, ev, at) VALUES (?, ?, ?, ?)";
    static const char update[] =
        "UPDATE finding SET uid = ?, found = ?, ev = ?, at = ? WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, f->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, f->uid, sizeof(f->uid));
    driver_bind_int(st, 2, f->found);
    driver_bind_int(st, 3, f->ev);
    driver_bind_int(st, 4, f->at);
    if (f->id != 0)
        driver_bind_int(st, 5, f->id);
    r = store_run(&st, err);
    if (r == B_OK && f->id == 0)
        f->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_finding_by_uid(struct store *s, const uint8_t uid[static 7],
                                 struct store_finding *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT id, uid, found, ev, at FROM finding WHERE uid = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, uid, 7);
    r = driver_step(st, err);
    if (r == B_OK)
        r = read_finding(st, ret, err);
    driver_finish(&st);
    return r;
}

enum b_code store_finding_each(struct store *s,
                               bool (*fn)(void *ctx, const struct store_finding *f), void *ctx,
                               struct b_err *err)
{
    struct statement *st = NULL;
    struct store_finding f;
    enum b_code r =
        store_prepare(s, "SELECT id, uid, found, ev, at FROM finding ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        r = read_finding(st, &f, err);
        if (r != B_OK || !fn(ctx, &f))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* --- figures -----------------------------------------------------------------------------------
 */

enum b_code store_fleet_count(struct store *s, struct store_fleet_counts *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s,
                      "SELECT l.status = ?1, b.id IS NOT NULL, coalesce(f.found, -1), count(*)"
                      " FROM foreign_badge l LEFT JOIN badge b ON b.uid = l.uid"
                      " LEFT JOIN finding f ON f.uid = l.uid GROUP BY 1, 2, 3",
                      &st, err);
    *ret = (struct store_fleet_counts){.listed = 0};
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, STORE_FOREIGN_REVOKED);
    while ((r = driver_step(st, err)) == B_OK) {
        uint64_t n = (uint64_t)driver_int(st, 3);
        int64_t found = driver_int(st, 2);
        bool is_revoked = driver_int(st, 0) != 0;
        ret->listed += is_revoked ? 0 : n;
        if (is_revoked)
            ret->revoked += n;
        else if (driver_int(st, 1) != 0)
            ret->taken_over += n;
        else if (found < 0 || found >= STORE_FOUND_COUNT)
            ret->unseen += n;
        else
            ret->found[found] += n;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
