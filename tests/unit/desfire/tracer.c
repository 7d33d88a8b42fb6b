/* The tracer, on the session of a real card and on bytes of no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "desfire/trace.h"
#include "support/ev1_trace.h"
#include "support/vector.h"

enum { LINE_MAX_LEN = 400 };

static void command_line(struct df_trace *t, const struct ev1_exchange *x, char *line)
{
    uint8_t apdu[DF_CAPDU_MAX];
    struct b_wr w = b_wr_from(apdu, sizeof(apdu));
    ev1_trace_capdu(x, &w);
    df_trace_command(t, b_wr_reader(&w), line, LINE_MAX_LEN);
}

static void answer_line(struct df_trace *t, const struct ev1_exchange *x, char *line)
{
    uint8_t apdu[DF_RAPDU_MAX];
    struct b_wr w = b_wr_from(apdu, sizeof(apdu));
    ev1_trace_rapdu(x, &w);
    df_trace_answer(t, b_wr_reader(&w), line, LINE_MAX_LEN);
}

static void a_session_reads_as_an_expert_would_write_it(void **state)
{
    (void)state;
    /* The first operations of the recorded session: select, version, authenticate, GetVersion in
     * three frames, format, create. */
    static const char *const want[] = {
        "> SelectApplication aid=000000",
        "< 9100 OK",
        "> GetKeyVersion key=0",
        "< 9100 OK version=00",
        "> AuthenticateISO key=0",
        "< 91AF ADDITIONAL_FRAME challenge=[8 bytes]",
        "> AuthenticateISO... frame=[16 bytes]",
        "< 9100 OK proof=[8 bytes]",
        "> GetVersion",
        "< 91AF ADDITIONAL_FRAME hw_vendor=04 hw_type=01 hw_subtype=01 hw_version=0100 "
        "hw_storage=1A hw_protocol=05",
        "> GetVersion...",
        "< 91AF ADDITIONAL_FRAME sw_vendor=04 sw_type=01 sw_subtype=01 sw_version=0104 "
        "sw_storage=1A sw_protocol=05",
        "> GetVersion...",
        "< 9100 OK uid=04063F72633480 batch=BA4519E320 week=49 year=13 mac=[8 bytes]",
        "> FormatPICC",
        "< 9100 OK mac=[8 bytes]",
        "> CreateApplication aid=00DE16 settings=0F keys=02",
        "< 9100 OK mac=[8 bytes]",
    };
    static struct ev1_operation op;
    struct df_trace t;
    char line[LINE_MAX_LEN];
    size_t n = 0;
    FILE *f = fopen(vector_path("ev1_trace.txt"), "r");
    assert_non_null(f);
    df_trace_init(&t, false);
    while (n < B_COUNT(want) && ev1_trace_next(f, &op)) {
        for (size_t i = 0; i < op.count; i++) {
            command_line(&t, &op.exchanges[i], line);
            assert_string_equal(line, want[n++]);
            answer_line(&t, &op.exchanges[i], line);
            assert_string_equal(line, want[n++]);
        }
    }
    assert_int_equal(fclose(f), 0);
    assert_int_equal(n, B_COUNT(want));
}

/* Cryptograms, challenges, file data: nothing of the recorded frames that is not a field shows. */
static void secrets_and_file_data_are_lengths(void **state)
{
    (void)state;
    static struct ev1_operation op;
    struct df_trace t;
    char line[LINE_MAX_LEN], hex[2 * EV1_TRACE_FRAME_MAX + 1];
    size_t masked = 0;
    FILE *f = fopen(vector_path("ev1_trace.txt"), "r");
    assert_non_null(f);
    df_trace_init(&t, false);
    while (ev1_trace_next(f, &op)) {
        for (size_t i = 0; i < op.count; i++) {
            const struct ev1_exchange *x = &op.exchanges[i];
            command_line(&t, x, line);
            bool is_secret = x->tx[0] == 0xAF || x->tx[0] == 0xC4 || x->tx[0] == 0x3D;
            if (is_secret && x->tx_len > 16) {
                b_hex(hex, x->tx + x->tx_len - 8, 8);
                assert_null(strstr(line, hex));
                masked++;
            }
            answer_line(&t, x, line);
            bool hides =
                x->tx[0] == 0xAF || x->tx[0] == 0x1A || x->tx[0] == 0xAA || x->tx[0] == 0xBD;
            if (hides && x->rx_len > 8) {
                b_hex(hex, x->rx + x->rx_len - 8, 8);
                assert_null(strstr(line, hex));
                masked++;
            }
        }
    }
    assert_int_equal(fclose(f), 0);
    assert_true(masked > 60);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void any_bytes_give_a_line_that_ends(void **state)
{
    (void)state;
    uint32_t seed = 1;
    struct df_trace t;
    df_trace_init(&t, true);
    for (size_t round = 0; round < 200000; round++) {
        uint8_t apdu[DF_CAPDU_MAX];
        char line[LINE_MAX_LEN];
        size_t n = next_random(&seed) % 40;
        size_t cap = 1 + next_random(&seed) % (sizeof(line) - 1);
        for (size_t i = 0; i < n; i++)
            apdu[i] = (uint8_t)next_random(&seed);
        if (n >= 5 && round % 4 != 0) {
            apdu[0] = round % 8 == 1 ? 0x00 : 0x90;
            apdu[4] = (uint8_t)(n - 6);
        }
        df_trace_command(&t, b_rd_from(apdu, n), line, cap);
        assert_true(strlen(line) < cap);
        if (n >= 2)
            apdu[n - 2] = 0x91;
        t.auth = (uint8_t)(round % 6);
        df_trace_answer(&t, b_rd_from(apdu, n), line, cap);
        assert_true(strlen(line) < cap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_reads_as_an_expert_would_write_it),
        cmocka_unit_test(secrets_and_file_data_are_lengths),
        cmocka_unit_test(any_bytes_give_a_line_that_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
