/*
 * pam: pam_tessere.so, which lets a person in by their badge: pam_tessere(8). It asks the station's
 * agent for a tap (docs/agent-socket.md) and believes nothing but the vault's signature.
 *
 *   pam.c         what PAM calls; the conversation with the person
 *   options.c     what a line of /etc/pam.d says
 *   ask.c         the agent's socket, from the other side
 *   assertion.c   whether an assertion is genuine, fresh, for this challenge and this station
 *   map.c         whose account a staff id is
 *   result.def    each end: what PAM is told, and the person
 *
 * It runs inside other people's programs, setuid ones among them: it makes no thread and no
 * process, leaves no descriptor open, reads nothing from the environment, and takes from a file
 * only what root alone could have written. It must never learn a key.
 */
#ifndef TESSERE_PAM_PAM_H
#define TESSERE_PAM_PAM_H

#include <jansson.h>
#include <sys/types.h>

#include "base/base.h"

/* --- options.c ---------------------------------------------------------------------------------
 */

struct pam_options {
    const char *socket;   /* of the agent */
    const char *agent;    /* the agent's user, besides root */
    const char *keys;     /* file of the keys of assertions (JWKS); NULL: as the agent has them */
    const char *station;  /* this station's name; NULL: as the agent says */
    const char *map;      /* identity, lower, gecos:N, or an absolute path */
    const char *prompt;   /* NULL: ours */
    const char *language; /* fr or en; NULL: the calling program's */
    unsigned timeout;     /* seconds that a tap is waited for */
    bool takes_user;      /* user_from_badge */
    bool needs_pin;       /* pin=always */
    bool waits_enter;     /* enter */
    bool is_greeter;      /* greeter */
    bool is_remote_too;   /* remote */
};
enum { PAM_TIMEOUT = 30, PAM_TIMEOUT_MAX = 300 };

/* The words of a line, which the caller keeps. B_E_CONFIG names the word. */
B_NODISCARD enum b_code pam_options_read(int count, const char *const *words,
                                         struct pam_options *ret, struct b_err *err);
/* All of a file that belongs to root and that nobody else may write, at most `max` bytes and a NUL;
 * the caller frees *ret. B_E_CONFIG. */
B_NODISCARD enum b_code pam_file_read(const char *path, size_t max, char **ret, struct b_err *err);

/* --- ask.c -------------------------------------------------------------------------------------
 */

enum { PAM_PIN_MAX = 12 };

struct pam_ask {
    int fd;      /* -1: not open */
    int signals; /* readable when one waits that the calling program holds back */
};
/* Connects. Whoever listens there must be root or `agent`, as the kernel tells it. B_E_AGENT_GONE.
 */
B_NODISCARD enum b_code pam_ask_open(const char *path, uid_t agent, struct pam_ask *ret,
                                     struct b_err *err);
void pam_ask_close(struct pam_ask *a);
/* Sends a message; steals it. */
B_NODISCARD enum b_code pam_ask_say(const struct pam_ask *a, json_t *message, struct b_err *err);
/* digits: up to PAM_PIN_MAX. What is written of it here is wiped. */
B_NODISCARD enum b_code pam_ask_pin(const struct pam_ask *a, const char *digits, struct b_err *err);
/* The next answer, a new reference, whose field `answer` is a text. B_E_AGENT_GONE; B_E_CANCELLED
 * when the calling program holds back a signal that asks it to end, as sudo(8) does with ^C. */
B_NODISCARD enum b_code pam_ask_hear(const struct pam_ask *a, unsigned seconds, json_t **ret,
                                     struct b_err *err);
/* One packet as such an object, or NULL. */
json_t *pam_answer_parse(const char *packet, size_t n);
/* A field as text that shows as it is written, borrowed; "" for anything else. */
const char *pam_answer_text(const json_t *answer, const char *name);

/* --- assertion.c -------------------------------------------------------------------------------
 */

enum { PAM_SUBJECT_MAX = 63, PAM_SKEW_S = 120 };

struct pam_wanted {
    const char *challenge;
    const char *station;
    bool needs_pin;
    int64_t now;
};
/* Whether a JWT (ES256) is signed by one of the keys (a JWK set) and says what is wanted: nonce and
 * station to the byte, valid now within PAM_SKEW_S, for no other audience, by a badge, with a PIN
 * when one is needed. subject: whose badge, filled on success alone. B_E_ASSERTION_BAD,
 * B_E_PIN_REQUIRED. */
B_NODISCARD enum b_code pam_assertion_check(const char *jwt, const json_t *keys,
                                            const struct pam_wanted *wanted,
                                            char subject[static PAM_SUBJECT_MAX + 1],
                                            struct b_err *err);

/* --- map.c -------------------------------------------------------------------------------------
 */

enum { PAM_USER_MAX = 255 };

/* Whether a staff id may use an account. gecos: of that account. B_E_OTHER_HOLDER; B_E_CONFIG. */
B_NODISCARD enum b_code pam_map_check(const char *map, const char *subject, const char *user,
                                      const char *gecos, struct b_err *err);
/* The account of a staff id, the first that the map has. B_E_NOT_FOUND; B_E_CONFIG. */
B_NODISCARD enum b_code pam_map_find(const char *map, const char *subject,
                                     char user[static PAM_USER_MAX + 1], struct b_err *err);
/* Whether each pair of the map was written down by root: the others stop at ordinary accounts. */
bool pam_map_is_list(const char *map);

#endif
