/* custody against SoftHSM2, straight and through the module that misbehaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

/* --- the token itself ------------------------------------------------------------------------- */

static void pins_are_in_files_that_only_the_owner_reads(void **state)
{
    (void)state;
    static const char *const names[] = {"pin", "so-pin", "softhsm2.conf"};
    for (size_t i = 0; i < B_COUNT(names); i++) {
        char path[128];
        struct stat st;
        path_of(path, sizeof(path), names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(file_size("pin"), strlen(PIN));
}

static void a_second_token_in_the_same_place_is_refused(void **state)
{
    (void)state;
    char ignored[600];
    assert_int_equal(
        custody_softhsm_create(dir, "x", PIN, "so-pin-1", ignored, sizeof(ignored), NULL),
        B_E_DUPLICATE);
}

static void the_token_says_who_it_is(void **state)
{
    (void)state;
    struct custody *c = open_good();
    struct custody_token t;
    assert_int_equal(custody_token(c, &t, NULL), B_OK);
    assert_string_equal(t.label, "Badges of here");
    assert_int_equal(t.method, CUSTODY_CMAC);
    assert_string_equal(custody_method_name(t.method), "CKM_AES_CMAC");
    assert_true(t.is_connected);
    custody_free(&c);
    assert_null(c);
}

static void a_generated_key_is_safe_listed_and_stays(void **state)
{
    (void)state;
    struct custody *c = open_good();
    struct custody_key key;
    struct custody_key list[4];
    size_t n = 0;
    assert_int_equal(custody_generate(c, KEY_ROLE_READ, 7, &key, NULL), B_OK);
    assert_true(key.is_safe);
    assert_string_equal(key.kcv.method, "CMAC-0");
    custody_free(&c);
    c = open_good();
    assert_int_equal(custody_list(c, list, B_COUNT(list), &n, NULL), B_OK);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].role, KEY_ROLE_READ);
    assert_int_equal(list[0].generation, 7);
    assert_memory_equal(list[0].kcv.value, key.kcv.value, 3);
    assert_int_equal(custody_generate(c, KEY_ROLE_READ, 7, &key, NULL), B_E_KEY_EXISTS);
    custody_free(&c);
}

static void a_key_does_one_thing_and_cannot_leave(void **state)
{
    (void)state;
    struct custody *c = open_good();
    generate(c, KEY_ROLE_AUTH, 1);
    uint8_t bytes[16];
    CK_ULONG n = sizeof(bytes);
    CK_ATTRIBUTE value = {CKA_VALUE, bytes, sizeof(bytes)};
    CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
    CK_OBJECT_HANDLE key = c->entries[0].handle;
    assert_int_not_equal(c->module->C_GetAttributeValue(c->session, key, &value, 1), CKR_OK);
    assert_int_not_equal(c->module->C_EncryptInit(c->session, &ecb, key), CKR_OK);
    assert_int_not_equal(c->module->C_WrapKey(c->session, &ecb, key, key, bytes, &n), CKR_OK);
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE change = {CKA_ENCRYPT, &yes, sizeof(yes)};
    assert_int_not_equal(c->module->C_SetAttributeValue(c->session, key, &change, 1), CKR_OK);
    custody_free(&c);
}

static void keys_of_another_establishment_are_not_seen(void **state)
{
    (void)state;
    struct custody *c = open_good();
    generate(c, KEY_ROLE_AUTH, 1);
    custody_free(&c);
    struct custody_config other = {.uri = uri, .establishment = "750712185", .pin = PIN};
    struct custody_key list[4];
    size_t n = 9;
    assert_int_equal(custody_open(&other, &c, NULL), B_OK);
    assert_int_equal(custody_list(c, list, B_COUNT(list), &n, NULL), B_OK);
    assert_int_equal(n, 0);
    custody_free(&c);
}

/* --- derivation ------------------------------------------------------------------------------- */

