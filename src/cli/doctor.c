/* tessere doctor: the usual troubles, and the remedy of each. It changes nothing. */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/scratch.h"
#include "pki/pki.h"
#include "service/drill.h"
#include "service/journal.h"

/* What a check needs is there when the checks that give it found no trouble. What one that gives
 * advice finds is no trouble. */
enum {
    HOME = 1,
    CONFIG = 2,
    STORE = 4,
    VAULT = 8,
    SERVER = 16,
    DESK = 32,
    ADVICE = 64,
    BACKUPS = 128,
    SIGNON = 256,
    EVENTS = 512
};

static bool has_file(const struct cli *c, const char *name)
{
    char path[CLI_PATH_MAX];
    struct b_err ignored;
    return cli_path(c, name, path, sizeof(path), &ignored) == B_OK && access(path, F_OK) == 0;
}

/* --- files -------------------------------------------------------------------------------------
 */

static enum b_code check_home(struct cli *c, struct b_err *err)
{
    struct stat st;
    if (stat(c->home, &st) != 0 || access(c->home, R_OK | X_OK) != 0)
        return b_err_set(err, B_E_CONFIG, (uint32_t)errno, "%s: %s", c->home, strerror(errno));
    if ((st.st_mode & 022) != 0)
        return b_err_set(err, B_E_CONFIG, 0, _("%s can be written by others: chmod 700 it"),
                         c->home);
    return B_OK;
}

static enum b_code check_config(struct cli *c, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    enum b_code r = cli_path(c, "tessere.yaml", path, sizeof(path), err);
    return r == B_OK ? service_config_read(path, &c->config, err) : r;
}

static enum b_code check_secret(const char *path, enum b_code code, struct b_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return b_err_set(err, code, (uint32_t)errno, "%s: %s", path, strerror(errno));
    if ((st.st_mode & 077) != 0)
        return b_err_set(err, code, 0, _("%s can be read by others: chmod 600 it"), path);
    return B_OK;
}

static enum b_code check_key_files(struct cli *c, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    char name[300];
    enum b_code r = cli_path(c, "pki", path, sizeof(path), err);
    DIR *dir = r == B_OK ? opendir(path) : NULL;
    if (dir == NULL && r == B_OK && errno != ENOENT)
        r = b_err_set(err, B_E_KEY_FILE, (uint32_t)errno, "%s: %s", path, strerror(errno));
    if (dir == NULL)
        return r; /* a desk without a server has none */
    for (const struct dirent *e; r == B_OK && (e = readdir(dir)) != NULL;) {
        size_t n = strlen(e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 4, ".key") != 0)
            continue;
        (void)snprintf(name, sizeof(name), "pki/%s", e->d_name);
        r = cli_path(c, name, path, sizeof(path), err);
        if (r == B_OK)
            r = check_secret(path, B_E_KEY_FILE, err);
    }
    (void)closedir(dir);
    return r;
}

static enum b_code check_pin_file(struct cli *c, struct b_err *err)
{
    return c->config.pin_file[0] != '\0'
               ? check_secret(c->config.pin_file, B_E_TOKEN_PIN_SOURCE, err)
               : B_OK;
}

