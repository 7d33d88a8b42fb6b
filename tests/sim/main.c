/*
 *   sim OPERATIONS [SEED [tell]]   operations drawn from seeds, a world of 2000 for each
 *   sim exhaustive [EACH [STRIDE [KIND [DEPTH]]]]
 *       every EACH-th cut of enrolment, re-key at a tap, repair, blanking and takeover; and from
 * each state that they leave, every STRIDE-th cut of the work that mends it. KIND: a pattern of
 *       kinds' names ("*, EV2, owned"); DEPTH: how many acts are cut, one after the other (2)
 *   sim check [STRIDE [KIND]]
 *       the same in full, and then every STRIDE-th pair of every STRIDE-th cut with none left out:
 *       no state may come that was not seen
 *   sim bytes [KIND]               each frame torn at each of its bytes
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static unsigned number(int argc, char **argv, int at)
{
    unsigned long n = argc > at ? strtoul(argv[at], NULL, 10) : 1;
    return n > 0 ? (unsigned)n : 1;
}

static const char *word(int argc, char **argv, int at, const char *none)
{
    return argc > at ? argv[at] : none;
}

int main(int argc, char **argv)
{
    const char *what = word(argc, argv, 1, "");
    if (strcmp(what, "exhaustive") == 0) {
        const struct sim_exhaust how = {.each = number(argc, argv, 2),
                                        .stride = number(argc, argv, 3),
                                        .only = word(argc, argv, 4, "*"),
                                        .depth = argc > 5 ? number(argc, argv, 5) : 2};
        return sim_exhaust(&how);
    }
    if (strcmp(what, "check") == 0) {
        const struct sim_exhaust how = {.each = 1,
                                        .stride = 1,
                                        .only = word(argc, argv, 3, "*"),
                                        .depth = 2,
                                        .check = number(argc, argv, 2)};
        return sim_exhaust(&how);
    }
    if (strcmp(what, "bytes") == 0)
        return sim_tear_bytes(word(argc, argv, 2, "*"));
    sim_tells = argc > 3;
    if (strtoul(what, NULL, 10) > 0)
        return sim_draw_runs(strtoul(what, NULL, 10), number(argc, argv, 2));
    (void)fprintf(stderr, "sim OPERATIONS [SEED [tell]] | sim exhaustive [EACH [STRIDE [KIND "
                          "[DEPTH]]]] | sim check [STRIDE [KIND]] | sim bytes [KIND]\n");
    return 2;
}
