/*
 * desfire: the MIFARE DESFire protocol, both sides, with no I/O.
 *
 *   cmd.def, sw.def  the facts: one row per command, one row per status
 *   request.h        what a PCD can ask (builders) and what the answers mean (decoders)
 *   pcd.h            the reader's side: requests in, APDUs out, answers in, plain data out
 *   picc.h           the card's side: APDUs in, APDUs out
 *   trace.h          prints an exchange as an expert would write it
 *   sm.h             secure messaging, both directions of both sides (private to the folder)
 *   cmd.h, wire.h    the facts as rows; ISO 7816-4 wrapping (private to the folder)
 *
 * State machines: bytes in, bytes or a verdict out. No clock, no descriptor, no random source that
 * was not passed in, no allocation. It must never learn what a master key or a badge holder is.
 * All multi-byte integers are little endian on the wire unless said otherwise.
 */
#ifndef TESSERE_DESFIRE_DESFIRE_H
#define TESSERE_DESFIRE_DESFIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/* Commands, in the order of cmd.def: DF_CMD_GET_VERSION, ... */
enum df_cmd {
#define DF_CMD(name, ...) DF_CMD_##name,
#include "desfire/cmd.def"
#undef DF_CMD
    DF_CMD_COUNT
};

/* Status bytes (second byte of 91xx), in sw.def: DF_SW_OK = 0x00, ... */
enum df_sw {
#define DF_SW(name, value, ...) DF_SW_##name = (value),
#include "desfire/sw.def"
#undef DF_SW
};

/* "AUTHENTICATION_ERROR", or "?" for a byte that is not in sw.def. */
const char *df_sw_name(uint8_t sw);
const char *df_cmd_name(enum df_cmd cmd);

enum df_ev { DF_EV_D40 = 0, DF_EV1 = 1, DF_EV2 = 2, DF_EV3 = 3 };
const char *df_ev_name(enum df_ev ev);

enum df_comm { DF_COMM_PLAIN = 0, DF_COMM_MAC = 1, DF_COMM_FULL = 3 };

/* Values are those of the key-type bits on the wire (KeySett2, ChangeKey at card level). */
enum df_key_type { DF_KEY_2K3DES = 0x00, DF_KEY_3K3DES = 0x40, DF_KEY_AES = 0x80 };
enum { DF_KEY_BYTES_MAX = 24 };

/* A card key. Secret: lives in b_secret memory or on a stack that is wiped. DES is a 2K3DES key
 * with equal halves. For (3)DES the version is also in the low bits of the first 8 bytes; version
 * here is what GetKeyVersion must answer afterwards. */
struct df_key {
    enum df_key_type type;
    uint8_t version;
    uint8_t bytes[DF_KEY_BYTES_MAX];
};
size_t df_key_size(enum df_key_type type);

/* The four authentications. */
enum df_auth {
    DF_AUTH_NONE = 0,
    DF_AUTH_D40,          /* 0x0A, legacy: DES, 2K3DES */
    DF_AUTH_ISO,          /* 0x1A: DES, 2K3DES, 3K3DES; EV1 secure messaging */
    DF_AUTH_AES,          /* 0xAA; EV1 secure messaging */
    DF_AUTH_EV2_FIRST,    /* 0x71; EV2 secure messaging */
    DF_AUTH_EV2_NONFIRST, /* 0x77 */
};

/* Application identifier as a number: AID 0x00DE16 is 16 DE 00 on the wire. 0 is the card level. */
typedef uint32_t df_aid;
/* What is selected is not known: after ISO SELECT, or a SelectApplication that failed. */
#define DF_AID_UNKNOWN UINT32_MAX

/* A source of random bytes; passed in, so that a session can be replayed. */
struct df_random {
    void (*fill)(void *ctx, uint8_t *p, size_t n);
    void *ctx;
};

/* What a state machine wants next. */
enum df_want {
    DF_TX,    /* send the APDU that was written to out, then give the answer to step */
    DF_DONE,  /* finished well */
    DF_FAILED /* finished badly: see the error */
};

/* Largest APDU (short form 90 INS 00 00 Lc data 00) and largest response data plus SW1 SW2. */
enum { DF_CAPDU_MAX = 261, DF_RAPDU_MAX = 258 };

#endif
