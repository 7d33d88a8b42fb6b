/* The machine against the software card: enrol, tap, re-key, blank, on every kind of card; and the
 * cards that it must leave as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "desk.h"

static void good(struct desk *d, enum profile_goal goal)
{
    if (desk_work(d, goal) != PROFILE_DONE)
        fail_msg("goal %d: %s", (int)goal, d->err.msg);
    assert_int_equal(d->intents, d->effects);
    const char *lost = desk_lost_key(d);
    if (lost != NULL)
        fail_msg("goal %d: %s cannot be computed", (int)goal, lost);
}

/* Refused before anything was changed. */
static void refused(struct desk *d, enum profile_goal goal, enum b_code code)
{
    static struct picc_memory before;
    before = d->picc.mem;
    assert_int_equal(desk_work(d, goal), PROFILE_FAILED);
    if (d->err.code != code)
        fail_msg("code %d, not %d: %s", (int)d->err.code, (int)code, d->err.msg);
    assert_int_equal(d->intents, 0);
    assert_memory_equal(&before, &d->picc.mem, sizeof(before));
}

static bool has_note(const struct desk *d, enum profile_note_id id)
{
    const struct profile_plan *p = profile_run_plan(d->run);
    for (uint8_t i = 0; i < p->note_count; i++) {
        if (p->notes[i].id == id)
            return true;
    }
    return false;
}

/* --- lives ------------------------------------------------------------------------------------ */

static void life_of(enum df_ev ev, bool is_guest, const char *diversification)
{
    struct desk *d = desk_new(ev, is_guest, diversification);
    unsigned fewest = strcmp(diversification, "serial") == 0 ? 4 : 3;
    good(d, PROFILE_GOAL_REACH);
    assert_true(d->intents > 5);
    good(d, PROFILE_GOAL_REACH);
    assert_int_equal(d->intents, 0);
    d->job.ev_hint = ev == DF_EV1 ? DF_EV1 : DF_EV2;
    good(d, PROFILE_GOAL_TAP);
    assert_int_equal(d->apdus, fewest);
    assert_int_equal(profile_run_tap(d->run)->generation, 1);
    good(d, PROFILE_GOAL_SCAN);
    for (uint8_t i = 0; i < profile_run_plan(d->run)->note_count; i++)
        assert_true(profile_note_severity(profile_run_plan(d->run)->notes[i].id) !=
                    PROFILE_FORBIDDEN);
    desk_generation(d, 2);
    good(d, PROFILE_GOAL_TAP); /* an older generation is still accepted */
    assert_int_equal(profile_run_tap(d->run)->generation, 1);
    d->job.holder_len = 0;
    good(d, PROFILE_GOAL_REACH);
    assert_true(d->intents > 3);
    good(d, PROFILE_GOAL_TAP);
    assert_int_equal(d->apdus, fewest);
    assert_int_equal(profile_run_tap(d->run)->generation, 2);
    good(d, PROFILE_GOAL_BLANK);
    assert_int_equal(desk_work(d, PROFILE_GOAL_TAP), PROFILE_FAILED);
    assert_int_equal(d->err.code, B_E_BADGE_UNKNOWN);
    good(d, PROFILE_GOAL_BLANK);
    assert_int_equal(d->intents, 0);
    d->job.holder_len = 11;
    good(d, PROFILE_GOAL_REACH);
    desk_drop(d);
}

static void a_badge_lives_from_blank_to_blank(void **state)
{
    (void)state;
    for (int ev = DF_EV1; ev <= DF_EV3; ev++) {
        life_of((enum df_ev)ev, false, "uid-aid-system");
        life_of((enum df_ev)ev, false, "serial");
        life_of((enum df_ev)ev, true, "uid-aid-system");
        life_of((enum df_ev)ev, true, "serial");
    }
}

/* --- plans ------------------------------------------------------------------------------------ */

