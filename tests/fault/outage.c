/*
 * The token's process is killed, and the token is away, so that no other process could use it. With
 * auth-key-cache a badge that has tapped taps on, one that has not fails cleanly, and once the
 * token is back the server finds it by itself. Without it every tap fails cleanly until then.
 *   outage TESSERE TESSERED
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fleet.h"

enum { KNOWN, UNKNOWN, CARDS };

static struct fleet fleet;
static struct remote *remotes[CARDS];
static struct agent_self selves[CARDS];
static struct b_err err;
static unsigned said, failed;

static void say(bool is_good, const char *what)
{
    (void)printf("%sok %u - %s\n", is_good ? "" : "not ", ++said, what);
    if (!is_good)
        (void)printf("# %s\n", err.msg);
    failed += is_good ? 0 : 1;
}

static enum b_code tap(size_t card)
{
    static const struct agent_pin no_pin = {.ask = NULL};
    static struct agent_outcome outcome;
    struct channel *ch = fleet_channel(&fleet, card);
    err = (struct b_err){0};
    enum b_code r =
        agent_tap(remotes[card], &selves[card], ch,
                  (struct agent_wish){.challenge = "", .reader = ""}, &no_pin, &outcome, &err);
    channel_free(&ch);
    return r;
}

/* A tap that is granted within the time. */
static bool is_back(size_t card)
{
    enum { TRIES = 150, PAUSE_US = 100 * 1000 };
    for (int i = 0; i < TRIES; i++) {
        if (tap(card) == B_OK)
            return true;
        (void)usleep(PAUSE_US);
    }
    return false;
}

static void put_away(bool is_away)
{
    char here[512];
    char away[512];
    (void)snprintf(here, sizeof(here), "%s/token/tokens", fleet.home);
    (void)snprintf(away, sizeof(away), "%s/token/tokens.away", fleet.home);
    fleet_need(rename(is_away ? here : away, is_away ? away : here) == 0, "the token", here);
}

static void lose_token(void)
{
    int token = fleet_child(fleet_vault_pid(&fleet), "tessere-token");
    put_away(true);
    fleet_need(token > 0 && kill(token, SIGKILL) == 0, "tessere-token", "it is not there");
}

static void start(const char *tessered, const char *settings)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/server.yaml", fleet.home);
    FILE *f = fopen(path, "ae");
    fleet_need(f != NULL && fputs(settings, f) >= 0 && fclose(f) == 0, path, "cannot be written");
    fleet_start(&fleet, tessered);
    for (size_t i = 0; i < CARDS; i++)
        fleet_need(agent_connect(&fleet.stations[i], &remotes[i], &err) == B_OK &&
                       agent_self(remotes[i], &selves[i], &err) == B_OK,
                   "connecting", err.msg);
}

static void stop(void)
{
    for (size_t i = 0; i < CARDS; i++)
        remote_free(&remotes[i]);
    fleet_stop(&fleet, false);
}

static void without_cache(const char *tessered)
{
    start(tessered, "");
    say(tap(KNOWN) == B_OK, "a badge taps");
    lose_token();
    say(tap(KNOWN) != B_OK, "without the cache it fails when the token is gone");
    say(tap(UNKNOWN) != B_OK, "and so does any other");
    put_away(false);
    say(is_back(KNOWN), "when the token is back, it taps again");
    stop();
}

static void with_cache(const char *tessered)
{
    enum { TIMES = 20, PAUSE_US = 100 * 1000 };
    unsigned granted = 0;
    unsigned refused = 0;
    start(tessered, "auth-key-cache: 100\n");
    say(tap(KNOWN) == B_OK, "with the cache a badge taps");
    int vault = fleet_vault_pid(&fleet);
    lose_token();
    for (int i = 0; i < TIMES; i++) {
        granted += tap(KNOWN) == B_OK ? 1 : 0;
        refused += tap(UNKNOWN) == B_E_TOKEN_FAILED ? 1 : 0;
        (void)usleep(PAUSE_US);
    }
    (void)printf("# %u of %d taps of a known badge granted, %u of another refused cleanly\n",
                 granted, TIMES, refused);
    say(granted == TIMES, "while the token is gone it taps on");
    say(refused == TIMES, "a badge that had not tapped fails cleanly");
    say(fleet_vault_pid(&fleet) == vault, "the vault that knows it is kept meanwhile");
    put_away(false);
    say(is_back(UNKNOWN), "when the token is back, the server takes another vault by itself");
    say(tap(KNOWN) == B_OK, "and all badges tap");
    stop();
}

int main(int argc, char **argv)
{
    char dir[] = "/var/tmp/tessere-outage-XXXXXX";
    char command[128];
    fleet_need(argc == 3 && mkdtemp(dir) != NULL, "usage", "outage TESSERE TESSERED");
    (void)signal(SIGPIPE, SIG_IGN);
    fleet_make(&fleet, dir, argv[1], CARDS, CARDS);
    without_cache(argv[2]);
    with_cache(argv[2]);
    (void)printf("1..%u\n", said);
    fleet_free(&fleet);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    (void)!system(command); // NOLINT(cert-env33-c)
    return failed == 0 ? 0 : 1;
}
