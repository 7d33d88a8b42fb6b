/*
 * A fleet of another system, EV1, EV2 and EV3 with one key common to all, becomes the
 * establishment's through taps alone, while one visit in twenty is torn somewhere between its first
 * APDU and the end of its takeover. Nobody may be refused whose card is put back, every badge must
 * conform, no step may stay open, and the journal must verify. takeover TESSERE TESSERED [BADGES]
 */
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>

#include "days.h"

enum { STATIONS = 16, BADGES = 120, PASSES = 20, TEAR_APDUS = 50 };

static struct fleet fleet;
static struct days days;

struct figures {
    long long total, conform;
    double percent;
};

/* As `tessere fleet audit` gives them. */
static struct figures audit(void)
{
    char line[1024];
    (void)snprintf(line, sizeof(line), "'%s' --home '%s' fleet audit --json </dev/null",
                   days.tessere, fleet.home);
    FILE *from = popen(line, "re"); // NOLINT(cert-env33-c)
    fleet_need(from != NULL, "fleet audit", "not started");
    json_t *o = json_loadf(from, 0, NULL);
    fleet_need(pclose(from) == 0 && o != NULL, "fleet audit", "failed");
    const struct figures f = {.total = json_integer_value(json_object_get(o, "total")),
                              .conform = json_integer_value(json_object_get(o, "conform")),
                              .percent = json_real_value(json_object_get(o, "conform_percent"))};
    json_decref(o);
    return f;
}

static bool judge(const struct figures *before)
{
    unsigned taps = 0, torn = 0, refused = 0;
    bool is_good = true;
    days_sum(&days, &taps, &torn, &refused);
    const struct figures after = audit();
    struct store *s = days_store(&days);
    unsigned open = days_open_steps(s);
    store_free(&s);
    (void)printf(
        "# %.1f %% of %lld badges conform before, %.1f %% of %lld after %u visits each; %u "
        "taps, %u of them torn, %u visits refused; %u steps open\n",
        before->percent, before->total, after.percent, after.total, days.passed, taps, torn,
        refused, open);
    days_say(1, refused == 0, "nobody is refused", &is_good);
    days_say(2, before->conform == 0 && before->total == (long long)fleet.card_count,
             "no badge conforms before", &is_good);
    days_say(3, after.conform == before->total && after.total == before->total,
             "every badge conforms after", &is_good);
    days_say(4, open == 0, "no step is left open", &is_good);
    days_say(5, days_run(&days, "journal verify") == 0, "the journal verifies", &is_good);
    (void)printf("1..5\n");
    return is_good;
}

int main(int argc, char **argv)
{
    char dir[] = "/var/tmp/tessere-takeover-XXXXXX";
    char command[128];
    fleet_need(argc >= 3 && mkdtemp(dir) != NULL, "usage", "takeover TESSERE TESSERED [BADGES]");
    (void)signal(SIGPIPE, SIG_IGN);
    fleet_make(&fleet, dir, argv[1], 0, STATIONS);
    fleet_make_foreign(&fleet, argv[1], argc > 3 ? (size_t)atoi(argv[3]) : BADGES);
    days = (struct days){.fleet = &fleet, .tessere = argv[1], .tear_apdus = TEAR_APDUS};
    const struct figures before = audit();
    fleet_start(&fleet, argv[2]);
    while (days.passed < PASSES && audit().conform < before.total)
        days_pass(&days);
    fleet_stop(&fleet, false);
    bool is_good = judge(&before);
    fleet_free(&fleet);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    is_good &= system(command) == 0; // NOLINT(cert-env33-c)
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
