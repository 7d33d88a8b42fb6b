/* A client's documents made ours, and ours cut to what a client asked for. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "scim/scim.h"

static enum b_code wrong(const struct scim_attribute *a, const char *what, struct b_err *err)
{
    return b_err_set(err, B_E_SCIM_VALUE, 0, "%s%s%s: %s", a->parent,
                     a->parent[0] != '\0' ? "." : "", a->name, what);
}

/* --- values ------------------------------------------------------------------------------------
 */

static enum b_code read_boolean(const struct scim_attribute *a, const json_t *v, json_t **ret,
                                struct b_err *err)
{
    const char *text = json_string_value(v);
    bool is_true = json_is_true(v) || (text != NULL && strcasecmp(text, "true") == 0);
    if (!is_true && !json_is_false(v) && (text == NULL || strcasecmp(text, "false") != 0))
        return wrong(a, "true or false", err);
    *ret = json_boolean(is_true);
    return B_OK;
}

static enum b_code read_parts(const struct scim_attribute *a, const json_t *v, json_t **ret,
                              struct b_err *err)
{
    const char *name = NULL;
    json_t *part = NULL;
    *ret = json_object();
    json_object_foreach((json_t *)(uintptr_t)v, name, part)
    {
        const struct scim_attribute *sub =
            scim_attribute_find(a->schema, a->name, name, strlen(name));
        json_t *one = NULL;
        if (sub == NULL || (sub->flags & (SCIM_READ_ONLY | SCIM_NOT_KEPT)) != 0 ||
            json_is_null(part))
            continue;
        enum b_code r = scim_value_read(sub, part, &one, err);
        if (r != B_OK) {
            json_decref(*ret);
            *ret = NULL;
            return r;
        }
        (void)json_object_set_new(*ret, sub->name, one);
    }
    return B_OK;
}

static enum b_code read_one(const struct scim_attribute *a, const json_t *v, json_t **ret,
                            struct b_err *err)
{
    if (a->kind == SCIM_KIND_BOOLEAN)
        return read_boolean(a, v, ret, err);
    if (a->kind == SCIM_KIND_COMPLEX && json_is_object(v))
        return read_parts(a, v, ret, err);
    if (a->kind == SCIM_KIND_COMPLEX && json_is_string(v) && (a->flags & SCIM_MANY) != 0) {
        *ret = json_pack("{s:O}", "value", v); /* members given as bare ids */
        return B_OK;
    }
    if (a->kind == SCIM_KIND_COMPLEX)
        return wrong(a, "an object", err);
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
        return wrong(a, "text", err);
    *ret = json_incref((json_t *)(uintptr_t)v);
    return B_OK;
}

enum b_code scim_value_read(const struct scim_attribute *a, const json_t *v, json_t **ret,
                            struct b_err *err)
{
    if ((a->flags & SCIM_MANY) == 0)
        return read_one(a, v, ret, err);
    size_t i = 0;
    json_t *item = NULL;
    json_t *list = json_array();
    enum b_code r = B_OK;
    json_t *one = NULL;
    if (!json_is_array(v)) {
        r = read_one(a, v, &one, err);
        if (r == B_OK)
            (void)json_array_append_new(list, one);
    }
    json_array_foreach(v, i, item)
    {
        r = read_one(a, item, &one, err);
        if (r != B_OK)
            break;
        (void)json_array_append_new(list, one);
    }
    if (r != B_OK)
        json_decref(list);
    else
        *ret = list;
    return r;
}

/* --- resources ---------------------------------------------------------------------------------
 */

static enum b_code take(const struct scim_path *p, const json_t *v, json_t *to, struct b_err *err);

static enum b_code take_schema(enum scim_schema_no schema, const json_t *v, json_t *to,
                               struct b_err *err)
{
    const char *name = NULL;
    json_t *one = NULL;
    enum b_code r = B_OK;
    json_object_foreach((json_t *)(uintptr_t)v, name, one)
    {
        struct scim_path p = {.schema = schema};
        p.attribute = scim_attribute_find(schema, "", name, strlen(name));
        if (r == B_OK)
            r = take(&p, one, to, err);
    }
    return r;
}

static enum b_code take(const struct scim_path *p, const json_t *v, json_t *to, struct b_err *err)
{
    const struct scim_attribute *a = p->attribute;
    if (p->is_schema)
        return take_schema(p->schema, v, to, err);
    if (a == NULL || (a->flags & (SCIM_READ_ONLY | SCIM_NOT_KEPT)) != 0 || json_is_null(v))
        return B_OK;
    json_t *one = NULL;
    enum b_code r = scim_value_read(a, v, &one, err);
    if (r == B_OK)
        (void)json_object_set_new(scim_place(to, p->schema, true), a->name, one);
    return r;
}

