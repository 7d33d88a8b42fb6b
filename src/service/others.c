/* What others' badges are opened by: keys from a file, and a description of the fleet. */
#include "service/others.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* What is opened is what is looked at: a plain file of this user or of root, for nobody else. */
static enum b_code check_own(int fd, const char *path, struct b_err *err)
{
    struct stat about;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        return b_err_set(err, B_E_KEY_FILE, 0, "%s: it is no plain file", path);
    if (about.st_uid != geteuid() && about.st_uid != 0)
        return b_err_set(err, B_E_KEY_FILE, 0, "%s: it belongs to another user", path);
    if ((about.st_mode & 077) != 0)
        return b_err_set(err, B_E_KEY_FILE, 0, "%s: others may read it; chmod 600 it", path);
    return B_OK;
}

static enum b_code read_own(const char *path, char *text, size_t cap, size_t *ret_n,
                            struct b_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return b_err_set(err, B_E_KEY_FILE, (uint32_t)errno, "%s: %s", path,
                         errno == ELOOP ? "it is a link" : strerror(errno));
    enum b_code r = check_own(fd, path, err);
    ssize_t got = r == B_OK ? pread(fd, text, cap, 0) : 0; /* of a plain file: all or the end */
    if (r == B_OK && (got < 0 || (size_t)got == cap))
        r = b_err_set(err, B_E_KEY_FILE, 0, "%s: it cannot be read, or is too long", path);
    *ret_n = r == B_OK ? (size_t)got : 0;
    (void)close(fd);
    return r;
}

enum b_code service_others_keys(const char *path, struct df_key keys[static PROFILE_GIVEN_KEYS_MAX],
                                size_t *ret_count, struct b_err *err)
{
    static char text[4096 + 1];
    size_t n = 0;
    *ret_count = 0;
    enum b_code r = read_own(path, text, sizeof(text) - 1, &n, err);
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
