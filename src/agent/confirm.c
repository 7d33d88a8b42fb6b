/* A person at a terminal is shown what waits for a tap on this station, one after the other, and
 * chooses: tessere-agent(1), confirm. It is a program on the agent's socket as any other. */
#include <errno.h>
#include <libintl.h>
#include <locale.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "agent/confirm.h"
#include "agent/message.h"
#include "pam/pam.h"

#define _(text) gettext(text)

enum { LINE = 64, LATER_MAX = 64, HEAR_S = 10 };

struct person {
    struct pam_ask ask;
    json_t *items; /* of the last list */
    char shown[AGENT_CHALLENGE_MAX + 1];
    char later[LATER_MAX][AGENT_CHALLENGE_MAX + 1]; /* not now; the oldest is forgotten first */
    size_t later_count;
    char line[LINE]; /* what is being typed */
    size_t line_len;
    bool is_choosing, is_tapping, is_typing_pin, is_told_nothing, is_over;
};

/* --- the keyboard ------------------------------------------------------------------------------
 */

static void set_echo(bool is_on)
{
    struct termios t;
    if (tcgetattr(STDIN_FILENO, &t) != 0)
        return; /* no terminal */
    if (is_on)
        t.c_lflag |= (tcflag_t)ECHO;
    else
        t.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

/* What has been typed, as far as it came. True: a whole line is in p->line. */
static bool take_keys(struct person *p)
{
    char c = 0;
    ssize_t n = read(STDIN_FILENO, &c, 1);
    if (n <= 0 && errno != EINTR)
        p->is_over = true;
    if (n <= 0)
        return false;
    if (c != '\n') {
        if (p->line_len < LINE - 1)
            p->line[p->line_len++] = c;
        return false;
    }
    p->line[p->line_len] = '\0';
    p->line_len = 0;
    return true;
}

static enum b_code say(struct person *p, const char *what, const char *name, struct b_err *err)
{
    json_t *m = json_pack("{s:s}", "do", what);
    if (name != NULL)
        (void)json_object_set_new(m, "challenge", json_string(name));
    return pam_ask_say(&p->ask, m, err);
}

/* --- what waits --------------------------------------------------------------------------------
 */

static bool is_for_later(const struct person *p, const char *name)
{
    for (size_t i = 0; i < p->later_count && i < LATER_MAX; i++)
        if (strcmp(p->later[i], name) == 0)
            return true;
    return false;
}

static const json_t *find(const struct person *p, const char *name)
{
    for (size_t i = 0; i < json_array_size(p->items); i++) {
        const json_t *o = json_array_get(p->items, i);
        if (strcmp(pam_answer_text(o, "challenge"), name) == 0)
            return o;
    }
    return NULL;
}

/* A text that cannot be shown whole is not asked for: nobody confirms what they do not see. */
static bool can_be_shown(const json_t *o)
{
    const char *raw = json_string_value(json_object_get(o, "text"));
    const char *name = pam_answer_text(o, "challenge");
    return name[0] != '\0' && strlen(name) <= AGENT_CHALLENGE_MAX && raw != NULL &&
           strcmp(raw, pam_answer_text(o, "text")) == 0;
}

static const json_t *next_item(const struct person *p)
{
    for (size_t i = 0; i < json_array_size(p->items); i++) {
        const json_t *o = json_array_get(p->items, i);
        const char *name = pam_answer_text(o, "challenge");
        if (can_be_shown(o) && !is_for_later(p, name))
            return o;
    }
    return NULL;
}

static void show_next(struct person *p)
{
    const json_t *o = next_item(p);
    p->is_choosing = o != NULL;
    if (o == NULL) {
        if (!p->is_told_nothing)
            (void)puts(_("Nothing waits for a tap."));
        p->is_told_nothing = true;
        return;
    }
    const char *text = pam_answer_text(o, "text");
    bool has_pin = json_is_true(json_object_get(o, "needs_pin"));
    p->is_told_nothing = false;
    (void)snprintf(p->shown, sizeof(p->shown), "%s", pam_answer_text(o, "challenge"));
    (void)printf(_("\n%s asks:\n\n    %s\n\n"), pam_answer_text(o, "party"),
                 text[0] != '\0' ? text : _("to sign in at this station"));
    if (has_pin)
        (void)puts(_("A PIN is needed for it."));
    (void)puts(json_is_true(json_object_get(o, "is_offered"))
                   ? _("c: choose it, Enter: later, q: end")
                   : _("c: choose it, r: refuse it, Enter: later, q: end"));
}

static void put_off(struct person *p)
{
    (void)snprintf(p->later[p->later_count++ % LATER_MAX], sizeof(p->later[0]), "%s", p->shown);
    show_next(p);
}

static enum b_code take_choice(struct person *p, struct b_err *err)
{
    if (strcmp(p->line, "q") == 0) {
        p->is_over = true;
        return B_OK;
    }
    if (!p->is_choosing)
        return B_OK;
    if (strcmp(p->line, "c") == 0 || strcmp(p->line, "r") == 0) {
        p->is_choosing = false;
        return say(p, p->line[0] == 'c' ? "choose" : "refuse", p->shown, err);
    }
    put_off(p);
    return B_OK;
}

static enum b_code take_line(struct person *p, struct b_err *err)
{
    if (!p->is_typing_pin)
        return take_choice(p, err);
    p->is_typing_pin = false;
    set_echo(true);
    enum b_code r =
        p->line[0] != '\0' ? pam_ask_pin(&p->ask, p->line, err) : say(p, "cancel", NULL, err);
    b_wipe(p->line, sizeof(p->line));
    return r;
}

/* --- what the agent says -----------------------------------------------------------------------
 */

static void take_list(struct person *p, const json_t *answer)
{
    json_decref(p->items);
    p->items = json_incref(json_object_get(answer, "items"));
    if (!json_is_true(json_object_get(answer, "server")))
        return; /* it is asked again by the agent, which tells */
    if (p->is_choosing && find(p, p->shown) == NULL)
        (void)puts(_("It does not wait any more."));
    if (!p->is_tapping && (!p->is_choosing || find(p, p->shown) == NULL))
        show_next(p);
}

static void end_tap(struct person *p, const char *text)
{
    if (p->is_typing_pin)
        set_echo(true);
    p->is_tapping = p->is_typing_pin = false;
    (void)puts(text);
    show_next(p);
}

static void take_outcome(struct person *p, const json_t *answer)
{
    (void)puts(pam_answer_text(answer, "sentence"));
    if (json_is_true(json_object_get(answer, "answers"))) {
        p->is_tapping = false;
        (void)puts(_("Confirmed."));
        put_off(p); /* it is in the list until whoever asked has taken the answer */
    } else if (strcmp(pam_answer_text(answer, "outcome"), "ok") == 0) {
        (void)puts(_("This badge does not answer it. It waits for the right one."));
    }
}

static void ask_pin(struct person *p, const json_t *answer)
{
    set_echo(false); /* before anybody is asked: they may be quick */
    p->is_typing_pin = true;
    (void)puts(pam_answer_text(answer, "sentence"));
}

static void take_answer(struct person *p, const json_t *answer)
{
    const char *what = pam_answer_text(answer, "answer");
    if (strcmp(what, "challenges") == 0) {
        take_list(p, answer);
    } else if (strcmp(what, "chosen") == 0) {
        p->is_tapping = true;
        (void)puts(_("Tap your badge."));
    } else if (strcmp(what, "pin") == 0) {
        ask_pin(p, answer);
    } else if (strcmp(what, "outcome") == 0) {
        take_outcome(p, answer);
    } else if (strcmp(what, "refused") == 0) {
        (void)puts(_("Refused."));
        put_off(p);
    } else if (strcmp(what, "cancelled") == 0) {
        end_tap(p, _("Nobody is asked for it now."));
    } else if (strcmp(what, "error") == 0) {
        end_tap(p, pam_answer_text(answer, "sentence"));
    }
}

static enum b_code hear(struct person *p, struct b_err *err)
{
    json_t *answer = NULL;
    enum b_code r = pam_ask_hear(&p->ask, HEAR_S, &answer, err);
    if (r == B_OK)
        take_answer(p, answer);
    json_decref(answer);
    (void)fflush(stdout);
    return r;
}

/* Of whoever sits there, unless they say another. */
static void start_language(const char *language)
{
    const char *dir = getenv("TESSERE_LOCALEDIR");
    if (setlocale(LC_ALL, "") == NULL || language != NULL)
        (void)setlocale(LC_ALL, "C.UTF-8");
    if (language != NULL)
        (void)setenv("LANGUAGE", language, 1);
    (void)bindtextdomain("tessere", dir != NULL ? dir : TESSERE_LOCALEDIR);
    (void)textdomain("tessere");
    (void)bind_textdomain_codeset("tessere", "UTF-8");
}

enum b_code agent_confirm(const struct agent_config *c, const char *language, struct b_err *err)
{
    static struct person p;
    start_language(language);
    const struct passwd *agent = getpwnam("tessere-agent");
    enum b_code r =
        pam_ask_open(c->socket.path, agent != NULL ? agent->pw_uid : geteuid(), &p.ask, err);
    if (r == B_OK)
        r = say(&p, "challenges", NULL, err);
    while (r == B_OK && !p.is_over) {
        struct pollfd from[2] = {{.fd = p.ask.fd, .events = POLLIN},
                                 {.fd = STDIN_FILENO, .events = POLLIN}};
        if (poll(from, B_COUNT(from), -1) < 0)
            break; /* by a signal: the terminal is put in order first */
        if (from[0].revents != 0)
            r = hear(&p, err);
        if (r == B_OK && from[1].revents != 0 && take_keys(&p))
            r = take_line(&p, err);
        (void)fflush(stdout);
    }
    if (p.is_typing_pin)
        set_echo(true);
    b_wipe(p.line, sizeof(p.line));
    json_decref(p.items);
    pam_ask_close(&p.ask);
    return r;
}
