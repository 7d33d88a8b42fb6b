/*
 * EV1 secure messaging (0x1A, 0xAA): one CBC chain through the whole session. Every CMAC starts
 * from the IV and becomes it; every ciphertext leaves its last block as the IV.
 *
 *   command  CMAC(INS || parameters) is always computed; its first 8 bytes are sent only by
 *            commands with data in MAC mode
 *   FULL     header || E(data || CRC32(INS || header || data) || 00..), no CMAC
 *   answer   data || CMAC[8](data || status)
 *   FULL     E(data || CRC32(data || status) || 00..); 80 00.. when the reader did not ask for a
 *            length
 *
 * AN12757 tables 20-28, AN0945, and a recorded session of a real card.
 */
#include <string.h>

#include "desfire/sm.h"

enum { MAC_LEN = 8, CRC_LEN = 4 };

/* CMAC over up to three pieces, from the IV and into it. */
static void chain_mac(struct df_sm *sm, struct b_rd first, struct b_rd second, struct b_rd third)
{
    struct crypto_cmac c;
    crypto_cmac_begin(&c, &sm->mac, sm->iv);
    crypto_cmac_update(&c, first.p, first.left);
    crypto_cmac_update(&c, second.p, second.left);
    crypto_cmac_update(&c, third.p, third.left);
    crypto_cmac_final(&c, sm->iv);
}

static void put_crc(uint8_t *p, uint32_t crc)
{
    for (size_t i = 0; i < CRC_LEN; i++)
        p[i] = (uint8_t)(crc >> (8 * i));
}

static bool is_crc(const uint8_t *p, uint32_t crc)
{
    uint8_t want[CRC_LEN];
    put_crc(want, crc);
    return b_ct_eq(want, p, CRC_LEN);
}

static uint32_t command_crc(uint8_t ins, struct b_rd head, const uint8_t *data, size_t n)
{
    uint32_t crc = crypto_crc32(CRYPTO_CRC32_START, &ins, 1);
    crc = crypto_crc32(crc, head.p, head.left);
    return crypto_crc32(crc, data, n);
}

static uint32_t answer_crc(uint8_t status, const uint8_t *data, size_t n)
{
    return crypto_crc32(crypto_crc32(CRYPTO_CRC32_START, data, n), &status, 1);
}

static bool has_command_crc(const struct df_sm_sealed *sealed, size_t n)
{
    return is_crc(sealed->p + n, command_crc(sealed->rule->ins, sealed->head, sealed->p, n));
}

static bool has_answer_crc(const struct df_sm_sealed *sealed, size_t n)
{
    return is_crc(sealed->p + n, answer_crc(sealed->status, sealed->p, n));
}

bool df_sm_ev1_wrap_command(struct df_sm *sm, const struct df_sm_rule *rule, struct b_rd head,
                            struct b_rd data, struct b_wr *out)
{
    b_wr_bytes(out, head.p, head.left);
    if (rule->command == DF_COMM_FULL && data.left > 0) {
        uint8_t *p = df_sm_reserve(out, data.left + CRC_LEN, sm->block, rule->is_open);
        if (p == NULL)
            return false;
        memcpy(p, data.p, data.left);
        put_crc(p + data.left, command_crc(rule->ins, head, p, data.left));
        crypto_cbc_encrypt(&sm->mac, sm->iv, p, p,
                           df_sm_padded(data.left + CRC_LEN, sm->block, rule->is_open));
        return true;
    }
    b_wr_bytes(out, data.p, data.left);
    chain_mac(sm, b_rd_from(&rule->ins, 1), head, data);
    if (rule->command == DF_COMM_MAC && rule->sends_mac)
        b_wr_bytes(out, sm->iv, MAC_LEN);
    return b_wr_ok(out);
}

bool df_sm_ev1_unwrap_command(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t *body,
                              size_t *len, size_t data_len)
{
    if (rule->command == DF_COMM_FULL && *len > rule->head) {
        struct df_sm_sealed sealed = {.p = body + rule->head,
                                      .n = *len - rule->head,
                                      .block = sm->block,
                                      .crc_len = CRC_LEN,
                                      .has_crc = has_command_crc,
                                      .rule = rule,
                                      .head = b_rd_from(body, rule->head)};
        if (sealed.n % sm->block != 0)
            return false;
        crypto_cbc_decrypt(&sm->mac, sm->iv, sealed.p, body + rule->head, sealed.n);
        size_t n = 0;
        if (!df_sm_find_end(&sealed, data_len, &n))
            return false;
        *len = rule->head + n;
        return true;
    }
    bool is_sent = rule->command == DF_COMM_MAC && rule->sends_mac;
    size_t mac_len = is_sent ? MAC_LEN : 0;
    if (*len < mac_len)
        return false;
    struct b_rd none = b_rd_from(NULL, 0);
    chain_mac(sm, b_rd_from(&rule->ins, 1), b_rd_from(body, *len - mac_len), none);
    if (is_sent && !b_ct_eq(sm->iv, body + *len - mac_len, mac_len))
        return false;
    *len -= mac_len;
    return true;
}

bool df_sm_ev1_wrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                           struct b_rd data, struct b_wr *out)
{
    if (rule->answer == DF_COMM_FULL && data.left > 0) {
        uint8_t *p = df_sm_reserve(out, data.left + CRC_LEN, sm->block, rule->is_open);
        if (p == NULL)
            return false;
        memmove(p, data.p, data.left);
        put_crc(p + data.left, answer_crc(status, p, data.left));
        crypto_cbc_encrypt(&sm->mac, sm->iv, p, p,
                           df_sm_padded(data.left + CRC_LEN, sm->block, rule->is_open));
        return true;
    }
    uint8_t *p = b_wr_reserve(out, data.left + MAC_LEN);
    if (p == NULL)
        return false;
    if (data.left > 0)
        memmove(p, data.p, data.left);
    struct b_rd none = b_rd_from(NULL, 0);
    chain_mac(sm, b_rd_from(p, data.left), b_rd_from(&status, 1), none);
    memcpy(p + data.left, sm->iv, MAC_LEN);
    return true;
}

bool df_sm_ev1_unwrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                             uint8_t *body, size_t *len, size_t expect_len)
{
    if (rule->answer == DF_COMM_FULL) {
        struct df_sm_sealed sealed = {.p = body,
                                      .n = *len,
                                      .block = sm->block,
                                      .crc_len = CRC_LEN,
                                      .has_crc = has_answer_crc,
                                      .status = status};
        if (*len == 0 || *len % sm->block != 0)
            return false;
        crypto_cbc_decrypt(&sm->mac, sm->iv, body, body, *len);
        return df_sm_find_end(&sealed, expect_len, len);
    }
    if (*len < MAC_LEN)
        return false;
    size_t n = *len - MAC_LEN;
    struct b_rd none = b_rd_from(NULL, 0);
    chain_mac(sm, b_rd_from(body, n), b_rd_from(&status, 1), none);
    if (!b_ct_eq(sm->iv, body + n, MAC_LEN))
        return false;
    *len = n;
    return true;
}
