/*
 * PIN records: Argon2id (RFC 9106) with a pepper that the vault derives from the token, so that a
 * stolen store tells nothing without it.
 *
 *   record   version:1 (1) memory:4 (KiB) passes:4 lanes:1 salt:16 tag:32
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

/* pin: VAULTD_PIN_TEXT bytes of secret memory. record gets VAULTD_PIN_RECORD bytes. B_E_PIN_FORMAT.
 */
B_NODISCARD enum b_code vaultd_pin_hash(const uint8_t *pin, const uint8_t pepper[static 32],
                                        const uint8_t salt[static 16], uint8_t *record,
                                        struct b_err *err);
/* Whether a new PIN has as many digits as the policy asks, within what a vault takes: PIN_FORMAT.
 */
B_NODISCARD enum b_code vaultd_pin_fits(const uint8_t *pin, uint8_t min, uint8_t max,
                                        struct b_err *err);
/* B_E_PIN_WRONG; B_E_BAD_INPUT for a record that is none, or asks for more than we ever write. */
B_NODISCARD enum b_code vaultd_pin_check(const uint8_t *pin, const uint8_t pepper[static 32],
                                         struct b_rd record, struct b_err *err);

#endif
