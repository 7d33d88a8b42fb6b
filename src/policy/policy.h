/*
 * policy: may this tap be granted, does it need a PIN, or is it refused, and for which reason.
 *
 *   policy.h   the rules of an establishment, the facts of a tap, and the decision: a pure function
 *   file.h     the rules as a person writes them, in YAML; a library of its own
 *
 * There is no clock, no store and no memory of its own here: whoever asks passes in all that is to
 * be known, and writes down what comes out. It must never learn a PIN's digits (beside their form),
 * a key or a badge's UID.
 */
#ifndef TESSERE_POLICY_POLICY_H
#define TESSERE_POLICY_POLICY_H

#include "base/base.h"

enum {
    POLICY_NAME_MAX = 64, /* of a group, a zone, a time zone; with the NUL */
    POLICY_GROUPS_MAX = 32,
    POLICY_WINDOWS_MAX = 8, /* of one rule */
    POLICY_WAITS_MAX = 16,
    POLICY_DAY = 24 * 60, /* minutes */
    POLICY_WEEK = 7 * POLICY_DAY,
    POLICY_SHIFT_HOURS_MAX = 24,
    POLICY_GRACE_MINUTES_MAX = 240,
    POLICY_WAIT_MAX = 86400, /* seconds */
    POLICY_LOCK_AFTER_MAX = 50,
    POLICY_DEBOUNCE_MS_MAX = 10000,
    POLICY_PIN_DIGITS_MIN = 4,
    POLICY_PIN_DIGITS_MAX = 12,
    POLICY_ENCODED_MAX = 8192,
    POLICY_DIGEST = 32,
};

/* --- the rules --------------------------------------------------------------------------------
 */

enum policy_factor {
    POLICY_FACTOR_NONE,      /* the badge alone */
    POLICY_FACTOR_PIN,       /* a PIN at every tap */
    POLICY_FACTOR_PIN_SHIFT, /* a PIN once, then the badge alone in that zone for shift_hours */
    POLICY_FACTOR_COUNT
};
enum policy_outside { POLICY_OUTSIDE_REFUSE, POLICY_OUTSIDE_PIN, POLICY_OUTSIDE_COUNT };
enum policy_language { POLICY_FRENCH, POLICY_ENGLISH, POLICY_LANGUAGE_COUNT };

/* From `from` until before `to`, minutes of local time; `to` <= `from` ends on the next day. */
struct policy_window {
    uint8_t days;  /* bit 0: Monday … bit 6: Sunday; the days on which it begins */
    uint16_t from; /* 0..1439 */
    uint16_t to;   /* 0..1440 */
};

struct policy_rule {
    char group[POLICY_NAME_MAX]; /* of stations; empty in the default */
    enum policy_factor factor;
    uint8_t shift_hours; /* 1..24 with POLICY_FACTOR_PIN_SHIFT, else 0 */
    uint8_t window_count;
    struct policy_window windows[POLICY_WINDOWS_MAX]; /* none: always open */
    enum policy_outside outside;
    uint16_t grace_minutes; /* after the end of each window, in which it still counts as open */
};

struct policy_head {
    char
        timezone[POLICY_NAME_MAX]; /* of the windows, as in TZ; the caller makes local time of it */
    enum policy_language language; /* of stations that do not say theirs */
    uint16_t debounce_ms;          /* a station takes the same badge again after that */
    uint8_t pin_digits;            /* at least that many, POLICY_PIN_DIGITS_MAX at most */
    uint8_t wait_count;
    uint32_t waits[POLICY_WAITS_MAX]; /* seconds after the 1st, 2nd, … wrong PIN; then the last */
    uint8_t lock_after;               /* the wrong PIN that locks: 1 is the first */
    uint8_t group_count;
};

struct policy {
    struct policy_head head;
    struct policy_rule by_default; /* of stations whose group has no rule */
    struct policy_rule groups[POLICY_GROUPS_MAX];
};

/* What holds without a file: a PIN once per shift of 12 hours, at every hour. */
void policy_default(struct policy *ret);
/* B_E_CONFIG when a rule of tessere-policy(5) is broken; the message begins with the field's path,
 * pieces separated by '/': "groups/1/shift-hours: …". */
B_NODISCARD enum b_code policy_check(const struct policy *p, struct b_err *err);
/* The canonical form of a checked policy: the same policy has the same bytes, POLICY_ENCODED_MAX of
 * them at most. Decoding checks; false: not a policy. */
void policy_encode(const struct policy *p, struct b_wr *w);
B_NODISCARD bool policy_decode(struct b_rd *r, struct policy *ret);
/* Names a checked policy in the journal and in a proposal: SHA-256 of the head's bytes in the
 * canonical form, then for each rule SHA-256 of the digest so far and the rule's bytes. */
void policy_digest(const struct policy *p, uint8_t ret[static POLICY_DIGEST]);

/* --- the facts of a tap -----------------------------------------------------------------------
 */

