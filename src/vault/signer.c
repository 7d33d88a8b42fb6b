#include "vault/signer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/wrap.h"
#include "vault/claims.h"
#include "vault/identity.h"

enum { VERSION = 1, ID = CRYPTO_JWK_ID - 1, HEAD = 2 + ID, FUTURE_SECONDS = 60 };

/* --- wrapped keys ------------------------------------------------------------------------------
 */

static enum b_code no_memory(struct b_err *err)
{
    return b_err_set(err, B_E_VAULT_BUSY, 0, "no locked memory for a signing key");
}

static enum b_code wrap(struct vaultd *d, const struct crypto_jwk *jwk, struct b_rd key,
                        struct b_wr *out, struct b_err *err)
{
    const struct vaultd_identity *id = NULL;
    size_t start = out->len;
    enum b_code r = vaultd_identity(d, &id, err);
    if (r != B_OK)
        return r;
    b_wr_u8(out, VERSION);
    b_wr_u8(out, (uint8_t)jwk->alg);
    b_wr_bytes(out, jwk->id, ID);
    uint8_t *sealed = b_wr_reserve(out, key.left + CRYPTO_SEALED_OVERHEAD);
    if (sealed == NULL)
        return b_err_set(err, B_E_INTERNAL, 0, "a wrapped key that does not fit");
    crypto_seal(id->signer, b_rd_from(out->p + start, HEAD), key, sealed);
    return B_OK;
}

enum b_code vaultd_signer_make(struct vaultd *d, enum crypto_jws alg, struct wire_out *answer,
                               struct b_err *err)
{
    uint8_t public_key[CRYPTO_JWS_PUBLIC_MAX];
    struct crypto_jwk jwk;
    uint8_t *key = b_secret_alloc(CRYPTO_JWS_PRIVATE_MAX);
    struct b_wr private_w = b_wr_from(key, CRYPTO_JWS_PRIVATE_MAX);
    struct b_wr public_w = b_wr_from(public_key, sizeof(public_key));
    enum b_code r = key == NULL ? no_memory(err) : B_OK;
    if (r == B_OK &&
        (!crypto_jws_make(alg, &private_w, &public_w) || !crypto_jwk(b_wr_reader(&public_w), &jwk)))
        r = b_err_set(err, B_E_INTERNAL, 0, "making a signing key");
    if (r == B_OK) {
        wire_put_string(answer, jwk.id);
        wire_put_bytes(answer, public_key, public_w.len);
        size_t mark = wire_open_bytes(answer);
        r = wrap(d, &jwk, b_wr_reader(&private_w), answer->w, err);
        wire_close_bytes(answer, mark);
    }
    b_secret_free(key);
    return r;
}

struct opened {
    enum crypto_jws alg;
    char id[CRYPTO_JWK_ID];
    uint8_t *key; /* secret memory, the caller's */
    size_t n;
};

static enum b_code unwrap(struct vaultd *d, struct b_rd wrapped, struct opened *ret,
                          struct b_err *err)
{
    const struct vaultd_identity *id = NULL;
    enum b_code r = vaultd_identity(d, &id, err);
    if (r != B_OK)
        return r;
    struct b_rd sealed = wrapped;
    struct b_rd head = b_rd_take(&sealed, HEAD);
    struct b_rd fields = head;
    uint8_t version = b_rd_u8(&fields);
    ret->alg = (enum crypto_jws)b_rd_u8(&fields);
    b_rd_bytes(&fields, ret->id, ID);
    ret->id[ID] = '\0';
    ret->n = sealed.left - CRYPTO_SEALED_OVERHEAD;
    if (!b_rd_end(&fields) || version != VERSION || ret->alg >= CRYPTO_JWS_COUNT ||
        sealed.left <= CRYPTO_SEALED_OVERHEAD || ret->n > CRYPTO_JWS_PRIVATE_MAX ||
        !crypto_unseal(id->signer, head, sealed, ret->key))
        return b_err_set(err, B_E_SIGNER_KEY, 0, "a signing key that this token did not wrap");
    return B_OK;
}

