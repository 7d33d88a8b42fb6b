/* agent.yaml, through libcyaml with a schema: what is absent has a default. */
#include "agent/config.h"

#include <errno.h>
#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/yaml.h"

enum { TEXT_MAX = 65536, BACK_OFF = 30, HOOK_SECONDS = 5, MOST_SECONDS = 300 };

struct socket_file {
    char *path, *mode, *group;
    char **users;
    uint32_t users_count;
};
struct hooks_file {
    char **directories;
    uint32_t directories_count, seconds;
    bool lifted, challenges;
};
struct file {
    char *state, *server, *identity, *ca, *language;
    char **readers;
    uint32_t readers_count, back_off;
    struct socket_file *socket;
    struct hooks_file *hooks;
};

#define TEXT(type, name, field, max) \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, field, 1, max)
#define LIST(type, name, field, max)                                                             \
    CYAML_FIELD_SEQUENCE(name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, field, &entry, 0, \
                         max)

static const cyaml_schema_value_t entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, AGENT_PATTERN_MAX - 1)};
static const cyaml_schema_field_t socket_fields[] = {
    TEXT(struct socket_file, "path", path, 107), /* what sockaddr_un holds */
    TEXT(struct socket_file, "mode", mode, 4),
    TEXT(struct socket_file, "group", group, 64),
    LIST(struct socket_file, "users", users, AGENT_USERS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t hooks_fields[] = {
    LIST(struct hooks_file, "directories", directories, AGENT_HOOK_DIRS_MAX),
    CYAML_FIELD_UINT("seconds", CYAML_FLAG_OPTIONAL, struct hooks_file, seconds),
    CYAML_FIELD_BOOL("lifted", CYAML_FLAG_OPTIONAL, struct hooks_file, lifted),
    CYAML_FIELD_BOOL("challenges", CYAML_FLAG_OPTIONAL, struct hooks_file, challenges),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t fields[] = {
    TEXT(struct file, "state", state, AGENT_PATH_MAX - 1),
    TEXT(struct file, "server", server, AGENT_PATH_MAX - 1),
    TEXT(struct file, "identity", identity, AGENT_PATH_MAX - 1),
    TEXT(struct file, "ca", ca, AGENT_PATH_MAX - 1),
    TEXT(struct file, "language", language, 7),
    LIST(struct file, "readers", readers, AGENT_PATTERNS_MAX),
    CYAML_FIELD_UINT("back-off-seconds", CYAML_FLAG_OPTIONAL, struct file, back_off),
    CYAML_FIELD_MAPPING_PTR("socket", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, socket,
                            socket_fields),
    CYAML_FIELD_MAPPING_PTR("hooks", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, hooks,
                            hooks_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, fields)};

/* Where a mistake that the schema cannot see is said to be. */
struct place {
    const char *path, *text;
    size_t n;
    struct b_err *err;
};

B_PRINTF(3, 4)
static enum b_code wrong(const struct place *p, const char *field, const char *fmt, ...)
{
    char why[160];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    return b_err_set(p->err, B_E_CONFIG, 0, "%s: line %u: %s: %s", p->path,
                     config_line_of(p->text, p->n, field), field, why);
}

static void take_text(char *to, size_t cap, const char *from)
{
    if (from != NULL)
        (void)snprintf(to, cap, "%s", from);
}

static void defaults(struct agent_config *c)
{
    *c = (struct agent_config){.state = "/var/lib/tessere-agent",
                               .language = "fr",
                               .back_off_seconds = BACK_OFF,
                               .socket = {.mode = 0660, .group = (gid_t)-1},
                               .hooks = {.seconds = HOOK_SECONDS}};
}

static enum b_code take_seconds(const struct place *p, const char *field, uint32_t from,
                                unsigned *to)
{
    if (from > MOST_SECONDS)
        return wrong(p, field, "1 to %d seconds, not %u", MOST_SECONDS, from);
    if (from != 0)
        *to = from;
    return B_OK;
}

static enum b_code take_user(const struct place *p, const char *name, uid_t *to)
{
    char room[1024];
    struct passwd entry_room;
    struct passwd *found = NULL;
    if (getpwnam_r(name, &entry_room, room, sizeof(room), &found) != 0 || found == NULL)
        return wrong(p, "users", "there is no user %s here", name);
    *to = found->pw_uid;
    return B_OK;
}

static enum b_code take_group(const struct place *p, const char *name, gid_t *to)
{
    static _Thread_local char room[16384]; /* a group lists its members */
    struct group entry_room;
    struct group *found = NULL;
    if (name == NULL)
        return B_OK;
    if (getgrnam_r(name, &entry_room, room, sizeof(room), &found) != 0 || found == NULL)
        return wrong(p, "group", "there is no group %s here", name);
    *to = found->gr_gid;
    return B_OK;
}

static enum b_code take_socket(const struct place *p, const struct socket_file *f,
                               struct agent_socket_config *c)
{
    if (f == NULL)
        return B_OK;
    take_text(c->path, sizeof(c->path), f->path);
    if (f->path != NULL && f->path[0] != '/')
        return wrong(p, "path", "an absolute path is needed, not %s", f->path);
    if (f->mode != NULL) {
        char *end = NULL;
        unsigned long mode = strtoul(f->mode, &end, 8);
        if (*end != '\0' || (mode & ~0666UL) != 0 || (mode & 0600) != 0600)
            return wrong(p, "mode", "\"0600\", \"0660\" or \"0666\", not %s", f->mode);
        c->mode = (mode_t)mode;
    }
    enum b_code r = take_group(p, f->group, &c->group);
    for (uint32_t i = 0; r == B_OK && i < f->users_count; i++)
        r = take_user(p, f->users[i], &c->users[c->user_count++]);
    return r;
}

static enum b_code take_hooks(const struct place *p, const struct hooks_file *f,
                              struct agent_hooks_config *c)
{
    if (f == NULL)
        return B_OK;
    for (uint32_t i = 0; i < f->directories_count; i++) {
        if (f->directories[i][0] != '/')
            return wrong(p, "directories", "an absolute path is needed, not %s", f->directories[i]);
        take_text(c->directories[c->count++], sizeof(c->directories[0]), f->directories[i]);
    }
    c->tells_lifted = f->lifted;
    c->tells_challenges = f->challenges;
    return take_seconds(p, "seconds", f->seconds, &c->seconds);
}

static enum b_code take(const struct place *p, const struct file *f, struct agent_config *c)
{
    take_text(c->state, sizeof(c->state), f->state);
    take_text(c->server, sizeof(c->server), f->server);
    take_text(c->identity, sizeof(c->identity), f->identity);
    take_text(c->ca, sizeof(c->ca), f->ca);
    take_text(c->language, sizeof(c->language), f->language);
    if (strcmp(c->language, "fr") != 0 && strcmp(c->language, "en") != 0)
        return wrong(p, "language", "fr or en, not %s", c->language);
    if (c->server[0] != '\0' && strncmp(c->server, "https://", 8) != 0)
        return wrong(p, "server", "https://…, not %.64s", c->server);
    for (uint32_t i = 0; i < f->readers_count; i++)
        take_text(c->readers[c->reader_count++], AGENT_PATTERN_MAX, f->readers[i]);
    enum b_code r = take_seconds(p, "back-off-seconds", f->back_off, &c->back_off_seconds);
    if (r == B_OK)
        r = take_socket(p, f->socket, &c->socket);
    return r == B_OK ? take_hooks(p, f->hooks, &c->hooks) : r;
}

enum b_code agent_config_parse(const char *path, const char *text, size_t n,
                               struct agent_config *ret, struct b_err *err)
{
    struct file *f = NULL;
    const struct place p = {path, text, n, err};
    defaults(ret);
    enum b_code code = config_load(path, text, n, &schema, (cyaml_data_t **)&f, err);
    if (code == B_OK)
        code = take(&p, f, ret);
    config_free(&schema, f);
    return code;
}

static enum b_code read_file(const char *path, bool may_be_missing, struct agent_config *ret,
                             struct b_err *err)
{
    FILE *f = fopen(path, "re");
    if (f == NULL && errno == ENOENT && may_be_missing) {
        defaults(ret);
        return B_OK;
    }
    char *text = f != NULL ? malloc(TEXT_MAX) : NULL;
    size_t n = text != NULL ? fread(text, 1, TEXT_MAX, f) : 0;
    int cause = errno;
    bool is_bad = text == NULL || ferror(f) != 0;
    enum b_code r;
    if (is_bad)
        r = b_err_set(err, B_E_CONFIG, (uint32_t)cause, "%s: %s", path, strerror(cause));
    else if (n == TEXT_MAX)
        r = b_err_set(err, B_E_CONFIG, 0, "%s: more than %d bytes", path, TEXT_MAX - 1);
    else
        r = agent_config_parse(path, text, n, ret, err);
    free(text);
    if (f != NULL)
        (void)fclose(f);
    return r;
}

enum b_code agent_config_load(const struct agent_options *o, struct agent_config *ret,
                              struct b_err *err)
{
    enum b_code r =
        read_file(o->config != NULL ? o->config : AGENT_CONFIG_FILE, o->config == NULL, ret, err);
    if (r != B_OK)
        return r;
    take_text(ret->state, sizeof(ret->state), o->state);
    take_text(ret->server, sizeof(ret->server), o->server);
    take_text(ret->identity, sizeof(ret->identity), o->identity);
    take_text(ret->ca, sizeof(ret->ca), o->ca);
    take_text(ret->language, sizeof(ret->language), o->language);
    take_text(ret->socket.path, sizeof(ret->socket.path), o->socket);
    if (o->hooks != NULL) {
        ret->hooks.count = 1;
        take_text(ret->hooks.directories[0], sizeof(ret->hooks.directories[0]), o->hooks);
    }
    if (o->reader_count > 0)
        ret->reader_count = 0;
    for (size_t i = 0; i < o->reader_count; i++)
        take_text(ret->readers[ret->reader_count++], AGENT_PATTERN_MAX, o->readers[i]);
    return B_OK;
}

bool agent_config_has_reader(const struct agent_config *c, const char *reader)
{
    bool has = c->reader_count == 0;
    for (size_t i = 0; !has && i < c->reader_count; i++)
        has = fnmatch(c->readers[i], reader, 0) == 0;
    return has;
}
