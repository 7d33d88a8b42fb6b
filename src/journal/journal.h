/*
 * journal: an append-only log that cannot be bent unseen, without I/O.
 *
 *   tree.h    RFC 6962 hashes of the tree, inclusion and consistency proofs
 *   note.h    signed notes and checkpoints (C2SP signed-note, tlog-checkpoint)
 *
 * Where entries and hashes are kept is the caller's affair: reading a stored hash is a function
 * that is passed in. It must never learn what an entry says.
 */
#ifndef TESSERE_JOURNAL_JOURNAL_H
#define TESSERE_JOURNAL_JOURNAL_H

#include "journal/note.h"
#include "journal/tree.h"

#endif
