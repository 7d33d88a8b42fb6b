/*
 * The outbox's rows: who subscribes to which events, and letters: what a subscriber is to be told,
 * in the order of their numbers. What an event is, and how a letter goes, is not known here. Part
 * of store.h.
 */
#ifndef TESSERE_STORE_OUTBOX_H
#define TESSERE_STORE_OUTBOX_H

#include "base/base.h"

struct store;

enum {
    STORE_SUBSCRIBER_MAX = 80, /* a client's name, and which of its letters */
    STORE_EVENT_MAX = 32,
    STORE_LETTER_MAX = 2048,
    STORE_LETTER_ERROR = 160,
    STORE_LETTER_TAG = 17, /* 64 random bits in hexadecimal */
};

/* --- subscriptions -----------------------------------------------------------------------------
 */

struct store_subscription {
    char event[STORE_EVENT_MAX];
    char subscriber[STORE_SUBSCRIBER_MAX];
};
B_NODISCARD enum b_code store_subscription_add(struct store *s, const struct store_subscription *v,
                                               struct b_err *err);
B_NODISCARD enum b_code store_subscription_clear(struct store *s, struct b_err *err);
/* In order of event and subscriber; event NULL: all. fn returns false to stop. */
B_NODISCARD enum b_code store_subscription_each(struct store *s, const char *event,
                                                bool (*fn)(void *ctx,
                                                           const struct store_subscription *v),
                                                void *ctx, struct b_err *err);

/* --- letters -----------------------------------------------------------------------------------
 */

enum store_letter_state {
    STORE_LETTER_WAITING,
    STORE_LETTER_DELIVERED,
    STORE_LETTER_DEAD, /* given up: a person has to look at it */
    STORE_LETTER_STATES
};
const char *store_letter_state_name(enum store_letter_state st);

struct store_letter {
    int64_t id;
    char subscriber[STORE_SUBSCRIBER_MAX];
    char kind[STORE_EVENT_MAX];
    /* Drawn with the letter. With the number it names the letter to who gets it, so that numbers
     * that come again after a restoration are no repetitions. */
    char tag[STORE_LETTER_TAG];
    enum store_letter_state state;
    unsigned attempts;
    int64_t at, next_at;            /* seconds since 1970; next_at: not before */
    char error[STORE_LETTER_ERROR]; /* of the last attempt, or "" */
    char body[STORE_LETTER_MAX];    /* JSON; nothing personal */
};
/* Adds it; sets id and tag. */
B_NODISCARD enum b_code store_letter_add(struct store *s, struct store_letter *l,
                                         struct b_err *err);
/* state, attempts, next_at and error of one that is there. B_E_NOT_FOUND. */
B_NODISCARD enum b_code store_letter_put(struct store *s, const struct store_letter *l,
                                         struct b_err *err);
/* B_E_NOT_FOUND. */
B_NODISCARD enum b_code store_letter_by_id(struct store *s, int64_t id, struct store_letter *ret,
                                           struct b_err *err);
typedef bool store_letter_fn(void *ctx, const struct store_letter *l);
/* The oldest waiting letter of each subscriber. */
B_NODISCARD enum b_code store_letter_heads(struct store *s, store_letter_fn *fn, void *ctx,
                                           struct b_err *err);
/* In order of their numbers, all that are in a state; STORE_LETTER_STATES: in any. */
B_NODISCARD enum b_code store_letter_each(struct store *s, enum store_letter_state state,
                                          store_letter_fn *fn, void *ctx, struct b_err *err);
B_NODISCARD enum b_code store_letter_count(struct store *s, enum store_letter_state state,
                                           int64_t *ret, struct b_err *err);
/* Waiting letters whose subscriber has no subscription become dead, for this reason; those of
 * clients (whose name begins so) stay. Gives how many. */
B_NODISCARD enum b_code store_letter_end(struct store *s, const char *clients, const char *reason,
                                         int64_t *ret_count, struct b_err *err);
/* Of a subscriber's waiting letters, removes all but the newest `keep`. Gives how many. */
B_NODISCARD enum b_code store_letter_trim(struct store *s, const char *subscriber, int64_t keep,
                                          int64_t *ret_count, struct b_err *err);
/* Removes one, whatever its state. */
B_NODISCARD enum b_code store_letter_remove(struct store *s, int64_t id, struct b_err *err);
/* Removes those in a state that were written before then. */
B_NODISCARD enum b_code store_letter_forget(struct store *s, enum store_letter_state state,
                                            int64_t before, struct b_err *err);

#endif
