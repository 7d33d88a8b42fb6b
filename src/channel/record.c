/*
 * A recorded exchange, as text:
 *
 *   # comment
 *   uid: 04010203040506     reader: name          what the reader showed, once, before the rest
 *   > 90 60 00 00 00        to the card
 *   < 04 01 91 AF           from it
 *   ! reset                 the card was powered again
 *   ! removed               it left
 *
 * The writer and the reader of the form stand together in this file.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "channel/channel_int.h"

/* --- writing
 * ---------------------------------------------------------------------------------------- */

struct record {
    FILE *to;
    channel_open_fn *open; /* NULL: everything is written */
};

/* The first `open` bytes as they are, zeros for the others. */
static void print_bytes(FILE *to, char sign, struct b_rd bytes, size_t open)
{
    (void)fputc(sign, to);
    for (size_t i = 0; bytes.left > 0; i++) {
        unsigned byte = b_rd_u8(&bytes);
        (void)fprintf(to, " %02X", i < open ? byte : 0u);
    }
    (void)fputc('\n', to);
}

static enum b_code record_transmit(struct channel *ch, struct b_rd capdu, struct b_wr *rapdu,
                                   struct b_err *err)
{
    const struct record *rec = ch->self;
    size_t open = rec->open != NULL ? rec->open(capdu) : capdu.left;
    if (open < capdu.left)
        (void)fputs("# the end of the next command is withheld\n", rec->to);
    print_bytes(rec->to, '>', capdu, open);
    enum b_code r = channel_transmit(ch->inner, capdu, rapdu, err);
    if (r == B_OK)
        print_bytes(rec->to, '<', b_wr_reader(rapdu), rapdu->len);
    else
        (void)fputs("! removed\n", rec->to);
    (void)fflush(rec->to);
    return r;
}

static enum b_code record_reset(struct channel *ch, struct b_err *err)
{
    const struct record *rec = ch->self;
    (void)fputs("! reset\n", rec->to);
    return channel_reset(ch->inner, err);
}

enum b_code channel_record_new(struct channel *inner, FILE *to, struct channel **ret)
{
    return channel_record_masked_new(inner, to, NULL, ret);
}

enum b_code channel_record_masked_new(struct channel *inner, FILE *to, channel_open_fn *open,
                                      struct channel **ret)
{
    static const struct channel_ops kind = {record_transmit, record_reset, NULL};
    enum b_code r = channel_make(&kind, sizeof(struct record), inner, ret);
    if (r != B_OK)
        return r;
    *(struct record *)(*ret)->self = (struct record){.to = to, .open = open};
    char uid[21] = "";
    b_hex(uid, (*ret)->card.uid, (*ret)->card.uid_len);
    (void)fprintf(to, "# Tessere exchange, version 1\nuid: %s\nreader: %s\n", uid,
                  (*ret)->card.reader);
    return B_OK;
}

/* --- replaying
 * ---------------------------------------------------------------------------------------- */

struct replay {
    const char *text, *end;
    unsigned line;
};

/* The next line that is not empty nor a comment, without its end; false at the end of the text. */
static bool next_line(struct replay *p, char *line, size_t cap)
{
    while (p->text < p->end) {
        const char *stop = memchr(p->text, '\n', (size_t)(p->end - p->text));
        size_t n = (size_t)((stop != NULL ? stop : p->end) - p->text);
        const char *from = p->text;
        p->text = stop != NULL ? stop + 1 : p->end;
        p->line++;
        while (n > 0 && isspace((unsigned char)from[n - 1]))
            n--;
        if (n == 0 || from[0] == '#')
            continue;
        if (n >= cap)
            n = cap - 1;
        memcpy(line, from, n);
        line[n] = '\0';
        return true;
    }
    return false;
}

enum { LINE_MAX_LEN = 3 * 300 };

