#include "vault/given.h"

#include "crypto/wrap.h"
#include "vault/identity.h"

enum { VERSION = 1, KCV = 3, HEAD = 2 + KCV };
static_assert(VAULT_GIVEN == HEAD + DF_KEY_BYTES_MAX + CRYPTO_SEALED_OVERHEAD,
              "shorter keys are filled up with zeros");

enum b_code vaultd_given_wrap(struct vaultd *d, const struct df_key *key,
                              const uint8_t kcv[static 3], uint8_t *out, struct b_err *err)
{
    const struct vaultd_identity *id = NULL;
    struct b_wr w = b_wr_from(out, HEAD);
    enum b_code r = vaultd_identity(d, &id, err);
    if (r != B_OK)
        return r;
    b_wr_u8(&w, VERSION);
    b_wr_u8(&w, (uint8_t)key->type);
    b_wr_bytes(&w, kcv, KCV);
    crypto_seal(id->given, b_wr_reader(&w), b_rd_from(key->bytes, sizeof(key->bytes)), out + HEAD);
    return B_OK;
}

static bool open_one(const struct vaultd_identity *id, struct b_rd wrapped, struct df_key *ret)
{
    struct b_rd head = b_rd_take(&wrapped, HEAD);
    struct b_rd fields = head;
    uint8_t version = b_rd_u8(&fields);
    uint8_t type = b_rd_u8(&fields);
    *ret = (struct df_key){.type = (enum df_key_type)type};
    return version == VERSION && crypto_unseal(id->given, head, wrapped, ret->bytes);
}

enum b_code vaultd_given_open(struct vaultd *d, struct b_rd wrapped, struct profile_job *job,
                              struct b_err *err)
{
    const struct vaultd_identity *id = NULL;
    enum b_code r = wrapped.left > 0 ? vaultd_identity(d, &id, err) : B_OK;
    while (r == B_OK && wrapped.left > 0) {
        struct b_rd one = b_rd_take(&wrapped, VAULT_GIVEN);
        if (job->given_count == PROFILE_GIVEN_KEYS_MAX)
            return b_err_set(err, B_E_TOO_LARGE, 0, "more than %d keys of others",
                             PROFILE_GIVEN_KEYS_MAX);
        if (one.left != VAULT_GIVEN || !open_one(id, one, &job->given[job->given_count]))
            return b_err_set(err, B_E_GIVEN_KEY, 0, "this token did not wrap it");
        job->given_count++;
    }
    return r;
}
