/* Masters of a token that keeps no AES key, as tpm2-pkcs11: wrapped under an RSA key of the token.
 */
#include "fixture.h"

#include <string.h>

/* What a token whose master is this would give: AN10922 as src/crypto computes it. */
static void expect(const uint8_t *master, uint8_t *out)
{
    static const uint8_t input[17] = "0123456789abcdefg";
    struct crypto_key k;
    crypto_key_init(&k, CRYPTO_AES128, master);
    assert_int_equal(crypto_an10922(&k, input, sizeof(input), out, NULL), B_OK);
    crypto_key_drop(&k);
}

static struct custody *open_without_aes(void)
{
    fault("no-aes");
    return open_good();
}

static void finish(struct custody *c)
{
    custody_free(&c);
    fault(NULL);
}

static CK_OBJECT_HANDLE handle_of(struct custody *c, enum key_role role, uint8_t generation)
{
    struct custody_entry *e = custody_known(c, role, generation);
    assert_non_null(e);
    return e->handle;
}

/* Reads a wrapped master's value, and writes a new object of that name with it. */
static size_t take_value(struct custody *c, CK_OBJECT_HANDLE object, uint8_t out[static 256])
{
    CK_ATTRIBUTE a = {CKA_VALUE, out, 256};
    assert_int_equal(c->module->C_GetAttributeValue(c->session, object, &a, 1), CKR_OK);
    return a.ulValueLen;
}

static void put_value(struct custody *c, char *label, uint8_t *value, size_t n)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    char application[] = "tessere master";
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE t[] = {
        {CKA_CLASS, &class, sizeof(class)},
        {CKA_TOKEN, &yes, 1},
        {CKA_PRIVATE, &yes, 1},
        {CKA_APPLICATION, application, sizeof(application) - 1},
        {CKA_LABEL, label, strlen(label)},
        {CKA_VALUE, value, n},
    };
    assert_int_equal(c->module->C_CreateObject(c->session, t, B_COUNT(t), &object), CKR_OK);
}

static void a_master_is_made_found_again_and_derives(void **state)
{
    (void)state;
    struct custody *c = open_without_aes();
    struct custody_token t;
    struct custody_key list[4];
    size_t n = 0;
    uint8_t first[16], second[16];
    assert_int_equal(custody_token(c, &t, NULL), B_OK);
    assert_int_equal(t.method, CUSTODY_OAEP);
    assert_string_equal(custody_method_name(t.method), "CKM_RSA_PKCS_OAEP");
    generate(c, KEY_ROLE_AUTH, 4);
    generate(c, KEY_ROLE_READ, 1);
    assert_int_equal(derive(c, 4, first, NULL), B_OK);
    custody_free(&c);
    c = open_good();
    assert_int_equal(custody_list(c, list, B_COUNT(list), &n, NULL), B_OK);
    assert_int_equal(n, 2);
    assert_true(list[0].is_safe && list[1].is_safe);
    assert_int_equal(derive(c, 4, second, NULL), B_OK);
    assert_memory_equal(first, second, 16);
    assert_int_equal(custody_generate(c, KEY_ROLE_AUTH, 4, &list[0], NULL), B_E_KEY_EXISTS);
    finish(c);
}

static void a_known_master_gives_known_badge_keys(void **state)
{
    (void)state;
    static const uint8_t master[16] = "not all zero, 16";
    const struct custody_key of = {.role = KEY_ROLE_AUTH, .generation = 4};
    struct custody *c = open_without_aes();
    uint8_t got[16], wanted[16];
    assert_int_equal(custody_wrapped_put(c, &of, master, NULL), B_OK);
    assert_int_equal(derive(c, 4, got, NULL), B_OK);
    expect(master, wanted);
    assert_memory_equal(got, wanted, 16);
    finish(c);
}

