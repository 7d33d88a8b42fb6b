/*
 * Callouts: a code from a tap where a product asks for a name and a password, and asks us whether
 * they are right (docs/integration/callouts.md, freeradius.md). The relying party proves itself by
 * HTTP Basic; `callouts: true` in its file says that it may.
 *
 *   /callout/password   {user, password} → {result, info}     LemonLDAP::NG, Auth::REST
 *   /callout/2f/init    {user} → {result: true}               LemonLDAP::NG, second factor REST
 *   /callout/2f/verify  {user, code} → {result}
 *   /callout/radius     {user, password} → 204 or 401         FreeRADIUS, rlm_rest
 *
 * Nothing says whether a name is somebody's: neither what is answered nor what it costs.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "http/signon.h"
#include "service/tapcode.h"

/* Codes in a second: of a relying party with all its people, and of one person's name there. */
enum { PARTY_PER_SECOND = 50, NAME_PER_SECOND = 1 };

static void answer(struct signon_call *c, int status, bool is_right, json_t *info)
{
    json_t *o = json_pack("{s:b}", "result", is_right);
    if (info != NULL)
        (void)json_object_set_new(o, "info", info);
    signon_json(c, status, o);
}

/* NULL: it is none that may ask, and that is answered. */
static const struct oidc_client *caller(struct signon_call *c)
{
    const char *why = NULL;
    const struct oidc_client *client = signon_authenticate(c, &why);
    if (client == NULL) {
        signon_json(c, 403,
                    json_pack("{s:s, s:s}", "error", "invalid_client", "error_description", why));
        return NULL;
    }
    if (!client->has_callouts) {
        signon_json(c, 403,
                    json_pack("{s:s, s:s}", "error", "unauthorized_client", "error_description",
                              "callouts: its file does not say so"));
        return NULL;
    }
    return client;
}

/* The name as it was sent, so that one that is nobody's is slowed down like any other. Of one name
 * that comes too often the journal is told, since no more of that comes than PARTY_PER_SECOND. */
static bool is_too_often(struct signon_call *c, const struct service_tap_code_use *use,
                         const char *user)
{
    uint8_t party[32];
    uint8_t name[32];
    struct b_err ignored;
    static_assert(sizeof(party) == HTTP_WHO, "a digest says who");
    crypto_sha256_two("party", 6, use->party, strlen(use->party), party);
    crypto_sha256_two(party, sizeof(party), user, strlen(user), name);
    if (!http_rate_take(c->server->codes, party, true, PARTY_PER_SECOND))
        return true;
    if (http_rate_take(c->server->codes, name, false, NAME_PER_SECOND))
        return false;
    (void)!service_tap_code_refuse(&c->service, use, B_E_TOO_OFTEN, &ignored);
    return true;
}

/* Whether the code is that person's; what is not a plain yes or no is answered, and *ret_is_said.
 */
static bool is_right(struct signon_call *c, const char *field, const char *by,
                     struct store_tap_code *ret, bool *ret_is_said)
{
    const char *user = oidc_form_text(&c->form, "user");
    const struct oidc_client *client = caller(c);
    struct b_err err = {.code = B_OK};
    *ret_is_said = true;
    if (client == NULL)
        return false;
    const struct service_tap_code_use use = {.party = client->id,
                                             .holder_ref =
                                                 strlen(user) < STORE_NAME_MAX ? user : "",
                                             .code = oidc_form_text(&c->form, field),
                                             .by = by};
    if (is_too_often(c, &use, user)) {
        answer(c, 429, false, NULL);
        return false;
    }
    enum b_code r = service_tap_code_take(&c->service, &use, ret, &err);
    *ret_is_said = http_status_of(r) >= 500;
    if (*ret_is_said)
        answer(c, 503, false, NULL);
    return r == B_OK;
}

void signon_callout_password(struct signon_call *c)
{
    struct store_tap_code code;
    bool is_said = false;
    bool is_yes = is_right(c, "password", "password", &code, &is_said);
    if (is_said)
        return;
    answer(c, 200, is_yes,
           is_yes ? json_pack("{s:s, s:s, s:I}", "uid", code.holder_ref, "acr",
                              code.has_pin ? OIDC_ACR_PIN : OIDC_ACR_BADGE, "auth_time",
                              (json_int_t)code.tapped_at)
                  : json_object());
}

void signon_callout_init(struct signon_call *c)
{
    if (caller(c) != NULL)
        answer(c, 200, true, NULL);
}

void signon_callout_verify(struct signon_call *c)
{
    struct store_tap_code code;
    bool is_said = false;
    bool is_yes = is_right(c, "code", "second-factor", &code, &is_said);
    if (!is_said)
        answer(c, 200, is_yes, NULL);
}

/* rlm_rest reads the status: 204 is "ok", 401 "reject", 5xx "fail". */
void signon_callout_radius(struct signon_call *c)
{
    struct store_tap_code code;
    bool is_said = false;
    bool is_yes = is_right(c, "password", "radius", &code, &is_said);
    if (!is_said)
        signon_answer(c, is_yes ? 204 : 401, "text/plain; charset=utf-8", strdup(""));
}
