/* The agent's socket from the side of a program: docs/agent-socket.md. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "pam/pam.h"

enum { ANSWER_MAX = 16384 };

/* It is looked at alone: the signal stays for the program that it was for. */
static int watch_signals(void)
{
    sigset_t wanted;
    (void)sigemptyset(&wanted);
    (void)sigaddset(&wanted, SIGINT);
    (void)sigaddset(&wanted, SIGQUIT);
    (void)sigaddset(&wanted, SIGTERM);
    (void)sigaddset(&wanted, SIGHUP);
    return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

enum b_code pam_ask_open(const char *path, uid_t agent, struct pam_ask *ret, struct b_err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct ucred who = {.uid = (uid_t)-1};
    *ret = (struct pam_ask){.fd = -1, .signals = -1};
    if (strlen(path) >= sizeof(at.sun_path))
        return b_err_set(err, B_E_CONFIG, 0, "%s: the path is too long", path);
    memcpy(at.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    enum b_code r = B_OK;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
        r = b_err_set(err, B_E_AGENT_GONE, (uint32_t)errno, "%s: %s", path, strerror(errno));
    else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &(socklen_t){sizeof(who)}) != 0 ||
             (who.uid != 0 && who.uid != agent))
        r = b_err_set(err, B_E_AGENT_GONE, 0,
                      "%s: user %lu listens there, who is neither root nor the agent's", path,
                      (unsigned long)who.uid);
    if (r != B_OK && fd >= 0)
        (void)close(fd);
    if (r == B_OK)
        *ret = (struct pam_ask){.fd = fd, .signals = watch_signals()};
    return r;
}

void pam_ask_close(struct pam_ask *a)
{
    if (a->fd >= 0)
        (void)close(a->fd);
    if (a->signals >= 0)
        (void)close(a->signals);
    *a = (struct pam_ask){.fd = -1, .signals = -1};
}

static enum b_code put(const struct pam_ask *a, const void *packet, size_t n, struct b_err *err)
{
    ssize_t done = 0;
    do
        done = send(a->fd, packet, n, MSG_NOSIGNAL);
    while (done < 0 && errno == EINTR);
    return done == (ssize_t)n ? B_OK
                              : b_err_set(err, B_E_AGENT_GONE, (uint32_t)errno,
                                          "the agent does not listen: %s", strerror(errno));
}

enum b_code pam_ask_say(const struct pam_ask *a, json_t *message, struct b_err *err)
{
    char *text = message != NULL ? json_dumps(message, JSON_COMPACT) : NULL;
    json_decref(message);
    if (text == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "asking the agent");
    enum b_code r = put(a, text, strlen(text), err);
    free(text);
    return r;
}

enum b_code pam_ask_pin(const struct pam_ask *a, const char *digits, struct b_err *err)
{
    static const char head[] = "{\"do\":\"pin\"}\n";
    char packet[sizeof(head) + PAM_PIN_MAX];
    size_t n = strnlen(digits, PAM_PIN_MAX);
    memcpy(packet, head, sizeof(head) - 1);
    memcpy(packet + sizeof(head) - 1, digits, n);
    enum b_code r = put(a, packet, sizeof(head) - 1 + n, err);
    b_wipe(packet, sizeof(packet));
    return r;
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

json_t *pam_answer_parse(const char *packet, size_t n)
{
    json_error_t why;
    json_t *o = json_loadb(packet, n, JSON_REJECT_DUPLICATES, &why);
    if (json_is_string(json_object_get(o, "answer")))
        return o;
    json_decref(o);
    return NULL;
}

/* One packet, and what it says; *ret NULL: no answer. B_E_AGENT_GONE when nothing comes any more.
 */
static enum b_code take_packet(const struct pam_ask *a, json_t **ret, struct b_err *err)
{
    char *packet = malloc(ANSWER_MAX);
    ssize_t n = packet != NULL ? recv(a->fd, packet, ANSWER_MAX, MSG_TRUNC) : -1;
    if (n > 0 && n <= ANSWER_MAX)
        *ret = pam_answer_parse(packet, (size_t)n);
    if (n > 0)
        b_wipe(packet, ANSWER_MAX);
    free(packet);
    return n > 0 ? B_OK : b_err_set(err, B_E_AGENT_GONE, 0, "the agent ended the connection");
}

/* A signal that the calling program handles does not end the wait: it may be a window that changes
 * its size. Whoever wants that ends the program, and the agent sees the connection go. */
enum b_code pam_ask_hear(const struct pam_ask *a, unsigned seconds, json_t **ret, struct b_err *err)
{
    struct pollfd p[2] = {{.fd = a->fd, .events = POLLIN}, {.fd = a->signals, .events = POLLIN}};
    int64_t until = now_ms() + (int64_t)seconds * 1000;
    int got = 0;
    for (int64_t left = until - now_ms(); got <= 0 && left > 0; left = until - now_ms()) {
        got = poll(p, B_COUNT(p), (int)left);
        if (got < 0 && errno != EINTR)
            return b_err_set(err, B_E_AGENT_GONE, (uint32_t)errno, "waiting for the agent: %s",
                             strerror(errno));
    }
    *ret = NULL;
    if (got > 0 && p[0].revents == 0)
        return b_err_set(err, B_E_CANCELLED, 0, "a signal asks this program to end");
    if (got <= 0)
        return b_err_set(err, B_E_AGENT_GONE, 0, "the agent says nothing");
    enum b_code r = take_packet(a, ret, err);
    if (r != B_OK)
        return r;
    return *ret != NULL ? B_OK
                        : b_err_set(err, B_E_AGENT_GONE, 0, "the agent's answer is no answer");
}

const char *pam_answer_text(const json_t *answer, const char *name)
{
    const char *text = json_string_value(json_object_get(answer, name));
    return text != NULL && b_text_is_name(text) ? text : "";
}
