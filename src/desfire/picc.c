/*
 * The card's dispatcher: frames into commands, protection off, permissions, the handler, protection
 * on, answers into frames. The order of checks: known, level, length, need, integrity, content.
 */
#include "desfire/picc.h"

#include <string.h>

#include "desfire/picc_int.h"

enum { INS_MORE = 0xAF, FRAME = 59 };

/* One handler a command; authentications and ISO commands have doors of their own. */
static picc_handler *const handlers[DF_CMD_COUNT] = {
    [DF_CMD_GET_VERSION] = picc_get_version,
    [DF_CMD_SELECT_APPLICATION] = picc_select_application,
    [DF_CMD_CREATE_APPLICATION] = picc_create_application,
    [DF_CMD_DELETE_APPLICATION] = picc_delete_application,
    [DF_CMD_GET_APPLICATION_IDS] = picc_get_application_ids,
    [DF_CMD_FREE_MEMORY] = picc_free_memory,
    [DF_CMD_FORMAT_PICC] = picc_format,
    [DF_CMD_GET_CARD_UID] = picc_get_card_uid,
    [DF_CMD_SET_CONFIGURATION] = picc_set_configuration,
    [DF_CMD_READ_SIGNATURE] = picc_read_signature,
    [DF_CMD_GET_KEY_SETTINGS] = picc_get_key_settings,
    [DF_CMD_CHANGE_KEY_SETTINGS] = picc_change_key_settings,
    [DF_CMD_GET_KEY_VERSION] = picc_get_key_version,
    [DF_CMD_CHANGE_KEY] = picc_change_key,
    [DF_CMD_CHANGE_KEY_EV2] = picc_change_key,
    [DF_CMD_INITIALIZE_KEY_SET] = picc_initialize_key_set,
    [DF_CMD_FINALIZE_KEY_SET] = picc_finalize_key_set,
    [DF_CMD_ROLL_KEY_SET] = picc_roll_key_set,
    [DF_CMD_CREATE_STD_DATA_FILE] = picc_create_file,
    [DF_CMD_CREATE_BACKUP_DATA_FILE] = picc_create_file,
    [DF_CMD_CREATE_VALUE_FILE] = picc_create_file,
    [DF_CMD_CREATE_LINEAR_RECORD_FILE] = picc_create_file,
    [DF_CMD_CREATE_CYCLIC_RECORD_FILE] = picc_create_file,
    [DF_CMD_DELETE_FILE] = picc_delete_file,
    [DF_CMD_GET_FILE_IDS] = picc_get_file_ids,
    [DF_CMD_GET_ISO_FILE_IDS] = picc_get_iso_file_ids,
    [DF_CMD_GET_FILE_SETTINGS] = picc_get_file_settings,
    [DF_CMD_CHANGE_FILE_SETTINGS] = picc_change_file_settings,
    [DF_CMD_READ_DATA] = picc_read_data,
    [DF_CMD_READ_DATA_ISO] = picc_read_data,
    [DF_CMD_WRITE_DATA] = picc_write_data,
    [DF_CMD_WRITE_DATA_ISO] = picc_write_data,
    [DF_CMD_GET_VALUE] = picc_get_value,
    [DF_CMD_CREDIT] = picc_change_value,
    [DF_CMD_DEBIT] = picc_change_value,
    [DF_CMD_LIMITED_CREDIT] = picc_change_value,
    [DF_CMD_READ_RECORDS] = picc_read_records,
    [DF_CMD_READ_RECORDS_ISO] = picc_read_records,
    [DF_CMD_WRITE_RECORD] = picc_write_record,
    [DF_CMD_WRITE_RECORD_ISO] = picc_write_record,
    [DF_CMD_UPDATE_RECORD] = picc_update_record,
    [DF_CMD_UPDATE_RECORD_ISO] = picc_update_record,
    [DF_CMD_CLEAR_RECORD_FILE] = picc_clear_records,
    [DF_CMD_COMMIT_TRANSACTION] = picc_commit,
    [DF_CMD_ABORT_TRANSACTION] = picc_abort,
    [DF_CMD_PREPARE_PC] = picc_prepare_pc,
    [DF_CMD_PROXIMITY_CHECK] = picc_proximity_check,
    [DF_CMD_VERIFY_PC] = picc_verify_pc,
};

