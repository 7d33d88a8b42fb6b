/*
 * A vault that a service of another user starts. Its peer connects to the service's socket
 * (SOCK_SEQPACKET), asks once, and keeps the connection for as long as it wants the vault:
 *
 *   asks      protocol:u lanes:y, and that many sockets (SCM_RIGHTS), its lanes' other ends
 *   answered  00 once the vault runs, or 01 and an error (wire.h)
 *   told      status:u, how it ended: what waitpid(2) gave
 *
 * The peer names no program, token or file. When it closes the connection, or says anything more,
 * the vault ends.
 */
#ifndef TESSERE_VAULT_STARTER_H
#define TESSERE_VAULT_STARTER_H

#include "vault/wire.h"

enum { STARTER_PROTOCOL = 1 };

/* The peer's side. Asks the service at this path for a vault with these lanes, and gives the
 * connection. B_E_VAULT_GONE, or what the service answered. */
B_NODISCARD enum b_code starter_ask(const char *path, const int lanes[], unsigned count,
                                    int *ret_fd, struct b_err *err);
/* Waits for the vault's end; false when it runs on. A service that went away, and can tell nothing,
 * has ended it with status 0. */
B_NODISCARD bool starter_hear(int fd, int timeout_ms, int *ret_status);

/* The service's side. Takes the request from a connection: lanes, closed on exec, are the caller's
 * to close. B_E_VAULT_PROTOCOL, and then there are none. */
B_NODISCARD enum b_code starter_take(int fd, int lanes[static VAULT_WORKERS_MAX],
                                     unsigned *ret_count, struct b_err *err);
/* err->code B_OK: the vault runs. A peer that left already needs no answer. */
void starter_answer(int fd, const struct b_err *err);
void starter_tell(int fd, int status);

#endif
