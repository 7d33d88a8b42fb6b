/*
 * policy.yaml:
 *
 *   timezone: Europe/Paris
 *   pin: {tries: 5, pauses: [0, 0, 5, 30], min-digits: 6, max-digits: 8}
 *   rules:
 *     - {group: "", factor: badge}
 *     - {group: pharmacy, factor: pin-always, hours: ["mon-fri 07:00-20:00", "sat,sun
 * 08:00-12:00"]}
 *     - {group: ward, holders: [Interns], factor: pin-always}
 *     - {group: ward, factor: pin-shift, shift-hours: 8}
 */
#ifndef TESSERE_POLICY_FILE_H
#define TESSERE_POLICY_FILE_H

#include "policy/policy.h"

/* B_E_CONFIG names file, line and field. One rule at least has an empty group. */
B_NODISCARD enum b_code policy_file_read(const char *path, const char *text, size_t n,
                                         struct policy *ret, struct b_err *err);

#endif
