/* What is done, and what must be true of each answer. What was acknowledged is remembered here. */
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "sim.h"

static struct b_err err;
static const struct agent_pin no_pin = {.ask = NULL};

/* --- at the desk -------------------------------------------------------------------------------
 */

void sim_note_encoded(size_t i, const struct store_badge *b)
{
    struct sim_card *c = &sim.cards[i];
    c->is_unsure |= b == NULL;
    if (b == NULL)
        return;
    c->badge = b->id;
    c->is_encoded = true;
    c->may_be_blank = false;
}

static void enrol(size_t i)
{
    struct sim_card *c = &sim.cards[i];
    struct store_badge b;
    char ref[32];
    struct channel *ch = sim_channel(i);
    (void)snprintf(ref, sizeof(ref), "%u-%u", (unsigned)i, (unsigned)(sim.acts % 1000000));
    const struct service_holder holder = {.ref = ref, .name = "Anne Martin"};
    enum b_code r = sim.last = service_enrol(sim.sv, ch, holder, NULL, &b, &err);
    channel_free(&ch);
    if (r == B_OK && (c->is_lost || (c->is_encoded && !c->may_be_blank)))
        sim_fail("card %zu is enrolled though its badge %lld was not blanked", i,
                 (long long)c->badge);
    if (r == B_OK)
        c->is_stopped = c->is_unsure = false;
    sim_note_encoded(i, r == B_OK ? &b : NULL);
}

static void repair(size_t i)
{
    struct sim_card *c = &sim.cards[i];
    struct store_badge b;
    struct channel *ch = sim_channel(i);
    enum b_code r = sim.last = service_repair(sim.sv, ch, NULL, &b, &err);
    channel_free(&ch);
    if (r == B_OK && c->is_lost)
        sim_fail("card %zu is repaired though badge %lld was revoked", i, (long long)c->badge);
    sim_note_encoded(i, r == B_OK ? &b : NULL);
}

static void blank(size_t i)
{
    struct sim_card *c = &sim.cards[i];
    struct store_badge b;
    struct channel *ch = sim_channel(i);
    c->may_be_blank = true;
    enum b_code r = sim.last = service_blank(sim.sv, ch, NULL, &b, &err);
    channel_free(&ch);
    c->is_unsure |= r != B_OK;
    if (r != B_OK)
        return;
    bool was_lost = c->is_lost;
    *c = (struct sim_card){.desk = c->desk, .is_listed = c->is_listed};
    if (was_lost) /* its card is not enrolled again */
        sim_new_card(i, (enum df_ev)(DF_EV1 + sim_draw(3)));
}

static void scan(size_t i)
{
    static struct profile_state state;
    static struct profile_plan plan;
    struct store_badge b;
    struct channel *ch = sim_channel(i);
    const struct service_others none = {.given_count = 0};
    (void)!service_scan(sim.sv, ch, &none, &state, &plan, &b, &err);
    channel_free(&ch);
}

/* --- taps --------------------------------------------------------------------------------------
 */

/* Of the card's own word: what a tap must come to, when nothing is in its way. */
static bool is_welcome(const struct sim_card *c)
{
    const struct picc_app *a = desk_app(c->desk);
    if (c->badge == 0 || !c->is_encoded || c->is_lost || c->is_stopped || c->is_unsure ||
        c->may_be_blank || a == NULL)
        return false;
    int no = profile_key_no(&sim.sv->profile, KEY_ROLE_AUTH);
    return !sim.is_compromised[c->desk->picc.mem.keys[a->first_key + no].version];
}

static void judge_tap(size_t i, enum b_code r, bool was_welcome, uint64_t cuts)
{
    const struct sim_card *c = &sim.cards[i];
    sim.taps++;
    sim.refused += r != B_OK;
    if (r == B_OK && (c->is_lost || c->is_stopped))
        sim_fail("badge %lld taps though it is %s", (long long)c->badge,
                 c->is_lost ? "revoked" : "suspended");
    if (r == B_OK && desk_app(c->desk) == NULL)
        sim_fail("card %zu taps without our application", i);
    if (r != B_OK && was_welcome && cuts == sim.cuts)
        sim_fail("badge %lld is refused: %s, %.100s", (long long)c->badge, b_code_name(r), err.msg);
}

