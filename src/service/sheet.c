#include "service/sheet.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum b_code service_sheet_wrong(const struct service_sheet *s, const char *column, const char *what,
                                struct b_err *err)
{
    return b_err_set(err, B_E_BAD_INPUT, (uint32_t)s->record.line, "%s:%zu: %s: %s", s->name,
                     s->record.line, column, b_err_word(what));
}

/* What is wrong with a record's bytes is told with the column that it is in. */
static enum b_code next(struct service_sheet *s, struct b_err *err)
{
    struct b_err cause;
    enum b_code r = b_csv_next(&s->csv, &s->record, &cause);
    bool has_column = s->record.count < s->count;
    if (r == B_E_BAD_INPUT)
        b_csv_skip_line(&s->csv);
    const char *column =
        has_column ? s->columns[s->order[s->record.count]].name : b_err_word("fields");
    return r == B_E_BAD_INPUT ? service_sheet_wrong(s, column, cause.msg, err) : r;
}

void service_sheet_trim(const char *text, const char **ret, size_t *ret_n)
{
    *ret = text + strspn(text, " ");
    *ret_n = strlen(*ret);
    while (*ret_n > 0 && (*ret)[*ret_n - 1] == ' ')
        (*ret_n)--;
}

const char *service_sheet_text(const char *text, size_t n, bool is_needed, char *ret, size_t cap)
{
    enum { REFERENCE = 64 };
    if (n == 0 && is_needed)
        return N_("it is empty");
    if (n >= cap)
        return cap == REFERENCE ? N_("more than 63 bytes") : N_("more than 127 bytes");
    memcpy(ret, text, n);
    ret[n] = '\0';
    return NULL;
}

static void put(struct b_wr *w, const char *text)
{
    b_wr_bytes(w, text, strlen(text));
}

static enum b_code no_such_column(const struct service_sheet *s, struct b_err *err)
{
    char what[200];
    struct b_wr w = b_wr_from(what, sizeof(what) - 1);
    put(&w, b_err_word("they are "));
    for (size_t c = 0; c < s->column_count; c++) {
        put(&w, s->columns[c].name);
        put(&w, c + 2 < s->column_count    ? ", "
                : c + 2 == s->column_count ? b_err_word(" and ")
                                           : "");
    }
    put(&w, b_err_word(", and no others"));
    what[w.len] = '\0';
    return service_sheet_wrong(s, b_err_word("columns"), what, err);
}

enum b_code service_sheet_open(struct service_sheet *s, const void *text, size_t n,
                               enum b_csv_encoding encoding, struct b_err *err)
{
    bool has[B_CSV_FIELDS_MAX] = {false};
    s->count = 0;
    if (n > 1 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
        return b_err_set(err, B_E_BAD_INPUT, 0, "%s:1: UTF-16: save it as CSV in UTF-8", s->name);
    b_csv_open(&s->csv, text, n, encoding);
    enum b_code r = next(s, err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, B_E_BAD_INPUT, 0, "%s:1: the file is empty", s->name);
    for (size_t i = 0; r == B_OK && i < s->record.count; i++) {
        const char *name;
        size_t length, c = 0;
        service_sheet_trim(s->record.fields[i], &name, &length);
        while (c < s->column_count && (strlen(s->columns[c].name) != length ||
                                       strncasecmp(s->columns[c].name, name, length) != 0))
            c++;
        if (c == s->column_count)
            return no_such_column(s, err);
        if (has[c])
            return service_sheet_wrong(s, s->columns[c].name, "this column is there twice", err);
        has[c] = true;
        s->order[i] = c;
    }
    s->count = s->record.count;
    for (size_t c = 0; r == B_OK && c < s->column_count; c++)
        if (s->columns[c].is_needed && !has[c])
            r = service_sheet_wrong(s, s->columns[c].name, "this column is missing", err);
    return r;
}

enum b_code service_sheet_next(struct service_sheet *s, struct b_err *err)
{
    enum b_code r = next(s, err);
    if (r == B_OK && s->record.count != s->count)
        return service_sheet_wrong(s, b_err_word("fields"),
                                   s->record.count < s->count ? N_("fewer than the first line has")
                                                              : N_("more than the first line has"),
                                   err);
    return r;
}

enum b_code service_sheet_keep(struct service_sheet *s, enum b_code r, const struct b_err *err)
{
    struct service_mistakes *m = &s->mistakes;
    if (r != B_E_BAD_INPUT)
        return r;
    if (m->count < SERVICE_MISTAKES_MAX)
        memcpy(m->told[m->count], err->msg, sizeof(err->msg));
    m->count++;
    return B_OK;
}

enum b_code service_sheet_end(const struct service_sheet *s, struct service_mistakes *ret,
                              struct b_err *err)
{
    const struct service_mistakes *m = &s->mistakes;
    if (ret != NULL)
        *ret = *m;
    if (m->count == 0)
        return B_OK;
    return m->count == 1 ? b_err_set(err, B_E_BAD_INPUT, 0, "%s", m->told[0])
                         : b_err_set(err, B_E_BAD_INPUT, 0, "%zu mistakes, the first: %s", m->count,
                                     m->told[0]);
}
