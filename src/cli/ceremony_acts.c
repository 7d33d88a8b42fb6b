/* tessere ceremony init, share, rotate, restore, destroy. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/ceremony.h"
#include "service/journal.h"
#include "service/relay.h"

enum { SECRETS = 65536 }; /* a share's words, and a page of them */

/* --- the vault of a ceremony -------------------------------------------------------------------
 */

/* A rehearsal has a token of its own, thrown away with it; the establishment's signs its minutes.
 */
static enum b_code open_rehearsal(struct ceremony *k, struct b_err *err)
{
    static struct cli scratch;
    char id[17];
    char name[64];
    uint8_t random[8];
    crypto_random(random, sizeof(random));
    b_hex(id, random, sizeof(random));
    scratch = *k->c;
    scratch.service.vault = NULL;
    (void)snprintf(name, sizeof(name), "rehearsal-token-%s", id);
    enum b_code r = cli_path(k->c, name, k->scratch, sizeof(k->scratch), err);
    if (r == B_OK)
        r = cli_make_token(&scratch, name, err);
    if (r == B_OK)
        r = cli_open_vault(&scratch, err);
    k->vault = scratch.service.vault;
    return r;
}

/* One at a time in a home: each reads the backup at its beginning, and would write the other's
 * masters out of it at its end. The lock goes with the descriptor. */
static enum b_code lock(struct ceremony *k, struct b_err *err)
{
    char dir[CLI_PATH_MAX];
    enum b_code r = cli_path(k->c, "ceremony", dir, sizeof(dir), err);
    if (r == B_OK)
        r = cli_make_dir(dir, err);
    if (r != B_OK)
        return r;
    k->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (k->lock < 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", dir, strerror(errno));
    return flock(k->lock, LOCK_EX | LOCK_NB) == 0
               ? B_OK
               : b_err_set(err, B_E_STORE_LOCKED, 0, _("%s: another ceremony is being held"),
                           k->c->home);
}

static enum b_code open_all(struct ceremony *k, struct cli *c, struct b_err *err)
{
    c->keeps_in_token = true; /* masters are made for what in-token: says */
    enum b_code r = b_secret_init(SECRETS, false, err);
    if (r == B_OK)
        r = cli_open(c, true, err);
    if (r == B_OK)
        r = cli_make_home_absolute(c, err); /* a token that is made is named so */
    if (r == B_OK)
        r = lock(k, err);
    if (r != B_OK)
        return r;
    k->told.backup = &k->backup;
    (void)snprintf(k->backup.finess, sizeof(k->backup.finess), "%s", c->config.finess);
    k->backup.ceremony.is_rehearsal = cli_has(c, CLI_OPT_REHEARSAL);
    k->vault = c->service.vault;
    if (!cli_has(c, CLI_OPT_REHEARSAL))
        return B_OK;
    k->vault = NULL;
    return open_rehearsal(k, err);
}

static void begin(struct ceremony *k, struct cli *c)
{
    memset(k, 0, sizeof(*k));
    k->c = c;
    k->lock = -1;
}

enum b_code ceremony_open(struct ceremony *k, struct cli *c, struct b_err *err)
{
    begin(k, c);
    enum b_code r = ceremony_confirmers(k, err);
    return r == B_OK ? open_all(k, c, err) : r;
}

/* What came to nothing leaves nothing: shares of a backup key that wraps no key in use. */
enum b_code ceremony_close(struct ceremony *k, enum b_code r)
{
    struct b_err ignored;
    if (k->vault != NULL)
        vault_ceremony_close(k->vault);
    if (r != B_OK && k->is_new && !k->is_in_use)
        (void)!ceremony_remove(k, &ignored);
    if (k->scratch[0] != '\0') {
        vault_free(&k->vault);
        ceremony_remove_token(k);
    }
    if (k->lock >= 0)
        (void)close(k->lock);
    return r;
}

/* --- the end that all have ---------------------------------------------------------------------
 */

static enum b_code write_backup(struct ceremony *k, struct b_err *err)
{
    char path[CLI_PATH_MAX + 16];
    uint8_t digest[32];
    enum b_code r = service_backup_write(&k->backup, k->text, err);
    if (r == B_OK)
        r = cli_make_dir(k->dir, err);
    if (r != B_OK)
        return r;
    (void)snprintf(path, sizeof(path), "%s/backup.json", k->dir);
    crypto_sha256(k->text, strlen(k->text), digest);
    b_hex(k->told.digest, digest, sizeof(digest));
    return b_file_replace(path, k->text, strlen(k->text), 0600, err);
}

enum b_code ceremony_bring_all(struct ceremony *k, bool keeps, struct b_err *err)
{
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && i < k->backup.count; i++) {
        struct vault_key key;
        if (!ceremony_is_about(k, &k->backup.keys[i]))
            continue;
        /* From here on: a token that fails now may have kept the master that it was given. */
        k->is_in_use = k->is_in_use || keeps;
        r = vault_ceremony_bring(k->vault, &k->backup.keys[i], keeps, &key, err);
    }
    return r;
}

