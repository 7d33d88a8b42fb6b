/* People of the directory, and its tokens. */
#include "store/directory.h"

#include "store/driver.h"

/* --- people ------------------------------------------------------------------------------------
 */

#define USER                                                                                       \
    "SELECT staff.id, user_name, external_id, formatted, given, family, department, national,"     \
    " verified_at, wish, wished_at, is_held, ends_at, source, created_at, changed_at, staff.salt," \
    " holder.ref, holder.name, holder.state, is_stopped FROM staff JOIN holder ON holder.id = "    \
    "staff.id"

static void read_user(struct statement *st, struct store_user *u)
{
    *u = (struct store_user){.id = driver_int(st, 0),
                             .verified_at = driver_int(st, 8),
                             .wish = (enum store_wish)driver_int(st, 9),
                             .wished_at = driver_int(st, 10),
                             .is_held = driver_int(st, 11) != 0,
                             .ends_at = driver_int(st, 12),
                             .created_at = driver_int(st, 14),
                             .changed_at = driver_int(st, 15),
                             .state = (enum store_party_state)driver_int(st, 19),
                             .is_stopped = driver_int(st, 20) != 0};
    driver_text(st, 1, u->user_name, sizeof(u->user_name));
    driver_text(st, 2, u->external_id, sizeof(u->external_id));
    driver_text(st, 3, u->formatted, sizeof(u->formatted));
    driver_text(st, 4, u->given, sizeof(u->given));
    driver_text(st, 5, u->family, sizeof(u->family));
    driver_text(st, 6, u->department, sizeof(u->department));
    driver_text(st, 7, u->national, sizeof(u->national));
    driver_text(st, 13, u->source, sizeof(u->source));
    (void)driver_blob(st, 16, u->salt, sizeof(u->salt));
    driver_text(st, 17, u->ref, sizeof(u->ref));
    driver_text(st, 18, u->name, sizeof(u->name));
}

enum b_code store_user_put(struct store *s, const struct store_user *u, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s,
        "INSERT INTO staff (id, user_name, external_id, formatted, given, family, department,"
        " national, verified_at, wish, wished_at, is_held, ends_at, source, created_at, changed_at,"
        " salt, is_stopped) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
        " ?15, ?16, ?17, ?18)"
        " ON CONFLICT (id) DO UPDATE SET user_name = ?2, external_id = ?3, formatted = ?4,"
        " given = ?5, family = ?6, department = ?7, national = ?8, verified_at = ?9, wish = ?10,"
        " wished_at = ?11, is_held = ?12, ends_at = ?13, source = ?14, created_at = ?15,"
        " changed_at = ?16, salt = ?17, is_stopped = ?18",
        &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, u->id);
    driver_bind_text(st, 2, u->user_name);
    driver_bind_text(st, 3, u->external_id);
    driver_bind_text(st, 4, u->formatted);
    driver_bind_text(st, 5, u->given);
    driver_bind_text(st, 6, u->family);
    driver_bind_text(st, 7, u->department);
    driver_bind_text(st, 8, u->national);
    driver_bind_int(st, 9, u->verified_at);
    driver_bind_int(st, 10, u->wish);
    driver_bind_int(st, 11, u->wished_at);
    driver_bind_int(st, 12, u->is_held);
    driver_bind_int(st, 13, u->ends_at);
    driver_bind_text(st, 14, u->source);
    driver_bind_int(st, 15, u->created_at);
    driver_bind_int(st, 16, u->changed_at);
    driver_bind_blob(st, 17, u->salt, sizeof(u->salt));
    driver_bind_int(st, 18, u->is_stopped);
    r = store_run(&st, err);
    if (r == B_E_DUPLICATE)
        (void)b_err_set(err, r, 0, "somebody has the userName %s already", u->user_name);
    return r;
}

/* The only row of a statement that is bound. */
static enum b_code one_user(struct statement **st, struct store_user *ret, struct b_err *err)
{
    enum b_code r = driver_step(*st, err);
    if (r == B_OK)
        read_user(*st, ret);
    driver_finish(st);
    return r;
}

static enum b_code all_users(struct statement **st, store_user_fn *fn, void *ctx, struct b_err *err)
{
    struct store_user u;
    enum b_code r = B_OK;
    while ((r = driver_step(*st, err)) == B_OK) {
        read_user(*st, &u);
        if (!fn(ctx, &u))
            break;
    }
    driver_finish(st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_user_by_id(struct store *s, int64_t id, struct store_user *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, USER " WHERE staff.id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = one_user(&st, ret, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no person u%lld", (long long)id);
    return r;
}

enum b_code store_user_by_name(struct store *s, const char *user_name, struct store_user *ret,
                               struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, USER " WHERE user_name = ? AND wish <> 2", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, user_name);
    return one_user(&st, ret, err);
}

