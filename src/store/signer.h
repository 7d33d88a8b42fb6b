/*
 * Keys that sign tokens for relying parties. The store has them as the vault wrapped them: it
 * cannot use one. Part of store.h.
 */
#ifndef TESSERE_STORE_SIGNER_H
#define TESSERE_STORE_SIGNER_H

#include "base/base.h"
#include "crypto/jws.h"

struct store;

enum store_signer_state {
    STORE_SIGNER_NEXT,    /* published, so that relying parties know it when it signs */
    STORE_SIGNER_ACTIVE,  /* one of each algorithm */
    STORE_SIGNER_RETIRED, /* published until the last token that it signed is over */
    STORE_SIGNER_DROPPED, /* published no more: what it signed counts no more */
    STORE_SIGNER_STATES
};
const char *store_signer_state_name(enum store_signer_state st);

enum { STORE_SIGNER_WRAPPED_MAX = 2048 };
struct store_signing_key {
    int64_t id;
    char kid[CRYPTO_JWK_ID]; /* RFC 7638 thumbprint */
    enum crypto_jws alg;
    enum store_signer_state state;
    uint8_t public_key[CRYPTO_JWS_PUBLIC_MAX]; /* SubjectPublicKeyInfo, DER */
    size_t public_len;
    uint8_t wrapped[STORE_SIGNER_WRAPPED_MAX];
    size_t wrapped_len;                           /* 0: erased, since it signs no more */
    int64_t created_at, activated_at, retired_at; /* 0: not yet */
};
/* Inserts (id 0) or updates; sets id. */
B_NODISCARD enum b_code store_signing_key_put(struct store *s, struct store_signing_key *k,
                                              struct b_err *err);
/* B_E_NOT_FOUND. */
B_NODISCARD enum b_code store_signing_key_get(struct store *s, const char *kid,
                                              struct store_signing_key *ret, struct b_err *err);
/* The newest in this state. B_E_NOT_FOUND without a message. */
B_NODISCARD enum b_code store_signing_key_of(struct store *s, enum crypto_jws alg,
                                             enum store_signer_state state,
                                             struct store_signing_key *ret, struct b_err *err);
/* In the order in which they were made. */
B_NODISCARD enum b_code store_signing_key_each(struct store *s,
                                               bool (*fn)(void *ctx,
                                                          const struct store_signing_key *k),
                                               void *ctx, struct b_err *err);

#endif
