#include "vault/starter.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ASK_FIELDS "protocol:u lanes:y"
#define END_FIELDS "status:u"

enum { MESSAGE_MAX = 2048, PATIENCE_S = 20 };

/* Room for the descriptors of one message. */
union rights {
    struct cmsghdr aligned;
    char bytes[CMSG_SPACE(sizeof(int) * VAULT_WORKERS_MAX)];
};

/* --- the peer --------------------------------------------------------------------------------- */

static int connect_to(const char *path, int *ret_fd)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    size_t n = strlen(path);
    if (n >= sizeof(at.sun_path))
        return ENAMETOOLONG;
    memcpy(at.sun_path, path, n + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        int cause = errno;
        (void)close(fd);
        return cause;
    }
    *ret_fd = fd;
    return 0;
}

static int send_lanes(int fd, const int lanes[], unsigned count)
{
    uint8_t bytes[16];
    union rights rights = {0};
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    struct wire_out o = wire_out_from(ASK_FIELDS, &w);
    wire_put_u32(&o, STARTER_PROTOCOL);
    wire_put_u8(&o, (uint8_t)count);
    b_check(wire_out_end(&o) && count >= 1 && count <= VAULT_WORKERS_MAX);
    struct iovec part = {.iov_base = bytes, .iov_len = w.len};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = rights.bytes,
                       .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(c), lanes, sizeof(int) * count);
    return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)w.len ? 0 : errno;
}

static ssize_t receive(int fd, uint8_t bytes[static MESSAGE_MAX])
{
    ssize_t n;
    do
        n = recv(fd, bytes, MESSAGE_MAX, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

static enum b_code hear_answer(int fd, const char *path, struct b_err *err)
{
    uint8_t bytes[MESSAGE_MAX];
    struct b_err remote;
    ssize_t n = receive(fd, bytes);
    if (n <= 0)
        return b_err_set(err, B_E_VAULT_REFUSES, n < 0 ? (uint32_t)errno : 0,
                         "asking %s for a vault: it closed the connection", path);
    struct b_rd r = b_rd_from(bytes, (size_t)n);
    uint8_t status = b_rd_u8(&r);
    if (status == 0 && b_rd_end(&r))
        return B_OK;
    if (status != 1 || !wire_get_error(r, &remote))
        return b_err_set(err, B_E_VAULT_PROTOCOL, 0,
                         "asking %s for a vault: an answer that is not understood", path);
    return b_err_set(err, remote.code, remote.aux, "%s", remote.msg);
}

enum b_code starter_ask(const char *path, const int lanes[], unsigned count, int *ret_fd,
                        struct b_err *err)
{
    int fd = -1;
    int cause = connect_to(path, &fd);
    if (cause == 0)
        cause = send_lanes(fd, lanes, count);
    /* one that does not serve us closes at once: what it says is in the answer, or nothing */
    enum b_code r = cause == 0 || cause == EPIPE
                        ? hear_answer(fd, path, err)
                        : b_err_set(err, B_E_VAULT_GONE, (uint32_t)cause,
                                    "asking %s for a vault: %s", path, strerror(cause));
    if (r == B_OK)
        *ret_fd = fd;
    else if (fd >= 0)
        (void)close(fd);
    return r;
}

bool starter_hear(int fd, int timeout_ms, int *ret_status)
{
    uint8_t bytes[MESSAGE_MAX];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, timeout_ms) <= 0)
        return false;
    ssize_t n = receive(fd, bytes);
    struct wire_in in = wire_in_from(END_FIELDS, b_rd_from(bytes, n > 0 ? (size_t)n : 0));
    uint32_t status = wire_get_u32(&in);
    *ret_status = wire_in_end(&in) && status <= UINT16_MAX ? (int)status : 0;
    return true;
}

/* --- the service ------------------------------------------------------------------------------ */

static enum b_code broken(struct b_err *err)
{
    return b_err_set(err, B_E_VAULT_PROTOCOL, 0, "a vault is asked for by its lanes alone");
}

/* To anything but such a socket the vault would write what its peer made it write. */
static bool is_lane(int fd)
{
    int type = 0;
    int domain = 0;
    socklen_t n = sizeof(type);
    socklen_t m = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &m) == 0 && domain == AF_UNIX;
}

/* Descriptors are ours once they came, whatever came with them. */
static unsigned gather(struct msghdr *m, int lanes[static VAULT_WORKERS_MAX])
{
    unsigned count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        b_check(count + n <= VAULT_WORKERS_MAX);
        memcpy(&lanes[count], CMSG_DATA(c), n * sizeof(int));
        count += (unsigned)n;
    }
    return count;
}

static bool fits(struct b_rd message, const int lanes[], unsigned count)
{
    struct wire_in in = wire_in_from(ASK_FIELDS, message);
    uint32_t protocol = wire_get_u32(&in);
    uint8_t said = wire_get_u8(&in);
    bool is = wire_in_end(&in) && protocol == STARTER_PROTOCOL && said == count && count >= 1;
    for (unsigned i = 0; i < count; i++)
        is = is && is_lane(lanes[i]);
    return is;
}

enum b_code starter_take(int fd, int lanes[static VAULT_WORKERS_MAX], unsigned *ret_count,
                         struct b_err *err)
{
    uint8_t bytes[MESSAGE_MAX];
    union rights rights = {0};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = rights.bytes,
                       .msg_controllen = sizeof(rights.bytes)};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "a socket's time: %s", strerror(errno));
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return broken(err);
    unsigned count = gather(&m, lanes);
    bool is_whole = (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    if (is_whole && fits(b_rd_from(bytes, (size_t)n), lanes, count)) {
        *ret_count = count;
        return B_OK;
    }
    for (unsigned i = 0; i < count; i++)
        (void)close(lanes[i]);
    return broken(err);
}

static void say(int fd, const struct b_wr *w)
{
    b_check(b_wr_ok(w));
    (void)!send(fd, w->p, w->len, MSG_NOSIGNAL);
}

void starter_answer(int fd, const struct b_err *err)
{
    uint8_t bytes[MESSAGE_MAX];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    b_wr_u8(&w, err->code == B_OK ? 0 : 1);
    if (err->code != B_OK)
        wire_put_error(&w, err);
    say(fd, &w);
}

void starter_tell(int fd, int status)
{
    uint8_t bytes[8];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    struct wire_out o = wire_out_from(END_FIELDS, &w);
    wire_put_u32(&o, (uint32_t)status);
    b_check(wire_out_end(&o));
    say(fd, &w);
}
