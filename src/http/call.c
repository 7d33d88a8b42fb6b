/* One call: the route, who asks, may they, the handler, the answer or the problem. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto/crypto.h"
#include "http/http.h"

static const struct http_route routes[] = {
#define ROUTE(method, path, who, handler, summary) {method, path, summary, who, http_##handler},
#include "http/routes.def"
#undef ROUTE
};

const struct http_route *http_route_at(size_t i)
{
    return i < B_COUNT(routes) ? &routes[i] : NULL;
}

/* --- problems ----------------------------------------------------------------------------------
 */

/* Where the exit class of err.def does not say enough. */
static const struct {
    enum b_code code;
    int status;
} statuses[] = {
    {B_E_CERTIFICATE_NEEDED, 401},
    {B_E_CERTIFICATE_UNKNOWN, 401},
    {B_E_CERTIFICATE_EXPIRED, 401},
    {B_E_NOT_FOUND, 404},
    {B_E_METHOD, 405},
    {B_E_TOO_LARGE, 413},
    {B_E_MEDIA_TYPE, 415},
    {B_E_TOO_OFTEN, 429},
    {B_E_DUPLICATE, 409},
    {B_E_ORDER_WAITS, 409},
    {B_E_KEY_REUSED, 422},
    {B_E_KEY_EXISTS, 409},
    {B_E_TOKEN_NEEDED, 401},
    {B_E_TOKEN_UNKNOWN, 401},
    {B_E_SCIM_VERSION, 412},
};

int http_status_of(enum b_code code)
{
    static const int of_class[] = {200, 500, 400, 403, 422, 422, 503, 503, 409};
    for (size_t i = 0; i < B_COUNT(statuses); i++)
        if (statuses[i].code == code)
            return statuses[i].status;
    return of_class[b_code_exit(code)];
}

/* Somebody may stand at a reader and read what comes of it: not where people administer. */
static bool is_at_reader(const struct http_call *c, enum b_code code)
{
    if (c->route == NULL)
        return code == B_E_TOO_OFTEN;
    return c->person.id == 0 && (c->route->who & (HTTP_STATION | HTTP_ANYBODY)) != 0;
}

static json_t *problem(const struct http_call *c, const struct b_err *err)
{
    json_t *p = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s}", "type", "about:blank", "title",
                          b_code_text(err->code), "status", http_status_of(err->code), "code",
                          b_code_name(err->code), "detail", err->msg, "remedy",
                          b_code_remedy(err->code), "request", c->request);
    char sentence[160];
    policy_sentence(err->code, c->is_french, "", sentence, sizeof(sentence));
    if (is_at_reader(c, err->code))
        (void)json_object_set_new(p, "sentence", json_string(sentence));
    if (c->out != NULL)
        (void)json_object_update(p, c->out);
    return p;
}

/* --- routes ------------------------------------------------------------------------------------
 */

/* The next part of a path, between slashes; false at its end. */
static bool next_part(const char **path, const char **part, size_t *n)
{
    if (**path != '/')
        return false;
    *part = *path + 1;
    *n = strcspn(*part, "/");
    *path = *part + *n;
    return true;
}

/* A staff id may have slashes, and they come unescaped here: it goes as far as leaves room for what
 * the path ends with. */
static void take_rest(const char *ending, const char **path, const char *part, size_t *n)
{
    size_t all = strlen(part), rest = strlen(ending);
    *n = all > rest ? all - rest : 0;
    *path = part + *n;
}

static bool fits(const struct http_route *route, const char *url, struct http_call *c)
{
    const char *wanted = route->path;
    const char *part = NULL;
    const char *got = NULL;
    size_t n = 0;
    size_t got_n = 0;
    size_t params = 0;
    while (next_part(&wanted, &part, &n)) {
        if (!next_part(&url, &got, &got_n))
            return false;
        if (part[0] != '{') {
            if (got_n != n || strncmp(part, got, n) != 0)
                return false;
            continue;
        }
        if (strncmp(part, "{ref}", n) == 0)
            take_rest(wanted, &url, got, &got_n);
        if (got_n == 0 || got_n >= HTTP_PARAM_MAX || params >= HTTP_PARAMS_MAX)
            return false;
        if (c != NULL) {
            memcpy(c->params[params], got, got_n);
            c->params[params][got_n] = '\0';
        }
        params++;
    }
    return *url == '\0';
}

