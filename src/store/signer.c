#include <string.h>

#include "store/driver.h"
#include "store/store.h"

const char *store_signer_state_name(enum store_signer_state st)
{
    static const char *const names[] = {"next", "active", "retired", "dropped"};
    return (size_t)st < B_COUNT(names) ? names[st] : "?";
}

#define COLUMNS "id, kid, alg, state, public, wrapped, created_at, activated_at, retired_at"

static enum b_code read_key(struct statement *st, struct store_signing_key *k, struct b_err *err)
{
    *k = (struct store_signing_key){.id = driver_int(st, 0),
                                    .alg = (enum crypto_jws)driver_int(st, 2),
                                    .state = (enum store_signer_state)driver_int(st, 3),
                                    .created_at = driver_int(st, 6),
                                    .activated_at = driver_int(st, 7),
                                    .retired_at = driver_int(st, 8)};
    driver_text(st, 1, k->kid, sizeof(k->kid));
    k->public_len = driver_blob(st, 4, k->public_key, sizeof(k->public_key));
    k->wrapped_len = driver_blob(st, 5, k->wrapped, sizeof(k->wrapped));
    if (k->alg >= CRYPTO_JWS_COUNT || k->state >= STORE_SIGNER_STATES)
        return b_err_set(err, B_E_STORE_CORRUPT, 0, "signing key %lld cannot be read",
                         (long long)k->id);
    return B_OK;
}

enum b_code store_signing_key_put(struct store *s, struct store_signing_key *k, struct b_err *err)
{
    static const char insert[] =
        "INSERT INTO signing_key (kid, alg, state, public, wrapped, created_at, activated_at,"
        " retired_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    static const char update[] =
        "UPDATE signing_key SET kid = ?, alg = ?, state = ?, public = ?, wrapped = ?,"
        " created_at = ?, activated_at = ?, retired_at = ? WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, k->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, k->kid);
    driver_bind_int(st, 2, k->alg);
    driver_bind_int(st, 3, k->state);
    driver_bind_blob(st, 4, k->public_key, k->public_len);
    driver_bind_blob(st, 5, k->wrapped, k->wrapped_len);
    driver_bind_int(st, 6, k->created_at);
    driver_bind_int(st, 7, k->activated_at);
    driver_bind_int(st, 8, k->retired_at);
    if (k->id != 0)
        driver_bind_int(st, 9, k->id);
    r = store_run(&st, err);
    if (r == B_OK && k->id == 0)
        k->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_signing_key_get(struct store *s, const char *kid, struct store_signing_key *ret,
                                  struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM signing_key WHERE kid = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, kid);
    r = driver_step(st, err);
    if (r == B_OK)
        r = read_key(st, ret, err);
    else if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no signing key %.48s", kid);
    driver_finish(&st);
    return r;
}

enum b_code store_signing_key_of(struct store *s, enum crypto_jws alg,
                                 enum store_signer_state state, struct store_signing_key *ret,
                                 struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s,
                                  "SELECT " COLUMNS " FROM signing_key WHERE alg = ? AND state = ?"
                                  " ORDER BY id DESC LIMIT 1",
                                  &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, alg);
    driver_bind_int(st, 2, state);
    r = driver_step(st, err);
    if (r == B_OK)
        r = read_key(st, ret, err);
    driver_finish(&st);
    return r;
}

enum b_code store_signing_key_each(struct store *s,
                                   bool (*fn)(void *ctx, const struct store_signing_key *k),
                                   void *ctx, struct b_err *err)
{
    struct statement *st = NULL;
    struct store_signing_key k;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM signing_key ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        r = read_key(st, &k, err);
        if (r == B_OK && !fn(ctx, &k))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
