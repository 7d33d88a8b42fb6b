/*
 * PATCH of RFC 7644 §3.5.2, and what large directories send that it does not foresee: operations in
 * capitals, booleans as text, dotted and prefixed names as keys of a value, removals that name
 * their members by a value.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "scim/scim.h"

enum verb { ADD, REPLACE, REMOVE };

struct operation {
    enum scim_type type;
    enum verb verb;
    struct scim_path path;
    struct scim_filter *filter; /* of a value path, or NULL */
    bool is_whole; /* one of a value without a path: what cannot be written is passed over */
};

static enum b_code fixed(const struct scim_attribute *a, struct b_err *err)
{
    return b_err_set(err, B_E_SCIM_MUTABILITY, 0, "%s cannot be changed", a->name);
}

/* --- many values -------------------------------------------------------------------------------
 */

static const char *known_by(const json_t *v)
{
    const char *text = json_string_value(json_object_get(v, "value"));
    return text != NULL ? text : "";
}

/* What values are known by, as names of an object: groups have thousands of members. */
static json_t *set_of(const json_t *list)
{
    size_t i = 0;
    json_t *one = NULL;
    json_t *set = json_object();
    json_array_foreach(list, i, one)
    {
        (void)json_object_set_new(set, known_by(one), json_true());
    }
    return set;
}

/* Those that are there already stay as they are. */
static void add_values(json_t *list, const json_t *more)
{
    size_t i = 0;
    json_t *one = NULL;
    json_t *there = set_of(list);
    json_array_foreach(more, i, one)
    {
        if (json_object_get(there, known_by(one)) != NULL)
            continue;
        (void)json_array_append(list, one);
        (void)json_object_set_new(there, known_by(one), json_true());
    }
    json_decref(there);
}

static void remove_values(json_t *list, const json_t *gone)
{
    json_t *named = set_of(gone);
    json_t *kept = json_array();
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach(list, i, one)
    {
        if (json_object_get(named, known_by(one)) == NULL)
            (void)json_array_append(kept, one);
    }
    (void)json_array_clear(list);
    (void)json_array_extend(list, kept);
    json_decref(kept);
    json_decref(named);
}

static enum b_code change_list(const struct operation *o, json_t *place, const json_t *value,
                               struct b_err *err)
{
    const struct scim_attribute *a = o->path.attribute;
    json_t *list = json_object_get(place, a->name);
    json_t *values = NULL;
    if (value == NULL || json_is_null(value)) {
        if (o->verb != ADD)
            (void)json_object_del(place, a->name);
        return B_OK;
    }
    enum b_code r = scim_value_read(a, value, &values, err);
    if (r != B_OK)
        return r;
    if (list == NULL || o->verb == REPLACE) {
        list = json_array();
        (void)json_object_set_new(place, a->name, list);
    }
    if (o->verb == REMOVE)
        remove_values(list, values);
    else
        add_values(list, values);
    json_decref(values);
    return B_OK;
}

/* One of the values that a filter chose. */
static enum b_code change_chosen(const struct operation *o, json_t *one, const json_t *value,
                                 struct b_err *err)
{
    const struct scim_attribute *sub = o->path.sub;
    json_t *now = NULL;
    if (sub == NULL) {
        enum b_code r = scim_value_read(o->path.attribute, value, &now, err);
        if (r == B_OK && json_array_size(now) != 1)
            r = b_err_set(err, B_E_SCIM_VALUE, 0, "one value");
        if (r == B_OK)
            (void)json_object_update(one, json_array_get(now, 0));
        json_decref(now);
        return r;
    }
    if ((sub->flags & SCIM_READ_ONLY) != 0)
        return fixed(sub, err);
    if (o->verb == REMOVE) {
        (void)json_object_del(one, sub->name);
        return B_OK;
    }
    enum b_code r = scim_value_read(sub, value, &now, err);
    if (r == B_OK && (sub->flags & SCIM_IMMUTABLE) != 0 &&
        !json_equal(now, json_object_get(one, sub->name)))
        r = fixed(sub, err);
    if (r == B_OK)
        (void)json_object_set(one, sub->name, now);
    json_decref(now);
    return r;
}

