/* The decision: tables of cases, and laws over every combination of small domains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "policy/policy.h"

enum { NOW = 1764000000, HOUR = 3600, NOON_MONDAY = 12 * 60 };

static struct policy_facts good_facts(void)
{
    return (struct policy_facts){.now = NOW,
                                 .minute_of_week = NOON_MONDAY,
                                 .station = POLICY_STATION_ACTIVE,
                                 .group = "care",
                                 .zone = "east",
                                 .badge = POLICY_BADGE_ACTIVE,
                                 .generation = POLICY_GENERATION_ACTIVE,
                                 .holder = POLICY_HOLDER_ACTIVE,
                                 .has_pin = true};
}

/* Overwritten by the next call. */
static struct policy *with_factor(enum policy_factor factor)
{
    static struct policy p;
    policy_default(&p);
    p.by_default.factor = factor;
    p.by_default.shift_hours = factor == POLICY_FACTOR_PIN_SHIFT ? 8 : 0;
    return &p;
}

static struct policy_decision decide(const struct policy *p, const struct policy_facts *f)
{
    struct policy_decision d;
    policy_decide(p, f, &d);
    return d;
}

static void check(const struct policy *p, const struct policy_facts *f, enum b_code reason)
{
    struct policy_decision d = decide(p, f);
    if (d.reason != reason)
        fail_msg("%s instead of %s", b_code_name(d.reason), b_code_name(reason));
    enum policy_verdict v = reason == B_OK               ? POLICY_GRANT
                            : reason == B_E_PIN_REQUIRED ? POLICY_NEED_PIN
                                                         : POLICY_REFUSE;
    assert_int_equal(d.verdict, v);
}

static void each_state_that_is_not_good_has_its_reason(void **state)
{
    (void)state;
    static const enum b_code stations[] = {
        B_E_REFUSED,           B_E_CERTIFICATE_UNKNOWN, B_OK,
        B_E_STATION_SUSPENDED, B_E_STATION_REVOKED,     B_E_REFUSED};
    static const enum b_code badges[] = {
        B_E_BADGE_UNKNOWN, B_E_BADGE_NOT_ENROLLED, B_OK,       B_E_BADGE_SUSPENDED,
        B_E_BADGE_REVOKED, B_E_BADGE_UNKNOWN,      B_E_REFUSED};
    static const enum b_code keys[] = {
        B_E_GENERATION_RETIRED, B_E_GENERATION_RETIRED, B_OK,       B_OK,
        B_E_GENERATION_RETIRED, B_E_GENERATION_RETIRED, B_E_REFUSED};
    static const enum b_code holders[] = {B_E_REFUSED, B_OK, B_E_HOLDER_SUSPENDED, B_E_HOLDER_LEFT,
                                          B_E_REFUSED};
    struct policy *p = with_factor(POLICY_FACTOR_NONE);
    for (unsigned i = 0; i < B_COUNT(stations); i++) {
        struct policy_facts f = good_facts();
        f.station = (enum policy_station)i;
        check(p, &f, stations[i]);
    }
    for (unsigned i = 0; i < B_COUNT(badges); i++) {
        struct policy_facts f = good_facts();
        f.badge = (enum policy_badge)i;
        check(p, &f, badges[i]);
    }
    for (unsigned i = 0; i < B_COUNT(keys); i++) {
        struct policy_facts f = good_facts();
        f.generation = (enum policy_generation)i;
        check(p, &f, keys[i]);
    }
    for (unsigned i = 0; i < B_COUNT(holders); i++) {
        struct policy_facts f = good_facts();
        f.holder = (enum policy_holder)i;
        check(p, &f, holders[i]);
    }
}

