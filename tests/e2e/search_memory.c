/*
 * Searches the memory of a process for what it must not hold.
 *   search_memory PID [--image FILE]... [--hex FILE]... [--text TEXT]... [--times N]
 * --image: the keys of a software card's image; --hex: a key of 16 bytes on each line; --text: such
 * as a PIN. Prints what was searched; exit status 0: nothing found, 1: something, 2: not readable.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "desfire/picc.h"
#include "memscan.h"

enum { PATTERNS = 256, TEXTS = 8, IMAGE_MAX = 1 << 20 };

static uint8_t patterns[PATTERNS][MEMSCAN_SIZE];
static size_t pattern_count;
static const char *texts[TEXTS];
static size_t text_count;

static void need(bool is_good, const char *what)
{
    if (is_good)
        return;
    (void)fprintf(stderr, "search_memory: %s\n", what);
    exit(2);
}

/* Keys of zeros are everywhere, and no secret. */
static void add(const uint8_t *key)
{
    static const uint8_t zeros[MEMSCAN_SIZE];
    need(pattern_count < PATTERNS, "too many keys");
    if (!b_ct_eq(key, zeros, sizeof(zeros)))
        memcpy(patterns[pattern_count++], key, MEMSCAN_SIZE);
}

static void add_image(const char *path)
{
    static uint8_t bytes[IMAGE_MAX];
    static struct df_picc picc;
    FILE *f = fopen(path, "re");
    need(f != NULL, path);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    need(df_picc_load(&picc, b_rd_from(bytes, n)), path);
    for (size_t i = 0; i < B_COUNT(picc.mem.keys); i++)
        add(picc.mem.keys[i].bytes);
}

static void add_hex(const char *path)
{
    char line[128];
    FILE *f = fopen(path, "re");
    need(f != NULL, path);
    while (fgets(line, sizeof(line), f) != NULL) {
        uint8_t key[MEMSCAN_SIZE];
        struct b_wr w = b_wr_from(key, sizeof(key));
        line[strcspn(line, "\n")] = '\0';
        need(b_unhex(&w, line) && w.len == sizeof(key), path);
        add(key);
    }
    (void)fclose(f);
}

static int search(int pid, uint64_t *bytes)
{
    struct memscan_hit hit = {.where = ""};
    int found = memscan(pid, (const uint8_t(*)[MEMSCAN_SIZE])patterns, pattern_count, &hit);
    *bytes += hit.bytes;
    for (size_t i = 0; i < text_count && found == 0; i++)
        found = memscan_short(pid, texts[i], strlen(texts[i]), &hit);
    if (found > 0)
        (void)printf("pattern %zu of %zu in %s\n", hit.pattern, pattern_count, hit.where);
    return found;
}

int main(int argc, char **argv)
{
    int times = 1;
    int found = 0;
    uint64_t bytes = 0;
    need(argc >= 2 && argc % 2 == 0,
         "usage: search_memory PID [--image|--hex|--text|--times ARG]...");
    for (int i = 2; i < argc; i += 2) {
        if (strcmp(argv[i], "--image") == 0) {
            add_image(argv[i + 1]);
        } else if (strcmp(argv[i], "--hex") == 0) {
            add_hex(argv[i + 1]);
        } else if (strcmp(argv[i], "--times") == 0) {
            times = (int)strtol(argv[i + 1], NULL, 10);
        } else {
            need(strcmp(argv[i], "--text") == 0 && text_count < TEXTS, argv[i]);
            texts[text_count++] = argv[i + 1];
        }
    }
    for (int i = 0; i < times && found == 0; i++) {
        found = search((int)strtol(argv[1], NULL, 10), &bytes);
        (void)usleep(i + 1 < times ? 100 * 1000 : 0);
    }
    need(found >= 0, "the process may not be read: it is not dumpable, and this is not root");
    (void)printf("%zu keys and %zu texts, %d times, %llu bytes: %d found\n", pattern_count,
                 text_count, times, (unsigned long long)bytes, found);
    return found > 0;
}
