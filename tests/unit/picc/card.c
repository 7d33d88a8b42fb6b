/* The card's side, driven by our reader's side: state, rights, transactions, memory, errors. The
 * protocol itself is judged elsewhere, by the trace of a real card and by published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "desfire/pcd.h"
#include "desfire/picc.h"

struct pair {
    struct df_pcd pcd;
    struct df_picc picc;
    uint8_t answer[8400];
    uint8_t seed;
};

static void fill(void *ctx, uint8_t *p, size_t n)
{
    struct pair *t = ctx;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(t->seed = (uint8_t)(t->seed * 5 + 7));
}

static const struct df_key factory = {.type = DF_KEY_2K3DES};
static const struct df_key aes_zero = {.type = DF_KEY_AES};
static const struct df_key aes_one = {
    .type = DF_KEY_AES,
    .version = 1,
    .bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
static const struct df_key aes_two = {
    .type = DF_KEY_AES, .version = 2, .bytes = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6}};

static enum df_want run(struct pair *t, const struct df_request *r)
{
    uint8_t tx[DF_CAPDU_MAX], rx[DF_RAPDU_MAX];
    struct b_wr out = b_wr_from(tx, sizeof(tx));
    struct b_wr in = b_wr_from(rx, sizeof(rx));
    enum df_want want = df_pcd_start(&t->pcd, r, b_wr_from(t->answer, sizeof(t->answer)), &out);
    while (want == DF_TX) {
        df_picc_step(&t->picc, b_wr_reader(&out), &in);
        want = df_pcd_step(&t->pcd, b_wr_reader(&in), &out);
    }
    return want;
}

static void good(struct pair *t, const struct df_request *r)
{
    if (run(t, r) != DF_DONE)
        fail_msg("%s: %s", df_cmd_name(r->cmd), df_pcd_error(&t->pcd)->msg);
}

static void bad(struct pair *t, const struct df_request *r, uint8_t sw)
{
    if (run(t, r) == DF_DONE)
        fail_msg("%s worked", df_cmd_name(r->cmd));
    if (df_pcd_status(&t->pcd) != sw)
        fail_msg("%s: %s, not %s", df_cmd_name(r->cmd), df_sw_name(df_pcd_status(&t->pcd)),
                 df_sw_name(sw));
}

static void field(struct pair *t)
{
    df_picc_power(&t->picc, (struct df_random){fill, t});
    df_pcd_reset(&t->pcd);
}

static struct pair *new_pair(enum df_ev ev, uint32_t memory)
{
    struct pair *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    struct df_personality who = {.ev = ev, .memory = memory, .uid = {4, 1, 2, 3, 4, 5, 6}};
    assert_true(df_picc_blank(&t->picc, &who));
    df_pcd_init(&t->pcd, (struct df_random){fill, t});
    field(t);
    return t;
}

static void drop(struct pair *t)
{
    df_pcd_drop(&t->pcd);
    free(t);
}

static enum df_auth best_auth(enum df_ev ev)
{
    return ev == DF_EV1 ? DF_AUTH_AES : DF_AUTH_EV2_FIRST;
}

static void authenticate(struct pair *t, enum df_auth how, uint8_t no, const struct df_key *key)
{
    struct df_request r;
    df_req_authenticate(&r, how, no, key);
    good(t, &r);
}

static void select_app(struct pair *t, df_aid aid)
{
    struct df_request r;
    df_req_select(&r, aid);
    good(t, &r);
}

/* The card's key becomes AES, an application F51234 with 5 AES keys is there and selected. */
static void prepare(struct pair *t, enum df_ev ev)
{
    struct df_request r;
    authenticate(t, DF_AUTH_ISO, 0, &factory);
    df_req_change_key(&r, 0, &aes_one, NULL);
    good(t, &r);
    authenticate(t, best_auth(ev), 0, &aes_one);
    struct df_app_spec spec = {
        .aid = 0xF51234, .settings = 0x0F, .type = DF_KEY_AES, .key_count = 5};
    df_req_create_application(&r, &spec);
    good(t, &r);
    select_app(t, 0xF51234);
}

static void for_each_ev(void (*fn)(enum df_ev ev))
{
    fn(DF_EV1);
    fn(DF_EV2);
    fn(DF_EV3);
}

