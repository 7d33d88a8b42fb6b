#include "remote/post.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A connection is used again, and a file of CAs not read again, for so long. */
static const long KEPT_S = 300;

struct under_way {
    CURL *curl;
    struct curl_slist *headers;
    char *sent;
    char said[CURL_ERROR_SIZE];
    bool is_too_long;
    struct remote_posted done;
    size_t len;
    struct under_way *next;
};

struct remote_posts {
    CURLM *multi;
    struct under_way *first;
};

/* --- where to ----------------------------------------------------------------------------------
 */

static bool is_loopback(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < B_COUNT(names); i++)
        if (strcmp(host, names[i]) == 0)
            return true;
    return false;
}

static bool has_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    bool is_there = curl_url_get(u, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return is_there;
}

static const char *judge(CURLU *u, const char *url)
{
    char *scheme = NULL;
    char *host = NULL;
    const char *wrong = NULL;
    if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        wrong = N_("this is no address of the web");
    else if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD) ||
             has_part(u, CURLUPART_FRAGMENT))
        wrong = N_("no user, no password and no fragment may be in it");
    else if (strcmp(scheme, "https") != 0 && (strcmp(scheme, "http") != 0 || !is_loopback(host)))
        wrong = N_("https:// is wanted; http:// is for this machine alone");
    curl_free(scheme);
    curl_free(host);
    return wrong;
}

enum b_code remote_post_may(const char *url, struct b_err *err)
{
    CURLU *u = curl_url();
    if (u == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading an address");
    const char *wrong = judge(u, url);
    curl_url_cleanup(u);
    return wrong == NULL ? B_OK
                         : b_err_set(err, B_E_CONFIG, 0, "%.120s: %s", url, b_err_word(wrong));
}

/* --- one ---------------------------------------------------------------------------------------
 */

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
    struct under_way *w = ctx;
    size_t more = size * n;
    w->is_too_long = more > REMOTE_POST_ANSWER - w->len;
    if (w->is_too_long)
        return 0;
    memcpy(w->done.body + w->len, p, more);
    w->len += more;
    return more;
}

static void end(struct under_way *w)
{
    if (w == NULL)
        return;
    curl_easy_cleanup(w->curl);
    curl_slist_free_all(w->headers);
    free(w->sent);
    free(w);
}

static bool add_headers(struct under_way *w, const struct remote_post *post)
{
    for (size_t i = 0; i < REMOTE_POST_HEADERS; i++) {
        if (post->headers[i][0] == '\0')
            continue;
        struct curl_slist *more = curl_slist_append(w->headers, post->headers[i]);
        if (more == NULL)
            return false;
        w->headers = more;
    }
    return true;
}

static bool set(struct under_way *w, const struct remote_post *post)
{
    CURL *c = w->curl;
    bool is_set = curl_easy_setopt(c, CURLOPT_URL, post->url) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https,http") == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_NOPROXY, "*") == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_MAXLIFETIME_CONN, KEPT_S) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_CA_CACHE_TIMEOUT, KEPT_S) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, post->timeout_ms) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, post->timeout_ms) == CURLE_OK;
    if (is_set && post->ca[0] != '\0')
        is_set = curl_easy_setopt(c, CURLOPT_CAINFO, post->ca) == CURLE_OK &&
                 curl_easy_setopt(c, CURLOPT_CAPATH, NULL) == CURLE_OK;
    return is_set && curl_easy_setopt(c, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POSTFIELDS, w->sent) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(w->sent)) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, w->headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, w->said) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, w) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PRIVATE, w) == CURLE_OK;
}

/* --- all ---------------------------------------------------------------------------------------
 */

struct remote_posts *remote_posts_new(void)
{
    struct remote_posts *p = calloc(1, sizeof(*p));
    if (p != NULL && (p->multi = curl_multi_init()) == NULL) {
        free(p);
        p = NULL;
    }
    return p;
}

enum b_code remote_posts_add(struct remote_posts *p, const struct remote_post *post,
                             struct b_err *err)
{
    enum b_code r = remote_post_may(post->url, err);
    if (r != B_OK)
        return r;
    struct under_way *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "posting to %.100s", post->url);
    w->curl = curl_easy_init();
    w->sent = strdup(post->body);
    w->done.tag = post->tag;
    if (w->curl != NULL && w->sent != NULL && add_headers(w, post) && set(w, post) &&
        curl_multi_add_handle(p->multi, w->curl) == CURLM_OK) {
        w->next = p->first;
        p->first = w;
        return B_OK;
    }
    end(w);
    return b_err_set(err, B_E_SYSTEM, 0, "posting to %.100s", post->url);
}

void remote_posts_wait(struct remote_posts *p, int ms)
{
    int running = 0;
    (void)curl_multi_perform(p->multi, &running);
    (void)curl_multi_poll(p->multi, NULL, 0, ms, NULL);
    (void)curl_multi_perform(p->multi, &running);
}

void remote_posts_wake(struct remote_posts *p)
{
    (void)curl_multi_wakeup(p->multi);
}

static void take_out(struct remote_posts *p, struct under_way *w)
{
    struct under_way **at = &p->first;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    (void)curl_multi_remove_handle(p->multi, w->curl);
}

/* The next that has ended, out of the others; NULL: none. */
static struct under_way *next_ended(struct remote_posts *p, CURLcode *ret_code)
{
    int left = 0;
    CURLMsg *m = NULL;
    while ((m = curl_multi_info_read(p->multi, &left)) != NULL) {
        struct under_way *w = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        *ret_code = m->data.result;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&w);
        take_out(p, w);
        return w;
    }
    return NULL;
}

bool remote_posts_take(struct remote_posts *p, struct remote_posted *ret)
{
    CURLcode code = CURLE_OK;
    struct under_way *w = next_ended(p, &code);
    if (w == NULL)
        return false;
    *ret = w->done;
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &ret->status);
    else if (w->is_too_long)
        (void)snprintf(ret->error, sizeof(ret->error), "it answers more than %d bytes",
                       REMOTE_POST_ANSWER);
    else
        (void)snprintf(ret->error, sizeof(ret->error), "%.150s",
                       w->said[0] != '\0' ? w->said : curl_easy_strerror(code));
    end(w);
    return true;
}

void remote_posts_free(struct remote_posts **pp)
{
    struct remote_posts *p = *pp;
    *pp = NULL;
    if (p == NULL)
        return;
    while (p->first != NULL) {
        struct under_way *w = p->first;
        take_out(p, w);
        end(w);
    }
    (void)curl_multi_cleanup(p->multi);
    free(p);
}
