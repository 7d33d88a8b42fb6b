/* One request of a browser or a relying party. */
#include "http/signon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "oidc/body.h"
#include "oidc/file.h"
#include "service/home.h"

static const struct signon_route routes[] = {
#define SIGNON(method, path, handler, who) {method, path, signon_##handler, SIGNON_##who},
#include "http/signon.def"
#undef SIGNON
};

/* --- answers -----------------------------------------------------------------------------------
 */

void signon_answer(struct signon_call *c, int status, const char *type, char *text)
{
    b_check(text != NULL && c->answer->text == NULL);
    c->answer->status = status;
    c->answer->type = type;
    c->answer->text = text;
}

void signon_json(struct signon_call *c, int status, json_t *o)
{
    signon_answer(c, status, "application/json", json_dumps(o, JSON_COMPACT));
    json_decref(o);
}

void signon_error(struct signon_call *c, int status, const char *error, const char *text)
{
    const char *scheme = c->request->header(c->request->query_ctx, "Authorization");
    if (status == 401 && scheme != NULL)
        http_answer_header(c->answer, "WWW-Authenticate", "Basic realm=\"tessere\"");
    signon_json(c, status, json_pack("{s:s, s:s}", "error", error, "error_description", text));
}

void signon_page_answer(struct signon_call *c, int status, struct html *page, const char *form_to)
{
    char policy[512];
    html_put(page, "</main></body></html>\n");
    b_check(b_wr_ok(&page->w));
    page->text[page->w.len] = '\0';
    (void)snprintf(policy, sizeof(policy),
                   "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
                   " form-action 'self' %s; base-uri 'none'; frame-ancestors 'none'",
                   form_to);
    http_answer_header(c->answer, "Content-Security-Policy", policy);
    http_answer_header(c->answer, "Content-Language", c->is_french ? "fr" : "en");
    signon_answer(c, status, "text/html; charset=utf-8", strdup(page->text));
    b_wipe(page, sizeof(*page)); /* it has a browser's words */
    free(page);
}

void signon_redirect(struct signon_call *c, const char *url)
{
    http_answer_header(c->answer, "Location", url);
    signon_answer(c, 303, "text/plain; charset=utf-8", strdup(""));
}

void signon_go(struct signon_call *c, const char *path, const struct oidc_form *f)
{
    static _Thread_local char url[SIGNON_REQUEST_MAX + 64];
    static _Thread_local char request[SIGNON_REQUEST_MAX + 1];
    if (!signon_request_text(c, f, request))
        return;
    (void)snprintf(url, sizeof(url), "%s?%s", path, request);
    signon_redirect(c, url);
}

/* What passes by itself may be asked for again: the same address, by keyboard too. */
static void put_again(const struct signon_call *c, struct html *h, int status)
{
    if ((status < 500 && status != 429) || strcmp(c->request->method, "GET") != 0)
        return;
    html_put(h, "<p><a class=\"main\" href=\"\">");
    html_say(h, WORD_AGAIN);
    html_put(h, "</a></p>");
}

void signon_trouble(struct signon_call *c, int status, enum html_word title, enum html_word text,
                    const char *detail)
{
    struct html *h = html_begin(c->is_french, title, NULL, "");
    html_put(h, "<p>");
    html_say(h, text);
    html_put(h, "</p>");
    if (detail[0] != '\0') {
        html_put(h, "<p class=\"detail\"><code>");
        html_text(h, detail);
        html_put(h, "</code></p>");
    }
    put_again(c, h, status);
    signon_page_answer(c, status, h, "");
}

void signon_refused(struct signon_call *c, const struct b_err *err)
{
    char sentence[160];
    policy_sentence(err->code, c->is_french, "", sentence, sizeof(sentence));
    int status = http_status_of(err->code);
    struct html *h =
        html_begin(c->is_french, status >= 500 ? WORD_TROUBLE : WORD_SIGN_IN, NULL, "");
    html_put(h, "<p class=\"refused\" role=\"alert\">");
    html_text(h, sentence);
    html_put(h, "</p>");
    put_again(c, h, status);
    signon_page_answer(c, status, h, "");
}

/* --- cookies -----------------------------------------------------------------------------------
 */

void signon_cookie(const struct signon_call *c, const char *name, char *ret, size_t cap)
{
    static const char prefix[] = "__Host-";
    const char *at = c->request->header(c->request->query_ctx, "Cookie");
    size_t n = strlen(name);
    ret[0] = '\0';
    for (; at != NULL && *at != '\0'; at = strchr(at, ';')) {
        at += strspn(at, "; ");
        if (strncmp(at, prefix, sizeof(prefix) - 1) != 0 ||
            strncmp(at + sizeof(prefix) - 1, name, n) != 0 || at[sizeof(prefix) - 1 + n] != '=')
            continue;
        const char *value = at + sizeof(prefix) + n;
        size_t length = strcspn(value, ";");
        if (length < cap) {
            memcpy(ret, value, length);
            ret[length] = '\0';
        }
        return;
    }
}

