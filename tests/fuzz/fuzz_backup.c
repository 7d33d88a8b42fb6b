/* A ceremony's backup file, or its minutes, from anywhere: what is read is written and read again
 * as the same; a page of what is no minutes is none. */
#include <stdlib.h>
#include <string.h>

#include "service/ceremony.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct service_backup b, again;
    static char text[SERVICE_BACKUP_TEXT_MAX];
    if (service_backup_read((const char *)data, size, &b, NULL) == B_OK) {
        b_check(b.ceremony.threshold >= 2 && b.ceremony.threshold <= b.ceremony.shares);
        if (service_backup_write(&b, text, NULL) == B_OK) {
            b_check(service_backup_read(text, strlen(text), &again, NULL) == B_OK);
            b_check(memcmp(&b, &again, sizeof(b)) == 0);
        }
    }
    char *page = service_minutes_page((const char *)data, size, "fr");
    b_check(page == NULL || strstr(page, "<script") == NULL);
    free(page);
    return 0;
}
