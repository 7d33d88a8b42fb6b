/*
 * Legacy secure messaging (0x0A). Every message starts with IV 0 and only file data, card UID and
 * enciphered parameters are protected. The card only ever enciphers, so the host deciphers in both
 * directions. MAC: first 4 bytes of the last block of a CBC over the zero-padded data.
 *
 *   MAC   header || data || MAC[4]                  (commands with data, file data in answers)
 *   FULL  header || S(data || CRC16(data) || 00..)  S: send mode from the host, CBC from the card
 *
 * AN12757 tables 30-34; CRC16 is CRC_A of ISO/IEC 14443-3.
 */
#include <string.h>

#include "desfire/sm.h"

enum { BLOCK = 8, MAC_LEN = 4, CRC_LEN = 2 };

void df_sm_d40_send(const struct crypto_key *key, uint8_t *p, size_t n)
{
    const uint8_t *before = NULL;
    for (size_t at = 0; at < n; at += BLOCK) {
        for (size_t i = 0; before != NULL && i < BLOCK; i++)
            p[at + i] ^= before[i];
        crypto_decrypt_block(key, p + at, p + at);
        before = p + at;
    }
}

void df_sm_d40_receive(const struct crypto_key *key, uint8_t *p, size_t n)
{
    for (size_t at = n; at >= BLOCK; at -= BLOCK) {
        uint8_t *block = p + at - BLOCK;
        crypto_encrypt_block(key, block, block);
        for (size_t i = 0; at > BLOCK && i < BLOCK; i++)
            block[i] ^= p[at - 2 * BLOCK + i];
    }
}

static void data_mac(const struct crypto_key *key, const uint8_t *p, size_t n, uint8_t *mac)
{
    uint8_t chain[BLOCK] = {0};
    for (size_t at = 0; at < n; at += BLOCK) {
        uint8_t block[BLOCK] = {0};
        memcpy(block, p + at, n - at < BLOCK ? n - at : BLOCK);
        crypto_cbc_encrypt(key, chain, block, block, BLOCK);
    }
    memcpy(mac, chain, MAC_LEN);
}

/* data and its MAC, appended. */
static bool add_maced(const struct df_sm *sm, struct b_rd data, struct b_wr *out)
{
    uint8_t *p = b_wr_reserve(out, data.left + MAC_LEN);
    if (p == NULL)
        return false;
    memmove(p, data.p, data.left);
    data_mac(&sm->mac, p, data.left, p + data.left);
    return true;
}

static bool check_maced(const struct df_sm *sm, const uint8_t *p, size_t *n)
{
    uint8_t mac[MAC_LEN];
    if (*n < MAC_LEN)
        return false;
    data_mac(&sm->mac, p, *n - MAC_LEN, mac);
    if (!b_ct_eq(mac, p + *n - MAC_LEN, MAC_LEN))
        return false;
    *n -= MAC_LEN;
    return true;
}

/* Data, CRC and padding, still in clear; NULL when there is no room. */
static uint8_t *add_sealed(struct b_rd data, bool is_marked, struct b_wr *out, size_t *ret_len)
{
    uint8_t *p = df_sm_reserve(out, data.left + CRC_LEN, BLOCK, is_marked);
    if (p == NULL)
        return NULL;
    memmove(p, data.p, data.left);
    uint16_t crc = crypto_crc16(CRYPTO_CRC16_START, p, data.left);
    p[data.left] = (uint8_t)crc;
    p[data.left + 1] = (uint8_t)(crc >> 8);
    *ret_len = df_sm_padded(data.left + CRC_LEN, BLOCK, is_marked);
    return p;
}

static bool has_crc(const struct df_sm_sealed *sealed, size_t n)
{
    uint16_t crc = crypto_crc16(CRYPTO_CRC16_START, sealed->p, n);
    return sealed->p[n] == (uint8_t)crc && sealed->p[n + 1] == (uint8_t)(crc >> 8);
}

static bool find_data(const uint8_t *p, size_t n, size_t known, size_t *ret_len)
{
    struct df_sm_sealed sealed = {
        .p = p, .n = n, .block = BLOCK, .crc_len = CRC_LEN, .has_crc = has_crc};
    return df_sm_find_end(&sealed, known, ret_len);
}

bool df_sm_d40_wrap_command(struct df_sm *sm, const struct df_sm_rule *rule, struct b_rd head,
                            struct b_rd data, struct b_wr *out)
{
    b_wr_bytes(out, head.p, head.left);
    if (data.left == 0)
        return b_wr_ok(out);
    if (rule->command == DF_COMM_MAC && rule->sends_mac)
        return add_maced(sm, data, out);
    if (rule->command != DF_COMM_FULL) {
        b_wr_bytes(out, data.p, data.left);
        return b_wr_ok(out);
    }
    size_t n = 0;
    uint8_t *p = add_sealed(data, rule->is_open, out, &n);
    if (p == NULL)
        return false;
    df_sm_d40_send(&sm->mac, p, n);
    return true;
}

bool df_sm_d40_unwrap_command(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t *body,
                              size_t *len, size_t data_len)
{
    if (*len <= rule->head)
        return true;
    uint8_t *p = body + rule->head;
    size_t n = *len - rule->head;
    if (rule->command == DF_COMM_MAC && rule->sends_mac) {
        if (!check_maced(sm, p, &n))
            return false;
    } else if (rule->command == DF_COMM_FULL) {
        if (n % BLOCK != 0)
            return false;
        df_sm_d40_receive(&sm->mac, p, n);
        if (!find_data(p, n, data_len, &n))
            return false;
    }
    *len = rule->head + n;
    return true;
}

bool df_sm_d40_wrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                           struct b_rd data, struct b_wr *out)
{
    (void)status; /* not covered in the legacy mode */
    if (rule->answers_data && data.left > 0 && rule->answer == DF_COMM_MAC)
        return add_maced(sm, data, out);
    if (rule->answers_data && data.left > 0 && rule->answer == DF_COMM_FULL) {
        size_t n = 0;
        uint8_t iv[BLOCK] = {0};
        uint8_t *p = add_sealed(data, rule->is_open, out, &n);
        if (p == NULL)
            return false;
        crypto_cbc_encrypt(&sm->mac, iv, p, p, n);
        return true;
    }
    uint8_t *p = b_wr_reserve(out, data.left);
    if (p != NULL && data.left > 0)
        memmove(p, data.p, data.left);
    return b_wr_ok(out);
}

bool df_sm_d40_unwrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                             uint8_t *body, size_t *len, size_t expect_len)
{
    (void)status;
    if (!rule->answers_data)
        return true;
    if (rule->answer == DF_COMM_MAC)
        return check_maced(sm, body, len);
    if (rule->answer != DF_COMM_FULL)
        return true;
    uint8_t iv[BLOCK] = {0};
    if (*len == 0 || *len % BLOCK != 0)
        return false;
    crypto_cbc_decrypt(&sm->mac, iv, body, body, *len);
    return find_data(body, *len, expect_len, len);
}
