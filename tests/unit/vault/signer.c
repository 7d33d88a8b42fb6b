/* Keys that sign tokens, message by message: what is signed, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "crypto/crypto.h"
#include "crypto/jws.h"
#include "fake_keyring.h"
#include "vault/identity.h"

static struct vaultd d;
static struct fake_keyring keyring;
static struct vault_signer k;
static uint8_t answer[VAULT_MESSAGE_MAX];
static uint8_t request[VAULT_MESSAGE_MAX];

static uint64_t now_us(void)
{
    return 1000;
}

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    crypto_random(p, n);
}

static struct wire_out begin(struct b_wr *w, enum vault_msg id)
{
    *w = b_wr_from(request, sizeof(request));
    b_wr_u8(w, (uint8_t)id);
    return wire_out_from(vault_msg_row((uint8_t)id)->request, w);
}

static enum b_code ask(const struct b_wr *w, struct wire_in *ret)
{
    struct b_wr to = b_wr_from(answer, sizeof(answer));
    struct b_err e = {0};
    assert_true(b_wr_ok(w));
    assert_true(vaultd_handle(&d, b_rd_from(w->p, w->len), &to));
    struct b_rd r = b_rd_from(answer, to.len);
    if (b_rd_u8(&r) == 0) {
        *ret = wire_in_from(vault_msg_row(request[0])->answer, r);
        return B_OK;
    }
    assert_true(wire_get_error(r, &e));
    return e.code;
}

static void begin_vault(void)
{
    struct b_wr w;
    struct wire_in in;
    vaultd_init(&d, fake_keyring(&keyring), (struct df_random){.fill = fill}, now_us);
    struct wire_out o = begin(&w, VAULT_MSG_CONFIGURE);
    wire_put_u32(&o, VAULT_PROTOCOL);
    wire_put_string(&o, "pkcs11:token=x");
    wire_put_string(&o, "750712184");
    wire_put_string(&o, NULL);
    for (int i = 0; i < 3; i++)
        wire_put_u8(&o, 0);
    wire_put_u8(&o, 1);
    wire_put_string(&o, "");
    wire_put_u32(&o, 0);
    wire_put_u8(&o, 1);
    assert_int_equal(ask(&w, &in), B_OK);
}

static int start(void **state)
{
    (void)state;
    assert_int_equal(b_secret_init(4 << 20, false, NULL), B_OK);
    begin_vault();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    vaultd_drop(&d);
    assert_int_equal(b_secret_in_use(), 0);
    return 0;
}

static void make(const char *alg, struct vault_signer *ret)
{
    struct b_wr w;
    struct wire_in in;
    struct wire_out o = begin(&w, VAULT_MSG_SIGNER_MAKE);
    wire_put_string(&o, alg);
    assert_int_equal(ask(&w, &in), B_OK);
    wire_get_string(&in, ret->id, sizeof(ret->id));
    struct b_rd public_key = wire_get_bytes(&in);
    struct b_rd wrapped = wire_get_bytes(&in);
    assert_true(wire_in_end(&in));
    ret->public_len = public_key.left;
    ret->wrapped_len = wrapped.left;
    b_rd_bytes(&public_key, ret->public_key, public_key.left);
    b_rd_bytes(&wrapped, ret->wrapped, wrapped.left);
}

static char jwt[VAULT_JWT_MAX];

static enum b_code sign(const struct vault_signer *signer, enum vault_token_kind kind,
                        const char *assertion, const char *claims)
{
    struct b_wr w;
    struct wire_in in;
    struct wire_out o = begin(&w, VAULT_MSG_SIGNER_SIGN);
    wire_put_bytes(&o, signer->wrapped, signer->wrapped_len);
    wire_put_u8(&o, (uint8_t)kind);
    wire_put_bytes(&o, assertion, strlen(assertion));
    wire_put_bytes(&o, claims, strlen(claims));
    enum b_code r = ask(&w, &in);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    size_t n = bytes.left;
    b_rd_bytes(&bytes, jwt, n);
    jwt[n] = '\0';
    return B_OK;
}

/* --- assertions and claims ---------------------------------------------------------------------
 */

