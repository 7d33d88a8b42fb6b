/* A ceremony at the command line: custodians, shares, confirmations, files. */
#include "cli/ceremony.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "base/file.h"
#include "cli/qr.h"
#include "service/relay.h"

enum { SHARE_LINE = 1024, QR_MAX = 8192, NEWEST_MAX = CLI_PATH_MAX + 300 };

/* --- files -------------------------------------------------------------------------------------
 */

enum b_code ceremony_place(struct ceremony *k, struct b_err *err)
{
    char id[SERVICE_CEREMONY_HEX];
    char name[64];
    b_hex(id, k->backup.ceremony.id, sizeof(k->backup.ceremony.id));
    (void)snprintf(name, sizeof(name), "ceremony/%s%s",
                   k->backup.ceremony.is_rehearsal ? "rehearsal-" : "", id);
    return cli_path(k->c, name, k->dir, sizeof(k->dir), err);
}

static bool is_kept(const char *name)
{
    return strncmp(name, "minutes-", 8) == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

enum b_code ceremony_remove(const struct ceremony *k, struct b_err *err)
{
    DIR *d = opendir(k->dir);
    enum b_code r = B_OK;
    if (d == NULL)
        return errno == ENOENT
                   ? B_OK
                   : b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", k->dir, strerror(errno));
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (!is_kept(e->d_name) && unlinkat(dirfd(d), e->d_name, 0) != 0 && errno != EISDIR)
            r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s/%.200s: %s", k->dir, e->d_name,
                          strerror(errno));
    (void)closedir(d);
    (void)rmdir(k->dir); /* where there are no minutes */
    return r;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

void ceremony_remove_token(const struct ceremony *k)
{
    (void)nftw(k->scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static enum b_code read_backup(struct ceremony *k, const char *dir, struct service_backup *ret,
                               struct b_err *err)
{
    char path[CLI_PATH_MAX + 16];
    size_t n = 0;
    (void)snprintf(path, sizeof(path), "%s/backup.json", dir);
    enum b_code r = service_read_file(path, k->text, sizeof(k->text) - 1, &n, err);
    k->text[r == B_OK ? n : 0] = '\0'; /* one that was read before may be longer */
    return r == B_OK ? service_backup_read(k->text, n, ret, err) : r;
}

/* The newest backup here that is a rehearsal's, or none's: its directory, of NEWEST_MAX bytes, and
 * when it was made; "" and -1 where there is none. */
static enum b_code newest_of(struct ceremony *k, bool is_rehearsal, char *best, int64_t *ret_at,
                             struct b_err *err)
{
    static struct service_backup one;
    char all[CLI_PATH_MAX];
    char dir[NEWEST_MAX];
    struct b_err ignored;
    *ret_at = -1;
    best[0] = '\0';
    enum b_code r = cli_path(k->c, "ceremony", all, sizeof(all), err);
    DIR *d = r == B_OK ? opendir(all) : NULL;
    for (const struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
        (void)snprintf(dir, sizeof(dir), "%s/%s", all, e->d_name);
        if (e->d_name[0] == '.' || read_backup(k, dir, &one, &ignored) != B_OK ||
            one.ceremony.is_rehearsal != is_rehearsal || one.at <= *ret_at)
            continue;
        *ret_at = one.at;
        memcpy(best, dir, sizeof(dir));
    }
    if (d != NULL)
        (void)closedir(d);
    return r;
}

enum b_code ceremony_stamp(struct ceremony *k, struct b_err *err)
{
    char newest[NEWEST_MAX];
    int64_t at = -1;
    enum b_code r = newest_of(k, k->backup.ceremony.is_rehearsal, newest, &at, err);
    int64_t now = service_now();
    k->backup.at = now > at ? now : at + 1;
    return r;
}

static enum b_code find_newest(struct ceremony *k, bool is_rehearsal, struct b_err *err)
{
    char dir[NEWEST_MAX];
    int64_t at = -1;
    enum b_code r = newest_of(k, is_rehearsal, dir, &at, err);
    if (r == B_OK && dir[0] == '\0')
        r = b_err_set(err, B_E_NOT_FOUND, 0,
                      _("no backup in %s/ceremony: name its directory by --backup"), k->c->home);
    return r == B_OK ? read_backup(k, dir, &k->backup, err) : r;
}

enum b_code ceremony_find(struct ceremony *k, struct b_err *err)
{
    const char *from = k->c->options[CLI_OPT_BACKUP];
    bool is_rehearsal = cli_has(k->c, CLI_OPT_REHEARSAL);
    enum b_code r =
        from != NULL ? read_backup(k, from, &k->backup, err) : find_newest(k, is_rehearsal, err);
    if (r == B_OK && k->backup.ceremony.is_rehearsal != is_rehearsal)
        r = b_err_set(err, B_E_USAGE, 0, "%s",
                      is_rehearsal ? _("this backup is no rehearsal's")
                                   : _("this backup is of a rehearsal: --rehearsal"));
    if (r == B_OK && strcmp(k->backup.finess, k->c->config.finess) != 0)
        r = b_err_set(err, B_E_BAD_INPUT, 0, _("this backup is of establishment %s"),
                      k->backup.finess);
    return r == B_OK ? ceremony_place(k, err) : r;
}

/* --- custodians --------------------------------------------------------------------------------
 */

/* Takes what stands before the next comma; false at the end. */
static bool take_item(const char **list, char *item, size_t cap)
{
    size_t n = *list != NULL ? strcspn(*list, ",") : 0;
    if (n == 0 || n >= cap)
        return false;
    memcpy(item, *list, n);
    item[n] = '\0';
    *list += n + ((*list)[n] == ',');
    return true;
}

/* False: it is not of this locale. */
static bool trim(const char *name, wchar_t out[static STORE_NAME_MAX])
{
    size_t n = mbstowcs(out, name + strspn(name, " \t"), STORE_NAME_MAX - 1);
    if (n == SIZE_MAX)
        return false;
    while (n > 0 && (out[n - 1] == L' ' || out[n - 1] == L'\t'))
        n--;
    out[n] = L'\0';
    return true;
}

/* Capitals and spaces around it make no other person. */
static bool is_same_person(const char *a, const char *b)
{
    wchar_t one[STORE_NAME_MAX], other[STORE_NAME_MAX];
    return trim(a, one) && trim(b, other) ? wcscasecmp(one, other) == 0 : strcasecmp(a, b) == 0;
}

/* Before anybody gives or gets a share: a certificate that is not there is found at once, and who
 * had two shares would be a quorum of one. */
static enum b_code check_custodians(const struct ceremony *k, struct b_err *err)
{
    static char text[VAULT_SEALED_MAX];
    uint8_t digests[VAULT_SHARES_MAX][32];
    for (size_t i = 0; i < k->backup.ceremony.shares; i++) {
        const struct service_custodian *who = &k->backup.custodians[i];
        size_t n = 0;
        enum b_code r = who->is_sealed
                            ? service_read_file(k->certificates[i], text, sizeof(text), &n, err)
                            : B_OK;
        if (r != B_OK)
            return b_err_wrap(err, "%s", who->name);
        crypto_sha256(text, n, digests[i]);
        for (size_t j = 0; j < i; j++)
            if (is_same_person(k->backup.custodians[j].name, who->name) ||
                (n > 0 && memcmp(digests[j], digests[i], sizeof(digests[i])) == 0))
                return b_err_set(err, B_E_USAGE, 0,
                                 _("--custodians: %s and %s are one person, who holds one share"),
                                 k->backup.custodians[j].name, who->name);
    }
    return B_OK;
}

enum b_code ceremony_custodians(struct ceremony *k, struct b_err *err)
{
    char item[CLI_PATH_MAX + STORE_NAME_MAX];
    char *end = NULL;
    const char *list = k->c->options[CLI_OPT_CUSTODIANS];
    const char *quorum = k->c->options[CLI_OPT_QUORUM];
    unsigned long former = k->backup.ceremony.threshold; /* of shares that go over to others */
    unsigned long threshold = quorum != NULL ? strtoul(quorum, &end, 10) : former > 2 ? former : 2;
    uint8_t count = 0;
    while (count < VAULT_SHARES_MAX && take_item(&list, item, sizeof(item))) {
        struct service_custodian *who = &k->backup.custodians[count];
        char *certificate = strchr(item, '=');
        if (certificate != NULL)
            *certificate++ = '\0';
        if (item[0] == '\0' || strlen(item) >= sizeof(who->name))
            break;
        who->is_sealed = certificate != NULL;
        (void)snprintf(who->name, sizeof(who->name), "%.*s", (int)sizeof(who->name) - 1, item);
        (void)snprintf(k->certificates[count], CLI_PATH_MAX, "%.*s", CLI_PATH_MAX - 1,
                       certificate != NULL ? certificate : "");
        count++;
    }
    if (list == NULL || *list != '\0' || (end != NULL && *end != '\0') || threshold < 2 ||
        (threshold > count && quorum != NULL))
        return b_err_set(err, B_E_USAGE, 0,
                         _("--custodians takes 2 to %d of them, and --quorum 2 or more of these"),
                         VAULT_SHARES_MAX);
    if (threshold > count)
        return b_err_set(err, B_E_USAGE, 0,
                         _("%lu custodians are needed as before, unless --quorum says how many"),
                         threshold);
    k->backup.ceremony.shares = count;
    k->backup.ceremony.threshold = (uint8_t)threshold;
    return check_custodians(k, err);
}

static enum b_code seal(struct ceremony *k, uint8_t share, struct b_err *err)
{
    static char certificate[VAULT_SEALED_MAX];
    static uint8_t sealed[VAULT_SEALED_MAX];
    char path[CLI_PATH_MAX + 32];
    size_t n = 0;
    size_t sealed_n = 0;
    enum b_code r =
        service_read_file(k->certificates[share - 1], certificate, sizeof(certificate), &n, err);
    if (r == B_OK)
        r = vault_ceremony_seal(k->vault, share, b_rd_from(certificate, n), sealed, &sealed_n, err);
    if (r != B_OK)
        return b_err_wrap(err, "%s", k->backup.custodians[share - 1].name);
    (void)snprintf(path, sizeof(path), "%s/share-%u.cms", k->dir, share);
    r = b_file_replace(path, sealed, sealed_n, 0600, err);
    if (r == B_OK)
        cli_say(k->c, CLI_PLAIN, _("  share %u is sealed for %s: %s\n"), share,
                k->backup.custodians[share - 1].name, path);
    return r;
}

static void wait_for_enter(void)
{
    char byte = 0;
    while (isatty(STDIN_FILENO) && read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
        ;
}

static bool write_out(const void *p, size_t n)
{
    return write(STDOUT_FILENO, p, n) == (ssize_t)n;
}

/* The words, and at a terminal a QR code of them. Not through stdio, whose buffers are nobody's. */
static bool show_words(const char *words, bool is_shown)
{
    uint8_t *code = is_shown ? b_secret_alloc(QR_MAX) : NULL;
    struct b_wr w = b_wr_from(code, code != NULL ? QR_MAX : 0);
    bool is_written = write_out(words, strlen(words)) && write_out("\n", 1);
    if (is_shown)
        is_written &= cli_qr_terminal(words, &w) && write_out(code, w.len);
    b_secret_free(code);
    return is_written;
}

/* To the terminal alone, and wiped from it. */
static enum b_code show(struct ceremony *k, uint8_t share, const char *words, struct b_err *err)
{
    static const char clear[] = "\033[2J\033[3J\033[H";
    const char *name = k->backup.custodians[share - 1].name;
    bool is_shown = isatty(STDOUT_FILENO) != 0 && isatty(STDIN_FILENO) != 0;
    if (k->c->out != NULL)
        return b_err_set(err, B_E_USAGE, 0,
                         _("--json shows no share: seal it for a certificate, or --sheets"));
    if (is_shown)
        cli_say(k->c, CLI_BOLD,
                _("%s alone looks at the screen now, with pen and paper. Enter shows share %u."),
                name, share);
    wait_for_enter();
    cli_say(k->c, CLI_PLAIN, _("share %u of %s%s:\n"), share, name,
            k->backup.ceremony.is_rehearsal ? _(", of a REHEARSAL") : "");
    bool is_written = show_words(words, is_shown);
    if (is_shown)
        cli_say(k->c, CLI_PLAIN, "%s",
                _("Enter when it is written down and compared: it is not shown again."));
    wait_for_enter();
    if (is_shown)
        is_written &= write_out(clear, sizeof(clear) - 1);
    return is_written ? B_OK
                      : b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "showing share %u", share);
}

static enum b_code give_words(struct ceremony *k, uint8_t share, struct b_err *err)
{
    char *words = b_secret_alloc(VAULT_WORDS_MAX);
    enum b_code r = words != NULL ? vault_ceremony_words(k->vault, share, words, err)
                                  : b_err_set(err, B_E_NO_MEMORY, 0, "a share in words");
    if (r == B_OK)
        r = cli_has(k->c, CLI_OPT_SHEETS) ? ceremony_page(k, share, words, err)
                                          : show(k, share, words, err);
    b_secret_free(words);
    return r;
}

enum b_code ceremony_hand_out(struct ceremony *k, struct b_err *err)
{
    enum b_code r = ceremony_place(k, err);
    if (r == B_OK)
        r = cli_make_dir(k->dir, err);
    k->is_new = r == B_OK;
    if (r == B_OK)
        cli_say(k->c, CLI_BOLD, _("%u shares; any %u of them give the keys back:\n"),
                k->backup.ceremony.shares, k->backup.ceremony.threshold);
    for (uint8_t i = 1; r == B_OK && i <= k->backup.ceremony.shares; i++)
        r = k->certificates[i - 1][0] != '\0' ? seal(k, i, err) : give_words(k, i, err);
    return r;
}

/* --- shares given back -------------------------------------------------------------------------
 */

bool ceremony_line(char *line, size_t cap, size_t *ret_n)
{
    struct termios shown;
    bool is_hidden = isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &shown) == 0;
    ssize_t got = 0;
    size_t n = 0;
    if (is_hidden) {
        struct termios hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    while (n < cap && (got = read(STDIN_FILENO, line + n, 1)) == 1 && line[n] != '\n')
        n++;
    if (is_hidden) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        (void)fputc('\n', stdout);
    }
    *ret_n = n;
    return n > 0 || got == 1;
}

/* A share's number, 1 to 99; 0: this is none. */
static unsigned number_of(const char *line, size_t n)
{
    unsigned number = 0;
    for (size_t i = 0; i < n; i++) {
        if (line[i] < '0' || line[i] > '9' || n > 2)
            return 0;
        number = 10 * number + (unsigned)(line[i] - '0');
    }
    return number;
}

/* One share; at a terminal a wrong one is said and asked again. */
static enum b_code take_share(struct ceremony *k, char *line, unsigned *given, struct b_err *err)
{
    size_t n = 0;
    for (;;) {
        cli_say(k->c, CLI_BOLD,
                cli_has(k->c, CLI_OPT_CARD)
                    ? _("Share %u of %u, or the number of the one for a card: ")
                    : _("Share %u of %u: "),
                *given + 1, k->backup.ceremony.threshold);
        if (!ceremony_line(line, SHARE_LINE, &n))
            return b_err_set(err, B_E_SHARE_FEW, 0, "%u of %u were given", *given,
                             k->backup.ceremony.threshold);
        unsigned sealed = cli_has(k->c, CLI_OPT_CARD) ? number_of(line, n) : 0;
        enum b_code r = sealed > 0 ? ceremony_card(k, sealed, given, err)
                                   : vault_ceremony_give(k->vault, b_rd_from(line, n), given, err);
        b_wipe(line, n);
        if (isatty(STDIN_FILENO) == 0 || (r != B_E_SHARE_TYPED && r != B_E_SHARE_FOREIGN &&
                                          r != B_E_SHARE_REPEATED && r != B_E_CARD_KEY))
            return r;
        cli_print_error(k->c, err);
    }
}

/* Whom to call, and which paper to look for. */
static void say_custodians(const struct ceremony *k)
{
    char id[SERVICE_CEREMONY_HEX];
    char at[24];
    b_hex(id, k->backup.ceremony.id, sizeof(k->backup.ceremony.id));
    cli_time(k->backup.at, at, sizeof(at));
    cli_say(k->c, CLI_PLAIN, _("Ceremony %s of %s: %u of these people give their share:\n"), id, at,
            k->backup.ceremony.threshold);
    for (unsigned i = 0; i < k->backup.ceremony.shares; i++)
        cli_say(k->c, CLI_PLAIN,
                k->backup.custodians[i].is_sealed ? _("  share %u: %s, sealed for a certificate\n")
                                                  : _("  share %u: %s, in words on paper\n"),
                i + 1, k->backup.custodians[i].name);
}

enum b_code ceremony_take_in(struct ceremony *k, struct b_err *err)
{
    unsigned given = 0;
    char *line = b_secret_alloc(SHARE_LINE);
    enum b_code r = line != NULL ? vault_ceremony_resume(k->vault, &k->backup.ceremony, err)
                                 : b_err_set(err, B_E_NO_MEMORY, 0, "a share");
    if (r == B_OK)
        say_custodians(k);
    while (r == B_OK && given < k->backup.ceremony.threshold)
        r = take_share(k, line, &given, err);
    if (r == B_OK)
        cli_say(k->c, CLI_PLAIN, "\n");
    b_secret_free(line);
    return r;
}

/* --- confirmation ------------------------------------------------------------------------------
 */

/* Until somebody is named who was not named before: shares are written down by now. */
static bool ask_name(struct ceremony *k, size_t which)
{
    char *name = k->confirmers[which];
    do {
        cli_say(k->c, CLI_BOLD, _("Confirmed by (name %zu of %d): "), which + 1,
                SERVICE_CONFIRMERS);
        if (fgets(name, STORE_NAME_MAX, stdin) == NULL)
            return false;
        name[strcspn(name, "\r\n")] = '\0';
    } while (name[strspn(name, " ")] == '\0' || (which > 0 && strcmp(k->confirmers[0], name) == 0));
    return true;
}

static enum b_code two_people(const struct ceremony *k, bool is_there, enum b_code otherwise,
                              struct b_err *err)
{
    if (!is_there || is_same_person(k->confirmers[0], k->confirmers[1]))
        return b_err_set(err, otherwise, 0, "%s",
                         _("two people confirm the check values: --confirmed-by NAME,NAME"));
    return B_OK;
}

enum b_code ceremony_confirmers(struct ceremony *k, struct b_err *err)
{
    const char *list = k->c->options[CLI_OPT_CONFIRMED_BY];
    bool is_there = true;
    if (list == NULL && isatty(STDIN_FILENO) != 0 && k->c->out == NULL)
        return B_OK; /* asked when they have heard the values */
    for (size_t i = 0; is_there && i < SERVICE_CONFIRMERS; i++)
        is_there = take_item(&list, k->confirmers[i], STORE_NAME_MAX);
    return two_people(k, is_there, B_E_USAGE, err);
}

bool ceremony_is_about(const struct ceremony *k, const struct vault_backup *key)
{
    const struct vault_backup *only = k->told.key;
    return only == NULL || (only->role == key->role && only->generation == key->generation);
}

enum b_code ceremony_confirm(struct ceremony *k, struct b_err *err)
{
    bool is_there = true;
    char kcv[7];
    if (k->backup.ceremony.is_rehearsal)
        cli_say(k->c, CLI_RED, "%s\n", _("REHEARSAL: these keys are used by nothing."));
    cli_say(k->c, CLI_BOLD, "%s\n", _("One reads these check values aloud, two confirm them:"));
    const struct store_given *given = k->told.given;
    if (given != NULL) {
        b_hex(kcv, given->kcv, sizeof(given->kcv));
        cli_say(k->c, CLI_PLAIN, _("  key %s of another system (%s), check value %s (%s)\n"),
                given->name, given->type, kcv, given->kcv_method);
    }
    for (size_t i = 0; given == NULL && i < k->backup.count; i++) {
        const struct vault_backup *b = &k->backup.keys[i];
        if (!ceremony_is_about(k, b))
            continue;
        b_hex(kcv, b->kcv, sizeof(b->kcv));
        cli_say(k->c, CLI_PLAIN, _("  key %-5s generation %u, check value %s (%s)\n"),
                key_role_name(b->role), b->generation, kcv, b->kcv_method);
    }
    for (size_t i = 0; is_there && i < SERVICE_CONFIRMERS; i++) {
        is_there = k->confirmers[i][0] != '\0' || ask_name(k, i);
        k->told.confirmers[i] = k->confirmers[i];
    }
    return two_people(k, is_there, B_E_CANCELLED, err);
}
