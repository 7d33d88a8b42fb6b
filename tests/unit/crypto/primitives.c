/* Ciphers, CMAC, CRCs and diversification against published numbers, and one engine against the
 * other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/engine.h"

static void bytes_of(const char *hex, uint8_t *out, size_t n)
{
    struct b_wr w = b_wr_from(out, n);
    assert_true(b_unhex(&w, hex));
    assert_int_equal(w.len, n);
}

/* NIST SP 800-38B, appendix D.1, which the trace of the real card's program repeats. */
static void aes_cmac_gives_the_numbers_of_sp_800_38b(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *mac;
    } rows[] = {{0, "BB1D6929E95937287FA37D129B756746"},
                {16, "070A16B46B4D4144F79BDD9DD04A287C"},
                {40, "DFA66747DE9AE63030CA32611497C827"},
                {64, "51F0BEBF7E3B9D92FC49741779363CFE"}};
    uint8_t bytes[16], message[64], want[16], got[16];
    struct crypto_key key;
    bytes_of("2B7E151628AED2A6ABF7158809CF4F3C", bytes, 16);
    bytes_of("6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E51"
             "30C81C46A35CE411E5FBC1191A0A52EFF69F2445DF4F9B17AD2B417BE66C3710",
             message, 64);
    crypto_key_init(&key, CRYPTO_AES128, bytes);
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        for (size_t cut = 0; cut <= rows[i].n; cut++) {
            struct crypto_cmac c;
            crypto_cmac_begin(&c, &key, NULL);
            crypto_cmac_update(&c, message, cut);
            crypto_cmac_update(&c, message + cut, rows[i].n - cut);
            crypto_cmac_final(&c, got);
            bytes_of(rows[i].mac, want, 16);
            assert_memory_equal(got, want, 16);
        }
    }
}

/* FIPS 197, appendix C. */
static void aes_gives_the_numbers_of_fips_197(void **state)
{
    (void)state;
    static const struct {
        enum crypto_cipher cipher;
        const char *out;
    } rows[] = {{CRYPTO_AES128, "69C4E0D86A7B0430D8CDB78070B4C55A"},
                {CRYPTO_AES192, "DDA97CA4864CDFE06EAF70A0EC0D7191"},
                {CRYPTO_AES256, "8EA2B7CA516745BFEAFC49904B496089"}};
    const struct crypto_engine *engines[] = {&crypto_engine_aes_portable, crypto_engine_aes_ni()};
    uint8_t bytes[32], plain[16], want[16], got[16];
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    bytes_of("00112233445566778899AABBCCDDEEFF", plain, 16);
    for (size_t e = 0; e < B_COUNT(engines) && engines[e] != NULL; e++) {
        for (size_t i = 0; i < B_COUNT(rows); i++) {
            struct crypto_key key;
            crypto_key_init_with(&key, engines[e], rows[i].cipher, bytes);
            bytes_of(rows[i].out, want, 16);
            crypto_encrypt_block(&key, plain, got);
            assert_memory_equal(got, want, 16);
            crypto_decrypt_block(&key, got, got);
            assert_memory_equal(got, plain, 16);
        }
    }
}

static void both_engines_agree_on_random_keys_and_data(void **state)
{
    (void)state;
    const struct crypto_engine *ni = crypto_engine_aes_ni();
    if (ni == NULL)
        return; /* one engine alone: there is nothing to compare */
    for (int i = 0; i < 2000; i++) {
        uint8_t bytes[32], data[64], a[64], b[64], iv_a[16] = {0}, iv_b[16] = {0};
        struct crypto_key one, two;
        enum crypto_cipher cipher = (enum crypto_cipher)(CRYPTO_AES128 + i % 3);
        crypto_random(bytes, sizeof(bytes));
        crypto_random(data, sizeof(data));
        crypto_key_init_with(&one, ni, cipher, bytes);
        crypto_key_init_with(&two, &crypto_engine_aes_portable, cipher, bytes);
        crypto_cbc_encrypt(&one, iv_a, data, a, sizeof(a));
        crypto_cbc_encrypt(&two, iv_b, data, b, sizeof(b));
        assert_memory_equal(a, b, sizeof(a));
        memset(iv_a, 0, 16);
        crypto_cbc_decrypt(&one, iv_a, a, a, sizeof(a));
        assert_memory_equal(a, data, sizeof(a));
        crypto_cmac_two(&one, data, a);
        crypto_cmac_two(&two, data, b);
        assert_memory_equal(a, b, 16);
    }
}

