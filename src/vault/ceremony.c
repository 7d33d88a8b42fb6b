#include "vault/ceremony_state.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/shamir.h"
#include "crypto/sign.h"
#include "crypto/wrap.h"
#include "custody/words.h"
#include "vault/identity.h"
#include "vault/quorum.h"

enum b_code ceremony_broken(struct b_err *err)
{
    return b_err_set(err, B_E_VAULT_PROTOCOL, 0, "a message that does not fit its row");
}

/* --- keys derived from the backup key ----------------------------------------------------------
 */

void ceremony_check(const struct backup_key *k, uint8_t out[static VAULTD_CHECK])
{
    static const char name[] = "tessere-backup-check/v1";
    uint8_t tail[64];
    uint8_t digest[32];
    struct b_wr w = b_wr_from(tail, sizeof(tail));
    b_wr_bytes(&w, name, sizeof(name) - 1);
    b_wr_bytes(&w, k->id, sizeof(k->id));
    crypto_sha256_two(k->key, sizeof(k->key), tail, w.len, digest);
    memcpy(out, digest, VAULTD_CHECK);
}

void ceremony_kek(const struct vaultd *d, const struct backup_key *k,
                  const struct custody_backup *of, uint8_t out[static CUSTODY_KEK])
{
    static const char name[] = "tessere-backup/v1";
    const char *establishment = vaultd_config(d)->establishment;
    uint8_t tail[128];
    struct b_wr w = b_wr_from(tail, sizeof(tail));
    b_wr_bytes(&w, name, sizeof(name));
    b_wr_bytes(&w, establishment, strlen(establishment) + 1);
    b_wr_bytes(&w, k->id, sizeof(k->id));
    b_wr_u8(&w, (uint8_t)of->role);
    b_wr_u8(&w, of->generation);
    b_check(b_wr_ok(&w));
    crypto_sha256_two(k->key, sizeof(k->key), tail, w.len, out);
}

/* --- who may -----------------------------------------------------------------------------------
 */

enum b_code vaultd_ceremony_permit(struct vaultd *d, const char *argument,
                                   const struct vaultd_once *once, struct b_err *err)
{
    static const char *const alone[] = {"init", "share", "restore"};
    static const char *const named[] = {"rotate ", "import ", "export ", "give ", "destroy "};
    size_t n = strlen(argument);
    bool is_known = false;
    for (size_t i = 0; i < B_COUNT(alone); i++)
        is_known = is_known || strcmp(argument, alone[i]) == 0;
    for (size_t i = 0; i < B_COUNT(named); i++)
        is_known = is_known || strncmp(argument, named[i], strlen(named[i])) == 0;
    if (!is_known || n >= sizeof(d->shared->permit.text))
        return b_err_set(err, B_E_BAD_INPUT, 0, "ceremony: not \"%.40s\"", argument);
    (void)pthread_mutex_lock(&d->shared->ceremony_lock);
    memcpy(d->shared->permit.text, argument, n + 1);
    d->shared->permit.once = *once;
    (void)pthread_mutex_unlock(&d->shared->ceremony_lock);
    return B_OK;
}

/* Without a roster, whoever may ask the vault may; with one, what was approved, once: the token
 * remembers it before it begins. */
static enum b_code take_permit(struct vaultd *d, const char *verb, char permit[static 64],
                               struct b_err *err)
{
    bool has_roster = false;
    enum b_code r = vaultd_has_roster(d, &has_roster, err);
    permit[0] = '\0';
    if (r != B_OK || !has_roster)
        return r;
    struct vaultd_permit *p = &d->shared->permit;
    if (p->text[0] == '\0' || (verb != NULL && strcmp(p->text, verb) != 0))
        return b_err_set(err, B_E_QUORUM, 0,
                         "a ceremony%s%s is begun by a proposal that a quorum approves",
                         verb != NULL ? " " : "", verb != NULL ? verb : "");
    r = vaultd_act_once(d, &p->once, (int64_t)time(NULL), err);
    if (r == B_OK)
        memcpy(permit, p->text, sizeof(p->text));
    p->text[0] = '\0';
    return r;
}

