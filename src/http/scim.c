/* SCIM 2.0 (RFC 7644): people and groups of the hospital's directory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/scim.h"

/* --- failures ----------------------------------------------------------------------------------
 */

json_t *http_scim_error(const struct b_err *err)
{
    static const struct {
        enum b_code code;
        const char *type;
    } types[] = {
        {B_E_BAD_INPUT, "invalidSyntax"},    {B_E_SCIM_FILTER, "invalidFilter"},
        {B_E_SCIM_PATH, "invalidPath"},      {B_E_SCIM_TARGET, "noTarget"},
        {B_E_SCIM_MUTABILITY, "mutability"}, {B_E_SCIM_VALUE, "invalidValue"},
        {B_E_DUPLICATE, "uniqueness"},
    };
    char status[12];
    char detail[sizeof(err->msg) + 160];
    (void)snprintf(status, sizeof(status), "%d", http_status_of(err->code));
    (void)snprintf(detail, sizeof(detail), "%s: %s", b_code_text(err->code), err->msg);
    json_t *o =
        json_pack("{s:[s], s:s, s:s}", "schemas", "urn:ietf:params:scim:api:messages:2.0:Error",
                  "status", status, "detail", detail);
    for (size_t i = 0; i < B_COUNT(types); i++)
        if (types[i].code == err->code)
            (void)json_object_set_new(o, "scimType", json_string(types[i].type));
    return o;
}

/* --- answers -----------------------------------------------------------------------------------
 */

/* Addresses are as the peer calls this server. */
const char *http_scim_base(const struct http_call *c, char ret[static HTTP_SCIM_BASE])
{
    const char *host = c->asked->host;
    bool is_plain = host != NULL && strlen(host) < 128 &&
                    strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 ".:-[]") == strlen(host);
    (void)snprintf(ret, HTTP_SCIM_BASE, "%s%s/scim/v2", is_plain ? "https://" : "",
                   is_plain ? host : "");
    return ret;
}

