/* A person from a SCIM document, and one change of one. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "service/directory_int.h"

/* --- from a document ---------------------------------------------------------------------------
 */

const char *service_doc_text(const json_t *doc, enum scim_schema_no schema, const char *name)
{
    const char *text = json_string_value(
        json_object_get(scim_place((json_t *)(uintptr_t)doc, schema, false), name));
    return text != NULL ? text : "";
}

enum b_code service_doc_take(char *to, size_t cap, const char *what, const char *text,
                             struct b_err *err)
{
    size_t n = strlen(text);
    if (n >= cap)
        return b_err_set(err, B_E_SCIM_VALUE, 0, "%s: at most %zu bytes", what, cap - 1);
    if (text[0] != '\0' && !b_text_is_name(text))
        return b_err_set(err, B_E_SCIM_VALUE, 0,
                         "%s: text on one line, without marks that hide or turn what stands there",
                         what);
    memcpy(to, text, n + 1);
    return B_OK;
}

/* An RPPS number: eleven digits, the last of which is Luhn's. */
static bool is_national(const char *text)
{
    unsigned sum = 0;
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        unsigned digit = (unsigned)(text[i] - '0') * (i % 2 == 1 ? 2 : 1);
        sum += digit / 10 + digit % 10;
    }
    return n == 11 && sum % 10 == 0;
}

static enum b_code take_national(struct store_user *u, const char *text, struct b_err *err)
{
    if (text[0] != '\0' && !is_national(text))
        return b_err_set(err, B_E_SCIM_VALUE, 0, "nationalId: the eleven digits of an RPPS number");
    if (strcmp(u->national, text) != 0)
        u->verified_at = 0; /* another number was not compared with anything */
    (void)snprintf(u->national, sizeof(u->national), "%.11s", text);
    return B_OK;
}

/* What the badge office shows: the name that is given, or what can be made of its parts. */
static void take_shown(char to[static 128], const json_t *doc, const struct store_user *u)
{
    const char *shown = service_doc_text(doc, SCIM_SCHEMA_USER, "displayName");
    if (shown[0] == '\0')
        shown = u->formatted;
    if (shown[0] != '\0')
        (void)snprintf(to, 128, "%s", shown);
    else if (u->given[0] != '\0' || u->family[0] != '\0')
        (void)snprintf(to, 128, "%s%s%s", u->given, u->given[0] != '\0' ? " " : "", u->family);
    else
        (void)snprintf(to, 128, "%s", u->user_name);
}

static enum b_code take_user(const json_t *doc, struct store_user *u, char shown[static 128],
                             struct b_err *err)
{
    const json_t *name = json_object_get(doc, "name");
    const struct {
        const char *what;
        char *to;
        size_t cap;
        const char *text;
    } texts[] = {
        {"userName", u->user_name, sizeof(u->user_name),
         service_doc_text(doc, SCIM_SCHEMA_USER, "userName")},
        {"externalId", u->external_id, sizeof(u->external_id),
         service_doc_text(doc, SCIM_SCHEMA_USER, "externalId")},
        {"name.formatted", u->formatted, sizeof(u->formatted),
         service_doc_text(name, SCIM_SCHEMA_USER, "formatted")},
        {"name.givenName", u->given, sizeof(u->given),
         service_doc_text(name, SCIM_SCHEMA_USER, "givenName")},
        {"name.familyName", u->family, sizeof(u->family),
         service_doc_text(name, SCIM_SCHEMA_USER, "familyName")},
        {"department", u->department, sizeof(u->department),
         service_doc_text(doc, SCIM_SCHEMA_ENTERPRISE, "department")},
        {"displayName", shown, 128, service_doc_text(doc, SCIM_SCHEMA_USER, "displayName")},
    };
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && i < B_COUNT(texts); i++)
        r = service_doc_take(texts[i].to, texts[i].cap, texts[i].what, texts[i].text, err);
    if (r == B_OK && u->user_name[0] == '\0')
        r = b_err_set(err, B_E_SCIM_VALUE, 0, "userName: is missing");
    if (r == B_OK)
        r = take_national(u, service_doc_text(doc, SCIM_SCHEMA_BADGE, "nationalId"), err);
    if (r == B_OK)
        take_shown(shown, doc, u);
    return r;
}

/* --- one change --------------------------------------------------------------------------------
 */

static enum b_code rename_holder(struct service_change *c, struct store_holder *h,
                                 const char *shown, struct b_err *err)
{
    if (strcmp(h->name, shown) == 0)
        return B_OK;
    (void)snprintf(h->name, sizeof(h->name), "%s", shown);
    return store_holder_put(c->store, h, err);
}

/* The holder with the person's staff number: one who has badges already, or a new one. */
static enum b_code find_holder(struct service_change *c, const json_t *doc,
                               const struct store_user *u, const char *shown,
                               struct store_holder *ret, bool *ret_is_new, struct b_err *err)
{
    char ref[STORE_NAME_MAX];
    const char *number = service_doc_text(doc, SCIM_SCHEMA_ENTERPRISE, "employeeNumber");
    enum b_code r = service_doc_take(ref, sizeof(ref), "employeeNumber (or userName)",
                                     number[0] != '\0' ? number : u->user_name, err);
    if (r == B_OK)
        r = store_holder_by_ref(c->store, ref, ret, err);
    if (r == B_OK)
        return rename_holder(c, ret, shown, err);
    *ret_is_new = r == B_E_NOT_FOUND;
    if (!*ret_is_new)
        return r;
    *ret = (struct store_holder){.state = STORE_PARTY_ACTIVE};
    (void)snprintf(ret->ref, sizeof(ret->ref), "%s", ref);
    (void)snprintf(ret->name, sizeof(ret->name), "%s", shown);
    crypto_random(ret->salt, sizeof(ret->salt));
    return store_holder_put(c->store, ret, err);
}

