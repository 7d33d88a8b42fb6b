/* Browsers and this station: the server is asked for what joins them (docs/sign-on.md). */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/state.h"

/* --- joins of browsers -------------------------------------------------------------------------
 */

static struct client *next_join(struct agent_local *l)
{
    struct client *found = NULL;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        if (c->fd >= 0 && c->join != 0 && !c->is_join_begun &&
            (found == NULL || c->join < found->join))
            found = c;
    }
    return found;
}

bool agent_local_next_join(struct agent_local *l, struct agent_join *ret)
{
    struct client *c = NULL;
    (void)pthread_mutex_lock(&l->lock);
    ret->number = 0;
    while (!l->is_ending && (c = next_join(l)) == NULL)
        (void)pthread_cond_wait(&l->changed, &l->lock);
    if (!l->is_ending) {
        c->is_join_begun = true;
        *ret = (struct agent_join){.number = c->join, .by = c->join_by};
    }
    (void)pthread_mutex_unlock(&l->lock);
    return ret->number != 0;
}

void agent_local_joined(struct agent_local *l, uint64_t number, json_t *answer)
{
    (void)pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        if (c->fd < 0 || c->join != number)
            continue;
        c->join = 0;
        c->heard_ms = local_now_ms();
        local_say(c, json_incref(answer));
    }
    (void)pthread_mutex_unlock(&l->lock);
    json_decref(answer);
}

/* --- the agent's side --------------------------------------------------------------------------
 */

struct agent_joiner {
    pthread_t thread;
    struct agent_local *local;
    struct agent_live *live;
};

static const char *word_of(enum agent_ask by)
{
    return by == AGENT_PAIR ? "pair" : "browser";
}

static enum b_code ask_server(struct agent_live *live, enum agent_ask by, json_t **ret,
                              struct b_err *err)
{
    static _Thread_local struct agent_config config;
    static _Thread_local struct agent_home home;
    struct remote *r = NULL;
    (void)agent_live_get(live, &config);
    enum b_code code = agent_home_open(&config, &home, err);
    if (code == B_OK)
        code = agent_connect(&home, &r, err);
    if (code == B_OK)
        code = remote_call(r, "POST", by == AGENT_PAIR ? "/v1/station/pair" : "/v1/station/browser",
                           NULL, ret, err);
    remote_free(&r);
    return code;
}

/* One after the other, and not faster than people come: what programs ask here counts as the
 * station's at the server, whose taps must not wait for it. */
static void *serve(void *arg)
{
    enum { PAUSE_MS = 1000 };
    struct agent_joiner *j = arg;
    struct agent_join asked;
    while (agent_local_next_join(j->local, &asked)) {
        struct b_err err;
        json_t *answer = NULL;
        enum b_code r = ask_server(j->live, asked.by, &answer, &err);
        if (r == B_OK)
            (void)json_object_set_new(answer, "answer", json_string(word_of(asked.by)));
        else
            answer = json_pack("{s:s, s:s, s:s}", "answer", "error", "code", b_code_name(r),
                               "sentence", b_code_text(r));
        agent_local_joined(j->local, asked.number, answer);
        (void)usleep(PAUSE_MS * 1000);
    }
    return NULL;
}

enum b_code agent_joiner_start(struct agent_local *l, struct agent_live *live,
                               struct agent_joiner **ret, struct b_err *err)
{
    struct agent_joiner *j = calloc(1, sizeof(*j));
    if (j == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "starting the station");
    j->local = l;
    j->live = live;
    if (pthread_create(&j->thread, NULL, serve, j) != 0) {
        free(j);
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "starting a thread");
    }
    *ret = j;
    return B_OK;
}

void agent_joiner_stop(struct agent_joiner **pj)
{
    struct agent_joiner *j = *pj;
    *pj = NULL;
    if (j == NULL)
        return;
    agent_local_end(j->local);
    (void)pthread_join(j->thread, NULL);
    free(j);
}

/* --- a person's side ---------------------------------------------------------------------------
 */

enum b_code agent_reach(const struct agent_socket_config *c, int *ret, struct b_err *err)
{
    enum { SECONDS = 20 };
    const struct timeval most = {.tv_sec = SECONDS};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t length = strlen(c->path);
    if (length >= sizeof(un.sun_path))
        return b_err_set(err, B_E_CONFIG, 0, "%s: the path of a socket has at most %zu bytes",
                         c->path, sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, c->path, length);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)) == 0 &&
        connect(fd, (const struct sockaddr *)&un, sizeof(un)) == 0) {
        *ret = fd;
        return B_OK;
    }
    int cause = errno;
    if (fd >= 0)
        (void)close(fd);
    return b_err_set(err, B_E_AGENT_GONE, (uint32_t)cause, "%s: %s", c->path, strerror(cause));
}

/* What the agent says to one word; B_OK: it is an answer to it. */
static enum b_code ask_agent(const struct agent_socket_config *c, const char *word, json_t **ret,
                             struct b_err *err)
{
    enum { ANSWER_MAX = 2048 };
    char text[ANSWER_MAX];
    int fd = -1;
    int n = snprintf(text, sizeof(text), "{\"do\":\"%s\"}", word);
    enum b_code r = agent_reach(c, &fd, err);
    if (r != B_OK)
        return r;
    ssize_t got =
        send(fd, text, (size_t)n, MSG_NOSIGNAL) == n ? recv(fd, text, sizeof(text), 0) : -1;
    int cause = errno;
    (void)close(fd);
    if (got <= 0)
        return b_err_set(err, B_E_AGENT_GONE, got < 0 ? (uint32_t)cause : 0, "%s: %s", c->path,
                         got == 0          ? "the agent hung up"
                         : cause == EAGAIN ? "no answer comes"
                                           : strerror(cause));
    *ret = json_loadb(text, (size_t)got, JSON_REJECT_DUPLICATES, NULL);
    b_wipe(text, sizeof(text));
    if (strcmp(remote_text(*ret, "answer"), word) == 0)
        return B_OK;
    const char *code = remote_text(*ret, "code");
    enum b_code why = b_code_of(code, B_E_AGENT_GONE);
    r = b_err_set(err, why != B_OK ? why : B_E_AGENT_GONE, 0, "the agent at %s says: %.100s",
                  c->path, code[0] != '\0' ? code : "what was not asked");
    json_decref(*ret);
    *ret = NULL;
    return r;
}

/* The desktop's own way to open an address. */
static enum b_code open_address(const char *url, struct b_err *err)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("xdg-open", "xdg-open", url, (char *)NULL);
        _exit(127);
    }
    bool is_open = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
    return is_open
               ? B_OK
               : b_err_set(err, B_E_SYSTEM, 0,
                           "xdg-open does not open a browser here: tessere-agent --json browser "
                           "shows the address");
}

enum b_code agent_join_here(const struct agent_socket_config *c, enum agent_ask by, bool is_shown,
                            struct b_err *err)
{
    json_t *answer = NULL;
    enum b_code r = ask_agent(c, word_of(by), &answer, err);
    if (r == B_OK && is_shown)
        (void)json_dumpf(answer, stdout, JSON_COMPACT);
    else if (r == B_OK && by == AGENT_PAIR)
        (void)printf("%s", remote_text(answer, "code"));
    else if (r == B_OK)
        r = open_address(remote_text(answer, "url"), err);
    if (r == B_OK && (is_shown || by == AGENT_PAIR))
        (void)putchar('\n');
    json_decref(answer);
    return r;
}
