#include "pki/pki.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pki_key {
    EVP_PKEY *key;
};

struct pki_ca {
    X509 *cert;
    EVP_PKEY *key;
    char pem[PKI_PEM_MAX];
};

static enum b_code failed(const char *what, struct b_err *err)
{
    unsigned long cause = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(cause);
    ERR_clear_error();
    return b_err_set(err, B_E_CERT_BAD, (uint32_t)cause, "%s: %s", b_err_word(what),
                     reason != NULL ? reason : b_err_word("it cannot be read"));
}

/* --- keys --------------------------------------------------------------------------------------
 */

enum b_code pki_key_generate(struct pki_key **ret, struct b_err *err)
{
    struct pki_key *k = calloc(1, sizeof(*k));
    if (k != NULL)
        k->key = EVP_EC_gen("P-256");
    if (k == NULL || k->key == NULL) {
        pki_key_free(&k);
        return b_err_set(err, B_E_NO_MEMORY, 0, "making a key");
    }
    *ret = k;
    return B_OK;
}

void pki_key_free(struct pki_key **key)
{
    if (*key != NULL)
        EVP_PKEY_free((*key)->key);
    free(*key);
    *key = NULL;
}

enum b_code pki_key_read(const char *path, struct pki_key **ret, struct b_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        int cause = errno;
        if (fd >= 0)
            (void)close(fd);
        return b_err_set(err, B_E_KEY_FILE, (uint32_t)cause, "%s: %s", path, strerror(cause));
    }
    if ((st.st_mode & 077) != 0) {
        (void)close(fd);
        return b_err_set(err, B_E_KEY_FILE, 0, "%s can be read by others: chmod 600 it", path);
    }
    FILE *f = fdopen(fd, "r");
    struct pki_key *k = calloc(1, sizeof(*k));
    if (f != NULL && k != NULL)
        k->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    if (f != NULL)
        (void)fclose(f);
    else
        (void)close(fd);
    if (k == NULL || k->key == NULL) {
        pki_key_free(&k);
        ERR_clear_error();
        return b_err_set(err, B_E_KEY_FILE, 0, "%s: no private key in PEM form", path);
    }
    *ret = k;
    return B_OK;
}

/* Writes a new file, durable when it returns; nobody sees a part of it. */
static enum b_code write_new(const char *path, BIO *from, int mode, struct b_err *err)
{
    char part[1024];
    char *bytes = NULL;
    long n = BIO_get_mem_data(from, &bytes);
    (void)snprintf(part, sizeof(part), "%.1000s.part", path);
    (void)unlink(part);
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    bool is_done = fd >= 0 && write(fd, bytes, (size_t)n) == n && fsync(fd) == 0;
    int cause = errno;
    if (fd >= 0)
        (void)close(fd);
    if (is_done && link(part, path) != 0) {
        is_done = false;
        cause = errno;
    }
    (void)unlink(part);
    return is_done ? B_OK
                   : b_err_set(err, B_E_KEY_FILE, (uint32_t)cause, "writing %s: %s", path,
                               strerror(cause));
}

static enum b_code write_key(EVP_PKEY *key, const char *path, struct b_err *err)
{
    BIO *out = BIO_new(BIO_s_secmem());
    enum b_code r =
        out != NULL && PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1
            ? write_new(path, out, 0600, err)
            : failed("writing a key", err);
    BIO_free(out); /* secmem: wiped */
    return r;
}

enum b_code pki_key_write(const struct pki_key *key, const char *path, struct b_err *err)
{
    return write_key(key->key, path, err);
}

enum b_code pki_key_pem(const struct pki_key *key, char *pem, size_t cap, struct b_err *err)
{
    char *bytes = NULL;
    BIO *out = BIO_new(BIO_s_secmem());
    bool is_done =
        out != NULL && PEM_write_bio_PrivateKey(out, key->key, NULL, NULL, 0, NULL, NULL) == 1;
    long n = is_done ? BIO_get_mem_data(out, &bytes) : 0;
    is_done = n > 0 && (size_t)n < cap;
    if (is_done) {
        memcpy(pem, bytes, (size_t)n);
        pem[n] = '\0';
    }
    BIO_free(out); /* secmem: wiped */
    return is_done ? B_OK : b_err_set(err, B_E_KEY_FILE, 0, "writing a key of %ld bytes", n);
}

