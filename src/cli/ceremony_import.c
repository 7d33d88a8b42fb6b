/* tessere ceremony import, export: masters from elsewhere and for elsewhere. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/ceremony.h"

enum { PART_LINE = 256, PART_BYTES = 32 };

static bool is_length(size_t n, size_t wanted)
{
    return wanted != 0 ? n == wanted : n == 16 || n == 24 || n == 32;
}

/* "<hexadecimal> <check value>", of n bytes. */
static enum b_code read_part(struct ceremony *k, char *line, size_t n, uint8_t *part,
                             uint8_t kcv[static 3], struct b_err *err)
{
    struct b_wr value = b_wr_from(part, PART_BYTES);
    struct b_wr check = b_wr_from(kcv, 3);
    char *last = strrchr(line, ' ');
    if (last != NULL)
        *last++ = '\0';
    if (last == NULL || !b_unhex(&value, line) || !b_unhex(&check, last) || check.len != 3 ||
        !is_length(value.len, n))
        return n == 0 ? b_err_set(err, B_E_SHARE_TYPED, 0, "%s",
                                  _("a component is 32, 48 or 64 hexadecimal digits, a space and "
                                    "its check value"))
                      : b_err_set(err, B_E_SHARE_TYPED, 0,
                                  _("a component is %zu hexadecimal digits, a space and its check "
                                    "value"),
                                  2 * n);
    return vault_import_part(k->vault, b_rd_from(part, value.len), kcv, err);
}

/* To be read aloud. */
static void say_part(const struct ceremony *k, unsigned number, const uint8_t kcv[static 3])
{
    char hex[7];
    b_hex(hex, kcv, 3);
    cli_say(k->c, CLI_PLAIN, _("  component %u has the check value %s\n"), number, hex);
}

/* At a terminal a wrong one is said and asked again. */
enum b_code ceremony_take_parts(struct ceremony *k, size_t length, struct b_err *err)
{
    uint8_t kcv[3];
    char *line = b_secret_alloc(PART_LINE);
    uint8_t *part = b_secret_alloc(PART_BYTES);
    unsigned count = 0;
    size_t n = 0;
    enum b_code r =
        line != NULL && part != NULL ? B_OK : b_err_set(err, B_E_NO_MEMORY, 0, "a component");
    while (r == B_OK) {
        cli_say(k->c, CLI_BOLD, _("Component %u, and its check value (empty: no more): "),
                count + 1);
        if (!ceremony_line(line, PART_LINE - 1, &n) || n == 0)
            break;
        line[n] = '\0';
        r = read_part(k, line, length, part, kcv, err);
        b_wipe(line, PART_LINE);
        b_wipe(part, PART_BYTES);
        count += r == B_OK;
        if (r == B_OK)
            say_part(k, count, kcv);
        if ((r == B_E_SHARE_TYPED || r == B_E_SHARE_REPEATED) && isatty(STDIN_FILENO) != 0) {
            cli_print_error(k->c, err);
            r = B_OK;
        }
    }
    b_secret_free(line);
    b_secret_free(part);
    cli_say(k->c, CLI_PLAIN, "\n");
    return r;
}

static enum b_code read_role(const struct cli *c, enum key_role *ret, struct b_err *err)
{
    *ret = key_role_from(c->operand);
    return *ret != KEY_ROLE_COUNT
               ? B_OK
               : b_err_set(err, B_E_USAGE, 0,
                           _("no role \"%.40s\": they are picc, app, auth, read, write"),
                           c->operand);
}

enum b_code ceremony_kcv(const struct cli *c, uint8_t kcv[static 3], struct b_err *err)
{
    const char *text = c->options[CLI_OPT_KCV];
    struct b_wr w = b_wr_from(kcv, 3);
    return text != NULL && b_unhex(&w, text) && w.len == 3
               ? B_OK
               : b_err_set(err, B_E_USAGE, 0, "%s",
                           _("--kcv takes the check value of the key: 6 hexadecimal digits"));
}

