/*
 * An encoding desk in memory: a software card on it, a job, the machine, and masters of a test.
 * The field can be cut at any APDU, before the card acts on it or after it has.
 */
#ifndef TESSERE_TESTS_DESK_H
#define TESSERE_TESTS_DESK_H

#include "desfire/picc.h"
#include "profile/run.h"

enum desk_cut { DESK_NO_CUT, DESK_CUT_BEFORE, DESK_CUT_AFTER };

struct desk {
    struct df_picc picc;
    struct profile_job job;
    struct profile_run *run;
    uint32_t seed;
    enum desk_cut cut;
    unsigned cut_at;   /* APDU, from 0 */
    bool is_cut;       /* the last run was */
    struct b_rd noise; /* what becomes of answers, see disturb in desk.c; empty: nothing */
    uint8_t skip;      /* answers that pass before */
    unsigned apdus, bytes, intents, effects;
    struct b_err err;
};

/* app, auth, read, write; a holder file; with "serial", a serial file and a random UID if owned. */
void desk_profile(struct profile *p, bool is_guest, const char *diversification);
/* A blank card of 8 KB. Fails the test's process when memory is short. */
struct desk *desk_new(enum df_ev ev, bool is_guest, const char *diversification);
void desk_drop(struct desk *d);
/* Generation `target` is active, all from 1 on are known. */
void desk_generation(struct desk *d, uint8_t target);
/* Powers the card and carries the goal out; the reader shows what it would show. PROFILE_FAILED
 * with is_cut when the field was cut. */
enum profile_want desk_work(struct desk *d, enum profile_goal goal);
/* Every key on the card is the factory's, or the badge's own of the generation that its version
 * says, by what the card itself tells (UID, serial). NULL, or which one is not. */
const char *desk_lost_key(const struct desk *d);
/* Our application in the card's memory, or NULL. */
const struct picc_app *desk_app(const struct desk *d);
/* What a master of a test gives for an input of diversification. */
enum b_code desk_derive(enum key_role role, uint8_t generation, struct b_rd input,
                        uint8_t out[static 16], struct b_err *err);
/* Masters of a test; ctx is not used. */
enum b_code desk_badge_key(void *ctx, enum key_role role, uint8_t generation,
                           const char *diversification, const struct crypto_div_facts *facts,
                           struct df_key *ret, struct b_err *err);

#endif
