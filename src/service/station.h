/*
 * Taps of stations: the two messages of docs/api.md, between a station's message and the vault's.
 * A tap under way is an entry in a table of this process, named by a random text, bound to its
 * station, with a deadline; no card key is in it.
 */
#ifndef TESSERE_SERVICE_STATION_H
#define TESSERE_SERVICE_STATION_H

#include "service/signon.h"

enum {
    SERVICE_TAP_NAME = VAULT_TAP_NAME,
    SERVICE_CHALLENGE_MAX = 128,
    SERVICE_TAPS_OF_STATION = 16
};

struct service_taps;
struct service_taps *service_taps_new(void);
void service_taps_free(struct service_taps **t);
/* How many are under way. */
size_t service_taps_count(struct service_taps *t);

struct service_tap_first {
    uint8_t uid[7];
    uint8_t uid_len; /* 0 or 7 */
    uint8_t serial[CRYPTO_SERIAL_MAX];
    uint8_t serial_len;
    enum df_auth how;
    uint8_t generation; /* 0: what the store remembers, or the active one */
    uint8_t cryptogram[16];
    char challenge[SERVICE_CHALLENGE_MAX + 1]; /* of a program on the station, or "" */
    char reader[STORE_READER_NAME];            /* as the station calls it, or "" */
};
/* name: SERVICE_TAP_NAME characters. A failure is journalled. */
B_NODISCARD enum b_code service_tap_first(struct service *sv, struct service_taps *taps,
                                          const struct store_station *station,
                                          const struct service_tap_first *m, char *name,
                                          uint8_t frame[static 32], struct b_err *err);

struct service_tap_second {
    uint8_t status; /* the card's second status byte: 00 when it is done */
    struct b_rd answer;
};
struct service_verdict {
    struct store_badge badge;     /* id 0: not known */
    struct store_holder holder;   /* id 0: not known */
    struct service_wanted wanted; /* what waits on the station for this tap */
    uint8_t generation;
    bool is_generation_over;
    int64_t compromised_at; /* of the generation; 0: it was not */
    uint32_t teams;         /* of the groups that the policy asks for here, the holder's */
    uint32_t tries_left;    /* when a PIN is needed */
    int64_t retry_at;       /* PIN_THROTTLED */
    bool is_rekeyed; /* granted, and a campaign wants the badge: service_tap_rekey, within 10 s */
    char assertion[VAULT_ASSERTION_MAX]; /* a JWT, when the tap is granted */
};
/* B_OK: granted; B_E_PIN_REQUIRED: the tap goes on with its PIN; else the reason of the refusal.
 * The outcome is in the journal before this returns. */
B_NODISCARD enum b_code service_tap_second(struct service *sv, struct service_taps *taps,
                                           const struct store_station *station, const char *name,
                                           const struct service_tap_second *m,
                                           struct service_verdict *ret, struct b_err *err);
/* The PIN of a tap that needs one, sealed for the vault: aad is the tap's name. As
 * service_tap_second; after B_E_PIN_WRONG it may be typed again. */
B_NODISCARD enum b_code service_tap_pin(struct service *sv, struct service_taps *taps,
                                        const struct store_station *station, const char *name,
                                        struct b_rd box, struct service_verdict *ret,
                                        struct b_err *err);
/* The station's tap that waits for its PIN and answers this challenge: name has SERVICE_TAP_NAME
 * characters. B_E_NOT_FOUND (no message). */
B_NODISCARD enum b_code service_tap_of_challenge(struct service_taps *taps, const char *challenge,
                                                 char *name, uint32_t *ret_tries_left);
/* Whether the PIN of this tap is typed where the login was begun, and not on the station. */
static inline bool service_is_pin_elsewhere(const struct service_verdict *v)
{
    return v->wanted.count == 1 && !service_challenge_is_of(&v->wanted.first, NULL);
}
/* The badge of a granted tap that a campaign wants, once; the station works on it next.
 * B_E_NOT_FOUND when it does not, or when that is too long ago. */
B_NODISCARD enum b_code service_tap_rekey(struct service_taps *taps,
                                          const struct store_station *station, const char *name,
                                          int64_t *ret_badge, struct b_err *err);
/* A new PIN for a holder (aad: the reference), which also ends a lock; or just the end of a lock.
 */
B_NODISCARD enum b_code service_pin_set(struct service *sv, const char *ref, struct b_rd box,
                                        struct b_err *err);
B_NODISCARD enum b_code service_pin_unlock(struct service *sv, const char *ref, struct b_err *err);

#endif