/* What a file command uses the file for. */
static const struct {
    enum df_cmd cmd;
    enum picc_use use;
} uses[] = {
    {DF_CMD_READ_DATA, PICC_USE_READ},
    {DF_CMD_READ_DATA_ISO, PICC_USE_READ},
    {DF_CMD_READ_RECORDS, PICC_USE_READ},
    {DF_CMD_READ_RECORDS_ISO, PICC_USE_READ},
    {DF_CMD_WRITE_DATA, PICC_USE_WRITE},
    {DF_CMD_WRITE_DATA_ISO, PICC_USE_WRITE},
    {DF_CMD_WRITE_RECORD, PICC_USE_WRITE},
    {DF_CMD_WRITE_RECORD_ISO, PICC_USE_WRITE},
    {DF_CMD_UPDATE_RECORD, PICC_USE_WRITE},
    {DF_CMD_UPDATE_RECORD_ISO, PICC_USE_WRITE},
    {DF_CMD_CLEAR_RECORD_FILE, PICC_USE_CREDIT}, /* needs the full right, as Credit does */
    {DF_CMD_GET_VALUE, PICC_USE_VALUE},
    {DF_CMD_DEBIT, PICC_USE_VALUE},
    {DF_CMD_LIMITED_CREDIT, PICC_USE_LIMITED},
    {DF_CMD_CREDIT, PICC_USE_CREDIT},
    {DF_CMD_CHANGE_FILE_SETTINGS, PICC_USE_CHANGE},
};

static bool is_authentication(enum df_cmd cmd)
{
    return cmd == DF_CMD_AUTHENTICATE_D40 || cmd == DF_CMD_AUTHENTICATE_ISO ||
           cmd == DF_CMD_AUTHENTICATE_AES || cmd == DF_CMD_AUTHENTICATE_EV2_FIRST ||
           cmd == DF_CMD_AUTHENTICATE_EV2_NONFIRST;
}

static void answer_status(uint8_t sw, struct b_wr *rapdu)
{
    b_wr_u8(rapdu, 0x91);
    b_wr_u8(rapdu, sw);
}

/* A command that fails ends the session, the chain and the transaction. */
static void fail(struct df_picc *p, uint8_t sw, struct b_wr *rapdu)
{
    const struct df_sw_row *row = df_sw_row(sw);
    p->chain = PICC_CHAIN_NONE;
    if (row == NULL || !row->stays) {
        df_sm_drop(&p->sm);
        picc_drop_transaction(p);
    }
    rapdu->len = 0;
    answer_status(sw, rapdu);
}

/* --- answers into frames ---------------------------------------------------------------------- */

/* GetVersion is cut where its parts end, everything else at the frame. */
static size_t next_cut(const struct df_picc *p)
{
    size_t left = p->answer_len - p->sent;
    if (p->cmd == DF_CMD_GET_VERSION && p->sent < 14)
        return 7;
    return left < FRAME ? left : FRAME;
}

static void send_frame(struct df_picc *p, struct b_wr *rapdu)
{
    size_t n = next_cut(p);
    b_wr_bytes(rapdu, p->answer + p->sent, n);
    p->sent += n;
    bool has_more = p->sent < p->answer_len;
    p->chain = has_more ? PICC_CHAIN_ANSWER : PICC_CHAIN_NONE;
    answer_status(has_more ? DF_SW_ADDITIONAL_FRAME : p->final_sw, rapdu);
}

/* --- a command that is whole --------------------------------------------------------------------
 */

/* The mode in which this session uses the file; a status when it may not. */
static uint8_t file_mode(struct df_picc *p, enum df_cmd cmd, uint8_t no, enum df_comm *ret)
{
    size_t i = 0;
    while (i < B_COUNT(uses) && uses[i].cmd != cmd)
        i++;
    if (i == B_COUNT(uses))
        return DF_SW_OK;
    const struct picc_file *f = picc_find_file(p, no);
    bool is_free = false;
    if (f == NULL)
        return DF_SW_FILE_NOT_FOUND;
    uint8_t sw = picc_may(p, f, uses[i].use, &is_free);
    /* GetValue may be free by the file's own bit, whatever the rights. */
    if (cmd == DF_CMD_GET_VALUE && sw != DF_SW_OK && (f->settings.limited_credit & 2)) {
        sw = DF_SW_OK;
        is_free = true;
    }
    if (cmd == DF_CMD_CHANGE_FILE_SETTINGS)
        *ret = is_free ? DF_COMM_PLAIN : DF_COMM_FULL;
    else
        *ret = is_free ? DF_COMM_PLAIN : f->settings.comm;
    return sw;
}

