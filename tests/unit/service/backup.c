/* Copies without an establishment: manifests, lists, thinning. tests/e2e/backup.sh has the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "service/pages.h"

enum { DAY = 86400, MAY_31 = 1780185600 }; /* 2026-05-31T00:00:00Z, by date(1) */

static struct b_err err;
static char dir[64];
static char text[SERVICE_MANIFEST_MAX];
static struct service_manifest m, again;
static struct service_copies all;

#define MUST(call)                                              \
    do {                                                        \
        if ((call) != B_OK)                                     \
            fail_msg("%s: %s", b_code_name(err.code), err.msg); \
    } while (0)

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/tessere-copies-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int drop_dir(void **state)
{
    (void)state;
    service_remove_tree(dir);
    return 0;
}

/* A copy of this moment; its content is its time. */
static void put(const char *where, int64_t at)
{
    char name[SERVICE_COPY_NAME], path[256];
    m = (struct service_manifest){
        .finess = "750712184", .at = at, .size = sizeof(at), .schema = 3, .entries = 7};
    m.recipient_count = 1;
    (void)snprintf(m.recipients[0].name, sizeof(m.recipients[0].name), "Alice");
    m.count = 2;
    m.members[0] = (struct service_member){.name = "pki/ca.pem", .size = 3, .sha256 = {1}};
    m.members[1] = (struct service_member){.name = "store.db", .size = 4096, .sha256 = {2}};
    crypto_sha256(&at, sizeof(at), m.sha256);
    service_manifest_name(&m, name);
    MUST(service_manifest_write(&m, text, &err));
    (void)snprintf(path, sizeof(path), "%s/%s.backup", where, name);
    MUST(b_file_replace(path, &at, sizeof(at), 0600, &err));
    (void)snprintf(path, sizeof(path), "%s/%s.manifest", where, name);
    MUST(b_file_replace(path, text, strlen(text), 0600, &err));
}

/* --- the manifest ------------------------------------------------------------------------------
 */

static void what_is_written_is_read(void **state)
{
    (void)state;
    put(dir, MAY_31);
    MUST(service_manifest_read(text, strlen(text), &again, &err));
    assert_memory_equal(&m, &again, sizeof(m));
}

/* Puts `to` in the place of the first `from`. */
static void replace(const char *from, const char *to, char *out, size_t cap)
{
    const char *at = strstr(text, from);
    struct b_wr w = b_wr_from(out, cap);
    assert_non_null(at);
    b_wr_bytes(&w, text, (size_t)(at - text));
    b_wr_bytes(&w, to, strlen(to));
    b_wr_bytes(&w, at + strlen(from), strlen(at + strlen(from)) + 1);
    assert_true(b_wr_ok(&w));
}

static void a_manifest_that_is_not_right_is_named(void **state)
{
    static const struct {
        const char *from, *to, *named;
    } cases[] = {
        {"tessere-copy/v1", "tessere-copy/v2", "format"},
        {"\"750712184\"", "\"../../etc\"", "establishment"},
        {"\"at\":1780185600", "\"at\":-1", "at"},
        {"\"at\":1780185600", "\"at\":999999999999999", "at"},
        {"\"size\":8", "\"size\":\"8\"", "size"},
        {"\"schema\":3", "\"schema\":3,\"base\":7", "base"},
        {"\"schema\":3", "\"schema\":3,\"base\":{\"name\":\"../x\"}", "base"},
        {"\"schema\":3", "\"schema\":-3", "schema"},
        {"\"masters\":false", "\"masters\":0", "masters"},
        {"\"entries\":7", "\"entries\":1.5", "journal"},
        {"\"name\":\"Alice\"", "\"name\":7", "recipients"},
        {"\"certificate\":\"00", "\"certificate\":\"0", "recipients"},
        {"pki/ca.pem", "../ca.pem", "members"},
        {"pki/ca.pem", "/etc/shadow", "members"},
        {"pki/ca.pem", "pki//ca.pem", "members"},
        {"pki/ca.pem", "pki/./ca.pem", "members"},
        {"pki/ca.pem", "store.db", "members"},
        {"\"size\":4096", "\"size\":-1", "members"},
    };
    static char bad[SERVICE_MANIFEST_MAX];
    char quoted[32];
    (void)state;
    put(dir, MAY_31);
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        replace(cases[i].from, cases[i].to, bad, sizeof(bad));
        assert_int_equal(service_manifest_read(bad, strlen(bad), &again, &err), B_E_BACKUP_ALTERED);
        (void)snprintf(quoted, sizeof(quoted), "\"%s\"", cases[i].named);
        assert_non_null(strstr(err.msg, quoted));
    }
}

