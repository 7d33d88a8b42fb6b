#include "vault/token.h"

#include <string.h>

typedef enum b_code handler(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                            struct b_err *err);

static const struct token_row rows[] = {
#define TOKEN_MSG(id, NAME, name, request, answer) {id, #name, request, answer},
#include "vault/token.def"
#undef TOKEN_MSG
};

const struct token_row *token_row(uint8_t id)
{
    for (size_t i = 0; i < B_COUNT(rows); i++)
        if (rows[i].id == id)
            return &rows[i];
    return NULL;
}

void token_key_put(struct b_wr *w, const struct custody_key *key)
{
    b_wr_u8(w, (uint8_t)key->role);
    b_wr_u8(w, key->generation);
    b_wr_u8(w, key->is_safe ? 1 : 0);
    b_wr_bytes(w, key->kcv.method, sizeof(key->kcv.method));
    b_wr_bytes(w, key->kcv.value, sizeof(key->kcv.value));
    b_wr_u8(w, key->derives_inside ? 1 : 0);
}

bool token_key_get(struct b_rd *r, struct custody_key *ret)
{
    *ret = (struct custody_key){0};
    uint8_t role = b_rd_u8(r);
    ret->generation = b_rd_u8(r);
    ret->is_safe = b_rd_u8(r) == 1;
    b_rd_bytes(r, ret->kcv.method, sizeof(ret->kcv.method));
    b_rd_bytes(r, ret->kcv.value, sizeof(ret->kcv.value));
    ret->derives_inside = b_rd_u8(r) == 1;
    if (role >= KEY_ROLE_ALL || ret->kcv.method[sizeof(ret->kcv.method) - 1] != '\0')
        r->bad = true;
    else
        ret->role = (enum key_role)role;
    return b_rd_ok(r);
}

static enum b_code broken(struct b_err *err)
{
    return b_err_set(err, B_E_VAULT_PROTOCOL, 0, "a message that does not fit its row");
}

static enum b_code handle_configure(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                                    struct b_err *err)
{
    (void)out;
    struct vaultd_config *c = &k->config;
    wire_get_string(in, c->token_uri, sizeof(c->token_uri));
    wire_get_string(in, c->establishment, sizeof(c->establishment));
    wire_get_string(in, c->pin_file, sizeof(c->pin_file));
    c->has_pin_fd = wire_get_bool(in);
    c->may_use_last_try = wire_get_bool(in);
    if (!wire_in_end(in))
        return broken(err);
    k->is_configured = true;
    return B_OK;
}

static enum b_code handle_info(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                               struct b_err *err)
{
    struct custody_token t;
    if (!wire_in_end(in))
        return broken(err);
    enum b_code r = k->keyring.token(k->keyring.ctx, &k->config, &t, err);
    if (r != B_OK)
        return r;
    wire_put_string(out, t.label);
    wire_put_string(out, t.manufacturer);
    wire_put_string(out, t.model);
    wire_put_string(out, t.serial);
    wire_put_u8(out, (uint8_t)t.method);
    wire_put_u8(out, t.is_connected ? 1 : 0);
    return B_OK;
}

static enum b_code handle_generate(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                                   struct b_err *err)
{
    struct custody_key key;
    uint8_t role = wire_get_u8(in);
    uint8_t generation = wire_get_u8(in);
    if (!wire_in_end(in) || role >= KEY_ROLE_ALL)
        return broken(err);
    enum b_code r =
        k->keyring.generate(k->keyring.ctx, &k->config, (enum key_role)role, generation, &key, err);
    if (r != B_OK)
        return r;
    size_t mark = wire_open_bytes(out);
    token_key_put(out->w, &key);
    wire_close_bytes(out, mark);
    return B_OK;
}

static enum b_code handle_list(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                               struct b_err *err)
{
    size_t n = 0;
    if (!wire_in_end(in))
        return broken(err);
    enum b_code r = k->keyring.list(k->keyring.ctx, &k->config, k->keys, B_COUNT(k->keys), &n, err);
    if (r != B_OK)
        return r;
    wire_put_u32(out, (uint32_t)n);
    size_t mark = wire_open_bytes(out);
    for (size_t i = 0; i < n; i++)
        token_key_put(out->w, &k->keys[i]);
    wire_close_bytes(out, mark);
    return B_OK;
}

