/*
 * Masters from elsewhere, and for elsewhere: as XOR components that several people type, or as a
 * key block (TR-31) under a key that is given in components. Each component comes with its check
 * value: the first three bytes of CMAC over a block of zeros, or of the block enciphered, as other
 * programs compute it; AES by its length.
 */
#include <string.h>

#include "crypto/wrap.h"
#include "vault/ceremony_state.h"

enum { KCV = CEREMONY_PART_KCV, KEY = 16 };
static const uint8_t nothing[CRYPTO_KEYBLOCK_KEY];

/* ret: the one by CMAC, whichever was given. */
static bool is_kcv(const uint8_t *key, size_t n, const uint8_t kcv[static KCV],
                   uint8_t ret[static KCV])
{
    struct crypto_key k;
    struct crypto_cmac cmac;
    uint8_t mac[16];
    uint8_t enciphered[16];
    crypto_key_init(&k, n == 16 ? CRYPTO_AES128 : n == 24 ? CRYPTO_AES192 : CRYPTO_AES256, key);
    crypto_cmac_begin(&cmac, &k, NULL);
    crypto_cmac_update(&cmac, nothing, sizeof(mac));
    crypto_cmac_final(&cmac, mac);
    crypto_encrypt_block(&k, nothing, enciphered);
    crypto_key_drop(&k);
    b_wipe(&cmac, sizeof(cmac));
    memcpy(ret, mac, KCV);
    return b_ct_eq(mac, kcv, KCV) || b_ct_eq(enciphered, kcv, KCV);
}

static void forget_parts(struct vaultd_ceremony *c)
{
    b_wipe(c->parts, sizeof(c->parts));
    b_wipe(&c->block, sizeof(c->block));
    c->part_n = c->part_count = 0;
}

/* One of zeros adds nothing, and one that is given twice takes itself away: what is left would be
 * known to one person. */
static enum b_code judge_part(const struct vaultd_ceremony *c, struct b_rd part,
                              const uint8_t kcv[static KCV], struct b_err *err)
{
    if (c->part_count > 0 && c->part_n != part.left)
        return b_err_set(err, B_E_KEY_LENGTH, 0,
                         "a component of %zu bytes, and those before of %zu", part.left, c->part_n);
    if (b_ct_eq(part.p, nothing, part.left))
        return b_err_set(err, B_E_SHARE_TYPED, 0, "a component of zeros adds nothing");
    if (c->part_count == CEREMONY_PARTS_MAX)
        return b_err_set(err, B_E_TOO_LARGE, 0, "a key has up to %d components",
                         CEREMONY_PARTS_MAX);
    for (size_t i = 0; i < c->part_count; i++)
        if (b_ct_eq(c->part_kcvs[i], kcv, KCV))
            return b_err_set(err, B_E_SHARE_REPEATED, 0, "component %zu", i + 1);
    return B_OK;
}

CEREMONY_HANDLER(import_part)
{
    struct vaultd_ceremony *c = NULL;
    struct b_rd part = wire_get_bytes(in);
    struct b_rd kcv = wire_get_bytes(in);
    uint8_t own[KCV];
    if (!wire_in_end(in) || (part.left != 16 && part.left != 24 && part.left != 32) ||
        kcv.left != KCV)
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, true, &c, err);
    if (r == B_OK && !is_kcv(part.p, part.left, kcv.p, own))
        r = b_err_set(err, B_E_SHARE_TYPED, 0, "the component's check value does not fit it");
    if (r == B_OK)
        r = judge_part(c, part, own, err);
    if (r != B_OK)
        return r;
    c->part_n = part.left;
    memcpy(c->part_kcvs[c->part_count], own, KCV);
    for (size_t i = 0; i < c->part_n; i++)
        c->parts[i] ^= part.p[i];
    c->part_count++;
    wire_put_u8(out, (uint8_t)c->part_count);
    return B_OK;
}

/* Two people at least: one who has all of a key has the key. */
static enum b_code check_parts(const struct vaultd_ceremony *c, struct b_err *err)
{
    if (c->part_count < 2)
        return b_err_set(err, B_E_SHARE_FEW, 0, "%zu components, and at least 2 are needed",
                         c->part_count);
    return b_ct_eq(c->parts, nothing, c->part_n)
               ? b_err_set(err, B_E_KEY_UNSAFE, 0, "the components take each other away")
               : B_OK;
}

