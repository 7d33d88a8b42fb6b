/*
 * tessere-starter: starts vaults for a server that runs as another user, so that a server which was
 * taken over has neither the token nor its PIN. It parses one short message (vault/starter.h), runs
 * one program, and never learns what its peer and the vault say to each other.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/about.h"
#include "service/config.h"
#include "vault/process.h"
#include "vault/starter.h"

/* The server's two, another while one is replaced, and some of the command line. */
enum { VAULTS_MAX = 8, GRACE_MS = 5000 };

static struct service_config conf;
static atomic_uint running;

static int fail(const struct b_err *err)
{
    (void)fprintf(stderr, "tessere-starter: %s: %s\n  %s\n", b_code_text(err->code), err->msg,
                  b_code_remedy(err->code));
    return b_code_exit(err->code);
}

/* --- one vault -------------------------------------------------------------------------------- */

/* The vault has the lanes then, and this process has none. */
static enum b_code start(const int lanes[], unsigned count, int *ret_pid, struct b_err *err)
{
    const struct vault_config config = {.token_uri = conf.token_uri,
                                        .softhsm_conf =
                                            conf.softhsm_conf[0] != '\0' ? conf.softhsm_conf : NULL,
                                        .establishment = conf.finess,
                                        .pin_file = conf.pin_file[0] != '\0' ? conf.pin_file : NULL,
                                        .pin_fd = -1};
    struct vault_child child = {.pin = -1};
    enum b_code r = B_OK;
    for (unsigned i = 0; i < count; i++) {
        int lifted = vault_process_lift(lanes[i]);
        if (lifted >= 0)
            child.sockets[child.count++] = lifted;
        else
            r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "a lane: %s", strerror(errno));
        (void)close(lanes[i]);
    }
    if (r == B_OK)
        r = vault_process_run(&config, true, &child, ret_pid, err);
    for (unsigned i = 0; i < child.count; i++)
        (void)close(child.sockets[i]);
    return r;
}

/* A peer that leaves, or speaks again, is done with its vault, which ends by itself when its lanes
 * are closed; one that does not is killed. */
static int wait_for_end(int peer, int pid)
{
    int status = 0;
    struct pollfd p[2] = {{.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN},
                          {.fd = peer, .events = POLLIN | POLLRDHUP}};
    b_check(p[0].fd >= 0);
    while (poll(p, 2, -1) < 0)
        b_check(errno == EINTR);
    if (p[0].revents == 0 && poll(p, 1, GRACE_MS) <= 0)
        (void)kill(pid, SIGKILL);
    (void)close(p[0].fd);
    b_check(waitpid(pid, &status, 0) == pid);
    return status;
}

static void *serve(void *arg)
{
    int peer = (int)(intptr_t)arg;
    int pid = -1;
    unsigned count = 0;
    int lanes[VAULT_WORKERS_MAX];
    struct b_err err = {0};
    int status = 0;
    enum b_code r = starter_take(peer, lanes, &count, &err);
    if (r == B_OK)
        r = start(lanes, count, &pid, &err);
    starter_answer(peer, &err);
    if (r == B_OK)
        status = wait_for_end(peer, pid);
    else
        (void)fprintf(stderr, "tessere-starter: no vault: %s\n", err.msg);
    (void)atomic_fetch_sub(&running, 1); /* whoever is told may ask for another at once */
    if (r == B_OK)
        starter_tell(peer, status);
    (void)close(peer);
    return NULL;
}

/* --- connections ------------------------------------------------------------------------------ */

static bool is_for(int peer, uid_t user)
{
    struct ucred who = {0};
    socklen_t n = sizeof(who);
    return getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && who.uid == user;
}

/* The request is waited for: a connection that is closed with something unread loses the answer. */
static void refuse(int peer, enum b_code code, const char *why)
{
    enum { MOMENT_MS = 1000 };
    struct b_err err;
    struct pollfd p = {.fd = peer, .events = POLLIN};
    (void)b_err_set(&err, code, 0, "%s", why);
    (void)poll(&p, 1, MOMENT_MS);
    (void)!recv(peer, &(uint8_t){0}, 1, MSG_DONTWAIT);
    starter_answer(peer, &err);
    (void)close(peer);
}

