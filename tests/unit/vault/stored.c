/* Stored badge keys: what is wrapped for one badge, role and generation opens for no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/crypto.h"
#include "fake_keyring.h"
#include "vault/stored.h"

static struct vaultd d;
static struct fake_keyring keyring;
static uint8_t *key; /* secret memory */

/* What the source gives first, and then random bytes. */
static uint8_t script[4][16];
static size_t script_count, script_at;

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    if (script_at < script_count)
        memcpy(p, script[script_at++], n);
    else
        crypto_random(p, n);
}

static uint64_t now_us(void)
{
    return 1;
}

static int start(void **state)
{
    (void)state;
    assert_int_equal(b_secret_init(1 << 20, false, NULL), B_OK);
    keyring = (struct fake_keyring){.fails = B_OK};
    vaultd_init(&d, fake_keyring(&keyring), (struct df_random){.fill = fill}, now_us);
    script_count = script_at = 0;
    key = b_secret_alloc(16);
    return key != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    b_secret_free(key);
    vaultd_drop(&d);
    assert_int_equal(b_secret_in_use(), 0);
    return 0;
}

static struct vault_stored a_name(void)
{
    return (struct vault_stored){.role = KEY_ROLE_AUTH,
                                 .generation = 3,
                                 .badge = {'u', 4, 1, 2, 3, 4, 5, 6},
                                 .badge_len = 8};
}

static enum b_code open_key(const struct vault_stored *k)
{
    struct b_err err;
    return vaultd_stored_open(&d, k, key, &err);
}

static void a_drawn_key_opens_as_itself(void **state)
{
    (void)state;
    struct vault_stored k = a_name();
    struct b_err err;
    script_count = 1;
    memset(script[0], 0x77, sizeof(script[0]));
    assert_int_equal(vaultd_stored_draw(&d, &k, &err), B_OK);
    assert_int_equal(open_key(&k), B_OK);
    assert_memory_equal(key, script[0], 16);
}

/* Every field of its name, each byte of the badge, and each bit of the wrapped key. */
static void a_key_that_was_moved_or_altered_is_refused(void **state)
{
    (void)state;
    struct vault_stored k = a_name();
    struct b_err err;
    assert_int_equal(vaultd_stored_draw(&d, &k, &err), B_OK);
    struct vault_stored other = k;
    for (unsigned role = 0; role < KEY_ROLE_COUNT; role++) {
        other.role = (enum key_role)role;
        assert_int_equal(open_key(&other), role == KEY_ROLE_AUTH ? B_OK : B_E_STORED_KEY_BROKEN);
    }
    other = k;
    for (unsigned g = 1; g <= KEY_GENERATION_MAX; g++) {
        other.generation = (uint8_t)g;
        assert_int_equal(open_key(&other), g == 3 ? B_OK : B_E_STORED_KEY_BROKEN);
    }
    other = k;
    for (other.badge_len = 1; other.badge_len <= VAULT_STORED_BADGE; other.badge_len++)
        assert_int_equal(open_key(&other), other.badge_len == 8 ? B_OK : B_E_STORED_KEY_BROKEN);
    for (size_t bit = 0; bit < 64; bit++) {
        other = k;
        other.badge[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(open_key(&other), B_E_STORED_KEY_BROKEN);
    }
    for (size_t bit = 0; bit < 8 * sizeof(k.wrapped); bit++) {
        other = k;
        other.wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(open_key(&other), B_E_STORED_KEY_BROKEN);
    }
    assert_int_equal(open_key(&k), B_OK);
}

static void a_serial_is_no_uid(void **state)
{
    (void)state;
    struct crypto_div_facts facts = {.uid = {1, 2, 3, 4, 5, 6, 7},
                                     .uid_len = 7,
                                     .serial = {1, 2, 3, 4, 5, 6, 7},
                                     .serial_len = 7};
    uint8_t by_uid[VAULT_STORED_BADGE], by_serial[VAULT_STORED_BADGE];
    assert_int_equal(vault_stored_badge(crypto_div_find("uid-aid-system"), &facts, by_uid), 8);
    assert_int_equal(vault_stored_badge(crypto_div_find("serial"), &facts, by_serial), 8);
    assert_memory_not_equal(by_uid, by_serial, 8);
}

/* Names drawn at random, each opened by its own name and by the others'. */
static void no_two_names_share_a_wrapping_key(void **state)
{
    (void)state;
    enum { COUNT = 24 };
    struct vault_stored ks[COUNT];
    struct b_err err;
    for (size_t i = 0; i < COUNT; i++) {
        uint8_t r[3 + VAULT_STORED_BADGE];
        crypto_random(r, sizeof(r));
        ks[i] = (struct vault_stored){.role = (enum key_role)(r[0] % KEY_ROLE_COUNT),
                                      .generation = (uint8_t)(r[1] | 1),
                                      .badge_len = (uint8_t)(8 + r[2] % 10)};
        memcpy(ks[i].badge, r + 3, ks[i].badge_len);
        assert_int_equal(vaultd_stored_draw(&d, &ks[i], &err), B_OK);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++) {
            struct vault_stored moved = ks[i];
            memcpy(moved.wrapped, ks[j].wrapped, sizeof(moved.wrapped));
            assert_int_equal(open_key(&moved), i == j ? B_OK : B_E_STORED_KEY_BROKEN);
        }
}

static void weak_keys_are_drawn_again(void **state)
{
    (void)state;
    struct vault_stored k = a_name();
    struct b_err err;
    memset(script[0], 0, 16);
    memcpy(script[1], profile_known_key(0), 16);
    memcpy(script[2], profile_known_key(profile_known_key_count() - 1), 16);
    memset(script[3], 0x42, 16);
    script_count = 4;
    assert_int_equal(vaultd_stored_draw(&d, &k, &err), B_OK);
    assert_int_equal(script_at, 4);
    assert_int_equal(open_key(&k), B_OK);
    assert_memory_equal(key, script[3], 16);
}

static void zeros(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 0, n);
}

