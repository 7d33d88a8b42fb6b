#include "oidc/body.h"

#include <jansson.h>
#include <string.h>

static bool put(struct b_wr *w, const char *text)
{
    b_wr_bytes(w, text, strlen(text) + 1);
    return b_wr_ok(w);
}

static enum b_code take(json_t *o, struct oidc_form *ret, struct b_err *err)
{
    const char *name = NULL;
    json_t *value = NULL;
    struct b_wr w = b_wr_from(ret->text, sizeof(ret->text));
    json_object_foreach(o, name, value)
    {
        if (json_is_object(value) || json_is_array(value))
            return b_err_set(err, B_E_BAD_INPUT, 0, "the body is an object of texts");
        if (!json_is_string(value)) /* a flag or a number, which nothing here reads */
            continue;
        if (ret->count == OIDC_FIELDS_MAX)
            return b_err_set(err, B_E_BAD_INPUT, 0, "more than %d fields", OIDC_FIELDS_MAX);
        struct oidc_field *f = &ret->fields[ret->count++];
        f->name = ret->text + w.len;
        if (!put(&w, name))
            return b_err_set(err, B_E_TOO_LARGE, 0, "more than %d bytes", OIDC_FORM_MAX);
        f->value = ret->text + w.len;
        if (!put(&w, json_string_value(value)))
            return b_err_set(err, B_E_TOO_LARGE, 0, "more than %d bytes", OIDC_FORM_MAX);
    }
    return B_OK;
}

enum b_code oidc_body_parse(struct b_rd text, struct oidc_form *ret, struct b_err *err)
{
    json_error_t why;
    ret->count = 0;
    if (text.left > OIDC_FORM_MAX)
        return b_err_set(err, B_E_TOO_LARGE, 0, "more than %d bytes", OIDC_FORM_MAX);
    json_t *o = json_loadb((const char *)text.p, text.left, JSON_REJECT_DUPLICATES, &why);
    enum b_code r = json_is_object(o)
                        ? take(o, ret, err)
                        : b_err_set(err, B_E_BAD_INPUT, 0, "the body is no JSON object");
    json_decref(o);
    if (r != B_OK)
        ret->count = 0;
    return r;
}
