/* What others encoded with a key common to all their badges, or derived from one; and taking it
 * over, at the desk and at taps. Their key counts as known for as long as a badge has it. */
#include <stdio.h>
#include <string.h>

#include "service/fleet.h"
#include "sim.h"

static struct b_err err;
static struct picc_memory copies[SIM_CARDS]; /* as others encoded them; somebody kept them */

/* The first: its version byte is the first generation's, which says nothing. */
static const struct desk_fleet fleets[] = {
    {.key = {.type = DF_KEY_AES, .version = 1, .bytes = {9, 8, 7}}, .diversification = ""},
    {.key = {.type = DF_KEY_2K3DES, .bytes = {2, 4, 6, 8, 10, 12, 14, 16, 18}},
     .diversification = "",
     .deletes = true},
    {.key = {.type = DF_KEY_2K3DES,
             .bytes = {2, 4, 6, 8, 10, 12, 14, 16, 2, 4, 6, 8, 10, 12, 14, 16}},
     .diversification = ""},
    {.key = {.type = DF_KEY_AES, .bytes = {5, 5, 5}},
     .diversification = "uid-reversed-aid-key",
     .deletes = true},
    [SIM_HIDDEN] = {.key = {.type = DF_KEY_2K3DES, .bytes = {2, 4, 6, 8, 10, 12, 14, 16, 18}},
                    .diversification = "",
                    .hides_uid = true},
    [SIM_HIDDEN_DERIVED] = {.key = {.type = DF_KEY_AES, .bytes = {5, 5, 5}},
                            .diversification = "uid-reversed-aid-key",
                            .deletes = true,
                            .hides_uid = true,
                            .uid_key = {.type = DF_KEY_AES, .bytes = {6, 6, 6}}},
};
/* Ours lives beside theirs, on a card whose own key is the factory's. */
static const struct desk_fleet beside[] = {{.key = {.type = DF_KEY_AES, .bytes = {9, 8, 7}},
                                            .diversification = "",
                                            .is_card_factory = true},
                                           {.key = {.type = DF_KEY_AES, .bytes = {9, 8, 7}},
                                            .diversification = "",
                                            .is_card_factory = true,
                                            .hides_uid = true}};

const struct desk_fleet *sim_fleet(unsigned n, bool is_guest)
{
    return is_guest ? &beside[n >= SIM_HIDDEN] : &fleets[n];
}

void sim_new_foreign_card(size_t i, enum df_ev ev)
{
    struct desk *d = sim.cards[i].desk;
    char uid[15], text[80];
    struct store_fleet_import list;
    sim_new_card(i, ev);
    desk_make_foreign(d, sim.fleet);
    copies[i] = d->picc.mem;
    sim.cards[i].is_listed = true;
    b_hex(uid, d->picc.mem.personality.uid, 7);
    int n = snprintf(text, sizeof(text), "uid,ref,name\n%s,of-%u,Jeanne Petit\n", uid, sim.chips);
    const struct service_fleet_list file = {.name = "list.csv", .text = text, .n = (size_t)n};
    (void)!service_fleet_import(sim.sv, &file, &list, &err);
}

void sim_make_foreign(size_t i)
{
    sim_new_foreign_card(i, (enum df_ev)(DF_EV1 + sim_draw(3)));
}

/* The work, on the card behind a channel; the expectations are the same wherever it was ordered. */
static enum b_code take_over(size_t i, struct channel *ch, const struct service_watch *watch,
                             struct b_err *e)
{
    struct sim_card *c = &sim.cards[i];
    const struct profile_job *job = &c->desk->job; /* it has what opens their badges */
    const struct service_others others = {
        .given = job->given, .given_count = job->given_count, .fleet = &job->fleet};
    struct store_badge b;
    enum b_code r = service_takeover(sim.sv, ch, &others, watch, &b, e);
    if (r == B_OK && !c->is_listed)
        sim_fail("card %zu is taken over, and no list names it", i);
    if (r == B_OK && (c->is_lost || (c->is_encoded && !c->may_be_blank)))
        sim_fail("card %zu is taken over though its badge %lld was not blanked", i,
                 (long long)c->badge);
    if (r == B_OK)
        c->is_stopped = c->is_unsure = false;
    sim_note_encoded(i, r == B_OK ? &b : NULL);
    return r;
}

void sim_take_over(size_t i)
{
    struct channel *ch = sim_channel(i);
    sim.last = take_over(i, ch, NULL, &err);
    channel_free(&ch);
}

static enum b_code admit(void *ctx, const uint8_t uid[static 7], struct b_err *e)
{
    (void)ctx;
    return service_fleet_wanted(sim.sv, uid, e);
}

/* As the route has it, but for the relay: the work is done as if the card were here. */
enum b_code sim_order_takeover(json_t **ret, struct b_err *e)
{
    static const struct service_watch watch = {.admit = admit};
    enum b_code r = service_fleet_shown(sim.sv, channel_card(sim.channel), e);
    if (r == B_OK)
        r = take_over(sim.on_reader, sim.channel, &watch, e);
    if (r == B_OK)
        *ret = json_pack("{s:s}", "state", "done");
    return sim_after(SIM_WIRE) && !sim.is_dead ? r : b_err_set(e, B_E_SERVER_GONE, 0, "simulated");
}

/* A takeover of this card was torn after the card had confirmed a key of ours, as the store has it.
 */
static bool has_confirmed(const struct sim_card *c)
{
    const uint8_t *uid = c->desk->picc.mem.personality.uid;
    struct store_badge b;
    struct store_intent step;
    bool is_confirmed = false;
    if (store_badge_by_uid(sim.sv->store, uid, &b, &err) != B_OK ||
        b.state != STORE_BADGE_ENROLLING)
        return false;
    for (int64_t id = 1; store_intent_by_id(sim.sv->store, id, &step, &err) == B_OK; id++) {
        if (!step.is_effective || memcmp(step.uid, uid, sizeof(step.uid)) != 0)
            continue;
        bool is_key = strncmp(step.action, "change-", 7) == 0 && strstr(step.action, "key") != NULL;
        bool is_end = strstr(step.action, "reset") != NULL ||
                      (strstr(step.action, "delete") != NULL && step.aid != DESK_OLD_AID) ||
                      strcmp(step.action, "format") == 0;
        if (is_key || is_end)
            is_confirmed = is_key && step.to_generation > 0;
    }
    return is_confirmed;
}

void sim_judge_copy(size_t i)
{
    static struct picc_memory mine;
    struct sim_card *c = &sim.cards[i];
    struct df_picc *picc = &c->desk->picc;
    bool is_taken = c->is_encoded && !c->may_be_blank && !c->is_unsure;
    if (!c->is_listed || (!is_taken && !has_confirmed(c)))
        return;
    const struct sim_card known = *c;
    mine = picc->mem;
    picc->mem = copies[i];
    sim_take_over(i);
    if (sim.last == B_OK)
        sim_fail("a copy of card %zu as others encoded it is taken over as badge %lld", i,
                 (long long)known.badge);
    (void)sim_run(sim_act_find("desk-tap"), i, (struct sim_fault){.cut = SIM_NOTHING});
    if (sim.last == B_OK)
        sim_fail("a copy of card %zu as others encoded it taps", i);
    picc->mem = mine;
    *c = known;
}
