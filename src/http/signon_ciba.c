/*
 * Client-initiated backchannel authentication (OpenID CIBA Core 1.0), poll and ping: a relying
 * party asks a person for a tap without a browser ("confirm this prescription at station URG-07").
 *
 * The request's text is shown on the station and chosen there before a tap answers it (signon.h):
 * nobody confirms what they did not see. `station` is ours: the name of the station; without it,
 * the one where the person is signed in, else the one where they tap next and choose it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "http/signon.h"

enum {
    INTERVAL_SECONDS = 2,
    EXPIRY_DEFAULT = 120,
    HOLD_MS = 10000, /* an answer to come is waited for (CIBA §7.3, long polling) */
};

/* --- the request -------------------------------------------------------------------------------
 */

static bool read_station(struct signon_call *c, const char *name, int64_t *ret)
{
    struct store_station st;
    struct b_err ignored;
    if (store_station_by_name(c->service.store, name, &st, &ignored) != B_OK ||
        st.state != STORE_PARTY_ACTIVE)
        return false;
    *ret = st.id;
    return true;
}

/* Where the person is signed in now, or 0. */
static int64_t station_of(struct signon_call *c, const char *holder_ref)
{
    struct store_signon v = {.id = 0};
    struct b_err ignored;
    int64_t found = 0;
    while (store_signon_next(c->service.store, &(struct store_signon_of){.holder_ref = holder_ref},
                             v.id, &v, &ignored) == B_OK)
        if (v.expires_at > time(NULL))
            found = v.station;
    return found;
}

/* RFC 6750 §2.1: nothing that could be taken for more of a header. */
static bool is_bearer(const char *token)
{
    static const char allowed[] =
        "-._~+/=0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return token[strspn(token, allowed)] == '\0';
}

/* Says what is wrong with the request, or NULL. */
static const char *read_request(struct signon_call *c, const struct oidc_client *client,
                                struct store_challenge *k)
{
    const char *scope = oidc_form_text(&c->form, "scope");
    const char *text = oidc_form_text(&c->form, "binding_message");
    const char *station = oidc_form_text(&c->form, "station");
    const char *expiry = oidc_form_text(&c->form, "requested_expiry");
    int64_t seconds = EXPIRY_DEFAULT;
    if (!oidc_has_word(scope, "openid"))
        return "invalid_scope";
    if (strlen(text) >= sizeof(k->text) || (text[0] != '\0' && !b_text_is_name(text)))
        return "invalid_binding_message";
    if (expiry[0] != '\0') {
        char *end = NULL;
        seconds = strtol(expiry, &end, 10);
        if (*end != '\0' || seconds < 1 || seconds > SERVICE_CHALLENGE_SECONDS_MAX)
            return "invalid_request";
    }
    k->is_profile = oidc_has_word(scope, "profile");
    (void)snprintf(k->party, sizeof(k->party), "%s", client->id);
    (void)snprintf(k->text, sizeof(k->text), "%s",
                   text[0] != '\0' ? text : oidc_client_name(client, true));
    (void)snprintf(k->holder_ref, sizeof(k->holder_ref), "%s",
                   oidc_form_text(&c->form, "login_hint"));
    if (client->ping_uri[0] != '\0') {
        const char *token = oidc_form_text(&c->form, "client_notification_token");
        if (token[0] == '\0' || strlen(token) >= sizeof(k->ping_token) || !is_bearer(token))
            return "invalid_request";
        (void)snprintf(k->ping_url, sizeof(k->ping_url), "%s", client->ping_uri);
        (void)snprintf(k->ping_token, sizeof(k->ping_token), "%s", token);
    }
    k->needs_pin =
        client->needs_pin || oidc_has_word(oidc_form_text(&c->form, "acr_values"), OIDC_ACR_PIN);
    k->expires_at = time(NULL) + seconds;
    if (station[0] != '\0')
        return read_station(c, station, &k->station) ? NULL : "invalid_request";
    k->station = station_of(c, k->holder_ref);
    return NULL;
}

/* One hint, and it is somebody (§7.1; the relying party has proved who it is). */
static const char *read_hint(struct signon_call *c)
{
    struct store_holder h;
    struct b_err ignored;
    const char *hint = oidc_form_text(&c->form, "login_hint");
    bool has_others = oidc_form_text(&c->form, "id_token_hint")[0] != '\0' ||
                      oidc_form_text(&c->form, "login_hint_token")[0] != '\0';
    if (has_others || hint[0] == '\0' || strlen(hint) >= STORE_NAME_MAX)
        return "invalid_request";
    bool is_known = store_holder_by_ref(c->service.store, hint, &h, &ignored) == B_OK &&
                    h.state == STORE_PARTY_ACTIVE;
    return is_known ? NULL : "unknown_user_id";
}

