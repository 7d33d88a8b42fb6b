#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"

static struct b_csv csv;
static struct b_csv_record record;
static struct b_err err;

static void read_text(const char *text, enum b_csv_encoding encoding)
{
    b_csv_open(&csv, text, strlen(text), encoding);
}

static void expect(size_t line, const char *fields)
{
    char got[256];
    struct b_wr w = b_wr_from(got, sizeof(got));
    assert_int_equal(b_csv_next(&csv, &record, &err), B_OK);
    for (size_t i = 0; i < record.count; i++) {
        if (i > 0)
            b_wr_u8(&w, '|');
        b_wr_bytes(&w, record.fields[i], strlen(record.fields[i]));
    }
    b_wr_u8(&w, '\0');
    assert_string_equal(got, fields);
    assert_int_equal(record.line, line);
}

static void expect_end(void)
{
    assert_int_equal(b_csv_next(&csv, &record, &err), B_E_NOT_FOUND);
}

static void expect_bad(size_t line, size_t field, const char *what)
{
    assert_int_equal(b_csv_next(&csv, &record, &err), B_E_BAD_INPUT);
    assert_int_equal(record.line, line);
    assert_int_equal(record.count, field);
    assert_non_null(strstr(err.msg, what));
}

static void records_come_with_their_lines(void **state)
{
    (void)state;
    read_text("a,b\n1,2\r\n\n\r\n,\n3,4", B_CSV_UTF8);
    expect(1, "a|b");
    expect(2, "1|2");
    expect(5, "|");
    expect(6, "3|4");
    expect_end();
    expect_end();
    read_text("", B_CSV_UTF8);
    expect_end();
}

static void the_first_line_says_which_separator(void **state)
{
    (void)state;
    read_text("a;b\n1,5;2\n", B_CSV_UTF8);
    expect(1, "a|b");
    expect(2, "1,5|2");
    read_text("a,b\n1;5,2\n", B_CSV_UTF8);
    expect(1, "a|b");
    expect(2, "1;5|2");
}

static void quotes_hold_separators_quotes_and_ends_of_lines(void **state)
{
    (void)state;
    read_text("\"a,b\",\"say \"\"x\"\"\",\"\"\n\"two\r\nlines\",2,3\n4,5,6\n", B_CSV_UTF8);
    expect(1, "a,b|say \"x\"|");
    expect(2, "two lines|2|3");
    expect(4, "4|5|6");
    expect_end();
}

static void a_byte_order_mark_is_passed_over(void **state)
{
    (void)state;
    read_text("\xEF\xBB\xBFuid,ref\n1,\xC3\xA9\n", B_CSV_UTF8);
    expect(1, "uid|ref");
    expect(2, "1|\xC3\xA9");
    read_text("\xEF\xBB\xBFuid,ref\n", B_CSV_LATIN1);
    expect(1, "uid|ref");
}

static void latin1_is_named_by_byte_or_read_on_demand(void **state)
{
    (void)state;
    read_text("a,b\nx,Ren\xE9\n", B_CSV_UTF8);
    expect(1, "a|b");
    expect_bad(2, 1, "byte 6: not UTF-8");
    assert_non_null(strstr(err.msg, "--encoding latin1"));
    read_text("a,b\nx,Ren\xE9\n", B_CSV_LATIN1);
    expect(1, "a|b");
    expect(2, "x|Ren\xC3\xA9");
}

static void latin1_is_windows_1252_too(void **state)
{
    (void)state;
    read_text("Lec\x9Cur;l\x92\x80\xFF\n", B_CSV_LATIN1);
    expect(1, "Lec\xC5\x93ur|l\xE2\x80\x99\xE2\x82\xAC\xC3\xBF");
}

static void what_is_no_character_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80", "\xC3", "\t", "\x7F", "\xC2\x85"};
    for (size_t i = 0; i < B_COUNT(bad); i++) {
        read_text(bad[i], B_CSV_UTF8);
        expect_bad(1, 0, "byte 1: ");
    }
    read_text("\x81", B_CSV_LATIN1);
    expect_bad(1, 0, "byte 1: a control character");
    b_csv_open(&csv, "a\0b", 3, B_CSV_UTF8);
    expect_bad(1, 0, "byte 2: a control character");
}

static void quotes_that_do_not_fit_are_named(void **state)
{
    (void)state;
    read_text("a,\"b\nc\n", B_CSV_UTF8);
    expect_bad(1, 1, "byte 3: the quote that opens here is not closed");
    static char lines[2 * B_CSV_RECORD_MAX];
    memset(lines, '\n', sizeof(lines) - 1);
    memcpy(lines, "\na,\"b", 5);
    for (size_t i = 5; i < sizeof(lines) - 1; i += 2)
        lines[i] = 'x';
    read_text(lines, B_CSV_UTF8);
    expect_bad(2, 1, "byte 3: a record of more than");
    read_text("\"a\"b,c\n", B_CSV_UTF8);
    expect_bad(1, 0, "byte 4: text after the closing quote");
    read_text("a,b\"c\n", B_CSV_UTF8);
    expect_bad(1, 1, "byte 4: a quote inside");
}

static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    static char text[2 * B_CSV_RECORD_MAX];
    memset(text, ',', 40);
    read_text(text, B_CSV_UTF8);
    expect_bad(1, 32, "more than 32 fields");
    memset(text, 'x', sizeof(text) - 1);
    for (size_t n = B_CSV_RECORD_MAX - 2; n < B_CSV_RECORD_MAX + 2; n++) {
        b_csv_open(&csv, text, n, B_CSV_UTF8);
        enum b_code r = b_csv_next(&csv, &record, &err);
        assert_int_equal(r, n < B_CSV_RECORD_MAX ? B_OK : B_E_BAD_INPUT);
    }
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    static const char *const texts[] = {"Martin", "a, b: \"c\"", "",   "\"", "'t Hooft",
                                        "=1",     "+1",          "-1", "@x"};
    char line[128];
    for (size_t i = 0; i < B_COUNT(texts); i++) {
        struct b_wr w = b_wr_from(line, sizeof(line));
        b_csv_put(&w, texts[i]);
        b_wr_bytes(&w, ",x\n", sizeof(",x\n")); /* with its NUL */
        assert_true(b_wr_ok(&w));
        read_text(line, B_CSV_UTF8);
        assert_int_equal(b_csv_next(&csv, &record, &err), B_OK);
        assert_int_equal(record.count, 2);
        assert_string_equal(record.fields[0], texts[i]);
    }
}

static void what_a_spreadsheet_would_carry_out_is_written_as_text(void **state)
{
    (void)state;
    static const char *const texts[] = {"=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)"};
    for (size_t i = 0; i < B_COUNT(texts); i++) {
        char line[64] = "";
        struct b_wr w = b_wr_from(line, sizeof(line) - 1);
        b_csv_put(&w, texts[i]);
        assert_memory_equal(line, "\"'", 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_with_their_lines),
        cmocka_unit_test(the_first_line_says_which_separator),
        cmocka_unit_test(quotes_hold_separators_quotes_and_ends_of_lines),
        cmocka_unit_test(a_byte_order_mark_is_passed_over),
        cmocka_unit_test(latin1_is_named_by_byte_or_read_on_demand),
        cmocka_unit_test(latin1_is_windows_1252_too),
        cmocka_unit_test(what_is_no_character_is_refused),
        cmocka_unit_test(quotes_that_do_not_fit_are_named),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(what_a_spreadsheet_would_carry_out_is_written_as_text),
        cmocka_unit_test(what_is_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
