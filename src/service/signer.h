/*
 * Keys that sign tokens for relying parties: which there are, which of them signs, and which are
 * published. Of each algorithm one is active, one is next, and those that signed lately are
 * retired. The next one is published from when the active one begins to sign, so that it is known
 * wherever keys are kept by the time it signs, also when it must sign at once. The vault makes and
 * uses them (src/vault/signer.h); here are their wrapped forms.
 */
#ifndef TESSERE_SERVICE_SIGNER_H
#define TESSERE_SERVICE_SIGNER_H

#include <jansson.h>

#include "service/service.h"

enum {
    SERVICE_SIGNER_ACTIVE_SECONDS = 90 * 24 * 3600,
    SERVICE_SIGNER_NEXT_SECONDS = 24 * 3600, /* that one is published before it signs */
    /* that one is published after it signed last: a token's life, and clocks that differ */
    SERVICE_SIGNER_RETIRED_SECONDS = VAULT_TOKEN_SECONDS_MAX + 3600,
};

/* One step towards the keys that there should be: makes one, which may take a second, or lets the
 * next one sign when it is time. *ret_is_done: no other step is needed now. begins: also where
 * there is none yet. */
B_NODISCARD enum b_code service_signer_keep(struct service *sv, bool begins, bool *ret_is_done,
                                            struct b_err *err);
/* All steps. */
B_NODISCARD enum b_code service_signer_begin(struct service *sv, struct b_err *err);

/* Signs by the active key of alg ("RS256", "ES256"). claims: borrowed; what each kind needs and may
 * not say is src/vault/signer.c's. assertion: of the tap, for an ID token; "" otherwise. jwt: max
 * bytes of room, VAULT_JWT_MAX are enough. B_E_ASSERTION: the person must tap again;
 * B_E_SIGNER_KEY; B_E_BAD_INPUT and B_E_REFUSED for claims. */
B_NODISCARD enum b_code service_sign(struct service *sv, enum vault_token_kind kind,
                                     const char *alg, const char *assertion, const json_t *claims,
                                     char *jwt, size_t max, struct b_err *err);

/* {"keys":[…]} (RFC 7517): next, active, and retired ones whose tokens may be alive. */
B_NODISCARD enum b_code service_signer_jwks(struct store *s, int64_t now, json_t **ret,
                                            struct b_err *err);
bool service_signer_is_published(const struct store_signing_key *k, int64_t now);

/* The next keys sign from now on, of both algorithms. B_E_REFUSED when one is not published long
 * enough. */
B_NODISCARD enum b_code service_signer_rotate(struct service *sv, struct b_err *err);
/* A key is published no more, from now on, and tokens that it signed count no more; of an active
 * one the next takes the place at once. */
B_NODISCARD enum b_code service_signer_drop(struct service *sv, const char *kid, struct b_err *err);

#endif
