/* tessere adopt: the store anew from the token, when the database is lost. */

#include "service/adopt.h"

#include <stdlib.h>

#include "cli/cli.h"
#include "profile/file.h"
#include "service/journal.h"

enum { KEYS_MAX = 256 };

/* tessere.yaml and profile.yaml are there; the store is made where it is not. */
static enum b_code open_home(struct cli *c, struct b_err *err)
{
    static char text[65536];
    char path[CLI_PATH_MAX];
    size_t n = 0;
    c->keeps_in_token = true;
    enum b_code r = cli_path(c, "tessere.yaml", path, sizeof(path), err);
    if (r == B_OK)
        r = service_config_read(path, &c->config, err);
    if (r == B_OK)
        r = cli_path(c, "profile.yaml", path, sizeof(path), err);
    if (r == B_OK)
        r = service_read_file(path, text, sizeof(text), &n, err);
    if (r == B_OK)
        r = profile_file_read(path, text, n, &c->service.profile, err);
    if (r == B_OK)
        r = cli_path(c, "store.db", path, sizeof(path), err);
    if (r == B_OK)
        r = cli_open_store(c, path, true, err);
    return r == B_OK ? cli_open_vault(c, err) : r;
}

/* A token lists them in any order; the minutes, with which people compare, by role. */
static int by_role(const void *a, const void *b)
{
    const struct vault_key *one = a, *two = b;
    return one->role != two->role ? (int)one->role - (int)two->role
                                  : (int)one->generation - (int)two->generation;
}

static void list_keys(struct cli *c, const struct vault_key *keys, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        char kcv[7];
        const char *role = key_role_name(keys[i].role);
        b_hex(kcv, keys[i].kcv, sizeof(keys[i].kcv));
        cli_say(c, CLI_PLAIN, _("  key %-5s generation %u, check value %s (%s)\n"), role,
                keys[i].generation, kcv, keys[i].kcv_method);
        (void)json_array_append_new(list, json_pack("{s:s, s:i, s:s}", "role", role, "generation",
                                                    (int)keys[i].generation, "kcv", kcv));
    }
    if (c->out != NULL)
        (void)json_object_set(c->out, "keys", list);
    json_decref(list);
}

/* At night somebody reads this and no manual. */
static void tell_lost(const struct cli *c)
{
    cli_say(c, CLI_YELLOW, "%s",
            _("What the database alone had is lost: which badges were suspended or revoked, "
              "stations, people, PINs, the journal. Where there is a backup, put it back instead "
              "(tessere backup restore, docs/backup.md).\n"));
}

/* That a generation was compromised or retired, the lost database alone had. */
static void tell_older(struct cli *c, const struct vault_key *keys, size_t count)
{
    bool has_older = false;
    for (size_t i = 0; i < count; i++)
        has_older |= keys[i].role < KEY_ROLE_COUNT && keys[i].generation > 1;
    if (!has_older)
        return;
    cli_say(
        c, CLI_RED, "%s",
        _("Older generations are taken at taps again, those too that were declared compromised: "
          "declare these so again (tessere proposal make \"compromise ROLE GENERATION\").\n"));
}

/* What the lost database alone had: whoever goes on without it knows what that costs. */
static void tell_stored(struct cli *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
        const char *role = key_role_name((enum key_role)i);
        unsigned from = c->config.stored.from[i];
        if (from == 0)
            continue;
        cli_say(c, CLI_RED,
                _("Badge keys of role %s are stored, from generation %u on: they are lost with the "
                  "database, and neither the token nor the badges bring them back.\n"),
                role, from);
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:i}", "role", role, "generation", (int)from));
    }
    if (json_array_size(list) > 0)
        cli_say(
            c, CLI_RED, "%s",
            _("Put a backup back instead (tessere backup restore, docs/backup.md). Without one, "
              "such badges are returned to blank and encoded anew.\n"));
    if (c->out != NULL)
        (void)json_object_set(c->out, "lost", list);
    json_decref(list);
}

enum b_code cli_adopt(struct cli *c, struct b_err *err)
{
    static struct vault_key keys[KEYS_MAX];
    struct store_establishment e = {.system_len = 0};
    size_t count = 0;
    bool ignored = false;
    enum b_code r = open_home(c, err);
    if (r == B_OK && store_establishment_get(c->service.store, &e, err) == B_OK)
        r = b_err_set(err, B_E_INITIALISED, 0, "%s: %s", c->home, e.finess);
    if (r == B_OK)
        r = vault_key_list(c->service.vault, keys, B_COUNT(keys), &count, err);
    if (r != B_OK)
        return r;
    qsort(keys, count, sizeof(keys[0]), by_role);
    cli_establishment(c, &e);
    list_keys(c, keys, count);
    tell_lost(c);
    tell_older(c, keys, count);
    tell_stored(c);
    if (!cli_ask(c, _("Compare these with the ones you have in writing. Make a new database for "
                      "them? [y/N] ")))
        return b_err_set(err, B_E_CANCELLED, 0, "%s", c->home);
    r = service_adopt(&c->service, &e, keys, count, err);
    if (r == B_OK)
        r = service_home_load(c->home, &c->service, err);
    if (r == B_OK)
        r = service_home_policy(c->home, &c->service, &ignored, err);
    /* The token remembers a longer journal: the new one says that it begins anew. */
    if (r == B_OK)
        r = service_journal_accept(&c->service, c->home, err);
    if (r == B_OK)
        cli_say(
            c, CLI_GREEN, "%s",
            _("The database is made anew. Badges come back one by one, unchanged: tessere badge "
              "enrol, with the badge on the reader.\n"));
    return r;
}
