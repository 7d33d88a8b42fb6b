/*
 * Checkpoints of the journal. The vault signs a tree only when a proof leads to it from the last
 * one that it signed: a server that was taken over cannot have two histories signed by a vault that
 * runs. After a start it takes the first that it is shown; witnesses see what happened before.
 */
#include <string.h>

#include "journal/journal.h"
#include "vault/identity.h"

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
    (void)strncpy(c.origin, origin, sizeof(c.origin) - 1);
    memcpy(c.root, root.p, sizeof(c.root));
    if (strpbrk(origin, "\n") != NULL || !journal_checkpoint_print(&c, body, sizeof(body)))
        return b_err_set(err, B_E_BAD_INPUT, 0, "the journal's name");
    (void)pthread_mutex_lock(&d->shared->identity_lock);
    r = check_growth(&d->shared->last_signed, size, c.root, proof, err);
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
