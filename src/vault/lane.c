/*
 * The client: lanes to the vault's workers. A lane carries one request and its answer at a time; a
 * call takes a free lane, or waits for one. Requests may carry keys that some party gave for a
 * scan, so a lane's buffer is wiped after each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vault/lane.h"

struct lane *vault_lane_take(struct vault *v)
{
    (void)pthread_mutex_lock(&v->lock);
    while (v->free == NULL || v->is_changing)
        (void)pthread_cond_wait(&v->freed, &v->lock);
    struct lane *k = v->free;
    v->free = k->next_free;
    (void)pthread_mutex_unlock(&v->lock);
    return k;
}

static void give(struct lane *k)
{
    struct vault *v = k->vault;
    (void)pthread_mutex_lock(&v->lock);
    k->next_free = v->free;
    v->free = k;
    bool is_changing = v->is_changing;
    (void)pthread_mutex_unlock(&v->lock);
    if (is_changing)
        (void)pthread_cond_broadcast(&v->freed); /* whoever replaces the vault waits for all */
    else
        (void)pthread_cond_signal(&v->freed);
}

/* A lane that goes back by itself when the call that took it returns. */
void vault_lane_give_back(struct lane **k)
{
    give(*k);
}

static enum b_code gone(struct lane *k, const char *name, const char *cause, struct b_err *err)
{
    struct vault *v = k->vault;
    atomic_store(&v->is_gone, true);
    (void)pthread_mutex_lock(&v->lock);
    int status = vault_process_status(&v->process);
    (void)pthread_mutex_unlock(&v->lock);
    if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == VAULT_EXIT_PROTOCOL)
        return b_err_set(err, B_E_VAULT_PROTOCOL, 0, "%s: the vault refused the message and ended",
                         name);
    if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == VAULT_EXIT_TOKEN)
        return b_err_set(err, B_E_VAULT_GONE, 0,
                         "%s: the process of the token's module ended, and the vault with it",
                         name);
    if (status >= 0 && WIFSIGNALED(status))
        return b_err_set(err, B_E_VAULT_GONE, (uint32_t)WTERMSIG(status),
                         "%s: the vault was ended by signal %d", name, WTERMSIG(status));
    return b_err_set(err, B_E_VAULT_GONE, 0, "%s: %s", name, b_err_word(cause));
}

struct wire_out vault_lane_begin(struct lane *k, enum vault_msg id)
{
    k->request = b_wr_from(k->buf, sizeof(k->buf));
    b_wr_u8(&k->request, (uint8_t)id);
    return wire_out_from(vault_msg_row((uint8_t)id)->request, &k->request);
}

