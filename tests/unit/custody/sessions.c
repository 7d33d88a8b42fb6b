/* Several sessions of one process on one token, each with a thread of its own. */
#include "fixture.h"

#include <pthread.h>
#include <string.h>

enum { THREADS = 4 };

struct worker {
    pthread_t thread;
    const uint8_t *want; /* the key that generation 1 gives */
    unsigned rounds;
    unsigned reopen_every; /* 0: one session for all rounds */
    pthread_barrier_t
        *is_open; /* NULL, or where to wait, once the session is there, for the fault */
    enum b_code r;
    struct b_err err;
    bool is_right;
};

/* No cmocka in here: it is not for threads. */
static void *work(void *arg)
{
    struct worker *w = arg;
    struct custody *c = NULL;
    uint8_t got[16];
    w->is_right = true;
    for (unsigned i = 0; i < w->rounds && w->r == B_OK; i++) {
        if (c == NULL)
            w->r = open_as(uri, PIN, &c, &w->err);
        if (i == 0 && w->is_open != NULL) {
            (void)pthread_barrier_wait(w->is_open);
            (void)pthread_barrier_wait(w->is_open);
        }
        if (w->r == B_OK)
            w->r = derive(c, 1, got, &w->err);
        w->is_right = w->is_right && w->r == B_OK && memcmp(got, w->want, 16) == 0;
        if (w->reopen_every != 0 && i % w->reopen_every == 0)
            custody_free(&c);
    }
    custody_free(&c);
    return NULL;
}

static void run(struct worker *w, const uint8_t *want, unsigned rounds)
{
    w->want = want;
    w->rounds = rounds;
    assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
}

static void finish(struct worker *w)
{
    assert_int_equal(pthread_join(w->thread, NULL), 0);
    if (w->r != B_OK)
        fail_msg("%s", w->err.msg);
    assert_true(w->is_right);
}

static void the_end_of_one_session_leaves_the_others_logged_in(void **state)
{
    (void)state;
    uint8_t before[16];
    uint8_t after[16];
    struct custody *a = open_good();
    struct custody *b = open_good();
    generate(a, KEY_ROLE_AUTH, 1);
    assert_int_equal(derive(b, 1, before, NULL), B_OK);
    custody_free(&a);
    assert_int_equal(derive(b, 1, after, NULL), B_OK);
    assert_memory_equal(before, after, 16);
    assert_int_equal(file_size("softhsm2.conf.logins"), 2);
    custody_free(&b);
}

static void threads_derive_the_same_keys_while_others_come_and_go(void **state)
{
    (void)state;
    uint8_t want[16];
    struct worker w[THREADS] = {[1] = {.reopen_every = 8}, [3] = {.reopen_every = 5}};
    struct custody *c = open_good();
    generate(c, KEY_ROLE_AUTH, 1);
    assert_int_equal(derive(c, 1, want, NULL), B_OK);
    for (size_t i = 0; i < THREADS; i++)
        run(&w[i], want, 100);
    for (size_t i = 0; i < THREADS; i++)
        finish(&w[i]);
    custody_free(&c);
}

static void a_session_lost_under_one_thread_does_not_stop_the_others(void **state)
{
    (void)state;
    static const char *const ways[] = {"drop-session-once", "device-error-once"};
    uint8_t want[16];
    struct custody *c = open_good();
    generate(c, KEY_ROLE_AUTH, 1);
    assert_int_equal(derive(c, 1, want, NULL), B_OK);
    for (size_t k = 0; k < B_COUNT(ways); k++) {
        struct worker w[THREADS] = {0};
        pthread_barrier_t is_open;
        assert_int_equal(pthread_barrier_init(&is_open, NULL, THREADS + 1), 0);
        for (size_t i = 0; i < THREADS; i++) {
            w[i].is_open = &is_open;
            run(&w[i], want, 60);
        }
        (void)pthread_barrier_wait(&is_open);
        fault(ways[k]);
        (void)pthread_barrier_wait(&is_open);
        for (size_t i = 0; i < THREADS; i++)
            finish(&w[i]);
        assert_int_equal(file_size("softhsm2.conf.fault"), 0); /* it struck */
        assert_int_equal(pthread_barrier_destroy(&is_open), 0);
    }
    fault(NULL);
    custody_free(&c);
}

static void all_take_up_a_token_that_was_away(void **state)
{
    (void)state;
    uint8_t want[16];
    uint8_t got[16];
    struct custody *c[3];
    for (size_t i = 0; i < B_COUNT(c); i++)
        c[i] = open_good();
    generate(c[0], KEY_ROLE_AUTH, 1);
    assert_int_equal(derive(c[0], 1, want, NULL), B_OK);
    fault("vanish");
    assert_int_equal(derive(c[0], 1, got, NULL), B_E_TOKEN_ABSENT);
    assert_int_equal(derive(c[1], 1, got, NULL), B_E_TOKEN_ABSENT);
    fault(NULL);
    for (size_t i = B_COUNT(c); i-- > 0;) {
        memset(got, 0, sizeof(got));
        assert_int_equal(derive(c[i], 1, got, NULL), B_OK);
        assert_memory_equal(got, want, 16);
    }
    for (size_t i = 0; i < B_COUNT(c); i++)
        custody_free(&c[i]);
}

static void a_refused_pin_is_offered_once_in_the_process(void **state)
{
    (void)state;
    struct custody *c = NULL;
    struct b_err err = {0};
    for (int i = 0; i < 3; i++)
        assert_int_equal(open_as(uri, "wrong-pin", &c, &err), B_E_TOKEN_PIN_WRONG);
    assert_int_equal(file_size("softhsm2.conf.logins"), 1);
    c = open_good();
    custody_free(&c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_token, drop_token)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_end_of_one_session_leaves_the_others_logged_in),
        T(threads_derive_the_same_keys_while_others_come_and_go),
        T(a_session_lost_under_one_thread_does_not_stop_the_others),
        T(all_take_up_a_token_that_was_away),
        T(a_refused_pin_is_offered_once_in_the_process),
    };
    return cmocka_run_group_tests_name("custody sessions", tests, NULL, NULL);
}
