/* How a vault is asked of a service: the request with its descriptors, the answer, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vault/starter.h"

static int pair[2];

static int make_pair(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int drop_pair(void **state)
{
    (void)state;
    return close(pair[0]) | close(pair[1]);
}

static unsigned count_open(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    (void)closedir(d);
    return n;
}

/* What a peer of its own making sends: bytes, and count times the descriptor fd. */
static void send_raw(const void *bytes, size_t n, int fd, unsigned count)
{
    enum { MOST = 32 };
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof(int) * MOST)];
    } rights = {0};
    static uint8_t copy[4096];
    assert_true(n <= sizeof(copy) && count <= MOST);
    memcpy(copy, bytes, n);
    struct iovec part = {.iov_base = copy, .iov_len = n};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        m.msg_control = rights.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        for (unsigned i = 0; i < count; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
    }
    assert_int_equal(sendmsg(pair[0], &m, 0), (ssize_t)n);
}

static void is_refused(const void *bytes, size_t n, int fd, unsigned count)
{
    int lanes[VAULT_WORKERS_MAX];
    unsigned taken = 0;
    unsigned before = count_open();
    send_raw(bytes, n, fd, count);
    assert_int_equal(starter_take(pair[1], lanes, &taken, NULL), B_E_VAULT_PROTOCOL);
    assert_int_equal(count_open(), before);
}

static void as_many_lanes_as_are_said_are_taken(void **state)
{
    (void)state;
    int lanes[VAULT_WORKERS_MAX];
    unsigned taken = 0;
    for (uint8_t count = 1; count <= VAULT_WORKERS_MAX; count++) {
        const uint8_t message[] = {STARTER_PROTOCOL, 0, 0, 0, count};
        send_raw(message, sizeof(message), pair[0], count);
        assert_int_equal(starter_take(pair[1], lanes, &taken, NULL), B_OK);
        assert_int_equal(taken, count);
        for (unsigned i = 0; i < taken; i++)
            assert_int_equal(close(lanes[i]), 0);
    }
}

static void a_request_that_does_not_fit_is_refused_and_leaves_no_descriptor(void **state)
{
    (void)state;
    static const uint8_t good[] = {STARTER_PROTOCOL, 0, 0, 0, 2};
    static const uint8_t long_one[4096] = {STARTER_PROTOCOL, 0, 0, 0, 2};
    static const uint8_t other[] = {STARTER_PROTOCOL + 1, 0, 0, 0, 2};
    static const uint8_t none[] = {STARTER_PROTOCOL, 0, 0, 0, 0};
    static const uint8_t many[] = {STARTER_PROTOCOL, 0, 0, 0, VAULT_WORKERS_MAX + 1};
    for (size_t cut = 0; cut < sizeof(good); cut++)
        is_refused(good, cut, pair[0], 2);
    is_refused(long_one, sizeof(good) + 1, pair[0], 2);
    is_refused(long_one, sizeof(long_one), pair[0], 2);
    is_refused(other, sizeof(other), pair[0], 2);
    is_refused(none, sizeof(none), pair[0], 0);
    is_refused(good, sizeof(good), pair[0], 0);
    is_refused(good, sizeof(good), pair[0], 1);
    is_refused(good, sizeof(good), pair[0], 3);
    is_refused(many, sizeof(many), pair[0], VAULT_WORKERS_MAX + 1);
}

static void what_is_no_lane_is_refused(void **state)
{
    (void)state;
    static const uint8_t one[] = {STARTER_PROTOCOL, 0, 0, 0, 1};
    int pipes[2];
    int stream = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(pipe(pipes), 0);
    is_refused(one, sizeof(one), pipes[1], 1);
    is_refused(one, sizeof(one), stream, 1);
    (void)close(stream);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

static void the_end_is_told_with_its_status(void **state)
{
    (void)state;
    int status = -1;
    assert_false(starter_hear(pair[0], 0, &status));
    starter_tell(pair[1], VAULT_EXIT_TOKEN << 8);
    assert_true(starter_hear(pair[0], 1000, &status));
    assert_int_equal(status, VAULT_EXIT_TOKEN << 8);
}

static void a_service_that_went_away_has_ended_the_vault(void **state)
{
    (void)state;
    int status = -1;
    (void)shutdown(pair[1], SHUT_RDWR);
    assert_true(starter_hear(pair[0], 0, &status));
    assert_int_equal(status, 0);
}

/* --- both sides ------------------------------------------------------------------------------- */

static char path[64];
static struct b_err answer;

static void *serve_one(void *arg)
{
    int lanes[VAULT_WORKERS_MAX];
    unsigned count = 0;
    int fd = accept(*(int *)arg, NULL, NULL);
    assert_int_equal(starter_take(fd, lanes, &count, NULL), B_OK);
    for (unsigned i = 0; i < count; i++)
        (void)close(lanes[i]);
    starter_answer(fd, &answer);
    (void)close(fd);
    return NULL;
}

static enum b_code ask(struct b_err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    pthread_t thread;
    int got = -1;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    (void)snprintf(path, sizeof(path), "/tmp/tessere-starter-%d", (int)getpid());
    memcpy(at.sun_path, path, strlen(path) + 1);
    (void)unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve_one, &fd), 0);
    enum b_code r = starter_ask(path, pair, 2, &got, err);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (got >= 0)
        (void)close(got);
    (void)close(fd);
    (void)unlink(path);
    return r;
}

static void who_asks_is_answered(void **state)
{
    (void)state;
    struct b_err err = {0};
    answer = (struct b_err){0};
    assert_int_equal(ask(&err), B_OK);
    (void)b_err_set(&answer, B_E_VAULT_BUSY, 7, "eight run");
    assert_int_equal(ask(&err), B_E_VAULT_BUSY);
    assert_int_equal(err.aux, 7);
    assert_non_null(strstr(err.msg, "eight run"));
}

static void a_service_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct b_err err = {0};
    int got = -1;
    assert_int_equal(starter_ask("/nonexistent/vault.sock", pair, 2, &got, &err), B_E_VAULT_GONE);
    assert_non_null(strstr(err.msg, "/nonexistent/vault.sock"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_pair, drop_pair)
    const struct CMUnitTest tests[] = {
        TEST(as_many_lanes_as_are_said_are_taken),
        TEST(a_request_that_does_not_fit_is_refused_and_leaves_no_descriptor),
        TEST(what_is_no_lane_is_refused),
        TEST(the_end_is_told_with_its_status),
        TEST(a_service_that_went_away_has_ended_the_vault),
        TEST(who_asks_is_answered),
        TEST(a_service_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests_name("starter", tests, NULL, NULL);
}
