/*
 * http: tessered, the API over HTTPS. A thin shell around libmicrohttpd: TLS 1.3 with client
 * certificates, one thread for each connection, limits, one table of routes. What a call does is in
 * src/service; here bytes become a call, and a call's outcome an answer.
 *
 *   server.c   the listener: TLS, connections, bodies, limits
 *   call.c     one call: who asks, may they, the handler, the answer or the problem
 *   rate.c     how often somebody may ask
 *   guard.c    ends connections that stall before they say who they are, or in mid-request
 *   routes.def the table of routes; one file of handlers for each family
 *   signon.h   the second listener, for browsers and relying parties: OpenID Connect
 *   config.h   server.yaml
 *   syslog.c   the journal, told to a SIEM
 *   scim.c     SCIM 2.0, under /scim/v2: its bodies and failures have forms of their own
 *   main.c     starts and stops everything
 */
#ifndef TESSERE_HTTP_HTTP_H
#define TESSERE_HTTP_HTTP_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "events/events.h"
#include "http/config.h"
#include "oidc/pushed.h"
#include "service/desk.h"
#include "service/directory.h"
#include "service/party.h"
#include "service/service.h"
#include "service/station.h"

enum {
    HTTP_BODY_MAX = 65536,
    HTTP_PARAMS_MAX = 2,
    HTTP_PARAM_MAX = 64,
    HTTP_HEADERS_MAX = 16,
    HTTP_LOCATION_MAX = 6144,
};

/* --- limits (rate.c) ---------------------------------------------------------------------------
 */

enum { HTTP_WHO = 32 }; /* a certificate's fingerprint, or an address */

struct http_rate;
struct http_rate *http_rate_new(void);
void http_rate_free(struct http_rate **r);
/* Whether one more request is within the rate, of which ten seconds' worth may come at once. */
bool http_rate_take(struct http_rate *r, const uint8_t who[static HTTP_WHO], bool has_certificate,
                    unsigned per_second);

/* --- connections (guard.c) ---------------------------------------------------------------------
 */

struct http_peer {
    int fd;
    bool has_certificate; /* one that a CA of ours or the hospital's made, and that is in date */
    bool is_checked;
    uint8_t fingerprint[32];
    uint8_t who[HTTP_WHO];          /* the fingerprint, or the address */
    char *query;                    /* of a browser's request under way, as it came; or NULL */
    atomic_uint_least64_t since_ms; /* of the connection, or of its request under way */
    atomic_bool is_idle;            /* between requests, after a good one */
    struct http_peer *next, **back;
};
struct http_guard;
struct http_guard *http_guard_start(unsigned stall_seconds);
void http_guard_stop(struct http_guard **g);
void http_guard_set(struct http_guard *g, unsigned stall_seconds);
struct http_peer *http_guard_add(struct http_guard *g, int fd);
void http_guard_remove(struct http_guard *g, struct http_peer *p);
uint64_t http_now_ms(void);

/* --- server ------------------------------------------------------------------------------------
 */

/* A call holds its reader while it waits for the vault or the writer: enough that calls under way
 * do not wait for one another's. */
enum {
    HTTP_LEAVING = 4,
    HTTP_READERS = 32,
    /* Of these, stations and strangers never have more: when the token hangs and their calls with
     * it, people still get at the server. */
    HTTP_READERS_OF_ALL = 24,
    /* And a directory's programs of these: a filter may read everybody, and many such at once would
     * leave taps neither a reader nor a processor. */
    HTTP_READERS_OF_SCIM = 2,
    /* And one certificate of these, a person's or a station's: it may be in somebody else's hands,
     * and ask for what takes long. */
    HTTP_READERS_OF_ONE = 4
};

struct http_counts {
    atomic_uint_least64_t requests, problems, refused_connections, stalled;
};

/* One address on which the server listens. Browsers have one of their own, where no certificate is
 * asked for. */
struct http_door {
    struct http_server *server;
    bool is_for_browsers;
    _Atomic(struct MHD_Daemon *) daemon;
    struct MHD_Daemon *leaving[HTTP_LEAVING]; /* take no connection any more; oldest first */
};

