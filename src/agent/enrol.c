/* From a one-time code to a certificate, and from a certificate to its successor. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/file.h"
#include "pki/pki.h"

enum { TIMEOUT_MS = 10000, LONG_MS = 30000 };

static enum b_code name_files(const char *dir, struct agent_home *ret, struct b_err *err)
{
    if (strlen(dir) >= sizeof(ret->dir))
        return b_err_set(err, B_E_USAGE, 0, "the path is too long");
    *ret = (struct agent_home){.url = ""};
    (void)snprintf(ret->dir, sizeof(ret->dir), "%s", dir);
    (void)snprintf(ret->cert, sizeof(ret->cert), "%s/station.pem", ret->dir);
    (void)snprintf(ret->key, sizeof(ret->key), "%s/station.key", ret->dir);
    (void)snprintf(ret->ca, sizeof(ret->ca), "%s/ca.pem", ret->dir);
    return B_OK;
}

/* The server's address as the enrolment left it. */
static enum b_code read_station(struct agent_home *h, struct b_err *err)
{
    char path[AGENT_PATH_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/station.json", h->dir);
    if (access(path, R_OK) != 0 && errno == EACCES)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno,
                         "%s: %s: the station's files are root's and the agent's user's", path,
                         strerror(errno));
    json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    const char *url = json_string_value(json_object_get(o, "server"));
    enum b_code r = B_OK;
    if (url == NULL || strlen(url) >= sizeof(h->url))
        r = b_err_set(err, B_E_NOT_ENROLLED, 0, "%s: %s", path,
                      o == NULL ? "there is no such file, or it is no JSON" : "it names no server");
    else
        (void)snprintf(h->url, sizeof(h->url), "%s", url);
    json_decref(o);
    return r;
}

enum b_code agent_home_open(const struct agent_config *c, struct agent_home *ret, struct b_err *err)
{
    enum b_code r = name_files(c->state, ret, err);
    if (r != B_OK)
        return r;
    bool is_complete = c->server[0] != '\0' && c->identity[0] != '\0' && c->ca[0] != '\0';
    r = is_complete ? B_OK : read_station(ret, err);
    if (c->server[0] != '\0')
        (void)snprintf(ret->url, sizeof(ret->url), "%s", c->server);
    if (c->ca[0] != '\0')
        (void)snprintf(ret->ca, sizeof(ret->ca), "%s", c->ca);
    if (c->identity[0] != '\0') {
        (void)snprintf(ret->cert, sizeof(ret->cert), "%s.pem", c->identity);
        (void)snprintf(ret->key, sizeof(ret->key), "%s.key", c->identity);
        ret->is_pki_theirs = true;
    }
    (void)snprintf(ret->language, sizeof(ret->language), "%s", c->language);
    return r;
}

/* The server's CA, taken without trust and held against what the code says of it. What else is
 * said with it, by whoever may be in between, is not kept. */
static enum b_code find_ca(const char *url, const uint8_t pin[static PKI_CODE_PIN],
                           const char *path, struct b_err *err)
{
    static _Thread_local char alone[PKI_PEM_MAX];
    struct remote *r = NULL;
    struct pki_cert ca;
    json_t *o = NULL;
    const struct remote_config config = {.url = url, .timeout_ms = TIMEOUT_MS};
    enum b_code code = remote_open(&config, &r, err);
    if (code == B_OK)
        code = remote_call(r, "GET", "/v1/ca", NULL, &o, err);
    const char *pem = json_string_value(json_object_get(o, "ca"));
    if (code == B_OK)
        code = pki_cert_alone(pem != NULL ? pem : "", alone, sizeof(alone), err);
    if (code == B_OK)
        code = pki_cert_read(alone, &ca, err);
    if (code == B_OK && !b_ct_eq(ca.fingerprint, pin, PKI_CODE_PIN))
        code =
            b_err_set(err, B_E_CERT_BAD, 0,
                      "%s is not the server that gave this code: somebody may be in between", url);
    if (code == B_OK)
        code = b_file_replace(path, alone, strlen(alone), 0600, err);
    json_decref(o);
    remote_free(&r);
    return code;
}

/* Certificate and key lie in one file, so that no moment has one beside another's. */
static enum b_code write_identity(const struct pki_key *key, const char *cert, const char *path,
                                  struct b_err *err)
{
    static _Thread_local char text[PKI_PEM_MAX];
    size_t n = (size_t)snprintf(text, sizeof(text), "%s", cert);
    if (n >= sizeof(text))
        return b_err_set(err, B_E_CERT_BAD, 0, "a certificate of %zu bytes", n);
    enum b_code code = pki_key_pem(key, text + n, sizeof(text) - n, err);
    if (code == B_OK)
        code = b_file_replace(path, text, strlen(text), 0600, err);
    b_wipe(text, sizeof(text));
    return code;
}

/* A new key, and a certificate for it in exchange for a request. m: what else the message says. */
static enum b_code get_identity(struct remote *r, const char *path, json_t *m, const char *to,
                                struct b_err *err)
{
    static _Thread_local char request[PKI_PEM_MAX];
    json_t *answer = NULL;
    struct pki_cert cert;
    struct pki_key *key = NULL;
    enum b_code code = pki_key_generate(&key, err);
    if (code == B_OK)
        code = pki_request_make(key, "station", request, sizeof(request), err);
    if (code == B_OK) {
        (void)json_object_set_new(m, "csr", json_string(request));
        code = remote_call(r, "POST", path, m, &answer, err);
    }
    const char *pem = json_string_value(json_object_get(answer, "certificate"));
    if (code == B_OK)
        code = pki_cert_read(pem != NULL ? pem : "", &cert, err);
    if (code == B_OK)
        code = write_identity(key, pem, to, err);
    json_decref(answer);
    pki_key_free(&key);
    return code;
}

