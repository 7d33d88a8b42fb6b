/* What relying parties and browsers send, read strictly; and what they are answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "oidc/claims.h"

#define ASKED                                                                                  \
    "client_id=ehr&redirect_uri=https%3A%2F%2Frp.example%2Fcb&response_type=code&scope=openid" \
    "&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

static struct oidc_clients clients;
static struct oidc_form form;
static struct b_err err;

static void set_clients(void)
{
    clients = (struct oidc_clients){
        .count = 3,
        .items = {{.id = "ehr",
                   .name_fr = "Dossier",
                   .name_en = "Record",
                   .redirect_uris = {"https://rp.example/cb", "https://rp.example/cb?x=1"},
                   .redirect_count = 2,
                   .logout_uris = {"https://rp.example/bye"},
                   .logout_count = 1,
                   .has_secret = true,
                   .alg = "RS256"},
                  {.id = "native",
                   .name_fr = "Poste",
                   .redirect_uris = {"http://127.0.0.1/cb", "http://[::1]:80/cb"},
                   .redirect_count = 2,
                   .is_loopback = true,
                   .alg = "ES256"},
                  {.id = "old",
                   .name_fr = "Ancien",
                   .redirect_uris = {"https://rp.example/cb"},
                   .redirect_count = 1,
                   .has_secret = true,
                   .needs_no_pkce = true,
                   .needs_pin = true,
                   .alg = "RS256"}}};
    crypto_sha256("s3cret", 6, clients.items[0].secret);
    crypto_sha256("a b%c", 5, clients.items[2].secret);
}

static int set_up(void **state)
{
    (void)state;
    set_clients();
    return 0;
}

static enum b_code parse(const char *text)
{
    return oidc_form_parse(b_rd_from(text, strlen(text)), &form, &err);
}

/* --- forms -------------------------------------------------------------------------------------
 */

static void fields_are_decoded_and_written_again(void **state)
{
    char text[64];
    struct b_wr w = b_wr_from(text, sizeof(text) - 1);
    (void)state;
    assert_int_equal(parse("a=1+2%2B&b=&c&%C3%A9=%26"), B_OK);
    assert_string_equal(oidc_form_get(&form, "a"), "1 2+");
    assert_null(oidc_form_get(&form, "b")); /* empty is absent: RFC 6749 section 3.1 */
    assert_null(oidc_form_get(&form, "c"));
    assert_string_equal(oidc_form_text(&form, "\xC3\xA9"), "&");
    oidc_form_drop(&form, "a");
    oidc_form_put(&w, &form);
    text[w.len] = '\0';
    assert_string_equal(text, "%C3%A9=%26&b=&c=");
}

static void what_no_browser_writes_is_refused(void **state)
{
    static const char *const bad[] = {"a=1&a=2",     "a=1&%61=2", "a=%",     "a=%4",
                                      "a=%zz",       "a=%00",     "a=%C3",   "a=%FF",
                                      "a=%ED%A0%80", "a=\x01",    "a=1&&a=", "=1&=2"};
    char many[16 * (OIDC_FIELDS_MAX + 1)];
    struct b_wr w = b_wr_from(many, sizeof(many) - 1);
    static char long_text[OIDC_FORM_MAX + 2];
    (void)state;
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_int_equal(parse(bad[i]), B_E_BAD_INPUT);
    assert_int_equal(oidc_form_parse(b_rd_from("a=\0", 3), &form, &err), B_E_BAD_INPUT);
    for (int i = 0; i <= OIDC_FIELDS_MAX; i++)
        b_wr_bytes(&w, (const char[]){'x', (char)('A' + i), '=', '1', '&'}, 5);
    many[w.len] = 0;
    assert_int_equal(parse(many), B_E_BAD_INPUT);
    memset(long_text, 'a', sizeof(long_text) - 1);
    assert_int_equal(parse(long_text), B_E_BAD_INPUT);
}

/* --- addresses ---------------------------------------------------------------------------------
 */

static void an_address_is_one_of_the_clients_byte_for_byte(void **state)
{
    static const char *const bad[] = {
        "https://rp.example/cb/", "https://rp.example/CB",      "https://rp.example:443/cb",
        "https://rp.example/cb#", "https://rp.example/cb?x=1&", "https://u@rp.example/cb",
        "http://rp.example/cb",   "http://127.0.0.1:5/cb",      ""};
    (void)state;
    assert_true(oidc_is_redirect_of(&clients.items[0], "https://rp.example/cb"));
    assert_true(oidc_is_redirect_of(&clients.items[0], "https://rp.example/cb?x=1"));
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_false(oidc_is_redirect_of(&clients.items[0], bad[i]));
    assert_true(oidc_is_logout_of(&clients.items[0], "https://rp.example/bye"));
    assert_false(oidc_is_logout_of(&clients.items[0], "https://rp.example/bye?"));
}

