/* The contract of sign-on: what a tap may answer, once; and when sessions end. On a real vault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "desk.h"
#include "place.h"
#include "service/party.h"
#include "service/relay.h"
#include "service/signon.h"

static struct desk desk;
static struct desk_card card, other_card;
static struct store_badge badge, other_badge;
static struct service_taps *taps;
static struct store_station here, elsewhere;

static enum b_code put_station(struct service_change *c, void *ctx, struct b_err *err)
{
    return store_station_put(c->store, ctx, err);
}

static void add_station(struct store_station *t, const char *name)
{
    *t = (struct store_station){.state = STORE_PARTY_ACTIVE};
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    t->fingerprint[0] = (uint8_t)name[0];
    t->next[0] = t->code[0] = (uint8_t)name[0];
    MUST(service_change(&desk.sv, put_station, t, &desk_err));
}

/* Two people, each with a badge, and two stations. */
static int open_desk(void **state)
{
    (void)state;
    static const struct service_holder second = {.ref = "80000000002", .name = "Zoe Martin"};
    static unsigned place;
    char name[24];
    struct vault_key seal;
    struct channel *ch = NULL;
    (void)snprintf(name, sizeof(name), "7500001%02u", place++);
    desk_open(&desk, name);
    MUST(vault_key_generate(desk.sv.vault, KEY_ROLE_SEAL, 1, &seal, &desk_err));
    desk_card_new(&card, DF_EV2, 0x11);
    desk_card_new(&other_card, DF_EV2, 0x22);
    taps = service_taps_new();
    desk.sv.bells = service_bells_new();
    MUST(desk_enrol(&desk, &card, &badge));
    ch = desk_channel(&other_card, (struct channel_fault){0});
    MUST(service_enrol(&desk.sv, ch, second, NULL, &other_badge, &desk_err));
    channel_free(&ch);
    add_station(&here, "here");
    add_station(&elsewhere, "elsewhere");
    return 0;
}

static int close_desk(void **state)
{
    (void)state;
    service_taps_free(&taps);
    service_bells_free(&desk.sv.bells);
    desk_close(&desk);
    return 0;
}

static enum b_code tap(struct desk_card *c, const struct store_station *station)
{
    static struct service_verdict verdict;
    char name[SERVICE_TAP_NAME];
    return desk_station_tap(&desk, c, taps, station, (struct service_tap_first){0}, name, &verdict);
}

struct login {
    struct store_challenge challenge;
    char secret[SERVICE_SECRET];
    struct service_beginning begun;
};

static void begin(struct login *l, const struct store_station *station)
{
    *l = (struct login){.challenge = {.party = "ehr", .station = station->id}};
    MUST(service_challenge_open(&desk.sv, &l->challenge, l->secret, &desk_err));
}

static enum b_code take_as(struct login *l, const char *party, const char *secret)
{
    static struct service_answer answer;
    return service_challenge_take(&desk.sv, l->challenge.name, party, secret, &answer, &l->begun,
                                  &desk_err);
}

static enum b_code take(struct login *l)
{
    return take_as(l, "ehr", l->secret);
}

static enum service_challenge_stand look(struct login *l)
{
    enum service_challenge_stand stand = SERVICE_OVER;
    MUST(store_challenge_by_name(desk.sv.store, l->challenge.name, &l->challenge, &desk_err));
    MUST(service_challenge_look(desk.sv.store, &l->challenge, &stand, NULL, &desk_err));
    return stand;
}

static bool is_open(const struct login *l)
{
    static struct store_signon v;
    struct b_err ignored;
    return service_signon_find(desk.sv.store, l->begun.cookie, service_now(), &v, &ignored) == B_OK;
}

static void one_tap_on_its_station_answers_a_login_once(void **state)
{
    (void)state;
    static struct login l;
    begin(&l, &here);
    assert_int_equal(look(&l), SERVICE_WAITS);
    desk_expect(take(&l), B_E_TAP_AWAITED);
    MUST(tap(&card, &here));
    assert_int_equal(look(&l), SERVICE_TAPPED);
    MUST(take(&l));
    assert_string_equal(desk_last_event(&desk), "signon ok");
    assert_string_equal(l.begun.signon.holder_ref, badge.holder_ref);
    assert_true(is_open(&l));
    assert_int_equal(look(&l), SERVICE_OVER);
    desk_expect(take(&l), B_E_TAP_USED);
    assert_string_equal(desk_last_event(&desk), "signon tap-used");
}

