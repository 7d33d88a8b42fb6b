#include "service/signon.h"

#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "service/relay.h"

enum { DOUBLE_TAP_SECONDS = 3, DAY = 86400 };

const struct service_signon_rules service_signon_default = {.session_seconds = 10 * 3600};

/* n random bytes in hexadecimal: 2 n + 1 characters. */
static void draw(char *ret, size_t n)
{
    uint8_t bytes[32];
    b_check(n <= sizeof(bytes));
    crypto_random(bytes, n);
    b_hex(ret, bytes, n);
}

static void digest_of(const char *secret, uint8_t out[static 32])
{
    crypto_sha256(secret, strlen(secret), out);
}

static bool is_zero(const uint8_t digest[static 32])
{
    static const uint8_t none[32];
    return memcmp(digest, none, sizeof(none)) == 0;
}

/* --- challenges --------------------------------------------------------------------------------
 */

static bool count_challenge(void *ctx, const struct store_challenge *c)
{
    size_t *n = ctx;
    (void)c;
    (*n)++;
    return true;
}

static bool count_ready(void *ctx, const struct store_challenge *c)
{
    *(size_t *)ctx += service_challenge_is_ready(c);
    return true;
}

void service_station_bell(int64_t station, char name[static SERVICE_STATION_BELL])
{
    (void)snprintf(name, SERVICE_STATION_BELL, "station:%lld", (long long)station);
}

/* Whoever waits for the challenge, or shows those of its station, looks again. */
static void ring_changed(const struct service *sv, const struct store_challenge *c)
{
    char station[SERVICE_STATION_BELL];
    service_station_bell(c->station, station);
    service_ring(sv->bells, c->name, B_OK);
    service_ring(sv->bells, station, B_OK);
}

static enum b_code note_opened(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_challenge *k = ctx;
    size_t others = 0;
    k->created_at = c->now;
    if (k->expires_at == 0)
        k->expires_at = c->now + SERVICE_CHALLENGE_SECONDS;
    enum b_code r = store_challenge_each(c->store, k->station, k->station != 0 ? "" : k->holder_ref,
                                         c->now, count_challenge, &others, err);
    if (r == B_OK && others >= SERVICE_CHALLENGES_OF_STATION)
        r = b_err_set(err, B_E_CHALLENGES_MANY, 0, "%zu of them", others);
    return r == B_OK ? store_challenge_put(c->store, k, err) : r;
}

enum b_code service_challenge_open(struct service *sv, struct store_challenge *io, char *ret_secret,
                                   struct b_err *err)
{
    io->id = 0;
    io->state = STORE_CHALLENGE_WAITING;
    io->chosen_at = 0;
    memset(io->secret, 0, sizeof(io->secret));
    draw(io->name, (STORE_RANDOM_NAME - 1) / 2);
    if (ret_secret != NULL) {
        draw(ret_secret, (SERVICE_SECRET - 1) / 2);
        digest_of(ret_secret, io->secret);
    }
    enum b_code r = service_change(sv, note_opened, io, err);
    if (r == B_OK)
        ring_changed(sv, io);
    return r;
}

bool service_challenge_is_of(const struct store_challenge *c, const char *secret)
{
    uint8_t digest[32];
    if (secret == NULL)
        return is_zero(c->secret);
    digest_of(secret, digest);
    return b_ct_eq(digest, c->secret, sizeof(digest));
}

static bool is_over(const struct store_challenge *c, int64_t now)
{
    return c->state != STORE_CHALLENGE_WAITING || c->expires_at <= now;
}

struct act {
    const char *name;
    int64_t station;
    struct store_challenge challenge;
};

static enum b_code note_chosen(struct service_change *c, void *ctx, struct b_err *err)
{
    struct act *k = ctx;
    enum b_code r = store_challenge_by_name(c->store, k->name, &k->challenge, err);
    if (r != B_OK)
        return r;
    if (is_over(&k->challenge, c->now))
        return b_err_set(err, B_E_CHALLENGE_OVER, 0, "of %s", k->challenge.party);
    if (k->challenge.station != 0 && k->challenge.station != k->station)
        return b_err_set(err, B_E_CHALLENGE_OTHER, 0, "of %s", k->challenge.party);
    k->challenge.station = k->station;
    k->challenge.chosen_at = c->now;
    return store_challenge_put(c->store, &k->challenge, err);
}

enum b_code service_challenge_choose(struct service *sv, const char *name, int64_t station,
                                     struct b_err *err)
{
    struct act k = {.name = name, .station = station};
    enum b_code r = service_change(sv, note_chosen, &k, err);
    if (r == B_OK)
        ring_changed(sv, &k.challenge);
    return r;
}

