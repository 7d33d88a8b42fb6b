/*
 * tessere init: directory, token, first generation of each master key, store, badge profile. Each
 * part that is there is kept, so that an init that was cut goes on where it stopped; tessere.yaml
 * is written last and says that the whole is there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "profile/file.h"
#include "service/adopt.h"

static enum b_code check_finess(const char *text, struct b_err *err)
{
    if (text == NULL || strlen(text) != 9 || strspn(text, "0123456789AB") != 9)
        return b_err_set(err, B_E_USAGE, 0, _("--finess takes a FINESS number: 9 characters"));
    return B_OK;
}

/* errno says why not. */
static bool make_one_dir(const char *path)
{
    struct stat st;
    if (mkdir(path, 0700) == 0)
        return true;
    if (errno != EEXIST || stat(path, &st) != 0 || S_ISDIR(st.st_mode))
        return errno == EEXIST;
    errno = ENOTDIR;
    return false;
}

enum b_code cli_make_dir(const char *path, struct b_err *err)
{
    char part[CLI_PATH_MAX];
    for (size_t i = 1; path[i - 1] != '\0' && i < sizeof(part); i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        (void)snprintf(part, sizeof(part), "%.*s", (int)i, path);
        if (!make_one_dir(part))
            return b_err_set(err, B_E_CONFIG, (uint32_t)errno, "%s: %s", part, strerror(errno));
        if (path[i] == '\0')
            break;
    }
    return B_OK;
}

/* The profile goes through the reader before it is copied, so that a wrong one changes nothing. */
static enum b_code read_profile(struct cli *c, char *text, size_t cap, size_t *ret_n,
                                struct b_err *err)
{
    static const char *const defaults[] = {TESSERE_SHARE "/profiles/hospital.yaml",
                                           TESSERE_SHARE_BUILT "/profiles/hospital.yaml"};
    const char *path = c->options[CLI_OPT_PROFILE];
    for (size_t i = 0; path == NULL && i < B_COUNT(defaults); i++) {
        if (access(defaults[i], R_OK) == 0)
            path = defaults[i];
    }
    if (path == NULL)
        return b_err_set(err, B_E_CONFIG, 0, "no default badge profile is installed in %s",
                         defaults[0]);
    enum b_code r = service_read_file(path, text, cap, ret_n, err);
    if (r == B_OK)
        r = profile_file_read(path, text, *ret_n, &c->service.profile, err);
    return r;
}

static enum b_code write_profile(const struct cli *c, const char *text, size_t n, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    enum b_code r = cli_path(c, "profile.yaml", path, sizeof(path), err);
    if (r != B_OK)
        return r;
    FILE *f = fopen(path, "we");
    bool is_good = f != NULL && fwrite(text, 1, n, f) == n;
    if (f != NULL)
        is_good &= fclose(f) == 0;
    return is_good ? B_OK
                   : b_err_set(err, B_E_CONFIG, (uint32_t)errno, "writing %s: %s", path,
                               strerror(errno));
}

/* --- token
 * ------------------------------------------------------------------------------------------- */

enum b_code cli_make_token(struct cli *c, const char *name, struct b_err *err)
{
    struct service_config *conf = &c->config;
    char dir[CLI_PATH_MAX];
    char part[CLI_PATH_MAX];
    struct vault *v = NULL;
    struct vault_config config = {.establishment = conf->finess, .pin_fd = -1};
    conf->vault[0] = '\0'; /* this token is ours */
    enum b_code r = cli_path(c, name, dir, sizeof(dir), err);
    (void)snprintf(part, sizeof(part), "%.400s/softhsm2.conf", name);
    if (r == B_OK)
        r = cli_path(c, part, conf->softhsm_conf, sizeof(conf->softhsm_conf), err);
    (void)snprintf(part, sizeof(part), "%.400s/pin", name);
    if (r == B_OK)
        r = cli_path(c, part, conf->pin_file, sizeof(conf->pin_file), err);
    if (r == B_OK)
        r = cli_make_dir(dir, err);
    if (r == B_OK)
        r = vault_spawn(&config, &v, err);
    if (r == B_OK)
        r = vault_softhsm_create(v, dir, "Tessere", conf->token_uri, sizeof(conf->token_uri), err);
    vault_free(&v);
    return r;
}

/* --- keys
 * --------------------------------------------------------------------------------------------- */

static enum b_code note_key(struct service_change *k, void *ctx, struct b_err *err)
{
    struct store_generation g;
    return service_note_key(k, ctx, &g, err);
}