static enum b_code handle_derive(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                                 struct b_err *err)
{
    uint8_t role = wire_get_u8(in);
    struct custody_key which = {.generation = wire_get_u8(in)};
    struct b_rd input = wire_get_bytes(in);
    if (!wire_in_end(in) || role >= KEY_ROLE_ALL)
        return broken(err);
    which.role = (enum key_role)role;
    size_t mark = wire_open_bytes(out);
    uint8_t *key = b_wr_reserve(out->w, 16); /* the answer lies in secret memory */
    b_check(key != NULL);
    enum b_code r = k->keyring.derive(k->keyring.ctx, &k->config, &which, input, key, err);
    if (r == B_OK)
        wire_close_bytes(out, mark);
    return r;
}

/* Which key and which method; false when they do not exist. */
static bool get_inside(struct wire_in *in, struct vaultd_inside *ret)
{
    uint8_t role = wire_get_u8(in);
    ret->which.generation = wire_get_u8(in);
    ret->which.input = wire_get_bytes(in);
    uint8_t method = wire_get_u8(in);
    ret->which.role = (enum key_role)(role < KEY_ROLE_COUNT ? role : 0);
    ret->how = method == 0 ? DF_AUTH_EV2_FIRST : DF_AUTH_AES;
    return role < KEY_ROLE_COUNT && method < 2;
}

/* Answer and request hold what is kept between the halves: the answer lies in secret memory, and
 * token_main.c wipes the request. */
static enum b_code handle_prove(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                                struct b_err *err)
{
    struct df_prove prove = {0};
    struct vaultd_inside inside = {.prove = &prove};
    uint8_t frame[DF_PROVE_TOKEN];
    bool is_sound = get_inside(in, &inside);
    struct b_rd challenge = wire_get_bytes(in);
    if (!wire_in_end(in) || !is_sound || challenge.left != DF_PROVE_BLOCK)
        return broken(err);
    enum b_code r = k->keyring.prove(k->keyring.ctx, &k->config, &inside, challenge.p, frame, err);
    if (r == B_OK) {
        size_t mark = wire_open_bytes(out);
        b_wr_bytes(out->w, prove.a, sizeof(prove.a));
        b_wr_bytes(out->w, prove.last, sizeof(prove.last));
        wire_close_bytes(out, mark);
        wire_put_bytes(out, frame, sizeof(frame));
    }
    b_wipe(&prove, sizeof(prove));
    return r;
}

static enum b_code handle_check(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                                struct b_err *err)
{
    (void)out;
    struct df_prove prove = {0};
    struct vaultd_inside inside = {.prove = &prove};
    bool is_sound = get_inside(in, &inside);
    struct b_rd state = wire_get_bytes(in);
    struct b_rd answer = wire_get_bytes(in);
    prove.how = inside.how;
    b_rd_bytes(&state, prove.a, sizeof(prove.a));
    b_rd_bytes(&state, prove.last, sizeof(prove.last));
    if (!wire_in_end(in) || !is_sound || !b_rd_end(&state) ||
        answer.left != df_prove_answer_size(inside.how))
        return broken(err);
    enum b_code r = k->keyring.check(k->keyring.ctx, &k->config, &inside, answer, err);
    b_wipe(&prove, sizeof(prove));
    return r;
}

static enum b_code handle_anchor_get(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                                     struct b_err *err)
{
    char name[CUSTODY_ANCHOR_NAME_MAX + 1];
    wire_get_string(in, name, sizeof(name));
    if (!wire_in_end(in))
        return broken(err);
    size_t mark = wire_open_bytes(out);
    enum b_code r = k->keyring.anchor_get(k->keyring.ctx, &k->config, name, out->w, err);
    if (r == B_OK)
        wire_close_bytes(out, mark);
    return r;
}

static enum b_code handle_anchor_put(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                                     struct b_err *err)
{
    (void)out;
    char name[CUSTODY_ANCHOR_NAME_MAX + 1];
    wire_get_string(in, name, sizeof(name));
    struct b_rd bytes = wire_get_bytes(in);
    if (!wire_in_end(in) || bytes.left > CUSTODY_ANCHOR_MAX)
        return broken(err);
    return k->keyring.anchor_put(k->keyring.ctx, &k->config, name, bytes, err);
}

static enum b_code handle_create(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                                 struct b_err *err)
{
    char dir[VAULTD_PATH_MAX];
    char label[64];
    char uri[VAULT_STRING_MAX];
    wire_get_string(in, dir, sizeof(dir));
    wire_get_string(in, label, sizeof(label));
    if (!wire_in_end(in))
        return broken(err);
    enum b_code r = k->keyring.create(k->keyring.ctx, dir, label, uri, sizeof(uri), err);
    if (r == B_OK)
        wire_put_string(out, uri);
    return r;
}

