/*
 * Sign-on: one contract for all who use a tap. A relying party opens a challenge; a granted tap on
 * its station becomes an assertion; whoever opened the challenge takes that, once, within 30
 * seconds. Taking is one statement that looks again at badge, holder and station, so that a
 * revocation between the tap and its use wins. OpenID, CIBA and the callouts stand on this.
 *
 *   bound to   station, reader, challenge, relying party, and the browser that began
 *   one waits  a tap answers it
 *   more wait  none is answered until the person chooses: no login is ever first by chance
 *   elsewhere  a tap on another station answers nothing here
 *   a text     to be confirmed is answered only once a program of the station has shown it
 */
#ifndef TESSERE_SERVICE_SIGNON_H
#define TESSERE_SERVICE_SIGNON_H

#include "service/bell.h"
#include "service/service.h"

enum {
    SERVICE_TAP_SECONDS = 30,        /* for which a tap may be taken */
    SERVICE_CHALLENGE_SECONDS = 120, /* unless the relying party says otherwise */
    SERVICE_CHALLENGE_SECONDS_MAX = 600,
    SERVICE_CHALLENGES_OF_STATION = 8,
    SERVICE_SECRET = 65, /* 256 random bits in hexadecimal: what a browser keeps */
};

struct service_signon_rules {
    uint32_t session_seconds; /* of a browser's session */
    bool keeps_on_second_tap; /* the same person's next tap does not end it */
};
/* A shift of ten hours; a second tap ends the session. */
extern const struct service_signon_rules service_signon_default;

/* --- challenges --------------------------------------------------------------------------------
 */

/* Opens one: party, station or holder, factors, text and expires_at (0: two minutes) are the
 * caller's. ret_secret: SERVICE_SECRET characters for the browser, or NULL where there is none.
 * B_E_CHALLENGES_MANY. */
B_NODISCARD enum b_code service_challenge_open(struct service *sv, struct store_challenge *io,
                                               char *ret_secret, struct b_err *err);
/* The person chooses it before others on this station, which a challenge of none then is of; and
 * was shown its text. B_E_CHALLENGE_OVER, B_E_CHALLENGE_OTHER. */
B_NODISCARD enum b_code service_challenge_choose(struct service *sv, const char *name,
                                                 int64_t station, struct b_err *err);
B_NODISCARD enum b_code service_challenge_end(struct service *sv, const char *name,
                                              struct b_err *err);
/* The bell of a station, which rings when its challenges change. */
enum { SERVICE_STATION_BELL = 32 };
void service_station_bell(int64_t station, char name[static SERVICE_STATION_BELL]);
/* ring.c. Whoever waits for the challenge, or for another one of its station, or shows those of the
 * station, looks again. */
void service_ring_changed(const struct service *sv, const struct store_challenge *c);
/* Whether a tap may answer it as things are: one with a text must have been shown. */
static inline bool service_challenge_is_ready(const struct store_challenge *c)
{
    return c->text[0] == '\0' || c->chosen_at != 0;
}
/* Whether the secret is the one of whoever opened it. */
bool service_challenge_is_of(const struct store_challenge *c, const char *secret);

enum service_challenge_stand {
    SERVICE_WAITS,  /* for a tap */
    SERVICE_CHOOSE, /* others wait on the station: the person must choose */
    SERVICE_TAPPED, /* there is a tap to take */
    SERVICE_OVER,   /* answered, ended or expired */
};
/* How it stands. others: how many more wait on its station; may be NULL. */
B_NODISCARD enum b_code service_challenge_look(struct store *s, const struct store_challenge *c,
                                               enum service_challenge_stand *ret, size_t *others,
                                               struct b_err *err);

/* What answers a challenge. */
struct service_answer {
    struct store_challenge challenge;
    struct store_assertion assertion;
};
/* A session that begins with the tap that is taken. */
struct service_beginning {
    int64_t seconds; /* how long it lasts; 0: as the rules say */
    struct store_signon signon;
    char cookie[SERVICE_SECRET]; /* what the browser keeps */
};
/* Takes the tap that answers the challenge. party and secret (NULL: whoever opened it kept none)
 * must be those it was opened with. begins: NULL, or a session begins. Journalled, also when
 * refused: B_E_CHALLENGE_OVER, B_E_CHALLENGE_OTHER, B_E_TAP_USED, B_E_TAP_UNDONE; but not what may
 * still come: B_E_TAP_AWAITED, B_E_TAP_LATE, B_E_CHALLENGE_UNCHOSEN. */
B_NODISCARD enum b_code service_challenge_take(struct service *sv, const char *name,
                                               const char *party, const char *secret,
                                               struct service_answer *ret,
                                               struct service_beginning *begins, struct b_err *err);

/* --- taps --------------------------------------------------------------------------------------
 */

/* What a tap of this holder on this station may answer. */
struct service_wanted {
    size_t count; /* of names that count; those past the last place are not heard of */
    char names[SERVICE_CHALLENGES_OF_STATION][STORE_RANDOM_NAME];
    struct store_challenge first; /* the one, when count is 1 */
};
B_NODISCARD enum b_code service_wanted_of(struct store *s, int64_t station, const char *holder_ref,
                                          int64_t now, struct service_wanted *ret,
                                          struct b_err *err);
/* Inside the change that writes a granted tap down: the assertion, when one is wanted; the sessions
 * of others on the station end, and on a tap that nobody asked for the person's own. */
B_NODISCARD enum b_code service_signon_tapped(struct service_change *c,
                                              const struct service_signon_rules *rules,
                                              const struct service_wanted *w,
                                              struct store_assertion *tap, bool is_asked,
                                              struct b_err *err);

/* --- sessions ----------------------------------------------------------------------------------
 */

/* The open session of a browser's cookie. B_E_NOT_FOUND. */
B_NODISCARD enum b_code service_signon_find(struct store *s, const char *cookie, int64_t now,
                                            struct store_signon *ret, struct b_err *err);
/* Inside a change: ends open sessions, and has each relying party told that took part. reason: a
 * word for the journal ("logout", "next-person", "tapped-out", "left-station", "badge", "holder",
 * "station", "expired"). */
B_NODISCARD enum b_code service_signon_end(struct service_change *c,
                                           const struct store_signon_of *of, const char *reason,
                                           struct b_err *err);
/* The same as a change of its own. */
B_NODISCARD enum b_code service_signon_leave(struct service *sv, const struct store_signon_of *of,
                                             const char *reason, struct b_err *err);
/* Called by service_log: a badge, a holder or a station that is not active any more has no session,
 * and a session is no longer than its badge's days. */
B_NODISCARD enum b_code service_signon_stopped(struct service_change *c,
                                               const struct service_entry *e, struct b_err *err);
/* Ends what expired, and forgets what is over for a day. */
B_NODISCARD enum b_code service_signon_sweep(struct service *sv, struct b_err *err);

#endif