void signon_set_cookie(struct signon_call *c, const char *name, const char *value, int seconds)
{
    char text[OIDC_ID_MAX + SIGNON_COOKIE_MAX + 96];
    (void)snprintf(text, sizeof(text),
                   "__Host-%s=%s; Path=/; Max-Age=%d; Secure; HttpOnly; SameSite=Lax", name, value,
                   seconds);
    http_answer_header(c->answer, "Set-Cookie", text);
    b_wipe(text, sizeof(text));
}

bool signon_station(struct signon_call *c, struct store_station *ret)
{
    char cookie[SIGNON_COOKIE_MAX];
    struct b_err ignored;
    signon_cookie(c, "station", cookie, sizeof(cookie));
    return cookie[0] != '\0' &&
           service_join_station(c->service.store, cookie, time(NULL), ret, &ignored) == B_OK;
}

bool signon_session(struct signon_call *c, const struct store_station *st, struct store_signon *ret)
{
    char cookie[SIGNON_COOKIE_MAX];
    struct store_badge badge;
    struct b_err ignored;
    int64_t now = time(NULL);
    signon_cookie(c, "session", cookie, sizeof(cookie));
    return cookie[0] != '\0' &&
           service_signon_find(c->service.store, cookie, now, ret, &ignored) == B_OK &&
           ret->station == st->id &&
           store_badge_by_id(c->service.store, ret->badge_id, &badge, &ignored) == B_OK &&
           (badge.not_after == 0 || badge.not_after > now); /* which nobody changes when it comes */
}

/* --- the challenge that a browser waits for ----------------------------------------------------
 */

static void name_wait(const char *client, char ret[static OIDC_ID_MAX + 8])
{
    (void)snprintf(ret, OIDC_ID_MAX + 8, "tap.%s", client);
}

bool signon_waiting(struct signon_call *c, const char *client, struct signon_wait *ret)
{
    char name[OIDC_ID_MAX + 8];
    char cookie[SIGNON_COOKIE_MAX];
    uint8_t digest[32];
    struct b_err ignored;
    name_wait(client, name);
    signon_cookie(c, name, cookie, sizeof(cookie));
    char *secret = strchr(cookie, '.');
    if (secret == NULL || strlen(secret + 1) != SERVICE_SECRET - 1)
        return false;
    *secret++ = '\0';
    if (store_challenge_by_name(c->service.store, cookie, &ret->challenge, &ignored) != B_OK ||
        strcmp(ret->challenge.party, client) != 0 ||
        !service_challenge_is_of(&ret->challenge, secret) ||
        store_station_by_id(c->service.store, ret->challenge.station, &ret->station, &ignored) !=
            B_OK)
        return false;
    memcpy(ret->secret, secret, sizeof(ret->secret));
    crypto_sha256_two("csrf", 4, secret, SERVICE_SECRET - 1, digest);
    b_hex(ret->csrf, digest, sizeof(digest));
    return true;
}

void signon_set_waiting(struct signon_call *c, const struct store_challenge *k, const char *secret)
{
    char name[OIDC_ID_MAX + 8];
    char value[SIGNON_COOKIE_MAX];
    name_wait(k->party, name);
    (void)snprintf(value, sizeof(value), "%s.%s", k->name, secret);
    signon_set_cookie(c, name, value, SERVICE_CHALLENGE_SECONDS_MAX);
    b_wipe(value, sizeof(value));
}

void signon_stop_waiting(struct signon_call *c, const char *client)
{
    char name[OIDC_ID_MAX + 8];
    name_wait(client, name);
    signon_set_cookie(c, name, "", 0);
}

/* --- relying parties ---------------------------------------------------------------------------
 */

struct http_book {
    size_t users;
    bool is_old;
    struct http_signon_config config;
    struct oidc_clients clients;
};
static pthread_mutex_t book_lock = PTHREAD_MUTEX_INITIALIZER;

static struct http_book *borrow_book(struct http_server *s)
{
    (void)pthread_mutex_lock(&book_lock);
    struct http_book *b = s->book;
    if (b != NULL)
        b->users++;
    (void)pthread_mutex_unlock(&book_lock);
    return b;
}

static void give_book_back(struct http_book *b)
{
    (void)pthread_mutex_lock(&book_lock);
    bool is_last = --b->users == 0 && b->is_old;
    (void)pthread_mutex_unlock(&book_lock);
    if (is_last)
        free(b);
}