static const char *assertion(bool has_pin, const char *issuer, const char *subject)
{
    static char text[VAULT_ASSERTION_MAX];
    struct vault_claims c = {.station = "ward-1", .badge = 12, .seconds = 60};
    const struct vaultd_proven proven = {.card = "04", .generation = 1, .has_pin = has_pin};
    struct b_wr w = b_wr_from(text, sizeof(text) - 1);
    (void)snprintf(c.issuer, sizeof(c.issuer), "%s", issuer);
    (void)snprintf(c.subject, sizeof(c.subject), "%s", subject);
    assert_int_equal(vaultd_assert(&d, &c, &proven, &w, NULL), B_OK);
    text[w.len] = '\0';
    return text;
}

static const char *tap(void)
{
    return assertion(false, "tessere:750712184", "10001234567");
}

/* As the vault would have signed it at that time. */
static const char *assertion_at(long long at)
{
    static char text[VAULT_ASSERTION_MAX];
    const struct vaultd_identity *id = NULL;
    char payload[256];
    uint8_t signature[64];
    (void)snprintf(text, sizeof(text), "%s", tap());
    struct b_wr w = b_wr_from(text, sizeof(text) - 1);
    w.len = (size_t)(strchr(text, '.') - text) + 1;
    int n = snprintf(payload, sizeof(payload),
                     "{\"amr\":[\"hwk\"],\"iss\":\"tessere:750712184\",\"sub\":\"1\","
                     "\"auth_time\":%lld}",
                     at);
    vaultd_put_encoded(&w, b_rd_from(payload, (size_t)n));
    assert_int_equal(vaultd_identity(&d, &id, NULL), B_OK);
    assert_true(crypto_es256_sign(id->assertion, text, w.len, signature));
    b_wr_u8(&w, '.');
    vaultd_put_encoded(&w, b_rd_from(signature, sizeof(signature)));
    assert_true(b_wr_ok(&w));
    text[w.len] = '\0';
    return text;
}

static const char *claims(const char *more)
{
    static char text[1024];
    (void)snprintf(text, sizeof(text), "{\"iss\":\"https://id\",\"aud\":\"his\",\"exp\":%lld%s}",
                   (long long)time(NULL) + 300, more);
    return text;
}

#define EVENTS \
    ",\"jti\":\"7\",\"events\":{\"http://schemas.openid.net/event/backchannel-logout\":{}}"

static json_t *part(const char **from)
{
    static uint8_t bytes[VAULT_JWT_MAX];
    size_t n = strcspn(*from, ".");
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    assert_true(b_unbase64url(&w, *from, n));
    *from += n + 1;
    json_t *o = json_loadb((char *)bytes, w.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    return o;
}

static void check_text(const json_t *o, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(o, name));
    assert_non_null(text);
    assert_string_equal(text, wanted);
}

/* The payload, once header and signature are right. */
static json_t *open_jwt(const struct vault_signer *signer, const char *alg, const char *type)
{
    uint8_t bytes[CRYPTO_JWS_SIGNATURE_MAX];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    const char *at = jwt;
    json_t *header = part(&at);
    check_text(header, "alg", alg);
    check_text(header, "kid", signer->id);
    check_text(header, "typ", type);
    json_decref(header);
    json_t *payload = part(&at);
    assert_true(b_unbase64url(&w, at, strlen(at)));
    assert_true(crypto_jws_verify(crypto_jws_from(alg),
                                  b_rd_from(signer->public_key, signer->public_len),
                                  b_rd_from(jwt, (size_t)(at - 1 - jwt)), b_wr_reader(&w)));
    bytes[9] ^= 1;
    assert_false(crypto_jws_verify(crypto_jws_from(alg),
                                   b_rd_from(signer->public_key, signer->public_len),
                                   b_rd_from(jwt, (size_t)(at - 1 - jwt)), b_wr_reader(&w)));
    return payload;
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void an_id_token_says_what_the_vault_saw(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *alg = i == 0 ? "RS256" : "ES256";
        make(alg, &k);
        assert_int_equal(sign(&k, VAULT_ID_TOKEN, tap(),
                              claims(",\"nonce\":\"n\xC3\xA9\\u0041\",\"name\":\"A \\\"B\\\"\"")),
                         B_OK);
        json_t *o = open_jwt(&k, alg, "JWT");
        check_text(o, "sub", "10001234567");
        check_text(o, "acr", "urn:tessere:acr:badge");
        check_text(o, "iss", "https://id");
        check_text(o, "nonce",
                   "n\xC3\xA9"
                   "A");
        assert_int_equal(json_array_size(json_object_get(o, "amr")), 1);
        long long at = json_integer_value(json_object_get(o, "auth_time"));
        assert_in_range(at, time(NULL) - 5, time(NULL));
        assert_in_range(json_integer_value(json_object_get(o, "iat")), at, time(NULL));
        json_decref(o);
    }
}

