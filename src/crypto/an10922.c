/*
 * AN10922 key diversification (NXP AN10922 rev 2.2 §2.2 to §2.5).
 *
 * For each output part: M = constant || input, padded with 80 00.. to exactly two blocks (also when
 * it would fit in one), last block xor K2 when padding was added and K1 when not, CBC from zero;
 * the part is the last block. With 17 to 32 bytes of M this is AES-CMAC; with fewer it is not.
 *
 *   AES-128  01            -> one part
 *   AES-192  11, 12        -> A[0..7] || (A[8..15] xor B[0..7]) || B[8..15]
 *   AES-256  41, 42        -> A || B
 *   2TDEA    21, 22        -> two parts of 8 bytes
 *   3TDEA    31, 32, 33    -> three parts of 8 bytes
 */
#include <string.h>

#include "crypto/engine.h"

static const struct {
    uint8_t constants[3];
    uint8_t parts;
} rules[] = {
    [CRYPTO_AES128] = {{0x01}, 1},
    [CRYPTO_AES192] = {{0x11, 0x12}, 2},
    [CRYPTO_AES256] = {{0x41, 0x42}, 2},
    [CRYPTO_TDEA2] = {{0x21, 0x22}, 2},
    [CRYPTO_TDEA3] = {{0x31, 0x32, 0x33}, 3},
};

static void derive_part(const struct crypto_key *master, uint8_t constant, const uint8_t *input,
                        size_t n, uint8_t *out)
{
    size_t block = crypto_block_size(master->cipher);
    uint8_t m[2 * CRYPTO_BLOCK_MAX] = {0};
    m[0] = constant;
    memcpy(m + 1, input, n);
    bool is_padded = n + 1 < 2 * block;
    if (is_padded)
        m[n + 1] = 0x80;
    const uint8_t *subkey = is_padded ? master->k2 : master->k1;
    master->engine->mac_two(master, m, subkey, out);
}

enum b_code crypto_an10922(const struct crypto_key *master, const uint8_t *input, size_t input_len,
                           uint8_t *out, struct b_err *err)
{
    size_t block = crypto_block_size(master->cipher);
    if (input_len < 1 || input_len > 2 * block - 1)
        return b_err_set(err, B_E_KEY_LENGTH, 0,
                         "diversification input of %zu bytes: AN10922 takes 1 to %zu", input_len,
                         2 * block - 1);
    uint8_t part[3][CRYPTO_BLOCK_MAX];
    uint8_t parts = rules[master->cipher].parts;
    if (parts == 1) {
        derive_part(master, rules[master->cipher].constants[0], input, input_len, out);
        return B_OK;
    }
    for (uint8_t i = 0; i < parts; i++)
        derive_part(master, rules[master->cipher].constants[i], input, input_len, part[i]);
    if (master->cipher == CRYPTO_AES192) {
        memcpy(out, part[0], 16);
        for (size_t i = 0; i < 8; i++)
            out[8 + i] ^= part[1][i];
        memcpy(out + 16, part[1] + 8, 8);
    } else {
        for (uint8_t i = 0; i < parts; i++)
            memcpy(out + i * block, part[i], block);
    }
    b_wipe(part, sizeof(part));
    return B_OK;
}

void crypto_tdea_set_version(uint8_t *key, uint8_t version)
{
    for (size_t i = 0; i < 8; i++)
        key[i] = (uint8_t)((key[i] & 0xFE) | (version >> (7 - i) & 1));
}
