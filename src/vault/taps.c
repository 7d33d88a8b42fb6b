/*
 * Taps: the vault's part of an authentication that a station began. Between its two messages a tap
 * is a hundred bytes of secret memory. What stalls is dropped when its place is needed, or when it
 * is asked for too late.
 */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/hpke.h"
#include "vault/identity.h"
#include "vault/pin.h"
#include "vault/stored.h"

enum {
    PLACE_BITS = 12,
    PROVE_WITHIN_US = 10 * 1000 * 1000,
    PIN_WITHIN_US = 70 * 1000 * 1000,
};
static_assert(VAULTD_TAPS_MAX == 1 << PLACE_BITS, "a tap's number holds its place");

enum tap_phase { TAP_FREE, TAP_BUSY, TAP_ASKED, TAP_PROVEN };

struct tap {
    enum tap_phase phase;
    uint32_t count; /* how often the place was used */
    uint64_t since_us;
    struct df_prove prove;
    uint8_t key[16];                     /* of a key that does not stay in the token */
    uint8_t input[CRYPTO_DIV_INPUT_MAX]; /* to derive the key again inside the token */
    uint8_t input_len;
    uint8_t generation;
    bool is_proven; /* waits for its PIN */
    uint8_t wrong_pins;
    char name[VAULT_TAP_NAME];            /* what its PIN is sealed for */
    char card[2 * CRYPTO_SERIAL_MAX + 1]; /* UID or serial, as the key was derived */
};

struct vaultd_taps {
    uint32_t next; /* where the search for a place begins */
    uint32_t room; /* places; fewer where little memory can be locked */
    struct tap taps[];
};

/* --- places ----------------------------------------------------------------------------------- */

static struct vaultd_taps *make_room(void)
{
    for (uint32_t room = VAULTD_TAPS_MAX; room >= 16; room /= 2) {
        struct vaultd_taps *t = b_secret_alloc(sizeof(*t) + room * sizeof(t->taps[0]));
        if (t != NULL) {
            t->room = room;
            return t;
        }
    }
    return NULL;
}

static bool is_late(const struct vaultd *d, const struct tap *t)
{
    return d->now_us() - t->since_us > (t->is_proven ? PIN_WITHIN_US : PROVE_WITHIN_US);
}

/* A place that is free, or whose tap stalled; busy for the caller. */
static struct tap *take_place(struct vaultd *d, uint32_t *ret_id)
{
    struct vaultd_shared *sh = d->shared;
    struct tap *found = NULL;
    (void)pthread_mutex_lock(&sh->lock);
    if (sh->taps == NULL)
        sh->taps = make_room();
    struct vaultd_taps *all = sh->taps;
    for (uint32_t i = 0; all != NULL && i < all->room && found == NULL; i++) {
        uint32_t at = (all->next + i) % all->room;
        struct tap *t = &all->taps[at];
        if (t->phase != TAP_FREE && (t->phase == TAP_BUSY || !is_late(d, t)))
            continue;
        found = t;
        t->phase = TAP_BUSY;
        t->count = (t->count + 1) & (UINT32_MAX >> PLACE_BITS);
        t->count = t->count == 0 ? 1 : t->count;
        *ret_id = t->count << PLACE_BITS | at;
        all->next = at + 1;
    }
    (void)pthread_mutex_unlock(&sh->lock);
    return found;
}

/* The tap of this number when it waits for its next message; busy for the caller. */
static struct tap *enter(struct vaultd *d, uint32_t id, enum tap_phase phase)
{
    struct vaultd_shared *sh = d->shared;
    uint32_t at = id & (VAULTD_TAPS_MAX - 1);
    struct tap *t = NULL;
    (void)pthread_mutex_lock(&sh->lock);
    if (sh->taps != NULL && at < sh->taps->room)
        t = &sh->taps->taps[at];
    if (t != NULL && (t->phase != phase || t->count != id >> PLACE_BITS))
        t = NULL;
    if (t != NULL)
        t->phase = TAP_BUSY;
    (void)pthread_mutex_unlock(&sh->lock);
    return t;
}

