/* What browsers and relying parties are given, and for how long it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "crypto/crypto.h"
#include "service/join.h"
#include "service/oidc.h"

#define MUST(call) assert_int_equal((call), B_OK)

static const char verifier[] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; /* RFC 7636, B */
static const struct oidc_client client = {
    .id = "ehr", .backchannel_uri = "https://rp.example/out", .alg = "RS256"};
static const struct oidc_client other = {.id = "pharmacy", .alg = "RS256"};
static struct oidc_request request = {.client = &client,
                                      .redirect_uri = "https://rp.example/cb",
                                      .nonce = "n",
                                      .challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
                                      .max_age = -1};
static struct service sv;
static struct store_station station;
static struct store_signon session;
static struct b_err err;

static int open_all(void **state)
{
    struct store *s = NULL;
    (void)state;
    memset(&sv, 0, sizeof(sv));
    station = (struct store_station){.name = "urg-01", .state = STORE_PARTY_ACTIVE};
    session = (struct store_signon){.sid = "S",
                                    .secret = {1},
                                    .badge_id = 1,
                                    .holder_ref = "10001",
                                    .tapped_at = time(NULL),
                                    .expires_at = time(NULL) + 1000};
    if (store_open(":memory:", true, &s, &err) != B_OK ||
        service_writer_open(s, false, &sv.writer, &err) != B_OK)
        return -1;
    sv.store = s;
    sv.asker = (struct service_asker){.actor = "browser", .request = ""};
    if (store_station_put(s, &station, &err) != B_OK)
        return -1;
    session.station = station.id;
    return store_signon_put(s, &session, &err) == B_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    service_writer_close(&sv.writer);
    return 0;
}

/* --- browsers ----------------------------------------------------------------------------------
 */

static void a_handle_joins_one_browser_to_its_station(void **state)
{
    char handle[SERVICE_SECRET];
    char cookie[SERVICE_SECRET];
    struct store_station found;
    (void)state;
    MUST(service_join_offer(&sv, station.id, STORE_BROWSER_HANDLE, handle, &err));
    MUST(service_join_take(&sv, STORE_BROWSER_HANDLE, handle, cookie, &found, &err));
    assert_string_equal(found.name, "urg-01");
    MUST(service_join_station(sv.store, cookie, time(NULL), &found, &err));
    assert_int_equal(service_join_station(sv.store, handle, time(NULL), &found, &err),
                     B_E_NOT_FOUND);
    assert_int_equal(
        service_join_station(sv.store, cookie, time(NULL) + SERVICE_JOIN_SECONDS, &found, &err),
        B_E_NOT_FOUND);
    assert_int_equal(service_join_take(&sv, STORE_BROWSER_HANDLE, handle, cookie, &found, &err),
                     B_E_JOIN);
}

static void what_is_too_old_or_of_another_kind_joins_nobody(void **state)
{
    struct store_browser old = {
        .kind = STORE_BROWSER_HANDLE, .station = station.id, .expires_at = time(NULL) - 1};
    char handle[SERVICE_SECRET];
    char cookie[SERVICE_SECRET];
    struct store_station found;
    (void)state;
    crypto_sha256("old", 3, old.digest);
    MUST(store_browser_add(sv.store, &old, &err));
    assert_int_equal(service_join_take(&sv, STORE_BROWSER_HANDLE, "old", cookie, &found, &err),
                     B_E_JOIN);
    MUST(service_join_offer(&sv, station.id, STORE_BROWSER_HANDLE, handle, &err));
    assert_int_equal(service_join_take(&sv, STORE_BROWSER_CODE, handle, cookie, &found, &err),
                     B_E_JOIN);
    assert_int_equal(service_join_station(sv.store, handle, time(NULL), &found, &err),
                     B_E_NOT_FOUND);
}

