/* From a one-time code to a certificate, and from a certificate to its successor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "pki/pki.h"

enum { TIMEOUT_MS = 10000 };

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
    json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    const char *url = json_string_value(json_object_get(o, "server"));
    enum b_code r = B_OK;
    if (url == NULL || strlen(url) >= sizeof(h->url))
        r = b_err_set(err, B_E_NOT_INITIALISED, 0,
                      "%s: this station is not enrolled: tessere-agent enrol", path);
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

static enum b_code write_text(const char *path, const char *text, struct b_err *err)
{
    char part[AGENT_PATH_MAX + 64];
    (void)snprintf(part, sizeof(part), "%s.part", path);
    FILE *f = fopen(part, "we");
    bool is_done = f != NULL && fputs(text, f) >= 0 && fflush(f) == 0 && fsync(fileno(f)) == 0;
    int cause = errno;
    if (f != NULL)
        is_done &= fclose(f) == 0;
    if (is_done && rename(part, path) != 0) {
        is_done = false;
        cause = errno;
    }
    return is_done ? B_OK
                   : b_err_set(err, B_E_SYSTEM, (uint32_t)cause, "writing %s: %s", path,
                               strerror(cause));
}

/* The server's CA, taken without trust and held against what the code says of it. */
static enum b_code find_ca(const char *url, const uint8_t pin[static PKI_CODE_PIN],
                           const char *path, struct b_err *err)
{
    struct remote *r = NULL;
    struct pki_cert ca;
    json_t *o = NULL;
    const struct remote_config config = {.url = url, .timeout_ms = TIMEOUT_MS};
    enum b_code code = remote_open(&config, &r, err);
    if (code == B_OK)
        code = remote_call(r, "GET", "/v1/ca", NULL, &o, err);
    const char *pem = json_string_value(json_object_get(o, "ca"));
    if (code == B_OK)
        code = pki_cert_read(pem != NULL ? pem : "", &ca, err);
    if (code == B_OK && !b_ct_eq(ca.fingerprint, pin, PKI_CODE_PIN))
        code =
            b_err_set(err, B_E_CERT_BAD, 0,
                      "%s is not the server that gave this code: somebody may be in between", url);
    if (code == B_OK)
        code = write_text(path, pem, err);
    json_decref(o);
    remote_free(&r);
    return code;
}

/* Exchanges a request for a certificate. o: what else the message says. */
static enum b_code get_certificate(struct remote *r, const char *path, json_t *m,
                                   const struct pki_key *key, const char *to, struct b_err *err)
{
    static char request[PKI_PEM_MAX];
    json_t *answer = NULL;
    struct pki_cert cert;
    enum b_code code = pki_request_make(key, "station", request, sizeof(request), err);
    if (code == B_OK) {
        (void)json_object_set_new(m, "csr", json_string(request));
        code = remote_call(r, "POST", path, m, &answer, err);
    }
    const char *pem = json_string_value(json_object_get(answer, "certificate"));
    if (code == B_OK)
        code = pki_cert_read(pem != NULL ? pem : "", &cert, err);
    if (code == B_OK)
        code = write_text(to, pem, err);
    json_decref(answer);
    return code;
}

enum b_code agent_enrol(const char *dir, const char *url, const char *code_text, struct b_err *err)
{
    uint8_t digest[32];
    uint8_t pin[PKI_CODE_PIN];
    struct agent_home home;
    struct pki_key *key = NULL;
    struct remote *r = NULL;
    char path[AGENT_PATH_MAX + 32];
    enum b_code code = name_files(dir, &home, err);
    (void)snprintf(path, sizeof(path), "%s/station.json", home.dir);
    if (code == B_OK && access(path, F_OK) == 0)
        return b_err_set(err, B_E_INITIALISED, 0, "%s", path);
    if (code == B_OK)
        code = pki_code_parse(code_text, digest, pin, err);
    if (code == B_OK && mkdir(dir, 0700) != 0 && errno != EEXIST)
        code = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", dir, strerror(errno));
    if (code == B_OK)
        code = find_ca(url, pin, home.ca, err);
    const struct remote_config config = {.url = url, .ca = home.ca, .timeout_ms = TIMEOUT_MS};
    if (code == B_OK)
        code = remote_open(&config, &r, err);
    if (code == B_OK)
        code = pki_key_generate(&key, err);
    if (code == B_OK && unlink(home.key) != 0 && errno != ENOENT) /* of a try that was cut */
        code = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", home.key, strerror(errno));
    if (code == B_OK)
        code = pki_key_write(key, home.key, err);
    json_t *m = json_pack("{s:s}", "code", code_text);
    if (code == B_OK)
        code = get_certificate(r, "/v1/enrolment", m, key, home.cert, err);
    json_decref(m);
    json_t *o = json_pack("{s:s}", "server", url);
    char *text = json_dumps(o, 0);
    if (code == B_OK)
        code = write_text(path, text, err);
    free(text);
    json_decref(o);
    pki_key_free(&key);
    remote_free(&r);
    return code;
}

enum b_code agent_connect(const struct agent_home *home, struct remote **ret, struct b_err *err)
{
    const struct remote_config config = {.url = home->url,
                                         .ca = home->ca,
                                         .cert = home->cert,
                                         .key = home->key,
                                         .language =
                                             home->language[0] != '\0' ? home->language : "fr",
                                         .timeout_ms = TIMEOUT_MS};
    return remote_open(&config, ret, err);
}

/* The new pair stands beside the old one until both are whole; a cut between the two renames leaves
 * a key without its certificate, which the next start notices and the administrator's code mends.
 */
enum b_code agent_renew(const struct agent_home *home, struct remote *r, bool *ret_is_new,
                        struct b_err *err)
{
    static char pem[PKI_PEM_MAX];
    char next_key[AGENT_PATH_MAX + 64];
    char next_cert[AGENT_PATH_MAX + 64];
    struct pki_cert cert;
    struct pki_key *key = NULL;
    *ret_is_new = false;
    if (home->is_pki_theirs)
        return B_OK;
    FILE *f = fopen(home->cert, "re");
    size_t n = f != NULL ? fread(pem, 1, sizeof(pem) - 1, f) : 0;
    if (f != NULL)
        (void)fclose(f);
    pem[n] = '\0';
    enum b_code code = pki_cert_read(pem, &cert, err);
    int64_t third = (cert.not_after - cert.not_before) / 3;
    if (code != B_OK || (int64_t)time(NULL) < cert.not_after - third)
        return code;
    (void)snprintf(next_key, sizeof(next_key), "%s.next", home->key);
    (void)snprintf(next_cert, sizeof(next_cert), "%s.next", home->cert);
    (void)unlink(next_key);
    code = pki_key_generate(&key, err);
    if (code == B_OK)
        code = pki_key_write(key, next_key, err);
    json_t *m = json_object();
    if (code == B_OK)
        code = get_certificate(r, "/v1/station/renewal", m, key, next_cert, err);
    json_decref(m);
    pki_key_free(&key);
    if (code == B_OK && (rename(next_key, home->key) != 0 || rename(next_cert, home->cert) != 0))
        code = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", home->cert, strerror(errno));
    *ret_is_new = code == B_OK;
    return code;
}
