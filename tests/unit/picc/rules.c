/* Who may do what on a card, and what a transaction means: the reader's side drives the card's. The
 * passes of the authentications are the published ones (each vector names its source). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "desfire/cmd.h"
#include "desfire/pcd.h"
#include "desfire/picc.h"
#include "support/vector.h"

enum { APP = 0x000001 };

static struct df_pcd pcd;
static struct df_picc picc;
static uint8_t answer[8400];
static uint8_t scripted[32]; /* what the random source gives when scripted_len is not 0 */
static size_t scripted_len;
static const struct df_key zero = {.type = DF_KEY_AES};

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 0x37, n);
    if (scripted_len == 0)
        return;
    size_t take = n < scripted_len ? n : scripted_len;
    memcpy(p, scripted, take);
    memmove(scripted, scripted + take, scripted_len - take);
    scripted_len -= take;
}

/* The status of the last answer. */
static uint8_t send(const struct df_request *r)
{
    uint8_t tx[DF_CAPDU_MAX], rx[DF_RAPDU_MAX];
    struct b_wr out = b_wr_from(tx, sizeof(tx)), in = b_wr_from(rx, sizeof(rx));
    enum df_want want = df_pcd_start(&pcd, r, b_wr_from(answer, sizeof(answer)), &out);
    while (want == DF_TX) {
        df_picc_step(&picc, b_wr_reader(&out), &in);
        want = df_pcd_step(&pcd, b_wr_reader(&in), &out);
    }
    return df_pcd_status(&pcd);
}

static void good(const struct df_request *r)
{
    if (send(r) != DF_SW_OK)
        fail_msg("%s: %s", df_cmd_name(r->cmd), df_sw_name(df_pcd_status(&pcd)));
}

/* Raw bytes; what came back is in answer. */
static size_t raw(const char *hex)
{
    uint8_t tx[DF_CAPDU_MAX];
    struct b_wr w = b_wr_from(tx, sizeof(tx)), in = b_wr_from(answer, DF_RAPDU_MAX);
    assert_true(b_unhex(&w, hex));
    df_picc_step(&picc, b_wr_reader(&w), &in);
    assert_true(in.len >= 2);
    return in.len;
}

static uint16_t raw_status(const char *hex)
{
    size_t n = raw(hex);
    return (uint16_t)(answer[n - 2] << 8 | answer[n - 1]);
}

/* A card of this generation with application 1: 5 AES keys of zeros, selected. */
static void start(enum df_ev ev, uint8_t key_sets)
{
    const struct df_personality who = {.ev = ev, .memory = 8192, .uid = {4, 1, 2, 3, 4, 5, 6}};
    const struct df_random random = {.fill = fill};
    struct df_request r;
    scripted_len = 0;
    assert_true(df_picc_blank(&picc, &who));
    df_picc_power(&picc, random);
    df_pcd_init(&pcd, random);
    const struct df_app_spec spec = {.aid = APP,
                                     .settings = 0x0F,
                                     .type = DF_KEY_AES,
                                     .key_count = 5,
                                     .key_sets = key_sets,
                                     .key_set_max_size = 16};
    df_req_create_application(&r, &spec);
    good(&r);
    df_req_select(&r, APP);
    good(&r);
}

static void be(enum df_ev ev, uint8_t key_no)
{
    struct df_request r;
    df_req_select(&r, APP);
    good(&r);
    df_req_authenticate(&r, ev == DF_EV1 ? DF_AUTH_AES : DF_AUTH_EV2_FIRST, key_no, &zero);
    good(&r);
}

static void create(uint8_t no, struct df_file_settings s)
{
    struct df_request r;
    df_req_create_file(&r, no, &s);
    good(&r);
}

/* --- rights ----------------------------------------------------------------------------------- */

static const struct df_rights by_key = {.read = 1, .write = 2, .read_write = 3, .change = 4};

/* Files 0 standard, 1 value, 2 records: keys 1 read, 2 write, 3 both, 4 change. */
static void create_files(struct df_rights rights)
{
    create(0, (struct df_file_settings){.type = DF_FILE_STANDARD, .rights = rights, .size = 8});
    create(1, (struct df_file_settings){.type = DF_FILE_VALUE,
                                        .rights = rights,
                                        .upper = 100,
                                        .value = 50,
                                        .limited_credit = 1});
    create(2, (struct df_file_settings){
                  .type = DF_FILE_LINEAR, .rights = rights, .record_size = 4, .record_max = 4});
}

