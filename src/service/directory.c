/* What becomes of a person as the directory says it. */
#include "service/directory.h"

#include <stdio.h>
#include <string.h>

#include "service/relay.h"

enum b_code service_put_user(struct service_change *c, struct store_user *u,
                             const struct store_holder *h, const char *kind, struct b_err *err)
{
    static const char *const wishes[] = {"active", "disabled", "deleted"};
    u->changed_at = c->now;
    enum b_code r = store_user_put(c->store, u, err);
    if (r != B_OK)
        return r;
    service_vouch_user(c, u);
    return service_log(
        c,
        (struct service_entry){
            .kind = kind,
            .outcome = u->is_held ? B_E_DIRECTORY_HELD : B_OK,
            .holder = h,
            .detail = json_pack("{s:s, s:b}", "wish", wishes[u->wish], "held", (int)u->is_held),
            .personal = json_pack("{s:s, s:s, s:s}", "holder", h->ref, "name", h->name, "user",
                                  u->user_name),
            .subject = h->ref},
        err);
}

/* --- the end -----------------------------------------------------------------------------------
 */

struct badges {
    int64_t ids[64];
    size_t count;
    bool has_more;
};

static bool add_badge(void *ctx, const struct store_badge *b)
{
    struct badges *k = ctx;
    if (b->state == STORE_BADGE_REVOKED || b->state == STORE_BADGE_BLANKED)
        return true;
    k->has_more = k->count == B_COUNT(k->ids);
    if (!k->has_more)
        k->ids[k->count++] = b->id;
    return !k->has_more;
}

static enum b_code revoke_badges(struct service_change *c, const char *ref, struct b_err *err)
{
    struct badges k;
    enum b_code r = B_OK;
    do {
        k.count = 0;
        k.has_more = false;
        r = store_badge_of(c->store, ref, add_badge, &k, err);
        for (size_t i = 0; r == B_OK && i < k.count; i++)
            r = service_note_badge_state(c, k.ids[i], STORE_BADGE_REVOKED, "revoke",
                                         "the directory says that the person has left", err);
    } while (r == B_OK && k.has_more);
    return r;
}

enum b_code service_end_holder(struct service_change *c, struct store_holder *h, struct b_err *err)
{
    enum b_code r = revoke_badges(c, h->ref, err);
    return r == B_OK && h->state != STORE_PARTY_ENDED
               ? service_note_holder_state(c, h, STORE_PARTY_ENDED, "holder-leave", err)
               : r;
}

/* --- too many at once --------------------------------------------------------------------------
 */

enum b_code service_too_many_leave(struct store *s, const struct service_directory_rules *rules,
                                   int64_t now, int64_t more, bool *ret, struct b_err *err)
{
    enum { PERCENT = 5, LEAST = 10 };
    bool is_default = rules->guard_percent == 0 && rules->guard_least == 0;
    int64_t percent = is_default ? PERCENT : rules->guard_percent;
    int64_t least = is_default ? LEAST : rules->guard_least;
    struct store_user_counts k;
    enum b_code r = store_user_count(s, now - SERVICE_GUARD_SECONDS, &k, err);
    if (r != B_OK)
        return r;
    int64_t leaving = k.leaving + more;
    *ret = rules->holds_all || (leaving > least && leaving * 100 > k.staff * percent);
    return B_OK;
}

/* --- a wish ------------------------------------------------------------------------------------
 */

/* The person stops: suspended at once, and gone for good when the rules or the wish say so. */
static enum b_code stop(struct service_change *c, const struct service_directory_rules *rules,
                        struct store_user *u, struct store_holder *h, struct b_err *err)
{
    bool is_end = u->wish == STORE_WISH_DELETED ||
                  (rules->leaver == SERVICE_LEAVER_REVOKE && rules->grace_s == 0);
    u->is_held = false;
    u->ends_at = !is_end && rules->leaver == SERVICE_LEAVER_REVOKE ? c->now + rules->grace_s : 0;
    if (is_end) {
        u->is_stopped = false;
        enum b_code r = u->wish == STORE_WISH_DELETED ? service_leave_teams(c, u->id, err) : B_OK;
        return r == B_OK ? service_end_holder(c, h, err) : r;
    }
    if (h->state != STORE_PARTY_ACTIVE) /* somebody here stopped them: that is not ours to end */
        return B_OK;
    u->is_stopped = true;
    return service_note_holder_state(c, h, STORE_PARTY_SUSPENDED, "holder-suspend", err);
}

/* Who comes back: a suspension of the directory's ends. Who had left for good is a holder again,
 * without any of the badges from before. */
static enum b_code come_back(struct service_change *c, struct store_user *u, struct store_holder *h,
                             struct b_err *err)
{
    enum b_code r = B_OK;
    bool was_stopped = u->is_stopped;
    u->is_held = false;
    u->is_stopped = false;
    u->ends_at = 0;
    if (h->state == STORE_PARTY_ENDED) {
        r = revoke_badges(c, h->ref, err);
        return r == B_OK ? service_note_holder_state(c, h, STORE_PARTY_ACTIVE, "holder-rejoin", err)
                         : r;
    }
    if (h->state == STORE_PARTY_SUSPENDED && was_stopped)
        r = service_note_holder_state(c, h, STORE_PARTY_ACTIVE, "holder-reinstate", err);
    return r;
}

