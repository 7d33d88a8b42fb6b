/* A code for a tap, for a program that can only ask for a password: docs/api.md. */
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"

enum { WAITS = 24 }; /* of five seconds each: as long as the server waits for the tap */

static enum b_code take(struct remote *r, const char *challenge, json_t **ret, struct b_err *err)
{
    char path[128];
    enum b_code code = B_E_TAP_AWAITED;
    (void)snprintf(path, sizeof(path), "/v1/station/codes/%.64s", challenge);
    for (int n = 0; n < WAITS && code == B_E_TAP_AWAITED; n++)
        code = remote_call(r, "POST", path, NULL, ret, err);
    return code;
}

enum b_code agent_code(const struct agent_home *home, const char *party,
                       const struct agent_say *say, char ret[static AGENT_CODE], struct b_err *err)
{
    struct remote *r = NULL;
    json_t *asked = NULL;
    json_t *given = NULL;
    json_t *body = json_pack("{s:s}", "for", party);
    enum b_code code = body != NULL ? agent_connect(home, &r, err)
                                    : b_err_set(err, B_E_USAGE, 0, "--for: not UTF-8");
    if (code == B_OK)
        code = remote_call(r, "POST", "/v1/station/codes", body, &asked, err);
    if (code == B_OK) {
        say->say(say->ctx, remote_text(asked, "sentence"));
        code = take(r, remote_text(asked, "challenge"), &given, err);
    }
    if (code == B_OK && strlen(remote_text(given, "code")) >= AGENT_CODE)
        code = b_err_set(err, B_E_SERVER_GONE, 0, "the server's code is none");
    if (code == B_OK)
        (void)snprintf(ret, AGENT_CODE, "%s", remote_text(given, "code"));
    json_decref(body);
    json_decref(asked);
    json_decref(given);
    remote_free(&r);
    return code;
}
