/* The rules of a desk, on a real vault and token, with cards in this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "desk.h"
#include "place.h"
#include "service/json.h"
#include "service/relay.h"
#include "service/verify.h"

static struct desk desk;
static struct desk_card card;
static struct store_badge badge;

/* Each test has an establishment of its own: its number tells the masters in the token apart. */
static int open_desk(void **state)
{
    static unsigned number;
    char name[16];
    (void)state;
    (void)snprintf(name, sizeof(name), "7500%05u", ++number);
    desk_open(&desk, name);
    desk_card_new(&card, DF_EV2, 0x66);
    badge = (struct store_badge){0};
    return 0;
}

static int close_desk(void **state)
{
    (void)state;
    desk_close(&desk);
    return 0;
}

/* --- the main job ------------------------------------------------------------------------------
 */

static void a_blank_card_of_each_kind_is_enrolled_and_tapped(void **state)
{
    (void)state;
    static const enum df_ev kinds[] = {DF_EV1, DF_EV2, DF_EV3};
    for (size_t i = 0; i < B_COUNT(kinds); i++) {
        struct store_badge tapped;
        desk_card_new(&card, kinds[i], (uint8_t)i);
        MUST(desk_enrol(&desk, &card, &badge));
        assert_int_equal(badge.state, STORE_BADGE_ACTIVE);
        assert_int_equal(badge.ev, kinds[i]);
        assert_string_equal(desk_last_event(&desk), "enrol ok");
        MUST(desk_tap(&desk, &card, &tapped));
        assert_int_equal(tapped.id, badge.id);
        assert_string_equal(tapped.holder_name, "Anne Martin");
        assert_true(tapped.tapped_at > 0);
        assert_string_equal(desk_last_event(&desk), "tap ok");
    }
}

static void an_enrolment_leaves_no_open_intent(void **state)
{
    (void)state;
    struct store_intent open[4];
    size_t n = 9;
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(store_intent_open(desk.sv.store, badge.uid, open, B_COUNT(open), &n, &desk_err));
    assert_int_equal(n, 0);
}

static void a_badge_is_enrolled_for_one_holder(void **state)
{
    (void)state;
    MUST(desk_enrol(&desk, &card, &badge));
    desk_expect(desk_enrol(&desk, &card, &badge), B_E_DUPLICATE);
    assert_non_null(strstr(desk_err.msg, "Anne Martin"));
}

static void a_blanked_card_is_blank_and_can_be_enrolled_again(void **state)
{
    (void)state;
    struct service_verified found;
    MUST(desk_enrol(&desk, &card, &badge));
    assert_false(desk_card_is_blank(&card));
    MUST(desk_blank(&desk, &card, &badge));
    assert_int_equal(badge.state, STORE_BADGE_BLANKED);
    assert_true(desk_card_is_blank(&card));
    assert_int_not_equal(desk_tap(&desk, &card, &badge), B_OK);
    desk_expect(desk_repair(&desk, &card, &badge), B_E_BADGE_UNKNOWN);
    assert_true(desk_card_is_blank(&card));
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(desk_tap(&desk, &card, &badge));
    MUST(desk_blank(&desk, &card, &badge));
    MUST(desk_enrol(&desk, &card, &badge));
    assert_int_equal(badge.tapped_at, 0);
    MUST(service_verify(desk.sv.store, &(struct service_verify){.finess = "750000001"}, &found,
                        &desk_err));
    assert_string_equal(badge.reason, "");
    MUST(desk_tap(&desk, &card, &badge));
}

static void the_card_of_a_revoked_badge_is_not_enrolled_again(void **state)
{
    (void)state;
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(service_revoke(&desk.sv, badge.id, "lost", &desk_err));
    desk_expect(desk_enrol(&desk, &card, &badge), B_E_BADGE_REVOKED);
    MUST(desk_blank(&desk, &card, &badge));
    desk_expect(desk_enrol(&desk, &card, &badge), B_E_BADGE_REVOKED);
    assert_true(desk_card_is_blank(&card));
}

/* --- states ------------------------------------------------------------------------------------
 */

