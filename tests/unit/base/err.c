/* Errors: the table is whole, names are stable interfaces, messages keep their cause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

static void every_code_has_a_text_a_remedy_and_an_exit_status(void **state)
{
    (void)state;
    for (int i = B_OK + 1; i < B_CODE_COUNT; i++) {
        enum b_code code = (enum b_code)i;
        assert_true(strlen(b_code_text(code)) > 0);
        assert_true(strlen(b_code_remedy(code)) > 0);
        assert_in_range(b_code_exit(code), 1, 8);
    }
    assert_int_equal(b_code_exit(B_OK), 0);
}

static void names_are_unique_and_of_lower_case_letters_digits_and_dashes(void **state)
{
    (void)state;
    for (int i = 0; i < B_CODE_COUNT; i++) {
        const char *name = b_code_name((enum b_code)i);
        assert_true(strlen(name) > 1);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(name));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, b_code_name((enum b_code)j));
    }
    assert_string_equal(b_code_name(B_E_TOKEN_LOCKED), "token-locked");
    assert_string_equal(b_code_name(B_E_PCSC_DOWN), "pcsc-down");
    assert_string_equal(b_code_name(B_OK), "ok");
}

static void a_code_is_found_by_its_name(void **state)
{
    (void)state;
    for (int i = 0; i < B_CODE_COUNT; i++)
        assert_int_equal(b_code_of(b_code_name((enum b_code)i), B_E_INTERNAL), i);
    assert_int_equal(b_code_of("token-lock", B_E_REFUSED), B_E_REFUSED);
    assert_int_equal(b_code_of("", B_OK), B_OK);
}

static void an_error_says_what_happened_to_what(void **state)
{
    (void)state;
    struct b_err err = {0};
    assert_int_equal(b_err_set(&err, B_E_CARD_REFUSED, 0xAE, "reading file %d", 3),
                     B_E_CARD_REFUSED);
    assert_int_equal(err.code, B_E_CARD_REFUSED);
    assert_int_equal(err.aux, 0xAE);
    assert_string_equal(err.msg, "reading file 3");
    assert_int_equal(b_err_set(NULL, B_E_CARD_REFUSED, 0, "nobody reads this"), B_E_CARD_REFUSED);
}

static void context_goes_before_the_cause(void **state)
{
    (void)state;
    struct b_err err = {0};
    (void)b_err_set(&err, B_E_CARD_AUTH, 0xAE, "key 1");
    assert_int_equal(b_err_wrap(&err, "encoding badge %s", "B-12"), B_E_CARD_AUTH);
    assert_string_equal(err.msg, "encoding badge B-12: key 1");
    assert_int_equal(err.aux, 0xAE);
    assert_int_equal(b_err_wrap(NULL, "no error to wrap"), B_E_INTERNAL);
}

static void a_long_message_is_cut_and_ends(void **state)
{
    (void)state;
    char text[2 * sizeof(((struct b_err *)0)->msg)];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    struct b_err err = {0};
    (void)b_err_set(&err, B_E_USAGE, 0, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    (void)b_err_wrap(&err, "context");
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    assert_memory_equal(err.msg, "context: xxx", 12);
    (void)b_err_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    /* every length of context around the limit */
    for (size_t n = sizeof(err.msg) - 8; n < sizeof(err.msg) + 8; n++) {
        (void)b_err_set(&err, B_E_USAGE, 0, "cause");
        (void)b_err_wrap(&err, "%.*s", (int)n, text);
        assert_true(strlen(err.msg) < sizeof(err.msg));
    }
}

static void a_message_is_text_whatever_is_put_into_it(void **state)
{
    (void)state;
    struct b_err err = {0};
    (void)b_err_set(&err, B_E_USAGE, 0, "name %.3s twice", "aa\xC3\xA9");
    assert_string_equal(err.msg, "name aa? twice");
    (void)b_err_set(&err, B_E_USAGE, 0, "%s",
                    "\xC3\xA9 \xFF \xE2\x82\xAC \xED\xA0\x80 \xF0\x9F\x98");
    assert_string_equal(err.msg, "\xC3\xA9 ? \xE2\x82\xAC ??? ???");
    (void)b_err_wrap(&err, "\x80");
    assert_string_equal(err.msg, "?: \xC3\xA9 ? \xE2\x82\xAC ??? ???");
    char text[2 * sizeof(err.msg)];
    for (size_t n = 0; n < 2; n++) { /* where the message ends */
        memset(text, 'x', n);
        for (size_t i = n; i + 2 < sizeof(text); i += 2)
            memcpy(text + i, "\xC3\xA9", 3);
        (void)b_err_set(&err, B_E_USAGE, 0, "%s", text);
        assert_int_equal(err.msg[sizeof(err.msg) - 2], n == 0 ? '?' : '\xA9');
    }
}

/* Some texts of a language that puts the last first. */
static const char *in_another_language(const char *text)
{
    static const struct {
        const char *text, *other;
    } rows[] = {{"badge %d of %s", "%2$s's badge number %1$d"},
                {"reading %s", "while %s is read"},
                {"the card", "that card"},
                {"the roster: it is closed", "closed to all"},
                {": ", " - "}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].text, text) == 0)
            return rows[i].other;
    return text;
}

