/*
 * Every cut of a piece of work: of the act itself, of an act that was cut already (the card left,
 * and then the process died while it dealt with that), and of the work that mends it.
 *
 * What a cut leaves is a state. Where two cuts leave the same, what follows is the same: each state
 * is gone on from once, and every cut of what follows is made from there. That is not sampling: all
 * pairs are covered, and those that begin in a state that was seen are not run again. Nor are two
 * deaths of the process between which nothing changed that lasts.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { DEPTH_MOST = 4, STATES_MOST = 20000, CARD = 0, NEIGHBOUR = 1 };

struct work {
    const char *name, *prepare; /* what was done before, undisturbed; or NULL */
    bool rotates;               /* and then every role is rotated */
    bool is_of_others;          /* the card is one that others encoded */
    const char *act, *mend;
};
static const struct work works[] = {
    {"enrol", NULL, false, false, "enrol", "repair"},
    {"re-key at a tap", "enrol", true, false, "tap", "tap"},
    {"repair after a rotation", "enrol", true, false, "repair", "repair"},
    {"blank", "enrol", false, false, "blank", "blank"},
    {"takeover at the desk", NULL, false, true, "takeover", "takeover"},
    {"takeover at a tap", NULL, false, true, "tap", "tap"},
};

static const struct {
    bool is_guest;
    const char *diversification, *stored, *name;
    unsigned fleet;
} kinds[] = {
    {false, "uid-aid-system", "", "owned", 0},
    {true, "uid-aid-system", "", "guest", 0},
    {false, "serial", "", "owned, serial", 0},
    {true, "serial", "", "guest, serial", 0},
    {false, "uid-aid-system", "picc,app,auth,read,write", "owned, stored keys", 0},
    {false, "uid-aid-system", "auth,write", "owned, auth and write stored", 0},
    {true, "serial", "auth:2", "guest, serial, auth stored from generation 2 on", 0},
    /* and for takeovers, from others than those with an AES key */
    {false, "uid-aid-system", "", "owned, from 3DES", 1},
    {false, "uid-aid-system", "", "owned, from DES", 2},
    {false, "uid-aid-system", "", "owned, from derived keys", 3},
    {false, "serial", "", "owned, serial, from random UIDs", SIM_HIDDEN_DERIVED},
    {true, "serial", "", "guest, serial, from random UIDs", SIM_HIDDEN},
};

static const struct sim_fault none = {.cut = SIM_NOTHING};

/* How a state is come to: acts, each with up to two cuts. */
struct node {
    struct sim_fault path[DEPTH_MOST][2];
    unsigned depth;
    unsigned long count; /* of the ways that were seen to lead here */
    uint8_t digest[32];
};

struct cases {
    const struct work *work;
    const struct sim_exhaust *how;
    struct node *nodes;
    size_t node_count;
    struct node *ways; /* each that was gone to a first cut, whatever state that left */
    size_t way_count;
    unsigned long first, twice; /* cuts of the work, and of the work that was cut already */
    unsigned long covered, run; /* cuts of what mends it */
    unsigned long checked;      /* pairs, of those that were left out and of the others */
    char name[96];
};

static unsigned marks[B_COUNT(sim.marks)]; /* of the act that is cut, undisturbed */

/* --- acts --------------------------------------------------------------------------------------
 */

static void make_world(const struct cases *k, size_t kind, enum df_ev ev)
{
    const struct work *w = k->work;
    const struct sim_kind made = {.is_guest = kinds[kind].is_guest,
                                  .diversification = kinds[kind].diversification,
                                  .stored = kinds[kind].stored,
                                  .fleet = sim_fleet(kinds[kind].fleet, kinds[kind].is_guest)};
    sim_make(1, &made);
    sim.goes_on = w->is_of_others ? w->mend : NULL;
    for (size_t i = CARD; i <= NEIGHBOUR; i++) {
        if (w->is_of_others)
            sim_new_foreign_card(i, ev);
        else
            sim_new_card(i, ev);
    }
    if (w->prepare != NULL)
        (void)sim_run(sim_act_find(w->prepare), CARD, none);
    (void)sim_run(sim_act_find(w->is_of_others ? w->act : "enrol"), NEIGHBOUR, none);
    for (enum key_role role = 0; w->rotates && role < KEY_ROLE_COUNT; role++) {
        struct store_generation g;
        struct b_err err;
        b_check(service_rotate(sim.sv, role, &g, &err) == B_OK);
    }
    sim_keep(CARD);
}

