/* What a vault leaves in its memory of a key that came out of the token: nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/crypto.h"
#include "memscan.h"
#include "place.h"

enum { PATTERNS_MAX = 1 + 512 / MEMSCAN_SIZE };
static uint8_t patterns[PATTERNS_MAX][MEMSCAN_SIZE];
static size_t pattern_count;

/* The key, and its schedule for both directions in the layout that this machine's engine has. */
static void take_patterns(const uint8_t key[static 16])
{
    static const uint8_t zeros[MEMSCAN_SIZE];
    struct crypto_key k;
    static_assert(sizeof(k.schedule) <= 512, "room for every round key");
    crypto_key_init(&k, CRYPTO_AES128, key);
    memcpy(patterns[0], key, MEMSCAN_SIZE);
    pattern_count = 1;
    for (size_t i = 0; i < sizeof(k.schedule) / MEMSCAN_SIZE; i++)
        if (memcmp(k.schedule + i * MEMSCAN_SIZE, zeros, MEMSCAN_SIZE) != 0)
            memcpy(patterns[pattern_count++], k.schedule + i * MEMSCAN_SIZE, MEMSCAN_SIZE);
    assert_true(pattern_count > 10);
    crypto_key_drop(&k);
}

static void step(struct vault *v, uint32_t s, struct b_rd rapdu, struct vault_event *event)
{
    struct b_err err = {0};
    if (vault_session_step(v, s, rapdu, event, &err) != B_OK)
        fail_msg("%s", err.msg);
}

/* Runs the fake machine up to the event that holds the badge key, masked by 16 times A5. */
static uint32_t run_to_key(struct vault *v, uint8_t *key)
{
    static struct profile_job job;
    static struct vault_event event;
    static const uint8_t mask[16] = {0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5,
                                     0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5};
    uint32_t s = 0;
    struct b_err err = {0};
    job = (struct profile_job){.goal = PROFILE_GOAL_REACH, .uid_len = 7};
    memcpy(job.uid, "\x04\x78\x2E\x21\x80\x1D\x80", 7);
    if (vault_session_open(v, &job, &s, &event, &err) != B_OK)
        fail_msg("%s", err.msg);
    for (int i = 0; i < 3; i++)
        step(v, s, b_rd_from(NULL, 0), &event);
    step(v, s, b_rd_from(mask, sizeof(mask)), &event);
    assert_int_equal(event.apdu_len, 16);
    for (size_t i = 0; i < 16; i++)
        key[i] = (uint8_t)(event.apdu[i] ^ mask[i]);
    return s;
}

static void expect(int pid, bool is_there)
{
    struct memscan_hit hit = {0};
    int hits = memscan(pid, (const uint8_t(*)[MEMSCAN_SIZE])patterns, pattern_count, &hit);
    if (hits < 0)
        skip(); /* the vault is not dumpable: only root reads it */
    if (!is_there && hits > 0)
        fail_msg("%d hits, the first of pattern %zu in %s", hits, hit.pattern, hit.where);
    assert_true(!is_there || hits > 0);
}

static void nothing_of_a_key_is_left_when_its_session_ends(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault *v = place_spawn(&config);
    struct vault_key made;
    static struct vault_event event;
    uint8_t key[16];
    assert_int_equal(vault_key_generate(v, KEY_ROLE_AUTH, 1, &made, NULL), B_OK);
    uint32_t s = run_to_key(v, key);
    take_patterns(key);
    expect(vault_pid(v), true);
    step(v, s, b_rd_from(NULL, 0), &event);
    step(v, s, b_rd_from(NULL, 0), &event);
    assert_int_equal(event.want, PROFILE_DONE);
    expect(vault_pid(v), false);
    vault_free(&v);
}

static void nothing_of_a_key_is_left_when_its_session_is_closed_early(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault *v = place_spawn(&config);
    struct vault_key made;
    uint8_t key[16];
    assert_int_equal(vault_key_generate(v, KEY_ROLE_AUTH, 1, &made, NULL), B_OK);
    uint32_t s = run_to_key(v, key);
    take_patterns(key);
    vault_session_close(v, s);
    expect(vault_pid(v), false);
    vault_free(&v);
}

#define T(f) cmocka_unit_test_setup_teardown(f, place_make, place_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nothing_of_a_key_is_left_when_its_session_ends),
        T(nothing_of_a_key_is_left_when_its_session_is_closed_early),
    };
    return cmocka_run_group_tests_name("vault memory", tests, NULL, NULL);
}
