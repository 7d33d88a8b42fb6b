/* What the card refuses, command by command: each status that it can answer is provoked once, and
 * the table of commands holds for what came with which card, at which level, with which length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "desfire/cmd.h"
#include "desfire/picc.h"

static struct df_picc picc;

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 0x5A, n);
}

static void blank(enum df_ev ev, uint32_t memory)
{
    const struct df_personality who = {
        .ev = ev, .memory = memory, .uid = {4, 1, 2, 3, 4, 5, 6}, .has_signature = true};
    assert_true(df_picc_blank(&picc, &who));
    df_picc_power(&picc, (struct df_random){.fill = fill});
}

/* One native command; its status. */
static uint8_t native(uint8_t ins, const uint8_t *params, size_t n)
{
    uint8_t tx[DF_CAPDU_MAX], rx[DF_RAPDU_MAX];
    struct b_wr w = b_wr_from(tx, sizeof(tx)), in = b_wr_from(rx, sizeof(rx));
    b_wr_bytes(&w, (const uint8_t[]){0x90, ins, 0, 0}, 4);
    if (n > 0)
        b_wr_u8(&w, (uint8_t)n);
    b_wr_bytes(&w, params, n);
    b_wr_u8(&w, 0);
    df_picc_step(&picc, b_wr_reader(&w), &in);
    assert_true(b_wr_ok(&in) && in.len >= 2);
    assert_int_equal(rx[in.len - 2], 0x91);
    return rx[in.len - 1];
}

/* Native commands in hex, ';' between them; the status of the last. */
static uint8_t script(const char *text)
{
    uint8_t sw = DF_SW_OK;
    while (*text != '\0') {
        char one[160];
        uint8_t bytes[80];
        size_t n = strcspn(text, ";");
        assert_true(n < sizeof(one));
        memcpy(one, text, n);
        one[n] = '\0';
        struct b_wr w = b_wr_from(bytes, sizeof(bytes));
        assert_true(b_unhex(&w, one));
        assert_true(sw == DF_SW_OK || sw == DF_SW_ADDITIONAL_FRAME);
        sw = native(bytes[0], bytes + 1, w.len - 1);
        text += n + (text[n] == ';');
    }
    return sw;
}

/* Application 000001 with one AES key; in it file 0: 32 bytes, free for all. */
#define APP "CA0100000F81;5A010000"
#define FILE0 APP ";CD0000EEEE200000"

