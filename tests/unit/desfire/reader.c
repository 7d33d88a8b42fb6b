/* The reader's side against a card that says what the test wants: frames, statuses, the end of
 * sessions, and answers that a hostile card or relay would give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "desfire/pcd.h"
#include "support/vector.h"

static struct df_pcd pcd;
static struct df_sm card;
static struct df_request r;
static uint8_t answer[9000], apdu[DF_CAPDU_MAX];
static struct b_wr out;

static void fixed_random(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 0x5A, n);
}

static int fresh(void **state)
{
    (void)state;
    df_pcd_init(&pcd, (struct df_random){.fill = fixed_random});
    df_sm_init(&card);
    out = b_wr_from(apdu, sizeof(apdu));
    return 0;
}

static enum df_want start(void)
{
    return df_pcd_start(&pcd, &r, b_wr_from(answer, sizeof(answer)), &out);
}

/* Gives an R-APDU in hex. */
static enum df_want says(const char *hex)
{
    uint8_t bytes[DF_RAPDU_MAX];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    assert_true(b_unhex(&w, hex));
    return df_pcd_step(&pcd, b_wr_reader(&w), &out);
}

static void sent(const char *hex)
{
    uint8_t bytes[DF_CAPDU_MAX];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    assert_true(b_unhex(&w, hex));
    assert_int_equal(out.len, w.len);
    assert_memory_equal(apdu, bytes, w.len);
}

/* A session on both sides, with a key of zeros. */
static void open_session(enum df_auth how)
{
    static struct df_handshake hs;
    static const struct df_key aes = {.type = DF_KEY_AES}, des = {.type = DF_KEY_2K3DES};
    static const struct df_hs_caps caps = {.ti = {1, 2, 3, 4}};
    const struct df_key *key = how == DF_AUTH_D40 || how == DF_AUTH_ISO ? &des : &aes;
    uint8_t b[16] = {7}, bytes[64];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    df_req_authenticate(&r, how, 0, key);
    assert_int_equal(start(), DF_TX);
    assert_true(df_hs_begin(&hs, how, 0, key));
    df_hs_challenge(&hs, b, &w);
    b_wr_be16(&w, 0x91AF);
    assert_int_equal(df_pcd_step(&pcd, b_wr_reader(&w), &out), DF_TX);
    w.len = 0;
    assert_true(df_hs_accept(&hs, &card, b_rd_from(apdu + 5, out.len - 6),
                             how == DF_AUTH_EV2_FIRST ? &caps : NULL, &w));
    b_wr_be16(&w, 0x9100);
    assert_int_equal(df_pcd_step(&pcd, b_wr_reader(&w), &out), DF_DONE);
    assert_int_equal(df_pcd_session(&pcd), how);
}

static void a_long_command_goes_in_frames_and_a_long_answer_comes_in_frames(void **state)
{
    (void)state;
    uint8_t data[100] = {0};
    df_req_write_data(&r, 1, 0, data, sizeof(data), DF_COMM_PLAIN);
    assert_int_equal(start(), DF_TX);
    assert_int_equal(out.len, 5 + 59 + 1);
    assert_memory_equal(apdu, "\x90\x3D\x00\x00\x3B\x01\x00\x00\x00\x64\x00\x00", 12);
    assert_int_equal(says("91AF"), DF_TX);
    assert_int_equal(out.len, 5 + 48 + 1);
    assert_memory_equal(apdu, "\x90\xAF\x00\x00\x30", 5);
    assert_int_equal(says("9100"), DF_DONE);

    df_pcd_set_frame(&pcd, 255);
    assert_int_equal(start(), DF_TX);
    assert_int_equal(out.len, 5 + 107 + 1);
    assert_int_equal(says("9100"), DF_DONE);

    df_req_plain(&r, DF_CMD_GET_APPLICATION_IDS);
    assert_int_equal(start(), DF_TX);
    sent("906A000000");
    assert_int_equal(says("010203 91AF"), DF_TX);
    sent("90AF000000");
    assert_int_equal(says("040506 9100"), DF_DONE);
    df_aid ids[4];
    size_t n = 0;
    assert_true(df_rsp_application_ids(df_pcd_answer(&pcd), ids, 4, &n));
    assert_int_equal(n, 2);
    assert_int_equal(ids[1], 0x060504);
}

