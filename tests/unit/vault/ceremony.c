/* Ceremonies as the vault sees them: what a peer that was taken over might try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "crypto/sign.h"
#include "custody/words.h"
#include "fake_keyring.h"
#include "vault/ceremony.h"
#include "vault/given.h"
#include "vault/identity.h"
#include "vault/quorum.h"

enum { ID = CUSTODY_CEREMONY_ID };

static struct vaultd d;
static struct fake_keyring keyring;
static uint8_t answer[VAULT_MESSAGE_MAX];
static struct b_rd fields; /* of the last answer */
static char message[320];  /* of the last error */
static struct crypto_es256 *keys[2];
static char roster[2048], proposal[2048];

static uint64_t now_us(void)
{
    return 1;
}

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 0x5A, n);
}

static struct wire_out begin(struct b_wr *w, enum vault_msg id)
{
    static uint8_t bytes[8192];
    *w = b_wr_from(bytes, sizeof(bytes));
    b_wr_u8(w, (uint8_t)id);
    return wire_out_from(vault_msg_row((uint8_t)id)->request, w);
}

static enum b_code send_message(const struct b_wr *w)
{
    struct b_wr out = b_wr_from(answer, sizeof(answer));
    struct b_err e = {0};
    assert_true(vaultd_handle(&d, b_wr_reader(w), &out));
    fields = b_wr_reader(&out);
    if (b_rd_u8(&fields) == 0)
        return B_OK;
    assert_true(wire_get_error(fields, &e));
    (void)snprintf(message, sizeof(message), "%s", e.msg);
    return e.code;
}

static struct wire_in answer_of(enum vault_msg id)
{
    return wire_in_from(vault_msg_row((uint8_t)id)->answer, fields);
}

/* --- the messages ------------------------------------------------------------------------------
 */

static uint8_t id[ID], check[VAULTD_CHECK];

static void take_names(enum vault_msg m)
{
    struct wire_in in = answer_of(m);
    struct b_rd a = wire_get_bytes(&in);
    struct b_rd b = wire_get_bytes(&in);
    assert_true(wire_in_end(&in));
    b_rd_bytes(&a, id, sizeof(id));
    b_rd_bytes(&b, check, sizeof(check));
}

static enum b_code begin_ceremony(uint8_t threshold, uint8_t count, bool is_rehearsal)
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_CEREMONY_BEGIN);
    wire_put_u8(&o, threshold);
    wire_put_u8(&o, count);
    wire_put_u8(&o, is_rehearsal ? 1 : 0);
    enum b_code r = send_message(&w);
    if (r == B_OK)
        take_names(VAULT_MSG_CEREMONY_BEGIN);
    return r;
}

static enum b_code resume(uint8_t threshold)
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_CEREMONY_RESUME);
    wire_put_bytes(&o, id, sizeof(id));
    wire_put_u8(&o, threshold);
    wire_put_u8(&o, 0);
    wire_put_bytes(&o, check, sizeof(check));
    return send_message(&w);
}

static enum b_code words(uint8_t share, char text[static CUSTODY_SHARE_TEXT + 1])
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_CEREMONY_WORDS);
    wire_put_u8(&o, share);
    enum b_code r = send_message(&w);
    if (r != B_OK)
        return r;
    struct wire_in in = answer_of(VAULT_MSG_CEREMONY_WORDS);
    struct b_rd bytes = wire_get_bytes(&in);
    assert_true(wire_in_end(&in) && bytes.left == CUSTODY_SHARE_TEXT - 1);
    b_rd_bytes(&bytes, text, CUSTODY_SHARE_TEXT - 1);
    text[CUSTODY_SHARE_TEXT - 1] = '\0';
    return B_OK;
}

static enum b_code give(const char *text)
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_CEREMONY_GIVE);
    wire_put_bytes(&o, text, strlen(text));
    return send_message(&w);
}

static uint8_t wrapped[CUSTODY_WRAPPED], kcv[3];

static enum b_code make(enum key_role role, uint8_t generation)
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_CEREMONY_MAKE);
    wire_put_u8(&o, (uint8_t)role);
    wire_put_u8(&o, generation);
    enum b_code r = send_message(&w);
    if (r != B_OK)
        return r;
    struct wire_in in = answer_of(VAULT_MSG_CEREMONY_MAKE);
    char method[16];
    struct b_rd a = wire_get_bytes(&in);
    wire_get_string(&in, method, sizeof(method));
    struct b_rd b = wire_get_bytes(&in);
    assert_true(wire_get_bool(&in) && wire_in_end(&in));
    b_rd_bytes(&a, wrapped, sizeof(wrapped));
    b_rd_bytes(&b, kcv, sizeof(kcv));
    return B_OK;
}

static enum b_code bring(enum key_role role, uint8_t generation, bool keeps)
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_CEREMONY_BRING);
    wire_put_u8(&o, (uint8_t)role);
    wire_put_u8(&o, generation);
    wire_put_bytes(&o, wrapped, sizeof(wrapped));
    wire_put_bytes(&o, kcv, sizeof(kcv));
    wire_put_u8(&o, keeps ? 1 : 0);
    return send_message(&w);
}

static enum b_code sign(const char *minutes)
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_MINUTES_SIGN);
    wire_put_bytes(&o, minutes, strlen(minutes));
    return send_message(&w);
}

