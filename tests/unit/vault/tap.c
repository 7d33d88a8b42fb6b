/* Taps, PINs, assertions and checkpoints of the vault, message by message, with a card and a
 * station of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "crypto/hpke.h"
#include "crypto/sign.h"
#include "fake_keyring.h"
#include "journal/journal.h"
#include "vault/identity.h"
#include "vault/pin.h"
#include "vault/stored.h"

static struct vaultd d, beside;   /* the vault, and another one of the same token */
static struct vaultd *asked = &d; /* which of them is asked */
static struct fake_keyring keyring;
static uint8_t answer[VAULT_MESSAGE_MAX];
static size_t answer_len;
static uint64_t clock_us;

static uint64_t now_us(void)
{
    return clock_us;
}

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    static uint8_t times;
    memset(p, ++times, n);
}

struct request {
    uint8_t bytes[2048];
    struct b_wr w;
    struct wire_out o;
};

static struct wire_out *begin(struct request *q, enum vault_msg id)
{
    q->w = b_wr_from(q->bytes, sizeof(q->bytes));
    b_wr_u8(&q->w, (uint8_t)id);
    q->o = wire_out_from(vault_msg_row((uint8_t)id)->request, &q->w);
    return &q->o;
}

static enum b_code finish(struct request *q, enum vault_msg id, struct wire_in *ret)
{
    struct b_wr w = b_wr_from(answer, sizeof(answer));
    struct b_err e = {0};
    assert_true(wire_out_end(&q->o));
    assert_true(vaultd_handle(asked, b_rd_from(q->bytes, q->w.len), &w));
    answer_len = w.len;
    struct b_rd r = b_rd_from(answer, answer_len);
    if (b_rd_u8(&r) == 0) {
        *ret = wire_in_from(vault_msg_row((uint8_t)id)->answer, r);
        return B_OK;
    }
    assert_true(wire_get_error(r, &e));
    return e.code;
}

static bool signs_journal = true;
static const char *stored_roles = "";

static enum b_code configure(const char *in_token, uint32_t cache)
{
    struct request q;
    struct wire_in in;
    struct wire_out *o = begin(&q, VAULT_MSG_CONFIGURE);
    wire_put_u32(o, VAULT_PROTOCOL);
    wire_put_string(o, "pkcs11:token=x");
    wire_put_string(o, "750712184");
    wire_put_string(o, NULL);
    wire_put_u8(o, 0);
    wire_put_u8(o, 0);
    wire_put_u8(o, 0);
    wire_put_u8(o, 1);
    wire_put_string(o, in_token);
    wire_put_u32(o, cache);
    wire_put_u8(o, signs_journal ? 1 : 0);
    wire_put_string(o, stored_roles);
    return finish(&q, VAULT_MSG_CONFIGURE, &in);
}

static int start_with(const char *in_token, uint32_t cache)
{
    assert_int_equal(b_secret_init(4 << 20, false, NULL), B_OK);
    clock_us = clock_us > 0 ? clock_us : 1000;
    vaultd_init(asked, fake_keyring(&keyring), (struct df_random){.fill = fill}, now_us);
    assert_int_equal(configure(in_token, cache), B_OK);
    return 0;
}

static int start(void **state)
{
    (void)state;
    return start_with("", 0);
}

static int start_in_token(void **state)
{
    (void)state;
    return start_with("auth", 8);
}

static int stop(void **state)
{
    (void)state;
    vaultd_drop(&d);
    assert_int_equal(b_secret_in_use(), 0);
    keyring = (struct fake_keyring){.fails = B_OK}; /* a token of its own for each test */
    return 0;
}

/* --- a card ------------------------------------------------------------------------------------
 */

static const uint8_t uid[7] = {4, 1, 2, 3, 4, 5, 6};
static const uint8_t card_random[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1};
static struct crypto_key card_key;

static void make_card(void)
{
    uint8_t bytes[16], input[CRYPTO_DIV_INPUT_MAX];
    struct crypto_div_facts facts = {.uid_len = 7, .aid = {0x34, 0x12, 0xF5}, .key_no = 1};
    struct b_wr w = b_wr_from(input, sizeof(input));
    struct custody_key which = {.role = KEY_ROLE_AUTH, .generation = 1};
    memcpy(facts.uid, uid, sizeof(uid));
    memcpy(facts.system, "TESS", 4);
    facts.system_len = 4;
    assert_int_equal(crypto_div_input(crypto_div_find("uid-aid-system"), &facts, &w, NULL), B_OK);
    assert_int_equal(d.keyring.derive(d.keyring.ctx, NULL, &which, b_wr_reader(&w), bytes, NULL),
                     B_OK);
    crypto_key_init(&card_key, CRYPTO_AES128, bytes);
}

static uint8_t handed[VAULT_STORED_KEY]; /* with the next tap */
static size_t handed_len;
static bool is_guess;                 /* the generation of the next tap */
static char tap_name[VAULT_TAP_NAME]; /* of the tap that was opened last */

static enum b_code open_tap(uint32_t *ret, uint8_t frame[static 32])
{
    struct request q;
    struct wire_in in;
    uint8_t challenge[16], iv[16] = {0};
    crypto_cbc_encrypt(&card_key, iv, card_random, challenge, 16);
    struct wire_out *o = begin(&q, VAULT_MSG_TAP_OPEN);
    wire_put_u8(o, 0);
    wire_put_u8(o, 1);
    wire_put_string(o, "uid-aid-system");
    wire_put_u32(o, 0xF51234);
    wire_put_u8(o, 1);
    wire_put_bytes(o, uid, sizeof(uid));
    wire_put_bytes(o, NULL, 0);
    wire_put_bytes(o, "TESS", 4);
    wire_put_bytes(o, challenge, sizeof(challenge));
    wire_put_string(o, "00AF");
    wire_put_bytes(o, handed, handed_len);
    wire_put_u8(o, is_guess ? 1 : 0);
    enum b_code r = finish(&q, VAULT_MSG_TAP_OPEN, &in);
    if (r != B_OK)
        return r;
    *ret = wire_get_u32(&in);
    wire_get_string(&in, tap_name, sizeof(tap_name));
    struct b_rd bytes = wire_get_bytes(&in);
    b_rd_bytes(&bytes, frame, 32);
    assert_true(wire_in_end(&in));
    return B_OK;
}

