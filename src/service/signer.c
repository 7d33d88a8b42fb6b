#include "service/signer.h"

#include <string.h>

#include "service/relay.h"

/* --- changes -----------------------------------------------------------------------------------
 */

static enum b_code put(struct service_change *c, struct store_signing_key *k, const char *kind,
                       struct b_err *err)
{
    enum b_code r = store_signing_key_put(c->store, k, err);
    if (r != B_OK)
        return r;
    service_vouch_signing_key(c, k);
    return service_log(
        c,
        (struct service_entry){.kind = kind,
                               .detail = json_pack("{s:s, s:s, s:s}", "key", k->kid, "alg",
                                                   crypto_jws_name(k->alg), "state",
                                                   store_signer_state_name(k->state))},
        err);
}

/* It signs no more: its wrapped form is of no use any more, and goes. */
static void end(struct store_signing_key *k, enum store_signer_state state, int64_t now)
{
    k->state = state;
    k->retired_at = k->retired_at != 0 ? k->retired_at : now;
    b_wipe(k->wrapped, sizeof(k->wrapped));
    k->wrapped_len = 0;
}

/* Another server, or a command, may have made one meanwhile: then this one is forgotten. */
static enum b_code note_next(struct service_change *c, void *ctx, struct b_err *err)
{
    static _Thread_local struct store_signing_key other;
    struct store_signing_key *k = ctx;
    enum b_code r = store_signing_key_of(c->store, k->alg, STORE_SIGNER_NEXT, &other, err);
    k->created_at = c->now;
    return r == B_E_NOT_FOUND ? put(c, k, "signer-make", err) : r;
}

static bool is_known(const struct store_signing_key *next, int64_t now)
{
    return now >= next->created_at + SERVICE_SIGNER_NEXT_SECONDS;
}

static bool is_due(const struct store_signing_key *active, const struct store_signing_key *next,
                   int64_t now)
{
    return now >= active->activated_at + SERVICE_SIGNER_ACTIVE_SECONDS && is_known(next, now);
}

struct turn {
    enum crypto_jws alg;
    bool is_asked; /* a person did: it need not be due */
};

/* The next one becomes active. Where there is no active one it need not be known. */
static enum b_code note_turn(struct service_change *c, void *ctx, struct b_err *err)
{
    static _Thread_local struct store_signing_key active, next;
    const struct turn *t = ctx;
    enum b_code r = store_signing_key_of(c->store, t->alg, STORE_SIGNER_NEXT, &next, err);
    if (r != B_OK)
        return r == B_E_NOT_FOUND ? B_OK : r;
    r = store_signing_key_of(c->store, t->alg, STORE_SIGNER_ACTIVE, &active, err);
    if (r == B_OK && t->is_asked && !is_known(&next, c->now))
        return b_err_set(err, B_E_REFUSED, 0,
                         "the next key of %s is published for less than a day: relying parties may "
                         "not know it",
                         crypto_jws_name(t->alg));
    if (r == B_OK && !t->is_asked && !is_due(&active, &next, c->now))
        return B_OK; /* it was done meanwhile */
    if (r == B_OK) {
        end(&active, STORE_SIGNER_RETIRED, c->now);
        r = put(c, &active, "signer-retire", err);
    } else if (r == B_E_NOT_FOUND) {
        r = B_OK;
    }
    next.state = STORE_SIGNER_ACTIVE;
    next.activated_at = c->now;
    return r == B_OK ? put(c, &next, "signer-activate", err) : r;
}

static enum b_code note_drop(struct service_change *c, void *ctx, struct b_err *err)
{
    static _Thread_local struct store_signing_key k;
    enum b_code r = store_signing_key_get(c->store, ctx, &k, err);
    if (r != B_OK)
        return r;
    if (k.state == STORE_SIGNER_DROPPED)
        return b_err_set(err, B_E_REFUSED, 0, "key %s is retired already", k.kid);
    bool was_active = k.state == STORE_SIGNER_ACTIVE;
    end(&k, STORE_SIGNER_DROPPED, c->now);
    r = put(c, &k, "signer-drop", err);
    struct turn t = {.alg = k.alg};
    return r == B_OK && was_active ? note_turn(c, &t, err) : r;
}

/* --- keeping them ------------------------------------------------------------------------------
 */

static enum b_code make(struct service *sv, enum crypto_jws alg, struct b_err *err)
{
    static _Thread_local struct vault_signer made;
    static _Thread_local struct store_signing_key k;
    enum b_code r = vault_signer_make(sv->vault, crypto_jws_name(alg), &made, err);
    if (r != B_OK)
        return r;
    static_assert(sizeof(k.kid) == sizeof(made.id) && sizeof(k.wrapped) == sizeof(made.wrapped) &&
                      sizeof(k.public_key) == sizeof(made.public_key),
                  "the store keeps what the vault gives");
    k = (struct store_signing_key){
        .alg = alg, .public_len = made.public_len, .wrapped_len = made.wrapped_len};
    memcpy(k.kid, made.id, sizeof(k.kid));
    memcpy(k.public_key, made.public_key, made.public_len);
    memcpy(k.wrapped, made.wrapped, made.wrapped_len);
    return service_change(sv, note_next, &k, err);
}

