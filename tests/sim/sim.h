/*
 * The simulator: cards, a station, a server, its vault, its token and its store in one process,
 * with time and chance of its own. What is simulated are effects alone: the field, the wire between
 * station and server, the socket to the vault, the token, the disk, the clock, the process's death.
 * Everything else is the product.
 *
 *   effects.c  where the product meets the world: each crossing is a point at which it can be cut
 *   world.c    what there is: cards, token, store, server; dying and starting again
 *   acts.c     what is done: the operations of the product, drawn by their weight
 *   others.c   what others encoded, and taking it over
 *   judge.c    what must hold after each
 *   plants.c   faults that are planted to see that they are found (a build of its own)
 *   runs.c     drawn from a seed; main.c, the command line
 *   state.c    what lasts of a card and its badge, as a digest; going back to where a work began
 *   exhaust.c  every cut of a piece of work, and every cut of what mends it
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

/* How good a key is; the order is from bad to good. */
enum sim_level { SIM_FACTORY, SIM_OTHERS, SIM_OWN };

struct sim_card {
    struct desk *desk; /* its chip */
    int64_t badge;     /* what was acknowledged: its number; 0: none */
    bool is_encoded;   /* an enrolment was acknowledged, and no blanking was begun since */
    bool is_lost;      /* revoked, acknowledged */
    bool is_stopped;   /* suspended, acknowledged */
    bool is_unsure;    /* what was asked last was not answered */
    bool may_be_blank; /* a blanking was begun */
    bool is_listed;    /* others encoded it, and a list may name it */
    uint8_t best[1 + PICC_KEYS]; /* of each key, how good it has been: enum sim_level */
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
    struct sim_fault faults[2]; /* of this act; the second strikes after the first, or not at all */
    unsigned crossings;
    unsigned lasting;     /* changes of what lasts: the card's memory, the store */
    unsigned marks[4096]; /* how many there had been, before and after each crossing of this act */
    const struct desk_fleet *fleet; /* what others encode in this world */
    const char *goes_on; /* the act by which a torn takeover must come to its end; NULL: it may */
    size_t on_reader;    /* the card of this act, and how it is reached */
    struct channel *channel;
    bool is_dead; /* the process; until it starts again */
    bool is_torn; /* the card has left */
    bool has_no_token, has_no_disk;
    bool is_joined;   /* the store has one connection, on which all can be undone */
    bool tears_bytes; /* each frame is torn at each of its bytes, on a twin of the card */
    uint64_t bytes_none, bytes_all; /* that did what none of them do, or all */
    uint64_t taps_before;           /* when what a server remembers of taps was made */
    uint64_t acts, cuts, deaths, taps, refused, verified;
    enum b_code last; /* of the act */
    char failed[256]; /* what does not hold, or "" */
};
extern struct sim sim;

/* Whichever reader the server lends, it is this one: nobody else is here. */
void sim_lend(struct store *reader);
uint32_t sim_draw(uint32_t n); /* 0 .. n-1 */
/* Before and after a crossing: false, it does not take place (its answer is not heard). */
bool sim_before(enum sim_point p);
bool sim_after(enum sim_point p);

/* world.c */
struct sim_kind {
    bool is_guest;
    const char *diversification, *stored; /* roles whose badge keys are drawn */
    const struct desk_fleet *fleet;       /* what others encode */
};
void sim_make(uint64_t seed, const struct sim_kind *kind);
void sim_drop(void);
/* What died starts again: the process, with all that was in its memory; or the vault alone. */
void sim_restart(void);
/* Both anew, though nothing died. */
void sim_restart_all(void);
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
unsigned sim_run_twice_cut(const struct sim_act *act, size_t card,
                           const struct sim_fault faults[static 2]);
/* What was acknowledged of an enrolment, a repair or a takeover; b NULL: it failed. */
void sim_note_encoded(size_t card, const struct store_badge *b);

/* others.c */
/* The last two show a random UID, and want the serial: see SIM_FLEETS. */
const struct desk_fleet *sim_fleet(unsigned n, bool is_guest);
enum { SIM_FLEETS = 4, SIM_HIDDEN = SIM_FLEETS, SIM_HIDDEN_DERIVED };
/* A new card that others encoded, and a list that names it is taken in. */
void sim_new_foreign_card(size_t i, enum df_ev ev);
void sim_make_foreign(size_t card); /* an act */
void sim_take_over(size_t card);    /* an act: at the desk */
/* The station's order to take the card over that lies on its reader, after a tap. */
enum b_code sim_order_takeover(json_t **ret, struct b_err *err);
/* A copy of the card as it was before is nobody's badge. */
void sim_judge_copy(size_t card);

/* judge.c: the first that does not hold goes to sim.failed. */
/* The n-th key of a chip: its own, then those of our application; NULL past the end. */
const struct picc_key *sim_key_at(const struct sim_card *c, size_t n, enum key_role *ret_role);
enum sim_level sim_level(const struct sim_card *c, const struct picc_key *k);
void sim_judge_card(size_t card);
/* After one undisturbed reconciliation of a card, store and card agree, and it taps. */
void sim_judge_settled(size_t card);
void sim_judge_journal(void);
void sim_judge_all(void);
void sim_fail(const char *fmt, ...) B_PRINTF(1, 2);

/* runs.c: TAP lines; the exit status. */
extern bool sim_tells; /* each operation, for a seed that fails */
extern const char *const sim_cut_names[];
int sim_draw_runs(unsigned long operations, uint64_t seed);

/* state.c */
/* Everything from here on can be undone; what the processes have in memory begins anew. */
void sim_keep(size_t card);
void sim_go_back(void);
/* Of all that lasts and decides what becomes of the card: its memory, the rows of its badge, what
 * was acknowledged. Random bytes count as what they are: the card's own, or not. What the process
 * has in memory counts as whether it died in the act that led here. */
void sim_digest(size_t card, bool has_died, uint8_t ret[static 32]);

/* exhaust.c: TAP lines; the exit status. */
struct sim_exhaust {
    unsigned each, stride;
    const char *only; /* kinds whose name is as this pattern */
    unsigned depth;   /* acts that are cut, one after the other: 2, the work and its mending */
    unsigned check;   /* 0, or then every so manieth pair is run, none left out: no new state */
};
int sim_exhaust(const struct sim_exhaust *how);
/* Every byte at which a frame can be torn does what its beginning or its end does. */
int sim_tear_bytes(const char *only);

#endif