static void a_manifest_that_was_cut_is_refused_wherever(void **state)
{
    (void)state;
    put(dir, MAY_31);
    for (size_t n = 0; n + 1 < strlen(text); n++)
        assert_int_equal(service_manifest_read(text, n, &again, &err), B_E_BACKUP_ALTERED);
}

static void a_member_is_a_path_downwards(void **state)
{
    static const char *const good[] = {"a", "store.db", "pki/ca.pem", "...", "a/..b", "é/ê"};
    static const char *const bad[] = {"",   "/",    "/a",   "a/",    "a//b", ".",
                                      "..", "a/..", "../a", "a/./b", "a\nb", "a\177"};
    char longest[SERVICE_MEMBER_NAME + 1];
    (void)state;
    for (size_t i = 0; i < B_COUNT(good); i++)
        assert_true(service_member_is_name(good[i]));
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_false(service_member_is_name(bad[i]));
    memset(longest, 'a', SERVICE_MEMBER_NAME);
    longest[SERVICE_MEMBER_NAME] = '\0';
    assert_false(service_member_is_name(longest));
    longest[SERVICE_MEMBER_NAME - 1] = '\0';
    assert_true(service_member_is_name(longest));
}

/* --- files -------------------------------------------------------------------------------------
 */

static void a_name_tells_the_time_and_nothing_else_does(void **state)
{
    (void)state;
    assert_int_equal(service_copy_time("tessere-750712184-20260531T000000Z"), MAY_31);
    assert_int_equal(service_copy_time("tessere-750712184-20260531T000000"), 0);
    assert_int_equal(service_copy_time("tessere-750712184-20260531T0000000"), 0);
    assert_int_equal(service_copy_time("tessere-750712184-2026O531T000000Z"), 0);
    assert_int_equal(service_copy_time("another-750712184-20260531T000000Z"), 0);
    assert_int_equal(service_copy_time("tessere-../../../-20260531T000000Z"), 0);
    assert_int_equal(service_copy_time(""), 0);
}

static void a_copy_that_is_not_whole_is_told_from_one_that_was_changed(void **state)
{
    const struct service_copy_wanted any = {.finess = NULL};
    const struct service_copy_wanted other = {.finess = "750000001"};
    char path[256];
    int64_t wrong = MAY_31 + 1;
    (void)state;
    put(dir, MAY_31);
    (void)snprintf(path, sizeof(path), "%s/tessere-750712184-20260531T000000Z.backup", dir);
    MUST(service_copy_check(path, &any, &again, &err));
    assert_int_equal(service_copy_check(path, &other, &again, &err), B_E_BACKUP_FOREIGN);
    MUST(b_file_replace(path, &wrong, sizeof(wrong), 0600, &err));
    assert_int_equal(service_copy_check(path, &any, &again, &err), B_E_BACKUP_ALTERED);
    for (size_t n = 0; n < sizeof(wrong); n++) {
        MUST(b_file_replace(path, &wrong, n, 0600, &err));
        assert_int_equal(service_copy_check(path, &any, &again, &err), B_E_BACKUP_TRUNCATED);
    }
}

/* --- many --------------------------------------------------------------------------------------
 */