static void of_a_program_of_the_workstation_the_port_alone_may_differ(void **state)
{
    static const char *const good[] = {"http://127.0.0.1/cb", "http://127.0.0.1:49152/cb",
                                       "http://[::1]:1/cb", "http://[::1]/cb"};
    static const char *const bad[] = {"http://127.0.0.1:/cb",         "http://127.0.0.1:123456/cb",
                                      "http://127.0.0.1:80/cb/",      "http://127.0.0.1:80@evil/cb",
                                      "http://127.0.0.1.evil/cb",     "http://localhost/cb",
                                      "https://127.0.0.1/cb",         "http://127.0.0.2/cb",
                                      "http://127.0.0.1:80/cb?a=1",   "http://127.0.0.1",
                                      "http://127.0.0.1:80\\@evil/cb"};
    (void)state;
    for (size_t i = 0; i < B_COUNT(good); i++)
        assert_true(oidc_is_redirect_of(&clients.items[1], good[i]));
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_false(oidc_is_redirect_of(&clients.items[1], bad[i]));
}

static void addresses_that_two_readers_could_read_differently_are_none(void **state)
{
    static const char *const good[] = {"https://rp.example", "https://rp.example:8443/a/b?c=d",
                                       "https://[2001:db8::1]/x"};
    static const char *const bad[] = {"http://rp.example/",  "https://",       "https:///x",
                                      "https://a@b/",        "https://a\\b/",  "https://a/#",
                                      "https://a/ b",        "https://a/\xC3", "https://a/../b",
                                      "javascript:alert(1)", "//a/b",          "https://:80/",
                                      "http://127.0.0.1/"};
    char origin[64];
    (void)state;
    for (size_t i = 0; i < B_COUNT(good); i++)
        assert_true(oidc_is_uri(good[i], false));
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_false(oidc_is_uri(bad[i], false));
    assert_true(oidc_is_uri("http://127.0.0.1/", true));
    oidc_origin(good[1], origin, sizeof(origin));
    assert_string_equal(origin, "https://rp.example:8443");
}

/* --- clients -----------------------------------------------------------------------------------
 */

static const struct oidc_client *who(const char *authorization, const char *text)
{
    const char *reason = NULL;
    struct oidc_once once;
    const struct oidc_proof proof = {
        .authorization = authorization, .form = &form, .issuer = "https://op.example", .now = 1000};
    assert_int_equal(parse(text), B_OK);
    return oidc_client_authenticate(&clients, &proof, &once, &reason);
}

static void a_client_proves_itself_in_one_way(void **state)
{
    (void)state;
    assert_ptr_equal(who(NULL, "client_id=ehr&client_secret=s3cret"), &clients.items[0]);
    assert_ptr_equal(who("Basic ZWhyOnMzY3JldA==", ""), &clients.items[0]);
    assert_ptr_equal(who("bAsIc ZWhyOnMzY3JldA==", "client_id=ehr"), &clients.items[0]);
    assert_ptr_equal(who(NULL, "client_id=native"), &clients.items[1]);
    /* old:a+b%25c, encoded as RFC 6749 section 2.3.1 says */
    assert_ptr_equal(who("Basic b2xkOmErYiUyNWM=", ""), &clients.items[2]);
}

static void everybody_else_is_nobody(void **state)
{
    static const struct {
        const char *authorization, *form;
    } bad[] = {{NULL, ""},
               {NULL, "client_id=ehr"},
               {NULL, "client_id=ehr&client_secret=S3cret"},
               {NULL, "client_id=native&client_secret=x"},
               {NULL, "client_id=EHR&client_secret=s3cret"},
               {"Basic ZWhyOnMzY3JldA==", "client_secret=s3cret"},
               {"Basic ZWhyOnMzY3JldA==", "client_id=old"},
               {"Basic ZWhyOnMzY3JldA", ""},
               {"Basic ZWhy", ""},
               {"Basic ZWhyOnMzY3JldAA=", ""}, /* a NUL at its end */
               {"Bearer ZWhyOnMzY3JldA==", ""},
               {"Basic bmF0aXZlOg==", ""},
               {"", ""},
               {NULL, "client_id=ehr&client_secret=s3cret&client_assertion=x"}};
    (void)state;
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_null(who(bad[i].authorization, bad[i].form));
}