enum b_code service_note_wish(struct service_change *c, const struct service_directory_rules *rules,
                              struct store_user *u, struct store_holder *h, enum store_wish wish,
                              struct b_err *err)
{
    bool was_active = u->wish == STORE_WISH_ACTIVE;
    bool is_too_much = u->is_held; /* more of the same waits too */
    enum b_code r = B_OK;
    if (wish == STORE_WISH_ACTIVE) {
        u->wish = wish;
        u->wished_at = c->now;
        r = was_active ? B_OK : come_back(c, u, h, err);
        return r == B_OK ? service_put_user(c, u, h, "directory-put", err) : r;
    }
    if (was_active)
        r = service_too_many_leave(c->store, rules, c->now, 1, &is_too_much, err);
    if (r == B_OK && was_active)
        u->wished_at = c->now;
    bool is_news = u->wish != wish;
    u->wish = wish;
    if (r != B_OK)
        return r;
    if (is_too_much) {
        u->is_held = true;
        return service_put_user(c, u, h, "directory-held", err);
    }
    if (is_news)
        r = stop(c, rules, u, h, err);
    return r == B_OK ? service_put_user(c, u, h, "directory-put", err) : r;
}

/* --- acts of people here, and of time ----------------------------------------------------------
 */

struct some {
    const struct service_directory_rules *rules;
    int64_t ids[128];
    size_t count;
    bool is_refused;
};

static bool add_id(void *ctx, const struct store_user *u)
{
    struct some *k = ctx;
    if (k->count == B_COUNT(k->ids))
        return false;
    k->ids[k->count++] = u->id;
    return true;
}

static enum b_code release_one(struct service_change *c, const struct some *k, int64_t id,
                               struct b_err *err)
{
    struct store_user u;
    struct store_holder h;
    enum b_code r = store_user_by_id(c->store, id, &u, err);
    if (r == B_OK)
        r = store_holder_by_ref(c->store, u.ref, &h, err);
    if (r != B_OK)
        return r;
    if (k->is_refused) {
        u.is_held = false;
        u.wish = STORE_WISH_ACTIVE;
        return service_put_user(c, &u, &h, "directory-refuse", err);
    }
    r = stop(c, k->rules, &u, &h, err);
    return r == B_OK ? service_put_user(c, &u, &h, "directory-release", err) : r;
}

static enum b_code note_release(struct service_change *c, void *ctx, struct b_err *err)
{
    struct some *k = ctx;
    k->count = 0;
    enum b_code r = store_user_each(c->store, STORE_USER_HELD, 0, add_id, k, err);
    for (size_t i = 0; r == B_OK && i < k->count; i++)
        r = release_one(c, k, k->ids[i], err);
    return r;
}

/* Some at a time, so that taps do not wait for all of them. */
enum b_code service_directory_release(struct service *sv, bool is_refused, int64_t *ret,
                                      struct b_err *err)
{
    struct some k = {.rules = &sv->directory, .is_refused = is_refused};
    enum b_code r = B_OK;
    *ret = 0;
    do {
        r = service_change(sv, note_release, &k, err);
        *ret += r == B_OK ? (int64_t)k.count : 0;
    } while (r == B_OK && k.count > 0);
    return r;
}

static enum b_code note_ends(struct service_change *c, void *ctx, struct b_err *err)
{
    struct some *k = ctx;
    k->count = 0;
    enum b_code r = store_user_each(c->store, STORE_USER_ENDING, c->now, add_id, k, err);
    for (size_t i = 0; r == B_OK && i < k->count; i++) {
        struct store_user u;
        struct store_holder h;
        r = store_user_by_id(c->store, k->ids[i], &u, err);
        if (r == B_OK)
            r = store_holder_by_ref(c->store, u.ref, &h, err);
        if (r == B_OK)
            r = service_end_holder(c, &h, err);
        u.ends_at = 0;
        u.is_stopped = false;
        if (r == B_OK)
            r = service_put_user(c, &u, &h, "directory-end", err);
    }
    return r;
}

enum b_code service_directory_tick(struct service *sv, struct b_err *err)
{
    struct some k = {.rules = &sv->directory};
    enum b_code r = store_user_each(sv->store, STORE_USER_ENDING, service_now(), add_id, &k, err);
    return r == B_OK && k.count > 0 ? service_change(sv, note_ends, &k, err) : r;
}

struct verification {
    const char *ref;
    struct store_user *ret;
};

static enum b_code note_verified(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct verification *k = ctx;
    struct store_holder h;
    struct store_user *u = k->ret;
    enum b_code r = store_holder_by_ref(c->store, k->ref, &h, err);
    if (r == B_OK)
        r = store_user_by_id(c->store, h.id, u, err);
    if (r != B_OK)
        return r;
    if (u->wish == STORE_WISH_DELETED || u->national[0] == '\0')
        return b_err_set(err, B_E_NOT_FOUND, 0, "the directory gives no national identifier for %s",
                         k->ref);
    u->verified_at = c->now;
    return service_put_user(c, u, &h, "directory-verify", err);
}

enum b_code service_directory_verify(struct service *sv, const char *ref, struct store_user *ret,
                                     struct b_err *err)
{
    struct verification k = {ref, ret};
    return service_change(sv, note_verified, &k, err);
}
