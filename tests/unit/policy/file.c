/* The policy's file: what is read, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/file.h"

static const char good[] = "timezone: Europe/Paris # of the hours:\n"
                           "pin: {tries: 7, pauses: [0, 9], min-digits: 6, max-digits: 8}\n"
                           "rules:\n"
                           "  - group: \"\"\n"
                           "    factor: badge\n"
                           "  - group: ward\n"
                           "    factor: pin-shift\n"
                           "    shift-hours: 8\n"
                           "  - group: pharmacy\n"
                           "    factor: pin-always\n"
                           "    hours: [\"mon 07:00-20:00\", \"fri 22:00-06:00\", "
                           "\"sun 00:00-24:00\", \"sun 23:30-01:00\"]\n";

static void a_whole_policy_is_read(void **state)
{
    (void)state;
    enum { DAY = 24 * 60 };
    static const struct policy_hours hours[] = {{7 * 60, 20 * 60},
                                                {4 * DAY + 22 * 60, 5 * DAY + 6 * 60},
                                                {6 * DAY, 0},
                                                {6 * DAY + 23 * 60 + 30, 60}};
    static struct policy p;
    struct b_err err = {0};
    if (policy_file_read("p.yaml", good, strlen(good), &p, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_string_equal(p.zone.name, "Europe/Paris");
    assert_int_equal(p.pin_tries, 7);
    assert_int_equal(p.pin_min, 6);
    assert_int_equal(p.pin_max, 8);
    assert_int_equal(p.pause_count, 2);
    assert_int_equal(p.pause_seconds[1], 9);
    assert_int_equal(p.rule_count, 3);
    assert_string_equal(p.rules[0].group, "");
    assert_int_equal(p.rules[0].factor, POLICY_BADGE);
    assert_int_equal(p.rules[1].factor, POLICY_PIN_SHIFT);
    assert_int_equal(p.rules[1].shift_hours, 8);
    assert_string_equal(p.rules[2].group, "pharmacy");
    assert_int_equal(p.rules[2].hours_count, B_COUNT(hours));
    for (size_t i = 0; i < B_COUNT(hours); i++) {
        assert_int_equal(p.rules[2].hours[i].from, hours[i].from);
        assert_int_equal(p.rules[2].hours[i].to, hours[i].to);
    }
}

/* One change of the good policy that must be refused, and a word that must be said of it. */
static const struct mistake {
    const char *from, *to, *says;
} mistakes[] = {
    {"factor: badge", "facteur: badge", "facteur"},
    {"factor: badge", "factor: bagde", "line 5: factor"},
    {"factor: badge", "group: again", "group"},
    {"    factor: badge\n", "", "factor"},
    {"    shift-hours: 8\n", "", "shift-hours"},
    {"shift-hours: 8", "shift-hours: 25", "line 7: group \"ward\": give shift-hours"},
    {"shift-hours: 8", "shift-hours: -1", "shift-hours"},
    {"shift-hours: 8", "shift-hours: 99999999999", "shift-hours"},
    {"tries: 7", "tries: 21", "line 2: pin: tries: 1 to 20"},
    {"tries: 7", "tries: 0", "line 2: pin: tries: 1 to 20; leave it out for 5"},
    {"min-digits: 6", "min-digits: 3", "line 2: pin: min-digits"},
    {"min-digits: 6", "min-digits: 9", "line 2: pin: min-digits"},
    {"max-digits: 8", "max-digits: 13", "line 2: pin: min-digits"},
    {"max-digits: 8", "max-digits: 0", "line 2: pin: min-digits"},
    {"Europe/Paris", "Europe/Pariss", "line 1: timezone"},
    {"Europe/Paris", "../../../etc/passwd", "line 1: timezone"},
    {"Europe/Paris", "Europe", "line 1: timezone"},
    {"Europe/Paris", "/Europe/Paris", "line 1: timezone"},
    {"Europe/Paris", "tzdata.zi", "line 1: timezone"},
    {"Europe/Paris", "leapseconds", "line 1: timezone"},
    {"Europe/Paris", "right/Europe/Paris", "line 1: timezone"},
    {"timezone: Europe/Paris", "", "line 11: where a rule has hours"},
    {"mon 07:00", "mon-lun 07:00", "line 11: hours"},
    {"mon 07:00", "mon- 07:00", "line 11: hours"},
    {"mon 07:00", "mon, 07:00", "line 11: hours"},
    {"mon 07:00", "mon,,tue 07:00", "line 11: hours"},
    {"mon 07:00", "-fri 07:00", "line 11: hours"},
    {"mon 07:00", "mon-wed-fri 07:00", "line 11: hours"},
    {"mon 07:00", "mon  07:00", "line 11: hours"},
    {"mon 07:00", "mon +7:00", "line 11: hours"},
    {"mon 07:00", "monday 07:00", "line 11: hours"},
    {"tries: 7", "tries: many", "tries"},
    {"[0, 9]", "[0, 86401]", "line 2: pin: pauses"},
    {"[0, 9]", "[0, -9]", "pauses"},
    {"[0, 9]", "[1, 2, 3, 4, 5, 6, 7, 8, 9]", "pauses"},
    {"group: \"\"", "group: other", "\"\""},
    {"group: pharmacy", "group: ward", "line 9: two rules for group \"ward\""},
    {"mon 07:00", "lun 07:00", "hours"},
    {"mon 07:00", "mon 24:00", "hours"},
    {"mon 07:00", "mon 07:60", "hours"},
    {"20:00\"", "24:01\"", "hours"},
    {"20:00\"", "20:00 \"", "hours"},
    {"mon 07:00-20:00", "mon 7", "hours"},
    {"mon 07:00-20:00", "", "hours"},
    {"rules:", "rule:", "rule"},
    {"pin: {", "pin: [", "p.yaml"},
};

