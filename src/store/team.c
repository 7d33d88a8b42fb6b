/* Groups of the directory, and who is in them. */
#include "store/directory.h"
#include "store/driver.h"

#define TEAM "SELECT id, name, external_id, created_at, changed_at FROM team"

static void read_team(struct statement *st, struct store_team *t)
{
    *t = (struct store_team){
        .id = driver_int(st, 0), .created_at = driver_int(st, 3), .changed_at = driver_int(st, 4)};
    driver_text(st, 1, t->name, sizeof(t->name));
    driver_text(st, 2, t->external_id, sizeof(t->external_id));
}

enum b_code store_team_put(struct store *s, struct store_team *t, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO team (name, external_id, created_at, changed_at) VALUES (?, ?, ?, ?)";
    static const char update[] =
        "UPDATE team SET name = ?, external_id = ?, created_at = ?, changed_at = ? WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, t->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, t->name);
    driver_bind_text(st, 2, t->external_id);
    driver_bind_int(st, 3, t->created_at);
    driver_bind_int(st, 4, t->changed_at);
    if (t->id != 0)
        driver_bind_int(st, 5, t->id);
    r = store_run(&st, err);
    if (r == B_E_DUPLICATE)
        (void)b_err_set(err, r, 0, "there is a group %s already", t->name);
    if (r == B_OK && t->id == 0)
        t->id = driver_last_id(s->driver);
    return r;
}

static enum b_code one_team(struct statement **st, struct store_team *ret, struct b_err *err)
{
    enum b_code r = driver_step(*st, err);
    if (r == B_OK)
        read_team(*st, ret);
    driver_finish(st);
    return r;
}

enum b_code store_team_by_id(struct store *s, int64_t id, struct store_team *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, TEAM " WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = one_team(&st, ret, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no group g%lld", (long long)id);
    return r;
}

enum b_code store_team_by_name(struct store *s, const char *name, struct store_team *ret,
                               struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, TEAM " WHERE name = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, name);
    return one_team(&st, ret, err);
}

enum b_code store_team_each(struct store *s, bool (*fn)(void *ctx, const struct store_team *t),
                            void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    struct store_team t;
    enum b_code r = store_prepare(s, TEAM " ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        read_team(st, &t);
        if (!fn(ctx, &t))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

static enum b_code run_with(struct store *s, const char *sql, int64_t first, int64_t second,
                            struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, sql, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, first);
    if (second != 0)
        driver_bind_int(st, 2, second);
    return store_run(&st, err);
}

enum b_code store_team_delete(struct store *s, int64_t id, struct b_err *err)
{
    enum b_code r = run_with(s, "DELETE FROM member WHERE team = ?", id, 0, err);
    return r == B_OK ? run_with(s, "DELETE FROM team WHERE id = ?", id, 0, err) : r;
}

enum b_code store_member_set(struct store *s, int64_t team, int64_t user, bool is_in,
                             struct b_err *err)
{
    static const char enter[] = "INSERT INTO member (team, staff) VALUES (?, ?)"
                                " ON CONFLICT DO NOTHING";
    static const char leave[] = "DELETE FROM member WHERE team = ? AND staff = ?";
    return run_with(s, is_in ? enter : leave, team, user, err);
}

enum b_code store_member_has(struct store *s, const char *team, int64_t user, bool *ret,
                             struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT 1 FROM team JOIN member ON member.team = team.id"
                                  " WHERE name = ? AND staff = ?",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, team);
    driver_bind_int(st, 2, user);
    r = driver_step(st, err);
    driver_finish(&st);
    *ret = r == B_OK;
    return r == B_E_NOT_FOUND ? B_OK : r;
}

static enum b_code each(struct store *s, const char *sql, int64_t id, store_member_fn *fn,
                        void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    struct store_member m;
    enum b_code r = store_prepare(s, sql, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    while ((r = driver_step(st, err)) == B_OK) {
        m = (struct store_member){.id = driver_int(st, 0)};
        driver_text(st, 1, m.name, sizeof(m.name));
        if (!fn(ctx, &m))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_member_each(struct store *s, int64_t team, store_member_fn *fn, void *ctx,
                              struct b_err *err)
{
    return each(s,
                "SELECT staff, holder.name FROM member JOIN holder ON holder.id = staff"
                " WHERE team = ? ORDER BY staff",
                team, fn, ctx, err);
}

enum b_code store_membership_each(struct store *s, int64_t user, store_member_fn *fn, void *ctx,
                                  struct b_err *err)
{
    return each(s,
                "SELECT team.id, name FROM member JOIN team ON team.id = member.team"
                " WHERE staff = ? ORDER BY team.id",
                user, fn, ctx, err);
}
