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

static enum b_code note_holder(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct holder_change *k = ctx;
    struct store_holder *h = k->ret;
    enum b_code r = store_holder_by_ref(c->store, k->ref, h, err);
    if (r != B_OK)
        return r;
    if (h->state == k->to || (k->to == STORE_PARTY_ACTIVE && h->state != STORE_PARTY_SUSPENDED))
        return b_err_set(err, B_E_BADGE_STATE, 0, "the holder is %s",
                         store_party_state_name(h->state));
    return service_note_holder_state(c, h, k->to, k->kind, err);
}

enum b_code service_holder_state(struct service *sv, const char *ref, enum store_party_state to,
                                 const char *kind, struct store_holder *ret, struct b_err *err)
{
    struct holder_change k = {ref, kind, to, ret};
    return service_change(sv, note_holder, &k, err);
}
