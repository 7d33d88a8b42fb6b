/* Copies looked at, opened, put back. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/wrap.h"
#include "service/bundle.h"
#include "service/pages.h"
#include "service/verify.h"

/* The path of a copy's file, by that of any of its files. */
static void path_of(const char *path, const char *ending, char ret[static SERVICE_COPY_PATH])
{
    static const char *const endings[] = {".backup", ".manifest", ".proof"};
    size_t n = strlen(path);
    for (size_t i = 0; i < B_COUNT(endings); i++) {
        size_t len = strlen(endings[i]);
        if (n > len && strcmp(path + n - len, endings[i]) == 0) {
            n -= len;
            break;
        }
    }
    struct b_wr w = b_wr_from(ret, SERVICE_COPY_PATH);
    b_wr_bytes(&w, path, n);
    b_wr_bytes(&w, ending, strlen(ending) + 1);
    if (!b_wr_ok(&w))
        ret[0] = '\0'; /* no such file: that will be said */
}

/* That of the copy which this one adds to, beside it. */
static void path_of_base(const char *path, const struct service_manifest *m,
                         char ret[static SERVICE_COPY_PATH])
{
    const char *slash = strrchr(path, '/');
    struct b_wr w = b_wr_from(ret, SERVICE_COPY_PATH);
    b_wr_bytes(&w, path, slash != NULL ? (size_t)(slash - path) + 1 : 0);
    b_wr_bytes(&w, m->base, strlen(m->base));
    b_wr_bytes(&w, ".backup", sizeof(".backup"));
    if (!b_wr_ok(&w))
        ret[0] = '\0';
}

/* --- who vouches for it ------------------------------------------------------------------------
 */

/* The entry that the proof proves is the one that was written for this manifest. */
static bool names_manifest(const struct journal_inclusion *p, const uint8_t digest[static 32])
{
    char hex[65];
    json_t *o = json_loadb((const char *)p->extra, p->extra_len, JSON_REJECT_DUPLICATES, NULL);
    const char *kind = json_string_value(json_object_get(o, "kind"));
    const char *told = json_string_value(json_object_get(json_object_get(o, "detail"), "manifest"));
    b_hex(hex, digest, 32);
    bool is_it =
        kind != NULL && strcmp(kind, "backup") == 0 && told != NULL && strcmp(told, hex) == 0;
    json_decref(o);
    return is_it;
}

static enum b_code check_proof(const char *path, const uint8_t digest[static 32],
                               const struct journal_signer *signer, struct b_err *err)
{
    static struct journal_inclusion proof;
    char at[SERVICE_COPY_PATH];
    struct b_rd text;
    path_of(path, ".proof", at);
    if (access(at, F_OK) != 0)
        return b_err_set(err, B_E_BACKUP_UNSIGNED, 0, "%s: %s", at, strerror(errno));
    enum b_code r = b_file_map(at, &text, err);
    if (r != B_OK)
        return r;
    if (!journal_inclusion_parse((const char *)text.p, text.left, &proof))
        r = b_err_set(err, B_E_BACKUP_ALTERED, 0, "%s: this is no proof", at);
    else
        r = journal_inclusion_verify(&proof, signer, proof.extra, proof.extra_len, err);
    b_file_unmap(&text);
    if (r == B_OK && !names_manifest(&proof, digest))
        r = b_err_set(err, B_E_BACKUP_ALTERED, 0, "%s: it is another manifest's", at);
    return r;
}

/* --- whole, and as it was made -----------------------------------------------------------------
 */

static enum b_code check_file(const char *path, const struct service_manifest *m, struct b_err *err)
{
    char at[SERVICE_COPY_PATH];
    uint8_t digest[32];
    struct b_rd file;
    path_of(path, ".backup", at);
    enum b_code r = b_file_map(at, &file, err);
    if (r != B_OK)
        return r;
    if (file.left < m->size)
        r = b_err_set(err, B_E_BACKUP_TRUNCATED, 0, "%s: %zu bytes of %llu", at, file.left,
                      (unsigned long long)m->size);
    crypto_sha256(file.p, r == B_OK ? file.left : 0, digest);
    if (r == B_OK && memcmp(digest, m->sha256, sizeof(digest)) != 0)
        r = b_err_set(err, B_E_BACKUP_ALTERED, 0, "%s: its digest is another", at);
    b_file_unmap(&file);
    return r;
}

