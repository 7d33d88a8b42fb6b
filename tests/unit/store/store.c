/* The store in a folder of its own: records come back, and each way it can fail has its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/driver.h"
#include "store/store.h"

static char dir[64], path[96];
static struct b_err err;

static int make_dir(void **state)
{
    (void)state;
    (void)strcpy(dir, "/tmp/tessere-store-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/store.db", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[96];
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static struct store *open_store(void)
{
    struct store *s = NULL;
    if (store_open(path, true, &s, &err) != B_OK)
        fail_msg("%s", err.msg);
    return s;
}

static struct store_badge badge(uint8_t n)
{
    struct store_badge b = {.uid = {4, 0, 0, 0, 0, 0, n}, .ev = 2, .created_at = 7};
    b.serial_len = 1;
    b.serial[0] = n;
    b.generation[KEY_ROLE_AUTH] = 3;
    (void)snprintf(b.holder_name, sizeof(b.holder_name), "Holder %u", n);
    (void)snprintf(b.holder_ref, sizeof(b.holder_ref), "%011u", n);
    return b;
}

static bool count_one(void *ctx, const struct store_badge *b)
{
    (void)b;
    ++*(unsigned *)ctx;
    return true;
}

static unsigned badges_in(struct store *s)
{
    unsigned n = 0;
    if (store_badge_each(s, 0, NULL, count_one, &n, &err) != B_OK)
        fail_msg("%s", err.msg);
    return n;
}

static void a_store_that_is_held_stays_while_others_write(void **state)
{
    (void)state;
    struct store *s = open_store(), *other = open_store();
    struct store_badge b = badge(1), c = badge(2);
    assert_int_equal(store_badge_put(other, &b, &err), B_OK);
    assert_int_equal(store_hold(s, &err), B_OK);
    assert_int_equal(badges_in(s), 1);
    assert_int_equal(store_badge_put(other, &c, &err), B_OK);
    assert_int_equal(badges_in(s), 1);
    store_rollback(s);
    assert_int_equal(badges_in(s), 2);
    store_free(&s);
    store_free(&other);
}

static void a_badge_comes_back_by_uid_serial_and_id(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_badge b = badge(1), got;
    assert_int_equal(store_badge_put(s, &b, &err), B_OK);
    assert_true(b.id > 0);
    store_free(&s);
    s = open_store();
    assert_int_equal(store_badge_by_uid(s, b.uid, &got, &err), B_OK);
    assert_memory_equal(&b, &got, sizeof(b));
    assert_int_equal(store_badge_by_serial(s, b.serial, 1, &got, &err), B_OK);
    assert_int_equal(got.id, b.id);
    b.state = STORE_BADGE_REVOKED;
    assert_int_equal(store_badge_put(s, &b, &err), B_OK);
    assert_int_equal(store_badge_by_id(s, b.id, &got, &err), B_OK);
    assert_int_equal(got.state, STORE_BADGE_REVOKED);
    assert_int_equal(store_badge_by_id(s, 99, &got, &err), B_E_NOT_FOUND);
    store_free(&s);
}

static void two_badges_cannot_have_one_uid(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_badge a = badge(1), b = badge(1);
    b.serial[0] = 9;
    assert_int_equal(store_badge_put(s, &a, &err), B_OK);
    assert_int_equal(store_badge_put(s, &b, &err), B_E_DUPLICATE);
    store_free(&s);
}

static void an_open_intent_stays_until_it_took_effect(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_intent i = {.uid = {4, 1}, .step = 2, .action = "change-key"}, got[4];
    struct store_intent j = i;
    size_t n = 0;
    assert_int_equal(store_intent_add(s, &i, &err), B_OK);
    assert_int_equal(store_intent_add(s, &j, &err), B_OK);
    store_free(&s);
    s = open_store();
    assert_int_equal(store_intent_open(s, i.uid, got, 4, &n, &err), B_OK);
    assert_int_equal(n, 2);
    assert_string_equal(got[0].action, "change-key");
    assert_int_equal(store_intent_effective(s, i.id, &err), B_OK);
    assert_int_equal(store_intent_open(s, i.uid, got, 4, &n, &err), B_OK);
    assert_int_equal(n, 1);
    assert_int_equal(got[0].id, j.id);
    assert_int_equal(store_intent_effective(s, j.id, &err), B_OK);
    assert_int_equal(store_intent_by_id(s, j.id, &got[0], &err), B_OK);
    assert_true(got[0].is_effective);
    assert_int_equal(store_intent_open(s, i.uid, got, 4, &n, &err), B_OK);
    assert_int_equal(n, 0);
    store_free(&s);
}

static void what_is_rolled_back_is_gone(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_badge b = badge(1), got;
    assert_int_equal(store_begin(s, &err), B_OK);
    assert_int_equal(store_badge_put(s, &b, &err), B_OK);
    store_rollback(s);
    assert_int_equal(store_badge_by_uid(s, b.uid, &got, &err), B_E_NOT_FOUND);
    store_free(&s);
}

static void a_store_of_a_newer_version_is_refused(void **state)
{
    (void)state;
    struct store *s = open_store();
    assert_int_equal(driver_exec(s->driver, "INSERT INTO schema VALUES (999)", &err), B_OK);
    store_free(&s);
    assert_int_equal(store_open(path, true, &s, &err), B_E_STORE_NEWER);
}

static void a_file_that_is_no_store_is_refused(void **state)
{
    (void)state;
    struct store *s = NULL;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 400; i++)
        (void)fputs("this is not a database\n", f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(store_open(path, false, &s, &err), B_E_STORE_CORRUPT);
}

static void a_store_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct store *s = NULL;
    assert_int_equal(store_open(path, false, &s, &err), B_E_STORE_OPEN);
    assert_non_null(strstr(err.msg, path));
}

static void a_store_that_another_writes_is_locked(void **state)
{
    (void)state;
    struct store *one = open_store(), *two = open_store();
    assert_int_equal(store_begin(one, &err), B_OK);
    assert_int_equal(store_begin(two, &err), B_E_STORE_LOCKED);
    store_rollback(one);
    store_free(&one);
    store_free(&two);
}

static void a_full_store_says_so_and_loses_nothing(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_badge b = badge(1), got;
    assert_int_equal(store_badge_put(s, &b, &err), B_OK);
    assert_int_equal(driver_exec(s->driver, "PRAGMA max_page_count=1", &err), B_OK);
    enum b_code r = B_OK;
    for (int i = 0; r == B_OK && i < 1000; i++) {
        static char body[256];
        memset(body, 'x', sizeof(body));
        r = store_entry_add(
            s, &(struct store_entry){.index = (uint64_t)i, .body = body, .body_len = sizeof(body)},
            &err);
    }
    assert_int_equal(r, B_E_STORE_FULL);
    assert_int_equal(store_badge_by_uid(s, b.uid, &got, &err), B_OK);
    store_free(&s);
}

/* Rights mean nothing to root: the store is opened by a child that is somebody else. */
static void a_store_without_the_right_to_write_is_read_only(void **state)
{
    (void)state;
    struct store *s = open_store();
    store_free(&s);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(dir, 0555), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            _exit(0);
        _exit((int)store_open(path, false, &s, &err));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), B_E_STORE_READ_ONLY);
}

