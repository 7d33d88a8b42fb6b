/*
 * tessere directory pull: who is in the LDAP directory becomes what it says there; whom it does not
 * name any more, or names as disabled, has left. It is all read before anything is changed: what
 * was not read whole says nothing of who is missing.
 */
#include <string.h>
#include <time.h>

#include "cli/pull.h"

/* --- reading -----------------------------------------------------------------------------------
 */

static json_t *person_json(const struct ldap_person *p)
{
    json_t *o =
        json_pack("{s:s, s:s, s:b, s:{}, s:{}, s:{}}", "userName", p->text[LDAP_USER_NAME],
                  "externalId", p->text[LDAP_EXTERNAL_ID], "active", (int)!p->is_disabled, "name",
                  scim_schema(SCIM_SCHEMA_ENTERPRISE)->urn, scim_schema(SCIM_SCHEMA_BADGE)->urn);
    const struct {
        json_t *to;
        const char *name;
        enum ldap_field field;
    } texts[] = {
        {o, "displayName", LDAP_DISPLAY_NAME},
        {json_object_get(o, "name"), "givenName", LDAP_GIVEN_NAME},
        {json_object_get(o, "name"), "familyName", LDAP_FAMILY_NAME},
        {scim_place(o, SCIM_SCHEMA_ENTERPRISE, true), "employeeNumber", LDAP_STAFF_NUMBER},
        {scim_place(o, SCIM_SCHEMA_ENTERPRISE, true), "department", LDAP_DEPARTMENT},
        {scim_place(o, SCIM_SCHEMA_BADGE, true), "nationalId", LDAP_NATIONAL_ID},
    };
    for (size_t i = 0; o != NULL && i < B_COUNT(texts); i++)
        if (p->text[texts[i].field][0] != '\0')
            (void)json_object_set_new(texts[i].to, texts[i].name,
                                      json_string(p->text[texts[i].field]));
    return o;
}

static bool refuse(struct pull *k, const struct ldap_person *p, const char *what)
{
    k->code = b_err_set(k->err, B_E_DIRECTORY_LIST, 0, "%.200s: %s", p->dn, what);
    return false;
}

static bool read_person(void *ctx, const struct ldap_person *p)
{
    struct pull *k = ctx;
    char what[128];
    const char *id = p->text[LDAP_EXTERNAL_ID];
    (void)snprintf(what, sizeof(what), b_err_word("%s is missing, or not whole, or hidden from us"),
                   p->missing != NULL ? p->missing : "");
    if (p->missing != NULL)
        return refuse(k, p, what);
    if (id[0] == '\0' || p->text[LDAP_USER_NAME][0] == '\0')
        return refuse(k, p, "no user name, or no identifier");
    if (json_object_get(k->people, id) != NULL ||
        json_object_get(k->names, p->text[LDAP_USER_NAME]) != NULL)
        return refuse(k, p, "another has the same user name or identifier");
    json_t *o = person_json(p);
    if (o == NULL)
        return refuse(k, p, "a value is not UTF-8");
    (void)json_object_set_new(k->people, id, o);
    (void)json_object_set_new(k->names, p->text[LDAP_USER_NAME], json_true());
    if (p->text[LDAP_STAFF_NUMBER][0] != '\0')
        (void)json_object_set_new(k->numbers, p->text[LDAP_STAFF_NUMBER],
                                  json_object_get(k->numbers, p->text[LDAP_STAFF_NUMBER]) == NULL
                                      ? json_string(id)
                                      : json_null()); /* of two: whose is it? */
    for (size_t i = 0; i < p->group_count; i++)
        (void)json_object_set_new(json_object_get(pull_group(k, p->groups[i]), "own"), id,
                                  json_true());
    return !cli_is_stopped(NULL);
}

/* --- comparing ---------------------------------------------------------------------------------
 */

static void count_leaver(struct pull *k, const char *external_id, bool was_active)
{
    const json_t *here = json_object_get(k->people, external_id);
    k->left += was_active && !json_is_true(json_object_get(here, "active"));
}

static bool find_known(void *ctx, const struct store_user *u)
{
    struct pull *k = ctx;
    char id[24];
    if (strcmp(u->source, "ldap") != 0)
        return true;
    bool is_active = u->wish == STORE_WISH_ACTIVE;
    (void)snprintf(id, sizeof(id), "u%lld", (long long)u->id);
    (void)json_object_set_new(k->ids, u->external_id, json_string(id));
    if (json_object_get(k->people, u->external_id) != NULL)
        count_leaver(k, u->external_id, is_active);
    else
        (void)json_array_append_new(k->gone,
                                    json_pack("{s:s, s:s, s:s, s:b}", "id", id, "who", u->user_name,
                                              "ref", u->ref, "active", is_active));
    return true;
}