/* A proposal's verb allows what it says; one that names a key, for that key alone. */
bool ceremony_permits(const struct vaultd_ceremony *c, const char *verbs,
                      const struct custody_backup *of)
{
    char exact[64];
    char verb[sizeof(c->permit) + 2];
    size_t n = strcspn(c->permit, " ");
    if (c->permit[0] == '\0')
        return true;
    (void)snprintf(verb, sizeof(verb), " %.*s ", (int)n, c->permit);
    (void)snprintf(exact, sizeof(exact), " %s %u", key_role_name(of->role), of->generation);
    return strstr(verbs, verb) != NULL &&
           (c->permit[n] == '\0' || strcmp(c->permit + n, exact) == 0);
}

enum b_code ceremony_not_permitted(struct b_err *err)
{
    return b_err_set(err, B_E_QUORUM, 0, "the proposal that was approved does not say this");
}

/* --- the state ---------------------------------------------------------------------------------
 */

void vaultd_ceremony_drop(struct vaultd *d)
{
    b_secret_free(d->shared->ceremony);
    d->shared->ceremony = NULL;
}

static enum b_code open_ceremony(struct vaultd *d, const char *verb, struct vaultd_ceremony **ret,
                                 struct b_err *err)
{
    char permit[64];
    enum b_code r = take_permit(d, verb, permit, err);
    if (r != B_OK)
        return r;
    vaultd_ceremony_drop(d);
    struct vaultd_ceremony *c = b_secret_alloc(sizeof(*c));
    if (c == NULL)
        return b_err_set(err, B_E_VAULT_BUSY, 0, "no locked memory for a ceremony");
    memcpy(c->permit, permit, sizeof(permit));
    *ret = d->shared->ceremony = c;
    return B_OK;
}

/* The ceremony under way; whole: and its backup key is there. */
enum b_code ceremony_current(struct vaultd *d, bool whole, struct vaultd_ceremony **ret,
                             struct b_err *err)
{
    struct vaultd_ceremony *c = *ret = d->shared->ceremony;
    if (c == NULL)
        return b_err_set(err, B_E_CEREMONY_NONE, 0, "the vault has no backup key");
    if (whole && !c->now.is_whole)
        return b_err_set(err, B_E_SHARE_FEW, 0, "%u of %u were given", c->given_count,
                         c->now.threshold);
    return B_OK;
}

static bool is_sharing(uint8_t threshold, uint8_t count)
{
    return threshold >= 2 && threshold <= count && count <= CRYPTO_SHARES_MAX;
}

/* A new backup key and a new name for the ceremony. */
static void make_key(struct backup_key *k, uint8_t threshold, uint8_t count)
{
    k->threshold = threshold;
    k->count = count;
    crypto_random(k->id, sizeof(k->id));
    crypto_random(k->key, sizeof(k->key));
    crypto_random(k->coefficients, sizeof(k->coefficients));
    k->has_coefficients = k->is_whole = true;
}

static void put_key(const struct backup_key *k, struct wire_out *out)
{
    uint8_t check[VAULTD_CHECK];
    ceremony_check(k, check);
    wire_put_bytes(out, k->id, sizeof(k->id));
    wire_put_bytes(out, check, sizeof(check));
}

CEREMONY_HANDLER(ceremony_begin)
{
    struct vaultd_ceremony *c = NULL;
    uint8_t threshold = wire_get_u8(in);
    uint8_t count = wire_get_u8(in);
    bool is_rehearsal = wire_get_bool(in);
    if (!wire_in_end(in) || !is_sharing(threshold, count))
        return ceremony_broken(err);
    enum b_code r = open_ceremony(d, "init", &c, err);
    if (r != B_OK)
        return r;
    c->is_rehearsal = is_rehearsal;
    make_key(&c->now, threshold, count);
    put_key(&c->now, out);
    return B_OK;
}

/* Which ceremony it is, is the token's word. One that knows none yet is a fresh one, or was filled
 * before it kept that: then it is the peer's word, and with a roster a quorum must have approved
 * that it be restored. */