/* All is wrong at the start; what is met first is put right, one after the other. */
static void reasons_come_in_the_order_of_the_table(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_FACTOR_PIN);
    p->by_default.window_count = 1;
    p->by_default.windows[0] = (struct policy_window){.days = 1, .from = 0, .to = 60};
    struct policy_facts f = good_facts();
    f.station = POLICY_STATION_REVOKED;
    f.badge = POLICY_BADGE_REVOKED;
    f.generation = POLICY_GENERATION_COMPROMISED;
    f.not_before = NOW + 1;
    f.not_after = NOW;
    f.holder = POLICY_HOLDER_LEFT;
    f.has_pin = false;
    f.is_pin_locked = true;
    f.pin_tries = 3;
    f.pin_failed_at = NOW - 1;
    f.pin = POLICY_PIN_WRONG;
    check(p, &f, B_E_STATION_REVOKED);
    f.station = POLICY_STATION_ACTIVE;
    check(p, &f, B_E_BADGE_REVOKED);
    f.badge = POLICY_BADGE_ACTIVE;
    check(p, &f, B_E_GENERATION_RETIRED);
    f.generation = POLICY_GENERATION_RETIRING;
    check(p, &f, B_E_BADGE_NOT_YET_VALID);
    f.not_before = NOW;
    check(p, &f, B_E_BADGE_EXPIRED);
    f.not_after = NOW + 1;
    check(p, &f, B_E_HOLDER_LEFT);
    f.holder = POLICY_HOLDER_ACTIVE;
    check(p, &f, B_E_OUTSIDE_HOURS);
    f.minute_of_week = 59;
    check(p, &f, B_E_PIN_MISSING);
    f.has_pin = true;
    check(p, &f, B_E_PIN_LOCKED);
    f.is_pin_locked = false;
    check(p, &f, B_E_PIN_THROTTLED);
    f.pin_failed_at = NOW - 5;
    check(p, &f, B_E_PIN_WRONG);
    f.pin = POLICY_PIN_NOT_GIVEN;
    check(p, &f, B_E_PIN_REQUIRED);
    f.pin = POLICY_PIN_RIGHT;
    check(p, &f, B_OK);
    assert_true(decide(p, &f).counts_as_full);
}

static void a_temporary_badge_without_an_end_has_expired(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_FACTOR_NONE);
    struct policy_facts f = good_facts();
    f.is_temporary = true;
    check(p, &f, B_E_BADGE_EXPIRED);
    f.not_after = NOW + 1;
    check(p, &f, B_OK);
    f.now++;
    check(p, &f, B_E_BADGE_EXPIRED);
}

static void a_shift_lasts_its_hours_in_its_zone(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_FACTOR_PIN_SHIFT);
    const struct {
        int64_t full_at;
        const char *zone;
        enum b_code reason;
    } cases[] = {
        {0, "east", B_E_PIN_REQUIRED},         {NOW, "east", B_OK},
        {NOW - 8 * HOUR + 1, "east", B_OK},    {NOW - 8 * HOUR, "east", B_E_PIN_REQUIRED},
        {NOW + 1, "east", B_E_PIN_REQUIRED}, /* of a clock that was wrong */
        {NOW - 1, "west", B_E_PIN_REQUIRED},   {NOW - 1, NULL, B_E_PIN_REQUIRED},
        {-1, "east", B_E_PIN_REQUIRED},        {INT64_MAX, "east", B_E_PIN_REQUIRED},
        {INT64_MIN, "east", B_E_PIN_REQUIRED},
    };
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        struct policy_facts f = good_facts();
        f.full_at = cases[i].full_at;
        f.full_zone = cases[i].zone;
        check(p, &f, cases[i].reason);
        assert_false(decide(p, &f).counts_as_full);
    }
    struct policy_facts f = good_facts();
    f.full_at = NOW - HOUR;
    f.full_zone = "east";
    f.is_pin_asked = true;
    check(p, &f, B_E_PIN_REQUIRED);
}

static void a_clock_that_goes_back_gives_no_hours_again(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_FACTOR_PIN_SHIFT);
    for (int64_t real = 0; real <= 20 * HOUR; real += HOUR / 2) {
        for (int64_t back = 0; back <= 20 * HOUR; back += HOUR / 2) {
            struct policy_facts f = good_facts();
            f.full_at = NOW;
            f.full_zone = "east";
            f.seen_at = NOW + real;
            f.now = NOW + real - back;
            bool is_granted = decide(p, &f).verdict == POLICY_GRANT;
            assert_int_equal(is_granted, real < 8 * HOUR && back <= real);
        }
    }
}

