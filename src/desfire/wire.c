/* ISO 7816-4 wrapping: the reader and the writer of one message side by side. */
#include "desfire/wire.h"

bool df_wire_capdu(struct b_rd in, struct df_capdu *ret)
{
    ret->cla = b_rd_u8(&in);
    ret->ins = b_rd_u8(&in);
    ret->p1 = b_rd_u8(&in);
    ret->p2 = b_rd_u8(&in);
    ret->data = b_rd_from(NULL, 0);
    ret->le = 0;
    if (!b_rd_ok(&in))
        return false;
    if (in.left == 0)
        return true;
    uint8_t first = b_rd_u8(&in);
    if (in.left == 0) {
        ret->le = first == 0 ? 256 : first;
        return true;
    }
    ret->data = b_rd_take(&in, first);
    if (first == 0 || !b_rd_ok(&in))
        return false;
    if (in.left == 1) {
        uint8_t le = b_rd_u8(&in);
        ret->le = le == 0 ? 256 : le;
    }
    return b_rd_end(&in);
}

static void put(uint8_t cla, const uint8_t ins_p1_p2[static 3], struct b_rd data, bool has_le,
                struct b_wr *out)
{
    out->len = 0;
    b_wr_u8(out, cla);
    b_wr_bytes(out, ins_p1_p2, 3);
    if (data.left > 0) {
        b_check(data.left <= 255);
        b_wr_u8(out, (uint8_t)data.left);
        b_wr_bytes(out, data.p, data.left);
    }
    if (has_le)
        b_wr_u8(out, 0);
}

void df_wire_wrap(uint8_t ins, struct b_rd data, struct b_wr *out)
{
    put(0x90, (const uint8_t[3]){ins, 0, 0}, data, true, out);
}

void df_wire_iso(uint8_t ins, uint8_t p1, uint8_t p2, struct b_rd data, bool has_le,
                 struct b_wr *out)
{
    put(0x00, (const uint8_t[3]){ins, p1, p2}, data, has_le, out);
}

bool df_wire_rapdu(struct b_rd in, struct b_rd *ret_data, uint16_t *ret_sw)
{
    if (in.bad || in.left < 2)
        return false;
    *ret_data = b_rd_take(&in, in.left - 2);
    *ret_sw = b_rd_be16(&in);
    return b_rd_end(&in);
}