static void each_frame_of_get_df_names_is_a_record(void **state)
{
    (void)state;
    struct df_df_name names[4];
    size_t n = 0;
    df_req_plain(&r, DF_CMD_GET_DF_NAMES);
    assert_int_equal(start(), DF_TX);
    assert_int_equal(says("563412 11E1 A00102 91AF"), DF_TX);
    assert_int_equal(says("ABCDEF 22E1 9100"), DF_DONE);
    assert_true(df_rsp_df_names(df_pcd_answer(&pcd), names, B_COUNT(names), &n));
    assert_int_equal(n, 2);
    assert_int_equal(names[0].aid, 0x123456);
    assert_int_equal(names[0].name_len, 3);
    assert_int_equal(names[1].iso_fid, 0xE122);
    assert_int_equal(names[1].name_len, 0);
}

static void each_status_has_its_error(void **state)
{
    (void)state;
    static const struct {
        const char *rapdu;
        enum b_code code;
        uint32_t aux;
    } cases[] = {
        {"91AE", B_E_CARD_REFUSED, DF_SW_AUTHENTICATION_ERROR},
        {"919D", B_E_CARD_REFUSED, DF_SW_PERMISSION_DENIED},
        {"910E", B_E_CARD_FULL, DF_SW_OUT_OF_EEPROM},
        {"91CE", B_E_CARD_FULL, DF_SW_COUNT_ERROR},
        {"9177", B_E_CARD_REFUSED, 0x77},
        {"6E00", B_E_CARD_REFUSED, 0x6E00},
        {"91", B_E_CARD_PROTOCOL, 0},
        {"", B_E_CARD_PROTOCOL, 0},
        {"91AF", B_E_CARD_PROTOCOL, DF_SW_ADDITIONAL_FRAME},
    };
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        df_req_plain(&r, DF_CMD_FREE_MEMORY);
        assert_int_equal(start(), DF_TX);
        assert_int_equal(says(cases[i].rapdu), DF_FAILED);
        assert_int_equal(df_pcd_error(&pcd)->code, cases[i].code);
        assert_int_equal(df_pcd_error(&pcd)->aux, cases[i].aux);
    }
}

static void a_card_without_the_key_is_an_authentication_error(void **state)
{
    (void)state;
    static const struct df_key key = {.type = DF_KEY_AES};
    df_req_authenticate(&r, DF_AUTH_AES, 0, &key);
    assert_int_equal(start(), DF_TX);
    sent("90AA0000010000");
    assert_int_equal(says("000102030405060708090A0B0C0D0E0F 91AF"), DF_TX);
    assert_int_equal(says("91AE"), DF_FAILED);
    assert_int_equal(df_pcd_error(&pcd)->code, B_E_CARD_AUTH);

    assert_int_equal(start(), DF_TX);
    assert_int_equal(says("000102030405060708090A0B0C0D0E0F 91AF"), DF_TX);
    assert_int_equal(says("000102030405060708090A0B0C0D0E0F 9100"), DF_FAILED);
    assert_int_equal(df_pcd_error(&pcd)->code, B_E_CARD_AUTH);

    assert_int_equal(start(), DF_TX);
    assert_int_equal(says("0001020304050607 91AF"), DF_FAILED);
    assert_int_equal(df_pcd_error(&pcd)->code, B_E_CARD_PROTOCOL);
    assert_int_equal(df_pcd_session(&pcd), DF_AUTH_NONE);
}

