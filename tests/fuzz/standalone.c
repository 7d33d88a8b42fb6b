/* Gives each file of a folder, and each of its one-byte truncations, to a fuzz target. TAP output.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly n bytes: reading past them is found by the sanitizers. */
static void give(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void give_file(const char *folder, const char *name)
{
    static uint8_t data[1 << 16];
    char path[4000];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    give(data, n);
    for (size_t cut = 0; cut < n && cut < 512; cut++)
        give(data, cut);
}

int main(int argc, char **argv)
{
    int count = 0;
    const struct dirent *entry;
    DIR *dir = opendir(argc > 1 ? argv[1] : ".");
    if (!dir) {
        perror(argc > 1 ? argv[1] : ".");
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        give_file(argv[1], entry->d_name);
        printf("ok %d - seed %s\n", ++count, entry->d_name);
    }
    closedir(dir);
    printf("1..%d\n", count);
    return count == 0;
}
