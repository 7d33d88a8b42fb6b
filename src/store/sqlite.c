/* The SQLite driver. The only file that includes sqlite3.h. */
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/driver.h"

enum { BUSY_MS = 2000 };

/* A statement's text is a constant: its address names it. */
struct statement {
    sqlite3_stmt *stmt;
    sqlite3 *db;
    const char *sql;
    bool is_used;
    int failed; /* of a bind */
    struct statement *next;
};

struct driver {
    sqlite3 *db;
    struct statement *prepared; /* kept: preparing costs more than most statements */
};

/* What the system said where SQLite says only that a file did not open or an exchange with the disk
 * failed: the files beside the database (-wal, -shm) meet a full or read-only disk first. */
static enum b_code from_system(sqlite3 *db, int rc)
{
    if (db == NULL || ((rc & 0xFF) != SQLITE_IOERR && (rc & 0xFF) != SQLITE_CANTOPEN))
        return B_OK;
    const char *path = sqlite3_db_filename(db, "main");
    int cause = sqlite3_system_errno(db);
    if (cause == ENOSPC || cause == EDQUOT)
        return B_E_STORE_FULL;
    if (cause == EROFS || (path != NULL && access(path, F_OK) == 0 && access(path, W_OK) != 0))
        return B_E_STORE_READ_ONLY;
    return B_OK;
}

static enum b_code fail(sqlite3 *db, int rc, const char *what, struct b_err *err)
{
    static const struct {
        int rc;
        enum b_code code;
    } map[] = {
        {SQLITE_BUSY, B_E_STORE_LOCKED},        {SQLITE_LOCKED, B_E_STORE_LOCKED},
        {SQLITE_READONLY, B_E_STORE_READ_ONLY}, {SQLITE_PERM, B_E_STORE_READ_ONLY},
        {SQLITE_FULL, B_E_STORE_FULL},          {SQLITE_CORRUPT, B_E_STORE_CORRUPT},
        {SQLITE_NOTADB, B_E_STORE_CORRUPT},     {SQLITE_CANTOPEN, B_E_STORE_OPEN},
        {SQLITE_CONSTRAINT, B_E_DUPLICATE},     {SQLITE_NOMEM, B_E_NO_MEMORY},
    };
    const char *cause = db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    enum b_code by_system = from_system(db, rc);
    if (by_system != B_OK)
        return b_err_set(err, by_system, (uint32_t)rc, "%s: %s", b_err_word(what), cause);
    for (size_t i = 0; i < B_COUNT(map); i++) {
        if (map[i].rc == (rc & 0xFF))
            return b_err_set(err, map[i].code, (uint32_t)rc, "%s: %s", b_err_word(what), cause);
    }
    return b_err_set(err, B_E_STORE_FAILED, (uint32_t)rc, "%s: %s", b_err_word(what), cause);
}

/* SQLite counts its memory under one lock for all connections; nobody asks for the figure. */
static void configure(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

enum b_code driver_open(const char *path, bool may_create, struct driver **ret, struct b_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, configure);
    struct driver *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "opening the store");
    /* Each connection is used by one thread at a time: SQLite need not see to that as well. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (may_create ? SQLITE_OPEN_CREATE : 0);
    int rc = sqlite3_open_v2(path, &d->db, flags, NULL);
    enum b_code r = B_OK;
    if (rc != SQLITE_OK)
        r = fail(d->db, rc, path, err);
    if (r == B_OK)
        (void)sqlite3_busy_timeout(d->db, BUSY_MS);
    /* FULL: a commit is on the disk when it returns. WAL: readers do not wait for it. */
    if (r == B_OK)
        r = driver_exec(d,
                        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
                        "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; "
                        "PRAGMA secure_delete=ON;", /* what is erased is gone from the file */
                        err);
    if (r == B_OK && sqlite3_db_readonly(d->db, "main") == 1)
        r = b_err_set(err, B_E_STORE_READ_ONLY, 0, "%s", path);
    if (r != B_OK)
        driver_close(&d);
    else
        *ret = d;
    return r;
}

void driver_close(struct driver **d)
{
    if (*d == NULL)
        return;
    struct statement *s = (*d)->prepared;
    while (s != NULL) {
        struct statement *next = s->next;
        b_check(!s->is_used);
        (void)sqlite3_finalize(s->stmt);
        free(s);
        s = next;
    }
    (void)sqlite3_close((*d)->db);
    free(*d);
    *d = NULL;
}

