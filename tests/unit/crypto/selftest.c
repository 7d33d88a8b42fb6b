/* The self-test: it passes with every engine of ours, and finds each way an engine can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/engine.h"

static const struct crypto_engine *const good = &crypto_engine_aes_portable;

static void this_machine_and_the_portable_path_pass(void **state)
{
    (void)state;
    struct b_err err = {0};
    assert_int_equal(crypto_self_test(&err), B_OK);
    assert_int_equal(crypto_self_test_with(good, &crypto_engine_tdea, &err), B_OK);
}

/* --- engines with one fault each -------------------------------------------------------------- */

static void bad_expand(struct crypto_key *key, const uint8_t *bytes)
{
    uint8_t other[CRYPTO_KEY_MAX] = {0};
    memcpy(other, bytes, crypto_key_size(key->cipher));
    other[0] ^= 0x02; /* a bit that DES does not take for parity */
    if (crypto_block_size(key->cipher) == 16)
        good->expand(key, other);
    else
        crypto_engine_tdea.expand(key, other);
}

static void bad_encrypt(const struct crypto_key *key, const uint8_t *in, uint8_t *out)
{
    good->encrypt(key, in, out);
    out[15] ^= 0x80;
}

static void bad_decrypt(const struct crypto_key *key, const uint8_t *in, uint8_t *out)
{
    good->decrypt(key, in, out);
    out[0] ^= 1;
}

static void bad_mac(const struct crypto_key *key, uint8_t *chain, const uint8_t *in, size_t blocks)
{
    good->mac(key, chain, in, blocks > 1 ? blocks - 1 : blocks);
}

static void bad_unchain(const struct crypto_key *key, uint8_t *chain, const uint8_t *in,
                        uint8_t *out, size_t blocks)
{
    uint8_t zero[CRYPTO_BLOCK_MAX] = {0};
    good->unchain(key, zero, in, out, blocks);
    memcpy(chain, zero, sizeof(zero));
}

static void bad_mac_two(const struct crypto_key *key, const uint8_t *m, const uint8_t *subkey,
                        uint8_t *out)
{
    (void)subkey;
    good->mac_two(key, m, key->k1, out); /* K1 also where padding asks for K2 */
}

static void a_fault_in_any_part_of_an_engine_is_found(void **state)
{
    (void)state;
    struct crypto_engine faulty[6];
    for (size_t i = 0; i < B_COUNT(faulty); i++)
        faulty[i] = *good;
    faulty[0].expand = bad_expand;
    faulty[1].encrypt = bad_encrypt;
    faulty[2].decrypt = bad_decrypt;
    faulty[3].mac = bad_mac;
    faulty[4].mac_two = bad_mac_two;
    faulty[5].unchain = bad_unchain;
    for (size_t i = 0; i < B_COUNT(faulty); i++) {
        struct b_err err = {0};
        assert_int_equal(crypto_self_test_with(&faulty[i], &crypto_engine_tdea, &err),
                         B_E_CRYPTO_BROKEN);
        assert_memory_equal(err.msg, "known answer of ", 16);
    }
    struct crypto_engine tdea = crypto_engine_tdea;
    tdea.expand = bad_expand;
    assert_int_equal(crypto_self_test_with(good, &tdea, NULL), B_E_CRYPTO_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_and_the_portable_path_pass),
        cmocka_unit_test(a_fault_in_any_part_of_an_engine_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
