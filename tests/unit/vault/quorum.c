/* Dual control as the vault sees it: what a server that was taken over might try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "crypto/sign.h"
#include "fake_keyring.h"
#include "vault/quorum.h"

static struct vaultd d;
static struct fake_keyring keyring;
static uint8_t answer[VAULT_MESSAGE_MAX];
static struct crypto_es256 *keys[4];
static char roster[4096], proposal[2048];

static uint64_t now_us(void)
{
    return 1;
}

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 0x5A, n);
}

static enum b_code send_message(const struct b_wr *w)
{
    struct b_wr out = b_wr_from(answer, sizeof(answer));
    struct b_err e = {0};
    assert_true(vaultd_handle(&d, b_wr_reader(w), &out));
    struct b_rd r = b_wr_reader(&out);
    if (b_rd_u8(&r) == 0)
        return B_OK;
    assert_true(wire_get_error(r, &e));
    return e.code;
}

static struct wire_out begin(struct b_wr *w, enum vault_msg id)
{
    static uint8_t bytes[8192];
    *w = b_wr_from(bytes, sizeof(bytes));
    b_wr_u8(w, (uint8_t)id);
    return wire_out_from(vault_msg_row((uint8_t)id)->request, w);
}

static uint8_t policy[32] = {1, 2, 3}; /* digest of the one in force */

static enum b_code found(const char *text)
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_ROSTER_FOUND);
    wire_put_bytes(&o, text, strlen(text));
    wire_put_bytes(&o, policy, sizeof(policy));
    return send_message(&w);
}

static enum b_code generate(void)
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_KEY_GENERATE);
    wire_put_u8(&o, KEY_ROLE_AUTH);
    wire_put_u8(&o, 9);
    return send_message(&w);
}

/* A roster of the first n keys. */
static void write_roster(char *to, unsigned quorum, size_t n)
{
    int at = snprintf(to, sizeof(roster), "tessere-roster/v1\nestablishment 750712184\nquorum %u\n",
                      quorum);
    for (size_t i = 0; i < n; i++) {
        uint8_t point[65];
        char hex[131];
        crypto_es256_public(keys[i], point);
        b_hex(hex, point, sizeof(point));
        at += snprintf(to + at, sizeof(roster) - (size_t)at, "approver p%zu %s\n", i, hex);
    }
}

static void propose(const char *action, const char *argument, long long expires)
{
    uint8_t digest[32];
    char hex[65];
    crypto_sha256(roster, strlen(roster), digest);
    b_hex(hex, digest, sizeof(digest));
    (void)snprintf(proposal, sizeof(proposal),
                   "tessere-proposal/v1\nestablishment 750712184\nroster %s\nnumber 1\naction %s\n"
                   "argument %s\nproposer p0\nexpires %lld\n",
                   hex, action, argument, expires);
}

static enum b_code carry(const size_t *signers, size_t count)
{
    uint8_t signatures[8][64];
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_CARRY_OUT);
    for (size_t i = 0; i < count; i++)
        assert_true(crypto_es256_sign(keys[signers[i]], proposal, strlen(proposal), signatures[i]));
    wire_put_bytes(&o, roster, strlen(roster));
    wire_put_bytes(&o, proposal, strlen(proposal));
    wire_put_bytes(&o, signatures, count * 64);
    return send_message(&w);
}

/* With the token as it is. */
static void start_vault(void)
{
    struct b_wr w;
    vaultd_init(&d, fake_keyring(&keyring), (struct df_random){.fill = fill}, now_us);
    struct wire_out o = begin(&w, VAULT_MSG_CONFIGURE);
    wire_put_u32(&o, VAULT_PROTOCOL);
    wire_put_string(&o, "pkcs11:token=x");
    wire_put_string(&o, "750712184");
    wire_put_string(&o, NULL);
    wire_put_u8(&o, 0);
    wire_put_u8(&o, 0);
    wire_put_u8(&o, 0);
    wire_put_u8(&o, 1);
    wire_put_string(&o, NULL);
    wire_put_u32(&o, 16);
    wire_put_u8(&o, 1);
    wire_put_string(&o, NULL);
    assert_int_equal(send_message(&w), B_OK);
}

static int start(void **state)
{
    (void)state;
    assert_int_equal(b_secret_init(4 << 20, false, NULL), B_OK);
    keyring = (struct fake_keyring){.fails = B_OK};
    start_vault();
    for (size_t i = 0; i < B_COUNT(keys); i++) {
        uint8_t scalar[32] = {[31] = (uint8_t)(i + 1)};
        keys[i] = crypto_es256_new(scalar);
        assert_non_null(keys[i]);
    }
    write_roster(roster, 2, 3); /* the fourth key is nobody's */
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < B_COUNT(keys); i++)
        crypto_es256_free(&keys[i]);
    vaultd_drop(&d);
    return 0;
}

