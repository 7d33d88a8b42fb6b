/* Keys that sign tokens: which one does, and which are published. On a real vault and token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "desk.h"
#include "service/signer.h"
#include "service/station.h"

static struct desk desk;
static char jwt[VAULT_JWT_MAX];

/* One establishment for all tests: making a key takes a second. */
static int open_desk(void **state)
{
    struct vault_key seal;
    int r = desk_make_place(state);
    desk_open(&desk, "750000001");
    MUST(vault_key_generate(desk.sv.vault, KEY_ROLE_SEAL, 1, &seal, &desk_err));
    return r;
}

static int close_desk(void **state)
{
    desk_close(&desk);
    return desk_drop_place(state);
}

/* --- what there is -----------------------------------------------------------------------------
 */

/* Good until the eighth call from here. */
static struct store_signing_key *key_of(enum crypto_jws alg, enum store_signer_state state)
{
    static struct store_signing_key keys[8];
    static size_t at;
    struct store_signing_key *k = &keys[at++ % B_COUNT(keys)];
    MUST(store_signing_key_of(desk.sv.store, alg, state, k, &desk_err));
    return k;
}

static json_t *jwks(int64_t now)
{
    json_t *o = NULL;
    MUST(service_signer_jwks(desk.sv.store, now, &o, &desk_err));
    return o;
}

static const json_t *jwk_of(const json_t *set, const char *kid)
{
    const json_t *k = NULL;
    size_t i = 0;
    json_array_foreach(json_object_get(set, "keys"), i, k)
    {
        if (strcmp(json_string_value(json_object_get(k, "kid")), kid) == 0)
            return k;
    }
    return NULL;
}

static bool is_published(const char *kid, int64_t now)
{
    json_t *set = jwks(now);
    bool is = jwk_of(set, kid) != NULL;
    json_decref(set);
    return is;
}

static enum b_code logout(const char *alg)
{
    json_t *claims = json_pack("{s:s, s:s, s:I, s:s, s:s, s:{s:{}}}", "iss", "https://id", "aud",
                               "his", "exp", (json_int_t)time(NULL) + 120, "jti", "7", "sid", "s",
                               "events", "http://schemas.openid.net/event/backchannel-logout");
    enum b_code r =
        service_sign(&desk.sv, VAULT_LOGOUT_TOKEN, alg, "", claims, jwt, sizeof(jwt), &desk_err);
    json_decref(claims);
    return r;
}

/* Whether the token in jwt is signed by this key. */
static bool is_signed_by(const struct store_signing_key *k)
{
    uint8_t signature[CRYPTO_JWS_SIGNATURE_MAX];
    struct b_wr w = b_wr_from(signature, sizeof(signature));
    const char *dot = strrchr(jwt, '.');
    return b_unbase64url(&w, dot + 1, strlen(dot + 1)) &&
           crypto_jws_verify(k->alg, b_rd_from(k->public_key, k->public_len),
                             b_rd_from(jwt, (size_t)(dot - jwt)), b_wr_reader(&w));
}

static enum b_code put(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_signing_key *k = ctx;
    enum b_code r = store_signing_key_put(c->store, k, err);
    service_vouch_signing_key(c, k);
    return r == B_OK ? service_log(c, (struct service_entry){.kind = "signer-make"}, err) : r;
}

