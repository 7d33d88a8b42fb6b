/* The login page, and what it hears while it waits. */
#include "http/signon.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 20000 };

enum { SENTENCE_MAX = 160 };

/* How a login stands, for the page and for its script. */
struct standing {
    enum service_challenge_stand stand;
    size_t others;
    bool wants_pin;
    char tap[SERVICE_TAP_NAME]; /* the PIN is sealed for it */
    uint32_t tries_left;
    struct service_ring ring; /* what the last tap for it came to */
};

static bool look(struct signon_call *c, const struct signon_wait *w, struct standing *ret)
{
    struct b_err ignored;
    *ret = (struct standing){.stand = SERVICE_OVER};
    service_await(c->service.bells, w->challenge.name, 0, 0, &ret->ring);
    if (service_challenge_look(c->service.store, &w->challenge, &ret->stand, &ret->others,
                               &ignored) != B_OK)
        return false;
    ret->wants_pin = ret->stand != SERVICE_OVER && ret->stand != SERVICE_TAPPED &&
                     service_tap_of_challenge(c->server->taps, w->challenge.name, ret->tap,
                                              &ret->tries_left) == B_OK;
    return true;
}

static bool is_refused(const struct standing *s)
{
    bool waits = s->stand == SERVICE_WAITS || s->stand == SERVICE_CHOOSE;
    return waits && s->ring.code != B_OK && s->ring.code != B_E_PIN_REQUIRED;
}

/* What the person is told: a refusal in words that fit it, else how it stands. buffer may hold it.
 */
static const char *sentence(const struct signon_call *c, const struct standing *s,
                            char buffer[static SENTENCE_MAX])
{
    static const enum html_word words[] = {[SERVICE_WAITS] = WORD_WAITING,
                                           [SERVICE_CHOOSE] = WORD_OTHERS,
                                           [SERVICE_TAPPED] = WORD_TAPPED,
                                           [SERVICE_OVER] = WORD_OVER};
    enum b_code code = s->wants_pin && s->ring.code == B_OK ? B_E_PIN_REQUIRED : s->ring.code;
    if (code == B_OK || s->stand == SERVICE_TAPPED || s->stand == SERVICE_OVER)
        return html_word(words[s->stand], c->is_french);
    policy_sentence(code, c->is_french, "", buffer, SENTENCE_MAX);
    return buffer;
}

/* --- the page ----------------------------------------------------------------------------------
 */

/* A page while it is written. Each of its forms carries the request, so that nothing of it is kept
 * here. */
struct page {
    struct signon_call *call;
    const struct signon_wait *wait;
    const struct standing *standing;
    const char *request;
};

static void put_act(struct html *h, const struct page *p, const char *path, const char *id)
{
    html_form(h, path, id);
    html_hidden(h, "c", p->wait->challenge.name);
    html_hidden(h, "csrf", p->wait->csrf);
    html_hidden(h, "request", p->request);
}

static void put_pin(struct html *h, const struct page *p)
{
    struct vault_identity id;
    struct b_err ignored;
    char pin_key[2 * sizeof(id.pin) + 1] = "";
    if (vault_identity(p->call->service.vault, &id, &ignored) == B_OK)
        b_hex(pin_key, id.pin, sizeof(id.pin));
    html_put(h, p->standing->wants_pin ? "<div id=\"pin\">" : "<div id=\"pin\" hidden>");
    put_act(h, p, "/signon/pin", "pin-form");
    html_put(h, "<label for=\"digits\">");
    html_say(h, WORD_PIN);
    html_put(
        h,
        "</label><input id=\"digits\" type=\"password\" inputmode=\"numeric\" pattern=\"[0-9]*\""
        " maxlength=\"12\" autocomplete=\"off\" required aria-describedby=\"say\" data-digits=\"");
    html_say(h, WORD_PIN_DIGITS);
    html_put(h, "\" data-none=\"");
    html_say(h, WORD_PIN_NO_CRYPTO);
    html_put(h, "\" data-key=\"");
    html_put(h, pin_key);
    html_put(h, "\">");
    html_button(h, WORD_PIN_SEND, "main");
    html_put(h, "<noscript><p class=\"refused\">");
    html_say(h, WORD_PIN_NEEDS_SCRIPT);
    html_put(h, "</p></noscript></div>");
}

static void put_status(struct html *h, const struct page *p)
{
    char buffer[SENTENCE_MAX];
    html_put(
        h, "<p id=\"say\" role=\"status\" aria-live=\"polite\" aria-atomic=\"true\" data-lost=\"");
    html_say(h, WORD_LOST);
    html_put(h, is_refused(p->standing) ? "\" class=\"refused\">" : "\">");
    html_text(h, sentence(p->call, p->standing, buffer));
    html_put(h, "</p>");
}

static void put_shown(struct html *h, const char *id, bool is_shown)
{
    html_put(h, "<div id=\"");
    html_put(h, id);
    html_put(h, is_shown ? "\">" : "\" hidden>");
}

static void put_forms(struct html *h, const struct page *p)
{
    const struct standing *s = p->standing;
    put_shown(h, "choose", s->stand == SERVICE_CHOOSE);
    put_act(h, p, "/signon/choose", "choose-form");
    html_button(h, WORD_HERE, "main");
    html_put(h, "</div>");
    put_pin(h, p);
    put_shown(h, "finish", s->stand == SERVICE_TAPPED);
    put_act(h, p, "/signon/finish", "finish-form");
    html_button(h, WORD_GO_ON, "main");
    html_put(h, "</div>");
    html_put(h, "<noscript><p class=\"detail\">");
    html_say(h, WORD_RELOAD);
    html_put(h, "</p></noscript>");
    put_act(h, p, "/signon/cancel", "cancel-form");
    html_button(h, WORD_CANCEL, "plain");
}