static bool count(void *ctx, const struct store_entry *e)
{
    (void)e;
    ++*(int *)ctx;
    return true;
}

static void the_last_entries_of_a_badge_are_told(void **state)
{
    (void)state;
    struct store *s = open_store();
    int n = 0;
    for (int i = 0; i < 10; i++) {
        struct store_entry e = {
            .index = (uint64_t)i, .badge_id = i % 2 + 1, .body = "{}", .body_len = 2};
        assert_int_equal(store_entry_add(s, &e, &err), B_OK);
    }
    const struct store_entry_range range = {.badge_id = 1, .count = 3, .is_newest = true};
    assert_int_equal(store_entry_each(s, &range, count, &n, &err), B_OK);
    assert_int_equal(n, 3);
    store_free(&s);
}

static void the_establishment_is_one_and_the_last_one_put(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_establishment e = {.finess = "750000001", .name = "H\xC3\xB4pital d'Essai"}, got;
    assert_int_equal(store_establishment_get(s, &got, &err), B_E_NOT_FOUND);
    assert_int_equal(store_establishment_put(s, &e, &err), B_OK);
    e.system_len = 3;
    memcpy(e.system, "\x01\x00\x02", 3);
    assert_int_equal(store_establishment_put(s, &e, &err), B_OK);
    store_free(&s);
    s = open_store();
    assert_int_equal(store_establishment_get(s, &got, &err), B_OK);
    assert_string_equal(got.name, e.name);
    assert_int_equal(got.system_len, 3);
    assert_memory_equal(got.system, e.system, 3);
    store_free(&s);
}

