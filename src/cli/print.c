/* What a person or a program reads. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/text.h"
#include "cli/cli.h"

/* What a server, a card or somebody at the desk gave is among it. */
void cli_say(const struct cli *c, enum cli_color color, const char *fmt, ...)
{
    static const char *const codes[] = {"", "\033[1m", "\033[32m", "\033[33m", "\033[31m"};
    char *text = NULL;
    if (c->out != NULL)
        return;
    va_list ap;
    bool is_colored = c->has_colors && color != CLI_PLAIN;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    b_check(n >= 0);
    va_end(ap);
    b_text_tame(text);
    (void)printf("%s%s%s", is_colored ? codes[color] : "", text, is_colored ? "\033[0m" : "");
    (void)fflush(stdout);
    b_wipe(text, (size_t)n); /* of a ceremony; tamed, it may be shorter */
    free(text);
}

int cli_width(const char *text, int columns)
{
    int continued = 0; /* bytes of UTF-8 that take no column of their own */
    for (const char *p = text; *p != '\0'; p++)
        continued += ((unsigned char)*p & 0xC0) == 0x80;
    return columns + continued;
}

bool cli_ask(const struct cli *c, const char *question)
{
    char answer[16] = "";
    if (cli_has(c, CLI_OPT_YES))
        return true;
    if (c->out != NULL || !isatty(STDIN_FILENO)) {
        (void)fprintf(stderr, "%s\n", _("Nobody can be asked for approval here; --yes gives it."));
        return false;
    }
    cli_say(c, CLI_BOLD, "%s", question);
    /* The first letter of yes, in English or in the person's language. */
    return fgets(answer, sizeof(answer), stdin) != NULL &&
           (answer[0] == 'y' || answer[0] == 'Y' || answer[0] == _("y")[0]);
}

void cli_print_error(const struct cli *c, const struct b_err *err)
{
    if (c->out != NULL) {
        json_t *o =
            json_pack("{s:{s:s, s:s, s:s, s:s, s:i}}", "error", "code", b_code_name(err->code),
                      "text", _(b_code_text(err->code)), "context", err->msg, "remedy",
                      _(b_code_remedy(err->code)), "exit", b_code_exit(err->code));
        /* What the doctor, or who read a list, found. */
        static const char *const found[] = {"checks", "mistakes"};
        for (size_t i = 0; i < B_COUNT(found); i++)
            if (json_object_get(c->out, found[i]) != NULL)
                (void)json_object_set(o, found[i], json_object_get(c->out, found[i]));
        (void)(o != NULL && json_dumpf(o, stdout, JSON_INDENT(2)) == 0 && putchar('\n'));
        json_decref(o);
        return;
    }
    (void)fprintf(stderr, _("tessere: %s: %s\n  -> %s\n"), _(b_code_text(err->code)), err->msg,
                  _(b_code_remedy(err->code)));
}

void cli_say_mistakes(const struct cli *c, const struct service_mistakes *m)
{
    json_t *told = json_array();
    for (size_t i = 0; i < m->count && i < SERVICE_MISTAKES_MAX; i++) {
        (void)json_array_append_new(told, json_string(m->told[i]));
        if (c->out == NULL && m->count > 1)
            (void)fprintf(stderr, "%s\n", m->told[i]);
    }
    size_t more = m->count - json_array_size(told);
    if (c->out == NULL && more > 0)
        (void)fprintf(stderr, ngettext("and %zu more\n", "and %zu more\n", more), more);
    if (c->out != NULL && m->count > 0)
        (void)json_object_set(c->out, "mistakes", told);
    json_decref(told);
}

void cli_time(int64_t at, char *ret, size_t cap)
{
    time_t t = (time_t)at;
    struct tm tm;
    if (at == 0 || localtime_r(&t, &tm) == NULL)
        (void)snprintf(ret, cap, "-");
    else
        (void)strftime(ret, cap, "%Y-%m-%d %H:%M:%S", &tm);
}

void cli_csv_field(const char *text, const char *after)
{
    static char field[2 * STORE_ENTRY_MAX + 4];
    struct b_wr w = b_wr_from(field, sizeof(field));
    b_csv_put(&w, text);
    (void)printf("%.*s%s", (int)w.len, field, after);
}

const char *cli_badge_state(enum store_badge_state st)
{
    static const char *const names[] = {N_("enrolling"), N_("active"), N_("suspended"),
                                        N_("revoked"), N_("blank")};
    return _(names[st]);
}

static void print_generation(char *ret, size_t cap, uint8_t generation)
{
    if (generation == KEY_GENERATION_FACTORY)
        (void)snprintf(ret, cap, "%s", _("factory"));
    else
        (void)snprintf(ret, cap, _("generation %u"), generation);
}

