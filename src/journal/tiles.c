#include "journal/tiles.h"

#include <inttypes.h>
#include <stdio.h>

/* Hashes of a tile level that a tree has. */
static uint64_t hashes_on(unsigned level, uint64_t size)
{
    b_check(level < JOURNAL_TILE_LEVELS);
    return size >> (8 * level);
}

uint64_t journal_tile_count(unsigned level, uint64_t size)
{
    uint64_t n = hashes_on(level, size);
    return n / JOURNAL_TILE_WIDTH + (n % JOURNAL_TILE_WIDTH != 0);
}

struct journal_tile journal_tile_at(unsigned level, uint64_t index, uint64_t size)
{
    b_check(index < journal_tile_count(level, size));
    uint64_t left = hashes_on(level, size) - index * JOURNAL_TILE_WIDTH;
    return (struct journal_tile){
        .level = level,
        .index = index,
        .width = left < JOURNAL_TILE_WIDTH ? (unsigned)left : JOURNAL_TILE_WIDTH,
    };
}

static void put(struct b_wr *w, const char *before, int digits, uint64_t v)
{
    char text[40];
    int n = snprintf(text, sizeof(text), "%s%0*" PRIu64, before, digits, v);
    b_wr_bytes(w, text, (size_t)n);
}

void journal_tile_path(const struct journal_tile *tile, char out[static JOURNAL_TILE_PATH_MAX])
{
    struct b_wr w = b_wr_from(out, JOURNAL_TILE_PATH_MAX);
    uint64_t unit = 1;
    if (tile->is_entries)
        b_wr_bytes(&w, "tile/entries", 12);
    else
        put(&w, "tile/", 1, tile->level);
    while (tile->index / unit >= 1000)
        unit *= 1000;
    for (; unit > 1; unit /= 1000)
        put(&w, "/x", 3, tile->index / unit % 1000);
    put(&w, "/", 3, tile->index % 1000);
    if (tile->width < JOURNAL_TILE_WIDTH)
        put(&w, ".p/", 1, tile->width);
    b_wr_u8(&w, 0);
    b_check(b_wr_ok(&w));
}

enum b_code journal_tile_read(const struct journal_tile *tile, struct journal_reader reader,
                              uint8_t out[static JOURNAL_TILE_WIDTH][JOURNAL_HASH],
                              struct b_err *err)
{
    enum b_code r = B_OK;
    for (unsigned i = 0; r == B_OK && i < tile->width; i++)
        r = reader.hash(reader.ctx,
                        journal_hash_id(8 * tile->level, tile->index * JOURNAL_TILE_WIDTH + i),
                        out[i], err);
    return r;
}

bool journal_bundle_add(struct b_wr *bundle, const void *entry, size_t n)
{
    if (n > JOURNAL_ENTRY_MAX)
        return false;
    b_wr_be16(bundle, (uint16_t)n);
    b_wr_bytes(bundle, entry, n);
    return b_wr_ok(bundle);
}
