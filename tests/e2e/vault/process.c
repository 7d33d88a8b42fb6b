/* The real tessere-vault as a process: what it is given, what it gives up, how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "place.h"
#include "vault/process.h"
#include "vault/wire.h"

static struct vault_key generate(struct vault *v, enum key_role role, uint8_t generation)
{
    struct vault_key key = {0};
    struct b_err err = {0};
    if (vault_key_generate(v, role, generation, &key, &err) != B_OK)
        fail_msg("%s", err.msg);
    return key;
}

/* --- token and keys --------------------------------------------------------------------------- */

static void keys_stay_when_the_vault_ends(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault *v = place_spawn(&config);
    struct vault_token t;
    struct vault_key list[8];
    size_t n = 0;
    struct b_err err = {0};
    if (vault_token(v, &t, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_string_equal(t.label, "Badges");
    assert_string_equal(t.method, "CKM_AES_CMAC");
    assert_true(t.is_memory_locked);
    struct vault_key made = generate(v, KEY_ROLE_AUTH, 1);
    assert_true(made.is_safe);
    assert_string_equal(made.kcv_method, "CMAC-0");
    assert_int_equal(vault_key_generate(v, KEY_ROLE_AUTH, 1, &made, &err), B_E_KEY_EXISTS);
    vault_free(&v);
    v = place_spawn(&config);
    assert_int_equal(vault_key_list(v, list, B_COUNT(list), &n, NULL), B_OK);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].role, KEY_ROLE_AUTH);
    assert_memory_equal(list[0].kcv, made.kcv, 3);
    vault_free(&v);
}

static void a_token_that_vanished_is_used_when_it_is_back(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    config.token_uri = place_mock;
    place_fault("vanish");
    struct vault *v = place_spawn(&config); /* a vault starts without its token */
    struct vault_token t;
    struct vault_key list[2];
    size_t n = 0;
    struct b_err err = {0};
    assert_int_equal(vault_token(v, &t, &err), B_E_TOKEN_ABSENT);
    assert_non_null(strstr(err.msg, "Badges"));
    place_fault(NULL);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    generate(v, KEY_ROLE_APP, 1);
    place_fault("vanish");
    assert_int_equal(vault_token(v, &t, NULL), B_E_TOKEN_ABSENT);
    place_fault(NULL);
    assert_int_equal(vault_key_list(v, list, B_COUNT(list), &n, NULL), B_OK);
    assert_int_equal(n, 1);
    vault_free(&v);
}

/* --- the PIN ---------------------------------------------------------------------------------- */

static enum b_code token_with(const struct vault_config *config, struct b_err *err)
{
    struct vault *v = place_spawn(config);
    struct vault_token t;
    enum b_code r = vault_token(v, &t, err);
    vault_free(&v);
    return r;
}

static void a_pin_file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct b_err err = {0};
    assert_int_equal(chmod(place_pin, 0640), 0);
    assert_int_equal(token_with(&config, &err), B_E_TOKEN_PIN_SOURCE);
    assert_non_null(strstr(err.msg, "chmod 600"));
    assert_int_equal(chmod(place_pin, 0600), 0);
    assert_int_equal(token_with(&config, &err), B_OK);
    if (geteuid() == 0) {
        assert_int_equal(chown(place_pin, 12345, 12345), 0);
        assert_int_equal(token_with(&config, &err), B_E_TOKEN_PIN_OWNER);
    }
}

static void a_pin_file_that_is_a_link_or_missing_or_long_is_refused(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct b_err err = {0};
    char link[160];
    (void)snprintf(link, sizeof(link), "%s/link", place_dir);
    assert_int_equal(symlink(place_pin, link), 0);
    config.pin_file = link;
    assert_int_equal(token_with(&config, &err), B_E_TOKEN_PIN_SOURCE);
    config.pin_file = "/nonexistent/pin";
    assert_int_equal(token_with(&config, &err), B_E_TOKEN_PIN_SOURCE);
    char text[200];
    memset(text, 'A', sizeof(text));
    FILE *f = fopen(place_pin, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, sizeof(text), f), sizeof(text));
    assert_int_equal(fclose(f), 0);
    config.pin_file = place_pin;
    assert_int_equal(token_with(&config, &err), B_E_TOKEN_PIN_SOURCE);
    assert_null(strstr(err.msg, "AAAA"));
}

