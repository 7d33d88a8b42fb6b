/* Badge keys that stay in the token: SoftHSM2, straight and through the module that misbehaves. */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "fixture.h"

static const uint8_t uid_and_more[17] = {0x04, 0x78, 0x2E, 0x21, 0x80, 0x1D, 0x80, 0x30, 0x42,
                                         0xF5, 0x4E, 0x58, 0x50, 0x20, 0x41, 0x62, 0x75};

static struct custody *open_inside(const char *which)
{
    struct custody_config config = {.uri = which,
                                    .establishment = "750712184",
                                    .pin = PIN,
                                    .in_token = {.from = {[KEY_ROLE_AUTH] = 1}}};
    struct custody *c = NULL;
    struct b_err err = {0};
    if (custody_open(&config, &c, &err) != B_OK)
        fail_msg("%s", err.msg);
    return c;
}

static struct custody_which badge_of(uint8_t generation, size_t n)
{
    return (struct custody_which){KEY_ROLE_AUTH, generation, b_rd_from(uid_and_more, n)};
}

/* Objects that belong to sessions of this process: what a derivation may leave behind. */
static CK_ULONG session_objects(struct custody *c)
{
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE wanted = {CKA_TOKEN, &no, sizeof(no)};
    CK_OBJECT_HANDLE found[64];
    CK_ULONG n = 0;
    assert_int_equal(c->module->C_FindObjectsInit(c->session, &wanted, 1), CKR_OK);
    assert_int_equal(c->module->C_FindObjects(c->session, found, B_COUNT(found), &n), CKR_OK);
    assert_int_equal(c->module->C_FindObjectsFinal(c->session), CKR_OK);
    return n;
}

struct use {
    struct custody *c;
    uint8_t out[32];
    unsigned runs;
    CK_ULONG objects;
    CK_OBJECT_HANDLE key;
    enum b_code fails; /* what the work ends with after it has used the key */
};

static CK_OBJECT_HANDLE the_session_object(struct custody *c)
{
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE wanted = {CKA_TOKEN, &no, sizeof(no)};
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG n = 0;
    assert_int_equal(c->module->C_FindObjectsInit(c->session, &wanted, 1), CKR_OK);
    assert_int_equal(c->module->C_FindObjects(c->session, &found, 1, &n), CKR_OK);
    assert_int_equal(c->module->C_FindObjectsFinal(c->session), CKR_OK);
    assert_int_equal(n, 1);
    return found;
}

static const uint8_t text[32] = "thirty-two bytes to be encrypted";
static const uint8_t iv[16] = "another sixteen";

static enum b_code encrypt_text(struct custody_badge *badge, void *arg, struct b_err *err)
{
    struct use *u = arg;
    uint8_t copy[16];
    uint8_t back[32];
    memcpy(copy, iv, sizeof(copy));
    u->runs++;
    if (!custody_badge_cbc(badge, true, copy, text, u->out, sizeof(text)))
        return custody_badge_error(badge, err);
    memcpy(copy, iv, sizeof(copy));
    assert_true(custody_badge_cbc(badge, false, copy, u->out, back, sizeof(back)));
    assert_memory_equal(back, text, sizeof(back));
    u->objects = session_objects(u->c);
    if (u->fails != B_OK)
        return b_err_set(err, u->fails, 0, "as told");
    return B_OK;
}

static void software_cbc(const uint8_t key[static 16], uint8_t out[static 32])
{
    struct crypto_key k;
    uint8_t copy[16];
    memcpy(copy, iv, sizeof(copy));
    crypto_key_init(&k, CRYPTO_AES128, key);
    crypto_cbc_encrypt(&k, copy, text, out, 32);
    crypto_key_drop(&k);
}

/* Brings a published master into the token, as nobody can who uses custody. */
static void import(struct custody *c, uint8_t generation, const char *hex)
{
    uint8_t bytes[16];
    char label[64];
    unhex(bytes, sizeof(bytes), hex);
    (void)snprintf(label, sizeof(label), "tessere:750712184:auth:%03u", generation);
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ATTRIBUTE t[] = {
        {CKA_CLASS, &class, sizeof(class)},
        {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_TOKEN, &yes, 1},
        {CKA_PRIVATE, &yes, 1},
        {CKA_SENSITIVE, &yes, 1},
        {CKA_EXTRACTABLE, &no, 1},
        {CKA_MODIFIABLE, &no, 1},
        {CKA_ENCRYPT, &yes, 1},
        {CKA_DERIVE, &yes, 1},
        {CKA_SIGN, &no, 1},
        {CKA_VERIFY, &no, 1},
        {CKA_DECRYPT, &no, 1},
        {CKA_WRAP, &no, 1},
        {CKA_UNWRAP, &no, 1},
        {CKA_LABEL, label, strlen(label)},
        {CKA_VALUE, bytes, sizeof(bytes)},
    };
    CK_OBJECT_HANDLE key;
    assert_int_equal(c->module->C_CreateObject(c->session, t, B_COUNT(t), &key), CKR_OK);
}

