/* The journal's rows, settings and kept answers. */
#include <stdio.h>
#include <string.h>

#include "store/driver.h"
#include "store/store.h"

/* --- entries and hashes ------------------------------------------------------------------------
 */

enum b_code store_entry_add(struct store *s, const struct store_entry *e, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "INSERT INTO entry (id, badge_id, body) VALUES (?, ?, ?)", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, (int64_t)e->index);
    driver_bind_int(st, 2, e->badge_id);
    driver_bind_blob(st, 3, e->body, e->body_len);
    r = store_run(&st, err);
    if (r != B_OK || e->personal == NULL)
        return r;
    r = store_prepare(s, "INSERT INTO personal (entry, subject, salt, body) VALUES (?, ?, ?, ?)",
                      &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, (int64_t)e->index);
    driver_bind_text(st, 2, e->subject);
    driver_bind_blob(st, 3, e->salt, 16);
    driver_bind_text(st, 4, e->personal);
    return store_run(&st, err);
}

enum b_code store_hash_add(struct store *s, uint64_t id, const uint8_t hash[static 32],
                           struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "INSERT INTO hash (id, hash) VALUES (?, ?)", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, (int64_t)id);
    driver_bind_blob(st, 2, hash, 32);
    return store_run(&st, err);
}

enum b_code store_hash_get(struct store *s, uint64_t id, uint8_t hash[static 32], struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT hash FROM hash WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, (int64_t)id);
    r = driver_step(st, err);
    if (r == B_E_NOT_FOUND || (r == B_OK && driver_blob(st, 0, hash, 32) != 32))
        r = b_err_set(err, B_E_STORE_CORRUPT, 0, "hash %llu of the journal is missing",
                      (unsigned long long)id);
    driver_finish(&st);
    return r;
}

static enum b_code ask_count(struct store *s, const char *sql, uint64_t *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, sql, &st, err);
    if (r == B_OK)
        r = driver_step(st, err);
    if (r == B_OK)
        *ret = (uint64_t)driver_int(st, 0);
    driver_finish(&st);
    return r;
}

enum b_code store_entry_count(struct store *s, uint64_t *ret, struct b_err *err)
{
    return ask_count(s, "SELECT coalesce(max(id) + 1, 0) FROM entry", ret, err);
}

enum b_code store_hash_count(struct store *s, uint64_t *ret, struct b_err *err)
{
    return ask_count(s, "SELECT coalesce(max(id) + 1, 0) FROM hash", ret, err);
}

#define ENTRY "entry.id, entry.badge_id, entry.body, personal.body, personal.salt, personal.subject"
#define FROM "entry LEFT JOIN personal ON personal.entry = entry.id"

static bool give(struct statement *st, bool (*fn)(void *ctx, const struct store_entry *e),
                 void *ctx)
{
    uint8_t salt[16];
    char subject[STORE_NAME_MAX];
    struct store_entry e = {.index = (uint64_t)driver_int(st, 0), .badge_id = driver_int(st, 1)};
    e.body = driver_borrow(st, 2, &e.body_len);
    size_t n = 0;
    e.personal = driver_borrow(st, 3, &n);
    (void)driver_blob(st, 4, salt, sizeof(salt));
    e.salt = salt;
    driver_text(st, 5, subject, sizeof(subject));
    e.subject = subject;
    return fn(ctx, &e);
}

enum b_code store_entry_each(struct store *s, const struct store_entry_range *range,
                             bool (*fn)(void *ctx, const struct store_entry *e), void *ctx,
                             struct b_err *err)
{
    static const char all[] =
        "SELECT " ENTRY " FROM " FROM " WHERE entry.id >= ?1 ORDER BY entry.id LIMIT ?2";
    static const char of_badge[] =
        "SELECT " ENTRY " FROM " FROM
        " WHERE entry.badge_id = ?3 AND entry.badge_id <> 0 AND entry.id >= ?1"
        " ORDER BY entry.id LIMIT ?2";
    static const char newest[] =
        "SELECT " ENTRY " FROM " FROM " WHERE entry.id IN (SELECT id FROM entry WHERE"
        " (?3 = 0 OR (badge_id = ?3 AND badge_id <> 0)) ORDER BY id DESC LIMIT ?2)"
        " AND entry.id >= ?1 ORDER BY entry.id";
    struct statement *st = NULL;
    const char *sql = range->is_newest ? newest : range->badge_id != 0 ? of_badge : all;
    enum b_code r = store_prepare(s, sql, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, range->is_newest ? 0 : (int64_t)range->from);
    driver_bind_int(st, 2, (int64_t)range->count);
    if (sql != all)
        driver_bind_int(st, 3, range->badge_id);
    while ((r = driver_step(st, err)) == B_OK) {
        if (!give(st, fn, ctx))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_entry_personal(struct store *s, int64_t badge_id, uint64_t index,
                                 bool (*fn)(void *ctx, const struct store_entry *e), void *ctx,
                                 struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT " ENTRY " FROM " FROM
                                  " WHERE entry.badge_id = ?1 AND entry.badge_id <> 0"
                                  " AND entry.id <= ?2"
                                  " AND instr(CAST(entry.body AS TEXT), '\"personal\":\"') > 0"
                                  " ORDER BY entry.id DESC LIMIT 1",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, badge_id);
    driver_bind_int(st, 2, (int64_t)index);
    if ((r = driver_step(st, err)) == B_OK)
        (void)give(st, fn, ctx);
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_personal_erase(struct store *s, const char *subject, uint64_t *ret_count,
                                 struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "DELETE FROM personal WHERE subject = ?1 AND subject <> ''", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, subject);
    r = store_run(&st, err);
    *ret_count = r == B_OK ? (uint64_t)driver_changes(s->driver) : 0;
    return r;
}

/* --- checkpoints -------------------------------------------------------------------------------
 */

enum b_code store_checkpoint_put(struct store *s, uint64_t size, const char *note,
                                 struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "INSERT OR REPLACE INTO checkpoint (size, note) VALUES (?, ?)", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, (int64_t)size);
    driver_bind_text(st, 2, note);
    return store_run(&st, err);
}

enum b_code store_checkpoint_get(struct store *s, uint64_t at_most, uint64_t *ret_size, char *note,
                                 size_t cap, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT size, note FROM checkpoint WHERE size <= ? ORDER BY size DESC LIMIT 1", &st,
        err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, at_most > INT64_MAX ? INT64_MAX : (int64_t)at_most);
    r = driver_step(st, err);
    if (r == B_OK) {
        *ret_size = (uint64_t)driver_int(st, 0);
        driver_text(st, 1, note, cap);
    }
    driver_finish(&st);
    return r;
}