/* A ceremony of two of three, its shares in words, and a backup of auth 1. */
static char shares[3][CUSTODY_SHARE_TEXT + 1];
static void hold(void)
{
    assert_int_equal(begin_ceremony(2, 3, false), B_OK);
    for (uint8_t i = 0; i < 3; i++)
        assert_int_equal(words((uint8_t)(i + 1), shares[i]), B_OK);
    assert_int_equal(make(KEY_ROLE_AUTH, 1), B_OK);
}

/* The same, to its end: the token knows it. */
static void hold_to_the_end(void)
{
    hold();
    assert_int_equal(sign("{\"format\":\"tessere-minutes/v1\",\"rehearsal\":false,\"k\":1}"), B_OK);
}

/* Another backup key in its place; names, shares and the backup of auth 1 are its own then. */
static void renew(char fresh[2][CUSTODY_SHARE_TEXT + 1])
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_CEREMONY_RENEW);
    wire_put_u8(&o, 2);
    wire_put_u8(&o, 2);
    assert_int_equal(send_message(&w), B_OK);
    take_names(VAULT_MSG_CEREMONY_RENEW);
    o = begin(&w, VAULT_MSG_CEREMONY_REWRAP);
    wire_put_u8(&o, KEY_ROLE_AUTH);
    wire_put_u8(&o, 1);
    wire_put_bytes(&o, wrapped, sizeof(wrapped));
    assert_int_equal(send_message(&w), B_OK);
    struct wire_in in = answer_of(VAULT_MSG_CEREMONY_REWRAP);
    struct b_rd bytes = wire_get_bytes(&in);
    b_rd_bytes(&bytes, wrapped, sizeof(wrapped));
    for (uint8_t i = 0; i < 2; i++)
        assert_int_equal(words((uint8_t)(i + 1), fresh[i]), B_OK);
}

/* --- dual control ------------------------------------------------------------------------------
 */

static void found_roster(void)
{
    char hex[2][131];
    struct b_wr w;
    const uint8_t policy[32] = {1};
    for (size_t i = 0; i < B_COUNT(keys); i++) {
        uint8_t point[65];
        crypto_es256_public(keys[i], point);
        b_hex(hex[i], point, sizeof(point));
    }
    (void)snprintf(roster, sizeof(roster),
                   "tessere-roster/v1\nestablishment 750712184\nquorum 2\napprover a %s\n"
                   "approver b %s\n",
                   hex[0], hex[1]);
    struct wire_out o = begin(&w, VAULT_MSG_ROSTER_FOUND);
    wire_put_bytes(&o, roster, strlen(roster));
    wire_put_bytes(&o, policy, sizeof(policy));
    assert_int_equal(send_message(&w), B_OK);
}

static enum b_code approve(const char *argument)
{
    uint8_t digest[32];
    uint8_t signatures[2][64];
    char hex[65];
    struct b_wr w;
    crypto_sha256(roster, strlen(roster), digest);
    b_hex(hex, digest, sizeof(digest));
    (void)snprintf(proposal, sizeof(proposal),
                   "tessere-proposal/v1\nestablishment 750712184\nroster %s\nnumber 1\n"
                   "action ceremony\nargument %s\nproposer a\nexpires 4102444800\n",
                   hex, argument);
    for (size_t i = 0; i < 2; i++)
        assert_true(crypto_es256_sign(keys[i], proposal, strlen(proposal), signatures[i]));
    struct wire_out o = begin(&w, VAULT_MSG_CARRY_OUT);
    wire_put_bytes(&o, roster, strlen(roster));
    wire_put_bytes(&o, proposal, strlen(proposal));
    wire_put_bytes(&o, signatures, sizeof(signatures));
    return send_message(&w);
}

static int start(void **state)
{
    (void)state;
    struct b_wr w;
    assert_int_equal(b_secret_init(4 << 20, false, NULL), B_OK);
    keyring = (struct fake_keyring){.fails = B_OK};
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
    wire_put_u32(&o, 0);
    wire_put_u8(&o, 1);
    wire_put_string(&o, NULL);
    assert_int_equal(send_message(&w), B_OK);
    for (size_t i = 0; i < B_COUNT(keys); i++) {
        uint8_t scalar[32] = {[31] = (uint8_t)(i + 1)};
        keys[i] = crypto_es256_new(scalar);
        assert_non_null(keys[i]);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < B_COUNT(keys); i++)
        crypto_es256_free(&keys[i]);
    vaultd_drop(&d);
    assert_int_equal(b_secret_in_use(), 0);
    return 0;
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void any_two_of_three_shares_open_the_backup(void **state)
{
    (void)state;
    static const size_t pairs[][2] = {{0, 1}, {2, 0}, {1, 2}};
    hold();
    for (size_t i = 0; i < B_COUNT(pairs); i++) {
        assert_int_equal(resume(2), B_OK);
        assert_int_equal(give(shares[pairs[i][0]]), B_OK);
        assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_E_SHARE_FEW);
        assert_int_equal(give(shares[pairs[i][1]]), B_OK);
        assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_OK);
    }
    assert_int_equal(keyring.brought, B_COUNT(pairs));
}

static void a_backup_opens_as_what_it_is_and_nothing_else(void **state)
{
    (void)state;
    hold();
    assert_int_equal(bring(KEY_ROLE_AUTH, 2, true), B_E_BACKUP_BROKEN);
    assert_int_equal(bring(KEY_ROLE_APP, 1, true), B_E_BACKUP_BROKEN);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, false), B_OK);
    assert_int_equal(keyring.brought, 0);
    assert_int_equal(begin_ceremony(2, 3, false), B_OK); /* another one */
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_E_BACKUP_BROKEN);
    assert_int_equal(keyring.brought, 0);
}

