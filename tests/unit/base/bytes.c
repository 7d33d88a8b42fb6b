/* Cursors: what is written is read; a failure sticks; hex both ways; constant-time comparison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/bytes.h"

/* One of each kind of field: 1 + 2 + 3 + 4 + 8 + 2 + 4 + 5 bytes. */
enum { ALL = 29 };

static void write_all(struct b_wr *w)
{
    b_wr_u8(w, 0x81);
    b_wr_le16(w, 0x8182);
    b_wr_le24(w, 0x818283);
    b_wr_le32(w, 0x81828384);
    b_wr_le64(w, 0x8182838485868788);
    b_wr_be16(w, 0x8182);
    b_wr_be32(w, 0x81828384);
    b_wr_bytes(w, "\x91\x92\x93", 3);
    b_wr_fill(w, 0xA5, 2);
}

/* True when every field has the value that write_all gave it. */
static bool read_all(struct b_rd *r)
{
    uint8_t tail[5];
    bool is_same = b_rd_u8(r) == 0x81;
    is_same &= b_rd_le16(r) == 0x8182;
    is_same &= b_rd_le24(r) == 0x818283;
    is_same &= b_rd_le32(r) == 0x81828384;
    is_same &= b_rd_le64(r) == 0x8182838485868788;
    is_same &= b_rd_be16(r) == 0x8182;
    is_same &= b_rd_be32(r) == 0x81828384;
    b_rd_bytes(r, tail, sizeof(tail));
    return is_same & (memcmp(tail, "\x91\x92\x93\xA5\xA5", sizeof(tail)) == 0);
}

static void fields_lie_in_the_order_and_byte_order_of_their_names(void **state)
{
    (void)state;
    static const uint8_t want[ALL] = {0x81, 0x82, 0x81, 0x83, 0x82, 0x81, 0x84, 0x83, 0x82, 0x81,
                                      0x88, 0x87, 0x86, 0x85, 0x84, 0x83, 0x82, 0x81, 0x81, 0x82,
                                      0x81, 0x82, 0x83, 0x84, 0x91, 0x92, 0x93, 0xA5, 0xA5};
    uint8_t room[ALL];
    struct b_wr w = b_wr_from(room, sizeof(room));
    write_all(&w);
    assert_true(b_wr_ok(&w));
    assert_int_equal(w.len, ALL);
    assert_memory_equal(room, want, ALL);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t room[ALL];
    struct b_wr w = b_wr_from(room, sizeof(room));
    write_all(&w);
    struct b_rd r = b_wr_reader(&w);
    assert_true(read_all(&r));
    assert_true(b_rd_end(&r));
}

static void a_reader_cut_at_any_length_goes_bad_and_reads_nothing_beyond(void **state)
{
    (void)state;
    uint8_t room[ALL];
    struct b_wr w = b_wr_from(room, sizeof(room));
    write_all(&w);
    for (size_t n = 0; n < ALL; n++) {
        uint8_t exact[ALL]; /* what lies after the cut would show as a value */
        memset(exact, 0xEE, sizeof(exact));
        memcpy(exact, room, n);
        struct b_rd r = b_rd_from(exact, n);
        assert_false(read_all(&r));
        assert_false(b_rd_ok(&r));
        assert_false(b_rd_end(&r));
        assert_int_equal(r.left, 0);
    }
}

static void a_writer_without_room_writes_nothing_beyond_and_stays_bad(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < ALL; cap++) {
        uint8_t room[ALL + 1];
        memset(room, 0xEE, sizeof(room));
        struct b_wr w = b_wr_from(room, cap);
        write_all(&w);
        assert_false(b_wr_ok(&w));
        assert_true(w.len <= cap);
        for (size_t i = w.len; i < sizeof(room); i++)
            assert_int_equal(room[i], 0xEE);
        struct b_rd r = b_wr_reader(&w);
        assert_false(b_rd_ok(&r));
    }
}

static void a_failure_sticks_though_later_reads_would_fit(void **state)
{
    (void)state;
    static const uint8_t bytes[4] = {1, 2, 3, 4};
    uint8_t dst[8];
    memset(dst, 0xEE, sizeof(dst));
    struct b_rd r = b_rd_from(bytes, sizeof(bytes));
    b_rd_bytes(&r, dst, sizeof(dst));
    for (size_t i = 0; i < sizeof(dst); i++)
        assert_int_equal(dst[i], 0);
    assert_int_equal(b_rd_u8(&r), 0);
    assert_null(b_rd_direct(&r, 0));
    assert_false(b_rd_ok(&r));

    uint8_t room[4];
    struct b_wr w = b_wr_from(room, sizeof(room));
    b_wr_fill(&w, 1, 5);
    b_wr_u8(&w, 1);
    assert_null(b_wr_reserve(&w, 0));
    assert_int_equal(w.len, 0);
    assert_false(b_wr_ok(&w));
}

