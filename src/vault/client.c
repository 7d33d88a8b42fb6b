/*
 * The client: one request, one answer, in order. Requests may carry keys that some party gave for a
 * scan, so the buffer is wiped after each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vault/event.h"
#include "vault/process.h"

struct vault {
    struct vault_process process;
    bool is_gone;
    struct b_wr request;
    uint8_t buf[VAULT_MESSAGE_MAX];
};

static enum b_code gone(struct vault *v, const char *name, const char *cause, struct b_err *err)
{
    v->is_gone = true;
    int status = vault_process_status(&v->process);
    if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == VAULT_EXIT_PROTOCOL)
        return b_err_set(err, B_E_VAULT_PROTOCOL, 0, "%s: the vault refused the message and ended",
                         name);
    if (status >= 0 && WIFSIGNALED(status))
        return b_err_set(err, B_E_VAULT_GONE, (uint32_t)WTERMSIG(status),
                         "%s: the vault was ended by signal %d", name, WTERMSIG(status));
    return b_err_set(err, B_E_VAULT_GONE, 0, "%s: %s", name, cause);
}

static struct wire_out begin(struct vault *v, enum vault_msg id)
{
    v->request = b_wr_from(v->buf, sizeof(v->buf));
    b_wr_u8(&v->request, (uint8_t)id);
    return wire_out_from(vault_msg_row((uint8_t)id)->request, &v->request);
}

static ssize_t receive(struct vault *v)
{
    ssize_t n;
    do
        n = recv(v->process.fd, v->buf, sizeof(v->buf), MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    return n;
}

static enum b_code exchange(struct vault *v, const char *name, ssize_t *ret_n, struct b_err *err)
{
    if (v->is_gone)
        return b_err_set(err, B_E_VAULT_GONE, 0, "%s: the vault has ended", name);
    ssize_t n;
    do
        n = send(v->process.fd, v->request.p, v->request.len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    b_wipe(v->buf, sizeof(v->buf));
    if (n < 0)
        return gone(v, name, strerror(errno), err);
    n = receive(v);
    if (n < 0)
        return gone(v, name, errno == EAGAIN ? "no answer in time" : strerror(errno), err);
    if (n == 0)
        return gone(v, name, "the vault closed its socket", err);
    if ((size_t)n > sizeof(v->buf))
        return gone(v, name, "an answer that is too long", err);
    *ret_n = n;
    return B_OK;
}

/* Sends what begin began and gives the answer's fields; an error answer becomes this call's. */
static enum b_code call(struct vault *v, const struct wire_out *o, struct wire_in *ret,
                        struct b_err *err)
{
    const struct vault_msg_row *row = vault_msg_row(v->buf[0]);
    if (!wire_out_end(o)) {
        b_wipe(v->buf, sizeof(v->buf));
        return b_err_set(err, B_E_BAD_INPUT, 0, "%s: too long for a message to the vault",
                         row->name);
    }
    ssize_t n = 0;
    enum b_code r = exchange(v, row->name, &n, err);
    if (r != B_OK)
        return r;
    struct b_rd answer = b_rd_from(v->buf, (size_t)n);
    uint8_t status = b_rd_u8(&answer);
    struct b_err remote;
    if (status == 0) {
        *ret = wire_in_from(row->answer, answer);
        return B_OK;
    }
    if (status != 1 || !wire_get_error(answer, &remote))
        return gone(v, row->name, "an answer that is not understood", err);
    if (err != NULL)
        *err = remote;
    return remote.code;
}

static enum b_code misread(struct vault *v, const char *name, struct b_err *err)
{
    v->is_gone = true;
    return b_err_set(err, B_E_VAULT_PROTOCOL, 0, "%s: the vault's answer is not understood", name);
}

/* A call without answer fields. */
static enum b_code call_void(struct vault *v, const struct wire_out *o, const char *name,
                             struct b_err *err)
{
    struct wire_in in;
    enum b_code r = call(v, o, &in, err);
    if (r != B_OK)
        return r;
    return wire_in_end(&in) ? B_OK : misread(v, name, err);
}

static enum b_code configure(struct vault *v, const struct vault_config *config, struct b_err *err)
{
    struct wire_out o = begin(v, VAULT_MSG_CONFIGURE);
    wire_put_u32(&o, VAULT_PROTOCOL);
    wire_put_string(&o, config->token_uri);
    wire_put_string(&o, config->establishment);
    wire_put_string(&o, config->pin_file);
    wire_put_u8(&o, config->pin_fd >= 0 ? 1 : 0);
    wire_put_u8(&o, config->may_use_last_try ? 1 : 0);
    return call_void(v, &o, "configure", err);
}

enum b_code vault_spawn(const struct vault_config *config, struct vault **ret, struct b_err *err)
{
    struct vault *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "starting the vault");
    enum b_code r = vault_process_start(config, &v->process, err);
    if (r == B_OK)
        r = configure(v, config, err);
    else
        v->process = (struct vault_process){.fd = -1};
    if (r != B_OK) {
        vault_free(&v);
        return r;
    }
    *ret = v;
    return B_OK;
}

