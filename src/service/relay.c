#include "service/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint32_t service_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint32_t)((uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u);
}

int64_t service_now(void)
{
    return (int64_t)time(NULL);
}

static void add_known(const struct store_generation *gs, size_t count,
                      enum store_generation_state state, struct profile_job *job)
{
    for (size_t i = count; i > 0; i--) {
        const struct store_generation *g = &gs[i - 1];
        struct profile_generations *to =
            g->role < KEY_ROLE_COUNT ? &job->generations[g->role] : NULL;
        if (to != NULL && g->state == state && to->known_count < PROFILE_GENERATIONS_MAX)
            to->known[to->known_count++] = g->generation;
    }
}

enum b_code service_generations(const struct service *sv, bool with_ended, struct profile_job *job,
                                struct b_err *err)
{
    static _Thread_local struct store_generation gs[STORE_GENERATIONS_MAX];
    size_t count = 0;
    enum b_code r = store_generation_list(sv->store, gs, B_COUNT(gs), &count, err);
    if (r != B_OK)
        return r;
    for (size_t i = count; i > 0; i--) {
        const struct store_generation *g = &gs[i - 1];
        if (g->role >= KEY_ROLE_COUNT)
            continue; /* no card has it */
        struct profile_generations *to = &job->generations[g->role];
        bool is_usable =
            g->state == STORE_GENERATION_ACTIVE || g->state == STORE_GENERATION_RETIRING;
        if (g->state == STORE_GENERATION_ACTIVE)
            to->target = g->generation;
        if (is_usable && to->known_count < PROFILE_GENERATIONS_MAX)
            to->known[to->known_count++] = g->generation;
    }
    /* A card that was torn, written off or revoked may have keys that ended since. There is room
     * for all but the retired ones (service_next_generation): these come last. */
    if (with_ended) {
        add_known(gs, count, STORE_GENERATION_COMPROMISED, job);
        add_known(gs, count, STORE_GENERATION_RETIRED, job);
    }
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
        if (job->generations[i].target == 0)
            return b_err_set(err, B_E_KEY_MISSING, 0, "no active generation of role %s",
                             key_role_name((enum key_role)i));
    }
    return B_OK;
}

enum b_code service_generations_of(const struct service *sv, enum key_role role,
                                   struct profile_generations *ret, struct b_err *err)
{
    static _Thread_local struct store_generation gs[STORE_GENERATIONS_MAX];
    size_t count = 0;
    *ret = (struct profile_generations){.target = 0};
    enum b_code r = store_generation_list(sv->store, gs, B_COUNT(gs), &count, err);
    for (size_t i = count; r == B_OK && i > 0; i--) {
        const struct store_generation *g = &gs[i - 1];
        bool is_active = g->state == STORE_GENERATION_ACTIVE;
        if (g->role != role || (!is_active && g->state != STORE_GENERATION_RETIRING))
            continue;
        if (is_active)
            ret->target = g->generation;
        if (ret->known_count < PROFILE_GENERATIONS_MAX)
            ret->known[ret->known_count++] = g->generation;
    }
    return r == B_OK && ret->target == 0
               ? b_err_set(err, B_E_KEY_MISSING, 0, "no active generation of role %s",
                           key_role_name(role))
               : r;
}

struct service_work *service_work_new(const struct service *sv, enum profile_goal goal,
                                      const struct channel *ch, struct b_err *err)
{
    struct service_work *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        (void)b_err_set(err, B_E_NO_MEMORY, 0, "preparing work on a card");
        return NULL;
    }
    const struct channel_card *card = channel_card(ch);
    w->job.goal = goal;
    w->job.profile = sv->profile;
    w->job.uid_len = card->uid_len;
    memcpy(w->job.uid, card->uid, card->uid_len);
    /* A generation that ended proves no badge where nobody looks at the card: others may have it.
     */
    bool is_at_taps = goal == PROFILE_GOAL_TAP || goal == PROFILE_GOAL_TAKEOVER;
    if (service_generations(sv, !is_at_taps, &w->job, err) != B_OK)
        service_work_free(&w);
    return w;
}

void service_work_free(struct service_work **w)
{
    if (*w == NULL)
        return;
    b_wipe((*w)->job.given, sizeof((*w)->job.given));
    free(*w);
    *w = NULL;
}

