#include "channel/channel_int.h"

#include <stdlib.h>
#include <time.h>

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

static uint64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

enum b_code channel_transmit(struct channel *ch, struct b_rd capdu, struct b_wr *rapdu,
                             struct b_err *err)
{
    rapdu->len = 0;
    rapdu->bad = false;
    uint64_t start = now_us();
    enum b_code r = ch->ops->transmit(ch, capdu, rapdu, err);
    ch->spent_us += now_us() - start;
    return r;
}

uint64_t channel_spent_us(const struct channel *ch)
{
    return ch->spent_us;
}

const struct channel_card *channel_card(const struct channel *ch)
{
    return &ch->card;
}

enum b_code channel_reset(struct channel *ch, struct b_err *err)
{
    uint64_t start = now_us();
    enum b_code r = ch->ops->reset(ch, err);
    ch->spent_us += now_us() - start;
    return r;
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
