/* Files that are either as they were or as they were meant to be, whenever the machine stops. */
#ifndef TESSERE_BASE_FILE_H
#define TESSERE_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"

/* Puts n bytes in the place of whatever path holds: written beside it (path.part), flushed,
 * renamed, and the directory flushed. Who writes the same file at the same moment waits. mode:
 * permissions of the new file. B_E_SYSTEM names path and cause; then what was there is there. */
B_NODISCARD enum b_code b_file_replace(const char *path, const void *data, size_t n, mode_t mode,
                                       struct b_err *err);

/* All of a file, at most `max` bytes, with a NUL after them that *ret_n does not count; the caller
 * frees *ret. B_E_BAD_INPUT names path and cause. */
B_NODISCARD enum b_code b_file_read(const char *path, size_t max, char **ret, size_t *ret_n,
                                    struct b_err *err);
/* Lends a whole regular file to be read; empty ones too. B_E_BAD_INPUT names path and cause. Give
 * it back by b_file_unmap. */
B_NODISCARD enum b_code b_file_map(const char *path, struct b_rd *ret, struct b_err *err);
void b_file_unmap(struct b_rd *file);

#endif
