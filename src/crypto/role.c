#include "crypto/role.h"

#include <stdio.h>
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

bool key_stays(const struct key_stay *k, enum key_role role, uint8_t generation)
{
    return role < KEY_ROLE_COUNT && k->from[role] != 0 && generation >= k->from[role];
}

/* One role, and what follows its name. KEY_ROLE_COUNT when it is none. */
static enum key_role read_role(const char **text)
{
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(*text, names[i], n) != 0)
            continue;
        *text += n;
        return (enum key_role)i;
    }
    return KEY_ROLE_COUNT;
}

/* ":3", or nothing: 1. 0 when it is no generation. */
static uint8_t read_from(const char **text)
{
    unsigned value = 0;
    if (**text != ':')
        return 1;
    for (++*text; **text >= '0' && **text <= '9' && value <= KEY_GENERATION_MAX; ++*text)
        value = value * 10 + (unsigned)(**text - '0');
    return value <= KEY_GENERATION_MAX ? (uint8_t)value : 0;
}

bool key_stay_read(const char *text, struct key_stay *ret)
{
    *ret = (struct key_stay){0};
    while (*text != '\0') {
        enum key_role role = read_role(&text);
        uint8_t from = role != KEY_ROLE_COUNT ? read_from(&text) : 0;
        if (from == 0 || ret->from[role] != 0)
            return false;
        ret->from[role] = from;
        if (*text == '\0')
            return true;
        if (*text != ',' || text[1] == '\0')
            return false;
        text++;
    }
    return true;
}

void key_stay_write(const struct key_stay *k, char out[static KEY_STAY_TEXT])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
        if (k->from[i] == 0)
            continue;
        const char *comma = n > 0 ? "," : "";
        if (k->from[i] == 1)
            n += (size_t)snprintf(out + n, KEY_STAY_TEXT - n, "%s%s", comma, names[i]);
        else
            n += (size_t)snprintf(out + n, KEY_STAY_TEXT - n, "%s%s:%u", comma, names[i],
                                  k->from[i]);
    }
}

enum key_role key_stay_both(const struct key_stay *a, const struct key_stay *b)
{
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++)
        if (a->from[i] != 0 && b->from[i] != 0)
            return (enum key_role)i;
    return KEY_ROLE_COUNT;
}
