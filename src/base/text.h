/* Text that people give, as UTF-8 (RFC 3629). */
#ifndef TESSERE_BASE_TEXT_H
#define TESSERE_BASE_TEXT_H

#include <stdbool.h>

#include "base/bytes.h"

/* Whether a text shows as it is written, on one line: no control character, no separator of lines,
 * no mark that turns the direction of writing, nothing that is invisible by itself. */
B_NODISCARD bool b_text_is_name(const char *text);
/* The same of several lines, which end by LF or CR LF; tabs may stand in them. */
B_NODISCARD bool b_text_is_lines(const char *text);
/* Puts '?' for whatever keeps a text from being such lines: what others gave is shown to a person,
 * and moves no cursor. */
void b_text_tame(char *text);
/* The length of as many whole characters as have room in most bytes. */
B_NODISCARD size_t b_text_fit(const char *text, size_t most);

#endif
