/* What others' badges are opened by: keys from a file, and a description of the fleet. */
#include "service/others.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "profile/fleet.h"
#include "service/given.h"
#include "service/home.h"

/* A key of a line: 16 bytes AES, or another type before a colon. */
static bool parse_key(const char *text, struct df_key *ret)
{
    const char *colon = strchr(text, ':');
    const struct service_given_type *t = colon != NULL
                                             ? service_given_type(text, (size_t)(colon - text))
                                             : service_given_type("aes", 3);
    if (t == NULL)
        return false;
    *ret = (struct df_key){.type = t->type};
    struct b_wr w = b_wr_from(ret->bytes, t->n);
    const char *digits = colon != NULL ? colon + 1 : text;
    if (!b_unhex(&w, digits + strspn(digits, " ")) || w.len != t->n)
        return false;
    if (t->n == 8) /* DES is 2K3DES with equal halves */
        memcpy(ret->bytes + 8, ret->bytes, 8);
    return true;
}

/* One key a line; # begins a comment. The text is wiped by the caller. */
static enum b_code parse_keys(const char *path, char *text, struct df_key *keys, size_t *ret_count,
                              struct b_err *err)
{
    unsigned line = 0;
    char *rest = text;
    for (char *one = strsep(&rest, "\n"); one != NULL; one = strsep(&rest, "\n")) {
        line++;
        one[strcspn(one, "#\r")] = '\0';
        while (isspace((unsigned char)*one))
            one++;
        for (size_t n = strlen(one); n > 0 && isspace((unsigned char)one[n - 1]); n--)
            one[n - 1] = '\0';
        if (*one == '\0')
            continue;
        if (*ret_count == PROFILE_GIVEN_KEYS_MAX)
            return b_err_set(err, B_E_BAD_INPUT, line, "%s:%u: at most %d keys", path, line,
                             PROFILE_GIVEN_KEYS_MAX);
        if (!parse_key(one, &keys[*ret_count]))
            return b_err_set(err, B_E_BAD_INPUT, line,
                             "%s:%u: a key is 16 bytes in hexadecimal, or des:, 2k3des:, 3k3des: "
                             "or aes: and its bytes",
                             path, line);
        (*ret_count)++;
    }
    return B_OK;
}

enum b_code service_others_keys(const char *path, struct df_key keys[static PROFILE_GIVEN_KEYS_MAX],
                                size_t *ret_count, struct b_err *err)
{
    static char text[4096 + 1];
    struct stat about;
    size_t n = 0;
    *ret_count = 0;
    if (stat(path, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & 077) != 0)
        return b_err_set(err, B_E_KEY_FILE, 0, "%s: others may read it; chmod 600 it", path);
    enum b_code r = service_read_file(path, text, sizeof(text) - 1, &n, err);
    text[n] = '\0';
    if (r == B_OK)
        r = parse_keys(path, text, keys, ret_count, err);
    b_wipe(text, sizeof(text));
    return r;
}

enum b_code service_others_fleet(const char *path, struct profile_fleet *ret, struct b_err *err)
{
    static char text[65536];
    size_t n = 0;
    enum b_code r = service_read_file(path, text, sizeof(text), &n, err);
    return r == B_OK ? profile_fleet_read(path, text, n, ret, err) : r;
}
