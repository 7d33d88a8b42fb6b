/* Private to src/cli: the file of badges that were made, for the printer of labels. */
#ifndef TESSERE_CLI_LABELS_H
#define TESSERE_CLI_LABELS_H

#include "store/store.h"

struct cli_labels {
    const char *path;
    int fd;
    int64_t *badges; /* those that are in the file, in order */
    size_t count;
};
/* Opens or makes the CSV file at path, which stays the caller's, for adding. A line that was cut is
 * removed. B_E_BAD_INPUT names the line that is none of ours. */
B_NODISCARD enum b_code cli_labels_open(const char *path, struct cli_labels *ret,
                                        struct b_err *err);
void cli_labels_close(struct cli_labels *l);
/* Whether the badge was there when the file was opened. */
bool cli_labels_has(const struct cli_labels *l, int64_t badge_id);
/* Adds a badge's line; it is durable on return. */
B_NODISCARD enum b_code cli_labels_add(struct cli_labels *l, const struct store_badge *b,
                                       struct b_err *err);

#endif
