#include "cli/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "service/backup.h"

static const char memory[] = "/dev/shm";

void cli_scratch_memory(const char *kind, const char *finess, char ret[static CLI_PATH_MAX])
{
    (void)snprintf(ret, CLI_PATH_MAX, "%s/tessere-%s-%u%s%.9s", memory, kind, (unsigned)getuid(),
                   finess[0] != '\0' ? "-" : "", finess);
}

static bool has_room(const char *path, uint64_t room)
{
    struct statvfs v;
    return statvfs(path, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize >= room;
}

/* What is in it; true: nothing is left. */
static bool sweep(const char *dir)
{
    char path[CLI_PATH_MAX + 300];
    bool is_empty = true;
    DIR *d = opendir(dir);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        service_remove_tree(path);
        is_empty &= access(path, F_OK) != 0;
    }
    return d != NULL && closedir(d) == 0 && is_empty;
}

/* The lock goes with the descriptor. Whoever holds it may be about to remove the directory: then
 * the one that is locked is not the one that has the name. */
static enum b_code take(const char *path, struct cli_scratch *s, struct b_err *err)
{
    struct stat named, locked;
    if (s->lock >= 0 && flock(s->lock, LOCK_EX | LOCK_NB) != 0)
        return b_err_set(err, B_E_STORE_LOCKED, 0, _("another one is at work in %s"), path);
    bool is_ours = s->lock >= 0 && fstat(s->lock, &locked) == 0 && lstat(path, &named) == 0 &&
                   named.st_ino == locked.st_ino && locked.st_uid == geteuid() && sweep(path) &&
                   fchmod(s->lock, 0700) == 0;
    return is_ours ? B_OK
                   : b_err_set(err, B_E_SYSTEM, EEXIST,
                               _("%s is in the way, and is not ours to remove"), path);
}

enum b_code cli_scratch_open(const char *path, uint64_t room, struct cli_scratch *ret,
                             struct b_err *err)
{
    *ret = (struct cli_scratch){.lock = -1};
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return B_E_NOT_FOUND;
    ret->lock = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    enum b_code r = take(path, ret, err);
    (void)snprintf(ret->path, sizeof(ret->path), "%s", r == B_OK ? path : "");
    (void)snprintf(ret->dir, sizeof(ret->dir), "%.500s/in", path);
    if (r == B_OK && has_room(path, room) && mkdir(ret->dir, 0700) == 0)
        return B_OK;
    (void)cli_scratch_close(ret);
    return r == B_OK ? B_E_NOT_FOUND : r;
}

bool cli_scratch_close(struct cli_scratch *s)
{
    bool is_gone = s->path[0] == '\0' || (sweep(s->path) && rmdir(s->path) == 0);
    if (s->lock >= 0)
        (void)close(s->lock);
    s->lock = -1;
    if (is_gone)
        s->path[0] = '\0';
    return is_gone;
}

static bool is_left(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool is_free = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0)
        (void)close(fd);
    return is_free;
}

bool cli_scratch_left(char ret[static CLI_PATH_MAX])
{
    static const char *const kinds[] = {"tessere-drill-", "tessere-verify-"};
    bool is_found = false;
    DIR *d = opendir(memory);
    for (const struct dirent *e; d != NULL && !is_found && (e = readdir(d)) != NULL;)
        for (size_t i = 0; !is_found && i < B_COUNT(kinds); i++) {
            (void)snprintf(ret, CLI_PATH_MAX, "%s/%s", memory, e->d_name);
            is_found = strncmp(e->d_name, kinds[i], strlen(kinds[i])) == 0 && is_left(ret);
        }
    if (d != NULL)
        (void)closedir(d);
    return is_found;
}
