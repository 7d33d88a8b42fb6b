#include <stdio.h>
#include <string.h>

#include "store/driver.h"
#include "store/store.h"

enum b_code store_intent_add(struct store *s, struct store_intent *i, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT INTO intent (uid, plan, step, action, aid, no,"
                                  " from_generation, to_generation, at, is_effective)"
                                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, i->uid, sizeof(i->uid));
    driver_bind_blob(st, 2, i->plan_digest, sizeof(i->plan_digest));
    driver_bind_int(st, 3, i->step);
    driver_bind_text(st, 4, i->action);
    driver_bind_int(st, 5, i->aid);
    driver_bind_int(st, 6, i->no);
    driver_bind_int(st, 7, i->from_generation);
    driver_bind_int(st, 8, i->to_generation);
    driver_bind_int(st, 9, i->at);
    driver_bind_int(st, 10, i->is_effective);
    r = store_run(&st, err);
    if (r == B_OK)
        i->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_intent_effective(struct store *s, int64_t id, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "UPDATE intent SET is_effective = 1 WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    return store_run(&st, err);
}

#define COLUMNS \
    "id, uid, plan, step, action, aid, no, from_generation, to_generation, at, is_effective"

static void read_intent(struct statement *st, struct store_intent *i)
{
    *i = (struct store_intent){.id = driver_int(st, 0),
                               .step = (uint32_t)driver_int(st, 3),
                               .aid = (uint32_t)driver_int(st, 5),
                               .no = (uint8_t)driver_int(st, 6),
                               .from_generation = (uint8_t)driver_int(st, 7),
                               .to_generation = (uint8_t)driver_int(st, 8),
                               .at = driver_int(st, 9),
                               .is_effective = driver_int(st, 10) == 1};
    (void)driver_blob(st, 1, i->uid, sizeof(i->uid));
    (void)driver_blob(st, 2, i->plan_digest, sizeof(i->plan_digest));
    driver_text(st, 4, i->action, sizeof(i->action));
}

enum b_code store_intent_open(struct store *s, const uint8_t uid[static 7], struct store_intent *is,
                              size_t cap, size_t *ret_count, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT " COLUMNS " FROM intent WHERE uid = ? AND is_effective = 0 ORDER BY id", &st,
        err);
    if (r != B_OK)
        return r;
    size_t n = 0;
    driver_bind_blob(st, 1, uid, 7);
    while (n < cap && (r = driver_step(st, err)) == B_OK)
        read_intent(st, &is[n++]);
    driver_finish(&st);
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    *ret_count = n;
    return B_OK;
}

enum b_code store_intent_each_done(struct store *s, const uint8_t uid[static 7],
                                   bool (*fn)(void *ctx, const struct store_intent *i), void *ctx,
                                   struct b_err *err)
{
    struct statement *st = NULL;
    bool goes_on = true;
    enum b_code r = store_prepare(s,
                                  "SELECT " COLUMNS " FROM intent"
                                  " WHERE uid = ? AND is_effective = 1 ORDER BY id DESC",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, uid, 7);
    while (goes_on && (r = driver_step(st, err)) == B_OK) {
        struct store_intent i;
        read_intent(st, &i);
        goes_on = fn(ctx, &i);
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_intent_by_id(struct store *s, int64_t id, struct store_intent *ret,
                               struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM intent WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = driver_step(st, err);
    if (r == B_OK)
        read_intent(st, ret);
    driver_finish(&st);
    return r;
}

enum b_code store_intent_each(struct store *s, bool (*fn)(void *ctx, const struct store_intent *i),
                              void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM intent ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        struct store_intent i;
        read_intent(st, &i);
        if (!fn(ctx, &i))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
