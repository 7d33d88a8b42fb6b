/* The desk with a card that leaves at every point of an enrolment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "desk.h"

static struct desk desk;
static struct desk_card card;
static struct store_badge badge;

/* One enrolment torn at the n-th APDU, then the card put back. False when n is past the end. */
static bool tear_and_mend(struct channel_fault fault, enum df_ev ev)
{
    struct service_holder holder = {.ref = "10001234567", .name = "Anne Martin"};
    desk_card_new(&card, ev, (uint8_t)(2 * fault.at + fault.after_effect));
    struct channel *ch = desk_channel(&card, fault);
    enum b_code r = service_enrol(&desk.sv, ch, holder, NULL, &badge, &desk_err);
    channel_free(&ch);
    if (r == B_OK)
        return false;
    desk_expect(r, B_E_CARD_REMOVED);
    if (store_badge_by_uid(desk.sv.store, card.seen.uid, &badge, &desk_err) == B_OK) {
        assert_int_equal(badge.state, STORE_BADGE_ENROLLING);
        assert_int_not_equal(desk_tap(&desk, &card, &badge), B_OK);
        MUST(desk_repair(&desk, &card, &badge));
    } else {
        MUST(desk_enrol(&desk, &card, &badge));
    }
    assert_int_equal(badge.state, STORE_BADGE_ACTIVE);
    MUST(desk_tap(&desk, &card, &badge));
    return true;
}

static void an_enrolment_torn_anywhere_is_mended(void **state)
{
    (void)state;
    unsigned tears = 0;
    desk_open(&desk, "750000001");
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_enrolment_torn_anywhere_is_mended)};
    return cmocka_run_group_tests_name("tears at the desk", tests, desk_make_place,
                                       desk_drop_place);
}
