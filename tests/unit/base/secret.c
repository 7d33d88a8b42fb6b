/* The arena for keys: what the kernel was told, what is wiped, how it ends when it is misused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/secret.h"

enum { ARENA = 32 << 10 };

/* The sanitizers' runtime replaces mlock by a call that does nothing and succeeds. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MLOCK_IS_FAKE 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MLOCK_IS_FAKE 1
#endif
#ifndef MLOCK_IS_FAKE
#define MLOCK_IS_FAKE 0
#endif

static int start(void **state)
{
    (void)state;
    return b_secret_init(ARENA, false, NULL) == B_OK ? 0 : -1;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}

/* Copies the VmFlags line of the mapping that holds p: two letters a flag, see proc(5). */
static bool flags_of(const void *p, char *out, size_t cap)
{
    char line[512];
    bool is_inside = false, is_found = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    assert_non_null(f);
    while (!is_found && fgets(line, sizeof(line), f) != NULL) {
        uintptr_t from, to;
        if (sscanf(line, "%zx-%zx ", &from, &to) == 2)
            is_inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        is_found = is_inside && strncmp(line, "VmFlags:", 8) == 0;
    }
    assert_int_equal(fclose(f), 0);
    (void)snprintf(out, cap, "%s", is_found ? line : "");
    return is_found;
}

static void the_kernel_keeps_it_out_of_dumps_swap_and_children(void **state)
{
    (void)state;
    char flags[512];
    void *p = b_secret_alloc(16);
    assert_non_null(p);
    assert_true(flags_of(p, flags, sizeof(flags)));
    assert_non_null(strstr(flags, " dd")); /* not dumped */
    assert_non_null(strstr(flags, " wf")); /* wiped in a child */
    if (!MLOCK_IS_FAKE)
        assert_int_equal(strstr(flags, " lo") != NULL, b_secret_is_locked());
    b_secret_free(p);
}

static void a_child_of_fork_sees_no_key(void **state)
{
    (void)state;
    uint8_t *p = b_secret_alloc(32);
    assert_non_null(p);
    memset(p, 0xA5, 32);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(is_zero(p, 32) ? 0 : 1);
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(p[31], 0xA5);
    b_secret_free(p);
}

static void memory_comes_zeroed_aligned_and_wiped_when_given_back(void **state)
{
    (void)state;
    for (size_t n = 1; n < 200; n++) {
        uint8_t *p = b_secret_alloc(n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(is_zero(p, n));
        assert_int_equal(b_secret_in_use(), n);
        memset(p, 0xA5, n);
        b_secret_free(p);
        assert_true(is_zero(p, n)); /* the arena stays mapped */
        assert_int_equal(b_secret_in_use(), 0);
    }
    b_secret_free(NULL);
}

static void a_full_arena_says_so_and_recovers_whole(void **state)
{
    (void)state;
    static void *blocks[ARENA / 64];
    size_t n = 0;
    for (; n < B_COUNT(blocks); n++) {
        blocks[n] = b_secret_alloc(64);
        if (blocks[n] == NULL)
            break;
        memset(blocks[n], 0xA5, 64);
    }
    assert_true(n > 100 && n < B_COUNT(blocks));
    /* in an order that leaves holes first */
    for (size_t i = 0; i < n; i += 2)
        b_secret_free(blocks[i]);
    for (size_t i = 1; i < n; i += 2) {
        assert_int_equal(*(uint8_t *)blocks[i], 0xA5);
        b_secret_free(blocks[i]);
    }
    assert_int_equal(b_secret_in_use(), 0);
    uint8_t *whole = b_secret_alloc(ARENA - 32);
    assert_non_null(whole);
    assert_true(is_zero(whole, ARENA - 32));
    assert_null(b_secret_alloc(1));
    b_secret_free(whole);
    assert_null(b_secret_alloc(0));
    assert_null(b_secret_alloc(ARENA));
    assert_null(b_secret_alloc(SIZE_MAX));
}

/* Any order of taking and giving back: blocks do not overlap, and all comes back. */
static void blocks_never_overlap(void **state)
{
    (void)state;
    enum { SLOTS = 24 };
    uint8_t *p[SLOTS] = {NULL};
    size_t n[SLOTS] = {0};
    uint32_t seed = 1;
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1664525u + 1013904223u;
        size_t i = seed >> 16 & 0xFFFF;
        i %= SLOTS;
        if (p[i] != NULL) {
            for (size_t k = 0; k < n[i]; k++)
                assert_int_equal(p[i][k], i + 1);
            b_secret_free(p[i]);
            p[i] = NULL;
        } else {
            n[i] = 1 + (seed >> 8) % 900;
            p[i] = b_secret_alloc(n[i]);
            assert_non_null(p[i]);
            assert_true(is_zero(p[i], n[i]));
            memset(p[i], (int)i + 1, n[i]);
        }
    }
    for (size_t i = 0; i < SLOTS; i++)
        b_secret_free(p[i]);
    assert_int_equal(b_secret_in_use(), 0);
}

