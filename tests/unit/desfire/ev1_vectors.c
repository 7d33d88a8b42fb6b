/* D40 and EV1 against NXP's AN12757 and AN0945 (tests/vectors/ev1_an12757_an0945.json): both sides
 * of every message. The vectors are native frames: INS or status first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "desfire/pcd.h"
#include "desfire/wire.h"
#include "support/vector.h"

static json_t *root;

static int load(void **state)
{
    (void)state;
    root = vector_load("ev1_an12757_an0945.json");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(root);
    return 0;
}

static uint8_t given_random[16];

static void give_random(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memcpy(p, given_random, n);
}

static void check_key(const struct crypto_key *got, const uint8_t *want_bytes)
{
    struct crypto_key want;
    uint8_t zero[16] = {0}, x[16], y[16];
    crypto_key_init(&want, got->cipher, want_bytes);
    crypto_encrypt_block(&want, zero, x);
    crypto_encrypt_block(got, zero, y);
    assert_memory_equal(x, y, crypto_block_size(got->cipher));
}

/* Feeds the native answer in v[name] to the reader. */
static enum df_want feed(struct df_pcd *pcd, const json_t *v, const char *name, struct b_wr *out)
{
    uint8_t native[64], rapdu[64];
    size_t n = vector_hex(v, name, native, sizeof(native));
    assert_true(n > 0);
    memcpy(rapdu, native + 1, n - 1);
    rapdu[n - 1] = 0x91;
    rapdu[n] = native[0];
    return df_pcd_step(pcd, b_rd_from(rapdu, n + 1), out);
}

static void authentications_give_the_published_messages_and_keys(void **state)
{
    (void)state;
    static struct df_pcd pcd;
    json_t *list = json_object_get(root, "auth");
    assert_int_equal(json_array_size(list), 4);
    df_pcd_init(&pcd, (struct df_random){.fill = give_random});
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        uint8_t cmd[2], sent[DF_CAPDU_MAX], c2[64], session[24], none[1];
        struct b_wr out = b_wr_from(sent, sizeof(sent));
        struct df_request r;
        assert_int_equal(vector_hex(v, "cmd", cmd, sizeof(cmd)), 2);
        enum df_auth how = cmd[0] == 0x0A   ? DF_AUTH_D40
                           : cmd[0] == 0x1A ? DF_AUTH_ISO
                                            : DF_AUTH_AES;
        struct df_key key = {.type = how == DF_AUTH_AES ? DF_KEY_AES : DF_KEY_2K3DES};
        assert_int_equal(vector_hex(v, "key", key.bytes, sizeof(key.bytes)), 16);
        (void)vector_hex(v, "RndA", given_random, sizeof(given_random));
        df_req_authenticate(&r, how, cmd[1], &key);
        assert_int_equal(df_pcd_start(&pcd, &r, b_wr_from(none, 0), &out), DF_TX);
        assert_int_equal(feed(&pcd, v, "r1", &out), DF_TX);
        size_t n = vector_hex(v, "c2", c2, sizeof(c2));
        if (n > 0)
            assert_memory_equal(sent + 5, c2 + 1, n - 1);
        assert_int_equal(feed(&pcd, v, "r2", &out), DF_DONE);
        assert_int_equal(vector_hex(v, "sess", session, sizeof(session)), 16);
        check_key(&pcd.sm.mac, session);
        assert_int_equal(df_pcd_session(&pcd), how);
    }
}

