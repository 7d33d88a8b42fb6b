/*
 * AN10922 in the token.
 *
 * AN10922 §2.2 pads M = 01 || input to 32 bytes whatever its length and then works as CMAC does
 * (NIST SP 800-38B §6.2). For M of 17..32 bytes that is AES-CMAC itself. For M of 1..16 bytes it
 * is not: CMAC would use one block. A key that may only sign with CKM_AES_CMAC therefore cannot
 * derive from inputs shorter than 16 bytes; a key used by CBC or ECB can.
 */
#include <string.h>

#include "custody/token.h"

enum { BLOCK = 16, MESSAGE_MAX = CUSTODY_M_MAX };

static const struct {
    const char *name;
    CK_MECHANISM_TYPE mechanism;
} methods[] = {
    [CUSTODY_CMAC] = {"CKM_AES_CMAC", CKM_AES_CMAC},
    [CUSTODY_CBC] = {"CKM_AES_CBC", CKM_AES_CBC},
    [CUSTODY_ECB] = {"CKM_AES_ECB", CKM_AES_ECB},
    [CUSTODY_OAEP] = {"CKM_RSA_PKCS_OAEP", CKM_RSA_PKCS_OAEP},
};

const char *custody_method_name(enum custody_method m)
{
    return methods[m].name;
}

CK_MECHANISM_TYPE custody_mechanism(enum custody_method m)
{
    return methods[m].mechanism;
}

static enum b_code sign(struct custody *c, CK_OBJECT_HANDLE key, uint8_t *in, size_t n,
                        uint8_t *out, struct b_err *err)
{
    CK_MECHANISM m = {CKM_AES_CMAC, NULL, 0};
    CK_RV rv = c->module->C_SignInit(c->session, &m, key);
    CK_ULONG out_len = BLOCK;
    if (rv == CKR_OK)
        rv = c->module->C_Sign(c->session, in, n, out, &out_len);
    if (rv == CKR_OK && out_len != BLOCK)
        rv = CKR_FUNCTION_FAILED;
    return rv == CKR_OK ? B_OK : custody_fail(c, rv, "computing AES-CMAC", err);
}

/* How this master is used: as the token's masters are, or block by block when it derives inside. */
static enum custody_method method_of(const struct custody *c, const struct custody_entry *e)
{
    return e->key.derives_inside ? CUSTODY_ECB : c->token.method;
}

static enum b_code encrypt(struct custody *c, const struct custody_entry *e, uint8_t *in, size_t n,
                           uint8_t *out, struct b_err *err)
{
    uint8_t iv[BLOCK] = {0};
    enum custody_method method = method_of(c, e);
    bool is_cbc = method == CUSTODY_CBC;
    CK_MECHANISM m = {methods[method].mechanism, is_cbc ? iv : NULL, is_cbc ? BLOCK : 0};
    CK_RV rv = c->module->C_EncryptInit(c->session, &m, e->handle);
    CK_ULONG out_len = n;
    if (rv == CKR_OK)
        rv = c->module->C_Encrypt(c->session, in, n, out, &out_len);
    if (rv == CKR_OK && out_len != n)
        rv = CKR_FUNCTION_FAILED;
    return rv == CKR_OK ? B_OK : custody_fail(c, rv, "encrypting with AES", err);
}

/* Doubling in GF(2^128) without a branch on the secret. */
static void twice(uint8_t *out, const uint8_t *in)
{
    uint8_t carry = (uint8_t)(-(in[0] >> 7) & 0x87);
    for (size_t i = 0; i + 1 < BLOCK; i++)
        out[i] = (uint8_t)(in[i] << 1 | in[i + 1] >> 7);
    out[BLOCK - 1] = (uint8_t)(in[BLOCK - 1] << 1 ^ carry);
}

static enum b_code take_subkeys(struct custody *c, struct custody_entry *e, struct b_err *err)
{
    if (e->subkeys != NULL)
        return B_OK;
    uint8_t *keys = b_secret_alloc(2 * BLOCK);
    uint8_t *zero = b_secret_alloc(BLOCK);
    enum b_code r = B_OK;
    if (keys == NULL || zero == NULL)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "computing CMAC subkeys");
    else
        r = encrypt(c, e, zero, BLOCK, keys + BLOCK, err);
    if (r == B_OK) {
        twice(keys, keys + BLOCK);
        twice(keys + BLOCK, keys);
        e->subkeys = keys;
        keys = NULL;
    }
    b_secret_free(keys);
    b_secret_free(zero);
    return r;
}

/* The message padded to n bytes (16 or 32), with CMAC's subkey in its last block: K1 for a whole
 * one, K2 for a padded one. */
static enum b_code prepare(struct custody *c, struct custody_entry *e, const struct b_rd *in,
                           uint8_t *work, size_t n, struct b_err *err)
{
    enum b_code r = take_subkeys(c, e, err);
    if (r != B_OK)
        return r;
    memcpy(work, in->p, in->left);
    const uint8_t *subkey = e->subkeys;
    if (in->left < n) {
        work[in->left] = 0x80;
        subkey += BLOCK;
    }
    for (size_t i = 0; i < BLOCK; i++)
        work[n - BLOCK + i] ^= subkey[i];
    return B_OK;
}

/* Block by block, all but the last, which is then ready to be encrypted. */
static enum b_code chain(struct custody *c, struct custody_entry *e, uint8_t *work, size_t n,
                         struct b_err *err)
{
    uint8_t *cipher = work + MESSAGE_MAX;
    if (n == BLOCK)
        return B_OK;
    enum b_code r = encrypt(c, e, work, BLOCK, cipher, err);
    for (size_t i = 0; r == B_OK && i < BLOCK; i++)
        work[BLOCK + i] ^= cipher[i];
    return r;
}

