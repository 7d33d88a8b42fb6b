/* The listener: libmicrohttpd's callbacks, and TLS. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

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

/* IPv4: the address; IPv6: the network, in which one host may take as many addresses as it likes.
 */
static void read_address(struct MHD_Connection *connection, uint8_t who[static HTTP_WHO])
{
    enum { NETWORK = 8 };
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    memset(who, 0, HTTP_WHO);
    if (info == NULL || info->client_addr == NULL)
        return;
    if (info->client_addr->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)info->client_addr;
        memcpy(who, &four->sin_addr, sizeof(four->sin_addr));
    } else if (info->client_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)info->client_addr;
        bool is_four = IN6_IS_ADDR_V4MAPPED(&six->sin6_addr);
        memcpy(who, &six->sin6_addr, is_four ? sizeof(six->sin6_addr) : NETWORK);
    }
}

/* libmicrohttpd asks for a certificate and looks at none: it is verified here, once a connection.
 */
static void check_certificate(struct MHD_Connection *connection, struct http_peer *p)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    unsigned status = ~0u;
    unsigned count = 0;
    p->is_checked = true;
    read_address(connection, p->who);
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
    memcpy(p->who, p->fingerprint, sizeof(p->who));
    p->has_certificate = true;
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
    for (size_t i = 0; i < a->header_count; i++)
        is_said = is_said &&
                  MHD_add_response_header(r, a->headers[i].name, a->headers[i].value) == MHD_YES;
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

static const char *header(void *ctx, const char *name)
{
    return MHD_lookup_connection_value(ctx, MHD_HEADER_KIND, name);
}

/* It came in before the last reload: after this answer the peer connects anew. */
static bool is_leaving(const struct http_door *door, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_DAEMON);
    return info != NULL && info->daemon != atomic_load(&door->daemon);
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
    struct http_door *door = cls;
    struct http_server *s = door->server;
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
    struct http_request r = {.method = method,
                             .url = url,
                             .content_type = header(connection, "Content-Type"),
                             .language = header(connection, "Accept-Language"),
                             .idempotency = header(connection, "Idempotency-Key"),
                             .authorization = header(connection, "Authorization"),
                             .if_match = header(connection, "If-Match"),
                             .if_none_match = header(connection, "If-None-Match"),
                             .host = header(connection, "Host"),
                             .query = query,
                             .query_ctx = connection,
                             .header = header,
                             .query_text = p->query != NULL ? p->query : "",
                             .body = in->is_too_long    ? NULL
                                     : in->body != NULL ? in->body
                                                        : "",
                             .body_len = in->is_too_long ? 0 : in->len,
                             .is_too_often = !http_rate_take(s->rate, p->who, p->has_certificate,
                                                             atomic_load(&s->requests_per_second))};
    struct http_answer a;
    if (door->is_for_browsers)
        http_carry_out_page(s, p, &r, &a);
    else
        http_carry_out(s, p, &r, &a);
    a.ends_connection |= is_leaving(door, connection);
    if (!a.ends_connection)
        atomic_store(&p->is_idle, true);
    enum MHD_Result result = give(connection, &a);
    http_answer_free_headers(&a);
    return result;
}

static void forget_query(struct http_peer *p)
{
    if (p->query != NULL)
        b_wipe(p->query, strlen(p->query));
    free(p->query);
    p->query = NULL;
}

/* The request line is there: from now on the request has its seconds to be whole. */
static void *request_begins(void *cls, const char *uri, struct MHD_Connection *connection)
{
    const struct http_door *door = cls;
    struct http_peer *p = peer_of(connection);
    if (p == NULL)
        return NULL;
    if (atomic_load(&p->is_idle))
        atomic_store(&p->since_ms, http_now_ms());
    atomic_store(&p->is_idle, false);
    /* As it was sent: what libmicrohttpd makes of it hides a name that comes twice. */
    const char *text = door->is_for_browsers ? strchr(uri, '?') : NULL;
    forget_query(p);
    p->query = text != NULL ? strdup(text + 1) : NULL;
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
    const struct http_server *s = ((const struct http_door *)cls)->server;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = info != NULL ? http_guard_add(s->guard, info->connect_fd) : NULL;
        if (info != NULL)
            (void)setsockopt(info->connect_fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    } else if (*context != NULL) {
        forget_query(*context);
        http_guard_remove(s->guard, *context);
        *context = NULL;
    }
}