enum b_code agent_enrol(const char *dir, const char *url, const char *code_text, struct b_err *err)
{
    uint8_t digest[32];
    uint8_t pin[PKI_CODE_PIN];
    struct agent_home home;
    struct remote *r = NULL;
    char path[AGENT_PATH_MAX + 32];
    enum b_code code = name_files(dir, &home, err);
    (void)snprintf(path, sizeof(path), "%s/station.json", home.dir);
    if (code == B_OK && access(path, F_OK) == 0)
        return b_err_set(err, B_E_INITIALISED, 0,
                         "%s is of a station that was enrolled: go on as that one, or name another "
                         "directory with --state",
                         path);
    if (code == B_OK)
        code = pki_code_parse(code_text, digest, pin, err);
    if (code == B_OK && mkdir(dir, 0700) != 0 && errno != EEXIST)
        code = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", dir, strerror(errno));
    if (code == B_OK)
        code = find_ca(url, pin, home.ca, err);
    const struct remote_config config = {.url = url, .ca = home.ca, .timeout_ms = TIMEOUT_MS};
    if (code == B_OK)
        code = remote_open(&config, &r, err);
    json_t *m = json_pack("{s:s}", "code", code_text);
    if (code == B_OK)
        code = get_identity(r, "/v1/enrolment", m, home.cert, err);
    json_decref(m);
    json_t *o = json_pack("{s:s}", "server", url);
    char *text = json_dumps(o, 0);
    if (code == B_OK)
        code = b_file_replace(path, text, strlen(text), 0600, err);
    free(text);
    json_decref(o);
    remote_free(&r);
    return code;
}

/* What the certificate's file holds, the key too; to be wiped. B_E_CERT_BAD when it is not read. */
static enum b_code read_identity(const struct agent_home *home, char pem[static PKI_PEM_MAX],
                                 struct b_err *err)
{
    FILE *f = fopen(home->cert, "re");
    size_t n = f != NULL ? fread(pem, 1, PKI_PEM_MAX - 1, f) : 0;
    int cause = errno;
    if (f != NULL)
        (void)fclose(f);
    pem[n] = '\0';
    return n > 0 ? B_OK
                 : b_err_set(err, B_E_CERT_BAD, (uint32_t)cause, "%s: %s", home->cert,
                             f == NULL ? strerror(cause) : "nothing in it");
}

/* A hospital's own identity, and a station enrolled by an earlier version, has the key in a file of
 * its own. */
static const char *key_file(const struct agent_home *home)
{
    static _Thread_local char pem[PKI_PEM_MAX];
    struct b_err ignored;
    bool is_one =
        read_identity(home, pem, &ignored) == B_OK && strstr(pem, "PRIVATE KEY-----") != NULL;
    b_wipe(pem, sizeof(pem));
    return is_one ? home->cert : home->key;
}

static struct remote_config config_of(const struct agent_home *home)
{
    return (struct remote_config){.url = home->url,
                                  .ca = home->ca,
                                  .cert = home->cert,
                                  .key = key_file(home),
                                  .language = home->language[0] != '\0' ? home->language : "fr",
                                  .timeout_ms = TIMEOUT_MS};
}

enum b_code agent_connect(const struct agent_home *home, struct remote **ret, struct b_err *err)
{
    const struct remote_config config = config_of(home);
    return remote_open(&config, ret, err);
}

enum b_code agent_connect_long(const struct agent_home *home, bool (*is_stopped)(void *ctx),
                               void *ctx, struct remote **ret, struct b_err *err)
{
    struct remote_config config = config_of(home);
    config.timeout_ms = LONG_MS;
    config.is_stopped = is_stopped;
    config.ctx = ctx;
    return remote_open(&config, ret, err);
}

static enum b_code renew(const struct agent_home *home, struct remote *r, bool *ret_is_new,
                         struct b_err *err)
{
    static _Thread_local char pem[PKI_PEM_MAX];
    struct pki_cert cert = {.is_p256 = false};
    enum b_code code = read_identity(home, pem, err);
    if (code == B_OK)
        code = pki_cert_read(pem, &cert, err);
    b_wipe(pem, sizeof(pem));
    if (code != B_OK ||
        (int64_t)time(NULL) < cert.not_after - (cert.not_after - cert.not_before) / 3)
        return code;
    json_t *m = json_object();
    code = get_identity(r, "/v1/station/renewal", m, home->cert, err);
    json_decref(m);
    *ret_is_new = code == B_OK;
    return code;
}

/* One reader renews for all: who waited meanwhile finds a certificate that is young. */
enum b_code agent_renew(const struct agent_home *home, struct remote *r, bool *ret_is_new,
                        struct b_err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    *ret_is_new = false;
    if (home->is_pki_theirs)
        return B_OK;
    (void)pthread_mutex_lock(&lock);
    enum b_code code = renew(home, r, ret_is_new, err);
    if (*ret_is_new)
        (void)unlink(home->key); /* of an enrolment by an earlier version */
    (void)pthread_mutex_unlock(&lock);
    return code;
}
