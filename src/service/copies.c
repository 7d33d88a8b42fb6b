/* Many copies: listed, sent to a second site, thinned out. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "service/backup.h"

static const char *const endings[] = {".backup", ".proof", ".manifest"}; /* the manifest last */

/* --- names -------------------------------------------------------------------------------------
 */

int64_t service_copy_time(const char *name)
{
    static const char like[] = "tessere-750712184-20261128T110343Z";
    enum { FINESS = 8, TIME = 18 };
    struct tm tm = {0};
    if (strlen(name) != sizeof(like) - 1 || strncmp(name, like, FINESS) != 0 ||
        name[TIME - 1] != '-')
        return 0;
    for (size_t i = FINESS; i < TIME - 1; i++)
        if (!isalnum((unsigned char)name[i]))
            return 0;
    const char *end = strptime(name + TIME, "%Y%m%dT%H%M%SZ", &tm);
    time_t at = end != NULL && *end == '\0' ? timegm(&tm) : 0;
    return at > 0 ? (int64_t)at : 0;
}

static int in_order(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum b_code service_copies_list(const char *dir, const char *finess, struct service_copies *ret,
                                struct b_err *err)
{
    static const char ending[] = ".manifest";
    char name[SERVICE_COPY_NAME];
    DIR *d = opendir(dir);
    ret->count = 0;
    if (d == NULL)
        return errno == ENOENT
                   ? B_OK
                   : b_err_set(err, B_E_BAD_INPUT, (uint32_t)errno, "%s: %s", dir, strerror(errno));
    for (const struct dirent *e; (e = readdir(d)) != NULL && ret->count < SERVICE_COPIES_MAX;) {
        size_t n = strlen(e->d_name);
        if (n < sizeof(ending) || n - sizeof(ending) + 1 >= sizeof(name) ||
            strcmp(e->d_name + n - sizeof(ending) + 1, ending) != 0)
            continue;
        (void)snprintf(name, sizeof(name), "%.*s", (int)(n - sizeof(ending) + 1), e->d_name);
        if (service_copy_time(name) != 0 && strncmp(name + 8, finess, 9) == 0)
            memcpy(ret->names[ret->count++], name, sizeof(name));
    }
    (void)closedir(d);
    qsort(ret->names, ret->count, sizeof(ret->names[0]), in_order);
    return B_OK;
}

/* --- a second site -----------------------------------------------------------------------------
 */

static enum b_code duplicate_one(const char *dir, const char *name, const char *to,
                                 struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && i < B_COUNT(endings); i++) {
        struct b_rd file;
        (void)snprintf(path, sizeof(path), "%s/%s%s", dir, name, endings[i]);
        if (access(path, F_OK) != 0 && strcmp(endings[i], ".proof") == 0)
            continue; /* made without the token */
        r = b_file_map(path, &file, err);
        if (r != B_OK)
            break;
        (void)snprintf(path, sizeof(path), "%s/%s%s", to, name, endings[i]);
        r = b_file_replace(path, file.p, file.left, 0600, err);
        b_file_unmap(&file);
    }
    return r;
}

/* The name of the copy that one adds to, or "". */
static enum b_code base_of(const char *dir, const char *name, char ret[static SERVICE_COPY_NAME],
                           struct b_err *err)
{
    static struct service_manifest m;
    char path[SERVICE_COPY_PATH];
    struct b_rd text;
    (void)snprintf(path, sizeof(path), "%s/%s.manifest", dir, name);
    enum b_code r = b_file_map(path, &text, err);
    if (r != B_OK)
        return r;
    r = service_manifest_read((const char *)text.p, text.left, &m, err);
    b_file_unmap(&text);
    memcpy(ret, m.base, SERVICE_COPY_NAME);
    return r;
}

enum b_code service_copy_duplicate(const char *dir, const char *name, const char *to,
                                   struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    char base[SERVICE_COPY_NAME];
    enum b_code r = base_of(dir, name, base, err);
    (void)snprintf(path, sizeof(path), "%s/%s.manifest", to, base);
    if (r == B_OK && base[0] != '\0' && access(path, F_OK) != 0)
        r = duplicate_one(dir, base, to, err);
    return r == B_OK ? duplicate_one(dir, name, to, err) : r;
}

