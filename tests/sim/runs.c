/* Operations drawn from seeds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { WORLD = 2000, CUT_PERCENT = 30, JUDGE_EVERY = 250 };

bool sim_tells;
const char *const sim_cut_names[] = {"nothing", "tear", "crash"};

/* --- drawn -------------------------------------------------------------------------------------
 */

static const struct sim_act *draw_act(void)
{
    unsigned all = 0;
    for (size_t i = 0; i < sim_act_count; i++)
        all += sim_acts[i].weight;
    unsigned at = sim_draw(all);
    size_t i = 0;
    while (at >= sim_acts[i].weight)
        at -= sim_acts[i++].weight;
    return &sim_acts[i];
}

static struct sim_fault draw_fault(void)
{
    if (sim_draw(100) >= CUT_PERCENT)
        return (struct sim_fault){.cut = SIM_NOTHING};
    return (struct sim_fault){.cut = sim_draw(3) == 0 ? SIM_CRASH : SIM_TEAR,
                              .after = sim_draw(2) == 1,
                              .at = 1 + sim_draw(sim_draw(2) == 0 ? 12 : 120)};
}

/* Cards that show a random UID want the serial. Not guests, which may be enrolled as well: an
 * enrolment has no key of others, and such a badge has no UID in the store to judge it by. */
static unsigned fleet_of(unsigned seed)
{
    return seed / 4 % 4 == 3 && seed % 4 != 3 ? SIM_HIDDEN + seed % 2 : seed * 3 / 4 % SIM_FLEETS;
}

/* One world; false when something does not hold. */
static bool live(uint64_t seed, unsigned acts)
{
    static const char *const diversifications[] = {"uid-aid-system", "serial"};
    static const char *const stored[] = {"", "auth:2,read", "picc,app,auth,read,write"};
    const struct sim_kind kind = {.is_guest = seed % 4 == 3,
                                  .diversification = diversifications[seed / 4 % 2],
                                  .stored = stored[seed % 3],
                                  .fleet = sim_fleet(fleet_of((unsigned)seed), seed % 4 == 3)};
    sim_make(seed, &kind);
    for (unsigned n = 1; n <= acts && sim.failed[0] == '\0'; n++) {
        const struct sim_act *act = draw_act();
        size_t card = sim_draw(SIM_CARDS);
        struct sim_fault f = draw_fault();
        (void)sim_run(act, card, f);
        if (sim_tells)
            (void)printf("# %u: %s, card %zu, %s %s crossing %u: %s\n", n, act->name, card,
                         sim_cut_names[f.cut], f.after ? "after" : "before", f.at,
                         b_code_name(sim.last));
        sim_judge_card(card);
        if (sim.failed[0] == '\0')
            sim_judge_copy(card);
        if (n % JUDGE_EVERY == 0 && sim.failed[0] == '\0')
            sim_judge_all();
        if (sim.failed[0] != '\0')
            (void)printf("# seed %llu, operation %u: %s, card %zu, %s %s crossing %u: %s\n",
                         (unsigned long long)seed, n, act->name, card, sim_cut_names[f.cut],
                         f.after ? "after" : "before", f.at, sim.failed);
    }
    if (sim.failed[0] == '\0')
        sim_judge_all();
    if (sim.failed[0] != '\0')
        (void)printf("# seed %llu: %s\n", (unsigned long long)seed, sim.failed);
    return sim.failed[0] == '\0';
}

struct totals {
    uint64_t acts, cuts, deaths, taps, refused, verified;
};

static void add(struct totals *t)
{
    t->acts += sim.acts;
    t->cuts += sim.cuts;
    t->deaths += sim.deaths;
    t->taps += sim.taps;
    t->refused += sim.refused;
    t->verified += sim.verified;
}

int sim_draw_runs(unsigned long operations, uint64_t seed)
{
    struct totals t = {.acts = 0};
    unsigned worlds = 0;
    bool is_good = true;
    for (; is_good && t.acts < operations; seed++, worlds++) {
        unsigned long left = operations - t.acts;
        is_good = live(seed, left < WORLD ? (unsigned)left : WORLD);
        add(&t);
        sim_drop();
    }
    (void)printf(
        "# %llu operations in %u worlds: %llu cuts, %llu deaths of the process, %llu taps, "
        "%llu of them refused, %llu entries verified\n",
        (unsigned long long)t.acts, worlds, (unsigned long long)t.cuts,
        (unsigned long long)t.deaths, (unsigned long long)t.taps, (unsigned long long)t.refused,
        (unsigned long long)t.verified);
    (void)printf("%sok 1 - nothing that must hold is broken\n1..1\n", is_good ? "" : "not ");
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
