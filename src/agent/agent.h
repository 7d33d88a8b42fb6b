/*
 * agent: tessere-agent, the station's part. It relays frames between the readers of a station and
 * the server, and holds no secret but the key of its own certificate.
 *
 *   tap.c      the two messages of a tap (docs/api.md)
 *   desk.c     the desk's order for a card on a reader here
 *   code.c     a code from a tap, to be typed as a password
 *   enrol.c    from a one-time code to a certificate; renewal
 *   readers.c  every reader of the station, as they come and go
 *   config.c   agent.yaml; live.c, the one that holds now
 *   local.c    the socket for PAM and other programs of the station; message.c, what they may say
 *   join.c     joins browsers to this station
 *   waiting.c  the same socket: what waits for a tap here, and what people say to it
 *   follow.c   the server's list of that, followed; choosing, refusing and leaving, carried out
 *   confirm.c  a person at a terminal who is asked
 *   hooks.c    programs that run after each tap
 *   main.c     the command line
 */
#ifndef TESSERE_AGENT_AGENT_H
#define TESSERE_AGENT_AGENT_H

#include "agent/config.h"
#include "channel/channel.h"
#include "desfire/desfire.h"
#include "remote/remote.h"

enum { AGENT_TEXT_MAX = 256, AGENT_ASSERTION_MAX = 2048 };

/* --- the station's directory (enrol.c) ---------------------------------------------------------
 */

/* station.json, station.pem (certificate and key; of earlier enrolments the key is in station.key),
 * ca.pem below dir, or what the configuration names. */
struct agent_home {
    char dir[AGENT_PATH_MAX];
    char url[AGENT_PATH_MAX];
    char cert[AGENT_PATH_MAX + 32], key[AGENT_PATH_MAX + 32], ca[AGENT_PATH_MAX + 32];
    char language[8];   /* "": fr */
    bool is_pki_theirs; /* the identity is of the hospital's own PKI, which also renews it */
};
/* B_E_NOT_ENROLLED: the configuration does not say all three. */
B_NODISCARD enum b_code agent_home_open(const struct agent_config *c, struct agent_home *ret,
                                        struct b_err *err);
/* A key made here, a request, a certificate for the code. B_E_INITIALISED when there is one. */
B_NODISCARD enum b_code agent_enrol(const char *dir, const char *url, const char *code,
                                    struct b_err *err);
/* A new key and certificate once two thirds of the old one's time are over; *ret_is_new. To be
 * called by any reader: one renews, those who come meanwhile find it done. */
B_NODISCARD enum b_code agent_renew(const struct agent_home *home, struct remote *r,
                                    bool *ret_is_new, struct b_err *err);
B_NODISCARD enum b_code agent_connect(const struct agent_home *home, struct remote **ret,
                                      struct b_err *err);
/* The same for calls of up to half a minute, which are cut once is_stopped says so. */
B_NODISCARD enum b_code agent_connect_long(const struct agent_home *home,
                                           bool (*is_stopped)(void *ctx), void *ctx,
                                           struct remote **ret, struct b_err *err);

/* --- a tap (tap.c) -----------------------------------------------------------------------------
 */

/* What the server says of this station (GET /v1/station). */
struct agent_self {
    char name[64], group[64], language[8];
    df_aid aid;
    uint8_t key_no;
    int serial_file; /* -1: keys are derived from the UID */
    uint8_t serial_length;
    uint8_t pin_key[65];
    int debounce_ms;
};
B_NODISCARD enum b_code agent_self(struct remote *r, struct agent_self *ret, struct b_err *err);