/* Keys that are drawn cost no exchange more, whichever roles they are of. */
static void every_card_lives_with_stored_keys(void **state)
{
    (void)state;
    static const char *const roles[] = {"auth", "picc,app,auth,read,write", "app:2,auth:2"};
    for (size_t i = 0; i < 2 * B_COUNT(roles); i++) {
        bool has_serial = i % 2 == 1;
        struct desk *d = desk_new(DF_EV2, false, has_serial ? "serial" : "uid-aid-system");
        assert_true(key_stay_read(roles[i / 2], &d->stored));
        good(d, PROFILE_GOAL_REACH);
        good(d, PROFILE_GOAL_TAP);
        assert_int_equal(d->apdus, has_serial ? 4 : 3);
        desk_generation(d, 2);
        good(d, PROFILE_GOAL_TAP);
        good(d, PROFILE_GOAL_REACH);
        good(d, PROFILE_GOAL_TAP);
        assert_int_equal(profile_run_tap(d->run)->generation, 2);
        good(d, PROFILE_GOAL_SCAN);
        uint8_t kept = d->store_count;
        good(d, PROFILE_GOAL_BLANK);
        good(d, PROFILE_GOAL_REACH);
        assert_true(d->store_count >= kept);
        desk_drop(d);
    }
}

/* Steps by name and number, in order. What is irreversible comes last but for what tells of it. */
static const struct {
    bool is_guest;
    const char *diversification, *enrol, *rekey, *blank;
} plans[] = {
    {false, "uid-aid-system",
     "create-application change-card-key change-card-settings change-key:1 change-key:2 "
     "change-key:3 create-file:1 change-app-settings change-key:0 write-file:1",
     "open-application change-key:1 change-key:2 change-key:3 change-app-settings change-key:0 "
     "change-card-key",
     "delete-application reset-card-settings reset-card-key"},
    {false, "serial",
     "create-application create-file:2 write-file:2 change-key:1 change-key:2 change-key:3 "
     "create-file:1 change-app-settings change-key:0 write-file:1 change-card-key disable-format "
     "set-random-uid change-card-settings",
     "open-application change-key:1 change-key:2 change-key:3 change-app-settings change-key:0 "
     "change-card-key",
     "reset-card-settings reset-card-key delete-application"},
    {true, "uid-aid-system",
     "create-application change-key:1 change-key:2 change-key:3 create-file:1 "
     "change-app-settings change-key:0 write-file:1",
     "open-application change-key:1 change-key:2 change-key:3 change-app-settings change-key:0",
     "delete-application"},
    {true, "serial",
     "create-application create-file:2 write-file:2 change-key:1 change-key:2 change-key:3 "
     "create-file:1 change-app-settings change-key:0 write-file:1",
     "open-application change-key:1 change-key:2 change-key:3 change-app-settings change-key:0",
     "delete-application"},
};

static void assert_plan(const struct desk *d, const char *wanted)
{
    char text[1024] = "";
    const struct profile_plan *p = profile_run_plan(d->run);
    size_t n = 0;
    for (uint8_t i = 0; i < p->step_count && n < sizeof(text); i++) {
        const char *name = profile_step_name(p->steps[i].kind);
        bool has_no = strstr(name, "file") != NULL || strcmp(name, "change-key") == 0;
        n += (size_t)snprintf(text + n, sizeof(text) - n, has_no ? "%s%s:%u" : "%s%s",
                              i > 0 ? " " : "", name, p->steps[i].no);
    }
    assert_string_equal(text, wanted);
}

static void steps_come_in_an_order_that_is_safe_to_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < B_COUNT(plans); i++) {
        struct desk *d = desk_new(DF_EV2, plans[i].is_guest, plans[i].diversification);
        good(d, PROFILE_GOAL_REACH);
        assert_plan(d, plans[i].enrol);
        desk_generation(d, 2);
        good(d, PROFILE_GOAL_REACH);
        assert_plan(d, plans[i].rekey);
        good(d, PROFILE_GOAL_BLANK);
        assert_plan(d, plans[i].blank);
        good(d, PROFILE_GOAL_REACH);
        desk_drop(d);
    }
}

static void a_scan_plans_and_changes_nothing(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV3, false, "uid-aid-system");
    static struct picc_memory before;
    before = d->picc.mem;
    good(d, PROFILE_GOAL_SCAN);
    assert_plan(d, plans[0].enrol);
    assert_true(has_note(d, PROFILE_NOTE_FACTORY_KEY));
    assert_true(has_note(d, PROFILE_NOTE_NO_APPLICATION));
    assert_memory_equal(&before, &d->picc.mem, sizeof(before));
    desk_drop(d);
}

