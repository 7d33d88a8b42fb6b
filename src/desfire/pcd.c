/*
 * The reader's side. A command is protected as a whole, cut into frames, sent; the frames of the
 * answer are put together, checked as a whole, and only then given on.
 *
 * The session ends where the card ends it: on every status but those that sw.def marks, with
 * SelectApplication and ISO SELECT, with a change of the session's own key, with RollKeySet, and at
 * the start of another authentication except EV2NonFirst.
 */
#include "desfire/pcd.h"

#include <string.h>

#include "desfire/wire.h"

enum { FRAME_DEFAULT = 59, FRAME_LARGEST = 255 };

void df_pcd_init(struct df_pcd *pcd, struct df_random random)
{
    pcd->random = random;
    pcd->request = NULL;
    pcd->answer = b_wr_from(NULL, 0);
    pcd->phase = DF_PCD_IDLE;
    pcd->status = DF_SW_OK;
    pcd->selected = 0;
    pcd->max_frame = FRAME_DEFAULT;
    pcd->body_len = pcd->body_sent = pcd->body_high = 0;
    pcd->error.code = B_OK;
    pcd->error.aux = 0;
    pcd->error.msg[0] = '\0';
    df_sm_init(&pcd->sm);
}

void df_pcd_drop(struct df_pcd *pcd)
{
    b_wipe(pcd->body, pcd->body_high);
    b_wipe(pcd, offsetof(struct df_pcd, body));
}

void df_pcd_reset(struct df_pcd *pcd)
{
    df_sm_drop(&pcd->sm);
    df_sm_init(&pcd->sm);
    pcd->phase = DF_PCD_IDLE;
    pcd->selected = 0;
}

void df_pcd_set_frame(struct df_pcd *pcd, size_t max_frame)
{
    b_check(max_frame > 0 && max_frame <= FRAME_LARGEST);
    pcd->max_frame = max_frame;
}

static void end_session(struct df_pcd *pcd)
{
    df_sm_drop(&pcd->sm);
    df_sm_init(&pcd->sm);
}

static enum df_want fail(struct df_pcd *pcd, enum b_code code, uint32_t aux, const char *what)
{
    (void)b_err_set(&pcd->error, code, aux, "%s: %s", df_cmd_name(pcd->request->cmd), what);
    if (pcd->phase == DF_PCD_CHALLENGE || pcd->phase == DF_PCD_PROOF)
        df_hs_drop(&pcd->hs);
    pcd->phase = DF_PCD_IDLE;
    end_session(pcd);
    if (pcd->request->cmd == DF_CMD_SELECT_APPLICATION)
        pcd->selected = DF_AID_UNKNOWN;
    return DF_FAILED;
}

static enum df_want done(struct df_pcd *pcd)
{
    pcd->phase = DF_PCD_IDLE;
    return DF_DONE;
}

/* A status that ends the command badly. */
static enum df_want refused(struct df_pcd *pcd)
{
    const struct df_sw_row *row = df_sw_row(pcd->status);
    bool is_auth = pcd->phase == DF_PCD_CHALLENGE || pcd->phase == DF_PCD_PROOF;
    enum b_code code = B_E_CARD_REFUSED;
    if (row != NULL && row->react == DF_REACT_FULL)
        code = B_E_CARD_FULL;
    else if (row != NULL && row->react == DF_REACT_AUTH && is_auth)
        code = B_E_CARD_AUTH;
    return fail(pcd, code, pcd->status, row != NULL ? row->text : "status unknown");
}

/* What a command does to the selection and the session once the card has done it. */
static void take_effect(struct df_pcd *pcd)
{
    const struct df_request *r = pcd->request;
    struct b_rd head = b_rd_from(r->head, r->head_len);
    if (r->cmd == DF_CMD_SELECT_APPLICATION) {
        pcd->selected = b_rd_le24(&head);
    } else if (r->cmd == DF_CMD_ROLL_KEY_SET) {
        end_session(pcd);
    } else if (r->cmd == DF_CMD_DELETE_APPLICATION && pcd->selected == b_rd_le24(&head) &&
               pcd->selected != 0) {
        end_session(pcd);
        pcd->selected = 0;
    }
}

