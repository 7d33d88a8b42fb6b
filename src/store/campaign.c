#include "store/campaign.h"

#include <stdio.h>
#include <string.h>

#include "store/driver.h"
#include "store/store.h"

const char *store_campaign_state_name(enum store_campaign_state st)
{
    static const char *const names[] = {"running", "paused", "ended"};
    return (size_t)st < B_COUNT(names) ? names[st] : "?";
}

#define COLUMNS                                                                             \
    "id, role, generation, state, pace, pause_percent, window, window_count, done, failed," \
    " why, tries_from, started_at, changed_at"

static enum b_code read_campaign(struct statement *st, struct store_campaign *c, struct b_err *err)
{
    *c = (struct store_campaign){.id = driver_int(st, 0),
                                 .role = (enum key_role)driver_int(st, 1),
                                 .generation = (uint8_t)driver_int(st, 2),
                                 .state = (enum store_campaign_state)driver_int(st, 3),
                                 .pace = (uint32_t)driver_int(st, 4),
                                 .pause_percent = (uint32_t)driver_int(st, 5),
                                 .window = (uint64_t)driver_int(st, 6),
                                 .window_count = (uint32_t)driver_int(st, 7),
                                 .done = (uint64_t)driver_int(st, 8),
                                 .failed = (uint64_t)driver_int(st, 9),
                                 .tries_from = driver_int(st, 11),
                                 .started_at = driver_int(st, 12),
                                 .changed_at = driver_int(st, 13)};
    driver_text(st, 10, c->why, sizeof(c->why));
    if (c->role >= KEY_ROLE_COUNT || c->state > STORE_CAMPAIGN_ENDED)
        return b_err_set(err, B_E_STORE_CORRUPT, 0, "campaign %lld cannot be read",
                         (long long)c->id);
    return B_OK;
}