enum b_code pki_sign(const struct pki_key *key, const void *message, size_t n,
                     uint8_t signature[static 64], struct b_err *err)
{
    uint8_t der[144];
    const uint8_t *at = der;
    size_t length = sizeof(der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *sig = NULL;
    bool is_done = ctx != NULL &&
                   EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->key) == 1 &&
                   EVP_DigestSign(ctx, der, &length, message, n) == 1 &&
                   (sig = d2i_ECDSA_SIG(NULL, &at, (long)length)) != NULL &&
                   BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, 32) == 32 &&
                   BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + 32, 32) == 32;
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    return is_done ? B_OK : failed("signing with a P-256 key", err);
}

/* --- PEM ---------------------------------------------------------------------------------------
 */

static enum b_code take_pem(BIO *from, char *pem, size_t cap, struct b_err *err)
{
    char *bytes = NULL;
    long n = BIO_get_mem_data(from, &bytes);
    if (n <= 0 || (size_t)n >= cap)
        return b_err_set(err, B_E_CERT_BAD, 0, "a certificate or request of %ld bytes", n);
    memcpy(pem, bytes, (size_t)n);
    pem[n] = '\0';
    return B_OK;
}

static X509 *read_cert(const char *pem)
{
    size_t n = strnlen(pem, PKI_PEM_MAX);
    BIO *in = n < PKI_PEM_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
    X509 *cert = in != NULL ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    BIO_free(in);
    return cert;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void describe(X509 *cert, struct pki_cert *ret)
{
    unsigned n = 0;
    size_t length = 0;
    char group[32] = "";
    EVP_PKEY *key = X509_get0_pubkey(cert);
    *ret = (struct pki_cert){.not_before = seconds_of(X509_get0_notBefore(cert)),
                             .not_after = seconds_of(X509_get0_notAfter(cert))};
    b_check(X509_digest(cert, EVP_sha256(), ret->fingerprint, &n) == 1 && n == 32);
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, ret->name,
                                    sizeof(ret->name));
    ret->is_p256 = key != NULL && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
                   strcmp(group, "prime256v1") == 0 &&
                   EVP_PKEY_get_octet_string_param(key, "encoded-pub-key", ret->point,
                                                   sizeof(ret->point), &length) == 1 &&
                   length == PKI_POINT && ret->point[0] == 4;
}

enum b_code pki_cert_read(const char *pem, struct pki_cert *ret, struct b_err *err)
{
    X509 *cert = read_cert(pem);
    if (cert == NULL)
        return failed("a certificate", err);
    describe(cert, ret);
    X509_free(cert);
    return B_OK;
}

enum b_code pki_cert_alone(const char *pem, char *ret, size_t cap, struct b_err *err)
{
    X509 *cert = read_cert(pem);
    BIO *out = BIO_new(BIO_s_mem());
    bool is_done = cert != NULL && out != NULL && PEM_write_bio_X509(out, cert) == 1;
    enum b_code r = is_done ? take_pem(out, ret, cap, err) : failed("a certificate", err);
    BIO_free(out);
    X509_free(cert);
    return r;
}

enum b_code pki_cert_is_for(const char *pem, const char *host, bool *ret, struct b_err *err)
{
    X509 *cert = read_cert(pem);
    if (cert == NULL)
        return failed("a certificate", err);
    *ret = X509_check_ip_asc(cert, host, 0) == 1 || X509_check_host(cert, host, 0, 0, NULL) == 1;
    X509_free(cert);
    return B_OK;
}

/* --- requests ----------------------------------------------------------------------------------
 */