enum b_code http_book_read(struct http_server *s, const struct http_config *c,
                           struct http_book **ret, struct b_err *err)
{
    char path[2 * HTTP_PATH_MAX];
    *ret = NULL;
    if (!http_has_signon(c))
        return B_OK;
    bool is_whole = c->signon.clients[0] == '/';
    (void)snprintf(path, sizeof(path), "%s%s%s", is_whole ? "" : s->home, is_whole ? "" : "/",
                   c->signon.clients);
    struct http_book *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading the relying parties");
    b->config = c->signon;
    enum b_code r = oidc_clients_read(path, &b->clients, err);
    if (r == B_OK)
        *ret = b;
    else
        free(b);
    return r;
}

void http_book_free(struct http_book **b)
{
    free(*b);
    *b = NULL;
}

bool http_book_config(struct http_server *s, struct http_signon_config *ret)
{
    struct http_book *b = borrow_book(s);
    if (b == NULL)
        return false;
    *ret = b->config;
    give_book_back(b);
    return true;
}

void http_book_alg(struct http_server *s, const char *client, char *ret, size_t cap)
{
    struct http_book *b = borrow_book(s);
    const struct oidc_client *found = b != NULL ? oidc_client_find(&b->clients, client) : NULL;
    if (found != NULL)
        (void)snprintf(ret, cap, "%s", found->alg);
    if (b != NULL)
        give_book_back(b);
}

bool http_book_callouts(struct http_server *s, const char *client, bool *ret_needs_pin)
{
    struct http_book *b = borrow_book(s);
    const struct oidc_client *found = b != NULL ? oidc_client_find(&b->clients, client) : NULL;
    bool may = found != NULL && found->has_callouts;
    if (may)
        *ret_needs_pin = found->needs_pin;
    if (b != NULL)
        give_book_back(b);
    return may;
}

void http_book_set(struct http_server *s, struct http_book *next)
{
    (void)pthread_mutex_lock(&book_lock);
    struct http_book *old = s->book;
    s->book = next;
    bool is_free = old != NULL && old->users == 0;
    if (old != NULL)
        old->is_old = true;
    (void)pthread_mutex_unlock(&book_lock);
    if (is_free)
        free(old);
}

/* --- one request -------------------------------------------------------------------------------
 */

/* What every answer says, whatever it is. */
static void put_headers(struct http_answer *a)
{
    http_answer_header(a, "Strict-Transport-Security", "max-age=31536000");
    http_answer_header(a, "X-Content-Type-Options", "nosniff");
    http_answer_header(a, "Referrer-Policy", "no-referrer");
    http_answer_header(a, "X-Frame-Options", "DENY");
    http_answer_header(a, "Cross-Origin-Opener-Policy", "same-origin");
    http_answer_header(a, "Cross-Origin-Resource-Policy", "same-origin");
    http_answer_header(a, "Permissions-Policy", "camera=(), microphone=(), geolocation=()");
}

/* By the path, and by the method where there is one for it; NULL: there is nothing there. */
static const struct signon_route *find_route(const struct http_request *r)
{
    const struct signon_route *ret = NULL;
    for (size_t i = 0; i < B_COUNT(routes); i++) {
        if (strcmp(routes[i].path, r->url) != 0)
            continue;
        ret = &routes[i];
        if (strcmp(ret->method, r->method) == 0)
            break;
    }
    return ret;
}

/* A browser says where a form is from. One that says nothing is too old to be told apart from
 * another site's; since our pages send no referrer, the origin alone may be "null". */
static bool is_from_us(const struct signon_call *c)
{
    const char *origin = c->request->header(c->request->query_ctx, "Origin");
    const char *site = c->request->header(c->request->query_ctx, "Sec-Fetch-Site");
    bool is_ours = origin != NULL && strcmp(origin, c->config->issuer) == 0;
    bool is_silent = origin == NULL || strcmp(origin, "null") == 0;
    return site != NULL ? strcmp(site, "same-origin") == 0 && (is_ours || is_silent) : is_ours;
}

/* Products that call out send JSON, or a form. */
static bool may_be_json(const struct signon_call *c)
{
    static const char callout[] = "/callout/";
    static const char type[] = "application/json";
    const char *is = c->request->content_type;
    return is != NULL && strncmp(is, type, sizeof(type) - 1) == 0 &&
           strncmp(c->route->path, callout, sizeof(callout) - 1) == 0;
}

