/* Reading the directory, and changing one resource of it. */
#include <stdlib.h>
#include <string.h>

#include "service/directory.h"

int64_t service_resource_id(enum scim_type type, const char *text)
{
    char *end = NULL;
    if (text[0] != (type == SCIM_TYPE_USER ? 'u' : 'g') || text[1] < '1' || text[1] > '9')
        return 0;
    long long id = strtoll(text + 1, &end, 10);
    return *end == '\0' ? id : 0;
}

struct work {
    const struct service_directory_rules *rules;
    struct service_resource *io;
};

static enum b_code note(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct work *k = ctx;
    return k->io->type == SCIM_TYPE_USER ? service_note_user(c, k->rules, k->io, err)
                                         : service_note_team(c, k->io, err);
}

enum b_code service_resource_change(struct service *sv, struct service_resource *io,
                                    struct b_err *err)
{
    struct work k = {&sv->directory, io};
    io->out = NULL;
    enum b_code r = service_change(sv, note, &k, err);
    if (r != B_OK) {
        json_decref(io->out);
        io->out = NULL;
    }
    return r;
}

enum b_code service_resource_get(struct store *s, enum scim_type type, int64_t id, const char *base,
                                 json_t **ret, struct b_err *err)
{
    struct store_user u;
    struct store_team t;
    if (id == 0)
        return b_err_set(err, B_E_NOT_FOUND, 0, "no resource has this id");
    enum b_code r = type == SCIM_TYPE_USER ? store_user_by_id(s, id, &u, err)
                                           : store_team_by_id(s, id, &t, err);
    if (r == B_OK && type == SCIM_TYPE_USER && u.wish == STORE_WISH_DELETED)
        return b_err_set(err, B_E_NOT_FOUND, 0, "no person u%lld", (long long)id);
    if (r != B_OK)
        return r;
    return type == SCIM_TYPE_USER ? service_user_json(s, &u, base, ret, err)
                                  : service_team_json(s, &t, base, ret, err);
}

/* --- lists -------------------------------------------------------------------------------------
 */

struct search {
    struct store *store;
    struct service_listing *io;
    struct scim_filter *filter;
    enum b_code code;
    struct b_err *err;
};

static bool is_on_page(const struct service_listing *l)
{
    return l->total >= l->start && l->total < l->start + l->count;
}

/* doc is taken. */
static bool add(struct search *k, json_t *doc)
{
    if (k->filter != NULL && !scim_filter_fits(k->filter, doc)) {
        json_decref(doc);
        return true;
    }
    k->io->total++;
    if (!is_on_page(k->io)) {
        json_decref(doc);
        return true;
    }
    k->code = scim_project(k->io->type, doc, k->io->attributes, k->io->excluded, k->err);
    (void)json_array_append_new(k->io->items, doc);
    return k->code == B_OK;
}

/* Without a filter, what is not on the page is only counted. */
static bool passes_over(struct search *k)
{
    if (k->filter != NULL)
        return false;
    k->io->total++;
    bool is_passed = !is_on_page(k->io);
    k->io->total -= !is_passed; /* it is counted when it is added */
    return is_passed;
}

static bool add_user(void *ctx, const struct store_user *u)
{
    struct search *k = ctx;
    json_t *doc = NULL;
    if (passes_over(k))
        return true;
    k->code = service_user_json(k->store, u, k->io->base, &doc, k->err);
    return k->code == B_OK && add(k, doc);
}

static bool add_team(void *ctx, const struct store_team *t)
{
    struct search *k = ctx;
    json_t *doc = NULL;
    if (passes_over(k))
        return true;
    k->code = service_team_json(k->store, t, k->io->base, &doc, k->err);
    return k->code == B_OK && add(k, doc);
}

static const char *wanted(const struct search *k, enum scim_schema_no schema, const char *name)
{
    if (k->filter == NULL)
        return NULL;
    return scim_filter_wants(k->filter, scim_attribute_find(schema, "", name, strlen(name)));
}

/* An equality that an index answers leaves few to look at; the filter has the last word. */
static enum b_code search_users(struct search *k, struct b_err *err)
{
    struct store_user u;
    const char *text = NULL;
    enum b_code r = B_OK;
    if ((text = wanted(k, SCIM_SCHEMA_USER, "userName")) != NULL)
        r = store_user_by_name(k->store, text, &u, err);
    else if ((text = wanted(k, SCIM_SCHEMA_USER, "id")) != NULL)
        r = store_user_by_id(k->store, service_resource_id(SCIM_TYPE_USER, text), &u, err);
    else if ((text = wanted(k, SCIM_SCHEMA_USER, "externalId")) != NULL)
        return store_user_by_external(k->store, text, add_user, k, err);
    else if ((text = wanted(k, SCIM_SCHEMA_BADGE, "nationalId")) != NULL)
        return store_user_by_national(k->store, text, add_user, k, err);
    else
        return store_user_each(k->store, STORE_USER_PRESENT, 0, add_user, k, err);
    if (r == B_OK && u.wish != STORE_WISH_DELETED)
        (void)add_user(k, &u);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

static enum b_code search_teams(struct search *k, struct b_err *err)
{
    struct store_team t;
    const char *name = wanted(k, SCIM_SCHEMA_GROUP, "displayName");
    if (name == NULL)
        return store_team_each(k->store, add_team, k, err);
    enum b_code r = store_team_by_name(k->store, name, &t, err);
    if (r == B_OK)
        (void)add_team(k, &t);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code service_resource_list(struct store *s, struct service_listing *io, struct b_err *err)
{
    struct search k = {.store = s, .io = io, .err = err};
    enum b_code r = B_OK;
    io->total = 0;
    io->items = json_array();
    if (io->filter != NULL)
        r = scim_filter_read(io->type, NULL, io->filter, strlen(io->filter), &k.filter, err);
    if (r == B_OK)
        r = io->type == SCIM_TYPE_USER ? search_users(&k, err) : search_teams(&k, err);
    if (r == B_OK)
        r = k.code;
    scim_filter_free(&k.filter);
    return r;
}
