#include "service/campaign.h"

#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "service/json.h"
#include "service/relay.h"

/* --- the campaign ------------------------------------------------------------------------------
 */

static enum b_code put(struct service_change *c, struct store_campaign *k, const char *kind,
                       struct b_err *err)
{
    k->changed_at = c->now;
    enum b_code r = store_campaign_put(c->store, k, err);
    if (r != B_OK)
        return r;
    service_vouch_campaign(c, k);
    return service_log(c,
                       (struct service_entry){
                           .kind = kind,
                           .detail = json_pack(
                               "{s:I, s:s, s:i, s:s, s:i, s:i, s:s}", "campaign", (json_int_t)k->id,
                               "role", key_role_name(k->role), "generation", (int)k->generation,
                               "state", store_campaign_state_name(k->state), "pace", (int)k->pace,
                               "pause_percent", (int)k->pause_percent, "why", k->why)},
                       err);
}

static void forget_tries(struct store_campaign *k)
{
    k->window = 0;
    k->window_count = 0;
}

static enum b_code find_open(struct store *s, enum key_role role, struct store_campaign *ret,
                             struct b_err *err)
{
    struct store_campaign cs[KEY_ROLE_COUNT];
    size_t count = 0;
    enum b_code r = store_campaign_open(s, cs, &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if (cs[i].role != role)
            continue;
        *ret = cs[i];
        return B_OK;
    }
    return r == B_OK ? B_E_NOT_FOUND : r;
}

enum b_code service_note_campaign(struct service_change *c, enum key_role role, uint8_t generation,
                                  struct b_err *err)
{
    struct store_campaign old;
    struct store_campaign k = {.role = role,
                               .generation = generation,
                               .pause_percent = SERVICE_CAMPAIGN_PAUSE_PERCENT,
                               .started_at = c->now};
    if (role >= KEY_ROLE_COUNT || generation <= 1)
        return B_OK; /* on no card; the first, to which nothing is brought */
    enum b_code r = find_open(c->store, role, &old, err);
    if (r == B_OK) {
        k.pace = old.pace;
        k.pause_percent = old.pause_percent;
        old.state = STORE_CAMPAIGN_ENDED;
        (void)snprintf(old.why, sizeof(old.why), N_("rotated again"));
        r = put(c, &old, "campaign-end", err);
    }
    return r == B_OK || r == B_E_NOT_FOUND ? put(c, &k, "campaign-start", err) : r;
}

enum b_code service_note_campaign_over(struct service_change *c, enum key_role role,
                                       struct b_err *err)
{
    static _Thread_local struct store_generation gs[STORE_GENERATIONS_MAX];
    struct store_campaign k;
    size_t count = 0;
    unsigned usable = 0;
    enum b_code r = store_generation_list(c->store, gs, B_COUNT(gs), &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++)
        usable += gs[i].role == role && gs[i].state != STORE_GENERATION_RETIRED &&
                  gs[i].state != STORE_GENERATION_PENDING;
    if (r != B_OK || usable > 1)
        return r;
    r = find_open(c->store, role, &k, err);
    if (r == B_E_NOT_FOUND)
        return B_OK;
    k.state = STORE_CAMPAIGN_ENDED;
    (void)snprintf(k.why, sizeof(k.why), N_("the former generation is retired"));
    return r == B_OK ? put(c, &k, "campaign-end", err) : r;
}

struct start {
    enum key_role role;
    struct store_campaign *ret;
};

static enum b_code note_start(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct start *k = ctx;
    const struct service sv = {.store = c->store};
    struct profile_generations gs;
    enum b_code r = find_open(c->store, k->role, k->ret, err);
    if (r == B_OK)
        return b_err_set(err, B_E_DUPLICATE, 0, "campaign %lld of role %s is under way",
                         (long long)k->ret->id, key_role_name(k->role));
    if (r == B_E_NOT_FOUND)
        r = service_generations_of(&sv, k->role, &gs, err);
    if (r == B_OK && gs.target <= 1)
        return b_err_set(err, B_E_REFUSED, 0, "role %s was never rotated", key_role_name(k->role));
    if (r == B_OK)
        r = service_note_campaign(c, k->role, gs.target, err);
    return r == B_OK ? find_open(c->store, k->role, k->ret, err) : r;
}

