/*
 * Checkpoints of the journal. The vault signs a tree only when a proof leads to it from the last
 * one that it signed: a server that was taken over cannot have two histories signed by a vault that
 * runs. Across its starts it remembers by an anchor in the token: size (8 bytes, big-endian) and
 * root of a checkpoint that it signed. A token's memory wears: the anchor follows the first
 * checkpoint after a start, and then at most one every ten minutes; what was signed in between is
 * for witnesses to remember.
 */
#include <stdio.h>
#include <string.h>

#include "journal/journal.h"
#include "vault/identity.h"

enum { ANCHOR_BYTES = 8 + JOURNAL_HASH };
static const uint64_t anchor_every_us = 600ull * 1000 * 1000;
static const char anchor_name[] = "checkpoint";

/* The first need after a start: what this vault, or one before it, anchored. */
static enum b_code recall(struct vaultd *d, struct b_err *err)
{
    struct vaultd_signed *s = &d->shared->last_signed;
    uint8_t bytes[ANCHOR_BYTES];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    if (s->is_recalled)
        return B_OK;
    enum b_code r = d->keyring.anchor_get(d->keyring.ctx, vaultd_config(d), anchor_name, &w, err);
    s->has_no_anchors = r == B_E_TOKEN_MECHANISM;
    if (r == B_OK && w.len != sizeof(bytes))
        return b_err_set(err, B_E_TOKEN_FAILED, 0, "the token's anchor of the journal is broken");
    if (r == B_OK) {
        struct b_rd in = b_wr_reader(&w);
        s->size = (uint64_t)b_rd_be32(&in) << 32;
        s->size |= b_rd_be32(&in);
        b_rd_bytes(&in, s->root, sizeof(s->root));
        s->anchored = s->size;
    }
    s->is_recalled = r == B_OK || r == B_E_NOT_FOUND || r == B_E_TOKEN_MECHANISM;
    return s->is_recalled ? B_OK : r;
}

static enum b_code anchor(struct vaultd *d, uint64_t size, const uint8_t root[static 32],
                          struct b_err *err)
{
    struct vaultd_signed *s = &d->shared->last_signed;
    uint8_t bytes[ANCHOR_BYTES];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    if (s->has_no_anchors)
        return B_OK;
    b_wr_be32(&w, (uint32_t)(size >> 32));
    b_wr_be32(&w, (uint32_t)size);
    b_wr_bytes(&w, root, JOURNAL_HASH);
    enum b_code r =
        d->keyring.anchor_put(d->keyring.ctx, vaultd_config(d), anchor_name, b_wr_reader(&w), err);
    if (r == B_E_TOKEN_MECHANISM) {
        s->has_no_anchors = true;
        return B_OK;
    }
    if (r == B_OK) {
        s->anchored = size;
        s->anchored_us = d->now_us();
        s->has_anchored = true;
    }
    return r;
}

static bool is_anchor_due(const struct vaultd *d, uint64_t size)
{
    const struct vaultd_signed *s = &d->shared->last_signed;
    return size > s->anchored &&
           (!s->has_anchored || d->now_us() - s->anchored_us > anchor_every_us);
}

static enum b_code check_growth(const struct vaultd_signed *last, uint64_t size,
                                const uint8_t root[static 32], struct b_rd proof, struct b_err *err)
{
    static _Thread_local struct journal_proof p;
    if (last->size == 0)
        return B_OK;
    if (size < last->size)
        return b_err_set(err, B_E_JOURNAL_ROLLBACK, 0, "%llu entries were signed, here are %llu",
                         (unsigned long long)last->size, (unsigned long long)size);
    p.count = proof.left / JOURNAL_HASH;
    b_rd_bytes(&proof, p.hashes, p.count * JOURNAL_HASH);
    if (!journal_check_consistency(&p, last->size, size, last->root, root))
        return b_err_set(err, B_E_JOURNAL_FORK, 0, "from %llu entries to %llu",
                         (unsigned long long)last->size, (unsigned long long)size);
    return B_OK;
}

enum b_code vaultd_checkpoint(struct vaultd *d, const char *origin, uint64_t size, struct b_rd root,
                              struct b_rd proof, struct wire_out *answer, struct b_err *err)
{
    const struct vaultd_identity *id = NULL;
    struct journal_checkpoint c = {.size = size};
    char body[JOURNAL_NAME_MAX + 128];
    uint8_t signature[64];
    enum b_code r = vaultd_identity(d, &id, err);
    if (r != B_OK)
        return r;
    (void)snprintf(c.origin, sizeof(c.origin), "tessere/%s", vaultd_config(d)->establishment);
    memcpy(c.root, root.p, sizeof(c.root));
    if (strcmp(origin, c.origin) != 0 || !journal_checkpoint_print(&c, body, sizeof(body)))
        return b_err_set(err, B_E_BAD_INPUT, 0, "a journal of this vault is named %.40s", c.origin);
    (void)pthread_mutex_lock(&d->shared->identity_lock);
    r = recall(d, err);
    if (r == B_OK)
        r = check_growth(&d->shared->last_signed, size, c.root, proof, err);
    if (r == B_OK && is_anchor_due(d, size))
        r = anchor(d, size, c.root, err);
    if (r == B_OK) {
        d->shared->last_signed.size = size;
        memcpy(d->shared->last_signed.root, c.root, sizeof(c.root));
    }
    (void)pthread_mutex_unlock(&d->shared->identity_lock);
    if (r != B_OK)
        return r;
    crypto_ed25519_sign(id->journal, body, strlen(body), signature);
    wire_put_bytes(answer, signature, sizeof(signature));
    return B_OK;
}

enum b_code vaultd_journal_seen(struct vaultd *d, uint64_t *ret, struct b_err *err)
{
    (void)pthread_mutex_lock(&d->shared->identity_lock);
    enum b_code r = recall(d, err);
    *ret = d->shared->last_signed.size;
    (void)pthread_mutex_unlock(&d->shared->identity_lock);
    return r;
}

enum b_code vaultd_journal_accept(struct vaultd *d, uint64_t size, const uint8_t root[static 32],
                                  struct b_err *err)
{
    struct vaultd_signed *s = &d->shared->last_signed;
    (void)pthread_mutex_lock(&d->shared->identity_lock);
    enum b_code r = recall(d, err);
    if (r == B_OK)
        r = anchor(d, size, root, err);
    if (r == B_OK) {
        s->size = size;
        memcpy(s->root, root, sizeof(s->root));
    }
    (void)pthread_mutex_unlock(&d->shared->identity_lock);
    return r;
}
