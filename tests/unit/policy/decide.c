/* The decision: tables of cases, and laws over every combination of small domains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "policy/policy.h"

enum { NOW = 1764000000, HOUR = 3600, DAY = 24 * 60, NOON_MONDAY = 12 * 60 };

static struct policy_facts good_facts(void)
{
    return (struct policy_facts){.group = "ward",
                                 .zone = "east",
                                 .full_zone = "east",
                                 .has_pin = true,
                                 .now = NOW,
                                 .minute = NOON_MONDAY};
}

/* One rule for all. Overwritten by the next call. */
static struct policy *with_factor(enum policy_factor factor)
{
    static struct policy p;
    memset(&p, 0, sizeof(p));
    p.rule_count = 1;
    p.rules[0].factor = factor;
    p.rules[0].shift_hours = 8;
    p.pin_tries = 5;
    p.pause_count = 4;
    p.pause_seconds[2] = 5;
    p.pause_seconds[3] = 30;
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
    enum policy_verdict v = POLICY_REFUSE;
    if (reason == B_OK || reason == B_E_PIN_REQUIRED)
        v = reason == B_OK ? POLICY_GRANT : POLICY_NEED_PIN;
    if (d.reason != reason)
        fail_msg("%s instead of %s", b_code_name(d.reason), b_code_name(reason));
    assert_int_equal(d.verdict, v);
}

static void each_state_that_is_not_good_has_its_reason(void **state)
{
    (void)state;
    static const struct {
        enum policy_state st;
        enum b_code station, badge, holder;
    } rows[] = {
        {POLICY_ACTIVE, B_OK, B_OK, B_OK},
        {POLICY_SUSPENDED, B_E_STATION_SUSPENDED, B_E_BADGE_SUSPENDED, B_E_HOLDER_SUSPENDED},
        {POLICY_ENDED, B_E_STATION_REVOKED, B_E_BADGE_REVOKED, B_E_HOLDER_LEFT},
        {POLICY_UNKNOWN, B_E_STATION_REVOKED, B_E_BADGE_UNKNOWN, B_E_HOLDER_LEFT},
        {(enum policy_state)(POLICY_UNKNOWN + 1), B_E_STATION_REVOKED, B_E_BADGE_REVOKED,
         B_E_HOLDER_LEFT},
    };
    const struct policy *p = with_factor(POLICY_BADGE);
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        struct policy_facts f = good_facts();
        f.station = rows[i].st;
        check(p, &f, rows[i].station);
        f = good_facts();
        f.badge = rows[i].st;
        check(p, &f, rows[i].badge);
        f = good_facts();
        f.holder = rows[i].st;
        check(p, &f, rows[i].holder);
    }
}

/* All is wrong at the start; what is met first is put right, one after the other. */
static void reasons_come_in_the_order_that_is_promised(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_PIN_ALWAYS);
    p->rules[0].hours_count = 1;
    p->rules[0].hours[0] = (struct policy_hours){.from = 0, .to = 60};
    struct policy_facts f = good_facts();
    f.station = f.badge = f.holder = POLICY_ENDED;
    f.is_enrolling = f.is_in_office = p->is_issued_only = true;
    f.not_before = NOW + 1;
    f.not_after = NOW;
    f.has_pin = false;
    f.is_pin_locked = true;
    f.pin_tries = 3;
    f.pin_failed_at = NOW - 1;
    check(p, &f, B_E_STATION_REVOKED);
    f.station = POLICY_ACTIVE;
    check(p, &f, B_E_BADGE_NOT_ENROLLED);
    f.is_enrolling = false;
    check(p, &f, B_E_BADGE_REVOKED);
    f.badge = POLICY_ACTIVE;
    check(p, &f, B_E_NOT_ISSUED);
    f.is_in_office = false;
    check(p, &f, B_E_BADGE_NOT_YET_VALID);
    f.not_before = NOW;
    check(p, &f, B_E_BADGE_EXPIRED);
    f.not_after = NOW + 1;
    check(p, &f, B_E_HOLDER_LEFT);
    f.holder = POLICY_ACTIVE;
    check(p, &f, B_E_OUTSIDE_HOURS);
    f.minute = 59;
    check(p, &f, B_E_PIN_MISSING);
    f.has_pin = true;
    check(p, &f, B_E_PIN_LOCKED);
    f.is_pin_locked = false;
    check(p, &f, B_E_PIN_THROTTLED);
    assert_int_equal(decide(p, &f).retry_at, NOW + 4);
    f.pin_failed_at = NOW - 5;
    check(p, &f, B_E_PIN_REQUIRED);
    f.has_given_pin = true;
    check(p, &f, B_OK);
}

