/*
 * Requests that relying parties pushed (RFC 9126) and browsers come for by name. They are in memory
 * alone: with the process they are gone, and who comes for one begins again at the relying party.
 *
 * A name is good once: the first browser that comes with it in time has the request from then on,
 * for as long as its login may last, and nobody else ever gets it.
 */
#ifndef TESSERE_OIDC_PUSHED_H
#define TESSERE_OIDC_PUSHED_H

#include "oidc/client.h"

enum {
    OIDC_PUSHED_SECONDS = 60,        /* until a browser has come */
    OIDC_PUSHED_TAKEN_SECONDS = 900, /* and from then until it has its answer */
    OIDC_PUSHED_OF_CLIENT = 256,     /* at once, of both kinds */
    OIDC_PUSHED_ALL = 2048,
    OIDC_PUSHED_PUBLIC = 512,    /* of clients that prove nothing: anybody pushes for them */
    OIDC_PUSHED_OF_ADDRESS = 32, /* of those, so that one who pushes for all leaves room */
    OIDC_PUSHED_FROM = 32,       /* which address it is */
    OIDC_PUSHED_URI = 100,
    OIDC_PUSHED_BROWSER = 32, /* a digest of what a browser alone knows */
};
#define OIDC_PUSHED_PREFIX "urn:ietf:params:oauth:request_uri:"

struct oidc_pushed;
/* NULL: no memory. May be used by several threads; `now` is in seconds, of a clock that only goes
 * on. */
struct oidc_pushed *oidc_pushed_new(void);
void oidc_pushed_free(struct oidc_pushed **p);

/* Keeps what is asked by somebody at this address. B_E_TOO_OFTEN: too many are kept; B_E_TOO_LARGE.
 */
B_NODISCARD enum b_code oidc_pushed_add(struct oidc_pushed *p, const struct oidc_client *client,
                                        const uint8_t from[static OIDC_PUSHED_FROM],
                                        const struct oidc_form *f, int64_t now,
                                        char ret[static OIDC_PUSHED_URI], struct b_err *err);
/* What was asked under this request_uri by this client, for this browser. False: nothing (more) for
 * it. */
B_NODISCARD bool oidc_pushed_take(struct oidc_pushed *p, const char *uri, const char *client,
                                  const uint8_t browser[static OIDC_PUSHED_BROWSER], int64_t now,
                                  struct oidc_form *ret);
/* It is answered. */
void oidc_pushed_end(struct oidc_pushed *p, const char *uri);

#endif
