/*
 * The groups of a pull. Who is in a group that is in another is in both, as for Windows: the
 * directory tells of each entry what it is in itself, so each group is looked up once.
 */
#include <string.h>

#include "cli/pull.h"

/* --- reading -----------------------------------------------------------------------------------
 */

json_t *pull_group(struct pull *k, const char *dn)
{
    json_t *g = json_object_get(k->groups, dn);
    if (g != NULL)
        return g;
    g = json_pack("{s:{}, s:{}, s:[], s:s}", "own", "all", "up", "id", "");
    return json_object_set_new(k->groups, dn, g) == 0 ? g : NULL;
}

struct look_up {
    struct pull *pull;
    json_t *group; /* the one that is looked up */
    json_t *todo;  /* distinguished names; more come while it is read */
};

static bool take_group(void *ctx, const struct ldap_person *p)
{
    struct look_up *k = ctx;
    const struct ldap_source *s = &k->pull->config.ldap;
    const char *id = p->text[LDAP_EXTERNAL_ID];
    if (p->missing != NULL)
        k->pull->code = b_err_set(k->pull->err, B_E_DIRECTORY_LIST, 0,
                                  "%.200s: in more groups than can be read", p->dn);
    if (id[0] != '\0') /* it stays, whatever the group's name and place become */
        (void)json_object_set_new(k->group, "id",
                                  json_sprintf("%s=%s", s->fields[LDAP_EXTERNAL_ID], id));
    for (size_t i = 0; i < p->group_count; i++) {
        if (json_object_get(k->pull->groups, p->groups[i]) == NULL &&
            pull_group(k->pull, p->groups[i]) != NULL)
            (void)json_array_append_new(k->todo, json_string(p->groups[i]));
        (void)json_array_append_new(json_object_get(k->group, "up"), json_string(p->groups[i]));
    }
    return true;
}

/* The people of a group are in all that it is in, once each: groups may be in a circle. */
static void spread(struct pull *k, const char *dn, json_t *own)
{
    json_t *seen = json_pack("{s:b}", dn, 1);
    json_t *todo = json_pack("[s]", dn);
    for (size_t i = 0; i < json_array_size(todo); i++) {
        size_t j = 0;
        json_t *up = NULL;
        const json_t *g = json_object_get(k->groups, json_string_value(json_array_get(todo, i)));
        (void)json_object_update(json_object_get(g, "all"), own);
        json_array_foreach(json_object_get(g, "up"), j, up)
        {
            if (json_object_get(seen, json_string_value(up)) == NULL) {
                (void)json_object_set_new(seen, json_string_value(up), json_true());
                (void)json_array_append(todo, up);
            }
        }
    }
    json_decref(seen);
    json_decref(todo);
}

enum b_code pull_read_groups(struct pull *k, struct ldap_dir *dir, struct b_err *err)
{
    const char *dn = NULL;
    json_t *g = NULL;
    enum b_code r = B_OK;
    struct look_up look = {.pull = k, .todo = json_array()};
    json_object_foreach(k->groups, dn, g)(void) json_array_append_new(look.todo, json_string(dn));
    for (size_t i = 0; r == B_OK && i < json_array_size(look.todo) && !cli_is_stopped(NULL); i++) {
        dn = json_string_value(json_array_get(look.todo, i));
        look.group = json_object_get(k->groups, dn);
        r = ldap_group(dir, dn, take_group, &look, err);
        if (r == B_OK)
            r = k->code;
    }
    json_decref(look.todo);
    json_object_foreach(k->groups, dn, g) spread(k, dn, json_object_get(g, "own"));
    return r;
}

/* --- changing ----------------------------------------------------------------------------------
 */

static json_t *members_of(const struct pull *k, const json_t *all)
{
    const char *id = NULL;
    json_t *v = NULL;
    json_t *members = json_array();
    json_object_foreach((json_t *)(uintptr_t)all, id, v)
    {
        const json_t *user = json_object_get(k->ids, id);
        if (user != NULL)
            (void)json_array_append_new(members,
                                        json_pack("{s:s}", "value", json_string_value(user)));
    }
    return members;
}

static json_t *ids_of(const json_t *group)
{
    size_t i = 0;
    json_t *one = NULL;
    json_t *ids = json_object();
    json_array_foreach(json_object_get(group, "members"), i, one)
    {
        (void)json_object_set_new(ids, json_string_value(json_object_get(one, "value")),
                                  json_true());
    }
    return ids;
}

static bool is_same(const json_t *said, const json_t *is)
{
    json_t *before = ids_of(is);
    json_t *after = ids_of(said);
    bool is_equal =
        json_equal(before, after) &&
        json_equal(json_object_get(said, "displayName"), json_object_get(is, "displayName")) &&
        json_equal(json_object_get(said, "externalId"), json_object_get(is, "externalId"));
    json_decref(before);
    json_decref(after);
    return is_equal;
}