static void a_scan_names_keys_that_others_have(void **state)
{
    (void)state;
    static const uint8_t published[16] = {0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47,
                                          0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F};
    struct desk *d = desk_new(DF_EV2, false, "uid-aid-system");
    good(d, PROFILE_GOAL_REACH);
    struct picc_key *keys = &d->picc.mem.keys[desk_app(d)->first_key];
    memcpy(keys[1].bytes, published, sizeof(published)); /* its version still says generation 1 */
    memset(keys[2].bytes, 0xC3, 16);
    d->job.tries_known_keys = true;
    d->job.given_count = 1;
    d->job.given[0] = (struct df_key){.type = DF_KEY_AES};
    memset(d->job.given[0].bytes, 0xC3, 16);
    assert_int_equal(desk_work(d, PROFILE_GOAL_SCAN), PROFILE_DONE);
    const struct profile_state *s = profile_run_state(d->run);
    assert_int_equal(s->slots[0].kind, PROFILE_KEY_DIVERSIFIED);
    assert_int_equal(s->slots[1].kind, PROFILE_KEY_KNOWN);
    assert_int_equal(s->slots[2].kind, PROFILE_KEY_GIVEN);
    assert_int_equal(s->slots[3].kind, PROFILE_KEY_DIVERSIFIED);
    assert_true(s->slots[3].is_proven);
    assert_true(has_note(d, PROFILE_NOTE_KNOWN_KEY) && has_note(d, PROFILE_NOTE_SHARED_KEY));
    desk_drop(d);
}

/* --- cards that are left as they are ---------------------------------------------------------- */

static void a_card_of_another_establishment_is_left_alone(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV2, false, "uid-aid-system");
    good(d, PROFILE_GOAL_REACH);
    memcpy(d->job.profile.system, "AUTRE..", 7);
    refused(d, PROFILE_GOAL_REACH, B_E_CARD_FOREIGN);
    refused(d, PROFILE_GOAL_BLANK, B_E_CARD_FOREIGN);
    refused(d, PROFILE_GOAL_TAP, B_E_CARD_AUTH);
    desk_drop(d);
}

static void a_generation_that_is_not_ours_is_told(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV3, false, "uid-aid-system");
    desk_generation(d, 3);
    good(d, PROFILE_GOAL_REACH);
    desk_generation(d, 2);
    refused(d, PROFILE_GOAL_TAP, B_E_GENERATION_RETIRED);
    refused(d, PROFILE_GOAL_REACH, B_E_CARD_FOREIGN);
    desk_drop(d);
}

/* In 04 03 00 00 00 3F 00 the last byte, with the CRC that follows, reads as a CRC of the six
 * before it. */
static void a_uid_that_ends_as_padding_does_is_told_whole(void **state)
{
    (void)state;
    const struct df_personality who = {
        .ev = DF_EV3, .memory = 8192, .uid = {0x04, 0x03, 0, 0, 0, 0x3F, 0}};
    struct desk *d = desk_new(DF_EV3, false, "serial"); /* shows a random UID once it is enrolled */
    assert_true(df_picc_blank(&d->picc, &who));
    good(d, PROFILE_GOAL_REACH);
    good(d, PROFILE_GOAL_BLANK);
    good(d, PROFILE_GOAL_SCAN);
    assert_int_equal(profile_run_state(d->run)->uid_len, 7);
    assert_memory_equal(profile_run_state(d->run)->uid, who.uid, 7);
    desk_drop(d);
}

/* Puts an application of somebody else on the card, as a guest would. */
static void put_other(struct desk *d, df_aid aid)
{
    struct profile ours = d->job.profile;
    d->job.profile.is_guest = true;
    d->job.profile.wants_random_uid = d->job.profile.disables_format = false;
    d->job.profile.aid = aid;
    good(d, PROFILE_GOAL_REACH);
    d->job.profile = ours;
}

