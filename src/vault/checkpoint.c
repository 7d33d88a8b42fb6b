/*
 * Checkpoints of the journal. The vault signs a tree only when a proof leads to it from the last
 * one that it signed: a server that was taken over cannot have two histories signed by a vault that
 * runs. Across its starts it remembers by an anchor in the token: size (8 bytes, big-endian) and
 * root of a checkpoint that it signed. A token's memory wears: the anchor follows the first
 * checkpoint after a start, and then at most one every ten minutes; what was signed in between is
 * for witnesses to remember.
 *
 * Another vault may sign by the same token: a ceremony's beside the server's, or one that somebody
 * started who wants a second history. The anchor is read before each signature. One that this vault
 * did not put there must lead to the tree as well, and then this vault puts its own in its place at
 * once, so that the other must go on from that.
 */
#include <stdio.h>
#include <string.h>

#include "journal/journal.h"
#include "vault/identity.h"

enum { ANCHOR_BYTES = 8 + JOURNAL_HASH };
static const uint64_t anchor_every_us = 600ull * 1000 * 1000;
static const char anchor_name[] = "checkpoint";

static bool is_same(const struct vaultd_tree *a, const struct vaultd_tree *b)
{
    return a->size == b->size && b_ct_eq(a->root, b->root, sizeof(a->root));
}

/* What the token says now; size 0: nothing. */
static enum b_code read_anchor(struct vaultd *d, struct vaultd_tree *ret, struct b_err *err)
{
    struct vaultd_signed *s = &d->shared->last_signed;
    uint8_t bytes[CUSTODY_ANCHOR_MAX];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    *ret = (struct vaultd_tree){.size = 0};
    if (s->has_no_anchors)
        return B_OK;
    enum b_code r = d->keyring.anchor_get(d->keyring.ctx, vaultd_config(d), anchor_name, &w, err);
    s->has_no_anchors = r == B_E_TOKEN_MECHANISM;
    if (r == B_E_NOT_FOUND || r == B_E_TOKEN_MECHANISM)
        return B_OK;
    if (r == B_OK && w.len != ANCHOR_BYTES)
        r = b_err_set(err, B_E_TOKEN_FAILED, 0, "the token's anchor of the journal is broken");
    if (r != B_OK)
        return r;
    struct b_rd in = b_wr_reader(&w);
    ret->size = (uint64_t)b_rd_be32(&in) << 32;
    ret->size |= b_rd_be32(&in);
    b_rd_bytes(&in, ret->root, sizeof(ret->root));
    return B_OK;
}

/* Reads the anchor. The first need after a start: what a vault before this one anchored is where it
 * goes on from. Later: *ret_is_new when another vault has put another one there. */
static enum b_code recall(struct vaultd *d, bool *ret_is_new, struct b_err *err)
{
    struct vaultd_signed *s = &d->shared->last_signed;
    struct vaultd_tree found;
    *ret_is_new = false;
    if (!vaultd_config(d)->signs_journal)
        return b_err_set(err, B_E_REFUSED, 0, "this vault is not the one that signs the journal");
    enum b_code r = read_anchor(d, &found, err);
    if (r != B_OK)
        return r;
    if (!s->is_recalled)
        s->last = s->anchor = found;
    s->is_recalled = true;
    if (is_same(&found, &s->anchor))
        return B_OK;
    if (found.size == 0)
        return b_err_set(err, B_E_JOURNAL_FORK, 0, "the token's anchor of the journal is gone");
    s->anchor = found;
    s->has_anchored = false;
    *ret_is_new = s->is_others = true;
    return B_OK;
}

static enum b_code anchor(struct vaultd *d, const struct vaultd_tree *t, struct b_err *err)
{
    struct vaultd_signed *s = &d->shared->last_signed;
    uint8_t bytes[ANCHOR_BYTES];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    if (s->has_no_anchors)
        return B_OK;
    b_wr_be32(&w, (uint32_t)(t->size >> 32));
    b_wr_be32(&w, (uint32_t)t->size);
    b_wr_bytes(&w, t->root, sizeof(t->root));
    enum b_code r =
        d->keyring.anchor_put(d->keyring.ctx, vaultd_config(d), anchor_name, b_wr_reader(&w), err);
    if (r == B_E_TOKEN_MECHANISM) {
        s->has_no_anchors = true;
        return B_OK;
    }
    if (r == B_OK) {
        s->anchor = *t;
        s->anchored_us = d->now_us();
        s->has_anchored = true;
        s->is_others = false;
    }
    return r;
}

