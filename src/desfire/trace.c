/* Prints exchanges by the layouts of cmd.def. It holds no key, so what is enciphered is a length;
 * so are file data and challenges, unless the caller asked to see them. */
#include "desfire/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "desfire/cmd.h"
#include "desfire/wire.h"

enum { MAC_LEN = 8, WORD_MAX = 24 };

struct line {
    char *p;
    size_t len, cap;
};

static struct line line_from(char *p, size_t cap)
{
    b_check(cap > 0);
    p[0] = '\0';
    return (struct line){.p = p, .cap = cap};
}

B_PRINTF(2, 3) static void put(struct line *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(l->p + l->len, l->cap - l->len, fmt, args);
    va_end(args);
    if (n > 0)
        l->len = (size_t)n < l->cap - l->len ? l->len + (size_t)n : l->cap - 1;
}

static void put_hex(struct line *l, struct b_rd r)
{
    while (r.left > 0)
        put(l, "%02X", b_rd_u8(&r));
}

static void put_hidden(struct line *l, const char *name, struct b_rd r, bool is_shown)
{
    if (r.left == 0)
        return;
    put(l, " %s=", name);
    if (is_shown)
        put_hex(l, r);
    else
        put(l, "[%zu bytes]", r.left);
}

/* One word of a layout: [?+]name=kind. */
struct word {
    char name[WORD_MAX];
    char kind[WORD_MAX];
    bool is_optional, is_repeated;
    const char *next; /* the word after it; the same word when repeated */
};

static void copy_part(char *out, const char *from, size_t n)
{
    b_check(n < WORD_MAX);
    memcpy(out, from, n);
    out[n] = '\0';
}

static bool read_word(const char *layout, struct word *ret)
{
    const char *start = layout + strspn(layout, " ");
    if (*start == '\0')
        return false;
    const char *p = start;
    ret->is_optional = *p == '?';
    ret->is_repeated = *p == '+';
    if (ret->is_optional || ret->is_repeated)
        p++;
    size_t n = strcspn(p, "=");
    copy_part(ret->name, p, n);
    p += n + 1;
    n = strcspn(p, " ");
    copy_part(ret->kind, p, n);
    ret->next = ret->is_repeated ? start : p + n;
    return true;
}

/* Bytes of a kind; 0: all the rest. */
static size_t size_of(const char *kind)
{
    if (strcmp(kind, "aid") == 0)
        return 3;
    if (strcmp(kind, "key") == 0)
        return 1;
    if (strcmp(kind, "rights") == 0)
        return 2;
    bool has_size = kind[0] == 'u' || kind[0] == 'i' || kind[0] == 'x';
    return has_size && kind[1] != '\0' ? (size_t)(kind[1] - '0') : 0;
}

static void put_key(struct line *l, uint8_t key)
{
    put(l, "%u", key & 0x3Fu);
    if ((key & 0xC0) == DF_KEY_AES)
        put(l, "(AES)");
    else if ((key & 0xC0) == DF_KEY_3K3DES)
        put(l, "(3K3DES or set)");
}

static void put_value(struct line *l, const char *kind, struct b_rd r)
{
    if (strcmp(kind, "aid") == 0) {
        put(l, "%06X", (unsigned)b_rd_le24(&r));
    } else if (strcmp(kind, "key") == 0) {
        put_key(l, b_rd_u8(&r));
    } else if (strcmp(kind, "rights") == 0) {
        /* Read/write/read and write/change; E is free, F never. */
        unsigned v = b_rd_le16(&r);
        put(l, "%X/%X/%X/%X", v >> 12, v >> 8 & 15, v >> 4 & 15, v & 15);
    } else if (kind[0] == 'u' || kind[0] == 'i') {
        uint32_t v = 0;
        for (unsigned shift = 0; r.left > 0; shift += 8)
            v |= (uint32_t)b_rd_u8(&r) << shift;
        if (kind[0] == 'i')
            put(l, "%d", (int)v);
        else
            put(l, "%u", (unsigned)v);
    } else {
        put_hex(l, r);
    }
}

