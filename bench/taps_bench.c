/*
 * What the server does under load: stations with software cards, real mutual TLS, a durable
 * journal, one machine. Limits measured in the same run with the same client: bare echoes over the
 * same TLS (two of them are a tap's two messages), and durable commits of the same rows in batches
 * of the size that the server had. One JSON object a line; a ratio of 1 is the limit, less is
 * worse. taps_bench TESSERE TESSERED
 */
#include <math.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fleet.h"

enum { STATIONS = 24, SECONDS = 6, RATE = 500, SAMPLES_MAX = 200000 };

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void say(const char *name, double value, const char *unit, double limit, bool less_is_better)
{
    double ratio = less_is_better ? limit / value : value / limit;
    (void)printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", ", name, value, unit);
    if (limit > 0)
        (void)printf("\"limit\": %.6g, \"peer\": null, \"ratio_to_limit\": %.4g, "
                     "\"ratio_to_peer\": null}\n",
                     limit, ratio);
    else
        (void)printf("\"limit\": null, \"peer\": null, \"ratio_to_limit\": null, "
                     "\"ratio_to_peer\": null}\n");
    (void)fflush(stdout);
}

/* --- clients -----------------------------------------------------------------------------------
 */

struct load {
    struct fleet *fleet;
    double until_us;
    double start_us, every_us; /* open loop: this client's rate; 0: as fast as it goes */
    bool is_echo;
    size_t at;
    size_t done, failed;
    float *samples; /* microseconds from the intended start */
    pthread_t thread;
};

static const struct agent_pin no_pin = {.ask = NULL};

static bool one(struct load *l, struct remote *r, const struct agent_self *self)
{
    static _Thread_local struct agent_outcome outcome;
    struct b_err err;
    if (l->is_echo) {
        json_t *body = json_pack("{s:s, s:s, s:s}", "uid", "04112233445566", "method", "ev2",
                                 "cryptogram", "00112233445566778899AABBCCDDEEFF");
        bool is_done = remote_call(r, "POST", "/v1/echo", body, NULL, &err) == B_OK &&
                       remote_call(r, "POST", "/v1/echo", body, NULL, &err) == B_OK;
        json_decref(body);
        return is_done;
    }
    struct channel *ch = fleet_channel(l->fleet, l->at);
    enum b_code code = agent_tap(r, self, ch, (struct agent_wish){.challenge = "", .reader = ""},
                                 &no_pin, &outcome, &err);
    channel_free(&ch);
    return code == B_OK;
}

static void *work(void *arg)
{
    struct load *l = arg;
    struct agent_self self = {.key_no = 0};
    struct b_err err;
    struct remote *r = NULL;
    enum b_code code = agent_connect(&l->fleet->stations[l->at], &r, &err);
    if (code == B_OK && !l->is_echo)
        code = agent_self(r, &self, &err);
    fleet_need(code == B_OK, "a station cannot reach the server", err.msg);
    (void)one(l, r, &self); /* the connection is warm */
    for (double due = l->start_us; due < l->until_us; due += l->every_us) {
        double now = now_us();
        if (l->every_us == 0)
            due = now;
        else if (due > now)
            (void)usleep((useconds_t)(due - now));
        if (now_us() >= l->until_us)
            break;
        bool is_good = one(l, r, &self);
        l->failed += !is_good;
        if (l->done < SAMPLES_MAX / STATIONS)
            l->samples[l->done] = (float)(now_us() - due);
        l->done++;
    }
    remote_free(&r);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;
    return (x > y) - (x < y);
}

struct result {
    double per_second, p50, p99, p999;
    size_t done, failed;
};

static struct result run(struct fleet *f, size_t clients, double rate, bool is_echo)
{
    static struct load loads[STATIONS];
    static float samples[STATIONS][SAMPLES_MAX / STATIONS];
    static float all[SAMPLES_MAX];
    struct result ret = {.per_second = 0};
    double start = now_us() + 300e3; /* after the connections are there */
    size_t n = 0;
    for (size_t i = 0; i < clients; i++) {
        loads[i] = (struct load){.fleet = f,
                                 .until_us = start + SECONDS * 1e6,
                                 .every_us = rate > 0 ? 1e6 * (double)clients / rate : 0,
                                 .is_echo = is_echo,
                                 .at = i,
                                 .samples = samples[i]};
        loads[i].start_us = start + loads[i].every_us * (double)i / (double)clients;
        fleet_need(pthread_create(&loads[i].thread, NULL, work, &loads[i]) == 0, "threads", "none");
    }
    for (size_t i = 0; i < clients; i++) {
        (void)pthread_join(loads[i].thread, NULL);
        ret.done += loads[i].done;
        ret.failed += loads[i].failed;
        size_t k = loads[i].done < SAMPLES_MAX / STATIONS ? loads[i].done : SAMPLES_MAX / STATIONS;
        memcpy(all + n, samples[i], k * sizeof(all[0]));
        n += k;
    }
    qsort(all, n, sizeof(all[0]), by_size);
    fleet_need(n > 100 && ret.failed == 0, "the load", "taps failed, or too few");
    ret.per_second = (double)ret.done / SECONDS;
    ret.p50 = (double)all[n / 2];
    ret.p99 = (double)all[n * 99 / 100];
    ret.p999 = (double)all[n * 999 / 1000];
    return ret;
}