static int speak_english(void **state)
{
    (void)state;
    b_err_speak(NULL);
    return 0;
}

static void messages_stand_as_they_are_written_until_a_language_is_spoken(void **state)
{
    (void)state;
    struct b_err err = {0};
    assert_string_equal(b_err_word("the card"), "the card");
    (void)b_err_set(&err, B_E_CARD_AUTH, 0, "badge %d of %s", 7, "R. Martin");
    assert_string_equal(err.msg, "badge 7 of R. Martin");
    b_err_speak(in_another_language);
    (void)b_err_set(&err, B_E_CARD_AUTH, 0, "badge %d of %s", 7, "R. Martin");
    b_err_speak(NULL);
    (void)b_err_wrap(&err, "reading %s", "the card");
    assert_string_equal(err.msg, "reading the card: R. Martin's badge number 7");
}

static void a_language_has_its_own_order_of_words(void **state)
{
    (void)state;
    struct b_err err = {0};
    b_err_speak(in_another_language);
    (void)b_err_set(&err, B_E_CARD_AUTH, 0, "badge %d of %s", 7, "R. Martin");
    assert_string_equal(err.msg, "R. Martin's badge number 7");
}

static void context_and_words_are_said_in_the_language_too(void **state)
{
    (void)state;
    struct b_err err = {0};
    b_err_speak(in_another_language);
    (void)b_err_set(&err, B_E_CARD_AUTH, 0, "%s", "key 1");
    (void)b_err_wrap(&err, "reading %s", b_err_word("the card"));
    assert_string_equal(err.msg, "while that card is read - key 1");
}

static void what_a_language_does_not_have_stays_english(void **state)
{
    (void)state;
    struct b_err err = {0};
    b_err_speak(in_another_language);
    (void)b_err_set(&err, B_E_CARD_AUTH, 0, "key %d", 1);
    assert_string_equal(err.msg, "key 1");
    assert_string_equal(b_err_word("the reader"), "the reader");
}

static void what_another_process_says_is_found_whole_or_by_its_parts(void **state)
{
    (void)state;
    struct b_err err = {0};
    assert_int_equal(b_err_hear(&err, B_E_CARD_AUTH, 0xAE, "the card: : badge 7: "), B_E_CARD_AUTH);
    assert_int_equal(err.aux, 0xAE);
    assert_string_equal(err.msg, "the card: : badge 7: ");
    b_err_speak(in_another_language);
    (void)b_err_hear(&err, B_E_CARD_AUTH, 0, "badge 7: the card: 0xAE");
    assert_string_equal(err.msg, "badge 7 - that card - 0xAE");
    (void)b_err_hear(&err, B_E_CARD_AUTH, 0, "the roster: it is closed");
    assert_string_equal(err.msg, "closed to all");
    assert_int_equal(b_err_hear(NULL, B_E_CARD_AUTH, 0, "the card"), B_E_CARD_AUTH);
}

static void what_another_process_says_at_length_is_cut_and_ends(void **state)
{
    (void)state;
    char text[2 * sizeof(((struct b_err *)0)->msg)];
    b_err_speak(in_another_language);
    for (size_t n = 0; n < sizeof(text); n++) {
        struct b_err err = {0};
        memset(text, 'x', sizeof(text));
        for (size_t i = 0; i + 7 < sizeof(text); i += 7)
            memcpy(text + i, ": ", 2);
        text[n] = '\0';
        (void)b_err_hear(&err, B_E_USAGE, 0, text);
        assert_true(strlen(err.msg) < sizeof(err.msg));
    }
}

static void a_broken_invariant_ends_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        b_check(child != 0);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_text_a_remedy_and_an_exit_status),
        cmocka_unit_test(names_are_unique_and_of_lower_case_letters_digits_and_dashes),
        cmocka_unit_test(a_code_is_found_by_its_name),
        cmocka_unit_test(an_error_says_what_happened_to_what),
        cmocka_unit_test(context_goes_before_the_cause),
        cmocka_unit_test(a_message_is_text_whatever_is_put_into_it),
        cmocka_unit_test(a_long_message_is_cut_and_ends),
        cmocka_unit_test_teardown(messages_stand_as_they_are_written_until_a_language_is_spoken,
                                  speak_english),
        cmocka_unit_test_teardown(a_language_has_its_own_order_of_words, speak_english),
        cmocka_unit_test_teardown(context_and_words_are_said_in_the_language_too, speak_english),
        cmocka_unit_test_teardown(what_a_language_does_not_have_stays_english, speak_english),
        cmocka_unit_test_teardown(what_another_process_says_is_found_whole_or_by_its_parts,
                                  speak_english),
        cmocka_unit_test_teardown(what_another_process_says_at_length_is_cut_and_ends,
                                  speak_english),
        cmocka_unit_test(a_broken_invariant_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
