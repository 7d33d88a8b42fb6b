#include "service/kept.h"

#include <stdlib.h>
#include <string.h>

struct service_kept {
    unsigned users;
    struct df_key given[PROFILE_GIVEN_KEYS_MAX];
    size_t given_count;
    struct profile_fleet fleet;
    bool is_ours_alone;
};

struct service_kept *service_kept_new(const struct service_others *others)
{
    b_check(others->given_count <= PROFILE_GIVEN_KEYS_MAX);
    struct service_kept *k = calloc(1, sizeof(*k));
    if (k == NULL)
        return NULL;
    k->users = 1;
    k->given_count = others->given_count;
    if (others->given_count > 0)
        memcpy(k->given, others->given, others->given_count * sizeof(k->given[0]));
    k->is_ours_alone = others->is_ours_alone;
    if (others->fleet != NULL)
        k->fleet = *others->fleet;
    return k;
}

struct service_others service_kept_lend(struct service_kept *k)
{
    k->users++;
    return (struct service_others){.given = k->given,
                                   .given_count = k->given_count,
                                   .fleet = &k->fleet,
                                   .is_ours_alone = k->is_ours_alone};
}

void service_kept_drop(struct service_kept **k)
{
    if (*k != NULL && --(*k)->users == 0) {
        b_wipe(*k, sizeof(**k));
        free(*k);
    }
    *k = NULL;
}
