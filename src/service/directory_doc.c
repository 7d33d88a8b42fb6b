/* People and groups as SCIM documents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/crypto.h"
#include "service/directory.h"

/* --- to a document -----------------------------------------------------------------------------
 */

static void put_text(json_t *o, const char *name, const char *text)
{
    if (text[0] != '\0')
        (void)json_object_set_new(o, name, json_string(text));
}

static void put_time(json_t *o, const char *name, int64_t at)
{
    char text[24];
    time_t t = (time_t)at;
    struct tm tm;
    if (at == 0 || gmtime_r(&t, &tm) == NULL)
        return;
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    (void)json_object_set_new(o, name, json_string(text));
}

bool service_tag_is_in(const char *header, const char *tag)
{
    const char *bare = strchr(tag, '"'); /* W/ says nothing here: versions compare weakly */
    return strcmp(header, "*") == 0 || (bare != NULL && strstr(header, bare) != NULL);
}

/* The version is a digest of what is shown, whatever changed it. */
static void put_meta(json_t *doc, const char *type, const char *base, int64_t created,
                     int64_t changed)
{
    uint8_t digest[32];
    char hex[17];
    char tag[SERVICE_TAG_MAX];
    char location[256];
    json_t *meta = json_pack("{s:s}", "resourceType", type);
    char *text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
    if (text != NULL)
        crypto_sha256(text, strlen(text), digest);
    free(text);
    b_hex(hex, digest, 8);
    (void)snprintf(tag, sizeof(tag), "W/\"%s\"", hex);
    (void)snprintf(location, sizeof(location), "%s/%ss/%s", base, type,
                   json_string_value(json_object_get(doc, "id")));
    put_time(meta, "created", created);
    put_time(meta, "lastModified", changed);
    put_text(meta, "location", location);
    put_text(meta, "version", tag);
    (void)json_object_set_new(doc, "meta", meta);
}

struct listed {
    json_t *list;
    const char *base;
    int64_t changed;
};

static bool add_badge(void *ctx, const struct store_badge *b)
{
    struct listed *k = ctx;
    char id[24];
    json_t *o = json_object();
    (void)snprintf(id, sizeof(id), "%lld", (long long)b->id);
    put_text(o, "value", id);
    put_text(o, "state", store_badge_state_name(b->state));
    put_time(o, "created", b->created_at);
    put_time(o, "changed", b->changed_at);
    put_time(o, "validFrom", b->not_before);
    put_time(o, "validUntil", b->not_after);
    (void)json_array_append_new(k->list, o);
    k->changed = b->changed_at > k->changed ? b->changed_at : k->changed;
    return true;
}

static json_t *named(const char *base, const char *type, char letter, const struct store_member *m)
{
    char id[24];
    char ref[256];
    (void)snprintf(id, sizeof(id), "%c%lld", letter, (long long)m->id);
    (void)snprintf(ref, sizeof(ref), "%s/%ss/%s", base, type, id);
    return json_pack("{s:s, s:s, s:s}", "value", id, "$ref", ref, "display", m->name);
}

static bool add_group(void *ctx, const struct store_member *m)
{
    const struct listed *k = ctx;
    (void)json_array_append_new(k->list, named(k->base, "Group", 'g', m));
    return true;
}

static json_t *show_name(const struct store_user *u)
{
    json_t *name = json_object();
    put_text(name, "formatted", u->formatted);
    put_text(name, "familyName", u->family);
    put_text(name, "givenName", u->given);
    return name;
}

static json_t *show_badges(const struct store_user *u, json_t *badges)
{
    json_t *o = json_object();
    put_text(o, "nationalId", u->national);
    put_time(o, "verifiedAt", u->verified_at);
    put_text(o, "state", store_party_state_name(u->state));
    if (u->is_held)
        (void)json_object_set_new(o, "held", json_true());
    (void)json_object_set_new(o, "badges", badges);
    return o;
}

enum b_code service_user_json(struct store *s, const struct store_user *u, const char *base,
                              json_t **ret, struct b_err *err)
{
    struct listed badges = {.list = json_array(), .changed = u->changed_at};
    struct listed groups = {.list = json_array(), .base = base};
    char id[24];
    enum b_code r = store_badge_of(s, u->ref, add_badge, &badges, err);
    if (r == B_OK)
        r = store_membership_each(s, u->id, add_group, &groups, err);
    if (r != B_OK) {
        json_decref(badges.list);
        json_decref(groups.list);
        return r;
    }
    (void)snprintf(id, sizeof(id), "u%lld", (long long)u->id);
    json_t *doc =
        json_pack("{s:[s,s,s], s:s, s:s}", "schemas", scim_schema(SCIM_SCHEMA_USER)->urn,
                  scim_schema(SCIM_SCHEMA_ENTERPRISE)->urn, scim_schema(SCIM_SCHEMA_BADGE)->urn,
                  "id", id, "userName", u->user_name);
    json_t *name = show_name(u);
    json_t *enterprise = json_pack("{s:s}", "employeeNumber", u->ref);
    put_text(doc, "externalId", u->external_id);
    if (json_object_size(name) > 0)
        (void)json_object_set(doc, "name", name);
    json_decref(name);
    put_text(doc, "displayName", u->name);
    (void)json_object_set_new(doc, "active", json_boolean(u->wish == STORE_WISH_ACTIVE));
    if (json_array_size(groups.list) > 0)
        (void)json_object_set(doc, "groups", groups.list);
    json_decref(groups.list);
    put_text(enterprise, "department", u->department);
    (void)json_object_set_new(doc, scim_schema(SCIM_SCHEMA_ENTERPRISE)->urn, enterprise);
    (void)json_object_set_new(doc, scim_schema(SCIM_SCHEMA_BADGE)->urn,
                              show_badges(u, badges.list));
    put_meta(doc, "User", base, u->created_at, badges.changed);
    *ret = doc;
    return B_OK;
}

static bool add_member(void *ctx, const struct store_member *m)
{
    const struct listed *k = ctx;
    json_t *o = named(k->base, "User", 'u', m);
    (void)json_object_set_new(o, "type", json_string("User"));
    (void)json_array_append_new(k->list, o);
    return true;
}

enum b_code service_team_json(struct store *s, const struct store_team *t, const char *base,
                              json_t **ret, struct b_err *err)
{
    struct listed members = {.list = json_array(), .base = base};
    char id[24];
    enum b_code r = store_member_each(s, t->id, add_member, &members, err);
    if (r != B_OK) {
        json_decref(members.list);
        return r;
    }
    (void)snprintf(id, sizeof(id), "g%lld", (long long)t->id);
    json_t *doc = json_pack("{s:[s], s:s, s:s}", "schemas", scim_schema(SCIM_SCHEMA_GROUP)->urn,
                            "id", id, "displayName", t->name);
    put_text(doc, "externalId", t->external_id);
    if (json_array_size(members.list) > 0)
        (void)json_object_set(doc, "members", members.list);
    json_decref(members.list);
    put_meta(doc, "Group", base, t->created_at, t->changed_at);
    *ret = doc;
    return B_OK;
}
