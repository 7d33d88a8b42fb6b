#include "crypto/wrap.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

/* --- AES key wrap ------------------------------------------------------------------------------
 */

static bool run_wrap(const uint8_t *kek, bool is_wrapping, struct b_rd in, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    int tail = 0;
    b_check(ctx != NULL);
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    bool is_done =
        EVP_CipherInit_ex(ctx, EVP_aes_256_wrap(), NULL, kek, NULL, is_wrapping ? 1 : 0) == 1 &&
        EVP_CipherUpdate(ctx, out, &n, in.p, (int)in.left) == 1 &&
        EVP_CipherFinal_ex(ctx, out + n, &tail) == 1;
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return is_done && (size_t)(n + tail) == (is_wrapping ? in.left + 8 : in.left - 8);
}

void crypto_key_wrap(const uint8_t kek[static CRYPTO_KEK], const uint8_t *key, size_t n,
                     uint8_t *out)
{
    b_check(n >= 16 && n + 8 <= CRYPTO_WRAPPED_MAX && n % 8 == 0);
    b_check(run_wrap(kek, true, b_rd_from(key, n), out));
}

bool crypto_key_unwrap(const uint8_t kek[static CRYPTO_KEK], const uint8_t *wrapped, size_t n,
                       uint8_t *out)
{
    uint8_t room[CRYPTO_WRAPPED_MAX]; /* libcrypto writes more than the key while it works */
    if (n < 24 || n > CRYPTO_WRAPPED_MAX || n % 8 != 0)
        return false;
    bool is_good = run_wrap(kek, false, b_rd_from(wrapped, n), room);
    if (is_good)
        memcpy(out, room, n - 8);
    else
        b_wipe(out, n - 8);
    b_wipe(room, sizeof(room));
    return is_good;
}

/* --- CMS ---------------------------------------------------------------------------------------
 */

static X509 *read_certificate(struct b_rd bytes)
{
    static const char begin[] = "-----BEGIN";
    const uint8_t *p = bytes.p;
    X509 *ret = NULL;
    if (bytes.left < sizeof(begin) || bytes.left > CRYPTO_CMS_MAX)
        return NULL;
    if (memcmp(p, begin, sizeof(begin) - 1) != 0)
        return d2i_X509(NULL, &p, (long)bytes.left);
    BIO *in = BIO_new_mem_buf(p, (int)bytes.left);
    if (in != NULL)
        ret = PEM_read_bio_X509(in, NULL, NULL, NULL);
    BIO_free(in);
    return ret;
}

/* RSA by OAEP: PKCS #1 v1.5 would let whoever can ask for decryptions open a share. */
static bool add_recipient(CMS_ContentInfo *cms, X509 *certificate)
{
    bool is_rsa = EVP_PKEY_get_base_id(X509_get0_pubkey(certificate)) == EVP_PKEY_RSA;
    CMS_RecipientInfo *to = CMS_add1_recipient_cert(cms, certificate, is_rsa ? CMS_KEY_PARAM : 0);
    if (to == NULL || !is_rsa)
        return to != NULL;
    EVP_PKEY_CTX *how = CMS_RecipientInfo_get0_pkey_ctx(to);
    return how != NULL && EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_OAEP_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(how, EVP_sha256()) > 0;
}

static bool seal(X509 *certificate, struct b_rd data, struct b_wr *out)
{
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_256_cbc(), CMS_BINARY | CMS_PARTIAL);
    BIO *in = BIO_new_mem_buf(data.p, (int)data.left);
    bool is_done = cms != NULL && in != NULL && add_recipient(cms, certificate) &&
                   CMS_final(cms, in, NULL, CMS_BINARY) == 1;
    int n = is_done ? i2d_CMS_ContentInfo(cms, NULL) : -1;
    uint8_t *at = n > 0 ? b_wr_reserve(out, (size_t)n) : NULL;
    is_done = at != NULL && i2d_CMS_ContentInfo(cms, &at) == n;
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    return is_done;
}

enum b_code crypto_cms_seal(struct b_rd certificate, struct b_rd data, struct b_wr *out,
                            struct b_err *err)
{
    X509 *to = read_certificate(certificate);
    enum b_code r = B_OK;
    if (to == NULL || X509_get0_pubkey(to) == NULL)
        r = b_err_set(err, B_E_CERT_BAD, 0, "a share: this is no X.509 certificate");
    else if ((X509_get_key_usage(to) & (X509v3_KU_KEY_ENCIPHERMENT | X509v3_KU_KEY_AGREEMENT)) == 0)
        r = b_err_set(err, B_E_CERT_BAD, 0,
                      "a share: the certificate is not for encipherment or key agreement");
    else if (!seal(to, data, out))
        r = b_err_set(err, B_E_CERT_BAD, 0,
                      "a share: nothing can be sealed for the key of this certificate");
    X509_free(to);
    ERR_clear_error();
    return r;
}
