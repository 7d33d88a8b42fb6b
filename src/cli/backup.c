/* tessere backup create, list, verify, restore. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/backup.h"
#include "cli/scratch.h"

/* --- what is wanted ----------------------------------------------------------------------------
 */

/* Absolute, as it is kept: the next command may be run from elsewhere. */
static enum b_code absolute(const char *path, char *ret, size_t cap, struct b_err *err)
{
    char *real = realpath(path, NULL);
    enum b_code r = real != NULL && strlen(real) < cap
                        ? B_OK
                        : b_err_set(err, B_E_USAGE, 0, _("%s is not there"), path);
    if (r == B_OK)
        (void)snprintf(ret, cap, "%s", real);
    free(real);
    return r;
}

static enum b_code take_recipients(const struct cli *c, struct service_copy_config *conf,
                                   struct b_err *err)
{
    static struct service_recipient to[SERVICE_RECIPIENTS_MAX];
    char path[SERVICE_COPY_PATH];
    size_t count = 0;
    struct b_wr w = b_wr_from(conf->recipients, sizeof(conf->recipients));
    enum b_code r = service_recipients_read(c->options[CLI_OPT_RECIPIENTS], to, &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        r = absolute(to[i].certificate, path, sizeof(path), err);
        b_wr_bytes(&w, ",", i > 0);
        b_wr_bytes(&w, to[i].name, strlen(to[i].name));
        b_wr_u8(&w, '=');
        b_wr_bytes(&w, path, r == B_OK ? strlen(path) : 0);
    }
    b_wr_u8(&w, '\0');
    return r == B_OK && !b_wr_ok(&w) ? b_err_set(err, B_E_USAGE, 0, "--recipients") : r;
}

static enum b_code take_directory(const char *given, char *ret, size_t cap, struct b_err *err)
{
    enum b_code r = given != NULL ? cli_make_dir(given, err) : B_OK;
    return r == B_OK && given != NULL ? absolute(given, ret, cap, err) : r;
}

/* What backup.yaml says, and what is said now. */
static enum b_code configure(const struct cli *c, struct service_copy_config *conf,
                             struct b_err *err)
{
    const char *keep = c->options[CLI_OPT_KEEP];
    char *end = NULL;
    enum b_code r = service_copy_config_read(c->home, conf, err);
    if (r == B_E_NOT_FOUND && !cli_has(c, CLI_OPT_RECIPIENTS))
        return b_err_set(err, B_E_USAGE, 0, "%s",
                         _("the first backup needs --recipients NAME=CERTIFICATE.pem,..."));
    if (r == B_E_NOT_FOUND || (r == B_OK && cli_has(c, CLI_OPT_RECIPIENTS)))
        r = take_recipients(c, conf, err);
    if (r == B_OK)
        r = take_directory(c->options[CLI_OPT_TO], conf->dir, sizeof(conf->dir), err);
    conf->is_elsewhere |= cli_has(c, CLI_OPT_TO);
    if (r == B_OK)
        r = take_directory(c->options[CLI_OPT_COPY_TO], conf->second, sizeof(conf->second), err);
    if (r != B_OK || keep == NULL)
        return r;
    unsigned long n = strtoul(keep, &end, 10);
    if (*end != '\0' || end == keep || n == 0 || n > SERVICE_COPIES_MAX / 2)
        return b_err_set(err, B_E_USAGE, 0, _("--keep takes 1 to %d, not %.40s"),
                         SERVICE_COPIES_MAX / 2, keep);
    conf->keep = (unsigned)n;
    return B_OK;
}

/* --- create ------------------------------------------------------------------------------------
 */

struct created {
    struct service_copy copy;
    struct backup_named *named;
    struct b_err unsigned_why;
    char name[SERVICE_COPY_NAME];
    size_t removed;
};

static void tell_created(struct cli *c, const struct created *k, const struct service_manifest *m,
                         const struct service_copy_config *conf)
{
    cli_say(c, CLI_GREEN, _("%s/%s.backup: %llu bytes, %llu entries of the journal\n"), conf->dir,
            k->name, (unsigned long long)m->size, (unsigned long long)m->entries);
    if (m->base[0] != '\0')
        cli_say(c, CLI_PLAIN, _("  adds to %s\n"), m->base);
    for (size_t i = 0; i < m->recipient_count; i++)
        cli_say(c, CLI_PLAIN, _("  sealed for %s\n"), m->recipients[i].name);
    if (conf->second[0] != '\0')
        cli_say(c, CLI_PLAIN, _("  copied to %s\n"), conf->second);
    for (size_t i = 0; i < k->named->outside.count; i++)
        cli_say(c, CLI_YELLOW, _("  not in it, since it lies outside of the home: %s\n"),
                k->named->outside.names[i]);
    if (k->removed > 0)
        cli_say(c, CLI_PLAIN, _("  %zu older ones removed\n"), k->removed);
    if (!k->copy.is_signed)
        cli_say(c, CLI_YELLOW, _("  the journal's key does not vouch for it: %s\n"),
                k->unsigned_why.msg);
    if (!m->has_masters)
        cli_say(c, CLI_RED, "%s\n",
                _("THE MASTER KEYS ARE NOT IN THIS BACKUP: there was no ceremony. With the token "
                  "every badge is lost, whatever is restored. See tessere ceremony init."));
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out, json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:b, s:I}", "name", k->name, "base",
                              m->base, "directory", conf->dir, "size", (json_int_t)m->size,
                              "entries", (json_int_t)m->entries, "signed", k->copy.is_signed,
                              "masters", m->has_masters, "removed", (json_int_t)k->removed));
}

