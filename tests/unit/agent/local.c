/* The agent's socket: who is heard, who gets a tap's outcome, and that nobody disturbs another. */
#include "talk.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

static void status_tells_readers_server_and_the_last_outcome_but_no_person(void **state)
{
    (void)state;
    agent_local_server(l, "ward-1", true);
    agent_local_reader(l, "R1", true);
    agent_local_reader(l, "R2", true);
    agent_local_reader(l, "R1", false);
    tap("R2", B_OK, "anne");
    int fd = join();
    tell(fd, "{\"do\":\"status\"}");
    const char *text = hear(fd);
    assert_non_null(strstr(text, "\"station\":\"ward-1\",\"server\":true,\"readers\":[\"R2\"]"));
    assert_non_null(strstr(text, "\"outcome\":\"ok\",\"reader\":\"R2\""));
    assert_null(strstr(text, "anne"));
    (void)close(fd);
}

static void the_one_who_waits_gets_the_next_tap_and_no_other(void **state)
{
    (void)state;
    int fd = join();
    int other = join();
    tell(fd, "{\"do\":\"tap\",\"challenge\":\"abc\"}");
    expect(fd, "waiting");
    static struct agent_turn t;
    agent_turn_begin(l, "R1", &nobody, &t);
    assert_string_equal(t.challenge, "abc");
    tell(other, "{\"do\":\"tap\",\"seconds\":1}");
    expect(other, "reader-taken");
    const struct agent_outcome o = {.code = B_OK, .holder_ref = "anne", .assertion = "jwt"};
    agent_turn_end(&t, "R1", &o);
    expect(fd, "\"subject\":\"anne\",\"name\":\"\",\"badge\":0,\"assertion\":\"jwt\"");
    tap("R1", B_OK, "bruno"); /* nobody waits any more */
    tell(fd, "{\"do\":\"status\"}");
    expect(fd, "\"answer\":\"status\"");
    tell(other, "{\"do\":\"status\"}");
    expect(other, "\"answer\":\"status\"");
    (void)close(fd);
    (void)close(other);
}

static void two_readers_serve_two_programs(void **state)
{
    (void)state;
    int one = join();
    int two = join();
    tell(one, "{\"do\":\"tap\",\"reader\":\"R1\"}");
    expect(one, "waiting");
    tell(two, "{\"do\":\"tap\",\"reader\":\"R2\"}");
    expect(two, "waiting");
    tap("R2", B_OK, "bruno");
    expect(two, "signed-for-bruno");
    tap("R1", B_OK, "anne");
    expect(one, "signed-for-anne");
    (void)close(one);
    (void)close(two);
}

static void another_persons_badge_tells_nothing_of_them(void **state)
{
    (void)state;
    int fd = join();
    tell(fd, "{\"do\":\"tap\",\"subject\":\"anne\"}");
    expect(fd, "waiting");
    tap("R1", B_OK, "bruno");
    const char *text = hear(fd);
    assert_non_null(strstr(text, "\"outcome\":\"other-holder\""));
    assert_null(strstr(text, "bruno"));
    (void)close(fd);
}

static void a_refusal_has_a_code_and_no_assertion(void **state)
{
    (void)state;
    int fd = join();
    tell(fd, "{\"do\":\"tap\"}");
    expect(fd, "waiting");
    tap("R1", B_E_BADGE_REVOKED, "anne");
    const char *text = hear(fd);
    assert_non_null(strstr(text, "\"outcome\":\"badge-revoked\""));
    assert_null(strstr(text, "signed-for"));
    assert_null(strstr(text, "anne"));
    (void)close(fd);
}

static void the_desks_card_is_not_a_tap(void **state)
{
    (void)state;
    static struct agent_turn t;
    const struct agent_outcome desk = {.code = B_OK, .is_desk = true};
    int fd = join();
    tell(fd, "{\"do\":\"tap\"}");
    expect(fd, "waiting");
    agent_turn_begin(l, "R1", &nobody, &t);
    agent_turn_end(&t, "R1", &desk);
    tap("R1", B_OK, "anne");
    expect(fd, "signed-for-anne");
    (void)close(fd);
}

static struct agent_turn pin_turn;
static char pin[16];

static void *ask(void *arg)
{
    bool *is_given = arg;
    *is_given = pin_turn.pin.ask(pin_turn.pin.ctx, "type it", pin);
    return NULL;
}

