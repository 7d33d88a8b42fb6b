/* A code for a tap, for a program that can only ask for a password: docs/api.md. */
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"

enum { WAITS = 15 }; /* of five seconds each: longer than the server waits for the tap */

static enum b_code take(struct remote *r, const struct agent_code_wish *w, const char *challenge,
                        json_t **ret, struct b_err *err)
{
    char path[128];
    enum b_code code = B_E_TAP_AWAITED;
    (void)snprintf(path, sizeof(path), "/v1/station/codes/%.64s", challenge);
    for (int n = 0; n < WAITS && code == B_E_TAP_AWAITED; n++)
        code = w->is_stopped(w->ctx) ? b_err_set(err, B_E_CANCELLED, 0, "no code was asked for")
                                     : remote_call(r, "POST", path, NULL, ret, err);
    return code;
}

/* What nobody waits for any more must not have the next person's tap. */
static void give_up(struct remote *r, const char *challenge)
{
    char path[128];
    struct b_err ignored;
    (void)snprintf(path, sizeof(path), "/v1/station/challenges/%.64s/refuse", challenge);
    (void)!remote_call(r, "POST", path, NULL, NULL, &ignored);
}

static enum b_code get(struct remote *r, const struct agent_code_wish *w,
                       char ret[static AGENT_CODE], struct b_err *err)
{
    json_t *asked = NULL;
    json_t *given = NULL;
    json_t *body = json_pack("{s:s, s:s}", "for", w->party, "user", w->user);
    enum b_code code = body != NULL ? remote_call(r, "POST", "/v1/station/codes", body, &asked, err)
                                    : b_err_set(err, B_E_USAGE, 0, "--for, --user: not UTF-8");
    const char *challenge = remote_text(asked, "challenge");
    if (code == B_OK) {
        w->say(w->ctx, remote_text(asked, "sentence"));
        code = take(r, w, challenge, &given, err);
        if (code != B_OK)
            give_up(r, challenge);
    }
    if (code == B_OK && strlen(remote_text(given, "code")) >= AGENT_CODE)
        code = b_err_set(err, B_E_SERVER_GONE, 0, "the server's code is none");
    if (code == B_OK)
        (void)snprintf(ret, AGENT_CODE, "%s", remote_text(given, "code"));
    json_decref(body);
    json_decref(asked);
    json_decref(given);
    return code;
}

enum b_code agent_code(const struct agent_home *home, const struct agent_code_wish *w,
                       char ret[static AGENT_CODE], struct b_err *err)
{
    struct remote *r = NULL;
    enum b_code code = agent_connect(home, &r, err);
    if (code == B_OK)
        code = get(r, w, ret, err);
    remote_free(&r);
    return code;
}