static enum b_code read_forms(struct signon_call *c, struct b_err *err)
{
    static const char type[] = "application/x-www-form-urlencoded";
    const struct http_request *r = c->request;
    enum b_code code =
        oidc_form_parse(b_rd_from(r->query_text, strlen(r->query_text)), &c->query, err);
    if (code != B_OK || strcmp(r->method, "POST") != 0)
        return code;
    if (r->body == NULL)
        return b_err_set(err, B_E_TOO_LARGE, 0, "a body holds at most %d bytes", OIDC_FORM_MAX);
    if (may_be_json(c))
        return oidc_body_parse(b_rd_from(r->body, r->body_len), &c->form, err);
    if (r->body_len > 0 &&
        (r->content_type == NULL || strncmp(r->content_type, type, sizeof(type) - 1) != 0))
        return b_err_set(err, B_E_MEDIA_TYPE, 0, "%s is needed", type);
    return oidc_form_parse(b_rd_from(r->body, r->body_len), &c->form, err);
}

/* No handler sees the request: whoever sent it hears so in its own form. */
static void turn_away(struct signon_call *c, int status, enum html_word title, enum html_word text,
                      const char *detail)
{
    bool is_bad = status < 500 && status != 429;
    if (c->route == NULL || c->route->who != SIGNON_PARTY)
        signon_trouble(c, status, title, text, detail);
    else
        signon_error(c, status, is_bad ? "invalid_request" : "temporarily_unavailable",
                     detail[0] != '\0' ? detail : html_word(text, false));
}

static void serve(struct signon_call *c)
{
    struct b_err err = {.code = B_OK};
    c->route = find_route(c->request);
    if (c->route == NULL || strcmp(c->route->method, c->request->method) != 0) {
        turn_away(c, c->route != NULL ? 405 : 404, WORD_NOTHING, WORD_NOTHING_TEXT, "");
    } else if (c->request->is_too_often) {
        turn_away(c, 429, WORD_TROUBLE, WORD_OFTEN, "");
    } else if (read_forms(c, &err) != B_OK) {
        turn_away(c, http_status_of(err.code), WORD_BAD, WORD_BAD_TEXT, err.msg);
    } else if (c->route->who == SIGNON_OWN && !is_from_us(c)) {
        turn_away(c, 403, WORD_FORGED, WORD_FORGED_TEXT, "");
    } else if ((c->service.store = http_borrow_reader(c->server, NULL, HTTP_READERS_OF_ALL)) ==
               NULL) {
        turn_away(c, 503, WORD_TROUBLE, WORD_OFTEN, "");
    } else {
        c->route->handler(c);
        http_give_reader_back(c->server, &c->service.store);
    }
}

bool signon_reads_french(const struct signon_call *c, const struct oidc_form *f)
{
    const char *asked = oidc_form_get(f, "ui_locales");
    const char *browser = c->request->language;
    return oidc_is_french(asked != NULL ? asked : browser != NULL ? browser : "");
}

bool signon_request_text(struct signon_call *c, const struct oidc_form *f, char *ret)
{
    struct b_wr w = b_wr_from(ret, SIGNON_REQUEST_MAX);
    oidc_form_put(&w, f);
    ret[w.len] = '\0';
    if (b_wr_ok(&w))
        return true;
    signon_trouble(c, 400, WORD_BAD, WORD_BAD_TEXT, "parameters that are too long together");
    return false;
}

bool signon_take_request(struct signon_call *c)
{
    struct b_err err;
    const char *request = oidc_form_text(&c->form, "request");
    if (oidc_form_parse(b_rd_from(request, strlen(request)), &c->query, &err) != B_OK) {
        signon_trouble(c, 400, WORD_BAD, WORD_BAD_TEXT, err.msg);
        return false;
    }
    c->is_french = signon_reads_french(c, &c->query);
    return true;
}

void http_carry_out_page(struct http_server *s, struct http_peer *peer,
                         const struct http_request *r, struct http_answer *ret)
{
    static _Thread_local struct signon_call c;
    struct http_book *book = borrow_book(s);
    uint8_t id[8];
    struct b_err ignored;
    b_check(book != NULL);
    memset(&c, 0, sizeof(c));
    c.server = s;
    c.peer = peer;
    c.request = r;
    c.answer = ret;
    c.config = &book->config;
    c.clients = &book->clients;
    c.service = s->service;
    crypto_random(id, sizeof(id));
    b_hex(c.id, id, sizeof(id));
    c.service.asker = (struct service_asker){.actor = "browser", .request = c.id};
    *ret = (struct http_answer){.status = 0};
    memcpy(ret->request, c.id, sizeof(ret->request));
    put_headers(ret);
    if (oidc_form_parse(b_rd_from(r->query_text, strlen(r->query_text)), &c.query, &ignored) !=
        B_OK)
        c.query.count = 0;
    c.is_french = signon_reads_french(&c, &c.query);
    serve(&c);
    atomic_fetch_add(&s->counts.requests, 1);
    if (ret->status >= 400)
        atomic_fetch_add(&s->counts.problems, 1);
    b_wipe(&c.form, sizeof(c.form)); /* secrets of relying parties */
    give_book_back(book);
    b_check(ret->text != NULL);
}
