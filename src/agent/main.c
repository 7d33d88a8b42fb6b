/* tessere-agent: enrol this station, and serve its readers. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/confirm.h"
#include "agent/follow.h"
#include "agent/hooks.h"
#include "agent/local.h"
#include "base/about.h"

static volatile sig_atomic_t is_over, must_reload;

static void stop(int signal)
{
    (void)signal;
    is_over = 1;
}

static void reload_soon(int signal)
{
    (void)signal;
    must_reload = 1;
}

static bool is_stopped(void *ctx)
{
    (void)ctx;
    return is_over != 0;
}

static int fail(const struct b_err *err)
{
    (void)fprintf(stderr, "tessere-agent: %s: %s\n  -> %s\n", b_code_text(err->code), err->msg,
                  b_code_remedy(err->code));
    return b_code_exit(err->code);
}

struct station {
    bool is_json;
    const struct agent_options *options;
    struct agent_live *live;
    struct agent_local *local;
    struct agent_hooks *hooks;
    struct agent_follow *follow;
};

static void say_status(void *ctx, const char *line)
{
    (void)ctx;
    (void)fprintf(stderr, "tessere-agent: %s\n", line);
    (void)sd_notifyf(0, "STATUS=%s", line);
}

/* One that cannot be used leaves the old one in place, and says what is wrong with it. */
static void reload(struct station *st)
{
    static struct agent_config config;
    static struct agent_home home;
    struct b_err err;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
                     (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    enum b_code r = agent_config_load(st->options, &config, &err);
    if (r == B_OK)
        r = agent_home_open(&config, &home, &err);
    if (r == B_OK)
        r = agent_local_set(st->local, &config.socket, &err);
    if (r == B_OK)
        agent_live_set(st->live, &config);
    if (r == B_OK)
        agent_hooks_set(st->hooks, &config.hooks);
    (void)fprintf(stderr, "tessere-agent: %s%s\n",
                  r == B_OK ? "configuration taken up" : "the configuration stays as it was: ",
                  r == B_OK ? "" : err.msg);
    (void)sd_notify(0, "READY=1");
}

/* The loop that looks after the readers. A server that is away is no reason to be started again. */
static void look_after(void *ctx)
{
    static time_t last;
    static bool is_told;
    struct station *st = ctx;
    time_t now = time(NULL);
    if (!is_told)
        (void)sd_notify(0, "READY=1");
    is_told = true;
    if (now != last)
        (void)sd_notify(0, "WATCHDOG=1");
    last = now;
    if (must_reload) {
        must_reload = 0;
        reload(st);
    }
}

static void say_hook(const char *line)
{
    (void)fprintf(stderr, "tessere-agent: %s\n", line);
}

static void say_outcome(void *ctx, const struct agent_self *self, const char *reader,
                        const struct agent_outcome *o)
{
    const struct station *st = ctx;
    agent_hooks_run(st->hooks, self->name, reader, o);
    if (st->is_json) {
        json_t *line =
            json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "outcome", b_code_name(o->code),
                      "sentence", o->sentence, "reader", reader, "badge", (json_int_t)o->badge,
                      "holder", o->holder_ref, "name", o->holder_name, "assertion", o->assertion);
        (void)json_object_set_new(line, "desk", json_boolean(o->is_desk));
        (void)json_dumpf(line, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(line);
    } else {
        (void)printf("%s%s%s\n", o->sentence, o->holder_name[0] != '\0' ? "  " : "",
                     o->holder_name);
    }
    (void)fflush(stdout);
}

/* For hooks alone, which get no assertion: it was for the tap. */
static void say_lifted(void *ctx, const struct agent_self *self, const char *reader,
                       struct agent_outcome *o)
{
    const struct station *st = ctx;
    o->is_lifted = true;
    o->assertion[0] = '\0';
    agent_hooks_run(st->hooks, self->name, reader, o);
}

static void say_challenge(void *ctx, const char *station, const json_t *challenge)
{
    const struct station *st = ctx;
    agent_hooks_challenge(st->hooks, station, remote_text(challenge, "challenge"),
                          remote_text(challenge, "party"), remote_text(challenge, "text"));
}

/* One line of the standard input: whoever shows the sentence types there. */
static bool ask_pin(void *ctx, const char *sentence, char pin[static 16])
{
    (void)ctx;
    char line[32];
    (void)fprintf(stderr, "tessere-agent: %s\n", sentence);
    if (fgets(line, sizeof(line), stdin) == NULL)
        return false;
    size_t n = strcspn(line, "\r\n");
    if (n <= 12)
        memcpy(pin, line, n);
    b_wipe(line, sizeof(line));
    return n > 0 && n <= 12;
}

static const char usage[] =
    "usage: tessere-agent [--config FILE] [--state DIR] enrol --server URL --code CODE\n"
    "       tessere-agent [--config FILE] [--state DIR] [--server URL] [--identity PREFIX]\n"
    "                     [--ca FILE] [--reader PATTERN]... [--language fr|en]\n"
    "                     [--socket PATH] [--hooks DIR] [--json] [--ask-pin] [--count N] run\n"
    "       tessere-agent [--config FILE] [--socket PATH] [--json] browser|pair\n"
    "       tessere-agent [--config FILE] [--state DIR] code --for CLIENT [--user REF]\n"
    "       tessere-agent [--config FILE] [--socket PATH] [--language fr|en] confirm\n"
    "       tessere-agent --help|--version\n"
    "\n"
    "The agent of a station, which serves its badge readers: tessere-agent(1).\n"
    "\n"
    "  enrol    make this station's key, and have its certificate for a one-time code\n"
    "  run      serve every reader; systemd does it: systemctl start tessere-agent\n"
    "  browser  join this person's browser to the station; pair: show a code that does\n"
    "  code     a one-time password for CLIENT, from the next tap\n"
    "  confirm  show what waits for a tap here, and ask for it at this terminal\n";

static int misuse(void)
{
    (void)fputs(usage, stderr);
    return 2;
}

struct arguments {
    struct agent_options options;
    const char *code, *party, *user, *command;
    unsigned count;
    bool is_json, asks_pin;
};

/* False: what was typed cannot be understood. */
static bool read_arguments(int argc, char **argv, struct arguments *a)
{
    enum { JSON = 256, ASK_PIN, COUNT, VERSION, READER };
    struct agent_options *o = &a->options;
    const char **const texts[] = {&o->config, &o->state, &o->server,   &o->identity,
                                  &o->ca,     &a->code,  &o->language, &o->socket,
                                  &o->hooks,  &a->party, &a->user};
    static const struct option options[] = {
        {"config", required_argument, NULL, 0},    {"state", required_argument, NULL, 1},
        {"server", required_argument, NULL, 2},    {"identity", required_argument, NULL, 3},
        {"ca", required_argument, NULL, 4},        {"code", required_argument, NULL, 5},
        {"language", required_argument, NULL, 6},  {"socket", required_argument, NULL, 7},
        {"hooks", required_argument, NULL, 8},     {"for", required_argument, NULL, 9},
        {"user", required_argument, NULL, 10},     {"reader", required_argument, NULL, READER},
        {"json", no_argument, NULL, JSON},         {"ask-pin", no_argument, NULL, ASK_PIN},
        {"count", required_argument, NULL, COUNT}, {0}};
    for (int k = 0; (k = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (k >= 0 && (size_t)k < B_COUNT(texts))
            *texts[k] = optarg;
        else if (k == READER && o->reader_count < AGENT_PATTERNS_MAX)
            o->readers[o->reader_count++] = optarg;
        else if (k == JSON)
            a->is_json = true;
        else if (k == ASK_PIN)
            a->asks_pin = true;
        else if (k == COUNT)
            a->count = (unsigned)strtoul(optarg, NULL, 10);
        else
            return false;
    }
    a->command = optind + 1 == argc ? argv[optind] : "";
    return a->command[0] != '\0';
}

static enum b_code run(const struct arguments *a, struct b_err *err)
{
    enum { SECRETS = 16384 };
    static struct agent_config config;
    static struct agent_home home;
    struct station st = {.is_json = a->is_json, .options = &a->options};
    struct agent_joiner *joiner = NULL;
    struct agent_watch watch = {.outcome = say_outcome,
                                .lifted = say_lifted,
                                .status = say_status,
                                .is_stopped = is_stopped,
                                .alive = look_after,
                                .ctx = &st,
                                .pin = {.ask = a->asks_pin ? ask_pin : NULL}};
    enum b_code r = agent_config_load(&a->options, &config, err);
    if (r == B_OK)
        r = agent_home_open(&config, &home, err);
    if (r == B_OK && (st.live = agent_live_new(&config)) == NULL)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "starting the station");
    if (r == B_OK)
        r = b_secret_init(SECRETS, false, err);
    if (r == B_OK)
        r = agent_local_new(&config.socket, &st.local, err);
    if (r == B_OK)
        r = agent_hooks_new(&config.hooks, say_hook, &st.hooks, err);
    if (r == B_OK)
        r = agent_follow_start(st.live, st.local, &(struct agent_news){say_challenge, &st},
                               &st.follow, err);
    watch.local = st.local;
    if (r == B_OK)
        r = agent_joiner_start(st.local, st.live, &joiner, err);
    if (r == B_OK) {
        r = agent_run(st.live, &watch, a->count, err);
        (void)sd_notify(0, "STOPPING=1");
    }
    agent_joiner_stop(&joiner);
    agent_follow_stop(&st.follow);
    agent_local_free(&st.local);
    agent_hooks_free(&st.hooks);
    agent_live_free(&st.live);
    return r;
}

/* For what the agent that runs here is asked. */
static enum b_code load_with_socket(const struct arguments *a, struct agent_config *ret,
                                    struct b_err *err)
{
    enum b_code r = agent_config_load(&a->options, ret, err);
    if (r == B_OK && ret->socket.path[0] == '\0')
        r = b_err_set(err, B_E_CONFIG, 0,
                      "%s: the agent's socket is not named: write socket: path: into agent.yaml, "
                      "or say --socket",
                      a->command);
    return r;
}

/* By the agent that runs here: its certificate is not this person's to use. */
static enum b_code join(const struct arguments *a, enum agent_ask by, struct b_err *err)
{
    static struct agent_config config;
    enum b_code r = load_with_socket(a, &config, err);
    return r == B_OK ? agent_join_here(&config.socket, by, a->is_json, err) : r;
}

static enum b_code enrol(const struct arguments *a, struct b_err *err)
{
    static struct agent_config config;
    enum b_code r = agent_config_load(&a->options, &config, err);
    if (r == B_OK && (config.server[0] == '\0' || a->code == NULL))
        r = b_err_set(err, B_E_USAGE, 0, "enrol: --server and --code are needed");
    return r == B_OK ? agent_enrol(config.state, config.server, a->code, err) : r;
}

/* Nobody's tap is read while no agent runs. One without a socket, or whose socket is not for this
 * user, cannot be told from here. */
static enum b_code check_runs(const struct agent_socket_config *c, struct b_err *err)
{
    int fd = -1;
    enum b_code r = c->path[0] != '\0' ? agent_reach(c, &fd, err) : B_OK;
    if (fd >= 0)
        (void)close(fd);
    return r == B_E_AGENT_GONE && err->aux == EACCES ? B_OK : r;
}

static enum b_code code(const struct arguments *a, struct b_err *err)
{
    static struct agent_config config;
    static struct agent_home home;
    char text[AGENT_CODE] = "";
    const struct agent_code_wish wish = {.party = a->party,
                                         .user = a->user != NULL ? a->user : "",
                                         .say = say_status,
                                         .is_stopped = is_stopped};
    if (a->party == NULL)
        return b_err_set(err, B_E_USAGE, 0, "code: --for is needed: the relying party's id");
    enum b_code r = agent_config_load(&a->options, &config, err);
    if (r == B_OK)
        r = agent_home_open(&config, &home, err);
    if (r == B_OK)
        r = check_runs(&config.socket, err);
    if (r == B_OK)
        r = agent_code(&home, &wish, text, err);
    if (r == B_OK && (puts(text) < 0 || fflush(stdout) != 0))
        r = b_err_set(err, B_E_SYSTEM, 0, "the code could not be written");
    b_wipe(text, sizeof(text));
    return r;
}

static enum b_code confirm(const struct arguments *a, struct b_err *err)
{
    static struct agent_config config;
    enum b_code r = load_with_socket(a, &config, err);
    return r == B_OK ? agent_confirm(&config, a->options.language, err) : r;
}

int main(int argc, char **argv)
{
    struct arguments a = {.code = NULL};
    struct b_err err = {0};
    const struct sigaction on_end = {.sa_handler = stop};
    const struct sigaction on_reload = {.sa_handler = reload_soon, .sa_flags = SA_RESTART};
    int status = 0;
    if (b_about(argc, argv, "tessere-agent", usage, &status))
        return status;
    if (!read_arguments(argc, argv, &a))
        return misuse();
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* no buffer keeps a PIN */
    (void)umask(077);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigaction(SIGINT, &on_end, NULL);
    (void)sigaction(SIGTERM, &on_end, NULL);
    (void)sigaction(SIGHUP, &on_reload, NULL);
    enum b_code r;
    if (strcmp(a.command, "enrol") == 0)
        r = enrol(&a, &err);
    else if (strcmp(a.command, "run") == 0)
        r = run(&a, &err);
    else if (strcmp(a.command, "browser") == 0)
        r = join(&a, AGENT_BROWSER, &err);
    else if (strcmp(a.command, "pair") == 0)
        r = join(&a, AGENT_PAIR, &err);
    else if (strcmp(a.command, "code") == 0)
        r = code(&a, &err);
    else if (strcmp(a.command, "confirm") == 0)
        r = confirm(&a, &err);
    else
        r = b_err_set(&err, B_E_USAGE, 0, "no such command: %.40s; see tessere-agent --help",
                      a.command);
    return r == B_OK ? 0 : fail(&err);
}