static enum b_code note_ended(struct service_change *c, void *ctx, struct b_err *err)
{
    struct act *k = ctx;
    enum b_code r = store_challenge_by_name(c->store, k->name, &k->challenge, err);
    if (r != B_OK || is_over(&k->challenge, c->now))
        return r;
    k->challenge.state = STORE_CHALLENGE_ENDED;
    return store_challenge_put(c->store, &k->challenge, err);
}

enum b_code service_challenge_end(struct service *sv, const char *name, struct b_err *err)
{
    struct act k = {.name = name};
    enum b_code r = service_change(sv, note_ended, &k, err);
    if (r == B_OK)
        ring_changed(sv, &k.challenge);
    return r;
}

enum b_code service_challenge_look(struct store *s, const struct store_challenge *c,
                                   enum service_challenge_stand *ret, size_t *others,
                                   struct b_err *err)
{
    struct store_assertion a;
    bool is_taken = false;
    int64_t now = service_now();
    size_t waiting = 0;
    *ret = SERVICE_OVER;
    if (others != NULL)
        *others = 0;
    if (is_over(c, now))
        return B_OK;
    enum b_code r = store_challenge_each(s, c->station, "", now, count_ready, &waiting, err);
    if (r != B_OK)
        return r;
    if (others != NULL)
        *others = waiting > 0 ? waiting - 1 : 0;
    *ret = waiting > 1 && c->chosen_at == 0 ? SERVICE_CHOOSE : SERVICE_WAITS;
    if (c->station == 0)
        return B_OK;
    r = store_assertion_newest(s, c, &a, &is_taken, err);
    /* A tap that answers none yet is this one's only once it is chosen. */
    bool is_mine = r == B_OK && !is_taken && a.at >= now - SERVICE_TAP_SECONDS &&
                   (a.challenge == c->id || c->chosen_at != 0);
    if (is_mine)
        *ret = SERVICE_TAPPED;
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* --- taking ------------------------------------------------------------------------------------
 */

struct taking {
    const char *name, *party, *secret;
    const struct service_signon_rules *rules;
    struct service_answer *answer;
    struct store_signon *begins;
    char *cookie;
    enum b_code code; /* why not; the journal has it */
    struct b_err cause;
};

static enum b_code refuse(struct taking *k, enum b_code code)
{
    k->code = b_err_set(&k->cause, code, 0, "a tap for %s", k->party);
    return code;
}

/* Why there is nothing to take. */
static enum b_code find_why(struct service_change *c, struct taking *k, bool is_chosen,
                            struct b_err *err)
{
    struct store_assertion a;
    bool is_taken = false;
    enum b_code r = store_assertion_newest(c->store, &k->answer->challenge, &a, &is_taken, err);
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    bool is_late = r == B_OK && (a.at < c->now - SERVICE_TAP_SECONDS || a.at > c->now);
    (void)refuse(k, r == B_E_NOT_FOUND               ? B_E_TAP_AWAITED
                    : is_taken                       ? B_E_TAP_USED
                    : is_late                        ? B_E_TAP_LATE
                    : a.challenge == 0 && !is_chosen ? B_E_CHALLENGE_UNCHOSEN
                                                     : B_E_TAP_UNDONE);
    return B_OK;
}

static enum b_code judge(struct service_change *c, struct taking *k, struct b_err *err)
{
    struct store_challenge *ch = &k->answer->challenge;
    enum b_code r = store_challenge_by_name(c->store, k->name, ch, err);
    if (r == B_E_NOT_FOUND) {
        (void)refuse(k, B_E_CHALLENGE_OVER);
        return B_OK;
    }
    if (r != B_OK)
        return r;
    if (strcmp(ch->party, k->party) != 0 || !service_challenge_is_of(ch, k->secret))
        (void)refuse(k, B_E_CHALLENGE_OTHER);
    else if (ch->state == STORE_CHALLENGE_ANSWERED)
        (void)refuse(k, B_E_TAP_USED);
    else if (is_over(ch, c->now))
        (void)refuse(k, B_E_CHALLENGE_OVER);
    if (k->code != B_OK)
        return B_OK;
    struct service_wanted w;
    r = service_wanted_of(c->store, ch->station, ch->holder_ref, c->now, &w, err);
    if (r != B_OK)
        return r;
    /* A tap that is nobody's stays so until the person has chosen. */
    bool is_open = ch->chosen_at != 0 && w.count == 1 && strcmp(w.first.name, ch->name) == 0;
    r = store_assertion_take(c->store, ch, is_open, c->now, SERVICE_TAP_SECONDS,
                             &k->answer->assertion, err);
    return r == B_E_NOT_FOUND ? find_why(c, k, is_open, err) : r;
}

static enum b_code begin_session(struct service_change *c, struct taking *k, struct b_err *err)
{
    const struct store_assertion *a = &k->answer->assertion;
    struct store_signon *v = k->begins;
    *v = (struct store_signon){.badge_id = a->badge_id,
                               .station = a->station,
                               .has_pin = a->has_pin,
                               .tapped_at = a->at,
                               .expires_at = c->now + k->rules->session_seconds};
    memcpy(v->holder_ref, a->holder_ref, sizeof(v->holder_ref));
    memcpy(v->token, a->token, sizeof(v->token));
    draw(v->sid, (STORE_RANDOM_NAME - 1) / 2);
    draw(k->cookie, (SERVICE_SECRET - 1) / 2);
    digest_of(k->cookie, v->secret);
    enum b_code r = store_signon_put(c->store, v, err);
    return r == B_OK ? store_signon_join(c->store, v->id, k->party, err) : r;
}

static enum b_code note_taken(struct service_change *c, void *ctx, struct b_err *err)
{
    struct taking *k = ctx;
    k->code = B_OK;
    enum b_code r = judge(c, k, err);
    if (r != B_OK || k->code == B_E_TAP_AWAITED)
        return r;
    struct store_challenge *ch = &k->answer->challenge;
    const struct store_assertion *a = &k->answer->assertion;
    if (k->code == B_OK) {
        ch->state = STORE_CHALLENGE_ANSWERED;
        r = store_challenge_put(c->store, ch, err);
    }
    if (r == B_OK && k->code == B_OK && k->begins != NULL)
        r = begin_session(c, k, err);
    if (r != B_OK)
        return r;
    return service_log(c,
                       (struct service_entry){.kind = "signon",
                                              .outcome = k->code,
                                              .detail = json_pack("{s:s}", "party", k->party),
                                              .badge_id = k->code == B_OK ? a->badge_id : 0,
                                              .station_id = ch->station},
                       err);
}

enum b_code service_challenge_take(struct service *sv, const char *name, const char *party,
                                   const char *secret, struct service_answer *ret,
                                   struct store_signon *begins, char *ret_cookie, struct b_err *err)
{
    struct taking k = {.name = name,
                       .party = party,
                       .secret = secret,
                       .rules = sv->signon != NULL ? sv->signon : &service_signon_default,
                       .answer = ret,
                       .begins = begins,
                       .cookie = ret_cookie};
    *ret = (struct service_answer){.challenge = {.id = 0}};
    enum b_code r = service_change(sv, note_taken, &k, err);
    if (r == B_OK && k.code == B_OK)
        ring_changed(sv, &ret->challenge);
    if (r == B_OK && k.code != B_OK) {
        *err = k.cause;
        return k.code;
    }
    return r;
}

/* --- taps --------------------------------------------------------------------------------------
 */

struct listing {
    struct service_wanted *wanted;
    int64_t chosen_at;
};

static bool list_wanted(void *ctx, const struct store_challenge *c)
{
    struct listing *k = ctx;
    struct service_wanted *w = k->wanted;
    if (!service_challenge_is_ready(c))
        return true;
    if (c->chosen_at != 0 && c->chosen_at >= k->chosen_at) { /* it alone counts */
        k->chosen_at = c->chosen_at;
        w->count = 0;
    } else if (k->chosen_at != 0) {
        return true;
    }
    if (w->count == SERVICE_CHALLENGES_OF_STATION)
        return false;
    memcpy(w->names[w->count], c->name, sizeof(c->name));
    if (w->count == 0)
        w->first = *c;
    w->count++;
    return true;
}

enum b_code service_wanted_of(struct store *s, int64_t station, const char *holder_ref, int64_t now,
                              struct service_wanted *ret, struct b_err *err)
{
    struct listing k = {.wanted = ret};
    *ret = (struct service_wanted){.count = 0};
    if (station == 0)
        return B_OK;
    return store_challenge_each(s, station, holder_ref, now, list_wanted, &k, err);
}

/* Whoever tapped is there, and nobody else. */
static enum b_code end_others(struct service_change *c, const struct store_assertion *tap,
                              struct b_err *err)
{
    const struct store_signon_of here = {.station = tap->station};
    struct store_signon v = {.id = 0};
    enum b_code r = B_OK;
    while ((r = store_signon_next(c->store, &here, v.id, &v, err)) == B_OK) {
        if (strcmp(v.holder_ref, tap->holder_ref) == 0)
            continue;
        const struct store_signon_of theirs = {.station = tap->station, .holder_ref = v.holder_ref};
        r = service_signon_end(c, &theirs, "next-person", err);
        if (r != B_OK)
            return r;
    }
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* A second tap that nobody asked for: the person goes. The same card read twice is no second tap.
 */
static enum b_code end_own(struct service_change *c, const struct store_assertion *tap,
                           struct b_err *err)
{
    const struct store_signon_of mine = {.station = tap->station, .holder_ref = tap->holder_ref};
    struct store_signon v;
    enum b_code r = store_signon_next(c->store, &mine, 0, &v, err);
    if (r == B_E_NOT_FOUND || (r == B_OK && c->now - v.tapped_at < DOUBLE_TAP_SECONDS))
        return B_OK;
    return r == B_OK ? service_signon_end(c, &mine, "tapped-out", err) : r;
}

enum b_code service_signon_tapped(struct service_change *c,
                                  const struct service_signon_rules *rules,
                                  const struct service_wanted *w, struct store_assertion *tap,
                                  bool is_asked, struct b_err *err)
{
    enum b_code r = end_others(c, tap, err);
    if (r == B_OK && w->count == 0 && !is_asked && !rules->keeps_on_second_tap)
        r = end_own(c, tap, err);
    if (r != B_OK || w->count == 0)
        return r;
    tap->challenge = w->count == 1 ? w->first.id : 0;
    tap->at = c->now;
    return store_assertion_add(c->store, tap, err);
}

/* --- sessions ----------------------------------------------------------------------------------
 */

enum b_code service_signon_find(struct store *s, const char *cookie, int64_t now,
                                struct store_signon *ret, struct b_err *err)
{
    uint8_t digest[32];
    digest_of(cookie, digest);
    enum b_code r = store_signon_by_secret(s, digest, ret, err);
    if (r == B_OK && (ret->ended_at != 0 || ret->expires_at <= now))
        r = b_err_set(err, B_E_NOT_FOUND, 0, "this session has ended");
    return r;
}

static enum b_code end_one(struct service_change *c, struct store_signon *v, const char *reason,
                           struct b_err *err)
{
    v->ended_at = c->now;
    (void)snprintf(v->reason, sizeof(v->reason), "%s", reason);
    v->token[0] = '\0';
    enum b_code r = store_signon_put(c->store, v, err);
    return r == B_OK
               ? service_log(c,
                             (struct service_entry){.kind = "signoff",
                                                    .detail = json_pack("{s:s}", "reason", reason),
                                                    .badge_id = v->badge_id,
                                                    .station_id = v->station},
                             err)
               : r;
}

enum b_code service_signon_end(struct service_change *c, const struct store_signon_of *of,
                               const char *reason, struct b_err *err)
{
    struct store_signon v = {.id = 0};
    enum b_code r = B_OK;
    while ((r = store_signon_next(c->store, of, v.id, &v, err)) == B_OK) {
        r = end_one(c, &v, reason, err);
        if (r != B_OK)
            return r;
    }
    return r == B_E_NOT_FOUND ? B_OK : r;
}

struct leaving {
    const struct store_signon_of *of;
    const char *reason;
};

static enum b_code note_left(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct leaving *k = ctx;
    return service_signon_end(c, k->of, k->reason, err);
}

enum b_code service_signon_leave(struct service *sv, const struct store_signon_of *of,
                                 const char *reason, struct b_err *err)
{
    struct leaving k = {.of = of, .reason = reason};
    return service_change(sv, note_left, &k, err);
}

enum b_code service_signon_stopped(struct service_change *c, const struct service_entry *e,
                                   struct b_err *err)
{
    enum b_code r = B_OK;
    if (e->badge != NULL && e->badge->state != STORE_BADGE_ACTIVE)
        r = service_signon_end(c, &(struct store_signon_of){.badge_id = e->badge->id}, "badge",
                               err);
    if (r == B_OK && e->holder != NULL && e->holder->state != STORE_PARTY_ACTIVE)
        r = service_signon_end(c, &(struct store_signon_of){.holder_ref = e->holder->ref}, "holder",
                               err);
    if (r == B_OK && e->station != NULL && e->station->state != STORE_PARTY_ACTIVE)
        r = service_signon_end(c, &(struct store_signon_of){.station = e->station->id}, "station",
                               err);
    return r;
}

static enum b_code note_swept(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_signon v = {.id = 0};
    enum b_code r = B_OK;
    (void)ctx;
    while ((r = store_signon_expired(c->store, c->now, v.id, &v, err)) == B_OK) {
        r = end_one(c, &v, "expired", err);
        if (r != B_OK)
            return r;
    }
    return r == B_E_NOT_FOUND ? store_signon_forget(c->store, c->now - DAY, err) : r;
}

enum b_code service_signon_sweep(struct service *sv, struct b_err *err)
{
    return service_change(sv, note_swept, NULL, err);
}
