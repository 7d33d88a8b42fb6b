/* tessere.yaml: the token, and where its PIN is; or the socket at which vaults are served
 * (vault/starter.h), and then neither is known here. */
#ifndef TESSERE_SERVICE_CONFIG_H
#define TESSERE_SERVICE_CONFIG_H

#include "base/base.h"
#include "crypto/role.h"

enum { SERVICE_PATH_MAX = 512, SERVICE_URI_MAX = 1024, SERVICE_SOCKET_MAX = 108 };

struct service_config {
    char finess[16];
    char token_uri[SERVICE_URI_MAX];     /* empty: vaults are served */
    char softhsm_conf[SERVICE_PATH_MAX]; /* empty: not the embedded token */
    char pin_file[SERVICE_PATH_MAX];     /* empty: credential or prompt */
    char vault[SERVICE_SOCKET_MAX];      /* where vaults are served; empty: we start our own */
    bool stock_needs_two;                /* what gains or loses cards is approved by others */
    struct key_stay in_token;            /* whose badge keys stay in the token at a tap */
    struct key_stay stored;              /* whose badge keys are drawn, and kept in the store */
};
B_NODISCARD enum b_code service_config_read(const char *path, struct service_config *ret,
                                            struct b_err *err);
B_NODISCARD enum b_code service_config_write(const char *path, const struct service_config *config,
                                             struct b_err *err);

#endif