/* Commands that end their own session may answer without a MAC, since its key is gone. */
static bool may_be_bare(const struct df_pcd *pcd)
{
    const struct df_request *r = pcd->request;
    struct b_rd head = b_rd_from(r->head, r->head_len);
    return r->cmd == DF_CMD_ROLL_KEY_SET ||
           (r->cmd == DF_CMD_DELETE_APPLICATION && pcd->selected == b_rd_le24(&head));
}

static bool is_own_key_change(const struct df_request *r)
{
    bool is_change = r->cmd == DF_CMD_CHANGE_KEY || r->cmd == DF_CMD_CHANGE_KEY_EV2;
    return is_change && r->old_key == NULL;
}

/* GetDFNames: every frame was a record; each gets its length before it. */
static void give_records(struct df_pcd *pcd)
{
    struct b_rd in = b_rd_from(pcd->body, pcd->body_len);
    for (size_t i = 0; i < pcd->record_count && in.left > 0; i++) {
        size_t n = pcd->records[i] < in.left ? pcd->records[i] : in.left;
        if (n == 0)
            continue;
        b_wr_u8(&pcd->answer, (uint8_t)n);
        b_wr_bytes(&pcd->answer, b_rd_direct(&in, n), n);
    }
}

static enum df_want finish_command(struct df_pcd *pcd)
{
    const struct df_request *r = pcd->request;
    if (is_own_key_change(r)) {
        if (pcd->body_len > 0)
            return fail(pcd, B_E_CARD_PROTOCOL, pcd->status, "an answer where none belongs");
        end_session(pcd);
        return done(pcd);
    }
    bool is_bare = pcd->body_len == 0 && may_be_bare(pcd);
    size_t expect = r->expect_len == 0 ? SIZE_MAX : r->expect_len;
    if (!is_bare &&
        !df_sm_unwrap_answer(&pcd->sm, &pcd->rule, pcd->status, pcd->body, &pcd->body_len, expect))
        return fail(pcd, B_E_CARD_MAC, pcd->status, "the answer's MAC or CRC is wrong");
    if (r->cmd == DF_CMD_GET_DF_NAMES)
        give_records(pcd);
    else
        b_wr_bytes(&pcd->answer, pcd->body, pcd->body_len);
    if (!b_wr_ok(&pcd->answer))
        return fail(pcd, B_E_CARD_PROTOCOL, pcd->status, "the answer is longer than expected");
    take_effect(pcd);
    return done(pcd);
}

static enum df_want send_frame(struct df_pcd *pcd, uint8_t ins, struct b_wr *out)
{
    size_t n = pcd->body_len - pcd->body_sent;
    if (n > pcd->max_frame)
        n = pcd->max_frame;
    df_wire_wrap(ins, b_rd_from(pcd->body + pcd->body_sent, n), out);
    pcd->body_sent += n;
    pcd->phase = pcd->body_sent < pcd->body_len ? DF_PCD_SENDING : DF_PCD_RECEIVING;
    if (pcd->phase == DF_PCD_RECEIVING)
        pcd->body_len = pcd->body_sent = 0;
    return DF_TX;
}

static enum df_want receive(struct df_pcd *pcd, struct b_rd data, struct b_wr *out)
{
    bool is_more = pcd->status == DF_SW_ADDITIONAL_FRAME;
    if (data.left > sizeof(pcd->body) - pcd->body_len || (is_more && data.left == 0) ||
        pcd->record_count == B_COUNT(pcd->records))
        return fail(pcd, B_E_CARD_PROTOCOL, pcd->status, "the answer has no end");
    memcpy(pcd->body + pcd->body_len, data.p, data.left);
    pcd->body_len += data.left;
    if (pcd->body_len > pcd->body_high)
        pcd->body_high = pcd->body_len;
    if (pcd->request->cmd == DF_CMD_GET_DF_NAMES)
        pcd->records[pcd->record_count++] = (uint8_t)data.left;
    if (!is_more)
        return finish_command(pcd);
    df_wire_wrap(df_cmd_row(DF_CMD_ADDITIONAL_FRAME)->ins, b_rd_from(NULL, 0), out);
    return DF_TX;
}