static enum b_code check_value(const uint8_t of[static 7], uint8_t ret[static CRYPTO_KCV])
{
    struct request q;
    struct wire_in in;
    struct wire_out *o = begin(&q, VAULT_MSG_TAP_CHECK);
    wire_put_u8(o, 1);
    wire_put_string(o, "uid-aid-system");
    wire_put_u32(o, 0xF51234);
    wire_put_u8(o, 1);
    wire_put_bytes(o, of, 7);
    wire_put_bytes(o, NULL, 0);
    wire_put_bytes(o, "TESS", 4);
    wire_put_bytes(o, NULL, 0);
    enum b_code r = finish(&q, VAULT_MSG_TAP_CHECK, &in);
    if (r != B_OK)
        return r;
    struct b_rd kcv = wire_get_bytes(&in);
    assert_int_equal(kcv.left, CRYPTO_KCV);
    b_rd_bytes(&kcv, ret, CRYPTO_KCV);
    assert_true(wire_in_end(&in));
    return B_OK;
}

/* What the card answers to a frame: it checks its own random number first. */
static void card_answers(const uint8_t frame[static 32], uint8_t proof[static 32])
{
    uint8_t plain[32], iv[16] = {0};
    crypto_cbc_decrypt(&card_key, iv, frame, plain, 32);
    assert_memory_equal(plain + 16, card_random + 1, 15);
    assert_int_equal(plain[31], card_random[0]);
    uint8_t answer_plain[32] = {1, 2, 3, 4};
    memcpy(answer_plain + 4, plain + 1, 15);
    answer_plain[19] = plain[0];
    memset(iv, 0, sizeof(iv));
    crypto_cbc_encrypt(&card_key, iv, answer_plain, proof, 32);
}

static const struct vault_claims claims = {.issuer = "tessere:\"x\\\n",
                                           .subject = "10001234567",
                                           .station = "ward-1",
                                           .challenge = "abc",
                                           .badge = 12,
                                           .seconds = 60};

static enum b_code prove(uint32_t tap, const uint8_t *proof, bool keeps, bool asserts, char *jwt)
{
    struct request q;
    struct wire_in in;
    struct wire_out *o = begin(&q, VAULT_MSG_TAP_PROVE);
    wire_put_u32(o, tap);
    wire_put_bytes(o, proof, 32);
    wire_put_u8(o, keeps ? 1 : 0);
    size_t mark = wire_open_bytes(o);
    if (asserts)
        vault_claims_encode(&claims, &q.w);
    wire_close_bytes(o, mark);
    enum b_code r = finish(&q, VAULT_MSG_TAP_PROVE, &in);
    if (r == B_OK) {
        struct b_rd bytes = wire_get_bytes(&in);
        size_t n = bytes.left;
        b_rd_bytes(&bytes, jwt, n);
        jwt[n] = '\0';
    }
    return r;
}

/* --- tests -------------------------------------------------------------------------------------
 */

static size_t unbase64url(const char *text, size_t n, uint8_t *out, size_t cap)
{
    char padded[2048];
    size_t length = n;
    for (size_t i = 0; i < n; i++)
        padded[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    while (length % 4 != 0)
        padded[length++] = '=';
    struct b_wr w = b_wr_from(out, cap);
    assert_true(b_unbase64(&w, padded, length));
    return w.len;
}

static void check_assertion(const char *jwt, const char *amr)
{
    const struct vaultd_identity *id = NULL;
    uint8_t signature[64];
    char payload[1024];
    const char *dot = strchr(jwt, '.');
    assert_non_null(dot);
    const char *second = strchr(dot + 1, '.');
    assert_non_null(second);
    assert_int_equal(unbase64url(second + 1, strlen(second + 1), signature, sizeof(signature)), 64);
    assert_int_equal(vaultd_identity(&d, &id, NULL), B_OK);
    assert_true(crypto_es256_verify(id->assertion_public, jwt, (size_t)(second - jwt), signature));
    size_t n =
        unbase64url(dot + 1, (size_t)(second - dot - 1), (uint8_t *)payload, sizeof(payload) - 1);
    payload[n] = '\0';
    assert_non_null(strstr(payload, amr));
    assert_non_null(strstr(payload, "\"iss\":\"tessere:\\\"x\\\\\\u000a\""));
    assert_non_null(strstr(payload, "\"card\":\"04010203040506\""));
    assert_non_null(strstr(payload, "\"badge\":12"));
    assert_non_null(strstr(payload, "\"nonce\":\"abc\""));
}

static void a_proved_tap_is_asserted_once(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32], proof[32];
    char jwt[VAULT_ASSERTION_MAX];
    make_card();
    assert_int_equal(open_tap(&tap, frame), B_OK);
    card_answers(frame, proof);
    assert_int_equal(prove(tap, proof, false, true, jwt), B_OK);
    check_assertion(jwt, "\"amr\":[\"hwk\"]");
    assert_int_equal(prove(tap, proof, false, true, jwt), B_E_NOT_FOUND);
}