static enum b_code read_manifest(const char *path, uint8_t digest[static 32],
                                 struct service_manifest *ret, struct b_err *err)
{
    char at[SERVICE_COPY_PATH];
    struct b_rd text;
    path_of(path, ".manifest", at);
    enum b_code r = b_file_map(at, &text, err);
    if (r != B_OK)
        return b_err_wrap(err, "%s: this is no backup", path);
    crypto_sha256(text.p, text.left, digest);
    r = text.left < SERVICE_MANIFEST_MAX
            ? service_manifest_read((const char *)text.p, text.left, ret, err)
            : b_err_set(err, B_E_TOO_LARGE, 0, "a manifest");
    b_file_unmap(&text);
    return r == B_OK ? B_OK : b_err_wrap(err, "%s", at);
}

/* Whoever vouches for the copy vouches for what it adds to, by its digest. */
static enum b_code read_base(const char *path, const struct service_manifest *m,
                             struct service_manifest *ret, struct b_err *err)
{
    char at[SERVICE_COPY_PATH];
    uint8_t ignored[32];
    path_of_base(path, m, at);
    if (access(at, F_OK) != 0)
        return b_err_set(err, B_E_BACKUP_TRUNCATED, 0, "%s, to which it adds, is not there", at);
    enum b_code r = read_manifest(at, ignored, ret, err);
    if (r == B_OK && memcmp(ret->sha256, m->base_sha256, sizeof(m->base_sha256)) != 0)
        r = b_err_set(err, B_E_BACKUP_ALTERED, 0, "%s: it is not what this one adds to", at);
    return r == B_OK ? check_file(at, ret, err) : r;
}

static enum b_code check_age(const struct service_manifest *m, const char *note, struct b_err *err)
{
    struct journal_checkpoint point;
    if (!journal_checkpoint_parse(note, strlen(note), &point))
        return b_err_set(err, B_E_JOURNAL_SIGNATURE, 0, "a checkpoint that is none");
    if (point.size > m->entries)
        return b_err_set(err, B_E_BACKUP_OLDER, 0,
                         "it has %llu entries of the journal, the checkpoint %llu",
                         (unsigned long long)m->entries, (unsigned long long)point.size);
    return B_OK;
}

enum b_code service_copy_check(const char *path, const struct service_copy_wanted *w,
                               struct service_manifest *ret, struct b_err *err)
{
    static struct service_manifest base; /* too large for a stack */
    uint8_t digest[32];
    enum b_code r = read_manifest(path, digest, ret, err);
    if (r != B_OK)
        return r;
    if (w->finess != NULL && strcmp(w->finess, ret->finess) != 0)
        return b_err_set(err, B_E_BACKUP_FOREIGN, 0, "%s: establishment %s, not %s", path,
                         ret->finess, w->finess);
    r = check_file(path, ret, err);
    if (r == B_OK && ret->base[0] != '\0')
        r = read_base(path, ret, &base, err);
    if (r == B_OK && w->signer != NULL)
        r = check_proof(path, digest, w->signer, err);
    if (r == B_OK && w->checkpoint != NULL)
        r = check_age(ret, w->checkpoint, err);
    return r;
}

/* --- opening -----------------------------------------------------------------------------------
 */

