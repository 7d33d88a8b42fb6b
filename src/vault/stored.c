#include "vault/stored.h"

#include <string.h>

#include "crypto/crypto.h"
#include "crypto/wrap.h"

enum { KEY = 16, DRAWS_MAX = 8 };
static_assert(VAULT_STORED_KEY == KEY + 8, "RFC 3394 adds 8 bytes");

/* --- wrapping ----------------------------------------------------------------------------------
 */

/* The name of a wrapping key, of the length at which every token derives by one CMAC: a label, and
 * 216 bits of a digest over what the key is for. */
static void name_kek(const struct vault_stored *k, uint8_t input[static CRYPTO_DIV_INPUT_MAX])
{
    static const char label[] = "tessere/stored/v1";
    uint8_t digest[32];
    uint8_t what[3 + VAULT_STORED_BADGE];
    struct b_wr w = b_wr_from(what, sizeof(what));
    b_wr_u8(&w, (uint8_t)k->role);
    b_wr_u8(&w, k->generation);
    b_wr_u8(&w, k->badge_len);
    b_wr_bytes(&w, k->badge, k->badge_len);
    b_check(b_wr_ok(&w));
    crypto_sha256_two(label, sizeof(label), what, w.len, digest);
    memcpy(input, "stor", 4);
    memcpy(input + 4, digest, CRYPTO_DIV_INPUT_MAX - 4);
}

/* kek: CRYPTO_KEK bytes of secret memory. The token gives half of them; both are made of it. */
static enum b_code derive_kek(struct vaultd *d, const struct vault_stored *k, uint8_t *kek,
                              struct b_err *err)
{
    static const char label[] = "tessere/stored/kek";
    uint8_t input[CRYPTO_DIV_INPUT_MAX];
    const struct custody_key which = {.role = k->role, .generation = k->generation};
    name_kek(k, input);
    enum b_code r = d->keyring.derive(d->keyring.ctx, vaultd_config(d), &which,
                                      b_rd_from(input, sizeof(input)), kek, err);
    if (r == B_OK)
        crypto_sha256_two(kek, KEY, label, sizeof(label), kek);
    return r;
}

static enum b_code no_memory(struct b_err *err)
{
    return b_err_set(err, B_E_VAULT_BUSY, 0, "no locked memory for a stored key");
}

static enum b_code say(const struct vault_stored *k, enum b_code code, struct b_err *err)
{
    return b_err_set(err, code, 0, "key %s of generation %u", key_role_name(k->role),
                     k->generation);
}

enum b_code vaultd_stored_open(struct vaultd *d, const struct vault_stored *which, uint8_t *out,
                               struct b_err *err)
{
    uint8_t *kek = b_secret_alloc(CRYPTO_KEK);
    enum b_code r = kek != NULL ? derive_kek(d, which, kek, err) : no_memory(err);
    if (r == B_OK && !crypto_key_unwrap(kek, which->wrapped, sizeof(which->wrapped), out))
        r = say(which, B_E_STORED_KEY_BROKEN, err);
    b_secret_free(kek);
    return r;
}

/* What a factory, an example or a default would be. */
static bool is_weak(const uint8_t *key)
{
    static const uint8_t zeros[KEY];
    if (b_ct_eq(key, zeros, KEY))
        return true;
    for (size_t i = 0; i < profile_known_key_count(); i++)
        if (b_ct_eq(key, profile_known_key(i), KEY))
            return true;
    return false;
}

static enum b_code draw(struct vaultd *d, uint8_t *key, struct b_err *err)
{
    for (int i = 0; i < DRAWS_MAX; i++) {
        d->random.fill(d->random.ctx, key, KEY);
        if (!is_weak(key))
            return B_OK;
    }
    return b_err_set(err, B_E_CRYPTO_BROKEN, 0, "drawing a badge key: the source is not random");
}

enum b_code vaultd_stored_draw(struct vaultd *d, struct vault_stored *which, struct b_err *err)
{
    uint8_t *kek = b_secret_alloc(CRYPTO_KEK + KEY);
    uint8_t *key = kek != NULL ? kek + CRYPTO_KEK : NULL;
    enum b_code r = kek != NULL ? derive_kek(d, which, kek, err) : no_memory(err);
    if (r == B_OK)
        r = draw(d, key, err);
    if (r == B_OK)
        crypto_key_wrap(kek, key, KEY, which->wrapped);
    b_secret_free(kek);
    return r;
}

/* --- what a session was handed -----------------------------------------------------------------
 */

/* A card has five keys of a badge, of two generations at most; one that says more is asked for
 * again. */
enum { HELD_MAX = 16 };

enum held_as { HELD_ASKED, HELD_ABSENT, HELD_DRAWN, HELD_KEPT };

struct held {
    struct vault_stored key;
    enum held_as as;
};
struct vaultd_hand {
    uint8_t count, next;
    struct held *awaited;
    struct held held[HELD_MAX];
};

size_t vaultd_hand_size(void)
{
    return sizeof(struct vaultd_hand);
}

static struct held *find(struct vaultd_hand *h, const struct vault_stored *k)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct vault_stored *has = &h->held[i].key;
        if (has->role == k->role && has->generation == k->generation &&
            has->badge_len == k->badge_len && b_ct_eq(has->badge, k->badge, k->badge_len))
            return &h->held[i];
    }
    return NULL;
}

static struct held *add(struct vaultd_hand *h, const struct vault_stored *k)
{
    struct held *e = &h->held[h->next];
    h->next = (uint8_t)((h->next + 1) % HELD_MAX);
    h->count = (uint8_t)(h->count < HELD_MAX ? h->count + 1 : HELD_MAX);
    *e = (struct held){.key = *k, .as = HELD_ASKED};
    return e;
}

static enum b_code await(struct vaultd_hand *h, struct held *e, struct b_err *err)
{
    h->awaited = e;
    return say(&e->key, B_E_KEY_AWAITED, err);
}

enum b_code vaultd_hand_key(struct vaultd *d, struct vaultd_hand *h,
                            const struct vault_stored *which, bool may_draw, uint8_t *out,
                            struct b_err *err)
{
    struct held *e = find(h, which);
    if (e == NULL)
        return await(h, add(h, which), err);
    if (e->as == HELD_KEPT)
        return vaultd_stored_open(d, &e->key, out, err);
    if (e->as == HELD_ABSENT && !may_draw)
        return say(which, B_E_STORED_KEY_MISSING, err);
    if (e->as == HELD_ABSENT) {
        enum b_code r = vaultd_stored_draw(d, &e->key, err);
        if (r != B_OK)
            return r;
        e->as = HELD_DRAWN;
        e->key.is_new = true;
    }
    return await(h, e, err);
}

const struct vault_stored *vaultd_hand_awaited(const struct vaultd_hand *h)
{
    return h != NULL && h->awaited != NULL ? &h->awaited->key : NULL;
}

enum b_code vaultd_hand_take(struct vaultd_hand *h, struct b_rd wrapped, struct b_err *err)
{
    struct held *e = h->awaited;
    bool is_given = wrapped.left == sizeof(e->key.wrapped);
    h->awaited = NULL;
    if (wrapped.left != 0 && (!is_given || e->as == HELD_DRAWN))
        return say(&e->key, B_E_STORED_KEY_BROKEN, err);
    if (is_given)
        b_rd_bytes(&wrapped, e->key.wrapped, sizeof(e->key.wrapped));
    e->as = is_given || e->as == HELD_DRAWN ? HELD_KEPT : HELD_ABSENT;
    return B_OK;
}