static void a_person_who_is_stopped_is_refused_at_the_desk_too(void **state)
{
    (void)state;
    struct store_holder h;
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(desk_tap(&desk, &card, &badge));
    MUST(service_holder_state(&desk.sv, badge.holder_ref, STORE_PARTY_SUSPENDED, "holder-suspend",
                              &h, &desk_err));
    desk_expect(desk_tap(&desk, &card, &badge), B_E_HOLDER_SUSPENDED);
    MUST(service_holder_state(&desk.sv, badge.holder_ref, STORE_PARTY_ACTIVE, "holder-reinstate",
                              &h, &desk_err));
    MUST(desk_tap(&desk, &card, &badge));
    MUST(service_holder_state(&desk.sv, badge.holder_ref, STORE_PARTY_ENDED, "holder-leave", &h,
                              &desk_err));
    desk_expect(desk_tap(&desk, &card, &badge), B_E_HOLDER_LEFT);
}

static void a_suspended_badge_is_refused_until_reinstated(void **state)
{
    (void)state;
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(service_suspend(&desk.sv, badge.id, "on leave", &desk_err));
    desk_expect(desk_tap(&desk, &card, &badge), B_E_BADGE_SUSPENDED);
    assert_int_equal(b_code_exit(B_E_BADGE_SUSPENDED), 3);
    assert_non_null(strstr(desk_err.msg, "on leave"));
    assert_string_equal(desk_last_event(&desk), "tap badge-suspended");
    MUST(service_reinstate(&desk.sv, badge.id, &desk_err));
    MUST(desk_tap(&desk, &card, &badge));
}

static void a_revoked_badge_is_refused_for_good(void **state)
{
    (void)state;
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(service_revoke(&desk.sv, badge.id, "lost", &desk_err));
    desk_expect(desk_tap(&desk, &card, &badge), B_E_BADGE_REVOKED);
    assert_int_equal(b_code_exit(B_E_BADGE_REVOKED), 3);
    assert_string_equal(desk_last_event(&desk), "tap badge-revoked");
    desk_expect(service_reinstate(&desk.sv, badge.id, &desk_err), B_E_BADGE_STATE);
    desk_expect(service_suspend(&desk.sv, badge.id, "", &desk_err), B_E_BADGE_STATE);
    desk_expect(service_revoke(&desk.sv, badge.id, "", &desk_err), B_E_BADGE_STATE);
    desk_expect(desk_repair(&desk, &card, &badge), B_E_BADGE_REVOKED);
    desk_expect(service_revoke(&desk.sv, 999, "", &desk_err), B_E_NOT_FOUND);
}

/* Longer than there is room for, cut within a character, with what moves a terminal's cursor. */
static void a_reason_stays_text_whatever_it_is(void **state)
{
    (void)state;
    char reason[STORE_TEXT_MAX + 1] = "\x1b[2J";
    MUST(desk_enrol(&desk, &card, &badge));
    memset(reason + strlen(reason), 'a', STORE_TEXT_MAX - 2 - strlen(reason));
    memcpy(reason + STORE_TEXT_MAX - 2, "\xc3\xa9", 2);
    MUST(service_revoke(&desk.sv, badge.id, reason, &desk_err));
    MUST(store_badge_by_id(desk.sv.store, badge.id, &badge, &desk_err));
    assert_true(b_text_is_lines(badge.reason));
    json_t *told[] = {service_personal(&badge), service_json_badge(&badge)};
    for (size_t i = 0; i < B_COUNT(told); i++) { /* of the journal, and of a list */
        assert_non_null(told[i]);
        json_decref(told[i]);
    }
}

static void a_badge_with_our_keys_that_the_store_lost_is_unknown(void **state)
{
    (void)state;
    MUST(desk_enrol(&desk, &card, &badge));
    badge.uid[6] ^= 0xFF;
    MUST(store_badge_put(desk.sv.store, &badge, &desk_err));
    desk_expect(desk_tap(&desk, &card, &badge), B_E_BADGE_UNKNOWN);
    assert_string_equal(desk_last_event(&desk), "tap badge-unknown");
}

/* --- cards that are not ours --------------------------------------------------------------------
 */

static void a_blank_card_does_not_pass(void **state)
{
    (void)state;
    enum b_code r = desk_tap(&desk, &card, &badge);
    assert_int_not_equal(r, B_OK);
    assert_true(b_code_exit(r) == 3 || b_code_exit(r) == 5);
    assert_int_equal(badge.id, 0);
}