static void leave(struct vaultd *d, struct tap *t, enum tap_phase phase)
{
    if (phase == TAP_FREE) {
        b_wipe(t->key, sizeof(t->key));
        b_wipe(&t->prove, sizeof(t->prove));
    }
    (void)pthread_mutex_lock(&d->shared->lock);
    t->phase = phase;
    (void)pthread_mutex_unlock(&d->shared->lock);
}

void vaultd_taps_drop(struct vaultd *d)
{
    b_secret_free(d->shared->taps);
    d->shared->taps = NULL;
}

/* --- the two messages ------------------------------------------------------------------------- */

static bool cbc(void *ctx, bool is_encrypt, uint8_t *iv, const uint8_t *in, uint8_t *out, size_t n)
{
    const struct tap *t = ctx;
    struct crypto_key key; /* the stack is overwritten after each message */
    crypto_key_init(&key, CRYPTO_AES128, t->key);
    if (is_encrypt)
        crypto_cbc_encrypt(&key, iv, in, out, n);
    else
        crypto_cbc_decrypt(&key, iv, in, out, n);
    crypto_key_drop(&key);
    return true;
}

static bool stays_in_token(const struct vaultd *d, const struct tap *t)
{
    return key_stays(&vaultd_config(d)->in_token, KEY_ROLE_AUTH, t->generation);
}

static struct vaultd_cached cached_of(const struct tap *t)
{
    return (struct vaultd_cached){.generation = t->generation,
                                  .input = b_rd_from(t->input, t->input_len)};
}

/* The key that the peer keeps, from what it handed over. Where it has none for a generation that is
 * only guessed, a key that nobody has: the card refuses it, as it would a derived one that is not
 * its, and is then asked what it has. */
static enum b_code open_stored(struct vaultd *d, struct tap *t, const struct vaultd_tap_facts *f,
                               struct b_err *err)
{
    struct vault_stored k = {.role = KEY_ROLE_AUTH, .generation = t->generation};
    k.badge_len = (uint8_t)vault_stored_badge(f->diversification, &f->facts, k.badge);
    if (f->stored.left == 0 && f->is_guess) {
        d->random.fill(d->random.ctx, t->key, sizeof(t->key));
        return B_OK;
    }
    if (f->stored.left != sizeof(k.wrapped))
        return b_err_set(err, B_E_STORED_KEY_MISSING, 0, "key auth of generation %u",
                         t->generation);
    memcpy(k.wrapped, f->stored.p, sizeof(k.wrapped));
    return vaultd_stored_open(d, &k, t->key, err);
}

static enum b_code derive(struct vaultd *d, struct tap *t, const struct vaultd_tap_facts *f,
                          struct b_err *err)
{
    const struct vaultd_cached cached = cached_of(t);
    if (vaultd_cache_get(d->shared->cache, &cached, t->key))
        return B_OK;
    static const uint8_t zeros[sizeof(t->key)];
    struct custody_key which = {.role = KEY_ROLE_AUTH, .generation = t->generation};
    enum b_code r = key_stays(&vaultd_config(d)->stored, KEY_ROLE_AUTH, t->generation)
                        ? open_stored(d, t, f, err)
                        : d->keyring.derive(d->keyring.ctx, vaultd_config(d), &which,
                                            b_rd_from(t->input, t->input_len), t->key, err);
    if (r == B_OK && b_ct_eq(t->key, zeros, sizeof(zeros)))
        r = b_err_set(err, B_E_KEY_TOO_WEAK, 0, "deriving key auth of generation %u",
                      t->generation);
    return r;
}

/* The key as the token knows it: derived anew for each message, so that nothing of a tap stays in
 * the token between them. */
static struct vaultd_inside inside_of(struct tap *t, enum df_auth how)
{
    return (struct vaultd_inside){.which = {.role = KEY_ROLE_AUTH,
                                            .generation = t->generation,
                                            .input = b_rd_from(t->input, t->input_len)},
                                  .how = how,
                                  .prove = &t->prove};
}