struct http_server {
    struct http_config config; /* of the thread that starts and reloads; calls see the next two */
    atomic_uint requests_per_second;
    atomic_bool logs_requests;
    char home[HTTP_PATH_MAX];
    struct service service; /* what calls copy; its store is not used */
    struct service_taps *taps;
    struct service_desk *desk;
    struct pki_ca *ca; /* NULL: the hospital's own PKI makes certificates */
    struct store *readers[HTTP_READERS];
    bool is_reader_used[HTTP_READERS];
    uint8_t reader_of[HTTP_READERS][HTTP_WHO]; /* whose certificate; zeros: without one */
    pthread_mutex_t readers_lock;
    pthread_cond_t reader_freed;
    struct http_guard *guard;
    struct http_rate *rate;
    struct http_rate *codes; /* how often an address may try a pairing code */
    struct http_counts counts;
    struct http_syslog *syslog; /* NULL: none */
    struct oidc_pushed *pushed; /* requests that relying parties pushed */
    struct http_book *book;     /* relying parties (signon.h); NULL: none */
    struct service_signon_rules signon_rules;
    struct events_signer signer; /* of what others are told; sign NULL: none signs */
    struct events_deliverer *events;
    struct http_door api, pages;
};
B_NODISCARD enum b_code http_server_start(struct http_server *s, struct b_err *err);
/* Certificates, trust and limits as c says, for connections from now on, and at once for what is
 * asked on those that there are: each gets its next answer and is told to connect again. On an
 * error all stays as it was. The address and the port stay. */
B_NODISCARD enum b_code http_server_renew(struct http_server *s, const struct http_config *c,
                                          struct b_err *err);
/* To be called now and then: ends what has no connection left. */
void http_server_sweep(struct http_server *s);
/* No new connections; those under way get their answers. */
void http_server_stop(struct http_server *s);
/* The port that was bound (the configuration may say 0). */
uint16_t http_server_port(const struct http_server *s);

/* --- calls (call.c) ----------------------------------------------------------------------------
 */

enum http_who { /* bits of a route: who may call it; a person's are those of enum store_role */
                HTTP_STATION = 0x10,
                HTTP_SCIM_READ = 0x200, /* by a bearer token with the right, enum store_right */
                HTTP_SCIM_WRITE = 0x400,
                HTTP_SCIM = HTTP_SCIM_READ | HTTP_SCIM_WRITE,
                HTTP_ANYBODY = 0x80,
                HTTP_BARE = 0x180, /* anybody, and neither the store nor who it is matters */
                HTTP_OPERATOR = STORE_ROLE_OPERATOR,
                HTTP_ADMINISTRATOR = STORE_ROLE_ADMINISTRATOR,
                HTTP_CUSTODIAN = STORE_ROLE_CUSTODIAN,
                HTTP_AUDITOR = STORE_ROLE_AUDITOR,
                HTTP_PEOPLE = 0x0F,
};

struct http_call;
typedef enum b_code http_handler(struct http_call *c, struct b_err *err);
struct http_route {
    const char *method, *path, *summary;
    unsigned who;
    http_handler *handler;
};
#define ROUTE(method, path, who, handler, summary) http_handler http_##handler;
#include "http/routes.def"
#undef ROUTE
/* The i-th route, NULL past the end. */
const struct http_route *http_route_at(size_t i);

struct http_call {
    struct http_server *server;
    struct service service; /* with a reader of its own */
    const struct http_route *route;
    char params[HTTP_PARAMS_MAX][HTTP_PARAM_MAX]; /* what stands for {…} in the path */
    const char *(*query)(void *ctx, const char *name);
    void *query_ctx;
    struct store_station station; /* id 0: not a station */
    struct store_person person;   /* id 0: not a person */
    struct store_token token;     /* id 0: none */
    const struct http_request *asked;
    char actor[32];
    char request[33];
    bool is_french;
    json_t *body; /* an object; empty when none came */
    json_t *out;
    char *text; /* instead of out, when it is not JSON: given to free */
    const char *type;
    char tag[SERVICE_TAG_MAX];        /* of what is answered, or "" */
    int status;                       /* 200 unless the handler says otherwise */
    char location[HTTP_LOCATION_MAX]; /* where a browser goes next, or "" */
    bool is_told_once; /* the answer has a secret: it is not kept for a repeated request */
};

