/*
 * The journal as static files, C2SP tlog-tiles: checkpoint, tile/<level>/<index>,
 * tile/entries/<index>. Any web server can give them out, any program that knows the format can
 * verify them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "service/journal.h"

enum { WIDTH = 256, PATH_CAP = 1024 };

/* The index in groups of three digits, all but the last marked with x; a partial tile's width. */
static void tile_path(char *out, const char *dir, const char *level, uint64_t index, unsigned width)
{
    char groups[64] = "";
    char rest[64];
    (void)snprintf(groups, sizeof(groups), "%03llu", (unsigned long long)(index % 1000));
    for (uint64_t v = index / 1000; v > 0; v /= 1000) {
        (void)snprintf(rest, sizeof(rest), "%.50s", groups);
        (void)snprintf(groups, sizeof(groups), "x%03llu/%.50s", (unsigned long long)(v % 1000),
                       rest);
    }
    char partial[16] = "";
    if (width < WIDTH)
        (void)snprintf(partial, sizeof(partial), ".p/%u", width);
    (void)snprintf(out, PATH_CAP, "%.800s/tile/%s/%.64s%s", dir, level, groups, partial);
}

static enum b_code write_file(char *path, const void *p, size_t n, struct b_err *err)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int r = mkdir(path, 0777);
        *slash = '/';
        if (r != 0 && errno != EEXIST)
            return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
    }
    FILE *f = fopen(path, "we");
    bool is_done = f != NULL && fwrite(p, 1, n, f) == n;
    if (f != NULL)
        is_done &= fclose(f) == 0;
    return is_done ? B_OK
                   : b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
}

static enum b_code write_hashes(struct service *sv, const char *dir, uint64_t size,
                                struct b_err *err)
{
    static uint8_t tile[WIDTH][JOURNAL_HASH];
    char path[PATH_CAP];
    enum b_code r = B_OK;
    for (unsigned level = 0; r == B_OK && size >> (8 * level) > 0 && level < 8; level++) {
        uint64_t count = size >> (8 * level);
        for (uint64_t at = 0; r == B_OK && at < count; at += WIDTH) {
            unsigned width = count - at < WIDTH ? (unsigned)(count - at) : WIDTH;
            char name[8];
            for (unsigned i = 0; r == B_OK && i < width; i++)
                r = store_hash_get(sv->store, journal_hash_id(8 * level, at + i), tile[i], err);
            (void)snprintf(name, sizeof(name), "%u", level);
            tile_path(path, dir, name, at / WIDTH, width);
            if (r == B_OK)
                r = write_file(path, tile, width * (size_t)JOURNAL_HASH, err);
        }
    }
    return r;
}

struct bundle {
    const char *dir;
    uint64_t size, index;
    unsigned width;
    struct b_wr w;
    enum b_code code;
    struct b_err *err;
};

static bool add_entry(void *ctx, const struct store_entry *e)
{
    struct bundle *b = ctx;
    char path[PATH_CAP];
    b_wr_be16(&b->w, (uint16_t)e->body_len);
    b_wr_bytes(&b->w, e->body, e->body_len);
    b->width++;
    if (b->width < WIDTH && e->index + 1 < b->size)
        return true;
    tile_path(path, b->dir, "entries", b->index++, b->width);
    b->code = write_file(path, b->w.p, b->w.len, b->err);
    b->w.len = 0;
    b->width = 0;
    return b->code == B_OK;
}

enum b_code service_journal_export(struct service *sv, const char *dir, uint64_t *ret_size,
                                   struct b_err *err)
{
    enum { ROOM = WIDTH * (STORE_ENTRY_MAX + 2) };
    static char note[JOURNAL_NOTE_MAX];
    char path[PATH_CAP];
    struct bundle b = {.dir = dir, .err = err};
    enum b_code r = store_checkpoint_get(sv->store, UINT64_MAX, &b.size, note, sizeof(note), err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, r, 0, "no checkpoint was signed yet");
    void *room = r == B_OK ? malloc(ROOM) : NULL;
    if (room == NULL)
        return r != B_OK ? r : b_err_set(err, B_E_NO_MEMORY, 0, "exporting the journal");
    b.w = b_wr_from(room, ROOM);
    const struct store_entry_range range = {.count = b.size};
    r = write_hashes(sv, dir, b.size, err);
    if (r == B_OK)
        r = store_entry_each(sv->store, &range, add_entry, &b, err);
    if (r == B_OK)
        r = b.code;
    free(room);
    (void)snprintf(path, sizeof(path), "%.1000s/checkpoint", dir);
    *ret_size = b.size;
    return r == B_OK ? write_file(path, note, strlen(note), err) : r;
}
