/* The desk with a card that leaves at every point of an enrolment, and of a takeover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desk.h"
#include "service/fleet.h"

static struct desk desk;
static struct desk_card card;
static struct store_badge badge;

/* --- what is written before it is sent ---------------------------------------------------------
 */

struct sought {
    const struct profile_plan *plan;
    size_t step;
    bool is_there;
};

static bool seek(void *ctx, const struct store_intent *i)
{
    struct sought *k = ctx;
    const struct profile_step *s = &k->plan->steps[k->step];
    k->is_there |= i->step == k->step && i->aid == s->aid && i->no == s->no &&
                   i->to_generation == s->to_generation && !i->is_effective &&
                   memcmp(i->plan_digest, k->plan->digest, sizeof(i->plan_digest)) == 0;
    return true;
}

/* Told after a step was written down and before it is sent: another connection sees its intent. */
static void must_be_durable(void *ctx, const struct profile_plan *plan, size_t step, bool is_done)
{
    (void)ctx;
    struct sought k = {plan, step, is_done};
    MUST(store_intent_each(desk.sv.store, seek, &k, &desk_err));
    assert_true(k.is_there);
}

static void nothing_is_open(void)
{
    struct store_intent open[1];
    size_t count = 0;
    MUST(store_intent_open(desk.sv.store, card.seen.uid, open, B_COUNT(open), &count, &desk_err));
    assert_int_equal(count, 0);
}

/* One enrolment torn at the n-th APDU, then the card put back. False when n is past the end. */
static bool tear_and_mend(struct channel_fault fault, enum df_ev ev)
{
    struct service_holder holder = {.ref = "10001234567", .name = "Anne Martin"};
    const struct service_watch watch = {.progress = must_be_durable};
    desk_card_new(&card, ev, (uint8_t)(2 * fault.at + fault.after_effect));
    struct channel *ch = desk_channel(&card, fault);
    enum b_code r = service_enrol(&desk.sv, ch, holder, &watch, &badge, &desk_err);
    channel_free(&ch);
    if (r == B_OK) {
        nothing_is_open();
        return false;
    }
    desk_expect(r, B_E_CARD_REMOVED);
    if (store_badge_by_uid(desk.sv.store, card.seen.uid, &badge, &desk_err) == B_OK) {
        assert_int_equal(badge.state, STORE_BADGE_ENROLLING);
        assert_int_not_equal(desk_tap(&desk, &card, &badge), B_OK);
        MUST(desk_repair(&desk, &card, &badge));
    } else {
        MUST(desk_enrol(&desk, &card, &badge));
    }
    assert_int_equal(badge.state, STORE_BADGE_ACTIVE);
    nothing_is_open();
    MUST(desk_tap(&desk, &card, &badge));
    return true;
}

static void tear_everywhere(const char *name, bool has_thread)
{
    unsigned tears = 0;
    desk_open(&desk, name);
    if (has_thread)
        desk_give_thread(&desk);
    for (int after = 0; after < 2; after++) {
        struct channel_fault fault = {.after_effect = after == 1};
        do
            fault.at++;
        while (tear_and_mend(fault, DF_EV2));
        assert_true(fault.at > 20);
        tears += fault.at - 1;
    }
    desk_close(&desk);
    print_message("# %u tears, all mended\n", tears);
}

static void an_enrolment_torn_anywhere_is_mended(void **state)
{
    (void)state;
    tear_everywhere("750000001", false);
}

static void so_is_one_whose_steps_are_written_ahead(void **state)
{
    (void)state;
    tear_everywhere("750000003", true);
}

/* --- badges of others --------------------------------------------------------------------------
 */

static const struct df_key old_key = {.type = DF_KEY_2K3DES, .bytes = {2, 4, 6, [9] = 8}};

static enum b_code take_over(struct channel_fault fault)
{
    const struct service_others others = {.given = &old_key, .given_count = 1};
    struct channel *ch = desk_channel(&card, fault);
    enum b_code r = service_takeover(&desk.sv, ch, &others, NULL, &badge, &desk_err);
    channel_free(&ch);
    return r;
}

/* A card of the list, whose own key all badges of the fleet share. */
static void make_shared(uint8_t last)
{
    desk_card_new(&card, DF_EV2, last);
    struct picc_key *master = &card.picc.mem.master;
    memcpy(master->bytes, old_key.bytes, sizeof(master->bytes));
}

static void import_all(void)
{
    static char text[256 * 40];
    size_t n = (size_t)snprintf(text, sizeof(text), "uid,ref,name\n");
    for (unsigned i = 0; i < 256; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "041122334455%02X,%u,Holder %u\n", i, i,
                              i);
    const struct service_fleet_list list = {.name = "all.csv", .text = text, .n = n};
    struct store_fleet_import done;
    MUST(service_fleet_import(&desk.sv, &list, &done, &desk_err));
}

