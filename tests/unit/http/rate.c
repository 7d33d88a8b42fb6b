/* How often somebody may ask, and that it is nobody else's loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "http/http.h"

static struct http_rate *rate;
static const uint8_t anne[HTTP_WHO] = {1}, bruno[HTTP_WHO] = {2};

static int make(void **state)
{
    (void)state;
    rate = http_rate_new();
    return rate != NULL ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    http_rate_free(&rate);
    return 0;
}

static unsigned taken(const uint8_t *who, bool has_certificate, unsigned tries)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++)
        n += http_rate_take(rate, who, has_certificate, 1);
    return n;
}

static void ten_seconds_worth_may_come_at_once(void **state)
{
    (void)state;
    assert_int_equal(taken(anne, true, 50), 10);
    assert_int_equal(taken(anne, true, 50), 0);
}

static void others_are_not_held_back(void **state)
{
    (void)state;
    assert_int_equal(taken(anne, true, 50), 10);
    assert_int_equal(taken(bruno, true, 50), 10);
    assert_int_equal(taken(anne, false, 50), 10); /* an address that looks the same */
}

static void it_comes_again_with_time(void **state)
{
    (void)state;
    assert_int_equal(taken(anne, true, 50), 10);
    (void)usleep(1200000);
    assert_int_equal(taken(anne, true, 50), 1);
}

static void a_crowd_of_strangers_gives_nobody_with_a_certificate_more(void **state)
{
    (void)state;
    uint8_t who[HTTP_WHO] = {0};
    assert_int_equal(taken(anne, true, 50), 10);
    for (uint32_t i = 0; i < 100000; i++) {
        memcpy(who, &i, sizeof(i));
        assert_true(http_rate_take(rate, who, false, 1));
    }
    assert_true(taken(anne, true, 50) <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ten_seconds_worth_may_come_at_once, make, drop),
        cmocka_unit_test_setup_teardown(others_are_not_held_back, make, drop),
        cmocka_unit_test_setup_teardown(it_comes_again_with_time, make, drop),
        cmocka_unit_test_setup_teardown(a_crowd_of_strangers_gives_nobody_with_a_certificate_more,
                                        make, drop),
    };
    return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
