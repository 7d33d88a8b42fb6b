/*
 * One walk over a structure's fields that serves both directions: what is written is read at the
 * same place, so that an encoder and its decoder cannot drift apart. Numbers are 32 bits, little
 * endian; reading one above its maximum makes the walk bad, as does reading past the end.
 */
#ifndef TESSERE_BASE_WALK_H
#define TESSERE_BASE_WALK_H

#include "base/bytes.h"

/* Exactly one of w (saving) and r (loading) is set. */
struct b_walk {
    struct b_wr *w;
    struct b_rd *r;
    bool is_bad;
};

static inline bool b_walk_is_loading(const struct b_walk *k)
{
    return k->r != NULL;
}
/* Returns v when saving; when loading, what was read, or 0 when it is above max. */
uint32_t b_walk_number(struct b_walk *k, uint32_t v, uint32_t max);
void b_walk_bytes(struct b_walk *k, void *p, size_t n);
/* A NUL-terminated string in room of cap bytes. */
void b_walk_text(struct b_walk *k, char *text, size_t cap);
B_NODISCARD bool b_walk_ok(const struct b_walk *k);

#define B_WALK(k, field, max) \
    ((field) = (__typeof__(field))b_walk_number((k), (uint32_t)(field), (max)))

#endif
