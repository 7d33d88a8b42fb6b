/* What must hold. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "service/verify.h"
#include "sim.h"

static struct b_err err;

void sim_fail(const char *fmt, ...)
{
    va_list args;
    if (sim.failed[0] != '\0')
        return; /* the first tells most */
    va_start(args, fmt);
    (void)vsnprintf(sim.failed, sizeof(sim.failed), fmt, args);
    va_end(args);
}

/* --- the chip ----------------------------------------------------------------------------------
 */

const struct picc_key *sim_key_at(const struct sim_card *c, size_t n, enum key_role *ret_role)
{
    const struct picc_app *a = desk_app(c->desk);
    *ret_role = KEY_ROLE_PICC;
    if (n == 0)
        return &c->desk->picc.mem.master;
    if (a == NULL || n > a->key_count || n > sim.sv->profile.key_count)
        return NULL;
    *ret_role = sim.sv->profile.keys[n - 1].role;
    return &c->desk->picc.mem.keys[a->first_key + n - 1];
}

enum sim_level sim_level(const struct sim_card *c, const struct picc_key *k)
{
    static const struct picc_key none;
    if (k == NULL || memcmp(k, &none, sizeof(none)) == 0)
        return SIM_FACTORY;
    if (memcmp(k, &c->desk->before, sizeof(*k)) == 0)
        return SIM_OTHERS;
    return k->version != 0 ? SIM_OWN : SIM_FACTORY;
}

static void judge_keys(size_t i)
{
    struct sim_card *c = &sim.cards[i];
    enum key_role role = KEY_ROLE_PICC;
    const char *lost = desk_lost_key(c->desk);
    if (lost != NULL)
        sim_fail("card %zu has a key that nobody can compute: %s", i, lost);
    for (size_t n = 0; n <= PICC_KEYS; n++) {
        const struct picc_key *k = sim_key_at(c, n, &role);
        enum sim_level level = sim_level(c, k);
        if (level == SIM_OWN && !sim.has_key[role][k->version])
            sim_fail("card %zu has a key of %s %u, which the token has not", i, key_role_name(role),
                     k->version);
        if (c->may_be_blank)
            c->best[n] = (uint8_t)level;
        if (level < c->best[n])
            sim_fail("card %zu had a better key in place %zu, and has not any more", i, n);
        c->best[n] = level > c->best[n] ? (uint8_t)level : c->best[n];
    }
}

static void judge_shared(size_t i)
{
    enum key_role role = KEY_ROLE_PICC;
    const struct picc_key *mine = NULL;
    for (size_t n = 0; (mine = sim_key_at(&sim.cards[i], n, &role)) != NULL; n++) {
        bool is_own = sim_level(&sim.cards[i], mine) == SIM_OWN;
        for (size_t j = 0; is_own && j < SIM_CARDS; j++) {
            const struct picc_key *other = NULL;
            for (size_t m = 0; (other = sim_key_at(&sim.cards[j], m, &role)) != NULL; m++)
                if (other != mine && memcmp(other->bytes, mine->bytes, 16) == 0)
                    sim_fail("cards %zu and %zu share a key", i, j);
        }
    }
}

/* --- what was acknowledged ---------------------------------------------------------------------
 */

/* What was asked and not answered may have been done, or not: the store says. */
static void ask_store(struct sim_card *c)
{
    struct store_badge b;
    if (store_badge_by_uid(sim.sv->store, c->desk->picc.mem.personality.uid, &b, &err) != B_OK)
        return;
    c->badge = b.state != STORE_BADGE_BLANKED ? b.id : 0;
    c->is_lost = b.state == STORE_BADGE_REVOKED;
    c->is_stopped = b.state == STORE_BADGE_SUSPENDED;
    c->is_encoded = b.state == STORE_BADGE_ACTIVE || b.state == STORE_BADGE_SUSPENDED;
    c->is_unsure = b.state == STORE_BADGE_ENROLLING;
}

static void judge_acknowledged(size_t i)
{
    const struct sim_card *c = &sim.cards[i];
    struct store_badge b;
    if (c->badge == 0 || c->is_unsure)
        return;
    enum b_code r = store_badge_by_id(sim.sv->store, c->badge, &b, &err);
    if (r != B_OK) {
        sim_fail("badge %lld was acknowledged and is gone", (long long)c->badge);
        return;
    }
    enum store_badge_state wanted = c->is_lost      ? STORE_BADGE_REVOKED
                                    : c->is_stopped ? STORE_BADGE_SUSPENDED
                                                    : STORE_BADGE_ACTIVE;
    if (b.state != wanted)
        sim_fail("badge %lld is %s, and was acknowledged as %s", (long long)c->badge,
                 store_badge_state_name(b.state), store_badge_state_name(wanted));
}