static void wrong_shares_are_told_apart(void **state)
{
    (void)state;
    char other[CUSTODY_SHARE_TEXT + 1], rehearsed[CUSTODY_SHARE_TEXT + 1];
    assert_int_equal(begin_ceremony(2, 3, false), B_OK);
    assert_int_equal(words(2, other), B_OK);
    assert_int_equal(begin_ceremony(2, 3, true), B_OK);
    assert_int_equal(words(2, rehearsed), B_OK);
    hold();
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(other), B_E_SHARE_FOREIGN);
    assert_int_equal(give(rehearsed), B_E_SHARE_FOREIGN);
    assert_non_null(strstr(message, "rehearsal"));
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(shares[0]), B_E_SHARE_REPEATED);
    shares[1][3] = shares[1][3] == 'a' ? 'i' : 'a';
    assert_int_equal(give(shares[1]), B_E_SHARE_TYPED);
    assert_int_equal(give(shares[2]), B_OK); /* those before stayed */
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_OK);
}

/* With a right check code, and a value that is not the ceremony's. */
static void a_made_up_share_is_found_out(void **state)
{
    (void)state;
    char text[CUSTODY_SHARE_TEXT];
    struct custody_share s;
    hold();
    assert_int_equal(custody_share_read(b_rd_from(shares[1], CUSTODY_SHARE_TEXT - 1), &s, NULL),
                     B_OK);
    s.value[0] ^= 1;
    custody_share_write(&s, text);
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(text), B_E_SHARE_WRONG);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_E_SHARE_FEW);
    assert_int_equal(give(shares[0]), B_OK); /* all over again */
    assert_int_equal(give(shares[2]), B_OK);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_OK);
}

/* A certificate for key agreement. */
static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBfDCCASKgAwIBAgIUdiWgGQu48UcGVwU9bF+AARBQVH0wCgYIKoZIzj0EAwIw\n"
    "DDEKMAgGA1UEAwwBQTAgFw0yNjExMjgxODE4MDZaGA8yMTI2MTEwNDE4MTgwNlow\n"
    "DDEKMAgGA1UEAwwBQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFsjXV8FzVFq\n"
    "HizlNcgSdgMKkY+VUE8JyJumcdjzYrWzPHZkqjfCKmYXrF2vtFNbgRZUwqcJplFI\n"
    "Bz+jZ/kWHNKjYDBeMB0GA1UdDgQWBBTnZOG80kvkCZh6/K1GgSRhrrsOXjAfBgNV\n"
    "HSMEGDAWgBTnZOG80kvkCZh6/K1GgSRhrrsOXjAPBgNVHRMBAf8EBTADAQH/MAsG\n"
    "A1UdDwQEAwIDCDAKBggqhkjOPQQDAgNIADBFAiAbYiVVUa6x8Whye94zR/Wxjy4i\n"
    "TVo0ngVhxhASdoOq3QIhAPXOLy+XtGtCg8zp0Ls10fQkgu+4qcgvTA3Z7ePD2cbL\n"
    "-----END CERTIFICATE-----\n";

static enum b_code seal(uint8_t share)
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_CEREMONY_SEAL);
    wire_put_u8(&o, share);
    wire_put_bytes(&o, certificate, strlen(certificate));
    return send_message(&w);
}

static void a_share_goes_to_one_person(void **state)
{
    (void)state;
    char text[CUSTODY_SHARE_TEXT + 1];
    assert_int_equal(begin_ceremony(2, 3, false), B_OK);
    assert_int_equal(seal(1), B_OK);
    assert_int_equal(seal(1), B_OK); /* once more, to the same */
    assert_int_equal(words(1, text), B_E_REFUSED);
    assert_int_equal(seal(2), B_E_CERT_BAD);
    assert_int_equal(words(2, text), B_OK);
    assert_int_equal(words(2, text), B_OK);
    assert_int_equal(seal(2), B_E_CERT_BAD);
    assert_int_equal(words(3, text), B_OK);
    assert_int_equal(begin_ceremony(2, 3, false), B_OK);
    assert_int_equal(words(1, text), B_OK);
    assert_int_equal(seal(1), B_E_REFUSED);
}

static void a_key_that_was_put_together_gives_no_shares(void **state)
{
    (void)state;
    char text[CUSTODY_SHARE_TEXT + 1];
    hold();
    assert_int_equal(words(4, text), B_E_BAD_INPUT);
    assert_int_equal(words(0, text), B_E_BAD_INPUT);
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(words(1, text), B_E_SHARE_FEW);
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(shares[1]), B_OK);
    assert_int_equal(words(1, text), B_E_BAD_INPUT);
}

static void nothing_is_done_without_a_ceremony(void **state)
{
    (void)state;
    char text[CUSTODY_SHARE_TEXT + 1];
    struct b_wr w;
    assert_int_equal(make(KEY_ROLE_AUTH, 1), B_E_CEREMONY_NONE);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_E_CEREMONY_NONE);
    assert_int_equal(words(1, text), B_E_CEREMONY_NONE);
    assert_int_equal(give("lusab"), B_E_CEREMONY_NONE);
    hold();
    struct wire_out o = begin(&w, VAULT_MSG_CEREMONY_CLOSE);
    assert_true(wire_out_end(&o));
    assert_int_equal(send_message(&w), B_OK);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_E_CEREMONY_NONE);
}

