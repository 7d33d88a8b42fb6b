/* The machine against the software card: enrol, tap, re-key, blank, on every kind of card. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "desfire/picc.h"
#include "profile/run.h"

struct desk {
    struct df_picc picc;
    struct profile_job job;
    struct profile_run *run;
    uint8_t seed;
    unsigned apdus;
    unsigned intents, effects;
    struct b_err err;
};

static void fill(void *ctx, uint8_t *p, size_t n)
{
    struct desk *d = ctx;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(d->seed = (uint8_t)(d->seed * 5 + 7));
}

/* Masters of a test: role and generation in every byte. */
static enum b_code badge_key(void *ctx, enum key_role role, uint8_t generation,
                             const char *diversification, const struct crypto_div_facts *facts,
                             struct df_key *ret, struct b_err *err)
{
    (void)ctx;
    uint8_t master[16], input[CRYPTO_DIV_INPUT_MAX];
    memset(master, (int)(0x10 * (role + 1) + generation), sizeof(master));
    struct crypto_key key;
    struct b_wr w = b_wr_from(input, sizeof(input));
    enum b_code r = crypto_div_input(crypto_div_find(diversification), facts, &w, err);
    if (r != B_OK)
        return r;
    crypto_key_init(&key, CRYPTO_AES128, master);
    *ret = (struct df_key){.type = DF_KEY_AES, .version = generation};
    return crypto_an10922(&key, input, w.len, ret->bytes, err);
}

static void set_profile(struct profile *p, bool is_guest, const char *diversification)
{
    *p = (struct profile){.id = "test",
                          .revision = 1,
                          .is_guest = is_guest,
                          .card_settings = 0x09,
                          .aid = 0xF51234,
                          .app_settings = 0xEB,
                          .key_count = 5,
                          .system = "HOPITAL",
                          .system_len = 7};
    for (uint8_t i = 0; i < 5; i++)
        p->keys[i] = (struct profile_key){.no = i, .role = (enum key_role)(KEY_ROLE_APP + i)};
    p->key_count = 4;
    (void)strcpy(p->diversification, diversification);
    p->files[0] = (struct profile_file){
        .no = 1,
        .content = PROFILE_CONTENT_HOLDER,
        .settings = {.type = DF_FILE_STANDARD,
                     .option = 3,
                     .comm = DF_COMM_FULL,
                     .rights = {2, 3, DF_RIGHT_NEVER, 0},
                     .size = 32},
    };
    p->files[1] = (struct profile_file){
        .no = 2,
        .content = PROFILE_CONTENT_SERIAL,
        .settings = {.type = DF_FILE_STANDARD,
                     .rights = {DF_RIGHT_FREE, 3, DF_RIGHT_NEVER, 0},
                     .size = CRYPTO_SERIAL_MAX},
    };
    p->file_count = 2;
}

static void set_generation(struct profile_job *j, uint8_t target)
{
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
        j->generations[i].target = target;
        for (uint8_t g = target; g >= 1; g--)
            j->generations[i].known[target - g] = g;
        j->generations[i].known_count = target;
    }
}

static struct desk *new_desk(enum df_ev ev, bool is_guest, const char *diversification)
{
    struct desk *d = calloc(1, sizeof(*d));
    assert_non_null(d);
    struct df_personality who = {.ev = ev, .memory = 8192, .uid = {4, 1, 2, 3, 4, 5, 6}};
    assert_true(df_picc_blank(&d->picc, &who));
    d->run = calloc(1, profile_run_size());
    assert_non_null(d->run);
    set_profile(&d->job.profile, is_guest, diversification);
    assert_int_equal(profile_check(&d->job.profile, &d->err), B_OK);
    memcpy(d->job.uid, who.uid, 7);
    d->job.uid_len = 7;
    memcpy(d->job.serial, "B-000001", 8);
    d->job.serial_len = 8;
    memcpy(d->job.holder, "10001234567", 11);
    d->job.holder_len = 11;
    set_generation(&d->job, 1);
    return d;
}

static void drop(struct desk *d)
{
    free(d->run);
    free(d);
}

