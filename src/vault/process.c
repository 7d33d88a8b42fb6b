#include "vault/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vault/starter.h"

enum {
    PATH_CAP = 1024,
    ANSWER_TIMEOUT_S = 60, /* a network HSM may be slow; a vault that hangs must not hang us */
    STOP_TIMEOUT_MS = 5000,
};

/* Beside this program, in the tree that built it, then where it is installed. */
static const char *const places[] = {"/tessere-vault", "/../vault/tessere-vault",
                                     "/../libexec/tessere/tessere-vault"};

static enum b_code find_program(const char *wanted, char *out, struct b_err *err)
{
    if (wanted != NULL) {
        if (snprintf(out, PATH_CAP, "%s", wanted) < PATH_CAP && access(out, X_OK) == 0)
            return B_OK;
        return b_err_set(err, B_E_VAULT_GONE, (uint32_t)errno, "starting %s: %s", wanted,
                         strerror(errno));
    }
    char self[PATH_CAP];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        if (slash != NULL)
            *slash = '\0';
        for (size_t i = 0; i < B_COUNT(places); i++) {
            struct b_wr w = b_wr_from(out, PATH_CAP);
            b_wr_bytes(&w, self, strlen(self));
            b_wr_bytes(&w, places[i], strlen(places[i]) + 1);
            if (b_wr_ok(&w) && access(out, X_OK) == 0)
                return B_OK;
        }
    }
    (void)snprintf(out, PATH_CAP, "%s", TESSERE_LIBEXEC "/tessere-vault");
    if (access(out, X_OK) == 0)
        return B_OK;
    return b_err_set(err, B_E_VAULT_GONE, 0, "tessere-vault is neither beside this program nor %s",
                     out);
}

int vault_process_lift(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, VAULT_LANE_FD + VAULT_WORKERS_MAX);
}