/* Opens, finds the backup, has the act allowed, takes the shares and the components. */
static enum b_code begin(struct ceremony *k, struct cli *c, const char *verb,
                         struct vault_backup *key, struct b_err *err)
{
    char what[64];
    unsigned generation = 0;
    bool is_import = strcmp(verb, "import") == 0;
    enum b_code r = ceremony_open(k, c, err);
    if (r == B_OK)
        r = ceremony_find(k, err);
    if (r == B_OK && is_import)
        r = ceremony_next(k, key->role, &generation, err);
    for (size_t i = 0; !is_import && i < k->backup.count; i++)
        if (k->backup.keys[i].role == key->role && k->backup.keys[i].generation > generation) {
            *key = k->backup.keys[i];
            generation = key->generation;
        }
    if (r == B_OK && generation == 0)
        r = b_err_set(err, B_E_NOT_FOUND, 0, _("the backup has no key of role %s"),
                      key_role_name(key->role));
    key->generation = (uint8_t)generation;
    (void)snprintf(what, sizeof(what), "%s %s %u", verb, key_role_name(key->role), generation);
    if (r == B_OK)
        r = service_ceremony_allow(&c->service, what, err);
    if (r == B_OK)
        r = ceremony_take_in(k, err);
    return r == B_OK ? ceremony_take_parts(k, 0, err) : r;
}

/* Without what an editor puts after it. */
enum b_code ceremony_block(const struct cli *c, char *text, size_t *ret_n, struct b_err *err)
{
    const char *path = c->options[CLI_OPT_BLOCK];
    *ret_n = 0;
    enum b_code r =
        path != NULL ? service_read_file(path, text, CEREMONY_BLOCK_MAX, ret_n, err) : B_OK;
    while (r == B_OK && *ret_n > 0 && strchr(" \t\r\n", text[*ret_n - 1]) != NULL)
        (*ret_n)--;
    return r;
}

enum b_code cli_ceremony_import(struct cli *c, struct b_err *err)
{
    static struct ceremony k;
    char text[CEREMONY_BLOCK_MAX];
    size_t n = 0;
    struct vault_backup key = {.generation = 0};
    enum b_code r = read_role(c, &key.role, err);
    if (r == B_OK)
        r = ceremony_kcv(c, key.kcv, err);
    if (r == B_OK)
        r = ceremony_block(c, text, &n, err);
    if (r != B_OK)
        return r;
    r = begin(&k, c, "import", &key, err);
    if (r == B_OK && k.backup.count == SERVICE_BACKUP_KEYS_MAX)
        r = b_err_set(err, B_E_TOO_LARGE, 0, _("a backup holds %d keys: share it anew first"),
                      SERVICE_BACKUP_KEYS_MAX);
    if (r == B_OK)
        r = vault_import_key(k.vault, b_rd_from(text, n), &key, err);
    if (r == B_OK) {
        k.told.key = &k.backup.keys[k.backup.count];
        k.backup.keys[k.backup.count++] = key;
        r = ceremony_finish(&k, "import", err);
    }
    return ceremony_close(&k, r);
}

/* Told in the journal before it is out. */
enum b_code cli_ceremony_export(struct cli *c, struct b_err *err)
{
    static struct ceremony k;
    char block[CEREMONY_BLOCK_MAX];
    uint8_t digest[32];
    const char *to = c->options[CLI_OPT_BLOCK];
    struct vault_backup key = {.generation = 0};
    enum b_code r = read_role(c, &key.role, err);
    if (r == B_OK && to == NULL)
        r = b_err_set(err, B_E_USAGE, 0, "%s", _("--block names the file for the key block"));
    if (r != B_OK)
        return r;
    r = begin(&k, c, "export", &key, err);
    if (r == B_OK)
        r = vault_export_key(k.vault, &key, block, sizeof(block) - 1, err);
    if (r == B_OK)
        r = ceremony_confirm(&k, err);
    crypto_sha256(k.text, strlen(k.text), digest);
    b_hex(k.told.digest, digest, sizeof(digest));
    k.told.kind = "export";
    k.told.key = &key;
    if (r == B_OK)
        r = cli_make_dir(k.dir, err);
    if (r == B_OK)
        r = ceremony_tell(&k, err);
    if (r == B_OK) {
        size_t n = strlen(block);
        block[n++] = '\n';
        r = b_file_replace(to, block, n, 0600, err);
    }
    return ceremony_close(&k, r);
}
