/* tessere fleet: taking over badges that others encoded. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "profile/esup.h"
#include "service/fleet.h"
#include "service/others.h"

enum { LIST_MAX = 512 * 1024 * 1024 };

enum b_code cli_encoding(const struct cli *c, enum b_csv_encoding *ret, struct b_err *err)
{
    const char *name = c->options[CLI_OPT_ENCODING];
    *ret = name != NULL && strcmp(name, "latin1") == 0 ? B_CSV_LATIN1 : B_CSV_UTF8;
    if (name != NULL && *ret == B_CSV_UTF8 && strcmp(name, "utf-8") != 0)
        return b_err_set(err, B_E_USAGE, 0, _("--encoding takes utf-8 or latin1, not %.40s"), name);
    return B_OK;
}

static void say_list(const struct cli *c, const struct store_fleet_import *list)
{
    cli_say(c, CLI_PLAIN,
            ngettext("List %lld: %lld badge of %s.\n", "List %lld: %lld badges of %s.\n",
                     (unsigned long)list->count),
            (long long)list->id, (long long)list->count, list->name);
}

enum b_code cli_fleet_import(struct cli *c, struct b_err *err)
{
    static struct service_mistakes mistakes;
    struct service_fleet_list list = {.name = c->operand, .mistakes = &mistakes};
    struct store_fleet_import done;
    char *text = NULL;
    enum b_code r = cli_encoding(c, &list.encoding, err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = b_file_read(c->operand, LIST_MAX, &text, &list.n, err);
    list.text = text;
    if (r == B_OK)
        r = service_fleet_import(&c->service, &list, &done, err);
    cli_say_mistakes(c, &mistakes);
    if (text != NULL)
        b_wipe(text, list.n);
    free(text);
    if (r != B_OK)
        return r;
    say_list(c, &done);
    if (c->out != NULL)
        (void)json_object_update_new(c->out, json_pack("{s:I, s:s, s:I}", "list",
                                                       (json_int_t)done.id, "file", done.name,
                                                       "badges", (json_int_t)done.count));
    return B_OK;
}

enum b_code cli_fleet_forget(struct cli *c, struct b_err *err)
{
    struct store_fleet_import list;
    char *end = NULL;
    long long id = strtoll(c->operand, &end, 10);
    if (end == c->operand || *end != '\0' || id <= 0)
        return b_err_set(err, B_E_USAGE, 0, _("a list is named by its number, not \"%.40s\""),
                         c->operand);
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = store_fleet_import_by_id(c->service.store, id, &list, err);
    if (r != B_OK)
        return r;
    say_list(c, &list);
    if (!cli_ask(c, _("Forget this list and the holders that it names? [y/N] ")))
        return b_err_set(err, B_E_CANCELLED, 0, "%s", list.name);
    r = service_fleet_forget(&c->service, id, &list, err);
    if (r == B_OK)
        cli_say(c, CLI_GREEN, _("List %lld is forgotten.\n"), id);
    return r;
}

enum b_code cli_fleet_check(struct cli *c, struct b_err *err)
{
    struct profile_fleet fleet;
    enum b_code r = service_others_fleet(c->operand, &fleet, err);
    if (r != B_OK)
        return r;
    json_t *list = json_array();
    for (uint8_t i = 0; i < fleet.count; i++) {
        const struct profile_layout *l = &fleet.layouts[i];
        bool is_shared = l->diversification[0] == '\0';
        char aid[9];
        (void)snprintf(aid, sizeof(aid), "%06X", l->aid);
        cli_say(c, is_shared ? CLI_RED : CLI_PLAIN,
                is_shared
                    ? _("%s: application %s, proved by key %u, which all badges share\n")
                    : _("%s: application %s, proved by key %u, which each badge has its own of\n"),
                l->id, aid, l->proof_key);
        if (l->has_uid_key)
            cli_say(c, CLI_PLAIN, _("  a card that shows a random UID tells its own to key %u\n"),
                    l->uid_key);
        json_t *item =
            json_pack("{s:s, s:s, s:i, s:b, s:b}", "id", l->id, "application", aid, "proof_key",
                      (int)l->proof_key, "shared", (int)is_shared, "deleted", (int)l->deletes);
        if (l->has_uid_key)
            (void)json_object_set_new(item, "uid_key", json_integer(l->uid_key));
        (void)json_array_append_new(list, item);
    }
    if (c->out != NULL)
        (void)json_object_set(c->out, "layouts", list);
    json_decref(list);
    return B_OK;
}

/* --- from elsewhere ----------------------------------------------------------------------------
 */

