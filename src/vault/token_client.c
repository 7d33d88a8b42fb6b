#include "vault/token.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct lane {
    int fd;
    int peer;
    bool is_configured;
    uint8_t *secret; /* TOKEN_SECRET_MAX of secret memory, for answers with a key in them */
    struct b_wr request;
    uint8_t buf[TOKEN_MESSAGE_MAX];
};
static struct lane lanes[VAULT_WORKERS_MAX];
static atomic_bool is_gone;

static enum b_code gone(const struct token_row *row, const char *cause, struct b_err *err)
{
    atomic_store(&is_gone, true);
    return b_err_set(err, B_E_TOKEN_FAILED, VAULT_EXIT_TOKEN,
                     "%s: the process of the token's module %s", row->name, cause);
}

/* A module may take its time, or hang; a vault whose peer left does not wait for it. */
static void wait_for_answer(const struct lane *k)
{
    struct pollfd p[2] = {{.fd = k->fd, .events = POLLIN}, {.fd = k->peer, .events = POLLRDHUP}};
    while (poll(p, B_COUNT(p), -1) < 0)
        b_check(errno == EINTR);
    if (p[0].revents == 0 && p[1].revents != 0)
        _exit(0);
}

static ssize_t receive(const struct lane *k, const struct b_wr *room)
{
    ssize_t n;
    do {
        wait_for_answer(k);
        n = recv(k->fd, room->p, room->cap, MSG_TRUNC | MSG_DONTWAIT);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    return n;
}

static struct wire_out begin(struct lane *k, enum token_msg id)
{
    k->request = b_wr_from(k->buf, sizeof(k->buf));
    b_wr_u8(&k->request, (uint8_t)id);
    return wire_out_from(token_row((uint8_t)id)->request, &k->request);
}

/* Sends what begin began and gives the answer's fields, which lie in room. */
static enum b_code call_into(struct lane *k, const struct wire_out *o, struct b_wr room,
                             struct wire_in *ret, struct b_err *err)
{
    const struct token_row *row = token_row(k->buf[0]);
    struct b_err remote;
    b_check(wire_out_end(o));
    ssize_t n;
    do
        n = send(k->fd, k->request.p, k->request.len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        n = receive(k, &room);
    if (n <= 0)
        return gone(row, "has ended", err);
    struct b_rd answer = b_rd_from(room.p, (size_t)n <= room.cap ? (size_t)n : 0);
    uint8_t status = b_rd_u8(&answer);
    if (b_rd_ok(&answer) && status == 0) {
        *ret = wire_in_from(row->answer, answer);
        return B_OK;
    }
    if (!b_rd_ok(&answer) || status != 1 || !wire_get_error(answer, &remote))
        return gone(row, "gave an answer that is not understood", err);
    if (err != NULL)
        *err = remote;
    return remote.code;
}

static enum b_code call(struct lane *k, const struct wire_out *o, struct wire_in *ret,
                        struct b_err *err)
{
    return call_into(k, o, b_wr_from(k->buf, sizeof(k->buf)), ret, err);
}

static enum b_code misread(enum token_msg id, struct b_err *err)
{
    return gone(token_row((uint8_t)id), "gave an answer that is not understood", err);
}

/* The lane of a keyring, configured. */
static enum b_code ready(void *ctx, const struct vaultd_config *config, struct lane **ret,
                         struct b_err *err)
{
    struct lane *k = *ret = ctx;
    if (k->is_configured)
        return B_OK;
    struct wire_out o = begin(k, TOKEN_MSG_CONFIGURE);
    struct wire_in in;
    wire_put_string(&o, config->token_uri);
    wire_put_string(&o, config->establishment);
    wire_put_string(&o, config->pin_file);
    wire_put_u8(&o, config->has_pin_fd ? 1 : 0);
    wire_put_u8(&o, config->may_use_last_try ? 1 : 0);
    enum b_code r = call(k, &o, &in, err);
    if (r == B_OK && !wire_in_end(&in))
        r = misread(TOKEN_MSG_CONFIGURE, err);
    k->is_configured = r == B_OK;
    return r;
}

/* --- the keyring ------------------------------------------------------------------------------ */

static enum b_code remote_token(void *ctx, const struct vaultd_config *config,
                                struct custody_token *ret, struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    struct custody_token t = {0};
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_INFO);
    r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    wire_get_string(&in, t.label, sizeof(t.label));
    wire_get_string(&in, t.manufacturer, sizeof(t.manufacturer));
    wire_get_string(&in, t.model, sizeof(t.model));
    wire_get_string(&in, t.serial, sizeof(t.serial));
    uint8_t method = wire_get_u8(&in);
    t.is_connected = wire_get_bool(&in);
    if (!wire_in_end(&in) || method > CUSTODY_OAEP)
        return misread(TOKEN_MSG_INFO, err);
    t.method = (enum custody_method)method;
    *ret = t;
    return B_OK;
}

static enum b_code remote_generate(void *ctx, const struct vaultd_config *config,
                                   enum key_role role, uint8_t generation, struct custody_key *ret,
                                   struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    struct custody_key key;
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_GENERATE);
    wire_put_u8(&o, (uint8_t)role);
    wire_put_u8(&o, generation);
    r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || !token_key_get(&bytes, &key) || !b_rd_end(&bytes))
        return misread(TOKEN_MSG_GENERATE, err);
    *ret = key;
    return B_OK;
}