static void keys_of(enum df_ev ev)
{
    struct pair *t = new_pair(ev, 8192);
    struct df_request r;
    prepare(t, ev);
    authenticate(t, best_auth(ev), 0, &aes_zero);
    df_req_change_key(&r, 1, &aes_one, &aes_zero);
    good(t, &r);
    df_req_change_key(&r, 1, &aes_two, &aes_one);
    good(t, &r);
    df_req_get_key_version(&r, 1);
    good(t, &r);
    assert_int_equal(t->answer[0], 2);
    df_req_change_key(&r, 0, &aes_one, NULL);
    good(t, &r);
    authenticate(t, best_auth(ev), 1, &aes_two);
    authenticate(t, DF_AUTH_AES, 0, &aes_one);
    df_req_authenticate(&r, best_auth(ev), 1, &aes_one);
    bad(t, &r, DF_SW_AUTHENTICATION_ERROR);
    drop(t);
}

static void keys_change_and_the_old_ones_stop_working(void **state)
{
    (void)state;
    for_each_ev(keys_of);
}

static void file_in_mode(struct pair *t, enum df_ev ev, uint8_t no, enum df_comm comm)
{
    struct df_request r;
    uint8_t data[200];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i + no);
    struct df_file_settings s = {.type = DF_FILE_STANDARD,
                                 .comm = comm,
                                 .option = (uint8_t)comm,
                                 .rights = {1, 2, 3, 0},
                                 .size = 256};
    authenticate(t, best_auth(ev), 0, &aes_zero);
    df_req_create_file(&r, no, &s);
    good(t, &r);
    df_req_get_file_settings(&r, no);
    good(t, &r);
    struct df_file_settings got;
    assert_true(df_rsp_file_settings(df_pcd_answer(&t->pcd), &got));
    assert_int_equal(got.size, 256);
    authenticate(t, best_auth(ev), 2, &aes_zero);
    df_req_write_data(&r, no, 3, data, sizeof(data), comm);
    good(t, &r);
    df_req_read_data(&r, no, 0, 10, comm);
    bad(t, &r, DF_SW_AUTHENTICATION_ERROR);
    authenticate(t, best_auth(ev), 1, &aes_zero);
    df_req_read_data(&r, no, 3, sizeof(data), comm);
    good(t, &r);
    assert_int_equal(df_pcd_answer(&t->pcd).left, sizeof(data));
    assert_memory_equal(df_pcd_answer(&t->pcd).p, data, sizeof(data));
    df_req_read_data(&r, no, 0, 0, comm);
    good(t, &r);
    assert_int_equal(df_pcd_answer(&t->pcd).left, 256);
    df_req_read_data(&r, no, 250, 10, comm);
    bad(t, &r, DF_SW_BOUNDARY_ERROR);
}

static void modes_of(enum df_ev ev)
{
    struct pair *t = new_pair(ev, 8192);
    prepare(t, ev);
    file_in_mode(t, ev, 1, DF_COMM_PLAIN);
    file_in_mode(t, ev, 2, DF_COMM_MAC);
    file_in_mode(t, ev, 3, DF_COMM_FULL);
    drop(t);
}

static void data_passes_in_every_mode_in_chained_frames(void **state)
{
    (void)state;
    for_each_ev(modes_of);
}

static void transaction_of(enum df_ev ev)
{
    struct pair *t = new_pair(ev, 8192);
    struct df_request r;
    uint8_t data[16] = "committed later";
    prepare(t, ev);
    authenticate(t, best_auth(ev), 0, &aes_zero);
    struct df_file_settings backup = {.type = DF_FILE_BACKUP, .rights = {0, 0, 0, 0}, .size = 16};
    struct df_file_settings value = {
        .type = DF_FILE_VALUE, .rights = {0, 0, 0, 0}, .upper = 100, .value = 50};
    struct df_file_settings records = {
        .type = DF_FILE_CYCLIC, .rights = {0, 0, 0, 0}, .record_size = 16, .record_max = 3};
    df_req_create_file(&r, 1, &backup);
    good(t, &r);
    df_req_create_file(&r, 2, &value);
    good(t, &r);
    df_req_create_file(&r, 3, &records);
    good(t, &r);
    for (int round = 0; round < 2; round++) {
        df_req_write_data(&r, 1, 0, data, 16, DF_COMM_PLAIN);
        good(t, &r);
        df_req_change_value(&r, DF_CMD_DEBIT, 2, 20, DF_COMM_PLAIN);
        good(t, &r);
        df_req_write_record(&r, 3, 0, data, 16, DF_COMM_PLAIN);
        good(t, &r);
        if (round == 0) {
            field(t);
            select_app(t, 0xF51234);
            authenticate(t, best_auth(ev), 0, &aes_zero);
        } else {
            df_req_plain(&r, DF_CMD_COMMIT_TRANSACTION);
            good(t, &r);
        }
        df_req_get_value(&r, 2, DF_COMM_PLAIN);
        good(t, &r);
        int32_t v;
        assert_true(df_rsp_value(df_pcd_answer(&t->pcd), &v));
        assert_int_equal(v, round == 0 ? 50 : 30);
        df_req_read_data(&r, 1, 0, 16, DF_COMM_PLAIN);
        good(t, &r);
        assert_int_equal(memcmp(t->answer, data, 16) == 0, round == 1);
    }
    df_req_read_records(&r, 3, 0, 0, 16, DF_COMM_PLAIN);
    good(t, &r);
    assert_int_equal(df_pcd_answer(&t->pcd).left, 16);
    drop(t);
}

