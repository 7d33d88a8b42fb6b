/* A browser and its station: docs/sign-on.md. */
#include <stdlib.h>
#include <string.h>

#include "http/signon.h"

/* --- asked of a browser that nobody knows -------------------------------------------------------
 */

static void put_code(struct html *h, const char *request, const char *trouble)
{
    if (trouble[0] != '\0') {
        html_put(h, "<p class=\"refused\" role=\"alert\">");
        html_text(h, trouble);
        html_put(h, "</p>");
    }
    html_form(h, "/signon/pair", "pair-form");
    html_hidden(h, "request", request);
    html_put(h, "<label for=\"code\">");
    html_say(h, WORD_JOIN_CODE);
    html_put(h, "</label><input id=\"code\" name=\"code\" autocomplete=\"off\" "
                "autocapitalize=\"characters\""
                " spellcheck=\"false\" maxlength=\"12\" required autofocus>");
    html_button(h, WORD_JOIN_SEND, "main");
}

/* By the certificate of the machine: the API's listener asks the browser for it. */
static void put_machine(struct html *h, const struct signon_call *c, const char *request)
{
    static _Thread_local char to[2 * SIGNON_REQUEST_MAX];
    if (c->config->station_url[0] == '\0')
        return;
    if (!b_base64url(to, sizeof(to), request, strlen(request)))
        return;
    html_put(h, "<p><a class=\"plain\" href=\"");
    html_text(h, c->config->station_url);
    html_put(h, "/signon/join?to=");
    html_text(h, to);
    html_put(h, "\">");
    html_say(h, WORD_JOIN_MACHINE);
    html_put(h, "</a></p>");
}

static void ask(struct signon_call *c, int status, const struct oidc_form *f,
                enum html_word trouble)
{
    static _Thread_local char text[SIGNON_REQUEST_MAX + 1];
    if (!signon_request_text(c, f, text))
        return;
    struct html *h = html_begin(c->is_french, WORD_JOIN, NULL, "");
    html_put(h, "<p>");
    html_say(h, WORD_JOIN_TEXT);
    html_put(h, "</p>");
    put_code(h, text, trouble != WORD_COUNT ? html_word(trouble, c->is_french) : "");
    put_machine(h, c, text);
    signon_page_answer(c, status, h, "");
}

void signon_ask_station(struct signon_call *c, const struct oidc_form *f)
{
    ask(c, 200, f, WORD_COUNT);
}

static void set_station(struct signon_call *c, const char *cookie)
{
    signon_set_cookie(c, "station", cookie, SERVICE_JOIN_SECONDS);
}

/* --- ways to join ------------------------------------------------------------------------------
 */

void signon_pair(struct signon_call *c)
{
    char cookie[SERVICE_SECRET];
    struct store_station st;
    struct b_err err;
    if (!signon_take_request(c))
        return;
    if (!http_rate_take(c->server->codes, c->peer->who, false, 1)) {
        ask(c, 429, &c->query, WORD_JOIN_OFTEN);
    } else if (service_join_take(&c->service, STORE_BROWSER_CODE, oidc_form_text(&c->form, "code"),
                                 cookie, &st, &err) != B_OK) {
        ask(c, 403, &c->query, WORD_JOIN_WRONG);
    } else {
        set_station(c, cookie);
        signon_go(c, "/authorize", &c->query);
    }
    b_wipe(cookie, sizeof(cookie));
}

/* The address that the agent opens, or that a redirect brings: to is what goes on after it. */
void signon_join(struct signon_call *c)
{
    char cookie[SERVICE_SECRET] = "";
    struct store_station st;
    struct b_err err;
    const char *to = oidc_form_text(&c->query, "to");
    static _Thread_local char text[OIDC_FORM_MAX + 1];
    struct b_wr w = b_wr_from(text, sizeof(text) - 1);
    static _Thread_local struct oidc_form next;
    if (service_join_take(&c->service, STORE_BROWSER_HANDLE, oidc_form_text(&c->query, "h"), cookie,
                          &st, &err) != B_OK) {
        signon_trouble(c, 403, WORD_NOT_JOINED, WORD_NOT_JOINED_TEXT, "");
        return;
    }
    set_station(c, cookie);
    b_wipe(cookie, sizeof(cookie));
    if (to[0] != '\0' && b_unbase64url(&w, to, strlen(to)) &&
        oidc_form_parse(b_wr_reader(&w), &next, &err) == B_OK)
        signon_go(c, "/authorize", &next);
    else
        signon_redirect(c, "/signon/station"); /* the handle goes from the address line */
}

