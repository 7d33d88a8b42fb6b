/* What a SIEM is told, against the grammar of RFC 5424 §6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/syslog.h"
#include "store/store.h"

/* --- the grammar -------------------------------------------------------------------------------
 */

static bool eat(const char **p, const char *text)
{
    size_t n = strlen(text);
    bool is = strncmp(*p, text, n) == 0;
    *p += is ? n : 0;
    return is;
}

/* 1*most PRINTUSASCII but for `no`, then a space. */
static bool word(const char **p, size_t most, const char *no)
{
    size_t n = 0;
    while ((*p)[n] > 32 && (*p)[n] < 127 && strchr(no, (*p)[n]) == NULL)
        n++;
    *p += n;
    return n >= 1 && n <= most && eat(p, " ");
}

static bool timestamp(const char **p)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ ";
    for (size_t i = 0; form[i] != '\0'; i++, (*p)++)
        if (form[i] == 'd' ? **p < '0' || **p > '9' : **p != form[i])
            return false;
    return true;
}

/* SD-ELEMENT; a value's '"', '\' and ']' are escaped, nothing else is. */
static bool element(const char **p)
{
    if (!eat(p, "[tessere@32473"))
        return false;
    while (eat(p, " ")) {
        size_t n = strspn(*p, "abcdefghijklmnopqrstuvwxyz");
        *p += n;
        if (n < 1 || n > 32 || !eat(p, "=\""))
            return false;
        while (**p != '"' && **p != '\0') {
            if (**p == ']' || (**p == '\\' && (*p)[1] == '\0'))
                return false;
            *p += **p == '\\' ? 2 : 1;
        }
        if (!eat(p, "\""))
            return false;
    }
    return eat(p, "] ");
}

static bool is_message(const char *line)
{
    const char *p = line;
    unsigned priority = 0;
    int used = 0;
    if (sscanf(p, "<%3u>1 %n", &priority, &used) != 1 || used == 0 || priority > 191)
        return false;
    p += used;
    return timestamp(&p) && word(&p, 255, "") && word(&p, 48, "") && word(&p, 128, "") &&
           word(&p, 32, "") && element(&p) && strchr(p, '\n') == NULL;
}

static void print(const struct http_syslog_event *e, const char *host, char *out)
{
    size_t n = http_syslog_print(e, host, 42, out, HTTP_SYSLOG_MAX - 1);
    assert_int_not_equal(n, 0);
    out[n] = '\0';
    assert_true(is_message(out));
}

/* --- lines -------------------------------------------------------------------------------------
 */

static void a_tap_is_one_line_of_the_standard(void **state)
{
    static const char entry[] = "{\"actor\":\"station:7\",\"at\":1795464000,\"badge\":12,\"kind\":"
                                "\"tap\",\"outcome\":\"ok\","
                                "\"personal\":\"c2FsdA==\",\"request\":\"r-1\",\"station\":7}";
    struct http_syslog_event e;
    char line[HTTP_SYSLOG_MAX];
    (void)state;
    assert_true(http_syslog_read(entry, strlen(entry), &e));
    print(&e, "kms.example", line);
    /* authpriv (10) * 8 + informational (6): RFC 5424 §6.2.1 */
    assert_string_equal(line,
                        "<86>1 2026-11-23T20:00:00Z kms.example tessered 42 tap "
                        "[tessere@32473 kind=\"tap\" outcome=\"ok\" badge=\"12\" station=\"7\" "
                        "actor=\"station:7\" request=\"r-1\"] tap ok");
}

static void a_refusal_is_a_warning_and_a_change_a_notice(void **state)
{
    struct http_syslog_event e = {.kind = "tap", .outcome = "badge-state"};
    char line[HTTP_SYSLOG_MAX];
    (void)state;
    print(&e, "h", line);
    assert_int_equal(strncmp(line, "<84>1 1970-01-01T00:00:00Z h ", 29), 0);
    e = (struct http_syslog_event){.kind = "key-active", .outcome = "ok"};
    print(&e, "h", line);
    assert_int_equal(strncmp(line, "<85>1 ", 6), 0);
}

static void what_would_end_a_value_is_escaped(void **state)
{
    const struct http_syslog_event e = {
        .kind = "tap", .outcome = "ok", .actor = "a\"b\\c]d", .request = "x\n<86>1\x7f\xc3\xa9"};
    char line[HTTP_SYSLOG_MAX];
    (void)state;
    print(&e, "h", line);
    assert_non_null(strstr(line, "actor=\"a\\\"b\\\\c\\]d\""));
    assert_non_null(strstr(line, "request=\"x?<86>1???\""));
}

