/*
 * Signed notes and checkpoints: C2SP signed-note, tlog-checkpoint and tlog-cosignature.
 *
 *   <origin>\n<size>\n<base64 of the root>\n\n— <name> <base64 of key id || signature>\n...
 *
 * Key id: the first 4 bytes of SHA-256(name || 0A || algorithm || public key). A note is text of at
 * most JOURNAL_NOTE_MAX bytes; nothing of it is believed before a signature by a known key.
 */
#ifndef TESSERE_JOURNAL_NOTE_H
#define TESSERE_JOURNAL_NOTE_H

#include "journal/tree.h"

enum {
    JOURNAL_NOTE_MAX = 4096,
    JOURNAL_NAME_MAX = 128,
    JOURNAL_ALGORITHM_ED25519 = 1,
    JOURNAL_ALGORITHM_COSIGNATURE = 4, /* Ed25519 over a time and the body */
};

struct journal_checkpoint {
    char origin[JOURNAL_NAME_MAX];
    uint64_t size;
    uint8_t root[JOURNAL_HASH];
};

/* Who signs: a name without spaces and plus signs, and an Ed25519 public key. */
struct journal_signer {
    char name[JOURNAL_NAME_MAX];
    uint8_t algorithm;
    uint8_t key[32];
};
void journal_key_id(const struct journal_signer *signer, uint8_t id[static 4]);
/* "name+xxxxxxxx+base64": the form in which a key is published. */
B_NODISCARD bool journal_signer_print(const struct journal_signer *signer, char *out, size_t cap);
B_NODISCARD bool journal_signer_parse(const char *text, struct journal_signer *ret);

/* The body: what is signed. With a NUL. False when it does not fit. */
B_NODISCARD bool journal_checkpoint_print(const struct journal_checkpoint *c, char *out,
                                          size_t cap);
/* The first three lines of a body or a note; extension lines are allowed and not looked at. */
B_NODISCARD bool journal_checkpoint_parse(const char *note, size_t n,
                                          struct journal_checkpoint *ret);
/* Appends the empty line, if there is none yet, and a signature line to a body or note in out. */
B_NODISCARD bool journal_note_add(char *out, size_t cap, const struct journal_signer *signer,
                                  const uint8_t *signature, size_t n);
/* Length of the body, the text before the empty line; 0 when this is no note. */
size_t journal_note_body(const char *note, size_t n);
/* The note is whole, and a signature line of this signer verifies over the body. Cosignature:
 * *ret_time when not NULL. */
B_NODISCARD bool journal_note_verify(const char *note, size_t n,
                                     const struct journal_signer *signer, uint64_t *ret_time);
/* What a cosignature signs, into out: "cosignature/v1\ntime N\n" and the body. 0: no room. */
size_t journal_cosigned(uint64_t time, const char *body, size_t n, char *out, size_t cap);

#endif
