/* tessere-token's dispatcher, with a token of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fake_keyring.h"
#include "vault/token.h"

static struct fake_keyring fake;
static struct token_lane lane;
static uint8_t answer[TOKEN_MESSAGE_MAX];

struct request {
    uint8_t bytes[TOKEN_MESSAGE_MAX];
    struct b_wr w;
    struct wire_out out;
};

static struct wire_out *begin(struct request *q, enum token_msg id)
{
    q->w = b_wr_from(q->bytes, sizeof(q->bytes));
    b_wr_u8(&q->w, (uint8_t)id);
    q->out = wire_out_from(token_row((uint8_t)id)->request, &q->w);
    return &q->out;
}

static bool send_bytes(const uint8_t *p, size_t n, struct b_rd *ret)
{
    struct b_wr w = b_wr_from(answer, sizeof(answer));
    bool is_sound = token_handle(&lane, b_rd_from(p, n), &w);
    *ret = b_wr_reader(&w);
    return is_sound;
}

/* The answer's fields, or the code of its error. */
static enum b_code finish(struct request *q, struct wire_in *ret)
{
    struct b_rd r;
    struct b_err err;
    assert_true(wire_out_end(&q->out));
    assert_true(send_bytes(q->bytes, q->w.len, &r));
    *ret = wire_in_from(token_row(q->bytes[0])->answer, r);
    if (b_rd_u8(&ret->r) == 0)
        return B_OK;
    assert_true(wire_get_error(ret->r, &err));
    return err.code;
}

/* Bytes that fit the field which ends before this colon; method 1, AES, is answered in one block.
 */
static size_t fitting(const char *row, const char *colon)
{
    static const struct {
        const char *name;
        size_t n;
    } sizes[] = {{"challenge", 16},   {"state", 32},
                 {"answer", 16},      {"kek", CUSTODY_KEK},
                 {"to", CUSTODY_KEK}, {"wrapped", CUSTODY_WRAPPED},
                 {"kcv", 3}};
    for (size_t i = 0; i < B_COUNT(sizes); i++) {
        size_t n = strlen(sizes[i].name);
        if ((size_t)(colon - row) >= n && memcmp(colon - n, sizes[i].name, n) == 0)
            return sizes[i].n;
    }
    return 2;
}

static void make(struct request *q, enum token_msg id)
{
    struct wire_out *o = begin(q, id);
    const char *row = token_row((uint8_t)id)->request;
    for (const char *c = row; *c != '\0'; c++) {
        if (*c != ':')
            continue;
        if (c[1] == 'y')
            wire_put_u8(o, 1);
        else if (c[1] == 's')
            wire_put_string(o, "x");
        else
            wire_put_bytes(o, (const uint8_t[32]){1, 2}, fitting(row, c));
    }
}

static int start(void **state)
{
    static struct request q;
    struct wire_in in;
    (void)state;
    assert_int_equal(b_secret_init(1 << 20, false, NULL), B_OK);
    fake = (struct fake_keyring){0};
    memset(&lane, 0, sizeof(lane));
    lane.keyring = fake_keyring(&fake);
    make(&q, TOKEN_MSG_CONFIGURE);
    assert_int_equal(finish(&q, &in), B_OK);
    return 0;
}

static void configure_comes_first_and_once(void **state)
{
    (void)state;
    static struct request q;
    struct b_rd r;
    make(&q, TOKEN_MSG_CONFIGURE);
    assert_false(send_bytes(q.bytes, q.w.len, &r));
    lane.is_configured = false;
    make(&q, TOKEN_MSG_INFO);
    assert_false(send_bytes(q.bytes, q.w.len, &r));
}

static void what_is_not_in_the_table_is_fatal(void **state)
{
    (void)state;
    struct b_rd r;
    assert_false(send_bytes(NULL, 0, &r));
    for (unsigned id = 0; id < 256; id++)
        if (token_row((uint8_t)id) == NULL)
            assert_false(send_bytes((const uint8_t[]){(uint8_t)id}, 1, &r));
}

static void a_byte_too_many_or_too_few_is_fatal_in_every_message(void **state)
{
    (void)state;
    static struct request q;
    struct b_rd r;
    for (unsigned id = 1; id < 256; id++) {
        if (token_row((uint8_t)id) == NULL)
            continue;
        lane.is_configured = id != TOKEN_MSG_CONFIGURE;
        make(&q, (enum token_msg)id);
        for (size_t n = 0; n < q.w.len; n++)
            assert_false(send_bytes(q.bytes, n, &r));
        assert_false(send_bytes(q.bytes, q.w.len + 1, &r));
        lane.is_configured = id != TOKEN_MSG_CONFIGURE;
        assert_true(send_bytes(q.bytes, q.w.len, &r));
    }
}

static void a_role_that_does_not_exist_is_fatal(void **state)
{
    (void)state;
    static struct request q;
    struct b_rd r;
    struct wire_out *o = begin(&q, TOKEN_MSG_DERIVE);
    wire_put_u8(o, KEY_ROLE_ALL);
    wire_put_u8(o, 1);
    wire_put_bytes(o, "x", 1);
    assert_false(send_bytes(q.bytes, q.w.len, &r));
}

static void keys_travel_whole(void **state)
{
    (void)state;
    uint8_t bytes[TOKEN_KEY_BYTES];
    struct custody_key a = {.role = KEY_ROLE_AUTH,
                            .generation = 255,
                            .kcv = {.method = "CMAC-0", .value = {1, 2, 3}},
                            .is_safe = true,
                            .derives_inside = true};
    struct custody_key b;
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    token_key_put(&w, &a);
    assert_true(b_wr_ok(&w));
    assert_int_equal(w.len, TOKEN_KEY_BYTES);
    struct b_rd r = b_wr_reader(&w);
    assert_true(token_key_get(&r, &b) && b_rd_end(&r));
    assert_int_equal(b.role, a.role);
    assert_int_equal(b.generation, a.generation);
    assert_true(b.derives_inside);
    assert_true(b.is_safe);
    assert_string_equal(b.kcv.method, "CMAC-0");
    assert_memory_equal(b.kcv.value, a.kcv.value, 3);
}

static void a_failing_token_leaves_nothing_of_a_key_in_the_answer(void **state)
{
    (void)state;
    static struct request q;
    struct wire_in in;
    make(&q, TOKEN_MSG_DERIVE);
    assert_int_equal(finish(&q, &in), B_OK);
    struct b_rd key = wire_get_bytes(&in);
    assert_int_equal(key.left, 16);
    assert_true(wire_in_end(&in));
    uint8_t copy[16];
    b_rd_bytes(&key, copy, sizeof(copy));
    memcpy(answer, copy, sizeof(copy)); /* as if it lay where the next answer is built */
    fake.fails = B_E_TOKEN_ABSENT;
    make(&q, TOKEN_MSG_DERIVE);
    assert_int_equal(finish(&q, &in), B_E_TOKEN_ABSENT);
    for (size_t i = 0; i + 16 <= 64; i++)
        assert_memory_not_equal(answer + i, copy, 16);
}

#define T(f) cmocka_unit_test_setup(f, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(configure_comes_first_and_once),
        T(what_is_not_in_the_table_is_fatal),
        T(a_byte_too_many_or_too_few_is_fatal_in_every_message),
        T(a_role_that_does_not_exist_is_fatal),
        T(keys_travel_whole),
        T(a_failing_token_leaves_nothing_of_a_key_in_the_answer),
    };
    return cmocka_run_group_tests_name("token process", tests, NULL, NULL);
}
