#include "service/tapcode.h"

#include <string.h>

#include "crypto/crypto.h"
#include "service/relay.h"

/* --- from a tap to a code ----------------------------------------------------------------------
 */

enum b_code service_tap_code_ask(struct service *sv, struct store_challenge *io, struct b_err *err)
{
    io->expires_at = service_now() + SERVICE_TAP_CODE_SECONDS;
    enum b_code r = service_challenge_open(sv, io, NULL, err);
    return r == B_OK ? service_challenge_choose(sv, io->name, io->station, err) : r;
}

struct giving {
    const char *challenge;
    int64_t station;
    char party[STORE_NAME_MAX];
    struct store_tap_code *code;
};

/* Those of browsers have a secret, and those that are asked for without one a text: only what a
 * station opened for itself has neither. */
static enum b_code note_asked(struct service_change *c, void *ctx, struct b_err *err)
{
    struct giving *k = ctx;
    static _Thread_local struct store_challenge ch;
    enum b_code r = store_challenge_by_name(c->store, k->challenge, &ch, err);
    if (r != B_OK)
        return r == B_E_NOT_FOUND ? b_err_set(err, B_E_CHALLENGE_OVER, 0, "no such login") : r;
    bool is_own =
        ch.station == k->station && ch.text[0] == '\0' && service_challenge_is_of(&ch, NULL);
    if (!is_own)
        return b_err_set(err, B_E_CHALLENGE_OTHER, 0, "of %s", ch.party);
    memcpy(k->party, ch.party, sizeof(k->party));
    return B_OK;
}

static enum b_code note_given(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_tap_code *code = ctx;
    code->expires_at = c->now + SERVICE_TAP_CODE_SECONDS;
    return store_tap_code_put(c->store, code, err);
}

/* code: as it was drawn, or typed and made tidy. */
static void digest_of(const struct store_tap_code *c, const char *code, uint8_t out[static 32])
{
    crypto_sha256_two(c->salt, sizeof(c->salt), code, strlen(code), out);
}

enum b_code service_tap_code_give(struct service *sv, const char *challenge, int64_t station,
                                  char code[static SERVICE_TAP_CODE], struct store_tap_code *ret,
                                  struct b_err *err)
{
    static _Thread_local struct service_answer answer;
    struct giving k = {.challenge = challenge, .station = station};
    enum b_code r = service_change(sv, note_asked, &k, err);
    if (r == B_OK)
        r = service_challenge_take(sv, challenge, k.party, NULL, &answer, NULL, err);
    if (r != B_OK)
        return r;
    const struct store_assertion *a = &answer.assertion;
    *ret = (struct store_tap_code){.assertion = a->id,
                                   .badge_id = a->badge_id,
                                   .station = a->station,
                                   .has_pin = a->has_pin,
                                   .tapped_at = a->at};
    memcpy(ret->party, k.party, sizeof(ret->party));
    memcpy(ret->holder_ref, a->holder_ref, sizeof(ret->holder_ref));
    crypto_random(ret->salt, sizeof(ret->salt));
    service_code_draw(code);
    digest_of(ret, code, ret->digest);
    r = service_change(sv, note_given, ret, err);
    if (r != B_OK)
        b_wipe(code, SERVICE_TAP_CODE);
    return r;
}

/* --- from a code to a yes ----------------------------------------------------------------------
 */

struct using
{
    const struct service_tap_code_use *asked;
    char code[SERVICE_TAP_CODE];
    struct store_tap_code *found; /* id 0: there is none */
    enum b_code outcome;
};

static enum b_code tell(struct service_change *c, const struct using *k, struct b_err *err)
{
    json_t *detail = json_pack("{s:s, s:s}", "party", k->asked->party, "by", k->asked->by);
    return service_log(c,
                       (struct service_entry){.kind = "callout",
                                              .outcome = k->outcome,
                                              .detail = detail,
                                              .badge_id = k->found->badge_id,
                                              .station_id = k->found->station},
                       err);
}

static enum b_code why_not(const struct using *k, const uint8_t digest[static 32], int64_t now)
{
    const struct store_tap_code *f = k->found;
    bool is_right = f->id != 0 && b_ct_eq(digest, f->digest, sizeof(f->digest));
    return f->used_at == 0 && f->tries >= SERVICE_TAP_CODE_TRIES ? B_E_TAP_CODE_LOCKED
           : !is_right                                           ? B_E_TAP_CODE
           : f->used_at != 0                                     ? B_E_TAP_CODE_USED
           : f->expires_at <= now                                ? B_E_TAP_CODE_LATE
                                                                 : B_E_TAP_UNDONE;
}

static enum b_code note_used(struct service_change *c, void *ctx, struct b_err *err)
{
    struct using *k = ctx;
    struct store_tap_code *f = k->found;
    uint8_t digest[32];
    *f = (struct store_tap_code){.id = 0};
    enum b_code r = store_tap_code_of(c->store, k->asked->party, k->asked->holder_ref, f, err);
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    digest_of(f, k->code, digest);
    r = store_tap_code_take(c->store, f->id, digest, SERVICE_TAP_CODE_TRIES, c->now, err);
    k->outcome = B_OK;
    if (r == B_E_NOT_FOUND) {
        k->outcome = why_not(k, digest, c->now);
        r = store_tap_code_miss(c->store, f->id, err);
    }
    if (r != B_OK)
        return r;
    return tell(c, k, err);
}

enum b_code service_tap_code_take(struct service *sv, const struct service_tap_code_use *use,
                                  struct store_tap_code *ret, struct b_err *err)
{
    struct store_tap_code unwanted;
    struct using k = {.asked = use, .found = ret != NULL ? ret : &unwanted};
    if (!service_code_tidy(use->code, k.code))
        k.code[0] = '\0'; /* too long to be one: no code is empty */
    enum b_code r = service_change(sv, note_used, &k, err);
    b_wipe(k.code, sizeof(k.code));
    return r == B_OK && k.outcome != B_OK ? b_err_set(err, k.outcome, 0, "for %s", use->party) : r;
}

static enum b_code note_refused(struct service_change *c, void *ctx, struct b_err *err)
{
    return tell(c, ctx, err);
}

enum b_code service_tap_code_refuse(struct service *sv, const struct service_tap_code_use *use,
                                    enum b_code why, struct b_err *err)
{
    struct store_tap_code none = {.id = 0};
    struct using k = {.asked = use, .found = &none, .outcome = why};
    return service_change(sv, note_refused, &k, err);
}
