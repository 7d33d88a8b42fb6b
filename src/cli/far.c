/* The same commands by the server: what they have in common. */
#include <string.h>

#include "cli/cli.h"
#include "remote/remote.h"

enum b_code cli_far(const struct cli *c, const char *method, const char *path, json_t *body,
                    json_t **ret, struct b_err *err)
{
    struct remote *r = NULL;
    enum b_code code = cli_connect(c, &r, err);
    if (code == B_OK)
        code = remote_call(r, method, path, body, ret, err);
    json_decref(body);
    remote_free(&r);
    return code;
}

static enum b_code take_items(struct cli *c, const json_t *o, cli_far_item *fn, struct b_err *err)
{
    const json_t *item = NULL;
    size_t i = 0;
    json_array_foreach(
        json_object_get(o, "items"), i,
        item) if (!cli_is_stopped(NULL) &&
                  !fn(c, item)) return b_err_set(err, B_E_SERVER_GONE, 0,
                                                 "the server's list is not understood: are both of "
                                                 "one version?");
    return B_OK;
}

/* Each page in turn, on one connection. */
enum b_code cli_far_each(struct cli *c, const char *path, cli_far_item *fn, struct b_err *err)
{
    enum { PAGE = 200 };
    struct remote *r = NULL;
    json_int_t after = 0;
    enum b_code code = cli_connect(c, &r, err);
    do {
        char url[512];
        json_t *o = NULL;
        (void)snprintf(url, sizeof(url), "%.440s%climit=%d&after=%lld", path,
                       strchr(path, '?') != NULL ? '&' : '?', PAGE, (long long)after);
        if (code == B_OK)
            code = remote_call(r, "GET", url, NULL, &o, err);
        if (code == B_OK)
            code = take_items(c, o, fn, err);
        after = json_integer_value(json_object_get(o, "next"));
        json_decref(o);
    } while (code == B_OK && after > 0 && !cli_is_stopped(NULL));
    remote_free(&r);
    return code;
}

enum b_code cli_far_escape(const char *text, char *ret, size_t cap, struct b_err *err)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t n = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (n + 4 > cap)
            return b_err_set(err, B_E_USAGE, 0, _("\"%.40s...\" is too long"), text);
        if (strchr(plain, *p) != NULL)
            ret[n++] = *p;
        else
            n += (size_t)snprintf(ret + n, cap - n, "%%%02X", (unsigned)(unsigned char)*p);
    }
    ret[n] = '\0';
    return B_OK;
}
