/* What a server answers to a station, line by line after one byte that chooses the card. A station
 * survives a server that is not ours, and has a sentence for the person whatever happens. */
#include <string.h>

#include "agent/agent.h"
#include "fake_remote.h"

/* A card that answers by the command alone: with our application, or (bit 0) without. */
static bool on_apdu(void *ctx, struct b_rd capdu, struct b_wr *rapdu)
{
    const uint8_t kind = *(const uint8_t *)ctx;
    const uint8_t ins = capdu.left > 1 ? capdu.p[1] : 0;
    static const uint8_t zeros[32];
    bool is_first = ins == 0x71 || ins == 0xAA;
    if (ins == 0x60 || ins == 0xAF || ins == 0xBD || is_first)
        b_wr_bytes(rapdu, zeros, is_first ? 16 : kind % 33);
    b_wr_u8(rapdu, 0x91);
    b_wr_u8(rapdu, ins == 0x5A && kind % 2 == 1 ? 0xA0 : is_first ? 0xAF : kind & 0x80 ? 0xAE : 0);
    return kind != 0x7F;
}

static void on_power(void *ctx)
{
    (void)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct channel_card_ops ops = {.apdu = on_apdu, .power = on_power};
    static const struct channel_card seen = {.uid = {4, 1, 2, 3, 4, 5, 6}, .uid_len = 7};
    static struct agent_outcome outcome;
    static const struct agent_pin no_pin = {.ask = NULL};
    uint8_t kind = size > 0 ? data[0] : 0;
    struct agent_self self;
    struct channel *ch = NULL;
    struct b_err err = {0};
    fake_remote_says(b_rd_from(data + (size > 0), size - (size > 0)));
    if (agent_self(NULL, &self, &err) != B_OK)
        return 0;
    b_check(channel_card_new(&ops, &kind, &seen, &ch) == B_OK);
    enum b_code r = agent_tap(NULL, &self, ch, (struct agent_wish){.challenge = "", .reader = ""},
                              &no_pin, &outcome, &err);
    if (r != B_OK)
        r = agent_desk(NULL, ch, &outcome, &err);
    b_check(r == outcome.code && memchr(outcome.sentence, 0, sizeof(outcome.sentence)) != NULL);
    channel_free(&ch);
    return 0;
}
