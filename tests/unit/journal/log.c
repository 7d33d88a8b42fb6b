#include "log.h"

#include <stdio.h>
#include <string.h>

#include "crypto/sign.h"

static enum b_code get(void *ctx, uint64_t id, uint8_t out[static JOURNAL_HASH], struct b_err *err)
{
    const struct log *log = ctx;
    (void)err;
    b_check(id < log->count);
    memcpy(out, log->stored[id], JOURNAL_HASH);
    return B_OK;
}

size_t log_entry(uint64_t index, char mark, char out[static 32])
{
    return (size_t)snprintf(out, 32, "entry %llu%c", (unsigned long long)index, mark);
}

void log_build(struct log *log, uint64_t size, uint64_t from, char mark)
{
    b_check(size <= LOG_MAX);
    *log = (struct log){.seed = {1, 2, 3}};
    log->signer = (struct journal_signer){.name = "tessere/750712184",
                                          .algorithm = JOURNAL_ALGORITHM_ED25519};
    crypto_ed25519_public(log->seed, log->signer.key);
    journal_edge_root(&log->edge, log->roots[0]);
    for (uint64_t i = 0; i < size; i++) {
        char entry[32];
        uint8_t leaf[JOURNAL_HASH];
        size_t n = log_entry(i, i < from ? ' ' : mark, entry);
        journal_leaf_hash(entry, n, leaf);
        log->count += journal_edge_append(&log->edge, leaf, log->stored + log->count);
        journal_edge_root(&log->edge, log->roots[i + 1]);
    }
}

struct journal_reader log_reader(struct log *log)
{
    return (struct journal_reader){get, log};
}

void log_sign(const struct log *log, uint64_t size, char note[static JOURNAL_NOTE_MAX + 1])
{
    struct journal_checkpoint c = {.size = size};
    uint8_t signature[64];
    memcpy(c.origin, log->signer.name, sizeof(c.origin));
    memcpy(c.root, log->roots[size], sizeof(c.root));
    b_check(journal_checkpoint_print(&c, note, JOURNAL_NOTE_MAX));
    crypto_ed25519_sign(log->seed, note, strlen(note), signature);
    b_check(journal_note_add(note, JOURNAL_NOTE_MAX, &log->signer, signature, sizeof(signature)));
}

void log_grow(struct log *log, uint64_t old, uint64_t size, struct journal_growth *ret)
{
    struct b_err err;
    ret->old = old;
    ret->proof.count = 0;
    if (old > 0)
        b_check(journal_prove_consistency(old, size, log_reader(log), &ret->proof, &err) == B_OK);
    log_sign(log, size, ret->note);
}
