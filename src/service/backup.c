/* Making a copy of an establishment that goes on working. */
#include "service/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/wrap.h"
#include "pki/pki.h"
#include "service/bundle.h"
#include "service/journal.h"
#include "service/pages.h"
#include "service/relay.h"

/* --- directories -------------------------------------------------------------------------------
 */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

void service_remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Where one is made: the snapshot in the home, which nobody else reads, the sealed file where it
 * will be. */
struct place {
    char scratch[SERVICE_COPY_PATH], snapshot[SERVICE_COPY_PATH], delta[SERVICE_COPY_PATH];
    char part[SERVICE_COPY_PATH];
    char path[SERVICE_COPY_PATH]; /* of what is just written */
};

static void find_place(const struct service_copy *c, struct place *p)
{
    (void)snprintf(p->scratch, sizeof(p->scratch), "%s/snapshot.part", c->home);
    (void)snprintf(p->snapshot, sizeof(p->snapshot), "%s/snapshot.part/store.db", c->home);
    (void)snprintf(p->delta, sizeof(p->delta), "%s/snapshot.part/delta", c->home);
    (void)snprintf(p->part, sizeof(p->part), "%s/backup.part", c->dir);
}

/* One at a time in a home: the lock goes with the descriptor. What was cut before is removed. */
static enum b_code lock(const struct service_copy *c, struct place *p, int *ret, struct b_err *err)
{
    (void)snprintf(p->path, sizeof(p->path), "%s/tessere.yaml", c->home);
    *ret = open(p->path, O_RDONLY | O_CLOEXEC);
    if (*ret < 0)
        return b_err_set(err, B_E_CONFIG, (uint32_t)errno, "%s: %s", p->path, strerror(errno));
    if (flock(*ret, LOCK_EX | LOCK_NB) != 0)
        return b_err_set(err, B_E_STORE_LOCKED, 0, "%s: another backup is being made", c->home);
    service_remove_tree(p->scratch);
    if (mkdir(p->scratch, 0700) != 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", p->scratch, strerror(errno));
    if (mkdir(c->dir, 0700) != 0 && errno != EEXIST)
        return b_err_set(err, B_E_CONFIG, (uint32_t)errno, "%s: %s", c->dir, strerror(errno));
    return B_OK;
}

/* --- members -----------------------------------------------------------------------------------
 */

static enum b_code add(struct service_manifest *m, const char *name, struct b_err *err)
{
    if (m->count == SERVICE_MEMBERS_MAX || !service_member_is_name(name))
        return b_err_set(err, B_E_TOO_LARGE, 0,
                         "%.120s: a backup holds %d files with names of up to %d bytes", name,
                         SERVICE_MEMBERS_MAX, SERVICE_MEMBER_NAME - 1);
    (void)snprintf(m->members[m->count++].name, SERVICE_MEMBER_NAME, "%s", name);
    return B_OK;
}

/* Not what is half written, what a rehearsal left, or what leads elsewhere. */
static bool is_left_out(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return e->d_name[0] == '.' || strncmp(e->d_name, "rehearsal-", 10) == 0 ||
           (n > 5 && strcmp(e->d_name + n - 5, ".part") == 0);
}

static int in_order(const void *a, const void *b)
{
    return strcmp(((const struct service_member *)a)->name,
                  ((const struct service_member *)b)->name);
}

/* The files of a directory of the home, and of those in it. */
static enum b_code gather(struct service_manifest *m, const char *home, const char *name,
                          struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    char below[SERVICE_MEMBER_NAME + 300];
    struct stat st;
    enum b_code r = B_OK;
    (void)snprintf(path, sizeof(path), "%s/%s", home, name);
    DIR *d = opendir(path);
    if (d == NULL)
        return errno == ENOENT
                   ? B_OK
                   : b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
    for (const struct dirent *e; r == B_OK && (e = readdir(d)) != NULL;) {
        if (is_left_out(e) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        (void)snprintf(below, sizeof(below), "%.127s/%s", name, e->d_name);
        if (S_ISREG(st.st_mode))
            r = add(m, below, err);
        else if (S_ISDIR(st.st_mode) && strchr(name, '/') == NULL)
            r = gather(m, home, below, err);
    }
    (void)closedir(d);
    return r;
}

static bool has(const struct service_manifest *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->members[i].name, name) == 0)
            return true;
    return false;
}

