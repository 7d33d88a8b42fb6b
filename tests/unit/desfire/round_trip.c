/* What holds for every command of the table in every kind of session: what the reader protects the
 * card reads, and back; and no changed bit of a protected message passes. Two sides of our own
 * that agree prove nothing about the card: the published vectors do (ev1_vectors, ev2_vectors). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "desfire/sm.h"

static struct df_sm reader, card, before;

static const struct {
    enum df_auth how;
    enum df_key_type type;
    bool is_des;
} sessions[] = {
    {DF_AUTH_D40, DF_KEY_2K3DES, true},     {DF_AUTH_D40, DF_KEY_2K3DES, false},
    {DF_AUTH_ISO, DF_KEY_2K3DES, true},     {DF_AUTH_ISO, DF_KEY_2K3DES, false},
    {DF_AUTH_ISO, DF_KEY_3K3DES, false},    {DF_AUTH_AES, DF_KEY_AES, false},
    {DF_AUTH_EV2_FIRST, DF_KEY_AES, false}, {DF_AUTH_EV2_NONFIRST, DF_KEY_AES, false},
};
static const enum df_comm modes[] = {DF_COMM_PLAIN, DF_COMM_MAC, DF_COMM_FULL};

static struct df_key some_key(enum df_key_type type, bool is_des, uint8_t from)
{
    struct df_key key = {.type = type, .version = 0x21};
    for (size_t i = 0; i < df_key_size(type); i++)
        key.bytes[i] = (uint8_t)(from + 7 * (is_des ? i % 8 : i));
    return key;
}

/* Both sides of one authentication; true when both opened their session. */
static bool authenticate(enum df_auth how, const struct df_key *a_key, const struct df_key *b_key)
{
    static struct df_handshake hs_reader, hs_card;
    uint8_t a[16], b[16], first[64], second[64], third[64];
    for (size_t i = 0; i < 16; i++) {
        a[i] = (uint8_t)(0x30 + i);
        b[i] = (uint8_t)(0xC1 - 3 * i);
    }
    const struct df_hs_caps caps = {.ti = {1, 2, 3, 4}};
    struct b_wr w1 = b_wr_from(first, sizeof(first)), w2 = b_wr_from(second, sizeof(second));
    struct b_wr w3 = b_wr_from(third, sizeof(third));
    assert_true(df_hs_begin(&hs_reader, how, 3, a_key) && df_hs_begin(&hs_card, how, 3, b_key));
    df_hs_challenge(&hs_card, b, &w1);
    assert_true(df_hs_token(&hs_reader, b_wr_reader(&w1), a, &w2));
    const struct df_hs_caps *given = how == DF_AUTH_EV2_FIRST ? &caps : NULL;
    return df_hs_accept(&hs_card, &card, b_wr_reader(&w2), given, &w3) &&
           df_hs_finish(&hs_reader, &reader, b_wr_reader(&w3));
}

static void open_session(size_t i)
{
    struct df_key key = some_key(sessions[i].type, sessions[i].is_des, 0x10);
    df_sm_init(&reader);
    df_sm_init(&card);
    if (sessions[i].how == DF_AUTH_EV2_NONFIRST)
        assert_true(authenticate(DF_AUTH_EV2_FIRST, &key, &key));
    assert_true(authenticate(sessions[i].how, &key, &key));
}

static void both_sides_open_a_session_with_the_same_key_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < B_COUNT(sessions); i++) {
        open_session(i);
        assert_true(df_sm_is_on(&reader) && df_sm_is_on(&card));
        struct df_key good = some_key(sessions[i].type, sessions[i].is_des, 0x10);
        struct df_key bad = some_key(sessions[i].type, sessions[i].is_des, 0x14);
        assert_false(authenticate(sessions[i].how, &good, &bad));
    }
}

static void a_key_of_another_kind_opens_nothing(void **state)
{
    (void)state;
    static struct df_handshake hs;
    struct df_key aes = some_key(DF_KEY_AES, false, 1);
    struct df_key two = some_key(DF_KEY_2K3DES, false, 1);
    struct df_key three = some_key(DF_KEY_3K3DES, false, 1);
    assert_false(df_hs_begin(&hs, DF_AUTH_D40, 0, &aes));
    assert_false(df_hs_begin(&hs, DF_AUTH_D40, 0, &three));
    assert_false(df_hs_begin(&hs, DF_AUTH_ISO, 0, &aes));
    assert_false(df_hs_begin(&hs, DF_AUTH_AES, 0, &two));
    assert_false(df_hs_begin(&hs, DF_AUTH_EV2_FIRST, 0, &three));
    assert_false(df_hs_begin(&hs, DF_AUTH_NONE, 0, &aes));
}

