/* events.yaml, through libcyaml with a schema, and the secrets that it names. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "config/yaml.h"
#include "events/events.h"

enum { FILE_MAX = 65536, ATTEMPTS_MAX = 1000, SECRET_LEAST = 24, NAME_MAX_LEN = 31 };

struct entry {
    char *name, *url, *secret_file, *audience, *ca;
    enum service_event_form delivery;
    char **events;
    unsigned events_count;
    bool staff_id;
};
struct file {
    char *issuer, *ca;
    unsigned attempts;
    struct entry *subscribers;
    unsigned subscribers_count;
};

#define TEXT(name, type, field) \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER, type, field, 1, EVENTS_URL_MAX - 1)
#define OPTIONAL(name, type, field)                                                        \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, field, 1, \
                           EVENTS_URL_MAX - 1)

static const cyaml_strval_t deliveries[] = {{"webhook", SERVICE_EVENT_WEBHOOK},
                                            {"caep", SERVICE_EVENT_CAEP}};
static const cyaml_schema_value_t event_name = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, STORE_EVENT_MAX - 1)};
static const cyaml_schema_field_t entry_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct entry, name, 1, NAME_MAX_LEN),
    TEXT("url", struct entry, url),
    CYAML_FIELD_ENUM("delivery", CYAML_FLAG_STRICT, struct entry, delivery, deliveries,
                     B_COUNT(deliveries)),
    CYAML_FIELD_SEQUENCE("events", CYAML_FLAG_POINTER, struct entry, events, &event_name, 1,
                         EVENTS_WANTED_MAX),
    OPTIONAL("secret-file", struct entry, secret_file),
    OPTIONAL("audience", struct entry, audience),
    OPTIONAL("ca", struct entry, ca),
    CYAML_FIELD_BOOL("staff-id", CYAML_FLAG_OPTIONAL, struct entry, staff_id),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t entry_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct entry, entry_fields)};
static const cyaml_schema_field_t fields[] = {
    OPTIONAL("issuer", struct file, issuer),
    OPTIONAL("ca", struct file, ca),
    CYAML_FIELD_UINT("attempts", CYAML_FLAG_OPTIONAL, struct file, attempts),
    CYAML_FIELD_SEQUENCE("subscribers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                         subscribers, &entry_schema, 0, EVENTS_SUBSCRIBERS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, fields)};

struct reading {
    const char *dir, *path;
    struct events_config *config;
    struct b_err *err;
};

static enum b_code wrong(const struct reading *k, const char *who, const char *what)
{
    return b_err_set(k->err, B_E_CONFIG, 0, "%s: %s: %s", k->path, who, b_err_word(what));
}

static void take_text(char *to, size_t cap, const char *from)
{
    (void)snprintf(to, cap, "%s", from != NULL ? from : "");
}

static enum b_code take_path(const struct reading *k, char *to, size_t cap, const char *from)
{
    int n = 0;
    if (from == NULL || from[0] == '/')
        take_text(to, cap, from);
    else
        n = snprintf(to, cap, "%s/%s", k->dir, from);
    return n < (int)cap ? B_OK : wrong(k, from, "the path is too long");
}

/* --- secrets -----------------------------------------------------------------------------------
 */

/* whsec_ and base64, as Standard Webhooks writes a secret. */
static enum b_code parse_secret(const struct reading *k, const char *path, const char *line,
                                struct events_subscriber *s)
{
    static const char prefix[] = "whsec_";
    const size_t skip = sizeof(prefix) - 1;
    if (s->secret_count == EVENTS_SECRETS_MAX)
        return b_err_set(k->err, B_E_KEY_FILE, 0, "%s: at most %d secrets", path,
                         EVENTS_SECRETS_MAX);
    struct events_secret *secret = &s->secrets[s->secret_count++];
    struct b_wr w = b_wr_from(secret->bytes, sizeof(secret->bytes));
    if (strncmp(line, prefix, skip) != 0 || !b_unbase64(&w, line + skip, strlen(line + skip)) ||
        w.len < SECRET_LEAST)
        return b_err_set(k->err, B_E_KEY_FILE, 0,
                         "%s: a secret is whsec_ and 24 to 64 bytes in base64", path);
    secret->n = w.len;
    return B_OK;
}