static void a_pin_shows_in_the_id_token(void **state)
{
    (void)state;
    make("ES256", &k);
    assert_int_equal(
        sign(&k, VAULT_ID_TOKEN, assertion(true, "tessere:750712184", "1"), claims("")), B_OK);
    json_t *o = open_jwt(&k, "ES256", "JWT");
    check_text(o, "acr", "urn:tessere:acr:badge+pin");
    assert_int_equal(json_array_size(json_object_get(o, "amr")), 2);
    json_decref(o);
}

static void what_the_vault_says_itself_the_peer_may_not(void **state)
{
    (void)state;
    static const char *const reserved[] = {"sub", "amr", "acr", "auth_time", "iat", "events"};
    char more[64];
    make("ES256", &k);
    for (size_t i = 0; i < B_COUNT(reserved); i++) {
        (void)snprintf(more, sizeof(more), ",\"%s\":{}", reserved[i]);
        assert_int_equal(sign(&k, VAULT_ID_TOKEN, tap(), claims(more)), B_E_REFUSED);
    }
}

static void claims_that_two_readers_could_read_differently_are_refused(void **state)
{
    (void)state;
    static const char *const more[] = {",\"aud\":\"other\"", ",\"s\\u0075b\":\"2\"",
                                       ",\"a\":\"\n\"",      ", \"a\":1",
                                       ",\"a\":01",          ",\"a\":1.",
                                       ",\"a\":[1,]",        ",\"a\":\"\xC0\xAF\"",
                                       ",\"a\":\"\\x\"",     ",\"\":1",
                                       ",\"a\":tru",         ",",
                                       "},{\"a\":1",         ",\"a\":[[[[[[[[[1]]]]]]]]]",
                                       ",\"a\":\"\\u12\"",   ",\"a\":\"\\ud800\"",
                                       ",\"a\":\"\\u0000\"", ",\"a\":{\"b\":1}}}",
                                       ",\"a\":-",           ",a:1"};
    make("ES256", &k);
    for (size_t i = 0; i < B_COUNT(more); i++)
        if (sign(&k, VAULT_ID_TOKEN, tap(), claims(more[i])) != B_E_BAD_INPUT)
            fail_msg("%s", more[i]);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, tap(), "{}"), B_E_BAD_INPUT);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, tap(), ""), B_E_BAD_INPUT);
    assert_int_equal(
        sign(&k, VAULT_ID_TOKEN, tap(), claims(",\"a\":[{\"b\":-1.5e+3},null,true,false,[],{}]")),
        B_OK);
}

static void a_token_that_would_live_long_is_refused(void **state)
{
    (void)state;
    static const char *const until[] = {"99999999999", "1", "\"1\"", "-1", "1e12"};
    char text[128];
    make("ES256", &k);
    for (size_t i = 0; i < B_COUNT(until); i++) {
        (void)snprintf(text, sizeof(text), "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":%s}", until[i]);
        assert_int_equal(sign(&k, VAULT_ID_TOKEN, tap(), text), B_E_REFUSED);
    }
}

static void an_id_token_needs_a_tap_of_this_vault_not_long_ago(void **state)
{
    (void)state;
    static char text[VAULT_ASSERTION_MAX];
    long long now = (long long)time(NULL);
    make("ES256", &k);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, "", claims("")), B_E_ASSERTION);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, "..", claims("")), B_E_ASSERTION);
    (void)snprintf(text, sizeof(text), "%s", tap());
    text[strcspn(text, ".") + 12] ^= 1;
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, text, claims("")), B_E_ASSERTION);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, assertion(true, "tessere:1", "1"), claims("")),
                     B_E_ASSERTION);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, assertion(true, "tessere:750712184", ""), claims("")),
                     B_E_ASSERTION);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, assertion_at(now - 13 * 3600), claims("")), B_OK);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, assertion_at(now - 15 * 3600), claims("")),
                     B_E_ASSERTION);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, assertion_at(now + 3600), claims("")), B_E_ASSERTION);
}

