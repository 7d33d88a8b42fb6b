/* The vault and tessere-token as two processes: what holds them apart, and how they end together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "place.h"

static double seconds(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void wait_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static bool proc_says(int pid, const char *file, const char *line)
{
    static char text[65536];
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return strstr(text, line) != NULL;
}

/* --- apart ------------------------------------------------------------------------------------ */

static void the_answer_says_that_it_is_confined(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault_token t;
    config.is_strict = true; /* a machine without seccomp or Landlock fails this suite here */
    struct vault *v = place_spawn(&config);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    assert_true(t.is_module_apart);
    assert_true(t.has_seccomp);
    assert_true(t.landlock > 0);
    assert_true(proc_says(vault_pid(v), "status", "Seccomp:\t2"));
    assert_true(proc_says(vault_pid(v), "limits", "Max file size             0 "));
    vault_free(&v);
}

static void every_worker_is_confined(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault_token t;
    config.workers = 5;
    struct vault *v = place_spawn(&config);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    int threads = 0;
    for (int id = vault_pid(v); id < vault_pid(v) + 100; id++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/status", vault_pid(v), id);
        if (access(path, R_OK) != 0)
            continue;
        (void)snprintf(path, sizeof(path), "task/%d/status", id);
        assert_true(proc_says(vault_pid(v), path, "Seccomp:\t2"));
        threads++;
    }
    assert_int_equal(threads, 5);
    vault_free(&v);
}

static void the_module_is_mapped_in_the_other_process_alone(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return; /* neither can be looked into */
    struct vault_config config = place_config();
    struct vault_token t;
    struct vault *v = place_spawn(&config);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    int token = place_token_pid(vault_pid(v));
    assert_true(token > 0);
    assert_true(proc_says(token, "maps", "libsofthsm2"));
    assert_false(proc_says(vault_pid(v), "maps", "libsofthsm2"));
    assert_true(proc_says(token, "status", "NoNewPrivs:\t1"));
    assert_true(proc_says(token, "limits", "Max core file size        0                    0"));
    vault_free(&v);
}

struct work {
    struct vault *vault;
    enum b_code result;
};

static void *use(void *arg)
{
    struct work *w = arg;
    struct vault_key keys[4];
    struct vault_token t;
    size_t n = 0;
    w->result = B_OK;
    for (int i = 0; i < 40 && w->result == B_OK; i++) {
        w->result = vault_token(w->vault, &t, NULL);
        if (w->result == B_OK)
            w->result = vault_key_list(w->vault, keys, B_COUNT(keys), &n, NULL);
        if (w->result == B_OK && n != 1)
            w->result = B_E_INTERNAL;
    }
    return NULL;
}

