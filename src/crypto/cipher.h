/* struct crypto_key: an expanded key in its owner's memory. Content private to src/crypto. */
#include "crypto/crypto.h" /* before the guard: it includes this file where it needs it */

#ifndef TESSERE_CRYPTO_CIPHER_H
#define TESSERE_CRYPTO_CIPHER_H

#include <stdint.h>

struct crypto_engine;

struct crypto_key {
    /* Encrypting then decrypting schedule for AES, three schedules for (3)DES; each engine knows
     * its own layout. */
    _Alignas(16) uint8_t schedule[512];
    uint8_t k1[CRYPTO_BLOCK_MAX], k2[CRYPTO_BLOCK_MAX]; /* CMAC subkeys, SP 800-38B §6.1 */
    enum crypto_cipher cipher;
    const struct crypto_engine *engine;
};

#endif
