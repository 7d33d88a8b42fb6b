/* tessere-agent: enrol this station, and serve its readers. */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "agent/agent.h"

static volatile sig_atomic_t is_over;

static void stop(int signal)
{
    (void)signal;
    is_over = 1;
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

struct output {
    bool is_json;
};

static void say_status(void *ctx, const char *line)
{
    (void)ctx;
    (void)fprintf(stderr, "tessere-agent: %s\n", line);
    (void)sd_notifyf(0, "STATUS=%s", line);
}

/* The loop that looks after the readers. A server that is away is no reason to be started again. */
static void say_alive(void *ctx)
{
    static time_t last;
    static bool is_told;
    time_t now = time(NULL);
    (void)ctx;
    if (!is_told)
        (void)sd_notify(0, "READY=1");
    is_told = true;
    if (now != last)
        (void)sd_notify(0, "WATCHDOG=1");
    last = now;
}

static void say_outcome(void *ctx, const char *reader, const struct agent_outcome *o)
{
    const struct output *out = ctx;
    if (out->is_json) {
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

static int usage(void)
{
    (void)fputs("usage: tessere-agent [--state DIR] enrol --server URL --code CODE\n"
                "       tessere-agent [--state DIR] [--json] [--ask-pin] [--count N] run\n",
                stderr);
    return 2;
}

int main(int argc, char **argv)
{
    enum { STATE, SERVER, CODE, JSON, ASK_PIN, COUNT, VERSION };
    static const struct option options[] = {
        {"state", required_argument, NULL, STATE}, {"server", required_argument, NULL, SERVER},
        {"code", required_argument, NULL, CODE},   {"json", no_argument, NULL, JSON},
        {"ask-pin", no_argument, NULL, ASK_PIN},   {"count", required_argument, NULL, COUNT},
        {"version", no_argument, NULL, VERSION},   {0}};
    const char *state = "/var/lib/tessere-agent";
    const char *server = NULL;
    const char *code = NULL;
    unsigned count = 0;
    bool asks_pin = false;
    struct output out = {.is_json = false};
    for (int o = 0; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case STATE:
            state = optarg;
            break;
        case SERVER:
            server = optarg;
            break;
        case CODE:
            code = optarg;
            break;
        case JSON:
            out.is_json = true;
            break;
        case ASK_PIN:
            asks_pin = true;
            break;
        case COUNT:
            count = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case VERSION:
            return puts("tessere-agent " TESSERE_VERSION) < 0;
        default:
            return usage();
        }
    }
    if (optind + 1 != argc)
        return usage();
    struct b_err err = {0};
    struct agent_home home;
    const struct sigaction on_end = {.sa_handler = stop};
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* no buffer keeps a PIN */
    (void)umask(077);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigaction(SIGINT, &on_end, NULL);
    (void)sigaction(SIGTERM, &on_end, NULL);
    enum b_code r = B_OK;
    if (strcmp(argv[optind], "enrol") == 0) {
        if (server == NULL || code == NULL)
            return usage();
        r = agent_enrol(state, server, code, &err);
    } else if (strcmp(argv[optind], "run") == 0) {
        const struct agent_watch watch = {.outcome = say_outcome,
                                          .status = say_status,
                                          .is_stopped = is_stopped,
                                          .alive = say_alive,
                                          .ctx = &out,
                                          .pin = {.ask = asks_pin ? ask_pin : NULL}};
        r = agent_home_open(state, &home, &err);
        if (r == B_OK)
            r = agent_run(&home, &watch, count, &err);
    } else {
        return usage();
    }
    return r == B_OK ? 0 : fail(&err);
}