json_t *service_personal(const struct store_badge *b)
{
    char uid[15];
    b_hex(uid, b->uid, sizeof(b->uid));
    return json_pack("{s:s, s:s, s:s, s:s}", "holder", b->holder_ref, "name", b->holder_name,
                     "reason", b->reason, "uid", uid);
}

/* --- journalling of steps
 * ------------------------------------------------------------------------------ */

static void card_uid(const struct service_work *w, uint8_t uid[static 7])
{
    memset(uid, 0, 7);
    if (w->state.uid_len == 7)
        memcpy(uid, w->state.uid, 7);
    else if (w->job.uid_len == 7)
        memcpy(uid, w->job.uid, 7);
}

enum b_code service_end_intent(struct service_change *c, int64_t id, const char *kind,
                               struct b_err *err)
{
    struct store_intent i;
    enum b_code r = store_intent_effective(c->store, id, err);
    if (r == B_OK)
        r = store_intent_by_id(c->store, id, &i, err);
    if (r != B_OK)
        return r;
    service_vouch_intent(c, &i);
    return service_log(c, (struct service_entry){.kind = kind}, err);
}

enum b_code service_settle_intents(struct service_change *c, const uint8_t uid[static 7],
                                   struct b_err *err)
{
    struct store_intent open[16];
    size_t count = 0;
    enum b_code r = B_OK;
    do {
        r = store_intent_open(c->store, uid, open, B_COUNT(open), &count, err);
        for (size_t i = 0; r == B_OK && i < count; i++)
            r = service_end_intent(c, open[i].id, "step-settled", err);
    } while (r == B_OK && count == B_COUNT(open));
    return r;
}

struct confirmed {
    uint32_t aid;
    uint8_t no, generation;
};

/* The newest step decides that gave the key, or took it away together with what it was a key of.
 * Not the time: clocks are set back. */
static bool is_older_wanted(void *ctx, const struct store_intent *i)
{
    static const struct {
        enum profile_step_kind kind;
        bool gives, is_of_all_keys;
    } rows[] = {
        {PROFILE_STEP_CHANGE_KEY, true, false},         {PROFILE_STEP_CHANGE_CARD_KEY, true, true},
        {PROFILE_STEP_RESET_CARD_KEY, false, true},     {PROFILE_STEP_FORMAT, false, true},
        {PROFILE_STEP_DELETE_APPLICATION, false, true},
    };
    struct confirmed *k = ctx;
    for (size_t n = 0; i->aid == k->aid && n < B_COUNT(rows); n++) {
        bool is_about = rows[n].is_of_all_keys || i->no == k->no;
        if (!is_about || strcmp(i->action, profile_step_name(rows[n].kind)) != 0)
            continue;
        k->generation = rows[n].gives ? i->to_generation : KEY_GENERATION_FACTORY;
        return false;
    }
    return true;
}

enum b_code service_confirmed_key(const struct service *sv, const uint8_t uid[static 7],
                                  uint32_t aid, uint8_t no, uint8_t *ret, struct b_err *err)
{
    struct confirmed k = {.aid = aid, .no = no, .generation = KEY_GENERATION_FACTORY};
    enum b_code r = store_intent_each_done(sv->store, uid, is_older_wanted, &k, err);
    if (r == B_OK)
        *ret = k.generation;
    return r;
}

enum b_code service_settle_key(struct service_change *c, const uint8_t uid[static 7], uint32_t aid,
                               uint8_t no, struct b_err *err)
{
    struct store_intent open[16];
    size_t count = 0;
    const char *kind =
        profile_step_name(aid != 0 ? PROFILE_STEP_CHANGE_KEY : PROFILE_STEP_CHANGE_CARD_KEY);
    enum b_code r = store_intent_open(c->store, uid, open, B_COUNT(open), &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++)
        if (open[i].aid == aid && open[i].no == no && strcmp(open[i].action, kind) == 0)
            r = service_end_intent(c, open[i].id, "step-settled", err);
    return r;
}

