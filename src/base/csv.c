#include "base/csv.h"

#include <string.h>

static const char too_long[] = N_("a record of more than 4000 bytes; is a closing quote missing?");

/* What is read now: the record, its text, and where to complain. */
struct reading {
    struct b_csv *csv;
    struct b_csv_record *record;
    struct b_wr text;
    struct b_err *err;
};

void b_csv_open(struct b_csv *c, const void *p, size_t n, enum b_csv_encoding encoding)
{
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    *c = (struct b_csv){.in = b_rd_from(p, n), .line = 1, .separator = ',', .encoding = encoding};
    if (n >= sizeof(mark) && memcmp(p, mark, sizeof(mark)) == 0)
        b_rd_skip(&c->in, sizeof(mark));
    c->line_start = c->in.p;
    for (size_t i = 0; i < c->in.left && c->in.p[i] != '\n' && c->separator == ','; i++)
        if (c->in.p[i] == ';')
            c->separator = ';';
}

static bool is_at(const struct b_csv *c, char wanted)
{
    return c->in.left > 0 && *c->in.p == (uint8_t)wanted;
}

/* How long an end of line is that stands here; 0: none does. */
static size_t line_end(const struct b_csv *c)
{
    if (is_at(c, '\n'))
        return 1;
    return c->in.left > 1 && c->in.p[0] == '\r' && c->in.p[1] == '\n' ? 2 : 0;
}

static void pass_line_end(struct b_csv *c, size_t n)
{
    b_rd_skip(&c->in, n);
    c->line++;
    c->line_start = c->in.p;
}

static enum b_code wrong(struct reading *k, const char *what)
{
    const struct b_csv *c = k->csv;
    k->record->line = c->line;
    return b_err_set(k->err, B_E_BAD_INPUT, (uint32_t)c->line, "byte %zu: %s",
                     (size_t)(c->in.p - c->line_start) + 1, b_err_word(what));
}

/* A byte of ISO 8859-1 or, where that has a control character, of Windows-1252: what calls itself
 * the one is often the other. 0: of neither. */
static uint32_t character(uint8_t byte)
{
    static const uint16_t windows[32] = {
        0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
        0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};
    return byte >= 0x80 && byte < 0xA0 ? windows[byte - 0x80] : byte;
}

/* v, from 0x80 to 0xFFFF. */
static void put_utf8(struct b_wr *w, uint32_t v)
{
    if (v < 0x800) {
        b_wr_u8(w, (uint8_t)(0xC0 | v >> 6));
    } else {
        b_wr_u8(w, (uint8_t)(0xE0 | v >> 12));
        b_wr_u8(w, (uint8_t)(0x80 | (v >> 6 & 0x3F)));
    }
    b_wr_u8(w, (uint8_t)(0x80 | (v & 0x3F)));
}

/* Takes one character over, in UTF-8. */
static enum b_code take(struct reading *k)
{
    struct b_csv *c = k->csv;
    struct b_rd at = c->in;
    uint32_t v = c->encoding == B_CSV_LATIN1 ? character(b_rd_u8(&at)) : b_rd_utf8(&at);
    if (!b_rd_ok(&at))
        return wrong(k, "not UTF-8; where the file is ISO 8859-1 or Windows-1252, --encoding "
                        "latin1 reads it");
    if (v < 0x20 || (v >= 0x7F && v < 0xA0))
        return wrong(k, v == '\t' ? N_("a tab, where a comma or a semicolon separates fields")
                                  : N_("a control character"));
    if (c->encoding == B_CSV_LATIN1 && v >= 0x80)
        put_utf8(&k->text, v);
    else
        b_wr_bytes(&k->text, c->in.p, c->in.left - at.left);
    if (!b_wr_ok(&k->text))
        return wrong(k, too_long);
    c->in = at;
    return B_OK;
}

/* What is wrong is where the quote was opened, which may be many lines before. */
static enum b_code wrong_from(struct reading *k, const struct b_csv *opened, const char *what)
{
    *k->csv = *opened;
    return wrong(k, what);
}

/* From the opening quote to the closing one. An end of line becomes a space. */
static enum b_code take_quoted(struct reading *k)
{
    struct b_csv *c = k->csv;
    const struct b_csv opened = *c;
    enum b_code r = B_OK;
    b_rd_skip(&c->in, 1);
    while (r == B_OK) {
        size_t end = line_end(c);
        if (c->in.left == 0)
            return wrong_from(k, &opened, "the quote that opens here is not closed");
        if (is_at(c, '"') && !(c->in.left > 1 && c->in.p[1] == '"'))
            break;
        if (is_at(c, '"'))
            b_rd_skip(&c->in, 1);
        if (end > 0) {
            b_wr_u8(&k->text, ' ');
            pass_line_end(c, end);
        } else {
            r = take(k);
        }
    }
    if (r != B_OK)
        return b_wr_ok(&k->text) ? r : wrong_from(k, &opened, too_long);
    b_rd_skip(&c->in, 1);
    if (c->in.left > 0 && !is_at(c, c->separator) && line_end(c) == 0)
        return wrong(k, "text after the closing quote");
    return B_OK;
}

/* What a spreadsheet would carry out. */
static bool is_formula(const char *text)
{
    return text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;
}

static enum b_code take_field(struct reading *k)
{
    struct b_csv *c = k->csv;
    struct b_csv_record *record = k->record;
    enum b_code r = B_OK;
    if (record->count == B_CSV_FIELDS_MAX)
        return wrong(k, "more than 32 fields");
    const char *field = (const char *)k->text.p + k->text.len;
    if (is_at(c, '"'))
        r = take_quoted(k);
    while (r == B_OK && c->in.left > 0 && !is_at(c, c->separator) && line_end(c) == 0)
        r = is_at(c, '"') ? wrong(k, "a quote inside a field that has none around it") : take(k);
    b_wr_u8(&k->text, '\0');
    if (r == B_OK && !b_wr_ok(&k->text))
        r = wrong(k, too_long);
    if (r == B_OK)
        record->fields[record->count++] = field + (field[0] == '\'' && is_formula(field + 1));
    return r;
}

enum b_code b_csv_next(struct b_csv *c, struct b_csv_record *ret, struct b_err *err)
{
    struct reading k = {
        .csv = c, .record = ret, .text = b_wr_from(ret->text, sizeof(ret->text)), .err = err};
    for (size_t n; (n = line_end(c)) > 0;)
        pass_line_end(c, n);
    ret->count = 0;
    ret->line = c->line;
    if (c->in.left == 0)
        return B_E_NOT_FOUND;
    enum b_code r = take_field(&k);
    while (r == B_OK && is_at(c, c->separator)) {
        b_rd_skip(&c->in, 1);
        r = take_field(&k);
    }
    size_t end = line_end(c);
    if (r == B_OK && end > 0)
        pass_line_end(c, end);
    return r;
}

void b_csv_skip_line(struct b_csv *c)
{
    const uint8_t *end = c->in.left > 0 ? memchr(c->in.p, '\n', c->in.left) : NULL;
    if (end == NULL)
        b_rd_skip(&c->in, c->in.left);
    else
        pass_line_end(c, (size_t)(end - c->in.p) + 1);
}

void b_csv_put(struct b_wr *w, const char *text)
{
    b_wr_u8(w, '"');
    if (is_formula(text))
        b_wr_u8(w, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            b_wr_u8(w, '"');
        b_wr_u8(w, (uint8_t)*text);
    }
    b_wr_u8(w, '"');
}
