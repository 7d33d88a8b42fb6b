/*
 * Codes that stations show after a tap: typed as a password where a relying party knows no better
 * (RADIUS, LemonLDAP::NG). Kept as salted SHA-256, for minutes. Part of store.h.
 */
#ifndef TESSERE_STORE_TAPCODE_H
#define TESSERE_STORE_TAPCODE_H

#include "store/signon.h"

enum { STORE_TAP_CODE_SALT = 16 };
struct store_tap_code {
    int64_t id;
    char party[STORE_NAME_MAX], holder_ref[STORE_NAME_MAX];
    uint8_t salt[STORE_TAP_CODE_SALT], digest[32];
    int64_t assertion; /* the tap that it came from, and what that was */
    int64_t badge_id, station;
    bool has_pin;
    int64_t tapped_at;
    int64_t expires_at, used_at;
    int64_t tries; /* wrong ones, typed while this one waited */
};
/* Takes the place of the holder's last one for the same relying party; sets id. */
B_NODISCARD enum b_code store_tap_code_put(struct store *s, struct store_tap_code *c,
                                           struct b_err *err);
/* B_E_NOT_FOUND (no message). */
B_NODISCARD enum b_code store_tap_code_of(struct store *s, const char *party,
                                          const char *holder_ref, struct store_tap_code *ret,
                                          struct b_err *err);
/* Takes it, once: one statement that finds it with this digest, in time, with fewer wrong tries
 * than that, and badge, holder and station still active. B_E_NOT_FOUND (no message). */
B_NODISCARD enum b_code store_tap_code_take(struct store *s, int64_t id,
                                            const uint8_t digest[static 32], int64_t tries,
                                            int64_t now, struct b_err *err);
/* One wrong try more. */
B_NODISCARD enum b_code store_tap_code_miss(struct store *s, int64_t id, struct b_err *err);

#endif