enum b_code pki_request_make(const struct pki_key *key, const char *name, char *pem, size_t cap,
                             struct b_err *err)
{
    X509_REQ *req = X509_REQ_new();
    BIO *out = BIO_new(BIO_s_mem());
    bool is_done =
        req != NULL && out != NULL && X509_REQ_set_version(req, 0) == 1 &&
        X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(req), NID_commonName, MBSTRING_UTF8,
                                   (const unsigned char *)name, -1, -1, 0) == 1 &&
        X509_REQ_set_pubkey(req, key->key) == 1 && X509_REQ_sign(req, key->key, EVP_sha256()) > 0 &&
        PEM_write_bio_X509_REQ(out, req) == 1;
    enum b_code r = is_done ? take_pem(out, pem, cap, err) : failed("a request", err);
    BIO_free(out);
    X509_REQ_free(req);
    return r;
}

/* Kinds of keys that a smart card, a TPM or a station may bring. */
static bool is_strong(EVP_PKEY *key)
{
    char group[32] = "";
    if (key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return EVP_PKEY_get_bits(key) >= 3072 && EVP_PKEY_get_bits(key) <= 8192;
    return key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
           (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0);
}

static enum b_code read_request(const char *pem, X509_REQ **ret, struct b_err *err)
{
    size_t n = strnlen(pem, PKI_PEM_MAX);
    BIO *in = n < PKI_PEM_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
    X509_REQ *req = in != NULL ? PEM_read_bio_X509_REQ(in, NULL, NULL, NULL) : NULL;
    BIO_free(in);
    if (req == NULL)
        return failed("a certificate request", err);
    EVP_PKEY *key = X509_REQ_get0_pubkey(req);
    enum b_code r = B_OK;
    if (!is_strong(key))
        r = b_err_set(err, B_E_CERT_BAD, 0,
                      "the request's key is neither P-256, P-384 nor RSA of 3072 bits or more");
    else if (X509_REQ_verify(req, key) != 1)
        r = failed("the request is not signed by its own key", err);
    if (r == B_OK)
        *ret = req;
    else
        X509_REQ_free(req);
    return r;
}

/* --- the CA ------------------------------------------------------------------------------------
 */

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool is_done = e != NULL && X509_add_ext(cert, e, -1) == 1;
    X509_EXTENSION_free(e);
    return is_done;
}

static bool set_serial(X509 *cert)
{
    BIGNUM *n = BN_new();
    bool is_done = n != NULL && BN_rand(n, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                   BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return is_done;
}

static bool set_times(X509 *cert, int64_t from, int64_t to)
{
    return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)to) != NULL;
}

static bool set_name(X509 *cert, const char *unit, const char *name)
{
    X509_NAME *n = X509_get_subject_name(cert);
    const unsigned char *text = (const unsigned char *)name;
    const unsigned char *ou = (const unsigned char *)unit;
    return (unit == NULL || X509_NAME_add_entry_by_NID(n, NID_organizationalUnitName, MBSTRING_UTF8,
                                                       ou, -1, -1, 0) == 1) &&
           X509_NAME_add_entry_by_NID(n, NID_commonName, MBSTRING_UTF8, text, -1, -1, 0) == 1;
}

static X509 *make_ca(EVP_PKEY *key, const char *name)
{
    enum { YEARS = 15 };
    X509 *cert = X509_new();
    int64_t now = (int64_t)time(NULL);
    bool is_done = cert != NULL && X509_set_version(cert, 2) == 1 && set_serial(cert) &&
                   set_times(cert, now - 300, now + YEARS * INT64_C(31556952)) &&
                   set_name(cert, NULL, name) &&
                   X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 &&
                   X509_set_pubkey(cert, key) == 1 &&
                   add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                   add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                   add_extension(cert, cert, NID_subject_key_identifier, "hash") &&
                   X509_sign(cert, key, EVP_sha256()) > 0;
    if (!is_done) {
        X509_free(cert);
        cert = NULL;
    }
    return cert;
}

