/* ISO 7816-4 wrapping of native frames, both directions. Private to src/desfire. */
#ifndef TESSERE_DESFIRE_WIRE_H
#define TESSERE_DESFIRE_WIRE_H

#include "desfire/cmd.h"

/* A C-APDU in short form, taken apart. */
struct df_capdu {
    uint8_t cla, ins, p1, p2;
    struct b_rd data;
    uint16_t le; /* 0: none; 1..256 */
};
/* False when the lengths contradict each other (ISO 7816-4 §5.1). */
B_NODISCARD bool df_wire_capdu(struct b_rd in, struct df_capdu *ret);
/* 90 INS 00 00 [Lc data] 00; out is emptied first. */
void df_wire_wrap(uint8_t ins, struct b_rd data, struct b_wr *out);
/* 00 INS P1 P2 [Lc data] [00]. */
void df_wire_iso(uint8_t ins, uint8_t p1, uint8_t p2, struct b_rd data, bool has_le,
                 struct b_wr *out);
/* Splits data || SW1 SW2. False when there is no status. */
B_NODISCARD bool df_wire_rapdu(struct b_rd in, struct b_rd *ret_data, uint16_t *ret_sw);

#endif
