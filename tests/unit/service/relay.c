/* The desk over a relay: the same card, the same engine, and messages that are lost, repeated, or
 * sent by somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "desk.h"
#include "service/desk.h"
#include "service/fleet.h"
#include "service/json.h"

enum { OLGA = 7, PAUL = 8, WARD = 3, LAB = 4, WAIT_MS = 5000 };
static const struct service_desk_caller olga = {.person = OLGA}, paul = {.person = PAUL},
                                        ward = {.station = WARD}, lab = {.station = LAB};

static struct desk desk;
static struct desk_card card;
static struct store_badge badge;
static struct service_desk *relay;
static struct service_desk_event event;
static char name[SERVICE_DESK_NAME];

/* How the messages of a card go wrong; at 0: they do not. */
struct trouble {
    unsigned at;       /* the card leaves at this message, from 1 ... */
    bool after_effect; /* ... when it has done what the message says */
    bool repeats;      /* every message is sent twice, as if its answer had been lost */
};
static unsigned messages, frames;

static enum b_code look(struct service_desk_caller who, uint32_t after)
{
    return service_desk_look(relay, who, name, after, WAIT_MS, &event, &desk_err);
}

static enum b_code order(enum service_what what, struct service_desk_caller where)
{
    struct service_order o = {.what = what, .ref = "10001234567", .name = "Anne Martin"};
    const struct channel_card *on_reader = where.station == 0 ? &card.seen : NULL;
    return service_desk_open(relay, &desk.sv, OLGA, &o, where.station, on_reader, name, &desk_err);
}

/* The reader's side of one message. */
static enum b_code bring(struct service_desk_caller who, struct channel *ch, struct trouble t)
{
    static struct service_desk_answers answers;
    bool leaves = ++messages == t.at;
    bool goes_on = !leaves || t.after_effect;
    uint32_t step = event.step;
    struct b_err torn;
    answers.count = 0;
    if (event.frames.resets)
        goes_on = channel_reset(ch, &torn) == B_OK && goes_on;
    for (uint8_t i = 0; goes_on && i < event.frames.count; i++) {
        struct b_wr w = b_wr_from(answers.bytes[i], sizeof(answers.bytes[i]));
        MUST(
            channel_transmit(ch, b_rd_from(event.frames.bytes[i], event.frames.len[i]), &w, &torn));
        answers.len[i] = (uint16_t)w.len;
        answers.count++;
        frames++;
        goes_on = w.p[w.len - 2] == 0x91 && w.p[w.len - 1] == 0xAF;
    }
    answers.is_gone = leaves;
    MUST(service_desk_answer(relay, who, name, step, &answers, &desk_err));
    if (t.repeats)
        MUST(service_desk_answer(relay, who, name, step, &answers, &desk_err));
    return look(who, step);
}

/* Carries the order out, until it is done or has failed. */
static enum b_code carry_out(struct service_desk_caller who, struct trouble t)
{
    struct channel *ch = desk_channel(&card, (struct channel_fault){0});
    messages = frames = 0;
    enum b_code r = look(who, 0);
    while (r == B_OK && event.state != SERVICE_DESK_DONE) {
        if (event.state == SERVICE_DESK_FRAMES_OUT) {
            r = bring(who, ch, t);
        } else if (event.state == SERVICE_DESK_PLAN) {
            uint32_t step = event.step;
            MUST(service_desk_approve(relay, olga, name, event.done.plan.digest, &desk_err));
            r = look(who, step);
        } else {
            r = look(who, event.step);
        }
    }
    channel_free(&ch);
    return r;
}

static int open_relay(void **state)
{
    int r = desk_make_place(state);
    desk_open(&desk, "750000001");
    relay = service_desk_new(desk.db);
    return r;
}

static int close_relay(void **state)
{
    service_desk_free(&relay);
    desk_close(&desk);
    return desk_drop_place(state);
}

/* --- the work ----------------------------------------------------------------------------------
 */

static void a_badge_enrolled_over_the_relay_taps(void **state)
{
    (void)state;
    desk_card_new(&card, DF_EV2, 0x80);
    MUST(order(SERVICE_ENROL, olga));
    MUST(carry_out(olga, (struct trouble){.repeats = false}));
    assert_int_equal(event.done.badge.state, STORE_BADGE_ACTIVE);
    assert_true(frames > messages); /* what needs no answer in between goes in one message */
    MUST(desk_tap(&desk, &card, &badge));
    print_message("# %u frames in %u messages\n", frames, messages);
}

