#include "oidc/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "config/yaml.h"
#include "crypto/crypto.h"

enum { FILE_MAX = 262144, SECRET_MIN = 32, SECRET_MAX = 256, PATH_LENGTH_MAX = 512 };

struct names {
    char *fr, *en;
};
struct client {
    char *id, *secret_sha256, *secret_file, *key_file, *alg, *pkce, *acr, *backchannel, *ping;
    struct names *name;
    bool is_public, is_loopback, has_ciba, has_callouts, must_push;
    char **redirects, **logouts;
    uint32_t redirects_count, logouts_count;
};
struct file {
    struct client *clients;
    uint32_t clients_count;
};

#define OPTIONAL(type, name, field, max) \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, field, 1, max)

static const cyaml_schema_value_t uri_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, OIDC_URI_MAX - 1)};
static const cyaml_schema_field_t name_fields[] = {
    CYAML_FIELD_STRING_PTR("fr", CYAML_FLAG_POINTER, struct names, fr, 1, OIDC_NAME_MAX - 1),
    OPTIONAL(struct names, "en", en, OIDC_NAME_MAX - 1),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t client_fields[] = {
    CYAML_FIELD_STRING_PTR("id", CYAML_FLAG_POINTER, struct client, id, 1, OIDC_ID_MAX - 1),
    CYAML_FIELD_MAPPING_PTR("name", CYAML_FLAG_POINTER, struct client, name, name_fields),
    CYAML_FIELD_SEQUENCE("redirect-uris", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct client,
                         redirects, &uri_value, 0, OIDC_URIS_MAX),
    CYAML_FIELD_SEQUENCE("post-logout-redirect-uris", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct client, logouts, &uri_value, 0, OIDC_URIS_MAX),
    OPTIONAL(struct client, "backchannel-logout-uri", backchannel, OIDC_URI_MAX - 1),
    OPTIONAL(struct client, "ciba-ping-uri", ping, OIDC_URI_MAX - 1),
    OPTIONAL(struct client, "secret-sha256", secret_sha256, 64),
    OPTIONAL(struct client, "secret-file", secret_file, PATH_LENGTH_MAX - 1),
    OPTIONAL(struct client, "public-key-file", key_file, PATH_LENGTH_MAX - 1),
    CYAML_FIELD_BOOL("public", CYAML_FLAG_OPTIONAL, struct client, is_public),
    CYAML_FIELD_BOOL("ciba", CYAML_FLAG_OPTIONAL, struct client, has_ciba),
    CYAML_FIELD_BOOL("callouts", CYAML_FLAG_OPTIONAL, struct client, has_callouts),
    CYAML_FIELD_BOOL("require-pushed", CYAML_FLAG_OPTIONAL, struct client, must_push),
    CYAML_FIELD_BOOL("loopback", CYAML_FLAG_OPTIONAL, struct client, is_loopback),
    OPTIONAL(struct client, "alg", alg, 7),
    OPTIONAL(struct client, "pkce", pkce, 16),
    OPTIONAL(struct client, "acr", acr, 40),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t client_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct client, client_fields)};
static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_SEQUENCE("clients", CYAML_FLAG_POINTER, struct file, clients, &client_value, 1,
                         OIDC_CLIENTS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, file_fields)};

struct place {
    const char *path, *id;
    bool looks_at_modes;
    struct b_err *err;
};

static enum b_code wrong(const struct place *p, const char *field, const char *what)
{
    return b_err_set(p->err, B_E_CONFIG, 0, "%s: client %s: %s: %s", p->path, p->id, field,
                     b_err_word(what));
}

/* The star is in no address by itself: who writes it means any, which no entry can say. */
static bool is_uri(const char *uri, bool is_loopback)
{
    return oidc_is_uri(uri, is_loopback) && strchr(uri, '*') == NULL;
}

static enum b_code wrong_uri(const struct place *p, const char *field, const char *uri)
{
    return b_err_set(
        p->err, B_E_CONFIG, 0,
        "%s: client %s: %s: \"%.100s\": https://…, whole, without *, fragment or user (a "
        "loopback client: also http://127.0.0.1/… and http://[::1]/…)",
        p->path, p->id, field, uri);
}

static void take_text(char *to, size_t cap, const char *from, const char *otherwise)
{
    (void)snprintf(to, cap, "%s", from != NULL ? from : otherwise);
}

static enum b_code take_uris(const struct place *p, const char *field, char **from, uint32_t count,
                             bool is_loopback, char (*to)[OIDC_URI_MAX], size_t *ret_count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!is_uri(from[i], is_loopback))
            return wrong_uri(p, field, from[i]);
        take_text(to[i], OIDC_URI_MAX, from[i], "");
    }
    *ret_count = count;
    return B_OK;
}