static enum df_want step_command(struct df_pcd *pcd, struct b_rd data, struct b_wr *out)
{
    const struct df_sw_row *row = df_sw_row(pcd->status);
    if (row == NULL || !row->stays)
        return refused(pcd);
    if (pcd->phase == DF_PCD_RECEIVING)
        return receive(pcd, data, out);
    if (row->react != DF_REACT_MORE || data.left > 0)
        return fail(pcd, B_E_CARD_PROTOCOL, pcd->status, "answered before it had everything");
    return send_frame(pcd, df_cmd_row(DF_CMD_ADDITIONAL_FRAME)->ins, out);
}

static enum df_auth auth_of(enum df_cmd cmd)
{
    static const struct {
        enum df_cmd cmd;
        enum df_auth how;
    } ways[] = {{DF_CMD_AUTHENTICATE_D40, DF_AUTH_D40},
                {DF_CMD_AUTHENTICATE_ISO, DF_AUTH_ISO},
                {DF_CMD_AUTHENTICATE_AES, DF_AUTH_AES},
                {DF_CMD_AUTHENTICATE_EV2_FIRST, DF_AUTH_EV2_FIRST},
                {DF_CMD_AUTHENTICATE_EV2_NONFIRST, DF_AUTH_EV2_NONFIRST}};
    for (size_t i = 0; i < B_COUNT(ways); i++) {
        if (ways[i].cmd == cmd)
            return ways[i].how;
    }
    return DF_AUTH_NONE;
}

/* The second frame, by the key here or by whoever has it. */
static enum b_code make_token(struct df_pcd *pcd, struct b_rd data, struct b_wr *w,
                              struct b_err *err)
{
    const struct df_request *r = pcd->request;
    if (r->prover != NULL && data.left == 16)
        return r->prover->frame(r->prover->ctx, auth_of(r->cmd), data.p, b_wr_reserve(w, 32), err);
    uint8_t a[16];
    pcd->random.fill(pcd->random.ctx, a, pcd->hs.size);
    bool is_good = r->prover == NULL && df_hs_token(&pcd->hs, data, a, w);
    b_wipe(a, sizeof(a));
    return is_good
               ? B_OK
               : b_err_set(err, B_E_CARD_PROTOCOL, pcd->status, "the challenge has a wrong length");
}

static enum df_want step_challenge(struct df_pcd *pcd, struct b_rd data, struct b_wr *out)
{
    uint8_t token[32];
    struct b_err err = {0};
    struct b_wr w = b_wr_from(token, sizeof(token));
    if (pcd->status != DF_SW_ADDITIONAL_FRAME)
        return pcd->status == DF_SW_OK
                   ? fail(pcd, B_E_CARD_PROTOCOL, pcd->status, "no challenge came")
                   : refused(pcd);
    enum b_code r = make_token(pcd, data, &w, &err);
    if (r != B_OK)
        return fail(pcd, r, err.aux, err.msg);
    df_wire_wrap(df_cmd_row(DF_CMD_ADDITIONAL_FRAME)->ins, b_wr_reader(&w), out);
    pcd->phase = DF_PCD_PROOF;
    return DF_TX;
}