/* --- requests ----------------------------------------------------------------------------------
 */

static struct oidc_request request;
static struct oidc_refusal why;

static bool reads(const char *more)
{
    char text[2048];
    (void)snprintf(text, sizeof(text), "%s%s", ASKED, more);
    assert_int_equal(parse(text), B_OK);
    return oidc_request_read(&clients, &form, &request, &why);
}

static void a_request_is_read_whole(void **state)
{
    (void)state;
    assert_true(reads("&state=s%20t&nonce=n&login_hint=10001&max_age=60"));
    assert_string_equal(request.client->id, "ehr");
    assert_string_equal(request.state, "s t");
    assert_string_equal(request.holder_ref, "10001");
    assert_int_equal(request.max_age, 60);
    assert_false(request.needs_pin || request.is_profile || request.must_ask ||
                 request.may_not_ask);
    assert_true(reads("&prompt=login&max_age=999999999"));
    assert_true(request.must_ask && request.max_age == 14 * 24 * 3600);
    assert_true(reads("&prompt=none"));
    assert_true(request.may_not_ask && request.max_age == -1);
}

static void a_pin_is_wanted_by_wish_need_or_the_clients_entry(void **state)
{
    (void)state;
    assert_true(reads("&acr_values=urn:tessere:acr:badge%2Bpin+urn:tessere:acr:badge"));
    assert_true(request.needs_pin);
    assert_true(reads("&acr_values=urn:other+urn:tessere:acr:badge+urn:tessere:acr:badge%2Bpin"));
    assert_false(request.needs_pin);
    assert_true(reads("&claims=%7B%22id_token%22:%7B%22acr%22:%7B%22essential%22:true,%22value%22:"
                      "%22urn:tessere:acr:badge%2Bpin%22%7D%7D%7D"));
    assert_true(request.needs_pin);
    assert_true(reads("&claims=%7B%22id_token%22:%7B%22acr%22:%7B%22essential%22:true%7D%7D%7D"));
    assert_false(request.needs_pin);
    assert_false(reads("&claims=%7B%22id_token%22:%7B%22acr%22:%7B%22essential%22:true,%22value%22:"
                       "%22urn:other%22%7D%7D%7D"));
    assert_false(reads("&claims=%7B"));
    assert_true(
        reads("&claims=%7B%22userinfo%22:%7B%22sub%22:%7B%22value%22:%2210001%22%7D%7D%7D"));
    assert_string_equal(request.holder_ref, "10001");
    assert_false(
        reads("&login_hint=10002"
              "&claims=%7B%22id_token%22:%7B%22sub%22:%7B%22value%22:%2210001%22%7D%7D%7D"));
    assert_true(reads("&claims=%7B%22id_token%22:%7B%22sub%22:null%7D%7D"));
    assert_string_equal(request.holder_ref, "");
    assert_int_equal(parse("client_id=old&redirect_uri=https://rp.example/cb&response_type=code"
                           "&scope=profile+openid"),
                     B_OK);
    assert_true(oidc_request_read(&clients, &form, &request, &why));
    assert_true(request.needs_pin && request.is_profile && request.challenge[0] == '\0');
}

static void what_is_wrong_is_said_to_whom_it_may_be_said(void **state)
{
    static const struct {
        const char *text, *error;
        bool may_redirect;
    } bad[] = {
        {"", "invalid_request", false},
        {"client_id=nobody", "invalid_request", false},
        {"client_id=ehr", "invalid_request", false},
        {"client_id=ehr&redirect_uri=https://evil/", "invalid_request", false},
#define FROM "client_id=ehr&redirect_uri=https://rp.example/cb"
        {FROM, "invalid_request", true},
        {FROM "&response_type=token", "unsupported_response_type", true},
        {FROM "&response_type=code&response_mode=form_post", "invalid_request", true},
        {FROM "&response_type=code", "invalid_scope", true},
        {FROM "&response_type=code&scope=openidx", "invalid_scope", true},
        {FROM "&response_type=code&scope=openid", "invalid_request", true},
        {FROM "&response_type=code&scope=openid&code_challenge=x", "invalid_request", true},
        {FROM "&response_type=code&scope=openid&code_challenge_method=S256", "invalid_request",
         true},
        {FROM "&request=x", "request_not_supported", true},
        {FROM "&request_uri=x", "request_uri_not_supported", true},
        {FROM "&registration=x", "registration_not_supported", true},
        {ASKED "&prompt=none+login", "invalid_request", true},
        {ASKED "&max_age=1x", "invalid_request", true},
        {ASKED "&max_age=1234567890", "invalid_request", true},
    };
    (void)state;
    for (size_t i = 0; i < B_COUNT(bad); i++) {
        assert_int_equal(parse(bad[i].text), B_OK);
        assert_false(oidc_request_read(&clients, &form, &request, &why));
        assert_string_equal(why.error, bad[i].error);
        assert_int_equal(why.may_redirect, bad[i].may_redirect);
    }
}

