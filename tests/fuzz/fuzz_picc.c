/* A hostile reader: a byte gives the length of each APDU to a card with two applications. */
#include "desfire/picc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct df_picc picc;
    struct df_personality personality = {.memory = 8192, .uid = {4, 1, 2, 3, 4, 5, 6}};
    struct b_rd r = b_rd_from(data, size);
    personality.ev = (enum df_ev)(DF_EV1 + b_rd_u8(&r) % 3);
    if (!df_picc_blank(&picc, &personality))
        return 0;
    df_picc_power(&picc, (struct df_random){.fill = fill});
    while (r.left > 0) {
        uint8_t answer[DF_RAPDU_MAX];
        struct b_wr w = b_wr_from(answer, sizeof(answer));
        size_t n = b_rd_u8(&r);
        df_picc_step(&picc, b_rd_take(&r, n < r.left ? n : r.left), &w);
        b_check(b_wr_ok(&w) && w.len >= 2);
    }
    return 0;
}
