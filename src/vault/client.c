/* The client's calls, one for each message: docs/vault-protocol.md. */
#include <string.h>

#include "vault/event.h"
#include "vault/lane.h"

enum b_code vault_token(struct vault *v, struct vault_token *ret, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_TOKEN);
    struct wire_in in;
    struct vault_token t;
    enum b_code r = vault_lane_call(k, &o, &in, err);
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
        return vault_lane_misread(k, "token", err);
    *ret = t;
    return B_OK;
}

enum b_code vault_key_generate(struct vault *v, enum key_role role, uint8_t generation,
                               struct vault_key *ret, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_KEY_GENERATE);
    struct wire_in in;
    wire_put_u8(&o, (uint8_t)role);
    wire_put_u8(&o, generation);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct vault_key key;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || !vault_key_decode(&bytes, &key) || !b_rd_end(&bytes))
        return vault_lane_misread(k, "key_generate", err);
    *ret = key;
    return B_OK;
}

enum b_code vault_key_list(struct vault *v, struct vault_key *keys, size_t cap, size_t *ret_count,
                           struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_KEY_LIST);
    struct wire_in in;
    enum b_code r = vault_lane_call(k, &o, &in, err);
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
        return vault_lane_misread(k, "key_list", err);
    *ret_count = n;
    return B_OK;
}

enum b_code vault_softhsm_create(struct vault *v, const char *dir, const char *label, char *ret_uri,
                                 size_t cap, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_SOFTHSM_CREATE);
    struct wire_in in;
    wire_put_string(&o, dir);
    wire_put_string(&o, label);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    char uri[VAULT_STRING_MAX];
    wire_get_string(&in, uri, sizeof(uri));
    if (!wire_in_end(&in))
        return vault_lane_misread(k, "softhsm_create", err);
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
    return is_read ? B_OK : vault_lane_misread(k, "event", err);
}

enum b_code vault_session_open(struct vault *v, const struct profile_job *job, struct b_rd given,
                               uint32_t *ret_session, struct vault_event *event, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_SESSION_OPEN);
    struct wire_in in;
    size_t mark = wire_open_bytes(&o);
    profile_job_encode(job, &k->request);
    wire_close_bytes(&o, mark);
    wire_put_bytes(&o, given.p, given.left);
    enum b_code r = vault_lane_call(k, &o, &in, err);
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
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_SESSION_STEP);
    struct wire_in in;
    wire_put_u32(&o, session);
    wire_put_bytes(&o, rapdu.p, rapdu.left);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    return r == B_OK ? take_event(k, &in, event, err) : r;
}

void vault_session_close(struct vault *v, uint32_t session)
{
    if (vault_is_gone(v))
        return;
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_SESSION_CLOSE);
    wire_put_u32(&o, session);
    /* A vault that is gone has wiped everything; the next call tells. */
    (void)!vault_lane_call_void(k, &o, "session_close", NULL);
}

/* --- taps ------------------------------------------------------------------------------------- */

/* Whose key it is: what the rows tap_open and tap_check have in common. */
static void put_facts(struct wire_out *o, const struct vault_tap *tap)
{
    const struct profile *p = tap->profile;
    int key_no = profile_key_no(p, KEY_ROLE_AUTH);
    b_check(key_no >= 0);
    wire_put_string(o, p->diversification);
    wire_put_u32(o, p->aid);
    wire_put_u8(o, (uint8_t)key_no);
    wire_put_bytes(o, tap->uid, tap->uid_len);
    wire_put_bytes(o, tap->serial, tap->serial_len);
    wire_put_bytes(o, p->system, p->system_len);
}

enum b_code vault_tap_check(struct vault *v, const struct vault_tap *tap,
                            uint8_t ret[static CRYPTO_KCV], struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_TAP_CHECK);
    struct wire_in in;
    wire_put_u8(&o, tap->generation);
    put_facts(&o, tap);
    wire_put_bytes(&o, tap->stored, tap->stored_len);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd kcv = wire_get_bytes(&in);
    if (!wire_in_end(&in) || kcv.left != CRYPTO_KCV)
        return vault_lane_misread(k, "tap_check", err);
    b_rd_bytes(&kcv, ret, CRYPTO_KCV);
    return B_OK;
}

enum b_code vault_tap_open(struct vault *v, const struct vault_tap *tap, uint32_t *ret_tap,
                           char *name, uint8_t frame[static 32], struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_TAP_OPEN);
    struct wire_in in;
    wire_put_u8(&o, tap->how == DF_AUTH_AES ? 1 : 0);
    wire_put_u8(&o, tap->generation);
    put_facts(&o, tap);
    wire_put_bytes(&o, tap->challenge, sizeof(tap->challenge));
    wire_put_string(&o, tap->place);
    wire_put_bytes(&o, tap->stored, tap->stored_len);
    wire_put_u8(&o, tap->is_guess ? 1 : 0);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    char named[VAULT_TAP_NAME];
    uint32_t id = wire_get_u32(&in);
    wire_get_string(&in, named, sizeof(named));
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || bytes.left != 32)
        return vault_lane_misread(k, "tap_open", err);
    b_rd_bytes(&bytes, frame, 32);
    *ret_tap = id;
    if (name != NULL)
        memcpy(name, named, sizeof(named));
    return B_OK;
}