static const long long later = 4102444800; /* 2100 */

static void before_a_roster_keys_are_made_freely_and_after_it_by_a_quorum(void **state)
{
    (void)state;
    assert_int_equal(generate(), B_OK);
    assert_int_equal(found(roster), B_OK);
    assert_int_equal(generate(), B_E_QUORUM);
    propose("rotate", "auth 2", later);
    assert_int_equal(carry((size_t[]){0, 1}, 2), B_OK);
    assert_int_equal(carry((size_t[]){2, 1, 0}, 3), B_OK);
}

static void a_key_that_a_cut_rotation_made_is_the_one_that_is_rotated_to(void **state)
{
    (void)state;
    assert_int_equal(found(roster), B_OK);
    keyring.has_made = true;
    propose("rotate", "auth 2", later);
    assert_int_equal(carry((size_t[]){0}, 1), B_E_QUORUM);
    assert_int_equal(carry((size_t[]){0, 1}, 2), B_OK);
    propose("rotate", "picc 2", later); /* the token says that it is there, and does not show it */
    assert_int_equal(carry((size_t[]){0, 1}, 2), B_E_KEY_MISSING);
}

static void a_roster_is_founded_once(void **state)
{
    (void)state;
    assert_int_equal(found(roster), B_OK);
    assert_int_equal(found(roster), B_E_QUORUM);
}

static void who_stands_twice_in_a_roster_is_no_quorum(void **state)
{
    (void)state;
    static char text[sizeof(roster)]; /* zeros behind it */
    write_roster(text, 2, 1);
    const char *line = strstr(text, "approver");
    size_t n = strlen(line);
    memcpy(text + strlen(text), line, n); /* one key on two lines */
    assert_int_equal(found(text), B_E_BAD_INPUT);
}

static void a_quorum_of_one_or_more_than_there_are_is_no_roster(void **state)
{
    (void)state;
    static char text[4096];
    write_roster(text, 1, 3);
    assert_int_equal(found(text), B_E_BAD_INPUT);
    write_roster(text, 4, 3);
    assert_int_equal(found(text), B_E_BAD_INPUT);
    write_roster(text, 2, 3);
    text[strlen(text) - 2] = 'X';
    assert_int_equal(found(text), B_E_BAD_INPUT);
    assert_int_equal(found(""), B_E_BAD_INPUT);
}

static void too_few_twice_the_same_or_a_strangers_signature_is_refused(void **state)
{
    (void)state;
    assert_int_equal(found(roster), B_OK);
    propose("rotate", "auth 2", later);
    assert_int_equal(carry(NULL, 0), B_E_QUORUM);
    assert_int_equal(carry((size_t[]){0}, 1), B_E_QUORUM);
    assert_int_equal(carry((size_t[]){0, 0}, 2), B_E_APPROVAL_BAD);
    assert_int_equal(carry((size_t[]){0, 3}, 2), B_E_APPROVAL_BAD);
}

static void signatures_over_another_text_are_refused(void **state)
{
    (void)state;
    uint8_t signatures[2][64];
    struct b_wr w;
    assert_int_equal(found(roster), B_OK);
    propose("rotate", "auth 2", later);
    for (size_t i = 0; i < 2; i++)
        assert_true(crypto_es256_sign(keys[i], proposal, strlen(proposal), signatures[i]));
    propose("rotate", "auth 3", later);
    struct wire_out o = begin(&w, VAULT_MSG_CARRY_OUT);
    wire_put_bytes(&o, roster, strlen(roster));
    wire_put_bytes(&o, proposal, strlen(proposal));
    wire_put_bytes(&o, signatures, sizeof(signatures));
    assert_int_equal(send_message(&w), B_E_APPROVAL_BAD);
}

static void an_expired_proposal_is_refused(void **state)
{
    (void)state;
    assert_int_equal(found(roster), B_OK);
    propose("rotate", "auth 2", (long long)time(NULL) - 1);
    assert_int_equal(carry((size_t[]){0, 1}, 2), B_E_PROPOSAL_EXPIRED);
}

static void a_roster_of_the_servers_own_is_refused(void **state)
{
    (void)state;
    assert_int_equal(found(roster), B_OK);
    write_roster(roster, 2, 4); /* with a key that the attacker has */
    propose("rotate", "auth 2", later);
    assert_int_equal(carry((size_t[]){3, 0}, 2), B_E_QUORUM);
}