/* Brings a published master into the token, as nobody can who uses custody. */
static void import(struct custody *c, uint8_t generation, const char *hex, bool to_sign)
{
    uint8_t bytes[16];
    char label[64];
    unhex(bytes, sizeof(bytes), hex);
    (void)snprintf(label, sizeof(label), "tessere:750712184:auth:%03u", generation);
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ATTRIBUTE t[] = {
        {CKA_CLASS, &class, sizeof(class)},
        {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_TOKEN, &yes, 1},
        {CKA_PRIVATE, &yes, 1},
        {CKA_SENSITIVE, &yes, 1},
        {CKA_EXTRACTABLE, &no, 1},
        {CKA_MODIFIABLE, &no, 1},
        {CKA_DERIVE, &no, 1},
        {CKA_SIGN, to_sign ? &yes : &no, 1},
        {CKA_ENCRYPT, to_sign ? &no : &yes, 1},
        {CKA_VERIFY, &no, 1},
        {CKA_DECRYPT, &no, 1},
        {CKA_WRAP, &no, 1},
        {CKA_UNWRAP, &no, 1},
        {CKA_LABEL, label, strlen(label)},
        {CKA_VALUE, bytes, sizeof(bytes)},
    };
    CK_OBJECT_HANDLE key;
    assert_int_equal(c->module->C_CreateObject(c->session, t, B_COUNT(t), &key), CKR_OK);
}

/* AN10922 §2.2.1 and AN10957 (short input), as in tests/vectors/an10922.json. */
static void check_published(struct custody *c, bool to_sign)
{
    uint8_t m[32] = {1};
    uint8_t want[16];
    uint8_t got[16];
    struct b_err err = {0};
    import(c, 200, "00112233445566778899AABBCCDDEEFF", to_sign);
    import(c, 201, "F3F9377698707B688EAF84ABE39E3791", to_sign);
    struct custody_entry *e = custody_find(c, KEY_ROLE_AUTH, 200, &err);
    assert_non_null(e);
    unhex(m + 1, 17, "04782E21801D803042F54E585020416275");
    unhex(want, 16, "A8DD63A3B89D54B37CA802473FDA9175");
    assert_int_equal(custody_an10922(c, e, m, 18, got, &err), B_OK);
    assert_memory_equal(got, want, 16);
    e = custody_find(c, KEY_ROLE_AUTH, 201, &err);
    assert_non_null(e);
    unhex(m + 1, 7, "04DEADBEEFFEED");
    unhex(want, 16, "0BB408BAFF98B6EE9F2E1585777F6A51");
    if (to_sign) {
        assert_int_equal(custody_an10922(c, e, m, 8, got, &err), B_E_KEY_LENGTH);
        assert_non_null(strstr(err.msg, "AN10922"));
    } else {
        assert_int_equal(custody_an10922(c, e, m, 8, got, &err), B_OK);
        assert_memory_equal(got, want, 16);
    }
}

static void published_keys_come_out_by_cmac(void **state)
{
    (void)state;
    struct custody *c = open_good();
    check_published(c, true);
    custody_free(&c);
}

static void published_keys_come_out_by_cbc(void **state)
{
    (void)state;
    fault("no-cmac");
    struct custody *c = open_good();
    assert_int_equal(c->token.method, CUSTODY_CBC);
    check_published(c, false);
    custody_free(&c);
    fault(NULL);
}

static void published_keys_come_out_by_ecb(void **state)
{
    (void)state;
    fault("no-cmac no-cbc");
    struct custody *c = open_good();
    assert_int_equal(c->token.method, CUSTODY_ECB);
    check_published(c, false);
    custody_free(&c);
    fault(NULL);
}

static void a_kcv_is_the_same_by_every_method(void **state)
{
    (void)state;
    static const char *const ways[] = {NULL, "no-cmac", "no-cmac no-cbc"};
    uint8_t bytes[16];
    uint8_t mac[16];
    struct crypto_key key;
    struct crypto_cmac cmac;
    unhex(bytes, 16, "F3F9377698707B688EAF84ABE39E3791");
    crypto_key_init(&key, CRYPTO_AES128, bytes);
    crypto_cmac_begin(&cmac, &key, NULL);
    crypto_cmac_update(&cmac, (const uint8_t[16]){0}, 16);
    crypto_cmac_final(&cmac, mac);
    crypto_key_drop(&key);
    for (size_t i = 0; i < B_COUNT(ways); i++) {
        fault(ways[i]);
        struct custody *c = open_good();
        import(c, (uint8_t)(i + 1), "F3F9377698707B688EAF84ABE39E3791", i == 0);
        struct custody_entry *e = custody_find(c, KEY_ROLE_AUTH, (uint8_t)(i + 1), NULL);
        assert_non_null(e);
        assert_string_equal(e->key.kcv.method, "CMAC-0");
        assert_memory_equal(e->key.kcv.value, mac, 3);
        custody_free(&c);
    }
    fault(NULL);
}

