/*
 * The home of an establishment: the directory that `tessere init` makes.
 *
 *   tessere.yaml   the token, and where its PIN is
 *   profile.yaml   the badge profile
 *   policy.yaml    what a tap at a station needs, until a quorum approves that; may be missing
 *   store.db       the store
 *   server.yaml    tessered's configuration, where there is a server
 *
 * Linked into the programs that open a home, not into the library of rules: it reads YAML.
 */
#ifndef TESSERE_SERVICE_HOME_H
#define TESSERE_SERVICE_HOME_H

#include "service/service.h"

enum { SERVICE_PATH_MAX = 512, SERVICE_URI_MAX = 1024 };

/* tessere.yaml, read. */
struct service_config {
    char finess[16];
    char token_uri[SERVICE_URI_MAX];
    char softhsm_conf[SERVICE_PATH_MAX]; /* empty: not the embedded token */
    char pin_file[SERVICE_PATH_MAX];     /* empty: credential or prompt */
    struct key_stay in_token;            /* whose badge keys stay in the token at a tap */
};
B_NODISCARD enum b_code service_config_read(const char *path, struct service_config *ret,
                                            struct b_err *err);
B_NODISCARD enum b_code service_config_write(const char *path, const struct service_config *config,
                                             struct b_err *err);

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
