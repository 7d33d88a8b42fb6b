/* The tree against the published answers of RFC 6962's reference (certificate-transparency's
 * merkle_tree tests: eight leaves, their roots, kSHA256Paths and kSHA256Proofs), and the laws of
 * its proofs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "journal/journal.h"

static const char *const leaves[] = {"",
                                     "00",
                                     "10",
                                     "2021",
                                     "3031",
                                     "40414243",
                                     "5051525354555657",
                                     "606162636465666768696A6B6C6D6E6F"};
static const char *const roots[] = {
    "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    "6E340B9CFFB37A989CA544E6BB780A2C78901D3FB33738768511A30617AFA01D",
    "FAC54203E7CC696CF0DFCB42C92A1D9DBAF70AD9E621F4BD8D98662F00E3C125",
    "AEB6BCFE274B70A14FB067A5E5578264DB0FA9B51AF5E0BA159158F329E06E77",
    "D37EE418976DD95753C1C73862B9398FA2A2CF9B4FF0FDFE8B30CD95209614B7",
    "4E3BBB1F7B478DCFE71FB631631519A3BCA12C9AEFCA1612BFCE4C13A86264D4",
    "76E67DADBCDF1E10E1B74DDC608ABD2F98DFB16FBCE75277B5232A127F2087EF",
    "DDB89BE403809E325750D3D263CD78929C2942B7942A34B77E122C9594A74C8C",
    "5DC9DA79A70659A9AD559CB701DED9A2AB9D823AAD2F4960CFE370EFF4604328"};

enum { SIZE_MAX_TRIED = 130 };
static uint8_t stored[4 * SIZE_MAX_TRIED][32];
static uint8_t leaf_hashes[SIZE_MAX_TRIED][32], root_of[SIZE_MAX_TRIED + 1][32];

static enum b_code get(void *ctx, uint64_t id, uint8_t out[static 32], struct b_err *err)
{
    (void)err;
    assert_true(id < *(uint64_t *)ctx);
    memcpy(out, stored[id], 32);
    return B_OK;
}

static void an_appended_tree_has_the_published_roots(void **state)
{
    (void)state;
    struct journal_edge edge = {.size = 0};
    static uint8_t out[64][32];
    uint8_t entry[16], leaf[32], root[32];
    char hex[65];
    for (size_t i = 0; i <= 8; i++) {
        journal_edge_root(&edge, root);
        b_hex(hex, root, 32);
        assert_string_equal(hex, roots[i]);
        if (i == 8)
            break;
        struct b_wr w = b_wr_from(entry, sizeof(entry));
        assert_true(b_unhex(&w, leaves[i]));
        journal_leaf_hash(entry, w.len, leaf);
        assert_true(journal_edge_append(&edge, leaf, out) >= 1);
    }
}

/* index and size count from 0; the source counts leaves from 1. */
static const struct {
    uint64_t index, size;
    const char *path[4];
} paths[] = {
    {0, 1, {NULL}},
    {0,
     8,
     {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {5,
     8,
     {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {2, 3, {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
    {1,
     5,
     {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
};
static const struct {
    uint64_t old, size;
    const char *path[4];
} growths[] = {
    {1, 1, {NULL}},
    {1,
     8,
     {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {6,
     8,
     {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {2,
     5,
     {"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
};

static void assert_path(const struct journal_proof *p, const char *const path[static 4])
{
    size_t n = 0;
    for (; path[n] != NULL; n++) {
        uint8_t want[32];
        struct b_wr w = b_wr_from(want, sizeof(want));
        assert_true(b_unhex(&w, path[n]) && n < p->count);
        assert_memory_equal(p->hashes[n], want, sizeof(want));
    }
    assert_int_equal(p->count, n);
}

static void the_published_proofs_are_given_and_hold(void **state)
{
    (void)state;
    static uint8_t kept[32][32], leaf[8][32], root[9][32];
    static struct journal_proof p;
    struct journal_edge edge = {.size = 0};
    uint64_t n = 0;
    for (size_t i = 0; i < 8; i++) {
        uint8_t entry[16];
        struct b_wr w = b_wr_from(entry, sizeof(entry));
        assert_true(b_unhex(&w, leaves[i]));
        journal_leaf_hash(entry, w.len, leaf[i]);
        n += journal_edge_append(&edge, leaf[i], kept + n);
        journal_edge_root(&edge, root[i + 1]);
    }
    memcpy(stored, kept, sizeof(kept));
    const struct journal_reader r = {get, &n};
    for (size_t i = 0; i < B_COUNT(paths); i++) {
        assert_int_equal(journal_prove_inclusion(paths[i].index, paths[i].size, r, &p, NULL), B_OK);
        assert_path(&p, paths[i].path);
        assert_true(journal_check_inclusion(&p, paths[i].index, paths[i].size, leaf[paths[i].index],
                                            root[paths[i].size]));
    }
    for (size_t i = 0; i < B_COUNT(growths); i++) {
        assert_int_equal(journal_prove_consistency(growths[i].old, growths[i].size, r, &p, NULL),
                         B_OK);
        assert_path(&p, growths[i].path);
        assert_true(journal_check_consistency(&p, growths[i].old, growths[i].size,
                                              root[growths[i].old], root[growths[i].size]));
    }
}

static uint64_t count;
static const struct journal_reader reader = {get, &count};

static int build(void **state)
{
    (void)state;
    struct journal_edge edge = {.size = 0};
    static uint8_t out[64][32];
    count = 0;
    journal_edge_root(&edge, root_of[0]);
    for (uint64_t i = 0; i < SIZE_MAX_TRIED; i++) {
        assert_int_equal(journal_hash_count(i), count);
        assert_int_equal(journal_hash_id(0, i), count);
        journal_leaf_hash(&i, sizeof(i), leaf_hashes[i]);
        size_t n = journal_edge_append(&edge, leaf_hashes[i], out);
        memcpy(stored[count], out, 32 * n);
        count += n;
        journal_edge_root(&edge, root_of[i + 1]);
    }
    return 0;
}

static void an_edge_loaded_from_stored_hashes_is_the_one_that_grew(void **state)
{
    (void)state;
    for (uint64_t size = 0; size <= SIZE_MAX_TRIED; size++) {
        struct journal_edge edge;
        uint8_t root[32];
        assert_int_equal(journal_edge_load(&edge, size, reader, NULL), B_OK);
        journal_edge_root(&edge, root);
        assert_memory_equal(root, root_of[size], 32);
    }
}

static void every_inclusion_proof_holds_for_its_entry_and_no_other(void **state)
{
    (void)state;
    static struct journal_proof p;
    for (uint64_t size = 1; size <= SIZE_MAX_TRIED; size++) {
        for (uint64_t i = 0; i < size; i++) {
            assert_int_equal(journal_prove_inclusion(i, size, reader, &p, NULL), B_OK);
            assert_true(journal_check_inclusion(&p, i, size, leaf_hashes[i], root_of[size]));
            assert_false(journal_check_inclusion(&p, i, size, leaf_hashes[(i + 1) % SIZE_MAX_TRIED],
                                                 root_of[size]));
            assert_false(journal_check_inclusion(&p, i, size, leaf_hashes[i], root_of[size - 1]));
            if (p.count > 0) {
                p.hashes[p.count - 1][3] ^= 1;
                assert_false(journal_check_inclusion(&p, i, size, leaf_hashes[i], root_of[size]));
                p.hashes[p.count - 1][3] ^= 1;
                p.count--;
                assert_false(journal_check_inclusion(&p, i, size, leaf_hashes[i], root_of[size]));
            }
        }
        assert_int_equal(journal_prove_inclusion(size, size, reader, &p, NULL), B_E_BAD_INPUT);
    }
}

static void every_consistency_proof_holds_for_its_sizes_and_no_others(void **state)
{
    (void)state;
    static struct journal_proof p;
    for (uint64_t size = 1; size <= SIZE_MAX_TRIED; size++) {
        for (uint64_t old = 1; old <= size; old++) {
            assert_int_equal(journal_prove_consistency(old, size, reader, &p, NULL), B_OK);
            assert_true(journal_check_consistency(&p, old, size, root_of[old], root_of[size]));
            assert_false(journal_check_consistency(&p, old, size, root_of[old - 1], root_of[size]));
            assert_false(journal_check_consistency(&p, old, size, root_of[old], root_of[size - 1]));
            if (p.count == 0)
                continue;
            for (size_t i = 0; i < p.count; i++) {
                p.hashes[i][i % 32] ^= 1;
                assert_false(journal_check_consistency(&p, old, size, root_of[old], root_of[size]));
                p.hashes[i][i % 32] ^= 1;
            }
            p.count++;
            assert_false(journal_check_consistency(&p, old, size, root_of[old], root_of[size]));
            p.count -= 2;
            assert_false(journal_check_consistency(&p, old, size, root_of[old], root_of[size]));
        }
        assert_int_equal(journal_prove_consistency(0, size, reader, &p, NULL), B_E_BAD_INPUT);
        assert_int_equal(journal_prove_consistency(size + 1, size, reader, &p, NULL),
                         B_E_BAD_INPUT);
    }
}

/* A proof names no sizes: the same hashes must not do for others. */
static void a_proof_holds_for_no_other_sizes(void **state)
{
    (void)state;
    enum { LAST = 40 };
    static struct journal_proof p;
    for (uint64_t size = 1; size <= LAST; size++) {
        for (uint64_t old = 1; old < size; old++) {
            assert_int_equal(journal_prove_consistency(old, size, reader, &p, NULL), B_OK);
            for (uint64_t other = 1; other <= LAST; other++) {
                assert_int_equal(
                    journal_check_consistency(&p, other, size, root_of[other], root_of[size]),
                    other == old);
                assert_int_equal(
                    journal_check_consistency(&p, old, other, root_of[old], root_of[other]),
                    other == size);
            }
        }
    }
}

/* Under the same root, a proof does not pass for one between sizes that need another number of
 * hashes: what a checkpoint says of its size is looked at. */
static void a_proof_of_another_length_does_not_hold(void **state)
{
    (void)state;
    enum { LAST = 40 };
    static struct journal_proof p, q;
    for (uint64_t size = 1; size <= LAST; size++) {
        for (uint64_t i = 0; i < size; i++) {
            for (uint64_t other = i + 1; other <= LAST; other++) {
                assert_int_equal(journal_prove_inclusion(i, size, reader, &p, NULL), B_OK);
                assert_int_equal(journal_prove_inclusion(i, other, reader, &q, NULL), B_OK);
                if (p.count != q.count)
                    assert_false(
                        journal_check_inclusion(&p, i, other, leaf_hashes[i], root_of[size]));
                assert_int_equal(journal_prove_consistency(i + 1, size, reader, &p, NULL), B_OK);
                assert_int_equal(journal_prove_consistency(i + 1, other, reader, &q, NULL), B_OK);
                if (p.count != q.count)
                    assert_false(
                        journal_check_consistency(&p, i + 1, other, root_of[i + 1], root_of[size]));
            }
        }
    }
}

static enum b_code get_few(void *ctx, uint64_t id, uint8_t out[static 32], struct b_err *err)
{
    int *left = ctx;
    (void)id;
    memset(out, 0, 32);
    return (*left)-- > 0 ? B_OK : b_err_set(err, B_E_STORE_FAILED, 0, "reading a hash");
}

static void a_hash_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    static struct journal_proof p;
    static struct journal_edge edge;
    struct b_err err = {.code = B_OK};
    for (int reads = 0; reads < 3; reads++) {
        int left = reads;
        const struct journal_reader broken = {get_few, &left};
        assert_int_equal(journal_prove_inclusion(5, 100, broken, &p, &err), B_E_STORE_FAILED);
        left = reads;
        assert_int_equal(journal_prove_consistency(37, 100, broken, &p, &err), B_E_STORE_FAILED);
        left = reads;
        assert_int_equal(journal_edge_load(&edge, 15, broken, &err), B_E_STORE_FAILED);
        assert_string_equal(err.msg, "reading a hash");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_appended_tree_has_the_published_roots),
        cmocka_unit_test(an_edge_loaded_from_stored_hashes_is_the_one_that_grew),
        cmocka_unit_test(every_inclusion_proof_holds_for_its_entry_and_no_other),
        cmocka_unit_test(every_consistency_proof_holds_for_its_sizes_and_no_others),
        cmocka_unit_test(a_proof_holds_for_no_other_sizes),
        cmocka_unit_test(a_proof_of_another_length_does_not_hold),
        cmocka_unit_test(a_hash_that_cannot_be_read_is_told),
        cmocka_unit_test(the_published_proofs_are_given_and_hold),
    };
    return cmocka_run_group_tests(tests, build, NULL);
}
