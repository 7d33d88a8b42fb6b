/*
 * Masters from elsewhere, and for elsewhere, and keys of other systems: as XOR components that
 * several people type, or as a key block (TR-31) under a key that is given in components. Each
 * component comes with its check value: the first three bytes of CMAC over a block of zeros, or of
 * the block enciphered, as other programs compute it; AES or TDEA by its length.
 */
#include <stdio.h>
#include <string.h>

#include "crypto/wrap.h"
#include "vault/ceremony_state.h"
#include "vault/given.h"

enum { KCV = CEREMONY_PART_KCV, KEY = 16, DES = 8 };

/* mac: AES alone has it. */
struct check_values {
    bool has_mac;
    uint8_t mac[KCV], enciphered[CRYPTO_BLOCK_MAX];
};

static struct check_values check_values(enum crypto_cipher cipher, const uint8_t *key)
{
    static const uint8_t zeros[CRYPTO_BLOCK_MAX];
    struct check_values ret = {.has_mac = crypto_block_size(cipher) == CRYPTO_BLOCK_MAX};
    struct crypto_key k;
    crypto_key_init(&k, cipher, key);
    if (ret.has_mac)
        crypto_kcv(&k, ret.mac);
    crypto_encrypt_block(&k, zeros, ret.enciphered);
    crypto_key_drop(&k);
    return ret;
}

static bool is_kcv(enum crypto_cipher cipher, const uint8_t *key, const uint8_t kcv[static KCV])
{
    const struct check_values v = check_values(cipher, key);
    return (v.has_mac && b_ct_eq(v.mac, kcv, KCV)) || b_ct_eq(v.enciphered, kcv, KCV);
}

/* A component is checked before it is said what the key is: as a key of each cipher that has its
 * length. DES goes through TDEA with equal halves. */
static bool is_kcv_of_part(struct b_rd part, const uint8_t kcv[static KCV])
{
    static const struct {
        size_t n;
        enum crypto_cipher cipher;
    } ciphers[] = {{DES, CRYPTO_TDEA2}, {16, CRYPTO_AES128}, {16, CRYPTO_TDEA2},
                   {24, CRYPTO_AES192}, {24, CRYPTO_TDEA3},  {32, CRYPTO_AES256}};
    uint8_t key[CRYPTO_KEY_MAX];
    bool is = false;
    memcpy(key, part.p, part.left);
    if (part.left == DES)
        memcpy(key + DES, part.p, DES);
    for (size_t i = 0; i < B_COUNT(ciphers); i++)
        is = is || (ciphers[i].n == part.left && is_kcv(ciphers[i].cipher, key, kcv));
    b_wipe(key, sizeof(key));
    return is;
}

/* Two values by which a component is known again, whichever came with it: as a key of AES and,
 * since parity bits are none of a DES key, of TDEA; where a length is of one cipher alone, twice
 * that. */
static void recognise_part(struct b_rd part, uint8_t ret[static CEREMONY_PART_SEEN])
{
    uint8_t key[CRYPTO_KEY_MAX];
    size_t n = part.left == DES ? 2 * DES : part.left;
    memcpy(key, part.p, part.left);
    if (part.left == DES)
        memcpy(key + DES, part.p, DES);
    const struct check_values aes = check_values(n == 16   ? CRYPTO_AES128
                                                 : n == 24 ? CRYPTO_AES192
                                                           : CRYPTO_AES256,
                                                 key);
    memcpy(ret, aes.mac, KCV);
    memcpy(ret + KCV, aes.mac, KCV);
    if (n != 32) {
        const struct check_values tdea = check_values(n == 16 ? CRYPTO_TDEA2 : CRYPTO_TDEA3, key);
        memcpy(ret + KCV, tdea.enciphered, KCV);
    }
    if (part.left == DES)
        memcpy(ret, ret + KCV, KCV);
    b_wipe(key, sizeof(key));
}

static bool is_seen(const uint8_t *a, const uint8_t *b)
{
    return b_ct_eq(a, b, KCV) || b_ct_eq(a + KCV, b + KCV, KCV);
}

/* But for what would be parity bits, of which a DES key has no use. */
static bool is_nothing(const uint8_t *p, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= p[i] & 0xFEu;
    return any == 0;
}

static void forget_parts(struct vaultd_ceremony *c)
{
    b_wipe(c->parts, sizeof(c->parts));
    b_wipe(&c->block, sizeof(c->block));
    b_wipe(&c->other, sizeof(c->other));
    c->part_n = c->part_count = 0;
}

/* One of zeros adds nothing, and one that is given twice takes itself away: what is left would be
 * known to one person. */
static enum b_code judge_part(const struct vaultd_ceremony *c, struct b_rd part,
                              const uint8_t seen[static CEREMONY_PART_SEEN], struct b_err *err)
{
    if (c->part_count > 0 && c->part_n != part.left)
        return b_err_set(err, B_E_KEY_LENGTH, 0,
                         "a component of %zu bytes, and those before of %zu", part.left, c->part_n);
    if (is_nothing(part.p, part.left))
        return b_err_set(err, B_E_SHARE_TYPED, 0, "a component of zeros adds nothing");
    if (c->part_count == CEREMONY_PARTS_MAX)
        return b_err_set(err, B_E_TOO_LARGE, 0, "a key has up to %d components",
                         CEREMONY_PARTS_MAX);
    for (size_t i = 0; i < c->part_count; i++)
        if (is_seen(c->part_seen[i], seen))
            return b_err_set(err, B_E_SHARE_REPEATED, 0, "component %zu", i + 1);
    return B_OK;
}