static void a_tap_before_the_login_began_does_not_answer_it(void **state)
{
    (void)state;
    static struct login l;
    MUST(tap(&card, &here));
    begin(&l, &here);
    desk_expect(take(&l), B_E_TAP_AWAITED);
}

static void a_tap_on_another_station_answers_nothing(void **state)
{
    (void)state;
    static struct login l;
    begin(&l, &elsewhere);
    MUST(tap(&card, &here));
    desk_expect(take(&l), B_E_TAP_AWAITED);
    assert_int_equal(look(&l), SERVICE_WAITS);
}

static void another_relying_party_or_browser_takes_nothing(void **state)
{
    (void)state;
    static struct login l, thief;
    begin(&thief, &elsewhere);
    begin(&l, &here);
    MUST(tap(&card, &here));
    desk_expect(take_as(&l, "other", l.secret), B_E_CHALLENGE_OTHER);
    desk_expect(take_as(&l, "ehr", thief.secret), B_E_CHALLENGE_OTHER);
    desk_expect(take_as(&l, "ehr", NULL), B_E_CHALLENGE_OTHER);
    assert_string_equal(desk_last_event(&desk), "signon challenge-other");
    MUST(take(&l));
}

static void of_two_logins_on_a_station_none_is_first_until_the_person_chooses(void **state)
{
    (void)state;
    static struct login a, b;
    begin(&a, &here);
    begin(&b, &here);
    assert_int_equal(look(&a), SERVICE_CHOOSE);
    MUST(tap(&card, &here));
    desk_expect(take(&a), B_E_CHALLENGE_UNCHOSEN);
    desk_expect(take(&b), B_E_CHALLENGE_UNCHOSEN);
    MUST(service_challenge_choose(&desk.sv, b.challenge.name, here.id, &desk_err));
    assert_int_equal(look(&b), SERVICE_TAPPED);
    MUST(take(&b));
    desk_expect(take(&a), B_E_TAP_AWAITED); /* it was the other's: one more tap */
}

static void a_choice_does_not_hold_against_a_login_that_came_after_it(void **state)
{
    (void)state;
    static struct login thief, victim;
    begin(&thief, &here);
    MUST(service_challenge_choose(&desk.sv, thief.challenge.name, here.id, &desk_err));
    begin(&victim, &here);
    assert_int_equal(look(&victim), SERVICE_CHOOSE);
    assert_int_equal(look(&thief), SERVICE_CHOOSE);
    MUST(tap(&card, &here));
    desk_expect(take(&thief), B_E_CHALLENGE_UNCHOSEN);
    MUST(service_challenge_choose(&desk.sv, victim.challenge.name, here.id, &desk_err));
    MUST(take(&victim));
}

static void of_two_choices_the_later_one_holds(void **state)
{
    (void)state;
    static struct login a, b;
    begin(&a, &here);
    begin(&b, &here);
    MUST(service_challenge_choose(&desk.sv, b.challenge.name, here.id, &desk_err));
    MUST(service_challenge_choose(&desk.sv, a.challenge.name, here.id, &desk_err));
    MUST(tap(&card, &here));
    MUST(take(&a));
}

static void a_tap_before_a_text_was_shown_does_not_confirm_it(void **state)
{
    (void)state;
    static struct login l, a, b;
    l = (struct login){.challenge = {.party = "ehr", .station = here.id, .text = "10 mg morphine"}};
    MUST(service_challenge_open(&desk.sv, &l.challenge, l.secret, &desk_err));
    begin(&a, &here);
    begin(&b, &here);
    MUST(tap(&card, &here)); /* it is nobody's */
    MUST(service_challenge_choose(&desk.sv, l.challenge.name, here.id, &desk_err));
    desk_expect(take(&l), B_E_CHALLENGE_UNCHOSEN);
}