static const struct picc_app *app_of(const struct desk *d, df_aid aid)
{
    for (size_t i = 0; i < PICC_APPS; i++) {
        if (d->picc.mem.apps[i].is_used && d->picc.mem.apps[i].aid == aid)
            return &d->picc.mem.apps[i];
    }
    return NULL;
}

static void the_applications_of_others_are_listed_and_never_touched(void **state)
{
    (void)state;
    for (int ev = DF_EV1; ev <= DF_EV3; ev++) {
        struct desk *d = desk_new((enum df_ev)ev, false, "uid-aid-system");
        put_other(d, 0x123456);
        struct picc_app other = *app_of(d, 0x123456);
        good(d, PROFILE_GOAL_REACH);
        assert_int_equal(profile_run_state(d->run)->app_count, 1);
        assert_int_equal(profile_run_state(d->run)->apps[0], 0x123456);
        assert_true(has_note(d, PROFILE_NOTE_OTHER_APPLICATION));
        good(d, PROFILE_GOAL_BLANK);
        /* The card's key stays: the factory's would open the other application. */
        assert_plan(d, "delete-application");
        assert_null(desk_app(d));
        assert_int_equal(d->picc.mem.master.version, 1);
        assert_non_null(app_of(d, 0x123456));
        assert_int_equal(app_of(d, 0x123456)->settings, other.settings);
        desk_drop(d);
    }
}

static void a_serial_stays_while_the_card_key_needs_it(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV2, false, "serial");
    put_other(d, 0x123456);
    good(d, PROFILE_GOAL_REACH);
    refused(d, PROFILE_GOAL_BLANK, B_E_CARD_BLOCKED);
    desk_drop(d);
}

static void a_scan_shows_the_plan_of_an_enrolment_that_gives_a_serial(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV3, false, "serial");
    d->job.serial_len = 0;
    good(d, PROFILE_GOAL_SCAN);
    assert_false(profile_run_plan(d->run)->is_blocked);
    assert_int_not_equal(profile_run_plan(d->run)->step_count, 0);
    refused(d, PROFILE_GOAL_REACH, B_E_CARD_BLOCKED);
    desk_drop(d);
}

static void a_guest_asks_for_what_the_owner_gave(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV2, true, "uid-aid-system");
    d->picc.mem.settings = 0x0B; /* no creation without the card's key */
    refused(d, PROFILE_GOAL_REACH, B_E_CARD_BLOCKED);
    d->picc.mem.settings = 0x0F;
    d->picc.mem.master.version = 7; /* another issuer's card */
    memset(d->picc.mem.master.bytes, 0x5A, 16);
    d->picc.mem.key_type = DF_KEY_AES;
    struct picc_key master = d->picc.mem.master;
    assert_int_equal(desk_work(d, PROFILE_GOAL_REACH), PROFILE_DONE);
    d->picc.mem.settings = 0x0B;
    refused(d, PROFILE_GOAL_BLANK, B_E_CARD_BLOCKED);
    d->picc.mem.settings = 0x0F;
    assert_int_equal(desk_work(d, PROFILE_GOAL_BLANK), PROFILE_DONE);
    assert_memory_equal(&master, &d->picc.mem.master, sizeof(master));
    desk_drop(d);
}

static void a_full_card_is_told_before_it_is_touched(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV1, false, "uid-aid-system");
    const struct df_personality small = {.ev = DF_EV1, .memory = 2048, .uid = {4, 1, 2}};
    assert_true(df_picc_blank(&d->picc, &small));
    d->picc.mem.used = 2048 - 256 - 128;
    refused(d, PROFILE_GOAL_REACH, B_E_CARD_FULL);
    desk_drop(d);
}

static void a_random_uid_derives_no_key(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV2, false, "uid-aid-system");
    d->picc.mem.config |= 0x02;
    refused(d, PROFILE_GOAL_REACH, B_E_RANDOM_UID);
    d->picc.mem.config = 0;
    good(d, PROFILE_GOAL_REACH);
    d->picc.mem.config |= 0x02;
    refused(d, PROFILE_GOAL_TAP, B_E_RANDOM_UID);
    desk_drop(d);
}

