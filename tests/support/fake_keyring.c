#include "fake_keyring.h"

#include <string.h>

#include "crypto/wrap.h"

static const uint8_t master[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                   0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF};

static enum b_code fail_as_told(const struct fake_keyring *f, struct b_err *err)
{
    return f->fails == B_OK ? B_OK : b_err_set(err, f->fails, 7, "as told");
}

static enum b_code token(void *ctx, const struct vaultd_config *config, struct custody_token *ret,
                         struct b_err *err)
{
    (void)config;
    *ret = (struct custody_token){.label = "fake", .method = CUSTODY_CMAC, .is_connected = true};
    return fail_as_told(ctx, err);
}

static enum b_code generate(void *ctx, const struct vaultd_config *config, enum key_role role,
                            uint8_t generation, struct custody_key *ret, struct b_err *err)
{
    (void)config;
    *ret = (struct custody_key){.role = role, .generation = generation, .is_safe = true};
    memcpy(ret->kcv.method, "CMAC-0", 7);
    if (((const struct fake_keyring *)ctx)->has_made)
        return b_err_set(err, B_E_KEY_EXISTS, 0, "as told");
    return fail_as_told(ctx, err);
}

static enum b_code list(void *ctx, const struct vaultd_config *config, struct custody_key *keys,
                        size_t cap, size_t *ret_count, struct b_err *err)
{
    (void)config;
    const struct fake_keyring *f = ctx;
    for (size_t i = 0; i < cap; i++) {
        keys[i] = (struct custody_key){
            .role = KEY_ROLE_AUTH, .generation = (uint8_t)(i % 255 + 1), .is_safe = f->has_made};
        if (f->kcv != NULL)
            memcpy(keys[i].kcv.value, f->kcv, sizeof(keys[i].kcv.value));
    }
    *ret_count = cap;
    return fail_as_told(ctx, err);
}

static enum b_code derive(void *ctx, const struct vaultd_config *config,
                          const struct custody_key *which, struct b_rd input, uint8_t *out,
                          struct b_err *err)
{
    (void)config;
    (void)which;
    const struct fake_keyring *f = ctx;
    struct crypto_key key;
    memset(out, 0, 16);
    if (f->fails != B_OK || f->gives_zero)
        return fail_as_told(f, err);
    crypto_key_init(&key, CRYPTO_AES128, master);
    enum b_code r = crypto_an10922(&key, input.p, input.left, out, err);
    crypto_key_drop(&key);
    return r;
}

/* As the token would: the key in a cipher that its user does not see into. */
static bool cbc(void *ctx, bool is_encrypt, uint8_t *iv, const uint8_t *in, uint8_t *out, size_t n)
{
    const struct crypto_key *key = ctx;
    if (is_encrypt)
        crypto_cbc_encrypt(key, iv, in, out, n);
    else
        crypto_cbc_decrypt(key, iv, in, out, n);
    return true;
}

static enum b_code inside_key(struct fake_keyring *f, const struct vaultd_inside *inside,
                              struct crypto_key *ret, struct b_err *err)
{
    uint8_t bytes[16];
    struct custody_key which = {.role = inside->which.role};
    enum b_code r = derive(f, NULL, &which, inside->which.input, bytes, err);
    f->inside++;
    crypto_key_init(ret, CRYPTO_AES128, bytes);
    return r;
}

static enum b_code prove(void *ctx, const struct vaultd_config *config,
                         const struct vaultd_inside *inside, const uint8_t *challenge,
                         uint8_t *frame, struct b_err *err)
{
    (void)config;
    struct crypto_key key;
    const struct df_prove_cipher cipher = {cbc, &key};
    const uint8_t a[DF_PROVE_BLOCK] = {7, 7, 7};
    enum b_code r = inside_key(ctx, inside, &key, err);
    if (r == B_OK && !df_prove_token(inside->prove, inside->how, &cipher, challenge, a, frame))
        r = B_E_TOKEN_FAILED;
    crypto_key_drop(&key);
    return r;
}

static enum b_code check(void *ctx, const struct vaultd_config *config,
                         const struct vaultd_inside *inside, struct b_rd answer, struct b_err *err)
{
    (void)config;
    struct crypto_key key;
    const struct df_prove_cipher cipher = {cbc, &key};
    enum b_code r = inside_key(ctx, inside, &key, err);
    if (r == B_OK && !df_prove_check(inside->prove, &cipher, answer.p))
        r = b_err_set(err, B_E_CARD_AUTH, 0, "as the card answered");
    crypto_key_drop(&key);
    return r;
}

