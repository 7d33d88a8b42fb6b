#include "journal/tree.h"

#include <string.h>

#include "crypto/crypto.h"

uint64_t journal_hash_id(unsigned level, uint64_t index)
{
    /* Level L's hash n is written right after level L-1's hash 2n+1, and so down to a leaf; before
     * that leaf every entry has given one hash, and every second one more, and so on. */
    for (unsigned l = level; l > 0; l--)
        index = 2 * index + 1;
    uint64_t id = level;
    for (; index > 0; index >>= 1)
        id += index;
    return id;
}

uint64_t journal_hash_count(uint64_t size)
{
    return size == 0 ? 0
                     : journal_hash_id(0, size - 1) + 1 +
                           (uint64_t)__builtin_ctzll(size); /* what the last leaf completed */
}

void journal_leaf_hash(const void *entry, size_t n, uint8_t out[static JOURNAL_HASH])
{
    static const uint8_t leaf = 0;
    crypto_sha256_two(&leaf, 1, entry, n, out);
}

void journal_node_hash(const uint8_t left[static JOURNAL_HASH],
                       const uint8_t right[static JOURNAL_HASH], uint8_t out[static JOURNAL_HASH])
{
    uint8_t m[1 + 2 * JOURNAL_HASH] = {1};
    memcpy(m + 1, left, JOURNAL_HASH);
    memcpy(m + 1 + JOURNAL_HASH, right, JOURNAL_HASH);
    crypto_sha256(m, sizeof(m), out);
}

/* --- the edge ----------------------------------------------------------------------------------
 */

static bool has_bit(uint64_t v, unsigned bit)
{
    return (v >> bit & 1) != 0;
}

/* The edge's subtree of a level that the size has: its index on that level. */
static uint64_t edge_index(uint64_t size, unsigned level)
{
    return (size >> level) - 1;
}

enum b_code journal_edge_load(struct journal_edge *edge, uint64_t size,
                              struct journal_reader reader, struct b_err *err)
{
    *edge = (struct journal_edge){.size = size};
    enum b_code r = B_OK;
    for (unsigned level = 0; r == B_OK && level < JOURNAL_LEVELS; level++)
        if (has_bit(size, level))
            r = reader.hash(reader.ctx, journal_hash_id(level, edge_index(size, level)),
                            edge->hashes[level], err);
    return r;
}

size_t journal_edge_append(struct journal_edge *edge, const uint8_t leaf[static JOURNAL_HASH],
                           uint8_t (*out)[JOURNAL_HASH])
{
    size_t count = 0;
    unsigned level = 0;
    memcpy(out[count++], leaf, JOURNAL_HASH);
    for (; has_bit(edge->size, level); level++, count++)
        journal_node_hash(edge->hashes[level], out[count - 1], out[count]);
    memcpy(edge->hashes[level], out[count - 1], JOURNAL_HASH);
    edge->size++;
    return count;
}

void journal_edge_root(const struct journal_edge *edge, uint8_t root[static JOURNAL_HASH])
{
    bool has_any = false;
    crypto_sha256("", 0, root);
    for (unsigned level = 0; level < JOURNAL_LEVELS; level++) {
        if (!has_bit(edge->size, level))
            continue;
        if (has_any)
            journal_node_hash(edge->hashes[level], root, root);
        else
            memcpy(root, edge->hashes[level], JOURNAL_HASH);
        has_any = true;
    }
}

/* --- proofs ------------------------------------------------------------------------------------
 */

/* Hash of the entries [from, to): from is a multiple of the subtree's size. */
static enum b_code range_hash(uint64_t from, uint64_t to, struct journal_reader reader,
                              uint8_t out[static JOURNAL_HASH], struct b_err *err)
{
    bool has_any = false;
    uint64_t end = to;
    /* Complete subtrees from right to left, as the edge of a tree is folded. */
    for (unsigned level = 0; end > from; level++) {
        if (!has_bit(end - from, level))
            continue;
        uint8_t left[JOURNAL_HASH];
        enum b_code r =
            reader.hash(reader.ctx, journal_hash_id(level, (end >> level) - 1), left, err);
        if (r != B_OK)
            return r;
        if (has_any)
            journal_node_hash(left, out, out);
        else
            memcpy(out, left, sizeof(left));
        has_any = true;
        end -= UINT64_C(1) << level;
    }
    return B_OK;
}

