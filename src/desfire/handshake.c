/*
 * The authentications, both sides. A and B are the random numbers of reader and card, ' is a
 * rotation by one byte to the left, E and D are CBC with the card key.
 *
 *          card                     reader                        card
 *   D40    E(B)                     D(A) || D(B' ^ D(A))          E(A')         IV 0 each time
 *   ISO    E(B)                     E(A || B')                    E(A')         one chain
 *   AES    as ISO
 *   First  E(B)                     E(A || B')       E(TI || A' || caps)        IV 0 each time
 *   Non.   E(B)                     E(A || B')                    E(A')         IV 0 each time
 *
 * AN12757 tables 20, 30, 31; AN12196 tables 14-23; ISO/IEC 9798-2 three passes behind 0x1A.
 */
#include <string.h>

#include "desfire/sm.h"

enum { TOKEN_MAX = 32 };

static bool is_ev2(enum df_auth how)
{
    return how == DF_AUTH_EV2_FIRST || how == DF_AUTH_EV2_NONFIRST;
}

static bool is_chained(enum df_auth how)
{
    return how == DF_AUTH_ISO || how == DF_AUTH_AES;
}

static size_t block_of(const struct df_handshake *hs)
{
    return crypto_block_size(hs->key.cipher);
}

static void rotate(uint8_t *out, const uint8_t *in, size_t n)
{
    memcpy(out, in + 1, n - 1);
    out[n - 1] = in[0];
}

/* A new message: only ISO and AES go on with the chain of the one before. */
static void start_message(struct df_handshake *hs)
{
    if (!is_chained(hs->how))
        memset(hs->iv, 0, sizeof(hs->iv));
}

bool df_hs_begin(struct df_handshake *hs, enum df_auth how, uint8_t key_no,
                 const struct df_key *key)
{
    bool is_aes = key->type == DF_KEY_AES;
    bool is_three = key->type == DF_KEY_3K3DES;
    bool wants_aes = how == DF_AUTH_AES || is_ev2(how);
    if (how == DF_AUTH_NONE || is_aes != wants_aes || (is_three && how != DF_AUTH_ISO))
        return false;
    hs->how = how;
    hs->key_no = key_no;
    hs->is_three = is_three;
    hs->is_des = key->type == DF_KEY_2K3DES && b_ct_eq(key->bytes, key->bytes + 8, 8);
    hs->size = is_aes || is_three ? 16 : 8;
    memset(hs->iv, 0, sizeof(hs->iv));
    crypto_key_init(&hs->key,
                    is_aes     ? CRYPTO_AES128
                    : is_three ? CRYPTO_TDEA3
                               : CRYPTO_TDEA2,
                    key->bytes);
    return true;
}

void df_hs_drop(struct df_handshake *hs)
{
    b_wipe(hs, sizeof(*hs));
}

void df_hs_challenge(struct df_handshake *hs, const uint8_t *b, struct b_wr *out)
{
    uint8_t *p = b_wr_reserve(out, hs->size);
    memcpy(hs->b, b, hs->size);
    start_message(hs);
    if (p != NULL)
        crypto_cbc_encrypt(&hs->key, hs->iv, hs->b, p, hs->size);
}

bool df_hs_token(struct df_handshake *hs, struct b_rd challenge, const uint8_t *a, struct b_wr *out)
{
    size_t n = hs->size;
    uint8_t *p = b_wr_reserve(out, 2 * n);
    if (challenge.left != n || p == NULL)
        return false;
    memcpy(hs->a, a, n);
    start_message(hs);
    crypto_cbc_decrypt(&hs->key, hs->iv, challenge.p, hs->b, n);
    memcpy(p, a, n);
    rotate(p + n, hs->b, n);
    start_message(hs);
    if (hs->how == DF_AUTH_D40)
        df_sm_d40_send(&hs->key, p, 2 * n);
    else
        crypto_cbc_encrypt(&hs->key, hs->iv, p, p, 2 * n);
    return true;
}

/* Session keys. EV1 and D40: bytes of both random numbers (AN12757 §5); a DES key gives a DES
 * session key. */
static void derive_ev1(const struct df_handshake *hs, const uint8_t *a, const uint8_t *b,
                       uint8_t key[static DF_KEY_BYTES_MAX])
{
    struct b_wr w = b_wr_from(key, DF_KEY_BYTES_MAX);
    bool is_aes = hs->key.cipher == CRYPTO_AES128;
    b_wr_bytes(&w, a, 4);
    b_wr_bytes(&w, b, 4);
    if (is_aes) {
        b_wr_bytes(&w, a + 12, 4);
        b_wr_bytes(&w, b + 12, 4);
    } else if (hs->is_three) {
        b_wr_bytes(&w, a + 6, 4);
        b_wr_bytes(&w, b + 6, 4);
        b_wr_bytes(&w, a + 12, 4);
        b_wr_bytes(&w, b + 12, 4);
    } else {
        b_wr_bytes(&w, hs->is_des ? a : a + 4, 4);
        b_wr_bytes(&w, hs->is_des ? b : b + 4, 4);
    }
}

