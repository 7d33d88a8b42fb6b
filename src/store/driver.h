/*
 * What a database must offer: enough for SQLite today and PostgreSQL later, and no more. Parameters
 * are bound by position from 1, columns are read by position from 0. Private to src/store.
 */
#ifndef TESSERE_STORE_DRIVER_H
#define TESSERE_STORE_DRIVER_H

#include "base/base.h"

struct driver;
struct statement;

/* Opens; may_create makes the file. Every commit is durable when it returns. */
B_NODISCARD enum b_code driver_open(const char *path, bool may_create, struct driver **ret,
                                    struct b_err *err);
void driver_close(struct driver **d);
/* One or more statements without parameters. */
B_NODISCARD enum b_code driver_exec(struct driver *d, const char *sql, struct b_err *err);
/* sql is a constant that lives as long as the driver: prepared statements are kept by its address.
 */
B_NODISCARD enum b_code driver_prepare(struct driver *d, const char *sql, struct statement **ret,
                                       struct b_err *err);
void driver_bind_int(struct statement *s, int at, int64_t v);
void driver_bind_text(struct statement *s, int at, const char *text);
/* n 0 binds NULL. The bytes are copied. */
void driver_bind_blob(struct statement *s, int at, const void *p, size_t n);
/* B_OK: a row is there; B_E_NOT_FOUND (no message): no more rows. */
B_NODISCARD enum b_code driver_step(struct statement *s, struct b_err *err);
int64_t driver_int(struct statement *s, int column);
/* Cut to cap, always terminated. */
void driver_text(struct statement *s, int column, char *ret, size_t cap);
/* Zero filled; returns how many bytes there were, 0 when they are more than cap. */
size_t driver_blob(struct statement *s, int column, void *ret, size_t cap);
/* The column's bytes, NULL when it is NULL; theirs until the next step. A NUL follows them. */
const char *driver_borrow(struct statement *s, int column, size_t *ret_n);
/* Ends the statement; NULL is allowed. */
void driver_finish(struct statement **s);
int64_t driver_last_id(const struct driver *d);
/* How many rows the last statement changed. */
int64_t driver_changes(const struct driver *d);
/* A whole database as it is at one moment, in a new file; others go on writing meanwhile. */
B_NODISCARD enum b_code driver_copy(struct driver *d, const char *path, struct b_err *err);

/* Binds are remembered: a failed one makes the next step fail. */

struct store {
    struct driver *driver;
    bool is_in_transaction;
    int version;
};

/* Prepares, and says what was being done when it fails. */
B_NODISCARD enum b_code store_prepare(struct store *s, const char *sql, struct statement **ret,
                                      struct b_err *err);
/* Steps a statement that gives no rows, and finishes it. */
B_NODISCARD enum b_code store_run(struct statement **st, struct b_err *err);
/* Runs statements that remove what is older than a time, their one parameter. */
B_NODISCARD enum b_code store_forget(struct store *s, const char *const *sql, size_t count,
                                     int64_t before, struct b_err *err);
/* All zero is none: NULL. */
void store_bind_digest(struct statement *st, int at, const uint8_t digest[static 32]);
B_NODISCARD enum b_code store_migrate(struct store *s, struct b_err *err);

#endif
