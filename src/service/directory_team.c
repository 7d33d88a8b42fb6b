/* A group from a SCIM document, and one change of one. */
#include "service/directory_int.h"

static bool is_among(const json_t *set, const char *id)
{
    return json_object_get(set, id) != NULL;
}

/* Ids as the names of an object: members are looked up, not searched for. */
static json_t *set_of(const json_t *members)
{
    size_t i = 0;
    json_t *one = NULL;
    json_t *set = json_object();
    json_array_foreach(members, i, one)
    {
        const char *id = json_string_value(json_object_get(one, "value"));
        if (id != NULL)
            (void)json_object_set_new(set, id, json_true());
    }
    return set;
}

static enum b_code set_member(struct service_change *c, int64_t team, const char *id, bool is_in,
                              struct b_err *err)
{
    struct store_user u;
    int64_t user = service_resource_id(SCIM_TYPE_USER, id);
    enum b_code r = user != 0 ? store_user_by_id(c->store, user, &u, err) : B_E_NOT_FOUND;
    if (is_in && (r == B_E_NOT_FOUND || (r == B_OK && u.wish == STORE_WISH_DELETED)))
        return b_err_set(err, B_E_SCIM_VALUE, 0, "members: no person %.40s", id);
    return r == B_OK ? store_member_set(c->store, team, user, is_in, err) : r;
}

static enum b_code put_members(struct service_change *c, int64_t team, const json_t *before,
                               const json_t *after, struct b_err *err)
{
    json_t *old = set_of(before);
    json_t *new = set_of(after);
    const char *id = NULL;
    json_t *v = NULL;
    enum b_code r = B_OK;
    json_object_foreach(new, id, v)
    {
        if (r == B_OK && !is_among(old, id))
            r = set_member(c, team, id, true, err);
    }
    json_object_foreach(old, id, v)
    {
        if (r == B_OK && !is_among(new, id))
            r = set_member(c, team, id, false, err);
    }
    json_decref(old);
    json_decref(new);
    return r;
}

static enum b_code put_team(struct service_change *c, struct service_resource *io,
                            struct store_team *t, const json_t *before, const json_t *doc,
                            struct b_err *err)
{
    enum b_code r = service_doc_take(t->name, sizeof(t->name), "displayName",
                                     service_doc_text(doc, SCIM_SCHEMA_GROUP, "displayName"), err);
    if (r == B_OK && t->name[0] == '\0')
        r = b_err_set(err, B_E_SCIM_VALUE, 0, "displayName: is missing");
    if (r == B_OK)
        r = service_doc_take(t->external_id, sizeof(t->external_id), "externalId",
                             service_doc_text(doc, SCIM_SCHEMA_GROUP, "externalId"), err);
    t->changed_at = c->now;
    if (r == B_OK)
        r = store_team_put(c->store, t, err);
    io->id = t->id;
    if (r == B_OK)
        r = put_members(c, t->id, json_object_get(before, "members"),
                        json_object_get(doc, "members"), err);
    if (r == B_OK)
        r = service_vouch_team(c, t, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "group-put",
                               .detail = json_pack("{s:I}", "group", (json_int_t)t->id)},
        err);
}

static enum b_code change_team(struct service_change *c, struct service_resource *io,
                               struct store_team *t, struct b_err *err)
{
    json_t *before = NULL;
    enum b_code r = service_team_json(c->store, t, io->base, &before, err);
    if (r == B_OK)
        r = service_doc_check(io, before, err);
    if (r == B_OK && io->verb == SERVICE_DELETE) {
        r = store_team_delete(c->store, t->id, err);
        if (r == B_OK)
            r = service_log(
                c,
                (struct service_entry){.kind = "group-delete",
                                       .detail = json_pack("{s:I}", "group", (json_int_t)t->id)},
                err);
    } else if (r == B_OK) {
        json_t *after = json_deep_copy(before);
        r = service_doc_change(io, &after, err);
        if (r == B_OK)
            r = put_team(c, io, t, before, after, err);
        json_decref(after);
    }
    json_decref(before);
    return r;
}

enum b_code service_note_team(struct service_change *c, struct service_resource *io,
                              struct b_err *err)
{
    struct store_team t = {.created_at = c->now};
    enum b_code r = B_OK;
    if (io->verb == SERVICE_CREATE) {
        json_t *doc = NULL;
        r = scim_body_read(SCIM_TYPE_GROUP, io->body, &doc, err);
        if (r == B_OK)
            r = put_team(c, io, &t, NULL, doc, err);
        json_decref(doc);
    } else {
        r = store_team_by_id(c->store, io->id, &t, err);
        if (r == B_OK)
            r = change_team(c, io, &t, err);
    }
    if (r != B_OK || io->verb == SERVICE_DELETE)
        return r;
    return service_team_json(c->store, &t, io->base, &io->out, err);
}

/* --- who is gone -------------------------------------------------------------------------------
 */

struct teams {
    int64_t ids[256];
    size_t count;
};

static bool add_team(void *ctx, const struct store_member *m)
{
    struct teams *k = ctx;
    if (k->count < B_COUNT(k->ids))
        k->ids[k->count++] = m->id;
    return k->count < B_COUNT(k->ids);
}

enum b_code service_leave_teams(struct service_change *c, int64_t user, struct b_err *err)
{
    struct teams k;
    struct store_team t;
    enum b_code r = B_OK;
    do {
        k.count = 0;
        r = store_membership_each(c->store, user, add_team, &k, err);
        for (size_t i = 0; r == B_OK && i < k.count; i++) {
            r = store_team_by_id(c->store, k.ids[i], &t, err);
            if (r == B_OK)
                r = store_member_set(c->store, t.id, user, false, err);
            t.changed_at = c->now;
            if (r == B_OK)
                r = store_team_put(c->store, &t, err);
            if (r == B_OK)
                r = service_vouch_team(c, &t, err);
            if (r == B_OK)
                r = service_log(
                    c,
                    (struct service_entry){.kind = "group-put",
                                           .detail = json_pack("{s:I}", "group", (json_int_t)t.id)},
                    err);
        }
    } while (r == B_OK && k.count == B_COUNT(k.ids));
    return r;
}