static void make_use(struct df_request *r, size_t use)
{
    static const uint8_t four[4] = {1, 2, 3, 4};
    const struct df_rights same = by_key;
    switch (use) {
    case 0:
        df_req_read_data(r, 0, 0, 4, DF_COMM_PLAIN);
        break;
    case 1:
        df_req_write_data(r, 0, 0, four, 4, DF_COMM_PLAIN);
        break;
    case 2:
        df_req_get_value(r, 1, DF_COMM_PLAIN);
        break;
    case 3:
        df_req_change_value(r, DF_CMD_DEBIT, 1, 0, DF_COMM_PLAIN);
        break;
    case 4:
        df_req_change_value(r, DF_CMD_LIMITED_CREDIT, 1, 0, DF_COMM_PLAIN);
        break;
    case 5:
        df_req_change_value(r, DF_CMD_CREDIT, 1, 0, DF_COMM_PLAIN);
        break;
    case 6:
        df_req_write_record(r, 2, 0, four, 4, DF_COMM_PLAIN);
        break;
    case 7:
        df_req_clear_records(r, 2);
        break;
    default:
        df_req_change_file_settings(r, 0, DF_COMM_PLAIN, same, false);
        break;
    }
}

static void each_use_of_a_file_needs_its_key(void **state)
{
    (void)state;
    /* bit n: key n serves (short data sheet of the first DESFire, table of access rights) */
    static const uint8_t serves[] = {
        1 << 1 | 1 << 3,          1 << 2 | 1 << 3, 1 << 1 | 1 << 2 | 1 << 3,
        1 << 1 | 1 << 2 | 1 << 3, 1 << 2 | 1 << 3, 1 << 3,
        1 << 2 | 1 << 3,          1 << 3,          1 << 4};
    for (enum df_ev ev = DF_EV1; ev <= DF_EV3; ev++) {
        start(ev, 0);
        create_files(by_key);
        for (size_t i = 0; i < B_COUNT(serves) * 5; i++) {
            struct df_request r;
            size_t use = i / 5;
            uint8_t key = (uint8_t)(i % 5);
            be(ev, key);
            make_use(&r, use);
            uint8_t want = (serves[use] >> key & 1) ? DF_SW_OK : DF_SW_AUTHENTICATION_ERROR;
            if (send(&r) != want)
                fail_msg("%s with key %u: %s", df_cmd_name(r.cmd), key,
                         df_sw_name(df_pcd_status(&pcd)));
        }
    }
}

static void what_is_never_allowed_is_not_allowed_to_the_master_key(void **state)
{
    (void)state;
    const struct df_rights never = {0xF, 0xF, 0xF, 0xF};
    for (enum df_ev ev = DF_EV1; ev <= DF_EV3; ev++) {
        start(ev, 0);
        create_files(never);
        for (size_t use = 0; use < 9; use++) {
            struct df_request r;
            be(ev, 0);
            make_use(&r, use);
            assert_int_equal(send(&r), DF_SW_PERMISSION_DENIED);
        }
    }
}

/* --- transactions ------------------------------------------------------------------------------
 */

static int32_t value_of(uint8_t no)
{
    struct df_request r;
    int32_t v = 0;
    df_req_get_value(&r, no, DF_COMM_PLAIN);
    good(&r);
    assert_true(df_rsp_value(df_pcd_answer(&pcd), &v));
    return v;
}

static uint8_t change(enum df_cmd cmd, int32_t amount)
{
    struct df_request r;
    df_req_change_value(&r, cmd, 1, amount, DF_COMM_PLAIN);
    return send(&r);
}

static uint8_t end(enum df_cmd cmd)
{
    struct df_request r;
    df_req_plain(&r, cmd);
    return send(&r);
}