static enum b_code remote_list(void *ctx, const struct vaultd_config *config,
                               struct custody_key *keys, size_t cap, size_t *ret_count,
                               struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_LIST);
    r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    uint32_t n = wire_get_u32(&in);
    struct b_rd bytes = wire_get_bytes(&in);
    bool is_read = wire_in_end(&in) && n <= cap;
    for (uint32_t i = 0; i < n && is_read; i++)
        is_read = token_key_get(&bytes, &keys[i]);
    if (!is_read || !b_rd_end(&bytes))
        return misread(TOKEN_MSG_LIST, err);
    *ret_count = n;
    return B_OK;
}

static enum b_code remote_derive(void *ctx, const struct vaultd_config *config,
                                 const struct custody_key *which, struct b_rd input, uint8_t *out,
                                 struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_DERIVE);
    wire_put_u8(&o, (uint8_t)which->role);
    wire_put_u8(&o, which->generation);
    wire_put_bytes(&o, input.p, input.left);
    r = call_into(k, &o, b_wr_from(k->secret, TOKEN_SECRET_MAX), &in, err);
    if (r == B_OK) {
        struct b_rd key = wire_get_bytes(&in);
        if (wire_in_end(&in) && key.left == 16)
            b_rd_bytes(&key, out, 16);
        else
            r = misread(TOKEN_MSG_DERIVE, err);
    }
    b_wipe(k->secret, TOKEN_SECRET_MAX);
    return r;
}

static void put_inside(struct wire_out *o, const struct vaultd_inside *inside)
{
    wire_put_u8(o, (uint8_t)inside->which.role);
    wire_put_u8(o, inside->which.generation);
    wire_put_bytes(o, inside->which.input.p, inside->which.input.left);
    wire_put_u8(o, inside->how == DF_AUTH_AES ? 1 : 0);
}

static enum b_code remote_prove(void *ctx, const struct vaultd_config *config,
                                const struct vaultd_inside *inside, const uint8_t *challenge,
                                uint8_t *frame, struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_PROVE);
    put_inside(&o, inside);
    wire_put_bytes(&o, challenge, DF_PROVE_BLOCK);
    r = call_into(k, &o, b_wr_from(k->secret, TOKEN_SECRET_MAX), &in, err);
    if (r == B_OK) {
        struct b_rd state = wire_get_bytes(&in);
        struct b_rd bytes = wire_get_bytes(&in);
        inside->prove->how = inside->how;
        b_rd_bytes(&state, inside->prove->a, sizeof(inside->prove->a));
        b_rd_bytes(&state, inside->prove->last, sizeof(inside->prove->last));
        b_rd_bytes(&bytes, frame, DF_PROVE_TOKEN);
        if (!wire_in_end(&in) || !b_rd_end(&state) || !b_rd_end(&bytes))
            r = misread(TOKEN_MSG_PROVE, err);
    }
    b_wipe(k->secret, TOKEN_SECRET_MAX);
    return r;
}

