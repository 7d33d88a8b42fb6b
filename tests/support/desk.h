/*
 * An encoding desk in memory: a software card on it, a job, the machine, and masters of a test.
 * The field can be cut at any APDU, before the card acts on it or after it has.
 */
#ifndef TESSERE_TESTS_DESK_H
#define TESSERE_TESTS_DESK_H

#include "desfire/picc.h"
#include "profile/run.h"

enum desk_cut { DESK_NO_CUT, DESK_CUT_BEFORE, DESK_CUT_AFTER };

/* A key that is drawn and not derived, as a store would have it. */
struct desk_stored {
    enum key_role role;
    uint8_t generation;
    uint8_t who[CRYPTO_SERIAL_MAX]; /* UID or serial */
    uint8_t who_len;
    uint8_t key[16];
    bool is_handed; /* in this run */
};
enum { DESK_STORED_MAX = 24 };

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
    struct picc_key before; /* the card's own key as others left it */
    struct key_stay stored; /* whose keys are drawn; they are awaited before they are there */
    struct desk_stored store[DESK_STORED_MAX];
    uint8_t store_count;
    struct desk_stored asked;
    int asked_as;
    /* NULL: store; or where else drawn keys are kept. */
    bool (*kept)(const struct desk_stored *name, uint8_t key[static 16]);
    struct b_err err;
};

/* app, auth, read, write; a holder file; with "serial", a serial file and a random UID if owned. */
void desk_profile(struct profile *p, bool is_guest, const char *diversification);
/* A blank card of 8 KB. Fails the test's process when memory is short. */
struct desk *desk_new(enum df_ev ev, bool is_guest, const char *diversification);
void desk_drop(struct desk *d);
/* What others may have made of a card: how its own key and those of their application stand. */
struct desk_fleet {
    struct df_key key;           /* given to takeovers: the key itself, or the master */
    const char *diversification; /* "": the key is shared */
    bool is_card_factory;        /* the card's own key is the factory's */
    bool is_closed;              /* the card tells nothing before its key is used */
    bool deletes;                /* their application is to go */
    bool hides_uid;              /* the card shows a random UID */
    struct df_key uid_key;       /* if keys are derived: as all badges have it, and is given too */
};
/* Makes the blank card one of theirs, with DESK_OLD_AID; the job describes them and has the key. */
void desk_make_foreign(struct desk *d, const struct desk_fleet *f);
enum { DESK_OLD_AID = 0xF585C1 };
/* Their application in the card's memory, or NULL. */
const struct picc_app *desk_old_app(const struct desk *d);
/* Generation `target` is active, all from 1 on are known. */
void desk_generation(struct desk *d, uint8_t target);
/* Powers the card and carries the goal out; the reader shows what it would show. PROFILE_FAILED
 * with is_cut when the field was cut. */
enum profile_want desk_work(struct desk *d, enum profile_goal goal);
/* Every key of the card and of our application is the factory's, the one that was given, or the
 * badge's own of the generation that its version says, by what the card itself tells (UID, serial).
 * NULL, or which one is not. */
const char *desk_lost_key(const struct desk *d);
/* Our application in the card's memory, or NULL. */
const struct picc_app *desk_app(const struct desk *d);
/* What a master of a test gives for an input of diversification. */
enum b_code desk_derive(enum key_role role, uint8_t generation, struct b_rd input,
                        uint8_t out[static 16], struct b_err *err);

/* --- keys that are drawn (desk_stored.c) --------------------------------------------------------
 */

struct desk_stored desk_name_stored(enum key_role role, uint8_t generation,
                                    const char *diversification,
                                    const struct crypto_div_facts *facts);
/* The one of this name, or NULL. */
const struct desk_stored *desk_find_stored(const struct desk *d, const struct desk_stored *name);
/* As a vault does that must ask its peer: B_E_KEY_AWAITED, and after desk_hand the key. may_draw:
 * it is about to be written. */
enum b_code desk_stored_key(struct desk *d, const struct desk_stored *name, bool may_draw,
                            struct df_key *ret, struct b_err *err);
/* The run waits: what it asked for is handed over, what it drew is kept. */
void desk_hand(struct desk *d);
/* A new run was handed nothing yet; what was drawn and not kept is gone. */
void desk_take_back(struct desk *d);

#endif