static enum b_code find_route(struct http_call *c, const struct http_request *r, struct b_err *err)
{
    bool has_path = false;
    for (size_t i = 0; i < B_COUNT(routes); i++) {
        if (!fits(&routes[i], r->url, NULL))
            continue;
        has_path = true;
        if (strcmp(routes[i].method, r->method) != 0)
            continue;
        c->route = &routes[i];
        (void)fits(&routes[i], r->url, c);
        return B_OK;
    }
    return has_path ? b_err_set(err, B_E_METHOD, 0, "%.10s", r->method)
                    : b_err_set(err, B_E_NOT_FOUND, 0, "there is nothing at this address");
}

/* --- who asks ----------------------------------------------------------------------------------
 */

static enum b_code take_station(struct http_call *c, struct b_err *err)
{
    const struct store_station *t = &c->station;
    (void)snprintf(c->actor, sizeof(c->actor), "station:%lld", (long long)t->id);
    if (t->state == STORE_PARTY_ENDED)
        return b_err_set(err, B_E_STATION_REVOKED, 0, "station %s", t->name);
    if (t->state == STORE_PARTY_SUSPENDED)
        return b_err_set(err, B_E_STATION_SUSPENDED, 0, "station %s", t->name);
    if (t->cert_expires != 0 && t->cert_expires <= (int64_t)time(NULL))
        return b_err_set(err, B_E_CERTIFICATE_EXPIRED, 0, "station %s", t->name);
    return B_OK;
}

static enum b_code take_person(struct http_call *c, struct b_err *err)
{
    const struct store_person *p = &c->person;
    (void)snprintf(c->actor, sizeof(c->actor), "person:%lld", (long long)p->id);
    if (p->state != STORE_PARTY_ACTIVE)
        return b_err_set(err, B_E_PERSON_SUSPENDED, 0, "%s", p->name);
    if (p->cert_expires != 0 && p->cert_expires <= (int64_t)time(NULL))
        return b_err_set(err, B_E_CERTIFICATE_EXPIRED, 0, "%s", p->name);
    return B_OK;
}

/* Who comes by a bearer token (RFC 6750 §2.1) instead of a certificate. */
static enum b_code take_token(struct http_call *c, struct b_err *err)
{
    static const char scheme[] = "Bearer ";
    const char *said = c->asked->authorization;
    if (said == NULL || strncasecmp(said, scheme, strlen(scheme)) != 0)
        return b_err_set(err, B_E_TOKEN_NEEDED, 0, "the request has none");
    enum b_code r = service_token_find(c->service.store, said + strlen(scheme), &c->token, err);
    if (r != B_OK)
        c->token.id = 0;
    else
        (void)snprintf(c->actor, sizeof(c->actor), "scim:%lld", (long long)c->token.id);
    return r;
}

