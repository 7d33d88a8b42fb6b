/* The software card as a file: what an answer told is in the file, whatever happens next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "card/card.h"

static const struct df_personality ev1 = {
    .ev = DF_EV1, .memory = 4096, .uid = {0x04, 1, 2, 3, 4, 5, 6}};
/* CreateApplication 000001 with one AES key; GetApplicationIDs */
static const uint8_t create[] = {0x90, 0xCA, 0, 0, 5, 1, 0, 0, 0x0F, 0x81, 0};
static const uint8_t list[] = {0x90, 0x6A, 0, 0, 0};

static char dir[] = "/tmp/tessere-card-XXXXXX";
static char path[64];
static struct card card;

static int make_card(void **state)
{
    (void)state;
    struct b_err err;
    (void)snprintf(path, sizeof(path), "%s/card", dir);
    (void)unlink(path);
    return card_new(&ev1, path, &card, &err) == B_OK ? 0 : -1;
}

static int drop_card(void **state)
{
    (void)state;
    card_close(&card);
    return 0;
}

/* Sends n bytes; the status, or -1 when the field is gone. */
static int send_apdu(const uint8_t *p, size_t n, size_t *ret_data)
{
    uint8_t answer[DF_RAPDU_MAX];
    struct b_wr w = b_wr_from(answer, sizeof(answer));
    if (!card_apdu(&card, b_rd_from(p, n), &w))
        return -1;
    assert_true(w.len >= 2);
    if (ret_data != NULL)
        *ret_data = w.len - 2;
    return answer[w.len - 2] << 8 | answer[w.len - 1];
}

static size_t count_apps(void)
{
    size_t n = 0;
    assert_int_equal(send_apdu(list, sizeof(list), &n), 0x9100);
    return n / 3;
}

static void reopen(void)
{
    struct b_err err;
    card_close(&card);
    assert_int_equal(card_open(path, &card, &err), B_OK);
}

static void what_was_answered_is_in_the_image(void **state)
{
    (void)state;
    assert_int_equal(send_apdu(create, sizeof(create), NULL), 0x9100);
    reopen();
    assert_int_equal(count_apps(), 1);
}

static void a_tear_before_leaves_the_card_as_it_was(void **state)
{
    (void)state;
    card.tear = (struct card_tear){.at = 1, .ins = 0xCA};
    assert_int_equal(count_apps(), 0); /* another command does not count */
    assert_int_equal(send_apdu(create, sizeof(create), NULL), -1);
    assert_int_equal(send_apdu(list, sizeof(list), NULL), -1);
    card_power(&card);
    assert_int_equal(count_apps(), 0);
}

static void a_tear_after_loses_the_answer_and_keeps_the_effect(void **state)
{
    (void)state;
    card.tear = (struct card_tear){.at = 2, .ins = -1, .after_effect = true};
    assert_int_equal(count_apps(), 0);
    assert_int_equal(send_apdu(create, sizeof(create), NULL), -1);
    reopen();
    assert_int_equal(count_apps(), 1);
}

static void the_reader_tells_the_uid(void **state)
{
    static const uint8_t get_uid[] = {0xFF, 0xCA, 0, 0, 0};
    uint8_t answer[DF_RAPDU_MAX];
    struct b_wr w = b_wr_from(answer, sizeof(answer));
    (void)state;
    assert_true(card_apdu(&card, b_rd_from(get_uid, sizeof(get_uid)), &w));
    assert_int_equal(w.len, 9);
    assert_memory_equal(answer, ev1.uid, 7);
}

static void one_image_is_on_one_reader(void **state)
{
    static struct card other;
    struct b_err err;
    (void)state;
    assert_int_equal(card_open(path, &other, &err), B_E_DUPLICATE);
}

static void a_card_is_not_overwritten(void **state)
{
    static struct card other;
    struct b_err err;
    (void)state;
    card_close(&card);
    assert_int_equal(card_new(&ev1, path, &other, &err), B_E_DUPLICATE);
}

static void a_damaged_image_is_refused(void **state)
{
    struct b_err err;
    (void)state;
    card_close(&card);
    assert_int_equal(truncate(path, 20), 0);
    assert_int_equal(card_open(path, &card, &err), B_E_BAD_INPUT);
}

static void a_card_whose_memory_fails_gives_no_answer(void **state)
{
    (void)state;
    (void)snprintf(card.path, sizeof(card.path), "%s/no/such/folder", dir);
    assert_int_equal(send_apdu(create, sizeof(create), NULL), -1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make_card, drop_card)
    const struct CMUnitTest tests[] = {
        T(what_was_answered_is_in_the_image),
        T(a_tear_before_leaves_the_card_as_it_was),
        T(a_tear_after_loses_the_answer_and_keeps_the_effect),
        T(the_reader_tells_the_uid),
        T(one_image_is_on_one_reader),
        T(a_card_is_not_overwritten),
        T(a_damaged_image_is_refused),
        T(a_card_whose_memory_fails_gives_no_answer),
    };
    if (mkdtemp(dir) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char lock[80];
    (void)snprintf(path, sizeof(path), "%s/card", dir);
    (void)snprintf(lock, sizeof(lock), "%s.lock", path);
    (void)unlink(path);
    (void)unlink(lock);
    (void)rmdir(dir);
    return failed;
}