/* Whose account was made anew has another identifier, and the same staff number. Not by the user
 * name alone: that may be given to somebody else. */
static void know_again(struct pull *k)
{
    size_t i = 0;
    json_t *one = NULL;
    json_t *gone = json_array();
    json_array_foreach(k->gone, i, one)
    {
        const char *ref = json_string_value(json_object_get(one, "ref"));
        const char *other = json_string_value(json_object_get(k->numbers, ref));
        bool was_active = json_is_true(json_object_get(one, "active"));
        bool is_again = other != NULL && json_object_get(k->ids, other) == NULL;
        if (is_again)
            (void)json_object_set(k->ids, other, json_object_get(one, "id"));
        else if (was_active)
            (void)json_array_append(gone, one);
        count_leaver(k, is_again ? other : "", was_active);
    }
    json_decref(k->gone);
    k->gone = gone;
}

/* Whether all that the directory says is so already. */
static bool is_said(const json_t *said, const json_t *is)
{
    const char *name = NULL;
    json_t *v = NULL;
    json_object_foreach((json_t *)(uintptr_t)said, name, v)
    {
        const json_t *there = json_object_get(is, name);
        if (json_is_object(v) ? !is_said(v, there) : !json_equal(v, there))
            return false;
    }
    return true;
}

/* --- changing ----------------------------------------------------------------------------------
 */

void pull_tell(struct pull *k, const char *sign, const char *who, const char *what)
{
    cli_say(k->cli, CLI_PLAIN, "%s %-24s %s\n", sign, who, what);
    if (k->cli->out != NULL)
        (void)json_array_append_new(
            json_object_get(k->cli->out, "changes"),
            json_pack("{s:s, s:s, s:s}", "change", sign, "who", who, "problem", what));
}

bool pull_goes_on(struct pull *k, const char *who, enum b_code r, const struct b_err *err)
{
    if (r == B_OK)
        return true;
    if (b_code_exit(r) != 2 && b_code_exit(r) != 8) {
        k->code = r;
        *k->err = *err;
        return false;
    }
    k->problems++;
    pull_tell(k, "!", who, err->msg);
    return true;
}

static bool put(struct pull *k, struct service_resource *io, const char *who)
{
    struct b_err err = {0};
    struct service *sv = &k->cli->service;
    json_t *now = NULL;
    io->source = "ldap";
    io->base = "";
    enum b_code r = io->verb == SERVICE_CREATE || io->body == NULL
                        ? B_OK
                        : service_resource_get(sv->store, io->type, io->id, "", &now, &err);
    bool is_same = r == B_OK && now != NULL && is_said(io->body, now);
    bool is_leaver = json_is_true(json_object_get(now, "active")) &&
                     !json_is_true(json_object_get(io->body, "active"));
    json_decref(now);
    if (r != B_OK || is_same)
        return pull_goes_on(k, who, r, &err);
    if (!cli_has(k->cli, CLI_OPT_DRY_RUN))
        r = service_resource_change(sv, io, &err);
    if (r == B_OK) {
        pull_tell(k, io->verb == SERVICE_CREATE ? "+" : is_leaver ? "-" : "~", who, "");
        k->joined += io->verb == SERVICE_CREATE;
        k->changed += io->verb != SERVICE_CREATE && !is_leaver;
    }
    if (io->out != NULL && io->verb == SERVICE_CREATE)
        (void)json_object_set(k->ids, json_string_value(json_object_get(io->body, "externalId")),
                              json_object_get(io->out, "id"));
    json_decref(io->out);
    return pull_goes_on(k, who, r, &err);
}

static bool put_people(struct pull *k)
{
    const char *id = NULL;
    json_t *o = NULL;
    json_object_foreach(k->people, id, o)
    {
        const char *known = json_string_value(json_object_get(k->ids, id));
        struct service_resource io = {.type = SCIM_TYPE_USER,
                                      .verb = known != NULL ? SERVICE_REPLACE : SERVICE_CREATE,
                                      .body = o};
        bool is_active = json_is_true(json_object_get(o, "active"));
        if (known != NULL)
            io.id = service_resource_id(SCIM_TYPE_USER, known);
        if (known == NULL && !is_active) /* whom we never had need not be stopped */
            continue;
        if (!put(k, &io, json_string_value(json_object_get(o, "userName"))))
            return false;
    }
    return true;
}

