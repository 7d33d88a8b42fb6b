/*
 * The journal as static files, C2SP tlog-tiles: their names and their bytes, not the files.
 *
 *   tile/<level>/<index>[.p/<width>]    hashes of level 8 * level, 256 in a whole tile
 *   tile/entries/<index>[.p/<width>]    the entries themselves, each after its length (big-endian,
 *                                       two bytes)
 *
 * The index is written in groups of three digits, all but the last after an x: x001/x234/067.
 */
#ifndef TESSERE_JOURNAL_TILES_H
#define TESSERE_JOURNAL_TILES_H

#include "journal/tree.h"

enum {
    JOURNAL_TILE_WIDTH = 256,
    JOURNAL_TILE_LEVELS = 8,
    JOURNAL_TILE_PATH_MAX = 64,
    JOURNAL_ENTRY_MAX = 65535, /* what a bundle can hold */
};

struct journal_tile {
    bool is_entries; /* a bundle of entries: level is 0 */
    unsigned level;  /* 0..7 */
    uint64_t index;
    unsigned width; /* 1..256; below 256 the tile is partial */
};

/* How many tiles a tree has on a level; bundles are as many as tiles on level 0. */
uint64_t journal_tile_count(unsigned level, uint64_t size);
/* The tile of this index, of which a tree of `size` has at least a part. */
struct journal_tile journal_tile_at(unsigned level, uint64_t index, uint64_t size);
/* Its path below the journal's address, with a NUL. */
void journal_tile_path(const struct journal_tile *tile, char out[static JOURNAL_TILE_PATH_MAX]);
/* Its bytes: width hashes of 32. */
B_NODISCARD enum b_code journal_tile_read(const struct journal_tile *tile,
                                          struct journal_reader reader,
                                          uint8_t out[static JOURNAL_TILE_WIDTH][JOURNAL_HASH],
                                          struct b_err *err);
/* Adds an entry to a bundle; false when it is too long or does not fit. */
B_NODISCARD bool journal_bundle_add(struct b_wr *bundle, const void *entry, size_t n);

#endif
