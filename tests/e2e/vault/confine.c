/*
 * The sandbox itself: what a process that went through the vault's confinement still can do. Each
 * attempt is made in a child, which the kernel ends, refuses, or (for what the vault needs) lets
 * be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "crypto/hpke.h"
#include "crypto/sign.h"
#include "vault/pin.h"
#include "vault/vaultd.h"

enum { FILES = 1, CALLS = 2, MODULE = 4 };

/* The wait status of a child that is confined so far and then makes the attempt. Its exit status:
 * 0 it was let, 1 it was refused. */
static int try(int how_far, bool (*attempt)(void))
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct vaultd_confinement c = {0};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            ((how_far & FILES) != 0 && (vaultd_confine_files(&c, true, NULL) != B_OK)) ||
            ((how_far & CALLS) != 0 &&
             (vaultd_confine_calls(&c, true, NULL) != B_OK || !c.has_seccomp)) ||
            ((how_far & MODULE) != 0 && vaultd_confine_module(NULL) != B_OK))
            _exit(3);
        _exit(attempt() ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void is_killed(bool (*attempt)(void), const char *what)
{
    int status = try(CALLS, attempt);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
        fail_msg("%s: wait status %#x, not killed by SIGSYS", what, (unsigned)status);
}

static void is_refused(int how_far, bool (*attempt)(void), const char *what)
{
    int status = try(how_far, attempt);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        fail_msg("%s: wait status %#x, not refused", what, (unsigned)status);
}

/* --- attempts --------------------------------------------------------------------------------- */

static bool opens_for_reading(void)
{
    return open("/etc/hostname", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool opens_for_writing(void)
{
    return open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0;
}

static bool makes_a_folder(void)
{
    return mkdir("/tmp/tessere-confine-test", 0700) == 0;
}

static bool lists_a_folder(void)
{
    return open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0;
}

static bool makes_an_internet_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool makes_a_local_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool makes_a_packet_socket(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

static bool connects(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    return connect(0, (const struct sockaddr *)&to, sizeof(to)) == 0;
}

static bool executes(void)
{
    char name[] = "true";
    char *argv[] = {name, NULL};
    return execve("/bin/true", argv, NULL) == 0;
}

static bool forks(void)
{
    return fork() >= 0;
}

static void *nothing(void *arg)
{
    return arg;
}

static bool starts_a_thread(void)
{
    pthread_t t;
    return pthread_create(&t, NULL, nothing, NULL) == 0;
}

static bool traces(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool reads_another_memory(void)
{
    char byte;
    struct iovec mine = {.iov_base = &byte, .iov_len = 1};
    return process_vm_readv(getppid(), &mine, 1, &mine, 1, 0) == 1;
}

static bool maps_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static bool makes_memory_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool kills_its_parent_gently(void)
{
    return kill(getppid(), 0) == 0;
}

static bool signals_another(void)
{
    return syscall(SYS_tgkill, 1, 1, 0) == 0;
}

static bool becomes_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool raises_a_limit(void)
{
    struct rlimit l = {.rlim_cur = 1, .rlim_max = 1};
    return setrlimit(RLIMIT_CORE, &l) == 0;
}

static bool writes_elsewhere(void)
{
    return write(STDOUT_FILENO, "x", 1) == 1;
}

static bool reads_a_descriptor(void)
{
    char byte;
    return read(STDIN_FILENO, &byte, 1) >= 0;
}

static bool uses_io_uring(void)
{
    return syscall(SYS_io_uring_setup, 1, NULL) >= 0;
}

#ifdef __x86_64__
/* getpid by the 32-bit table, where 20 is its number: another architecture. */
static bool calls_by_the_old_gate(void)
{
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return r > 0;
}
#endif

/* What a vault does all day, on lanes that are open. */
static int lane[2];

static bool works(void)
{
    uint8_t bytes[32];
    struct timespec t;
    void *p = malloc(1 << 20); /* more than the heap has */
    crypto_random(bytes, sizeof(bytes));
    bool is_good = p != NULL && clock_gettime(CLOCK_MONOTONIC, &t) == 0 &&
                   send(lane[0], bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes) &&
                   recv(lane[1], bytes, sizeof(bytes), 0) == sizeof(bytes) &&
                   write(STDERR_FILENO, "", 0) == 0;
    free(p);
    return is_good && crypto_self_test(NULL) == B_OK;
}

/* Keys that are first used under the sandbox, as those that the vault derives from its token. */
static bool signs(void)
{
    uint8_t secret[32];
    uint8_t point[CRYPTO_P256_POINT];
    uint8_t ed25519[CRYPTO_ED25519_KEY];
    uint8_t signature[CRYPTO_SIGNATURE];
    memset(secret, 0x42, sizeof(secret));
    crypto_ed25519_public(secret, ed25519);
    crypto_ed25519_sign(secret, "x", 1, signature);
    if (!crypto_ed25519_verify(ed25519, "x", 1, signature))
        return false;
    struct crypto_es256 *key = crypto_es256_new(secret);
    if (key == NULL)
        return false;
    crypto_es256_public(key, point);
    bool is_good =
        crypto_es256_sign(key, "x", 1, signature) && crypto_es256_verify(point, "x", 1, signature);
    crypto_es256_free(&key);
    return is_good;
}

/* A PIN from its box to its record: HPKE, then Argon2id, which takes megabytes. */
static bool checks_a_pin(void)
{
    uint8_t secret[32];
    uint8_t point[CRYPTO_P256_POINT];
    uint8_t pin[VAULTD_PIN_TEXT] = {'1', '3', '5', '7'};
    uint8_t opened[VAULTD_PIN_TEXT];
    uint8_t box[VAULTD_PIN_TEXT + CRYPTO_HPKE_OVERHEAD];
    uint8_t record[VAULTD_PIN_RECORD];
    const struct crypto_hpke context = {.info = b_rd_from("test", 4)};
    const struct vaultd_pin_of of = {.ref = "10001234567", .pepper = secret};
    memset(secret, 0x42, sizeof(secret));
    struct crypto_es256 *key = crypto_es256_new(secret);
    if (key == NULL)
        return false;
    crypto_es256_public(key, point);
    crypto_es256_free(&key);
    return crypto_hpke_seal(point, &context, b_rd_from(pin, sizeof(pin)), box) &&
           crypto_hpke_open(secret, &context, b_rd_from(box, sizeof(box)), opened) &&
           vaultd_pin_hash(opened, &of, secret, record, NULL) == B_OK &&
           vaultd_pin_check(pin, &of, b_rd_from(record, sizeof(record)), NULL) == B_OK;
}

/* --- tests ------------------------------------------------------------------------------------ */

#define KILLED(f) is_killed(f, #f)

static void what_a_vault_never_does_ends_it(void **state)
{
    (void)state;
    KILLED(makes_an_internet_socket);
    KILLED(makes_a_local_socket);
    KILLED(makes_a_packet_socket);
    KILLED(connects);
    KILLED(executes);
    KILLED(forks);
    KILLED(starts_a_thread);
    KILLED(traces);
    KILLED(reads_another_memory);
    KILLED(kills_its_parent_gently);
    KILLED(signals_another);
    KILLED(becomes_dumpable);
    KILLED(raises_a_limit);
    KILLED(writes_elsewhere);
    KILLED(reads_a_descriptor);
    KILLED(makes_a_folder);
    KILLED(uses_io_uring);
}

static void memory_cannot_become_code(void **state)
{
    (void)state;
    KILLED(maps_code);
    KILLED(makes_memory_code);
}

#ifdef __x86_64__
static void another_architecture_ends_it(void **state)
{
    (void)state;
    assert_int_equal(WIFEXITED(try(0, calls_by_the_old_gate)), 1); /* the machine knows the gate */
    KILLED(calls_by_the_old_gate);
}
#endif

static void opening_is_refused_twice_over(void **state)
{
    (void)state;
    is_refused(CALLS, opens_for_reading, "reading under seccomp");
    is_refused(CALLS, opens_for_writing, "writing under seccomp");
    is_refused(FILES, opens_for_reading, "reading under Landlock");
    is_refused(FILES, opens_for_writing, "writing under Landlock");
    is_refused(FILES, lists_a_folder, "listing under Landlock");
    is_refused(FILES, makes_a_folder, "mkdir under Landlock");
    is_refused(FILES, executes, "execve under Landlock");
}

/* What a token's module has no business with; files, threads and sockets it may want. */
static void a_module_cannot_leave_its_process(void **state)
{
    (void)state;
    is_refused(MODULE, executes, "execve");
    is_refused(MODULE, traces, "ptrace");
    is_refused(MODULE, reads_another_memory, "process_vm_readv");
    is_refused(MODULE, uses_io_uring, "io_uring_setup");
    assert_int_equal(WEXITSTATUS(try(MODULE, opens_for_reading)), 0);
    assert_int_equal(WEXITSTATUS(try(MODULE, makes_a_local_socket)), 0);
    assert_int_equal(WEXITSTATUS(try(MODULE, starts_a_thread)), 0);
}

static void what_a_vault_does_goes_on(void **state)
{
    (void)state;
    assert_int_equal(crypto_self_test(NULL),
                     B_OK); /* before, as the vault: libcrypto reads files */
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
    int status = try(FILES | CALLS, works);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    status = try(FILES | CALLS, signs);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    status = try(FILES | CALLS, checks_a_pin);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_vault_never_does_ends_it),
        cmocka_unit_test(memory_cannot_become_code),
#ifdef __x86_64__
        cmocka_unit_test(another_architecture_ends_it),
#endif
        cmocka_unit_test(opening_is_refused_twice_over),
        cmocka_unit_test(a_module_cannot_leave_its_process),
        cmocka_unit_test(what_a_vault_does_goes_on),
    };
    return cmocka_run_group_tests_name("vault confinement", tests, NULL, NULL);
}
