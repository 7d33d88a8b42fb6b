/*
 * What is said of a person and of us: JSON for relying parties (OpenID Connect Core, Discovery).
 */
#ifndef TESSERE_OIDC_CLAIMS_H
#define TESSERE_OIDC_CLAIMS_H

#include <jansson.h>

#include "oidc/request.h"

/* The claims parameter (§5.5): whether an essential acr of it can be met by a PIN alone, and whom
 * it names. False: it is no object, asks for an essential acr that is not known here, or names no
 * one person, or another than io_ref. "" asks nothing. */
B_NODISCARD bool oidc_claims_read(const char *text, bool *ret_needs_pin,
                                  char io_ref[static OIDC_REF_MAX]);
/* What is asked is for this person alone; false: it is for another already, or ref is nobody's. */
B_NODISCARD bool oidc_is_for(const char *ref, char io[static OIDC_REF_MAX]);

/* /.well-known/openid-configuration. pushes_all: no client may send a request that was not pushed.
 */
json_t *oidc_discovery(const char *issuer, bool pushes_all);

/* Claims of an ID token besides those that the vault says of the tap itself. */
struct oidc_token {
    const char *issuer, *client, *nonce, *sid, *access_token;
    int64_t expires_at;
};
json_t *oidc_id_claims(const struct oidc_token *t);

/* The answer of userinfo. name and rpps: "" when they are not told. */
struct oidc_person {
    const char *ref, *name, *rpps, *sid;
    bool has_pin;
    int64_t tapped_at;
};
json_t *oidc_person_claims(const struct oidc_person *p);

#endif
