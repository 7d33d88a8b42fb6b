/* What PAM calls, and the conversation with the person. */
#include <libintl.h>
#include <locale.h>
#include <pwd.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <security/pam_modutil.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "pam/pam.h"

#define N_(text) text
#define EXPORT __attribute__((visibility("default")))

enum {
    ANSWER_S = 10,   /* for what the agent knows by itself */
    VERDICT_S = 30,  /* beyond the wait for a card: reading it, and the server */
    ANSWERS = 24,    /* in one attempt, at most */
    TAPS = 3,        /* of a badge that was lifted too soon */
    PIN_LOOKS = 3,   /* at a PIN that cannot be one */
    REFUSALS = 50,   /* before one greeter, at most */
    ENTER_S = 20,    /* from a tap to the Enter that it was for */
    ACCOUNTS = 1000, /* uids below are the system's, which only a list gives to a person */
    KEYS_MAX = 65536,
};

enum screen { SHOWS_NOTHING, SHOWS_REQUEST, SHOWS_REASON };

struct attempt {
    pam_handle_t *pamh;
    bool is_silent;
    bool has_asked;     /* something, and it was answered */
    bool may_go_on;     /* another badge may come */
    enum screen screen; /* what stands there, of ours */
    struct pam_options o;
    struct pam_ask ask;
    json_t *keys;
    char station[64];
    char challenge[48];
    char said[256]; /* the agent's sentence on how it ended */
    char subject[PAM_SUBJECT_MAX + 1];
};

static const struct {
    enum b_code code;
    int pam;
    const char *sentence;
} results[] = {
#define PAM_RESULT(code, pam, sentence) {code, pam, sentence},
#include "pam/result.def"
#undef PAM_RESULT
};

/* --- what the person is told -------------------------------------------------------------------
 */

/* In the language of the line in /etc/pam.d, whatever the program around us speaks. */
static const char *translate(const struct attempt *a, const char *text)
{
    locale_t base = a->o.language != NULL ? duplocale(uselocale((locale_t)0)) : (locale_t)0;
    const char *name =
        base != (locale_t)0 && strcmp(a->o.language, "fr") == 0 ? "fr_FR.UTF-8" : "C";
    locale_t own = base != (locale_t)0 ? newlocale(LC_MESSAGES_MASK, name, base) : (locale_t)0;
    if (own == (locale_t)0) { /* none is wanted, or this system does not have it */
        if (base != (locale_t)0)
            freelocale(base);
        return dgettext("tessere", text);
    }
    locale_t before = uselocale(own);
    text = dgettext("tessere", text);
    (void)uselocale(before);
    freelocale(own);
    return text;
}

static void tell(const struct attempt *a, int style, const char *text)
{
    if (!a->is_silent && text[0] != '\0')
        (void)pam_prompt(a->pamh, style, NULL, "%s", text);
}

static int refuse(struct attempt *a, int pam, const char *sentence)
{
    a->may_go_on = true;
    a->screen = SHOWS_REASON;
    tell(a, PAM_ERROR_MSG, translate(a, sentence));
    return pam;
}

/* LightDM's greeters show what they are told, and of a question the field alone. */
static void announce(const struct attempt *a, const char *text)
{
    if (a->o.is_greeter)
        tell(a, PAM_TEXT_INFO, translate(a, text));
}

static size_t row_of(enum b_code code)
{
    size_t i = 0;
    while (i < B_COUNT(results) && results[i].code != code)
        i++;
    return i;
}

/* The server's own, when there is one. */
static const char *sentence_of(const struct attempt *a, enum b_code code)
{
    size_t i = row_of(code);
    const char *ours = i < B_COUNT(results) ? results[i].sentence : N_("Badge refused.");
    return a->said[0] != '\0' || ours[0] == '\0' ? a->said : translate(a, ours);
}

/* A badge that was lifted too soon or misread is put down again: nobody was refused. */
static bool may_come_again(enum b_code r)
{
    return r == B_E_CARD_REMOVED || r == B_E_CHANNEL || r == B_E_NOT_FOUND || r == B_E_VAULT_BUSY;
}

static bool is_refusal(int pam)
{
    return pam == PAM_AUTH_ERR || pam == PAM_PERM_DENIED || pam == PAM_CRED_INSUFFICIENT ||
           pam == PAM_MAXTRIES;
}

