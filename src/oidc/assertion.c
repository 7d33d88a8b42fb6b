/*
 * private_key_jwt (OpenID Connect Core §9, RFC 7523): a client signs who it is. The key of its
 * entry says by which algorithm; an assertion that names another is refused before its signature is
 * looked at.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "oidc/client.h"

enum { PART_MAX = 2048, TEXT_MAX = 4096, SECONDS_MAX = 600, SKEW = 60 };

static json_t *decode(struct b_rd part)
{
    uint8_t text[PART_MAX];
    struct b_wr w = b_wr_from(text, sizeof(text));
    return b_unbase64url(&w, (const char *)part.p, part.left)
               ? json_loadb((const char *)text, w.len, JSON_REJECT_DUPLICATES, NULL)
               : NULL;
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}

/* We are named by the issuer, or by an endpoint's address (RFC 7523 §3, RFC 9126 §2, OpenID CIBA
 * §7.1); any of ours, since an assertion is taken only once. */
static bool is_for_us(const json_t *aud, const char *issuer)
{
    static const char *const endpoints[] = {"", "/token", "/par", "/backchannel"};
    char url[OIDC_ISSUER_MAX + 16];
    if (json_array_size(aud) == 1)
        aud = json_array_get(aud, 0);
    const char *text = json_is_string(aud) ? json_string_value(aud) : "";
    for (size_t i = 0; i < B_COUNT(endpoints); i++) {
        (void)snprintf(url, sizeof(url), "%s%s", issuer, endpoints[i]);
        if (strcmp(text, url) == 0)
            return true;
    }
    return false;
}

static bool is_right(const json_t *claims, const struct oidc_client *c, const struct oidc_proof *p,
                     struct oidc_once *once)
{
    int64_t until = json_integer_value(json_object_get(claims, "exp")); /* 0 when it is none */
    const char *jti = text_of(claims, "jti");
    const json_t *begins = json_object_get(claims, "nbf");
    crypto_sha256_two(c->id, strlen(c->id) + 1, jti, strlen(jti), once->digest);
    bool is_in_time = until > p->now - SKEW && until <= p->now + SECONDS_MAX;
    once->until = is_in_time ? until + SKEW : 0;
    return is_in_time && strcmp(text_of(claims, "sub"), c->id) == 0 &&
           is_for_us(json_object_get(claims, "aud"), p->issuer) && jti[0] != '\0' &&
           (begins == NULL || json_integer_value(begins) <= p->now + SKEW);
}

static bool is_signed(const struct oidc_client *c, struct b_rd head, struct b_rd message,
                      struct b_rd signature)
{
    uint8_t bytes[CRYPTO_JWS_SIGNATURE_MAX];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    json_t *o = decode(head);
    bool is =
        strcmp(text_of(o, "alg"), crypto_jws_name(c->key_alg)) == 0 &&
        json_object_get(o, "crit") == NULL &&
        b_unbase64url(&w, (const char *)signature.p, signature.left) &&
        crypto_jws_verify(c->key_alg, b_rd_from(c->key, c->key_len), message, b_wr_reader(&w));
    json_decref(o);
    return is;
}

const struct oidc_client *oidc_client_asserted(const struct oidc_clients *all,
                                               const struct oidc_proof *p, struct oidc_once *once,
                                               const char **why)
{
    static const char type[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    const char *jwt = oidc_form_text(p->form, "client_assertion");
    const char *named = oidc_form_get(p->form, "client_id");
    const char *body = strchr(jwt, '.');
    const char *end = body != NULL ? strchr(body + 1, '.') : NULL;
    *why = "a client assertion that does not prove who the client is";
    if (end == NULL || strlen(jwt) > TEXT_MAX ||
        strcmp(oidc_form_text(p->form, "client_assertion_type"), type) != 0)
        return NULL;
    json_t *claims = decode(b_rd_from(body + 1, (size_t)(end - body - 1)));
    const struct oidc_client *c = oidc_client_find(all, text_of(claims, "iss"));
    bool is = c != NULL && c->key_len > 0 && (named == NULL || strcmp(named, c->id) == 0) &&
              is_signed(c, b_rd_from(jwt, (size_t)(body - jwt)),
                        b_rd_from(jwt, (size_t)(end - jwt)), b_rd_from(end + 1, strlen(end + 1))) &&
              is_right(claims, c, p, once);
    json_decref(claims);
    return is ? c : NULL;
}