/* Carries a job out on the card as it lies there. */
static enum profile_want work(struct desk *d, enum profile_goal goal)
{
    uint8_t tx[DF_CAPDU_MAX], rx[DF_RAPDU_MAX];
    struct b_wr out = b_wr_from(tx, sizeof(tx));
    struct b_wr in = b_wr_from(rx, sizeof(rx));
    struct df_random random = {fill, d};
    d->job.goal = goal;
    d->apdus = d->intents = d->effects = 0;
    df_picc_power(&d->picc, random);
    enum profile_want want =
        profile_run_start(d->run, &d->job, (struct profile_keys){badge_key, NULL}, random, &out);
    while (want != PROFILE_DONE && want != PROFILE_FAILED) {
        struct b_rd rapdu = b_rd_from(NULL, 0);
        if (want == PROFILE_TX) {
            d->apdus++;
            df_picc_step(&d->picc, b_wr_reader(&out), &in);
            rapdu = b_wr_reader(&in);
        }
        d->intents += want == PROFILE_INTENT;
        d->effects += want == PROFILE_EFFECT;
        want = profile_run_step(d->run, rapdu, &out);
    }
    d->err = *profile_run_error(d->run);
    return want;
}

static void good(struct desk *d, enum profile_goal goal)
{
    if (work(d, goal) != PROFILE_DONE)
        fail_msg("goal %d: %s", (int)goal, d->err.msg);
    assert_int_equal(d->intents, d->effects);
}

static void life_of(enum df_ev ev, bool is_guest, const char *diversification)
{
    struct desk *d = new_desk(ev, is_guest, diversification);
    good(d, PROFILE_GOAL_REACH);
    assert_true(d->intents > 5);
    good(d, PROFILE_GOAL_REACH);
    assert_int_equal(d->intents, 0);
    d->job.ev_hint = ev == DF_EV1 ? DF_EV1 : DF_EV2;
    good(d, PROFILE_GOAL_TAP);
    bool has_serial = strcmp(diversification, "serial") == 0;
    assert_int_equal(d->apdus, has_serial ? 4 : 3);
    assert_int_equal(profile_run_tap(d->run)->generation, 1);
    good(d, PROFILE_GOAL_SCAN);
    for (uint8_t i = 0; i < profile_run_plan(d->run)->note_count; i++)
        assert_true(profile_note_severity(profile_run_plan(d->run)->notes[i].id) !=
                    PROFILE_FORBIDDEN);
    set_generation(&d->job, 2);
    good(d, PROFILE_GOAL_TAP); /* an older generation is still accepted */
    assert_int_equal(profile_run_tap(d->run)->generation, 1);
    d->job.holder_len = 0;
    good(d, PROFILE_GOAL_REACH);
    assert_true(d->intents > 3);
    good(d, PROFILE_GOAL_TAP);
    assert_int_equal(profile_run_tap(d->run)->generation, 2);
    good(d, PROFILE_GOAL_BLANK);
    assert_int_equal(work(d, PROFILE_GOAL_TAP), PROFILE_FAILED);
    assert_int_equal(d->err.code, B_E_BADGE_UNKNOWN);
    memcpy(d->job.holder, "10001234567", 11);
    d->job.holder_len = 11;
    good(d, PROFILE_GOAL_REACH);
    drop(d);
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

static void a_card_of_another_establishment_is_left_alone(void **state)
{
    (void)state;
    struct desk *d = new_desk(DF_EV2, false, "uid-aid-system");
    good(d, PROFILE_GOAL_REACH);
    memcpy(d->job.profile.system, "AUTRE..", 7);
    assert_int_equal(work(d, PROFILE_GOAL_REACH), PROFILE_FAILED);
    assert_int_equal(d->err.code, B_E_CARD_FOREIGN);
    assert_int_equal(d->intents, 0);
    assert_int_equal(work(d, PROFILE_GOAL_TAP), PROFILE_FAILED);
    assert_int_equal(d->err.code, B_E_CARD_AUTH);
    drop(d);
}

static void models_survive_their_wire_form(void **state)
{
    (void)state;
    struct desk *d = new_desk(DF_EV2, false, "serial");
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
    drop(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_badge_lives_from_blank_to_blank),
        cmocka_unit_test(a_card_of_another_establishment_is_left_alone),
        cmocka_unit_test(models_survive_their_wire_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
