/* A badge that a desk encodes and stations tap: a software card in the test's process, with a real
 * vault on the token of place.h. What fails, fails the test. */
#ifndef TESSERE_TESTS_BADGE_H
#define TESSERE_TESTS_BADGE_H

#include "desfire/picc.h"
#include "vault/vault.h"

enum { BADGE_FRAME = 32 };

struct badge {
    struct df_picc card;
    uint8_t uid[7];
};

/* A vault on that token, for which keys of role auth stay from a generation on (0: none stay), and
 * that remembers so many. */
struct vault *badge_vault(const char *token, uint8_t stays_from, uint32_t remembers);
/* The first generation of every master; those of auth made to stay if stays_from is 1. */
void badge_masters(uint8_t stays_from);
/* A blank card; last: of its UID. */
void badge_blank(struct badge *b, enum df_ev ev, uint8_t last);
/* The same, encoded at a desk. */
void badge_encode(struct badge *b, enum df_ev ev, uint8_t last);
enum b_code badge_job(struct badge *b, struct vault *v, enum profile_goal goal, struct b_err *err);
/* One native command in its ISO frame: its status byte, and the data of the answer. */
uint8_t badge_command(struct badge *b, uint8_t ins, const uint8_t *data, uint8_t n, uint8_t *out,
                      size_t cap);
/* As a station begins a tap by itself, with the card's challenge. */
struct vault_tap badge_begin_tap(struct badge *b, enum df_auth how);
/* A whole tap; lies: the card's proof is changed on its way. */
enum b_code badge_tap(struct badge *b, struct vault *v, enum df_auth how, bool lies,
                      struct b_err *err);

#endif