static void hours_wrap_at_midnight_and_on_sunday(void **state)
{
    (void)state;
    enum { MON = 1, FRI = 16, SUN = 64 };
    struct policy *p = with_factor(POLICY_FACTOR_NONE);
    struct policy_rule *r = &p->by_default;
    r->window_count = 2;
    r->windows[0] = (struct policy_window){.days = 0x1F, .from = 7 * 60, .to = 20 * 60};
    r->windows[1] = (struct policy_window){.days = SUN, .from = 22 * 60, .to = 6 * 60};
    const struct {
        int wday, hour, minute; /* as in struct tm */
        bool is_open;
    } cases[] = {
        {1, 6, 59, false},  {1, 7, 0, true},    {1, 19, 59, true}, {1, 20, 0, false},
        {5, 12, 0, true},   {6, 12, 0, false},  {0, 12, 0, false}, {0, 21, 59, false},
        {0, 22, 0, true},   {0, 23, 59, true},  {1, 0, 0, true},   {1, 5, 59, true},
        {1, 6, 0, false},   {2, 0, 0, false},   {7, 12, 0, false}, {1, 24, 0, false},
        {1, 12, 60, false}, {-1, 12, 0, false},
    };
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        struct policy_facts f = good_facts();
        f.minute_of_week = policy_minute_of_week(cases[i].wday, cases[i].hour, cases[i].minute);
        r->outside = POLICY_OUTSIDE_REFUSE;
        check(p, &f, cases[i].is_open ? B_OK : B_E_OUTSIDE_HOURS);
        r->outside = POLICY_OUTSIDE_PIN;
        check(p, &f, cases[i].is_open ? B_OK : B_E_PIN_REQUIRED);
    }
    r->grace_minutes = 30;
    r->outside = POLICY_OUTSIDE_REFUSE;
    struct policy_facts f = good_facts();
    f.minute_of_week = policy_minute_of_week(1, 20, 29);
    check(p, &f, B_OK);
    f.minute_of_week = policy_minute_of_week(1, 20, 30);
    check(p, &f, B_E_OUTSIDE_HOURS);
    f.minute_of_week =
        policy_minute_of_week(1, 6, 45); /* grace is after the end only: of Sunday's */
    check(p, &f, B_E_OUTSIDE_HOURS);
}

static void a_whole_day_has_every_minute_of_it_and_no_other(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_FACTOR_NONE);
    p->by_default.window_count = 1;
    p->by_default.windows[0] = (struct policy_window){.days = 1 << 6, .from = 0, .to = POLICY_DAY};
    for (unsigned m = 0; m <= POLICY_WEEK; m++) {
        struct policy_facts f = good_facts();
        f.minute_of_week = (uint16_t)m;
        check(p, &f, m >= 6 * POLICY_DAY && m < POLICY_WEEK ? B_OK : B_E_OUTSIDE_HOURS);
    }
}

static void a_group_has_its_rule_and_all_others_the_default(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_FACTOR_PIN);
    p->head.group_count = 1;
    p->groups[0] = (struct policy_rule){.group = "kiosk", .factor = POLICY_FACTOR_NONE};
    struct policy_facts f = good_facts();
    check(p, &f, B_E_PIN_REQUIRED);
    f.group = "kiosk";
    check(p, &f, B_OK);
    f.group = "kiosks";
    check(p, &f, B_E_PIN_REQUIRED);
    f.group = NULL;
    check(p, &f, B_E_PIN_REQUIRED);
    f.group = "kiosk";
    p->groups[0].factor = POLICY_FACTOR_COUNT;
    check(p, &f, B_E_PIN_REQUIRED);
    f.pin = POLICY_PIN_COUNT;
    check(p, &f, B_E_REFUSED);
}

