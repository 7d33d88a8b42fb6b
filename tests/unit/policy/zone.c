/* Time zones. What each place's clock shows is taken from the C library, which reads the same data
 * with code of its own, and at fixed points from the laws of the places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/zone.h"

static uint8_t bytes[65536];

static size_t read_zone(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    return n;
}

static void load(const char *name, struct policy_zone *ret)
{
    size_t n = read_zone(name);
    if (n == 0)
        fail_msg("no zone %s: package tzdata", name);
    assert_true(policy_zone_parse(b_rd_from(bytes, n), ret));
}

static const char *const names[] = {"Europe/Paris",
                                    "Indian/Reunion",
                                    "America/Guadeloupe",
                                    "America/Cayenne",
                                    "Pacific/Noumea",
                                    "Pacific/Tahiti",
                                    "America/Miquelon",
                                    "Pacific/Wallis",
                                    "Indian/Mayotte",
                                    "America/St_Johns",
                                    "Europe/Dublin",
                                    "Africa/Casablanca",
                                    "Africa/El_Aaiun",
                                    "Australia/Lord_Howe",
                                    "America/Nuuk",
                                    "Asia/Kathmandu",
                                    "Pacific/Apia",
                                    "Pacific/Chatham",
                                    "Asia/Gaza",
                                    "America/Santiago",
                                    "Antarctica/Troll",
                                    "America/New_York",
                                    "UTC",
                                    "Etc/GMT+12",
                                    "Asia/Hebron",
                                    "Pacific/Kiritimati"};

/* Every twelve hours and a bit from 2020 on, past the last step of the data, where the rule begins.
 */
static void the_c_library_shows_the_same_clock(void **state)
{
    (void)state;
    static struct policy_zone z;
    unsigned compared = 0;
    for (size_t i = 0; i < B_COUNT(names); i++) {
        load(names[i], &z);
        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        for (time_t t = 1577836800; t < 2587680000; t += 12 * 3600 + 997, compared++) {
            struct tm tm;
            assert_non_null(localtime_r(&t, &tm));
            if (tm.tm_gmtoff != policy_zone_offset(&z, t))
                fail_msg("%s at %lld: %d, not %ld", names[i], (long long)t,
                         policy_zone_offset(&z, t), tm.tm_gmtoff);
        }
    }
    (void)unsetenv("TZ");
    tzset();
    print_message("# %u moments compared\n", compared);
}

/* Directive 2000/84/EC: last Sunday of March and of October, at 01:00 UTC. */
static void paris_changes_its_clocks_as_the_directive_says(void **state)
{
    (void)state;
    static struct policy_zone z;
    static const struct {
        int64_t at; /* of the change */
        int32_t after;
    } changes[] = {{1774746000, 7200},  /* 2026-03-29 01:00 UTC */
                   {1792890000, 3600},  /* 2026-10-25 01:00 UTC */
                   {2248304400, 7200},  /* 2041-03-31 01:00 UTC, by the rule alone */
                   {2266448400, 3600}}; /* 2041-10-27 01:00 UTC */
    load("Europe/Paris", &z);
    for (size_t i = 0; i < B_COUNT(changes); i++) {
        assert_int_equal(policy_zone_offset(&z, changes[i].at), changes[i].after);
        assert_int_equal(policy_zone_offset(&z, changes[i].at - 1), 10800 - changes[i].after);
    }
}

static void the_minute_of_the_week_is_counted_from_monday_there(void **state)
{
    (void)state;
    static struct policy_zone z;
    const int64_t monday = 1763942400; /* 2025-11-24 00:00 UTC, a Monday */
    memset(&z, 0, sizeof(z));
    assert_int_equal(policy_zone_minute(&z, monday), 0);
    assert_int_equal(policy_zone_minute(&z, monday - 1), 7 * 24 * 60 - 1);
    assert_int_equal(policy_zone_minute(&z, monday + 12 * 3600 + 59), 12 * 60);
    assert_int_equal(policy_zone_minute(&z, -60), 3 * 24 * 60 - 1); /* a Wednesday ends */
    load("Europe/Paris", &z);                                       /* an hour ahead in winter */
    assert_int_equal(policy_zone_minute(&z, monday - 3600), 0);
    load("Pacific/Tahiti", &z); /* ten hours behind */
    assert_int_equal(policy_zone_minute(&z, monday + 10 * 3600), 0);
    for (size_t i = 0; i < 64; i++) { /* a clock that is wrong shows some time, and no more */
        assert_true(policy_zone_minute(&z, (int64_t)(UINT64_C(1) << i)) < 7 * 24 * 60);
        assert_true(policy_zone_minute(&z, (int64_t) ~(UINT64_C(1) << i)) < 7 * 24 * 60);
    }
}

