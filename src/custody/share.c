/*
 * What all sessions of a process share: the module is initialised once, the login is the
 * application's (PKCS#11 v2.40 §2.6.4), and so are the token's tries.
 *
 * A thread works with the gate held for reading. Whoever must have the module look for its tokens
 * anew holds it for writing, alone, and closes the sessions of all others first: after C_Finalize
 * a session's number may be given out again, and two threads would then work on one session. The
 * others take the token up again when they next work.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "custody/token.h"

enum { REFUSED_MAX = 16 };

static pthread_rwlock_t gate = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static struct custody *all; /* under the gate, for writing */

static pthread_mutex_t login_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char serial[17];
    uint8_t salt[16];
    uint8_t digest[32];
} refused[REFUSED_MAX];
static size_t refused_count;

void custody_enter(void)
{
    (void)pthread_rwlock_rdlock(&gate);
}

void custody_enter_alone(void)
{
    (void)pthread_rwlock_wrlock(&gate);
}

void custody_leave(void)
{
    (void)pthread_rwlock_unlock(&gate);
}

void custody_register(struct custody *c)
{
    custody_enter_alone();
    c->next = all;
    all = c;
    custody_leave();
}

void custody_unregister(struct custody *c)
{
    struct custody **at = &all;
    while (*at != NULL && *at != c)
        at = &(*at)->next;
    if (*at != NULL)
        *at = c->next;
}

static bool is_same_module(const struct custody *a, const struct custody *b)
{
    char *x = p11_kit_module_get_filename(a->module);
    char *y = p11_kit_module_get_filename(b->module);
    bool is_same = x != NULL && y != NULL && strcmp(x, y) == 0;
    free(x);
    free(y);
    return is_same;
}

static bool shares_module(const struct custody *c, const struct custody *other)
{
    return other != c && other->is_initialised && is_same_module(c, other);
}

bool custody_others_answer(const struct custody *c)
{
    for (struct custody *o = all; o != NULL; o = o->next) {
        CK_SESSION_INFO info;
        if (shares_module(c, o) && o->is_connected &&
            o->module->C_GetSessionInfo(o->session, &info) == CKR_OK)
            return true;
    }
    return false;
}

void custody_give_back_module(struct custody *c)
{
    for (struct custody *o = all; o != NULL; o = o->next) {
        if (!shares_module(c, o))
            continue;
        custody_disconnect(o);
        custody_finalize(o);
    }
    custody_disconnect(c);
    custody_finalize(c);
}

/* --- the PIN ---------------------------------------------------------------------------------- */

static bool was_refused(const char *serial, const char *pin)
{
    uint8_t digest[32];
    for (size_t i = 0; i < refused_count; i++) {
        crypto_sha256_two(refused[i].salt, sizeof(refused[i].salt), pin, strlen(pin), digest);
        if (strcmp(refused[i].serial, serial) == 0 &&
            b_ct_eq(digest, refused[i].digest, sizeof(digest)))
            return true;
    }
    return false;
}

/* Not the PIN itself: a refused one is often the right one with a slip. */
static void note_refused(const char *serial, const char *pin)
{
    size_t i = refused_count < REFUSED_MAX ? refused_count++ : REFUSED_MAX - 1;
    memcpy(refused[i].serial, serial, sizeof(refused[i].serial));
    crypto_random(refused[i].salt, sizeof(refused[i].salt));
    crypto_sha256_two(refused[i].salt, sizeof(refused[i].salt), pin, strlen(pin),
                      refused[i].digest);
}

static enum b_code offer_pin(struct custody *c, struct b_err *err)
{
    if (c->pin != NULL && was_refused(c->token.serial, c->pin))
        return b_err_set(err, B_E_TOKEN_PIN_WRONG, 0,
                         "token \"%s\" refused this PIN before; not tried again", c->token.label);
    CK_TOKEN_INFO info;
    CK_RV rv = c->module->C_GetTokenInfo(c->slot, &info); /* another thread may have tried */
    if (rv != CKR_OK)
        return custody_fail(c, rv, "asking the token who it is", err);
    if ((info.flags & CKF_USER_PIN_LOCKED) != 0)
        return custody_fail(c, CKR_PIN_LOCKED, "logging in", err);
    if ((info.flags & CKF_USER_PIN_FINAL_TRY) != 0 && !c->may_use_last_try)
        return b_err_set(err, B_E_TOKEN_PIN_LAST_TRY, 0,
                         "token \"%s\": one more wrong PIN would lock it; not tried",
                         c->token.label);
    CK_ULONG n = c->pin != NULL ? strlen(c->pin) : 0;
    rv = c->module->C_Login(c->session, CKU_USER, (unsigned char *)c->pin, n);
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
        return B_OK;
    enum b_code r = custody_fail(c, rv, "logging in", err);
    if (r == B_E_TOKEN_PIN_WRONG && rv != CKR_USER_PIN_NOT_INITIALIZED && c->pin != NULL)
        note_refused(c->token.serial, c->pin);
    c->may_use_last_try = false; /* a leave to use the last try is for one try */
    return r;
}

enum b_code custody_login(struct custody *c, struct b_err *err)
{
    (void)pthread_mutex_lock(&login_lock);
    enum b_code r = offer_pin(c, err);
    (void)pthread_mutex_unlock(&login_lock);
    return r;
}
