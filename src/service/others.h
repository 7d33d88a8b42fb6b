/*
 * others: what opens badges that others encoded, from the files that docs/takeover.md describes.
 * Linked as home.h is: it reads YAML. One thread at a time.
 */
#ifndef TESSERE_SERVICE_OTHERS_H
#define TESSERE_SERVICE_OTHERS_H

#include "service/service.h"

/* The keys of a file of mode 0600, which the caller wipes, on an error too. B_E_KEY_FILE: others
 * may read it; B_E_BAD_INPUT names path and line, never what is written there. */
B_NODISCARD enum b_code service_others_keys(const char *path,
                                            struct df_key keys[static PROFILE_GIVEN_KEYS_MAX],
                                            size_t *ret_count, struct b_err *err);
/* A fleet description, tessere-fleet(5). B_E_FLEET_FILE. */
B_NODISCARD enum b_code service_others_fleet(const char *path, struct profile_fleet *ret,
                                             struct b_err *err);

#endif
