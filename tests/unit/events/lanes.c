/* A token that hangs holds up what it signs, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "events/events.h"

static char dir[] = "/tmp/tessere-lanes-XXXXXX";
static char path[64];
static struct b_err err;
static struct service sv;
static sem_t token; /* it answers as often as this says */

#define MUST(x) assert_int_equal(x, B_OK)

static struct store *open_store(void)
{
    struct store *s = NULL;
    MUST(store_open(path, true, &s, &err));
    return s;
}

static int open_all(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/store.db", dir);
    sv.store = open_store();
    MUST(service_writer_open(open_store(), true, &sv.writer, &err));
    sv.asker = (struct service_asker){.actor = "test", .request = ""};
    return sem_init(&token, 0, 0);
}

static int close_all(void **state)
{
    char command[128];
    (void)state;
    service_writer_close(&sv.writer);
    store_free(&sv.store);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

/* --- who is told -------------------------------------------------------------------------------
 */

/* Takes whatever comes, one after the other. */
static void *listen_on(void *arg)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    static char ignored[8192]; /* one thread */
    for (;;) {
        int fd = accept(*(int *)arg, NULL, NULL);
        if (fd < 0)
            return NULL;
        (void)!read(fd, ignored, sizeof(ignored));
        (void)!write(fd, answer, sizeof(answer) - 1);
        (void)close(fd);
    }
}

static int open_listener(unsigned *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, n) == 0 && listen(fd, 8) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static void set_subscriber(struct events_config *c, const char *name, const char *event,
                           unsigned port)
{
    struct events_subscriber *s = &c->subscribers[c->count++];
    (void)snprintf(s->name, sizeof(s->name), "%s", name);
    (void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u/", port);
    (void)snprintf(s->audience, sizeof(s->audience), "https://%s.example", name);
    s->wanted[s->wanted_count++] = service_event_named(event);
    s->form = s->wanted[0]->form;
    s->secrets[s->secret_count++].n = 32;
}

static enum b_code sign(void *ctx, enum events_token kind, const char *claims, char *jwt,
                        size_t max, struct b_err *e)
{
    (void)ctx;
    (void)kind;
    (void)claims;
    (void)e;
    (void)sem_wait(&token);
    (void)snprintf(jwt, max, "a.b.c");
    return B_OK;
}

static enum b_code revoke_badge(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    return service_log(c, (struct service_entry){.kind = "revoke", .badge_id = 7}, e);
}

static int64_t delivered(int64_t wanted)
{
    int64_t n = 0;
    for (int i = 0; i < 100 && n < wanted; i++) {
        (void)usleep(100 * 1000);
        MUST(store_letter_count(sv.store, STORE_LETTER_DELIVERED, &n, &err));
    }
    return n;
}

static void a_token_that_hangs_holds_up_what_it_signs_alone(void **state)
{
    static struct events_config config = {.issuer = "https://kms.example"};
    static struct store_subscription all[EVENTS_SUBSCRIPTIONS_MAX];
    struct store *stores[EVENTS_LANES] = {open_store(), open_store()};
    struct events_deliverer *d = NULL;
    unsigned port = 0;
    pthread_t thread;
    int64_t waiting = 0;
    (void)state;
    int fd = open_listener(&port);
    assert_int_equal(pthread_create(&thread, NULL, listen_on, &fd), 0);
    set_subscriber(&config, "caep", "session-revoked", port);
    set_subscriber(&config, "hook", "badge.revoked", port);
    MUST(service_outbox_subscribe(&sv, all, events_subscriptions(&config, all), &err));
    for (int i = 0; i < 3; i++)
        MUST(service_change(&sv, revoke_badge, NULL, &err));
    MUST(events_deliverer_start(&sv, stores, (struct events_signer){.sign = sign}, &config, &d,
                                &err));
    assert_int_equal(delivered(3), 3); /* each webhook, the token having answered nothing */
    MUST(store_letter_count(sv.store, STORE_LETTER_WAITING, &waiting, &err));
    assert_int_equal(waiting, 3);
    for (int i = 0; i < 3; i++)
        (void)sem_post(&token);
    assert_int_equal(delivered(6), 6);
    assert_int_equal(events_counted(d).delivered, 6);
    events_deliverer_stop(&d);
    (void)shutdown(fd, SHUT_RDWR);
    (void)pthread_join(thread, NULL);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_that_hangs_holds_up_what_it_signs_alone),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