/* work: the padded blocks, then room for the ciphertext; all secret memory. */
static enum b_code by_blocks(struct custody *c, struct custody_entry *e, const struct b_rd *in,
                             size_t padded, uint8_t *out, struct b_err *err)
{
    uint8_t *work = b_secret_alloc(2 * MESSAGE_MAX);
    if (work == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "deriving a badge key");
    uint8_t *cipher = work + MESSAGE_MAX;
    size_t last = padded - BLOCK;
    enum b_code r = prepare(c, e, in, work, padded, err);
    if (r == B_OK && method_of(c, e) == CUSTODY_CBC) {
        r = encrypt(c, e, work, padded, cipher, err);
    } else if (r == B_OK) {
        r = chain(c, e, work, padded, err);
        if (r == B_OK)
            r = encrypt(c, e, work + last, BLOCK, cipher + last, err);
    }
    if (r == B_OK)
        memcpy(out, cipher + last, BLOCK);
    b_secret_free(work);
    return r;
}

enum b_code custody_last_block(struct custody *c, struct custody_entry *e, const uint8_t *m,
                               size_t n, uint8_t *out, struct b_err *err)
{
    uint8_t *work = b_secret_alloc(2 * MESSAGE_MAX);
    if (work == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "deriving a badge key");
    struct b_rd message = b_rd_from(m, n);
    enum b_code r = prepare(c, e, &message, work, MESSAGE_MAX, err);
    if (r == B_OK)
        r = chain(c, e, work, MESSAGE_MAX, err);
    if (r == B_OK)
        memcpy(out, work + BLOCK, BLOCK);
    b_secret_free(work);
    return r;
}

enum b_code custody_cmac(struct custody *c, struct custody_entry *e, const uint8_t *in, size_t n,
                         uint8_t *out, struct b_err *err)
{
    b_check(n >= 1 && n <= MESSAGE_MAX);
    struct b_rd message = b_rd_from(in, n);
    if (custody_keeps_wrapped(c))
        return custody_wrapped_mac(c, e, &message, false, out, err);
    if (method_of(c, e) == CUSTODY_CMAC) {
        uint8_t copy[MESSAGE_MAX]; /* PKCS#11 wants it writable; not a secret */
        memcpy(copy, in, n);
        return sign(c, e->handle, copy, n, out, err);
    }
    return by_blocks(c, e, &message, n <= BLOCK ? BLOCK : MESSAGE_MAX, out, err);
}

enum b_code custody_an10922(struct custody *c, struct custody_entry *e, const uint8_t *m, size_t n,
                            uint8_t *out, struct b_err *err)
{
    struct b_rd message = b_rd_from(m, n);
    if (custody_keeps_wrapped(c))
        return custody_wrapped_mac(c, e, &message, true, out, err);
    if (n > BLOCK)
        return custody_cmac(c, e, m, n, out, err);
    if (method_of(c, e) == CUSTODY_CMAC)
        return b_err_set(err, B_E_KEY_LENGTH, 0,
                         "diversification data of %zu bytes: AN10922 below 16 bytes is not a CMAC, "
                         "and the keys of token \"%s\" may do nothing else; lengthen the system "
                         "identifier, or use a token by CKM_AES_CBC",
                         n - 1, c->token.label);
    return by_blocks(c, e, &message, MESSAGE_MAX, out, err);
}

enum b_code custody_message(const struct custody_which *which, struct b_wr *m, struct b_err *err)
{
    size_t n = which->input.left;
    if (n < 1 || n > CRYPTO_DIV_INPUT_MAX)
        return b_err_set(err, B_E_KEY_LENGTH, 0, "diversification data of %zu bytes; 1..31 fit", n);
    if ((unsigned)which->role >= KEY_ROLE_ALL || which->generation == KEY_GENERATION_FACTORY)
        return b_err_set(err, B_E_BAD_INPUT, 0, "a factory key is not derived");
    b_wr_u8(m, 0x01); /* AN10922 §2.2: the constant of AES-128 */
    b_wr_bytes(m, which->input.p, n);
    return B_OK;
}

struct custody_entry *custody_find_safe(struct custody *c, enum key_role role, uint8_t generation,
                                        struct b_err *err)
{
    struct custody_entry *e = custody_find(c, role, generation, err);
    if (e == NULL || e->key.is_safe)
        return e;
    (void)b_err_set(err, B_E_KEY_UNSAFE, 0,
                    "token \"%s\": master key %s of generation %u is not used", c->token.label,
                    key_role_name(role), generation);
    return NULL;
}

struct derive_work {
    enum key_role role;
    uint8_t generation;
    struct b_rd m;
    uint8_t *out;
};

static enum b_code derive(struct custody *c, void *arg, struct b_err *err)
{
    const struct derive_work *d = arg;
    struct custody_entry *e = custody_find_safe(c, d->role, d->generation, err);
    return e != NULL ? custody_an10922(c, e, d->m.p, d->m.left, d->out, err) : err->code;
}

enum b_code custody_derive(struct custody *c, enum key_role role, uint8_t generation,
                           const uint8_t *input, size_t n, uint8_t *out, struct b_err *err)
{
    const struct custody_which which = {role, generation, b_rd_from(input, n)};
    uint8_t m[CUSTODY_M_MAX];
    struct b_wr w = b_wr_from(m, sizeof(m));
    enum b_code r = custody_message(&which, &w, err);
    if (r != B_OK)
        return r;
    if (key_stays(&c->in_token, role, generation))
        return b_err_set(err, B_E_KEY_STAYS, 0, "deriving key %s of generation %u",
                         key_role_name(role), generation);
    struct derive_work d = {role, generation, b_wr_reader(&w), out};
    return custody_run(c, derive, &d, err);
}
