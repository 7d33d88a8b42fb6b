/* help, version, completion: all three from the tables. */
#include <string.h>

#include "cli/cli.h"

/* Whether help on the topic shows a command: all without a topic, else one or a whole family. A
 * badge's number after the words does no harm. */
static bool is_on_topic(const struct cli_command *cmd, const char *topic)
{
    size_t n = strlen(topic), words = strlen(cmd->words);
    if (n <= words)
        return strncmp(cmd->words, topic, n) == 0 &&
               (cmd->words[n] == '\0' || cmd->words[n] == ' ' || n == 0);
    return strncmp(cmd->words, topic, words) == 0 && topic[words] == ' ';
}

/* The options that are shown, of all commands or of those on the topic. */
static void list_options(const bool is_shown[static CLI_OPT_COUNT_OF], bool is_global)
{
    char left[64];
    for (size_t i = 0; i < CLI_OPT_COUNT_OF; i++) {
        if (cli_options[i].is_global != is_global || (!is_shown[i] && !is_global))
            continue;
        (void)snprintf(left, sizeof(left), "--%s %s", cli_options[i].name, cli_options[i].argument);
        (void)printf("  %-22s %s\n", left, _(cli_options[i].help));
    }
}

enum b_code cli_help(struct cli *c, struct b_err *err)
{
    char left[64];
    bool is_shown[CLI_OPT_COUNT_OF] = {false}, has_own = false;
    const struct cli_command *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < cli_command_count; i++) {
        if (!is_on_topic(&cli_commands[i], c->topic))
            continue;
        found = &cli_commands[i];
        count++;
        for (size_t o = 0; o < CLI_OPT_COUNT_OF; o++)
            is_shown[o] |=
                c->topic[0] == '\0' || cli_is_listed(cli_commands[i].options, cli_options[o].name);
        has_own |= c->topic[0] == '\0' || cli_commands[i].options[0] != '\0';
    }
    if (found == NULL)
        return b_err_set(err, B_E_USAGE, 0, _("no such command: %.40s"), c->topic);
    if (count == 1)
        (void)printf(_("usage: tessere %s%s%s [OPTIONS]\n\n"), found->words,
                     found->operands[0] != '\0' ? " " : "", found->operands);
    else
        (void)printf("%s\n\n", _("usage: tessere COMMAND [OPTIONS]"));
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *cmd = &cli_commands[i];
        if (!is_on_topic(cmd, c->topic))
            continue;
        (void)snprintf(left, sizeof(left), "%s %s", cmd->words, cmd->operands);
        (void)printf("  %-22s %s\n", left, _(cmd->help));
    }
    if (has_own) {
        (void)printf("\n%s\n", _("options:"));
        list_options(is_shown, false);
    }
    (void)printf("\n%s\n", _("options of every command:"));
    list_options(is_shown, true);
    return B_OK;
}

enum b_code cli_version(struct cli *c, struct b_err *err)
{
    (void)err;
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "version", json_string(TESSERE_VERSION));
    cli_say(c, CLI_PLAIN, "tessere %s\n", TESSERE_VERSION);
    return B_OK;
}

enum b_code cli_completion(struct cli *c, struct b_err *err)
{
    (void)c;
    (void)err;
    (void)printf(
        "# bash completion of tessere: source it, or put it in bash-completion's "
        "completions\n_tessere() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} before=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\"\n"
        "    case $word in\n    --*) COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < CLI_OPT_COUNT_OF; i++)
        (void)printf("--%s ", cli_options[i].name);
    (void)printf("' -- \"$word\")); return ;;\n    esac\n    local words=\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        const char *words = cli_commands[i].words;
        const char *before = i > 0 ? cli_commands[i - 1].words : "";
        for (size_t at = 0, n = 0; words[at] != '\0'; at += n + (words[at + n] == ' ')) {
            n = strcspn(words + at, " ");
            bool is_said = strncmp(before, words, at + n) == 0 && before[at + n] == ' ';
            if (!is_said)
                (void)printf("    [ \"$before\" != '%.*s' ] || words+=' %.*s'\n",
                             (int)(at > 0 ? at - 1 : 0), words, (int)n, words + at);
        }
    }
    (void)printf("    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                 "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$word\"))\n}\n"
                 "complete -F _tessere tessere\n");
    return B_OK;
}
