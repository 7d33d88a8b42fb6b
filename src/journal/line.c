#include "journal/line.h"

#include <string.h>

#include "base/text.h"

bool journal_is_text(struct b_rd text)
{
    while (text.left > 0) {
        uint32_t c = b_text_next(&text);
        if (c != '\n' && c < ' ')
            return false;
    }
    return b_rd_ok(&text);
}

bool journal_line(struct b_rd *text, struct b_rd *line)
{
    const uint8_t *end = text->left > 0 ? memchr(text->p, '\n', text->left) : NULL;
    if (end == NULL)
        return false;
    *line = b_rd_take(text, (size_t)(end - text->p));
    b_rd_skip(text, 1);
    return true;
}

bool journal_line_word(struct b_rd *line, const char *word)
{
    size_t n = strlen(word);
    if (line->left < n || memcmp(line->p, word, n) != 0)
        return false;
    b_rd_skip(line, n);
    return true;
}

bool journal_line_number(struct b_rd line, uint64_t *ret)
{
    uint64_t v = 0;
    if (line.left == 0 || line.left > 19 || (line.left > 1 && line.p[0] == '0'))
        return false;
    while (line.left > 0) {
        uint8_t c = b_rd_u8(&line);
        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (uint64_t)(c - '0');
    }
    *ret = v;
    return v <= INT64_MAX;
}

bool journal_line_hash(struct b_rd line, uint8_t out[static JOURNAL_HASH])
{
    struct b_wr w = b_wr_from(out, JOURNAL_HASH);
    return line.left == 44 && b_unbase64(&w, (const char *)line.p, line.left) &&
           w.len == JOURNAL_HASH;
}
