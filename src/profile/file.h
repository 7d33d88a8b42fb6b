/* Reads a badge profile from YAML, with a schema; see tessere-profile(5) for the fields. */
#ifndef TESSERE_PROFILE_FILE_H
#define TESSERE_PROFILE_FILE_H

#include "profile/profile.h"

/* text: the file's bytes; name: for messages. B_E_PROFILE_SYNTAX with "name:line: …",
 * B_E_PROFILE_RULE from profile_check. The system identifier is left empty: the establishment's
 * configuration gives it. */
B_NODISCARD enum b_code profile_file_read(const char *name, const char *text, size_t n,
                                          struct profile *ret, struct b_err *err);

#endif