static bool withdraw(void *ctx, const struct profile_state *state, const struct profile_plan *plan)
{
    (void)ctx;
    (void)state;
    (void)plan;
    static const char text[] = "uid,ref,name,status\n04112233445507,7,Holder 7,revoked\n";
    const struct service_fleet_list list = {.name = "all.csv", .text = text, .n = sizeof(text) - 1};
    struct store_fleet_import done;
    MUST(service_fleet_forget(&desk.sv, 1, &done, &desk_err));
    MUST(service_fleet_import(&desk.sv, &list, &done, &desk_err));
    return true;
}

static void a_badge_that_its_list_withdraws_meanwhile_is_not_taken_over(void **state)
{
    (void)state;
    const struct service_others others = {.given = &old_key, .given_count = 1};
    const struct service_watch watch = {.approve = withdraw};
    desk_open(&desk, "750000004");
    import_all();
    make_shared(7);
    struct channel *ch = desk_channel(&card, (struct channel_fault){0});
    desk_expect(service_takeover(&desk.sv, ch, &others, &watch, &badge, &desk_err),
                B_E_BADGE_REVOKED);
    channel_free(&ch);
    desk_close(&desk);
}

static void a_takeover_torn_anywhere_is_gone_on_with(void **state)
{
    (void)state;
    unsigned tears = 0;
    desk_open(&desk, "750000002");
    import_all();
    for (int after = 0; after < 2; after++) {
        struct channel_fault fault = {.after_effect = after == 1};
        enum b_code r = B_E_CARD_REMOVED;
        while (r == B_E_CARD_REMOVED) {
            fault.at++;
            make_shared((uint8_t)(2 * fault.at + fault.after_effect));
            r = take_over(fault);
            if (r == B_E_CARD_REMOVED)
                MUST(take_over((struct channel_fault){0}));
            assert_int_equal(badge.state, STORE_BADGE_ACTIVE);
            MUST(desk_tap(&desk, &card, &badge));
        }
        desk_expect(r, B_OK);
        assert_true(fault.at > 20);
        tears += fault.at - 1;
    }
    desk_close(&desk);
    print_message("# %u tears, all gone on with\n", tears);
}

static enum b_code take_over_at_tap(void)
{
    const struct service_others others = {.given = &old_key, .given_count = 1};
    const struct service_watch watch = {.approve = NULL}; /* nobody looks at the card */
    struct channel *ch = desk_channel(&card, (struct channel_fault){0});
    enum b_code r = service_takeover(&desk.sv, ch, &others, &watch, &badge, &desk_err);
    channel_free(&ch);
    return r;
}

/* With the serial the card's own key changes last: a card may have a key that was compromised since
 * while its own is still theirs, and only a takeover opens that. */
static void a_torn_takeover_goes_on_at_the_desk_after_its_generation_was_compromised(void **state)
{
    enum { CARDS = 100 };
    (void)state;
    static struct desk_card torn[CARDS];
    struct store_generation g;
    struct channel_fault fault = {.after_effect = true};
    unsigned count = 0, refused = 0;
    desk_open_storing(&desk, "750000005", "", "serial");
    import_all();
    enum b_code r = B_E_CARD_REMOVED;
    while (r == B_E_CARD_REMOVED) {
        assert_true(count < CARDS);
        fault.at++;
        make_shared((uint8_t)fault.at);
        r = take_over(fault);
        torn[count++] = card;
    }
    desk_expect(r, B_OK);
    MUST(service_rotate(&desk.sv, KEY_ROLE_AUTH, &g, &desk_err));
    desk_compromise(&desk, KEY_ROLE_AUTH, 1);
    for (unsigned i = 0; i + 1 < count; i++) {
        card = torn[i];
        if (take_over_at_tap() != B_OK) {
            refused++;
            MUST(take_over((struct channel_fault){0}));
        }
        assert_int_equal(badge.state, STORE_BADGE_ACTIVE);
        MUST(desk_tap(&desk, &card, &badge));
    }
    desk_close(&desk);
    assert_true(refused > 0);
    print_message("# %u tears, %u of them refused at a tap\n", count - 1, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_enrolment_torn_anywhere_is_mended),
        cmocka_unit_test(so_is_one_whose_steps_are_written_ahead),
        cmocka_unit_test(a_takeover_torn_anywhere_is_gone_on_with),
        cmocka_unit_test(a_torn_takeover_goes_on_at_the_desk_after_its_generation_was_compromised),
        cmocka_unit_test(a_badge_that_its_list_withdraws_meanwhile_is_not_taken_over),
    };
    return cmocka_run_group_tests_name("tears at the desk", tests, desk_make_place,
                                       desk_drop_place);
}