static enum b_code wrong_line(const struct replay *p, const char *why, struct b_err *err)
{
    return b_err_set(err, B_E_BAD_INPUT, p->line, "line %u: %s", p->line, b_err_word(why));
}

static enum b_code replay_transmit(struct channel *ch, struct b_rd capdu, struct b_wr *rapdu,
                                   struct b_err *err)
{
    struct replay *p = ch->self;
    char line[LINE_MAX_LEN], asked[2 * 300 + 1] = "";
    uint8_t want[300];
    struct b_wr w = b_wr_from(want, sizeof(want));
    if (capdu.left <= 300)
        b_hex(asked, capdu.p, capdu.left);
    if (!next_line(p, line, sizeof(line)))
        return b_err_set(err, B_E_CHANNEL, 0, "the recorded exchange is over, %s was asked", asked);
    if (line[0] != '>' || !b_unhex(&w, line + 1))
        return wrong_line(p, "a command was expected: > and bytes", err);
    if (w.len != capdu.left || memcmp(want, capdu.p, w.len) != 0)
        return b_err_set(err, B_E_CHANNEL, p->line, "line %u:%s was recorded, %.120s was asked",
                         p->line, line + 1, asked);
    if (!next_line(p, line, sizeof(line)))
        return wrong_line(p, "an answer was expected", err);
    if (strcmp(line, "! removed") == 0)
        return b_err_set(err, B_E_CARD_REMOVED, 0, "the card left here");
    if (line[0] != '<' || !b_unhex(rapdu, line + 1))
        return wrong_line(p, "an answer was expected: < and bytes", err);
    return B_OK;
}

static enum b_code replay_reset(struct channel *ch, struct b_err *err)
{
    struct replay *p = ch->self;
    char line[LINE_MAX_LEN];
    if (next_line(p, line, sizeof(line)) && strcmp(line, "! reset") == 0)
        return B_OK;
    return wrong_line(p, "a reset was asked and is not recorded here", err);
}

/* The lines before the first exchange. */
static enum b_code read_head(struct channel *ch, struct b_err *err)
{
    struct replay *p = ch->self;
    char line[LINE_MAX_LEN];
    for (;;) {
        struct replay before = *p;
        if (!next_line(p, line, sizeof(line)))
            return B_OK;
        if (line[0] == '>' || line[0] == '!') {
            *p = before;
            return B_OK;
        }
        struct b_wr uid = b_wr_from(ch->card.uid, sizeof(ch->card.uid));
        if (strncmp(line, "uid:", 4) == 0) {
            if (!b_unhex(&uid, line + 4))
                return wrong_line(p, "a UID was expected: uid: and bytes", err);
            ch->card.uid_len = (uint8_t)uid.len;
        } else if (strncmp(line, "reader:", 7) == 0) {
            const char *name = line + 7 + (line[7] == ' ');
            (void)snprintf(ch->card.reader, sizeof(ch->card.reader), "%.*s",
                           (int)sizeof(ch->card.reader) - 1, name);
        } else {
            return wrong_line(p, "uid:, reader:, >, <, ! or # was expected", err);
        }
    }
}

enum b_code channel_replay_new(const char *text, size_t n, struct channel **ret, struct b_err *err)
{
    static const struct channel_ops kind = {replay_transmit, replay_reset, NULL};
    struct channel *ch = NULL;
    enum b_code r = channel_make(&kind, sizeof(struct replay), NULL, &ch);
    if (r != B_OK)
        return b_err_set(err, r, 0, "opening a recorded exchange");
    *(struct replay *)ch->self = (struct replay){.text = text, .end = text + n};
    r = read_head(ch, err);
    if (r != B_OK)
        channel_free(&ch);
    else
        *ret = ch;
    return r;
}

bool channel_replay_is_done(const struct channel *ch)
{
    struct replay p = *(const struct replay *)ch->self;
    char line[LINE_MAX_LEN];
    return !next_line(&p, line, sizeof(line));
}