void sim_judge_card(size_t i)
{
    struct sim_card *c = &sim.cards[i];
    judge_keys(i);
    judge_shared(i);
    judge_acknowledged(i);
    if (c->is_unsure)
        ask_store(c);
}

/* --- after reconciliation ----------------------------------------------------------------------
 */

static void must(enum b_code r, size_t i, const char *what)
{
    if (r != B_OK)
        sim_fail("card %zu: %s: %s, %.120s", i, what, b_code_name(r), err.msg);
}

static void judge_agreement(size_t i, const struct store_badge *b)
{
    enum key_role role = KEY_ROLE_PICC;
    const struct picc_key *k = NULL;
    struct store_intent open[4];
    size_t count = 0;
    for (size_t n = 0; (k = sim_key_at(&sim.cards[i], n, &role)) != NULL; n++) {
        bool is_ours = n != 0 || !sim.sv->profile.is_guest;
        if (is_ours && b->generation[role] != k->version)
            sim_fail("card %zu has %s %u, the store says %u", i, key_role_name(role), k->version,
                     b->generation[role]);
        if (is_ours && sim_level(&sim.cards[i], k) != SIM_OWN)
            sim_fail("card %zu is said to conform, and its %s is none of its own", i,
                     key_role_name(role));
    }
    must(store_intent_open(sim.sv->store, b->uid, open, B_COUNT(open), &count, &err), i, "steps");
    if (count > 0)
        sim_fail("card %zu: %zu steps stay open", i, count);
}

/* What cannot be blanked, and is refused before anything is changed: where another's application
 * needs the card's key, and that the serial in ours; and a badge that was revoked while it was
 * taken over, before the card's key was ours. */
static bool must_stay(const struct sim_card *c, enum b_code code)
{
    bool has_serial = strcmp(sim.sv->profile.diversification, "serial") == 0;
    if (code == B_E_CARD_BLOCKED)
        return has_serial && desk_old_app(c->desk) != NULL;
    return code == B_E_CARD_FOREIGN && c->is_lost &&
           sim_level(c, &c->desk->picc.mem.master) == SIM_OTHERS;
}

/* What a takeover that was torn has left goes on where the card is. */
static void go_on(size_t i)
{
    if (sim.goes_on == NULL) {
        sim_take_over(i);
        return;
    }
    (void)sim_run(sim_act_find(sim.goes_on), i, (struct sim_fault){.cut = SIM_NOTHING});
    if (sim.last != B_OK)
        sim_fail("card %zu: %s does not go on with its takeover: %s", i, sim.goes_on,
                 b_code_name(sim.last));
}

static void reconcile(size_t i)
{
    struct sim_card *c = &sim.cards[i];
    struct store_badge b;
    ask_store(c);
    if (c->badge == 0)
        return;
    bool is_left = c->may_be_blank || c->is_lost;
    if (c->is_listed && c->is_unsure) /* perhaps a takeover that was torn: it goes on first */
        go_on(i);
    struct channel *ch = sim_channel(i);
    if (is_left) {
        c->may_be_blank = true;
        enum b_code r = service_blank(sim.sv, ch, NULL, &b, &err);
        bool stays = must_stay(c, r);
        must(stays ? B_OK : r, i, "blanking");
        if (!stays && desk_app(c->desk) != NULL)
            sim_fail("card %zu is not blank", i);
    } else {
        must(service_repair(sim.sv, ch, NULL, &b, &err), i, "repairing");
        if (sim.failed[0] == '\0')
            judge_agreement(i, &b);
    }
    channel_free(&ch);
    ask_store(c);
}

void sim_judge_settled(size_t i)
{
    struct sim_card *c = &sim.cards[i];
    bool was_lost = c->is_lost;
    sim_judge_copy(i);
    reconcile(i);
    if (sim.failed[0] == '\0' && c->badge != 0 && !c->may_be_blank && !c->is_lost && !c->is_stopped)
        (void)sim_run(sim_act_find("tap"), i, (struct sim_fault){.cut = SIM_NOTHING});
    judge_keys(i);
    if (sim.failed[0] == '\0')
        sim_judge_copy(i);
    if (was_lost || c->may_be_blank)
        sim_new_card(i, c->desk->picc.mem.personality.ev);
}

void sim_judge_journal(void)
{
    const struct service_verify what = {.finess = "750712184"};
    struct service_verified found = {.entries = 0};
    enum b_code r = service_verify(sim.sv->store, &what, &found, &err);
    if (r != B_OK)
        sim_fail("the journal: %s, %.160s", b_code_name(r), err.msg);
    sim.verified += found.entries;
}

void sim_judge_all(void)
{
    for (size_t i = 0; i < SIM_CARDS && sim.failed[0] == '\0'; i++)
        sim_judge_settled(i);
    if (sim.failed[0] == '\0')
        sim_judge_journal();
}
