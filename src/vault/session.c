/*
 * Card sessions. What the peer may bring is a job and the card's bytes; state, plan and keys are
 * made here. A vault that encodes is trusted with encoding: whoever plays a blank card to it gets
 * that card's keys as any card would, under a factory key. What it must not do is more than that.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "vault/given.h"
#include "vault/stored.h"

static struct vaultd_session *find(struct vaultd_shared *sh, uint32_t id)
{
    for (size_t i = 0; i < VAULTD_SESSIONS_MAX; i++)
        if (sh->sessions[i].id == id && (id != 0 || !sh->sessions[i].is_busy))
            return &sh->sessions[i];
    return NULL;
}

/* A worker works in a session alone: the peer sends a card's frames one after the other. */
static struct vaultd_session *enter(struct vaultd *d, uint32_t id)
{
    (void)pthread_mutex_lock(&d->shared->lock);
    struct vaultd_session *s = find(d->shared, id);
    if (s != NULL && s->is_busy)
        s = NULL;
    if (s != NULL) {
        s->is_busy = true;
        s->worker = d;
    }
    (void)pthread_mutex_unlock(&d->shared->lock);
    return s;
}

static void leave(struct vaultd *d, struct vaultd_session *s)
{
    (void)pthread_mutex_lock(&d->shared->lock);
    s->is_busy = false;
    (void)pthread_mutex_unlock(&d->shared->lock);
}

static void name(struct vaultd_shared *sh, struct vaultd_session *s)
{
    (void)pthread_mutex_lock(&sh->lock);
    s->id = sh->next_session;
    sh->next_session = s->id == UINT32_MAX ? 1 : s->id + 1;
    (void)pthread_mutex_unlock(&sh->lock);
}

/* Wipes a session that the caller is in, and leaves it. */
static void drop(struct vaultd *d, struct vaultd_session *s)
{
    if (s->run != NULL)
        profile_run_drop(s->run);
    b_secret_free(s->run);
    b_secret_free(s->job);
    b_secret_free(s->hand);
    (void)pthread_mutex_lock(&d->shared->lock);
    *s = (struct vaultd_session){0};
    (void)pthread_mutex_unlock(&d->shared->lock);
}

void vaultd_session_close(struct vaultd *d, uint32_t id)
{
    struct vaultd_session *s = id != 0 ? enter(d, id) : NULL;
    if (s != NULL)
        drop(d, s);
}

/* --- badge keys ------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t key[static 16])
{
    static const uint8_t zeros[16];
    return b_ct_eq(key, zeros, sizeof(zeros));
}

/* Whose key it is; may_draw: it is about to be written. */
struct wanted {
    struct vault_stored key;
    bool may_draw;
};

static enum b_code derive(struct vaultd *d, const struct wanted *k, struct b_rd input, uint8_t *out,
                          struct b_err *err)
{
    const struct custody_key which = {.role = k->key.role, .generation = k->key.generation};
    return d->keyring.derive(d->keyring.ctx, vaultd_config(d), &which, input, out, err);
}

static enum b_code find_key(struct vaultd_session *s, struct wanted *k, const char *diversification,
                            const struct crypto_div_facts *facts, struct df_key *ret,
                            struct b_err *err)
{
    struct vaultd *d = s->worker; /* not always the one that opened the session */
    const struct crypto_div_profile *rule = crypto_div_find(diversification);
    if (rule == NULL)
        return b_err_set(err, B_E_PROFILE_RULE, 0, "there is no diversification profile %.32s",
                         diversification);
    uint8_t input[CRYPTO_DIV_INPUT_MAX];
    struct b_wr w = b_wr_from(input, sizeof(input));
    enum b_code r = crypto_div_input(rule, facts, &w, err);
    if (r != B_OK)
        return r;
    k->key.badge_len = (uint8_t)vault_stored_badge(rule, facts, k->key.badge);
    *ret = (struct df_key){.type = DF_KEY_AES, .version = k->key.generation};
    r = key_stays(&vaultd_config(d)->stored, k->key.role, k->key.generation)
            ? vaultd_hand_key(d, s->hand, &k->key, k->may_draw, ret->bytes, err)
            : derive(d, k, b_wr_reader(&w), ret->bytes, err);
    if (r == B_OK && is_zero(ret->bytes))
        r = b_err_set(err, B_E_KEY_TOO_WEAK, 0, "deriving key %s of generation %u",
                      key_role_name(k->key.role), k->key.generation);
    if (r != B_OK)
        b_wipe(ret, sizeof(*ret));
    return r;
}

