/* In place of src/remote/remote.c: a server whose answers are lines of a text. One JSON object a
 * line; "!" and a character is a problem, which one by its number. */
#ifndef TESSERE_TESTS_FAKE_REMOTE_H
#define TESSERE_TESTS_FAKE_REMOTE_H

#include "remote/remote.h"

/* Borrowed. When the lines are at their end the server is gone. */
void fake_remote_says(struct b_rd lines);

#endif
