/*
 * session: tessere-session, a hook of tessere-agent that locks, unlocks and switches the sessions
 * of a seat by badge: tessere-session(8). What is to be done is a function of what is (decide.c);
 * who is logged in, and doing it, are systemd-logind's affair (logind.c).
 *
 * It runs as the agent's user and believes the agent, which starts it. It must never learn a PIN.
 */
#ifndef TESSERE_SESSION_SESSION_H
#define TESSERE_SESSION_SESSION_H

#include "base/base.h"

enum { SESSION_ID_MAX = 63, SESSION_USER_MAX = 255, SESSION_PATH_MAX = 256 };

/* --- config.c ----------------------------------------------------------------------------------
 */

struct session_config {
    uint32_t debounce_ms;             /* a second tap of the same person within it is none */
    bool card_stays;                  /* the badge lies there; lifting it locks */
    char kiosk[SESSION_USER_MAX + 1]; /* the account that all share; "": none */
    char map[SESSION_PATH_MAX];       /* as pam_tessere's map= */
    char seat[SESSION_ID_MAX + 1];
    char state[SESSION_PATH_MAX];  /* directory of what is remembered */
    char socket[SESSION_PATH_MAX]; /* of the agent, who is told that somebody left */
};
/* A file of root's; one that is missing gives the defaults. B_E_CONFIG names file and field. */
B_NODISCARD enum b_code session_config_load(const char *path, struct session_config *ret,
                                            struct b_err *err);

/* --- decide.c ----------------------------------------------------------------------------------
 */

struct session_one {
    char id[SESSION_ID_MAX + 1]; /* "": there is none */
    char user[SESSION_USER_MAX + 1];
    bool is_locked;
};

struct session_facts {
    bool is_lifted;       /* the badge was taken away; else it was put down, and granted */
    bool is_waited_for;   /* by a program on the agent's socket */
    const char *subject;  /* staff id */
    const char *user;     /* their account here; "": none */
    const char *identity; /* who has the kiosk now; "": nobody */
    const char *last;     /* who tapped last, and how long ago */
    int64_t ago_ms;
    struct session_one active; /* in front of the seat, of class user */
    struct session_one own;    /* of `user`, not in front */
    bool is_greeter_active;
};

enum session_act {
    SESSION_NOTHING,
    SESSION_LOCK,
    SESSION_UNLOCK,
    SESSION_SWITCH,      /* locks what is in front, brings theirs there and unlocks it */
    SESSION_GREETER,     /* locks what is in front, and shows who may log in */
    SESSION_KIOSK_BEGIN, /* theirs from now on */
    SESSION_KIOSK_END,
};
enum session_act session_decide(const struct session_config *c, const struct session_facts *f);
/* Whether their sessions in browsers end too: they are of the station, so not while somebody else
 * is in front of it. */
bool session_leaves(const struct session_config *c, const struct session_facts *f,
                    enum session_act act);

/* --- logind.c ----------------------------------------------------------------------------------
 */

struct session_bus;
B_NODISCARD enum b_code session_bus_open(struct session_bus **ret, struct b_err *err);
void session_bus_free(struct session_bus **b);
/* Fills active, own and is_greeter_active; *ret_greeter: the greeter's session, or "". */
B_NODISCARD enum b_code session_look(struct session_bus *b, const struct session_config *c,
                                     struct session_facts *io,
                                     char ret_greeter[static SESSION_ID_MAX + 1],
                                     struct b_err *err);
B_NODISCARD enum b_code session_do(struct session_bus *b, const struct session_facts *f,
                                   const char *greeter, enum session_act act, struct b_err *err);

#endif
