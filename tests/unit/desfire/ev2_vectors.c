/* EV2 against NXP's AN12196 (tests/vectors/an12196_ev2.json) and AN12343 (an12343_ev2.json): both
 * sides of every message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "desfire/pcd.h"
#include "desfire/wire.h"
#include "support/vector.h"

static uint8_t given_random[16];
static struct df_sm reader, card;

static void give_random(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memcpy(p, given_random, n);
}

static void check_hex(const json_t *v, const char *name, const void *got, size_t n)
{
    uint8_t want[512];
    assert_int_equal(vector_hex(v, name, want, sizeof(want)), n);
    assert_memory_equal(got, want, n);
}

static void check_session(const struct df_sm *sm, const json_t *v)
{
    check_hex(v, "TI", sm->ti, 4);
    check_hex(v, "ENC", sm->enc_bytes, 16);
    check_hex(v, "MAC", sm->mac_bytes, 16);
}

static struct df_key key_of(const json_t *v)
{
    struct df_key key = {.type = DF_KEY_AES};
    assert_int_equal(vector_hex(v, "key", key.bytes, sizeof(key.bytes)), 16);
    return key;
}

/* The reader: what it sends, and the keys it ends with. */
static void check_reader(struct df_pcd *pcd, const json_t *v)
{
    uint8_t sent[DF_CAPDU_MAX], came[DF_RAPDU_MAX], c1[32], none[1];
    struct b_wr out = b_wr_from(sent, sizeof(sent));
    struct df_key key = key_of(v);
    assert_true(vector_hex(v, "c1", c1, sizeof(c1)) >= 7);
    bool is_first = c1[1] == 0x71;
    struct df_request r;
    df_req_authenticate(&r, is_first ? DF_AUTH_EV2_FIRST : DF_AUTH_EV2_NONFIRST, c1[5], &key);
    (void)vector_hex(v, "RndA", given_random, sizeof(given_random));
    assert_int_equal(df_pcd_start(pcd, &r, b_wr_from(none, 0), &out), DF_TX);
    check_hex(v, "c1", sent, out.len);
    size_t n = vector_hex(v, "r1", came, sizeof(came));
    assert_int_equal(df_pcd_step(pcd, b_rd_from(came, n), &out), DF_TX);
    check_hex(v, "c2", sent, out.len);
    n = vector_hex(v, "r2", came, sizeof(came));
    assert_int_equal(df_pcd_step(pcd, b_rd_from(came, n), &out), DF_DONE);
    check_session(&pcd->sm, v);
}

/* The card: given its random number it answers what the published card answered. */
static void check_card(const json_t *v)
{
    uint8_t bytes[64], c2[64], answer[64];
    struct df_handshake hs;
    struct b_wr out = b_wr_from(answer, sizeof(answer));
    struct df_key key = key_of(v);
    size_t n = vector_hex(v, "c1", bytes, sizeof(bytes));
    bool is_first = n > 1 && bytes[1] == 0x71;
    assert_true(df_hs_begin(&hs, is_first ? DF_AUTH_EV2_FIRST : DF_AUTH_EV2_NONFIRST, 0, &key));
    /* One vector does not print the card's random number: it is what its first answer holds. */
    if (vector_hex(v, "RndB", bytes, sizeof(bytes)) == 0) {
        assert_int_equal(vector_hex(v, "r1", bytes, sizeof(bytes)), 18);
        crypto_decrypt_block(&hs.key, bytes, bytes);
    }
    df_hs_challenge(&hs, bytes, &out);
    b_wr_u8(&out, 0x91);
    b_wr_u8(&out, DF_SW_ADDITIONAL_FRAME);
    check_hex(v, "r1", answer, out.len);
    struct df_hs_caps caps = {.ti = {0}};
    (void)vector_hex(v, "TI", caps.ti, sizeof(caps.ti));
    struct df_capdu apdu;
    n = vector_hex(v, "c2", c2, sizeof(c2));
    assert_true(df_wire_capdu(b_rd_from(c2, n), &apdu));
    out.len = 0;
    assert_true(df_hs_accept(&hs, &card, apdu.data, is_first ? &caps : NULL, &out));
    b_wr_be16(&out, 0x9100);
    check_hex(v, "r2", answer, out.len);
    check_session(&card, v);
}

