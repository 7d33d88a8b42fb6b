/*
 * Masters that have a backup: made, wrapped, and taken into the token from what was wrapped.
 *
 * A token with CKM_AES_KEY_WRAP (PKCS#11 v2.40 §2.14) is given the wrapping key as an object of
 * this session and works inside: a session's own extractable key is made and wrapped, and unwrapped
 * again as a token's own, not extractable. The extractable one ends with this function. Another
 * token gets the master by C_CreateObject, and one that keeps no AES key (tpm2-pkcs11) as wrapped.c
 * says: it is made of the token's and the kernel's random numbers, and wrapped, in secret memory.
 */
#include <string.h>

#include "crypto/wrap.h"
#include "custody/token.h"

enum { KEY = 16 };
static_assert(CUSTODY_WRAPPED == KEY + 8, "RFC 3394 adds eight bytes");

static bool wraps(struct custody *c)
{
    CK_MECHANISM_INFO info;
    const CK_FLAGS both = CKF_WRAP | CKF_UNWRAP;
    return c->module->C_GetMechanismInfo(c->slot, CKM_AES_KEY_WRAP, &info) == CKR_OK &&
           (info.flags & both) == both;
}

/* --- objects of this session ------------------------------------------------------------------ */

static CK_RV import_kek(struct custody *c, const uint8_t *kek, CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    union {
        const uint8_t *in;
        void *out;
    } value = {.in = kek};
    CK_ATTRIBUTE t[] = {
        {CKA_CLASS, &class, sizeof(class)},
        {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_TOKEN, &no, 1},
        {CKA_PRIVATE, &yes, 1},
        {CKA_SENSITIVE, &yes, 1},
        {CKA_EXTRACTABLE, &no, 1},
        {CKA_WRAP, &yes, 1},
        {CKA_UNWRAP, &yes, 1},
        {CKA_ENCRYPT, &no, 1},
        {CKA_DECRYPT, &no, 1},
        {CKA_VALUE, value.out, CUSTODY_KEK},
    };
    return c->module->C_CreateObject(c->session, t, B_COUNT(t), ret);
}

/* What cannot be destroyed goes with its session. */
static void destroy(struct custody *c, CK_OBJECT_HANDLE object)
{
    if (object != CK_INVALID_HANDLE && c->is_connected &&
        c->module->C_DestroyObject(c->session, object) != CKR_OK)
        custody_disconnect(c);
}

static struct custody_entry passing(const struct custody *c, const struct custody_backup *b,
                                    CK_OBJECT_HANDLE object)
{
    return (struct custody_entry){
        .handle = object,
        .key = {.role = b->role,
                .generation = b->generation,
                .is_safe = true,
                .derives_inside = key_stays(&c->in_token, b->role, b->generation)}};
}

/* --- inside the token ------------------------------------------------------------------------- */

static CK_RV wrap_inside(struct custody *c, const uint8_t *kek, CK_OBJECT_HANDLE key,
                         uint8_t *wrapped)
{
    CK_MECHANISM how = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_OBJECT_HANDLE by = CK_INVALID_HANDLE;
    CK_ULONG n = CUSTODY_WRAPPED;
    CK_RV rv = import_kek(c, kek, &by);
    if (rv == CKR_OK)
        rv = c->module->C_WrapKey(c->session, &how, by, key, wrapped, &n);
    destroy(c, by);
    return rv == CKR_OK && n != CUSTODY_WRAPPED ? CKR_FUNCTION_FAILED : rv;
}

static CK_RV unwrap_inside(struct custody *c, const struct custody_backup *b,
                           const uint8_t *wrapped, const struct custody_key *as,
                           CK_OBJECT_HANDLE *ret)
{
    CK_MECHANISM how = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_OBJECT_HANDLE by = CK_INVALID_HANDLE;
    struct custody_template t;
    uint8_t copy[CUSTODY_WRAPPED]; /* PKCS#11 wants it writable */
    memcpy(copy, wrapped, sizeof(copy));
    CK_RV rv = import_kek(c, b->kek, &by);
    if (rv != CKR_OK)
        return rv;
    custody_master(c, as, CUSTODY_GIVEN, true, &t);
    rv = c->module->C_UnwrapKey(c->session, &how, by, copy, sizeof(copy), t.attributes, t.count,
                                ret);
    if (custody_rv_is_template(rv)) {
        custody_master(c, as, CUSTODY_GIVEN, false, &t);
        rv = c->module->C_UnwrapKey(c->session, &how, by, copy, sizeof(copy), t.attributes, t.count,
                                    ret);
    }
    destroy(c, by);
    return rv;
}

