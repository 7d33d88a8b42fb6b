/* Key blocks against published ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/keyblock.h"

/* TR-31:2018 (ANSI X9 TR 31) A.7.3.2 and A.7.4, and a block that a Thales payShield 10k made, as
 * the tests of openemv/tr31 (tr31_decrypt_test.c) quote them. */
static const struct {
    const char *kbpk, *block, *key;
} published[] = {
    {"88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6",
     "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A27E8E31DA05F74"
     "2"
     "5509593D03A457DC34",
     "3F419E1CB7079442AA37474C2EFBF8B8"},
    {"4141414141414141414141414141414141414141414141414141414141414141",
     "D0112B0TN00N000037DB9B046B7B0048785690759580ABC3B9842AB4BB7717B49E92528E575785D8123559376A255"
     "3"
     "B27BE94F054F4E971C",
     "1FA1F7CEC798D91545DA8AE0C7796BD9"},
    {"DD7515F2BFC17F85CE48F3CA25CB21F6",
     "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E",
     "3F419E1CB7079442AA37474C2EFBF8B8"},
    {"1D22BF32387C600AD97F9B97A51311AC",
     "B0104B0TX12S0100KS1800604B120F9292800000BB68BE8680A400D9191AD4ECE45B6E6C0D21C4738A52190E24871"
     "9"
     "E24B433627",
     "E8BC63E5479455E26577F715D587FE68"},
    {"EFE0853B256B583D868F251CE99EA1D9",
     "B0080K0TN00N00001C414014375212C24995E405B5EE052CB92B67F455EA2680F6751088F9F1C228",
     "5DB50B454F8389ADCE573BE50861F2BF"},
};

static size_t unhex(uint8_t *out, size_t cap, const char *hex)
{
    struct b_wr w = b_wr_from(out, cap);
    assert_true(b_unhex(&w, hex));
    return w.len;
}

static void published_blocks_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < B_COUNT(published); i++) {
        uint8_t kbpk[32], key[32];
        struct crypto_keyblock k;
        struct b_err err = {0};
        size_t n = unhex(kbpk, sizeof(kbpk), published[i].kbpk);
        size_t key_n = unhex(key, sizeof(key), published[i].key);
        if (crypto_keyblock_open(b_rd_from(kbpk, n),
                                 b_rd_from(published[i].block, strlen(published[i].block)), &k,
                                 &err) != B_OK)
            fail_msg("%zu: %s", i, err.msg);
        assert_int_equal(k.n, key_n);
        assert_memory_equal(k.key, key, key_n);
        assert_memory_equal(k.header, published[i].block, 16);
    }
}

/* The padding of A.7.4 is published, so the block comes out sign by sign. */
static void the_published_block_is_sealed(void **state)
{
    (void)state;
    uint8_t kbpk[32], padding[14];
    char out[CRYPTO_KEYBLOCK_MAX];
    struct crypto_keyblock k = {.header = "D0000P0AE00E0000", .n = 16};
    (void)unhex(kbpk, sizeof(kbpk), published[0].kbpk);
    (void)unhex(k.key, sizeof(k.key), published[0].key);
    (void)unhex(padding, sizeof(padding), "1C2965473CE206BB855B01533782");
    assert_int_equal(crypto_keyblock_seal(b_rd_from(kbpk, 32), &k, b_rd_from(padding, 14), out,
                                          sizeof(out), NULL),
                     B_OK);
    assert_string_equal(out, published[0].block);
    assert_int_equal(crypto_keyblock_seal(b_rd_from(kbpk, 32), &k, b_rd_from(padding, 13), out,
                                          sizeof(out), NULL),
                     B_E_BAD_INPUT);
    assert_int_equal(
        crypto_keyblock_seal(b_rd_from(kbpk, 32), &k, b_rd_from(padding, 14), out, 112, NULL),
        B_E_BAD_INPUT);
}

static void what_was_changed_does_not_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < B_COUNT(published); i++) {
        uint8_t kbpk[32];
        char block[256];
        struct crypto_keyblock k;
        size_t n = unhex(kbpk, sizeof(kbpk), published[i].kbpk);
        size_t length = strlen(published[i].block);
        memcpy(block, published[i].block, length);
        for (size_t at = 0; at < length; at++) {
            char was = block[at];
            block[at] = was == '1' ? '2' : '1';
            assert_int_not_equal(
                crypto_keyblock_open(b_rd_from(kbpk, n), b_rd_from(block, length), &k, NULL), B_OK);
            block[at] = was;
        }
        for (size_t cut = 0; cut < length; cut++)
            assert_int_equal(
                crypto_keyblock_open(b_rd_from(kbpk, n), b_rd_from(block, cut), &k, NULL),
                B_E_BAD_INPUT);
        kbpk[0] ^= 0x80;
        assert_int_equal(
            crypto_keyblock_open(b_rd_from(kbpk, n), b_rd_from(block, length), &k, NULL),
            B_E_BACKUP_BROKEN);
        assert_int_equal(
            crypto_keyblock_open(b_rd_from(kbpk, n - 1), b_rd_from(block, length), &k, NULL),
            B_E_BAD_INPUT);
    }
}

/* TR-31:2018 A.7.2.1: version A. */
static void key_variants_are_refused(void **state)
{
    (void)state;
    static const char a[] =
        "A0072P0TE00E0000F5161ED902807AF26F1D62263644BD24192FDB3193C730301CEE8701";
    uint8_t kbpk[16];
    struct crypto_keyblock k;
    (void)unhex(kbpk, sizeof(kbpk), "89E88CF7931444F334BD7547FC3F380C");
    assert_int_equal(
        crypto_keyblock_open(b_rd_from(kbpk, 16), b_rd_from(a, sizeof(a) - 1), &k, NULL),
        B_E_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_blocks_open),
        cmocka_unit_test(the_published_block_is_sealed),
        cmocka_unit_test(what_was_changed_does_not_open),
        cmocka_unit_test(key_variants_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
