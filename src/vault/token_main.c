/*
 * tessere-token: answers the vault's requests with the token's PKCS#11 module, which is loaded here
 * and nowhere else. Started by tessere-vault, never by hand; ends with it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/about.h"
#include "vault/token.h"

struct server {
    struct token_lane lane;
    int fd;
    uint8_t *answer;                    /* secret memory: derived keys pass */
    uint8_t request[TOKEN_MESSAGE_MAX]; /* no key; what is kept between the halves of a proof */
};
static struct server servers[VAULT_WORKERS_MAX];

static bool is_lane(int fd)
{
    int type = 0;
    socklen_t n = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

static bool answer_with(int fd, const struct b_wr *w)
{
    ssize_t n;
    do
        n = send(fd, w->p, w->len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n >= 0 && (size_t)n == w->len;
}

static int serve(struct server *s)
{
    for (;;) {
        ssize_t n;
        do
            n = recv(s->fd, s->request, sizeof(s->request), MSG_TRUNC);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
            return n == 0 ? 0 : 1;
        struct b_wr w = b_wr_from(s->answer, TOKEN_MESSAGE_MAX);
        if ((size_t)n > sizeof(s->request) ||
            !token_handle(&s->lane, b_rd_from(s->request, (size_t)n), &w))
            return VAULT_EXIT_PROTOCOL;
        bool is_sent = answer_with(s->fd, &w);
        b_wipe(s->answer, w.len);
        b_wipe(s->request, (size_t)n);
        vaultd_scrub_stack();
        if (!is_sent)
            return 1;
    }
}

/* The vault has ended. A module may be in the middle of rewriting its files (SoftHSM2 does at each
 * login), and cut there it has lost the token: so what was begun is ended, on each lane, but no
 * module that hangs is waited for longer than this. */
enum { GRACE_SECONDS = 3 };
static atomic_uint lanes_at_work;

static void on_vault_ended(int signal)
{
    (void)signal;
    (void)alarm(GRACE_SECONDS); /* nobody catches its signal */
}

/* Modules register exit handlers that expect libraries to be there in their own order: none runs.
 */
static _Noreturn void end_lane(int status)
{
    if (status == VAULT_EXIT_PROTOCOL || atomic_fetch_sub(&lanes_at_work, 1) == 1)
        _exit(status);
    (void)alarm(GRACE_SECONDS);
    for (;;)
        (void)pause();
}

static void *run(void *arg)
{
    end_lane(serve(arg));
}

/* Why it cannot work, as the answer to whatever is asked first. */
static int refuse(const struct b_err *err)
{
    uint8_t bytes[1024];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    b_wr_u8(&w, 1);
    wire_put_error(&w, err);
    if (recv(VAULT_TOKEN_FD, &(uint8_t){0}, 1, 0) > 0)
        (void)answer_with(VAULT_TOKEN_FD, &w);
    return 1;
}

static bool read_arguments(int argc, char **argv, struct key_stay *ret)
{
    static const char name[] = TOKEN_IN_TOKEN;
    return argc == 2 && strncmp(argv[1], name, sizeof(name) - 1) == 0 &&
           key_stay_read(argv[1] + sizeof(name) - 1, ret);
}

static enum b_code prepare(unsigned count, const struct key_stay *in_token, struct b_err *err)
{
    enum { PIN_AND_SUBKEYS = 16384 };
    enum b_code r = vaultd_harden(err);
    if (r == B_OK)
        r = b_secret_init(count * (TOKEN_MESSAGE_MAX + PIN_AND_SUBKEYS), true, err);
    if (r == B_OK)
        r = vaultd_confine_module(err);
    for (unsigned i = 0; r == B_OK && i < count; i++) {
        servers[i].fd = VAULT_TOKEN_FD + (int)i;
        servers[i].answer = b_secret_alloc(TOKEN_MESSAGE_MAX);
        servers[i].lane.keyring = vaultd_keyring_token();
        servers[i].lane.config.in_token = *in_token;
        b_check(servers[i].answer != NULL);
    }
    return r;
}

static const char usage[] =
    "usage: tessere-token --help|--version\n"
    "\n"
    "Runs the token's PKCS#11 module for tessere-vault, which starts it; it is of no use by hand:\n"
    "tessere-vault(8).\n";

int main(int argc, char **argv)
{
    int asked = 0;
    if (b_about(argc, argv, "tessere-token", usage, &asked))
        return asked;
    struct b_err err = {0};
    struct key_stay in_token;
    unsigned count = 0;
    while (count < VAULT_WORKERS_MAX && is_lane(VAULT_TOKEN_FD + (int)count))
        count++;
    if (count == 0 || !read_arguments(argc, argv, &in_token)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    /* Also when a module hangs. A vault that ended before this line is seen on its lanes. */
    const struct sigaction ended = {.sa_handler = on_vault_ended, .sa_flags = SA_RESTART};
    if (sigaction(SIGTERM, &ended, NULL) != 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 ||
        prepare(count, &in_token, &err) != B_OK)
        return refuse(&err);
    atomic_store(&lanes_at_work, count);
    for (unsigned i = 1; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run, &servers[i]) != 0)
            return 1;
    }
    int status = serve(&servers[0]);
    if (count == 1)
        vaultd_keyring_close(&servers[0].lane.keyring);
    end_lane(status);
}
