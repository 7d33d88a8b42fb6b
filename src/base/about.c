#include "base/about.h"

#include <stdio.h>
#include <string.h>

static bool has(int argc, char *const argv[], const char *word)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

bool b_about(int argc, char *const argv[], const char *name, const char *usage, int *ret_status)
{
    bool asks_help = has(argc, argv, "--help") || has(argc, argv, "-h") ||
                     (argc == 2 && strcmp(argv[1], "help") == 0);
    if (!asks_help && !has(argc, argv, "--version"))
        return false;
    bool is_said =
        asks_help ? fputs(usage, stdout) >= 0 : printf("%s " TESSERE_VERSION "\n", name) > 0;
    *ret_status = is_said && fflush(stdout) == 0 ? 0 : 1;
    return true;
}