static void another_backup_key_takes_the_place(void **state)
{
    (void)state;
    char fresh[2][CUSTODY_SHARE_TEXT + 1];
    hold();
    renew(fresh);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, false), B_OK);
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(shares[0]), B_E_SHARE_FOREIGN);
    assert_int_equal(give(fresh[0]), B_OK);
    assert_int_equal(give(fresh[1]), B_OK);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_OK);
}

static void with_a_roster_a_ceremony_needs_its_quorum(void **state)
{
    (void)state;
    hold();
    found_roster();
    assert_int_equal(begin_ceremony(2, 3, false), B_E_QUORUM);
    assert_int_equal(resume(2), B_E_QUORUM);
    assert_int_equal(approve("restore"), B_OK);
    assert_int_equal(begin_ceremony(2, 3, false), B_E_QUORUM); /* not that one */
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(shares[1]), B_OK);
    assert_int_equal(make(KEY_ROLE_AUTH, 2), B_E_QUORUM);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_OK);
    assert_int_equal(resume(2), B_E_QUORUM); /* once */
}

static void what_was_approved_is_good_for_one_ceremony(void **state)
{
    (void)state;
    hold();
    found_roster();
    assert_int_equal(approve("restore"), B_OK);
    assert_int_equal(approve("restore"), B_OK); /* as long as it has not begun */
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(approve("restore"), B_OK);
    assert_int_equal(resume(2), B_E_PROPOSAL_DONE);
    assert_int_equal(give(shares[0]), B_OK); /* the one that began goes on */
}

static void a_rotation_is_of_the_key_that_was_approved(void **state)
{
    (void)state;
    hold_to_the_end();
    found_roster();
    assert_int_equal(approve("everything"), B_E_BAD_INPUT);
    assert_int_equal(approve("rotate auth 2"), B_OK);
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(shares[1]), B_OK);
    assert_int_equal(make(KEY_ROLE_AUTH, 3), B_E_QUORUM);
    assert_int_equal(make(KEY_ROLE_APP, 2), B_E_QUORUM);
    assert_int_equal(make(KEY_ROLE_AUTH, 2), B_OK);
    assert_int_equal(bring(KEY_ROLE_AUTH, 2, true), B_OK);
}

/* What a server that was taken over would hold in the place of the ceremony: one of its own. */
static void a_ceremony_of_the_peers_own_is_not_taken_up(void **state)
{
    (void)state;
    const uint8_t own[sizeof(id)] = {1, 2, 3};
    hold_to_the_end();
    uint8_t real[sizeof(id)], real_check[sizeof(check)];
    memcpy(real, id, sizeof(real));
    memcpy(real_check, check, sizeof(real_check));
    found_roster();
    assert_int_equal(approve("rotate auth 2"), B_OK);
    memcpy(id, own, sizeof(id));
    assert_int_equal(resume(2), B_E_CEREMONY_OTHER);
    memcpy(id, real, sizeof(id));
    check[0] ^= 1; /* another backup key under its name */
    assert_int_equal(resume(2), B_E_CEREMONY_OTHER);
    check[0] ^= 1;
    assert_int_equal(resume(3), B_E_CEREMONY_OTHER); /* another quorum */
    assert_int_equal(resume(2), B_OK);               /* and nothing was spent by trying */
}

static void a_token_that_knows_no_ceremony_takes_one_up_to_restore_it_alone(void **state)
{
    (void)state;
    hold(); /* no minutes: as a token that was filled by an earlier version */
    found_roster();
    assert_int_equal(approve("rotate auth 2"), B_OK);
    assert_int_equal(resume(2), B_E_QUORUM);
    assert_non_null(strstr(message, "restore"));
    assert_int_equal(approve("restore"), B_OK);
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(shares[1]), B_OK);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_OK);
    assert_int_equal(sign("{\"format\":\"tessere-minutes/v1\",\"rehearsal\":false,\"k\":1}"), B_OK);
    assert_int_equal(approve("rotate auth 2"), B_OK);
    assert_int_equal(resume(2), B_OK);
}

static void other_custodians_take_over_when_their_minutes_are_signed(void **state)
{
    (void)state;
    char fresh[2][CUSTODY_SHARE_TEXT + 1];
    uint8_t former[sizeof(id)], former_check[sizeof(check)];
    hold_to_the_end();
    memcpy(former, id, sizeof(former));
    memcpy(former_check, check, sizeof(former_check));
    for (int i = 0; i < 2; i++) { /* cut, and then to its end */
        memcpy(id, former, sizeof(id));
        memcpy(check, former_check, sizeof(check));
        assert_int_equal(resume(2), B_OK);
        assert_int_equal(give(shares[0]), B_OK);
        assert_int_equal(give(shares[1]), B_OK);
        assert_int_equal(make(KEY_ROLE_AUTH, 1), B_OK);
        renew(fresh);
    }
    assert_int_equal(sign("{\"format\":\"tessere-minutes/v1\",\"rehearsal\":false,\"k\":1}"), B_OK);
    assert_int_equal(resume(2), B_OK); /* the new one */
    assert_int_equal(give(fresh[0]), B_OK);
    assert_int_equal(give(fresh[1]), B_OK);
    memcpy(id, former, sizeof(id));
    memcpy(check, former_check, sizeof(check));
    assert_int_equal(resume(2), B_E_CEREMONY_OTHER);
}