/* The second frame, by the badge key here or in the token. */
static enum b_code make_frame(struct vaultd *d, struct tap *t, const struct vaultd_tap_facts *f,
                              uint8_t frame[static DF_PROVE_TOKEN], struct b_err *err)
{
    if (stays_in_token(d, t)) {
        const struct vaultd_inside inside = inside_of(t, f->how);
        return d->keyring.prove(d->keyring.ctx, vaultd_config(d), &inside, f->challenge.p, frame,
                                err);
    }
    const struct df_prove_cipher cipher = {cbc, t};
    uint8_t a[DF_PROVE_BLOCK];
    enum b_code r = derive(d, t, f, err);
    if (r != B_OK)
        return r;
    d->random.fill(d->random.ctx, a, sizeof(a));
    bool is_made = df_prove_token(&t->prove, f->how, &cipher, f->challenge.p, a, frame);
    return is_made ? B_OK : b_err_set(err, B_E_TOKEN_FAILED, 0, "answering the card");
}

/* A name that no tap had before: the peer chooses how it begins, so that it finds its own again. */
static void name_tap(struct vaultd *d, struct tap *t, const char *place)
{
    uint8_t random[14];
    static_assert(VAULT_TAP_PLACE + 2 * sizeof(random) == VAULT_TAP_NAME, "place and random part");
    d->random.fill(d->random.ctx, random, sizeof(random));
    (void)snprintf(t->name, sizeof(t->name), "%s", place);
    b_hex(t->name + strlen(t->name), random, sizeof(random));
}

/* Whose key, as the place is told it. */
static enum b_code take_facts(struct tap *t, const struct vaultd_tap_facts *facts,
                              struct b_err *err)
{
    struct b_wr input = b_wr_from(t->input, sizeof(t->input));
    t->generation = facts->generation;
    enum b_code r = crypto_div_input(facts->diversification, &facts->facts, &input, err);
    t->input_len = (uint8_t)input.len;
    return r;
}

enum b_code vaultd_tap_check(struct vaultd *d, const struct vaultd_tap_facts *facts,
                             struct wire_out *answer, struct b_err *err)
{
    uint32_t id = 0;
    struct tap *t = take_place(d, &id);
    if (t == NULL)
        return b_err_set(err, B_E_VAULT_BUSY, 0, "too many taps are under way");
    uint8_t kcv[CRYPTO_KCV];
    enum b_code r = take_facts(t, facts, err);
    if (r == B_OK && stays_in_token(d, t))
        r = b_err_set(err, B_E_REFUSED, 0, "a key that stays in the token has no check value here");
    if (r == B_OK)
        r = derive(d, t, facts, err);
    if (r == B_OK) {
        struct crypto_key key; /* the stack is overwritten after each message */
        crypto_key_init(&key, CRYPTO_AES128, t->key);
        crypto_kcv(&key, kcv);
        crypto_key_drop(&key);
        wire_put_bytes(answer, kcv, sizeof(kcv));
    }
    leave(d, t, TAP_FREE);
    return r;
}

enum b_code vaultd_tap_open(struct vaultd *d, const struct vaultd_tap_facts *facts,
                            struct wire_out *answer, struct b_err *err)
{
    uint32_t id = 0;
    struct tap *t = take_place(d, &id);
    if (t == NULL)
        return b_err_set(err, B_E_VAULT_BUSY, 0, "too many taps are under way");
    uint8_t frame[DF_PROVE_TOKEN];
    t->since_us = d->now_us();
    t->is_proven = false;
    t->wrong_pins = 0;
    name_tap(d, t, facts->place);
    if (facts->facts.serial_len > 0)
        b_hex(t->card, facts->facts.serial, facts->facts.serial_len);
    else
        b_hex(t->card, facts->facts.uid, facts->facts.uid_len);
    enum b_code r = take_facts(t, facts, err);
    if (r == B_OK)
        r = make_frame(d, t, facts, frame, err);
    if (r == B_OK) {
        wire_put_u32(answer, id);
        wire_put_string(answer, t->name);
        wire_put_bytes(answer, frame, sizeof(frame));
    }
    leave(d, t, r == B_OK ? TAP_ASKED : TAP_FREE);
    return r;
}