static void each_mistake_is_refused_and_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < B_COUNT(mistakes); i++) {
        const struct mistake *m = &mistakes[i];
        static struct policy p;
        struct b_err err = {0};
        char *text = NULL;
        const char *at = strstr(good, m->from);
        assert_non_null(at);
        assert_true(
            asprintf(&text, "%.*s%s%s", (int)(at - good), good, m->to, at + strlen(m->from)) > 0);
        enum b_code r = policy_file_read("p.yaml", text, strlen(text), &p, &err);
        if (r != B_E_CONFIG || strstr(err.msg, "p.yaml") == NULL ||
            strstr(err.msg, m->says) == NULL)
            fail_msg("%s -> %s: code %d, \"%s\"", m->from, m->to, (int)r, err.msg);
        free(text);
    }
}

static enum b_code read_rules(const char *rules, struct policy *p, struct b_err *err)
{
    char *text = NULL;
    int n = asprintf(&text, "rules:\n  - {group: \"\", factor: badge}\n%s", rules);
    assert_true(n > 0);
    *err = (struct b_err){0};
    enum b_code r = policy_file_read("p.yaml", text, (size_t)n, p, err);
    free(text);
    return r;
}

static void a_group_of_the_directory_is_named_once_in_any_case(void **state)
{
    (void)state;
    static struct policy p;
    struct b_err err;
    if (read_rules("  - {group: ward, holders: [Interns, \"Équipe de nuit\"], factor: pin-always}\n"
                   "  - {group: ward, holders: [Nurses, interns], factor: badge}\n"
                   "  - {group: lab, holders: [NURSES], factor: badge}\n",
                   &p, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(p.team_count, 3);
    assert_string_equal(p.teams[0], "Interns");
    assert_string_equal(p.teams[1], "Équipe de nuit");
    assert_string_equal(p.teams[2], "Nurses");
    assert_int_equal(p.rules[0].holders, 0);
    assert_int_equal(p.rules[1].holders, 1 | 2);
    assert_int_equal(p.rules[2].holders, 4 | 1);
    assert_int_equal(p.rules[3].holders, 4);
}

static void rules_that_would_never_hold_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *says; /* NULL: good */
    } cases[] = {
        {"  - {group: a, holders: [x], factor: badge}\n"
         "  - {group: a, holders: [x, y], factor: badge}\n"
         "  - {group: a, factor: badge}\n",
         NULL},
        {"  - {group: a, holders: [x], factor: badge}\n"
         "  - {group: b, holders: [x], factor: badge}\n",
         NULL},
        {"  - {group: a, holders: [x, y], factor: badge}\n"
         "  - {group: a, holders: [X], factor: badge}\n",
         "line 4: two rules for group \"a\" are for the same people"},
        {"  - {group: a, holders: [x], factor: badge}\n"
         "  - {group: a, holders: [y], factor: badge}\n"
         "  - {group: a, holders: [y, x], factor: badge}\n",
         "line 5: two rules for group \"a\" are for the same people"},
        {"  - {group: \"\", holders: [x], factor: badge}\n",
         "line 3: two rules for group \"\" are for the same people"},
        {"  - {group: a, factor: badge}\n"
         "  - {group: a, factor: badge}\n",
         "line 4: two rules for group \"a\" are for the same people"},
    };
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        static struct policy p;
        struct b_err err;
        enum b_code r = read_rules(cases[i].rules, &p, &err);
        if ((r == B_OK) != (cases[i].says == NULL) ||
            (r != B_OK && strstr(err.msg, cases[i].says) == NULL))
            fail_msg("%zu: code %d, \"%s\"", i, (int)r, err.msg);
    }
}

