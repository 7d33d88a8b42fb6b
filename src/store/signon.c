#include "store/driver.h"
#include "store/store.h"

/* Binds in order; the columns of each table stand once. */
struct binder {
    struct statement *st;
    int at;
};

static void bind_int(struct binder *b, int64_t v)
{
    driver_bind_int(b->st, ++b->at, v);
}

static void bind_text(struct binder *b, const char *text)
{
    driver_bind_text(b->st, ++b->at, text);
}

/* Steps a statement that gives one row or none, and finishes it. */
static enum b_code one(struct statement **st, void (*read)(struct statement *st, void *ret),
                       void *ret, struct b_err *err)
{
    enum b_code r = driver_step(*st, err);
    if (r == B_OK)
        read(*st, ret);
    driver_finish(st);
    return r;
}

/* --- challenges --------------------------------------------------------------------------------
 */

#define CHALLENGE                                                                               \
    "name, party, station, holder_ref, needs_pin, text, secret, state, created_at, expires_at," \
    " chosen_at, ping_url, ping_token, chosen_over, is_profile"

static void read_challenge(struct statement *st, void *ret)
{
    struct store_challenge *c = ret;
    *c = (struct store_challenge){.id = driver_int(st, 0),
                                  .station = driver_int(st, 3),
                                  .needs_pin = driver_int(st, 5) != 0,
                                  .state = (enum store_challenge_state)driver_int(st, 8),
                                  .created_at = driver_int(st, 9),
                                  .expires_at = driver_int(st, 10),
                                  .chosen_at = driver_int(st, 11),
                                  .chosen_over = driver_int(st, 14),
                                  .is_profile = driver_int(st, 15) != 0};
    driver_text(st, 1, c->name, sizeof(c->name));
    driver_text(st, 2, c->party, sizeof(c->party));
    driver_text(st, 4, c->holder_ref, sizeof(c->holder_ref));
    driver_text(st, 6, c->text, sizeof(c->text));
    (void)driver_blob(st, 7, c->secret, sizeof(c->secret));
    driver_text(st, 12, c->ping_url, sizeof(c->ping_url));
    driver_text(st, 13, c->ping_token, sizeof(c->ping_token));
}

enum b_code store_challenge_put(struct store *s, struct store_challenge *c, struct b_err *err)
{
    static const char insert[] = "INSERT INTO challenge (" CHALLENGE
                                 ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char update[] = "UPDATE challenge SET (" CHALLENGE
                                 ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?";
    struct binder b = {.at = 0};
    enum b_code r = store_prepare(s, c->id == 0 ? insert : update, &b.st, err);
    if (r != B_OK)
        return r;
    bind_text(&b, c->name);
    bind_text(&b, c->party);
    bind_int(&b, c->station);
    bind_text(&b, c->holder_ref);
    bind_int(&b, c->needs_pin);
    bind_text(&b, c->text);
    driver_bind_blob(b.st, ++b.at, c->secret, sizeof(c->secret));
    bind_int(&b, c->state);
    bind_int(&b, c->created_at);
    bind_int(&b, c->expires_at);
    bind_int(&b, c->chosen_at);
    bind_text(&b, c->ping_url);
    bind_text(&b, c->ping_token);
    bind_int(&b, c->chosen_over);
    bind_int(&b, c->is_profile);
    if (c->id != 0)
        bind_int(&b, c->id);
    r = store_run(&b.st, err);
    if (r == B_OK && c->id == 0)
        c->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_challenge_by_name(struct store *s, const char *name, struct store_challenge *ret,
                                    struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT id, " CHALLENGE " FROM challenge WHERE name = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, name);
    r = one(&st, read_challenge, ret, err);
    return r == B_E_NOT_FOUND ? b_err_set(err, r, 0, "no such challenge") : r;
}