/* --- what comes out --------------------------------------------------------------------------- */

/* AN10922 §2.2.1 and AN10957 (short input), as in tests/vectors/an10922.json: the key that works in
 * the token is the published one. */
static void published_keys_work_inside(void **state)
{
    (void)state;
    static const struct {
        const char *master, *input, *key;
    } published[] = {
        {"00112233445566778899AABBCCDDEEFF", "04782E21801D803042F54E585020416275",
         "A8DD63A3B89D54B37CA802473FDA9175"},
        {"F3F9377698707B688EAF84ABE39E3791", "04DEADBEEFFEED", "0BB408BAFF98B6EE9F2E1585777F6A51"},
    };
    fault("says-local");
    struct custody *c = open_inside(uri);
    for (size_t i = 0; i < B_COUNT(published); i++) {
        struct use u = {.c = c};
        uint8_t input[17], key[16], want[32];
        size_t n = strlen(published[i].input) / 2;
        struct custody_which which = {KEY_ROLE_AUTH, (uint8_t)(i + 1), b_rd_from(input, n)};
        struct b_err err = {0};
        import(c, (uint8_t)(i + 1), published[i].master);
        unhex(input, n, published[i].input);
        unhex(key, sizeof(key), published[i].key);
        struct custody_entry *e = custody_find(c, KEY_ROLE_AUTH, (uint8_t)(i + 1), &err);
        assert_non_null(e);
        e->key.is_safe = true; /* both masters are known to everybody */
        if (custody_use_badge(c, &which, encrypt_text, &u, &err) != B_OK)
            fail_msg("%s", err.msg);
        software_cbc(key, want);
        assert_memory_equal(u.out, want, sizeof(want));
    }
    custody_free(&c);
    fault(NULL);
}

