/* What runs after a tap, with what, for how long; and what is not run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/hooks.h"

static char dir[] = "/tmp/tessere-hooks-XXXXXX";
static struct agent_hooks_config config = {.count = 1, .seconds = 1};
static struct agent_hooks *h;
static struct b_err err;
static char said[8192];
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct agent_outcome granted = {.code = B_OK,
                                             .holder_ref = "10001234567",
                                             .holder_name = "Anne",
                                             .assertion = "the.signed.token"};

static void say(const char *line)
{
    (void)pthread_mutex_lock(&said_lock);
    size_t n = strlen(said);
    size_t len = strlen(line);
    if (n + len + 1 < sizeof(said)) {
        memcpy(said + n, line, len + 1);
        said[n + len] = '\n';
        said[n + len + 1] = '\0';
    }
    (void)pthread_mutex_unlock(&said_lock);
}

static const char *path_of(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void put(const char *name, mode_t mode, const char *script)
{
    FILE *f = fopen(path_of(name), "we");
    assert_non_null(f);
    assert_true(fprintf(f, "#!/bin/sh\n%s\n", script) > 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static const char *get(const char *name)
{
    static char text[8192];
    FILE *f = fopen(path_of(name), "re");
    size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = '\0';
    if (f != NULL)
        (void)fclose(f);
    return text;
}

static int start(void **state)
{
    (void)state;
    char template[] = "/tmp/tessere-hooks-XXXXXX";
    memcpy(dir, template, sizeof(dir));
    said[0] = '\0';
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(config.directories[0], sizeof(config.directories[0]), "%s", dir);
    return agent_hooks_new(&config, say, &h, &err) == B_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char command[300];
    agent_hooks_free(&h);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

/* Until all that was asked has run. */
static void finish(void)
{
    agent_hooks_free(&h);
}

static void a_hook_gets_the_outcome_in_its_environment_and_the_assertion_as_input(void **state)
{
    (void)state;
    put("10-tell", 0755, "cd \"$(dirname \"$0\")\"; env | sort >seen; cat >input");
    assert_int_equal(setenv("SECRET_OF_THE_AGENT", "x", 1), 0);
    agent_hooks_run(h, "ward-1", "Reader 0", &granted);
    finish();
    const char *seen = get("seen");
    assert_non_null(strstr(seen, "TESSERE_OUTCOME=granted\n"));
    assert_non_null(strstr(seen, "TESSERE_CODE=ok\n"));
    assert_non_null(strstr(seen, "TESSERE_SUBJECT=10001234567\n"));
    assert_non_null(strstr(seen, "TESSERE_STATION=ward-1\n"));
    assert_non_null(strstr(seen, "TESSERE_READER=Reader 0\n"));
    assert_null(strstr(seen, "SECRET_OF_THE_AGENT"));
    assert_null(strstr(seen, "signed"));
    assert_string_equal(get("input"), "the.signed.token");
    assert_string_equal(said, "");
}

static void a_refusal_and_the_desks_work_are_told_apart(void **state)
{
    (void)state;
    put("tell", 0755, "echo $TESSERE_OUTCOME $TESSERE_CODE >>\"$(dirname \"$0\")/seen\"");
    static const struct agent_outcome refused = {.code = B_E_BADGE_REVOKED};
    static const struct agent_outcome desk = {.code = B_OK, .is_desk = true};
    agent_hooks_run(h, "w", "r", &refused);
    agent_hooks_run(h, "w", "r", &desk);
    finish();
    assert_string_equal(get("seen"), "refused badge-revoked\ndesk-done ok\n");
}

static void a_badge_that_is_lifted_is_told_to_those_who_want_it(void **state)
{
    (void)state;
    static struct agent_hooks_config wants;
    static const struct agent_outcome waited = {.code = B_OK, .is_waited_for = true};
    static const struct agent_outcome lifted = {.code = B_OK, .is_lifted = true};
    put("tell", 0755, "echo $TESSERE_OUTCOME $TESSERE_WAITED >>\"$(dirname \"$0\")/seen\"");
    wants = config;
    wants.tells_lifted = true;
    agent_hooks_run(h, "w", "r", &lifted);
    agent_hooks_set(h, &wants);
    agent_hooks_run(h, "w", "r", &waited);
    agent_hooks_run(h, "w", "r", &lifted);
    finish();
    assert_string_equal(get("seen"), "granted yes\nlifted no\n");
}

static void what_waits_for_a_tap_is_told_to_those_who_want_it_and_names_nobody(void **state)
{
    (void)state;
    static struct agent_hooks_config wants;
    put("tell", 0755,
        "echo "
        "\"$TESSERE_OUTCOME|$TESSERE_SUBJECT|$TESSERE_CHALLENGE|$TESSERE_PARTY|$TESSERE_TEXT\" "
        ">>\"$(dirname \"$0\")/seen\"");
    wants = config;
    wants.tells_challenges = true;
    agent_hooks_challenge(h, "w", "0", "p", "not wanted");
    agent_hooks_set(h, &wants);
    agent_hooks_challenge(h, "w", "4F1C", "prescriptions", "10 mg $(id)");
    finish();
    assert_string_equal(get("seen"), "challenge||4F1C|prescriptions|10 mg $(id)\n");
}

static void hooks_run_in_the_order_of_their_names_and_odd_names_never(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "a", "c.dpkg-old", "d~", ".e"};
    for (size_t i = 0; i < B_COUNT(names); i++)
        put(names[i], 0755, "basename \"$0\" >>\"$(dirname \"$0\")/seen\"");
    agent_hooks_run(h, "w", "r", &granted);
    finish();
    assert_string_equal(get("seen"), "a\nb\n");
    assert_string_equal(said, "");
}