/* A second site, and what is not kept any more. */
static enum b_code spread(const struct cli *c, struct created *k,
                          const struct service_copy_config *conf, int64_t now, struct b_err *err)
{
    size_t removed = 0;
    enum b_code r = B_OK;
    if (conf->second[0] != '\0')
        r = service_copy_duplicate(conf->dir, k->name, conf->second, err);
    if (r == B_OK)
        r = service_copies_thin(conf->dir, c->config.finess, conf->keep, now, &k->removed, err);
    if (r == B_OK && conf->second[0] != '\0')
        r = service_copies_thin(conf->second, c->config.finess, conf->keep, now, &removed, err);
    return r;
}

/* What is said now is written down first, so that it is in the backup too; what no backup came of
 * is taken back, or the next one would fail by it. */
static enum b_code make(struct cli *c, struct created *k, struct service_copy_config *conf,
                        struct service_manifest *m, struct b_err *err)
{
    static struct service_copy_config before;
    char path[CLI_PATH_MAX];
    struct b_err ignored;
    bool is_new = cli_has(c, CLI_OPT_RECIPIENTS) || cli_has(c, CLI_OPT_TO) ||
                  cli_has(c, CLI_OPT_COPY_TO) || cli_has(c, CLI_OPT_KEEP);
    enum b_code had = service_copy_config_read(c->home, &before, &ignored);
    enum b_code r = cli_path(c, "backup.yaml", path, sizeof(path), err);
    if (r == B_OK && is_new)
        r = service_copy_config_write(c->home, conf, err);
    if (r == B_OK)
        r = service_copy_make(&c->service, &k->copy, m, err);
    if (r != B_OK && is_new && had == B_OK)
        (void)!service_copy_config_write(c->home, &before, &ignored);
    else if (r != B_OK && is_new && had == B_E_NOT_FOUND)
        (void)unlink(path);
    return r;
}

enum b_code cli_backup_create(struct cli *c, struct b_err *err)
{
    static struct service_copy_config conf;
    static struct service_recipient to[SERVICE_RECIPIENTS_MAX];
    static struct service_manifest m;
    static struct backup_named named;
    struct created k = {.copy = {.home = c->home, .dir = conf.dir, .recipients = to},
                        .named = &named};
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK)
        r = cli_make_home_absolute(c, err);
    if (r == B_OK)
        r = configure(c, &conf, err);
    if (r == B_OK)
        r = service_recipients_read(conf.recipients, to, &k.copy.recipient_count, err);
    cli_backup_named(c, &named);
    k.copy.files = named.inside.names;
    k.copy.file_count = named.inside.count;
    k.copy.full_days = cli_has(c, CLI_OPT_FULL) ? 0 : conf.full_days;
    if (r == B_OK)
        r = make(c, &k, &conf, &m, err);
    if (r != B_OK)
        return r;
    k.unsigned_why = *err;
    service_manifest_name(&m, k.name);
    r = spread(c, &k, &conf, m.at, err);
    if (r == B_OK)
        tell_created(c, &k, &m, &conf);
    return r;
}

/* --- list --------------------------------------------------------------------------------------
 */

static void tell_one(struct cli *c, const struct service_copy_config *conf, const char *name,
                     json_t *all)
{
    static struct service_manifest m;
    const struct service_copy_wanted any = {.finess = c->config.finess};
    struct b_err found = {0};
    char path[SERVICE_COPY_PATH + SERVICE_COPY_NAME];
    char at[32];
    (void)snprintf(path, sizeof(path), "%s/%s.backup", conf->dir, name);
    enum b_code r = service_copy_check(path, &any, &m, &found);
    cli_time(service_copy_time(name), at, sizeof(at));
    cli_say(c, r == B_OK ? CLI_PLAIN : CLI_RED, "%s  %s  %llu  %s\n", at, name,
            (unsigned long long)m.size, r == B_OK ? _("whole") : _(b_code_text(r)));
    if (r == B_OK && m.base[0] != '\0')
        cli_say(c, CLI_PLAIN, _("  adds to %s\n"), m.base);
    (void)json_array_append_new(all, json_pack("{s:s, s:I, s:I, s:I, s:s}", "name", name, "at",
                                               (json_int_t)service_copy_time(name), "size",
                                               (json_int_t)m.size, "entries", (json_int_t)m.entries,
                                               "state", r == B_OK ? "whole" : b_code_name(r)));
}

