/*
 * Which ceremony is in force, as the token knows it: whose shares give back the backup key is not
 * the peer's word.
 *
 *   anchor "ceremony"   SHA-256("tessere-ceremony/v1" || ceremony || check || quorum), once or
 * twice
 *
 * The first is in force. A second one is being made to take its place: until its minutes are signed
 * both are known, so that one that was cut loses nothing. The minutes make a ceremony the one in
 * force, and the only one, also the first of a token, which knows none before.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "vault/ceremony_state.h"

enum { DIGEST = 32, KNOWN_MAX = 2 };
static const char anchor_name[] = "ceremony";

struct known {
    uint8_t digests[KNOWN_MAX][DIGEST];
    size_t count;
};

static void digest_of(const struct backup_key *k, const uint8_t check[static VAULTD_CHECK],
                      uint8_t out[static DIGEST])
{
    static const char name[] = "tessere-ceremony/v1";
    uint8_t bytes[64];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    b_wr_bytes(&w, name, sizeof(name) - 1);
    b_wr_bytes(&w, k->id, sizeof(k->id));
    b_wr_bytes(&w, check, VAULTD_CHECK);
    b_wr_u8(&w, k->threshold);
    b_check(b_wr_ok(&w));
    crypto_sha256(bytes, w.len, out);
}

/* Of one that was made here, or put together. */
static void digest_of_whole(const struct backup_key *k, uint8_t out[static DIGEST])
{
    uint8_t check[VAULTD_CHECK];
    ceremony_check(k, check);
    digest_of(k, check, out);
}

static enum b_code read_known(struct vaultd *d, struct known *ret, struct b_err *err)
{
    uint8_t bytes[CUSTODY_ANCHOR_MAX];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    bool is_there = false;
    enum b_code r = vaultd_anchor_get(d, anchor_name, &w, &is_there, err);
    ret->count = is_there ? w.len / DIGEST : 0;
    if (r == B_OK && is_there && (w.len % DIGEST != 0 || ret->count == 0 || ret->count > KNOWN_MAX))
        return b_err_set(err, B_E_TOKEN_FAILED, 0, "the token's anchor of the ceremony is broken");
    memcpy(ret->digests, bytes, ret->count * DIGEST);
    return r;
}

static enum b_code write_known(struct vaultd *d, const struct known *k, struct b_err *err)
{
    enum b_code r =
        vaultd_anchor_put(d, anchor_name, b_rd_from(k->digests[0], k->count * DIGEST), err);
    return r == B_E_TOKEN_MECHANISM ? B_OK : r; /* one that keeps nothing */
}

enum b_code ceremony_known(struct vaultd *d, const struct backup_key *k,
                           const uint8_t check[static VAULTD_CHECK], bool *ret_has,
                           struct b_err *err)
{
    struct known known;
    uint8_t digest[DIGEST];
    char hex[2 * CUSTODY_CEREMONY_ID + 1];
    enum b_code r = read_known(d, &known, err);
    *ret_has = r == B_OK && known.count > 0;
    if (!*ret_has)
        return r;
    digest_of(k, check, digest);
    for (size_t i = 0; i < known.count; i++)
        if (b_ct_eq(known.digests[i], digest, DIGEST))
            return B_OK;
    b_hex(hex, k->id, sizeof(k->id));
    return b_err_set(err, B_E_CEREMONY_OTHER, 0, "not %s, with a quorum of %u", hex, k->threshold);
}

enum b_code ceremony_succeed(struct vaultd *d, const struct backup_key *former,
                             const struct backup_key *now, struct b_err *err)
{
    struct known known;
    enum b_code r = read_known(d, &known, err);
    if (r != B_OK || known.count == 0)
        return r;
    digest_of_whole(former, known.digests[0]);
    digest_of_whole(now, known.digests[1]);
    known.count = 2;
    return write_known(d, &known, err);
}

enum b_code ceremony_enforce(struct vaultd *d, const struct backup_key *now, struct b_err *err)
{
    struct known known;
    uint8_t digest[DIGEST];
    enum b_code r = read_known(d, &known, err);
    digest_of_whole(now, digest);
    if (r != B_OK || (known.count == 1 && b_ct_eq(known.digests[0], digest, DIGEST)))
        return r;
    memcpy(known.digests[0], digest, DIGEST);
    known.count = 1;
    return write_known(d, &known, err);
}
