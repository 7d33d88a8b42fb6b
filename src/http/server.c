/* The listener: libmicrohttpd's callbacks, and TLS. */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/crypto.h"
#include "http/http.h"

/* A request while its body comes in. */
struct incoming {
    size_t len, cap;
    bool is_too_long;
    char *body;
};

/* Room for so many more bytes; what was there is wiped when it moves. */
static bool make_room(struct incoming *in, size_t more)
{
    enum { FIRST = 2048 };
    if (more > HTTP_BODY_MAX - in->len)
        return false;
    if (in->cap - in->len >= more)
        return true;
    size_t cap = in->len + more > FIRST ? HTTP_BODY_MAX : FIRST;
    char *body = malloc(cap);
    if (body == NULL)
        return false;
    if (in->len > 0) {
        memcpy(body, in->body, in->len);
        b_wipe(in->body, in->len);
    }
    free(in->body);
    in->body = body;
    in->cap = cap;
    return true;
}

/* --- who it is ---------------------------------------------------------------------------------
 */

/* libmicrohttpd asks for a certificate and looks at none: it is verified here, once a connection.
 */
static void check_certificate(struct MHD_Connection *connection, struct http_peer *p)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    unsigned status = ~0u;
    unsigned count = 0;
    p->is_checked = true;
    if (info == NULL)
        return;
    gnutls_session_t session = (gnutls_session_t)info->tls_session;
    const gnutls_datum_t *certs = gnutls_certificate_get_peers(session, &count);
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
    if (certs == NULL || count == 0 ||
        gnutls_certificate_verify_peers(session, &purpose, 1, &status) != GNUTLS_E_SUCCESS ||
        status != 0)
        return;
    crypto_sha256(certs[0].data, certs[0].size, p->fingerprint);
    p->has_certificate = true;
}

/* --- limits ------------------------------------------------------------------------------------
 */

/* A bucket of ten seconds' worth of requests. */
static bool is_within_rate(const struct http_server *s, struct http_peer *p)
{
    double rate = s->config.requests_per_second;
    uint64_t now = http_now_ms();
    double most = rate * 10;
    p->tokens += p->tokens_ms == 0 ? most : (double)(now - p->tokens_ms) * rate / 1000.0;
    p->tokens_ms = now;
    if (p->tokens > most)
        p->tokens = most;
    if (p->tokens < 1)
        return false;
    p->tokens -= 1;
    return true;
}

/* --- answering ---------------------------------------------------------------------------------
 */

static enum MHD_Result give(struct MHD_Connection *connection, const struct http_answer *a)
{
    size_t n = strlen(a->text);
    struct MHD_Response *r = MHD_create_response_from_buffer(n, a->text, MHD_RESPMEM_MUST_FREE);
    if (r == NULL) {
        free(a->text);
        return MHD_NO;
    }
    bool is_said = MHD_add_response_header(r, "Content-Type", a->type) == MHD_YES &&
                   MHD_add_response_header(r, "X-Request-Id", a->request) == MHD_YES &&
                   MHD_add_response_header(r, "Cache-Control", "no-store") == MHD_YES;
    if (is_said && a->ends_connection)
        is_said = MHD_add_response_header(r, "Connection", "close") == MHD_YES;
    enum MHD_Result result =
        is_said ? MHD_queue_response(connection, (unsigned)a->status, r) : MHD_NO;
    MHD_destroy_response(r);
    return result;
}

static const char *query(void *ctx, const char *name)
{
    return MHD_lookup_connection_value(ctx, MHD_GET_ARGUMENT_KIND, name);
}

static struct http_peer *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_len, void **request)
{
    (void)version;
    struct http_server *s = cls;
    struct http_peer *p = peer_of(connection);
    struct incoming *in = *request;
    if (p == NULL)
        return MHD_NO;
    if (in == NULL) { /* headers are whole; the body comes */
        in = calloc(1, sizeof(*in));
        *request = in;
        return in != NULL ? MHD_YES : MHD_NO;
    }
    if (*upload_len > 0) {
        if (strcmp(method, "GET") == 0 || !make_room(in, *upload_len))
            in->is_too_long = true;
        else
            memcpy(in->body + in->len, upload, *upload_len);
        if (!in->is_too_long)
            in->len += *upload_len;
        *upload_len = 0;
        return MHD_YES;
    }
    if (!p->is_checked)
        check_certificate(connection, p);
    struct http_request r = {
        .method = method,
        .url = url,
        .content_type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Type"),
        .language = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept-Language"),
        .idempotency = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Idempotency-Key"),
        .query = query,
        .query_ctx = connection,
        .body = in->is_too_long    ? NULL
                : in->body != NULL ? in->body
                                   : "",
        .body_len = in->len,
        .is_too_often = !is_within_rate(s, p)};
    struct http_answer a;
    http_carry_out(s, p, &r, &a);
    if (!a.ends_connection)
        atomic_store(&p->is_idle, true);
    return give(connection, &a);
}