static enum b_code take_assertion(struct lane *k, struct wire_in *in, const char *name,
                                  char *assertion, struct b_err *err)
{
    struct b_rd bytes = wire_get_bytes(in);
    if (!wire_in_end(in) || bytes.left >= VAULT_ASSERTION_MAX)
        return vault_lane_misread(k, name, err);
    size_t n = bytes.left;
    b_rd_bytes(&bytes, assertion, n);
    assertion[n] = '\0';
    return B_OK;
}

enum b_code vault_tap_prove(struct vault *v, const struct vault_proof *p, char *assertion,
                            struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_TAP_PROVE);
    struct wire_in in;
    wire_put_u32(&o, p->tap);
    wire_put_bytes(&o, p->proof.p, p->proof.left);
    wire_put_u8(&o, p->keeps ? 1 : 0);
    size_t mark = wire_open_bytes(&o);
    if (p->claims != NULL)
        vault_claims_encode(p->claims, &k->request);
    wire_close_bytes(&o, mark);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    static _Thread_local char none[VAULT_ASSERTION_MAX]; /* none was asked for */
    return take_assertion(k, &in, "tap_prove", p->claims != NULL ? assertion : none, err);
}

enum b_code vault_pin_set(struct vault *v, const struct vault_pin *pin, uint8_t *record,
                          size_t *ret_n, struct b_err *err)
{
    if (strlen(pin->ref) >= VAULT_REF_MAX)
        return b_err_set(err, B_E_NOT_FOUND, 0, "holder %.70s", pin->ref);
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_PIN_SET);
    struct wire_in in;
    wire_put_string(&o, pin->ref);
    wire_put_bytes(&o, pin->box.p, pin->box.left);
    wire_put_u8(&o, pin->min);
    wire_put_u8(&o, pin->max);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || bytes.left > VAULT_PIN_RECORD_MAX)
        return vault_lane_misread(k, "pin_set", err);
    *ret_n = bytes.left;
    b_rd_bytes(&bytes, record, bytes.left);
    return B_OK;
}

enum b_code vault_tap_pin(struct vault *v, uint32_t tap, const struct vault_pin *pin,
                          const struct vault_claims *claims, char *assertion, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_TAP_PIN);
    struct wire_in in;
    wire_put_u32(&o, tap);
    wire_put_bytes(&o, pin->box.p, pin->box.left);
    wire_put_bytes(&o, pin->record.p, pin->record.left);
    size_t mark = wire_open_bytes(&o);
    vault_claims_encode(claims, &k->request);
    wire_close_bytes(&o, mark);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    return r == B_OK ? take_assertion(k, &in, "tap_pin", assertion, err) : r;
}

enum b_code vault_identity(struct vault *v, struct vault_identity *ret, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_IDENTITY);
    struct wire_in in;
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    wire_get_string(&in, ret->key_id, sizeof(ret->key_id));
    struct b_rd assertion = wire_get_bytes(&in);
    struct b_rd journal = wire_get_bytes(&in);
    struct b_rd pin = wire_get_bytes(&in);
    if (!wire_in_end(&in) || assertion.left != sizeof(ret->assertion) ||
        journal.left != sizeof(ret->journal) || pin.left != sizeof(ret->pin))
        return vault_lane_misread(k, "identity", err);
    b_rd_bytes(&assertion, ret->assertion, sizeof(ret->assertion));
    b_rd_bytes(&journal, ret->journal, sizeof(ret->journal));
    b_rd_bytes(&pin, ret->pin, sizeof(ret->pin));
    return B_OK;
}

enum b_code vault_signer_make(struct vault *v, const char *alg, struct vault_signer *ret,
                              struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_SIGNER_MAKE);
    struct wire_in in;
    wire_put_string(&o, alg);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    wire_get_string(&in, ret->id, sizeof(ret->id));
    struct b_rd public_key = wire_get_bytes(&in);
    struct b_rd wrapped = wire_get_bytes(&in);
    if (!wire_in_end(&in) || public_key.left > sizeof(ret->public_key) ||
        wrapped.left > sizeof(ret->wrapped))
        return vault_lane_misread(k, "signer_make", err);
    ret->public_len = public_key.left;
    ret->wrapped_len = wrapped.left;
    b_rd_bytes(&public_key, ret->public_key, public_key.left);
    b_rd_bytes(&wrapped, ret->wrapped, wrapped.left);
    return B_OK;
}

