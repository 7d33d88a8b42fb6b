/* Which keys stay in the token, as people write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/base.h"
#include "crypto/role.h"

static void a_text_comes_back_as_it_was(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "auth", "auth:2", "picc,app,auth:255,read,write",
                                        "picc:255,app:255,auth:255,read:255,write:255"};
    for (size_t i = 0; i < B_COUNT(texts); i++) {
        struct key_stay k;
        char text[KEY_STAY_TEXT];
        assert_true(key_stay_read(texts[i], &k));
        key_stay_write(&k, text);
        assert_string_equal(text, texts[i]);
    }
}

static void what_is_no_role_or_generation_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"x",
                                        "auth,",
                                        ",auth",
                                        "auth auth",
                                        "auth,auth",
                                        "seal",
                                        "auth:",
                                        "auth:0",
                                        "auth:256",
                                        "auth:-1",
                                        "auth:1x",
                                        "AUTH",
                                        "auth:99999999999999999999",
                                        "authx"};
    for (size_t i = 0; i < B_COUNT(texts); i++) {
        struct key_stay k;
        if (key_stay_read(texts[i], &k))
            fail_msg("%s", texts[i]);
    }
}

static void a_key_stays_from_its_generation_on(void **state)
{
    (void)state;
    struct key_stay k;
    assert_true(key_stay_read("auth:3", &k));
    assert_false(key_stays(&k, KEY_ROLE_AUTH, 2));
    assert_true(key_stays(&k, KEY_ROLE_AUTH, 3));
    assert_true(key_stays(&k, KEY_ROLE_AUTH, 255));
    assert_false(key_stays(&k, KEY_ROLE_READ, 3));
    assert_false(key_stays(&k, KEY_ROLE_SEAL, 3)); /* on no card, and never in this way */
}

static void a_role_that_two_texts_name_is_told(void **state)
{
    (void)state;
    struct key_stay a, b;
    assert_true(key_stay_read("auth:2,write", &a));
    assert_true(key_stay_read("picc,read", &b));
    assert_int_equal(key_stay_both(&a, &b), KEY_ROLE_COUNT);
    assert_true(key_stay_read("read,auth:9", &b));
    assert_int_equal(key_stay_both(&a, &b), KEY_ROLE_AUTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_comes_back_as_it_was),
        cmocka_unit_test(what_is_no_role_or_generation_is_refused),
        cmocka_unit_test(a_key_stays_from_its_generation_on),
        cmocka_unit_test(a_role_that_two_texts_name_is_told),
    };
    return cmocka_run_group_tests_name("roles", tests, NULL, NULL);
}
