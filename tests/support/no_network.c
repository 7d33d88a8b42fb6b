/* What is left of a connection where there is no network: whoever links this has remote_call. */
#include "remote/remote.h"

const char *remote_sentence(const struct remote *r)
{
    (void)r;
    return "";
}

const char *remote_text(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}

enum b_code remote_open(const struct remote_config *config, struct remote **ret, struct b_err *err)
{
    (void)config;
    *ret = NULL;
    return b_err_set(err, B_E_SERVER_GONE, 0, "there is no network here");
}

void remote_free(struct remote **r)
{
    *r = NULL;
}

unsigned remote_pause_ms(unsigned n)
{
    return n;
}
