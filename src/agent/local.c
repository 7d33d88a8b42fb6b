#include "agent/state.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS_OF_ROOT = 8, /* that nobody else can use up */
    CLIENTS_OF_USER = 8,
    MESSAGES_A_SECOND = 20,
    IDLE_MS = 10000, /* a connection that says nothing and waits for nothing */
    PIN_MS = 55000,  /* the server waits 60 s */
    TICK_MS = 250,
    KEYS = 8, /* of some 200 bytes each */
};

int64_t local_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wake(struct agent_local *l)
{
    (void)!write(l->wake, &(uint64_t){1}, sizeof(uint64_t));
}

/* --- answers -----------------------------------------------------------------------------------
 */

void local_say(struct client *c, json_t *answer)
{
    char *text = answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;
    size_t n = text != NULL ? strlen(text) : 0;
    if (n == 0 || send(c->fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
        c->is_dead = true;
    if (text != NULL)
        b_wipe(text, n);
    free(text);
    json_decref(answer);
}

void local_say_error(struct client *c, enum b_code code, const char *sentence)
{
    local_say(c, json_pack("{s:s, s:s, s:s}", "answer", "error", "code", b_code_name(code),
                           "sentence", sentence));
}

static void say_status(struct agent_local *l, struct client *c)
{
    json_t *readers = json_array();
    for (size_t i = 0; i < READERS; i++)
        if (l->readers[i][0] != '\0')
            (void)json_array_append_new(readers, json_string(l->readers[i]));
    json_t *last = json_null();
    if (l->last_at != 0)
        last = json_pack("{s:s, s:s, s:I}", "outcome", b_code_name(l->last_code), "reader",
                         l->last_reader, "at", (json_int_t)l->last_at);
    local_say(c, json_pack("{s:s, s:s, s:b, s:o, s:o}", "answer", "status", "station", l->station,
                           "server", (int)l->is_server_reached, "readers", readers, "last", last));
}

/* --- waits -------------------------------------------------------------------------------------
 */

void local_end_wait(struct agent_local *l, struct client *c)
{
    c->wait = 0;
    c->is_taken_up = false;
    c->chosen[0] = '\0';
    c->pin_state = PIN_NONE;
    b_wipe(c->pin, AGENT_PIN_MAX + 1);
    (void)pthread_cond_broadcast(&l->changed);
}

static bool wants_reader(const struct client *c, const char *reader)
{
    const char *own = c->wanted.reader;
    return reader[0] == '\0' || own[0] == '\0' || strcmp(own, reader) == 0;
}

/* One program waits for a reader at a time; root's goes before others' until a card is there. */
static void start_wait(struct agent_local *l, struct client *c, const struct agent_message *m)
{
    if (c->wait != 0) {
        local_say_error(c, B_E_READER_TAKEN, "this connection waits for a tap already");
        return;
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *k = &l->clients[i];
        if (k->fd < 0 || k->is_dead || k->wait == 0 || k->chosen[0] != '\0' ||
            !wants_reader(k, m->reader))
            continue;
        if (c->uid != 0 || k->uid == 0 || k->is_taken_up) {
            local_say_error(c, B_E_READER_TAKEN, b_code_text(B_E_READER_TAKEN));
            return;
        }
        local_say_error(k, B_E_READER_TAKEN, b_code_text(B_E_READER_TAKEN));
        local_end_wait(l, k);
    }
    c->wanted = *m;
    c->wait = ++l->waits;
    c->until_ms = local_now_ms() + (int64_t)m->seconds * 1000;
    local_say(c, json_pack("{s:s, s:i}", "answer", "waiting", "seconds", (int)m->seconds));
}

static void take_pin(struct agent_local *l, struct client *c, const struct agent_message *m)
{
    if (c->pin_state != PIN_WANTED) {
        local_say_error(c, B_E_BAD_INPUT, "no PIN was asked for");
        return;
    }
    memcpy(c->pin, m->pin.p, m->pin.left);
    c->pin[m->pin.left] = '\0';
    c->pin_state = PIN_GIVEN;
    (void)pthread_cond_broadcast(&l->changed);
}

static void act(struct agent_local *l, struct client *c, const struct agent_message *m)
{
    switch (m->ask) {
    case AGENT_STATUS:
        say_status(l, c);
        return;
    case AGENT_TAP:
        start_wait(l, c, m);
        return;
    case AGENT_PIN:
        take_pin(l, c, m);
        return;
    case AGENT_CANCEL:
        local_end_wait(l, c);
        local_say(c, json_pack("{s:s}", "answer", "cancelled"));
        return;
    case AGENT_KEYS:
        local_say(c, json_pack("{s:s, s:O}", "answer", "keys", "keys", l->keys));
        return;
    case AGENT_CHALLENGES:
        local_subscribe(l, c);
        return;
    case AGENT_CHOOSE:
    case AGENT_REFUSE:
    case AGENT_LEAVE:
        local_want_deed(l, c, m);
        return;
    case AGENT_BROWSER:
    case AGENT_PAIR:
        if (c->join != 0) {
            local_say_error(c, B_E_TOO_OFTEN, "one after the other");
            return;
        }
        c->join = ++l->waits;
        c->is_join_begun = false;
        c->join_by = m->ask;
        (void)pthread_cond_broadcast(&l->changed);
        return;
    }
}

/* --- connections -------------------------------------------------------------------------------
 */

static void close_client(struct agent_local *l, struct client *c)
{
    local_end_wait(l, c);
    (void)close(c->fd);
    b_secret_free(c->pin);
    *c = (struct client){.fd = -1};
}

static bool is_allowed(const struct agent_socket_config *c, uid_t uid)
{
    bool is = uid == 0 || uid == geteuid() || c->user_count == 0;
    for (size_t i = 0; !is && i < c->user_count; i++)
        is = c->users[i] == uid;
    return is;
}

/* A place for one more of this user's, the silent longest of whom goes when there are too many. */
static struct client *find_place(struct agent_local *l, uid_t uid)
{
    struct client *place = NULL, *silent = NULL;
    size_t own = 0, others = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *k = &l->clients[i];
        if (k->fd < 0) {
            place = k;
            continue;
        }
        others += k->uid != 0;
        own += k->uid == uid;
        if (k->uid == uid && local_is_idle(k) && (silent == NULL || k->heard_ms < silent->heard_ms))
            silent = k;
    }
    if (own >= CLIENTS_OF_USER) {
        place = silent;
        if (silent != NULL)
            close_client(l, silent);
    } else if (uid != 0 && others >= CLIENTS - CLIENTS_OF_ROOT) {
        place = NULL;
    }
    return place;
}

static void admit(struct agent_local *l, int fd)
{
    struct ucred who = {.uid = (uid_t)-1};
    struct client refused = {.fd = fd};
    enum b_code r = B_E_NOT_PERMITTED;
    struct client *c = NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &(socklen_t){sizeof(who)}) == 0 &&
        is_allowed(&l->config, who.uid)) {
        c = find_place(l, who.uid);
        r = B_E_TOO_OFTEN;
    }
    char *pin = c != NULL ? b_secret_alloc(AGENT_PIN_MAX + 1) : NULL;
    if (pin == NULL) {
        local_say_error(&refused, r, b_code_text(r));
        (void)close(fd);
        return;
    }
    *c = (struct client){.fd = fd, .uid = who.uid, .pin = pin, .heard_ms = local_now_ms()};
}