static enum b_code make_inside(struct custody *c, const struct custody_backup *b,
                               struct custody_made *ret, struct b_err *err)
{
    const struct custody_key of = {
        .role = b->role, .generation = b->generation, .is_passing = true};
    struct custody_template t;
    CK_MECHANISM make = {CKM_AES_KEY_GEN, NULL, 0};
    struct custody_entry e = passing(c, b, CK_INVALID_HANDLE);
    custody_master(c, &of, CUSTODY_MADE, true, &t);
    CK_RV rv = c->module->C_GenerateKey(c->session, &make, t.attributes, t.count, &e.handle);
    if (rv == CKR_OK)
        rv = wrap_inside(c, b->kek, e.handle, ret->wrapped);
    enum b_code r = rv != CKR_OK ? custody_fail(c, rv, "making a master key with a backup", err)
                                 : custody_take_kcv(c, &e, err);
    destroy(c, e.handle);
    ret->kcv = e.key.kcv;
    ret->is_inside = true;
    return r;
}

/* --- beside the token ------------------------------------------------------------------------- */

static void kcv_of(const uint8_t *key, struct custody_kcv *ret)
{
    struct crypto_key k;
    crypto_key_init(&k, CRYPTO_AES128, key);
    crypto_kcv(&k, ret->value);
    crypto_key_drop(&k);
    memcpy(ret->method, "CMAC-0", sizeof("CMAC-0"));
}

/* The kernel's numbers alone are enough, should the token's be bad. */
enum b_code custody_fresh(struct custody *c, uint8_t *secret, struct b_err *err)
{
    CK_RV rv = c->module->C_GenerateRandom(c->session, secret, KEY);
    if (rv != CKR_OK)
        return custody_fail(c, rv, "asking the token for random numbers", err);
    crypto_random(secret + KEY, KEY);
    for (size_t i = 0; i < KEY; i++)
        secret[i] ^= secret[KEY + i];
    return B_OK;
}

/* secret: 2 * KEY bytes. */
static enum b_code make_beside(struct custody *c, const struct custody_backup *b, uint8_t *secret,
                               struct custody_made *ret, struct b_err *err)
{
    enum b_code r = custody_fresh(c, secret, err);
    if (r != B_OK)
        return r;
    kcv_of(secret, &ret->kcv);
    crypto_key_wrap(b->kek, secret, KEY, ret->wrapped);
    ret->is_inside = false;
    return B_OK;
}

static CK_RV create_beside(struct custody *c, const struct custody_key *as, uint8_t *secret)
{
    struct custody_template t;
    CK_OBJECT_HANDLE object;
    CK_RV rv = CKR_ATTRIBUTE_TYPE_INVALID;
    for (int strict = 1; strict >= 0 && custody_rv_is_template(rv); strict--) {
        custody_master(c, as, CUSTODY_GIVEN, strict == 1, &t);
        /* its place is before CKA_MODIFIABLE, the last */
        t.attributes[t.count] = t.attributes[t.count - 1];
        t.attributes[t.count - 1] = (CK_ATTRIBUTE){CKA_VALUE, secret, KEY};
        t.count++;
        rv = c->module->C_CreateObject(c->session, t.attributes, t.count, &object);
    }
    return rv;
}

/* --- the work --------------------------------------------------------------------------------- */

struct backup_work {
    const struct custody_backup *b;
    const uint8_t *wrapped, *kcv;
    bool keeps;
    struct custody_made *made;
    struct custody_key *ret;
    const uint8_t *to;
    uint8_t *rewrapped;
    uint8_t *secret; /* 2 * KEY bytes */
};