static enum b_code parse_token(const struct reading *k, const char *path, const char *line,
                               struct events_subscriber *s)
{
    bool is_good = s->token[0] == '\0' && strlen(line) < sizeof(s->token);
    for (const char *p = line; *p != '\0'; p++)
        is_good = is_good && *p > ' ' && *p < 127;
    if (!is_good)
        return b_err_set(k->err, B_E_KEY_FILE, 0, "%s: a token is one line of ASCII", path);
    take_text(s->token, sizeof(s->token), line);
    return B_OK;
}

/* Lines of the file; # begins a comment. */
static enum b_code parse_lines(const struct reading *k, const char *path, char *text,
                               struct events_subscriber *s)
{
    enum b_code r = B_OK;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); r == B_OK && line != NULL; line = strsep(&rest, "\n")) {
        size_t n = strlen(line);
        while (n > 0 && isspace((unsigned char)line[n - 1]))
            line[--n] = '\0';
        if (n == 0 || line[0] == '#')
            continue;
        r = s->form == SERVICE_EVENT_WEBHOOK ? parse_secret(k, path, line, s)
                                             : parse_token(k, path, line, s);
    }
    return r;
}

static enum b_code read_secrets(const struct reading *k, const char *name,
                                struct events_subscriber *s)
{
    enum { SECRET_FILE_MAX = 4096 };
    char path[EVENTS_URL_MAX];
    struct stat about;
    char *text = NULL;
    size_t n = 0;
    enum b_code r = take_path(k, path, sizeof(path), name);
    if (r != B_OK)
        return r;
    if (stat(path, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & 077) != 0)
        return b_err_set(k->err, B_E_KEY_FILE, 0, "%s: others may read it; chmod 600 it", path);
    r = b_file_read(path, SECRET_FILE_MAX, &text, &n, k->err);
    if (r == B_OK)
        r = parse_lines(k, path, text, s);
    if (text != NULL)
        b_wipe(text, n);
    free(text);
    return r;
}

/* --- subscribers -------------------------------------------------------------------------------
 */

static enum b_code take_events(const struct reading *k, const struct entry *e,
                               struct events_subscriber *s)
{
    for (unsigned i = 0; i < e->events_count; i++) {
        const struct service_event *event = service_event_named(e->events[i]);
        if (event != NULL && event->form == s->form) {
            s->wanted[s->wanted_count++] = event;
            continue;
        }
        return b_err_set(k->err, B_E_CONFIG, 0, "%s: %s: %s is no event of %s", k->path, e->name,
                         e->events[i], s->form == SERVICE_EVENT_CAEP ? "caep" : "webhook");
    }
    return B_OK;
}

/* What one kind of delivery needs, and the other has no use for. */
static enum b_code check_kind(const struct reading *k, const struct entry *e)
{
    if (e->delivery == SERVICE_EVENT_WEBHOOK && e->secret_file == NULL)
        return wrong(k, e->name, "a webhook needs a secret-file");
    if (e->delivery == SERVICE_EVENT_WEBHOOK && e->audience != NULL)
        return wrong(k, e->name, "audience is for caep");
    if (e->delivery == SERVICE_EVENT_CAEP && e->audience == NULL)
        return wrong(k, e->name, "caep needs an audience");
    if (e->delivery == SERVICE_EVENT_CAEP && k->config->issuer[0] == '\0')
        return wrong(k, e->name, "caep needs the file's issuer");
    return B_OK;
}

static enum b_code check_name(const struct reading *k, const char *name)
{
    for (const char *p = name; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr("-_.", *p) == NULL)
            return wrong(k, name, "a name has letters, digits, '-', '_' and '.'");
    return events_subscriber_named(k->config, name) == NULL
               ? B_OK
               : wrong(k, name, "two subscribers have this name");
}

