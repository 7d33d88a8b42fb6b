/* A card in this process. */
#include "channel/channel_int.h"

struct card {
    struct channel_card_ops ops;
    void *ctx;
};

static enum b_code transmit(struct channel *ch, struct b_rd capdu, struct b_wr *rapdu,
                            struct b_err *err)
{
    const struct card *c = ch->self;
    if (c->ops.apdu(c->ctx, capdu, rapdu))
        return B_OK;
    return b_err_set(err, B_E_CARD_REMOVED, 0, "the card left the field");
}

static enum b_code reset(struct channel *ch, struct b_err *err)
{
    (void)err;
    const struct card *c = ch->self;
    c->ops.power(c->ctx);
    return B_OK;
}

enum b_code channel_card_new(const struct channel_card_ops *ops, void *ctx,
                             const struct channel_card *card, struct channel **ret)
{
    static const struct channel_ops kind = {transmit, reset, NULL};
    enum b_code r = channel_make(&kind, sizeof(struct card), NULL, ret);
    if (r != B_OK)
        return r;
    struct card *c = (*ret)->self;
    c->ops = *ops;
    c->ctx = ctx;
    (*ret)->card = *card;
    return B_OK;
}
