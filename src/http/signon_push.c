/* Pushed authorization requests (RFC 9126): a relying party says over its own connection what it
 * will ask, proves who it is, and a browser brings no more than the name of that. */
#include <string.h>

#include "crypto/crypto.h"
#include "http/signon.h"

static int64_t now_s(void)
{
    return (int64_t)(http_now_ms() / 1000);
}

/* --- of the relying party ----------------------------------------------------------------------
 */

/* What proves the client has done so, and is kept nowhere. */
static void keep(struct signon_call *c, const struct oidc_client *client)
{
    static const char *const proofs[] = {"client_secret", "client_assertion",
                                         "client_assertion_type"};
    char uri[OIDC_PUSHED_URI];
    struct b_err err = {.code = B_OK};
    for (size_t i = 0; i < B_COUNT(proofs); i++)
        oidc_form_drop(&c->form, proofs[i]);
    static_assert(sizeof(c->peer->who) == OIDC_PUSHED_FROM, "an address says who");
    enum b_code r =
        oidc_pushed_add(c->server->pushed, client, c->peer->who, &c->form, now_s(), uri, &err);
    if (r == B_OK)
        signon_json(c, 201,
                    json_pack("{s:s, s:i}", "request_uri", uri, "expires_in", OIDC_PUSHED_SECONDS));
    else
        signon_error(c, http_status_of(r),
                     r == B_E_TOO_LARGE ? "invalid_request" : "temporarily_unavailable", err.msg);
}

void signon_push(struct signon_call *c)
{
    static _Thread_local struct oidc_request q;
    struct oidc_refusal bad;
    const char *why = NULL;
    if (c->query.count != 0) {
        signon_error(c, 400, "invalid_request", "parameters belong into the body");
        return;
    }
    const struct oidc_client *client = signon_authenticate(c, &why);
    if (client == NULL)
        signon_error(c, 401, "invalid_client", why);
    else if (oidc_form_get(&c->form, "request_uri") != NULL)
        signon_error(c, 400, "invalid_request", "request_uri: not taken here");
    else if (!oidc_request_read(c->clients, &c->form, &q, &bad))
        signon_error(c, 400, bad.error, bad.text);
    else
        keep(c, client);
}

/* --- of the browser ----------------------------------------------------------------------------
 */

/* By what this browser alone knows; it is told when it does not know it yet, and for how long. */
static void know_browser(struct signon_call *c, uint8_t digest[static OIDC_PUSHED_BROWSER])
{
    char cookie[SIGNON_COOKIE_MAX];
    uint8_t secret[32];
    static_assert(SERVICE_SECRET == 2 * sizeof(secret) + 1, "256 bits in hexadecimal");
    signon_cookie(c, "browser", cookie, sizeof(cookie));
    if (strlen(cookie) != SERVICE_SECRET - 1) {
        crypto_random(secret, sizeof(secret));
        b_hex(cookie, secret, sizeof(secret));
    }
    crypto_sha256(cookie, strlen(cookie), digest);
    signon_set_cookie(c, "browser", cookie, OIDC_PUSHED_TAKEN_SECONDS);
    b_wipe(cookie, sizeof(cookie));
    b_wipe(secret, sizeof(secret));
}

const struct oidc_form *signon_pushed(struct signon_call *c)
{
    static _Thread_local struct oidc_form asked;
    uint8_t browser[OIDC_PUSHED_BROWSER];
    const char *uri = oidc_form_text(&c->query, "request_uri");
    const char *client = oidc_form_text(&c->query, "client_id");
    if (strncmp(uri, OIDC_PUSHED_PREFIX, sizeof(OIDC_PUSHED_PREFIX) - 1) != 0)
        return &c->query;
    know_browser(c, browser);
    if (!oidc_pushed_take(c->server->pushed, uri, client, browser, now_s(), &asked)) {
        signon_trouble(c, 400, WORD_STALE, WORD_STALE_TEXT,
                       "request_uri: not of this client, used already, or too old");
        return NULL;
    }
    /* What else came with it counts for nothing, and goes nowhere from here (§4, RFC 9101 §5). */
    c->query.fields[0] = (struct oidc_field){"client_id", client};
    c->query.fields[1] = (struct oidc_field){"request_uri", uri};
    c->query.count = 2;
    c->is_pushed = true;
    c->is_french = signon_reads_french(c, &asked);
    return &asked;
}

void signon_end_pushed(struct signon_call *c)
{
    if (c->is_pushed)
        oidc_pushed_end(c->server->pushed, oidc_form_text(&c->query, "request_uri"));
}
