#include "channel/channel_int.h"

#include <stdlib.h>

enum b_code channel_make(const struct channel_ops *ops, size_t n, struct channel *inner,
                         struct channel **ret)
{
    struct channel *ch = calloc(1, sizeof(*ch));
    void *self = n > 0 ? calloc(1, n) : NULL;
    if (ch == NULL || (n > 0 && self == NULL)) {
        free(ch);
        free(self);
        channel_free(&inner);
        return B_E_NO_MEMORY;
    }
    ch->ops = ops;
    ch->inner = inner;
    ch->self = self;
    if (inner != NULL)
        ch->card = inner->card;
    *ret = ch;
    return B_OK;
}

enum b_code channel_transmit(struct channel *ch, struct b_rd capdu, struct b_wr *rapdu,
                             struct b_err *err)
{
    rapdu->len = 0;
    rapdu->bad = false;
    return ch->ops->transmit(ch, capdu, rapdu, err);
}

const struct channel_card *channel_card(const struct channel *ch)
{
    return &ch->card;
}

enum b_code channel_reset(struct channel *ch, struct b_err *err)
{
    return ch->ops->reset(ch, err);
}

void channel_free(struct channel **ch)
{
    if (*ch == NULL)
        return;
    if ((*ch)->ops->close != NULL)
        (*ch)->ops->close(*ch);
    channel_free(&(*ch)->inner);
    free((*ch)->self);
    free(*ch);
    *ch = NULL;
}