/* Header and data lengths that the row allows: no data, one byte, around a block, several. */
static size_t data_length(const struct df_cmd_row *row, size_t i)
{
    static const size_t tries[] = {0, 1, 7, 8, 11, 12, 15, 16, 17, 40};
    size_t head = row->head == DF_HEAD_ALL ? row->min : row->head;
    size_t most = row->head == DF_HEAD_ALL ? 0 : row->max - head;
    return i < B_COUNT(tries) && tries[i] <= most ? tries[i] : SIZE_MAX;
}

static void check_command(const struct df_cmd_row *row, const struct df_sm_rule *rule, size_t n)
{
    uint8_t params[64], body[160];
    size_t head = row->head == DF_HEAD_ALL ? row->min : row->head;
    for (size_t i = 0; i < sizeof(params); i++)
        params[i] = (uint8_t)(i * 13 + 1);
    struct b_wr w = b_wr_from(body, sizeof(body));
    assert_true(df_sm_wrap_command(&reader, rule, b_rd_from(params, head),
                                   b_rd_from(params + head, n), &w));
    size_t len = w.len;
    assert_true(df_sm_unwrap_command(&card, rule, body, &len, n));
    assert_int_equal(len, head + n);
    assert_memory_equal(body, params, len);
}

static void check_answer(const struct df_sm_rule *rule, size_t n)
{
    uint8_t plain[64], body[160];
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * 11 + 5);
    struct b_wr w = b_wr_from(body, sizeof(body));
    assert_true(df_sm_wrap_answer(&card, rule, DF_SW_OK, b_rd_from(plain, n), &w));
    size_t len = w.len;
    assert_true(df_sm_unwrap_answer(&reader, rule, DF_SW_OK, body, &len, n));
    assert_int_equal(len, n);
    assert_memory_equal(body, plain, n);
}

/* An enciphered answer without data does not exist: there the answer is file data or a UID. */
static bool may_be_empty(const struct df_sm_rule *rule)
{
    return rule->answer != DF_COMM_FULL && !rule->answers_data;
}

static void every_command_and_answer_comes_through_in_every_session_and_mode(void **state)
{
    (void)state;
    size_t cases = 0;
    for (size_t s = 0; s < B_COUNT(sessions); s++) {
        open_session(s);
        for (size_t c = 0; c < DF_CMD_COUNT; c++) {
            const struct df_cmd_row *row = df_cmd_row((enum df_cmd)c);
            for (size_t i = 0; i < 3 * 10; i++) {
                struct df_sm_rule rule = df_sm_rule((enum df_cmd)c, modes[i % 3]);
                size_t n = data_length(row, i / 3);
                if (row->command == DF_MODE_KEY || n == SIZE_MAX)
                    continue;
                check_command(row, &rule, n);
                check_answer(&rule, may_be_empty(&rule) ? 0 : 1 + i);
                cases++;
            }
        }
        assert_int_equal(reader.counter, card.counter);
    }
    assert_true(cases > 2000);
}

static void no_changed_bit_of_a_protected_answer_passes(void **state)
{
    (void)state;
    uint8_t plain[21] = {1, 2, 3}, body[64], changed[64];
    size_t flips = 0;
    for (size_t s = 0; s < B_COUNT(sessions); s++) {
        for (size_t m = 1; m < B_COUNT(modes); m++) {
            /* D40's enciphered answers rest on a CRC16 under CBC: one flip is always seen by it. */
            open_session(s);
            struct df_sm_rule rule = df_sm_rule(DF_CMD_READ_DATA, modes[m]);
            struct b_wr w = b_wr_from(body, sizeof(body));
            assert_true(
                df_sm_wrap_answer(&card, &rule, DF_SW_OK, b_rd_from(plain, sizeof(plain)), &w));
            before = reader;
            for (size_t bit = 0; bit < 8 * w.len; bit++, flips++) {
                size_t len = w.len;
                memcpy(changed, body, w.len);
                changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
                reader = before;
                assert_false(
                    df_sm_unwrap_answer(&reader, &rule, DF_SW_OK, changed, &len, sizeof(plain)));
            }
        }
    }
    assert_true(flips > 3000);
}

static void an_answer_cut_short_or_for_another_status_is_refused(void **state)
{
    (void)state;
    uint8_t plain[21] = {1, 2, 3}, body[64], changed[64];
    for (size_t s = 0; s < B_COUNT(sessions); s++) {
        open_session(s);
        struct df_sm_rule rule = df_sm_rule(DF_CMD_READ_DATA, DF_COMM_MAC);
        struct b_wr w = b_wr_from(body, sizeof(body));
        assert_true(df_sm_wrap_answer(&card, &rule, DF_SW_OK, b_rd_from(plain, sizeof(plain)), &w));
        before = reader;
        for (size_t cut = 0; cut < w.len; cut++) {
            size_t len = cut;
            memcpy(changed, body, w.len);
            reader = before;
            assert_false(df_sm_unwrap_answer(&reader, &rule, DF_SW_OK, changed, &len, SIZE_MAX));
        }
        if (reader.kind == DF_SM_D40)
            continue; /* its MAC does not cover the status */
        size_t len = w.len;
        reader = before;
        assert_false(df_sm_unwrap_answer(&reader, &rule, DF_SW_SIGNATURE, body, &len, SIZE_MAX));
    }
}