enum b_code store_campaign_put(struct store *s, struct store_campaign *c, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO campaign (role, generation, state, pace, pause_percent, window, window_count,"
        " done, failed, why, tries_from, started_at, changed_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char update[] =
        "UPDATE campaign SET role = ?, generation = ?, state = ?, pace = ?, pause_percent = ?,"
        " window = ?, window_count = ?, done = ?, failed = ?, why = ?, tries_from = ?, started_at "
        "= ?,"
        " changed_at = ? WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, c->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    const int64_t numbers[] = {c->role,         c->generation,    c->state,
                               c->pace,         c->pause_percent, (int64_t)c->window,
                               c->window_count, (int64_t)c->done, (int64_t)c->failed};
    for (int i = 0; i < (int)B_COUNT(numbers); i++)
        driver_bind_int(st, i + 1, numbers[i]);
    driver_bind_text(st, 10, c->why);
    driver_bind_int(st, 11, c->tries_from);
    driver_bind_int(st, 12, c->started_at);
    driver_bind_int(st, 13, c->changed_at);
    if (c->id != 0)
        driver_bind_int(st, 14, c->id);
    r = store_run(&st, err);
    if (r == B_OK && c->id == 0)
        c->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_campaign_by_id(struct store *s, int64_t id, struct store_campaign *ret,
                                 struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM campaign WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = driver_step(st, err);
    if (r == B_OK)
        r = read_campaign(st, ret, err);
    else if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no campaign %lld", (long long)id);
    driver_finish(&st);
    return r;
}

enum b_code store_campaign_open(struct store *s, struct store_campaign cs[static KEY_ROLE_COUNT],
                                size_t *ret_count, struct b_err *err)
{
    struct statement *st = NULL;
    size_t n = 0;
    enum b_code r = store_prepare(
        s, "SELECT " COLUMNS " FROM campaign WHERE state <> 2 ORDER BY id DESC", &st, err);
    while (r == B_OK && n < KEY_ROLE_COUNT && (r = driver_step(st, err)) == B_OK)
        r = read_campaign(st, &cs[n++], err);
    driver_finish(&st);
    *ret_count = n;
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_campaign_each(struct store *s,
                                bool (*fn)(void *ctx, const struct store_campaign *c), void *ctx,
                                struct b_err *err)
{
    struct statement *st = NULL;
    struct store_campaign c;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM campaign ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        r = read_campaign(st, &c, err);
        if (r == B_OK && !fn(ctx, &c))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* --- badges that were tried --------------------------------------------------------------------
 */

enum b_code store_rekey_put(struct store *s, const struct store_rekey *k, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "INSERT OR REPLACE INTO rekey (badge_id, roles, outcome, tries,"
                                  " station_id, at) VALUES (?, ?, ?, ?, ?, ?)",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, k->badge_id);
    driver_bind_int(st, 2, k->roles);
    driver_bind_text(st, 3, k->outcome);
    driver_bind_int(st, 4, k->tries);
    driver_bind_int(st, 5, k->station_id);
    driver_bind_int(st, 6, k->at);
    return store_run(&st, err);
}

#define REKEY_COLUMNS "badge_id, roles, outcome, tries, station_id, at"

static void read_rekey(struct statement *st, struct store_rekey *k)
{
    *k = (struct store_rekey){.badge_id = driver_int(st, 0),
                              .roles = (uint8_t)driver_int(st, 1),
                              .tries = (uint32_t)driver_int(st, 3),
                              .station_id = driver_int(st, 4),
                              .at = driver_int(st, 5)};
    driver_text(st, 2, k->outcome, sizeof(k->outcome));
}

enum b_code store_rekey_get(struct store *s, int64_t badge_id, struct store_rekey *ret,
                            struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT " REKEY_COLUMNS " FROM rekey WHERE badge_id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, badge_id);
    r = driver_step(st, err);
    if (r == B_OK)
        read_rekey(st, ret);
    driver_finish(&st);
    return r;
}

enum b_code store_rekey_each(struct store *s, bool (*fn)(void *ctx, const struct store_rekey *k),
                             void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    struct store_rekey k;
    enum b_code r =
        store_prepare(s, "SELECT " REKEY_COLUMNS " FROM rekey ORDER BY badge_id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        read_rekey(st, &k);
        if (!fn(ctx, &k))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* --- figures -----------------------------------------------------------------------------------
 *
 * Read from the badges themselves, in one pass: what was counted along the way could differ from
 * what is.
 */

/* The generation of the role that parameter 1 numbers; 3 and 4 are revoked and blanked. */
#define HAS_NEW "(substr(b.generations, ?1 + 1, 1) = ?2)"
#define COUNTS "b.state NOT IN (3, 4)"

static void bind_campaign(struct statement *st, const struct store_campaign *c)
{
    driver_bind_int(st, 1, c->role);
    driver_bind_blob(st, 2, &c->generation, 1);
    driver_bind_int(st, 3, c->started_at);
}

const char *store_campaign_place_name(enum store_campaign_place at)
{
    static const char *const names[] = {"never", "desk", "stations"};
    size_t i = (size_t)(at - STORE_CAMPAIGN_NEVER);
    return i < B_COUNT(names) ? names[i] : "?";
}

/* One row for a badge, then where it counts, then a number for what it counts as there, by which a
 * million of them are sorted in no more time than they are read in: bit 2 done, 1 seen, 0 failed. A
 * badge that is done and has no try that ended well was done at a desk: enrolled, or repaired. */
#define PARTS                                                                           \
    "WITH one AS (SELECT " HAS_NEW " AS done, b.tapped_at >= ?3 AS seen,"               \
    " ifnull(k.at >= ?3, 0) AS tried,"                                                  \
    " ifnull(k.at >= ?3 AND k.outcome <> 'ok' AND (k.roles >> ?1 & 1), 0) AS failed,"   \
    " k.station_id AS tried_at, iif(b.tapped_at = 0, -1, b.tapped_station) AS tapped"   \
    " FROM badge b LEFT JOIN rekey k ON k.badge_id = b.id WHERE " COUNTS "),"           \
    " placed AS (SELECT *, CASE WHEN done THEN iif(tried AND NOT failed, tried_at, 0)"  \
    "  WHEN failed THEN tried_at ELSE tapped END AS place FROM one),"                   \
    " kinds AS (SELECT (place + 1) * 8 + iif(done, 4, seen * 2 + failed) AS kind,"      \
    "  count(*) AS n FROM placed GROUP BY 1)"                                           \
    " SELECT min(kind / 8 - 1, 1), ifnull(t.grp, ''), sum(n), sum(n * (kind & 4 = 4))," \
    " sum(n * (kind & 6 = 2)), sum(n * (kind & 6 = 0)), sum(n * (kind & 5 = 1))"        \
    " FROM kinds LEFT JOIN station t ON t.id = kind / 8 - 1 GROUP BY 1, 2 ORDER BY 1 DESC, 2"

static void read_part(struct statement *st, struct store_campaign_part *ret)
{
    ret->at = (enum store_campaign_place)driver_int(st, 0);
    driver_text(st, 1, ret->group, sizeof(ret->group));
    ret->badges = (struct store_progress){.badges = (uint64_t)driver_int(st, 2),
                                          .done = (uint64_t)driver_int(st, 3),
                                          .seen = (uint64_t)driver_int(st, 4),
                                          .not_seen = (uint64_t)driver_int(st, 5),
                                          .failed = (uint64_t)driver_int(st, 6)};
}

enum b_code store_campaign_progress(struct store *s, const struct store_campaign *c,
                                    struct store_progress *ret,
                                    void (*fn)(void *ctx, const struct store_campaign_part *part),
                                    void *ctx, struct b_err *err)
{
    struct store_campaign_part part;
    struct store_progress all = {.badges = 0};
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, PARTS, &st, err);
    if (r != B_OK)
        return r;
    bind_campaign(st, c);
    while ((r = driver_step(st, err)) == B_OK) {
        read_part(st, &part);
        all.badges += part.badges.badges;
        all.done += part.badges.done;
        all.seen += part.badges.seen;
        all.not_seen += part.badges.not_seen;
        all.failed += part.badges.failed;
        if (fn != NULL)
            fn(ctx, &part);
    }
    driver_finish(&st);
    if (r != B_E_NOT_FOUND)
        return r;
    *ret = all;
    return B_OK;
}

/* max() gives the other columns of its row. */
#define HAS_STEP                                                                      \
    "b.uid IN (SELECT uid FROM (SELECT uid, max(id), from_generation, to_generation," \
    " is_effective FROM intent WHERE action = ?3 AND aid = ?4 AND (?5 >> no & 1)"     \
    " GROUP BY uid, no) WHERE ?6 IN (to_generation, iif(is_effective, to_generation," \
    " from_generation)))"

enum b_code store_badges_of_generation(struct store *s, const struct store_keys *k,
                                       bool (*fn)(void *ctx, int64_t badge_id), void *ctx,
                                       struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT b.id FROM badge b WHERE " COUNTS " AND (" HAS_NEW
                                  " OR " HAS_STEP ") ORDER BY b.id",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, k->role);
    driver_bind_blob(st, 2, &k->generation, 1);
    driver_bind_text(st, 3, k->action);
    driver_bind_int(st, 4, k->aid);
    driver_bind_int(st, 5, k->nos);
    driver_bind_int(st, 6, k->generation);
    while ((r = driver_step(st, err)) == B_OK)
        if (!fn(ctx, driver_int(st, 0)))
            break;
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
