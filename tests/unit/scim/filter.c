/* Filters and paths. The resource is RFC 7643 §8.2's, as far as we keep it; the filters are those
 * of RFC 7644 §3.4.2.2, with the outcome that its text gives them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scim/scim.h"

static const char person[] =
    "{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:User\","
    "\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\"],"
    "\"id\":\"2819c223-7f76-453a-919d-413861904646\",\"externalId\":\"701984\","
    "\"userName\":\"bjensen@example.com\","
    "\"name\":{\"formatted\":\"Ms. Barbara J Jensen, III\",\"familyName\":\"O'Malley\","
    "\"givenName\":\"Barbara\"},\"displayName\":\"Babs \\\"B\\\" Jensen\",\"active\":true,"
    "\"groups\":[{\"value\":\"g1\",\"display\":\"Tour Guides\"},{\"value\":\"g2\",\"display\":"
    "\"Employees\"}],"
    "\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":{\"employeeNumber\":\"701984\","
    "\"department\":\"Tour Operations\"},"
    "\"meta\":{\"resourceType\":\"User\",\"created\":\"2010-01-23T04:56:22Z\","
    "\"lastModified\":\"2011-05-13T04:42:34Z\"}}";

enum { NO, YES, BAD };

static int outcome_of(const char *text, size_t n)
{
    struct b_err err = {0};
    struct scim_filter *f = NULL;
    if (scim_filter_read(SCIM_TYPE_USER, NULL, text, n, &f, &err) != B_OK) {
        assert_int_equal(err.code, B_E_SCIM_FILTER);
        return BAD;
    }
    json_t *doc = json_loads(person, 0, NULL);
    int ret = scim_filter_fits(f, doc) ? YES : NO;
    json_decref(doc);
    scim_filter_free(&f);
    return ret;
}

static int outcome(const char *text)
{
    return outcome_of(text, strlen(text));
}

static void filters_of_the_standard_say_what_it_says(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        int outcome;
    } rows[] = {
        {"userName eq \"bjensen@example.com\"", YES},
        {"name.familyName co \"O'Malley\"", YES},
        {"userName sw \"B\"", YES},
        {"urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"b\"", YES},
        {"title pr", NO},
        {"displayName pr", YES},
        {"meta.lastModified gt \"2011-05-13T04:42:34Z\"", NO},
        {"meta.lastModified ge \"2011-05-13T04:42:34Z\"", YES},
        {"meta.lastModified lt \"2011-05-13T04:42:34.001Z\"", YES},
        {"meta.lastModified le \"2011-05-13T06:42:34+02:00\"", YES},
        {"meta.lastModified eq \"2011-05-12T23:12:34.000-05:30\"", YES},
        {"meta.lastModified eq \"2011-05-13T04:42:34+0\"", NO},
        {"meta.lastModified eq \"2011-05-13T04:42:34+00:0\"", NO},
        {"meta.lastModified eq \"2011-05-13T04:42:34Zx\"", NO},
        {"title pr and active eq true", NO},
        {"title pr or active eq true", YES},
        {"schemas eq \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\"", YES},
        {"active eq true and (groups.display co \"guides\" or groups.value co \"x\")", YES},
        {"active ne false and not (groups.display co \"example.org\" or name pr)", NO},
        {"groups[display eq \"Employees\" and value eq \"g2\"]", YES},
        {"groups[display eq \"Employees\" and value eq \"g1\"]", NO},
        {"groups[value eq \"g1\"] or displayName sw \"z\"", YES},
    };
    for (size_t i = 0; i < B_COUNT(rows); i++)
        if (outcome(rows[i].filter) != rows[i].outcome)
            fail_msg("%s", rows[i].filter);
}

static void and_binds_before_or_and_not_before_both(void **state)
{
    (void)state;
    assert_int_equal(outcome("active eq true or title pr and title pr"), YES);
    assert_int_equal(outcome("(active eq true or title pr) and title pr"), NO);
    assert_int_equal(outcome("not (title pr) and active eq true"), YES);
    assert_int_equal(outcome("NOT (TITLE PR) AND Active EQ true"), YES);
}

static void case_counts_where_the_schema_says_so(void **state)
{
    (void)state;
    assert_int_equal(outcome("userName eq \"BJENSEN@EXAMPLE.COM\""), YES);
    assert_int_equal(outcome("USERNAME ew \"COM\""), YES);
    assert_int_equal(outcome("groups.value eq \"G1\""), NO);
    assert_int_equal(
        outcome("URN:ietf:params:scim:schemas:extension:ENTERPRISE:2.0:User:department eq \"tour "
                "operations\""),
        YES);
    assert_int_equal(outcome("displayName co \"\\\"b\\\"\""), YES);
}

static void what_is_absent_is_equal_to_null_alone(void **state)
{
    (void)state;
    assert_int_equal(outcome("title eq null"), YES);
    assert_int_equal(outcome("title ne null"), NO);
    assert_int_equal(outcome("title eq \"x\""), NO);
    assert_int_equal(outcome("title ne \"x\""), YES);
    assert_int_equal(outcome("nothing.at.all eq \"x\""), BAD);
    assert_int_equal(outcome("nothing.here eq \"x\""), NO);
    assert_int_equal(outcome("urn:example:other:2.0:User:x pr"), NO);
}

static void what_is_no_filter_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "userName",
        "userName eq",
        "userName eq bjensen",
        "userName eq 'bjensen'",
        "userName eq \"b",
        "userName xx \"b\"",
        "userName eq \"a\" userName eq \"b\"",
        "(userName eq \"b\"",
        "userName eq \"b\")",
        "not userName pr",
        "userName eq [1]",
        "userName eq {}",
        "active gt true",
        "active co \"t\"",
        "userName gt true",
        "userName co 5",
        "groups[value eq \"g1\"",
        "groups[]",
        "groups[groups[value pr]]",
        "name.familyName.x pr",
        "9 pr",
        "userName eq \"b\" and",
        "urn: pr",
    };
    for (size_t i = 0; i < B_COUNT(rows); i++)
        if (outcome(rows[i]) != BAD)
            fail_msg("%s", rows[i]);
    assert_int_equal(outcome_of("userName eq \"\0\"", 15), BAD);
}

static void a_filter_has_bounds(void **state)
{
    (void)state;
    char text[SCIM_FILTER_MAX + 64];
    size_t n = 0;
    for (; n < SCIM_DEPTH_MAX; n++)
        text[n] = '(';
    (void)snprintf(text + n, sizeof(text) - n, "active pr");
    assert_int_equal(outcome(text), BAD);
    n = 0;
    for (int i = 0; i < 40; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%sactive pr", i > 0 ? " or " : "");
    assert_int_equal(outcome(text), BAD);
    memset(text, ' ', sizeof(text));
    assert_int_equal(outcome_of(text, SCIM_FILTER_MAX + 1), BAD);
    memcpy(text, "active pr", 9);
    assert_int_equal(outcome_of(text, SCIM_FILTER_MAX), YES);
}

static void an_equality_is_found_for_an_index(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *wanted;
    } rows[] = {
        {"userName eq \"a\"", "a"},
        {"active eq true and userName eq \"a\"", "a"},
        {"(userName eq \"a\" and active pr) and title pr", "a"},
        {"userName eq \"a\" or active eq true", NULL},
        {"not (userName eq \"a\")", NULL},
        {"userName ne \"a\"", NULL},
        {"userName eq \"a\\u0000b\"", NULL},
        {"groups[value eq \"a\"]", NULL},
    };
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        struct b_err err = {0};
        struct scim_filter *f = NULL;
        const char *text = rows[i].filter;
        if (scim_filter_read(SCIM_TYPE_USER, NULL, text, strlen(text), &f, &err) != B_OK)
            continue; /* a NUL in a text is none of JSON's */
        const char *wanted =
            scim_filter_wants(f, scim_attribute_find(SCIM_SCHEMA_USER, "", "userName", 8));
        if (rows[i].wanted == NULL)
            assert_null(wanted);
        else
            assert_string_equal(wanted, rows[i].wanted);
        scim_filter_free(&f);
    }
}