static void workers_use_the_token_at_once(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    struct vault_config config = place_config();
    struct vault_key key;
    pthread_t threads[THREADS];
    struct work work[THREADS];
    config.workers = 4;
    struct vault *v = place_spawn(&config);
    assert_int_equal(vault_key_generate(v, KEY_ROLE_AUTH, 1, &key, NULL), B_OK);
    for (size_t i = 0; i < THREADS; i++) {
        work[i] = (struct work){.vault = v};
        assert_int_equal(pthread_create(&threads[i], NULL, use, &work[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(work[i].result, B_OK);
    }
    vault_free(&v);
}

static void the_vaults_own_keys_come_from_the_token_again(void **state)
{
    (void)state;
    static const uint8_t root[32] = {1};
    struct vault_config config = place_config();
    struct vault_key key;
    struct vault_identity first, again;
    uint8_t signature[64];
    struct vault_tree tree = {
        .origin = "tessere/750712184", .size = 1, .root = root, .proof = b_rd_from(NULL, 0)};
    struct vault *v = place_spawn(&config);
    assert_int_equal(vault_key_generate(v, KEY_ROLE_SEAL, 1, &key, NULL), B_OK);
    assert_int_equal(vault_identity(v, &first, NULL), B_OK);
    assert_int_equal(vault_checkpoint(v, &tree, signature, NULL), B_OK);
    vault_free(&v);
    v = place_spawn(&config);
    assert_int_equal(vault_identity(v, &again, NULL), B_OK);
    assert_memory_equal(first.journal, again.journal, sizeof(first.journal));
    assert_memory_equal(first.assertion, again.assertion, sizeof(first.assertion));
    vault_free(&v);
}

/* The tree of two leaves. */
static void root_of(const uint8_t a[static 32], const uint8_t b[static 32], uint8_t root[static 32])
{
    uint8_t node[65] = {1};
    memcpy(node + 1, a, 32);
    memcpy(node + 33, b, 32);
    crypto_sha256(node, sizeof(node), root);
}

static void a_second_history_by_another_process_is_found_through_the_token(void **state)
{
    (void)state;
    static const uint8_t leaves[3][32] = {{1}, {2}, {3}};
    uint8_t signature[64], root[2][32];
    struct vault_seen seen;
    struct vault_config config = place_config();
    struct vault *one = place_spawn(&config);
    struct vault *other = place_spawn(&config);
    struct vault_tree tree = {.origin = "tessere/750712184", .size = 1, .root = leaves[0]};
    struct vault_key key;
    assert_int_equal(vault_key_generate(one, KEY_ROLE_SEAL, 1, &key, NULL), B_OK);
    root_of(leaves[0], leaves[1], root[0]);
    root_of(leaves[0], leaves[2], root[1]);
    assert_int_equal(vault_checkpoint(one, &tree, signature, NULL), B_OK);
    tree = (struct vault_tree){tree.origin, 2, root[0], b_rd_from(leaves[1], 32), {0}};
    assert_int_equal(vault_checkpoint(other, &tree, signature, NULL), B_OK);
    tree = (struct vault_tree){tree.origin, 2, root[1], b_rd_from(leaves[2], 32), {0}};
    assert_int_equal(vault_checkpoint(one, &tree, signature, NULL), B_E_VAULT_BUSY);
    assert_int_equal(vault_journal_seen(one, &seen, NULL), B_OK);
    assert_int_equal(seen.size, 1);
    assert_int_equal(seen.other, 2);
    assert_int_equal(vault_checkpoint(one, &tree, signature, NULL), B_E_JOURNAL_FORK);
    tree = (struct vault_tree){tree.origin, 2, root[0], b_rd_from(leaves[1], 32), {0}};
    assert_int_equal(vault_checkpoint(one, &tree, signature, NULL), B_OK);
    vault_free(&other);
    config.signs_journal = false;
    other = place_spawn(&config);
    assert_int_equal(vault_checkpoint(other, &tree, signature, NULL), B_E_REFUSED);
    vault_free(&other);
    vault_free(&one);
}

/* --- on a kernel that lacks something --------------------------------------------------------- */

/* In a child: the vault of a kernel where this call is not known. */
static enum b_code spawn_without(int call, bool is_strict, struct vault_token *ret)
{
    struct vault_config config = place_config();
    struct vault *v = NULL;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    b_check(filter != NULL);
    b_check(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0) == 0);
    b_check(seccomp_load(filter) == 0);
    seccomp_release(filter);
    config.is_strict = is_strict;
    enum b_code r = vault_spawn(&config, &v, NULL);
    if (r == B_OK)
        r = vault_token(v, ret, NULL);
    vault_free(&v);
    return r;
}

static int in_child(bool is_strict)
{
    enum { LANDLOCK_CREATE_RULESET = 444 };
    struct vault_token t;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        enum b_code r = spawn_without(LANDLOCK_CREATE_RULESET, is_strict, &t);
        if (is_strict)
            _exit(r == B_E_UNCONFINED ? 0 : 1);
        _exit(r == B_OK && t.landlock == 0 && t.has_seccomp ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_kernel_without_landlock_is_told_and_refused_when_strict(void **state)
{
    (void)state;
    assert_int_equal(in_child(false), 0);
    assert_int_equal(in_child(true), 0);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void a_killed_token_process_is_a_clean_error_and_a_restart_brings_both(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault_token t;
    struct b_err err = {0};
    struct vault *v = place_spawn(&config);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    assert_int_equal(kill(place_token_pid(vault_pid(v)), SIGKILL), 0);
    assert_int_equal(vault_token(v, &t, &err), B_E_TOKEN_FAILED);
    assert_non_null(strstr(err.msg, "module"));
    assert_int_equal(vault_token(v, &t, &err), B_E_VAULT_GONE);
    assert_non_null(strstr(err.msg, "module"));
    assert_int_equal(vault_restart(v, &err), B_OK);
    assert_int_equal(vault_token(v, &t, &err), B_OK);
    vault_free(&v);
}

static void a_module_that_crashes_is_a_clean_error(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault_token t;
    config.token_uri = place_mock;
    struct vault *v = place_spawn(&config);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    place_fault("crash");
    assert_int_equal(vault_token(v, &t, NULL), B_E_TOKEN_FAILED);
    assert_int_equal(vault_token(v, &t, NULL), B_E_VAULT_GONE);
    place_fault(NULL);
    vault_free(&v);
}

static void *kill_soon(void *arg)
{
    wait_ms(300);
    (void)kill(*(const int *)arg, SIGKILL);
    return NULL;
}

static void a_token_process_killed_while_it_is_asked_hangs_nothing(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault_token t;
    pthread_t thread;
    config.token_uri = place_mock;
    struct vault *v = place_spawn(&config);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    int token = place_token_pid(vault_pid(v));
    place_fault("hang");
    double start = seconds();
    assert_int_equal(pthread_create(&thread, NULL, kill_soon, &token), 0);
    assert_int_equal(vault_token(v, &t, NULL), B_E_TOKEN_FAILED);
    assert_true(seconds() - start < 3);
    assert_int_equal(pthread_join(thread, NULL), 0);
    place_fault(NULL);
    vault_free(&v);
}

/* A client that is killed, with its vault idle or waiting for a module that hangs. */
B_NORETURN static void client(int tell, bool hangs)
{
    struct vault_config config = place_config();
    struct vault_token t;
    struct vault *v = NULL;
    config.token_uri = place_mock;
    if (vault_spawn(&config, &v, NULL) != B_OK || vault_token(v, &t, NULL) != B_OK)
        _exit(1);
    int pids[2] = {vault_pid(v), place_token_pid(vault_pid(v))};
    if (hangs)
        place_fault("hang");
    if (write(tell, pids, sizeof(pids)) != sizeof(pids))
        _exit(1);
    if (!hangs || vault_token(v, &t, NULL) != B_OK)
        (void)pause();
    _exit(1);
}

/* The orphans become this process's children, so that none stays a zombie. */
static void ends(int pid, double until)
{
    while (kill(pid, 0) == 0 && seconds() < until) {
        (void)waitpid(pid, NULL, WNOHANG);
        wait_ms(10);
    }
    assert_int_equal(kill(pid, 0), -1);
}

static void kill_client(bool hangs)
{
    int tell[2];
    int pids[2];
    assert_int_equal(pipe(tell), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        client(tell[1], hangs);
    assert_int_equal(read(tell[0], pids, sizeof(pids)), sizeof(pids));
    assert_true(pids[0] > 0 && pids[1] > 0);
    wait_ms(hangs ? 300 : 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    double until = seconds() + 5;
    ends(pid, until);
    ends(pids[0], until);
    ends(pids[1], until);
    place_fault(NULL);
    (void)close(tell[0]);
    (void)close(tell[1]);
}

static void a_killed_client_leaves_neither_process(void **state)
{
    (void)state;
    kill_client(false);
}

static void a_killed_client_leaves_neither_process_when_the_module_hangs(void **state)
{
    (void)state;
    kill_client(true);
}

static void a_killed_vault_leaves_no_token_process(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault_token t;
    struct vault *v = place_spawn(&config);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    int token = place_token_pid(vault_pid(v));
    assert_int_equal(kill(vault_pid(v), SIGKILL), 0);
    ends(token, seconds() + 5);
    vault_free(&v);
}

#define T(f) cmocka_unit_test_setup_teardown(f, place_make, place_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_answer_says_that_it_is_confined),
        T(every_worker_is_confined),
        T(the_module_is_mapped_in_the_other_process_alone),
        T(workers_use_the_token_at_once),
        T(the_vaults_own_keys_come_from_the_token_again),
        T(a_second_history_by_another_process_is_found_through_the_token),
        T(a_kernel_without_landlock_is_told_and_refused_when_strict),
        T(a_killed_token_process_is_a_clean_error_and_a_restart_brings_both),
        T(a_module_that_crashes_is_a_clean_error),
        T(a_token_process_killed_while_it_is_asked_hangs_nothing),
        T(a_killed_client_leaves_neither_process),
        T(a_killed_client_leaves_neither_process_when_the_module_hangs),
        T(a_killed_vault_leaves_no_token_process),
    };
    return cmocka_run_group_tests_name("vault and token apart", tests, NULL, NULL);
}