static enum b_code each_challenge(struct statement *st,
                                  bool (*fn)(void *ctx, const struct store_challenge *c), void *ctx,
                                  struct b_err *err)
{
    struct store_challenge c;
    enum b_code r = B_OK;
    while ((r = driver_step(st, err)) == B_OK) {
        read_challenge(st, &c);
        if (!fn(ctx, &c))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_challenge_each(struct store *s, int64_t station, const char *holder_ref,
                                 int64_t now,
                                 bool (*fn)(void *ctx, const struct store_challenge *c), void *ctx,
                                 struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT id, " CHALLENGE " FROM challenge"
                                  " WHERE state = 0 AND station = ? AND expires_at > ?"
                                  " AND (holder_ref = '' OR ? = '' OR holder_ref = ?) ORDER BY id",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, station);
    driver_bind_int(st, 2, now);
    driver_bind_text(st, 3, holder_ref);
    driver_bind_text(st, 4, holder_ref);
    return each_challenge(st, fn, ctx, err);
}

enum b_code store_challenge_of_holder(struct store *s, const char *holder_ref, int64_t now,
                                      bool (*fn)(void *ctx, const struct store_challenge *c),
                                      void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT id, " CHALLENGE " FROM challenge"
                                  " WHERE state = 0 AND station = 0 AND expires_at > ?"
                                  " AND holder_ref = ? ORDER BY id",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, now);
    driver_bind_text(st, 2, holder_ref);
    return each_challenge(st, fn, ctx, err);
}

enum b_code store_challenge_choose(struct store *s, const struct store_challenge *c, int64_t now,
                                   struct b_err *err)
{
    static const char others[] =
        "UPDATE challenge SET chosen_at = 0 WHERE state = 0 AND station = ? AND id <> ?";
    static const char this[] =
        "UPDATE challenge SET station = ?1, chosen_at = ?3, chosen_over ="
        " (SELECT max(id) FROM challenge WHERE state = 0 AND (station = ?1 OR id = ?2))"
        " WHERE id = ?2";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, others, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, c->station);
    driver_bind_int(st, 2, c->id);
    r = store_run(&st, err);
    if (r == B_OK)
        r = store_prepare(s, this, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, c->station);
    driver_bind_int(st, 2, c->id);
    driver_bind_int(st, 3, now);
    return store_run(&st, err);
}

/* --- assertions --------------------------------------------------------------------------------
 */

#define ASSERTION "challenge, station, reader, badge_id, holder_ref, has_pin, at, token"

static void read_assertion(struct statement *st, void *ret)
{
    struct store_assertion *a = ret;
    *a = (struct store_assertion){.id = driver_int(st, 0),
                                  .challenge = driver_int(st, 1),
                                  .station = driver_int(st, 2),
                                  .badge_id = driver_int(st, 4),
                                  .has_pin = driver_int(st, 6) != 0,
                                  .at = driver_int(st, 7)};
    driver_text(st, 3, a->reader, sizeof(a->reader));
    driver_text(st, 5, a->holder_ref, sizeof(a->holder_ref));
    driver_text(st, 8, a->token, sizeof(a->token));
}

enum b_code store_assertion_add(struct store *s, struct store_assertion *a, struct b_err *err)
{
    struct binder b = {.at = 0};
    enum b_code r = store_prepare(s,
                                  "INSERT INTO assertion (" ASSERTION ", taken_at)"
                                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
                                  &b.st, err);
    if (r != B_OK)
        return r;
    bind_int(&b, a->challenge);
    bind_int(&b, a->station);
    bind_text(&b, a->reader);
    bind_int(&b, a->badge_id);
    bind_text(&b, a->holder_ref);
    bind_int(&b, a->has_pin);
    bind_int(&b, a->at);
    bind_text(&b, a->token);
    r = store_run(&b.st, err);
    if (r == B_OK)
        a->id = driver_last_id(s->driver);
    return r;
}

/* Of the challenge ?1 on the station ?2: an answer, or a tap that may be chosen as one. */
#define OF_CHALLENGE                                           \
    "a.station = ?2 AND (a.challenge = ?1 OR a.challenge = 0)" \
    " AND (?3 = '' OR a.holder_ref = ?3) AND (?4 = 0 OR a.has_pin <> 0) AND a.at >= ?5"

