/* A share as somebody typed it: what is read is written again as the same words; what is not read
 * leaves nothing. */
#include <string.h>

#include "custody/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct custody_share none;
    char text[CUSTODY_SHARE_TEXT];
    struct custody_share s, again;
    if (custody_share_read(b_rd_from(data, size), &s, NULL) != B_OK) {
        b_check(memcmp(&s, &none, sizeof(s)) == 0);
        return 0;
    }
    custody_share_write(&s, text);
    b_check(custody_share_read(b_rd_from(text, sizeof(text) - 1), &again, NULL) == B_OK);
    b_check(memcmp(&s, &again, sizeof(s)) == 0);
    return 0;
}