#define HTTP_SCIM_TYPE "application/scim+json"

/* A request, parsed as far as HTTP goes. */
struct http_request {
    const char *method, *url, *content_type, *language, *idempotency;
    const char *authorization, *if_match, *if_none_match, *host; /* NULL: not there */
    const char *(*query)(void *ctx, const char *name);
    void *query_ctx;
    const char *body;
    size_t body_len;
    bool is_too_often;
    const char *(*header)(void *ctx, const char *name); /* ctx: query_ctx */
    const char *query_text;                             /* as it came, for browsers */
};
struct http_header {
    const char *name;
    char *value; /* to be freed */
};
struct http_answer {
    int status;
    char *text; /* to be freed */
    const char *type;
    char request[33];
    bool ends_connection;
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
};
/* Copies value. */
void http_answer_header(struct http_answer *a, const char *name, const char *value);
void http_answer_free_headers(struct http_answer *a);
/* Carries out one request of a peer. Never fails: a failure is an answer. */
void http_carry_out(struct http_server *s, struct http_peer *peer, const struct http_request *r,
                    struct http_answer *ret);
/* The same of a browser (signon.c). */
void http_carry_out_page(struct http_server *s, struct http_peer *peer,
                         const struct http_request *r, struct http_answer *ret);
/* A reader of the store (readers.c), one of the first HTTP_READERS…, for peer, or NULL; NULL: none
 * was given back in time. */
struct store *http_borrow_reader(struct http_server *s, const struct http_peer *peer, size_t most);
/* *reader may be NULL. */
void http_give_reader_back(struct http_server *s, struct store **reader);
/* A browser that has a certificate sends it with whatever another site's page posts to us: no page
 * posts to this listener. B_E_NOT_PERMITTED. */
B_NODISCARD enum b_code http_check_origin(const struct http_request *r, struct b_err *err);
/* Gives the call's reader of the store back before the end, for a handler that waits long. */
void http_return_reader(struct http_call *c);
int http_status_of(enum b_code code);
/* scim.c: a failure as RFC 7644 §3.12 has it. NULL: out of memory. */
json_t *http_scim_error(const struct b_err *err);

/* What handlers ask of a body: B_E_BAD_INPUT names the field. Text is borrowed from the body. */
B_NODISCARD enum b_code http_text(const struct http_call *c, const char *name, size_t max,
                                  const char **ret, struct b_err *err);
/* An absent one is "". */
B_NODISCARD enum b_code http_optional(const struct http_call *c, const char *name, size_t max,
                                      const char **ret, struct b_err *err);
B_NODISCARD enum b_code http_number(const struct http_call *c, const char *name, int64_t min,
                                    int64_t max, int64_t *ret, struct b_err *err);
/* Absent: 0 stays as it is. */
B_NODISCARD enum b_code http_optional_number(const struct http_call *c, const char *name,
                                             int64_t min, int64_t max, int64_t *ret,
                                             struct b_err *err);
B_NODISCARD enum b_code http_hex(const struct http_call *c, const char *name, struct b_wr *w,
                                 struct b_err *err);
/* The number in the path. */
B_NODISCARD enum b_code http_id(const struct http_call *c, int64_t *ret, struct b_err *err);
/* A page: limit and after of the query. */
struct http_page {
    int64_t after;
    size_t limit, count;
    int64_t last;
    json_t *items;
    bool has_more;
};
B_NODISCARD enum b_code http_page(const struct http_call *c, struct http_page *ret,
                                  struct b_err *err);
/* False when the page is full (then there is more): for the store's callbacks. Steals item. */
bool http_page_add(struct http_page *p, int64_t id, json_t *item);
void http_page_end(struct http_call *c, struct http_page *p);

/* Adds a challenge to the JSON array ctx: for the store's callbacks. */
bool http_challenge_add(void *ctx, const struct store_challenge *c);

#endif
