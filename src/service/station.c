#include "service/station_int.h"

#include <stdio.h>
#include <string.h>

#include "service/campaign.h"
#include "service/policy.h"
#include "service/relay.h"

enum { ASSERTION_SECONDS = 60 };

/* --- policy ------------------------------------------------------------------------------------
 */

static enum b_code find_badge(struct store *s, const struct service_tap_first *m,
                              struct store_badge *ret, struct b_err *err)
{
    if (m->serial_len > 0)
        return store_badge_by_serial(s, m->serial, m->serial_len, ret, err);
    return store_badge_by_uid(s, m->uid, ret, err);
}

static enum policy_state state_of(enum store_party_state st)
{
    return st == STORE_PARTY_ACTIVE      ? POLICY_ACTIVE
           : st == STORE_PARTY_SUSPENDED ? POLICY_SUSPENDED
                                         : POLICY_ENDED;
}

static enum policy_state state_of_badge(const struct store_badge *b)
{
    static const enum policy_state states[] = {[STORE_BADGE_ENROLLING] = POLICY_ACTIVE,
                                               [STORE_BADGE_ACTIVE] = POLICY_ACTIVE,
                                               [STORE_BADGE_SUSPENDED] = POLICY_SUSPENDED,
                                               [STORE_BADGE_REVOKED] = POLICY_ENDED,
                                               [STORE_BADGE_BLANKED] = POLICY_UNKNOWN};
    return b->id != 0 ? states[b->state] : POLICY_UNKNOWN;
}

/* What the store says of badge, holder and station now, and what the policy makes of it. */
static void decide(const struct policy *policy, const struct store_station *station,
                   const struct service_verdict *v, bool has_given_pin, int64_t now,
                   struct policy_decision *ret)
{
    const struct store_badge *b = &v->badge;
    const struct store_holder *h = &v->holder;
    struct policy_facts f = {.station = state_of(station->state),
                             .badge = state_of_badge(b),
                             .holder = h->id != 0 ? state_of(h->state) : POLICY_UNKNOWN,
                             .is_enrolling = b->state == STORE_BADGE_ENROLLING,
                             .is_in_office = b->is_in_office,
                             .is_generation_over = v->is_generation_over,
                             .compromised_at = v->compromised_at,
                             .teams = v->teams,
                             .not_before = b->not_before,
                             .not_after = b->not_after,
                             .has_pin = h->pin_len > 0,
                             .is_pin_locked = h->is_pin_locked,
                             .pin_tries = h->pin_tries,
                             .pin_failed_at = h->pin_failed_at,
                             .full_at = h->full_at,
                             .is_pin_asked = v->wanted.count == 1 && v->wanted.first.needs_pin,
                             .has_given_pin = has_given_pin,
                             .now = now,
                             .minute = policy_zone_minute(&policy->zone, now)};
    (void)snprintf(f.group, sizeof(f.group), "%s", station->group);
    (void)snprintf(f.zone, sizeof(f.zone), "%s", station->zone);
    (void)snprintf(f.full_zone, sizeof(f.full_zone), "%s", h->full_zone);
    policy_decide(policy, &f, ret);
}