/* --- what may be said --------------------------------------------------------------------------
 */

/* refused: what the vault says itself, or what would let a token pass for one of another kind. */
static const struct rule {
    const char *type;
    const char *needed[5];
    const char *refused[8];
} rules[] = {
    {"JWT", {"iss", "aud", "exp"}, {"iat", "sub", "amr", "acr", "auth_time", "events"}},
    {"logout+jwt",
     {"iss", "aud", "exp", "jti", "events"},
     {"iat", "nonce", "amr", "acr", "auth_time", "at_hash", "c_hash"}},
    {"secevent+jwt",
     {"iss", "jti", "events"},
     {"iat", "nonce", "amr", "acr", "auth_time", "at_hash", "c_hash"}},
};

static enum b_code check_claims(const struct vaultd_members *m, const struct rule *rule,
                                int64_t now, struct b_err *err)
{
    int64_t until = 0;
    const struct b_rd *events = vaultd_member(m, "events");
    for (size_t i = 0; i < B_COUNT(rule->needed) && rule->needed[i] != NULL; i++)
        if (vaultd_member(m, rule->needed[i]) == NULL)
            return b_err_set(err, B_E_BAD_INPUT, 0, "claims of a %s need %s", rule->type,
                             rule->needed[i]);
    for (size_t i = 0; i < B_COUNT(rule->refused) && rule->refused[i] != NULL; i++)
        if (vaultd_member(m, rule->refused[i]) != NULL)
            return b_err_set(err, B_E_REFUSED, 0, "claims of a %s may not say %s", rule->type,
                             rule->refused[i]);
    if (events != NULL && events->p[0] != '{')
        return b_err_set(err, B_E_BAD_INPUT, 0, "events that are no object");
    if (vaultd_member(m, "exp") != NULL && (!vaultd_member_integer(m, "exp", &until) ||
                                            until <= now || until > now + VAULT_TOKEN_SECONDS_MAX))
        return b_err_set(err, B_E_REFUSED, 0, "a token lives %d hours at most",
                         VAULT_TOKEN_SECONDS_MAX / 3600);
    return B_OK;
}

static void put(struct b_wr *w, const char *text)
{
    b_wr_bytes(w, text, strlen(text));
}

/* What the assertion says of who tapped, when and by which means: as this vault wrote it. */
static enum b_code put_tap(struct vaultd *d, struct b_rd assertion, int64_t now, struct b_wr *w,
                           struct b_err *err)
{
    static _Thread_local uint8_t bytes[VAULT_ASSERTION_MAX];
    static _Thread_local struct vaultd_members m;
    char issuer[sizeof("\"tessere:\"") + CUSTODY_ESTABLISHMENT_MAX];
    char text[64];
    int64_t at = 0;
    struct b_wr payload = b_wr_from(bytes, sizeof(bytes));
    enum b_code r = vaultd_assertion_read(d, assertion, &payload, err);
    if (r != B_OK)
        return r;
    (void)snprintf(issuer, sizeof(issuer), "\"tessere:%s\"", vaultd_config(d)->establishment);
    bool is_read = vaultd_members(b_wr_reader(&payload), &m) &&
                   vaultd_member_is(&m, "iss", issuer) &&
                   vaultd_member_integer(&m, "auth_time", &at);
    const struct b_rd *subject = is_read ? vaultd_member(&m, "sub") : NULL;
    const struct b_rd *means = is_read ? vaultd_member(&m, "amr") : NULL;
    if (subject == NULL || means == NULL)
        return b_err_set(err, B_E_ASSERTION, 0,
                         "an assertion that names no holder, or is not of here");
    if (at < now - VAULT_TAP_SECONDS_MAX || at > now + FUTURE_SECONDS)
        return b_err_set(err, B_E_ASSERTION, 0, "the tap is older than %d hours",
                         VAULT_TAP_SECONDS_MAX / 3600);
    put(w, "\"sub\":");
    b_wr_bytes(w, subject->p, subject->left);
    put(w, ",\"amr\":");
    b_wr_bytes(w, means->p, means->left);
    put(w, vaultd_member_is(&m, "amr", "[\"hwk\",\"pin\"]")
               ? ",\"acr\":\"urn:tessere:acr:badge+pin\""
               : ",\"acr\":\"urn:tessere:acr:badge\"");
    (void)snprintf(text, sizeof(text), ",\"auth_time\":%" PRId64 ",", at);
    put(w, text);
    return B_OK;
}

