/* Between the files of the card's side. */
#ifndef TESSERE_DESFIRE_PICC_INT_H
#define TESSERE_DESFIRE_PICC_INT_H

#include "desfire/pcd.h"
#include "desfire/picc.h"
#include "desfire/wire.h"

/* A command that arrived whole, opened and permitted. */
struct picc_call {
    enum df_cmd cmd;
    struct b_rd head; /* parameters that are never encrypted */
    struct b_rd data; /* the rest, plain */
    uint8_t *body;    /* the protected parameters, for key changes */
    size_t body_len;
    struct b_wr *out; /* plain answer */
};
typedef uint8_t picc_handler(struct df_picc *p, struct picc_call *call);

/* picc_app.c */
picc_handler picc_get_version, picc_select_application, picc_create_application,
    picc_delete_application, picc_get_application_ids, picc_format, picc_free_memory,
    picc_get_card_uid, picc_set_configuration, picc_read_signature;
struct picc_app *picc_find_app(struct df_picc *p, df_aid aid);
void picc_select(struct df_picc *p, struct picc_app *app);
/* Takes or gives back memory in blocks; false when there is not enough. */
bool picc_take_memory(struct df_picc *p, size_t bytes);
void picc_give_memory(struct df_picc *p, size_t bytes);
/* Memory that an application takes, without its files. */
size_t picc_app_bytes(const struct picc_app *app);
/* Writes one frame of GetDFNames for the application at or behind p->name_at; false: none left. */
bool picc_next_df_name(struct df_picc *p, struct b_wr *out);

/* picc_key.c */
picc_handler picc_get_key_settings, picc_change_key_settings, picc_get_key_version, picc_change_key,
    picc_initialize_key_set, picc_finalize_key_set, picc_roll_key_set;
/* The key `no` that authentications use at the selected level, as df_key; false: none. */
bool picc_key_at(const struct df_picc *p, uint8_t no, struct df_key *ret);
uint8_t picc_pool_index(const struct picc_app *app, uint8_t set);

/* picc_auth.c */
uint8_t picc_authenticate(struct df_picc *p, enum df_cmd cmd, struct b_rd params, struct b_wr *out);
uint8_t picc_authenticate_go_on(struct df_picc *p, struct b_rd token, struct b_wr *out);
picc_handler picc_prepare_pc, picc_proximity_check, picc_verify_pc;
bool picc_is_authenticated(const struct df_picc *p);
bool picc_is_master(const struct df_picc *p);
/* Whether the need of a command is met; the status to answer otherwise. */
uint8_t picc_need(const struct df_picc *p, enum df_need need);

/* picc_file.c */
picc_handler picc_get_file_ids, picc_get_iso_file_ids, picc_get_file_settings,
    picc_change_file_settings, picc_create_file, picc_delete_file;
/* Memory that a file takes; removal of its data. */
size_t picc_file_bytes(const struct picc_file *f);
void picc_remove_data(struct df_picc *p, struct picc_file *f);
struct picc_file *picc_find_file(struct df_picc *p, uint8_t no);

/* picc_data.c */
picc_handler picc_read_data, picc_write_data, picc_get_value, picc_change_value, picc_read_records,
    picc_write_record, picc_update_record, picc_clear_records, picc_commit, picc_abort;
enum picc_use {
    PICC_USE_READ,
    PICC_USE_WRITE,
    PICC_USE_VALUE,
    PICC_USE_LIMITED,
    PICC_USE_CREDIT,
    PICC_USE_CHANGE
};
/* Whether the session may use the file so: DF_SW_OK, or the status to answer. ret_free: only the
 * free right allows it, so that it runs in plain. */
uint8_t picc_may(const struct df_picc *p, const struct picc_file *f, enum picc_use use,
                 bool *ret_free);
uint8_t picc_read_range(struct df_picc *p, const struct picc_file *f, uint32_t offset, uint32_t n,
                        struct b_wr *out);
uint8_t picc_write_range(struct df_picc *p, struct picc_file *f, uint32_t offset, struct b_rd data);
void picc_drop_transaction(struct df_picc *p);

/* picc_iso.c */
void picc_iso_step(struct df_picc *p, const struct df_capdu *c, struct b_wr *rapdu);

#endif
