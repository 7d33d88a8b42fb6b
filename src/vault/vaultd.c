#include "vault/vaultd.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "desfire/prove.h"
#include "vault/ceremony.h"
#include "vault/identity.h"
#include "vault/pin.h"
#include "vault/quorum.h"
#include "vault/signer.h"

/* Fields first, all of them, then the act; B_E_VAULT_PROTOCOL ends the process. */
typedef enum b_code handler(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                            struct b_err *err);

static enum b_code broken(struct b_err *err)
{
    return b_err_set(err, B_E_VAULT_PROTOCOL, 0, "a message that does not fit its row");
}

/* What the service that started this vault has set is not for its peer to say: a token's URI names
 * a module, which is code. */
static enum b_code keep_given(struct vaultd_config *said, const struct vaultd_config *given,
                              struct b_err *err)
{
    if (said->token_uri[0] != '\0' || said->pin_file[0] != '\0' || said->has_pin_fd ||
        said->may_use_last_try)
        return b_err_set(err, B_E_REFUSED, 0,
                         "the vault's service names its token and PIN, and nobody else");
    if (strcmp(said->establishment, given->establishment) != 0)
        return b_err_set(err, B_E_REFUSED, 0, "the vault's service is of establishment %s",
                         given->establishment);
    memcpy(said->token_uri, given->token_uri, sizeof(said->token_uri));
    memcpy(said->pin_file, given->pin_file, sizeof(said->pin_file));
    return B_OK;
}

static enum b_code handle_configure(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                    struct b_err *err)
{
    (void)out;
    struct vaultd_config said = {0};
    struct vaultd_config *c = &said;
    char in_token[KEY_STAY_TEXT];
    char stored[KEY_STAY_TEXT];
    uint32_t protocol = wire_get_u32(in);
    wire_get_string(in, c->token_uri, sizeof(c->token_uri));
    wire_get_string(in, c->establishment, sizeof(c->establishment));
    wire_get_string(in, c->pin_file, sizeof(c->pin_file));
    c->has_pin_fd = wire_get_bool(in);
    c->may_use_last_try = wire_get_bool(in);
    c->is_strict = wire_get_bool(in);
    c->workers = wire_get_u8(in);
    wire_get_string(in, in_token, sizeof(in_token));
    c->auth_cache = wire_get_u32(in);
    c->signs_journal = wire_get_bool(in);
    wire_get_string(in, stored, sizeof(stored));
    if (!wire_in_end(in) || protocol != VAULT_PROTOCOL || c->workers < 1 ||
        c->workers > VAULT_WORKERS_MAX || !key_stay_read(in_token, &c->in_token) ||
        !key_stay_read(stored, &c->stored) || c->auth_cache > VAULTD_CACHE_MAX)
        return broken(err);
    enum key_role both = key_stay_both(&c->in_token, &c->stored);
    if (both != KEY_ROLE_COUNT)
        return b_err_set(err, B_E_CONFIG, 0, "in-token: and stored: both name %s",
                         key_role_name(both));
    enum b_code r = d->shared->is_given ? keep_given(c, &d->shared->config, err) : B_OK;
    if (r == B_OK && c->auth_cache > 0)
        r = vaultd_cache_new(c->auth_cache, &d->shared->cache, err);
    if (r != B_OK)
        return r;
    d->shared->config = said;
    d->shared->phase = VAULT_PHASE_READY;
    return B_OK;
}

static enum b_code handle_token(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                struct b_err *err)
{
    if (!wire_in_end(in))
        return broken(err);
    struct custody_token t;
    enum b_code r = d->keyring.token(d->keyring.ctx, vaultd_config(d), &t, err);
    if (r != B_OK)
        return r;
    wire_put_string(out, t.label);
    wire_put_string(out, t.manufacturer);
    wire_put_string(out, t.model);
    wire_put_string(out, t.serial);
    wire_put_string(out, custody_method_name(t.method));
    const struct vaultd_confinement *c = &d->shared->confinement;
    wire_put_u8(out, b_secret_is_locked() ? 1 : 0);
    wire_put_u8(out, c->is_module_apart ? 1 : 0);
    wire_put_u8(out, c->has_seccomp ? 1 : 0);
    wire_put_u8(out, c->landlock);
    return B_OK;
}

