/*
 * The second listener, for browsers and relying parties: OpenID Connect, and the pages that people
 * see while it waits for their tap. It asks for no certificate and knows nobody by one.
 *
 *   signon.c            one request: its route, forms, cookies, the headers of every page
 *   signon.def          the table of routes
 *   signon_authorize.c  what a relying party asks, and the answer it gets
 *   signon_push.c       what a relying party asks over its own connection, before the browser comes
 *   signon_page.c       the login page, and what it hears while it waits
 *   signon_act.c        what a person does on it: go on, choose, cancel, type a PIN
 *   signon_join.c       a browser and its station
 *   signon_token.c      codes for tokens; userinfo
 *   signon_ciba.c       a tap that is asked for without a browser
 *   signon_callout.c    a code from a tap, asked about as a password
 *   signon_logout.c     the end of a session
 *   signon_tell.c       tokens for those who are told of it
 *   signon_meta.c       discovery, keys, style and script
 *   html.h              text for pages, in words.def's two languages
 *
 * Cookies (all __Host-, Secure, HttpOnly, SameSite=Lax): "station", where the browser is;
 * "session", who signed in; "tap.CLIENT", name and secret of the challenge that this browser waits
 * for; "browser", by which a pushed request is this browser's. What a page posts comes from our own
 * origin, and with a word that only a page made for that cookie has.
 */
#ifndef TESSERE_HTTP_SIGNON_H
#define TESSERE_HTTP_SIGNON_H

#include "http/html.h"
#include "http/http.h"
#include "oidc/claims.h"
#include "service/join.h"
#include "service/oidc.h"

enum {
    SIGNON_COOKIE_MAX = 160,
    SIGNON_CSRF = 65,
    SIGNON_REQUEST_MAX = 4000, /* of what is asked, as a page carries it */
};

struct signon_call;
typedef void signon_handler(struct signon_call *c);
enum signon_who {
    SIGNON_BROWSER,
    SIGNON_OWN,   /* posted by our own pages alone */
    SIGNON_PARTY, /* a relying party's program, which reads JSON */
};
struct signon_route {
    const char *method, *path;
    signon_handler *handler;
    enum signon_who who;
};
#define SIGNON(method, path, handler, who) signon_handler signon_##handler;
#include "http/signon.def"
#undef SIGNON

struct signon_call {
    struct http_server *server;
    struct http_peer *peer;
    const struct http_request *request;
    struct http_answer *answer;
    const struct http_signon_config *config;
    const struct oidc_clients *clients;
    const struct signon_route *route;
    struct service service;       /* with a reader of its own */
    struct oidc_form query, form; /* form: of a body; empty with GET */
    bool is_french;
    bool is_pushed; /* query is no more than the name of what is asked */
    char id[33];
};

/* --- answers (signon.c) ------------------------------------------------------------------------
 */

/* Steals text, which is to be freed. */
void signon_answer(struct signon_call *c, int status, const char *type, char *text);
/* Steals o. */
void signon_json(struct signon_call *c, int status, json_t *o);
/* To a relying party's program (RFC 6749 §5.2). */
void signon_error(struct signon_call *c, int status, const char *error, const char *text);
/* A page; form_to: an origin besides ours to which its forms may lead, or "". */
void signon_page_answer(struct signon_call *c, int status, struct html *page, const char *form_to);
void signon_redirect(struct signon_call *c, const char *url);
/* To a page of ours, with these parameters, unless they are too long. */
void signon_go(struct signon_call *c, const char *path, const struct oidc_form *f);
/* A page that says what is wrong, with a sentence for the person and one for whoever programs. */
void signon_trouble(struct signon_call *c, int status, enum html_word title, enum html_word text,
                    const char *detail);
/* What went wrong on our side, or was refused: the code's sentence. */
void signon_refused(struct signon_call *c, const struct b_err *err);

/* --- cookies -----------------------------------------------------------------------------------
 */