static void a_length_near_the_largest_number_does_not_wrap(void **state)
{
    (void)state;
    uint8_t bytes[4] = {1, 2, 3, 4};
    struct b_rd r = b_rd_from(bytes, sizeof(bytes));
    b_rd_skip(&r, 1);
    assert_null(b_rd_direct(&r, SIZE_MAX));
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    b_wr_u8(&w, 9);
    assert_null(b_wr_reserve(&w, SIZE_MAX));
    assert_false(b_wr_ok(&w));
}

static void a_part_has_bounds_of_its_own(void **state)
{
    (void)state;
    static const uint8_t bytes[4] = {1, 2, 3, 4};
    struct b_rd r = b_rd_from(bytes, sizeof(bytes));
    struct b_rd part = b_rd_take(&r, 2);
    assert_int_equal(b_rd_le16(&part), 0x0201);
    assert_true(b_rd_end(&part));
    (void)b_rd_u8(&part);
    assert_false(b_rd_ok(&part));
    assert_true(b_rd_ok(&r)); /* the whole does not suffer from its part */
    struct b_rd rest = b_rd_rest(&r);
    assert_int_equal(b_rd_be16(&rest), 0x0304);
    assert_true(b_rd_end(&r));
    part = b_rd_take(&r, 1);
    assert_false(b_rd_ok(&part));
    assert_false(b_rd_ok(&r));
    rest = b_rd_rest(&r);
    assert_false(b_rd_ok(&rest));
}

static void an_empty_reader_is_at_its_end(void **state)
{
    (void)state;
    struct b_rd r = b_rd_from(NULL, 0);
    b_rd_bytes(&r, NULL, 0);
    assert_true(b_rd_end(&r));
}

static void hex_goes_both_ways(void **state)
{
    (void)state;
    uint8_t all[256], back[256];
    char text[2 * sizeof(all) + 1];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    b_hex(text, all, sizeof(all));
    assert_int_equal(strlen(text), 2 * sizeof(all));
    assert_memory_equal(text, "000102", 6);
    assert_string_equal(text + 2 * 253, "FDFEFF");
    struct b_wr w = b_wr_from(back, sizeof(back));
    assert_true(b_unhex(&w, text));
    assert_memory_equal(back, all, sizeof(all));
    w = b_wr_from(back, sizeof(back));
    assert_true(b_unhex(&w, " 90 aF00 "));
    assert_int_equal(w.len, 3);
    assert_memory_equal(back, "\x90\xAF\x00", 3);
}

static void hex_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"0",    "0 1",          "0G",   "G0",
                                      "0x12", "001122334455", "12\n", "1:2"};
    uint8_t room[5];
    for (size_t i = 0; i < B_COUNT(bad); i++) {
        struct b_wr w = b_wr_from(room, sizeof(room));
        assert_false(b_unhex(&w, bad[i]));
    }
}

static void one_bit_makes_a_difference(void **state)
{
    (void)state;
    uint8_t a[16] = {0}, b[16] = {0};
    assert_true(b_ct_eq(a, b, sizeof(a)));
    assert_true(b_ct_eq(a, b, 0));
    for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
        b[bit / 8] = (uint8_t)(1u << bit % 8);
        assert_false(b_ct_eq(a, b, sizeof(a)));
        b[bit / 8] = 0;
    }
    memset(a, 0xEE, sizeof(a));
    b_wipe(a, sizeof(a));
    assert_true(b_ct_eq(a, b, sizeof(a)));
    b_wipe(NULL, 0);
}

