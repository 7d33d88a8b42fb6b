/*
 * The driver's protocol: messages both ways are a length of two bytes, most significant first, and
 * a body. A body of one byte is for the card's power: 00 off, 01 on, 02 reset, none answered; 04
 * asks for the ATR, about every 0.4 s. Any other body is a C-APDU; its answer is the R-APDU.
 */
#include "card/vpcd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { POWER_OFF = 0, POWER_ON = 1, RESET = 2, ATR = 4, BODY_MAX = 65535 };

/* A DESFire on a contactless PC/SC reader: T=1, no historical bytes but 80 (PC/SC part 3, 3.1.3.2).
 */
static const uint8_t atr[] = {0x3B, 0x81, 0x80, 0x01, 0x80, 0x80};

static int connect_once(const struct vpcd_place *place)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(place->port)};
    if (inet_pton(AF_INET, place->host, &a.sin_addr) != 1)
        return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

enum b_code vpcd_connect(const struct vpcd_place *place, int *ret_fd, struct b_err *err)
{
    static const struct timespec pause = {.tv_nsec = 20000000};
    for (unsigned waited = 0;; waited += 20) {
        int fd = connect_once(place);
        if (fd >= 0) {
            *ret_fd = fd;
            return B_OK;
        }
        if (waited >= place->wait_ms)
            return b_err_set(err, B_E_PCSC_DOWN, (uint32_t)errno,
                             "no virtual reader listens on %s port %u", place->host, place->port);
        (void)nanosleep(&pause, NULL);
    }
}

static bool receive(int fd, uint8_t *p, size_t n)
{
    while (n > 0) {
        /* The driver sends length and body apart: without an immediate acknowledgement of the
         * first, the second waits for about 48 ms. The kernel forgets the option by itself. */
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
        ssize_t got = recv(fd, p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static bool answer(int fd, struct b_rd body)
{
    uint8_t message[2 + DF_RAPDU_MAX];
    struct b_wr w = b_wr_from(message, sizeof(message));
    b_wr_be16(&w, (uint16_t)body.left);
    b_wr_bytes(&w, body.p, body.left);
    return b_wr_ok(&w) && send(fd, message, w.len, MSG_NOSIGNAL) == (ssize_t)w.len;
}

/* False: the connection is over; *ret_torn tells whether the card left. */
static bool serve_one(int fd, struct card *card, uint8_t *body, bool *ret_torn)
{
    uint8_t rapdu[DF_RAPDU_MAX], head[2];
    if (!receive(fd, head, sizeof(head)))
        return false;
    struct b_rd r = b_rd_from(head, sizeof(head));
    size_t n = b_rd_be16(&r);
    if (!receive(fd, body, n))
        return false;
    if (n == 1 && body[0] == ATR)
        return answer(fd, b_rd_from(atr, sizeof(atr)));
    if (n <= 1) {
        if (n == 1 && (body[0] == POWER_OFF || body[0] == POWER_ON || body[0] == RESET))
            card_power(card);
        return true;
    }
    struct b_wr w = b_wr_from(rapdu, sizeof(rapdu));
    if (!card_apdu(card, b_rd_from(body, n), &w)) {
        *ret_torn = true;
        return false;
    }
    return answer(fd, b_wr_reader(&w));
}

enum b_code vpcd_serve(int fd, struct card *card, struct b_err *err)
{
    static uint8_t body[BODY_MAX];
    bool is_torn = false;
    card_power(card);
    while (serve_one(fd, card, body, &is_torn))
        continue;
    close(fd);
    return is_torn ? b_err_set(err, B_E_CARD_REMOVED, 0, "torn out at APDU %u", card->seen) : B_OK;
}