static const char *asked(const struct http_call *c, const char *name)
{
    const char *text = c->query(c->query_ctx, name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static void replace_out(struct http_call *c, json_t *with)
{
    json_decref(c->out);
    c->out = with;
    c->type = HTTP_SCIM_TYPE;
}

/* doc, which is taken, as far as it was asked for, with its version and its address. */
static enum b_code answer(struct http_call *c, enum scim_type type, json_t *doc, struct b_err *err)
{
    const json_t *meta = json_object_get(doc, "meta");
    const char *tag = json_string_value(json_object_get(meta, "version"));
    const char *location = json_string_value(json_object_get(meta, "location"));
    (void)snprintf(c->tag, sizeof(c->tag), "%s", tag != NULL ? tag : "");
    (void)snprintf(c->location, sizeof(c->location), "%s", location != NULL ? location : "");
    enum b_code r =
        scim_project(type, doc, asked(c, "attributes"), asked(c, "excludedAttributes"), err);
    replace_out(c, doc);
    return r;
}

static void answer_empty(struct http_call *c, int status)
{
    c->text = calloc(1, 1);
    c->type = HTTP_SCIM_TYPE;
    c->status = status;
}

/* --- one resource ------------------------------------------------------------------------------
 */

static enum b_code show(struct http_call *c, enum scim_type type, struct b_err *err)
{
    char base[HTTP_SCIM_BASE];
    json_t *doc = NULL;
    const char *known = c->asked->if_none_match;
    enum b_code r =
        service_resource_get(c->service.store, type, service_resource_id(type, c->params[0]),
                             http_scim_base(c, base), &doc, err);
    if (r == B_OK)
        r = answer(c, type, doc, err);
    if (r == B_OK && known != NULL && service_tag_is_in(known, c->tag))
        answer_empty(c, 304);
    return r;
}

static enum b_code change(struct http_call *c, enum scim_type type, enum service_verb verb,
                          struct b_err *err)
{
    char base[HTTP_SCIM_BASE];
    struct service_resource k = {.type = type,
                                 .verb = verb,
                                 .id = service_resource_id(type, c->params[0]),
                                 .body = c->body,
                                 .if_match = c->asked->if_match,
                                 .source = c->actor,
                                 .base = http_scim_base(c, base)};
    if (k.id == 0 && verb != SERVICE_CREATE)
        return b_err_set(err, B_E_NOT_FOUND, 0, "no resource has this id");
    enum b_code r = service_resource_change(&c->service, &k, err);
    if (r != B_OK)
        return r;
    if (verb == SERVICE_DELETE) {
        answer_empty(c, 204);
        return B_OK;
    }
    c->status = verb == SERVICE_CREATE ? 201 : 200;
    return answer(c, type, k.out, err);
}

#define RESOURCE(name, type)                                                       \
    enum b_code http_scim_##name(struct http_call *c, struct b_err *err)           \
    {                                                                              \
        return show(c, type, err);                                                 \
    }                                                                              \
    enum b_code http_scim_##name##_create(struct http_call *c, struct b_err *err)  \
    {                                                                              \
        return change(c, type, SERVICE_CREATE, err);                               \
    }                                                                              \
    enum b_code http_scim_##name##_replace(struct http_call *c, struct b_err *err) \
    {                                                                              \
        return change(c, type, SERVICE_REPLACE, err);                              \
    }                                                                              \
    enum b_code http_scim_##name##_patch(struct http_call *c, struct b_err *err)   \
    {                                                                              \
        return change(c, type, SERVICE_PATCH, err);                                \
    }                                                                              \
    enum b_code http_scim_##name##_delete(struct http_call *c, struct b_err *err)  \
    {                                                                              \
        return change(c, type, SERVICE_DELETE, err);                               \
    }
RESOURCE(user, SCIM_TYPE_USER)
RESOURCE(group, SCIM_TYPE_GROUP)
#undef RESOURCE

/* --- lists -------------------------------------------------------------------------------------
 */

static json_t *list_of(int64_t total, int64_t start, json_t *items)
{
    return json_pack("{s:[s], s:I, s:I, s:I, s:o}", "schemas",
                     "urn:ietf:params:scim:api:messages:2.0:ListResponse", "totalResults",
                     (json_int_t)total, "startIndex", (json_int_t)start, "itemsPerPage",
                     (json_int_t)json_array_size(items), "Resources", items);
}

static enum b_code list(struct http_call *c, struct service_listing *l, struct b_err *err)
{
    char base[HTTP_SCIM_BASE];
    l->base = http_scim_base(c, base);
    l->start = l->start < 1 ? 1 : l->start; /* RFC 7644 §3.4.2.4 */
    l->count = l->count < 0 ? 0 : l->count > HTTP_SCIM_PAGE ? HTTP_SCIM_PAGE : l->count;
    enum b_code r = service_resource_list(c->service.store, l, err);
    if (r == B_OK)
        replace_out(c, list_of(l->total, l->start, l->items));
    else
        json_decref(l->items);
    return r;
}

static enum b_code number(const char *name, const char *text, int64_t *io, struct b_err *err)
{
    char *end = NULL;
    if (text == NULL)
        return B_OK;
    *io = strtoll(text, &end, 10);
    return *end == '\0' ? B_OK : b_err_set(err, B_E_SCIM_VALUE, 0, "%s: a number", name);
}

static enum b_code list_asked(struct http_call *c, enum scim_type type, struct b_err *err)
{
    struct service_listing l = {.type = type,
                                .filter = asked(c, "filter"),
                                .attributes = asked(c, "attributes"),
                                .excluded = asked(c, "excludedAttributes"),
                                .start = 1,
                                .count = HTTP_SCIM_PAGE};
    enum b_code r = number("startIndex", asked(c, "startIndex"), &l.start, err);
    if (r == B_OK)
        r = number("count", asked(c, "count"), &l.count, err);
    return r == B_OK ? list(c, &l, err) : r;
}

/* A list of paths, in a body, as the query would have it. */
static const char *joined(const json_t *body, const char *name, char *ret, size_t cap)
{
    const json_t *paths = json_object_get(body, name);
    struct b_wr w = b_wr_from(ret, cap);
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach(paths, i, one)
    {
        const char *text = json_string_value(one);
        if (text != NULL) {
            b_wr_bytes(&w, text, strlen(text));
            b_wr_u8(&w, ',');
        }
    }
    b_wr_u8(&w, 0);
    return json_array_size(paths) > 0 && b_wr_ok(&w) ? ret : NULL;
}

static enum b_code list_searched(struct http_call *c, enum scim_type type, struct b_err *err)
{
    char attributes[1024];
    char excluded[1024];
    struct service_listing l = {
        .type = type,
        .attributes = joined(c->body, "attributes", attributes, sizeof(attributes)),
        .excluded = joined(c->body, "excludedAttributes", excluded, sizeof(excluded)),
        .start = 1,
        .count = HTTP_SCIM_PAGE};
    const json_t *start = json_object_get(c->body, "startIndex");
    const json_t *count = json_object_get(c->body, "count");
    enum b_code r = http_optional(c, "filter", SCIM_FILTER_MAX, &l.filter, err);
    if (r != B_OK)
        return r;
    if (l.filter[0] == '\0')
        l.filter = NULL;
    l.start = json_is_integer(start) ? json_integer_value(start) : l.start;
    l.count = json_is_integer(count) ? json_integer_value(count) : l.count;
    return list(c, &l, err);
}

enum b_code http_scim_users(struct http_call *c, struct b_err *err)
{
    return list_asked(c, SCIM_TYPE_USER, err);
}

enum b_code http_scim_groups(struct http_call *c, struct b_err *err)
{
    return list_asked(c, SCIM_TYPE_GROUP, err);
}

enum b_code http_scim_user_search(struct http_call *c, struct b_err *err)
{
    return list_searched(c, SCIM_TYPE_USER, err);
}

enum b_code http_scim_group_search(struct http_call *c, struct b_err *err)
{
    return list_searched(c, SCIM_TYPE_GROUP, err);
}

/* --- what this server is -----------------------------------------------------------------------
 */

static json_t *with_meta(const struct http_call *c, json_t *o, const char *type, const char *path)
{
    char base[HTTP_SCIM_BASE];
    char location[HTTP_PATH_MAX];
    (void)snprintf(location, sizeof(location), "%s/%s", http_scim_base(c, base), path);
    (void)json_object_set_new(o, "meta",
                              json_pack("{s:s, s:s}", "resourceType", type, "location", location));
    return o;
}

enum b_code http_scim_config(struct http_call *c, struct b_err *err)
{
    (void)err;
    json_t *o = json_pack(
        "{s:[s], s:s, s:{s:b}, s:{s:b, s:i, s:i}, s:{s:b, s:i}, s:{s:b}, s:{s:b}, s:{s:b},"
        " s:[{s:s, s:s, s:s, s:b}]}",
        "schemas", "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig",
        "documentationUri", "https://www.rfc-editor.org/rfc/rfc7644", "patch", "supported", 1,
        "bulk", "supported", 1, "maxOperations", (int)HTTP_SCIM_OPERATIONS, "maxPayloadSize",
        (int)HTTP_BODY_MAX, "filter", "supported", 1, "maxResults", (int)HTTP_SCIM_PAGE,
        "changePassword", "supported", 0, "sort", "supported", 0, "etag", "supported", 1,
        "authenticationSchemes", "type", "oauthbearertoken", "name", "Bearer token", "description",
        "a token of `tessere scim token add`", "primary", 1);
    replace_out(c, with_meta(c, o, "ServiceProviderConfig", "ServiceProviderConfig"));
    return B_OK;
}

static json_t *describe_type(const struct http_call *c, enum scim_type type)
{
    const char *name = type == SCIM_TYPE_USER ? "User" : "Group";
    char path[64];
    char endpoint[32];
    json_t *extensions = json_array();
    enum scim_schema_no core = type == SCIM_TYPE_USER ? SCIM_SCHEMA_USER : SCIM_SCHEMA_GROUP;
    for (int i = 0; i < SCIM_SCHEMAS; i++) {
        const struct scim_schema *s = scim_schema((enum scim_schema_no)i);
        if (s->type == type && s->is_extension)
            (void)json_array_append_new(extensions,
                                        json_pack("{s:s, s:b}", "schema", s->urn, "required", 0));
    }
    (void)snprintf(path, sizeof(path), "ResourceTypes/%s", name);
    (void)snprintf(endpoint, sizeof(endpoint), "/%ss", name);
    json_t *o = json_pack("{s:[s], s:s, s:s, s:s, s:s, s:s, s:o}", "schemas",
                          "urn:ietf:params:scim:schemas:core:2.0:ResourceType", "id", name, "name",
                          name, "endpoint", endpoint, "description", scim_schema(core)->description,
                          "schema", scim_schema(core)->urn, "schemaExtensions", extensions);
    return with_meta(c, o, "ResourceType", path);
}

enum b_code http_scim_types(struct http_call *c, struct b_err *err)
{
    (void)err;
    json_t *items =
        json_pack("[o, o]", describe_type(c, SCIM_TYPE_USER), describe_type(c, SCIM_TYPE_GROUP));
    replace_out(c, list_of(SCIM_TYPES, 1, items));
    return B_OK;
}

enum b_code http_scim_type(struct http_call *c, struct b_err *err)
{
    bool is_user = strcmp(c->params[0], "User") == 0;
    if (!is_user && strcmp(c->params[0], "Group") != 0)
        return b_err_set(err, B_E_NOT_FOUND, 0, "no resource type %s", c->params[0]);
    replace_out(c, describe_type(c, is_user ? SCIM_TYPE_USER : SCIM_TYPE_GROUP));
    return B_OK;
}

static json_t *describe_schema(const struct http_call *c, enum scim_schema_no no)
{
    char path[160];
    (void)snprintf(path, sizeof(path), "Schemas/%s", scim_schema(no)->urn);
    return with_meta(c, scim_schema_json(no), "Schema", path);
}

enum b_code http_scim_schemas(struct http_call *c, struct b_err *err)
{
    (void)err;
    json_t *items = json_array();
    for (int i = 0; i < SCIM_SCHEMAS; i++)
        (void)json_array_append_new(items, describe_schema(c, (enum scim_schema_no)i));
    replace_out(c, list_of(SCIM_SCHEMAS, 1, items));
    return B_OK;
}

enum b_code http_scim_schema(struct http_call *c, struct b_err *err)
{
    for (int i = 0; i < SCIM_SCHEMAS; i++) {
        if (strcmp(scim_schema((enum scim_schema_no)i)->urn, c->params[0]) != 0)
            continue;
        replace_out(c, describe_schema(c, (enum scim_schema_no)i));
        return B_OK;
    }
    return b_err_set(err, B_E_NOT_FOUND, 0, "no schema %s", c->params[0]);
}
