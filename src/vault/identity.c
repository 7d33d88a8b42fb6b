#include "vault/identity.h"

#include <string.h>

#include "crypto/crypto.h"

enum { SEAL_GENERATION = 1 };

/* label: 16 to 29 characters, so that every token can derive from it. */
static enum b_code derive(struct vaultd *d, const char *label, uint8_t halves[static 32],
                          struct b_err *err)
{
    const struct custody_key seal = {.role = KEY_ROLE_SEAL, .generation = SEAL_GENERATION};
    enum b_code r = B_OK;
    size_t n = strlen(label);
    b_check(n >= 16 && n + 1 < CRYPTO_DIV_INPUT_MAX);
    for (uint8_t i = 0; r == B_OK && i < 2; i++) {
        uint8_t input[CRYPTO_DIV_INPUT_MAX];
        memcpy(input, label, n);
        input[n] = (uint8_t)(i + 1);
        r = d->keyring.derive(d->keyring.ctx, vaultd_config(d), &seal, b_rd_from(input, n + 1),
                              halves + 16 * (size_t)i, err);
    }
    return r;
}

/* The n-th candidate from the halves. */
static void expand(const uint8_t halves[static 32], const char *label, uint8_t n,
                   uint8_t out[static 32])
{
    uint8_t tail[64];
    size_t length = strlen(label);
    memcpy(tail, label, length);
    tail[length] = n;
    crypto_sha256_two(halves, 32, tail, length + 1, out);
}

static enum b_code make_scalar(struct vaultd *d, const char *label, uint8_t *halves,
                               uint8_t scalar[static 32], struct crypto_es256 **ret,
                               struct b_err *err)
{
    enum b_code r = derive(d, label, halves, err);
    *ret = NULL;
    for (uint8_t n = 0; r == B_OK && *ret == NULL && n < 8; n++) {
        expand(halves, label, n, scalar); /* one in 2^32 is no scalar */
        *ret = crypto_es256_new(scalar);
    }
    return r == B_OK && *ret == NULL ? b_err_set(err, B_E_INTERNAL, 0, "deriving %s", label) : r;
}

static enum b_code make(struct vaultd *d, struct vaultd_identity *id, uint8_t *work,
                        struct b_err *err)
{
    uint8_t *halves = work;
    uint8_t *scalar = work + 32;
    struct crypto_es256 *pin = NULL;
    enum b_code r = derive(d, "tessere/journal/ed25519", halves, err);
    if (r != B_OK)
        return r;
    expand(halves, "tessere/journal/ed25519", 0, id->journal);
    crypto_ed25519_public(id->journal, id->journal_public);
    r = derive(d, "tessere/pin/pepper", halves, err);
    if (r == B_OK)
        expand(halves, "tessere/pin/pepper", 0, id->pepper);
    if (r == B_OK)
        r = derive(d, "tessere/signer/aes256-gcm", halves, err);
    if (r == B_OK)
        expand(halves, "tessere/signer/aes256-gcm", 0, id->signer);
    if (r == B_OK)
        r = derive(d, "tessere/given/aes256-gcm", halves, err);
    if (r == B_OK)
        expand(halves, "tessere/given/aes256-gcm", 0, id->given);
    if (r == B_OK)
        r = make_scalar(d, "tessere/pin/hpke-p256", halves, id->pin, &pin, err);
    if (r == B_OK)
        crypto_es256_public(pin, id->pin_public);
    crypto_es256_free(&pin);
    if (r == B_OK)
        r = make_scalar(d, "tessere/assertion/es256", halves, scalar, &id->assertion, err);
    if (r != B_OK)
        return r;
    uint8_t digest[32];
    crypto_es256_public(id->assertion, id->assertion_public);
    crypto_sha256(id->assertion_public, sizeof(id->assertion_public), digest);
    b_check(b_base64url(id->key_id, sizeof(id->key_id), digest, 8));
    return B_OK;
}

enum b_code vaultd_identity(struct vaultd *d, const struct vaultd_identity **ret, struct b_err *err)
{
    struct vaultd_shared *sh = d->shared;
    enum b_code r = B_OK;
    (void)pthread_mutex_lock(&sh->identity_lock);
    if (sh->identity == NULL) {
        struct vaultd_identity *id = b_secret_alloc(sizeof(*id));
        uint8_t *work = b_secret_alloc(64);
        r = id != NULL && work != NULL
                ? make(d, id, work, err)
                : b_err_set(err, B_E_VAULT_BUSY, 0, "no locked memory for the vault's own keys");
        b_secret_free(work);
        if (r == B_OK)
            sh->identity = id;
        else
            b_secret_free(id);
    }
    *ret = sh->identity;
    (void)pthread_mutex_unlock(&sh->identity_lock);
    return r;
}

void vaultd_identity_drop(struct vaultd *d)
{
    struct vaultd_shared *sh = d->shared;
    if (sh->identity != NULL)
        crypto_es256_free(&sh->identity->assertion);
    b_secret_free(sh->identity);
    sh->identity = NULL;
}