static enum df_want step_proof(struct df_pcd *pcd, struct b_rd data)
{
    if (pcd->status == DF_SW_ADDITIONAL_FRAME)
        return fail(pcd, B_E_CARD_PROTOCOL, pcd->status, "no proof came");
    if (pcd->status != DF_SW_OK)
        return refused(pcd);
    const struct df_prover *p = pcd->request->prover;
    if (p != NULL) {
        struct b_err err = {0};
        enum b_code r = p->check(p->ctx, auth_of(pcd->request->cmd), data, &err);
        return r == B_OK ? done(pcd) : fail(pcd, r, err.aux, err.msg);
    }
    if (!df_hs_finish(&pcd->hs, &pcd->sm, data))
        return fail(pcd, B_E_CARD_AUTH, pcd->status, "the card did not prove the key");
    df_hs_drop(&pcd->hs);
    return done(pcd);
}

static enum df_want step_iso(struct df_pcd *pcd, struct b_rd data, uint16_t sw)
{
    static const uint8_t card_name[] = {0xD2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x00};
    const struct df_request *r = pcd->request;
    bool is_name = r->cmd == DF_CMD_ISO_SELECT_NAME;
    if (sw != 0x9000)
        return fail(pcd, B_E_CARD_REFUSED, sw, "the card refused it");
    bool is_card =
        is_name ? r->head_len == sizeof(card_name) && b_ct_eq(r->head, card_name, sizeof(card_name))
                : r->head_len == 2 && r->head[0] == 0x3F && r->head[1] == 0x00;
    pcd->selected = is_card ? 0 : DF_AID_UNKNOWN;
    b_wr_bytes(&pcd->answer, data.p, data.left);
    if (!b_wr_ok(&pcd->answer))
        return fail(pcd, B_E_CARD_PROTOCOL, sw, "the answer is longer than expected");
    return done(pcd);
}

enum df_want df_pcd_step(struct df_pcd *pcd, struct b_rd rapdu, struct b_wr *out)
{
    struct b_rd data;
    uint16_t sw = 0;
    b_check(pcd->phase != DF_PCD_IDLE);
    if (!df_wire_rapdu(rapdu, &data, &sw))
        return fail(pcd, B_E_CARD_PROTOCOL, 0, "the answer has no status");
    pcd->status = (uint8_t)sw;
    if (pcd->phase == DF_PCD_ISO)
        return step_iso(pcd, data, sw);
    if (sw >> 8 != 0x91)
        return fail(pcd, B_E_CARD_REFUSED, sw, "the card does not take native commands");
    if (pcd->phase == DF_PCD_CHALLENGE)
        return step_challenge(pcd, data, out);
    if (pcd->phase == DF_PCD_PROOF)
        return step_proof(pcd, data);
    return step_command(pcd, data, out);
}

static enum df_want start_auth(struct df_pcd *pcd, enum df_auth how, struct b_wr *out)
{
    const struct df_request *r = pcd->request;
    if (how != DF_AUTH_EV2_NONFIRST)
        end_session(pcd);
    else if (pcd->sm.kind != DF_SM_EV2)
        return fail(pcd, B_E_CARD_AUTH, 0, "no EV2 session runs that it could go on with");
    if (r->prover == NULL && !df_hs_begin(&pcd->hs, how, r->key_no, r->key))
        return fail(pcd, B_E_CARD_AUTH, 0, "this kind of key cannot be used so");
    df_wire_wrap(df_cmd_row(r->cmd)->ins, b_rd_from(r->head, r->head_len), out);
    pcd->phase = DF_PCD_CHALLENGE;
    return DF_TX;
}

static enum df_want start_iso(struct df_pcd *pcd, struct b_wr *out)
{
    const struct df_request *r = pcd->request;
    uint8_t p1 = r->cmd == DF_CMD_ISO_SELECT_NAME ? 0x04 : 0x00;
    end_session(pcd);
    df_wire_iso(df_cmd_row(r->cmd)->ins, p1, 0x0C, b_rd_from(r->head, r->head_len), false, out);
    pcd->phase = DF_PCD_ISO;
    return DF_TX;
}