static void mistakes_in_groups_of_the_directory_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *holders, *says;
    } cases[] = {
        {"[]", "holders"},
        {"x", "holders"},
        {"[\"\"]", "holders"},
        {"[[x]]", "holders"},
        {"[\"a\\u202eb\"]", "line 3: holders: without control characters"},
        {"[\"a\\nb\"]", "line 3: holders: without control characters"},
        {"[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, "
         "25, 26, 27, 28, 29, 30, 31, 32, 33]",
         "holders"},
        {"[0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
         "8901234567890123456789012345678901234567]",
         "holders"},
    };
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        static struct policy p;
        struct b_err err;
        char rule[512];
        (void)snprintf(rule, sizeof(rule), "  - {group: a, factor: badge, holders: %s}\n",
                       cases[i].holders);
        if (read_rules(rule, &p, &err) != B_E_CONFIG || strstr(err.msg, cases[i].says) == NULL)
            fail_msg("%s: \"%s\"", cases[i].holders, err.msg);
    }
}

/* Two rules of 16 groups each: as many as there are bits. */
static void a_policy_names_as_many_groups_as_it_has_bits_for(void **state)
{
    (void)state;
    static const char full[] =
        "  - {group: a, factor: badge, holders: [1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f, g]}\n"
        "  - {group: b, factor: badge, holders: [h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w]}\n"
        "  - {group: c, factor: badge, holders: [1, w]}\n";
    static struct policy p;
    struct b_err err;
    char rules[512];
    assert_int_equal(read_rules(full, &p, &err), B_OK);
    assert_int_equal(p.team_count, POLICY_TEAMS_MAX);
    assert_int_equal(p.rules[1].holders | p.rules[2].holders, UINT32_MAX);
    assert_int_equal(p.rules[3].holders, 1u << 31 | 1);
    (void)snprintf(rules, sizeof(rules), "%s  - {group: d, factor: badge, holders: [w, x]}\n",
                   full);
    assert_int_equal(read_rules(rules, &p, &err), B_E_CONFIG);
    assert_non_null(strstr(err.msg, "line 6: holders: at most 32 groups in a policy"));
}

