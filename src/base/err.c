#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const struct {
    const char *name;
    int exit_status;
    const char *text;
    const char *remedy;
} rows[] = {
    [B_OK] = {"ok", 0, "done", ""},
#define B_ERR(name, exit_status, text, remedy) [B_E_##name] = {#name, exit_status, text, remedy},
#include "base/err.def"
#undef B_ERR
};
static_assert(B_COUNT(rows) == B_CODE_COUNT, "every code has a row");

static size_t row_of(enum b_code code)
{
    b_check((size_t)code < B_CODE_COUNT);
    return (size_t)code;
}

static const char *as_it_stands(const char *text)
{
    return text;
}

static const char *(*speak)(const char *text) = as_it_stands;

void b_err_speak(const char *(*translate)(const char *text))
{
    speak = translate != NULL ? translate : as_it_stands;
}

const char *b_err_word(const char *text)
{
    return speak(text);
}

enum b_code b_err_set(struct b_err *err, enum b_code code, uint32_t aux, const char *fmt, ...)
{
    b_check(code != B_OK);
    if (err == NULL)
        return code;
    err->code = code;
    err->aux = aux;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof(err->msg), b_err_word(fmt), ap);
    va_end(ap);
    b_text_tame(err->msg); /* it has what a peer sent, perhaps cut within a character */
    return code;
}

/* What does not fit is cut at the end. */
static void append_some(char *to, size_t cap, const char *text, size_t n)
{
    size_t used = strlen(to);
    size_t fits = n < cap - 1 - used ? n : cap - 1 - used;
    memcpy(to + used, text, fits);
    to[used + fits] = '\0';
}

static void append(char *to, size_t cap, const char *text)
{
    append_some(to, cap, text, strlen(text));
}

enum b_code b_err_wrap(struct b_err *err, const char *fmt, ...)
{
    if (err == NULL)
        return B_E_INTERNAL;
    char prefix[sizeof(err->msg)];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(prefix, sizeof(prefix), b_err_word(fmt), ap);
    va_end(ap);
    /* Who met the error stays, its cause loses its tail. */
    append(prefix, sizeof(prefix), b_err_word(": "));
    append(prefix, sizeof(prefix), err->msg);
    memcpy(err->msg, prefix, sizeof(err->msg));
    b_text_tame(err->msg);
    return err->code;
}

/* A detail often is "where: what: why", made by several hands. */
static void say_parts(const char *text, char *said, size_t cap)
{
    char part[sizeof(((struct b_err *)0)->msg)];
    const char *end = NULL;
    for (; (end = strstr(text, ": ")) != NULL; text = end + 2) {
        part[0] = '\0';
        append_some(part, sizeof(part), text, (size_t)(end - text));
        append(said, cap, b_err_word(part));
        append(said, cap, b_err_word(": "));
    }
    append(said, cap, b_err_word(text));
}

enum b_code b_err_hear(struct b_err *err, enum b_code code, uint32_t aux, const char *text)
{
    char said[sizeof(err->msg)] = "";
    const char *whole = b_err_word(text);
    if (whole != text)
        return b_err_set(err, code, aux, "%s", whole);
    say_parts(text, said, sizeof(said));
    return b_err_set(err, code, aux, "%s", said);
}

const char *b_code_name(enum b_code code)
{
    /* Names are the table's identifiers as people type them; made once, kept for ever. */
    static char names[B_CODE_COUNT][32];
    char *name = names[row_of(code)];
    if (name[0] == '\0') {
        const char *from = rows[code].name;
        for (size_t i = 0; from[i] != '\0' && i + 1 < sizeof(names[0]); i++)
            name[i] = (char)(from[i] == '_' ? '-' : from[i] | 0x20);
    }
    return name;
}

const char *b_code_text(enum b_code code)
{
    return rows[row_of(code)].text;
}

const char *b_code_remedy(enum b_code code)
{
    return rows[row_of(code)].remedy;
}

int b_code_exit(enum b_code code)
{
    return rows[row_of(code)].exit_status;
}

enum b_code b_code_of(const char *name, enum b_code otherwise)
{
    for (unsigned i = 0; i < B_CODE_COUNT; i++)
        if (strcmp(b_code_name((enum b_code)i), name) == 0)
            return (enum b_code)i;
    return otherwise;
}

void b_check_failed(const char *what, const char *file, int line)
{
    (void)fprintf(stderr, "tessere: broken invariant at %s:%d: %s\n", file, line, what);
    abort();
}