/* Without its script the page loads itself again: soon while it waits for a badge, seldom while the
 * person has a button to press, which a new page would take from under their hands. */
#define HEAD(seconds)                                   \
    "<script src=\"/signon/script.js\" defer></script>" \
    "<noscript><meta http-equiv=\"refresh\" content=\"" seconds "\"></noscript>"

static void show(const struct page *p, const struct oidc_request *q)
{
    char to[OIDC_URI_MAX];
    struct signon_call *c = p->call;
    struct html *h =
        html_begin(c->is_french, WORD_SIGN_IN_TO, oidc_client_name(q->client, c->is_french),
                   p->standing->stand == SERVICE_WAITS ? HEAD("3") : HEAD("30"));
    html_put(h, "<p class=\"station\">");
    html_say_of(h, WORD_AT_STATION, p->wait->station.name);
    html_put(h, "</p><p id=\"what\">");
    html_say(h, q->needs_pin ? WORD_PUT_BADGE_PIN : WORD_PUT_BADGE);
    html_put(h, "</p>");
    put_status(h, p);
    put_forms(h, p);
    oidc_origin(q->redirect_uri, to, sizeof(to));
    signon_page_answer(c, 200, h, to);
}

/* What was begun is over: the same may be begun again. */
static void show_over(struct signon_call *c, const char *request)
{
    struct html *h = html_begin(c->is_french, WORD_OVER, NULL, "");
    html_put(h, "<p role=\"status\">");
    html_say(h, WORD_OVER_TEXT);
    html_put(h, "</p><p><a class=\"main\" href=\"/authorize?");
    html_text(h, request);
    html_put(h, "\">");
    html_say(h, WORD_AGAIN);
    html_put(h, "</a></p>");
    signon_page_answer(c, 200, h, "");
}

void signon_page(struct signon_call *c)
{
    static _Thread_local struct oidc_request q;
    static _Thread_local char request[SIGNON_REQUEST_MAX + 1];
    struct signon_wait w;
    struct standing s;
    if (!signon_read(c, &q) || !signon_request_text(c, &c->query, request))
        return;
    const struct page p = {.call = c, .wait = &w, .standing = &s, .request = request};
    if (signon_waiting(c, q.client->id, &w) && look(c, &w, &s) && s.stand != SERVICE_OVER)
        show(&p, &q);
    else
        show_over(c, request);
}

/* --- events ------------------------------------------------------------------------------------
 */

static const char *stand_name(const struct standing *s)
{
    static const char *const names[] = {[SERVICE_WAITS] = "waits",
                                        [SERVICE_CHOOSE] = "choose",
                                        [SERVICE_TAPPED] = "tapped",
                                        [SERVICE_OVER] = "over"};
    return s->wants_pin ? "pin" : names[s->stand];
}

static void say(struct signon_call *c, const struct standing *s)
{
    char buffer[SENTENCE_MAX];
    json_t *o = json_pack("{s:s, s:s, s:b, s:s, s:i, s:i}", "stand", stand_name(s), "say",
                          sentence(c, s, buffer), "refused", (int)is_refused(s), "tap",
                          s->wants_pin ? s->tap : "", "tries", (int)s->tries_left, "others",
                          (int)s->others);
    char *data = json_dumps(o, JSON_COMPACT);
    size_t cap = 128 + (data != NULL ? strlen(data) : 0);
    char *text = malloc(cap);
    b_check(data != NULL && text != NULL);
    (void)snprintf(text, cap, "retry: 50\nid: %llu\nevent: stand\ndata: %s\n\n",
                   (unsigned long long)s->ring.number, data);
    free(data);
    json_decref(o);
    signon_answer(c, 200, "text/event-stream", text);
}

/* One event for each request, which the browser repeats: the first tells how it stands, the others
 * what has happened since the one that the browser saw last, or after a while that nothing has. */
void signon_events(struct signon_call *c)
{
    struct signon_wait w;
    struct standing s;
    struct service_ring ring;
    const char *last = c->request->header(c->request->query_ctx, "Last-Event-ID");
    if (!signon_waiting(c, oidc_form_text(&c->query, "client_id"), &w) ||
        strcmp(oidc_form_text(&c->query, "c"), w.challenge.name) != 0) {
        signon_answer(c, 204, "text/plain", strdup("")); /* the browser asks no more */
        return;
    }
    atomic_store(&c->peer->is_idle, true); /* it has said all, and waits for us */
    http_give_reader_back(c->server, &c->service.store);
    service_await(c->service.bells, w.challenge.name, last != NULL ? strtoull(last, NULL, 10) : 0,
                  last != NULL ? WAIT_MS : 0, &ring);
    c->service.store = http_borrow_reader(c->server, NULL, HTTP_READERS_OF_ALL);
    struct b_err ignored;
    if (c->service.store == NULL ||
        store_challenge_by_name(c->service.store, w.challenge.name, &w.challenge, &ignored) !=
            B_OK ||
        !look(c, &w, &s))
        s = (struct standing){.stand = SERVICE_OVER};
    say(c, &s);
}
