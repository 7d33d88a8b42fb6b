/*
 * A fleet follows a rotation through taps alone, while one tap in twenty is torn somewhere between
 * its first APDU and the end of its re-key. Nobody may be refused, every badge must end with the
 * new key, no step may stay open, and the journal must verify. Then the old generation is not
 * needed. rotation TESSERE TESSERED [BADGES]
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "fleet.h"
#include "service/campaign.h"

enum { STATIONS = 32, BADGES = 200, PASSES = 20, TEAR_PERCENT = 5, TEAR_APDUS = 12 };

static struct fleet fleet;
static const struct agent_pin no_pin = {.ask = NULL};

struct station {
    size_t at;
    uint32_t chance; /* of its own, so that a run can be told again */
    unsigned taps, torn, refused;
    pthread_t thread;
};

static uint32_t draw(struct station *s)
{
    s->chance = s->chance * 1664525u + 1013904223u;
    return s->chance >> 8;
}

/* One visit: the badge is tapped until its holder is let in, and lies there for the rest. */
static void visit(struct station *s, struct remote *r, const struct agent_self *self, size_t card)
{
    static _Thread_local struct agent_outcome outcome;
    struct b_err err;
    enum b_code code = B_E_CARD_REMOVED;
    for (int i = 0; i < 4 && code == B_E_CARD_REMOVED; i++) {
        struct channel *ch = NULL;
        bool is_torn = i == 0 && draw(s) % 100 < TEAR_PERCENT;
        struct channel_fault fault = {.at = is_torn ? 1 + draw(s) % TEAR_APDUS : 0,
                                      .after_effect = draw(s) % 2 == 1};
        fleet_need(channel_fault_new(fleet_channel(&fleet, card), fault, &ch) == B_OK, "a channel",
                   "none");
        code = agent_tap(r, self, ch, "", &no_pin, &outcome, &err);
        if (code == B_OK)
            agent_rekey(r, ch, &outcome);
        channel_free(&ch);
        s->taps++;
        s->torn += is_torn;
    }
    s->refused += code != B_OK;
    if (code != B_OK && s->refused <= 3)
        (void)printf("# badge %zu: %s: %s\n", card + 1, b_code_name(code), err.msg);
}

/* A day: each badge taps once, at the station that its number gives. */
static void *serve(void *arg)
{
    struct station *s = arg;
    struct agent_self self = {.key_no = 0};
    struct remote *r = NULL;
    struct b_err err;
    fleet_need(agent_connect(&fleet.stations[s->at], &r, &err) == B_OK &&
                   agent_self(r, &self, &err) == B_OK,
               "connecting", err.msg);
    for (size_t card = s->at; card < fleet.card_count; card += STATIONS)
        visit(s, r, &self, card);
    remote_free(&r);
    return NULL;
}

static int run(const char *tessere, const char *command)
{
    char line[1024];
    (void)snprintf(line, sizeof(line), "'%s' --home '%s' %s >&2 </dev/null", tessere, fleet.home,
                   command);
    return system(line); // NOLINT(cert-env33-c)
}

static struct store *open_store(void)
{
    char path[512];
    struct store *s = NULL;
    struct b_err err;
    (void)snprintf(path, sizeof(path), "%s/store.db", fleet.home);
    fleet_need(store_open(path, false, &s, &err) == B_OK, path, err.msg);
    return s;
}

static struct store_progress progress(void)
{
    struct store *s = open_store();
    struct store_campaign c;
    struct store_progress p = {.badges = 0};
    struct b_err err;
    fleet_need(store_campaign_by_id(s, 1, &c, &err) == B_OK &&
                   store_campaign_progress(s, &c, &p, &err) == B_OK,
               "the campaign", err.msg);
    store_free(&s);
    return p;
}

static bool count_open(void *ctx, const struct store_intent *i)
{
    *(unsigned *)ctx += !i->is_effective;
    return true;
}

static void say(unsigned n, bool is_good, const char *what, bool *io)
{
    (void)printf("%sok %u - %s\n", is_good ? "" : "not ", n, what);
    *io = *io && is_good;
}

static bool judge(const char *tessere, const struct station *stations, unsigned days)
{
    struct service_needed needed = {.count = 1};
    struct b_err err;
    unsigned taps = 0, torn = 0, refused = 0, open = 0;
    bool is_good = true;
    for (size_t i = 0; i < STATIONS; i++) {
        taps += stations[i].taps;
        torn += stations[i].torn;
        refused += stations[i].refused;
    }
    const struct store_progress p = progress();
    struct store *s = open_store();
    fleet_need(store_intent_each(s, count_open, &open, &err) == B_OK &&
                   service_generation_needed(s, KEY_ROLE_AUTH, 1, &needed, &err) == B_OK,
               "the store", err.msg);
    store_free(&s);
    (void)printf("# %llu of %llu badges follow after %u taps each; %u taps, %u of them torn, %u "
                 "refused; %u steps open\n",
                 (unsigned long long)p.done, (unsigned long long)p.badges, days, taps, torn,
                 refused, open);
    say(1, refused == 0, "nobody is refused", &is_good);
    say(2, p.done == p.badges && p.badges == fleet.card_count, "every badge has the new key",
        &is_good);
    say(3, open == 0, "no step is left open", &is_good);
    say(4, needed.count == 0, "the old generation is not needed", &is_good);
    say(5, run(tessere, "journal verify") == 0, "the journal verifies", &is_good);
    (void)printf("1..5\n");
    return is_good;
}

int main(int argc, char **argv)
{
    char dir[] = "/var/tmp/tessere-rotation-XXXXXX";
    char command[128];
    static struct station stations[STATIONS];
    unsigned days = 0;
    fleet_need(argc >= 3 && mkdtemp(dir) != NULL, "usage", "rotation TESSERE TESSERED [BADGES]");
    (void)signal(SIGPIPE, SIG_IGN);
    fleet_make(&fleet, dir, argv[1], argc > 3 ? (size_t)atoi(argv[3]) : BADGES, STATIONS);
    fleet_start(&fleet, argv[2]);
    fleet_need(run(argv[1], "key rotate auth --yes") == 0, "the rotation", "failed");
    for (size_t i = 0; i < STATIONS; i++)
        stations[i] = (struct station){.at = i, .chance = (uint32_t)i};
    while (days++ < PASSES && progress().done < fleet.card_count) {
        for (size_t i = 0; i < STATIONS; i++)
            fleet_need(pthread_create(&stations[i].thread, NULL, serve, &stations[i]) == 0,
                       "threads", "none");
        for (size_t i = 0; i < STATIONS; i++)
            (void)pthread_join(stations[i].thread, NULL);
    }
    fleet_stop(&fleet, false);
    bool is_good = judge(argv[1], stations, days - 1);
    fleet_free(&fleet);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    is_good &= system(command) == 0; // NOLINT(cert-env33-c)
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