static const char *crypto_name(enum df_key_type type)
{
    return type == DF_KEY_AES ? "aes" : type == DF_KEY_3K3DES ? "3k3des" : "2k3des";
}

/* The description that was found, as tessere-fleet(5) says. */
static void write_fleet(FILE *to, const struct profile_esup *f)
{
    for (uint8_t i = 0; i < f->left_count; i++)
        (void)fprintf(to,
                      _("# %06X: a service makes its keys; its layout is to be added by hand.\n"),
                      f->left[i]);
    (void)fprintf(to, f->fleet.count > 0 ? "layouts:\n" : "layouts: []\n");
    for (uint8_t i = 0; i < f->fleet.count; i++) {
        const struct profile_layout *l = &f->fleet.layouts[i];
        (void)fprintf(to,
                      "  - id: %s\n    application: \"%06X\"\n    crypto: %s\n    keys: %u\n"
                      "    proof-key: %u\n    diversification: shared\n"
                      "    old-application: keep\n",
                      l->id, l->aid, crypto_name(l->type), l->key_count, l->proof_key);
    }
}

/* Those that no takeover needs are there as comments. */
static void write_keys(FILE *to, const struct profile_esup *f)
{
    char hex[2 * DF_KEY_BYTES_MAX + 1];
    for (uint8_t i = 0; i < f->key_count; i++) {
        const struct profile_esup_key *k = &f->keys[i];
        for (size_t at = 0; at < df_key_size(k->key.type); at++)
            (void)snprintf(hex + 2 * at, 3, "%02X", k->key.bytes[at]);
        (void)fprintf(to, "# %06X, %u\n%s%s: %s\n", k->aid, k->no, k->is_needed ? "" : "#",
                      crypto_name(k->key.type), hex);
    }
    b_wipe(hex, sizeof(hex));
}

/* Into a file that is not there yet, for this user alone. */
static enum b_code keep_keys(const char *path, const struct profile_esup *f, struct b_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (to == NULL)
        return b_err_set(err, B_E_KEY_FILE, (uint32_t)errno, "%s: %s", path, strerror(errno));
    static char room[8192];
    (void)setvbuf(to, room, _IOFBF, sizeof(room));
    write_keys(to, f);
    bool is_kept = fflush(to) == 0 && fsync(fd) == 0;
    is_kept = fclose(to) == 0 && is_kept;
    b_wipe(room, sizeof(room));
    return is_kept ? B_OK
                   : b_err_set(err, B_E_KEY_FILE, (uint32_t)errno, "%s: %s", path, strerror(errno));
}

static enum b_code read_esup(const char *path, struct profile_esup *ret, struct b_err *err)
{
    enum { CONFIGURATION_MAX = 4 * 1024 * 1024 };
    char *text = NULL;
    size_t n = 0;
    enum b_code r = b_file_read(path, CONFIGURATION_MAX, &text, &n, err);
    if (r == B_OK)
        r = profile_esup_read(path, text, n, ret, err);
    if (text != NULL)
        b_wipe(text, n); /* keys are in it */
    free(text);
    return r;
}

enum b_code cli_fleet_from_esup(struct cli *c, struct b_err *err)
{
    static struct profile_esup found;
    const char *path = c->options[CLI_OPT_KEYS_FILE];
    if (path == NULL)
        return b_err_set(err, B_E_USAGE, 0,
                         _("fleet from-esup needs --keys-file: a new file, for the keys"));
    enum b_code r = read_esup(c->operand, &found, err);
    if (r == B_OK)
        r = keep_keys(path, &found, err);
    if (r == B_OK && c->out == NULL)
        write_fleet(stdout, &found);
    if (r == B_OK && c->out != NULL)
        (void)json_object_update_new(c->out,
                                     json_pack("{s:i, s:i, s:s}", "layouts", (int)found.fleet.count,
                                               "keys", (int)found.key_count, "keys_file", path));
    b_wipe(&found, sizeof(found));
    return r;
}

/* --- figures -----------------------------------------------------------------------------------
 */

static const struct {
    const char *text;
    enum cli_color color;
} found_texts[STORE_FOUND_COUNT] = {
    [STORE_FOUND_UNKNOWN] = {N_("seen: no key that was tried opens it"), CLI_YELLOW},
    [STORE_FOUND_OURS] = {N_("seen: keys of this establishment"), CLI_YELLOW},
    [STORE_FOUND_DIVERSIFIED] = {N_("seen: a key of its own, from others"), CLI_YELLOW},
    [STORE_FOUND_SHARED] = {N_("seen: a key that badges share"), CLI_RED},
    [STORE_FOUND_PUBLISHED] = {N_("seen: a published default key"), CLI_RED},
    [STORE_FOUND_FACTORY] = {N_("seen: a factory key"), CLI_RED},
};