static enum b_code remote_check(void *ctx, const struct vaultd_config *config,
                                const struct vaultd_inside *inside, struct b_rd answer,
                                struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_CHECK);
    put_inside(&o, inside);
    size_t mark = wire_open_bytes(&o);
    b_wr_bytes(&k->request, inside->prove->a, sizeof(inside->prove->a));
    b_wr_bytes(&k->request, inside->prove->last, sizeof(inside->prove->last));
    wire_close_bytes(&o, mark);
    wire_put_bytes(&o, answer.p, answer.left);
    r = call_into(k, &o, b_wr_from(k->secret, TOKEN_SECRET_MAX), &in, err);
    b_wipe(k->buf, k->request.len);
    if (r == B_OK && !wire_in_end(&in))
        r = misread(TOKEN_MSG_CHECK, err);
    b_wipe(k->secret, TOKEN_SECRET_MAX);
    return r;
}

static enum b_code remote_anchor_get(void *ctx, const struct vaultd_config *config,
                                     const char *name, struct b_wr *out, struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_ANCHOR_GET);
    wire_put_string(&o, name);
    r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || bytes.left > CUSTODY_ANCHOR_MAX)
        return misread(TOKEN_MSG_ANCHOR_GET, err);
    b_wr_bytes(out, bytes.p, bytes.left);
    return B_OK;
}

static enum b_code remote_anchor_put(void *ctx, const struct vaultd_config *config,
                                     const char *name, struct b_rd bytes, struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_ANCHOR_PUT);
    wire_put_string(&o, name);
    wire_put_bytes(&o, bytes.p, bytes.left);
    r = call(k, &o, &in, err);
    if (r == B_OK && !wire_in_end(&in))
        r = misread(TOKEN_MSG_ANCHOR_PUT, err);
    return r;
}

static enum b_code remote_create(void *ctx, const char *dir, const char *label, char *ret_uri,
                                 size_t cap, struct b_err *err)
{
    static const struct vaultd_config none;
    char uri[VAULT_STRING_MAX];
    struct lane *k;
    struct wire_in in;
    enum b_code r = ready(ctx, &none, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_CREATE);
    wire_put_string(&o, dir);
    wire_put_string(&o, label);
    r = call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    wire_get_string(&in, uri, sizeof(uri));
    if (!wire_in_end(&in) || strlen(uri) >= cap)
        return misread(TOKEN_MSG_CREATE, err);
    memcpy(ret_uri, uri, strlen(uri) + 1);
    return B_OK;
}

/* --- backups of masters ----------------------------------------------------------------------- */

/* Asks; the key over the backup that the request held is wiped, whatever comes. */
static enum b_code call_backup(struct lane *k, const struct wire_out *o, struct b_wr room,
                               struct wire_in *ret, struct b_err *err)
{
    size_t n = k->request.len;
    enum b_code r = call_into(k, o, room, ret, err);
    b_wipe(k->buf, n);
    return r;
}

static void put_backup(struct wire_out *o, const struct custody_backup *b)
{
    wire_put_u8(o, (uint8_t)b->role);
    wire_put_u8(o, b->generation);
    wire_put_bytes(o, b->kek, CUSTODY_KEK);
}