static enum b_code change_some(const struct operation *o, json_t *place, const json_t *value,
                               struct b_err *err)
{
    json_t *list = json_object_get(place, o->path.attribute->name);
    bool is_found = false;
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i);
        if (!scim_filter_fits(o->filter, one))
            continue;
        is_found = true;
        if (o->verb == REMOVE && o->path.sub == NULL)
            (void)json_array_remove(list, i--);
        else
            r = change_chosen(o, one, value, err);
    }
    if (r == B_OK && !is_found && o->verb != REMOVE) /* what is gone already was removed */
        r = b_err_set(err, B_E_SCIM_TARGET, 0, "no value of %s fits", o->path.attribute->name);
    return r;
}

/* --- one value ---------------------------------------------------------------------------------
 */

static enum b_code remove_one(const struct operation *o, json_t *place, struct b_err *err)
{
    const struct scim_attribute *a = o->path.attribute;
    if ((a->flags & (SCIM_REQUIRED | SCIM_IMMUTABLE)) != 0)
        return fixed(a, err);
    if (o->path.sub != NULL)
        (void)json_object_del(json_object_get(place, a->name), o->path.sub->name);
    else
        (void)json_object_del(place, a->name);
    return B_OK;
}

static enum b_code change_one(const struct operation *o, json_t *place, const json_t *value,
                              struct b_err *err)
{
    const struct scim_attribute *a = o->path.attribute;
    const struct scim_attribute *sub = o->path.sub;
    json_t *now = NULL;
    json_t *there = json_object_get(place, a->name);
    if (o->verb == REMOVE || value == NULL || json_is_null(value))
        return remove_one(o, place, err);
    enum b_code r = scim_value_read(sub != NULL ? sub : a, value, &now, err);
    if (r != B_OK)
        return r;
    if ((a->flags & SCIM_IMMUTABLE) != 0 && there != NULL && !json_equal(there, now)) {
        r = fixed(a, err);
    } else if (a->kind != SCIM_KIND_COMPLEX) {
        (void)json_object_set(place, a->name, now);
    } else {
        if (there == NULL) {
            there = json_object();
            (void)json_object_set_new(place, a->name, there);
        }
        if (sub != NULL)
            (void)json_object_set(there, sub->name, now);
        else
            (void)json_object_update(there, now);
    }
    json_decref(now);
    return r;
}

/* --- an operation ------------------------------------------------------------------------------
 */

static enum b_code change_whole(const struct operation *o, enum scim_schema_no schema, json_t *doc,
                                const json_t *value, struct b_err *err);

static enum b_code change(const struct operation *o, json_t *doc, const json_t *value,
                          struct b_err *err)
{
    const struct scim_attribute *a = o->path.attribute;
    const struct scim_attribute *sub = o->path.sub;
    if (o->path.is_schema && o->verb != REMOVE)
        return change_whole(o, o->path.schema, doc, value, err);
    if (a == NULL && !o->is_whole)
        return b_err_set(err, B_E_SCIM_PATH, 0, "there is no such attribute");
    if (a == NULL || (a->flags & SCIM_NOT_KEPT) != 0 ||
        (sub != NULL && (sub->flags & SCIM_NOT_KEPT) != 0))
        return B_OK;
    if (o->path.has_unknown_sub)
        return b_err_set(err, B_E_SCIM_PATH, 0, "%s has no such part", a->name);
    if ((a->flags & SCIM_READ_ONLY) != 0)
        return o->is_whole ? B_OK : fixed(a, err);
    json_t *place = scim_place(doc, o->path.schema, true);
    if (o->filter != NULL && (a->flags & SCIM_MANY) == 0)
        return b_err_set(err, B_E_SCIM_PATH, 0, "%s has one value", a->name);
    if (o->filter != NULL)
        return change_some(o, place, value, err);
    if ((a->flags & SCIM_MANY) != 0 && sub != NULL)
        return b_err_set(err, B_E_SCIM_PATH, 0, "which %s is not said", a->name);
    return (a->flags & SCIM_MANY) != 0 ? change_list(o, place, value, err)
                                       : change_one(o, place, value, err);
}

/* A value without a path: each of its keys is one. */
static enum b_code change_whole(const struct operation *o, enum scim_schema_no schema, json_t *doc,
                                const json_t *value, struct b_err *err)
{
    const char *name = NULL;
    json_t *v = NULL;
    bool is_extension = scim_schema(schema)->is_extension;
    if (!json_is_object(value))
        return b_err_set(err, B_E_SCIM_VALUE, 0, "the value must be an object");
    json_object_foreach((json_t *)(uintptr_t)value, name, v)
    {
        struct operation one = {.type = o->type, .verb = o->verb, .is_whole = true};
        if (is_extension) {
            one.path.schema = schema;
            one.path.attribute = scim_attribute_find(schema, "", name, strlen(name));
        } else if (!scim_path_read(o->type, name, strlen(name), &one.path)) {
            return b_err_set(err, B_E_SCIM_PATH, 0, "%.60s", name);
        }
        enum b_code r = change(&one, doc, v, err);
        if (r != B_OK)
            return r;
    }
    return B_OK;
}

