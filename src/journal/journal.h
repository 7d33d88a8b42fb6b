/*
 * journal: an append-only log that cannot be bent unseen, without I/O.
 *
 *   tree.h    RFC 6962 hashes of the tree, inclusion and consistency proofs
 *   note.h    signed notes and checkpoints (C2SP signed-note, tlog-checkpoint)
 *   proof.h   proofs as text (C2SP tlog-proof, tlog-witness)
 *   tiles.h   the log as static files (C2SP tlog-tiles): names and bytes
 *   witness.h who has seen how far the log had grown, and cosigns nothing that contradicts it
 *
 * Where entries and hashes are kept is the caller's affair: reading a stored hash is a function
 * that is passed in. It must never learn what an entry says.
 */
#ifndef TESSERE_JOURNAL_JOURNAL_H
#define TESSERE_JOURNAL_JOURNAL_H

#include "journal/note.h"
#include "journal/proof.h"
#include "journal/tiles.h"
#include "journal/tree.h"
#include "journal/witness.h"

#endif