void vaultd_put_key(const struct custody_key *key, struct b_wr *w)
{
    struct vault_key k = {.role = key->role,
                          .generation = key->generation,
                          .is_safe = key->is_safe,
                          .derives_inside = key->derives_inside};
    static_assert(sizeof(k.kcv_method) == sizeof(key->kcv.method), "one name of a KCV's method");
    memcpy(k.kcv_method, key->kcv.method, sizeof(k.kcv_method));
    memcpy(k.kcv, key->kcv.value, sizeof(k.kcv));
    vault_key_encode(&k, w);
}

static enum b_code handle_key_generate(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                       struct b_err *err)
{
    uint8_t role = wire_get_u8(in);
    uint8_t generation = wire_get_u8(in);
    if (!wire_in_end(in) || role >= KEY_ROLE_ALL)
        return broken(err);
    struct custody_key key;
    bool has_roster = false;
    enum b_code r = vaultd_has_roster(d, &has_roster, err);
    if (r == B_OK && has_roster)
        r = b_err_set(err, B_E_QUORUM, 0,
                      "master keys are made by a proposal that a quorum approves");
    if (r == B_OK)
        r = d->keyring.generate(d->keyring.ctx, vaultd_config(d), (enum key_role)role, generation,
                                &key, err);
    if (r != B_OK)
        return r;
    size_t mark = wire_open_bytes(out);
    vaultd_put_key(&key, out->w);
    wire_close_bytes(out, mark);
    return B_OK;
}

static enum b_code handle_key_list(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                   struct b_err *err)
{
    if (!wire_in_end(in))
        return broken(err);
    static _Thread_local struct custody_key keys[CUSTODY_KEYS_MAX]; /* no secrets: KCVs at most */
    size_t n = 0;
    enum b_code r = d->keyring.list(d->keyring.ctx, vaultd_config(d), keys, B_COUNT(keys), &n, err);
    if (r != B_OK)
        return r;
    wire_put_u32(out, (uint32_t)n);
    size_t mark = wire_open_bytes(out);
    for (size_t i = 0; i < n; i++)
        vaultd_put_key(&keys[i], out->w);
    wire_close_bytes(out, mark);
    return B_OK;
}

static enum b_code handle_softhsm_create(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                         struct b_err *err)
{
    char dir[VAULTD_PATH_MAX];
    char label[64];
    char uri[VAULT_STRING_MAX];
    wire_get_string(in, dir, sizeof(dir));
    wire_get_string(in, label, sizeof(label));
    if (!wire_in_end(in))
        return broken(err);
    if (d->shared->is_given)
        return b_err_set(err, B_E_REFUSED, 0, "a vault that is served has its token");
    enum b_code r = d->keyring.create(d->keyring.ctx, dir, label, uri, sizeof(uri), err);
    if (r == B_OK)
        wire_put_string(out, uri);
    return r;
}

static enum b_code handle_session_open(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                       struct b_err *err)
{
    struct b_rd job = wire_get_bytes(in);
    struct b_rd given = wire_get_bytes(in);
    return wire_in_end(in) ? vaultd_session_open(d, job, given, out, err) : broken(err);
}

static enum b_code handle_session_step(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                       struct b_err *err)
{
    uint32_t id = wire_get_u32(in);
    struct b_rd rapdu = wire_get_bytes(in);
    if (!wire_in_end(in) || rapdu.left > DF_RAPDU_MAX)
        return broken(err);
    return vaultd_session_step(d, id, rapdu, out, err);
}

static enum b_code handle_session_close(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                        struct b_err *err)
{
    (void)out;
    uint32_t id = wire_get_u32(in);
    if (!wire_in_end(in))
        return broken(err);
    vaultd_session_close(d, id);
    return B_OK;
}