static void a_share_that_was_cut_is_forgotten_with_the_next_minutes(void **state)
{
    (void)state;
    char fresh[2][CUSTODY_SHARE_TEXT + 1];
    uint8_t abandoned[sizeof(id)], abandoned_check[sizeof(check)];
    uint8_t former[sizeof(id)], former_check[sizeof(check)];
    hold_to_the_end();
    memcpy(former, id, sizeof(former));
    memcpy(former_check, check, sizeof(former_check));
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(shares[1]), B_OK);
    renew(fresh);
    memcpy(abandoned, id, sizeof(abandoned));
    memcpy(abandoned_check, check, sizeof(abandoned_check));
    memcpy(id, former, sizeof(id));
    memcpy(check, former_check, sizeof(check));
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(shares[1]), B_OK);
    assert_int_equal(sign("{\"format\":\"tessere-minutes/v1\",\"rehearsal\":false,\"k\":1}"), B_OK);
    memcpy(id, abandoned, sizeof(id));
    memcpy(check, abandoned_check, sizeof(check));
    assert_int_equal(resume(2), B_E_CEREMONY_OTHER);
}

static void with_an_approved_share_nothing_comes_into_the_token(void **state)
{
    (void)state;
    char fresh[2][CUSTODY_SHARE_TEXT + 1];
    hold_to_the_end();
    found_roster();
    assert_int_equal(approve("share"), B_OK);
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(shares[1]), B_OK);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_E_QUORUM);
    renew(fresh);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_E_QUORUM);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, false), B_OK); /* but it is tried */
    assert_int_equal(keyring.brought, 0);
}

static void minutes_are_signed_once_and_are_nothing_else(void **state)
{
    (void)state;
    static const char real[] = "{\"format\":\"tessere-minutes/v1\",\"rehearsal\":false,\"k\":1}";
    static const char rehearsed[] =
        "{\"format\":\"tessere-minutes/v1\",\"rehearsal\":true,\"k\":1}";
    const struct vaultd_identity *identity = NULL;
    assert_int_equal(sign(real), B_E_CEREMONY_NONE);
    assert_int_equal(sign(rehearsed), B_OK);
    hold();
    assert_int_equal(sign("tessere/750712184\n1\nAAAA\n"), B_E_BAD_INPUT);
    assert_int_equal(sign("{\"format\":\"tessere-minutes/v1\",\"rehearsal\":false,\n\"k\":1}"),
                     B_E_BAD_INPUT);
    assert_int_equal(sign("{\"rehearsal\":false,\"format\":\"tessere-minutes/v1\"}"),
                     B_E_BAD_INPUT);
    assert_int_equal(sign(real), B_OK);
    struct wire_in in = answer_of(VAULT_MSG_MINUTES_SIGN);
    struct b_rd signature = wire_get_bytes(&in);
    assert_int_equal(vaultd_identity(&d, &identity, NULL), B_OK);
    assert_int_equal(signature.left, 64);
    assert_true(crypto_ed25519_verify(identity->journal_public, real, strlen(real), signature.p));
    assert_int_equal(sign(real), B_E_REFUSED);
    assert_int_equal(begin_ceremony(2, 3, true), B_OK);
    assert_int_equal(sign(real), B_E_REFUSED); /* a rehearsal is not the real thing */
}

static enum b_code give_part(const uint8_t *part, size_t n)
{
    static const uint8_t zeros[16];
    struct b_wr w;
    struct crypto_key k;
    uint8_t kcv_of[16];
    crypto_key_init(&k, n == 16 ? CRYPTO_AES128 : CRYPTO_AES256, part);
    crypto_encrypt_block(&k, zeros, kcv_of);
    crypto_key_drop(&k);
    struct wire_out o = begin(&w, VAULT_MSG_IMPORT_PART);
    wire_put_bytes(&o, part, n);
    wire_put_bytes(&o, kcv_of, 3);
    return send_message(&w);
}

static enum b_code import(enum key_role role, const char *block, const uint8_t value[static 3])
{
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_IMPORT_KEY);
    wire_put_u8(&o, (uint8_t)role);
    wire_put_u8(&o, 2);
    wire_put_bytes(&o, value, 3);
    wire_put_bytes(&o, block, strlen(block));
    enum b_code r = send_message(&w);
    if (r != B_OK)
        return r;
    struct wire_in in = answer_of(VAULT_MSG_IMPORT_KEY);
    struct b_rd bytes = wire_get_bytes(&in);
    b_rd_bytes(&bytes, wrapped, sizeof(wrapped));
    memcpy(kcv, value, sizeof(kcv));
    return B_OK;
}

/* TR-31:2018 A.7.4: the key's check value is 08793E, by enciphering zeros (openemv/tr31). */
static const char block[] = "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E4"
                            "17C07156A27E8E31DA05F7425509593D03A457DC34";
static const uint8_t block_kcv[3] = {0x08, 0x79, 0x3E};
static const uint8_t kbpk[32] = {0x88, 0xE1, 0xAB, 0x2A, 0x2E, 0x3D, 0xD3, 0x8C, 0x1F, 0xA0, 0x39,
                                 0xA5, 0x36, 0x50, 0x0C, 0xC8, 0xA8, 0x7A, 0xB9, 0xD6, 0x2D, 0xC9,
                                 0x2C, 0x01, 0x05, 0x8F, 0xA7, 0x9F, 0x44, 0x65, 0x7D, 0xE6};