/* attribute[filter].sub, or a path without a filter. */
static enum b_code read_path(struct operation *o, const char *text, struct b_err *err)
{
    const char *open = strchr(text, '[');
    const char *shut = open != NULL ? strrchr(open, ']') : NULL;
    size_t n = strlen(text);
    if (open == NULL)
        return scim_path_read(o->type, text, n, &o->path)
                   ? B_OK
                   : b_err_set(err, B_E_SCIM_PATH, 0, "%.60s", text);
    if (shut == NULL || !scim_path_read(o->type, text, (size_t)(open - text), &o->path) ||
        o->path.sub != NULL || o->path.has_unknown_sub || o->path.is_schema ||
        (shut[1] != '\0' && (shut[1] != '.' || shut[2] == '\0')))
        return b_err_set(err, B_E_SCIM_PATH, 0, "%.60s", text);
    const struct scim_attribute *a = o->path.attribute;
    if (a == NULL || (a->flags & SCIM_NOT_KEPT) != 0)
        return B_OK;
    if (shut[1] == '.') {
        o->path.sub = scim_attribute_find(a->schema, a->name, shut + 2, strlen(shut + 2));
        o->path.has_unknown_sub = o->path.sub == NULL;
    }
    return scim_filter_read(o->type, a, open + 1, (size_t)(shut - open - 1), &o->filter, err);
}

static enum b_code apply(enum scim_type type, json_t *doc, const json_t *body, struct b_err *err)
{
    static const char *const verbs[] = {"add", "replace", "remove"};
    const char *verb = json_string_value(json_object_get(body, "op"));
    const json_t *path = json_object_get(body, "path");
    const json_t *value = json_object_get(body, "value");
    size_t i = 0;
    while (i < B_COUNT(verbs) && (verb == NULL || strcasecmp(verb, verbs[i]) != 0))
        i++;
    if (i == B_COUNT(verbs))
        return b_err_set(err, B_E_BAD_INPUT, 0, "op: add, replace or remove");
    struct operation o = {.type = type, .verb = (enum verb)i};
    if (o.verb != REMOVE && value == NULL)
        return b_err_set(err, B_E_SCIM_VALUE, 0, "a value is missing");
    if (path == NULL || json_is_null(path) ||
        (json_is_string(path) && json_string_length(path) == 0))
        return o.verb == REMOVE
                   ? b_err_set(err, B_E_SCIM_TARGET, 0, "what to remove is not said")
                   : change_whole(&o, type == SCIM_TYPE_USER ? SCIM_SCHEMA_USER : SCIM_SCHEMA_GROUP,
                                  doc, value, err);
    if (!json_is_string(path) || strlen(json_string_value(path)) != json_string_length(path))
        return b_err_set(err, B_E_SCIM_PATH, 0, "a path is text");
    enum b_code r = read_path(&o, json_string_value(path), err);
    if (r == B_OK)
        r = change(&o, doc, value, err);
    scim_filter_free(&o.filter);
    return r;
}

enum b_code scim_patch(enum scim_type type, json_t *doc, const json_t *body, struct b_err *err)
{
    static const char urn[] = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
    const json_t *list = NULL;
    const char *name = NULL;
    json_t *v = NULL;
    json_object_foreach((json_t *)(uintptr_t)body, name, v)
    {
        if (strcasecmp(name, "Operations") == 0)
            list = v;
    }
    const char *schema = json_string_value(json_array_get(json_object_get(body, "schemas"), 0));
    if (schema == NULL || strcasecmp(schema, urn) != 0)
        return b_err_set(err, B_E_BAD_INPUT, 0, "schemas: %s", urn);
    if (json_array_size(list) == 0 || json_array_size(list) > SCIM_OPERATIONS_MAX)
        return b_err_set(err, B_E_BAD_INPUT, 0, "Operations: 1 to %d of them", SCIM_OPERATIONS_MAX);
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && i < json_array_size(list); i++) {
        r = apply(type, doc, json_array_get(list, i), err);
        if (r != B_OK)
            (void)b_err_wrap(err, "operation %zu", i + 1);
    }
    return r;
}
