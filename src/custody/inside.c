/*
 * Badge keys that stay in the token.
 *
 * The last step of AN10922 is AES by the master over one block (NIST SP 800-38B §6.2). PKCS#11's
 * CKM_AES_ECB_ENCRYPT_DATA (v2.40, §2.14.7) makes a key object of what AES by the base key gives:
 * over that block, it is the badge key. The object is sensitive, cannot be extracted, encrypts and
 * decrypts by CBC and does nothing else; it belongs to the session and is destroyed when the work
 * is done. What cannot be destroyed goes with its session, which is then closed.
 *
 * What the chain is made of passes through this process: E(0), of which the subkeys are, and the
 * cipher block before the last. None of them is a badge key.
 */
#include <stdio.h>
#include <string.h>

#include "custody/token.h"

enum { BLOCK = 16, CBC_MAX = 32 };

struct custody_badge {
    struct custody *c;
    CK_OBJECT_HANDLE key;
    struct b_err error;
};

/* --- what it takes ---------------------------------------------------------------------------- */

static const struct {
    const char *name;
    CK_MECHANISM_TYPE mechanism;
    CK_FLAGS uses;
} needs[] = {
    {"CKM_AES_ECB_ENCRYPT_DATA", CKM_AES_ECB_ENCRYPT_DATA, CKF_DERIVE},
    {"CKM_AES_ECB", CKM_AES_ECB, CKF_ENCRYPT},
    {"CKM_AES_CBC", CKM_AES_CBC, CKF_ENCRYPT | CKF_DECRYPT},
};

enum b_code custody_check_inside(struct custody *c, struct b_err *err)
{
    for (size_t i = 0; i < B_COUNT(needs); i++) {
        CK_MECHANISM_INFO info;
        CK_RV rv = c->module->C_GetMechanismInfo(c->slot, needs[i].mechanism, &info);
        if (rv != CKR_OK && rv != CKR_MECHANISM_INVALID)
            return custody_fail(c, rv, "asking for the token's mechanisms", err);
        if (rv != CKR_OK || (info.flags & needs[i].uses) != needs[i].uses)
            return b_err_set(err, B_E_KEY_NOT_INSIDE, (uint32_t)rv, "token \"%s\" lacks %s%s",
                             c->token.label, needs[i].name,
                             rv == CKR_OK ? " for all that it is needed for" : "");
    }
    return B_OK;
}

/* --- the object ------------------------------------------------------------------------------- */

/* strict: also what not every token knows: only this mechanism, no copies, no changes. That it
 * cannot be changed is said last: SoftHSM2 2.6.1 follows the template in its order. */
static CK_RV make(struct custody *c, CK_OBJECT_HANDLE master, uint8_t *block, bool strict,
                  CK_OBJECT_HANDLE *ret)
{
    CK_KEY_DERIVATION_STRING_DATA data = {block, BLOCK};
    CK_MECHANISM by = {CKM_AES_ECB_ENCRYPT_DATA, &data, sizeof(data)};
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ULONG size = BLOCK;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_MECHANISM_TYPE only = CKM_AES_CBC;
    CK_ATTRIBUTE t[] = {
        {CKA_CLASS, &class, sizeof(class)},
        {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_VALUE_LEN, &size, sizeof(size)},
        {CKA_TOKEN, &no, 1},
        {CKA_PRIVATE, &yes, 1},
        {CKA_SENSITIVE, &yes, 1},
        {CKA_EXTRACTABLE, &no, 1},
        {CKA_ENCRYPT, &yes, 1},
        {CKA_DECRYPT, &yes, 1},
        {CKA_SIGN, &no, 1},
        {CKA_VERIFY, &no, 1},
        {CKA_WRAP, &no, 1},
        {CKA_UNWRAP, &no, 1},
        {CKA_DERIVE, &no, 1},
        {CKA_ALLOWED_MECHANISMS, &only, sizeof(only)},
        {CKA_COPYABLE, &no, 1},
        {CKA_MODIFIABLE, &no, 1},
    };
    return c->module->C_DeriveKey(c->session, &by, master, t, B_COUNT(t) - (strict ? 0 : 3), ret);
}

/* After work that ended with r. A session that was lost in it is closed by custody_run, which then
 * has the work done again. */
static void destroy(struct custody *c, CK_OBJECT_HANDLE key, enum b_code r)
{
    bool is_lost = r != B_OK && custody_rv_is_lost(c->last_rv);
    if (c->module->C_DestroyObject(c->session, key) != CKR_OK && !is_lost)
        custody_disconnect(c);
}

