/* Known answers, computed again where keys will be used: a wrong CPU or library must not make keys
 * that no other machine can make. */
#include <string.h>

#include "crypto/engine.h"

struct block_row {
    const char *source;
    enum crypto_cipher cipher;
    const char *key, *plain, *encrypted;
};
static const struct block_row block_rows[] = {
#define CRYPTO_KAT_BLOCK(source, cipher, key, plaintext, ciphertext) \
    {source, cipher, key, plaintext, ciphertext},
#include "crypto/kat.def"
};

struct cmac_row {
    const char *source;
    enum crypto_cipher cipher;
    const char *key, *message, *tag;
};
static const struct cmac_row cmac_rows[] = {
#define CRYPTO_KAT_CMAC(source, cipher, key, message, tag) {source, cipher, key, message, tag},
#include "crypto/kat.def"
};

struct div_row {
    const char *profile, *master, *uid, *serial, *aid;
    uint8_t key_no;
    const char *system, *key;
};
static const struct div_row div_rows[] = {
#define CRYPTO_DIV_KAT(id, master, uid, serial, aid, key_no, system, key) \
    {id, master, uid, serial, aid, key_no, system, key},
#include "crypto/diversify.def"
};

static size_t from_hex(const char *hex, uint8_t *out, size_t cap)
{
    struct b_wr w = b_wr_from(out, cap);
    b_check(b_unhex(&w, hex));
    return w.len;
}

static void expand(struct crypto_key *key, const struct crypto_engine *engine,
                   enum crypto_cipher cipher, const char *hex)
{
    uint8_t bytes[CRYPTO_KEY_MAX];
    b_check(from_hex(hex, bytes, sizeof(bytes)) == crypto_key_size(cipher));
    crypto_key_init_with(key, engine, cipher, bytes);
}

static bool block_is_right(const struct block_row *row, const struct crypto_engine *engine)
{
    struct crypto_key key;
    uint8_t plain[CRYPTO_BLOCK_MAX], encrypted[CRYPTO_BLOCK_MAX], got[CRYPTO_BLOCK_MAX];
    size_t n = from_hex(row->plain, plain, sizeof(plain));
    b_check(from_hex(row->encrypted, encrypted, sizeof(encrypted)) == n);
    expand(&key, engine, row->cipher, row->key);
    crypto_encrypt_block(&key, plain, got);
    bool is_right = b_ct_eq(got, encrypted, n);
    crypto_decrypt_block(&key, encrypted, got);
    is_right &= b_ct_eq(got, plain, n);
    /* By CBC, with the ciphertext as the block before: what comes out is plain xor that. */
    uint8_t chain[CRYPTO_BLOCK_MAX];
    memcpy(chain, encrypted, n);
    crypto_cbc_decrypt(&key, chain, encrypted, got, n);
    for (size_t i = 0; i < n; i++)
        got[i] ^= encrypted[i];
    is_right &= b_ct_eq(chain, encrypted, n);
    return is_right & b_ct_eq(got, plain, n);
}

static bool cmac_is_right(const struct cmac_row *row, const struct crypto_engine *engine)
{
    struct crypto_key key;
    struct crypto_cmac c;
    uint8_t message[64], tag[CRYPTO_BLOCK_MAX], got[CRYPTO_BLOCK_MAX];
    size_t n = from_hex(row->message, message, sizeof(message));
    expand(&key, engine, row->cipher, row->key);
    crypto_cmac_begin(&c, &key, NULL);
    crypto_cmac_update(&c, message, n);
    crypto_cmac_final(&c, got);
    return b_ct_eq(got, tag, from_hex(row->tag, tag, sizeof(tag)));
}

static bool diversified_key_is_right(const struct div_row *row, const struct crypto_engine *engine)
{
    struct crypto_key master;
    struct crypto_div_facts f = {.key_no = row->key_no};
    uint8_t input[CRYPTO_DIV_INPUT_MAX], want[16], got[16];
    struct b_wr w = b_wr_from(input, sizeof(input));
    f.uid_len = (uint8_t)from_hex(row->uid, f.uid, sizeof(f.uid));
    f.serial_len = (uint8_t)from_hex(row->serial, f.serial, sizeof(f.serial));
    f.system_len = (uint8_t)from_hex(row->system, f.system, sizeof(f.system));
    (void)from_hex(row->aid, f.aid, sizeof(f.aid));
    (void)from_hex(row->key, want, sizeof(want));
    expand(&master, engine, CRYPTO_AES128, row->master);
    const struct crypto_div_profile *profile = crypto_div_find(row->profile);
    return profile != NULL && crypto_div_input(profile, &f, &w, NULL) == B_OK &&
           crypto_an10922(&master, input, w.len, got, NULL) == B_OK &&
           b_ct_eq(got, want, sizeof(want));
}

enum b_code crypto_self_test_with(const struct crypto_engine *aes, const struct crypto_engine *tdea,
                                  struct b_err *err)
{
    for (size_t i = 0; i < B_COUNT(block_rows); i++) {
        const struct block_row *row = &block_rows[i];
        if (!block_is_right(row, crypto_block_size(row->cipher) == 16 ? aes : tdea))
            return b_err_set(err, B_E_CRYPTO_BROKEN, 0, "known answer of %s", row->source);
    }
    for (size_t i = 0; i < B_COUNT(cmac_rows); i++) {
        const struct cmac_row *row = &cmac_rows[i];
        if (!cmac_is_right(row, crypto_block_size(row->cipher) == 16 ? aes : tdea))
            return b_err_set(err, B_E_CRYPTO_BROKEN, 0, "known answer of %s", row->source);
    }
    for (size_t i = 0; i < B_COUNT(div_rows); i++) {
        if (!diversified_key_is_right(&div_rows[i], aes))
            return b_err_set(err, B_E_CRYPTO_BROKEN, 0,
                             "known answer of diversification profile %s", div_rows[i].profile);
    }
    return B_OK;
}

enum b_code crypto_self_test(struct b_err *err)
{
    return crypto_self_test_with(crypto_engine_for(CRYPTO_AES128), crypto_engine_for(CRYPTO_TDEA2),
                                 err);
}
