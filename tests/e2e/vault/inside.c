/*
 * Taps whose badge key stays in the token, with the real processes, SoftHSM2 and a software card in
 * this process. The desk's vault encodes the badge; another, for which the keys of role auth stay,
 * takes its taps. Meanwhile that vault's memory is searched for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "desfire/picc.h"
#include "memscan.h"
#include "place.h"

enum { AID = 0xF51234, AUTH_NO = 1, PATTERNS_MAX = 64, FRAME = 32 };
static const uint8_t uid[7] = {0x04, 0x78, 0x2E, 0x21, 0x80, 0x1D, 0x80};

/* --- the card --------------------------------------------------------------------------------- */

static struct df_picc picc;

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    crypto_random(p, n);
}

static void make_card(enum df_ev ev)
{
    struct df_personality who = {.ev = ev, .memory = 8192};
    memcpy(who.uid, uid, sizeof(uid));
    assert_true(df_picc_blank(&picc, &who));
    df_picc_power(&picc, (struct df_random){.fill = fill});
}

/* One native command in its ISO frame; the status byte, and the data of the answer. */
static uint8_t command(uint8_t ins, const uint8_t *data, uint8_t n, uint8_t *out, size_t cap)
{
    uint8_t capdu[64];
    uint8_t rapdu[DF_RAPDU_MAX];
    struct b_wr c = b_wr_from(capdu, sizeof(capdu));
    struct b_wr r = b_wr_from(rapdu, sizeof(rapdu));
    b_wr_u8(&c, 0x90);
    b_wr_u8(&c, ins);
    b_wr_fill(&c, 0, 2);
    b_wr_u8(&c, n);
    b_wr_bytes(&c, data, n);
    b_wr_u8(&c, 0);
    df_picc_step(&picc, b_wr_reader(&c), &r);
    assert_true(r.len >= 2 && r.len - 2 <= cap && rapdu[r.len - 2] == 0x91);
    memcpy(out, rapdu, r.len - 2);
    return rapdu[r.len - 1];
}

/* --- the desk --------------------------------------------------------------------------------- */

static struct key_stay auth_stays(uint8_t from)
{
    struct key_stay k = {0};
    k.from[KEY_ROLE_AUTH] = from;
    return k;
}

static struct vault *spawn(const char *token, struct key_stay in_token)
{
    struct vault_config config = place_config();
    config.token_uri = token;
    config.in_token = in_token;
    return place_spawn(&config);
}

static void make_job(struct profile_job *job, enum profile_goal goal)
{
    static const enum key_role roles[] = {KEY_ROLE_APP, KEY_ROLE_AUTH};
    memset(job, 0, sizeof(*job));
    struct profile *p = &job->profile;
    job->goal = goal;
    memcpy(job->uid, uid, sizeof(uid));
    job->uid_len = sizeof(uid);
    for (size_t r = 0; r < KEY_ROLE_COUNT; r++)
        job->generations[r] =
            (struct profile_generations){.target = 1, .known = {1}, .known_count = 1};
    (void)snprintf(p->id, sizeof(p->id), "test");
    (void)snprintf(p->diversification, sizeof(p->diversification), "uid-aid-system");
    p->revision = 1;
    p->aid = AID;
    p->card_settings = 0x0F;
    p->app_settings = 0x1B;
    p->system_len = 9;
    memcpy(p->system, "750712184", 9);
    for (size_t i = 0; i < B_COUNT(roles); i++)
        p->keys[p->key_count++] = (struct profile_key){.no = (uint8_t)i, .role = roles[i]};
}

static enum b_code run_job(struct vault *v, enum profile_goal goal, struct b_err *err)
{
    static struct profile_job job;
    static struct vault_event event;
    uint8_t rapdu[DF_RAPDU_MAX];
    uint32_t s = 0;
    make_job(&job, goal);
    df_picc_power(&picc, (struct df_random){.fill = fill});
    enum b_code r = vault_session_open(v, &job, &s, &event, err);
    while (r == B_OK && event.want != PROFILE_DONE) {
        struct b_wr w = b_wr_from(rapdu, sizeof(rapdu));
        if (event.want == PROFILE_TX)
            df_picc_step(&picc, b_rd_from(event.apdu, event.apdu_len), &w);
        r = vault_session_step(v, s, b_wr_reader(&w), &event, err);
    }
    return r;
}

