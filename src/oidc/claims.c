#include "oidc/claims.h"

#include <string.h>

#include "crypto/crypto.h"

/* --- what is asked -----------------------------------------------------------------------------
 */

static bool is_acr(const json_t *v, const char *name)
{
    return json_is_string(v) && strcmp(json_string_value(v), name) == 0;
}

/* {"essential":true, "value":…} or "values":[…] */
static bool read_acr(const json_t *acr, bool *needs_pin)
{
    const json_t *value = json_object_get(acr, "value");
    const json_t *values = json_object_get(acr, "values");
    bool takes_pin = is_acr(value, OIDC_ACR_PIN);
    bool takes_badge = is_acr(value, OIDC_ACR_BADGE) || (value == NULL && values == NULL);
    for (size_t i = 0; i < json_array_size(values); i++) {
        takes_pin |= is_acr(json_array_get(values, i), OIDC_ACR_PIN);
        takes_badge |= is_acr(json_array_get(values, i), OIDC_ACR_BADGE);
    }
    if (!json_is_true(json_object_get(acr, "essential")))
        return true;
    *needs_pin |= takes_pin && !takes_badge;
    return takes_pin || takes_badge;
}

/* {"value":…}: one person, and the answer may be of nobody else (§3.1.2.2). */
static bool read_sub(const json_t *sub, char io[static OIDC_REF_MAX])
{
    const char *value = json_string_value(json_object_get(sub, "value"));
    if (json_object_get(sub, "value") == NULL && json_object_get(sub, "values") == NULL)
        return true;
    return value != NULL && json_object_get(sub, "values") == NULL && oidc_is_for(value, io);
}

bool oidc_is_for(const char *ref, char io[static OIDC_REF_MAX])
{
    size_t n = strlen(ref);
    if (n == 0 || n >= OIDC_REF_MAX || (io[0] != '\0' && strcmp(io, ref) != 0))
        return false;
    memcpy(io, ref, n + 1);
    return true;
}

bool oidc_claims_read(const char *text, bool *ret_needs_pin, char io_ref[static OIDC_REF_MAX])
{
    json_error_t why;
    *ret_needs_pin = false;
    if (text[0] == '\0')
        return true;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    const json_t *token = json_object_get(o, "id_token");
    const json_t *acr = json_object_get(token, "acr");
    bool is_good = json_is_object(o) && (acr == NULL || read_acr(acr, ret_needs_pin)) &&
                   read_sub(json_object_get(token, "sub"), io_ref) &&
                   read_sub(json_object_get(json_object_get(o, "userinfo"), "sub"), io_ref);
    json_decref(o);
    return is_good;
}

/* --- of us -------------------------------------------------------------------------------------
 */

static void set_url(json_t *o, const char *name, const char *issuer, const char *path)
{
    (void)json_object_set_new(o, name, json_sprintf("%s%s", issuer, path));
}

json_t *oidc_discovery(const char *issuer, bool pushes_all)
{
    json_t *o = json_pack(
        "{s:s, s:[s], s:[s], s:[s,s], s:[s], s:[s,s], s:[s,s,s,s], s:[s,s], s:[s], s:[s,s], "
        "s:[s,s],"
        " s:[s,s,s,s,s,s,s,s,s,s,s,s,s], s:[s,s,s], s:[s,s]}",
        "issuer", issuer, "response_types_supported", "code", "response_modes_supported", "query",
        "grant_types_supported", "authorization_code", OIDC_GRANT_CIBA, "subject_types_supported",
        "public", "id_token_signing_alg_values_supported", "RS256", "ES256",
        "token_endpoint_auth_methods_supported", "client_secret_basic", "client_secret_post",
        "private_key_jwt", "none", "token_endpoint_auth_signing_alg_values_supported", "ES256",
        "RS256", "code_challenge_methods_supported", "S256", "scopes_supported", "openid",
        "profile", "acr_values_supported", OIDC_ACR_BADGE, OIDC_ACR_PIN, "claims_supported", "sub",
        "iss", "aud", "exp", "iat", "nonce", "at_hash", "auth_time", "acr", "amr", "sid", "name",
        "rpps", "prompt_values_supported", "none", "login", "select_account",
        "ui_locales_supported", "fr", "en");
    set_url(o, "authorization_endpoint", issuer, "/authorize");
    set_url(o, "token_endpoint", issuer, "/token");
    set_url(o, "userinfo_endpoint", issuer, "/userinfo");
    set_url(o, "jwks_uri", issuer, "/jwks");
    set_url(o, "end_session_endpoint", issuer, "/logout");
    set_url(o, "backchannel_authentication_endpoint", issuer, "/backchannel");
    set_url(o, "pushed_authorization_request_endpoint", issuer, "/par");
    (void)json_object_set_new(o, "backchannel_token_delivery_modes_supported",
                              json_pack("[s,s]", "poll", "ping"));
    const struct {
        const char *name;
        bool is;
    } facts[] = {{"claims_parameter_supported", true},
                 {"request_parameter_supported", false},
                 {"request_uri_parameter_supported", false},
                 {"require_pushed_authorization_requests", pushes_all},
                 {"authorization_response_iss_parameter_supported", true},
                 {"backchannel_logout_supported", true},
                 {"backchannel_logout_session_supported", true}};
    for (size_t i = 0; i < B_COUNT(facts); i++)
        (void)json_object_set_new(o, facts[i].name, json_boolean(facts[i].is));
    return o;
}

/* --- of a person -------------------------------------------------------------------------------
 */

/* Half of the SHA-256, for RS256 and ES256 alike (OpenID Connect Core §3.1.3.6). */
static void hash_access_token(const char *token, char ret[static 24])
{
    uint8_t digest[32];
    crypto_sha256(token, strlen(token), digest);
    b_check(b_base64url(ret, 24, digest, 16));
}

json_t *oidc_id_claims(const struct oidc_token *t)
{
    char at_hash[24];
    hash_access_token(t->access_token, at_hash);
    json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:s}", "iss", t->issuer, "aud", t->client, "exp",
                          (json_int_t)t->expires_at, "sid", t->sid, "at_hash", at_hash);
    if (t->nonce[0] != '\0')
        (void)json_object_set_new(o, "nonce", json_string(t->nonce));
    return o;
}

json_t *oidc_person_claims(const struct oidc_person *p)
{
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:s}", "sub", p->ref, "sid", p->sid, "auth_time",
                  (json_int_t)p->tapped_at, "acr", p->has_pin ? OIDC_ACR_PIN : OIDC_ACR_BADGE);
    (void)json_object_set_new(
        o, "amr", p->has_pin ? json_pack("[s,s]", "hwk", "pin") : json_pack("[s]", "hwk"));
    if (p->name[0] != '\0')
        (void)json_object_set_new(o, "name", json_string(p->name));
    if (p->rpps[0] != '\0')
        (void)json_object_set_new(o, "rpps", json_string(p->rpps));
    return o;
}