static void a_value_stays_within_its_limits(void **state)
{
    (void)state;
    start(DF_EV1, 0);
    create_files((struct df_rights){0, 0, 0, 0});
    be(DF_EV1, 0);
    assert_int_equal(change(DF_CMD_DEBIT, 51), DF_SW_BOUNDARY_ERROR);
    be(DF_EV1, 0);
    assert_int_equal(change(DF_CMD_CREDIT, 51), DF_SW_BOUNDARY_ERROR);
    be(DF_EV1, 0);
    assert_int_equal(change(DF_CMD_DEBIT, -1), DF_SW_PARAMETER_ERROR);
    be(DF_EV1, 0);
    assert_int_equal(change(DF_CMD_DEBIT, 20), DF_SW_OK);
    assert_int_equal(value_of(1), 50); /* not committed */
    assert_int_equal(end(DF_CMD_ABORT_TRANSACTION), DF_SW_OK);
    assert_int_equal(end(DF_CMD_COMMIT_TRANSACTION), DF_SW_NO_CHANGES);
    assert_int_equal(change(DF_CMD_DEBIT, 20), DF_SW_OK);
    assert_int_equal(end(DF_CMD_COMMIT_TRANSACTION), DF_SW_OK);
    assert_int_equal(value_of(1), 30);
    /* LimitedCredit gives back what was debited, once */
    assert_int_equal(change(DF_CMD_LIMITED_CREDIT, 15), DF_SW_OK);
    assert_int_equal(end(DF_CMD_COMMIT_TRANSACTION), DF_SW_OK);
    assert_int_equal(value_of(1), 45);
    assert_int_equal(change(DF_CMD_LIMITED_CREDIT, 5), DF_SW_BOUNDARY_ERROR);
}

static uint8_t write_record(uint8_t no, uint8_t byte)
{
    struct df_request r;
    const uint8_t data[4] = {byte, byte, byte, byte};
    df_req_write_record(&r, no, 0, data, sizeof(data), DF_COMM_PLAIN);
    return send(&r);
}

/* First bytes of all records, oldest first, as a number: 0x0203 for 02.. 03.. */
static unsigned records_of(uint8_t no)
{
    struct df_request r;
    unsigned v = 0;
    df_req_read_records(&r, no, 0, 0, 4, DF_COMM_PLAIN);
    if (send(&r) != DF_SW_OK)
        return 0;
    for (size_t i = 0; i < df_pcd_answer(&pcd).left; i += 4)
        v = v << 8 | df_pcd_answer(&pcd).p[i];
    return v;
}

static void a_cyclic_file_forgets_the_oldest_and_a_linear_one_is_full(void **state)
{
    (void)state;
    const struct df_rights rights = {0, 0, 0, 0};
    start(DF_EV1, 0);
    create(1, (struct df_file_settings){
                  .type = DF_FILE_CYCLIC, .rights = rights, .record_size = 4, .record_max = 3});
    create(2, (struct df_file_settings){
                  .type = DF_FILE_LINEAR, .rights = rights, .record_size = 4, .record_max = 2});
    be(DF_EV1, 0);
    for (uint8_t i = 1; i <= 3; i++) {
        assert_int_equal(write_record(1, i), DF_SW_OK);
        assert_int_equal(end(DF_CMD_COMMIT_TRANSACTION), DF_SW_OK);
    }
    assert_int_equal(records_of(1), 0x0203); /* one of three is kept for the next */
    for (uint8_t i = 1; i <= 2; i++) {
        assert_int_equal(write_record(2, i), DF_SW_OK);
        assert_int_equal(end(DF_CMD_COMMIT_TRANSACTION), DF_SW_OK);
    }
    assert_int_equal(write_record(2, 3), DF_SW_BOUNDARY_ERROR);
    be(DF_EV1, 0);
    assert_int_equal(records_of(2), 0x0102);
}

static void a_cleared_file_is_empty_at_the_commit(void **state)
{
    (void)state;
    struct df_request r;
    start(DF_EV2, 0);
    create_files((struct df_rights){0, 0, 0, 0});
    be(DF_EV2, 0);
    assert_int_equal(write_record(2, 7), DF_SW_OK);
    assert_int_equal(end(DF_CMD_COMMIT_TRANSACTION), DF_SW_OK);
    df_req_clear_records(&r, 2);
    good(&r);
    assert_int_equal(records_of(2), 0x07);
    assert_int_equal(end(DF_CMD_ABORT_TRANSACTION), DF_SW_OK);
    assert_int_equal(records_of(2), 0x07);
    good(&r);
    assert_int_equal(end(DF_CMD_COMMIT_TRANSACTION), DF_SW_OK);
    assert_int_equal(records_of(2), 0);
}

static void a_failure_or_a_selection_drops_the_whole_transaction(void **state)
{
    (void)state;
    struct df_request r;
    for (int how = 0; how < 2; how++) {
        start(DF_EV1, 0);
        create_files((struct df_rights){0, 0, 0, 0});
        be(DF_EV1, 0);
        assert_int_equal(change(DF_CMD_CREDIT, 10), DF_SW_OK);
        assert_int_equal(write_record(2, 9), DF_SW_OK);
        df_req_read_data(&r, 0, 100, 1, DF_COMM_PLAIN);
        if (how == 0)
            assert_int_equal(send(&r), DF_SW_BOUNDARY_ERROR);
        be(DF_EV1, 0);
        assert_int_equal(end(DF_CMD_COMMIT_TRANSACTION), DF_SW_NO_CHANGES);
        assert_int_equal(value_of(1), 50);
        assert_int_equal(records_of(2), 0);
    }
}