/* Masters, those of auth made to stay, and a badge that a desk has encoded. */
static void encode_badge(enum df_ev ev)
{
    struct b_err err = {0};
    struct vault *v = spawn(place_uri, auth_stays(1));
    for (int role = 0; role < KEY_ROLE_ALL; role++) {
        struct vault_key key;
        if (vault_key_generate(v, (enum key_role)role, 1, &key, &err) != B_OK)
            fail_msg("%s", err.msg);
        assert_true(key.is_safe);
        assert_int_equal(key.derives_inside, role == KEY_ROLE_AUTH);
    }
    vault_free(&v);
    make_card(ev);
    v = spawn(place_uri, (struct key_stay){0});
    if (run_job(v, PROFILE_GOAL_REACH, &err) != B_OK)
        fail_msg("%s", err.msg);
    vault_free(&v);
}

/* --- a tap, as a station begins it ------------------------------------------------------------ */

static struct vault_tap begin_tap(enum df_auth how, const struct profile *profile)
{
    static const uint8_t aid[] = {AID & 0xFF, AID >> 8 & 0xFF, AID >> 16};
    static const uint8_t first[] = {AUTH_NO, 0};
    struct vault_tap t = {.how = how, .generation = 1, .profile = profile, .uid_len = 7};
    uint8_t none[1];
    memcpy(t.uid, uid, sizeof(uid));
    df_picc_power(&picc, (struct df_random){.fill = fill});
    assert_int_equal(command(0x5A, aid, sizeof(aid), none, sizeof(none)), 0);
    bool is_aes = how == DF_AUTH_AES;
    assert_int_equal(
        command(is_aes ? 0xAA : 0x71, first, is_aes ? 1 : 2, t.challenge, sizeof(t.challenge)),
        0xAF);
    return t;
}

static enum b_code tap(struct vault *v, enum df_auth how, bool lies, struct b_err *err)
{
    static struct profile_job job;
    uint8_t frame[FRAME];
    uint8_t proof[FRAME];
    uint32_t id = 0;
    make_job(&job, PROFILE_GOAL_TAP);
    struct vault_tap t = begin_tap(how, &job.profile);
    enum b_code r = vault_tap_open(v, &t, &id, frame, err);
    if (r != B_OK)
        return r;
    size_t n = how == DF_AUTH_AES ? 16 : sizeof(proof);
    assert_int_equal(command(0xAF, frame, sizeof(frame), proof, n), 0);
    proof[3] ^= lies ? 1 : 0;
    struct vault_proof p = {.tap = id, .proof = b_rd_from(proof, n)};
    return vault_tap_prove(v, &p, NULL, err);
}

/* --- the search ------------------------------------------------------------------------------- */

/* The keys of the application on the card and their schedules: those of roles app and auth. */
static size_t take_patterns(uint8_t patterns[PATTERNS_MAX][MEMSCAN_SIZE])
{
    static const uint8_t zeros[MEMSCAN_SIZE];
    size_t count = 0;
    for (size_t a = 0; a < PICC_APPS; a++) {
        for (size_t i = 0; picc.mem.apps[a].is_used && i < picc.mem.apps[a].key_count; i++) {
            struct crypto_key k;
            crypto_key_init(&k, CRYPTO_AES128, picc.mem.keys[picc.mem.apps[a].first_key + i].bytes);
            memcpy(patterns[count++], picc.mem.keys[picc.mem.apps[a].first_key + i].bytes, 16);
            for (size_t j = 0; j < sizeof(k.schedule) / MEMSCAN_SIZE && count < PATTERNS_MAX; j++)
                if (memcmp(k.schedule + j * MEMSCAN_SIZE, zeros, MEMSCAN_SIZE) != 0)
                    memcpy(patterns[count++], k.schedule + j * MEMSCAN_SIZE, MEMSCAN_SIZE);
            crypto_key_drop(&k);
        }
    }
    assert_true(count > 2);
    return count;
}

static int hits_in(int pid)
{
    static uint8_t patterns[PATTERNS_MAX][MEMSCAN_SIZE];
    struct memscan_hit hit;
    size_t count = take_patterns(patterns);
    int hits = memscan(pid, (const uint8_t(*)[MEMSCAN_SIZE])patterns, count, &hit);
    memset(patterns, 0, sizeof(patterns));
    assert_true(hits >= 0);
    return hits;
}

/* --- tests ------------------------------------------------------------------------------------ */

static const struct {
    enum df_ev ev;
    enum df_auth how;
} kinds[] = {
    {DF_EV1, DF_AUTH_AES},
    {DF_EV2, DF_AUTH_EV2_FIRST},
    {DF_EV3, DF_AUTH_EV2_FIRST},
    {DF_EV3, DF_AUTH_AES},
};

