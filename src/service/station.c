#include "service/station.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/relay.h"

enum {
    PLACES = 8192,
    STATIONS = 65536,
    PROVE_WITHIN_US = 10 * 1000 * 1000,
    ASSERTION_SECONDS = 60,
};

enum place_phase { PLACE_FREE, PLACE_BUSY, PLACE_ASKED };

struct place {
    enum place_phase phase;
    char name[SERVICE_TAP_NAME];
    int64_t station;
    uint32_t vault_tap;
    uint32_t since_us;
    struct service_tap_first first;
};

struct service_taps {
    pthread_mutex_t lock;
    size_t next, count;
    uint8_t open_of[STATIONS]; /* taps under way, by the station's number */
    struct place places[PLACES];
};

/* --- places ------------------------------------------------------------------------------------
 */

struct service_taps *service_taps_new(void)
{
    struct service_taps *t = calloc(1, sizeof(*t));
    if (t != NULL)
        b_check(pthread_mutex_init(&t->lock, NULL) == 0);
    return t;
}

void service_taps_free(struct service_taps **t)
{
    free(*t);
    *t = NULL;
}

size_t service_taps_count(struct service_taps *t)
{
    (void)pthread_mutex_lock(&t->lock);
    size_t n = t->count;
    (void)pthread_mutex_unlock(&t->lock);
    return n;
}

static bool is_late(const struct place *p)
{
    return service_now_us() - p->since_us > PROVE_WITHIN_US;
}

static uint8_t *open_of(struct service_taps *t, int64_t station)
{
    return &t->open_of[(uint64_t)station % STATIONS];
}

static void clear(struct service_taps *t, struct place *p)
{
    if (p->phase == PLACE_FREE)
        return;
    p->phase = PLACE_FREE;
    t->count--;
    (*open_of(t, p->station))--;
}

/* Forgets what stalled; the vault forgets it by itself. */
static void sweep(struct service_taps *t)
{
    for (size_t i = 0; i < PLACES; i++)
        if (t->places[i].phase == PLACE_ASKED && is_late(&t->places[i]))
            clear(t, &t->places[i]);
}

static void name_place(struct place *p, size_t at)
{
    uint8_t random[14];
    crypto_random(random, sizeof(random));
    (void)snprintf(p->name, sizeof(p->name), "%04zX", at);
    b_hex(p->name + 4, random, sizeof(random));
}