/* The work, and from then on what mends it: nothing is repaired that no store knows. */
static const struct sim_act *next_act(const struct cases *k, unsigned at)
{
    const struct work *w = k->work;
    bool is_begun = w->prepare != NULL || sim.cards[CARD].badge != 0;
    return sim_act_find(at > 0 && is_begun ? w->mend : w->act);
}

static unsigned act(const struct cases *k, unsigned at, const struct sim_fault faults[static 2])
{
    unsigned crossings = sim_run_twice_cut(next_act(k, at), CARD, faults);
    sim_judge_card(CARD);
    return crossings;
}

static void tell(const struct cases *k, const struct node *n)
{
    (void)printf("# %s:", k->name);
    for (unsigned i = 0; i < n->depth; i++)
        for (unsigned j = 0; j < 2 && n->path[i][j].cut != SIM_NOTHING; j++)
            (void)printf(" %s%s %s crossing %u,",
                         i == 0   ? ""
                         : j == 0 ? "then "
                                  : "and ",
                         sim_cut_names[n->path[i][j].cut], n->path[i][j].after ? "after" : "before",
                         n->path[i][j].at);
    (void)printf(" %s\n", sim.failed);
}

static bool is_good(const struct cases *k, const struct node *n)
{
    if (sim.failed[0] != '\0')
        tell(k, n);
    return sim.failed[0] == '\0';
}

/* --- states ------------------------------------------------------------------------------------
 */

static struct node *find(const struct cases *k, const uint8_t digest[static 32])
{
    for (size_t i = 0; i < k->node_count; i++)
        if (memcmp(k->nodes[i].digest, digest, 32) == 0)
            return &k->nodes[i];
    return NULL;
}

/* All that must hold of a state once it is mended undisturbed. */
static void settle(void)
{
    sim_judge_settled(CARD);
    if (sim.failed[0] == '\0')
        sim_judge_journal();
}

/* Goes the way of a node, but for its last act; then that. Returns the last act's crossings. */
static unsigned walk(struct cases *k, struct node *n)
{
    unsigned crossings = 0;
    uint64_t deaths = 0;
    sim_go_back();
    for (unsigned i = 0; i < n->depth && sim.failed[0] == '\0'; i++) {
        deaths = sim.deaths;
        crossings = act(k, i, n->path[i]);
    }
    sim_digest(CARD, sim.deaths != deaths, n->digest);
    return crossings;
}

/* One way: a state that was seen is counted, a new one is settled and kept. */
static unsigned take(struct cases *k, struct node *n)
{
    unsigned crossings = walk(k, n);
    struct node *seen = sim.failed[0] == '\0' ? find(k, n->digest) : NULL;
    if (n->depth == 1) {
        b_check(k->way_count < STATES_MOST);
        k->ways[k->way_count++] = *n;
    }
    if (seen != NULL) {
        seen->count += seen->depth == n->depth;
        return crossings;
    }
    b_check(k->node_count < STATES_MOST);
    n->count = 1;
    k->nodes[k->node_count++] = *n;
    if (sim.failed[0] == '\0')
        settle();
    return crossings;
}

/* --- cuts --------------------------------------------------------------------------------------
 */

enum { WAYS = 4 }; /* tear or crash, before it took effect or after, at each crossing */

