/* Anchors: what is kept in the token so that nobody takes it back. */
#include "fixture.h"

#include <string.h>

static void an_anchor_stays_and_is_replaced_whole(void **state)
{
    (void)state;
    uint8_t out[CUSTODY_ANCHOR_MAX];
    uint8_t full[CUSTODY_ANCHOR_MAX];
    size_t n = 0;
    memset(full, 0x5A, sizeof(full));
    struct custody *c = open_good();
    assert_int_equal(custody_anchor_get(c, "roster", out, sizeof(out), &n, NULL), B_E_NOT_FOUND);
    assert_int_equal(custody_anchor_put(c, "roster", full, sizeof(full), NULL), B_OK);
    assert_int_equal(custody_anchor_put(c, "checkpoint", full, 40, NULL), B_OK);
    assert_int_equal(custody_anchor_put(c, "roster", (const uint8_t *)"new", 3, NULL), B_OK);
    custody_free(&c);
    c = open_good();
    assert_int_equal(custody_anchor_get(c, "roster", out, sizeof(out), &n, NULL), B_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(out, "new", 3);
    assert_int_equal(custody_anchor_get(c, "checkpoint", out, sizeof(out), &n, NULL), B_OK);
    assert_int_equal(n, 40);
    assert_memory_equal(out, full, 40);
    custody_free(&c);
}

static void anchors_of_another_establishment_are_not_seen(void **state)
{
    (void)state;
    uint8_t out[CUSTODY_ANCHOR_MAX];
    size_t n = 0;
    struct custody *c = open_good();
    assert_int_equal(custody_anchor_put(c, "roster", (const uint8_t *)"x", 1, NULL), B_OK);
    custody_free(&c);
    struct custody_config other = {.uri = uri, .establishment = "750712185", .pin = PIN};
    assert_int_equal(custody_open(&other, &c, NULL), B_OK);
    assert_int_equal(custody_anchor_get(c, "roster", out, sizeof(out), &n, NULL), B_E_NOT_FOUND);
    custody_free(&c);
}

/* As a crash between writing and destroying leaves them, in either order of handles. */
static void put_by_hand(struct custody *c, uint8_t counter, char mark)
{
    char value[9] = {0};
    CK_BBOOL yes = CK_TRUE;
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_OBJECT_HANDLE object;
    value[7] = (char)counter;
    value[8] = mark;
    CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_TOKEN, &yes, 1},
                        {CKA_PRIVATE, &yes, 1},
                        {CKA_APPLICATION, (char[]){"tessere"}, 7},
                        {CKA_LABEL, (char[]){"tessere/750712184/anchor/roster"}, 31},
                        {CKA_VALUE, value, sizeof(value)}};
    assert_int_equal(c->module->C_CreateObject(c->session, t, B_COUNT(t), &object), CKR_OK);
}

static void of_two_anchors_the_newer_one_holds_and_stays_alone(void **state)
{
    (void)state;
    uint8_t out[CUSTODY_ANCHOR_MAX];
    size_t n = 0;
    struct custody *c = open_good();
    put_by_hand(c, 4, 'a');
    put_by_hand(c, 6, 'c');
    put_by_hand(c, 5, 'b');
    assert_int_equal(custody_anchor_get(c, "roster", out, sizeof(out), &n, NULL), B_OK);
    assert_int_equal(n, 1);
    assert_int_equal(out[0], 'c');
    assert_int_equal(custody_anchor_put(c, "roster", (const uint8_t *)"d", 1, NULL), B_OK);
    put_by_hand(c, 6, 'e'); /* 7 was written */
    assert_int_equal(custody_anchor_get(c, "roster", out, sizeof(out), &n, NULL), B_OK);
    assert_int_equal(out[0], 'd');
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_ATTRIBUTE all = {CKA_CLASS, &class, sizeof(class)};
    CK_OBJECT_HANDLE found[8];
    CK_ULONG count = 0;
    assert_int_equal(c->module->C_FindObjectsInit(c->session, &all, 1), CKR_OK);
    assert_int_equal(c->module->C_FindObjects(c->session, found, B_COUNT(found), &count), CKR_OK);
    assert_int_equal(c->module->C_FindObjectsFinal(c->session), CKR_OK);
    assert_int_equal(count, 2); /* 7, and the 6 put after it */
    custody_free(&c);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[CUSTODY_ANCHOR_MAX + 1] = {0};
    struct custody *c = open_good();
    assert_int_equal(custody_anchor_put(c, "roster", bytes, sizeof(bytes), NULL), B_E_BAD_INPUT);
    assert_int_equal(custody_anchor_put(c, "roster", bytes, 0, NULL), B_E_BAD_INPUT);
    assert_int_equal(custody_anchor_put(c, "", bytes, 1, NULL), B_E_BAD_INPUT);
    custody_free(&c);
}

static void a_token_without_data_objects_is_told(void **state)
{
    (void)state;
    struct b_err err = {0};
    fault("no-data");
    struct custody *c = open_good();
    assert_int_equal(custody_anchor_put(c, "roster", (const uint8_t *)"x", 1, &err),
                     B_E_TOKEN_MECHANISM);
    assert_non_null(strstr(err.msg, "CKO_DATA"));
    custody_free(&c);
    fault(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_token, drop_token)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_anchor_stays_and_is_replaced_whole),
        T(anchors_of_another_establishment_are_not_seen),
        T(of_two_anchors_the_newer_one_holds_and_stays_alone),
        T(what_does_not_fit_is_refused),
        T(a_token_without_data_objects_is_told),
    };
    return cmocka_run_group_tests_name("custody anchors", tests, NULL, NULL);
}