static int end(struct attempt *a, enum b_code code, const struct b_err *err)
{
    size_t i = row_of(code);
    int status = b_code_exit(code);
    bool is_trouble = status == 4 || status == 6 || status == 7;
    int other = is_trouble ? PAM_AUTHINFO_UNAVAIL : PAM_AUTH_ERR;
    int pam = i < B_COUNT(results) ? results[i].pam : other;
    a->may_go_on = may_come_again(code) || (is_refusal(pam) && code != B_E_ASSERTION_BAD);
    a->screen = SHOWS_REASON;
    pam_syslog(a->pamh, code == B_E_ASSERTION_BAD ? LOG_ALERT : LOG_NOTICE, "%s: %s",
               b_code_name(code), err->msg);
    tell(a, PAM_ERROR_MSG, sentence_of(a, code));
    return pam;
}

/* --- what the person is asked ------------------------------------------------------------------
 */

static void forget(char *typed)
{
    if (typed != NULL)
        b_wipe(typed, strlen(typed));
    free(typed);
}

/* *ret: what was typed, unseen; forget() it. */
static int ask(struct attempt *a, const char *question, char **ret)
{
    int r = pam_prompt(a->pamh, PAM_PROMPT_ECHO_OFF, ret, "%s", translate(a, question));
    if (r == PAM_SUCCESS && *ret == NULL)
        r = PAM_CONV_ERR;
    a->has_asked = a->has_asked || r == PAM_SUCCESS;
    return r;
}

static bool has_entered(struct attempt *a, const char *question)
{
    char *typed = NULL;
    int r = ask(a, question, &typed);
    forget(typed);
    return r == PAM_SUCCESS;
}

/* --- the PIN -----------------------------------------------------------------------------------
 */

static bool is_pin(const char *text)
{
    size_t n = strlen(text);
    return n >= 1 && n <= PAM_PIN_MAX && strspn(text, "0123456789") == n;
}

/* What is no PIN does not leave this process: it may be a password that was typed here. */
static enum b_code give_pin(struct attempt *a, struct b_err *err)
{
    for (unsigned i = 0; i < PIN_LOOKS; i++) {
        char *typed = NULL;
        int r = ask(a, N_("Badge PIN: "), &typed);
        if (r != PAM_SUCCESS) {
            forget(typed);
            return b_err_set(err, B_E_CANCELLED, (uint32_t)r, "no PIN was typed: %s",
                             pam_strerror(a->pamh, r));
        }
        bool is_empty = typed[0] == '\0';
        bool is_one = is_pin(typed);
        enum b_code sent = is_one ? pam_ask_pin(&a->ask, typed, err) : B_OK;
        forget(typed);
        if (is_one)
            return sent;
        if (is_empty)
            break;
        tell(a, PAM_ERROR_MSG, translate(a, N_("A PIN is digits only.")));
    }
    return b_err_set(err, B_E_PIN_REQUIRED, 0, "no PIN was typed");
}

/* --- the tap -----------------------------------------------------------------------------------
 */

/* One question that the agent answers by itself. */
static enum b_code inquire(const struct attempt *a, const char *what, json_t **ret,
                           struct b_err *err)
{
    enum b_code r = pam_ask_say(&a->ask, json_pack("{s:s}", "do", what), err);
    if (r == B_OK)
        r = pam_ask_hear(&a->ask, ANSWER_S, ret, err);
    if (r != B_OK || strcmp(pam_answer_text(*ret, "answer"), what) == 0)
        return r;
    r = b_code_of(pam_answer_text(*ret, "code"), B_E_REFUSED);
    json_decref(*ret);
    *ret = NULL;
    return b_err_set(err, r == B_OK ? B_E_AGENT_GONE : r, 0, "the agent does not tell its %s",
                     what);
}

static enum b_code take_status(struct attempt *a, struct b_err *err)
{
    json_t *status = NULL;
    enum b_code r = inquire(a, "status", &status, err);
    if (r != B_OK)
        return r;
    const char *station = a->o.station != NULL ? a->o.station : pam_answer_text(status, "station");
    if (json_array_size(json_object_get(status, "readers")) == 0)
        r = b_err_set(err, B_E_NO_READER, 0, "the agent has no reader");
    else if (!json_is_true(json_object_get(status, "server")) || station[0] == '\0')
        r = b_err_set(err, B_E_SERVER_GONE, 0, "the agent does not reach its server");
    (void)snprintf(a->station, sizeof(a->station), "%s", station);
    json_decref(status);
    return r;
}

