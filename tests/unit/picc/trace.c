/* The recorded session of a real EV1 card (tests/vectors/ev1_trace.txt names its source), replayed
 * through the card's side: given the same random numbers it must answer the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "desfire/picc.h"
#include "support/ev1_trace.h"
#include "support/vector.h"

static const struct ev1_operation *now;

static void recorded_random(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    assert_int_equal(n, now->random_len);
    memcpy(p, now->b, n);
}

/* The card of the recording, as it says itself in its answer to GetVersion. */
static void become_recorded_card(struct df_picc *picc)
{
    struct df_personality who = {
        .ev = DF_EV1, .memory = 8192, .uid = {0x04, 0x06, 0x3F, 0x72, 0x63, 0x34, 0x80}};
    static const uint8_t batch[] = {0xBA, 0x45, 0x19, 0xE3, 0x20};
    assert_true(df_picc_blank(picc, &who));
    memcpy(picc->mem.batch, batch, sizeof(batch));
    picc->mem.week = 0x49;
    picc->mem.year = 0x13;
}

static size_t replay(struct df_picc *picc, const struct ev1_operation *op)
{
    uint8_t sent[DF_CAPDU_MAX], came[DF_RAPDU_MAX], want[DF_RAPDU_MAX];
    struct b_wr capdu = b_wr_from(sent, sizeof(sent));
    struct b_wr rapdu = b_wr_from(came, sizeof(came));
    struct b_wr expected = b_wr_from(want, sizeof(want));
    for (size_t i = 0; i < op->count; i++) {
        ev1_trace_capdu(&op->exchanges[i], &capdu);
        ev1_trace_rapdu(&op->exchanges[i], &expected);
        df_picc_step(picc, b_wr_reader(&capdu), &rapdu);
        if (rapdu.len != expected.len || memcmp(came, want, rapdu.len) != 0)
            fail_msg("%s, exchange %zu: the card answered otherwise", op->title, i);
    }
    return op->count;
}

static void the_card_answers_as_the_recorded_one(void **state)
{
    (void)state;
    static struct df_picc picc;
    static struct ev1_operation op;
    size_t operations = 0, exchanges = 0;
    FILE *f = fopen(vector_path("ev1_trace.txt"), "r");
    assert_non_null(f);
    become_recorded_card(&picc);
    df_picc_power(&picc, (struct df_random){recorded_random, NULL});
    now = &op;
    while (ev1_trace_next(f, &op)) {
        operations++;
        exchanges += replay(&picc, &op);
    }
    assert_int_equal(fclose(f), 0);
    assert_int_equal(operations, 63);
    assert_int_equal(exchanges, 85);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_card_answers_as_the_recorded_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
