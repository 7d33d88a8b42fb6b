/* What a tap does to the sessions of a seat, case by case; and the configuration of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "session/session.h"

/* In front: A(nne) open, a Anne locked, K(iosk) open, k locked, G the greeter, 0 nothing. */
struct tap {
    const char *front;
    const char *own;                   /* a session of the person's behind; "" none */
    const char *user;                  /* their account */
    const char *identity;              /* at the kiosk */
    enum session_act stays_not, stays; /* without and with card-stays */
};

static struct session_facts facts(const struct tap *t)
{
    struct session_facts f = {.subject = t->user[0] != '\0' ? t->user : "visitor",
                              .user = t->user,
                              .identity = t->identity,
                              .last = ""};
    f.is_greeter_active = t->front[0] == 'G';
    if (strchr("AaKk", t->front[0]) != NULL) {
        (void)snprintf(f.active.id, sizeof(f.active.id), "1");
        (void)snprintf(f.active.user, sizeof(f.active.user), "%s",
                       strchr("Aa", t->front[0]) != NULL ? "anne" : "kiosk");
        f.active.is_locked = strchr("ak", t->front[0]) != NULL;
    }
    (void)snprintf(f.own.id, sizeof(f.own.id), "%s", t->own);
    return f;
}

static struct session_config config = {.debounce_ms = 1500, .kiosk = "kiosk"};

static void a_tap_locks_unlocks_switches_or_shows_the_greeter(void **state)
{
    (void)state;
    static const struct tap taps[] = {
        {"A", "", "anne", "", SESSION_LOCK, SESSION_NOTHING},
        {"a", "", "anne", "", SESSION_UNLOCK, SESSION_UNLOCK},
        {"A", "2", "bruno", "", SESSION_SWITCH, SESSION_SWITCH},
        {"a", "2", "bruno", "", SESSION_SWITCH, SESSION_SWITCH},
        {"A", "", "bruno", "", SESSION_GREETER, SESSION_GREETER},
        {"A", "", "", "", SESSION_NOTHING, SESSION_NOTHING}, /* no account here */
        {"G", "", "anne", "", SESSION_NOTHING, SESSION_NOTHING},
        {"G", "2", "anne", "", SESSION_SWITCH, SESSION_SWITCH},
        {"0", "", "anne", "", SESSION_NOTHING, SESSION_NOTHING},
        {"k", "", "", "", SESSION_KIOSK_BEGIN, SESSION_KIOSK_BEGIN},
        {"K", "", "", "visitor", SESSION_KIOSK_END, SESSION_NOTHING},
        {"K", "", "anne", "visitor", SESSION_KIOSK_BEGIN, SESSION_KIOSK_BEGIN},
        {"k", "", "anne", "anne", SESSION_KIOSK_BEGIN, SESSION_KIOSK_BEGIN},
    };
    for (size_t i = 0; i < B_COUNT(taps); i++) {
        struct session_facts f = facts(&taps[i]);
        config.card_stays = false;
        assert_int_equal(session_decide(&config, &f), taps[i].stays_not);
        config.card_stays = true;
        assert_int_equal(session_decide(&config, &f), taps[i].stays);
    }
}

static void a_badge_that_is_lifted_locks_its_holders_session_and_no_other(void **state)
{
    (void)state;
    static const struct tap taps[] = {
        {"A", "", "anne", "", SESSION_NOTHING, SESSION_LOCK},
        {"a", "", "anne", "", SESSION_NOTHING, SESSION_NOTHING},
        {"A", "2", "bruno", "", SESSION_NOTHING, SESSION_NOTHING},
        {"G", "", "anne", "", SESSION_NOTHING, SESSION_NOTHING},
        {"K", "", "", "visitor", SESSION_NOTHING, SESSION_KIOSK_END},
        {"K", "", "", "anne", SESSION_NOTHING, SESSION_NOTHING},
    };
    for (size_t i = 0; i < B_COUNT(taps); i++) {
        struct session_facts f = facts(&taps[i]);
        f.is_lifted = true;
        f.last = f.subject; /* soon after it was put down */
        config.card_stays = false;
        assert_int_equal(session_decide(&config, &f), taps[i].stays_not);
        config.card_stays = true;
        assert_int_equal(session_decide(&config, &f), taps[i].stays);
    }
}

