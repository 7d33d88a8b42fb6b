/* Builders of requests, and the decoders of their answers, side by side. */
#include "desfire/request.h"

#include <string.h>

#include "desfire/cmd.h"

static struct b_wr begin(struct df_request *r, enum df_cmd cmd, enum df_comm comm)
{
    *r = (struct df_request){.cmd = cmd, .comm = comm};
    return b_wr_from(r->head, sizeof(r->head));
}

static void end(struct df_request *r, const struct b_wr *w)
{
    b_check(b_wr_ok(w));
    r->head_len = (uint8_t)w->len;
}

static void with_data(struct df_request *r, const uint8_t *data, size_t n)
{
    r->data = data;
    r->data_len = n;
}

/* Short data that the request keeps itself; r->data stays NULL so that a request may be copied. */
static void with_small(struct df_request *r, const void *data, size_t n)
{
    b_check(n <= sizeof(r->small));
    if (n > 0)
        memcpy(r->small, data, n);
    r->data_len = n;
}

static void with_byte(struct df_request *r, enum df_cmd cmd, uint8_t byte)
{
    struct b_wr w = begin(r, cmd, DF_COMM_PLAIN);
    b_wr_u8(&w, byte);
    end(r, &w);
}

static void with_aid(struct df_request *r, enum df_cmd cmd, df_aid aid)
{
    struct b_wr w = begin(r, cmd, DF_COMM_PLAIN);
    b_wr_le24(&w, aid);
    end(r, &w);
}

uint16_t df_rights_pack(struct df_rights r)
{
    return (uint16_t)(r.read << 12 | (r.write & 15) << 8 | (r.read_write & 15) << 4 |
                      (r.change & 15));
}

struct df_rights df_rights_unpack(uint16_t v)
{
    return (struct df_rights){.read = (uint8_t)(v >> 12),
                              .write = (uint8_t)(v >> 8 & 15),
                              .read_write = (uint8_t)(v >> 4 & 15),
                              .change = (uint8_t)(v & 15)};
}

void df_req_plain(struct df_request *r, enum df_cmd cmd)
{
    struct b_wr w = begin(r, cmd, DF_COMM_PLAIN);
    end(r, &w);
}

void df_req_get_card_uid(struct df_request *r)
{
    df_req_plain(r, DF_CMD_GET_CARD_UID);
    r->expect_len = 7;
}

void df_req_authenticate(struct df_request *r, enum df_auth how, uint8_t key_no,
                         const struct df_key *key)
{
    static const enum df_cmd cmds[] = {
        [DF_AUTH_D40] = DF_CMD_AUTHENTICATE_D40,
        [DF_AUTH_ISO] = DF_CMD_AUTHENTICATE_ISO,
        [DF_AUTH_AES] = DF_CMD_AUTHENTICATE_AES,
        [DF_AUTH_EV2_FIRST] = DF_CMD_AUTHENTICATE_EV2_FIRST,
        [DF_AUTH_EV2_NONFIRST] = DF_CMD_AUTHENTICATE_EV2_NONFIRST,
    };
    b_check(how != DF_AUTH_NONE && how < B_COUNT(cmds));
    with_byte(r, cmds[how], key_no);
    /* EV2First: no capabilities of the reader are told (LenCap 0). */
    if (how == DF_AUTH_EV2_FIRST)
        r->head[r->head_len++] = 0;
    r->key_no = key_no;
    r->key = key;
}

void df_req_prove(struct df_request *r, enum df_auth how, uint8_t key_no,
                  const struct df_prover *prover)
{
    b_check(how == DF_AUTH_AES || how == DF_AUTH_EV2_FIRST);
    df_req_authenticate(r, how, key_no, NULL);
    r->prover = prover;
}

void df_req_select(struct df_request *r, df_aid aid)
{
    with_aid(r, DF_CMD_SELECT_APPLICATION, aid);
}

void df_req_select_two(struct df_request *r, df_aid aid, df_aid second)
{
    struct b_wr w = begin(r, DF_CMD_SELECT_APPLICATION, DF_COMM_PLAIN);
    b_wr_le24(&w, aid);
    b_wr_le24(&w, second);
    end(r, &w);
}

void df_req_iso_select_name(struct df_request *r, const uint8_t *name, size_t n)
{
    struct b_wr w = begin(r, DF_CMD_ISO_SELECT_NAME, DF_COMM_PLAIN);
    b_check(n <= DF_DF_NAME_MAX);
    b_wr_bytes(&w, name, n);
    end(r, &w);
}

void df_req_iso_select_file(struct df_request *r, uint16_t fid)
{
    struct b_wr w = begin(r, DF_CMD_ISO_SELECT_FILE, DF_COMM_PLAIN);
    b_wr_be16(&w, fid);
    end(r, &w);
}

