/* tessere scim: the tokens by which directories speak to the server. */
#include <time.h>

#include "cli/cli.h"
#include "service/directory.h"

static void print_token(struct cli *c, const struct store_token *t, const char *text)
{
    char until[32] = "";
    const char *state = t->revoked_at != 0                                           ? _("revoked")
                        : t->expires_at != 0 && t->expires_at <= (int64_t)time(NULL) ? _("expired")
                                                                                     : _("valid");
    if (t->expires_at != 0)
        cli_time(t->expires_at, until, sizeof(until));
    cli_say(c, CLI_PLAIN, "%-20s  %-*s  %-21s  %s\n", t->name, cli_width(state, 10), state,
            service_rights_text(t->rights), until);
    if (c->out == NULL)
        return;
    json_t *o =
        json_pack("{s:I, s:s, s:s, s:I, s:I, s:I}", "token", (json_int_t)t->id, "name", t->name,
                  "rights", service_rights_text(t->rights), "created", (json_int_t)t->created_at,
                  "expires", (json_int_t)t->expires_at, "revoked", (json_int_t)t->revoked_at);
    if (text != NULL)
        (void)json_object_set_new(o, "text", json_string(text));
    (void)json_array_append_new(json_object_get(c->out, "tokens"), o);
}

static enum b_code open_tokens(struct cli *c, struct b_err *err)
{
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "tokens", json_array());
    return cli_open(c, false, err);
}

enum b_code cli_scim_token_add(struct cli *c, struct b_err *err)
{
    const char *list = c->options[CLI_OPT_RIGHTS];
    const char *day = c->options[CLI_OPT_EXPIRES];
    uint8_t rights = service_rights_from(list != NULL ? list : "");
    int64_t expires = 0;
    struct store_token t;
    char text[SERVICE_TOKEN_TEXT];
    if (rights == 0)
        return b_err_set(err, B_E_USAGE, 0, _("--rights takes scim:read, scim:write, or both"));
    if (day != NULL && !service_day_at(day, 1, &expires))
        return b_err_set(err, B_E_USAGE, 0, _("--%s takes a day: YYYY-MM-DD"), "expires");
    expires -= day != NULL ? 1 : 0; /* the last second of that day, as of a badge's --until */
    enum b_code r = open_tokens(c, err);
    if (r == B_OK)
        r = service_token_add(&c->service, c->operand, rights, expires, &t, text, err);
    if (r == B_OK) {
        print_token(c, &t, text);
        cli_say(c, CLI_BOLD, _("Give it to the directory now; it is not shown again:\n"));
        cli_say(c, CLI_PLAIN, "%s\n", text);
    }
    b_wipe(text, sizeof(text));
    return r;
}

static bool list_token(void *ctx, const struct store_token *t)
{
    print_token(ctx, t, NULL);
    return true;
}

enum b_code cli_scim_token_list(struct cli *c, struct b_err *err)
{
    enum b_code r = open_tokens(c, err);
    return r == B_OK ? store_token_each(c->service.store, list_token, c, err) : r;
}

enum b_code cli_scim_token_revoke(struct cli *c, struct b_err *err)
{
    struct store_token t;
    enum b_code r = open_tokens(c, err);
    if (r == B_OK)
        r = service_token_revoke(&c->service, c->operand, &t, err);
    if (r == B_OK)
        print_token(c, &t, NULL);
    return r;
}
