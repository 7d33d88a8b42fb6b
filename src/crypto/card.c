/* OpenSSL 3 says that engines will go one day; in Debian 12 they are the only way to a token. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/card.h"

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/ui.h>
#include <stdlib.h>
#include <string.h>

enum { URI_MAX = 1024 };

struct crypto_card {
    ENGINE *engine; /* holds a functional reference once is_begun */
    bool is_begun;
    EVP_PKEY *key;
};

/* Splits the URI: the engine takes the path of the module apart from what names the key. */
static bool split(const char *uri, char key[static URI_MAX], char module[static URI_MAX])
{
    static const char path[] = "module-path=";
    size_t n = strcspn(uri, "?");
    const char *query = uri[n] == '?' ? uri + n + 1 : "";
    module[0] = '\0';
    if (strncmp(uri, "pkcs11:", 7) != 0 || strlen(uri) >= URI_MAX || strstr(uri, "pin-") != NULL)
        return false;
    memcpy(key, uri, n);
    key[n] = '\0';
    if (*query == '\0')
        return true;
    if (strncmp(query, path, sizeof(path) - 1) != 0 || strpbrk(query, "&%") != NULL)
        return false;
    memcpy(module, query + sizeof(path) - 1, strlen(query) - sizeof(path) + 2);
    return true;
}

/* The deepest cause: what the module answered (CKR), where it was asked. */
static enum b_code failed(const char *what, struct b_err *err)
{
    unsigned long cause = ERR_get_error();
    const char *reason = ERR_reason_error_string(cause);
    ERR_clear_error();
    return b_err_set(err, B_E_CARD_KEY, (uint32_t)ERR_GET_REASON(cause), "%s: %s", b_err_word(what),
                     reason != NULL ? reason : b_err_word("no reason is given"));
}

static enum b_code load(struct crypto_card *c, const char *uri, const char *pin, struct b_err *err)
{
    union {
        const UI_METHOD *in;
        UI_METHOD *out;
    } nobody = {.in = UI_null()}; /* it would ask for another PIN at the terminal */
    char key[URI_MAX];
    char module[URI_MAX];
    if (!split(uri, key, module))
        return b_err_set(err, B_E_CARD_KEY, 0,
                         "a card is named as pkcs11:token=…;id=…?module-path=…, without a PIN");
    c->engine = ENGINE_by_id("pkcs11");
    if (c->engine == NULL)
        return failed("OpenSSL's engine pkcs11 (libengine-pkcs11-openssl)", err);
    if ((module[0] != '\0' && ENGINE_ctrl_cmd_string(c->engine, "MODULE_PATH", module, 0) != 1) ||
        ENGINE_ctrl_cmd_string(c->engine, "PIN", pin, 0) != 1)
        return failed(uri, err);
    c->is_begun = ENGINE_init(c->engine) == 1;
    if (c->is_begun)
        c->key = ENGINE_load_private_key(c->engine, key, nobody.out, NULL);
    return c->key != NULL ? B_OK : failed(uri, err);
}

enum b_code crypto_card_open(const char *uri, const char *pin, struct crypto_card **ret,
                             struct b_err *err)
{
    struct crypto_card *c = calloc(1, sizeof(*c));
    enum b_code r =
        c != NULL ? load(c, uri, pin, err) : b_err_set(err, B_E_NO_MEMORY, 0, "opening a card");
    if (r == B_OK)
        *ret = c;
    else
        crypto_card_free(&c);
    return r;
}

bool crypto_card_read(struct crypto_card *c, struct b_rd sealed, struct b_wr *out)
{
    char *text = NULL;
    BIO *in = BIO_new_mem_buf(sealed.p, (int)sealed.left);
    BIO *opened = BIO_new(BIO_s_secmem());
    CMS_ContentInfo *cms = in != NULL ? d2i_CMS_bio(in, NULL) : NULL;
    bool is_open = cms != NULL && opened != NULL &&
                   CMS_decrypt(cms, c->key, NULL, NULL, opened, CMS_BINARY) == 1;
    long n = is_open ? BIO_get_mem_data(opened, &text) : 0;
    if (n > 0)
        b_wr_bytes(out, text, (size_t)n);
    CMS_ContentInfo_free(cms);
    BIO_free(opened); /* wiped */
    BIO_free(in);
    ERR_clear_error();
    return n > 0 && b_wr_ok(out);
}

void crypto_card_free(struct crypto_card **pc)
{
    struct crypto_card *c = *pc;
    *pc = NULL;
    if (c == NULL)
        return;
    EVP_PKEY_free(c->key);
    if (c->is_begun)
        (void)ENGINE_finish(c->engine);
    ENGINE_free(c->engine);
    free(c);
}