static enum b_code check_disk(struct cli *c, struct b_err *err)
{
    enum { LEAST_MIB = 200 };
    struct statvfs fs;
    if (statvfs(c->home, &fs) != 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", c->home, strerror(errno));
    unsigned long long free_mib = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
    if (free_mib < LEAST_MIB)
        return b_err_set(err, B_E_STORE_FULL, 0, _("%s: only %llu MiB are free"), c->home,
                         free_mib);
    return B_OK;
}

enum b_code cli_check_dates(const char *path, char pem[static CLI_PEM_MAX], struct b_err *err)
{
    enum { SOON_DAYS = 30, DAY = 86400 };
    struct pki_cert cert = {0};
    size_t n = 0;
    time_t now = time(NULL);
    enum b_code r = service_read_file(path, pem, CLI_PEM_MAX - 1, &n, err);
    pem[n] = '\0';
    if (r == B_OK)
        r = pki_cert_read(pem, &cert, err);
    if (r == B_OK && cert.not_before > now)
        r = b_err_set(err, B_E_CERT_BAD, 0, _("%s is not valid yet: is the clock right?"), path);
    if (r == B_OK && cert.not_after < now + (time_t)SOON_DAYS * DAY)
        r = b_err_set(err, B_E_CERTIFICATE_EXPIRED, 0, _("%s ends in %lld days"), path,
                      (long long)(cert.not_after - now) / DAY);
    return r;
}

static enum b_code check_certificate(struct cli *c, struct b_err *err)
{
    static char pem[CLI_PEM_MAX];
    char path[CLI_PATH_MAX];
    enum b_code r = cli_path(c, "pki/server.pem", path, sizeof(path), err);
    if (r != B_OK || access(path, F_OK) != 0)
        return r; /* the hospital's own, elsewhere: tessered says when it cannot use it */
    return cli_check_dates(path, pem, err);
}

/* --- machine -----------------------------------------------------------------------------------
 */

static enum b_code check_memory(struct cli *c, struct b_err *err)
{
    enum { SOME = 1 << 20 }; /* what a vault with a few sessions locks */
    void *p = mmap(NULL, SOME, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)c;
    if (p == MAP_FAILED)
        return b_err_set(err, B_E_NO_MEMORY, (uint32_t)errno, "mmap: %s", strerror(errno));
    int r = mlock(p, SOME);
    int cause = errno;
    (void)munmap(p, SOME);
    return r == 0 ? B_OK
                  : b_err_set(err, B_E_LOCK_MEMORY, (uint32_t)cause, "mlock: %s", strerror(cause));
}

static enum b_code check_readers(struct cli *c, struct b_err *err)
{
    static struct channel_reader readers[16];
    size_t count = 0;
    (void)c;
    enum b_code r = channel_pcsc_list(readers, B_COUNT(readers), &count, err);
    return r == B_OK && count == 0 ? b_err_set(err, B_E_NO_READER, 0, "PC/SC") : r;
}

/* A server that was taken over has whatever its user has. */
static enum b_code check_vault_apart(struct cli *c, struct b_err *err)
{
    return c->config.vault[0] != '\0'
               ? B_OK
               : b_err_set(
                     err, B_E_TOKEN_EXPOSED, 0,
                     _("who takes the server over can make master keys and change the approvers"));
}

/* --- store and journal -------------------------------------------------------------------------
 */

static enum b_code check_store(struct cli *c, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    enum b_code r = cli_path(c, "store.db", path, sizeof(path), err);
    if (r == B_OK)
        r = cli_open_store(c, path, false, err);
    return r == B_OK ? service_home_load(c->home, &c->service, err) : r;
}

static bool take_time(void *ctx, const struct store_entry *e)
{
    json_t *o = json_loadb(e->body, e->body_len, 0, NULL);
    *(json_int_t *)ctx = json_integer_value(json_object_get(o, "at"));
    json_decref(o);
    return true;
}

static enum b_code check_clock(struct cli *c, struct b_err *err)
{
    enum { SLACK_S = 5 };
    const struct store_entry_range last = {.count = 1, .is_newest = true};
    json_int_t at = 0;
    enum b_code r = store_entry_each(c->service.store, &last, take_time, &at, err);
    if (r == B_OK && (json_int_t)time(NULL) + SLACK_S < at)
        r = b_err_set(err, B_E_SYSTEM, 0,
                      _("the clock is %lld seconds before the journal's last entry: set it"),
                      (long long)(at - (json_int_t)time(NULL)));
    return r;
}

static enum b_code read_hash(void *ctx, uint64_t id, uint8_t out[static JOURNAL_HASH],
                             struct b_err *err)
{
    return store_hash_get(ctx, id, out, err);
}

/* A checkpoint against the tree of the store; `tessere journal verify` does it all. */
static enum b_code compare(struct cli *c, const char *note, struct b_err *err)
{
    static struct journal_edge edge;
    struct journal_checkpoint point;
    uint8_t root[JOURNAL_HASH];
    uint64_t entries = 0;
    enum b_code r = store_entry_count(c->service.store, &entries, err);
    if (r != B_OK)
        return r;
    if (!journal_checkpoint_parse(note, strlen(note), &point))
        return b_err_set(err, B_E_JOURNAL_SIGNATURE, 0, _("a checkpoint that is none"));
    if (point.size > entries)
        return b_err_set(err, B_E_JOURNAL_ROLLBACK, 0,
                         _("%llu entries were signed, the store has %llu"),
                         (unsigned long long)point.size, (unsigned long long)entries);
    const struct journal_reader reader = {read_hash, c->service.store};
    r = journal_edge_load(&edge, point.size, reader, err);
    if (r != B_OK)
        return r;
    journal_edge_root(&edge, root);
    return memcmp(root, point.root, sizeof(root)) == 0
               ? B_OK
               : b_err_set(err, B_E_JOURNAL_FORK, 0, _("the checkpoint of %llu entries"),
                           (unsigned long long)point.size);
}

static enum b_code check_journal(struct cli *c, struct b_err *err)
{
    static char note[JOURNAL_NOTE_MAX + 1];
    char path[CLI_PATH_MAX];
    uint64_t size = 0;
    size_t n = 0;
    enum b_code r =
        store_checkpoint_get(c->service.store, UINT64_MAX, &size, note, sizeof(note), err);
    if (r == B_OK)
        r = compare(c, note, err);
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    r = cli_path(c, "checkpoint", path, sizeof(path), err);
    if (r != B_OK || access(path, F_OK) != 0)
        return r;
    r = service_read_file(path, note, sizeof(note) - 1, &n, err);
    note[n] = '\0';
    return r == B_OK ? compare(c, note, err) : r;
}

/* --- vault and token ---------------------------------------------------------------------------
 */

static enum b_code check_confinement(struct cli *c, struct b_err *err)
{
    struct vault_token t;
    enum b_code r = vault_token(c->service.vault, &t, err);
    if (r == B_OK && !t.is_memory_locked)
        r = b_err_set(err, B_E_LOCK_MEMORY, 0, "tessere-vault");
    if (r == B_OK && (!t.has_seccomp || t.landlock == 0 || !t.is_module_apart))
        r = b_err_set(err, B_E_UNCONFINED, 0, "%s",
                      _("the vault runs without seccomp, Landlock or a process for the module"));
    return r;
}

static enum b_code check_use(struct cli *c, struct b_err *err)
{
    struct vault_token t;
    enum b_code r = vault_token(c->service.vault, &t, err);
    if (r != B_OK || strcmp(t.method, VAULT_METHOD_WRAPPED) != 0)
        return r;
    return b_err_set(err, B_E_TOKEN_WRAPS, 0,
                     _("token \"%s\" lacks C_GenerateKey, C_UnwrapKey and C_DeriveKey: masters lie "
                       "in it under its RSA key, and in-token: is not for it"),
                     t.label);
}

static enum b_code check_key(const struct store_generation *g, const struct vault_key *keys,
                             size_t count, struct b_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (keys[i].role != g->role || keys[i].generation != g->generation)
            continue;
        if (!keys[i].is_safe)
            return b_err_set(err, B_E_KEY_UNSAFE, 0, "%s %u", key_role_name(g->role),
                             g->generation);
        if (b_ct_eq(keys[i].kcv, g->kcv, sizeof(g->kcv)))
            return B_OK;
        return b_err_set(err, B_E_KEY_MISSING, 0, _("%s %u is another key than it was"),
                         key_role_name(g->role), g->generation);
    }
    return b_err_set(err, B_E_KEY_MISSING, 0, "%s %u", key_role_name(g->role), g->generation);
}