CEREMONY_HANDLER(ceremony_resume)
{
    (void)out;
    struct vaultd_ceremony *c = NULL;
    struct backup_key named = {.is_whole = false};
    bool is_known = false;
    struct b_rd id = wire_get_bytes(in);
    named.threshold = wire_get_u8(in);
    bool is_rehearsal = wire_get_bool(in);
    struct b_rd check = wire_get_bytes(in);
    if (!wire_in_end(in) || id.left != CUSTODY_CEREMONY_ID || check.left != VAULTD_CHECK ||
        !is_sharing(named.threshold, CRYPTO_SHARES_MAX))
        return ceremony_broken(err);
    b_rd_bytes(&id, named.id, sizeof(named.id));
    enum b_code r = ceremony_known(d, &named, check.p, &is_known, err);
    if (r == B_OK)
        r = open_ceremony(d, is_known ? NULL : "restore", &c, err);
    if (r != B_OK)
        return r;
    c->is_rehearsal = is_rehearsal;
    c->now.threshold = named.threshold;
    memcpy(c->now.id, named.id, sizeof(named.id));
    b_rd_bytes(&check, c->check, sizeof(c->check));
    return B_OK;
}

CEREMONY_HANDLER(ceremony_renew)
{
    struct vaultd_ceremony *c = NULL;
    const struct custody_backup none = {.role = KEY_ROLE_SEAL};
    uint8_t threshold = wire_get_u8(in);
    uint8_t count = wire_get_u8(in);
    if (!wire_in_end(in) || !is_sharing(threshold, count))
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, true, &c, err);
    if (r == B_OK && !ceremony_permits(c, " share ", &none))
        r = ceremony_not_permitted(err);
    if (r != B_OK)
        return r;
    c->former = c->now;
    memset(c->gone_to, 0, sizeof(c->gone_to));
    make_key(&c->now, threshold, count);
    r = ceremony_succeed(d, &c->former, &c->now, err);
    if (r == B_OK)
        put_key(&c->now, out);
    return r;
}

CEREMONY_HANDLER(ceremony_close)
{
    (void)out;
    if (!wire_in_end(in))
        return ceremony_broken(err);
    vaultd_ceremony_drop(d);
    return B_OK;
}

/* --- shares ------------------------------------------------------------------------------------
 */

/* Share number x as words in c->text, with a line feed; returns their length. */
static enum b_code write_share(struct vaultd_ceremony *c, uint8_t x, size_t *ret_n,
                               struct b_err *err)
{
    const struct backup_key *k = &c->now;
    const struct crypto_shamir s = {.n = sizeof(k->key), .threshold = k->threshold};
    if (!k->has_coefficients || x == 0 || x > k->count)
        return b_err_set(err, B_E_BAD_INPUT, 0, "share %u: this ceremony makes %u", x,
                         k->has_coefficients ? (unsigned)k->count : 0u);
    c->share =
        (struct custody_share){.is_rehearsal = c->is_rehearsal, .threshold = k->threshold, .x = x};
    memcpy(c->share.ceremony, k->id, sizeof(k->id));
    crypto_shamir_share(&s, k->key, k->coefficients, x, c->share.value);
    custody_share_write(&c->share, c->text);
    b_wipe(&c->share, sizeof(c->share));
    *ret_n = strlen(c->text) + 1;
    c->text[*ret_n - 1] = '\n';
    return B_OK;
}

/* A share goes to one person: what was sealed for them nobody is told in words as well, and who has
 * two shares would be two of the quorum. */
static const uint8_t paper[CRYPTO_CMS_KEY] = {'w', 'o', 'r', 'd', 's'};

