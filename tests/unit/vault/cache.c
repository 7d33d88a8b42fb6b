/* Keys of badges that tapped before: bounded, the longest unused leaves first, wiped when it does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vault/cache.h"

static struct vaultd_cache *cache;

static struct vaultd_cached which(uint8_t generation, uint32_t badge)
{
    static uint8_t input[8][5];
    static unsigned next;
    uint8_t *p = input[next++ % 8];
    memcpy(p, &badge, sizeof(badge));
    p[4] = 0x5C;
    return (struct vaultd_cached){generation, b_rd_from(p, 5)};
}

static void put(uint8_t generation, uint32_t badge)
{
    uint8_t key[16] = {0xAB, generation};
    const struct vaultd_cached w = which(generation, badge);
    memcpy(key + 4, &badge, sizeof(badge));
    vaultd_cache_put(cache, &w, key);
}

static bool has(uint8_t generation, uint32_t badge)
{
    uint8_t key[16] = {0};
    uint8_t want[16] = {0xAB, generation};
    const struct vaultd_cached w = which(generation, badge);
    memcpy(want + 4, &badge, sizeof(badge));
    if (!vaultd_cache_get(cache, &w, key))
        return false;
    assert_memory_equal(key, want, sizeof(want));
    return true;
}

/* The mapping of a small one, a page, searched for what keys begin with. */
static unsigned keys_in_memory(void)
{
    enum { PAGE = 4096 };
    const uint8_t *p = (const uint8_t *)cache;
    unsigned found = 0;
    for (size_t i = 0; i + 3 < PAGE; i++)
        found += p[i] == 0xAB && p[i + 2] == 0 && p[i + 3] == 0 ? 1 : 0;
    return found;
}

static void make(uint32_t entries)
{
    assert_int_equal(b_secret_init(1 << 20, false, NULL), B_OK);
    assert_int_equal(vaultd_cache_new(entries, &cache, NULL), B_OK);
    assert_int_equal(vaultd_cache_count(cache), 0);
}

static int drop(void **state)
{
    (void)state;
    vaultd_cache_free(&cache);
    return 0;
}

static void the_badge_that_was_not_used_for_longest_leaves(void **state)
{
    (void)state;
    make(3);
    put(1, 10);
    put(1, 11);
    put(1, 12);
    assert_true(has(1, 10)); /* used: 11 is now the oldest */
    put(1, 13);
    assert_int_equal(vaultd_cache_count(cache), 3);
    assert_false(has(1, 11));
    assert_true(has(1, 10));
    assert_true(has(1, 12));
    assert_true(has(1, 13));
}

static void it_stays_within_its_bound_and_finds_what_it_has(void **state)
{
    (void)state;
    enum { ENTRIES = 1000, BADGES = 5000 };
    make(ENTRIES);
    for (uint32_t i = 0; i < BADGES; i++) {
        put((uint8_t)(i % 3 + 1), i);
        assert_true(has((uint8_t)(i % 3 + 1), i));
    }
    assert_int_equal(vaultd_cache_count(cache), ENTRIES);
    for (uint32_t i = 0; i < BADGES; i++)
        assert_int_equal(has((uint8_t)(i % 3 + 1), i), i >= BADGES - ENTRIES);
}

static void the_same_badge_takes_one_place(void **state)
{
    (void)state;
    make(4);
    put(1, 10);
    put(1, 10);
    assert_int_equal(vaultd_cache_count(cache), 1);
    put(2, 10); /* of another generation it is another key */
    assert_int_equal(vaultd_cache_count(cache), 2);
}

static void what_leaves_is_wiped(void **state)
{
    (void)state;
    make(2);
    put(1, 10);
    put(1, 11);
    assert_int_equal(keys_in_memory(), 2);
    put(1, 12);
    assert_int_equal(keys_in_memory(), 2);
    vaultd_cache_forget(cache, 1);
    assert_int_equal(keys_in_memory(), 0);
}

static void a_generation_is_forgotten_for_good_and_others_stay(void **state)
{
    (void)state;
    make(64);
    for (uint32_t i = 0; i < 20; i++) {
        put(1, i);
        put(2, i);
    }
    vaultd_cache_forget(cache, 1);
    assert_int_equal(vaultd_cache_count(cache), 20);
    put(1, 7); /* a tap that was under way */
    for (uint32_t i = 0; i < 20; i++) {
        assert_false(has(1, i));
        assert_true(has(2, i));
    }
}

static void one_that_is_off_does_nothing(void **state)
{
    (void)state;
    assert_null(cache);
    put(1, 10);
    assert_false(has(1, 10));
    vaultd_cache_forget(cache, 1);
    assert_int_equal(vaultd_cache_count(cache), 0);
}

#define T(f) cmocka_unit_test_teardown(f, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_badge_that_was_not_used_for_longest_leaves),
        T(it_stays_within_its_bound_and_finds_what_it_has),
        T(the_same_badge_takes_one_place),
        T(what_leaves_is_wiped),
        T(a_generation_is_forgotten_for_good_and_others_stay),
        T(one_that_is_off_does_nothing),
    };
    return cmocka_run_group_tests_name("remembered keys", tests, NULL, NULL);
}
