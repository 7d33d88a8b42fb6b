/* tessere: options, dispatch, exit status. */
#include <locale.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

const struct cli_command cli_commands[] = {
#define CLI(words, operands, options, function, help) {words, operands, options, help, function},
#include "cli/cli.def"
#undef CLI
};
const size_t cli_command_count = B_COUNT(cli_commands);

const struct cli_option_row cli_options[] = {
#define CLI_OPTION(name, argument, is_global, help) {name, argument, help, is_global},
#include "cli/options.def"
#undef CLI_OPTION
};
static_assert(B_COUNT(cli_options) == CLI_OPT_COUNT_OF, "options.def and enum cli_option agree");

static volatile sig_atomic_t is_stopped;

static void stop(int signal)
{
    (void)signal;
    is_stopped = 1;
}

bool cli_is_stopped(void *ctx)
{
    (void)ctx;
    return is_stopped != 0;
}

/* --- arguments
 * ------------------------------------------------------------------------------------- */

/* Whether `name` is one of the words of a space-separated list. */
bool cli_is_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += n) {
        bool starts = at == list || at[-1] == ' ';
        if (starts && (at[n] == ' ' || at[n] == '\0'))
            return true;
    }
    return false;
}

static enum b_code take_option(struct cli *c, int argc, char **argv, int *at, struct b_err *err)
{
    const char *text = argv[*at] + 2;
    const char *equals = strchr(text, '=');
    size_t n = equals != NULL ? (size_t)(equals - text) : strlen(text);
    for (size_t i = 0; i < CLI_OPT_COUNT_OF; i++) {
        const struct cli_option_row *o = &cli_options[i];
        if (strlen(o->name) != n || strncmp(o->name, text, n) != 0)
            continue;
        if (o->argument[0] == '\0' && equals != NULL)
            return b_err_set(err, B_E_USAGE, 0, _("--%s takes no argument"), o->name);
        if (o->argument[0] != '\0' && equals == NULL && *at + 1 >= argc)
            return b_err_set(err, B_E_USAGE, 0, _("--%s needs an argument: %s"), o->name,
                             o->argument);
        if (o->argument[0] == '\0')
            c->options[i] = "";
        else
            c->options[i] = equals != NULL ? equals + 1 : argv[++*at];
        return B_OK;
    }
    return b_err_set(err, B_E_USAGE, 0, _("no such option: --%.40s"), text);
}

/* What help is asked about: the words of a command, or of its family. */
static void set_topic(struct cli *c, const char *const *words, size_t n, bool has_help)
{
    const char *first = has_help && n > 0 ? words[1] : n > 0 ? words[0] : NULL;
    const char *second = has_help && n > 1 ? words[2] : n > 1 ? words[1] : NULL;
    if (first != NULL)
        (void)snprintf(c->topic, sizeof(c->topic), "%.30s%s%.30s", first, second != NULL ? " " : "",
                       second != NULL ? second : "");
}

static enum b_code find_command(struct cli *c, const char *const *words, size_t n,
                                const struct cli_command **ret, struct b_err *err)
{
    char two[64];
    char three[96];
    (void)snprintf(two, sizeof(two), "%.30s%s%.30s", words[0], n > 1 ? " " : "",
                   n > 1 ? words[1] : "");
    (void)snprintf(three, sizeof(three), "%.62s%s%.30s", two, n > 2 ? " " : "",
                   n > 2 ? words[2] : "");
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *cmd = &cli_commands[i];
        size_t used = strcmp(cmd->words, words[0]) == 0         ? 1
                      : strcmp(cmd->words, two) == 0            ? 2
                      : n > 2 && strcmp(cmd->words, three) == 0 ? 3
                                                                : 0;
        if (used == 0)
            continue;
        size_t wants = cmd->operands[0] == '\0' ? 0 : strchr(cmd->operands, ' ') == NULL ? 1 : 2;
        if (n < used + wants)
            return b_err_set(err, B_E_USAGE, 0, _("tessere %s needs %s"), cmd->words,
                             cmd->operands);
        if (n > used + wants)
            return b_err_set(err, B_E_USAGE, 0, _("too many arguments: %.40s"), words[n - 1]);
        c->operand = wants > 0 ? words[used] : NULL;
        c->second = wants > 1 ? words[used + 1] : NULL;
        *ret = cmd;
        return B_OK;
    }
    return b_err_set(err, B_E_USAGE, 0, _("no such command: %.40s"), two);
}

/* Splits the arguments into options, the words of a command, and its operand. */
static enum b_code parse(struct cli *c, int argc, char **argv, const struct cli_command **ret,
                         struct b_err *err)
{
    const char *words[5] = {NULL}; /* the last stays NULL */
    size_t n = 0;
    bool asks_help = false;
    for (int i = 1; i < argc; i++) {
        bool is_help = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
        if (is_help || (strncmp(argv[i], "--", 2) == 0 && argv[i][2] != '\0')) {
            bool is_version = strcmp(argv[i], "--version") == 0;
            enum b_code r = is_help || is_version ? B_OK : take_option(c, argc, argv, &i, err);
            if (r != B_OK)
                return r;
            asks_help |= is_help;
            if (is_version && n + 1 < B_COUNT(words))
                words[n++] = "version";
        } else if (n + 1 < B_COUNT(words)) {
            words[n++] = argv[i];
        } else {
            return b_err_set(err, B_E_USAGE, 0, _("too many arguments: %.40s"), argv[i]);
        }
    }
    if (n == 0 || asks_help || strcmp(words[0], "help") == 0) {
        set_topic(c, words, n, !asks_help);
        words[0] = "help";
        n = 1;
    }
    return find_command(c, words, n, ret, err);
}