static void bind_challenge(struct statement *st, const struct store_challenge *c)
{
    driver_bind_int(st, 1, c->id);
    driver_bind_int(st, 2, c->station);
    driver_bind_text(st, 3, c->holder_ref);
    driver_bind_int(st, 4, c->needs_pin);
    /* What is to be confirmed was shown before the tap. */
    driver_bind_int(st, 5, c->text[0] != '\0' ? c->chosen_at : c->created_at);
}

enum b_code store_assertion_take(struct store *s, const struct store_challenge *c, bool takes_open,
                                 int64_t now, int64_t seconds, struct store_assertion *ret,
                                 struct b_err *err)
{
    static const char sql[] =
        "UPDATE assertion SET taken_at = ?6, challenge = ?1 WHERE taken_at = 0 AND id ="
        " (SELECT max(a.id) FROM assertion a"
        " JOIN badge b ON b.id = a.badge_id JOIN holder h ON h.ref = a.holder_ref"
        " JOIN station p ON p.id = a.station"
        " JOIN challenge k ON k.id = ?1 AND k.state = 0 AND k.expires_at > ?6"
        " WHERE a.taken_at = 0 AND " OF_CHALLENGE " AND (a.challenge = ?1 OR ?10 <> 0)"
        " AND a.at >= ?6 - ?7 AND a.at <= ?6"
        " AND b.state = ?8 AND b.holder_ref = h.ref AND b.not_before <= ?6"
        " AND (b.not_after = 0 OR b.not_after > ?6)"
        " AND h.state = ?9 AND p.state = ?9)"
        " RETURNING id, " ASSERTION;
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, sql, &st, err);
    if (r != B_OK)
        return r;
    bind_challenge(st, c);
    driver_bind_int(st, 6, now);
    driver_bind_int(st, 7, seconds);
    driver_bind_int(st, 8, STORE_BADGE_ACTIVE);
    driver_bind_int(st, 9, STORE_PARTY_ACTIVE);
    driver_bind_int(st, 10, takes_open);
    return one(&st, read_assertion, ret, err);
}

struct newest {
    struct store_assertion *assertion;
    bool is_taken;
};

static void read_newest(struct statement *st, void *ret)
{
    struct newest *n = ret;
    read_assertion(st, n->assertion);
    n->is_taken = driver_int(st, 9) != 0;
}

enum b_code store_assertion_newest(struct store *s, const struct store_challenge *c,
                                   struct store_assertion *ret, bool *ret_is_taken,
                                   struct b_err *err)
{
    static const char sql[] = "SELECT id, " ASSERTION ", taken_at FROM assertion a"
                              " WHERE " OF_CHALLENGE " ORDER BY id DESC LIMIT 1";
    struct newest n = {.assertion = ret};
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, sql, &st, err);
    if (r != B_OK)
        return r;
    bind_challenge(st, c);
    r = one(&st, read_newest, &n, err);
    *ret_is_taken = n.is_taken;
    return r;
}

/* --- sessions ----------------------------------------------------------------------------------
 */

#define SIGNON                                                                              \
    "sid, secret, badge_id, holder_ref, station, has_pin, tapped_at, expires_at, ended_at," \
    " reason, token"

static void read_signon(struct statement *st, void *ret)
{
    struct store_signon *v = ret;
    *v = (struct store_signon){.id = driver_int(st, 0),
                               .badge_id = driver_int(st, 3),
                               .station = driver_int(st, 5),
                               .has_pin = driver_int(st, 6) != 0,
                               .tapped_at = driver_int(st, 7),
                               .expires_at = driver_int(st, 8),
                               .ended_at = driver_int(st, 9)};
    driver_text(st, 1, v->sid, sizeof(v->sid));
    (void)driver_blob(st, 2, v->secret, sizeof(v->secret));
    driver_text(st, 4, v->holder_ref, sizeof(v->holder_ref));
    driver_text(st, 10, v->reason, sizeof(v->reason));
    driver_text(st, 11, v->token, sizeof(v->token));
}

