/* Sections and names are RFC 9180's. */
#include "crypto/hpke.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "crypto/crypto.h"

enum { NH = 32, NK = 16, NN = 12 };

static const uint8_t suite_kem[] = {'K', 'E', 'M', 0x00, 0x10};
static const uint8_t suite_hpke[] = {'H', 'P', 'K', 'E', 0x00, 0x10, 0x00, 0x01, 0x00, 0x01};

/* --- labelled HKDF (§4) ------------------------------------------------------------------------
 */

struct labelled {
    const uint8_t *suite;
    size_t suite_len;
    const char *label;
};

static void hmac(struct b_rd key, struct b_rd message, uint8_t out[static NH])
{
    unsigned n = 0;
    static const uint8_t none[1];
    b_check(HMAC(EVP_sha256(), key.left > 0 ? key.p : none, (int)key.left, message.p, message.left,
                 out, &n) != NULL &&
            n == NH);
}

static void put_label(struct b_wr *w, const struct labelled *l)
{
    b_wr_bytes(w, "HPKE-v1", 7);
    b_wr_bytes(w, l->suite, l->suite_len);
    b_wr_bytes(w, l->label, strlen(l->label));
}

static void extract(struct b_rd salt, const struct labelled *l, struct b_rd ikm,
                    uint8_t out[static NH])
{
    uint8_t bytes[512];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    put_label(&w, l);
    b_wr_bytes(&w, ikm.p, ikm.left);
    b_check(b_wr_ok(&w));
    hmac(salt, b_wr_reader(&w), out);
    b_wipe(bytes, sizeof(bytes));
}

/* n at most NH: one block of HKDF-Expand. */
static void expand(const uint8_t prk[static NH], const struct labelled *l, struct b_rd info,
                   uint8_t *out, size_t n)
{
    uint8_t bytes[512];
    uint8_t block[NH];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    b_wr_be16(&w, (uint16_t)n);
    put_label(&w, l);
    b_wr_bytes(&w, info.p, info.left);
    b_wr_u8(&w, 1);
    b_check(b_wr_ok(&w) && n <= NH);
    hmac(b_rd_from(prk, NH), b_wr_reader(&w), block);
    memcpy(out, block, n);
    b_wipe(block, sizeof(block));
}

/* --- P-256 -------------------------------------------------------------------------------------
 */

/* scalar * point, or scalar * G when point is NULL; false when either is none. */
static bool multiply(const uint8_t scalar[static 32], const uint8_t *point,
                     uint8_t out[static CRYPTO_HPKE_ENC])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *in = group != NULL ? EC_POINT_new(group) : NULL;
    EC_POINT *to = group != NULL ? EC_POINT_new(group) : NULL;
    BIGNUM *d = BN_secure_new();
    if (d != NULL)
        BN_set_flags(d, BN_FLG_CONSTTIME);
    bool is_done = in != NULL && to != NULL && d != NULL && BN_bin2bn(scalar, 32, d) != NULL &&
                   !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(group)) < 0;
    if (is_done && point != NULL) /* oct2point refuses what is not on the curve */
        is_done = point[0] == 4 &&
                  EC_POINT_oct2point(group, in, point, CRYPTO_HPKE_ENC, NULL) == 1 &&
                  EC_POINT_is_at_infinity(group, in) == 0 &&
                  EC_POINT_mul(group, to, NULL, in, d, NULL) == 1;
    else if (is_done)
        is_done = EC_POINT_mul(group, to, d, NULL, NULL, NULL) == 1;
    is_done = is_done && EC_POINT_point2oct(group, to, POINT_CONVERSION_UNCOMPRESSED, out,
                                            CRYPTO_HPKE_ENC, NULL) == CRYPTO_HPKE_ENC;
    BN_clear_free(d);
    EC_POINT_free(in);
    EC_POINT_clear_free(to);
    EC_GROUP_free(group);
    return is_done;
}

/* --- the context (§4.1, §5.1) ------------------------------------------------------------------
 */

struct keys {
    uint8_t key[NK], nonce[NN];
};