static void rekey(size_t i, struct channel *ch, const char *tap)
{
    const struct store_station ward = {.id = 1};
    struct store_badge b;
    int64_t badge = 0;
    if (service_tap_rekey(sim.server.taps, &ward, tap, &badge, &err) != B_OK)
        return;
    enum b_code r = service_rekey(sim.sv, ch, badge, ward.id, &b, &err);
    if (r == B_OK && badge != sim.cards[i].badge)
        sim_fail("badge %lld is re-keyed with the card of badge %lld", (long long)badge,
                 (long long)sim.cards[i].badge);
}

static void tap(size_t i)
{
    static struct agent_outcome outcome;
    static struct agent_self self;
    uint64_t cuts = sim.cuts;
    bool was_welcome = is_welcome(&sim.cards[i]);
    self = (struct agent_self){.aid = sim.sv->profile.aid, .serial_file = -1};
    self.key_no = (uint8_t)profile_key_no(&sim.sv->profile, KEY_ROLE_AUTH);
    for (uint8_t f = 0; f < sim.sv->profile.file_count; f++) {
        if (sim.sv->profile.files[f].content != PROFILE_CONTENT_SERIAL)
            continue;
        self.serial_file = sim.sv->profile.files[f].no;
        self.serial_length = CRYPTO_SERIAL_MAX;
    }
    struct channel *ch = sim_channel(i);
    enum b_code r = sim.last =
        agent_tap(NULL, &self, ch, (struct agent_wish){.challenge = "", .reader = ""}, &no_pin,
                  &outcome, &err);
    judge_tap(i, r, was_welcome, cuts);
    sim.channel = ch;
    outcome.code = r;
    if (r == B_OK && outcome.rekey[0] != '\0')
        rekey(i, ch, outcome.rekey);
    else if (r != B_OK && agent_takeover(NULL, ch, NULL, &outcome))
        sim.last = B_OK;
    channel_free(&ch);
}

static void desk_taps(size_t i)
{
    struct store_badge b;
    struct profile_tap t;
    struct service_legs legs;
    uint64_t cuts = sim.cuts;
    bool was_welcome = is_welcome(&sim.cards[i]);
    struct channel *ch = sim_channel(i);
    enum b_code r = sim.last = service_tap(sim.sv, ch, &b, &t, &legs, &err);
    channel_free(&ch);
    judge_tap(i, r, was_welcome, cuts);
}

/* --- decisions ---------------------------------------------------------------------------------
 */

static void revoke(size_t i)
{
    struct sim_card *c = &sim.cards[i];
    if (c->badge == 0)
        return;
    enum b_code r = sim.last = service_revoke(sim.sv, c->badge, "lost", &err);
    c->is_lost |= r == B_OK;
    c->is_unsure |= r != B_OK;
}

static void suspend(size_t i)
{
    struct sim_card *c = &sim.cards[i];
    if (c->badge == 0)
        return;
    enum b_code r = sim.last = service_suspend(sim.sv, c->badge, "leave", &err);
    c->is_stopped |= r == B_OK;
    c->is_unsure |= r != B_OK;
}

static void reinstate(size_t i)
{
    struct sim_card *c = &sim.cards[i];
    if (c->badge == 0)
        return;
    enum b_code r = sim.last = service_reinstate(sim.sv, c->badge, &err);
    c->is_stopped &= r != B_OK;
    c->is_unsure |= r != B_OK;
}

enum { GENERATIONS_MOST = 50 };

static size_t generations(struct store_generation *gs, size_t cap)
{
    size_t n = 0;
    return store_generation_list(sim.sv->store, gs, cap, &n, &err) == B_OK ? n : cap;
}

static void rotate(size_t i)
{
    struct store_generation gs[GENERATIONS_MOST];
    struct store_generation g;
    (void)i;
    if (generations(gs, B_COUNT(gs)) < B_COUNT(gs))
        (void)!service_rotate(sim.sv, (enum key_role)sim_draw(KEY_ROLE_COUNT), &g, &err);
}

