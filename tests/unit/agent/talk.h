/* A socket of the agent's for a test, and a program that talks on it. */
#ifndef TESSERE_TESTS_AGENT_TALK_H
#define TESSERE_TESTS_AGENT_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/local.h"

static struct agent_socket_config config = {.mode = 0600, .group = (gid_t)-1};
static struct agent_local *l;
static struct b_err err;
static char dir[] = "/tmp/tessere-agent-XXXXXX";
static const struct agent_pin nobody = {.ask = NULL};

static int start(void **state)
{
    (void)state;
    (void)snprintf(config.path, sizeof(config.path), "%s/socket", dir);
    return agent_local_new(&config, &l, &err) == B_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    agent_local_free(&l);
    return access(config.path, F_OK) == 0 || b_secret_in_use() != 0 ? -1 : 0;
}

static int join(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const struct timeval most = {.tv_sec = 5};
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%.100s", config.path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)), 0);
    return fd;
}

static void tell(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static const char *hear(int fd)
{
    static char text[4096];
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void expect(int fd, const char *part)
{
    const char *text = hear(fd);
    if (strstr(text, part) == NULL)
        fail_msg("expected %s, got \"%s\"", part, text);
}

static void tap(const char *reader, enum b_code code, const char *subject)
{
    static struct agent_turn t;
    static struct agent_outcome o;
    o = (struct agent_outcome){.code = code, .badge = 7};
    (void)snprintf(o.holder_ref, sizeof(o.holder_ref), "%s", subject);
    (void)snprintf(o.assertion, sizeof(o.assertion), "signed-for-%s", subject);
    agent_turn_begin(l, reader, &nobody, &t);
    agent_turn_end(&t, reader, &o);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, start, end)

#endif
