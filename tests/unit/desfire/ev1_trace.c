/* The recorded session of a real EV1 card (tests/vectors/ev1_trace.txt names its source), replayed
 * through the reader's side: given the same keys and random numbers it must send the same bytes,
 * and take every answer of the card. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "desfire/pcd.h"
#include "desfire/wire.h"
#include "support/ev1_trace.h"
#include "support/vector.h"

static void recorded_random(void *ctx, uint8_t *p, size_t n)
{
    const struct ev1_operation *op = *(const struct ev1_operation *const *)ctx;
    assert_int_equal(n, op->random_len);
    memcpy(p, op->a, n);
}

static void file_request(struct df_request *r, const struct ev1_exchange *x)
{
    struct b_rd in = b_rd_from(x->tx + 1, x->tx_len - 1);
    uint8_t file = b_rd_u8(&in);
    if (x->tx[0] == 0xCD) {
        struct df_file_settings s = {.type = DF_FILE_STANDARD, .option = b_rd_u8(&in)};
        s.rights = df_rights_unpack(b_rd_le16(&in));
        s.size = b_rd_le24(&in);
        df_req_create_file(r, file, &s);
        return;
    }
    uint32_t offset = b_rd_le24(&in);
    uint32_t length = b_rd_le24(&in);
    if (x->tx[0] == 0x3D)
        df_req_write_data(r, file, offset, b_rd_direct(&in, length), length, DF_COMM_PLAIN);
    else
        df_req_read_data(r, file, offset, length, DF_COMM_PLAIN);
}

static void application_request(struct df_request *r, const struct ev1_exchange *x)
{
    struct b_rd in = b_rd_from(x->tx + 1, x->tx_len - 1);
    struct df_app_spec spec = {.aid = b_rd_le24(&in)};
    if (x->tx[0] == 0x5A) {
        df_req_select(r, spec.aid);
        return;
    }
    if (x->tx[0] == 0xDA) {
        df_req_delete_application(r, spec.aid);
        return;
    }
    spec.settings = b_rd_u8(&in);
    uint8_t keys = b_rd_u8(&in);
    spec.key_count = keys & 15;
    spec.type = (enum df_key_type)(keys & 0xC0);
    df_req_create_application(r, &spec);
}

/* The request that the recorded program must have made. */
static void request_for(struct df_request *r, const struct ev1_operation *op,
                        const struct ev1_exchange *x)
{
    switch (x->tx[0]) {
    case 0x1A:
        df_req_authenticate(r, DF_AUTH_ISO, op->key_no, &op->key);
        break;
    case 0xAA:
        df_req_authenticate(r, DF_AUTH_AES, op->key_no, &op->key);
        break;
    case 0xC4:
        df_req_change_key(r, op->key_no, &op->new_key, op->has_old_key ? &op->old_key : NULL);
        break;
    case 0x54:
        df_req_change_key_settings(r, 0x0D);
        break;
    case 0x64:
        df_req_get_key_version(r, x->tx[1]);
        break;
    case 0xF5:
        df_req_get_file_settings(r, x->tx[1]);
        break;
    case 0xDF:
        df_req_delete_file(r, x->tx[1]);
        break;
    case 0x5A:
    case 0xCA:
    case 0xDA:
        application_request(r, x);
        break;
    case 0xCD:
    case 0x3D:
    case 0xBD:
        file_request(r, x);
        break;
    default:
        df_req_plain(r, df_cmd_find(false, x->tx[0], 0));
        break;
    }
}

static void check_session_key(const struct df_pcd *pcd, const struct ev1_operation *op)
{
    struct crypto_key want;
    uint8_t zero[16] = {0}, x[16], y[16];
    crypto_key_init(&want, pcd->sm.mac.cipher, op->session_key);
    assert_int_equal(crypto_key_size(want.cipher), op->session_key_len);
    crypto_encrypt_block(&want, zero, x);
    crypto_encrypt_block(&pcd->sm.mac, zero, y);
    assert_memory_equal(x, y, pcd->sm.block);
}

/* Returns how many exchanges were compared. */
static size_t replay(struct df_pcd *pcd, const struct ev1_operation *op)
{
    uint8_t sent[DF_CAPDU_MAX], want[DF_CAPDU_MAX], came[DF_RAPDU_MAX], answer[256];
    struct b_wr out = b_wr_from(sent, sizeof(sent));
    struct b_wr expected = b_wr_from(want, sizeof(want));
    struct b_wr rapdu = b_wr_from(came, sizeof(came));
    struct df_request r;
    enum df_want next = DF_DONE;
    for (size_t i = 0; i < op->count; i++) {
        const struct ev1_exchange *x = &op->exchanges[i];
        if (next == DF_DONE) {
            request_for(&r, op, x);
            next = df_pcd_start(pcd, &r, b_wr_from(answer, sizeof(answer)), &out);
        }
        assert_int_equal(next, DF_TX);
        ev1_trace_capdu(x, &expected);
        assert_int_equal(out.len, expected.len);
        assert_memory_equal(sent, want, out.len);
        ev1_trace_rapdu(x, &rapdu);
        next = df_pcd_step(pcd, b_wr_reader(&rapdu), &out);
        if (next == DF_FAILED)
            fail_msg("%s: %s", op->title, df_pcd_error(pcd)->msg);
    }
    assert_int_equal(next, DF_DONE);
    if (op->session_key_len > 0)
        check_session_key(pcd, op);
    return op->count;
}

static void the_real_cards_session_replays_byte_for_byte(void **state)
{
    (void)state;
    static struct df_pcd pcd;
    static struct ev1_operation op;
    const struct ev1_operation *current = &op;
    FILE *f = fopen(vector_path("ev1_trace.txt"), "r");
    assert_non_null(f);
    df_pcd_init(&pcd, (struct df_random){.fill = recorded_random, .ctx = &current});
    size_t operations = 0, exchanges = 0;
    while (ev1_trace_next(f, &op)) {
        exchanges += replay(&pcd, &op);
        operations++;
    }
    assert_int_equal(fclose(f), 0);
    assert_int_equal(operations, 63);
    assert_int_equal(exchanges, 85);
    df_pcd_drop(&pcd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_cards_session_replays_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
