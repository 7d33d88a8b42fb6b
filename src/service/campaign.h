/*
 * Campaigns: after a rotation, badges are brought to the new generation inside their next taps,
 * once the person has been let in and while the card still lies on the reader.
 *
 * A campaign pauses by itself when too many of its last tries fail; a card that leaves is no
 * failure. The old generation is retired by a proposal, when no badge has it or when those that
 * have it are written off, exactly those.
 */
#ifndef TESSERE_SERVICE_CAMPAIGN_H
#define TESSERE_SERVICE_CAMPAIGN_H

#include "service/service.h"

enum {
    SERVICE_CAMPAIGN_WINDOW = 64,        /* tries that the rate of failures is taken over */
    SERVICE_CAMPAIGN_TRIES_LEAST = 20,   /* before it says anything */
    SERVICE_CAMPAIGN_PAUSE_PERCENT = 20, /* unless another is set */
    SERVICE_CAMPAIGN_PACE_MAX = 100000,
    SERVICE_CAMPAIGN_BADGE_TRIES = 5, /* failures in a row after which a badge is the desk's */
};

/* Why one paused by itself: tries that failed, of how many, and the last one's code. Kept like
 * that, so that it can be read again to be said in another language. */
#define SERVICE_CAMPAIGN_WHY "%d of the last %u tries failed: %s"

/* In a change: a role has a new generation, and its badges follow. A former campaign of the role
 * ends. */
B_NODISCARD enum b_code service_note_campaign(struct service_change *c, enum key_role role,
                                              uint8_t generation, struct b_err *err);
/* In a change: a generation of the role was retired; with the last of them the campaign ends. */
B_NODISCARD enum b_code service_note_campaign_over(struct service_change *c, enum key_role role,
                                                   struct b_err *err);
/* For a role that was rotated before there were campaigns. B_E_DUPLICATE when one is under way. */
B_NODISCARD enum b_code service_campaign_start(struct service *sv, enum key_role role,
                                               struct store_campaign *ret, struct b_err *err);
/* why: for the history. Only what runs pauses, only what is paused runs on: B_E_BADGE_STATE. */
B_NODISCARD enum b_code service_campaign_pause(struct service *sv, int64_t id, const char *why,
                                               struct store_campaign *ret, struct b_err *err);
/* The tries that made it pause are forgotten, those of single badges too. */
B_NODISCARD enum b_code service_campaign_resume(struct service *sv, int64_t id,
                                                struct store_campaign *ret, struct b_err *err);
/* Badges a minute (0: as many as tap); percent of failures at which it pauses (0: never). */
B_NODISCARD enum b_code service_campaign_limit(struct service *sv, int64_t id, uint32_t pace,
                                               uint32_t pause_percent, struct store_campaign *ret,
                                               struct b_err *err);
/* Its badges are not re-keyed at taps any more; what is not done waits for the desk. */
B_NODISCARD enum b_code service_campaign_end(struct service *sv, int64_t id,
                                             struct store_campaign *ret, struct b_err *err);

/* The roles of this badge that a running campaign brings to their generation, bits 1 << role; 0:
 * none, or it failed too often. *ret_pace: of the slowest of these campaigns, 0: none. */
B_NODISCARD enum b_code service_campaign_wants(struct service *sv, const struct store_badge *b,
                                               uint8_t *ret_roles, uint32_t *ret_pace,
                                               struct b_err *err);
/* Re-keys the badge on the reader, which tapped at this station just now. The outcome is counted,
 * and durable before this returns. B_OK with nothing to do when another was first. */
B_NODISCARD enum b_code service_rekey(struct service *sv, struct channel *ch, int64_t badge_id,
                                      int64_t station_id, struct store_badge *ret_badge,
                                      struct b_err *err);

/* A badge's try to follow campaigns at a station, and what came of it. */
struct service_try {
    int64_t badge_id, station_id;
    uint8_t roles; /* bits 1 << role */
    enum b_code code;
};
/* In a change; the entry that follows vouches for it. */
B_NODISCARD enum b_code service_note_try(struct service_change *c, const struct service_try *k,
                                         struct b_err *err);

/* Whether a campaign has this badge still to do. */
bool service_campaign_lacks(const struct store_campaign *k, const struct store_badge *b);
/* The campaign with its figures, for people: docs/api.md, "Campaigns". A new reference. */
B_NODISCARD enum b_code service_campaign_figures(struct store *s, const struct store_campaign *k,
                                                 json_t **ret, struct b_err *err);

/* The badges that keep a generation from being retired: how many, and their numbers folded in their
 * order: digest = SHA-256(digest || number, eight bytes, big-endian), from 32 zero bytes. */
struct service_needed {
    uint64_t count;
    uint8_t digest[32];
};
B_NODISCARD enum b_code service_generation_needed(struct store *s, const struct profile *p,
                                                  enum key_role role, uint8_t generation,
                                                  struct service_needed *ret, struct b_err *err);

#endif