static enum b_code name_key(const struct custody *c, const struct custody_backup *b,
                            enum b_code code, const char *what, struct b_err *err)
{
    return b_err_set(err, code, 0, "master key %s of generation %u, token \"%s\"%s",
                     key_role_name(b->role), b->generation, c->token.label, what);
}

/* SoftHSM2 2.6.1 says CKR_GENERAL_ERROR of a wrapped key that does not open, and others say it of a
 * token that was lost: one whose session still answers was not. */
static enum b_code not_opened(struct custody *c, const struct custody_backup *b, CK_RV rv,
                              struct b_err *err)
{
    CK_SESSION_INFO info;
    if (custody_rv_is_lost(rv) &&
        (!c->is_connected || c->module->C_GetSessionInfo(c->session, &info) != CKR_OK))
        return custody_fail(c, rv, "opening a backup", err);
    c->last_rv = CKR_OK;
    return name_key(c, b, B_E_BACKUP_BROKEN, "", err);
}

static enum b_code make(struct custody *c, void *arg, struct b_err *err)
{
    const struct backup_work *w = arg;
    enum b_code r = custody_scan(c, err);
    if (r == B_OK && custody_known(c, w->b->role, w->b->generation) != NULL)
        r = name_key(c, w->b, B_E_KEY_EXISTS, "", err);
    if (r == B_OK && key_stays(&c->in_token, w->b->role, w->b->generation))
        r = custody_check_inside(c, err);
    if (r != B_OK)
        return r;
    return wraps(c) ? make_inside(c, w->b, w->made, err)
                    : make_beside(c, w->b, w->secret, w->made, err);
}

/* The KCV of what the backup holds. */
static enum b_code open_backup(struct custody *c, const struct backup_work *w,
                               struct custody_entry *e, struct b_err *err)
{
    const struct custody_key as = {
        .role = w->b->role, .generation = w->b->generation, .is_passing = true};
    *e = passing(c, w->b, CK_INVALID_HANDLE);
    if (!wraps(c)) {
        if (!crypto_key_unwrap(w->b->kek, w->wrapped, CUSTODY_WRAPPED, w->secret))
            return name_key(c, w->b, B_E_BACKUP_BROKEN, "", err);
        kcv_of(w->secret, &e->key.kcv);
        e->key.is_safe = !custody_is_known_weak(e->key.kcv.value);
        return B_OK;
    }
    CK_RV rv = unwrap_inside(c, w->b, w->wrapped, &as, &e->handle);
    if (rv != CKR_OK)
        return not_opened(c, w->b, rv, err);
    enum b_code r = custody_take_kcv(c, e, err);
    destroy(c, e->handle);
    return r;
}

static enum b_code put_object(struct custody *c, const struct backup_work *w,
                              const struct custody_key *as, struct b_err *err)
{
    CK_OBJECT_HANDLE object;
    CK_RV rv = wraps(c) ? unwrap_inside(c, w->b, w->wrapped, as, &object)
                        : create_beside(c, as, w->secret);
    return rv == CKR_OK ? B_OK : custody_fail(c, rv, "putting a master key in the token", err);
}

static enum b_code put(struct custody *c, const struct backup_work *w, struct b_err *err)
{
    const struct custody_key as = {
        .role = w->b->role, .generation = w->b->generation, .is_brought = true};
    enum b_code r = custody_keeps_wrapped(c) ? custody_wrapped_put(c, &as, w->secret, err)
                                             : put_object(c, w, &as, err);
    if (r == B_OK)
        r = custody_scan(c, err);
    const struct custody_entry *e = custody_known(c, w->b->role, w->b->generation);
    if (r == B_OK && (e == NULL || !e->key.is_safe))
        r = name_key(c, w->b, B_E_KEY_UNSAFE, ", which does not keep it as asked", err);
    if (r == B_OK && !b_ct_eq(e->key.kcv.value, w->kcv, 3))
        r = name_key(c, w->b, B_E_KCV_DIFFERS, "", err);
    if (r == B_OK)
        *w->ret = e->key;
    return r;
}