/* --- certificates ------------------------------------------------------------------------------
 */

/* Where a door is, and what it shows and trusts. */
struct http_where {
    const char *address, *certificate, *key, *trust; /* trust NULL: it asks for no certificate */
    uint16_t port;
};

static struct http_where where_of(const struct http_door *d, const struct http_config *c)
{
    return d->is_for_browsers
               ? (struct http_where){c->signon.address, c->signon.certificate, c->signon.key, NULL,
                                     c->signon.port}
               : (struct http_where){c->address, c->certificate, c->key, c->trust, c->port};
}

struct pem {
    char path[2 * HTTP_PATH_MAX];
    char *text;
};
struct pems {
    struct pem certificate, key, trust;
};

static enum b_code read_pem(const struct http_server *s, const char *name, struct pem *ret,
                            struct b_err *err)
{
    (void)snprintf(ret->path, sizeof(ret->path), "%s%s%s", name[0] == '/' ? "" : s->home,
                   name[0] == '/' ? "" : "/", name);
    FILE *f = fopen(ret->path, "re");
    char *text = f != NULL ? calloc(1, HTTP_BODY_MAX + 1) : NULL;
    size_t n = text != NULL ? fread(text, 1, HTTP_BODY_MAX, f) : 0;
    int cause = errno;
    if (f != NULL)
        (void)fclose(f);
    if (n == 0) {
        free(text);
        return b_err_set(err, B_E_CONFIG, (uint32_t)cause, "%s: %s", ret->path,
                         f == NULL ? strerror(cause) : "nothing in it");
    }
    ret->text = text;
    return B_OK;
}

/* libmicrohttpd says only that it cannot; what is wrong with which file is found out here. */
static enum b_code try_pems(const struct pems *p, struct b_err *err)
{
    gnutls_certificate_credentials_t all = NULL;
    gnutls_datum_t text[3];
    const char *const texts[3] = {p->certificate.text, p->key.text,
                                  p->trust.text != NULL ? p->trust.text : ""};
    for (size_t i = 0; i < B_COUNT(texts); i++)
        text[i] = (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)texts[i],
                                   .size = (unsigned)strlen(texts[i])};
    if (gnutls_certificate_allocate_credentials(&all) != GNUTLS_E_SUCCESS)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading certificates");
    enum b_code code = B_OK;
    int r = gnutls_certificate_set_x509_key_mem(all, &text[0], &text[1], GNUTLS_X509_FMT_PEM);
    if (r < 0)
        code = b_err_set(err, B_E_CONFIG, 0, "%.120s with %.120s: %s", p->certificate.path,
                         p->key.path, gnutls_strerror(r));
    r = code == B_OK && p->trust.text != NULL
            ? gnutls_certificate_set_x509_trust_mem(all, &text[2], GNUTLS_X509_FMT_PEM)
            : 1;
    if (r < 1)
        code = b_err_set(err, B_E_CONFIG, 0, "%.240s: %s", p->trust.path,
                         r == 0 ? "no certificate in it" : gnutls_strerror(r));
    gnutls_certificate_free_credentials(all);
    return code;
}

static void free_pems(struct pems *p)
{
    if (p->key.text != NULL)
        b_wipe(p->key.text, strlen(p->key.text));
    free(p->certificate.text);
    free(p->key.text);
    free(p->trust.text);
    p->certificate.text = p->key.text = p->trust.text = NULL;
}

static enum b_code read_pems(const struct http_server *s, const struct http_where *c,
                             struct pems *ret, struct b_err *err)
{
    *ret = (struct pems){.key = {.text = NULL}};
    enum b_code r = read_pem(s, c->certificate, &ret->certificate, err);
    if (r == B_OK)
        r = read_pem(s, c->key, &ret->key, err);
    if (r == B_OK && c->trust != NULL)
        r = read_pem(s, c->trust, &ret->trust, err);
    if (r == B_OK)
        r = try_pems(ret, err);
    if (r != B_OK)
        free_pems(ret);
    return r;
}

/* --- start, reload and stop --------------------------------------------------------------------
 */