static void accept_some(struct agent_local *l)
{
    for (size_t i = 0; i < CLIENTS_OF_USER && l->listener >= 0; i++) {
        int fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        admit(l, fd);
    }
}

/* One packet. What cannot be understood, and what comes too fast, ends the connection. */
static void hear(struct agent_local *l, struct client *c)
{
    static _Thread_local struct agent_message m;
    struct b_err err;
    enum b_code r = B_OK;
    ssize_t n = recv(c->fd, l->packet, AGENT_MESSAGE_MAX + 1, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        c->is_dead = true;
        return;
    }
    c->heard_ms = local_now_ms();
    if (c->heard_ms / 1000 != c->second)
        c->messages = 0;
    c->second = c->heard_ms / 1000;
    if (++c->messages > MESSAGES_A_SECOND)
        r = b_err_set(&err, B_E_TOO_OFTEN, 0, "at most %d messages a second", MESSAGES_A_SECOND);
    else if (n > AGENT_MESSAGE_MAX)
        r = b_err_set(&err, B_E_TOO_LARGE, 0, "at most %d bytes", AGENT_MESSAGE_MAX);
    else
        r = agent_message_parse(b_rd_from(l->packet, (size_t)n), &m, &err);
    if (r == B_OK) {
        act(l, c, &m);
    } else {
        local_say_error(c, r, err.msg);
        c->is_dead = true;
    }
    b_wipe(l->packet, AGENT_MESSAGE_MAX + 1);
}

