#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_PATH_MAX = 1280 };

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

/* The directory of a file. Who has it locked is alone in putting files in place there: two that
 * write the same one, in two processes even, would write to each other's part of it. -1, errno. */
static int lock_directory(const char *path)
{
    char dir[FILE_PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash != NULL ? (size_t)(slash - path) : 0;
    if (n >= sizeof(dir)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(dir, path, n);
    dir[n] = '\0';
    const char *name = n > 0 ? dir : slash != NULL ? "/" : ".";
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        int cause = errno;
        (void)close(fd);
        errno = cause;
        return -1;
    }
    return fd;
}

/* Written beside the file, then put in its place. errno when it is not. */
static bool put(const char *part, const char *path, const void *data, size_t n, mode_t mode)
{
    (void)unlink(part); /* of a run that was cut, perhaps with other permissions */
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    bool is_done = fd >= 0 && write_all(fd, data, n) && fsync(fd) == 0;
    int cause = errno;
    if (fd >= 0)
        (void)close(fd);
    if (is_done && rename(part, path) == 0)
        return true;
    cause = is_done ? errno : cause;
    (void)unlink(part);
    errno = cause;
    return false;
}

enum b_code b_file_replace(const char *path, const void *data, size_t n, mode_t mode,
                           struct b_err *err)
{
    char part[FILE_PATH_MAX];
    if ((size_t)snprintf(part, sizeof(part), "%s.part", path) >= sizeof(part))
        return b_err_set(err, B_E_SYSTEM, ENAMETOOLONG, "writing %.200s...: the name is too long",
                         path);
    int dir = lock_directory(path);
    /* The new name itself is durable only when its directory is. */
    bool is_done = dir >= 0 && put(part, path, data, n, mode) && fsync(dir) == 0;
    int cause = errno;
    if (dir >= 0)
        (void)close(dir);
    return is_done ? B_OK
                   : b_err_set(err, B_E_SYSTEM, (uint32_t)cause, "writing %s: %s", path,
                               strerror(cause));
}

enum b_code b_file_map(const char *path, struct b_rd *ret, struct b_err *err)
{
    static const uint8_t nothing[1];
    struct stat st = {.st_size = 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    bool is_good = fd >= 0 && S_ISREG(st.st_mode);
    size_t n = is_good ? (size_t)st.st_size : 0;
    const void *p = n > 0 ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0) : nothing;
    int cause = errno;
    if (fd >= 0)
        (void)close(fd);
    if (!is_good || p == MAP_FAILED)
        return b_err_set(err, B_E_BAD_INPUT, (uint32_t)cause, "%s: %s", path, strerror(cause));
    *ret = b_rd_from(p, n);
    return B_OK;
}

void b_file_unmap(struct b_rd *file)
{
    union {
        const uint8_t *in;
        void *out;
    } p = {.in = file->p};
    if (file->left > 0)
        (void)munmap(p.out, file->left);
    *file = b_rd_from(NULL, 0);
}

/* Reads to the end, or to one byte more than may be. errno says why it failed. */
static bool read_all(FILE *f, size_t max, char **io, size_t *ret_n)
{
    size_t cap = 0, n = 0;
    for (;;) {
        if (cap - n < 2) {
            cap = cap == 0 ? 65536 : cap * 2;
            char *more = realloc(*io, cap);
            if (more == NULL)
                return false;
            *io = more;
        }
        size_t got = fread(*io + n, 1, cap - n - 1, f);
        n += got;
        if (got == 0 || n > max)
            break;
    }
    (*io)[n] = '\0';
    *ret_n = n;
    return ferror(f) == 0;
}

enum b_code b_file_read(const char *path, size_t max, char **ret, size_t *ret_n, struct b_err *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = fopen(path, "re");
    bool is_read = f != NULL && read_all(f, max, &text, &n);
    int cause = errno;
    if (f != NULL)
        (void)fclose(f);
    if (is_read && n <= max) {
        *ret = text;
        *ret_n = n;
        return B_OK;
    }
    free(text);
    if (is_read)
        return b_err_set(err, B_E_BAD_INPUT, EFBIG, "%s: more than %zu bytes", path, max);
    return b_err_set(err, B_E_BAD_INPUT, (uint32_t)cause, "%s: %s", path, strerror(cause));
}
