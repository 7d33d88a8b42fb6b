/* A time zone's data: read, or refused. What was read gives a minute of the week at any time, in
 * few steps. */
#include <string.h>

#include "policy/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct policy_zone z;
    static const int64_t times[] = {INT64_MIN,  -1,           0,        1577836800, 1764000000,
                                    4102444800, 253402300799, INT64_MAX};
    char name[POLICY_ZONE_NAME] = "";
    memcpy(name, data, size < sizeof(name) - 1 ? size : sizeof(name) - 1);
    if (policy_zone_is_name(name))
        b_check(name[0] != '/' && strchr(name, '.') == NULL);
    if (!policy_zone_parse(b_rd_from(data, size), &z))
        return 0;
    b_check(z.step_count >= 1 && z.step_count <= POLICY_ZONE_STEPS);
    for (size_t i = 0; i < B_COUNT(times); i++)
        b_check(policy_zone_minute(&z, times[i]) < 7 * 24 * 60);
    return 0;
}
