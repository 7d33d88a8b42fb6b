#include "remote/remote.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { ANSWER_MAX = 1024 * 1024, URL_MAX = 512 };

struct remote {
    CURL *curl;
    struct curl_slist *headers;
    char base[URL_MAX];
    char said[CURL_ERROR_SIZE];
    char sentence[256];
    char *answer;
    size_t answer_len;
    bool (*is_stopped)(void *ctx);
    void *ctx;
};

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
    struct remote *r = ctx;
    size_t more = size * n;
    if (more > ANSWER_MAX - r->answer_len)
        return 0; /* nothing that is asked for is that long */
    char *grown = realloc(r->answer, r->answer_len + more + 1);
    if (grown == NULL)
        return 0;
    r->answer = grown;
    memcpy(grown + r->answer_len, p, more);
    r->answer_len += more;
    return more;
}

/* libcurl's progress, whose figures nobody needs; anything but 0 cuts the call. */
static int look_whether_stopped(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct remote *r = ctx;
    (void)a, (void)b, (void)c, (void)d;
    return r->is_stopped(r->ctx) ? 1 : 0;
}

static bool can_be_cut(struct remote *r, const struct remote_config *config)
{
    r->is_stopped = config->is_stopped;
    r->ctx = config->ctx;
    return r->is_stopped == NULL ||
           (curl_easy_setopt(r->curl, CURLOPT_XFERINFOFUNCTION, look_whether_stopped) == CURLE_OK &&
            curl_easy_setopt(r->curl, CURLOPT_XFERINFODATA, r) == CURLE_OK &&
            curl_easy_setopt(r->curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK);
}

static bool add_header(struct remote *r, const char *text)
{
    struct curl_slist *more = curl_slist_append(r->headers, text);
    if (more != NULL)
        r->headers = more;
    return more != NULL;
}

static bool set(CURL *c, const struct remote_config *config)
{
    bool is_set = curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_3) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_NOPROXY, "*") == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, config->timeout_ms) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, config->timeout_ms) == CURLE_OK;
    if (is_set && config->ca != NULL)
        is_set = curl_easy_setopt(c, CURLOPT_CAINFO, config->ca) == CURLE_OK &&
                 curl_easy_setopt(c, CURLOPT_CAPATH, NULL) == CURLE_OK;
    else if (is_set)
        is_set = curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK &&
                 curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK;
    if (is_set && config->cert != NULL)
        is_set = curl_easy_setopt(c, CURLOPT_SSLCERT, config->cert) == CURLE_OK &&
                 curl_easy_setopt(c, CURLOPT_SSLKEY, config->key) == CURLE_OK;
    return is_set;
}

enum b_code remote_open(const struct remote_config *config, struct remote **ret, struct b_err *err)
{
    static const char https[] = "https://";
    size_t n = strlen(config->url);
    if (strncmp(config->url, https, sizeof(https) - 1) != 0 || n >= URL_MAX)
        return b_err_set(err, B_E_USAGE, 0, "the server is named as https://NAME:PORT, not %.60s",
                         config->url);
    struct remote *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "connecting to the server");
    memcpy(r->base, config->url, n);
    while (n > 0 && r->base[n - 1] == '/')
        r->base[--n] = '\0';
    r->curl = curl_easy_init();
    bool is_french = config->language == NULL || config->language[0] == 'f';
    if (r->curl == NULL || !set(r->curl, config) || !can_be_cut(r, config) ||
        !add_header(r, "Content-Type: application/json") || !add_header(r, "Expect:") ||
        !add_header(r, is_french ? "Accept-Language: fr" : "Accept-Language: en") ||
        curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->headers) != CURLE_OK ||
        curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, r->said) != CURLE_OK ||
        curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, take) != CURLE_OK ||
        curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, r) != CURLE_OK) {
        remote_free(&r);
        return b_err_set(err, B_E_SYSTEM, 0, "preparing a connection to %s", config->url);
    }
    *ret = r;
    return B_OK;
}