/* The token has what other custodians get a backup of, and the vault would not put it there. */
static enum b_code put_in_use(struct ceremony *k, const char *kind, struct b_err *err)
{
    if (strcmp(kind, "share") != 0)
        return ceremony_bring_all(k, true, err);
    k->is_in_use = true;
    return B_OK;
}

static void answer(struct ceremony *k)
{
    char id[SERVICE_CEREMONY_HEX];
    struct cli *c = k->c;
    b_hex(id, k->backup.ceremony.id, sizeof(k->backup.ceremony.id));
    cli_say(c, CLI_GREEN,
            strcmp(k->told.kind, "destroy") == 0
                ? _("Ceremony %s: its backup is destroyed, entry %llu of the journal. Minutes: "
                    "%s\n")
                : _("Ceremony %s: done, entry %llu of the journal. Minutes and backup: %s\n"),
            id, (unsigned long long)k->told.entry, k->dir);
    if (k->backup.ceremony.is_rehearsal)
        cli_say(c, CLI_RED, "%s\n", _("REHEARSAL: these keys are used by nothing."));
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out, json_pack("{s:s, s:s, s:b, s:I, s:s, s:i}", "ceremony", id, "directory", k->dir,
                              "rehearsal", k->backup.ceremony.is_rehearsal, "entry",
                              (json_int_t)k->told.entry, "backup_sha256", k->told.digest, "keys",
                              (int)k->backup.count));
}

enum b_code ceremony_tell(struct ceremony *k, struct b_err *err)
{
    struct service *sv = &k->c->service;
    enum b_code r = service_ceremony_note(sv, &k->told, err);
    if (r != B_OK)
        return r;
    r = service_journal_checkpoint(sv, k->c->home, err);
    if (r == B_OK)
        r = service_minutes(sv, &k->told, k->dir, err);
    if (r == B_E_KEY_MISSING && k->backup.ceremony.is_rehearsal) {
        cli_say(k->c, CLI_YELLOW, "%s\n",
                _("Before the first ceremony there is no key that signs: a rehearsal has no "
                  "minutes then."));
        r = B_OK;
    }
    if (r == B_OK)
        answer(k);
    return r;
}

enum b_code ceremony_finish(struct ceremony *k, const char *kind, struct b_err *err)
{
    struct service *sv = &k->c->service;
    bool is_rehearsal = k->backup.ceremony.is_rehearsal;
    k->told.kind = kind;
    enum b_code r = ceremony_bring_all(k, false, err);
    if (r == B_OK && !is_rehearsal)
        r = service_ceremony_compare(sv->store, &k->backup, err);
    if (r == B_OK)
        r = ceremony_confirm(k, err);
    if (r == B_OK)
        r = write_backup(k, err);
    if (r == B_OK)
        r = put_in_use(k, kind, err);
    if (r == B_OK && !is_rehearsal)
        r = service_ceremony_roster(sv, err);
    return r == B_OK ? ceremony_tell(k, err) : r;
}

