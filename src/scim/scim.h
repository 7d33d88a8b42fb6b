/*
 * scim: the language of RFC 7643 and 7644 over JSON documents: which attributes there are, filters,
 * paths, patches, projections. Pure: no store, no clock, no network; it must never learn what a
 * badge is.
 *
 *   schema.def  the attributes; schema.c looks them up and shows them
 *   filter.c    reads a filter (§3.4.2.2) and tries it on a document
 *   patch.c     applies a PATCH (§3.5.2)
 *   body.c      makes a client's document one of ours; leaves out what was not asked for
 *
 * Errors carry the scimType of RFC 7644 §3.12 by their code: B_E_SCIM_*.
 */
#ifndef TESSERE_SCIM_SCIM_H
#define TESSERE_SCIM_SCIM_H

#include <jansson.h>

#include "base/base.h"

enum {
    SCIM_FILTER_MAX = 2048,    /* bytes of a filter */
    SCIM_NODES_MAX = 64,       /* its operators and comparisons */
    SCIM_DEPTH_MAX = 16,       /* its parentheses */
    SCIM_OPERATIONS_MAX = 256, /* of one PATCH */
};

enum scim_type { SCIM_TYPE_USER, SCIM_TYPE_GROUP, SCIM_TYPES };
enum scim_kind {
    SCIM_KIND_STRING,
    SCIM_KIND_BOOLEAN,
    SCIM_KIND_DATETIME,
    SCIM_KIND_REFERENCE,
    SCIM_KIND_COMPLEX,
};
enum scim_schema_no {
#define SCIM_SCHEMA(NAME, type, urn, name, description) SCIM_SCHEMA_##NAME,
#define SCIM_ATTRIBUTE(SCHEMA, parent, name, type, flags, description)
#include "scim/schema.def"
#undef SCIM_SCHEMA
#undef SCIM_ATTRIBUTE
    SCIM_SCHEMAS
};

enum { /* bits of an attribute */
       SCIM_MANY = 1,
       SCIM_EXACT = 2,
       SCIM_REQUIRED = 4,
       SCIM_READ_ONLY = 8,
       SCIM_IMMUTABLE = 16,
       SCIM_UNIQUE = 32,
       SCIM_ALWAYS = 64,
       SCIM_NOT_KEPT = 128,
       SCIM_COMMON = 256,
};

struct scim_schema {
    enum scim_type type;
    const char *urn, *name, *description;
    bool is_extension;
};
struct scim_attribute {
    enum scim_schema_no schema;
    const char *parent, *name;
    enum scim_kind kind;
    unsigned flags;
    const char *description;
};
const struct scim_schema *scim_schema(enum scim_schema_no no);
/* The i-th attribute of the table, NULL past the end. */
const struct scim_attribute *scim_attribute_at(size_t i);
/* By its name, in any case of letters; parent "" is the top. NULL: there is none. */
const struct scim_attribute *scim_attribute_find(enum scim_schema_no schema, const char *parent,
                                                 const char *name, size_t n);
/* The definition of a schema (RFC 7643 §7), without meta. NULL: out of memory. */
json_t *scim_schema_json(enum scim_schema_no no);

/* --- paths -------------------------------------------------------------------------------------
 */

/* What a path without its filter says. attribute NULL: nothing here has this name, or, with
 * is_schema, the path is a whole extension. */
struct scim_path {
    enum scim_schema_no schema;
    const struct scim_attribute *attribute, *sub; /* sub NULL: the attribute itself */
    bool is_schema;
    bool has_unknown_sub;
};
/* [urn:]name[.sub]. False when it is not one by RFC 7644's grammar. */
B_NODISCARD bool scim_path_read(enum scim_type type, const char *text, size_t n,
                                struct scim_path *ret);

/* --- filters -----------------------------------------------------------------------------------
 */

struct scim_filter;
/* B_E_SCIM_FILTER says where it is wrong, or that it is too long, deep or wide. inside: the
 * attribute whose values it is for, or NULL: the resource. */
B_NODISCARD enum b_code scim_filter_read(enum scim_type type, const struct scim_attribute *inside,
                                         const char *text, size_t n, struct scim_filter **ret,
                                         struct b_err *err);
void scim_filter_free(struct scim_filter **f);
B_NODISCARD bool scim_filter_fits(const struct scim_filter *f, const json_t *doc);
/* The text with which a document's attribute must be equal to fit, when the filter says so: for an
 * index. NULL: it does not. Borrowed. */
const char *scim_filter_wants(const struct scim_filter *f, const struct scim_attribute *a);
/* A moment of RFC 3339, in milliseconds since 1970. */
B_NODISCARD bool scim_time_read(const char *text, int64_t *ret);

/* --- bodies ------------------------------------------------------------------------------------
 */

/* A client's resource with our attributes alone, under their right names, of their right types:
 * what is read-only, unknown or not kept is left out (RFC 7644 §3.3). *ret is the caller's.
 * B_E_SCIM_VALUE names the attribute. */
B_NODISCARD enum b_code scim_body_read(enum scim_type type, const json_t *body, json_t **ret,
                                       struct b_err *err);
/* One value, as its attribute must be: "True" is a boolean for directories that say so. *ret is
 * the caller's. */
B_NODISCARD enum b_code scim_value_read(const struct scim_attribute *a, const json_t *v,
                                        json_t **ret, struct b_err *err);
/* Leaves of doc what the two lists of paths say (RFC 7644 §3.4.2.5), each may be NULL. */
B_NODISCARD enum b_code scim_project(enum scim_type type, json_t *doc, const char *attributes,
                                     const char *excluded, struct b_err *err);
/* Applies a PATCH's body to doc, in which only the attributes that can be written need be. On an
 * error doc may be half changed. */
B_NODISCARD enum b_code scim_patch(enum scim_type type, json_t *doc, const json_t *body,
                                   struct b_err *err);
/* Where a schema's attributes are in doc: doc itself, or the extension's object, which is made when
 * it is not there and may be. Borrowed. */
json_t *scim_place(json_t *doc, enum scim_schema_no schema, bool may_make);

#endif