/* RFC 4648 §10. */
static const struct {
    const char *text, *base64, *base64url;
} base64_rows[] = {{"", "", ""},
                   {"f", "Zg==", "Zg"},
                   {"fo", "Zm8=", "Zm8"},
                   {"foo", "Zm9v", "Zm9v"},
                   {"foob", "Zm9vYg==", "Zm9vYg"},
                   {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                   {"foobar", "Zm9vYmFy", "Zm9vYmFy"}};

static void base64_gives_the_examples_of_rfc_4648(void **state)
{
    (void)state;
    for (size_t i = 0; i < B_COUNT(base64_rows); i++) {
        char out[16];
        uint8_t back[16];
        size_t n = strlen(base64_rows[i].text), m = strlen(base64_rows[i].base64);
        assert_true(b_base64(out, sizeof(out), base64_rows[i].text, n));
        assert_string_equal(out, base64_rows[i].base64);
        assert_true(b_base64url(out, sizeof(out), base64_rows[i].text, n));
        assert_string_equal(out, base64_rows[i].base64url);
        for (size_t cap = 0; cap <= m; cap++)
            assert_false(b_base64(out, cap, base64_rows[i].text, n));
        struct b_wr w = b_wr_from(back, n);
        assert_true(b_unbase64(&w, base64_rows[i].base64, m));
        assert_int_equal(w.len, n);
        assert_memory_equal(back, base64_rows[i].text, n);
        w = b_wr_from(back, n);
        assert_true(b_unbase64url(&w, base64_rows[i].base64url, strlen(base64_rows[i].base64url)));
        assert_int_equal(w.len, n);
        assert_memory_equal(back, base64_rows[i].text, n);
        if (n > 0) {
            w = b_wr_from(back, n - 1);
            assert_false(b_unbase64(&w, base64_rows[i].base64, m));
        }
    }
    char out[8];
    assert_true(b_base64(out, sizeof(out), "\xFB\xFF\xBF", 3)); /* the last two of the alphabet */
    assert_string_equal(out, "+/+/");
    assert_true(b_base64url(out, sizeof(out), "\xFB\xFF\xBF", 3));
    assert_string_equal(out, "-_-_");
}

/* RFC 4648 §3: no other characters, no missing padding, no stray bits, padding at the end only. */
static void base64_of_another_form_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z",    "Zg",   "Zg=",  "Zh==",     "Zm9=", "Zm9v\n",   "Zm 9",
        "=Zg=", "====", "Z===", "Zg==Zg==", "-_-_", "Zm9v====", "Zg=a"};
    uint8_t back[16];
    for (size_t i = 0; i < B_COUNT(bad); i++) {
        struct b_wr w = b_wr_from(back, sizeof(back));
        assert_false(b_unbase64(&w, bad[i], strlen(bad[i])));
    }
    static const char *const bad_url[] = {"Z", "Zh", "Zm9", "Zg==", "+/+/", "Zm9vY", "Zm 9"};
    for (size_t i = 0; i < B_COUNT(bad_url); i++) {
        struct b_wr w = b_wr_from(back, sizeof(back));
        assert_false(b_unbase64url(&w, bad_url[i], strlen(bad_url[i])));
    }
    /* One spelling for each value: of 64 last characters, 4 are read. */
    size_t read = 0;
    for (int c = 1; c < 128; c++) {
        struct b_wr w = b_wr_from(back, sizeof(back));
        const char text[4] = {'Z', (char)c, '=', '='};
        read += b_unbase64(&w, text, 4);
    }
    assert_int_equal(read, 4);
}

static void characters_are_read_as_utf8_has_them(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t point; /* 0: none */
    } rows[] = {
        {"A", 'A'},
        {"\xC3\xA9", 0xE9},
        {"\xE2\x82\xAC", 0x20AC},
        {"\xF0\x9F\x98\x80", 0x1F600},
        {"\xF4\x8F\xBF\xBF", 0x10FFFF},
        {"\x80", 0},
        {"\xC0\xAF", 0},
        {"\xE0\x80\xAF", 0},
        {"\xED\xA0\x80", 0},
        {"\xF4\x90\x80\x80", 0},
        {"\xF8\x88\x80\x80\x80", 0},
        {"\xC3", 0},
        {"\xC3(", 0},
    };
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        struct b_rd r = b_rd_from(rows[i].bytes, strlen(rows[i].bytes));
        assert_int_equal(b_rd_utf8(&r), rows[i].point);
        assert_int_equal(b_rd_end(&r), rows[i].point != 0);
    }
    struct b_rd zero = b_rd_from("", 1);
    assert_int_equal(b_rd_utf8(&zero), 0);
    assert_true(b_rd_end(&zero));
    assert_int_equal(b_rd_utf8(&zero), 0);
    assert_false(b_rd_ok(&zero));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_are_read_as_utf8_has_them),
        cmocka_unit_test(fields_lie_in_the_order_and_byte_order_of_their_names),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_reader_cut_at_any_length_goes_bad_and_reads_nothing_beyond),
        cmocka_unit_test(a_writer_without_room_writes_nothing_beyond_and_stays_bad),
        cmocka_unit_test(a_failure_sticks_though_later_reads_would_fit),
        cmocka_unit_test(a_length_near_the_largest_number_does_not_wrap),
        cmocka_unit_test(a_part_has_bounds_of_its_own),
        cmocka_unit_test(an_empty_reader_is_at_its_end),
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(hex_that_is_none_is_refused),
        cmocka_unit_test(one_bit_makes_a_difference),
        cmocka_unit_test(base64_gives_the_examples_of_rfc_4648),
        cmocka_unit_test(base64_of_another_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