static bool listen_address(const struct http_where *c, struct sockaddr_storage *ret)
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

/* fd: a socket that listens already, which it closes at its end; -1: it makes one. */
static struct MHD_Daemon *start_daemon(struct http_door *door, const struct http_config *c, int fd,
                                       struct b_err *err)
{
    struct sockaddr_storage address;
    struct pems pems;
    struct MHD_Daemon *ret = NULL;
    const struct http_where at = where_of(door, c);
    if (!listen_address(&at, &address)) {
        (void)b_err_set(err, B_E_CONFIG, 0, "listen: %s is not an address", at.address);
        return NULL;
    }
    if (read_pems(door->server, &at, &pems, err) != B_OK)
        return NULL;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | MHD_USE_TLS | MHD_USE_ITC;
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    const struct MHD_OptionItem where[] = {
        fd >= 0 ? (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, fd, NULL}
                : (struct MHD_OptionItem){MHD_OPTION_SOCK_ADDR, 0, &address},
        {pems.trust.text != NULL ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, pems.trust.text},
        {MHD_OPTION_END, 0, NULL}};
    ret = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, door, MHD_OPTION_ARRAY, where, MHD_OPTION_HTTPS_MEM_CERT,
        pems.certificate.text, MHD_OPTION_HTTPS_MEM_KEY, pems.key.text, MHD_OPTION_HTTPS_PRIORITIES,
        "SECURE128:-VERS-ALL:+VERS-TLS1.3", MHD_OPTION_CONNECTION_LIMIT, c->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, c->connections_per_address,
        MHD_OPTION_CONNECTION_TIMEOUT, 300u, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)1024 * 1024, MHD_OPTION_NOTIFY_COMPLETED,
        request_ends, NULL, MHD_OPTION_NOTIFY_CONNECTION, connection_changes, door,
        MHD_OPTION_URI_LOG_CALLBACK, request_begins, door, MHD_OPTION_END);
    int cause = errno;
    free_pems(&pems); /* gnutls has its own by now */
    if (ret == NULL)
        (void)b_err_set(err, B_E_CONFIG, (uint32_t)cause, "listening on %s port %u: %s", at.address,
                        at.port, strerror(cause));
    return ret;
}

static void set_limits(struct http_server *s, const struct http_config *c)
{
    atomic_store(&s->requests_per_second, c->requests_per_second);
    atomic_store(&s->logs_requests, c->logs_requests);
}

/* A socket that the service manager opened (sd_listen_fds(3)) takes the place of address and port:
 * peers who connect while the server starts again wait there. -1: none was passed. */
