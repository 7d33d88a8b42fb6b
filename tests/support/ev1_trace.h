/*
 * Reads tests/vectors/ev1_trace.txt: what passed between a reader and a real EV1 card, with what
 * the reader's program printed about it. One operation is a "***" line and all that follows it.
 */
#ifndef TESSERE_TESTS_EV1_TRACE_H
#define TESSERE_TESTS_EV1_TRACE_H

#include <stdio.h>

#include "desfire/desfire.h"

enum { EV1_TRACE_FRAME_MAX = 64, EV1_TRACE_EXCHANGES_MAX = 8 };

/* Native frames: INS and parameters; status and answer. */
struct ev1_exchange {
    uint8_t tx[EV1_TRACE_FRAME_MAX], rx[EV1_TRACE_FRAME_MAX];
    size_t tx_len, rx_len;
};

struct ev1_operation {
    char title[1000];
    uint8_t key_no;        /* Authenticate, ChangeKey */
    struct df_key key;     /* Authenticate */
    struct df_key new_key; /* ChangeKey */
    struct df_key old_key; /* ChangeKey of another key than the session's */
    bool has_old_key;
    uint8_t a[16], b[16]; /* random numbers of reader and card */
    size_t random_len;
    uint8_t session_key[DF_KEY_BYTES_MAX];
    size_t session_key_len; /* 0: not an authentication */
    struct ev1_exchange exchanges[EV1_TRACE_EXCHANGES_MAX];
    size_t count;
};

/* A native frame as PC/SC carries it: 90 INS 00 00 [Lc data] 00, and data 91 status. */
void ev1_trace_capdu(const struct ev1_exchange *x, struct b_wr *out);
void ev1_trace_rapdu(const struct ev1_exchange *x, struct b_wr *out);

/* The next operation; false at the end. Lines that it does not understand are a failed test only
 * where they carry frames. */
bool ev1_trace_next(FILE *f, struct ev1_operation *ret);

#endif
