/* The files of the home that its configuration names: a backup holds them too. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/backup.h"
#include "config/scalars.h"

enum { TEXT_MAX = 65536, PATH = CLI_PATH_MAX + 2 * SERVICE_COPY_PATH };

/* Not takeover's keys-file: one custodian alone opens a backup, and would have another system's
 * keys. A file with fields of its own names more. */
static const struct {
    const char *field;
    bool names_more;
} fields[] = {
    {"certificate", false},     {"key", false},
    {"trust", false},           {"ca-certificate", false},
    {"ca-key", false},          {"ca", false},
    {"fleet", false},           {"events", true},
    {"clients", true},          {"secret-file", false},
    {"public-key-file", false}, {"password-file", false},
};

struct naming {
    const char *home;
    char dir[SERVICE_MEMBER_NAME]; /* of the file that names, in the home, with its slash; or "" */
    struct backup_named *all;
};

static void add(struct backup_files *to, const char *name, bool names_more)
{
    for (size_t i = 0; i < to->count; i++)
        if (strcmp(to->names[i], name) == 0)
            return;
    if (to->count == SERVICE_MEMBERS_MAX)
        return; /* one more than fits, with store.db: making the backup refuses */
    to->names_more[to->count] = names_more;
    (void)snprintf(to->names[to->count++], SERVICE_MEMBER_NAME, "%.127s", name);
}

/* False: there is no such file. What leads out of the home, or is no plain file, is left out. */
static bool take(const struct naming *k, const char *dir, const char *value, bool names_more)
{
    char path[PATH];
    struct stat st;
    size_t home = strlen(k->home);
    bool is_absolute = value[0] == '/';
    (void)snprintf(path, sizeof(path), "%s/%s%.1000s", is_absolute ? "" : k->home,
                   is_absolute ? "" : dir, value + is_absolute);
    if (lstat(path, &st) != 0 || S_ISDIR(st.st_mode))
        return false;
    const char *name = path + home + 1;
    bool is_inside = strncmp(path, k->home, home) == 0 && path[home] == '/' &&
                     service_member_is_name(name) && S_ISREG(st.st_mode);
    if (is_inside)
        add(&k->all->inside, name, names_more);
    else
        add(&k->all->outside, path, false);
    return true;
}

static void take_named(void *ctx, const char *field, const char *value)
{
    const struct naming *k = ctx;
    for (size_t i = 0; i < B_COUNT(fields); i++)
        if (strcmp(field, fields[i].field) == 0 && !take(k, "", value, fields[i].names_more) &&
            k->dir[0] != '\0')
            (void)take(k, k->dir, value, fields[i].names_more);
}

void cli_backup_named(const struct cli *c, struct backup_named *ret)
{
    static const char *const first[] = {"server.yaml", "directory.yaml"};
    struct naming k = {.home = c->home, .all = ret};
    struct b_err ignored;
    const struct backup_files *in = &ret->inside;
    ret->inside.count = ret->outside.count = 0;
    for (size_t i = 0; i < B_COUNT(first); i++)
        (void)take(&k, "", first[i], true);
    for (size_t i = 0; i < in->count; i++) {
        char path[PATH];
        char *text = NULL;
        size_t n = 0;
        const char *last = strrchr(in->names[i], '/');
        size_t dir = last != NULL ? (size_t)(last - in->names[i]) + 1 : 0;
        memcpy(k.dir, in->names[i], dir);
        k.dir[dir] = '\0';
        (void)snprintf(path, sizeof(path), "%s/%s", c->home, in->names[i]);
        if (in->names_more[i] && b_file_read(path, TEXT_MAX, &text, &n, &ignored) == B_OK)
            config_each_scalar(text, n, take_named, &k);
        free(text);
    }
}