static enum b_code put_payload(struct vaultd *d, const struct vaultd_sign *s, struct b_wr *w,
                               struct b_err *err)
{
    static _Thread_local struct vaultd_members m;
    const struct rule *rule = &rules[s->kind];
    char text[40];
    int64_t now = (int64_t)time(NULL);
    if (!vaultd_members(s->claims, &m))
        return b_err_set(err, B_E_BAD_INPUT, 0, "claims that are not one compact JSON object");
    enum b_code r = check_claims(&m, rule, now, err);
    put(w, "{");
    if (r == B_OK && s->kind == VAULT_ID_TOKEN)
        r = put_tap(d, s->assertion, now, w, err);
    else if (r == B_OK && s->assertion.left > 0)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "a %s is for no tap", rule->type);
    (void)snprintf(text, sizeof(text), "\"iat\":%" PRId64 ",", now);
    put(w, text);
    b_wr_bytes(w, m.body.p, m.body.left);
    put(w, "}");
    return r == B_OK && !b_wr_ok(w) ? b_err_set(err, B_E_BAD_INPUT, 0, "claims that are too long")
                                    : r;
}

/* --- the token ---------------------------------------------------------------------------------
 */

static enum b_code put_token(const struct opened *key, const char *type, struct b_rd payload,
                             struct b_wr *jwt, struct b_err *err)
{
    uint8_t bytes[CRYPTO_JWS_SIGNATURE_MAX];
    char header[128];
    size_t start = jwt->len;
    struct b_wr signature = b_wr_from(bytes, sizeof(bytes));
    int n = snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"%s\"}",
                     crypto_jws_name(key->alg), key->id, type);
    vaultd_put_encoded(jwt, b_rd_from(header, (size_t)n));
    b_wr_u8(jwt, '.');
    vaultd_put_encoded(jwt, payload);
    if (!b_wr_ok(jwt) || !crypto_jws_sign(key->alg, b_rd_from(key->key, key->n),
                                          b_rd_from(jwt->p + start, jwt->len - start), &signature))
        return b_err_set(err, B_E_INTERNAL, 0, "signing a token");
    b_wr_u8(jwt, '.');
    vaultd_put_encoded(jwt, b_wr_reader(&signature));
    return B_OK;
}

enum b_code vaultd_signer_sign(struct vaultd *d, const struct vaultd_sign *s,
                               struct wire_out *answer, struct b_err *err)
{
    static _Thread_local uint8_t payload[VAULT_CLAIMS_MAX + 512];
    struct b_wr body = b_wr_from(payload, sizeof(payload));
    struct opened key = {.key = b_secret_alloc(CRYPTO_JWS_PRIVATE_MAX)};
    enum b_code r = key.key == NULL ? no_memory(err) : put_payload(d, s, &body, err);
    if (r == B_OK)
        r = unwrap(d, s->wrapped, &key, err);
    if (r == B_OK) {
        size_t mark = wire_open_bytes(answer);
        r = put_token(&key, rules[s->kind].type, b_wr_reader(&body), answer->w, err);
        wire_close_bytes(answer, mark);
    }
    b_secret_free(key.key);
    return r;
}