/* A name beside this file. */
static void place_beside(const struct place *p, const char *name,
                         char path[static 2 * PATH_LENGTH_MAX])
{
    const char *slash = strrchr(p->path, '/');
    struct b_wr w = b_wr_from(path, 2 * PATH_LENGTH_MAX - 1);
    b_wr_bytes(&w, p->path, name[0] != '/' && slash != NULL ? (size_t)(slash - p->path) + 1 : 0);
    b_wr_bytes(&w, name, strlen(name));
    path[w.len] = '\0';
}

static enum b_code check_mode(const struct place *p, const char *name)
{
    char path[2 * PATH_LENGTH_MAX];
    struct stat about;
    place_beside(p, name, path);
    return p->looks_at_modes && stat(path, &about) == 0 && (about.st_mode & 077) != 0
               ? b_err_set(p->err, B_E_KEY_FILE, 0, "%s: others may read it; chmod 600 it", path)
               : B_OK;
}

/* A file beside this one, to be wiped and freed. */
static enum b_code read_beside(const struct place *p, const char *field, const char *name,
                               size_t max, char **ret, size_t *ret_n)
{
    char path[2 * PATH_LENGTH_MAX];
    struct b_err cause;
    place_beside(p, name, path);
    return b_file_read(path, max, ret, ret_n, &cause) == B_OK
               ? B_OK
               : b_err_set(p->err, B_E_CONFIG, 0, "%s: client %s: %s: %s", p->path, p->id, field,
                           cause.msg);
}

/* The file's first line, without its end. */
static enum b_code read_secret(const struct place *p, const char *name, struct oidc_client *c)
{
    char *text = NULL;
    size_t n = 0;
    enum b_code r = read_beside(p, "secret-file", name, SECRET_MAX, &text, &n);
    if (r != B_OK)
        return r;
    size_t length = strcspn(text, "\r\n");
    if (length >= SECRET_MIN)
        crypto_sha256(text, length, c->secret);
    b_wipe(text, n);
    free(text);
    return length >= SECRET_MIN ? check_mode(p, name)
                                : wrong(p, "secret-file", "32 characters or more, by chance");
}

/* SubjectPublicKeyInfo in PEM (RFC 7468). */
static enum b_code read_key(const struct place *p, const char *name, struct oidc_client *c)
{
    enum { PEM_MAX = 4096 };
    static const char begin[] = "-----BEGIN PUBLIC KEY-----";
    struct crypto_jwk jwk;
    struct b_wr key = b_wr_from(c->key, sizeof(c->key));
    char *text = NULL;
    size_t n = 0;
    enum b_code r = read_beside(p, "public-key-file", name, PEM_MAX, &text, &n);
    if (r != B_OK)
        return r;
    const char *from = strstr(text, begin);
    const char *end = from != NULL ? strstr(from, "-----END") : NULL;
    size_t length = 0;
    for (const char *at = from != NULL ? from + sizeof(begin) - 1 : text; end != NULL && at < end;
         at++)
        if (*at > ' ')
            text[length++] = *at;
    bool is_key = end != NULL && b_unbase64(&key, text, length) &&
                  crypto_jwk(b_rd_from(c->key, key.len), &jwk);
    free(text);
    if (!is_key)
        return wrong(p, "public-key-file", "a public key in PEM: P-256, or RSA of 3072 bits");
    c->key_len = key.len;
    c->key_alg = jwk.alg;
    return B_OK;
}

static enum b_code take_secret(const struct place *p, const struct client *f, struct oidc_client *c)
{
    struct b_wr w = b_wr_from(c->secret, sizeof(c->secret));
    int ways = (f->secret_sha256 != NULL) + (f->secret_file != NULL) + (f->key_file != NULL) +
               f->is_public;
    if (ways != 1)
        return wrong(p, "secret-file",
                     "this, secret-sha256, public-key-file or public: true, and one of them");
    c->has_secret = f->secret_file != NULL || f->secret_sha256 != NULL;
    if (f->secret_file != NULL)
        return read_secret(p, f->secret_file, c);
    if (f->key_file != NULL)
        return read_key(p, f->key_file, c);
    if (f->secret_sha256 != NULL && (!b_unhex(&w, f->secret_sha256) || w.len != sizeof(c->secret)))
        return wrong(p, "secret-sha256", "64 digits in hexadecimal");
    return B_OK;
}

