/* Who is told that something changed for those who wait at a station. */
#include <stdio.h>
#include <string.h>

#include "service/relay.h"
#include "service/signon.h"

void service_station_bell(int64_t station, char name[static SERVICE_STATION_BELL])
{
    (void)snprintf(name, SERVICE_STATION_BELL, "station:%lld", (long long)station);
}

struct ringing {
    struct service_bells *bells;
    const char *rung;
};

static bool ring_other(void *ctx, const struct store_challenge *c)
{
    const struct ringing *k = ctx;
    if (strcmp(c->name, k->rung) != 0)
        service_ring(k->bells, c->name, B_OK);
    return true;
}

void service_ring_changed(const struct service *sv, const struct store_challenge *c)
{
    char station[SERVICE_STATION_BELL];
    struct ringing k = {.bells = sv->bells, .rung = c->name};
    struct b_err ignored;
    service_station_bell(c->station, station);
    service_ring(sv->bells, c->name, B_OK);
    service_ring(sv->bells, station, B_OK);
    /* Whoever waited for a code gave its reader back: other pages then look again by themselves. */
    if (c->station != 0 && sv->store != NULL)
        (void)!store_challenge_each(sv->store, c->station, "", service_now(), ring_other, &k,
                                    &ignored);
}