/* A desk, which must put the key on the card, gets the same one. */
static void a_desk_derives_the_same_key(void **state)
{
    (void)state;
    struct b_err err = {0};
    struct custody *c = open_inside(uri);
    struct use u = {.c = c};
    struct custody_which which = badge_of(1, 17);
    struct custody *desk = NULL;
    uint8_t want[32];
    generate(c, KEY_ROLE_AUTH, 1);
    if (custody_use_badge(c, &which, encrypt_text, &u, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(open_as(uri, PIN, &desk, NULL), B_OK);
    uint8_t *key = b_secret_alloc(16);
    assert_int_equal(custody_derive(desk, KEY_ROLE_AUTH, 1, uid_and_more, 17, key, NULL), B_OK);
    software_cbc(key, want);
    assert_memory_equal(u.out, want, sizeof(want));
    b_secret_free(key);
    custody_free(&desk);
    custody_free(&c);
}

static void the_key_itself_does_not_come_out(void **state)
{
    (void)state;
    struct custody *c = open_inside(uri);
    struct b_err err = {0};
    generate(c, KEY_ROLE_AUTH, 1);
    generate(c, KEY_ROLE_READ, 1); /* a role that is not in-token does as before */
    uint8_t *key = b_secret_alloc(16);
    assert_int_equal(custody_derive(c, KEY_ROLE_AUTH, 1, uid_and_more, 17, key, &err),
                     B_E_KEY_STAYS);
    assert_non_null(strstr(err.msg, "auth"));
    assert_int_equal(custody_derive(c, KEY_ROLE_READ, 1, uid_and_more, 17, key, &err), B_OK);
    b_secret_free(key);
    custody_free(&c);
}

/* --- what the object is ----------------------------------------------------------------------- */

static enum b_code look_at_object(struct custody_badge *badge, void *arg, struct b_err *err)
{
    (void)badge;
    (void)err;
    struct use *u = arg;
    struct custody *c = u->c;
    uint8_t bytes[32];
    CK_ULONG n = sizeof(bytes);
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE value = {CKA_VALUE, bytes, sizeof(bytes)};
    CK_ATTRIBUTE open[] = {{CKA_EXTRACTABLE, &yes, 1}};
    CK_ATTRIBUTE plain_copy[] = {{CKA_SENSITIVE, &no, 1}};
    CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
    CK_MECHANISM cmac = {CKM_AES_CMAC, NULL, 0};
    CK_MECHANISM wrap = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_OBJECT_HANDLE key = u->key = the_session_object(c);
    CK_OBJECT_HANDLE copy = 0;
    assert_int_equal(c->module->C_GetAttributeValue(c->session, key, &value, 1),
                     CKR_ATTRIBUTE_SENSITIVE);
    assert_int_not_equal(c->module->C_SetAttributeValue(c->session, key, open, 1), CKR_OK);
    assert_int_not_equal(c->module->C_CopyObject(c->session, key, plain_copy, 1, &copy), CKR_OK);
    assert_int_not_equal(c->module->C_WrapKey(c->session, &wrap, key, key, bytes, &n), CKR_OK);
    assert_int_not_equal(c->module->C_EncryptInit(c->session, &ecb, key), CKR_OK);
    assert_int_not_equal(c->module->C_SignInit(c->session, &cmac, key), CKR_OK);
    return B_OK;
}

static void the_derived_object_is_sensitive_and_does_nothing_but_cbc(void **state)
{
    (void)state;
    struct custody *c = open_inside(plain);
    struct use u = {.c = c};
    struct custody_which which = badge_of(1, 17);
    generate(c, KEY_ROLE_AUTH, 1);
    assert_int_equal(custody_use_badge(c, &which, look_at_object, &u, NULL), B_OK);
    uint8_t bytes[32];
    CK_ATTRIBUTE value = {CKA_VALUE, bytes, sizeof(bytes)};
    assert_int_equal(c->module->C_GetAttributeValue(c->session, u.key, &value, 1),
                     CKR_OBJECT_HANDLE_INVALID);
    custody_free(&c);
}

static void a_master_in_token_derives_and_cannot_leave(void **state)
{
    (void)state;
    struct custody *c = open_inside(plain);
    struct custody_key list[4];
    size_t n = 0;
    generate(c, KEY_ROLE_AUTH, 1);
    generate(c, KEY_ROLE_READ, 1);
    assert_int_equal(custody_list(c, list, B_COUNT(list), &n, NULL), B_OK);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(list[i].derives_inside, list[i].role == KEY_ROLE_AUTH);
        assert_true(list[i].is_safe);
    }
    CK_OBJECT_HANDLE key = custody_find(c, KEY_ROLE_AUTH, 1, NULL)->handle;
    CK_MECHANISM cmac = {CKM_AES_CMAC, NULL, 0};
    CK_MECHANISM cbc = {CKM_AES_CBC, (uint8_t[16]){0}, 16};
    CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
    uint8_t bytes[16];
    CK_ATTRIBUTE value = {CKA_VALUE, bytes, sizeof(bytes)};
    assert_int_equal(c->module->C_GetAttributeValue(c->session, key, &value, 1),
                     CKR_ATTRIBUTE_SENSITIVE);
    assert_int_not_equal(c->module->C_SignInit(c->session, &cmac, key), CKR_OK);
    assert_int_not_equal(c->module->C_EncryptInit(c->session, &cbc, key), CKR_OK);
    assert_int_not_equal(c->module->C_DecryptInit(c->session, &ecb, key), CKR_OK);
    custody_free(&c);
}

static void nothing_is_left_in_the_token(void **state)
{
    (void)state;
    struct custody *c = open_inside(plain);
    struct use u = {.c = c};
    struct custody_which which = badge_of(1, 17);
    generate(c, KEY_ROLE_AUTH, 1);
    assert_int_equal(session_objects(c), 0);
    for (int i = 0; i < 50; i++) {
        u.fails = i % 3 == 1 ? B_E_CARD_AUTH : B_OK;
        assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, NULL), u.fails);
        assert_int_equal(u.objects, 1);
        assert_int_equal(session_objects(c), 0);
    }
    assert_int_equal(u.runs, 50); /* a card that is wrong is not asked again */
    custody_free(&c);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void a_token_that_lacks_the_mechanism_is_told_by_its_name(void **state)
{
    (void)state;
    struct b_err err = {0};
    struct custody_key key;
    struct custody *c = open_inside(uri);
    struct use u = {.c = c};
    struct custody_which which = badge_of(1, 17);
    generate(c, KEY_ROLE_AUTH, 1);
    fault("no-inside");
    assert_int_equal(custody_generate(c, KEY_ROLE_AUTH, 2, &key, &err), B_E_KEY_NOT_INSIDE);
    assert_non_null(strstr(err.msg, "CKM_AES_ECB_ENCRYPT_DATA"));
    assert_non_null(strstr(err.msg, "Badges of here"));
    err = (struct b_err){0};
    assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, &err), B_E_KEY_NOT_INSIDE);
    assert_non_null(strstr(err.msg, "CKM_AES_ECB_ENCRYPT_DATA"));
    assert_int_equal(u.runs, 0);
    fault("no-cbc");
    assert_int_equal(custody_generate(c, KEY_ROLE_AUTH, 2, &key, &err), B_E_KEY_NOT_INSIDE);
    assert_non_null(strstr(err.msg, "CKM_AES_CBC"));
    fault(NULL);
    custody_free(&c);
}

