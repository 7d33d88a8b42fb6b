/*
 * The cryptogram of ChangeKey (C4) and ChangeKeyEV2 (C6). X is the new key, or, when the key that
 * is changed is not the session's, the new key xor the old one; then a CRC over the new key proves
 * that the sender knew the old one. V is the version, for AES only: the others have it in the key.
 *
 *   D40  S(X || V || CRC16(X || V) || [CRC16(new)] || 00..)
 *   EV1  E(X || V || CRC32(INS || header || X || V) || [CRC32(new)] || 00..)
 *   EV2  E(X || V || [CRC32(new)] || 80 00..) and MACt, as every FULL command
 *
 * AN12757 tables 93-96, AN12196 tables 25-26, AN0945 page 76, and a real card's session.
 */
#include <string.h>

#include "desfire/sm.h"

enum { PLAIN_MAX = 48 };
static_assert(DF_KEY_BYTES_MAX + 1 + 4 + 4 + 8 <= PLAIN_MAX, "the longest cryptogram");

static uint8_t version_in(const uint8_t *bytes)
{
    uint8_t version = 0;
    for (size_t i = 0; i < 8; i++)
        version = (uint8_t)(version << 1 | (bytes[i] & 1));
    return version;
}

static void write_crc(struct b_wr *w, enum df_sm_kind kind, const struct df_sm_key_change *change,
                      const uint8_t *p, size_t n)
{
    if (kind == DF_SM_D40) {
        b_wr_le16(w, crypto_crc16(CRYPTO_CRC16_START, p, n));
        return;
    }
    uint32_t crc = CRYPTO_CRC32_START;
    if (change != NULL) {
        crc = crypto_crc32(crc, &change->ins, 1);
        crc = crypto_crc32(crc, change->head, change->head_len);
    }
    b_wr_le32(w, crypto_crc32(crc, p, n));
}

/* What follows the (xored) key: version and CRCs. Both sides write it; the card compares. */
static void write_tail(struct b_wr *w, const struct df_sm *sm,
                       const struct df_sm_key_change *change, const struct df_key *new_key)
{
    size_t start = w->len - df_key_size(new_key->type);
    if (new_key->type == DF_KEY_AES)
        b_wr_u8(w, new_key->version);
    if (sm->kind != DF_SM_EV2)
        write_crc(w, sm->kind, change, w->p + start, w->len - start);
    if (change->old != NULL)
        write_crc(w, sm->kind, NULL, new_key->bytes, df_key_size(new_key->type));
}

static void xor_old(uint8_t *p, size_t n, const struct df_key *old)
{
    size_t size = old != NULL ? df_key_size(old->type) : 0;
    for (size_t i = 0; i < n && i < size; i++)
        p[i] ^= old->bytes[i];
}

static struct df_sm_rule rule_of(const struct df_sm_key_change *change)
{
    return (struct df_sm_rule){.ins = change->ins,
                               .head = change->head_len,
                               .command = DF_COMM_FULL,
                               .answer = DF_COMM_MAC};
}

bool df_sm_wrap_key(struct df_sm *sm, const struct df_sm_key_change *change,
                    const struct df_key *new_key, struct b_wr *out)
{
    if (sm->kind == DF_SM_NONE)
        return false;
    uint8_t plain[PLAIN_MAX];
    struct b_wr w = b_wr_from(plain, sizeof(plain));
    b_wr_bytes(&w, new_key->bytes, df_key_size(new_key->type));
    xor_old(plain, w.len, change->old);
    write_tail(&w, sm, change, new_key);
    struct b_rd head = b_rd_from(change->head, change->head_len);
    bool is_good = false;
    if (sm->kind == DF_SM_EV2) {
        struct df_sm_rule rule = rule_of(change);
        is_good = df_sm_wrap_command(sm, &rule, head, b_wr_reader(&w), out);
    } else {
        size_t n = df_sm_padded(w.len, sm->block, false);
        b_wr_fill(&w, 0, n - w.len);
        if (sm->kind == DF_SM_D40)
            df_sm_d40_send(&sm->mac, plain, n);
        else
            crypto_cbc_encrypt(&sm->mac, sm->iv, plain, plain, n);
        b_wr_bytes(out, head.p, head.left);
        b_wr_bytes(out, plain, n);
        is_good = b_wr_ok(&w) && b_wr_ok(out);
    }
    b_wipe(plain, sizeof(plain));
    return is_good;
}

/* The deciphered parameters after the header, padding still on for D40 and EV1. */
static bool decipher(struct df_sm *sm, const struct df_sm_key_change *change, uint8_t *body,
                     size_t *len)
{
    if (sm->kind == DF_SM_EV2) {
        struct df_sm_rule rule = rule_of(change);
        if (!df_sm_unwrap_command(sm, &rule, body, len, SIZE_MAX) || *len < change->head_len)
            return false;
        *len -= change->head_len;
        return true;
    }
    if (*len <= change->head_len || (*len - change->head_len) % sm->block != 0)
        return false;
    uint8_t *p = body + change->head_len;
    *len -= change->head_len;
    if (sm->kind == DF_SM_D40)
        df_sm_d40_receive(&sm->mac, p, *len);
    else
        crypto_cbc_decrypt(&sm->mac, sm->iv, p, p, *len);
    return true;
}

bool df_sm_unwrap_key(struct df_sm *sm, const struct df_sm_key_change *change,
                      enum df_key_type type, uint8_t *body, size_t len, struct df_key *ret_key)
{
    if (sm->kind == DF_SM_NONE || !decipher(sm, change, body, &len))
        return false;
    const uint8_t *p = body + change->head_len;
    size_t size = df_key_size(type);
    if (len < size + (type == DF_KEY_AES ? 1 : 0))
        return false;
    struct df_key got = {.type = type};
    memcpy(got.bytes, p, size);
    xor_old(got.bytes, size, change->old);
    got.version = type == DF_KEY_AES ? p[size] : version_in(got.bytes);
    /* Built again from what was read, the whole must be what came. */
    uint8_t want[PLAIN_MAX];
    struct b_wr w = b_wr_from(want, sizeof(want));
    b_wr_bytes(&w, p, size);
    write_tail(&w, sm, change, &got);
    if (sm->kind != DF_SM_EV2)
        b_wr_fill(&w, 0, df_sm_padded(w.len, sm->block, false) - w.len);
    bool is_good = b_wr_ok(&w) && w.len == len && b_ct_eq(want, p, len);
    if (is_good)
        *ret_key = got;
    b_wipe(want, sizeof(want));
    b_wipe(&got, sizeof(got));
    return is_good;
}
