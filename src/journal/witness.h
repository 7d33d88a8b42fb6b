/*
 * A witness: on another machine, it remembers the newest tree of a journal that it has seen, and
 * cosigns only what grew from it (C2SP tlog-witness, tlog-cosignature). Two histories cannot both
 * get its cosignature.
 *
 *   load what was kept; then for each submission
 *   journal_witness_step  → keep g->note durably → journal_witness_cosign → answer
 *
 * Whoever keeps the note after answering can be made to forget it.
 */
#ifndef TESSERE_JOURNAL_WITNESS_H
#define TESSERE_JOURNAL_WITNESS_H

#include "journal/proof.h"

struct journal_witness {
    struct journal_signer log;      /* whose journal; its name is the origin of its checkpoints */
    struct journal_checkpoint last; /* the newest that was accepted; size 0: none yet */
};

void journal_witness_init(struct journal_witness *w, const struct journal_signer *log);
/* Goes on from the note that was accepted last, as it was kept. B_E_JOURNAL_SIGNATURE when it is
 * not one of this journal. */
B_NODISCARD enum b_code journal_witness_load(struct journal_witness *w, const char *note, size_t n,
                                             struct b_err *err);
/*
 * Looks at a checkpoint with the proof that leads to it from w->last. B_OK: it is w->last now. Else
 * nothing changed, and
 *   B_E_JOURNAL_SIGNATURE  it is not one of this journal, or not signed by its key
 *   B_E_JOURNAL_ROLLBACK   it has fewer entries than the one seen last
 *   B_E_JOURNAL_FORK       as many entries, and another root: both notes together prove it
 *   B_E_JOURNAL_PROOF      the proof does not lead from w->last to it: submit one that starts at
 *                          w->last.size; when there is none, the journal has forked
 * The first that is shown is accepted without a proof.
 */
B_NODISCARD enum b_code journal_witness_step(struct journal_witness *w,
                                             const struct journal_growth *g, struct b_err *err);
/* Adds the witness's cosignature to a note in out: name is the witness's, seed its Ed25519 key
 * (secret memory), time in seconds since 1970. False when it does not fit. */
B_NODISCARD bool journal_witness_cosign(const char *name, const uint8_t seed[static 32],
                                        uint64_t time, char *note, size_t cap);

#endif
