/*
 * The encoding desk over a relay: the server does the work on a card that lies on a reader far
 * away. Each order runs in a thread of its own, as if the card were here; what it wants sent to the
 * card is handed to whoever has the reader, message by message:
 *
 *   somebody with the right to encode opens an order, for the reader of a station or for one of
 *   their own; the reader's side takes frames to the card and answers back; the one who ordered
 *   reads the plan and approves exactly that; then more frames, until it is done.
 *
 * A message that is repeated, because its answer was lost on the way, gets the same answer again.
 */
#ifndef TESSERE_SERVICE_DESK_H
#define TESSERE_SERVICE_DESK_H

#include "service/service.h"

enum service_what {
    SERVICE_SCAN,
    SERVICE_ENROL,
    SERVICE_REPAIR,
    SERVICE_BLANK,
    SERVICE_ORDERED,                 /* those before are what a person may order of a server */
    SERVICE_REKEY = SERVICE_ORDERED, /* follows a tap; nobody orders it */
    SERVICE_TAKEOVER,                /* by a person at a reader here alone; else follows a tap */
    SERVICE_WHAT_COUNT
};
const char *service_what_name(enum service_what what); /* "scan", ... */
/* Of those that a person may order of a server. */
bool service_what_find(const char *name, enum service_what *ret);

/* What is to be done with a card. */
struct service_order {
    enum service_what what;
    char ref[STORE_NAME_MAX], name[STORE_TEXT_MAX]; /* of the holder, to enrol */
    int64_t not_before, not_after;
    bool is_temporary;
    int64_t batch_id;             /* of the card, to enrol; 0: not said */
    struct service_others others; /* to scan, to take over */
    int64_t badge_id, station_id; /* re-key: which badge tapped where */
};
struct service_done {
    struct profile_state state; /* of a scan */
    struct profile_plan plan;
    struct store_badge badge; /* id 0: not known (scan) */
};
/* The work of an order on the card behind a channel, wherever that is. */
B_NODISCARD enum b_code service_order_run(struct service *sv, struct channel *ch,
                                          const struct service_order *order,
                                          const struct service_watch *watch,
                                          struct service_done *ret, struct b_err *err);

/* --- over a relay ------------------------------------------------------------------------------
 */

enum {
    SERVICE_DESK_ORDERS = 32,          /* at a time, in the whole establishment */
    SERVICE_DESK_ORDERS_OF_PERSON = 4, /* ... of which one person has */
    SERVICE_DESK_REKEYS = 16,          /* ... and all re-keys and takeovers at taps together */
    SERVICE_DESK_NAME = 33,            /* an order's name with its NUL: 16 random bytes in hex */
    SERVICE_DESK_FRAMES = 3,           /* in one message */
    SERVICE_DESK_CARD_SECONDS = 30,    /* for the reader's side to answer */
    SERVICE_DESK_PERSON_SECONDS = 300, /* for a card to be presented, a plan to be approved */
    SERVICE_DESK_KEEP_SECONDS = 120,   /* how long an outcome can be asked for again */
    SERVICE_DESK_REKEY_KEEP_SECONDS = 5,
};

/* Who asks: a person or a station, the other is 0. */
struct service_desk_caller {
    int64_t person, station;
};

enum service_desk_state {
    SERVICE_DESK_WAITS, /* for a card on the station's reader */
    SERVICE_DESK_WORKS, /* between two messages */
    SERVICE_DESK_FRAMES_OUT,
    SERVICE_DESK_PLAN,
    SERVICE_DESK_DONE,
    SERVICE_DESK_FAILED,
};
const char *service_desk_state_name(enum service_desk_state st);

struct service_desk_frames {
    uint8_t bytes[SERVICE_DESK_FRAMES][DF_CAPDU_MAX];
    uint16_t len[SERVICE_DESK_FRAMES];
    uint8_t count;
    bool resets; /* the card is powered off and on before the first */
};
struct service_desk_answers { /* as many as were sent: up to the first that is not 91AF */
    uint8_t bytes[SERVICE_DESK_FRAMES][DF_RAPDU_MAX];
    uint16_t len[SERVICE_DESK_FRAMES];
    uint8_t count;
    bool is_gone; /* the card left */
};

/* What an order has to say at a step; steps count from 1. */
struct service_desk_event {
    enum service_desk_state state;
    enum service_what what;
    uint32_t step;
    struct service_desk_frames frames; /* FRAMES_OUT */
    struct service_done done;          /* PLAN: state and plan; DONE: the badge too */
    uint8_t steps_done;                /* of the plan */
};

struct service_desk;
/* store_path: each order reads the store by a connection of its own; copied. NULL: no memory. */
struct service_desk *service_desk_new(const char *store_path);
/* What opens others' badges, for takeovers at taps from now on, or is_ours_alone. Copied, and wiped
 * with the last order that began with it. NULL: none are taken over. */
B_NODISCARD enum b_code service_desk_others(struct service_desk *d,
                                            const struct service_others *others, struct b_err *err);
/* Every order ends as if its card had left; callers that wait return. Then free it. */
void service_desk_stop(struct service_desk *d);
/* Waits for the orders' threads. Nobody may be inside any more. */
void service_desk_free(struct service_desk **d);

/* A new order of a person. card: it lies on a reader of theirs, and work begins; or NULL: the
 * station's reader is used, once it has a card. person 0: a re-key or takeover of the card at the
 * station, which nobody approves. B_E_VAULT_BUSY: too many at a time, or this badge is being taken
 * over; B_E_NOT_FOUND: nothing is taken over at taps. */
B_NODISCARD enum b_code service_desk_open(struct service_desk *d, const struct service *sv,
                                          int64_t person, const struct service_order *order,
                                          int64_t station, const struct channel_card *card,
                                          char name[static SERVICE_DESK_NAME], struct b_err *err);
/* The order that waits for a card at a station: B_E_NOT_FOUND when there is none. */
B_NODISCARD enum b_code service_desk_waiting(struct service_desk *d, int64_t station,
                                             char name[static SERVICE_DESK_NAME],
                                             struct b_err *err);
/* A card was presented at the station; work begins. */
B_NODISCARD enum b_code service_desk_present(struct service_desk *d, struct service_desk_caller who,
                                             const char *name, const struct channel_card *card,
                                             struct b_err *err);
/* The card's answers to the frames of `step`; those to a former step are taken as a repetition. */
B_NODISCARD enum b_code service_desk_answer(struct service_desk *d, struct service_desk_caller who,
                                            const char *name, uint32_t step,
                                            const struct service_desk_answers *answers,
                                            struct b_err *err);
/* The one who ordered approves the plan that has this digest, and no other. */
B_NODISCARD enum b_code service_desk_approve(struct service_desk *d, struct service_desk_caller who,
                                             const char *name, const uint8_t digest[static 32],
                                             struct b_err *err);
/* The one who ordered, or the reader's side, ends it. */
B_NODISCARD enum b_code service_desk_cancel(struct service_desk *d, struct service_desk_caller who,
                                            const char *name, struct b_err *err);
/* Waits until there is something later than step `after` for this caller, at most wait_ms, and
 * tells the state as it is then. A failed order gives its own error. B_E_NOT_FOUND: no such order,
 * or somebody else's. */
B_NODISCARD enum b_code service_desk_look(struct service_desk *d, struct service_desk_caller who,
                                          const char *name, uint32_t after, int wait_ms,
                                          struct service_desk_event *ret, struct b_err *err);

#endif