static bool is_anchor_due(const struct vaultd *d, uint64_t size)
{
    const struct vaultd_signed *s = &d->shared->last_signed;
    return s->is_others || (size > s->anchor.size &&
                            (!s->has_anchored || d->now_us() - s->anchored_us > anchor_every_us));
}

static enum b_code check_growth(const struct vaultd_tree *from, const struct vaultd_tree *to,
                                struct b_rd proof, struct b_err *err)
{
    static _Thread_local struct journal_proof p;
    if (from->size == 0)
        return B_OK;
    if (to->size < from->size)
        return b_err_set(err, B_E_JOURNAL_ROLLBACK, 0, "%llu entries were signed, here are %llu",
                         (unsigned long long)from->size, (unsigned long long)to->size);
    p.count = proof.left / JOURNAL_HASH;
    b_rd_bytes(&proof, p.hashes, p.count * JOURNAL_HASH);
    if (!journal_check_consistency(&p, from->size, to->size, from->root, to->root))
        return b_err_set(err, B_E_JOURNAL_FORK, 0, "from %llu entries to %llu",
                         (unsigned long long)from->size, (unsigned long long)to->size);
    return B_OK;
}

/* Under the lock: the tree may be signed, and is what was signed last. */
static enum b_code go_on_to(struct vaultd *d, const struct vaultd_tree *to,
                            const struct vault_tree *asked, struct b_err *err)
{
    struct vaultd_signed *s = &d->shared->last_signed;
    bool is_new = false;
    enum b_code r = recall(d, &is_new, err);
    if (r == B_OK && is_new)
        r = b_err_set(err, B_E_VAULT_BUSY, 0, "another vault has just signed %llu entries",
                      (unsigned long long)s->anchor.size);
    if (r == B_OK)
        r = check_growth(&s->last, to, asked->proof, err);
    if (r == B_OK && s->is_others)
        r = check_growth(&s->anchor, to, asked->other, err);
    if (r == B_OK && is_anchor_due(d, to->size))
        r = anchor(d, to, err);
    if (r == B_OK)
        s->last = *to;
    return r;
}

enum b_code vaultd_checkpoint(struct vaultd *d, const struct vault_tree *asked,
                              struct wire_out *answer, struct b_err *err)
{
    const struct vaultd_identity *id = NULL;
    struct journal_checkpoint c = {.size = asked->size};
    struct vaultd_tree to = {.size = asked->size};
    char body[JOURNAL_NAME_MAX + 128];
    uint8_t signature[64];
    enum b_code r = vaultd_identity(d, &id, err);
    if (r != B_OK)
        return r;
    (void)snprintf(c.origin, sizeof(c.origin), "tessere/%s", vaultd_config(d)->establishment);
    memcpy(c.root, asked->root, sizeof(c.root));
    memcpy(to.root, asked->root, sizeof(to.root));
    if (strcmp(asked->origin, c.origin) != 0 || !journal_checkpoint_print(&c, body, sizeof(body)))
        return b_err_set(err, B_E_BAD_INPUT, 0, "a journal of this vault is named %.40s", c.origin);
    (void)pthread_mutex_lock(&d->shared->identity_lock);
    r = go_on_to(d, &to, asked, err);
    (void)pthread_mutex_unlock(&d->shared->identity_lock);
    if (r != B_OK)
        return r;
    crypto_ed25519_sign(id->journal, body, strlen(body), signature);
    wire_put_bytes(answer, signature, sizeof(signature));
    return B_OK;
}

enum b_code vaultd_journal_seen(struct vaultd *d, struct vault_seen *ret, struct b_err *err)
{
    const struct vaultd_signed *s = &d->shared->last_signed;
    bool is_new = false;
    (void)pthread_mutex_lock(&d->shared->identity_lock);
    enum b_code r = recall(d, &is_new, err);
    ret->size = s->last.size;
    ret->other = s->is_others ? s->anchor.size : 0;
    (void)pthread_mutex_unlock(&d->shared->identity_lock);
    return r;
}

enum b_code vaultd_journal_accept(struct vaultd *d, uint64_t size, const uint8_t root[static 32],
                                  struct b_err *err)
{
    struct vaultd_tree to = {.size = size};
    bool is_new = false;
    memcpy(to.root, root, sizeof(to.root));
    (void)pthread_mutex_lock(&d->shared->identity_lock);
    enum b_code r = recall(d, &is_new, err);
    if (r == B_OK)
        r = anchor(d, &to, err);
    if (r == B_OK)
        d->shared->last_signed.last = to;
    (void)pthread_mutex_unlock(&d->shared->identity_lock);
    return r;
}