enum b_code service_campaign_start(struct service *sv, enum key_role role,
                                   struct store_campaign *ret, struct b_err *err)
{
    struct start k = {role, ret};
    return service_change(sv, note_start, &k, err);
}

/* --- what people do with it --------------------------------------------------------------------
 */

struct turn {
    int64_t id;
    const char *kind, *why;
    enum store_campaign_state to;
    const uint32_t *pace, *pause_percent; /* NULL: the state changes, not the limits */
    struct store_campaign *ret;
};

static bool may_turn(const struct turn *t, enum store_campaign_state from)
{
    if (t->pace != NULL || t->to == STORE_CAMPAIGN_ENDED)
        return from != STORE_CAMPAIGN_ENDED;
    return from ==
           (t->to == STORE_CAMPAIGN_PAUSED ? STORE_CAMPAIGN_RUNNING : STORE_CAMPAIGN_PAUSED);
}

static enum b_code note_turn(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct turn *t = ctx;
    struct store_campaign *k = t->ret;
    enum b_code r = store_campaign_by_id(c->store, t->id, k, err);
    if (r != B_OK)
        return r;
    if (!may_turn(t, k->state))
        return b_err_set(err, B_E_BADGE_STATE, 0, "campaign %lld is %s", (long long)k->id,
                         b_err_word(store_campaign_state_name(k->state)));
    if (t->pace != NULL) {
        k->pace = *t->pace;
        k->pause_percent = *t->pause_percent;
        return put(c, k, t->kind, err);
    }
    if (t->to == STORE_CAMPAIGN_RUNNING) {
        forget_tries(k);
        k->tries_from = c->now;
    }
    k->state = t->to;
    (void)snprintf(k->why, sizeof(k->why), "%s", t->why);
    return put(c, k, t->kind, err);
}

enum b_code service_campaign_pause(struct service *sv, int64_t id, const char *why,
                                   struct store_campaign *ret, struct b_err *err)
{
    struct turn t = {id, "campaign-pause", why, STORE_CAMPAIGN_PAUSED, NULL, NULL, ret};
    return service_change(sv, note_turn, &t, err);
}

enum b_code service_campaign_resume(struct service *sv, int64_t id, struct store_campaign *ret,
                                    struct b_err *err)
{
    struct turn t = {id, "campaign-resume", "", STORE_CAMPAIGN_RUNNING, NULL, NULL, ret};
    return service_change(sv, note_turn, &t, err);
}

enum b_code service_campaign_end(struct service *sv, int64_t id, struct store_campaign *ret,
                                 struct b_err *err)
{
    struct turn t = {id, "campaign-end", "", STORE_CAMPAIGN_ENDED, NULL, NULL, ret};
    return service_change(sv, note_turn, &t, err);
}

enum b_code service_campaign_limit(struct service *sv, int64_t id, uint32_t pace,
                                   uint32_t pause_percent, struct store_campaign *ret,
                                   struct b_err *err)
{
    struct turn t = {.id = id,
                     .kind = "campaign-limit",
                     .pace = &pace,
                     .pause_percent = &pause_percent,
                     .ret = ret};
    if (pause_percent > 100)
        return b_err_set(err, B_E_BAD_INPUT, 0, "pause-at: 0 to 100 per cent, not %u",
                         pause_percent);
    return service_change(sv, note_turn, &t, err);
}

/* --- at a tap ----------------------------------------------------------------------------------
 */

