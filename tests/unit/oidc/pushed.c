/* Requests that were pushed: once, in time, for their client and one browser, and not without end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "oidc/pushed.h"

static const uint8_t mine[OIDC_PUSHED_BROWSER] = {1};
static const uint8_t theirs[OIDC_PUSHED_BROWSER] = {2};
static uint8_t from[OIDC_PUSHED_FROM];
static struct oidc_pushed *pushed;
static struct oidc_form form, got;
static char uri[OIDC_PUSHED_URI];
static struct b_err err;

static int set_up(void **state)
{
    static const char text[] = "client_id=ehr&state=a%26b";
    (void)state;
    pushed = oidc_pushed_new();
    assert_non_null(pushed);
    return oidc_form_parse(b_rd_from(text, sizeof(text) - 1), &form, &err) == B_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    oidc_pushed_free(&pushed);
    return 0;
}

static enum b_code push(const char *id, int64_t now)
{
    static struct oidc_client client;
    client.has_secret = id[0] != 'P';
    (void)snprintf(client.id, sizeof(client.id), "%s", id);
    return oidc_pushed_add(pushed, &client, from, &form, now, uri, &err);
}

static bool take(const char *client, const uint8_t *browser, int64_t now)
{
    return oidc_pushed_take(pushed, uri, client, browser, now, &got);
}

static void the_first_browser_of_its_client_has_it_until_it_is_answered(void **state)
{
    (void)state;
    assert_int_equal(push("ehr", 10), B_OK);
    assert_int_equal(strncmp(uri, OIDC_PUSHED_PREFIX, strlen(OIDC_PUSHED_PREFIX)), 0);
    assert_false(take("pharmacy", mine, 10));
    assert_true(take("ehr", mine, 69));
    assert_string_equal(oidc_form_text(&got, "state"), "a&b");
    assert_false(take("ehr", theirs, 69));
    assert_true(take("ehr", mine, 69 + OIDC_PUSHED_TAKEN_SECONDS - 1));
    oidc_pushed_end(pushed, uri);
    assert_false(take("ehr", mine, 70));
}

static void it_ends_with_its_time(void **state)
{
    (void)state;
    assert_int_equal(push("ehr", 10), B_OK);
    assert_false(take("ehr", mine, 10 + OIDC_PUSHED_SECONDS));
    assert_int_equal(push("ehr", 10), B_OK);
    assert_true(take("ehr", mine, 10));
    assert_false(take("ehr", mine, 10 + OIDC_PUSHED_TAKEN_SECONDS));
    memcpy(uri, OIDC_PUSHED_PREFIX "0", sizeof(OIDC_PUSHED_PREFIX "0"));
    assert_false(take("ehr", mine, 10));
}

static void one_client_does_not_fill_it_for_the_others(void **state)
{
    (void)state;
    for (int i = 0; i < OIDC_PUSHED_OF_CLIENT; i++)
        assert_int_equal(push("ehr", 10), B_OK);
    assert_int_equal(push("ehr", 10 + OIDC_PUSHED_SECONDS - 1), B_E_TOO_OFTEN);
    assert_int_equal(push("pharmacy", 10), B_OK);
    assert_int_equal(push("ehr", 10 + OIDC_PUSHED_SECONDS), B_OK); /* the others are over */
}

static void it_is_bounded_for_all_together(void **state)
{
    char client[] = "a";
    (void)state;
    for (int i = 0; i < OIDC_PUSHED_ALL; i++) {
        client[0] = (char)('a' + i / OIDC_PUSHED_OF_CLIENT);
        assert_int_equal(push(client, 10), B_OK);
    }
    assert_int_equal(push("z", 10), B_E_TOO_OFTEN);
    oidc_pushed_end(pushed, uri);
    assert_int_equal(push("z", 10), B_OK);
    assert_int_equal(push("z", 10), B_E_TOO_OFTEN);
    assert_int_equal(push("z", 10 + OIDC_PUSHED_SECONDS), B_OK);
}

static void clients_that_prove_nothing_leave_room_for_the_others(void **state)
{
    char client[] = "P0";
    (void)state;
    for (int i = 0; i < OIDC_PUSHED_PUBLIC; i++) {
        from[0] = (uint8_t)(i / OIDC_PUSHED_OF_ADDRESS);
        client[1] = (char)('0' + i / OIDC_PUSHED_OF_CLIENT);
        assert_int_equal(push(client, 10), B_OK);
    }
    from[0] = 0xFF;
    assert_int_equal(push("Pz", 10), B_E_TOO_OFTEN);
    assert_int_equal(push("ehr", 10), B_OK);
    from[0] = 0;
    assert_int_equal(push("ehr", 10), B_OK);
}

static void one_address_does_not_fill_it_for_a_client_that_proves_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < OIDC_PUSHED_OF_ADDRESS; i++) {
        assert_int_equal(push("P0", 10), B_OK);
        assert_true(take("P0", mine, 10)); /* which lasts longer */
    }
    assert_int_equal(push("P0", 10 + OIDC_PUSHED_SECONDS), B_E_TOO_OFTEN);
    assert_int_equal(push("P1", 10), B_E_TOO_OFTEN);
    from[0] = 1;
    assert_int_equal(push("P0", 10), B_OK);
    from[0] = 0;
    oidc_pushed_end(pushed, uri);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_browser_of_its_client_has_it_until_it_is_answered,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_ends_with_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_client_does_not_fill_it_for_the_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(clients_that_prove_nothing_leave_room_for_the_others,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            one_address_does_not_fill_it_for_a_client_that_proves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_bounded_for_all_together, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