static void a_wrong_proof_gets_no_assertion_and_ends_the_tap(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32], proof[32];
    char jwt[VAULT_ASSERTION_MAX];
    make_card();
    assert_int_equal(open_tap(&tap, frame), B_OK);
    card_answers(frame, proof);
    proof[5] ^= 1;
    assert_int_equal(prove(tap, proof, true, true, jwt), B_E_CARD_AUTH);
    proof[5] ^= 1;
    assert_int_equal(prove(tap, proof, true, true, jwt), B_E_NOT_FOUND);
}

/* A key that was drawn for the card, wrapped as it would lie in the store. */
static void draw_card_key(void)
{
    struct vault_stored k = {.role = KEY_ROLE_AUTH, .generation = 1, .badge = "u", .badge_len = 8};
    uint8_t bytes[16];
    struct b_err err;
    memcpy(k.badge + 1, uid, sizeof(uid));
    assert_int_equal(vaultd_stored_draw(&d, &k, &err), B_OK);
    assert_int_equal(vaultd_stored_open(&d, &k, bytes, &err), B_OK);
    crypto_key_init(&card_key, CRYPTO_AES128, bytes);
    memcpy(handed, k.wrapped, sizeof(handed));
    handed_len = sizeof(handed);
}

static int start_storing(void **state)
{
    (void)state;
    stored_roles = "auth";
    int r = start_with("", 8);
    stored_roles = "";
    return r;
}

static int stop_storing(void **state)
{
    handed_len = 0;
    return stop(state);
}

static void a_tap_by_a_stored_key_is_proved(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32], proof[32];
    char jwt[VAULT_ASSERTION_MAX];
    draw_card_key();
    assert_int_equal(open_tap(&tap, frame), B_OK);
    card_answers(frame, proof);
    assert_int_equal(prove(tap, proof, false, true, jwt), B_OK);
    check_assertion(jwt, "\"amr\":[\"hwk\"]");
    keyring.fails = B_E_TOKEN_FAILED; /* it was proved, and is remembered */
    handed_len = 0;
    assert_int_equal(open_tap(&tap, frame), B_OK);
    card_answers(frame, proof);
    assert_int_equal(prove(tap, proof, false, false, jwt), B_OK);
    keyring.fails = B_OK;
}

static void a_tap_without_its_stored_key_or_with_another_is_refused(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32];
    draw_card_key();
    handed_len = 0;
    assert_int_equal(open_tap(&tap, frame), B_E_STORED_KEY_MISSING);
    handed_len = sizeof(handed) - 1;
    assert_int_equal(open_tap(&tap, frame), B_E_STORED_KEY_MISSING);
    handed_len = sizeof(handed);
    handed[23] ^= 1;
    assert_int_equal(open_tap(&tap, frame), B_E_STORED_KEY_BROKEN);
}

/* So that the card says which it has: it refuses a frame that its key has not made. */
static void a_generation_that_is_guessed_is_tried_without_its_key_and_proves_nothing(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32], plain[32], iv[16] = {0}, proof[32] = {0};
    char jwt[VAULT_ASSERTION_MAX];
    draw_card_key();
    handed_len = 0;
    is_guess = true;
    assert_int_equal(open_tap(&tap, frame), B_OK);
    crypto_cbc_decrypt(&card_key, iv, frame, plain, 32);
    assert_memory_not_equal(plain + 16, card_random + 1, 15);
    assert_int_equal(prove(tap, proof, true, true, jwt), B_E_CARD_AUTH);
    handed_len = 1; /* what is no key is refused all the same */
    assert_int_equal(open_tap(&tap, frame), B_E_STORED_KEY_MISSING);
    is_guess = false;
}

static void a_role_is_not_both_in_the_token_and_stored(void **state)
{
    (void)state;
    vaultd_drop(&d);
    stored_roles = "auth:2";
    vaultd_init(&d, fake_keyring(&keyring), (struct df_random){.fill = fill}, now_us);
    assert_int_equal(configure("read,auth", 0), B_E_CONFIG);
    stored_roles = "";
}

/* The memory of all taps, searched for the card's key. */
static bool holds_the_key(const uint8_t key[static 16])
{
    const uint8_t *p = (const uint8_t *)d.shared->taps;
    for (size_t i = 0; i < 16384; i++) /* the first places; a tap is some hundred bytes */
        if (memcmp(p + i, key, 16) == 0)
            return true;
    return false;
}

static void key_of_card(uint8_t bytes[static 16])
{
    uint8_t input[CRYPTO_DIV_INPUT_MAX] = {4,    1,    2,    3,   4,   5,   6,
                                           0x34, 0x12, 0xF5, 'T', 'E', 'S', 'S'};
    struct custody_key which = {.role = KEY_ROLE_AUTH, .generation = 1};
    assert_int_equal(
        d.keyring.derive(d.keyring.ctx, NULL, &which, b_rd_from(input, 14), bytes, NULL), B_OK);
}

static void a_tap_in_the_token_is_proved_there_and_its_key_is_nowhere_here(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32], proof[32], key[16];
    char jwt[VAULT_ASSERTION_MAX];
    make_card();
    key_of_card(key);
    assert_int_equal(open_tap(&tap, frame), B_OK);
    assert_int_equal(keyring.inside, 1);
    assert_false(holds_the_key(key));
    card_answers(frame, proof);
    assert_int_equal(prove(tap, proof, false, true, jwt), B_OK);
    assert_int_equal(keyring.inside, 2);
    check_assertion(jwt, "\"amr\":[\"hwk\"]");
    assert_int_equal(open_tap(&tap, frame), B_OK);
    card_answers(frame, proof);
    proof[5] ^= 1;
    assert_int_equal(prove(tap, proof, true, true, jwt), B_E_CARD_AUTH);
}

