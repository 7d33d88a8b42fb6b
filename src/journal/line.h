/*
 * Lines of text from outside: notes, checkpoints, proofs. Private to this folder.
 */
#ifndef TESSERE_JOURNAL_LINE_H
#define TESSERE_JOURNAL_LINE_H

#include "journal/tree.h"

/* UTF-8 (RFC 3629) without control characters but the ends of lines, as C2SP signed-note wants. */
B_NODISCARD bool journal_is_text(struct b_rd text);
/* Takes the next line off the text, without its end; false when no whole line is left. */
B_NODISCARD bool journal_line(struct b_rd *text, struct b_rd *line);
/* The line is word and something more: takes the word off it. */
B_NODISCARD bool journal_line_word(struct b_rd *line, const char *word);
/* All of the line: digits without a leading zero, below 2^63. */
B_NODISCARD bool journal_line_number(struct b_rd line, uint64_t *ret);
/* All of the line: base64 of a hash. */
B_NODISCARD bool journal_line_hash(struct b_rd line, uint8_t out[static JOURNAL_HASH]);

#endif
