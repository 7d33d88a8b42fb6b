/* Requests into the vault's dispatcher, one after the other as a peer sends them: two bytes of
 * length, least significant first, then the message. The token is a fake one. What each message
 * holds is also read as an event, as a vault's peer reads it. */
#include <string.h>

#include "fake_keyring.h"

static uint64_t now_us(void)
{
    return 0;
}

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 0x5A, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vaultd d;
    static uint8_t answer[VAULT_MESSAGE_MAX];
    struct fake_keyring keyring = {0};
    b_check(b_secret_init(4 << 20, false, NULL) == B_OK);
    vaultd_init(&d, fake_keyring(&keyring), (struct df_random){.fill = fill}, now_us);
    struct b_rd in = b_rd_from(data, size);
    bool goes_on = true;
    while (goes_on && in.left > 0) {
        uint16_t n = b_rd_le16(&in);
        struct b_rd message = b_rd_take(&in, n);
        struct b_wr w = b_wr_from(answer, sizeof(answer));
        static struct vault_event event;
        (void)!vault_event_decode(message, &event);
        goes_on = b_rd_ok(&in) && vaultd_handle(&d, message, &w);
        b_check(!goes_on || (b_wr_ok(&w) && w.len >= 1 && answer[0] <= 1));
    }
    vaultd_drop(&d);
    b_check(b_secret_in_use() == 0);
    return 0;
}
