#include "base/text.h"

#include <string.h>

bool b_text_is_name(const char *text)
{
    /* Unicode's categories Cc, Zl and Zp, and of Cf those that turn or hide what stands beside
     * them; joiners are left, which scripts need. */
    static const struct {
        uint32_t from, to;
    } refused[] = {
        {0, 0x1F},        {0x7F, 0x9F},     {0xAD, 0xAD},       {0x61C, 0x61C},
        {0x200B, 0x200B}, {0x200E, 0x200F}, {0x2028, 0x202E},   {0x2060, 0x206F},
        {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F},
    };
    struct b_rd rest = b_rd_from(text, strlen(text));
    while (rest.left > 0) {
        uint32_t c = b_rd_utf8(&rest);
        for (size_t i = 0; i < B_COUNT(refused); i++)
            if (c >= refused[i].from && c <= refused[i].to)
                return false;
    }
    return b_rd_ok(&rest);
}

size_t b_text_fit(const char *text, size_t most)
{
    size_t n = strnlen(text, most + 1);
    if (n <= most)
        return n;
    n = most;
    while (n > 0 && ((uint8_t)text[n] & 0xC0) == 0x80)
        n--; /* not the first byte of a character */
    return n;
}
