/* The configuration of another system: what is read of it, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "profile/esup.h"

#define HEAD                                                         \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                   \
    "<beans xmlns=\"http://www.springframework.org/schema/beans\"\n" \
    " xmlns:util=\"http://www.springframework.org/schema/util\"\n"   \
    " xmlns:p=\"http://www.springframework.org/schema/p\">\n"
#define KEY(no, key) \
    "<bean class=\"org.x.DesfireKey\" p:keyNo=\"" no "\" p:keyVer=\"01\" p:key=\"" key "\"/>\n"
#define APP(aid, nok, keys)                                                              \
    "<bean class=\"org.x.DesfireApplication\" p:desfireAppId=\"" aid "\" p:amks=\"0B\" " \
    "p:nok=\"" nok "\"><property name=\"keys\"><util:list>" keys                         \
    "</util:list></property></bean>\n"
#define TAG(more, apps)                               \
    "<bean id=\"t\" class=\"org.x.DesfireTag\" " more \
    "><property name=\"applications\"><util:list>\n" apps "</util:list></property></bean>\n"
#define ZERO "00000000000000000000000000000000"

static struct profile_esup found;
static struct b_err err;

static enum b_code read_text(const char *text)
{
    return profile_esup_read("e.xml", text, strlen(text), &found, &err);
}

static void applications_become_layouts_and_keys_are_apart(void **state)
{
    (void)state;
    static const char text[] = HEAD TAG(
        "p:keyStart=\"0000000000000000\" p:keyTypeStart=\"DES\" p:keyFinish=\"0102030405060708\" "
        "p:keyTypeFinish=\"DES\" p:keyVersionFinish=\"00\"",
        APP("F585C0", "82",
            KEY("00", "11111111111111111111111111111111")
                KEY("01", "22222222222222222222222222222222"))
            APP("F58540", "03",
                KEY("00",
                    "33333333333333333333333333333333"))) "<bean id=\"r\" "
                                                          "class=\"org.x.DesfireReadConfig\">\n"
                                                          "<property name=\"desfireAppId\" "
                                                          "value=\"F585C0\"/>\n"
                                                          "<property "
                                                          "name=\"desfireKeyNumber\"><value>01</"
                                                          "value></property>\n"
                                                          "<property name=\"desfireKey\" "
                                                          "value="
                                                          "\"22222222222222222222222222222222\"/></"
                                                          "bean>\n"
                                                          "</beans>\n";
    if (read_text(text) != B_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(found.fleet.count, 2);
    const struct profile_layout *l = found.fleet.layouts;
    assert_string_equal(l->id, "esup-F585C0");
    assert_int_equal(l->aid, 0xF585C0);
    assert_int_equal(l->type, DF_KEY_AES);
    assert_int_equal(l->key_count, 2);
    assert_int_equal(l->proof_key, 1);
    assert_string_equal(l->diversification, "");
    assert_int_equal(l[1].type, DF_KEY_2K3DES);
    assert_int_equal(l[1].proof_key, 0);
    assert_int_equal(found.key_count, 4);
    const struct profile_esup_key *k = found.keys;
    assert_int_equal(k[0].aid, 0); /* the card's, and the factory's is left out */
    assert_int_equal(k[0].key.type, DF_KEY_2K3DES);
    assert_memory_equal(k[0].key.bytes, k[0].key.bytes + 8, 8);
    assert_true(k[0].is_needed && !k[1].is_needed && k[2].is_needed && k[3].is_needed);
}

static void an_application_twice_is_one_if_it_is_the_same(void **state)
{
    (void)state;
    assert_int_equal(read_text(HEAD TAG("", APP("F585C0", "81", KEY("00", ZERO)))
                                   TAG("", APP("F585C0", "81", KEY("00", ZERO))) "</beans>"),
                     B_OK);
    assert_int_equal(found.fleet.count, 1);
    assert_int_equal(found.key_count, 1); /* the factory's, which proves a badge when it is named */
    assert_true(found.keys[0].is_needed);
    assert_int_equal(read_text(HEAD TAG("", APP("F585C0", "81", KEY("00", ZERO)))
                                   TAG("", APP("F585C0", "82", KEY("00", ZERO))) "</beans>"),
                     B_E_BAD_INPUT);
    assert_non_null(strstr(err.msg, "described twice"));
}

static void a_proof_key_is_needed_whatever_slot_has_it_first(void **state)
{
    (void)state;
    assert_int_equal(
        read_text(HEAD TAG("", APP("F585C0", "82",
                                   KEY("01", "44444444444444444444444444444444")
                                       KEY("00", "44444444444444444444444444444444"))) "</beans>"),
        B_OK);
    assert_int_equal(found.key_count, 1);
    assert_int_equal(found.keys[0].no, 1);
    assert_true(found.keys[0].is_needed);
}

static void keys_that_a_service_makes_are_no_layout(void **state)
{
    (void)state;
    assert_int_equal(read_text(HEAD TAG("", APP("F585C0", "81",
                                                "<bean class=\"org.x.DesfireKey\" p:keyNo=\"00\" "
                                                "p:desfireKeyService-ref=\"s\"/>")) "</beans>"),
                     B_OK);
    assert_int_equal(found.fleet.count, 0);
    assert_int_equal(found.left_count, 1);
    assert_int_equal(found.left[0], 0xF585C0);
}

static void what_is_wrong_is_named_by_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "e.xml:1: not XML"},
        {HEAD "<bean></beans>", "e.xml:5: not XML"},
        {HEAD "</beans>", "no DesfireApplication"},
        {HEAD TAG("", APP("F585", "81", "")) "</beans>", "e.xml:6: desfireAppId is not"},
        {HEAD TAG("", APP("F585C0", "80", "")) "</beans>", "e.xml:6: nok is not"},
        {HEAD TAG("", APP("F585C0", "81", KEY("00", "11"))) "</beans>", "e.xml:6: a key's keyNo"},
        {HEAD TAG("", APP("F585C0", "81", KEY("", ZERO))) "</beans>", "e.xml:6: a key's keyNo"},
        {HEAD TAG("p:keyFinish=\"0102\"", "") "</beans>", "e.xml:5: the card's key is no key"},
        {"<?xml version=\"1.0\"?><!DOCTYPE beans [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>"
         "<beans>&x;</beans>",
         "a document type is not read"},
    };
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        assert_int_equal(read_text(rows[i].text), B_E_BAD_INPUT);
        if (strstr(err.msg, rows[i].message) == NULL)
            fail_msg("%s instead of %s", err.msg, rows[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(applications_become_layouts_and_keys_are_apart),
        cmocka_unit_test(an_application_twice_is_one_if_it_is_the_same),
        cmocka_unit_test(a_proof_key_is_needed_whatever_slot_has_it_first),
        cmocka_unit_test(keys_that_a_service_makes_are_no_layout),
        cmocka_unit_test(what_is_wrong_is_named_by_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
