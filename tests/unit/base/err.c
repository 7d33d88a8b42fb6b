/* Every error has a name, a text, a remedy and an exit status; contexts are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/base.h"

static void every_code_has_a_name_of_its_own_a_text_a_remedy_and_a_status(void **state)
{
    (void)state;
    for (int i = B_OK + 1; i < B_CODE_COUNT; i++) {
        enum b_code code = (enum b_code)i;
        assert_true(strlen(b_code_name(code)) > 2);
        assert_null(strchr(b_code_name(code), '_'));
        assert_true(strlen(b_code_text(code)) > 4);
        assert_true(strlen(b_code_remedy(code)) > 4);
        assert_in_range(b_code_exit(code), 1, 8);
        for (int j = B_OK; j < i; j++)
            assert_string_not_equal(b_code_name(code), b_code_name((enum b_code)j));
    }
}

static void a_caller_prefixes_its_context_and_the_cause_stays(void **state)
{
    (void)state;
    struct b_err err = {0};
    assert_int_equal(b_err_set(&err, B_E_STORE_FULL, 13, "page %d", 7), B_E_STORE_FULL);
    assert_int_equal(b_err_wrap(&err, "writing badge %d", 3), B_E_STORE_FULL);
    assert_string_equal(err.msg, "writing badge 3: page 7");
    assert_int_equal(err.aux, 13);
    for (int i = 0; i < 100; i++)
        (void)b_err_wrap(&err, "once more, with a context that does not end");
    assert_true(strlen(err.msg) < sizeof(err.msg));
}

static void nobody_has_to_want_the_details(void **state)
{
    (void)state;
    assert_int_equal(b_err_set(NULL, B_E_USAGE, 0, "x"), B_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_of_its_own_a_text_a_remedy_and_a_status),
        cmocka_unit_test(a_caller_prefixes_its_context_and_the_cause_stays),
        cmocka_unit_test(nobody_has_to_want_the_details),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
