/*
 * Days of a fleet: each badge taps once a day, at the station that its number gives, while one
 * visit in twenty is torn somewhere between its first APDU and the end of what follows the tap.
 */
#ifndef TESSERE_TESTS_DAYS_H
#define TESSERE_TESTS_DAYS_H

#include <pthread.h>

#include "fleet.h"

enum { DAYS_STATIONS_MAX = 32 };

struct days;
struct days_station {
    const struct days *of;
    size_t at;
    uint32_t chance; /* of its own, so that a run can be told again */
    unsigned taps, torn, refused;
    pthread_t thread;
};
struct days {
    struct fleet *fleet;
    const char *tessere; /* the program */
    unsigned tear_apdus; /* the last APDU at which a visit is torn */
    unsigned passed;
    struct days_station stations[DAYS_STATIONS_MAX];
};

/* A day: every badge of the fleet taps, is taken over and re-keyed as the server wants. */
void days_pass(struct days *d);
/* What all stations saw so far. */
void days_sum(const struct days *d, unsigned *ret_taps, unsigned *ret_torn, unsigned *ret_refused);
/* A command of the establishment's, its status. */
int days_run(const struct days *d, const char *command);
/* The establishment's store, to read; given to store_free. */
struct store *days_store(const struct days *d);
/* Steps of work on cards that were begun and are neither done nor settled. */
unsigned days_open_steps(struct store *s);
/* One line of TAP. */
void days_say(unsigned n, bool is_good, const char *what, bool *io);

#endif
