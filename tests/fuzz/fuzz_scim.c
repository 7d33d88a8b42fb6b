/* What a directory sends: a filter (f), a resource (u: a person, g: a group) or a PATCH of one (U,
 * G). It is read, or refused with words; what was read is used on documents, and stays ours. */
#include <string.h>

#include "scim/scim.h"

static const char person[] =
    "{\"id\":\"u1\",\"userName\":\"jdoe\",\"active\":true,\"name\":{\"familyName\":\"Doe\"},"
    "\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":{\"department\":\"ICU\"},"
    "\"meta\":{\"created\":\"2026-01-01T00:00:00Z\"}}";
static const char group[] = "{\"id\":\"g1\",\"displayName\":\"Nurses\","
                            "\"members\":[{\"value\":\"u1\"},{\"value\":\"u2\"}]}";

/* Whatever was done to it, a document has names of the table alone. */
static void check_ours(enum scim_type type, json_t *doc)
{
    const char *name = NULL;
    json_t *v = NULL;
    json_object_foreach(doc, name, v)
    {
        struct scim_path p;
        b_check(scim_path_read(type, name, strlen(name), &p));
        b_check(p.is_schema || p.attribute != NULL);
    }
}

static void try_filter(const char *text, size_t n)
{
    struct b_err err = {0};
    struct scim_filter *f = NULL;
    if (scim_filter_read(SCIM_TYPE_USER, NULL, text, n, &f, &err) != B_OK) {
        b_check(err.code != B_OK && err.msg[0] != '\0');
        return;
    }
    json_t *doc = json_loads(person, 0, NULL);
    bool first = scim_filter_fits(f, doc);
    b_check(scim_filter_fits(f, doc) == first);
    (void)scim_filter_wants(f, scim_attribute_find(SCIM_SCHEMA_USER, "", "userName", 8));
    json_decref(doc);
    scim_filter_free(&f);
}

static void try_body(enum scim_type type, bool is_patch, const char *text, size_t n)
{
    struct b_err err = {0};
    json_t *body = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    json_t *doc = NULL;
    enum b_code r = B_E_BAD_INPUT;
    if (json_is_object(body) && is_patch) {
        doc = json_loads(type == SCIM_TYPE_USER ? person : group, 0, NULL);
        r = scim_patch(type, doc, body, &err);
    } else if (json_is_object(body)) {
        r = scim_body_read(type, body, &doc, &err);
    }
    b_check(body == NULL || !json_is_object(body) || r == B_OK || err.msg[0] != '\0');
    if (r == B_OK) {
        check_ours(type, doc);
        (void)!scim_project(type, doc, "userName,members.value,name.familyName", NULL, &err);
    }
    json_decref(doc);
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    if (data[0] == 'f')
        try_filter(text, size - 1);
    else if (data[0] == 'u' || data[0] == 'U')
        try_body(SCIM_TYPE_USER, data[0] == 'U', text, size - 1);
    else if (data[0] == 'g' || data[0] == 'G')
        try_body(SCIM_TYPE_GROUP, data[0] == 'G', text, size - 1);
    return 0;
}