static bool wrap_key_change(struct df_pcd *pcd, struct b_wr *body)
{
    const struct df_request *r = pcd->request;
    struct df_sm_key_change change = {
        .ins = pcd->rule.ins, .head_len = r->head_len, .old = r->old_key};
    memcpy(change.head, r->head, r->head_len);
    /* At card level the key number carries the new key's type (AN12757 §6.3). */
    if (r->cmd == DF_CMD_CHANGE_KEY && pcd->selected == 0)
        change.head[0] = (uint8_t)(change.head[0] | r->key->type);
    return df_sm_wrap_key(&pcd->sm, &change, r->key, body);
}

static bool wrap(struct df_pcd *pcd)
{
    const struct df_request *r = pcd->request;
    struct b_wr body = b_wr_from(pcd->body, sizeof(pcd->body));
    struct b_rd data = b_rd_from(r->data != NULL ? r->data : r->small, r->data_len);
    bool is_good = df_cmd_row(r->cmd)->command == DF_MODE_KEY
                       ? wrap_key_change(pcd, &body)
                       : df_sm_wrap_command(&pcd->sm, &pcd->rule, b_rd_from(r->head, r->head_len),
                                            data, &body);
    pcd->body_len = body.len;
    pcd->body_sent = 0;
    if (body.len > pcd->body_high)
        pcd->body_high = body.len;
    return is_good;
}

enum df_want df_pcd_start(struct df_pcd *pcd, const struct df_request *request, struct b_wr answer,
                          struct b_wr *out)
{
    enum df_auth how = auth_of(request->cmd);
    pcd->request = request;
    pcd->answer = answer;
    pcd->status = DF_SW_OK;
    pcd->error.code = B_OK;
    pcd->record_count = 0;
    if (how != DF_AUTH_NONE)
        return start_auth(pcd, how, out);
    if (df_cmd_row(request->cmd)->level == DF_AT_ISO)
        return start_iso(pcd, out);
    pcd->rule = df_sm_rule(request->cmd, request->comm);
    /* The ATS has no length that the card knows: it is padded with a mark. */
    pcd->rule.is_open = request->cmd == DF_CMD_SET_CONFIGURATION && request->head[0] == 0x02;
    if (request->cmd == DF_CMD_SELECT_APPLICATION)
        end_session(pcd);
    /* What must not be read in the air is never sent in clear. */
    if (pcd->rule.command == DF_COMM_FULL && request->data_len > 0 && !df_sm_is_on(&pcd->sm))
        return fail(pcd, B_E_CARD_AUTH, 0, "it needs an authenticated session");
    if (!wrap(pcd))
        return fail(pcd, B_E_CARD_PROTOCOL, 0, "it cannot be sent in this session");
    return send_frame(pcd, pcd->rule.ins, out);
}

struct b_rd df_pcd_answer(const struct df_pcd *pcd)
{
    return b_wr_reader(&pcd->answer);
}

const struct b_err *df_pcd_error(const struct df_pcd *pcd)
{
    return &pcd->error;
}

uint8_t df_pcd_status(const struct df_pcd *pcd)
{
    return pcd->status;
}

df_aid df_pcd_selected(const struct df_pcd *pcd)
{
    return pcd->selected;
}

enum df_auth df_pcd_session(const struct df_pcd *pcd)
{
    return pcd->sm.kind == DF_SM_NONE ? DF_AUTH_NONE : pcd->sm.auth;
}

uint8_t df_pcd_session_key_no(const struct df_pcd *pcd)
{
    return pcd->sm.key_no;
}

void df_proximity_mac(const struct df_key *key, uint8_t first, struct b_rd transcript,
                      uint8_t mac[static 8])
{
    struct crypto_key k;
    struct crypto_cmac c;
    uint8_t full[16];
    crypto_key_init(&k, CRYPTO_AES128, key->bytes);
    crypto_cmac_begin(&c, &k, NULL);
    crypto_cmac_update(&c, &first, 1);
    crypto_cmac_update(&c, transcript.p, transcript.left);
    crypto_cmac_final(&c, full);
    for (size_t i = 0; i < 8; i++)
        mac[i] = full[2 * i + 1];
    crypto_key_drop(&k);
}
