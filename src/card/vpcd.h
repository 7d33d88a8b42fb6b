/* vpcd: a card on a virtual reader of pcscd, through the driver of vsmartcard. */
#ifndef TESSERE_CARD_VPCD_H
#define TESSERE_CARD_VPCD_H

#include "card/card.h"

struct vpcd_place {
    const char *host; /* "127.0.0.1" */
    uint16_t port;    /* where the driver listens: P for its first reader, P + 1 for the second */
    unsigned wait_ms; /* how long to wait for the driver */
};

/* Puts the card on the reader. B_E_PCSC_DOWN when nobody listens. */
B_NODISCARD enum b_code vpcd_connect(const struct vpcd_place *place, int *ret_fd,
                                     struct b_err *err);
/* Answers until the reader goes (B_OK) or the card is torn out (B_E_CARD_REMOVED). Closes fd. */
B_NODISCARD enum b_code vpcd_serve(int fd, struct card *card, struct b_err *err);

#endif
