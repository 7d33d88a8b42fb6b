/* Vaults that a service starts: to whoever asks they are as those that are its children. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "place.h"

enum { VAULTS_MAX = 8 };

static char sock[128];
static int service = -1;

static void write_config(const char *token)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/tessere.yaml", place_dir);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fprintf(f, "finess: 750712184\ntoken: %s\nsofthsm-conf: %s\npin-file: %s\n", token,
                        place_conf, place_pin) > 0);
    assert_int_equal(fclose(f), 0);
}

static int start_service(void **state)
{
    struct stat st;
    (void)state;
    write_config(place_mock);
    (void)snprintf(sock, sizeof(sock), "%s/vault.sock", place_dir);
    (void)unlink(sock);
    service = fork();
    if (service == 0) {
        (void)execl(getenv("TESSERE_STARTER"), "tessere-starter", "--home", place_dir, "--socket",
                    sock, NULL);
        _exit(127);
    }
    for (int i = 0; i < 100 && stat(sock, &st) != 0; i++)
        (void)usleep(50000);
    return stat(sock, &st);
}

static int stop_service(void **state)
{
    (void)state;
    place_fault(NULL);
    assert_int_equal(kill(service, SIGTERM), 0);
    return waitpid(service, NULL, 0) == service ? 0 : -1;
}

static struct vault_config served_config(void)
{
    return (struct vault_config){
        .service = sock, .establishment = "750712184", .pin_fd = -1, .workers = 3};
}

static int the_vault(void)
{
    return place_child(service, "tessere-vault");
}

static bool ends(int pid)
{
    for (int i = 0; i < 200 && kill(pid, 0) == 0; i++)
        (void)usleep(50000);
    return kill(pid, 0) != 0;
}

static void a_served_vault_works_and_ends_with_its_client(void **state)
{
    (void)state;
    struct vault_config config = served_config();
    struct vault_token t;
    struct vault *v = place_spawn(&config);
    int pid = the_vault();
    assert_int_equal(vault_pid(v), -1);
    assert_true(pid > 0);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    vault_look(v);
    assert_false(vault_is_gone(v));
    vault_free(&v);
    assert_true(ends(pid));
}

static void whoever_names_the_token_is_refused(void **state)
{
    (void)state;
    struct b_err err = {0};
    struct vault *v = NULL;
    struct vault_config all[] = {served_config(), served_config(), served_config(),
                                 served_config()};
    all[0].token_uri = place_uri;
    all[1].pin_file = place_pin;
    all[2].may_use_last_try = true;
    all[3].establishment = "750712185";
    for (size_t i = 0; i < B_COUNT(all); i++) {
        assert_int_equal(vault_spawn(&all[i], &v, &err), B_E_REFUSED);
        assert_null(v);
    }
    assert_int_equal(the_vault(), -1);
}

static void how_a_served_vault_ended_is_told(void **state)
{
    (void)state;
    struct vault_config config = served_config();
    struct vault_token t;
    struct b_err err = {0};
    struct vault *v = place_spawn(&config);
    assert_int_equal(kill(the_vault(), SIGKILL), 0);
    assert_int_equal(vault_token(v, &t, &err), B_E_VAULT_GONE);
    assert_int_equal(err.aux, SIGKILL);
    assert_non_null(strstr(err.msg, "signal 9"));
    if (vault_restart(v, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    assert_int_equal(kill(place_token_pid(the_vault()), SIGKILL), 0);
    assert_int_not_equal(vault_token(v, &t, &err), B_OK);
    vault_free(&v);
}

static void an_idle_vault_that_ended_is_noticed(void **state)
{
    (void)state;
    struct vault_config config = served_config();
    struct vault *v = place_spawn(&config);
    assert_int_equal(kill(the_vault(), SIGKILL), 0);
    for (int i = 0; i < 100 && !vault_is_gone(v); i++) {
        (void)usleep(50000);
        vault_look(v);
    }
    assert_true(vault_is_gone(v));
    vault_free(&v);
}

static void another_takes_the_place_of_a_served_vault(void **state)
{
    (void)state;
    struct vault_config config = served_config();
    struct vault_token t;
    struct b_err err = {0};
    struct vault *v = place_spawn(&config);
    int first = the_vault();
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    if (vault_renew(v, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_true(ends(first));
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    place_fault("vanish"); /* one that is of no use does not */
    int second = the_vault();
    assert_int_not_equal(vault_renew(v, &err), B_OK);
    place_fault(NULL);
    assert_int_equal(kill(second, 0), 0);
    assert_int_equal(vault_token(v, &t, NULL), B_OK);
    vault_free(&v);
}

static void a_vault_that_does_not_end_is_killed(void **state)
{
    (void)state;
    struct vault_config config = served_config();
    struct vault *v = place_spawn(&config);
    int pid = the_vault();
    assert_int_equal(kill(pid, SIGSTOP), 0);
    vault_free(&v);
    assert_true(ends(pid));
}

static void so_many_run_at_once_and_no_more(void **state)
{
    (void)state;
    struct vault_config config = served_config();
    struct vault *all[VAULTS_MAX];
    struct vault *more = NULL;
    struct b_err err = {0};
    for (size_t i = 0; i < B_COUNT(all); i++)
        all[i] = place_spawn(&config);
    assert_int_equal(vault_spawn(&config, &more, &err), B_E_VAULT_BUSY);
    vault_free(&all[0]);
    all[0] = place_spawn(&config);
    for (size_t i = 0; i < B_COUNT(all); i++)
        vault_free(&all[i]);
}

static void a_service_that_ended_is_a_vault_that_ended(void **state)
{
    struct vault_config config = served_config();
    struct b_err err = {0};
    struct vault *v = place_spawn(&config);
    assert_int_equal(stop_service(state), 0);
    vault_look(v);
    assert_true(vault_is_gone(v));
    assert_int_equal(vault_restart(v, &err), B_E_VAULT_GONE);
    assert_int_equal(start_service(state), 0);
    if (vault_restart(v, &err) != B_OK)
        fail_msg("%s", err.msg);
    vault_free(&v);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_service, stop_service)
    const struct CMUnitTest tests[] = {
        TEST(a_served_vault_works_and_ends_with_its_client),
        TEST(whoever_names_the_token_is_refused),
        TEST(how_a_served_vault_ended_is_told),
        TEST(an_idle_vault_that_ended_is_noticed),
        TEST(another_takes_the_place_of_a_served_vault),
        TEST(a_vault_that_does_not_end_is_killed),
        TEST(so_many_run_at_once_and_no_more),
        TEST(a_service_that_ended_is_a_vault_that_ended),
    };
    return cmocka_run_group_tests_name("served vault", tests, place_make, place_drop);
}
