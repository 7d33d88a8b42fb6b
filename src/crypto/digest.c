/* CRCs, random bytes, SHA-256 and the ECDSA check of the originality signature. */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <string.h>
#include <sys/random.h>

#include "crypto/crypto.h"

uint32_t crypto_crc32(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) {
        crc ^= b[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return crc;
}

uint16_t crypto_crc16(uint16_t crc, const void *p, size_t n)
{
    const uint8_t *b = p;
    uint32_t v = crc;
    for (size_t i = 0; i < n; i++) {
        v ^= b[i];
        for (int k = 0; k < 8; k++)
            v = v >> 1 ^ (0x8408u & (0u - (v & 1u)));
    }
    return (uint16_t)v;
}

void crypto_random(void *p, size_t n)
{
    uint8_t *b = p;
    while (n > 0) {
        ssize_t got = getrandom(b, n, 0);
        b_check(got >= 0 || errno == EINTR);
        if (got < 0)
            continue;
        b += got;
        n -= (size_t)got;
    }
}

void crypto_sha256(const void *p, size_t n, uint8_t out[static 32])
{
    b_check(EVP_Digest(p, n, out, NULL, EVP_sha256(), NULL) == 1);
}

void crypto_sha256_two(const void *a, size_t a_len, const void *b, size_t b_len,
                       uint8_t out[static 32])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    b_check(ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
            EVP_DigestUpdate(ctx, a, a_len) == 1 && EVP_DigestUpdate(ctx, b, b_len) == 1 &&
            EVP_DigestFinal_ex(ctx, out, NULL) == 1);
    EVP_MD_CTX_free(ctx);
}

void crypto_hmac_sha256(const void *key, size_t key_len, const void *p, size_t n,
                        uint8_t out[static 32])
{
    b_check(HMAC(EVP_sha256(), key, (int)key_len, p, n, out, NULL) != NULL);
}

/* r||s as the DER SEQUENCE that EVP wants. Returns its length, 0 on failure. */
static int signature_to_der(const uint8_t signature[static 56], uint8_t *der, size_t cap)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, 28, NULL);
    BIGNUM *s = BN_bin2bn(signature + 28, 28, NULL);
    int n = 0;
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* transferred */
        if (i2d_ECDSA_SIG(sig, NULL) <= (int)cap)
            n = i2d_ECDSA_SIG(sig, &der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n;
}

static EVP_PKEY *p224_key(const uint8_t public_key[static 57])
{
    char group[] = "secp224r1";
    uint8_t point[57];
    memcpy(point, public_key, sizeof(point));
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

bool crypto_p224_verify(const uint8_t public_key[static 57], const void *message, size_t n,
                        const uint8_t signature[static 56])
{
    uint8_t der[72];
    int der_len = signature_to_der(signature, der, sizeof(der));
    EVP_PKEY *key = p224_key(public_key);
    EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
    bool is_good = der_len > 0 && ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
                   EVP_PKEY_verify(ctx, der, (size_t)der_len, message, n) == 1;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return is_good;
}