/* Read from the store for each call: a revocation counts from the next message on. */
static enum b_code identify(struct http_call *c, const struct http_peer *peer, struct b_err *err)
{
    struct store *s = c->service.store;
    if ((c->route->who & HTTP_SCIM) != 0)
        return take_token(c, err);
    if (!peer->has_certificate)
        return (c->route->who & HTTP_ANYBODY) != 0
                   ? B_OK
                   : b_err_set(
                         err, B_E_CERTIFICATE_NEEDED, 0,
                         "the connection brought no certificate of a CA that is trusted here");
    enum b_code r = store_station_by_fingerprint(s, peer->fingerprint, &c->station, err);
    if (r == B_OK && b_ct_eq(c->station.next, peer->fingerprint, sizeof(peer->fingerprint))) {
        c->service.asker = (struct service_asker){.actor = "server", .request = c->request};
        r = service_station_adopt(&c->service, &c->station, peer->fingerprint, err);
    }
    if (r == B_OK)
        return take_station(c, err);
    c->station.id = 0;
    if (r == B_E_NOT_FOUND)
        r = store_person_by_fingerprint(s, peer->fingerprint, &c->person, err);
    if (r == B_OK)
        return take_person(c, err);
    c->person.id = 0;
    if (r == B_E_NOT_FOUND && (c->route->who & HTTP_ANYBODY) != 0)
        return B_OK;
    return r == B_E_NOT_FOUND
               ? b_err_set(err, B_E_CERTIFICATE_UNKNOWN, 0, "neither a station nor a person has it")
               : r;
}

static enum b_code authorise(struct http_call *c, struct b_err *err)
{
    unsigned is = (c->station.id != 0 ? (unsigned)HTTP_STATION : 0u) |
                  (c->person.id != 0 ? c->person.roles : 0u) | HTTP_ANYBODY |
                  (c->token.id != 0 ? c->token.rights * (unsigned)HTTP_SCIM_READ : 0u);
    if ((c->route->who & is) != 0)
        return B_OK;
    if (c->token.id != 0) { /* a program of the hospital's does what it was not given */
        char what[HTTP_PATH_MAX];
        struct b_err ignored;
        (void)snprintf(what, sizeof(what), "%s %s", c->route->method, c->route->path);
        (void)!service_token_refused(&c->service, &c->token, what, &ignored);
    }
    return b_err_set(err, B_E_NOT_PERMITTED, 0, "%s %s", c->route->method, c->route->path);
}

/* --- bodies ------------------------------------------------------------------------------------
 */

static enum b_code parse_body(struct http_call *c, const struct http_request *r, struct b_err *err)
{
    json_error_t why;
    if (r->body_len == 0) {
        c->body = json_object();
        return B_OK;
    }
    if (r->content_type == NULL ||
        (strncmp(r->content_type, "application/json", strlen("application/json")) != 0 &&
         strncmp(r->content_type, HTTP_SCIM_TYPE, strlen(HTTP_SCIM_TYPE)) != 0))
        return b_err_set(err, B_E_MEDIA_TYPE, 0, "the Content-Type is %.60s",
                         r->content_type != NULL ? r->content_type : "missing");
    c->body = json_loadb(r->body, r->body_len, JSON_REJECT_DUPLICATES, &why);
    if (c->body == NULL)
        return b_err_set(err, B_E_BAD_INPUT, 0, "line %d, column %d: %s", why.line, why.column,
                         why.text);
    if (!json_is_object(c->body))
        return b_err_set(err, B_E_BAD_INPUT, 0, "the body must be a JSON object");
    return B_OK;
}

static enum b_code wrong(const char *name, const char *what, struct b_err *err)
{
    return b_err_set(err, B_E_BAD_INPUT, 0, "field %s: %s", name, what);
}

enum b_code http_optional(const struct http_call *c, const char *name, size_t max, const char **ret,
                          struct b_err *err)
{
    const json_t *v = json_object_get(c->body, name);
    *ret = "";
    if (v == NULL || json_is_null(v))
        return B_OK;
    if (!json_is_string(v))
        return wrong(name, "must be text", err);
    if (json_string_length(v) > max || strlen(json_string_value(v)) != json_string_length(v))
        return wrong(name, "too long", err);
    *ret = json_string_value(v);
    return B_OK;
}

enum b_code http_text(const struct http_call *c, const char *name, size_t max, const char **ret,
                      struct b_err *err)
{
    enum b_code r = http_optional(c, name, max, ret, err);
    return r == B_OK && (*ret)[0] == '\0' ? wrong(name, "is missing", err) : r;
}