/* Whose key it is: what the rows tap_open and tap_check have in common. */
static void take_facts(struct wire_in *in, struct vaultd_tap_facts *f)
{
    char name[PROFILE_ID_MAX];
    wire_get_string(in, name, sizeof(name));
    f->diversification = crypto_div_find(name);
    df_aid aid = wire_get_u32(in);
    f->facts.key_no = wire_get_u8(in);
    struct b_rd uid = wire_get_bytes(in);
    struct b_rd serial = wire_get_bytes(in);
    struct b_rd system = wire_get_bytes(in);
    f->is_misread = aid > 0xFFFFFF || uid.left > sizeof(f->facts.uid) ||
                    serial.left > sizeof(f->facts.serial) || system.left > sizeof(f->facts.system);
    if (f->is_misread)
        return;
    struct b_wr wire_aid = b_wr_from(f->facts.aid, sizeof(f->facts.aid));
    b_wr_le24(&wire_aid, aid);
    f->facts.uid_len = (uint8_t)uid.left;
    b_rd_bytes(&uid, f->facts.uid, uid.left);
    f->facts.serial_len = (uint8_t)serial.left;
    b_rd_bytes(&serial, f->facts.serial, serial.left);
    f->facts.system_len = (uint8_t)system.left;
    b_rd_bytes(&system, f->facts.system, system.left);
}

static enum b_code check_facts(const struct vaultd_tap_facts *f, struct b_err *err)
{
    return f->diversification != NULL
               ? B_OK
               : b_err_set(err, B_E_PROFILE_RULE, 0, "there is no such diversification profile");
}

static enum b_code handle_tap_open(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                   struct b_err *err)
{
    struct vaultd_tap_facts f = {.how = wire_get_u8(in) == 0 ? DF_AUTH_EV2_FIRST : DF_AUTH_AES};
    f.generation = wire_get_u8(in);
    take_facts(in, &f);
    f.challenge = wire_get_bytes(in);
    wire_get_string(in, f.place, sizeof(f.place));
    f.stored = wire_get_bytes(in);
    f.is_guess = wire_get_bool(in);
    if (!wire_in_end(in) || f.is_misread || f.challenge.left != DF_PROVE_BLOCK)
        return broken(err);
    enum b_code r = check_facts(&f, err);
    return r == B_OK ? vaultd_tap_open(d, &f, out, err) : r;
}

static enum b_code handle_tap_check(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                    struct b_err *err)
{
    struct vaultd_tap_facts f = {.generation = wire_get_u8(in)};
    take_facts(in, &f);
    f.stored = wire_get_bytes(in);
    if (!wire_in_end(in) || f.is_misread)
        return broken(err);
    enum b_code r = check_facts(&f, err);
    return r == B_OK ? vaultd_tap_check(d, &f, out, err) : r;
}

static enum b_code handle_tap_prove(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                    struct b_err *err)
{
    struct vault_claims claims;
    uint32_t id = wire_get_u32(in);
    struct vaultd_proof proof = {.bytes = wire_get_bytes(in)};
    proof.keeps = wire_get_bool(in);
    struct b_rd bytes = wire_get_bytes(in);
    if (!wire_in_end(in))
        return broken(err);
    if (bytes.left > 0) {
        if (!vault_claims_decode(&bytes, &claims) || !b_rd_end(&bytes))
            return broken(err);
        proof.claims = &claims;
    }
    return vaultd_tap_prove(d, id, &proof, out, err);
}

static enum b_code handle_identity(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                   struct b_err *err)
{
    const struct vaultd_identity *id = NULL;
    if (!wire_in_end(in))
        return broken(err);
    enum b_code r = vaultd_identity(d, &id, err);
    if (r != B_OK)
        return r;
    wire_put_string(out, id->key_id);
    wire_put_bytes(out, id->assertion_public, sizeof(id->assertion_public));
    wire_put_bytes(out, id->journal_public, sizeof(id->journal_public));
    wire_put_bytes(out, id->pin_public, sizeof(id->pin_public));
    return B_OK;
}

static uint64_t get_size(struct wire_in *in)
{
    uint64_t low = wire_get_u32(in);
    return low | (uint64_t)wire_get_u32(in) << 32;
}

static void put_size(struct wire_out *out, uint64_t size)
{
    wire_put_u32(out, (uint32_t)size);
    wire_put_u32(out, (uint32_t)(size >> 32));
}

static bool is_proof(struct b_rd r)
{
    return r.left % 32 == 0 && r.left <= 64 * 32;
}

static enum b_code handle_checkpoint(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                     struct b_err *err)
{
    char origin[128];
    wire_get_string(in, origin, sizeof(origin));
    struct vault_tree t = {.origin = origin, .size = get_size(in)};
    struct b_rd root = wire_get_bytes(in);
    t.root = root.p;
    t.proof = wire_get_bytes(in);
    t.other = wire_get_bytes(in);
    if (!wire_in_end(in) || root.left != 32 || !is_proof(t.proof) || !is_proof(t.other))
        return broken(err);
    return vaultd_checkpoint(d, &t, out, err);
}

