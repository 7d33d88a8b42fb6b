/* tessere fleet key: keys of other systems that custodians gave. */
#include "service/given.h"

#include "cli/cli.h"

static bool list_one(void *ctx, const struct store_given *k)
{
    struct cli *c = ctx;
    char kcv[7], at[24];
    bool is_used = k->forgotten_at == 0;
    b_hex(kcv, k->kcv, sizeof(k->kcv));
    cli_time(k->at, at, sizeof(at));
    cli_say(c, is_used ? CLI_PLAIN : CLI_YELLOW, "%-24s  %-6s  %s (%s)  %s  %s  %s\n", k->name,
            k->type, kcv, k->kcv_method, at, k->by, is_used ? "" : _("forgotten"));
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "keys"),
                                    json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:I}", "name",
                                              k->name, "type", k->type, "kcv", kcv, "kcv_method",
                                              k->kcv_method, "at", (json_int_t)k->at, "by", k->by,
                                              "forgotten_at", (json_int_t)k->forgotten_at));
    return true;
}

enum b_code cli_fleet_key_list(struct cli *c, struct b_err *err)
{
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK && c->out != NULL)
        (void)json_object_set_new(c->out, "keys", json_array());
    return r == B_OK ? store_given_each(c->service.store, list_one, c, err) : r;
}

enum b_code cli_fleet_key_forget(struct cli *c, struct b_err *err)
{
    struct store_given k;
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = store_given_get(c->service.store, c->operand, &k, err);
    if (r == B_OK &&
        !cli_ask(c, _("Forget this key? What it alone opens is taken over no more. [y/N] ")))
        r = b_err_set(err, B_E_CANCELLED, 0, "%s", k.name);
    return r == B_OK ? service_given_forget(&c->service, c->operand, err) : r;
}