enum b_code service_settle_tapped(struct service_change *c, const struct profile *p,
                                  const struct store_badge *b, struct b_err *err)
{
    return service_settle_key(c, b->uid, p->aid, (uint8_t)profile_key_no(p, KEY_ROLE_AUTH), err);
}

/* What took effect is written in the transaction of the next step: a crash in between leaves what a
 * crash before it would, and a card waits for half as many transactions. */
static enum b_code write_step(struct service_change *c, void *ctx, struct b_err *err)
{
    struct service_step *next = ctx;
    struct store_intent *i = &next->intent;
    enum b_code r =
        next->before != 0 ? service_end_intent(c, next->before, "step-done", err) : B_OK;
    if (r != B_OK || next->is_end)
        return r;
    r = store_intent_add(c->store, i, err);
    if (r != B_OK)
        return r;
    service_vouch_intent(c, i);
    return service_log(c,
                       (struct service_entry){.kind = "step-begin",
                                              .detail = json_pack("{s:s}", "step", i->action)},
                       err);
}

/* Takes over what took effect so far; past the last step that is all. */
static struct service_step describe(struct service_work *w, size_t step)
{
    const struct profile_step *s = &w->plan.steps[step];
    struct service_step next = {.step = step, .before = w->effect};
    w->effect = 0;
    next.is_end = step >= w->plan.step_count;
    if (next.is_end)
        return next;
    next.intent = (struct store_intent){.step = (uint32_t)step,
                                        .aid = s->aid,
                                        .no = s->no,
                                        .from_generation = s->from_generation,
                                        .to_generation = s->to_generation,
                                        .at = service_now()};
    struct store_intent *i = &next.intent;
    card_uid(w, i->uid);
    memcpy(i->plan_digest, w->plan.digest, sizeof(i->plan_digest));
    (void)snprintf(i->action, sizeof(i->action), "%s", profile_step_name(s->kind));
    return next;
}

/* The next step is written down while the card carries this one out. It is a step earlier than it
 * need be, and what this one follows is known to have taken effect a step later: a crash leaves one
 * open intent more, which the next inspection settles. Not so in a takeover, where what took effect
 * tells a badge from its copy. */
static void write_ahead(struct service *sv, struct service_work *w, size_t step)
{
    int64_t effect = w->effect;
    bool is_nothing = step >= w->plan.step_count && effect == 0;
    if (w->job.goal != PROFILE_GOAL_REACH || is_nothing)
        return;
    w->next = describe(w, step);
    w->ahead = service_writer_start(sv->writer, sv->asker, write_step, &w->next);
    if (w->ahead == NULL)
        w->effect = effect;
}

static enum b_code finish_ahead(struct service_work *w, struct b_err *err)
{
    if (w->ahead == NULL)
        return B_OK;
    enum b_code r = service_writer_finish(&w->ahead, err);
    if (!w->next.is_end)
        w->intents[w->next.step] = w->next.intent.id;
    return r;
}

/* The step's intent is durable when it returns. */
static enum b_code note_intent(struct service *sv, struct service_work *w, size_t step,
                               struct b_err *err)
{
    enum b_code r = finish_ahead(w, err);
    if (r == B_OK && w->intents[step] == 0) {
        struct service_step next = describe(w, step);
        r = service_change(sv, write_step, &next, err);
        w->intents[step] = next.intent.id;
    }
    if (r == B_OK)
        write_ahead(sv, w, step + 1);
    return r;
}

enum b_code service_note_first(struct service_change *c, struct service_work *w, struct b_err *err)
{
    struct service_step first = describe(w, 0);
    enum b_code r = write_step(c, &first, err);
    if (r == B_OK && !first.is_end)
        w->intents[0] = first.intent.id;
    return r;
}

enum b_code service_note_last(struct service_change *c, const struct service_work *w,
                              struct b_err *err)
{
    return w->effect != 0 ? service_end_intent(c, w->effect, "step-done", err) : B_OK;
}

/* The last effects, which no step follows. */
static enum b_code note_effect(struct service *sv, struct service_work *w, bool is_done,
                               struct b_err *err)
{
    enum profile_goal goal = w->job.goal;
    bool is_ended = is_done && (goal == PROFILE_GOAL_REACH || goal == PROFILE_GOAL_TAKEOVER ||
                                goal == PROFILE_GOAL_BLANK);
    enum b_code r = finish_ahead(w, err);
    if (r != B_OK || w->effect == 0 || is_ended)
        return r;
    struct service_step last = describe(w, w->plan.step_count);
    return service_change(sv, write_step, &last, err);
}