static void a_tap_that_is_not_in_the_token_has_its_key_while_it_lasts(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32], proof[32], key[16];
    char jwt[VAULT_ASSERTION_MAX];
    make_card();
    key_of_card(key);
    assert_int_equal(open_tap(&tap, frame), B_OK);
    assert_int_equal(keyring.inside, 0);
    assert_true(holds_the_key(key)); /* so that the search of the test before means something */
    card_answers(frame, proof);
    assert_int_equal(prove(tap, proof, false, false, jwt), B_OK);
    assert_false(holds_the_key(key));
}

static void a_token_that_fails_in_the_middle_of_a_tap_ends_it(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32], proof[32];
    char jwt[VAULT_ASSERTION_MAX];
    make_card();
    assert_int_equal(open_tap(&tap, frame), B_OK);
    card_answers(frame, proof);
    keyring.fails = B_E_TOKEN_ABSENT;
    assert_int_equal(prove(tap, proof, true, false, jwt), B_E_TOKEN_ABSENT);
    keyring.fails = B_OK;
    assert_int_equal(prove(tap, proof, true, false, jwt), B_E_NOT_FOUND);
}

static void a_tap_that_stalls_is_refused_when_it_comes_late(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32], proof[32];
    char jwt[VAULT_ASSERTION_MAX];
    make_card();
    assert_int_equal(open_tap(&tap, frame), B_OK);
    card_answers(frame, proof);
    clock_us += 11 * 1000 * 1000;
    assert_int_equal(prove(tap, proof, false, false, jwt), B_E_NOT_FOUND);
}

static void thousands_of_taps_are_in_flight_and_stalled_ones_make_room(void **state)
{
    (void)state;
    uint32_t tap = 0, first = 0;
    uint8_t frame[32];
    size_t room = 0;
    make_card();
    while (open_tap(&tap, frame) == B_OK) {
        first = first == 0 ? tap : first;
        room++;
    }
    assert_int_equal(room, VAULTD_TAPS_MAX);
    clock_us += 11 * 1000 * 1000;
    assert_int_equal(open_tap(&tap, frame), B_OK);
    assert_int_not_equal(tap, first);
}

static const char for_tap[] = "tessere-pin/v1", to_set[] = "tessere-pin-set/v1";

static void seal(const char *digits, const char *info, const char *aad, uint8_t *box)
{
    const struct vaultd_identity *id = NULL;
    uint8_t text[16] = {0};
    const struct crypto_hpke c = {b_rd_from(info, strlen(info)), b_rd_from(aad, strlen(aad))};
    memcpy(text, digits, strlen(digits));
    assert_int_equal(vaultd_identity(&d, &id, NULL), B_OK);
    assert_true(crypto_hpke_seal(id->pin_public, &c, b_rd_from(text, sizeof(text)), box));
}

enum { BOX = CRYPTO_HPKE_OVERHEAD + 16, RECORD = 58 };

static uint8_t least = 0, most = 255; /* digits, by the policy */

static enum b_code set_box(const char *ref, const uint8_t *box, uint8_t *record)
{
    struct request q;
    struct wire_in in;
    struct wire_out *o = begin(&q, VAULT_MSG_PIN_SET);
    wire_put_string(o, ref);
    wire_put_bytes(o, box, BOX);
    wire_put_u8(o, least);
    wire_put_u8(o, most);
    enum b_code r = finish(&q, VAULT_MSG_PIN_SET, &in);
    if (r == B_OK) {
        struct b_rd bytes = wire_get_bytes(&in);
        assert_int_equal(bytes.left, RECORD);
        b_rd_bytes(&bytes, record, RECORD);
    }
    return r;
}

static enum b_code set_pin(const char *digits, uint8_t *record)
{
    uint8_t box[BOX];
    seal(digits, to_set, claims.subject, box);
    return set_box(claims.subject, box, record);
}

static enum b_code give_box(uint32_t tap, const uint8_t *box, const uint8_t *record, char *jwt)
{
    struct request q;
    struct wire_in in;
    struct wire_out *o = begin(&q, VAULT_MSG_TAP_PIN);
    wire_put_u32(o, tap);
    wire_put_bytes(o, box, BOX);
    wire_put_bytes(o, record, RECORD);
    size_t mark = wire_open_bytes(o);
    vault_claims_encode(&claims, &q.w);
    wire_close_bytes(o, mark);
    enum b_code r = finish(&q, VAULT_MSG_TAP_PIN, &in);
    if (r == B_OK) {
        struct b_rd bytes = wire_get_bytes(&in);
        size_t n = bytes.left;
        b_rd_bytes(&bytes, jwt, n);
        jwt[n] = '\0';
    }
    return r;
}

/* Typed at the tap that was opened last. */
static enum b_code give_pin(uint32_t tap, const char *digits, const uint8_t *record, char *jwt)
{
    uint8_t box[BOX];
    seal(digits, for_tap, tap_name, box);
    return give_box(tap, box, record, jwt);
}

/* A tap that waits for its PIN. */
static uint32_t proved_tap(void)
{
    uint32_t tap = 0;
    uint8_t frame[32], answered[32];
    char jwt[VAULT_ASSERTION_MAX];
    make_card();
    assert_int_equal(open_tap(&tap, frame), B_OK);
    card_answers(frame, answered);
    assert_int_equal(prove(tap, answered, true, false, jwt), B_OK);
    return tap;
}

static void a_pin_is_asked_of_a_proved_tap_and_may_be_typed_again(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32], record[RECORD];
    char jwt[VAULT_ASSERTION_MAX];
    make_card();
    assert_int_equal(set_pin("123456", record), B_OK);
    assert_int_equal(open_tap(&tap, frame), B_OK);
    assert_int_equal(give_pin(tap, "123456", record, jwt), B_E_NOT_FOUND);
    tap = proved_tap();
    assert_int_equal(give_pin(tap, "12345", record, jwt), B_E_PIN_WRONG);
    assert_int_equal(give_pin(tap, "123", record, jwt), B_E_PIN_FORMAT);
    assert_int_equal(give_pin(tap, "123456", record, jwt), B_OK);
    check_assertion(jwt, "\"amr\":[\"hwk\",\"pin\"]");
    assert_int_equal(give_pin(tap, "123456", record, jwt), B_E_NOT_FOUND);
}

