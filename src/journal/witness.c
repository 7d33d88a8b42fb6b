#include "journal/witness.h"

#include <inttypes.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/sign.h"

void journal_witness_init(struct journal_witness *w, const struct journal_signer *log)
{
    *w = (struct journal_witness){.log = *log};
    memcpy(w->last.origin, log->name, sizeof(w->last.origin));
}

/* What is signed by this journal's key, and about this journal. */
static enum b_code open_note(const struct journal_witness *w, const char *note, size_t n,
                             struct journal_checkpoint *ret, struct b_err *err)
{
    if (!journal_checkpoint_parse(note, n, ret) || !journal_note_verify(note, n, &w->log, NULL))
        return b_err_set(err, B_E_JOURNAL_SIGNATURE, 0, "a checkpoint for %s", w->log.name);
    if (strcmp(ret->origin, w->log.name) != 0)
        return b_err_set(err, B_E_JOURNAL_SIGNATURE, 0, "a checkpoint of %s, not of %s",
                         ret->origin, w->log.name);
    return B_OK;
}

enum b_code journal_witness_load(struct journal_witness *w, const char *note, size_t n,
                                 struct b_err *err)
{
    struct journal_checkpoint c;
    enum b_code r = open_note(w, note, n, &c, err);
    if (r == B_OK)
        w->last = c;
    return r;
}

static enum b_code compare(const struct journal_checkpoint *last,
                           const struct journal_checkpoint *next, const struct journal_growth *g,
                           struct b_err *err)
{
    if (next->size < last->size)
        return b_err_set(err, B_E_JOURNAL_ROLLBACK, 0,
                         "%s had %" PRIu64 " entries, and shows %" PRIu64, last->origin, last->size,
                         next->size);
    if (next->size == last->size && !b_ct_eq(next->root, last->root, sizeof(next->root)))
        return b_err_set(err, B_E_JOURNAL_FORK, 0,
                         "%s has two trees of %" PRIu64 " entries that differ", last->origin,
                         last->size);
    if (g->old != last->size)
        return b_err_set(err, B_E_JOURNAL_PROOF, 0,
                         "the proof starts at %" PRIu64 " entries of %s; %" PRIu64 " were seen",
                         g->old, last->origin, last->size);
    if (!journal_check_consistency(&g->proof, g->old, next->size, last->root, next->root))
        return b_err_set(err, B_E_JOURNAL_PROOF, 0,
                         "the tree of %" PRIu64
                         " entries of %s is not shown to start with the %" PRIu64 " that were seen",
                         next->size, last->origin, last->size);
    return B_OK;
}

/* Nothing was seen yet. An empty tree has one root only. */
static enum b_code check_first(const struct journal_checkpoint *next,
                               const struct journal_growth *g, struct b_err *err)
{
    uint8_t empty[JOURNAL_HASH];
    crypto_sha256("", 0, empty);
    if (g->old != 0 || g->proof.count != 0)
        return b_err_set(err, B_E_JOURNAL_PROOF, 0,
                         "the proof starts at %" PRIu64 " entries of %s; none was seen yet", g->old,
                         next->origin);
    if (next->size == 0 && !b_ct_eq(next->root, empty, sizeof(empty)))
        return b_err_set(err, B_E_JOURNAL_FORK, 0, "%s has no entries, and a root", next->origin);
    return B_OK;
}

enum b_code journal_witness_step(struct journal_witness *w, const struct journal_growth *g,
                                 struct b_err *err)
{
    struct journal_checkpoint next;
    enum b_code r = open_note(w, g->note, strlen(g->note), &next, err);
    if (r == B_OK)
        r = w->last.size == 0 ? check_first(&next, g, err) : compare(&w->last, &next, g, err);
    if (r == B_OK)
        w->last = next;
    return r;
}

bool journal_witness_cosign(const char *name, const uint8_t seed[static 32], uint64_t time,
                            char *note, size_t cap)
{
    static _Thread_local char message[JOURNAL_NOTE_MAX + 64];
    struct journal_signer me = {.algorithm = JOURNAL_ALGORITHM_COSIGNATURE};
    uint8_t signature[8 + 64];
    size_t body = journal_note_body(note, strnlen(note, cap));
    size_t n = journal_cosigned(time, note, body, message, sizeof(message));
    if (body == 0 || n == 0 || strlen(name) >= sizeof(me.name))
        return false;
    memcpy(me.name, name, strlen(name));
    crypto_ed25519_public(seed, me.key);
    struct b_wr w = b_wr_from(signature, 8);
    b_wr_be32(&w, (uint32_t)(time >> 32));
    b_wr_be32(&w, (uint32_t)time);
    crypto_ed25519_sign(seed, message, n, signature + 8);
    return journal_note_add(note, cap, &me, signature, sizeof(signature));
}