enum b_code pki_ca_create(const char *name, const char *cert_path, const char *key_path,
                          struct b_err *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key != NULL ? make_ca(key, name) : NULL;
    BIO *out = BIO_new(BIO_s_mem());
    enum b_code r = cert != NULL && out != NULL && PEM_write_bio_X509(out, cert) == 1
                        ? write_key(key, key_path, err)
                        : failed("making a CA", err);
    if (r == B_OK)
        r = write_new(cert_path, out, 0644, err);
    BIO_free(out);
    X509_free(cert);
    EVP_PKEY_free(key);
    return r;
}

enum b_code pki_ca_open(const char *cert_path, const char *key_path, struct pki_ca **ret,
                        struct b_err *err)
{
    struct pki_key *key = NULL;
    struct pki_ca *ca = calloc(1, sizeof(*ca));
    if (ca == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "%s", cert_path);
    FILE *f = fopen(cert_path, "re");
    size_t n = f != NULL ? fread(ca->pem, 1, sizeof(ca->pem) - 1, f) : 0;
    if (f != NULL)
        (void)fclose(f);
    enum b_code r =
        n > 0 ? pki_key_read(key_path, &key, err)
              : b_err_set(err, B_E_CERT_BAD, (uint32_t)errno, "%s: %s", cert_path, strerror(errno));
    if (r == B_OK && (ca->cert = read_cert(ca->pem)) == NULL)
        r = failed(cert_path, err);
    b_check(r != B_OK || key != NULL);
    if (r == B_OK && X509_check_private_key(ca->cert, key->key) != 1)
        r = failed("the CA's key is not that of its certificate", err);
    if (r == B_OK) {
        ca->key = key->key;
        key->key = NULL;
        *ret = ca;
    } else {
        pki_ca_free(&ca);
    }
    pki_key_free(&key);
    return r;
}

void pki_ca_free(struct pki_ca **ca)
{
    if (*ca != NULL) {
        X509_free((*ca)->cert);
        EVP_PKEY_free((*ca)->key);
    }
    free(*ca);
    *ca = NULL;
}

const char *pki_ca_pem(const struct pki_ca *ca)
{
    return ca->pem;
}

static bool fill(X509 *cert, const struct pki_ca *ca, const struct pki_wanted *w, EVP_PKEY *key)
{
    static const char *const units[] = {"server", "station", "person"};
    bool is_server = w->kind == PKI_SERVER;
    return X509_set_version(cert, 2) == 1 && set_serial(cert) &&
           set_times(cert, w->now - 300, w->now + w->seconds) &&
           set_name(cert, units[w->kind], w->name) &&
           X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) == 1 &&
           X509_set_pubkey(cert, key) == 1 &&
           add_extension(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(cert, ca->cert, NID_key_usage, "critical,digitalSignature") &&
           add_extension(cert, ca->cert, NID_ext_key_usage,
                         is_server ? "serverAuth" : "clientAuth") &&
           add_extension(cert, ca->cert, NID_subject_key_identifier, "hash") &&
           add_extension(cert, ca->cert, NID_authority_key_identifier, "keyid") &&
           (w->hosts == NULL || add_extension(cert, ca->cert, NID_subject_alt_name, w->hosts)) &&
           X509_sign(cert, ca->key, EVP_sha256()) > 0;
}

enum b_code pki_issue(const struct pki_ca *ca, const struct pki_wanted *wanted,
                      const char *request_pem, char *pem, size_t cap, struct b_err *err)
{
    X509_REQ *req = NULL;
    enum b_code r = read_request(request_pem, &req, err);
    if (r != B_OK)
        return r;
    X509 *cert = X509_new();
    BIO *out = BIO_new(BIO_s_mem());
    bool is_done = cert != NULL && out != NULL &&
                   fill(cert, ca, wanted, X509_REQ_get0_pubkey(req)) &&
                   PEM_write_bio_X509(out, cert) == 1;
    r = is_done ? take_pem(out, pem, cap, err) : failed("issuing a certificate", err);
    BIO_free(out);
    X509_free(cert);
    X509_REQ_free(req);
    return r;
}
