/* A line of /etc/pam.d, and whose account a staff id is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pam/pam.h"

static struct b_err err;

static void what_is_absent_has_a_default(void **state)
{
    (void)state;
    struct pam_options o;
    assert_int_equal(pam_options_read(0, NULL, &o, &err), B_OK);
    assert_string_equal(o.socket, "/run/tessere-agent/socket");
    assert_string_equal(o.map, "identity");
    assert_int_equal(o.timeout, PAM_TIMEOUT);
    assert_true(o.keys == NULL && o.station == NULL && o.prompt == NULL && !o.needs_pin &&
                !o.takes_user && !o.is_greeter && !o.is_remote_too);
}

static void words_are_taken(void **state)
{
    (void)state;
    static const char *const words[] = {"socket=/s",   "keys=/k",     "station=a b",
                                        "map=/m",      "pin=always",  "user_from_badge",
                                        "timeout=300", "language=fr", "greeter"};
    struct pam_options o;
    assert_int_equal(pam_options_read((int)B_COUNT(words), words, &o, &err), B_OK);
    assert_string_equal(o.station, "a b");
    assert_true(o.needs_pin && o.takes_user && o.is_greeter && o.timeout == 300);
}

static void a_word_that_is_not_known_or_cannot_be_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const words[] = {
        "tmeout=3",     "timeout=0", "timeout=301", "timeout=3s",  "timeout=",
        "socket=s",     "socket=",   "keys=k",      "map=other",   "map=gecos:0",
        "map=gecos:12", "pin=",      "pin=never",   "language=de", "user_from_badge=no"};
    for (size_t i = 0; i < B_COUNT(words); i++) {
        struct pam_options o;
        assert_int_equal(pam_options_read(1, &words[i], &o, &err), B_E_CONFIG);
        assert_non_null(strstr(err.msg, "pam_tessere"));
    }
}

static void identity_lower_and_gecos(void **state)
{
    (void)state;
    char user[PAM_USER_MAX + 1];
    assert_int_equal(pam_map_check("identity", "Anne", "Anne", "", &err), B_OK);
    assert_int_equal(pam_map_check("identity", "Anne", "anne", "", &err), B_E_OTHER_HOLDER);
    assert_int_equal(pam_map_check("lower", "Anne", "anne", "", &err), B_OK);
    assert_int_equal(pam_map_check("lower", "Anne", "Anne", "", &err), B_E_OTHER_HOLDER);
    assert_int_equal(pam_map_find("lower", "ANNE-7", user, &err), B_OK);
    assert_string_equal(user, "anne-7");
    assert_int_equal(pam_map_check("gecos:2", "10001", "anne", "Anne,10001,x", &err), B_OK);
    assert_int_equal(pam_map_check("gecos:3", "10001", "anne", "Anne,x,10001", &err), B_OK);
    assert_int_equal(pam_map_check("gecos:2", "10001", "anne", "Anne,100012", &err),
                     B_E_OTHER_HOLDER);
    assert_int_equal(pam_map_check("gecos:2", "10001", "anne", "10001", &err), B_E_OTHER_HOLDER);
    assert_int_equal(pam_map_check("gecos:9", "10001", "anne", "", &err), B_E_OTHER_HOLDER);
}

static void a_list_is_roots_and_a_person_may_have_several_accounts(void **state)
{
    (void)state;
    char path[] = "/tmp/tessere-map-XXXXXX";
    static const char text[] =
        "# who\n\n10001 anne # day\n10001\tanne-admin\nbroken\n10002 a b\n10003 c";
    char user[PAM_USER_MAX + 1];
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    if (geteuid() == 0) {
        assert_int_equal(pam_map_check(path, "10001", "anne", "", &err), B_OK);
        assert_int_equal(pam_map_check(path, "10001", "anne-admin", "", &err), B_OK);
        assert_int_equal(pam_map_check(path, "10001", "c", "", &err), B_E_OTHER_HOLDER);
        assert_int_equal(pam_map_find(path, "10001", user, &err), B_OK);
        assert_string_equal(user, "anne");
        assert_int_equal(pam_map_find(path, "10003", user, &err), B_OK);
        assert_int_equal(pam_map_find(path, "10002", user, &err), B_E_NOT_FOUND);
        assert_int_equal(pam_map_find(path, "broken", user, &err), B_E_NOT_FOUND);
        assert_int_equal(chmod(path, 0620), 0);
    }
    assert_int_equal(pam_map_find(path, "10001", user, &err), B_E_CONFIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(pam_map_find(path, "10001", user, &err), B_E_CONFIG);
    assert_int_equal(pam_map_find("/dev/null", "10001", user, &err), B_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_absent_has_a_default),
        cmocka_unit_test(words_are_taken),
        cmocka_unit_test(a_word_that_is_not_known_or_cannot_be_is_refused_by_name),
        cmocka_unit_test(identity_lower_and_gecos),
        cmocka_unit_test(a_list_is_roots_and_a_person_may_have_several_accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
