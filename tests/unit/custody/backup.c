/* Masters with a backup: made, wrapped, brought into a token, this one or another; by a token that
 * wraps and by one that does not. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "crypto/wrap.h"
#include "custody/words.h"

static uint8_t kek[CUSTODY_KEK] = {1, 2, 3};
static const struct custody_backup auth = {KEY_ROLE_AUTH, 4, kek};

static struct custody *open_with(const char *stays)
{
    struct custody_config config = {.uri = uri, .establishment = "750712184", .pin = PIN};
    struct custody *c = NULL;
    struct b_err err = {0};
    assert_true(key_stay_read(stays, &config.in_token));
    if (custody_open(&config, &c, &err) != B_OK)
        fail_msg("%s", err.msg);
    return c;
}

static size_t count_keys(struct custody *c)
{
    struct custody_key list[8];
    size_t n = 0;
    assert_int_equal(custody_list(c, list, B_COUNT(list), &n, NULL), B_OK);
    return n;
}

static enum b_code bring(struct custody *c, const struct custody_made *m, bool keeps,
                         struct custody_key *ret)
{
    struct b_err err = {0};
    enum b_code r = custody_bring(c, &auth, m->wrapped, m->kcv.value, keeps, ret, &err);
    if (r != B_OK)
        print_message("# %s: %s\n", b_code_name(r), err.msg);
    return r;
}

/* Made and brought here, deleted with its token, brought into another: the badge key is the same.
 */
