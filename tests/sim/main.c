/*
 *   sim OPERATIONS [SEED [tell]]     operations drawn from seeds, a world of 2000 for each
 *   sim exhaustive [EACH [STRIDE]]   every EACH-th cut of enrolment, re-key at a tap, repair and
 *                                    blanking, and every STRIDE-th cut of the work that mends it
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

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "exhaustive") == 0)
        return sim_exhaust(number(argc, argv, 2), number(argc, argv, 3));
    sim_tells = argc > 3;
    if (strtoul(what, NULL, 10) > 0)
        return sim_draw_runs(strtoul(what, NULL, 10), number(argc, argv, 2));
    (void)fprintf(stderr, "sim OPERATIONS [SEED [tell]] | sim exhaustive [EACH [STRIDE]]\n");
    return 2;
}
