#include "agent/hooks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS = 16, VARIABLES = 11, VARIABLE = 288, LINE = AGENT_PATH_MAX + 256, LAST_SECONDS = 10 };

/* One outcome: the environment and the standard input of its hooks. */
struct job {
    char variables[VARIABLES][VARIABLE];
    char assertion[AGENT_ASSERTION_MAX];
};

struct agent_hooks {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool is_ending;
    struct agent_hooks_config config;
    void (*say)(const char *line);
    struct job jobs[JOBS];
    size_t first, count;
    time_t end_at; /* of the time that is left after agent_hooks_free; monotonic */
    /* of the hooks' thread alone */
    struct agent_hooks_config now;
    struct job job;
};

/* --- what may run ------------------------------------------------------------------------------
 */

bool agent_hook_is_name(const char *name)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    return name[0] != '\0' && strspn(name, good) == strlen(name);
}

const char *agent_hook_fault(const struct stat *s, bool is_directory)
{
    if (is_directory ? !S_ISDIR(s->st_mode) : !S_ISREG(s->st_mode))
        return is_directory ? "it is no directory" : "it is no regular file";
    if (s->st_uid != 0 && s->st_uid != geteuid())
        return "it belongs to neither root nor the agent's user";
    if ((s->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return "others may write it";
    if ((s->st_mode & S_IXUSR) == 0)
        return "it cannot be executed";
    return NULL;
}

B_PRINTF(2, 3) static void say(const struct agent_hooks *h, const char *fmt, ...)
{
    char line[LINE];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    h->say(line);
}

/* --- running one -------------------------------------------------------------------------------
 */

/* The assertion fits a pipe's buffer, so that whoever does not read it holds nothing up. */
static int make_input(const char *assertion)
{
    static_assert(AGENT_ASSERTION_MAX <= 4096, "PIPE_BUF");
    int ends[2];
    size_t n = strlen(assertion);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    bool is_written = n == 0 || write(ends[1], assertion, n) == (ssize_t)n;
    (void)close(ends[1]);
    (void)fcntl(ends[0], F_SETFL, 0);
    if (is_written)
        return ends[0];
    (void)close(ends[0]);
    return -1;
}

/* A process group of its own, no descriptor but the three, signals as at the start of a program. */
static int start(const char *path, const struct job *job, int input, pid_t *ret)
{
    char *environment[VARIABLES + 1];
    char *const arguments[] = {(char *)(uintptr_t)path, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t all, none;
    for (size_t i = 0; i < VARIABLES; i++)
        environment[i] = (char *)(uintptr_t)job->variables[i];
    environment[VARIABLES] = NULL;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    b_check(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&how) == 0);
    b_check(posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                               POSIX_SPAWN_SETSIGMASK) == 0 &&
            posix_spawnattr_setsigdefault(&how, &all) == 0 &&
            posix_spawnattr_setsigmask(&how, &none) == 0);
    int r = posix_spawn_file_actions_adddup2(&files, input, 0);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(&files, 3);
    if (r == 0)
        r = posix_spawn(ret, path, &files, &how, arguments, environment);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&how);
    return r;
}

