#include "service/directory_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/yaml.h"
#include "service/home.h"

enum { TIMEOUT_S = 30, TIMEOUT_MOST = 600, GRACE_MOST_DAYS = 3650 };

struct map {
    char *fields[LDAP_FIELDS];
};
struct ldap_file {
    char *url, *base, *filter, *bind_dn, *password_file, *ca;
    unsigned page, timeout, least;
    struct map *map;
};
struct file {
    char *leaver, *leaver_grace;
    unsigned *guard_percent, *guard_least;
    struct ldap_file *ldap;
};

/* What Active Directory calls them; where it has no such attribute, nothing is asked. */
static const char *const defaults[LDAP_FIELDS] = {[LDAP_USER_NAME] = "sAMAccountName",
                                                  [LDAP_EXTERNAL_ID] = "objectGUID",
                                                  [LDAP_STAFF_NUMBER] = "employeeID",
                                                  [LDAP_DISPLAY_NAME] = "displayName",
                                                  [LDAP_GIVEN_NAME] = "givenName",
                                                  [LDAP_FAMILY_NAME] = "sn",
                                                  [LDAP_NATIONAL_ID] = "",
                                                  [LDAP_DEPARTMENT] = "department",
                                                  [LDAP_GROUPS] = "memberOf",
                                                  [LDAP_CONTROL] = "userAccountControl",
                                                  [LDAP_EXPIRES] = "accountExpires"};

#define FIELD(name, i)                                                                            \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct map, fields[i], \
                           0, 63)
static const cyaml_schema_field_t map_fields[] = {
    FIELD("user-name", LDAP_USER_NAME),
    FIELD("external-id", LDAP_EXTERNAL_ID),
    FIELD("staff-number", LDAP_STAFF_NUMBER),
    FIELD("display-name", LDAP_DISPLAY_NAME),
    FIELD("given-name", LDAP_GIVEN_NAME),
    FIELD("family-name", LDAP_FAMILY_NAME),
    FIELD("national-id", LDAP_NATIONAL_ID),
    FIELD("department", LDAP_DEPARTMENT),
    FIELD("groups", LDAP_GROUPS),
    FIELD("control", LDAP_CONTROL),
    FIELD("expires", LDAP_EXPIRES),
    CYAML_FIELD_END,
};
#undef FIELD
#define TEXT(name, of, field, flags, most) \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | (flags), of, field, 1, (most)-1)
static const cyaml_schema_field_t ldap_fields[] = {
    TEXT("url", struct ldap_file, url, 0, LDAP_TEXT),
    TEXT("base", struct ldap_file, base, 0, LDAP_TEXT),
    TEXT("filter", struct ldap_file, filter, CYAML_FLAG_OPTIONAL, LDAP_FILTER),
    TEXT("bind-dn", struct ldap_file, bind_dn, CYAML_FLAG_OPTIONAL, LDAP_TEXT),
    TEXT("password-file", struct ldap_file, password_file, CYAML_FLAG_OPTIONAL, LDAP_TEXT),
    TEXT("ca", struct ldap_file, ca, CYAML_FLAG_OPTIONAL, LDAP_TEXT),
    CYAML_FIELD_UINT("page", CYAML_FLAG_OPTIONAL, struct ldap_file, page),
    CYAML_FIELD_UINT("timeout-seconds", CYAML_FLAG_OPTIONAL, struct ldap_file, timeout),
    CYAML_FIELD_UINT("least", CYAML_FLAG_OPTIONAL, struct ldap_file, least),
    CYAML_FIELD_MAPPING_PTR("map", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ldap_file, map,
                            map_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t fields[] = {
    TEXT("leaver", struct file, leaver, CYAML_FLAG_OPTIONAL, 16),
    TEXT("leaver-grace", struct file, leaver_grace, CYAML_FLAG_OPTIONAL, 16),
    CYAML_FIELD_UINT_PTR("guard-percent", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                         guard_percent),
    CYAML_FIELD_UINT_PTR("guard-least", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                         guard_least),
    CYAML_FIELD_MAPPING_PTR("ldap", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, ldap,
                            ldap_fields),
    CYAML_FIELD_END,
};
#undef TEXT
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, fields)};

/* "0s", "12h", "7d" */
static bool read_duration(const char *text, int64_t *ret)
{
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    int64_t unit = *end == 's'   ? 1
                   : *end == 'm' ? 60
                   : *end == 'h' ? 3600
                   : *end == 'd' ? 86400
                                 : 0;
    if (end == text || unit == 0 || end[1] != '\0' || n > GRACE_MOST_DAYS * 86400UL)
        return false;
    *ret = (int64_t)n * unit;
    return *ret <= GRACE_MOST_DAYS * INT64_C(86400);
}