static void a_message_that_is_repeated_changes_nothing(void **state)
{
    (void)state;
    desk_card_new(&card, DF_EV2, 0x81);
    MUST(order(SERVICE_ENROL, olga));
    MUST(carry_out(olga, (struct trouble){.repeats = true}));
    MUST(desk_tap(&desk, &card, &badge));
}

static bool tear_and_mend(struct trouble t)
{
    desk_card_new(&card, DF_EV2, (uint8_t)(2 * t.at + t.after_effect));
    MUST(order(SERVICE_ENROL, olga));
    enum b_code r = carry_out(olga, t);
    if (r == B_OK)
        return false;
    desk_expect(r, B_E_CARD_REMOVED);
    bool is_known = store_badge_by_uid(desk.sv.store, card.seen.uid, &badge, &desk_err) == B_OK;
    MUST(order(is_known ? SERVICE_REPAIR : SERVICE_ENROL, olga));
    MUST(carry_out(olga, (struct trouble){.at = 0}));
    MUST(desk_tap(&desk, &card, &badge));
    assert_int_equal(badge.state, STORE_BADGE_ACTIVE);
    return true;
}

static void an_enrolment_that_ends_at_any_message_is_mended(void **state)
{
    (void)state;
    unsigned tears = 0;
    for (int after = 0; after < 2; after++) {
        struct trouble t = {.after_effect = after == 1};
        do
            t.at++;
        while (tear_and_mend(t));
        assert_true(t.at > 20);
        tears += t.at - 1;
    }
    print_message("# %u tears, all mended\n", tears);
}

/* --- others ------------------------------------------------------------------------------------
 */

static void expect_none(enum b_code r)
{
    desk_expect(r, B_E_NOT_FOUND);
}

static void nobody_else_sees_or_moves_an_order(void **state)
{
    (void)state;
    static const struct service_desk_answers nothing = {.is_gone = true};
    const uint8_t digest[32] = {0};
    desk_card_new(&card, DF_EV2, 0x90);
    MUST(order(SERVICE_ENROL, olga));
    MUST(look(olga, 0));
    const struct service_desk_caller strangers[] = {paul, ward, lab};
    for (size_t i = 0; i < B_COUNT(strangers); i++) {
        expect_none(look(strangers[i], 0));
        expect_none(service_desk_answer(relay, strangers[i], name, 1, &nothing, &desk_err));
        expect_none(service_desk_approve(relay, strangers[i], name, digest, &desk_err));
        expect_none(service_desk_cancel(relay, strangers[i], name, &desk_err));
    }
    MUST(service_desk_cancel(relay, olga, name, &desk_err));
    desk_expect(look(olga, event.step), B_E_CARD_REMOVED);
    assert_true(desk_card_is_blank(&card));
}

static void at_a_station_the_card_is_its_and_the_plan_is_of_who_ordered(void **state)
{
    (void)state;
    static const struct service_desk_answers nothing = {.is_gone = true};
    char found[SERVICE_DESK_NAME];
    desk_card_new(&card, DF_EV2, 0x91);
    expect_none(service_desk_waiting(relay, WARD, found, &desk_err));
    MUST(order(SERVICE_ENROL, ward));
    desk_expect(order(SERVICE_ENROL, ward), B_E_ORDER_WAITS);
    expect_none(service_desk_waiting(relay, LAB, found, &desk_err));
    MUST(service_desk_waiting(relay, WARD, found, &desk_err));
    memcpy(name, found, sizeof(name));
    expect_none(service_desk_present(relay, lab, name, &card.seen, &desk_err));
    expect_none(service_desk_present(relay, olga, name, &card.seen, &desk_err));
    MUST(service_desk_present(relay, ward, name, &card.seen, &desk_err));
    MUST(service_desk_present(relay, ward, name, &card.seen, &desk_err)); /* repeated */
    MUST(look(ward, 0));
    expect_none(service_desk_answer(relay, olga, name, event.step, &nothing, &desk_err));
    expect_none(service_desk_approve(relay, ward, name, event.done.plan.digest, &desk_err));
    MUST(carry_out(ward, (struct trouble){.at = 0}));
    MUST(desk_tap(&desk, &card, &badge));
}