/* The key that came, 16 bytes of AES: the components' own, or the block's. */
static enum b_code take_key(struct vaultd_ceremony *c, struct b_rd block, const uint8_t **ret,
                            struct b_err *err)
{
    *ret = c->parts;
    if (block.left == 0)
        return c->part_n == KEY ? B_OK
                                : b_err_set(err, B_E_KEY_LENGTH, 0, "a master key has 16 bytes");
    enum b_code r = crypto_keyblock_open(b_rd_from(c->parts, c->part_n), block, &c->block, err);
    *ret = c->block.key;
    if (r == B_OK && (c->block.n != KEY || c->block.header[7] != 'A'))
        r = b_err_set(err, B_E_KEY_LENGTH, 0,
                      "the key block holds %zu bytes of algorithm %c; a master key is AES-128",
                      c->block.n, c->block.header[7]);
    return r;
}

CEREMONY_HANDLER(import_key)
{
    struct vaultd_ceremony *c = NULL;
    struct custody_backup b = {.generation = 0};
    const uint8_t *key = NULL;
    uint8_t wrapped[CUSTODY_WRAPPED];
    uint8_t own[KCV];
    bool is_sound = ceremony_master(in, &b);
    struct b_rd kcv = wire_get_bytes(in);
    struct b_rd block = wire_get_bytes(in);
    if (!wire_in_end(in) || !is_sound || kcv.left != KCV)
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, true, &c, err);
    if (r == B_OK && !ceremony_permits(c, " import ", &b))
        r = ceremony_not_permitted(err);
    if (r != B_OK)
        return r;
    r = check_parts(c, err);
    if (r == B_OK)
        r = take_key(c, block, &key, err);
    if (r == B_OK && !is_kcv(key, KEY, kcv.p, own))
        r = b_err_set(err, B_E_KCV_DIFFERS, 0, "of the key that was given, which has %02X%02X%02X",
                      own[0], own[1], own[2]);
    if (r == B_OK)
        r = ceremony_alone(d, &b, own, err);
    if (r == B_OK) {
        ceremony_kek(d, &c->now, &b, c->kek);
        crypto_key_wrap(c->kek, key, KEY, wrapped);
        b_wipe(c->kek, sizeof(c->kek));
        wire_put_bytes(out, wrapped, sizeof(wrapped));
        wire_put_bytes(out, own, KCV);
    }
    forget_parts(c);
    return r;
}

/* TR-31: usage K0 (a key that protects or derives), AES, mode X (derives keys), exportable under a
 * key block protection key. */
CEREMONY_HANDLER(export_key)
{
    static const char header[] = "D0000K0AX00E0000";
    struct vaultd_ceremony *c = NULL;
    struct custody_backup b = {.generation = 0};
    uint8_t padding[2 * KEY - 2 - KEY];
    char text[CRYPTO_KEYBLOCK_MAX];
    bool is_sound = ceremony_master(in, &b);
    struct b_rd wrapped = wire_get_bytes(in);
    if (!wire_in_end(in) || !is_sound || wrapped.left != CUSTODY_WRAPPED)
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, true, &c, err);
    if (r == B_OK && !ceremony_permits(c, " export ", &b))
        r = ceremony_not_permitted(err);
    if (r != B_OK)
        return r;
    r = check_parts(c, err);
    crypto_random(padding, sizeof(padding));
    ceremony_kek(d, &c->now, &b, c->kek);
    if (r == B_OK && !crypto_key_unwrap(c->kek, wrapped.p, wrapped.left, c->block.key))
        r = b_err_set(err, B_E_BACKUP_BROKEN, 0, "master key %s of generation %u",
                      key_role_name(b.role), b.generation);
    b_wipe(c->kek, sizeof(c->kek));
    c->block.n = KEY;
    memcpy(c->block.header, header, sizeof(header));
    if (r == B_OK)
        r = crypto_keyblock_seal(b_rd_from(c->parts, c->part_n), &c->block,
                                 b_rd_from(padding, sizeof(padding)), text, sizeof(text), err);
    if (r == B_OK)
        wire_put_string(out, text);
    forget_parts(c);
    return r;
}
