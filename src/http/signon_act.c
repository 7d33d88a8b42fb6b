/* What a person does on the login page. */
#include <string.h>

#include "http/signon.h"

/* The challenge and the request of a form that our page made for this browser. False: it is another
 * one's, and that is answered. */
static bool read_act(struct signon_call *c, struct oidc_request *q, struct signon_wait *w)
{
    const char *csrf = oidc_form_text(&c->form, "csrf");
    if (!signon_take_request(c) || !signon_read(c, q))
        return false;
    if (signon_waiting(c, q->client->id, w) && strlen(csrf) == SIGNON_CSRF - 1 &&
        b_ct_eq(csrf, w->csrf, SIGNON_CSRF - 1) &&
        strcmp(oidc_form_text(&c->form, "c"), w->challenge.name) == 0)
        return true;
    signon_trouble(c, 403, WORD_FORGED, WORD_FORGED_TEXT, "");
    return false;
}

void signon_finish(struct signon_call *c)
{
    static _Thread_local struct oidc_request q;
    static _Thread_local struct service_answer answer;
    static _Thread_local struct service_beginning begins;
    struct store_signon *v = &begins.signon;
    struct signon_wait w;
    struct b_err err = {.code = B_OK};
    if (!read_act(c, &q, &w))
        return;
    /* Not the request that the tap was asked for. */
    bool is_weaker = (q.needs_pin && !w.challenge.needs_pin) ||
                     (q.holder_ref[0] != '\0' && strcmp(q.holder_ref, w.challenge.holder_ref) != 0);
    enum b_code r = B_OK;
    if (is_weaker)
        r = service_challenge_end(&c->service, w.challenge.name, &err);
    if (is_weaker && r == B_OK)
        r = b_err_set(&err, B_E_CHALLENGE_OTHER, 0, "of %s", q.client->id);
    if (!is_weaker)
        r = service_challenge_take(&c->service, w.challenge.name, q.client->id, w.secret, &answer,
                                   &begins, &err);
    if (r == B_E_TAP_AWAITED || r == B_E_CHALLENGE_UNCHOSEN) {
        signon_go(c, "/signon", &c->query);
        return;
    }
    signon_stop_waiting(c, q.client->id);
    if (r != B_OK) {
        signon_refused(c, &err);
        return;
    }
    signon_set_cookie(c, "session", begins.cookie, (int)(v->expires_at - v->tapped_at));
    b_wipe(begins.cookie, sizeof(begins.cookie));
    signon_give(c, &q, v->id);
}

void signon_choose(struct signon_call *c)
{
    static _Thread_local struct oidc_request q;
    struct signon_wait w;
    struct b_err err = {.code = B_OK};
    if (!read_act(c, &q, &w))
        return;
    if (service_challenge_choose(&c->service, w.challenge.name, w.station.id, &err) == B_OK)
        signon_go(c, "/signon", &c->query);
    else
        signon_refused(c, &err);
}

void signon_cancel(struct signon_call *c)
{
    static _Thread_local struct oidc_request q;
    struct signon_wait w;
    struct b_err ignored;
    if (!read_act(c, &q, &w))
        return;
    (void)!service_challenge_end(&c->service, w.challenge.name, &ignored);
    signon_stop_waiting(c, q.client->id);
    signon_deny(c, &q, "access_denied", "the person went back");
}

/* Sealed in the browser for the vault, for the tap that waits on this station and no other. */
void signon_pin(struct signon_call *c)
{
    static _Thread_local struct service_verdict verdict;
    static _Thread_local struct oidc_request q;
    struct signon_wait w;
    char tap[SERVICE_TAP_NAME];
    char sentence[160];
    uint8_t box[256];
    uint32_t tries = 0;
    struct b_wr bytes = b_wr_from(box, sizeof(box));
    struct b_err err = {.code = B_OK};
    if (!read_act(c, &q, &w))
        return;
    enum b_code r = service_tap_of_challenge(c->server->taps, w.challenge.name, tap, &tries);
    if (r == B_E_NOT_FOUND)
        r = b_err_set(&err, r, 0, "no tap waits for a PIN");
    if (r == B_OK && !b_unhex(&bytes, oidc_form_text(&c->form, "box")))
        r = b_err_set(&err, B_E_BAD_INPUT, 0, "field box: bytes in hexadecimal");
    if (r == B_OK)
        r = service_tap_pin(&c->service, c->server->taps, &w.station, tap, b_wr_reader(&bytes),
                            &verdict, &err);
    policy_sentence(r == B_OK ? B_OK : err.code, c->is_french, "", sentence, sizeof(sentence));
    json_t *o = json_pack("{s:s, s:s}", "outcome", b_code_name(r), "say", sentence);
    if (r == B_E_PIN_THROTTLED)
        (void)json_object_set_new(o, "retry_at", json_integer(verdict.retry_at));
    signon_json(c, r == B_OK ? 200 : http_status_of(r), o);
}
