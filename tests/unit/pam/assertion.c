/* What pam_tessere believes: an assertion of the vault's key, of now, for this challenge and
 * station, and nothing that differs from it in one place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/sign.h"
#include "pam/pam.h"

enum { NOW = 1800000000 };
static const char header[] = "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"JWT\"}";
static const char claims[] =
    "{\"amr\":[\"hwk\",\"pin\"],\"sub\":\"10001\",\"station\":\"pharmacy-1\",\"nonce\":\"c-1\","
    "\"iat\":1800000000,\"exp\":1800000030}";
static const uint8_t scalar[32] = {[31] = 7}, other_scalar[32] = {[31] = 9};
static const struct pam_wanted wanted = {
    .challenge = "c-1", .station = "pharmacy-1", .needs_pin = true, .now = NOW};
static struct b_err err;
static char subject[PAM_SUBJECT_MAX + 1];

static json_t *keys_of(const uint8_t secret[static 32])
{
    uint8_t point[CRYPTO_P256_POINT];
    char x[48], y[48];
    struct crypto_es256 *k = crypto_es256_new(secret);
    crypto_es256_public(k, point);
    crypto_es256_free(&k);
    assert_true(b_base64url(x, sizeof(x), point + 1, 32) &&
                b_base64url(y, sizeof(y), point + 33, 32));
    return json_pack("{s:[{s:s}, {s:s, s:s, s:s, s:s, s:s}]}", "keys", "kty", "RSA", "kty", "EC",
                     "crv", "P-256", "kid", "k1", "x", x, "y", y);
}

static const char *token(const char *head, const char *body, const uint8_t secret[static 32])
{
    static char jwt[8192];
    uint8_t raw[64];
    struct crypto_es256 *k = crypto_es256_new(secret);
    assert_true(b_base64url(jwt, sizeof(jwt), head, strlen(head)));
    size_t n = strlen(jwt);
    jwt[n++] = '.';
    assert_true(b_base64url(jwt + n, sizeof(jwt) - n, body, strlen(body)));
    n = strlen(jwt);
    assert_true(crypto_es256_sign(k, jwt, n, raw));
    jwt[n++] = '.';
    assert_true(b_base64url(jwt + n, sizeof(jwt) - n, raw, sizeof(raw)));
    crypto_es256_free(&k);
    return jwt;
}

static enum b_code check(const char *jwt, const struct pam_wanted *w)
{
    json_t *keys = keys_of(scalar);
    memset(subject, 0, sizeof(subject));
    enum b_code r = pam_assertion_check(jwt, keys, w, subject, &err);
    json_decref(keys);
    assert_true((r == B_OK) == (subject[0] != '\0'));
    return r;
}

static void the_vaults_assertion_is_believed(void **state)
{
    (void)state;
    assert_int_equal(check(token(header, claims, scalar), &wanted), B_OK);
    assert_string_equal(subject, "10001");
}

static void another_challenge_station_or_time_is_not(void **state)
{
    (void)state;
    struct pam_wanted w = wanted;
    w.challenge = "c-2";
    assert_int_equal(check(token(header, claims, scalar), &w), B_E_ASSERTION_BAD);
    w = wanted;
    w.station = "pharmacy-2";
    assert_int_equal(check(token(header, claims, scalar), &w), B_E_ASSERTION_BAD);
    w = wanted;
    w.now = NOW + 30 + PAM_SKEW_S + 1;
    assert_int_equal(check(token(header, claims, scalar), &w), B_E_ASSERTION_BAD);
    w.now = NOW - PAM_SKEW_S - 1;
    assert_int_equal(check(token(header, claims, scalar), &w), B_E_ASSERTION_BAD);
    w.now = NOW - PAM_SKEW_S;
    assert_int_equal(check(token(header, claims, scalar), &w), B_OK);
}

static void another_key_by_the_same_name_is_not(void **state)
{
    (void)state;
    assert_int_equal(check(token(header, claims, other_scalar), &wanted), B_E_ASSERTION_BAD);
}

static void headers_that_ask_for_less_are_refused(void **state)
{
    (void)state;
    static const char *const heads[] = {"{\"alg\":\"none\",\"kid\":\"k1\"}",
                                        "{\"alg\":\"HS256\",\"kid\":\"k1\"}",
                                        "{\"alg\":\"ES256\",\"kid\":\"k2\"}",
                                        "{\"alg\":\"ES256\"}",
                                        "{\"alg\":\"ES256\",\"kid\":\"k1\",\"crit\":[\"b64\"]}",
                                        "{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"k1\"}",
                                        "[]",
                                        "x"};
    for (size_t i = 0; i < B_COUNT(heads); i++)
        assert_int_equal(check(token(heads[i], claims, scalar), &wanted), B_E_ASSERTION_BAD);
}

static void claims_that_lack_something_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *claims;
        enum b_code code;
    } cases[] = {
        {"{\"amr\":[\"hwk\"],\"sub\":\"10001\",\"station\":\"pharmacy-1\",\"nonce\":\"c-1\","
         "\"iat\":1800000000,\"exp\":1800000030}",
         B_E_PIN_REQUIRED},
        {"{\"amr\":[\"pin\"],\"sub\":\"10001\",\"station\":\"pharmacy-1\",\"nonce\":\"c-1\","
         "\"iat\":1800000000,\"exp\":1800000030}",
         B_E_ASSERTION_BAD},
        {"{\"amr\":\"hwk "
         "pin\",\"sub\":\"10001\",\"station\":\"pharmacy-1\",\"nonce\":\"c-1\",\"iat\":1800000000,"
         "\"exp\":1800000030}",
         B_E_ASSERTION_BAD},
        {"{\"amr\":[\"hwk\",\"pin\"],\"sub\":\"\",\"station\":\"pharmacy-1\",\"nonce\":\"c-1\","
         "\"iat\":1800000000,\"exp\":1800000030}",
         B_E_ASSERTION_BAD},
        {"{\"amr\":[\"hwk\",\"pin\"],\"sub\":7,\"station\":\"pharmacy-1\",\"nonce\":\"c-1\","
         "\"iat\":1800000000,\"exp\":1800000030}",
         B_E_ASSERTION_BAD},
        {"{\"amr\":[\"hwk\",\"pin\"],\"sub\":\"a\\nb\",\"station\":\"pharmacy-1\",\"nonce\":\"c-"
         "1\",\"iat\":1800000000,\"exp\":1800000030}",
         B_E_ASSERTION_BAD},
        {"{\"amr\":[\"hwk\",\"pin\"],\"sub\":\"10001\",\"station\":\"pharmacy-1\",\"nonce\":\"c-"
         "1\",\"iat\":\"1800000000\",\"exp\":1800000030}",
         B_E_ASSERTION_BAD},
        {"{\"amr\":[\"hwk\",\"pin\"],\"sub\":\"10001\",\"station\":\"pharmacy-1\",\"nonce\":\"c-"
         "1\",\"iat\":1800000000}",
         B_E_ASSERTION_BAD},
        {"{\"aud\":\"an-app\",\"amr\":[\"hwk\",\"pin\"],\"sub\":\"10001\",\"station\":\"pharmacy-"
         "1\",\"nonce\":\"c-1\",\"iat\":1800000000,\"exp\":1800000030}",
         B_E_ASSERTION_BAD},
        {"{\"amr\":[\"hwk\",\"pin\"],\"sub\":\"10001\",\"station\":\"pharmacy-1\",\"iat\":"
         "1800000000,\"exp\":1800000030}",
         B_E_ASSERTION_BAD},
    };
    for (size_t i = 0; i < B_COUNT(cases); i++)
        assert_int_equal(check(token(header, cases[i].claims, scalar), &wanted), cases[i].code);
}

static void every_changed_character_and_every_cut_is_refused(void **state)
{
    (void)state;
    char jwt[1024];
    (void)snprintf(jwt, sizeof(jwt), "%s", token(header, claims, scalar));
    size_t n = strlen(jwt);
    for (size_t i = 0; i < n; i++) {
        char was = jwt[i];
        jwt[i] = was == 'A' ? 'B' : 'A';
        assert_int_not_equal(check(jwt, &wanted), B_OK);
        jwt[i] = '\0';
        assert_int_not_equal(check(jwt, &wanted), B_OK);
        jwt[i] = was;
    }
    memcpy(jwt + n, "=", 2);
    assert_int_not_equal(check(jwt, &wanted), B_OK);
    memcpy(jwt + n, ".AAAA", 6);
    assert_int_not_equal(check(jwt, &wanted), B_OK);
}

static void keys_that_are_none_verify_nothing(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "{}",
        "{\"keys\":[]}",
        "{\"keys\":7}",
        "{\"keys\":[7,null,{}]}",
        "{\"keys\":[{\"kid\":\"k1\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}"
        "]}",
        "{\"keys\":[{\"kid\":\"k1\",\"kty\":\"EC\",\"crv\":\"P-256\","
        "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}"};
    const char *jwt = token(header, claims, scalar);
    for (size_t i = 0; i < B_COUNT(sets); i++) {
        json_t *keys = json_loads(sets[i], 0, NULL);
        assert_int_equal(pam_assertion_check(jwt, keys, &wanted, subject, &err), B_E_ASSERTION_BAD);
        json_decref(keys);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vaults_assertion_is_believed),
        cmocka_unit_test(another_challenge_station_or_time_is_not),
        cmocka_unit_test(another_key_by_the_same_name_is_not),
        cmocka_unit_test(headers_that_ask_for_less_are_refused),
        cmocka_unit_test(claims_that_lack_something_are_refused),
        cmocka_unit_test(every_changed_character_and_every_cut_is_refused),
        cmocka_unit_test(keys_that_are_none_verify_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
