/* Badge keys of role auth that are stored, the others derived: on a real vault, token and store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "desk.h"
#include "place.h"
#include "service/campaign.h"
#include "service/verify.h"
#include "store/driver.h"

static struct desk desk;
static struct desk_card card, other;
static struct store_badge badge;

/* Each test has an establishment of its own: its number tells the masters in the token apart. */
static const char *next_name(void)
{
    static unsigned number;
    static char name[16];
    (void)snprintf(name, sizeof(name), "7600%05u", ++number);
    return name;
}

static int open_desk(void **state)
{
    (void)state;
    desk_open_storing(&desk, next_name(), "auth", "uid-aid-system");
    desk_card_new(&card, DF_EV2, 0x66);
    return 0;
}

static int close_desk(void **state)
{
    (void)state;
    desk_close(&desk);
    return 0;
}

static int64_t stored_count(void)
{
    int64_t n = -1;
    MUST(store_stored_count(desk.sv.store, &n, &desk_err));
    return n;
}

static void rotate(enum key_role role)
{
    struct store_generation g;
    MUST(service_rotate(&desk.sv, role, &g, &desk_err));
}

static void expect_journal(void)
{
    struct service_verified found;
    const struct service_verify what = {.finess = desk.sv.establishment.finess};
    MUST(service_verify(desk.sv.store, &what, &found, &desk_err));
}

/* --- the main job ------------------------------------------------------------------------------
 */

static void a_badge_of_each_kind_is_enrolled_tapped_repaired_and_blanked(void **state)
{
    (void)state;
    static const enum df_ev kinds[] = {DF_EV1, DF_EV2, DF_EV3};
    for (size_t i = 0; i < B_COUNT(kinds); i++) {
        desk_card_new(&card, kinds[i], (uint8_t)i);
        MUST(desk_enrol(&desk, &card, &badge));
        assert_int_equal(stored_count(), (int64_t)i + 1);
        MUST(desk_tap(&desk, &card, &badge));
        MUST(desk_repair(&desk, &card, &badge));
        MUST(desk_blank(&desk, &card, &badge));
        assert_true(desk_card_is_blank(&card));
        MUST(desk_enrol(&desk, &card, &badge));
        MUST(desk_tap(&desk, &card, &badge));
        assert_int_equal(stored_count(), (int64_t)i + 1);
    }
    expect_journal();
}

static void a_badge_with_a_random_uid_has_its_keys_by_its_serial(void **state)
{
    (void)state;
    desk_close(&desk);
    desk_open_storing(&desk, next_name(), "auth,picc", "serial");
    MUST(desk_enrol(&desk, &card, &badge));
    assert_int_equal(stored_count(), 2);
    card.seen.uid_len = 4; /* what a reader shows from now on */
    MUST(desk_tap(&desk, &card, &badge));
    MUST(desk_repair(&desk, &card, &badge));
    MUST(desk_blank(&desk, &card, &badge));
    expect_journal();
}

static void two_badges_never_have_the_same_key(void **state)
{
    (void)state;
    desk_card_new(&other, DF_EV2, 0x67);
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(desk_enrol(&desk, &other, &badge));
    for (size_t i = 0; i < PICC_KEY_POOL; i++)
        for (size_t k = 0; k < PICC_KEY_POOL; k++)
            if (card.picc.mem.keys[i].version == 1 && other.picc.mem.keys[k].version == 1)
                assert_memory_not_equal(card.picc.mem.keys[i].bytes, other.picc.mem.keys[k].bytes,
                                        16);
}

/* Which generation a badge has says how its key came about. */
static void a_role_is_stored_from_a_generation_on(void **state)
{
    (void)state;
    desk_close(&desk);
    desk_open_storing(&desk, next_name(), "auth:2", "uid-aid-system");
    MUST(desk_enrol(&desk, &card, &badge));
    assert_int_equal(stored_count(), 0);
    rotate(KEY_ROLE_AUTH);
    MUST(desk_tap(&desk, &card, &badge));
    assert_int_equal(badge.generation[KEY_ROLE_AUTH], 1);
    MUST(desk_repair(&desk, &card, &badge));
    assert_int_equal(stored_count(), 1);
    MUST(desk_tap(&desk, &card, &badge));
    assert_int_equal(badge.generation[KEY_ROLE_AUTH], 2);
}

/* The badge's visit in the campaign that a rotation begins. */
static enum b_code rekey(struct channel_fault fault)
{
    struct channel *ch = desk_channel(&card, fault);
    enum b_code r = service_rekey(&desk.sv, ch, badge.id, 0, &badge, &desk_err);
    channel_free(&ch);
    return r;
}

