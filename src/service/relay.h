/* One job on one card, relayed between channel and vault. Private to src/service. */
#ifndef TESSERE_SERVICE_RELAY_H
#define TESSERE_SERVICE_RELAY_H

#include "service/service.h"

/* A step as it is about to be written down, with what took effect before it. */
struct service_step {
    size_t step;
    int64_t before; /* the intent that took effect; 0: none */
    bool is_end;    /* past the last: that alone is written */
    struct store_intent intent;
};

/* What a relay gathers. Large: allocate it (service_work_new). */
struct service_work {
    struct profile_job job;
    uint8_t given[PROFILE_GIVEN_KEYS_MAX * VAULT_GIVEN]; /* of a scan or a takeover, wrapped */
    size_t given_len;
    struct profile_state state;
    struct profile_plan plan;
    struct profile_tap tap;
    struct service_legs legs;
    struct vault_event event;
    int64_t intents[PROFILE_STEPS_MAX]; /* of the plan's steps; 0: not written yet */
    int64_t effect; /* the intent that is effective, to be written with what is next; 0: none */
    struct service_started *ahead; /* writes `next` while the card works; NULL: nothing is */
    struct service_step next;
    bool is_planned;
};

/* Microseconds of a steady clock; differences are what counts. */
uint32_t service_now_us(void);
/* Seconds since 1970, UTC. */
int64_t service_now(void);

struct service_work *service_work_new(const struct service *sv, enum profile_goal goal,
                                      const struct channel *ch, struct b_err *err);
void service_work_free(struct service_work **w);

/* Called twice before anything is changed: when the plan is there, so that nobody is asked to
 * approve what is not allowed, and once it is approved. A code other than B_OK ends the job. */
typedef enum b_code service_planned_fn(void *ctx, struct service_work *w, bool is_approved,
                                       struct b_err *err);

/* In the change that approves a plan: its first step is written down with it. */
B_NODISCARD enum b_code service_note_first(struct service_change *c, struct service_work *w,
                                           struct b_err *err);
/* In the change that ends a job: the last step took effect. */
B_NODISCARD enum b_code service_note_last(struct service_change *c, const struct service_work *w,
                                          struct b_err *err);

/* Carries the job out. Every step is journalled before it is sent, and its effect with the next;
 * the last effect of a job whose goal was reached on the card is left to service_note_last. */
B_NODISCARD enum b_code service_relay(struct service *sv, struct channel *ch,
                                      struct service_work *w, const struct service_watch *watch,
                                      service_planned_fn *planned, void *ctx, struct b_err *err);

/* The badge's wrapped key into a tap, where its generation is a stored one; none where there is no
 * such key. */
B_NODISCARD enum b_code service_stored_for_tap(struct service *sv, struct vault_tap *v,
                                               struct b_err *err);

/* In a change: the card has confirmed a step, or an inspection told what it holds. */
B_NODISCARD enum b_code service_end_intent(struct service_change *c, int64_t id, const char *kind,
                                           struct b_err *err);
/* The same for the open steps that change one key (of an application, or aid 0: the card's), which
 * was proved meanwhile: whatever became of them, its generation is known again. */
B_NODISCARD enum b_code service_settle_key(struct service_change *c, const uint8_t uid[static 7],
                                           uint32_t aid, uint8_t no, struct b_err *err);
/* The same for the key that a tap has proved: of a change that was torn, it tells what became. */
B_NODISCARD enum b_code service_settle_tapped(struct service_change *c, const struct profile *p,
                                              const struct store_badge *b, struct b_err *err);
/* The same for all open steps of a badge. */
B_NODISCARD enum b_code service_settle_intents(struct service_change *c,
                                               const uint8_t uid[static 7], struct b_err *err);

/* Of a key of this badge (of an application, or aid 0: the card's), what the card has confirmed
 * last: the generation of ours that it was changed to; 0: none since the card was blank. */
B_NODISCARD enum b_code service_confirmed_key(const struct service *sv, const uint8_t uid[static 7],
                                              uint32_t aid, uint8_t no, uint8_t *ret,
                                              struct b_err *err);

/* Fills the generations of a job from the store. with_ended: for work on a card at the desk, which
 * may have keys that no tap is taken with any more. */
B_NODISCARD enum b_code service_generations(const struct service *sv, bool with_ended,
                                            struct profile_job *job, struct b_err *err);
/* The same for one role; with its target 0 when none is active. */
B_NODISCARD enum b_code service_generations_of(const struct service *sv, enum key_role role,
                                               struct profile_generations *ret, struct b_err *err);
/* The policy of a badge's state: B_OK or the reason of the refusal. */
B_NODISCARD enum b_code service_judge_badge(const struct store_badge *b, struct b_err *err);
/* What the journal keeps of a badge beside the tree. */
json_t *service_personal(const struct store_badge *b);
/* In a change: the state and its entry. Whether a holder may become so is the caller's affair. */
B_NODISCARD enum b_code service_note_badge_state(struct service_change *c, int64_t id,
                                                 enum store_badge_state to, const char *kind,
                                                 const char *reason, struct b_err *err);
B_NODISCARD enum b_code service_note_holder_state(struct service_change *c, struct store_holder *io,
                                                  enum store_party_state to, const char *kind,
                                                  struct b_err *err);

#endif