static void an_answer_goes_where_it_was_asked_for_and_says_who_gives_it(void **state)
{
    char uri[1024];
    (void)state;
    assert_true(reads("&state=a%26b"));
    assert_true(oidc_answer_uri(&request, "https://op.example", &(struct oidc_answer){.code = "c"},
                                uri, sizeof(uri)));
    assert_string_equal(uri,
                        "https://rp.example/cb?code=c&state=a%26b&iss=https%3A%2F%2Fop.example");
    memcpy(request.redirect_uri, "https://rp.example/cb?x=1", sizeof("https://rp.example/cb?x=1"));
    assert_true(oidc_answer_uri(&request, "https://op.example",
                                &(struct oidc_answer){.error = "access_denied"}, uri, sizeof(uri)));
    assert_string_equal(uri, "https://rp.example/cb?x=1&error=access_denied&state=a%26b"
                             "&iss=https%3A%2F%2Fop.example");
    assert_false(oidc_answer_uri(&request, "https://op.example", &(struct oidc_answer){.code = "c"},
                                 uri, 32));
}

static void a_verifier_is_the_challenges(void **state)
{
    /* RFC 7636, appendix B */
    static const char verifier[] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    static const char challenge[] = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    char text[140];
    (void)state;
    assert_true(oidc_is_verifier(verifier, challenge));
    assert_false(oidc_is_verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK", challenge));
    assert_false(oidc_is_verifier(challenge, challenge)); /* plain */
    assert_false(oidc_is_verifier("", ""));
    assert_false(oidc_is_verifier(verifier, ""));
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_false(oidc_is_verifier(text, challenge));
}

static void languages_go_by_their_order(void **state)
{
    (void)state;
    assert_true(oidc_is_french("") && oidc_is_french("de") && oidc_is_french("fr-CA,en;q=0.8"));
    assert_true(oidc_is_french("de,fr;q=0.9,en;q=0.8") && oidc_is_french("br fr en"));
    assert_false(oidc_is_french("en-GB,en;q=0.9,fr;q=0.8") || oidc_is_french("de en fr"));
}

static void claims_say_what_the_vault_does_not(void **state)
{
    const struct oidc_token t = {.issuer = "https://op.example",
                                 .client = "ehr",
                                 .nonce = "",
                                 .sid = "S",
                                 .access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y",
                                 .expires_at = 5};
    (void)state;
    json_t *o = oidc_id_claims(&t);
    /* OpenID Connect Core, appendix A.3 */
    assert_string_equal(json_string_value(json_object_get(o, "at_hash")), "77QmUPtjPfzWtF2AnpK9RQ");
    assert_null(json_object_get(o, "nonce"));
    assert_null(json_object_get(o, "sub"));
    json_decref(o);
    o = oidc_discovery("https://op.example", true);
    assert_string_equal(json_string_value(json_object_get(o, "token_endpoint")),
                        "https://op.example/token");
    assert_true(json_is_true(json_object_get(o, "backchannel_logout_supported")));
    assert_true(json_is_true(json_object_get(o, "require_pushed_authorization_requests")));
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_decoded_and_written_again),
        cmocka_unit_test(what_no_browser_writes_is_refused),
        cmocka_unit_test(an_address_is_one_of_the_clients_byte_for_byte),
        cmocka_unit_test(of_a_program_of_the_workstation_the_port_alone_may_differ),
        cmocka_unit_test(addresses_that_two_readers_could_read_differently_are_none),
        cmocka_unit_test(a_client_proves_itself_in_one_way),
        cmocka_unit_test(everybody_else_is_nobody),
        cmocka_unit_test(a_request_is_read_whole),
        cmocka_unit_test(a_pin_is_wanted_by_wish_need_or_the_clients_entry),
        cmocka_unit_test(what_is_wrong_is_said_to_whom_it_may_be_said),
        cmocka_unit_test(an_answer_goes_where_it_was_asked_for_and_says_who_gives_it),
        cmocka_unit_test(a_verifier_is_the_challenges),
        cmocka_unit_test(languages_go_by_their_order),
        cmocka_unit_test(claims_say_what_the_vault_does_not),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
