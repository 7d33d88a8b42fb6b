/* The dispatcher with a keyring and a machine of the test's own: permits, sessions, answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fake_keyring.h"

static struct vaultd d;
static struct fake_keyring keyring;
static uint8_t answer[VAULT_MESSAGE_MAX];
static size_t answer_len;

static uint64_t clock_us;
static uint64_t now_us(void)
{
    clock_us += 5;
    return clock_us;
}

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 0x5A, n);
}

static bool send_raw(const void *bytes, size_t n)
{
    struct b_wr w = b_wr_from(answer, sizeof(answer));
    bool is_sound = vaultd_handle(&d, b_rd_from(bytes, n), &w);
    answer_len = w.len;
    return is_sound;
}

struct request {
    uint8_t bytes[1024];
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

static enum b_code finish(struct request *q)
{
    assert_true(wire_out_end(&q->o));
    assert_true(send_raw(q->bytes, q->w.len));
    struct b_rd r = b_rd_from(answer, answer_len);
    struct b_err e;
    if (b_rd_u8(&r) == 0)
        return B_OK;
    assert_true(wire_get_error(r, &e));
    return e.code;
}

/* What a peer says of the token. */
struct said {
    const char *token, *establishment, *pin_file;
    uint8_t has_pin_fd, may_use_last_try;
};

static void make_configure_of(struct request *q, const struct said *said)
{
    struct wire_out *o = begin(q, VAULT_MSG_CONFIGURE);
    wire_put_u32(o, VAULT_PROTOCOL);
    wire_put_string(o, said->token);
    wire_put_string(o, said->establishment);
    wire_put_string(o, said->pin_file);
    wire_put_u8(o, said->has_pin_fd);
    wire_put_u8(o, said->may_use_last_try);
    wire_put_u8(o, 0);
    wire_put_u8(o, 1);
    wire_put_string(o, NULL);
    wire_put_u32(o, 0);
    wire_put_u8(o, 1);
    wire_put_string(o, NULL);
}

static void make_configure(struct request *q)
{
    make_configure_of(q, &(struct said){.token = "pkcs11:token=x", .establishment = "750712184"});
}

static int start(void **state)
{
    (void)state;
    assert_int_equal(b_secret_init(1 << 20, false, NULL), B_OK);
    keyring = (struct fake_keyring){0};
    vaultd_init(&d, fake_keyring(&keyring), (struct df_random){.fill = fill}, now_us);
    return 0;
}