static void a_card_of_another_establishment_is_left_as_it_is(void **state)
{
    (void)state;
    static struct desk other;
    static struct df_picc before;
    desk_open(&other, "999999999");
    MUST(desk_enrol(&other, &card, &badge));
    before = card.picc;
    desk_expect(desk_tap(&desk, &card, &badge), B_E_CARD_AUTH);
    assert_int_equal(badge.id, 0);
    assert_string_equal(desk_last_event(&desk), "tap card-auth");
    enum b_code r = desk_enrol(&desk, &card, &badge);
    assert_int_equal(b_code_exit(r), 5);
    assert_memory_equal(&before.mem, &card.picc.mem, sizeof(before.mem));
    MUST(desk_tap(&other, &card, &badge));
    desk_close(&other);
}

static bool answer_6d00(void *ctx, struct b_rd capdu, struct b_wr *rapdu)
{
    (void)ctx;
    (void)capdu;
    b_wr_be16(rapdu, 0x6D00);
    return true;
}

static void another_kind_of_card_is_no_desfire(void **state)
{
    (void)state;
    static const struct channel_card_ops ops = {.apdu = answer_6d00};
    struct service_holder holder = {.ref = "1", .name = "A"};
    struct profile_tap tap;
    struct service_legs legs;
    struct channel *ch = NULL;
    MUST(channel_card_new(&ops, NULL, &card.seen, &ch));
    desk_expect(service_enrol(&desk.sv, ch, holder, NULL, &badge, &desk_err), B_E_NOT_DESFIRE);
    desk_expect(service_tap(&desk.sv, ch, &badge, &tap, &legs, &desk_err), B_E_NOT_DESFIRE);
    channel_free(&ch);
}

static void a_card_without_room_says_so(void **state)
{
    (void)state;
    desk.sv.profile.files[0].settings.size = 8192;
    desk.sv.profile.files[0].content = PROFILE_CONTENT_NONE;
    MUST(profile_check(&desk.sv.profile, &desk_err));
    desk_expect(desk_enrol(&desk, &card, &badge), B_E_CARD_FULL);
    desk.sv.profile.files[0].settings.size = 32;
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(desk_tap(&desk, &card, &badge));
}

/* --- generations -------------------------------------------------------------------------------
 */

static void a_rotated_key_follows_at_repair_and_serves_until_then(void **state)
{
    (void)state;
    struct store_generation g;
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(service_rotate(&desk.sv, KEY_ROLE_AUTH, &g, &desk_err));
    assert_int_equal(g.generation, 2);
    assert_int_equal(g.state, STORE_GENERATION_ACTIVE);
    MUST(desk_tap(&desk, &card, &badge));
    assert_int_equal(badge.generation[KEY_ROLE_AUTH], 1);
    MUST(desk_repair(&desk, &card, &badge));
    assert_int_equal(badge.generation[KEY_ROLE_AUTH], 2);
    MUST(desk_tap(&desk, &card, &badge));
    assert_int_equal(badge.generation[KEY_ROLE_AUTH], 2);
}

static void a_badge_on_a_retired_generation_is_refused(void **state)
{
    (void)state;
    struct store_generation g = {
        .role = KEY_ROLE_AUTH, .generation = 1, .state = STORE_GENERATION_COMPROMISED};
    struct store_generation newer;
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(service_rotate(&desk.sv, KEY_ROLE_AUTH, &newer, &desk_err));
    MUST(store_generation_put(desk.sv.store, &g, &desk_err));
    enum b_code r = desk_tap(&desk, &card, &badge);
    assert_true(r == B_E_GENERATION_RETIRED || r == B_E_CARD_AUTH);
    MUST(desk_repair(&desk, &card, &badge));
    MUST(desk_tap(&desk, &card, &badge));
}

/* --- faults ------------------------------------------------------------------------------------
 */

static bool refuse(void *ctx, const struct profile_state *st, const struct profile_plan *plan)
{
    (void)st;
    *(unsigned *)ctx = plan->step_count;
    return false;
}

static void a_plan_that_is_not_approved_changes_nothing(void **state)
{
    (void)state;
    unsigned steps = 0;
    struct service_watch watch = {.approve = refuse, .ctx = &steps};
    struct service_holder holder = {.ref = "1", .name = "A"};
    struct channel *ch = desk_channel(&card, (struct channel_fault){0});
    desk_expect(service_enrol(&desk.sv, ch, holder, &watch, &badge, &desk_err), B_E_CANCELLED);
    channel_free(&ch);
    assert_true(steps > 0);
    assert_true(desk_card_is_blank(&card));
    desk_expect(store_badge_by_uid(desk.sv.store, card.seen.uid, &badge, &desk_err), B_E_NOT_FOUND);
}