enum b_code driver_exec(struct driver *d, const char *sql, struct b_err *err)
{
    int rc = sqlite3_exec(d->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? B_OK : fail(d->db, rc, "the store", err);
}

enum b_code driver_prepare(struct driver *d, const char *sql, struct statement **ret,
                           struct b_err *err)
{
    for (struct statement *s = d->prepared; s != NULL; s = s->next) {
        if (s->sql != sql || s->is_used)
            continue;
        s->is_used = true;
        *ret = s;
        return B_OK;
    }
    struct statement *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "asking the store");
    int rc = sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL);
    if (rc != SQLITE_OK) {
        free(s);
        return fail(d->db, rc, "the store", err);
    }
    s->db = d->db;
    s->sql = sql;
    s->is_used = true;
    s->next = d->prepared;
    d->prepared = s;
    *ret = s;
    return B_OK;
}

static void note_bind(struct statement *s, int rc)
{
    if (rc != SQLITE_OK && s->failed == SQLITE_OK)
        s->failed = rc;
}

void driver_bind_int(struct statement *s, int at, int64_t v)
{
    note_bind(s, sqlite3_bind_int64(s->stmt, at, v));
}

void driver_bind_text(struct statement *s, int at, const char *text)
{
    note_bind(s, sqlite3_bind_text(s->stmt, at, text, -1, SQLITE_TRANSIENT));
}

void driver_bind_blob(struct statement *s, int at, const void *p, size_t n)
{
    if (n == 0)
        note_bind(s, sqlite3_bind_null(s->stmt, at));
    else
        note_bind(s, sqlite3_bind_blob64(s->stmt, at, p, n, SQLITE_TRANSIENT));
}

enum b_code driver_step(struct statement *s, struct b_err *err)
{
    int rc = s->failed != SQLITE_OK ? s->failed : sqlite3_step(s->stmt);
    if (rc == SQLITE_ROW)
        return B_OK;
    return rc == SQLITE_DONE ? B_E_NOT_FOUND : fail(s->db, rc, "the store", err);
}

int64_t driver_int(struct statement *s, int column)
{
    return sqlite3_column_int64(s->stmt, column);
}

void driver_text(struct statement *s, int column, char *ret, size_t cap)
{
    const char *text = (const char *)sqlite3_column_text(s->stmt, column);
    (void)snprintf(ret, cap, "%s", text != NULL ? text : "");
}

size_t driver_blob(struct statement *s, int column, void *ret, size_t cap)
{
    const void *p = sqlite3_column_blob(s->stmt, column);
    size_t n = (size_t)sqlite3_column_bytes(s->stmt, column);
    memset(ret, 0, cap);
    if (n > cap)
        n = 0; /* nothing of ours is that long */
    if (p != NULL && n > 0)
        memcpy(ret, p, n);
    return n;
}

const char *driver_borrow(struct statement *s, int column, size_t *ret_n)
{
    const void *p = sqlite3_column_text(s->stmt, column);
    *ret_n = (size_t)sqlite3_column_bytes(s->stmt, column);
    return p;
}

void driver_finish(struct statement **s)
{
    if (*s == NULL)
        return;
    (void)sqlite3_reset((*s)->stmt); /* repeats the step's failure, which was told */
    (void)sqlite3_clear_bindings((*s)->stmt);
    (*s)->failed = SQLITE_OK;
    (*s)->is_used = false;
    *s = NULL;
}

int64_t driver_last_id(const struct driver *d)
{
    return sqlite3_last_insert_rowid(d->db);
}

int64_t driver_changes(const struct driver *d)
{
    return sqlite3_changes64(d->db);
}

/* In one step, within one reading transaction: pages stay where they are, so that copies of two
 * days differ in few. What was erased is zeros in them (secure_delete). */
enum b_code driver_copy(struct driver *d, const char *path, struct b_err *err)
{
    enum { ALL = -1 };
    sqlite3 *to = NULL;
    int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    sqlite3_backup *copy = rc == SQLITE_OK ? sqlite3_backup_init(to, "main", d->db, "main") : NULL;
    if (copy != NULL)
        (void)sqlite3_backup_step(copy, ALL);
    rc = copy != NULL ? sqlite3_backup_finish(copy) : sqlite3_errcode(to);
    enum b_code r = rc == SQLITE_OK ? B_OK : fail(to, rc, path, err);
    (void)sqlite3_close(to);
    return r;
}
