#include "service/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { DIGEST = 32, HEAD = SERVICE_COPY_NAME + DIGEST };

static void path_of(const char *home, char ret[static SERVICE_COPY_PATH])
{
    (void)snprintf(ret, SERVICE_COPY_PATH, "%s/backup.pages", home);
}

enum b_code pages_keep(const char *home, const char *store, const struct pages_base *base,
                       struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    struct b_rd file;
    path_of(home, path);
    enum b_code r = b_file_map(store, &file, err);
    if (r != B_OK)
        return r;
    size_t count = file.left / PAGES_SIZE;
    uint8_t *text = malloc(HEAD + count * DIGEST);
    struct b_wr w = b_wr_from(text, text != NULL ? HEAD + count * DIGEST : 0);
    struct b_rd pages = file;
    b_wr_bytes(&w, base->name, sizeof(base->name));
    b_wr_bytes(&w, base->sha256, DIGEST);
    for (size_t i = 0; i < count && b_wr_ok(&w); i++)
        crypto_sha256(b_rd_direct(&pages, PAGES_SIZE), PAGES_SIZE, b_wr_reserve(&w, DIGEST));
    r = b_wr_ok(&w) ? b_file_replace(path, text, w.len, 0600, err)
                    : b_err_set(err, B_E_NO_MEMORY, 0, "the pages of a backup");
    free(text);
    b_file_unmap(&file);
    return r;
}

/* Gives the head of the file, and leaves the digests of its pages in r. */
static bool read_head(struct b_rd *r, struct pages_base *ret)
{
    b_rd_bytes(r, ret->name, sizeof(ret->name));
    b_rd_bytes(r, ret->sha256, DIGEST);
    return b_rd_ok(r) && memchr(ret->name, '\0', sizeof(ret->name)) != NULL &&
           service_copy_time(ret->name) != 0;
}

bool pages_base(const char *home, struct pages_base *ret)
{
    char path[SERVICE_COPY_PATH];
    struct b_rd file;
    path_of(home, path);
    if (access(path, F_OK) != 0 || b_file_map(path, &file, NULL) != B_OK)
        return false;
    struct b_rd r = file;
    bool is_one = read_head(&r, ret);
    b_file_unmap(&file);
    return is_one;
}

static bool put_page(FILE *to, uint32_t number, const uint8_t *page)
{
    uint8_t head[4];
    struct b_wr w = b_wr_from(head, sizeof(head));
    b_wr_be32(&w, number);
    return fwrite(head, sizeof(head), 1, to) == 1 && fwrite(page, PAGES_SIZE, 1, to) == 1;
}

static enum b_code write_delta(struct b_rd store, struct b_rd digests, const char *delta,
                               struct b_err *err)
{
    uint8_t digest[DIGEST];
    FILE *to = fopen(delta, "we");
    bool is_good = to != NULL;
    for (uint32_t i = 0; is_good && store.left > 0; i++) {
        const uint8_t *page = b_rd_direct(&store, PAGES_SIZE);
        const uint8_t *old = digests.left >= DIGEST ? b_rd_direct(&digests, DIGEST) : NULL;
        crypto_sha256(page, PAGES_SIZE, digest);
        if (old == NULL || memcmp(old, digest, DIGEST) != 0)
            is_good = put_page(to, i, page);
    }
    int cause = errno;
    if (to != NULL)
        is_good &= fclose(to) == 0;
    return is_good ? B_OK
                   : b_err_set(err, B_E_SYSTEM, (uint32_t)cause, "%s: %s", delta, strerror(cause));
}

enum b_code pages_diff(const char *home, const char *store, const char *delta, struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    struct pages_base base;
    struct b_rd known;
    struct b_rd file;
    path_of(home, path);
    enum b_code r = b_file_map(path, &known, err);
    if (r != B_OK)
        return r;
    struct b_rd digests = known;
    r = b_file_map(store, &file, err);
    if (r == B_OK) {
        r = read_head(&digests, &base) && file.left % PAGES_SIZE == 0
                ? write_delta(file, digests, delta, err)
                : b_err_set(err, B_E_NOT_FOUND, 0, "%s", path);
        b_file_unmap(&file);
    }
    b_file_unmap(&known);
    return r;
}

static bool take_page(int fd, struct b_rd *r, uint64_t size)
{
    uint64_t at = (uint64_t)b_rd_be32(r) * PAGES_SIZE;
    const uint8_t *page = b_rd_direct(r, PAGES_SIZE);
    return page != NULL && at + PAGES_SIZE <= size &&
           pwrite(fd, page, PAGES_SIZE, (off_t)at) == PAGES_SIZE;
}

enum b_code pages_apply(const char *store, const char *delta, uint64_t size, struct b_err *err)
{
    struct b_rd file;
    enum b_code r = b_file_map(delta, &file, err);
    if (r != B_OK)
        return r;
    struct b_rd pages = file;
    int fd = open(store, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    bool is_good = fd >= 0 && size <= INT64_MAX && ftruncate(fd, (off_t)size) == 0;
    while (is_good && pages.left > 0)
        is_good = take_page(fd, &pages, size);
    if (!is_good)
        r = b_err_set(err, B_E_BACKUP_ALTERED, (uint32_t)errno, "store.db: its pages do not fit");
    if (fd >= 0)
        (void)close(fd);
    b_file_unmap(&file);
    return r;
}