static enum b_code take_entry(const struct reading *k, const struct entry *e)
{
    enum b_code r = check_name(k, e->name);
    struct events_subscriber *s = &k->config->subscribers[k->config->count];
    if (r == B_OK)
        r = check_kind(k, e);
    if (r == B_OK && (r = remote_post_may(e->url, k->err)) != B_OK)
        return b_err_wrap(k->err, "%s: %s", k->path, e->name);
    if (r != B_OK)
        return r;
    k->config->count++;
    s->form = e->delivery;
    s->tells_staff_id = e->staff_id;
    take_text(s->name, sizeof(s->name), e->name);
    take_text(s->url, sizeof(s->url), e->url);
    take_text(s->audience, sizeof(s->audience), e->audience);
    r = take_path(k, s->ca, sizeof(s->ca), e->ca);
    if (r == B_OK)
        r = take_events(k, e, s);
    if (r == B_OK && e->secret_file != NULL)
        r = read_secrets(k, e->secret_file, s);
    if (r == B_OK && s->form == SERVICE_EVENT_WEBHOOK && s->secret_count == 0)
        r = wrong(k, e->name, "its secret-file has no secret");
    return r;
}

static enum b_code take_file(const struct reading *k, const struct file *f)
{
    struct events_config *c = k->config;
    if (f->attempts > ATTEMPTS_MAX)
        return wrong(k, "attempts", "at most 1000");
    c->attempts = f->attempts;
    take_text(c->issuer, sizeof(c->issuer), f->issuer);
    enum b_code r = take_path(k, c->ca, sizeof(c->ca), f->ca);
    for (unsigned i = 0; r == B_OK && i < f->subscribers_count; i++)
        r = take_entry(k, &f->subscribers[i]);
    return r;
}

enum b_code events_config_parse(const char *dir, const char *path, const char *text, size_t n,
                                struct events_config *ret, struct b_err *err)
{
    const struct reading k = {.dir = dir, .path = path, .config = ret, .err = err};
    struct file *f = NULL;
    *ret = (struct events_config){.count = 0};
    enum b_code r = config_load(path, text, n, &schema, (cyaml_data_t **)&f, err);
    if (r == B_OK)
        r = take_file(&k, f);
    config_free(&schema, f);
    return r;
}

enum b_code events_config_read(const char *dir, const char *path, struct events_config *ret,
                               struct b_err *err)
{
    char *text = NULL;
    size_t n = 0;
    if (b_file_read(path, FILE_MAX, &text, &n, err) != B_OK) {
        err->code = B_E_CONFIG;
        return B_E_CONFIG;
    }
    enum b_code r = events_config_parse(dir, path, text, n, ret, err);
    free(text);
    return r;
}

const struct events_subscriber *events_subscriber_named(const struct events_config *c,
                                                        const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->subscribers[i].name, name) == 0)
            return &c->subscribers[i];
    return NULL;
}

size_t events_subscriptions(const struct events_config *c,
                            struct store_subscription all[static EVENTS_SUBSCRIPTIONS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct events_subscriber *s = &c->subscribers[i];
        for (size_t j = 0; j < s->wanted_count; j++) {
            struct store_subscription *v = &all[count++];
            take_text(v->event, sizeof(v->event), s->wanted[j]->name);
            take_text(v->subscriber, sizeof(v->subscriber), s->name);
        }
    }
    return count;
}

enum b_code events_config_check(const struct events_config *c, bool has_signer, const char *path,
                                struct b_err *err)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->subscribers[i].form == SERVICE_EVENT_CAEP && !has_signer)
            return b_err_set(
                err, B_E_CONFIG, 0,
                "%s: %s: security events are signed by sign-on's keys, and server.yaml "
                "has no sign-on:",
                path, c->subscribers[i].name);
    return B_OK;
}
