#include "fake_remote.h"

#include <string.h>

static struct b_rd rest;

void fake_remote_says(struct b_rd lines)
{
    rest = lines;
}

enum b_code remote_call(struct remote *r, const char *method, const char *path, const json_t *body,
                        json_t **ret, struct b_err *err)
{
    (void)r;
    (void)method;
    (void)body;
    b_check(path[0] == '/');
    const uint8_t *end = rest.left > 0 ? memchr(rest.p, '\n', rest.left) : NULL;
    struct b_rd line = b_rd_take(&rest, end != NULL ? (size_t)(end - rest.p) : rest.left);
    b_rd_skip(&rest, end != NULL ? 1 : 0);
    if (line.left == 2 && line.p[0] == '!')
        return b_err_set(err, (enum b_code)(1 + line.p[1] % (B_CODE_COUNT - 1)), 0, "a problem");
    json_t *o = json_loadb((const char *)line.p, line.left, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(o)) {
        json_decref(o);
        return b_err_set(err, B_E_SERVER_GONE, 0, "no answer");
    }
    if (ret != NULL)
        *ret = o;
    else
        json_decref(o);
    return B_OK;
}
