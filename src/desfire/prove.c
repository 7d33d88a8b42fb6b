/* AN12196 tables 14-18 (First), AN12757 table 31 (AES): see handshake.c, which opens sessions too.
 */
#include "desfire/prove.h"

#include <string.h>

static void rotate(uint8_t *out, const uint8_t *in)
{
    memcpy(out, in + 1, DF_PROVE_BLOCK - 1);
    out[DF_PROVE_BLOCK - 1] = in[0];
}

/* AES goes on with the chain of the message before; First starts each at zero. */
static void start(enum df_auth how, uint8_t *iv, const uint8_t *before)
{
    memset(iv, 0, DF_PROVE_BLOCK);
    if (how == DF_AUTH_AES)
        memcpy(iv, before, DF_PROVE_BLOCK);
}

bool df_prove_token(struct df_prove *p, enum df_auth how, const struct df_prove_cipher *cipher,
                    const uint8_t *challenge, const uint8_t *a,
                    uint8_t token[static DF_PROVE_TOKEN])
{
    uint8_t iv[DF_PROVE_BLOCK] = {0};
    uint8_t b[DF_PROVE_BLOCK];
    uint8_t plain[DF_PROVE_TOKEN];
    p->how = how;
    memcpy(p->a, a, sizeof(p->a));
    bool is_done = cipher->cbc(cipher->ctx, false, iv, challenge, b, sizeof(b));
    memcpy(plain, a, DF_PROVE_BLOCK);
    rotate(plain + DF_PROVE_BLOCK, b);
    start(how, iv, challenge);
    is_done = is_done && cipher->cbc(cipher->ctx, true, iv, plain, token, DF_PROVE_TOKEN);
    if (is_done)
        memcpy(p->last, token + DF_PROVE_BLOCK, sizeof(p->last));
    b_wipe(b, sizeof(b));
    b_wipe(plain, sizeof(plain));
    return is_done;
}

size_t df_prove_answer_size(enum df_auth how)
{
    return how == DF_AUTH_AES ? DF_PROVE_BLOCK : 2 * (size_t)DF_PROVE_BLOCK;
}

bool df_prove_check(const struct df_prove *p, const struct df_prove_cipher *cipher,
                    const uint8_t *answer)
{
    enum { TI = 4 };
    uint8_t iv[DF_PROVE_BLOCK];
    uint8_t plain[2 * DF_PROVE_BLOCK];
    uint8_t wanted[DF_PROVE_BLOCK];
    start(p->how, iv, p->last);
    rotate(wanted, p->a);
    bool is_done = cipher->cbc(cipher->ctx, false, iv, answer, plain, df_prove_answer_size(p->how));
    bool is_right = b_ct_eq(plain + (p->how == DF_AUTH_AES ? 0 : TI), wanted, sizeof(wanted));
    b_wipe(plain, sizeof(plain));
    return is_done && is_right;
}
