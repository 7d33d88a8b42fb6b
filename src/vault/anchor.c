/*
 * What the token remembers for the vault, by name, and what is remembered of proposals: "accept"
 * and "ceremony" act once, although their signatures are good for a day.
 *
 *   anchor "carried"   for each that acted and has not expired: digest (8 bytes of SHA-256)
 *                      expires (4 bytes, big-endian)
 *
 * Eight bytes tell proposals apart: what one more would have to collide with was signed by a
 * quorum.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "vault/quorum.h"

enum { DIGEST = 8, ENTRY = DIGEST + 4 };
static const char carried[] = "carried";

enum b_code vaultd_anchor_get(struct vaultd *d, const char *name, struct b_wr *out,
                              bool *ret_is_there, struct b_err *err)
{
    enum b_code r = d->keyring.anchor_get(d->keyring.ctx, vaultd_config(d), name, out, err);
    *ret_is_there = r == B_OK;
    return r == B_E_NOT_FOUND || r == B_E_TOKEN_MECHANISM ? B_OK : r;
}

enum b_code vaultd_anchor_put(struct vaultd *d, const char *name, struct b_rd bytes,
                              struct b_err *err)
{
    return d->keyring.anchor_put(d->keyring.ctx, vaultd_config(d), name, bytes, err);
}

/* --- proposals that act once -------------------------------------------------------------------
 */

struct vaultd_once vaultd_once_of(struct b_rd proposal, int64_t expires)
{
    struct vaultd_once once = {.expires = expires < UINT32_MAX ? (uint32_t)expires : UINT32_MAX};
    crypto_sha256(proposal.p, proposal.left, once.digest);
    return once;
}

/* Those that have not expired go into `left`. False when the proposal is among them. */
static bool keep_others(struct b_rd all, const struct vaultd_once *once, int64_t now,
                        struct b_wr *left)
{
    bool is_new = true;
    while (all.left >= ENTRY) {
        struct b_rd entry = b_rd_take(&all, ENTRY);
        struct b_rd r = entry;
        const uint8_t *digest = b_rd_direct(&r, DIGEST);
        is_new = is_new && !b_ct_eq(digest, once->digest, DIGEST);
        if ((int64_t)b_rd_be32(&r) > now)
            b_wr_bytes(left, entry.p, entry.left);
    }
    return is_new;
}

static enum b_code note(struct vaultd *d, const struct vaultd_once *once, int64_t now,
                        struct b_err *err)
{
    uint8_t before[CUSTODY_ANCHOR_MAX];
    uint8_t after[CUSTODY_ANCHOR_MAX];
    struct b_wr old = b_wr_from(before, sizeof(before));
    struct b_wr new = b_wr_from(after, sizeof(after));
    bool is_there = false;
    enum b_code r = vaultd_anchor_get(d, carried, &old, &is_there, err);
    if (r != B_OK)
        return r;
    if (!keep_others(b_wr_reader(&old), once, now, &new))
        return b_err_set(err, B_E_PROPOSAL_DONE, 0, "what it allows is done once");
    b_wr_bytes(&new, once->digest, DIGEST);
    b_wr_be32(&new, once->expires);
    return b_wr_ok(&new) ? vaultd_anchor_put(d, carried, b_wr_reader(&new), err)
                         : b_err_set(err, B_E_REFUSED, 0,
                                     "the token remembers %d proposals that were carried out: wait "
                                     "until one expires",
                                     CUSTODY_ANCHOR_MAX / ENTRY);
}

enum b_code vaultd_act_once(struct vaultd *d, const struct vaultd_once *once, int64_t now,
                            struct b_err *err)
{
    (void)pthread_mutex_lock(&d->shared->identity_lock);
    enum b_code r = note(d, once, now, err);
    (void)pthread_mutex_unlock(&d->shared->identity_lock);
    return r;
}