enum b_code store_user_each(struct store *s, enum store_user_which which, int64_t before,
                            store_user_fn *fn, void *ctx, struct b_err *err)
{
    static const char *const asked[] = {
        USER " ORDER BY staff.id",
        USER " WHERE wish <> 2 ORDER BY staff.id",
        USER " WHERE is_held = 1 ORDER BY staff.id",
        USER " WHERE ends_at <> 0 AND ends_at <= ? AND is_held = 0 ORDER BY staff.id",
    };
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, asked[which], &st, err);
    if (r != B_OK)
        return r;
    if (which == STORE_USER_ENDING)
        driver_bind_int(st, 1, before);
    return all_users(&st, fn, ctx, err);
}

enum b_code store_user_by_external(struct store *s, const char *external_id, store_user_fn *fn,
                                   void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, USER " WHERE external_id = ? AND wish <> 2 ORDER BY staff.id", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, external_id);
    return all_users(&st, fn, ctx, err);
}

enum b_code store_user_by_national(struct store *s, const char *national, store_user_fn *fn,
                                   void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, USER " WHERE national = ? AND national <> '' AND wish <> 2 ORDER BY staff.id", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, national);
    return all_users(&st, fn, ctx, err);
}

enum b_code store_user_count(struct store *s, int64_t since, struct store_user_counts *ret,
                             struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s,
                      "SELECT (SELECT count(*) FROM staff WHERE wish = 0),"
                      " (SELECT count(*) FROM staff WHERE wish <> 0 AND wished_at >= ?),"
                      " (SELECT count(*) FROM staff WHERE is_held = 1)",
                      &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, since);
    r = driver_step(st, err);
    if (r == B_OK)
        *ret = (struct store_user_counts){.staff = driver_int(st, 0) + driver_int(st, 1),
                                          .leaving = driver_int(st, 1),
                                          .held = driver_int(st, 2)};
    driver_finish(&st);
    return r;
}

/* --- tokens ------------------------------------------------------------------------------------
 */

#define TOKEN "SELECT id, name, rights, digest, created_at, expires_at, revoked_at FROM scim_token"

static void read_token(struct statement *st, struct store_token *t)
{
    *t = (struct store_token){.id = driver_int(st, 0),
                              .rights = (uint8_t)driver_int(st, 2),
                              .created_at = driver_int(st, 4),
                              .expires_at = driver_int(st, 5),
                              .revoked_at = driver_int(st, 6)};
    driver_text(st, 1, t->name, sizeof(t->name));
    (void)driver_blob(st, 3, t->digest, sizeof(t->digest));
}

enum b_code store_token_put(struct store *s, struct store_token *t, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO scim_token (name, rights, digest, created_at, expires_at,"
        " revoked_at) VALUES (?, ?, ?, ?, ?, ?)";
    static const char update[] = "UPDATE scim_token SET name = ?, rights = ?, digest = ?,"
                                 " created_at = ?, expires_at = ?, revoked_at = ? WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, t->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, t->name);
    driver_bind_int(st, 2, t->rights);
    driver_bind_blob(st, 3, t->digest, sizeof(t->digest));
    driver_bind_int(st, 4, t->created_at);
    driver_bind_int(st, 5, t->expires_at);
    driver_bind_int(st, 6, t->revoked_at);
    if (t->id != 0)
        driver_bind_int(st, 7, t->id);
    r = store_run(&st, err);
    if (r == B_E_DUPLICATE)
        (void)b_err_set(err, r, 0, "there is or was a token %s; give another name", t->name);
    if (r == B_OK && t->id == 0)
        t->id = driver_last_id(s->driver);
    return r;
}

static enum b_code one_token(struct statement **st, struct store_token *ret, struct b_err *err)
{
    enum b_code r = driver_step(*st, err);
    if (r == B_OK)
        read_token(*st, ret);
    driver_finish(st);
    return r;
}

enum b_code store_token_by_digest(struct store *s, const uint8_t digest[static 32],
                                  struct store_token *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, TOKEN " WHERE digest = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, digest, 32);
    return one_token(&st, ret, err);
}

enum b_code store_token_by_name(struct store *s, const char *name, struct store_token *ret,
                                struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, TOKEN " WHERE name = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, name);
    return one_token(&st, ret, err);
}

enum b_code store_token_each(struct store *s, bool (*fn)(void *ctx, const struct store_token *t),
                             void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    struct store_token t;
    enum b_code r = store_prepare(s, TOKEN " ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        read_token(st, &t);
        if (!fn(ctx, &t))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