/* Plain length of the data behind the header where the command says it, else SIZE_MAX. */
static size_t data_length(const struct df_cmd_row *row, const uint8_t *body)
{
    if (row->command == DF_MODE_FILE_SENT && row->head >= 7) {
        struct b_rd r = b_rd_from(body + row->head - 3, 3);
        return b_rd_le24(&r);
    }
    return row->min == row->max && row->head != DF_HEAD_ALL ? (size_t)row->max - row->head
                                                            : SIZE_MAX;
}

static uint8_t unwrap(struct df_picc *p, const struct df_cmd_row *row,
                      const struct df_sm_rule *rule, struct picc_call *call)
{
    size_t n = p->have;
    if (row->command != DF_MODE_KEY && df_sm_is_on(&p->sm) &&
        !df_sm_unwrap_command(&p->sm, rule, p->body, &n, data_length(row, p->body)))
        return DF_SW_INTEGRITY_ERROR;
    if (n < row->min || n > row->max)
        return DF_SW_LENGTH_ERROR;
    size_t head = row->head == DF_HEAD_ALL ? n : row->head;
    call->head = b_rd_from(p->body, head);
    call->data = b_rd_from(p->body + head, n - head);
    call->body = p->body;
    call->body_len = n;
    return DF_SW_OK;
}

/* Protects and starts sending what the handler wrote behind `room` of p->answer. */
static void finish(struct df_picc *p, const struct df_sm_rule *rule, uint8_t sw,
                   const struct b_wr *plain, bool was_on, struct b_wr *rapdu)
{
    struct b_wr out = b_wr_from(p->answer, sizeof(p->answer));
    p->final_sw = sw;
    p->sent = 0;
    bool is_good = b_wr_ok(plain);
    /* A session that the command itself ended (own key changed, selection) answers bare. */
    if (was_on && df_sm_is_on(&p->sm))
        is_good = is_good && df_sm_wrap_answer(&p->sm, rule, sw, b_wr_reader(plain), &out);
    else
        out.len = plain->len;
    if (!is_good) {
        fail(p, DF_SW_EEPROM_ERROR, rapdu);
        return;
    }
    p->answer_len = out.len;
    send_frame(p, rapdu);
}

static void run(struct df_picc *p, struct b_wr *rapdu)
{
    const struct df_cmd_row *row = df_cmd_row(p->cmd);
    struct b_wr plain = b_wr_from(p->answer, sizeof(p->answer));
    struct picc_call call = {.cmd = p->cmd, .out = &plain};
    enum df_comm comm = DF_COMM_PLAIN;
    p->chain = PICC_CHAIN_NONE;
    uint8_t sw = picc_need(p, row->need);
    if (sw == DF_SW_OK && row->need == DF_NEED_FILE)
        sw = p->have > 0 ? file_mode(p, p->cmd, p->body[0], &comm) : DF_SW_LENGTH_ERROR;
    struct df_sm_rule rule = df_sm_rule(p->cmd, comm);
    if (sw == DF_SW_OK)
        sw = unwrap(p, row, &rule, &call);
    bool was_on = df_sm_is_on(&p->sm) && !rule.is_outside;
    if (sw == DF_SW_OK)
        sw = handlers[p->cmd](p, &call);
    const struct df_sw_row *status = df_sw_row(sw);
    if (status == NULL || !status->stays)
        fail(p, sw, rapdu);
    else
        finish(p, &rule, sw, &plain, was_on, rapdu);
}

/* --- frames into commands -----------------------------------------------------------------------
 */

/* How many bytes this command will have in all, known from its first frame: only writes are longer
 * than one frame, and they say the length of their data. */
static size_t wanted_length(struct df_picc *p, const struct df_cmd_row *row)
{
    if (row->command != DF_MODE_FILE_SENT || row->head < 7 || p->have < row->head)
        return p->have;
    size_t n = data_length(row, p->body);
    enum df_comm comm = DF_COMM_PLAIN;
    /* What the file does not allow is refused at the first frame. */
    if (file_mode(p, p->cmd, p->body[0], &comm) != DF_SW_OK)
        return p->have;
    if (!df_sm_is_on(&p->sm))
        return row->head + n;
    bool is_ev2 = p->sm.kind == DF_SM_EV2, is_d40 = p->sm.kind == DF_SM_D40;
    size_t block = p->sm.block;
    if (comm == DF_COMM_FULL && is_ev2)
        n = (n / 16 + 1) * 16 + 8;
    else if (comm == DF_COMM_FULL)
        n = (n + (is_d40 ? 2 : 4) + block - 1) / block * block;
    else if (comm == DF_COMM_MAC)
        n += is_d40 ? 4 : 8;
    return row->head + n;
}

