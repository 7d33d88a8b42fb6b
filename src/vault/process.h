/* The vault as a child process: starting it with nothing but its socket, and ending it. */
#ifndef TESSERE_VAULT_PROCESS_H
#define TESSERE_VAULT_PROCESS_H

#include "vault/vault.h"
#include "vault/wire.h"

struct vault_process {
    int fds[VAULT_WORKERS_MAX]; /* a socket for each worker */
    unsigned count;
    int pid;
    int status; /* wait status once reaped; -1 before */
};

B_NODISCARD enum b_code vault_process_start(const struct vault_config *config,
                                            struct vault_process *ret, struct b_err *err);
/* The wait status of a vault that ended (waits a moment for it), or -1. */
int vault_process_status(struct vault_process *p);
/* Whether it has ended by now. */
bool vault_process_has_ended(struct vault_process *p);
/* Closes the sockets, which ends the vault; kills it when it does not end in time. */
void vault_process_stop(struct vault_process *p);

#endif