static void a_shift_lasts_its_hours_in_its_zone(void **state)
{
    (void)state;
    const struct policy *p = with_factor(POLICY_PIN_SHIFT);
    static const struct {
        int64_t full_at;
        const char *zone;
        enum b_code reason;
    } cases[] = {
        {0, "east", B_E_PIN_REQUIRED},
        {NOW, "east", B_OK},
        {NOW - 8 * HOUR + 1, "east", B_OK},
        {NOW - 8 * HOUR, "east", B_E_PIN_REQUIRED},
        {NOW - 1, "west", B_E_PIN_REQUIRED},
        {NOW - 1, "", B_E_PIN_REQUIRED},
        /* of a clock that was wrong: counts as none */
        {NOW + 1, "east", B_E_PIN_REQUIRED},
        {INT64_MAX, "east", B_E_PIN_REQUIRED},
        {-1, "east", B_E_PIN_REQUIRED},
    };
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        struct policy_facts f = good_facts();
        f.full_at = cases[i].full_at;
        (void)strncpy(f.full_zone, cases[i].zone, sizeof(f.full_zone) - 1);
        check(p, &f, cases[i].reason);
    }
}

static void a_shift_is_no_longer_whichever_way_the_clock_jumps(void **state)
{
    (void)state;
    const struct policy *p = with_factor(POLICY_PIN_SHIFT);
    for (int64_t jump = -100 * HOUR; jump <= 100 * HOUR; jump += HOUR / 2) {
        struct policy_facts f = good_facts();
        f.full_at = NOW;
        f.now = NOW + jump;
        assert_int_equal(decide(p, &f).verdict == POLICY_GRANT, jump >= 0 && jump < 8 * HOUR);
        f.is_pin_locked = true;
        check(p, &f, B_E_PIN_LOCKED);
    }
}

static void hours_go_over_midnight_and_over_the_weeks_end(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_BADGE);
    struct policy_rule *r = &p->rules[0];
    r->hours_count = 3;
    r->hours[0] = (struct policy_hours){.from = 7 * 60, .to = 20 * 60};
    r->hours[1] = (struct policy_hours){.from = 2 * DAY + 22 * 60, .to = 3 * DAY + 6 * 60};
    r->hours[2] = (struct policy_hours){.from = 6 * DAY + 22 * 60, .to = 6 * 60};
    for (unsigned m = 0; m <= POLICY_WEEK_MINUTES + 1; m++) {
        struct policy_facts f = good_facts();
        bool is_open = m < 6 * 60 || (m >= 7 * 60 && m < 20 * 60) ||
                       (m >= 2 * DAY + 22 * 60 && m < 3 * DAY + 6 * 60) ||
                       (m >= 6 * DAY + 22 * 60 && m < POLICY_WEEK_MINUTES);
        f.minute = (uint16_t)m;
        check(p, &f, is_open ? B_OK : B_E_OUTSIDE_HOURS);
    }
}

static void a_group_has_its_rule_and_all_others_the_common_one(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_PIN_ALWAYS);
    p->rule_count = 2;
    (void)strncpy(p->rules[1].group, "kiosk", sizeof(p->rules[1].group) - 1);
    p->rules[1].factor = POLICY_BADGE;
    struct policy_facts f = good_facts();
    check(p, &f, B_E_PIN_REQUIRED);
    (void)strncpy(f.group, "kiosk", sizeof(f.group) - 1);
    check(p, &f, B_OK);
    (void)strncpy(f.group, "kiosks", sizeof(f.group) - 1);
    check(p, &f, B_E_PIN_REQUIRED);
    p->rule_count = 0;
    check(p, &f, B_E_NOT_ADMITTED);
}

