/*
 * struct df_picc: a card's memory and the session it is in. Content private to src/desfire.
 *
 * What is non-volatile stands in struct picc_memory, and only there: it is what an image keeps and
 * what df_picc_power leaves alone. Everything else is gone when the field is.
 */
#include "desfire/picc.h" /* before the guard: it includes this file where it needs it */

#ifndef TESSERE_DESFIRE_PICC_STATE_H
#define TESSERE_DESFIRE_PICC_STATE_H

#include "desfire/sm.h"

enum {
    PICC_APPS = 32, /* EV1 takes 28 (MF3ICDx21 short data sheet); EV2 and later as many as
                       memory holds, here 32 */
    PICC_APPS_EV1 = 28,
    PICC_FILES = 32,
    PICC_KEYS = 14,
    PICC_KEY_POOL = 512,
    PICC_DATA = 8192,
    PICC_BLOCK = 32, /* memory is handed out in blocks of 32 bytes */
    PICC_ATS_MAX = 20,
    PICC_RIGHTS_MAX = 7, /* additional access rights of a file */
    PICC_BUFFER = 8192 + 64,
};

struct picc_key {
    uint8_t version;
    uint8_t bytes[DF_KEY_BYTES_MAX];
};

struct picc_file {
    bool is_used;
    uint8_t no;
    struct df_file_settings settings; /* record_count is the committed number */
    uint16_t first_record;            /* index of the oldest */
    int32_t limited;                  /* value file: what LimitedCredit may still give back */
    uint16_t data_at, data_len;       /* in picc_memory.data */
};

struct picc_app {
    bool is_used;
    df_aid aid;
    uint8_t settings; /* KeySett1 */
    enum df_key_type type;
    uint8_t key_count;
    bool has_iso_files;
    bool has_iso_fid;
    uint16_t iso_fid;
    uint8_t df_name[DF_DF_NAME_MAX];
    uint8_t df_name_len;
    bool has_key_sets;
    uint8_t key_sets;   /* 1 when there are none */
    uint8_t active_set; /* position in the pool of what is set 0 now */
    uint8_t max_key_size, set_settings;
    uint8_t set_version[16];
    uint8_t set_type[16]; /* enum df_key_type; 0xFF: not initialised */
    uint16_t set_state;   /* bit n: set n is finalised */
    uint16_t first_key;   /* in picc_memory.keys: key_sets times key_count */
    struct picc_file files[PICC_FILES];
};

struct picc_memory {
    struct df_personality personality;
    uint8_t batch[5], week, year;
    uint8_t sw_major, sw_minor;
    uint8_t settings; /* KeySett1 of the card */
    enum df_key_type key_type;
    struct picc_key master;
    struct picc_key default_key; /* 24 bytes and version of new applications' keys */
    struct picc_key proximity;   /* key 21 */
    uint8_t config;              /* SetConfiguration option 0 */
    uint8_t messaging;           /* option 4, byte 1: b0 no D40, b1 no EV1 */
    uint8_t ats[PICC_ATS_MAX];
    uint8_t ats_len;
    uint32_t used; /* bytes taken, in whole blocks */
    uint16_t data_used, keys_used;
    struct picc_app apps[PICC_APPS];
    struct picc_key keys[PICC_KEY_POOL];
    uint8_t data[PICC_DATA];
};

enum picc_chain {
    PICC_CHAIN_NONE,
    PICC_CHAIN_COMMAND,   /* more frames of a command are wanted */
    PICC_CHAIN_ANSWER,    /* more frames of an answer wait */
    PICC_CHAIN_NAMES,     /* GetDFNames: one application per frame */
    PICC_CHAIN_HANDSHAKE, /* the second message of an authentication is wanted */
};

struct df_picc {
    struct picc_memory mem;
    bool is_dirty;
    struct df_random random;
    uint8_t random_uid[4];
    struct picc_app *app;    /* selected, NULL: the card itself */
    struct picc_app *second; /* the other one of a shared selection */
    struct picc_file *iso_file;
    struct df_sm sm;
    struct df_handshake handshake;
    uint8_t caps[6]; /* PCDcap2 of AuthenticateEV2First */
    uint8_t iso_challenge[16];
    uint8_t iso_step;
    /* The command or answer that goes over in frames. */
    enum picc_chain chain;
    enum df_cmd cmd;
    uint8_t body[PICC_BUFFER]; /* parameters, as their frames come */
    size_t have, want, sent;
    uint8_t answer[PICC_BUFFER];
    size_t answer_len;
    uint8_t final_sw;
    uint8_t name_at; /* next application of GetDFNames */
    /* The open transaction of the selected application. */
    bool has_transaction;
    struct picc_file shadow_files[PICC_FILES];
    bool is_touched[PICC_FILES]; /* changed by this transaction */
    bool has_record[PICC_FILES]; /* a record is being written */
    bool is_cleared[PICC_FILES];
    uint8_t shadow[PICC_DATA];
    /* Proximity check. */
    uint8_t pc_step, pc_len;
    uint8_t pc_transcript[64];
};

#endif