static enum b_code handle_journal_seen(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                       struct b_err *err)
{
    struct vault_seen seen = {.size = 0};
    if (!wire_in_end(in))
        return broken(err);
    enum b_code r = vaultd_journal_seen(d, &seen, err);
    put_size(out, seen.size);
    put_size(out, seen.other);
    return r;
}

static enum b_code handle_journal_accept(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                         struct b_err *err)
{
    (void)out;
    uint64_t size = get_size(in);
    struct b_rd root = wire_get_bytes(in);
    if (!wire_in_end(in) || root.left != 32)
        return broken(err);
    bool has_roster = false;
    enum b_code r = vaultd_has_roster(d, &has_roster, err);
    if (r == B_OK && has_roster)
        r = b_err_set(err, B_E_QUORUM, 0,
                      "another history is accepted by a proposal that a quorum approves");
    return r == B_OK ? vaultd_journal_accept(d, size, root.p, err) : r;
}

static enum b_code handle_tap_close(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                    struct b_err *err)
{
    (void)out;
    uint32_t id = wire_get_u32(in);
    if (!wire_in_end(in))
        return broken(err);
    vaultd_tap_close(d, id);
    return B_OK;
}

static enum b_code handle_pin_set(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                  struct b_err *err)
{
    char ref[VAULT_REF_MAX];
    wire_get_string(in, ref, sizeof(ref));
    struct vaultd_pin pin = {.ref = ref, .box = wire_get_bytes(in)};
    pin.min = wire_get_u8(in);
    pin.max = wire_get_u8(in);
    return wire_in_end(in) ? vaultd_pin_set(d, &pin, out, err) : broken(err);
}

static enum b_code handle_tap_pin(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                  struct b_err *err)
{
    struct vault_claims claims;
    uint32_t id = wire_get_u32(in);
    struct vaultd_pin pin = {.box = wire_get_bytes(in)};
    pin.record = wire_get_bytes(in);
    struct b_rd bytes = wire_get_bytes(in);
    if (!wire_in_end(in) || !vault_claims_decode(&bytes, &claims) || !b_rd_end(&bytes))
        return broken(err);
    return vaultd_tap_pin(d, id, &pin, &claims, out, err);
}

static enum b_code handle_roster_found(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                       struct b_err *err)
{
    (void)out;
    struct b_rd roster = wire_get_bytes(in);
    struct b_rd policy = wire_get_bytes(in);
    return wire_in_end(in) ? vaultd_found_roster(d, roster, policy, err) : broken(err);
}

static enum b_code handle_anchors(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                  struct b_err *err)
{
    return wire_in_end(in) ? vaultd_anchors(d, out, err) : broken(err);
}

static enum b_code handle_carry_out(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                    struct b_err *err)
{
    struct vaultd_carry c = {.now = (int64_t)time(NULL)};
    c.roster = wire_get_bytes(in);
    c.proposal = wire_get_bytes(in);
    c.approvals = wire_get_bytes(in);
    return wire_in_end(in) ? vaultd_carry_out(d, &c, out, err) : broken(err);
}

static enum b_code handle_signer_make(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                      struct b_err *err)
{
    char name[16];
    wire_get_string(in, name, sizeof(name));
    enum crypto_jws alg = crypto_jws_from(name);
    if (!wire_in_end(in) || alg == CRYPTO_JWS_COUNT)
        return broken(err);
    return vaultd_signer_make(d, alg, out, err);
}

static enum b_code handle_signer_sign(struct vaultd *d, struct wire_in *in, struct wire_out *out,
                                      struct b_err *err)
{
    struct vaultd_sign s = {.wrapped = wire_get_bytes(in)};
    uint8_t kind = wire_get_u8(in);
    s.kind = (enum vault_token_kind)kind;
    s.assertion = wire_get_bytes(in);
    s.claims = wire_get_bytes(in);
    if (!wire_in_end(in) || kind >= VAULT_TOKEN_KINDS)
        return broken(err);
    return vaultd_signer_sign(d, &s, out, err);
}