static void days_are_told_as_lists_and_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *days, *which; /* from Monday */
    } cases[] = {
        {"mon", "x------"},         {"mon-fri", "xxxxx--"},     {"sat,sun", "-----xx"},
        {"fri-mon", "x---xxx"},     {"mon,wed,fri", "x-x-x--"}, {"mon-tue,sat-sun", "xx---xx"},
        {"mon-mon", "x------"},     {"sun-mon", "x-----x"},     {"tue-mon", "xxxxxxx"},
        {"mon-sun,mon", "xxxxxxx"},
    };
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        static struct policy p;
        struct b_err err = {0};
        char text[256];
        int n = snprintf(text, sizeof(text),
                         "timezone: UTC\nrules:\n  - {group: \"\", factor: badge, hours: "
                         "[\"%s 08:00-09:00\"]}\n",
                         cases[i].days);
        if (policy_file_read("p.yaml", text, (size_t)n, &p, &err) != B_OK)
            fail_msg("%s: %s", cases[i].days, err.msg);
        for (unsigned day = 0; day < 7; day++) {
            struct policy_facts f = {.now = 1, .minute = (uint16_t)(day * 24 * 60 + 8 * 60)};
            struct policy_decision d;
            policy_decide(&p, &f, &d);
            if ((d.verdict == POLICY_GRANT) != (cases[i].which[day] == 'x'))
                fail_msg("%s, day %u", cases[i].days, day);
        }
    }
}

static void eight_windows_on_every_day_fit(void **state)
{
    (void)state;
    static struct policy p;
    struct b_err err = {0};
    static const char text[] =
        "timezone: UTC\nrules:\n  - {group: \"\", factor: badge, hours: [\"mon-sun 00:00-00:30\", "
        "\"mon-sun 01:00-01:30\", \"mon-sun 02:00-02:30\", \"mon-sun 03:00-03:30\", "
        "\"mon-sun 04:00-04:30\", \"mon-sun 05:00-05:30\", \"mon-sun 06:00-06:30\", "
        "\"mon-sun 07:00-07:30\"]}\n";
    assert_int_equal(policy_file_read("p.yaml", text, strlen(text), &p, &err), B_OK);
    assert_int_equal(p.rules[0].hours_count, 56);
}

static void a_file_without_anything_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "# nothing\n", "---\n", "7\n", "rules: []\n"};
    for (size_t i = 0; i < B_COUNT(texts); i++) {
        static struct policy p;
        struct b_err err = {0};
        assert_int_equal(policy_file_read("p.yaml", texts[i], strlen(texts[i]), &p, &err),
                         B_E_CONFIG);
    }
}

/* What libcyaml says is kept in bounded room: it may say more. */
static void a_long_complaint_is_cut_not_overrun(void **state)
{
    (void)state;
    for (size_t n = 1; n < 600; n += 7) {
        static struct policy p;
        struct b_err err = {0};
        char text[700];
        int len = snprintf(text, sizeof(text), "rules:\n  - %0*d: x\n", (int)n, 7);
        assert_int_equal(policy_file_read("p.yaml", text, (size_t)len, &p, &err), B_E_CONFIG);
        assert_true(memchr(err.msg, '\0', sizeof(err.msg)) != NULL);
    }
}

static void the_policy_we_ship_is_good(void **state)
{
    (void)state;
    static char text[8192];
    static struct policy p;
    struct b_err err = {0};
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/hospital.yaml", getenv("TESSERE_POLICIES"));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text), f);
    (void)fclose(f);
    if (policy_file_read("hospital.yaml", text, n, &p, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_true(p.rule_count > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_policy_is_read),
        cmocka_unit_test(each_mistake_is_refused_and_named),
        cmocka_unit_test(a_group_of_the_directory_is_named_once_in_any_case),
        cmocka_unit_test(rules_that_would_never_hold_are_refused),
        cmocka_unit_test(mistakes_in_groups_of_the_directory_are_named),
        cmocka_unit_test(a_policy_names_as_many_groups_as_it_has_bits_for),
        cmocka_unit_test(days_are_told_as_lists_and_ranges),
        cmocka_unit_test(eight_windows_on_every_day_fit),
        cmocka_unit_test(a_file_without_anything_is_refused),
        cmocka_unit_test(a_long_complaint_is_cut_not_overrun),
        cmocka_unit_test(the_policy_we_ship_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
