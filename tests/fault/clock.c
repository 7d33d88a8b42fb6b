/*
 * The server's clock jumps under it, back and forth (libfaketime, which only the server is given:
 * the vault is started with an empty environment). What was acknowledged stays, what the wrong time
 * forbids is refused by its name, and when the clock is right again all goes on.
 *   clock TESSERE TESSERED
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fleet.h"

static struct fleet fleet;
static struct b_err err;
static char clock_file[512];
static unsigned said, failed;

static void say(bool is_good, const char *what)
{
    (void)printf("%sok %u - %s\n", is_good ? "" : "not ", ++said, what);
    if (!is_good)
        (void)printf("# %s\n", err.msg);
    failed += is_good ? 0 : 1;
}

/* offset: as faketime(1) reads it, "+0" for the true time. */
static void set_clock(const char *offset)
{
    FILE *f = fopen(clock_file, "we");
    fleet_need(f != NULL && fputs(offset, f) >= 0 && fclose(f) == 0, clock_file, offset);
}

/* On a connection of its own, whose certificate is looked at as of now. */
static enum b_code tap(void)
{
    static const struct agent_pin no_pin = {.ask = NULL};
    static struct agent_outcome outcome;
    struct agent_self self;
    struct remote *r = NULL;
    err = (struct b_err){0};
    enum b_code code = agent_connect(&fleet.stations[0], &r, &err);
    if (code == B_OK)
        code = agent_self(r, &self, &err);
    if (code == B_OK) {
        struct channel *ch = fleet_channel(&fleet, 0);
        code = agent_tap(r, &self, ch, (struct agent_wish){.challenge = "", .reader = ""}, &no_pin,
                         &outcome, &err);
        channel_free(&ch);
    }
    remote_free(&r);
    return code;
}

static void start(const char *tessered)
{
    fleet_need(setenv("FAKETIME_TIMESTAMP_FILE", clock_file, 1) == 0 &&
                   setenv("FAKETIME_NO_CACHE", "1", 1) == 0 &&
                   setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1) == 0 &&
                   setenv("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1", 1) == 0,
               "environment", "none");
    fleet_start(&fleet, tessered);
    (void)unsetenv("LD_PRELOAD");
}

static bool verifies(const char *tessere)
{
    char command[1024];
    (void)snprintf(command, sizeof(command), "'%s' --home '%s' journal verify >&2", tessere,
                   fleet.home);
    return system(command) == 0; // NOLINT(cert-env33-c)
}

int main(int argc, char **argv)
{
    enum { SETTLES_S = 2 }; /* a checkpoint is signed meanwhile */
    char dir[] = "/var/tmp/tessere-clock-XXXXXX";
    char command[128];
    fleet_need(argc == 3 && mkdtemp(dir) != NULL, "usage", "clock TESSERE TESSERED");
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(clock_file, sizeof(clock_file), "%s/clock", dir);
    set_clock("+0");
    fleet_make(&fleet, dir, argv[1], 1, 1);
    start(argv[2]);
    say(tap() == B_OK, "a badge taps");
    set_clock("+3h");
    say(tap() == B_OK, "and three hours later at once");
    (void)sleep(SETTLES_S);
    set_clock("+0");
    say(tap() == B_OK, "and when the clock goes back again");
    (void)sleep(SETTLES_S);
    set_clock("-40d");
    say(tap() == B_E_CERTIFICATE_NEEDED, "forty days back, no certificate is in date: told so");
    set_clock("+4000d");
    say(tap() == B_E_CERTIFICATE_NEEDED, "ten years on, none is any more");
    (void)sleep(SETTLES_S);
    set_clock("+0");
    say(tap() == B_OK, "with the right time the badge taps");
    (void)sleep(SETTLES_S);
    fleet_stop(&fleet, false);
    say(verifies(argv[1]), "the journal of all this verifies");
    (void)printf("1..%u\n", said);
    fleet_free(&fleet);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    (void)!system(command); // NOLINT(cert-env33-c)
    return failed == 0 ? 0 : 1;
}
