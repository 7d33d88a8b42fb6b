/*
 * Campaigns: a role's badges are brought to its new generation, tap by tap. One row for a campaign,
 * one for each badge that was tried. Part of store.h.
 */
#ifndef TESSERE_STORE_CAMPAIGN_H
#define TESSERE_STORE_CAMPAIGN_H

#include "base/base.h"
#include "crypto/role.h"

struct store;

enum store_campaign_state {
    STORE_CAMPAIGN_RUNNING,
    STORE_CAMPAIGN_PAUSED,
    STORE_CAMPAIGN_ENDED,
};
const char *store_campaign_state_name(enum store_campaign_state st);
struct store_campaign {
    int64_t id;
    enum key_role role;
    uint8_t generation; /* to which the badges are brought */
    enum store_campaign_state state;
    uint32_t pace;          /* badges begun in a minute; 0: as many as tap */
    uint32_t pause_percent; /* of the last tries that may fail; 0: it never pauses by itself */
    uint64_t window;        /* the last 64 tries, newest in bit 0: 1 failed */
    uint32_t window_count;  /* how many of them there are */
    uint64_t done, failed;  /* tries */
    char why[96];           /* why it is paused, or "" */
    int64_t tries_from;     /* failures of a badge before then are forgotten */
    int64_t started_at, changed_at;
};
/* Inserts (id 0) or updates; sets id. */
B_NODISCARD enum b_code store_campaign_put(struct store *s, struct store_campaign *c,
                                           struct b_err *err);
B_NODISCARD enum b_code store_campaign_by_id(struct store *s, int64_t id,
                                             struct store_campaign *ret, struct b_err *err);
/* Those that have not ended, at most one of each role: cs has room for KEY_ROLE_COUNT. */
B_NODISCARD enum b_code store_campaign_open(struct store *s,
                                            struct store_campaign cs[static KEY_ROLE_COUNT],
                                            size_t *ret_count, struct b_err *err);
B_NODISCARD enum b_code store_campaign_each(struct store *s,
                                            bool (*fn)(void *ctx, const struct store_campaign *c),
                                            void *ctx, struct b_err *err);

/* The last try of a badge. */
struct store_rekey {
    int64_t badge_id;
    uint8_t roles;    /* bits 1 << role */
    char outcome[40]; /* the stable name of a code */
    uint32_t tries;   /* in a row that did not end well */
    int64_t station_id, at;
};
B_NODISCARD enum b_code store_rekey_put(struct store *s, const struct store_rekey *k,
                                        struct b_err *err);
/* B_E_NOT_FOUND without a message when it was never tried. */
B_NODISCARD enum b_code store_rekey_get(struct store *s, int64_t badge_id, struct store_rekey *ret,
                                        struct b_err *err);
B_NODISCARD enum b_code store_rekey_each(struct store *s,
                                         bool (*fn)(void *ctx, const struct store_rekey *k),
                                         void *ctx, struct b_err *err);

/* The badges of a campaign, counted. Those that were blanked or revoked need nothing. */
struct store_progress {
    uint64_t badges;   /* that count: done + seen + not_seen */
    uint64_t done;     /* have the campaign's generation */
    uint64_t seen;     /* have not, though they tapped since it began */
    uint64_t not_seen; /* have not, and did not tap since */
    uint64_t failed;   /* of those that have not: the last try failed */
};

/* Each badge is in one part: by where it was done or where its try failed, else by where it tapped
 * last. */
enum store_campaign_place {
    STORE_CAMPAIGN_NEVER = -1, /* it never tapped */
    STORE_CAMPAIGN_DESK,
    STORE_CAMPAIGN_STATIONS, /* of a group */
};
const char *store_campaign_place_name(enum store_campaign_place at);
struct store_campaign_part {
    enum store_campaign_place at;
    char group[64]; /* of the stations; "": those that have none */
    struct store_progress badges;
};
/* All of them, from one reading; and, where fn is given, each part that has any: stations in the
 * order of their groups, then the desk, then those that never tapped. */
B_NODISCARD enum b_code store_campaign_progress(
    struct store *s, const struct store_campaign *c, struct store_progress *ret,
    void (*fn)(void *ctx, const struct store_campaign_part *part), void *ctx, struct b_err *err);
/* A generation of a role, and the steps that bring a card a key of that role. */
struct store_keys {
    enum key_role role;
    uint8_t generation;
    const char *action; /* the step's stable name */
    uint32_t aid, nos;  /* where: bits 1 << number of the key */
};
/* The numbers of the badges (neither blanked nor revoked) that have it or may have it, in their
 * order: what keeps it from being retired. A badge that was torn, or whose enrolment did not end,
 * has what the newest step of each key says: before or after it, until the card has confirmed it.
 */
B_NODISCARD enum b_code store_badges_of_generation(struct store *s, const struct store_keys *k,
                                                   bool (*fn)(void *ctx, int64_t badge_id),
                                                   void *ctx, struct b_err *err);

#endif