static void a_badge_is_tapped_by_a_key_that_stays_in_the_token(void **state)
{
    (void)state;
    struct b_err err = {0};
    for (size_t i = 0; i < B_COUNT(kinds); i++) {
        encode_badge(kinds[i].ev);
        struct vault *v = spawn(place_uri, auth_stays(1));
        if (tap(v, kinds[i].how, false, &err) != B_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(tap(v, kinds[i].how, true, &err), B_E_CARD_AUTH);
        if (tap(v, kinds[i].how, false, &err) != B_OK)
            fail_msg("%s", err.msg);
        vault_free(&v);
        (void)place_drop(NULL);
        (void)place_make(NULL);
    }
}

static void a_card_with_another_key_is_refused(void **state)
{
    (void)state;
    struct b_err err = {0};
    uint8_t frame[FRAME];
    uint8_t answer[FRAME];
    uint32_t id = 0;
    static struct profile_job job;
    encode_badge(DF_EV2);
    make_job(&job, PROFILE_GOAL_TAP);
    struct vault *v = spawn(place_uri, auth_stays(1));
    struct vault_tap t = begin_tap(DF_AUTH_EV2_FIRST, &job.profile);
    t.uid[6] ^= 1; /* so the vault derives another badge's key */
    assert_int_equal(vault_tap_open(v, &t, &id, frame, &err), B_OK);
    assert_int_equal(command(0xAF, frame, sizeof(frame), answer, sizeof(answer)),
                     DF_SW_AUTHENTICATION_ERROR);
    vault_tap_close(v, id);
    vault_free(&v);
}

/* Nothing of the key is in the vault at any moment of a tap, and nothing in the token's process
 * between its two messages. */
static void no_process_holds_the_key_while_it_is_used(void **state)
{
    (void)state;
    static struct profile_job job;
    uint8_t frame[FRAME];
    uint8_t proof[FRAME];
    uint32_t id = 0;
    struct b_err err = {0};
    encode_badge(DF_EV2);
    make_job(&job, PROFILE_GOAL_TAP);
    for (unsigned stays = 0; stays < 2; stays++) {
        struct vault *v = spawn(place_uri, auth_stays((uint8_t)stays));
        struct vault_tap t = begin_tap(DF_AUTH_EV2_FIRST, &job.profile);
        if (vault_tap_open(v, &t, &id, frame, &err) != B_OK)
            fail_msg("%s", err.msg);
        /* otherwise it is there, which shows that the search finds it */
        assert_int_equal(hits_in(vault_pid(v)) == 0, stays == 1);
        assert_int_equal(hits_in(place_token_pid(vault_pid(v))), 0);
        assert_int_equal(command(0xAF, frame, sizeof(frame), proof, sizeof(proof)), 0);
        struct vault_proof p = {.tap = id, .proof = b_rd_from(proof, sizeof(proof))};
        assert_int_equal(vault_tap_prove(v, &p, NULL, &err), B_OK);
        assert_int_equal(hits_in(vault_pid(v)), 0);
        assert_int_equal(hits_in(place_token_pid(vault_pid(v))), 0);
        vault_free(&v);
    }
}

static void every_derived_key_is_destroyed_after_torn_taps_too(void **state)
{
    (void)state;
    enum { TORN = 20 };
    static struct profile_job job;
    uint8_t frame[FRAME];
    uint32_t id = 0;
    struct b_err err = {0};
    encode_badge(DF_EV2);
    make_job(&job, PROFILE_GOAL_TAP);
    struct vault *v = spawn(place_mock, auth_stays(1));
    assert_int_equal(tap(v, DF_AUTH_EV2_FIRST, false, &err), B_OK);
    assert_int_equal(place_count("derived"), 2); /* one for each message */
    assert_int_equal(place_count("destroyed"), 2);
    for (int i = 0; i < TORN; i++) {
        struct vault_tap t = begin_tap(DF_AUTH_EV2_FIRST, &job.profile);
        assert_int_equal(vault_tap_open(v, &t, &id, frame, &err), B_OK);
        if (i % 2 == 0)
            vault_tap_close(v, id);
    }
    assert_int_equal(tap(v, DF_AUTH_EV2_FIRST, true, &err), B_E_CARD_AUTH);
    assert_int_equal(place_count("derived"), 4 + TORN);
    assert_int_equal(place_count("destroyed"), 4 + TORN);
    vault_free(&v);
}

/* Whoever took the vault over has no message that brings the key out: not for a job, and not for
 * another generation or badge. */
static void a_vault_for_taps_encodes_nothing(void **state)
{
    (void)state;
    struct b_err err = {0};
    encode_badge(DF_EV2);
    make_card(DF_EV2);
    struct vault *v = spawn(place_uri, auth_stays(1));
    assert_int_equal(run_job(v, PROFILE_GOAL_REACH, &err), B_E_KEY_STAYS);
    assert_non_null(strstr(err.msg, "auth"));
    vault_free(&v);
}

static void a_token_that_cannot_is_told_and_no_master_is_made(void **state)
{
    (void)state;
    struct b_err err = {0};
    struct vault_key key;
    struct vault_key keys[4];
    size_t n = 9;
    struct vault *v = spawn(place_mock, auth_stays(1));
    place_fault("no-inside");
    assert_int_equal(vault_key_generate(v, KEY_ROLE_AUTH, 1, &key, &err), B_E_KEY_NOT_INSIDE);
    assert_non_null(strstr(err.msg, "CKM_AES_ECB_ENCRYPT_DATA"));
    assert_int_equal(vault_key_list(v, keys, B_COUNT(keys), &n, &err), B_OK);
    assert_int_equal(n, 0);
    place_fault(NULL);
    vault_free(&v);
}

/* Generation 1 was made before the establishment turned to it; it goes on until badges follow. */
static void generations_before_are_used_as_they_were(void **state)
{
    (void)state;
    struct b_err err = {0};
    struct vault_key key;
    encode_badge(DF_EV2);
    struct vault *v = spawn(place_uri, auth_stays(2));
    assert_int_equal(tap(v, DF_AUTH_EV2_FIRST, false, &err), B_OK);
    assert_int_equal(vault_key_generate(v, KEY_ROLE_AUTH, 2, &key, &err), B_OK);
    assert_true(key.derives_inside);
    vault_free(&v);
}

static void a_token_process_killed_in_the_middle_of_a_tap_is_a_clean_error(void **state)
{
    (void)state;
    static struct profile_job job;
    uint8_t frame[FRAME];
    uint8_t proof[FRAME];
    uint32_t id = 0;
    struct b_err err = {0};
    encode_badge(DF_EV2);
    make_job(&job, PROFILE_GOAL_TAP);
    struct vault *v = spawn(place_uri, auth_stays(1));
    struct vault_tap t = begin_tap(DF_AUTH_EV2_FIRST, &job.profile);
    assert_int_equal(vault_tap_open(v, &t, &id, frame, &err), B_OK);
    assert_int_equal(command(0xAF, frame, sizeof(frame), proof, sizeof(proof)), 0);
    assert_int_equal(kill(place_token_pid(vault_pid(v)), SIGKILL), 0);
    struct vault_proof p = {.tap = id, .proof = b_rd_from(proof, sizeof(proof))};
    assert_int_equal(vault_tap_prove(v, &p, NULL, &err), B_E_TOKEN_FAILED);
    vault_look(v);
    assert_int_equal(vault_restart(v, &err), B_OK); /* as it was started: the key stays */
    assert_int_equal(tap(v, DF_AUTH_EV2_FIRST, false, &err), B_OK);
    make_card(DF_EV2);
    assert_int_equal(run_job(v, PROFILE_GOAL_REACH, &err), B_E_KEY_STAYS);
    vault_free(&v);
}

#define T(f) cmocka_unit_test_setup_teardown(f, place_make, place_drop)

int main(void)
{
    const struct CMUnitTest all[] = {
        T(a_badge_is_tapped_by_a_key_that_stays_in_the_token),
        T(a_card_with_another_key_is_refused),
        T(every_derived_key_is_destroyed_after_torn_taps_too),
        T(a_vault_for_taps_encodes_nothing),
        T(a_token_that_cannot_is_told_and_no_master_is_made),
        T(generations_before_are_used_as_they_were),
        T(a_token_process_killed_in_the_middle_of_a_tap_is_a_clean_error),
        T(no_process_holds_the_key_while_it_is_used),
    };
    struct CMUnitTest most[B_COUNT(all) - 1];
    memcpy(most, all, sizeof(most));
    if (geteuid() == 0)
        return cmocka_run_group_tests_name("keys that stay in the token", all, NULL, NULL);
    print_message("# the vault is not dumpable: its memory is searched only by root\n");
    return cmocka_run_group_tests_name("keys that stay in the token", most, NULL, NULL);
}