static void broken_data_is_refused_whatever_is_cut_or_changed(void **state)
{
    (void)state;
    static struct policy_zone z;
    static uint8_t copy[sizeof(bytes)];
    size_t n = read_zone("America/Nuuk");
    assert_true(n > 100);
    for (size_t i = 0; i < n; i++)
        assert_false(policy_zone_parse(b_rd_from(bytes, i), &z));
    for (size_t i = 0; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit += 3) {
            memcpy(copy, bytes, n);
            copy[i] ^= (uint8_t)(1u << bit);
            if (policy_zone_parse(b_rd_from(copy, n), &z)) /* then it is a zone like another */
                (void)policy_zone_minute(&z, 4102444800);
        }
    }
}

static void a_rule_is_read_in_each_of_its_forms(void **state)
{
    (void)state;
    static struct policy_zone z;
    static const struct {
        const char *rule;
        int64_t at;
        int32_t offset; /* 1: refused */
    } cases[] = {
        {"CET-1CEST,M3.5.0,M10.5.0/3", 2248304400, 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", 2248304399, 3600},
        {"<-03>3", 4102444800, -10800},
        {"<+0530>-5:30", 4102444800, 19800},
        {"XXX3EDT4,0/0,J365/23", 4102444800, -14400}, /* summer for ever: RFC 8536 §3.3.1 */
        {"AAA0BBB,J60,J300", 2245716000, 3600},       /* J60 is the first of March: 2041, 02:00 */
        {"AAA0BBB,J60,J300", 2245715999, 0},
        {"AAA0BBB,J60,J300", 2214180000, 3600}, /* and in 2040, which has a 29 February */
        {"AAA0BBB,J60,J300", 2214179999, 0},
        {"AAA0BBB,59,J300", 2245716000, 3600}, /* counted from 0, with it */
        {"AAA0BBB,60,J300", 2214179999, 0},
        {"AAA0BBB,60,J300", 2214180000, 3600},
        {"CET", 0, 1},
        {"CET-1CEST", 0, 1},
        {"CET-1CEST,M3.5.0", 0, 1},
        {"CET-1CEST,M13.5.0,M10.5.0/3", 0, 1},
        {"CET-1CEST,M3.6.0,M10.5.0/3", 0, 1},
        {"CET-1CEST,M3.5.7,M10.5.0/3", 0, 1},
        {"CET-1CEST,J0,J365", 0, 1},
        {"CET-1CEST,M3.5.0,M10.5.0/3x", 0, 1},
        {"CET-99", 0, 1},
        {"<+03-3", 0, 1},
    };
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        uint8_t data[256];
        struct b_wr w = b_wr_from(data, sizeof(data));
        for (int part = 0; part < 2; part++) { /* no step, one type of offset 0 */
            b_wr_bytes(&w, "TZif2", 5);
            b_wr_fill(&w, 0, 15);
            for (int c = 0; c < 6; c++)
                b_wr_be32(&w, c == 4 ? 1 : c == 5 ? 4 : 0);
            b_wr_fill(&w, 0, 6);
            b_wr_bytes(&w, "ABC", 4);
        }
        b_wr_u8(&w, '\n');
        b_wr_bytes(&w, cases[i].rule, strlen(cases[i].rule));
        b_wr_u8(&w, '\n');
        assert_true(b_wr_ok(&w));
        bool is_read = policy_zone_parse(b_rd_from(data, w.len), &z);
        if (is_read != (cases[i].offset != 1))
            fail_msg("%s", cases[i].rule);
        if (is_read && policy_zone_offset(&z, cases[i].at) != cases[i].offset)
            fail_msg("%s: %d", cases[i].rule, policy_zone_offset(&z, cases[i].at));
    }
}

static void a_name_leads_nowhere_else(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",   "/UTC", "Europe/", "Europe//Paris", "../passwd",
                                        "..", "a b",  "UTC\n",   "tzdata.zi"};
    static char all[POLICY_ZONE_NAME + 1];
    for (size_t i = 0; i < B_COUNT(names); i++)
        assert_true(policy_zone_is_name(names[i]));
    for (size_t i = 0; i < B_COUNT(wrong); i++)
        assert_false(policy_zone_is_name(wrong[i]));
    memset(all, 'a', POLICY_ZONE_NAME);
    assert_false(policy_zone_is_name(all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_c_library_shows_the_same_clock),
        cmocka_unit_test(paris_changes_its_clocks_as_the_directive_says),
        cmocka_unit_test(the_minute_of_the_week_is_counted_from_monday_there),
        cmocka_unit_test(broken_data_is_refused_whatever_is_cut_or_changed),
        cmocka_unit_test(a_rule_is_read_in_each_of_its_forms),
        cmocka_unit_test(a_name_leads_nowhere_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
