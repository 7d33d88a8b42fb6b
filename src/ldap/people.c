#include "ldap/people.h"

#include <errno.h>
#include <ldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

static enum b_code gone(const char *what, int code, LDAP *ld, struct b_err *err)
{
    char *said = NULL;
    if (ld != NULL)
        (void)ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &said);
    (void)b_err_set(err, B_E_DIRECTORY_GONE, (uint32_t)code, "%s: %s%s%.120s", b_err_word(what),
                    ldap_err2string(code), said != NULL && said[0] != '\0' ? b_err_word(": ") : "",
                    said != NULL ? said : "");
    ldap_memfree(said);
    return B_E_DIRECTORY_GONE;
}

/* --- the connection ----------------------------------------------------------------------------
 */

bool ldap_is_one(const char *url)
{
    static const char *const schemes[] = {"ldaps://", "ldap://", "ldapi://"};
    for (size_t i = 0; i < B_COUNT(schemes); i++)
        if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
            return strpbrk(url, " ,\t\r\n") == NULL;
    return false;
}

bool ldap_is_local(const char *url)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    if (strncasecmp(url, "ldapi://", strlen("ldapi://")) == 0)
        return true;
    const char *host = strstr(url, "://");
    host = host != NULL ? host + 3 : url;
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    for (size_t i = 0; i < B_COUNT(hosts); i++)
        if (strlen(hosts[i]) == n && strncasecmp(hosts[i], host, n) == 0 &&
            strchr(":/", host[n]) != NULL) /* its end, too */
            return true;
    return false;
}

static enum b_code read_password(const char *path, char *ret, size_t cap, struct b_err *err)
{
    struct stat about;
    FILE *f = fopen(path, "re");
    bool is_open = f != NULL && fstat(fileno(f), &about) == 0 && (about.st_mode & 077) != 0;
    if (is_open) {
        (void)fclose(f);
        return b_err_set(err, B_E_CONFIG, 0, "password-file: %s: others may read it; chmod 600 it",
                         path);
    }
    bool is_read = f != NULL && fgets(ret, (int)cap, f) != NULL;
    int cause = errno;
    if (f != NULL)
        (void)fclose(f);
    if (!is_read)
        return b_err_set(err, B_E_CONFIG, (uint32_t)cause, "password-file: %s: %s", path,
                         f == NULL ? strerror(cause) : b_err_word("it is empty"));
    ret[strcspn(ret, "\r\n")] = '\0';
    return B_OK;
}

static bool is_tls(const struct ldap_source *s)
{
    return strncasecmp(s->url, "ldaps://", strlen("ldaps://")) == 0;
}