static size_t authentications(const char *file)
{
    static struct df_pcd pcd;
    json_t *root = vector_load(file);
    json_t *list = json_object_get(root, "auth");
    df_pcd_init(&pcd, (struct df_random){.fill = give_random});
    df_sm_init(&card);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        check_reader(&pcd, v);
        check_card(v);
        if (strstr(vector_text(v, "id"), "NonFirst") != NULL)
            assert_int_equal(pcd.sm.counter, 2);
        else
            assert_int_equal(pcd.sm.counter, 0);
        pcd.sm.counter = card.counter = 2; /* as NonFirst in AN12196 table 23 finds it */
    }
    size_t n = json_array_size(list);
    json_decref(root);
    return n;
}

static void an12196_authentications_give_the_published_messages_and_keys(void **state)
{
    (void)state;
    assert_int_equal(authentications("an12196_ev2.json"), 3);
}

static void an12343_authentications_give_the_published_messages_and_keys(void **state)
{
    (void)state;
    assert_int_equal(authentications("an12343_ev2.json"), 2);
}

static void open_session(struct df_sm *sm, const json_t *v)
{
    *sm = (struct df_sm){.kind = DF_SM_EV2, .auth = DF_AUTH_EV2_FIRST, .block = 16};
    assert_int_equal(vector_hex(v, "MAC", sm->mac_bytes, sizeof(sm->mac_bytes)), 16);
    assert_int_equal(vector_hex(v, "ENC", sm->enc_bytes, sizeof(sm->enc_bytes)), 16);
    assert_int_equal(vector_hex(v, "TI", sm->ti, sizeof(sm->ti)), 4);
    sm->counter = (uint16_t)json_integer_value(json_object_get(v, "ctr"));
}

static void check_answer(const json_t *v, const struct df_sm_rule *rule)
{
    uint8_t rapdu[300], plain[300], made[300];
    size_t n = vector_hex(v, "rapdu", rapdu, sizeof(rapdu));
    if (n == 0)
        return;
    size_t plain_len = vector_hex(v, "rdata", plain, sizeof(plain));
    struct b_wr out = b_wr_from(made, sizeof(made));
    assert_true(df_sm_wrap_answer(&card, rule, DF_SW_OK, b_rd_from(plain, plain_len), &out));
    b_wr_be16(&out, 0x9100);
    assert_int_equal(out.len, n);
    assert_memory_equal(made, rapdu, n);
    size_t len = n - 2;
    assert_true(df_sm_unwrap_answer(&reader, rule, DF_SW_OK, rapdu, &len, plain_len));
    assert_int_equal(len, plain_len);
    assert_memory_equal(rapdu, plain, plain_len);
}

static void check_command(const json_t *v)
{
    uint8_t ins, head[16], data[300], want[300], body[300], apdu[DF_CAPDU_MAX];
    open_session(&reader, v);
    open_session(&card, v);
    assert_int_equal(vector_hex(v, "ins", &ins, 1), 1);
    size_t head_len = vector_hex(v, "hdr", head, sizeof(head));
    size_t data_len = vector_hex(v, "data", data, sizeof(data));
    size_t want_len = vector_hex(v, "capdu", want, sizeof(want));
    bool is_full = strcmp(vector_text(v, "mode"), "FULL") == 0;
    struct df_sm_rule rule =
        df_sm_rule(df_cmd_find(false, ins, 0), is_full ? DF_COMM_FULL : DF_COMM_MAC);
    struct b_wr w = b_wr_from(body, sizeof(body));
    struct b_wr out = b_wr_from(apdu, sizeof(apdu));
    assert_true(df_sm_wrap_command(&reader, &rule, b_rd_from(head, head_len),
                                   b_rd_from(data, data_len), &w));
    df_wire_wrap(ins, b_wr_reader(&w), &out);
    assert_int_equal(out.len, want_len);
    assert_memory_equal(apdu, want, want_len);
    size_t len = w.len;
    assert_true(df_sm_unwrap_command(&card, &rule, body, &len, data_len));
    assert_int_equal(len, head_len + data_len);
    assert_memory_equal(body, head, head_len);
    assert_memory_equal(body + head_len, data, data_len);
    check_answer(v, &rule);
}

