/* The tap policy in force, and what the directory has not of it. */
#include <stdlib.h>

#include "cli/cli.h"
#include "service/policy.h"

/* GROUP_UNKNOWN names those that are missing; they are appended to list too. */
static enum b_code look_for_groups(struct cli *c, const char *text, json_t *list, struct b_err *err)
{
    enum b_code r = service_policy_missing(&c->service, text, list, err);
    if (r != B_OK || json_array_size(list) == 0)
        return r;
    char *names = json_dumps(list, 0);
    r = b_err_set(err, B_E_GROUP_UNKNOWN, 0, "%s", names != NULL ? names : "");
    free(names);
    return r;
}

enum b_code cli_check_groups(struct cli *c, struct b_err *err)
{
    static char text[SERVICE_TEXT_MAX];
    json_t *list = json_array();
    enum b_code r = service_policy_text(&c->service, text, err);
    if (r == B_OK && text[0] != '\0')
        r = look_for_groups(c, text, list, err);
    json_decref(list);
    return r;
}

/* What is printed is the policy, byte for byte; what is said of it goes beside it. */
enum b_code cli_policy_show(struct cli *c, struct b_err *err)
{
    static char text[SERVICE_TEXT_MAX];
    struct b_err found = {0};
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_policy_text(&c->service, text, err);
    if (r != B_OK)
        return r;
    json_t *list = json_array();
    bool is_missing = text[0] != '\0' && look_for_groups(c, text, list, &found) != B_OK;
    cli_say(c, CLI_PLAIN, "%s", text);
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out, json_pack("{s:s, s:O}", "policy", text, "unknown_groups", list));
    else if (is_missing)
        cli_print_error(c, &found);
    json_decref(list);
    return B_OK;
}
