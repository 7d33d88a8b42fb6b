/* Files: creation, settings, listing. */
#include <string.h>

#include "desfire/picc_int.h"

size_t picc_file_bytes(const struct picc_file *f)
{
    size_t data = f->data_len;
    return PICC_BLOCK + (data + PICC_BLOCK - 1) / PICC_BLOCK * PICC_BLOCK;
}

struct picc_file *picc_find_file(struct df_picc *p, uint8_t no)
{
    for (size_t i = 0; p->app != NULL && i < PICC_FILES; i++) {
        if (p->app->files[i].is_used && p->app->files[i].no == no)
            return &p->app->files[i];
    }
    return NULL;
}

uint8_t picc_get_file_ids(struct df_picc *p, struct picc_call *call)
{
    for (size_t i = 0; i < PICC_FILES; i++) {
        if (p->app->files[i].is_used)
            b_wr_u8(call->out, p->app->files[i].no);
    }
    return DF_SW_OK;
}

uint8_t picc_get_iso_file_ids(struct df_picc *p, struct picc_call *call)
{
    for (size_t i = 0; i < PICC_FILES; i++) {
        if (p->app->files[i].is_used && p->app->files[i].settings.has_iso)
            b_wr_le16(call->out, p->app->files[i].settings.iso_fid);
    }
    return DF_SW_OK;
}

uint8_t picc_get_file_settings(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    const struct picc_file *f = picc_find_file(p, b_rd_u8(&r));
    if (f == NULL)
        return DF_SW_FILE_NOT_FOUND;
    const struct df_file_settings *s = &f->settings;
    b_wr_u8(call->out, (uint8_t)s->type);
    b_wr_u8(call->out, s->option);
    b_wr_le16(call->out, df_rights_pack(s->rights));
    if (s->type == DF_FILE_VALUE) {
        b_wr_le32(call->out, (uint32_t)s->lower);
        b_wr_le32(call->out, (uint32_t)s->upper);
        b_wr_le32(call->out, (uint32_t)f->limited);
        b_wr_u8(call->out, s->limited_credit);
    } else if (s->type == DF_FILE_LINEAR || s->type == DF_FILE_CYCLIC) {
        b_wr_le24(call->out, s->record_size);
        b_wr_le24(call->out, s->record_max);
        b_wr_le24(call->out, s->record_count);
    } else {
        b_wr_le24(call->out, s->size);
    }
    return DF_SW_OK;
}

/* A right must name a key of the application, be free or never. */
static bool are_rights_good(const struct picc_app *a, struct df_rights r)
{
    const uint8_t all[] = {r.read, r.write, r.read_write, r.change};
    for (size_t i = 0; i < sizeof(all); i++) {
        if (all[i] < DF_RIGHT_FREE && all[i] >= a->key_count)
            return false;
    }
    return true;
}

static bool set_option(struct df_file_settings *s, uint8_t option)
{
    uint8_t mode = option & 0x03;
    s->option = option;
    s->comm = mode == 3 ? DF_COMM_FULL : mode == 1 ? DF_COMM_MAC : DF_COMM_PLAIN;
    return (option & ~0x03) == 0; /* no additional rights, no dynamic messaging here */
}

uint8_t picc_change_file_settings(struct df_picc *p, struct picc_call *call)
{
    struct b_rd head = call->head;
    struct b_rd r = call->data;
    struct picc_file *f = picc_find_file(p, b_rd_u8(&head));
    if (f == NULL)
        return DF_SW_FILE_NOT_FOUND;
    struct df_file_settings s = f->settings;
    bool is_good = set_option(&s, b_rd_u8(&r));
    s.rights = df_rights_unpack(b_rd_le16(&r));
    if (!b_rd_end(&r))
        return DF_SW_LENGTH_ERROR;
    if (!is_good || !are_rights_good(p->app, s.rights))
        return DF_SW_PARAMETER_ERROR;
    f->settings = s;
    p->is_dirty = true;
    return DF_SW_OK;
}

/* The part of a creation behind the common fields. False: values not allowed. */
static bool parse_kind(struct b_rd *r, struct df_file_settings *s)
{
    if (s->type == DF_FILE_VALUE) {
        s->lower = (int32_t)b_rd_le32(r);
        s->upper = (int32_t)b_rd_le32(r);
        s->value = (int32_t)b_rd_le32(r);
        s->limited_credit = b_rd_u8(r);
        return s->lower <= s->upper && s->value >= s->lower && s->value <= s->upper &&
               s->limited_credit <= 3;
    }
    if (s->type == DF_FILE_LINEAR || s->type == DF_FILE_CYCLIC) {
        s->record_size = b_rd_le24(r);
        s->record_max = b_rd_le24(r);
        return s->record_size > 0 && s->record_max >= (s->type == DF_FILE_CYCLIC ? 2u : 1u);
    }
    s->size = b_rd_le24(r);
    return s->size > 0;
}

