/* The configuration of another system, in XML: read, or refused with words that name the file. */
#include <string.h>

#include "profile/esup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct profile_esup found;
    struct b_err err = {0};
    if (profile_esup_read("f", (const char *)data, size, &found, &err) != B_OK) {
        b_check(err.code != B_OK && err.msg[0] != '\0');
        return 0;
    }
    b_check(found.fleet.count + found.left_count > 0);
    for (uint8_t i = 0; i < found.fleet.count; i++)
        b_check(found.fleet.layouts[i].proof_key < found.fleet.layouts[i].key_count);
    return 0;
}
