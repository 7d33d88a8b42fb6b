/*
 * Diversification profiles: data, not code. A profile is a list of pieces (UID, AID, serial,
 * constant, key number, …) with an id and its own known answers; the table is diversify.def.
 */
#ifndef TESSERE_CRYPTO_DIVERSIFY_H
#define TESSERE_CRYPTO_DIVERSIFY_H

#include "base/base.h"

enum { CRYPTO_DIV_INPUT_MAX = 31, CRYPTO_SERIAL_MAX = 16, CRYPTO_SYSTEM_MAX = 16 };

/* What a badge and a key slot offer to a profile. */
struct crypto_div_facts {
    uint8_t uid[10];
    uint8_t uid_len; /* 7; 4 means a random UID, which a profile that uses it must refuse */
    uint8_t serial[CRYPTO_SERIAL_MAX];
    uint8_t serial_len; /* 0: none */
    uint8_t aid[3];     /* wire order (least significant byte first); 000000 at card level */
    uint8_t key_no;
    uint8_t system[CRYPTO_SYSTEM_MAX]; /* system identifier of the establishment */
    uint8_t system_len;
};

struct crypto_div_profile; /* a row of diversify.def */

/* NULL when no profile has this id. The default is "uid-aid-system". */
const struct crypto_div_profile *crypto_div_find(const char *id);
const char *crypto_div_id(const struct crypto_div_profile *profile);
/* The i-th profile, NULL past the end. */
const struct crypto_div_profile *crypto_div_at(size_t i);
/* True when the profile's input contains the UID: then a random UID is refused. */
bool crypto_div_uses_uid(const struct crypto_div_profile *profile);
bool crypto_div_uses_serial(const struct crypto_div_profile *profile);

/* Builds the diversification input (1..31 bytes) into w. B_E_RANDOM_UID when the profile uses the
 * UID and the facts hold a 4-byte (random) one; B_E_KEY_LENGTH when a piece is missing or the
 * whole is too long. */
B_NODISCARD enum b_code crypto_div_input(const struct crypto_div_profile *profile,
                                         const struct crypto_div_facts *facts, struct b_wr *w,
                                         struct b_err *err);

#endif
