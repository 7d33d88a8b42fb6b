#include "crypto/wrap.h"

#include <errno.h>
#include <limits.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

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
    return is_done && (size_t)n + (size_t)tail == (is_wrapping ? in.left + 8 : in.left - 8);
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

/* --- AES-256-GCM -------------------------------------------------------------------------------
 */

enum { NONCE = 12, TAG = 16 };

void crypto_seal(const uint8_t kek[static CRYPTO_KEK], struct b_rd context, struct b_rd plain,
                 uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    int length = (int)plain.left;
    crypto_random(out, NONCE);
    b_check(ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, kek, out) == 1 &&
            EVP_EncryptUpdate(ctx, NULL, &n, context.p, (int)context.left) == 1 &&
            EVP_EncryptUpdate(ctx, out + NONCE, &n, plain.p, length) == 1 && n == length &&
            EVP_EncryptFinal_ex(ctx, out + NONCE + n, &n) == 1 && n == 0 &&
            EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, out + NONCE + length) == 1);
    EVP_CIPHER_CTX_free(ctx);
}

bool crypto_unseal(const uint8_t kek[static CRYPTO_KEK], struct b_rd context, struct b_rd sealed,
                   uint8_t *out)
{
    uint8_t tag[TAG];
    int n = 0;
    if (sealed.left <= CRYPTO_SEALED_OVERHEAD || sealed.left > INT_MAX)
        return false;
    int length = (int)(sealed.left - CRYPTO_SEALED_OVERHEAD);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    memcpy(tag, sealed.p + NONCE + length, TAG);
    bool is_good = ctx != NULL &&
                   EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, kek, sealed.p) == 1 &&
                   EVP_DecryptUpdate(ctx, NULL, &n, context.p, (int)context.left) == 1 &&
                   EVP_DecryptUpdate(ctx, out, &n, sealed.p + NONCE, length) == 1 && n == length &&
                   EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
                   EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!is_good)
        b_wipe(out, (size_t)length);
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

/* Who is given a certificate that cannot be sealed for is told why, and for what it was. */
static enum b_code take_certificate(struct b_rd bytes, const char *what, X509 **ret,
                                    struct b_err *err)
{
    *ret = read_certificate(bytes);
    if (*ret == NULL || X509_get0_pubkey(*ret) == NULL)
        return b_err_set(err, B_E_CERT_BAD, 0, "%s: this is no X.509 certificate",
                         b_err_word(what));
    if ((X509_get_key_usage(*ret) & (X509v3_KU_KEY_ENCIPHERMENT | X509v3_KU_KEY_AGREEMENT)) == 0)
        return b_err_set(err, B_E_CERT_BAD, 0,
                         "%s: the certificate is not for encipherment or key agreement",
                         b_err_word(what));
    return B_OK;
}

enum b_code crypto_cms_seal(struct b_rd certificate, struct b_rd data, struct b_wr *out,
                            struct b_err *err)
{
    X509 *to = NULL;
    enum b_code r = take_certificate(certificate, "a share", &to, err);
    if (r == B_OK && !seal(to, data, out))
        r = b_err_set(err, B_E_CERT_BAD, 0,
                      "a share: nothing can be sealed for the key of this certificate");
    X509_free(to);
    ERR_clear_error();
    return r;
}

enum b_code crypto_cms_key(struct b_rd certificate, uint8_t ret[static CRYPTO_CMS_KEY],
                           struct b_err *err)
{
    X509 *to = NULL;
    enum b_code r = take_certificate(certificate, "a share", &to, err);
    if (r == B_OK && X509_pubkey_digest(to, EVP_sha256(), ret, NULL) != 1)
        r = b_err_set(err, B_E_CERT_BAD, 0, "a share: the certificate has no key");
    X509_free(to);
    ERR_clear_error();
    return r;
}

/* --- envelopes ---------------------------------------------------------------------------------
 */

struct crypto_envelope {
    CMS_ContentInfo *cms;
    BIO *out, *in; /* in: the chain that ends in out, once the first byte was written */
};