/* The largest power of two below n, n > 1. */
static uint64_t split(uint64_t n)
{
    return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

static enum b_code add(struct journal_proof *p, uint64_t from, uint64_t to,
                       struct journal_reader reader, struct b_err *err)
{
    b_check(p->count < JOURNAL_PROOF_MAX);
    return range_hash(from, to, reader, p->hashes[p->count++], err);
}

static void reverse(struct journal_proof *p)
{
    uint8_t swap[JOURNAL_HASH];
    for (size_t i = 0; i < p->count / 2; i++) {
        memcpy(swap, p->hashes[i], sizeof(swap));
        memcpy(p->hashes[i], p->hashes[p->count - 1 - i], sizeof(swap));
        memcpy(p->hashes[p->count - 1 - i], swap, sizeof(swap));
    }
}

/* RFC 6962 gives PATH from the leaf up; walking from the root down meets it in reverse. */
enum b_code journal_prove_inclusion(uint64_t index, uint64_t size, struct journal_reader reader,
                                    struct journal_proof *ret, struct b_err *err)
{
    if (index >= size)
        return b_err_set(err, B_E_BAD_INPUT, 0, "the journal has %llu entries, none of number %llu",
                         (unsigned long long)size, (unsigned long long)index);
    ret->count = 0;
    enum b_code r = B_OK;
    for (uint64_t from = 0, to = size; r == B_OK && to - from > 1;) {
        uint64_t middle = from + split(to - from);
        r = index < middle ? add(ret, middle, to, reader, err)
                           : add(ret, from, middle, reader, err);
        if (index < middle)
            to = middle;
        else
            from = middle;
    }
    reverse(ret);
    return r;
}

enum b_code journal_prove_consistency(uint64_t old, uint64_t size, struct journal_reader reader,
                                      struct journal_proof *ret, struct b_err *err)
{
    if (old == 0 || old > size)
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         "the journal has %llu entries: it cannot be compared with one of %llu",
                         (unsigned long long)size, (unsigned long long)old);
    ret->count = 0;
    enum b_code r = B_OK;
    uint64_t from = 0;
    uint64_t to = size;
    while (r == B_OK && old != to) {
        uint64_t middle = from + split(to - from);
        if (old <= middle) {
            r = add(ret, middle, to, reader, err);
            to = middle;
        } else {
            r = add(ret, from, middle, reader, err);
            from = middle;
        }
    }
    if (r == B_OK && from != 0)
        r = add(ret, from, to, reader, err);
    reverse(ret);
    return r;
}

bool journal_check_inclusion(const struct journal_proof *proof, uint64_t index, uint64_t size,
                             const uint8_t leaf[static JOURNAL_HASH],
                             const uint8_t root[static JOURNAL_HASH])
{
    uint8_t hash[JOURNAL_HASH];
    if (index >= size)
        return false;
    memcpy(hash, leaf, sizeof(hash));
    uint64_t at = index;
    uint64_t last = size - 1;
    for (size_t i = 0; i < proof->count; i++) {
        if (last == 0)
            return false;
        if ((at & 1) != 0 || at == last) {
            journal_node_hash(proof->hashes[i], hash, hash);
            while ((at & 1) == 0 && at != 0) {
                at >>= 1;
                last >>= 1;
            }
        } else {
            journal_node_hash(hash, proof->hashes[i], hash);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && b_ct_eq(hash, root, sizeof(hash));
}

/* A tree whose size is a power of two is its own first subtree: its root opens the proof. */
static bool fold_consistency(const struct journal_proof *proof, size_t next, uint64_t at,
                             uint64_t last, uint8_t was[static JOURNAL_HASH],
                             uint8_t is[static JOURNAL_HASH])
{
    for (; next < proof->count; next++) {
        if (last == 0)
            return false;
        if ((at & 1) != 0 || at == last) {
            journal_node_hash(proof->hashes[next], was, was);
            journal_node_hash(proof->hashes[next], is, is);
            while ((at & 1) == 0 && at != 0) {
                at >>= 1;
                last >>= 1;
            }
        } else {
            journal_node_hash(is, proof->hashes[next], is);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0;
}

bool journal_check_consistency(const struct journal_proof *proof, uint64_t old, uint64_t size,
                               const uint8_t old_root[static JOURNAL_HASH],
                               const uint8_t root[static JOURNAL_HASH])
{
    uint8_t was[JOURNAL_HASH];
    uint8_t is[JOURNAL_HASH];
    if (old == 0 || old > size)
        return false;
    if (old == size)
        return proof->count == 0 && b_ct_eq(old_root, root, JOURNAL_HASH);
    bool is_power = (old & (old - 1)) == 0;
    if (!is_power && proof->count == 0)
        return false;
    memcpy(was, is_power ? old_root : proof->hashes[0], sizeof(was));
    memcpy(is, was, sizeof(is));
    uint64_t at = old - 1;
    uint64_t last = size - 1;
    for (; (at & 1) != 0; at >>= 1)
        last >>= 1;
    return fold_consistency(proof, is_power ? 0 : 1, at, last, was, is) &&
           b_ct_eq(was, old_root, sizeof(was)) && b_ct_eq(is, root, sizeof(is));
}
