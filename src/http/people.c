/* People, and the journal for those who look after it. */
#include <stdlib.h>
#include <string.h>

#include "http/http.h"
#include "service/journal.h"

static json_t *person_json(const struct store_person *p)
{
    json_t *roles = json_array();
    for (unsigned role = 1; role <= STORE_ROLE_AUDITOR; role <<= 1)
        if ((p->roles & role) != 0)
            (void)json_array_append_new(roles,
                                        json_string(service_role_name((enum store_role)role)));
    return json_pack("{s:I, s:s, s:o, s:s, s:I, s:I}", "id", (json_int_t)p->id, "name", p->name,
                     "roles", roles, "state", store_party_state_name(p->state),
                     "certificate_expires", (json_int_t)p->cert_expires, "created_at",
                     (json_int_t)p->created_at);
}

static bool add_person(void *ctx, const struct store_person *p)
{
    return http_page_add(ctx, p->id, person_json(p));
}

enum b_code http_person_list(struct http_call *c, struct b_err *err)
{
    struct http_page p;
    enum b_code r = http_page(c, &p, err);
    if (r != B_OK)
        return r;
    r = store_person_each(c->service.store, p.after, add_person, &p, err);
    http_page_end(c, &p);
    return r;
}

static enum b_code change(struct http_call *c, enum store_party_state to, const char *kind,
                          struct b_err *err)
{
    int64_t id = 0;
    struct store_person p;
    enum b_code r = http_id(c, &id, err);
    if (r == B_OK && id == c->person.id)
        r = b_err_set(err, B_E_REFUSED, 0, "nobody suspends or reinstates themselves");
    if (r == B_OK)
        r = service_person_state(&c->service, id, to, kind, &p, err);
    if (r != B_OK)
        return r;
    json_t *person = person_json(&p);
    (void)json_object_update(c->out, person);
    json_decref(person);
    return B_OK;
}

enum b_code http_person_suspend(struct http_call *c, struct b_err *err)
{
    return change(c, STORE_PARTY_SUSPENDED, "person-suspend", err);
}

enum b_code http_person_reinstate(struct http_call *c, struct b_err *err)
{
    return change(c, STORE_PARTY_ACTIVE, "person-reinstate", err);
}

/* --- the journal -------------------------------------------------------------------------------
 */

enum b_code http_journal_checkpoint(struct http_call *c, struct b_err *err)
{
    static _Thread_local char note[STORE_NOTE_MAX];
    uint64_t size = 0;
    enum b_code r =
        store_checkpoint_get(c->service.store, UINT64_MAX, &size, note, sizeof(note), err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, r, 0, "no checkpoint was signed yet");
    (void)json_object_set_new(c->out, "size", json_integer((json_int_t)size));
    (void)json_object_set_new(c->out, "checkpoint", json_string(note));
    return r;
}

static bool add_entry(void *ctx, const struct store_entry *e)
{
    json_t *item = json_object();
    (void)json_object_set_new(item, "index", json_integer((json_int_t)e->index));
    (void)json_object_set_new(item, "body", json_stringn(e->body, e->body_len));
    return http_page_add(ctx, (int64_t)e->index + 1, item);
}

enum b_code http_journal_entries(struct http_call *c, struct b_err *err)
{
    struct http_page p;
    enum b_code r = http_page(c, &p, err);
    if (r != B_OK)
        return r;
    const struct store_entry_range range = {.from = (uint64_t)p.after, .count = p.limit + 1};
    r = store_entry_each(c->service.store, &range, add_entry, &p, err);
    http_page_end(c, &p);
    return r;
}

static enum b_code number(const struct http_call *c, const char *name, uint64_t *ret,
                          struct b_err *err)
{
    const char *text = c->query(c->query_ctx, name);
    char *end = NULL;
    *ret = 0;
    if (text == NULL)
        return B_OK;
    *ret = strtoull(text, &end, 10);
    return *end == '\0' && text[0] >= '0' && text[0] <= '9'
               ? B_OK
               : b_err_set(err, B_E_BAD_INPUT, 0, "%s: a number", name);
}

static void answer_proof(struct http_call *c, uint64_t size, const struct journal_proof *proof)
{
    json_t *hashes = json_array();
    for (size_t i = 0; i < proof->count; i++) {
        char text[48];
        b_check(b_base64(text, sizeof(text), proof->hashes[i], JOURNAL_HASH));
        (void)json_array_append_new(hashes, json_string(text));
    }
    (void)json_object_set_new(c->out, "size", json_integer((json_int_t)size));
    (void)json_object_set_new(c->out, "proof", hashes);
}

enum b_code http_journal_inclusion(struct http_call *c, struct b_err *err)
{
    static _Thread_local struct journal_proof proof;
    uint64_t index = 0;
    uint64_t size = 0;
    enum b_code r = number(c, "index", &index, err);
    if (r == B_OK)
        r = number(c, "size", &size, err);
    if (r == B_OK)
        r = service_journal_inclusion(&c->service, index, &size, &proof, err);
    if (r == B_OK)
        answer_proof(c, size, &proof);
    return r;
}

enum b_code http_journal_consistency(struct http_call *c, struct b_err *err)
{
    static _Thread_local struct journal_proof proof;
    uint64_t old = 0;
    uint64_t size = 0;
    enum b_code r = number(c, "old", &old, err);
    if (r == B_OK)
        r = number(c, "size", &size, err);
    if (r == B_OK)
        r = service_journal_consistency(&c->service, old, &size, &proof, err);
    if (r == B_OK)
        answer_proof(c, size, &proof);
    return r;
}
