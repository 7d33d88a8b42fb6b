/* Campaigns: badges follow a rotation inside their taps, torn anywhere, and what pauses them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "desk.h"
#include "service/campaign.h"

enum { WARD = 3 };
static struct desk desk;
static struct desk_card card;
static struct store_badge badge;
static struct store_campaign campaign;

static int open_desk(void **state)
{
    static unsigned number;
    char name[16];
    (void)state;
    (void)snprintf(name, sizeof(name), "7510%05u", ++number);
    desk_open(&desk, name);
    return 0;
}

static int close_desk(void **state)
{
    (void)state;
    desk_close(&desk);
    return 0;
}

static void enrol(enum df_ev ev, uint8_t uid)
{
    desk_card_new(&card, ev, uid);
    MUST(desk_enrol(&desk, &card, &badge));
}

static void rotate(enum key_role role)
{
    struct store_generation g;
    MUST(service_rotate(&desk.sv, role, &g, &desk_err));
}

static enum b_code rekey_at(int64_t station, struct channel_fault fault)
{
    struct channel *ch = desk_channel(&card, fault);
    enum b_code r = service_rekey(&desk.sv, ch, badge.id, station, &badge, &desk_err);
    channel_free(&ch);
    return r;
}

static enum b_code rekey(struct channel_fault fault)
{
    return rekey_at(WARD, fault);
}

static void reload_campaign(enum key_role role)
{
    struct store_campaign cs[KEY_ROLE_COUNT];
    size_t count = 0;
    MUST(store_campaign_open(desk.sv.store, cs, &count, &desk_err));
    for (size_t i = 0; i < count; i++)
        if (cs[i].role == role)
            campaign = cs[i];
}

static struct store_progress progress(void)
{
    struct store_progress p;
    MUST(store_campaign_progress(desk.sv.store, &campaign, &p, NULL, NULL, &desk_err));
    return p;
}

static size_t open_steps(void)
{
    struct store_intent is[16];
    size_t count = 0;
    MUST(store_intent_open(desk.sv.store, card.seen.uid, is, B_COUNT(is), &count, &desk_err));
    return count;
}

static void retire(enum key_role role, uint8_t generation)
{
    struct store_generation gs[64];
    size_t count = 0;
    MUST(store_generation_list(desk.sv.store, gs, B_COUNT(gs), &count, &desk_err));
    for (size_t i = 0; i < count; i++) {
        if (gs[i].role != role || gs[i].generation != generation)
            continue;
        gs[i].state = STORE_GENERATION_RETIRED;
        MUST(store_generation_put(desk.sv.store, &gs[i], &desk_err));
    }
}

/* The store says generation 1 of a badge that has 2, as its steps tell. A quorum writes it off. */
static void what_a_tear_left_is_mended_after_its_generation_was_retired(void **state)
{
    (void)state;
    static struct desk_card before;
    struct service_needed needed;
    unsigned at = 0;
    enrol(DF_EV2, 1);
    rotate(KEY_ROLE_APP);
    before = card;
    do
        assert_int_not_equal(rekey((struct channel_fault){.at = ++at, .after_effect = true}), B_OK);
    while (memcmp(before.picc.mem.keys, card.picc.mem.keys, sizeof(before.picc.mem.keys)) == 0);
    assert_int_equal(badge.generation[KEY_ROLE_APP], 1);
    rotate(KEY_ROLE_APP);
    for (uint8_t generation = 2; generation > 0; generation--) {
        MUST(service_generation_needed(desk.sv.store, &desk.sv.profile, KEY_ROLE_APP, generation,
                                       &needed, &desk_err));
        assert_int_equal(needed.count, 1);
        retire(KEY_ROLE_APP, generation);
    }
    MUST(desk_repair(&desk, &card, &badge));
    assert_int_equal(badge.generation[KEY_ROLE_APP], 3);
}

static uint64_t needed_by(enum key_role role, uint8_t generation)
{
    struct service_needed n;
    MUST(service_generation_needed(desk.sv.store, &desk.sv.profile, role, generation, &n,
                                   &desk_err));
    return n.count;
}

