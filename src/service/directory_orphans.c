/* Badges without people, people gone with badges, identities that nobody looked at for long. */
#include "service/directory.h"

struct report {
    struct store *store;
    int64_t now;
    void (*fn)(void *ctx, const struct service_orphan *o);
    void *ctx;
    enum b_code code;
    struct b_err *err;
};

const char *service_orphan_name(enum service_orphan_kind kind)
{
    static const char *const names[] = {"badge-without-person", "person-gone", "identity-old"};
    return names[kind];
}

static bool is_in_use(const struct store_badge *b)
{
    return b->state != STORE_BADGE_REVOKED && b->state != STORE_BADGE_BLANKED;
}

static bool look_at_badge(void *ctx, const struct store_badge *b)
{
    struct report *k = ctx;
    struct store_holder h;
    struct store_user u;
    struct service_orphan o = {.badge = b->id,
                               .ref = b->holder_ref,
                               .name = b->holder_name,
                               .state = store_badge_state_name(b->state),
                               .at = b->created_at};
    if (!is_in_use(b))
        return true;
    k->code = store_holder_by_ref(k->store, b->holder_ref, &h, k->err);
    if (k->code == B_OK)
        k->code = store_user_by_id(k->store, h.id, &u, k->err);
    if (k->code == B_E_NOT_FOUND) {
        k->code = B_OK;
        k->fn(k->ctx, &o);
    } else if (k->code == B_OK && (u.wish != STORE_WISH_ACTIVE || h.state == STORE_PARTY_ENDED)) {
        o.kind = SERVICE_ORPHAN_PERSON;
        o.at = u.wish != STORE_WISH_ACTIVE ? u.wished_at : 0;
        k->fn(k->ctx, &o);
    }
    return k->code == B_OK;
}

static bool look_at_identity(void *ctx, const struct store_user *u)
{
    const struct report *k = ctx;
    const struct service_orphan o = {.kind = SERVICE_ORPHAN_IDENTITY,
                                     .ref = u->ref,
                                     .name = u->name,
                                     .state = store_party_state_name(u->state),
                                     .at = u->verified_at};
    if (u->wish == STORE_WISH_ACTIVE && u->national[0] != '\0' &&
        u->verified_at + SERVICE_VERIFY_SECONDS <= k->now)
        k->fn(k->ctx, &o);
    return true;
}

enum b_code service_orphans(struct store *s, int64_t now,
                            void (*fn)(void *ctx, const struct service_orphan *o), void *ctx,
                            struct b_err *err)
{
    struct report k = {.store = s, .now = now, .fn = fn, .ctx = ctx, .err = err};
    enum b_code r = store_badge_each(s, 0, NULL, look_at_badge, &k, err);
    if (r == B_OK)
        r = k.code;
    return r == B_OK ? store_user_each(s, STORE_USER_PRESENT, 0, look_at_identity, &k, err) : r;
}
