/* The vault starts tessere-token: with lanes, the PIN's pipe, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vault/token.h"

enum { PATH_CAP = 1024 };

static enum b_code find_program(char out[static PATH_CAP], struct b_err *err)
{
    static const char name[] = "/tessere-token";
    char self[PATH_CAP];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = n > 0 ? memrchr(self, '/', (size_t)n) : NULL;
    struct b_wr w = b_wr_from(out, PATH_CAP);
    if (slash == NULL)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "finding tessere-token: /proc: %s",
                         strerror(errno));
    b_wr_bytes(&w, self, (size_t)(slash - self));
    b_wr_bytes(&w, name, sizeof(name));
    if (b_wr_ok(&w))
        return B_OK;
    return b_err_set(err, B_E_CONFIG, 0, "finding tessere-token: the path is too long");
}

/* The vault's ends become VAULT_TOKEN_FD and so on; theirs wait above until they are handed over.
 */
static int make_lane(int mine, int *ret_theirs)
{
    enum { ABOVE = VAULT_TOKEN_FD + VAULT_WORKERS_MAX };
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return errno;
    int lifted = fcntl(pair[0], F_DUPFD_CLOEXEC, ABOVE);
    *ret_theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, ABOVE);
    int cause = lifted < 0 || *ret_theirs < 0 ? errno : 0;
    (void)close(pair[0]);
    (void)close(pair[1]);
    if (cause == 0 && dup3(lifted, mine, O_CLOEXEC) != mine)
        cause = errno;
    if (lifted >= 0)
        (void)close(lifted);
    return cause;
}

static int describe(posix_spawn_file_actions_t *a, const int theirs[], unsigned count)
{
    int r = 0;
    for (int fd = 0; r == 0 && fd < 3; fd++) /* a module's words are not for the user's terminal */
        r = posix_spawn_file_actions_addopen(a, fd, "/dev/null", fd == 0 ? O_RDONLY : O_WRONLY, 0);
    for (int fd = 3; r == 0 && fd < VAULT_TOKEN_FD; fd++)
        if (fd != VAULT_PIN_FD)
            r = posix_spawn_file_actions_addclose(a, fd);
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = posix_spawn_file_actions_adddup2(a, theirs[i], VAULT_TOKEN_FD + (int)i);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(a, VAULT_TOKEN_FD + (int)count);
    return r;
}

/* What stays in the token is an argument: no message can take it back later. */
static int run(const char *program, const struct vaultd_config *config, const int theirs[])
{
    posix_spawn_file_actions_t actions;
    unsigned count = config->workers;
    char name[] = "tessere-token";
    char in_token[sizeof(TOKEN_IN_TOKEN) + KEY_STAY_TEXT] = TOKEN_IN_TOKEN;
    char *argv[] = {name, in_token, NULL};
    int pid;
    key_stay_write(&config->in_token, in_token + sizeof(TOKEN_IN_TOKEN) - 1);
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0)
        return r;
    r = describe(&actions, theirs, count);
    if (r == 0)
        r = posix_spawn(&pid, program, &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return r;
}

enum b_code token_start(const struct vaultd_config *config, struct b_err *err)
{
    char program[PATH_CAP];
    int theirs[VAULT_WORKERS_MAX];
    memset(theirs, -1, sizeof(theirs));
    enum b_code r = find_program(program, err);
    if (r != B_OK)
        return r;
    int cause = 0;
    for (int i = 0; cause == 0 && i < config->workers; i++)
        cause = make_lane(VAULT_TOKEN_FD + i, &theirs[i]);
    if (cause == 0)
        cause = run(program, config, theirs);
    for (unsigned i = 0; i < B_COUNT(theirs); i++)
        if (theirs[i] >= 0)
            (void)close(theirs[i]);
    if (config->has_pin_fd)
        (void)close(VAULT_PIN_FD); /* the PIN is for the token's process alone */
    return cause == 0 ? B_OK
                      : b_err_set(err, B_E_SYSTEM, (uint32_t)cause, "starting %s: %s", program,
                                  strerror(cause));
}
