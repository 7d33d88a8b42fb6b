/*
 * The home of an establishment: the directory that `tessere init` makes.
 *
 *   tessere.yaml   the token, and where its PIN is (service/config.h)
 *   profile.yaml   the badge profile
 *   policy.yaml    what a tap at a station needs, until a quorum approves that; may be missing
 *   store.db       the store
 *   server.yaml    tessered's configuration, where there is a server
 *
 * Linked into the programs that open a home, not into the library of rules: it reads YAML.
 */
#ifndef TESSERE_SERVICE_HOME_H
#define TESSERE_SERVICE_HOME_H

#include "service/config.h"
#include "service/service.h"

/* home/name. B_E_USAGE when the whole is too long. */
B_NODISCARD enum b_code service_home_path(const char *home, const char *name, char *ret, size_t cap,
                                          struct b_err *err);
/* A whole text file of at most cap bytes. B_E_BAD_INPUT. */
B_NODISCARD enum b_code service_read_file(const char *path, char *ret, size_t cap, size_t *ret_n,
                                          struct b_err *err);
/* Store to read from and writer (threaded or not), into sv. Whoever has a threaded one tidies the
 * store. */
B_NODISCARD enum b_code service_home_open_store(const char *path, bool may_create, bool is_threaded,
                                                struct service *sv, struct b_err *err);
/* The tap policy of a home, taken into use: service_policy_open with policy.yaml, if there is one.
 */
B_NODISCARD enum b_code service_home_policy(const char *home, struct service *sv,
                                            bool *ret_is_refused, struct b_err *err);
/* Establishment and badge profile of a home whose store is open, into sv. */
B_NODISCARD enum b_code service_home_load(const char *home, struct service *sv, struct b_err *err);

#endif