enum b_code cli_backup_list(struct cli *c, struct b_err *err)
{
    static struct service_copy_config conf;
    static struct service_copies all;
    json_t *told = json_array();
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_copy_config_read(c->home, &conf, err);
    if (r == B_E_NOT_FOUND)
        r = B_OK;
    if (r == B_OK)
        r = service_copies_list(conf.dir, c->config.finess, &all, err);
    for (size_t i = 0; r == B_OK && i < all.count; i++)
        tell_one(c, &conf, all.names[i], told);
    if (r == B_OK && all.count == 0)
        cli_say(c, CLI_YELLOW, _("no backup in %s\n"), conf.dir);
    if (c->out != NULL)
        (void)json_object_set(c->out, "backups", told);
    json_decref(told);
    return r;
}

/* --- verify ------------------------------------------------------------------------------------
 */

enum b_code cli_backup_wanted(const struct cli *c, struct backup_wanted *w, struct b_err *err)
{
    const char *key = c->options[CLI_OPT_KEY];
    const char *checkpoint = c->options[CLI_OPT_CHECKPOINT];
    size_t n = 0;
    if (cli_has(c, CLI_OPT_FINESS))
        w->is.finess = c->options[CLI_OPT_FINESS];
    if (key != NULL && !journal_signer_parse(key, &w->signer))
        return b_err_set(err, B_E_USAGE, 0, _("--key takes name+hash+key, as it was published"));
    if (key != NULL)
        w->is.signer = &w->signer;
    if (checkpoint == NULL || cli_has(c, CLI_OPT_OLDER))
        return B_OK;
    struct journal_checkpoint point;
    enum b_code r = service_read_file(checkpoint, w->note, sizeof(w->note) - 1, &n, err);
    w->note[r == B_OK ? n : 0] = '\0';
    if (r == B_OK && !journal_checkpoint_parse(w->note, n, &point))
        r = b_err_set(err, B_E_BAD_INPUT, 0, _("--checkpoint %.200s: this is no checkpoint"),
                      checkpoint);
    w->is.checkpoint = w->note;
    return r;
}

enum b_code cli_backup_key_used(const struct cli *c, enum b_code r, struct b_err *err)
{
    return r == B_E_KEY_FILE || r == B_E_BACKUP_SEALED
               ? b_err_wrap(err, "--custodian %s", c->options[CLI_OPT_CUSTODIAN])
               : r;
}

/* Here, its establishment and the key of its journal are known; elsewhere what is said counts. */
static enum b_code ask_home(struct cli *c, struct backup_wanted *w, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    bool needs_vault = !cli_has(c, CLI_OPT_KEY);
    enum b_code r = cli_path(c, "tessere.yaml", path, sizeof(path), err);
    if (r != B_OK || access(path, F_OK) != 0)
        return r;
    r = cli_open(c, needs_vault, err);
    w->is.finess = c->config.finess;
    if (r == B_OK && needs_vault)
        r = service_journal_signer(&c->service, &w->signer, err);
    if (needs_vault)
        w->is.signer = &w->signer;
    return r;
}

void cli_backup_say(const struct cli *c, const struct backup_wanted *w,
                    const struct service_manifest *m, bool is_opened)
{
    char at[32];
    cli_time(m->at, at, sizeof(at));
    cli_say(c, CLI_GREEN,
            _("Establishment %s, %s: whole, %zu files, %llu entries of the journal\n"), m->finess,
            at, m->count, (unsigned long long)m->entries);
    if (w->is.signer != NULL)
        cli_say(c, CLI_PLAIN, "  %s\n", _("the journal's key vouches for it"));
    else
        cli_say(c, CLI_YELLOW, "  %s\n",
                _("taken at its word: --key says whose signature it must have"));
    cli_say(c, CLI_PLAIN, "  %s\n",
            is_opened ? _("opened, and its journal is whole")
                      : _("not opened: --custodian FILE opens it and verifies its journal"));
    if (!m->has_masters)
        cli_say(c, CLI_RED, "  %s\n", _("the master keys are not in it"));
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out, json_pack("{s:s, s:I, s:I, s:i, s:b, s:b, s:b}", "establishment", m->finess,
                              "at", (json_int_t)m->at, "entries", (json_int_t)m->entries, "schema",
                              m->schema, "signed", w->is.signer != NULL, "opened", is_opened,
                              "masters", m->has_masters));
}