static enum b_code take_keys(struct attempt *a, struct b_err *err)
{
    char *text = NULL;
    json_error_t why;
    if (a->o.keys == NULL)
        return inquire(a, "keys", &a->keys, err);
    enum b_code r = pam_file_read(a->o.keys, KEYS_MAX, &text, err);
    if (r != B_OK)
        return r;
    a->keys = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    free(text);
    return a->keys != NULL ? B_OK : b_err_set(err, B_E_CONFIG, 0, "%s: this is no JSON", a->o.keys);
}

static enum b_code prepare(struct attempt *a, struct b_err *err)
{
    uint8_t random[32];
    const struct passwd *agent = pam_modutil_getpwnam(a->pamh, a->o.agent);
    enum b_code r = pam_ask_open(a->o.socket, agent != NULL ? agent->pw_uid : 0, &a->ask, err);
    if (r == B_OK && getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        r = b_err_set(err, B_E_SYSTEM, 0, "no random numbers");
    if (r != B_OK)
        return r;
    b_check(b_base64url(a->challenge, sizeof(a->challenge), random, sizeof(random)));
    r = take_status(a, err);
    return r == B_OK ? take_keys(a, err) : r;
}

/* How it ended: B_OK when the agent says that somebody was let in, which proves nothing yet. */
static enum b_code take_end(struct attempt *a, const json_t *answer, struct b_err *err)
{
    bool is_outcome = strcmp(pam_answer_text(answer, "answer"), "outcome") == 0;
    const char *name = pam_answer_text(answer, is_outcome ? "outcome" : "code");
    enum b_code r = b_code_of(name, B_E_REFUSED);
    if (r == B_OK && is_outcome)
        return B_OK;
    const char *sentence = pam_answer_text(answer, "sentence");
    if (is_outcome && strcmp(sentence, b_code_text(r)) != 0) /* that is the agent's, for programs */
        (void)snprintf(a->said, sizeof(a->said), "%s", sentence);
    return b_err_set(err, r == B_OK ? B_E_AGENT_GONE : r, 0, "the agent says %s", name);
}

/* From "waiting" to the end; *ret_end: the last answer, when it is one. */
static enum b_code follow(struct attempt *a, json_t **ret_end, struct b_err *err)
{
    unsigned seconds = a->o.timeout + VERDICT_S;
    for (unsigned i = 0, pins = 0; i < ANSWERS; i++) {
        json_t *answer = NULL;
        enum b_code r = pam_ask_hear(&a->ask, seconds, &answer, err);
        if (r != B_OK)
            return r;
        const char *kind = pam_answer_text(answer, "answer");
        if (strcmp(kind, "pin") == 0) {
            if (pins++ > 0)
                tell(a, PAM_ERROR_MSG, pam_answer_text(answer, "sentence"));
            else
                announce(a, N_("Type the PIN of your badge, then press Enter."));
            r = give_pin(a, err);
        } else if (strcmp(kind, "outcome") == 0 || strcmp(kind, "error") == 0) {
            *ret_end = answer;
            return take_end(a, answer, err);
        } else if (strcmp(kind, "waiting") != 0) {
            r = b_err_set(err, B_E_AGENT_GONE, 0, "the agent answers what was not asked");
        }
        json_decref(answer);
        if (r != B_OK)
            return r;
    }
    return b_err_set(err, B_E_AGENT_GONE, 0, "the agent comes to no end");
}

/* Waits for the badge, and once more when it may come again. */
static enum b_code wait_for_badge(struct attempt *a, json_t **ret_end, struct b_err *err)
{
    enum b_code r = B_OK;
    for (unsigned i = 0; i < TAPS; i++) {
        if (i > 0)
            tell(a, PAM_TEXT_INFO, sentence_of(a, r));
        a->said[0] = '\0';
        json_decref(*ret_end);
        *ret_end = NULL;
        r = pam_ask_say(&a->ask,
                        json_pack("{s:s, s:i, s:s}", "do", "tap", "seconds", (int)a->o.timeout,
                                  "challenge", a->challenge),
                        err);
        if (r == B_OK)
            r = follow(a, ret_end, err);
        if (!may_come_again(r))
            break;
    }
    return r;
}

/* A tap and its proof; a->subject: whose it was. The person is asked even by programs that want
 * silence, as sudo(8) does: they would wait for nothing. */
static enum b_code tap(struct attempt *a, struct b_err *err)
{
    json_t *last = NULL;
    enum b_code r = prepare(a, err);
    if (r == B_OK && a->screen == SHOWS_NOTHING) {
        (void)pam_prompt(a->pamh, PAM_TEXT_INFO, NULL, "%s",
                         a->o.prompt != NULL ? a->o.prompt
                                             : translate(a, N_("Present your badge.")));
        a->screen = SHOWS_REQUEST;
    }
    if (r == B_OK)
        r = wait_for_badge(a, &last, err);
    if (r == B_OK) {
        const char *jwt = json_string_value(json_object_get(last, "assertion"));
        const struct pam_wanted wanted = {.challenge = a->challenge,
                                          .station = a->station,
                                          .needs_pin = a->o.needs_pin,
                                          .now = (int64_t)time(NULL)};
        r = pam_assertion_check(jwt != NULL ? jwt : "", a->keys, &wanted, a->subject, err);
    }
    json_decref(last);
    return r;
}

/* --- whose account -----------------------------------------------------------------------------
 */

static void drop(pam_handle_t *pamh, void *data, int status)
{
    (void)pamh;
    (void)status;
    free(data);
}

static time_t now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* LightDM's greeters open a session by themselves only if something was typed. Who taps and walks
 * away does not leave it to whoever presses Enter next. */
static int open_greeter(struct attempt *a)
{
    time_t since = now_s();
    if (!a->o.is_greeter || a->has_asked)
        return PAM_SUCCESS;
    announce(a, N_("Badge accepted. Press Enter."));
    bool is_there = has_entered(a, N_("Press Enter: "));
    if (!is_there)
        return PAM_CONV_ERR;
    return now_s() - since <= ENTER_S ? PAM_SUCCESS
                                      : refuse(a, PAM_AUTH_ERR, N_("Too slow. Tap again."));
}

static int let_in(struct attempt *a, const char *user)
{
    int entered = open_greeter(a);
    if (entered != PAM_SUCCESS)
        return entered;
    int r = pam_set_item(a->pamh, PAM_USER, user);
    char *kept = r == PAM_SUCCESS ? strdup(user) : NULL;
    if (kept == NULL)
        return PAM_BUF_ERR;
    r = pam_set_data(a->pamh, "tessere-user", kept, drop);
    if (r != PAM_SUCCESS)
        free(kept);
    else
        pam_syslog(a->pamh, LOG_INFO, "the badge of %s lets in %s", a->subject, user);
    return r;
}

static int judge_account(struct attempt *a, const char *user)
{
    char own[PAM_USER_MAX + 1];
    struct b_err err;
    enum b_code r = B_OK;
    if (user == NULL) {
        r = pam_map_find(a->o.map, a->subject, own, &err);
        user = own;
    }
    const struct passwd *account = r == B_OK ? pam_modutil_getpwnam(a->pamh, user) : NULL;
    if (r == B_OK && account != NULL)
        r = pam_map_check(a->o.map, a->subject, user, account->pw_gecos, &err);
    if (r == B_E_NOT_FOUND || (r == B_OK && account == NULL)) {
        pam_syslog(a->pamh, LOG_NOTICE, "%s has no account here", a->subject);
        return refuse(a, PAM_USER_UNKNOWN, N_("This badge has no account on this computer."));
    }
    if (r == B_OK && account->pw_uid < ACCOUNTS && !pam_map_is_list(a->o.map))
        r = b_err_set(&err, B_E_OTHER_HOLDER, 0,
                      "%s is an account of the system: it needs a list (map=)", user);
    return r == B_OK ? let_in(a, user) : end(a, r, &err);
}

/* Who is to be let in; NULL: whoever the badge says. */
static int find_user(const struct attempt *a, const char **ret)
{
    const char *user = NULL;
    if (!a->o.takes_user) {
        int r = pam_get_user(a->pamh, ret, NULL);
        return r == PAM_CONV_AGAIN ? PAM_INCOMPLETE : r;
    }
    const void *item = NULL;
    if (pam_get_item(a->pamh, PAM_USER, &item) == PAM_SUCCESS)
        user = item;
    bool is_known = user != NULL && pam_modutil_getpwnam(a->pamh, user) != NULL;
    *ret = is_known ? user : NULL;
    return PAM_SUCCESS;
}

/* Somebody far away could have the next tap of whoever stands at the reader. sudo(8) names this
 * machine. */
static bool is_far(const struct attempt *a)
{
    char own[256] = "";
    (void)gethostname(own, sizeof(own) - 1);
    const char *const near[] = {"", "localhost", "127.0.0.1", "::1", own};
    const void *item = NULL;
    if (a->o.is_remote_too || pam_get_item(a->pamh, PAM_RHOST, &item) != PAM_SUCCESS ||
        item == NULL)
        return false;
    for (size_t i = 0; i < B_COUNT(near); i++)
        if (strcmp(item, near[i]) == 0)
            return false;
    return true;
}

/* Somebody typed a name, of an account or not. */
static bool is_named(const struct attempt *a)
{
    const void *item = NULL;
    const char *name = pam_get_item(a->pamh, PAM_USER, &item) == PAM_SUCCESS ? item : NULL;
    return name != NULL && name[0] != '\0';
}

/* user: NULL, the badge says who comes. A greeter that nobody stands at has nothing to tell. */
static int judge_badge(struct attempt *a, const char *user)
{
    struct b_err err = {.msg = ""};
    time_t since = now_s();
    a->said[0] = '\0'; /* of the badge before */
    enum b_code code = tap(a, &err);
    bool is_alone = a->o.is_greeter && !is_named(a) && code == B_E_NO_CARD &&
                    now_s() - since + 1 >= (time_t)a->o.timeout;
    pam_ask_close(&a->ask);
    json_decref(a->keys);
    a->keys = NULL;
    a->may_go_on = is_alone;
    if (is_alone && a->screen == SHOWS_REASON)
        a->screen = SHOWS_NOTHING;
    if (is_alone)
        return PAM_AUTHINFO_UNAVAIL;
    return code == B_OK ? judge_account(a, user) : end(a, code, &err);
}

/* Before a greeter a refusal stays on the screen and the next badge is waited for. LightDM's would
 * cover it with their own words, and then wait for a click. */
static int judge_badges(struct attempt *a, const char *user)
{
    int r = PAM_AUTH_ERR;
    for (unsigned refusals = 0; refusals < REFUSALS; refusals += a->screen == SHOWS_REASON) {
        r = judge_badge(a, user);
        if (!a->o.is_greeter || !a->may_go_on)
            break;
    }
    return r;
}

static int authenticate(struct attempt *a)
{
    const char *user = NULL;
    int r = find_user(a, &user);
    if (r != PAM_SUCCESS)
        return r;
    if (is_far(a)) {
        pam_syslog(a->pamh, LOG_INFO, "no badge for somebody who comes over the network");
        return PAM_AUTHINFO_UNAVAIL;
    }
    if (a->o.waits_enter && !has_entered(a, N_("Press Enter, then present your badge: ")))
        return PAM_CONV_ERR;
    return judge_badges(a, user);
}

/* --- what PAM calls ----------------------------------------------------------------------------
 */

EXPORT int pam_sm_authenticate(pam_handle_t *pamh, int flags, int count, const char **words)
{
    struct attempt a = {.pamh = pamh,
                        .is_silent = ((unsigned)flags & PAM_SILENT) != 0,
                        .ask = {.fd = -1, .signals = -1}};
    struct b_err err;
    (void)bindtextdomain("tessere", TESSERE_LOCALEDIR);
    (void)bind_textdomain_codeset("tessere", "UTF-8");
    enum b_code r = pam_options_read(count, words, &a.o, &err);
    return r == B_OK ? authenticate(&a) : end(&a, r, &err);
}

EXPORT int pam_sm_setcred(pam_handle_t *pamh, int flags, int count, const char **words)
{
    (void)pamh, (void)flags, (void)count, (void)words;
    return PAM_SUCCESS;
}

/* The server has judged badge and holder at the tap; what is left is that it is still this user. */
EXPORT int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int count, const char **words)
{
    const void *let_in_as = NULL;
    const void *user = NULL;
    (void)flags, (void)count, (void)words;
    if (pam_get_data(pamh, "tessere-user", &let_in_as) != PAM_SUCCESS || let_in_as == NULL)
        return PAM_IGNORE; /* somebody else's word, such as a password, let them in */
    if (pam_get_item(pamh, PAM_USER, &user) != PAM_SUCCESS || user == NULL)
        return PAM_PERM_DENIED;
    return strcmp(user, let_in_as) == 0 ? PAM_SUCCESS : PAM_PERM_DENIED;
}

EXPORT int pam_sm_open_session(pam_handle_t *pamh, int flags, int count, const char **words)
{
    (void)pamh, (void)flags, (void)count, (void)words;
    return PAM_SUCCESS;
}

EXPORT int pam_sm_close_session(pam_handle_t *pamh, int flags, int count, const char **words)
{
    (void)pamh, (void)flags, (void)count, (void)words;
    return PAM_SUCCESS;
}