static void generations_are_listed_by_role_and_number_with_their_last_state(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_generation g = {.generation = 2, .kcv_method = "cmac", .kcv = {1, 0, 3}}, got[4];
    size_t n = 0;
    assert_int_equal(store_generation_put(s, &g, &err), B_OK);
    g.generation = 1;
    assert_int_equal(store_generation_put(s, &g, &err), B_OK);
    g.state = STORE_GENERATION_RETIRED;
    assert_int_equal(store_generation_put(s, &g, &err), B_OK);
    assert_int_equal(store_generation_list(s, got, 4, &n, &err), B_OK);
    assert_int_equal(n, 2);
    assert_int_equal(got[0].generation, 1);
    assert_int_equal(got[0].state, STORE_GENERATION_RETIRED);
    assert_int_equal(got[1].generation, 2);
    assert_int_equal(got[1].state, STORE_GENERATION_PENDING);
    assert_memory_equal(got[1].kcv, g.kcv, sizeof(g.kcv));
    store_free(&s);
}

static void two_badges_cannot_have_one_serial_but_both_may_lack_a_uid(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_badge a = badge(1), b = badge(2), c = badge(3);
    memset(a.uid, 0, sizeof(a.uid));
    memset(b.uid, 0, sizeof(b.uid));
    assert_int_equal(store_badge_put(s, &a, &err), B_OK);
    assert_int_equal(store_badge_put(s, &b, &err), B_OK);
    c.serial[0] = 1;
    assert_int_equal(store_badge_put(s, &c, &err), B_E_DUPLICATE);
    assert_int_equal(c.id, 0);
    b.serial[0] = 1;
    assert_int_equal(store_badge_put(s, &b, &err), B_E_DUPLICATE);
    store_free(&s);
}

struct ids {
    int64_t id[8];
    size_t n, stop_at;
};

static bool keep_id(void *ctx, const struct store_badge *b)
{
    struct ids *ids = ctx;
    ids->id[ids->n++] = b->id;
    return ids->n != ids->stop_at;
}

static void badges_are_listed_after_an_id_and_by_part_of_a_holder(void **state)
{
    (void)state;
    struct store *s = open_store();
    for (uint8_t i = 1; i <= 4; i++) {
        struct store_badge b = badge(i);
        assert_int_equal(store_badge_put(s, &b, &err), B_OK);
    }
    struct ids all = {0}, two = {.stop_at = 2}, named = {0}, referred = {0}, odd = {0};
    assert_int_equal(store_badge_each(s, 1, NULL, keep_id, &all, &err), B_OK);
    assert_int_equal(all.n, 3);
    assert_int_equal(all.id[0], 2);
    assert_int_equal(all.id[2], 4);
    assert_int_equal(store_badge_each(s, 0, NULL, keep_id, &two, &err), B_OK);
    assert_int_equal(two.n, 2);
    assert_int_equal(store_badge_each(s, 0, "hOLDER 3", keep_id, &named, &err), B_OK);
    assert_int_equal(named.n, 1);
    assert_int_equal(named.id[0], 3);
    assert_int_equal(store_badge_each(s, 0, "00004", keep_id, &referred, &err), B_OK);
    assert_int_equal(referred.n, 1);
    assert_int_equal(store_badge_each(s, 0, "%' OR 1=1 --", keep_id, &odd, &err), B_OK);
    assert_int_equal(odd.n, 0);
    store_free(&s);
}

static void a_badge_in_no_state_that_exists_is_damage(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_badge b = badge(1), got;
    assert_int_equal(store_badge_put(s, &b, &err), B_OK);
    assert_int_equal(driver_exec(s->driver, "UPDATE badge SET state = 77", &err), B_OK);
    assert_int_equal(store_badge_by_id(s, b.id, &got, &err), B_E_STORE_CORRUPT);
    store_free(&s);
}

/* The process ends with no farewell, as kill -9 ends it: what was said done stays, the rest goes.
 */
static void what_was_committed_outlives_a_killed_process_and_nothing_else_does(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct store *child = NULL;
        struct store_badge done = badge(1), half = badge(2);
        bool ok = store_open(path, true, &child, &err) == B_OK &&
                  store_begin(child, &err) == B_OK && store_badge_put(child, &done, &err) == B_OK &&
                  store_commit(child, &err) == B_OK && store_begin(child, &err) == B_OK &&
                  store_badge_put(child, &half, &err) == B_OK;
        if (ok)
            (void)kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    struct store *s = open_store();
    struct store_badge got;
    assert_int_equal(store_badge_by_uid(s, badge(1).uid, &got, &err), B_OK);
    assert_int_equal(store_badge_by_uid(s, badge(2).uid, &got, &err), B_E_NOT_FOUND);
    store_free(&s);
}