static struct sim_fault nth_fault(unsigned n)
{
    static const enum sim_cut cuts[] = {SIM_TEAR, SIM_CRASH};
    return (struct sim_fault){.cut = cuts[n / 2 % 2], .after = n % 2 == 1, .at = n / WAYS + 1};
}

/* Whether the process died with the same on card and disk when it was cut just before. */
static bool is_same_death(struct sim_fault f)
{
    unsigned at = 2 * f.at + f.after;
    b_check(at < B_COUNT(marks));
    return f.cut == SIM_CRASH && at > 2 && marks[at] == marks[at - 1];
}

/* What is done about a tear is cut too: nothing is done after a crash. */
static bool cut_again(struct cases *k, const struct sim_fault *f, unsigned crossings)
{
    for (unsigned n = WAYS * f->at; n < WAYS * crossings; n += k->how->each) {
        struct node node = {.path = {{*f, nth_fault(n)}}, .depth = 1};
        (void)take(k, &node);
        k->twice++;
        if (!is_good(k, &node))
            return false;
    }
    return true;
}

static bool cut_work(struct cases *k)
{
    struct node whole = {.depth = 1};
    unsigned crossings = walk(k, &whole);
    memcpy(marks, sim.marks, sizeof(marks));
    (void)take(k, &whole);
    if (!is_good(k, &whole))
        return false;
    for (unsigned n = 0; n < WAYS * crossings; n += k->how->each) {
        struct node node = {.path = {{nth_fault(n)}}, .depth = 1};
        unsigned reached = take(k, &node);
        k->first++;
        if (!is_good(k, &node))
            return false;
        if (node.path[0][0].cut == SIM_TEAR && !cut_again(k, &node.path[0][0], reached))
            return false;
    }
    return true;
}

/* Every cut of the act that follows on a state. */
static bool cut_mending(struct cases *k, size_t at)
{
    struct node node = k->nodes[at];
    unsigned long ways = k->nodes[at].count;
    node.depth++;
    unsigned crossings = walk(k, &node);
    memcpy(marks, sim.marks, sizeof(marks));
    (void)take(k, &node);
    for (unsigned n = (unsigned)at % k->how->stride; n < WAYS * crossings && is_good(k, &node);
         n += k->how->stride) {
        struct node next = node;
        next.path[next.depth - 1][0] = nth_fault(n);
        k->covered += ways;
        if (k->how->stride == 1 && is_same_death(nth_fault(n)))
            continue;
        (void)take(k, &next);
        k->run++;
        if (!is_good(k, &next))
            return false;
    }
    return sim.failed[0] == '\0';
}

/* States that are found on the way are gone on from in their turn, to the depth that is wanted. */
static bool cut_all(struct cases *k)
{
    bool is_whole = cut_work(k);
    for (size_t i = 0; is_whole && i < k->node_count; i++)
        if (k->nodes[i].depth < k->how->depth)
            is_whole = cut_mending(k, i);
    return is_whole;
}

/* That what is left out leads nowhere else: each way to a first cut is gone, and from there every
 * stride-th cut of the mending is made, whether its state was seen or not. */
static bool check_left_out(struct cases *k)
{
    for (size_t i = 0; i < k->way_count; i += k->how->check) {
        struct node node = k->ways[i];
        node.depth++;
        unsigned crossings = walk(k, &node);
        for (unsigned n = (unsigned)i % k->how->check; n < WAYS * crossings; n += k->how->check) {
            node.path[1][0] = nth_fault(n);
            (void)walk(k, &node);
            k->checked++;
            if (sim.failed[0] == '\0' && find(k, node.digest) == NULL)
                sim_fail("a state that was not seen, though this pair was left out");
            if (!is_good(k, &node))
                return false;
        }
        memset(node.path[1], 0, sizeof(node.path[1]));
    }
    return true;
}

/* --- kinds -------------------------------------------------------------------------------------
 */

struct totals {
    unsigned kinds, failed;
    unsigned long first, twice, states, covered, run;
};