/* --- init and rotate ---------------------------------------------------------------------------
 */

enum b_code ceremony_next(struct ceremony *k, enum key_role role, unsigned *ret, struct b_err *err)
{
    uint8_t next = 0;
    enum b_code r = service_next_generation(k->c->service.store, role, &next, err);
    *ret = next;
    return r;
}

/* One that a rotation which was cut has put in the backup already is taken up. */
static enum b_code make_one(struct ceremony *k, enum key_role role, unsigned generation,
                            struct b_err *err)
{
    struct service_backup *b = &k->backup;
    for (size_t i = 0; i < b->count; i++)
        if (b->keys[i].role == role && b->keys[i].generation == generation)
            return B_OK;
    if (b->count == SERVICE_BACKUP_KEYS_MAX)
        return b_err_set(err, B_E_TOO_LARGE, 0, _("a backup holds %d keys: share it anew first"),
                         SERVICE_BACKUP_KEYS_MAX);
    struct vault_backup *key = &b->keys[b->count];
    *key = (struct vault_backup){.role = role, .generation = (uint8_t)generation};
    enum b_code r = vault_ceremony_make(k->vault, key, err);
    if (r == B_OK)
        b->count++;
    return r;
}

/* The vault's own secrets are those of the first seal, which has a backup or has none. */
static enum b_code check_first(struct ceremony *k, struct b_err *err)
{
    unsigned generation = 0;
    enum b_code r = ceremony_next(k, KEY_ROLE_SEAL, &generation, err);
    return r == B_OK && generation > 1
               ? b_err_set(err, B_E_KEY_EXISTS, 0,
                           _("what has a backup goes to other custodians by tessere ceremony "
                             "share; what has none cannot leave the token: set up anew by tessere "
                             "init --ceremony"))
               : r;
}

static enum b_code make_all(struct ceremony *k, struct b_err *err)
{
    enum b_code r = B_OK;
    for (int i = 0; r == B_OK && i < KEY_ROLE_ALL; i++) {
        unsigned generation = 1;
        if (!k->backup.ceremony.is_rehearsal)
            r = ceremony_next(k, (enum key_role)i, &generation, err);
        if (r == B_OK)
            r = make_one(k, (enum key_role)i, generation, err);
        if (r == B_OK && !k->backup.keys[k->backup.count - 1].is_inside)
            cli_say(k->c, CLI_YELLOW, _("  this token cannot wrap: key %s is made beside it\n"),
                    key_role_name((enum key_role)i));
    }
    return r;
}

enum b_code cli_ceremony_init(struct cli *c, struct b_err *err)
{
    static struct ceremony k;
    enum b_code r = ceremony_open(&k, c, err);
    if (r == B_OK)
        r = ceremony_custodians(&k, err);
    if (r == B_OK && !k.backup.ceremony.is_rehearsal)
        r = check_first(&k, err);
    if (r == B_OK && !k.backup.ceremony.is_rehearsal)
        r = service_ceremony_allow(&c->service, "init", err);
    if (r == B_OK)
        r = vault_ceremony_begin(k.vault, &k.backup.ceremony, err);
    if (r == B_OK)
        r = ceremony_stamp(&k, err);
    if (r == B_OK)
        r = ceremony_hand_out(&k, err);
    if (r == B_OK)
        r = make_all(&k, err);
    if (r == B_OK)
        r = ceremony_finish(&k, "init", err);
    return ceremony_close(&k, r);
}