static void a_pin_is_asked_of_the_one_who_waits(void **state)
{
    (void)state;
    pthread_t thread;
    bool is_given = false;
    int fd = join();
    int other = join();
    tell(fd, "{\"do\":\"tap\"}");
    expect(fd, "waiting");
    agent_turn_begin(l, "R1", &nobody, &pin_turn);
    memset(pin, 0, sizeof(pin));
    assert_int_equal(pthread_create(&thread, NULL, ask, &is_given), 0);
    expect(fd, "\"answer\":\"pin\",\"sentence\":\"type it\"");
    tell(other, "{\"do\":\"pin\"}\n000000");
    expect(other, "no PIN was asked for");
    tell(fd, "{\"do\":\"pin\"}\n135790");
    (void)pthread_join(thread, NULL);
    assert_true(is_given);
    assert_string_equal(pin, "135790");
    const struct agent_outcome o = {.code = B_OK};
    agent_turn_end(&pin_turn, "R1", &o);
    expect(fd, "\"outcome\":\"ok\"");
    (void)close(fd);
    (void)close(other);
}

static void a_program_that_goes_or_cancels_gives_no_pin(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        pthread_t thread;
        bool is_given = true;
        int fd = join();
        tell(fd, "{\"do\":\"tap\"}");
        expect(fd, "waiting");
        agent_turn_begin(l, "R1", &nobody, &pin_turn);
        assert_int_equal(pthread_create(&thread, NULL, ask, &is_given), 0);
        expect(fd, "\"answer\":\"pin\"");
        if (how == 0)
            tell(fd, "{\"do\":\"cancel\"}");
        else if (how == 1)
            tell(fd, "{\"do\":\"pin\"}\n12x"); /* ends the connection */
        else
            (void)close(fd);
        (void)pthread_join(thread, NULL);
        assert_false(is_given);
        const struct agent_outcome o = {.code = B_E_PIN_REQUIRED};
        agent_turn_end(&pin_turn, "R1", &o);
        if (how < 2)
            (void)close(fd);
    }
}

static void a_wait_ends_with_its_time(void **state)
{
    (void)state;
    int fd = join();
    tell(fd, "{\"do\":\"tap\",\"seconds\":1}");
    expect(fd, "waiting");
    expect(fd, "\"code\":\"no-card\"");
    tap("R1", B_OK, "anne");
    tell(fd, "{\"do\":\"cancel\"}");
    expect(fd, "cancelled");
    (void)close(fd);
}

static void what_cannot_be_understood_ends_the_connection(void **state)
{
    (void)state;
    static char big[4000];
    memset(big, ' ', sizeof(big) - 1);
    const struct {
        const char *text, *code;
    } bad[] = {{"garbage", "bad-input"},
               {"[]", "bad-input"},
               {"{\"do\":\"open\"}", "bad-input"},
               {"{\"do\":\"status\",\"x\":1}", "bad-input"},
               {"{\"do\":\"status\",\"do\":\"status\"}", "bad-input"},
               {"{\"do\":\"tap\",\"seconds\":0}", "bad-input"},
               {"{\"do\":\"tap\",\"seconds\":301}", "bad-input"},
               {"{\"do\":\"tap\",\"subject\":\"\"}", "bad-input"},
               {"{\"do\":\"tap\",\"subject\":\"a\\nb\"}", "bad-input"},
               {"{\"do\":\"tap\",\"subject\":\"a\\u202eb\"}", "bad-input"},
               {"{\"do\":\"tap\",\"subject\":\"a\\u009b2J\"}", "bad-input"},
               {"{\"do\":\"status\"}\n1234", "bad-input"},
               {"{\"do\":\"pin\"}", "pin-format"},
               {"{\"do\":\"pin\"}\n1234567890123", "pin-format"},
               {"\xFF\xFE", "bad-input"},
               {big, "too-large"}};
    for (size_t i = 0; i < B_COUNT(bad); i++) {
        int fd = join();
        tell(fd, bad[i].text);
        expect(fd, bad[i].code);
        assert_string_equal(hear(fd), "");
        (void)close(fd);
    }
}

static void a_hundred_silent_ones_keep_nobody_out(void **state)
{
    (void)state;
    enum { MANY = 100 };
    static int silent[MANY];
    for (size_t i = 0; i < MANY; i++)
        silent[i] = join();
    int fd = join();
    tell(fd, "{\"do\":\"tap\"}");
    expect(fd, "waiting");
    for (size_t i = 0; i < 20; i++) { /* more: the one who waits stays */
        (void)close(silent[i]);
        silent[i] = join();
    }
    tap("R1", B_OK, "anne");
    expect(fd, "signed-for-anne");
    (void)close(fd);
    for (size_t i = 0; i < MANY; i++)
        (void)close(silent[i]);
}

