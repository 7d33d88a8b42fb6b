/* A profile's text: read, or refused with words that name the file. What was read has a wire form
 * that comes back the same. */
#include <string.h>

#include "profile/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct profile p, again;
    static uint8_t one[16384], two[16384];
    struct b_err err = {0};
    if (profile_file_read("f", (const char *)data, size, &p, &err) != B_OK) {
        b_check(err.code != B_OK && err.msg[0] != '\0');
        return 0;
    }
    struct b_wr w = b_wr_from(one, sizeof(one));
    profile_encode(&p, &w);
    struct b_rd r = b_wr_reader(&w);
    b_check(b_wr_ok(&w) && profile_decode(&r, &again) && b_rd_end(&r));
    struct b_wr w2 = b_wr_from(two, sizeof(two));
    profile_encode(&again, &w2);
    b_check(w.len == w2.len && memcmp(one, two, w.len) == 0);
    return 0;
}