enum { PHARMACISTS = 1, INTERNS = 2, NURSES = 4, OTHERS = 8 };

/* Interns type a PIN; where drugs are only pharmacists come in, and nurses by day with a PIN. */
static struct policy *with_holders(void)
{
    static const struct policy_rule rules[] = {
        {.group = "", .holders = INTERNS, .factor = POLICY_PIN_ALWAYS},
        {.group = "", .factor = POLICY_BADGE},
        {.group = "pharmacy", .holders = PHARMACISTS, .factor = POLICY_BADGE},
        {.group = "pharmacy",
         .holders = PHARMACISTS | NURSES,
         .factor = POLICY_PIN_ALWAYS,
         .hours_count = 1,
         .hours = {{.from = 0, .to = DAY}}},
    };
    struct policy *p = with_factor(POLICY_BADGE);
    p->rule_count = B_COUNT(rules);
    memcpy(p->rules, rules, sizeof(rules));
    return p;
}

static void the_first_rule_for_a_group_of_the_holder_decides(void **state)
{
    (void)state;
    static const struct {
        const char *station;
        uint32_t teams;
        bool is_late;
        enum b_code reason;
    } cases[] = {
        {"ward", 0, false, B_OK},
        {"ward", NURSES | OTHERS, false, B_OK},
        {"ward", INTERNS, false, B_E_PIN_REQUIRED},
        {"ward", INTERNS | PHARMACISTS, false, B_E_PIN_REQUIRED},
        {"", INTERNS, false, B_E_PIN_REQUIRED},
        {"pharmacy", PHARMACISTS, false, B_OK},
        {"pharmacy", PHARMACISTS | NURSES, true, B_OK},
        {"pharmacy", NURSES, false, B_E_PIN_REQUIRED},
        {"pharmacy", NURSES, true, B_E_OUTSIDE_HOURS},
        /* a group of stations that has rules takes no common one for those whom it leaves out */
        {"pharmacy", 0, false, B_E_NOT_ADMITTED},
        {"pharmacy", INTERNS, false, B_E_NOT_ADMITTED},
        {"pharmacy", OTHERS, false, B_E_NOT_ADMITTED},
        {"pharmacy", ~(uint32_t)(PHARMACISTS | NURSES), true, B_E_NOT_ADMITTED},
    };
    const struct policy *p = with_holders();
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        struct policy_facts f = good_facts();
        (void)strncpy(f.group, cases[i].station, sizeof(f.group) - 1);
        f.teams = cases[i].teams;
        f.minute = cases[i].is_late ? NOON_MONDAY + DAY : NOON_MONDAY;
        check(p, &f, cases[i].reason);
    }
}

static void a_pin_opens_nothing_to_whom_no_rule_is_for(void **state)
{
    (void)state;
    const struct policy *p = with_holders();
    struct policy_facts f = good_facts();
    (void)strncpy(f.group, "pharmacy", sizeof(f.group) - 1);
    f.has_given_pin = true;
    f.full_at = NOW;
    check(p, &f, B_E_NOT_ADMITTED);
    f.is_pin_asked = true;
    check(p, &f, B_E_NOT_ADMITTED);
    f.holder = POLICY_SUSPENDED; /* said first */
    check(p, &f, B_E_HOLDER_SUSPENDED);
    f.holder = POLICY_ACTIVE;
    f.teams = NURSES;
    check(p, &f, B_OK);
}

static void only_groups_that_decide_at_the_station_are_asked_for(void **state)
{
    (void)state;
    const struct policy *p = with_holders();
    assert_int_equal(policy_asks(p, "ward"), INTERNS);
    assert_int_equal(policy_asks(p, ""), INTERNS);
    assert_int_equal(policy_asks(p, "pharmacy"), PHARMACISTS | NURSES);
    assert_int_equal(policy_asks(with_factor(POLICY_BADGE), "pharmacy"), 0);
}

