/* The only file that includes libarchive's headers. */
#include "service/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { PIECE = 1 << 20 };

/* --- writing -----------------------------------------------------------------------------------
 */

struct sink {
    bundle_sink *fn;
    void *ctx;
};

static la_ssize_t give(struct archive *a, void *ctx, const void *p, size_t n)
{
    const struct sink *s = ctx;
    if (s->fn(s->ctx, p, n))
        return (la_ssize_t)n;
    archive_set_error(a, errno, "%s", strerror(errno));
    return -1;
}

static enum b_code fail(struct archive *a, enum b_code code, const char *what, struct b_err *err)
{
    const char *said = archive_error_string(a);
    return b_err_set(err, code, (uint32_t)archive_errno(a), "%s: %s", b_err_word(what),
                     said != NULL ? said : b_err_word("the archive"));
}

static bool put_data(struct archive *a, struct b_rd data)
{
    while (data.left > 0) {
        size_t n = data.left < PIECE ? data.left : PIECE;
        if (archive_write_data(a, b_rd_direct(&data, n), n) != (la_ssize_t)n)
            return false;
    }
    return true;
}

static enum b_code put_file(struct archive *a, const char *name, struct b_rd file, int64_t at,
                            struct b_err *err)
{
    enum b_code r = B_OK;
    struct archive_entry *e = archive_entry_new();
    b_check(e != NULL);
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0600);
    archive_entry_set_size(e, (la_int64_t)file.left);
    archive_entry_set_mtime(e, at, 0);
    if (archive_write_header(a, e) != ARCHIVE_OK || !put_data(a, file))
        r = fail(a, B_E_SYSTEM, name, err);
    archive_entry_free(e);
    return r;
}

static enum b_code put_delta(struct archive *a, const char *path, int64_t at, struct b_err *err)
{
    struct b_rd file;
    enum b_code r = b_file_map(path, &file, err);
    if (r != B_OK)
        return r;
    r = put_file(a, BUNDLE_DELTA, file, at, err);
    b_file_unmap(&file);
    return r;
}

static enum b_code put_member(struct archive *a, struct service_manifest *m, size_t i,
                              const struct bundle_from *from, struct b_err *err)
{
    struct service_member *k = &m->members[i];
    bool is_store = strcmp(k->name, BUNDLE_STORE) == 0;
    char path[SERVICE_COPY_PATH];
    struct b_rd file;
    (void)snprintf(path, sizeof(path), "%s/%s", from->home, k->name);
    enum b_code r = b_file_map(is_store ? from->store : path, &file, err);
    if (r != B_OK)
        return r;
    k->size = file.left;
    crypto_sha256(file.p, file.left, k->sha256);
    r = is_store && m->base[0] != '\0' ? put_delta(a, from->delta, m->at, err)
                                       : put_file(a, k->name, file, m->at, err);
    b_file_unmap(&file);
    return r;
}

enum b_code bundle_write(struct service_manifest *m, const struct bundle_from *from,
                         bundle_sink *sink, void *ctx, struct b_err *err)
{
    struct sink s = {sink, ctx};
    enum b_code r = B_OK;
    struct archive *a = archive_write_new();
    b_check(a != NULL);
    if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK || /* zstd takes no padding */
        archive_write_open2(a, &s, NULL, give, NULL, NULL) != ARCHIVE_OK)
        r = fail(a, B_E_SYSTEM, "an archive with zstd", err);
    for (size_t i = 0; r == B_OK && i < m->count; i++)
        r = put_member(a, m, i, from, err);
    if (r == B_OK && archive_write_close(a) != ARCHIVE_OK)
        r = fail(a, B_E_SYSTEM, "the end of the archive", err);
    (void)archive_write_free(a);
    return r;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static enum b_code altered(const char *name, const char *what, struct b_err *err)
{
    return b_err_set(err, B_E_BACKUP_ALTERED, 0, "%.120s: %s", name, b_err_word(what));
}

/* The directories that lead to a member, below dir. */
static enum b_code make_parents(char *path, size_t dir_len, struct b_err *err)
{
    for (char *at = path + dir_len + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        bool is_there = mkdir(path, 0700) == 0 || errno == EEXIST;
        *at = '/';
        if (!is_there)
            return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
    }
    return B_OK;
}