/* A token that would give the key away must be known before it is used, not believed. */
static bool is_kept(struct custody *c, CK_OBJECT_HANDLE key)
{
    uint8_t *value = b_secret_alloc(CBC_MAX);
    CK_BBOOL sensitive = CK_FALSE;
    CK_BBOOL extractable = CK_TRUE;
    CK_ATTRIBUTE said[] = {{CKA_SENSITIVE, &sensitive, 1}, {CKA_EXTRACTABLE, &extractable, 1}};
    CK_ATTRIBUTE bytes = {CKA_VALUE, value, CBC_MAX};
    bool is = value != NULL &&
              c->module->C_GetAttributeValue(c->session, key, said, B_COUNT(said)) == CKR_OK &&
              sensitive == CK_TRUE && extractable == CK_FALSE &&
              c->module->C_GetAttributeValue(c->session, key, &bytes, 1) == CKR_ATTRIBUTE_SENSITIVE;
    b_secret_free(value);
    return is;
}

static enum b_code derive(struct custody *c, struct custody_entry *e, struct b_rd m,
                          CK_OBJECT_HANDLE *ret, struct b_err *err)
{
    uint8_t *block = b_secret_alloc(BLOCK);
    if (block == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "deriving a badge key");
    enum b_code r = custody_last_block(c, e, m.p, m.left, block, err);
    CK_RV rv = CKR_OK;
    if (r == B_OK) {
        rv = make(c, e->handle, block, true, ret);
        if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ||
            rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_TEMPLATE_INCONSISTENT)
            rv = make(c, e->handle, block, false, ret);
    }
    b_secret_free(block);
    if (rv == CKR_OK)
        return r;
    r = custody_fail(c, rv, "deriving by CKM_AES_ECB_ENCRYPT_DATA", err);
    if (r == B_E_TOKEN_MECHANISM)
        r = err->code = B_E_KEY_NOT_INSIDE;
    return r;
}

/* --- the work --------------------------------------------------------------------------------- */

struct inside_work {
    const struct custody_which *which;
    struct b_rd m;
    custody_badge_work *work;
    void *arg;
};

/* The master, when it was made for this. */
static struct custody_entry *find_master(struct custody *c, const struct custody_which *which,
                                         struct b_err *err)
{
    struct custody_entry *e = custody_find_safe(c, which->role, which->generation, err);
    if (e == NULL || e->key.derives_inside)
        return e;
    if (custody_check_inside(c, err) == B_OK)
        (void)b_err_set(err, B_E_KEY_NOT_INSIDE, 0,
                        "token \"%s\": master key %s of generation %u was made without CKA_DERIVE",
                        c->token.label, key_role_name(which->role), which->generation);
    return NULL;
}

static enum b_code work_inside(struct custody *c, void *arg, struct b_err *err)
{
    const struct inside_work *w = arg;
    struct custody_badge badge = {.c = c};
    struct custody_entry *e = find_master(c, w->which, err);
    if (e == NULL)
        return err->code;
    enum b_code r = derive(c, e, w->m, &badge.key, err);
    if (r != B_OK)
        return r;
    c->keeps_badges = c->keeps_badges || is_kept(c, badge.key);
    if (c->keeps_badges)
        r = w->work(&badge, w->arg, err);
    else
        r = b_err_set(err, B_E_KEY_NOT_INSIDE, 0, "token \"%s\" gives a derived key away",
                      c->token.label);
    destroy(c, badge.key, r);
    return r;
}

enum b_code custody_use_badge(struct custody *c, const struct custody_which *which,
                              custody_badge_work *work, void *arg, struct b_err *err)
{
    uint8_t m[CUSTODY_M_MAX];
    struct b_wr message = b_wr_from(m, sizeof(m));
    enum b_code r = custody_message(which, &message, err);
    if (r != B_OK)
        return r;
    struct inside_work w = {which, b_wr_reader(&message), work, arg};
    return custody_run(c, work_inside, &w, err);
}

bool custody_badge_cbc(void *badge, bool is_encrypt, uint8_t *iv, const uint8_t *in, uint8_t *out,
                       size_t n)
{
    struct custody_badge *b = badge;
    struct custody *c = b->c;
    uint8_t copy[CBC_MAX]; /* PKCS#11 wants it writable */
    CK_ULONG out_len = n;
    CK_MECHANISM m = {CKM_AES_CBC, iv, BLOCK};
    b_check(n == BLOCK || n == CBC_MAX);
    memcpy(copy, in, n);
    CK_RV rv = is_encrypt ? c->module->C_EncryptInit(c->session, &m, b->key)
                          : c->module->C_DecryptInit(c->session, &m, b->key);
    if (rv == CKR_OK)
        rv = is_encrypt ? c->module->C_Encrypt(c->session, copy, n, out, &out_len)
                        : c->module->C_Decrypt(c->session, copy, n, out, &out_len);
    if (rv == CKR_OK && out_len != n)
        rv = CKR_FUNCTION_FAILED;
    b_wipe(copy, sizeof(copy));
    if (rv != CKR_OK)
        (void)custody_fail(c, rv, "using a badge key by CKM_AES_CBC", &b->error);
    return rv == CKR_OK;
}

enum b_code custody_badge_error(const struct custody_badge *badge, struct b_err *err)
{
    if (badge->error.code != B_OK && err != NULL)
        *err = badge->error;
    return badge->error.code;
}
