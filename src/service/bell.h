/*
 * Bells: whoever waits for something to happen to a challenge sleeps until it is rung. Nothing is
 * kept that matters: a bell that was not heard is found again in the store.
 */
#ifndef TESSERE_SERVICE_BELL_H
#define TESSERE_SERVICE_BELL_H

#include "base/base.h"

struct service_bells;
struct service_bells *service_bells_new(void);
void service_bells_free(struct service_bells **b);

struct service_ring {
    uint64_t number;  /* of the ring; 0: it did not ring yet */
    enum b_code code; /* what a tap came to: B_OK, B_E_PIN_REQUIRED, or the refusal */
};
/* Rings for a name (a challenge's). b may be NULL: nobody waits here. */
void service_ring(struct service_bells *b, const char *name, enum b_code code);
/* Sleeps until the name was rung after the number `seen`, or for so long; gives the newest ring. */
void service_await(struct service_bells *b, const char *name, uint64_t seen, unsigned milliseconds,
                   struct service_ring *ret);
/* Ends all waits at once, and those to come. */
void service_bells_stop(struct service_bells *b);

#endif
