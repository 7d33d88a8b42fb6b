/* A card image from anywhere: refused, or a card that works and is written back as it was read. */
#include <stdlib.h>
#include <string.h>

#include "desfire/picc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t get_apps[] = {0x90, 0x6A, 0, 0, 0}, get_free[] = {0x90, 0x6E, 0, 0, 0};
    static struct df_picc picc;
    if (!df_picc_load(&picc, b_rd_from(data, size)))
        return 0;
    size_t cap = df_picc_image_max();
    uint8_t *image = malloc(cap), answer[DF_RAPDU_MAX];
    b_check(image != NULL);
    struct b_wr saved = b_wr_from(image, cap), w = b_wr_from(answer, sizeof(answer));
    df_picc_save(&picc, &saved);
    b_check(b_wr_ok(&saved) && saved.len == size && memcmp(image, data, size) == 0);
    free(image);
    df_picc_step(&picc, b_rd_from(get_apps, sizeof(get_apps)), &w);
    df_picc_step(&picc, b_rd_from(get_free, sizeof(get_free)), &w);
    return 0;
}
