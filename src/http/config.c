/* server.yaml, through libcyaml with a schema: what is absent has a default. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/yaml.h"
#include "http/config.h"

struct takeover {
    char *fleet, *keys_file;
};

struct signon {
    char *issuer, *address, *certificate, *key, *clients, *station_url, *ca;
    uint16_t port;
    uint32_t session_hours;
    bool keeps_on_second_tap;
};

struct file {
    char *address, *certificate, *key, *trust, *ca_certificate, *ca_key, *syslog, *events;
    uint16_t port;
    uint32_t vault_workers, auth_key_cache, connections, connections_per_address,
        requests_per_second, stall_seconds;
    bool log_requests;
    bool adopt;
    struct takeover *takeover;
    struct signon *signon;
};

#define TEXT(name, field) \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER, struct file, field, 1, HTTP_PATH_MAX - 1)
#define OPTIONAL(name, field)                                                                     \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, field, 1, \
                           HTTP_PATH_MAX - 1)
#define NUMBER(name, field) CYAML_FIELD_UINT(name, CYAML_FLAG_OPTIONAL, struct file, field)

static const cyaml_schema_field_t takeover_fields[] = {
    CYAML_FIELD_STRING_PTR("fleet", CYAML_FLAG_POINTER, struct takeover, fleet, 1,
                           HTTP_PATH_MAX - 1),
    CYAML_FIELD_STRING_PTR("keys-file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct takeover,
                           keys_file, 1, HTTP_PATH_MAX - 1),
    CYAML_FIELD_END,
};
#define SIGNON(name, field, flag, max) \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | (flag), struct signon, field, 1, (max)-1)
static const cyaml_schema_field_t signon_fields[] = {
    SIGNON("issuer", issuer, CYAML_FLAG_DEFAULT, OIDC_ISSUER_MAX),
    SIGNON("clients", clients, CYAML_FLAG_DEFAULT, HTTP_PATH_MAX),
    SIGNON("address", address, CYAML_FLAG_OPTIONAL, 64),
    CYAML_FIELD_UINT("port", CYAML_FLAG_OPTIONAL, struct signon, port),
    SIGNON("certificate", certificate, CYAML_FLAG_OPTIONAL, HTTP_PATH_MAX),
    SIGNON("key", key, CYAML_FLAG_OPTIONAL, HTTP_PATH_MAX),
    SIGNON("ca", ca, CYAML_FLAG_OPTIONAL, HTTP_PATH_MAX),
    SIGNON("station-url", station_url, CYAML_FLAG_OPTIONAL, OIDC_ISSUER_MAX),
    CYAML_FIELD_UINT("session-hours", CYAML_FLAG_OPTIONAL, struct signon, session_hours),
    CYAML_FIELD_BOOL("keeps-on-second-tap", CYAML_FLAG_OPTIONAL, struct signon,
                     keeps_on_second_tap),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t fields[] = {
    OPTIONAL("address", address),
    NUMBER("port", port),
    TEXT("certificate", certificate),
    TEXT("key", key),
    TEXT("trust", trust),
    OPTIONAL("ca-certificate", ca_certificate),
    OPTIONAL("ca-key", ca_key),
    NUMBER("vault-workers", vault_workers),
    NUMBER("auth-key-cache", auth_key_cache),
    NUMBER("connections", connections),
    NUMBER("connections-per-address", connections_per_address),
    NUMBER("requests-per-second", requests_per_second),
    NUMBER("stall-seconds", stall_seconds),
    OPTIONAL("syslog", syslog),
    OPTIONAL("events", events),
    CYAML_FIELD_BOOL("log-requests", CYAML_FLAG_OPTIONAL, struct file, log_requests),
    CYAML_FIELD_BOOL("adopt", CYAML_FLAG_OPTIONAL, struct file, adopt),
    CYAML_FIELD_MAPPING_PTR("takeover", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                            takeover, takeover_fields),
    CYAML_FIELD_MAPPING_PTR("sign-on", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                            signon, signon_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, fields)};

static void take_text(char *to, size_t cap, const char *from, const char *otherwise)
{
    (void)snprintf(to, cap, "%s", from != NULL ? from : otherwise);
}

static unsigned or_else(unsigned v, unsigned otherwise)
{
    return v != 0 ? v : otherwise;
}

/* Where the API's own words are right for browsers too, they need not be said twice. */
static void take_signon(const struct signon *f, struct http_config *c)
{
    enum { PORT = 8444, HOURS = 10 };
    struct http_signon_config *to = &c->signon;
    if (f == NULL)
        return;
    take_text(to->issuer, sizeof(to->issuer), f->issuer, "");
    take_text(to->address, sizeof(to->address), f->address, c->address);
    to->port = f->port != 0 ? f->port : PORT;
    take_text(to->certificate, sizeof(to->certificate), f->certificate, c->certificate);
    take_text(to->key, sizeof(to->key), f->key, c->key);
    take_text(to->clients, sizeof(to->clients), f->clients, "");
    take_text(to->ca, sizeof(to->ca), f->ca, "");
    take_text(to->station_url, sizeof(to->station_url), f->station_url, "");
    to->session_hours = or_else(f->session_hours, HOURS);
    to->keeps_on_second_tap = f->keeps_on_second_tap;
}