static const struct {
    uint8_t sw;
    enum df_ev ev;
    const char *commands;
} provoked[] = {
    {DF_SW_OK, DF_EV1, "60;AF;AF"},
    {DF_SW_NO_CHANGES, DF_EV1, APP ";C7"},
    {DF_SW_NO_CHANGES, DF_EV1, APP ";A7"},
    {DF_SW_OUT_OF_EEPROM, DF_EV1, APP ";CD0000EEEE000800"},
    {DF_SW_OUT_OF_EEPROM, DF_EV1, APP ";CB0000EEEEE80300"},
    {DF_SW_OUT_OF_EEPROM, DF_EV1, APP ";C10000EEEEFFFFFFFFFFFF"},
    {DF_SW_ILLEGAL_COMMAND, DF_EV3, "99"},
    {DF_SW_ILLEGAL_COMMAND, DF_EV1, "AF"},
    {DF_SW_NO_SUCH_KEY, DF_EV1, "0A01"},
    {DF_SW_NO_SUCH_KEY, DF_EV1, "6401"},
    {DF_SW_NO_SUCH_KEY, DF_EV2, APP ";710100"},
    {DF_SW_LENGTH_ERROR, DF_EV1, "5A0100"},
    {DF_SW_LENGTH_ERROR, DF_EV1, "5A010000020000"}, /* two at once came with EV2 */
    {DF_SW_LENGTH_ERROR, DF_EV1, APP ";C701"},
    {DF_SW_LENGTH_ERROR, DF_EV1, FILE0 ";3D00000000020000AABBCC"},
    {DF_SW_LENGTH_ERROR, DF_EV1, "1A00;AF00"},
    {DF_SW_SIGNATURE, DF_EV1, "3C00"},
    {DF_SW_PERMISSION_DENIED, DF_EV1, "CD0000EEEE200000"},
    {DF_SW_PERMISSION_DENIED, DF_EV1, APP ";CA0200000F81"},
    {DF_SW_PERMISSION_DENIED, DF_EV1, APP ";CD0000FFFF200000;BD00000000000000"},
    {DF_SW_PERMISSION_DENIED, DF_EV1, FILE0 ";6C00"}, /* not a value file */
    {DF_SW_PERMISSION_DENIED, DF_EV2, "7700"},        /* no first authentication */
    {DF_SW_PERMISSION_DENIED, DF_EV2, "F2081122334455667788"},
    {DF_SW_PARAMETER_ERROR, DF_EV1, "CA0000000F81"},
    {DF_SW_PARAMETER_ERROR, DF_EV1, "CA0100000F8F"},
    {DF_SW_PARAMETER_ERROR, DF_EV1, "CA0100000F91"}, /* KeySett3 came with EV2 */
    {DF_SW_PARAMETER_ERROR, DF_EV1, APP ";CD2000EEEE200000"},
    {DF_SW_PARAMETER_ERROR, DF_EV1, APP ";CD00001EEE200000"}, /* no key 1 */
    {DF_SW_PARAMETER_ERROR, DF_EV1,
     APP ";CD000000000000"
         "00"}, /* empty */
    {DF_SW_PARAMETER_ERROR, DF_EV1, APP ";C00000EEEE100000010000"},
    {DF_SW_PARAMETER_ERROR, DF_EV1, "3C01"},
    {DF_SW_APPLICATION_NOT_FOUND, DF_EV1, "5A010000"},
    {DF_SW_APPLICATION_NOT_FOUND, DF_EV2, "CA0100000F81;5A010000020000"},
    {DF_SW_AUTHENTICATION_ERROR, DF_EV1, "FC"},
    {DF_SW_AUTHENTICATION_ERROR, DF_EV1, "51"},
    {DF_SW_AUTHENTICATION_ERROR, DF_EV1, "AA00"}, /* the factory key is not AES */
    {DF_SW_AUTHENTICATION_ERROR, DF_EV1, "CA0100000F81;DA010000"},
    {DF_SW_AUTHENTICATION_ERROR, DF_EV1, "0A00;AF00112233445566778899AABBCCDDEEFF"},
    {DF_SW_AUTHENTICATION_ERROR, DF_EV1, APP ";CD00000000200000;BD00000000000000"},
    {DF_SW_AUTHENTICATION_ERROR, DF_EV1, "CA0100000981;5A010000;6F"},
    {DF_SW_AUTHENTICATION_ERROR, DF_EV1, "CA0100000B81;5A010000;CD0000EEEE200000"},
    {DF_SW_ADDITIONAL_FRAME, DF_EV1, "60"},
    {DF_SW_BOUNDARY_ERROR, DF_EV1, FILE0 ";BD00200000010000"},
    {DF_SW_BOUNDARY_ERROR, DF_EV1, FILE0 ";BD00000000210000"},
    {DF_SW_BOUNDARY_ERROR, DF_EV1, FILE0 ";3D001F0000020000AABB"},
    {DF_SW_BOUNDARY_ERROR, DF_EV1, FILE0 ";3D00000000FFFFFFAA"},
    {DF_SW_COMMAND_ABORTED, DF_EV1, "60;6E"},
    {DF_SW_COMMAND_ABORTED, DF_EV1, FILE0 ";3D00000000100000AABB;6F"},
    {DF_SW_COMMAND_ABORTED, DF_EV1, "0A00;60"},
    {DF_SW_DUPLICATE_ERROR, DF_EV1, "CA0100000F81;CA0100000F81"},
    {DF_SW_DUPLICATE_ERROR, DF_EV1, "CA0100000F811000AA;CA0200000F811000BB"},
    {DF_SW_DUPLICATE_ERROR, DF_EV1, "CA0100000F811000AA;CA0200000F811100AA"},
    {DF_SW_DUPLICATE_ERROR, DF_EV1, FILE0 ";CD0000EEEE200000"},
    {DF_SW_FILE_NOT_FOUND, DF_EV1, APP ";F500"},
    {DF_SW_FILE_NOT_FOUND, DF_EV1, APP ";BD00000000000000"},
    {DF_SW_FILE_NOT_FOUND, DF_EV1, APP ";3D00000000640000AABB"}, /* at the first frame */
};