static void a_replayed_command_is_refused_by_an_ev2_card(void **state)
{
    (void)state;
    uint8_t body[64], again[64];
    static const uint8_t head[] = {1};
    open_session(6);
    struct df_sm_rule rule = df_sm_rule(DF_CMD_GET_FILE_SETTINGS, DF_COMM_PLAIN);
    struct b_wr w = b_wr_from(body, sizeof(body));
    assert_true(df_sm_wrap_command(&reader, &rule, b_rd_from(head, 1), b_rd_from(head, 0), &w));
    memcpy(again, body, w.len);
    size_t len = w.len;
    assert_true(df_sm_unwrap_command(&card, &rule, body, &len, 0));
    check_answer(&rule, 0);
    len = w.len;
    assert_false(df_sm_unwrap_command(&card, &rule, again, &len, 0));
}

static void the_ev2_counter_ends_the_session_and_never_wraps(void **state)
{
    (void)state;
    uint8_t body[64];
    struct b_wr w = b_wr_from(body, sizeof(body));
    struct df_sm_rule rule = df_sm_rule(DF_CMD_GET_VERSION, DF_COMM_PLAIN);
    struct b_rd none = b_rd_from(body, 0);
    open_session(6);
    reader.counter = UINT16_MAX - 1;
    assert_true(df_sm_wrap_command(&reader, &rule, none, none, &w));
    reader.counter = UINT16_MAX;
    assert_false(df_sm_wrap_command(&reader, &rule, none, none, &w));
}

static void check_key_change(const struct df_sm_key_change *change, enum df_key_type type)
{
    uint8_t body[80];
    struct df_key key = some_key(type, false, 0x55), got;
    struct b_wr w = b_wr_from(body, sizeof(body));
    before = card;
    assert_true(df_sm_wrap_key(&reader, change, &key, &w));
    size_t n = w.len;
    uint8_t kept[80];
    memcpy(kept, body, n);
    assert_true(df_sm_unwrap_key(&card, change, type, body, n, &got));
    assert_memory_equal(got.bytes, key.bytes, df_key_size(type));
    if (type == DF_KEY_AES)
        assert_int_equal(got.version, key.version);
    for (size_t bit = 8u * change->head_len; bit < 8 * n; bit += 5) {
        static struct df_sm other;
        other = before;
        memcpy(body, kept, n);
        body[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(df_sm_unwrap_key(&other, change, type, body, n, &got));
    }
}

static void every_key_change_is_built_and_read_in_every_session(void **state)
{
    (void)state;
    static const enum df_key_type types[] = {DF_KEY_2K3DES, DF_KEY_3K3DES, DF_KEY_AES};
    for (size_t s = 0; s < B_COUNT(sessions); s++) {
        for (size_t t = 0; t < 2 * B_COUNT(types); t++) {
            struct df_key old = some_key(types[t / 2], false, 0x99);
            struct df_sm_key_change change = {
                .ins = 0xC4, .head = {1}, .head_len = 1, .old = t % 2 == 0 ? NULL : &old};
            open_session(s);
            check_key_change(&change, types[t / 2]);
            change.ins = 0xC6;
            change.head_len = 2;
            open_session(s);
            check_key_change(&change, types[t / 2]);
        }
    }
}

static void a_key_is_never_sent_without_a_session(void **state)
{
    (void)state;
    uint8_t body[80];
    struct b_wr w = b_wr_from(body, sizeof(body));
    struct df_key key = some_key(DF_KEY_AES, false, 1);
    const struct df_sm_key_change change = {.ins = 0xC4, .head_len = 1};
    df_sm_init(&reader);
    assert_false(df_sm_wrap_key(&reader, &change, &key, &w));
    assert_int_equal(w.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_open_a_session_with_the_same_key_only),
        cmocka_unit_test(a_key_of_another_kind_opens_nothing),
        cmocka_unit_test(every_command_and_answer_comes_through_in_every_session_and_mode),
        cmocka_unit_test(no_changed_bit_of_a_protected_answer_passes),
        cmocka_unit_test(an_answer_cut_short_or_for_another_status_is_refused),
        cmocka_unit_test(a_replayed_command_is_refused_by_an_ev2_card),
        cmocka_unit_test(the_ev2_counter_ends_the_session_and_never_wraps),
        cmocka_unit_test(every_key_change_is_built_and_read_in_every_session),
        cmocka_unit_test(a_key_is_never_sent_without_a_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