static int initialize(const struct ldap_source *s, int demand, LDAP **ret)
{
    int version = LDAP_VERSION3;
    int fresh = 0;
    struct timeval timeout = {.tv_sec = (time_t)s->timeout_s};
    int r = ldap_initialize(ret, s->url);
    if (r != LDAP_SUCCESS)
        return r;
    (void)ldap_set_option(*ret, LDAP_OPT_PROTOCOL_VERSION, &version);
    (void)ldap_set_option(*ret, LDAP_OPT_NETWORK_TIMEOUT, &timeout);
    (void)ldap_set_option(*ret, LDAP_OPT_TIMEOUT, &timeout);
    /* others' servers are not followed to: the password would go there */
    (void)ldap_set_option(*ret, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    (void)ldap_set_option(*ret, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
    if (s->ca[0] != '\0')
        (void)ldap_set_option(*ret, LDAP_OPT_X_TLS_CACERTFILE, s->ca);
    (void)ldap_set_option(*ret, LDAP_OPT_X_TLS_NEWCTX, &fresh);
    return r;
}

/* Whether TLS would do with any certificate; nothing is said on that connection. */
static bool is_certificate(const struct ldap_source *s)
{
    LDAP *ld = NULL;
    int r = initialize(s, LDAP_OPT_X_TLS_NEVER, &ld);
    if (r == LDAP_SUCCESS)
        r = is_tls(s) ? ldap_connect(ld) : ldap_start_tls_s(ld, NULL, NULL);
    if (ld != NULL)
        (void)ldap_unbind_ext_s(ld, NULL, NULL);
    return r == LDAP_SUCCESS;
}

/* libldap does not tell a certificate that is not trusted from a server that is not there. */
static enum b_code secure(LDAP *ld, const struct ldap_source *s, struct b_err *err)
{
    if (!is_tls(s) && ldap_is_local(s->url))
        return B_OK;
    int r = is_tls(s) ? ldap_connect(ld) : ldap_start_tls_s(ld, NULL, NULL);
    if (r == LDAP_SUCCESS)
        return B_OK;
    if (is_certificate(s))
        return b_err_set(err, B_E_DIRECTORY_CERT, (uint32_t)r, "%s, by the CAs of %s", s->url,
                         s->ca[0] != '\0' ? s->ca : b_err_word("this machine"));
    return is_tls(s) ? gone("TLS", r, ld, err) : gone("StartTLS", r, ld, err);
}

static enum b_code bind_as(LDAP *ld, const struct ldap_source *s, struct b_err *err)
{
    char password[LDAP_TEXT] = "";
    struct berval credential = {0};
    enum b_code code = B_OK;
    int r = LDAP_SUCCESS;
    if (s->bind_dn[0] == '\0') {
        r = ldap_sasl_bind_s(ld, NULL, "EXTERNAL", &credential, NULL, NULL, NULL);
        return r == LDAP_SUCCESS ? B_OK : gone("binding", r, ld, err);
    }
    code = read_password(s->password_file, password, sizeof(password), err);
    if (code == B_OK && password[0] == '\0') /* a bind without a password is nobody's */
        code = b_err_set(err, B_E_CONFIG, 0, "password-file: %s: it is empty", s->password_file);
    credential.bv_val = password;
    credential.bv_len = strlen(password);
    if (code == B_OK)
        r = ldap_sasl_bind_s(ld, s->bind_dn, LDAP_SASL_SIMPLE, &credential, NULL, NULL, NULL);
    b_wipe(password, sizeof(password));
    return r == LDAP_SUCCESS ? code : gone("binding", r, ld, err);
}

struct ldap_dir {
    LDAP *ld;
    const struct ldap_source *source;
    struct ldap_person person; /* the one that is told of */
};

enum b_code ldap_dir_open(const struct ldap_source *source, struct ldap_dir **ret,
                          struct b_err *err)
{
    if (!ldap_is_one(source->url)) /* libldap would go on with the next, which may be without TLS */
        return b_err_set(err, B_E_CONFIG, 0, "url: one address, of ldaps://, ldap:// or ldapi://");
    *ret = calloc(1, sizeof(**ret));
    if (*ret == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading the directory");
    (*ret)->source = source;
    int r = initialize(source, LDAP_OPT_X_TLS_DEMAND, &(*ret)->ld);
    if (r != LDAP_SUCCESS)
        return b_err_set(err, B_E_CONFIG, (uint32_t)r, "url: %s: %s", source->url,
                         ldap_err2string(r));
    enum b_code code = secure((*ret)->ld, source, err);
    return code == B_OK ? bind_as((*ret)->ld, source, err) : code;
}

void ldap_dir_close(struct ldap_dir *dir)
{
    if (dir != NULL && dir->ld != NULL)
        (void)ldap_unbind_ext_s(dir->ld, NULL, NULL);
    free(dir);
}

/* --- an entry ----------------------------------------------------------------------------------
 */

void ldap_guid(const uint8_t guid[static 16], char ret[static 37])
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            ret[at++] = '-';
        (void)snprintf(ret + at, 3, "%02x", guid[order[i]]);
        at += 2;
    }
}

bool ldap_first_of(const char *dn, char *ret, size_t cap)
{
    LDAPDN parts = NULL;
    bool is_good = ldap_str2dn(dn, &parts, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS &&
                   parts != NULL && parts[0] != NULL && parts[0][0] != NULL;
    if (is_good) {
        const struct berval *v = &parts[0][0]->la_value;
        is_good = v->bv_len < cap && memchr(v->bv_val, '\0', v->bv_len) == NULL;
        if (is_good) {
            memcpy(ret, v->bv_val, v->bv_len);
            ret[v->bv_len] = '\0';
        }
    }
    ldap_dnfree(parts);
    return is_good;
}

static void take_value(struct ldap_person *p, enum ldap_field i, const char *name,
                       const struct berval *v)
{
    bool is_guid = strcasecmp(name, "objectGUID") == 0 && v->bv_len == 16;
    if (is_guid) {
        ldap_guid((const uint8_t *)v->bv_val, p->text[i]);
        return;
    }
    size_t n = v->bv_len < LDAP_TEXT ? v->bv_len : LDAP_TEXT - 1;
    memcpy(p->text[i], v->bv_val, n);
    p->text[i][n] = '\0';
}

bool ldap_expired(const char *text, int64_t now, bool *ret)
{
    /* [MS-ADTS] 2.2.22: 100 ns since 1601; never: 0, or all that there is */
    enum { PER_SECOND = 10000000 };
    const int64_t to_1970 = INT64_C(11644473600);
    char *end = NULL;
    long long at = strtoll(text, &end, 10);
    if (end == text || *end != '\0')
        return false;
    *ret = at != 0 && at != INT64_MAX && at / PER_SECOND - to_1970 <= now;
    return true;
}

/* What decides on who has left must have been there, whole. AD hides from accounts without rights
 * what they may not see; accountExpires is there or hidden as userAccountControl is. */
static void judge(const struct ldap_source *s, struct ldap_person *p)
{
    enum { DISABLED = 2 };
    char *end = NULL;
    bool is_over = false;
    const char *control = p->text[LDAP_CONTROL];
    const char *expires = p->text[LDAP_EXPIRES];
    p->is_disabled = (strtol(control, &end, 10) & DISABLED) != 0;
    if (s->fields[LDAP_CONTROL][0] != '\0' && (end == control || *end != '\0'))
        p->missing = s->fields[LDAP_CONTROL];
    if (expires[0] != '\0' && !ldap_expired(expires, (int64_t)time(NULL), &is_over))
        p->missing = s->fields[LDAP_EXPIRES];
    p->is_disabled = p->is_disabled || is_over;
}

/* AD gives so many values at once, under the name "memberOf;range=0-1499". */
static bool is_ranged(LDAP *ld, LDAPMessage *entry, const char *attribute)
{
    BerElement *at = NULL;
    bool is_found = false;
    size_t n = strlen(attribute);
    for (char *name = ldap_first_attribute(ld, entry, &at); name != NULL;
         name = ldap_next_attribute(ld, entry, at)) {
        is_found = is_found || (strncasecmp(name, attribute, n) == 0 &&
                                strncasecmp(name + n, ";range=", strlen(";range=")) == 0);
        ldap_memfree(name);
    }
    ber_free(at, 0);
    return is_found;
}

static void take_groups(LDAP *ld, LDAPMessage *entry, const char *attribute, struct berval **values,
                        struct ldap_person *p)
{
    size_t g = 0;
    for (; values != NULL && values[g] != NULL && g < LDAP_GROUPS_MAX; g++)
        p->groups[p->group_count++] = values[g]->bv_val;
    if ((values != NULL && values[g] != NULL) ||
        (values == NULL && is_ranged(ld, entry, attribute)))
        p->missing = attribute;
}

/* The values of groups stay with libldap until its entry is done with. */
static struct berval **take_entry(LDAP *ld, LDAPMessage *entry, const struct ldap_source *s,
                                  struct ldap_person *p)
{
    struct berval **groups = NULL;
    memset(p, 0, sizeof(*p));
    char *dn = ldap_get_dn(ld, entry);
    (void)snprintf(p->dn, sizeof(p->dn), "%s", dn != NULL ? dn : "");
    ldap_memfree(dn);
    for (int i = 0; i < LDAP_FIELDS; i++) {
        if (s->fields[i][0] == '\0')
            continue;
        struct berval **values = ldap_get_values_len(ld, entry, s->fields[i]);
        if (i == LDAP_GROUPS) {
            groups = values;
            take_groups(ld, entry, s->fields[i], values, p);
            continue;
        }
        if (values != NULL && values[0] != NULL)
            take_value(p, (enum ldap_field)i, s->fields[i], values[0]);
        ldap_value_free_len(values);
    }
    return groups;
}

/* Whether fn wants more. */
static bool tell(struct ldap_dir *dir, LDAPMessage *entry, bool is_person, ldap_person_fn *fn,
                 void *ctx)
{
    struct berval **groups = take_entry(dir->ld, entry, dir->source, &dir->person);
    if (is_person)
        judge(dir->source, &dir->person);
    bool goes_on = fn(ctx, &dir->person);
    ldap_value_free_len(groups);
    return goes_on;
}

/* --- pages -------------------------------------------------------------------------------------
 */

struct pages {
    struct ldap_dir *dir;
    ldap_person_fn *fn;
    void *ctx;
    struct berval cookie;
    bool is_over;
    struct b_err *err;
};

static enum b_code take_page(struct pages *k, LDAPMessage *answer)
{
    LDAPControl **controls = NULL;
    LDAP *ld = k->dir->ld;
    ber_int_t ignored = 0;
    int code = LDAP_SUCCESS;
    int r = ldap_parse_result(ld, answer, &code, NULL, NULL, NULL, &controls, 0);
    if (r != LDAP_SUCCESS || code != LDAP_SUCCESS)
        return gone("searching", r != LDAP_SUCCESS ? r : code, ld, k->err);
    ber_memfree(k->cookie.bv_val);
    k->cookie = (struct berval){0};
    LDAPControl *paged = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
    r = paged != NULL ? ldap_parse_pageresponse_control(ld, paged, &ignored, &k->cookie)
                      : LDAP_SUCCESS;
    ldap_controls_free(controls);
    if (r != LDAP_SUCCESS)
        return gone("the answer's page", r, ld, k->err);
    bool goes_on = true;
    for (LDAPMessage *e = ldap_first_entry(ld, answer); e != NULL && goes_on;
         e = ldap_next_entry(ld, e))
        goes_on = tell(k->dir, e, true, k->fn, k->ctx);
    k->is_over = !goes_on || k->cookie.bv_len == 0;
    return B_OK;
}

/* The attributes to ask for, of these fields alone. */
static void name_fields(const struct ldap_source *s, bool is_person,
                        char *ret[static LDAP_FIELDS + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < LDAP_FIELDS; i++)
        if (s->fields[i][0] != '\0' && (is_person || i == LDAP_EXTERNAL_ID || i == LDAP_GROUPS))
            ret[n++] = (char *)(uintptr_t)s->fields[i];
    ret[n] = NULL;
}

static enum b_code ask_page(struct pages *k)
{
    const struct ldap_source *s = k->dir->source;
    LDAP *ld = k->dir->ld;
    char *names[LDAP_FIELDS + 1];
    LDAPControl *page = NULL;
    LDAPMessage *answer = NULL;
    struct timeval timeout = {.tv_sec = (time_t)s->timeout_s};
    name_fields(s, true, names);
    int r = ldap_create_page_control(ld, (ber_int_t)s->page, &k->cookie, 1, &page);
    if (r != LDAP_SUCCESS)
        return gone("asking for a page", r, ld, k->err);
    LDAPControl *controls[] = {page, NULL};
    r = ldap_search_ext_s(ld, s->base, LDAP_SCOPE_SUBTREE, s->filter, names, 0, controls, NULL,
                          &timeout, LDAP_NO_LIMIT, &answer);
    ldap_control_free(page);
    /* a page that was not whole (a limit of the directory's) says nothing of who is missing */
    enum b_code code = r == LDAP_SUCCESS ? take_page(k, answer) : gone("searching", r, ld, k->err);
    (void)ldap_msgfree(answer);
    return code;
}

enum b_code ldap_people(struct ldap_dir *dir, ldap_person_fn *fn, void *ctx, struct b_err *err)
{
    struct pages k = {.dir = dir, .fn = fn, .ctx = ctx, .err = err};
    enum b_code r = B_OK;
    while (r == B_OK && !k.is_over)
        r = ask_page(&k);
    ber_memfree(k.cookie.bv_val);
    return r;
}

enum b_code ldap_group(struct ldap_dir *dir, const char *dn, ldap_person_fn *fn, void *ctx,
                       struct b_err *err)
{
    char *names[LDAP_FIELDS + 1];
    LDAPMessage *answer = NULL;
    struct timeval timeout = {.tv_sec = (time_t)dir->source->timeout_s};
    name_fields(dir->source, false, names);
    int r = ldap_search_ext_s(dir->ld, dn, LDAP_SCOPE_BASE, "(objectClass=*)", names, 0, NULL, NULL,
                              &timeout, LDAP_NO_LIMIT, &answer);
    LDAPMessage *entry = r == LDAP_SUCCESS ? ldap_first_entry(dir->ld, answer) : NULL;
    if (entry != NULL)
        (void)tell(dir, entry, false, fn, ctx);
    (void)ldap_msgfree(answer);
    /* What is hidden from us, or is no name of an entry, is not there for us. */
    bool is_answered = r == LDAP_SUCCESS || r == LDAP_NO_SUCH_OBJECT || r == LDAP_REFERRAL ||
                       r == LDAP_INSUFFICIENT_ACCESS || r == LDAP_INVALID_DN_SYNTAX;
    return is_answered ? B_OK : gone("looking up a group", r, dir->ld, err);
}
