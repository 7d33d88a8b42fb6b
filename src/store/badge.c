#include <stdio.h>
#include <string.h>

#include "store/driver.h"
#include "store/store.h"

#define COLUMNS                                                                          \
    "id, uid, serial, state, holder_ref, holder_name, profile_id, profile_revision, ev," \
    " generations, reason, created_at, changed_at, tapped_at, not_before, not_after,"    \
    " is_temporary, salt, batch_id, is_in_office, tapped_station"

const char *store_badge_state_name(enum store_badge_state st)
{
    static const char *const names[] = {N_("enrolling"), N_("active"), N_("suspended"),
                                        N_("revoked"), N_("blanked")};
    return (size_t)st < B_COUNT(names) ? names[st] : "?";
}

/* A UID that is not known yet (random, torn before it was read) is no UID, not an all-zero one. */
static bool has_uid(const struct store_badge *b)
{
    static const uint8_t none[sizeof(b->uid)];
    return !b_ct_eq(b->uid, none, sizeof(none));
}

static enum b_code read_badge(struct statement *st, struct store_badge *b, struct b_err *err)
{
    *b = (struct store_badge){.id = driver_int(st, 0),
                              .state = (enum store_badge_state)driver_int(st, 3),
                              .profile_revision = (uint32_t)driver_int(st, 7),
                              .ev = (uint8_t)driver_int(st, 8),
                              .created_at = driver_int(st, 11),
                              .changed_at = driver_int(st, 12),
                              .tapped_at = driver_int(st, 13),
                              .not_before = driver_int(st, 14),
                              .not_after = driver_int(st, 15),
                              .is_temporary = driver_int(st, 16) != 0,
                              .batch_id = driver_int(st, 18),
                              .is_in_office = driver_int(st, 19) != 0,
                              .tapped_station = driver_int(st, 20)};
    (void)driver_blob(st, 17, b->salt, sizeof(b->salt));
    (void)driver_blob(st, 1, b->uid, sizeof(b->uid));
    b->serial_len = (uint8_t)driver_blob(st, 2, b->serial, sizeof(b->serial));
    driver_text(st, 4, b->holder_ref, sizeof(b->holder_ref));
    driver_text(st, 5, b->holder_name, sizeof(b->holder_name));
    driver_text(st, 6, b->profile_id, sizeof(b->profile_id));
    (void)driver_blob(st, 9, b->generation, sizeof(b->generation));
    driver_text(st, 10, b->reason, sizeof(b->reason));
    if (b->state > STORE_BADGE_BLANKED)
        return b_err_set(err, B_E_STORE_CORRUPT, 0, "badge %lld has no state that exists",
                         (long long)b->id);
    return B_OK;
}

enum b_code store_badge_put(struct store *s, struct store_badge *b, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO badge (uid, serial, state, holder_ref, holder_name, profile_id,"
        " profile_revision, ev, generations, reason, created_at, changed_at, tapped_at,"
        " not_before, not_after, is_temporary, salt, batch_id, is_in_office, tapped_station)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char update[] =
        "UPDATE badge SET uid = ?, serial = ?, state = ?, holder_ref = ?, holder_name = ?,"
        " profile_id = ?, profile_revision = ?, ev = ?, generations = ?, reason = ?,"
        " created_at = ?, changed_at = ?, tapped_at = ?, not_before = ?, not_after = ?,"
        " is_temporary = ?, salt = ?, batch_id = ?, is_in_office = ?, tapped_station = ?"
        " WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, b->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, b->uid, has_uid(b) ? sizeof(b->uid) : 0);
    driver_bind_blob(st, 2, b->serial, b->serial_len);
    driver_bind_int(st, 3, b->state);
    driver_bind_text(st, 4, b->holder_ref);
    driver_bind_text(st, 5, b->holder_name);
    driver_bind_text(st, 6, b->profile_id);
    driver_bind_int(st, 7, b->profile_revision);
    driver_bind_int(st, 8, b->ev);
    driver_bind_blob(st, 9, b->generation, sizeof(b->generation));
    driver_bind_text(st, 10, b->reason);
    driver_bind_int(st, 11, b->created_at);
    driver_bind_int(st, 12, b->changed_at);
    driver_bind_int(st, 13, b->tapped_at);
    driver_bind_int(st, 14, b->not_before);
    driver_bind_int(st, 15, b->not_after);
    driver_bind_int(st, 16, b->is_temporary);
    driver_bind_blob(st, 17, b->salt, sizeof(b->salt));
    driver_bind_int(st, 18, b->batch_id);
    driver_bind_int(st, 19, b->is_in_office);
    driver_bind_int(st, 20, b->tapped_station);
    if (b->id != 0)
        driver_bind_int(st, 21, b->id);
    r = store_run(&st, err);
    if (r == B_E_DUPLICATE)
        (void)b_err_set(err, r, 0, "another badge has this UID or serial");
    if (r == B_OK && b->id == 0)
        b->id = driver_last_id(s->driver);
    return r;
}

/* Takes the one row of a bound statement, and finishes it. */
static enum b_code take_one(struct statement *st, struct store_badge *ret, struct b_err *err)
{
    enum b_code r = driver_step(st, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no such badge");
    if (r == B_OK)
        r = read_badge(st, ret, err);
    driver_finish(&st);
    return r;
}

enum b_code store_badge_by_uid(struct store *s, const uint8_t uid[static 7],
                               struct store_badge *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM badge WHERE uid = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, uid, 7);
    return take_one(st, ret, err);
}

enum b_code store_badge_by_serial(struct store *s, const uint8_t *serial, size_t n,
                                  struct store_badge *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM badge WHERE serial = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, serial, n);
    return take_one(st, ret, err);
}

enum b_code store_badge_by_id(struct store *s, int64_t id, struct store_badge *ret,
                              struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM badge WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    return take_one(st, ret, err);
}

enum b_code store_badge_each(struct store *s, int64_t after_id, const char *holder,
                             bool (*fn)(void *ctx, const struct store_badge *b), void *ctx,
                             struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s,
        "SELECT " COLUMNS " FROM badge WHERE id > ?1 AND (?2 = '' OR instr(lower(holder_name),"
        " lower(?2)) > 0 OR instr(lower(holder_ref), lower(?2)) > 0) ORDER BY id",
        &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, after_id);
    driver_bind_text(st, 2, holder != NULL ? holder : "");
    struct store_badge b;
    while ((r = driver_step(st, err)) == B_OK) {
        r = read_badge(st, &b, err);
        if (r != B_OK || !fn(ctx, &b))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_badge_of(struct store *s, const char *holder_ref,
                           bool (*fn)(void *ctx, const struct store_badge *b), void *ctx,
                           struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT " COLUMNS " FROM badge WHERE holder_ref = ? ORDER BY id", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, holder_ref);
    struct store_badge b;
    while ((r = driver_step(st, err)) == B_OK) {
        r = read_badge(st, &b, err);
        if (r != B_OK || !fn(ctx, &b))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
