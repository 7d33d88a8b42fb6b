/* What can be ordered of a desk, in one table, wherever the card is. */
#include <string.h>

#include "service/campaign.h"
#include "service/desk.h"

typedef enum b_code order_fn(struct service *sv, struct channel *ch, const struct service_order *o,
                             const struct service_watch *watch, struct service_done *ret,
                             struct b_err *err);

static enum b_code scan(struct service *sv, struct channel *ch, const struct service_order *o,
                        const struct service_watch *watch, struct service_done *ret,
                        struct b_err *err)
{
    (void)watch;
    return service_scan(sv, ch, &o->others, &ret->state, &ret->plan, &ret->badge, err);
}

static enum b_code enrol(struct service *sv, struct channel *ch, const struct service_order *o,
                         const struct service_watch *watch, struct service_done *ret,
                         struct b_err *err)
{
    const struct service_holder holder = {.ref = o->ref,
                                          .name = o->name,
                                          .not_before = o->not_before,
                                          .not_after = o->not_after,
                                          .is_temporary = o->is_temporary,
                                          .batch_id = o->batch_id};
    return service_enrol(sv, ch, holder, watch, &ret->badge, err);
}

static enum b_code repair(struct service *sv, struct channel *ch, const struct service_order *o,
                          const struct service_watch *watch, struct service_done *ret,
                          struct b_err *err)
{
    (void)o;
    return service_repair(sv, ch, watch, &ret->badge, err);
}

static enum b_code blank(struct service *sv, struct channel *ch, const struct service_order *o,
                         const struct service_watch *watch, struct service_done *ret,
                         struct b_err *err)
{
    (void)o;
    return service_blank(sv, ch, watch, &ret->badge, err);
}

static enum b_code rekey(struct service *sv, struct channel *ch, const struct service_order *o,
                         const struct service_watch *watch, struct service_done *ret,
                         struct b_err *err)
{
    (void)watch;
    return service_rekey(sv, ch, o->badge_id, o->station_id, &ret->badge, err);
}

static enum b_code takeover(struct service *sv, struct channel *ch, const struct service_order *o,
                            const struct service_watch *watch, struct service_done *ret,
                            struct b_err *err)
{
    return service_takeover(sv, ch, &o->others, watch, &ret->badge, err);
}

static const struct {
    const char *name;
    order_fn *fn;
} rows[SERVICE_WHAT_COUNT] = {
    [SERVICE_SCAN] = {"scan", scan},       [SERVICE_ENROL] = {"enrol", enrol},
    [SERVICE_REPAIR] = {"repair", repair}, [SERVICE_BLANK] = {"blank", blank},
    [SERVICE_REKEY] = {"rekey", rekey},    [SERVICE_TAKEOVER] = {"takeover", takeover},
};

const char *service_what_name(enum service_what what)
{
    return rows[what].name;
}

bool service_what_find(const char *name, enum service_what *ret)
{
    for (int i = 0; i < SERVICE_ORDERED; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            *ret = (enum service_what)i;
            return true;
        }
    }
    return false;
}

enum b_code service_order_run(struct service *sv, struct channel *ch,
                              const struct service_order *order, const struct service_watch *watch,
                              struct service_done *ret, struct b_err *err)
{
    ret->badge = (struct store_badge){.id = 0};
    return rows[order->what].fn(sv, ch, order, watch, ret, err);
}
