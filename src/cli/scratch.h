/* Directories for what must not stay: in memory where there is room, else where the caller says.
 * Each has a fixed place, so that what a command left that was killed is swept by the next. */
#ifndef TESSERE_CLI_SCRATCH_H
#define TESSERE_CLI_SCRATCH_H

#include "cli/cli.h"

struct cli_scratch {
    char path[CLI_PATH_MAX]; /* "": none */
    char dir[CLI_PATH_MAX];  /* in it, to work in: whoever opens an establishment locks its home */
    int lock;
};
/* Of this user and, where there is one, this establishment: "/dev/shm/tessere-drill-0-750712184".
 */
void cli_scratch_memory(const char *kind, const char *finess, char ret[static CLI_PATH_MAX]);
/* Makes it, empty and ours alone until cli_scratch_close. B_E_NOT_FOUND without a message where
 * there is no such place, or not `room` bytes in it. B_E_STORE_LOCKED: another is at work in it.
 * B_E_SYSTEM: another user took it, or it cannot be emptied. */
B_NODISCARD enum b_code cli_scratch_open(const char *path, uint64_t room, struct cli_scratch *ret,
                                         struct b_err *err);
/* Removes it with what is in it; false: s->path cannot be removed. */
bool cli_scratch_close(struct cli_scratch *s);
/* One that nobody works in any more was left in memory: writes its name, true. */
bool cli_scratch_left(char ret[static CLI_PATH_MAX]);

#endif
