/*
 * EV2 secure messaging (0x71, 0x77), AES only. Two session keys, a transaction identifier and a
 * counter of commands; nothing is chained from one message to the next.
 *
 *   command  header || data            || MACt(INS    || counter     || TI || header || data)
 *   FULL     header || E(data || 80..) || MACt(INS    || counter     || TI || header || E(..))
 *   answer   data                      || MACt(status || counter + 1 || TI || data)
 *   FULL     E(data || 80..)           || MACt(status || counter + 1 || TI || E(..))
 *
 * MACt is every second byte of the CMAC. IV of a command is AES(ENC, A55A || TI || counter || 0..),
 * of an answer AES(ENC, 5AA5 || TI || counter + 1 || 0..). Plain messages carry nothing but count.
 * AN12343 §3, AN12196 tables 7-28.
 */
#include <string.h>

#include "desfire/sm.h"

enum { BLOCK = 16, MAC_LEN = 8 };

static void message_mac(struct df_sm *sm, uint8_t code, struct b_rd head, struct b_rd body,
                        uint8_t mac[static MAC_LEN])
{
    struct crypto_cmac c;
    uint8_t full[BLOCK];
    uint8_t start[7] = {code,
                        (uint8_t)sm->counter,
                        (uint8_t)(sm->counter >> 8),
                        sm->ti[0],
                        sm->ti[1],
                        sm->ti[2],
                        sm->ti[3]};
    if (!sm->has_mac) {
        crypto_key_init(&sm->mac, CRYPTO_AES128, sm->mac_bytes);
        sm->has_mac = true;
    }
    crypto_cmac_begin(&c, &sm->mac, NULL);
    crypto_cmac_update(&c, start, sizeof(start));
    crypto_cmac_update(&c, head.p, head.left);
    crypto_cmac_update(&c, body.p, body.left);
    crypto_cmac_final(&c, full);
    for (size_t i = 0; i < MAC_LEN; i++)
        mac[i] = full[2 * i + 1];
}

static void make_iv(struct df_sm *sm, uint8_t label0, uint8_t label1, uint8_t iv[static BLOCK])
{
    if (!sm->has_enc) {
        crypto_key_init(&sm->enc, CRYPTO_AES128, sm->enc_bytes);
        sm->has_enc = true;
    }
    memset(iv, 0, BLOCK);
    iv[0] = label0;
    iv[1] = label1;
    memcpy(iv + 2, sm->ti, sizeof(sm->ti));
    iv[6] = (uint8_t)sm->counter;
    iv[7] = (uint8_t)(sm->counter >> 8);
    crypto_encrypt_block(&sm->enc, iv, iv);
}

/* data || 80 00.., still in clear; NULL when there is no room. */
static uint8_t *add_padded(struct b_rd data, struct b_wr *out, size_t *ret_len)
{
    uint8_t *p = df_sm_reserve(out, data.left, BLOCK, true);
    if (p == NULL)
        return NULL;
    *ret_len = df_sm_padded(data.left, BLOCK, true);
    memmove(p, data.p, data.left);
    return p;
}

/* Length without 80 00..; false when there is no such padding. */
static bool strip_padding(const uint8_t *p, size_t *len)
{
    size_t n = *len;
    while (n > 0 && p[n - 1] == 0)
        n--;
    if (n == 0 || p[n - 1] != 0x80 || *len - n >= BLOCK)
        return false;
    *len = n - 1;
    return true;
}

bool df_sm_ev2_wrap_command(struct df_sm *sm, const struct df_sm_rule *rule, struct b_rd head,
                            struct b_rd data, struct b_wr *out)
{
    if (sm->counter == UINT16_MAX)
        return false;
    b_wr_bytes(out, head.p, head.left);
    struct b_rd body = data;
    if (rule->command == DF_COMM_FULL && data.left > 0) {
        size_t n = 0;
        uint8_t iv[BLOCK];
        uint8_t *p = add_padded(data, out, &n);
        if (p == NULL)
            return false;
        make_iv(sm, 0xA5, 0x5A, iv);
        crypto_cbc_encrypt(&sm->enc, iv, p, p, n);
        body = b_rd_from(p, n);
    } else {
        b_wr_bytes(out, data.p, data.left);
    }
    if (rule->command == DF_COMM_PLAIN)
        return b_wr_ok(out);
    uint8_t mac[MAC_LEN];
    message_mac(sm, rule->ins, head, body, mac);
    b_wr_bytes(out, mac, MAC_LEN);
    return b_wr_ok(out);
}

