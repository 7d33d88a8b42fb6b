/*
 * What the process for the token's module costs: derivations in this process (the limit), through
 * tessere-token's lane, and through p11-kit's RPC (the peer, where p11-kit is installed). The RPC
 * of p11-kit 0.24 does not carry AES-CMAC; custody then computes it with CKM_AES_ECB. All in one
 * run in turns, medians of rounds. Then two and four lanes at once. One JSON object a line.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vault/token.h"

enum { ROUNDS = 21, OPS = 300, INPUT = 20, LANES = 4 };

static const char rpc_server[] = "/usr/libexec/p11-kit/p11-kit-server";
static const char *const rpc_clients[] = {
    "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib/pkcs11/p11-kit-client.so",
};
static char dir[] = "/tmp/tessere-bench-XXXXXX";

static void need(bool is_good, const char *what, const struct b_err *err)
{
    if (is_good)
        return;
    (void)fprintf(stderr, "vault_bench: %s: %s\n", what, err != NULL ? err->msg : "failed");
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    need(clock_gettime(CLOCK_MONOTONIC, &t) == 0, "clock", NULL);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- a keyring, timed ------------------------------------------------------------------------- */

struct way {
    struct vaultd_keyring keyring;
    struct vaultd_config config;
    uint8_t *out; /* secret memory */
    double rates[ROUNDS];
};

