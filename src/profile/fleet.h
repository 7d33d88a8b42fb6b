/* Reads from YAML how others encoded badges; see tessere-fleet(5) for the fields. */
#ifndef TESSERE_PROFILE_FLEET_H
#define TESSERE_PROFILE_FLEET_H

#include "profile/profile.h"

/* text: the file's bytes; name: for messages. B_E_FLEET_FILE with "name:line: ...", among others
 * when two layouts are of the same application. */
B_NODISCARD enum b_code profile_fleet_read(const char *name, const char *text, size_t n,
                                           struct profile_fleet *ret, struct b_err *err);

#endif
