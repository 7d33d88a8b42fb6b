/* The two halves of a tap against NXP's published authentications. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "desfire/prove.h"
#include "support/vector.h"

static bool cbc(void *ctx, bool is_encrypt, uint8_t *iv, const uint8_t *in, uint8_t *out, size_t n)
{
    (is_encrypt ? crypto_cbc_encrypt : crypto_cbc_decrypt)(ctx, iv, in, out, n);
    return true;
}

static bool away(void *ctx, bool is_encrypt, uint8_t *iv, const uint8_t *in, uint8_t *out, size_t n)
{
    (void)ctx, (void)is_encrypt, (void)iv, (void)in;
    memset(out, 0, n);
    return false;
}

/* skip: bytes before the challenge, the token and the answer in the vector. */
static void check(const json_t *v, enum df_auth how, const size_t skip[static 3])
{
    uint8_t bytes[64], a[16], want[64], token[DF_PROVE_TOKEN];
    struct crypto_key key;
    struct df_prove p;
    assert_int_equal(vector_hex(v, "key", bytes, sizeof(bytes)), 16);
    crypto_key_init(&key, CRYPTO_AES128, bytes);
    const struct df_prove_cipher cipher = {cbc, &key};
    assert_int_equal(vector_hex(v, "RndA", a, sizeof(a)), 16);
    assert_true(vector_hex(v, "r1", bytes, sizeof(bytes)) >= skip[0] + 16);
    assert_true(df_prove_token(&p, how, &cipher, bytes + skip[0], a, token));
    assert_true(vector_hex(v, "c2", want, sizeof(want)) >= skip[1] + 32);
    assert_memory_equal(token, want + skip[1], 32);
    size_t n = df_prove_answer_size(how);
    assert_true(vector_hex(v, "r2", bytes, sizeof(bytes)) >= skip[2] + n);
    assert_true(df_prove_check(&p, &cipher, bytes + skip[2]));
    for (size_t i = 0; i < 16; i++) {
        bytes[skip[2] + i] ^= 1;
        assert_false(df_prove_check(&p, &cipher, bytes + skip[2]));
        bytes[skip[2] + i] ^= 1;
    }
    const struct df_prove_cipher broken = {away, NULL};
    assert_false(df_prove_check(&p, &broken, bytes + skip[2]));
    assert_false(df_prove_token(&p, how, &broken, bytes + skip[0], a, token));
}

static void ev2_first_gives_the_published_token_and_accepts_the_published_proof(void **state)
{
    (void)state;
    json_t *root = vector_load("an12196_ev2.json");
    const json_t *list = json_object_get(root, "auth");
    for (size_t i = 0; i < 2; i++)
        check(json_array_get(list, i), DF_AUTH_EV2_FIRST, (size_t[]){0, 5, 0});
    json_decref(root);
}

static void aes_gives_the_published_token_and_accepts_the_published_proof(void **state)
{
    (void)state;
    json_t *root = vector_load("ev1_an12757_an0945.json");
    const json_t *v = json_array_get(json_object_get(root, "auth"), 1);
    assert_string_equal(vector_text(v, "id"), "T20 AuthenticateAES key2");
    check(v, DF_AUTH_AES, (size_t[]){1, 1, 1});
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ev2_first_gives_the_published_token_and_accepts_the_published_proof),
        cmocka_unit_test(aes_gives_the_published_token_and_accepts_the_published_proof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
