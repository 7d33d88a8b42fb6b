/* Loses the card before or after the n-th APDU. */
#include "channel/channel_int.h"

struct fault {
    struct channel_fault plan;
    unsigned count;
    bool is_gone;
};

static enum b_code transmit(struct channel *ch, struct b_rd capdu, struct b_wr *rapdu,
                            struct b_err *err)
{
    struct fault *f = ch->self;
    f->count++;
    bool is_due = f->count == f->plan.at;
    if (is_due && f->plan.after_effect)
        (void)!channel_transmit(ch->inner, capdu, rapdu, err);
    f->is_gone |= is_due;
    if (!f->is_gone)
        return channel_transmit(ch->inner, capdu, rapdu, err);
    rapdu->len = 0;
    return b_err_set(err, B_E_CARD_REMOVED, 0, "the card was torn away at exchange %u", f->count);
}

/* The card is put back: the fault happened, and does not happen again. */
static enum b_code reset(struct channel *ch, struct b_err *err)
{
    struct fault *f = ch->self;
    f->is_gone = false;
    return channel_reset(ch->inner, err);
}

enum b_code channel_fault_new(struct channel *inner, struct channel_fault fault,
                              struct channel **ret)
{
    static const struct channel_ops kind = {transmit, reset, NULL};
    enum b_code r = channel_make(&kind, sizeof(struct fault), inner, ret);
    if (r == B_OK)
        ((struct fault *)(*ret)->self)->plan = fault;
    return r;
}

unsigned channel_fault_count(const struct channel *ch)
{
    return ((const struct fault *)ch->self)->count;
}