/* --- thinning ----------------------------------------------------------------------------------
 */

/* The manifest first: what has none is no copy any more. */
static enum b_code remove_copy(const char *dir, const char *name, struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    for (size_t i = B_COUNT(endings); i-- > 0;) {
        (void)snprintf(path, sizeof(path), "%s/%s%s", dir, name, endings[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
    }
    return B_OK;
}

/* What was cut between the sealed file and its manifest is no copy, and nobody lists it. */
static enum b_code remove_orphans(const char *dir, const char *finess, struct b_err *err)
{
    char name[SERVICE_COPY_NAME];
    char path[SERVICE_COPY_PATH];
    enum b_code r = B_OK;
    DIR *d = opendir(dir);
    for (const struct dirent *e; r == B_OK && d != NULL && (e = readdir(d)) != NULL;) {
        size_t n = strcspn(e->d_name, ".");
        if (strcmp(e->d_name + n, endings[0]) != 0 || n >= sizeof(name))
            continue;
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, e->d_name);
        (void)snprintf(path, sizeof(path), "%s/%s.manifest", dir, name);
        if (service_copy_time(name) != 0 && strncmp(name + 8, finess, 9) == 0 &&
            access(path, F_OK) != 0 && errno == ENOENT)
            r = remove_copy(dir, name, err);
    }
    if (d != NULL)
        (void)closedir(d);
    return r;
}

/* "202611": a name's month. */
static bool is_of_same_month(const char *a, const char *b)
{
    return strncmp(a + 18, b + 18, 6) == 0;
}

size_t service_copies_until(const struct service_copies *all, int64_t now)
{
    size_t n = all->count;
    while (n > 0 && service_copy_time(all->names[n - 1]) > now)
        n--;
    return n;
}

/* Those that stay by the rule, and what these add to. past: how many are not of the future; the
 * others stay, and keep none of these out. */
static enum b_code choose(const char *dir, const struct service_copies *all, size_t past,
                          unsigned keep, int64_t now, bool *stays, struct b_err *err)
{
    enum { YEAR = 365 * 86400 };
    char base[SERVICE_COPY_NAME] = "";
    enum b_code r = B_OK;
    for (size_t i = all->count; r == B_OK && i-- > 0;) {
        bool is_new = i + keep >= past;
        bool is_last_of_month = !is_new && !is_of_same_month(all->names[i], all->names[i + 1]);
        stays[i] |= is_new || (is_last_of_month && service_copy_time(all->names[i]) > now - YEAR);
        if (!stays[i])
            continue;
        r = base_of(dir, all->names[i], base, err);
        for (size_t k = 0; base[0] != '\0' && k < i; k++)
            stays[k] |= strcmp(all->names[k], base) == 0;
    }
    return r;
}

enum b_code service_copies_thin(const char *dir, const char *finess, unsigned keep, int64_t now,
                                size_t *ret_removed, struct b_err *err)
{
    static struct service_copies all;
    static struct service_manifest m;
    const struct service_copy_wanted wanted = {.finess = finess};
    bool stays[SERVICE_COPIES_MAX] = {false};
    char newest[SERVICE_COPY_PATH];
    *ret_removed = 0;
    enum b_code r = remove_orphans(dir, finess, err);
    if (r == B_OK)
        r = service_copies_list(dir, finess, &all, err);
    if (r != B_OK)
        return r;
    size_t past = service_copies_until(&all, now);
    if (keep == 0 || past <= keep)
        return r;
    (void)snprintf(newest, sizeof(newest), "%s/%s.backup", dir, all.names[past - 1]);
    r = service_copy_check(newest, &wanted, &m, err);
    if (r == B_OK)
        r = choose(dir, &all, past, keep, now, stays, err);
    /* What adds to another goes before it: cut in between, what is left is whole. */
    for (size_t i = all.count; r == B_OK && i-- > 0;) {
        if (stays[i])
            continue;
        r = remove_copy(dir, all.names[i], err);
        *ret_removed += r == B_OK;
    }
    return r;
}