static void a_pin_comes_through_a_pipe(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct b_err err = {0};
    int ends[2];
    char pin[64];
    FILE *f = fopen(place_pin, "re");
    assert_non_null(f);
    size_t n = fread(pin, 1, sizeof(pin), f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], pin, n), (ssize_t)n);
    assert_int_equal(close(ends[1]), 0);
    config.pin_file = NULL;
    config.pin_fd = ends[0];
    assert_int_equal(token_with(&config, &err), B_OK);
    assert_int_equal(close(ends[0]), 0);
}

static void a_pin_comes_as_a_credential(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct b_err err = {0};
    char credential[160];
    (void)snprintf(credential, sizeof(credential), "%s/token-pin", place_dir);
    assert_int_equal(rename(place_pin, credential), 0);
    config.pin_file = NULL;
    assert_int_equal(token_with(&config, &err), B_E_TOKEN_PIN_SOURCE);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", place_dir, 1), 0);
    assert_int_equal(token_with(&config, &err), B_OK);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void a_refused_pin_is_offered_once(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault_token t;
    struct vault_key key;
    struct b_err err = {0};
    config.token_uri = place_mock;
    FILE *f = fopen(place_pin, "we");
    assert_non_null(f);
    assert_true(fputs("wrong-pin\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    struct vault *v = place_spawn(&config);
    assert_int_equal(vault_token(v, &t, &err), B_E_TOKEN_PIN_WRONG);
    assert_int_equal(vault_token(v, &t, &err), B_E_TOKEN_PIN_WRONG);
    assert_int_equal(vault_key_generate(v, KEY_ROLE_APP, 1, &key, &err), B_E_TOKEN_PIN_WRONG);
    assert_int_equal(place_count("logins"), 1);
    vault_free(&v);
}

static void the_last_try_needs_leave(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct b_err err = {0};
    config.token_uri = place_mock;
    place_fault("final-try");
    assert_int_equal(token_with(&config, &err), B_E_TOKEN_PIN_LAST_TRY);
    assert_int_equal(place_count("logins"), 0);
    config.may_use_last_try = true;
    assert_int_equal(token_with(&config, &err), B_OK);
    place_fault(NULL);
}

/* --- the process ------------------------------------------------------------------------------ */

/* Reads a whole file of /proc/PID; false when this user may not. */
static bool read_proc(int pid, const char *name, char *out, size_t cap, size_t *ret_n)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    *ret_n = fread(out, 1, cap - 1, f);
    bool is_read = ferror(f) == 0;
    (void)fclose(f);
    out[*ret_n] = '\0';
    return is_read;
}

static void the_process_keeps_nothing_that_it_does_not_need(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    static char text[16384];
    size_t n = 0;
    int leak = open("/etc/hostname", O_RDONLY); /* without CLOEXEC, as careless code does */
    assert_true(leak >= 0);
    struct vault *v = place_spawn(&config);
    int pid = vault_pid(v);
    assert_true(read_proc(pid, "status", text, sizeof(text), &n));
    assert_non_null(strstr(text, "NoNewPrivs:\t1"));
    assert_null(strstr(text, "VmLck:\t       0 kB"));
    assert_true(read_proc(pid, "limits", text, sizeof(text), &n));
    assert_non_null(strstr(text, "Max core file size        0                    0"));
    for (int fd = 4; fd < 64; fd++) {
        if (fd == VAULT_TOKEN_FD)
            continue;
        char path[64];
        struct stat st;
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
        assert_int_not_equal(lstat(path, &st), 0);
    }
    if (read_proc(pid, "environ", text, sizeof(text), &n)) {
        assert_int_equal(strncmp(text, "SOFTHSM2_CONF=", 14), 0);
        assert_int_equal(strlen(text) + 1, n);
    }
    vault_free(&v);
    (void)close(leak);
}

static void an_interrupt_from_the_terminal_does_not_end_it(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault_token t;
    struct vault *v = place_spawn(&config);
    assert_int_equal(kill(vault_pid(v), SIGINT), 0);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    vault_free(&v);
}

static void a_killed_vault_is_a_clean_error(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault_token t;
    struct b_err err = {0};
    struct vault *v = place_spawn(&config);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    assert_int_equal(kill(vault_pid(v), SIGKILL), 0);
    assert_int_equal(vault_token(v, &t, &err), B_E_VAULT_GONE);
    assert_int_equal(vault_token(v, &t, &err), B_E_VAULT_GONE);
    vault_session_close(v, 1);
    vault_free(&v);
}

static void a_missing_program_is_a_clean_error(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault *v = NULL;
    struct b_err err = {0};
    config.program = "/nonexistent/tessere-vault";
    assert_int_equal(vault_spawn(&config, &v, &err), B_E_VAULT_GONE);
    assert_non_null(strstr(err.msg, "/nonexistent"));
    assert_null(v);
}

static int end_of(struct vault_process *p, const void *bytes, size_t n)
{
    if (n > 0)
        assert_int_equal(send(p->fds[0], bytes, n, MSG_NOSIGNAL), (ssize_t)n);
    else
        assert_int_equal(shutdown(p->fds[0], SHUT_RDWR), 0);
    int status = vault_process_status(p);
    vault_process_stop(p);
    assert_true(status >= 0 && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void it_ends_at_what_it_does_not_know_and_with_its_socket(void **state)
{
    (void)state;
    static const uint8_t big[VAULT_MESSAGE_MAX + 1] = {VAULT_MSG_CONFIGURE};
    static const struct {
        const void *bytes;
        size_t n;
        int status;
    } cases[] = {{"\xFF", 1, VAULT_EXIT_PROTOCOL},
                 {"\x02", 1, VAULT_EXIT_PROTOCOL},
                 {"\x01\x01", 2, VAULT_EXIT_PROTOCOL},
                 {big, sizeof(big), VAULT_EXIT_PROTOCOL},
                 {NULL, 0, 0}};
    struct vault_config config = place_config();
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        struct vault_process p;
        assert_int_equal(vault_process_start(&config, &p, NULL), B_OK);
        assert_int_equal(end_of(&p, cases[i].bytes, cases[i].n), cases[i].status);
    }
}

/* In a process of its own, since it gives up a right for good. */
static void without_locked_memory_it_does_not_start(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {.rlim_cur = 4096, .rlim_max = 4096};
        struct vault_config config = place_config();
        struct vault *v = NULL;
        struct b_err err = {0};
        if (geteuid() == 0 && prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) != 0)
            _exit(2);
        if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
            _exit(2);
        _exit(vault_spawn(&config, &v, &err) == B_E_LOCK_MEMORY && strstr(err.msg, "lock") ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, place_make, place_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(keys_stay_when_the_vault_ends),
        T(a_token_that_vanished_is_used_when_it_is_back),
        T(a_pin_file_that_others_can_read_is_refused),
        T(a_pin_file_that_is_a_link_or_missing_or_long_is_refused),
        T(a_pin_comes_through_a_pipe),
        T(a_pin_comes_as_a_credential),
        T(a_refused_pin_is_offered_once),
        T(the_last_try_needs_leave),
        T(the_process_keeps_nothing_that_it_does_not_need),
        T(an_interrupt_from_the_terminal_does_not_end_it),
        T(a_killed_vault_is_a_clean_error),
        T(a_missing_program_is_a_clean_error),
        T(it_ends_at_what_it_does_not_know_and_with_its_socket),
        T(without_locked_memory_it_does_not_start),
    };
    return cmocka_run_group_tests_name("vault process", tests, NULL, NULL);
}
