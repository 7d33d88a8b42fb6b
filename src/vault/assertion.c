/*
 * Assertions: JWT, signed ES256 (RFC 7515, 7518, 7519). What the vault has seen itself it says
 * itself: which card, which generation, by which means, when. Whose badge that is, and where, is
 * the peer's word.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/crypto.h"
#include "vault/identity.h"

enum { PAYLOAD_MAX = 1536 };

/* Text inside JSON quotes (RFC 8259 §7). */
static void put_text(struct b_wr *w, const char *name, const char *value)
{
    static const char hex[] = "0123456789abcdef";
    if (value[0] == '\0')
        return;
    b_wr_bytes(w, ",\"", 2);
    b_wr_bytes(w, name, strlen(name));
    b_wr_bytes(w, "\":\"", 3);
    for (const char *c = value; *c != '\0'; c++) {
        uint8_t v = (uint8_t)*c;
        if (v == '"' || v == '\\')
            b_wr_u8(w, '\\');
        if (v >= 0x20) {
            b_wr_u8(w, v);
            continue;
        }
        b_wr_bytes(w, "\\u00", 4);
        b_wr_u8(w, (uint8_t)hex[v >> 4]);
        b_wr_u8(w, (uint8_t)hex[v & 15]);
    }
    b_wr_u8(w, '"');
}

static void put_number(struct b_wr *w, const char *name, long long value)
{
    char text[64];
    int n = snprintf(text, sizeof(text), ",\"%s\":%lld", name, value);
    b_wr_bytes(w, text, (size_t)n);
}

static void put_payload(struct b_wr *w, const struct vault_claims *c,
                        const struct vaultd_proven *proven)
{
    char jti[33];
    uint8_t random[16];
    long long now = (long long)time(NULL);
    crypto_random(random, sizeof(random));
    b_hex(jti, random, sizeof(random));
    const char *amr = proven->has_pin ? "{\"amr\":[\"hwk\",\"pin\"]" : "{\"amr\":[\"hwk\"]";
    b_wr_bytes(w, amr, strlen(amr));
    put_text(w, "iss", c->issuer);
    put_text(w, "aud", c->audience);
    put_text(w, "sub", c->subject);
    put_text(w, "station", c->station);
    put_text(w, "nonce", c->challenge);
    put_text(w, "card", proven->card);
    put_text(w, "jti", jti);
    put_number(w, "badge", c->badge);
    put_number(w, "generation", proven->generation);
    put_number(w, "iat", now);
    put_number(w, "auth_time", now);
    put_number(w, "exp", now + c->seconds);
    b_wr_u8(w, '}');
}

void vaultd_put_encoded(struct b_wr *w, struct b_rd in)
{
    size_t n = (in.left * 4 + 2) / 3;
    char *p = (char *)b_wr_reserve(w, n + 1);
    if (p != NULL && b_base64url(p, n + 1, in.p, in.left))
        w->len--; /* the NUL */
}

static size_t put_header(const struct vaultd_identity *id, char *to, size_t cap)
{
    int n = snprintf(to, cap, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", id->key_id);
    return (size_t)n;
}

enum b_code vaultd_assert(struct vaultd *d, const struct vault_claims *claims,
                          const struct vaultd_proven *proven, struct b_wr *jwt, struct b_err *err)
{
    static _Thread_local uint8_t payload[PAYLOAD_MAX];
    const struct vaultd_identity *id = NULL;
    char header[80];
    uint8_t signature[64];
    enum b_code r = vaultd_identity(d, &id, err);
    if (r != B_OK)
        return r;
    size_t n = put_header(id, header, sizeof(header));
    struct b_wr body = b_wr_from(payload, sizeof(payload));
    put_payload(&body, claims, proven);
    vaultd_put_encoded(jwt, b_rd_from(header, n));
    b_wr_u8(jwt, '.');
    vaultd_put_encoded(jwt, b_wr_reader(&body));
    if (!b_wr_ok(&body) || !b_wr_ok(jwt) ||
        !crypto_es256_sign(id->assertion, jwt->p, jwt->len, signature))
        return b_err_set(err, B_E_INTERNAL, 0, "an assertion that does not fit");
    b_wr_u8(jwt, '.');
    vaultd_put_encoded(jwt, b_rd_from(signature, sizeof(signature)));
    return b_wr_ok(jwt) ? B_OK : b_err_set(err, B_E_INTERNAL, 0, "an assertion that does not fit");
}

/* The part before the next dot. */
static struct b_rd take_part(struct b_rd *jwt)
{
    const uint8_t *dot = jwt->left > 0 ? memchr(jwt->p, '.', jwt->left) : NULL;
    struct b_rd part = b_rd_take(jwt, dot != NULL ? (size_t)(dot - jwt->p) : jwt->left);
    if (dot != NULL)
        b_rd_skip(jwt, 1);
    return part;
}

enum b_code vaultd_assertion_read(struct vaultd *d, struct b_rd jwt, struct b_wr *payload,
                                  struct b_err *err)
{
    const struct vaultd_identity *id = NULL;
    char text[80];
    uint8_t ours[120];
    uint8_t bytes[64];
    struct b_wr header = b_wr_from(ours, sizeof(ours));
    struct b_wr signature = b_wr_from(bytes, sizeof(bytes));
    enum b_code r = vaultd_identity(d, &id, err);
    if (r != B_OK)
        return r;
    vaultd_put_encoded(&header, b_rd_from(text, put_header(id, text, sizeof(text))));
    const uint8_t *start = jwt.p;
    struct b_rd head = take_part(&jwt);
    struct b_rd body = take_part(&jwt);
    bool is_ours = b_wr_ok(&header) && head.left == header.len &&
                   b_ct_eq(head.p, ours, header.len) &&
                   b_unbase64url(&signature, (const char *)jwt.p, jwt.left) &&
                   signature.len == sizeof(bytes) &&
                   crypto_es256_verify(id->assertion_public, start,
                                       (size_t)(body.p + body.left - start), bytes) &&
                   b_unbase64url(payload, (const char *)body.p, body.left);
    return is_ours ? B_OK : b_err_set(err, B_E_ASSERTION, 0, "no assertion that this vault signed");
}
