/*
 * The facts of cmd.def and sw.def as rows, for both sides, the tracer and the tests.
 * Private to src/desfire (and to its tests and fuzzers).
 */
#ifndef TESSERE_DESFIRE_CMD_H
#define TESSERE_DESFIRE_CMD_H

#include "desfire/desfire.h"

enum df_level { DF_AT_ANY, DF_AT_CARD, DF_AT_APP, DF_AT_ISO };

/* How a message is protected once a session runs. "MAC" on EV1 means that the CMAC runs over it
 * and changes the IV; SENT that its first 8 bytes go over the air too. On EV2 every MAC is sent.
 * On D40 only the messages of FILE, FULL and KEY are protected. */
enum df_mode {
    DF_MODE_NONE,      /* outside the session: never protected, not counted */
    DF_MODE_MAC,       /* EV1: not sent with commands, sent with answers */
    DF_MODE_MAC_SENT,  /* commands only: EV1 sends it */
    DF_MODE_FILE,      /* as the request's (file's) communication mode says; EV1 does not send the
                          command's MAC */
    DF_MODE_FILE_SENT, /* commands with data: the same, and EV1 sends the MAC in MAC mode */
    DF_MODE_FILE_MAC,  /* answers without data: MACed unless the mode is plain */
    DF_MODE_FULL,
    DF_MODE_KEY, /* the cryptogram of ChangeKey */
};

/* Who may use a command. The bits are those of KeySett1. */
enum df_need {
    DF_NEED_NONE,
    DF_NEED_ANY_KEY,    /* authenticated with whatever key */
    DF_NEED_MASTER,     /* key 0 of the selected level */
    DF_NEED_LIST,       /* key 0 unless bit 1 */
    DF_NEED_CREATE,     /* key 0 unless bit 2 */
    DF_NEED_DELETE,     /* key 0 of the card, or of the application where allowed */
    DF_NEED_CHANGE_KEY, /* bits 7..4 */
    DF_NEED_ROLL,       /* the roll key of the application's key sets */
    DF_NEED_FILE,       /* the file's rights */
};

struct df_cmd_row {
    const char *text;   /* "GetVersion" */
    const char *args;   /* layout of the parameters: cmd.def says how it reads */
    const char *fields; /* layout of the answer */
    uint32_t typical_us;
    uint16_t min, max;
    uint8_t ins;
    uint8_t head; /* DF_HEAD_ALL: everything */
    enum df_level level;
    enum df_ev since;
    enum df_mode command, answer;
    enum df_need need;
};
enum { DF_HEAD_ALL = 255 };

const struct df_cmd_row *df_cmd_row(enum df_cmd cmd);
/* The row of a native (is_iso false) or ISO instruction; DF_CMD_COUNT when there is none. p1 tells
 * the two forms of ISO SELECT apart. */
enum df_cmd df_cmd_find(bool is_iso, uint8_t ins, uint8_t p1);

enum df_react { DF_REACT_OK, DF_REACT_MORE, DF_REACT_FAIL, DF_REACT_AUTH, DF_REACT_FULL };
struct df_sw_row {
    const char *name; /* "AUTHENTICATION_ERROR" */
    const char *text;
    uint8_t value;
    bool stays; /* the session survives */
    enum df_react react;
};
/* NULL for a byte that is not in sw.def. */
const struct df_sw_row *df_sw_row(uint8_t sw);

#endif
