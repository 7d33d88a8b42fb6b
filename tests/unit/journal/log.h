/*
 * A journal in memory for tests: entries "entry 0", "entry 1", …, its stored hashes, and a key.
 */
#ifndef TESSERE_TESTS_JOURNAL_LOG_H
#define TESSERE_TESTS_JOURNAL_LOG_H

#include "journal/journal.h"

enum { LOG_MAX = 300 };

struct log {
    struct journal_edge edge;
    uint64_t count;
    uint8_t stored[2 * LOG_MAX][JOURNAL_HASH];
    uint8_t roots[LOG_MAX + 1][JOURNAL_HASH];
    uint8_t seed[32];
    struct journal_signer signer;
};

/* The first `size` entries; another `mark` makes another journal under the same name and key: its
 * entries from number `from` on differ. */
void log_build(struct log *log, uint64_t size, uint64_t from, char mark);
struct journal_reader log_reader(struct log *log);
size_t log_entry(uint64_t index, char mark, char out[static 32]);
/* A signed checkpoint of the first `size` entries. */
void log_sign(const struct log *log, uint64_t size, char note[static JOURNAL_NOTE_MAX + 1]);
/* A submission to a witness that has seen `old` entries. */
void log_grow(struct log *log, uint64_t old, uint64_t size, struct journal_growth *ret);

#endif