/* What time alone ends. */
static void tick(struct agent_local *l)
{
    int64_t now = local_now_ms();
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        if (c->fd < 0)
            continue;
        if (c->wait != 0 && !c->is_taken_up && now > c->until_ms) {
            local_say_error(c, B_E_NO_CARD, b_code_text(B_E_NO_CARD));
            local_end_wait(l, c);
            c->heard_ms = now;
        }
        if (c->is_dead || (local_is_idle(c) && now - c->heard_ms > IDLE_MS))
            close_client(l, c);
    }
}

static void *listen_to_all(void *arg)
{
    struct agent_local *l = arg;
    (void)pthread_mutex_lock(&l->lock);
    while (!l->is_ending) {
        struct pollfd p[CLIENTS + 2];
        for (size_t i = 0; i < CLIENTS; i++)
            p[i] = (struct pollfd){.fd = l->clients[i].fd, .events = POLLIN};
        p[CLIENTS] = (struct pollfd){.fd = l->wake, .events = POLLIN};
        p[CLIENTS + 1] = (struct pollfd){.fd = l->listener, .events = POLLIN};
        (void)pthread_mutex_unlock(&l->lock);
        (void)poll(p, B_COUNT(p), TICK_MS);
        (void)pthread_mutex_lock(&l->lock);
        if (p[CLIENTS].revents != 0)
            (void)!read(l->wake, &(uint64_t){0}, sizeof(uint64_t));
        for (size_t i = 0; i < CLIENTS; i++)
            if (p[i].revents != 0 && l->clients[i].fd >= 0)
                hear(l, &l->clients[i]);
        tick(l);
        if (p[CLIENTS + 1].revents != 0)
            accept_some(l);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* --- from start to end -------------------------------------------------------------------------
 */

enum b_code agent_local_set(struct agent_local *l, const struct agent_socket_config *c,
                            struct b_err *err)
{
    int fd = -1;
    bool is_same = strcmp(l->config.path, c->path) == 0;
    enum b_code r = B_OK;
    if (!is_same)
        r = agent_listener_open(c, &fd, err);
    else if (c->path[0] != '\0')
        r = agent_listener_rights(c, err);
    if (r != B_OK)
        return r;
    (void)pthread_mutex_lock(&l->lock);
    if (!is_same && l->listener >= 0) {
        (void)close(l->listener);
        (void)unlink(l->config.path);
    }
    if (!is_same)
        l->listener = fd;
    l->config = *c;
    (void)pthread_mutex_unlock(&l->lock);
    wake(l);
    return B_OK;
}

enum b_code agent_local_new(const struct agent_socket_config *c, struct agent_local **ret,
                            struct b_err *err)
{
    pthread_condattr_t attributes;
    struct agent_local *l = calloc(1, sizeof(*l));
    uint8_t *packet = b_secret_alloc(AGENT_MESSAGE_MAX + 1);
    json_t *keys = json_array();
    json_t *list = json_array();
    json_t *offered = json_array();
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l == NULL || packet == NULL || keys == NULL || list == NULL || offered == NULL ||
        event < 0) {
        free(l);
        json_decref(keys);
        json_decref(list);
        json_decref(offered);
        b_secret_free(packet);
        if (event >= 0)
            (void)close(event);
        return b_err_set(err, B_E_NO_MEMORY, 0, "starting the local socket");
    }
    b_check(pthread_condattr_init(&attributes) == 0 &&
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
            pthread_mutex_init(&l->lock, NULL) == 0 &&
            pthread_cond_init(&l->changed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    l->packet = packet;
    l->keys = keys;
    l->list = list;
    l->offered = offered;
    l->wake = event;
    for (size_t i = 0; i < CLIENTS; i++)
        l->clients[i].fd = -1;
    l->config = *c;
    enum b_code r = agent_listener_open(c, &l->listener, err);
    if (r == B_OK && pthread_create(&l->thread, NULL, listen_to_all, l) != 0)
        r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "starting a thread");
    if (r != B_OK) {
        (void)close(event);
        b_secret_free(packet);
        json_decref(keys);
        json_decref(list);
        json_decref(offered);
        free(l);
        return r;
    }
    *ret = l;
    return B_OK;
}

void agent_local_end(struct agent_local *l)
{
    (void)pthread_mutex_lock(&l->lock);
    l->is_ending = true;
    (void)pthread_cond_broadcast(&l->changed);
    (void)pthread_mutex_unlock(&l->lock);
    wake(l);
}

void agent_local_free(struct agent_local **pl)
{
    struct agent_local *l = *pl;
    *pl = NULL;
    if (l == NULL)
        return;
    agent_local_end(l);
    (void)pthread_join(l->thread, NULL);
    for (size_t i = 0; i < CLIENTS; i++)
        if (l->clients[i].fd >= 0)
            close_client(l, &l->clients[i]);
    if (l->listener >= 0) {
        (void)close(l->listener);
        (void)unlink(l->config.path);
    }
    (void)close(l->wake);
    b_secret_free(l->packet);
    json_decref(l->keys);
    json_decref(l->list);
    json_decref(l->offered);
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

/* --- what readers' threads say -----------------------------------------------------------------
 */

void agent_local_server(struct agent_local *l, const char *station, bool is_reached)
{
    (void)pthread_mutex_lock(&l->lock);
    if (station != NULL)
        (void)snprintf(l->station, sizeof(l->station), "%s", station);
    l->is_server_reached = is_reached;
    (void)pthread_mutex_unlock(&l->lock);
}

/* What has no room in an answer, or is no key of assertions, is left out: RFC 7517 lets a set grow.
 */
void agent_local_keys(struct agent_local *l, const json_t *set)
{
    const json_t *all = json_object_get(set, "keys");
    json_t *kept = json_array();
    for (size_t i = 0; i < json_array_size(all) && json_array_size(kept) < KEYS; i++) {
        json_t *k = json_array_get(all, i);
        const char *algorithm = json_string_value(json_object_get(k, "alg"));
        if (algorithm != NULL && strcmp(algorithm, "ES256") == 0)
            (void)json_array_append(kept, k);
    }
    if (kept == NULL)
        return;
    (void)pthread_mutex_lock(&l->lock);
    json_t *old = l->keys;
    l->keys = kept;
    json_decref(old); /* under the lock: whoever sends them has it */
    (void)pthread_mutex_unlock(&l->lock);
}

void agent_local_reader(struct agent_local *l, const char *reader, bool is_there)
{
    char(*place)[AGENT_READER_MAX + 1] = NULL;
    (void)pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < READERS; i++) {
        bool is_it = strcmp(l->readers[i], reader) == 0;
        if (is_it || (place == NULL && l->readers[i][0] == '\0'))
            place = &l->readers[i];
        if (is_it)
            break;
    }
    if (place != NULL)
        (void)snprintf(*place, sizeof(*place), "%s", is_there ? reader : "");
    (void)pthread_mutex_unlock(&l->lock);
}

static struct client *find_wait(struct agent_local *l, uint64_t wait)
{
    for (size_t i = 0; wait != 0 && i < CLIENTS; i++)
        if (l->clients[i].fd >= 0 && !l->clients[i].is_dead && l->clients[i].wait == wait)
            return &l->clients[i];
    return NULL;
}

/* Waits without the lock until the program answers, cancels or goes, or the time is over. */
static bool ask_pin(void *ctx, const char *sentence, char pin[static 16])
{
    static_assert(AGENT_PIN_MAX < 16, "a PIN fits");
    const struct agent_turn *t = ctx;
    struct agent_local *l = t->local;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PIN_MS / 1000;
    (void)pthread_mutex_lock(&l->lock);
    struct client *c = find_wait(l, t->wait);
    if (c != NULL) {
        c->pin_state = PIN_WANTED;
        local_say(c, json_pack("{s:s, s:s, s:i}", "answer", "pin", "sentence", sentence, "seconds",
                               PIN_MS / 1000));
    }
    int waited = 0;
    while (waited == 0 && !l->is_ending && (c = find_wait(l, t->wait)) != NULL &&
           c->pin_state == PIN_WANTED)
        waited = pthread_cond_timedwait(&l->changed, &l->lock, &until);
    c = find_wait(l, t->wait);
    bool is_given = c != NULL && c->pin_state == PIN_GIVEN;
    if (is_given)
        memcpy(pin, c->pin, strlen(c->pin)); /* zero padded: it was zero before */
    if (c != NULL) {
        c->pin_state = PIN_NONE;
        b_wipe(c->pin, AGENT_PIN_MAX + 1);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return is_given;
}

/* Who asked for a tap goes before who chose what the next tap is for, and that one's tap is
 * nobody's but the server's. */
static struct client *find_taker(struct agent_local *l, const char *reader)
{
    struct client *chooser = NULL;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        if (c->fd < 0 || c->is_dead || c->wait == 0 || c->is_taken_up || !wants_reader(c, reader))
            continue;
        if (c->chosen[0] == '\0')
            return c;
        if (chooser == NULL || c->wait > chooser->wait)
            chooser = c;
    }
    return chooser;
}

void agent_turn_begin(struct agent_local *l, const char *reader, const struct agent_pin *otherwise,
                      struct agent_turn *ret)
{
    *ret = (struct agent_turn){.local = l, .pin = *otherwise};
    (void)pthread_mutex_lock(&l->lock);
    struct client *c = find_taker(l, reader);
    if (c != NULL) {
        c->is_taken_up = true;
        ret->wait = c->wait;
        ret->pin = (struct agent_pin){.ask = ask_pin, .ctx = ret};
        memcpy(ret->challenge, c->wanted.challenge, sizeof(ret->challenge));
    }
    (void)pthread_mutex_unlock(&l->lock);
}

static json_t *outcome_of(const struct client *c, const char *reader, const struct agent_outcome *o)
{
    const char *subject = c->wanted.subject;
    if (o->code == B_OK && subject[0] != '\0' && strcmp(subject, o->holder_ref) != 0)
        return json_pack("{s:s, s:s, s:s, s:s}", "answer", "outcome", "outcome",
                         b_code_name(B_E_OTHER_HOLDER), "reader", reader, "sentence",
                         b_code_text(B_E_OTHER_HOLDER));
    json_t *a = json_pack("{s:s, s:s, s:s, s:s}", "answer", "outcome", "outcome",
                          b_code_name(o->code), "reader", reader, "sentence", o->sentence);
    if (o->code == B_OK && a != NULL) {
        (void)json_object_set_new(a, "subject", json_string(o->holder_ref));
        (void)json_object_set_new(a, "name", json_string(o->holder_name));
        (void)json_object_set_new(a, "badge", json_integer(o->badge));
        (void)json_object_set_new(a, "assertion", json_string(o->assertion));
    }
    return a;
}

void agent_turn_end(struct agent_turn *t, const char *reader, const struct agent_outcome *o)
{
    struct agent_local *l = t->local;
    (void)pthread_mutex_lock(&l->lock);
    struct client *c = find_wait(l, t->wait);
    if (c != NULL && o->is_desk) {
        c->is_taken_up = false; /* the card was the desk's: it waits for the next */
    } else if (c == NULL || c->chosen[0] != '\0') {
        local_tell_chosen(l, c, reader, o);
    } else {
        local_say(c, outcome_of(c, reader, o));
        c->heard_ms = local_now_ms();
        local_end_wait(l, c);
    }
    l->last_code = o->code;
    l->last_at = (int64_t)time(NULL);
    (void)snprintf(l->last_reader, sizeof(l->last_reader), "%s", reader);
    (void)pthread_mutex_unlock(&l->lock);
    t->wait = 0;
}