static void wrong_pins_wait_longer_and_then_lock(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_FACTOR_PIN);
    static const int64_t waits[] = {0, 0, 5, 30, 300, 300, 300, 300, 300, 300};
    struct policy_pin_record after = {0};
    for (uint32_t i = 0; i < B_COUNT(waits); i++) {
        struct policy_facts f = good_facts();
        f.pin_tries = i;
        f.pin_failed_at = NOW - 1000;
        f.pin = POLICY_PIN_WRONG;
        policy_pin_after(p, i, NOW, &after);
        assert_int_equal(after.tries, i + 1);
        assert_int_equal(after.retry_at, NOW + waits[i]);
        assert_int_equal(after.is_locked, i + 1 == B_COUNT(waits));
        check(p, &f, after.is_locked ? B_E_PIN_LOCKED : B_E_PIN_WRONG);
        if (!after.is_locked)
            assert_int_equal(decide(p, &f).retry_at, after.retry_at);
        /* and then: not even the right one within the pause */
        f.pin_tries = after.tries;
        f.pin_failed_at = after.failed_at;
        f.pin = POLICY_PIN_RIGHT;
        check(p, &f, after.is_locked ? B_E_PIN_LOCKED : waits[i] > 0 ? B_E_PIN_THROTTLED : B_OK);
        f.now = after.retry_at;
        check(p, &f, after.is_locked ? B_E_PIN_LOCKED : B_OK);
    }
    policy_pin_after(p, UINT32_MAX, INT64_MAX, &after);
    assert_true(after.is_locked && after.tries == UINT32_MAX && after.retry_at == INT64_MAX);
}

static void a_pause_is_bounded_whatever_the_clock_did(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_FACTOR_PIN);
    static const int64_t times[] = {INT64_MIN, -1,  0,         NOW - 301, NOW - 300,
                                    NOW - 299, NOW, NOW + 300, NOW + 301, NOW + 1000000,
                                    INT64_MAX};
    for (size_t i = 0; i < B_COUNT(times); i++) {
        for (uint32_t tries = 0; tries < 12; tries++) {
            struct policy_facts f = good_facts();
            f.pin_failed_at = times[i];
            f.pin_tries = tries;
            struct policy_decision d = decide(p, &f);
            if (d.reason == B_E_PIN_THROTTLED)
                assert_true(d.retry_at > NOW && d.retry_at <= NOW + 2 * 300);
            assert_int_equal(d.reason == B_E_PIN_LOCKED, tries >= 10);
        }
    }
}

/* What must hold of every decision, told from the facts alone. */
static void obeys(const struct policy_facts *f, const struct policy_decision *d, bool needs_pin)
{
    bool is_active = f->station == POLICY_STATION_ACTIVE && f->badge == POLICY_BADGE_ACTIVE &&
                     f->holder == POLICY_HOLDER_ACTIVE;
    bool is_locked = f->is_pin_locked || f->pin_tries >= 10;
    bool is_paused = f->pin_tries >= 3 && f->pin_failed_at == NOW - 1;
    assert_int_equal(d->verdict == POLICY_GRANT, d->reason == B_OK);
    assert_int_equal(d->verdict == POLICY_NEED_PIN, d->reason == B_E_PIN_REQUIRED);
    if (d->verdict != POLICY_REFUSE)
        assert_true(is_active);
    if (d->verdict == POLICY_GRANT && needs_pin)
        assert_true(f->pin == POLICY_PIN_RIGHT);
    if (d->verdict == POLICY_GRANT && (needs_pin || f->pin != POLICY_PIN_NOT_GIVEN))
        assert_true(f->has_pin && !is_locked && !is_paused && f->pin == POLICY_PIN_RIGHT);
    if (d->verdict == POLICY_NEED_PIN)
        assert_true(needs_pin && f->has_pin && !is_locked && !is_paused);
    assert_int_equal(d->counts_as_full, d->verdict == POLICY_GRANT && f->pin == POLICY_PIN_RIGHT);
    bool may_retry = d->reason == B_E_PIN_THROTTLED || d->reason == B_E_PIN_WRONG;
    assert_true(may_retry || d->retry_at == 0);
}