static void give_kbpk(void)
{
    uint8_t a[32], b[32];
    for (size_t i = 0; i < sizeof(a); i++) {
        a[i] = (uint8_t)(17 * i + 1);
        b[i] = a[i] ^ kbpk[i];
    }
    assert_int_equal(give_part(a, sizeof(a)), B_OK);
    assert_int_equal(give_part(b, sizeof(b)), B_OK);
}

static void a_published_key_block_is_imported(void **state)
{
    (void)state;
    hold();
    give_kbpk();
    assert_int_equal(import(KEY_ROLE_AUTH, block, block_kcv), B_OK);
    assert_int_equal(bring(KEY_ROLE_AUTH, 2, true), B_OK);
    assert_int_equal(import(KEY_ROLE_AUTH, block, block_kcv), B_E_SHARE_FEW); /* forgotten */
    give_kbpk();
    assert_int_equal(import(KEY_ROLE_AUTH, block, (const uint8_t[]){1, 2, 3}), B_E_KCV_DIFFERS);
    give_kbpk();
    assert_int_equal(import(KEY_ROLE_AUTH, "", block_kcv), B_E_KEY_LENGTH); /* 32 bytes */
}

/* What is left where one is given twice, or is of zeros, one person would know. */
static void components_are_of_several_people(void **state)
{
    (void)state;
    const uint8_t zeros[32] = {0};
    const uint8_t parts[3][16] = {{1, 2, 3}, {4, 5, 6}, {5, 7, 5}};
    hold();
    assert_int_equal(give_part(zeros, 16), B_E_SHARE_TYPED);
    assert_int_equal(give_part(parts[0], 16), B_OK);
    assert_int_equal(give_part(parts[0], 16), B_E_SHARE_REPEATED);
    assert_int_equal(give_part(parts[1], 16), B_OK);
    assert_int_equal(give_part(parts[2], 16), B_OK);
    assert_int_equal(import(KEY_ROLE_AUTH, "", block_kcv), B_E_KEY_UNSAFE);
}

static void components_are_several_and_of_one_length(void **state)
{
    (void)state;
    const uint8_t part[32] = {1, 2, 3};
    const uint8_t other[32] = {4, 5, 6};
    struct b_wr w;
    assert_int_equal(give_part(part, 16), B_E_CEREMONY_NONE);
    hold();
    assert_int_equal(give_part(part, 16), B_OK);
    assert_int_equal(import(KEY_ROLE_AUTH, "", block_kcv), B_E_SHARE_FEW);
    assert_int_equal(give_part(other, 16), B_OK);
    assert_int_equal(give_part(part, 32), B_E_KEY_LENGTH);
    struct wire_out o = begin(&w, VAULT_MSG_IMPORT_PART);
    wire_put_bytes(&o, part, 16);
    wire_put_bytes(&o, "bad", 3);
    assert_int_equal(send_message(&w), B_E_SHARE_TYPED);
}

static void with_a_roster_an_import_is_of_the_key_that_was_approved(void **state)
{
    (void)state;
    hold_to_the_end();
    found_roster();
    assert_int_equal(approve("import auth 2"), B_OK);
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(shares[1]), B_OK);
    give_kbpk();
    assert_int_equal(import(KEY_ROLE_APP, block, block_kcv), B_E_QUORUM);
    assert_int_equal(make(KEY_ROLE_AUTH, 2), B_E_QUORUM);
    assert_int_equal(import(KEY_ROLE_AUTH, block, block_kcv), B_OK);
    assert_int_equal(bring(KEY_ROLE_AUTH, 2, true), B_OK);
    give_kbpk();
    struct b_wr w;
    struct wire_out o = begin(&w, VAULT_MSG_EXPORT_KEY);
    wire_put_u8(&o, KEY_ROLE_AUTH);
    wire_put_u8(&o, 2);
    wire_put_bytes(&o, wrapped, sizeof(wrapped));
    assert_int_equal(send_message(&w), B_E_QUORUM);
}

static void what_is_exported_is_imported_again(void **state)
{
    (void)state;
    char text[256];
    uint8_t given[sizeof(wrapped)];
    struct b_wr w;
    hold();
    give_kbpk();
    assert_int_equal(import(KEY_ROLE_AUTH, block, block_kcv), B_OK);
    memcpy(given, wrapped, sizeof(given));
    give_kbpk();
    struct wire_out o = begin(&w, VAULT_MSG_EXPORT_KEY);
    wire_put_u8(&o, KEY_ROLE_AUTH);
    wire_put_u8(&o, 2);
    wire_put_bytes(&o, wrapped, sizeof(wrapped));
    assert_int_equal(send_message(&w), B_OK);
    struct wire_in in = answer_of(VAULT_MSG_EXPORT_KEY);
    wire_get_string(&in, text, sizeof(text));
    assert_int_equal(strlen(text), 112);
    assert_string_not_equal(text, block); /* another padding, another usage */
    give_kbpk();
    assert_int_equal(import(KEY_ROLE_AUTH, text, block_kcv), B_OK);
    assert_memory_equal(wrapped, given, sizeof(given));
}

/* --- keys of other systems ---------------------------------------------------------------------
 */

