/*
 * Every tear: each APDU of an enrolment, a re-key at the desk and inside a tap's visit, and a
 * return to blank, on EV1, EV2 and EV3, on cards of ours and of others, with UID and with serial;
 * and of a takeover, from keys that others shared or derived, of cards that hide their UID too. The
 * field is cut before the card acts on the APDU, and after it has acted but before its answer
 * arrives. After each cut every key on the card must be one that the masters and the card alone
 * give or, of a role that is stored, one that was kept; then a new run must carry the work to its
 * end. Repairs are cut too, at places spread over the run.
 *
 * A re-key and a return to blank are repaired with an empty database: no serial, no holder.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desk.h"

enum work { ENROL, REKEY, BLANK, TAP_REKEY, TAKEOVER };
static const char *const work_names[] = {"enrol", "re-key", "blank", "re-key at a tap", "takeover"};

/* What others encoded; a version byte that is the first generation's says nothing. */
static const struct desk_fleet
    aes = {.key = {.type = DF_KEY_AES, .version = 1, .bytes = {9, 8, 7}}, .diversification = ""},
    tdes = {.key = {.type = DF_KEY_2K3DES, .bytes = {2, 4, 6, 8, 10, 12, 14, 16, 18}},
            .diversification = "",
            .deletes = true},
    des = {.key = {.type = DF_KEY_2K3DES,
                   .bytes = {2, 4, 6, 8, 10, 12, 14, 16, 2, 4, 6, 8, 10, 12, 14, 16}},
           .diversification = ""},
    tdes3 = {.key = {.type = DF_KEY_3K3DES, .bytes = {2, 4, 6, 8, 10, 12, 14, 16, 18, [23] = 4}},
             .diversification = ""},
    derived = {.key = {.type = DF_KEY_AES, .bytes = {5, 5, 5}},
               .diversification = "uid-reversed-aid-key",
               .deletes = true},
    beside = {.key = {.type = DF_KEY_AES, .bytes = {9, 8, 7}},
              .diversification = "",
              .is_card_factory = true},
    hidden = {.key = {.type = DF_KEY_2K3DES, .bytes = {2, 4, 6, 8, 10, 12, 14, 16, 18}},
              .diversification = "",
              .hides_uid = true},
    hidden_derived = {.key = {.type = DF_KEY_AES, .bytes = {5, 5, 5}},
                      .diversification = "uid-reversed-aid-key",
                      .deletes = true,
                      .hides_uid = true,
                      .uid_key = {.type = DF_KEY_AES, .bytes = {6, 6, 6}}},
    hidden_beside = {.key = {.type = DF_KEY_AES, .bytes = {9, 8, 7}},
                     .diversification = "",
                     .is_card_factory = true,
                     .hides_uid = true},
    closed = {.key = {.type = DF_KEY_3K3DES, .bytes = {1, 3, [23] = 7}},
              .diversification = "",
              .is_closed = true,
              .deletes = true};

static struct {
    unsigned tears, repaired, lost;
} total;