void vault_free(struct vault **pv)
{
    struct vault *v = *pv;
    *pv = NULL;
    if (v == NULL)
        return;
    if (v->process.fd >= 0)
        vault_process_stop(&v->process);
    b_wipe(v, sizeof(*v));
    free(v);
}

int vault_pid(const struct vault *v)
{
    return v->process.pid;
}

enum b_code vault_token(struct vault *v, struct vault_token *ret, struct b_err *err)
{
    struct wire_out o = begin(v, VAULT_MSG_TOKEN);
    struct wire_in in;
    struct vault_token t;
    enum b_code r = call(v, &o, &in, err);
    if (r != B_OK)
        return r;
    wire_get_string(&in, t.label, sizeof(t.label));
    wire_get_string(&in, t.manufacturer, sizeof(t.manufacturer));
    wire_get_string(&in, t.model, sizeof(t.model));
    wire_get_string(&in, t.serial, sizeof(t.serial));
    wire_get_string(&in, t.method, sizeof(t.method));
    t.is_memory_locked = wire_get_bool(&in);
    if (!wire_in_end(&in))
        return misread(v, "token", err);
    *ret = t;
    return B_OK;
}

enum b_code vault_key_generate(struct vault *v, enum key_role role, uint8_t generation,
                               struct vault_key *ret, struct b_err *err)
{
    struct wire_out o = begin(v, VAULT_MSG_KEY_GENERATE);
    struct wire_in in;
    wire_put_u8(&o, (uint8_t)role);
    wire_put_u8(&o, generation);
    enum b_code r = call(v, &o, &in, err);
    if (r != B_OK)
        return r;
    struct vault_key key;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || !vault_key_decode(&bytes, &key) || !b_rd_end(&bytes))
        return misread(v, "key_generate", err);
    *ret = key;
    return B_OK;
}

enum b_code vault_key_list(struct vault *v, struct vault_key *keys, size_t cap, size_t *ret_count,
                           struct b_err *err)
{
    struct wire_out o = begin(v, VAULT_MSG_KEY_LIST);
    struct wire_in in;
    enum b_code r = call(v, &o, &in, err);
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
        return misread(v, "key_list", err);
    *ret_count = n;
    return B_OK;
}

enum b_code vault_softhsm_create(struct vault *v, const char *dir, const char *label, char *ret_uri,
                                 size_t cap, struct b_err *err)
{
    struct wire_out o = begin(v, VAULT_MSG_SOFTHSM_CREATE);
    struct wire_in in;
    wire_put_string(&o, dir);
    wire_put_string(&o, label);
    enum b_code r = call(v, &o, &in, err);
    if (r != B_OK)
        return r;
    char uri[VAULT_STRING_MAX];
    wire_get_string(&in, uri, sizeof(uri));
    if (!wire_in_end(&in))
        return misread(v, "softhsm_create", err);
    if (strlen(uri) >= cap)
        return b_err_set(err, B_E_INTERNAL, 0, "no room for the token's URI");
    memcpy(ret_uri, uri, strlen(uri) + 1);
    return B_OK;
}

static enum b_code take_event(struct vault *v, struct wire_in *in, struct vault_event *event,
                              struct b_err *err)
{
    struct b_rd bytes = wire_get_bytes(in);
    bool is_read = wire_in_end(in) && vault_event_decode(bytes, event);
    b_wipe(v->buf, sizeof(v->buf));
    return is_read ? B_OK : misread(v, "event", err);
}

enum b_code vault_session_open(struct vault *v, const struct profile_job *job,
                               uint32_t *ret_session, struct vault_event *event, struct b_err *err)
{
    struct wire_out o = begin(v, VAULT_MSG_SESSION_OPEN);
    struct wire_in in;
    size_t mark = wire_open_bytes(&o);
    profile_job_encode(job, &v->request);
    wire_close_bytes(&o, mark);
    enum b_code r = call(v, &o, &in, err);
    if (r != B_OK)
        return r;
    uint32_t session = wire_get_u32(&in);
    r = take_event(v, &in, event, err);
    if (r == B_OK)
        *ret_session = session;
    return r;
}

enum b_code vault_session_step(struct vault *v, uint32_t session, struct b_rd rapdu,
                               struct vault_event *event, struct b_err *err)
{
    struct wire_out o = begin(v, VAULT_MSG_SESSION_STEP);
    struct wire_in in;
    wire_put_u32(&o, session);
    wire_put_bytes(&o, rapdu.p, rapdu.left);
    enum b_code r = call(v, &o, &in, err);
    return r == B_OK ? take_event(v, &in, event, err) : r;
}

void vault_session_close(struct vault *v, uint32_t session)
{
    if (v->is_gone)
        return;
    struct wire_out o = begin(v, VAULT_MSG_SESSION_CLOSE);
    wire_put_u32(&o, session);
    /* A vault that is gone has wiped everything; the next call tells. */
    (void)call_void(v, &o, "session_close", NULL);
}
