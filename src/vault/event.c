/*
 * key     role:1 generation:1 kcv:3 is_safe:1 derives_inside:1 method:16 (zero padded)
 * event   want:1 vault_us:4, then
 *           TX         the APDU to the end
 *           INSPECTED  profile_state_encode
 *           PLANNED    profile_plan_encode
 *           INTENT     step:1        EFFECT  step:1
 *           AWAIT      a stored key
 *           DONE       has_tap:1, then the tap
 * stored  role:1 generation:1 badge_len:1 badge:17 is_new:1 wrapped:24
 * tap     uid_len:1 uid:7 serial_len:1 serial:16 generation:1 ev:1 how:1 apdus:1
 */
#include "vault/event.h"

#include <string.h>

void vault_key_encode(const struct vault_key *k, struct b_wr *w)
{
    b_wr_u8(w, (uint8_t)k->role);
    b_wr_u8(w, k->generation);
    b_wr_bytes(w, k->kcv, sizeof(k->kcv));
    b_wr_u8(w, k->is_safe ? 1 : 0);
    b_wr_u8(w, k->derives_inside ? 1 : 0);
    b_wr_bytes(w, k->kcv_method, sizeof(k->kcv_method));
}

bool vault_key_decode(struct b_rd *r, struct vault_key *ret)
{
    *ret = (struct vault_key){0};
    uint8_t role = b_rd_u8(r);
    ret->generation = b_rd_u8(r);
    b_rd_bytes(r, ret->kcv, sizeof(ret->kcv));
    ret->is_safe = b_rd_u8(r) == 1;
    ret->derives_inside = b_rd_u8(r) == 1;
    b_rd_bytes(r, ret->kcv_method, sizeof(ret->kcv_method));
    if (role >= KEY_ROLE_ALL || ret->kcv_method[sizeof(ret->kcv_method) - 1] != '\0')
        r->bad = true;
    else
        ret->role = (enum key_role)role;
    return b_rd_ok(r);
}

static void encode_tap(const struct profile_tap *t, struct b_wr *w)
{
    b_wr_u8(w, t->uid_len);
    b_wr_bytes(w, t->uid, sizeof(t->uid));
    b_wr_u8(w, t->serial_len);
    b_wr_bytes(w, t->serial, sizeof(t->serial));
    b_wr_u8(w, t->generation);
    b_wr_u8(w, (uint8_t)t->ev);
    b_wr_u8(w, (uint8_t)t->how);
    b_wr_u8(w, t->apdus);
}

static void decode_tap(struct b_rd *r, struct profile_tap *ret)
{
    ret->uid_len = b_rd_u8(r);
    b_rd_bytes(r, ret->uid, sizeof(ret->uid));
    ret->serial_len = b_rd_u8(r);
    b_rd_bytes(r, ret->serial, sizeof(ret->serial));
    ret->generation = b_rd_u8(r);
    uint8_t ev = b_rd_u8(r);
    uint8_t how = b_rd_u8(r);
    ret->apdus = b_rd_u8(r);
    if (ret->uid_len > sizeof(ret->uid) || ret->serial_len > sizeof(ret->serial) || ev > DF_EV3 ||
        how > DF_AUTH_EV2_NONFIRST) {
        r->bad = true;
        return;
    }
    ret->ev = (enum df_ev)ev;
    ret->how = (enum df_auth)how;
}

static void walk_stored(struct b_walk *k, struct vault_stored *s)
{
    B_WALK(k, s->role, KEY_ROLE_COUNT - 1);
    B_WALK(k, s->generation, KEY_GENERATION_MAX);
    B_WALK(k, s->badge_len, VAULT_STORED_BADGE);
    b_walk_bytes(k, s->badge, sizeof(s->badge));
    B_WALK(k, s->is_new, 1);
    b_walk_bytes(k, s->wrapped, sizeof(s->wrapped));
}

void vault_stored_encode(const struct vault_stored *s, struct b_wr *w)
{
    struct vault_stored copy = *s;
    struct b_walk k = {.w = w};
    walk_stored(&k, &copy);
}

static bool decode_stored(struct b_rd *r, struct vault_stored *ret)
{
    struct b_walk k = {.r = r};
    walk_stored(&k, ret);
    return b_walk_ok(&k) && ret->badge_len > 1 && ret->generation != KEY_GENERATION_FACTORY;
}