/* A place of its own for a new tap of the station; NULL when it, or everybody, has too many. */
static struct place *take_place(struct service_taps *t, int64_t station)
{
    struct place *found = NULL;
    (void)pthread_mutex_lock(&t->lock);
    if (*open_of(t, station) >= SERVICE_TAPS_OF_STATION || t->count == PLACES)
        sweep(t);
    bool may = *open_of(t, station) < SERVICE_TAPS_OF_STATION && t->count < PLACES;
    for (size_t i = 0; may && i < PLACES && found == NULL; i++) {
        size_t at = (t->next + i) % PLACES;
        if (t->places[at].phase != PLACE_FREE)
            continue;
        found = &t->places[at];
        name_place(found, at);
        found->phase = PLACE_BUSY;
        found->station = station;
        t->next = at + 1;
        t->count++;
        (*open_of(t, station))++;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return found;
}

/* The station's tap of this name, when it waits for a message: then it is the caller's. */
static struct place *enter(struct service_taps *t, int64_t station, const char *name)
{
    uint8_t at[2];
    struct b_wr w = b_wr_from(at, sizeof(at));
    char head[5] = "";
    (void)snprintf(head, sizeof(head), "%.4s", name);
    if (strlen(name) != SERVICE_TAP_NAME - 1 || !b_unhex(&w, head) || w.len != 2)
        return NULL;
    size_t i = (size_t)(at[0] << 8 | at[1]);
    if (i >= PLACES)
        return NULL;
    struct place *p = &t->places[i];
    (void)pthread_mutex_lock(&t->lock);
    bool is_it = p->phase == PLACE_ASKED && p->station == station && !is_late(p) &&
                 b_ct_eq(p->name, name, SERVICE_TAP_NAME);
    if (is_it)
        p->phase = PLACE_BUSY;
    (void)pthread_mutex_unlock(&t->lock);
    return is_it ? p : NULL;
}

static void leave(struct service_taps *t, struct place *p, bool goes_on)
{
    (void)pthread_mutex_lock(&t->lock);
    if (goes_on)
        p->phase = PLACE_ASKED;
    else
        clear(t, p);
    (void)pthread_mutex_unlock(&t->lock);
}

/* --- journal -----------------------------------------------------------------------------------
 */

struct outcome {
    const struct place *place;
    enum b_code code;
    struct b_err cause;
    struct service_verdict *verdict;
};

static enum b_code find_badge(struct store *s, const struct service_tap_first *m,
                              struct store_badge *ret, struct b_err *err)
{
    if (m->serial_len > 0)
        return store_badge_by_serial(s, m->serial, m->serial_len, ret, err);
    return store_badge_by_uid(s, m->uid, ret, err);
}

static json_t *personal_of(const struct service_tap_first *m)
{
    char hex[2 * CRYPTO_SERIAL_MAX + 1];
    if (m->serial_len > 0)
        b_hex(hex, m->serial, m->serial_len);
    else
        b_hex(hex, m->uid, m->uid_len);
    return json_pack("{s:s}", m->serial_len > 0 ? "serial" : "uid", hex);
}

/* Decides and writes down in one transaction: what was acknowledged before it counts. */
static enum b_code note_outcome(struct service_change *c, void *ctx, struct b_err *err)
{
    struct outcome *o = ctx;
    struct store_badge *b = &o->verdict->badge;
    const struct service_tap_first *m = &o->place->first;
    enum b_code r = find_badge(c->store, m, b, err);
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    bool is_known = r == B_OK;
    if (!is_known)
        b->id = 0;
    if (o->code == B_OK)
        o->code = is_known ? service_judge_badge(b, &o->cause)
                           : b_err_set(&o->cause, B_E_BADGE_UNKNOWN, 0,
                                       "the badge has our keys, but the store does not know it");
    if (o->code == B_OK) {
        b->tapped_at = c->now;
        b->generation[KEY_ROLE_AUTH] = o->verdict->generation;
        r = store_badge_put(c->store, b, err);
        if (r != B_OK)
            return r;
    }
    return service_log(c,
                       (struct service_entry){.kind = "tap",
                                              .outcome = o->code,
                                              .badge = is_known ? b : NULL,
                                              .personal = is_known ? NULL : personal_of(m),
                                              .station_id = o->place->station},
                       err);
}

/* The outcome, once it is durable; an outcome that cannot be written is not an outcome. */
static enum b_code conclude(struct service *sv, const struct place *p, enum b_code code,
                            struct service_verdict *ret, struct b_err *err)
{
    struct outcome o = {.place = p, .code = code, .verdict = ret};
    if (code != B_OK)
        o.cause = *err;
    enum b_code r = service_change(sv, note_outcome, &o, err);
    if (r != B_OK)
        return r;
    if (o.code != B_OK)
        *err = o.cause;
    return o.code;
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
    bool is_usable = *ret != 0 && memchr(gs.known, *ret, gs.known_count) != NULL;
    if (!is_usable && m->generation == 0) {
        *ret = gs.target;
        is_usable = true;
    }
    return is_usable
               ? B_OK
               : b_err_set(err, B_E_GENERATION_RETIRED, 0, "generation %u of role auth", *ret);
}

enum b_code service_tap_first(struct service *sv, struct service_taps *taps,
                              const struct store_station *station,
                              const struct service_tap_first *m, char *name,
                              uint8_t frame[static 32], struct b_err *err)
{
    struct place *p = take_place(taps, station->id);
    if (p == NULL)
        return b_err_set(err, B_E_VAULT_BUSY, 0, "too many taps of station %s are under way",
                         station->name);
    struct vault_tap v = {
        .how = m->how, .profile = &sv->profile, .uid_len = m->uid_len, .serial_len = m->serial_len};
    memcpy(v.uid, m->uid, sizeof(v.uid));
    memcpy(v.serial, m->serial, sizeof(v.serial));
    memcpy(v.challenge, m->cryptogram, sizeof(v.challenge));
    p->first = *m;
    enum b_code r = choose_generation(sv, m, &v.generation, err);
    if (r == B_OK)
        r = vault_tap_open(sv->vault, &v, &p->vault_tap, frame, err);
    if (r != B_OK) {
        struct service_verdict ignored;
        r = conclude(sv, p, r, &ignored, err);
        leave(taps, p, false);
        return r;
    }
    p->first.generation = v.generation;
    p->since_us = service_now_us();
    memcpy(name, p->name, SERVICE_TAP_NAME);
    leave(taps, p, true);
    return B_OK;
}

/* What the assertion will say, if the store still says so when the outcome is written. */
static bool claim(struct service *sv, const struct place *p, const struct store_station *station,
                  struct vault_claims *ret)
{
    struct store_badge b;
    struct b_err ignored;
    if (find_badge(sv->store, &p->first, &b, &ignored) != B_OK)
        return false;
    *ret = (struct vault_claims){.badge = (uint32_t)b.id, .seconds = ASSERTION_SECONDS};
    (void)snprintf(ret->issuer, sizeof(ret->issuer), "tessere:%s", sv->establishment.finess);
    (void)snprintf(ret->subject, sizeof(ret->subject), "%s", b.holder_ref);
    (void)snprintf(ret->station, sizeof(ret->station), "%s", station->name);
    (void)snprintf(ret->challenge, sizeof(ret->challenge), "%s", p->first.challenge);
    return true;
}

static enum b_code prove(struct service *sv, const struct place *p,
                         const struct service_tap_second *m, const struct store_station *station,
                         char *assertion, struct b_err *err)
{
    struct vault_claims claims;
    struct vault_proof proof = {.tap = p->vault_tap, .proof = m->answer};
    if (m->status == DF_SW_OK) {
        proof.claims = claim(sv, p, station, &claims) ? &claims : NULL;
        return vault_tap_prove(sv->vault, &proof, assertion, err);
    }
    vault_tap_close(sv->vault, p->vault_tap);
    enum b_code r = m->status == DF_SW_AUTHENTICATION_ERROR ? B_E_CARD_AUTH : B_E_CARD_REFUSED;
    return b_err_set(err, r, m->status, "the card answers %s to generation %u",
                     df_sw_name(m->status), p->first.generation);
}

enum b_code service_tap_second(struct service *sv, struct service_taps *taps,
                               const struct store_station *station, const char *name,
                               const struct service_tap_second *m, struct service_verdict *ret,
                               struct b_err *err)
{
    *ret = (struct service_verdict){.generation = 0};
    struct place *p = enter(taps, station->id, name);
    if (p == NULL)
        return b_err_set(err, B_E_NOT_FOUND, 0, "this tap has ended, or is another station's");
    ret->generation = p->first.generation;
    enum b_code r = prove(sv, p, m, station, ret->assertion, err);
    r = conclude(sv, p, r, ret, err);
    if (r != B_OK)
        ret->assertion[0] = '\0';
    leave(taps, p, false);
    return r;
}