void signon_ciba(struct signon_call *c)
{
    struct store_challenge k = {.id = 0};
    struct b_err err = {.code = B_OK};
    const char *why = NULL;
    const struct oidc_client *client = signon_authenticate(c, &why);
    if (client == NULL) {
        signon_error(c, 401, "invalid_client", why);
        return;
    }
    if (!client->has_ciba) {
        signon_error(c, 400, "unauthorized_client", "ciba: its file does not say so");
        return;
    }
    why = read_hint(c);
    if (why == NULL)
        why = read_request(c, client, &k);
    if (why != NULL) {
        signon_error(c, 400, why, "see docs/integration/ciba.md");
        return;
    }
    enum b_code r = service_challenge_open(&c->service, &k, NULL, &err);
    if (r != B_OK) {
        signon_error(c, http_status_of(r) >= 500 ? 503 : 400, "access_denied", b_code_text(r));
        return;
    }
    signon_json(c, 200,
                json_pack("{s:s, s:I, s:i}", "auth_req_id", k.name, "expires_in",
                          (json_int_t)(k.expires_at - time(NULL)), "interval", INTERVAL_SECONDS));
}

/* --- the answer --------------------------------------------------------------------------------
 */

static const char *error_of(struct signon_call *c, enum b_code code, const char *name)
{
    struct store_challenge k;
    struct b_err ignored;
    switch ((int)code) {
    case B_E_TAP_AWAITED:
    case B_E_TAP_LATE:
    case B_E_CHALLENGE_UNCHOSEN:
        return "authorization_pending";
    case B_E_TAP_UNDONE:
        return "access_denied";
    case B_E_CHALLENGE_OVER:
        break;
    default:
        return "invalid_grant";
    }
    bool is_refused = store_challenge_by_name(c->service.store, name, &k, &ignored) == B_OK &&
                      k.state == STORE_CHALLENGE_ENDED;
    return is_refused ? "access_denied" : "expired_token";
}

/* Whether it was asked for this one less than a second ago; the table forgets who shares a place.
 */
static bool is_too_soon(const char *name)
{
    enum { PLACES = 1024, FLOOR_MS = 1000 };
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct {
        char name[STORE_RANDOM_NAME];
        uint64_t at_ms;
    } places[PLACES];
    uint8_t digest[32];
    crypto_sha256(name, strlen(name), digest);
    uint64_t now = http_now_ms();
    size_t at = (size_t)(digest[0] << 8 | digest[1]) % PLACES;
    (void)pthread_mutex_lock(&lock);
    bool is_same = strcmp(places[at].name, name) == 0;
    bool is_soon = is_same && now - places[at].at_ms < FLOOR_MS;
    (void)snprintf(places[at].name, sizeof(places[at].name), "%s", name);
    places[at].at_ms = now;
    (void)pthread_mutex_unlock(&lock);
    return is_soon;
}

bool signon_ciba_redeem(struct signon_call *c, const struct oidc_client *client,
                        struct store_grant *ret, struct store_signon *ret_signon, char *token)
{
    const char *name = oidc_form_text(&c->form, "auth_req_id");
    struct service_ring ring = {.number = 0};
    struct b_err err = {.code = B_OK};
    service_await(c->service.bells, name, 0, 0, &ring);
    enum b_code r = service_oidc_ciba(&c->service, client, name, ret, ret_signon, token, &err);
    if (r == B_E_TAP_AWAITED && is_too_soon(name)) {
        signon_error(c, 400, "slow_down", b_code_text(r));
        return false;
    }
    if (r == B_E_TAP_AWAITED) {
        atomic_store(&c->peer->is_idle, true); /* it has said all, and waits for us */
        http_give_reader_back(c->server, &c->service.store);
        service_await(c->service.bells, name, ring.number, HOLD_MS, &ring);
        c->service.store = http_borrow_reader(c->server, NULL, HTTP_READERS_OF_ALL);
        if (c->service.store == NULL) { /* nothing is taken that could not be signed for */
            signon_error(c, 503, "temporarily_unavailable", b_code_text(B_E_VAULT_BUSY));
            return false;
        }
        r = service_oidc_ciba(&c->service, client, name, ret, ret_signon, token, &err);
    }
    if (r == B_OK)
        return true;
    if (http_status_of(r) >= 500)
        signon_error(c, 503, "temporarily_unavailable", b_code_text(r));
    else
        signon_error(c, 400, error_of(c, r, name), b_code_text(r));
    return false;
}
