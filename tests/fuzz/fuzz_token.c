/* Requests into tessere-token's dispatcher, one after the other as the vault sends them: two bytes
 * of length, least significant first, then the message. The token is a fake one. */
#include <string.h>

#include "fake_keyring.h"
#include "vault/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct token_lane lane;
    static uint8_t answer[TOKEN_MESSAGE_MAX];
    struct fake_keyring keyring = {0};
    b_check(b_secret_init(1 << 20, false, NULL) == B_OK);
    memset(&lane, 0, sizeof(lane));
    lane.keyring = fake_keyring(&keyring);
    struct b_rd in = b_rd_from(data, size);
    bool goes_on = true;
    while (goes_on && in.left > 0) {
        uint16_t n = b_rd_le16(&in);
        struct b_rd message = b_rd_take(&in, n);
        struct b_wr w = b_wr_from(answer, sizeof(answer));
        goes_on = b_rd_ok(&in) && token_handle(&lane, message, &w);
        b_check(!goes_on || (b_wr_ok(&w) && w.len >= 1 && answer[0] <= 1));
    }
    return 0;
}
