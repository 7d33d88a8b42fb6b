#include "store/driver.h"
#include "store/store.h"

#define TAP_CODE                                                                         \
    "party, holder_ref, salt, digest, assertion, badge_id, station, has_pin, tapped_at," \
    " expires_at, used_at, tries"

enum b_code store_tap_code_put(struct store *s, struct store_tap_code *c, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT OR REPLACE INTO tap_code (" TAP_CODE
                                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, c->party);
    driver_bind_text(st, 2, c->holder_ref);
    driver_bind_blob(st, 3, c->salt, sizeof(c->salt));
    driver_bind_blob(st, 4, c->digest, sizeof(c->digest));
    driver_bind_int(st, 5, c->assertion);
    driver_bind_int(st, 6, c->badge_id);
    driver_bind_int(st, 7, c->station);
    driver_bind_int(st, 8, c->has_pin);
    driver_bind_int(st, 9, c->tapped_at);
    driver_bind_int(st, 10, c->expires_at);
    driver_bind_int(st, 11, c->used_at);
    driver_bind_int(st, 12, c->tries);
    r = store_run(&st, err);
    if (r == B_OK)
        c->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_tap_code_of(struct store *s, const char *party, const char *holder_ref,
                              struct store_tap_code *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT id, " TAP_CODE " FROM tap_code WHERE party = ? AND holder_ref = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, party);
    driver_bind_text(st, 2, holder_ref);
    r = driver_step(st, err);
    if (r == B_OK) {
        *ret = (struct store_tap_code){.id = driver_int(st, 0),
                                       .assertion = driver_int(st, 5),
                                       .badge_id = driver_int(st, 6),
                                       .station = driver_int(st, 7),
                                       .has_pin = driver_int(st, 8) != 0,
                                       .tapped_at = driver_int(st, 9),
                                       .expires_at = driver_int(st, 10),
                                       .used_at = driver_int(st, 11),
                                       .tries = driver_int(st, 12)};
        driver_text(st, 1, ret->party, sizeof(ret->party));
        driver_text(st, 2, ret->holder_ref, sizeof(ret->holder_ref));
        (void)driver_blob(st, 3, ret->salt, sizeof(ret->salt));
        (void)driver_blob(st, 4, ret->digest, sizeof(ret->digest));
    }
    driver_finish(&st);
    return r;
}

enum b_code store_tap_code_take(struct store *s, int64_t id, const uint8_t digest[static 32],
                                int64_t tries, int64_t now, struct b_err *err)
{
    static const char sql[] =
        "UPDATE tap_code SET used_at = ?4 WHERE id = ?1 AND digest = ?2 AND used_at = 0"
        " AND tries < ?3 AND expires_at > ?4 AND EXISTS"
        " (SELECT 1 FROM badge b JOIN holder h ON h.ref = b.holder_ref"
        " JOIN station p ON p.id = tap_code.station"
        " WHERE b.id = tap_code.badge_id AND h.ref = tap_code.holder_ref AND b.state = ?5"
        " AND b.not_before <= ?4 AND (b.not_after = 0 OR b.not_after > ?4) AND h.state = ?6 AND "
        "p.state = ?6)";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, sql, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    driver_bind_blob(st, 2, digest, 32);
    driver_bind_int(st, 3, tries);
    driver_bind_int(st, 4, now);
    driver_bind_int(st, 5, STORE_BADGE_ACTIVE);
    driver_bind_int(st, 6, STORE_PARTY_ACTIVE);
    r = store_run(&st, err);
    return r == B_OK && driver_changes(s->driver) == 0 ? B_E_NOT_FOUND : r;
}

enum b_code store_tap_code_miss(struct store *s, int64_t id, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "UPDATE tap_code SET tries = tries + 1 WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    return store_run(&st, err);
}