static enum b_code check_options(const struct cli *c, const struct cli_command *cmd,
                                 struct b_err *err)
{
    b_check(cmd != NULL);
    for (size_t i = 0; i < CLI_OPT_COUNT_OF; i++) {
        const struct cli_option_row *o = &cli_options[i];
        if (c->options[i] != NULL && !o->is_global && !cli_is_listed(cmd->options, o->name))
            return b_err_set(err, B_E_USAGE, 0, _("tessere %s takes no --%s"), cmd->words, o->name);
    }
    return B_OK;
}

/* --- home
 * ------------------------------------------------------------------------------------------- */

static const char server_home[] = "/var/lib/tessere";

/* The server's own user finds the server's establishment, its home directory, as root does. */
static bool is_servers_user(void)
{
    const struct passwd *p = getpwuid(geteuid());
    return p != NULL && strcmp(p->pw_dir, server_home) == 0;
}

static void find_home(struct cli *c)
{
    const char *given = c->options[CLI_OPT_HOME];
    const char *env = getenv("TESSERE_HOME");
    const char *data = getenv("XDG_DATA_HOME");
    const char *user = getenv("HOME");
    if (given != NULL || env != NULL)
        (void)snprintf(c->home, sizeof(c->home), "%s", given != NULL ? given : env);
    else if (geteuid() == 0 || is_servers_user())
        (void)snprintf(c->home, sizeof(c->home), "%s", server_home);
    else if (data != NULL)
        (void)snprintf(c->home, sizeof(c->home), "%s/tessere", data);
    else
        (void)snprintf(c->home, sizeof(c->home), "%s/.local/share/tessere",
                       user != NULL ? user : "");
}

/* True in the tree that built this program, where the translations are in that tree too. An
 * installed program reads none from there: somebody else may have come to own that path. */
static bool is_in_build_tree(void)
{
    char self[CLI_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    size_t root = strlen(TESSERE_BUILD_ROOT);
    return n > (ssize_t)root && strncmp(self, TESSERE_BUILD_ROOT, root) == 0 && self[root] == '/';
}

static bool wants_french(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < B_COUNT(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strncmp(value, "fr", 2) == 0;
    }
    return false;
}

static void start_language(void)
{
    const char *dir = getenv("TESSERE_LOCALEDIR");
    /* A small system may not have made the person's locale; their language is spoken all the same.
     */
    if (setlocale(LC_ALL, "") == NULL && wants_french()) {
        (void)setlocale(LC_ALL, "C.UTF-8");
        const char *languages = getenv("LANGUAGE");
        if (languages == NULL || languages[0] == '\0')
            (void)setenv("LANGUAGE", "fr", 1);
    }
    (void)setlocale(LC_NUMERIC, "C"); /* JSON has no decimal comma */
    if (dir == NULL)
        dir = is_in_build_tree() ? TESSERE_BUILD_ROOT "/po" : TESSERE_LOCALEDIR;
    (void)bindtextdomain("tessere", dir);
    (void)textdomain("tessere");
    (void)bind_textdomain_codeset("tessere", "UTF-8");
}

/* gettext finds its own header for the empty text. */
static const char *in_their_language(const char *text)
{
    return text[0] != '\0' ? _(text) : text;
}

static int answer(struct cli *c, enum b_code r, const struct b_err *err)
{
    if (r != B_OK)
        cli_print_error(c, err);
    else if (c->out != NULL && json_object_size(c->out) + json_array_size(c->out) > 0)
        (void)(json_dumpf(c->out, stdout, JSON_INDENT(2)) == 0 && putchar('\n'));
    json_decref(c->out);
    return r == B_OK ? 0 : b_code_exit(r);
}

int main(int argc, char **argv)
{
    static struct cli c;
    struct b_err err = {0};
    const struct cli_command *cmd = NULL;
    start_language();
    (void)umask(077); /* holders' names are nobody else's business */
    (void)signal(SIGPIPE, SIG_IGN);
    struct sigaction on_interrupt = {.sa_handler = stop};
    (void)sigaction(SIGINT, &on_interrupt, NULL);
    (void)sigaction(SIGTERM, &on_interrupt, NULL);
    enum b_code r = parse(&c, argc, argv, &cmd, &err);
    c.has_colors =
        isatty(STDOUT_FILENO) && !cli_has(&c, CLI_OPT_NO_COLOR) && getenv("NO_COLOR") == NULL;
    if (cli_has(&c, CLI_OPT_JSON))
        c.out = json_object();
    else
        b_err_speak(in_their_language);
    if (r == B_OK)
        r = check_options(&c, cmd, &err);
    find_home(&c);
    if (r == B_OK)
        r = cmd->fn(&c, &err);
    cli_close(&c);
    if (fflush(stdout) != 0 && r == B_OK)
        r = b_err_set(&err, B_E_SYSTEM, 0, "writing the answer");
    return answer(&c, r, &err);
}