/* What became of the generation that the tap is tried with. */
static enum b_code find_generation(struct store *s, struct service_verdict *v, struct b_err *err)
{
    struct store_generation g;
    enum b_code r = store_generation_get(s, KEY_ROLE_AUTH, v->generation, &g, err);
    v->is_generation_over =
        r != B_OK || (g.state != STORE_GENERATION_ACTIVE && g.state != STORE_GENERATION_RETIRING);
    v->compromised_at = r == B_OK && g.state == STORE_GENERATION_COMPROMISED ? g.compromised_at : 0;
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* The holder's groups, where the policy asks for them. */
static enum b_code find_teams(struct store *s, const struct policy *policy,
                              const struct store_station *station, struct service_verdict *v,
                              struct b_err *err)
{
    uint32_t asked = policy_asks(policy, station->group);
    enum b_code r = B_OK;
    v->teams = 0;
    for (uint32_t i = 0; r == B_OK && i < policy->team_count; i++) {
        bool is_in = false;
        if ((asked & 1u << i) != 0)
            r = store_member_has(s, policy->teams[i], v->holder.id, &is_in, err);
        v->teams |= is_in ? 1u << i : 0;
    }
    return r;
}

/* Badge and holder of a tap into v, and what waits for it; those that are not known have the number
 * 0. A tap that a program of the station asked for answers that program, and nobody else. */
static enum b_code find_parties(struct store *s, const struct policy *policy,
                                const struct store_station *station, const struct place *p,
                                struct service_verdict *v, struct b_err *err)
{
    enum b_code r = find_badge(s, &p->first, &v->badge, err);
    v->holder.id = 0;
    v->wanted.count = 0;
    if (r == B_E_NOT_FOUND)
        v->badge.id = 0;
    else if (r == B_OK)
        r = store_holder_by_ref(s, v->badge.holder_ref, &v->holder, err);
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    const char *ref = v->badge.id != 0 ? v->badge.holder_ref : "";
    r = p->first.challenge[0] == '\0'
            ? service_wanted_of(s, p->station, ref, service_now(), &v->wanted, err)
            : B_OK;
    if (r == B_OK)
        r = find_teams(s, policy, station, v, err);
    return r == B_OK && v->badge.id != 0 ? find_generation(s, v, err) : r;
}

/* --- journal -----------------------------------------------------------------------------------
 */

enum { POLICY_SHOWN = 16 }; /* digits of its digest: enough to tell policies apart */

struct outcome {
    struct place *place;
    const struct service_signon_rules *rules;
    const struct profile *profile;
    const struct policy *policy;
    const struct store_station *station;
    enum b_code code; /* of the card, and of the PIN when one was given */
    bool has_given_pin;
    struct b_err cause;
    struct service_verdict *verdict;
};

static json_t *personal_of(const struct service_tap_first *m)
{
    char hex[2 * CRYPTO_SERIAL_MAX + 1];
    if (m->serial_len > 0)
        b_hex(hex, m->serial, m->serial_len);
    else
        b_hex(hex, m->uid, m->uid_len);
    return json_pack("{s:s}", m->serial_len > 0 ? "serial" : "uid", hex);
}

/* A wrong PIN counts; a right one begins a shift and forgets the wrong ones. */
static bool count_pin(const struct outcome *o, int64_t now)
{
    struct store_holder *h = &o->verdict->holder;
    if (o->has_given_pin && o->code == B_E_PIN_WRONG && h->id != 0) {
        h->pin_tries++;
        h->pin_failed_at = now;
        h->is_pin_locked = h->is_pin_locked || policy_locks(o->policy, h->pin_tries);
        return true;
    }
    if (!o->has_given_pin || o->code != B_OK || h->id == 0)
        return false;
    h->pin_tries = 0;
    h->full_at = now;
    (void)snprintf(h->full_zone, sizeof(h->full_zone), "%s", o->station->zone);
    return true;
}

/* What a granted tap means for logins and sessions on its station. */
static enum b_code note_signon(struct service_change *c, const struct outcome *o, struct b_err *err)
{
    const struct service_verdict *v = o->verdict;
    struct store_assertion tap = {
        .station = o->place->station, .badge_id = v->badge.id, .has_pin = o->has_given_pin};
    memcpy(tap.reader, o->place->first.reader, sizeof(tap.reader));
    memcpy(tap.holder_ref, v->badge.holder_ref, sizeof(tap.holder_ref));
    memcpy(tap.token, v->assertion, sizeof(tap.token));
    return service_signon_tapped(c, o->rules, &v->wanted, &tap,
                                 o->place->first.challenge[0] != '\0', err);
}

/* What the vault was told that the tap is for, or what the PIN was typed for, is what it answers:
 * whatever took its place since then waits for another tap. */
static void keep_wanted(const struct place *p, struct service_wanted *w)
{
    bool is_same = w->count == 1 && strcmp(w->first.name, p->answers) == 0;
    bool is_open = w->count > 1 && p->answers[0] == '\0';
    if (!is_same && !is_open)
        w->count = 0;
}

/* What a granted tap says of the badge. A key that is newer than the store knew came from a re-key
 * that was torn after its effect: it is done, and here. */
static enum b_code note_granted(struct service_change *c, const struct outcome *o,
                                struct b_err *err)
{
    struct store_badge *b = &o->verdict->badge;
    const struct service_try done = {b->id, o->place->station, 1 << KEY_ROLE_AUTH, B_OK};
    bool is_news = o->verdict->generation > b->generation[KEY_ROLE_AUTH];
    b->tapped_at = c->now;
    b->tapped_station = o->place->station;
    b->generation[KEY_ROLE_AUTH] = o->verdict->generation;
    enum b_code r = store_badge_put(c->store, b, err);
    if (r == B_OK)
        r = service_settle_tapped(c, o->profile, b, err);
    if (r == B_OK && is_news)
        r = service_note_try(c, &done, err);
    return r == B_OK ? note_signon(c, o, err) : r;
}

/* Decides and writes down in one transaction: what was acknowledged before it counts. */
static enum b_code note_outcome(struct service_change *c, void *ctx, struct b_err *err)
{
    struct outcome *o = ctx;
    struct service_verdict *v = o->verdict;
    struct policy_decision d;
    enum b_code r = find_parties(c->store, o->policy, o->station, o->place, v, err);
    if (r != B_OK)
        return r;
    if (o->code == B_OK) {
        keep_wanted(o->place, &v->wanted);
        decide(o->policy, o->station, v, o->has_given_pin, c->now, &d);
        v->retry_at = d.retry_at;
        v->tries_left = o->policy->pin_tries > v->holder.pin_tries
                            ? o->policy->pin_tries - v->holder.pin_tries
                            : 0;
        if (d.verdict == POLICY_NEED_PIN) {
            o->code =
                b_err_set(&o->cause, B_E_PIN_REQUIRED, 0, "badge %lld", (long long)v->badge.id);
            return B_OK; /* it goes on; its end is what is written */
        }
        if (d.verdict != POLICY_GRANT)
            o->code = b_err_set(&o->cause, d.reason, 0, "badge %lld", (long long)v->badge.id);
    }
    bool is_holder = count_pin(o, c->now);
    if (o->code == B_E_PIN_WRONG && v->holder.is_pin_locked)
        o->code = b_err_set(&o->cause, B_E_PIN_LOCKED, 0, "badge %lld", (long long)v->badge.id);
    if (is_holder)
        r = store_holder_put(c->store, &v->holder, err);
    if (r == B_OK && o->code == B_OK)
        r = note_granted(c, o, err);
    if (r != B_OK)
        return r;
    bool is_known = v->badge.id != 0;
    return service_log(
        c,
        (struct service_entry){
            .kind = "tap",
            .outcome = o->code,
            .detail = o->policy->digest[0] != '\0'
                          ? json_pack("{s:s%}", "policy", o->policy->digest, POLICY_SHOWN)
                          : NULL,
            .badge = is_known ? &v->badge : NULL,
            .holder = is_holder ? &v->holder : NULL,
            .personal = is_known ? NULL : personal_of(&o->place->first),
            .station_id = o->place->station},
        err);
}

/* The outcome, once it is durable; an outcome that cannot be written is not an outcome. */
static enum b_code conclude(struct service *sv, struct outcome *o, struct b_err *err)
{
    if (o->code != B_OK)
        o->cause = *err;
    o->rules = sv->signon != NULL ? sv->signon : &service_signon_default;
    enum b_code r = service_change(sv, note_outcome, o, err);
    if (r != B_OK)
        return r;
    if (o->code == B_E_PIN_REQUIRED || o->code == B_E_PIN_WRONG)
        o->place->tries_left = o->verdict->tries_left;
    if (o->code != B_OK)
        *err = o->cause;
    return o->code;
}

/* --- the two messages --------------------------------------------------------------------------
 */

/* The generation to try: the station's, else what the store remembers, else the active one; and it
 * must be one that badges may still have. */
static enum b_code choose_generation(struct service *sv, const struct service_tap_first *m,
                                     uint8_t *ret, struct b_err *err)
{
    struct profile_generations gs;
    struct store_badge b;
    struct b_err ignored;
    enum b_code r = service_generations_of(sv, KEY_ROLE_AUTH, &gs, err);
    if (r != B_OK)
        return r;
    *ret = m->generation;
    if (*ret == 0 && find_badge(sv->store, m, &b, &ignored) == B_OK)
        *ret = b.generation[KEY_ROLE_AUTH];
    struct store_generation g = {.state = STORE_GENERATION_RETIRED};
    bool is_usable = *ret != 0 && memchr(gs.known, *ret, gs.known_count) != NULL;
    if (!is_usable && *ret != 0)
        (void)!store_generation_get(sv->store, KEY_ROLE_AUTH, *ret, &g, &ignored);
    bool is_compromised = g.state == STORE_GENERATION_COMPROMISED;
    is_usable |= is_compromised &&
                 policy_takes_compromised(service_policy(sv), g.compromised_at, service_now());
    if (!is_usable && m->generation == 0) {
        *ret = gs.target;
        is_usable = true;
    }
    enum b_code why = is_compromised ? B_E_GENERATION_COMPROMISED : B_E_GENERATION_RETIRED;
    return is_usable ? B_OK : b_err_set(err, why, 0, "generation %u of role auth", *ret);
}

enum b_code service_tap_first(struct service *sv, struct service_taps *taps,
                              const struct store_station *station,
                              const struct service_tap_first *m, char *name,
                              uint8_t frame[static 32], struct b_err *err)
{
    struct place *p = place_take(taps, station->id);
    if (p == NULL)
        return b_err_set(err, B_E_VAULT_BUSY, 0, "too many taps of station %s are under way",
                         station->name);
    struct vault_tap v = {.how = m->how,
                          .is_guess = m->generation == 0,
                          .profile = &sv->profile,
                          .uid_len = m->uid_len,
                          .serial_len = m->serial_len};
    memcpy(v.uid, m->uid, sizeof(v.uid));
    memcpy(v.serial, m->serial, sizeof(v.serial));
    memcpy(v.challenge, m->cryptogram, sizeof(v.challenge));
    (void)snprintf(v.place, sizeof(v.place), "%.4s", p->name);
    p->first = *m;
    enum b_code r = choose_generation(sv, m, &v.generation, err);
    if (r == B_OK)
        r = service_stored_for_tap(sv, &v, err);
    if (r == B_OK)
        r = vault_tap_open(sv->vault, &v, &p->vault_tap, p->name, frame, err);
    if (r != B_OK) {
        static _Thread_local struct service_verdict ignored;
        ignored.wanted.count = 0;
        struct outcome o = {.place = p,
                            .profile = &sv->profile,
                            .policy = service_policy(sv),
                            .station = station,
                            .code = r,
                            .verdict = &ignored};
        r = conclude(sv, &o, err);
        place_leave(taps, p, PLACE_FREE);
        return r;
    }
    p->first.generation = v.generation;
    p->since_us = service_now_us();
    memcpy(name, p->name, SERVICE_TAP_NAME);
    place_leave(taps, p, PLACE_ASKED);
    return B_OK;
}

/* --- what follows a granted tap ----------------------------------------------------------------
 */

/* Leaves the place of a granted tap: kept, when a campaign wants the badge. That it cannot be told
 * now is no reason to refuse anybody. */
static void keep_for_rekey(struct service *sv, struct service_taps *taps, struct place *p,
                           struct service_verdict *v)
{
    struct b_err ignored;
    uint8_t roles = 0;
    uint32_t pace = 0;
    v->is_rekeyed = service_campaign_wants(sv, &v->badge, &roles, &pace, &ignored) == B_OK &&
                    roles != 0 && place_is_within_pace(taps, pace);
    p->badge = v->badge.id;
    p->since_us = service_now_us();
    place_leave(taps, p, v->is_rekeyed ? PLACE_GRANTED : PLACE_FREE);
}

enum b_code service_tap_rekey(struct service_taps *taps, const struct store_station *station,
                              const char *name, int64_t *ret_badge, struct b_err *err)
{
    struct place *p = place_enter(taps, station->id, name, PLACE_GRANTED);
    if (p == NULL)
        return b_err_set(err, B_E_NOT_FOUND, 0, "no re-key follows this tap, or it was begun");
    *ret_badge = p->badge;
    place_leave(taps, p, PLACE_FREE);
    return B_OK;
}

/* What an assertion will say, if the store still says so when the outcome is written. */
static void claim(const struct service *sv, const struct place *p,
                  const struct store_station *station, const struct service_verdict *v,
                  struct vault_claims *ret)
{
    *ret = (struct vault_claims){.badge = (uint32_t)v->badge.id, .seconds = ASSERTION_SECONDS};
    (void)snprintf(ret->issuer, sizeof(ret->issuer), "tessere:%s", sv->establishment.finess);
    (void)snprintf(ret->subject, sizeof(ret->subject), "%s", v->badge.holder_ref);
    (void)snprintf(ret->station, sizeof(ret->station), "%s", station->name);
    bool is_wanted = v->wanted.count == 1;
    (void)snprintf(ret->challenge, sizeof(ret->challenge), "%s",
                   is_wanted ? v->wanted.first.name : p->first.challenge);
    (void)snprintf(ret->audience, sizeof(ret->audience), "%s",
                   is_wanted ? v->wanted.first.party : "");
}

/* One call to the vault: the verdict, and with it the assertion or the wait for a PIN, as the
 * policy sees it now; what counts is decided again when it is written. */
static enum b_code prove(struct service *sv, struct place *p, const struct service_tap_second *m,
                         const struct store_station *station, struct service_verdict *v,
                         struct b_err *err)
{
    const struct policy *policy = service_policy(sv);
    struct vault_claims claims;
    struct policy_decision d;
    struct vault_proof proof = {.tap = p->vault_tap, .proof = m->answer};
    if (m->status == DF_SW_OK) {
        enum b_code r = find_parties(sv->store, policy, station, p, v, err);
        if (r != B_OK)
            return r;
        (void)snprintf(p->answers, sizeof(p->answers), "%s",
                       v->wanted.count == 1 ? v->wanted.first.name : "");
        decide(policy, station, v, false, service_now(), &d);
        claim(sv, p, station, v, &claims);
        proof.claims = d.verdict == POLICY_GRANT ? &claims : NULL;
        proof.keeps = p->is_proven = d.verdict == POLICY_NEED_PIN;
        return vault_tap_prove(sv->vault, &proof, v->assertion, err);
    }
    vault_tap_close(sv->vault, p->vault_tap);
    enum b_code r = m->status == DF_SW_AUTHENTICATION_ERROR ? B_E_CARD_AUTH : B_E_CARD_REFUSED;
    return b_err_set(err, r, m->status, "the card answers %s to generation %u",
                     df_sw_name(m->status), p->first.generation);
}

/* Whoever waits for this tap looks how it stands. */
static void ring_waiting(const struct service *sv, const struct service_verdict *v,
                         enum b_code code)
{
    for (size_t i = 0; i < v->wanted.count; i++)
        service_ring(sv->bells, v->wanted.names[i], code);
}

enum b_code service_tap_second(struct service *sv, struct service_taps *taps,
                               const struct store_station *station, const char *name,
                               const struct service_tap_second *m, struct service_verdict *ret,
                               struct b_err *err)
{
    memset(ret, 0, sizeof(*ret));
    struct place *p = place_enter(taps, station->id, name, PLACE_ASKED);
    if (p == NULL)
        return b_err_set(err, B_E_NOT_FOUND, 0, "this tap has ended, or is another station's");
    p->is_proven = false;
    ret->generation = p->first.generation;
    struct outcome o = {.place = p,
                        .profile = &sv->profile,
                        .policy = service_policy(sv),
                        .station = station,
                        .verdict = ret};
    o.code = prove(sv, p, m, station, ret, err);
    enum b_code r = conclude(sv, &o, err);
    if (r != B_OK)
        ret->assertion[0] = '\0';
    if (r == B_OK)
        keep_for_rekey(sv, taps, p, ret);
    else
        place_leave(taps, p, r == B_E_PIN_REQUIRED && p->is_proven ? PLACE_PROVEN : PLACE_FREE);
    ring_waiting(sv, ret, r);
    return r;
}

/* --- PINs --------------------------------------------------------------------------------------
 */

enum b_code service_tap_pin(struct service *sv, struct service_taps *taps,
                            const struct store_station *station, const char *name, struct b_rd box,
                            struct service_verdict *ret, struct b_err *err)
{
    struct vault_claims claims;
    struct policy_decision d;
    memset(ret, 0, sizeof(*ret));
    struct place *p = place_enter(taps, station->id, name, PLACE_PROVEN);
    if (p == NULL)
        return b_err_set(err, B_E_NOT_FOUND, 0, "this tap has ended, or is another station's");
    ret->generation = p->first.generation;
    struct outcome o = {.place = p,
                        .profile = &sv->profile,
                        .policy = service_policy(sv),
                        .station = station,
                        .has_given_pin = true,
                        .verdict = ret};
    o.code = find_parties(sv->store, o.policy, station, p, ret, err);
    if (o.code == B_OK && !place_try_alone(taps, p, ret->holder.id))
        o.code = b_err_set(err, B_E_PIN_THROTTLED, 0, "badge %lld", (long long)ret->badge.id);
    if (o.code == B_OK) /* as the PIN before left them */
        o.code = find_parties(sv->store, o.policy, station, p, ret, err);
    keep_wanted(p, &ret->wanted);
    /* A throttled or locked PIN is not even looked at: it says nothing about being right. */
    decide(o.policy, station, ret, false, service_now(), &d);
    ret->retry_at = o.code == B_E_PIN_THROTTLED ? service_now() + 1 : d.retry_at;
    bool is_heard = d.verdict == POLICY_NEED_PIN;
    if (o.code == B_OK && !is_heard && d.verdict != POLICY_GRANT)
        o.code = b_err_set(err, d.reason, 0, "badge %lld", (long long)ret->badge.id);
    const struct vault_pin pin = {.box = box,
                                  .record = b_rd_from(ret->holder.pin, ret->holder.pin_len)};
    claim(sv, p, station, ret, &claims);
    if (o.code == B_OK)
        o.code = vault_tap_pin(sv->vault, p->vault_tap, &pin, &claims, ret->assertion, err);
    if (o.code == B_E_PIN_THROTTLED && ret->retry_at == 0) /* by the vault, for everybody */
        ret->retry_at = service_now() + 1;
    enum b_code tried = o.code;
    enum b_code r = conclude(sv, &o, err);
    if (r != B_OK)
        ret->assertion[0] = '\0';
    bool may_retry =
        tried == B_E_PIN_WRONG || tried == B_E_PIN_THROTTLED || tried == B_E_PIN_FORMAT;
    if (r == B_OK)
        keep_for_rekey(sv, taps, p, ret);
    else
        place_leave(taps, p, may_retry && !ret->holder.is_pin_locked ? PLACE_PROVEN : PLACE_FREE);
    ring_waiting(sv, ret, r);
    return r;
}