static void names_keep_to_the_characters_and_lengths_of_the_standard(void **state)
{
    struct http_syslog_event e = {.outcome = "ok"};
    char host[400];
    char line[HTTP_SYSLOG_MAX];
    (void)state;
    memset(host, 'h', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    memset(e.kind, 'k', sizeof(e.kind) - 1);
    print(&e, host, line);
    print(&e, "", line);
    assert_non_null(strstr(line, "Z - tessered "));
    print(&e, "a b\xc3\xa9", line);
    assert_non_null(strstr(line, "Z a?b?? tessered "));
}

static void a_line_that_does_not_fit_is_none(void **state)
{
    const struct http_syslog_event e = {.kind = "tap", .outcome = "ok"};
    char line[HTTP_SYSLOG_MAX];
    (void)state;
    size_t n = http_syslog_print(&e, "h", 1, line, sizeof(line));
    for (size_t cap = 0; cap < n; cap++)
        assert_int_equal(http_syslog_print(&e, "h", 1, line, cap), 0);
    assert_int_equal(http_syslog_print(&e, "h", 1, line, n), n);
}

static void what_is_no_entry_is_not_told(void **state)
{
    static const char *const bad[] = {"", "[]", "{}", "{\"kind\":1}", "{\"kind\":\"tap\"", "null"};
    struct http_syslog_event e;
    (void)state;
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_false(http_syslog_read(bad[i], strlen(bad[i]), &e));
}

/* --- sending -----------------------------------------------------------------------------------
 */

static void add(struct store *s, uint64_t index, const char *body)
{
    const struct store_entry e = {
        .index = index, .body = body, .body_len = strlen(body), .subject = ""};
    struct b_err err;
    assert_int_equal(store_entry_add(s, &e, &err), B_OK);
}

static void a_siem_that_is_dead_costs_drops_and_one_that_is_back_gets_the_next(void **state)
{
    struct store *s = NULL;
    struct http_syslog *l = NULL;
    struct b_err err;
    char dir[] = "/tmp/tessere-syslog-XXXXXX";
    char got[HTTP_SYSLOG_MAX + 1];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/log", dir);
    assert_int_equal(store_open(":memory:", true, &s, &err), B_OK);
    assert_int_equal(http_syslog_open(un.sun_path, 0, &l, &err), B_OK);
    add(s, 0, "{\"kind\":\"tap\",\"outcome\":\"ok\"}");
    assert_false(http_syslog_follow(l, s));
    assert_int_equal(http_syslog_counted(l).dropped, 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&un, sizeof(un)), 0);
    add(s, 1, "{\"kind\":\"checkpoint\",\"outcome\":\"ok\"}");
    add(s, 2, "{\"kind\":\"key-active\",\"outcome\":\"ok\"}");
    assert_false(http_syslog_follow(l, s));
    ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    got[n] = '\0';
    assert_true(is_message(got));
    assert_non_null(strstr(got, "kind=\"key-active\""));
    assert_int_equal(http_syslog_counted(l).sent, 1);
    /* nobody takes what is sent: it must not block */
    for (uint64_t i = 3; i < 2003; i++)
        add(s, i, "{\"kind\":\"tap\",\"outcome\":\"ok\"}");
    while (http_syslog_follow(l, s))
        continue;
    struct http_syslog_counts k = http_syslog_counted(l);
    assert_int_equal(k.sent + k.dropped, 2002);
    assert_true(k.dropped > 1);
    http_syslog_free(&l);
    store_free(&s);
    (void)close(fd);
    (void)unlink(un.sun_path);
    (void)rmdir(dir);
}

static void places_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"", "log", "tcp:h:1", "udp:", "udp:host", "udp:127.0.0.1:"};
    struct http_syslog *l = NULL;
    struct b_err err;
    (void)state;
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_int_equal(http_syslog_open(bad[i], 0, &l, &err), B_E_CONFIG);
    assert_int_equal(http_syslog_open("udp:[::1]:514", 0, &l, &err), B_OK);
    http_syslog_free(&l);
    assert_int_equal(http_syslog_open("udp:127.0.0.1:514", 0, &l, &err), B_OK);
    http_syslog_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tap_is_one_line_of_the_standard),
        cmocka_unit_test(a_refusal_is_a_warning_and_a_change_a_notice),
        cmocka_unit_test(what_would_end_a_value_is_escaped),
        cmocka_unit_test(names_keep_to_the_characters_and_lengths_of_the_standard),
        cmocka_unit_test(a_line_that_does_not_fit_is_none),
        cmocka_unit_test(what_is_no_entry_is_not_told),
        cmocka_unit_test(a_siem_that_is_dead_costs_drops_and_one_that_is_back_gets_the_next),
        cmocka_unit_test(places_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