/* Prints what the layout names, as far as bytes are there. Returns where the layout stopped. */
static const char *put_fields(struct line *l, const char *layout, struct b_rd *in, bool is_shown)
{
    struct word word;
    while (in->left > 0 && read_word(layout, &word)) {
        size_t n = size_of(word.kind);
        if (n > in->left)
            break;
        struct b_rd value = b_rd_take(in, n == 0 ? in->left : n);
        if (strcmp(word.kind, "data") == 0 || strcmp(word.kind, "crypt") == 0) {
            put_hidden(l, word.name, value, is_shown && word.kind[0] == 'd');
        } else {
            put(l, " %s=", word.name);
            put_value(l, word.kind, value);
        }
        layout = word.next;
    }
    return layout;
}

static enum df_auth auth_of(enum df_cmd cmd)
{
    if (cmd == DF_CMD_AUTHENTICATE_D40)
        return DF_AUTH_D40;
    if (cmd == DF_CMD_AUTHENTICATE_ISO)
        return DF_AUTH_ISO;
    if (cmd == DF_CMD_AUTHENTICATE_AES)
        return DF_AUTH_AES;
    if (cmd == DF_CMD_AUTHENTICATE_EV2_FIRST)
        return DF_AUTH_EV2_FIRST;
    return cmd == DF_CMD_AUTHENTICATE_EV2_NONFIRST ? DF_AUTH_EV2_NONFIRST : DF_AUTH_NONE;
}

void df_trace_init(struct df_trace *t, bool show_data)
{
    *t = (struct df_trace){.cmd = DF_CMD_COUNT, .show_data = show_data};
}

/* Seen from outside, parameters of a command that may be enciphered are in clear when they have
 * just the length of clear ones, with or without a MAC. */
static bool is_enciphered(const struct df_trace *t, const struct df_cmd_row *row, size_t n)
{
    if (t->auth == DF_AUTH_NONE || row->head == DF_HEAD_ALL)
        return false;
    if (row->command == DF_MODE_FULL || row->command == DF_MODE_KEY)
        return true;
    return n != row->min && n != (size_t)row->min + MAC_LEN;
}

/* A MAC at the end is no parameter. EV2 sends it with every command; EV1 only with data, and then
 * the length tells. */
static bool carries_mac(const struct df_trace *t, const struct df_cmd_row *row, size_t n)
{
    bool is_ev2 = t->auth == DF_AUTH_EV2_FIRST || t->auth == DF_AUTH_EV2_NONFIRST;
    if (t->auth == DF_AUTH_NONE || row->command == DF_MODE_NONE || row->max > 255)
        return false;
    return is_ev2 ? n >= (size_t)row->min + MAC_LEN
                  : n == (size_t)row->min + MAC_LEN && n > row->max;
}

static void put_command(struct df_trace *t, const struct df_cmd_row *row, struct b_rd in,
                        struct line *l)
{
    if (is_enciphered(t, row, in.left) && in.left > row->head) {
        struct b_rd head = b_rd_take(&in, row->head);
        (void)put_fields(l, row->args, &head, t->show_data);
        put_hidden(l, row->max > 255 ? "data" : "enciphered", in, false);
        return;
    }
    struct b_rd mac = b_rd_from(NULL, 0);
    if (carries_mac(t, row, in.left)) {
        struct b_rd params = b_rd_take(&in, in.left - MAC_LEN);
        mac = in;
        in = params;
    }
    (void)put_fields(l, row->args, &in, t->show_data);
    put_hidden(l, "more", in, false);
    put_hidden(l, "mac", mac, false);
}

static void put_iso_command(struct df_trace *t, const struct df_capdu *apdu, struct line *l)
{
    uint8_t all[2 + 255];
    struct b_wr w = b_wr_from(all, sizeof(all));
    b_wr_u8(&w, apdu->p1);
    b_wr_u8(&w, apdu->p2);
    b_wr_bytes(&w, apdu->data.p, apdu->data.left);
    put_command(t, df_cmd_row(t->cmd), b_wr_reader(&w), l);
}