static void a_login_cannot_be_chosen_on_another_station(void **state)
{
    (void)state;
    static struct login l;
    begin(&l, &elsewhere);
    desk_expect(service_challenge_choose(&desk.sv, l.challenge.name, here.id, &desk_err),
                B_E_CHALLENGE_OTHER);
}

static void a_login_for_somebody_is_not_answered_by_another_badge(void **state)
{
    (void)state;
    static struct login l;
    l = (struct login){.challenge = {.party = "ehr", .station = here.id}};
    (void)snprintf(l.challenge.holder_ref, sizeof(l.challenge.holder_ref), "%s",
                   other_badge.holder_ref);
    MUST(service_challenge_open(&desk.sv, &l.challenge, l.secret, &desk_err));
    MUST(tap(&card, &here));
    desk_expect(take(&l), B_E_TAP_AWAITED);
    MUST(tap(&other_card, &here));
    MUST(take(&l));
}

static void a_badge_revoked_between_tap_and_login_gets_no_session(void **state)
{
    (void)state;
    static struct login l;
    begin(&l, &here);
    MUST(tap(&card, &here));
    MUST(service_revoke(&desk.sv, badge.id, "lost", &desk_err));
    desk_expect(take(&l), B_E_TAP_UNDONE);
    assert_string_equal(desk_last_event(&desk), "signon tap-undone");
}

static void a_holder_or_station_suspended_between_tap_and_login_gets_no_session(void **state)
{
    (void)state;
    static struct login l;
    struct store_holder h;
    begin(&l, &here);
    MUST(tap(&card, &here));
    MUST(service_holder_state(&desk.sv, badge.holder_ref, STORE_PARTY_SUSPENDED, "holder-suspend",
                              &h, &desk_err));
    desk_expect(take(&l), B_E_TAP_UNDONE);
    begin(&l, &elsewhere);
    MUST(tap(&other_card, &elsewhere));
    elsewhere.state = STORE_PARTY_SUSPENDED;
    MUST(service_change(&desk.sv, put_station, &elsewhere, &desk_err));
    desk_expect(take(&l), B_E_TAP_UNDONE);
}

static enum b_code add_tap(struct service_change *c, void *ctx, struct b_err *err)
{
    return store_assertion_add(c->store, ctx, err);
}

static enum b_code put_challenge(struct service_change *c, void *ctx, struct b_err *err)
{
    return store_challenge_put(c->store, ctx, err);
}

static void a_tap_is_worth_nothing_after_30_seconds(void **state)
{
    (void)state;
    static struct login l;
    begin(&l, &here);
    l.challenge.created_at -= 60;
    MUST(service_change(&desk.sv, put_challenge, &l.challenge, &desk_err));
    static struct store_assertion a;
    a = (struct store_assertion){.challenge = l.challenge.id,
                                 .station = here.id,
                                 .badge_id = badge.id,
                                 .at = service_now() - SERVICE_TAP_SECONDS - 1};
    (void)snprintf(a.holder_ref, sizeof(a.holder_ref), "%s", badge.holder_ref);
    MUST(service_change(&desk.sv, add_tap, &a, &desk_err));
    assert_int_equal(look(&l), SERVICE_WAITS);
    desk_expect(take(&l), B_E_TAP_LATE);
}

static void a_login_that_was_ended_takes_nothing(void **state)
{
    (void)state;
    static struct login l;
    begin(&l, &here);
    MUST(service_challenge_end(&desk.sv, l.challenge.name, &desk_err));
    MUST(tap(&card, &here));
    desk_expect(take(&l), B_E_CHALLENGE_OVER);
}

static void a_login_that_wants_a_pin_is_not_answered_without(void **state)
{
    (void)state;
    static struct login l;
    l = (struct login){.challenge = {.party = "ehr", .station = here.id, .needs_pin = true}};
    MUST(service_challenge_open(&desk.sv, &l.challenge, l.secret, &desk_err));
    desk_expect(tap(&card, &here), B_E_PIN_MISSING); /* the holder has none */
    desk_expect(take(&l), B_E_TAP_AWAITED);
    static struct store_assertion a;
    a = (struct store_assertion){
        .challenge = l.challenge.id, .station = here.id, .badge_id = badge.id, .at = service_now()};
    (void)snprintf(a.holder_ref, sizeof(a.holder_ref), "%s", badge.holder_ref);
    MUST(service_change(&desk.sv, add_tap, &a, &desk_err));
    desk_expect(take(&l), B_E_TAP_AWAITED);
}