enum b_code scim_body_read(enum scim_type type, const json_t *body, json_t **ret, struct b_err *err)
{
    const char *name = NULL;
    json_t *v = NULL;
    json_t *doc = json_object();
    enum b_code r = B_OK;
    json_object_foreach((json_t *)(uintptr_t)body, name, v)
    {
        struct scim_path p;
        if (r == B_OK && scim_path_read(type, name, strlen(name), &p) && p.sub == NULL)
            r = take(&p, v, doc, err);
    }
    for (size_t i = 0; r == B_OK && scim_attribute_at(i) != NULL; i++) {
        const struct scim_attribute *a = scim_attribute_at(i);
        /* whether active is there is the caller's affair: it has a default */
        bool is_needed = scim_schema(a->schema)->type == type && a->parent[0] == '\0' &&
                         (a->flags & SCIM_REQUIRED) != 0 && a->kind != SCIM_KIND_BOOLEAN;
        if (is_needed && json_string_length(json_object_get(doc, a->name)) == 0)
            r = wrong(a, "is missing", err);
    }
    if (r != B_OK)
        json_decref(doc);
    else
        *ret = doc;
    return r;
}

/* --- projections -------------------------------------------------------------------------------
 */

/* The next path of a list with commas. */
static bool next_path(const char **list, const char **path, size_t *n)
{
    *list += strspn(*list, ", ");
    *path = *list;
    *n = strcspn(*list, ", ");
    *list += *n;
    return *n > 0;
}

/* Copies (or, without to, removes) a sub-attribute of each value. */
static void each_sub(json_t *from, json_t *to, const char *name, const char *sub)
{
    json_t *v = json_object_get(from, name);
    size_t i = 0;
    json_t *one = NULL;
    if (to == NULL) {
        (void)json_object_del(v, sub);
        json_array_foreach(v, i, one)
        {
            (void)json_object_del(one, sub);
        }
        return;
    }
    json_t *there = json_object_get(to, name);
    if (there == NULL) {
        there = json_is_array(v) ? json_array() : json_object();
        (void)json_object_set_new(to, name, there);
    }
    json_array_foreach(v, i, one)
    {
        if (json_array_get(there, i) == NULL)
            (void)json_array_append_new(there, json_object());
        (void)json_object_set(json_array_get(there, i), sub, json_object_get(one, sub));
    }
    (void)json_object_set(there, sub, json_object_get(v, sub));
}

static void keep(json_t *doc, json_t *to, const struct scim_path *p)
{
    json_t *from = scim_place(doc, p->schema, false);
    const struct scim_schema *s = scim_schema(p->schema);
    if (p->is_schema && s->is_extension)
        (void)json_object_set(to, s->urn, from);
    if (from == NULL || p->attribute == NULL || json_object_get(from, p->attribute->name) == NULL)
        return;
    json_t *place = scim_place(to, p->schema, true);
    if (p->sub != NULL)
        each_sub(from, place, p->attribute->name, p->sub->name);
    else if (!p->has_unknown_sub)
        (void)json_object_set(place, p->attribute->name, json_object_get(from, p->attribute->name));
}

static void drop(json_t *doc, const struct scim_path *p)
{
    const struct scim_schema *s = scim_schema(p->schema);
    json_t *from = scim_place(doc, p->schema, false);
    if (p->is_schema && s->is_extension)
        (void)json_object_del(doc, s->urn);
    if (from == NULL || p->attribute == NULL || (p->attribute->flags & SCIM_ALWAYS) != 0)
        return;
    if (p->sub != NULL)
        each_sub(from, NULL, p->attribute->name, p->sub->name);
    else if (!p->has_unknown_sub)
        (void)json_object_del(from, p->attribute->name);
}

enum b_code scim_project(enum scim_type type, json_t *doc, const char *attributes,
                         const char *excluded, struct b_err *err)
{
    const char *path = NULL;
    size_t n = 0;
    struct scim_path p;
    if (attributes != NULL && excluded != NULL)
        return b_err_set(err, B_E_SCIM_VALUE, 0,
                         "attributes and excludedAttributes do not go together");
    while (excluded != NULL && next_path(&excluded, &path, &n))
        if (scim_path_read(type, path, n, &p))
            drop(doc, &p);
    if (attributes == NULL)
        return B_OK;
    json_t *whole = json_copy(doc);
    (void)json_object_clear(doc);
    for (size_t i = 0; scim_attribute_at(i) != NULL; i++) {
        const struct scim_attribute *a = scim_attribute_at(i);
        if ((a->flags & SCIM_ALWAYS) != 0 && scim_schema(a->schema)->type == type)
            (void)json_object_set(doc, a->name, json_object_get(whole, a->name));
    }
    while (next_path(&attributes, &path, &n))
        if (scim_path_read(type, path, n, &p))
            keep(whole, doc, &p);
    json_decref(whole);
    return B_OK;
}