static void overrun(uint8_t *p)
{
    memset(p, 0xA5, 16 + 8); /* into the next block's header */
    b_secret_free(p);
}

static void free_twice(uint8_t *p)
{
    b_secret_free(p);
    b_secret_free(p);
}

static void free_another(uint8_t *p)
{
    uint8_t elsewhere[16];
    (void)p;
    b_secret_free(elsewhere);
}

static void run_off_the_end(uint8_t *p)
{
    for (size_t i = 0; i <= 2 * ARENA; i++)
        ((volatile uint8_t *)p)[i] = 0;
}

/* In a child of its own, whose arena is fresh: the parent has none yet. */
static int signal_of(void (*misuse)(uint8_t *))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        (void)signal(SIGABRT, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)close(STDERR_FILENO);
        uint8_t *p = b_secret_init(ARENA, false, NULL) == B_OK ? b_secret_alloc(16) : NULL;
        if (p != NULL)
            misuse(p);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void misuse_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(signal_of(overrun), SIGABRT);
    assert_int_equal(signal_of(free_twice), SIGABRT);
    assert_int_equal(signal_of(free_another), SIGABRT);
    assert_int_equal(signal_of(run_off_the_end), SIGSEGV);
}

/* A process that may lock nothing: the vault's arena is refused, with the limit as the cause. */
#if !MLOCK_IS_FAKE
static void memory_that_cannot_be_locked_is_an_error_for_who_must(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct b_err err = {0};
        (void)setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0, 0});
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(1);
        if (b_secret_init(ARENA, true, &err) != B_E_LOCK_MEMORY || err.msg[0] == '\0')
            _exit(2);
        if (b_secret_init(ARENA, false, &err) != B_OK || b_secret_is_locked())
            _exit(3);
        _exit(0);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}
#endif

struct hand {
    pthread_t thread;
    uint8_t mark;
    bool is_good;
};

/* Takes and gives back in an order of its own; whatever it holds bears its mark alone. */
static void *take_and_give(void *arg)
{
    enum { HELD = 16, ROUNDS = 4000 };
    struct hand *h = arg;
    uint8_t *held[HELD] = {NULL};
    size_t sizes[HELD] = {0};
    uint32_t x = h->mark;
    h->is_good = true;
    for (int i = 0; i < ROUNDS + HELD; i++) {
        x = x * 1664525 + 1013904223;
        size_t at = i < ROUNDS ? x >> 28 : (size_t)(i - ROUNDS);
        for (size_t k = 0; held[at] != NULL && k < sizes[at]; k++)
            h->is_good = h->is_good && held[at][k] == h->mark;
        b_secret_free(held[at]);
        sizes[at] = 1 + (x >> 8) % 200;
        held[at] = i < ROUNDS ? b_secret_alloc(sizes[at]) : NULL;
        if (held[at] == NULL)
            continue;
        h->is_good = h->is_good && is_zero(held[at], sizes[at]);
        memset(held[at], h->mark, sizes[at]);
    }
    return NULL;
}

static void threads_share_it_and_it_comes_back_whole(void **state)
{
    (void)state;
    struct hand hands[4];
    for (size_t i = 0; i < B_COUNT(hands); i++) {
        hands[i].mark = (uint8_t)(i + 1);
        assert_int_equal(pthread_create(&hands[i].thread, NULL, take_and_give, &hands[i]), 0);
    }
    for (size_t i = 0; i < B_COUNT(hands); i++) {
        assert_int_equal(pthread_join(hands[i].thread, NULL), 0);
        assert_true(hands[i].is_good);
    }
    assert_int_equal(b_secret_in_use(), 0);
    void *whole = b_secret_alloc(ARENA - 32);
    assert_non_null(whole);
    b_secret_free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_ends_the_process),
#if !MLOCK_IS_FAKE
        cmocka_unit_test(memory_that_cannot_be_locked_is_an_error_for_who_must),
#endif
        cmocka_unit_test_setup(the_kernel_keeps_it_out_of_dumps_swap_and_children, start),
        cmocka_unit_test_setup(a_child_of_fork_sees_no_key, start),
        cmocka_unit_test_setup(memory_comes_zeroed_aligned_and_wiped_when_given_back, start),
        cmocka_unit_test_setup(a_full_arena_says_so_and_recovers_whole, start),
        cmocka_unit_test_setup(blocks_never_overlap, start),
        cmocka_unit_test_setup(threads_share_it_and_it_comes_back_whole, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