/* https://host[:port], and nothing after it. */
static bool is_origin(const char *url)
{
    char origin[OIDC_ISSUER_MAX];
    oidc_origin(url, origin, sizeof(origin));
    return oidc_is_uri(url, false) && strcmp(origin, url) == 0;
}

static enum b_code check_signon(const char *path, const char *text, size_t n,
                                const struct http_signon_config *c, struct b_err *err)
{
    const struct {
        const char *name;
        bool is_right;
        const char *what;
    } rules[] = {{"issuer", is_origin(c->issuer),
                  N_("https://host or https://host:port, without a path, and no slash at the end")},
                 {"station-url", c->station_url[0] == '\0' || is_origin(c->station_url),
                  N_("https://host or https://host:port, without a path, and no slash at the end")},
                 {"session-hours", c->session_hours <= 14,
                  N_("at most 14, as long as a tap may be told of")}};
    for (size_t i = 0; c->issuer[0] != '\0' && i < B_COUNT(rules); i++)
        if (!rules[i].is_right)
            return b_err_set(err, B_E_CONFIG, 0, "%s: line %u: %s: %s", path,
                             config_line_of(text, n, rules[i].name), rules[i].name,
                             b_err_word(rules[i].what));
    return B_OK;
}

static enum b_code check(const char *path, const char *text, size_t n, const struct http_config *c,
                         struct b_err *err)
{
    const struct {
        const char *name;
        unsigned value, most;
    } limits[] = {{"vault-workers", c->vault_workers, 16},
                  {"auth-key-cache", c->auth_key_cache, 100000},
                  {"connections", c->connections, 20000},
                  {"connections-per-address", c->connections_per_address, 20000},
                  {"requests-per-second", c->requests_per_second, 1000000},
                  {"stall-seconds", c->stall_seconds, 300}};
    for (size_t i = 0; i < B_COUNT(limits); i++)
        if (limits[i].value > limits[i].most)
            return b_err_set(err, B_E_CONFIG, 0, "%s: line %u: %s: at most %u", path,
                             config_line_of(text, n, limits[i].name), limits[i].name,
                             limits[i].most);
    return B_OK;
}

unsigned http_issuer_split(const char *issuer, char host[static OIDC_ISSUER_MAX])
{
    enum { HTTPS = 443 };
    const char *at = issuer + strlen("https://");
    bool is_six = at[0] == '[';
    size_t n = is_six ? strcspn(at, "]") : strcspn(at, ":");
    struct b_wr w = b_wr_from(host, OIDC_ISSUER_MAX - 1);
    b_wr_bytes(&w, at + is_six, n - is_six);
    host[w.len] = '\0';
    const char *port = strchr(at + n, ':');
    return port != NULL ? (unsigned)strtoul(port + 1, NULL, 10) : HTTPS;
}

static enum b_code parse(const char *path, const char *text, size_t n, struct http_config *ret,
                         struct b_err *err)
{
    struct file *f = NULL;
    enum b_code code = config_load(path, text, n, &schema, (cyaml_data_t **)&f, err);
    if (code != B_OK)
        return code;
    *ret = (struct http_config){.port = f->port != 0 ? f->port : 8443,
                                .vault_workers = or_else(f->vault_workers, 4),
                                .auth_key_cache = f->auth_key_cache,
                                .connections = or_else(f->connections, 4000),
                                .connections_per_address = or_else(f->connections_per_address, 64),
                                .requests_per_second = or_else(f->requests_per_second, 50),
                                .stall_seconds = or_else(f->stall_seconds, 10),
                                .logs_requests = f->log_requests,
                                .adopts = f->adopt};
    take_text(ret->address, sizeof(ret->address), f->address, "0.0.0.0");
    take_text(ret->certificate, sizeof(ret->certificate), f->certificate, "");
    take_text(ret->key, sizeof(ret->key), f->key, "");
    take_text(ret->trust, sizeof(ret->trust), f->trust, "");
    take_text(ret->ca_certificate, sizeof(ret->ca_certificate), f->ca_certificate, "");
    take_text(ret->ca_key, sizeof(ret->ca_key), f->ca_key, "");
    take_text(ret->syslog, sizeof(ret->syslog), f->syslog, "");
    take_text(ret->events, sizeof(ret->events), f->events, "");
    take_text(ret->fleet, sizeof(ret->fleet), f->takeover != NULL ? f->takeover->fleet : NULL, "");
    take_text(ret->fleet_keys, sizeof(ret->fleet_keys),
              f->takeover != NULL ? f->takeover->keys_file : NULL, "");
    take_signon(f->signon, ret);
    config_free(&schema, f);
    code = check(path, text, n, ret, err);
    return code == B_OK ? check_signon(path, text, n, &ret->signon, err) : code;
}

enum b_code http_config_read(const char *path, struct http_config *ret, struct b_err *err)
{
    static char text[65536];
    FILE *f = fopen(path, "re");
    size_t n = f != NULL ? fread(text, 1, sizeof(text), f) : 0;
    int cause = errno;
    bool is_read = f != NULL && ferror(f) == 0;
    if (f != NULL)
        (void)fclose(f);
    if (!is_read)
        return b_err_set(err, B_E_CONFIG, (uint32_t)cause, "%s: %s", path, strerror(cause));
    if (n == sizeof(text))
        return b_err_set(err, B_E_CONFIG, 0, "%s: the file is too long", path);
    return parse(path, text, n, ret, err);
}
