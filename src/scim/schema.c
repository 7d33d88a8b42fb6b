/* The table of attributes: looked up, and shown. */
#include <string.h>
#include <strings.h>

#include "scim/scim.h"

static const struct scim_schema schemas[] = {
#define SCIM_SCHEMA(NAME, type, urn, name, description) \
    {type, urn, name, description,                      \
     (type) == SCIM_TYPE_USER && SCIM_SCHEMA_##NAME != SCIM_SCHEMA_USER},
#define SCIM_ATTRIBUTE(SCHEMA, parent, name, type, flags, description)
#include "scim/schema.def"
#undef SCIM_SCHEMA
#undef SCIM_ATTRIBUTE
};

enum {
    M = SCIM_MANY,
    X = SCIM_EXACT,
    Q = SCIM_REQUIRED,
    O = SCIM_READ_ONLY,
    I = SCIM_IMMUTABLE,
    U = SCIM_UNIQUE,
    A = SCIM_ALWAYS,
    N = SCIM_NOT_KEPT,
    C = SCIM_COMMON,
};

static const struct scim_attribute attributes[] = {
#define SCIM_SCHEMA(NAME, type, urn, name, description)
#define SCIM_ATTRIBUTE(SCHEMA, parent, name, type, flags, description) \
    {SCIM_SCHEMA_##SCHEMA, parent, name, SCIM_KIND_##type, flags, description},
#include "scim/schema.def"
#undef SCIM_SCHEMA
#undef SCIM_ATTRIBUTE
};

const struct scim_schema *scim_schema(enum scim_schema_no no)
{
    return &schemas[no];
}

const struct scim_attribute *scim_attribute_at(size_t i)
{
    return i < B_COUNT(attributes) ? &attributes[i] : NULL;
}

const struct scim_attribute *scim_attribute_find(enum scim_schema_no schema, const char *parent,
                                                 const char *name, size_t n)
{
    for (size_t i = 0; i < B_COUNT(attributes); i++) {
        const struct scim_attribute *a = &attributes[i];
        if (a->schema == schema && strcmp(a->parent, parent) == 0 && strlen(a->name) == n &&
            strncasecmp(a->name, name, n) == 0)
            return a;
    }
    return NULL;
}

json_t *scim_place(json_t *doc, enum scim_schema_no schema, bool may_make)
{
    const struct scim_schema *s = &schemas[schema];
    if (!s->is_extension)
        return doc;
    json_t *place = json_object_get(doc, s->urn);
    if (place == NULL && may_make) {
        (void)json_object_set_new(doc, s->urn, json_object());
        place = json_object_get(doc, s->urn);
    }
    return place;
}

/* --- /Schemas ----------------------------------------------------------------------------------
 */

static json_t *describe(const struct scim_attribute *a)
{
    static const char *const kinds[] = {"string", "boolean", "dateTime", "reference", "complex"};
    const char *mutability = (a->flags & SCIM_READ_ONLY) != 0   ? "readOnly"
                             : (a->flags & SCIM_IMMUTABLE) != 0 ? "immutable"
                                                                : "readWrite";
    json_t *o =
        json_pack("{s:s, s:s, s:b, s:s, s:b, s:s, s:s}", "name", a->name, "type", kinds[a->kind],
                  "multiValued", (int)((a->flags & SCIM_MANY) != 0), "description", a->description,
                  "required", (int)((a->flags & SCIM_REQUIRED) != 0), "mutability", mutability,
                  "returned", (a->flags & SCIM_ALWAYS) != 0 ? "always" : "default");
    if (a->kind == SCIM_KIND_STRING || a->kind == SCIM_KIND_REFERENCE)
        (void)json_object_set_new(o, "caseExact", json_boolean((a->flags & SCIM_EXACT) != 0));
    if (a->kind == SCIM_KIND_REFERENCE)
        (void)json_object_set_new(o, "referenceTypes", json_pack("[s]", "User"));
    if (a->kind != SCIM_KIND_COMPLEX)
        (void)json_object_set_new(o, "uniqueness",
                                  json_string((a->flags & SCIM_UNIQUE) != 0 ? "server" : "none"));
    return o;
}

static json_t *describe_all(enum scim_schema_no no, const char *parent)
{
    json_t *list = json_array();
    for (size_t i = 0; i < B_COUNT(attributes); i++) {
        const struct scim_attribute *a = &attributes[i];
        if (a->schema != no || strcmp(a->parent, parent) != 0 ||
            (a->flags & (SCIM_NOT_KEPT | SCIM_COMMON)) != 0)
            continue;
        json_t *o = describe(a);
        if (a->kind == SCIM_KIND_COMPLEX)
            (void)json_object_set_new(o, "subAttributes", describe_all(no, a->name));
        (void)json_array_append_new(list, o);
    }
    return list;
}

json_t *scim_schema_json(enum scim_schema_no no)
{
    const struct scim_schema *s = &schemas[no];
    return json_pack("{s:[s], s:s, s:s, s:s, s:o}", "schemas",
                     "urn:ietf:params:scim:schemas:core:2.0:Schema", "id", s->urn, "name", s->name,
                     "description", s->description, "attributes", describe_all(no, ""));
}

/* --- paths -------------------------------------------------------------------------------------
 */

/* The extension or core schema that a path names, and what follows it. */
static bool take_urn(enum scim_type type, const char **text, size_t *n, struct scim_path *ret)
{
    for (size_t i = 0; i < B_COUNT(schemas); i++) {
        size_t u = strlen(schemas[i].urn);
        if (schemas[i].type != type || *n < u || strncasecmp(*text, schemas[i].urn, u) != 0 ||
            (*n > u && (*text)[u] != ':'))
            continue;
        ret->schema = (enum scim_schema_no)i;
        ret->is_schema = *n == u;
        *text += *n == u ? u : u + 1;
        *n -= *n == u ? u : u + 1;
        return true;
    }
    return false;
}

/* ALPHA *("-" / "_" / DIGIT / ALPHA), and "$ref". */
static size_t name_length(const char *text, size_t n)
{
    size_t i = 0;
    while (i < n) {
        char ch = text[i];
        bool is_letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
        bool is_other = (ch >= '0' && ch <= '9') || ch == '-' || ch == '_';
        if (!is_letter && !(i > 0 && is_other) && !(i == 0 && ch == '$'))
            break;
        i++;
    }
    return i;
}

bool scim_path_read(enum scim_type type, const char *text, size_t n, struct scim_path *ret)
{
    *ret =
        (struct scim_path){.schema = type == SCIM_TYPE_USER ? SCIM_SCHEMA_USER : SCIM_SCHEMA_GROUP};
    bool has_urn = n >= 4 && strncasecmp(text, "urn:", 4) == 0;
    if (has_urn && !take_urn(type, &text, &n, ret)) { /* of a schema that is not here */
        const char *last = memrchr(text, ':', n);
        n -= (size_t)(last + 1 - text);
        return name_length(last + 1, n) > 0;
    }
    if (ret->is_schema)
        return true;
    size_t name = name_length(text, n);
    if (name == 0 || (name < n && text[name] != '.'))
        return false;
    ret->attribute = scim_attribute_find(ret->schema, "", text, name);
    if (name == n)
        return true;
    text += name + 1;
    n -= name + 1;
    size_t sub = name_length(text, n);
    if (sub == 0 || sub != n)
        return false;
    if (ret->attribute != NULL)
        ret->sub = scim_attribute_find(ret->schema, ret->attribute->name, text, sub);
    ret->has_unknown_sub = ret->sub == NULL;
    return true;
}
