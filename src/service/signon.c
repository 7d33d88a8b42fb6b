#include "service/signon.h"

#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "service/outbox.h"
#include "service/relay.h"

enum { DOUBLE_TAP_SECONDS = 3, AT_ONCE = 200, DAY = 86400 };

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

struct ready {
    size_t count;
    int64_t newest;
};

static bool count_ready(void *ctx, const struct store_challenge *c)
{
    struct ready *k = ctx;
    if (!service_challenge_is_ready(c))
        return true;
    k->count++;
    k->newest = c->id;
    return true;
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
        service_ring_changed(sv, io);
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

/* Whoever asked without a browser is told that there is an answer. */
static enum b_code ping(struct service_change *c, const struct store_challenge *k,
                        struct b_err *err)
{
    const struct service_ping p = {
        .client = k->party, .url = k->ping_url, .token = k->ping_token, .challenge = k->name};
    return k->ping_url[0] != '\0' ? service_outbox_ping(c, &p, err) : B_OK;
}

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
    return store_challenge_choose(c->store, &k->challenge, c->now, err);
}

enum b_code service_challenge_choose(struct service *sv, const char *name, int64_t station,
                                     struct b_err *err)
{
    struct act k = {.name = name, .station = station};
    enum b_code r = service_change(sv, note_chosen, &k, err);
    if (r == B_OK)
        service_ring_changed(sv, &k.challenge);
    return r;
}

static enum b_code note_ended(struct service_change *c, void *ctx, struct b_err *err)
{
    struct act *k = ctx;
    enum b_code r = store_challenge_by_name(c->store, k->name, &k->challenge, err);
    if (r != B_OK || is_over(&k->challenge, c->now))
        return r;
    k->challenge.state = STORE_CHALLENGE_ENDED;
    r = store_challenge_put(c->store, &k->challenge, err);
    return r == B_OK ? ping(c, &k->challenge, err) : r;
}

enum b_code service_challenge_end(struct service *sv, const char *name, struct b_err *err)
{
    struct act k = {.name = name};
    enum b_code r = service_change(sv, note_ended, &k, err);
    if (r == B_OK)
        service_ring_changed(sv, &k.challenge);
    return r;
}

enum b_code service_challenge_look(struct store *s, const struct store_challenge *c,
                                   enum service_challenge_stand *ret, size_t *others,
                                   struct b_err *err)
{
    struct store_assertion a;
    bool is_taken = false;
    int64_t now = service_now();
    struct ready waiting = {.count = 0};
    *ret = SERVICE_OVER;
    if (others != NULL)
        *others = 0;
    if (is_over(c, now))
        return B_OK;
    enum b_code r = store_challenge_each(s, c->station, "", now, count_ready, &waiting, err);
    if (r != B_OK)
        return r;
    if (others != NULL)
        *others = waiting.count > 0 ? waiting.count - 1 : 0;
    bool is_chosen = c->chosen_at != 0 && waiting.newest <= c->chosen_over;
    *ret = waiting.count > 1 && !is_chosen ? SERVICE_CHOOSE : SERVICE_WAITS;
    if (c->station == 0)
        return B_OK;
    r = store_assertion_newest(s, c, &a, &is_taken, err);
    /* A tap that answers none yet is this one's only once it is chosen. */
    bool is_mine = r == B_OK && !is_taken && a.at >= now - SERVICE_TAP_SECONDS &&
                   (a.challenge == c->id || is_chosen);
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
    struct service_beginning *begins;
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
    bool is_open = ch->text[0] == '\0' && ch->chosen_at != 0 && w.count == 1 &&
                   strcmp(w.first.name, ch->name) == 0;
    r = store_assertion_take(c->store, ch, is_open, c->now, SERVICE_TAP_SECONDS,
                             &k->answer->assertion, err);
    return r == B_E_NOT_FOUND ? find_why(c, k, is_open, err) : r;
}

