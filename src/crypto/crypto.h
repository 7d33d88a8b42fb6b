/*
 * crypto: block ciphers, CMAC, CRCs, AN10922, random bytes: thin over libcrypto.
 *
 * The only folder that includes OpenSSL's headers. No allocation in the calls of a card session:
 * a key schedule lives inside struct crypto_key, in the caller's (secret) memory. It must never
 * learn what a card command or a token is.
 */
#ifndef TESSERE_CRYPTO_CRYPTO_H
#define TESSERE_CRYPTO_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum crypto_cipher {
    CRYPTO_TDEA2,  /* 16-byte key, 8-byte block; K1 == K2 is single DES */
    CRYPTO_TDEA3,  /* 24-byte key, 8-byte block */
    CRYPTO_AES128, /* 16-byte key, 16-byte block */
    CRYPTO_AES192, /* only to derive AN10922 keys of fleets taken over */
    CRYPTO_AES256,
};
enum { CRYPTO_BLOCK_MAX = 16, CRYPTO_KEY_MAX = 32 };

/* An expanded key. Definition in crypto/cipher.h; holds everything and owns no heap, so that
 * the memory it lies in is all there is to lock and wipe. */
#include "crypto/cipher.h"

size_t crypto_key_size(enum crypto_cipher cipher);
size_t crypto_block_size(enum crypto_cipher cipher);

/* Expands `bytes` (crypto_key_size of them); drop wipes. A key may be initialised again without
 * drop. Cannot fail on a valid cipher; a CPU or library that cannot is a b_check. */
void crypto_key_init(struct crypto_key *key, enum crypto_cipher cipher, const uint8_t *bytes);
void crypto_key_drop(struct crypto_key *key);

/* One block; in and out may be the same memory. */
void crypto_encrypt_block(const struct crypto_key *key, const uint8_t *in, uint8_t *out);
void crypto_decrypt_block(const struct crypto_key *key, const uint8_t *in, uint8_t *out);
/* n bytes, a multiple of the block; iv is read and left as the last ciphertext block. In place ok.
 */
void crypto_cbc_encrypt(const struct crypto_key *key, uint8_t *iv, const uint8_t *in, uint8_t *out,
                        size_t n);
void crypto_cbc_decrypt(const struct crypto_key *key, uint8_t *iv, const uint8_t *in, uint8_t *out,
                        size_t n);

/* CMAC (NIST SP 800-38B) over pieces of a message, with a CBC start value other than zero allowed
 * as DESFire EV1 needs. Subkeys are made once per key. */
struct crypto_cmac {
    const struct crypto_key *key;
    uint8_t chain[CRYPTO_BLOCK_MAX];
    uint8_t pending[CRYPTO_BLOCK_MAX];
    uint8_t pending_len;
};
/* iv: NULL for zero. key must stay valid until final. */
void crypto_cmac_begin(struct crypto_cmac *c, const struct crypto_key *key, const uint8_t *iv);
void crypto_cmac_update(struct crypto_cmac *c, const void *p, size_t n);
/* out gets a whole block (8 or 16 bytes). */
void crypto_cmac_final(struct crypto_cmac *c, uint8_t *out);

/* CMAC-0, by which people compare keys: the first three bytes of the CMAC of a block of zeros. */
enum { CRYPTO_KCV = 3 };
void crypto_kcv(const struct crypto_key *key, uint8_t out[static CRYPTO_KCV]);

/* CMAC of exactly two blocks, out a whole block: what EV2 session keys are made of. */
void crypto_cmac_two(const struct crypto_key *key, const uint8_t *m, uint8_t *out);

/* DESFire EV1 CRC: reflected 0x04C11DB7, start FFFFFFFF, no final inversion. Start with
 * CRYPTO_CRC32_START and chain. */
#define CRYPTO_CRC32_START 0xFFFFFFFFu
uint32_t crypto_crc32(uint32_t crc, const void *p, size_t n);
/* ISO/IEC 14443-3 CRC_A, start 6363 (D40). */
#define CRYPTO_CRC16_START 0x6363u
uint16_t crypto_crc16(uint16_t crc, const void *p, size_t n);

/* Fills from the kernel's generator; failure is a b_check. */
void crypto_random(void *p, size_t n);
/* SHA-256. */
void crypto_sha256(const void *p, size_t n, uint8_t out[static 32]);
/* Of a || b. */
void crypto_sha256_two(const void *a, size_t a_len, const void *b, size_t b_len,
                       uint8_t out[static 32]);
/* HMAC-SHA-256 (RFC 2104); key of at least one byte. */
void crypto_hmac_sha256(const void *key, size_t key_len, const void *p, size_t n,
                        uint8_t out[static 32]);
/* ECDSA over secp224r1 of a message shorter than a digest, taken as it is (originality signature).
 * public_key: 57 bytes 04||X||Y; signature: r||s, 56 bytes. False when it does not verify. */
B_NODISCARD bool crypto_p224_verify(const uint8_t public_key[static 57], const void *message,
                                    size_t n, const uint8_t signature[static 56]);

/* AN10922 diversified key. alg of `master` gives the key's type (AES128, AES192, AES256, TDEA2,
 * TDEA3); input is the diversification input without the constant, 1..31 bytes (AES), 1..15
 * (TDEA). out gets crypto_key_size bytes. B_E_KEY_LENGTH on a wrong length. TDEA keys come out
 * without version bits: crypto_tdea_set_version puts them. */
B_NODISCARD enum b_code crypto_an10922(const struct crypto_key *master, const uint8_t *input,
                                       size_t input_len, uint8_t *out, struct b_err *err);
/* Writes the version into the low bits of the first 8 key bytes (AN10922 2.4). */
void crypto_tdea_set_version(uint8_t *key, uint8_t version);

/* Computes the known answers of kat.def and diversify.def with the engines that this machine uses,
 * in well under a millisecond. B_E_CRYPTO_BROKEN names the first that comes out wrong. */
B_NODISCARD enum b_code crypto_self_test(struct b_err *err);

/* Diversification profiles (crypto/diversify.h): the named rules that build the input. */
#include "crypto/diversify.h"

#endif