static enum b_code bring(struct custody *c, void *arg, struct b_err *err)
{
    const struct backup_work *w = arg;
    struct custody_entry e;
    enum b_code r = custody_scan(c, err);
    if (r == B_OK)
        r = open_backup(c, w, &e, err);
    if (r != B_OK)
        return r;
    if (!b_ct_eq(e.key.kcv.value, w->kcv, 3))
        return name_key(c, w->b, B_E_KCV_DIFFERS, "", err);
    const struct custody_entry *there = custody_known(c, w->b->role, w->b->generation);
    if (there != NULL && !b_ct_eq(there->key.kcv.value, w->kcv, 3))
        return name_key(c, w->b, B_E_KCV_DIFFERS, ": another is there already", err);
    if (!e.key.is_safe)
        return name_key(c, w->b, B_E_KEY_UNSAFE, ": a key that everybody knows", err);
    if (there != NULL && !there->key.is_safe)
        return name_key(c, w->b, B_E_KEY_UNSAFE, ": the one that is there", err);
    *w->ret = there != NULL ? there->key : e.key;
    if (there != NULL || !w->keeps)
        return B_OK;
    if (key_stays(&c->in_token, w->b->role, w->b->generation))
        r = custody_check_inside(c, err);
    return r == B_OK ? put(c, w, err) : r;
}

static enum b_code rewrap(struct custody *c, void *arg, struct b_err *err)
{
    const struct backup_work *w = arg;
    const struct custody_key as = {
        .role = w->b->role, .generation = w->b->generation, .is_passing = true};
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    if (!wraps(c)) {
        if (!crypto_key_unwrap(w->b->kek, w->wrapped, CUSTODY_WRAPPED, w->secret))
            return name_key(c, w->b, B_E_BACKUP_BROKEN, "", err);
        crypto_key_wrap(w->to, w->secret, KEY, w->rewrapped);
        return B_OK;
    }
    CK_RV rv = unwrap_inside(c, w->b, w->wrapped, &as, &object);
    if (rv != CKR_OK)
        return not_opened(c, w->b, rv, err);
    rv = wrap_inside(c, w->to, object, w->rewrapped);
    destroy(c, object);
    return rv == CKR_OK ? B_OK : custody_fail(c, rv, "wrapping a master key", err);
}

static enum b_code run(struct custody *c, custody_work *work, struct backup_work *w,
                       struct b_err *err)
{
    if ((unsigned)w->b->role >= KEY_ROLE_ALL || w->b->generation == KEY_GENERATION_FACTORY)
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         "a master key has a role and a generation of 1..255");
    w->secret = b_secret_alloc(2 * (size_t)KEY);
    enum b_code r = w->secret != NULL ? custody_run(c, work, w, err)
                                      : b_err_set(err, B_E_NO_MEMORY, 0, "a master key's backup");
    b_secret_free(w->secret);
    return r;
}

enum b_code custody_make(struct custody *c, const struct custody_backup *b,
                         struct custody_made *ret, struct b_err *err)
{
    struct backup_work w = {.b = b, .made = ret};
    return run(c, make, &w, err);
}

enum b_code custody_bring(struct custody *c, const struct custody_backup *b,
                          const uint8_t wrapped[static CUSTODY_WRAPPED],
                          const uint8_t kcv[static 3], bool keeps, struct custody_key *ret,
                          struct b_err *err)
{
    struct backup_work w = {.b = b, .wrapped = wrapped, .kcv = kcv, .keeps = keeps, .ret = ret};
    return run(c, bring, &w, err);
}

enum b_code custody_rewrap(struct custody *c, const struct custody_backup *b, const uint8_t *to,
                           uint8_t wrapped[static CUSTODY_WRAPPED], struct b_err *err)
{
    uint8_t out[CUSTODY_WRAPPED];
    struct backup_work w = {.b = b, .wrapped = wrapped, .to = to, .rewrapped = out};
    enum b_code r = run(c, rewrap, &w, err);
    if (r == B_OK)
        memcpy(wrapped, out, sizeof(out));
    return r;
}