static uint8_t given[VAULT_GIVEN];
static char given_method[16];

static enum b_code give_key(const char *name, enum df_key_type type, const char *from,
                            const char *value)
{
    struct b_wr w;
    uint8_t bytes[3];
    struct b_wr v = b_wr_from(bytes, sizeof(bytes));
    assert_true(b_unhex(&v, value));
    struct wire_out o = begin(&w, VAULT_MSG_GIVE_KEY);
    wire_put_string(&o, name);
    wire_put_u8(&o, (uint8_t)type);
    wire_put_bytes(&o, bytes, v.len);
    wire_put_bytes(&o, from, strlen(from));
    enum b_code r = send_message(&w);
    if (r != B_OK)
        return r;
    struct wire_in in = answer_of(VAULT_MSG_GIVE_KEY);
    struct b_rd a = wire_get_bytes(&in);
    wire_get_string(&in, given_method, sizeof(given_method));
    struct b_rd b = wire_get_bytes(&in);
    assert_true(wire_in_end(&in) && a.left == sizeof(given) && b.left == 3);
    b_rd_bytes(&a, given, sizeof(given));
    b_rd_bytes(&b, kcv, sizeof(kcv));
    return B_OK;
}

/* What those that are wrapped open to, in one job. */
static enum b_code open_given(const uint8_t *wrapped_keys, size_t n, struct profile_job *job)
{
    struct b_err e;
    *job = (struct profile_job){.goal = PROFILE_GOAL_SCAN};
    return vaultd_given_open(&d, b_rd_from(wrapped_keys, n), job, &e);
}

/* Two components of a key in hexadecimal, with check values as import_part takes them. */
static void give_parts_of(const char *hex, enum crypto_cipher cipher)
{
    static const uint8_t zeros[16];
    uint8_t key[24], part[2][24];
    struct b_wr k = b_wr_from(key, sizeof(key));
    assert_true(b_unhex(&k, hex));
    for (size_t i = 0; i < k.len; i++) {
        part[0][i] = (uint8_t)(29 * i + 3);
        part[1][i] = part[0][i] ^ key[i];
    }
    for (size_t i = 0; i < 2; i++) {
        struct b_wr w;
        struct crypto_key c;
        uint8_t whole[24], value[16];
        memcpy(whole, part[i], k.len);
        if (k.len == 8)
            memcpy(whole + 8, part[i], 8);
        crypto_key_init(&c, cipher, whole);
        crypto_encrypt_block(&c, zeros, value);
        crypto_key_drop(&c);
        struct wire_out o = begin(&w, VAULT_MSG_IMPORT_PART);
        wire_put_bytes(&o, part[i], k.len);
        wire_put_bytes(&o, value, 3);
        assert_int_equal(send_message(&w), B_OK);
    }
}

/* TR-31:2018 A.7.4's and A.7.3.2's key (its check value by openssl), and DES's of FIPS 81. */
static const char tdea_block[] =
    "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EE"
    "D7B727B8A248E";
static const char tdea_kbpk[] = "DD7515F2BFC17F85CE48F3CA25CB21F6";
static const char tr31_key[] = "3F419E1CB7079442AA37474C2EFBF8B8";

static void assert_given(const char *hex)
{
    static struct profile_job job;
    uint8_t key[DF_KEY_BYTES_MAX] = {0};
    struct b_wr k = b_wr_from(key, sizeof(key));
    assert_true(b_unhex(&k, hex));
    assert_int_equal(open_given(given, sizeof(given), &job), B_OK);
    assert_int_equal(job.given_count, 1);
    assert_memory_equal(job.given[0].bytes, key, sizeof(key));
}

static void keys_of_other_systems_are_given_by_components_or_a_block(void **state)
{
    (void)state;
    hold();
    give_parts_of(tr31_key, CRYPTO_AES128);
    assert_int_equal(give_key("library", DF_KEY_AES, "", "08793E"), B_OK);
    assert_given(tr31_key);
    assert_string_equal(given_method, "CMAC-0");
    give_kbpk();
    assert_int_equal(give_key("library", DF_KEY_AES, block, ""), B_OK);
    assert_given(tr31_key);
    give_parts_of(tdea_kbpk, CRYPTO_TDEA2);
    assert_int_equal(give_key("canteen", DF_KEY_2K3DES, tdea_block, "57C409"), B_OK);
    assert_given(tr31_key);
    assert_string_equal(given_method, "ECB-0");
    give_parts_of("0123456789ABCDEF", CRYPTO_TDEA2);
    assert_int_equal(give_key("old", DF_KEY_2K3DES, "", "D5D44F"), B_OK);
    assert_given("0123456789ABCDEF0123456789ABCDEF");
    give_parts_of("0123456789ABCDEF23456789ABCDEF01456789ABCDEF0123", CRYPTO_TDEA3);
    assert_int_equal(give_key("older", DF_KEY_3K3DES, "", ""), B_OK);
    assert_given("0123456789ABCDEF23456789ABCDEF01456789ABCDEF0123");
}

