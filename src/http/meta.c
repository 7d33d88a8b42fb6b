/* What the API says of itself. */
#include <string.h>

#include "http/http.h"

enum b_code http_healthz(struct http_call *c, struct b_err *err)
{
    (void)err;
    (void)json_object_set_new(c->out, "status", json_string("alive"));
    return B_OK;
}

/* --- what anybody may ask the vault -------------------------------------------------------------
 */

/* A question that one asks at a time, however many come: the others have the answer of a moment
 * ago, or wait for a moment. No reader of the store is held meanwhile: when the token hangs, these
 * wait for it and stations do not. */
struct question {
    enum b_code (*ask)(struct vault *v, struct vault_identity *ret, struct b_err *err);
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool is_asked, has_answer;
    uint64_t at_ms; /* of the answer */
    struct b_err err;
    struct vault_identity answer;
};

static bool has_answer(const struct question *q, uint64_t at_most_ms)
{
    return q->has_answer && http_now_ms() - q->at_ms < at_most_ms;
}

/* With the lock, which is given back while the vault thinks. */
static void ask_vault(struct question *q, struct vault *v)
{
    struct b_err err = {.code = B_OK};
    struct vault_identity answer = {.key_id = ""};
    q->is_asked = true;
    (void)pthread_mutex_unlock(&q->lock);
    enum b_code r = q->ask(v, &answer, &err);
    (void)pthread_mutex_lock(&q->lock);
    err.code = r;
    q->err = err;
    q->answer = answer;
    q->at_ms = http_now_ms();
    q->has_answer = true;
    q->is_asked = false;
    (void)pthread_cond_broadcast(&q->answered);
}

static enum b_code ask(struct http_call *c, struct question *q, struct vault_identity *ret,
                       struct b_err *err)
{
    enum { FRESH_MS = 1000, OLD_MS = 5000, WAIT_S = 2 };
    struct timespec until;
    int waited = 0;
    enum b_code r = B_E_TOKEN_FAILED;
    http_return_reader(c);
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    (void)pthread_mutex_lock(&q->lock);
    while (waited == 0 && q->is_asked && !has_answer(q, OLD_MS))
        waited = pthread_cond_clockwait(&q->answered, &q->lock, CLOCK_MONOTONIC, &until);
    if (!q->is_asked && !has_answer(q, FRESH_MS))
        ask_vault(q, c->service.vault);
    if (has_answer(q, OLD_MS)) {
        *ret = q->answer;
        *err = q->err;
        r = q->err.code;
    } else {
        (void)b_err_set(err, r, 0, "the vault or its token gives no answer");
    }
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

static enum b_code ask_token(struct vault *v, struct vault_identity *ret, struct b_err *err)
{
    struct vault_token token;
    (void)ret;
    return vault_token(v, &token, err);
}

enum b_code http_readyz(struct http_call *c, struct b_err *err)
{
    static struct question question = {
        .ask = ask_token, .lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};
    struct vault_identity ignored;
    uint64_t size = 0;
    int64_t dead = 0;
    struct store_user_counts people = {.held = 0};
    enum b_code r = store_entry_count(c->service.store, &size, err);
    if (r == B_OK)
        r = store_letter_count(c->service.store, STORE_LETTER_DEAD, &dead, err);
    if (r == B_OK)
        r = store_user_count(c->service.store, 0, &people, err);
    if (r == B_OK)
        r = ask(c, &question, &ignored, err);
    if (r == B_OK)
        (void)json_object_set_new(c->out, "status", json_string("ready"));
    if (r == B_OK && dead > 0) /* the server is ready; what others were to be told is not */
        (void)json_object_set_new(c->out, "outbox", json_string("dead-letters"));
    if (r == B_OK && people.held > 0) /* it serves; somebody must look */
        (void)json_object_set_new(c->out, "directory_held", json_integer(people.held));
    return r;
}

/* A P-256 point as a JWK (RFC 7518 §6.2). */
enum b_code http_jwks(struct http_call *c, struct b_err *err)
{
    static struct question question = {.ask = vault_identity,
                                       .lock = PTHREAD_MUTEX_INITIALIZER,
                                       .answered = PTHREAD_COND_INITIALIZER};
    struct vault_identity id;
    char x[48];
    char y[48];
    enum b_code r = ask(c, &question, &id, err);
    if (r != B_OK)
        return r;
    b_check(b_base64url(x, sizeof(x), id.assertion + 1, 32) &&
            b_base64url(y, sizeof(y), id.assertion + 33, 32));
    (void)json_object_set_new(c->out, "keys",
                              json_pack("[{s:s, s:s, s:s, s:s, s:s, s:s, s:s}]", "kty", "EC", "crv",
                                        "P-256", "use", "sig", "alg", "ES256", "kid", id.key_id,
                                        "x", x, "y", y));
    return B_OK;
}

/* --- OpenAPI -----------------------------------------------------------------------------------
 */

static json_t *parameters(const char *path)
{
    json_t *list = json_array();
    for (const char *at = strchr(path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        char name[HTTP_PARAM_MAX];
        size_t n = strcspn(at + 1, "}");
        b_check(n < sizeof(name));
        memcpy(name, at + 1, n);
        name[n] = '\0';
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", name, "in",
                                              "path", "required", 1, "schema", "type", "string"));
    }
    return list;
}

static json_t *operation(const struct http_route *route)
{
    char method[8];
    size_t n = strlen(route->method);
    for (size_t i = 0; i <= n && i < sizeof(method); i++)
        method[i] = (char)(route->method[i] | 0x20);
    method[n < sizeof(method) ? n : sizeof(method) - 1] = '\0';
    json_t *o =
        json_pack("{s:s, s:o, s:{s:{s:s}, s:{s:s, s:{s:{s:{s:s}}}}}}", "summary", route->summary,
                  "parameters", parameters(route->path), "responses", "2XX", "description", "done",
                  "default", "description", "a problem (RFC 9457)", "content",
                  "application/problem+json", "schema", "$ref", "#/components/schemas/Problem");
    if (strcmp(route->method, "GET") != 0)
        (void)json_object_set_new(o, "requestBody",
                                  json_pack("{s:{s:{s:{s:s}}}}", "content", "application/json",
                                            "schema", "type", "object"));
    return json_pack("{s:o}", method, o);
}

enum b_code http_openapi(struct http_call *c, struct b_err *err)
{
    (void)err;
    json_t *paths = json_object();
    const struct http_route *route = NULL;
    for (size_t i = 0; (route = http_route_at(i)) != NULL; i++) {
        json_t *o = operation(route);
        json_t *there = json_object_get(paths, route->path);
        if (there != NULL) {
            (void)json_object_update(there, o);
            json_decref(o);
        } else {
            (void)json_object_set_new(paths, route->path, o);
        }
    }
    json_t *schema = json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}",
                               "type", "object", "properties", "title", "type", "string", "status",
                               "type", "integer", "code", "type", "string", "detail", "type",
                               "string", "remedy", "type", "string", "request", "type", "string");
    (void)json_object_set_new(c->out, "openapi", json_string("3.1.0"));
    (void)json_object_set_new(
        c->out, "info", json_pack("{s:s, s:s}", "title", "Tessere", "version", TESSERE_VERSION));
    (void)json_object_set_new(c->out, "paths", paths);
    (void)json_object_set_new(c->out, "components",
                              json_pack("{s:{s:o}}", "schemas", "Problem", schema));
    return B_OK;
}
