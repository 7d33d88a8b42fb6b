/* Stations and people: their states. */
#include "service/service.h"

struct station_change {
    int64_t id;
    enum store_party_state to;
    const char *kind;
    struct store_station *ret;
};

static enum b_code note_station(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct station_change *k = ctx;
    struct store_station *t = k->ret;
    enum b_code r = store_station_by_id(c->store, k->id, t, err);
    if (r != B_OK)
        return r;
    bool is_allowed = k->to == STORE_PARTY_ENDED    ? t->state != STORE_PARTY_ENDED
                      : k->to == STORE_PARTY_ACTIVE ? t->state == STORE_PARTY_SUSPENDED
                                                    : t->state == STORE_PARTY_ACTIVE;
    if (!is_allowed)
        return b_err_set(err, B_E_BADGE_STATE, 0, "station %s is %s", t->name,
                         store_party_state_name(t->state));
    t->state = k->to;
    t->changed_at = c->now;
    r = store_station_put(c->store, t, err);
    if (r != B_OK)
        return r;
    return service_log(c, (struct service_entry){.kind = k->kind, .station = t}, err);
}

enum b_code service_station_state(struct service *sv, int64_t id, enum store_party_state to,
                                  const char *kind, struct store_station *ret, struct b_err *err)
{
    struct station_change k = {id, to, kind, ret};
    return service_change(sv, note_station, &k, err);
}
