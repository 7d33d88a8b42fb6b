/*
 * remote: the server's API from the other side: one connection, kept warm, TLS 1.3 with a client
 * certificate, verified against the CA that the station was given. What a call means is the
 * caller's affair; a problem comes back as the error that it was. Used by one thread at a time.
 */
#ifndef TESSERE_REMOTE_REMOTE_H
#define TESSERE_REMOTE_REMOTE_H

#include <jansson.h>

#include "base/base.h"

struct remote;

struct remote_config {
    const char *url;  /* https://kms.example:8443 */
    const char *ca;   /* PEM file; NULL: the server is not verified (enrolment's first look) */
    const char *cert; /* PEM files; NULL: none */
    const char *key;
    const char *language; /* "fr" or "en" */
    long timeout_ms;
    bool (*is_stopped)(void *ctx); /* NULL, or asked once a second: a call under way is cut */
    void *ctx;
};
B_NODISCARD enum b_code remote_open(const struct remote_config *config, struct remote **ret,
                                    struct b_err *err);
void remote_free(struct remote **r);

/* One request. body: NULL or borrowed. ret: a new reference to the answer's object, or NULL when it
 * is not wanted. B_E_SERVER_GONE when there is no answer; otherwise the problem's own code. */
B_NODISCARD enum b_code remote_call(struct remote *r, const char *method, const char *path,
                                    const json_t *body, json_t **ret, struct b_err *err);
/* The sentence for a person that came with the last problem, or "". */
const char *remote_sentence(const struct remote *r);
/* A field of an answer as text, borrowed; "" when it is absent or no text. */
const char *remote_text(const json_t *o, const char *name);
/* How long to wait before the n-th new try, n from 1: doubling up to half a minute, with chance in
 * it, so that a thousand stations do not come back at once. */
unsigned remote_pause_ms(unsigned n);

/* --- the desk (desk.c) -------------------------------------------------------------------------
 */

struct channel;

/* One step of an order of the desk, from its last event: sends its frames to the card and brings
 * the answers, or waits for what comes next (ch NULL: another has the card). *ret: the next event.
 * B_E_CARD_REMOVED and the like when the card left; what the order failed with. */
B_NODISCARD enum b_code remote_desk_step(struct remote *r, struct channel *ch, const json_t *event,
                                         json_t **ret, struct b_err *err);
/* Approves the plan of this event, exactly. */
B_NODISCARD enum b_code remote_desk_approve(struct remote *r, const json_t *event, json_t **ret,
                                            struct b_err *err);
void remote_desk_cancel(struct remote *r, const json_t *event);

#endif