static void take_frame(struct df_picc *p, struct b_rd data, struct b_wr *rapdu)
{
    if (data.left > sizeof(p->body) - p->have) {
        fail(p, DF_SW_LENGTH_ERROR, rapdu);
        return;
    }
    if (data.left > 0)
        memcpy(p->body + p->have, data.p, data.left);
    p->have += data.left;
    const struct df_cmd_row *row = df_cmd_row(p->cmd);
    size_t want = wanted_length(p, row);
    if (want > sizeof(p->body)) {
        fail(p, DF_SW_BOUNDARY_ERROR, rapdu); /* longer than any file */
    } else if (p->have < want) {
        p->chain = PICC_CHAIN_COMMAND;
        answer_status(DF_SW_ADDITIONAL_FRAME, rapdu);
    } else if (p->have > want && p->have > row->head) {
        fail(p, DF_SW_LENGTH_ERROR, rapdu);
    } else {
        run(p, rapdu);
    }
}

static void send_name(struct df_picc *p, struct b_wr *rapdu)
{
    uint8_t next = p->name_at;
    if (!picc_next_df_name(p, rapdu)) {
        p->chain = PICC_CHAIN_NONE;
        answer_status(DF_SW_OK, rapdu);
        return;
    }
    /* Look ahead, so that the last one is told apart. */
    uint8_t after = p->name_at;
    uint8_t room[32];
    struct b_wr ahead = b_wr_from(room, sizeof(room));
    bool has_more = picc_next_df_name(p, &ahead);
    p->name_at = after;
    b_check(after > next);
    p->chain = has_more ? PICC_CHAIN_NAMES : PICC_CHAIN_NONE;
    answer_status(has_more ? DF_SW_ADDITIONAL_FRAME : DF_SW_OK, rapdu);
}

static void go_on(struct df_picc *p, struct b_rd data, struct b_wr *rapdu)
{
    uint8_t sw;
    switch (p->chain) {
    case PICC_CHAIN_COMMAND:
        take_frame(p, data, rapdu);
        return;
    case PICC_CHAIN_ANSWER:
        if (data.left != 0)
            fail(p, DF_SW_LENGTH_ERROR, rapdu);
        else
            send_frame(p, rapdu);
        return;
    case PICC_CHAIN_NAMES:
        send_name(p, rapdu);
        return;
    case PICC_CHAIN_HANDSHAKE:
        p->chain = PICC_CHAIN_NONE;
        sw = picc_authenticate_go_on(p, data, rapdu);
        if (sw == DF_SW_OK)
            answer_status(sw, rapdu);
        else
            fail(p, sw, rapdu);
        return;
    case PICC_CHAIN_NONE:
        fail(p, DF_SW_ILLEGAL_COMMAND, rapdu);
        return;
    }
}

/* A status when the command is refused before its content is looked at. */
static uint8_t is_known(const struct df_picc *p, enum df_cmd cmd)
{
    if (cmd == DF_CMD_COUNT || df_cmd_row(cmd)->since > p->mem.personality.ev)
        return DF_SW_ILLEGAL_COMMAND;
    const struct df_cmd_row *row = df_cmd_row(cmd);
    if (!is_authentication(cmd) && cmd != DF_CMD_GET_DF_NAMES && handlers[cmd] == NULL)
        return DF_SW_ILLEGAL_COMMAND;
    bool is_wrong_level =
        (row->level == DF_AT_CARD && p->app != NULL) || (row->level == DF_AT_APP && p->app == NULL);
    return is_wrong_level ? DF_SW_PERMISSION_DENIED : DF_SW_OK;
}