/* --- key sets ----------------------------------------------------------------------------------
 */

static void a_key_set_is_rolled_by_its_key_only(void **state)
{
    (void)state;
    struct df_request r;
    const struct df_key next = {.type = DF_KEY_AES, .version = 9, .bytes = {9, 8, 7}};
    start(DF_EV2, 2);
    be(DF_EV2, 0);
    df_req_initialize_key_set(&r, 1, DF_KEY_AES);
    good(&r);
    for (uint8_t no = 0; no < 5; no++) {
        df_req_change_key_ev2(&r, 1, no, &next, &zero);
        good(&r);
    }
    df_req_roll_key_set(&r, 1);
    assert_int_equal(send(&r), DF_SW_PERMISSION_DENIED); /* not finalised */
    be(DF_EV2, 0);
    df_req_finalize_key_set(&r, 1, 0x42);
    good(&r);
    df_req_select(&r, APP);
    good(&r);
    assert_int_equal(raw_status("9055000001 01 00"), 0x91AE); /* nobody is authenticated */
    be(DF_EV2, 1);
    df_req_roll_key_set(&r, 1);
    assert_int_equal(send(&r), DF_SW_AUTHENTICATION_ERROR); /* the roll key is 0 */
    be(DF_EV2, 0);
    assert_int_equal(send(&r), DF_SW_OK);
    df_req_authenticate(&r, DF_AUTH_EV2_FIRST, 3, &zero);
    assert_int_equal(send(&r), DF_SW_AUTHENTICATION_ERROR);
    df_req_authenticate(&r, DF_AUTH_EV2_FIRST, 3, &next);
    good(&r);
    df_req_get_key_version(&r, 3);
    good(&r);
    assert_int_equal(answer[0], 9);
}

/* --- published passes --------------------------------------------------------------------------
 */

/* Key `no` of the application becomes this one, without an exchange. */
static void put_key(uint8_t no, const struct df_key *key)
{
    struct picc_app *a = &picc.mem.apps[0];
    a->type = key->type;
    a->set_type[0] = (uint8_t)key->type;
    memcpy(picc.mem.keys[a->first_key + no].bytes, key->bytes, sizeof(key->bytes));
}

static void script_random(const char *hex)
{
    struct b_wr w = b_wr_from(scripted, sizeof(scripted));
    assert_true(b_unhex(&w, hex));
    scripted_len = w.len;
}

static void expect(const char *sent, const char *wanted)
{
    uint8_t want[DF_RAPDU_MAX];
    struct b_wr w = b_wr_from(want, sizeof(want));
    assert_true(b_unhex(&w, wanted));
    assert_int_equal(raw(sent), w.len);
    assert_memory_equal(answer, want, w.len);
}

static void the_card_answers_the_published_ev2_authentications(void **state)
{
    (void)state;
    static const char *const files[] = {"an12196_ev2.json", "an12343_ev2.json"};
    size_t i, tried = 0;
    json_t *v;
    for (size_t f = 0; f < B_COUNT(files); f++) {
        json_t *all = vector_load(files[f]);
        json_array_foreach(json_object_get(all, "auth"), i, v)
        {
            char random[80];
            const char *rnd_b = vector_text(v, "RndB");
            const char *c1 = vector_text(v, "c1");
            if (rnd_b == NULL || strncmp(c1, "9071", 4) != 0)
                continue;
            start(DF_EV2, 0);
            (void)snprintf(random, sizeof(random), "%s%s", rnd_b, vector_text(v, "TI"));
            script_random(random);
            expect(c1, vector_text(v, "r1"));
            expect(vector_text(v, "c2"), vector_text(v, "r2"));
            tried++;
        }
        json_decref(all);
    }
    assert_int_equal(tried, 3);
}

static void iso_key(struct df_key *key)
{
    *key = (struct df_key){.type = DF_KEY_AES};
    for (uint8_t i = 0; i < 16; i++)
        key->bytes[i] = i;
}