void df_hs_open_ev1(struct df_handshake *hs, struct df_sm *sm, const uint8_t *a, const uint8_t *b)
{
    uint8_t key[DF_KEY_BYTES_MAX];
    derive_ev1(hs, a, b, key);
    sm->kind = hs->how == DF_AUTH_D40 ? DF_SM_D40 : DF_SM_EV1;
    sm->auth = hs->how;
    sm->key_no = hs->key_no;
    sm->block = (uint8_t)block_of(hs);
    memset(sm->iv, 0, sizeof(sm->iv));
    crypto_key_init(&sm->mac, hs->key.cipher, key);
    b_wipe(key, sizeof(key));
}

static void session_key(const struct df_handshake *hs, uint8_t label0, uint8_t label1,
                        uint8_t key[static 16])
{
    uint8_t sv[32];
    df_sm_ev2_vector(sv, label0, label1, hs->a, hs->b);
    crypto_cmac_two(&hs->key, sv, key);
    b_wipe(sv, sizeof(sv));
}

static void open_ev2(struct df_handshake *hs, struct df_sm *sm, const uint8_t *ti)
{
    if (hs->how == DF_AUTH_EV2_FIRST) {
        memcpy(sm->ti, ti, sizeof(sm->ti));
        sm->counter = 0;
    }
    sm->kind = DF_SM_EV2;
    sm->auth = hs->how;
    sm->key_no = hs->key_no;
    sm->block = 16;
    session_key(hs, 0xA5, 0x5A, sm->enc_bytes);
    session_key(hs, 0x5A, 0xA5, sm->mac_bytes);
    sm->has_mac = sm->has_enc = false;
}

static void open_session(struct df_handshake *hs, struct df_sm *sm, const uint8_t *ti)
{
    if (is_ev2(hs->how))
        open_ev2(hs, sm, ti);
    else
        df_hs_open_ev1(hs, sm, hs->a, hs->b);
}

bool df_hs_accept(struct df_handshake *hs, struct df_sm *sm, struct b_rd token,
                  const struct df_hs_caps *caps, struct b_wr *out)
{
    uint8_t plain[TOKEN_MAX], want[16];
    size_t n = hs->size;
    if (token.left != 2 * n || (hs->how == DF_AUTH_EV2_NONFIRST && sm->kind != DF_SM_EV2))
        return false;
    memcpy(plain, token.p, 2 * n);
    start_message(hs);
    if (hs->how == DF_AUTH_D40)
        df_sm_d40_receive(&hs->key, plain, 2 * n);
    else
        crypto_cbc_decrypt(&hs->key, hs->iv, plain, plain, 2 * n);
    memcpy(hs->a, plain, n);
    rotate(want, hs->b, n);
    bool is_good = b_ct_eq(want, plain + n, n);
    b_wipe(want, sizeof(want));
    if (is_good) {
        struct b_wr w = b_wr_from(plain, sizeof(plain));
        if (caps != NULL)
            b_wr_bytes(&w, caps->ti, sizeof(caps->ti));
        uint8_t *p = b_wr_reserve(&w, n);
        if (p != NULL)
            rotate(p, hs->a, n);
        if (caps != NULL) {
            b_wr_bytes(&w, caps->picc, sizeof(caps->picc));
            b_wr_bytes(&w, caps->pcd, sizeof(caps->pcd));
        }
        start_message(hs);
        crypto_cbc_encrypt(&hs->key, hs->iv, plain, plain, w.len);
        b_wr_bytes(out, plain, w.len);
        is_good = b_wr_ok(&w) && b_wr_ok(out);
    }
    if (is_good)
        open_session(hs, sm, caps != NULL ? caps->ti : NULL);
    b_wipe(plain, sizeof(plain));
    return is_good;
}

bool df_hs_finish(struct df_handshake *hs, struct df_sm *sm, struct b_rd answer)
{
    uint8_t plain[TOKEN_MAX], want[16];
    size_t n = hs->size;
    bool is_first = hs->how == DF_AUTH_EV2_FIRST;
    size_t at = is_first ? 4 : 0; /* where A' stands: behind the identifier */
    if (answer.left != (is_first ? 32 : n))
        return false;
    if (hs->how == DF_AUTH_EV2_NONFIRST && sm->kind != DF_SM_EV2)
        return false;
    start_message(hs);
    crypto_cbc_decrypt(&hs->key, hs->iv, answer.p, plain, answer.left);
    rotate(want, hs->a, n);
    bool is_good = b_ct_eq(want, plain + at, n);
    if (is_good)
        open_session(hs, sm, plain);
    b_wipe(plain, sizeof(plain));
    b_wipe(want, sizeof(want));
    return is_good;
}

void df_hs_iso_seal(struct df_handshake *hs, const uint8_t *first, const uint8_t *second,
                    struct b_wr *out)
{
    size_t n = hs->size;
    uint8_t iv[16] = {0};
    uint8_t *p = b_wr_reserve(out, 2 * n);
    if (p == NULL)
        return;
    memcpy(p, first, n);
    memcpy(p + n, second, n);
    crypto_cbc_encrypt(&hs->key, iv, p, p, 2 * n);
}

bool df_hs_iso_open(struct df_handshake *hs, struct b_rd in, uint8_t *first, uint8_t *second)
{
    uint8_t plain[TOKEN_MAX], iv[16] = {0};
    size_t n = hs->size;
    if (in.left != 2 * n)
        return false;
    crypto_cbc_decrypt(&hs->key, iv, in.p, plain, 2 * n);
    memcpy(first, plain, n);
    memcpy(second, plain + n, n);
    b_wipe(plain, sizeof(plain));
    return true;
}