void df_req_create_application(struct df_request *r, const struct df_app_spec *spec)
{
    struct b_wr w = begin(r, DF_CMD_CREATE_APPLICATION, DF_COMM_PLAIN);
    uint8_t iso = spec->has_iso ? 0x20 : 0;
    uint8_t sets = spec->key_sets > 0 ? 0x10 : 0;
    b_wr_le24(&w, spec->aid);
    b_wr_u8(&w, spec->settings);
    b_wr_u8(&w, (uint8_t)(spec->type | iso | sets | (spec->key_count & 15)));
    if (spec->key_sets > 0) {
        b_wr_u8(&w, 0x01); /* KeySett3: key sets are present */
        b_wr_u8(&w, spec->key_set_version);
        b_wr_u8(&w, spec->key_sets);
        b_wr_u8(&w, spec->key_set_max_size);
        b_wr_u8(&w, spec->key_set_settings);
    }
    if (spec->has_iso)
        b_wr_le16(&w, spec->iso_fid);
    b_check(spec->df_name_len <= DF_DF_NAME_MAX);
    b_wr_bytes(&w, spec->df_name, spec->df_name_len);
    end(r, &w);
}

void df_req_delete_application(struct df_request *r, df_aid aid)
{
    with_aid(r, DF_CMD_DELETE_APPLICATION, aid);
}

void df_req_set_configuration(struct df_request *r, uint8_t option, const void *data, size_t n)
{
    with_byte(r, DF_CMD_SET_CONFIGURATION, option);
    with_small(r, data, n);
}

void df_req_change_key_settings(struct df_request *r, uint8_t settings)
{
    df_req_plain(r, DF_CMD_CHANGE_KEY_SETTINGS);
    with_small(r, &settings, 1);
}

void df_req_get_key_version(struct df_request *r, uint8_t key_no)
{
    with_byte(r, DF_CMD_GET_KEY_VERSION, key_no);
}

void df_req_get_key_set_version(struct df_request *r, uint8_t key_no, uint8_t set)
{
    struct b_wr w = begin(r, DF_CMD_GET_KEY_VERSION, DF_COMM_PLAIN);
    b_wr_u8(&w, (uint8_t)(key_no | 0x40)); /* bit 6: a key set number follows */
    b_wr_u8(&w, set);
    end(r, &w);
}

void df_req_change_key(struct df_request *r, uint8_t key_no, const struct df_key *new_key,
                       const struct df_key *old_key)
{
    with_byte(r, DF_CMD_CHANGE_KEY, key_no);
    r->key_no = key_no;
    r->key = new_key;
    r->old_key = old_key;
}

void df_req_change_key_ev2(struct df_request *r, uint8_t set, uint8_t key_no,
                           const struct df_key *new_key, const struct df_key *old_key)
{
    struct b_wr w = begin(r, DF_CMD_CHANGE_KEY_EV2, DF_COMM_PLAIN);
    b_wr_u8(&w, set);
    b_wr_u8(&w, key_no);
    end(r, &w);
    r->key_no = key_no;
    r->key = new_key;
    r->old_key = old_key;
}

void df_req_initialize_key_set(struct df_request *r, uint8_t set, enum df_key_type type)
{
    struct b_wr w = begin(r, DF_CMD_INITIALIZE_KEY_SET, DF_COMM_PLAIN);
    b_wr_u8(&w, set);
    b_wr_u8(&w, type == DF_KEY_AES ? 0x02 : type == DF_KEY_3K3DES ? 0x01 : 0x00);
    end(r, &w);
}

void df_req_finalize_key_set(struct df_request *r, uint8_t set, uint8_t version)
{
    struct b_wr w = begin(r, DF_CMD_FINALIZE_KEY_SET, DF_COMM_PLAIN);
    b_wr_u8(&w, set);
    b_wr_u8(&w, version);
    end(r, &w);
}

void df_req_roll_key_set(struct df_request *r, uint8_t set)
{
    with_byte(r, DF_CMD_ROLL_KEY_SET, set);
}

void df_req_create_file(struct df_request *r, uint8_t file, const struct df_file_settings *s)
{
    static const enum df_cmd cmds[] = {
        [DF_FILE_STANDARD] = DF_CMD_CREATE_STD_DATA_FILE,
        [DF_FILE_BACKUP] = DF_CMD_CREATE_BACKUP_DATA_FILE,
        [DF_FILE_VALUE] = DF_CMD_CREATE_VALUE_FILE,
        [DF_FILE_LINEAR] = DF_CMD_CREATE_LINEAR_RECORD_FILE,
        [DF_FILE_CYCLIC] = DF_CMD_CREATE_CYCLIC_RECORD_FILE,
    };
    b_check(s->type < B_COUNT(cmds));
    struct b_wr w = begin(r, cmds[s->type], DF_COMM_PLAIN);
    b_wr_u8(&w, file);
    if (s->has_iso && s->type != DF_FILE_VALUE)
        b_wr_le16(&w, s->iso_fid);
    b_wr_u8(&w, (uint8_t)((s->option & 0xFC) | s->comm));
    b_wr_le16(&w, df_rights_pack(s->rights));
    if (s->type == DF_FILE_STANDARD || s->type == DF_FILE_BACKUP) {
        b_wr_le24(&w, s->size);
    } else if (s->type == DF_FILE_VALUE) {
        b_wr_le32(&w, (uint32_t)s->lower);
        b_wr_le32(&w, (uint32_t)s->upper);
        b_wr_le32(&w, (uint32_t)s->value);
        b_wr_u8(&w, s->limited_credit);
    } else {
        b_wr_le24(&w, s->record_size);
        b_wr_le24(&w, s->record_max);
    }
    end(r, &w);
}

