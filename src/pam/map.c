/*
 * Whose account a staff id is. A map's file has lines
 *
 *   staff-id account        # comment
 *
 * A person may have several accounts; the first is theirs where the badge says who comes.
 */
#include <stdlib.h>
#include <string.h>

#include "pam/pam.h"

enum { FILE_MAX = 1 << 20 };

bool pam_map_is_list(const char *map)
{
    return map[0] == '/';
}

static void lower(const char *from, char *to, size_t cap)
{
    size_t n = strnlen(from, cap - 1);
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] - 'A' + 'a' : from[i]);
    to[n] = '\0';
}

/* Both words of a line, which is written into; false when it has not exactly two. */
static bool split(char *line, const char **left, const char **right)
{
    char *rest = NULL;
    line[strcspn(line, "#")] = '\0';
    *left = strtok_r(line, " \t\r", &rest);
    *right = *left != NULL ? strtok_r(NULL, " \t\r", &rest) : NULL;
    return *right != NULL && strtok_r(NULL, " \t\r", &rest) == NULL;
}

/* The first line of this staff id with this account; user NULL: with any, copied to ret. */
static enum b_code look_up(const char *path, const char *subject, const char *user, char *ret,
                           struct b_err *err)
{
    char *text = NULL;
    char *rest = NULL;
    enum b_code r = pam_file_read(path, FILE_MAX, &text, err);
    if (r != B_OK)
        return r;
    r = b_err_set(err, B_E_NOT_FOUND, 0, "%s has no account for %s", path, subject);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        const char *left = NULL;
        const char *right = NULL;
        if (!split(line, &left, &right) || strcmp(left, subject) != 0 ||
            strlen(right) > PAM_USER_MAX || (user != NULL && strcmp(right, user) != 0))
            continue;
        if (ret != NULL)
            memcpy(ret, right, strlen(right) + 1);
        r = B_OK;
        break;
    }
    free(text);
    return r;
}

/* The n-th part of what getent(1) shows as an account's fifth field, "name,room,phone,...". */
static bool is_in_gecos(const char *gecos, unsigned n, const char *subject)
{
    for (unsigned i = 1; i < n && *gecos != '\0'; i++) {
        gecos += strcspn(gecos, ",");
        gecos += *gecos == ',';
    }
    size_t length = strcspn(gecos, ",");
    return length == strlen(subject) && strncmp(gecos, subject, length) == 0;
}

enum b_code pam_map_find(const char *map, const char *subject, char user[static PAM_USER_MAX + 1],
                         struct b_err *err)
{
    if (pam_map_is_list(map))
        return look_up(map, subject, NULL, user, err);
    if (strcmp(map, "lower") == 0)
        lower(subject, user, PAM_USER_MAX + 1);
    else
        (void)snprintf(user, PAM_USER_MAX + 1, "%s", subject);
    return B_OK;
}

enum b_code pam_map_check(const char *map, const char *subject, const char *user, const char *gecos,
                          struct b_err *err)
{
    char found[PAM_USER_MAX + 1];
    enum b_code r = B_OK;
    bool is_theirs = false;
    if (strncmp(map, "gecos:", 6) == 0) {
        is_theirs = is_in_gecos(gecos, (unsigned)(map[6] - '0'), subject);
    } else if (pam_map_is_list(map)) {
        r = look_up(map, subject, user, NULL, err);
        is_theirs = r == B_OK;
    } else {
        r = pam_map_find(map, subject, found, err);
        is_theirs = r == B_OK && strcmp(found, user) == 0;
    }
    if (r == B_E_CONFIG || is_theirs)
        return r;
    return b_err_set(err, B_E_OTHER_HOLDER, 0, "%s is not the account of %s", user, subject);
}
