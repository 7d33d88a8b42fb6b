/*
 * Relying parties, as their file tells (tessere-signon(5)), and how one proves that it is one.
 * Nothing here is a secret: of a client's secret there is a SHA-256, which is enough for 256 random
 * bits.
 */
#ifndef TESSERE_OIDC_CLIENT_H
#define TESSERE_OIDC_CLIENT_H

#include "crypto/jws.h"
#include "oidc/form.h"

enum {
    OIDC_CLIENTS_MAX = 128,
    OIDC_ID_MAX = 64, /* as the store has a relying party's name */
    OIDC_URI_MAX = 256,
    OIDC_URIS_MAX = 8,
    OIDC_NAME_MAX = 96,
    OIDC_ISSUER_MAX = 192,
};

struct oidc_client {
    char id[OIDC_ID_MAX];
    char name_fr[OIDC_NAME_MAX], name_en[OIDC_NAME_MAX];
    char redirect_uris[OIDC_URIS_MAX][OIDC_URI_MAX];
    char logout_uris[OIDC_URIS_MAX][OIDC_URI_MAX]; /* where a browser may go after a logout */
    size_t redirect_count, logout_count;
    char backchannel_uri[OIDC_URI_MAX]; /* "": it is not told of ends of sessions */
    uint8_t secret[32];                 /* SHA-256 */
    bool has_secret; /* without it and without a key it is public, and proves itself by PKCE */
    bool needs_no_pkce;
    bool has_ciba;               /* it may ask for a tap without a browser */
    bool has_callouts;           /* it may ask about codes from taps */
    char ping_uri[OIDC_URI_MAX]; /* and is told here that one has come; "": it asks */
    bool must_push;              /* its requests come over its own connection (RFC 9126) */
    bool needs_pin;              /* a badge alone is never enough for it */
    bool is_loopback;            /* a program of the workstation: any port of its redirect URIs */
    char alg[8];                 /* "RS256" or "ES256" */
    /* of private_key_jwt, SubjectPublicKeyInfo; key_len 0: it does not prove itself so */
    uint8_t key[CRYPTO_JWS_PUBLIC_MAX];
    size_t key_len;
    enum crypto_jws key_alg;
};
struct oidc_clients {
    size_t count;
    struct oidc_client items[OIDC_CLIENTS_MAX];
};

const struct oidc_client *oidc_client_find(const struct oidc_clients *all, const char *id);
/* Whether there are clients with browsers, and each must push. */
bool oidc_clients_push(const struct oidc_clients *all);
const char *oidc_client_name(const struct oidc_client *c, bool is_french);

/* Whether the URI is one of those, byte for byte; of a loopback client the port may differ
 * (RFC 8252 §7.3). */
bool oidc_is_redirect_of(const struct oidc_client *c, const char *uri);
bool oidc_is_logout_of(const struct oidc_client *c, const char *uri);
/* Whether a URI may stand in the file: absolute, https (http to a loopback address, when
 * is_loopback says so), no fragment, no user, nothing that two readers could take for two things.
 */
bool oidc_is_uri(const char *uri, bool is_loopback);
/* scheme://host[:port] of such a URI, for a Content-Security-Policy. */
void oidc_origin(const char *uri, char *ret, size_t cap);

/* What a client shows at an endpoint for relying parties, and to whom. */
struct oidc_proof {
    const char *authorization; /* the header, or NULL */
    const struct oidc_form *form;
    const char *issuer;
    int64_t now;
};
/* Of a client assertion, which must be taken only once: digest of client and jti, until then. */
struct oidc_once {
    uint8_t digest[32];
    int64_t until; /* 0: it was another way */
};
/* Who asks: by HTTP Basic, by the form, or by an assertion (RFC 7523), never by two of them
 * (RFC 6749 §2.3). NULL: nobody that we know, with why set. */
const struct oidc_client *oidc_client_authenticate(const struct oidc_clients *all,
                                                   const struct oidc_proof *p,
                                                   struct oidc_once *once, const char **why);
/* The same by an assertion alone (assertion.c). */
const struct oidc_client *oidc_client_asserted(const struct oidc_clients *all,
                                               const struct oidc_proof *p, struct oidc_once *once,
                                               const char **why);

#endif
