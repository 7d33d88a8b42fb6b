/*
 * Masters of a token that keeps no AES key for us (CUSTODY_OAEP).
 *
 * tpm2-pkcs11 1.9 has mechanisms by AES, and nothing that would bring an AES key in: C_GenerateKey,
 * C_UnwrapKey and C_DeriveKey are not there, and C_CreateObject takes data and public keys. It
 * makes RSA pairs whose private half never leaves the TPM. So here a master is a data object:
 *
 *   application   tessere master
 *   label         tessere:<establishment>:<role>:<generation>, as other tokens name the key itself
 *   value         RSA-OAEP (SHA-256) of master || label
 *
 * The pair that it is under is labelled tessere:<establishment>:wrapping.
 *
 * The label within keeps somebody who can write the token's files from giving a master another's
 * name. At each use the token decrypts the value, and the master is in secret memory until the
 * answer is computed: in no file, and not between two uses.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "custody/token.h"

enum { KEY = 16, RSA_BITS = 2048, BLOB_MAX = RSA_BITS / 8 };
static char application[] = "tessere master";

/* Two threads that find no pair would make one each. */
static pthread_mutex_t pair_lock = PTHREAD_MUTEX_INITIALIZER;

/* What a master is opened into; secret memory. The module writes a whole block in any case. */
struct opened {
    struct crypto_key key;
    uint8_t plain[BLOB_MAX];
};

bool custody_keeps_wrapped(const struct custody *c)
{
    return c->token.method == CUSTODY_OAEP;
}

/* Asked in a session that does not exist, so that a module which can makes nothing. Mechanisms do
 * not tell: tpm2-pkcs11 lists CKM_AES_KEY_GEN. */
bool custody_makes_keys(struct custody *c)
{
    CK_MECHANISM make = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ATTRIBUTE none;
    CK_OBJECT_HANDLE key;
    return c->module->C_GenerateKey(CK_INVALID_HANDLE, &make, &none, 0, &key) !=
           CKR_FUNCTION_NOT_SUPPORTED;
}

/* --- the pair --------------------------------------------------------------------------------- */

static const struct {
    CK_ATTRIBUTE_TYPE type;
    CK_BBOOL wanted;
} safety[] = {
    {CKA_SENSITIVE, CK_TRUE},    {CKA_ALWAYS_SENSITIVE, CK_TRUE},
    {CKA_EXTRACTABLE, CK_FALSE}, {CKA_NEVER_EXTRACTABLE, CK_TRUE},
    {CKA_LOCAL, CK_TRUE},        {CKA_PRIVATE, CK_TRUE},
};

static size_t label_of(const struct custody *c, char *out)
{
    return (size_t)snprintf(out, CUSTODY_LABEL_MAX, "tessere:%s:wrapping", c->establishment);
}

/* ret: room for two, so that one too many is seen. */
static CK_RV find_half(struct custody *c, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret, CK_ULONG *n)
{
    char label[CUSTODY_LABEL_MAX];
    CK_KEY_TYPE type = CKK_RSA;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof(class)},
                             {CKA_KEY_TYPE, &type, sizeof(type)},
                             {CKA_LABEL, label, label_of(c, label)}};
    *n = 0;
    CK_RV rv = c->module->C_FindObjectsInit(c->session, wanted, B_COUNT(wanted));
    if (rv != CKR_OK)
        return rv;
    rv = c->module->C_FindObjects(c->session, ret, 2, n);
    (void)c->module->C_FindObjectsFinal(c->session);
    return rv;
}

enum b_code custody_wrapped_pair(struct custody *c, struct b_err *err)
{
    CK_OBJECT_HANDLE private[2] = {CK_INVALID_HANDLE};
    CK_OBJECT_HANDLE public[2] = {CK_INVALID_HANDLE};
    CK_ULONG privates = 0, publics = 0;
    c->pair = (struct custody_pair){CK_INVALID_HANDLE, CK_INVALID_HANDLE, false};
    CK_RV rv = find_half(c, CKO_PRIVATE_KEY, private, &privates);
    if (rv == CKR_OK)
        rv = find_half(c, CKO_PUBLIC_KEY, public, &publics);
    if (rv != CKR_OK)
        return custody_fail(c, rv, "looking for the key that wraps masters", err);
    if (privates == 0 || publics == 0)
        return B_OK;
    c->pair = (struct custody_pair){private[0], public[0], privates == 1 && publics == 1};
    for (size_t i = 0; i < B_COUNT(safety); i++)
        if (custody_flag(c, private[0], safety[i].type) != safety[i].wanted)
            c->pair.is_safe = false;
    return B_OK;
}