static enum b_code badge_key(void *ctx, enum key_role role, uint8_t generation,
                             const char *diversification, const struct crypto_div_facts *facts,
                             struct df_key *ret, struct b_err *err)
{
    struct wanted k = {.key = {.role = role, .generation = generation}};
    return find_key(ctx, &k, diversification, facts, ret, err);
}

static enum b_code new_key(void *ctx, enum key_role role, uint8_t generation,
                           const char *diversification, const struct crypto_div_facts *facts,
                           struct df_key *ret, struct b_err *err)
{
    struct wanted k = {.key = {.role = role, .generation = generation}, .may_draw = true};
    return find_key(ctx, &k, diversification, facts, ret, err);
}

/* --- badge keys that stay in the token ---------------------------------------------------------
 */

static bool stays(void *ctx, enum key_role role, uint8_t generation)
{
    const struct vaultd_session *s = ctx;
    return key_stays(&vaultd_config(s->worker)->in_token, role, generation);
}

/* input: room for it; what is returned borrows it. */
static enum b_code inside_of(struct profile_proof *p, uint8_t input[static CRYPTO_DIV_INPUT_MAX],
                             struct vaultd_inside *ret, struct b_err *err)
{
    const struct crypto_div_profile *rule = crypto_div_find(p->diversification);
    struct b_wr w = b_wr_from(input, CRYPTO_DIV_INPUT_MAX);
    if (rule == NULL)
        return b_err_set(err, B_E_PROFILE_RULE, 0, "there is no diversification profile %.32s",
                         p->diversification);
    enum b_code r = crypto_div_input(rule, &p->facts, &w, err);
    *ret = (struct vaultd_inside){
        .which = {p->role, p->generation, b_wr_reader(&w)}, .how = p->how, .prove = &p->state};
    return r;
}

static enum b_code prove(void *ctx, struct profile_proof *p, const uint8_t challenge[static 16],
                         uint8_t frame[static 32], struct b_err *err)
{
    const struct vaultd_session *s = ctx;
    struct vaultd *d = s->worker;
    struct vaultd_inside inside;
    uint8_t input[CRYPTO_DIV_INPUT_MAX];
    enum b_code r = inside_of(p, input, &inside, err);
    if (r != B_OK)
        return r;
    return d->keyring.prove(d->keyring.ctx, vaultd_config(d), &inside, challenge, frame, err);
}

static enum b_code check(void *ctx, struct profile_proof *p, struct b_rd answer, struct b_err *err)
{
    const struct vaultd_session *s = ctx;
    struct vaultd *d = s->worker;
    struct vaultd_inside inside;
    uint8_t input[CRYPTO_DIV_INPUT_MAX];
    enum b_code r = inside_of(p, input, &inside, err);
    return r == B_OK ? d->keyring.check(d->keyring.ctx, vaultd_config(d), &inside, answer, err) : r;
}

/* --- jobs ------------------------------------------------------------------------------------- */

/* What a job may ask for beyond what its decoder checks. */
static enum b_code check_job(const struct profile_job *job, struct b_err *err)
{
    bool is_scan = job->goal == PROFILE_GOAL_SCAN;
    bool takes_keys =
        is_scan || job->goal == PROFILE_GOAL_TAKEOVER || job->goal == PROFILE_GOAL_UID;
    if (!takes_keys && (job->given_count > 0 || job->fleet.count > 0))
        return b_err_set(err, B_E_REFUSED, 0,
                         "keys from outside are tried in a scan or a takeover only");
    if (!is_scan && job->tries_known_keys)
        return b_err_set(err, B_E_REFUSED, 0, "published keys are tried in a scan only");
    return profile_check(&job->profile, err);
}

static enum b_code allocate(struct vaultd_session *s, struct b_err *err)
{
    s->job = b_secret_alloc(sizeof(*s->job));
    s->hand = s->job != NULL ? b_secret_alloc(vaultd_hand_size()) : NULL;
    s->run = s->hand != NULL ? b_secret_alloc(profile_run_size()) : NULL;
    if (s->run == NULL)
        return b_err_set(err, B_E_VAULT_BUSY, 0, "no locked memory for another card session");
    return B_OK;
}

