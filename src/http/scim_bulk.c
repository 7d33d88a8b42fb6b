/*
 * /Bulk (RFC 7644 §3.7): each operation is a change of its own. One that names by bulkId what a
 * later one makes waits for it; where two wait for each other, neither can be done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/scim.h"

struct bulk {
    struct http_call *call;
    const json_t *operations;
    json_t *made;    /* bulkId: id */
    json_t *results; /* in the order of the operations; null: not done yet */
    size_t errors, errors_max;
    char base[HTTP_SCIM_BASE];
};

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}

/* --- references --------------------------------------------------------------------------------
 */

static const char *reference(const json_t *v)
{
    static const char mark[] = "bulkId:";
    const char *text = json_string_value(v);
    return text != NULL && strncmp(text, mark, strlen(mark)) == 0 ? text + strlen(mark) : NULL;
}

/* A copy of a value in which references are ids. *is_waiting: one is not made yet. */
static json_t *resolve(const struct bulk *k, const json_t *v, bool *is_waiting)
{
    const char *wanted = reference(v);
    if (wanted != NULL) {
        json_t *id = json_object_get(k->made, wanted);
        *is_waiting |= id == NULL;
        return id != NULL ? json_incref(id) : json_null();
    }
    size_t i = 0;
    const char *name = NULL;
    json_t *one = NULL;
    json_t *copy = json_is_array(v) ? json_array() : json_is_object(v) ? json_object() : NULL;
    if (copy == NULL)
        return json_incref((json_t *)(uintptr_t)v);
    json_array_foreach(v, i, one)
    {
        (void)json_array_append_new(copy, resolve(k, one, is_waiting));
    }
    json_object_foreach((json_t *)(uintptr_t)v, name, one)
    {
        (void)json_object_set_new(copy, name, resolve(k, one, is_waiting));
    }
    return copy;
}

/* --- one operation -----------------------------------------------------------------------------
 */

/* /Users, /Groups/g3, /Users/bulkId:x */
static enum b_code read_path(const struct bulk *k, const char *path, struct service_resource *r,
                             bool *is_waiting, struct b_err *err)
{
    static const char *const ends[] = {"/Users", "/Groups"};
    for (int i = 0; i < SCIM_TYPES; i++) {
        size_t n = strlen(ends[i]);
        if (strncmp(path, ends[i], n) != 0 || (path[n] != '\0' && path[n] != '/'))
            continue;
        r->type = (enum scim_type)i;
        json_t *part = path[n] == '/' ? json_string(path + n + 1) : json_null();
        json_t *id = resolve(k, part, is_waiting);
        const char *text = json_string_value(id);
        r->id = text != NULL ? service_resource_id(r->type, text) : 0;
        json_decref(id);
        json_decref(part);
        bool is_new = r->verb == SERVICE_CREATE;
        if (*is_waiting || (is_new ? path[n] == '\0' : r->id != 0))
            return B_OK;
        return b_err_set(err, is_new ? B_E_SCIM_VALUE : B_E_NOT_FOUND, 0, "path: %.60s", path);
    }
    return b_err_set(err, B_E_SCIM_VALUE, 0, "path: %.60s", path);
}

static enum b_code read_verb(const json_t *o, enum service_verb *ret, struct b_err *err)
{
    static const char *const verbs[] = {"POST", "PUT", "PATCH", "DELETE"};
    const char *method = text_of(o, "method");
    for (size_t i = 0; i < B_COUNT(verbs); i++) {
        if (strcasecmp(method, verbs[i]) != 0)
            continue;
        *ret = (enum service_verb)i;
        if (i == 0 && text_of(o, "bulkId")[0] == '\0')
            return b_err_set(err, B_E_SCIM_VALUE, 0, "POST needs a bulkId");
        return B_OK;
    }
    return b_err_set(err, B_E_SCIM_VALUE, 0, "method: POST, PUT, PATCH or DELETE");
}

static void tell(struct bulk *k, size_t i, const struct service_resource *r, enum b_code code,
                 const struct b_err *err)
{
    const json_t *o = json_array_get(k->operations, i);
    const json_t *meta = json_object_get(r->out, "meta");
    int status = code != B_OK                ? http_status_of(code)
                 : r->verb == SERVICE_CREATE ? 201
                 : r->verb == SERVICE_DELETE ? 204
                                             : 200;
    char text[12];
    char location[HTTP_PATH_MAX];
    json_t *result = json_object();
    (void)snprintf(text, sizeof(text), "%d", status);
    (void)json_object_set(result, "method", json_object_get(o, "method"));
    (void)json_object_set(result, "bulkId", json_object_get(o, "bulkId"));
    (void)json_object_set(result, "location", json_object_get(meta, "location"));
    (void)json_object_set(result, "version", json_object_get(meta, "version"));
    (void)json_object_set_new(result, "status", json_string(text));
    if (meta == NULL && r->id != 0) {
        (void)snprintf(location, sizeof(location), "%s/%s/%c%lld", k->base,
                       r->type == SCIM_TYPE_USER ? "Users" : "Groups",
                       r->type == SCIM_TYPE_USER ? 'u' : 'g', (long long)r->id);
        (void)json_object_set_new(result, "location", json_string(location));
    }
    if (code != B_OK) {
        k->errors++;
        (void)json_object_set_new(result, "response", http_scim_error(err));
    }
    (void)json_array_set_new(k->results, i, result);
}