static enum b_code gather_all(struct service_manifest *m, const struct service_copy *c,
                              struct b_err *err)
{
    const char *home = c->home;
    static const char *const files[] = {"tessere.yaml", "profile.yaml", "policy.yaml",
                                        "server.yaml",  "backup.yaml",  "directory.yaml"};
    char path[SERVICE_COPY_PATH];
    enum b_code r = add(m, "store.db", err);
    for (size_t i = 0; r == B_OK && i < B_COUNT(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", home, files[i]);
        if (access(path, F_OK) == 0)
            r = add(m, files[i], err);
    }
    if (r == B_OK)
        r = gather(m, home, "pki", err);
    if (r == B_OK)
        r = gather(m, home, "ceremony", err);
    for (size_t i = 0; r == B_OK && i < c->file_count; i++)
        r = has(m, c->files[i]) ? B_OK : add(m, c->files[i], err);
    if (r != B_OK)
        return r;
    qsort(m->members, m->count, sizeof(m->members[0]), in_order);
    for (size_t i = 0; i < m->count; i++) {
        const char *last = strrchr(m->members[i].name, '/');
        m->has_masters |= last != NULL && strcmp(last, "/backup.json") == 0;
    }
    return B_OK;
}

/* --- the snapshot ------------------------------------------------------------------------------
 */

/* Its time is its name: where there is one of this second, the next is waited for. */
static void choose_time(const struct service_copy *c, struct place *p, struct service_manifest *m)
{
    const struct timespec a_moment = {.tv_nsec = 50000000};
    char name[SERVICE_COPY_NAME];
    do {
        m->at = service_now();
        service_manifest_name(m, name);
        (void)snprintf(p->path, sizeof(p->path), "%s/%s.backup", c->dir, name);
    } while (access(p->path, F_OK) == 0 && nanosleep(&a_moment, NULL) == 0);
}

static enum b_code take_snapshot(struct service *sv, const char *path, struct service_manifest *m,
                                 struct b_err *err)
{
    struct service of = *sv;
    uint64_t size = 0;
    of.store = NULL;
    enum b_code r = store_copy(sv->store, path, err);
    if (r == B_OK)
        r = store_open(path, false, &of.store, err);
    if (r != B_OK)
        return r;
    m->schema = store_schema_version(of.store);
    r = service_journal_tree(&of, &m->entries, m->root, err);
    if (r == B_OK)
        r = store_checkpoint_get(of.store, UINT64_MAX, &size, m->checkpoint, sizeof(m->checkpoint),
                                 err);
    store_free(&of.store);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* The newest whole copy, while it is young enough and lies there as it was made: then only what has
 * changed since goes into this one. */
static void choose_base(const struct service_copy *c, struct place *p, struct service_manifest *m)
{
    enum { DAY = 86400 };
    static struct service_manifest base;
    const struct service_copy_wanted ours = {.finess = m->finess};
    struct pages_base b;
    if (c->full_days == 0 || !pages_base(c->home, &b) ||
        service_copy_time(b.name) + (int64_t)c->full_days * DAY <= m->at)
        return;
    (void)snprintf(p->path, sizeof(p->path), "%s/%s.backup", c->dir, b.name);
    if (service_copy_check(p->path, &ours, &base, NULL) != B_OK || base.base[0] != '\0' ||
        memcmp(base.sha256, b.sha256, sizeof(b.sha256)) != 0 ||
        pages_diff(c->home, p->snapshot, p->delta, NULL) != B_OK)
        return;
    memcpy(m->base, b.name, sizeof(m->base));
    memcpy(m->base_sha256, b.sha256, sizeof(m->base_sha256));
}

/* When this fails the next one is whole too, or adds to the one before. */
static void become_base(const struct service_copy *c, const struct place *p,
                        const struct service_manifest *m)
{
    struct pages_base b;
    if (m->base[0] != '\0')
        return;
    service_manifest_name(m, b.name);
    memcpy(b.sha256, m->sha256, sizeof(b.sha256));
    (void)!pages_keep(c->home, p->snapshot, &b, NULL);
}

/* --- sealing -----------------------------------------------------------------------------------
 */

static enum b_code address_one(struct crypto_envelope *e, const struct service_recipient *to,
                               struct service_sealed_for *ret, struct b_err *err)
{
    static char pem[PKI_PEM_MAX];
    struct pki_cert who;
    struct b_rd file;
    memcpy(ret->name, to->name, sizeof(ret->name));
    enum b_code r = b_file_map(to->certificate, &file, err);
    if (r != B_OK)
        return r;
    struct b_wr w = b_wr_from(pem, sizeof(pem));
    b_wr_bytes(&w, file.p, file.left);
    b_wr_u8(&w, '\0');
    r = b_wr_ok(&w) ? pki_cert_read(pem, &who, err)
                    : b_err_set(err, B_E_CERT_BAD, 0, "it is too long");
    if (r == B_OK)
        r = crypto_envelope_to(e, file, err);
    b_file_unmap(&file);
    if (r != B_OK)
        return b_err_wrap(err, "%s", to->certificate);
    memcpy(ret->fingerprint, who.fingerprint, sizeof(ret->fingerprint));
    return r;
}

static enum b_code address(struct crypto_envelope *e, const struct service_copy *c,
                           struct service_manifest *m, struct b_err *err)
{
    if (c->recipient_count == 0)
        return b_err_set(err, B_E_CONFIG, 0, "a backup is sealed for somebody: --recipients");
    for (size_t i = 0; i < c->recipient_count; i++)
        if (address_one(e, &c->recipients[i], &m->recipients[m->recipient_count++], err) != B_OK)
            return b_err_wrap(err, "%s", c->recipients[i].name);
    return B_OK;
}

static bool into_envelope(void *ctx, const void *p, size_t n)
{
    return crypto_envelope_write(ctx, p, n);
}

static enum b_code seal(const struct service_copy *c, const struct place *p,
                        struct service_manifest *m, struct b_err *err)
{
    const struct bundle_from from = {c->home, p->snapshot, p->delta};
    const char *path = p->part;
    struct crypto_envelope *e = NULL;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
    enum b_code r = crypto_envelope_new(fd, &e, err);
    if (r == B_OK)
        r = address(e, c, m, err);
    if (r == B_OK)
        r = bundle_write(m, &from, into_envelope, e, err);
    if (r == B_OK)
        r = crypto_envelope_end(e, err);
    crypto_envelope_free(&e);
    if (r == B_OK && fsync(fd) != 0)
        r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
    (void)close(fd);
    return r;
}

/* What is on the disk is what the manifest speaks of. */
static enum b_code measure(const char *path, struct service_manifest *m, struct b_err *err)
{
    struct b_rd file;
    enum b_code r = b_file_map(path, &file, err);
    if (r != B_OK)
        return r;
    m->size = file.left;
    crypto_sha256(file.p, file.left, m->sha256);
    b_file_unmap(&file);
    return B_OK;
}

/* --- who vouches for it ------------------------------------------------------------------------
 */

struct told {
    const char *name, *digest;
    const struct service_manifest *m;
    uint64_t entry;
};

static enum b_code tell(struct service_change *c, void *ctx, struct b_err *err)
{
    struct told *t = ctx;
    json_t *detail =
        json_pack("{s:s, s:s, s:I, s:I, s:i, s:b}", "name", t->name, "manifest", t->digest, "size",
                  (json_int_t)t->m->size, "entries", (json_int_t)t->m->entries, "recipients",
                  (int)t->m->recipient_count, "masters", t->m->has_masters);
    enum b_code r = service_log(c, (struct service_entry){.kind = "backup", .detail = detail}, err);
    t->entry = c->edge->size - 1;
    return r;
}

static enum b_code vouch(struct service *sv, const struct service_copy *c, const struct told *t,
                         struct place *p, struct b_err *err)
{
    static struct journal_inclusion proof;
    static char text[JOURNAL_PROOF_TEXT_MAX];
    uint64_t size = 0;
    enum b_code r = service_journal_checkpoint(sv, c->home, err);
    if (r == B_OK)
        r = service_journal_prove(sv, t->entry, &size, &proof, err);
    if (r == B_OK && !journal_inclusion_print(&proof, text, sizeof(text)))
        r = b_err_set(err, B_E_INTERNAL, 0, "a proof that does not fit");
    (void)snprintf(p->path, sizeof(p->path), "%s/%s.proof", c->dir, t->name);
    return r == B_OK ? b_file_replace(p->path, text, strlen(text), 0600, err) : r;
}

/* --- all of it ---------------------------------------------------------------------------------
 */

/* The sealed file takes its name, then its manifest does, then the journal tells of both. */
static enum b_code publish(struct service *sv, struct service_copy *c, struct place *p,
                           const struct service_manifest *m, struct b_err *err)
{
    static char text[SERVICE_MANIFEST_MAX];
    char name[SERVICE_COPY_NAME];
    char hex[65];
    uint8_t digest[32];
    service_manifest_name(m, name);
    enum b_code r = service_manifest_write(m, text, err);
    (void)snprintf(p->path, sizeof(p->path), "%s/%s.backup", c->dir, name);
    if (r == B_OK && rename(p->part, p->path) != 0)
        r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", p->path, strerror(errno));
    (void)snprintf(p->path, sizeof(p->path), "%s/%s.manifest", c->dir, name);
    if (r == B_OK)
        r = b_file_replace(p->path, text, strlen(text), 0600, err);
    if (r != B_OK)
        return r;
    crypto_sha256(text, strlen(text), digest);
    b_hex(hex, digest, sizeof(digest));
    struct told t = {.name = name, .digest = hex, .m = m};
    r = service_change(sv, tell, &t, err);
    c->is_signed = r == B_OK && vouch(sv, c, &t, p, err) == B_OK;
    return r;
}

enum b_code service_copy_make(struct service *sv, struct service_copy *c,
                              struct service_manifest *ret, struct b_err *err)
{
    static struct place p; /* too large for a stack; one is made at a time */
    int fd = -1;
    memset(ret, 0, sizeof(*ret));
    c->is_signed = false;
    (void)snprintf(ret->finess, sizeof(ret->finess), "%s", sv->establishment.finess);
    find_place(c, &p);
    enum b_code r = lock(c, &p, &fd, err);
    bool is_ours = r != B_E_STORE_LOCKED && fd >= 0;
    if (r == B_OK)
        choose_time(c, &p, ret);
    if (r == B_OK)
        r = take_snapshot(sv, p.snapshot, ret, err);
    if (r == B_OK)
        r = gather_all(ret, c, err);
    if (r == B_OK)
        choose_base(c, &p, ret);
    if (r == B_OK)
        r = seal(c, &p, ret, err);
    if (r == B_OK)
        r = measure(p.part, ret, err);
    if (r == B_OK)
        r = publish(sv, c, &p, ret, err);
    if (r == B_OK)
        become_base(c, &p, ret);
    if (is_ours) {
        service_remove_tree(p.scratch);
        (void)unlink(p.part);
    }
    if (fd >= 0)
        (void)close(fd);
    return r;
}