static void no_byte_of_a_master_lies_in_the_token(void **state)
{
    (void)state;
    static const uint8_t master[16] = "not all zero, 16";
    const struct custody_key of = {.role = KEY_ROLE_AUTH, .generation = 4};
    struct custody *c = open_without_aes();
    uint8_t value[256];
    assert_int_equal(custody_wrapped_put(c, &of, master, NULL), B_OK);
    assert_int_equal(custody_scan(c, NULL), B_OK);
    size_t n = take_value(c, handle_of(c, KEY_ROLE_AUTH, 4), value);
    assert_int_equal(n, sizeof(value));
    for (size_t i = 0; i + 4 <= n; i++)
        assert_memory_not_equal(value + i, master, 4);
    CK_ATTRIBUTE d = {CKA_PRIVATE_EXPONENT, value, sizeof(value)};
    assert_int_equal(c->module->C_GetAttributeValue(c->session, c->pair.private, &d, 1),
                     CKR_ATTRIBUTE_SENSITIVE);
    finish(c);
}

/* Who can write the token's files gives no master another's name, and none is used that was
 * changed: the token still answers, so it is not taken for lost. */
static void a_value_that_is_not_its_names_is_not_used(void **state)
{
    (void)state;
    struct custody *c = open_without_aes();
    struct b_err err = {0};
    uint8_t value[256], out[16];
    char renamed[] = "tessere:750712184:auth:005";
    char changed[] = "tessere:750712184:auth:006";
    generate(c, KEY_ROLE_AUTH, 4);
    size_t n = take_value(c, handle_of(c, KEY_ROLE_AUTH, 4), value);
    put_value(c, renamed, value, n);
    value[n - 1] ^= 1;
    put_value(c, changed, value, n);
    assert_int_equal(derive(c, 5, out, &err), B_E_KEY_UNSAFE);
    assert_int_equal(derive(c, 6, out, &err), B_E_KEY_UNSAFE);
    assert_int_equal(derive(c, 4, out, &err), B_OK);
    assert_int_equal(c->session_count, 1);
    finish(c);
}

static void a_wrapping_key_that_could_leave_is_not_used(void **state)
{
    (void)state;
    struct custody *c = open_without_aes();
    struct custody_key key;
    uint8_t out[16];
    generate(c, KEY_ROLE_AUTH, 4);
    custody_free(&c);
    fault("no-aes extractable");
    c = open_good();
    assert_int_equal(derive(c, 4, out, NULL), B_E_KEY_UNSAFE);
    assert_int_equal(custody_generate(c, KEY_ROLE_READ, 1, &key, NULL), B_E_KEY_UNSAFE);
    finish(c);
}

static void a_token_that_fails_once_is_taken_up_again(void **state)
{
    (void)state;
    struct custody *c = open_without_aes();
    uint8_t out[16];
    struct b_err err = {0};
    generate(c, KEY_ROLE_AUTH, 4);
    fault("no-aes device-error");
    assert_int_equal(derive(c, 4, out, &err), B_E_TOKEN_FAILED);
    fault("no-aes");
    assert_int_equal(derive(c, 4, out, &err), B_OK);
    finish(c);
}

static void badge_keys_cannot_stay_in_it(void **state)
{
    (void)state;
    struct custody_config config = {.uri = uri, .establishment = "750712184", .pin = PIN};
    struct custody *c = NULL;
    struct custody_key key;
    struct b_err err = {0};
    assert_true(key_stay_read("auth", &config.in_token));
    fault("no-aes no-inside");
    assert_int_equal(custody_open(&config, &c, NULL), B_OK);
    assert_int_equal(custody_generate(c, KEY_ROLE_AUTH, 1, &key, &err), B_E_KEY_NOT_INSIDE);
    assert_string_equal(err.msg, "token \"Badges of here\" lacks CKM_AES_ECB_ENCRYPT_DATA");
    finish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_master_is_made_found_again_and_derives, make_token,
                                        drop_token),
        cmocka_unit_test_setup_teardown(a_known_master_gives_known_badge_keys, make_token,
                                        drop_token),
        cmocka_unit_test_setup_teardown(no_byte_of_a_master_lies_in_the_token, make_token,
                                        drop_token),
        cmocka_unit_test_setup_teardown(a_value_that_is_not_its_names_is_not_used, make_token,
                                        drop_token),
        cmocka_unit_test_setup_teardown(a_wrapping_key_that_could_leave_is_not_used, make_token,
                                        drop_token),
        cmocka_unit_test_setup_teardown(a_token_that_fails_once_is_taken_up_again, make_token,
                                        drop_token),
        cmocka_unit_test_setup_teardown(badge_keys_cannot_stay_in_it, make_token, drop_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