static void an_enrolment_that_was_torn_keeps_its_generation(void **state)
{
    (void)state;
    const struct service_holder holder = {.ref = "10001234567", .name = "Anne Martin"};
    const struct service_watch watch = {0};
    enum b_code r = B_OK;
    for (unsigned at = 1; needed_by(KEY_ROLE_PICC, 1) == 0; at++) {
        desk_card_new(&card, DF_EV2, (uint8_t)at);
        struct channel *ch = desk_channel(&card, (struct channel_fault){.at = at});
        r = service_enrol(&desk.sv, ch, holder, &watch, &badge, &desk_err);
        channel_free(&ch);
        desk_expect(r, B_E_CARD_REMOVED);
    }
    MUST(store_badge_by_uid(desk.sv.store, card.seen.uid, &badge, &desk_err));
    assert_int_equal(badge.state, STORE_BADGE_ENROLLING);
    rotate(KEY_ROLE_PICC);
    MUST(desk_repair(&desk, &card, &badge));
    assert_int_equal(needed_by(KEY_ROLE_PICC, 1), 0);
    assert_int_equal(needed_by(KEY_ROLE_PICC, 2), 1);
}

static void a_badge_follows_the_rotation_of_any_role_in_one_visit(void **state)
{
    (void)state;
    static const enum df_ev evs[] = {DF_EV1, DF_EV2, DF_EV3};
    for (size_t i = 0; i < B_COUNT(evs); i++)
        enrol(evs[i], (uint8_t)(1 + i));
    for (enum key_role role = 0; role < KEY_ROLE_COUNT; role++)
        rotate(role);
    desk_card_new(&card, DF_EV2, 9);
    MUST(desk_enrol(&desk, &card, &badge)); /* has the new keys already */
    reload_campaign(KEY_ROLE_APP);
    assert_int_equal(progress().done, 1);
    assert_int_equal(progress().badges, 4);
    assert_int_equal(rekey((struct channel_fault){0}), B_OK);
    reload_campaign(KEY_ROLE_APP);
    assert_int_equal(campaign.done, 0); /* nothing was to be done */
    enrol(DF_EV2, 10);
    for (enum key_role role = 0; role < KEY_ROLE_COUNT; role++)
        rotate(role);
    MUST(desk_tap(&desk, &card, &badge));
    MUST(rekey((struct channel_fault){0}));
    for (enum key_role role = 0; role < KEY_ROLE_COUNT; role++)
        assert_int_equal(badge.generation[role], 3);
    assert_string_equal(desk_last_event(&desk), "rekey ok");
    MUST(desk_tap(&desk, &card, &badge));
    assert_int_equal(badge.generation[KEY_ROLE_AUTH], 3);
    reload_campaign(KEY_ROLE_AUTH);
    assert_int_equal(campaign.generation, 3);
    assert_int_equal(campaign.done, 1);
    assert_int_equal(progress().done, 1);
    MUST(desk_repair(&desk, &card, &badge)); /* the card agrees: nothing is left to do */
    assert_int_equal(open_steps(), 0);
}

/* The person is let in before and after, and no step stays open. False when the cut is past the
 * end. */
static bool tear_and_tap(struct channel_fault fault, enum df_ev ev)
{
    static unsigned uses;
    if (uses++ % (PROFILE_GENERATIONS_MAX - 2) ==
        0) { /* each rotates: an establishment for a few */
        (void)close_desk(NULL);
        (void)open_desk(NULL);
    }
    enrol(ev, (uint8_t)(20 + uses));
    rotate(KEY_ROLE_AUTH);
    rotate(KEY_ROLE_APP);
    MUST(desk_tap(&desk, &card, &badge));
    enum b_code r = rekey(fault);
    if (r != B_OK)
        desk_expect(r, B_E_CARD_REMOVED);
    MUST(desk_tap(&desk, &card, &badge));
    MUST(rekey((struct channel_fault){0}));
    MUST(desk_tap(&desk, &card, &badge));
    assert_int_equal(open_steps(), 0);
    reload_campaign(KEY_ROLE_AUTH);
    assert_int_equal(badge.generation[KEY_ROLE_AUTH], campaign.generation);
    assert_int_equal(campaign.failed, 0); /* a card that leaves is no failure */
    reload_campaign(KEY_ROLE_APP);
    assert_int_equal(badge.generation[KEY_ROLE_APP], campaign.generation);
    return r != B_OK;
}

static void a_rekey_torn_anywhere_refuses_nobody_and_goes_on(void **state)
{
    (void)state;
    unsigned tears = 0;
    for (enum df_ev ev = DF_EV1; ev <= DF_EV2; ev++) {
        for (int after = 0; after < 2; after++) {
            struct channel_fault fault = {.after_effect = after == 1};
            do
                fault.at++;
            while (tear_and_tap(fault, ev));
            assert_true(fault.at > 10);
            tears += fault.at - 1;
        }
    }
    print_message("# %u tears, nobody refused\n", tears);
}

