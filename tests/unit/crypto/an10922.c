/* AN10922 against the published numbers in tests/vectors/an10922.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/engine.h"

static json_t *vectors(void)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/an10922.json", getenv("TESSERE_VECTORS"));
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    return root;
}

static size_t hex_field(const json_t *v, const char *name, uint8_t *out, size_t cap)
{
    struct b_wr w = b_wr_from(out, cap);
    assert_true(b_unhex(&w, json_string_value(json_object_get(v, name))));
    return w.len;
}

static enum crypto_cipher cipher_of(const json_t *v)
{
    static const struct {
        const char *name;
        enum crypto_cipher cipher;
    } names[] = {{"AES128", CRYPTO_AES128},
                 {"AES192", CRYPTO_AES192},
                 {"AES256", CRYPTO_AES256},
                 {"2TDEA", CRYPTO_TDEA2},
                 {"3TDEA", CRYPTO_TDEA3}};
    const char *alg = json_string_value(json_object_get(v, "alg"));
    for (size_t i = 0; i < B_COUNT(names); i++) {
        if (strcmp(names[i].name, alg) == 0)
            return names[i].cipher;
    }
    fail_msg("unknown algorithm %s", alg);
    return CRYPTO_AES128;
}

static void check_vector(const json_t *v, const struct crypto_engine *engine)
{
    uint8_t master[32], input[32], want[32], got[32];
    enum crypto_cipher cipher = cipher_of(v);
    assert_int_equal(hex_field(v, "K", master, sizeof(master)), crypto_key_size(cipher));
    size_t n = hex_field(v, "D", input, sizeof(input));
    assert_int_equal(hex_field(v, "out", want, sizeof(want)), crypto_key_size(cipher));
    struct crypto_key key;
    if (engine != NULL && crypto_block_size(cipher) == 16)
        crypto_key_init_with(&key, engine, cipher, master);
    else
        crypto_key_init(&key, cipher, master);
    assert_int_equal(crypto_an10922(&key, input, n, got, NULL), B_OK);
    assert_memory_equal(got, want, crypto_key_size(cipher));
    if (json_object_get(v, "ver55") != NULL) {
        assert_int_equal(hex_field(v, "ver55", want, sizeof(want)), crypto_key_size(cipher));
        crypto_tdea_set_version(got, 0x55);
        assert_memory_equal(got, want, crypto_key_size(cipher));
    }
}

static void check_all(const struct crypto_engine *engine)
{
    json_t *root = vectors();
    json_t *list = json_object_get(root, "v");
    assert_true(json_array_size(list) >= 12);
    for (size_t i = 0; i < json_array_size(list); i++)
        check_vector(json_array_get(list, i), engine);
    json_decref(root);
}

static void published_keys_come_out_with_this_cpu(void **state)
{
    (void)state;
    check_all(NULL);
}

static void published_keys_come_out_without_aes_instructions(void **state)
{
    (void)state;
    check_all(&crypto_engine_aes_portable);
}

static void an_input_of_0_or_32_bytes_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0}, out[16];
    struct crypto_key key;
    struct b_err err;
    crypto_key_init(&key, CRYPTO_AES128, bytes);
    assert_int_equal(crypto_an10922(&key, bytes, 0, out, &err), B_E_KEY_LENGTH);
    assert_int_equal(crypto_an10922(&key, bytes, 32, out, &err), B_E_KEY_LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_keys_come_out_with_this_cpu),
        cmocka_unit_test(published_keys_come_out_without_aes_instructions),
        cmocka_unit_test(an_input_of_0_or_32_bytes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