static void a_code_is_taken_as_people_type_it_and_the_newest_alone(void **state)
{
    char first[SERVICE_PAIR_CODE];
    char code[SERVICE_PAIR_CODE];
    char typed[16];
    char cookie[SERVICE_SECRET];
    struct store_station found;
    (void)state;
    MUST(service_join_offer(&sv, station.id, STORE_BROWSER_CODE, first, &err));
    MUST(service_join_offer(&sv, station.id, STORE_BROWSER_CODE, code, &err));
    assert_int_equal(service_join_take(&sv, STORE_BROWSER_CODE, first, cookie, &found, &err),
                     B_E_JOIN);
    (void)snprintf(typed, sizeof(typed), " %.4s-%s", code, code + 4);
    for (char *c = typed; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + 32);
    MUST(service_join_take(&sv, STORE_BROWSER_CODE, typed, cookie, &found, &err));
    assert_int_equal(service_join_take(&sv, STORE_BROWSER_CODE, "ABCDEFGHJ", cookie, &found, &err),
                     B_E_JOIN);
}

static void wrong_codes_are_told_only_while_there_is_one_to_be_guessed(void **state)
{
    char code[SERVICE_PAIR_CODE];
    char cookie[SERVICE_SECRET];
    struct store_station found;
    uint64_t before = 0;
    uint64_t after = 0;
    (void)state;
    MUST(store_entry_count(sv.store, &before, &err));
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            service_join_take(&sv, STORE_BROWSER_CODE, "AAAABBBB", cookie, &found, &err), B_E_JOIN);
    MUST(store_entry_count(sv.store, &after, &err));
    assert_int_equal(after, before);
    MUST(service_join_offer(&sv, station.id, STORE_BROWSER_CODE, code, &err));
    assert_int_equal(service_join_take(&sv, STORE_BROWSER_CODE, "AAAABBBB", cookie, &found, &err),
                     B_E_JOIN);
    MUST(store_entry_count(sv.store, &after, &err));
    assert_int_equal(after, before + 1);
}

static void a_station_that_is_stopped_has_no_browsers(void **state)
{
    char handle[SERVICE_SECRET];
    char cookie[SERVICE_SECRET];
    struct store_station found;
    (void)state;
    MUST(service_join_offer(&sv, station.id, STORE_BROWSER_HANDLE, handle, &err));
    MUST(service_join_take(&sv, STORE_BROWSER_HANDLE, handle, cookie, &found, &err));
    station.state = STORE_PARTY_SUSPENDED;
    MUST(store_station_put(sv.store, &station, &err));
    assert_int_equal(service_join_station(sv.store, cookie, time(NULL), &found, &err),
                     B_E_NOT_FOUND);
}

/* --- codes -------------------------------------------------------------------------------------
 */

static struct store_grant grant;
static struct store_signon found;
static char code[SERVICE_SECRET], token[SERVICE_SECRET];

static enum b_code redeem(const struct oidc_client *by, const char *uri, const char *proof)
{
    const struct service_redeem k = {
        .client = by, .code = code, .redirect_uri = uri, .verifier = proof};
    return service_oidc_redeem(&sv, &k, &grant, &found, token, &err);
}

static void give(void)
{
    MUST(service_oidc_give(&sv, &request, "https://op.example", session.id, code, &err));
}

static enum b_code whose(int64_t later)
{
    return service_oidc_whose(sv.store, token, time(NULL) + later, &grant, &found, &err);
}

static void a_code_becomes_a_token_once(void **state)
{
    char kept[SERVICE_SECRET];
    (void)state;
    give();
    MUST(redeem(&client, "https://rp.example/cb", verifier));
    assert_string_equal(grant.nonce, "n");
    assert_string_equal(found.sid, "S");
    MUST(whose(0));
    assert_int_equal(whose(SERVICE_ACCESS_SECONDS), B_E_NOT_FOUND);
    memcpy(kept, token, sizeof(kept));
    assert_int_equal(redeem(&client, "https://rp.example/cb", verifier), B_E_CODE_USED);
    memcpy(token, kept, sizeof(token));
    assert_int_equal(whose(0), B_E_NOT_FOUND); /* one of the two was a thief */
}

static void a_code_is_for_its_client_address_and_verifier(void **state)
{
    (void)state;
    give();
    assert_int_equal(redeem(&other, "https://rp.example/cb", verifier), B_E_CODE);
    MUST(redeem(&client, "https://rp.example/cb", verifier)); /* which another cannot spoil */
    give();
    assert_int_equal(redeem(&client, "https://rp.example/", verifier), B_E_CODE);
    assert_int_equal(redeem(&client, "https://rp.example/cb", verifier), B_E_CODE);
    give();
    assert_int_equal(redeem(&client, "https://rp.example/cb", ""), B_E_CODE);
    assert_int_equal(redeem(&client, "https://rp.example/cb", verifier), B_E_CODE);
    memset(code, 'A', sizeof(code) - 1);
    assert_int_equal(redeem(&client, "https://rp.example/cb", verifier), B_E_CODE);
}

