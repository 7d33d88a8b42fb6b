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
#include <string.h>
#include <unistd.h>

#include "badge.h"
#include "crypto/crypto.h"
#include "memscan.h"
#include "place.h"

static struct badge badge;

static void make_badge(enum df_ev ev)
{
    badge_masters(1);
    badge_encode(&badge, ev, 0x80);
}

/* --- the search ------------------------------------------------------------------------------- */

enum { PATTERNS_MAX = 64 };

/* The keys of the application on the card and their schedules: those of roles app and auth. */
static size_t take_patterns(uint8_t patterns[PATTERNS_MAX][MEMSCAN_SIZE])
{
    static const uint8_t zeros[MEMSCAN_SIZE];
    const struct df_picc *picc = &badge.card;
    size_t count = 0;
    for (size_t a = 0; a < PICC_APPS; a++) {
        for (size_t i = 0; picc->mem.apps[a].is_used && i < picc->mem.apps[a].key_count; i++) {
            const uint8_t *key = picc->mem.keys[picc->mem.apps[a].first_key + i].bytes;
            struct crypto_key k;
            crypto_key_init(&k, CRYPTO_AES128, key);
            memcpy(patterns[count++], key, MEMSCAN_SIZE);
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

/* Nothing of the key is in the vault at any moment of a tap, and nothing in the token's process
 * between its two messages. */
static void no_process_holds_the_key_while_it_is_used(void **state)
{
    (void)state;
    uint8_t frame[BADGE_FRAME];
    uint8_t proof[BADGE_FRAME];
    uint32_t id = 0;
    struct b_err err = {0};
    make_badge(DF_EV2);
    for (unsigned stays = 0; stays < 2; stays++) {
        struct vault *v = badge_vault(place_uri, (uint8_t)stays, 0);
        struct vault_tap t = badge_begin_tap(&badge, DF_AUTH_EV2_FIRST);
        if (vault_tap_open(v, &t, &id, NULL, frame, &err) != B_OK)
            fail_msg("%s", err.msg);
        /* where it does not stay it is there, which shows that the search finds it */
        assert_int_equal(hits_in(vault_pid(v)) == 0, stays == 1);
        assert_int_equal(hits_in(place_token_pid(vault_pid(v))), 0);
        assert_int_equal(badge_command(&badge, 0xAF, frame, sizeof(frame), proof, sizeof(proof)),
                         DF_SW_OK);
        struct vault_proof p = {.tap = id, .proof = b_rd_from(proof, sizeof(proof))};
        assert_int_equal(vault_tap_prove(v, &p, NULL, &err), B_OK);
        assert_int_equal(hits_in(vault_pid(v)), 0);
        assert_int_equal(hits_in(place_token_pid(vault_pid(v))), 0);
        vault_free(&v);
    }
}

/* --- taps ------------------------------------------------------------------------------------- */

static void check_taps(enum df_ev ev, enum df_auth how)
{
    struct b_err err = {0};
    make_badge(ev);
    struct vault *v = badge_vault(place_uri, 1, 0);
    if (badge_tap(&badge, v, how, false, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(badge_tap(&badge, v, how, true, &err), B_E_CARD_AUTH);
    if (badge_tap(&badge, v, how, false, &err) != B_OK)
        fail_msg("%s", err.msg);
    vault_free(&v);
}

static void an_ev1_badge_is_tapped_by_a_key_that_stays_in_the_token(void **state)
{
    (void)state;
    check_taps(DF_EV1, DF_AUTH_AES);
}

static void an_ev2_badge_is_tapped_by_a_key_that_stays_in_the_token(void **state)
{
    (void)state;
    check_taps(DF_EV2, DF_AUTH_EV2_FIRST);
}

static void an_ev3_badge_is_tapped_by_a_key_that_stays_in_the_token(void **state)
{
    (void)state;
    check_taps(DF_EV3, DF_AUTH_EV2_FIRST);
}

/* As `tessere tap` does it: the vault runs the reader's side, and asks a card that refuses the
 * newer authentication for the older one. */
static void a_session_taps_by_a_key_that_stays_in_the_token(void **state)
{
    (void)state;
    static const enum df_ev kinds[] = {DF_EV1, DF_EV2, DF_EV3};
    struct b_err err = {0};
    badge_masters(1);
    struct vault *v = badge_vault(place_mock, 1, 0);
    for (uint8_t i = 0; i < B_COUNT(kinds); i++) {
        badge_encode(&badge, kinds[i], (uint8_t)(0x80 + i));
        if (badge_job(&badge, v, PROFILE_GOAL_TAP, &err) != B_OK)
            fail_msg("%s", err.msg);
        badge.uid[6] ^= 0x40; /* so the vault derives another badge's key */
        assert_int_equal(badge_job(&badge, v, PROFILE_GOAL_TAP, &err), B_E_CARD_AUTH);
    }
    assert_true(place_count("derived") > 0);
    assert_int_equal(place_count("derived"), place_count("destroyed"));
    place_fault("vanish");
    badge.uid[6] ^= 0x40;
    assert_int_equal(badge_job(&badge, v, PROFILE_GOAL_TAP, &err), B_E_TOKEN_ABSENT);
    place_fault(NULL);
    vault_free(&v);
}

static void a_card_with_another_key_is_refused(void **state)
{
    (void)state;
    struct b_err err = {0};
    uint8_t frame[BADGE_FRAME];
    uint8_t answer[BADGE_FRAME];
    uint32_t id = 0;
    make_badge(DF_EV2);
    struct vault *v = badge_vault(place_uri, 1, 0);
    struct vault_tap t = badge_begin_tap(&badge, DF_AUTH_EV2_FIRST);
    t.uid[6] ^= 1; /* so the vault derives another badge's key */
    assert_int_equal(vault_tap_open(v, &t, &id, NULL, frame, &err), B_OK);
    assert_int_equal(badge_command(&badge, 0xAF, frame, sizeof(frame), answer, sizeof(answer)),
                     DF_SW_AUTHENTICATION_ERROR);
    vault_tap_close(v, id);
    vault_free(&v);
}

static void every_derived_key_is_destroyed_after_torn_taps_too(void **state)
{
    (void)state;
    enum { TORN = 20 };
    uint8_t frame[BADGE_FRAME];
    uint32_t id = 0;
    struct b_err err = {0};
    make_badge(DF_EV2);
    struct vault *v = badge_vault(place_mock, 1, 0);
    assert_int_equal(badge_tap(&badge, v, DF_AUTH_EV2_FIRST, false, &err), B_OK);
    assert_int_equal(place_count("derived"), 2); /* one for each message */
    assert_int_equal(place_count("destroyed"), 2);
    for (int i = 0; i < TORN; i++) {
        struct vault_tap t = badge_begin_tap(&badge, DF_AUTH_EV2_FIRST);
        assert_int_equal(vault_tap_open(v, &t, &id, NULL, frame, &err), B_OK);
        if (i % 2 == 0)
            vault_tap_close(v, id);
    }
    assert_int_equal(badge_tap(&badge, v, DF_AUTH_EV2_FIRST, true, &err), B_E_CARD_AUTH);
    assert_int_equal(place_count("derived"), 4 + TORN);
    assert_int_equal(place_count("destroyed"), 4 + TORN);
    vault_free(&v);
}

/* --- refusals --------------------------------------------------------------------------------- */

/* Whoever took the vault over has no message that brings the key out. */
static void a_vault_for_taps_encodes_nothing(void **state)
{
    (void)state;
    struct b_err err = {0};
    badge_masters(1);
    badge_blank(&badge, DF_EV2, 0x80);
    struct vault *v = badge_vault(place_uri, 1, 0);
    assert_int_equal(badge_job(&badge, v, PROFILE_GOAL_REACH, &err), B_E_KEY_STAYS);
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
    struct vault *v = badge_vault(place_mock, 1, 0);
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
    badge_masters(0);
    badge_encode(&badge, DF_EV2, 0x80);
    struct vault *v = badge_vault(place_uri, 2, 0);
    assert_int_equal(badge_tap(&badge, v, DF_AUTH_EV2_FIRST, false, &err), B_OK);
    assert_int_equal(vault_key_generate(v, KEY_ROLE_AUTH, 2, &key, &err), B_OK);
    assert_true(key.derives_inside);
    vault_free(&v);
    v = badge_vault(place_uri, 1, 0); /* a promise that generation 1 cannot keep */
    assert_int_equal(badge_tap(&badge, v, DF_AUTH_EV2_FIRST, false, &err), B_E_KEY_NOT_INSIDE);
    assert_non_null(strstr(err.msg, "CKA_DERIVE"));
    vault_free(&v);
}

static void a_token_process_killed_in_the_middle_of_a_tap_is_a_clean_error(void **state)
{
    (void)state;
    uint8_t frame[BADGE_FRAME];
    uint8_t proof[BADGE_FRAME];
    uint32_t id = 0;
    struct b_err err = {0};
    make_badge(DF_EV2);
    struct vault *v = badge_vault(place_uri, 1, 0);
    struct vault_tap t = badge_begin_tap(&badge, DF_AUTH_EV2_FIRST);
    assert_int_equal(vault_tap_open(v, &t, &id, NULL, frame, &err), B_OK);
    assert_int_equal(badge_command(&badge, 0xAF, frame, sizeof(frame), proof, sizeof(proof)),
                     DF_SW_OK);
    assert_int_equal(kill(place_token_pid(vault_pid(v)), SIGKILL), 0);
    struct vault_proof p = {.tap = id, .proof = b_rd_from(proof, sizeof(proof))};
    assert_int_equal(vault_tap_prove(v, &p, NULL, &err), B_E_TOKEN_FAILED);
    assert_int_equal(vault_restart(v, &err), B_OK); /* as it was started: the key stays */
    assert_int_equal(badge_tap(&badge, v, DF_AUTH_EV2_FIRST, false, &err), B_OK);
    badge_blank(&badge, DF_EV2, 0x81);
    assert_int_equal(badge_job(&badge, v, PROFILE_GOAL_REACH, &err), B_E_KEY_STAYS);
    vault_free(&v);
}

#define T(f) cmocka_unit_test_setup_teardown(f, place_make, place_drop)

int main(void)
{
    const struct CMUnitTest all[] = {
        T(an_ev1_badge_is_tapped_by_a_key_that_stays_in_the_token),
        T(an_ev2_badge_is_tapped_by_a_key_that_stays_in_the_token),
        T(an_ev3_badge_is_tapped_by_a_key_that_stays_in_the_token),
        T(a_session_taps_by_a_key_that_stays_in_the_token),
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