static enum b_code may_have(const struct vaultd_ceremony *c, uint8_t x,
                            const uint8_t to[static CRYPTO_CMS_KEY], struct b_err *err)
{
    static const uint8_t nobody[CRYPTO_CMS_KEY];
    const uint8_t *gone_to = c->gone_to[x - 1];
    for (unsigned i = 0; to != paper && i < c->now.count; i++)
        if (i + 1 != x && b_ct_eq(c->gone_to[i], to, CRYPTO_CMS_KEY))
            return b_err_set(err, B_E_CERT_BAD, 0, "share %u is sealed for this key already",
                             i + 1);
    return b_ct_eq(gone_to, nobody, sizeof(nobody)) || b_ct_eq(gone_to, to, CRYPTO_CMS_KEY)
               ? B_OK
               : b_err_set(err, B_E_REFUSED, 0, "share %u was given to somebody else", x);
}

CEREMONY_HANDLER(ceremony_seal)
{
    struct vaultd_ceremony *c = NULL;
    size_t n = 0;
    uint8_t key[CRYPTO_CMS_KEY];
    uint8_t x = wire_get_u8(in);
    struct b_rd certificate = wire_get_bytes(in);
    if (!wire_in_end(in))
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, true, &c, err);
    if (r == B_OK)
        r = write_share(c, x, &n, err);
    if (r == B_OK)
        r = crypto_cms_key(certificate, key, err);
    if (r == B_OK)
        r = may_have(c, x, key, err);
    if (r != B_OK) {
        if (c != NULL)
            b_wipe(c->text, sizeof(c->text));
        return r;
    }
    size_t mark = wire_open_bytes(out);
    r = crypto_cms_seal(certificate, b_rd_from(c->text, n), out->w, err);
    wire_close_bytes(out, mark);
    if (r == B_OK)
        memcpy(c->gone_to[x - 1], key, sizeof(key));
    b_wipe(c->text, sizeof(c->text));
    return r;
}

CEREMONY_HANDLER(ceremony_words)
{
    struct vaultd_ceremony *c = NULL;
    size_t n = 0;
    uint8_t x = wire_get_u8(in);
    if (!wire_in_end(in))
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, true, &c, err);
    if (r == B_OK)
        r = write_share(c, x, &n, err);
    if (r == B_OK)
        r = may_have(c, x, paper, err);
    if (r == B_OK) {
        wire_put_bytes(out, c->text, n - 1);
        memcpy(c->gone_to[x - 1], paper, sizeof(paper));
    }
    if (c != NULL)
        b_wipe(c->text, sizeof(c->text));
    return r;
}

static enum b_code judge_share(const struct vaultd_ceremony *c, struct b_err *err)
{
    const struct custody_share *s = &c->share;
    if (!b_ct_eq(s->ceremony, c->now.id, sizeof(s->ceremony)) || s->threshold != c->now.threshold ||
        s->is_rehearsal != c->is_rehearsal) {
        char hex[2 * CUSTODY_CEREMONY_ID + 1];
        b_hex(hex, s->ceremony, sizeof(s->ceremony));
        return b_err_set(err, B_E_SHARE_FOREIGN, 0, "it is of %s %s",
                         s->is_rehearsal ? "rehearsal" : "ceremony", hex);
    }
    for (uint8_t i = 0; i < c->given_count; i++)
        if (c->xs[i] == s->x)
            return b_err_set(err, B_E_SHARE_REPEATED, 0, "share %u", s->x);
    return B_OK;
}

/* With the last share: the key, or all shares are forgotten. */
static enum b_code combine(struct vaultd_ceremony *c, struct b_err *err)
{
    const struct crypto_shamir s = {.n = sizeof(c->now.key), .threshold = c->now.threshold};
    uint8_t check[VAULTD_CHECK];
    crypto_shamir_combine(&s, c->xs, c->given[0], c->now.key);
    ceremony_check(&c->now, check);
    b_wipe(c->given, sizeof(c->given));
    if (b_ct_eq(check, c->check, sizeof(check))) {
        c->now.is_whole = true;
        return B_OK;
    }
    b_wipe(c->now.key, sizeof(c->now.key));
    c->given_count = 0;
    return b_err_set(err, B_E_SHARE_WRONG, 0, "%u shares were given and are forgotten",
                     c->now.threshold);
}