static void a_source_that_is_not_random_gives_no_key(void **state)
{
    (void)state;
    struct vault_stored k = a_name();
    struct b_err err;
    d.random.fill = zeros;
    assert_int_equal(vaultd_stored_draw(&d, &k, &err), B_E_CRYPTO_BROKEN);
}

static void a_token_that_fails_is_told(void **state)
{
    (void)state;
    struct vault_stored k = a_name();
    struct b_err err;
    keyring.fails = B_E_TOKEN_FAILED;
    assert_int_equal(vaultd_stored_draw(&d, &k, &err), B_E_TOKEN_FAILED);
    assert_int_equal(open_key(&k), B_E_TOKEN_FAILED);
}

/* --- what a session was handed -----------------------------------------------------------------
 */

static enum b_code hand_key(struct vaultd_hand *h, bool may_draw)
{
    struct vault_stored k = a_name();
    struct b_err err;
    return vaultd_hand_key(&d, h, &k, may_draw, key, &err);
}

static enum b_code give(struct vaultd_hand *h, const uint8_t *p, size_t n)
{
    struct b_err err;
    return vaultd_hand_take(h, b_rd_from(p, n), &err);
}

static void a_key_is_asked_for_then_drawn_then_kept_and_only_then_had(void **state)
{
    (void)state;
    struct vaultd_hand *h = b_secret_alloc(vaultd_hand_size());
    assert_null(vaultd_hand_awaited(h));
    assert_int_equal(hand_key(h, true), B_E_KEY_AWAITED);
    assert_false(vaultd_hand_awaited(h)->is_new);
    assert_int_equal(give(h, NULL, 0), B_OK);
    assert_int_equal(hand_key(h, false), B_E_STORED_KEY_MISSING);
    assert_int_equal(hand_key(h, true), B_E_KEY_AWAITED);
    assert_true(vaultd_hand_awaited(h)->is_new);
    struct vault_stored kept = *vaultd_hand_awaited(h);
    /* It is not had before it is kept, and asked for to be kept again. */
    assert_int_equal(hand_key(h, true), B_E_KEY_AWAITED);
    assert_memory_equal(vaultd_hand_awaited(h)->wrapped, kept.wrapped, sizeof(kept.wrapped));
    assert_int_equal(give(h, NULL, 0), B_OK);
    assert_int_equal(hand_key(h, true), B_OK);
    uint8_t had[16];
    memcpy(had, key, sizeof(had));
    assert_int_equal(open_key(&kept), B_OK);
    assert_memory_equal(key, had, sizeof(had));
    b_secret_free(h);
}

static void what_is_given_in_the_place_of_a_key_is_refused(void **state)
{
    (void)state;
    static const uint8_t junk[VAULT_STORED_KEY + 1];
    for (size_t n = 1; n <= sizeof(junk); n++) {
        struct vaultd_hand *h = b_secret_alloc(vaultd_hand_size());
        assert_int_equal(hand_key(h, false), B_E_KEY_AWAITED);
        bool is_size = n == VAULT_STORED_KEY;
        assert_int_equal(give(h, junk, n), is_size ? B_OK : B_E_STORED_KEY_BROKEN);
        if (is_size)
            assert_int_equal(hand_key(h, true), B_E_STORED_KEY_BROKEN);
        b_secret_free(h);
    }
    struct vaultd_hand *h = b_secret_alloc(vaultd_hand_size());
    assert_int_equal(hand_key(h, true), B_E_KEY_AWAITED);
    assert_int_equal(give(h, NULL, 0), B_OK);
    assert_int_equal(hand_key(h, true), B_E_KEY_AWAITED);
    assert_int_equal(give(h, junk, VAULT_STORED_KEY), B_E_STORED_KEY_BROKEN); /* it drew its own */
    b_secret_free(h);
}

static void more_keys_than_there_is_room_for_are_asked_for_again(void **state)
{
    (void)state;
    struct vaultd_hand *h = b_secret_alloc(vaultd_hand_size());
    struct vault_stored k = a_name();
    struct b_err err;
    for (unsigned g = 1; g <= KEY_GENERATION_MAX; g++) {
        k.generation = (uint8_t)g;
        assert_int_equal(vaultd_hand_key(&d, h, &k, false, key, &err), B_E_KEY_AWAITED);
        assert_int_equal(vaultd_hand_awaited(h)->generation, g);
        assert_int_equal(give(h, NULL, 0), B_OK);
        assert_int_equal(vaultd_hand_key(&d, h, &k, false, key, &err), B_E_STORED_KEY_MISSING);
    }
    k.generation = 1;
    assert_int_equal(vaultd_hand_key(&d, h, &k, false, key, &err), B_E_KEY_AWAITED);
    b_secret_free(h);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_drawn_key_opens_as_itself),
        TEST(a_key_that_was_moved_or_altered_is_refused),
        TEST(a_serial_is_no_uid),
        TEST(no_two_names_share_a_wrapping_key),
        TEST(weak_keys_are_drawn_again),
        TEST(a_source_that_is_not_random_gives_no_key),
        TEST(a_token_that_fails_is_told),
        TEST(a_key_is_asked_for_then_drawn_then_kept_and_only_then_had),
        TEST(what_is_given_in_the_place_of_a_key_is_refused),
        TEST(more_keys_than_there_is_room_for_are_asked_for_again),
    };
    return cmocka_run_group_tests_name("stored keys", tests, NULL, NULL);
}
