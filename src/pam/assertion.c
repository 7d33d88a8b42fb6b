/*
 * A JSON Web Token (RFC 7515, 7519) of the vault, held against the keys that it publishes (RFC
 * 7517).
 *
 *   base64url(header) "." base64url(claims) "." base64url(r || s)     ES256, over all before the
 *                                                                      second dot
 */
#include <string.h>

#include "base/text.h"
#include "crypto/sign.h"
#include "pam/pam.h"

enum { HEADER_MAX = 256, CLAIMS_MAX = 2048, ENCODED_MAX = (CLAIMS_MAX + 2) / 3 * 4 };

static enum b_code bad(struct b_err *err, const char *what)
{
    return b_err_set(err, B_E_ASSERTION_BAD, 0, "the assertion %s", what);
}

/* base64url without padding, as b_base64url writes it; false on anything else. */
static bool decode(struct b_wr *w, const char *text, size_t n)
{
    char padded[ENCODED_MAX + 1];
    size_t whole = (n + 3) / 4 * 4;
    if (n == 0 || n % 4 == 1 || whole > ENCODED_MAX)
        return false;
    for (size_t i = 0; i < whole; i++) {
        char c = '=';
        if (i < n)
            c = text[i];
        if (i < n && (c == '+' || c == '/' || c == '='))
            return false;
        padded[i] = c;
        if (c == '-')
            padded[i] = '+';
        if (c == '_')
            padded[i] = '/';
    }
    return b_unbase64(w, padded, whole);
}

static json_t *decode_object(const char *text, size_t n, size_t max)
{
    uint8_t room[CLAIMS_MAX];
    struct b_wr w = b_wr_from(room, max);
    json_error_t why;
    json_t *o = decode(&w, text, n)
                    ? json_loadb((const char *)w.p, w.len, JSON_REJECT_DUPLICATES, &why)
                    : NULL;
    if (json_is_object(o))
        return o;
    json_decref(o);
    return NULL;
}

static bool is_text(const json_t *o, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL && strcmp(text, wanted) == 0;
}

static bool take_half(const json_t *key, const char *name, uint8_t half[static 32])
{
    const char *text = json_string_value(json_object_get(key, name));
    struct b_wr w = b_wr_from(half, 32);
    return text != NULL && decode(&w, text, strlen(text)) && w.len == 32;
}

/* The P-256 key of that name. */
static bool find_key(const json_t *keys, const char *kid, uint8_t point[static CRYPTO_P256_POINT])
{
    const json_t *list = json_object_get(keys, "keys");
    point[0] = 4;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *k = json_array_get(list, i);
        if (is_text(k, "kid", kid) && is_text(k, "kty", "EC") && is_text(k, "crv", "P-256") &&
            take_half(k, "x", point + 1) && take_half(k, "y", point + 33))
            return true;
    }
    return false;
}

/* text: all before the second dot; signature: behind it. */
static enum b_code check_signature(const json_t *header, const json_t *keys, struct b_rd text,
                                   const char *signature, struct b_err *err)
{
    uint8_t point[CRYPTO_P256_POINT];
    uint8_t raw[CRYPTO_SIGNATURE];
    struct b_wr w = b_wr_from(raw, sizeof(raw));
    const char *kid = json_string_value(json_object_get(header, "kid"));
    if (!is_text(header, "alg", "ES256") || json_object_get(header, "crit") != NULL)
        return bad(err, "is not signed as the vault signs");
    if (kid == NULL || !find_key(keys, kid, point))
        return bad(err, "is signed by a key that is not known here");
    if (!decode(&w, signature, strlen(signature)) || w.len != sizeof(raw) ||
        !crypto_es256_verify(point, text.p, text.left, raw))
        return bad(err, "has a signature that does not hold");
    return B_OK;
}

static bool has_method(const json_t *claims, const char *method)
{
    const json_t *list = json_object_get(claims, "amr");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text != NULL && strcmp(text, method) == 0)
            return true;
    }
    return false;
}

static bool is_now(const json_t *claims, int64_t now)
{
    const json_t *from = json_object_get(claims, "iat");
    const json_t *until = json_object_get(claims, "exp");
    return json_is_integer(from) && json_is_integer(until) &&
           json_integer_value(from) <= now + PAM_SKEW_S &&
           json_integer_value(until) >= now - PAM_SKEW_S;
}

/* An assertion that names an audience was made for somebody else (RFC 7519 §4.1.3). */
static enum b_code check_claims(const json_t *claims, const struct pam_wanted *w,
                                char subject[static PAM_SUBJECT_MAX + 1], struct b_err *err)
{
    const char *sub = json_string_value(json_object_get(claims, "sub"));
    if (!is_text(claims, "nonce", w->challenge))
        return bad(err, "answers another challenge");
    if (!is_text(claims, "station", w->station))
        return bad(err, "is of another station");
    if (json_object_get(claims, "aud") != NULL)
        return bad(err, "is for somebody else");
    if (!is_now(claims, w->now))
        return bad(err, "is not of now: compare the clocks of station and server");
    if (!has_method(claims, "hwk"))
        return bad(err, "is not of a badge");
    if (sub == NULL || sub[0] == '\0' || strlen(sub) > PAM_SUBJECT_MAX || !b_text_is_name(sub))
        return bad(err, "names nobody");
    if (w->needs_pin && !has_method(claims, "pin"))
        return b_err_set(err, B_E_PIN_REQUIRED, 0,
                         "the policy of this station let the badge in without a PIN");
    memcpy(subject, sub, strlen(sub) + 1);
    return B_OK;
}

enum b_code pam_assertion_check(const char *jwt, const json_t *keys,
                                const struct pam_wanted *wanted,
                                char subject[static PAM_SUBJECT_MAX + 1], struct b_err *err)
{
    const char *first = strchr(jwt, '.');
    const char *second = first != NULL ? strchr(first + 1, '.') : NULL;
    if (second == NULL)
        return bad(err, "is no JSON Web Token");
    json_t *header = decode_object(jwt, (size_t)(first - jwt), HEADER_MAX);
    json_t *claims = NULL;
    enum b_code r = header != NULL ? B_OK : bad(err, "has no header that can be read");
    if (r == B_OK)
        r = check_signature(header, keys, b_rd_from(jwt, (size_t)(second - jwt)), second + 1, err);
    if (r == B_OK) { /* nothing of it is looked at before */
        claims = decode_object(first + 1, (size_t)(second - first - 1), CLAIMS_MAX);
        r = claims != NULL ? check_claims(claims, wanted, subject, err)
                           : bad(err, "has no claims that can be read");
    }
    json_decref(claims);
    json_decref(header);
    return r;
}