/* "": it has none. name is without its prefix. */
void signon_cookie(const struct signon_call *c, const char *name, char *ret, size_t cap);
/* seconds 0: it is taken away. */
void signon_set_cookie(struct signon_call *c, const char *name, const char *value, int seconds);
/* The station where this browser is; false: it is not joined to one, or this one is stopped. */
bool signon_station(struct signon_call *c, struct store_station *ret);
/* The open session of this browser at that station. */
bool signon_session(struct signon_call *c, const struct store_station *st,
                    struct store_signon *ret);

/* --- the challenge that a browser waits for ----------------------------------------------------
 */

struct signon_wait {
    struct store_challenge challenge;
    struct store_station station;
    char secret[SERVICE_SECRET];
    char csrf[SIGNON_CSRF];
};
/* By the cookie for this client. False: none, or it is not of this browser. */
bool signon_waiting(struct signon_call *c, const char *client, struct signon_wait *ret);
void signon_set_waiting(struct signon_call *c, const struct store_challenge *k, const char *secret);
void signon_stop_waiting(struct signon_call *c, const char *client);

/* --- relying parties ---------------------------------------------------------------------------
 */

/* Reads the query as a request for the client's sign-on, or the one that it names; answers a bad
 * one, and then returns false. */
bool signon_read(struct signon_call *c, struct oidc_request *ret);
/* The claims of an ID token that is ours, by a key that is still published, however long it counts;
 * NULL: it is none. */
json_t *signon_hint(struct signon_call *c, const char *token);
/* The request that the query names (RFC 9126), which is this browser's from now on; the query
 * itself when it names none of ours. NULL: it is not for this browser, and that is answered. */
const struct oidc_form *signon_pushed(struct signon_call *c);
/* The request of the query is answered: its name leads nowhere any more. */
void signon_end_pushed(struct signon_call *c);
/* ui_locales of what is asked, else what the browser prefers. */
bool signon_reads_french(const struct signon_call *c, const struct oidc_form *f);
/* What is asked, as a page carries it to its forms: SIGNON_REQUEST_MAX and a NUL. False: it is too
 * long, and that is answered. */
bool signon_request_text(struct signon_call *c, const struct oidc_form *f, char *ret);
/* The request that a form of ours carries takes the place of the query. False: it is none, and that
 * is answered. */
bool signon_take_request(struct signon_call *c);
/* To the relying party, with a code for the session, or an error. */
void signon_give(struct signon_call *c, const struct oidc_request *q, int64_t signon);
void signon_deny(struct signon_call *c, const struct oidc_request *q, const char *error,
                 const char *text);
/* Which relying party asks at an endpoint for them; NULL: it has not proved it, and why. */
const struct oidc_client *signon_authenticate(struct signon_call *c, const char **why);
/* What a relying party that asked without a browser is given, once there is a tap; false: not yet
 * or never, and that is answered. token: SERVICE_SECRET characters. */
bool signon_ciba_redeem(struct signon_call *c, const struct oidc_client *client,
                        struct store_grant *ret, struct store_signon *ret_signon, char *token);
/* The page that joins this browser to a station, and then goes on to f. */
void signon_ask_station(struct signon_call *c, const struct oidc_form *f);

/* The relying parties, as their file was when it was last read; changed while calls go on. */
struct http_book;
B_NODISCARD enum b_code http_book_read(struct http_server *s, const struct http_config *c,
                                       struct http_book **ret, struct b_err *err);
/* One that was read and is not wanted; NULL is allowed. */
void http_book_free(struct http_book **b);
/* How sign-on is set up; false: it is not. */
bool http_book_config(struct http_server *s, struct http_signon_config *ret);
/* The algorithm of a relying party's tokens; *ret stays as it is when it is not known. */
void http_book_alg(struct http_server *s, const char *client, char *ret, size_t cap);
/* Whether a relying party may ask about codes from taps, and whether those need a PIN. */
bool http_book_callouts(struct http_server *s, const char *client, bool *ret_needs_pin);
/* Signs what src/events sends. */
struct events_signer http_token_signer(struct http_server *s);
/* Takes next over, in the place of what there is. */
void http_book_set(struct http_server *s, struct http_book *next);

#endif