enum b_code cli_check_keys(struct cli *c, struct b_err *err)
{
    static struct store_generation gs[STORE_GENERATIONS_MAX];
    static struct vault_key keys[256];
    size_t count = 0;
    size_t key_count = 0;
    enum b_code r = store_generation_list(c->service.store, gs, B_COUNT(gs), &count, err);
    if (r == B_OK)
        r = vault_key_list(c->service.vault, keys, B_COUNT(keys), &key_count, err);
    for (size_t i = 0; r == B_OK && i < count; i++)
        r = check_key(&gs[i], keys, key_count, err);
    return r;
}

/* --- backups and drills ------------------------------------------------------------------------
 */

static enum b_code check_backup(struct cli *c, struct b_err *err)
{
    enum { HOUR = 3600 };
    static struct service_copy_config conf;
    static struct service_copies all;
    enum b_code r = service_copy_config_read(c->home, &conf, err);
    if (r == B_OK)
        r = service_copies_list(conf.dir, c->config.finess, &all, err);
    if (r != B_OK)
        return r;
    int64_t now = (int64_t)time(NULL);
    size_t past = service_copies_until(&all, now);
    if (past == 0)
        return b_err_set(err, B_E_BACKUP_DUE, 0, _("no backup in %s"), conf.dir);
    const char *newest = all.names[past - 1];
    long long age = now - service_copy_time(newest);
    return age <= (long long)conf.backup_hours * HOUR
               ? B_OK
               : b_err_set(err, B_E_BACKUP_DUE, 0, _("%s is %lld hours old"), newest, age / HOUR);
}

