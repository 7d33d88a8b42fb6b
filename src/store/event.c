#include <stdio.h>

#include "store/driver.h"
#include "store/store.h"

enum b_code store_event_add(struct store *s, const struct store_event *e, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT INTO event (at, kind, outcome, badge_id, detail)"
                                  " VALUES (?, ?, ?, ?, ?)",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, e->at);
    driver_bind_text(st, 2, e->kind);
    driver_bind_text(st, 3, e->outcome);
    driver_bind_int(st, 4, e->badge_id);
    driver_bind_text(st, 5, e->detail);
    return store_run(&st, err);
}

enum b_code store_event_each(struct store *s, int64_t badge_id, size_t last_n,
                             bool (*fn)(void *ctx, const struct store_event *e), void *ctx,
                             struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT * FROM (SELECT id, at, kind, outcome, badge_id, detail"
                                  " FROM event WHERE ?1 = 0 OR badge_id = ?1"
                                  " ORDER BY id DESC LIMIT ?2) ORDER BY id",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, badge_id);
    driver_bind_int(st, 2, (int64_t)last_n);
    while ((r = driver_step(st, err)) == B_OK) {
        struct store_event e = {
            .id = driver_int(st, 0), .at = driver_int(st, 1), .badge_id = driver_int(st, 4)};
        driver_text(st, 2, e.kind, sizeof(e.kind));
        driver_text(st, 3, e.outcome, sizeof(e.outcome));
        driver_text(st, 5, e.detail, sizeof(e.detail));
        if (!fn(ctx, &e))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
