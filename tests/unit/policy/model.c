/* The rules as a record: what is refused, and a canonical form that comes back the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "policy/policy.h"

/* As large as may be. Overwritten by the next call. */
static const struct policy *full(void)
{
    static struct policy p;
    policy_default(&p);
    p.head.wait_count = POLICY_WAITS_MAX;
    for (unsigned i = 0; i < POLICY_WAITS_MAX; i++)
        p.head.waits[i] = i;
    p.head.group_count = POLICY_GROUPS_MAX;
    for (unsigned i = 0; i < POLICY_GROUPS_MAX; i++) {
        struct policy_rule *r = &p.groups[i];
        (void)snprintf(r->group, sizeof(r->group), "%063u", i);
        r->factor = POLICY_FACTOR_PIN;
        r->window_count = POLICY_WINDOWS_MAX;
        for (unsigned k = 0; k < POLICY_WINDOWS_MAX; k++)
            r->windows[k] = (struct policy_window){.days = 0x7F, .from = 1, .to = POLICY_DAY};
    }
    return &p;
}

static void the_default_is_sound(void **state)
{
    (void)state;
    static struct policy p;
    struct b_err err;
    policy_default(&p);
    assert_int_equal(policy_check(&p, &err), B_OK);
}

static void the_canonical_form_comes_back_the_same(void **state)
{
    (void)state;
    static struct policy p, again;
    static uint8_t one[POLICY_ENCODED_MAX], two[POLICY_ENCODED_MAX];
    p = *full();
    struct b_wr w = b_wr_from(one, sizeof(one));
    policy_encode(&p, &w);
    assert_true(b_wr_ok(&w));
    struct b_rd r = b_wr_reader(&w);
    assert_true(policy_decode(&r, &again) && b_rd_end(&r));
    struct b_wr w2 = b_wr_from(two, sizeof(two));
    policy_encode(&again, &w2);
    assert_int_equal(w.len, w2.len);
    assert_memory_equal(one, two, w.len);
    for (size_t n = 0; n < w.len; n++) {
        r = b_rd_from(one, n);
        assert_false(policy_decode(&r, &again));
    }
}

static void another_policy_has_another_digest(void **state)
{
    (void)state;
    static struct policy p, other;
    uint8_t a[POLICY_DIGEST], b[POLICY_DIGEST];
    p = *full();
    policy_digest(&p, a);
    other = p;
    policy_digest(&other, b);
    assert_memory_equal(a, b, sizeof(a));
#define CHANGED(change)                           \
    do {                                          \
        other = p;                                \
        change;                                   \
        policy_digest(&other, b);                 \
        assert_memory_not_equal(a, b, sizeof(a)); \
    } while (0)
    CHANGED(other.head.lock_after--);
    CHANGED(other.head.group_count--);
    CHANGED(other.head.timezone[0] = 'A');
    CHANGED(other.by_default.shift_hours--);
    CHANGED(other.groups[POLICY_GROUPS_MAX - 1].grace_minutes = 1);
    CHANGED(other.groups[3].windows[7].days = 1);
    /* the order of rules is part of it, unused room is not */
    CHANGED(other.groups[0] = p.groups[1]; other.groups[1] = p.groups[0]);
    other = p;
    other.by_default.windows[5].from = 9;
    policy_digest(&other, b);
    assert_memory_equal(a, b, sizeof(a));
}

static void what_breaks_a_rule_is_named(void **state)
{
    (void)state;
    static struct policy p;
    struct b_err err;
#define BROKEN(change, path)                                      \
    do {                                                          \
        p = *full();                                              \
        change;                                                   \
        assert_int_equal(policy_check(&p, &err), B_E_CONFIG);     \
        assert_memory_equal(err.msg, path ":", strlen(path ":")); \
    } while (0)
    BROKEN(p.head.timezone[0] = '\0', "timezone");
    BROKEN(p.head.timezone[0] = ':', "timezone");
    BROKEN((void)snprintf(p.head.timezone, POLICY_NAME_MAX, "Europe/../x"), "timezone");
    BROKEN((void)snprintf(p.head.timezone, POLICY_NAME_MAX, "/etc/passwd"), "timezone");
    BROKEN(memset(p.head.timezone, 'a', POLICY_NAME_MAX), "timezone");
    BROKEN(p.head.language = POLICY_LANGUAGE_COUNT, "language");
    BROKEN(p.head.debounce_ms = 10001, "debounce-ms");
    BROKEN(p.head.pin_digits = 3, "pin/digits");
    BROKEN(p.head.pin_digits = 13, "pin/digits");
    BROKEN(p.head.wait_count = 0, "pin/waits");
    BROKEN(p.head.waits[2] = 0, "pin/waits/2");
    BROKEN(p.head.waits[15] = 86401, "pin/waits/15");
    BROKEN(p.head.lock_after = 0, "pin/lock-after");
    BROKEN(p.head.lock_after = 51, "pin/lock-after");
    BROKEN(p.by_default.factor = POLICY_FACTOR_COUNT, "default/second-factor");
    BROKEN(p.by_default.shift_hours = 0, "default/shift-hours");
    BROKEN(p.by_default.shift_hours = 25, "default/shift-hours");
    BROKEN(p.by_default.group[0] = 'a', "default/name");
    BROKEN(p.head.group_count = POLICY_GROUPS_MAX + 1, "groups");
    BROKEN(p.groups[1].shift_hours = 1, "groups/1/shift-hours");
    BROKEN(p.groups[1].window_count = 9, "groups/1/hours");
    BROKEN(p.groups[1].windows[3].days = 0, "groups/1/hours/3");
    BROKEN(p.groups[1].windows[3].days = 0x80, "groups/1/hours/3");
    BROKEN(p.groups[1].windows[3].to = 1441, "groups/1/hours/3");
    BROKEN(p.groups[1].windows[3].to = 1, "groups/1/hours/3");
    BROKEN(p.groups[1].outside = POLICY_OUTSIDE_COUNT, "groups/1/outside-hours");
    BROKEN(p.groups[1].grace_minutes = 241, "groups/1/grace-minutes");
    BROKEN(p.groups[1].group[0] = '\0', "groups/1/name");
    BROKEN(p.groups[1].group[0] = '\n', "groups/1/name");
    BROKEN(p.groups[2] = p.groups[1], "groups/2/name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_sound),
        cmocka_unit_test(the_canonical_form_comes_back_the_same),
        cmocka_unit_test(another_policy_has_another_digest),
        cmocka_unit_test(what_breaks_a_rule_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