static enum b_code note_establishment(struct service_change *k, void *ctx, struct b_err *err)
{
    return service_note_establishment(k, ctx, err);
}

/* The first generation of a role; one that the token has already is taken as it is. */
static enum b_code make_key(struct cli *c, enum key_role role, struct b_err *err)
{
    static struct vault_key keys[64];
    struct vault_key key = {0};
    size_t count = 0;
    enum b_code r = vault_key_list(c->service.vault, keys, B_COUNT(keys), &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if (keys[i].role == role && keys[i].generation == 1)
            key = keys[i];
    }
    if (r == B_OK && key.generation == 0)
        r = vault_key_generate(c->service.vault, role, 1, &key, err);
    if (r == B_OK && !key.is_safe)
        r = b_err_set(err, B_E_KEY_UNSAFE, 0, "key %s of the token", key_role_name(role));
    if (r != B_OK)
        return r;
    char kcv[7];
    b_hex(kcv, key.kcv, sizeof(key.kcv));
    cli_say(c, CLI_PLAIN, _("  key %-5s generation 1, check value %s (%s)\n"), key_role_name(role),
            kcv, key.kcv_method);
    if (c->out != NULL)
        (void)json_object_set_new(c->out, key_role_name(role), json_string(kcv));
    return service_change(&c->service, note_key, &key, err);
}

void cli_establishment(const struct cli *c, struct store_establishment *ret)
{
    const char *name = c->options[CLI_OPT_NAME];
    *ret = (struct store_establishment){.system_len = (uint8_t)strlen(c->config.finess)};
    (void)snprintf(ret->finess, sizeof(ret->finess), "%s", c->config.finess);
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name != NULL ? name : c->config.finess);
    (void)snprintf(ret->profile_id, sizeof(ret->profile_id), "%s", c->service.profile.id);
    /* The system identifier of the diversification: badges of two establishments never share keys,
     * whatever their masters. */
    memcpy(ret->system, ret->finess, ret->system_len);
}

static enum b_code fill_store(struct cli *c, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    struct store_establishment e;
    cli_establishment(c, &e);
    enum b_code r = cli_path(c, "store.db", path, sizeof(path), err);
    if (r == B_OK)
        r = cli_open_store(c, path, true, err);
    if (r == B_OK)
        r = service_change(&c->service, note_establishment, &e, err);
    for (size_t i = 0; r == B_OK && !cli_has(c, CLI_OPT_CEREMONY) && i < KEY_ROLE_ALL; i++)
        r = make_key(c, (enum key_role)i, err);
    bool ignored = false;
    return r == B_OK ? service_home_policy(c->home, &c->service, &ignored, err) : r;
}

/* The token: the one that a service has, or that is named, else the embedded one that a cut init
 * made, else a new one. A name that turned out wrong must not stick. */
static enum b_code find_token(struct cli *c, const char *config_path, struct b_err *err)
{
    char part[CLI_PATH_MAX];
    static struct service_config old;
    (void)snprintf(part, sizeof(part), "%.500s.part", config_path);
    const char *uri = c->options[CLI_OPT_TOKEN];
    const char *vault = c->options[CLI_OPT_VAULT];
    if (uri != NULL && vault != NULL)
        return b_err_set(err, B_E_USAGE, 0, _("--token and --vault exclude each other"));
    if (vault != NULL) {
        (void)snprintf(c->config.vault, sizeof(c->config.vault), "%s", vault);
        return service_config_write(part, &c->config, err);
    }
    if (uri == NULL && service_config_read(part, &old, err) == B_OK &&
        old.softhsm_conf[0] != '\0' && strcmp(old.finess, c->config.finess) == 0) {
        old.in_token = c->config.in_token;
        old.stored = c->config.stored;
        c->config = old;
        return service_config_write(part, &c->config, err);
    }
    if (uri != NULL)
        (void)snprintf(c->config.token_uri, sizeof(c->config.token_uri), "%s", uri);
    if (uri != NULL && cli_has(c, CLI_OPT_PIN_FILE)) {
        /* absolute, as it is kept: the next command may be run from elsewhere */
        char *real = realpath(c->options[CLI_OPT_PIN_FILE], NULL);
        (void)snprintf(c->config.pin_file, sizeof(c->config.pin_file), "%s",
                       real != NULL ? real : c->options[CLI_OPT_PIN_FILE]);
        free(real);
    }
    enum b_code r = uri != NULL ? B_OK : cli_make_token(c, "token", err);
    return r == B_OK ? service_config_write(part, &c->config, err) : r;
}

