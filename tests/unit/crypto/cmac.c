/* CMAC of every cipher against NIST's examples (tests/vectors/cmac_sp800_38b.json), in pieces, from
 * another start value, and through the two-block shortcut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/engine.h"
#include "support/vector.h"

struct example {
    enum crypto_cipher cipher;
    uint8_t key[CRYPTO_KEY_MAX], message[64], tag[CRYPTO_BLOCK_MAX];
    size_t n;
};

static struct example example_of(const json_t *v)
{
    static const char *const names[] = {
        [CRYPTO_TDEA2] = "2TDEA",   [CRYPTO_TDEA3] = "3TDEA",   [CRYPTO_AES128] = "AES128",
        [CRYPTO_AES192] = "AES192", [CRYPTO_AES256] = "AES256",
    };
    struct example e = {.cipher = CRYPTO_TDEA2};
    const char *alg = vector_text(v, "alg");
    while ((size_t)e.cipher < B_COUNT(names) && strcmp(names[e.cipher], alg) != 0)
        e.cipher = (enum crypto_cipher)(e.cipher + 1);
    assert_in_range(e.cipher, CRYPTO_TDEA2, CRYPTO_AES256);
    assert_int_equal(vector_hex(v, "K", e.key, sizeof(e.key)), crypto_key_size(e.cipher));
    assert_int_equal(vector_hex(v, "tag", e.tag, sizeof(e.tag)), crypto_block_size(e.cipher));
    e.n = vector_hex(v, "M", e.message, sizeof(e.message));
    return e;
}

/* The tag of the message in two updates, cut at `cut`. */
static void check(const struct crypto_key *key, const struct example *e, size_t cut)
{
    uint8_t got[CRYPTO_BLOCK_MAX];
    struct crypto_cmac c;
    crypto_cmac_begin(&c, key, NULL);
    crypto_cmac_update(&c, e->message, cut);
    crypto_cmac_update(&c, e->message + cut, e->n - cut);
    crypto_cmac_final(&c, got);
    assert_memory_equal(got, e->tag, crypto_block_size(e->cipher));
}

static void for_each_example(void (*f)(const struct crypto_key *, const struct example *))
{
    json_t *root = vector_load("cmac_sp800_38b.json");
    json_t *list = json_object_get(root, "v");
    assert_int_equal(json_array_size(list), 20);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct example e = example_of(json_array_get(list, i));
        struct crypto_key key;
        crypto_key_init(&key, e.cipher, e.key);
        f(&key, &e);
        if (crypto_block_size(e.cipher) == 16) {
            crypto_key_init_with(&key, &crypto_engine_aes_portable, e.cipher, e.key);
            f(&key, &e);
        }
        crypto_key_drop(&key);
    }
    json_decref(root);
}

static void every_cut(const struct crypto_key *key, const struct example *e)
{
    for (size_t cut = 0; cut <= e->n; cut++)
        check(key, e, cut);
}

static void nists_examples_come_out_however_the_message_is_cut(void **state)
{
    (void)state;
    for_each_example(every_cut);
}

/* CBC from C1 over the rest of a message is CBC from zero over the whole of it. */
static void start_after_first_block(const struct crypto_key *key, const struct example *e)
{
    size_t block = crypto_block_size(e->cipher);
    if (e->n <= block)
        return;
    uint8_t start[CRYPTO_BLOCK_MAX], got[CRYPTO_BLOCK_MAX];
    struct crypto_cmac c;
    crypto_encrypt_block(key, e->message, start);
    crypto_cmac_begin(&c, key, start);
    crypto_cmac_update(&c, e->message + block, e->n - block);
    crypto_cmac_final(&c, got);
    assert_memory_equal(got, e->tag, block);
}

static void a_start_value_stands_for_what_came_before(void **state)
{
    (void)state;
    for_each_example(start_after_first_block);
}

/* No example has two whole blocks: the general way, which the examples hold, is the measure. */
static void two_blocks(const struct crypto_key *key, const struct example *e)
{
    size_t block = crypto_block_size(e->cipher);
    if (e->n < 2 * block)
        return;
    uint8_t want[CRYPTO_BLOCK_MAX], got[CRYPTO_BLOCK_MAX];
    struct crypto_cmac c;
    crypto_cmac_begin(&c, key, NULL);
    crypto_cmac_update(&c, e->message, 2 * block);
    crypto_cmac_final(&c, want);
    crypto_cmac_two(key, e->message, got);
    assert_memory_equal(got, want, block);
}

static void the_two_block_shortcut_agrees(void **state)
{
    (void)state;
    for_each_example(two_blocks);
}

static void a_dropped_key_leaves_nothing(void **state)
{
    (void)state;
    uint8_t bytes[CRYPTO_KEY_MAX];
    struct crypto_key key;
    memset(bytes, 0xA5, sizeof(bytes));
    for (int cipher = CRYPTO_TDEA2; cipher <= CRYPTO_AES256; cipher++) {
        crypto_key_init(&key, (enum crypto_cipher)cipher, bytes);
        crypto_key_drop(&key);
        const uint8_t *p = (const uint8_t *)&key;
        for (size_t i = 0; i < sizeof(key); i++)
            assert_int_equal(p[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nists_examples_come_out_however_the_message_is_cut),
        cmocka_unit_test(a_start_value_stands_for_what_came_before),
        cmocka_unit_test(the_two_block_shortcut_agrees),
        cmocka_unit_test(a_dropped_key_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
