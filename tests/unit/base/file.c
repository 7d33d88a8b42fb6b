#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/file.h"

static char dir[] = "/tmp/tessere-file-XXXXXX";
static char path[64];
static struct b_err err;

static int make_dir(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/kept", dir);
    return 0;
}

static int drop_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static const char *content(void)
{
    static char text[64];
    FILE *f = fopen(path, "re");
    size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = '\0';
    if (f != NULL)
        (void)fclose(f);
    return text;
}

static void a_file_takes_the_place_of_another_with_its_permissions(void **state)
{
    (void)state;
    struct stat s;
    assert_int_equal(b_file_replace(path, "one", 3, 0600, &err), B_OK);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_int_equal(b_file_replace(path, "another", 7, 0644, &err), B_OK);
    assert_string_equal(content(), "another");
}

static void what_a_cut_run_left_is_no_obstacle_and_is_not_followed(void **state)
{
    (void)state;
    char part[80];
    (void)snprintf(part, sizeof(part), "%s.part", path);
    assert_int_equal(symlink("/etc/passwd", part), 0);
    assert_int_equal(b_file_replace(path, "third", 5, 0600, &err), B_OK);
    assert_string_equal(content(), "third");
    assert_int_not_equal(access(part, F_OK), 0);
}

static void *write_often(void *arg)
{
    struct b_err e;
    for (int i = 0; i < 100; i++)
        if (b_file_replace(path, arg, strlen(arg), 0600, &e) != B_OK)
            return arg;
    return NULL;
}

static void many_who_write_one_file_at_once_all_succeed(void **state)
{
    (void)state;
    static char texts[4][16] = {"first", "second one", "third", "the fourth"};
    pthread_t writers[4];
    bool is_whole = false;
    for (size_t i = 0; i < B_COUNT(writers); i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_often, texts[i]), 0);
    for (size_t i = 0; i < B_COUNT(writers); i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(writers[i], &failed), 0);
        assert_null(failed);
    }
    for (size_t i = 0; i < B_COUNT(texts); i++)
        is_whole |= strcmp(content(), texts[i]) == 0;
    assert_true(is_whole);
}

static void where_it_cannot_be_written_path_and_cause_are_named(void **state)
{
    (void)state;
    assert_int_equal(b_file_replace("/nowhere/at/all", "x", 1, 0600, &err), B_E_SYSTEM);
    assert_non_null(strstr(err.msg, "/nowhere/at/all"));
    char into[80];
    (void)snprintf(into, sizeof(into), "%s/full", dir);
    assert_int_equal(mkdir(into, 0700), 0);
    assert_int_equal(b_file_replace(into, "x", 1, 0600, &err), B_E_SYSTEM); /* a directory stays */
    assert_int_equal(rmdir(into), 0); /* and nothing lies beside it */
}

static void a_file_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static char big[200000];
    char *text = NULL;
    size_t n = 0;
    memset(big, 'x', sizeof(big));
    static const size_t sizes[] = {0, 1, 65534, 65535, 65536, sizeof(big)};
    for (size_t i = 0; i < B_COUNT(sizes); i++) {
        assert_int_equal(b_file_replace(path, big, sizes[i], 0600, &err), B_OK);
        assert_int_equal(b_file_read(path, sizes[i], &text, &n, &err), B_OK);
        assert_int_equal(n, sizes[i]);
        assert_int_equal(strlen(text), n);
        free(text);
        if (sizes[i] > 0)
            assert_int_equal(b_file_read(path, sizes[i] - 1, &text, &n, &err), B_E_BAD_INPUT);
    }
    assert_non_null(strstr(err.msg, "more than"));
    assert_int_equal(b_file_read("/nonexistent", 1, &text, &n, &err), B_E_BAD_INPUT);
    assert_int_equal(b_file_read("/tmp", 1, &text, &n, &err), B_E_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_file_takes_the_place_of_another_with_its_permissions),
        cmocka_unit_test(what_a_cut_run_left_is_no_obstacle_and_is_not_followed),
        cmocka_unit_test(many_who_write_one_file_at_once_all_succeed),
        cmocka_unit_test(where_it_cannot_be_written_path_and_cause_are_named),
    };
    return cmocka_run_group_tests_name("files", tests, make_dir, drop_dir);
}
