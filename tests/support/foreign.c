#include "foreign.h"

#include <string.h>

static void set_key(struct picc_key *to, const struct df_key *key)
{
    memset(to, 0, sizeof(*to));
    memcpy(to->bytes, key->bytes, sizeof(to->bytes));
    to->version = key->version;
}

const struct picc_app *foreign_find(const struct df_picc *picc, df_aid aid)
{
    for (size_t i = 0; i < PICC_APPS; i++) {
        const struct picc_app *a = &picc->mem.apps[i];
        if (a->is_used && a->aid == aid)
            return a;
    }
    return NULL;
}

void foreign_application(struct df_picc *picc, struct df_random random, df_aid aid,
                         const struct df_key keys[static FOREIGN_KEYS])
{
    const uint8_t create[] = {0x90,
                              0xCA,
                              0,
                              0,
                              5,
                              (uint8_t)aid,
                              (uint8_t)(aid >> 8),
                              (uint8_t)(aid >> 16),
                              0x0B,
                              (uint8_t)(keys[0].type | FOREIGN_KEYS),
                              0};
    uint8_t rx[DF_RAPDU_MAX];
    struct b_wr in = b_wr_from(rx, sizeof(rx));
    df_picc_power(picc, random);
    df_picc_step(picc, b_rd_from(create, sizeof(create)), &in);
    const struct picc_app *made = foreign_find(picc, aid);
    b_check(in.len == 2 && rx[1] == 0 && made != NULL);
    for (size_t i = 0; i < FOREIGN_KEYS; i++)
        set_key(&picc->mem.keys[made->first_key + i], &keys[i]);
}

void foreign_card_key(struct df_picc *picc, const struct df_key *key)
{
    set_key(&picc->mem.master, key);
    picc->mem.key_type = key->type;
}
