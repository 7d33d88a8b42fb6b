/* The manifest of a backup, from anywhere: what is read is written and read again as the same, and
 * names no file outside of its directory. */
#include <string.h>

#include "service/backup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct service_manifest m, again;
    static char text[SERVICE_MANIFEST_MAX];
    if (service_manifest_read((const char *)data, size, &m, NULL) != B_OK)
        return 0;
    for (size_t i = 0; i < m.count; i++)
        b_check(m.members[i].name[0] != '/' && strncmp(m.members[i].name, "../", 3) != 0 &&
                strstr(m.members[i].name, "/../") == NULL);
    if (service_manifest_write(&m, text, NULL) == B_OK) {
        b_check(service_manifest_read(text, strlen(text), &again, NULL) == B_OK);
        b_check(memcmp(&m, &again, sizeof(m)) == 0);
    }
    char name[SERVICE_COPY_NAME];
    service_manifest_name(&m, name);
    b_check(m.at == 0 || service_copy_time(name) == m.at);
    return 0;
}