/* A line of a table; nothing where there is nothing to count. */
static void say_count(const struct cli *c, enum cli_color color, const char *text, uint64_t n)
{
    if (n > 0)
        cli_say(c, color, "  %-*s %8llu\n", cli_width(text, 44), text, (unsigned long long)n);
}

static void say_figures(const struct cli *c, const struct service_fleet_figures *f)
{
    const struct store_fleet_counts *lists = &f->lists;
    uint64_t total = service_fleet_total(f), forbidden = service_fleet_forbidden(f);
    cli_say(c, CLI_BOLD, "%s\n", _("Badges of this establishment, in use"));
    say_count(c, CLI_GREEN, _("conform"), f->conform);
    say_count(c, CLI_YELLOW, _("to be brought to the active keys and profile"), f->behind);
    say_count(c, CLI_YELLOW, _("enrolment not finished"), f->unfinished);
    say_count(c, CLI_RED, _("forbidden: a factory or compromised key"), f->forbidden);
    cli_say(c, CLI_BOLD, "%s\n", _("Badges that others encoded, from lists"));
    say_count(c, CLI_PLAIN, _("taken over (counted above)"), lists->taken_over);
    say_count(c, CLI_PLAIN, _("revoked in their list (not counted)"), lists->revoked);
    say_count(c, CLI_YELLOW, _("not seen so far"), lists->unseen);
    for (size_t i = 0; i < STORE_FOUND_COUNT; i++)
        say_count(c, found_texts[i].color, _(found_texts[i].text), lists->found[i]);
    cli_say(c, CLI_BOLD, "%s\n", _("All in all"));
    say_count(c, CLI_PLAIN, _("badges in use"), total);
    say_count(c, CLI_RED, _("known to have a forbidden key"), forbidden);
    say_count(c, CLI_YELLOW, _("remaining"), total - f->conform);
    if (total > 0)
        cli_say(c, f->conform == total ? CLI_GREEN : CLI_YELLOW, _("%.1f %% conform.\n"),
                100.0 * (double)f->conform / (double)total);
}

static void answer_figures(const struct cli *c, const struct service_fleet_figures *f)
{
    const struct store_fleet_counts *lists = &f->lists;
    uint64_t total = service_fleet_total(f);
    json_t *seen = json_object();
    for (size_t i = 0; i < STORE_FOUND_COUNT; i++)
        (void)json_object_set_new(seen, store_found_name((enum store_found)i),
                                  json_integer((json_int_t)lists->found[i]));
    json_t *badges = json_pack("{s:I, s:I, s:I, s:I}", "conform", (json_int_t)f->conform, "behind",
                               (json_int_t)f->behind, "unfinished", (json_int_t)f->unfinished,
                               "forbidden", (json_int_t)f->forbidden);
    json_t *listed =
        json_pack("{s:I, s:I, s:I, s:I, s:o}", "listed", (json_int_t)lists->listed, "revoked",
                  (json_int_t)lists->revoked, "taken_over", (json_int_t)lists->taken_over, "unseen",
                  (json_int_t)lists->unseen, "seen", seen);
    (void)json_object_update_new(
        c->out, json_pack("{s:o, s:o, s:I, s:I, s:I, s:I}", "badges", badges, "lists", listed,
                          "total", (json_int_t)total, "conform", (json_int_t)f->conform,
                          "forbidden", (json_int_t)service_fleet_forbidden(f), "remaining",
                          (json_int_t)(total - f->conform)));
    if (total > 0)
        (void)json_object_set_new(c->out, "conform_percent",
                                  json_real(100.0 * (double)f->conform / (double)total));
}

static bool show_list(void *ctx, const struct store_fleet_import *list)
{
    const struct cli *c = ctx;
    say_list(c, list);
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "imports"),
                                    json_pack("{s:I, s:s, s:I, s:I}", "list", (json_int_t)list->id,
                                              "file", list->name, "badges", (json_int_t)list->count,
                                              "at", (json_int_t)list->at));
    return true;
}

enum b_code cli_fleet_audit(struct cli *c, struct b_err *err)
{
    struct service_fleet_figures figures;
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_fleet_audit(&c->service, &figures, err);
    if (r != B_OK)
        return r;
    if (c->out != NULL)
        answer_figures(c, &figures);
    else
        say_figures(c, &figures);
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "imports", json_array());
    return store_fleet_import_each(c->service.store, show_list, c, err);
}
