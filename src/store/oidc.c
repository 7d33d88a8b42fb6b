#include "store/driver.h"
#include "store/store.h"

#define GRANT                                                                       \
    "code, client, redirect_uri, nonce, challenge, is_profile, signon, expires_at," \
    " used_at, token, token_expires, ended_at"

static enum b_code read_grant(struct statement **st, struct store_grant *g, struct b_err *err)
{
    enum b_code r = driver_step(*st, err);
    if (r == B_OK) {
        *g = (struct store_grant){.id = driver_int(*st, 0),
                                  .is_profile = driver_int(*st, 6) != 0,
                                  .signon = driver_int(*st, 7),
                                  .expires_at = driver_int(*st, 8),
                                  .used_at = driver_int(*st, 9),
                                  .token_expires = driver_int(*st, 11),
                                  .ended_at = driver_int(*st, 12)};
        (void)driver_blob(*st, 1, g->code, sizeof(g->code));
        driver_text(*st, 2, g->client, sizeof(g->client));
        driver_text(*st, 3, g->redirect_uri, sizeof(g->redirect_uri));
        driver_text(*st, 4, g->nonce, sizeof(g->nonce));
        driver_text(*st, 5, g->challenge, sizeof(g->challenge));
        (void)driver_blob(*st, 10, g->token, sizeof(g->token));
    }
    driver_finish(st);
    return r;
}

enum b_code store_grant_put(struct store *s, struct store_grant *g, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO code_grant (" GRANT ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char update[] =
        "UPDATE code_grant SET (" GRANT ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, g->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, g->code, sizeof(g->code));
    driver_bind_text(st, 2, g->client);
    driver_bind_text(st, 3, g->redirect_uri);
    driver_bind_text(st, 4, g->nonce);
    driver_bind_text(st, 5, g->challenge);
    driver_bind_int(st, 6, g->is_profile);
    driver_bind_int(st, 7, g->signon);
    driver_bind_int(st, 8, g->expires_at);
    driver_bind_int(st, 9, g->used_at);
    store_bind_digest(st, 10, g->token);
    driver_bind_int(st, 11, g->token_expires);
    driver_bind_int(st, 12, g->ended_at);
    if (g->id != 0)
        driver_bind_int(st, 13, g->id);
    r = store_run(&st, err);
    if (r == B_OK && g->id == 0)
        g->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_grant_by_code(struct store *s, const uint8_t code[static 32],
                                struct store_grant *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT id, " GRANT " FROM code_grant WHERE code = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, code, 32);
    return read_grant(&st, ret, err);
}

enum b_code store_grant_by_token(struct store *s, const uint8_t token[static 32],
                                 struct store_grant *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT id, " GRANT " FROM code_grant WHERE token = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, token, 32);
    return read_grant(&st, ret, err);
}

enum b_code store_once(struct store *s, const uint8_t digest[static 32], int64_t until,
                       struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "INSERT OR IGNORE INTO once (digest, until) VALUES (?, ?)", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, digest, 32);
    driver_bind_int(st, 2, until);
    r = store_run(&st, err);
    if (r == B_OK && driver_changes(s->driver) == 0)
        r = b_err_set(err, B_E_DUPLICATE, 0, "it was taken already");
    return r;
}

enum b_code store_signon_tell(struct store *s, int64_t signon, const struct store_told *t,
                              struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "UPDATE signon_party SET issuer = ?, url = ? WHERE signon = ? AND party = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, t->issuer);
    driver_bind_text(st, 2, t->url);
    driver_bind_int(st, 3, signon);
    driver_bind_text(st, 4, t->party);
    return store_run(&st, err);
}

enum b_code store_signon_each_told(struct store *s, int64_t signon,
                                   bool (*fn)(void *ctx, const struct store_told *t), void *ctx,
                                   struct b_err *err)
{
    struct store_told t;
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT party, issuer, url FROM signon_party"
                                  " WHERE signon = ? AND url <> '' ORDER BY party",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, signon);
    while ((r = driver_step(st, err)) == B_OK) {
        driver_text(st, 0, t.party, sizeof(t.party));
        driver_text(st, 1, t.issuer, sizeof(t.issuer));
        driver_text(st, 2, t.url, sizeof(t.url));
        if (!fn(ctx, &t))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_oidc_forget(struct store *s, int64_t before, struct b_err *err)
{
    static const char *const sql[] = {"DELETE FROM browser WHERE expires_at < ?",
                                      "DELETE FROM code_grant WHERE token_expires < ?",
                                      "DELETE FROM once WHERE until < ?",
                                      "DELETE FROM tap_code WHERE expires_at < ?"};
    return store_forget(s, sql, B_COUNT(sql), before, err);
}