/* The synthetic exchange of desfire-sdk: what the card says is RPICC1, then E(RPICC2, RPCD2). */
static void the_three_iso_passes_are_the_published_ones(void **state)
{
    (void)state;
    struct df_key key;
    uint8_t iv[16] = {0}, token[64];
    struct crypto_key cipher;
    json_t *all = vector_load("ev1_an12757_an0945.json");
    const json_t *x = json_object_get(json_object_get(all, "iso7816_aes_auth"), "x");
    const char *pass[6];
    for (size_t i = 0; i < 6; i++)
        pass[i] = json_string_value(json_array_get(json_array_get(x, i / 2), i % 2));
    iso_key(&key);
    /* RPICC2 stands in the published answer */
    struct b_wr w = b_wr_from(token, sizeof(token));
    assert_true(b_unhex(&w, pass[5]));
    crypto_key_init(&cipher, CRYPTO_AES128, key.bytes);
    crypto_cbc_decrypt(&cipher, iv, token, token, 16);
    start(DF_EV1, 0);
    put_key(2, &key);
    char random[65] = {0};
    memcpy(random, pass[1], 32);
    b_hex(random + 32, token, 16);
    script_random(random);
    for (size_t i = 0; i < 6; i += 2)
        expect(pass[i], pass[i + 1]);
    json_decref(all);
}

static void a_native_command_ends_the_three_passes(void **state)
{
    (void)state;
    json_t *all = vector_load("ev1_an12757_an0945.json");
    const json_t *x = json_object_get(json_object_get(all, "iso7816_aes_auth"), "x");
    struct df_key key;
    iso_key(&key);
    start(DF_EV1, 0);
    put_key(2, &key);
    script_random("303132333435363738393A3B3C3D3E3F");
    assert_int_equal(raw_status(json_string_value(json_array_get(json_array_get(x, 0), 0))),
                     0x9000);
    assert_int_equal(raw_status(json_string_value(json_array_get(json_array_get(x, 1), 0))),
                     0x9000);
    /* begins with key 0, that was never shown */
    assert_int_equal(raw_status("90AA0000010000"), 0x91AF);
    assert_int_equal(raw_status(json_string_value(json_array_get(json_array_get(x, 2), 0))),
                     0x6985);
    assert_int_equal(raw_status("9051000000"), 0x91AE);
    json_decref(all);
}

/* --- images ------------------------------------------------------------------------------------
 */

static bool survives(void)
{
    static uint8_t image[200000];
    static struct df_picc loaded;
    struct b_wr w = b_wr_from(image, sizeof(image));
    df_picc_save(&picc, &w);
    assert_true(b_wr_ok(&w));
    return df_picc_load(&loaded, b_wr_reader(&w));
}

static void an_image_that_contradicts_itself_is_refused(void **state)
{
    (void)state;
    start(DF_EV2, 0);
    create_files((struct df_rights){0, 0, 0, 0});
    assert_true(survives());
    static struct picc_memory good_one;
    good_one = picc.mem;
    struct picc_app *a = &picc.mem.apps[0];
    a->files[2].data_at = a->files[0].data_at; /* one file on another */
    assert_false(survives());
    picc.mem = good_one;
    a->first_key = 1; /* keys beyond the pool */
    assert_false(survives());
    picc.mem = good_one;
    picc.mem.used -= PICC_BLOCK; /* fewer blocks than what is there */
    assert_false(survives());
    picc.mem = good_one;
    a->files[2].settings.record_count = 5; /* of 4 */
    assert_false(survives());
    picc.mem = good_one;
    a->set_type[0] = 0x20; /* no such cipher */
    assert_false(survives());
    picc.mem = good_one;
    assert_true(survives());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_use_of_a_file_needs_its_key),
        cmocka_unit_test(what_is_never_allowed_is_not_allowed_to_the_master_key),
        cmocka_unit_test(a_value_stays_within_its_limits),
        cmocka_unit_test(a_cyclic_file_forgets_the_oldest_and_a_linear_one_is_full),
        cmocka_unit_test(a_cleared_file_is_empty_at_the_commit),
        cmocka_unit_test(a_failure_or_a_selection_drops_the_whole_transaction),
        cmocka_unit_test(a_key_set_is_rolled_by_its_key_only),
        cmocka_unit_test(the_card_answers_the_published_ev2_authentications),
        cmocka_unit_test(the_three_iso_passes_are_the_published_ones),
        cmocka_unit_test(a_native_command_ends_the_three_passes),
        cmocka_unit_test(an_image_that_contradicts_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
