/*
 * Sign-on by a browser: what joins one to its station, and what a relying party was given for a
 * session. Secrets are kept as their SHA-256. Part of store.h.
 */
#ifndef TESSERE_STORE_OIDC_H
#define TESSERE_STORE_OIDC_H

#include "store/signon.h"

/* --- browsers ----------------------------------------------------------------------------------
 */

enum store_browser_kind {
    STORE_BROWSER_HANDLE, /* opened in the person's browser, once */
    STORE_BROWSER_CODE,   /* shown on the station and typed into a page, once */
    STORE_BROWSER_COOKIE, /* of a browser that is joined */
};
struct store_browser {
    int64_t id;
    enum store_browser_kind kind;
    uint8_t digest[32];
    int64_t station;
    int64_t created_at, expires_at;
};
B_NODISCARD enum b_code store_browser_add(struct store *s, struct store_browser *b,
                                          struct b_err *err);
/* Whose time is not over, of a station that is active. B_E_NOT_FOUND (no message). */
B_NODISCARD enum b_code store_browser_find(struct store *s, enum store_browser_kind kind,
                                           const uint8_t digest[static 32], int64_t now,
                                           struct store_browser *ret, struct b_err *err);
/* Whether there is one of this kind whose time is not over. */
B_NODISCARD enum b_code store_browser_has(struct store *s, enum store_browser_kind kind,
                                          int64_t now, bool *ret, struct b_err *err);
B_NODISCARD enum b_code store_browser_drop(struct store *s, int64_t id, struct b_err *err);
/* Those of a station and a kind. */
B_NODISCARD enum b_code store_browser_drop_of(struct store *s, int64_t station,
                                              enum store_browser_kind kind, struct b_err *err);

/* --- grants ------------------------------------------------------------------------------------
 */

enum { STORE_URI_MAX = 256, STORE_NONCE_MAX = 256, STORE_PKCE_MAX = 44 };
struct store_grant {
    int64_t id;
    uint8_t code[32];
    char client[STORE_NAME_MAX];
    char redirect_uri[STORE_URI_MAX], nonce[STORE_NONCE_MAX], challenge[STORE_PKCE_MAX];
    bool is_profile;
    int64_t signon; /* the session that it is of */
    int64_t expires_at, used_at;
    uint8_t token[32]; /* of the access token; zeros: none yet */
    int64_t token_expires;
    int64_t ended_at; /* 0: what was given counts */
};
/* Inserts (id 0) or updates; sets id. */
B_NODISCARD enum b_code store_grant_put(struct store *s, struct store_grant *g, struct b_err *err);
/* B_E_NOT_FOUND (no message). */
B_NODISCARD enum b_code store_grant_by_code(struct store *s, const uint8_t code[static 32],
                                            struct store_grant *ret, struct b_err *err);
B_NODISCARD enum b_code store_grant_by_token(struct store *s, const uint8_t token[static 32],
                                             struct store_grant *ret, struct b_err *err);

/* What may be taken once: B_E_DUPLICATE when it was already. It is forgotten after its time. */
B_NODISCARD enum b_code store_once(struct store *s, const uint8_t digest[static 32], int64_t until,
                                   struct b_err *err);

/* --- ends of sessions --------------------------------------------------------------------------
 */

/* Where a relying party that takes part in a session is told of its end. */
struct store_told {
    char party[STORE_NAME_MAX], issuer[STORE_URI_MAX], url[STORE_URI_MAX];
};
B_NODISCARD enum b_code store_signon_tell(struct store *s, int64_t signon,
                                          const struct store_told *t, struct b_err *err);
/* Those that have such a place. */
B_NODISCARD enum b_code store_signon_each_told(struct store *s, int64_t signon,
                                               bool (*fn)(void *ctx, const struct store_told *t),
                                               void *ctx, struct b_err *err);

/* Forgets browsers, grants and codes of taps that ended before then. */
B_NODISCARD enum b_code store_oidc_forget(struct store *s, int64_t before, struct b_err *err);

#endif
