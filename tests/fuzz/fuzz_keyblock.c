/* A key block under a published key: the first byte says how long that key is taken to be. */
#include <string.h>

#include "crypto/keyblock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t kbpk[32] = {0x88, 0xE1, 0xAB, 0x2A, 0x2E, 0x3D, 0xD3, 0x8C,
                                     0x1F, 0xA0, 0x39, 0xA5, 0x36, 0x50, 0x0C, 0xC8,
                                     0xA8, 0x7A, 0xB9, 0xD6, 0x2D, 0xC9, 0x2C, 0x01,
                                     0x05, 0x8F, 0xA7, 0x9F, 0x44, 0x65, 0x7D, 0xE6};
    struct crypto_keyblock k;
    struct b_rd in = b_rd_from(data, size);
    size_t n = 16 + 8 * (b_rd_u8(&in) % 3u);
    if (crypto_keyblock_open(b_rd_from(kbpk, n), b_rd_rest(&in), &k, NULL) == B_OK)
        b_check(k.n > 0 && k.n <= sizeof(k.key) && strlen(k.header) == CRYPTO_KEYBLOCK_HEADER);
    return 0;
}