static enum b_code check_proof(struct vaultd *d, struct tap *t, struct b_rd proof,
                               struct b_err *err)
{
    const struct df_prove_cipher cipher = {cbc, t};
    if (is_late(d, t))
        return b_err_set(err, B_E_NOT_FOUND, 0, "this tap took too long");
    if (proof.left != df_prove_answer_size(t->prove.how))
        return b_err_set(err, B_E_CARD_PROTOCOL, 0, "%zu bytes instead of the card's proof",
                         proof.left);
    if (stays_in_token(d, t)) {
        const struct vaultd_inside inside = inside_of(t, t->prove.how);
        return d->keyring.check(d->keyring.ctx, vaultd_config(d), &inside, proof, err);
    }
    if (!df_prove_check(&t->prove, &cipher, proof.p))
        return b_err_set(err, B_E_CARD_AUTH, 0, "the card's proof is wrong");
    return B_OK;
}

/* The assertion that is asked for, as the answer's field; an empty one when none is. */
static enum b_code answer_proven(struct vaultd *d, const struct tap *t, bool has_pin,
                                 const struct vault_claims *claims, struct wire_out *answer,
                                 struct b_err *err)
{
    const struct vaultd_proven proven = {
        .card = t->card, .generation = t->generation, .has_pin = has_pin};
    static _Thread_local uint8_t room[VAULT_ASSERTION_MAX];
    struct b_wr jwt = b_wr_from(room, sizeof(room));
    enum b_code r = claims != NULL ? vaultd_assert(d, claims, &proven, &jwt, err) : B_OK;
    if (r == B_OK)
        wire_put_bytes(answer, jwt.p, jwt.len);
    return r;
}

enum b_code vaultd_tap_prove(struct vaultd *d, uint32_t id, const struct vaultd_proof *proof,
                             struct wire_out *answer, struct b_err *err)
{
    struct tap *t = enter(d, id, TAP_ASKED);
    if (t == NULL)
        return b_err_set(err, B_E_NOT_FOUND, 0, "this tap has ended");
    enum b_code r = check_proof(d, t, proof->bytes, err);
    if (r == B_OK && !stays_in_token(d, t)) {
        const struct vaultd_cached cached = cached_of(t);
        vaultd_cache_put(d->shared->cache, &cached, t->key);
    }
    b_wipe(t->key, sizeof(t->key)); /* nothing more is asked of the card */
    if (r == B_OK)
        r = answer_proven(d, t, false, proof->claims, answer, err);
    t->is_proven = r == B_OK;
    leave(d, t, r == B_OK && proof->keeps ? TAP_PROVEN : TAP_FREE);
    return r;
}

/* --- PINs --------------------------------------------------------------------------------------
 */

/* What a box was sealed for. One that sets a PIN is none for a tap, so that what was sealed for a
 * holder cannot be tried against records. */
struct sealed {
    const char *info, *aad;
};

/* The PIN of a box, in secret memory of its own. */
static enum b_code open_box(const struct vaultd_identity *id, struct b_rd box, struct sealed how,
                            uint8_t **ret, struct b_err *err)
{
    const struct crypto_hpke context = {.info = b_rd_from(how.info, strlen(how.info)),
                                        .aad = b_rd_from(how.aad, strlen(how.aad))};
    *ret = b_secret_alloc(VAULTD_PIN_TEXT);
    if (*ret == NULL)
        return b_err_set(err, B_E_VAULT_BUSY, 0, "no locked memory for a PIN");
    if (box.left == CRYPTO_HPKE_OVERHEAD + VAULTD_PIN_TEXT &&
        crypto_hpke_open(id->pin, &context, box, *ret))
        return B_OK;
    b_secret_free(*ret);
    *ret = NULL;
    return b_err_set(err, B_E_BAD_INPUT, 0,
                     "a PIN that was not sealed for this vault and this use");
}

