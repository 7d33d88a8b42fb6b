/*
 * card: the software card and its virtual reader.
 *
 *   card.h   a card with an image file, a tear on request and a card's pace; usable in process
 *   vpcd.h   puts such a card on a reader of pcscd, through vsmartcard's vpcd
 *   main.c   tessere-card
 *
 * For tests, demonstration and training: its keys stand in a file. It must never learn what a
 * badge profile or a vault is.
 */
#ifndef TESSERE_CARD_CARD_H
#define TESSERE_CARD_CARD_H

#include "desfire/picc.h"

enum { CARD_PATH_MAX = 1000 };

/* When the card leaves the field by itself. */
struct card_tear {
    unsigned at;       /* the APDU, counted from 1 among those that match ins; 0: never */
    int ins;           /* only APDUs with this INS count; -1: all */
    bool after_effect; /* false: the card never sees it; true: it acts, the answer is lost */
};

struct card {
    struct df_picc picc;
    char path[CARD_PATH_MAX]; /* the image file; empty: only in memory */
    int lock;                 /* descriptor of the image's lock, or -1 */
    struct card_tear tear;
    unsigned seen;   /* APDUs counted for tear */
    bool is_torn;    /* the field is lost; card_power brings it back */
    bool keeps_pace; /* waits as long as a real card does */
};

/* A card of this personality as it leaves the factory. path may be NULL: in memory only; a file
 * that exists already is not overwritten: B_E_DUPLICATE. */
B_NODISCARD enum b_code card_new(const struct df_personality *personality, const char *path,
                                 struct card *ret, struct b_err *err);
/* Takes the card of an image file, and its lock. B_E_BAD_INPUT, B_E_SYSTEM. */
B_NODISCARD enum b_code card_open(const char *path, struct card *ret, struct b_err *err);
void card_close(struct card *card);

/* Enters the field, or a reset: what is volatile starts anew. ctx is a struct card. */
void card_power(void *ctx);
/* One APDU. False: the field is gone. What changed is in the image file before the answer is
 * given. Answers the reader's own GET DATA (PC/SC part 3, 3.2.2.1.3) too. ctx is a struct card. */
bool card_apdu(void *ctx, struct b_rd capdu, struct b_wr *rapdu);

#endif