enum b_code cli_make_home_absolute(struct cli *c, struct b_err *err)
{
    char *real = realpath(c->home, NULL);
    enum b_code r = B_OK;
    if (real == NULL || strlen(real) >= sizeof(c->home))
        r = b_err_set(err, B_E_CONFIG, (uint32_t)errno, "%s: %s", c->home, strerror(errno));
    else
        (void)snprintf(c->home, sizeof(c->home), "%s", real);
    free(real);
    return r;
}

static enum b_code take_roles(struct cli *c, struct b_err *err)
{
    const char *names = c->options[CLI_OPT_IN_TOKEN];
    const char *stored = c->options[CLI_OPT_STORED];
    if (!key_stay_read(names != NULL ? names : "", &c->config.in_token))
        return b_err_set(err, B_E_USAGE, 0,
                         _("--in-token takes roles with commas, such as auth or auth:2, not %.40s"),
                         names);
    if (!key_stay_read(stored != NULL ? stored : "", &c->config.stored))
        return b_err_set(err, B_E_USAGE, 0,
                         _("--stored takes roles with commas, such as auth or auth:2, not %.40s"),
                         stored);
    enum key_role both = key_stay_both(&c->config.in_token, &c->config.stored);
    if (both != KEY_ROLE_COUNT)
        return b_err_set(err, B_E_USAGE, 0, _("--in-token and --stored both name %s"),
                         key_role_name(both));
    c->keeps_in_token = true;
    return B_OK;
}

/* The directory, in which nothing is whole yet. path: of tessere.yaml. */
static enum b_code begin(struct cli *c, char path[static CLI_PATH_MAX], struct b_err *err)
{
    enum b_code r = check_finess(c->options[CLI_OPT_FINESS], err);
    if (r == B_OK)
        r = take_roles(c, err);
    if (r == B_OK)
        r = cli_make_dir(c->home, err);
    if (r == B_OK)
        r = cli_make_home_absolute(c, err);
    if (r == B_OK)
        r = cli_path(c, "tessere.yaml", path, CLI_PATH_MAX, err);
    if (r == B_OK && access(path, F_OK) == 0)
        r = b_err_set(err, B_E_INITIALISED, 0, "%s", path);
    if (r == B_OK)
        (void)snprintf(c->config.finess, sizeof(c->config.finess), "%s",
                       c->options[CLI_OPT_FINESS]);
    return r;
}

static enum b_code finish(const char *path, struct b_err *err)
{
    char part[CLI_PATH_MAX];
    (void)snprintf(part, sizeof(part), "%.500s.part", path);
    return rename(part, path) == 0
               ? B_OK
               : b_err_set(err, B_E_CONFIG, (uint32_t)errno, "%s: %s", path, strerror(errno));
}

enum b_code cli_init(struct cli *c, struct b_err *err)
{
    static char text[65536];
    char path[CLI_PATH_MAX];
    size_t n = 0;
    enum b_code r = read_profile(c, text, sizeof(text), &n, err);
    if (r == B_OK)
        r = begin(c, path, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_BOLD, _("Setting up establishment %s in %s\n"), c->config.finess, c->home);
    r = find_token(c, path, err);
    if (r == B_OK)
        r = cli_open_vault(c, err);
    struct vault_token token;
    if (r == B_OK)
        r = vault_token(c->service.vault, &token, err);
    if (r == B_OK)
        cli_say(c, CLI_PLAIN, _("  token \"%s\" of %s; keys derived by %s\n"), token.label,
                token.manufacturer, token.method);
    if (r == B_OK)
        cli_say_wraps(c, &token);
    if (r == B_OK)
        r = fill_store(c, err);
    if (r == B_OK)
        r = write_profile(c, text, n, err);
    if (r == B_OK)
        r = finish(path, err);
    if (r == B_OK)
        cli_say(c, CLI_GREEN, "%s\n",
                cli_has(c, CLI_OPT_CEREMONY) ? _("Ready. The next step: tessere ceremony init")
                                             : _("Ready. The next step: tessere card scan"));
    return r;
}

enum b_code cli_vault_setup(struct cli *c, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    enum b_code r = begin(c, path, err);
    if (r == B_OK)
        r = find_token(c, path, err);
    if (r == B_OK)
        r = finish(path, err);
    if (r == B_OK)
        cli_say(c, CLI_GREEN,
                _("The vault's service has its token. The next step: tessere init --vault\n"));
    return r;
}