static enum b_code check_drill(struct cli *c, struct b_err *err)
{
    enum { DAY = 86400 };
    static struct service_copy_config conf;
    int64_t last = 0;
    enum b_code r = service_copy_config_read(c->home, &conf, err);
    if (r == B_OK)
        r = service_drill_last(c->service.store, &last, err);
    if (r == B_OK && last == 0)
        return b_err_set(err, B_E_DRILL_DUE, 0, "%s", _("none was held yet"));
    long long age = (long long)time(NULL) - last;
    if (r == B_OK && age > (long long)conf.drill_days * DAY)
        return b_err_set(err, B_E_DRILL_DUE, 0, _("the last one was %lld days ago"), age / DAY);
    return r;
}

static enum b_code check_left(struct cli *c, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    (void)c;
    return cli_scratch_left(path) ? b_err_set(err, B_E_LEFT_BEHIND, 0, "%s", path) : B_OK;
}

/* Nobody is reminded of a backup who never heard of one. */
static enum b_code check_backups(struct cli *c, struct b_err *err)
{
    return has_file(c, "backup.yaml")
               ? B_OK
               : b_err_set(err, B_E_BACKUP_DUE, 0, "%s",
                           _("none was ever made; the first says for whom: --recipients"));
}

/* --- other systems -----------------------------------------------------------------------------
 */

static enum b_code check_outbox(struct cli *c, struct b_err *err)
{
    int64_t dead = 0;
    enum b_code r = store_letter_count(c->service.store, STORE_LETTER_DEAD, &dead, err);
    return r != B_OK || dead == 0
               ? r
               : b_err_set(err, B_E_LETTERS_DEAD, 0, _("%lld letters of the outbox are dead"),
                           (long long)dead);
}

static enum b_code check_held(struct cli *c, struct b_err *err)
{
    struct store_user_counts k = {.held = 0};
    enum b_code r = store_user_count(c->service.store, 0, &k, err);
    return r != B_OK || k.held == 0
               ? r
               : b_err_set(err, B_E_DIRECTORY_HELD, 0, _("%lld people go on as they were"),
                           (long long)k.held);
}

/* --- keys of other systems ----------------------------------------------------------------------
 */

/* Whether a line of server.yaml, up to its comment, has this word. */
static bool server_says(const char *text, const char *word)
{
    bool says = false;
    for (const char *line = text; !says && *line != '\0'; line += line[0] == '\n') {
        size_t n = strcspn(line, "\n");
        const char *at = strstr(line, word);
        says = at != NULL && at < line + strcspn(line, "#\n");
        line += n;
    }
    return says;
}

/* One that came to its end, and was no rehearsal. */
static enum b_code had_ceremony(struct cli *c, bool *ret, struct b_err *err)
{
    char pattern[CLI_PATH_MAX];
    glob_t found = {.gl_pathc = 0};
    enum b_code r = cli_path(c, "ceremony/[0-9A-F]*/backup.json", pattern, sizeof(pattern), err);
    *ret = r == B_OK && glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
    globfree(&found);
    return r;
}

