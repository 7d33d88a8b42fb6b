/*
 * tessere-vault: reads requests from the socket on descriptor 3, answers each, ends with it.
 * Started by the programs that need it, never by hand.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
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

static bool has_socket(void)
{
    int type = 0;
    socklen_t n = sizeof(type);
    return getsockopt(VAULT_FD, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

static ssize_t receive(uint8_t *buf)
{
    ssize_t n;
    do
        n = recv(VAULT_FD, buf, VAULT_MESSAGE_MAX, MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    return n;
}

static bool answer_with(const struct b_wr *w)
{
    ssize_t n;
    do
        n = send(VAULT_FD, w->p, w->len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n >= 0 && (size_t)n == w->len;
}

/* The peer learns why as the answer to whatever it asks first. */
static int refuse(const struct b_err *err)
{
    uint8_t bytes[1024];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    b_wr_u8(&w, 1);
    wire_put_error(&w, err);
    if (recv(VAULT_FD, &(uint8_t){0}, 1, 0) < 0 || !answer_with(&w))
        return 1;
    return 1;
}

static int serve(struct vaultd *d, uint8_t *request, uint8_t *answer)
{
    for (;;) {
        ssize_t n = receive(request);
        if (n <= 0)
            return n == 0 ? 0 : 1;
        if (n > VAULT_MESSAGE_MAX)
            return VAULT_EXIT_PROTOCOL;
        struct b_wr w = b_wr_from(answer, VAULT_MESSAGE_MAX);
        bool is_sound = vaultd_handle(d, b_rd_from(request, (size_t)n), &w);
        b_wipe(request, VAULT_MESSAGE_MAX);
        vaultd_scrub_stack();
        if (!is_sound)
            return VAULT_EXIT_PROTOCOL;
        if (!answer_with(&w))
            return 1;
    }
}

int main(void)
{
    if (!has_socket()) {
        (void)fputs("tessere-vault is started by tessere; it is of no use by hand\n", stderr);
        return 2;
    }
    struct b_err err = {0};
    if (vaultd_harden(&err) != B_OK || vaultd_lock_memory(&err) != B_OK ||
        crypto_self_test(&err) != B_OK)
        return refuse(&err);
    /* A request may carry keys that were given to a scan; an answer carries no secret. */
    static uint8_t answer[VAULT_MESSAGE_MAX];
    uint8_t *request = b_secret_alloc(VAULT_MESSAGE_MAX);
    b_check(request != NULL);
    static struct vaultd d;
    vaultd_init(&d, vaultd_keyring_token(), (struct df_random){.fill = fill_random}, now_us);
    int status = serve(&d, request, answer);
    vaultd_drop(&d);
    vaultd_keyring_close(&d.keyring);
    /* Modules register exit handlers that expect libraries to be there in their own order. */
    _exit(status);
}
