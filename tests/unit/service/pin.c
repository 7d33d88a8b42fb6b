/* PINs of taps under way: what comes at the same moment. On a real vault and token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "desk.h"
#include "place.h"
#include "service/change.h"
#include "service/policy.h"
#include "service/station.h"

enum { TAPS = 4 };

static struct desk desk;
static struct desk_card card;
static struct service_taps *taps;
static const struct store_station station = {.id = 5, .name = "w", .state = STORE_PARTY_ACTIVE};

static enum b_code put_holder(struct service_change *c, void *ctx, struct b_err *err)
{
    return store_holder_put(c->store, ctx, err);
}

/* A holder with a badge and, as far as the store knows, a PIN. */
static int open_desk(void **state)
{
    (void)state;
    struct store_badge badge;
    static struct store_holder holder;
    struct vault_key seal;
    bool ignored = false;
    desk_open(&desk, "750000001");
    desk_card_new(&card, DF_EV2, 0x66);
    taps = service_taps_new();
    desk.sv.policies = service_policies_new();
    MUST(vault_key_generate(desk.sv.vault, KEY_ROLE_SEAL, 1, &seal, &desk_err));
    MUST(service_policy_open(&desk.sv,
                             "pin: {pauses: [0]}\nrules: [{group: \"\", factor: pin-always}]\n",
                             &ignored, &desk_err));
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(store_holder_by_ref(desk.sv.store, badge.holder_ref, &holder, &desk_err));
    holder.pin_len = sizeof(holder.pin) / 2;
    MUST(service_writer_run(desk.sv.writer, desk.sv.asker, put_holder, &holder, &desk_err));
    return 0;
}

static int close_desk(void **state)
{
    (void)state;
    service_taps_free(&taps);
    service_policies_free(&desk.sv.policies);
    desk_close(&desk);
    return 0;
}

/* A tap that waits for its PIN. */
static void prove(char name[static SERVICE_TAP_NAME])
{
    static struct service_verdict verdict;
    desk_expect(desk_station_tap(&desk, &card, taps, &station, (struct service_tap_first){0}, name,
                                 &verdict),
                B_E_PIN_REQUIRED);
}

struct typed {
    const char *tap;
    enum b_code code;
    struct service_verdict verdict;
};

/* It is no PIN: what the vault makes of it does not matter here. */
static void *type(void *arg)
{
    struct typed *t = arg;
    static const uint8_t box[64];
    struct b_err err;
    t->code = service_tap_pin(&desk.sv, taps, &station, t->tap, b_rd_from(box, sizeof(box)),
                              &t->verdict, &err);
    return NULL;
}

static void while_one_pin_is_looked_at_others_of_its_holder_are_not(void **state)
{
    (void)state;
    static struct typed typed[TAPS];
    static char names[TAPS][SERVICE_TAP_NAME];
    pthread_t hand[TAPS];
    for (size_t i = 0; i < TAPS; i++) {
        prove(names[i]);
        typed[i].tap = names[i];
    }
    int vault = vault_pid(desk.sv.vault);
    assert_int_equal(kill(vault, SIGSTOP), 0);
    for (size_t i = 0; i < TAPS; i++) {
        assert_int_equal(pthread_create(&hand[i], NULL, type, &typed[i]), 0);
        (void)usleep(200000);
    }
    assert_int_equal(kill(vault, SIGCONT), 0);
    for (size_t i = 0; i < TAPS; i++)
        assert_int_equal(pthread_join(hand[i], NULL), 0);
    assert_int_not_equal(typed[0].code, B_E_PIN_THROTTLED);
    for (size_t i = 1; i < TAPS; i++) {
        assert_int_equal(typed[i].code, B_E_PIN_THROTTLED);
        assert_true(typed[i].verdict.retry_at > 0);
    }
    (void)type(&typed[1]); /* afterwards the next one is */
    assert_int_not_equal(typed[1].code, B_E_PIN_THROTTLED);
    assert_int_not_equal(typed[1].code, B_E_NOT_FOUND);
}

struct membership {
    const char *holder_ref;
    bool is_in;
};

static enum b_code put_member(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct membership *m = ctx;
    static struct store_holder holder;
    struct store_team t = {.name = "Nurses"};
    enum b_code r = store_holder_by_ref(c->store, m->holder_ref, &holder, err);
    if (r == B_OK && store_team_by_name(c->store, t.name, &t, err) == B_E_NOT_FOUND)
        r = store_team_put(c->store, &t, err);
    return r == B_OK ? store_member_set(c->store, t.id, holder.id, m->is_in, err) : r;
}

static void who_moves_between_the_tap_and_its_pin_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "pin: {pauses: [0]}\nrules: [{group: \"\", holders: [nurses], factor: pin-always}]\n";
    static struct service_verdict verdict;
    static struct store_badge badge;
    static struct typed typed;
    char name[SERVICE_TAP_NAME];
    MUST(store_badge_by_uid(desk.sv.store, card.seen.uid, &badge, &desk_err));
    struct membership m = {badge.holder_ref, true};
    MUST(service_policy_use(&desk.sv, text, &desk_err));
    desk_expect(desk_station_tap(&desk, &card, taps, &station, (struct service_tap_first){0}, name,
                                 &verdict),
                B_E_NOT_ADMITTED);
    assert_string_equal(desk_last_event(&desk), "tap not-admitted");
    MUST(service_writer_run(desk.sv.writer, desk.sv.asker, put_member, &m, &desk_err));
    prove(name);
    m.is_in = false;
    MUST(service_writer_run(desk.sv.writer, desk.sv.asker, put_member, &m, &desk_err));
    typed.tap = name;
    (void)type(&typed);
    assert_int_equal(typed.code, B_E_NOT_ADMITTED);
    assert_string_equal(desk_last_event(&desk), "tap not-admitted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(while_one_pin_is_looked_at_others_of_its_holder_are_not, open_desk),
        cmocka_unit_test_teardown(who_moves_between_the_tap_and_its_pin_is_refused, close_desk),
    };
    return cmocka_run_group_tests_name("pin", tests, desk_make_place, desk_drop_place);
}
