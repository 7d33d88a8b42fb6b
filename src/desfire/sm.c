/* Secure messaging: what the three kinds share, and the way to each. */
#include "desfire/sm.h"

#include <string.h>

void df_sm_init(struct df_sm *sm)
{
    sm->kind = DF_SM_NONE;
    sm->auth = DF_AUTH_NONE;
    sm->key_no = 0;
    sm->has_mac = sm->has_enc = false;
}

void df_sm_drop(struct df_sm *sm)
{
    if (sm->kind != DF_SM_NONE)
        b_wipe(sm, sizeof(*sm));
}

struct df_sm_rule df_sm_rule(enum df_cmd cmd, enum df_comm comm)
{
    const struct df_cmd_row *row = df_cmd_row(cmd);
    bool command_is_file = row->command == DF_MODE_FILE || row->command == DF_MODE_FILE_SENT;
    bool command_is_full = row->command == DF_MODE_FULL || row->command == DF_MODE_KEY;
    struct df_sm_rule rule = {
        .ins = row->ins,
        .head = row->head,
        .is_outside = row->command == DF_MODE_NONE,
        .sends_mac = row->command == DF_MODE_FILE_SENT || row->command == DF_MODE_MAC_SENT,
        .answers_data = row->answer == DF_MODE_FILE || row->answer == DF_MODE_FULL,
        .command = command_is_file   ? comm
                   : command_is_full ? DF_COMM_FULL
                                     : DF_COMM_MAC,
        .answer = DF_COMM_MAC,
    };
    if (row->answer == DF_MODE_FULL)
        rule.answer = DF_COMM_FULL;
    else if (row->answer == DF_MODE_FILE)
        rule.answer = comm;
    else if (row->answer == DF_MODE_FILE_MAC && comm == DF_COMM_PLAIN)
        rule.answer = DF_COMM_PLAIN;
    return rule;
}

size_t df_sm_padded(size_t n, size_t block, bool is_marked)
{
    return (n + (is_marked ? 1 : 0) + block - 1) / block * block;
}

uint8_t *df_sm_reserve(struct b_wr *out, size_t n, size_t block, bool is_marked)
{
    size_t padded = df_sm_padded(n, block, is_marked);
    uint8_t *p = b_wr_reserve(out, padded);
    if (p == NULL)
        return NULL;
    memset(p + n, 0, padded - n);
    if (is_marked)
        p[n] = 0x80;
    return p;
}

/* Zeros, less than a block of them; or 80 and zeros, up to a block. */
static bool is_padding(const uint8_t *p, size_t n, size_t block)
{
    if (n > block || (n == block && p[0] != 0x80))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0 && !(i == 0 && p[i] == 0x80))
            return false;
    }
    return true;
}

static bool ends_at(const struct df_sm_sealed *sealed, size_t data_len)
{
    size_t used = data_len + sealed->crc_len;
    return is_padding(sealed->p + used, sealed->n - used, sealed->block) &&
           sealed->has_crc(sealed, data_len);
}

bool df_sm_find_end(const struct df_sm_sealed *sealed, size_t known, size_t *ret_len)
{
    if (sealed->n < sealed->crc_len)
        return false;
    size_t longest = sealed->n - sealed->crc_len;
    size_t shortest = longest > sealed->block ? longest - sealed->block : 0;
    if (known != SIZE_MAX) {
        if (known > longest)
            return false;
        longest = shortest = known;
    }
    for (size_t len = shortest; len <= longest; len++) {
        if (ends_at(sealed, len)) {
            *ret_len = len;
            return true;
        }
    }
    return false;
}

bool df_sm_wrap_command(struct df_sm *sm, const struct df_sm_rule *rule, struct b_rd head,
                        struct b_rd data, struct b_wr *out)
{
    if (!rule->is_outside) {
        if (sm->kind == DF_SM_EV2)
            return df_sm_ev2_wrap_command(sm, rule, head, data, out);
        if (sm->kind == DF_SM_EV1)
            return df_sm_ev1_wrap_command(sm, rule, head, data, out);
        if (sm->kind == DF_SM_D40)
            return df_sm_d40_wrap_command(sm, rule, head, data, out);
    }
    b_wr_bytes(out, head.p, head.left);
    b_wr_bytes(out, data.p, data.left);
    return b_wr_ok(out);
}

bool df_sm_unwrap_command(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t *body,
                          size_t *len, size_t data_len)
{
    if (rule->is_outside || sm->kind == DF_SM_NONE)
        return true;
    if (sm->kind == DF_SM_EV2)
        return df_sm_ev2_unwrap_command(sm, rule, body, len, data_len);
    if (sm->kind == DF_SM_EV1)
        return df_sm_ev1_unwrap_command(sm, rule, body, len, data_len);
    return df_sm_d40_unwrap_command(sm, rule, body, len, data_len);
}

bool df_sm_wrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                       struct b_rd data, struct b_wr *out)
{
    if (!rule->is_outside) {
        if (sm->kind == DF_SM_EV2)
            return df_sm_ev2_wrap_answer(sm, rule, status, data, out);
        if (sm->kind == DF_SM_EV1)
            return df_sm_ev1_wrap_answer(sm, rule, status, data, out);
        if (sm->kind == DF_SM_D40)
            return df_sm_d40_wrap_answer(sm, rule, status, data, out);
    }
    uint8_t *p = b_wr_reserve(out, data.left);
    if (p != NULL && data.left > 0)
        memmove(p, data.p, data.left);
    return b_wr_ok(out);
}

bool df_sm_unwrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                         uint8_t *body, size_t *len, size_t expect_len)
{
    if (rule->is_outside || sm->kind == DF_SM_NONE)
        return true;
    if (sm->kind == DF_SM_EV2)
        return df_sm_ev2_unwrap_answer(sm, rule, status, body, len, expect_len);
    if (sm->kind == DF_SM_EV1)
        return df_sm_ev1_unwrap_answer(sm, rule, status, body, len, expect_len);
    return df_sm_d40_unwrap_answer(sm, rule, status, body, len, expect_len);
}
