#include "crypto/jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/sign.h"

enum { RSA_BITS = 3072, RSA_BYTES = RSA_BITS / 8 };

const char *crypto_jws_name(enum crypto_jws alg)
{
    static const char *const names[] = {"RS256", "ES256"};
    return (size_t)alg < B_COUNT(names) ? names[alg] : "?";
}

enum crypto_jws crypto_jws_from(const char *name)
{
    int alg = 0;
    while (alg < CRYPTO_JWS_COUNT && strcmp(crypto_jws_name((enum crypto_jws)alg), name) != 0)
        alg++;
    return (enum crypto_jws)alg;
}

/* --- RSA ---------------------------------------------------------------------------------------
 */

static const struct part {
    const char *name;
    int size;
} parts[] = {
    {OSSL_PKEY_PARAM_RSA_N, RSA_BYTES},
    {OSSL_PKEY_PARAM_RSA_D, RSA_BYTES},
    {OSSL_PKEY_PARAM_RSA_FACTOR1, RSA_BYTES / 2},
    {OSSL_PKEY_PARAM_RSA_FACTOR2, RSA_BYTES / 2},
    {OSSL_PKEY_PARAM_RSA_EXPONENT1, RSA_BYTES / 2},
    {OSSL_PKEY_PARAM_RSA_EXPONENT2, RSA_BYTES / 2},
    {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, RSA_BYTES / 2},
};

static bool put_part(struct b_wr *w, const EVP_PKEY *key, const struct part *part)
{
    BIGNUM *v = BN_secure_new();
    uint8_t *room = b_wr_reserve(w, (size_t)part->size);
    bool is_done = v != NULL && room != NULL && EVP_PKEY_get_bn_param(key, part->name, &v) == 1 &&
                   BN_bn2binpad(v, room, part->size) == part->size;
    BN_clear_free(v);
    return is_done;
}

static bool put_public(struct b_wr *w, EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    if (n > 0)
        b_wr_bytes(w, der, (size_t)n);
    OPENSSL_free(der);
    return n > 0 && b_wr_ok(w);
}

static bool make_rsa(struct b_wr *private_key, struct b_wr *public_key)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
    bool is_done = key != NULL && put_public(public_key, key);
    for (size_t i = 0; is_done && i < B_COUNT(parts); i++)
        is_done = put_part(private_key, key, &parts[i]);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return is_done;
}

/* values stay the caller's, until the parameters are made. */
static bool push_parts(OSSL_PARAM_BLD *build, struct b_rd *bytes, BIGNUM *values[])
{
    bool is_done = true;
    for (size_t i = 0; is_done && i < B_COUNT(parts); i++) {
        const uint8_t *p = b_rd_direct(bytes, (size_t)parts[i].size);
        values[i] = BN_secure_new();
        is_done = p != NULL && values[i] != NULL &&
                  BN_bin2bn(p, parts[i].size, values[i]) != NULL &&
                  OSSL_PARAM_BLD_push_BN(build, parts[i].name, values[i]) == 1;
    }
    return is_done && b_rd_end(bytes) &&
           OSSL_PARAM_BLD_push_ulong(build, OSSL_PKEY_PARAM_RSA_E, RSA_F4) == 1;
}

