/* Tiles: the numbers and names that C2SP tlog-tiles gives as examples, and that every hash of the
 * tree can be had from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "log.h"

static struct log one;

static void the_published_tree_has_the_published_tiles(void **state)
{
    (void)state;
    enum { SIZE = 70000 };
    assert_int_equal(journal_tile_count(0, SIZE), 274);
    assert_int_equal(journal_tile_at(0, 272, SIZE).width, 256);
    assert_int_equal(journal_tile_at(0, 273, SIZE).width, 112);
    assert_int_equal(journal_tile_count(1, SIZE), 2);
    assert_int_equal(journal_tile_at(1, 0, SIZE).width, 256);
    assert_int_equal(journal_tile_at(1, 1, SIZE).width, 17);
    assert_int_equal(journal_tile_count(2, SIZE), 1);
    assert_int_equal(journal_tile_at(2, 0, SIZE).width, 1);
    assert_int_equal(journal_tile_count(3, SIZE), 0);
    assert_int_equal(journal_tile_count(0, 256), 1);
    assert_int_equal(journal_tile_at(0, 0, 256).width, 256);
    assert_int_equal(journal_tile_count(1, 256), 1);
    assert_int_equal(journal_tile_at(1, 0, 256).width, 1);
    for (unsigned level = 0; level < JOURNAL_TILE_LEVELS; level++)
        assert_int_equal(journal_tile_count(level, 0), 0);
}

static void a_path_has_groups_of_three_digits(void **state)
{
    (void)state;
    static const struct {
        struct journal_tile tile;
        const char *path;
    } rows[] = {
        {{.index = 1234067, .width = 256}, "tile/0/x001/x234/067"},
        {{.index = 0, .width = 256}, "tile/0/000"},
        {{.index = 999, .width = 1}, "tile/0/999.p/1"},
        {{.index = 1000, .width = 255, .level = 1}, "tile/1/x001/000.p/255"},
        {{.index = 1000000, .width = 256, .level = 7}, "tile/7/x001/x000/000"},
        {{.index = 273, .width = 112, .is_entries = true}, "tile/entries/273.p/112"},
        {{.index = UINT64_MAX / 256, .width = 255, .is_entries = true},
         "tile/entries/x072/x057/x594/x037/x927/935.p/255"},
    };
    char path[JOURNAL_TILE_PATH_MAX];
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        journal_tile_path(&rows[i].tile, path);
        assert_string_equal(path, rows[i].path);
    }
}

/* "MTH(D[(n*256+i)*256**l : (n*256+i+1)*256**l])", and a tile's own hashes make the subtree. */
static void tiles_hold_the_hashes_that_the_format_names(void **state)
{
    (void)state;
    static uint8_t tile[JOURNAL_TILE_WIDTH][JOURNAL_HASH];
    uint8_t leaf[JOURNAL_HASH];
    for (uint64_t size = 1; size <= LOG_MAX; size++) {
        uint64_t index = 0;
        for (uint64_t at = 0; at < journal_tile_count(0, size); at++) {
            struct journal_tile t = journal_tile_at(0, at, size);
            assert_int_equal(journal_tile_read(&t, log_reader(&one), tile, NULL), B_OK);
            for (unsigned i = 0; i < t.width; i++, index++) {
                char entry[32];
                size_t n = log_entry(index, ' ', entry);
                journal_leaf_hash(entry, n, leaf);
                assert_memory_equal(tile[i], leaf, sizeof(leaf));
            }
        }
        assert_int_equal(index, size);
    }
    struct journal_tile upper = journal_tile_at(1, 0, LOG_MAX);
    assert_int_equal(upper.width, 1);
    assert_int_equal(journal_tile_read(&upper, log_reader(&one), tile, NULL), B_OK);
    assert_memory_equal(tile[0], one.roots[256], JOURNAL_HASH);
}

static void a_bundle_holds_each_entry_after_its_length(void **state)
{
    (void)state;
    static uint8_t bytes[JOURNAL_ENTRY_MAX + 8], entry[JOURNAL_ENTRY_MAX + 1];
    static const uint8_t want[] = {0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'x'};
    struct b_wr w = b_wr_from(bytes, sizeof(want));
    assert_true(journal_bundle_add(&w, "abc", 3));
    assert_true(journal_bundle_add(&w, "", 0));
    assert_true(journal_bundle_add(&w, "x", 1));
    assert_int_equal(w.len, sizeof(want));
    assert_memory_equal(bytes, want, sizeof(want));
    assert_false(journal_bundle_add(&w, "", 0));
    w = b_wr_from(bytes, sizeof(bytes));
    assert_false(journal_bundle_add(&w, entry, JOURNAL_ENTRY_MAX + 1));
    assert_true(journal_bundle_add(&w, entry, JOURNAL_ENTRY_MAX));
    assert_int_equal(bytes[0], 0xFF);
    assert_int_equal(bytes[1], 0xFF);
}

static int build(void **state)
{
    (void)state;
    log_build(&one, LOG_MAX, LOG_MAX, ' ');
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_tree_has_the_published_tiles),
        cmocka_unit_test(a_path_has_groups_of_three_digits),
        cmocka_unit_test(tiles_hold_the_hashes_that_the_format_names),
        cmocka_unit_test(a_bundle_holds_each_entry_after_its_length),
    };
    return cmocka_run_group_tests(tests, build, NULL);
}
