/* The rows of cmd.def and sw.def, and what can be checked of them when this is compiled. */
#include "desfire/cmd.h"

#define DF_CMD(name, ins, text, level, since, command, answer, head, min, max, need, args, fields, \
               us)                                                                                 \
    {text, args, fields, us, min, max, ins, head, level, since, command, answer, need},
static const struct df_cmd_row rows[] = {
#include "desfire/cmd.def"
};
#undef DF_CMD
static_assert(B_COUNT(rows) == DF_CMD_COUNT, "one row per command");

/* A command is at most a file of 8 KB and its header; what is never encrypted must come first and
 * fit; only commands with data may be FULL; ISO commands are outside the session. */
#define DF_CMD(name, ins, text, level, since, command, answer, head, min, max, need, args, fields, \
               us)                                                                                 \
    static_assert((ins) > 0 && (ins) <= 0xFF, #name ": INS is a byte");                            \
    static_assert((min) <= (max) && (max) <= 8192 + 10, #name ": lengths");                        \
    static_assert((head) == DF_HEAD_ALL || (head) <= (min), #name ": header within the shortest"); \
    static_assert((command) != DF_MODE_FULL || (head) != DF_HEAD_ALL,                              \
                  #name ": nothing to encrypt");                                                   \
    static_assert((command) != DF_MODE_FILE_SENT || (head) != DF_HEAD_ALL, #name ": no data");     \
    static_assert((answer) != DF_MODE_KEY && (answer) != DF_MODE_MAC_SENT, #name ": answer");      \
    static_assert(((command) == DF_MODE_NONE) == ((answer) == DF_MODE_NONE), #name ": one side");  \
    static_assert((level) != DF_AT_ISO || (command) == DF_MODE_NONE, #name ": ISO");               \
    static_assert((us) > 0 && (us) < 1000000, #name ": time");
#include "desfire/cmd.def"
#undef DF_CMD

const struct df_cmd_row *df_cmd_row(enum df_cmd cmd)
{
    b_check(cmd < DF_CMD_COUNT);
    return &rows[cmd];
}

const char *df_cmd_name(enum df_cmd cmd)
{
    return cmd < DF_CMD_COUNT ? rows[cmd].text : "?";
}

enum df_cmd df_cmd_find(bool is_iso, uint8_t ins, uint8_t p1)
{
    if (is_iso && ins == rows[DF_CMD_ISO_SELECT_NAME].ins)
        return p1 == 0x04 ? DF_CMD_ISO_SELECT_NAME : DF_CMD_ISO_SELECT_FILE;
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        if (rows[i].ins == ins && (rows[i].level == DF_AT_ISO) == is_iso)
            return (enum df_cmd)i;
    }
    return DF_CMD_COUNT;
}

#define DF_SW(name, value, stays, react, text) {#name, text, value, stays, react},
static const struct df_sw_row statuses[] = {
#include "desfire/sw.def"
};
#undef DF_SW

const struct df_sw_row *df_sw_row(uint8_t sw)
{
    for (size_t i = 0; i < B_COUNT(statuses); i++) {
        if (statuses[i].value == sw)
            return &statuses[i];
    }
    return NULL;
}

const char *df_sw_name(uint8_t sw)
{
    const struct df_sw_row *row = df_sw_row(sw);
    return row != NULL ? row->name : "?";
}

const char *df_ev_name(enum df_ev ev)
{
    static const char *const names[] = {"D40", "EV1", "EV2", "EV3"};
    return ev <= DF_EV3 ? names[ev] : "?";
}

size_t df_key_size(enum df_key_type type)
{
    return type == DF_KEY_3K3DES ? 24 : 16;
}
