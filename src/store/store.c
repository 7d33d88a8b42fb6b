/* Opening, migrating, transactions. */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/driver.h"

static const struct {
    int number;
    const char *sql;
} migrations[] = {
#define STORE_MIGRATION(number, sql) {number, sql},
#include "store/migrations.def"
#undef STORE_MIGRATION
};

enum b_code store_prepare(struct store *s, const char *sql, struct statement **ret,
                          struct b_err *err)
{
    return driver_prepare(s->driver, sql, ret, err);
}

enum b_code store_forget(struct store *s, const char *const *sql, size_t count, int64_t before,
                         struct b_err *err)
{
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && i < count; i++) {
        struct statement *st = NULL;
        r = store_prepare(s, sql[i], &st, err);
        if (r != B_OK)
            break;
        driver_bind_int(st, 1, before);
        r = store_run(&st, err);
    }
    return r;
}

enum b_code store_run(struct statement **st, struct b_err *err)
{
    enum b_code r = driver_step(*st, err);
    driver_finish(st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

void store_bind_digest(struct statement *st, int at, const uint8_t digest[static 32])
{
    static const uint8_t none[32];
    driver_bind_blob(st, at, digest, b_ct_eq(digest, none, sizeof(none)) ? 0 : sizeof(none));
}

static enum b_code read_version(struct store *s, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = driver_exec(
        s->driver, "CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL);", err);
    if (r == B_OK)
        r = store_prepare(s, "SELECT coalesce(max(version), 0) FROM schema", &st, err);
    if (r == B_OK)
        r = driver_step(st, err);
    if (r == B_OK)
        s->version = (int)driver_int(st, 0);
    driver_finish(&st);
    return r;
}

static enum b_code apply(struct store *s, size_t i, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = driver_exec(s->driver, migrations[i].sql, err);
    if (r == B_OK)
        r = store_prepare(s, "INSERT INTO schema (version) VALUES (?)", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, migrations[i].number);
    return store_run(&st, err);
}

enum b_code store_migrate(struct store *s, struct b_err *err)
{
    enum b_code r = store_begin(s, err);
    if (r != B_OK)
        return r;
    r = read_version(s, err);
    int newest = migrations[B_COUNT(migrations) - 1].number;
    if (r == B_OK && s->version > newest)
        r = b_err_set(err, B_E_STORE_NEWER, (uint32_t)s->version,
                      "the store has schema %d, this program knows up to %d", s->version, newest);
    for (size_t i = 0; r == B_OK && i < B_COUNT(migrations); i++) {
        if (migrations[i].number <= s->version)
            continue;
        r = apply(s, i, err);
        if (r == B_OK)
            s->version = migrations[i].number;
    }
    if (r == B_OK)
        return store_commit(s, err);
    store_rollback(s);
    return r;
}

enum b_code store_open(const char *path, bool may_create, struct store **ret, struct b_err *err)
{
    struct store *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "opening the store");
    enum b_code r = driver_open(path, may_create, &s->driver, err);
    if (r == B_OK)
        r = store_migrate(s, err);
    if (r != B_OK) {
        (void)b_err_wrap(err, "store %s", path);
        store_free(&s);
        return r;
    }
    *ret = s;
    return B_OK;
}

void store_free(struct store **s)
{
    if (*s == NULL)
        return;
    driver_close(&(*s)->driver);
    free(*s);
    *s = NULL;
}

/* The limit is for a tidier that has died: 64 MB of log. */
void store_leave_tidying(struct store *s)
{
    struct b_err ignored;
    (void)!driver_exec(s->driver, "PRAGMA wal_autocheckpoint=16384", &ignored);
}

void store_tidy(struct store *s)
{
    struct b_err ignored; /* what stays in the log is as durable there, and the next one takes it */
    (void)!driver_exec(s->driver, "PRAGMA wal_checkpoint(PASSIVE)", &ignored);
}

int store_schema_version(const struct store *s)
{
    return s->version;
}

enum b_code store_copy(struct store *s, const char *path, struct b_err *err)
{
    b_check(!s->is_in_transaction);
    enum b_code r = driver_copy(s->driver, path, err);
    return r == B_OK ? B_OK : b_err_wrap(err, "copying the store to %s", path);
}

static enum b_code begin(struct store *s, const char *how, struct b_err *err)
{
    b_check(!s->is_in_transaction);
    enum b_code r = driver_exec(s->driver, how, err);
    s->is_in_transaction = r == B_OK;
    return r;
}

enum b_code store_begin(struct store *s, struct b_err *err)
{
    return begin(s, "BEGIN IMMEDIATE", err);
}

enum b_code store_hold(struct store *s, struct b_err *err)
{
    return begin(s, "BEGIN", err);
}

/* A commit that fails leaves nothing behind: it is rolled back. */
enum b_code store_commit(struct store *s, struct b_err *err)
{
    b_check(s->is_in_transaction);
    enum b_code r = driver_exec(s->driver, "COMMIT", err);
    if (r != B_OK)
        store_rollback(s);
    s->is_in_transaction = false;
    return r;
}

void store_rollback(struct store *s)
{
    /* SQLite has rolled back by itself after some failures; then this says so, and that is well. */
    (void)!driver_exec(s->driver, "ROLLBACK", NULL);
    s->is_in_transaction = false;
}

enum b_code store_save(struct store *s, struct b_err *err)
{
    b_check(s->is_in_transaction);
    return driver_exec(s->driver, "SAVEPOINT part", err);
}

enum b_code store_back(struct store *s, struct b_err *err)
{
    return driver_exec(s->driver, "ROLLBACK TO part", err);
}

enum b_code store_keep(struct store *s, struct b_err *err)
{
    return driver_exec(s->driver, "RELEASE part", err);
}