static void a_badge_keeps_its_serial(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV2, false, "serial");
    d->job.serial_len = 0;
    refused(d, PROFILE_GOAL_REACH, B_E_CARD_BLOCKED);
    d->job.serial_len = 8;
    good(d, PROFILE_GOAL_REACH);
    memcpy(d->job.serial, "B-000002", 8);
    good(d, PROFILE_GOAL_REACH); /* what stands on the card is kept */
    assert_int_equal(d->intents, 0);
    d->job.serial_len = 0; /* the database is lost: the card tells */
    desk_generation(d, 2);
    good(d, PROFILE_GOAL_REACH);
    good(d, PROFILE_GOAL_TAP);
    assert_int_equal(profile_run_tap(d->run)->serial_len, 8);
    assert_memory_equal(profile_run_tap(d->run)->serial, "B-000001", 8);
    desk_drop(d);
}

/* --- taps ------------------------------------------------------------------------------------- */

static void a_tap_finds_out_what_the_store_forgot(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV1, false, "uid-aid-system");
    good(d, PROFILE_GOAL_REACH);
    good(d, PROFILE_GOAL_TAP); /* select, 71 refused, AA in two frames */
    assert_int_equal(d->apdus, 4);
    assert_int_equal(profile_run_tap(d->run)->how, DF_AUTH_AES);
    desk_generation(d, 2);
    d->job.ev_hint = DF_EV1;
    d->job.auth_hint = 1;
    good(d, PROFILE_GOAL_TAP);
    assert_int_equal(d->apdus, 3);
    desk_drop(d);
}

static void a_factory_key_is_no_badge(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV2, false, "uid-aid-system");
    good(d, PROFILE_GOAL_REACH);
    d->picc.mem.keys[desk_app(d)->first_key + 1] = (struct picc_key){0};
    refused(d, PROFILE_GOAL_TAP, B_E_KEY_TOO_WEAK);
    desk_drop(d);
}

static void a_card_that_lies_of_its_version_is_refused(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV2, false, "uid-aid-system");
    good(d, PROFILE_GOAL_REACH);
    memset(d->picc.mem.keys[desk_app(d)->first_key + 1].bytes, 0x77, 16);
    refused(d, PROFILE_GOAL_TAP, B_E_CARD_AUTH);
    desk_drop(d);
}

/* --- wire forms ------------------------------------------------------------------------------- */

static void models_survive_their_wire_form(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV2, false, "serial");
    static uint8_t one[16384], two[16384];
    static struct profile_job again;
    struct b_wr w = b_wr_from(one, sizeof(one));
    profile_job_encode(&d->job, &w);
    struct b_rd r = b_wr_reader(&w);
    assert_true(profile_job_decode(&r, &again) && b_rd_end(&r));
    struct b_wr w2 = b_wr_from(two, sizeof(two));
    profile_job_encode(&again, &w2);
    assert_int_equal(w.len, w2.len);
    assert_memory_equal(one, two, w.len);
    for (size_t n = 0; n < w.len; n++) {
        r = b_rd_from(one, n);
        assert_false(profile_job_decode(&r, &again));
    }
    desk_drop(d);
}

static void states_and_plans_survive_their_wire_form(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV2, false, "serial");
    static uint8_t one[16384], two[16384];
    static struct profile_state s;
    static struct profile_plan p;
    good(d, PROFILE_GOAL_REACH);
    struct b_wr w = b_wr_from(one, sizeof(one));
    profile_state_encode(profile_run_state(d->run), &w);
    profile_plan_encode(profile_run_plan(d->run), &w);
    struct b_rd r = b_wr_reader(&w);
    assert_true(profile_state_decode(&r, &s) && profile_plan_decode(&r, &p) && b_rd_end(&r));
    struct b_wr w2 = b_wr_from(two, sizeof(two));
    profile_state_encode(&s, &w2);
    profile_plan_encode(&p, &w2);
    assert_int_equal(w.len, w2.len);
    assert_memory_equal(one, two, w.len);
    assert_int_equal(p.step_count, profile_run_plan(d->run)->step_count);
    desk_drop(d);
}

/* --- badges of others --------------------------------------------------------------------------
 */

static const struct desk_fleet shared = {
    .key = {.type = DF_KEY_AES, .version = 1, .bytes = {9, 8, 7}}, .diversification = ""};