static enum store_wish wish_of(const json_t *doc, enum store_wish otherwise)
{
    const json_t *active = json_object_get(doc, "active");
    return active == NULL         ? otherwise
           : json_is_true(active) ? STORE_WISH_ACTIVE
                                  : STORE_WISH_DISABLED;
}

static enum b_code join(struct service_change *c, const struct service_directory_rules *rules,
                        struct service_resource *io, struct b_err *err)
{
    struct store_user u = {.wish = STORE_WISH_ACTIVE, .created_at = c->now};
    static struct store_user known; /* only one thread writes */
    struct store_holder h = {.id = 0};
    char shown[128];
    bool is_new = false;
    json_t *doc = NULL;
    enum b_code r = scim_body_read(SCIM_TYPE_USER, io->body, &doc, err);
    if (r == B_OK)
        r = take_user(doc, &u, shown, err);
    if (r == B_OK && store_user_by_name(c->store, u.user_name, &known, err) == B_OK)
        r = b_err_set(err, B_E_DUPLICATE, 0, "somebody has the userName %s already", u.user_name);
    if (r == B_OK)
        r = find_holder(c, doc, &u, shown, &h, &is_new, err);
    if (r == B_OK) {
        r = store_user_by_id(c->store, h.id, &known, err);
        if (r == B_OK && known.wish != STORE_WISH_DELETED)
            r = b_err_set(err, B_E_DUPLICATE, 0, "somebody has the staff number %s already", h.ref);
        else if (r == B_E_NOT_FOUND)
            r = B_OK;
    }
    u.id = h.id;
    (void)snprintf(u.source, sizeof(u.source), "%s", io->source);
    crypto_random(u.salt, sizeof(u.salt));
    enum store_wish wish = wish_of(doc, STORE_WISH_ACTIVE);
    json_decref(doc);
    if (r != B_OK)
        return r;
    /* Who had left is back; and whoever comes as disabled, without a badge, is no leaver. */
    if (h.state == STORE_PARTY_ENDED || is_new)
        u.wish = STORE_WISH_DELETED;
    io->id = u.id;
    return service_note_wish(c, rules, &u, &h, wish, err);
}

/* The document as it is now, changed as the body says. */
enum b_code service_doc_change(const struct service_resource *io, json_t **doc, struct b_err *err)
{
    static const char urn_field[] = "employeeNumber";
    json_t *now = *doc;
    if (io->verb == SERVICE_PATCH)
        return scim_patch(io->type, now, io->body, err);
    json_t *said = NULL;
    enum b_code r = scim_body_read(io->type, io->body, &said, err);
    if (r != B_OK)
        return r;
    if (io->type == SCIM_TYPE_USER) {
        const char *number = service_doc_text(said, SCIM_SCHEMA_ENTERPRISE, urn_field);
        if (number[0] != '\0' &&
            strcmp(number, service_doc_text(now, SCIM_SCHEMA_ENTERPRISE, urn_field)) != 0)
            r = b_err_set(err, B_E_SCIM_MUTABILITY, 0, "%s cannot be changed", urn_field);
    }
    json_decref(now);
    *doc = said;
    return r;
}

enum b_code service_doc_check(const struct service_resource *io, const json_t *doc,
                              struct b_err *err)
{
    const char *tag = json_string_value(json_object_get(json_object_get(doc, "meta"), "version"));
    if (io->if_match == NULL || (tag != NULL && service_tag_is_in(io->if_match, tag)))
        return B_OK;
    return b_err_set(err, B_E_SCIM_VERSION, 0, "it is %s now", tag != NULL ? tag : "?");
}

static enum b_code put_changed(struct service_change *c,
                               const struct service_directory_rules *rules,
                               struct service_resource *io, struct store_user *u,
                               struct store_holder *h, struct b_err *err)
{
    char shown[128];
    json_t *doc = NULL;
    enum b_code r = service_user_json(c->store, u, io->base, &doc, err);
    if (r == B_OK)
        r = service_doc_check(io, doc, err);
    enum store_wish wish = STORE_WISH_DELETED;
    if (r == B_OK && io->verb != SERVICE_DELETE) {
        r = service_doc_change(io, &doc, err);
        if (r == B_OK)
            r = take_user(doc, u, shown, err);
        if (r == B_OK)
            r = rename_holder(c, h, shown, err);
        wish = wish_of(doc, u->wish);
    }
    json_decref(doc);
    return r == B_OK ? service_note_wish(c, rules, u, h, wish, err) : r;
}

enum b_code service_note_user(struct service_change *c, const struct service_directory_rules *rules,
                              struct service_resource *io, struct b_err *err)
{
    struct store_user u;
    struct store_holder h;
    enum b_code r = B_OK;
    if (io->verb == SERVICE_CREATE) {
        r = join(c, rules, io, err);
    } else {
        r = store_user_by_id(c->store, io->id, &u, err);
        if (r == B_OK && u.wish == STORE_WISH_DELETED)
            r = b_err_set(err, B_E_NOT_FOUND, 0, "no person u%lld", (long long)io->id);
        if (r == B_OK)
            r = store_holder_by_ref(c->store, u.ref, &h, err);
        if (r == B_OK)
            r = put_changed(c, rules, io, &u, &h, err);
    }
    if (r != B_OK || io->verb == SERVICE_DELETE)
        return r;
    r = store_user_by_id(c->store, io->id, &u, err);
    return r == B_OK ? service_user_json(c->store, &u, io->base, &io->out, err) : r;
}