/* The usual check string; facts of AN12757 for the second. */
static void the_crc_is_that_of_desfire(void **state)
{
    (void)state;
    uint8_t key[16];
    assert_int_equal(crypto_crc32(CRYPTO_CRC32_START, "123456789", 9), 0x340BC6D9);
    bytes_of("F3847D627727ED3BC9C4CC050489B966", key, 16);
    assert_int_equal(crypto_crc32(CRYPTO_CRC32_START, key, 16), 0xDCFA9D78);
    /* ISO/IEC 14443-3 annex B: CRC_A of 00 00 is A0 1E, of 12 34 is 26 CF. */
    assert_int_equal(crypto_crc16(CRYPTO_CRC16_START, "\x00\x00", 2), 0x1EA0);
    assert_int_equal(crypto_crc16(CRYPTO_CRC16_START, "\x12\x34", 2), 0xCF26);
}

static struct crypto_div_facts facts(void)
{
    struct crypto_div_facts f = {.uid_len = 7, .key_no = 3, .system_len = 7, .serial_len = 4};
    bytes_of("04782E21801D80", f.uid, 7);
    bytes_of("3042F5", f.aid, 3);
    memcpy(f.system, "NXP Abu", 7);
    memcpy(f.serial, "B-01", 4);
    return f;
}

/* AN10922 §2.2.1: the input that the published key is made of. */
static void the_default_profile_builds_the_input_of_an10922(void **state)
{
    (void)state;
    uint8_t want[17], room[31];
    struct crypto_div_facts f = facts();
    struct b_wr w = b_wr_from(room, sizeof(room));
    bytes_of("04782E21801D803042F54E585020416275", want, 17);
    assert_int_equal(crypto_div_input(crypto_div_find("uid-aid-system"), &f, &w, NULL), B_OK);
    assert_int_equal(w.len, 17);
    assert_memory_equal(room, want, 17);
}

static void a_random_uid_is_refused_by_every_profile_that_uses_it(void **state)
{
    (void)state;
    struct crypto_div_facts f = facts();
    struct b_err err;
    f.uid_len = 4;
    for (size_t i = 0; crypto_div_at(i) != NULL; i++) {
        const struct crypto_div_profile *p = crypto_div_at(i);
        uint8_t room[31];
        struct b_wr w = b_wr_from(room, sizeof(room));
        enum b_code r = crypto_div_input(p, &f, &w, &err);
        assert_int_equal(r, crypto_div_uses_uid(p) ? B_E_RANDOM_UID : B_OK);
        assert_ptr_equal(crypto_div_find(crypto_div_id(p)), p);
    }
    assert_null(crypto_div_find("no-such-profile"));
}

static void an_input_that_is_too_long_or_lacks_its_serial_is_refused(void **state)
{
    (void)state;
    struct crypto_div_facts f = facts();
    struct b_err err;
    uint8_t room[64];
    struct b_wr w = b_wr_from(room, sizeof(room));
    f.serial_len = 0;
    assert_int_equal(crypto_div_input(crypto_div_find("serial"), &f, &w, &err), B_E_KEY_LENGTH);
    f.serial_len = f.system_len = 16;
    assert_int_equal(crypto_div_input(crypto_div_find("serial"), &f, &w, &err), B_E_KEY_LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aes_cmac_gives_the_numbers_of_sp_800_38b),
        cmocka_unit_test(aes_gives_the_numbers_of_fips_197),
        cmocka_unit_test(both_engines_agree_on_random_keys_and_data),
        cmocka_unit_test(the_crc_is_that_of_desfire),
        cmocka_unit_test(the_default_profile_builds_the_input_of_an10922),
        cmocka_unit_test(a_random_uid_is_refused_by_every_profile_that_uses_it),
        cmocka_unit_test(an_input_that_is_too_long_or_lacks_its_serial_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
