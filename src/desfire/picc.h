/*
 * The card's side: a DESFire EV1, EV2 or EV3 with its memory, files, transactions and errors.
 *
 *   df_picc_blank(&picc, &personality)            a card as it leaves the factory
 *   df_picc_power(&picc, random)                  enters a field: what is volatile starts anew
 *   df_picc_step(&picc, capdu, &rapdu)            one APDU in, one out
 *
 * After a step, df_picc_is_dirty tells that non-volatile memory changed: whoever keeps the card's
 * image must keep it before the answer leaves, as silicon would. No I/O, no allocation.
 */
#ifndef TESSERE_DESFIRE_PICC_H
#define TESSERE_DESFIRE_PICC_H

#include "desfire/request.h"

struct df_personality {
    enum df_ev ev;   /* DF_EV1, DF_EV2, DF_EV3 */
    uint32_t memory; /* 2048, 4096, 8192 */
    uint8_t uid[7];
    bool random_uid;    /* show a random 4-byte UID from the start */
    bool has_signature; /* ReadSig answers signature; EV1 cards before it had none */
    uint8_t signature[56];
};

#include "desfire/picc_state.h" /* struct df_picc: size known, content private to the folder */

/* False when the personality is not one that exists. */
B_NODISCARD bool df_picc_blank(struct df_picc *picc, const struct df_personality *personality);
/* Power-on or field reset: session, selection, chains and uncommitted changes are lost. */
void df_picc_power(struct df_picc *picc, struct df_random random);
/* One C-APDU (native wrapped in 90, or ISO 00). rapdu is emptied first; room DF_RAPDU_MAX. */
void df_picc_step(struct df_picc *picc, struct b_rd capdu, struct b_wr *rapdu);

bool df_picc_is_dirty(const struct df_picc *picc);
void df_picc_clean(struct df_picc *picc);
/* UID as anticollision shows it: 7 bytes, or 4 bytes 08xxxxxx when random. Returns the length. */
size_t df_picc_shown_uid(const struct df_picc *picc, uint8_t uid[static 7]);
/* ATS historical bytes / the whole ATS as configured. Returns the length (at most 20). */
size_t df_picc_ats(const struct df_picc *picc, uint8_t ats[static 20]);

/* The card image: format table in picc_image.c. load refuses anything that save cannot write. */
size_t df_picc_image_max(void);
void df_picc_save(const struct df_picc *picc, struct b_wr *out);
B_NODISCARD bool df_picc_load(struct df_picc *picc, struct b_rd image);

/* What is left of the memory, as FreeMem answers it. */
uint32_t df_picc_free_memory(const struct df_picc *picc);
/* Time that a real card takes for this command, in microseconds, from the table (0: not known). */
uint32_t df_picc_typical_us(struct b_rd capdu);

#endif
