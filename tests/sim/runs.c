/* The runs: operations drawn from seeds, and every cut of a piece of work. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { WORLD = 2000, CUT_PERCENT = 30, JUDGE_EVERY = 250 };

bool sim_tells;
static const char *const cut_names[] = {"nothing", "tear", "crash"};

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

/* One world; false when something does not hold. */
static bool live(uint64_t seed, unsigned acts)
{
    static const char *const diversifications[] = {"uid-aid-system", "serial"};
    static const char *const stored[] = {"", "auth:2,read", "picc,app,auth,read,write"};
    const struct sim_kind kind = {.is_guest = seed % 4 == 3,
                                  .diversification = diversifications[seed / 4 % 2],
                                  .stored = stored[seed % 3]};
    sim_make(seed, &kind);
    for (unsigned n = 1; n <= acts && sim.failed[0] == '\0'; n++) {
        const struct sim_act *act = draw_act();
        size_t card = sim_draw(SIM_CARDS);
        struct sim_fault f = draw_fault();
        (void)sim_run(act, card, f);
        if (sim_tells)
            (void)printf("# %u: %s, card %zu, %s %s crossing %u: %s\n", n, act->name, card,
                         cut_names[f.cut], f.after ? "after" : "before", f.at,
                         b_code_name(sim.last));
        sim_judge_card(card);
        if (n % JUDGE_EVERY == 0 && sim.failed[0] == '\0')
            sim_judge_all();
        if (sim.failed[0] != '\0')
            (void)printf("# seed %llu, operation %u: %s, card %zu, %s %s crossing %u: %s\n",
                         (unsigned long long)seed, n, act->name, card, cut_names[f.cut],
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

/* --- exhaustive --------------------------------------------------------------------------------
 */

struct work {
    const char *name, *prepare; /* what was done before, undisturbed; or NULL */
    bool rotates;               /* and then every role is rotated */
    const char *act, *mend;
};
static const struct work works[] = {
    {"enrol", NULL, false, "enrol", "repair"},
    {"re-key at a tap", "enrol", true, "tap", "tap"},
    {"repair after a rotation", "enrol", true, "repair", "repair"},
    {"blank", "enrol", false, "blank", "blank"},
};

static const struct sim_fault none = {.cut = SIM_NOTHING};

struct cases {
    const struct work *work;
    enum df_ev ev;
    struct sim_kind kind;
    unsigned each, stride;
    size_t card; /* of the next case; SIM_CARDS: a new world is needed */
    bool has_world;
    unsigned long first, second;
};

/* The card of the next case: in the state before the work, in a world that was rotated if need be.
 */
static size_t next_card(struct cases *k)
{
    const struct work *w = k->work;
    if (k->card < SIM_CARDS)
        return k->card++;
    if (k->has_world) {
        sim_judge_journal();
        sim_drop();
    }
    k->has_world = true;
    sim_make(k->first, &k->kind);
    for (size_t i = 0; i < SIM_CARDS; i++) {
        sim_new_card(i, k->ev);
        if (w->prepare != NULL)
            (void)sim_run(sim_act_find(w->prepare), i, none);
    }
    for (enum key_role role = 0; w->rotates && role < KEY_ROLE_COUNT; role++) {
        struct store_generation g;
        struct b_err err;
        b_check(service_rotate(sim.sv, role, &g, &err) == B_OK);
    }
    k->card = 1;
    return 0;
}

/* The work is cut at f, mended by work that is cut at g, and then left alone. Returns how many
 * crossings the work had, and those of its mending. */
static unsigned try(struct cases *k, struct sim_fault f, struct sim_fault g, unsigned *ret_mended)
{
    size_t card = next_card(k);
    unsigned n = sim_run(sim_act_find(k->work->act), card, f);
    sim_judge_card(card);
    bool is_known = sim.cards[card].badge != 0;
    const char *how = is_known || k->work->prepare != NULL ? k->work->mend : k->work->act;
    *ret_mended = sim_run(sim_act_find(how), card, g);
    sim_judge_card(card);
    sim_judge_settled(card);
    return n;
}

static struct sim_fault nth_fault(unsigned n)
{
    static const enum sim_cut cuts[] = {SIM_TEAR, SIM_CRASH};
    return (struct sim_fault){.cut = cuts[n / 2 % 2], .after = n % 2 == 1, .at = n / 4 + 1};
}

static void tell(const struct cases *k, struct sim_fault f, struct sim_fault g)
{
    (void)printf("# %s: %s %s crossing %u, then %s %s crossing %u: %s\n", k->work->name,
                 cut_names[f.cut], f.after ? "after" : "before", f.at, cut_names[g.cut],
                 g.after ? "after" : "before", g.at, sim.failed);
}

/* Every each-th cut of the work; and for it every stride-th cut of the mending. */
static bool cut_all(struct cases *k)
{
    unsigned mended = 0;
    unsigned whole = try(k, none, none, &mended);
    for (unsigned n = 0; n < 4 * whole && sim.failed[0] == '\0'; n += k->each) {
        struct sim_fault f = nth_fault(n);
        (void)try(k, f, none, &mended);
        k->first++;
        if (sim.failed[0] != '\0')
            tell(k, f, none);
        unsigned last = 4 * mended;
        for (unsigned m = n % k->stride; m < last && sim.failed[0] == '\0'; m += k->stride) {
            struct sim_fault g = nth_fault(m);
            unsigned ignored = 0;
            (void)try(k, f, g, &ignored);
            k->second++;
            if (sim.failed[0] != '\0')
                tell(k, f, g);
        }
    }
    if (sim.failed[0] == '\0')
        sim_judge_journal();
    if (sim.failed[0] != '\0')
        (void)printf("# %s\n", sim.failed);
    sim_drop();
    return sim.failed[0] == '\0';
}

int sim_exhaust(unsigned each, unsigned stride)
{
    static const struct {
        struct sim_kind kind;
        const char *name;
    } kinds[] = {{{false, "uid-aid-system", ""}, "owned"},
                 {{true, "uid-aid-system", ""}, "guest"},
                 {{false, "serial", ""}, "owned, serial"},
                 {{true, "serial", ""}, "guest, serial"},
                 {{false, "uid-aid-system", "picc,app,auth,read,write"}, "owned, stored keys"},
                 {{true, "serial", "auth:2"}, "guest, serial, auth stored from generation 2 on"}};
    unsigned long first = 0, second = 0;
    unsigned n = 0;
    bool is_good = true;
    (void)printf("1..%zu\n", B_COUNT(works) * B_COUNT(kinds) * 3);
    for (size_t i = 0; i < B_COUNT(works); i++) {
        for (size_t kind = 0; kind < B_COUNT(kinds); kind++) {
            for (enum df_ev ev = DF_EV1; ev <= DF_EV3; ev++) {
                struct cases k = {.work = &works[i],
                                  .ev = ev,
                                  .kind = kinds[kind].kind,
                                  .each = each,
                                  .stride = stride,
                                  .card = SIM_CARDS};
                bool is_whole = cut_all(&k);
                (void)printf("%sok %u - %s, EV%d, %s: %lu cuts, each mended; %lu of the mending\n",
                             is_whole ? "" : "not ", ++n, works[i].name, (int)ev, kinds[kind].name,
                             k.first, k.second);
                (void)fflush(stdout);
                is_good &= is_whole;
                first += k.first;
                second += k.second;
            }
        }
    }
    (void)printf("# %lu cuts, and %lu cuts of what mended them\n", first, second);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
