/*
 * A tap as a password: where a relying party can only ask for a name and a password (RADIUS, the
 * REST callouts of LemonLDAP::NG), a person asks their station for a code, taps, and types the
 * eight characters that the station then shows. It is good for a minute, once, for that person and
 * that relying party; badge, holder and station are looked at again when it is used.
 *
 * Whoever asks with a wrong code, for somebody who has none, or for a name that is nobody's, gets
 * the same refusal after the same work: one look for a code, one digest, two statements that change
 * something or nothing, one entry in the journal.
 */
#ifndef TESSERE_SERVICE_TAPCODE_H
#define TESSERE_SERVICE_TAPCODE_H

#include "service/join.h"

enum {
    SERVICE_TAP_CODE_SECONDS = 60,
    SERVICE_TAP_CODE_TRIES = 5,
    SERVICE_TAP_CODE = SERVICE_PAIR_CODE, /* 8 characters and a NUL */
};

/* The station begins: io says party, station, factors and perhaps a holder, and gets the rest. For
 * a minute the next tap on the station (of that holder) answers it before others, since somebody
 * there asked for it. Nobody but the station can take it. */
B_NODISCARD enum b_code service_tap_code_ask(struct service *sv, struct store_challenge *io,
                                             struct b_err *err);
/* Takes the tap that answers it, as service_challenge_take, and draws the code; the person's last
 * one for this relying party ends. ret: whose it is and until when. */
B_NODISCARD enum b_code service_tap_code_give(struct service *sv, const char *challenge,
                                              int64_t station, char code[static SERVICE_TAP_CODE],
                                              struct store_tap_code *ret, struct b_err *err);
/* Uses a code. Journalled, also when refused: B_E_TAP_CODE, B_E_TAP_CODE_USED, B_E_TAP_CODE_LATE,
 * B_E_TAP_CODE_LOCKED, B_E_TAP_UNDONE; only the journal is to tell them apart. by: a word for it,
 * of how the relying party asked. ret: may be NULL. */
struct service_tap_code_use {
    const char *party, *holder_ref, *code, *by;
};
B_NODISCARD enum b_code service_tap_code_take(struct service *sv,
                                              const struct service_tap_code_use *use,
                                              struct store_tap_code *ret, struct b_err *err);
/* Tells the journal of one that was not looked at. */
B_NODISCARD enum b_code service_tap_code_refuse(struct service *sv,
                                                const struct service_tap_code_use *use,
                                                enum b_code why, struct b_err *err);

#endif
