/*
 * What the vault gives up once it is configured. Landlock first: it holds for the thread that asks
 * and for those that it starts later. Then the other workers. Then seccomp, over all threads.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <seccomp.h>

#include "vault/vaultd.h"

static enum b_code lacks(bool is_strict, int cause, const char *what, struct b_err *err)
{
    if (!is_strict)
        return B_OK;
    return b_err_set(err, B_E_UNCONFINED, (uint32_t)cause, "%s: %s", what, strerror(cause));
}

static enum b_code limit_to_none(__rlimit_resource_t what, const char *name, struct b_err *err)
{
    static const struct rlimit none;
    if (setrlimit(what, &none) == 0)
        return B_OK;
    return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "confining the vault: %s: %s", name,
                     strerror(errno));
}

/* --- Landlock --------------------------------------------------------------------------------- */

/* struct landlock_ruleset_attr of linux/landlock.h as it is today: older headers have its first
 * field alone, older kernels know its first fields. */
struct ruleset {
    uint64_t files;
    uint64_t network;
    uint64_t scoped;
};
enum { CREATE_RULESET = 444, RESTRICT_SELF = 446, ASK_VERSION = 1 };

/* All rights that a version of the interface knows, so that none is left; docs.kernel.org,
 * userspace-api/landlock. But signals: that scope would keep the kernel from ending tessere-token
 * with the vault (PR_SET_PDEATHSIG), and seccomp allows none to another process anyway. */
static size_t rights_of(long version, struct ruleset *r)
{
    unsigned files = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;
    *r = (struct ruleset){.files = (UINT64_C(1) << files) - 1,
                          .network = version >= 4 ? 3 : 0, /* TCP: bind, connect */
                          .scoped = version >= 6 ? 1 : 0}; /* abstract sockets */
    return version >= 6 ? sizeof(*r) : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

enum b_code vaultd_confine_files(struct vaultd_confinement *c, bool is_strict, struct b_err *err)
{
    struct ruleset rules;
    enum b_code r = limit_to_none(RLIMIT_FSIZE, "RLIMIT_FSIZE", err);
    if (r != B_OK)
        return r;
    long version = syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);
    if (version < 1)
        return lacks(is_strict, errno, "Landlock", err);
    size_t size = rights_of(version, &rules);
    int fd = (int)syscall(CREATE_RULESET, &rules, size, 0);
    bool is_done = fd >= 0 && syscall(RESTRICT_SELF, fd, 0) == 0;
    int cause = errno;
    if (fd >= 0)
        (void)close(fd);
    if (!is_done)
        return b_err_set(err, B_E_UNCONFINED, (uint32_t)cause, "Landlock: %s", strerror(cause));
    c->landlock = version > UINT8_MAX ? UINT8_MAX : (uint8_t)version;
    return B_OK;
}

/* --- seccomp ---------------------------------------------------------------------------------- */

#ifdef VAULT_WITHOUT_SECCOMP

/* A sanitizer makes calls of its own. */
enum b_code vaultd_confine_calls(struct vaultd_confinement *c, bool is_strict, struct b_err *err)
{
    (void)c;
    return lacks(is_strict, ENOSYS, "seccomp, which a sanitizer's build leaves out", err);
}

enum b_code vaultd_confine_module(struct b_err *err)
{
    (void)err;
    return B_OK;
}

#else

#ifdef VAULT_SECCOMP_TRACE
static void name_call(int number, siginfo_t *info, void *context)
{
    static const char what[] = "tessere-vault: not in seccomp.def: ";
    (void)number;
    (void)context;
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, info->si_syscall);
    if (write(STDERR_FILENO, what, sizeof(what) - 1) < 0 || name == NULL ||
        write(STDERR_FILENO, name, strlen(name)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
        _exit(1);
    _exit(1);
}

static uint32_t otherwise(void)
{
    struct sigaction a = {.sa_sigaction = name_call, .sa_flags = SA_SIGINFO};
    b_check(sigaction(SIGSYS, &a, NULL) == 0);
    return SCMP_ACT_TRAP;
}
#else
static uint32_t otherwise(void)
{
    return SCMP_ACT_KILL_PROCESS;
}
#endif

struct call {
    int number;
    uint32_t action;
    unsigned compared; /* how many arguments: 0 or 1 */
    struct scmp_arg_cmp argument;
};

/* Over all threads. otherwise: for what calls has not. */
static enum b_code load_filter(uint32_t otherwise, const struct call *calls, size_t count,
                               struct b_err *err)
{
    scmp_filter_ctx filter = seccomp_init(otherwise);
    int cause = filter == NULL ? -ENOMEM : 0;
    if (cause == 0)
        cause = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (cause == 0)
        cause = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (cause == 0)
        cause = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    for (size_t i = 0; cause == 0 && i < count; i++)
        cause = seccomp_rule_add_array(filter, calls[i].action, calls[i].number, calls[i].compared,
                                       &calls[i].argument);
    if (cause == 0)
        cause = seccomp_load(filter);
    seccomp_release(filter);
    return cause == 0
               ? B_OK
               : b_err_set(err, B_E_UNCONFINED, (uint32_t)-cause, "seccomp: %s", strerror(-cause));
}

#define CALL(name) {SCMP_SYS(name), SCMP_ACT_ALLOW, 0, {0}},
#define CALL_IF(name, argument, compare, a, b) \
    {SCMP_SYS(name), SCMP_ACT_ALLOW, 1, {argument, compare, a, b}},
#define CALL_REFUSED(name, code) {SCMP_SYS(name), SCMP_ACT_ERRNO(code), 0, {0}},

enum b_code vaultd_confine_calls(struct vaultd_confinement *c, bool is_strict, struct b_err *err)
{
    enum b_code r = limit_to_none(RLIMIT_NPROC, "RLIMIT_NPROC", err);
    if (r != B_OK)
        return r;
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        return lacks(is_strict, errno, "seccomp", err);
    const struct call calls[] = {
#include "vault/seccomp.def"
    };
    r = load_filter(otherwise(), calls, B_COUNT(calls), err);
    c->has_seccomp = r == B_OK;
    return r;
}

enum b_code vaultd_confine_module(struct b_err *err)
{
    static const struct call calls[] = {
#include "vault/seccomp_module.def"
    };
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        return B_OK; /* a kernel without; the vault says so */
    return load_filter(SCMP_ACT_ALLOW, calls, B_COUNT(calls), err);
}

#endif