static void wrong_pins_wait_longer_and_then_lock(void **state)
{
    (void)state;
    static const int64_t pauses[] = {0, 0, 0, 5, 30}; /* after none, one, … */
    const struct policy *p = with_factor(POLICY_PIN_ALWAYS);
    for (uint32_t tries = 0; tries < 8; tries++) {
        struct policy_facts f = good_facts();
        f.pin_tries = tries;
        f.pin_failed_at = NOW;
        assert_int_equal(policy_locks(p, tries), tries >= 5);
        if (tries >= 5) {
            check(p, &f, B_E_PIN_LOCKED);
            continue;
        }
        struct policy_decision d = decide(p, &f);
        assert_int_equal(d.reason, pauses[tries] > 0 ? B_E_PIN_THROTTLED : B_E_PIN_REQUIRED);
        f.now = NOW + pauses[tries];
        check(p, &f, B_E_PIN_REQUIRED);
    }
}

/* A right PIN that comes where none is heard opens nothing: two taps at once cannot get round the
 * pause or the lock. */
static void a_right_pin_is_not_heard_in_a_pause_or_a_lock(void **state)
{
    (void)state;
    const struct policy *p = with_factor(POLICY_PIN_ALWAYS);
    struct policy_facts f = good_facts();
    f.has_given_pin = true;
    check(p, &f, B_OK);
    f.pin_tries = 4;
    f.pin_failed_at = NOW - 29;
    check(p, &f, B_E_PIN_THROTTLED);
    f.pin_failed_at = NOW - 30;
    check(p, &f, B_OK);
    f.pin_tries = 5;
    check(p, &f, B_E_PIN_LOCKED);
    f.pin_tries = 0;
    f.is_pin_locked = true;
    check(p, &f, B_E_PIN_LOCKED);
    f = good_facts();
    f.has_given_pin = true;
    f.has_pin = false;
    check(p, &f, B_E_PIN_MISSING);
}

static void a_pause_is_bounded_whatever_the_clock_did(void **state)
{
    (void)state;
    const struct policy *p = with_factor(POLICY_PIN_ALWAYS);
    static const int64_t ahead[] = {0, 1, 29, 30, 31, 1000, 400 * 86400};
    for (size_t i = 0; i < B_COUNT(ahead); i++) {
        struct policy_facts f = good_facts();
        f.pin_tries = 4;
        f.pin_failed_at = NOW + ahead[i];
        f.now = NOW + 61; /* twice the longest, and over */
        bool is_heard = decide(p, &f).verdict == POLICY_NEED_PIN;
        if (!is_heard && f.pin_failed_at > f.now + 30)
            fail_msg("a wrong PIN %lld s ahead shuts the holder out", (long long)ahead[i]);
        f.now = NOW;
        struct policy_decision d = decide(p, &f);
        if (d.reason == B_E_PIN_THROTTLED)
            assert_true(d.retry_at > NOW && d.retry_at <= NOW + 60);
        f.pin_tries = 5; /* the lock knows no time */
        check(p, &f, B_E_PIN_LOCKED);
    }
}

/* What must hold of every decision, told from the facts alone. */
static void obeys(const struct policy_facts *f, const struct policy_decision *d, bool needs_pin)
{
    bool is_active = f->station == POLICY_ACTIVE && f->badge == POLICY_ACTIVE &&
                     f->holder == POLICY_ACTIVE && !f->is_enrolling;
    bool is_heard = f->has_pin && !f->is_pin_locked && f->pin_tries < 5 &&
                    !(f->pin_tries >= 3 && f->pin_failed_at == NOW - 1);
    assert_int_equal(d->verdict == POLICY_GRANT, d->reason == B_OK);
    assert_int_equal(d->verdict == POLICY_NEED_PIN, d->reason == B_E_PIN_REQUIRED);
    if (d->verdict != POLICY_REFUSE)
        assert_true(is_active);
    if (d->verdict == POLICY_GRANT && needs_pin)
        assert_true(f->has_given_pin && is_heard);
    if (d->verdict == POLICY_NEED_PIN)
        assert_true(needs_pin && is_heard && !f->has_given_pin);
}

