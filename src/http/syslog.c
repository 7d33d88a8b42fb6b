#include "http/syslog.h"

#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { AT_ONCE = 1000, FACILITY_AUTHPRIV = 10, WARNING = 4, NOTICE = 5, INFORMATIONAL = 6 };

struct http_syslog {
    int fd;
    struct sockaddr_storage to;
    socklen_t to_len;
    uint64_t next;
    unsigned found; /* of one round */
    char host[256];
    atomic_uint_least64_t sent, dropped;
};

/* --- one line ----------------------------------------------------------------------------------
 */

static void take(const json_t *o, const char *name, char *to, size_t cap)
{
    const char *text = json_string_value(json_object_get(o, name));
    (void)snprintf(to, cap, "%s", text != NULL ? text : "");
}

bool http_syslog_read(const char *body, size_t n, struct http_syslog_event *ret)
{
    json_t *o = json_loadb(body, n, JSON_REJECT_DUPLICATES, NULL);
    bool is_entry = json_is_string(json_object_get(o, "kind"));
    *ret = (struct http_syslog_event){
        .at = json_integer_value(json_object_get(o, "at")),
        .badge = json_integer_value(json_object_get(o, "badge")),
        .station = json_integer_value(json_object_get(o, "station")),
    };
    take(o, "kind", ret->kind, sizeof(ret->kind));
    take(o, "outcome", ret->outcome, sizeof(ret->outcome));
    take(o, "actor", ret->actor, sizeof(ret->actor));
    take(o, "request", ret->request, sizeof(ret->request));
    json_decref(o);
    return is_entry;
}

static void put(struct b_wr *w, const char *text)
{
    b_wr_bytes(w, text, strlen(text));
}

/* HOSTNAME and MSGID: PRINTUSASCII, at most so many; "-" for none (NILVALUE). */
static void put_name(struct b_wr *w, const char *text, size_t most)
{
    if (text[0] == '\0')
        put(w, "-");
    for (size_t i = 0; i < most && text[i] != '\0'; i++)
        b_wr_u8(w, text[i] > 32 && text[i] < 127 ? (uint8_t)text[i] : '?');
}

/* PARAM-VALUE (§6.3.3): '"', '\' and ']' are escaped. Our values are names and numbers: what is
 * not ASCII, or could forge a line in a careless reader, is shown as '?'. */
static void put_param(struct b_wr *w, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    put(w, " ");
    put(w, name);
    put(w, "=\"");
    for (const char *p = value; *p != '\0'; p++) {
        if (strchr("\"\\]", *p) != NULL)
            b_wr_u8(w, '\\');
        b_wr_u8(w, *p >= 32 && *p < 127 ? (uint8_t)*p : '?');
    }
    put(w, "\"");
}

static void put_number(struct b_wr *w, const char *name, int64_t v)
{
    char text[24] = "";
    if (v != 0)
        (void)snprintf(text, sizeof(text), "%lld", (long long)v);
    put_param(w, name, text);
}

static int severity(const struct http_syslog_event *e)
{
    if (strcmp(e->outcome, b_code_name(B_OK)) != 0)
        return WARNING;
    return strcmp(e->kind, "tap") == 0 || strncmp(e->kind, "step-", 5) == 0 ? INFORMATIONAL
                                                                            : NOTICE;
}

size_t http_syslog_print(const struct http_syslog_event *e, const char *host, unsigned pid,
                         char *out, size_t cap)
{
    char text[48];
    struct tm tm = {.tm_year = 70};
    time_t at = (time_t)e->at;
    struct b_wr w = b_wr_from(out, cap);
    (void)snprintf(text, sizeof(text), "<%d>1 ", FACILITY_AUTHPRIV * 8 + severity(e));
    put(&w, text);
    (void)gmtime_r(&at, &tm);
    if (strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ ", &tm) == 0)
        return 0;
    put(&w, text);
    put_name(&w, host, 255);
    (void)snprintf(text, sizeof(text), " tessered %u ", pid);
    put(&w, text);
    put_name(&w, e->kind, 32);
    put(&w, " [tessere@32473");
    put_param(&w, "kind", e->kind);
    put_param(&w, "outcome", e->outcome);
    put_number(&w, "badge", e->badge);
    put_number(&w, "station", e->station);
    put_param(&w, "actor", e->actor);
    put_param(&w, "request", e->request);
    put(&w, "] ");
    put_name(&w, e->kind, 32);
    put(&w, " ");
    put_name(&w, e->outcome, 64);
    return b_wr_ok(&w) ? w.len : 0;
}

/* --- where it goes -----------------------------------------------------------------------------
 */

static enum b_code open_local(const char *path, struct http_syslog *l, struct b_err *err)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (snprintf(un.sun_path, sizeof(un.sun_path), "%s", path) >= (int)sizeof(un.sun_path))
        return b_err_set(err, B_E_CONFIG, 0, "syslog: %s: too long", path);
    memcpy(&l->to, &un, sizeof(un));
    l->to_len = sizeof(un);
    l->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return B_OK;
}