static void paths_are_read_by_their_grammar(void **state)
{
    (void)state;
    struct scim_path p;
    static const char *const bad[] = {"", ".", "a.", ".a", "a b", "a[", "1a", "a.b.c", "urn:", "ü"};
    for (size_t i = 0; i < B_COUNT(bad); i++)
        if (scim_path_read(SCIM_TYPE_USER, bad[i], strlen(bad[i]), &p))
            fail_msg("%s", bad[i]);
    static const char whole[] = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    assert_true(scim_path_read(SCIM_TYPE_USER, whole, strlen(whole), &p) && p.is_schema);
    static const char ref[] = "groups.$ref";
    assert_true(scim_path_read(SCIM_TYPE_USER, ref, strlen(ref), &p));
    assert_string_equal(p.sub->name, "$ref");
    static const char unknown[] = "members";
    assert_true(scim_path_read(SCIM_TYPE_USER, unknown, strlen(unknown), &p));
    assert_null(p.attribute);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_of_the_standard_say_what_it_says),
        cmocka_unit_test(and_binds_before_or_and_not_before_both),
        cmocka_unit_test(case_counts_where_the_schema_says_so),
        cmocka_unit_test(what_is_absent_is_equal_to_null_alone),
        cmocka_unit_test(what_is_no_filter_is_refused),
        cmocka_unit_test(a_filter_has_bounds),
        cmocka_unit_test(an_equality_is_found_for_an_index),
        cmocka_unit_test(paths_are_read_by_their_grammar),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