enum b_code crypto_envelope_new(int fd, struct crypto_envelope **ret, struct b_err *err)
{
    struct crypto_envelope *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "an envelope");
    e->out = BIO_new_fd(fd, BIO_NOCLOSE);
    e->cms = CMS_encrypt(NULL, NULL, EVP_aes_256_gcm(), CMS_BINARY | CMS_PARTIAL | CMS_STREAM);
    b_check(e->out != NULL && e->cms != NULL);
    *ret = e;
    return B_OK;
}

enum b_code crypto_envelope_to(struct crypto_envelope *e, struct b_rd certificate,
                               struct b_err *err)
{
    X509 *to = NULL;
    enum b_code r = take_certificate(certificate, "a backup", &to, err);
    if (r == B_OK && !add_recipient(e->cms, to))
        r = b_err_set(err, B_E_CERT_BAD, 0,
                      "a backup: nothing can be sealed for the key of this certificate");
    X509_free(to);
    ERR_clear_error();
    return r;
}

bool crypto_envelope_write(struct crypto_envelope *e, const void *p, size_t n)
{
    size_t done = 0;
    if (e->in == NULL)
        e->in = BIO_new_CMS(e->out, e->cms);
    return e->in != NULL && (n == 0 || (BIO_write_ex(e->in, p, n, &done) == 1 && done == n));
}

enum b_code crypto_envelope_end(struct crypto_envelope *e, struct b_err *err)
{
    bool is_done = crypto_envelope_write(e, "", 0) && BIO_flush(e->in) == 1;
    int cause = errno;
    ERR_clear_error();
    return is_done ? B_OK
                   : b_err_set(err, B_E_SYSTEM, (uint32_t)cause, "sealing: %s", strerror(cause));
}

void crypto_envelope_free(struct crypto_envelope **pe)
{
    struct crypto_envelope *e = *pe;
    *pe = NULL;
    if (e == NULL)
        return;
    BIO_free_all(e->in != NULL ? e->in : e->out);
    CMS_ContentInfo_free(e->cms);
    ERR_clear_error();
    free(e);
}

static EVP_PKEY *read_private(struct b_rd pem)
{
    BIO *in = pem.left <= CRYPTO_CMS_MAX ? BIO_new_mem_buf(pem.p, (int)pem.left) : NULL;
    EVP_PKEY *ret = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
    BIO_free(in);
    return ret;
}

/* Without its certificate the key is tried on each recipient: what it did not open fails by the
 * tag. */
static bool open_with(EVP_PKEY *key, struct b_rd sealed, int fd)
{
    BIO *in = BIO_new_mem_buf(sealed.p, (int)sealed.left);
    BIO *out = BIO_new_fd(fd, BIO_NOCLOSE);
    CMS_ContentInfo *cms = in != NULL ? d2i_CMS_bio(in, NULL) : NULL;
    bool is_done = cms != NULL && out != NULL &&
                   OBJ_obj2nid(CMS_get0_type(cms)) == NID_id_smime_ct_authEnvelopedData &&
                   CMS_decrypt(cms, key, NULL, NULL, out, CMS_BINARY) == 1;
    CMS_ContentInfo_free(cms);
    BIO_free(out);
    BIO_free(in);
    return is_done;
}

enum b_code crypto_envelope_open(struct b_rd sealed, struct b_rd key, int fd, struct b_err *err)
{
    if (sealed.left > INT_MAX)
        return b_err_set(err, B_E_TOO_LARGE, 0, "an envelope of more than 2 GiB");
    EVP_PKEY *private = read_private(key);
    enum b_code r = B_OK;
    if (private == NULL)
        r = b_err_set(err, B_E_KEY_FILE, 0, "this is no private key in PEM");
    else if (!open_with(private, sealed, fd))
        r = b_err_set(err, B_E_BACKUP_SEALED, 0, "the key is none of those that it is sealed for");
    EVP_PKEY_free(private);
    ERR_clear_error();
    return r;
}
