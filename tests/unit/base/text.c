#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"

static void names_of_people_and_places_are_taken(void **state)
{
    (void)state;
    static const char *const names[] = {
        "", "Zoé Noël-O'Brien", "Ward 1, 2nd floor", "Ελένη", "李小龍", "محمد", "می\u200cخواهم",
        "𝒜"};
    for (size_t i = 0; i < B_COUNT(names); i++)
        if (!b_text_is_name(names[i]))
            fail_msg("\"%s\" is refused", names[i]);
}

static void what_shows_otherwise_than_it_is_written_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"x\ny",     "tab\t",    "\x1b[2J",      "\x7f",
                                        "\xc2\x85", "a\u202eb", "\u2066x",      "\u200fx",
                                        "\u2028",   "a\u200bb", "\ufeff",       "\xc3",
                                        "\xc3(",    "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80",
                                        "\x80"};
    for (size_t i = 0; i < B_COUNT(names); i++)
        if (b_text_is_name(names[i]))
            fail_msg("name %zu is taken", i);
}

static void lines_are_taken_that_show_as_they_are_written(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a: b\n  c: d\n", "a\r\nb\r\n", "a:\t1", "Zoé\n"};
    /* what stands before a lone CR is overwritten on a terminal, and counts for YAML */
    static const char *const bad[] = {
        "min-digits: 4\r# min-digits: 7\n", "a\r", "\x1b[1A", "\b", "a\u202eb\n", "\xc3\n"};
    for (size_t i = 0; i < B_COUNT(good); i++)
        if (!b_text_is_lines(good[i]))
            fail_msg("text %zu is refused", i);
    for (size_t i = 0; i < B_COUNT(bad); i++)
        if (b_text_is_lines(bad[i]))
            fail_msg("text %zu is taken", i);
}

static void what_others_gave_moves_no_cursor(void **state)
{
    (void)state;
    char text[] = "Zoé\x1b[2J\tx\r\ny\rz\u202e!\xc3\xc3!\n";
    b_text_tame(text);
    assert_string_equal(text, "Zoé?[2J\tx\r\ny?z?!?"
                              "?!\n");
    assert_true(b_text_is_lines(text));
}

static void a_text_is_cut_between_characters(void **state)
{
    (void)state;
    assert_int_equal(b_text_fit("Zoé", 4), 4);
    assert_int_equal(b_text_fit("Zoé", 3), 2);
    assert_int_equal(b_text_fit("Zoé!", 4), 4);
    assert_int_equal(b_text_fit("李", 2), 0);
    assert_int_equal(b_text_fit("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_people_and_places_are_taken),
        cmocka_unit_test(what_shows_otherwise_than_it_is_written_is_refused),
        cmocka_unit_test(lines_are_taken_that_show_as_they_are_written),
        cmocka_unit_test(what_others_gave_moves_no_cursor),
        cmocka_unit_test(a_text_is_cut_between_characters),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
