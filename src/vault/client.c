/*
 * The client: lanes to the vault's workers. A lane carries one request and its answer at a time; a
 * call takes a free lane, or waits for one. Requests may carry keys that some party gave for a
 * scan, so a lane's buffer is wiped after each.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vault/event.h"
#include "vault/process.h"

struct lane {
    struct vault *vault;
    int fd;
    struct lane *next_free;
    struct b_wr request;
    uint8_t buf[VAULT_MESSAGE_MAX];
};

struct vault {
    struct vault_process process;
    atomic_bool is_gone;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct lane *free;
    struct vault_config config; /* its strings are in owned */
    char *owned[5];
    struct lane lanes[];
};

static struct lane *take(struct vault *v)
{
    (void)pthread_mutex_lock(&v->lock);
    while (v->free == NULL)
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
    (void)pthread_cond_signal(&v->freed);
    (void)pthread_mutex_unlock(&v->lock);
}

/* A lane that goes back by itself when the call that took it returns. */
static void give_back(struct lane **k)
{
    give(*k);
}
#define LANE __attribute__((cleanup(give_back))) struct lane

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
    return b_err_set(err, B_E_VAULT_GONE, 0, "%s: %s", name, cause);
}

static struct wire_out begin(struct lane *k, enum vault_msg id)
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
    b_wipe(k->buf, sizeof(k->buf));
    if (n < 0)
        return gone(k, name, strerror(errno), err);
    n = receive(k);
    if (n < 0)
        return gone(k, name, errno == EAGAIN ? "no answer in time" : strerror(errno), err);
    if (n == 0)
        return gone(k, name, "the vault closed its socket", err);
    if ((size_t)n > sizeof(k->buf))
        return gone(k, name, "an answer that is too long", err);
    *ret_n = n;
    return B_OK;
}

/* Sends what begin began and gives the answer's fields; an error answer becomes this call's. */
static enum b_code call(struct lane *k, const struct wire_out *o, struct wire_in *ret,
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
    if (err != NULL)
        *err = remote;
    return remote.code;
}

static enum b_code misread(struct lane *k, const char *name, struct b_err *err)
{
    atomic_store(&k->vault->is_gone, true);
    return b_err_set(err, B_E_VAULT_PROTOCOL, 0, "%s: the vault's answer is not understood", name);
}

/* A call without answer fields. */
static enum b_code call_void(struct lane *k, const struct wire_out *o, const char *name,
                             struct b_err *err)
{
    struct wire_in in;
    enum b_code r = call(k, o, &in, err);
    if (r != B_OK)
        return r;
    return wire_in_end(&in) ? B_OK : misread(k, name, err);
}

static enum b_code configure(struct vault *v, const struct vault_config *config, struct b_err *err)
{
    struct lane *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_CONFIGURE);
    wire_put_u32(&o, VAULT_PROTOCOL);
    wire_put_string(&o, config->token_uri);
    wire_put_string(&o, config->establishment);
    wire_put_string(&o, config->pin_file);
    wire_put_u8(&o, config->pin_fd >= 0 ? 1 : 0);
    wire_put_u8(&o, config->may_use_last_try ? 1 : 0);
    wire_put_u8(&o, config->is_strict ? 1 : 0);
    wire_put_u8(&o, (uint8_t)v->process.count);
    enum b_code r = call_void(k, &o, "configure", err);
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
    v->process.pid = -1;
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

enum b_code vault_restart(struct vault *v, struct b_err *err)
{
    b_check(v->config.pin_fd < 0);
    (void)pthread_mutex_lock(&v->lock);
    unsigned count = 0;
    do { /* calls under way fail at once: the socket is closed at the other end */
        count = 0;
        for (const struct lane *k = v->free; k != NULL; k = k->next_free)
            count++;
        if (count < v->process.count)
            (void)pthread_cond_wait(&v->freed, &v->lock);
    } while (count < v->process.count);
    vault_process_stop(&v->process);
    enum b_code r = start(v, err);
    if (r == B_OK)
        atomic_store(&v->is_gone, false);
    (void)pthread_cond_broadcast(&v->freed);
    (void)pthread_mutex_unlock(&v->lock);
    return r == B_OK ? configure(v, &v->config, err) : r;
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

enum b_code vault_token(struct vault *v, struct vault_token *ret, struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_TOKEN);
    struct wire_in in;
    struct vault_token t;
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    wire_get_string(&in, t.label, sizeof(t.label));
    wire_get_string(&in, t.manufacturer, sizeof(t.manufacturer));
    wire_get_string(&in, t.model, sizeof(t.model));
    wire_get_string(&in, t.serial, sizeof(t.serial));
    wire_get_string(&in, t.method, sizeof(t.method));
    t.is_memory_locked = wire_get_bool(&in);
    t.is_module_apart = wire_get_bool(&in);
    t.has_seccomp = wire_get_bool(&in);
    t.landlock = wire_get_u8(&in);
    if (!wire_in_end(&in))
        return misread(k, "token", err);
    *ret = t;
    return B_OK;
}