void df_trace_command(struct df_trace *t, struct b_rd capdu, char *line, size_t cap)
{
    struct df_capdu apdu;
    struct line l = line_from(line, cap);
    size_t n = capdu.left;
    if (!df_wire_capdu(capdu, &apdu) || (apdu.cla != 0x90 && apdu.cla != 0x00)) {
        t->cmd = DF_CMD_COUNT;
        put(&l, "> APDU [%zu bytes]", n);
        return;
    }
    bool is_iso = apdu.cla == 0x00;
    enum df_cmd cmd = df_cmd_find(is_iso, apdu.ins, apdu.p1);
    if (cmd == DF_CMD_ADDITIONAL_FRAME && t->is_open && t->cmd < DF_CMD_COUNT) {
        put(&l, "> %s...", df_cmd_name(t->cmd));
        put_hidden(&l, "frame", apdu.data, false);
        return;
    }
    t->cmd = cmd;
    t->is_open = true;
    t->auth_begun = (uint8_t)auth_of(cmd);
    if (cmd == DF_CMD_COUNT) {
        put(&l, "> %sINS %02X", is_iso ? "ISO " : "", apdu.ins);
        put_hidden(&l, "data", apdu.data, false);
        return;
    }
    t->fields = df_cmd_row(cmd)->fields;
    put(&l, "> %s", df_cmd_name(cmd));
    if (is_iso)
        put_iso_command(t, &apdu, &l);
    else
        put_command(t, df_cmd_row(cmd), apdu.data, &l);
}

static void put_answer(struct df_trace *t, struct b_rd in, bool is_last, struct line *l)
{
    const struct df_cmd_row *row = df_cmd_row(t->cmd);
    bool is_on = t->auth != DF_AUTH_NONE && row->command != DF_MODE_NONE;
    if (is_on && row->answer == DF_MODE_FULL) {
        put_hidden(l, "enciphered", in, false);
        return;
    }
    if (row->answer == DF_MODE_FILE) {
        put_hidden(l, "data", in, t->show_data);
        return;
    }
    struct b_rd mac = b_rd_from(NULL, 0);
    if (is_on && is_last && t->auth != DF_AUTH_D40 && in.left >= MAC_LEN) {
        struct b_rd fields = b_rd_take(&in, in.left - MAC_LEN);
        mac = in;
        in = fields;
    }
    if (t->cmd == DF_CMD_GET_DF_NAMES)
        t->fields = row->fields; /* each frame is a record */
    t->fields = put_fields(l, t->fields, &in, t->show_data);
    put_hidden(l, "more", in, false);
    put_hidden(l, "mac", mac, false);
}

/* What the last answer of a command does to the session, as far as one sees. */
static void note_session(struct df_trace *t, const struct df_sw_row *row, size_t n)
{
    bool is_select = t->cmd == DF_CMD_SELECT_APPLICATION || t->cmd == DF_CMD_ISO_SELECT_FILE ||
                     t->cmd == DF_CMD_ISO_SELECT_NAME;
    bool is_change = t->cmd == DF_CMD_CHANGE_KEY || t->cmd == DF_CMD_CHANGE_KEY_EV2;
    bool is_lost = row == NULL || !row->stays || is_select || t->cmd == DF_CMD_ROLL_KEY_SET ||
                   (is_change && n == 0 && t->auth != DF_AUTH_D40);
    if (is_lost)
        t->auth = DF_AUTH_NONE;
    else if (t->auth_begun != DF_AUTH_NONE)
        t->auth = t->auth_begun;
}

void df_trace_answer(struct df_trace *t, struct b_rd rapdu, char *line, size_t cap)
{
    struct line l = line_from(line, cap);
    struct b_rd data;
    uint16_t sw = 0;
    size_t n = rapdu.left;
    if (!df_wire_rapdu(rapdu, &data, &sw)) {
        put(&l, "< answer without a status [%zu bytes]", n);
        return;
    }
    bool is_native = sw >> 8 == 0x91;
    const struct df_sw_row *row = is_native      ? df_sw_row((uint8_t)sw)
                                  : sw == 0x9000 ? df_sw_row(DF_SW_OK)
                                                 : NULL;
    bool is_last = row == NULL || row->react != DF_REACT_MORE;
    put(&l, "< %04X %s", sw, row != NULL ? row->name : "?");
    if (t->cmd < DF_CMD_COUNT)
        put_answer(t, data, is_last, &l);
    else
        put_hidden(&l, "data", data, false);
    if (!is_last)
        return;
    t->is_open = false;
    if (t->cmd < DF_CMD_COUNT)
        note_session(t, row, data.left);
}