enum b_code store_signon_put(struct store *s, struct store_signon *v, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO signon (" SIGNON ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char update[] =
        "UPDATE signon SET (" SIGNON ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?";
    struct binder b = {.at = 0};
    enum b_code r = store_prepare(s, v->id == 0 ? insert : update, &b.st, err);
    if (r != B_OK)
        return r;
    bind_text(&b, v->sid);
    driver_bind_blob(b.st, ++b.at, v->secret, sizeof(v->secret));
    bind_int(&b, v->badge_id);
    bind_text(&b, v->holder_ref);
    bind_int(&b, v->station);
    bind_int(&b, v->has_pin);
    bind_int(&b, v->tapped_at);
    bind_int(&b, v->expires_at);
    bind_int(&b, v->ended_at);
    bind_text(&b, v->reason);
    bind_text(&b, v->token);
    if (v->id != 0)
        bind_int(&b, v->id);
    r = store_run(&b.st, err);
    if (r == B_OK && v->id == 0)
        v->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_signon_by_id(struct store *s, int64_t id, struct store_signon *ret,
                               struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT id, " SIGNON " FROM signon WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = one(&st, read_signon, ret, err);
    return r == B_E_NOT_FOUND ? b_err_set(err, r, 0, "no such session") : r;
}

enum b_code store_signon_by_sid(struct store *s, const char *sid, struct store_signon *ret,
                                struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT id, " SIGNON " FROM signon WHERE sid = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, sid);
    r = one(&st, read_signon, ret, err);
    return r == B_E_NOT_FOUND ? b_err_set(err, r, 0, "no such session") : r;
}

enum b_code store_signon_by_secret(struct store *s, const uint8_t secret[static 32],
                                   struct store_signon *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT id, " SIGNON " FROM signon WHERE secret = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, secret, 32);
    r = one(&st, read_signon, ret, err);
    return r == B_E_NOT_FOUND ? b_err_set(err, r, 0, "no such session") : r;
}

enum b_code store_signon_next(struct store *s, const struct store_signon_of *of, int64_t after_id,
                              struct store_signon *ret, struct b_err *err)
{
    /* Three statements, so that each goes by its index. */
    static const char by_badge[] = "SELECT id, " SIGNON " FROM signon WHERE ended_at = 0"
                                   " AND badge_id = ?1 AND id > ?4 ORDER BY id LIMIT 1";
    static const char by_holder[] = "SELECT id, " SIGNON " FROM signon WHERE ended_at = 0"
                                    " AND holder_ref = ?2 AND id > ?4 ORDER BY id LIMIT 1";
    static const char by_station[] =
        "SELECT id, " SIGNON " FROM signon WHERE ended_at = 0 AND station = ?3"
        " AND (?2 = '' OR holder_ref = ?2) AND id > ?4 ORDER BY id LIMIT 1";
    const char *ref = of->holder_ref != NULL ? of->holder_ref : "";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  of->station != 0    ? by_station
                                  : of->badge_id != 0 ? by_badge
                                                      : by_holder,
                                  &st, err);
    if (r != B_OK)
        return r;
    if (of->badge_id != 0)
        driver_bind_int(st, 1, of->badge_id);
    if (of->badge_id == 0)
        driver_bind_text(st, 2, ref);
    if (of->station != 0)
        driver_bind_int(st, 3, of->station);
    driver_bind_int(st, 4, after_id);
    return one(&st, read_signon, ret, err);
}

enum b_code store_signon_expired(struct store *s, int64_t now, struct store_signon *ret,
                                 struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT id, " SIGNON " FROM signon WHERE ended_at = 0"
                                  " AND expires_at <= ? ORDER BY expires_at LIMIT 1",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, now);
    return one(&st, read_signon, ret, err);
}

enum b_code store_signon_join(struct store *s, int64_t signon, const char *party, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "INSERT OR IGNORE INTO signon_party (signon, party) VALUES (?, ?)", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, signon);
    driver_bind_text(st, 2, party);
    return store_run(&st, err);
}

enum b_code store_signon_forget(struct store *s, int64_t before, struct b_err *err)
{
    static const char *const sql[] = {
        "DELETE FROM challenge WHERE expires_at < ?",
        "DELETE FROM assertion WHERE at < ?",
        "DELETE FROM signon_party WHERE signon IN (SELECT id FROM signon WHERE expires_at < ?)",
        "DELETE FROM signon WHERE expires_at < ?",
    };
    return store_forget(s, sql, B_COUNT(sql), before, err);
}