static void opening_again_changes_no_schema(void **state)
{
    (void)state;
    struct store *s = open_store();
    int version = store_schema_version(s);
    assert_true(version >= 1);
    store_free(&s);
    s = open_store();
    assert_int_equal(store_schema_version(s), version);
    store_free(&s);
}

/* The first migration meets a table of its own name in the middle: what it made before is undone.
 */
static void a_migration_that_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    struct driver *d = NULL;
    struct store *s = NULL;
    assert_int_equal(driver_open(path, true, &d, &err), B_OK);
    assert_int_equal(driver_exec(d, "CREATE TABLE event (x)", &err), B_OK);
    driver_close(&d);
    assert_int_not_equal(store_open(path, true, &s, &err), B_OK);
    assert_null(s);
    assert_int_equal(driver_open(path, false, &d, &err), B_OK);
    struct statement *st = NULL;
    assert_int_equal(driver_prepare(d, "SELECT count(*) FROM sqlite_schema", &st, &err), B_OK);
    assert_int_equal(driver_step(st, &err), B_OK);
    assert_int_equal(driver_int(st, 0), 1);
    driver_finish(&st);
    driver_close(&d);
}

static void add_entry(struct store *s, int64_t badge_id, const char *body)
{
    static uint64_t index;
    const struct store_entry e = {
        .index = index++, .badge_id = badge_id, .body = body, .body_len = strlen(body)};
    assert_int_equal(store_entry_add(s, &e, &err), B_OK);
}

static int64_t station_of(struct store *s, uint8_t n)
{
    struct store_badge got;
    assert_int_equal(store_badge_by_uid(s, badge(n).uid, &got, &err), B_OK);
    return got.tapped_station;
}

static void a_store_of_before_learns_from_its_journal_where_badges_tapped(void **state)
{
    (void)state;
    static const char *const migrations[] = {
#define STORE_MIGRATION(number, sql) [number] = sql,
#include "store/migrations.def"
#undef STORE_MIGRATION
    };
    struct store *s = open_store();
    for (uint8_t n = 1; n <= 3; n++) {
        struct store_badge b = badge(n);
        b.tapped_at = n < 3 ? 9 : 0;
        assert_int_equal(store_badge_put(s, &b, &err), B_OK);
    }
    add_entry(s, 1, "{\"kind\":\"tap\",\"outcome\":\"ok\",\"station\":7}");
    add_entry(s, 1, "{\"kind\":\"tap\",\"outcome\":\"ok\",\"station\":8}");
    add_entry(s, 1, "{\"kind\":\"tap\",\"outcome\":\"pin-wrong\",\"station\":9}");
    add_entry(s, 1, "{\"kind\":\"rekey\",\"outcome\":\"ok\",\"station\":9}");
    add_entry(s, 1, "damaged");
    add_entry(s, 2, "{\"kind\":\"tap\",\"outcome\":\"ok\"}");
    add_entry(s, 3, "{\"kind\":\"tap\",\"outcome\":\"ok\",\"station\":7}");
    assert_int_equal(driver_exec(s->driver, "ALTER TABLE badge DROP COLUMN tapped_station", &err),
                     B_OK);
    assert_int_equal(driver_exec(s->driver, migrations[17], &err), B_OK);
    assert_int_equal(station_of(s, 1), 8);
    assert_int_equal(station_of(s, 2), 0); /* at a desk */
    assert_int_equal(station_of(s, 3), 0); /* its card was given to another person since */
    store_free(&s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_store_that_is_held_stays_while_others_write),
        T(a_badge_comes_back_by_uid_serial_and_id),
        T(two_badges_cannot_have_one_uid),
        T(an_open_intent_stays_until_it_took_effect),
        T(what_is_rolled_back_is_gone),
        T(a_store_of_a_newer_version_is_refused),
        T(a_file_that_is_no_store_is_refused),
        T(a_store_that_is_not_there_is_named),
        T(a_store_that_another_writes_is_locked),
        T(a_full_store_says_so_and_loses_nothing),
        T(a_store_without_the_right_to_write_is_read_only),
        T(the_last_entries_of_a_badge_are_told),
        T(the_establishment_is_one_and_the_last_one_put),
        T(generations_are_listed_by_role_and_number_with_their_last_state),
        T(two_badges_cannot_have_one_serial_but_both_may_lack_a_uid),
        T(badges_are_listed_after_an_id_and_by_part_of_a_holder),
        T(a_badge_in_no_state_that_exists_is_damage),
        T(what_was_committed_outlives_a_killed_process_and_nothing_else_does),
        T(opening_again_changes_no_schema),
        T(a_migration_that_fails_leaves_nothing_behind),
        T(a_store_of_before_learns_from_its_journal_where_badges_tapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