static void the_newest_stay_and_one_a_month_for_a_year(void **state)
{
    static const char *const left[] = {"20250630", "20250731", "20250831", "20250930", "20251031",
                                       "20251130", "20251231", "20260131", "20260228", "20260331",
                                       "20260430", "20260529", "20260530", "20260531"};
    size_t removed = 0;
    (void)state;
    for (int64_t day = 0; day < 500; day++)
        put(dir, MAY_31 - day * DAY);
    MUST(service_copies_thin(dir, "750712184", 3, MAY_31, &removed, &err));
    MUST(service_copies_list(dir, "750712184", &all, &err));
    assert_int_equal(removed, 500 - all.count);
    assert_int_equal(all.count, B_COUNT(left));
    for (size_t i = 0; i < all.count; i++)
        assert_memory_equal(all.names[i] + 18, left[i], 8);
    MUST(service_copies_list(dir, "750000001", &all, &err));
    assert_int_equal(all.count, 0);
}

/* A clock that was a year ahead for some nights, and is right again. */
static void copies_of_the_future_keep_out_none_of_today(void **state)
{
    char path[256];
    size_t removed = 0;
    (void)state;
    for (int64_t day = 0; day < 5; day++) {
        put(dir, MAY_31 - day * DAY);
        put(dir, MAY_31 + (300 + day) * DAY);
    }
    MUST(service_copies_thin(dir, "750712184", 3, MAY_31, &removed, &err));
    assert_int_equal(removed, 2);
    (void)snprintf(path, sizeof(path), "%s/tessere-750712184-20260531T000000Z.backup", dir);
    assert_int_equal(access(path, F_OK), 0);
}

