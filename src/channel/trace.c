/* Gives each exchange to a function that prints it. */
#include "channel/channel_int.h"

struct trace {
    channel_trace_fn *fn;
    void *ctx;
};

static enum b_code transmit(struct channel *ch, struct b_rd capdu, struct b_wr *rapdu,
                            struct b_err *err)
{
    const struct trace *t = ch->self;
    t->fn(t->ctx, false, capdu);
    enum b_code r = channel_transmit(ch->inner, capdu, rapdu, err);
    if (r == B_OK)
        t->fn(t->ctx, true, b_wr_reader(rapdu));
    return r;
}

static enum b_code reset(struct channel *ch, struct b_err *err)
{
    return channel_reset(ch->inner, err);
}

enum b_code channel_trace_new(struct channel *inner, channel_trace_fn *fn, void *ctx,
                              struct channel **ret)
{
    static const struct channel_ops kind = {transmit, reset, NULL};
    enum b_code r = channel_make(&kind, sizeof(struct trace), inner, ret);
    if (r == B_OK)
        *(struct trace *)(*ret)->self = (struct trace){fn, ctx};
    return r;
}