enum b_code cli_ceremony_rotate(struct cli *c, struct b_err *err)
{
    static struct ceremony k;
    char what[64];
    unsigned generation = 0;
    enum key_role role = key_role_from(c->operand);
    if (role == KEY_ROLE_COUNT)
        return b_err_set(err, B_E_USAGE, 0,
                         _("no role \"%.40s\": they are picc, app, auth, read, write"), c->operand);
    enum b_code r = ceremony_open(&k, c, err);
    if (r == B_OK)
        r = ceremony_find(&k, err);
    if (r == B_OK)
        r = ceremony_next(&k, role, &generation, err);
    (void)snprintf(what, sizeof(what), "rotate %s %u", key_role_name(role), generation);
    if (r == B_OK)
        r = service_ceremony_allow(&c->service, what, err);
    if (r == B_OK)
        r = ceremony_take_in(&k, err);
    if (r == B_OK)
        r = make_one(&k, role, generation, err);
    if (r == B_OK) {
        k.told.key = &k.backup.keys[k.backup.count - 1];
        r = ceremony_finish(&k, "rotate", err);
    }
    return ceremony_close(&k, r);
}

/* --- share -------------------------------------------------------------------------------------
 */

enum b_code cli_ceremony_share(struct cli *c, struct b_err *err)
{
    static struct ceremony k;
    enum b_code r = ceremony_open(&k, c, err);
    if (r == B_OK)
        r = ceremony_find(&k, err);
    if (r == B_OK)
        r = ceremony_custodians(&k, err); /* before anybody types a share in vain */
    if (r == B_OK)
        r = ceremony_find(&k, err); /* those who give theirs now */
    if (r == B_OK && !k.backup.ceremony.is_rehearsal)
        r = service_ceremony_allow(&c->service, "share", err);
    if (r == B_OK)
        r = ceremony_take_in(&k, err);
    if (r == B_OK)
        r = ceremony_custodians(&k, err); /* in the place of those of the former backup */
    if (r == B_OK)
        r = vault_ceremony_renew(k.vault, &k.backup.ceremony, err);
    if (r == B_OK)
        r = ceremony_stamp(&k, err);
    if (r == B_OK)
        r = ceremony_hand_out(&k, err);
    for (size_t i = 0; r == B_OK && i < k.backup.count; i++)
        r = vault_ceremony_rewrap(k.vault, &k.backup.keys[i], err);
    if (r == B_OK)
        r = ceremony_finish(&k, "share", err);
    return ceremony_close(&k, r);
}

/* --- restore -----------------------------------------------------------------------------------
 */

/* An embedded token that is gone is made anew, beside where it was; what was named in tessere.yaml
 * by hand is corrected by hand. */
static enum b_code find_token(struct ceremony *k, struct b_err *err)
{
    struct cli *c = k->c;
    struct vault_token token;
    char id[9];
    char name[64];
    char path[CLI_PATH_MAX];
    uint8_t random[4];
    enum b_code r = vault_token(c->service.vault, &token, err);
    if (r == B_OK || c->config.softhsm_conf[0] == '\0' || access(c->config.softhsm_conf, F_OK) == 0)
        return r;
    crypto_random(random, sizeof(random));
    b_hex(id, random, sizeof(random));
    (void)snprintf(name, sizeof(name), "token-%s", id);
    vault_free(&c->service.vault);
    k->vault = NULL;
    r = cli_make_token(c, name, err);
    if (r == B_OK)
        r = cli_path(c, "tessere.yaml", path, sizeof(path), err);
    if (r == B_OK)
        r = service_config_write(path, &c->config, err);
    if (r == B_OK)
        r = cli_open_vault(c, err);
    k->vault = c->service.vault;
    if (r == B_OK)
        cli_say(c, CLI_PLAIN, _("  the token is gone; a new one: %s\n"), name);
    return r;
}