static enum b_code note_compromise(struct service_change *c, void *ctx, struct b_err *e)
{
    struct store_generation *g = ctx;
    g->state = STORE_GENERATION_COMPROMISED;
    g->compromised_at = c->now;
    enum b_code r = store_generation_put(c->store, g, e);
    return r == B_OK
               ? service_log(c, (struct service_entry){.kind = "key-state", .generation = g}, e)
               : r;
}

/* As a quorum would have it: never the one in use. */
static void compromise(size_t i)
{
    struct store_generation gs[GENERATIONS_MOST];
    size_t n = generations(gs, B_COUNT(gs));
    (void)i;
    for (size_t k = 0; k < n; k++) {
        if (gs[k].role != KEY_ROLE_AUTH || gs[k].state != STORE_GENERATION_RETIRING)
            continue;
        sim.is_compromised[gs[k].generation] = true; /* asked for: nothing is promised any more */
        (void)!service_change(sim.sv, note_compromise, &gs[k], &err);
        return;
    }
}

static void turn_campaign(size_t i)
{
    struct store_campaign cs[KEY_ROLE_COUNT];
    size_t n = 0;
    (void)i;
    if (store_campaign_open(sim.sv->store, cs, &n, &err) != B_OK || n == 0)
        return;
    struct store_campaign *k = &cs[sim_draw((uint32_t)n)];
    if (k->state == STORE_CAMPAIGN_PAUSED)
        (void)!service_campaign_resume(sim.sv, k->id, k, &err);
    else
        (void)!service_campaign_pause(sim.sv, k->id, "simulated", k, &err);
}

static void let_time_pass(size_t i)
{
    (void)i;
    bool jumps_back = sim_draw(8) == 0;
    sim.now_us +=
        jumps_back ? -INT64_C(1000000) * sim_draw(3600) : INT64_C(1000000) * sim_draw(2 * 86400);
}

/* Another card for this person: the former lies in a drawer. */
static void swap(size_t i)
{
    sim_new_card(i, (enum df_ev)(DF_EV1 + sim_draw(3)));
}

const struct sim_act sim_acts[] = {
    {"tap", 520, tap},
    {"desk-tap", 60, desk_taps},
    {"enrol", 220, enrol},
    {"repair", 60, repair},
    {"blank", 40, blank},
    {"scan", 30, scan},
    {"revoke", 25, revoke},
    {"suspend", 30, suspend},
    {"reinstate", 40, reinstate},
    {"rotate", 12, rotate},
    {"compromise", 6, compromise},
    {"campaign", 14, turn_campaign},
    {"time", 35, let_time_pass},
    {"swap", 18, swap},
    {"of-others", 24, sim_make_foreign},
    {"takeover", 50, sim_take_over},
};
const size_t sim_act_count = B_COUNT(sim_acts);

const struct sim_act *sim_act_find(const char *name)
{
    for (size_t i = 0; i < sim_act_count; i++)
        if (strcmp(sim_acts[i].name, name) == 0)
            return &sim_acts[i];
    return NULL;
}

unsigned sim_run(const struct sim_act *act, size_t card, struct sim_fault fault)
{
    return sim_run_twice_cut(act, card, (struct sim_fault[]){fault, {.cut = SIM_NOTHING}});
}

unsigned sim_run_twice_cut(const struct sim_act *act, size_t card,
                           const struct sim_fault faults[static 2])
{
    memcpy(sim.faults, faults, sizeof(sim.faults));
    sim.on_reader = card;
    sim.crossings = 0;
    sim.is_torn = sim.has_no_token = sim.has_no_disk = false;
    sim.acts++;
    sim.last = B_OK;
    act->run(card);
    unsigned crossings = sim.crossings;
    memset(sim.faults, 0, sizeof(sim.faults));
    sim.is_torn = sim.has_no_token = sim.has_no_disk = false;
    sim_restart();
    return crossings;
}