static void the_roster_changes_by_a_proposal_and_the_old_one_ends(void **state)
{
    (void)state;
    static char next[4096];
    uint8_t digest[32];
    char hex[65];
    assert_int_equal(found(roster), B_OK);
    write_roster(next, 2, 2);
    crypto_sha256(next, strlen(next), digest);
    b_hex(hex, digest, sizeof(digest));
    propose("roster", hex, later);
    assert_int_equal(carry((size_t[]){1, 2}, 2), B_OK);
    propose("rotate", "auth 2", later);
    assert_int_equal(carry((size_t[]){0, 1}, 2), B_E_QUORUM); /* by the old roster */
    memcpy(roster, next, sizeof(roster));
    propose("rotate", "auth 2", later);
    assert_int_equal(carry((size_t[]){0, 2}, 2), B_E_APPROVAL_BAD); /* the third has gone */
    assert_int_equal(carry((size_t[]){0, 1}, 2), B_OK);
}

static void remember(uint8_t generation)
{
    static const uint8_t input[7] = {4, 1, 2, 3, 4, 5, 6};
    static const uint8_t key[16] = {7};
    const struct vaultd_cached which = {generation, b_rd_from(input, sizeof(input))};
    vaultd_cache_put(d.shared->cache, &which, key);
}

static void a_generation_that_ends_is_forgotten_at_once(void **state)
{
    (void)state;
    static const char *const ends[] = {"compromise", "retire"};
    assert_int_equal(found(roster), B_OK);
    for (uint8_t i = 0; i < 2; i++) {
        uint8_t generation = (uint8_t)(i + 1);
        char argument[16];
        remember(generation);
        remember(9);
        assert_int_equal(vaultd_cache_count(d.shared->cache), 2);
        (void)snprintf(argument, sizeof(argument), "auth %u", generation);
        propose(ends[i], argument, later);
        assert_int_equal(carry((size_t[]){0}, 1), B_E_QUORUM);
        assert_int_equal(vaultd_cache_count(d.shared->cache), 2);
        assert_int_equal(carry((size_t[]){0, 1}, 2), B_OK);
        assert_int_equal(vaultd_cache_count(d.shared->cache), 1);
        remember(generation); /* a tap that was under way */
        assert_int_equal(vaultd_cache_count(d.shared->cache), 1);
    }
    propose("compromise", "read 9", later); /* another role's */
    assert_int_equal(carry((size_t[]){0, 1}, 2), B_OK);
    assert_int_equal(vaultd_cache_count(d.shared->cache), 1);
}

static void a_proposal_that_is_not_exactly_one_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"rotate nothing", "retire", ""};
    assert_int_equal(found(roster), B_OK);
    for (size_t i = 0; i < B_COUNT(wrong); i++) {
        propose("rotate", wrong[i], later);
        assert_int_equal(carry((size_t[]){0, 1}, 2), B_E_BAD_INPUT);
    }
    propose("rotate", "auth 2", later);
    (void)snprintf(proposal + strlen(proposal), 16, "more\n");
    assert_int_equal(carry((size_t[]){0, 1}, 2), B_E_APPROVAL_BAD);
}

/* What the token says is in force. */
static void check_anchors(const char *roster_text, const uint8_t *policy_digest)
{
    uint8_t digest[32];
    struct b_wr w;
    (void)begin(&w, VAULT_MSG_ANCHORS);
    assert_int_equal(send_message(&w), B_OK);
    struct b_rd all = b_rd_from(answer + 1, sizeof(answer) - 1);
    struct wire_in in = wire_in_from(vault_msg_row(VAULT_MSG_ANCHORS)->answer, all);
    struct b_rd bytes = wire_get_bytes(&in);
    assert_int_equal(bytes.left, roster_text != NULL ? 32 : 0);
    if (roster_text != NULL) {
        crypto_sha256(roster_text, strlen(roster_text), digest);
        assert_memory_equal(bytes.p, digest, 32);
    }
    bytes = wire_get_bytes(&in);
    assert_int_equal(bytes.left, policy_digest != NULL ? 32 : 0);
    if (policy_digest != NULL)
        assert_memory_equal(bytes.p, policy_digest, 32);
}

static void the_policy_in_force_is_anchored_and_changes_by_a_quorum_alone(void **state)
{
    (void)state;
    uint8_t next[32] = {9, 8, 7};
    char hex[65];
    b_hex(hex, next, sizeof(next));
    check_anchors(NULL, NULL);
    assert_int_equal(found(roster), B_OK);
    check_anchors(roster, policy);
    propose("policy", hex, later);
    assert_int_equal(carry((size_t[]){0}, 1), B_E_QUORUM);
    assert_int_equal(carry((size_t[]){0, 3}, 2), B_E_APPROVAL_BAD);
    check_anchors(roster, policy);
    assert_int_equal(carry((size_t[]){0, 2}, 2), B_OK);
    check_anchors(roster, next);
    propose("policy", "", later);
    assert_int_equal(carry((size_t[]){0, 2}, 2), B_E_BAD_INPUT);
    propose("policy", "99", later);
    assert_int_equal(carry((size_t[]){0, 2}, 2), B_E_BAD_INPUT);
    check_anchors(roster, next);
}