size_t vault_stored_badge(const struct crypto_div_profile *rule,
                          const struct crypto_div_facts *facts,
                          uint8_t badge[static VAULT_STORED_BADGE])
{
    bool has_uid = crypto_div_uses_uid(rule);
    size_t n = has_uid ? facts->uid_len : facts->serial_len;
    badge[0] = has_uid ? 'u' : 's';
    memcpy(badge + 1, has_uid ? facts->uid : facts->serial, n);
    return 1 + n;
}

void vault_event_encode(enum profile_want want, const struct profile_run *run, struct b_rd apdu,
                        uint32_t vault_us, struct b_wr *w)
{
    b_wr_u8(w, (uint8_t)want);
    b_wr_le32(w, vault_us);
    switch (want) {
    case PROFILE_TX:
    case PROFILE_AWAIT:
        b_wr_bytes(w, apdu.p, apdu.left);
        break;
    case PROFILE_INSPECTED:
        profile_state_encode(profile_run_state(run), w);
        break;
    case PROFILE_PLANNED:
        profile_plan_encode(profile_run_plan(run), w);
        break;
    case PROFILE_INTENT:
    case PROFILE_EFFECT:
        b_wr_u8(w, (uint8_t)profile_run_intent(run));
        break;
    case PROFILE_DONE:
        b_wr_u8(w, profile_run_tap(run) != NULL ? 1 : 0);
        if (profile_run_tap(run) != NULL)
            encode_tap(profile_run_tap(run), w);
        break;
    case PROFILE_FAILED:
        w->bad = true; /* a failure is an error answer, never an event */
        break;
    }
}

static bool decode_body(struct b_rd *r, struct vault_event *ret)
{
    switch (ret->want) {
    case PROFILE_TX:
        ret->apdu_len = r->left;
        if (ret->apdu_len > sizeof(ret->apdu))
            return false;
        b_rd_bytes(r, ret->apdu, ret->apdu_len);
        return true;
    case PROFILE_INSPECTED:
        return profile_state_decode(r, &ret->state);
    case PROFILE_PLANNED:
        return profile_plan_decode(r, &ret->plan);
    case PROFILE_INTENT:
    case PROFILE_EFFECT:
        ret->step = b_rd_u8(r);
        return true;
    case PROFILE_AWAIT:
        return decode_stored(r, &ret->stored);
    case PROFILE_DONE:
        if (b_rd_u8(r) == 1)
            decode_tap(r, &ret->tap);
        return true;
    case PROFILE_FAILED:
        return false;
    }
    return false;
}

bool vault_event_decode(struct b_rd r, struct vault_event *ret)
{
    memset(ret, 0, sizeof(*ret));
    uint8_t want = b_rd_u8(&r);
    ret->vault_us = b_rd_le32(&r);
    if (!b_rd_ok(&r) || want >= PROFILE_FAILED)
        return false;
    ret->want = (enum profile_want)want;
    return decode_body(&r, ret) && b_rd_end(&r);
}

/* issuer:128 audience:128 subject:64 station:64 challenge:129 (zero padded) badge:4 seconds:4 */
static void walk_claims(struct b_walk *k, struct vault_claims *c)
{
    b_walk_text(k, c->issuer, sizeof(c->issuer));
    b_walk_text(k, c->audience, sizeof(c->audience));
    b_walk_text(k, c->subject, sizeof(c->subject));
    b_walk_text(k, c->station, sizeof(c->station));
    b_walk_text(k, c->challenge, sizeof(c->challenge));
    B_WALK(k, c->badge, UINT32_MAX);
    B_WALK(k, c->seconds, 86400);
}

void vault_claims_encode(const struct vault_claims *c, struct b_wr *w)
{
    struct vault_claims copy = *c;
    struct b_walk k = {.w = w};
    walk_claims(&k, &copy);
}

bool vault_claims_decode(struct b_rd *r, struct vault_claims *ret)
{
    struct b_walk k = {.r = r};
    memset(ret, 0, sizeof(*ret));
    walk_claims(&k, ret);
    return b_walk_ok(&k);
}
