#include "crypto/sign.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

/* --- Ed25519 -----------------------------------------------------------------------------------
 */

void crypto_ed25519_public(const uint8_t seed[static 32], uint8_t public_key[static 32])
{
    size_t n = 32;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    b_check(key != NULL && EVP_PKEY_get_raw_public_key(key, public_key, &n) == 1 && n == 32);
    EVP_PKEY_free(key);
}

void crypto_ed25519_sign(const uint8_t seed[static 32], const void *message, size_t n,
                         uint8_t signature[static 64])
{
    size_t length = 64;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    b_check(key != NULL && ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
            EVP_DigestSign(ctx, signature, &length, message, n) == 1 && length == 64);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
}

bool crypto_ed25519_verify(const uint8_t public_key[static 32], const void *message, size_t n,
                           const uint8_t signature[static 64])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_right = key != NULL && ctx != NULL &&
                    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                    EVP_DigestVerify(ctx, signature, 64, message, n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return is_right;
}

/* --- ES256 -------------------------------------------------------------------------------------
 */

struct crypto_es256 {
    EVP_PKEY *key;
    uint8_t point[CRYPTO_P256_POINT];
};

/* From the point, and the scalar when there is one. */
static EVP_PKEY *import(const uint8_t *point, const BIGNUM *scalar)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    bool is_set =
        build != NULL && ctx != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                         CRYPTO_P256_POINT) == 1 &&
        (scalar == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, scalar) == 1);
    if (is_set)
        params = OSSL_PARAM_BLD_to_param(build);
    int selection = scalar != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    if (params != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
        (void)(EVP_PKEY_fromdata(ctx, &key, selection, params) == 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool multiply(const BIGNUM *scalar, uint8_t point[static CRYPTO_P256_POINT])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *p = group != NULL ? EC_POINT_new(group) : NULL;
    bool is_done = p != NULL && !BN_is_zero(scalar) &&
                   BN_cmp(scalar, EC_GROUP_get0_order(group)) < 0 &&
                   EC_POINT_mul(group, p, scalar, NULL, NULL, NULL) == 1 &&
                   EC_POINT_point2oct(group, p, POINT_CONVERSION_UNCOMPRESSED, point,
                                      CRYPTO_P256_POINT, NULL) == CRYPTO_P256_POINT;
    EC_POINT_free(p);
    EC_GROUP_free(group);
    return is_done;
}

struct crypto_es256 *crypto_es256_new(const uint8_t scalar[static 32])
{
    struct crypto_es256 *k = OPENSSL_zalloc(sizeof(*k));
    BIGNUM *d = BN_secure_new();
    if (d != NULL)
        BN_set_flags(d, BN_FLG_CONSTTIME);
    if (k != NULL && d != NULL && BN_bin2bn(scalar, 32, d) != NULL && multiply(d, k->point))
        k->key = import(k->point, d);
    BN_clear_free(d);
    if (k != NULL && k->key == NULL)
        crypto_es256_free(&k);
    return k;
}

void crypto_es256_free(struct crypto_es256 **key)
{
    if (*key != NULL)
        EVP_PKEY_free((*key)->key);
    OPENSSL_free(*key);
    *key = NULL;
}

void crypto_es256_public(const struct crypto_es256 *key, uint8_t point[static 65])
{
    memcpy(point, key->point, CRYPTO_P256_POINT);
}

static bool to_raw(const uint8_t *der, size_t n, uint8_t raw[static 64])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool is_done = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32) == 32 &&
                   BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32) == 32;
    ECDSA_SIG_free(sig);
    return is_done;
}

bool crypto_es256_sign(const struct crypto_es256 *key, const void *message, size_t n,
                       uint8_t signature[static 64])
{
    uint8_t der[80];
    size_t length = sizeof(der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_done =
        ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->key) == 1 &&
        EVP_DigestSign(ctx, der, &length, message, n) == 1 && to_raw(der, length, signature);
    EVP_MD_CTX_free(ctx);
    return is_done;
}

/* The DER form of raw r || s; 0 when it cannot be one. */
static size_t to_der(const uint8_t raw[static 64], uint8_t der[static 80])
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, 32, NULL);
    BIGNUM *s = BN_bin2bn(raw + 32, 32, NULL);
    int n = 0;
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* sig owns them now */
        uint8_t *to = der;
        n = i2d_ECDSA_SIG(sig, NULL) <= 80 ? i2d_ECDSA_SIG(sig, &to) : 0;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n > 0 ? (size_t)n : 0;
}

bool crypto_es256_verify(const uint8_t point[static 65], const void *message, size_t n,
                         const uint8_t signature[static 64])
{
    uint8_t der[80];
    size_t length = to_der(signature, der);
    EVP_PKEY *key = import(point, NULL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_right = length > 0 && key != NULL && ctx != NULL &&
                    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                    EVP_DigestVerify(ctx, der, length, message, n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return is_right;
}
