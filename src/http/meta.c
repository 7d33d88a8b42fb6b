/* What the API says of itself. */
#include <string.h>

#include "http/http.h"

enum b_code http_healthz(struct http_call *c, struct b_err *err)
{
    (void)err;
    (void)json_object_set_new(c->out, "status", json_string("alive"));
    return B_OK;
}

/* The token is asked at most once a second: this may be called by anybody. */
enum b_code http_readyz(struct http_call *c, struct b_err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct b_err last;
    static uint64_t asked_ms;
    struct vault_token token;
    uint64_t size = 0;
    enum b_code r = store_entry_count(c->service.store, &size, err);
    (void)pthread_mutex_lock(&lock);
    uint64_t now = http_now_ms();
    if (r == B_OK && (asked_ms == 0 || now - asked_ms > 1000)) {
        last = (struct b_err){.code = B_OK};
        if (vault_token(c->service.vault, &token, &last) == B_OK)
            last.code = B_OK;
        asked_ms = now;
    }
    if (r == B_OK && last.code != B_OK) {
        *err = last;
        r = last.code;
    }
    (void)pthread_mutex_unlock(&lock);
    if (r == B_OK)
        (void)json_object_set_new(c->out, "status", json_string("ready"));
    return r;
}

/* A P-256 point as a JWK (RFC 7518 §6.2). */
enum b_code http_jwks(struct http_call *c, struct b_err *err)
{
    struct vault_identity id;
    char x[48];
    char y[48];
    enum b_code r = vault_identity(c->service.vault, &id, err);
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