CEREMONY_HANDLER(ceremony_give)
{
    struct vaultd_ceremony *c = NULL;
    struct b_rd words = wire_get_bytes(in);
    if (!wire_in_end(in))
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, false, &c, err);
    if (r == B_OK && c->now.is_whole)
        r = b_err_set(err, B_E_SHARE_REPEATED, 0, "there are enough");
    if (r == B_OK)
        r = custody_share_read(words, &c->share, err);
    if (r == B_OK)
        r = judge_share(c, err);
    if (r == B_OK) {
        c->xs[c->given_count] = c->share.x;
        memcpy(c->given[c->given_count++], c->share.value, CUSTODY_SHARE_VALUE);
        if (c->given_count == c->now.threshold)
            r = combine(c, err);
    }
    if (r == B_OK)
        wire_put_u8(out, c->given_count);
    if (c != NULL)
        b_wipe(&c->share, sizeof(c->share));
    return r;
}

/* --- masters -----------------------------------------------------------------------------------
 */

bool ceremony_master(struct wire_in *in, struct custody_backup *ret)
{
    uint8_t role = wire_get_u8(in);
    ret->generation = wire_get_u8(in);
    ret->role = (enum key_role)(role < KEY_ROLE_ALL ? role : 0);
    return role < KEY_ROLE_ALL && ret->generation > 0;
}

/* Who knows a key in two places knows it in both, and rotating one leaves the other. */
enum b_code ceremony_alone(struct vaultd *d, const struct custody_backup *of,
                           const uint8_t kcv[static 3], struct b_err *err)
{
    static _Thread_local struct custody_key keys[CUSTODY_KEYS_MAX];
    size_t n = 0;
    enum b_code r = d->keyring.list(d->keyring.ctx, vaultd_config(d), keys, B_COUNT(keys), &n, err);
    for (size_t i = 0; r == B_OK && i < n; i++) {
        const struct custody_key *k = &keys[i];
        bool is_itself = k->role == of->role && k->generation == of->generation;
        if (!is_itself && b_ct_eq(k->kcv.value, kcv, sizeof(k->kcv.value)))
            r = b_err_set(err, B_E_KEY_REPEATED, 0,
                          "master key %s of generation %u has its check value",
                          key_role_name(k->role), k->generation);
    }
    return r;
}

CEREMONY_HANDLER(ceremony_make)
{
    struct vaultd_ceremony *c = NULL;
    struct custody_backup b = {.generation = 0};
    struct custody_made made;
    bool is_sound = ceremony_master(in, &b);
    if (!wire_in_end(in) || !is_sound)
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, true, &c, err);
    if (r == B_OK && !ceremony_permits(c, " init rotate ", &b))
        r = ceremony_not_permitted(err);
    if (r != B_OK)
        return r;
    ceremony_kek(d, &c->now, &b, c->kek);
    b.kek = c->kek;
    r = d->keyring.make(d->keyring.ctx, vaultd_config(d), &b, &made, err);
    b_wipe(c->kek, sizeof(c->kek));
    if (r != B_OK)
        return r;
    wire_put_bytes(out, made.wrapped, sizeof(made.wrapped));
    wire_put_string(out, made.kcv.method);
    wire_put_bytes(out, made.kcv.value, sizeof(made.kcv.value));
    wire_put_u8(out, made.is_inside ? 1 : 0);
    return B_OK;
}