bool df_sm_ev2_unwrap_command(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t *body,
                              size_t *len, size_t data_len)
{
    if (sm->counter == UINT16_MAX)
        return false;
    if (rule->command == DF_COMM_PLAIN)
        return true;
    if (*len < MAC_LEN)
        return false;
    uint8_t mac[MAC_LEN];
    size_t n = *len - MAC_LEN;
    message_mac(sm, rule->ins, b_rd_from(body, n), b_rd_from(NULL, 0), mac);
    if (!b_ct_eq(mac, body + n, MAC_LEN))
        return false;
    if (rule->command == DF_COMM_FULL && n > rule->head) {
        uint8_t iv[BLOCK];
        uint8_t *p = body + rule->head;
        size_t plain = n - rule->head;
        if (plain % BLOCK != 0)
            return false;
        make_iv(sm, 0xA5, 0x5A, iv);
        crypto_cbc_decrypt(&sm->enc, iv, p, p, plain);
        if (!strip_padding(p, &plain) || (data_len != SIZE_MAX && plain != data_len))
            return false;
        n = rule->head + plain;
    }
    *len = n;
    return true;
}

bool df_sm_ev2_wrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                           struct b_rd data, struct b_wr *out)
{
    sm->counter++;
    size_t n = data.left;
    uint8_t *p = NULL;
    if (rule->answer == DF_COMM_FULL && n > 0) {
        uint8_t iv[BLOCK];
        p = add_padded(data, out, &n);
        if (p == NULL)
            return false;
        make_iv(sm, 0x5A, 0xA5, iv);
        crypto_cbc_encrypt(&sm->enc, iv, p, p, n);
    } else {
        p = b_wr_reserve(out, n);
        if (p != NULL && n > 0)
            memmove(p, data.p, n);
    }
    if (rule->answer == DF_COMM_PLAIN)
        return b_wr_ok(out);
    uint8_t mac[MAC_LEN];
    message_mac(sm, status, b_rd_from(p, p != NULL ? n : 0), b_rd_from(NULL, 0), mac);
    b_wr_bytes(out, mac, MAC_LEN);
    return b_wr_ok(out);
}

bool df_sm_ev2_unwrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                             uint8_t *body, size_t *len, size_t expect_len)
{
    sm->counter++;
    if (rule->answer == DF_COMM_PLAIN)
        return true;
    if (*len < MAC_LEN)
        return false;
    uint8_t mac[MAC_LEN];
    size_t n = *len - MAC_LEN;
    message_mac(sm, status, b_rd_from(body, n), b_rd_from(NULL, 0), mac);
    if (!b_ct_eq(mac, body + n, MAC_LEN))
        return false;
    if (rule->answer == DF_COMM_FULL && n > 0) {
        uint8_t iv[BLOCK];
        if (n % BLOCK != 0)
            return false;
        make_iv(sm, 0x5A, 0xA5, iv);
        crypto_cbc_decrypt(&sm->enc, iv, body, body, n);
        if (!strip_padding(body, &n) || (expect_len != SIZE_MAX && n != expect_len))
            return false;
    }
    *len = n;
    return true;
}

void df_sm_ev2_vector(uint8_t sv[static 32], uint8_t label0, uint8_t label1,
                      const uint8_t a[static 16], const uint8_t b[static 16])
{
    const uint8_t start[6] = {label0, label1, 0x00, 0x01, 0x00, 0x80};
    memcpy(sv, start, sizeof(start));
    memcpy(sv + 6, a, 2);
    for (size_t i = 0; i < 6; i++)
        sv[8 + i] = a[2 + i] ^ b[i];
    memcpy(sv + 14, b + 6, 10);
    memcpy(sv + 24, a + 8, 8);
}

void df_sm_tmac_keys(const struct crypto_key *key, uint32_t counter, const uint8_t uid[static 7],
                     uint8_t mac[static 16], uint8_t enc[static 16])
{
    for (size_t i = 0; i < 2; i++) {
        uint8_t label = i == 0 ? 0x5A : 0xA5;
        uint32_t next = counter + 1;
        uint8_t sv[16] = {label, 0, 1, 0, 0x80};
        for (size_t j = 0; j < 4; j++)
            sv[5 + j] = (uint8_t)(next >> (8 * j));
        memcpy(sv + 9, uid, 7);
        struct crypto_cmac c;
        crypto_cmac_begin(&c, key, NULL);
        crypto_cmac_update(&c, sv, sizeof(sv));
        crypto_cmac_final(&c, i == 0 ? mac : enc);
    }
}
