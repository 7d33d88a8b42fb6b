/*
 * The Merkle tree of RFC 6962 §2.1: leaf = SHA-256(00 || entry), node = SHA-256(01 || left ||
 * right).
 *
 * Hashes of complete subtrees are stored once, in the order in which appending completes them (the
 * order that Go's sumdb uses): storing is append-only. A hash is named by level (0: leaves) and
 * index; journal_hash_id gives its place.
 */
#ifndef TESSERE_JOURNAL_TREE_H
#define TESSERE_JOURNAL_TREE_H

#include "base/base.h"

enum { JOURNAL_HASH = 32, JOURNAL_LEVELS = 64, JOURNAL_PROOF_MAX = 64 };

/* A stored hash by its place. */
struct journal_reader {
    enum b_code (*hash)(void *ctx, uint64_t id, uint8_t out[static JOURNAL_HASH],
                        struct b_err *err);
    void *ctx;
};

uint64_t journal_hash_id(unsigned level, uint64_t index);
/* How many hashes a tree of `size` entries has stored. */
uint64_t journal_hash_count(uint64_t size);

void journal_leaf_hash(const void *entry, size_t n, uint8_t out[static JOURNAL_HASH]);
void journal_node_hash(const uint8_t left[static JOURNAL_HASH],
                       const uint8_t right[static JOURNAL_HASH], uint8_t out[static JOURNAL_HASH]);

/* The right edge of a tree: the hashes of its complete subtrees, one for each bit of its size. With
 * it, appending and the root need no reads. All zero: the empty tree. */
struct journal_edge {
    uint64_t size;
    uint8_t hashes[JOURNAL_LEVELS][JOURNAL_HASH]; /* of level i when bit i of size is set */
};
B_NODISCARD enum b_code journal_edge_load(struct journal_edge *edge, uint64_t size,
                                          struct journal_reader reader, struct b_err *err);
/* Appends a leaf. out gets the hashes to store, in order; returns how many (at most 64). */
size_t journal_edge_append(struct journal_edge *edge, const uint8_t leaf[static JOURNAL_HASH],
                           uint8_t (*out)[JOURNAL_HASH]);
/* The root; of an empty tree SHA-256 of nothing. */
void journal_edge_root(const struct journal_edge *edge, uint8_t root[static JOURNAL_HASH]);

struct journal_proof {
    size_t count;
    uint8_t hashes[JOURNAL_PROOF_MAX][JOURNAL_HASH];
};
/* RFC 6962 §2.1.1: index < size. */
B_NODISCARD enum b_code journal_prove_inclusion(uint64_t index, uint64_t size,
                                                struct journal_reader reader,
                                                struct journal_proof *ret, struct b_err *err);
/* RFC 6962 §2.1.2: 0 < old <= size. */
B_NODISCARD enum b_code journal_prove_consistency(uint64_t old, uint64_t size,
                                                  struct journal_reader reader,
                                                  struct journal_proof *ret, struct b_err *err);
/* RFC 9162 §2.1.3.2 and §2.1.4.2. False when the proof does not lead from the one to the other. */
B_NODISCARD bool journal_check_inclusion(const struct journal_proof *proof, uint64_t index,
                                         uint64_t size, const uint8_t leaf[static JOURNAL_HASH],
                                         const uint8_t root[static JOURNAL_HASH]);
B_NODISCARD bool journal_check_consistency(const struct journal_proof *proof, uint64_t old,
                                           uint64_t size,
                                           const uint8_t old_root[static JOURNAL_HASH],
                                           const uint8_t root[static JOURNAL_HASH]);

#endif