CEREMONY_HANDLER(ceremony_bring)
{
    struct vaultd_ceremony *c = NULL;
    struct custody_backup b = {.generation = 0};
    struct custody_key key;
    bool is_sound = ceremony_master(in, &b);
    struct b_rd wrapped = wire_get_bytes(in);
    struct b_rd kcv = wire_get_bytes(in);
    struct vaultd_bring bring = {.wrapped = wrapped.p, .kcv = kcv.p, .keeps = wire_get_bool(in)};
    if (!wire_in_end(in) || !is_sound || wrapped.left != CUSTODY_WRAPPED || kcv.left != 3)
        return ceremony_broken(err);
    enum b_code r = ceremony_current(d, true, &c, err);
    /* Other custodians get a backup of what the token has: nothing comes into it by that. */
    const char *verbs =
        bring.keeps ? " init restore rotate import " : " init share restore rotate import ";
    if (r == B_OK && !ceremony_permits(c, verbs, &b))
        r = ceremony_not_permitted(err);
    if (r != B_OK)
        return r;
    ceremony_kek(d, &c->now, &b, c->kek);
    b.kek = c->kek;
    r = d->keyring.bring(d->keyring.ctx, vaultd_config(d), &b, &bring, &key, err);
    b_wipe(c->kek, sizeof(c->kek));
    if (r != B_OK)
        return r;
    size_t mark = wire_open_bytes(out);
    vaultd_put_key(&key, out->w);
    wire_close_bytes(out, mark);
    return B_OK;
}

CEREMONY_HANDLER(ceremony_rewrap)
{
    struct vaultd_ceremony *c = NULL;
    struct custody_backup b = {.generation = 0};
    uint8_t bytes[CUSTODY_WRAPPED];
    bool is_sound = ceremony_master(in, &b);
    struct b_rd wrapped = wire_get_bytes(in);
    if (!wire_in_end(in) || !is_sound || wrapped.left != sizeof(bytes))
        return ceremony_broken(err);
    b_rd_bytes(&wrapped, bytes, sizeof(bytes));
    enum b_code r = ceremony_current(d, true, &c, err);
    if (r == B_OK && c->former.threshold == 0)
        r = b_err_set(err, B_E_CEREMONY_NONE, 0, "no backup key takes another's place");
    if (r != B_OK)
        return r;
    ceremony_kek(d, &c->former, &b, c->kek);
    ceremony_kek(d, &c->now, &b, c->kek + CUSTODY_KEK);
    b.kek = c->kek;
    r = d->keyring.rewrap(d->keyring.ctx, vaultd_config(d), &b, c->kek + CUSTODY_KEK, bytes, err);
    b_wipe(c->kek, sizeof(c->kek));
    if (r == B_OK)
        wire_put_bytes(out, bytes, sizeof(bytes));
    return r;
}

/* --- minutes -----------------------------------------------------------------------------------
 */

/* One line of JSON that says at its beginning what it is: no checkpoint and no receipt, which the
 * same key signs, is without a line feed. */
static bool begins(struct b_rd minutes, const char *head)
{
    size_t n = strlen(head);
    return minutes.left > n && b_ct_eq(minutes.p, head, n) &&
           memchr(minutes.p, '\n', minutes.left) == NULL;
}

CEREMONY_HANDLER(minutes_sign)
{
    static const char real[] = "{\"format\":\"tessere-minutes/v1\",\"rehearsal\":false,";
    static const char rehearsal[] = "{\"format\":\"tessere-minutes/v1\",\"rehearsal\":true,";
    const struct vaultd_identity *id = NULL;
    struct vaultd_ceremony *c = NULL;
    uint8_t signature[CRYPTO_SIGNATURE];
    struct b_rd minutes = wire_get_bytes(in);
    if (!wire_in_end(in))
        return ceremony_broken(err);
    bool is_real = begins(minutes, real);
    if (!is_real && !begins(minutes, rehearsal))
        return b_err_set(err, B_E_BAD_INPUT, 0, "these are no minutes");
    enum b_code r = is_real ? ceremony_current(d, true, &c, err) : B_OK;
    if (r == B_OK && is_real && (c->has_minutes || c->is_rehearsal))
        r = b_err_set(err, B_E_REFUSED, 0, "a ceremony has its minutes signed once");
    if (r == B_OK)
        r = vaultd_identity(d, &id, err);
    if (r == B_OK && is_real)
        r = ceremony_enforce(d, &c->now, err);
    if (r != B_OK)
        return r;
    if (c != NULL)
        c->has_minutes = true;
    crypto_ed25519_sign(id->journal, minutes.p, minutes.left, signature);
    wire_put_bytes(out, signature, sizeof(signature));
    return B_OK;
}