static struct {
    const char *text;
    enum df_ev ev;
    bool is_guest;
    const char *diversification;
    const struct desk_fleet *fleet; /* NULL: a blank card */
    const char *stored;             /* roles whose keys are drawn and not derived; NULL: none */
} const cards[] = {
    {"EV1 owned", DF_EV1, false, "uid-aid-system", NULL, NULL},
    {"EV1 owned serial", DF_EV1, false, "serial", NULL, NULL},
    {"EV1 guest", DF_EV1, true, "uid-aid-system", NULL, NULL},
    {"EV1 guest serial", DF_EV1, true, "serial", NULL, NULL},
    {"EV2 owned", DF_EV2, false, "uid-aid-system", NULL, NULL},
    {"EV2 owned serial", DF_EV2, false, "serial", NULL, NULL},
    {"EV2 guest", DF_EV2, true, "uid-aid-system", NULL, NULL},
    {"EV2 guest serial", DF_EV2, true, "serial", NULL, NULL},
    {"EV3 owned", DF_EV3, false, "uid-aid-system", NULL, NULL},
    {"EV3 owned serial", DF_EV3, false, "serial", NULL, NULL},
    {"EV3 guest", DF_EV3, true, "uid-aid-system", NULL, NULL},
    {"EV3 guest serial", DF_EV3, true, "serial", NULL, NULL},
    {"EV1 shared AES key", DF_EV1, false, "uid-aid-system", &aes, NULL},
    {"EV2 shared AES key", DF_EV2, false, "uid-aid-system", &aes, NULL},
    {"EV3 shared AES key", DF_EV3, false, "uid-aid-system", &aes, NULL},
    {"EV2 shared AES key serial", DF_EV2, false, "serial", &aes, NULL},
    {"EV1 shared 3DES key, old deleted", DF_EV1, false, "uid-aid-system", &tdes, NULL},
    {"EV2 shared 3DES key, old deleted", DF_EV2, false, "uid-aid-system", &tdes, NULL},
    {"EV3 shared 3DES key, old deleted", DF_EV3, false, "uid-aid-system", &tdes, NULL},
    {"EV1 shared DES key", DF_EV1, false, "uid-aid-system", &des, NULL},
    {"EV1 shared 3K3DES key", DF_EV1, false, "uid-aid-system", &tdes3, NULL},
    {"EV2 derived AES keys, old deleted", DF_EV2, false, "uid-aid-system", &derived, NULL},
    {"EV3 shared 3K3DES key, closed card", DF_EV3, false, "uid-aid-system", &closed, NULL},
    {"EV1 factory card key", DF_EV1, false, "uid-aid-system", &beside, NULL},
    {"EV2 guest factory card key", DF_EV2, true, "uid-aid-system", &beside, NULL},
    {"EV1 random UID, shared 3DES key", DF_EV1, false, "serial", &hidden, NULL},
    {"EV2 random UID, derived AES keys", DF_EV2, false, "serial", &hidden_derived, NULL},
    {"EV3 random UID, derived AES keys", DF_EV3, false, "serial", &hidden_derived, NULL},
    {"EV3 guest random UID", DF_EV3, true, "serial", &hidden_beside, NULL},
    {"EV1 owned, auth stored", DF_EV1, false, "uid-aid-system", NULL, "auth"},
    {"EV2 owned, all stored", DF_EV2, false, "uid-aid-system", NULL, "picc,app,auth,read,write"},
    {"EV3 owned serial, all stored", DF_EV3, false, "serial", NULL, "picc,app,auth,read,write"},
    {"EV3 guest serial, stored from generation 2 on", DF_EV3, true, "serial", NULL,
     "app:2,auth:2,read:2,write:2"},
    {"EV2 shared AES key serial, all stored", DF_EV2, false, "serial", &aes,
     "picc,app,auth,read,write"},
};

static enum profile_goal goal_of(enum work work)
{
    static const enum profile_goal goals[] = {[ENROL] = PROFILE_GOAL_REACH,
                                              [REKEY] = PROFILE_GOAL_REACH,
                                              [BLANK] = PROFILE_GOAL_BLANK,
                                              [TAP_REKEY] = PROFILE_GOAL_REKEY,
                                              [TAKEOVER] = PROFILE_GOAL_TAKEOVER};
    return goals[work];
}

static bool changes_generation(enum work work)
{
    return work == REKEY || work == TAP_REKEY;
}

static enum profile_want run(struct desk *d, enum profile_goal goal, enum desk_cut cut, unsigned at)
{
    d->cut = cut;
    d->cut_at = at;
    enum profile_want want = desk_work(d, goal);
    d->cut = DESK_NO_CUT;
    return want;
}

static bool is_blank(const struct desk *d)
{
    static const uint8_t zeros[DF_KEY_BYTES_MAX];
    const struct picc_memory *m = &d->picc.mem;
    return desk_app(d) == NULL && m->settings == 0x0F && m->key_type == DF_KEY_2K3DES &&
           m->master.version == 0 && memcmp(m->master.bytes, zeros, sizeof(zeros)) == 0;
}

/* The card is what the work wanted, and the work finds nothing more to do. */
static const char *what_is_missing(struct desk *d, enum work work)
{
    bool is_old_there = desk_old_app(d) != NULL;
    if (work == TAKEOVER && is_old_there == d->job.fleet.layouts[0].deletes)
        return "the old application is not as the fleet's description says";
    uint8_t generation = changes_generation(work) ? 2 : 1;
    const struct picc_memory *m = &d->picc.mem;
    const struct profile *p = &d->job.profile;
    uint8_t wanted = (uint8_t)((p->wants_random_uid ? 2 : 0) | (p->disables_format ? 1 : 0));
    if (run(d, goal_of(work), DESK_NO_CUT, 0) != PROFILE_DONE || d->intents > 0)
        return "a run after the repair still has work";
    if (work == BLANK)
        return is_blank(d) ? NULL : "the card is not blank";
    if (!p->is_guest && (m->master.version != generation || m->settings != p->card_settings ||
                         (m->config & wanted) != wanted))
        return "the card is not configured as the profile says";
    if (desk_app(d) == NULL || desk_app(d)->settings != p->app_settings)
        return "the application's settings are not the profile's";
    if (work == TAKEOVER && memcmp(profile_run_state(d->run)->uid, m->personality.uid, 7) != 0)
        return "its own UID is not known";
    if (run(d, PROFILE_GOAL_TAP, DESK_NO_CUT, 0) != PROFILE_DONE ||
        profile_run_tap(d->run)->generation != generation)
        return "a tap fails";
    return desk_lost_key(d);
}

