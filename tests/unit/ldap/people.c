/* What of an LDAP directory can be judged without one: where TLS may be done without, and names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ldap/people.h"

static void only_this_machine_is_spoken_to_without_tls(void **state)
{
    (void)state;
    static const char *const local[] = {"ldapi:///",         "LDAPI://%2frun%2fldapi",
                                        "ldap://localhost",  "ldap://127.0.0.1:389/",
                                        "ldap://[::1]:1389", "ldap://LOCALHOST:3389"};
    static const char *const far[] = {"ldap://dc1",
                                      "ldap://localhost.example.org",
                                      "ldap://127.0.0.1.example.org",
                                      "ldap://127.0.0.10",
                                      "ldap://[::1].example.org",
                                      "ldap://xlocalhost",
                                      "ldap://10.0.0.1/localhost",
                                      "ldap://",
                                      ""};
    for (size_t i = 0; i < B_COUNT(local); i++)
        if (!ldap_is_local(local[i]))
            fail_msg("%s", local[i]);
    for (size_t i = 0; i < B_COUNT(far); i++)
        if (ldap_is_local(far[i]))
            fail_msg("%s", far[i]);
}

static void a_list_of_addresses_is_none(void **state)
{
    (void)state;
    assert_true(ldap_is_one("ldaps://dc1.example.org"));
    assert_true(ldap_is_one("ldapi:///"));
    assert_false(ldap_is_one("ldap://localhost ldap://dc1"));
    assert_false(ldap_is_one("ldaps://dc1,ldap://dc1"));
    assert_false(ldap_is_one("cldap://dc1"));
    assert_false(ldap_is_one("dc1"));
}

/* [MS-DTYP] 2.3.4: the first three fields are little endian. */
static void an_identifier_is_written_as_microsoft_writes_it(void **state)
{
    (void)state;
    static const uint8_t guid[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
                                     0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF};
    char text[37];
    ldap_guid(guid, text);
    assert_string_equal(text, "00112233-4455-6677-8899-aabbccddeeff");
}

static void a_group_is_called_by_its_first_part(void **state)
{
    (void)state;
    char name[32];
    assert_true(ldap_first_of("CN=Nurses,OU=groups,DC=h", name, sizeof(name)));
    assert_string_equal(name, "Nurses");
    assert_true(ldap_first_of("cn=A\\, B+sn=x,dc=h", name, sizeof(name)));
    assert_string_equal(name, "A, B");
    assert_true(ldap_first_of("cn=\\C3\\A9t\\C3\\A9,dc=h", name, sizeof(name)));
    assert_string_equal(name, "\u00e9t\u00e9");
    assert_false(ldap_first_of("", name, sizeof(name)));
    assert_false(ldap_first_of("nothing", name, sizeof(name)));
    assert_false(ldap_first_of("cn=a\\00b,dc=h", name, sizeof(name)));
    assert_false(
        ldap_first_of("cn=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,dc=h", name, sizeof(name)));
}

/* [MS-ADTS] 2.2.22; 133500000000000000 is 17 January 2024, 21:20:00 UTC. */
static void an_account_expires_when_active_directory_says(void **state)
{
    (void)state;
    static const int64_t at = 1705526400;
    static const struct {
        const char *text;
        int64_t after;
        bool is_over;
    } cases[] = {
        {"133500000000000000", 0, true},   {"133500000000000000", -1, false},
        {"133500000000000000", 1, true},   {"0", 0, false},
        {"9223372036854775807", 0, false}, {"1", 0, true},
    };
    static const char *const none[] = {"", "soon", "1335x", "20240117212000.0Z"};
    bool is_over = false;
    for (size_t i = 0; i < B_COUNT(cases); i++)
        if (!ldap_expired(cases[i].text, at + cases[i].after, &is_over) ||
            is_over != cases[i].is_over)
            fail_msg("%s, and %lld seconds", cases[i].text, (long long)cases[i].after);
    for (size_t i = 0; i < B_COUNT(none); i++)
        if (ldap_expired(none[i], at, &is_over))
            fail_msg("%s", none[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_this_machine_is_spoken_to_without_tls),
        cmocka_unit_test(a_list_of_addresses_is_none),
        cmocka_unit_test(an_identifier_is_written_as_microsoft_writes_it),
        cmocka_unit_test(a_group_is_called_by_its_first_part),
        cmocka_unit_test(an_account_expires_when_active_directory_says),
    };
    return cmocka_run_group_tests_name("people", tests, NULL, NULL);
}