static void iso7816_three_passes_give_the_published_cryptograms(void **state)
{
    (void)state;
    const json_t *v = json_object_get(root, "iso7816_aes_auth");
    const json_t *x = json_object_get(v, "x");
    uint8_t bytes[6][64];
    size_t len[6];
    for (size_t i = 0; i < 6; i++) {
        struct b_wr w = b_wr_from(bytes[i], sizeof(bytes[i]));
        assert_true(
            b_unhex(&w, json_string_value(json_array_get(json_array_get(x, i / 2), i % 2))));
        len[i] = w.len;
    }
    struct df_key key = {.type = DF_KEY_AES};
    struct df_handshake hs;
    assert_int_equal(vector_hex(v, "key", key.bytes, sizeof(key.bytes)), 16);
    assert_true(df_hs_begin(&hs, DF_AUTH_AES, 2, &key));
    struct df_capdu external, internal;
    assert_true(df_wire_capdu(b_rd_from(bytes[2], len[2]), &external));
    assert_true(df_wire_capdu(b_rd_from(bytes[4], len[4]), &internal));
    uint8_t first[16], second[16], again[32];
    struct b_wr out = b_wr_from(again, sizeof(again));
    /* EXTERNAL AUTHENTICATE holds the card's challenge behind the reader's. */
    assert_true(df_hs_iso_open(&hs, external.data, first, second));
    assert_memory_equal(second, bytes[1], 16);
    df_hs_iso_seal(&hs, first, second, &out);
    assert_memory_equal(again, external.data.p, 32);
    /* The answer to INTERNAL AUTHENTICATE holds the reader's second challenge behind the card's. */
    assert_true(df_hs_iso_open(&hs, b_rd_from(bytes[5], len[5] - 2), first, second));
    assert_memory_equal(second, internal.data.p, 16);
    out.len = 0;
    df_hs_iso_seal(&hs, first, second, &out);
    assert_memory_equal(again, bytes[5], 32);
}

static struct df_sm reader, card;

static void open_session(struct df_sm *sm, const json_t *v)
{
    const char *alg = vector_text(v, "alg");
    bool is_aes = strcmp(alg, "AES") == 0;
    *sm = (struct df_sm){.kind = strcmp(alg, "D40") == 0 ? DF_SM_D40 : DF_SM_EV1,
                         .block = is_aes ? 16 : 8};
    uint8_t key[16];
    assert_int_equal(vector_hex(v, "sess", key, sizeof(key)), 16);
    crypto_key_init(&sm->mac, is_aes ? CRYPTO_AES128 : CRYPTO_TDEA2, key);
    (void)vector_hex(v, "iv", sm->iv, sizeof(sm->iv));
}

/* Both sides of one command of the "sm" section. */
static void check_message(const json_t *v)
{
    uint8_t cmd[128], resp[128], plain[128], body[128];
    open_session(&reader, v);
    open_session(&card, v);
    size_t cmd_len = vector_hex(v, "cmd", cmd, sizeof(cmd));
    size_t resp_len = vector_hex(v, "resp", resp, sizeof(resp));
    size_t plain_len = vector_hex(v, "plain", plain, sizeof(plain));
    bool is_full = plain_len > 0;
    bool is_write = cmd[0] == 0x3D;
    size_t mac_len = reader.kind == DF_SM_D40 ? 4 : 8;
    if (!is_full && is_write)
        memcpy(plain, cmd + 8, plain_len = cmd_len - 8 - mac_len);
    if (!is_full && !is_write)
        memcpy(plain, resp + 1, plain_len = resp_len - 1 - mac_len);
    struct df_sm_rule rule =
        df_sm_rule(df_cmd_find(false, cmd[0], 0), is_full ? DF_COMM_FULL : DF_COMM_MAC);
    struct b_rd data = b_rd_from(plain, plain_len), none = b_rd_from(plain, 0);
    struct b_wr out = b_wr_from(body, sizeof(body));
    assert_true(
        df_sm_wrap_command(&reader, &rule, b_rd_from(cmd + 1, 7), is_write ? data : none, &out));
    assert_int_equal(out.len, cmd_len - 1);
    assert_memory_equal(body, cmd + 1, out.len);
    size_t len = out.len;
    assert_true(df_sm_unwrap_command(&card, &rule, body, &len, is_write ? plain_len : 0));
    assert_int_equal(len, 7 + (is_write ? plain_len : 0));
    assert_memory_equal(body + 7, plain, len - 7);

    out.len = 0;
    assert_true(df_sm_wrap_answer(&card, &rule, DF_SW_OK, is_write ? none : data, &out));
    assert_int_equal(out.len, resp_len - 1);
    assert_memory_equal(body, resp + 1, out.len);
    len = resp_len - 1;
    assert_true(
        df_sm_unwrap_answer(&reader, &rule, DF_SW_OK, resp + 1, &len, is_write ? 0 : plain_len));
    assert_int_equal(len, is_write ? 0 : plain_len);
    assert_memory_equal(resp + 1, plain, len);
    assert_memory_equal(reader.iv, card.iv, sizeof(card.iv));
}

