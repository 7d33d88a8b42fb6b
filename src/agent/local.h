/*
 * local: the agent's socket for programs of this station (PAM, a screen lock, a browser's helper):
 * docs/agent-socket.md. A program waits for a tap; the reader's thread that gets the next card
 * takes the wait up before it reads it, and what comes of that tap goes to that program alone.
 * Programs are heard by one thread that never waits for any of them.
 */
#ifndef TESSERE_AGENT_LOCAL_H
#define TESSERE_AGENT_LOCAL_H

#include <jansson.h>

#include "agent/agent.h"
#include "agent/message.h"

/* Without a path in the configuration nobody is listened to; all else works. Needs b_secret_init.
 */
B_NODISCARD enum b_code agent_local_new(const struct agent_socket_config *c,
                                        struct agent_local **ret, struct b_err *err);
/* Listens as c says from now on; when it cannot, all stays as it was. Those who are connected stay.
 */
B_NODISCARD enum b_code agent_local_set(struct agent_local *l, const struct agent_socket_config *c,
                                        struct b_err *err);
/* Nobody is waited for any more; readers' threads that ask for a PIN come back. */
void agent_local_end(struct agent_local *l);
void agent_local_free(struct agent_local **l);

/* The socket's file alone (listener.c): *ret a descriptor, or -1 when no path is configured. */
B_NODISCARD enum b_code agent_listener_open(const struct agent_socket_config *c, int *ret,
                                            struct b_err *err);
B_NODISCARD enum b_code agent_listener_rights(const struct agent_socket_config *c,
                                              struct b_err *err);

/* --- what `status` tells -----------------------------------------------------------------------
 */

/* station: NULL leaves the name as it was. */
void agent_local_server(struct agent_local *l, const char *station, bool is_reached);
/* set: the server's JWK set; what verifies assertions is kept for those who ask for it. */
void agent_local_keys(struct agent_local *l, const json_t *set);
void agent_local_reader(struct agent_local *l, const char *reader, bool is_there);

/* --- browsers (join.c) -------------------------------------------------------------------------
 */

/* What a program asked of the server: to join a browser to this station. */
struct agent_join {
    uint64_t number;
    enum agent_ask by; /* AGENT_BROWSER or AGENT_PAIR */
};
/* Waits for the next; false: it is over. */
bool agent_local_next_join(struct agent_local *l, struct agent_join *ret);
/* Steals answer; whoever asked may be gone. */
void agent_local_joined(struct agent_local *l, uint64_t number, json_t *answer);
/* A thread that asks the server for them, by the configuration that holds now. To be stopped after
 * agent_local_end, and before agent_local_free. */
struct agent_joiner;
B_NODISCARD enum b_code agent_joiner_start(struct agent_local *l, struct agent_live *live,
                                           struct agent_joiner **ret, struct b_err *err);
void agent_joiner_stop(struct agent_joiner **j);

/* The other side of the socket, for a person at a terminal. agent_reach connects (*ret is the
 * caller's to close): B_E_AGENT_GONE names the path, with the errno as its cause. agent_join_here
 * asks, and shows or opens what comes; the agent's own refusals keep their codes. */
B_NODISCARD enum b_code agent_reach(const struct agent_socket_config *c, int *ret,
                                    struct b_err *err);
B_NODISCARD enum b_code agent_join_here(const struct agent_socket_config *c, enum agent_ask by,
                                        bool is_shown, struct b_err *err);
/* --- what waits for a tap here (waiting.c) -----------------------------------------------------
 */

/* Whether a program wants to know of it. Waits for one, ms at most. */
bool agent_local_is_watched(struct agent_local *l, unsigned ms);
/* items: as the server's list has them; NULL: it cannot be known now. Each that was not in the list
 * before is told to news. */
struct agent_news {
    void (*tell)(void *ctx, const char *station, const json_t *challenge);
    void *ctx;
};
void agent_local_list(struct agent_local *l, const json_t *items, const struct agent_news *news);
/* ctx: the agent_local. What waits on no station for whoever tapped now; an array or NULL. */
void agent_local_offered(void *ctx, const json_t *challenges);

/* What a program asked for, to be carried out at the server. */
struct agent_deed {
    uint64_t number;
    enum agent_ask ask; /* AGENT_CHOOSE, AGENT_REFUSE or AGENT_LEAVE */
    char challenge[AGENT_CHALLENGE_MAX + 1];
};
/* The one that waits longest. False: none came within ms. */
bool agent_local_deed(struct agent_local *l, unsigned ms, struct agent_deed *ret);
void agent_local_done(struct agent_local *l, const struct agent_deed *d, enum b_code code,
                      const char *sentence);

/* --- a tap -------------------------------------------------------------------------------------
 */

/* From a card's coming to the outcome of its tap. */
struct agent_turn {
    struct agent_local *local;
    uint64_t wait; /* of the program that gets the outcome; 0: none */
    char challenge[AGENT_CHALLENGE_MAX + 1];
    struct agent_pin pin; /* asks that program, or as it was asked before */
};
void agent_turn_begin(struct agent_local *l, const char *reader, const struct agent_pin *otherwise,
                      struct agent_turn *ret);
void agent_turn_end(struct agent_turn *t, const char *reader, const struct agent_outcome *o);

#endif
