/* Key wrap against RFC 3394; sealing for a certificate is judged by openssl in
 * tests/e2e/ceremony.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/wrap.h"

static const char kek_hex[] = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";

static void unhex(uint8_t *out, size_t n, const char *hex)
{
    struct b_wr w = b_wr_from(out, n);
    assert_true(b_unhex(&w, hex) && w.len == n);
}

/* RFC 3394 §4.3: 128 bits of key data with a 256-bit KEK; §4.6: 256 bits. */
static void published_wraps_come_out(void **state)
{
    static const struct {
        const char *key, *wrapped;
    } cases[] = {
        {"00112233445566778899AABBCCDDEEFF", "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"},
        {"00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
         "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
    };
    (void)state;
    uint8_t kek[32];
    unhex(kek, sizeof(kek), kek_hex);
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        uint8_t key[32], wrapped[40], got[40];
        size_t n = strlen(cases[i].key) / 2;
        unhex(key, n, cases[i].key);
        unhex(wrapped, n + 8, cases[i].wrapped);
        crypto_key_wrap(kek, key, n, got);
        assert_memory_equal(got, wrapped, n + 8);
        assert_true(crypto_key_unwrap(kek, wrapped, n + 8, got));
        assert_memory_equal(got, key, n);
    }
}

static void what_was_changed_does_not_unwrap(void **state)
{
    (void)state;
    uint8_t kek[32], wrapped[24], got[16], none[16] = {0};
    unhex(kek, sizeof(kek), kek_hex);
    unhex(wrapped, sizeof(wrapped), "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7");
    for (size_t i = 0; i < sizeof(wrapped) * 8; i++) {
        wrapped[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(crypto_key_unwrap(kek, wrapped, sizeof(wrapped), got));
        assert_memory_equal(got, none, sizeof(none));
        wrapped[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    kek[0] ^= 1;
    assert_false(crypto_key_unwrap(kek, wrapped, sizeof(wrapped), got));
    assert_false(crypto_key_unwrap(kek, wrapped, 16, got));
}

static void what_is_sealed_opens_whole_in_its_context_alone(void **state)
{
    (void)state;
    uint8_t kek[32] = {7}, sealed[5 + CRYPTO_SEALED_OVERHEAD], other[sizeof(sealed)], got[5];
    static const uint8_t none[5];
    const struct b_rd context = b_rd_from("context", 7);
    crypto_seal(kek, context, b_rd_from("plain", 5), sealed);
    crypto_seal(kek, context, b_rd_from("plain", 5), other);
    assert_memory_not_equal(sealed, other, sizeof(sealed));
    assert_true(crypto_unseal(kek, context, b_rd_from(sealed, sizeof(sealed)), got));
    assert_memory_equal(got, "plain", 5);
    assert_false(
        crypto_unseal(kek, b_rd_from("contexT", 7), b_rd_from(sealed, sizeof(sealed)), got));
    assert_memory_equal(got, none, sizeof(none));
    for (size_t i = 0; i < sizeof(sealed) * 8; i++) {
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(crypto_unseal(kek, context, b_rd_from(sealed, sizeof(sealed)), got));
        assert_memory_equal(got, none, sizeof(none));
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t n = 0; n < sizeof(sealed); n++)
        assert_false(crypto_unseal(kek, context, b_rd_from(sealed, n), got));
    kek[0] ^= 1;
    assert_false(crypto_unseal(kek, context, b_rd_from(sealed, sizeof(sealed)), got));
}

static void only_a_certificate_is_sealed_for(void **state)
{
    (void)state;
    uint8_t room[512];
    static const uint8_t text[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const struct b_rd inputs[] = {b_rd_from(text, sizeof(text)), b_rd_from(text, 0),
                                  b_rd_from("\x30\x03\x02\x01\x01 not a certificate", 24)};
    for (size_t i = 0; i < B_COUNT(inputs); i++) {
        struct b_err err = {0};
        struct b_wr w = b_wr_from(room, sizeof(room));
        assert_int_equal(crypto_cms_seal(inputs[i], b_rd_from("x", 1), &w, &err), B_E_CERT_BAD);
        assert_int_equal(w.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_wraps_come_out),
        cmocka_unit_test(what_was_changed_does_not_unwrap),
        cmocka_unit_test(what_is_sealed_opens_whole_in_its_context_alone),
        cmocka_unit_test(only_a_certificate_is_sealed_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
