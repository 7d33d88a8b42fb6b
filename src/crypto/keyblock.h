/*
 * Key blocks, TR-31:2018 (ANSI X9.143): a key with what it is for, under a key block protection key
 * (KBPK). Versions D (AES) and B (TDEA), both by the derivation binding method; A and C, which bind
 * by variants of the key, are refused.
 *
 *   offset  size  the header, ASCII
 *        0     1  version "D" or "B"
 *        1     4  length of the whole, decimal
 *        5     2  key usage
 *        7     1  algorithm: "A" AES, "T" TDEA, …
 *        8     1  mode of use
 *        9     2  key version
 *       11     1  exportability
 *       12     2  number of optional blocks, decimal
 *       14     2  "00"
 *       16        optional blocks: id 2, length 2 hex (of the whole block), data
 *   then hex: CBC(KBEK, iv = MAC, length in bits 2 || key || padding), and
 *   MAC = CMAC(KBAK, header || what was encrypted), a block
 *
 *   KBEK, KBAK    CMAC(KBPK, counter || usage 2 || 00 || algorithm 2 || bits 2), counter from 1
 */
#ifndef TESSERE_CRYPTO_KEYBLOCK_H
#define TESSERE_CRYPTO_KEYBLOCK_H

#include "base/base.h"

enum { CRYPTO_KEYBLOCK_MAX = 1024, CRYPTO_KEYBLOCK_HEADER = 16, CRYPTO_KEYBLOCK_KEY = 32 };

struct crypto_keyblock {
    char header[CRYPTO_KEYBLOCK_HEADER + 1]; /* version, usage, … ; sealing fills the length in */
    uint8_t key[CRYPTO_KEYBLOCK_KEY];
    size_t n; /* bytes of key */
};

/* kbpk: 16, 24 or 32 bytes for D, 16 or 24 for B. ret lies in secret memory. B_E_BAD_INPUT: it is
 * no such block; B_E_BACKUP_BROKEN: it is not under this key, or was changed. */
B_NODISCARD enum b_code crypto_keyblock_open(struct b_rd kbpk, struct b_rd text,
                                             struct crypto_keyblock *ret, struct b_err *err);
/* padding: 14 random bytes for a key of 16. Without optional blocks. out: a text. */
B_NODISCARD enum b_code crypto_keyblock_seal(struct b_rd kbpk, const struct crypto_keyblock *k,
                                             struct b_rd padding, char *out, size_t cap,
                                             struct b_err *err);

#endif
