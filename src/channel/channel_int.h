/* What a channel is made of. Private to src/channel. */
#ifndef TESSERE_CHANNEL_INT_H
#define TESSERE_CHANNEL_INT_H

#include "channel/channel.h"

struct channel_ops {
    enum b_code (*transmit)(struct channel *ch, struct b_rd capdu, struct b_wr *rapdu,
                            struct b_err *err);
    enum b_code (*reset)(struct channel *ch, struct b_err *err);
    void (*close)(struct channel *ch); /* frees what is behind self; may be NULL */
};

struct channel {
    const struct channel_ops *ops;
    struct channel_card card;
    struct channel *inner; /* wrappers: owned */
    void *self;            /* the kind's own part, owned */
    uint64_t spent_us;     /* see channel_spent_us */
};

/* A channel of this kind with a zeroed own part of n bytes (0: none). On failure inner is freed:
 * wrappers take it over in every case. */
enum b_code channel_make(const struct channel_ops *ops, size_t n, struct channel *inner,
                         struct channel **ret);

#endif