static void say_lost(const struct desk *d, size_t card, enum work work, unsigned n, const char *why)
{
    if (total.lost++ < 20)
        printf("# LOST %s %s APDU %u: %s (%s)\n", cards[card].text, work_names[work], n, why,
               d->err.msg);
}

/* One tear, perhaps a second one in the repair, and what becomes of the card. */
static void tear(struct desk *d, size_t card, enum work work, const unsigned at[2],
                 const enum desk_cut cut[2])
{
    bool needs_store = work == ENROL || work == TAP_REKEY || work == TAKEOVER;
    (void)run(d, goal_of(work), cut[0], at[0]);
    total.tears++;
    const char *why = desk_lost_key(d);
    if (!needs_store)
        d->job.serial_len = d->job.holder_len = 0;
    bool is_twice = false;
    if (why == NULL && cut[1] != DESK_NO_CUT) {
        (void)run(d, goal_of(work), cut[1], at[1]);
        is_twice = d->is_cut;
        total.tears += is_twice;
        why = desk_lost_key(d);
    }
    if (why != NULL) {
        say_lost(d, card, work, at[0], why);
        return;
    }
    if (run(d, goal_of(work), DESK_NO_CUT, 0) != PROFILE_DONE) {
        say_lost(d, card, work, at[0], "the repair fails");
        return;
    }
    why = what_is_missing(d, work);
    if (why != NULL)
        say_lost(d, card, work, at[0], why);
    else
        total.repaired += is_twice ? 2 : 1;
}

/* The card before the work: blank, of others, or enrolled with generation 1. */
static void prepare(struct desk *d, size_t card, enum work work)
{
    if (work == TAKEOVER)
        desk_make_foreign(d, cards[card].fleet);
    else if (work != ENROL)
        b_check(run(d, PROFILE_GOAL_REACH, DESK_NO_CUT, 0) == PROFILE_DONE);
    desk_generation(d, changes_generation(work) ? 2 : 1);
    d->job.rekey_roles = (1 << KEY_ROLE_COUNT) - 1;
    d->job.ev_hint = d->picc.mem.personality.ev;
}

/* As the desk was, with a machine of its own. */
static void restore(struct desk *d, const struct desk *from)
{
    struct profile_run *machine = d->run;
    *d = *from;
    d->run = machine;
}

static void tear_all(size_t card, enum work work)
{
    struct desk *before =
        desk_new(cards[card].ev, cards[card].is_guest, cards[card].diversification);
    struct desk *d = desk_new(cards[card].ev, cards[card].is_guest, cards[card].diversification);
    b_check(cards[card].stored == NULL || key_stay_read(cards[card].stored, &before->stored));
    prepare(before, card, work);
    restore(d, before);
    b_check(run(d, goal_of(work), DESK_NO_CUT, 0) == PROFILE_DONE);
    unsigned apdus = d->apdus;
    for (unsigned n = 0; n < apdus; n++) {
        for (enum desk_cut c = DESK_CUT_BEFORE; c <= DESK_CUT_AFTER; c++) {
            restore(d, before);
            tear(d, card, work, (const unsigned[]){n, 0}, (const enum desk_cut[]){c, DESK_NO_CUT});
            for (unsigned m = 0; m < 4; m++) { /* the repair is torn at four places */
                restore(d, before);
                tear(d, card, work, (const unsigned[]){n, (n * 7 + m * 13 + 5) % 60},
                     (const enum desk_cut[]){c, m % 2 ? DESK_CUT_BEFORE : DESK_CUT_AFTER});
            }
        }
    }
    desk_drop(before);
    desk_drop(d);
}

int main(void)
{
    unsigned n = 0;
    for (size_t card = 0; card < B_COUNT(cards); card++) {
        bool is_foreign = cards[card].fleet != NULL;
        enum work last = is_foreign ? TAKEOVER : TAP_REKEY;
        for (enum work work = is_foreign ? TAKEOVER : ENROL; work <= last; work++) {
            unsigned lost = total.lost, tears = total.tears;
            tear_all(card, work);
            printf("%sok %u - %s, %s: %u tears\n", total.lost > lost ? "not " : "", ++n,
                   cards[card].text, work_names[work], total.tears - tears);
        }
    }
    printf("1..%u\n# %u tears, %u repaired, %u lost\n", n, total.tears, total.repaired, total.lost);
    return total.lost == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
