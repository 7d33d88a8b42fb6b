/* Looks for byte strings in the memory of another process, through /proc/PID/mem. */
#ifndef TESSERE_TESTS_MEMSCAN_H
#define TESSERE_TESTS_MEMSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MEMSCAN_SIZE = 16 };

struct memscan_hit {
    size_t pattern;
    uint64_t address;
    uint64_t bytes;  /* that were searched, hit or not */
    char where[128]; /* the mapping's line of /proc/PID/maps */
};
/* Searches all readable mappings for each pattern of 16 bytes. Returns the number of hits (the
 * first is written to *first), or -1 when the process may not be read. */
int memscan(int pid, const uint8_t (*patterns)[MEMSCAN_SIZE], size_t count,
            struct memscan_hit *first);
/* The same for one pattern of 2 to 16 bytes. */
int memscan_short(int pid, const void *pattern, size_t size, struct memscan_hit *first);

#endif
