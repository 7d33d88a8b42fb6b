/* The walk: one function saves and loads, and refuses what is cut or out of range. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/walk.h"

struct thing {
    uint8_t kind;
    uint32_t count;
    uint8_t id[3];
    char name[8];
};

static bool walk(struct b_walk *k, struct thing *t)
{
    B_WALK(k, t->kind, 5);
    B_WALK(k, t->count, UINT32_MAX);
    b_walk_bytes(k, t->id, sizeof(t->id));
    b_walk_text(k, t->name, sizeof(t->name));
    return b_walk_ok(k);
}

static size_t save(struct thing *t, uint8_t *room, size_t cap)
{
    struct b_wr w = b_wr_from(room, cap);
    return walk(&(struct b_walk){.w = &w}, t) ? w.len : 0;
}

static bool load(struct thing *t, const uint8_t *p, size_t n)
{
    struct b_rd r = b_rd_from(p, n);
    return walk(&(struct b_walk){.r = &r}, t) && b_rd_end(&r);
}

static struct thing sample(void)
{
    return (struct thing){.kind = 5, .count = 0x81828384, .id = {1, 2, 3}, .name = "badge"};
}

static void what_is_saved_is_loaded(void **state)
{
    (void)state;
    uint8_t room[64];
    struct thing before = sample(), after;
    memset(&after, 0xEE, sizeof(after));
    size_t n = save(&before, room, sizeof(room));
    assert_int_equal(n, 4 + 4 + 3 + 4 + 5);
    assert_true(load(&after, room, n));
    assert_int_equal(after.kind, before.kind);
    assert_int_equal(after.count, before.count);
    assert_memory_equal(after.id, before.id, sizeof(after.id));
    assert_string_equal(after.name, before.name);
}

static void a_cut_at_any_length_is_refused(void **state)
{
    (void)state;
    uint8_t room[64];
    struct thing t = sample();
    size_t n = save(&t, room, sizeof(room));
    for (size_t cut = 0; cut < n; cut++) {
        assert_false(load(&t, room, cut));
        t = sample();
        assert_int_equal(save(&t, room, cut), 0);
        assert_int_equal(save(&t, room, sizeof(room)), n);
    }
}

static void a_number_above_its_maximum_is_refused(void **state)
{
    (void)state;
    uint8_t room[64];
    struct thing t = sample();
    size_t n = save(&t, room, sizeof(room));
    room[0] = 6;
    assert_false(load(&t, room, n));
    assert_int_equal(t.kind, 0);
}

static void a_text_longer_than_its_room_is_refused_and_ends(void **state)
{
    (void)state;
    uint8_t room[64] = {0};
    struct thing t = sample();
    size_t n = save(&t, room, sizeof(room));
    room[11] = sizeof(t.name); /* one more than fits before the NUL */
    memset(t.name, 'x', sizeof(t.name));
    assert_false(load(&t, room, n + 3));
    assert_non_null(memchr(t.name, '\0', sizeof(t.name)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(a_cut_at_any_length_is_refused),
        cmocka_unit_test(a_number_above_its_maximum_is_refused),
        cmocka_unit_test(a_text_longer_than_its_room_is_refused_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
