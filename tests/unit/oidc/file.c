/* The relying parties' file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "oidc/file.h"

#define DIGEST "secret-sha256: 9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"

static struct oidc_clients clients;
static struct b_err err;

static enum b_code parse(const char *text)
{
    return oidc_clients_parse("clients.yaml", text, strlen(text), &clients, &err);
}

static enum b_code entry(const char *fields)
{
    char text[1024];
    (void)snprintf(text, sizeof(text),
                   "clients:\n- {id: a, name: {fr: A}, redirect-uris: ['https://a/'], %s}\n",
                   fields);
    return parse(text);
}

static void an_entry_is_read_with_its_defaults(void **state)
{
    (void)state;
    assert_int_equal(entry(DIGEST), B_OK);
    const struct oidc_client *c = oidc_client_find(&clients, "a");
    assert_non_null(c);
    assert_true(c->has_secret && !c->needs_no_pkce && !c->needs_pin && !c->is_loopback);
    assert_string_equal(c->alg, "RS256");
    assert_string_equal(oidc_client_name(c, false), "A");
    assert_int_equal(c->secret[0], 0x9F);
    assert_int_equal(entry("public: true, alg: ES256, acr: badge+pin, backchannel-logout-uri: "
                           "'https://a/out', post-logout-redirect-uris: ['https://a/bye']"),
                     B_OK);
    c = oidc_client_find(&clients, "a");
    assert_true(!c->has_secret && c->needs_pin && !c->must_push && c->logout_count == 1);
    assert_string_equal(c->alg, "ES256");
    assert_string_equal(c->backchannel_uri, "https://a/out");
    assert_null(oidc_client_find(&clients, "b"));
    assert_false(oidc_clients_push(&clients));
    assert_int_equal(entry(DIGEST ", require-pushed: true"), B_OK);
    assert_true(oidc_client_find(&clients, "a")->must_push && oidc_clients_push(&clients));
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *fields, *named;
    } bad[] = {{"alg: RS256", "secret-file"},
               {DIGEST ", public: true", "secret-file"},
               {"secret-sha256: abc", "secret-sha256"},
               {DIGEST ", alg: HS256", "alg"},
               {DIGEST ", alg: none", "alg"},
               {DIGEST ", pkce: plain", "pkce"},
               {"public: true, pkce: optional", "pkce"},
               {DIGEST ", acr: password", "acr"},
               {DIGEST ", backchannel-logout-uri: 'http://a/'", "backchannel-logout-uri"},
               {DIGEST ", post-logout-redirect-uris: ['https://a/#x']", "post-logout"},
               {DIGEST ", colour: red", "colour"},
               {"secret-file: /nowhere/at/all", "secret-file"}};
    (void)state;
    for (size_t i = 0; i < B_COUNT(bad); i++) {
        assert_int_equal(entry(bad[i].fields), B_E_CONFIG);
        assert_non_null(strstr(err.msg, bad[i].named));
    }
    assert_int_equal(parse(""), B_E_CONFIG);
    assert_int_equal(parse("clients: []"), B_E_CONFIG);
    assert_int_equal(parse("clients:\n- {id: 'a b', name: {fr: A}, redirect-uris: ['https://a/'], "
                           "public: true}\n"),
                     B_E_CONFIG);
    assert_int_equal(parse("clients:\n- {id: a, name: {fr: A}, redirect-uris: "
                           "['http://127.0.0.1/'], public: true}\n"),
                     B_E_CONFIG);
    assert_int_equal(
        parse("clients:\n"
              "- {id: a, name: {fr: A}, redirect-uris: ['https://a/'], public: true}\n"
              "- {id: a, name: {fr: B}, redirect-uris: ['https://a/'], public: true}\n"),
        B_E_CONFIG);
}

static void a_secret_comes_from_a_file_beside_it(void **state)
{
    char dir[] = "/tmp/tessere-oidc-XXXXXX";
    char path[64];
    char secret[64];
    uint8_t digest[32];
    static const char text[] = "clients:\n- {id: a, name: {fr: A}, redirect-uris: ['https://a/'], "
                               "secret-file: a.secret}\n";
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/clients.yaml", dir);
    (void)snprintf(secret, sizeof(secret), "%s/a.secret", dir);
    for (int is_long = 0; is_long < 2; is_long++) {
        FILE *f = fopen(secret, "w");
        assert_non_null(f);
        (void)fputs(is_long ? "0123456789abcdef0123456789abcdef\n" : "short\n", f);
        (void)fclose(f);
        assert_int_equal(oidc_clients_parse(path, text, strlen(text), &clients, &err),
                         is_long ? B_OK : B_E_CONFIG);
    }
    crypto_sha256("0123456789abcdef0123456789abcdef", 32, digest);
    assert_memory_equal(clients.items[0].secret, digest, sizeof(digest));
    (void)unlink(secret);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_read_with_its_defaults),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_secret_comes_from_a_file_beside_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