static void one_that_talks_without_end_is_put_out(void **state)
{
    (void)state;
    int fd = join();
    bool is_out = false;
    for (int i = 0; i < 60 && !is_out; i++) {
        is_out = send(fd, "{\"do\":\"status\"}", 15, MSG_NOSIGNAL) < 0;
        is_out = is_out || strstr(hear(fd), "too-often") != NULL;
    }
    assert_true(is_out);
    (void)close(fd);
}

static void who_is_not_named_is_not_heard(void **state)
{
    (void)state;
    struct agent_socket_config other = config;
    struct stat s;
    other.users[0] = 12345;
    other.user_count = 1;
    other.mode = 0660;
    assert_int_equal(agent_local_set(l, &other, &err), B_OK);
    assert_int_equal(stat(config.path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0660);
    int fd = join(); /* the agent's own user always is */
    tell(fd, "{\"do\":\"status\"}");
    expect(fd, "status");
    (void)close(fd);
}

static void it_moves_with_its_configuration_and_stays_when_it_cannot(void **state)
{
    (void)state;
    struct agent_socket_config other = config;
    char old[AGENT_PATH_MAX];
    memcpy(old, config.path, sizeof(old));
    (void)snprintf(other.path, sizeof(other.path), "%s/none/socket", dir);
    assert_int_equal(agent_local_set(l, &other, &err), B_E_SYSTEM);
    assert_int_equal(access(old, F_OK), 0);
    (void)snprintf(other.path, sizeof(other.path), "%s/elsewhere", dir);
    assert_int_equal(agent_local_set(l, &other, &err), B_OK);
    assert_int_not_equal(access(old, F_OK), 0);
    config = other;
    int fd = join();
    tell(fd, "{\"do\":\"status\"}");
    expect(fd, "status");
    (void)close(fd);
}

static void a_second_agent_does_not_take_the_socket_but_a_dead_ones_is_taken(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(agent_listener_open(&config, &fd, &err), B_E_SYSTEM);
    struct agent_socket_config other = config;
    (void)snprintf(other.path, sizeof(other.path), "%s/dead", dir);
    assert_int_equal(agent_listener_open(&other, &fd, &err), B_OK);
    (void)close(fd);
    assert_int_equal(agent_listener_open(&other, &fd, &err), B_OK);
    (void)close(fd);
    (void)unlink(other.path);
}

static void the_keys_of_assertions_are_told_to_who_asks(void **state)
{
    (void)state;
    json_t *set = json_loads(
        "{\"keys\":[{\"alg\":\"RS256\",\"kid\":\"r\"},{\"alg\":\"ES256\",\"kid\":\"e\"}]}", 0,
        NULL);
    int fd = join();
    tell(fd, "{\"do\":\"keys\"}");
    expect(fd, "\"keys\":[]");
    agent_local_keys(l, set);
    agent_local_keys(l, set); /* in place of those before */
    json_decref(set);
    tell(fd, "{\"do\":\"keys\"}");
    expect(fd, "{\"answer\":\"keys\",\"keys\":[{\"alg\":\"ES256\",\"kid\":\"e\"}]}");
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(status_tells_readers_server_and_the_last_outcome_but_no_person),
        EACH(the_one_who_waits_gets_the_next_tap_and_no_other),
        EACH(two_readers_serve_two_programs),
        EACH(another_persons_badge_tells_nothing_of_them),
        EACH(a_refusal_has_a_code_and_no_assertion),
        EACH(the_desks_card_is_not_a_tap),
        EACH(a_pin_is_asked_of_the_one_who_waits),
        EACH(a_program_that_goes_or_cancels_gives_no_pin),
        EACH(a_wait_ends_with_its_time),
        EACH(what_cannot_be_understood_ends_the_connection),
        EACH(a_hundred_silent_ones_keep_nobody_out),
        EACH(one_that_talks_without_end_is_put_out),
        EACH(who_is_not_named_is_not_heard),
        EACH(it_moves_with_its_configuration_and_stays_when_it_cannot),
        EACH(a_second_agent_does_not_take_the_socket_but_a_dead_ones_is_taken),
        EACH(the_keys_of_assertions_are_told_to_who_asks),
    };
    if (mkdtemp(dir) == NULL || b_secret_init(16384, false, &err) != B_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(dir) != 0 || failed != 0;
}