/* Which master, and the key over its backup; false when they do not exist. */
static bool get_backup(struct wire_in *in, struct custody_backup *ret)
{
    uint8_t role = wire_get_u8(in);
    ret->generation = wire_get_u8(in);
    struct b_rd kek = wire_get_bytes(in);
    ret->role = (enum key_role)(role < KEY_ROLE_ALL ? role : 0);
    ret->kek = kek.p;
    return role < KEY_ROLE_ALL && kek.left == CUSTODY_KEK;
}

static enum b_code handle_make(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                               struct b_err *err)
{
    struct custody_backup b;
    struct custody_made made;
    bool is_sound = get_backup(in, &b);
    if (!wire_in_end(in) || !is_sound)
        return broken(err);
    enum b_code r = k->keyring.make(k->keyring.ctx, &k->config, &b, &made, err);
    if (r != B_OK)
        return r;
    wire_put_bytes(out, made.wrapped, sizeof(made.wrapped));
    wire_put_string(out, made.kcv.method);
    wire_put_bytes(out, made.kcv.value, sizeof(made.kcv.value));
    wire_put_u8(out, made.is_inside ? 1 : 0);
    return B_OK;
}

static enum b_code handle_bring(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                                struct b_err *err)
{
    struct custody_backup b;
    struct custody_key key;
    bool is_sound = get_backup(in, &b);
    struct b_rd wrapped = wire_get_bytes(in);
    struct b_rd kcv = wire_get_bytes(in);
    struct vaultd_bring bring = {.wrapped = wrapped.p, .kcv = kcv.p, .keeps = wire_get_bool(in)};
    if (!wire_in_end(in) || !is_sound || wrapped.left != CUSTODY_WRAPPED || kcv.left != 3)
        return broken(err);
    enum b_code r = k->keyring.bring(k->keyring.ctx, &k->config, &b, &bring, &key, err);
    if (r != B_OK)
        return r;
    size_t mark = wire_open_bytes(out);
    token_key_put(out->w, &key);
    wire_close_bytes(out, mark);
    return B_OK;
}

static enum b_code handle_rewrap(struct token_lane *k, struct wire_in *in, struct wire_out *out,
                                 struct b_err *err)
{
    struct custody_backup b;
    uint8_t bytes[CUSTODY_WRAPPED];
    bool is_sound = get_backup(in, &b);
    struct b_rd to = wire_get_bytes(in);
    struct b_rd wrapped = wire_get_bytes(in);
    if (!wire_in_end(in) || !is_sound || to.left != CUSTODY_KEK || wrapped.left != sizeof(bytes))
        return broken(err);
    b_rd_bytes(&wrapped, bytes, sizeof(bytes));
    enum b_code r = k->keyring.rewrap(k->keyring.ctx, &k->config, &b, to.p, bytes, err);
    if (r == B_OK)
        wire_put_bytes(out, bytes, sizeof(bytes));
    return r;
}

static handler *handler_of(uint8_t id)
{
    static handler *const handlers[] = {
#define TOKEN_MSG(id, NAME, name, ...) [TOKEN_MSG_##NAME] = handle_##name,
#include "vault/token.def"
#undef TOKEN_MSG
    };
    b_check(id < B_COUNT(handlers) && handlers[id] != NULL);
    return handlers[id];
}

bool token_handle(struct token_lane *k, struct b_rd request, struct b_wr *answer)
{
    struct b_err err = {0};
    uint8_t id = b_rd_u8(&request);
    const struct token_row *row = b_rd_ok(&request) ? token_row(id) : NULL;
    if (row == NULL || k->is_configured == (id == TOKEN_MSG_CONFIGURE))
        return false;
    struct wire_in in = wire_in_from(row->request, request);
    struct wire_out out = wire_out_from(row->answer, answer);
    b_wr_u8(answer, 0);
    enum b_code r = handler_of(id)(k, &in, &out, &err);
    if (r == B_E_VAULT_PROTOCOL)
        return false;
    if (r == B_OK)
        return wire_out_end(&out);
    b_wipe(answer->p, answer->len);
    *answer = b_wr_from(answer->p, answer->cap);
    b_wr_u8(answer, 1);
    wire_put_error(answer, &err);
    return b_wr_ok(answer);
}
