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
        cmocka_unit_test(a_text_is_cut_between_characters),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
