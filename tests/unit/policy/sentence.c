/* The sentences: one for every refusal, in both languages, short, whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "policy/policy.h"

static void says(enum b_code code, struct policy_words words, const char *sentence)
{
    char text[200];
    policy_sentence(code, &words, text, sizeof(text));
    assert_string_equal(text, sentence);
}

static void the_blanks_are_filled_in(void **state)
{
    (void)state;
    struct policy_words fr = {.language = POLICY_FRENCH, .name = "Zoé Noël"};
    struct policy_words en = {.language = POLICY_ENGLISH};
    says(B_OK, fr, "Bonjour Zoé Noël.");
    says(B_OK, en, "Hello.");
    en.name = "A\nB\x1b[";
    says(B_OK, en, "Hello A B [.");
    says(B_E_BADGE_SUSPENDED, fr, "Votre badge est suspendu. Voyez le bureau des badges.");
    says(B_E_PIN_THROTTLED, en, "Too many wrong PINs. Wait a moment, then try again.");
    fr.wait_seconds = 30;
    says(B_E_PIN_THROTTLED, fr, "Trop de codes faux. Attendez 30 s, puis retapez-le.");
    en.wait_seconds = 241;
    says(B_E_PIN_THROTTLED, en, "Too many wrong PINs. Wait 5 min, then try again.");
}

static void a_tap_s_refusals_have_sentences_of_their_own(void **state)
{
    (void)state;
    static const enum b_code codes[] = {
#define POLICY_SENTENCE(code, french, english) code,
#include "policy/sentence.def"
#undef POLICY_SENTENCE
    };
    char fallback[200], text[200];
    for (unsigned l = 0; l < POLICY_LANGUAGE_COUNT; l++) {
        struct policy_words words = {.language = (enum policy_language)l};
        policy_sentence(B_E_USAGE, &words, fallback, sizeof(fallback));
        for (size_t i = 0; i < B_COUNT(codes); i++) {
            policy_sentence(codes[i], &words, text, sizeof(text));
            assert_string_not_equal(text, fallback);
            assert_true(strlen(text) < 100);
            assert_null(strpbrk(text, "{}"));
        }
    }
    /* class 3 is what a policy refuses: all that a person at a reader can meet is here */
    static const enum b_code met[] = {B_E_BADGE_UNKNOWN,       B_E_BADGE_SUSPENDED,
                                      B_E_BADGE_REVOKED,       B_E_BADGE_NOT_ENROLLED,
                                      B_E_GENERATION_RETIRED,  B_E_BADGE_NOT_YET_VALID,
                                      B_E_BADGE_EXPIRED,       B_E_HOLDER_SUSPENDED,
                                      B_E_HOLDER_LEFT,         B_E_OUTSIDE_HOURS,
                                      B_E_PIN_REQUIRED,        B_E_PIN_MISSING,
                                      B_E_PIN_WRONG,           B_E_PIN_THROTTLED,
                                      B_E_PIN_LOCKED,          B_E_PIN_FORMAT,
                                      B_E_STATION_SUSPENDED,   B_E_STATION_REVOKED,
                                      B_E_CERTIFICATE_UNKNOWN, B_E_CARD_REMOVED,
                                      B_E_CARD_AUTH,           B_E_CARD_MAC,
                                      B_E_VAULT_GONE,          B_E_TOKEN_ABSENT,
                                      B_E_STORE_FULL,          B_E_SERVER_GONE};
    for (size_t i = 0; i < B_COUNT(met); i++) {
        size_t k = 0;
        while (k < B_COUNT(codes) && codes[k] != met[i])
            k++;
        if (k == B_COUNT(codes))
            fail_msg("no sentence for %s", b_code_name(met[i]));
    }
}

static void every_code_says_something_even_one_that_is_none(void **state)
{
    (void)state;
    char text[200];
    for (unsigned c = 0; c <= B_CODE_COUNT + 1; c++) {
        struct policy_words words = {.language = POLICY_LANGUAGE_COUNT};
        policy_sentence((enum b_code)c, &words, text, sizeof(text));
        assert_true(strlen(text) > 5);
    }
}

/* Counts the bytes that a character's first one promises. */
static bool is_utf8(const char *s)
{
    while (*s != '\0') {
        unsigned char c = (unsigned char)*s++;
        unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
        if (c >= 0x80 && c < 0xC0)
            return false;
        for (; more > 0; more--) {
            if (((unsigned char)*s++ & 0xC0) != 0x80)
                return false;
        }
    }
    return true;
}

static void a_sentence_is_cut_between_characters(void **state)
{
    (void)state;
    struct policy_words words = {.language = POLICY_FRENCH, .name = "é€𝄞é"};
    char text[64];
    for (size_t cap = 1; cap <= sizeof(text); cap++) {
        policy_sentence(B_OK, &words, text, cap);
        assert_true(strlen(text) < cap && is_utf8(text));
        policy_sentence(B_E_BADGE_EXPIRED, &words, text, cap);
        assert_true(strlen(text) < cap && is_utf8(text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_blanks_are_filled_in),
        cmocka_unit_test(a_tap_s_refusals_have_sentences_of_their_own),
        cmocka_unit_test(every_code_says_something_even_one_that_is_none),
        cmocka_unit_test(a_sentence_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
