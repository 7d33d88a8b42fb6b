/* One badge of a campaign, inside its tap's visit. */
#include <stdio.h>
#include <string.h>

#include "service/campaign.h"
#include "service/relay.h"

static_assert(SERVICE_CAMPAIGN_WINDOW == 64, "the window is one word");

/* The card left, or the station or the server went: nothing is wrong with the badge, and its next
 * tap goes on. */
static bool is_torn(enum b_code code)
{
    static const enum b_code codes[] = {B_E_CARD_REMOVED, B_E_CHANNEL,     B_E_NO_CARD,
                                        B_E_VAULT_GONE,   B_E_CANCELLED,   B_E_VAULT_BUSY,
                                        B_E_STORE_FULL,   B_E_STORE_LOCKED};
    for (size_t i = 0; i < B_COUNT(codes); i++)
        if (codes[i] == code)
            return true;
    return false;
}

struct result {
    const struct service_work *work;
    uint8_t roles;
    int64_t station;
    enum b_code code;
    struct store_badge *badge;
};

/* Every slot that was proved is at its target by now, or was already. */
static enum b_code take_keys(struct service_change *c, const struct result *k, struct b_err *err)
{
    const struct profile_state *s = &k->work->state;
    const struct profile *p = &k->work->job.profile;
    const struct profile_generations *gs = k->work->job.generations;
    enum b_code r = B_OK;
    for (uint8_t no = 0; r == B_OK && no < p->key_count; no++) {
        enum key_role role = p->keys[no].role;
        if (s->slots[no].kind != PROFILE_KEY_DIVERSIFIED || (k->roles >> role & 1) == 0)
            continue;
        k->badge->generation[role] = gs[role].target;
        r = service_settle_key(c, k->badge->uid, p->aid, no, err);
    }
    if (r == B_OK && s->card_key.kind == PROFILE_KEY_DIVERSIFIED) {
        k->badge->generation[KEY_ROLE_PICC] = gs[KEY_ROLE_PICC].target;
        r = service_settle_key(c, k->badge->uid, 0, 0, err);
    }
    return r;
}

static void count_try(struct store_campaign *k, bool has_failed)
{
    k->done += !has_failed;
    k->failed += has_failed;
    k->window = k->window << 1 | has_failed;
    k->window_count += k->window_count < SERVICE_CAMPAIGN_WINDOW;
}

static bool must_pause(const struct store_campaign *k)
{
    unsigned failed = (unsigned)__builtin_popcountll(k->window);
    return k->pause_percent != 0 && k->window_count >= SERVICE_CAMPAIGN_TRIES_LEAST &&
           failed * 100 >= k->pause_percent * k->window_count;
}

/* Its vouch goes into the entry that follows. */
static enum b_code count_campaigns(struct service_change *c, const struct result *k,
                                   struct b_err *err)
{
    struct store_campaign cs[KEY_ROLE_COUNT];
    size_t count = 0;
    enum b_code r = store_campaign_open(c->store, cs, &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if ((k->roles >> cs[i].role & 1) == 0 || cs[i].state != STORE_CAMPAIGN_RUNNING)
            continue;
        count_try(&cs[i], k->code != B_OK);
        bool pauses = must_pause(&cs[i]);
        if (pauses) {
            cs[i].state = STORE_CAMPAIGN_PAUSED;
            cs[i].changed_at = c->now;
            (void)snprintf(cs[i].why, sizeof(cs[i].why), SERVICE_CAMPAIGN_WHY,
                           __builtin_popcountll(cs[i].window), cs[i].window_count,
                           b_code_name(k->code));
        }
        r = store_campaign_put(c->store, &cs[i], err);
        service_vouch_campaign(c, &cs[i]);
        if (r == B_OK && pauses)
            r = service_log(
                c,
                (struct service_entry){.kind = "campaign-pause",
                                       .outcome = k->code,
                                       .detail = json_pack("{s:I, s:s}", "campaign",
                                                           (json_int_t)cs[i].id, "why", cs[i].why)},
                err);
    }
    return r;
}

enum b_code service_note_try(struct service_change *c, const struct service_try *k,
                             struct b_err *err)
{
    struct store_rekey last = {.tries = 0};
    enum b_code r = store_rekey_get(c->store, k->badge_id, &last, err);
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    struct store_rekey now = {.badge_id = k->badge_id,
                              .roles = k->roles,
                              .tries = k->code == B_OK ? 0 : last.tries + 1,
                              .station_id = k->station_id,
                              .at = c->now};
    (void)snprintf(now.outcome, sizeof(now.outcome), "%s", b_code_name(k->code));
    r = store_rekey_put(c->store, &now, err);
    service_vouch_rekey(c, &now);
    return r;
}

static enum b_code note_result(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct result *k = ctx;
    const struct service_try tried = {k->badge->id, k->station, k->roles, k->code};
    enum b_code r = store_badge_by_id(c->store, k->badge->id, k->badge, err);
    if (r == B_OK && k->code == B_OK)
        r = take_keys(c, k, err);
    if (r == B_OK && k->code == B_OK)
        r = store_badge_put(c->store, k->badge, err);
    if (r == B_OK && !is_torn(k->code))
        r = count_campaigns(c, k, err);
    if (r == B_OK && !is_torn(k->code))
        r = service_note_try(c, &tried, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){
            .kind = "rekey", .outcome = k->code, .badge = k->badge, .station_id = k->station},
        err);
}

/* The badge is the store's word, never the card's: the key that it proves is this badge's. */
static void fill_job(struct profile_job *job, const struct store_badge *b, uint8_t roles)
{
    static const uint8_t none[sizeof(b->uid)];
    job->rekey_roles = roles;
    job->ev_hint = (enum df_ev)b->ev;
    job->uid_len = b_ct_eq(b->uid, none, sizeof(none)) ? 0 : sizeof(b->uid);
    memcpy(job->uid, b->uid, sizeof(b->uid));
    job->serial_len = b->serial_len;
    memcpy(job->serial, b->serial, b->serial_len);
}

enum b_code service_rekey(struct service *sv, struct channel *ch, int64_t badge_id,
                          int64_t station_id, struct store_badge *ret_badge, struct b_err *err)
{
    struct b_err failed;
    uint32_t pace = 0;
    struct service_work *w = service_work_new(sv, PROFILE_GOAL_REKEY, ch, err);
    if (w == NULL)
        return err->code;
    struct result k = {.work = w, .station = station_id, .badge = ret_badge};
    enum b_code r = store_badge_by_id(sv->store, badge_id, ret_badge, err);
    if (r == B_OK)
        r = service_judge_badge(ret_badge, err);
    if (r == B_OK)
        r = service_campaign_wants(sv, ret_badge, &k.roles, &pace, err);
    if (r == B_OK && k.roles != 0) {
        fill_job(&w->job, ret_badge, k.roles);
        k.code = service_relay(sv, ch, w, NULL, NULL, NULL, err);
        r = service_change(sv, note_result, &k, &failed);
        if (r != B_OK)
            *err = failed;
        r = r == B_OK ? k.code : r;
    }
    service_work_free(&w);
    return r;
}