/* Of a memory that decays: this card's does not. */
static const uint8_t never[] = {DF_SW_APPL_INTEGRITY_ERROR, DF_SW_PICC_INTEGRITY_ERROR,
                                DF_SW_PICC_DISABLED, DF_SW_EEPROM_ERROR,
                                DF_SW_FILE_INTEGRITY_ERROR};

/* Authenticated with the factory key (its answers decide nothing here), a cryptogram of zeros. */
static uint8_t provoke_integrity_error(void)
{
    blank(DF_EV1, 2048);
    struct df_key key = {.type = DF_KEY_2K3DES};
    struct df_handshake hs;
    uint8_t b[8] = {1}, a[8] = {2}, r1[64], r2[64], r3[64];
    struct b_wr w1 = b_wr_from(r1, 64), w2 = b_wr_from(r2, 64), w3 = b_wr_from(r3, 64);
    static struct df_handshake card;
    static struct df_sm reader;
    assert_true(df_hs_begin(&card, DF_AUTH_ISO, 0, &key));
    assert_true(df_hs_begin(&hs, DF_AUTH_ISO, 0, &key));
    df_hs_challenge(&card, b, &w1);
    assert_true(df_hs_token(&hs, b_wr_reader(&w1), a, &w2));
    assert_true(df_hs_accept(&card, &picc.sm, b_wr_reader(&w2), NULL, &w3));
    assert_true(df_hs_finish(&hs, &reader, b_wr_reader(&w3)));
    uint8_t cryptogram[25] = {0};
    return native(0xC4, cryptogram, sizeof(cryptogram));
}

static uint8_t provoke_count_error(void)
{
    blank(DF_EV1, 8192);
    for (uint8_t i = 1; i <= 28; i++)
        assert_int_equal(native(0xCA, (const uint8_t[]){i, 0, 0, 0x0F, 0x81}, 5), DF_SW_OK);
    return native(0xCA, (const uint8_t[]){29, 0, 0, 0x0F, 0x81}, 5);
}

static void every_status_that_the_card_has_is_provoked(void **state)
{
    (void)state;
    bool seen[256] = {false};
    for (size_t i = 0; i < B_COUNT(provoked); i++) {
        blank(provoked[i].ev, 2048);
        uint8_t sw = script(provoked[i].commands);
        if (sw != provoked[i].sw)
            fail_msg("%s: %s, not %s", provoked[i].commands, df_sw_name(sw),
                     df_sw_name(provoked[i].sw));
        seen[sw] = true;
    }
    seen[provoke_integrity_error()] = true;
    seen[provoke_count_error()] = true;
    for (size_t i = 0; i < sizeof(never); i++)
        seen[never[i]] = true;
    for (size_t i = 0; i < 256; i++) {
        if (df_sw_row((uint8_t)i) != NULL && !seen[i])
            fail_msg("%s was never answered", df_sw_name((uint8_t)i));
    }
}

/* Native rows that are commands of their own. */
static bool is_tried(size_t cmd)
{
    return df_cmd_row((enum df_cmd)cmd)->level != DF_AT_ISO && cmd != DF_CMD_ADDITIONAL_FRAME;
}