static void report(const struct cases *k, bool is_whole, struct totals *t)
{
    size_t deepest = 0;
    for (size_t i = 0; i < k->node_count; i++)
        deepest += k->nodes[i].depth == k->how->depth;
    t->kinds++;
    t->failed += !is_whole;
    t->first += k->first;
    t->twice += k->twice;
    t->states += k->node_count;
    t->covered += k->covered;
    t->run += k->run;
    (void)printf(
        "%sok %u - %s: %lu cuts, %lu of work that was cut already; %zu states, %zu of them "
        "new after the last cut; %lu pairs with a cut of the mending, %lu of them run\n",
        is_whole ? "" : "not ", t->kinds, k->name, k->first, k->twice, k->node_count, deepest,
        k->covered, k->run);
    if (k->checked > 0)
        (void)printf("# %lu pairs run without leaving one out: no other state\n", k->checked);
    (void)fflush(stdout);
}

/* Whether the work is done with this kind, and its name is one that is asked for. */
static bool is_wanted(struct cases *k, size_t kind, enum df_ev ev)
{
    (void)snprintf(k->name, sizeof(k->name), "%s, EV%d, %s", k->work->name, (int)ev,
                   kinds[kind].name);
    return (kinds[kind].fleet == 0 || k->work->is_of_others) &&
           fnmatch(k->how->only, k->name, 0) == 0;
}

typedef void kind_fn(struct cases *k, struct totals *t);

static void each_kind(const struct sim_exhaust *how, struct totals *t, kind_fn *fn)
{
    struct node *nodes = calloc(STATES_MOST, sizeof(*nodes));
    struct node *ways = calloc(STATES_MOST, sizeof(*ways));
    b_check(nodes != NULL && ways != NULL);
    for (size_t i = 0; i < B_COUNT(works); i++) {
        for (size_t kind = 0; kind < B_COUNT(kinds); kind++) {
            for (enum df_ev ev = DF_EV1; ev <= DF_EV3; ev++) {
                struct cases k = {.work = &works[i], .how = how, .nodes = nodes, .ways = ways};
                if (!is_wanted(&k, kind, ev))
                    continue;
                make_world(&k, kind, ev);
                fn(&k, t);
                sim_drop();
            }
        }
    }
    free(nodes);
    free(ways);
}

static void cut_kind(struct cases *k, struct totals *t)
{
    bool is_whole = cut_all(k);
    if (is_whole && k->how->check > 0)
        is_whole = check_left_out(k);
    report(k, is_whole, t);
}

int sim_exhaust(const struct sim_exhaust *how)
{
    struct totals t = {.kinds = 0};
    b_check(how->depth <= DEPTH_MOST);
    each_kind(how, &t, cut_kind);
    (void)printf(
        "1..%u\n# %lu cuts, %lu of work that was cut already; %lu states; %lu pairs, %lu of "
        "them run\n",
        t.kinds, t.first, t.twice, t.states, t.covered, t.run);
    return t.failed == 0 && t.kinds > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- bytes -------------------------------------------------------------------------------------
 */

static void tear_kind(struct cases *k, struct totals *t)
{
    sim.tears_bytes = true;
    (void)sim_run(next_act(k, 0), CARD, none);
    t->kinds++;
    t->failed += sim.failed[0] != '\0';
    (void)printf(
        "%sok %u - %s: torn at each byte of each frame, %llu times as if nothing had come, "
        "%llu times as if all had %s\n",
        sim.failed[0] != '\0' ? "not " : "", t->kinds, k->name, (unsigned long long)sim.bytes_none,
        (unsigned long long)sim.bytes_all, sim.failed);
}

int sim_tear_bytes(const char *only)
{
    const struct sim_exhaust how = {.only = only};
    struct totals t = {.kinds = 0};
    each_kind(&how, &t, tear_kind);
    (void)printf("1..%u\n", t.kinds);
    return t.failed == 0 && t.kinds > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
