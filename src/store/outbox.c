#include "store/outbox.h"

#include "crypto/crypto.h"
#include "store/driver.h"

/* --- subscriptions -----------------------------------------------------------------------------
 */

enum b_code store_subscription_add(struct store *s, const struct store_subscription *v,
                                   struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "INSERT OR IGNORE INTO subscription (event, subscriber) VALUES (?, ?)", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, v->event);
    driver_bind_text(st, 2, v->subscriber);
    return store_run(&st, err);
}

enum b_code store_subscription_clear(struct store *s, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "DELETE FROM subscription", &st, err);
    return r == B_OK ? store_run(&st, err) : r;
}

enum b_code store_subscription_each(struct store *s, const char *event,
                                    bool (*fn)(void *ctx, const struct store_subscription *v),
                                    void *ctx, struct b_err *err)
{
    static const char all[] = "SELECT event, subscriber FROM subscription ORDER BY 1, 2";
    static const char of_event[] =
        "SELECT event, subscriber FROM subscription WHERE event = ? ORDER BY 1, 2";
    struct statement *st = NULL;
    struct store_subscription v;
    enum b_code r = store_prepare(s, event != NULL ? of_event : all, &st, err);
    if (r != B_OK)
        return r;
    if (event != NULL)
        driver_bind_text(st, 1, event);
    while ((r = driver_step(st, err)) == B_OK) {
        driver_text(st, 0, v.event, sizeof(v.event));
        driver_text(st, 1, v.subscriber, sizeof(v.subscriber));
        if (!fn(ctx, &v))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* --- letters -----------------------------------------------------------------------------------
 */

#define LETTER "id, subscriber, kind, tag, state, attempts, at, next_at, error, body"

const char *store_letter_state_name(enum store_letter_state st)
{
    static const char *const names[] = {"waiting", "delivered", "dead"};
    return names[st];
}

static void read_letter(struct statement *st, struct store_letter *l)
{
    *l = (struct store_letter){.id = driver_int(st, 0),
                               .state = (enum store_letter_state)driver_int(st, 4),
                               .attempts = (unsigned)driver_int(st, 5),
                               .at = driver_int(st, 6),
                               .next_at = driver_int(st, 7)};
    driver_text(st, 1, l->subscriber, sizeof(l->subscriber));
    driver_text(st, 2, l->kind, sizeof(l->kind));
    driver_text(st, 3, l->tag, sizeof(l->tag));
    driver_text(st, 8, l->error, sizeof(l->error));
    driver_text(st, 9, l->body, sizeof(l->body));
}

enum b_code store_letter_add(struct store *s, struct store_letter *l, struct b_err *err)
{
    uint8_t drawn[STORE_LETTER_TAG / 2];
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT INTO letter (subscriber, kind, tag, state, attempts, at,"
                                  " next_at, error, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                  &st, err);
    if (r != B_OK)
        return r;
    crypto_random(drawn, sizeof(drawn));
    b_hex(l->tag, drawn, sizeof(drawn));
    driver_bind_text(st, 1, l->subscriber);
    driver_bind_text(st, 2, l->kind);
    driver_bind_text(st, 3, l->tag);
    driver_bind_int(st, 4, l->state);
    driver_bind_int(st, 5, l->attempts);
    driver_bind_int(st, 6, l->at);
    driver_bind_int(st, 7, l->next_at);
    driver_bind_text(st, 8, l->error);
    driver_bind_text(st, 9, l->body);
    r = store_run(&st, err);
    if (r == B_OK)
        l->id = driver_last_id(s->driver);
    return r;
}

static enum b_code none(int64_t id, struct b_err *err)
{
    return b_err_set(err, B_E_NOT_FOUND, 0, "no letter %lld is in the outbox", (long long)id);
}

enum b_code store_letter_put(struct store *s, const struct store_letter *l, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "UPDATE letter SET state = ?, attempts = ?, next_at = ?, error = ? WHERE id = ?", &st,
        err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, l->state);
    driver_bind_int(st, 2, l->attempts);
    driver_bind_int(st, 3, l->next_at);
    driver_bind_text(st, 4, l->error);
    driver_bind_int(st, 5, l->id);
    r = store_run(&st, err);
    return r == B_OK && driver_changes(s->driver) == 0 ? none(l->id, err) : r;
}

enum b_code store_letter_by_id(struct store *s, int64_t id, struct store_letter *ret,
                               struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " LETTER " FROM letter WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = driver_step(st, err);
    if (r == B_OK)
        read_letter(st, ret);
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? none(id, err) : r;
}

static enum b_code give_all(struct statement *st, store_letter_fn *fn, void *ctx, struct b_err *err)
{
    struct store_letter l;
    enum b_code r = B_OK;
    while ((r = driver_step(st, err)) == B_OK) {
        read_letter(st, &l);
        if (!fn(ctx, &l))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* From one subscriber to the next by the index: however many letters wait for one, it costs as many
 * steps as there are subscribers. */
enum b_code store_letter_heads(struct store *s, store_letter_fn *fn, void *ctx, struct b_err *err)
{
    static const char sql[] =
        "WITH RECURSIVE waiting(name) AS ("
        " SELECT min(subscriber) FROM letter WHERE state = 0"
        " UNION ALL SELECT (SELECT min(subscriber) FROM letter WHERE state = 0 AND subscriber >"
        " waiting.name) FROM waiting WHERE waiting.name IS NOT NULL)"
        " SELECT " LETTER " FROM letter WHERE id IN (SELECT (SELECT min(id) FROM letter WHERE"
        " state = 0 AND subscriber = waiting.name) FROM waiting WHERE waiting.name IS NOT NULL)"
        " ORDER BY id";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, sql, &st, err);
    return r == B_OK ? give_all(st, fn, ctx, err) : r;
}

enum b_code store_letter_each(struct store *s, enum store_letter_state state, store_letter_fn *fn,
                              void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT " LETTER " FROM letter WHERE ?1 = 3 OR state = ?1 ORDER BY id", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, state);
    return give_all(st, fn, ctx, err);
}

enum b_code store_letter_count(struct store *s, enum store_letter_state state, int64_t *ret,
                               struct b_err *err)
{
    /* one of each, so that the partial indices serve */
    static const char *const sql[] = {"SELECT count(*) FROM letter WHERE state = 0",
                                      "SELECT count(*) FROM letter WHERE state = 1",
                                      "SELECT count(*) FROM letter WHERE state = 2",
                                      "SELECT count(*) FROM letter"};
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, sql[state], &st, err);
    if (r == B_OK)
        r = driver_step(st, err);
    if (r == B_OK)
        *ret = driver_int(st, 0);
    driver_finish(&st);
    return r;
}

enum b_code store_letter_end(struct store *s, const char *clients, const char *reason,
                             int64_t *ret_count, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "UPDATE letter SET state = 2, error = ?1 WHERE state = 0 AND"
                                  " substr(subscriber, 1, length(?2)) <> ?2 AND subscriber NOT IN"
                                  " (SELECT subscriber FROM subscription)",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, reason);
    driver_bind_text(st, 2, clients);
    r = store_run(&st, err);
    *ret_count = r == B_OK ? driver_changes(s->driver) : 0;
    return r;
}

enum b_code store_letter_trim(struct store *s, const char *subscriber, int64_t keep,
                              int64_t *ret_count, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s,
        "DELETE FROM letter WHERE state = 0 AND subscriber = ?1 AND id <= (SELECT id FROM letter"
        " WHERE state = 0 AND subscriber = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, subscriber);
    driver_bind_int(st, 2, keep);
    r = store_run(&st, err);
    *ret_count = r == B_OK ? driver_changes(s->driver) : 0;
    return r;
}

enum b_code store_letter_remove(struct store *s, int64_t id, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "DELETE FROM letter WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = store_run(&st, err);
    return r == B_OK && driver_changes(s->driver) == 0 ? none(id, err) : r;
}

enum b_code store_letter_forget(struct store *s, enum store_letter_state state, int64_t before,
                                struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "DELETE FROM letter WHERE state <> 0 AND state = ? AND at < ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, state);
    driver_bind_int(st, 2, before);
    return store_run(&st, err);
}