enum b_code vault_signer_sign(struct vault *v, const struct vault_sign *s, char *jwt,
                              struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_SIGNER_SIGN);
    struct wire_in in;
    wire_put_bytes(&o, s->wrapped.p, s->wrapped.left);
    wire_put_u8(&o, (uint8_t)s->kind);
    wire_put_bytes(&o, s->assertion, strlen(s->assertion));
    wire_put_bytes(&o, s->claims, strlen(s->claims));
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || bytes.left >= VAULT_JWT_MAX)
        return vault_lane_misread(k, "signer_sign", err);
    size_t n = bytes.left;
    b_rd_bytes(&bytes, jwt, n);
    jwt[n] = '\0';
    return B_OK;
}

enum b_code vault_anchors(struct vault *v, struct vault_anchors *ret, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_ANCHORS);
    struct wire_in in;
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd roster = wire_get_bytes(&in);
    struct b_rd policy = wire_get_bytes(&in);
    if (!wire_in_end(&in) || (roster.left != 0 && roster.left != 32) ||
        (policy.left != 0 && policy.left != 32))
        return vault_lane_misread(k, "anchors", err);
    *ret = (struct vault_anchors){.has_roster = roster.left != 0, .has_policy = policy.left != 0};
    b_rd_bytes(&roster, ret->roster, roster.left);
    b_rd_bytes(&policy, ret->policy, policy.left);
    return B_OK;
}

enum b_code vault_roster_found(struct vault *v, const char *roster, const uint8_t policy[static 32],
                               struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_ROSTER_FOUND);
    wire_put_bytes(&o, roster, strlen(roster));
    wire_put_bytes(&o, policy, 32);
    return vault_lane_call_void(k, &o, "roster_found", err);
}

enum b_code vault_carry_out(struct vault *v, const struct vault_carry *carry,
                            uint8_t receipt[static 64], struct vault_key *key, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CARRY_OUT);
    struct wire_in in;
    wire_put_bytes(&o, carry->roster, strlen(carry->roster));
    wire_put_bytes(&o, carry->proposal, strlen(carry->proposal));
    wire_put_bytes(&o, carry->approvals.p, carry->approvals.left);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd signature = wire_get_bytes(&in);
    struct b_rd bytes = wire_get_bytes(&in);
    *key = (struct vault_key){.generation = 0};
    bool is_read = wire_in_end(&in) && signature.left == 64;
    if (is_read && bytes.left > 0)
        is_read = vault_key_decode(&bytes, key) && b_rd_end(&bytes);
    if (!is_read)
        return vault_lane_misread(k, "carry_out", err);
    b_rd_bytes(&signature, receipt, 64);
    return B_OK;
}

enum b_code vault_checkpoint(struct vault *v, const struct vault_tree *tree,
                             uint8_t signature[static 64], struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CHECKPOINT);
    struct wire_in in;
    wire_put_string(&o, tree->origin);
    wire_put_u32(&o, (uint32_t)tree->size);
    wire_put_u32(&o, (uint32_t)(tree->size >> 32));
    wire_put_bytes(&o, tree->root, 32);
    wire_put_bytes(&o, tree->proof.p, tree->proof.left);
    wire_put_bytes(&o, tree->other.p, tree->other.left);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    if (!wire_in_end(&in) || bytes.left != 64)
        return vault_lane_misread(k, "checkpoint", err);
    b_rd_bytes(&bytes, signature, 64);
    return B_OK;
}

static uint64_t get_size(struct wire_in *in)
{
    uint64_t low = wire_get_u32(in);
    return low | (uint64_t)wire_get_u32(in) << 32;
}

enum b_code vault_journal_seen(struct vault *v, struct vault_seen *ret, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_JOURNAL_SEEN);
    struct wire_in in;
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    ret->size = get_size(&in);
    ret->other = get_size(&in);
    return wire_in_end(&in) ? B_OK : vault_lane_misread(k, "journal_seen", err);
}

enum b_code vault_journal_accept(struct vault *v, uint64_t size, const uint8_t root[static 32],
                                 struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_JOURNAL_ACCEPT);
    wire_put_u32(&o, (uint32_t)size);
    wire_put_u32(&o, (uint32_t)(size >> 32));
    wire_put_bytes(&o, root, 32);
    return vault_lane_call_void(k, &o, "journal_accept", err);
}

void vault_tap_close(struct vault *v, uint32_t tap)
{
    if (vault_is_gone(v))
        return;
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_TAP_CLOSE);
    wire_put_u32(&o, tap);
    (void)!vault_lane_call_void(k, &o, "tap_close", NULL);
}