static void what_ends_a_session_ends_it_here_too(void **state)
{
    (void)state;
    static const enum df_auth ways[] = {DF_AUTH_D40, DF_AUTH_ISO, DF_AUTH_AES, DF_AUTH_EV2_FIRST};
    static const struct df_key key = {.type = DF_KEY_AES, .version = 1};
    for (size_t i = 0; i < B_COUNT(ways); i++) {
        open_session(ways[i]); /* a refusal */
        df_req_get_file_settings(&r, 1);
        assert_int_equal(start(), DF_TX);
        assert_int_equal(says("91F0"), DF_FAILED);
        assert_int_equal(df_pcd_session(&pcd), DF_AUTH_NONE);

        open_session(ways[i]); /* a selection */
        df_req_select(&r, 0x123456);
        assert_int_equal(start(), DF_TX);
        sent("905A00000356341200");
        assert_int_equal(says("9100"), DF_DONE);
        assert_int_equal(df_pcd_session(&pcd), DF_AUTH_NONE);
        assert_int_equal(df_pcd_selected(&pcd), 0x123456);

        open_session(ways[i]); /* a change of its own key */
        df_req_change_key(&r, 0, &key, NULL);
        assert_int_equal(start(), DF_TX);
        assert_int_equal(says("9100"), DF_DONE);
        assert_int_equal(df_pcd_session(&pcd), DF_AUTH_NONE);

        open_session(ways[i]); /* an ISO selection */
        df_req_iso_select_file(&r, 0x3F00);
        assert_int_equal(start(), DF_TX);
        sent("00A4000C023F00");
        assert_int_equal(says("9000"), DF_DONE);
        assert_int_equal(df_pcd_session(&pcd), DF_AUTH_NONE);
        assert_int_equal(df_pcd_selected(&pcd), 0);
    }
}

static void nothing_secret_is_sent_without_a_session(void **state)
{
    (void)state;
    static const struct df_key key = {.type = DF_KEY_AES, .bytes = {1, 2, 3}};
    df_req_change_key(&r, 1, &key, &key);
    assert_int_equal(start(), DF_FAILED);
    df_req_set_configuration(&r, 0x01, key.bytes, sizeof(key.bytes));
    assert_int_equal(start(), DF_FAILED);
    df_req_write_data(&r, 1, 0, key.bytes, sizeof(key.bytes), DF_COMM_FULL);
    assert_int_equal(start(), DF_FAILED);
    assert_int_equal(out.len, 0);
}

static void a_card_that_never_ends_or_answers_too_early_is_left(void **state)
{
    (void)state;
    uint8_t data[100] = {0}, frame[DF_RAPDU_MAX] = {0};
    df_req_write_data(&r, 1, 0, data, sizeof(data), DF_COMM_PLAIN);
    assert_int_equal(start(), DF_TX);
    assert_int_equal(says("9100"), DF_FAILED);

    frame[256] = 0x91;
    frame[257] = DF_SW_ADDITIONAL_FRAME;
    df_req_read_data(&r, 1, 0, 0, DF_COMM_PLAIN);
    enum df_want next = start();
    size_t steps = 0;
    for (; next == DF_TX && steps < 1000; steps++)
        next = df_pcd_step(&pcd, b_rd_from(frame, sizeof(frame)), &out);
    assert_int_equal(next, DF_FAILED);
    assert_true(steps < 40);
    df_req_read_data(&r, 1, 0, 0, DF_COMM_PLAIN);
    assert_int_equal(df_pcd_start(&pcd, &r, b_wr_from(answer, 3), &out), DF_TX);
    assert_int_equal(says("01020304 9100"), DF_FAILED);
}

/* One protected answer, changed in every bit and cut at every length: never taken. */
static void no_changed_answer_is_taken_in_a_session(void **state)
{
    (void)state;
    static const enum df_auth ways[] = {DF_AUTH_ISO, DF_AUTH_AES, DF_AUTH_EV2_FIRST};
    uint8_t plain[20] = {9, 8, 7}, body[80], changed[80];
    for (size_t i = 0; i < 2 * B_COUNT(ways); i++) {
        enum df_comm comm = i % 2 == 0 ? DF_COMM_MAC : DF_COMM_FULL;
        size_t total = 1;
        for (size_t bit = 0; bit < 8 * total; bit++) {
            open_session(ways[i / 2]);
            df_req_read_data(&r, 1, 0, sizeof(plain), comm);
            assert_int_equal(start(), DF_TX);
            struct df_sm_rule rule = df_sm_rule(DF_CMD_READ_DATA, comm);
            size_t len = out.len - 6;
            assert_true(df_sm_unwrap_command(&card, &rule, apdu + 5, &len, 0));
            struct b_wr w = b_wr_from(body, sizeof(body));
            assert_true(
                df_sm_wrap_answer(&card, &rule, DF_SW_OK, b_rd_from(plain, sizeof(plain)), &w));
            b_wr_be16(&w, 0x9100);
            total = w.len - 2;
            memcpy(changed, body, w.len);
            changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(df_pcd_step(&pcd, b_rd_from(changed, w.len), &out), DF_FAILED);
            assert_int_equal(df_pcd_error(&pcd)->code, B_E_CARD_MAC);
            assert_int_equal(df_pcd_answer(&pcd).left, 0);
        }
    }
}

