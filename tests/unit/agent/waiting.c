/* The agent's socket: what waits for a tap on the station, who is told, and what is said to it. */
#include "talk.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static char news[256];

static void take_news(void *ctx, const char *station, const json_t *challenge)
{
    (void)ctx;
    (void)strncat(news, station, 20);
    (void)strncat(news, json_string_value(json_object_get(challenge, "text")), 20);
}

static json_t *items_of(const char *names, const char *text)
{
    json_t *items = json_array();
    for (const char *p = names; *p != '\0'; p++)
        (void)json_array_append_new(items, json_pack("{s:s%, s:s, s:s, s:b, s:b, s:I}", "challenge",
                                                     p, (size_t)1, "party", "prescriptions", "text",
                                                     text, "needs_pin", 0, "is_chosen", 0,
                                                     "expires_at", (json_int_t)time(NULL) + 60));
    return items;
}

static void list(const char *names, const char *text)
{
    const struct agent_news tell_news = {.tell = take_news};
    json_t *items = names != NULL ? items_of(names, text) : NULL;
    agent_local_list(l, items, &tell_news);
    json_decref(items);
}

/* The deed that is wanted, carried out as the server would. */
static void carry_out(enum agent_ask ask, const char *name, enum b_code code)
{
    struct agent_deed d;
    assert_true(agent_local_deed(l, 5000, &d));
    assert_int_equal(d.ask, ask);
    assert_string_equal(d.challenge, name);
    agent_local_done(l, &d, code, "");
}

static void choose(int fd, const char *name)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "{\"do\":\"choose\",\"challenge\":\"%s\"}", name);
    tell(fd, text);
    carry_out(AGENT_CHOOSE, name, B_OK);
    expect(fd, "\"answer\":\"chosen\"");
}

static void who_subscribes_is_told_of_what_waits_now_and_at_each_change(void **state)
{
    (void)state;
    news[0] = '\0';
    agent_local_server(l, "ward-1", true);
    int fd = join();
    assert_false(agent_local_is_watched(l, 10));
    tell(fd, "{\"do\":\"challenges\"}");
    expect(fd, "\"server\":false,\"items\":[]");
    assert_true(agent_local_is_watched(l, 5000));
    list("A", "10 mg");
    const char *text = hear(fd);
    assert_non_null(
        strstr(text, "\"challenge\":\"A\",\"party\":\"prescriptions\",\"text\":\"10 mg\""));
    list("A", "10 mg"); /* no change, and nothing is told */
    list("AB", "10 mg");
    expect(fd, "\"challenge\":\"B\"");
    list(NULL, NULL);
    expect(fd, "\"server\":false,\"items\":[]");
    list("AB", "10 mg"); /* the server is back: nothing is new */
    expect(fd, "\"server\":true");
    assert_string_equal(news, "ward-110 mgward-110 mg");
    (void)close(fd);
}

static void a_text_that_shows_otherwise_than_it_is_written_is_not_shown(void **state)
{
    (void)state;
    int fd = join();
    tell(fd, "{\"do\":\"challenges\"}");
    expect(fd, "\"items\":[]");
    list("A", "10 mg\x1b[2K");
    expect(fd, "\"server\":true,\"items\":[]");
    list("B", "10 mg\xe2\x80\xaegm 01"); /* right to left from there on */
    list("C", "10 mg");
    expect(fd, "\"items\":[{\"challenge\":\"C\"");
    (void)close(fd);
}

static void what_waits_for_whoever_tapped_is_told_until_somebody_else_taps(void **state)
{
    (void)state;
    int fd = join();
    tell(fd, "{\"do\":\"challenges\"}");
    expect(fd, "\"items\":[]");
    list("", "");
    expect(fd, "\"server\":true,\"items\":[]");
    json_t *items = items_of("C", "elsewhere");
    agent_local_offered(l, items);
    expect(fd, "\"is_offered\":true");
    json_decref(items);
    choose(fd, "C");
    agent_local_offered(l, NULL);
    expect(fd, "\"items\":[]");
    (void)close(fd);
}