static enum b_code transmit(struct channel *ch, struct service_work *w, struct b_wr *rapdu,
                            struct b_err *err)
{
    uint32_t start = service_now_us();
    enum b_code r = channel_transmit(ch, b_rd_from(w->event.apdu, w->event.apdu_len), rapdu, err);
    struct service_legs *l = &w->legs;
    if (l->count < B_COUNT(l->card_us)) {
        l->vault_us[l->count] = w->event.vault_us;
        l->card_us[l->count++] = service_now_us() - start;
    }
    return r;
}

static bool has_master(const struct vault_key *keys, size_t count, enum key_role role,
                       uint8_t generation)
{
    for (size_t i = 0; i < count; i++)
        if (keys[i].role == role && keys[i].generation == generation)
            return true;
    return false;
}

/* Every master that the plan leads to is in the token, and the token answers: a card must not be
 * left half encoded because of what could be known before. */
static enum b_code check_masters(struct service *sv, const struct profile_job *job,
                                 struct b_err *err)
{
    enum { MASTERS_MAX = 256 };
    struct vault_key *keys = calloc(MASTERS_MAX, sizeof(*keys));
    size_t count = 0;
    if (keys == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "listing the master keys");
    enum b_code r = vault_key_list(sv->vault, keys, MASTERS_MAX, &count, err);
    for (size_t i = 0; r == B_OK && i <= job->profile.key_count; i++) {
        bool is_card = i == job->profile.key_count; /* after the application's, the card's own */
        enum key_role role = is_card ? KEY_ROLE_PICC : job->profile.keys[i].role;
        uint8_t target = job->generations[role].target;
        if (is_card && job->profile.is_guest)
            break;
        if (!has_master(keys, count, role, target))
            r = b_err_set(err, B_E_KEY_MISSING, 0, "role %s, generation %u", key_role_name(role),
                          target);
    }
    free(keys);
    return r;
}

static enum b_code on_planned(struct service *sv, struct service_work *w,
                              const struct service_watch *watch, service_planned_fn *planned,
                              void *ctx, struct b_err *err)
{
    w->plan = w->event.plan;
    w->is_planned = true;
    bool is_work = w->job.goal != PROFILE_GOAL_SCAN && !w->plan.is_blocked;
    enum b_code r = B_OK;
    if (is_work && planned != NULL)
        r = planned(ctx, w, false, err);
    if (r == B_OK && is_work &&
        (w->job.goal == PROFILE_GOAL_REACH || w->job.goal == PROFILE_GOAL_TAKEOVER))
        r = check_masters(sv, &w->job, err);
    if (r == B_OK && is_work && watch != NULL && watch->approve != NULL && w->plan.step_count > 0 &&
        !watch->approve(watch->ctx, &w->state, &w->plan))
        r = b_err_set(err, B_E_CANCELLED, 0, "the plan was not approved");
    if (r == B_OK && is_work && planned != NULL)
        r = planned(ctx, w, true, err);
    return r;
}

/* What an event asks of us before the session goes on. */
static enum b_code handle(struct service *sv, struct service_work *w,
                          const struct service_watch *watch, struct b_err *err)
{
    size_t step = w->event.step;
    bool is_effect = w->event.want == PROFILE_EFFECT;
    if (step >= w->plan.step_count)
        return b_err_set(err, B_E_VAULT_PROTOCOL, 0, "a step that the plan does not have");
    enum b_code r = is_effect ? B_OK : note_intent(sv, w, step, err);
    if (is_effect)
        w->effect = w->intents[step];
    if (r == B_OK && watch != NULL && watch->progress != NULL)
        watch->progress(watch->ctx, &w->plan, step, is_effect);
    return r;
}

/* --- stored keys -------------------------------------------------------------------------------
 */

