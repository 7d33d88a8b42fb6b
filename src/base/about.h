/* What each program of ours says of itself to somebody who asks. */
#ifndef TESSERE_BASE_ABOUT_H
#define TESSERE_BASE_ABOUT_H

#include <stdbool.h>

#include "base/attr.h"

/* Whether the arguments ask for help (--help or -h among the options, or the word help alone) or
 * for --version; then the usage, or name and version, is on the standard output, and *ret_status is
 * the exit status: 0, or 1 where it could not be written. */
B_NODISCARD bool b_about(int argc, char *const argv[], const char *name, const char *usage,
                         int *ret_status);

#endif