static void the_tap_that_answers_what_was_chosen_is_told_without_person_or_assertion(void **state)
{
    (void)state;
    static struct agent_turn t;
    struct agent_outcome o = {.code = B_OK, .holder_ref = "bruno", .assertion = "jwt"};
    int fd = join();
    choose(fd, "A");
    agent_turn_begin(l, "R1", &nobody, &t);
    assert_string_equal(t.challenge, ""); /* it is no program's tap */
    assert_ptr_not_equal(t.pin.ask, NULL);
    agent_turn_end(&t, "R1", &o);
    expect(fd, "\"challenge\":\"A\",\"answers\":false");
    (void)snprintf(o.answers, sizeof(o.answers), "A");
    agent_turn_begin(l, "R1", &nobody, &t);
    agent_turn_end(&t, "R1", &o);
    const char *text = hear(fd);
    assert_non_null(strstr(text, "\"outcome\":\"ok\""));
    assert_non_null(strstr(text, "\"answers\":true"));
    assert_null(strstr(text, "bruno"));
    assert_null(strstr(text, "jwt"));
    agent_turn_begin(l, "R1", &nobody, &t); /* it waits no more */
    assert_int_equal(t.wait, 0);
    agent_turn_end(&t, "R1", &o);
    (void)close(fd);
}

static void who_asks_for_a_tap_has_it_before_who_chose(void **state)
{
    (void)state;
    int chooser = join();
    int fd = join();
    choose(chooser, "A");
    tell(fd, "{\"do\":\"tap\"}");
    expect(fd, "waiting");
    tap("R1", B_OK, "anne");
    expect(fd, "signed-for-anne");
    tell(fd, "{\"do\":\"tap\"}");
    expect(fd, "waiting");
    tell(fd, "{\"do\":\"choose\",\"challenge\":\"A\"}");
    expect(fd, "reader-taken");
    (void)close(fd);
    (void)close(chooser);
}

static void deeds_come_back_with_what_the_server_says_one_at_a_time(void **state)
{
    (void)state;
    struct agent_deed d;
    int fd = join();
    tell(fd, "{\"do\":\"refuse\",\"challenge\":\"A\"}");
    assert_true(agent_local_deed(l, 5000, &d));
    tell(fd, "{\"do\":\"leave\"}");
    expect(fd, "too-often");
    assert_false(agent_local_deed(l, 10, &(struct agent_deed){.number = 0})); /* begun already */
    agent_local_done(l, &d, B_E_CHALLENGE_OTHER, "");
    expect(fd, "challenge-other");
    tell(fd, "{\"do\":\"leave\"}");
    carry_out(AGENT_LEAVE, "", B_OK);
    expect(fd, "{\"answer\":\"left\"}");
    tell(fd, "{\"do\":\"refuse\",\"challenge\":\"A\"}");
    assert_true(agent_local_deed(l, 5000, &d));
    (void)close(fd); /* who is gone is told nothing */
    agent_local_done(l, &d, B_OK, "");
}

static void leaving_is_for_the_agents_user_root_and_who_sits_there(void **state)
{
    (void)state;
    enum { NOBODY = 65534 };
    struct agent_socket_config other = config;
    int status = 1;
    if (geteuid() != 0)
        skip(); /* only root can be somebody else */
    other.mode = 0666;
    assert_int_equal(agent_local_set(l, &other, &err), B_OK);
    assert_int_equal(chmod(dir, 0755), 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool is_other = setuid(NOBODY) == 0;
        int fd = join();
        tell(fd, "{\"do\":\"leave\"}");
        bool is_refused = strstr(hear(fd), "not-permitted") != NULL;
        tell(fd, "{\"do\":\"status\"}");
        _exit(is_other && is_refused && strstr(hear(fd), "status") != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_false(agent_local_deed(l, 10, &(struct agent_deed){.number = 0}));
}

static void a_name_that_is_no_name_of_a_challenge_reaches_no_server(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"do\":\"choose\"}", "{\"do\":\"refuse\",\"challenge\":\"../leave\"}",
        "{\"do\":\"choose\",\"challenge\":\"A?x\"}", "{\"do\":\"leave\",\"challenge\":\"A\"}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int fd = join();
        tell(fd, bad[i]);
        expect(fd, "bad-input");
        (void)close(fd);
    }
    assert_false(agent_local_deed(l, 10, &(struct agent_deed){.number = 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(who_subscribes_is_told_of_what_waits_now_and_at_each_change),
        EACH(a_text_that_shows_otherwise_than_it_is_written_is_not_shown),
        EACH(what_waits_for_whoever_tapped_is_told_until_somebody_else_taps),
        EACH(the_tap_that_answers_what_was_chosen_is_told_without_person_or_assertion),
        EACH(who_asks_for_a_tap_has_it_before_who_chose),
        EACH(deeds_come_back_with_what_the_server_says_one_at_a_time),
        EACH(leaving_is_for_the_agents_user_root_and_who_sits_there),
        EACH(a_name_that_is_no_name_of_a_challenge_reaches_no_server),
    };
    if (mkdtemp(dir) == NULL || b_secret_init(16384, false, &err) != B_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(dir) != 0 || failed != 0;
}
