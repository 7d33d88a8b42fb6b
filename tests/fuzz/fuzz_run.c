/* Jobs on a card whose answers, or the field, go wrong where the input says: the machine ends, and
 * the keys that it put on the card can be computed. Two bytes for each APDU: how many answers pass
 * before, then what happens. */
#include <stdlib.h>
#include <string.h>

#include "desk.h"

static const struct desk_fleet fleet = {.key = {.type = DF_KEY_2K3DES, .bytes = {1, 2, [9] = 3}},
                                        .diversification = "",
                                        .deletes = true};

static struct desk *fresh(uint8_t kind)
{
    static const enum df_ev evs[] = {DF_EV1, DF_EV2, DF_EV3};
    bool has_serial = (kind & 4) != 0, is_guest = (kind & 8) != 0;
    struct desk *d =
        desk_new(evs[(kind & 3) % 3], is_guest, has_serial ? "serial" : "uid-aid-system");
    d->job.tries_known_keys = (kind & 16) != 0;
    if (kind & 64)
        b_check(key_stay_read("picc,app,auth,read,write", &d->stored));
    if (kind & 32)
        desk_make_foreign(d, &fleet);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    struct desk *d = fresh(data[0]);
    d->noise = b_rd_from(data + 3, size - 3);
    d->skip = data[2];
    for (unsigned i = 0; i < 4; i++) {
        enum profile_goal goal = (enum profile_goal)(data[1] >> 2 * i & 3);
        if (goal == PROFILE_GOAL_REACH && d->job.fleet.count > 0)
            goal = PROFILE_GOAL_TAKEOVER;
        (void)desk_work(d, goal);
        b_check(desk_lost_key(d) == NULL);
    }
    desk_drop(d);
    return 0;
}
