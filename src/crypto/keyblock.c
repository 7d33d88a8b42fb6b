#include "crypto/keyblock.h"

#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"

enum { PAYLOAD_MAX = 128, OPTIONAL_MAX = 16 };

/* The two keys of a block, and the secret bytes they are made of. */
struct working {
    struct crypto_key encrypt, mac;
    size_t block;
    uint8_t bytes[CRYPTO_KEY_MAX];
};

static void cmac(const struct crypto_key *key, struct b_rd a, struct b_rd b, uint8_t *out)
{
    struct crypto_cmac c;
    crypto_cmac_begin(&c, key, NULL);
    crypto_cmac_update(&c, a.p, a.left);
    crypto_cmac_update(&c, b.p, b.left);
    crypto_cmac_final(&c, out);
    b_wipe(&c, sizeof(c));
}

/* usage: 0 encrypts, 1 makes the MAC (TR-31:2018 §5.3.2). */
static void derive(const struct crypto_key *kbpk, enum crypto_cipher cipher, uint8_t usage,
                   uint8_t *out)
{
    static const uint8_t algorithms[] = {[CRYPTO_TDEA2] = 0,
                                         [CRYPTO_TDEA3] = 1,
                                         [CRYPTO_AES128] = 2,
                                         [CRYPTO_AES192] = 3,
                                         [CRYPTO_AES256] = 4};
    size_t n = crypto_key_size(cipher);
    size_t block = crypto_block_size(cipher);
    uint8_t made[2 * CRYPTO_KEY_MAX]; /* whole blocks: more than 24 bytes of AES-192 */
    for (size_t at = 0, counter = 1; at < n; at += block, counter++) {
        const uint8_t input[8] = {
            (uint8_t)counter, 0, usage, 0, 0, algorithms[cipher], (uint8_t)(n * 8 >> 8),
            (uint8_t)(n * 8)};
        cmac(kbpk, b_rd_from(input, sizeof(input)), b_rd_from(input, 0), made + at);
    }
    memcpy(out, made, n);
    b_wipe(made, sizeof(made));
}

static bool make_working(char version, struct b_rd kbpk, struct working *w)
{
    static const struct {
        char version;
        size_t n;
        enum crypto_cipher cipher;
    } kinds[] = {{'D', 16, CRYPTO_AES128},
                 {'D', 24, CRYPTO_AES192},
                 {'D', 32, CRYPTO_AES256},
                 {'B', 16, CRYPTO_TDEA2},
                 {'B', 24, CRYPTO_TDEA3}};
    for (size_t i = 0; i < B_COUNT(kinds); i++) {
        struct crypto_key key;
        if (kinds[i].version != version || kinds[i].n != kbpk.left)
            continue;
        crypto_key_init(&key, kinds[i].cipher, kbpk.p);
        derive(&key, kinds[i].cipher, 0, w->bytes);
        crypto_key_init(&w->encrypt, kinds[i].cipher, w->bytes);
        derive(&key, kinds[i].cipher, 1, w->bytes);
        crypto_key_init(&w->mac, kinds[i].cipher, w->bytes);
        crypto_key_drop(&key);
        w->block = crypto_block_size(kinds[i].cipher);
        return true;
    }
    return false;
}

static void drop_working(struct working *w)
{
    crypto_key_drop(&w->encrypt);
    crypto_key_drop(&w->mac);
    b_wipe(w, sizeof(*w));
}

/* --- the header --------------------------------------------------------------------------------
 */

/* Digits in base 10 or 16; false on another sign. */
static bool take_number(struct b_rd *r, unsigned base, size_t digits, size_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < digits; i++) {
        unsigned c = b_rd_u8(r);
        unsigned v = base;
        if (c >= '0' && c <= '9')
            v = c - '0';
        else if (c >= 'A' && c <= 'F')
            v = c - 'A' + 10;
        if (v >= base)
            return false;
        *ret = *ret * base + v;
    }
    return b_rd_ok(r);
}

/* Where the header with its optional blocks ends, or 0. */
static size_t header_end(struct b_rd text, size_t block)
{
    struct b_rd r = text;
    size_t length = 0;
    size_t count = 0;
    b_rd_skip(&r, 1);
    if (!take_number(&r, 10, 4, &length) || length != text.left)
        return 0;
    b_rd_skip(&r, 7);
    if (!take_number(&r, 10, 2, &count) || count > OPTIONAL_MAX)
        return 0;
    b_rd_skip(&r, 2);
    for (size_t i = 0; i < count; i++) {
        size_t n = 0;
        b_rd_skip(&r, 2);
        if (!take_number(&r, 16, 2, &n) || n < 4) /* 00: a longer one, of which we know none */
            return 0;
        b_rd_skip(&r, n - 4);
    }
    size_t end = text.left - r.left;
    return b_rd_ok(&r) && end % block == 0 ? end : 0;
}

static bool take_hex(struct b_rd *r, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        size_t v = 0;
        if (!take_number(r, 16, 2, &v))
            return false;
        out[i] = (uint8_t)v;
    }
    return true;
}