static void a_master_that_was_not_made_for_it_is_told(void **state)
{
    (void)state;
    struct b_err err = {0};
    struct custody *before = open_good();
    struct use u = {0};
    struct custody_which which = badge_of(1, 17);
    generate(before, KEY_ROLE_AUTH, 1);
    custody_free(&before);
    struct custody *c = open_inside(uri);
    assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, &err), B_E_KEY_NOT_INSIDE);
    assert_non_null(strstr(err.msg, "auth of generation 1"));
    assert_non_null(strstr(err.msg, "CKA_DERIVE"));
    fault("no-inside"); /* the token is what must be changed first */
    assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, &err), B_E_KEY_NOT_INSIDE);
    assert_non_null(strstr(err.msg, "CKM_AES_ECB_ENCRYPT_DATA"));
    fault(NULL);
    custody_free(&c);
}

static void a_token_that_gives_derived_keys_away_is_not_used(void **state)
{
    (void)state;
    static const char *const ways[] = {"leaks", "extractable"};
    struct b_err err = {0};
    for (size_t i = 0; i < B_COUNT(ways); i++) {
        struct custody *c = open_inside(uri);
        struct use u = {.c = c};
        struct custody_which which = badge_of((uint8_t)(i + 1), 17);
        generate(c, KEY_ROLE_AUTH, (uint8_t)(i + 1));
        fault(ways[i]);
        assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, &err), B_E_KEY_NOT_INSIDE);
        assert_int_equal(u.runs, 0);
        fault(NULL);
        assert_int_equal(session_objects(c), 0);
        custody_free(&c);
    }
}

static void a_session_lost_in_the_work_is_taken_up_and_the_work_done_again(void **state)
{
    (void)state;
    struct custody *c = open_inside(uri);
    struct use u = {.c = c};
    struct custody_which which = badge_of(1, 17);
    struct b_err err = {0};
    generate(c, KEY_ROLE_AUTH, 1);
    uint32_t sessions = c->session_count;
    fault("drop-in-use-once");
    if (custody_use_badge(c, &which, encrypt_text, &u, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(u.runs, 2);
    assert_int_equal(c->session_count, sessions + 1);
    assert_int_equal(session_objects(c), 0);
    custody_free(&c);
    fault(NULL);
}

static void what_cannot_be_destroyed_goes_with_its_session(void **state)
{
    (void)state;
    struct custody *c = open_inside(uri);
    struct use u = {.c = c};
    struct custody_which which = badge_of(1, 17);
    generate(c, KEY_ROLE_AUTH, 1);
    fault("no-destroy");
    assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, NULL), B_OK);
    fault(NULL);
    assert_false(c->is_connected);
    assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, NULL), B_OK);
    assert_int_equal(u.objects, 1);
    assert_int_equal(session_objects(c), 0);
    custody_free(&c);
}

static void lengths_outside_1_to_31_are_refused(void **state)
{
    (void)state;
    static const uint8_t in[32] = {0};
    struct custody *c = open_inside(uri);
    struct use u = {.c = c};
    struct custody_which which = {KEY_ROLE_AUTH, 1, b_rd_from(in, 0)};
    assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, NULL), B_E_KEY_LENGTH);
    which.input = b_rd_from(in, 32);
    assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, NULL), B_E_KEY_LENGTH);
    which = badge_of(KEY_GENERATION_FACTORY, 17);
    assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, NULL), B_E_BAD_INPUT);
    which = badge_of(9, 17);
    assert_int_equal(custody_use_badge(c, &which, encrypt_text, &u, NULL), B_E_KEY_MISSING);
    custody_free(&c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_token, drop_token)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(published_keys_work_inside),
        T(a_desk_derives_the_same_key),
        T(the_key_itself_does_not_come_out),
        T(the_derived_object_is_sensitive_and_does_nothing_but_cbc),
        T(a_master_in_token_derives_and_cannot_leave),
        T(nothing_is_left_in_the_token),
        T(a_token_that_lacks_the_mechanism_is_told_by_its_name),
        T(a_master_that_was_not_made_for_it_is_told),
        T(a_token_that_gives_derived_keys_away_is_not_used),
        T(a_session_lost_in_the_work_is_taken_up_and_the_work_done_again),
        T(what_cannot_be_destroyed_goes_with_its_session),
        T(lengths_outside_1_to_31_are_refused),
    };
    return cmocka_run_group_tests_name("keys that stay in the token", tests, NULL, NULL);
}