static EVP_PKEY *import_rsa(struct b_rd bytes)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    BIGNUM *values[B_COUNT(parts)] = {NULL};
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (build != NULL && ctx != NULL && push_parts(build, &bytes, values))
        params = OSSL_PARAM_BLD_to_param(build);
    if (params != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
        (void)(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) == 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    for (size_t i = 0; i < B_COUNT(values); i++)
        BN_clear_free(values[i]);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool sign_rsa(struct b_rd private_key, struct b_rd message, struct b_wr *signature)
{
    size_t n = RSA_BYTES;
    EVP_PKEY *key = import_rsa(private_key);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t *room = b_wr_reserve(signature, n);
    bool is_done = key != NULL && ctx != NULL && room != NULL &&
                   EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                   EVP_DigestSign(ctx, room, &n, message.p, message.left) == 1 && n == RSA_BYTES;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return is_done;
}

static EVP_PKEY *read_public(struct b_rd der)
{
    const uint8_t *p = der.p;
    EVP_PKEY *key = der.left > 0 && der.left <= CRYPTO_JWS_PUBLIC_MAX
                        ? d2i_PUBKEY(NULL, &p, (long)der.left)
                        : NULL;
    if (key != NULL && (p != der.p + der.left || EVP_PKEY_is_a(key, "RSA") != 1 ||
                        EVP_PKEY_get_bits(key) != RSA_BITS)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    ERR_clear_error();
    return key;
}

static bool verify_rsa(struct b_rd public_key, struct b_rd message, struct b_rd signature)
{
    EVP_PKEY *key = read_public(public_key);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_right =
        key != NULL && ctx != NULL &&
        EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestVerify(ctx, signature.p, signature.left, message.p, message.left) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return is_right;
}

static bool number(const EVP_PKEY *key, const char *name, char *out, size_t cap)
{
    uint8_t bytes[RSA_BYTES];
    BIGNUM *v = NULL;
    int n = EVP_PKEY_get_bn_param(key, name, &v) == 1 && BN_num_bytes(v) <= RSA_BYTES
                ? BN_bn2bin(v, bytes)
                : 0;
    BN_free(v);
    return n > 0 && b_base64url(out, cap, bytes, (size_t)n);
}

static bool jwk_rsa(struct b_rd public_key, struct crypto_jwk *ret)
{
    EVP_PKEY *key = read_public(public_key);
    bool is_done = key != NULL && number(key, OSSL_PKEY_PARAM_RSA_N, ret->n, sizeof(ret->n)) &&
                   number(key, OSSL_PKEY_PARAM_RSA_E, ret->e, sizeof(ret->e));
    EVP_PKEY_free(key);
    return is_done;
}

/* --- P-256 -------------------------------------------------------------------------------------
 */

/* SubjectPublicKeyInfo of a point, up to the point (RFC 5480). */
static const uint8_t point_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
                                     0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
                                     0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

static const uint8_t *read_point(struct b_rd der)
{
    bool is_point = der.left == sizeof(point_head) + CRYPTO_P256_POINT &&
                    memcmp(der.p, point_head, sizeof(point_head)) == 0;
    return is_point ? der.p + sizeof(point_head) : NULL;
}

static bool make_p256(struct b_wr *private_key, struct b_wr *public_key)
{
    uint8_t point[CRYPTO_P256_POINT];
    struct crypto_es256 *key = NULL;
    uint8_t *scalar = b_wr_reserve(private_key, CRYPTO_P256_SCALAR);
    for (int i = 0; scalar != NULL && key == NULL && i < 8; i++) { /* one in 2^32 is no scalar */
        crypto_random(scalar, CRYPTO_P256_SCALAR);
        key = crypto_es256_new(scalar);
    }
    if (key == NULL)
        return false;
    crypto_es256_public(key, point);
    crypto_es256_free(&key);
    b_wr_bytes(public_key, point_head, sizeof(point_head));
    b_wr_bytes(public_key, point, sizeof(point));
    return b_wr_ok(public_key);
}

static bool sign_p256(struct b_rd private_key, struct b_rd message, struct b_wr *signature)
{
    uint8_t *room = b_wr_reserve(signature, CRYPTO_SIGNATURE);
    struct crypto_es256 *key =
        private_key.left == CRYPTO_P256_SCALAR ? crypto_es256_new(private_key.p) : NULL;
    bool is_done =
        key != NULL && room != NULL && crypto_es256_sign(key, message.p, message.left, room);
    crypto_es256_free(&key);
    return is_done;
}

static bool jwk_p256(struct b_rd public_key, struct crypto_jwk *ret)
{
    const uint8_t *point = read_point(public_key);
    return point != NULL && b_base64url(ret->x, sizeof(ret->x), point + 1, 32) &&
           b_base64url(ret->y, sizeof(ret->y), point + 33, 32);
}

/* --- either ------------------------------------------------------------------------------------
 */

bool crypto_jws_make(enum crypto_jws alg, struct b_wr *private_key, struct b_wr *public_key)
{
    return alg == CRYPTO_JWS_RS256 ? make_rsa(private_key, public_key)
                                   : make_p256(private_key, public_key);
}

bool crypto_jws_sign(enum crypto_jws alg, struct b_rd private_key, struct b_rd message,
                     struct b_wr *signature)
{
    return alg == CRYPTO_JWS_RS256 ? sign_rsa(private_key, message, signature)
                                   : sign_p256(private_key, message, signature);
}

bool crypto_jws_verify(enum crypto_jws alg, struct b_rd public_key, struct b_rd message,
                       struct b_rd signature)
{
    const uint8_t *point = read_point(public_key);
    if (alg == CRYPTO_JWS_RS256)
        return verify_rsa(public_key, message, signature);
    return point != NULL && signature.left == CRYPTO_SIGNATURE &&
           crypto_es256_verify(point, message.p, message.left, signature.p);
}

/* The members that RFC 7638 names for its kind, in their order. */
bool crypto_jwk(struct b_rd public_key, struct crypto_jwk *ret)
{
    uint8_t digest[32];
    char text[640];
    int n = 0;
    *ret = (struct crypto_jwk){.alg = CRYPTO_JWS_RS256};
    if (jwk_p256(public_key, ret)) {
        ret->alg = CRYPTO_JWS_ES256;
        n = snprintf(text, sizeof(text),
                     "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", ret->x,
                     ret->y);
    } else if (jwk_rsa(public_key, ret)) {
        n = snprintf(text, sizeof(text), "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", ret->e,
                     ret->n);
    }
    if (n <= 0)
        return false;
    crypto_sha256(text, (size_t)n, digest);
    return b_base64url(ret->id, sizeof(ret->id), digest, sizeof(digest));
}