/* --- opening and sealing -----------------------------------------------------------------------
 */

static enum b_code open_with(const struct working *w, struct b_rd text, uint8_t *payload,
                             struct crypto_keyblock *ret, struct b_err *err)
{
    uint8_t mac[CRYPTO_BLOCK_MAX];
    uint8_t wanted[CRYPTO_BLOCK_MAX];
    uint8_t iv[CRYPTO_BLOCK_MAX];
    size_t end = header_end(text, w->block);
    size_t n = end > 0 && text.left > end + 2 * w->block ? (text.left - end) / 2 - w->block : 0;
    struct b_rd r = text;
    b_rd_skip(&r, end);
    if (n == 0 || n % w->block != 0 || n > PAYLOAD_MAX || (text.left - end) % 2 != 0 ||
        !take_hex(&r, n, payload) || !take_hex(&r, w->block, mac))
        return b_err_set(err, B_E_BAD_INPUT, 0, "a key block: its length or its header is wrong");
    memcpy(iv, mac, w->block);
    crypto_cbc_decrypt(&w->encrypt, iv, payload, payload, n);
    cmac(&w->mac, b_rd_from(text.p, end), b_rd_from(payload, n), wanted);
    if (!b_ct_eq(mac, wanted, w->block))
        return b_err_set(err, B_E_BACKUP_BROKEN, 0,
                         "a key block: it is not under this key, or it was changed");
    size_t bits = (size_t)payload[0] << 8 | payload[1];
    if (bits == 0 || bits % 8 != 0 || bits / 8 > sizeof(ret->key) || bits / 8 + 2 > n)
        return b_err_set(err, B_E_BAD_INPUT, 0, "a key block: a key of %zu bits", bits);
    ret->n = bits / 8;
    memcpy(ret->key, payload + 2, ret->n);
    memcpy(ret->header, text.p, CRYPTO_KEYBLOCK_HEADER);
    ret->header[CRYPTO_KEYBLOCK_HEADER] = '\0';
    return B_OK;
}

enum b_code crypto_keyblock_open(struct b_rd kbpk, struct b_rd text, struct crypto_keyblock *ret,
                                 struct b_err *err)
{
    struct working w;
    uint8_t payload[PAYLOAD_MAX] = {0};
    if (text.left <= CRYPTO_KEYBLOCK_HEADER || text.left > CRYPTO_KEYBLOCK_MAX)
        return b_err_set(err, B_E_BAD_INPUT, 0, "a key block has 17 to %d characters",
                         CRYPTO_KEYBLOCK_MAX);
    if (!make_working((char)text.p[0], kbpk, &w))
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         "a key block: version D under AES or B under TDEA, and a key of such a "
                         "length");
    enum b_code r = open_with(&w, text, payload, ret, err);
    b_wipe(payload, sizeof(payload));
    drop_working(&w);
    return r;
}

enum b_code crypto_keyblock_seal(struct b_rd kbpk, const struct crypto_keyblock *k,
                                 struct b_rd padding, char *out, size_t cap, struct b_err *err)
{
    struct working w;
    uint8_t payload[PAYLOAD_MAX];
    uint8_t mac[CRYPTO_BLOCK_MAX];
    uint8_t iv[CRYPTO_BLOCK_MAX];
    char header[CRYPTO_KEYBLOCK_HEADER + 1];
    struct b_wr p = b_wr_from(payload, sizeof(payload));
    b_check(k->n <= sizeof(k->key) && strlen(k->header) == CRYPTO_KEYBLOCK_HEADER);
    b_wr_be16(&p, (uint16_t)(k->n * 8));
    b_wr_bytes(&p, k->key, k->n);
    b_wr_bytes(&p, padding.p, padding.left);
    if (!make_working(k->header[0], kbpk, &w))
        return b_err_set(err, B_E_BAD_INPUT, 0, "a key block: no such version under such a key");
    size_t length = CRYPTO_KEYBLOCK_HEADER + 2 * (p.len + w.block);
    (void)snprintf(header, sizeof(header), "%c%04zu%.11s", k->header[0], length % 10000,
                   k->header + 5);
    enum b_code r = B_OK;
    if (!b_wr_ok(&p) || p.len % w.block != 0 || length >= cap) {
        r = b_err_set(err, B_E_BAD_INPUT, 0, "a key block: a payload of %zu bytes", p.len);
    } else {
        cmac(&w.mac, b_rd_from(header, CRYPTO_KEYBLOCK_HEADER), b_wr_reader(&p), mac);
        memcpy(iv, mac, w.block);
        crypto_cbc_encrypt(&w.encrypt, iv, payload, payload, p.len);
        memcpy(out, header, CRYPTO_KEYBLOCK_HEADER);
        b_hex(out + CRYPTO_KEYBLOCK_HEADER, payload, p.len);
        b_hex(out + CRYPTO_KEYBLOCK_HEADER + 2 * p.len, mac, w.block);
    }
    b_wipe(payload, sizeof(payload));
    drop_working(&w);
    return r;
}
