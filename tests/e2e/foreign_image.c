/*
 * Makes a software card's image one of other software's: an application of theirs, whose keys and
 * the card's own are one AES key that all badges share.
 *   foreign_image IMAGE KEY
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "desfire/picc.h"
#include "foreign.h"

enum { AID = 0xF585C0, IMAGE_MAX = 1 << 20 };

static void need(bool is_good, const char *what)
{
    if (is_good)
        return;
    (void)fprintf(stderr, "foreign_image: %s\n", what);
    exit(2);
}

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    crypto_random(p, n);
}

int main(int argc, char **argv)
{
    static uint8_t bytes[IMAGE_MAX];
    static struct df_picc picc;
    struct df_key key = {.type = DF_KEY_AES};
    struct b_wr k = b_wr_from(key.bytes, 16);
    need(argc == 3 && b_unhex(&k, argv[2]) && k.len == 16, "an image and a key of 16 bytes");
    FILE *f = fopen(argv[1], "r+e");
    need(f != NULL, argv[1]);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    need(df_picc_load(&picc, b_rd_from(bytes, n)), argv[1]);
    const struct df_key keys[FOREIGN_KEYS] = {key, key, key};
    foreign_application(&picc, (struct df_random){.fill = fill}, AID, keys);
    foreign_card_key(&picc, &key);
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    df_picc_save(&picc, &w);
    rewind(f);
    need(b_wr_ok(&w) && fwrite(bytes, 1, w.len, f) == w.len && fclose(f) == 0, argv[1]);
    return 0;
}