/* 0 is never a good state: what was forgotten is refused. */
enum policy_badge {
    POLICY_BADGE_UNKNOWN,
    POLICY_BADGE_ENROLLING,
    POLICY_BADGE_ACTIVE,
    POLICY_BADGE_SUSPENDED,
    POLICY_BADGE_REVOKED,
    POLICY_BADGE_BLANKED,
    POLICY_BADGE_COUNT
};
enum policy_holder {
    POLICY_HOLDER_UNKNOWN,
    POLICY_HOLDER_ACTIVE,
    POLICY_HOLDER_SUSPENDED,
    POLICY_HOLDER_LEFT,
    POLICY_HOLDER_COUNT
};
enum policy_station {
    POLICY_STATION_UNKNOWN,
    POLICY_STATION_ENROLLING,
    POLICY_STATION_ACTIVE,
    POLICY_STATION_SUSPENDED,
    POLICY_STATION_REVOKED,
    POLICY_STATION_COUNT
};
enum policy_generation {
    POLICY_GENERATION_UNKNOWN,
    POLICY_GENERATION_PENDING,
    POLICY_GENERATION_ACTIVE,
    POLICY_GENERATION_RETIRING,
    POLICY_GENERATION_RETIRED,
    POLICY_GENERATION_COMPROMISED,
    POLICY_GENERATION_COUNT
};
enum policy_pin { POLICY_PIN_NOT_GIVEN, POLICY_PIN_RIGHT, POLICY_PIN_WRONG, POLICY_PIN_COUNT };

/* Times are seconds since 1970, UTC; 0: never, or without limit. Texts may be NULL: unknown. */
struct policy_facts {
    int64_t now;
    int64_t seen_at;         /* the newest time in the journal: a shift does not outlast it when the
                              * clock goes back; 0: not known */
    uint16_t minute_of_week; /* local, policy_minute_of_week; POLICY_WEEK or above: not known */

    enum policy_station station;
    const char *group, *zone; /* of the station */

    enum policy_badge badge;
    enum policy_generation generation; /* of the key that the badge proved */
    int64_t not_before;                /* valid from then */
    int64_t not_after;                 /* valid until before then */
    bool is_temporary;                 /* without not_after: counts as expired */

    enum policy_holder holder;
    bool has_pin;
    uint32_t pin_tries; /* wrong ones since the last right one, without the one in `pin` */
    int64_t pin_failed_at;
    bool is_pin_locked;
    int64_t full_at;       /* the last badge and PIN together; 0 when the PIN was changed since */
    const char *full_zone; /* where */

    bool is_pin_asked;   /* by the relying party, whatever the rule */
    enum policy_pin pin; /* of this tap, and what the vault said of it */
};

/* 0 is Monday 00:00. wday as in struct tm: 0 is Sunday. Out of range: POLICY_WEEK. */
uint16_t policy_minute_of_week(int wday, int hour, int minute);

/* --- the decision -----------------------------------------------------------------------------
 */

/* 0 refuses: what was not decided is refused. */
enum policy_verdict { POLICY_REFUSE, POLICY_NEED_PIN, POLICY_GRANT };

struct policy_decision {
    enum policy_verdict verdict;
    enum b_code reason;  /* B_OK: granted; B_E_PIN_REQUIRED with NEED_PIN; else why it is refused */
    int64_t retry_at;    /* PIN_THROTTLED, PIN_WRONG: no PIN is taken before that; else 0 */
    bool counts_as_full; /* write down full_at and full_zone, and set pin_tries to 0 */
};

/*
 * The first of these that holds decides. A value that is not in its enum refuses with B_E_REFUSED.
 *
 *    1  station   enrolling CERTIFICATE_UNKNOWN, suspended STATION_SUSPENDED, revoked
 * STATION_REVOKED 2  badge     unknown or blanked BADGE_UNKNOWN, enrolling BADGE_NOT_ENROLLED,
 * suspended BADGE_SUSPENDED, revoked BADGE_REVOKED 3  key       neither active nor retiring:
 * GENERATION_RETIRED 4  dates     before not_before BADGE_NOT_YET_VALID; from not_after on, or
 * temporary without one, BADGE_EXPIRED 5  holder    suspended HOLDER_SUSPENDED, left HOLDER_LEFT 6
 * hours     outside, and the rule refuses: OUTSIDE_HOURS; else a PIN at every tap 7  PIN       only
 * when rule, hours or relying party want one, or one was given: none set PIN_MISSING; locked
 * PIN_LOCKED; within the pause PIN_THROTTLED (whatever was typed); wrong PIN_WRONG, or PIN_LOCKED
 * when it was the last try; not given PIN_REQUIRED, verdict NEED_PIN 8  granted   counts_as_full
 * with a right PIN
 *
 * So a tap is decided twice when it needs a PIN: without, then with what the vault said of it.
 * After a wrong one the caller writes down what policy_pin_after tells.
 */
void policy_decide(const struct policy *p, const struct policy_facts *f,
                   struct policy_decision *ret);

/* The record after a wrong PIN at `now`; tries: those before it. */
struct policy_pin_record {
    uint32_t tries;
    int64_t failed_at;
    int64_t retry_at; /* no PIN is taken before that */
    bool is_locked;
};
void policy_pin_after(const struct policy *p, uint32_t tries, int64_t now,
                      struct policy_pin_record *ret);
/* B_E_PIN_FORMAT unless the n characters are digits, as many as the policy asks. */
B_NODISCARD enum b_code policy_pin_check_format(const struct policy *p, const char *pin, size_t n,
                                                struct b_err *err);

/* --- the sentence -----------------------------------------------------------------------------
 */

struct policy_words {
    enum policy_language language;
    const char *name;      /* of the holder, UTF-8; NULL: none */
    uint32_t wait_seconds; /* until retry_at; 0: not told */
};
/* What the person at the reader is told, as UTF-8 with a NUL: B_OK greets, B_E_PIN_REQUIRED asks,
 * all else refuses and says what to do. Cut between characters when cap is short. */
void policy_sentence(enum b_code code, const struct policy_words *words, char *ret, size_t cap);

#endif