static const struct desk_fleet derived = {.key = {.type = DF_KEY_2K3DES, .bytes = {1, 2, [9] = 3}},
                                          .diversification = "uid"};

static struct desk *foreign(const struct desk_fleet *f)
{
    struct desk *d = desk_new(DF_EV2, false, "uid-aid-system");
    desk_make_foreign(d, f);
    return d;
}

static void a_scan_recognises_a_layout_of_others(void **state)
{
    (void)state;
    static const struct {
        const struct desk_fleet *fleet;
        enum profile_key_kind kind;
    } rows[] = {{&shared, PROFILE_KEY_GIVEN}, {&derived, PROFILE_KEY_DERIVED}};
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        struct desk *d = foreign(rows[i].fleet);
        static struct picc_memory before;
        before = d->picc.mem;
        good(d, PROFILE_GOAL_SCAN);
        const struct profile_state *s = profile_run_state(d->run);
        assert_int_equal(s->layout, 1);
        assert_true(s->old.is_proven && s->card_key.is_proven);
        assert_int_equal(s->old.kind, rows[i].kind);
        assert_int_equal(s->card_key.kind, rows[i].kind);
        assert_memory_equal(&before, &d->picc.mem, sizeof(before));
        desk_drop(d);
    }
}

static void a_takeover_leaves_keys_of_this_badge_alone(void **state)
{
    (void)state;
    struct desk *d = foreign(&shared);
    good(d, PROFILE_GOAL_TAKEOVER);
    assert_true(d->intents > 5);
    d->job.given_count = 0;
    d->job.fleet.count = 0;
    good(d, PROFILE_GOAL_TAP);
    good(d, PROFILE_GOAL_REACH);
    assert_int_equal(d->intents, 0);
    assert_non_null(desk_old_app(d));
    good(d, PROFILE_GOAL_SCAN);
    assert_false(has_note(d, PROFILE_NOTE_SHARED_KEY));
    desk_drop(d);
}

static void a_badge_that_no_given_key_opens_is_not_taken_over(void **state)
{
    (void)state;
    struct desk *d = foreign(&shared);
    d->job.given[0].bytes[0] ^= 1;
    refused(d, PROFILE_GOAL_TAKEOVER, B_E_CARD_FOREIGN);
    d->job.given_count = 0;
    refused(d, PROFILE_GOAL_TAKEOVER, B_E_CARD_FOREIGN);
    desk_drop(d);
    d = foreign(&derived); /* the master is right, what is made of it is not */
    (void)strcpy(d->job.fleet.layouts[0].diversification, "uid-aid-key");
    refused(d, PROFILE_GOAL_TAKEOVER, B_E_CARD_FOREIGN);
    desk_drop(d);
}

static void a_blank_card_proves_nothing_of_a_fleet(void **state)
{
    (void)state;
    struct desk *d = foreign(&shared);
    struct desk *blank = desk_new(DF_EV2, false, "uid-aid-system");
    blank->job = d->job;
    refused(blank, PROFILE_GOAL_TAKEOVER, B_E_CARD_BLOCKED);
    desk_drop(blank);
    d->job.fleet.layouts[0].key_count = 4; /* the card's application has three */
    d->job.given_count = 0;
    refused(d, PROFILE_GOAL_TAKEOVER, B_E_CARD_FOREIGN);
    desk_drop(d);
}

/* Anybody can make the application of a layout on a blank card, and give it the UID of a badge. */
static void a_factory_key_proves_a_fleet_only_where_it_was_given(void **state)
{
    (void)state;
    const struct desk_fleet made_up = {
        .key = {.type = DF_KEY_AES}, .diversification = "", .is_card_factory = true};
    struct desk *d = foreign(&made_up);
    d->job.given[0] = shared.key;
    refused(d, PROFILE_GOAL_TAKEOVER, B_E_CARD_FOREIGN);
    d->job.given[0] = made_up.key;
    good(d, PROFILE_GOAL_TAKEOVER);
    desk_drop(d);
}

