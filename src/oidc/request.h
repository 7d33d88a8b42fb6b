/*
 * What a relying party asks of a browser's sign-on (OpenID Connect Core 1.0 §3.1.2, RFC 6749, RFC
 * 7636), read from the form it came in. Only the code flow, answered in a query.
 */
#ifndef TESSERE_OIDC_REQUEST_H
#define TESSERE_OIDC_REQUEST_H

#include "oidc/client.h"

enum { OIDC_STATE_MAX = 512, OIDC_NONCE_MAX = 256, OIDC_CHALLENGE = 44, OIDC_REF_MAX = 64 };

#define OIDC_GRANT_CIBA "urn:openid:params:grant-type:ciba"
#define OIDC_ACR_BADGE "urn:tessere:acr:badge"
#define OIDC_ACR_PIN "urn:tessere:acr:badge+pin"

struct oidc_request {
    const struct oidc_client *client;
    char redirect_uri[OIDC_URI_MAX];
    char state[OIDC_STATE_MAX], nonce[OIDC_NONCE_MAX];
    char challenge[OIDC_CHALLENGE]; /* S256; "": none */
    char holder_ref[OIDC_REF_MAX];  /* login_hint, claims, id_token_hint; "": anybody */
    bool is_profile;                /* scope profile */
    bool may_not_ask, must_ask;     /* prompt none, login */
    bool needs_pin;
    int64_t max_age; /* seconds; -1: none */
};

/* Why a request is not one. */
struct oidc_refusal {
    const char *error; /* RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6 */
    const char *text;  /* for whoever programs the relying party: English, ASCII */
    bool may_redirect; /* the relying party may be told; otherwise only the person */
};
/* False: ret->client, redirect_uri and state are set as far as why->may_redirect says. */
B_NODISCARD bool oidc_request_read(const struct oidc_clients *all, const struct oidc_form *f,
                                   struct oidc_request *ret, struct oidc_refusal *why);
/* The languages a person reads, from ui_locales or a header's ranges: French unless English comes
 * first. */
bool oidc_is_french(const char *languages);

/* Where the browser goes with the answer: redirect URI, and code or error, state, iss (RFC 9207).
 * False: it does not fit. */
struct oidc_answer {
    const char *code;  /* or NULL: */
    const char *error; /* and text, which may be NULL */
    const char *text;
};
B_NODISCARD bool oidc_answer_uri(const struct oidc_request *q, const char *issuer,
                                 const struct oidc_answer *a, char *ret, size_t cap);

/* Whether the verifier is the one of the S256 challenge (RFC 7636 §4.6). */
B_NODISCARD bool oidc_is_verifier(const char *verifier, const char *challenge);

/* Whether a list of words, one space between, has this one. */
bool oidc_has_word(const char *list, const char *word);

#endif
