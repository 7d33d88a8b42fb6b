/* The tap: authenticate first, then decide, write it down durably, and only then answer. */
#include <stdio.h>
#include <string.h>

#include "service/relay.h"

/* What the store remembers saves exchanges; it decides nothing. */
static void hint(struct service *sv, struct service_work *w)
{
    struct store_badge b;
    struct b_err ignored;
    if (w->job.uid_len != 7 || store_badge_by_uid(sv->store, w->job.uid, &b, &ignored) != B_OK)
        return;
    w->job.ev_hint = (enum df_ev)b.ev;
    w->job.auth_hint = b.generation[KEY_ROLE_AUTH];
    bool is_known = memchr(w->job.generations[KEY_ROLE_AUTH].known, w->job.auth_hint,
                           w->job.generations[KEY_ROLE_AUTH].known_count) != NULL;
    if (!is_known)
        w->job.auth_hint = 0;
}

static enum b_code find(struct service *sv, const struct profile_tap *tap, struct store_badge *ret,
                        struct b_err *err)
{
    if (tap->serial_len > 0)
        return store_badge_by_serial(sv->store, tap->serial, tap->serial_len, ret, err);
    return store_badge_by_uid(sv->store, tap->uid, ret, err);
}

enum b_code service_judge_badge(const struct store_badge *b, struct b_err *err)
{
    static const enum b_code reasons[] = {
        [STORE_BADGE_ENROLLING] = B_E_BADGE_NOT_ENROLLED, [STORE_BADGE_ACTIVE] = B_OK,
        [STORE_BADGE_SUSPENDED] = B_E_BADGE_SUSPENDED,    [STORE_BADGE_REVOKED] = B_E_BADGE_REVOKED,
        [STORE_BADGE_BLANKED] = B_E_BADGE_UNKNOWN,
    };
    enum b_code r = reasons[b->state];
    if (r == B_OK)
        return B_OK;
    const char *because = b->reason[0] != '\0' ? b_err_word(": ") : "";
    return b_err_set(err, r, 0, "badge %lld of %s%s%s", (long long)b->id, b->holder_name, because,
                     b->reason);
}

/* Whose badge it is: somebody who was suspended, or has left, has none that opens. */
static enum b_code judge_holder(struct store *s, const struct store_badge *b, struct b_err *err)
{
    struct store_holder h;
    enum b_code r = store_holder_by_ref(s, b->holder_ref, &h, err);
    if (r != B_OK)
        return r == B_E_NOT_FOUND ? B_OK : r;
    if (h.state == STORE_PARTY_SUSPENDED)
        return b_err_set(err, B_E_HOLDER_SUSPENDED, 0, "%s", h.name);
    return h.state == STORE_PARTY_ENDED ? b_err_set(err, B_E_HOLDER_LEFT, 0, "%s", h.name) : B_OK;
}

struct outcome {
    const struct profile *profile;
    enum b_code code;
    struct store_badge *badge;
    const struct profile_tap *tap;
    struct b_err cause;
};

static enum b_code note_tap(struct service_change *c, void *ctx, struct b_err *err)
{
    struct outcome *o = ctx;
    struct store_badge *b = o->badge;
    bool is_known = b->id != 0;
    json_t *personal = NULL;
    /* As it is now: what was acknowledged since the card was asked counts. */
    enum b_code r = is_known ? store_badge_by_id(c->store, b->id, b, err) : B_OK;
    if (r == B_OK && o->code == B_OK)
        o->code = service_judge_badge(b, &o->cause);
    if (r == B_OK && is_known && o->code == B_OK)
        o->code = judge_holder(c->store, b, &o->cause);
    if (r != B_OK)
        return r;
    if (o->code == B_OK) {
        b->tapped_at = c->now;
        b->tapped_station = 0;
        b->generation[KEY_ROLE_AUTH] = o->tap->generation;
        r = store_badge_put(c->store, b, err);
        if (r == B_OK)
            r = service_settle_tapped(c, o->profile, b, err);
    }
    if (r != B_OK)
        return r;
    if (!is_known) {
        char uid[15] = "";
        b_hex(uid, o->tap->uid, o->tap->uid_len);
        personal = json_pack("{s:s}", "uid", uid);
    }
    return service_log(
        c,
        (struct service_entry){
            .kind = "tap", .outcome = o->code, .badge = is_known ? b : NULL, .personal = personal},
        err);
}

/* Writes the outcome down; an outcome that cannot be written is not an outcome. */
static enum b_code record(struct service *sv, enum b_code outcome, struct store_badge *b,
                          const struct profile_tap *tap, struct b_err *err)
{
    struct b_err failed;
    struct outcome o = {.profile = &sv->profile, .code = outcome, .badge = b, .tap = tap};
    enum b_code r = service_change(sv, note_tap, &o, &failed);
    if (r != B_OK)
        *err = failed;
    else if (outcome == B_OK && o.code != B_OK)
        *err = o.cause;
    return r != B_OK ? r : o.code;
}

enum b_code service_tap(struct service *sv, struct channel *ch, struct store_badge *ret_badge,
                        struct profile_tap *ret_tap, struct service_legs *ret_legs,
                        struct b_err *err)
{
    uint32_t start = service_now_us();
    *ret_badge = (struct store_badge){0};
    struct service_work *w = service_work_new(sv, PROFILE_GOAL_TAP, ch, err);
    if (w == NULL)
        return err->code;
    hint(sv, w);
    enum b_code r = service_relay(sv, ch, w, NULL, NULL, NULL, err);
    uint32_t decide = service_now_us();
    if (r == B_OK) {
        r = find(sv, &w->tap, ret_badge, err);
        if (r == B_E_NOT_FOUND)
            r = b_err_set(err, B_E_BADGE_UNKNOWN, 0,
                          "the badge has our keys, but the store does not know it");
        if (r == B_OK)
            r = service_judge_badge(ret_badge, err);
    } else if (w->job.uid_len == 7) {
        struct b_err ignored;
        w->tap.uid_len = 7;
        memcpy(w->tap.uid, w->job.uid, 7);
        (void)!store_badge_by_uid(sv->store, w->job.uid, ret_badge, &ignored);
    }
    r = record(sv, r, ret_badge, &w->tap, err);
    *ret_tap = w->tap;
    *ret_legs = w->legs;
    ret_legs->decide_us = service_now_us() - decide;
    ret_legs->total_us = service_now_us() - start;
    service_work_free(&w);
    return r;
}
