/* A fleet description: read, and then no two of its layouts are of one application; or refused with
 * words. */
#include <string.h>

#include "profile/fleet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct profile_fleet f;
    struct b_err err = {0};
    if (profile_fleet_read("f", (const char *)data, size, &f, &err) != B_OK) {
        b_check(err.code != B_OK && err.msg[0] != '\0');
        return 0;
    }
    b_check(f.count > 0 && f.count <= PROFILE_LAYOUTS_MAX);
    for (unsigned i = 0; i < f.count; i++) {
        b_check(f.layouts[i].uid_key < PROFILE_KEYS_MAX);
        for (unsigned j = 0; j < i; j++)
            b_check(f.layouts[i].aid != f.layouts[j].aid);
    }
    return 0;
}
