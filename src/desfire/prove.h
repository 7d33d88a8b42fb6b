/*
 * The reader's two halves of AuthenticateEV2First and AuthenticateAES, for an authentication that a
 * station began by itself: the card's challenge in, the token out; the card's answer in, a verdict
 * out. No session is opened: a tap asks nothing more of the card. The key is behind a function, so
 * that it may lie in a token that never gives it away.
 */
#ifndef TESSERE_DESFIRE_PROVE_H
#define TESSERE_DESFIRE_PROVE_H

#include "desfire/desfire.h"
#include "desfire/request.h"

enum { DF_PROVE_BLOCK = 16, DF_PROVE_TOKEN = 32 };

/* CBC with the badge key over n bytes (16 or 32), starting from iv, which may be overwritten.
 * False when it cannot be done; then err, if any, is the callee's affair. */
struct df_prove_cipher {
    bool (*cbc)(void *ctx, bool is_encrypt, uint8_t *iv, const uint8_t *in, uint8_t *out, size_t n);
    void *ctx;
};

/* What is kept between the halves. Not a key, but secret until the verdict: wipe it. */
struct df_prove {
    enum df_auth how; /* DF_AUTH_EV2_FIRST or DF_AUTH_AES */
    uint8_t a[DF_PROVE_BLOCK];
    uint8_t last[DF_PROVE_BLOCK]; /* last cipher block of the token */
};

/* challenge: the 16 bytes that the card answered. a: 16 fresh random bytes. */
B_NODISCARD bool df_prove_token(struct df_prove *p, enum df_auth how,
                                const struct df_prove_cipher *cipher, const uint8_t *challenge,
                                const uint8_t *a, uint8_t token[static DF_PROVE_TOKEN]);
/* Bytes of the card's answer: 32 for EV2 First (TI || A' || capabilities), 16 for AES (A'). */
size_t df_prove_answer_size(enum df_auth how);
/* True when the answer, of that size, proves the key. */
B_NODISCARD bool df_prove_check(const struct df_prove *p, const struct df_prove_cipher *cipher,
                                const uint8_t *answer);

#endif