/* Another card lies there than the one that tapped: it cannot prove the badge's key. */
static void miss(void)
{
    static struct desk_card other;
    desk_card_new(&other, DF_EV2, 0xEE);
    struct channel *ch = desk_channel(&other, (struct channel_fault){0});
    assert_int_not_equal(service_rekey(&desk.sv, ch, badge.id, WARD, &badge, &desk_err), B_OK);
    channel_free(&ch);
}

static void too_many_failures_pause_it_and_a_person_resumes_it(void **state)
{
    (void)state;
    static int64_t ids[5];
    for (uint8_t i = 0; i < B_COUNT(ids); i++) {
        enrol(DF_EV2, (uint8_t)(0x60 + i));
        ids[i] = badge.id;
    }
    rotate(KEY_ROLE_AUTH);
    for (unsigned i = 0; i < SERVICE_CAMPAIGN_TRIES_LEAST; i++) {
        reload_campaign(KEY_ROLE_AUTH);
        assert_int_equal(campaign.state, STORE_CAMPAIGN_RUNNING);
        badge.id = ids[i % B_COUNT(ids)];
        miss();
    }
    reload_campaign(KEY_ROLE_AUTH);
    assert_int_equal(campaign.state, STORE_CAMPAIGN_PAUSED);
    assert_int_equal(campaign.failed, SERVICE_CAMPAIGN_TRIES_LEAST);
    assert_int_equal(progress().failed, B_COUNT(ids));
    assert_non_null(strstr(campaign.why, "20 of the last 20"));
    uint8_t roles = 0;
    uint32_t pace = 0;
    MUST(store_badge_by_id(desk.sv.store, ids[4], &badge, &desk_err));
    MUST(service_campaign_wants(&desk.sv, &badge, &roles, &pace, &desk_err));
    assert_int_equal(roles, 0);
    desk_expect(service_campaign_pause(&desk.sv, campaign.id, "", &campaign, &desk_err),
                B_E_BADGE_STATE);
    MUST(service_campaign_resume(&desk.sv, campaign.id, &campaign, &desk_err));
    MUST(service_campaign_wants(&desk.sv, &badge, &roles, &pace, &desk_err));
    assert_int_equal(roles, 1 << KEY_ROLE_AUTH);
    MUST(rekey((struct channel_fault){0}));
    reload_campaign(KEY_ROLE_AUTH);
    assert_int_equal(campaign.state, STORE_CAMPAIGN_RUNNING);
    assert_int_equal(progress().done, 1);
}

static void a_badge_that_keeps_failing_is_left_to_the_desk(void **state)
{
    (void)state;
    uint8_t roles = 0;
    uint32_t pace = 0;
    enrol(DF_EV2, 0x70);
    rotate(KEY_ROLE_AUTH);
    for (unsigned i = 0; i < SERVICE_CAMPAIGN_BADGE_TRIES; i++) {
        MUST(service_campaign_wants(&desk.sv, &badge, &roles, &pace, &desk_err));
        assert_int_not_equal(roles, 0);
        miss();
    }
    MUST(service_campaign_wants(&desk.sv, &badge, &roles, &pace, &desk_err));
    assert_int_equal(roles, 0);
    MUST(desk_tap(&desk, &card, &badge)); /* and its holder is let in all the same */
    MUST(desk_repair(&desk, &card, &badge));
    reload_campaign(KEY_ROLE_AUTH);
    assert_int_equal(progress().done, 1);
}

static void a_badge_that_was_revoked_meanwhile_is_left_as_it_is(void **state)
{
    (void)state;
    enrol(DF_EV2, 0x71);
    rotate(KEY_ROLE_AUTH);
    MUST(service_revoke(&desk.sv, badge.id, "lost", &desk_err));
    desk_expect(rekey((struct channel_fault){0}), B_E_BADGE_REVOKED);
    reload_campaign(KEY_ROLE_AUTH);
    assert_int_equal(progress().badges, 0); /* and needs nothing */
}