static void an_uncommitted_transaction_is_lost_with_the_field(void **state)
{
    (void)state;
    for_each_ev(transaction_of);
}

static void memory_of(enum df_ev ev)
{
    struct pair *t = new_pair(ev, 2048);
    struct df_request r;
    prepare(t, ev);
    authenticate(t, best_auth(ev), 0, &aes_zero);
    struct df_file_settings s = {.type = DF_FILE_STANDARD, .rights = {0, 0, 0, 0}, .size = 1024};
    uint32_t before = df_picc_free_memory(&t->picc);
    df_req_create_file(&r, 1, &s);
    good(t, &r);
    assert_true(df_picc_free_memory(&t->picc) + 1024 <= before);
    df_req_create_file(&r, 2, &s);
    bad(t, &r, DF_SW_OUT_OF_EEPROM);
    authenticate(t, best_auth(ev), 0, &aes_zero);
    df_req_delete_file(&r, 1);
    good(t, &r);
    assert_int_equal(df_picc_free_memory(&t->picc) == before, ev != DF_EV1);
    drop(t);
}

static void memory_is_counted_and_ev1_keeps_what_was_deleted(void **state)
{
    (void)state;
    for_each_ev(memory_of);
}

static void ev1_refuses_what_came_with_ev2(void **state)
{
    (void)state;
    struct pair *t = new_pair(DF_EV1, 8192);
    struct df_request r;
    prepare(t, DF_EV1);
    df_req_authenticate(&r, DF_AUTH_EV2_FIRST, 0, &aes_zero);
    bad(t, &r, DF_SW_ILLEGAL_COMMAND);
    df_req_plain(&r, DF_CMD_PREPARE_PC);
    bad(t, &r, DF_SW_ILLEGAL_COMMAND);
    df_req_initialize_key_set(&r, 1, DF_KEY_AES);
    bad(t, &r, DF_SW_ILLEGAL_COMMAND);
    drop(t);
}

static void image_of(enum df_ev ev)
{
    struct pair *t = new_pair(ev, 8192);
    size_t cap = df_picc_image_max();
    uint8_t *one = malloc(cap), *two = malloc(cap);
    assert_non_null(one);
    assert_non_null(two);
    prepare(t, ev);
    struct b_wr w = b_wr_from(one, cap);
    df_picc_save(&t->picc, &w);
    assert_true(b_wr_ok(&w));
    assert_true(df_picc_load(&t->picc, b_wr_reader(&w)));
    struct b_wr again = b_wr_from(two, cap);
    df_picc_save(&t->picc, &again);
    assert_int_equal(w.len, again.len);
    assert_memory_equal(one, two, w.len);
    for (size_t n = 0; n < w.len; n += 37)
        assert_false(df_picc_load(&t->picc, b_rd_from(one, n)));
    for (size_t n = 0; n < w.len; n += 41) {
        one[n] ^= 1;
        assert_false(df_picc_load(&t->picc, b_rd_from(one, w.len)));
        one[n] ^= 1;
    }
    free(one);
    free(two);
    drop(t);
}

static void an_image_comes_back_and_a_damaged_one_does_not(void **state)
{
    (void)state;
    for_each_ev(image_of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_change_and_the_old_ones_stop_working),
        cmocka_unit_test(data_passes_in_every_mode_in_chained_frames),
        cmocka_unit_test(an_uncommitted_transaction_is_lost_with_the_field),
        cmocka_unit_test(memory_is_counted_and_ev1_keeps_what_was_deleted),
        cmocka_unit_test(ev1_refuses_what_came_with_ev2),
        cmocka_unit_test(an_image_comes_back_and_a_damaged_one_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