static enum b_code remote_make(void *ctx, const struct vaultd_config *config,
                               const struct custody_backup *b, struct custody_made *ret,
                               struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    uint8_t room[TOKEN_SECRET_MAX];
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_MAKE);
    put_backup(&o, b);
    r = call_backup(k, &o, b_wr_from(room, sizeof(room)), &in, err);
    if (r != B_OK)
        return r;
    struct b_rd wrapped = wire_get_bytes(&in);
    wire_get_string(&in, ret->kcv.method, sizeof(ret->kcv.method));
    struct b_rd kcv = wire_get_bytes(&in);
    ret->is_inside = wire_get_bool(&in);
    b_rd_bytes(&wrapped, ret->wrapped, sizeof(ret->wrapped));
    b_rd_bytes(&kcv, ret->kcv.value, sizeof(ret->kcv.value));
    bool is_read = wire_in_end(&in) && b_rd_end(&wrapped) && b_rd_end(&kcv);
    return is_read ? B_OK : misread(TOKEN_MSG_MAKE, err);
}

static enum b_code remote_bring(void *ctx, const struct vaultd_config *config,
                                const struct custody_backup *b, const struct vaultd_bring *bring,
                                struct custody_key *ret, struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    uint8_t room[TOKEN_SECRET_MAX];
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_BRING);
    put_backup(&o, b);
    wire_put_bytes(&o, bring->wrapped, CUSTODY_WRAPPED);
    wire_put_bytes(&o, bring->kcv, 3);
    wire_put_u8(&o, bring->keeps ? 1 : 0);
    r = call_backup(k, &o, b_wr_from(room, sizeof(room)), &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    bool is_read = wire_in_end(&in) && token_key_get(&bytes, ret) && b_rd_end(&bytes);
    return is_read ? B_OK : misread(TOKEN_MSG_BRING, err);
}

static enum b_code remote_rewrap(void *ctx, const struct vaultd_config *config,
                                 const struct custody_backup *b, const uint8_t *to,
                                 uint8_t *wrapped, struct b_err *err)
{
    struct lane *k;
    struct wire_in in;
    uint8_t room[TOKEN_SECRET_MAX];
    enum b_code r = ready(ctx, config, &k, err);
    if (r != B_OK)
        return r;
    struct wire_out o = begin(k, TOKEN_MSG_REWRAP);
    put_backup(&o, b);
    wire_put_bytes(&o, to, CUSTODY_KEK);
    wire_put_bytes(&o, wrapped, CUSTODY_WRAPPED);
    r = call_backup(k, &o, b_wr_from(room, sizeof(room)), &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || bytes.left != CUSTODY_WRAPPED)
        return misread(TOKEN_MSG_REWRAP, err);
    b_rd_bytes(&bytes, wrapped, CUSTODY_WRAPPED);
    return B_OK;
}

struct vaultd_keyring token_keyring(unsigned worker, int peer)
{
    b_check(worker < B_COUNT(lanes));
    struct lane *k = &lanes[worker];
    k->fd = VAULT_TOKEN_FD + (int)worker;
    k->peer = peer;
    k->secret = b_secret_alloc(TOKEN_SECRET_MAX);
    b_check(k->secret != NULL);
    return (struct vaultd_keyring){.ctx = k,
                                   .token = remote_token,
                                   .generate = remote_generate,
                                   .list = remote_list,
                                   .derive = remote_derive,
                                   .prove = remote_prove,
                                   .check = remote_check,
                                   .anchor_get = remote_anchor_get,
                                   .anchor_put = remote_anchor_put,
                                   .create = remote_create,
                                   .make = remote_make,
                                   .bring = remote_bring,
                                   .rewrap = remote_rewrap};
}

bool token_is_gone(void)
{
    return atomic_load(&is_gone);
}

void token_stop(unsigned worker)
{
    enum { TIME_MS = 2000 };
    struct pollfd p = {.fd = lanes[worker].fd, .events = POLLRDHUP};
    if (shutdown(p.fd, SHUT_WR) == 0 && poll(&p, 1, TIME_MS) == 1)
        (void)waitpid(-1, NULL, 0); /* the only child */
}
