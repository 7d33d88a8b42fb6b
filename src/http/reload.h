/*
 * reload: what the server takes up at SIGHUP without losing a connection: the tap policy, its
 * certificates and those it trusts, its limits, whether it logs requests, keys of others, who is
 * told what happens. All or
 * nothing: what cannot be used changes nothing. Address, port, the built-in CA, the vault's workers
 * and the SIEM stay as they were until the next start, which is said.
 */
#ifndef TESSERE_HTTP_RELOAD_H
#define TESSERE_HTTP_RELOAD_H

#include "http/http.h"

/* Puts the policy in force. Once a roster is founded, that is the one that a quorum approved,
 * whatever the file says, and a file that differs is told on the standard error. */
B_NODISCARD enum b_code http_reload_policy(struct http_server *s, struct b_err *err);
/* What takeovers at taps need, from the files that the configuration names; none without. */
B_NODISCARD enum b_code http_reload_others(struct http_server *s, struct b_err *err);
/* Who is told what happens, from the file that the configuration names; nobody without. Deliveries
 * begin with the first call. */
B_NODISCARD enum b_code http_reload_events(struct http_server *s, struct b_err *err);
/* server.yaml, policy.yaml, certificates. note: what waits for the next start, or "". */
B_NODISCARD enum b_code http_reload(struct http_server *s, char *note, size_t cap,
                                    struct b_err *err);

/* Tells on the standard error when the certificate for browsers does not name the issuer's host.
 * The server serves on: something in front of it may have another. */
void http_tell_issuer(const struct http_server *s);

#endif