/* In memory: what is opened has the CA's key and everybody's names. */
static enum b_code make_scratch(const struct service_manifest *m, struct cli_scratch *ret,
                                struct b_err *err)
{
    const char *tmp = getenv("TMPDIR");
    char path[CLI_PATH_MAX];
    uint64_t room = 0;
    for (size_t i = 0; i < m->count; i++)
        room += 2 * m->members[i].size; /* a store, and what is added to it */
    cli_scratch_memory("verify", "", path);
    enum b_code r = cli_scratch_open(path, room, ret, err);
    if (r != B_E_NOT_FOUND)
        return r;
    (void)snprintf(path, sizeof(path), "%.400s/tessere-verify-%u", tmp != NULL ? tmp : "/tmp",
                   (unsigned)getuid());
    r = cli_scratch_open(path, room, ret, err);
    return r == B_E_NOT_FOUND ? b_err_set(err, B_E_SYSTEM, 0,
                                          _("neither in memory nor in %s is there room for it: set "
                                            "TMPDIR"),
                                          path)
                              : r;
}

static enum b_code open_in_scratch(const struct cli *c, const struct backup_wanted *w,
                                   const struct service_manifest *m, struct b_err *err)
{
    struct cli_scratch place = {.lock = -1};
    struct b_rd key;
    enum b_code r = b_file_map(c->options[CLI_OPT_CUSTODIAN], &key, err);
    if (r != B_OK)
        return r;
    r = make_scratch(m, &place, err);
    if (r == B_OK) {
        r = service_copy_open(c->operand, key, &w->is, m, place.dir, err);
        r = cli_backup_key_used(c, r, err);
    }
    if (!cli_scratch_close(&place) && r == B_OK)
        r = b_err_set(err, B_E_LEFT_BEHIND, 0, "%s", place.path);
    b_file_unmap(&key);
    return r;
}

enum b_code cli_backup_verify(struct cli *c, struct b_err *err)
{
    static struct service_manifest m;
    static struct backup_wanted w;
    bool opens = cli_has(c, CLI_OPT_CUSTODIAN);
    enum b_code r = ask_home(c, &w, err);
    if (r == B_OK)
        r = cli_backup_wanted(c, &w, err);
    if (r == B_OK)
        r = service_copy_check(c->operand, &w.is, &m, err);
    if (r == B_OK && opens)
        r = open_in_scratch(c, &w, &m, err);
    if (r == B_OK)
        cli_backup_say(c, &w, &m, opens);
    return r;
}

/* --- restore -----------------------------------------------------------------------------------
 */

static void say_steps(const struct cli *c, const struct service_manifest *m)
{
    cli_say(c, CLI_BOLD, _("Restored to %s. What is left to do:\n"), c->home);
    if (m->has_masters)
        cli_say(c, CLI_PLAIN,
                _("  tessere --home %s ceremony restore, with the custodians, where "
                  "the token is lost too\n"),
                c->home);
    else
        cli_say(c, CLI_PLAIN, "  %s\n",
                _("connect the token that tessere.yaml names: only it has the master keys"));
    cli_say(c, CLI_PLAIN,
            _("  tessere --home %s journal accept, where the token has signed more since\n"
              "  tessere --home %s journal verify; tessere --home %s doctor\n"
              "  revoke again every badge that was revoked since: it is active here; erase again "
              "whoever was erased since\n"
              "  give the PIN file of another token back\n"),
            c->home, c->home, c->home);
}

enum b_code cli_backup_restore(struct cli *c, struct b_err *err)
{
    static struct service_manifest m;
    static struct backup_wanted w;
    struct b_rd key;
    if (!cli_has(c, CLI_OPT_CUSTODIAN))
        return b_err_set(
            err, B_E_USAGE, 0, "%s",
            _("--custodian FILE is needed: the private key of one for whom the backup is sealed"));
    enum b_code r = cli_backup_wanted(c, &w, err);
    if (r == B_OK)
        r = b_file_map(c->options[CLI_OPT_CUSTODIAN], &key, err);
    if (r != B_OK)
        return r;
    r = service_copy_check(c->operand, &w.is, &m, err);
    if (r == B_OK)
        r = service_copy_restore(c->operand, key, &w.is, &m, c->home, err);
    b_file_unmap(&key);
    if (r != B_OK)
        return cli_backup_key_used(c, r, err);
    cli_backup_say(c, &w, &m, true);
    say_steps(c, &m);
    return B_OK;
}
