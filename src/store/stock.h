/* Physical cards: batches as they were received, and what became of cards. Part of store.h. */
#ifndef TESSERE_STORE_STOCK_H
#define TESSERE_STORE_STOCK_H

#include "store/people.h"

struct store_batch {
    int64_t id;
    char name[STORE_NAME_MAX]; /* as the supplier calls it; may be empty */
    char supplier[128];
    char transport_key[STORE_NAME_MAX]; /* which key the cards came with, never the key; "": factory
                                         */
    int64_t count;
    int64_t at;
};
/* Adds it; sets id. */
B_NODISCARD enum b_code store_batch_add(struct store *s, struct store_batch *b, struct b_err *err);
/* B_E_NOT_FOUND. */
B_NODISCARD enum b_code store_batch_by_id(struct store *s, int64_t id, struct store_batch *ret,
                                          struct b_err *err);
B_NODISCARD enum b_code store_batch_each(struct store *s,
                                         bool (*fn)(void *ctx, const struct store_batch *b),
                                         void *ctx, struct b_err *err);

enum store_card_event_kind {
    STORE_CARD_RETURNED, /* a badge that came back to the office */
    STORE_CARD_DESTROYED,
    STORE_CARD_LOST,
    STORE_CARD_ISSUED, /* a badge that was handed over to its holder */
    STORE_CARD_EVENT_COUNT
};
struct store_card_event {
    int64_t id;
    enum store_card_event_kind kind;
    int64_t batch_id; /* 0: of no batch */
    int64_t badge_id; /* 0: blank cards */
    int64_t count;    /* 1 for a badge */
    char reason[128];
    int64_t at;
};
/* Adds it; sets id. */
B_NODISCARD enum b_code store_card_event_add(struct store *s, struct store_card_event *e,
                                             struct b_err *err);
B_NODISCARD enum b_code store_card_event_each(struct store *s,
                                              bool (*fn)(void *ctx,
                                                         const struct store_card_event *e),
                                              void *ctx, struct b_err *err);

/* The kind of a badge's last event, -1: it has none. The badge is where it says. */
B_NODISCARD enum b_code store_card_event_last(struct store *s, int64_t badge_id, int *ret_kind,
                                              struct b_err *err);

/* Cards of a batch. A badge is where its last event says, unless it is active again. */
struct store_stock {
    int64_t blank;   /* what is left of what was received; below 0: more cards than were received */
    int64_t begun;   /* an enrolment did not end */
    int64_t encoded; /* a badge that the office has */
    int64_t issued;
    int64_t returned;
    int64_t destroyed;
    int64_t lost;
};
/* batch->id 0, count 0: cards of no batch. */
B_NODISCARD enum b_code store_stock_count(struct store *s, const struct store_batch *batch,
                                          struct store_stock *ret, struct b_err *err);

#endif