/* Every combination of what a PIN may be and do, for the states in *f. */
static unsigned pins(struct policy_facts *f)
{
    static const uint32_t tries[] = {0, 2, 3, 4, 5, 6};
    unsigned count = 0;
    for (unsigned i = 0; i < 3 * 2 * 2 * 2 * 2 * 2 * B_COUNT(tries); i++) {
        unsigned rest = i;
        enum policy_factor factor = (enum policy_factor)(rest % 3);
        f->has_pin = (rest /= 3) % 2 != 0;
        f->is_pin_locked = (rest /= 2) % 2 != 0;
        f->has_given_pin = (rest /= 2) % 2 != 0;
        f->pin_failed_at = (rest /= 2) % 2 != 0 ? NOW - 1 : NOW - 100000;
        f->full_at = (rest /= 2) % 2 != 0 ? NOW - HOUR : 0;
        f->pin_tries = tries[rest / 2];
        struct policy_decision d = decide(with_factor(factor), f);
        bool is_fresh = f->full_at != 0 && !f->is_pin_locked;
        obeys(f, &d, factor == POLICY_PIN_ALWAYS || (factor == POLICY_PIN_SHIFT && !is_fresh));
        count++;
    }
    return count;
}

static void the_laws_hold_for_every_combination(void **state)
{
    (void)state;
    unsigned count = 0;
    for (unsigned i = 0; i < 5 * 5 * 5 * 2; i++) {
        struct policy_facts f = good_facts();
        f.station = (enum policy_state)(i % 5);
        f.badge = (enum policy_state)(i / 5 % 5);
        f.holder = (enum policy_state)(i / 25 % 5);
        f.is_enrolling = i / 125 != 0;
        count += pins(&f);
    }
    assert_int_equal(count, 250 * 576);
}

static void a_badge_of_a_compromised_generation_needs_its_pin_and_then_ends(void **state)
{
    (void)state;
    struct policy *p = with_factor(POLICY_BADGE);
    struct policy_facts f = good_facts();
    f.compromised_at = NOW - 86400;
    f.is_generation_over = true;
    check(p, &f, B_E_GENERATION_COMPROMISED); /* unless the policy says otherwise */
    p->compromised_days = 2;
    check(p, &f, B_E_PIN_REQUIRED);
    f.has_given_pin = true;
    check(p, &f, B_OK);
    f.now = f.compromised_at + 2 * 86400 - 1;
    check(p, &f, B_OK);
    f.now++;
    check(p, &f, B_E_GENERATION_COMPROMISED);
    p = with_factor(POLICY_PIN_SHIFT);
    p->compromised_days = 2;
    f = good_facts();
    f.compromised_at = NOW;
    f.full_at = NOW - HOUR;
    check(p, &f, B_E_PIN_REQUIRED); /* no shift counts */
    f.has_pin = false;
    check(p, &f, B_E_PIN_MISSING);
}

static void a_badge_of_a_retired_generation_is_too_old(void **state)
{
    (void)state;
    struct policy_facts f = good_facts();
    f.is_generation_over = true;
    check(with_factor(POLICY_BADGE), &f, B_E_GENERATION_RETIRED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_badge_of_a_compromised_generation_needs_its_pin_and_then_ends),
        cmocka_unit_test(a_badge_of_a_retired_generation_is_too_old),
        cmocka_unit_test(each_state_that_is_not_good_has_its_reason),
        cmocka_unit_test(reasons_come_in_the_order_that_is_promised),
        cmocka_unit_test(a_shift_lasts_its_hours_in_its_zone),
        cmocka_unit_test(a_shift_is_no_longer_whichever_way_the_clock_jumps),
        cmocka_unit_test(hours_go_over_midnight_and_over_the_weeks_end),
        cmocka_unit_test(a_group_has_its_rule_and_all_others_the_common_one),
        cmocka_unit_test(the_first_rule_for_a_group_of_the_holder_decides),
        cmocka_unit_test(a_pin_opens_nothing_to_whom_no_rule_is_for),
        cmocka_unit_test(only_groups_that_decide_at_the_station_are_asked_for),
        cmocka_unit_test(wrong_pins_wait_longer_and_then_lock),
        cmocka_unit_test(a_right_pin_is_not_heard_in_a_pause_or_a_lock),
        cmocka_unit_test(a_pause_is_bounded_whatever_the_clock_did),
        cmocka_unit_test(the_laws_hold_for_every_combination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