static void only_the_plan_that_was_shown_can_be_approved(void **state)
{
    (void)state;
    struct channel *ch;
    uint8_t digest[32];
    desk_card_new(&card, DF_EV2, 0x92);
    MUST(order(SERVICE_ENROL, olga));
    ch = desk_channel(&card, (struct channel_fault){0});
    MUST(look(olga, 0));
    memset(digest, 0, sizeof(digest)); /* what the plan's place holds before there is one */
    desk_expect(service_desk_approve(relay, olga, name, digest, &desk_err), B_E_BAD_INPUT);
    while (event.state != SERVICE_DESK_PLAN)
        MUST(bring(olga, ch, (struct trouble){.at = 0}));
    memcpy(digest, event.done.plan.digest, sizeof(digest));
    digest[31] ^= 1;
    desk_expect(service_desk_approve(relay, olga, name, digest, &desk_err), B_E_BAD_INPUT);
    MUST(service_desk_cancel(relay, olga, name, &desk_err));
    desk_expect(look(olga, event.step), B_E_CANCELLED);
    channel_free(&ch);
    assert_true(desk_card_is_blank(&card));
}

static void a_step_that_was_not_reached_and_too_many_orders_are_refused(void **state)
{
    (void)state;
    static const struct service_desk_answers nothing = {.is_gone = true};
    char names[SERVICE_DESK_ORDERS_OF_PERSON][SERVICE_DESK_NAME];
    desk_card_new(&card, DF_EV2, 0x93);
    for (size_t i = 0; i < B_COUNT(names); i++) {
        MUST(order(SERVICE_SCAN, olga));
        memcpy(names[i], name, sizeof(name));
    }
    desk_expect(order(SERVICE_SCAN, olga), B_E_VAULT_BUSY);
    MUST(look(olga, 0));
    desk_expect(service_desk_answer(relay, olga, name, event.step + 1, &nothing, &desk_err),
                B_E_BAD_INPUT);
    for (size_t i = 0; i < B_COUNT(names); i++)
        MUST(service_desk_cancel(relay, olga, names[i], &desk_err));
    while (look(olga, 1) == B_OK) /* the last is over: there is room again */
        ;
}

/* --- badges of others --------------------------------------------------------------------------
 */

static const struct df_key old_key = {.type = DF_KEY_AES, .bytes = {9, 8, 7}};

/* A list names it; its own key, which all such badges share, is what it tells its UID to. */
static void make_hidden(uint8_t last)
{
    struct picc_memory *m = &card.picc.mem;
    desk_card_new(&card, DF_EV2, last);
    m->config |= 0x02;
    m->key_type = old_key.type;
    memcpy(m->master.bytes, old_key.bytes, sizeof(m->master.bytes));
    card.seen = (struct channel_card){.uid_len = 4, .uid = {8, 1, 2, 3}};
}

static enum b_code take_over_at(struct service_desk_caller where)
{
    const struct service_order o = {.what = SERVICE_TAKEOVER, .station_id = where.station};
    event.step = 0;
    return service_desk_open(relay, &desk.sv, 0, &o, where.station, &card.seen, name, &desk_err);
}

static void a_badge_that_hides_its_uid_is_taken_over_on_one_reader(void **state)
{
    (void)state;
    static const uint8_t uid[7] = {4, 0x11, 0x22, 0x33, 0x44, 0x55, 0x96};
    static const char text[] = "uid,ref,name\n04112233445596,10007,Gil Vert\n";
    static const struct service_desk_answers gone = {.is_gone = true};
    static struct profile_fleet no_layout;
    static struct desk_card mine;
    const struct service_others others = {.given = &old_key, .given_count = 1, .fleet = &no_layout};
    const struct service_fleet_list list = {.name = "l", .text = text, .n = sizeof(text) - 1};
    struct store_fleet_import done;
    char first[SERVICE_DESK_NAME];
    MUST(service_fleet_import(&desk.sv, &list, &done, &desk_err));
    MUST(service_desk_others(relay, &others, &desk_err));
    make_hidden(0x96);
    mine = card;
    MUST(take_over_at(ward));
    memcpy(first, name, sizeof(first));
    struct channel *ch = desk_channel(&mine, (struct channel_fault){0});
    MUST(look(ward, 0));
    while (store_badge_by_uid(desk.sv.store, uid, &badge, &desk_err) != B_OK)
        MUST(bring(ward, ch, (struct trouble){.at = 0}));
    MUST(take_over_at(lab)); /* a copy: that it is one is known when it tells its UID */
    desk_expect(carry_out(lab, (struct trouble){.at = 0}), B_E_VAULT_BUSY);
    channel_free(&ch);
    memcpy(name, first, sizeof(name));
    MUST(look(ward, 0));
    MUST(service_desk_answer(relay, ward, name, event.step, &gone, &desk_err));
    desk_expect(look(ward, event.step), B_E_CARD_REMOVED);
    card = mine; /* at its next tap */
    MUST(take_over_at(lab));
    MUST(carry_out(lab, (struct trouble){.at = 0}));
    assert_string_equal(event.done.badge.holder_ref, "10007");
    MUST(desk_tap(&desk, &card, &badge));
    MUST(take_over_at(ward));
    desk_expect(carry_out(ward, (struct trouble){.at = 0}), B_E_NOT_FOUND);
}