/* Writes the event of a session that the caller is in, and leaves it; one that has ended is wiped
 * at once, before its last answer is sent. */
static enum b_code tell(struct vaultd *d, struct vaultd_session *s, enum profile_want want,
                        struct b_rd apdu, struct wire_out *answer, struct b_err *err)
{
    if (want == PROFILE_FAILED) {
        const struct b_err *cause = profile_run_error(s->run);
        enum b_code r = B_E_INTERNAL;
        if (cause == NULL || cause->code == B_OK || cause->code == B_E_VAULT_PROTOCOL)
            r = b_err_set(err, r, 0, "a card session failed without a cause");
        else
            r = (*err = *cause).code;
        drop(d, s);
        return r;
    }
    uint8_t room[64];
    struct b_wr awaited = b_wr_from(room, sizeof(room));
    if (want == PROFILE_AWAIT) {
        vault_stored_encode(vaultd_hand_awaited(s->hand), &awaited);
        b_check(b_wr_ok(&awaited));
        apdu = b_wr_reader(&awaited);
    }
    size_t mark = wire_open_bytes(answer);
    uint32_t took = (uint32_t)(d->now_us() - d->started_us);
    vault_event_encode(want, s->run, apdu, took, answer->w);
    wire_close_bytes(answer, mark);
    if (want == PROFILE_DONE)
        drop(d, s);
    else
        leave(d, s);
    return B_OK;
}

/* Reads the job into the session that the caller is in, with the keys of others that it is given
 * wrapped. */
static enum b_code prepare(struct vaultd *d, struct vaultd_session *s, struct b_rd job,
                           struct b_rd given, struct b_err *err)
{
    enum b_code r = allocate(s, err);
    if (r == B_OK && (!profile_job_decode(&job, s->job) || !b_rd_end(&job)))
        r = b_err_set(err, B_E_VAULT_PROTOCOL, 0, "a job that cannot be read");
    if (r == B_OK)
        r = vaultd_given_open(d, given, s->job, err);
    return r == B_OK ? check_job(s->job, err) : r;
}

enum b_code vaultd_session_open(struct vaultd *d, struct b_rd job, struct b_rd given,
                                struct wire_out *answer, struct b_err *err)
{
    struct vaultd_session *s = enter(d, 0);
    if (s == NULL)
        return b_err_set(err, B_E_VAULT_BUSY, 0, "%d card sessions are open", VAULTD_SESSIONS_MAX);
    enum b_code r = prepare(d, s, job, given, err);
    if (r != B_OK) {
        b_secret_free(s->run); /* never started: nothing to drop */
        s->run = NULL;
        drop(d, s);
        return r;
    }
    name(d->shared, s);
    wire_put_u32(answer, s->id);
    uint8_t apdu[DF_CAPDU_MAX];
    struct b_wr out = b_wr_from(apdu, sizeof(apdu));
    struct profile_keys keys = {.badge_key = badge_key,
                                .new_key = new_key,
                                .stays = stays,
                                .prove = prove,
                                .check = check,
                                .ctx = s};
    enum profile_want want = profile_run_start(s->run, s->job, keys, d->random, &out);
    return tell(d, s, want, b_wr_reader(&out), answer, err);
}

enum b_code vaultd_session_step(struct vaultd *d, uint32_t id, struct b_rd rapdu,
                                struct wire_out *answer, struct b_err *err)
{
    struct vaultd_session *s = id != 0 ? enter(d, id) : NULL;
    if (s == NULL)
        return b_err_set(err, B_E_NOT_FOUND, 0, "card session %u has ended", id);
    uint8_t apdu[DF_CAPDU_MAX];
    struct b_wr out = b_wr_from(apdu, sizeof(apdu));
    if (vaultd_hand_awaited(s->hand) != NULL) {
        enum b_code r = vaultd_hand_take(s->hand, rapdu, err);
        if (r != B_OK) {
            drop(d, s);
            return r;
        }
    }
    enum profile_want want = profile_run_step(s->run, rapdu, &out);
    return tell(d, s, want, b_wr_reader(&out), answer, err);
}
