#include "crypto/role.h"

#include <string.h>

#include "base/attr.h"

static const char *const names[] = {
    [KEY_ROLE_PICC] = "picc", [KEY_ROLE_APP] = "app",     [KEY_ROLE_AUTH] = "auth",
    [KEY_ROLE_READ] = "read", [KEY_ROLE_WRITE] = "write", [KEY_ROLE_SEAL] = "seal",
};

const char *key_role_name(enum key_role role)
{
    return (size_t)role < B_COUNT(names) ? names[role] : "?";
}

enum key_role key_role_from(const char *name)
{
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
        if (strcmp(names[i], name) == 0)
            return (enum key_role)i;
    }
    return KEY_ROLE_COUNT;
}