static void a_tap_for_a_program_of_the_station_answers_no_login(void **state)
{
    (void)state;
    static struct service_verdict verdict;
    char name[SERVICE_TAP_NAME];
    static struct login l;
    begin(&l, &here);
    MUST(desk_station_tap(&desk, &card, taps, &here,
                          (struct service_tap_first){.challenge = "a lock screen's"}, name,
                          &verdict));
    desk_expect(take(&l), B_E_TAP_AWAITED);
}

static void a_station_has_so_many_logins_and_no_more(void **state)
{
    (void)state;
    static struct login l;
    for (size_t i = 0; i < SERVICE_CHALLENGES_OF_STATION; i++)
        begin(&l, &here);
    desk_expect(service_challenge_open(&desk.sv, &l.challenge, l.secret, &desk_err),
                B_E_CHALLENGES_MANY);
}

static void a_text_to_confirm_is_answered_only_once_it_was_shown(void **state)
{
    (void)state;
    static struct login l, plain;
    l = (struct login){.challenge = {.party = "ehr", .station = here.id, .text = "10 mg morphine"}};
    MUST(service_challenge_open(&desk.sv, &l.challenge, l.secret, &desk_err));
    MUST(tap(&card, &here));
    desk_expect(take(&l), B_E_TAP_AWAITED);
    begin(&plain, &here); /* it stands in nobody's way either */
    MUST(tap(&card, &here));
    MUST(take(&plain));
    MUST(service_challenge_choose(&desk.sv, l.challenge.name, here.id, &desk_err));
    MUST(tap(&card, &here));
    MUST(take(&l));
}

static void a_login_for_a_person_on_any_station_is_chosen_on_one_first(void **state)
{
    (void)state;
    static struct login l;
    l = (struct login){.challenge = {.party = "ehr"}};
    (void)snprintf(l.challenge.holder_ref, sizeof(l.challenge.holder_ref), "%s", badge.holder_ref);
    MUST(service_challenge_open(&desk.sv, &l.challenge, l.secret, &desk_err));
    MUST(tap(&card, &here));
    desk_expect(take(&l), B_E_TAP_AWAITED);
    MUST(service_challenge_choose(&desk.sv, l.challenge.name, here.id, &desk_err));
    MUST(tap(&other_card, &here));
    desk_expect(take(&l), B_E_TAP_AWAITED);
    MUST(tap(&card, &here));
    MUST(take(&l));
}

/* --- sessions ----------------------------------------------------------------------------------
 */

static void sign_in(struct login *l, struct desk_card *c, const struct store_station *station)
{
    begin(l, station);
    MUST(tap(c, station));
    MUST(take(l));
    assert_true(is_open(l));
}

static enum b_code put_signon(struct service_change *c, void *ctx, struct b_err *err)
{
    return store_signon_put(c->store, ctx, err);
}

static void the_next_person_s_tap_ends_the_session_of_the_one_before(void **state)
{
    (void)state;
    static struct login a, b;
    sign_in(&a, &card, &here);
    sign_in(&b, &other_card, &elsewhere);
    MUST(tap(&other_card, &here));
    assert_false(is_open(&a));
    assert_true(is_open(&b)); /* on its own station */
}

static void a_second_tap_ends_the_session_unless_it_is_the_same_card_read_twice(void **state)
{
    (void)state;
    static struct login l;
    sign_in(&l, &card, &here);
    MUST(tap(&card, &here));
    assert_true(is_open(&l));
    l.begun.signon.tapped_at -= 10;
    MUST(service_change(&desk.sv, put_signon, &l.begun.signon, &desk_err));
    MUST(tap(&card, &here));
    assert_false(is_open(&l));
    const struct service_signon_rules keeps = {.session_seconds = 60, .keeps_on_second_tap = true};
    desk.sv.signon = &keeps;
    sign_in(&l, &card, &here);
    l.begun.signon.tapped_at -= 10;
    MUST(service_change(&desk.sv, put_signon, &l.begun.signon, &desk_err));
    MUST(tap(&card, &here));
    assert_true(is_open(&l));
    desk.sv.signon = NULL;
}