static void a_campaign_ends_with_the_next_and_keeps_its_limits(void **state)
{
    (void)state;
    rotate(KEY_ROLE_AUTH);
    reload_campaign(KEY_ROLE_AUTH);
    desk_expect(service_campaign_start(&desk.sv, KEY_ROLE_AUTH, &campaign, &desk_err),
                B_E_DUPLICATE);
    desk_expect(service_campaign_limit(&desk.sv, campaign.id, 6, 101, &campaign, &desk_err),
                B_E_BAD_INPUT);
    MUST(service_campaign_limit(&desk.sv, campaign.id, 6, 50, &campaign, &desk_err));
    int64_t first = campaign.id;
    rotate(KEY_ROLE_AUTH);
    reload_campaign(KEY_ROLE_AUTH);
    assert_int_not_equal(campaign.id, first);
    assert_int_equal(campaign.pace, 6);
    assert_int_equal(campaign.pause_percent, 50);
    MUST(service_campaign_end(&desk.sv, campaign.id, &campaign, &desk_err));
    desk_expect(service_campaign_resume(&desk.sv, campaign.id, &campaign, &desk_err),
                B_E_BADGE_STATE);
    MUST(service_campaign_start(&desk.sv, KEY_ROLE_AUTH, &campaign, &desk_err));
    assert_int_equal(campaign.state, STORE_CAMPAIGN_RUNNING);
}

static void a_role_is_not_rotated_away_from_badges_that_are_behind(void **state)
{
    (void)state;
    struct store_generation g;
    enrol(DF_EV2, 0x74);
    for (unsigned n = 1; n < PROFILE_GENERATIONS_MAX; n++)
        rotate(KEY_ROLE_AUTH);
    MUST(desk_tap(&desk, &card, &badge));
    desk_expect(service_rotate(&desk.sv, KEY_ROLE_AUTH, &g, &desk_err), B_E_GENERATION_NEEDED);
    MUST(desk_tap(&desk, &card, &badge));
    MUST(rekey((struct channel_fault){0}));
}

static void badges_that_need_a_generation_are_told_by_number(void **state)
{
    (void)state;
    struct service_needed before, after;
    enrol(DF_EV2, 0x72);
    int64_t left = badge.id;
    enrol(DF_EV2, 0x73);
    rotate(KEY_ROLE_AUTH);
    MUST(service_generation_needed(desk.sv.store, &desk.sv.profile, KEY_ROLE_AUTH, 1, &before,
                                   &desk_err));
    assert_int_equal(before.count, 2);
    MUST(rekey((struct channel_fault){0}));
    MUST(service_generation_needed(desk.sv.store, &desk.sv.profile, KEY_ROLE_AUTH, 1, &after,
                                   &desk_err));
    assert_int_equal(after.count, 1);
    assert_memory_not_equal(before.digest, after.digest, 32);
    MUST(service_revoke(&desk.sv, left, "lost", &desk_err));
    MUST(service_generation_needed(desk.sv.store, &desk.sv.profile, KEY_ROLE_AUTH, 1, &after,
                                   &desk_err));
    assert_int_equal(after.count, 0);
}

/* --- figures by groups of stations -------------------------------------------------------------
 */

static int64_t add_station(const char *name, const char *group)
{
    struct store_station t = {.state = STORE_PARTY_ACTIVE};
    (void)snprintf(t.name, sizeof(t.name), "%s", name);
    (void)snprintf(t.group, sizeof(t.group), "%s", group);
    MUST(store_station_put(desk.sv.store, &t, &desk_err));
    return t.id;
}

static void tapped(int64_t id, int64_t station, int64_t at)
{
    MUST(store_badge_by_id(desk.sv.store, id, &badge, &desk_err));
    badge.tapped_at = at;
    badge.tapped_station = station;
    MUST(store_badge_put(desk.sv.store, &badge, &desk_err));
}

struct told {
    char text[512];
    struct store_progress sum;
};

static void tell(void *ctx, const struct store_campaign_part *part)
{
    struct told *k = ctx;
    const struct store_progress *p = &part->badges;
    size_t n = strlen(k->text);
    (void)snprintf(k->text + n, sizeof(k->text) - n, "%s '%s': %d done %d seen %d not %d failed\n",
                   store_campaign_place_name(part->at), part->group, (int)p->done, (int)p->seen,
                   (int)p->not_seen, (int)p->failed);
    assert_int_equal(p->badges, p->done + p->seen + p->not_seen);
    k->sum.badges += p->badges;
    k->sum.done += p->done;
    k->sum.seen += p->seen;
    k->sum.not_seen += p->not_seen;
    k->sum.failed += p->failed;
}