enum b_code service_campaign_wants(struct service *sv, const struct store_badge *b,
                                   uint8_t *ret_roles, uint32_t *ret_pace, struct b_err *err)
{
    struct store_campaign cs[KEY_ROLE_COUNT];
    struct store_rekey last;
    size_t count = 0;
    enum b_code r = store_campaign_open(sv->store, cs, &count, err);
    int64_t tries_from = 0;
    *ret_roles = 0;
    *ret_pace = 0;
    for (size_t i = 0; r == B_OK && i < count; i++) {
        const struct store_campaign *k = &cs[i];
        if (k->state != STORE_CAMPAIGN_RUNNING || b->generation[k->role] == k->generation)
            continue;
        *ret_roles = (uint8_t)(*ret_roles | 1u << k->role);
        if (k->pace != 0 && (*ret_pace == 0 || k->pace < *ret_pace))
            *ret_pace = k->pace;
        if (k->tries_from > tries_from)
            tries_from = k->tries_from;
    }
    if (r != B_OK || *ret_roles == 0)
        return r;
    r = store_rekey_get(sv->store, b->id, &last, err);
    if (r == B_OK && last.at >= tries_from && last.tries >= SERVICE_CAMPAIGN_BADGE_TRIES)
        *ret_roles = 0;
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* --- figures -----------------------------------------------------------------------------------
 */

bool service_campaign_lacks(const struct store_campaign *k, const struct store_badge *b)
{
    return b->state != STORE_BADGE_REVOKED && b->state != STORE_BADGE_BLANKED &&
           b->generation[k->role] != k->generation;
}

static json_t *counts(const struct store_progress *p)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "all", (json_int_t)p->badges, "done",
                     (json_int_t)p->done, "seen", (json_int_t)p->seen, "not_seen",
                     (json_int_t)p->not_seen, "failed", (json_int_t)p->failed);
}

static void add_part(void *ctx, const struct store_campaign_part *part)
{
    json_t *o = counts(&part->badges);
    (void)json_object_set_new(o, "at", json_string(store_campaign_place_name(part->at)));
    (void)json_object_set_new(o, "group", json_string(part->group));
    (void)json_array_append_new(ctx, o);
}

enum b_code service_campaign_figures(struct store *s, const struct store_campaign *k, json_t **ret,
                                     struct b_err *err)
{
    struct store_progress p;
    json_t *groups = json_array();
    enum b_code r = store_campaign_progress(s, k, &p, add_part, groups, err);
    if (r != B_OK) {
        json_decref(groups);
        return r;
    }
    *ret = service_json_campaign(k);
    (void)json_object_set_new(*ret, "badges", counts(&p));
    (void)json_object_set_new(*ret, "groups", groups);
    return B_OK;
}

/* --- what keeps a generation -------------------------------------------------------------------
 */

static bool count_badge(void *ctx, int64_t id)
{
    struct service_needed *k = ctx;
    uint8_t bytes[8];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    b_wr_be32(&w, (uint32_t)((uint64_t)id >> 32));
    b_wr_be32(&w, (uint32_t)id);
    crypto_sha256_two(k->digest, sizeof(k->digest), bytes, sizeof(bytes), k->digest);
    k->count++;
    return true;
}

enum b_code service_generation_needed(struct store *s, const struct profile *p, enum key_role role,
                                      uint8_t generation, struct service_needed *ret,
                                      struct b_err *err)
{
    bool is_card = role == KEY_ROLE_PICC;
    struct store_keys k = {
        .role = role,
        .generation = generation,
        .action =
            profile_step_name(is_card ? PROFILE_STEP_CHANGE_CARD_KEY : PROFILE_STEP_CHANGE_KEY),
        .aid = is_card ? 0 : p->aid,
        .nos = is_card ? 1 : 0,
    };
    for (size_t i = 0; i < p->key_count; i++)
        if (p->keys[i].role == role)
            k.nos |= 1u << p->keys[i].no;
    *ret = (struct service_needed){.count = 0};
    return store_badges_of_generation(s, &k, count_badge, ret, err);
}
