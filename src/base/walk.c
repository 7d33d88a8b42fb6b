#include "base/walk.h"

#include <string.h>

uint32_t b_walk_number(struct b_walk *k, uint32_t v, uint32_t max)
{
    if (!b_walk_is_loading(k)) {
        b_wr_le32(k->w, v);
        return v;
    }
    v = b_rd_le32(k->r);
    if (v <= max)
        return v;
    k->is_bad = true;
    return 0;
}

void b_walk_bytes(struct b_walk *k, void *p, size_t n)
{
    if (b_walk_is_loading(k))
        b_rd_bytes(k->r, p, n);
    else
        b_wr_bytes(k->w, p, n);
}

void b_walk_text(struct b_walk *k, char *text, size_t cap)
{
    size_t n = b_walk_is_loading(k) ? 0 : strnlen(text, cap - 1);
    n = b_walk_number(k, (uint32_t)n, (uint32_t)(cap - 1));
    b_walk_bytes(k, text, n);
    text[n] = '\0';
}

bool b_walk_ok(const struct b_walk *k)
{
    return !k->is_bad && (b_walk_is_loading(k) ? b_rd_ok(k->r) : b_wr_ok(k->w));
}