static enum b_code begin_session(struct service_change *c, struct taking *k, struct b_err *err)
{
    const struct store_assertion *a = &k->answer->assertion;
    struct service_beginning *b = k->begins;
    struct store_signon *v = &b->signon;
    static struct store_badge badge; /* only one thread writes */
    enum b_code r = store_badge_by_id(c->store, a->badge_id, &badge, err);
    if (r != B_OK)
        return r;
    *v = (struct store_signon){
        .badge_id = a->badge_id,
        .station = a->station,
        .has_pin = a->has_pin,
        .tapped_at = a->at,
        .expires_at = c->now + (b->seconds != 0 ? b->seconds : k->rules->session_seconds)};
    if (badge.not_after != 0 && v->expires_at > badge.not_after)
        v->expires_at = badge.not_after;
    memcpy(v->holder_ref, a->holder_ref, sizeof(v->holder_ref));
    memcpy(v->token, a->token, sizeof(v->token));
    draw(v->sid, (STORE_RANDOM_NAME - 1) / 2);
    draw(b->cookie, (SERVICE_SECRET - 1) / 2);
    digest_of(b->cookie, v->secret);
    r = store_signon_put(c->store, v, err);
    return r == B_OK ? store_signon_join(c->store, v->id, k->party, err) : r;
}

/* Not an answer yet, and asked for again and again. */
static bool is_not_yet(enum b_code code)
{
    return code == B_E_TAP_AWAITED || code == B_E_TAP_LATE || code == B_E_CHALLENGE_UNCHOSEN;
}

static enum b_code note_taken(struct service_change *c, void *ctx, struct b_err *err)
{
    struct taking *k = ctx;
    k->code = B_OK;
    enum b_code r = judge(c, k, err);
    if (r != B_OK || is_not_yet(k->code))
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
                                   struct service_beginning *begins, struct b_err *err)
{
    struct taking k = {.name = name,
                       .party = party,
                       .secret = secret,
                       .rules = sv->signon != NULL ? sv->signon : &service_signon_default,
                       .answer = ret,
                       .begins = begins};
    *ret = (struct service_answer){.challenge = {.id = 0}};
    enum b_code r = service_change(sv, note_taken, &k, err);
    if (r == B_OK && k.code == B_OK)
        service_ring_changed(sv, &ret->challenge);
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
    struct store_challenge chosen; /* id 0: none */
    int64_t newest;                /* that waits without a text, or was shown */
};