/* A copy adds to an older one. */
static void a_thinning_that_is_cut_has_begun_with_the_newer_ones(void **state)
{
    char path[256];
    size_t removed = 0;
    (void)state;
    for (int64_t day = 0; day < 5; day++)
        put(dir, MAY_31 - day * DAY);
    (void)snprintf(path, sizeof(path), "%s/tessere-750712184-20260528T000000Z.backup", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* it cannot be removed */
    assert_int_equal(service_copies_thin(dir, "750712184", 1, MAY_31, &removed, &err), B_E_SYSTEM);
    assert_int_equal(removed, 2);
    assert_int_equal(rmdir(path), 0);
}

static void a_sealed_file_without_its_manifest_goes(void **state)
{
    char path[2][256];
    size_t removed = 0;
    (void)state;
    put(dir, MAY_31);
    (void)snprintf(path[0], sizeof(path[0]), "%s/tessere-750712184-20260530T000000Z.backup", dir);
    (void)snprintf(path[1], sizeof(path[1]), "%s/tessere-750000001-20260530T000000Z.backup", dir);
    for (size_t i = 0; i < 2; i++)
        MUST(b_file_replace(path[i], "cut", 3, 0600, &err));
    MUST(service_copies_thin(dir, "750712184", 3, MAY_31, &removed, &err));
    assert_int_equal(access(path[0], F_OK), -1);
    assert_int_equal(access(path[1], F_OK), 0); /* another establishment's */
    MUST(service_copies_list(dir, "750712184", &all, &err));
    assert_int_equal(all.count, 1);
}

static void none_goes_while_the_newest_is_not_whole(void **state)
{
    char path[256];
    size_t removed = 0;
    (void)state;
    for (int64_t day = 0; day < 5; day++)
        put(dir, MAY_31 - day * DAY);
    (void)snprintf(path, sizeof(path), "%s/tessere-750712184-20260531T000000Z.backup", dir);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(service_copies_thin(dir, "750712184", 1, MAY_31, &removed, &err),
                     B_E_BACKUP_TRUNCATED);
    MUST(service_copies_list(dir, "750712184", &all, &err));
    assert_int_equal(all.count, 5);
    assert_int_equal(removed, 0);
}

static void a_second_site_has_what_the_first_has(void **state)
{
    const struct service_copy_wanted any = {.finess = "750712184"};
    char to[128], path[256];
    (void)state;
    (void)snprintf(to, sizeof(to), "%s/second", dir);
    assert_int_equal(mkdir(to, 0700), 0);
    put(dir, MAY_31);
    MUST(service_copy_duplicate(dir, "tessere-750712184-20260531T000000Z", to, &err));
    (void)snprintf(path, sizeof(path), "%s/tessere-750712184-20260531T000000Z.manifest", to);
    MUST(service_copy_check(path, &any, &again, &err));
}

/* --- pages -------------------------------------------------------------------------------------
 */

static void write_at(const char *name, const void *p, size_t n, char path[static 256])
{
    (void)snprintf(path, 256, "%s/%s", dir, name);
    MUST(b_file_replace(path, p, n, 0600, &err));
}

static void what_has_changed_makes_the_old_pages_the_new_ones(void **state)
{
    enum { OLD = 5, NEW = 7 };
    static uint8_t old[OLD * PAGES_SIZE], new[NEW * PAGES_SIZE];
    struct pages_base base = {.name = "tessere-750712184-20260531T000000Z", .sha256 = {7}}, found;
    char store[256], changed[256], delta[256];
    struct b_rd got;
    (void)state;
    crypto_random(old, sizeof(old));
    memcpy(new, old, sizeof(old));
    new[2 * PAGES_SIZE] ^= 1;
    write_at("old", old, sizeof(old), store);
    write_at("new", new, sizeof(new), changed);
    (void)snprintf(delta, sizeof(delta), "%s/delta", dir);
    assert_false(pages_base(dir, &found));
    MUST(pages_keep(dir, store, &base, &err));
    assert_true(pages_base(dir, &found));
    assert_memory_equal(&found, &base, sizeof(base));
    MUST(pages_diff(dir, changed, delta, &err));
    MUST(b_file_map(delta, &got, &err));
    assert_int_equal(got.left, 3 * (4 + PAGES_SIZE)); /* one changed, two new */
    b_file_unmap(&got);
    MUST(pages_apply(store, delta, sizeof(new), &err));
    MUST(b_file_map(store, &got, &err));
    assert_int_equal(got.left, sizeof(new));
    assert_memory_equal(got.p, new, sizeof(new));
    b_file_unmap(&got);
}

static void a_store_that_shrank_is_cut(void **state)
{
    static uint8_t pages[3 * PAGES_SIZE];
    char store[256], delta[256];
    struct stat st;
    (void)state;
    write_at("old", pages, sizeof(pages), store);
    write_at("delta", pages, 0, delta);
    MUST(pages_apply(store, delta, PAGES_SIZE, &err));
    assert_int_equal(stat(store, &st), 0);
    assert_int_equal(st.st_size, PAGES_SIZE);
}

static void pages_that_do_not_fit_are_refused(void **state)
{
    static uint8_t pages[PAGES_SIZE], page[4 + PAGES_SIZE + 1];
    char store[256], delta[256];
    (void)state;
    write_at("old", pages, sizeof(pages), store);
    for (size_t n = 1; n < 4 + PAGES_SIZE; n += 409) {
        write_at("delta", page, n, delta);
        assert_int_equal(pages_apply(store, delta, PAGES_SIZE, &err), B_E_BACKUP_ALTERED);
    }
    write_at("delta", page, sizeof(page), delta);
    assert_int_equal(pages_apply(store, delta, PAGES_SIZE, &err), B_E_BACKUP_ALTERED);
    for (size_t i = 0; i < 4; i++) { /* a page after the end */
        memset(page, 0, 4);
        page[i] = 1;
        write_at("delta", page, 4 + PAGES_SIZE, delta);
        assert_int_equal(pages_apply(store, delta, PAGES_SIZE, &err), B_E_BACKUP_ALTERED);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)
    const struct CMUnitTest tests[] = {
        T(what_is_written_is_read),
        T(a_manifest_that_is_not_right_is_named),
        T(a_manifest_that_was_cut_is_refused_wherever),
        T(a_member_is_a_path_downwards),
        T(a_name_tells_the_time_and_nothing_else_does),
        T(a_copy_that_is_not_whole_is_told_from_one_that_was_changed),
        T(the_newest_stay_and_one_a_month_for_a_year),
        T(copies_of_the_future_keep_out_none_of_today),
        T(a_thinning_that_is_cut_has_begun_with_the_newer_ones),
        T(a_sealed_file_without_its_manifest_goes),
        T(none_goes_while_the_newest_is_not_whole),
        T(what_has_changed_makes_the_old_pages_the_new_ones),
        T(a_store_that_shrank_is_cut),
        T(pages_that_do_not_fit_are_refused),
        T(a_second_site_has_what_the_first_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