static void start_command(struct df_picc *p, uint8_t ins, struct b_rd data, struct b_wr *rapdu)
{
    enum df_cmd cmd = df_cmd_find(false, ins, 0);
    uint8_t sw = is_known(p, cmd);
    p->cmd = cmd;
    p->have = 0;
    if (sw == DF_SW_OK && is_authentication(cmd)) {
        const struct df_cmd_row *row = df_cmd_row(cmd);
        sw = data.left < row->min || data.left > row->max ? DF_SW_LENGTH_ERROR
                                                          : picc_authenticate(p, cmd, data, rapdu);
        if (sw == DF_SW_ADDITIONAL_FRAME)
            answer_status(sw, rapdu);
        else
            fail(p, sw, rapdu);
        return;
    }
    if (sw != DF_SW_OK) {
        fail(p, sw, rapdu);
    } else if (cmd == DF_CMD_GET_DF_NAMES) {
        sw = picc_need(p, df_cmd_row(cmd)->need);
        p->name_at = 0;
        if (sw == DF_SW_OK)
            send_name(p, rapdu);
        else
            fail(p, sw, rapdu);
    } else {
        take_frame(p, data, rapdu);
    }
}

void df_picc_step(struct df_picc *p, struct b_rd capdu, struct b_wr *rapdu)
{
    struct df_capdu c;
    rapdu->len = 0;
    if (!df_wire_capdu(capdu, &c)) {
        b_wr_be16(rapdu, 0x6700);
        return;
    }
    if (c.cla == 0x00) {
        p->chain = PICC_CHAIN_NONE;
        picc_iso_step(p, &c, rapdu);
        return;
    }
    /* A native command ends the three passes: it may select or begin with another key. */
    p->iso_step = 0;
    if (c.cla != 0x90 || c.p1 != 0 || c.p2 != 0) {
        b_wr_be16(rapdu, c.cla != 0x90 ? 0x6E00 : 0x6A86);
        return;
    }
    if (c.ins == INS_MORE)
        go_on(p, c.data, rapdu);
    else if (p->chain != PICC_CHAIN_NONE)
        fail(p, DF_SW_COMMAND_ABORTED, rapdu);
    else
        start_command(p, c.ins, c.data, rapdu);
}

/* --- life
 * ------------------------------------------------------------------------------------------ */

bool df_picc_blank(struct df_picc *p, const struct df_personality *personality)
{
    static const uint8_t ats[] = {0x06, 0x75, 0x77, 0x81, 0x02, 0x80};
    uint32_t size = personality->memory;
    if (personality->ev < DF_EV1 || personality->ev > DF_EV3 ||
        (size != 2048 && size != 4096 && size != 8192) || personality->uid[0] != 0x04)
        return false;
    memset(p, 0, sizeof(*p));
    p->mem.personality = *personality;
    p->mem.settings = 0x0F;
    p->mem.key_type = DF_KEY_2K3DES;
    p->mem.config = personality->random_uid ? 0x02 : 0x00;
    memcpy(p->mem.ats, ats, sizeof(ats));
    p->mem.ats_len = sizeof(ats);
    memcpy(p->mem.batch, (const uint8_t[]){0xBA, 0x54, 0x45, 0x53, 0x53}, 5);
    p->mem.week = 0x01;
    p->mem.year = 0x26;
    p->mem.sw_major = personality->ev == DF_EV1 ? 1 : personality->ev == DF_EV2 ? 2 : 3;
    p->mem.sw_minor = personality->ev == DF_EV1 ? 4 : 0;
    p->is_dirty = true;
    return true;
}

void df_picc_power(struct df_picc *p, struct df_random random)
{
    p->random = random;
    p->chain = PICC_CHAIN_NONE;
    p->pc_step = 0;
    p->iso_step = 0;
    df_hs_drop(&p->handshake);
    picc_select(p, NULL);
    /* Random UIDs start with 08 (ISO/IEC 14443-3). */
    p->random_uid[0] = 0x08;
    if (p->mem.config & 0x02)
        random.fill(random.ctx, p->random_uid + 1, sizeof(p->random_uid) - 1);
}

bool df_picc_is_dirty(const struct df_picc *p)
{
    return p->is_dirty;
}

void df_picc_clean(struct df_picc *p)
{
    p->is_dirty = false;
}

uint32_t df_picc_typical_us(struct b_rd capdu)
{
    struct df_capdu c;
    if (!df_wire_capdu(capdu, &c))
        return 0;
    enum df_cmd cmd = df_cmd_find(c.cla == 0x00, c.ins, c.p1);
    return cmd == DF_CMD_COUNT ? 0 : df_cmd_row(cmd)->typical_us;
}
