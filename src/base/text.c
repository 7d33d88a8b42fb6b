#include "base/text.h"

#include <string.h>

/* Unicode's categories Cc, Zl and Zp, and of Cf those that turn or hide what stands beside them;
 * joiners are left, which scripts need. */
static bool shows(uint32_t c)
{
    static const struct {
        uint32_t from, to;
    } refused[] = {
        {0, 0x1F},        {0x7F, 0x9F},     {0xAD, 0xAD},       {0x61C, 0x61C},
        {0x200B, 0x200B}, {0x200E, 0x200F}, {0x2028, 0x202E},   {0x2060, 0x206F},
        {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F},
    };
    for (size_t i = 0; i < B_COUNT(refused); i++)
        if (c >= refused[i].from && c <= refused[i].to)
            return false;
    return true;
}

bool b_text_is_name(const char *text)
{
    struct b_rd rest = b_rd_from(text, strlen(text));
    while (rest.left > 0)
        if (!shows(b_rd_utf8(&rest)))
            return false;
    return b_rd_ok(&rest);
}

/* Takes a character off, or a byte that is of none; false where it does not show on lines. */
static bool take_shown(struct b_rd *r)
{
    struct b_rd next = *r;
    uint32_t c = b_rd_utf8(&next);
    if (!b_rd_ok(&next)) {
        b_rd_skip(r, 1);
        return false;
    }
    *r = next;
    bool ends_line = c == '\n' || (c == '\r' && r->left > 0 && *r->p == '\n');
    return ends_line || c == '\t' || shows(c);
}

bool b_text_is_lines(const char *text)
{
    struct b_rd rest = b_rd_from(text, strlen(text));
    while (rest.left > 0)
        if (!take_shown(&rest))
            return false;
    return true;
}

void b_text_tame(char *text)
{
    struct b_rd rest = b_rd_from(text, strlen(text));
    char *to = text;
    while (rest.left > 0) {
        const uint8_t *at = rest.p;
        bool is_shown = take_shown(&rest);
        size_t n = is_shown ? (size_t)(rest.p - at) : 1;
        if (is_shown)
            memmove(to, at, n);
        else
            *to = '?';
        to += n;
    }
    *to = '\0';
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