static ssize_t receive(struct lane *k)
{
    ssize_t n;
    do
        n = recv(k->fd, k->buf, sizeof(k->buf), MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    return n;
}

static enum b_code exchange(struct lane *k, const char *name, ssize_t *ret_n, struct b_err *err)
{
    if (atomic_load(&k->vault->is_gone))
        return b_err_set(err, B_E_VAULT_GONE, 0, "%s: the vault has ended", name);
    ssize_t n;
    do
        n = send(k->fd, k->request.p, k->request.len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    int cause = errno;
    b_wipe(k->buf, k->request.len > k->answer_len ? k->request.len : k->answer_len);
    k->answer_len = 0;
    if (n < 0)
        return gone(k, name, strerror(cause), err);
    n = receive(k);
    if (n < 0)
        return gone(k, name, errno == EAGAIN ? N_("no answer in time") : strerror(errno), err);
    if (n == 0)
        return gone(k, name, "the vault closed its socket", err);
    if ((size_t)n > sizeof(k->buf))
        return gone(k, name, "an answer that is too long", err);
    k->answer_len = (size_t)n;
    *ret_n = n;
    return B_OK;
}

/* Sends what begin began and gives the answer's fields; an error answer becomes this call's. */
enum b_code vault_lane_call(struct lane *k, const struct wire_out *o, struct wire_in *ret,
                            struct b_err *err)
{
    const struct vault_msg_row *row = vault_msg_row(k->buf[0]);
    if (!wire_out_end(o)) {
        b_wipe(k->buf, sizeof(k->buf));
        return b_err_set(err, B_E_BAD_INPUT, 0, "%s: too long for a message to the vault",
                         row->name);
    }
    ssize_t n = 0;
    enum b_code r = exchange(k, row->name, &n, err);
    if (r != B_OK)
        return r;
    struct b_rd answer = b_rd_from(k->buf, (size_t)n);
    uint8_t status = b_rd_u8(&answer);
    struct b_err remote;
    if (status == 0) {
        *ret = wire_in_from(row->answer, answer);
        return B_OK;
    }
    if (status != 1 || !wire_get_error(answer, &remote))
        return gone(k, row->name, "an answer that is not understood", err);
    if (remote.code == B_E_TOKEN_FAILED && remote.aux == VAULT_EXIT_TOKEN)
        atomic_store(&k->vault->has_lost_token, true);
    if (err != NULL)
        *err = remote;
    return remote.code;
}

enum b_code vault_lane_misread(struct lane *k, const char *name, struct b_err *err)
{
    atomic_store(&k->vault->is_gone, true);
    return b_err_set(err, B_E_VAULT_PROTOCOL, 0, "%s: the vault's answer is not understood", name);
}

/* A call without answer fields. */
enum b_code vault_lane_call_void(struct lane *k, const struct wire_out *o, const char *name,
                                 struct b_err *err)
{
    struct wire_in in;
    enum b_code r = vault_lane_call(k, o, &in, err);
    if (r != B_OK)
        return r;
    return wire_in_end(&in) ? B_OK : vault_lane_misread(k, name, err);
}

static enum b_code configure(struct vault *v, const struct vault_config *config, struct b_err *err)
{
    struct lane *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CONFIGURE);
    char in_token[KEY_STAY_TEXT];
    char stored[KEY_STAY_TEXT];
    key_stay_write(&config->in_token, in_token);
    key_stay_write(&config->stored, stored);
    wire_put_u32(&o, VAULT_PROTOCOL);
    wire_put_string(&o, config->token_uri);
    wire_put_string(&o, config->establishment);
    wire_put_string(&o, config->pin_file);
    wire_put_u8(&o, config->pin_fd >= 0 ? 1 : 0);
    wire_put_u8(&o, config->may_use_last_try ? 1 : 0);
    wire_put_u8(&o, config->is_strict ? 1 : 0);
    wire_put_u8(&o, (uint8_t)v->process.count);
    wire_put_string(&o, in_token);
    wire_put_u32(&o, config->auth_cache);
    wire_put_u8(&o, config->signs_journal ? 1 : 0);
    wire_put_string(&o, stored);
    enum b_code r = vault_lane_call_void(k, &o, "configure", err);
    give(k);
    return r;
}

/* What a vault was started with, to start it again. */
static char *copy(const char *text, bool *is_done)
{
    char *c = text != NULL ? strdup(text) : NULL;
    *is_done = *is_done && (text == NULL || c != NULL);
    return c;
}

static bool keep_config(struct vault *v, const struct vault_config *config)
{
    bool is_done = true;
    v->config = *config;
    v->config.program = v->owned[0] = copy(config->program, &is_done);
    v->config.token_uri = v->owned[1] = copy(config->token_uri, &is_done);
    v->config.softhsm_conf = v->owned[2] = copy(config->softhsm_conf, &is_done);
    v->config.establishment = v->owned[3] = copy(config->establishment, &is_done);
    v->config.pin_file = v->owned[4] = copy(config->pin_file, &is_done);
    v->config.service = v->owned[5] = copy(config->service, &is_done);
    if (config->pin_fd >= 0 || v->config.workers == 0)
        v->config.workers = 1; /* a pipe gives the PIN once */
    if (v->config.workers > VAULT_WORKERS_MAX)
        v->config.workers = VAULT_WORKERS_MAX;
    return is_done;
}

/* Every lane is free, and stays so until the caller leaves the lock. */
static enum b_code start(struct vault *v, struct b_err *err)
{
    enum b_code r = vault_process_start(&v->config, &v->process, err);
    v->free = NULL;
    /* The first lane is taken first: it alone is served before configure. */
    for (unsigned i = v->process.count; r == B_OK && i > 0; i--) {
        struct lane *k = &v->lanes[i - 1];
        k->vault = v;
        k->fd = v->process.fds[i - 1];
        k->next_free = v->free;
        v->free = k;
    }
    return r;
}

enum b_code vault_spawn(const struct vault_config *config, struct vault **ret, struct b_err *err)
{
    unsigned most = config->workers > 1 ? config->workers : 1;
    struct vault *v = calloc(1, sizeof(*v) + most * sizeof(v->lanes[0]));
    if (v == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "starting the vault");
    v->process.pid = v->process.service = -1;
    b_check(pthread_mutex_init(&v->lock, NULL) == 0 && pthread_cond_init(&v->freed, NULL) == 0);
    enum b_code r = keep_config(v, config) ? start(v, err)
                                           : b_err_set(err, B_E_NO_MEMORY, 0, "starting the vault");
    if (r == B_OK)
        r = configure(v, &v->config, err);
    if (r != B_OK) {
        vault_free(&v);
        return r;
    }
    *ret = v;
    return B_OK;
}

void vault_look(struct vault *v)
{
    (void)pthread_mutex_lock(&v->lock);
    if (vault_process_has_ended(&v->process))
        atomic_store(&v->is_gone, true);
    (void)pthread_mutex_unlock(&v->lock);
}

bool vault_is_gone(const struct vault *v)
{
    return atomic_load(&v->is_gone);
}

bool vault_has_lost_token(const struct vault *v)
{
    return atomic_load(&v->has_lost_token);
}

/* Takes the lock, once no call is under way; none begins until end_change. */
static void begin_change(struct vault *v)
{
    unsigned count = 0;
    (void)pthread_mutex_lock(&v->lock);
    v->is_changing = true;
    do {
        count = 0;
        for (const struct lane *k = v->free; k != NULL; k = k->next_free)
            count++;
        if (count < v->process.count)
            (void)pthread_cond_wait(&v->freed, &v->lock);
    } while (count < v->process.count);
}

static void end_change(struct vault *v, bool is_changed)
{
    if (is_changed) {
        atomic_store(&v->has_lost_token, false);
        atomic_store(&v->is_gone, false);
    }
    v->is_changing = false;
    (void)pthread_mutex_unlock(&v->lock);
    (void)pthread_cond_broadcast(&v->freed);
}

enum b_code vault_restart(struct vault *v, struct b_err *err)
{
    b_check(v->config.pin_fd < 0);
    begin_change(v); /* calls under way fail at once: the socket is closed at the other end */
    vault_process_stop(&v->process);
    enum b_code r = start(v, err);
    end_change(v, r == B_OK);
    return r == B_OK ? configure(v, &v->config, err) : r;
}

enum b_code vault_renew(struct vault *v, struct b_err *err)
{
    struct vault *other = NULL;
    struct vault_token token;
    b_check(v->config.pin_fd < 0);
    enum b_code r = vault_spawn(&v->config, &other, err);
    if (r == B_OK)
        r = vault_token(other, &token, err);
    if (r == B_OK) {
        b_check(other != NULL);
        begin_change(v);
        struct vault_process old = v->process;
        v->process = other->process;
        other->process = old;
        for (unsigned i = 0; i < v->process.count; i++)
            v->lanes[i].fd = v->process.fds[i];
        end_change(v, true);
    }
    vault_free(&other); /* the process that was replaced, or the one that was of no use */
    return r;
}

void vault_free(struct vault **pv)
{
    struct vault *v = *pv;
    *pv = NULL;
    if (v == NULL)
        return;
    vault_process_stop(&v->process);
    for (size_t i = 0; i < B_COUNT(v->owned); i++)
        free(v->owned[i]);
    unsigned most = v->config.workers;
    b_wipe(v, sizeof(*v) + most * sizeof(v->lanes[0]));
    free(v);
}

int vault_pid(const struct vault *v)
{
    return v->process.pid;
}
