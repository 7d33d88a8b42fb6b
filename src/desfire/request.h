/*
 * What a PCD can ask of a card, and what the answers mean. A request is built by a df_req_*
 * function, given to df_pcd_start, and lives as long as the exchange. Data and keys are borrowed.
 */
#ifndef TESSERE_DESFIRE_REQUEST_H
#define TESSERE_DESFIRE_REQUEST_H

#include "desfire/desfire.h"

enum { DF_REQ_HEAD_MAX = 64, DF_DF_NAME_MAX = 16, DF_FILE_MAX = 32, DF_APP_MAX = 64 };

/* Authenticates for a reader that does not have the key: both of its halves, as in desfire/prove.h,
 * for AES and EV2First. What fails is told in err; B_E_CARD_AUTH when the answer proves nothing. */
struct df_prover {
    enum b_code (*frame)(void *ctx, enum df_auth how, const uint8_t challenge[static 16],
                         uint8_t frame[static 32], struct b_err *err);
    enum b_code (*check)(void *ctx, enum df_auth how, struct b_rd answer, struct b_err *err);
    void *ctx;
};

struct df_request {
    enum df_cmd cmd;
    uint8_t head[DF_REQ_HEAD_MAX]; /* parameters that are never encrypted */
    uint8_t head_len;
    uint8_t small[DF_REQ_HEAD_MAX]; /* room for short data, so that it need not be lent */
    const uint8_t *data;            /* borrowed, or NULL: in small. Encrypted in full mode */
    size_t data_len;
    enum df_comm comm;              /* for file commands: the file's mode */
    uint8_t key_no;                 /* authentications and key changes */
    const struct df_key *key;       /* authentications: the key. ChangeKey: the new key */
    const struct df_key *old_key;   /* ChangeKey of another key than the session's; else NULL */
    const struct df_prover *prover; /* authentications: in place of the key, or NULL */
    size_t expect_len; /* length of the plain answer when the caller knows it, else 0 */
};

struct df_version {
    uint8_t hw_vendor, hw_type, hw_subtype, hw_major, hw_minor, hw_storage, hw_protocol;
    uint8_t sw_vendor, sw_type, sw_subtype, sw_major, sw_minor, sw_storage, sw_protocol;
    uint8_t uid[7];
    uint8_t batch[5];
    uint8_t week, year; /* BCD */
};
/* EV level by the hardware's major version; DF_EV_D40 for 0. */
enum df_ev df_version_ev(const struct df_version *v);
/* Bytes of memory by the storage code (0x1A is 8192). */
uint32_t df_storage_bytes(uint8_t code);

struct df_app_spec {
    df_aid aid;
    uint8_t settings; /* KeySett1 */
    enum df_key_type type;
    uint8_t key_count; /* 1..14 */
    bool has_iso;      /* with ISO file ids in the application */
    uint16_t iso_fid;
    uint8_t df_name[DF_DF_NAME_MAX];
    uint8_t df_name_len; /* 0: none */
    uint8_t key_sets;    /* 0: no key sets (KeySett3 absent); else 2..16, EV2 and later */
    uint8_t key_set_version;
    uint8_t key_set_max_size;
    uint8_t key_set_settings;
};

struct df_key_settings {
    uint8_t settings;
    enum df_key_type type;
    uint8_t key_count;
    bool has_iso;
    uint8_t key_sets; /* 0 when the application has none */
    uint8_t key_set_version, key_set_max_size, key_set_settings;
};

enum df_file_type {
    DF_FILE_STANDARD = 0,
    DF_FILE_BACKUP = 1,
    DF_FILE_VALUE = 2,
    DF_FILE_LINEAR = 3,
    DF_FILE_CYCLIC = 4,
    DF_FILE_TMAC = 5,
};

/* Rights: key number 0..13, or these. */
enum { DF_RIGHT_FREE = 0xE, DF_RIGHT_NEVER = 0xF };
struct df_rights {
    uint8_t read, write, read_write, change;
};
uint16_t df_rights_pack(struct df_rights r);
struct df_rights df_rights_unpack(uint16_t v);

struct df_file_settings {
    enum df_file_type type;
    uint8_t option; /* the wire byte: communication mode in b1..0 */
    enum df_comm comm;
    struct df_rights rights;
    bool has_iso;
    uint16_t iso_fid;
    uint32_t size;               /* standard, backup */
    int32_t lower, upper, value; /* value file; value is the limited-credit value when read */
    uint8_t limited_credit;      /* wire byte: b0 limited credit, b1 free GetValue */
    uint32_t record_size, record_max, record_count;
};

/* Builders. Each fills *r whole. */
void df_req_plain(struct df_request *r, enum df_cmd cmd);
/* GetCardUID: 7 bytes. Its length is known, and must be: under EV1 messaging a UID that ends in a
 * zero can be read as a shorter one with another padding, for one UID in 65536. */
void df_req_get_card_uid(struct df_request *r); /* commands without parameters */
void df_req_authenticate(struct df_request *r, enum df_auth how, uint8_t key_no,
                         const struct df_key *key);
