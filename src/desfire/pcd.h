/*
 * The reader's side. One object is one card in one field: what is selected, which session runs.
 *
 *   df_pcd_init(&pcd, random);
 *   want = df_pcd_start(&pcd, &request, answer, &out);      answer: where plain data will go
 *   while (want == DF_TX) { rapdu = transmit(out); want = df_pcd_step(&pcd, rapdu, &out); }
 *   DF_DONE: df_pcd_answer(&pcd); DF_FAILED: df_pcd_error(&pcd)
 *
 * out is emptied before each APDU is written and needs DF_CAPDU_MAX bytes of room. Holds session
 * keys: allocate it in b_secret memory; drop wipes. It has room for the largest file of a card, so
 * it is some 10 KB: one per card session, not one per command. After DF_FAILED the session is gone
 * (a card drops it on every status other than 00/AF) and the object can be used for the next
 * request.
 */
#ifndef TESSERE_DESFIRE_PCD_H
#define TESSERE_DESFIRE_PCD_H

#include "desfire/request.h"

#include "desfire/pcd_state.h" /* struct df_pcd: size known, content private */

void df_pcd_init(struct df_pcd *pcd, struct df_random random);
void df_pcd_drop(struct df_pcd *pcd);
/* The card was powered again: card level selected, no session. */
void df_pcd_reset(struct df_pcd *pcd);

/* Largest command data and answer data of one native frame: 59 suits every card and is the
 * default; EV2 and EV3 take more (ISO wrapped up to 255). */
void df_pcd_set_frame(struct df_pcd *pcd, size_t max_frame);

enum df_want df_pcd_start(struct df_pcd *pcd, const struct df_request *request, struct b_wr answer,
                          struct b_wr *out);
enum df_want df_pcd_step(struct df_pcd *pcd, struct b_rd rapdu, struct b_wr *out);

/* After DF_DONE: the plain answer, in the memory given to start. */
struct b_rd df_pcd_answer(const struct df_pcd *pcd);
/* After DF_FAILED: B_E_CARD_AUTH, B_E_CARD_MAC, B_E_CARD_REFUSED (aux is the status byte, or
 * SW1SW2 when the card spoke ISO), B_E_CARD_FULL, B_E_CARD_PROTOCOL. */
const struct b_err *df_pcd_error(const struct df_pcd *pcd);
/* The status byte of the last answer, 0..255; what a caller branches on (DF_SW_...). */
uint8_t df_pcd_status(const struct df_pcd *pcd);

df_aid df_pcd_selected(const struct df_pcd *pcd);
enum df_auth df_pcd_session(const struct df_pcd *pcd); /* DF_AUTH_NONE: not authenticated */
uint8_t df_pcd_session_key_no(const struct df_pcd *pcd);

/* Proximity check (VerifyPC): the MAC over what was exchanged with the key; card selects which. */
void df_proximity_mac(const struct df_key *key, uint8_t first, struct b_rd transcript,
                      uint8_t mac[static 8]);

#endif