static size_t commands(const char *file)
{
    json_t *root = vector_load(file);
    json_t *list = json_object_get(root, "cmd");
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++)
        check_command(json_array_get(list, i));
    json_decref(root);
    return n;
}

static void an12196_commands_and_answers_are_the_published_bytes(void **state)
{
    (void)state;
    assert_int_equal(commands("an12196_ev2.json"), 8);
}

static void an12343_commands_and_answers_are_the_published_bytes(void **state)
{
    (void)state;
    assert_int_equal(commands("an12343_ev2.json"), 6);
}

/* Key, version and what follows stand in "data" as the application note prints the plain text. */
static void check_key_change(const json_t *v)
{
    uint8_t data[64], want[300], body[64], apdu[DF_CAPDU_MAX];
    static const struct df_key zero = {.type = DF_KEY_AES};
    open_session(&reader, v);
    open_session(&card, v);
    struct df_sm_key_change change = {.ins = 0xC4, .head_len = 1};
    assert_int_equal(vector_hex(v, "hdr", change.head, 1), 1);
    size_t n = vector_hex(v, "data", data, sizeof(data));
    struct df_key key = {.type = DF_KEY_AES, .version = data[16]};
    memcpy(key.bytes, data, 16);
    change.old = n > 17 ? &zero : NULL; /* the CRC of the new key is there: not the session's */
    struct b_wr w = b_wr_from(body, sizeof(body));
    struct b_wr out = b_wr_from(apdu, sizeof(apdu));
    assert_true(df_sm_wrap_key(&reader, &change, &key, &w));
    df_wire_wrap(change.ins, b_wr_reader(&w), &out);
    assert_int_equal(out.len, vector_hex(v, "capdu", want, sizeof(want)));
    assert_memory_equal(apdu, want, out.len);
    struct df_key got;
    assert_true(df_sm_unwrap_key(&card, &change, DF_KEY_AES, body, w.len, &got));
    assert_memory_equal(got.bytes, key.bytes, 16);
    assert_int_equal(got.version, key.version);
}

static void published_key_changes_are_built_and_read(void **state)
{
    (void)state;
    static const char *const files[] = {"an12196_ev2.json", "an12343_ev2.json"};
    size_t n = 0;
    for (size_t f = 0; f < B_COUNT(files); f++) {
        json_t *root = vector_load(files[f]);
        json_t *list = json_object_get(root, "cmd");
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *v = json_array_get(list, i);
            if (strcmp(vector_text(v, "ins"), "C4") == 0) {
                check_key_change(v);
                n++;
            }
        }
        json_decref(root);
    }
    assert_int_equal(n, 3);
}

static void transaction_mac_session_keys_are_the_published_ones(void **state)
{
    (void)state;
    json_t *root = vector_load("an12343_ev2.json");
    json_t *list = json_object_get(root, "tmac");
    assert_int_equal(json_array_size(list), 2);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        uint8_t bytes[16], uid[7], mac[16], enc[16];
        struct crypto_key key;
        assert_int_equal(vector_hex(v, "AppTransactionMACKey", bytes, sizeof(bytes)), 16);
        assert_int_equal(vector_hex(v, "UID", uid, sizeof(uid)), 7);
        crypto_key_init(&key, CRYPTO_AES128, bytes);
        uint32_t counter = (uint32_t)json_integer_value(json_object_get(v, "TMC_before"));
        df_sm_tmac_keys(&key, counter, uid, mac, enc);
        check_hex(v, "SesTMMACKey", mac, 16);
        check_hex(v, "SesTMENCKey", enc, 16);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an12196_authentications_give_the_published_messages_and_keys),
        cmocka_unit_test(an12343_authentications_give_the_published_messages_and_keys),
        cmocka_unit_test(an12196_commands_and_answers_are_the_published_bytes),
        cmocka_unit_test(an12343_commands_and_answers_are_the_published_bytes),
        cmocka_unit_test(published_key_changes_are_built_and_read),
        cmocka_unit_test(transaction_mac_session_keys_are_the_published_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
