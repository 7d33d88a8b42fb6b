/*
 * Revocation: stations that stay connected are revoked one after the other; from the moment of the
 * API's answer every further message of theirs must be refused. Measures the worst time from the
 * answer to the refusal, which includes the station's own message.
 *   revoke TESSERE TESSERED [STATIONS]
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fleet.h"

enum { STATIONS = 100, THREADS = 16 };

static struct fleet fleet;

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Every station keeps a connection; after the revocation of all, each says its next message. */
struct share {
    struct remote **remotes;
    size_t from, to;
    double answered_ms; /* when the API had answered the last revocation */
    double worst_ms;
    unsigned refused, let_in;
    pthread_t thread;
};

static void *say_next(void *arg)
{
    struct share *s = arg;
    struct b_err err;
    for (size_t i = s->from; i < s->to; i++) {
        enum b_code code = remote_call(s->remotes[i], "GET", "/v1/station", NULL, NULL, &err);
        double took = now_ms() - s->answered_ms;
        s->refused += code == B_E_STATION_REVOKED;
        s->let_in += code != B_E_STATION_REVOKED;
        s->worst_ms = took > s->worst_ms ? took : s->worst_ms;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    char dir[] = "/var/tmp/tessere-revoke-XXXXXX";
    char command[128];
    char path[64];
    struct b_err err;
    struct remote *admin = NULL;
    struct share shares[THREADS];
    unsigned alone = 0;
    double worst_alone = 0;
    double worst = 0;
    unsigned refused = 0;
    fleet_need(argc >= 3 && mkdtemp(dir) != NULL, "usage", "revoke TESSERE TESSERED [STATIONS]");
    size_t count = argc > 3 ? (size_t)atoi(argv[3]) : STATIONS;
    (void)signal(SIGPIPE, SIG_IGN);
    fleet_make(&fleet, dir, argv[1], 1, count);
    fleet_start(&fleet, argv[2]);
    struct remote **remotes = calloc(count, sizeof(struct remote *));
    fleet_need(remotes != NULL && agent_connect(&fleet.admin, &admin, &err) == B_OK, "connecting",
               err.msg);
    for (size_t i = 0; i < count; i++)
        fleet_need(agent_connect(&fleet.stations[i], &remotes[i], &err) == B_OK &&
                       remote_call(remotes[i], "GET", "/v1/station", NULL, NULL, &err) == B_OK,
                   "a station cannot reach the server", err.msg);
    /* The first half: each revoked, and asked at once. */
    for (size_t i = 0; i < count / 2; i++) {
        (void)snprintf(path, sizeof(path), "/v1/stations/%zu/revoke", i + 1);
        fleet_need(remote_call(admin, "POST", path, NULL, NULL, &err) == B_OK, path, err.msg);
        double answered = now_ms();
        alone +=
            remote_call(remotes[i], "GET", "/v1/station", NULL, NULL, &err) == B_E_STATION_REVOKED;
        worst_alone = now_ms() - answered > worst_alone ? now_ms() - answered : worst_alone;
    }
    /* The second half: all revoked, then all speak at the same time. */
    for (size_t i = count / 2; i < count; i++) {
        (void)snprintf(path, sizeof(path), "/v1/stations/%zu/revoke", i + 1);
        fleet_need(remote_call(admin, "POST", path, NULL, NULL, &err) == B_OK, path, err.msg);
    }
    double answered = now_ms();
    size_t rest = count - count / 2;
    for (size_t i = 0; i < THREADS; i++) {
        shares[i] = (struct share){.remotes = remotes,
                                   .from = count / 2 + rest * i / THREADS,
                                   .to = count / 2 + rest * (i + 1) / THREADS,
                                   .answered_ms = answered};
        fleet_need(pthread_create(&shares[i].thread, NULL, say_next, &shares[i]) == 0, "threads",
                   "none");
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(shares[i].thread, NULL);
        refused += shares[i].refused;
        worst = shares[i].worst_ms > worst ? shares[i].worst_ms : worst;
    }
    (void)printf("# %zu connected stations; revoked one by one: %u of %zu refused at their next "
                 "message, worst %.1f ms after the API's answer\n",
                 count, alone, count / 2, worst_alone);
    (void)printf("# then %zu at once: %u refused, the last %.1f ms after the API's answer\n", rest,
                 refused, worst);
    bool is_each = alone == count / 2;
    bool is_all = refused == rest;
    (void)printf("%sok 1 - a revoked station is refused at its next message\n",
                 is_each ? "" : "not ");
    (void)printf("%sok 2 - so are all that speak at once\n1..2\n", is_all ? "" : "not ");
    for (size_t i = 0; i < count; i++)
        remote_free(&remotes[i]);
    free(remotes);
    remote_free(&admin);
    fleet_free(&fleet);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    (void)!system(command); // NOLINT(cert-env33-c)
    return is_each && is_all ? 0 : 1;
}