/* --- limits ------------------------------------------------------------------------------------
 */

struct body {
    size_t n;
    char bytes[1024];
};

static enum MHD_Result echo(void *cls, struct MHD_Connection *c, const char *url,
                            const char *method, const char *version, const char *upload, size_t *n,
                            void **context)
{
    (void)cls;
    (void)url;
    (void)method;
    (void)version;
    struct body *b = *context;
    if (b == NULL) {
        *context = b = calloc(1, sizeof(*b));
        return b != NULL ? MHD_YES : MHD_NO;
    }
    if (*n > 0) {
        if (*n <= sizeof(b->bytes) - b->n) {
            memcpy(b->bytes + b->n, upload, *n);
            b->n += *n;
        }
        *n = 0;
        return MHD_YES;
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(b->n, b->bytes, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    free(b);
    *context = NULL;
    return result;
}

static char *slurp(const char *dir, const char *name)
{
    char path[512];
    char *text = calloc(1, 16384);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    fleet_need(f != NULL && text != NULL && fread(text, 1, 16383, f) > 0, path, "cannot be read");
    (void)fclose(f);
    return text;
}

/* A server that does nothing, with the same library, threads and TLS, in a process of its own. */
static pid_t start_echo(const struct fleet *f, unsigned port)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | MHD_USE_TLS;
    struct MHD_Daemon *d = MHD_start_daemon(
        flags, (uint16_t)port, NULL, NULL, echo, NULL, MHD_OPTION_HTTPS_MEM_CERT,
        slurp(f->home, "pki/server.pem"), MHD_OPTION_HTTPS_MEM_KEY,
        slurp(f->home, "pki/server.key"), MHD_OPTION_HTTPS_MEM_TRUST, slurp(f->home, "pki/ca.pem"),
        MHD_OPTION_HTTPS_PRIORITIES, "SECURE128:-VERS-ALL:+VERS-TLS1.3", MHD_OPTION_END);
    if (d == NULL)
        _exit(1);
    for (;;)
        (void)pause();
}

static double measure_echo(struct fleet *f)
{
    unsigned port = (unsigned)atoi(strrchr(f->url, ':') + 1) + 1;
    pid_t pid = start_echo(f, port);
    for (size_t i = 0; i < f->station_count; i++)
        (void)snprintf(f->stations[i].url, sizeof(f->stations[i].url), "https://localhost:%u",
                       port);
    (void)usleep(300 * 1000);
    struct result r = run(f, STATIONS, 0, true);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    for (size_t i = 0; i < f->station_count; i++)
        (void)snprintf(f->stations[i].url, sizeof(f->stations[i].url), "%s", f->url);
    return r.per_second;
}

/* Rows like a tap's (entry, two hashes), so many to a commit. */
static double measure_commits(const struct fleet *f, size_t batch)
{
    static char body[260];
    static uint8_t hash[32];
    char path[512];
    struct store *s = NULL;
    struct b_err err;
    uint64_t n = 0;
    (void)snprintf(path, sizeof(path), "%s/limit.db", f->home);
    fleet_need(store_open(path, true, &s, &err) == B_OK, path, err.msg);
    memset(body, 'x', sizeof(body));
    double start = now_us();
    while (now_us() - start < 3e6) {
        enum b_code r = store_begin(s, &err);
        for (size_t i = 0; r == B_OK && i < batch; i++, n++) {
            const struct store_entry e = {.index = n, .body = body, .body_len = sizeof(body)};
            r = store_entry_add(s, &e, &err);
            if (r == B_OK)
                r = store_hash_add(s, 2 * n, hash, &err);
            if (r == B_OK)
                r = store_hash_add(s, 2 * n + 1, hash, &err);
        }
        if (r == B_OK)
            r = store_commit(s, &err);
        fleet_need(r == B_OK, "the limit of commits", err.msg);
    }
    store_free(&s);
    return (double)n / ((now_us() - start) / 1e6);
}

/* --- the server's own ----------------------------------------------------------------------------
 */

static double cpu_seconds(int pid)
{
    char path[64];
    unsigned long user = 0;
    unsigned long system = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        user = system = 0;
    (void)fclose(f);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double resident_mib(int pid)
{
    char path[64];
    char line[256];
    long kib = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f != NULL)
        (void)fclose(f);
    return (double)kib / 1024;
}

/* Commits that the store has seen: the journal tells changes, the server's metrics commits. */
static double batch_size(struct fleet *f, double *changes, double *commits)
{
    char command[2400];
    char line[256];
    (void)snprintf(command, sizeof(command),
                   "curl -sS --cacert '%s' --cert '%s' --key '%s' %s/v1/metrics", f->admin.ca,
                   f->admin.cert, f->admin.key, f->url);
    FILE *p = popen(command, "re");
    double was_changes = *changes;
    double was_commits = *commits;
    while (p != NULL && fgets(line, sizeof(line), p) != NULL) {
        (void)sscanf(line, "tessere_changes_total %lf", changes);
        (void)sscanf(line, "tessere_commits_total %lf", commits);
    }
    if (p != NULL)
        (void)pclose(p);
    double n = *commits - was_commits;
    return n > 0 ? (*changes - was_changes) / n : 1;
}

static void measure_size(struct fleet *f, const char *tessered, size_t badges, const char *label)
{
    char name[96];
    fleet_start(f, tessered);
    struct result r = run(f, STATIONS, RATE, false);
    (void)snprintf(name, sizeof(name), "tap at %d/s, %s badges, p50", RATE, label);
    say(name, r.p50 / 1e3, "ms", 0, true);
    (void)snprintf(name, sizeof(name), "tap at %d/s, %s badges, p99", RATE, label);
    say(name, r.p99 / 1e3, "ms", 10, true);
    (void)snprintf(name, sizeof(name), "tap at %d/s, %s badges, p99.9", RATE, label);
    say(name, r.p999 / 1e3, "ms", 0, true);
    (void)snprintf(name, sizeof(name), "tessered resident, %s badges", label);
    say(name, resident_mib(f->server_pid), "MiB", 0, true);
    fleet_stop(f, false);
    (void)badges;
}

int main(int argc, char **argv)
{
    static struct fleet f;
    char dir[] = "/var/tmp/tessere-taps-XXXXXX";
    char command[128];
    double changes = 0;
    double commits = 0;
    fleet_need(argc == 3 && mkdtemp(dir) != NULL, "usage", "taps_bench TESSERE TESSERED");
    (void)signal(SIGPIPE, SIG_IGN);
    fleet_make(&f, dir, argv[1], STATIONS, STATIONS);
    double echoes = measure_echo(&f);
    say("limit: two mTLS echoes", echoes, "taps/s", 0, false);
    fleet_start(&f, argv[2]);
    (void)run(&f, STATIONS, 0, false); /* warm */
    (void)batch_size(&f, &changes, &commits);
    int vault = fleet_vault_pid(&f);
    double server_cpu = cpu_seconds(f.server_pid);
    double vault_cpu = cpu_seconds(vault);
    struct result most = run(&f, STATIONS, 0, false);
    server_cpu = cpu_seconds(f.server_pid) - server_cpu;
    vault_cpu = cpu_seconds(vault) - vault_cpu;
    double batch = batch_size(&f, &changes, &commits);
    fleet_stop(&f, false);
    double durable = measure_commits(&f, batch < 1 ? 1 : (size_t)(batch + 0.5));
    say("taps to a commit", batch, "taps", 0, false);
    say("limit: durable commits of that batch", durable, "taps/s", 0, false);
    say("taps", most.per_second, "taps/s", echoes < durable ? echoes : durable, false);
    say("CPU of tessered", server_cpu / (double)most.done * 1e6, "us/tap", 0, true);
    say("CPU of tessere-vault", vault_cpu / (double)most.done * 1e6, "us/tap", 0, true);
    measure_size(&f, argv[2], 0, "few");
    fleet_fill(&f, 100000);
    measure_size(&f, argv[2], 100000, "100,000");
    fleet_fill(&f, 1000000 - 1);
    measure_size(&f, argv[2], 1000000, "1,000,000");
    fleet_free(&f);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command); // NOLINT(cert-env33-c)
}