static void a_given_key_is_what_it_is_said_to_be(void **state)
{
    (void)state;
    const uint8_t part[16] = {1, 2, 3};
    assert_int_equal(give_key("library", DF_KEY_AES, "", ""), B_E_CEREMONY_NONE);
    hold();
    assert_int_equal(give_part(part, 16), B_OK);
    assert_int_equal(give_key("library", DF_KEY_AES, "", ""), B_E_SHARE_FEW);
    give_parts_of(tr31_key, CRYPTO_AES128);
    assert_int_equal(give_key("library", DF_KEY_AES, "", "010203"), B_E_KCV_DIFFERS);
    give_parts_of(tr31_key, CRYPTO_AES128);
    assert_int_equal(give_key("library", DF_KEY_3K3DES, "", ""), B_E_KEY_LENGTH);
    give_kbpk();
    assert_int_equal(give_key("library", DF_KEY_2K3DES, block, ""), B_E_KEY_LENGTH); /* AES */
    assert_int_equal(give_part(part, 16), B_OK);
    assert_int_equal(give_part(part, 16), B_E_SHARE_REPEATED); /* it would be a key of zeros */
}

static void a_given_key_that_was_altered_opens_nothing(void **state)
{
    (void)state;
    static struct profile_job job;
    uint8_t many[(PROFILE_GIVEN_KEYS_MAX + 1) * VAULT_GIVEN];
    hold();
    give_parts_of(tr31_key, CRYPTO_AES128);
    assert_int_equal(give_key("library", DF_KEY_AES, "", ""), B_OK);
    for (size_t bit = 0; bit < 8 * sizeof(given); bit++) {
        given[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(open_given(given, sizeof(given), &job), B_E_GIVEN_KEY);
        given[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 1; n < sizeof(given); n++)
        assert_int_equal(open_given(given, n, &job), B_E_GIVEN_KEY);
    for (size_t i = 0; i < PROFILE_GIVEN_KEYS_MAX + 1; i++)
        memcpy(many + i * VAULT_GIVEN, given, VAULT_GIVEN);
    assert_int_equal(open_given(many, sizeof(many) - VAULT_GIVEN, &job), B_OK);
    assert_int_equal(job.given_count, PROFILE_GIVEN_KEYS_MAX);
    assert_int_equal(open_given(many, sizeof(many), &job), B_E_TOO_LARGE);
}

static void with_a_roster_the_key_is_given_that_was_approved(void **state)
{
    (void)state;
    hold_to_the_end();
    found_roster();
    assert_int_equal(approve("give library"), B_OK);
    assert_int_equal(resume(2), B_OK);
    assert_int_equal(give(shares[0]), B_OK);
    assert_int_equal(give(shares[1]), B_OK);
    give_parts_of(tr31_key, CRYPTO_AES128);
    assert_int_equal(give_key("canteen", DF_KEY_AES, "", ""), B_E_QUORUM);
    assert_int_equal(import(KEY_ROLE_AUTH, "", block_kcv), B_E_QUORUM);
    assert_int_equal(make(KEY_ROLE_AUTH, 2), B_E_QUORUM);
    assert_int_equal(bring(KEY_ROLE_AUTH, 1, true), B_E_QUORUM);
    assert_int_equal(give_key("library", DF_KEY_AES, "", ""), B_OK);
    assert_given(tr31_key);
}

/* The key block's check value by CMAC, as the answer says it, is one of the token's. */
static void a_master_has_one_role_and_one_generation(void **state)
{
    (void)state;
    uint8_t own[3];
    hold();
    give_kbpk();
    assert_int_equal(import(KEY_ROLE_AUTH, block, block_kcv), B_OK);
    struct wire_in in = answer_of(VAULT_MSG_IMPORT_KEY);
    (void)wire_get_bytes(&in);
    struct b_rd answered = wire_get_bytes(&in);
    b_rd_bytes(&answered, own, sizeof(own));
    keyring.kcv = own;
    give_kbpk();
    assert_int_equal(import(KEY_ROLE_WRITE, block, block_kcv), B_E_KEY_REPEATED);
    give_kbpk();
    assert_int_equal(import(KEY_ROLE_AUTH, block, block_kcv), B_E_KEY_REPEATED); /* 1 has it */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(any_two_of_three_shares_open_the_backup),
        T(a_backup_opens_as_what_it_is_and_nothing_else),
        T(wrong_shares_are_told_apart),
        T(a_made_up_share_is_found_out),
        T(a_share_goes_to_one_person),
        T(a_key_that_was_put_together_gives_no_shares),
        T(nothing_is_done_without_a_ceremony),
        T(another_backup_key_takes_the_place),
        T(with_a_roster_a_ceremony_needs_its_quorum),
        T(what_was_approved_is_good_for_one_ceremony),
        T(a_rotation_is_of_the_key_that_was_approved),
        T(a_ceremony_of_the_peers_own_is_not_taken_up),
        T(a_token_that_knows_no_ceremony_takes_one_up_to_restore_it_alone),
        T(other_custodians_take_over_when_their_minutes_are_signed),
        T(a_share_that_was_cut_is_forgotten_with_the_next_minutes),
        T(with_an_approved_share_nothing_comes_into_the_token),
        T(minutes_are_signed_once_and_are_nothing_else),
        T(a_published_key_block_is_imported),
        T(components_are_of_several_people),
        T(components_are_several_and_of_one_length),
        T(with_a_roster_an_import_is_of_the_key_that_was_approved),
        T(what_is_exported_is_imported_again),
        T(keys_of_other_systems_are_given_by_components_or_a_block),
        T(a_given_key_is_what_it_is_said_to_be),
        T(a_given_key_that_was_altered_opens_nothing),
        T(with_a_roster_the_key_is_given_that_was_approved),
        T(a_master_has_one_role_and_one_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