enum b_code http_optional_number(const struct http_call *c, const char *name, int64_t min,
                                 int64_t max, int64_t *ret, struct b_err *err)
{
    const json_t *v = json_object_get(c->body, name);
    if (v == NULL || json_is_null(v))
        return B_OK;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
        return b_err_set(err, B_E_BAD_INPUT, 0, "field %s: a number from %lld to %lld", name,
                         (long long)min, (long long)max);
    *ret = json_integer_value(v);
    return B_OK;
}

enum b_code http_number(const struct http_call *c, const char *name, int64_t min, int64_t max,
                        int64_t *ret, struct b_err *err)
{
    if (json_object_get(c->body, name) == NULL)
        return wrong(name, "is missing", err);
    return http_optional_number(c, name, min, max, ret, err);
}

enum b_code http_hex(const struct http_call *c, const char *name, struct b_wr *w, struct b_err *err)
{
    const char *text = NULL;
    enum b_code r = http_optional(c, name, 2 * w->cap, &text, err);
    if (r == B_OK && (strchr(text, ' ') != NULL || !b_unhex(w, text)))
        return wrong(name, "must be bytes in hexadecimal", err);
    return r;
}

enum b_code http_id(const struct http_call *c, int64_t *ret, struct b_err *err)
{
    char *end = NULL;
    *ret = strtoll(c->params[0], &end, 10);
    return *end == '\0' && *ret > 0
               ? B_OK
               : b_err_set(err, B_E_NOT_FOUND, 0, "\"%.20s\" is no number", c->params[0]);
}

/* --- pages -------------------------------------------------------------------------------------
 */

enum b_code http_page(const struct http_call *c, struct http_page *ret, struct b_err *err)
{
    enum { LIMIT = 50, LIMIT_MAX = 200 };
    const char *limit = c->query(c->query_ctx, "limit");
    const char *after = c->query(c->query_ctx, "after");
    char *end = NULL;
    long long n = limit != NULL ? strtoll(limit, &end, 10) : LIMIT;
    if (limit != NULL && (*end != '\0' || n < 1 || n > LIMIT_MAX))
        return b_err_set(err, B_E_BAD_INPUT, 0, "limit: a number from 1 to %d", LIMIT_MAX);
    long long from = after != NULL ? strtoll(after, &end, 10) : 0;
    if (after != NULL && (*end != '\0' || from < 0))
        return b_err_set(err, B_E_BAD_INPUT, 0, "after: the `next` of the page before");
    *ret = (struct http_page){.after = from, .limit = (size_t)n, .items = json_array()};
    return B_OK;
}

bool http_page_add(struct http_page *p, int64_t id, json_t *item)
{
    if (p->count == p->limit) {
        p->has_more = true;
        json_decref(item);
        return false;
    }
    (void)json_array_append_new(p->items, item);
    p->last = id;
    p->count++;
    return true;
}

void http_page_end(struct http_call *c, struct http_page *p)
{
    (void)json_object_set_new(c->out, "items", p->items);
    if (p->has_more)
        (void)json_object_set_new(c->out, "next", json_integer(p->last));
}

/* --- repeated requests --------------------------------------------------------------------------
 */

static enum b_code check_key(const char *key, struct b_err *err)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < n; i++)
        if (key[i] <= ' ' || key[i] > '~')
            n = 0;
    return n >= 1 && n <= 64 ? B_OK
                             : b_err_set(err, B_E_BAD_INPUT, 0,
                                         "Idempotency-Key: 1 to 64 visible ASCII characters");
}

