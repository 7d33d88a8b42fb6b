/*
 * A token that is away, and a vault that remembers the badges which have tapped: these tap on, all
 * else fails cleanly, and nothing is remembered where that was not configured.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "badge.h"
#include "place.h"

enum { REMEMBERED = 2 };
static struct badge anne, bruno, chloe;

static void make_badges(uint8_t stays_from)
{
    badge_masters(stays_from);
    badge_encode(&anne, DF_EV2, 0x81);
    badge_encode(&bruno, DF_EV1, 0x82);
    badge_encode(&chloe, DF_EV3, 0x83);
}

static enum b_code tap(struct badge *b, struct vault *v, struct b_err *err)
{
    return badge_tap(b, v, b == &bruno ? DF_AUTH_AES : DF_AUTH_EV2_FIRST, false, err);
}

static void must(struct badge *b, struct vault *v, enum b_code expected)
{
    struct b_err err = {0};
    enum b_code r = tap(b, v, &err);
    if (r != expected)
        fail_msg("%s instead of %s: %s", b_code_name(r), b_code_name(expected), err.msg);
}

static void while_the_token_is_away_known_badges_tap_and_others_fail(void **state)
{
    (void)state;
    make_badges(0);
    struct vault *v = badge_vault(place_mock, 0, REMEMBERED);
    must(&anne, v, B_OK);
    must(&bruno, v, B_OK);
    place_fault("vanish");
    for (int i = 0; i < 3; i++) {
        must(&anne, v, B_OK);
        must(&bruno, v, B_OK);
        must(&chloe, v, B_E_TOKEN_ABSENT);
    }
    assert_false(vault_has_lost_token(v)); /* its process is there, and finds the token again */
    place_fault(NULL);
    must(&chloe, v, B_OK);
    place_fault("vanish");
    must(&chloe, v, B_OK);
    must(&bruno, v, B_OK);
    must(&anne, v, B_E_TOKEN_ABSENT); /* not used for longest: her place was needed */
    place_fault(NULL);
    vault_free(&v);
}

