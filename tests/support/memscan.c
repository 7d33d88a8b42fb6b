#include "memscan.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1 << 16 };

struct scan {
    int mem;
    const uint8_t (*patterns)[MEMSCAN_SIZE];
    size_t count, size; /* of patterns; of each, in bytes */
    int hits;
    struct memscan_hit *first;
    bool begins[1 << 16]; /* by a pattern's first two bytes */
};

/* Few places begin as some pattern does: those alone are compared, so that one pass is enough. */
static void search(struct scan *s, const uint8_t *p, size_t n, uint64_t at, const char *where)
{
    for (size_t at_byte = 0; at_byte + s->size <= n; at_byte++) {
        if (!s->begins[p[at_byte] << 8 | p[at_byte + 1]])
            continue;
        for (size_t i = 0; i < s->count; i++) {
            if (memcmp(p + at_byte, s->patterns[i], s->size) != 0)
                continue;
            if (s->hits++ == 0) {
                s->first->pattern = i;
                s->first->address = at + at_byte;
                (void)snprintf(s->first->where, sizeof(s->first->where), "%.127s", where);
            }
        }
    }
}

/* Chunks overlap by a pattern less one byte, so that none is missed at a seam or found twice. */
static void scan_mapping(struct scan *s, uint64_t from, uint64_t to, const char *where)
{
    static uint8_t buf[MEMSCAN_SIZE - 1 + CHUNK];
    size_t kept = 0;
    for (uint64_t at = from; at < to; at += CHUNK) {
        size_t n = to - at < CHUNK ? (size_t)(to - at) : CHUNK;
        ssize_t got = pread(s->mem, buf + kept, n, (off_t)at);
        if (got <= 0)
            break;
        size_t have = kept + (size_t)got;
        search(s, buf, have, at - kept, where);
        s->first->bytes += (uint64_t)got;
        kept = have < s->size - 1 ? have : s->size - 1;
        memmove(buf, buf + have - kept, kept);
    }
    memset(buf, 0, sizeof(buf));
}

static int scan_all(int pid, const uint8_t (*patterns)[MEMSCAN_SIZE], size_t count, size_t size,
                    struct memscan_hit *first)
{
    char path[64];
    char line[512];
    static struct scan s;
    first->bytes = 0;
    s = (struct scan){.patterns = patterns, .count = count, .size = size, .first = first};
    for (size_t i = 0; i < count; i++)
        s.begins[patterns[i][0] << 8 | patterns[i][1]] = true;
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    s.mem = open(path, O_RDONLY | O_CLOEXEC);
    (void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    if (s.mem < 0 || maps == NULL)
        s.hits = -1;
    while (s.hits >= 0 && fgets(line, sizeof(line), maps) != NULL) {
        char *end = NULL;
        uint64_t from = strtoull(line, &end, 16);
        uint64_t to = *end == '-' ? strtoull(end + 1, &end, 16) : 0;
        line[strcspn(line, "\n")] = '\0';
        if (to > from && end[0] == ' ' && end[1] == 'r' && strstr(line, "[vvar]") == NULL)
            scan_mapping(&s, from, to, line);
    }
    if (maps != NULL)
        (void)fclose(maps);
    if (s.mem >= 0)
        (void)close(s.mem);
    return s.hits;
}

int memscan(int pid, const uint8_t (*patterns)[MEMSCAN_SIZE], size_t count,
            struct memscan_hit *first)
{
    return scan_all(pid, patterns, count, MEMSCAN_SIZE, first);
}

int memscan_short(int pid, const void *pattern, size_t size, struct memscan_hit *first)
{
    uint8_t patterns[1][MEMSCAN_SIZE] = {{0}};
    memcpy(patterns[0], pattern, size < MEMSCAN_SIZE ? size : MEMSCAN_SIZE);
    return scan_all(pid, (const uint8_t(*)[MEMSCAN_SIZE])patterns, 1,
                    size < MEMSCAN_SIZE ? size : MEMSCAN_SIZE, first);
}
