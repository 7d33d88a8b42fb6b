/*
 * kept: keys of others and how they encoded badges, as a server keeps them for takeovers at taps.
 * Orders that began with them go on with them when others have come in their place; they are wiped
 * with the last who has them. The desk's lock is held by whoever calls. Private to src/service.
 */
#ifndef TESSERE_SERVICE_KEPT_H
#define TESSERE_SERVICE_KEPT_H

#include "service/service.h"

struct service_kept;
/* A copy of all that is borrowed there. NULL: no memory. */
struct service_kept *service_kept_new(const struct service_others *others);
/* One user more, who gives it back by service_kept_drop. */
struct service_others service_kept_lend(struct service_kept *k);
/* NULL is allowed there. */
void service_kept_drop(struct service_kept **k);

#endif