static void a_session_ends_with_the_badge_the_holder_and_the_station(void **state)
{
    (void)state;
    static struct login l;
    struct store_holder h;
    sign_in(&l, &card, &here);
    MUST(service_suspend(&desk.sv, badge.id, "lost", &desk_err));
    assert_false(is_open(&l));
    assert_string_equal(desk_last_event(&desk), "signoff ok");
    MUST(service_reinstate(&desk.sv, badge.id, &desk_err));
    sign_in(&l, &card, &here);
    MUST(service_holder_state(&desk.sv, badge.holder_ref, STORE_PARTY_ENDED, "holder-leave", &h,
                              &desk_err));
    assert_false(is_open(&l));
    sign_in(&l, &other_card, &here);
    struct store_station t;
    MUST(service_station_state(&desk.sv, here.id, STORE_PARTY_SUSPENDED, "station-suspend", &t,
                               &desk_err));
    assert_false(is_open(&l));
}

static enum b_code tell_party(struct service_change *c, void *ctx, struct b_err *err)
{
    static struct store_told told = {.issuer = "https://op.example",
                                     .url = "https://rp.example/out"};
    const struct login *l = ctx;
    memset(told.party, 'p', sizeof(told.party) - 1); /* the longest name that a client may have */
    enum b_code r = store_signon_join(c->store, l->begun.signon.id, told.party, err);
    return r == B_OK ? store_signon_tell(c->store, l->begun.signon.id, &told, err) : r;
}

static void a_client_s_long_name_keeps_no_session_from_its_end(void **state)
{
    (void)state;
    static struct login l;
    sign_in(&l, &card, &here);
    MUST(service_change(&desk.sv, tell_party, &l, &desk_err));
    MUST(tap(&other_card, &here)); /* the next person */
    assert_false(is_open(&l));
    sign_in(&l, &card, &here);
    MUST(service_change(&desk.sv, tell_party, &l, &desk_err));
    MUST(service_suspend(&desk.sv, badge.id, "lost", &desk_err));
    assert_false(is_open(&l));
}

static void a_client_s_long_name_keeps_nobody_from_tapping(void **state)
{
    (void)state;
    static struct login l;
    l = (struct login){.challenge = {.station = here.id, .text = "yes?"}};
    memset(l.challenge.party, 'p', sizeof(l.challenge.party) - 1);
    memset(l.challenge.ping_url, 'u', sizeof(l.challenge.ping_url) - 1);
    memset(l.challenge.ping_token, 't', sizeof(l.challenge.ping_token) - 1);
    MUST(service_challenge_open(&desk.sv, &l.challenge, NULL, &desk_err));
    MUST(service_challenge_choose(&desk.sv, l.challenge.name, here.id, &desk_err));
    MUST(tap(&card, &here));
}

static void a_session_is_no_longer_than_its_badge_s_days(void **state)
{
    (void)state;
    static struct login l;
    static struct store_signon v;
    int64_t now = service_now();
    MUST(service_validity(&desk.sv, badge.id, 0, now + 600, true, &desk_err));
    sign_in(&l, &card, &here);
    assert_int_equal(l.begun.signon.expires_at, now + 600);
    MUST(service_validity(&desk.sv, badge.id, 0, now + 60, true, &desk_err));
    MUST(store_signon_by_id(desk.sv.store, l.begun.signon.id, &v, &desk_err));
    assert_int_equal(v.expires_at, now + 60);
    MUST(service_validity(&desk.sv, badge.id, 0, now - 1, true, &desk_err));
    assert_false(is_open(&l));
    assert_string_equal(desk_last_event(&desk), "signoff ok");
    MUST(service_validity(&desk.sv, badge.id, 0, 0, false, &desk_err));
    sign_in(&l, &card, &here);
    MUST(service_validity(&desk.sv, badge.id, now + 600, 0, false, &desk_err));
    assert_false(is_open(&l));
}

static void a_badge_whose_days_are_to_come_by_then_gets_no_session(void **state)
{
    (void)state;
    static struct login l;
    begin(&l, &here);
    MUST(tap(&card, &here));
    MUST(service_validity(&desk.sv, badge.id, service_now() + 600, 0, false, &desk_err));
    desk_expect(take(&l), B_E_TAP_UNDONE);
}