static void a_campaign_gives_each_badge_another_stored_key(void **state)
{
    (void)state;
    MUST(desk_enrol(&desk, &card, &badge));
    rotate(KEY_ROLE_AUTH);
    MUST(desk_tap(&desk, &card, &badge));
    MUST(rekey((struct channel_fault){0}));
    assert_int_equal(badge.generation[KEY_ROLE_AUTH], 2);
    assert_int_equal(stored_count(), 2);
    MUST(desk_tap(&desk, &card, &badge));
    expect_journal();
}

/* --- tears -------------------------------------------------------------------------------------
 */

/* One enrolment torn at the n-th APDU, then the card put back. False when n is past the end. */
static bool tear_enrolment(struct channel_fault fault, enum df_ev ev)
{
    struct service_holder holder = {.ref = "10001234567", .name = "Anne Martin"};
    desk_card_new(&card, ev, (uint8_t)(2 * fault.at + fault.after_effect));
    struct channel *ch = desk_channel(&card, fault);
    enum b_code r = service_enrol(&desk.sv, ch, holder, NULL, &badge, &desk_err);
    channel_free(&ch);
    if (r == B_OK)
        return false;
    desk_expect(r, B_E_CARD_REMOVED);
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(desk_tap(&desk, &card, &badge));
    return true;
}

static void an_enrolment_torn_anywhere_loses_no_key(void **state)
{
    (void)state;
    static const enum df_ev kinds[] = {DF_EV1, DF_EV3};
    for (int i = 0; i < 4; i++) {
        struct channel_fault fault = {.after_effect = i % 2 == 1};
        desk_close(&desk);
        desk_open_storing(&desk, next_name(), "picc,app,auth,read,write", "uid-aid-system");
        do
            fault.at++;
        while (tear_enrolment(fault, kinds[i / 2]));
        assert_true(fault.at > 20);
        /* A key that was drawn before the tear was written after it. */
        assert_int_equal(stored_count(), 5 * (int64_t)fault.at);
    }
}

static bool tear_rekey(struct channel_fault fault)
{
    desk_card_new(&card, DF_EV2, (uint8_t)(2 * fault.at + fault.after_effect));
    MUST(desk_enrol(&desk, &card, &badge));
    rotate(KEY_ROLE_AUTH);
    enum b_code r = rekey(fault);
    if (r == B_OK)
        return false;
    desk_expect(r, B_E_CARD_REMOVED);
    MUST(desk_tap(&desk, &card, &badge)); /* nobody is refused for it */
    MUST(rekey((struct channel_fault){0}));
    MUST(desk_tap(&desk, &card, &badge));
    return true;
}

static void a_rekey_torn_anywhere_loses_no_key(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++) {
        struct channel_fault fault = {.after_effect = after == 1};
        bool is_torn = true;
        while (is_torn) {
            desk_close(&desk);
            desk_open_storing(&desk, next_name(), "auth", "uid-aid-system");
            fault.at++;
            is_torn = tear_rekey(fault);
        }
        assert_int_equal(fault.at, 8);
    }
}

/* --- the process dies --------------------------------------------------------------------------
 */

struct shared {
    struct desk_card card;
    unsigned apdus, dies_at;
};
static struct shared *shared;

/* Dies where the card was about to be sent something: what was to be durable by then is. */
static bool mortal_apdu(void *ctx, struct b_rd capdu, struct b_wr *rapdu)
{
    (void)ctx;
    if (++shared->apdus == shared->dies_at)
        (void)kill(getpid(), SIGKILL);
    df_picc_step(&shared->card.picc, capdu, rapdu);
    return true;
}

static void no_power(void *ctx)
{
    (void)ctx;
}

static void enrol_until_death(const char *name)
{
    static const struct channel_card_ops ops = {.apdu = mortal_apdu, .power = no_power};
    struct service_holder holder = {.ref = "10001234567", .name = "Anne Martin"};
    struct channel *ch = NULL;
    desk_reopen(&desk, name, "auth", "uid-aid-system");
    MUST(channel_card_new(&ops, NULL, &shared->card.seen, &ch));
    enum b_code r = service_enrol(&desk.sv, ch, holder, NULL, &badge, &desk_err);
    desk_close(&desk);
    _exit(r == B_OK ? 0 : 1);
}