/* A new file, of no more than `most` bytes. */
static enum b_code take_data(struct archive *a, const char *name, uint64_t most, const char *path,
                             struct b_err *err)
{
    static char piece[65536];
    la_ssize_t n = 0;
    enum b_code r = B_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
    while (r == B_OK && (n = archive_read_data(a, piece, sizeof(piece))) > 0) {
        if ((uint64_t)n > most)
            r = altered(name, "it is longer than it was", err);
        else if (write(fd, piece, (size_t)n) != n)
            r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
        most -= (uint64_t)n;
    }
    if (r == B_OK && n < 0)
        r = fail(a, B_E_BACKUP_ALTERED, name, err);
    if (close(fd) != 0 && r == B_OK)
        r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
    return r;
}

static size_t find(const struct service_manifest *m, const char *name)
{
    size_t i = 0;
    while (i < m->count && strcmp(m->members[i].name, name) != 0)
        i++;
    return i;
}

enum b_code bundle_check(const struct service_manifest *m, const char *name, const char *dir,
                         struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    uint8_t digest[32];
    struct b_rd file;
    size_t i = find(m, name);
    if (i == m->count)
        return altered(name, "the manifest has no such member", err);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    enum b_code r = b_file_map(path, &file, err);
    if (r != B_OK)
        return r;
    crypto_sha256(file.p, file.left, digest);
    b_file_unmap(&file);
    return memcmp(digest, m->members[i].sha256, sizeof(digest)) == 0
               ? B_OK
               : altered(name, "its digest is another", err);
}

/* The manifest's member that an entry of the archive stands for. */
static size_t stands_for(const struct service_manifest *m, struct archive_entry *e)
{
    const char *name = archive_entry_pathname(e);
    if (name == NULL || archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e) != NULL)
        return m->count;
    if (m->base[0] == '\0')
        return find(m, name);
    if (strcmp(name, BUNDLE_STORE) == 0)
        return m->count;
    return find(m, strcmp(name, BUNDLE_DELTA) == 0 ? BUNDLE_STORE : name);
}

static enum b_code take_member(struct archive *a, const char *name, const struct service_member *k,
                               const char *dir, struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    bool is_delta = strcmp(k->name, name) != 0;
    uint64_t most = is_delta ? k->size + k->size / 1024 : k->size; /* a number with each page */
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
        return b_err_set(err, B_E_USAGE, 0, "the path is too long: %.80s", dir);
    enum b_code r = make_parents(path, strlen(dir), err);
    return r == B_OK ? take_data(a, name, most, path, err) : r;
}

static enum b_code take_entry(struct archive *a, struct archive_entry *e,
                              const struct service_manifest *m, const char *only, const char *dir,
                              bool *seen, struct b_err *err)
{
    const char *name = archive_entry_pathname(e);
    size_t i = stands_for(m, e);
    if (i == m->count || seen[i])
        return altered(name != NULL ? name : "?", "the manifest has no such member", err);
    seen[i] = true;
    if (only != NULL && strcmp(name, only) != 0)
        return B_OK;
    enum b_code r = take_member(a, name, &m->members[i], dir, err);
    return r == B_OK && strcmp(name, BUNDLE_DELTA) != 0 ? bundle_check(m, name, dir, err) : r;
}

enum b_code bundle_read(int fd, const struct service_manifest *m, const char *only, const char *dir,
                        struct b_err *err)
{
    enum { BLOCK = 65536 };
    bool seen[SERVICE_MEMBERS_MAX] = {false};
    struct archive_entry *e = NULL;
    enum b_code r = B_OK;
    int got = ARCHIVE_OK;
    struct archive *a = archive_read_new();
    b_check(a != NULL);
    if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
        archive_read_open_fd(a, fd, BLOCK) != ARCHIVE_OK)
        r = fail(a, B_E_BACKUP_ALTERED, "the archive", err);
    while (r == B_OK && (got = archive_read_next_header(a, &e)) == ARCHIVE_OK)
        r = take_entry(a, e, m, only, dir, seen, err);
    if (r == B_OK && got != ARCHIVE_EOF)
        r = fail(a, B_E_BACKUP_ALTERED, "the archive", err);
    for (size_t i = 0; r == B_OK && i < m->count; i++)
        if (!seen[i])
            r = altered(m->members[i].name, "it is missing", err);
    (void)archive_read_free(a);
    return r;
}
