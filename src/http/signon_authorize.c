/* What a relying party asks (OpenID Connect Core §3.1.2), and the answer that it gets. */
#include <stdio.h>
#include <string.h>

#include "http/signon.h"

/* Whoever the hint is of, and nobody else (§3.1.2.1); one that is not ours names nobody. */
static bool keep_to_hint(struct signon_call *c, const struct oidc_form *f, struct oidc_request *q)
{
    const char *hint = oidc_form_get(f, "id_token_hint");
    if (hint == NULL)
        return true;
    json_t *claims = signon_hint(c, hint);
    const char *sub = json_string_value(json_object_get(claims, "sub"));
    bool is = sub != NULL && oidc_is_for(sub, q->holder_ref);
    json_decref(claims);
    return is;
}

/* A value that may stand on our page: of the signs of an address or a name, no markup, no spaces.
 */
static const char *shown(const struct oidc_form *f, const char *name)
{
    static const char allowed[] = "-._~:/?&=%0123456789"
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *value = oidc_form_text(f, name);
    size_t n = strlen(value);
    return n > 0 && n < OIDC_URI_MAX && strspn(value, allowed) == n ? value : "?";
}

/* Whoever mends it must see what was asked: a slash, a port or a letter is all that is wrong. */
static void explain(struct signon_call *c, const struct oidc_form *f, const char *why)
{
    char detail[2 * OIDC_URI_MAX + 160];
    (void)snprintf(detail, sizeof(detail), "%s (client_id=%s redirect_uri=%s)", why,
                   shown(f, "client_id"), shown(f, "redirect_uri"));
    signon_trouble(c, 400, WORD_BAD, WORD_BAD_TEXT, detail);
}

bool signon_read(struct signon_call *c, struct oidc_request *ret)
{
    struct oidc_refusal why;
    const struct oidc_form *f = signon_pushed(c);
    if (f == NULL)
        return false;
    bool is_read = oidc_request_read(c->clients, f, ret, &why);
    bool may_ask = is_read && (c->is_pushed || !ret->client->must_push);
    if (may_ask && keep_to_hint(c, f, ret))
        return true;
    if (may_ask)
        signon_deny(c, ret, "invalid_request", "id_token_hint: not of ours, or of another person");
    else if (is_read)
        signon_deny(c, ret, "invalid_request", "request_uri: this client pushes what it asks");
    else if (why.may_redirect)
        signon_deny(c, ret, why.error, why.text);
    else
        explain(c, f, why.text);
    return false;
}

static void answer(struct signon_call *c, const struct oidc_request *q, const struct oidc_answer *a)
{
    static _Thread_local char url[OIDC_URI_MAX + 3 * OIDC_STATE_MAX + 1024];
    b_check(oidc_answer_uri(q, c->config->issuer, a, url, sizeof(url)));
    signon_redirect(c, url);
    signon_end_pushed(c);
    b_wipe(url, sizeof(url));
}

void signon_deny(struct signon_call *c, const struct oidc_request *q, const char *error,
                 const char *text)
{
    answer(c, q, &(struct oidc_answer){.error = error, .text = text});
}

void signon_give(struct signon_call *c, const struct oidc_request *q, int64_t signon)
{
    char code[SERVICE_SECRET];
    struct b_err err = {.code = B_OK};
    if (service_oidc_give(&c->service, q, c->config->issuer, signon, code, &err) == B_OK)
        answer(c, q, &(struct oidc_answer){.code = code});
    else
        signon_deny(c, q, "server_error", b_code_text(err.code));
    b_wipe(code, sizeof(code));
}

/* The challenge that this browser waited for before: it waits for this one now. */
static void end_last(struct signon_call *c, const char *client)
{
    struct signon_wait last;
    struct b_err ignored;
    if (signon_waiting(c, client, &last) && last.challenge.state == STORE_CHALLENGE_WAITING)
        (void)!service_challenge_end(&c->service, last.challenge.name, &ignored);
}

static void ask_tap(struct signon_call *c, const struct oidc_request *q,
                    const struct store_station *st)
{
    struct store_challenge k = {.station = st->id, .needs_pin = q->needs_pin};
    char secret[SERVICE_SECRET];
    struct b_err err = {.code = B_OK};
    end_last(c, q->client->id);
    (void)snprintf(k.party, sizeof(k.party), "%s", q->client->id);
    (void)snprintf(k.holder_ref, sizeof(k.holder_ref), "%s", q->holder_ref);
    if (service_challenge_open(&c->service, &k, secret, &err) != B_OK) {
        signon_refused(c, &err);
        return;
    }
    signon_set_waiting(c, &k, secret);
    b_wipe(secret, sizeof(secret));
    signon_go(c, "/signon", &c->query);
}

void signon_authorize(struct signon_call *c)
{
    static _Thread_local struct oidc_request q;
    static _Thread_local struct store_signon v;
    static _Thread_local char ignored[SIGNON_REQUEST_MAX + 1];
    struct store_station st;
    if (!signon_read(c, &q) || !signon_request_text(c, &c->query, ignored))
        return;
    bool is_here = signon_station(c, &st);
    if (is_here && signon_session(c, &st, &v) && service_oidc_answers(&v, &q, time(NULL)))
        signon_give(c, &q, v.id);
    else if (q.may_not_ask)
        signon_deny(c, &q, "login_required", "a badge must be tapped");
    else if (!is_here)
        signon_ask_station(c, &c->query);
    else
        ask_tap(c, &q, &st);
}

/* Cookies do not come with what another site posts: asked again as a link, they do. */
void signon_authorize_post(struct signon_call *c)
{
    signon_go(c, "/authorize", &c->form);
}
