/* Authentication, who may do what, and the proximity check. */
#include <string.h>

#include "desfire/picc_int.h"

bool picc_is_authenticated(const struct df_picc *p)
{
    return df_sm_is_on(&p->sm);
}

bool picc_is_master(const struct df_picc *p)
{
    return picc_is_authenticated(p) && p->sm.key_no == 0;
}

uint8_t picc_need(const struct df_picc *p, enum df_need need)
{
    uint8_t settings = p->app == NULL ? p->mem.settings : p->app->settings;
    bool is_met = true;
    switch (need) {
    case DF_NEED_NONE:
    case DF_NEED_DELETE:     /* depends on which application: picc_delete_application */
    case DF_NEED_CHANGE_KEY: /* depends on the key: picc_change_key */
    case DF_NEED_ROLL:
    case DF_NEED_FILE:
        break;
    case DF_NEED_ANY_KEY:
        is_met = picc_is_authenticated(p);
        break;
    case DF_NEED_MASTER:
        is_met = picc_is_master(p);
        break;
    case DF_NEED_LIST:
        is_met = (settings & 0x02) != 0 || picc_is_master(p);
        break;
    case DF_NEED_CREATE:
        is_met = (settings & 0x04) != 0 || picc_is_master(p);
        break;
    }
    return is_met ? DF_SW_OK : DF_SW_AUTHENTICATION_ERROR;
}

/* Whether the configuration still allows this kind of authentication (option 4 of EV2). */
static bool is_allowed(const struct df_picc *p, enum df_auth how)
{
    if (how == DF_AUTH_D40)
        return (p->mem.messaging & 0x01) == 0;
    if (how == DF_AUTH_ISO || how == DF_AUTH_AES)
        return (p->mem.messaging & 0x02) == 0;
    return true;
}

static enum df_auth auth_of(enum df_cmd cmd)
{
    return cmd == DF_CMD_AUTHENTICATE_D40         ? DF_AUTH_D40
           : cmd == DF_CMD_AUTHENTICATE_ISO       ? DF_AUTH_ISO
           : cmd == DF_CMD_AUTHENTICATE_AES       ? DF_AUTH_AES
           : cmd == DF_CMD_AUTHENTICATE_EV2_FIRST ? DF_AUTH_EV2_FIRST
                                                  : DF_AUTH_EV2_NONFIRST;
}

uint8_t picc_authenticate(struct df_picc *p, enum df_cmd cmd, struct b_rd params, struct b_wr *out)
{
    enum df_auth how = auth_of(cmd);
    uint8_t no = b_rd_u8(&params);
    struct df_key key;
    uint8_t rnd_b[16];
    if (how == DF_AUTH_EV2_FIRST) {
        uint8_t len = b_rd_u8(&params);
        memset(p->caps, 0, sizeof(p->caps));
        if (len != params.left || len > sizeof(p->caps))
            return DF_SW_LENGTH_ERROR;
        b_rd_bytes(&params, p->caps, len);
    }
    if (how == DF_AUTH_EV2_NONFIRST && p->sm.kind != DF_SM_EV2)
        return DF_SW_PERMISSION_DENIED;
    if (!is_allowed(p, how))
        return DF_SW_PERMISSION_DENIED;
    if (!picc_key_at(p, no & 0x3F, &key))
        return DF_SW_NO_SUCH_KEY;
    if (how != DF_AUTH_EV2_NONFIRST)
        df_sm_drop(&p->sm);
    bool can = df_hs_begin(&p->handshake, how, no & 0x3F, &key);
    b_wipe(&key, sizeof(key));
    if (!can)
        return DF_SW_AUTHENTICATION_ERROR;
    p->random.fill(p->random.ctx, rnd_b, p->handshake.size);
    df_hs_challenge(&p->handshake, rnd_b, out);
    b_wipe(rnd_b, sizeof(rnd_b));
    p->chain = PICC_CHAIN_HANDSHAKE;
    return DF_SW_ADDITIONAL_FRAME;
}

uint8_t picc_authenticate_go_on(struct df_picc *p, struct b_rd token, struct b_wr *out)
{
    struct df_hs_caps caps = {0};
    bool is_first = p->handshake.how == DF_AUTH_EV2_FIRST;
    size_t wanted = 2u * p->handshake.size;
    bool is_good = token.left == wanted;
    uint8_t sw = is_good ? DF_SW_AUTHENTICATION_ERROR : DF_SW_LENGTH_ERROR;
    if (is_good && is_first) {
        p->random.fill(p->random.ctx, caps.ti, sizeof(caps.ti));
        memcpy(caps.pcd, p->caps, sizeof(caps.pcd));
    }
    if (is_good)
        is_good = df_hs_accept(&p->handshake, &p->sm, token, is_first ? &caps : NULL, out);
    df_hs_drop(&p->handshake);
    return is_good ? DF_SW_OK : sw;
}

/* --- proximity check (facts of two hosts; no published vector)
 * ------------------------------------- */

/* PreparePC: option 00 (no PPS1), published response time, big endian, in microseconds. */
uint8_t picc_prepare_pc(struct df_picc *p, struct picc_call *call)
{
    static const uint8_t prepared[3] = {0x00, 0x03, 0x20};
    p->pc_step = 1;
    p->pc_len = 0;
    struct b_wr w = b_wr_from(p->pc_transcript, sizeof(p->pc_transcript));
    b_wr_bytes(&w, prepared, sizeof(prepared));
    p->pc_len = (uint8_t)w.len;
    b_wr_bytes(call->out, prepared, sizeof(prepared));
    return DF_SW_OK;
}

/* Rounds of 1 to 8 bytes, 8 in all; the answer's bytes are random. */
uint8_t picc_proximity_check(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    uint8_t n = b_rd_u8(&r);
    uint8_t ours[8];
    if (p->pc_step == 0)
        return DF_SW_PERMISSION_DENIED;
    if (n < 1 || n > 8 || r.left != n || p->pc_step - 1 + n > 8)
        return DF_SW_LENGTH_ERROR;
    p->random.fill(p->random.ctx, ours, n);
    struct b_wr w = b_wr_from(p->pc_transcript, sizeof(p->pc_transcript));
    w.len = p->pc_len;
    b_wr_bytes(&w, ours, n);
    b_wr_bytes(&w, r.p, n);
    p->pc_len = (uint8_t)w.len;
    p->pc_step = (uint8_t)(p->pc_step + n);
    b_wr_bytes(call->out, ours, n);
    return DF_SW_OK;
}

static void proximity_mac(const struct df_picc *p, uint8_t first, uint8_t mac[static 8])
{
    struct df_key key = {.type = DF_KEY_AES};
    memcpy(key.bytes, p->mem.proximity.bytes, 16);
    df_proximity_mac(&key, first, b_rd_from(p->pc_transcript, p->pc_len), mac);
    b_wipe(&key, sizeof(key));
}

uint8_t picc_verify_pc(struct df_picc *p, struct picc_call *call)
{
    uint8_t mac[8];
    struct b_rd r = call->head;
    if (p->pc_step != 9)
        return DF_SW_PERMISSION_DENIED;
    p->pc_step = 0;
    proximity_mac(p, 0xFD, mac);
    if (r.left != sizeof(mac) || !b_ct_eq(mac, r.p, sizeof(mac)))
        return DF_SW_AUTHENTICATION_ERROR;
    proximity_mac(p, 0x90, mac);
    b_wr_bytes(call->out, mac, sizeof(mac));
    return DF_SW_SIGNATURE;
}