struct agent_outcome {
    enum b_code code;   /* B_OK: granted */
    bool is_desk;       /* not a tap: the desk's order is done, or has failed */
    bool is_waited_for; /* by a program on the socket, which gets it too */
    bool is_lifted;     /* not a tap: the badge that was granted before was taken away */
    char sentence[AGENT_TEXT_MAX];
    char holder_ref[64], holder_name[128];
    int64_t badge;
    bool is_answer;   /* of a login or a confirmation that waits at the server */
    char answers[64]; /* which; "": none, or the person has still to choose */
    char rekey[64];   /* the tap, when its badge is to be re-keyed while it lies there; else "" */
    char assertion[AGENT_ASSERTION_MAX];
};
/* Asks the person for a PIN, up to 12 digits, into pin (zero padded); false: none was given. */
struct agent_pin {
    bool (*ask)(void *ctx, const char *sentence, char pin[static 16]);
    void *ctx;
};
struct agent_wish {
    const char *challenge; /* of whoever asked for the tap, or "" */
    const char *reader;    /* on which the card lies, or "" */
    /* NULL, or told of challenges of no station yet that wait for whoever tapped; an array */
    void (*offer)(void *ctx, const json_t *challenges);
    void *ctx;
};
/* Authenticates the card. The outcome is filled in for refusals too. B_E_PIN_REQUIRED: a PIN is
 * missing, or is typed into the login that the tap is for. */
B_NODISCARD enum b_code agent_tap(struct remote *r, const struct agent_self *self,
                                  struct channel *ch, struct agent_wish wish,
                                  const struct agent_pin *pin, struct agent_outcome *ret,
                                  struct b_err *err);

/* --- the desk (desk.c) -------------------------------------------------------------------------
 */

/* After a tap whose outcome is in *ret: carries out the order that the desk has for this card, if
 * there is one, and puts its outcome in place; else all stays as it was. Returns ret->code. */
B_NODISCARD enum b_code agent_desk(struct remote *r, struct channel *ch, struct agent_outcome *ret,
                                   struct b_err *err);

/* After a tap whose outcome is in *io: takes the badge over that others encoded, when the server
 * has a use for that. True: it is one of ours now, and is to be tapped again. False: *io is as it
 * was, or says why not. say is told, once it begins, what the person should do; NULL is allowed. */
struct agent_say {
    void (*say)(void *ctx, const char *sentence);
    void *ctx;
};
bool agent_takeover(struct remote *r, struct channel *ch, const struct agent_say *say,
                    struct agent_outcome *io);

/* After a granted tap, once the person was told: re-keys the badge when ret->rekey says so. What
 * does not succeed is the server's affair, and is tried again at the next tap. */
void agent_rekey(struct remote *r, struct channel *ch, const struct agent_outcome *o);

/* --- a code (code.c) ---------------------------------------------------------------------------
 */

enum { AGENT_CODE = 17 };
struct agent_code_wish {
    const char *party;                            /* the relying party that the code is for */
    const char *user;                             /* whose badge it must be; "": anybody's */
    void (*say)(void *ctx, const char *sentence); /* told what to do */
    bool (*is_stopped)(void *ctx);
    void *ctx;
};
/* A code from the next tap on this station. B_E_TAP_AWAITED when nobody tapped. */
B_NODISCARD enum b_code agent_code(const struct agent_home *home, const struct agent_code_wish *w,
                                   char ret[static AGENT_CODE], struct b_err *err);

/* --- readers (readers.c) -----------------------------------------------------------------------
 */

struct agent_local;

struct agent_watch {
    void (*outcome)(void *ctx, const struct agent_self *self, const char *reader,
                    const struct agent_outcome *o);
    /* NULL, or a badge that was granted was taken away from its reader; o as it was told before */
    void (*lifted)(void *ctx, const struct agent_self *self, const char *reader,
                   struct agent_outcome *o);
    void (*status)(void *ctx, const char *line); /* one line that a person understands */
    bool (*is_stopped)(void *ctx);
    void (*alive)(void *ctx); /* NULL, or called every second by the loop that finds readers */
    void *ctx;
    struct agent_pin pin; /* where no program asked for the tap; ask NULL: none is given */
    struct agent_local *local;
};
/* Serves the readers that the configuration wants until it is told to stop. A reader takes a new
 * configuration up after the tap that it is at. taps: 0, or end after so many. */
B_NODISCARD enum b_code agent_run(struct agent_live *live, const struct agent_watch *watch,
                                  unsigned taps, struct b_err *err);

#endif