CEREMONY_HANDLER(import_part)
{
    struct vaultd_ceremony *c = NULL;
    struct b_rd part = wire_get_bytes(in);
    struct b_rd kcv = wire_get_bytes(in);
    uint8_t seen[CEREMONY_PART_SEEN];
    if (!wire_in_end(in) || kcv.left != KCV ||
        (part.left != DES && part.left != 16 && part.left != 24 && part.left != 32))
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, true, &c, err);
    if (r == B_OK && !is_kcv_of_part(part, kcv.p))
        r = b_err_set(err, B_E_SHARE_TYPED, 0, "the component's check value does not fit it");
    if (r == B_OK) {
        recognise_part(part, seen);
        r = judge_part(c, part, seen, err);
    }
    if (r != B_OK)
        return r;
    c->part_n = part.left;
    memcpy(c->part_seen[c->part_count], seen, sizeof(seen));
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
    return is_nothing(c->parts, c->part_n)
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
    uint8_t wrapped[CUSTODY_WRAPPED], own[KCV];
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
    if (r == B_OK)
        memcpy(own, check_values(CRYPTO_AES128, key).mac, KCV);
    if (r == B_OK && !is_kcv(CRYPTO_AES128, key, kcv.p))
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

/* --- keys of other systems ---------------------------------------------------------------------
 */

static const struct given_type {
    enum df_key_type type;
    enum crypto_cipher cipher;
    char algorithm; /* of a key block */
} given_types[] = {{DF_KEY_2K3DES, CRYPTO_TDEA2, 'T'},
                   {DF_KEY_3K3DES, CRYPTO_TDEA3, 'T'},
                   {DF_KEY_AES, CRYPTO_AES128, 'A'}};

static const struct given_type *given_type(uint8_t type)
{
    for (size_t i = 0; i < B_COUNT(given_types); i++)
        if (given_types[i].type == (enum df_key_type)type)
            return &given_types[i];
    return NULL;
}

/* The key that came, into secret memory: the components' own, or the block's. A DES key is a 2K3DES
 * key with equal halves. */
static enum b_code take_given(struct vaultd_ceremony *c, struct b_rd block,
                              const struct given_type *t, struct df_key *ret, struct b_err *err)
{
    struct b_rd key = b_rd_from(c->parts, c->part_n);
    char algorithm = t->algorithm;
    if (block.left > 0) {
        enum b_code r = crypto_keyblock_open(key, block, &c->block, err);
        if (r != B_OK)
            return r;
        key = b_rd_from(c->block.key, c->block.n);
        algorithm = c->block.header[7];
        if (algorithm == 'D') /* DES goes through TDEA */
            algorithm = 'T';
    }
    bool is_des = t->type == DF_KEY_2K3DES && key.left == DES;
    if (algorithm != t->algorithm || (!is_des && key.left != df_key_size(t->type)))
        return b_err_set(err, B_E_KEY_LENGTH, 0, "%zu bytes, or an algorithm, of another type",
                         key.left);
    *ret = (struct df_key){.type = t->type};
    memcpy(ret->bytes, key.p, key.left);
    if (is_des)
        memcpy(ret->bytes + DES, key.p, DES);
    return is_nothing(ret->bytes, sizeof(ret->bytes))
               ? b_err_set(err, B_E_KEY_TOO_WEAK, 0, "the components are a key of zeros")
               : B_OK;
}

static enum b_code wrap_given(struct vaultd *d, struct vaultd_ceremony *c,
                              const struct given_type *t, struct b_rd kcv, struct wire_out *out,
                              struct b_err *err)
{
    uint8_t wrapped[VAULT_GIVEN];
    if (kcv.left > 0 && !is_kcv(t->cipher, c->other.bytes, kcv.p))
        return b_err_set(err, B_E_KCV_DIFFERS, 0, "of the key that was given");
    const struct check_values v = check_values(t->cipher, c->other.bytes);
    const uint8_t *own = v.has_mac ? v.mac : v.enciphered;
    enum b_code r = vaultd_given_wrap(d, &c->other, own, wrapped, err);
    if (r != B_OK)
        return r;
    wire_put_bytes(out, wrapped, sizeof(wrapped));
    wire_put_string(out, v.has_mac ? "CMAC-0" : "ECB-0");
    wire_put_bytes(out, own, KCV);
    return B_OK;
}

CEREMONY_HANDLER(give_key)
{
    struct vaultd_ceremony *c = NULL;
    char name[VAULT_GIVEN_NAME];
    char permit[sizeof(c->permit)];
    wire_get_string(in, name, sizeof(name));
    const struct given_type *t = given_type(wire_get_u8(in));
    struct b_rd kcv = wire_get_bytes(in);
    struct b_rd block = wire_get_bytes(in);
    if (!wire_in_end(in) || t == NULL || (kcv.left != 0 && kcv.left != KCV))
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, true, &c, err);
    if (r != B_OK)
        return r;
    (void)snprintf(permit, sizeof(permit), "give %s", name);
    if (c->permit[0] != '\0' && strcmp(c->permit, permit) != 0)
        return ceremony_not_permitted(err);
    r = check_parts(c, err);
    if (r == B_OK)
        r = take_given(c, block, t, &c->other, err);
    if (r == B_OK)
        r = wrap_given(d, c, t, kcv, out, err);
    forget_parts(c);
    return r;
}