/* Where custodians could give them, no file is needed. */
static enum b_code check_keys_file(struct cli *c, struct b_err *err)
{
    static char text[65536];
    char path[CLI_PATH_MAX];
    size_t n = 0;
    bool had = false;
    enum b_code r = had_ceremony(c, &had, err);
    if (r != B_OK || !had)
        return r;
    r = cli_path(c, "server.yaml", path, sizeof(path), err);
    if (r == B_OK)
        r = service_read_file(path, text, sizeof(text) - 1, &n, err);
    text[r == B_OK ? n : 0] = '\0';
    return r == B_OK && server_says(text, "keys-file:")
               ? b_err_set(err, B_E_KEYS_IN_FILE, 0, _("%s names one"), path)
               : r;
}

/* --- stored keys -------------------------------------------------------------------------------
 */

struct stray {
    const struct key_stay *stored;
    struct store_stored found; /* generation 0: none */
};

static bool look_for_stray(void *ctx, const struct store_stored *k)
{
    struct stray *s = ctx;
    if (!key_stays(s->stored, k->role, k->generation))
        s->found = *k;
    return s->found.generation == KEY_GENERATION_FACTORY;
}

/* Keys of a generation that is not called stored any more would be derived, as other keys. */
static enum b_code check_stored(struct cli *c, struct b_err *err)
{
    struct stray s = {.stored = &c->config.stored};
    enum b_code r = store_stored_each(c->service.store, look_for_stray, &s, err);
    if (r == B_OK && s.found.generation != KEY_GENERATION_FACTORY)
        r = b_err_set(err, B_E_CONFIG, 0,
                      _("badges have stored keys %s of generation %u, and stored: in tessere.yaml "
                        "does not say so"),
                      key_role_name(s.found.role), s.found.generation);
    return r;
}

/* Nothing but the database has them. */
static enum b_code check_stored_backup(struct cli *c, struct b_err *err)
{
    static struct service_copy_config conf;
    static struct service_copies all;
    char roles[KEY_STAY_TEXT];
    key_stay_write(&c->config.stored, roles);
    if (roles[0] == '\0')
        return B_OK;
    enum b_code r = B_OK;
    if (has_file(c, "backup.yaml"))
        r = service_copy_config_read(c->home, &conf, err);
    if (r == B_OK && has_file(c, "backup.yaml"))
        r = service_copies_list(conf.dir, c->config.finess, &all, err);
    if (r == B_OK && all.count == 0)
        r = b_err_set(err, B_E_BACKUP_DUE, 0,
                      _("badge keys of %s are in the database alone, and there is no backup"),
                      roles);
    return r;
}

/* --- all of them -------------------------------------------------------------------------------
 */

