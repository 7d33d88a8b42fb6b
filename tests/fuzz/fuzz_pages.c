/* What a backup says has changed in a store, from anywhere: no page goes where the store has none.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "service/pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { PAGES = 3 };
    static const uint8_t zeros[PAGES * PAGES_SIZE];
    char store[64], delta[128];
    struct stat st;
    (void)snprintf(store, sizeof(store), "/dev/shm/fuzz-pages-%d", (int)getpid());
    (void)snprintf(delta, sizeof(delta), "%s-delta", store);
    if (b_file_replace(store, zeros, sizeof(zeros), 0600, NULL) == B_OK &&
        b_file_replace(delta, data, size, 0600, NULL) == B_OK) {
        enum b_code r = pages_apply(store, delta, sizeof(zeros), NULL);
        b_check(r == B_OK || r == B_E_BACKUP_ALTERED);
        b_check(stat(store, &st) == 0 && st.st_size == sizeof(zeros));
        b_check(r != B_OK || size % (4 + PAGES_SIZE) == 0);
    }
    (void)unlink(store);
    (void)unlink(delta);
    return 0;
}
