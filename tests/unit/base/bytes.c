/* Cursors: what goes in comes out, and whoever asks for too much gets nothing, for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/base.h"

static void put_all(struct b_wr *w)
{
    b_wr_u8(w, 0x01);
    b_wr_le16(w, 0x0302);
    b_wr_le24(w, 0x060504);
    b_wr_le32(w, 0x0A090807);
    b_wr_le64(w, UINT64_C(0x1211100F0E0D0C0B));
    b_wr_be16(w, 0x1314);
    b_wr_be32(w, 0x15161718);
    b_wr_bytes(w, "\x19\x1A", 2);
}

static void numbers_stand_on_the_wire_in_the_order_their_name_says(void **state)
{
    (void)state;
    uint8_t room[26];
    struct b_wr w = b_wr_from(room, sizeof(room));
    put_all(&w);
    assert_true(b_wr_ok(&w));
    assert_int_equal(w.len, sizeof(room));
    for (uint8_t i = 0; i < sizeof(room); i++)
        assert_int_equal(room[i], i + 1);
    struct b_rd r = b_wr_reader(&w);
    uint8_t last[2];
    assert_int_equal(b_rd_u8(&r), 0x01);
    assert_int_equal(b_rd_le16(&r), 0x0302);
    assert_int_equal(b_rd_le24(&r), 0x060504);
    assert_int_equal(b_rd_le32(&r), 0x0A090807);
    assert_true(b_rd_le64(&r) == UINT64_C(0x1211100F0E0D0C0B));
    assert_int_equal(b_rd_be16(&r), 0x1314);
    assert_int_equal(b_rd_be32(&r), 0x15161718);
    b_rd_bytes(&r, last, 2);
    assert_memory_equal(last, "\x19\x1A", 2);
    assert_true(b_rd_end(&r));
}

static void a_reader_cut_anywhere_stays_bad_and_gives_zeros(void **state)
{
    (void)state;
    uint8_t room[26];
    struct b_wr w = b_wr_from(room, sizeof(room));
    put_all(&w);
    for (size_t n = 0; n < sizeof(room); n++) {
        uint8_t last[2] = {0xEE, 0xEE};
        struct b_rd r = b_rd_from(room, n);
        (void)b_rd_u8(&r);
        (void)b_rd_le16(&r);
        (void)b_rd_le24(&r);
        (void)b_rd_le32(&r);
        (void)b_rd_le64(&r);
        (void)b_rd_be16(&r);
        (void)b_rd_be32(&r);
        b_rd_bytes(&r, last, 2);
        assert_false(b_rd_ok(&r));
        assert_false(b_rd_end(&r));
        assert_int_equal(last[0] | last[1], 0);
        assert_int_equal(b_rd_u8(&r), 0);
        assert_null(b_rd_direct(&r, 1));
    }
}

static void a_writer_that_is_full_writes_nothing_more(void **state)
{
    (void)state;
    uint8_t room[27];
    for (size_t cap = 0; cap < 26; cap++) {
        memset(room, 0xEE, sizeof(room));
        struct b_wr w = b_wr_from(room, cap);
        put_all(&w);
        assert_false(b_wr_ok(&w));
        assert_true(w.len <= cap);
        for (size_t i = cap; i < sizeof(room); i++)
            assert_int_equal(room[i], 0xEE);
    }
}

static void a_sub_cursor_has_bounds_of_its_own(void **state)
{
    (void)state;
    struct b_rd r = b_rd_from("\x02"
                              "abc",
                              4);
    struct b_rd sub = b_rd_take(&r, b_rd_u8(&r));
    assert_int_equal(b_rd_u8(&sub), 'a');
    assert_int_equal(b_rd_u8(&sub), 'b');
    assert_true(b_rd_end(&sub));
    assert_int_equal(b_rd_u8(&sub), 0);
    assert_false(b_rd_ok(&sub));
    assert_int_equal(b_rd_u8(&r), 'c');
    assert_true(b_rd_end(&r));
    struct b_rd too_much = b_rd_take(&r, 1);
    assert_false(b_rd_ok(&too_much));
}

static void hex_goes_both_ways_and_refuses_what_is_not_hex(void **state)
{
    (void)state;
    uint8_t room[4];
    char text[9];
    struct b_wr w = b_wr_from(room, sizeof(room));
    assert_true(b_unhex(&w, "00 1F a0Ff"));
    b_hex(text, room, w.len);
    assert_string_equal(text, "001FA0FF");
    static const char *const bad[] = {"0", "0g", "00 1", "x", "0011223344"};
    for (size_t i = 0; i < B_COUNT(bad); i++) {
        w = b_wr_from(room, sizeof(room));
        assert_false(b_unhex(&w, bad[i]));
    }
}

static void comparing_finds_a_difference_at_every_bit(void **state)
{
    (void)state;
    uint8_t a[16] = {0}, b[16] = {0};
    assert_true(b_ct_eq(a, b, sizeof(a)));
    for (size_t bit = 0; bit < 128; bit++) {
        b[bit / 8] = (uint8_t)(1 << bit % 8);
        assert_false(b_ct_eq(a, b, sizeof(a)));
        b[bit / 8] = 0;
    }
}

static void a_walk_refuses_a_number_above_its_maximum(void **state)
{
    (void)state;
    uint8_t room[8];
    struct b_wr w = b_wr_from(room, sizeof(room));
    struct b_walk out = {.w = &w};
    uint8_t v = 9;
    B_WALK(&out, v, 255);
    assert_true(b_walk_ok(&out));
    struct b_rd r = b_wr_reader(&w);
    struct b_walk in = {.r = &r};
    B_WALK(&in, v, 8);
    assert_false(b_walk_ok(&in));
    assert_int_equal(v, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stand_on_the_wire_in_the_order_their_name_says),
        cmocka_unit_test(a_reader_cut_anywhere_stays_bad_and_gives_zeros),
        cmocka_unit_test(a_writer_that_is_full_writes_nothing_more),
        cmocka_unit_test(a_sub_cursor_has_bounds_of_its_own),
        cmocka_unit_test(hex_goes_both_ways_and_refuses_what_is_not_hex),
        cmocka_unit_test(comparing_finds_a_difference_at_every_bit),
        cmocka_unit_test(a_walk_refuses_a_number_above_its_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
