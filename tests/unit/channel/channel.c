/* The channels that need no reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "channel/channel.h"

/* A card that counts what it acted on and answers its number. */
struct counter {
    unsigned acted, powered;
    bool is_away;
};

static bool count(void *ctx, struct b_rd capdu, struct b_wr *rapdu)
{
    struct counter *c = ctx;
    (void)capdu;
    if (c->is_away)
        return false;
    c->acted++;
    b_wr_u8(rapdu, (uint8_t)c->acted);
    b_wr_be16(rapdu, 0x9100);
    return true;
}

static void power(void *ctx)
{
    ((struct counter *)ctx)->powered++;
}

static const struct channel_card_ops counting = {.apdu = count, .power = power};
static const struct channel_card card = {
    .uid = {4, 1, 2, 3, 4, 5, 6}, .uid_len = 7, .reader = "in process"};
static const uint8_t get_version[] = {0x90, 0x60, 0, 0, 0};

static struct channel *new_card(struct counter *c)
{
    struct channel *ch = NULL;
    assert_int_equal(channel_card_new(&counting, c, &card, &ch), B_OK);
    return ch;
}

static enum b_code ask(struct channel *ch, uint8_t answer[3], struct b_err *err)
{
    uint8_t bytes[258];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    enum b_code r = channel_transmit(ch, b_rd_from(get_version, sizeof(get_version)), &w, err);
    if (r == B_OK) {
        assert_int_equal(w.len, 3);
        memcpy(answer, bytes, 3);
    } else {
        assert_int_equal(w.len, 0);
    }
    return r;
}

static void a_card_in_process_answers_and_can_leave(void **state)
{
    (void)state;
    struct counter c = {0};
    struct channel *ch = new_card(&c);
    uint8_t answer[3];
    struct b_err err = {0};
    assert_int_equal(ask(ch, answer, &err), B_OK);
    assert_memory_equal(answer, "\x01\x91\x00", 3);
    c.is_away = true;
    assert_int_equal(ask(ch, answer, &err), B_E_CARD_REMOVED);
    c.is_away = false;
    assert_int_equal(channel_reset(ch, &err), B_OK);
    assert_int_equal(c.powered, 1);
    assert_int_equal(ask(ch, answer, &err), B_OK);
    channel_free(&ch);
    assert_null(ch);
    channel_free(&ch);
}

static void a_tear_before_effect_reaches_no_card(void **state)
{
    (void)state;
    struct counter c = {0};
    struct channel *ch = NULL;
    uint8_t answer[3];
    struct b_err err = {0};
    assert_int_equal(channel_fault_new(new_card(&c), (struct channel_fault){.at = 2}, &ch), B_OK);
    assert_int_equal(ask(ch, answer, &err), B_OK);
    assert_int_equal(ask(ch, answer, &err), B_E_CARD_REMOVED);
    assert_int_equal(c.acted, 1);
    assert_int_equal(ask(ch, answer, &err), B_E_CARD_REMOVED);
    assert_int_equal(c.acted, 1);
    assert_int_equal(channel_fault_count(ch), 3);
    channel_free(&ch);
}

static void a_tear_after_effect_loses_the_answer_alone(void **state)
{
    (void)state;
    struct counter c = {0};
    struct channel *ch = NULL;
    uint8_t answer[3];
    struct b_err err = {0};
    struct channel_fault fault = {.at = 2, .after_effect = true};
    assert_int_equal(channel_fault_new(new_card(&c), fault, &ch), B_OK);
    assert_int_equal(ask(ch, answer, &err), B_OK);
    assert_int_equal(ask(ch, answer, &err), B_E_CARD_REMOVED);
    assert_int_equal(c.acted, 2);
    assert_int_equal(ask(ch, answer, &err), B_E_CARD_REMOVED);
    assert_int_equal(c.acted, 2);
    channel_free(&ch);
}