static void a_tap_is_named_by_the_vault_and_no_name_comes_twice(void **state)
{
    (void)state;
    uint32_t tap = 0;
    uint8_t frame[32];
    char former[VAULT_TAP_NAME];
    make_card();
    assert_int_equal(open_tap(&tap, frame), B_OK);
    assert_int_equal(strlen(tap_name), VAULT_TAP_NAME - 1);
    assert_memory_equal(tap_name, "00AF", 4);
    memcpy(former, tap_name, sizeof(former));
    assert_int_equal(open_tap(&tap, frame), B_OK);
    assert_string_not_equal(tap_name, former);
}

/* What a server that was taken over would do with a PIN that it has sealed: open it elsewhere. */
static void a_pin_opens_in_the_tap_that_it_was_sealed_for_alone(void **state)
{
    (void)state;
    uint8_t record[RECORD], box[BOX];
    char jwt[VAULT_ASSERTION_MAX];
    assert_int_equal(set_pin("1234", record), B_OK);
    uint32_t one = proved_tap();
    seal("1234", for_tap, tap_name, box);
    uint32_t other = proved_tap();
    assert_int_equal(give_box(other, box, record, jwt), B_E_BAD_INPUT);
    assert_int_equal(give_box(other, box, record, jwt), B_E_NOT_FOUND);
    assert_int_equal(give_box(one, box, record, jwt), B_OK);
}

static void a_pin_to_be_set_is_none_for_a_tap_and_the_other_way_round(void **state)
{
    (void)state;
    uint8_t record[RECORD], box[BOX];
    char jwt[VAULT_ASSERTION_MAX];
    assert_int_equal(set_pin("1234", record), B_OK);
    uint32_t tap = proved_tap();
    seal("1234", to_set, tap_name, box);
    assert_int_equal(give_box(tap, box, record, jwt), B_E_BAD_INPUT);
    (void)proved_tap();
    seal("1234", for_tap, tap_name, box);
    assert_int_equal(set_box(tap_name, box, record), B_E_BAD_INPUT);
}

static void a_record_is_no_other_holders(void **state)
{
    (void)state;
    uint8_t record[RECORD], box[BOX];
    char jwt[VAULT_ASSERTION_MAX];
    seal("1234", to_set, "10009999999", box);
    assert_int_equal(set_box(claims.subject, box, record), B_E_BAD_INPUT);
    assert_int_equal(set_box("10009999999", box, record), B_OK);
    assert_int_equal(give_pin(proved_tap(), "1234", record, jwt), B_E_PIN_WRONG);
}

static void a_record_of_an_earlier_version_asks_for_a_new_pin(void **state)
{
    (void)state;
    uint8_t record[RECORD];
    char jwt[VAULT_ASSERTION_MAX];
    assert_int_equal(set_pin("1234", record), B_OK);
    record[0] = 1;
    assert_int_equal(give_pin(proved_tap(), "1234", record, jwt), B_E_PIN_MISSING);
    record[0] = 3;
    assert_int_equal(give_pin(proved_tap(), "1234", record, jwt), B_E_BAD_INPUT);
}

static void five_wrong_pins_end_a_tap(void **state)
{
    (void)state;
    uint8_t record[RECORD];
    char jwt[VAULT_ASSERTION_MAX];
    assert_int_equal(set_pin("1234", record), B_OK);
    uint32_t tap = proved_tap();
    for (int i = 0; i < VAULTD_WRONG_PINS_OF_TAP; i++)
        assert_int_equal(give_pin(tap, "4321", record, jwt), B_E_PIN_WRONG);
    assert_int_equal(give_pin(tap, "1234", record, jwt), B_E_NOT_FOUND);
    assert_int_equal(give_pin(proved_tap(), "1234", record, jwt), B_OK); /* the next has its own */
}

/* Over all taps and holders: whoever has a badge of their own may not guess others' PINs with it.
 */
static void a_vault_hears_so_many_wrong_pins_and_then_one_a_second(void **state)
{
    (void)state;
    uint8_t record[RECORD];
    char jwt[VAULT_ASSERTION_MAX];
    uint32_t tap = 0;
    assert_int_equal(set_pin("1234", record), B_OK);
    for (unsigned i = 0; i < VAULT_WORKERS_MAX; i++) { /* as many as a vault has that starts */
        tap = i % 4 == 0 ? proved_tap() : tap;
        assert_int_equal(give_pin(tap, "4321", record, jwt), B_E_PIN_WRONG);
    }
    tap = proved_tap();
    assert_int_equal(give_pin(tap, "1234", record, jwt), B_E_PIN_THROTTLED);
    clock_us += 1000 * 1000;
    for (int i = 0; i < 3; i++) /* one that is right costs nothing */
        assert_int_equal(give_pin(proved_tap(), "1234", record, jwt), B_OK);
    tap = proved_tap();
    assert_int_equal(give_pin(tap, "4321", record, jwt), B_E_PIN_WRONG);
    assert_int_equal(give_pin(tap, "4321", record, jwt), B_E_PIN_THROTTLED);
    clock_us += 3600ull * 1000 * 1000;
    unsigned heard = 0;
    while (vaultd_wrong_pin(&d.shared->wrong_pins_us, clock_us))
        heard++;
    assert_int_equal(heard, VAULTD_WRONG_PINS);
}