static void what_a_takeover_cannot_end_it_does_not_begin(void **state)
{
    (void)state;
    struct desk *d = foreign(&shared);
    d->picc.mem.settings = 0x0E;
    refused(d, PROFILE_GOAL_TAKEOVER, B_E_CARD_BLOCKED);
    desk_drop(d);
    d = desk_new(DF_EV2, true, "uid-aid-system");
    struct desk_fleet gone = shared;
    gone.is_card_factory = gone.deletes = true;
    desk_make_foreign(d, &gone);
    refused(d, PROFILE_GOAL_TAKEOVER, B_E_CARD_BLOCKED);
    desk_drop(d);
}

/* Their application has the number of ours: its keys are changed where they are. */
static void an_application_of_the_same_number_is_taken_over_in_place(void **state)
{
    (void)state;
    struct desk *d = desk_new(DF_EV2, false, "uid-aid-system");
    good(d, PROFILE_GOAL_REACH);
    for (uint8_t i = 0; i < 4; i++)
        memcpy(d->picc.mem.keys[desk_app(d)->first_key + i].bytes, shared.key.bytes, 16);
    refused(d, PROFILE_GOAL_REACH, B_E_CARD_FOREIGN);
    d->job.given_count = 1;
    d->job.given[0] = shared.key;
    good(d, PROFILE_GOAL_TAKEOVER);
    good(d, PROFILE_GOAL_TAP);
    desk_drop(d);
}

/* Others may have left the changing of keys to none of them, or to one that is not there. */
static void keys_that_no_key_may_change_are_taken_over_all_the_same(void **state)
{
    (void)state;
    static const uint8_t rights[] = {0xF, 0x9, 0x2, 0xE};
    for (size_t i = 0; i < B_COUNT(rights); i++) {
        struct desk *d = desk_new(DF_EV2, false, "uid-aid-system");
        good(d, PROFILE_GOAL_REACH);
        for (uint8_t n = 0; n < 4; n++)
            memcpy(d->picc.mem.keys[desk_app(d)->first_key + n].bytes, shared.key.bytes, 16);
        union {
            const struct picc_app *in;
            struct picc_app *out;
        } app = {.in = desk_app(d)};
        app.out->settings = (uint8_t)(rights[i] << 4 | 0x0B);
        d->job.given_count = 1;
        d->job.given[0] = shared.key;
        good(d, PROFILE_GOAL_TAKEOVER);
        good(d, PROFILE_GOAL_TAP);
        desk_drop(d);
    }
}

/* A key that all badges share opens its UID, then those that are made of it. */
static void a_card_that_hides_its_uid_tells_it_to_a_key_of_theirs(void **state)
{
    (void)state;
    struct desk_fleet hidden = derived;
    hidden.hides_uid = true;
    hidden.uid_key = (struct df_key){.type = DF_KEY_2K3DES, .bytes = {6, 6, 6}};
    for (enum df_ev ev = DF_EV1; ev <= DF_EV3; ev++) {
        struct desk *d = desk_new(ev, false, "serial");
        desk_make_foreign(d, &hidden);
        good(d, PROFILE_GOAL_SCAN);
        const struct profile_state *s = profile_run_state(d->run);
        assert_true(s->is_random_uid && s->uid_len == 7);
        assert_memory_equal(s->uid, d->picc.mem.personality.uid, 7);
        assert_int_equal(s->old.kind, PROFILE_KEY_DERIVED);
        assert_int_equal(s->card_key.kind, PROFILE_KEY_DERIVED);
        unsigned apdus = d->apdus;
        good(d, PROFILE_GOAL_UID);
        assert_true(profile_run_state(d->run)->uid_len == 7 && d->apdus < apdus / 2);
        good(d, PROFILE_GOAL_TAKEOVER);
        good(d, PROFILE_GOAL_TAP);
        good(d, PROFILE_GOAL_UID); /* ours by now */
        desk_drop(d);
    }
}

static void without_such_a_key_it_is_left_as_it_is(void **state)
{
    (void)state;
    struct desk_fleet hidden = derived;
    hidden.hides_uid = true;
    struct desk *d = desk_new(DF_EV2, false, "serial");
    desk_make_foreign(d, &hidden);
    d->job.fleet.layouts[0].has_uid_key = false;
    refused(d, PROFILE_GOAL_UID, B_E_CARD_FOREIGN);
    assert_non_null(strstr(d->err.msg, "uid-key"));
    refused(d, PROFILE_GOAL_TAKEOVER, B_E_CARD_FOREIGN);
    desk_drop(d);
    d = desk_new(DF_EV2, false, "uid-aid-system"); /* it could never be tapped */
    desk_make_foreign(d, &hidden);
    refused(d, PROFILE_GOAL_TAKEOVER, B_E_RANDOM_UID);
    desk_drop(d);
}