static struct store_stored stored_of(const struct vault_stored *v)
{
    struct store_stored k = {.badge_len = v->badge_len,
                             .role = v->role,
                             .generation = v->generation,
                             .at = service_now()};
    static_assert(sizeof(k.badge) == sizeof(v->badge) && sizeof(k.wrapped) == sizeof(v->wrapped),
                  "as the vault gives them");
    memcpy(k.badge, v->badge, sizeof(k.badge));
    memcpy(k.wrapped, v->wrapped, sizeof(k.wrapped));
    return k;
}

static enum b_code add_stored(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_stored *k = ctx;
    enum b_code r = store_stored_add(c->store, k, err);
    if (r != B_OK)
        return r;
    service_vouch_stored(c, k);
    return service_log(
        c,
        (struct service_entry){.kind = "stored-key",
                               .detail = json_pack("{s:s, s:i}", "role", key_role_name(k->role),
                                                   "generation", (int)k->generation)},
        err);
}

/* The wrapped key, or nothing, which the vault takes for missing where it needs one. */
static enum b_code find_stored(struct store *s, const struct vault_stored *v, struct b_wr *out,
                               struct b_err *err)
{
    struct store_stored k = stored_of(v);
    enum b_code r = store_stored_get(s, &k, err);
    if (r == B_OK)
        b_wr_bytes(out, k.wrapped, sizeof(k.wrapped));
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* Gives the vault the key that it asks for, where there is one; one that it drew is durable before
 * the card can have it. */
static enum b_code hand_over(struct service *sv, const struct vault_stored *v, struct b_wr *answer,
                             struct b_err *err)
{
    struct store_stored k = stored_of(v);
    return v->is_new ? service_change(sv, add_stored, &k, err)
                     : find_stored(sv->store, v, answer, err);
}

enum b_code service_stored_for_tap(struct service *sv, struct vault_tap *v, struct b_err *err)
{
    const struct crypto_div_profile *rule = crypto_div_find(sv->profile.diversification);
    struct crypto_div_facts facts = {.uid_len = v->uid_len, .serial_len = v->serial_len};
    struct vault_stored k = {.role = KEY_ROLE_AUTH, .generation = v->generation};
    struct b_wr out = b_wr_from(v->stored, sizeof(v->stored));
    memcpy(facts.uid, v->uid, v->uid_len);
    memcpy(facts.serial, v->serial, v->serial_len);
    k.badge_len = (uint8_t)vault_stored_badge(rule, &facts, k.badge);
    enum b_code r = find_stored(sv->store, &k, &out, err);
    v->stored_len = (uint8_t)out.len;
    return r;
}

enum b_code service_relay(struct service *sv, struct channel *ch, struct service_work *w,
                          const struct service_watch *watch, service_planned_fn *planned, void *ctx,
                          struct b_err *err)
{
    uint8_t room[DF_RAPDU_MAX];
    struct b_wr rapdu = b_wr_from(room, sizeof(room));
    uint32_t session = 0;
    struct vault *vault = sv->desk_vault != NULL ? sv->desk_vault : sv->vault;
    enum b_code r = vault_session_open(vault, &w->job, b_rd_from(w->given, w->given_len), &session,
                                       &w->event, err);
    while (r == B_OK && w->event.want != PROFILE_DONE) {
        rapdu.len = 0;
        switch (w->event.want) {
        case PROFILE_TX:
            r = transmit(ch, w, &rapdu, err);
            break;
        case PROFILE_INSPECTED:
            w->state = w->event.state;
            break;
        case PROFILE_PLANNED:
            r = on_planned(sv, w, watch, planned, ctx, err);
            break;
        case PROFILE_INTENT:
        case PROFILE_EFFECT:
            r = handle(sv, w, watch, err);
            break;
        case PROFILE_AWAIT:
            r = hand_over(sv, &w->event.stored, &rapdu, err);
            break;
        case PROFILE_DONE:
        case PROFILE_FAILED:
            break;
        }
        if (r != B_OK)
            vault_session_close(vault, session);
        else
            r = vault_session_step(vault, session, b_wr_reader(&rapdu), &w->event, err);
    }
    if (r == B_OK)
        w->tap = w->event.tap;
    struct b_err second;
    enum b_code noted = note_effect(sv, w, r == B_OK, &second);
    if (r == B_OK && noted != B_OK) {
        *err = second;
        r = noted;
    }
    return r;
}