/* Its end, or its time's, whichever is first. */
static void wait_for(const struct agent_hooks *h, const char *path, pid_t pid, unsigned seconds)
{
    int status = 0;
    int fd = pidfd_open(pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int got = 0;
    while (fd >= 0 && (got = poll(&p, 1, (int)seconds * 1000)) < 0 && errno == EINTR)
        continue;
    bool is_late = got == 0;
    if (is_late)
        (void)kill(-pid, SIGKILL); /* and what it has started */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (fd >= 0)
        (void)close(fd);
    if (is_late)
        say(h, "hook %s: killed after %u seconds", path, seconds);
    else if (WIFSIGNALED(status))
        say(h, "hook %s: ended by signal %d", path, WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        say(h, "hook %s: ended with status %d", path, WEXITSTATUS(status));
}

static void run_one(const struct agent_hooks *h, const char *path, unsigned seconds)
{
    pid_t pid = -1;
    int input = make_input(h->job.assertion);
    int r = input >= 0 ? start(path, &h->job, input, &pid) : errno;
    if (input >= 0)
        (void)close(input);
    if (r == 0)
        wait_for(h, path, pid, seconds);
    else
        say(h, "hook %s: %s", path, strerror(r));
}

/* --- the thread --------------------------------------------------------------------------------
 */

static time_t now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* What a hook may take: its own time, and at the agent's end what is left. 0: nothing. */
static unsigned seconds_left(struct agent_hooks *h)
{
    (void)pthread_mutex_lock(&h->lock);
    time_t left = h->is_ending ? h->end_at - now_s() : (time_t)h->now.seconds;
    (void)pthread_mutex_unlock(&h->lock);
    left = left < (time_t)h->now.seconds ? left : (time_t)h->now.seconds;
    return left > 0 ? (unsigned)left : 0;
}

static int is_hook(const struct dirent *e)
{
    return agent_hook_is_name(e->d_name);
}

static void run_directory(struct agent_hooks *h, const char *directory)
{
    struct dirent **found = NULL;
    char path[AGENT_PATH_MAX + 260];
    struct stat s;
    const char *fault = NULL;
    int fd = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return; /* no hooks are installed */
    if (fd < 0 || fstat(fd, &s) != 0)
        fault = strerror(errno);
    else
        fault = agent_hook_fault(&s, true);
    int n = fault == NULL ? scandirat(fd, ".", &found, is_hook, alphasort) : 0;
    if (n < 0)
        fault = strerror(errno);
    if (fault != NULL)
        say(h, "hooks in %s are not run: %s", directory, fault);
    for (int i = 0; i < n; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, found[i]->d_name);
        fault = fstatat(fd, found[i]->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0
                    ? agent_hook_fault(&s, false)
                    : strerror(errno);
        unsigned seconds = seconds_left(h);
        if (seconds == 0)
            fault = "the agent ends";
        if (fault != NULL)
            say(h, "hook %s is not run: %s", path, fault);
        else
            run_one(h, path, seconds);
        free(found[i]);
    }
    free(found);
    if (fd >= 0)
        (void)close(fd);
}

static void *work(void *arg)
{
    struct agent_hooks *h = arg;
    for (;;) {
        (void)pthread_mutex_lock(&h->lock);
        while (h->count == 0 && !h->is_ending)
            (void)pthread_cond_wait(&h->changed, &h->lock);
        bool is_over = h->count == 0;
        if (!is_over) {
            h->job = h->jobs[h->first];
            h->first = (h->first + 1) % JOBS;
            h->count--;
        }
        h->now = h->config;
        (void)pthread_mutex_unlock(&h->lock);
        if (is_over)
            return NULL;
        for (size_t i = 0; i < h->now.count; i++)
            run_directory(h, h->now.directories[i]);
    }
}

/* --- for readers' threads ----------------------------------------------------------------------
 */

#define OF_ALL                                \
    {"PATH", "/usr/local/bin:/usr/bin:/bin"}, \
    {                                         \
        "LANG", "C.UTF-8"                     \
    }

/* is_of_kind: of the kinds that are configured; NULL: of all. */
static void run(struct agent_hooks *h, const bool *is_of_kind,
                const char *const values[VARIABLES][2], const char *assertion)
{
    (void)pthread_mutex_lock(&h->lock);
    bool is_wanted = h->config.count > 0 && !h->is_ending && (is_of_kind == NULL || *is_of_kind);
    bool has_room = h->count < JOBS;
    if (is_wanted && has_room) {
        struct job *j = &h->jobs[(h->first + h->count) % JOBS];
        for (size_t i = 0; i < VARIABLES; i++)
            (void)snprintf(j->variables[i], VARIABLE, "%s=%s", values[i][0], values[i][1]);
        (void)snprintf(j->assertion, sizeof(j->assertion), "%s", assertion);
        h->count++;
        (void)pthread_cond_signal(&h->changed);
    }
    (void)pthread_mutex_unlock(&h->lock);
    if (is_wanted && !has_room)
        h->say("the hooks are too slow: those of one tap are not run");
}

void agent_hooks_run(struct agent_hooks *h, const char *station, const char *reader,
                     const struct agent_outcome *o)
{
    const char *how = o->code == B_OK ? "granted" : "refused";
    if (o->is_desk)
        how = o->code == B_OK ? "desk-done" : "desk-failed";
    if (o->is_lifted)
        how = "lifted";
    const char *const values[VARIABLES][2] = {OF_ALL,
                                              {"TESSERE_OUTCOME", how},
                                              {"TESSERE_CODE", b_code_name(o->code)},
                                              {"TESSERE_SUBJECT", o->holder_ref},
                                              {"TESSERE_WAITED", o->is_waited_for ? "yes" : "no"},
                                              {"TESSERE_STATION", station},
                                              {"TESSERE_READER", reader},
                                              {"TESSERE_CHALLENGE", o->answers},
                                              {"TESSERE_PARTY", ""},
                                              {"TESSERE_TEXT", ""}};
    run(h, o->is_lifted ? &h->config.tells_lifted : NULL, values, o->assertion);
}

void agent_hooks_challenge(struct agent_hooks *h, const char *station, const char *challenge,
                           const char *party, const char *text)
{
    const char *const values[VARIABLES][2] = {OF_ALL,
                                              {"TESSERE_OUTCOME", "challenge"},
                                              {"TESSERE_CODE", b_code_name(B_OK)},
                                              {"TESSERE_SUBJECT", ""},
                                              {"TESSERE_WAITED", "no"},
                                              {"TESSERE_STATION", station},
                                              {"TESSERE_READER", ""},
                                              {"TESSERE_CHALLENGE", challenge},
                                              {"TESSERE_PARTY", party},
                                              {"TESSERE_TEXT", text}};
    run(h, &h->config.tells_challenges, values, "");
}

void agent_hooks_set(struct agent_hooks *h, const struct agent_hooks_config *c)
{
    (void)pthread_mutex_lock(&h->lock);
    h->config = *c;
    (void)pthread_mutex_unlock(&h->lock);
}

enum b_code agent_hooks_new(const struct agent_hooks_config *c, void (*tell)(const char *line),
                            struct agent_hooks **ret, struct b_err *err)
{
    struct agent_hooks *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "starting the hooks");
    h->config = *c;
    h->say = tell;
    b_check(pthread_mutex_init(&h->lock, NULL) == 0 && pthread_cond_init(&h->changed, NULL) == 0);
    int r = pthread_create(&h->thread, NULL, work, h);
    if (r != 0) {
        free(h);
        return b_err_set(err, B_E_SYSTEM, (uint32_t)r, "starting a thread: %s", strerror(r));
    }
    *ret = h;
    return B_OK;
}

void agent_hooks_free(struct agent_hooks **ph)
{
    struct agent_hooks *h = *ph;
    *ph = NULL;
    if (h == NULL)
        return;
    (void)pthread_mutex_lock(&h->lock);
    h->is_ending = true;
    h->end_at = now_s() + LAST_SECONDS;
    (void)pthread_cond_signal(&h->changed);
    (void)pthread_mutex_unlock(&h->lock);
    (void)pthread_join(h->thread, NULL);
    (void)pthread_cond_destroy(&h->changed);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
}
