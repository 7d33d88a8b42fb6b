/* agent.yaml: what is read, what the command line changes, and what is refused by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"

static struct agent_config c;
static struct b_err err;

static enum b_code parse(const char *text)
{
    return agent_config_parse("agent.yaml", text, strlen(text), &c, &err);
}

static void the_shipped_example_is_read(void **state)
{
    (void)state;
    const struct agent_options o = {.config = getenv("TESSERE_AGENT_EXAMPLE")};
    assert_int_equal(agent_config_load(&o, &c, &err), B_OK);
    assert_string_equal(c.socket.path, "/run/tessere-agent/socket");
    assert_int_equal(c.socket.mode, 0660);
    assert_int_equal(c.hooks.count, 1);
    assert_string_equal(c.hooks.directories[0], "/etc/tessere/hooks.d");
    assert_string_equal(c.state, "/var/lib/tessere-agent");
}

static void everything_that_is_said_is_taken(void **state)
{
    (void)state;
    assert_int_equal(parse("server: https://kms:8443\nidentity: /i/me\nca: /i/ca.pem\n"
                           "state: /s\nreaders: [\"OMNI*\", \"ACS ?\"]\nlanguage: en\n"
                           "back-off-seconds: 7\nsocket:\n  path: /run/x\n  mode: \"0600\"\n"
                           "  group: root\n  users: [root]\n"
                           "hooks: {directories: [/a, /b], seconds: 9, lifted: true}\n"),
                     B_OK);
    assert_string_equal(c.server, "https://kms:8443");
    assert_string_equal(c.identity, "/i/me");
    assert_string_equal(c.language, "en");
    assert_int_equal(c.back_off_seconds, 7);
    assert_int_equal(c.socket.mode, 0600);
    assert_int_equal(c.socket.group, 0);
    assert_int_equal(c.socket.user_count, 1);
    assert_int_equal(c.socket.users[0], 0);
    assert_int_equal(c.hooks.count, 2);
    assert_string_equal(c.hooks.directories[1], "/b");
    assert_int_equal(c.hooks.seconds, 9);
    assert_true(c.hooks.tells_lifted);
    assert_true(agent_config_has_reader(&c, "OMNIKEY 5022"));
    assert_true(agent_config_has_reader(&c, "ACS 1"));
    assert_false(agent_config_has_reader(&c, "ACS 10"));
}

static void every_reader_is_served_when_none_is_named(void **state)
{
    (void)state;
    assert_int_equal(parse("language: fr\n"), B_OK);
    assert_true(agent_config_has_reader(&c, "anything"));
    assert_string_equal(c.socket.path, "");
}

static void the_command_line_prevails(void **state)
{
    (void)state;
    const struct agent_options o = {.config = getenv("TESSERE_AGENT_EXAMPLE"),
                                    .server = "https://other",
                                    .socket = "/tmp/s",
                                    .hooks = "/h",
                                    .readers = {"Only this"},
                                    .reader_count = 1};
    assert_int_equal(agent_config_load(&o, &c, &err), B_OK);
    assert_string_equal(c.server, "https://other");
    assert_string_equal(c.socket.path, "/tmp/s");
    assert_string_equal(c.hooks.directories[0], "/h");
    assert_int_equal(c.reader_count, 1);
    assert_int_equal(c.hooks.seconds, 5);
}

static void a_named_file_must_be_there(void **state)
{
    (void)state;
    const struct agent_options o = {.config = "/nonexistent/agent.yaml"};
    assert_int_equal(agent_config_load(&o, &c, &err), B_E_CONFIG);
    assert_non_null(strstr(err.msg, "/nonexistent/agent.yaml"));
}

static void a_mistake_is_named_by_file_line_and_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *line, *field;
    } mistakes[] = {
        {"language: fr\nlangage: en\n", "line 2, column 1: ", "langage"},
        {"hooks:\n  seconds: soon\n", "line 2, column 12: ", "seconds"},
        {"language: fr\nlanguage: en\n", "line 2, column 1: ", "language: it is there twice"},
        {"# language: x\n\nlanguage: de\n", "line 3", "language"},
        {"server: http://kms\n", "line 1", "server"},
        {"socket:\n  path: here\n", "line 2", "path"},
        {"socket: {path: /a, mode: \"0777\"}\n", "line 1", "mode"},
        {"socket:\n  path: /a\n  users: [root, nobody-at-all]\n", "line 3", "users"},
        {"socket:\n  group: no-such-group\n", "line 2", "group"},
        {"hooks:\n  directories: [hooks.d]\n", "line 2", "directories"},
        {"hooks:\n  seconds: 301\n", "line 2", "seconds"},
        {"back-off-seconds: 4000\n", "line 1", "back-off-seconds"},
    };
    for (size_t i = 0; i < B_COUNT(mistakes); i++) {
        if (parse(mistakes[i].text) != B_E_CONFIG)
            fail_msg("taken: %s", mistakes[i].text);
        if (strstr(err.msg, "agent.yaml") == NULL || strstr(err.msg, mistakes[i].line) == NULL ||
            strstr(err.msg, mistakes[i].field) == NULL)
            fail_msg("%s: %s", mistakes[i].text, err.msg);
    }
    assert_int_equal(parse(""), B_E_CONFIG);
}

static void a_change_has_a_number_of_its_own(void **state)
{
    (void)state;
    static struct agent_config seen;
    assert_int_equal(parse("language: fr\n"), B_OK);
    struct agent_live *live = agent_live_new(&c);
    assert_non_null(live);
    unsigned first = agent_live_get(live, &seen);
    assert_string_equal(seen.language, "fr");
    assert_int_equal(parse("language: en\n"), B_OK);
    agent_live_set(live, &c);
    assert_int_not_equal(agent_live_generation(live), first);
    assert_int_equal(agent_live_get(live, &seen), agent_live_generation(live));
    assert_string_equal(seen.language, "en");
    agent_live_free(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_example_is_read),
        cmocka_unit_test(everything_that_is_said_is_taken),
        cmocka_unit_test(every_reader_is_served_when_none_is_named),
        cmocka_unit_test(the_command_line_prevails),
        cmocka_unit_test(a_named_file_must_be_there),
        cmocka_unit_test(a_mistake_is_named_by_file_line_and_field),
        cmocka_unit_test(a_change_has_a_number_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