static void nobody_is_asked_to_approve_what_is_not_allowed(void **state)
{
    (void)state;
    unsigned steps = 0;
    struct service_watch watch = {.approve = refuse, .ctx = &steps};
    struct service_holder holder = {.ref = "another", .name = "Another"};
    MUST(desk_enrol(&desk, &card, &badge));
    struct channel *ch = desk_channel(&card, (struct channel_fault){0});
    desk_expect(service_enrol(&desk.sv, ch, holder, &watch, &badge, &desk_err), B_E_DUPLICATE);
    MUST(store_badge_by_uid(desk.sv.store, card.seen.uid, &badge, &desk_err));
    MUST(service_revoke(&desk.sv, badge.id, "lost", &desk_err));
    desk_expect(service_enrol(&desk.sv, ch, holder, &watch, &badge, &desk_err), B_E_BADGE_REVOKED);
    channel_free(&ch);
    assert_int_equal(steps, 0);
}

static bool lock_the_store(void *ctx, const struct profile_state *st,
                           const struct profile_plan *plan)
{
    (void)st;
    (void)plan;
    MUST(store_begin(ctx, &desk_err));
    return true;
}

/* Somebody at another desk decides while the card's keys are being changed. */
static void revoke_meanwhile(void *ctx, const struct profile_plan *plan, size_t step, bool is_done)
{
    (void)plan;
    if (step == 0 && !is_done)
        MUST(service_revoke(&desk.sv, *(int64_t *)ctx, "lost", &desk_err));
}

static void a_revocation_during_a_repair_stands(void **state)
{
    (void)state;
    struct store_generation g;
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(service_rotate(&desk.sv, KEY_ROLE_AUTH, &g, &desk_err));
    const struct service_watch watch = {.progress = revoke_meanwhile, .ctx = &badge.id};
    struct channel *ch = desk_channel(&card, (struct channel_fault){0});
    MUST(service_repair(&desk.sv, ch, &watch, &badge, &desk_err));
    channel_free(&ch);
    MUST(store_badge_by_id(desk.sv.store, badge.id, &badge, &desk_err));
    assert_int_equal(badge.state, STORE_BADGE_REVOKED);
    assert_int_equal(badge.generation[KEY_ROLE_AUTH], g.generation);
    desk_expect(desk_tap(&desk, &card, &badge), B_E_BADGE_REVOKED);
}

static void a_blank_card_with_the_uid_of_a_badge_is_not_made_one(void **state)
{
    (void)state;
    static struct desk_card made_up;
    MUST(desk_enrol(&desk, &card, &badge));
    desk_card_new(&made_up, DF_EV2, 0x66);
    assert_memory_equal(made_up.seen.uid, card.seen.uid, 7);
    desk_expect(desk_repair(&desk, &made_up, &badge), B_E_BADGE_MADE_UP);
    assert_true(desk_card_is_blank(&made_up));
    MUST(desk_tap(&desk, &card, &badge));
    MUST(desk_blank(&desk, &made_up, &badge)); /* the way back for a card that is blank indeed */
    MUST(desk_enrol(&desk, &made_up, &badge));
}

static void what_cannot_be_journalled_is_not_sent(void **state)
{
    (void)state;
    struct store *other = NULL;
    MUST(store_open(desk.db, false, &other, &desk_err));
    struct service_watch watch = {.approve = lock_the_store, .ctx = other};
    struct service_holder holder = {.ref = "1", .name = "A"};
    struct channel *ch = desk_channel(&card, (struct channel_fault){0});
    desk_expect(service_enrol(&desk.sv, ch, holder, &watch, &badge, &desk_err), B_E_STORE_LOCKED);
    channel_free(&ch);
    assert_true(desk_card_is_blank(&card));
    store_rollback(other);
    store_free(&other);
    MUST(desk_enrol(&desk, &card, &badge));
}

static void a_vault_that_ends_is_told_and_loses_no_badge(void **state)
{
    (void)state;
    MUST(desk_enrol(&desk, &card, &badge));
    assert_int_equal(kill(vault_pid(desk.sv.vault), SIGKILL), 0);
    desk_expect(desk_tap(&desk, &card, &badge), B_E_VAULT_GONE);
    assert_string_equal(desk_last_event(&desk), "tap vault-gone");
    struct vault_config config = place_config();
    config.establishment = desk.sv.establishment.finess;
    vault_free(&desk.sv.vault);
    desk.sv.vault = place_spawn(&config);
    MUST(desk_tap(&desk, &card, &badge));
}

