/*
 * What a relying party is given for a session: a code, good once and for a minute, and for it an
 * access token that lasts no longer than the session. A code that comes a second time ends what the
 * first was traded for: one of the two was a thief.
 */
#ifndef TESSERE_SERVICE_OIDC_H
#define TESSERE_SERVICE_OIDC_H

#include "oidc/request.h"
#include "service/signon.h"

enum {
    SERVICE_GRANT_SECONDS = 60,
    SERVICE_ACCESS_SECONDS = 600,
    SERVICE_ID_TOKEN_SECONDS = 300,
};

/* Whether an open session answers the request without a tap. */
bool service_oidc_answers(const struct store_signon *v, const struct oidc_request *q, int64_t now);
/* A code (SERVICE_SECRET characters) for the request; its relying party takes part in the session
 * from now on, and is told of its end if it wants to be. */
B_NODISCARD enum b_code service_oidc_give(struct service *sv, const struct oidc_request *q,
                                          const char *issuer, int64_t signon, char *ret_code,
                                          struct b_err *err);

/* Takes a client's assertion, once. B_E_DUPLICATE: it was taken already; journalled. */
B_NODISCARD enum b_code service_oidc_once(struct service *sv, const char *client,
                                          const struct oidc_once *once, struct b_err *err);

struct service_redeem {
    const struct oidc_client *client;           /* who has proved that it is it */
    const char *code, *redirect_uri, *verifier; /* "": not sent */
};
/* token: SERVICE_SECRET characters. B_E_CODE, B_E_CODE_USED: journalled, when the code is one. */
B_NODISCARD enum b_code service_oidc_redeem(struct service *sv, const struct service_redeem *k,
                                            struct store_grant *ret,
                                            struct store_signon *ret_signon, char *token,
                                            struct b_err *err);
/* For a challenge that was opened without a browser (CIBA), once a tap answers it. As
 * service_challenge_take; the session lasts as long as the access token. */
B_NODISCARD enum b_code service_oidc_ciba(struct service *sv, const struct oidc_client *client,
                                          const char *challenge, struct store_grant *ret,
                                          struct store_signon *ret_signon, char *token,
                                          struct b_err *err);
/* Whose access token it is, while the session is open. B_E_NOT_FOUND. */
B_NODISCARD enum b_code service_oidc_whose(struct store *s, const char *token, int64_t now,
                                           struct store_grant *ret, struct store_signon *ret_signon,
                                           struct b_err *err);

#endif
