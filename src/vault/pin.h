/*
 * PIN records: Argon2id (RFC 9106) with a pepper that the vault derives from the token, so that a
 * stolen store tells nothing without it, and the holder's reference as associated data, so that a
 * record is no other holder's.
 *
 *   record   version:1 (2) memory:4 (KiB) passes:4 lanes:1 salt:16 tag:32
 *
 * Version 1 had no associated data: whoever has such a record sets a new PIN.
 */
#ifndef TESSERE_VAULT_PIN_H
#define TESSERE_VAULT_PIN_H

#include "base/base.h"

enum {
    VAULTD_PIN_MIN = 4,
    VAULTD_PIN_MAX = 12,
    VAULTD_PIN_TEXT = 16, /* what a box holds: digits, zero padded */
    VAULTD_PIN_RECORD = 58,
};

/* Whose PIN it is, and the vault's pepper: 32 bytes. */
struct vaultd_pin_of {
    const char *ref;
    const uint8_t *pepper;
};

/* pin: VAULTD_PIN_TEXT bytes of secret memory. record gets VAULTD_PIN_RECORD bytes. B_E_PIN_FORMAT.
 */
B_NODISCARD enum b_code vaultd_pin_hash(const uint8_t *pin, const struct vaultd_pin_of *of,
                                        const uint8_t salt[static 16], uint8_t *record,
                                        struct b_err *err);
/* Whether a new PIN has as many digits as the policy asks, within what a vault takes: PIN_FORMAT.
 */
B_NODISCARD enum b_code vaultd_pin_fits(const uint8_t *pin, uint8_t min, uint8_t max,
                                        struct b_err *err);
/* B_E_PIN_WRONG; B_E_PIN_MISSING for a record of version 1; B_E_BAD_INPUT for a record that is
 * none, or asks for more than we ever write. */
B_NODISCARD enum b_code vaultd_pin_check(const uint8_t *pin, const struct vaultd_pin_of *of,
                                         struct b_rd record, struct b_err *err);

/*
 * How many wrong PINs a vault hears: VAULTD_WRONG_PINS at once, and one more each second. *until_us
 * is when all of them may come again. A vault that starts has one for each of its workers.
 */
enum { VAULTD_WRONG_PINS = 60, VAULTD_WRONG_PINS_OF_TAP = 5 };
uint64_t vaultd_wrong_pins_at_start(uint64_t now_us);
/* Takes one before a PIN is looked at; false when there is none. One that was right is given back.
 */
B_NODISCARD bool vaultd_wrong_pin(uint64_t *until_us, uint64_t now_us);
void vaultd_right_pin(uint64_t *until_us);

#endif