/* tests/vectors/originality_ecc.txt: UID and signature, the first six of real chips. */
static void the_published_signatures_are_told_from_forged_ones(void **state)
{
    (void)state;
    char line[400];
    size_t n = 0;
    FILE *f = fopen(vector_path("originality_ecc.txt"), "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        char uid_hex[15], signature_hex[113];
        uint8_t uid[7], signature[56];
        if (sscanf(line, "\"%14[0-9A-F]\", \"%112[0-9A-F]\"", uid_hex, signature_hex) != 2)
            continue;
        struct b_wr w = b_wr_from(uid, sizeof(uid));
        assert_true(b_unhex(&w, uid_hex));
        w = b_wr_from(signature, sizeof(signature));
        assert_true(b_unhex(&w, signature_hex));
        const char *product = df_originality(uid, signature);
        if (n < 6)
            assert_string_equal(product, "EV2");
        else
            assert_null(product);
        n++;
    }
    assert_int_equal(fclose(f), 0);
    assert_int_equal(n, 15);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void any_answer_leads_to_an_end(void **state)
{
    (void)state;
    static const struct df_key key = {.type = DF_KEY_AES};
    uint32_t seed = 7;
    for (size_t round = 0; round < 20000; round++) {
        if (round % 3 == 0)
            open_session(round % 2 == 0 ? DF_AUTH_AES : DF_AUTH_EV2_FIRST);
        if (round % 5 == 0)
            df_req_authenticate(&r, DF_AUTH_EV2_FIRST, 0, &key);
        else if (round % 5 == 1)
            df_req_plain(&r, DF_CMD_GET_DF_NAMES);
        else
            df_req_read_data(&r, 1, 0, 0, round % 2 == 0 ? DF_COMM_MAC : DF_COMM_PLAIN);
        enum df_want next = start();
        for (size_t steps = 0; next == DF_TX; steps++) {
            uint8_t bytes[40];
            size_t n = next_random(&seed) % sizeof(bytes);
            for (size_t i = 0; i < n; i++)
                bytes[i] = (uint8_t)next_random(&seed);
            if (n >= 2) {
                bytes[n - 2] = 0x91;
                bytes[n - 1] = next_random(&seed) % 2 == 0 ? DF_SW_ADDITIONAL_FRAME : DF_SW_OK;
            }
            next = df_pcd_step(&pcd, b_rd_from(bytes, n), &out);
            assert_true(steps < 10000);
        }
        struct df_df_name names[4];
        struct df_file_settings settings;
        size_t n = 0;
        (void)!df_rsp_df_names(df_pcd_answer(&pcd), names, B_COUNT(names), &n);
        (void)!df_rsp_file_settings(df_pcd_answer(&pcd), &settings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_long_command_goes_in_frames_and_a_long_answer_comes_in_frames,
                               fresh),
        cmocka_unit_test_setup(each_frame_of_get_df_names_is_a_record, fresh),
        cmocka_unit_test_setup(each_status_has_its_error, fresh),
        cmocka_unit_test_setup(a_card_without_the_key_is_an_authentication_error, fresh),
        cmocka_unit_test_setup(what_ends_a_session_ends_it_here_too, fresh),
        cmocka_unit_test_setup(nothing_secret_is_sent_without_a_session, fresh),
        cmocka_unit_test_setup(a_card_that_never_ends_or_answers_too_early_is_left, fresh),
        cmocka_unit_test_setup(no_changed_answer_is_taken_in_a_session, fresh),
        cmocka_unit_test_setup(the_published_signatures_are_told_from_forged_ones, fresh),
        cmocka_unit_test_setup(any_answer_leads_to_an_end, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