static int start_configured(void **state)
{
    struct request q;
    (void)start(state);
    make_configure(&q);
    assert_int_equal(finish(&q), B_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    vaultd_drop(&d);
    assert_int_equal(b_secret_in_use(), 0);
    return 0;
}

static enum b_code open_session(enum profile_goal goal, uint8_t given, uint32_t *ret)
{
    static struct profile_job job;
    struct request q;
    job = (struct profile_job){.goal = goal, .given_count = given, .uid_len = 7};
    memcpy(job.uid, "\x04\x78\x2E\x21\x80\x1D\x80", 7);
    struct wire_out *o = begin(&q, VAULT_MSG_SESSION_OPEN);
    size_t mark = wire_open_bytes(o);
    profile_job_encode(&job, &q.w);
    wire_close_bytes(o, mark);
    wire_put_bytes(o, NULL, 0);
    enum b_code r = finish(&q);
    if (r == B_OK) {
        struct wire_in in =
            wire_in_from("session:u event:b", b_rd_from(answer + 1, answer_len - 1));
        *ret = wire_get_u32(&in);
    }
    return r;
}

static enum b_code step(uint32_t session, const void *rapdu, size_t n, struct vault_event *event)
{
    struct request q;
    struct wire_out *o = begin(&q, VAULT_MSG_SESSION_STEP);
    wire_put_u32(o, session);
    wire_put_bytes(o, rapdu, n);
    enum b_code r = finish(&q);
    if (r == B_OK) {
        struct wire_in in = wire_in_from("event:b", b_rd_from(answer + 1, answer_len - 1));
        assert_true(vault_event_decode(wire_get_bytes(&in), event));
        assert_true(wire_in_end(&in));
    }
    return r;
}

/* --- permits ---------------------------------------------------------------------------------- */

static void nothing_is_answered_before_configure(void **state)
{
    (void)state;
    for (size_t i = 0; vault_msg_at(i) != NULL; i++) {
        uint8_t id = vault_msg_at(i)->id;
        if (id != VAULT_MSG_CONFIGURE)
            assert_false(send_raw(&id, 1));
    }
}

static void configure_comes_once(void **state)
{
    (void)state;
    struct request q;
    make_configure(&q);
    assert_false(send_raw(q.bytes, q.w.len));
}

static void another_version_of_the_protocol_is_fatal(void **state)
{
    (void)state;
    struct request q;
    make_configure(&q);
    q.bytes[1]++;
    assert_false(send_raw(q.bytes, q.w.len));
}

static void an_unknown_message_is_fatal(void **state)
{
    (void)state;
    assert_false(send_raw("", 0));
    for (unsigned id = 0; id < 256; id++) {
        uint8_t byte = (uint8_t)id;
        if (vault_msg_row(byte) == NULL)
            assert_false(send_raw(&byte, 1));
    }
}

static void a_byte_too_many_or_too_few_is_fatal_in_every_message(void **state)
{
    (void)state;
    static const uint8_t fixed[][6] = {{VAULT_MSG_TOKEN},
                                       {VAULT_MSG_KEY_LIST},
                                       {VAULT_MSG_KEY_GENERATE, KEY_ROLE_AUTH, 1},
                                       {VAULT_MSG_SESSION_CLOSE, 1, 0, 0, 0}};
    static const size_t lengths[] = {1, 1, 3, 5};
    for (size_t i = 0; i < B_COUNT(fixed); i++) {
        assert_true(send_raw(fixed[i], lengths[i]));
        assert_false(send_raw(fixed[i], lengths[i] + 1));
        if (lengths[i] > 1)
            assert_false(send_raw(fixed[i], lengths[i] - 1));
    }
    assert_false(send_raw("\x03\x07\x01", 3)); /* a role that does not exist */
}

/* --- keys ------------------------------------------------------------------------------------- */

static void a_failing_token_is_an_answer_not_the_end(void **state)
{
    (void)state;
    struct request q;
    keyring.fails = B_E_TOKEN_ABSENT;
    (void)begin(&q, VAULT_MSG_TOKEN);
    assert_int_equal(finish(&q), B_E_TOKEN_ABSENT);
    keyring.fails = B_OK;
    (void)begin(&q, VAULT_MSG_TOKEN);
    assert_int_equal(finish(&q), B_OK);
}

static void as_many_keys_as_a_token_may_hold_fit_an_answer(void **state)
{
    (void)state;
    struct request q;
    struct vault_key key;
    (void)begin(&q, VAULT_MSG_KEY_LIST);
    assert_int_equal(finish(&q), B_OK);
    struct wire_in in = wire_in_from("count:u keys:b", b_rd_from(answer + 1, answer_len - 1));
    assert_int_equal(wire_get_u32(&in), CUSTODY_KEYS_MAX);
    struct b_rd keys = wire_get_bytes(&in);
    assert_true(wire_in_end(&in));
    for (size_t i = 0; i < CUSTODY_KEYS_MAX; i++)
        assert_true(vault_key_decode(&keys, &key));
    assert_true(b_rd_end(&keys));
}

/* --- sessions --------------------------------------------------------------------------------- */

static void a_job_runs_to_its_end_and_is_wiped(void **state)
{
    (void)state;
    static struct vault_event e;
    static const uint8_t zeros[16];
    uint32_t s = 0;
    assert_int_equal(open_session(PROFILE_GOAL_REACH, 0, &s), B_OK);
    assert_true(b_secret_in_use() > 0);
    assert_int_equal(step(s, "\x91\x00", 2, &e), B_OK);
    assert_int_equal(e.want, PROFILE_INSPECTED);
    assert_int_equal(step(s, NULL, 0, &e), B_OK);
    assert_int_equal(e.want, PROFILE_PLANNED);
    assert_int_equal(step(s, NULL, 0, &e), B_OK);
    assert_int_equal(e.want, PROFILE_INTENT);
    assert_int_equal(step(s, zeros, 16, &e), B_OK);
    assert_int_equal(e.want, PROFILE_TX);
    assert_int_equal(e.apdu_len, 16);
    assert_int_equal(step(s, "\x91\x00", 2, &e), B_OK);
    assert_int_equal(step(s, NULL, 0, &e), B_OK);
    assert_int_equal(e.want, PROFILE_DONE);
    assert_int_equal(e.tap.generation, 1);
    assert_int_equal(e.vault_us, 5);
    assert_int_equal(b_secret_in_use(), 0);
    assert_int_equal(step(s, NULL, 0, &e), B_E_NOT_FOUND);
}

static void a_failed_job_is_wiped_and_its_cause_told(void **state)
{
    (void)state;
    static struct vault_event e;
    uint32_t s = 0;
    assert_int_equal(open_session(PROFILE_GOAL_TAP, 0, &s), B_OK);
    assert_int_equal(step(s, "\x6F\x00", 2, &e), B_E_CARD_REMOVED);
    assert_int_equal(b_secret_in_use(), 0);
}

static void run_to_key(uint32_t s, enum b_code expected)
{
    static struct vault_event e;
    for (int i = 0; i < 3; i++)
        assert_int_equal(step(s, NULL, 0, &e), B_OK);
    assert_int_equal(step(s, NULL, 0, &e), expected);
    assert_int_equal(b_secret_in_use(), 0);
}

static void a_zero_badge_key_is_refused(void **state)
{
    (void)state;
    uint32_t s = 0;
    keyring.gives_zero = true;
    assert_int_equal(open_session(PROFILE_GOAL_REACH, 0, &s), B_OK);
    run_to_key(s, B_E_KEY_TOO_WEAK);
}

static void a_missing_master_ends_the_session_with_its_cause(void **state)
{
    (void)state;
    uint32_t s = 0;
    keyring.fails = B_E_KEY_MISSING;
    assert_int_equal(open_session(PROFILE_GOAL_REACH, 0, &s), B_OK);
    run_to_key(s, B_E_KEY_MISSING);
}

static void given_keys_are_for_scans_and_takeovers_only(void **state)
{
    (void)state;
    uint32_t s = 0;
    static const enum profile_goal others[] = {PROFILE_GOAL_REACH, PROFILE_GOAL_BLANK,
                                               PROFILE_GOAL_TAP};
    assert_int_equal(open_session(PROFILE_GOAL_SCAN, 3, &s), B_OK);
    assert_int_equal(open_session(PROFILE_GOAL_TAKEOVER, 3, &s), B_OK);
    for (size_t i = 0; i < B_COUNT(others); i++)
        assert_int_equal(open_session(others[i], 1, &s), B_E_REFUSED);
}

static void sessions_are_bounded_and_apart(void **state)
{
    (void)state;
    static struct vault_event e;
    uint32_t ids[VAULTD_SESSIONS_MAX];
    uint32_t extra = 0;
    for (size_t i = 0; i < VAULTD_SESSIONS_MAX; i++) {
        assert_int_equal(open_session(PROFILE_GOAL_TAP, 0, &ids[i]), B_OK);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(ids[i], ids[j]);
    }
    assert_int_equal(open_session(PROFILE_GOAL_TAP, 0, &extra), B_E_VAULT_BUSY);
    assert_int_equal(step(ids[5], "\x6F\x00", 2, &e), B_E_CARD_REMOVED);
    assert_int_equal(step(ids[6], "\x91\x00", 2, &e), B_OK);
    assert_int_equal(open_session(PROFILE_GOAL_TAP, 0, &extra), B_OK);
    assert_int_not_equal(extra, ids[5]);
}

static void closing_twice_is_no_error(void **state)
{
    (void)state;
    struct request q;
    uint32_t s = 0;
    assert_int_equal(open_session(PROFILE_GOAL_TAP, 0, &s), B_OK);
    for (int i = 0; i < 2; i++) {
        wire_put_u32(begin(&q, VAULT_MSG_SESSION_CLOSE), s);
        assert_int_equal(finish(&q), B_OK);
        assert_int_equal(b_secret_in_use(), 0);
    }
    wire_put_u32(begin(&q, VAULT_MSG_SESSION_CLOSE), 0);
    assert_int_equal(finish(&q), B_OK);
}

static void a_card_answer_longer_than_an_apdu_is_fatal(void **state)
{
    (void)state;
    struct request q;
    uint8_t big[DF_RAPDU_MAX + 1] = {0};
    uint32_t s = 0;
    assert_int_equal(open_session(PROFILE_GOAL_TAP, 0, &s), B_OK);
    struct wire_out *o = begin(&q, VAULT_MSG_SESSION_STEP);
    wire_put_u32(o, s);
    wire_put_bytes(o, big, sizeof(big));
    assert_true(wire_out_end(o));
    assert_false(send_raw(q.bytes, q.w.len));
}

/* --- a vault that a service started ----------------------------------------------------------- */

static int start_given(void **state)
{
    int r = start(state);
    vaultd_give(&d, "pkcs11:token=ours", "750712184", "/ours/pin");
    return r;
}

static void a_served_vault_takes_token_and_pin_from_its_service(void **state)
{
    (void)state;
    struct request q;
    make_configure_of(&q, &(struct said){.establishment = "750712184"});
    assert_int_equal(finish(&q), B_OK);
    assert_string_equal(vaultd_config(&d)->token_uri, "pkcs11:token=ours");
    assert_string_equal(vaultd_config(&d)->pin_file, "/ours/pin");
}

static void a_served_vault_whose_peer_names_anything_of_the_token_serves_nothing(void **state)
{
    static const struct said all[] = {
        {.token = "pkcs11:token=ours?module-path=/tmp/x.so", .establishment = "750712184"},
        {.pin_file = "/tmp/pin", .establishment = "750712184"},
        {.has_pin_fd = 1, .establishment = "750712184"},
        {.may_use_last_try = 1, .establishment = "750712184"},
        {.establishment = "750712185"},
        {.establishment = ""},
    };
    struct request q;
    for (size_t i = 0; i < B_COUNT(all); i++) {
        make_configure_of(&q, &all[i]);
        assert_int_equal(finish(&q), B_E_REFUSED);
        assert_string_equal(vaultd_config(&d)->token_uri, "pkcs11:token=ours");
        assert_false(send_raw("\x04", 1)); /* key_list */
        assert_false(send_raw(q.bytes, q.w.len));
        (void)stop(state);
        (void)start_given(state);
    }
}

static void a_served_vault_makes_no_token(void **state)
{
    (void)state;
    struct request q;
    make_configure_of(&q, &(struct said){.establishment = "750712184"});
    assert_int_equal(finish(&q), B_OK);
    struct wire_out *o = begin(&q, VAULT_MSG_SOFTHSM_CREATE);
    wire_put_string(o, "/tmp/theirs");
    wire_put_string(o, "Tessere");
    assert_int_equal(finish(&q), B_E_REFUSED);
}

#define GIVEN(f) cmocka_unit_test_setup_teardown(f, start_given, stop)
#define NEW(f) cmocka_unit_test_setup_teardown(f, start, stop)
#define READY(f) cmocka_unit_test_setup_teardown(f, start_configured, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NEW(nothing_is_answered_before_configure),
        NEW(another_version_of_the_protocol_is_fatal),
        READY(configure_comes_once),
        READY(an_unknown_message_is_fatal),
        READY(a_byte_too_many_or_too_few_is_fatal_in_every_message),
        READY(a_failing_token_is_an_answer_not_the_end),
        READY(as_many_keys_as_a_token_may_hold_fit_an_answer),
        READY(a_job_runs_to_its_end_and_is_wiped),
        READY(a_failed_job_is_wiped_and_its_cause_told),
        READY(a_zero_badge_key_is_refused),
        READY(a_missing_master_ends_the_session_with_its_cause),
        READY(given_keys_are_for_scans_and_takeovers_only),
        READY(sessions_are_bounded_and_apart),
        READY(closing_twice_is_no_error),
        READY(a_card_answer_longer_than_an_apdu_is_fatal),
        GIVEN(a_served_vault_takes_token_and_pin_from_its_service),
        GIVEN(a_served_vault_whose_peer_names_anything_of_the_token_serves_nothing),
        GIVEN(a_served_vault_makes_no_token),
    };
    return cmocka_run_group_tests_name("vault dispatcher", tests, NULL, NULL);
}
