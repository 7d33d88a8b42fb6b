/* What a line of /etc/pam.d says behind the module's name, and files that only root could write. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pam/pam.h"

static const struct {
    const char *name;
    size_t place;
} texts[] = {
    {"socket=", offsetof(struct pam_options, socket)},
    {"agent=", offsetof(struct pam_options, agent)},
    {"keys=", offsetof(struct pam_options, keys)},
    {"station=", offsetof(struct pam_options, station)},
    {"map=", offsetof(struct pam_options, map)},
    {"prompt=", offsetof(struct pam_options, prompt)},
    {"language=", offsetof(struct pam_options, language)},
};

static const struct {
    const char *word;
    size_t place;
    bool value;
} switches[] = {
    {"user_from_badge", offsetof(struct pam_options, takes_user), true},
    {"pin=always", offsetof(struct pam_options, needs_pin), true},
    {"pin=policy", offsetof(struct pam_options, needs_pin), false},
    {"enter", offsetof(struct pam_options, waits_enter), true},
    {"greeter", offsetof(struct pam_options, is_greeter), true},
    {"remote", offsetof(struct pam_options, is_remote_too), true},
};

static bool take_text(const char *word, struct pam_options *o)
{
    for (size_t i = 0; i < B_COUNT(texts); i++) {
        size_t n = strlen(texts[i].name);
        if (strncmp(word, texts[i].name, n) != 0 || word[n] == '\0')
            continue;
        const char *value = word + n;
        memcpy((char *)o + texts[i].place, &value, sizeof(value));
        return true;
    }
    return false;
}

static bool take_switch(const char *word, struct pam_options *o)
{
    for (size_t i = 0; i < B_COUNT(switches); i++) {
        if (strcmp(word, switches[i].word) != 0)
            continue;
        memcpy((char *)o + switches[i].place, &switches[i].value, sizeof(bool));
        return true;
    }
    return false;
}

static bool take_timeout(const char *word, struct pam_options *o)
{
    if (strncmp(word, "timeout=", 8) != 0 || word[8] < '1' || word[8] > '9')
        return false;
    char *end = NULL;
    unsigned long n = strtoul(word + 8, &end, 10);
    o->timeout = *end == '\0' && n <= PAM_TIMEOUT_MAX ? (unsigned)n : 0;
    return o->timeout != 0;
}

static bool is_map(const char *map)
{
    return map[0] == '/' || strcmp(map, "identity") == 0 || strcmp(map, "lower") == 0 ||
           (strncmp(map, "gecos:", 6) == 0 && map[6] >= '1' && map[6] <= '9' && map[7] == '\0');
}

enum b_code pam_options_read(int count, const char *const *words, struct pam_options *ret,
                             struct b_err *err)
{
    struct pam_options o = {.socket = "/run/tessere-agent/socket",
                            .agent = "tessere-agent",
                            .map = "identity",
                            .timeout = PAM_TIMEOUT};
    for (int i = 0; i < count; i++)
        if (!take_text(words[i], &o) && !take_switch(words[i], &o) && !take_timeout(words[i], &o))
            return b_err_set(err, B_E_CONFIG, 0, "pam_tessere: %.64s is not understood", words[i]);
    if (o.socket[0] != '/' || (o.keys != NULL && o.keys[0] != '/'))
        return b_err_set(err, B_E_CONFIG, 0, "pam_tessere: socket= and keys= take absolute paths");
    if (!is_map(o.map))
        return b_err_set(err, B_E_CONFIG, 0,
                         "pam_tessere: map= takes identity, lower, gecos:1 to gecos:9, or a path");
    if (o.takes_user && strncmp(o.map, "gecos:", 6) == 0)
        return b_err_set(err, B_E_CONFIG, 0, "pam_tessere: user_from_badge needs another map=");
    if (o.language != NULL && strcmp(o.language, "fr") != 0 && strcmp(o.language, "en") != 0)
        return b_err_set(err, B_E_CONFIG, 0, "pam_tessere: language= takes fr or en");
    *ret = o;
    return B_OK;
}

static const char *find_fault(int fd, size_t max)
{
    struct stat s;
    if (fd < 0 || fstat(fd, &s) != 0)
        return strerror(errno);
    if (!S_ISREG(s.st_mode))
        return "it is no regular file";
    if (s.st_uid != 0)
        return "it does not belong to root";
    if ((s.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return "others may write it";
    return (uintmax_t)s.st_size > max ? "it is too large" : NULL;
}

enum b_code pam_file_read(const char *path, size_t max, char **ret, struct b_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *fault = find_fault(fd, max);
    char *text = fault == NULL ? calloc(1, max + 1) : NULL;
    size_t n = 0;
    while (text != NULL && fault == NULL && n < max) {
        ssize_t got = read(fd, text + n, max - n);
        if (got == 0)
            break;
        if (got > 0)
            n += (size_t)got;
        else if (errno != EINTR)
            fault = strerror(errno);
    }
    if (fd >= 0)
        (void)close(fd);
    if (fault == NULL && text != NULL) {
        *ret = text;
        return B_OK;
    }
    free(text);
    return b_err_set(err, B_E_CONFIG, 0, "%s: %s", path, fault != NULL ? fault : "no memory");
}
