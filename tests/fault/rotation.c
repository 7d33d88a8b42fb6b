/*
 * A fleet follows a rotation through taps alone, while one tap in twenty is torn somewhere between
 * its first APDU and the end of its re-key. Nobody may be refused, every badge must end with the
 * new key, no step may stay open, and the journal must verify. Then the old generation is not
 * needed. rotation TESSERE TESSERED [BADGES]
 */
#include <signal.h>
#include <stdlib.h>

#include "base/file.h"
#include "days.h"
#include "profile/file.h"
#include "service/campaign.h"

enum { STATIONS = 32, BADGES = 200, PASSES = 20, TEAR_APDUS = 12 };

static struct fleet fleet;
static struct days days;

static struct store_progress progress(void)
{
    struct store *s = days_store(&days);
    struct store_campaign c;
    struct store_progress p = {.badges = 0};
    struct b_err err;
    fleet_need(store_campaign_by_id(s, 1, &c, &err) == B_OK &&
                   store_campaign_progress(s, &c, &p, NULL, NULL, &err) == B_OK,
               "the campaign", err.msg);
    store_free(&s);
    return p;
}

static uint64_t needed_after(struct store *s)
{
    static struct profile p;
    struct service_needed needed;
    struct b_err err;
    struct b_rd text;
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/profile.yaml", fleet.home);
    fleet_need(b_file_map(path, &text, &err) == B_OK &&
                   profile_file_read(path, (const char *)text.p, text.left, &p, &err) == B_OK &&
                   service_generation_needed(s, &p, KEY_ROLE_AUTH, 1, &needed, &err) == B_OK,
               "what is needed", err.msg);
    b_file_unmap(&text);
    return needed.count;
}

static bool judge(void)
{
    unsigned taps = 0, torn = 0, refused = 0;
    bool is_good = true;
    days_sum(&days, &taps, &torn, &refused);
    const struct store_progress p = progress();
    struct store *s = days_store(&days);
    unsigned open = days_open_steps(s);
    uint64_t needed = needed_after(s);
    store_free(&s);
    (void)printf("# %llu of %llu badges follow after %u taps each; %u taps, %u of them torn, %u "
                 "refused; %u steps open\n",
                 (unsigned long long)p.done, (unsigned long long)p.badges, days.passed, taps, torn,
                 refused, open);
    days_say(1, refused == 0, "nobody is refused", &is_good);
    days_say(2, p.done == p.badges && p.badges == fleet.card_count, "every badge has the new key",
             &is_good);
    days_say(3, open == 0, "no step is left open", &is_good);
    days_say(4, needed == 0, "the old generation is not needed", &is_good);
    days_say(5, days_run(&days, "journal verify") == 0, "the journal verifies", &is_good);
    (void)printf("1..5\n");
    return is_good;
}

int main(int argc, char **argv)
{
    char dir[] = "/var/tmp/tessere-rotation-XXXXXX";
    char command[128];
    fleet_need(argc >= 3 && mkdtemp(dir) != NULL, "usage", "rotation TESSERE TESSERED [BADGES]");
    (void)signal(SIGPIPE, SIG_IGN);
    fleet_make(&fleet, dir, argv[1], argc > 3 ? (size_t)atoi(argv[3]) : BADGES, STATIONS);
    fleet_start(&fleet, argv[2]);
    days = (struct days){.fleet = &fleet, .tessere = argv[1], .tear_apdus = TEAR_APDUS};
    fleet_need(days_run(&days, "key rotate auth --yes") == 0, "the rotation", "failed");
    while (days.passed < PASSES && progress().done < fleet.card_count)
        days_pass(&days);
    fleet_stop(&fleet, false);
    bool is_good = judge();
    fleet_free(&fleet);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    is_good &= system(command) == 0; // NOLINT(cert-env33-c)
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