/* No session runs after it: that needs the key. */
void df_req_prove(struct df_request *r, enum df_auth how, uint8_t key_no,
                  const struct df_prover *prover);
void df_req_select(struct df_request *r, df_aid aid);
void df_req_select_two(struct df_request *r, df_aid aid, df_aid second);
void df_req_iso_select_name(struct df_request *r, const uint8_t *name, size_t n);
void df_req_iso_select_file(struct df_request *r, uint16_t fid);
void df_req_create_application(struct df_request *r, const struct df_app_spec *spec);
void df_req_delete_application(struct df_request *r, df_aid aid);
void df_req_set_configuration(struct df_request *r, uint8_t option, const void *data, size_t n);
void df_req_change_key_settings(struct df_request *r, uint8_t settings);
void df_req_get_key_version(struct df_request *r, uint8_t key_no);
/* Versions of a key in a key set (EV2), or, with set 0x80 and key_no 0x40, of all key sets. */
void df_req_get_key_set_version(struct df_request *r, uint8_t key_no, uint8_t set);
/* old_key: NULL when key_no is the key of the session. At card level the new key's type is put
 * into the key number as the card wants it. */
void df_req_change_key(struct df_request *r, uint8_t key_no, const struct df_key *new_key,
                       const struct df_key *old_key);
void df_req_change_key_ev2(struct df_request *r, uint8_t set, uint8_t key_no,
                           const struct df_key *new_key, const struct df_key *old_key);
void df_req_initialize_key_set(struct df_request *r, uint8_t set, enum df_key_type type);
void df_req_finalize_key_set(struct df_request *r, uint8_t set, uint8_t version);
void df_req_roll_key_set(struct df_request *r, uint8_t set);
void df_req_create_file(struct df_request *r, uint8_t file, const struct df_file_settings *s);
void df_req_delete_file(struct df_request *r, uint8_t file);
void df_req_get_file_settings(struct df_request *r, uint8_t file);
/* plain: the change right is free (0xE) and no session key stands for it. */
void df_req_change_file_settings(struct df_request *r, uint8_t file, enum df_comm comm,
                                 struct df_rights rights, bool plain);
void df_req_read_data(struct df_request *r, uint8_t file, uint32_t offset, uint32_t length,
                      enum df_comm comm);
void df_req_write_data(struct df_request *r, uint8_t file, uint32_t offset, const uint8_t *data,
                       size_t n, enum df_comm comm);
void df_req_get_value(struct df_request *r, uint8_t file, enum df_comm comm);
/* cmd: DF_CMD_CREDIT, DF_CMD_DEBIT or DF_CMD_LIMITED_CREDIT. */
void df_req_change_value(struct df_request *r, enum df_cmd cmd, uint8_t file, int32_t amount,
                         enum df_comm comm);
void df_req_read_records(struct df_request *r, uint8_t file, uint32_t first, uint32_t count,
                         uint32_t record_size, enum df_comm comm);
void df_req_write_record(struct df_request *r, uint8_t file, uint32_t offset, const uint8_t *data,
                         size_t n, enum df_comm comm);
void df_req_update_record(struct df_request *r, uint8_t file, uint32_t record, uint32_t offset,
                          const uint8_t *data, size_t n, enum df_comm comm);
void df_req_clear_records(struct df_request *r, uint8_t file);
void df_req_read_signature(struct df_request *r);
void df_req_proximity_round(struct df_request *r, const uint8_t *challenge, size_t n);
void df_req_verify_proximity(struct df_request *r, const uint8_t mac[static 8]);

/* Decoders of plain answers; false when the bytes are not what the command answers. */
B_NODISCARD bool df_rsp_version(struct b_rd in, struct df_version *ret);
B_NODISCARD bool df_rsp_application_ids(struct b_rd in, df_aid *ids, size_t cap, size_t *ret_count);
B_NODISCARD bool df_rsp_file_ids(struct b_rd in, uint8_t *ids, size_t cap, size_t *ret_count);
B_NODISCARD bool df_rsp_key_settings(struct b_rd in, struct df_key_settings *ret);
B_NODISCARD bool df_rsp_file_settings(struct b_rd in, struct df_file_settings *ret);
B_NODISCARD bool df_rsp_free_memory(struct b_rd in, uint32_t *ret_bytes);
B_NODISCARD bool df_rsp_value(struct b_rd in, int32_t *ret);
/* One application of GetDFNames' answer: each frame is a record, given one after the other with a
 * length byte before it in the reassembled answer. */
struct df_df_name {
    df_aid aid;
    uint16_t iso_fid;
    uint8_t name[DF_DF_NAME_MAX];
    uint8_t name_len;
};
B_NODISCARD bool df_rsp_df_names(struct b_rd in, struct df_df_name *names, size_t cap,
                                 size_t *ret_count);

/* ECDSA check of ReadSig's 56 bytes over the UID with NXP's published keys (or the given one).
 * Returns a name of the product line whose key verifies ("EV1", "EV2", ...), or NULL. */
const char *df_originality(const uint8_t uid[static 7], const uint8_t signature[static 56]);

#endif