static void figures_are(const char *wanted)
{
    struct told k = {.text = ""};
    struct store_progress all;
    reload_campaign(KEY_ROLE_AUTH);
    MUST(store_campaign_progress(desk.sv.store, &campaign, &all, tell, &k, &desk_err));
    assert_string_equal(k.text, wanted);
    assert_memory_equal(&k.sum, &all, sizeof(all));
}

/* By a station, wherever it taps afterwards; or by the desk that repaired it. */
static void follow_at(int64_t ward, int64_t lab)
{
    enrol(DF_EV2, 0xA0);
    rotate(KEY_ROLE_AUTH);
    reload_campaign(KEY_ROLE_AUTH);
    MUST(rekey_at(ward, (struct channel_fault){0}));
    tapped(badge.id, lab, campaign.started_at);
    figures_are("stations 'ward': 1 done 0 seen 0 not 0 failed\n");
    rotate(KEY_ROLE_AUTH);
    miss();
    MUST(desk_repair(&desk, &card, &badge));
    figures_are("desk '': 1 done 0 seen 0 not 0 failed\n");
    MUST(service_revoke(&desk.sv, badge.id, "lost", &desk_err));
    figures_are("");
}

static void each_badge_counts_where_it_was_done_or_tried_or_tapped_last(void **state)
{
    (void)state;
    enum { IN_WARD, IN_LAB, ALONE, DESKED, NOWHERE, REVOKED, COUNT };
    static int64_t ids[COUNT];
    int64_t lab = add_station("l1", "lab");
    int64_t alone = add_station("x1", "");
    int64_t ward = add_station("w1", "ward");
    assert_int_equal(ward, WARD);
    follow_at(ward, lab);
    for (uint8_t i = 0; i < COUNT; i++) {
        enrol(DF_EV2, (uint8_t)(0x80 + i));
        ids[i] = badge.id;
    }
    MUST(service_revoke(&desk.sv, ids[REVOKED], "lost", &desk_err));
    tapped(ids[IN_WARD], ward, 1);
    tapped(ids[IN_LAB], lab, 1);
    tapped(ids[ALONE], alone, 1);
    tapped(ids[DESKED], 0, 1);
    rotate(KEY_ROLE_AUTH);
    figures_are("stations '': 0 done 0 seen 1 not 0 failed\n"
                "stations 'lab': 0 done 0 seen 1 not 0 failed\n"
                "stations 'ward': 0 done 0 seen 1 not 0 failed\n"
                "desk '': 0 done 0 seen 1 not 0 failed\n"
                "never '': 0 done 0 seen 1 not 0 failed\n");
    int64_t now = campaign.started_at;
    tapped(ids[ALONE], lab, now); /* went from there to the laboratory */
    tapped(ids[IN_WARD], ward, now);
    badge.id = ids[IN_WARD];
    miss();
    tapped(ids[IN_WARD], lab, now); /* left there too early: where its try failed is what counts */
    enrol(DF_EV2, 0x90);            /* has the new key from the desk */
    figures_are("stations 'lab': 0 done 1 seen 1 not 0 failed\n"
                "stations 'ward': 0 done 1 seen 0 not 1 failed\n"
                "desk '': 1 done 0 seen 1 not 0 failed\n"
                "never '': 0 done 0 seen 1 not 0 failed\n");
}

#define AT_DESK(f) cmocka_unit_test_setup_teardown(f, open_desk, close_desk)
int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_DESK(what_a_tear_left_is_mended_after_its_generation_was_retired),
        AT_DESK(an_enrolment_that_was_torn_keeps_its_generation),
        AT_DESK(a_badge_follows_the_rotation_of_any_role_in_one_visit),
        AT_DESK(a_rekey_torn_anywhere_refuses_nobody_and_goes_on),
        AT_DESK(too_many_failures_pause_it_and_a_person_resumes_it),
        AT_DESK(a_badge_that_keeps_failing_is_left_to_the_desk),
        AT_DESK(a_badge_that_was_revoked_meanwhile_is_left_as_it_is),
        AT_DESK(a_campaign_ends_with_the_next_and_keeps_its_limits),
        AT_DESK(a_role_is_not_rotated_away_from_badges_that_are_behind),
        AT_DESK(badges_that_need_a_generation_are_told_by_number),
        AT_DESK(each_badge_counts_where_it_was_done_or_tried_or_tapped_last),
    };
    return cmocka_run_group_tests_name("campaigns", tests, desk_make_place, desk_drop_place);
}