static void a_card_has_the_commands_of_its_generation_at_their_level(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    for (size_t i = 0; i < DF_CMD_COUNT * 3; i++) {
        size_t cmd = i / 3;
        enum df_ev ev = (enum df_ev)(DF_EV1 + i % 3);
        const struct df_cmd_row *row = df_cmd_row((enum df_cmd)cmd);
        if (!is_tried(cmd))
            continue;
        blank(ev, 8192);
        uint8_t on_card = native(row->ins, zeros, row->min);
        blank(ev, 8192);
        assert_int_equal(script(APP), DF_SW_OK);
        uint8_t in_app = native(row->ins, zeros, row->min);
        assert_int_equal(on_card == DF_SW_ILLEGAL_COMMAND, row->since > ev);
        assert_int_equal(in_app == DF_SW_ILLEGAL_COMMAND, row->since > ev);
        if (row->since <= ev && row->level == DF_AT_APP)
            assert_int_equal(on_card, DF_SW_PERMISSION_DENIED);
        if (row->since <= ev && row->level == DF_AT_CARD)
            assert_int_equal(in_app, DF_SW_PERMISSION_DENIED);
    }
}

static void a_command_of_a_wrong_length_is_refused(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    for (size_t cmd = 0; cmd < DF_CMD_COUNT; cmd++) {
        const struct df_cmd_row *row = df_cmd_row((enum df_cmd)cmd);
        if (!is_tried(cmd) || row->need != DF_NEED_NONE || row->max > 60)
            continue;
        blank(DF_EV3, 8192);
        assert_int_equal(script(APP), DF_SW_OK);
        assert_int_equal(native(row->ins, zeros, row->max + 1u), DF_SW_LENGTH_ERROR);
        if (row->min > 0)
            assert_int_equal(native(row->ins, zeros, row->min - 1u), DF_SW_LENGTH_ERROR);
    }
}

static void an_interrupted_chain_has_no_effect(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        blank(DF_EV1, 8192);
        uint8_t before[32];
        assert_int_equal(script(FILE0 ";3D00000000040000AABBCCDD"), DF_SW_OK);
        memcpy(before, picc.mem.data, sizeof(before));
        assert_int_equal(script("3D000000001000001122334455667788"), DF_SW_ADDITIONAL_FRAME);
        if (how == 0)
            df_picc_power(&picc, (struct df_random){.fill = fill});
        else
            assert_int_equal(script("6F"), DF_SW_COMMAND_ABORTED);
        assert_memory_equal(picc.mem.data, before, sizeof(before));
        /* what comes late belongs to nothing */
        assert_int_equal(script("AF99AABBCCDDEEFF00"), DF_SW_ILLEGAL_COMMAND);
        assert_memory_equal(picc.mem.data, before, sizeof(before));
    }
}

static void memory_is_taken_in_blocks(void **state)
{
    (void)state;
    /* by the rule at the top of picc_app.c: what each command takes */
    static const struct {
        const char *command;
        uint32_t bytes;
    } takes[] = {
        {"CA0100000F81", 32 + 32},                /* one AES key */
        {"CA0200000F4E", 32 + 352},               /* 14 keys of 24 bytes */
        {"CA0300000F821000AABBCC", 32 + 32 + 32}, /* with a DF name, two keys */
        {"5A010000", 0},                          /* nothing */
        {"CD0000EEEE200000", 32 + 32},            /* 32 bytes */
        {"CD0100EEEE210000", 32 + 64},            /* 33 bytes */
        {"CB0200EEEE210000", 32 + 96},            /* twice 33 bytes */
        {"CC0300EEEE000000006400000000000000"
         "00",
         32},
        {"C10400EEEE0A00000A0000", 32 + 128}, /* 100 bytes of records */
    };
    blank(DF_EV2, 8192);
    uint32_t left = df_picc_free_memory(&picc);
    assert_int_equal(left, 7936); /* as a blank 8K card answers */
    for (size_t i = 0; i < B_COUNT(takes); i++) {
        assert_int_equal(script(takes[i].command), DF_SW_OK);
        left -= takes[i].bytes;
        assert_int_equal(df_picc_free_memory(&picc), left);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_that_the_card_has_is_provoked),
        cmocka_unit_test(a_card_has_the_commands_of_its_generation_at_their_level),
        cmocka_unit_test(a_command_of_a_wrong_length_is_refused),
        cmocka_unit_test(an_interrupted_chain_has_no_effect),
        cmocka_unit_test(memory_is_taken_in_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