static void a_master_that_the_token_lacks_is_named(void **state)
{
    (void)state;
    struct store_generation g = {
        .role = KEY_ROLE_APP, .generation = 1, .state = STORE_GENERATION_RETIRED};
    MUST(store_generation_put(desk.sv.store, &g, &desk_err));
    desk_expect(desk_enrol(&desk, &card, &badge), B_E_KEY_MISSING);
    assert_non_null(strstr(desk_err.msg, "app"));
    g.generation = 9;
    g.state = STORE_GENERATION_ACTIVE;
    MUST(store_generation_put(desk.sv.store, &g, &desk_err));
    desk_expect(desk_enrol(&desk, &card, &badge), B_E_KEY_MISSING);
    assert_non_null(strstr(desk_err.msg, "app, generation 9"));
    assert_true(desk_card_is_blank(&card));
}

static void with_token(const char *uri, const char *pin_file, enum b_code expected)
{
    struct vault_config config = place_config();
    config.establishment = desk.sv.establishment.finess;
    config.token_uri = uri;
    config.pin_file = pin_file;
    vault_free(&desk.sv.vault);
    desk.sv.vault = place_spawn(&config);
    desk_expect(desk_enrol(&desk, &card, &badge), expected);
}

static void a_token_that_is_not_there_or_refuses_is_told(void **state)
{
    (void)state;
    char wrong[160];
    (void)snprintf(wrong, sizeof(wrong), "%s/wrong-pin", place_dir);
    FILE *f = fopen(wrong, "we");
    assert_non_null(f);
    assert_true(fputs("not the PIN\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(wrong, 0600), 0);
    with_token(place_uri, wrong, B_E_TOKEN_PIN_WRONG);
    with_token(place_uri, "/nonexistent/pin", B_E_TOKEN_PIN_SOURCE);
    const char *module = strstr(place_uri, "?");
    char uri[1200];
    (void)snprintf(uri, sizeof(uri), "pkcs11:token=Nobody%s", module != NULL ? module : "");
    with_token(uri, place_pin, B_E_TOKEN_ABSENT);
    assert_true(desk_card_is_blank(&card));
    with_token(place_uri, place_pin, B_OK);
}

#define AT_DESK(f) cmocka_unit_test_setup_teardown(f, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_DESK(a_blank_card_of_each_kind_is_enrolled_and_tapped),
        AT_DESK(an_enrolment_leaves_no_open_intent),
        AT_DESK(a_badge_is_enrolled_for_one_holder),
        AT_DESK(a_blanked_card_is_blank_and_can_be_enrolled_again),
        AT_DESK(the_card_of_a_revoked_badge_is_not_enrolled_again),
        AT_DESK(a_person_who_is_stopped_is_refused_at_the_desk_too),
        AT_DESK(a_suspended_badge_is_refused_until_reinstated),
        AT_DESK(a_revoked_badge_is_refused_for_good),
        AT_DESK(a_reason_stays_text_whatever_it_is),
        AT_DESK(a_badge_with_our_keys_that_the_store_lost_is_unknown),
        AT_DESK(a_blank_card_does_not_pass),
        AT_DESK(a_card_of_another_establishment_is_left_as_it_is),
        AT_DESK(another_kind_of_card_is_no_desfire),
        AT_DESK(a_card_without_room_says_so),
        AT_DESK(a_rotated_key_follows_at_repair_and_serves_until_then),
        AT_DESK(a_badge_on_a_retired_generation_is_refused),
        AT_DESK(a_plan_that_is_not_approved_changes_nothing),
        AT_DESK(nobody_is_asked_to_approve_what_is_not_allowed),
        AT_DESK(a_revocation_during_a_repair_stands),
        AT_DESK(a_blank_card_with_the_uid_of_a_badge_is_not_made_one),
        AT_DESK(what_cannot_be_journalled_is_not_sent),
        AT_DESK(a_vault_that_ends_is_told_and_loses_no_badge),
        AT_DESK(a_master_that_the_token_lacks_is_named),
        AT_DESK(a_token_that_is_not_there_or_refuses_is_told),
    };
    return cmocka_run_group_tests_name("service", tests, desk_make_place, desk_drop_place);
}
