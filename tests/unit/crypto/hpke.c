/* HPKE against RFC 9180, appendix A.3.1 (base mode, P-256, HKDF-SHA256, AES-128-GCM). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "crypto/hpke.h"

static uint8_t ephemeral[32], scalar[32], point[65], enc[65], info[32], aad[16], text[64], ct[64];
static size_t info_len, aad_len, text_len, ct_len;

static size_t hex(void *to, size_t cap, const char *from)
{
    struct b_wr w = b_wr_from(to, cap);
    assert_true(b_unhex(&w, from));
    return w.len;
}

static int load(void **state)
{
    (void)state;
    hex(ephemeral, 32, "4995788EF4B9D6132B249CE59A77281493EB39AF373D236A1FE415CB0C2D7BEB");
    hex(scalar, 32, "F3CE7FDAE57E1A310D87F1EBBDE6F328BE0A99CDBCADF4D6589CF29DE4B8FFD2");
    hex(point, 65,
        "04FE8C19CE0905191EBC298A9245792531F26F0CECE2460639E8BC39CB7F706A82"
        "6A779B4CF969B8A0E539C7F62FB3D30AD6AA8F80E30F1D128AAFD68A2CE72EA0");
    hex(enc, 65,
        "04A92719C6195D5085104F469A8B9814D5838FF72B60501E2C4466E5E67B325AC9"
        "8536D7B61A1AF4B78E5B7F951C0900BE863C403CE65C9BFCB9382657222D18C4");
    info_len = hex(info, sizeof(info), "4F6465206F6E2061204772656369616E2055726E");
    aad_len = hex(aad, sizeof(aad), "436F756E742D30");
    text_len =
        hex(text, sizeof(text), "4265617574792069732074727574682C20747275746820626561757479");
    ct_len =
        hex(ct, sizeof(ct),
            "5AD590BB8BAA577F8619DB35A36311226A896E7342A6D836D8B7BCD2F20B6C7F9076AC232E3AB2523F"
            "39513434");
    return 0;
}

static struct crypto_hpke context(void)
{
    return (struct crypto_hpke){b_rd_from(info, info_len), b_rd_from(aad, aad_len)};
}

static void the_published_message_is_sealed_and_opened(void **state)
{
    (void)state;
    uint8_t box[128], out[64];
    const struct crypto_hpke c = context();
    assert_true(crypto_hpke_seal_with(ephemeral, point, &c, b_rd_from(text, text_len), box));
    assert_memory_equal(box, enc, sizeof(enc));
    assert_memory_equal(box + 65, ct, ct_len);
    assert_true(crypto_hpke_open(scalar, &c, b_rd_from(box, 65 + ct_len), out));
    assert_memory_equal(out, text, text_len);
}

static void a_box_with_any_byte_changed_does_not_open(void **state)
{
    (void)state;
    uint8_t box[128], out[64];
    struct crypto_hpke c = context();
    size_t n = text_len + CRYPTO_HPKE_OVERHEAD;
    assert_true(crypto_hpke_seal(point, &c, b_rd_from(text, text_len), box));
    assert_true(crypto_hpke_open(scalar, &c, b_rd_from(box, n), out));
    for (size_t i = 0; i < n; i++) {
        box[i] ^= 1;
        assert_false(crypto_hpke_open(scalar, &c, b_rd_from(box, n), out));
        box[i] ^= 1;
    }
    assert_false(crypto_hpke_open(scalar, &c, b_rd_from(box, n - 1), out));
    assert_false(crypto_hpke_open(scalar, &c, b_rd_from(box, CRYPTO_HPKE_OVERHEAD - 1), out));
    c.aad.left--;
    assert_false(crypto_hpke_open(scalar, &c, b_rd_from(box, n), out));
    static const uint8_t zeros[64];
    c = context();
    c.info.left--;
    memset(out, 0x55, sizeof(out));
    assert_false(crypto_hpke_open(scalar, &c, b_rd_from(box, n), out));
    assert_memory_equal(out, zeros, text_len);
}

static void a_point_that_is_not_on_the_curve_is_refused(void **state)
{
    (void)state;
    uint8_t box[128], wrong[65];
    const struct crypto_hpke c = context();
    memcpy(wrong, point, sizeof(wrong));
    wrong[64] ^= 1;
    assert_false(crypto_hpke_seal(wrong, &c, b_rd_from(text, text_len), box));
    memset(wrong, 0, sizeof(wrong));
    assert_false(crypto_hpke_seal(wrong, &c, b_rd_from(text, text_len), box));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_message_is_sealed_and_opened),
        cmocka_unit_test(a_box_with_any_byte_changed_does_not_open),
        cmocka_unit_test(a_point_that_is_not_on_the_curve_is_refused),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