enum b_code cli_ceremony_restore(struct cli *c, struct b_err *err)
{
    static struct ceremony k;
    enum b_code r = ceremony_open(&k, c, err);
    if (r == B_OK)
        r = ceremony_find(&k, err);
    if (r == B_OK && !k.backup.ceremony.is_rehearsal)
        r = find_token(&k, err);
    if (r == B_OK && !k.backup.ceremony.is_rehearsal)
        r = service_ceremony_allow(&c->service, "restore", err);
    if (r == B_OK)
        r = ceremony_take_in(&k, err);
    if (r == B_OK)
        r = ceremony_finish(&k, "restore", err);
    return ceremony_close(&k, r);
}

/* --- destroy -----------------------------------------------------------------------------------
 */

/* How many of the backup's keys that are in use `other` holds too, with the same check value. */
static bool covers(const struct service_backup *other, const struct vault_backup *key)
{
    for (size_t i = 0; i < other->count; i++)
        if (other->keys[i].role == key->role && other->keys[i].generation == key->generation &&
            b_ct_eq(other->keys[i].kcv, key->kcv, sizeof(key->kcv)))
            return true;
    return false;
}

/* The newest backup must hold what this one holds, and be another. */
static enum b_code check_replaced(struct ceremony *k, struct b_err *err)
{
    static struct service_backup old;
    char id[SERVICE_CEREMONY_HEX];
    old = k->backup;
    k->c->options[CLI_OPT_BACKUP] = NULL;
    enum b_code r = old.ceremony.is_rehearsal ? B_OK : ceremony_find(k, err);
    b_hex(id, k->backup.ceremony.id, sizeof(k->backup.ceremony.id));
    bool is_other = memcmp(old.ceremony.id, k->backup.ceremony.id, sizeof(old.ceremony.id)) != 0;
    for (size_t i = 0; r == B_OK && !old.ceremony.is_rehearsal && i < old.count; i++)
        if (!is_other || !covers(&k->backup, &old.keys[i]))
            r = b_err_set(
                err, B_E_REFUSED, 0,
                _("no newer backup holds key %s of generation %u: tessere ceremony share"),
                key_role_name(old.keys[i].role), old.keys[i].generation);
    k->backup = old;
    return r == B_OK ? ceremony_place(k, err) : r;
}

enum b_code cli_ceremony_destroy(struct cli *c, struct b_err *err)
{
    static struct ceremony k;
    char what[64];
    char name[64];
    char dir[CLI_PATH_MAX];
    uint8_t digest[32];
    begin(&k, c);
    enum b_code r = open_all(&k, c, err);
    (void)snprintf(what, sizeof(what), "destroy %.40s", c->operand);
    (void)snprintf(name, sizeof(name), "ceremony/%.40s", c->operand);
    if (r == B_OK && strspn(c->operand, "0123456789ABCDEFrehasl-") != strlen(c->operand))
        r = b_err_set(err, B_E_USAGE, 0,
                      _("no ceremony \"%.40s\": they are named as their directories are"),
                      c->operand);
    if (r == B_OK)
        r = cli_path(c, name, dir, sizeof(dir), err);
    c->options[CLI_OPT_BACKUP] = dir;
    c->options[CLI_OPT_REHEARSAL] = strncmp(c->operand, "rehearsal-", 10) == 0 ? "" : NULL;
    if (r == B_OK)
        r = ceremony_find(&k, err);
    crypto_sha256(k.text, strlen(k.text), digest);
    b_hex(k.told.digest, digest, sizeof(digest));
    if (r == B_OK)
        r = check_replaced(&k, err);
    if (r == B_OK && !k.backup.ceremony.is_rehearsal)
        r = service_ceremony_allow(&c->service, what, err);
    if (r == B_OK &&
        !cli_ask(c, _("Destroy this backup? Its shares open nothing afterwards. [y/N] ")))
        r = b_err_set(err, B_E_CANCELLED, 0, "%s", dir);
    k.told.kind = "destroy";
    if (r == B_OK)
        r = service_ceremony_note(&c->service, &k.told, err);
    if (r == B_OK)
        r = ceremony_remove(&k, err);
    if (r == B_OK)
        answer(&k);
    return ceremony_close(&k, r);
}
