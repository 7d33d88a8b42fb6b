/* Bodies of callouts: what is taken from an object in JSON is what jansson has there, and nothing
 * of it is lost or cut; and a form of it says the same again. */
#include <jansson.h>
#include <string.h>

#include "oidc/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oidc_form f, again;
    static char text[4 * OIDC_FORM_MAX];
    struct b_err err;
    if (oidc_body_parse(b_rd_from(data, size), &f, &err) != B_OK) {
        b_check(f.count == 0);
        return 0;
    }
    b_check(size <= OIDC_FORM_MAX && f.count <= OIDC_FIELDS_MAX);
    json_t *o = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    struct b_wr w = b_wr_from(text, sizeof(text));
    bool is_named = true;
    for (size_t i = 0; i < f.count; i++) {
        const char *there = json_string_value(json_object_get(o, f.fields[i].name));
        b_check(there != NULL && strcmp(there, f.fields[i].value) == 0);
        is_named = is_named && f.fields[i].name[0] != '\0';
    }
    json_decref(o);
    oidc_form_put(&w, &f);
    b_check(b_wr_ok(&w));
    if (is_named && oidc_form_parse(b_rd_from(text, w.len), &again, &err) == B_OK)
        for (size_t i = 0; i < f.count; i++)
            b_check(strcmp(oidc_form_text(&again, f.fields[i].name), f.fields[i].value) == 0);
    return 0;
}