/* The answer that this key had, if any: then *ret_is_known. */
static enum b_code recall(struct http_call *c, const struct http_request *r,
                          struct store_reply *reply, bool *ret_is_known, struct b_err *err)
{
    uint8_t digest[32];
    enum b_code code = check_key(r->idempotency, err);
    if (code != B_OK)
        return code;
    (void)snprintf(reply->caller, sizeof(reply->caller), "%s", c->actor);
    (void)snprintf(reply->key, sizeof(reply->key), "%s", r->idempotency);
    char head[HTTP_PATH_MAX];
    (void)snprintf(head, sizeof(head), "%s %.400s\n", r->method, r->url);
    crypto_sha256_two(head, strlen(head), r->body, r->body_len, digest);
    code = store_reply_get(c->service.store, reply, err);
    *ret_is_known = code == B_OK;
    if (code == B_OK && !b_ct_eq(digest, reply->request, sizeof(digest)))
        return b_err_set(err, B_E_KEY_REUSED, 0, "key %s", r->idempotency);
    if (code == B_OK && reply->status == 0)
        return b_err_set(err, B_E_ANSWER_LOST, 0, "key %s", r->idempotency);
    memcpy(reply->request, digest, sizeof(digest));
    reply->at = (int64_t)time(NULL);
    crypto_random(reply->salt, sizeof(reply->salt));
    return code == B_E_NOT_FOUND ? B_OK : code;
}

static enum b_code keep_answer(struct service_change *c, void *ctx, struct b_err *err)
{
    struct service_once *once = ctx;
    struct store_reply *reply = &once->reply;
    int status = reply->status;
    enum b_code r = B_OK;
    if (!once->is_kept) { /* the call changed nothing that is in the store */
        reply->status = 0;
        r = store_reply_put(c->store, reply, err);
        reply->status = status;
    }
    if (r == B_OK)
        r = store_reply_put(c->store, reply, err);
    if (r != B_OK)
        return r;
    service_vouch_reply(c, reply);
    return service_log(c, (struct service_entry){.kind = "answer"}, err);
}

/* --- the call ----------------------------------------------------------------------------------
 */

void http_return_reader(struct http_call *c)
{
    http_give_reader_back(c->server, &c->service.store);
}

/* Runs the handler, and keeps its answer where the caller named a key. */
static enum b_code run(struct http_call *c, const struct http_request *r, struct http_answer *ret,
                       struct b_err *err)
{
    static _Thread_local struct service_once once;
    struct store_reply *reply = &once.reply;
    bool has_key = r->idempotency != NULL && strcmp(c->route->method, "GET") != 0;
    bool is_known = false;
    enum b_code code = B_OK;
    c->service.asker = (struct service_asker){.actor = c->actor, .request = c->request};
    if (r->body == NULL)
        return b_err_set(err, B_E_TOO_LARGE, 0, "a body holds at most %d bytes", HTTP_BODY_MAX);
    if (has_key) {
        memset(&once, 0, sizeof(once)); /* of this thread's call before */
        code = recall(c, r, reply, &is_known, err);
        if (code == B_OK && is_known) {
            ret->text = strdup(reply->body);
            ret->status = reply->status;
            return ret->text != NULL ? B_OK : b_err_set(err, B_E_NO_MEMORY, 0, "answering");
        }
        c->service.asker.once = &once;
    }
    if (code == B_OK)
        code = parse_body(c, r, err);
    if (code == B_OK)
        code = c->route->handler(c, err);
    if (code != B_OK)
        return code;
    ret->text = c->text != NULL ? c->text : json_dumps(c->out, JSON_COMPACT);
    ret->type = c->type != NULL ? c->type : ret->type;
    ret->status = c->status;
    if (c->tag[0] != '\0')
        http_answer_header(ret, "ETag", c->tag);
    if (c->location[0] != '\0')
        http_answer_header(ret, "Location", c->location);
    c->text = NULL;
    if (ret->text == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "answering");
    if (has_key && !c->is_told_once && strlen(ret->text) < sizeof(reply->body)) {
        struct b_err ignored; /* a lost answer is said to be lost */
        reply->status = ret->status;
        (void)snprintf(reply->body, sizeof(reply->body), "%s", ret->text);
        c->service.asker.once = NULL;
        (void)!service_change(&c->service, keep_answer, &once, &ignored);
    }
    return B_OK;
}