/* The first socket, the PIN's pipe or nothing, then the other workers' sockets. */
static int describe(posix_spawn_file_actions_t *a, const struct vault_child *fds)
{
    int r = posix_spawn_file_actions_addopen(a, 0, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(a, 1, "/dev/null", O_WRONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(a, fds->sockets[0], VAULT_FD);
    if (r == 0)
        r = fds->pin >= 0 ? posix_spawn_file_actions_adddup2(a, fds->pin, VAULT_PIN_FD)
                          : posix_spawn_file_actions_addclose(a, VAULT_PIN_FD);
    for (unsigned i = 1; r == 0 && i < fds->count; i++)
        r = posix_spawn_file_actions_adddup2(a, fds->sockets[i], VAULT_LANE_FD + (int)i - 1);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(a, VAULT_LANE_FD + (int)fds->count - 1);
    return r;
}

/* A signal state of its own: what this program blocks or ignores is not the vault's concern. */
static int run(const char *program, char *const env[], const struct vault_child *fds, int *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    sigset_t all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0)
        return r;
    r = posix_spawnattr_init(&attr);
    if (r != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return r;
    }
    r = describe(&actions, fds);
    if (r == 0)
        r = posix_spawnattr_setsigmask(&attr, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(&attr, &all);
    if (r == 0)
        r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    char name[] = "tessere-vault";
    char *argv[] = {name, NULL};
    if (r == 0)
        r = posix_spawn(ret_pid, program, &actions, &attr, argv, env);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    return r;
}

/* The environment: nothing but where SoftHSM, tpm2-pkcs11 and the service manager's credentials
 * are, and what a service gives. */
static enum b_code run_clean(const char *program, const struct vault_config *config, bool is_given,
                             const struct vault_child *child, int *ret_pid, struct b_err *err)
{
    enum { VARIABLES = 7, TEXTS = 4096 };
    const struct {
        const char *name, *value;
    } all[VARIABLES] = {{"SOFTHSM2_CONF", config->softhsm_conf},
                        {"TPM2_PKCS11_STORE", getenv("TPM2_PKCS11_STORE")},
                        {"TPM2_PKCS11_TCTI", getenv("TPM2_PKCS11_TCTI")},
                        {"CREDENTIALS_DIRECTORY", getenv("CREDENTIALS_DIRECTORY")},
                        {VAULT_ENV_TOKEN, is_given ? config->token_uri : NULL},
                        {VAULT_ENV_ESTABLISHMENT, is_given ? config->establishment : NULL},
                        {VAULT_ENV_PIN_FILE, is_given ? config->pin_file : NULL}};
    char *env[VARIABLES + 1] = {NULL};
    char *texts = malloc(TEXTS);
    int cause = texts != NULL ? 0 : ENOMEM;
    size_t used = 0;
    for (size_t i = 0, n = 0; cause == 0 && i < B_COUNT(all); i++) {
        if (all[i].value == NULL)
            continue;
        env[n++] = texts + used;
        used += (size_t)snprintf(texts + used, TEXTS - used, "%s=%s", all[i].name, all[i].value);
        used++; /* the NUL */
        cause = used > TEXTS ? ENAMETOOLONG : 0;
    }
    if (cause == 0)
        cause = run(program, env, child, ret_pid);
    free(texts);
    return cause == 0 ? B_OK
                      : b_err_set(err, B_E_VAULT_GONE, (uint32_t)cause, "starting %s: %s", program,
                                  strerror(cause));
}

enum b_code vault_process_run(const struct vault_config *config, bool is_given,
                              const struct vault_child *child, int *ret_pid, struct b_err *err)
{
    char program[PATH_CAP];
    enum b_code r = find_program(config->program, program, err);
    return r == B_OK ? run_clean(program, config, is_given, child, ret_pid, err) : r;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

/* One socketpair for each worker; an errno when one cannot be had. */
static int make_lanes(unsigned count, struct vault_process *p, struct vault_child *child)
{
    struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    b_check(count <= VAULT_WORKERS_MAX);
    for (unsigned i = 0; i < count; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
            return errno;
        p->fds[p->count++] = pair[0];
        int lifted = vault_process_lift(pair[1]);
        int cause = errno;
        (void)close(pair[1]);
        if (lifted < 0)
            return cause;
        child->sockets[child->count++] = lifted;
        if (setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0)
            return errno;
    }
    return 0;
}

static void close_lanes(struct vault_process *p)
{
    for (unsigned i = 0; i < p->count; i++)
        (void)close(p->fds[i]);
    p->count = 0;
}

enum b_code vault_process_start(const struct vault_config *config, struct vault_process *ret,
                                struct b_err *err)
{
    struct vault_child child = {.pin = -1};
    *ret = (struct vault_process){.pid = -1, .service = -1, .status = -1};
    int cause = make_lanes(config->workers > 1 ? config->workers : 1, ret, &child);
    if (cause == 0 && config->pin_fd >= 0) {
        child.pin = vault_process_lift(config->pin_fd);
        cause = child.pin < 0 ? errno : 0;
    }
    enum b_code r = B_OK;
    if (cause != 0)
        r = b_err_set(err, B_E_VAULT_GONE, (uint32_t)cause, "making sockets for the vault: %s",
                      strerror(cause));
    else if (config->service != NULL)
        r = starter_ask(config->service, child.sockets, child.count, &ret->service, err);
    else
        r = vault_process_run(config, false, &child, &ret->pid, err);
    for (unsigned i = 0; i < child.count; i++)
        close_fd(child.sockets[i]);
    close_fd(child.pin);
    if (r != B_OK)
        close_lanes(ret);
    return r;
}

/* The process has ended within the time; a child is reaped. */
static bool reap(struct vault_process *p, int timeout_ms)
{
    if (p->status >= 0)
        return true;
    if (p->service >= 0)
        return starter_hear(p->service, timeout_ms, &p->status);
    int pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (pidfd >= 0) {
        struct pollfd wait = {.fd = pidfd, .events = POLLIN};
        (void)poll(&wait, 1, timeout_ms);
        (void)close(pidfd);
    }
    int status = 0;
    if (waitpid(p->pid, &status, WNOHANG) != p->pid)
        return false;
    p->status = status;
    return true;
}

static bool is_started(const struct vault_process *p)
{
    return p->pid >= 0 || p->service >= 0;
}

bool vault_process_has_ended(struct vault_process *p)
{
    return is_started(p) && reap(p, 0);
}

int vault_process_status(struct vault_process *p)
{
    enum { MOMENT_MS = 500 };
    return is_started(p) && reap(p, MOMENT_MS) ? p->status : -1;
}

void vault_process_stop(struct vault_process *p)
{
    close_lanes(p);
    bool has_ended = !is_started(p) || reap(p, STOP_TIMEOUT_MS);
    close_fd(p->service); /* whoever started it ends it now */
    p->service = -1;
    if (has_ended || p->pid < 0)
        return;
    (void)kill(p->pid, SIGKILL);
    (void)waitpid(p->pid, NULL, 0);
}