static void a_session_ends_when_its_time_is_over_and_is_forgotten_a_day_later(void **state)
{
    (void)state;
    static struct login l;
    static struct store_signon v;
    sign_in(&l, &card, &here);
    l.begun.signon.expires_at = service_now() - 1;
    MUST(service_change(&desk.sv, put_signon, &l.begun.signon, &desk_err));
    assert_false(is_open(&l));
    MUST(service_signon_sweep(&desk.sv, &desk_err));
    MUST(store_signon_by_id(desk.sv.store, l.begun.signon.id, &v, &desk_err));
    assert_string_equal(v.reason, "expired");
    assert_string_equal(v.token, ""); /* nothing is signed for it any more */
    v.expires_at -= 2 * 86400;
    MUST(service_change(&desk.sv, put_signon, &v, &desk_err));
    MUST(service_signon_sweep(&desk.sv, &desk_err));
    desk_expect(store_signon_by_id(desk.sv.store, l.begun.signon.id, &v, &desk_err), B_E_NOT_FOUND);
}

static void who_waits_for_a_tap_is_woken_by_it(void **state)
{
    (void)state;
    static struct login l;
    struct service_ring ring;
    begin(&l, &here);
    service_await(desk.sv.bells, l.challenge.name, 0, 0, &ring);
    uint64_t before = ring.number;
    service_await(desk.sv.bells, l.challenge.name, before, 10, &ring);
    assert_int_equal(ring.number, before);
    MUST(tap(&card, &here));
    service_await(desk.sv.bells, l.challenge.name, before, 60000, &ring);
    assert_true(ring.number > before);
    assert_int_equal(ring.code, B_OK);
    service_await(desk.sv.bells, l.challenge.name, ring.number, 10, &ring);
    service_bells_stop(desk.sv.bells);
    service_await(desk.sv.bells, l.challenge.name, ring.number, 60000, &ring);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(one_tap_on_its_station_answers_a_login_once),
        EACH(a_tap_before_the_login_began_does_not_answer_it),
        EACH(a_tap_on_another_station_answers_nothing),
        EACH(another_relying_party_or_browser_takes_nothing),
        EACH(of_two_logins_on_a_station_none_is_first_until_the_person_chooses),
        EACH(a_choice_does_not_hold_against_a_login_that_came_after_it),
        EACH(of_two_choices_the_later_one_holds),
        EACH(a_tap_before_a_text_was_shown_does_not_confirm_it),
        EACH(a_login_cannot_be_chosen_on_another_station),
        EACH(a_login_for_somebody_is_not_answered_by_another_badge),
        EACH(a_badge_revoked_between_tap_and_login_gets_no_session),
        EACH(a_holder_or_station_suspended_between_tap_and_login_gets_no_session),
        EACH(a_tap_is_worth_nothing_after_30_seconds),
        EACH(a_login_that_was_ended_takes_nothing),
        EACH(a_login_that_wants_a_pin_is_not_answered_without),
        EACH(a_tap_for_a_program_of_the_station_answers_no_login),
        EACH(a_text_to_confirm_is_answered_only_once_it_was_shown),
        EACH(a_login_for_a_person_on_any_station_is_chosen_on_one_first),
        EACH(a_station_has_so_many_logins_and_no_more),
        EACH(the_next_person_s_tap_ends_the_session_of_the_one_before),
        EACH(a_second_tap_ends_the_session_unless_it_is_the_same_card_read_twice),
        EACH(a_session_ends_with_the_badge_the_holder_and_the_station),
        EACH(a_client_s_long_name_keeps_no_session_from_its_end),
        EACH(a_client_s_long_name_keeps_nobody_from_tapping),
        EACH(a_session_is_no_longer_than_its_badge_s_days),
        EACH(a_badge_whose_days_are_to_come_by_then_gets_no_session),
        EACH(a_session_ends_when_its_time_is_over_and_is_forgotten_a_day_later),
        EACH(who_waits_for_a_tap_is_woken_by_it),
    };
    return cmocka_run_group_tests_name("sign-on", tests, desk_make_place, desk_drop_place);
}