static handler *handler_of(uint8_t id)
{
    static handler *const handlers[] = {
#define VAULT_MSG(id, NAME, name, ...) [VAULT_MSG_##NAME] = handle_##name,
#include "vault/msg.def"
#undef VAULT_MSG
    };
    b_check(id < B_COUNT(handlers) && handlers[id] != NULL);
    return handlers[id];
}

static bool is_permitted(struct vaultd *d, const struct vault_msg_row *row)
{
    struct vaultd_shared *sh = d->shared;
    uint64_t bit = UINT64_C(1) << row->id;
    (void)pthread_mutex_lock(&sh->lock);
    bool is = row->phase == sh->phase && (!row->is_once || (sh->seen & bit) == 0);
    if (is && row->is_once)
        sh->seen |= bit;
    (void)pthread_mutex_unlock(&sh->lock);
    return is;
}

void vaultd_init(struct vaultd *d, struct vaultd_keyring keyring, struct df_random random,
                 uint64_t (*now_us)(void))
{
    memset(d, 0, sizeof(*d));
    d->shared = &d->own;
    d->keyring = keyring;
    d->random = random;
    d->now_us = now_us;
    d->own.phase = VAULT_PHASE_NEW;
    d->own.next_session = 1;
    d->own.wrong_pins_us = vaultd_wrong_pins_at_start(now_us());
    b_check(pthread_mutex_init(&d->own.lock, NULL) == 0 &&
            pthread_mutex_init(&d->own.identity_lock, NULL) == 0 &&
            pthread_mutex_init(&d->own.ceremony_lock, NULL) == 0);
}

void vaultd_give(struct vaultd *d, const char *token_uri, const char *establishment,
                 const char *pin_file)
{
    struct vaultd_config *c = &d->shared->config;
    (void)snprintf(c->token_uri, sizeof(c->token_uri), "%s", token_uri);
    (void)snprintf(c->establishment, sizeof(c->establishment), "%s", establishment);
    (void)snprintf(c->pin_file, sizeof(c->pin_file), "%s", pin_file);
    d->shared->is_given = true;
}

void vaultd_join(struct vaultd *d, struct vaultd *first, struct vaultd_keyring keyring)
{
    memset(d, 0, sizeof(*d));
    d->shared = first->shared;
    d->keyring = keyring;
    d->random = first->random;
    d->now_us = first->now_us;
}

void vaultd_drop(struct vaultd *d)
{
    for (size_t i = 0; i < VAULTD_SESSIONS_MAX; i++)
        if (d->shared->sessions[i].id != 0)
            vaultd_session_close(d, d->shared->sessions[i].id);
    vaultd_taps_drop(d);
    vaultd_cache_free(&d->shared->cache);
    vaultd_identity_drop(d);
    vaultd_ceremony_drop(d);
}

bool vaultd_handle(struct vaultd *d, struct b_rd request, struct b_wr *answer)
{
    d->started_us = d->now_us();
    uint8_t id = b_rd_u8(&request);
    const struct vault_msg_row *row = b_rd_ok(&request) ? vault_msg_row(id) : NULL;
    if (row == NULL || !is_permitted(d, row))
        return false;
    struct b_err err = {0};
    struct wire_in in = wire_in_from(row->request, request);
    struct wire_out out = wire_out_from(row->answer, answer);
    b_wr_u8(answer, 0);
    bool is_ceremony = id >= VAULT_MSG_CEREMONY_BEGIN && id <= VAULT_MSG_GIVE_KEY;
    if (is_ceremony)
        (void)pthread_mutex_lock(&d->shared->ceremony_lock);
    enum b_code r = handler_of(id)(d, &in, &out, &err);
    if (is_ceremony)
        (void)pthread_mutex_unlock(&d->shared->ceremony_lock);
    if (r == B_E_VAULT_PROTOCOL)
        return false;
    if (r == B_OK && !wire_out_end(&out))
        r = b_err_set(&err, B_E_INTERNAL, 0, "%s: the answer does not fit a message", row->name);
    if (r == B_OK)
        return true;
    b_wipe(answer->p, answer->cap);
    *answer = b_wr_from(answer->p, answer->cap);
    b_wr_u8(answer, 1);
    wire_put_error(answer, &err);
    return b_wr_ok(answer);
}