static void an_assertion_of_another_token_or_an_id_token_is_none(void **state)
{
    (void)state;
    static char text[VAULT_ASSERTION_MAX];
    make("ES256", &k);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, tap(), claims("")), B_OK);
    (void)snprintf(text, sizeof(text), "%.2000s", jwt);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, text, claims("")), B_E_ASSERTION);
    (void)snprintf(text, sizeof(text), "%s", tap());
    vaultd_drop(&d);
    keyring.gives_zero = true;
    begin_vault();
    make("ES256", &k);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, text, claims("")), B_E_ASSERTION);
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, tap(), claims("")), B_OK);
    keyring.gives_zero = false;
}

static void a_logout_token_can_be_no_id_token(void **state)
{
    (void)state;
    make("RS256", &k);
    assert_int_equal(
        sign(&k, VAULT_LOGOUT_TOKEN, "", claims(",\"sub\":\"1\",\"sid\":\"x\"" EVENTS)), B_OK);
    json_t *o = open_jwt(&k, "RS256", "logout+jwt");
    check_text(o, "sub", "1");
    assert_null(json_object_get(o, "auth_time"));
    json_decref(o);
    assert_int_equal(sign(&k, VAULT_LOGOUT_TOKEN, "", claims("")), B_E_BAD_INPUT);
    assert_int_equal(sign(&k, VAULT_LOGOUT_TOKEN, "", claims(",\"jti\":\"1\",\"events\":1")),
                     B_E_BAD_INPUT);
    assert_int_equal(sign(&k, VAULT_LOGOUT_TOKEN, "", claims(",\"nonce\":\"n\"" EVENTS)),
                     B_E_REFUSED);
    assert_int_equal(sign(&k, VAULT_LOGOUT_TOKEN, "", claims(",\"amr\":[]" EVENTS)), B_E_REFUSED);
    assert_int_equal(sign(&k, VAULT_LOGOUT_TOKEN, tap(), claims(EVENTS)), B_E_BAD_INPUT);
}

static void an_event_token_says_what_it_is(void **state)
{
    (void)state;
    make("ES256", &k);
    assert_int_equal(sign(&k, VAULT_EVENT_TOKEN, "", "{\"iss\":\"i\"" EVENTS "}"), B_OK);
    json_decref(open_jwt(&k, "ES256", "secevent+jwt"));
    assert_int_equal(sign(&k, VAULT_EVENT_TOKEN, "", claims(",\"nonce\":\"n\"" EVENTS)),
                     B_E_REFUSED);
}

static void a_wrapped_key_that_was_changed_opens_nothing(void **state)
{
    (void)state;
    static struct vault_signer changed;
    make("ES256", &k);
    for (size_t i = 0; i < k.wrapped_len; i++) {
        changed = k;
        changed.wrapped[i] ^= 1; /* 1: RS256 becomes ES256, and back */
        assert_int_equal(sign(&changed, VAULT_ID_TOKEN, tap(), claims("")), B_E_SIGNER_KEY);
    }
    for (size_t n = 0; n < k.wrapped_len; n++) {
        changed = k;
        changed.wrapped_len = n;
        assert_int_equal(sign(&changed, VAULT_ID_TOKEN, tap(), claims("")), B_E_SIGNER_KEY);
    }
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, tap(), claims("")), B_OK);
}

static void a_key_of_another_token_opens_nothing_and_of_this_one_after_a_start(void **state)
{
    (void)state;
    make("RS256", &k);
    vaultd_drop(&d);
    begin_vault();
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, tap(), claims("")), B_OK);
    vaultd_drop(&d);
    keyring.gives_zero = true;
    begin_vault();
    assert_int_equal(sign(&k, VAULT_ID_TOKEN, tap(), claims("")), B_E_SIGNER_KEY);
    keyring.gives_zero = false;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(an_id_token_says_what_the_vault_saw),
        TEST(a_pin_shows_in_the_id_token),
        TEST(what_the_vault_says_itself_the_peer_may_not),
        TEST(claims_that_two_readers_could_read_differently_are_refused),
        TEST(a_token_that_would_live_long_is_refused),
        TEST(an_id_token_needs_a_tap_of_this_vault_not_long_ago),
        TEST(an_assertion_of_another_token_or_an_id_token_is_none),
        TEST(a_logout_token_can_be_no_id_token),
        TEST(an_event_token_says_what_it_is),
        TEST(a_wrapped_key_that_was_changed_opens_nothing),
        TEST(a_key_of_another_token_opens_nothing_and_of_this_one_after_a_start),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