/* What it may do is left to the token beyond what is needed: a TPM's key signs too, and one that is
 * asked not to is refused. */
static CK_RV make_pair(struct custody *c)
{
    char label[CUSTODY_LABEL_MAX];
    size_t n = label_of(c, label);
    CK_MECHANISM how = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_ULONG bits = RSA_BITS;
    CK_BYTE exponent[] = {1, 0, 1};
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE public[] = {
        {CKA_TOKEN, &yes, 1},
        {CKA_PRIVATE, &yes, 1},
        {CKA_MODULUS_BITS, &bits, sizeof(bits)},
        {CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)},
        {CKA_ENCRYPT, &yes, 1},
        {CKA_LABEL, label, n},
    };
    CK_ATTRIBUTE private[] = {
        {CKA_TOKEN, &yes, 1},      {CKA_PRIVATE, &yes, 1}, {CKA_SENSITIVE, &yes, 1},
        {CKA_EXTRACTABLE, &no, 1}, {CKA_DECRYPT, &yes, 1}, {CKA_UNWRAP, &no, 1},
        {CKA_LABEL, label, n},
    };
    return c->module->C_GenerateKeyPair(c->session, &how, public, B_COUNT(public), private,
                                        B_COUNT(private), &c->pair.public, &c->pair.private);
}

/* The pair, made with the first master. */
static enum b_code take_pair(struct custody *c, struct b_err *err)
{
    CK_RV rv = CKR_OK;
    (void)pthread_mutex_lock(&pair_lock);
    enum b_code r = custody_wrapped_pair(c, err);
    if (r == B_OK && c->pair.private == CK_INVALID_HANDLE) {
        rv = make_pair(c);
        r = rv == CKR_OK ? custody_wrapped_pair(c, err)
                         : custody_fail(c, rv, "making the key that wraps masters", err);
    }
    (void)pthread_mutex_unlock(&pair_lock);
    if (r == B_OK && !c->pair.is_safe)
        r = b_err_set(err, B_E_KEY_UNSAFE, 0,
                      "token \"%s\": the key that wraps masters is not kept as asked",
                      c->token.label);
    return r;
}

/* --- masters ---------------------------------------------------------------------------------- */

static CK_MECHANISM oaep(CK_RSA_PKCS_OAEP_PARAMS *p)
{
    *p = (CK_RSA_PKCS_OAEP_PARAMS){CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
    return (CK_MECHANISM){CKM_RSA_PKCS_OAEP, p, sizeof(*p)};
}

CK_RV custody_wrapped_find(struct custody *c, struct custody_objects *ret)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof(class)},
                             {CKA_APPLICATION, application, sizeof(application) - 1}};
    return custody_objects(c, wanted, B_COUNT(wanted), ret);
}

static CK_RV create(struct custody *c, char *label, size_t label_n, uint8_t *blob, size_t n)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE t[] = {
        {CKA_CLASS, &class, sizeof(class)}, {CKA_TOKEN, &yes, sizeof(yes)},
        {CKA_PRIVATE, &yes, sizeof(yes)},   {CKA_APPLICATION, application, sizeof(application) - 1},
        {CKA_LABEL, label, label_n},        {CKA_VALUE, blob, n},
    };
    return c->module->C_CreateObject(c->session, t, B_COUNT(t), &object);
}