static double rate(struct way *w)
{
    static const struct custody_key which = {.role = KEY_ROLE_AUTH, .generation = 1};
    uint8_t in[INPUT] = {0};
    struct b_err err = {0};
    double start = seconds();
    for (int i = 0; i < OPS; i++) {
        in[0] = (uint8_t)i;
        need(w->keyring.derive(w->keyring.ctx, &w->config, &which, b_rd_from(in, sizeof(in)),
                               w->out, &err) == B_OK,
             "derive", &err);
    }
    return OPS / (seconds() - start);
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(struct way *w)
{
    qsort(w->rates, ROUNDS, sizeof(w->rates[0]), compare);
    return w->rates[ROUNDS / 2];
}

static void configure(struct way *w, const char *uri)
{
    (void)snprintf(w->config.token_uri, sizeof(w->config.token_uri), "%s", uri);
    (void)snprintf(w->config.establishment, sizeof(w->config.establishment), "750712184");
    (void)snprintf(w->config.pin_file, sizeof(w->config.pin_file), "%s/pin", dir);
    w->out = b_secret_alloc(16);
    need(w->out != NULL, "memory", NULL);
}

/* --- tessere-token, as it runs ---------------------------------------------------------------- */

static void *serve(void *arg)
{
    static uint8_t requests[LANES][TOKEN_MESSAGE_MAX];
    static struct token_lane lanes[LANES];
    int fd = *(const int *)arg;
    int i = fd - VAULT_TOKEN_FD - LANES;
    uint8_t *answer = b_secret_alloc(TOKEN_MESSAGE_MAX);
    need(answer != NULL, "memory", NULL);
    lanes[i].keyring = vaultd_keyring_token();
    for (;;) {
        ssize_t n = recv(fd, requests[i], TOKEN_MESSAGE_MAX, 0);
        struct b_wr w = b_wr_from(answer, TOKEN_MESSAGE_MAX);
        if (n <= 0 || !token_handle(&lanes[i], b_rd_from(requests[i], (size_t)n), &w) ||
            send(fd, w.p, w.len, MSG_NOSIGNAL) < 0)
            _exit(0);
        b_wipe(answer, w.len);
        vaultd_scrub_stack();
    }
}

static void start_lanes(void)
{
    static int theirs[LANES];
    for (int i = 0; i < LANES; i++) {
        int pair[2];
        need(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0, "socketpair", NULL);
        theirs[i] = VAULT_TOKEN_FD + LANES + i;
        need(dup2(pair[0], VAULT_TOKEN_FD + i) >= 0 && dup2(pair[1], theirs[i]) >= 0, "dup", NULL);
        (void)close(pair[0]);
        (void)close(pair[1]);
    }
    pid_t pid = fork();
    need(pid >= 0, "fork", NULL);
    for (int i = 0; pid != 0 && i < LANES; i++)
        (void)close(theirs[i]);
    if (pid != 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < LANES; i++)
        (void)close(VAULT_TOKEN_FD + i);
    need(b_secret_init(1 << 20, false, NULL) == B_OK, "memory", NULL);
    pthread_t thread;
    for (int i = 1; i < LANES; i++)
        need(pthread_create(&thread, NULL, serve, &theirs[i]) == 0, "thread", NULL);
    (void)serve(&theirs[0]);
}

static void *rate_in_thread(void *arg)
{
    struct way *w = arg;
    w->rates[0] = rate(w);
    return NULL;
}

static double rate_together(struct way *ways, int count)
{
    pthread_t threads[LANES];
    double start = seconds();
    for (int i = 0; i < count; i++)
        need(pthread_create(&threads[i], NULL, rate_in_thread, &ways[i]) == 0, "thread", NULL);
    for (int i = 0; i < count; i++)
        need(pthread_join(threads[i], NULL) == 0, "thread", NULL);
    return count * OPS / (seconds() - start);
}

/* --- p11-kit's RPC ---------------------------------------------------------------------------- */

/* RFC 7512 §2.3: %2F for a slash. */
static void unescape(const char *in, char *out, size_t cap)
{
    struct b_wr w = b_wr_from(out, cap);
    for (; *in != '\0' && *in != '&'; in++) {
        bool is_escaped = *in == '%' && in[1] != '\0' && in[2] != '\0';
        char hex[3] = {is_escaped ? in[1] : '\0', is_escaped ? in[2] : '\0', '\0'};
        if (!is_escaped)
            b_wr_u8(&w, (uint8_t)*in);
        else
            need(b_unhex(&w, hex), "module-path", NULL);
        in += is_escaped ? 2 : 0;
    }
    b_wr_u8(&w, 0);
    need(b_wr_ok(&w), "module-path", NULL);
}

/* Starts its server for this token; writes the URI that goes through its client. -1: not here. */
static int start_rpc(const char *uri, char *ret_uri, size_t cap)
{
    char socket_path[64];
    char address[96];
    char token[1024];
    static char module[1024];
    const char *query = strchr(uri, '?');
    const char *escaped = strstr(uri, "module-path=");
    const char *client = NULL;
    int pid = -1;
    for (size_t i = 0; i < B_COUNT(rpc_clients); i++)
        if (access(rpc_clients[i], R_OK) == 0)
            client = rpc_clients[i];
    if (client == NULL || access(rpc_server, X_OK) != 0 || query == NULL || escaped == NULL)
        return -1;
    unescape(escaped + strlen("module-path="), module, sizeof(module));
    (void)snprintf(socket_path, sizeof(socket_path), "%s/rpc", dir);
    (void)snprintf(address, sizeof(address), "unix:path=%s", socket_path);
    (void)snprintf(token, sizeof(token), "%.*s", (int)(query - uri), uri);
    (void)snprintf(ret_uri, cap, "%s?module-path=%s", token, client);
    char *argv[] = {strdup(rpc_server), strdup("-f"), strdup("-n"), socket_path,
                    strdup("-p"),       module,       token,        NULL};
    posix_spawn_file_actions_t actions;
    need(posix_spawn_file_actions_init(&actions) == 0 &&
             posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) == 0 &&
             posix_spawn(&pid, rpc_server, &actions, NULL, argv, environ) == 0,
         rpc_server, NULL);
    for (int i = 0; i < 200 && access(socket_path, F_OK) != 0; i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    need(setenv("P11_KIT_SERVER_ADDRESS", address, 1) == 0, "setenv", NULL);
    return pid;
}

/* Its masters are other keys: AES-CMAC is not among the mechanisms that it shows. */
static void measure_rpc(struct way *w, int round)
{
    struct custody_key key;
    struct b_err err = {0};
    if (round == 0) {
        w->config.establishment[0] = 'R';
        need(w->keyring.generate(w->keyring.ctx, &w->config, KEY_ROLE_AUTH, 1, &key, &err) == B_OK,
             "making a key over the RPC", &err);
    }
    w->rates[round] = rate(w);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

static struct way here;
static struct way rpc;
static struct way lanes[LANES];

static void print_one(double limit, double value, double peer)
{
    (void)printf("{\"name\": \"derive_apart\", \"value\": %.0f, \"unit\": \"1/s\", "
                 "\"limit\": %.0f, \"peer\": ",
                 value, limit);
    if (peer > 0)
        (void)printf("%.0f, \"ratio_to_limit\": %.3f, \"ratio_to_peer\": %.3f}\n", peer,
                     value / limit, value / peer);
    else
        (void)printf("null, \"ratio_to_limit\": %.3f, \"ratio_to_peer\": null}\n", value / limit);
}

static void measure(bool has_rpc)
{
    for (int i = 0; i < ROUNDS; i++) {
        here.rates[i] = rate(&here);
        lanes[0].rates[i] = rate(&lanes[0]);
        if (has_rpc)
            measure_rpc(&rpc, i);
    }
    for (int i = 1; i < LANES; i++)
        (void)rate(&lanes[i]); /* opens its session */
    print_one(median(&here), median(&lanes[0]), has_rpc ? median(&rpc) : 0);
    for (int count = 2; count <= LANES; count *= 2)
        (void)printf("{\"name\": \"derive_apart_%d_lanes\", \"value\": %.0f, \"unit\": \"1/s\", "
                     "\"limit\": null, \"peer\": null, \"ratio_to_limit\": null, "
                     "\"ratio_to_peer\": null}\n",
                     count, rate_together(lanes, count));
}

int main(void)
{
    static char uri[1024];
    static char rpc_uri[1200];
    char conf[64];
    struct b_err err = {0};
    struct custody_key key;
    need(mkdtemp(dir) != NULL, "mkdtemp", NULL);
    (void)snprintf(conf, sizeof(conf), "%s/softhsm2.conf", dir);
    need(setenv("SOFTHSM2_CONF", conf, 1) == 0, "setenv", NULL);
    start_lanes(); /* forked before there are secrets or a module here */
    need(b_secret_init(1 << 20, false, &err) == B_OK, "memory", &err);
    here.keyring = vaultd_keyring_token();
    need(here.keyring.create(here.keyring.ctx, dir, "bench", uri, sizeof(uri), &err) == B_OK,
         "making a token", &err);
    configure(&here, uri);
    need(here.keyring.generate(here.keyring.ctx, &here.config, KEY_ROLE_AUTH, 1, &key, &err) ==
             B_OK,
         "making a key", &err);
    for (unsigned i = 0; i < LANES; i++) {
        int idle[2];
        need(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, idle) == 0, "socketpair", NULL);
        lanes[i].keyring = token_keyring(i, idle[0]);
        configure(&lanes[i], uri);
    }
    int server = start_rpc(uri, rpc_uri, sizeof(rpc_uri));
    if (server > 0) {
        rpc.keyring = vaultd_keyring_token();
        configure(&rpc, rpc_uri);
    }
    measure(server > 0);
    if (server > 0)
        (void)kill(server, SIGTERM);
    (void)fflush(NULL);
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}
