/* The states of a holder. That sessions end with it is service_log's affair (signon.h). */
#include "service/relay.h"

struct holder_change {
    const char *ref, *kind;
    enum store_party_state to;
    struct store_holder *ret;
};

enum b_code service_note_holder_state(struct service_change *c, struct store_holder *io,
                                      enum store_party_state to, const char *kind,
                                      struct b_err *err)
{
    io->state = to;
    io->full_at = 0; /* the PIN that was typed counts no longer */
    enum b_code r = store_holder_put(c->store, io, err);
    return r == B_OK ? service_log(c, (struct service_entry){.kind = kind, .holder = io}, err) : r;
}

/* Suspends an active one, reinstates a suspended one, ends one who has not left: nobody who has
 * left comes back by the way of a suspension. */
static bool may_turn(enum store_party_state from, enum store_party_state to)
{
    return to == STORE_PARTY_ENDED    ? from != STORE_PARTY_ENDED
           : to == STORE_PARTY_ACTIVE ? from == STORE_PARTY_SUSPENDED
                                      : from == STORE_PARTY_ACTIVE;
}

/* Of whom the directory says that they have left, it alone says that they are back; not so while
 * an administrator has yet to say whether it is right. */
static enum b_code judge_return(struct store *s, const struct store_holder *h, struct b_err *err)
{
    struct store_user u;
    enum b_code r = store_user_by_id(s, h->id, &u, err);
    if (r == B_E_NOT_FOUND)
        return B_OK;
    if (r == B_OK && u.wish != STORE_WISH_ACTIVE && !u.is_held)
        return b_err_set(err, B_E_BADGE_STATE, 0,
                         "the directory says that %s has left: enable them there", h->ref);
    return r;
}

static enum b_code note_holder(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct holder_change *k = ctx;
    struct store_holder *h = k->ret;
    enum b_code r = store_holder_by_ref(c->store, k->ref, h, err);
    if (r != B_OK)
        return r;
    if (!may_turn(h->state, k->to))
        return b_err_set(err, B_E_BADGE_STATE, 0, "the holder is %s",
                         b_err_word(store_party_state_name(h->state)));
    if (k->to == STORE_PARTY_ACTIVE)
        r = judge_return(c->store, h, err);
    if (r != B_OK)
        return r;
    return service_note_holder_state(c, h, k->to, k->kind, err);
}

enum b_code service_holder_state(struct service *sv, const char *ref, enum store_party_state to,
                                 const char *kind, struct store_holder *ret, struct b_err *err)
{
    struct holder_change k = {ref, kind, to, ret};
    return service_change(sv, note_holder, &k, err);
}