/* dh: the shared point (its X counts); enc and recipient: points. */
static void schedule(const uint8_t *dh, const uint8_t *enc, const uint8_t *recipient,
                     struct b_rd info, struct keys *ret)
{
    const struct labelled eae = {suite_kem, sizeof(suite_kem), "eae_prk"};
    const struct labelled shared = {suite_kem, sizeof(suite_kem), "shared_secret"};
    const struct labelled psk_id = {suite_hpke, sizeof(suite_hpke), "psk_id_hash"};
    const struct labelled info_hash = {suite_hpke, sizeof(suite_hpke), "info_hash"};
    const struct labelled secret = {suite_hpke, sizeof(suite_hpke), "secret"};
    const struct labelled key = {suite_hpke, sizeof(suite_hpke), "key"};
    const struct labelled nonce = {suite_hpke, sizeof(suite_hpke), "base_nonce"};
    const struct b_rd none = b_rd_from(NULL, 0);
    uint8_t kem_context[2 * CRYPTO_HPKE_ENC];
    uint8_t context[1 + 2 * NH] = {0}; /* mode_base */
    uint8_t prk[NH];
    uint8_t z[NH];
    memcpy(kem_context, enc, CRYPTO_HPKE_ENC);
    memcpy(kem_context + CRYPTO_HPKE_ENC, recipient, CRYPTO_HPKE_ENC);
    extract(none, &eae, b_rd_from(dh + 1, 32), prk);
    expand(prk, &shared, b_rd_from(kem_context, sizeof(kem_context)), z, sizeof(z));
    extract(none, &psk_id, none, context + 1);
    extract(none, &info_hash, info, context + 1 + NH);
    extract(b_rd_from(z, sizeof(z)), &secret, none, prk);
    const struct b_rd c = b_rd_from(context, sizeof(context));
    expand(prk, &key, c, ret->key, NK);
    expand(prk, &nonce, c, ret->nonce, NN);
    b_wipe(prk, sizeof(prk));
    b_wipe(z, sizeof(z));
}

/* AES-128-GCM; text may be empty. tag: written when sealing, checked when opening. */
static bool gcm(const struct keys *k, bool is_seal, struct b_rd aad, struct b_rd in, uint8_t *out,
                uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    uint8_t last[16];
    bool is_done =
        ctx != NULL &&
        EVP_CipherInit_ex(ctx, EVP_aes_128_gcm(), NULL, k->key, k->nonce, is_seal ? 1 : 0) == 1 &&
        (aad.left == 0 || EVP_CipherUpdate(ctx, NULL, &n, aad.p, (int)aad.left) == 1) &&
        (in.left == 0 || EVP_CipherUpdate(ctx, out, &n, in.p, (int)in.left) == 1);
    if (is_done && !is_seal)
        is_done = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, CRYPTO_HPKE_TAG, tag) == 1;
    is_done = is_done && EVP_CipherFinal_ex(ctx, last, &n) == 1;
    if (is_done && is_seal)
        is_done = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, CRYPTO_HPKE_TAG, tag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return is_done;
}

bool crypto_hpke_seal_with(const uint8_t ephemeral[static 32], const uint8_t point[static 65],
                           const struct crypto_hpke *context, struct b_rd text, uint8_t *box)
{
    uint8_t dh[CRYPTO_HPKE_ENC];
    struct keys k;
    if (text.left > CRYPTO_HPKE_TEXT_MAX || context->info.left > 128 ||
        !multiply(ephemeral, NULL, box) || !multiply(ephemeral, point, dh))
        return false;
    schedule(dh, box, point, context->info, &k);
    bool is_done =
        gcm(&k, true, context->aad, text, box + CRYPTO_HPKE_ENC, box + CRYPTO_HPKE_ENC + text.left);
    b_wipe(dh, sizeof(dh));
    b_wipe(&k, sizeof(k));
    return is_done;
}

bool crypto_hpke_seal(const uint8_t point[static 65], const struct crypto_hpke *context,
                      struct b_rd text, uint8_t *box)
{
    uint8_t ephemeral[32];
    uint8_t probe[CRYPTO_HPKE_ENC];
    do
        crypto_random(ephemeral, sizeof(ephemeral));
    while (!multiply(ephemeral, NULL, probe)); /* one in 2^32 is no scalar */
    bool is_done = crypto_hpke_seal_with(ephemeral, point, context, text, box);
    b_wipe(ephemeral, sizeof(ephemeral));
    return is_done;
}

bool crypto_hpke_open(const uint8_t scalar[static 32], const struct crypto_hpke *context,
                      struct b_rd box, uint8_t *text)
{
    uint8_t dh[CRYPTO_HPKE_ENC];
    uint8_t own[CRYPTO_HPKE_ENC];
    uint8_t tag[CRYPTO_HPKE_TAG];
    struct keys k;
    if (box.left < CRYPTO_HPKE_OVERHEAD || box.left > CRYPTO_HPKE_OVERHEAD + CRYPTO_HPKE_TEXT_MAX ||
        context->info.left > 128)
        return false;
    size_t n = box.left - CRYPTO_HPKE_OVERHEAD;
    if (!multiply(scalar, box.p, dh) || !multiply(scalar, NULL, own))
        return false;
    schedule(dh, box.p, own, context->info, &k);
    memcpy(tag, box.p + CRYPTO_HPKE_ENC + n, sizeof(tag));
    bool is_done = gcm(&k, false, context->aad, b_rd_from(box.p + CRYPTO_HPKE_ENC, n), text, tag);
    if (!is_done)
        b_wipe(text, n);
    b_wipe(dh, sizeof(dh));
    b_wipe(&k, sizeof(k));
    return is_done;
}