static bool is_key_step(enum profile_step_kind kind)
{
    return kind == PROFILE_STEP_CHANGE_KEY || kind == PROFILE_STEP_CHANGE_CARD_KEY ||
           kind == PROFILE_STEP_RESET_CARD_KEY;
}

/* A step in the person's language: the table's text, then its figures. */
static void print_step(const struct profile_step *s, char *line, size_t cap)
{
    char from[32], to[32], what[64] = "";
    bool is_key = is_key_step(s->kind);
    bool is_numbered = s->kind == PROFILE_STEP_CHANGE_KEY || s->kind == PROFILE_STEP_DELETE_FILE ||
                       s->kind == PROFILE_STEP_CREATE_FILE ||
                       s->kind == PROFILE_STEP_CHANGE_FILE_SETTINGS ||
                       s->kind == PROFILE_STEP_WRITE_FILE;
    print_generation(from, sizeof(from), s->from_generation);
    print_generation(to, sizeof(to), s->to_generation);
    if (s->kind == PROFILE_STEP_CHANGE_KEY)
        (void)snprintf(what, sizeof(what), " %u (%s)", s->no, key_role_name(s->role));
    else if (is_numbered)
        (void)snprintf(what, sizeof(what), " %u", s->no);
    else if (s->aid != 0 && s->kind != PROFILE_STEP_FORMAT)
        (void)snprintf(what, sizeof(what), " %06X", s->aid);
    if (is_key)
        (void)snprintf(line, cap, _("%s%s: from %s to %s"), _(profile_step_text(s->kind)), what,
                       from, to);
    else
        (void)snprintf(line, cap, "%s%s", _(profile_step_text(s->kind)), what);
}

void cli_say_plan(const struct cli *c, const struct profile_plan *plan)
{
    static const enum cli_color colors[] = {CLI_PLAIN, CLI_YELLOW, CLI_RED};
    static const char signs[] = {'-', '!', 'X'};
    char line[160], where[32];
    for (uint8_t i = 0; i < plan->note_count; i++) {
        const struct profile_note *n = &plan->notes[i];
        enum profile_severity severity = profile_note_severity(n->id);
        bool is_file = n->id == PROFILE_NOTE_FILE_MISSING || n->id == PROFILE_NOTE_FILE_DIFFERS;
        if (n->key_no == 0xFF)
            (void)snprintf(where, sizeof(where), "%s", _("card"));
        else
            (void)snprintf(where, sizeof(where), is_file ? _("file %u") : _("key %u"), n->key_no);
        cli_say(c, colors[severity], _("  %c %s: %s\n"), signs[severity], where,
                _(profile_note_text(n->id)));
    }
    if (plan->is_blocked) {
        struct b_err said;
        (void)b_err_hear(&said, plan->blocker.code, 0, plan->blocker.msg);
        cli_say(c, CLI_RED, _("Nothing can be done: %s (%s)\n"), _(b_code_text(said.code)),
                said.msg);
        return;
    }
    if (plan->step_count == 0)
        return;
    cli_say(c, CLI_BOLD, ngettext("Plan, %u step:\n", "Plan, %u steps:\n", plan->step_count),
            plan->step_count);
    for (uint8_t i = 0; i < plan->step_count; i++) {
        print_step(&plan->steps[i], line, sizeof(line));
        cli_say(c, CLI_PLAIN, "  %2d. %s\n", i + 1, line);
    }
}

json_t *cli_json_badge(const struct store_badge *b)
{
    char uid[15], serial[17] = "";
    b_hex(uid, b->uid, sizeof(b->uid));
    memcpy(serial, b->serial, b->serial_len);
    json_t *generations = json_object();
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++)
        (void)json_object_set_new(generations, key_role_name((enum key_role)i),
                                  json_integer(b->generation[i]));
    return json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:b, s:I, "
        "s:b}",
        "id", (json_int_t)b->id, "uid", uid, "serial", serial, "state",
        store_badge_state_name(b->state), "holder", b->holder_name, "ref", b->holder_ref, "profile",
        b->profile_id, "card", df_ev_name((enum df_ev)b->ev), "reason", b->reason, "generations",
        generations, "created_at", (json_int_t)b->created_at, "tapped_at", (json_int_t)b->tapped_at,
        "not_before", (json_int_t)b->not_before, "not_after", (json_int_t)b->not_after, "temporary",
        (int)b->is_temporary, "batch", (json_int_t)b->batch_id, "in_office", (int)b->is_in_office);
}