static void what_is_no_pin_is_refused(void **state)
{
    (void)state;
    uint8_t record[RECORD];
    static const char *const none[] = {"", "123", "1234567890123", "12a4", "12 4"};
    for (size_t i = 0; i < B_COUNT(none); i++)
        assert_int_equal(set_pin(none[i], record), B_E_PIN_FORMAT);
    assert_int_equal(set_pin("1234", record), B_OK);
    assert_int_equal(set_pin("123456789012", record), B_OK);
}

static struct journal_proof other; /* from what another vault anchored */

static enum b_code sign_as(const char *origin, uint64_t size, const uint8_t *root,
                           const struct journal_proof *proof)
{
    struct request q;
    struct wire_in in;
    struct wire_out *o = begin(&q, VAULT_MSG_CHECKPOINT);
    wire_put_string(o, origin);
    wire_put_u32(o, (uint32_t)size);
    wire_put_u32(o, (uint32_t)(size >> 32));
    wire_put_bytes(o, root, 32);
    wire_put_bytes(o, proof->hashes, proof->count * 32);
    wire_put_bytes(o, other.hashes, other.count * 32);
    return finish(&q, VAULT_MSG_CHECKPOINT, &in);
}

static enum b_code sign(uint64_t size, const uint8_t *root, const struct journal_proof *proof)
{
    return sign_as("tessere/750712184", size, root, proof);
}

static uint8_t stored[64][32];
static enum b_code get(void *ctx, uint64_t id, uint8_t out[static 32], struct b_err *err)
{
    (void)ctx;
    (void)err;
    memcpy(out, stored[id], 32);
    return B_OK;
}

static uint8_t roots[9][32];
static struct journal_proof proof;

/* Of eight entries; those from `common` on are others in another history. */
static void grow_a_history(uint8_t common)
{
    struct journal_edge edge = {.size = 0};
    static uint8_t out[64][32];
    uint8_t leaf[32];
    size_t n = 0;
    for (uint8_t i = 0; i < 8; i++) {
        uint8_t entry = i < common ? i : (uint8_t)(i + 100);
        journal_leaf_hash(&entry, 1, leaf);
        size_t count = journal_edge_append(&edge, leaf, out);
        memcpy(stored[n], out, 32 * count);
        n += count;
        journal_edge_root(&edge, roots[i + 1]);
    }
    proof.count = other.count = 0;
}

static void grow_a_journal(void)
{
    grow_a_history(8);
}

static void prove_into(struct journal_proof *to, uint64_t old, uint64_t size)
{
    struct journal_reader reader = {get, NULL};
    assert_int_equal(journal_prove_consistency(old, size, reader, to, NULL), B_OK);
}

static void prove_growth(uint64_t old, uint64_t size)
{
    prove_into(&proof, old, size);
}

static void a_journal_of_another_name_is_not_signed(void **state)
{
    (void)state;
    static const char *const names[] = {"", "tessere/", "tessere/690781810", "tessere/7507121841",
                                        "tessere/750712184\nx"};
    grow_a_journal();
    for (size_t i = 0; i < B_COUNT(names); i++)
        assert_int_equal(sign_as(names[i], 4, roots[4], &proof), B_E_BAD_INPUT);
    assert_int_equal(sign(4, roots[4], &proof), B_OK);
}

static uint64_t others; /* what another vault has anchored since */

static uint64_t seen(void)
{
    struct request q;
    struct wire_in in;
    (void)begin(&q, VAULT_MSG_JOURNAL_SEEN);
    assert_int_equal(finish(&q, VAULT_MSG_JOURNAL_SEEN, &in), B_OK);
    uint64_t size = wire_get_u32(&in);
    size |= (uint64_t)wire_get_u32(&in) << 32;
    others = wire_get_u32(&in);
    assert_true(wire_get_u32(&in) == 0 && wire_in_end(&in));
    return size;
}

static void only_what_continues_the_last_checkpoint_is_signed(void **state)
{
    (void)state;
    grow_a_journal();
    assert_int_equal(sign(3, roots[3], &proof), B_OK); /* the first since the start */
    assert_int_equal(sign(2, roots[2], &proof), B_E_JOURNAL_ROLLBACK);
    assert_int_equal(sign(7, roots[7], &proof), B_E_JOURNAL_FORK);
    prove_growth(3, 7);
    assert_int_equal(sign(7, roots[6], &proof), B_E_JOURNAL_FORK);
    assert_int_equal(sign(7, roots[7], &proof), B_OK);
    proof.count = 0;
    assert_int_equal(sign(7, roots[7], &proof), B_OK);
    assert_int_equal(sign(7, roots[6], &proof), B_E_JOURNAL_FORK);
}

static void a_vault_that_starts_goes_on_from_the_checkpoint_in_its_token(void **state)
{
    grow_a_journal();
    assert_int_equal(seen(), 0);
    assert_int_equal(sign(3, roots[3], &proof), B_OK);
    prove_growth(3, 5);
    assert_int_equal(sign(5, roots[5], &proof), B_OK); /* too soon for the token */
    vaultd_drop(&d);
    start(state);
    assert_int_equal(seen(), 3);
    proof.count = 0;
    assert_int_equal(sign(2, roots[2], &proof), B_E_JOURNAL_ROLLBACK);
    assert_int_equal(sign(7, roots[7], &proof), B_E_JOURNAL_FORK);
    prove_growth(3, 7);
    assert_int_equal(sign(7, roots[7], &proof), B_OK); /* the first after a start is anchored */
    clock_us += 601ull * 1000 * 1000;
    prove_growth(7, 8);
    assert_int_equal(sign(8, roots[8], &proof), B_OK);
    vaultd_drop(&d);
    start(state);
    assert_int_equal(seen(), 8);
    keyring.fails = B_E_TOKEN_ABSENT; /* what cannot be remembered is not signed */
    vaultd_drop(&d);
    start(state);
    proof.count = 0;
    assert_int_equal(sign(8, roots[8], &proof), B_E_TOKEN_ABSENT);
    keyring.fails = B_OK;
}