static void a_code_is_good_for_a_minute_and_no_longer_than_the_session(void **state)
{
    uint8_t digest[32];
    (void)state;
    give();
    crypto_sha256(code, strlen(code), digest);
    MUST(store_grant_by_code(sv.store, digest, &grant, &err));
    assert_true(grant.expires_at <= time(NULL) + 60);
    grant.expires_at = time(NULL);
    MUST(store_grant_put(sv.store, &grant, &err));
    assert_int_equal(redeem(&client, "https://rp.example/cb", verifier), B_E_CODE);
    give();
    MUST(redeem(&client, "https://rp.example/cb", verifier));
    MUST(whose(0));
    give();
    MUST(service_signon_leave(&sv, &(struct store_signon_of){.station = station.id}, "logout",
                              &err));
    assert_int_equal(whose(0), B_E_NOT_FOUND);
    assert_int_equal(redeem(&client, "https://rp.example/cb", verifier), B_E_CODE);
    assert_int_equal(service_oidc_give(&sv, &request, "https://op.example", session.id, code, &err),
                     B_E_CHALLENGE_OVER);
}

static void a_session_answers_what_it_can(void **state)
{
    struct oidc_request q = request;
    int64_t now = session.tapped_at + 60;
    (void)state;
    assert_true(service_oidc_answers(&session, &q, now));
    q.max_age = 59;
    assert_false(service_oidc_answers(&session, &q, now));
    q.max_age = 60;
    assert_true(service_oidc_answers(&session, &q, now));
    q.needs_pin = true;
    assert_false(service_oidc_answers(&session, &q, now));
    q = request;
    q.must_ask = true;
    assert_false(service_oidc_answers(&session, &q, now));
    q = request;
    (void)snprintf(q.holder_ref, sizeof(q.holder_ref), "10002");
    assert_false(service_oidc_answers(&session, &q, now));
}

static void a_clients_assertion_is_taken_once(void **state)
{
    const struct oidc_once once = {.digest = {7}, .until = time(NULL) + 60};
    (void)state;
    MUST(service_oidc_once(&sv, "ehr", &once, &err));
    assert_int_equal(service_oidc_once(&sv, "ehr", &once, &err), B_E_DUPLICATE);
    MUST(store_oidc_forget(sv.store, time(NULL) + 120, &err));
    MUST(service_oidc_once(&sv, "ehr", &once, &err));
}

static bool count_told(void *ctx, const struct store_told *t)
{
    assert_string_equal(t->url, "https://rp.example/out");
    assert_string_equal(t->issuer, "https://op.example");
    (*(size_t *)ctx)++;
    return true;
}

static void who_wants_to_hear_of_the_end_is_noted_and_who_does_not_is_not(void **state)
{
    struct oidc_request q = request;
    size_t count = 0;
    (void)state;
    give();
    give();
    q.client = &other;
    MUST(service_oidc_give(&sv, &q, "https://op.example", session.id, code, &err));
    MUST(store_signon_each_told(sv.store, session.id, count_told, &count, &err));
    assert_int_equal(count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handle_joins_one_browser_to_its_station),
        TEST(what_is_too_old_or_of_another_kind_joins_nobody),
        TEST(a_code_is_taken_as_people_type_it_and_the_newest_alone),
        TEST(wrong_codes_are_told_only_while_there_is_one_to_be_guessed),
        TEST(a_station_that_is_stopped_has_no_browsers),
        TEST(a_code_becomes_a_token_once),
        TEST(a_code_is_for_its_client_address_and_verifier),
        TEST(a_code_is_good_for_a_minute_and_no_longer_than_the_session),
        TEST(a_session_answers_what_it_can),
        TEST(a_clients_assertion_is_taken_once),
        TEST(who_wants_to_hear_of_the_end_is_noted_and_who_does_not_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