static bool list_wanted(void *ctx, const struct store_challenge *c)
{
    struct listing *k = ctx;
    struct service_wanted *w = k->wanted;
    if (!service_challenge_is_ready(c))
        return true;
    k->newest = c->id;
    if (c->chosen_at != 0)
        k->chosen = *c;
    if (w->count == SERVICE_CHALLENGES_OF_STATION)
        return true;
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
    enum b_code r = store_challenge_each(s, station, holder_ref, now, list_wanted, &k, err);
    /* A choice holds against those that waited when it was made: who had seen the later one? */
    if (r == B_OK && k.chosen.id != 0 && k.newest <= k.chosen.chosen_over) {
        ret->count = 1;
        ret->first = k.chosen;
        memcpy(ret->names[0], k.chosen.name, sizeof(k.chosen.name));
    }
    return r;
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
    struct store_signon v = {.id = 0};
    int64_t last = 0;
    enum b_code r = B_OK;
    while ((r = store_signon_next(c->store, &mine, v.id, &v, err)) == B_OK)
        last = v.tapped_at > last ? v.tapped_at : last;
    if (r != B_E_NOT_FOUND || last == 0 || c->now - last < DOUBLE_TAP_SECONDS)
        return r == B_E_NOT_FOUND ? B_OK : r;
    return service_signon_end(c, &mine, "tapped-out", err);
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
    r = store_assertion_add(c->store, tap, err);
    return r == B_OK && w->count == 1 ? ping(c, &w->first, err) : r;
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

struct telling {
    struct service_change *change;
    const struct store_signon *signon;
    enum b_code code;
    struct b_err *err;
};

static bool tell_one(void *ctx, const struct store_told *t)
{
    struct telling *k = ctx;
    const struct service_logout l = {.issuer = t->issuer,
                                     .client = t->party,
                                     .url = t->url,
                                     .sid = k->signon->sid,
                                     .sub = k->signon->holder_ref};
    k->code = service_outbox_logout(k->change, &l, k->err);
    return k->code == B_OK;
}

/* Relying parties hear of it from the outbox, once this change is durable. */
static enum b_code tell_parties(struct service_change *c, const struct store_signon *v,
                                struct b_err *err)
{
    struct telling k = {.change = c, .signon = v, .err = err};
    enum b_code r = store_signon_each_told(c->store, v->id, tell_one, &k, err);
    return r == B_OK ? k.code : r;
}

static enum b_code end_one(struct service_change *c, struct store_signon *v, const char *reason,
                           struct b_err *err)
{
    v->ended_at = c->now;
    (void)snprintf(v->reason, sizeof(v->reason), "%s", reason);
    v->token[0] = '\0';
    enum b_code r = store_signon_put(c->store, v, err);
    if (r == B_OK)
        r = tell_parties(c, v, err);
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

/* A badge that counts no more, or whose days are over or have yet to come, has no session; one that
 * ends before its session takes that along. */
static enum b_code keep_within(struct service_change *c, const struct store_badge *b,
                               struct b_err *err)
{
    const struct store_signon_of its = {.badge_id = b->id};
    struct store_signon v = {.id = 0};
    enum b_code r = B_OK;
    if (b->state != STORE_BADGE_ACTIVE || b->not_before > c->now ||
        (b->not_after != 0 && b->not_after <= c->now))
        return service_signon_end(c, &its, "badge", err);
    while (r == B_OK && b->not_after != 0 &&
           (r = store_signon_next(c->store, &its, v.id, &v, err)) == B_OK) {
        v.expires_at = v.expires_at < b->not_after ? v.expires_at : b->not_after;
        r = store_signon_put(c->store, &v, err);
    }
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code service_signon_stopped(struct service_change *c, const struct service_entry *e,
                                   struct b_err *err)
{
    enum b_code r = e->badge != NULL ? keep_within(c, e->badge, err) : B_OK;
    if (r == B_OK && e->holder != NULL && e->holder->state != STORE_PARTY_ACTIVE)
        r = service_signon_end(c, &(struct store_signon_of){.holder_ref = e->holder->ref}, "holder",
                               err);
    if (e->station == NULL || e->station->state == STORE_PARTY_ACTIVE)
        return r;
    if (r == B_OK)
        r = service_signon_end(c, &(struct store_signon_of){.station = e->station->id}, "station",
                               err);
    /* Browsers are joined anew when it comes back. */
    for (int kind = 0; r == B_OK && kind <= STORE_BROWSER_COOKIE; kind++)
        r = store_browser_drop_of(c->store, e->station->id, (enum store_browser_kind)kind, err);
    return r;
}

static enum b_code note_swept(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_signon v;
    enum b_code r = B_OK;
    (void)ctx;
    for (int i = 0; i < AT_ONCE; i++) {
        r = store_signon_expired(c->store, c->now, &v, err);
        if (r != B_OK)
            break;
        r = end_one(c, &v, "expired", err);
        if (r != B_OK)
            return r;
    }
    if (r == B_E_NOT_FOUND)
        r = store_signon_forget(c->store, c->now - DAY, err);
    return r == B_OK ? store_oidc_forget(c->store, c->now - DAY, err) : r;
}

enum b_code service_signon_sweep(struct service *sv, struct b_err *err)
{
    return service_change(sv, note_swept, NULL, err);
}
