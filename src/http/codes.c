/* A code for a tap, which a person on this station asked for: docs/api.md. */
#include <stdio.h>
#include <string.h>

#include "http/signon.h"
#include "service/tapcode.h"

enum { TAP_MS = 5000 }; /* a station gives up after ten seconds */

static void say(struct http_call *c, enum b_code code)
{
    char sentence[160];
    policy_sentence(code, c->is_french, "", sentence, sizeof(sentence));
    (void)json_object_set_new(c->out, "sentence", json_string(sentence));
}

enum b_code http_code_ask(struct http_call *c, struct b_err *err)
{
    const char *party = NULL;
    const char *user = NULL;
    struct store_challenge k = {.station = c->station.id};
    enum b_code r = http_text(c, "for", OIDC_ID_MAX - 1, &party, err);
    if (r == B_OK)
        r = http_optional(c, "user", sizeof(k.holder_ref) - 1, &user, err);
    if (r == B_OK && !http_book_callouts(c->server, party, &k.needs_pin))
        r = b_err_set(err, B_E_NOT_PERMITTED, 0, "%s: no relying party with callouts: true", party);
    if (r != B_OK)
        return r;
    (void)snprintf(k.party, sizeof(k.party), "%s", party);
    (void)snprintf(k.holder_ref, sizeof(k.holder_ref), "%s", user);
    r = service_tap_code_ask(&c->service, &k, err);
    if (r != B_OK)
        return r;
    c->status = 201;
    (void)json_object_set_new(c->out, "challenge", json_string(k.name));
    (void)json_object_set_new(c->out, "expires_at", json_integer((json_int_t)k.expires_at));
    say(c, B_E_NO_CARD);
    return B_OK;
}

/* Waits for the tap: who asks too early or too late gets tap-awaited, and asks again. */
enum b_code http_code_take(struct http_call *c, struct b_err *err)
{
    char code[SERVICE_TAP_CODE];
    struct store_tap_code given;
    struct service_ring ring = {.number = 0};
    const char *name = c->params[0];
    http_return_reader(c);
    service_await(c->service.bells, name, 0, 0, &ring);
    enum b_code r = service_tap_code_give(&c->service, name, c->station.id, code, &given, err);
    if (r == B_E_TAP_AWAITED) {
        service_await(c->service.bells, name, ring.number, TAP_MS, &ring);
        r = service_tap_code_give(&c->service, name, c->station.id, code, &given, err);
    }
    if (r != B_OK)
        return r;
    c->is_told_once = true;
    (void)json_object_set_new(c->out, "code", json_string(code));
    (void)json_object_set_new(c->out, "for", json_string(given.party));
    (void)json_object_set_new(c->out, "holder", json_string(given.holder_ref));
    (void)json_object_set_new(c->out, "expires_at", json_integer((json_int_t)given.expires_at));
    b_wipe(code, sizeof(code));
    return B_OK;
}
