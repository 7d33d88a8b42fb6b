/*
 * Sign-on: what relying parties ask a tap for (challenges), the taps that may answer (assertions),
 * and what comes of it (sessions, and the relying parties that take part in each). Part of store.h.
 *
 * These rows live for minutes or a shift; what happened is in the journal's entries, and the rows
 * are forgotten after it.
 */
#ifndef TESSERE_STORE_SIGNON_H
#define TESSERE_STORE_SIGNON_H

#include "store/people.h"

enum {
    STORE_RANDOM_NAME = 33,      /* 128 random bits in hexadecimal, and a NUL */
    STORE_CHALLENGE_TEXT = 256,  /* shown to the person, with its NUL */
    STORE_READER_NAME = 128,     /* as PC/SC has it */
    STORE_ASSERTION_TEXT = 2048, /* the vault's JWT */
    STORE_SIGNON_REASON = 32,
    STORE_PING_URL = 256,
    STORE_PING_TOKEN = 257,
};

/* --- challenges --------------------------------------------------------------------------------
 */

enum store_challenge_state {
    STORE_CHALLENGE_WAITING,
    STORE_CHALLENGE_ANSWERED,
    STORE_CHALLENGE_ENDED
};

struct store_challenge {
    int64_t id;
    char name[STORE_RANDOM_NAME];
    char party[STORE_NAME_MAX];      /* the relying party that asks */
    int64_t station;                 /* where the tap must be; 0: it was not said yet */
    char holder_ref[STORE_NAME_MAX]; /* whose badge it must be, or "": anybody's */
    bool needs_pin;
    char text[STORE_CHALLENGE_TEXT]; /* what is to be confirmed, or "" */
    /* Where to say that a tap has come, and by which word of theirs (CIBA, ping); "" not at all. */
    char ping_url[STORE_PING_URL], ping_token[STORE_PING_TOKEN];
    bool is_profile;    /* CIBA: the scope profile was asked for */
    uint8_t secret[32]; /* SHA-256 of what whoever opened it keeps */
    enum store_challenge_state state;
    int64_t created_at, expires_at;
    int64_t chosen_at;   /* by the person, before others that wait on the station; 0: not */
    int64_t chosen_over; /* the number of the newest that waited there then */
};
B_NODISCARD enum b_code store_challenge_put(struct store *s, struct store_challenge *c,
                                            struct b_err *err);
/* It alone is chosen on c->station from now on, before those that wait there now. */
B_NODISCARD enum b_code store_challenge_choose(struct store *s, const struct store_challenge *c,
                                               int64_t now, struct b_err *err);
B_NODISCARD enum b_code store_challenge_by_name(struct store *s, const char *name,
                                                struct store_challenge *ret, struct b_err *err);
/* Those that wait and that a tap of this holder on this station may answer, oldest first. A
 * challenge of no station is not among them: somebody must choose it on a station first. */
B_NODISCARD enum b_code store_challenge_each(struct store *s, int64_t station,
                                             const char *holder_ref, int64_t now,
                                             bool (*fn)(void *ctx, const struct store_challenge *c),
                                             void *ctx, struct b_err *err);
/* Those of a holder that wait and are of no station. */
B_NODISCARD enum b_code store_challenge_of_holder(
    struct store *s, const char *holder_ref, int64_t now,
    bool (*fn)(void *ctx, const struct store_challenge *c), void *ctx, struct b_err *err);

/* --- assertions --------------------------------------------------------------------------------
 */

struct store_assertion {
    int64_t id;
    int64_t challenge; /* which it answers; 0: the person has not chosen yet */
    int64_t station;
    char reader[STORE_READER_NAME];
    int64_t badge_id;
    char holder_ref[STORE_NAME_MAX];
    bool has_pin;
    int64_t at;
    char token[STORE_ASSERTION_TEXT]; /* the vault's JWT for the tap */
};
B_NODISCARD enum b_code store_assertion_add(struct store *s, struct store_assertion *a,
                                            struct b_err *err);
/* Takes the newest assertion that answers the challenge, once: one statement that finds it fresh
 * (at most `seconds` old, and not older than the challenge), not taken, of the challenge's station,
 * holder and factors, and badge, holder and station still active. takes_open: also one that answers
 * no challenge yet. B_E_NOT_FOUND (no message) when there is none. */
B_NODISCARD enum b_code store_assertion_take(struct store *s, const struct store_challenge *c,
                                             bool takes_open, int64_t now, int64_t seconds,
                                             struct store_assertion *ret, struct b_err *err);
/* The newest one that answers the challenge or may be chosen to, taken or not; for telling how it
 * stands. ret_is_taken may not be NULL. */
B_NODISCARD enum b_code store_assertion_newest(struct store *s, const struct store_challenge *c,
                                               struct store_assertion *ret, bool *ret_is_taken,
                                               struct b_err *err);

/* --- sessions ----------------------------------------------------------------------------------
 */

struct store_signon {
    int64_t id;
    char sid[STORE_RANDOM_NAME]; /* told to relying parties */
    uint8_t secret[32];          /* SHA-256 of the browser's cookie */
    int64_t badge_id;
    char holder_ref[STORE_NAME_MAX];
    int64_t station;
    bool has_pin;
    int64_t tapped_at, expires_at;
    int64_t ended_at; /* 0: it is open */
    char reason[STORE_SIGNON_REASON];
    char token[STORE_ASSERTION_TEXT]; /* the vault's JWT for the tap that began it */
};
B_NODISCARD enum b_code store_signon_put(struct store *s, struct store_signon *v,
                                         struct b_err *err);
B_NODISCARD enum b_code store_signon_by_id(struct store *s, int64_t id, struct store_signon *ret,
                                           struct b_err *err);
B_NODISCARD enum b_code store_signon_by_sid(struct store *s, const char *sid,
                                            struct store_signon *ret, struct b_err *err);
B_NODISCARD enum b_code store_signon_by_secret(struct store *s, const uint8_t secret[static 32],
                                               struct store_signon *ret, struct b_err *err);
/* Whose sessions: of a station (and there of one holder, when given), else of a badge, else of a
 * holder. */
struct store_signon_of {
    int64_t badge_id, station;
    const char *holder_ref;
};
/* The oldest open session of these, after the number. B_E_NOT_FOUND (no message): none. */
B_NODISCARD enum b_code store_signon_next(struct store *s, const struct store_signon_of *of,
                                          int64_t after_id, struct store_signon *ret,
                                          struct b_err *err);
/* The open session whose time has been over for longest. B_E_NOT_FOUND (no message): none. */
B_NODISCARD enum b_code store_signon_expired(struct store *s, int64_t now, struct store_signon *ret,
                                             struct b_err *err);

/* A relying party was told of the session; again is no error. */
B_NODISCARD enum b_code store_signon_join(struct store *s, int64_t signon, const char *party,
                                          struct b_err *err);

/* Forgets challenges, assertions and sessions that ended before then. */
B_NODISCARD enum b_code store_signon_forget(struct store *s, int64_t before, struct b_err *err);

#endif
