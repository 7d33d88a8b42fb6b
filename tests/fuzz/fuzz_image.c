/* A card image from anywhere: refused, or a card that works and is written back as it was read. Its
 * length and digest are put right first: what is tried is what they would let through. */
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "desfire/picc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LENGTH_AT = 10, DIGEST_AT = 14, BODY_AT = 46 }; /* picc_image.c */

static uint8_t step(struct df_picc *picc, uint8_t ins, const void *p, size_t n, struct b_wr *rapdu)
{
    uint8_t capdu[DF_CAPDU_MAX];
    struct b_wr w = b_wr_from(capdu, sizeof(capdu));
    b_wr_bytes(&w, (const uint8_t[]){0x90, ins, 0, 0}, 4);
    if (n > 0)
        b_wr_u8(&w, (uint8_t)n);
    b_wr_bytes(&w, p, n);
    b_wr_u8(&w, 0);
    df_picc_step(picc, b_wr_reader(&w), rapdu);
    b_check(b_wr_ok(rapdu) && rapdu->len >= 2);
    return rapdu->p[rapdu->len - 1];
}

/* Reads and removes every file and application that the card lets anyone remove. */
static void use_up(struct df_picc *picc)
{
    uint8_t answer[DF_RAPDU_MAX], key[7] = {0};
    struct b_wr w = b_wr_from(answer, sizeof(answer));
    for (size_t i = 0; i < PICC_APPS; i++) {
        struct b_wr aid = b_wr_from(key, 3);
        b_wr_le24(&aid, picc->mem.apps[i].aid);
        if (!picc->mem.apps[i].is_used || step(picc, 0x5A, key, 3, &w) != DF_SW_OK)
            continue;
        for (uint8_t no = 0; no < PICC_FILES; no++) {
            const uint8_t read[7] = {no};
            static const uint8_t reads[] = {0xF5, 0xBD, 0xBB, 0x6C, 0xDF};
            for (size_t k = 0; k < sizeof(reads); k++)
                (void)step(picc, reads[k], read, k == 1 || k == 2 ? 7 : 1, &w);
        }
    }
    (void)step(picc, 0x6E, NULL, 0, &w);
    b_check(df_picc_free_memory(picc) <= picc->mem.personality.memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct df_picc picc;
    size_t cap = df_picc_image_max();
    uint8_t *image = malloc(cap), *again = malloc(cap);
    b_check(image != NULL && again != NULL);
    if (size >= BODY_AT && size <= cap) {
        memcpy(image, data, size);
        struct b_wr length = b_wr_from(image + LENGTH_AT, 4);
        b_wr_le32(&length, (uint32_t)(size - BODY_AT));
        crypto_sha256(image + BODY_AT, size - BODY_AT, image + DIGEST_AT);
        if (df_picc_load(&picc, b_rd_from(image, size))) {
            struct b_wr saved = b_wr_from(again, cap);
            df_picc_save(&picc, &saved);
            b_check(b_wr_ok(&saved) && saved.len == size && memcmp(image, again, size) == 0);
            use_up(&picc);
        }
    }
    free(image);
    free(again);
    return 0;
}