static void a_tap_that_a_program_waits_for_is_that_programs(void **state)
{
    (void)state;
    static const struct tap taps[] = {
        {"A", "", "anne", "", SESSION_NOTHING, SESSION_NOTHING}, /* sudo */
        {"A", "2", "bruno", "", SESSION_NOTHING, SESSION_NOTHING},
        {"a", "", "anne", "", SESSION_NOTHING, SESSION_NOTHING}, /* the lock itself */
        {"a", "2", "bruno", "", SESSION_SWITCH, SESSION_SWITCH}, /* another before Anne's lock */
        {"a", "", "bruno", "", SESSION_GREETER, SESSION_GREETER},
        {"G", "2", "anne", "", SESSION_NOTHING, SESSION_NOTHING},
        {"K", "", "", "visitor", SESSION_NOTHING, SESSION_NOTHING},
    };
    config.card_stays = false;
    for (size_t i = 0; i < B_COUNT(taps); i++) {
        struct session_facts f = facts(&taps[i]);
        f.is_waited_for = true;
        assert_int_equal(session_decide(&config, &f), taps[i].stays_not);
    }
}

static void a_second_tap_of_the_same_person_too_soon_is_none(void **state)
{
    (void)state;
    static const struct tap open = {.front = "A", .own = "", .user = "anne", .identity = ""};
    struct session_facts f = facts(&open);
    config.card_stays = false;
    f.last = "anne";
    f.ago_ms = 1499;
    assert_int_equal(session_decide(&config, &f), SESSION_NOTHING);
    f.ago_ms = 1500;
    assert_int_equal(session_decide(&config, &f), SESSION_LOCK);
    f.ago_ms = -5; /* the machine was started again */
    assert_int_equal(session_decide(&config, &f), SESSION_LOCK);
    f.ago_ms = 3;
    f.last = "bruno";
    assert_int_equal(session_decide(&config, &f), SESSION_LOCK);
}

static void who_is_locked_or_lifts_a_badge_that_stays_leaves_and_nobody_elses_sessions_end(
    void **state)
{
    (void)state;
    static const struct tap mine = {.front = "a", .own = "", .user = "anne", .identity = ""};
    static const struct tap empty = {.front = "0", .own = "", .user = "anne", .identity = ""};
    static const struct tap anothers = {.front = "A", .own = "", .user = "bruno", .identity = ""};
    struct session_facts f = facts(&mine);
    config.card_stays = false;
    assert_true(session_leaves(&config, &f, SESSION_LOCK));
    assert_true(session_leaves(&config, &f, SESSION_KIOSK_END));
    assert_false(session_leaves(&config, &f, SESSION_UNLOCK));
    assert_false(session_leaves(&config, &f, SESSION_SWITCH)); /* the next person has tapped */
    f.is_lifted = true;
    assert_false(session_leaves(&config, &f, SESSION_NOTHING));
    config.card_stays = true;
    assert_true(session_leaves(&config, &f, SESSION_NOTHING));
    f = facts(&empty);
    f.is_lifted = true;
    assert_true(session_leaves(&config, &f, SESSION_NOTHING));
    f = facts(&anothers);
    f.is_lifted = true;
    assert_false(session_leaves(&config, &f, SESSION_NOTHING));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tap_locks_unlocks_switches_or_shows_the_greeter),
        cmocka_unit_test(a_badge_that_is_lifted_locks_its_holders_session_and_no_other),
        cmocka_unit_test(a_tap_that_a_program_waits_for_is_that_programs),
        cmocka_unit_test(a_second_tap_of_the_same_person_too_soon_is_none),
        cmocka_unit_test(
            who_is_locked_or_lifts_a_badge_that_stays_leaves_and_nobody_elses_sessions_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