static void a_key_made_for_cbc_derives(void **state)
{
    (void)state;
    uint8_t out[16];
    fault("no-cmac");
    struct custody *c = open_good();
    generate(c, KEY_ROLE_AUTH, 1);
    assert_int_equal(derive(c, 1, out, NULL), B_OK);
    custody_free(&c);
    fault(NULL);
}

static void lengths_outside_1_to_31_are_refused(void **state)
{
    (void)state;
    uint8_t out[16];
    uint8_t in[32] = {0};
    struct custody *c = open_good();
    assert_int_equal(custody_derive(c, KEY_ROLE_AUTH, 1, in, 0, out, NULL), B_E_KEY_LENGTH);
    assert_int_equal(custody_derive(c, KEY_ROLE_AUTH, 1, in, 32, out, NULL), B_E_KEY_LENGTH);
    assert_int_equal(custody_derive(c, KEY_ROLE_AUTH, 0, in, 20, out, NULL), B_E_BAD_INPUT);
    custody_free(&c);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void an_imported_key_is_not_used(void **state)
{
    (void)state;
    uint8_t out[16];
    struct b_err err = {0};
    struct custody *c = open_good();
    import(c, 3, "F3F9377698707B688EAF84ABE39E3791", true);
    assert_int_equal(derive(c, 3, out, &err), B_E_KEY_UNSAFE);
    assert_non_null(strstr(err.msg, "Badges of here"));
    custody_free(&c);
}

static void a_well_known_master_is_not_used(void **state)
{
    (void)state;
    uint8_t out[16];
    fault("says-local");
    struct custody *c = open_good();
    import(c, 3, "F3F9377698707B688EAF84ABE39E3791", true);
    import(c, 4, "00000000000000000000000000000000", true);
    import(c, 5, "00112233445566778899AABBCCDDEEFF", true);
    assert_int_equal(derive(c, 3, out, NULL), B_OK);
    assert_int_equal(derive(c, 4, out, NULL), B_E_KEY_UNSAFE);
    assert_int_equal(derive(c, 5, out, NULL), B_E_KEY_UNSAFE);
    custody_free(&c);
    fault(NULL);
}

static void a_key_that_can_be_extracted_is_not_used(void **state)
{
    (void)state;
    uint8_t out[16];
    struct custody *c = open_good();
    generate(c, KEY_ROLE_AUTH, 1);
    custody_free(&c);
    fault("extractable");
    c = open_good();
    assert_int_equal(derive(c, 1, out, NULL), B_E_KEY_UNSAFE);
    custody_free(&c);
    fault(NULL);
}

static void two_keys_of_one_name_are_not_used(void **state)
{
    (void)state;
    uint8_t out[16];
    struct custody *c = open_good();
    generate(c, KEY_ROLE_AUTH, 1);
    import(c, 1, "F3F9377698707B688EAF84ABE39E3791", true);
    custody_forget(c);
    assert_int_equal(derive(c, 1, out, NULL), B_E_KEY_UNSAFE);
    custody_free(&c);
}

static void a_missing_key_is_named(void **state)
{
    (void)state;
    uint8_t out[16];
    struct b_err err = {0};
    struct custody *c = open_good();
    assert_int_equal(derive(c, 9, out, &err), B_E_KEY_MISSING);
    assert_non_null(strstr(err.msg, "Badges of here"));
    assert_non_null(strstr(err.msg, "auth of generation 9"));
    custody_free(&c);
}

static void a_key_made_by_another_process_is_found(void **state)
{
    (void)state;
    uint8_t out[16];
    struct custody *c = open_good();
    struct custody *other = NULL;
    assert_int_equal(open_as(plain, PIN, &other, NULL), B_OK);
    generate(other, KEY_ROLE_AUTH, 2);
    assert_int_equal(derive(c, 2, out, NULL), B_OK);
    custody_free(&other);
    custody_free(&c);
}

static void a_wrong_module_is_named(void **state)
{
    (void)state;
    struct custody *c = NULL;
    struct b_err err = {0};
    assert_int_equal(open_as("pkcs11:token=x?module-path=/nonexistent/m.so", PIN, &c, &err),
                     B_E_TOKEN_MODULE);
    assert_non_null(strstr(err.msg, "/nonexistent/m.so"));
    assert_null(c);
}

static void an_absent_token_is_named(void **state)
{
    (void)state;
    struct custody *c = NULL;
    struct b_err err = {0};
    char absent[700];
    (void)snprintf(absent, sizeof(absent), "pkcs11:token=Elsewhere%s", strchr(uri, '?'));
    assert_int_equal(open_as(absent, PIN, &c, &err), B_E_TOKEN_ABSENT);
    assert_non_null(strstr(err.msg, "Elsewhere"));
}

/* Debian's softhsm2 registers its module with p11-kit. */
static void without_module_path_the_modules_of_p11_kit_are_searched(void **state)
{
    (void)state;
    struct custody *c = NULL;
    struct b_err err = {0};
    char bare[600];
    (void)snprintf(bare, sizeof(bare), "%.*s", (int)(strchr(plain, '?') - plain), plain);
    if (open_as(bare, PIN, &c, &err) != B_OK)
        fail_msg("%s", err.msg);
    custody_free(&c);
    assert_int_equal(open_as("pkcs11:token=Badges%20of%20here?module-name=softhsm2", PIN, &c, &err),
                     B_OK);
    custody_free(&c);
    assert_int_equal(open_as("pkcs11:token=x?module-name=no-such", PIN, &c, &err),
                     B_E_TOKEN_ABSENT);
    assert_non_null(strstr(err.msg, "no-such"));
}

static void a_bad_uri_is_a_configuration_error(void **state)
{
    (void)state;
    struct custody *c = NULL;
    struct b_err err = {0};
    assert_int_equal(open_as("pkcs12:token=x", PIN, &c, &err), B_E_CONFIG);
    assert_int_equal(open_as("pkcs11:no-such-field=x", PIN, &c, &err), B_E_CONFIG);
    assert_int_equal(open_as("pkcs11:token=x?pin-value=1234", PIN, &c, &err), B_E_TOKEN_PIN_SOURCE);
    assert_null(strstr(err.msg, "1234"));
    assert_int_equal(open_as("pkcs11:token=x?pin-source=/etc/x", PIN, &c, &err),
                     B_E_TOKEN_PIN_SOURCE);
}

static void a_wrong_pin_is_told_and_not_tried_again(void **state)
{
    (void)state;
    struct custody *c = NULL;
    struct b_err err = {0};
    assert_int_equal(open_as(uri, "wrong-pin", &c, &err), B_E_TOKEN_PIN_WRONG);
    assert_null(strstr(err.msg, "wrong-pin"));
    assert_int_equal(file_size("softhsm2.conf.logins"), 1);
    assert_int_equal(open_as(uri, NULL, &c, &err), B_E_TOKEN_PIN_SOURCE);
    assert_int_equal(file_size("softhsm2.conf.logins"), 1);
    c = open_good(); /* a low count alone does not lock the right PIN out */
    custody_free(&c);
}

static void the_last_try_is_not_burnt_silently(void **state)
{
    (void)state;
    struct custody *c = NULL;
    struct b_err err = {0};
    fault("final-try");
    assert_int_equal(open_as(uri, PIN, &c, &err), B_E_TOKEN_PIN_LAST_TRY);
    assert_int_equal(file_size("softhsm2.conf.logins"), 0);
    struct custody_config may = {
        .uri = uri, .establishment = "750712184", .pin = PIN, .may_use_last_try = true};
    assert_int_equal(custody_open(&may, &c, &err), B_OK);
    custody_free(&c);
    fault(NULL);
}

static void a_locked_token_is_told(void **state)
{
    (void)state;
    struct custody *c = NULL;
    fault("pin-locked");
    assert_int_equal(open_as(uri, PIN, &c, NULL), B_E_TOKEN_LOCKED);
    assert_int_equal(file_size("softhsm2.conf.logins"), 0);
    fault("login-locked");
    assert_int_equal(open_as(uri, PIN, &c, NULL), B_E_TOKEN_LOCKED);
    fault(NULL);
}

static void a_token_whose_file_is_just_written_is_logged_in_to_again(void **state)
{
    (void)state;
    struct custody *c = NULL;
    fault("no-pin-once");
    assert_int_equal(open_as(uri, PIN, &c, NULL), B_OK);
    custody_free(&c);
    fault(NULL);
}

static void a_lost_session_is_taken_up_again(void **state)
{
    (void)state;
    static const char *const ways[] = {"drop-session-once", "device-error-once", "finalized-once"};
    uint8_t before[16];
    uint8_t after[16];
    struct b_err err = {0};
    struct custody *c = open_good();
    generate(c, KEY_ROLE_AUTH, 1);
    assert_int_equal(derive(c, 1, before, NULL), B_OK);
    for (size_t i = 0; i < B_COUNT(ways); i++) {
        fault(ways[i]);
        if (derive(c, 1, after, &err) != B_OK)
            fail_msg("%s: %s", ways[i], err.msg);
        assert_memory_equal(before, after, 16);
    }
    custody_free(&c);
}

static void a_failing_device_is_told(void **state)
{
    (void)state;
    uint8_t out[16];
    struct b_err err = {0};
    struct custody *c = open_good();
    generate(c, KEY_ROLE_AUTH, 1);
    fault("device-error");
    assert_int_equal(derive(c, 1, out, &err), B_E_TOKEN_FAILED);
    assert_int_equal(err.aux, CKR_DEVICE_ERROR);
    assert_non_null(strstr(err.msg, "Badges of here"));
    fault(NULL);
    assert_int_equal(derive(c, 1, out, &err), B_OK);
    custody_free(&c);
}

static void a_token_that_vanished_is_used_when_it_is_back(void **state)
{
    (void)state;
    uint8_t before[16];
    uint8_t after[16];
    struct b_err err = {0};
    struct custody_token t;
    struct custody *c = open_good();
    generate(c, KEY_ROLE_AUTH, 1);
    assert_int_equal(derive(c, 1, before, NULL), B_OK);
    fault("vanish");
    for (int i = 0; i < 3; i++)
        assert_int_equal(derive(c, 1, after, &err), B_E_TOKEN_ABSENT);
    assert_int_equal(custody_token(c, &t, &err), B_E_TOKEN_ABSENT);
    fault(NULL);
    assert_int_equal(derive(c, 1, after, &err), B_OK);
    assert_memory_equal(before, after, 16);
    custody_free(&c);
}

/* SoftHSM2 looks for tokens when it is initialised, and only then. */
static void a_token_whose_files_went_away_is_used_when_they_are_back(void **state)
{
    (void)state;
    char tokens[128];
    char away[128];
    uint8_t out[16];
    struct custody *c = NULL;
    path_of(tokens, sizeof(tokens), "tokens");
    path_of(away, sizeof(away), "away");
    assert_int_equal(open_as(plain, PIN, &c, NULL), B_OK);
    generate(c, KEY_ROLE_AUTH, 1);
    assert_int_equal(rename(tokens, away), 0);
    assert_int_not_equal(derive(c, 2, out, NULL), B_OK);
    assert_int_equal(rename(away, tokens), 0);
    struct b_err err = {0};
    if (derive(c, 1, out, &err) != B_OK)
        fail_msg("%s", err.msg);
    custody_free(&c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_token, drop_token)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(pins_are_in_files_that_only_the_owner_reads),
        T(a_second_token_in_the_same_place_is_refused),
        T(the_token_says_who_it_is),
        T(a_generated_key_is_safe_listed_and_stays),
        T(a_key_does_one_thing_and_cannot_leave),
        T(keys_of_another_establishment_are_not_seen),
        T(published_keys_come_out_by_cmac),
        T(published_keys_come_out_by_cbc),
        T(published_keys_come_out_by_ecb),
        T(a_kcv_is_the_same_by_every_method),
        T(a_key_made_for_cbc_derives),
        T(lengths_outside_1_to_31_are_refused),
        T(an_imported_key_is_not_used),
        T(a_well_known_master_is_not_used),
        T(a_key_that_can_be_extracted_is_not_used),
        T(two_keys_of_one_name_are_not_used),
        T(a_missing_key_is_named),
        T(a_key_made_by_another_process_is_found),
        T(a_wrong_module_is_named),
        T(an_absent_token_is_named),
        T(without_module_path_the_modules_of_p11_kit_are_searched),
        T(a_bad_uri_is_a_configuration_error),
        T(a_wrong_pin_is_told_and_not_tried_again),
        T(the_last_try_is_not_burnt_silently),
        T(a_locked_token_is_told),
        T(a_token_whose_file_is_just_written_is_logged_in_to_again),
        T(a_lost_session_is_taken_up_again),
        T(a_failing_device_is_told),
        T(a_token_that_vanished_is_used_when_it_is_back),
        T(a_token_whose_files_went_away_is_used_when_they_are_back),
    };
    return cmocka_run_group_tests_name("custody", tests, NULL, NULL);
}