/* Every combination of what a PIN may be and do, for the states in *f. */
static unsigned pins(struct policy_facts *f)
{
    static const uint32_t tries[] = {0, 2, 3, 9, 10, 11};
    unsigned count = 0;
    for (unsigned i = 0; i < 3 * 2 * 2 * 2 * 2 * B_COUNT(tries) * POLICY_PIN_COUNT; i++) {
        unsigned rest = i;
        enum policy_factor factor = (enum policy_factor)(rest % 3);
        f->has_pin = (rest /= 3) % 2 != 0;
        f->is_pin_locked = (rest /= 2) % 2 != 0;
        f->pin_failed_at = (rest /= 2) % 2 != 0 ? NOW - 1 : NOW - 100000;
        f->full_at = (rest /= 2) % 2 != 0 ? NOW - HOUR : 0;
        f->full_zone = "east";
        f->pin_tries = tries[(rest /= 2) % B_COUNT(tries)];
        f->pin = (enum policy_pin)(rest / B_COUNT(tries));
        struct policy *p = with_factor(factor);
        struct policy_decision d = decide(p, f);
        obeys(f, &d,
              factor == POLICY_FACTOR_PIN ||
                  (factor == POLICY_FACTOR_PIN_SHIFT && f->full_at == 0));
        count++;
    }
    return count;
}

static void the_laws_hold_for_every_combination(void **state)
{
    (void)state;
    unsigned count = 0;
    for (unsigned s = 0; s <= POLICY_STATION_COUNT; s++) {
        for (unsigned b = 0; b <= POLICY_BADGE_COUNT; b++) {
            for (unsigned h = 0; h <= POLICY_HOLDER_COUNT; h++) {
                struct policy_facts f = good_facts();
                f.station = (enum policy_station)s;
                f.badge = (enum policy_badge)b;
                f.holder = (enum policy_holder)h;
                count += pins(&f);
            }
        }
    }
    print_message("# %u combinations\n", count);
}

static void nothing_told_is_refused(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_FACTOR_NONE);
    struct policy_facts f = {0};
    check(p, &f, B_E_REFUSED);
    static const struct policy empty;
    f = good_facts();
    f.pin = POLICY_PIN_RIGHT;
    check(&empty, &f, B_E_PIN_LOCKED);
}

static void a_pin_is_digits_as_many_as_asked(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_FACTOR_PIN);
    const struct {
        const char *pin;
        size_t n;
        enum b_code code;
    } cases[] = {{"12345", 5, B_E_PIN_FORMAT},
                 {"123456", 6, B_OK},
                 {"123456789012", 12, B_OK},
                 {"1234567890123", 13, B_E_PIN_FORMAT},
                 {"12345a", 6, B_E_PIN_FORMAT},
                 {"12345\0", 6, B_E_PIN_FORMAT},
                 {" 123456", 7, B_E_PIN_FORMAT},
                 {"", 0, B_E_PIN_FORMAT},
                 {"\xd9\xa1\xd9\xa2\xd9\xa3", 6, B_E_PIN_FORMAT}};
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        struct b_err err = {0};
        assert_int_equal(policy_pin_check_format(p, cases[i].pin, cases[i].n, &err), cases[i].code);
        assert_null(strstr(err.msg, "12345"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_that_is_not_good_has_its_reason),
        cmocka_unit_test(reasons_come_in_the_order_of_the_table),
        cmocka_unit_test(a_temporary_badge_without_an_end_has_expired),
        cmocka_unit_test(a_shift_lasts_its_hours_in_its_zone),
        cmocka_unit_test(a_clock_that_goes_back_gives_no_hours_again),
        cmocka_unit_test(hours_wrap_at_midnight_and_on_sunday),
        cmocka_unit_test(a_whole_day_has_every_minute_of_it_and_no_other),
        cmocka_unit_test(a_group_has_its_rule_and_all_others_the_default),
        cmocka_unit_test(wrong_pins_wait_longer_and_then_lock),
        cmocka_unit_test(a_pause_is_bounded_whatever_the_clock_did),
        cmocka_unit_test(the_laws_hold_for_every_combination),
        cmocka_unit_test(nothing_told_is_refused),
        cmocka_unit_test(a_pin_is_digits_as_many_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