static void when_the_tokens_process_is_killed_known_badges_tap_until_there_is_another(void **state)
{
    (void)state;
    struct b_err err = {0};
    make_badges(0);
    struct vault *v = badge_vault(place_mock, 0, REMEMBERED);
    must(&anne, v, B_OK);
    int first = vault_pid(v);
    assert_int_equal(kill(place_token_pid(first), SIGKILL), 0);
    must(&anne, v, B_OK);
    must(&chloe, v, B_E_TOKEN_FAILED);
    assert_true(vault_has_lost_token(v));
    must(&chloe, v, B_E_TOKEN_FAILED);
    must(&anne, v, B_OK);
    place_fault("vanish"); /* another one would be of no use: the old one stays */
    assert_int_equal(vault_renew(v, &err), B_E_TOKEN_ABSENT);
    assert_int_equal(vault_pid(v), first);
    must(&anne, v, B_OK);
    place_fault(NULL);
    if (vault_renew(v, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_int_not_equal(vault_pid(v), first);
    assert_false(vault_has_lost_token(v));
    must(&chloe, v, B_OK);
    must(&anne, v, B_OK);
    vault_free(&v);
}

/* Calls of other threads go on while the vault is replaced under them. */
struct caller {
    struct vault *vault;
    atomic_bool stops;
    unsigned answered, failed;
    struct b_err why; /* of the last that failed */
};

static void *call(void *arg)
{
    struct caller *c = arg;
    struct vault_key keys[8];
    size_t n = 0;
    while (!atomic_load(&c->stops)) {
        enum b_code r = vault_key_list(c->vault, keys, B_COUNT(keys), &n, &c->why);
        c->answered += r == B_OK ? 1 : 0;
        c->failed += r != B_OK ? 1 : 0;
    }
    return NULL;
}

static void a_vault_is_replaced_under_load_without_a_failed_call(void **state)
{
    (void)state;
    enum { CALLERS = 6, TIMES = 5 };
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    struct vault_config config = place_config();
    struct b_err err = {0};
    badge_masters(0);
    config.workers = 3;
    struct vault *v = place_spawn(&config);
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.vault = v};
        assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    }
    enum b_code r = B_OK;
    for (int i = 0; i < TIMES && r == B_OK; i++)
        r = vault_renew(v, &err);
    for (size_t i = 0; i < CALLERS; i++)
        atomic_store(&callers[i].stops, true);
    for (size_t i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    if (r != B_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < CALLERS; i++) {
        if (callers[i].failed != 0)
            fail_msg("%u calls failed, the last one: %s", callers[i].failed, callers[i].why.msg);
        assert_true(callers[i].answered > 0);
    }
    vault_free(&v);
}

static void without_the_cache_a_token_that_is_away_stops_every_tap_cleanly(void **state)
{
    (void)state;
    make_badges(0);
    struct vault *v = badge_vault(place_mock, 0, 0);
    must(&anne, v, B_OK);
    place_fault("vanish");
    must(&anne, v, B_E_TOKEN_ABSENT);
    must(&bruno, v, B_E_TOKEN_ABSENT);
    place_fault(NULL);
    must(&anne, v, B_OK);
    assert_int_equal(kill(place_token_pid(vault_pid(v)), SIGKILL), 0);
    must(&anne, v, B_E_TOKEN_FAILED);
    must(&anne, v, B_E_VAULT_GONE);
    vault_free(&v);
}

static void keys_that_stay_in_the_token_are_never_remembered(void **state)
{
    (void)state;
    make_badges(1);
    struct vault *v = badge_vault(place_mock, 1, REMEMBERED);
    must(&anne, v, B_OK);
    must(&anne, v, B_OK);
    place_fault("vanish");
    must(&anne, v, B_E_TOKEN_ABSENT);
    place_fault(NULL);
    assert_int_equal(kill(place_token_pid(vault_pid(v)), SIGKILL), 0);
    must(&anne, v, B_E_TOKEN_FAILED);
    must(&anne, v, B_E_VAULT_GONE); /* nobody is served by it any more */
    vault_free(&v);
}

/* Only a proof brings a key in: whoever makes up UIDs pushes nobody out. */
static void badges_that_prove_nothing_push_nobody_out(void **state)
{
    (void)state;
    uint8_t frame[BADGE_FRAME];
    uint32_t id = 0;
    struct b_err err = {0};
    make_badges(0);
    struct vault *v = badge_vault(place_mock, 0, REMEMBERED);
    must(&anne, v, B_OK);
    struct vault_tap t = badge_begin_tap(&chloe, DF_AUTH_EV2_FIRST);
    for (int i = 0; i < 50; i++) {
        t.uid[5] = (uint8_t)i;
        assert_int_equal(vault_tap_open(v, &t, &id, NULL, frame, &err), B_OK);
        vault_tap_close(v, id);
    }
    assert_int_equal(badge_tap(&chloe, v, DF_AUTH_EV2_FIRST, true, &err), B_E_CARD_AUTH);
    place_fault("vanish");
    must(&anne, v, B_OK);
    must(&chloe, v, B_E_TOKEN_ABSENT);
    place_fault(NULL);
    vault_free(&v);
}

#define T(f) cmocka_unit_test_setup_teardown(f, place_make, place_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(while_the_token_is_away_known_badges_tap_and_others_fail),
        T(when_the_tokens_process_is_killed_known_badges_tap_until_there_is_another),
        T(a_vault_is_replaced_under_load_without_a_failed_call),
        T(without_the_cache_a_token_that_is_away_stops_every_tap_cleanly),
        T(keys_that_stay_in_the_token_are_never_remembered),
        T(badges_that_prove_nothing_push_nobody_out),
    };
    return cmocka_run_group_tests_name("a token that is away", tests, NULL, NULL);
}
