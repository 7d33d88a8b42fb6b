#include "store/driver.h"
#include "store/store.h"

static void read_batch(struct statement *st, struct store_batch *b)
{
    *b = (struct store_batch){
        .id = driver_int(st, 0), .count = driver_int(st, 4), .at = driver_int(st, 5)};
    driver_text(st, 1, b->name, sizeof(b->name));
    driver_text(st, 2, b->supplier, sizeof(b->supplier));
    driver_text(st, 3, b->transport_key, sizeof(b->transport_key));
}

enum b_code store_batch_add(struct store *s, struct store_batch *b, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "INSERT INTO batch (name, supplier, transport_key, count, at) VALUES (?, ?, ?, ?, ?)",
        &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, b->name);
    driver_bind_text(st, 2, b->supplier);
    driver_bind_text(st, 3, b->transport_key);
    driver_bind_int(st, 4, b->count);
    driver_bind_int(st, 5, b->at);
    r = store_run(&st, err);
    if (r == B_OK)
        b->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_batch_by_id(struct store *s, int64_t id, struct store_batch *ret,
                              struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT id, name, supplier, transport_key, count, at FROM batch WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = driver_step(st, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no batch %lld was received", (long long)id);
    if (r == B_OK)
        read_batch(st, ret);
    driver_finish(&st);
    return r;
}

enum b_code store_batch_each(struct store *s, bool (*fn)(void *ctx, const struct store_batch *b),
                             void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    struct store_batch b;
    enum b_code r = store_prepare(
        s, "SELECT id, name, supplier, transport_key, count, at FROM batch ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        read_batch(st, &b);
        if (!fn(ctx, &b))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_card_event_add(struct store *s, struct store_card_event *e, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT INTO card_event (kind, batch_id, badge_id, count, reason,"
                                  " at) VALUES (?, ?, ?, ?, ?, ?)",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, e->kind);
    driver_bind_int(st, 2, e->batch_id);
    driver_bind_int(st, 3, e->badge_id);
    driver_bind_int(st, 4, e->count);
    driver_bind_text(st, 5, e->reason);
    driver_bind_int(st, 6, e->at);
    r = store_run(&st, err);
    if (r == B_OK)
        e->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_card_event_each(struct store *s,
                                  bool (*fn)(void *ctx, const struct store_card_event *e),
                                  void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    struct store_card_event e;
    enum b_code r = store_prepare(
        s, "SELECT id, kind, batch_id, badge_id, count, reason, at FROM card_event ORDER BY id",
        &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        e = (struct store_card_event){.id = driver_int(st, 0),
                                      .kind = (enum store_card_event_kind)driver_int(st, 1),
                                      .batch_id = driver_int(st, 2),
                                      .badge_id = driver_int(st, 3),
                                      .count = driver_int(st, 4),
                                      .at = driver_int(st, 6)};
        driver_text(st, 5, e.reason, sizeof(e.reason));
        if (!fn(ctx, &e))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_card_event_last(struct store *s, int64_t badge_id, int *ret_kind,
                                  struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT kind FROM card_event WHERE badge_id = ? ORDER BY id DESC LIMIT 1", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, badge_id);
    r = driver_step(st, err);
    *ret_kind = r == B_OK ? (int)driver_int(st, 0) : -1;
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* --- counts ------------------------------------------------------------------------------------
 */

/* Where n badges of one state are whose last event is this kind (-1: none). */
static void add_badges(struct store_stock *k, enum store_badge_state state, int64_t kind,
                       bool is_in_office, int64_t n)
{
    if (kind == STORE_CARD_DESTROYED)
        k->destroyed += n;
    else if (kind == STORE_CARD_LOST)
        k->lost += n;
    else if (state == STORE_BADGE_BLANKED)
        k->blank += n;
    else if (state == STORE_BADGE_ENROLLING)
        k->begun += n;
    else if (kind == STORE_CARD_RETURNED && state != STORE_BADGE_ACTIVE)
        k->returned += n;
    else
        *(is_in_office ? &k->encoded : &k->issued) += n;
}

static enum b_code count_badges(struct store *s, int64_t batch_id, struct store_stock *k,
                                struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT state, coalesce((SELECT e.kind FROM card_event e"
                                  " WHERE e.badge_id = badge.id ORDER BY e.id DESC LIMIT 1), -1),"
                                  " is_in_office, count(*) FROM badge WHERE batch_id = ?"
                                  " GROUP BY 1, 2, 3",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, batch_id);
    while ((r = driver_step(st, err)) == B_OK) {
        int64_t n = driver_int(st, 3);
        k->blank -= batch_id != 0 ? n : 0;
        add_badges(k, (enum store_badge_state)driver_int(st, 0), driver_int(st, 1),
                   driver_int(st, 2) != 0, n);
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

static enum b_code count_blanks(struct store *s, int64_t batch_id, struct store_stock *k,
                                struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT kind, sum(count) FROM card_event"
                                  " WHERE batch_id = ? AND badge_id = 0 GROUP BY 1",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, batch_id);
    while ((r = driver_step(st, err)) == B_OK) {
        int64_t n = driver_int(st, 1);
        k->blank -= n;
        *(driver_int(st, 0) == STORE_CARD_LOST ? &k->lost : &k->destroyed) += n;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_stock_count(struct store *s, const struct store_batch *batch,
                              struct store_stock *ret, struct b_err *err)
{
    *ret = (struct store_stock){.blank = batch->count};
    enum b_code r = count_badges(s, batch->id, ret, err);
    return r == B_OK ? count_blanks(s, batch->id, ret, err) : r;
}