/* As if so many seconds had passed. */
static void age(enum crypto_jws alg, enum store_signer_state state, int64_t seconds)
{
    struct store_signing_key *k = key_of(alg, state);
    k->created_at -= seconds;
    k->activated_at -= state == STORE_SIGNER_NEXT ? 0 : seconds;
    MUST(service_change(&desk.sv, put, k, &desk_err));
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void keys_are_made_when_they_are_wanted_and_published_before_they_sign(void **state)
{
    (void)state;
    bool is_done = false;
    MUST(service_signer_keep(&desk.sv, false, &is_done, &desk_err));
    assert_true(is_done);
    desk_expect(logout("RS256"), B_E_SIGNER_KEY);
    MUST(service_signer_begin(&desk.sv, &desk_err));
    json_t *set = jwks(time(NULL));
    assert_int_equal(json_array_size(json_object_get(set, "keys")), 4);
    const json_t *k = jwk_of(set, key_of(CRYPTO_JWS_RS256, STORE_SIGNER_ACTIVE)->kid);
    assert_string_equal(json_string_value(json_object_get(k, "kty")), "RSA");
    assert_string_equal(json_string_value(json_object_get(k, "e")), "AQAB");
    assert_int_equal(strlen(json_string_value(json_object_get(k, "n"))), 512);
    k = jwk_of(set, key_of(CRYPTO_JWS_ES256, STORE_SIGNER_NEXT)->kid);
    assert_string_equal(json_string_value(json_object_get(k, "crv")), "P-256");
    json_decref(set);
    MUST(service_signer_keep(&desk.sv, false, &is_done, &desk_err));
    assert_true(is_done);
    desk_expect(logout("none"), B_E_SIGNER_KEY);
}

static void a_token_is_signed_by_the_active_key_of_its_algorithm(void **state)
{
    (void)state;
    MUST(service_signer_begin(&desk.sv, &desk_err));
    for (int alg = 0; alg < CRYPTO_JWS_COUNT; alg++) {
        const struct store_signing_key *k = key_of((enum crypto_jws)alg, STORE_SIGNER_ACTIVE);
        MUST(logout(crypto_jws_name(k->alg)));
        assert_true(is_signed_by(k));
        k = key_of(k->alg, STORE_SIGNER_NEXT);
        assert_false(is_signed_by(k));
    }
    json_t *claims =
        json_pack("{s:s, s:s, s:I}", "iss", "i", "aud", "a", "exp", (json_int_t)time(NULL) + 60);
    desk_expect(service_sign(&desk.sv, VAULT_ID_TOKEN, "RS256", "a.b.c", claims, jwt, sizeof(jwt),
                             &desk_err),
                B_E_ASSERTION);
    json_decref(claims);
}

static void keys_follow_each_other_when_it_is_time(void **state)
{
    (void)state;
    bool is_done = false;
    int64_t now = time(NULL);
    MUST(service_signer_begin(&desk.sv, &desk_err));
    const struct store_signing_key *old = key_of(CRYPTO_JWS_ES256, STORE_SIGNER_ACTIVE);
    const struct store_signing_key *next = key_of(CRYPTO_JWS_ES256, STORE_SIGNER_NEXT);
    age(CRYPTO_JWS_ES256, STORE_SIGNER_ACTIVE, SERVICE_SIGNER_ACTIVE_SECONDS);
    MUST(service_signer_keep(&desk.sv, false, &is_done, &desk_err));
    assert_true(is_done); /* the next one is not known long enough */
    age(CRYPTO_JWS_ES256, STORE_SIGNER_NEXT, SERVICE_SIGNER_NEXT_SECONDS);
    do
        MUST(service_signer_keep(&desk.sv, false, &is_done, &desk_err));
    while (!is_done);
    assert_string_equal(key_of(CRYPTO_JWS_ES256, STORE_SIGNER_ACTIVE)->kid, next->kid);
    assert_string_not_equal(key_of(CRYPTO_JWS_ES256, STORE_SIGNER_NEXT)->kid, next->kid);
    const struct store_signing_key *retired = key_of(CRYPTO_JWS_ES256, STORE_SIGNER_RETIRED);
    assert_string_equal(retired->kid, old->kid);
    assert_int_equal(retired->wrapped_len, 0);
    assert_true(is_published(old->kid, now + VAULT_TOKEN_SECONDS_MAX));
    assert_false(is_published(old->kid, now + SERVICE_SIGNER_RETIRED_SECONDS + 60));
    MUST(logout("ES256"));
    assert_true(is_signed_by(next));
}

static void a_person_rotates_once_the_next_keys_are_known(void **state)
{
    (void)state;
    MUST(service_signer_begin(&desk.sv, &desk_err));
    const struct store_signing_key *next = key_of(CRYPTO_JWS_RS256, STORE_SIGNER_NEXT);
    desk_expect(service_signer_rotate(&desk.sv, &desk_err), B_E_REFUSED);
    age(CRYPTO_JWS_RS256, STORE_SIGNER_NEXT, SERVICE_SIGNER_NEXT_SECONDS);
    age(CRYPTO_JWS_ES256, STORE_SIGNER_NEXT, SERVICE_SIGNER_NEXT_SECONDS);
    MUST(service_signer_rotate(&desk.sv, &desk_err));
    assert_string_equal(key_of(CRYPTO_JWS_RS256, STORE_SIGNER_ACTIVE)->kid, next->kid);
}

static void a_key_that_is_withdrawn_is_published_no_more_and_another_signs_at_once(void **state)
{
    (void)state;
    int64_t now = time(NULL);
    MUST(service_signer_begin(&desk.sv, &desk_err));
    const struct store_signing_key *old = key_of(CRYPTO_JWS_RS256, STORE_SIGNER_ACTIVE);
    const struct store_signing_key *next = key_of(CRYPTO_JWS_RS256, STORE_SIGNER_NEXT);
    MUST(service_signer_drop(&desk.sv, old->kid, &desk_err));
    assert_false(is_published(old->kid, now));
    MUST(logout("RS256"));
    assert_true(is_signed_by(next));
    desk_expect(service_signer_drop(&desk.sv, old->kid, &desk_err), B_E_REFUSED);
    desk_expect(service_signer_drop(&desk.sv, "none", &desk_err), B_E_NOT_FOUND);
}

/* --- an ID token for a tap ---------------------------------------------------------------------
 */

static struct b_rd say(struct channel *ch, const uint8_t *frame, size_t n, uint8_t room[300])
{
    struct b_wr w = b_wr_from(room, 300);
    MUST(channel_transmit(ch, b_rd_from(frame, n), &w, &desk_err));
    return b_wr_reader(&w);
}

static void tap(struct desk_card *card, struct service_verdict *verdict)
{
    static const struct store_station station = {.id = 5, .name = "w", .state = STORE_PARTY_ACTIVE};
    static const uint8_t select[] = {0x90, 0x5A, 0, 0, 3, 0x34, 0x12, 0xF5, 0};
    static const uint8_t first[] = {0x90, 0x71, 0, 0, 2, 1, 0, 0};
    char name[SERVICE_TAP_NAME];
    uint8_t room[300];
    uint8_t next[38] = {0x90, 0xAF, 0, 0, 0x20};
    struct service_taps *taps = service_taps_new();
    struct service_tap_first m = {.uid_len = 7, .how = DF_AUTH_EV2_FIRST};
    struct channel *ch = desk_channel(card, (struct channel_fault){0});
    (void)say(ch, select, sizeof(select), room);
    struct b_rd challenge = say(ch, first, sizeof(first), room);
    memcpy(m.uid, card->seen.uid, sizeof(m.uid));
    memcpy(m.cryptogram, challenge.p, sizeof(m.cryptogram));
    MUST(service_tap_first(&desk.sv, taps, &station, &m, name, next + 5, &desk_err));
    struct b_rd answer = say(ch, next, sizeof(next), room);
    const struct service_tap_second s = {.status = answer.p[answer.left - 1],
                                         .answer = b_rd_from(answer.p, answer.left - 2)};
    MUST(service_tap_second(&desk.sv, taps, &station, name, &s, verdict, &desk_err));
    channel_free(&ch);
    service_taps_free(&taps);
}

static void a_tap_becomes_an_id_token(void **state)
{
    (void)state;
    static struct desk_card card;
    static struct service_verdict verdict;
    struct store_badge badge;
    MUST(service_signer_begin(&desk.sv, &desk_err));
    desk_card_new(&card, DF_EV2, 0x67);
    MUST(desk_enrol(&desk, &card, &badge));
    tap(&card, &verdict);
    json_t *claims = json_pack("{s:s, s:s, s:I, s:s}", "iss", "https://id", "aud", "his", "exp",
                               (json_int_t)time(NULL) + 300, "name", "Ren\xC3\xA9 \"D\"");
    MUST(service_sign(&desk.sv, VAULT_ID_TOKEN, "RS256", verdict.assertion, claims, jwt,
                      sizeof(jwt), &desk_err));
    const struct store_signing_key *k = key_of(CRYPTO_JWS_RS256, STORE_SIGNER_ACTIVE);
    assert_true(is_signed_by(k));
    (void)json_object_set_new(claims, "sub", json_string("another"));
    desk_expect(service_sign(&desk.sv, VAULT_ID_TOKEN, "RS256", verdict.assertion, claims, jwt,
                             sizeof(jwt), &desk_err),
                B_E_REFUSED);
    json_decref(claims);
}

static void another_program_verifies_tokens_by_what_is_published(void **state)
{
    (void)state;
    char command[512];
    MUST(service_signer_begin(&desk.sv, &desk_err));
    json_t *set = jwks(time(NULL));
    char *text = json_dumps(set, JSON_COMPACT);
    (void)snprintf(command, sizeof(command), "python3 '%s'", getenv("TESSERE_VERIFY_JWT"));
    FILE *f = popen(command, "w"); // NOLINT(cert-env33-c)
    assert_non_null(f);
    (void)fprintf(f, "%s\n", text);
    for (int alg = 0; alg < CRYPTO_JWS_COUNT; alg++) {
        MUST(logout(crypto_jws_name((enum crypto_jws)alg)));
        (void)fprintf(f, "%s\n", jwt);
    }
    assert_int_equal(pclose(f), 0);
    free(text);
    json_decref(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_made_when_they_are_wanted_and_published_before_they_sign),
        cmocka_unit_test(a_token_is_signed_by_the_active_key_of_its_algorithm),
        cmocka_unit_test(keys_follow_each_other_when_it_is_time),
        cmocka_unit_test(a_person_rotates_once_the_next_keys_are_known),
        cmocka_unit_test(a_key_that_is_withdrawn_is_published_no_more_and_another_signs_at_once),
        cmocka_unit_test(a_tap_becomes_an_id_token),
        cmocka_unit_test(another_program_verifies_tokens_by_what_is_published),
    };
    return cmocka_run_group_tests(tests, open_desk, close_desk);
}