/* The request line is there: from now on the request has its seconds to be whole. */
static void *request_begins(void *cls, const char *uri, struct MHD_Connection *connection)
{
    (void)cls;
    (void)uri;
    struct http_peer *p = peer_of(connection);
    if (p != NULL) {
        if (atomic_load(&p->is_idle))
            atomic_store(&p->since_ms, http_now_ms());
        atomic_store(&p->is_idle, false);
    }
    return NULL;
}

static void request_ends(void *cls, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)connection;
    (void)code;
    struct incoming *in = *request;
    if (in != NULL) {
        if (in->len > 0)
            b_wipe(in->body, in->len);
        free(in->body);
    }
    free(in);
    *request = NULL;
}

static void connection_changes(void *cls, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = info != NULL ? http_guard_add(s->guard, info->connect_fd) : NULL;
        if (info != NULL)
            (void)setsockopt(info->connect_fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    } else if (*context != NULL) {
        http_guard_remove(s->guard, *context);
        *context = NULL;
    }
}

/* --- start and stop ----------------------------------------------------------------------------
 */

static enum b_code read_pem(const struct http_server *s, const char *name, char **ret,
                            struct b_err *err)
{
    char path[2 * HTTP_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : s->home,
                   name[0] == '/' ? "" : "/", name);
    FILE *f = fopen(path, "re");
    char *text = f != NULL ? calloc(1, HTTP_BODY_MAX + 1) : NULL;
    size_t n = text != NULL ? fread(text, 1, HTTP_BODY_MAX, f) : 0;
    int cause = errno;
    if (f != NULL)
        (void)fclose(f);
    if (n == 0) {
        free(text);
        return b_err_set(err, B_E_CONFIG, (uint32_t)cause, "%s: %s", path,
                         f == NULL ? strerror(cause) : "nothing in it");
    }
    *ret = text;
    return B_OK;
}

static bool listen_address(const struct http_config *c, struct sockaddr_storage *ret)
{
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)ret;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)ret;
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, c->address, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(c->port);
        return true;
    }
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(c->port);
    return inet_pton(AF_INET6, c->address, &six->sin6_addr) == 1;
}

static enum b_code start_daemon(struct http_server *s, struct b_err *err)
{
    struct sockaddr_storage address;
    if (!listen_address(&s->config, &address))
        return b_err_set(err, B_E_CONFIG, 0, "listen: %s is not an address", s->config.address);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | MHD_USE_TLS;
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, s, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_HTTPS_MEM_CERT,
        s->certificate, MHD_OPTION_HTTPS_MEM_KEY, s->key, MHD_OPTION_HTTPS_MEM_TRUST, s->trust,
        MHD_OPTION_HTTPS_PRIORITIES, "SECURE128:-VERS-ALL:+VERS-TLS1.3",
        MHD_OPTION_CONNECTION_LIMIT, s->config.connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        s->config.connections_per_address, MHD_OPTION_CONNECTION_TIMEOUT, 300u,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)512 * 1024, MHD_OPTION_NOTIFY_COMPLETED, request_ends, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, connection_changes, s, MHD_OPTION_URI_LOG_CALLBACK,
        request_begins, NULL, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    if (s->daemon == NULL)
        return b_err_set(err, B_E_CONFIG, (uint32_t)errno, "listening on %s port %u: %s",
                         s->config.address, s->config.port, strerror(errno));
    return B_OK;
}

enum b_code http_server_start(struct http_server *s, struct b_err *err)
{
    b_check(pthread_mutex_init(&s->readers_lock, NULL) == 0 &&
            pthread_cond_init(&s->reader_freed, NULL) == 0);
    enum b_code r = read_pem(s, s->config.certificate, &s->certificate, err);
    if (r == B_OK)
        r = read_pem(s, s->config.key, &s->key, err);
    if (r == B_OK)
        r = read_pem(s, s->config.trust, &s->trust, err);
    if (r == B_OK && (s->guard = http_guard_start(s->config.stall_seconds)) == NULL)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "starting the server");
    return r == B_OK ? start_daemon(s, err) : r;
}

void http_server_stop(struct http_server *s)
{
    if (s->daemon != NULL)
        MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    http_guard_stop(&s->guard);
    if (s->key != NULL)
        b_wipe(s->key, strlen(s->key));
    free(s->certificate);
    free(s->key);
    free(s->trust);
    s->certificate = s->key = s->trust = NULL;
}

uint16_t http_server_port(const struct http_server *s)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}