/* Takes the document. id: 0: a new group. */
static bool put(struct pull *k, int64_t id, const char *who, json_t *doc)
{
    struct b_err err = {0};
    json_t *now = NULL;
    struct service_resource io = {.type = SCIM_TYPE_GROUP,
                                  .verb = id != 0 ? SERVICE_REPLACE : SERVICE_CREATE,
                                  .id = id,
                                  .body = doc,
                                  .source = "ldap",
                                  .base = ""};
    enum b_code r =
        id != 0 ? service_resource_get(k->cli->service.store, io.type, id, "", &now, &err) : B_OK;
    if (r == B_OK && !is_same(doc, now) && !cli_has(k->cli, CLI_OPT_DRY_RUN))
        r = service_resource_change(&k->cli->service, &io, &err);
    json_decref(io.out);
    json_decref(now);
    json_decref(doc);
    return pull_goes_on(k, who, r, &err);
}

/* Which of ours a group of the directory is, by what stays the same; earlier versions knew groups
 * by their distinguished names. */
static void find_team(struct pull *k, const char *dn, json_t *g)
{
    const char *const names[] = {json_string_value(json_object_get(g, "id")), dn};
    for (size_t i = 0; i < B_COUNT(names) && json_object_get(g, "team") == NULL; i++) {
        json_t *team = json_object_get(k->teams, names[i]);
        if (team == NULL)
            continue;
        (void)json_object_set(g, "team", team);
        (void)json_object_del(k->teams, names[i]);
    }
}

/* One that has the name and was not found to be another: nobody is in that any more. */
static enum b_code find_by_name(struct pull *k, const char *name, int64_t *ret, struct b_err *err)
{
    struct store_team t;
    enum b_code r = store_team_by_name(k->cli->service.store, name, &t, err);
    if (r != B_OK)
        return r == B_E_NOT_FOUND ? B_OK : r;
    if (json_object_get(k->teams, t.external_id) == NULL)
        return b_err_set(err, B_E_DUPLICATE, 0, "another group has this name");
    *ret = t.id;
    (void)json_object_del(k->teams, t.external_id);
    return B_OK;
}

static bool put_group(struct pull *k, const char *dn, const json_t *g)
{
    struct b_err err = {0};
    char name[STORE_WORD_MAX];
    const char *external = json_string_value(json_object_get(g, "id"));
    const char *team = json_string_value(json_object_get(g, "team"));
    int64_t id = team != NULL ? service_resource_id(SCIM_TYPE_GROUP, team) : 0;
    enum b_code r = B_OK;
    if (!ldap_first_of(dn, name, sizeof(name)))
        r = b_err_set(&err, B_E_SCIM_VALUE, 0, "its name is none, or too long");
    else if (id == 0)
        r = find_by_name(k, name, &id, &err);
    if (r != B_OK)
        return pull_goes_on(k, dn, r, &err);
    return put(k, id, dn,
               json_pack("{s:s, s:s, s:o}", "displayName", name, "externalId",
                         external[0] != '\0' ? external : dn, "members",
                         members_of(k, json_object_get(g, "all"))));
}

/* What came by LDAP is known by our attribute or, from earlier versions, by its distinguished name.
 */
static bool add_team(void *ctx, const struct store_team *t)
{
    struct pull *k = ctx;
    char first[STORE_WORD_MAX];
    const char *ours = k->config.ldap.fields[LDAP_EXTERNAL_ID];
    size_t n = strlen(ours);
    bool is_known = strncmp(t->external_id, ours, n) == 0 && t->external_id[n] == '=';
    if (is_known || ldap_first_of(t->external_id, first, sizeof(first)))
        (void)json_object_set_new(k->teams, t->external_id,
                                  json_sprintf("g%lld", (long long)t->id));
    return true;
}

static bool empty(struct pull *k, const char *external_id, const char *team)
{
    struct b_err err = {0};
    struct store_team t;
    int64_t id = service_resource_id(SCIM_TYPE_GROUP, team);
    enum b_code r = store_team_by_id(k->cli->service.store, id, &t, &err);
    if (r != B_OK)
        return pull_goes_on(k, external_id, r, &err);
    return put(
        k, id, t.name,
        json_pack("{s:s, s:s, s:[]}", "displayName", t.name, "externalId", external_id, "members"));
}

bool pull_put_groups(struct pull *k)
{
    const char *dn = NULL;
    json_t *g = NULL;
    struct b_err err = {0};
    if (!pull_goes_on(k, "", store_team_each(k->cli->service.store, add_team, k, &err), &err))
        return false;
    json_object_foreach(k->groups, dn, g) find_team(k, dn, g);
    json_object_foreach(k->groups, dn, g)
    {
        if (!put_group(k, dn, g))
            return false;
    }
    json_object_foreach(k->teams, dn, g)
    {
        if (!empty(k, dn, json_string_value(g)))
            return false;
    }
    return true;
}
