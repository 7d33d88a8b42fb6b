/* --fleet and --keys-file: what others' badges are opened by. */
#include "service/others.h"

#include "cli/cli.h"

enum b_code cli_others(struct cli *c, struct service_others *ret, struct b_err *err)
{
    const char *fleet = c->options[CLI_OPT_FLEET];
    const char *keys = c->options[CLI_OPT_KEYS_FILE];
    *ret = (struct service_others){.given = c->others, .fleet = fleet != NULL ? &c->fleet : NULL};
    enum b_code r = fleet != NULL ? service_others_fleet(fleet, &c->fleet, err) : B_OK;
    return r == B_OK && keys != NULL ? service_others_keys(keys, c->others, &ret->given_count, err)
                                     : r;
}