/* In a file without a name, which goes with its descriptor: the archive in clear stays nowhere. */
static enum b_code unseal(const char *path, struct b_rd key, const char *dir, int *ret,
                          struct b_err *err)
{
    char at[SERVICE_COPY_PATH];
    struct b_rd sealed;
    (void)snprintf(at, sizeof(at), "%s/archive-XXXXXX", dir);
    *ret = mkostemp(at, O_CLOEXEC);
    if (*ret < 0 || unlink(at) != 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", dir, strerror(errno));
    path_of(path, ".backup", at);
    enum b_code r = b_file_map(at, &sealed, err);
    if (r != B_OK)
        return r;
    r = crypto_envelope_open(sealed, key, *ret, err);
    b_file_unmap(&sealed);
    if (r == B_OK && lseek(*ret, 0, SEEK_SET) != 0)
        r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", dir, strerror(errno));
    return r == B_OK ? B_OK : b_err_wrap(err, "%s", at);
}

/* Opening it brings an older schema to ours; the journal is what was signed whatever its schema. */
static enum b_code check_store(const char *dir, const struct service_copy_wanted *w,
                               const struct service_manifest *m, struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    struct store *s = NULL;
    struct service_verified found;
    const struct service_verify what = {
        .signer = w->signer, .earlier = w->checkpoint, .finess = m->finess};
    (void)snprintf(path, sizeof(path), "%s/store.db", dir);
    enum b_code r = store_open(path, false, &s, err);
    if (r == B_OK)
        r = service_verify(s, &what, &found, err);
    if (r == B_OK && (found.entries != m->entries || memcmp(found.root, m->root, 32) != 0))
        r = b_err_set(err, B_E_BACKUP_ALTERED, 0, "its journal is not the manifest's");
    store_free(&s);
    return r;
}

static enum b_code unpack(const char *path, struct b_rd key, const struct service_manifest *m,
                          const char *only, const char *dir, struct b_err *err)
{
    int fd = -1;
    enum b_code r = unseal(path, key, dir, &fd, err);
    if (r == B_OK)
        r = bundle_read(fd, m, only, dir, err);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

/* The base's store first, then what has changed in it since. */
static enum b_code unpack_both(const char *path, struct b_rd key, const struct service_manifest *m,
                               const char *dir, struct b_err *err)
{
    static struct service_manifest base;
    char at[SERVICE_COPY_PATH];
    char store[SERVICE_COPY_PATH];
    uint64_t size = 0;
    enum b_code r = read_base(path, m, &base, err);
    path_of_base(path, m, at);
    if (r == B_OK)
        r = unpack(at, key, &base, BUNDLE_STORE, dir, err);
    if (r == B_OK)
        r = unpack(path, key, m, NULL, dir, err);
    (void)snprintf(store, sizeof(store), "%s/" BUNDLE_STORE, dir);
    (void)snprintf(at, sizeof(at), "%s/" BUNDLE_DELTA, dir);
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->members[i].name, BUNDLE_STORE) == 0)
            size = m->members[i].size;
    if (r == B_OK)
        r = pages_apply(store, at, size, err);
    (void)unlink(at);
    return r == B_OK ? bundle_check(m, BUNDLE_STORE, dir, err) : r;
}

enum b_code service_copy_open(const char *path, struct b_rd key,
                              const struct service_copy_wanted *w, const struct service_manifest *m,
                              const char *dir, struct b_err *err)
{
    char at[SERVICE_COPY_PATH];
    enum b_code r = m->base[0] != '\0' ? unpack_both(path, key, m, dir, err)
                                       : unpack(path, key, m, NULL, dir, err);
    if (r == B_OK)
        r = check_store(dir, w, m, err);
    /* Beside the store, as in any home: an older store in its place is found out by it. */
    (void)snprintf(at, sizeof(at), "%s/checkpoint", dir);
    if (r == B_OK && m->checkpoint[0] != '\0')
        r = b_file_replace(at, m->checkpoint, strlen(m->checkpoint), 0644, err);
    return r;
}

/* --- putting back ------------------------------------------------------------------------------
 */

static enum b_code check_empty(const char *home, struct b_err *err)
{
    DIR *d = opendir(home);
    size_t count = 0;
    if (d == NULL)
        return errno == ENOENT
                   ? B_OK
                   : b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", home, strerror(errno));
    while (readdir(d) != NULL)
        count++;
    (void)closedir(d);
    return count <= 2 ? B_OK : b_err_set(err, B_E_INITIALISED, 0, "%s is not empty", home);
}

static enum b_code move_in(const char *part, const char *home, struct b_err *err)
{
    int fd = open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_done = fd >= 0 && syncfs(fd) == 0 && rename(part, home) == 0 && syncfs(fd) == 0;
    int cause = errno;
    if (fd >= 0)
        (void)close(fd);
    return is_done ? B_OK
                   : b_err_set(err, B_E_SYSTEM, (uint32_t)cause, "%s: %s", home, strerror(cause));
}

enum b_code service_copy_restore(const char *path, struct b_rd key,
                                 const struct service_copy_wanted *w,
                                 const struct service_manifest *m, const char *home,
                                 struct b_err *err)
{
    char part[SERVICE_COPY_PATH];
    size_t n = strlen(home);
    while (n > 1 && home[n - 1] == '/')
        n--;
    struct b_wr name = b_wr_from(part, sizeof(part));
    b_wr_bytes(&name, home, n);
    b_wr_bytes(&name, ".part", sizeof(".part"));
    if (!b_wr_ok(&name))
        return b_err_set(err, B_E_USAGE, 0, "the path is too long: %.80s", home);
    enum b_code r = check_empty(home, err);
    if (r != B_OK)
        return r;
    if (mkdir(part, 0700) != 0) /* one that is there may be somebody's */
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno,
                         errno == EEXIST
                             ? N_("%s, left of a restoration that was cut, is to be removed: %s")
                             : N_("%s cannot be made: %s"),
                         part, strerror(errno));
    r = service_copy_open(path, key, w, m, part, err);
    if (r == B_OK)
        r = move_in(part, home, err);
    if (r != B_OK)
        service_remove_tree(part);
    return r;
}