static uint64_t journal_seen(void)
{
    struct b_wr w;
    (void)begin(&w, VAULT_MSG_JOURNAL_SEEN);
    assert_int_equal(send_message(&w), B_OK);
    struct b_rd all = b_rd_from(answer + 1, sizeof(answer) - 1);
    struct wire_in in = wire_in_from(vault_msg_row(VAULT_MSG_JOURNAL_SEEN)->answer, all);
    return wire_get_u32(&in);
}

static void another_history_is_accepted_by_a_quorum_alone(void **state)
{
    (void)state;
    const uint8_t root[32] = {1, 2, 3};
    char argument[96] = "1204 ";
    b_hex(argument + 5, root, sizeof(root));
    assert_int_equal(found(roster), B_OK);
    propose("accept", argument, later);
    assert_int_equal(carry((size_t[]){0}, 1), B_E_QUORUM);
    assert_int_equal(journal_seen(), 0);
    assert_int_equal(carry((size_t[]){0, 2}, 2), B_OK);
    assert_int_equal(journal_seen(), 1204);
    static const char *const wrong[] = {"", "1204", "1204 00", "x 00"};
    for (size_t i = 0; i < B_COUNT(wrong); i++) {
        propose("accept", wrong[i], later);
        assert_int_equal(carry((size_t[]){0, 2}, 2), B_E_BAD_INPUT);
    }
    assert_int_equal(journal_seen(), 1204);
}

static void propose_accept(uint8_t size)
{
    char argument[96];
    const uint8_t root[32] = {size};
    int n = snprintf(argument, sizeof(argument), "%u ", size);
    b_hex(argument + n, root, sizeof(root));
    propose("accept", argument, later);
}

static void another_history_is_accepted_once_and_a_restart_does_not_forget_that(void **state)
{
    (void)state;
    assert_int_equal(found(roster), B_OK);
    propose_accept(12);
    assert_int_equal(carry((size_t[]){0, 2}, 2), B_OK);
    propose_accept(20);
    assert_int_equal(carry((size_t[]){0, 1}, 2), B_OK);
    propose_accept(12);
    assert_int_equal(carry((size_t[]){0, 2}, 2), B_E_PROPOSAL_DONE);
    assert_int_equal(carry((size_t[]){0, 1, 2}, 3), B_E_PROPOSAL_DONE); /* whoever signed it */
    vaultd_drop(&d);
    start_vault();
    propose_accept(12);
    assert_int_equal(carry((size_t[]){0, 2}, 2), B_E_PROPOSAL_DONE);
    assert_int_equal(journal_seen(), 20);
}

static void what_has_expired_makes_room_for_what_is_carried_out(void **state)
{
    (void)state;
    struct vaultd_once once = {.expires = 1000};
    size_t room = 0;
    while (vaultd_act_once(&d, &once, 999, NULL) == B_OK) {
        assert_int_equal(vaultd_act_once(&d, &once, 999, NULL), B_E_PROPOSAL_DONE);
        once.digest[0] = (uint8_t)++room;
    }
    assert_true(room >= 20);
    assert_int_equal(vaultd_act_once(&d, &once, 999, NULL), B_E_REFUSED);
    assert_int_equal(vaultd_act_once(&d, &once, 1000, NULL), B_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(before_a_roster_keys_are_made_freely_and_after_it_by_a_quorum),
        TEST(a_key_that_a_cut_rotation_made_is_the_one_that_is_rotated_to),
        TEST(a_roster_is_founded_once),
        TEST(who_stands_twice_in_a_roster_is_no_quorum),
        TEST(a_quorum_of_one_or_more_than_there_are_is_no_roster),
        TEST(too_few_twice_the_same_or_a_strangers_signature_is_refused),
        TEST(signatures_over_another_text_are_refused),
        TEST(an_expired_proposal_is_refused),
        TEST(a_roster_of_the_servers_own_is_refused),
        TEST(the_roster_changes_by_a_proposal_and_the_old_one_ends),
        TEST(another_history_is_accepted_by_a_quorum_alone),
        TEST(another_history_is_accepted_once_and_a_restart_does_not_forget_that),
        TEST(what_has_expired_makes_room_for_what_is_carried_out),
        TEST(the_policy_in_force_is_anchored_and_changes_by_a_quorum_alone),
        TEST(a_generation_that_ends_is_forgotten_at_once),
        TEST(a_proposal_that_is_not_exactly_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