/* In place of the desk that was open. */
static int open_with_serial(void **state)
{
    (void)state;
    service_desk_free(&relay);
    desk_close(&desk);
    desk_open_storing(&desk, "750000004", "", "serial");
    relay = service_desk_new(desk.db);
    return relay == NULL;
}

/* --- as JSON -----------------------------------------------------------------------------------
 */

static void expect_same(json_t *a, json_t *b)
{
    assert_non_null(a);
    if (!json_equal(a, b))
        fail_msg("%s\n%s", json_dumps(a, 0), json_dumps(b, 0));
    json_decref(a);
    json_decref(b);
}

static void what_a_server_tells_is_read_back_the_same(void **state)
{
    (void)state;
    static struct profile_state s;
    static struct profile_plan plan;
    static struct profile profile;
    for (int is_enrolled = 0; is_enrolled < 2; is_enrolled++) {
        desk_card_new(&card, DF_EV3, (uint8_t)(0xA0 + is_enrolled));
        if (is_enrolled == 1)
            MUST(desk_enrol(&desk, &card, &badge));
        MUST(order(SERVICE_SCAN, olga));
        MUST(carry_out(olga, (struct trouble){.at = 0}));
        json_t *o = service_json_state(&desk.sv.profile, &event.done.state);
        assert_true(service_json_state_read(o, &s, &profile));
        expect_same(o, service_json_state(&profile, &s));
        o = service_json_plan(&event.done.plan);
        assert_true(service_json_plan_read(o, &plan));
        assert_int_equal(service_is_conform(&plan), is_enrolled);
        expect_same(o, service_json_plan(&plan));
    }
    json_t *o = service_json_badge(&badge);
    struct store_badge read;
    assert_true(service_json_badge_read(o, &read));
    assert_string_equal(read.holder_ref, "10001234567");
    read.profile_revision = badge.profile_revision;
    expect_same(o, service_json_badge(&read));
    o = json_pack("{s:s}", "digest", "00");
    assert_false(service_json_plan_read(o, &plan));
    assert_false(service_json_state_read(o, &s, &profile));
    assert_false(service_json_badge_read(o, &read));
    json_decref(o);
}

static void stopping_ends_what_is_under_way(void **state)
{
    (void)state;
    desk_card_new(&card, DF_EV2, 0x94);
    MUST(order(SERVICE_ENROL, olga));
    MUST(look(olga, 0));
    service_desk_stop(relay);
    while (look(olga, event.step) == B_OK)
        ;
    desk_expect(desk_err.code, B_E_CARD_REMOVED);
    desk_expect(order(SERVICE_ENROL, olga), B_E_VAULT_BUSY);
    assert_true(desk_card_is_blank(&card));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_badge_enrolled_over_the_relay_taps),
        cmocka_unit_test(a_message_that_is_repeated_changes_nothing),
        cmocka_unit_test(an_enrolment_that_ends_at_any_message_is_mended),
        cmocka_unit_test(nobody_else_sees_or_moves_an_order),
        cmocka_unit_test(at_a_station_the_card_is_its_and_the_plan_is_of_who_ordered),
        cmocka_unit_test(only_the_plan_that_was_shown_can_be_approved),
        cmocka_unit_test(a_step_that_was_not_reached_and_too_many_orders_are_refused),
        cmocka_unit_test(what_a_server_tells_is_read_back_the_same),
        cmocka_unit_test(stopping_ends_what_is_under_way),
        cmocka_unit_test_setup(a_badge_that_hides_its_uid_is_taken_over_on_one_reader,
                               open_with_serial),
    };
    return cmocka_run_group_tests_name("the desk over a relay", tests, open_relay, close_relay);
}
