/* The file of the agent's socket: made, given its rights, and taken over from an agent that died.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/local.h"

enum { BACKLOG = 128 };

/* A socket's file that nobody answers at is one that an agent left. */
static bool clear_old(const struct sockaddr_un *at)
{
    struct stat s;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    bool is_old = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof(*at)) != 0 &&
                  errno == ECONNREFUSED && lstat(at->sun_path, &s) == 0 && S_ISSOCK(s.st_mode);
    if (fd >= 0)
        (void)close(fd);
    return is_old && unlink(at->sun_path) == 0;
}

enum b_code agent_listener_rights(const struct agent_socket_config *c, struct b_err *err)
{
    if ((c->group != (gid_t)-1 && chown(c->path, (uid_t)-1, c->group) != 0) ||
        chmod(c->path, c->mode) != 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: giving it its group and mode: %s",
                         c->path, strerror(errno));
    return B_OK;
}

enum b_code agent_listener_open(const struct agent_socket_config *c, int *ret, struct b_err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    *ret = -1;
    if (c->path[0] == '\0')
        return B_OK;
    if (strlen(c->path) >= sizeof(at.sun_path))
        return b_err_set(err, B_E_CONFIG, 0, "%s: at most %zu bytes", c->path,
                         sizeof(at.sun_path) - 1);
    memcpy(at.sun_path, c->path, strlen(c->path) + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(077); /* nobody connects before it has its rights */
    bool is_bound = fd >= 0 && (bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 ||
                                (errno == EADDRINUSE && clear_old(&at) &&
                                 bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0));
    int cause = errno;
    (void)umask(old);
    enum b_code r = B_OK;
    if (!is_bound)
        r = b_err_set(err, B_E_SYSTEM, (uint32_t)cause, "%s: %s", c->path,
                      cause == EADDRINUSE ? "something else is there" : strerror(cause));
    if (r == B_OK)
        r = agent_listener_rights(c, err);
    if (r == B_OK && listen(fd, BACKLOG) != 0)
        r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", c->path, strerror(errno));
    if (r != B_OK && is_bound)
        (void)unlink(c->path);
    if (r != B_OK && fd >= 0)
        (void)close(fd);
    if (r == B_OK)
        *ret = fd;
    return r;
}
