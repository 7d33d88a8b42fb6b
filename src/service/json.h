/* What a desk shows of a card, of a plan and of a badge, as JSON, for the API and for --json; and
 * back, so that one program prints both what it saw itself and what a server tells. */
#ifndef TESSERE_SERVICE_JSON_H
#define TESSERE_SERVICE_JSON_H

#include <jansson.h>

#include "profile/profile.h"
#include "store/store.h"

/* New references; NULL: no memory. */
json_t *service_json_plan(const struct profile_plan *plan);
json_t *service_json_state(const struct profile *profile, const struct profile_state *s);
json_t *service_json_campaign(const struct store_campaign *k);
json_t *service_json_badge(const struct store_badge *b);
json_t *service_json_batch(const struct store_batch *b, const struct store_stock *n);
/* False when it is not such an object. What is not shown stays zero. */
B_NODISCARD bool service_json_plan_read(const json_t *o, struct profile_plan *ret);
/* Of the profile, only the roles of the keys are filled in. */
B_NODISCARD bool service_json_state_read(const json_t *o, struct profile_state *ret,
                                         struct profile *ret_profile);

B_NODISCARD bool service_json_badge_read(const json_t *o, struct store_badge *ret);

/* Whether a card in this state needs nothing. */
bool service_is_conform(const struct profile_plan *plan);

#endif