static void take_up(int peer, uid_t user)
{
    pthread_t thread;
    pthread_attr_t attr;
    if (!is_for(peer, user)) {
        (void)fputs("tessere-starter: no vault: it serves another user\n", stderr);
        (void)close(peer);
        return;
    }
    if (atomic_load(&running) >= VAULTS_MAX) {
        refuse(peer, B_E_VAULT_BUSY, "as many vaults run as may run at once");
        return;
    }
    b_check(pthread_attr_init(&attr) == 0 && pthread_attr_setdetachstate(&attr, 1) == 0);
    (void)atomic_fetch_add(&running, 1);
    if (pthread_create(&thread, &attr, serve, (void *)(intptr_t)peer) != 0) {
        (void)atomic_fetch_sub(&running, 1);
        refuse(peer, B_E_NO_MEMORY, "no thread is to be had for a vault");
    }
    (void)pthread_attr_destroy(&attr);
}

/* The service manager's socket, or one of our own at a path: its group may connect. */
static enum b_code listen_at(const char *path, int *ret, struct b_err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (path == NULL) {
        *ret = SD_LISTEN_FDS_START;
        if (sd_listen_fds(1) == 1 && sd_is_socket_unix(*ret, SOCK_SEQPACKET, 1, NULL, 0) > 0)
            return B_OK;
        return b_err_set(err, B_E_CONFIG, 0, "tessere-vault.socket or --socket PATH is needed");
    }
    if (strlen(path) >= sizeof(at.sun_path))
        return b_err_set(err, B_E_USAGE, 0, "the path is too long: %.80s", path);
    memcpy(at.sun_path, path, strlen(path) + 1);
    *ret = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void)unlink(path);
    mode_t mask = umask(0117);
    bool is_done = *ret >= 0 && bind(*ret, (struct sockaddr *)&at, sizeof(at)) == 0 &&
                   listen(*ret, VAULTS_MAX) == 0;
    (void)umask(mask);
    return is_done ? B_OK
                   : b_err_set(err, B_E_CONFIG, (uint32_t)errno, "listening on %s: %s", path,
                               strerror(errno));
}

/* Whose user is served; our own when none is named. */
static enum b_code find_user(const char *name, uid_t *ret, struct b_err *err)
{
    const struct passwd *p = name != NULL ? getpwnam(name) : NULL;
    if (name != NULL && p == NULL)
        return b_err_set(err, B_E_CONFIG, 0, "there is no user %.40s", name);
    *ret = p != NULL ? p->pw_uid : getuid();
    return B_OK;
}

static enum b_code read_config(const char *home, struct b_err *err)
{
    char path[SERVICE_PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/tessere.yaml", home) >= (int)sizeof(path))
        return b_err_set(err, B_E_USAGE, 0, "the path is too long: %.80s", home);
    enum b_code r = service_config_read(path, &conf, err);
    if (r == B_OK && conf.vault[0] != '\0')
        r = b_err_set(err, B_E_CONFIG, 0, "%s: the token is wanted here, not vault:", path);
    return r;
}

struct arguments {
    const char *home, *user, *socket;
};

static bool read_arguments(int argc, char **argv, struct arguments *ret)
{
    static const struct option options[] = {{"home", required_argument, NULL, 'h'},
                                            {"for", required_argument, NULL, 'f'},
                                            {"socket", required_argument, NULL, 's'},
                                            {0}};
    *ret = (struct arguments){.home = "/var/lib/tessere-vault"};
    for (int o = 0; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'h')
            ret->home = optarg;
        else if (o == 'f')
            ret->user = optarg;
        else if (o == 's')
            ret->socket = optarg;
        else
            return false;
    }
    return optind == argc;
}

static const char usage[] =
    "usage: tessere-starter [--home DIR] [--for USER] [--socket PATH]\n"
    "       tessere-starter --help|--version\n"
    "\n"
    "Starts vaults for a tessered that runs as another user, USER: tessere-starter(8). DIR\n"
    "(/var/lib/tessere-vault) has the tessere.yaml that names the token.\n";

int main(int argc, char **argv)
{
    int status = 0;
    if (b_about(argc, argv, "tessere-starter", usage, &status))
        return status;
    struct arguments a;
    struct b_err err = {0};
    uid_t user = 0;
    int fd = -1;
    if (!read_arguments(argc, argv, &a)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    (void)umask(077);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    enum b_code r = find_user(a.user, &user, &err);
    if (r == B_OK)
        r = read_config(a.home, &err);
    if (r == B_OK)
        r = listen_at(a.socket, &fd, &err);
    if (r != B_OK)
        return fail(&err);
    (void)fputs("tessere-starter: ready\n", stderr);
    (void)sd_notify(0, "READY=1");
    for (;;) {
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (peer >= 0)
            take_up(peer, user);
        else if (errno != EINTR && errno != ECONNABORTED)
            break;
    }
    (void)b_err_set(&err, B_E_SYSTEM, (uint32_t)errno, "taking up a connection: %s",
                    strerror(errno));
    return fail(&err);
}
