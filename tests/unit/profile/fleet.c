/* Descriptions of how others encoded badges: what is read, and where each mistake is said to stand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "profile/fleet.h"

static struct profile_fleet fleet;
static struct b_err err;

#define LAYOUT(id, aid, more) \
    "  - {id: " id ", application: \"" aid "\", crypto: aes, proof-key: 1, " more "}\n"

static void a_whole_description_is_read(void **state)
{
    (void)state;
    static const char text[] =
        "layouts:\n"
        "  - id: library\n"
        "    application: \"F585C0\"\n"
        "    crypto: aes\n"
        "    keys: 4\n"
        "    proof-key: 1\n"
        "    diversification: uid-reversed-aid\n"
        "    card-diversification: uid\n"
        "    system: \"4E585020\"\n"
        "    old-application: delete\n"
        "  - {id: doors, application: \"F58540\", crypto: des, proof-key: 0,\n"
        "     diversification: shared}\n";
    assert_int_equal(profile_fleet_read("f.yaml", text, strlen(text), &fleet, &err), B_OK);
    assert_int_equal(fleet.count, 2);
    const struct profile_layout *l = &fleet.layouts[0];
    assert_string_equal(l->id, "library");
    assert_int_equal(l->aid, 0xF585C0);
    assert_int_equal(l->type, DF_KEY_AES);
    assert_int_equal(l->key_count, 4);
    assert_int_equal(l->proof_key, 1);
    assert_string_equal(l->diversification, "uid-reversed-aid");
    assert_string_equal(l->card_diversification, "uid");
    assert_int_equal(l->system_len, 4);
    assert_true(l->deletes);
    assert_false(l->has_uid_key);
    l++;
    assert_int_equal(l->type, DF_KEY_2K3DES);
    assert_string_equal(l->diversification, "");
    assert_false(l->deletes);
}

static void a_uid_is_told_to_the_key_that_is_named_or_to_a_shared_one_that_proves(void **state)
{
    (void)state;
    static const uint8_t wanted[] = {1, 0, 3};
    static const char text[] = "layouts:\n" LAYOUT("a", "F585C0", "diversification: shared")
        LAYOUT("b", "F585C1", "diversification: shared, uid-key: 0")
            LAYOUT("c", "F585C2", "diversification: uid, uid-key: 3, keys: 4");
    assert_int_equal(profile_fleet_read("f.yaml", text, strlen(text), &fleet, &err), B_OK);
    for (uint8_t i = 0; i < B_COUNT(wanted); i++) {
        assert_true(fleet.layouts[i].has_uid_key);
        assert_int_equal(fleet.layouts[i].uid_key, wanted[i]);
    }
}

static void what_is_wrong_is_named_by_line_and_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "f.yaml:1: the file is empty"},
        {"layouts: []\n", "f.yaml:1: "},
        {"layouts:\n" LAYOUT("a", "F585", "diversification: shared"),
         "f.yaml:2: layouts[1].application: three bytes"},
        {"layouts:\n" LAYOUT("a", "000000", "diversification: shared"), "the card itself"},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: rot13"),
         "layouts[1].diversification: shared, or"},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: serial"),
         "layouts[1].diversification: shared, or"},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: uid, card-diversification: x"),
         "layouts[1].card-diversification: shared, or"},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: shared, keys: 1"),
         "layouts[1].proof-key: the application has no key"},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: shared, keys: 15"),
         "layouts[1].keys: "},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: shared, key: 00"),
         "layouts[1].key: there is no such field"},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: uid, system: \"0\""),
         "layouts[1].system: "},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: uid, uid-key: 4, keys: 4"),
         "layouts[1].uid-key: the application has no key"},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: shared, uid-key: 14"),
         "layouts[1].uid-key: the application has no key"},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: uid, uid-key: 1"),
         "layouts[1].uid-key: a key that all badges share"},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: uid, uid-key: all"), "f.yaml:2: "},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: uid")
             LAYOUT("b", "f585c0", "diversification: shared"),
         "f.yaml:3: layouts[2].application: layouts \"a\" and \"b\" are of the same application"},
        {"layouts:\n" LAYOUT("a", "F585C0", "diversification: uid")
             LAYOUT("a", "F585C1", "diversification: shared"),
         "f.yaml:3: layouts[2].id: layouts \"a\" and \"a\" are of the same name"},
    };
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        assert_int_equal(
            profile_fleet_read("f.yaml", rows[i].text, strlen(rows[i].text), &fleet, &err),
            B_E_FLEET_FILE);
        if (strstr(err.msg, rows[i].message) == NULL)
            fail_msg("%s instead of %s", err.msg, rows[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_description_is_read),
        cmocka_unit_test(a_uid_is_told_to_the_key_that_is_named_or_to_a_shared_one_that_proves),
        cmocka_unit_test(what_is_wrong_is_named_by_line_and_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