enum b_code vault_key_generate(struct vault *v, enum key_role role, uint8_t generation,
                               struct vault_key *ret, struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_KEY_GENERATE);
    struct wire_in in;
    wire_put_u8(&o, (uint8_t)role);
    wire_put_u8(&o, generation);
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct vault_key key;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || !vault_key_decode(&bytes, &key) || !b_rd_end(&bytes))
        return misread(k, "key_generate", err);
    *ret = key;
    return B_OK;
}

enum b_code vault_key_list(struct vault *v, struct vault_key *keys, size_t cap, size_t *ret_count,
                           struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_KEY_LIST);
    struct wire_in in;
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    uint32_t n = wire_get_u32(&in);
    struct b_rd bytes = wire_get_bytes(&in);
    bool is_read = wire_in_end(&in);
    if (is_read && n > cap)
        return b_err_set(err, B_E_INTERNAL, 0, "%u master keys, room for %zu", n, cap);
    for (uint32_t i = 0; i < n && is_read; i++)
        is_read = vault_key_decode(&bytes, &keys[i]);
    if (!is_read || !b_rd_end(&bytes))
        return misread(k, "key_list", err);
    *ret_count = n;
    return B_OK;
}

enum b_code vault_softhsm_create(struct vault *v, const char *dir, const char *label, char *ret_uri,
                                 size_t cap, struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_SOFTHSM_CREATE);
    struct wire_in in;
    wire_put_string(&o, dir);
    wire_put_string(&o, label);
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    char uri[VAULT_STRING_MAX];
    wire_get_string(&in, uri, sizeof(uri));
    if (!wire_in_end(&in))
        return misread(k, "softhsm_create", err);
    if (strlen(uri) >= cap)
        return b_err_set(err, B_E_INTERNAL, 0, "no room for the token's URI");
    memcpy(ret_uri, uri, strlen(uri) + 1);
    return B_OK;
}

static enum b_code take_event(struct lane *k, struct wire_in *in, struct vault_event *event,
                              struct b_err *err)
{
    struct b_rd bytes = wire_get_bytes(in);
    bool is_read = wire_in_end(in) && vault_event_decode(bytes, event);
    b_wipe(k->buf, sizeof(k->buf));
    return is_read ? B_OK : misread(k, "event", err);
}

enum b_code vault_session_open(struct vault *v, const struct profile_job *job,
                               uint32_t *ret_session, struct vault_event *event, struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_SESSION_OPEN);
    struct wire_in in;
    size_t mark = wire_open_bytes(&o);
    profile_job_encode(job, &k->request);
    wire_close_bytes(&o, mark);
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    uint32_t session = wire_get_u32(&in);
    r = take_event(k, &in, event, err);
    if (r == B_OK)
        *ret_session = session;
    return r;
}

enum b_code vault_session_step(struct vault *v, uint32_t session, struct b_rd rapdu,
                               struct vault_event *event, struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_SESSION_STEP);
    struct wire_in in;
    wire_put_u32(&o, session);
    wire_put_bytes(&o, rapdu.p, rapdu.left);
    enum b_code r = call(k, &o, &in, err);
    return r == B_OK ? take_event(k, &in, event, err) : r;
}

void vault_session_close(struct vault *v, uint32_t session)
{
    if (vault_is_gone(v))
        return;
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_SESSION_CLOSE);
    wire_put_u32(&o, session);
    /* A vault that is gone has wiped everything; the next call tells. */
    (void)call_void(k, &o, "session_close", NULL);
}

/* --- taps ------------------------------------------------------------------------------------- */

enum b_code vault_tap_open(struct vault *v, const struct vault_tap *tap, uint32_t *ret_tap,
                           uint8_t frame[static 32], struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_TAP_OPEN);
    struct wire_in in;
    const struct profile *p = tap->profile;
    int key_no = profile_key_no(p, KEY_ROLE_AUTH);
    b_check(key_no >= 0);
    wire_put_u8(&o, tap->how == DF_AUTH_AES ? 1 : 0);
    wire_put_u8(&o, tap->generation);
    wire_put_string(&o, p->diversification);
    wire_put_u32(&o, p->aid);
    wire_put_u8(&o, (uint8_t)key_no);
    wire_put_bytes(&o, tap->uid, tap->uid_len);
    wire_put_bytes(&o, tap->serial, tap->serial_len);
    wire_put_bytes(&o, p->system, p->system_len);
    wire_put_bytes(&o, tap->challenge, sizeof(tap->challenge));
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    uint32_t id = wire_get_u32(&in);
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || bytes.left != 32)
        return misread(k, "tap_open", err);
    b_rd_bytes(&bytes, frame, 32);
    *ret_tap = id;
    return B_OK;
}

static enum b_code take_assertion(struct lane *k, struct wire_in *in, const char *name,
                                  char *assertion, struct b_err *err)
{
    struct b_rd bytes = wire_get_bytes(in);
    if (!wire_in_end(in) || bytes.left >= VAULT_ASSERTION_MAX)
        return misread(k, name, err);
    size_t n = bytes.left;
    b_rd_bytes(&bytes, assertion, n);
    assertion[n] = '\0';
    return B_OK;
}

