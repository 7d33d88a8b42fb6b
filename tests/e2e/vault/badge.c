#include "badge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "place.h"

enum { AID = 0xF51234, AUTH_NO = 1 };

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    crypto_random(p, n);
}

static void power(struct badge *b)
{
    df_picc_power(&b->card, (struct df_random){.fill = fill});
}

/* --- the desk --------------------------------------------------------------------------------- */

struct vault *badge_vault(const char *token, uint8_t stays_from, uint32_t remembers)
{
    struct vault_config config = place_config();
    config.token_uri = token;
    config.in_token.from[KEY_ROLE_AUTH] = stays_from;
    config.auth_cache = remembers;
    return place_spawn(&config);
}

void badge_masters(uint8_t stays_from)
{
    struct b_err err = {0};
    struct vault *v = badge_vault(place_uri, stays_from, 0);
    for (int role = 0; role < KEY_ROLE_ALL; role++) {
        struct vault_key key;
        if (vault_key_generate(v, (enum key_role)role, 1, &key, &err) != B_OK)
            fail_msg("%s", err.msg);
        assert_true(key.is_safe);
        assert_int_equal(key.derives_inside, role == KEY_ROLE_AUTH && stays_from == 1);
    }
    vault_free(&v);
}

static const struct profile *profile(void)
{
    static const struct profile p = {
        .id = "test",
        .revision = 1,
        .diversification = "uid-aid-system",
        .aid = AID,
        .card_settings = 0x0F,
        .app_settings = 0x1B,
        .system = {'7', '5', '0', '7', '1', '2', '1', '8', '4'},
        .system_len = 9,
        .key_count = 2,
        .keys = {{0, KEY_ROLE_APP}, {AUTH_NO, KEY_ROLE_AUTH}},
    };
    return &p;
}

enum b_code badge_job(struct badge *b, struct vault *v, enum profile_goal goal, struct b_err *err)
{
    static struct profile_job job;
    static struct vault_event event;
    uint8_t rapdu[DF_RAPDU_MAX];
    uint32_t s = 0;
    memset(&job, 0, sizeof(job));
    job.goal = goal;
    job.profile = *profile();
    memcpy(job.uid, b->uid, sizeof(b->uid));
    job.uid_len = sizeof(b->uid);
    for (size_t r = 0; r < KEY_ROLE_COUNT; r++)
        job.generations[r] =
            (struct profile_generations){.target = 1, .known = {1}, .known_count = 1};
    power(b);
    enum b_code r = vault_session_open(v, &job, b_rd_from(NULL, 0), &s, &event, err);
    while (r == B_OK && event.want != PROFILE_DONE) {
        struct b_wr w = b_wr_from(rapdu, sizeof(rapdu));
        if (event.want == PROFILE_TX)
            df_picc_step(&b->card, b_rd_from(event.apdu, event.apdu_len), &w);
        r = vault_session_step(v, s, b_wr_reader(&w), &event, err);
    }
    return r;
}

void badge_blank(struct badge *b, enum df_ev ev, uint8_t last)
{
    struct df_personality who = {
        .ev = ev, .memory = 8192, .uid = {0x04, 0x78, 0x2E, 0x21, 0x80, 0x1D, last}};
    memcpy(b->uid, who.uid, sizeof(b->uid));
    assert_true(df_picc_blank(&b->card, &who));
    power(b);
}

void badge_encode(struct badge *b, enum df_ev ev, uint8_t last)
{
    struct b_err err = {0};
    struct vault *v = badge_vault(place_uri, 0, 0);
    badge_blank(b, ev, last);
    if (badge_job(b, v, PROFILE_GOAL_REACH, &err) != B_OK)
        fail_msg("%s", err.msg);
    vault_free(&v);
}

/* --- the station ------------------------------------------------------------------------------ */

uint8_t badge_command(struct badge *b, uint8_t ins, const uint8_t *data, uint8_t n, uint8_t *out,
                      size_t cap)
{
    uint8_t capdu[64];
    uint8_t rapdu[DF_RAPDU_MAX];
    struct b_wr c = b_wr_from(capdu, sizeof(capdu));
    struct b_wr r = b_wr_from(rapdu, sizeof(rapdu));
    b_wr_u8(&c, 0x90);
    b_wr_u8(&c, ins);
    b_wr_fill(&c, 0, 2);
    b_wr_u8(&c, n);
    b_wr_bytes(&c, data, n);
    b_wr_u8(&c, 0);
    df_picc_step(&b->card, b_wr_reader(&c), &r);
    assert_true(r.len >= 2 && r.len - 2 <= cap && rapdu[r.len - 2] == 0x91);
    memcpy(out, rapdu, r.len - 2);
    return rapdu[r.len - 1];
}

struct vault_tap badge_begin_tap(struct badge *b, enum df_auth how)
{
    static const uint8_t aid[] = {AID & 0xFF, AID >> 8 & 0xFF, AID >> 16};
    static const uint8_t first[] = {AUTH_NO, 0};
    bool is_aes = how == DF_AUTH_AES;
    struct vault_tap t = {.how = how, .generation = 1, .profile = profile(), .uid_len = 7};
    uint8_t none[1];
    memcpy(t.uid, b->uid, sizeof(b->uid));
    power(b);
    assert_int_equal(badge_command(b, 0x5A, aid, sizeof(aid), none, sizeof(none)), DF_SW_OK);
    assert_int_equal(badge_command(b, is_aes ? 0xAA : 0x71, first, is_aes ? 1 : 2, t.challenge,
                                   sizeof(t.challenge)),
                     DF_SW_ADDITIONAL_FRAME);
    return t;
}

enum b_code badge_tap(struct badge *b, struct vault *v, enum df_auth how, bool lies,
                      struct b_err *err)
{
    uint8_t frame[BADGE_FRAME];
    uint8_t proof[BADGE_FRAME];
    uint32_t id = 0;
    struct vault_tap t = badge_begin_tap(b, how);
    enum b_code r = vault_tap_open(v, &t, &id, NULL, frame, err);
    if (r != B_OK)
        return r;
    size_t n = how == DF_AUTH_AES ? 16 : sizeof(proof);
    assert_int_equal(badge_command(b, 0xAF, frame, sizeof(frame), proof, n), DF_SW_OK);
    proof[3] ^= lies ? 1 : 0;
    struct vault_proof p = {.tap = id, .proof = b_rd_from(proof, n)};
    return vault_tap_prove(v, &p, NULL, err);
}