static enum b_code take_words(const struct place *p, const struct client *f, struct oidc_client *c)
{
    take_text(c->alg, sizeof(c->alg), f->alg, "RS256");
    if (strcmp(c->alg, "RS256") != 0 && strcmp(c->alg, "ES256") != 0)
        return wrong(p, "alg", "RS256 or ES256");
    const char *pkce = f->pkce != NULL ? f->pkce : "required";
    c->needs_no_pkce = strcmp(pkce, "optional") == 0;
    if (!c->needs_no_pkce && strcmp(pkce, "required") != 0)
        return wrong(p, "pkce", "required or optional");
    if (c->needs_no_pkce && f->is_public)
        return wrong(p, "pkce", "a public client needs it");
    const char *acr = f->acr != NULL ? f->acr : "badge";
    c->needs_pin = strcmp(acr, "badge+pin") == 0;
    if (!c->needs_pin && strcmp(acr, "badge") != 0)
        return wrong(p, "acr", "badge or badge+pin");
    return B_OK;
}

static bool is_id(const char *id)
{
    static const char allowed[] =
        "-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return strspn(id, allowed) == strlen(id);
}

static enum b_code take_client(const struct place *p, const struct client *f,
                               struct oidc_clients *all)
{
    struct oidc_client *c = &all->items[all->count];
    if (!is_id(f->id) || oidc_client_find(all, f->id) != NULL)
        return wrong(p, "id", "letters, digits, - . _, and only once");
    memset(c, 0, sizeof(*c));
    take_text(c->id, sizeof(c->id), f->id, "");
    take_text(c->name_fr, sizeof(c->name_fr), f->name->fr, "");
    take_text(c->name_en, sizeof(c->name_en), f->name->en, "");
    if (!b_text_is_name(c->name_fr) || !b_text_is_name(c->name_en))
        return wrong(p, "name", "text on one line that shows as it is written");
    c->is_loopback = f->is_loopback;
    c->has_ciba = f->has_ciba;
    c->has_callouts = f->has_callouts;
    c->must_push = f->must_push;
    if (f->redirects_count == 0 && !c->has_ciba && !c->has_callouts)
        return wrong(p, "redirect-uris", "one or more; without them a client can ask for nothing");
    if (f->ping != NULL && (!c->has_ciba || !oidc_is_uri(f->ping, false)))
        return wrong(p, "ciba-ping-uri",
                     "https://…, without fragment or user, and with ciba: true");
    take_text(c->ping_uri, sizeof(c->ping_uri), f->ping, "");
    if (c->has_ciba && f->is_public)
        return wrong(p, "ciba", "not for a public client: it must prove who asks");
    if (c->has_callouts && f->is_public)
        return wrong(p, "callouts", "not for a public client: it must prove who asks");
    enum b_code r = take_secret(p, f, c);
    if (r == B_OK)
        r = take_words(p, f, c);
    if (r == B_OK)
        r = take_uris(p, "redirect-uris", f->redirects, f->redirects_count, c->is_loopback,
                      c->redirect_uris, &c->redirect_count);
    if (r == B_OK)
        r = take_uris(p, "post-logout-redirect-uris", f->logouts, f->logouts_count, c->is_loopback,
                      c->logout_uris, &c->logout_count);
    if (r == B_OK && f->backchannel != NULL && !oidc_is_uri(f->backchannel, false))
        r = wrong(p, "backchannel-logout-uri", "https://…, without fragment or user");
    take_text(c->backchannel_uri, sizeof(c->backchannel_uri), f->backchannel, "");
    all->count += r == B_OK;
    return r;
}

static enum b_code parse(struct place p, const char *text, size_t n, struct oidc_clients *ret)
{
    struct file *f = NULL;
    ret->count = 0;
    enum b_code r = config_load(p.path, text, n, &schema, (cyaml_data_t **)&f, p.err);
    for (uint32_t i = 0; r == B_OK && i < f->clients_count; i++) {
        p.id = f->clients[i].id;
        r = take_client(&p, &f->clients[i], ret);
    }
    config_free(&schema, f);
    return r;
}

enum b_code oidc_clients_parse(const char *path, const char *text, size_t n,
                               struct oidc_clients *ret, struct b_err *err)
{
    return parse((struct place){.path = path, .err = err}, text, n, ret);
}

static enum b_code read_file(struct place p, struct oidc_clients *ret)
{
    char *text = NULL;
    size_t n = 0;
    struct b_err cause;
    enum b_code r = b_file_read(p.path, FILE_MAX, &text, &n, &cause);
    if (r != B_OK)
        return b_err_set(p.err, B_E_CONFIG, 0, "the relying parties' file: %s", cause.msg);
    r = parse(p, text, n, ret);
    free(text);
    return r;
}

enum b_code oidc_clients_read(const char *path, struct oidc_clients *ret, struct b_err *err)
{
    return read_file((struct place){.path = path, .err = err}, ret);
}

enum b_code oidc_clients_check(const char *path, struct b_err *err)
{
    struct oidc_clients *all = calloc(1, sizeof(*all));
    if (all == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading the relying parties");
    enum b_code r =
        read_file((struct place){.path = path, .looks_at_modes = true, .err = err}, all);
    free(all);
    return r;
}