static const struct check {
    const char *name, *label;
    unsigned needs, gives;
    enum b_code (*fn)(struct cli *c, struct b_err *err);
} checks[] = {
    {"home", N_("the directory is there, and ours alone to write"), 0, HOME, check_home},
    {"configuration", N_("tessere.yaml can be used"), HOME, CONFIG, check_config},
    {"key-files", N_("key files are closed to others"), HOME, 0, check_key_files},
    {"pin-file", N_("the PIN file is closed to others"), CONFIG, 0, check_pin_file},
    {"disk", N_("the disk has room"), HOME, 0, check_disk},
    {"memory", N_("memory can be locked"), 0, 0, check_memory},
    {"store", N_("the store opens, with a schema that is known"), HOME, STORE, check_store},
    {"clock", N_("the clock goes on from the journal"), STORE, 0, check_clock},
    {"journal", N_("the journal is the one that was signed"), STORE, 0, check_journal},
    {"stored-keys", N_("tessere.yaml says which keys are stored"), CONFIG | STORE, 0, check_stored},
    {"stored-backup", N_("keys that are stored have a backup"), CONFIG, ADVICE,
     check_stored_backup},
    {"keys-file", N_("keys of other systems lie in no file"), HOME | SERVER, ADVICE,
     check_keys_file},
    {"vault-apart", N_("the vault has a user of its own"), CONFIG | SERVER, ADVICE,
     check_vault_apart},
    {"vault", N_("the vault starts"), CONFIG, VAULT, cli_open_vault},
    {"confinement", N_("the token answers, and the vault is confined"), VAULT, 0,
     check_confinement},
    {"master-use", N_("the token uses masters itself"), VAULT, ADVICE, check_use},
    {"master-keys", N_("the token has every master key, unchanged"), STORE | VAULT, 0,
     cli_check_keys},
    {"certificate", N_("the server's certificate is in date"), HOME | SERVER, 0, check_certificate},
    {"server", N_("server.yaml can be used"), HOME | SERVER, 0, cli_check_server},
    {"sign-on", N_("the relying parties' file can be used, and their secrets are closed to others"),
     HOME | SIGNON, 0, cli_check_parties},
    {"sign-on-certificate", N_("the certificate for browsers is in date and names the issuer"),
     HOME | SIGNON, 0, cli_check_issuer},
    {"sign-on-port", N_("browsers have a port of their own"), HOME | SIGNON, 0, cli_check_port},
    {"sign-on-address", N_("browsers are told the port on which the server listens"), HOME | SIGNON,
     ADVICE, cli_check_address},
    {"signing-keys", N_("keys that sign tokens are there"), STORE | SIGNON, 0, cli_check_signers},
    {"backups", N_("backups are made"), CONFIG, ADVICE, check_backups},
    {"backup", N_("the newest backup is recent"), HOME | CONFIG | BACKUPS, 0, check_backup},
    {"drill", N_("a drill was held in time"), STORE | BACKUPS, 0, check_drill},
    {"left-behind", N_("no drill that was killed left masters in memory"), 0, 0, check_left},
    {"policy-groups", N_("the directory has the groups that the tap policy names"), STORE, ADVICE,
     cli_check_groups},
    {"directory", N_("nobody whom the directory calls gone waits for an administrator"), STORE, 0,
     check_held},
    {"events", N_("the subscribers' file can be used, and their secrets are closed to others"),
     HOME | EVENTS, 0, cli_check_events},
    {"outbox", N_("other systems are told what happens"), STORE, 0, check_outbox},
    {"readers", N_("pcscd runs and shows a reader"), DESK, 0, check_readers},
};

static void tell(struct cli *c, const struct check *k, const char *result, const struct b_err *err)
{
    bool is_advice = strcmp(result, "advice") == 0;
    bool is_trouble = is_advice || strcmp(result, "trouble") == 0;
    if (c->out != NULL) {
        json_t *o = json_pack("{s:s, s:s}", "check", k->name, "result", result);
        if (is_trouble)
            (void)json_object_update_new(o, json_pack("{s:s, s:s, s:s}", "code",
                                                      b_code_name(err->code), "context", err->msg,
                                                      "remedy", _(b_code_remedy(err->code))));
        (void)json_array_append_new(json_object_get(c->out, "checks"), o);
        return;
    }
    if (is_trouble)
        cli_say(c, is_advice ? CLI_YELLOW : CLI_RED, _("%s %s: %s: %s\n    -> %s\n"),
                is_advice ? "!" : "✗", _(k->label), _(b_code_text(err->code)), err->msg,
                _(b_code_remedy(err->code)));
    else if (strcmp(result, "ok") == 0)
        cli_say(c, CLI_GREEN, "✓ %s\n", _(k->label));
    else
        cli_say(c, CLI_YELLOW, _("- %s: not looked at\n"), _(k->label));
}

enum b_code cli_doctor(struct cli *c, struct b_err *err)
{
    unsigned have = has_file(c, "server.yaml") ? SERVER : DESK;
    enum b_code first = B_OK;
    have |= has_file(c, "backup.yaml") ? BACKUPS : 0;
    have |= cli_has_signon(c) ? SIGNON : 0;
    have |= cli_has_events(c) ? EVENTS : 0;
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "checks", json_array());
    for (size_t i = 0; i < B_COUNT(checks); i++) {
        const struct check *k = &checks[i];
        struct b_err found = {0};
        if ((k->needs & have) != k->needs) {
            tell(c, k, "skipped", &found);
            continue;
        }
        bool is_advice = (k->gives & ADVICE) != 0;
        enum b_code r = k->fn(c, &found);
        tell(c, k, r == B_OK ? "ok" : is_advice ? "advice" : "trouble", &found);
        have |= r == B_OK ? k->gives : 0;
        if (r != B_OK && !is_advice && first == B_OK) {
            first = r;
            *err = found;
        }
    }
    return first;
}