enum b_code vaultd_pin_set(struct vaultd *d, const struct vaultd_pin *pin, struct wire_out *answer,
                           struct b_err *err)
{
    const struct vaultd_identity *id = NULL;
    uint8_t *text = NULL;
    uint8_t salt[16];
    uint8_t record[VAULTD_PIN_RECORD];
    enum b_code r = vaultd_identity(d, &id, err);
    if (r == B_OK)
        r = open_box(id, pin->box, (struct sealed){"tessere-pin-set/v1", pin->ref}, &text, err);
    d->random.fill(d->random.ctx, salt, sizeof(salt));
    if (r == B_OK)
        r = vaultd_pin_fits(text, pin->min, pin->max, err);
    if (r == B_OK) {
        const struct vaultd_pin_of of = {.ref = pin->ref, .pepper = id->pepper};
        r = vaultd_pin_hash(text, &of, salt, record, err);
    }
    b_secret_free(text);
    if (r == B_OK)
        wire_put_bytes(answer, record, sizeof(record));
    return r;
}

/* Compares, as long as this vault hears wrong ones. The place of a wrong one is taken first, so
 * that workers do not hear more of them together. */
static enum b_code check_pin(struct vaultd *d, const uint8_t *text, const struct vaultd_pin_of *of,
                             struct b_rd record, struct b_err *err)
{
    struct vaultd_shared *sh = d->shared;
    (void)pthread_mutex_lock(&sh->lock);
    bool is_heard = vaultd_wrong_pin(&sh->wrong_pins_us, d->now_us());
    (void)pthread_mutex_unlock(&sh->lock);
    if (!is_heard)
        return b_err_set(err, B_E_PIN_THROTTLED, 0, "too many were wrong at this vault");
    enum b_code r = vaultd_pin_check(text, of, record, err);
    if (r == B_E_PIN_WRONG)
        return r;
    (void)pthread_mutex_lock(&sh->lock);
    vaultd_right_pin(&sh->wrong_pins_us);
    (void)pthread_mutex_unlock(&sh->lock);
    return r;
}

static bool may_try_again(struct tap *t, enum b_code r)
{
    if (r == B_E_PIN_WRONG)
        return ++t->wrong_pins < VAULTD_WRONG_PINS_OF_TAP;
    return r == B_E_PIN_FORMAT || r == B_E_PIN_THROTTLED;
}

enum b_code vaultd_tap_pin(struct vaultd *d, uint32_t id, const struct vaultd_pin *pin,
                           const struct vault_claims *claims, struct wire_out *answer,
                           struct b_err *err)
{
    const struct vaultd_identity *own = NULL;
    uint8_t *text = NULL;
    struct tap *t = enter(d, id, TAP_PROVEN);
    if (t == NULL)
        return b_err_set(err, B_E_NOT_FOUND, 0, "this tap has ended");
    enum b_code r = is_late(d, t) ? b_err_set(err, B_E_NOT_FOUND, 0, "this tap took too long")
                                  : vaultd_identity(d, &own, err);
    if (r == B_OK)
        r = open_box(own, pin->box, (struct sealed){"tessere-pin/v1", t->name}, &text, err);
    if (r == B_OK) {
        const struct vaultd_pin_of of = {.ref = claims->subject, .pepper = own->pepper};
        r = check_pin(d, text, &of, pin->record, err);
    }
    b_secret_free(text);
    if (r == B_OK)
        r = answer_proven(d, t, true, claims, answer, err);
    leave(d, t, may_try_again(t, r) ? TAP_PROVEN : TAP_FREE);
    return r;
}

void vaultd_tap_close(struct vaultd *d, uint32_t id)
{
    struct tap *t = enter(d, id, TAP_ASKED);
    if (t == NULL)
        t = enter(d, id, TAP_PROVEN);
    if (t != NULL)
        leave(d, t, TAP_FREE);
}
