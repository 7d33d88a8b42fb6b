/*
 * channel: how APDUs reach a card, one interface.
 *
 *   pcsc       a reader of pcscd (the only file that includes winscard.h)
 *   card       a card in this process: any function that answers an APDU
 *   replay     answers from a recorded exchange, and refuses anything else
 *   record     wraps another: writes the exchange as a readable text file
 *   fault      wraps another: loses the card before or after the n-th APDU
 *   trace      wraps another: gives each exchange to a function that prints it
 *
 * It carries bytes and must never learn what they mean, nor see a key.
 */
#ifndef TESSERE_CHANNEL_CHANNEL_H
#define TESSERE_CHANNEL_CHANNEL_H

#include <stdio.h>

#include "base/base.h"

struct channel;

/* What the reader knows of the card without asking it: nothing here costs an exchange. */
struct channel_card {
    uint8_t uid[10];
    uint8_t uid_len; /* 4 (random or single), 7, 10; 0: the reader does not tell */
    uint8_t atr[33];
    uint8_t atr_len;
    char reader[128];
};

/* Sends one C-APDU; the R-APDU (data SW1 SW2) goes to rapdu, which is emptied first.
 * B_E_CARD_REMOVED when the card left, B_E_CHANNEL, B_E_PCSC_DOWN. */
B_NODISCARD enum b_code channel_transmit(struct channel *ch, struct b_rd capdu, struct b_wr *rapdu,
                                         struct b_err *err);
const struct channel_card *channel_card(const struct channel *ch);
/* Powers the card off and on again (volatile state is lost). */
B_NODISCARD enum b_code channel_reset(struct channel *ch, struct b_err *err);
/* Microseconds for which callers have waited for card and reader so far. */
uint64_t channel_spent_us(const struct channel *ch);
/* Closes it and, for a wrapper, what it wraps. Nulls the pointer; NULL is allowed. */
void channel_free(struct channel **ch);

/* --- PC/SC ------------------------------------------------------------------------------------ */

struct channel_pcsc_wanted {
    const char *reader; /* a part of its name, or NULL for any reader */
    const uint8_t *uid; /* only this card (a card put back), or NULL */
    size_t uid_len;
    int wait_ms;                   /* 0: now or not at all; -1: for ever */
    bool (*is_stopped)(void *ctx); /* asked about every 200 ms while waiting; may be NULL */
    void *ctx;
};
/* Waits for exactly one card and connects to it, exclusively. B_E_PCSC_DOWN, B_E_NO_READER,
 * B_E_NO_CARD, B_E_TWO_CARDS, B_E_CARD_CHANGED, B_E_CANCELLED. */
B_NODISCARD enum b_code channel_pcsc_open(const struct channel_pcsc_wanted *wanted,
                                          struct channel **ret, struct b_err *err);
struct channel_reader {
    char name[128];
    bool has_card;
    uint8_t atr[33];
    uint8_t atr_len;
};
B_NODISCARD enum b_code channel_pcsc_list(struct channel_reader *readers, size_t cap,
                                          size_t *ret_count, struct b_err *err);
/* Waits until the reader of `ch`, or of what it wraps, has no card, or wait_ms passed
 * (B_E_CANCELLED). */
B_NODISCARD enum b_code channel_pcsc_wait_removed(struct channel *ch, int wait_ms,
                                                  struct b_err *err);

/* --- in process ------------------------------------------------------------------------------- */

struct channel_card_ops {
    /* One APDU to the card. False: the field is gone. */
    bool (*apdu)(void *ctx, struct b_rd capdu, struct b_wr *rapdu);
    void (*power)(void *ctx); /* reset */
};
B_NODISCARD enum b_code channel_card_new(const struct channel_card_ops *ops, void *ctx,
                                         const struct channel_card *card, struct channel **ret);

/* --- wrappers: each takes over `inner` (also on failure) ---------------------------------------
 */

/* A recorded exchange is text: '#' comments, "uid: 04…", "> 90 60 00 00 00", "< 04 01 … 91 AF",
 * "! reset", "! removed". */
B_NODISCARD enum b_code channel_record_new(struct channel *inner, FILE *to, struct channel **ret);
/* The same with what must not be kept: open(capdu) tells how many of a command's first bytes are
 * written; zeros stand for the others. Such a record prints, but does not replay. */
typedef size_t channel_open_fn(struct b_rd capdu);
B_NODISCARD enum b_code channel_record_masked_new(struct channel *inner, FILE *to,
                                                  channel_open_fn *open, struct channel **ret);
/* text is borrowed until free. B_E_BAD_INPUT names the line. Transmitting something else than the
 * recorded command fails with B_E_CHANNEL and says both. */
B_NODISCARD enum b_code channel_replay_new(const char *text, size_t n, struct channel **ret,
                                           struct b_err *err);
/* Every recorded exchange was asked for. */
bool channel_replay_is_done(const struct channel *ch);

struct channel_fault {
    unsigned at;       /* the APDU, counted from 1, at which the card leaves; 0: never */
    bool after_effect; /* false: the card never sees it; true: it acts, the answer is lost */
};
B_NODISCARD enum b_code channel_fault_new(struct channel *inner, struct channel_fault fault,
                                          struct channel **ret);
unsigned channel_fault_count(const struct channel *ch); /* APDUs asked for so far */

typedef void channel_trace_fn(void *ctx, bool is_answer, struct b_rd apdu);
B_NODISCARD enum b_code channel_trace_new(struct channel *inner, channel_trace_fn *fn, void *ctx,
                                          struct channel **ret);

#endif
