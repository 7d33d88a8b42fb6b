/* Settings, and answers kept for repeated requests. */
#include <string.h>

#include "store/driver.h"
#include "store/store.h"

/* --- settings ----------------------------------------------------------------------------------
 */

enum b_code store_setting_put(struct store *s, const char *name, const void *p, size_t n,
                              struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT INTO setting (name, value) VALUES (?, ?)"
                                  " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, name);
    driver_bind_blob(st, 2, p, n);
    return store_run(&st, err);
}

enum b_code store_setting_get(struct store *s, const char *name, void *p, size_t cap, size_t *ret_n,
                              struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT value FROM setting WHERE name = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, name);
    r = driver_step(st, err);
    if (r == B_OK)
        *ret_n = driver_blob(st, 0, p, cap);
    driver_finish(&st);
    return r;
}

enum b_code store_setting_id(struct store *s, const char *name, int64_t *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT id FROM setting WHERE name = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, name);
    r = driver_step(st, err);
    if (r == B_OK)
        *ret = driver_int(st, 0);
    driver_finish(&st);
    return r;
}

enum b_code store_setting_each(struct store *s,
                               bool (*fn)(void *ctx, const struct store_setting *v), void *ctx,
                               struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT id, name, value FROM setting ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        struct store_setting v = {.id = driver_int(st, 0)};
        driver_text(st, 1, v.name, sizeof(v.name));
        v.value = driver_borrow(st, 2, &v.n);
        if (!fn(ctx, &v))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* --- answers -----------------------------------------------------------------------------------
 */

#define COLUMNS "id, request, status, at, body, salt, caller, key"

static void read_reply(struct statement *st, struct store_reply *to)
{
    to->id = driver_int(st, 0);
    (void)driver_blob(st, 1, to->request, sizeof(to->request));
    to->status = (int)driver_int(st, 2);
    to->at = driver_int(st, 3);
    driver_text(st, 4, to->body, sizeof(to->body));
    (void)driver_blob(st, 5, to->salt, sizeof(to->salt));
    driver_text(st, 6, to->caller, sizeof(to->caller));
    driver_text(st, 7, to->key, sizeof(to->key));
}

enum b_code store_reply_get(struct store *s, struct store_reply *io, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT " COLUMNS " FROM reply WHERE caller = ? AND key = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, io->caller);
    driver_bind_text(st, 2, io->key);
    r = driver_step(st, err);
    if (r == B_OK)
        read_reply(st, io);
    driver_finish(&st);
    return r;
}

enum b_code store_reply_each(struct store *s,
                             bool (*fn)(void *ctx, const struct store_reply *reply), void *ctx,
                             struct b_err *err)
{
    static _Thread_local struct store_reply reply;
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM reply ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        read_reply(st, &reply);
        if (!fn(ctx, &reply))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_reply_put(struct store *s, struct store_reply *reply, struct b_err *err)
{
    static const char insert[] = "INSERT INTO reply (request, status, at, body, salt, caller, key)"
                                 " VALUES (?, ?, ?, ?, ?, ?, ?)";
    static const char update[] = "UPDATE reply SET request = ?, status = ?, at = ?, body = ?,"
                                 " salt = ? WHERE caller = ? AND key = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, reply->status == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, reply->request, sizeof(reply->request));
    driver_bind_int(st, 2, reply->status);
    driver_bind_int(st, 3, reply->at);
    driver_bind_text(st, 4, reply->body);
    driver_bind_blob(st, 5, reply->salt, sizeof(reply->salt));
    driver_bind_text(st, 6, reply->caller);
    driver_bind_text(st, 7, reply->key);
    r = store_run(&st, err);
    if (r == B_E_DUPLICATE)
        (void)b_err_set(err, r, 0, "the request with key %s is under way", reply->key);
    if (r == B_OK && reply->status == 0)
        reply->id = driver_last_id(s->driver);
    else if (r == B_OK && driver_changes(s->driver) != 1)
        r = b_err_set(err, B_E_NOT_FOUND, 0, "the request with key %s was not kept", reply->key);
    return r;
}

enum b_code store_reply_find(struct store *s, const char *text, struct store_reply *io,
                             struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s,
                      "SELECT " COLUMNS " FROM reply WHERE id > ? AND instr(body, ?) > 0"
                      " ORDER BY id LIMIT 1",
                      &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, io->id);
    driver_bind_text(st, 2, text);
    r = driver_step(st, err);
    if (r == B_OK)
        read_reply(st, io);
    driver_finish(&st);
    return r;
}

enum b_code store_reply_erase(struct store *s, const struct store_reply *reply, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "UPDATE reply SET request = ?, status = 0, body = '', salt = ? WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, reply->request, sizeof(reply->request));
    driver_bind_blob(st, 2, reply->salt, sizeof(reply->salt));
    driver_bind_int(st, 3, reply->id);
    return store_run(&st, err);
}

enum b_code store_reply_forget(struct store *s, int64_t before, int64_t *ret_up_to,
                               struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT coalesce(max(id), 0) FROM reply WHERE at < ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, before);
    r = driver_step(st, err);
    *ret_up_to = r == B_OK ? driver_int(st, 0) : 0;
    driver_finish(&st);
    if (r != B_OK || *ret_up_to == 0)
        return r;
    r = store_prepare(s, "DELETE FROM reply WHERE id <= ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, *ret_up_to);
    return store_run(&st, err);
}
