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
#include "service/proposal.h"

enum { PATH_CAP = 1024 };

static void tile_path(char *out, const char *dir, const struct journal_tile *tile)
{
    char path[JOURNAL_TILE_PATH_MAX];
    journal_tile_path(tile, path);
    (void)snprintf(out, PATH_CAP, "%.800s/%s", dir, path);
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

static enum b_code read_hash(void *ctx, uint64_t id, uint8_t out[static JOURNAL_HASH],
                             struct b_err *err)
{
    return store_hash_get(ctx, id, out, err);
}

static enum b_code write_hashes(struct service *sv, const char *dir, uint64_t size,
                                struct b_err *err)
{
    static uint8_t hashes[JOURNAL_TILE_WIDTH][JOURNAL_HASH];
    const struct journal_reader reader = {read_hash, sv->store};
    char path[PATH_CAP];
    enum b_code r = B_OK;
    for (unsigned level = 0; level < JOURNAL_TILE_LEVELS; level++) {
        uint64_t count = journal_tile_count(level, size);
        for (uint64_t at = 0; r == B_OK && at < count; at++) {
            struct journal_tile tile = journal_tile_at(level, at, size);
            r = journal_tile_read(&tile, reader, hashes, err);
            tile_path(path, dir, &tile);
            if (r == B_OK)
                r = write_file(path, hashes, tile.width * (size_t)JOURNAL_HASH, err);
        }
    }
    return r;
}

struct bundle {
    const char *dir;
    uint64_t size, next;
    struct b_wr w;
    enum b_code code;
    struct b_err *err;
};

static bool add_entry(void *ctx, const struct store_entry *e)
{
    struct bundle *b = ctx;
    char path[PATH_CAP];
    struct journal_tile tile = journal_tile_at(0, b->next / JOURNAL_TILE_WIDTH, b->size);
    tile.is_entries = true;
    if (e->index != b->next || !journal_bundle_add(&b->w, e->body, e->body_len)) {
        b->code = b_err_set(b->err, B_E_JOURNAL_BROKEN, 0, "entry %llu is missing or too long",
                            (unsigned long long)b->next);
        return false;
    }
    if (b->next++ % JOURNAL_TILE_WIDTH + 1 < tile.width)
        return true;
    tile_path(path, b->dir, &tile);
    b->code = write_file(path, b->w.p, b->w.len, b->err);
    b->w.len = 0;
    return b->code == B_OK;
}

/* How far: to the newest checkpoint, or to the one that was allowed. */
static enum b_code find_end(struct service *sv, uint64_t *ret_size, char *note, int64_t *ret_by,
                            struct b_err *err)
{
    static _Thread_local struct store_proposal allowed;
    char argument[64];
    uint64_t most = UINT64_MAX;
    enum b_code r = service_allowed(sv, "export", NULL, &allowed, err);
    if (r == B_OK && allowed.id != 0) {
        service_proposal_argument(&allowed, argument, sizeof(argument));
        most = strtoull(argument, NULL, 10);
    }
    if (r == B_OK)
        r = store_checkpoint_get(sv->store, most, ret_size, note, JOURNAL_NOTE_MAX, err);
    *ret_by = allowed.id;
    return r == B_E_NOT_FOUND ? b_err_set(err, r, 0, "no checkpoint was signed yet") : r;
}

struct taken {
    uint64_t size;
    int64_t by;
};

static enum b_code note_export(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct taken *t = ctx;
    json_t *detail = json_pack("{s:I}", "size", (json_int_t)t->size);
    if (t->by != 0)
        (void)json_object_set_new(detail, "proposal", json_integer(t->by));
    return service_log(c, (struct service_entry){.kind = "export", .detail = detail}, err);
}

/* Journalled first: what is taken out is known, also when the writing fails half way. */
enum b_code service_journal_export(struct service *sv, const char *dir, uint64_t *ret_size,
                                   struct b_err *err)
{
    enum { ROOM = JOURNAL_TILE_WIDTH * (STORE_ENTRY_MAX + 2) };
    static char note[JOURNAL_NOTE_MAX];
    char path[PATH_CAP];
    struct bundle b = {.dir = dir, .err = err};
    struct taken taken = {.by = 0};
    enum b_code r = find_end(sv, &b.size, note, &taken.by, err);
    taken.size = b.size;
    if (r == B_OK)
        r = service_change(sv, note_export, &taken, err);
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
