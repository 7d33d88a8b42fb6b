/*
 * A custodian's share as words that can be written down, read aloud and typed: proquints (Wilkerson
 * 2009), 16 bits in five letters, consonant-vowel-consonant-vowel-consonant. They need no list of
 * words, are the same in every language, and no two letters of them look alike.
 *
 *   offset  size  meaning
 *        0     1  version 1 in the high half; bit 0: of a rehearsal
 *        1     6  the ceremony
 *        7     1  threshold: how many shares are needed
 *        8     1  x: which share
 *        9    32  its value
 *       41     3  check code: SHA-256("tessere-share/v1" || all before), first bytes
 *
 * 22 words. A share that is mistyped passes for another with probability 2^-24.
 */
#ifndef TESSERE_CUSTODY_WORDS_H
#define TESSERE_CUSTODY_WORDS_H

#include "base/base.h"

enum {
    CUSTODY_CEREMONY_ID = 6,
    CUSTODY_SHARE_VALUE = 32,
    CUSTODY_SHARE_WORDS = 22,
    CUSTODY_SHARE_TEXT = CUSTODY_SHARE_WORDS * 6, /* a space or the NUL after each word */
};

struct custody_share {
    bool is_rehearsal;
    uint8_t ceremony[CUSTODY_CEREMONY_ID];
    uint8_t threshold, x;
    uint8_t value[CUSTODY_SHARE_VALUE];
};

/* text and s lie in secret memory of the caller. */
void custody_share_write(const struct custody_share *s, char text[static CUSTODY_SHARE_TEXT]);
/* Words apart by anything that is no letter, in either case; what is not a letter is skipped.
 * B_E_SHARE_TYPED names the first word that is none, the count, or the check code. No word is in
 * the message. */
B_NODISCARD enum b_code custody_share_read(struct b_rd text, struct custody_share *ret,
                                           struct b_err *err);

#endif