static void a_desk_killed_before_any_exchange_loses_no_key(void **state)
{
    (void)state;
    const char *name = next_name();
    int status = 0;
    void *map =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    shared = map;
    desk_close(&desk);
    desk_open_storing(&desk, name, "auth", "uid-aid-system");
    desk_close(&desk);
    for (unsigned at = 1; status != 0 || at == 1; at++) {
        struct channel *powered = NULL;
        desk_card_new(&shared->card, DF_EV2, (uint8_t)at);
        powered = desk_channel(&shared->card, (struct channel_fault){0});
        channel_free(&powered);
        shared->apdus = 0;
        shared->dies_at = at;
        pid_t child = fork();
        if (child == 0)
            enrol_until_death(name);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
        desk_reopen(&desk, name, "auth", "uid-aid-system");
        if (status != 0)
            MUST(desk_enrol(&desk, &shared->card, &badge));
        MUST(desk_tap(&desk, &shared->card, &badge));
        assert_int_equal(stored_count(), (int64_t)at);
        desk_close(&desk);
    }
    assert_true(shared->dies_at > 20);
    desk_reopen(&desk, name, "auth", "uid-aid-system");
    expect_journal();
    assert_int_equal(munmap(map, sizeof(*shared)), 0);
}

/* --- rows that are not as they were ------------------------------------------------------------
 */

static void edit(const char *sql)
{
    struct driver *d = NULL;
    MUST(driver_open(desk.db, false, &d, &desk_err));
    MUST(driver_exec(d, sql, &desk_err));
    driver_close(&d);
}

/* A copy of the card as it was, encoded by whoever has its key: moved rows would let it pass. */
static void a_row_that_was_moved_or_altered_is_refused(void **state)
{
    (void)state;
    struct service_verified found;
    const struct service_verify what = {.finess = desk.sv.establishment.finess};
    desk_card_new(&other, DF_EV2, 0x67);
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(desk_enrol(&desk, &other, &badge));
    edit("UPDATE stored_key SET wrapped = (SELECT wrapped FROM stored_key WHERE id = 1)"
         " WHERE id = 2");
    desk_expect(desk_tap(&desk, &other, &badge), B_E_STORED_KEY_BROKEN);
    desk_expect(service_verify(desk.sv.store, &what, &found, &desk_err), B_E_JOURNAL_BROKEN);
    MUST(desk_tap(&desk, &card, &badge));
    edit("UPDATE stored_key SET wrapped = zeroblob(24) WHERE id = 1");
    desk_expect(desk_tap(&desk, &card, &badge), B_E_STORED_KEY_BROKEN);
}

static void a_row_that_is_lost_is_told_and_its_card_can_be_blanked(void **state)
{
    (void)state;
    MUST(desk_enrol(&desk, &card, &badge));
    edit("DELETE FROM stored_key");
    desk_expect(desk_tap(&desk, &card, &badge), B_E_STORED_KEY_MISSING);
    MUST(desk_blank(&desk, &card, &badge));
    assert_true(desk_card_is_blank(&card));
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(desk_tap(&desk, &card, &badge));
}

/* Two desks with one card's UID: the second does not take the first one's key away. */
static void a_key_is_never_replaced(void **state)
{
    (void)state;
    struct store_stored k = {.role = KEY_ROLE_AUTH, .generation = 1, .badge = "u", .badge_len = 8};
    MUST(desk_enrol(&desk, &card, &badge));
    memcpy(k.badge + 1, badge.uid, 7);
    MUST(store_stored_get(desk.sv.store, &k, &desk_err));
    desk_expect(store_stored_add(desk.sv.store, &k, &desk_err), B_E_DUPLICATE);
}

int main(void)
{
#define AT_DESK(f) cmocka_unit_test_setup_teardown(f, open_desk, close_desk)
    const struct CMUnitTest tests[] = {
        AT_DESK(a_badge_of_each_kind_is_enrolled_tapped_repaired_and_blanked),
        AT_DESK(a_badge_with_a_random_uid_has_its_keys_by_its_serial),
        AT_DESK(two_badges_never_have_the_same_key),
        AT_DESK(a_role_is_stored_from_a_generation_on),
        AT_DESK(a_campaign_gives_each_badge_another_stored_key),
        AT_DESK(an_enrolment_torn_anywhere_loses_no_key),
        AT_DESK(a_rekey_torn_anywhere_loses_no_key),
        AT_DESK(a_desk_killed_before_any_exchange_loses_no_key),
        AT_DESK(a_row_that_was_moved_or_altered_is_refused),
        AT_DESK(a_row_that_is_lost_is_told_and_its_card_can_be_blanked),
        AT_DESK(a_key_is_never_replaced),
    };
    return cmocka_run_group_tests_name("stored keys", tests, desk_make_place, desk_drop_place);
}
