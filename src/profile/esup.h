/* Reads the configuration of ESUP-NFC-TAG (Spring beans, XML): the applications and keys that it
 * encodes. */
#ifndef TESSERE_PROFILE_ESUP_H
#define TESSERE_PROFILE_ESUP_H

#include "profile/profile.h"

enum { PROFILE_ESUP_KEYS_MAX = 64 };

struct profile_esup_key {
    df_aid aid; /* 0: the card's own */
    uint8_t no;
    bool is_needed; /* by a takeover: the card's key, or the one that proves */
    struct df_key key;
};
/* Secret: it holds the keys of the file. */
struct profile_esup {
    struct profile_fleet fleet;
    uint8_t key_count;
    struct profile_esup_key keys[PROFILE_ESUP_KEYS_MAX]; /* each key once; of the factory's those
                                                           that prove a badge */
    uint8_t left_count;
    df_aid left[PROFILE_LAYOUTS_MAX]; /* whose keys a service makes by a rule that is elsewhere */
};

/* No entity is expanded, no other file is read, nothing is fetched. B_E_BAD_INPUT: "name:line: ..."
 */
B_NODISCARD enum b_code profile_esup_read(const char *name, const char *text, size_t n,
                                          struct profile_esup *ret, struct b_err *err);

#endif
