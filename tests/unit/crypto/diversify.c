/* Diversification profiles: the order of the pieces in each, letter by letter. Published keys over
 * these inputs are in diversify.def and checked by crypto_self_test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/crypto.h"

static const struct crypto_div_facts facts = {
    .uid = {0x04, 1, 2, 3, 4, 5, 6},
    .uid_len = 7,
    .serial = {0xA0, 0xA1},
    .serial_len = 2,
    .aid = {0xB0, 0xB1, 0xB2},
    .key_no = 0xC0,
    .system = {0xD0, 0xD1},
    .system_len = 2,
};

static const struct {
    const char *id, *input;
} rows[] = {
    {"uid-aid-system", "04010203040506 B0B1B2 D0D1"},
    {"uid-aid-key-system", "04010203040506 B0B1B2 C0 D0D1"},
    {"uid", "04010203040506"},
    {"serial", "A0A1 B0B1B2 C0 D0D1"},
    {"uid-reversed-aid", "04010203040506 B2B1B0 D0D1"},
    {"uid-reversed-aid-key", "04010203040506 B2B1B0 C0"},
    {"uid-aid-key", "04010203040506 B0B1B2 C0"},
    {"reversed-uid-aid-system", "06050403020104 B0B1B2 D0D1"},
};

static void every_profile_lays_its_pieces_in_the_order_the_manual_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        const struct crypto_div_profile *p = crypto_div_find(rows[i].id);
        uint8_t room[CRYPTO_DIV_INPUT_MAX], want[CRYPTO_DIV_INPUT_MAX];
        struct b_wr w = b_wr_from(room, sizeof(room)), x = b_wr_from(want, sizeof(want));
        assert_non_null(p);
        assert_true(b_unhex(&x, rows[i].input));
        assert_int_equal(crypto_div_input(p, &facts, &w, NULL), B_OK);
        assert_int_equal(w.len, x.len);
        assert_memory_equal(room, want, x.len);
        assert_ptr_equal(crypto_div_at(i), p);
    }
    assert_null(crypto_div_at(B_COUNT(rows)));
}

static void a_uid_of_any_other_length_is_refused_and_a_random_one_with_its_own_code(void **state)
{
    (void)state;
    struct crypto_div_facts f = facts;
    for (uint8_t n = 0; n <= sizeof(f.uid); n++) {
        uint8_t room[CRYPTO_DIV_INPUT_MAX];
        struct b_wr w = b_wr_from(room, sizeof(room));
        struct b_err err = {0};
        f.uid_len = n;
        enum b_code want = n == 7 ? B_OK : n == 4 ? B_E_RANDOM_UID : B_E_KEY_LENGTH;
        assert_int_equal(crypto_div_input(crypto_div_find("uid"), &f, &w, &err), want);
        assert_int_equal(w.len, n == 7 ? 7 : 0);
        assert_int_equal(err.msg[0] != '\0', n != 7);
    }
}

static void an_input_of_31_bytes_fits_and_one_of_32_does_not(void **state)
{
    (void)state;
    struct crypto_div_facts f = facts;
    uint8_t room[64];
    f.system_len = 16;
    f.serial_len = 11; /* 11 + 3 + 1 + 16 */
    struct b_wr w = b_wr_from(room, sizeof(room));
    assert_int_equal(crypto_div_input(crypto_div_find("serial"), &f, &w, NULL), B_OK);
    assert_int_equal(w.len, CRYPTO_DIV_INPUT_MAX);
    f.serial_len = 12;
    w = b_wr_from(room, sizeof(room));
    assert_int_equal(crypto_div_input(crypto_div_find("serial"), &f, &w, NULL), B_E_KEY_LENGTH);
    assert_int_equal(w.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile_lays_its_pieces_in_the_order_the_manual_says),
        cmocka_unit_test(a_uid_of_any_other_length_is_refused_and_a_random_one_with_its_own_code),
        cmocka_unit_test(an_input_of_31_bytes_fits_and_one_of_32_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