/* One step for one algorithm; *ret_is_done: none was needed. */
static enum b_code step(struct service *sv, enum crypto_jws alg, bool begins, bool *ret_is_done,
                        struct b_err *err)
{
    static _Thread_local struct store_signing_key active, next;
    struct turn t = {.alg = alg};
    enum b_code r = store_signing_key_of(sv->store, alg, STORE_SIGNER_ACTIVE, &active, err);
    bool has_active = r == B_OK;
    if (r == B_OK || r == B_E_NOT_FOUND)
        r = store_signing_key_of(sv->store, alg, STORE_SIGNER_NEXT, &next, err);
    bool has_next = r == B_OK;
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    *ret_is_done =
        has_next ? has_active && !is_due(&active, &next, service_now()) : !has_active && !begins;
    if (*ret_is_done)
        return B_OK;
    return has_next ? service_change(sv, note_turn, &t, err) : make(sv, alg, err);
}

enum b_code service_signer_keep(struct service *sv, bool begins, bool *ret_is_done,
                                struct b_err *err)
{
    enum b_code r = B_OK;
    *ret_is_done = true;
    for (int alg = 0; r == B_OK && *ret_is_done && alg < CRYPTO_JWS_COUNT; alg++)
        r = step(sv, (enum crypto_jws)alg, begins, ret_is_done, err);
    return r;
}

enum b_code service_signer_begin(struct service *sv, struct b_err *err)
{
    bool is_done = false;
    enum b_code r = B_OK;
    while (r == B_OK && !is_done)
        r = service_signer_keep(sv, true, &is_done, err);
    return r;
}

enum b_code service_signer_rotate(struct service *sv, struct b_err *err)
{
    enum b_code r = B_OK;
    for (int alg = 0; r == B_OK && alg < CRYPTO_JWS_COUNT; alg++) {
        struct turn t = {.alg = (enum crypto_jws)alg, .is_asked = true};
        r = service_change(sv, note_turn, &t, err);
    }
    return r == B_OK ? service_signer_begin(sv, err) : r;
}

enum b_code service_signer_drop(struct service *sv, const char *kid, struct b_err *err)
{
    char name[CRYPTO_JWK_ID];
    if (strlen(kid) >= sizeof(name))
        return b_err_set(err, B_E_NOT_FOUND, 0, "no signing key %.48s", kid);
    memcpy(name, kid, strlen(kid) + 1);
    enum b_code r = service_change(sv, note_drop, name, err);
    return r == B_OK ? service_signer_begin(sv, err) : r;
}

/* --- using them --------------------------------------------------------------------------------
 */

enum b_code service_sign(struct service *sv, enum vault_token_kind kind, const char *alg,
                         const char *assertion, const json_t *claims, char *jwt, size_t max,
                         struct b_err *err)
{
    static _Thread_local struct store_signing_key k;
    static _Thread_local char text[VAULT_CLAIMS_MAX + 1];
    static _Thread_local char signed_text[VAULT_JWT_MAX];
    enum b_code r =
        store_signing_key_of(sv->store, crypto_jws_from(alg), STORE_SIGNER_ACTIVE, &k, err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, B_E_SIGNER_KEY, 0, "no key of %.16s signs", alg);
    if (r != B_OK)
        return r;
    size_t n = json_dumpb(claims, text, sizeof(text) - 1, JSON_COMPACT);
    if (n == 0 || n > sizeof(text) - 1)
        return b_err_set(err, B_E_BAD_INPUT, 0, "claims that are too long");
    text[n] = '\0';
    const struct vault_sign s = {.kind = kind,
                                 .wrapped = b_rd_from(k.wrapped, k.wrapped_len),
                                 .assertion = assertion,
                                 .claims = text};
    r = vault_signer_sign(sv->vault, &s, signed_text, err);
    b_wipe(text, n);
    if (r != B_OK)
        return r;
    if (strlen(signed_text) >= max)
        return b_err_set(err, B_E_BAD_INPUT, 0, "claims that are too long");
    memcpy(jwt, signed_text, strlen(signed_text) + 1);
    return B_OK;
}

bool service_signer_is_published(const struct store_signing_key *k, int64_t now)
{
    return k->state == STORE_SIGNER_NEXT || k->state == STORE_SIGNER_ACTIVE ||
           (k->state == STORE_SIGNER_RETIRED &&
            now < k->retired_at + SERVICE_SIGNER_RETIRED_SECONDS);
}

struct publish {
    int64_t now;
    json_t *keys;
};

static bool publish(void *ctx, const struct store_signing_key *k)
{
    const struct publish *p = ctx;
    struct crypto_jwk j;
    if (!service_signer_is_published(k, p->now) ||
        !crypto_jwk(b_rd_from(k->public_key, k->public_len), &j))
        return true;
    json_t *o =
        json_pack("{s:s, s:s, s:s}", "use", "sig", "alg", crypto_jws_name(j.alg), "kid", j.id);
    json_t *parts =
        j.alg == CRYPTO_JWS_RS256
            ? json_pack("{s:s, s:s, s:s}", "kty", "RSA", "n", j.n, "e", j.e)
            : json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256", "x", j.x, "y", j.y);
    (void)json_object_update_new(o, parts);
    return json_array_append_new(p->keys, o) == 0;
}

enum b_code service_signer_jwks(struct store *s, int64_t now, json_t **ret, struct b_err *err)
{
    struct publish p = {.now = now, .keys = json_array()};
    enum b_code r = store_signing_key_each(s, publish, &p, err);
    if (r == B_OK && (*ret = json_pack("{s:O}", "keys", p.keys)) == NULL)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "the keys that verify tokens");
    json_decref(p.keys);
    return r;
}
