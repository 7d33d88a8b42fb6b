#include "oidc/form.h"

#include <string.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_text(const char *text)
{
    struct b_rd r = b_rd_from(text, strlen(text));
    while (r.left > 0 && !r.bad) {
        uint32_t c = b_rd_utf8(&r);
        if (c < 0x20 && c != '\r' && c != '\n' && c != '\t')
            r.bad = true;
    }
    return !r.bad;
}

bool oidc_decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '%') {
            int high = digit(from[1]);
            int low = high >= 0 ? digit(from[2]) : -1;
            if (low < 0 || high + low == 0)
                return false;
            *to++ = (char)(high << 4 | low);
            from += 2;
        } else {
            *to++ = *from;
            if (*from == '+')
                to[-1] = ' ';
        }
    }
    *to = '\0';
    return is_text(text);
}

static const struct oidc_field *find(const struct oidc_form *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->fields[i].name, name) == 0)
            return &f->fields[i];
    return NULL;
}

static enum b_code add(struct oidc_form *f, char *pair, struct b_err *err)
{
    char *value = strchr(pair, '=');
    if (value != NULL)
        *value++ = '\0';
    else
        value = pair + strlen(pair);
    if (!oidc_decode(pair) || !oidc_decode(value))
        return b_err_set(err, B_E_BAD_INPUT, 0, "a parameter that is not well encoded");
    if (find(f, pair) != NULL)
        return b_err_set(err, B_E_BAD_INPUT, 0, "parameter %.40s comes twice", pair);
    if (f->count == OIDC_FIELDS_MAX)
        return b_err_set(err, B_E_BAD_INPUT, 0, "more than %d parameters", OIDC_FIELDS_MAX);
    f->fields[f->count++] = (struct oidc_field){pair, value};
    return B_OK;
}

enum b_code oidc_form_parse(struct b_rd text, struct oidc_form *ret, struct b_err *err)
{
    ret->count = 0;
    ret->text[0] = '\0';
    if (text.left > OIDC_FORM_MAX)
        return b_err_set(err, B_E_BAD_INPUT, 0, "parameters of more than %d bytes", OIDC_FORM_MAX);
    if (text.left == 0)
        return B_OK;
    if (memchr(text.p, '\0', text.left) != NULL)
        return b_err_set(err, B_E_BAD_INPUT, 0, "a parameter that is not well encoded");
    memcpy(ret->text, text.p, text.left);
    ret->text[text.left] = '\0';
    enum b_code r = B_OK;
    for (char *at = ret->text, *next = at; r == B_OK && next != NULL; at = next) {
        next = strchr(at, '&');
        if (next != NULL)
            *next++ = '\0';
        if (*at != '\0')
            r = add(ret, at, err);
    }
    return r;
}

const char *oidc_form_get(const struct oidc_form *f, const char *name)
{
    const struct oidc_field *at = find(f, name);
    return at != NULL && at->value[0] != '\0' ? at->value : NULL;
}

const char *oidc_form_text(const struct oidc_form *f, const char *name)
{
    const char *value = oidc_form_get(f, name);
    return value != NULL ? value : "";
}

void oidc_put_encoded(struct b_wr *w, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char plain[] = "-._~";
    for (const char *c = value; *c != '\0'; c++) {
        uint8_t v = (uint8_t)*c;
        bool is_plain = (v >= '0' && v <= '9') || ((v | 0x20) >= 'a' && (v | 0x20) <= 'z') ||
                        strchr(plain, *c) != NULL;
        if (!is_plain)
            b_wr_u8(w, '%');
        b_wr_u8(w, is_plain ? v : (uint8_t)hex[v >> 4]);
        if (!is_plain)
            b_wr_u8(w, (uint8_t)hex[v & 15]);
    }
}

void oidc_form_drop(struct oidc_form *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->fields[i].name, name) == 0) {
            f->fields[i] = f->fields[--f->count];
            return;
        }
}

void oidc_form_put(struct b_wr *w, const struct oidc_form *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (i > 0)
            b_wr_u8(w, '&');
        oidc_put_encoded(w, f->fields[i].name);
        b_wr_u8(w, '=');
        oidc_put_encoded(w, f->fields[i].value);
    }
}
