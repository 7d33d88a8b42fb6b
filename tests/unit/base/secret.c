/* The arena: wiped, kept out of dumps, locked, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

static int start(void **state)
{
    (void)state;
    struct b_err err;
    return b_secret_init(16384, false, &err) == B_OK ? 0 : -1;
}

static void what_is_given_back_is_wiped_and_handed_out_again(void **state)
{
    (void)state;
    size_t before = b_secret_in_use();
    uint8_t *p = b_secret_alloc(100);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 16, 0);
    memset(p, 0xA5, 100);
    b_secret_free(p);
    assert_int_equal(b_secret_in_use(), before);
    uint8_t *again = b_secret_alloc(100);
    assert_ptr_equal(again, p);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(again[i], 0);
    b_secret_free(again);
}

static void a_full_arena_says_so_and_comes_back_whole(void **state)
{
    (void)state;
    static void *blocks[600];
    size_t n = 0;
    while (n < 600 && (blocks[n] = b_secret_alloc(64)) != NULL)
        n++;
    assert_true(n > 100 && n < 600);
    for (size_t i = 0; i < n; i += 2)
        b_secret_free(blocks[i]);
    for (size_t i = 1; i < n; i += 2)
        b_secret_free(blocks[i]);
    assert_int_equal(b_secret_in_use(), 0);
    void *large = b_secret_alloc(16384 - 64);
    assert_non_null(large);
    b_secret_free(large);
    assert_null(b_secret_alloc(16385));
    assert_null(b_secret_alloc(0));
}

/* The kernel's own word: dd, not dumped; wf, wiped on fork. */
static void the_kernel_keeps_it_out_of_dumps_and_of_children(void **state)
{
    (void)state;
    uint8_t *p = b_secret_alloc(16);
    char line[512], flags[512] = "";
    bool is_ours = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            is_ours = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (is_ours && strncmp(line, "VmFlags:", 8) == 0)
            (void)strcpy(flags, line);
    }
    (void)fclose(f);
    assert_non_null(strstr(flags, " dd"));
    assert_non_null(strstr(flags, " wf"));
    if (b_secret_is_locked())
        assert_non_null(strstr(flags, " lo"));
    memset(p, 0x5A, 16);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(p[0] == 0 ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    b_secret_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_back_is_wiped_and_handed_out_again),
        cmocka_unit_test(a_full_arena_says_so_and_comes_back_whole),
        cmocka_unit_test(the_kernel_keeps_it_out_of_dumps_and_of_children),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