static enum b_code anchor_get(void *ctx, const struct vaultd_config *config, const char *name,
                              struct b_wr *out, struct b_err *err)
{
    (void)config;
    const struct fake_keyring *f = ctx;
    for (size_t i = 0; i < B_COUNT(f->anchors) && f->fails == B_OK; i++) {
        if (strcmp(f->anchors[i].name, name) != 0)
            continue;
        b_wr_bytes(out, f->anchors[i].bytes, f->anchors[i].n);
        return B_OK;
    }
    return f->fails == B_OK ? b_err_set(err, B_E_NOT_FOUND, 0, "%s", name) : fail_as_told(f, err);
}

static enum b_code anchor_put(void *ctx, const struct vaultd_config *config, const char *name,
                              struct b_rd bytes, struct b_err *err)
{
    (void)config;
    struct fake_keyring *f = ctx;
    for (size_t i = 0; i < B_COUNT(f->anchors) && f->fails == B_OK; i++) {
        if (f->anchors[i].name[0] != '\0' && strcmp(f->anchors[i].name, name) != 0)
            continue;
        b_check(strlen(name) < sizeof(f->anchors[i].name));
        memcpy(f->anchors[i].name, name, strlen(name) + 1);
        f->anchors[i].n = bytes.left;
        b_rd_bytes(&bytes, f->anchors[i].bytes, bytes.left);
        return B_OK;
    }
    return f->fails == B_OK ? b_err_set(err, B_E_TOKEN_FAILED, 0, "full") : fail_as_told(f, err);
}

static enum b_code create(void *ctx, const char *dir, const char *label, char *ret_uri, size_t cap,
                          struct b_err *err)
{
    (void)dir;
    (void)label;
    struct b_wr w = b_wr_from(ret_uri, cap);
    b_wr_bytes(&w, "pkcs11:token=fake", 18);
    return fail_as_told(ctx, err);
}

/* Wrapped for real, so that a wrong key is told. */
static enum b_code make(void *ctx, const struct vaultd_config *config,
                        const struct custody_backup *b, struct custody_made *ret, struct b_err *err)
{
    (void)config;
    *ret = (struct custody_made){.kcv = {.method = "CMAC-0", .value = {1, 2, b->generation}},
                                 .is_inside = true};
    crypto_key_wrap(b->kek, master, sizeof(master), ret->wrapped);
    return fail_as_told(ctx, err);
}

static enum b_code bring(void *ctx, const struct vaultd_config *config,
                         const struct custody_backup *b, const struct vaultd_bring *bring,
                         struct custody_key *ret, struct b_err *err)
{
    (void)config;
    uint8_t key[16];
    struct fake_keyring *f = ctx;
    if (!crypto_key_unwrap(b->kek, bring->wrapped, CUSTODY_WRAPPED, key))
        return b_err_set(err, B_E_BACKUP_BROKEN, 0, "as it is");
    *ret = (struct custody_key){.role = b->role, .generation = b->generation, .is_safe = true};
    memcpy(ret->kcv.method, "CMAC-0", 7);
    memcpy(ret->kcv.value, bring->kcv, sizeof(ret->kcv.value));
    f->brought += bring->keeps;
    return fail_as_told(f, err);
}

static enum b_code rewrap(void *ctx, const struct vaultd_config *config,
                          const struct custody_backup *b, const uint8_t *to, uint8_t *wrapped,
                          struct b_err *err)
{
    (void)config;
    uint8_t key[16];
    if (!crypto_key_unwrap(b->kek, wrapped, CUSTODY_WRAPPED, key))
        return b_err_set(err, B_E_BACKUP_BROKEN, 0, "as it is");
    crypto_key_wrap(to, key, sizeof(key), wrapped);
    return fail_as_told(ctx, err);
}

struct vaultd_keyring fake_keyring(struct fake_keyring *f)
{
    return (struct vaultd_keyring){.ctx = f,
                                   .token = token,
                                   .generate = generate,
                                   .list = list,
                                   .derive = derive,
                                   .prove = prove,
                                   .check = check,
                                   .anchor_get = anchor_get,
                                   .anchor_put = anchor_put,
                                   .create = create,
                                   .make = make,
                                   .bring = bring,
                                   .rewrap = rewrap};
}
