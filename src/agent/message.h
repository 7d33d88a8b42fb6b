/*
 * What a program of this station may say on the agent's socket: docs/agent-socket.md. A message is
 * one packet: a JSON object, and for `pin` a newline and the digits after it, so that a PIN never
 * passes through a JSON library's memory.
 */
#ifndef TESSERE_AGENT_MESSAGE_H
#define TESSERE_AGENT_MESSAGE_H

#include "base/base.h"

enum {
    AGENT_MESSAGE_MAX = 1024,
    AGENT_ASK_SECONDS = 30,      /* that a tap is waited for, unless its message says so */
    AGENT_ASK_SECONDS_MAX = 300, /* at most */
    AGENT_CHALLENGE_MAX = 128,
    AGENT_SUBJECT_MAX = 63,
    AGENT_READER_MAX = 127,
    AGENT_PIN_MAX = 12,
};

enum agent_ask {
    AGENT_STATUS,
    AGENT_TAP,
    AGENT_PIN,
    AGENT_CANCEL,
    AGENT_KEYS,
    AGENT_CHALLENGES,
    AGENT_CHOOSE,
    AGENT_REFUSE,
    AGENT_LEAVE,
    AGENT_BROWSER, /* an address that joins a browser to this station */
    AGENT_PAIR     /* a code that does */
};

struct agent_message {
    enum agent_ask ask;
    unsigned seconds;
    char subject[AGENT_SUBJECT_MAX + 1]; /* whose badge it must be; "": anybody's */
    char reader[AGENT_READER_MAX + 1];   /* "": any */
    char challenge[AGENT_CHALLENGE_MAX + 1];
    struct b_rd pin; /* digits, in the packet's memory */
};

/* One packet. B_E_BAD_INPUT names the field; B_E_PIN_FORMAT; B_E_TOO_LARGE. */
B_NODISCARD enum b_code agent_message_parse(struct b_rd packet, struct agent_message *ret,
                                            struct b_err *err);

#endif
