/* What vault and token process give up before they hear anything; confine.c takes more. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vault/vaultd.h"

static enum b_code limit(int resource, rlim_t value, const char *name, struct b_err *err)
{
    struct rlimit l = {.rlim_cur = value, .rlim_max = value};
    if (setrlimit((__rlimit_resource_t)resource, &l) == 0)
        return B_OK;
    return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "confining the vault: %s: %s", name,
                     strerror(errno));
}

enum b_code vaultd_harden(struct b_err *err)
{
    enum { FILES = 64 };
    (void)umask(077);
    enum b_code r = limit(RLIMIT_CORE, 0, "RLIMIT_CORE", err);
    if (r == B_OK)
        r = limit(RLIMIT_NOFILE, FILES, "RLIMIT_NOFILE", err);
    if (r != B_OK)
        return r;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "confining the vault: prctl: %s",
                         strerror(errno));
    /* A terminal's interrupt is for the peer: the vault ends with its socket, not in mid-exchange.
     */
    if (signal(SIGINT, SIG_IGN) == SIG_ERR || signal(SIGHUP, SIG_IGN) == SIG_ERR ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "confining the vault: signals");
    return B_OK;
}

enum b_code vaultd_lock_memory(struct b_err *err)
{
    /* Requests, PIN and subkeys, taps, then a job and a machine for each session, with headers.
     * One session and some taps fit the 64 KiB that some systems allow. */
    enum { BASE = VAULT_MESSAGE_MAX + 8192, HEADERS = 128, TAPS = 16 * 1024 };
    size_t session = sizeof(struct profile_job) + profile_run_size() + HEADERS;
    enum b_code r = B_E_LOCK_MEMORY;
    for (size_t n = VAULTD_SESSIONS_MAX; n > 0 && r == B_E_LOCK_MEMORY; n /= 2)
        r = b_secret_init(BASE + n * (session + TAPS + VAULT_MESSAGE_MAX / 4), true, err);
    return r;
}

/* Frames of the deepest calls (token module, libcrypto) reach some tens of KiB below the loop. */
__attribute__((noinline)) static void scrub_below(unsigned depth)
{
    __attribute__((uninitialized)) uint8_t page[3072]; /* else the compiler would clear it too */
    b_wipe(page, sizeof(page));
    if (depth > 0)
        scrub_below(depth - 1);
    __asm__ volatile("" : : "r"(page) : "memory"); /* no tail call: each level has its own frame */
}

void vaultd_scrub_stack(void)
{
    enum { FRAMES = 40 };
    scrub_below(FRAMES);
}
