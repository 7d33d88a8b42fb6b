/*
 * The table of taps under way, of station.c: an entry is free, or one thread's, or waits for its
 * station's next message until a deadline. Private to src/service.
 */
#ifndef TESSERE_SERVICE_STATION_INT_H
#define TESSERE_SERVICE_STATION_INT_H

#include "service/station.h"

enum place_phase { PLACE_FREE, PLACE_BUSY, PLACE_ASKED, PLACE_PROVEN, PLACE_GRANTED };

struct place {
    enum place_phase phase;
    char name[SERVICE_TAP_NAME];
    int64_t station;
    uint32_t vault_tap;
    uint32_t since_us;
    bool is_proven;                  /* waits for its PIN */
    int64_t trying;                  /* the holder whose PIN it has looked at, or 0 */
    int64_t badge;                   /* of a granted tap that is to be re-keyed */
    char answers[STORE_RANDOM_NAME]; /* the one challenge that waited when it was proved, or "" */
    uint32_t tries_left;
    struct service_tap_first first;
};

/* A place of its own for a new tap of the station; NULL when it, or everybody, has too many. */
struct place *place_take(struct service_taps *t, int64_t station);
/* The station's tap of this name, when it waits for a message: then it is the caller's. */
struct place *place_enter(struct service_taps *t, int64_t station, const char *name,
                          enum place_phase phase);
void place_leave(struct service_taps *t, struct place *p, enum place_phase phase);
/* One more re-key in this minute, of `pace`; 0: as many as come. */
bool place_is_within_pace(struct service_taps *t, uint32_t pace);
/* One PIN of a holder is looked at at a time: the next one's pause counts from how it ended. */
bool place_try_alone(struct service_taps *t, struct place *p, int64_t holder);

#endif