void df_req_delete_file(struct df_request *r, uint8_t file)
{
    with_byte(r, DF_CMD_DELETE_FILE, file);
}

void df_req_get_file_settings(struct df_request *r, uint8_t file)
{
    with_byte(r, DF_CMD_GET_FILE_SETTINGS, file);
}

void df_req_change_file_settings(struct df_request *r, uint8_t file, enum df_comm comm,
                                 struct df_rights rights, bool plain)
{
    uint16_t packed = df_rights_pack(rights);
    uint8_t data[3] = {(uint8_t)comm, (uint8_t)packed, (uint8_t)(packed >> 8)};
    with_byte(r, DF_CMD_CHANGE_FILE_SETTINGS, file);
    with_small(r, data, sizeof(data));
    r->comm = plain ? DF_COMM_PLAIN : DF_COMM_FULL;
}

/* File, then two 3-byte numbers: what most data commands start with. */
static void with_range(struct df_request *r, enum df_cmd cmd, uint8_t file, uint32_t first,
                       uint32_t length, enum df_comm comm)
{
    struct b_wr w = begin(r, cmd, comm);
    b_wr_u8(&w, file);
    b_wr_le24(&w, first);
    b_wr_le24(&w, length);
    end(r, &w);
}

void df_req_read_data(struct df_request *r, uint8_t file, uint32_t offset, uint32_t length,
                      enum df_comm comm)
{
    with_range(r, DF_CMD_READ_DATA, file, offset, length, comm);
    r->expect_len = length;
}

void df_req_write_data(struct df_request *r, uint8_t file, uint32_t offset, const uint8_t *data,
                       size_t n, enum df_comm comm)
{
    with_range(r, DF_CMD_WRITE_DATA, file, offset, (uint32_t)n, comm);
    with_data(r, data, n);
}

void df_req_get_value(struct df_request *r, uint8_t file, enum df_comm comm)
{
    with_byte(r, DF_CMD_GET_VALUE, file);
    r->comm = comm;
    r->expect_len = 4;
}

void df_req_change_value(struct df_request *r, enum df_cmd cmd, uint8_t file, int32_t amount,
                         enum df_comm comm)
{
    with_byte(r, cmd, file);
    r->comm = comm;
    struct b_wr w = b_wr_from(r->small, sizeof(r->small));
    b_wr_le32(&w, (uint32_t)amount);
    r->data_len = w.len;
}

void df_req_read_records(struct df_request *r, uint8_t file, uint32_t first, uint32_t count,
                         uint32_t record_size, enum df_comm comm)
{
    with_range(r, DF_CMD_READ_RECORDS, file, first, count, comm);
    r->expect_len = (size_t)count * record_size;
}

void df_req_write_record(struct df_request *r, uint8_t file, uint32_t offset, const uint8_t *data,
                         size_t n, enum df_comm comm)
{
    with_range(r, DF_CMD_WRITE_RECORD, file, offset, (uint32_t)n, comm);
    with_data(r, data, n);
}

void df_req_update_record(struct df_request *r, uint8_t file, uint32_t record, uint32_t offset,
                          const uint8_t *data, size_t n, enum df_comm comm)
{
    struct b_wr w = begin(r, DF_CMD_UPDATE_RECORD, comm);
    b_wr_u8(&w, file);
    b_wr_le24(&w, record);
    b_wr_le24(&w, offset);
    b_wr_le24(&w, (uint32_t)n);
    end(r, &w);
    with_data(r, data, n);
}

void df_req_clear_records(struct df_request *r, uint8_t file)
{
    with_byte(r, DF_CMD_CLEAR_RECORD_FILE, file);
}

void df_req_read_signature(struct df_request *r)
{
    with_byte(r, DF_CMD_READ_SIGNATURE, 0x00);
    r->expect_len = 56;
}

void df_req_proximity_round(struct df_request *r, const uint8_t *challenge, size_t n)
{
    struct b_wr w = begin(r, DF_CMD_PROXIMITY_CHECK, DF_COMM_PLAIN);
    b_check(n >= 1 && n <= 8);
    b_wr_u8(&w, (uint8_t)n);
    b_wr_bytes(&w, challenge, n);
    end(r, &w);
}

void df_req_verify_proximity(struct df_request *r, const uint8_t mac[static 8])
{
    struct b_wr w = begin(r, DF_CMD_VERIFY_PC, DF_COMM_PLAIN);
    b_wr_bytes(&w, mac, 8);
    end(r, &w);
}
