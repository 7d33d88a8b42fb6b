/* Signatures against published numbers: RFC 8032 §7.1, RFC 6979 §A.2.5, and the verification
 * vectors of BoringSSL (ecdsa_verify_fixed_tests.txt) with an s that starts with zeros. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/sign.h"

static void bytes_of(const char *hex, uint8_t *out, size_t n)
{
    struct b_wr w = b_wr_from(out, n);
    assert_true(b_unhex(&w, hex));
    assert_int_equal(w.len, n);
}

static const struct {
    const char *seed, *public_key, *message, *signature;
} ed25519[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
     "b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
     "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d"
     "c6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void ed25519_gives_the_numbers_of_rfc_8032(void **state)
{
    (void)state;
    for (size_t i = 0; i < B_COUNT(ed25519); i++) {
        uint8_t seed[32], want_key[32], key[32], message[2], want[64], got[64];
        size_t n = strlen(ed25519[i].message) / 2;
        bytes_of(ed25519[i].seed, seed, 32);
        bytes_of(ed25519[i].public_key, want_key, 32);
        bytes_of(ed25519[i].message, message, n);
        bytes_of(ed25519[i].signature, want, 64);
        crypto_ed25519_public(seed, key);
        assert_memory_equal(key, want_key, 32);
        crypto_ed25519_sign(seed, message, n, got);
        assert_memory_equal(got, want, 64);
        assert_true(crypto_ed25519_verify(key, message, n, want));
    }
}

static void an_ed25519_signature_with_any_bit_changed_is_refused(void **state)
{
    (void)state;
    uint8_t key[32], signature[64];
    const uint8_t message[1] = {0x72};
    bytes_of(ed25519[1].public_key, key, 32);
    bytes_of(ed25519[1].signature, signature, 64);
    for (size_t bit = 0; bit < 8 * sizeof(signature); bit++) {
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(crypto_ed25519_verify(key, message, 1, signature));
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof(key); bit++) {
        key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(crypto_ed25519_verify(key, message, 1, signature));
        key[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_false(crypto_ed25519_verify(key, "s", 1, signature));
    assert_false(crypto_ed25519_verify(key, message, 0, signature));
    assert_true(crypto_ed25519_verify(key, message, 1, signature));
}

/* RFC 6979 §A.2.5: curve P-256. */
static const char scalar_hex[] = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
static const char point_hex[] = "0460FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
                                "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";
static const struct {
    const char *message, *signature;
} es256[] = {
    {"sample", "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
               "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
    {"test", "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367"
             "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"},
};

static void es256_verifies_the_signatures_of_rfc_6979(void **state)
{
    (void)state;
    uint8_t point[65], signature[64];
    bytes_of(point_hex, point, 65);
    for (size_t i = 0; i < B_COUNT(es256); i++) {
        const char *message = es256[i].message;
        bytes_of(es256[i].signature, signature, 64);
        assert_true(crypto_es256_verify(point, message, strlen(message), signature));
        assert_false(crypto_es256_verify(point, message, strlen(message) - 1, signature));
        for (size_t bit = 0; bit < 8 * sizeof(signature); bit++) {
            signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(crypto_es256_verify(point, message, strlen(message), signature));
            signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void es256_verifies_numbers_that_start_with_zeros(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "341f6779b75e98bb42e01095dd48356cbf9002dc704ac8bd2a8240b88d3796c6"
        "555843b1b4e264fe6ffe6e2b705a376c05c09404303ffe5d2711f3e3b3a010a1",
        "31ed574e9688aed7016e985c0e742fb788be73d9ad0a895e6182c77751817ed0"
        "00d98eb6d480d64d1729c680693cb13bd6bf0c7b651007e459e667683ff65b92",
        "f59cf66594cc837415f16494fb52c02f2a6264bf6ce7dccbf2f78c090cdcefb0"
        "00005a8c8a04ba7825f3f8e56517056daa1a51129cd91382a24589ed05d0c13d"};
    uint8_t point[65], signature[64];
    bytes_of("0430345fd47ea21a11129be651b0884bfac698377611acc9f689458e13b9ed7d4b"
             "9d7599a68dcf125e7f31055ccb374cd04f6d6fd2b217438a63f6f667d50ef2f0",
             point, 65);
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        bytes_of(rows[i], signature, 64);
        assert_true(crypto_es256_verify(point, "", 0, signature));
    }
}

static void what_es256_signs_verifies_with_the_published_point(void **state)
{
    (void)state;
    uint8_t scalar[32], point[65], want[65], signature[64];
    bytes_of(scalar_hex, scalar, 32);
    bytes_of(point_hex, want, 65);
    struct crypto_es256 *key = crypto_es256_new(scalar);
    assert_non_null(key);
    crypto_es256_public(key, point);
    assert_memory_equal(point, want, 65);
    for (size_t i = 0; i < 100; i++) { /* r or s is short in one of 128 */
        assert_true(crypto_es256_sign(key, &i, sizeof(i), signature));
        assert_true(crypto_es256_verify(want, &i, sizeof(i), signature));
    }
    crypto_es256_free(&key);
    assert_null(key);
    crypto_es256_free(&key);
}

/* FIPS 186-5 §A.2: a private key is 1 .. n-1; SEC 1 §3.2.2.1: a public key is on the curve. */
static void numbers_that_are_no_key_and_no_signature_are_refused(void **state)
{
    (void)state;
    uint8_t scalar[32] = {0}, point[65], signature[64];
    assert_null(crypto_es256_new(scalar));
    bytes_of("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", scalar, 32);
    assert_null(crypto_es256_new(scalar));
    memset(scalar, 0xFF, sizeof(scalar));
    assert_null(crypto_es256_new(scalar));

    bytes_of(es256[0].signature, signature, 64);
    bytes_of(point_hex, point, 65);
    for (size_t i = 0; i < sizeof(point); i++) {
        point[i] ^= 1;
        assert_false(crypto_es256_verify(point, "sample", 6, signature));
        point[i] ^= 1;
    }
    uint8_t half[32];
    memcpy(half, signature, 32);
    memset(signature, 0, 32); /* r = 0 */
    assert_false(crypto_es256_verify(point, "sample", 6, signature));
    memcpy(signature, half, 32);
    memset(signature + 32, 0, 32); /* s = 0 */
    assert_false(crypto_es256_verify(point, "sample", 6, signature));
    memset(signature, 0xFF, 64);
    assert_false(crypto_es256_verify(point, "sample", 6, signature));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ed25519_gives_the_numbers_of_rfc_8032),
        cmocka_unit_test(an_ed25519_signature_with_any_bit_changed_is_refused),
        cmocka_unit_test(es256_verifies_the_signatures_of_rfc_6979),
        cmocka_unit_test(es256_verifies_numbers_that_start_with_zeros),
        cmocka_unit_test(what_es256_signs_verifies_with_the_published_point),
        cmocka_unit_test(numbers_that_are_no_key_and_no_signature_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