static bool stop_gone(struct pull *k)
{
    size_t i = 0;
    json_t *one = NULL;
    json_t *stop = json_pack("{s:[s], s:[{s:s, s:s, s:b}]}", "schemas",
                             "urn:ietf:params:scim:api:messages:2.0:PatchOp", "Operations", "op",
                             "replace", "path", "active", "value", 0);
    bool goes = true;
    json_array_foreach(k->gone, i, one)
    {
        struct b_err err = {0};
        const char *id = json_string_value(json_object_get(one, "id"));
        const char *who = json_string_value(json_object_get(one, "who"));
        struct service_resource io = {.type = SCIM_TYPE_USER,
                                      .verb = SERVICE_PATCH,
                                      .id = service_resource_id(SCIM_TYPE_USER, id),
                                      .body = stop,
                                      .source = "ldap",
                                      .base = ""};
        pull_tell(k, "-", who, "");
        if (cli_has(k->cli, CLI_OPT_DRY_RUN))
            continue;
        enum b_code r = service_resource_change(&k->cli->service, &io, &err);
        json_decref(io.out);
        goes = pull_goes_on(k, who, r, &err);
        if (!goes)
            break;
    }
    json_decref(stop);
    return goes;
}

/* --- the command -------------------------------------------------------------------------------
 */

static enum b_code compare_and_change(struct pull *k, struct b_err *err)
{
    struct service *sv = &k->cli->service;
    bool is_too_much = false;
    enum b_code r = store_user_each(sv->store, STORE_USER_PRESENT, 0, find_known, k, err);
    know_again(k);
    if (r == B_OK)
        r = service_too_many_leave(sv->store, &sv->directory, (int64_t)time(NULL), k->left,
                                   &is_too_much, err);
    if (r != B_OK)
        return r;
    is_too_much = is_too_much && k->left > 0;
    sv->directory.holds_all = is_too_much; /* then not the first few either */
    k->code = B_OK;
    k->err = err;
    if (put_people(k) && stop_gone(k))
        (void)pull_put_groups(k);
    if (k->code != B_OK)
        return k->code;
    cli_say(k->cli, CLI_BOLD, _("Joined %lld, changed %lld, left %lld, problems %lld.\n"),
            k->joined, k->changed, k->left, k->problems);
    if (is_too_much)
        cli_say(k->cli, CLI_RED,
                _("Too many leave at once: they wait for tessere directory release or refuse.\n"));
    if (k->cli->out != NULL)
        (void)json_object_update_new(
            k->cli->out, json_pack("{s:I, s:I, s:I, s:I, s:b}", "joined", (json_int_t)k->joined,
                                   "changed", (json_int_t)k->changed, "left", (json_int_t)k->left,
                                   "problems", (json_int_t)k->problems, "held", (int)is_too_much));
    return B_OK;
}

/* It is all read before anything is changed. */
static enum b_code read_all(struct pull *k, struct b_err *err)
{
    struct ldap_dir *dir = NULL;
    enum b_code r = ldap_dir_open(&k->config.ldap, &dir, err);
    if (r == B_OK)
        r = ldap_people(dir, read_person, k, err);
    if (r == B_OK)
        r = k->code;
    if (r == B_OK)
        r = pull_read_groups(k, dir, err);
    ldap_dir_close(dir);
    if (r == B_OK && cli_is_stopped(NULL))
        r = b_err_set(err, B_E_CANCELLED, 0, "tessere directory pull");
    if (r == B_OK && json_object_size(k->people) < k->config.least)
        r = b_err_set(err, B_E_DIRECTORY_LIST, 0, "%zu people where at least %u are expected",
                      json_object_size(k->people), k->config.least);
    return r;
}

enum b_code cli_directory_pull(struct cli *c, struct b_err *err)
{
    static struct pull k;
    k = (struct pull){.cli = c, .gone = json_array(), .err = err};
    json_t **const sets[] = {&k.people, &k.names, &k.numbers, &k.ids, &k.groups, &k.teams};
    for (size_t i = 0; i < B_COUNT(sets); i++)
        *sets[i] = json_object();
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "changes", json_array());
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_directory_config_read(c->home, &k.config, err);
    if (r == B_OK && !k.config.has_ldap)
        r = b_err_set(err, B_E_CONFIG, 0, "%s/directory.yaml: ldap: is missing", c->home);
    if (r == B_OK)
        r = read_all(&k, err);
    if (r == B_OK)
        r = compare_and_change(&k, err);
    for (size_t i = 0; i < B_COUNT(sets); i++)
        json_decref(*sets[i]);
    json_decref(k.gone);
    return r;
}