void remote_free(struct remote **r)
{
    if (*r == NULL)
        return;
    curl_easy_cleanup((*r)->curl);
    curl_slist_free_all((*r)->headers);
    free((*r)->answer);
    free(*r);
    *r = NULL;
}

const char *remote_sentence(const struct remote *r)
{
    return r->sentence;
}

unsigned remote_pause_ms(unsigned n)
{
    enum { LEAST = 250, MOST = 30000 };
    unsigned most = n < 8 ? (unsigned)LEAST << n : MOST;
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
        chance = 0;
    most = most < MOST ? most : MOST;
    return most / 2 + chance % (most / 2);
}

/* A problem's own code, by its stable name; what has none of ours is the server's fault. */
static enum b_code from_problem(struct remote *r, const json_t *problem, long status,
                                struct b_err *err)
{
    const char *name = json_string_value(json_object_get(problem, "code"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *sentence = json_string_value(json_object_get(problem, "sentence"));
    if (sentence != NULL && strlen(sentence) < sizeof(r->sentence))
        memcpy(r->sentence, sentence, strlen(sentence) + 1);
    enum b_code code = name != NULL ? b_code_of(name, B_OK) : B_OK;
    if (code == B_OK)
        return b_err_set(err, B_E_SERVER_GONE, (uint32_t)status, "the server answers %ld", status);
    return b_err_hear(err, code, (uint32_t)status, detail != NULL ? detail : "");
}

static enum b_code send_body(struct remote *r, const char *method, const char *path, char *text,
                             struct b_err *err)
{
    char url[2 * URL_MAX];
    size_t base = strlen(r->base);
    size_t n = strlen(path);
    if (n >= URL_MAX)
        return b_err_set(err, B_E_USAGE, 0, "the path is too long");
    memcpy(url, r->base, base);
    memcpy(url + base, path, n + 1);
    free(r->answer);
    r->answer = NULL;
    r->answer_len = 0;
    r->said[0] = '\0';
    bool is_get = strcmp(method, "GET") == 0;
    bool is_set =
        curl_easy_setopt(r->curl, CURLOPT_URL, url) == CURLE_OK &&
        (is_get ? curl_easy_setopt(r->curl, CURLOPT_HTTPGET, 1L)
                : curl_easy_setopt(r->curl, CURLOPT_POST, 1L)) == CURLE_OK &&
        curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, is_get ? NULL : method) == CURLE_OK;
    if (is_set && !is_get)
        is_set =
            curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, text != NULL ? text : "") == CURLE_OK &&
            curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE,
                             text != NULL ? (long)strlen(text) : 0L) == CURLE_OK;
    CURLcode code = is_set ? curl_easy_perform(r->curl) : CURLE_FAILED_INIT;
    if (code == CURLE_OK)
        return B_OK;
    return b_err_set(err, B_E_SERVER_GONE, (uint32_t)code, "%s: %s", r->base,
                     r->said[0] != '\0' ? r->said : curl_easy_strerror(code));
}

enum b_code remote_call(struct remote *r, const char *method, const char *path, const json_t *body,
                        json_t **ret, struct b_err *err)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body != NULL && text == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "asking the server");
    r->sentence[0] = '\0';
    enum b_code code = send_body(r, method, path, text, err);
    if (text != NULL)
        b_wipe(text, strlen(text));
    free(text);
    if (code != B_OK)
        return code;
    long status = 0;
    (void)curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    json_t *answer =
        json_loadb(r->answer != NULL ? r->answer : "", r->answer_len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(answer))
        code = b_err_set(err, B_E_SERVER_GONE, (uint32_t)status,
                         "%s answers %ld with something that is not JSON", r->base, status);
    else if (status < 200 || status > 299)
        code = from_problem(r, answer, status, err);
    if (code == B_OK && ret != NULL)
        *ret = json_incref(answer);
    json_decref(answer);
    return code;
}

const char *remote_text(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}
