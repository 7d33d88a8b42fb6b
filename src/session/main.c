/* tessere-session: one tap, as tessere-agent(1) tells it to its hooks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/about.h"
#include "base/file.h"
#include "pam/pam.h"
#include "session/session.h"

enum { REMEMBERED_MAX = 512 };

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The identity is read by shells too: nothing in it means anything to them. */
static bool is_plain(const char *subject)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-";
    return subject[0] != '\0' && strlen(subject) <= PAM_SUBJECT_MAX &&
           strspn(subject, good) == strlen(subject);
}

/* --- what is remembered between two taps -------------------------------------------------------
 */

struct memory {
    char last[PAM_SUBJECT_MAX + 1];
    int64_t at_ms;
    char identity[PAM_SUBJECT_MAX + 1];
};

static void recall(const struct session_config *c, struct memory *ret)
{
    char path[SESSION_PATH_MAX + 16];
    char *text = NULL;
    size_t n = 0;
    struct b_err ignored;
    char *end = NULL;
    *ret = (struct memory){.last = ""};
    (void)snprintf(path, sizeof(path), "%s/last", c->state);
    if (b_file_read(path, REMEMBERED_MAX, &text, &n, &ignored) == B_OK) {
        ret->at_ms = strtoll(text, &end, 10);
        (void)!sscanf(end, " %63s", ret->last);
    }
    free(text);
    text = NULL;
    (void)snprintf(path, sizeof(path), "%s/identity", c->state);
    if (b_file_read(path, REMEMBERED_MAX, &text, &n, &ignored) == B_OK)
        (void)!sscanf(text, "TESSERE_SUBJECT=%63s", ret->identity);
    free(text);
}

static enum b_code remember_tap(const struct session_config *c, const char *subject,
                                struct b_err *err)
{
    char path[SESSION_PATH_MAX + 16];
    char text[REMEMBERED_MAX];
    (void)snprintf(path, sizeof(path), "%s/last", c->state);
    int n = snprintf(text, sizeof(text), "%lld %s\n", (long long)now_ms(), subject);
    return b_file_replace(path, text, (size_t)n, 0600, err);
}

/* Whose turn at the kiosk it is, for its programs: lines that a shell or systemd can read. It goes
 * before the screen opens, and is gone before anybody else comes. */
static enum b_code tell_identity(const struct session_config *c, enum session_act act,
                                 const char *subject, struct b_err *err)
{
    char path[SESSION_PATH_MAX + 16];
    char text[REMEMBERED_MAX];
    (void)snprintf(path, sizeof(path), "%s/identity", c->state);
    if (act == SESSION_KIOSK_BEGIN) {
        int n = snprintf(text, sizeof(text), "TESSERE_SUBJECT=%s\nTESSERE_SINCE=%lld\n", subject,
                         (long long)time(NULL));
        return b_file_replace(path, text, (size_t)n, 0640, err);
    }
    if (act != SESSION_NOTHING && unlink(path) != 0 && errno != ENOENT)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", path, strerror(errno));
    return B_OK;
}

/* --- one tap -----------------------------------------------------------------------------------
 */

/* Browsers' sessions end as the server's rules have it where the agent has no socket. */
static enum b_code leave(const struct session_config *c, struct b_err *err)
{
    enum { ANSWER_S = 3 }; /* a hook's time is short */
    struct pam_ask ask;
    json_t *answer = NULL;
    if (access(c->socket, F_OK) != 0 && errno == ENOENT)
        return B_OK;
    enum b_code r = pam_ask_open(c->socket, geteuid(), &ask, err);
    if (r != B_OK)
        return r;
    r = pam_ask_say(&ask, json_pack("{s:s}", "do", "leave"), err);
    if (r == B_OK)
        r = pam_ask_hear(&ask, ANSWER_S, &answer, err);
    enum b_code why = b_code_of(pam_answer_text(answer, "code"), B_E_AGENT_GONE);
    if (r == B_OK && strcmp(pam_answer_text(answer, "answer"), "left") != 0)
        r = b_err_set(err, why != B_OK ? why : B_E_AGENT_GONE, 0,
                      "the agent at %s: sessions of browsers did not end: %s", c->socket,
                      pam_answer_text(answer, "code"));
    json_decref(answer);
    pam_ask_close(&ask);
    return r;
}

static enum b_code act_on(const struct session_config *c, struct session_facts *f,
                          struct b_err *err)
{
    struct session_bus *bus = NULL;
    char greeter[SESSION_ID_MAX + 1];
    enum b_code r = session_bus_open(&bus, err);
    if (r == B_OK)
        r = session_look(bus, c, f, greeter, err);
    enum session_act act = r == B_OK ? session_decide(c, f) : SESSION_NOTHING;
    if (r == B_OK)
        r = tell_identity(c, act, f->subject, err);
    if (r == B_OK)
        r = session_do(bus, f, greeter, act, err);
    if (r != B_OK && act == SESSION_KIOSK_BEGIN) /* it did not open: nobody's turn */
        (void)!tell_identity(c, SESSION_KIOSK_END, f->subject, NULL);
    session_bus_free(&bus);
    struct b_err why = {0};
    enum b_code left = session_leaves(c, f, act) ? leave(c, &why) : B_OK;
    if (r == B_OK && left != B_OK)
        *err = why;
    return r == B_OK ? left : r;
}

static enum b_code run(struct b_err *err)
{
    static struct session_config config;
    struct memory memory;
    char user[PAM_USER_MAX + 1];
    const char *outcome = variable("TESSERE_OUTCOME");
    const char *subject = variable("TESSERE_SUBJECT");
    struct session_facts f = {.is_lifted = strcmp(outcome, "lifted") == 0,
                              .is_waited_for = strcmp(variable("TESSERE_WAITED"), "yes") == 0,
                              .subject = subject,
                              .user = user};
    if (!f.is_lifted && strcmp(outcome, "granted") != 0)
        return B_OK;
    if (!is_plain(subject))
        return b_err_set(err, B_E_BAD_INPUT, 0, "this staff id names no account");
    enum b_code r = session_config_load("/etc/tessere/session.yaml", &config, err);
    if (r != B_OK)
        return r;
    (void)umask(027);
    recall(&config, &memory);
    f.last = memory.last;
    f.identity = memory.identity;
    f.ago_ms = now_ms() - memory.at_ms;
    r = pam_map_find(config.map, subject, user, err);
    if (r == B_E_NOT_FOUND)
        user[0] = '\0'; /* the kiosk asks for no account of theirs */
    else if (r != B_OK)
        return r;
    r = act_on(&config, &f, err);
    return r == B_OK && !f.is_lifted ? remember_tap(&config, subject, err) : r;
}

static const char usage[] = "usage: tessere-session --help|--version\n"
                            "\n"
                            "A hook of tessere-agent, which runs it after each tap, to unlock, "
                            "lock and switch the sessions\n"
                            "of this seat: tessere-session(8).\n";

int main(int argc, char **argv)
{
    struct b_err err;
    int status = 0;
    if (b_about(argc, argv, "tessere-session", usage, &status))
        return status;
    enum b_code r = run(&err);
    if (r != B_OK)
        (void)fprintf(stderr, "tessere-session: %s: %s\n", b_code_text(r), err.msg);
    return b_code_exit(r);
}