/* Where this browser is. */
void signon_where(struct signon_call *c)
{
    struct store_station st;
    if (!signon_station(c, &st)) {
        signon_trouble(c, 403, WORD_NOT_JOINED, WORD_NOT_JOINED_TEXT, "");
        return;
    }
    struct html *h = html_begin(c->is_french, WORD_JOINED, NULL, "");
    html_put(h, "<p role=\"status\">");
    html_say_of(h, WORD_JOINED_TEXT, st.name);
    html_put(h, "</p>");
    signon_page_answer(c, 200, h, "");
}

/* --- asked by the station ----------------------------------------------------------------------
 */

static enum b_code need_signon(const struct http_call *c, struct http_signon_config *ret,
                               struct b_err *err)
{
    return http_book_config(c->server, ret)
               ? B_OK
               : b_err_set(err, B_E_REFUSED, 0, "this server has no sign-on for browsers");
}

enum b_code http_station_browser(struct http_call *c, struct b_err *err)
{
    char handle[SERVICE_SECRET];
    static _Thread_local struct http_signon_config config;
    enum b_code r = need_signon(c, &config, err);
    if (r == B_OK)
        r = service_join_offer(&c->service, c->station.id, STORE_BROWSER_HANDLE, handle, err);
    if (r != B_OK)
        return r;
    c->status = 201;
    c->is_told_once = true;
    (void)json_object_set_new(c->out, "url",
                              json_sprintf("%s/signon/join?h=%s", config.issuer, handle));
    (void)json_object_set_new(c->out, "seconds", json_integer(SERVICE_HANDLE_SECONDS));
    b_wipe(handle, sizeof(handle));
    return B_OK;
}

enum b_code http_station_pair(struct http_call *c, struct b_err *err)
{
    char code[SERVICE_PAIR_CODE];
    static _Thread_local struct http_signon_config config;
    enum b_code r = need_signon(c, &config, err);
    if (r == B_OK)
        r = service_join_offer(&c->service, c->station.id, STORE_BROWSER_CODE, code, err);
    if (r != B_OK)
        return r;
    c->status = 201;
    c->is_told_once = true;
    (void)json_object_set_new(c->out, "code", json_sprintf("%.4s-%s", code, code + 4));
    (void)json_object_set_new(c->out, "seconds", json_integer(SERVICE_PAIR_SECONDS));
    return B_OK;
}

/* A browser that showed the machine's certificate goes back with a handle. Where to is ours to say:
 * it brings parameters alone. */
enum b_code http_browser_join(struct http_call *c, struct b_err *err)
{
    char handle[SERVICE_SECRET];
    static _Thread_local struct http_signon_config config;
    static _Thread_local uint8_t ignored[HTTP_LOCATION_MAX];
    const char *to = c->query(c->query_ctx, "to");
    struct b_wr w = b_wr_from(ignored, sizeof(ignored));
    enum b_code r = need_signon(c, &config, err);
    if (r == B_OK && to != NULL && !b_unbase64url(&w, to, strlen(to)))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "to: base64url, at most %d bytes", HTTP_LOCATION_MAX);
    if (r == B_OK)
        r = service_join_offer(&c->service, c->station.id, STORE_BROWSER_HANDLE, handle, err);
    if (r != B_OK)
        return r;
    int n = snprintf(c->location, sizeof(c->location), "%s/signon/join?h=%s%s%s", config.issuer,
                     handle, to != NULL ? "&to=" : "", to != NULL ? to : "");
    c->status = 303;
    b_wipe(handle, sizeof(handle));
    return (size_t)n < sizeof(c->location)
               ? B_OK
               : b_err_set(err, B_E_BAD_INPUT, 0, "to: at most %d bytes", HTTP_LOCATION_MAX);
}
