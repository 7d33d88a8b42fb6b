/*
 * tessere-vault: reads requests from the socket on descriptor 3, answers each, ends with it.
 * Started by the programs that need it, never by hand.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/about.h"
#include "crypto/crypto.h"
#include "vault/token.h"
#include "vault/vaultd.h"

static uint64_t now_us(void)
{
    struct timespec t;
    b_check(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void fill_random(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    crypto_random(p, n);
}

static bool is_socket(int fd)
{
    int type = 0;
    socklen_t n = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

static ssize_t receive(int fd, uint8_t *buf)
{
    ssize_t n;
    do
        n = recv(fd, buf, VAULT_MESSAGE_MAX, MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    return n;
}

static bool answer_with(int fd, const struct b_wr *w)
{
    ssize_t n;
    do
        n = send(fd, w->p, w->len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n >= 0 && (size_t)n == w->len;
}

static struct b_wr error_answer(uint8_t *bytes, size_t cap, const struct b_err *err)
{
    struct b_wr w = b_wr_from(bytes, cap);
    b_wr_u8(&w, 1);
    wire_put_error(&w, err);
    return w;
}

/* The peer learns why as the answer to whatever it asks first. */
static int refuse(const struct b_err *err)
{
    uint8_t bytes[1024];
    struct b_wr w = error_answer(bytes, sizeof(bytes), err);
    if (recv(VAULT_FD, &(uint8_t){0}, 1, 0) < 0 || !answer_with(VAULT_FD, &w))
        return 1;
    return 1;
}

/* --- workers
 * ------------------------------------------------------------------------------- */

struct worker {
    struct vaultd d;
    int fd;
    uint8_t *request; /* secret memory: it may carry keys that were given to a scan */
    uint8_t answer[VAULT_MESSAGE_MAX];
};

static struct worker workers[VAULT_WORKERS_MAX];

static bool start_others(void);

/* What is given up for good once the vault knows what it is for: the token's module goes to a
 * process of its own, then files, then threads, then system calls. */
static enum b_code confine(struct vaultd_shared *sh, struct b_err *err)
{
    enum b_code r = token_start(&sh->config, err);
    sh->confinement.is_module_apart = r == B_OK;
    if (r == B_OK)
        r = vaultd_confine_files(&sh->confinement, sh->config.is_strict, err);
    if (r == B_OK && !start_others())
        r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "starting the vault's workers");
    if (r == B_OK)
        r = vaultd_confine_calls(&sh->confinement, sh->config.is_strict, err);
    return r;
}

/* Exit status of the process: its peer closed the lane, broke the protocol, or cannot be told. */
static int serve(struct worker *k)
{
    bool is_new = k == workers;
    for (;;) {
        struct b_err err = {0};
        ssize_t n = receive(k->fd, k->request);
        if (n <= 0)
            return n == 0 ? 0 : 1;
        if (n > VAULT_MESSAGE_MAX)
            return VAULT_EXIT_PROTOCOL;
        struct b_wr w = b_wr_from(k->answer, sizeof(k->answer));
        bool is_sound = vaultd_handle(&k->d, b_rd_from(k->request, (size_t)n), &w);
        b_wipe(k->request, (size_t)n);
        vaultd_scrub_stack();
        if (!is_sound)
            return VAULT_EXIT_PROTOCOL;
        if (is_new && k->d.shared->phase == VAULT_PHASE_READY) {
            is_new = false;
            if (confine(k->d.shared, &err) != B_OK)
                w = error_answer(k->answer, sizeof(k->answer), &err);
        }
        if (!answer_with(k->fd, &w) || err.code != B_OK)
            return 1;
        /* Whoever starts it again starts both. One that remembers badges serves them until its peer
         * has another that can do more. */
        if (token_is_gone() && vaultd_cache_count(k->d.shared->cache) == 0)
            return VAULT_EXIT_TOKEN;
    }
}

/* Whoever ends first ends the vault: the arena is not wiped by its owner then but by the kernel,
 * which gives no page to anybody before it is cleared. */
static void *run(void *arg)
{
    const struct worker *k = arg;
    int status = serve(arg);
    token_stop((unsigned)(k - workers));
    _exit(status);
}

static bool start(struct worker *k, int fd)
{
    k->fd = fd;
    k->request = b_secret_alloc(VAULT_MESSAGE_MAX);
    return k->request != NULL;
}

/* The lanes of the other workers lie behind the first two descriptors. */
static bool start_others(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    uint8_t count = vaultd_config(&workers[0].d)->workers;
    if (pthread_attr_init(&attr) != 0 || pthread_attr_setdetachstate(&attr, 1) != 0)
        return false;
    for (uint8_t i = 1; i < count; i++) {
        struct worker *k = &workers[i];
        int fd = VAULT_LANE_FD + i - 1;
        vaultd_join(&k->d, &workers[0].d, token_keyring(i, fd));
        if (!is_socket(fd) || !start(k, fd) || pthread_create(&thread, &attr, run, k) != 0)
            return false;
    }
    (void)pthread_attr_destroy(&attr);
    return true;
}

/* A service that started this vault says in its environment whose token it is. */
static void take_given(struct vaultd *d)
{
    const char *token = getenv(VAULT_ENV_TOKEN);
    const char *establishment = getenv(VAULT_ENV_ESTABLISHMENT);
    const char *pin_file = getenv(VAULT_ENV_PIN_FILE);
    if (token != NULL && establishment != NULL)
        vaultd_give(d, token, establishment, pin_file != NULL ? pin_file : "");
}

static const char usage[] = "usage: tessere-vault --help|--version\n"
                            "\n"
                            "Holds badge keys for tessere and tessered, which start it (or "
                            "tessere-starter does); it is of\n"
                            "no use by hand: tessere-vault(8).\n";

int main(int argc, char **argv)
{
    int asked = 0;
    if (b_about(argc, argv, "tessere-vault", usage, &asked))
        return asked;
    if (!is_socket(VAULT_FD)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    struct b_err err = {0};
    if (vaultd_harden(&err) != B_OK || vaultd_lock_memory(&err) != B_OK ||
        crypto_self_test(&err) != B_OK)
        return refuse(&err);
    struct worker *first = &workers[0];
    b_check(start(first, VAULT_FD));
    vaultd_init(&first->d, token_keyring(0, VAULT_FD), (struct df_random){.fill = fill_random},
                now_us);
    take_given(&first->d);
    int status = serve(first);
    if (vaultd_config(&first->d)->workers <= 1)
        vaultd_drop(&first->d);
    token_stop(0);
    _exit(status);
}
