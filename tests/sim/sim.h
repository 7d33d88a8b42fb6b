/*
 * The simulator: cards, a station, a server, its vault, its token and its store in one process,
 * with time and chance of its own. What is simulated are effects alone: the field, the wire between
 * station and server, the socket to the vault, the token, the disk, the clock, the process's death.
 * Everything else is the product.
 *
 *   effects.c  where the product meets the world: each crossing is a point at which it can be cut
 *   world.c    what there is: cards, token, store, server; dying and starting again
 *   acts.c     what is done: the operations of the product, drawn by their weight
 *   judge.c    what must hold after each
 *   plants.c   faults that are planted to see that they are found (a build of its own)
 *   runs.c     exhaustive, and drawn from a seed; main.c, the command line
 */
#ifndef TESSERE_TESTS_SIM_H
#define TESSERE_TESTS_SIM_H

#include "desk.h"
#include "http/http.h"
#include "service/campaign.h"

enum { SIM_CARDS = 12, SIM_VAULT_FD = 1 << 20 };

/* Where the product meets the world. */
enum sim_point { SIM_FIELD, SIM_WIRE, SIM_VAULT, SIM_TOKEN, SIM_DISK, SIM_POINTS };
/* What happens at one of them. */
enum sim_cut {
    SIM_NOTHING,
    SIM_TEAR,  /* the card leaves, the message is lost, the token or the disk says no */
    SIM_CRASH, /* the server's process dies, and the vault with it */
    SIM_CUTS,
};
struct sim_fault {
    enum sim_cut cut;
    bool after;  /* it took effect, and nobody hears of it */
    unsigned at; /* the how manieth crossing of this act, from 1 */
};

struct sim_card {
    struct desk *desk; /* its chip */
    int64_t badge;     /* what was acknowledged: its number; 0: none */
    bool is_encoded;   /* an enrolment was acknowledged, and no blanking was begun since */
    bool is_lost;      /* revoked, acknowledged */
    bool is_stopped;   /* suspended, acknowledged */
    bool is_unsure;    /* what was asked last was not answered */
    bool may_be_blank; /* a blanking was begun */
    uint8_t best[1 + PICC_KEYS]; /* of each key, how good it has been: 0 factory, 1 its own */
};

struct sim {
    struct http_server server;
    struct service *sv;
    struct sim_card cards[SIM_CARDS];
    struct key_stay stored;
    bool has_key[KEY_ROLE_ALL][KEY_GENERATION_MAX + 1]; /* in the token */
    bool is_compromised[KEY_GENERATION_MAX + 1];        /* of role auth, acknowledged */
    unsigned chips;                                     /* made so far */
    uint64_t random;
    int64_t now_us;
    struct sim_fault fault;
    unsigned crossings;
    bool is_dead; /* the process; until it starts again */
    bool is_torn; /* the card has left */
    bool has_no_token, has_no_disk;
    uint64_t acts, cuts, deaths, taps, refused, verified;
    enum b_code last; /* of the act */
    char failed[256]; /* what does not hold, or "" */
};
extern struct sim sim;

uint32_t sim_draw(uint32_t n); /* 0 .. n-1 */
/* Before and after a crossing: false, it does not take place (its answer is not heard). */
bool sim_before(enum sim_point p);
bool sim_after(enum sim_point p);

/* world.c */
struct sim_kind {
    bool is_guest;
    const char *diversification, *stored; /* roles whose badge keys are drawn */
};
void sim_make(uint64_t seed, const struct sim_kind *kind);
void sim_drop(void);
/* What died starts again: the process, with all that was in its memory; or the vault alone. */
void sim_restart(void);
void sim_new_card(size_t i, enum df_ev ev);
struct channel *sim_channel(size_t card);
bool sim_handle(struct b_rd request, struct b_wr *answer); /* the vault */

/* acts.c */
struct sim_act {
    const char *name;
    unsigned weight;
    void (*run)(size_t card);
};
extern const struct sim_act sim_acts[];
extern const size_t sim_act_count;
const struct sim_act *sim_act_find(const char *name);
/* Runs an act under a fault, and lets the process live again if it died. Returns its crossings. */
unsigned sim_run(const struct sim_act *act, size_t card, struct sim_fault fault);

/* judge.c: the first that does not hold goes to sim.failed. */
void sim_judge_card(size_t card);
/* After one undisturbed reconciliation of a card, store and card agree, and it taps. */
void sim_judge_settled(size_t card);
void sim_judge_journal(void);
void sim_judge_all(void);
void sim_fail(const char *fmt, ...) B_PRINTF(1, 2);

/* runs.c: TAP lines; the exit status. */
extern bool sim_tells; /* each operation, for a seed that fails */
int sim_draw_runs(unsigned long operations, uint64_t seed);
int sim_exhaust(unsigned each, unsigned stride);

#endif