/* One line of JSON: who, what, how it ended. No body, no query, no path of the peer's own. */
static void log_call(const struct http_call *c, const struct http_answer *a, enum b_code code)
{
    json_t *line = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s}", "request", c->request, "caller",
                             c->actor, "method", c->route != NULL ? c->route->method : "?", "route",
                             c->route != NULL ? c->route->path : "?", "status", a->status, "code",
                             b_code_name(code));
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text != NULL)
        (void)fprintf(stderr, "%s\n", text);
    free(text);
    json_decref(line);
}

static bool is_french(const char *language)
{
    return language == NULL || strncmp(language, "en", 2) != 0;
}

static size_t readers_for(const struct http_route *route)
{
    if ((route->who & HTTP_SCIM) != 0)
        return HTTP_READERS_OF_SCIM;
    return (route->who & (HTTP_ANYBODY | HTTP_STATION)) != 0 ? HTTP_READERS_OF_ALL : HTTP_READERS;
}

/* Who asks, may they, and the handler. */
static enum b_code serve(struct http_call *c, const struct http_peer *peer,
                         const struct http_request *r, struct http_answer *ret, struct b_err *err)
{
    (void)snprintf(c->actor, sizeof(c->actor), "nobody");
    if (c->route->who == HTTP_BARE)
        return run(c, r, ret, err);
    c->service.store = http_borrow_reader(c->server, peer, readers_for(c->route));
    if (c->service.store == NULL)
        return b_err_set(err, B_E_VAULT_BUSY, 0, "too many calls are under way");
    enum b_code code = identify(c, peer, err);
    c->service.asker = (struct service_asker){.actor = c->actor, .request = c->request};
    if (code == B_OK)
        code = authorise(c, err);
    /* Whoever is not known here does not get a second request on this connection. */
    ret->ends_connection =
        code != B_OK && c->station.id == 0 && c->person.id == 0 && c->token.id == 0;
    if (code == B_OK)
        code = run(c, r, ret, err);
    http_return_reader(c);
    return code;
}

void http_carry_out(struct http_server *s, struct http_peer *peer, const struct http_request *r,
                    struct http_answer *ret)
{
    static _Thread_local struct http_call c;
    memset(&c, 0, sizeof(c));
    c.server = s;
    c.service = s->service;
    c.query = r->query;
    c.query_ctx = r->query_ctx;
    c.asked = r;
    c.is_french = is_french(r->language);
    c.status = 200;
    struct b_err err = {0};
    uint8_t id[8];
    crypto_random(id, sizeof(id));
    b_hex(c.request, id, sizeof(id));
    bool is_scim = strncmp(r->url, "/scim/", strlen("/scim/")) == 0;
    *ret = (struct http_answer){.type = is_scim ? HTTP_SCIM_TYPE : "application/json"};
    c.out = json_object();
    enum b_code code = r->is_too_often
                           ? b_err_set(&err, B_E_TOO_OFTEN, 0, "more than %u requests a second",
                                       atomic_load(&s->requests_per_second))
                           : http_check_origin(r, &err);
    if (code == B_OK)
        code = find_route(&c, r, &err);
    if (code == B_OK)
        code = serve(&c, peer, r, ret, &err);
    if (code != B_OK) {
        free(ret->text);
        json_t *p = is_scim ? http_scim_error(&err) : problem(&c, &err);
        ret->text = json_dumps(p, JSON_COMPACT);
        ret->type = is_scim ? HTTP_SCIM_TYPE : "application/problem+json";
        ret->status = http_status_of(err.code);
        if (is_scim && ret->status == 401)
            http_answer_header(ret, "WWW-Authenticate", "Bearer");
        json_decref(p);
        atomic_fetch_add(&s->counts.problems, 1);
    }
    atomic_fetch_add(&s->counts.requests, 1);
    if (atomic_load(&s->logs_requests))
        log_call(&c, ret, code);
    memcpy(ret->request, c.request, sizeof(ret->request));
    json_decref(c.out);
    json_decref(c.body);
    b_check(ret->text != NULL);
}