/* False when it waits for another; with is_last, it does not wait any more. */
static bool carry_out(struct bulk *k, size_t i, bool is_last)
{
    const json_t *o = json_array_get(k->operations, i);
    const char *version = text_of(o, "version");
    struct b_err err = {0};
    bool is_waiting = false;
    struct service_resource r = {
        .if_match = version[0] != '\0' ? version : NULL, .source = k->call->actor, .base = k->base};
    json_t *body = resolve(k, json_object_get(o, "data"), &is_waiting);
    r.body = body;
    enum b_code code = read_verb(o, &r.verb, &err);
    if (code == B_OK)
        code = read_path(k, text_of(o, "path"), &r, &is_waiting, &err);
    if (code == B_OK && r.verb != SERVICE_DELETE && !json_is_object(body))
        code = b_err_set(&err, B_E_BAD_INPUT, 0, "data: an object");
    if (code == B_OK && is_waiting && is_last)
        code = b_err_set(&err, B_E_SCIM_VALUE, 0, "a bulkId that nothing makes");
    bool is_done = code != B_OK || !is_waiting;
    if (code == B_OK && is_done)
        code = service_resource_change(&k->call->service, &r, &err);
    if (code == B_OK && is_done && r.verb == SERVICE_CREATE)
        (void)json_object_set(k->made, text_of(o, "bulkId"), json_object_get(r.out, "id"));
    if (is_done)
        tell(k, i, &r, code, &err);
    json_decref(r.out);
    json_decref(body);
    return is_done;
}

/* In order; what waited is tried again as long as something was done meanwhile. */
static void carry_out_all(struct bulk *k)
{
    bool is_last = false;
    size_t waiting = json_array_size(k->operations);
    while (waiting > 0 && (k->errors_max == 0 || k->errors < k->errors_max)) {
        size_t before = waiting;
        for (size_t i = 0; i < json_array_size(k->operations); i++) {
            if (k->errors_max != 0 && k->errors >= k->errors_max)
                return;
            if (json_is_null(json_array_get(k->results, i)))
                waiting -= carry_out(k, i, is_last);
        }
        is_last = waiting == before;
    }
}

static json_t *told(json_t *results)
{
    size_t i = 0;
    json_t *one = NULL;
    json_t *ret = json_array();
    json_array_foreach(results, i, one)
    {
        if (!json_is_null(one))
            (void)json_array_append(ret, one);
    }
    return ret;
}

enum b_code http_scim_bulk(struct http_call *c, struct b_err *err)
{
    static const char urn[] = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
    int64_t most = 0;
    struct bulk k = {.call = c, .operations = json_object_get(c->body, "Operations")};
    const char *schema = json_string_value(json_array_get(json_object_get(c->body, "schemas"), 0));
    if (schema == NULL || strcmp(schema, urn) != 0)
        return b_err_set(err, B_E_BAD_INPUT, 0, "schemas: %s", urn);
    if (json_array_size(k.operations) > HTTP_SCIM_OPERATIONS)
        return b_err_set(err, B_E_TOO_LARGE, 0, "at most %d operations", HTTP_SCIM_OPERATIONS);
    if (json_array_size(k.operations) == 0)
        return b_err_set(err, B_E_BAD_INPUT, 0, "Operations: at least one");
    enum b_code r = http_optional_number(c, "failOnErrors", 0, HTTP_SCIM_OPERATIONS, &most, err);
    if (r != B_OK)
        return r;
    k.errors_max = (size_t)most;
    (void)http_scim_base(c, k.base);
    k.made = json_object();
    k.results = json_array();
    for (size_t i = 0; i < json_array_size(k.operations); i++)
        (void)json_array_append_new(k.results, json_null());
    carry_out_all(&k);
    (void)json_object_set_new(
        c->out, "schemas", json_pack("[s]", "urn:ietf:params:scim:api:messages:2.0:BulkResponse"));
    (void)json_object_set_new(c->out, "Operations", told(k.results));
    c->type = HTTP_SCIM_TYPE;
    json_decref(k.made);
    json_decref(k.results);
    return B_OK;
}