enum b_code vault_tap_prove(struct vault *v, const struct vault_proof *p, char *assertion,
                            struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_TAP_PROVE);
    struct wire_in in;
    wire_put_u32(&o, p->tap);
    wire_put_bytes(&o, p->proof.p, p->proof.left);
    wire_put_u8(&o, p->keeps ? 1 : 0);
    size_t mark = wire_open_bytes(&o);
    if (p->claims != NULL)
        vault_claims_encode(p->claims, &k->request);
    wire_close_bytes(&o, mark);
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    static _Thread_local char none[VAULT_ASSERTION_MAX]; /* none was asked for */
    return take_assertion(k, &in, "tap_prove", p->claims != NULL ? assertion : none, err);
}

enum b_code vault_pin_set(struct vault *v, const struct vault_pin *pin, uint8_t *record,
                          size_t *ret_n, struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_PIN_SET);
    struct wire_in in;
    wire_put_string(&o, pin->aad);
    wire_put_bytes(&o, pin->box.p, pin->box.left);
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || bytes.left > VAULT_PIN_RECORD_MAX)
        return misread(k, "pin_set", err);
    *ret_n = bytes.left;
    b_rd_bytes(&bytes, record, bytes.left);
    return B_OK;
}

enum b_code vault_tap_pin(struct vault *v, uint32_t tap, const struct vault_pin *pin,
                          const struct vault_claims *claims, char *assertion, struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_TAP_PIN);
    struct wire_in in;
    wire_put_u32(&o, tap);
    wire_put_string(&o, pin->aad);
    wire_put_bytes(&o, pin->box.p, pin->box.left);
    wire_put_bytes(&o, pin->record.p, pin->record.left);
    size_t mark = wire_open_bytes(&o);
    vault_claims_encode(claims, &k->request);
    wire_close_bytes(&o, mark);
    enum b_code r = call(k, &o, &in, err);
    return r == B_OK ? take_assertion(k, &in, "tap_pin", assertion, err) : r;
}

enum b_code vault_identity(struct vault *v, struct vault_identity *ret, struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_IDENTITY);
    struct wire_in in;
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    wire_get_string(&in, ret->key_id, sizeof(ret->key_id));
    struct b_rd assertion = wire_get_bytes(&in);
    struct b_rd journal = wire_get_bytes(&in);
    struct b_rd pin = wire_get_bytes(&in);
    if (!wire_in_end(&in) || assertion.left != sizeof(ret->assertion) ||
        journal.left != sizeof(ret->journal) || pin.left != sizeof(ret->pin))
        return misread(k, "identity", err);
    b_rd_bytes(&assertion, ret->assertion, sizeof(ret->assertion));
    b_rd_bytes(&journal, ret->journal, sizeof(ret->journal));
    b_rd_bytes(&pin, ret->pin, sizeof(ret->pin));
    return B_OK;
}

enum b_code vault_roster_found(struct vault *v, const char *roster, struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_ROSTER_FOUND);
    wire_put_bytes(&o, roster, strlen(roster));
    return call_void(k, &o, "roster_found", err);
}

enum b_code vault_carry_out(struct vault *v, const struct vault_carry *carry,
                            uint8_t receipt[static 64], struct vault_key *key, struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_CARRY_OUT);
    struct wire_in in;
    wire_put_bytes(&o, carry->roster, strlen(carry->roster));
    wire_put_bytes(&o, carry->proposal, strlen(carry->proposal));
    wire_put_bytes(&o, carry->approvals.p, carry->approvals.left);
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd signature = wire_get_bytes(&in);
    struct b_rd bytes = wire_get_bytes(&in);
    *key = (struct vault_key){.generation = 0};
    bool is_read = wire_in_end(&in) && signature.left == 64;
    if (is_read && bytes.left > 0)
        is_read = vault_key_decode(&bytes, key) && b_rd_end(&bytes);
    if (!is_read)
        return misread(k, "carry_out", err);
    b_rd_bytes(&signature, receipt, 64);
    return B_OK;
}

enum b_code vault_checkpoint(struct vault *v, const struct vault_tree *tree,
                             uint8_t signature[static 64], struct b_err *err)
{
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_CHECKPOINT);
    struct wire_in in;
    wire_put_string(&o, tree->origin);
    wire_put_u32(&o, (uint32_t)tree->size);
    wire_put_u32(&o, (uint32_t)(tree->size >> 32));
    wire_put_bytes(&o, tree->root, 32);
    wire_put_bytes(&o, tree->proof.p, tree->proof.left);
    enum b_code r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || bytes.left != 64)
        return misread(k, "checkpoint", err);
    b_rd_bytes(&bytes, signature, 64);
    return B_OK;
}

void vault_tap_close(struct vault *v, uint32_t tap)
{
    if (vault_is_gone(v))
        return;
    LANE *k = take(v);
    struct wire_out o = begin(k, VAULT_MSG_TAP_CLOSE);
    wire_put_u32(&o, tap);
    (void)call_void(k, &o, "tap_close", NULL);
}