static enum b_code inherit_socket(int *ret, struct b_err *err)
{
    int n = sd_listen_fds(1);
    *ret = -1;
    if (n == 0)
        return B_OK;
    if (n != 1 || sd_is_socket(SD_LISTEN_FDS_START, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
        sd_is_socket(SD_LISTEN_FDS_START, AF_UNIX, SOCK_STREAM, 1) != 0)
        return b_err_set(err, B_E_CONFIG, 0,
                         "tessered.socket: one ListenStream= of TCP is wanted, %d descriptors came",
                         n);
    *ret = SD_LISTEN_FDS_START;
    return B_OK;
}

static enum b_code open_door(struct http_door *d, int fd, struct b_err *err)
{
    struct MHD_Daemon *daemon = start_daemon(d, &d->server->config, fd, err);
    atomic_store(&d->daemon, daemon);
    return daemon != NULL ? B_OK : err->code;
}

enum b_code http_server_start(struct http_server *s, struct b_err *err)
{
    int fd = -1;
    set_limits(s, &s->config);
    s->api.server = s->pages.server = s;
    s->pages.is_for_browsers = true;
    if ((s->guard = http_guard_start(s->config.stall_seconds)) == NULL ||
        (s->rate = http_rate_new()) == NULL || (s->codes = http_rate_new()) == NULL ||
        (s->pushed = oidc_pushed_new()) == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "starting the server");
    if (inherit_socket(&fd, err) != B_OK)
        return err->code;
    enum b_code r = open_door(&s->api, fd, err);
    return r == B_OK && http_has_signon(&s->config) ? open_door(&s->pages, -1, err) : r;
}

static void close_gap(struct http_door *d, size_t at)
{
    for (size_t i = at; i + 1 < HTTP_LEAVING; i++)
        d->leaving[i] = d->leaving[i + 1];
    d->leaving[HTTP_LEAVING - 1] = NULL;
}

/* The one that came before is the last of those that leave; the oldest goes when there are many. */
static void let_leave(struct http_door *d, struct MHD_Daemon *daemon)
{
    if (d->leaving[HTTP_LEAVING - 1] != NULL) {
        MHD_stop_daemon(d->leaving[0]);
        close_gap(d, 0);
    }
    size_t i = 0;
    while (d->leaving[i] != NULL)
        i++;
    d->leaving[i] = daemon;
}

/* Both listen on one socket for a moment, so that no connection is refused in between. */
static enum b_code renew_door(struct http_door *d, const struct http_config *c, struct b_err *err)
{
    struct MHD_Daemon *old = atomic_load(&d->daemon);
    const union MHD_DaemonInfo *info =
        old != NULL ? MHD_get_daemon_info(old, MHD_DAEMON_INFO_LISTEN_FD) : NULL;
    if (old == NULL)
        return B_OK;
    int fd = info != NULL ? fcntl(info->listen_fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (fd < 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "listening: %s", strerror(errno));
    struct MHD_Daemon *next = start_daemon(d, c, fd, err);
    if (next == NULL)
        return err->code;
    int given_back = MHD_quiesce_daemon(old);
    if (given_back < 0) {
        MHD_stop_daemon(next);
        return b_err_set(err, B_E_SYSTEM, 0, "the connections cannot be handed over");
    }
    (void)close(given_back);
    atomic_store(&d->daemon, next);
    let_leave(d, old);
    return B_OK;
}

/* Whether a door could be opened so, before any is changed. */
static enum b_code try_door(const struct http_door *d, const struct http_config *c,
                            struct b_err *err)
{
    struct pems pems;
    const struct http_where at = where_of(d, c);
    if (atomic_load(&d->daemon) == NULL)
        return B_OK;
    enum b_code r = read_pems(d->server, &at, &pems, err);
    if (r == B_OK)
        free_pems(&pems);
    return r;
}

enum b_code http_server_renew(struct http_server *s, const struct http_config *c, struct b_err *err)
{
    enum b_code r = try_door(&s->pages, c, err);
    if (r == B_OK)
        r = renew_door(&s->api, c, err);
    if (r == B_OK)
        r = renew_door(&s->pages, c, err);
    if (r != B_OK)
        return r;
    set_limits(s, c);
    http_guard_set(s->guard, c->stall_seconds);
    s->config = *c;
    return B_OK;
}

static void sweep_door(struct http_door *d)
{
    for (size_t i = 0; i < HTTP_LEAVING && d->leaving[i] != NULL; i++) {
        const union MHD_DaemonInfo *info =
            MHD_get_daemon_info(d->leaving[i], MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
        if (info == NULL || info->num_connections > 0)
            continue;
        MHD_stop_daemon(d->leaving[i]);
        close_gap(d, i);
        i--;
    }
}

void http_server_sweep(struct http_server *s)
{
    sweep_door(&s->api);
    sweep_door(&s->pages);
}

static void close_door(struct http_door *door)
{
    struct MHD_Daemon *d = atomic_exchange(&door->daemon, NULL);
    if (d != NULL) {
        /* Taken away first: MHD would shut it down, and it may be the service manager's. */
        int fd = MHD_quiesce_daemon(d);
        if (fd >= 0)
            (void)close(fd);
        MHD_stop_daemon(d);
    }
    for (size_t i = 0; i < HTTP_LEAVING && door->leaving[i] != NULL; i++) {
        MHD_stop_daemon(door->leaving[i]);
        door->leaving[i] = NULL;
    }
}

void http_server_stop(struct http_server *s)
{
    close_door(&s->pages);
    close_door(&s->api);
    http_guard_stop(&s->guard);
    http_rate_free(&s->rate);
    http_rate_free(&s->codes);
    oidc_pushed_free(&s->pushed);
}

uint16_t http_server_port(const struct http_server *s)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(atomic_load(&s->api.daemon), MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}