static enum b_code take_rules(const char *path, const struct file *f,
                              struct service_directory_rules *ret, struct b_err *err)
{
    const char *leaver = f->leaver != NULL ? f->leaver : "suspend";
    bool is_revoke = strcmp(leaver, "revoke") == 0;
    *ret = (struct service_directory_rules){
        .leaver = is_revoke ? SERVICE_LEAVER_REVOKE : SERVICE_LEAVER_SUSPEND,
        .guard_percent = f->guard_percent != NULL ? *f->guard_percent : 5,
        .guard_least = f->guard_least != NULL ? *f->guard_least : 10};
    if (!is_revoke && strcmp(leaver, "suspend") != 0)
        return b_err_set(err, B_E_CONFIG, 0, "%s: leaver: suspend or revoke", path);
    if (f->leaver_grace != NULL && (!is_revoke || !read_duration(f->leaver_grace, &ret->grace_s)))
        return b_err_set(err, B_E_CONFIG, 0,
                         "%s: leaver-grace: with leaver: revoke, a time such as 0s, 12h or 30d",
                         path);
    if (ret->guard_percent > 100 || (ret->guard_percent == 0 && ret->guard_least == 0))
        return b_err_set(err, B_E_CONFIG, 0,
                         "%s: guard-percent: at most 100, and not 0 with guard-least: 0", path);
    return B_OK;
}

static void copy(char *to, size_t cap, const char *from, const char *otherwise)
{
    (void)snprintf(to, cap, "%s", from != NULL ? from : otherwise);
}

static enum b_code take_ldap(const char *path, const struct ldap_file *f, struct ldap_source *ret,
                             struct b_err *err)
{
    copy(ret->url, sizeof(ret->url), f->url, "");
    copy(ret->base, sizeof(ret->base), f->base, "");
    copy(ret->filter, sizeof(ret->filter), f->filter,
         "(&(objectCategory=person)(objectClass=user))");
    copy(ret->bind_dn, sizeof(ret->bind_dn), f->bind_dn, "");
    copy(ret->password_file, sizeof(ret->password_file), f->password_file, "");
    copy(ret->ca, sizeof(ret->ca), f->ca, "");
    for (size_t i = 0; i < LDAP_FIELDS; i++)
        copy(ret->fields[i], sizeof(ret->fields[i]), f->map != NULL ? f->map->fields[i] : NULL,
             defaults[i]);
    ret->page = f->page != 0 ? f->page : LDAP_PAGE;
    ret->timeout_s = f->timeout != 0 ? f->timeout : TIMEOUT_S;
    if (ret->fields[LDAP_USER_NAME][0] == '\0' || ret->fields[LDAP_EXTERNAL_ID][0] == '\0')
        return b_err_set(err, B_E_CONFIG, 0, "%s: map: user-name and external-id are needed", path);
    if (ret->page > 10000 || ret->timeout_s > TIMEOUT_MOST)
        return b_err_set(err, B_E_CONFIG, 0, "%s: page: at most 10000; timeout-seconds: at most %d",
                         path, TIMEOUT_MOST);
    if ((ret->bind_dn[0] == '\0') != (ret->password_file[0] == '\0') ||
        (ret->bind_dn[0] == '\0' && strncmp(ret->url, "ldapi://", strlen("ldapi://")) != 0))
        return b_err_set(err, B_E_CONFIG, 0,
                         "%s: bind-dn and password-file go together; only ldapi:// does without",
                         path);
    return B_OK;
}

enum b_code service_directory_config_read(const char *home, struct service_directory_config *ret,
                                          struct b_err *err)
{
    char path[SERVICE_PATH_MAX];
    struct file *f = NULL;
    memset(ret, 0, sizeof(*ret));
    enum b_code code = service_home_path(home, "directory.yaml", path, sizeof(path), err);
    if (code != B_OK || (access(path, F_OK) != 0 && errno == ENOENT))
        return code;
    code = config_load_file(path, &schema, (cyaml_data_t **)&f, err);
    if (code != B_OK)
        return code;
    code = take_rules(path, f, &ret->rules, err);
    ret->has_ldap = f->ldap != NULL;
    if (code == B_OK && ret->has_ldap) {
        code = take_ldap(path, f->ldap, &ret->ldap, err);
        ret->least = f->ldap->least != 0 ? f->ldap->least : 1;
    }
    config_free(&schema, f);
    return code;
}
