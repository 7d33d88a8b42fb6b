/* What a person at a reader is told: in both languages, short, whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "policy/policy.h"

static void a_holder_is_greeted_by_name(void **state)
{
    (void)state;
    char text[200];
    policy_sentence(B_OK, true, "Zoé Noël", text, sizeof(text));
    assert_string_equal(text, "Bonjour, Zoé Noël.");
    policy_sentence(B_OK, false, "", text, sizeof(text));
    assert_string_equal(text, "Hello.");
    char name[120] = "";
    for (size_t i = 0; i < 60; i++) /* 119 bytes; the 80th is in the middle of a character */
        memcpy(name + (i == 0 ? 0 : 2 * i - 1), i == 0 ? "Z" : "é", i == 0 ? 1 : 2);
    policy_sentence(B_OK, true, name, text, sizeof(text));
    assert_string_equal(text + strlen("Bonjour, ") + 79, ".");
}

static void what_a_tap_can_meet_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    static const enum b_code met[] = {B_E_BADGE_UNKNOWN,       B_E_BADGE_SUSPENDED,
                                      B_E_BADGE_REVOKED,       B_E_BADGE_NOT_ENROLLED,
                                      B_E_GENERATION_RETIRED,  B_E_GENERATION_COMPROMISED,
                                      B_E_BADGE_NOT_YET_VALID, B_E_BADGE_EXPIRED,
                                      B_E_HOLDER_SUSPENDED,    B_E_HOLDER_LEFT,
                                      B_E_OUTSIDE_HOURS,       B_E_PIN_REQUIRED,
                                      B_E_PIN_MISSING,         B_E_PIN_WRONG,
                                      B_E_PIN_THROTTLED,       B_E_PIN_LOCKED,
                                      B_E_PIN_FORMAT,          B_E_STATION_SUSPENDED,
                                      B_E_STATION_REVOKED,     B_E_CARD_REMOVED,
                                      B_E_CARD_AUTH,           B_E_CARD_MAC,
                                      B_E_CARD_FOREIGN,        B_E_VAULT_GONE,
                                      B_E_TOKEN_ABSENT,        B_E_TOKEN_FAILED,
                                      B_E_STORE_FULL,          B_E_STORE_FAILED,
                                      B_E_SERVER_GONE,         B_E_CERTIFICATE_UNKNOWN,
                                      B_E_CERTIFICATE_EXPIRED, B_E_NOT_DESFIRE,
                                      B_E_TWO_CARDS,           B_E_TOO_OFTEN,
                                      B_E_NOT_ISSUED,          B_E_NOT_ADMITTED};
    char text[200], fallback[200];
    for (int is_french = 0; is_french < 2; is_french++) {
        policy_sentence(B_E_USAGE, is_french != 0, "", fallback, sizeof(fallback));
        for (size_t i = 0; i < B_COUNT(met); i++) {
            policy_sentence(met[i], is_french != 0, "", text, sizeof(text));
            if (strcmp(text, fallback) == 0)
                fail_msg("no sentence for %s", b_code_name(met[i]));
        }
    }
}

static void every_code_says_something_short(void **state)
{
    (void)state;
    char text[200];
    for (unsigned c = 0; c < B_CODE_COUNT; c++) {
        for (int is_french = 0; is_french < 2; is_french++) {
            policy_sentence((enum b_code)c, is_french != 0, "", text, sizeof(text));
            if (strlen(text) < 5 || strlen(text) > 100 || text[strlen(text) - 1] != '.')
                fail_msg("%s: \"%s\"", b_code_name((enum b_code)c), text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_holder_is_greeted_by_name),
        cmocka_unit_test(what_a_tap_can_meet_has_a_sentence_of_its_own),
        cmocka_unit_test(every_code_says_something_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
