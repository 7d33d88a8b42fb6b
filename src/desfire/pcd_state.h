/* What a df_pcd consists of. Its size is public, its content is pcd.c's alone. */
#ifndef TESSERE_DESFIRE_PCD_STATE_H
#define TESSERE_DESFIRE_PCD_STATE_H

#include "desfire/request.h"
#include "desfire/sm.h"

/* A file of 8 KB, its header, padding and MAC. */
enum { DF_PCD_BODY_MAX = 8192 + 64 };

enum df_pcd_phase {
    DF_PCD_IDLE,
    DF_PCD_SENDING,   /* parts of the command are still to go */
    DF_PCD_RECEIVING, /* parts of the answer are still to come */
    DF_PCD_CHALLENGE, /* authentication: the card's first answer comes next */
    DF_PCD_PROOF,     /* authentication: the card's proof comes next */
    DF_PCD_ISO,       /* the answer to an ISO 7816-4 command comes next */
};

struct df_pcd {
    struct df_random random;
    const struct df_request *request;
    struct b_wr answer;
    enum df_pcd_phase phase;
    uint8_t status;
    df_aid selected;
    size_t max_frame;
    size_t body_len, body_sent;
    size_t body_high;            /* how much of body was ever used: what drop must wipe */
    uint8_t records[DF_APP_MAX]; /* GetDFNames: the length of each frame */
    uint8_t record_count;
    struct df_sm_rule rule;
    struct df_sm sm;
    struct df_handshake hs;
    struct b_err error;
    uint8_t body[DF_PCD_BODY_MAX]; /* the command, protected; then the answer, as it comes */
};

#endif