/* The name is looked up once: a resolver that hangs must not hang us later. */
static enum b_code open_udp(const char *where, struct http_syslog *l, struct b_err *err)
{
    char host[256];
    const char *colon = strrchr(where, ':');
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    if (colon == NULL || colon == where || colon[1] == '\0')
        return b_err_set(err, B_E_CONFIG, 0, "syslog: udp:HOST:PORT");
    bool is_v6 = where[0] == '[' && colon[-1] == ']';
    size_t n = (size_t)(colon - where) - (is_v6 ? 2 : 0);
    if (n >= sizeof(host))
        return b_err_set(err, B_E_CONFIG, 0, "syslog: a host of %zu characters", n);
    memcpy(host, where + (is_v6 ? 1 : 0), n);
    host[n] = '\0';
    int r = getaddrinfo(host, colon + 1, &hints, &found);
    if (r != 0)
        return b_err_set(err, B_E_SYSTEM, 0, "syslog: %s: %s", where, gai_strerror(r));
    memcpy(&l->to, found->ai_addr, found->ai_addrlen);
    l->to_len = found->ai_addrlen;
    l->fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    freeaddrinfo(found);
    return B_OK;
}

enum b_code http_syslog_open(const char *where, uint64_t next, struct http_syslog **ret,
                             struct b_err *err)
{
    struct http_syslog *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "syslog");
    l->fd = -1;
    l->next = next;
    (void)gethostname(l->host, sizeof(l->host) - 1);
    enum b_code r = B_OK;
    if (where[0] == '/')
        r = open_local(where, l, err);
    else if (strncmp(where, "udp:", 4) == 0)
        r = open_udp(where + 4, l, err);
    else
        r = b_err_set(err, B_E_CONFIG, 0, "syslog: a path such as /dev/log, or udp:HOST:PORT");
    if (r == B_OK && l->fd < 0)
        r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "syslog: %s", strerror(errno));
    if (r != B_OK)
        http_syslog_free(&l);
    *ret = l;
    return r;
}

void http_syslog_free(struct http_syslog **pl)
{
    struct http_syslog *l = *pl;
    *pl = NULL;
    if (l != NULL && l->fd >= 0)
        (void)close(l->fd);
    free(l);
}

/* Of the journal with itself: nothing that anybody did. */
static bool is_bookkeeping(const char *kind)
{
    return strcmp(kind, "checkpoint") == 0 || strcmp(kind, "answer") == 0 ||
           strcmp(kind, "records") == 0 || strcmp(kind, "forget-answers") == 0;
}

static bool send_entry(void *ctx, const struct store_entry *e)
{
    struct http_syslog *l = ctx;
    struct http_syslog_event event;
    char line[HTTP_SYSLOG_MAX];
    l->next = e->index + 1;
    l->found++;
    if (!http_syslog_read(e->body, e->body_len, &event) || is_bookkeeping(event.kind))
        return true;
    size_t n = http_syslog_print(&event, l->host, (unsigned)getpid(), line, sizeof(line));
    const struct sockaddr *to = (const struct sockaddr *)&l->to;
    bool is_sent =
        n > 0 && sendto(l->fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL, to, l->to_len) == (ssize_t)n;
    atomic_fetch_add(is_sent ? &l->sent : &l->dropped, 1);
    return true;
}

bool http_syslog_follow(struct http_syslog *l, struct store *s)
{
    const struct store_entry_range range = {.from = l->next, .count = AT_ONCE};
    struct b_err err;
    l->found = 0;
    /* A store that cannot be read is told of by those who need it; the entries are sent later. */
    return store_entry_each(s, &range, send_entry, l, &err) == B_OK && l->found == AT_ONCE;
}

struct http_syslog_counts http_syslog_counted(const struct http_syslog *l)
{
    if (l == NULL)
        return (struct http_syslog_counts){0};
    return (struct http_syslog_counts){atomic_load(&l->sent), atomic_load(&l->dropped)};
}