/* Where the key that told the UID was changed before the takeover was torn, it is ours by then. */
static void a_hidden_uid_is_told_in_an_application_of_our_number_too(void **state)
{
    (void)state;
    enum { READ = 2 };
    struct desk *d = desk_new(DF_EV2, true, "serial");
    struct picc_memory *m = &d->picc.mem;
    good(d, PROFILE_GOAL_REACH);
    m->config |= 0x02;
    for (uint8_t i = 0; i < 4; i++)
        if (i != READ)
            memcpy(m->keys[desk_app(d)->first_key + i].bytes, shared.key.bytes, 16);
    d->job.given_count = 1;
    d->job.given[0] = shared.key;
    d->job.fleet.count = 1;
    d->job.fleet.layouts[0] = (struct profile_layout){.id = "old",
                                                      .aid = d->job.profile.aid,
                                                      .type = DF_KEY_AES,
                                                      .proof_key = 1,
                                                      .has_uid_key = true,
                                                      .uid_key = READ};
    good(d, PROFILE_GOAL_TAKEOVER);
    assert_memory_equal(profile_run_state(d->run)->uid, m->personality.uid, 7);
    good(d, PROFILE_GOAL_TAP);
    desk_drop(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_card_lives_with_stored_keys),
        cmocka_unit_test(a_badge_lives_from_blank_to_blank),
        cmocka_unit_test(steps_come_in_an_order_that_is_safe_to_cut),
        cmocka_unit_test(a_scan_plans_and_changes_nothing),
        cmocka_unit_test(a_scan_names_keys_that_others_have),
        cmocka_unit_test(a_card_of_another_establishment_is_left_alone),
        cmocka_unit_test(a_generation_that_is_not_ours_is_told),
        cmocka_unit_test(the_applications_of_others_are_listed_and_never_touched),
        cmocka_unit_test(a_serial_stays_while_the_card_key_needs_it),
        cmocka_unit_test(a_scan_shows_the_plan_of_an_enrolment_that_gives_a_serial),
        cmocka_unit_test(a_guest_asks_for_what_the_owner_gave),
        cmocka_unit_test(a_full_card_is_told_before_it_is_touched),
        cmocka_unit_test(a_random_uid_derives_no_key),
        cmocka_unit_test(a_badge_keeps_its_serial),
        cmocka_unit_test(a_tap_finds_out_what_the_store_forgot),
        cmocka_unit_test(a_factory_key_is_no_badge),
        cmocka_unit_test(a_uid_that_ends_as_padding_does_is_told_whole),
        cmocka_unit_test(a_card_that_lies_of_its_version_is_refused),
        cmocka_unit_test(a_scan_recognises_a_layout_of_others),
        cmocka_unit_test(a_takeover_leaves_keys_of_this_badge_alone),
        cmocka_unit_test(a_badge_that_no_given_key_opens_is_not_taken_over),
        cmocka_unit_test(a_blank_card_proves_nothing_of_a_fleet),
        cmocka_unit_test(a_factory_key_proves_a_fleet_only_where_it_was_given),
        cmocka_unit_test(what_a_takeover_cannot_end_it_does_not_begin),
        cmocka_unit_test(an_application_of_the_same_number_is_taken_over_in_place),
        cmocka_unit_test(keys_that_no_key_may_change_are_taken_over_all_the_same),
        cmocka_unit_test(models_survive_their_wire_form),
        cmocka_unit_test(states_and_plans_survive_their_wire_form),
        cmocka_unit_test(a_card_that_hides_its_uid_tells_it_to_a_key_of_theirs),
        cmocka_unit_test(without_such_a_key_it_is_left_as_it_is),
        cmocka_unit_test(a_hidden_uid_is_told_in_an_application_of_our_number_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