static void what_was_recorded_replays(void **state)
{
    (void)state;
    struct counter c = {0};
    struct channel *ch = NULL;
    char *text = NULL;
    size_t n = 0;
    uint8_t answer[3];
    struct b_err err = {0};
    FILE *to = open_memstream(&text, &n);
    assert_non_null(to);
    assert_int_equal(channel_record_new(new_card(&c), to, &ch), B_OK);
    assert_int_equal(ask(ch, answer, &err), B_OK);
    assert_int_equal(channel_reset(ch, &err), B_OK);
    c.is_away = true;
    assert_int_equal(ask(ch, answer, &err), B_E_CARD_REMOVED);
    channel_free(&ch);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(text,
                        "# Tessere exchange, version 1\nuid: 04010203040506\nreader: in process\n"
                        "> 90 60 00 00 00\n< 01 91 00\n! reset\n"
                        "> 90 60 00 00 00\n! removed\n");
    assert_int_equal(channel_replay_new(text, n, &ch, &err), B_OK);
    assert_memory_equal(channel_card(ch)->uid, card.uid, 7);
    assert_int_equal(ask(ch, answer, &err), B_OK);
    assert_memory_equal(answer, "\x01\x91\x00", 3);
    assert_false(channel_replay_is_done(ch));
    assert_int_equal(channel_reset(ch, &err), B_OK);
    assert_int_equal(ask(ch, answer, &err), B_E_CARD_REMOVED);
    assert_true(channel_replay_is_done(ch));
    assert_int_equal(ask(ch, answer, &err), B_E_CHANNEL);
    channel_free(&ch);
    free(text);
}

static void a_replay_refuses_what_was_not_recorded(void **state)
{
    (void)state;
    static const char text[] = "# a comment\nuid: 04 01 02 03 04 05 06\n\n> 90 6A 00 00 00\n"
                               "< 91 00\n";
    struct channel *ch = NULL;
    uint8_t answer[3];
    struct b_err err = {0};
    assert_int_equal(channel_replay_new(text, sizeof(text) - 1, &ch, &err), B_OK);
    assert_int_equal(ask(ch, answer, &err), B_E_CHANNEL);
    assert_non_null(strstr(err.msg, "line 4"));
    assert_non_null(strstr(err.msg, "9060000000"));
    channel_free(&ch);
}

static void a_broken_record_is_refused_at_its_line(void **state)
{
    (void)state;
    static const char *const texts[] = {"> 90 6\n", "> 90 60 00 00 00\n< zz\n", "hello\n",
                                        "uid: 0401020304050607080910\n"};
    static const char *const lines[] = {"line 1", "line 2", "line 1", "line 1"};
    uint8_t answer[3];
    for (size_t i = 0; i < B_COUNT(texts); i++) {
        struct channel *ch = NULL;
        struct b_err err = {0};
        enum b_code r = channel_replay_new(texts[i], strlen(texts[i]), &ch, &err);
        if (r == B_OK)
            r = ask(ch, answer, &err);
        assert_int_equal(r, B_E_BAD_INPUT);
        assert_non_null(strstr(err.msg, lines[i]));
        channel_free(&ch);
    }
}

static size_t two_bytes(struct b_rd capdu)
{
    (void)capdu;
    return 2;
}

static void what_must_not_be_kept_is_not_recorded(void **state)
{
    (void)state;
    static const uint8_t change_key[] = {0x90, 0xC4, 0xAA, 0xBB, 0xCC};
    struct counter c = {0};
    struct channel *ch = NULL;
    char *text = NULL;
    size_t n = 0;
    uint8_t answer[258];
    struct b_wr w = b_wr_from(answer, sizeof(answer));
    struct b_err err = {0};
    FILE *to = open_memstream(&text, &n);
    assert_non_null(to);
    assert_int_equal(channel_record_masked_new(new_card(&c), to, two_bytes, &ch), B_OK);
    assert_int_equal(channel_transmit(ch, b_rd_from(change_key, 5), &w, &err), B_OK);
    channel_free(&ch);
    assert_int_equal(fclose(to), 0);
    assert_non_null(strstr(text, "withheld"));
    assert_non_null(strstr(text, "> 90 C4 00 00 00\n< 01 91 00\n"));
    free(text);
}

