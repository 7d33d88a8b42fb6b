/* tessere signer: the keys that sign tokens for relying parties. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "service/signer.h"

static const char *state_text(enum store_signer_state st)
{
    static const char *const names[] = {N_("next"), N_("signs"), N_("signed before"),
                                        N_("withdrawn")};
    return _(names[st]);
}

static bool list_one(void *ctx, const struct store_signing_key *k)
{
    struct cli *c = ctx;
    char at[24];
    bool is_published = service_signer_is_published(k, (int64_t)time(NULL));
    int64_t since = k->retired_at != 0     ? k->retired_at
                    : k->activated_at != 0 ? k->activated_at
                                           : k->created_at;
    cli_time(since, at, sizeof(at));
    cli_say(c, CLI_PLAIN, "%s  %s  %-*s  %s  %s\n", k->kid, crypto_jws_name(k->alg),
            cli_width(state_text(k->state), 14), state_text(k->state), at,
            is_published ? "" : _("not published"));
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "keys"),
                                    json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I}", "kid", k->kid,
                                              "alg", crypto_jws_name(k->alg), "state",
                                              store_signer_state_name(k->state), "published",
                                              is_published, "created_at", (json_int_t)k->created_at,
                                              "activated_at", (json_int_t)k->activated_at,
                                              "retired_at", (json_int_t)k->retired_at));
    return true;
}

static enum b_code list(struct cli *c, struct b_err *err)
{
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "keys", json_array());
    return store_signing_key_each(c->service.store, list_one, c, err);
}

enum b_code cli_signer_list(struct cli *c, struct b_err *err)
{
    enum b_code r = cli_open(c, false, err);
    return r == B_OK ? list(c, err) : r;
}

enum b_code cli_signer_rotate(struct cli *c, struct b_err *err)
{
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK)
        r = service_signer_rotate(&c->service, err);
    return r == B_OK ? list(c, err) : r;
}

enum b_code cli_signer_retire(struct cli *c, struct b_err *err)
{
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK && isatty(STDIN_FILENO) &&
        !cli_ask(c, _("Have all that this key signed refused, from now on? [y/N] ")))
        r = b_err_set(err, B_E_CANCELLED, 0, "the key stays published");
    if (r == B_OK)
        r = service_signer_drop(&c->service, c->operand, err);
    return r == B_OK ? list(c, err) : r;
}