static void round_trip(const char *stays, bool is_inside)
{
    struct custody *c = open_with(stays);
    struct custody_made made;
    struct custody_key key;
    struct custody_key again;
    struct b_err err = {0};
    if (custody_make(c, &auth, &made, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(made.is_inside, is_inside);
    assert_int_equal(count_keys(c), 0); /* without its backup kept, there is no master */
    assert_int_equal(bring(c, &made, false, &key), B_OK);
    assert_int_equal(count_keys(c), 0);
    assert_int_equal(bring(c, &made, true, &key), B_OK);
    assert_int_equal(count_keys(c), 1);
    assert_true(key.is_safe && key.is_brought);
    assert_int_equal(key.derives_inside, stays[0] != '\0');
    assert_memory_equal(key.kcv.value, made.kcv.value, 3);
    assert_int_equal(bring(c, &made, true, &again), B_OK); /* a ceremony that goes on after a cut */
    assert_int_equal(count_keys(c), 1);
    assert_int_equal(custody_make(c, &auth, &made, NULL), B_E_KEY_EXISTS);
    custody_free(&c);
}

static void a_master_is_used_from_its_backup(void **state)
{
    (void)state;
    round_trip("", true);
}

static void a_master_that_derives_inside_has_a_backup_too(void **state)
{
    (void)state;
    round_trip("auth", true);
}

static void a_token_that_wraps_nothing_is_given_the_master(void **state)
{
    (void)state;
    fault("no-wrap");
    round_trip("", false);
    fault(NULL);
}

static void a_token_that_keeps_no_aes_key_is_given_it_wrapped(void **state)
{
    (void)state;
    fault("no-aes");
    round_trip("", false);
    fault(NULL);
}

static void another_token_gives_the_same_badge_keys(void **state)
{
    struct custody *c = open_good();
    struct custody_made made;
    struct custody_key key;
    uint8_t first[16], second[16], third[16];
    assert_int_equal(custody_make(c, &auth, &made, NULL), B_OK);
    assert_int_equal(bring(c, &made, true, &key), B_OK);
    assert_int_equal(derive(c, 4, first, NULL), B_OK);
    custody_free(&c);
    assert_int_equal(drop_token(state), 0);
    assert_int_equal(make_token(state), 0);
    c = open_good();
    assert_int_equal(derive(c, 4, second, NULL), B_E_KEY_MISSING);
    assert_int_equal(bring(c, &made, true, &key), B_OK);
    assert_int_equal(derive(c, 4, second, NULL), B_OK);
    assert_memory_equal(first, second, 16);
    custody_free(&c);
    static const char *const kinds[] = {"no-wrap", "no-aes"};
    for (size_t i = 0; i < B_COUNT(kinds); i++) { /* and one that is of another kind */
        assert_int_equal(drop_token(state), 0);
        assert_int_equal(make_token(state), 0);
        fault(kinds[i]);
        c = open_good();
        assert_int_equal(bring(c, &made, true, &key), B_OK);
        assert_int_equal(derive(c, 4, third, NULL), B_OK);
        assert_memory_equal(first, third, 16);
        custody_free(&c);
    }
    fault(NULL);
}

/* Either kind of token says the same of a bad backup, and takes nothing in. */
static void refuse_bad_backups(void)
{
    struct custody *c = open_good();
    struct custody_made made, bad;
    struct custody_key key;
    static const uint8_t zeros[16];
    assert_int_equal(custody_make(c, &auth, &made, NULL), B_OK);
    bad = made;
    bad.wrapped[9] ^= 1;
    assert_int_equal(bring(c, &bad, true, &key), B_E_BACKUP_BROKEN);
    bad = made;
    bad.kcv.value[2] ^= 1;
    assert_int_equal(bring(c, &bad, true, &key), B_E_KCV_DIFFERS);
    kek[31] ^= 1; /* another role's or another ceremony's */
    assert_int_equal(bring(c, &made, true, &key), B_E_BACKUP_BROKEN);
    kek[31] ^= 1;
    crypto_key_wrap(kek, zeros, sizeof(zeros), bad.wrapped);
    memcpy(bad.kcv.value, (const uint8_t[]){0x66, 0xE9, 0x4B}, 3);
    assert_int_not_equal(bring(c, &bad, true, &key), B_OK);
    assert_int_equal(count_keys(c), 0);
    custody_free(&c);
}

static void a_bad_backup_is_refused(void **state)
{
    (void)state;
    refuse_bad_backups();
    fault("no-wrap");
    refuse_bad_backups();
    fault("no-aes");
    refuse_bad_backups();
    fault(NULL);
}

static void refuse_known_key(void)
{
    struct custody *c = open_good();
    struct custody_made bad = {.is_inside = true};
    struct custody_key key;
    struct crypto_key k;
    struct crypto_cmac cmac;
    static const uint8_t zeros[16];
    uint8_t mac[16];
    crypto_key_init(&k, CRYPTO_AES128, zeros);
    crypto_cmac_begin(&cmac, &k, NULL);
    crypto_cmac_update(&cmac, zeros, sizeof(zeros));
    crypto_cmac_final(&cmac, mac);
    crypto_key_drop(&k);
    memcpy(bad.kcv.value, mac, 3);
    crypto_key_wrap(kek, zeros, sizeof(zeros), bad.wrapped);
    assert_int_equal(bring(c, &bad, true, &key), B_E_KEY_UNSAFE);
    assert_int_equal(count_keys(c), 0);
    custody_free(&c);
}

static void a_key_that_everybody_knows_is_not_brought(void **state)
{
    (void)state;
    static const char *const kinds[] = {NULL, "no-wrap", "no-aes"};
    for (size_t i = 0; i < B_COUNT(kinds); i++) {
        fault(kinds[i]);
        refuse_known_key();
    }
    fault(NULL);
}

static void a_backup_goes_over_to_another_key(void **state)
{
    (void)state;
    static const char *const kinds[] = {NULL, "no-wrap", "no-aes"};
    uint8_t other[CUSTODY_KEK] = {9, 9, 9};
    for (size_t i = 0; i < B_COUNT(kinds); i++) {
        fault(kinds[i]);
        struct custody *c = open_good();
        const struct custody_backup under = {KEY_ROLE_AUTH, 4, other};
        struct custody_made made;
        struct custody_key key;
        assert_int_equal(custody_make(c, &auth, &made, NULL), B_OK);
        assert_int_equal(custody_rewrap(c, &auth, other, made.wrapped, NULL), B_OK);
        assert_int_equal(bring(c, &made, false, &key), B_E_BACKUP_BROKEN);
        assert_int_equal(custody_bring(c, &under, made.wrapped, made.kcv.value, false, &key, NULL),
                         B_OK);
        assert_int_equal(custody_rewrap(c, &auth, other, made.wrapped, NULL), B_E_BACKUP_BROKEN);
        custody_free(&c);
    }
    fault(NULL);
}

/* No object that could be taken out, and no wrapping key, is left in the token. */
static void nothing_is_left_in_the_token_but_the_master(void **state)
{
    (void)state;
    struct custody *c = open_good();
    struct custody_made made;
    struct custody_key key;
    CK_OBJECT_HANDLE found[16];
    CK_ULONG n = 0;
    assert_int_equal(custody_make(c, &auth, &made, NULL), B_OK);
    assert_int_equal(bring(c, &made, true, &key), B_OK);
    assert_int_equal(custody_rewrap(c, &auth, kek, made.wrapped, NULL), B_OK);
    assert_int_equal(c->module->C_FindObjectsInit(c->session, NULL, 0), CKR_OK);
    assert_int_equal(c->module->C_FindObjects(c->session, found, B_COUNT(found), &n), CKR_OK);
    assert_int_equal(c->module->C_FindObjectsFinal(c->session), CKR_OK);
    assert_int_equal(n, 1);
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE change = {CKA_EXTRACTABLE, &yes, sizeof(yes)};
    assert_int_not_equal(c->module->C_SetAttributeValue(c->session, found[0], &change, 1), CKR_OK);
    custody_free(&c);
}

/* --- words ------------------------------------------------------------------------------------ */

static const struct custody_share example = {
    .ceremony = {1, 2, 3, 4, 5, 6}, .threshold = 2, .x = 3, .value = {0x7F, 0, 0, 1}};

static void a_share_comes_back_from_its_words(void **state)
{
    (void)state;
    char text[CUSTODY_SHARE_TEXT];
    char typed[2 * CUSTODY_SHARE_TEXT];
    struct custody_share got;
    custody_share_write(&example, text);
    assert_int_equal(strlen(text), CUSTODY_SHARE_TEXT - 1);
    size_t n = 0;
    for (size_t i = 0; text[i] != '\0'; i++) /* as a person may type it */
        n += (size_t)snprintf(typed + n, sizeof(typed) - n, text[i] == ' ' ? "\n3. " : "%c",
                              i % 2 == 0 ? text[i] : text[i] - ('a' - 'A'));
    assert_int_equal(custody_share_read(b_rd_from(typed, n), &got, NULL), B_OK);
    assert_memory_equal(&got, &example, sizeof(got));
}

/* Wilkerson's example: 127.0.0.1 is lusab-babad. */
static void words_are_proquints(void **state)
{
    (void)state;
    char text[CUSTODY_SHARE_TEXT];
    struct custody_share s = example;
    memcpy(s.value + 1, (const uint8_t[]){127, 0, 0, 1}, 4); /* at offset 10, a word's first */
    custody_share_write(&s, text);
    assert_memory_equal(text + 5 * 6, "lusab babad", 11);
}

static void what_is_mistyped_is_told(void **state)
{
    (void)state;
    char text[CUSTODY_SHARE_TEXT];
    struct custody_share got;
    struct b_err err = {0};
    custody_share_write(&example, text);
    for (size_t i = 0; i < CUSTODY_SHARE_TEXT - 1; i++) {
        char was = text[i];
        if (was == ' ')
            continue;
        for (char c = 'a'; c <= 'z'; c++) {
            text[i] = c;
            assert_int_equal(custody_share_read(b_rd_from(text, sizeof(text) - 1), &got, &err),
                             c == was ? B_OK : B_E_SHARE_TYPED);
        }
        text[i] = was;
    }
    text[7 * 6 + 2] = 'x';
    assert_int_equal(custody_share_read(b_rd_from(text, sizeof(text) - 1), &got, &err),
                     B_E_SHARE_TYPED);
    assert_string_equal(err.msg, "word 8 is no word of a share");
    custody_share_write(&example, text);
    assert_int_equal(custody_share_read(b_rd_from(text, 6 * 6), &got, &err), B_E_SHARE_TYPED);
    assert_string_equal(err.msg, "6 words, and a share has 22");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_master_is_used_from_its_backup, make_token, drop_token),
        cmocka_unit_test_setup_teardown(a_master_that_derives_inside_has_a_backup_too, make_token,
                                        drop_token),
        cmocka_unit_test_setup_teardown(a_token_that_wraps_nothing_is_given_the_master, make_token,
                                        drop_token),
        cmocka_unit_test_setup_teardown(a_token_that_keeps_no_aes_key_is_given_it_wrapped,
                                        make_token, drop_token),
        cmocka_unit_test_setup_teardown(another_token_gives_the_same_badge_keys, make_token,
                                        drop_token),
        cmocka_unit_test_setup_teardown(a_bad_backup_is_refused, make_token, drop_token),
        cmocka_unit_test_setup_teardown(a_key_that_everybody_knows_is_not_brought, make_token,
                                        drop_token),
        cmocka_unit_test_setup_teardown(a_backup_goes_over_to_another_key, make_token, drop_token),
        cmocka_unit_test_setup_teardown(nothing_is_left_in_the_token_but_the_master, make_token,
                                        drop_token),
        cmocka_unit_test(a_share_comes_back_from_its_words),
        cmocka_unit_test(words_are_proquints),
        cmocka_unit_test(what_is_mistyped_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