static void a_hook_that_hangs_is_killed_with_what_it_started(void **state)
{
    (void)state;
    put("a-hangs", 0755, "sleep 60 & echo $! >\"$(dirname \"$0\")/pid\"; wait");
    put("b-next", 0755, ": >\"$(dirname \"$0\")/ran\"");
    time_t before = time(NULL);
    agent_hooks_run(h, "w", "r", &granted);
    finish();
    assert_true(time(NULL) - before < 5);
    assert_non_null(strstr(said, "a-hangs: killed after 1 seconds"));
    assert_int_equal(access(path_of("ran"), F_OK), 0);
    pid_t pid = (pid_t)atoi(get("pid"));
    assert_true(pid > 0);
    for (int i = 0; i < 100 && kill(pid, 0) == 0; i++)
        (void)usleep(10000);
    bool is_zombie_at_most = kill(pid, 0) != 0;
    if (!is_zombie_at_most) { /* nobody reaps orphans in some containers */
        char path[64];
        char stat_line[256] = "";
        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        FILE *f = fopen(path, "re");
        is_zombie_at_most = f == NULL || fgets(stat_line, sizeof(stat_line), f) == NULL ||
                            strstr(stat_line, ") Z ") != NULL;
        if (f != NULL)
            (void)fclose(f);
    }
    assert_true(is_zombie_at_most);
}

static void a_reader_never_waits_for_hooks(void **state)
{
    (void)state;
    struct timespec a, b;
    put("hangs", 0755, "sleep 60");
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < 100; i++)
        agent_hooks_run(h, "w", "r", &granted);
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 200);
    assert_non_null(strstr(said, "too slow"));
    assert_int_equal(unlink(path_of("hangs")), 0); /* those that wait find nothing */
}

static void what_others_may_write_is_refused_by_name(void **state)
{
    (void)state;
    const char *touch = ": >\"$(dirname \"$0\")/ran\"";
    put("all-write", 0757, touch);
    put("group-writes", 0775, touch);
    put("cannot-run", 0644, touch);
    assert_int_equal(symlink("/bin/true", path_of("elsewhere")), 0);
    assert_int_equal(mkdir(path_of("folder"), 0755), 0);
    agent_hooks_run(h, "w", "r", &granted);
    finish();
    assert_int_not_equal(access(path_of("ran"), F_OK), 0);
    assert_non_null(strstr(said, "/all-write is not run: others may write it"));
    assert_non_null(strstr(said, "/group-writes is not run: others may write it"));
    assert_non_null(strstr(said, "/cannot-run is not run: it cannot be executed"));
    assert_non_null(strstr(said, "/elsewhere is not run: it is no regular file"));
    assert_non_null(strstr(said, "/folder is not run: it is no regular file"));
}

static void a_file_of_another_user_is_refused(void **state)
{
    (void)state;
    struct stat s = {.st_mode = S_IFREG | 0755, .st_uid = 0};
    assert_null(agent_hook_fault(&s, false));
    s.st_uid = geteuid();
    assert_null(agent_hook_fault(&s, false));
    s.st_uid = geteuid() + 1;
    assert_non_null(agent_hook_fault(&s, false));
}

static void a_directory_that_others_may_write_runs_nothing(void **state)
{
    (void)state;
    put("a", 0755, ": >\"$(dirname \"$0\")/ran\"");
    assert_int_equal(chmod(dir, 0777), 0);
    agent_hooks_run(h, "w", "r", &granted);
    finish();
    assert_int_not_equal(access(path_of("ran"), F_OK), 0);
    assert_non_null(strstr(said, "are not run: others may write it"));
}

static void a_failure_is_told_and_a_missing_directory_is_none(void **state)
{
    (void)state;
    put("fails", 0755, "exit 3");
    agent_hooks_run(h, "w", "r", &granted);
    finish();
    assert_non_null(strstr(said, "/fails: ended with status 3"));
    static struct agent_hooks_config none;
    none = config;
    said[0] = '\0';
    (void)snprintf(none.directories[0], sizeof(none.directories[0]), "%s/none", dir);
    assert_int_equal(agent_hooks_new(&none, say, &h, &err), B_OK);
    agent_hooks_run(h, "w", "r", &granted);
    finish();
    assert_string_equal(said, "");
}

static void a_hook_that_reads_nothing_and_one_that_inherits_nothing(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    put("a", 0755, "exec ls /proc/self/fd >\"$(dirname \"$0\")/seen\"");
    agent_hooks_run(h, "w", "r", &granted);
    finish();
    assert_string_equal(get("seen"), "0\n1\n2\n3\n"); /* 3: of ls */
    (void)close(fd);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(a_hook_gets_the_outcome_in_its_environment_and_the_assertion_as_input),
        EACH(a_refusal_and_the_desks_work_are_told_apart),
        EACH(a_badge_that_is_lifted_is_told_to_those_who_want_it),
        EACH(what_waits_for_a_tap_is_told_to_those_who_want_it_and_names_nobody),
        EACH(hooks_run_in_the_order_of_their_names_and_odd_names_never),
        EACH(a_hook_that_hangs_is_killed_with_what_it_started),
        EACH(a_reader_never_waits_for_hooks),
        EACH(what_others_may_write_is_refused_by_name),
        EACH(a_file_of_another_user_is_refused),
        EACH(a_directory_that_others_may_write_runs_nothing),
        EACH(a_failure_is_told_and_a_missing_directory_is_none),
        EACH(a_hook_that_reads_nothing_and_one_that_inherits_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