/* A vault beside the first one, from now on the one that is asked. */
static void start_beside(void)
{
    asked = &beside;
    (void)start_with("", 0);
}

static void stop_beside(void)
{
    vaultd_drop(&beside);
    asked = &d;
}

static void a_vault_beside_may_sign_what_both_continue(void **state)
{
    (void)state;
    grow_a_journal();
    assert_int_equal(sign(3, roots[3], &proof), B_OK);
    prove_growth(3, 5);
    assert_int_equal(sign(5, roots[5], &proof), B_OK); /* too soon for the token */
    start_beside();
    assert_int_equal(seen(), 3);
    prove_growth(3, 6);
    assert_int_equal(sign(6, roots[6], &proof), B_OK);
    asked = &d;
    prove_growth(5, 7);
    assert_int_equal(sign(7, roots[7], &proof), B_E_VAULT_BUSY); /* it looks, and asks for more */
    assert_int_equal(seen(), 5);
    assert_int_equal(others, 6);
    assert_int_equal(sign(7, roots[7], &proof), B_E_JOURNAL_FORK); /* that is not proved */
    prove_into(&other, 6, 7);
    assert_int_equal(sign(7, roots[7], &proof), B_OK);
    asked = &beside;
    assert_int_equal(seen(), 6);
    assert_int_equal(others, 7); /* in the token at once */
    prove_growth(6, 8);
    prove_into(&other, 7, 8);
    assert_int_equal(sign(8, roots[8], &proof), B_OK);
    stop_beside();
}

static void a_second_history_by_a_vault_beside_is_found(void **state)
{
    (void)state;
    grow_a_journal();
    assert_int_equal(sign(3, roots[3], &proof), B_OK);
    prove_growth(3, 5);
    assert_int_equal(sign(5, roots[5], &proof), B_OK);
    start_beside();
    grow_a_history(4);
    prove_growth(3, 6);
    assert_int_equal(sign(6, roots[6], &proof), B_OK); /* it knows of 3 alone */
    asked = &d;
    grow_a_journal();
    assert_int_equal(seen(), 5);
    assert_int_equal(others, 6);
    prove_growth(5, 7);
    prove_into(&other, 6, 7);
    assert_int_equal(sign(7, roots[7], &proof), B_E_JOURNAL_FORK);
    grow_a_history(4);
    prove_growth(5, 7);
    prove_into(&other, 6, 7);
    assert_int_equal(sign(7, roots[7], &proof), B_E_JOURNAL_FORK); /* nor by the other's */
    stop_beside();
}

/* The first signs on and puts its own anchor there: the one beside it is told. */
static void a_second_history_is_found_by_whoever_signs_it(void **state)
{
    (void)state;
    grow_a_journal();
    assert_int_equal(sign(3, roots[3], &proof), B_OK);
    start_beside();
    prove_growth(3, 4);
    assert_int_equal(sign(4, roots[4], &proof), B_OK);
    asked = &d;
    assert_int_equal(seen(), 3);
    prove_growth(3, 6);
    prove_into(&other, 4, 6);
    assert_int_equal(sign(6, roots[6], &proof), B_OK);
    asked = &beside;
    grow_a_history(4);
    assert_int_equal(seen(), 4);
    assert_int_equal(others, 6);
    prove_growth(4, 7);
    prove_into(&other, 6, 7);
    assert_int_equal(sign(7, roots[7], &proof), B_E_JOURNAL_FORK);
    stop_beside();
}

static void an_anchor_that_is_gone_is_a_finding(void **state)
{
    (void)state;
    grow_a_journal();
    assert_int_equal(sign(3, roots[3], &proof), B_OK);
    keyring = (struct fake_keyring){.fails = B_OK};
    prove_growth(3, 5);
    assert_int_equal(sign(5, roots[5], &proof), B_E_JOURNAL_FORK);
}

static enum b_code accept_journal(uint64_t size, const uint8_t *root)
{
    struct request q;
    struct wire_in in;
    struct wire_out *o = begin(&q, VAULT_MSG_JOURNAL_ACCEPT);
    wire_put_u32(o, (uint32_t)size);
    wire_put_u32(o, (uint32_t)(size >> 32));
    wire_put_bytes(o, root, 32);
    return finish(&q, VAULT_MSG_JOURNAL_ACCEPT, &in);
}

static void a_restored_journal_is_gone_on_with_when_it_is_accepted(void **state)
{
    grow_a_journal();
    assert_int_equal(sign(7, roots[7], &proof), B_OK);
    assert_int_equal(sign(4, roots[4], &proof), B_E_JOURNAL_ROLLBACK);
    assert_int_equal(accept_journal(4, roots[4]), B_OK);
    assert_int_equal(sign(4, roots[4], &proof), B_OK);
    vaultd_drop(&d);
    start(state);
    assert_int_equal(seen(), 4);
    uint8_t digest[32] = {1};
    assert_int_equal(
        d.keyring.anchor_put(d.keyring.ctx, NULL, "roster", b_rd_from(digest, 32), NULL), B_OK);
    assert_int_equal(accept_journal(2, roots[2]), B_E_QUORUM);
    assert_int_equal(seen(), 4);
}

static void a_vault_that_is_not_to_sign_the_journal_does_not(void **state)
{
    (void)state;
    struct request q;
    struct wire_in in;
    grow_a_journal();
    signs_journal = false;
    start_beside();
    signs_journal = true;
    assert_int_equal(sign(3, roots[3], &proof), B_E_REFUSED);
    assert_int_equal(accept_journal(3, roots[3]), B_E_REFUSED);
    (void)begin(&q, VAULT_MSG_JOURNAL_SEEN);
    assert_int_equal(finish(&q, VAULT_MSG_JOURNAL_SEEN, &in), B_E_REFUSED);
    stop_beside();
    assert_int_equal(sign(3, roots[3], &proof), B_OK);
}