/* What a file keeps in the data area: a backup file its data once here, as the mirror lives in the
 * volatile shadow, but it is counted twice as on the card. */
static uint64_t data_bytes(const struct df_file_settings *s)
{
    if (s->type == DF_FILE_VALUE)
        return 0;
    if (s->type == DF_FILE_LINEAR || s->type == DF_FILE_CYCLIC)
        return (uint64_t)s->record_size * s->record_max;
    return s->type == DF_FILE_BACKUP ? 2 * (uint64_t)s->size : s->size;
}

static enum df_file_type type_of(enum df_cmd cmd)
{
    return cmd == DF_CMD_CREATE_STD_DATA_FILE        ? DF_FILE_STANDARD
           : cmd == DF_CMD_CREATE_BACKUP_DATA_FILE   ? DF_FILE_BACKUP
           : cmd == DF_CMD_CREATE_VALUE_FILE         ? DF_FILE_VALUE
           : cmd == DF_CMD_CREATE_LINEAR_RECORD_FILE ? DF_FILE_LINEAR
                                                     : DF_FILE_CYCLIC;
}

static uint8_t parse_creation(const struct picc_app *a, struct picc_call *call, uint8_t *ret_no,
                              struct df_file_settings *s)
{
    struct b_rd r = call->head;
    *s = (struct df_file_settings){.type = type_of(call->cmd)};
    *ret_no = b_rd_u8(&r);
    size_t with_iso = df_cmd_row(call->cmd)->max;
    if (s->type != DF_FILE_VALUE && call->head.left == with_iso) {
        s->has_iso = true;
        s->iso_fid = b_rd_le16(&r);
    }
    bool is_good = set_option(s, b_rd_u8(&r));
    s->rights = df_rights_unpack(b_rd_le16(&r));
    is_good &= parse_kind(&r, s);
    if (!b_rd_end(&r))
        return DF_SW_LENGTH_ERROR;
    if (!is_good || *ret_no >= PICC_FILES || (s->has_iso && !a->has_iso_files) ||
        !are_rights_good(a, s->rights))
        return DF_SW_PARAMETER_ERROR;
    return DF_SW_OK;
}

uint8_t picc_create_file(struct df_picc *p, struct picc_call *call)
{
    uint8_t no;
    struct df_file_settings s;
    uint8_t sw = parse_creation(p->app, call, &no, &s);
    if (sw != DF_SW_OK)
        return sw;
    if (picc_find_file(p, no) != NULL)
        return DF_SW_DUPLICATE_ERROR;
    for (size_t i = 0; s.has_iso && i < PICC_FILES; i++) {
        const struct picc_file *other = &p->app->files[i];
        if (other->is_used && other->settings.has_iso && other->settings.iso_fid == s.iso_fid)
            return DF_SW_DUPLICATE_ERROR;
    }
    uint64_t n = data_bytes(&s);
    if (n > (uint64_t)(PICC_DATA - p->mem.data_used))
        return DF_SW_OUT_OF_EEPROM;
    struct picc_file f = {.is_used = true,
                          .no = no,
                          .settings = s,
                          .data_at = p->mem.data_used,
                          .data_len = (uint16_t)n};
    if (!picc_take_memory(p, picc_file_bytes(&f)))
        return DF_SW_OUT_OF_EEPROM;
    p->mem.data_used = (uint16_t)(p->mem.data_used + n);
    memset(p->mem.data + f.data_at, 0, f.data_len);
    picc_drop_transaction(p);
    p->app->files[no] = f;
    p->is_dirty = true;
    return DF_SW_OK;
}

uint8_t picc_delete_file(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    struct picc_file *f = picc_find_file(p, b_rd_u8(&r));
    if (f == NULL)
        return DF_SW_FILE_NOT_FOUND;
    picc_drop_transaction(p);
    picc_give_memory(p, picc_file_bytes(f));
    picc_remove_data(p, f);
    if (p->iso_file == f)
        p->iso_file = NULL;
    p->is_dirty = true;
    return DF_SW_OK;
}