enum b_code custody_wrapped_put(struct custody *c, const struct custody_key *of,
                                const uint8_t *master, struct b_err *err)
{
    char label[CUSTODY_LABEL_MAX];
    uint8_t blob[BLOB_MAX];
    CK_ULONG n = sizeof(blob);
    CK_RSA_PKCS_OAEP_PARAMS p;
    CK_MECHANISM how = oaep(&p);
    enum b_code r = take_pair(c, err);
    if (r != B_OK)
        return r;
    uint8_t *plain = b_secret_alloc(KEY + CUSTODY_LABEL_MAX);
    if (plain == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "wrapping a master key");
    custody_label(c, of->role, of->generation, label);
    struct b_wr w = b_wr_from(plain, KEY + CUSTODY_LABEL_MAX);
    b_wr_bytes(&w, master, KEY);
    b_wr_bytes(&w, label, strlen(label));
    CK_RV rv = c->module->C_EncryptInit(c->session, &how, c->pair.public);
    if (rv == CKR_OK)
        rv = c->module->C_Encrypt(c->session, plain, w.len, blob, &n);
    b_secret_free(plain);
    if (rv == CKR_OK)
        rv = create(c, label, strlen(label), blob, n);
    return rv == CKR_OK ? B_OK : custody_fail(c, rv, "wrapping a master key", err);
}

/* A TPM says of a value that does not open what it says when it fails itself: one that still gives
 * random numbers did not. Without this a file that was tampered with would look like a lost token,
 * and the other way round. */
static enum b_code not_opened(struct custody *c, const struct custody_entry *e, CK_RV rv,
                              struct b_err *err)
{
    uint8_t one;
    if (custody_rv_is_lost(rv) && c->module->C_GenerateRandom(c->session, &one, 1) != CKR_OK)
        return custody_fail(c, rv, "opening a wrapped master key", err);
    return b_err_set(err, B_E_KEY_UNSAFE, (uint32_t)rv,
                     "token \"%s\": master key %s of generation %u, wrapped, does not open",
                     c->token.label, key_role_name(e->key.role), e->key.generation);
}

static enum b_code open_into(struct custody *c, const struct custody_entry *e, struct opened *o,
                             struct b_err *err)
{
    char label[CUSTODY_LABEL_MAX];
    uint8_t blob[BLOB_MAX];
    CK_ATTRIBUTE value = {CKA_VALUE, blob, sizeof(blob)};
    CK_ULONG n = sizeof(o->plain);
    CK_RSA_PKCS_OAEP_PARAMS p;
    CK_MECHANISM how = oaep(&p);
    custody_label(c, e->key.role, e->key.generation, label);
    CK_RV rv = c->module->C_GetAttributeValue(c->session, e->handle, &value, 1);
    if (rv == CKR_OK)
        rv = c->module->C_DecryptInit(c->session, &how, c->pair.private);
    if (rv == CKR_OK)
        rv = c->module->C_Decrypt(c->session, blob, value.ulValueLen, o->plain, &n);
    if (rv == CKR_OK &&
        (n != KEY + strlen(label) || !b_ct_eq(o->plain + KEY, label, strlen(label))))
        rv = CKR_ENCRYPTED_DATA_INVALID;
    if (rv != CKR_OK)
        return not_opened(c, e, rv, err);
    crypto_key_init(&o->key, CRYPTO_AES128, o->plain);
    return B_OK;
}

enum b_code custody_wrapped_mac(struct custody *c, const struct custody_entry *e,
                                const struct b_rd *m, bool is_an10922, uint8_t *out,
                                struct b_err *err)
{
    struct crypto_cmac cmac;
    struct opened *o = b_secret_alloc(sizeof(*o));
    if (o == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "opening a wrapped master key");
    enum b_code r = open_into(c, e, o, err);
    if (r == B_OK && is_an10922) {
        r = crypto_an10922(&o->key, m->p + 1, m->left - 1, out, err);
        crypto_key_drop(&o->key);
    } else if (r == B_OK) {
        crypto_cmac_begin(&cmac, &o->key, NULL);
        crypto_cmac_update(&cmac, m->p, m->left);
        crypto_cmac_final(&cmac, out);
        b_wipe(&cmac, sizeof(cmac));
        crypto_key_drop(&o->key);
    }
    b_secret_free(o);
    return r;
}