static void the_same_master_gives_the_same_keys_again(void **state)
{
    (void)state;
    const struct vaultd_identity *id = NULL;
    uint8_t journal[32], assertion[65];
    assert_int_equal(vaultd_identity(&d, &id, NULL), B_OK);
    memcpy(journal, id->journal_public, 32);
    memcpy(assertion, id->assertion_public, 65);
    (void)stop(NULL);
    (void)start(NULL);
    assert_int_equal(vaultd_identity(&d, &id, NULL), B_OK);
    assert_memory_equal(journal, id->journal_public, 32);
    assert_memory_equal(assertion, id->assertion_public, 65);
    assert_memory_not_equal(id->assertion_public, id->pin_public, 65);
}

static void the_check_value_is_that_of_the_key_that_the_card_has(void **state)
{
    (void)state;
    static const uint8_t another[7] = {4, 1, 2, 3, 4, 5, 7};
    uint8_t told[CRYPTO_KCV], ours[CRYPTO_KCV], theirs[CRYPTO_KCV];
    make_card();
    crypto_kcv(&card_key, ours);
    assert_int_equal(check_value(uid, told), B_OK);
    assert_memory_equal(told, ours, sizeof(ours));
    assert_int_equal(check_value(another, theirs), B_OK);
    assert_memory_not_equal(theirs, ours, sizeof(ours));
    keyring.fails = B_E_TOKEN_FAILED;
    assert_int_equal(check_value(uid, told), B_E_TOKEN_FAILED);
}

static void no_check_value_is_told_of_a_key_that_stays_in_the_token(void **state)
{
    (void)state;
    uint8_t told[CRYPTO_KCV];
    assert_int_equal(check_value(uid, told), B_E_REFUSED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

static void a_new_pin_has_as_many_digits_as_the_policy_asks(void **state)
{
    (void)state;
    uint8_t record[RECORD];
    static const struct {
        uint8_t least, most;
        const char *digits;
        enum b_code code;
    } cases[] = {{6, 8, "12345", B_E_PIN_FORMAT},
                 {6, 8, "123456", B_OK},
                 {6, 8, "12345678", B_OK},
                 {6, 8, "123456789", B_E_PIN_FORMAT},
                 {0, 255, "123", B_E_PIN_FORMAT},
                 {0, 255, "123456789012", B_OK},
                 {0, 255, "1234567890123", B_E_PIN_FORMAT}};
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        least = cases[i].least;
        most = cases[i].most;
        enum b_code r = set_pin(cases[i].digits, record);
        least = 0;
        most = 255;
        assert_int_equal(r, cases[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_proved_tap_is_asserted_once),
        TEST(a_wrong_proof_gets_no_assertion_and_ends_the_tap),
        cmocka_unit_test_setup_teardown(
            a_tap_in_the_token_is_proved_there_and_its_key_is_nowhere_here, start_in_token, stop),
        TEST(a_tap_that_is_not_in_the_token_has_its_key_while_it_lasts),
        cmocka_unit_test_setup_teardown(a_token_that_fails_in_the_middle_of_a_tap_ends_it,
                                        start_in_token, stop),
        TEST(the_check_value_is_that_of_the_key_that_the_card_has),
        cmocka_unit_test_setup_teardown(no_check_value_is_told_of_a_key_that_stays_in_the_token,
                                        start_in_token, stop),
        cmocka_unit_test_setup_teardown(a_tap_by_a_stored_key_is_proved, start_storing,
                                        stop_storing),
        cmocka_unit_test_setup_teardown(a_tap_without_its_stored_key_or_with_another_is_refused,
                                        start_storing, stop_storing),
        cmocka_unit_test_setup_teardown(
            a_generation_that_is_guessed_is_tried_without_its_key_and_proves_nothing, start_storing,
            stop_storing),
        TEST(a_role_is_not_both_in_the_token_and_stored),
        TEST(a_tap_that_stalls_is_refused_when_it_comes_late),
        TEST(thousands_of_taps_are_in_flight_and_stalled_ones_make_room),
        TEST(a_pin_is_asked_of_a_proved_tap_and_may_be_typed_again),
        TEST(a_tap_is_named_by_the_vault_and_no_name_comes_twice),
        TEST(a_pin_opens_in_the_tap_that_it_was_sealed_for_alone),
        TEST(a_pin_to_be_set_is_none_for_a_tap_and_the_other_way_round),
        TEST(a_record_is_no_other_holders),
        TEST(a_record_of_an_earlier_version_asks_for_a_new_pin),
        TEST(five_wrong_pins_end_a_tap),
        TEST(a_vault_hears_so_many_wrong_pins_and_then_one_a_second),
        TEST(what_is_no_pin_is_refused),
        TEST(a_new_pin_has_as_many_digits_as_the_policy_asks),
        TEST(a_journal_of_another_name_is_not_signed),
        TEST(only_what_continues_the_last_checkpoint_is_signed),
        TEST(a_vault_that_starts_goes_on_from_the_checkpoint_in_its_token),
        TEST(a_vault_beside_may_sign_what_both_continue),
        TEST(a_second_history_by_a_vault_beside_is_found),
        TEST(a_second_history_is_found_by_whoever_signs_it),
        TEST(an_anchor_that_is_gone_is_a_finding),
        TEST(a_vault_that_is_not_to_sign_the_journal_does_not),
        TEST(a_restored_journal_is_gone_on_with_when_it_is_accepted),
        TEST(the_same_master_gives_the_same_keys_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
