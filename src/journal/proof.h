/*
 * Proofs as text, for whoever has nothing of ours but the journal's published key.
 *
 *   inclusion, C2SP tlog-proof (file name *.tlog-proof):      consistency, the body of C2SP
 *     c2sp.org/tlog-proof@v1                                  tlog-witness add-checkpoint:
 *     extra <base64>             (may be missing)               old <size>
 *     index <number>                                            <base64 of a hash>, a line each
 *     <base64 of a hash>, a line each                           (empty line)
 *     (empty line)                                              <checkpoint>
 *     <checkpoint>
 *
 * Both structures are large (tens of kilobytes): not for the stack.
 */
#ifndef TESSERE_JOURNAL_PROOF_H
#define TESSERE_JOURNAL_PROOF_H

#include "journal/note.h"

enum {
    JOURNAL_EXTRA_MAX = 8192,
    JOURNAL_PROOF_TEXT_MAX =
        128 + (JOURNAL_EXTRA_MAX + 2) / 3 * 4 + 45 * JOURNAL_PROOF_MAX + JOURNAL_NOTE_MAX,
};

/* Entry number index is in the tree of the checkpoint. extra: whatever goes with it (we put the
 * entry itself there); nothing proves it but its own hash. */
struct journal_inclusion {
    uint64_t index;
    struct journal_proof proof;
    size_t extra_len;
    uint8_t extra[JOURNAL_EXTRA_MAX];
    char note[JOURNAL_NOTE_MAX + 1];
};
/* With a NUL. False when it does not fit. */
B_NODISCARD bool journal_inclusion_print(const struct journal_inclusion *p, char *out, size_t cap);
/* False on anything but the form above, with a checkpoint that has such an entry. Nothing of it is
 * proved by that. */
B_NODISCARD bool journal_inclusion_parse(const char *text, size_t n, struct journal_inclusion *ret);
/* The checkpoint is log's, and the n bytes of entry are its entry number p->index. Errors:
 * B_E_JOURNAL_SIGNATURE, B_E_JOURNAL_PROOF. */
B_NODISCARD enum b_code journal_inclusion_verify(const struct journal_inclusion *p,
                                                 const struct journal_signer *log,
                                                 const void *entry, size_t n, struct b_err *err);

/* The checkpoint's tree starts with the tree of its first `old` entries. */
struct journal_growth {
    uint64_t old; /* 0: the proof is empty, and says nothing */
    struct journal_proof proof;
    char note[JOURNAL_NOTE_MAX + 1];
};
B_NODISCARD bool journal_growth_print(const struct journal_growth *g, char *out, size_t cap);
B_NODISCARD bool journal_growth_parse(const char *text, size_t n, struct journal_growth *ret);

#endif
