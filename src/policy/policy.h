/*
 * policy: what a tap is worth, here and now. A pure function from facts to grant, PIN or refusal.
 *
 *   policy.h     rules, facts, decision
 *   zone.h       the clock on the wall
 *   file.h       reads the rules from YAML; the only part here that opens a file
 *   sentence.def what a person at a reader is told, in French and English
 *
 * No clock and no store inside: everything is passed in. What is not known is refused.
 */
#ifndef TESSERE_POLICY_POLICY_H
#define TESSERE_POLICY_POLICY_H

#include "policy/zone.h"

enum {
    POLICY_RULES_MAX = 32,
    POLICY_HOURS_MAX = 8 * 7, /* eight windows, each on up to seven days */
    POLICY_NAME_MAX = 64,
    POLICY_TEAMS_MAX = 32, /* bits of a word */
    POLICY_TEAM_NAME = 128,
    POLICY_PAUSES_MAX = 8,
    POLICY_WEEK_MINUTES = 7 * 24 * 60,
    POLICY_PIN_MIN = 4, /* the least and the most that the vault takes, whatever the policy says */
    POLICY_PIN_MAX = 12,
};

enum policy_factor {
    POLICY_BADGE,      /* the badge alone */
    POLICY_PIN_ALWAYS, /* and its PIN, each time */
    POLICY_PIN_SHIFT,  /* and its PIN once a shift, in the same zone */
};

/* From `from` to `to`, minutes of the week counted from Monday 00:00, local time; to may lie before
 * from: then it goes over the week's end. */
struct policy_hours {
    uint16_t from, to;
};

struct policy_rule {
    char group[POLICY_NAME_MAX]; /* of stations; "" for all that have no rule of their own */
    uint32_t holders;            /* who are in one of these groups, bits of teams; 0: everybody */
    enum policy_factor factor;
    uint32_t shift_hours;
    uint8_t hours_count; /* 0: always */
    struct policy_hours hours[POLICY_HOURS_MAX];
};

struct policy {
    char digest[65];         /* SHA-256 of its text, by whoever read it; "" for the default */
    struct policy_zone zone; /* of the hours */
    uint8_t rule_count;
    struct policy_rule rules[POLICY_RULES_MAX];
    uint8_t team_count;
    char teams[POLICY_TEAMS_MAX][POLICY_TEAM_NAME]; /* groups of the directory that rules name */
    uint8_t pin_min, pin_max;                       /* digits of a new PIN */
    uint32_t pin_tries;                             /* wrong ones in a row until it locks */
    uint8_t pause_count;                            /* after the n-th wrong one, seconds to wait */
    uint32_t pause_seconds[POLICY_PAUSES_MAX];      /* the last counts for all after it */
    /* How long a badge of a compromised generation is still taken, with its PIN; 0: not at all. */
    uint32_t compromised_days;
    bool is_issued_only; /* a badge that the office has is refused */
};

/* What holds where no file says otherwise: the badge alone, five tries. */
void policy_default(struct policy *ret);

enum policy_state { POLICY_ACTIVE, POLICY_SUSPENDED, POLICY_ENDED, POLICY_UNKNOWN };

struct policy_facts {
    enum policy_state station, badge, holder;
    bool is_enrolling;             /* the badge's enrolment did not end */
    bool is_in_office;             /* it was not handed over to its holder */
    int64_t not_before, not_after; /* of the badge; 0: without limit */
    bool is_generation_over;       /* of its key: retired */
    int64_t compromised_at;        /* its generation was declared so; 0: it was not */
    char group[POLICY_NAME_MAX];   /* the station's */
    char zone[POLICY_NAME_MAX];
    uint32_t teams; /* of policy_asks, those that the holder is in */
    bool has_pin, is_pin_locked;
    uint32_t pin_tries; /* wrong ones in a row */
    int64_t pin_failed_at;
    int64_t full_at; /* last badge and PIN together; 0: never */
    char full_zone[POLICY_NAME_MAX];
    bool is_pin_asked;  /* by the relying party that waits for this tap */
    bool has_given_pin; /* with this tap, and it was right; not heard in a pause or a lock */
    int64_t now;        /* seconds since 1970 */
    uint16_t minute;    /* of the week, in the policy's time zone */
};

enum policy_verdict { POLICY_REFUSE, POLICY_NEED_PIN, POLICY_GRANT };

struct policy_decision {
    enum policy_verdict verdict;
    enum b_code reason; /* B_OK when granted; B_E_PIN_REQUIRED when a PIN is needed */
    int64_t retry_at;   /* PIN_THROTTLED: when the next try is heard */
};
/* The groups of the directory, bits of teams, that decide at stations of this group; 0: none. */
uint32_t policy_asks(const struct policy *p, const char *group);
/* In this order: station, badge, its dates, its key, holder, the holder's groups, hours, PIN. */
void policy_decide(const struct policy *p, const struct policy_facts *f,
                   struct policy_decision *ret);

/* When the next PIN is heard after `tries` wrong ones, the last at failed_at. One further in the
 * future than the pause is long is of a clock that was wrong: believed, it could shut a holder out
 * for years. So nobody waits longer than twice the pause; the tries count to the lock all the same.
 */
int64_t policy_next_try(const struct policy *p, uint32_t tries, int64_t failed_at, int64_t now);
/* A badge of a generation that was declared compromised then is still taken, with its PIN. */
static inline bool policy_takes_compromised(const struct policy *p, int64_t compromised_at,
                                            int64_t now)
{
    return now < compromised_at + (int64_t)p->compromised_days * 86400;
}
static inline bool policy_locks(const struct policy *p, uint32_t tries)
{
    return tries >= p->pin_tries;
}

/* One sentence for the person at the reader; name: of the holder, or "". */
void policy_sentence(enum b_code code, bool is_french, const char *name, char *ret, size_t cap);

#endif