static void reads_and_writes_are_the_published_bytes(void **state)
{
    (void)state;
    json_t *list = json_object_get(root, "sm");
    assert_int_equal(json_array_size(list), 11);
    for (size_t i = 0; i < json_array_size(list); i++)
        check_message(json_array_get(list, i));
}

static void check_key_change(const json_t *v)
{
    uint8_t cmd[64], resp[16], body[64], version;
    open_session(&reader, v);
    open_session(&card, v);
    struct df_key new_key = {.type = DF_KEY_AES}, old_key = {.type = DF_KEY_AES}, got;
    struct df_sm_key_change change = {.ins = 0xC4, .head_len = 1};
    size_t cmd_len = vector_hex(v, "cmd", cmd, sizeof(cmd));
    size_t resp_len = vector_hex(v, "resp", resp, sizeof(resp));
    assert_int_equal(vector_hex(v, "keyno", change.head, 1), 1);
    assert_int_equal(vector_hex(v, "ver", &version, 1), 1);
    assert_int_equal(vector_hex(v, "new", new_key.bytes, sizeof(new_key.bytes)), 16);
    new_key.version = version;
    if (vector_hex(v, "old", old_key.bytes, sizeof(old_key.bytes)) > 0)
        change.old = &old_key;
    struct b_wr out = b_wr_from(body, sizeof(body));
    assert_true(df_sm_wrap_key(&reader, &change, &new_key, &out));
    assert_int_equal(out.len, cmd_len - 1);
    assert_memory_equal(body, cmd + 1, out.len);
    assert_true(df_sm_unwrap_key(&card, &change, DF_KEY_AES, body, out.len, &got));
    assert_memory_equal(got.bytes, new_key.bytes, 16);
    assert_int_equal(got.version, version);
    if (change.old == NULL) {
        assert_int_equal(resp_len, 1); /* bare: the session is over */
        return;
    }
    struct df_sm_rule rule = df_sm_rule(DF_CMD_CHANGE_KEY, DF_COMM_PLAIN);
    size_t len = resp_len - 1;
    assert_true(df_sm_unwrap_answer(&reader, &rule, DF_SW_OK, resp + 1, &len, 0));
    assert_int_equal(len, 0);
}

static void key_changes_are_the_published_cryptograms(void **state)
{
    (void)state;
    json_t *list = json_object_get(root, "changekey");
    assert_int_equal(json_array_size(list), 3);
    for (size_t i = 0; i < json_array_size(list); i++)
        check_key_change(json_array_get(list, i));
}

static void an_application_with_key_sets_is_created_by_the_published_bytes(void **state)
{
    (void)state;
    uint8_t want[64];
    size_t n = vector_hex(json_object_get(root, "createapp"), "native", want, sizeof(want));
    struct df_app_spec spec = {.aid = 0xF11C2C,
                               .settings = 0x1F,
                               .type = DF_KEY_AES,
                               .key_count = 5,
                               .has_iso = true,
                               .iso_fid = 0x2211,
                               .df_name = {1, 2, 3, 4, 5, 6},
                               .df_name_len = 6,
                               .key_sets = 4,
                               .key_set_version = 0,
                               .key_set_max_size = 0x10,
                               .key_set_settings = 2};
    struct df_request r;
    df_req_create_application(&r, &spec);
    assert_int_equal(df_cmd_row(r.cmd)->ins, want[0]);
    assert_int_equal(r.head_len, n - 1);
    assert_memory_equal(r.head, want + 1, n - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authentications_give_the_published_messages_and_keys),
        cmocka_unit_test(iso7816_three_passes_give_the_published_cryptograms),
        cmocka_unit_test(reads_and_writes_are_the_published_bytes),
        cmocka_unit_test(key_changes_are_the_published_cryptograms),
        cmocka_unit_test(an_application_with_key_sets_is_created_by_the_published_bytes),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