struct seen {
    unsigned commands, answers;
};

static void see(void *ctx, bool is_answer, struct b_rd apdu)
{
    struct seen *s = ctx;
    assert_true(apdu.left >= 2);
    if (is_answer)
        s->answers++;
    else
        s->commands++;
}

static void a_trace_sees_each_exchange_and_keeps_the_card(void **state)
{
    (void)state;
    struct counter c = {0};
    struct seen s = {0};
    struct channel *ch = NULL;
    uint8_t answer[3];
    struct b_err err = {0};
    assert_int_equal(channel_trace_new(new_card(&c), see, &s, &ch), B_OK);
    assert_string_equal(channel_card(ch)->reader, "in process");
    assert_int_equal(ask(ch, answer, &err), B_OK);
    c.is_away = true;
    assert_int_equal(ask(ch, answer, &err), B_E_CARD_REMOVED);
    assert_int_equal(s.commands, 2);
    assert_int_equal(s.answers, 1);
    channel_free(&ch);
}

static void a_card_put_back_after_a_tear_answers_again(void **state)
{
    (void)state;
    struct counter c = {0};
    struct channel *ch = NULL;
    uint8_t answer[3];
    struct b_err err = {0};
    assert_int_equal(channel_fault_new(new_card(&c), (struct channel_fault){.at = 1}, &ch), B_OK);
    assert_int_equal(ask(ch, answer, &err), B_E_CARD_REMOVED);
    assert_int_equal(channel_reset(ch, &err), B_OK);
    assert_int_equal(c.powered, 1);
    assert_int_equal(ask(ch, answer, &err), B_OK);
    assert_int_equal(c.acted, 1);
    channel_free(&ch);
}

static void a_replay_refuses_a_reset_that_was_not_recorded(void **state)
{
    (void)state;
    static const char text[] = "uid: 04010203040506\r\n> 90 60 00 00 00\r\n< 01 91 00\r\n";
    struct channel *ch = NULL;
    uint8_t answer[3];
    struct b_err err = {0};
    assert_int_equal(channel_replay_new(text, sizeof(text) - 1, &ch, &err), B_OK);
    assert_int_equal(ask(ch, answer, &err), B_OK);
    assert_int_not_equal(channel_reset(ch, &err), B_OK);
    channel_free(&ch);
}

/* libpcsclite takes the place of pcscd's socket from this variable (pcscd(8)). */
static void a_service_that_does_not_run_is_named(void **state)
{
    (void)state;
    struct channel_pcsc_wanted wanted = {.wait_ms = -1};
    struct channel_reader readers[2];
    struct channel *ch = NULL;
    size_t n = 0;
    struct b_err err = {0};
    assert_int_equal(setenv("PCSCLITE_CSOCK_NAME", "/nonexistent/pcscd.comm", 1), 0);
    assert_int_equal(channel_pcsc_list(readers, 2, &n, &err), B_E_PCSC_DOWN);
    assert_int_equal(channel_pcsc_open(&wanted, &ch, &err), B_E_PCSC_DOWN);
    assert_null(ch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_card_in_process_answers_and_can_leave),
        cmocka_unit_test(a_tear_before_effect_reaches_no_card),
        cmocka_unit_test(a_tear_after_effect_loses_the_answer_alone),
        cmocka_unit_test(what_was_recorded_replays),
        cmocka_unit_test(a_replay_refuses_what_was_not_recorded),
        cmocka_unit_test(a_broken_record_is_refused_at_its_line),
        cmocka_unit_test(what_must_not_be_kept_is_not_recorded),
        cmocka_unit_test(a_trace_sees_each_exchange_and_keeps_the_card),
        cmocka_unit_test(a_card_put_back_after_a_tear_answers_again),
        cmocka_unit_test(a_replay_refuses_a_reset_that_was_not_recorded),
        cmocka_unit_test(a_service_that_does_not_run_is_named),
    };
    return cmocka_run_group_tests_name("channels", tests, NULL, NULL);
}
