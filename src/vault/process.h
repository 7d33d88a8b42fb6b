/* The vault as a process: starting it with nothing but its sockets, or having a service start it
 * (vault/starter.h), and ending it. */
#ifndef TESSERE_VAULT_PROCESS_H
#define TESSERE_VAULT_PROCESS_H

#include "vault/vault.h"
#include "vault/wire.h"

struct vault_process {
    int fds[VAULT_WORKERS_MAX]; /* a socket for each worker */
    unsigned count;
    int pid;     /* -1: a service's child, not ours */
    int service; /* the connection to that service, or -1 */
    int status;  /* wait status once it has ended; -1 before */
};

/* What the vault's process is started with: its ends of the lanes, lifted (vault_process_lift), and
 * the PIN's pipe or -1. They stay the caller's. */
struct vault_child {
    int sockets[VAULT_WORKERS_MAX];
    unsigned count;
    int pin;
};
/* Another descriptor of the same, out of the way of those that the vault gets; -1 and errno. */
int vault_process_lift(int fd);
/* Runs the vault's program. is_given: token, establishment and PIN of config are given to it by its
 * environment, and its peer cannot name others. B_E_VAULT_GONE. */
B_NODISCARD enum b_code vault_process_run(const struct vault_config *config, bool is_given,
                                          const struct vault_child *child, int *ret_pid,
                                          struct b_err *err);

B_NODISCARD enum b_code vault_process_start(const struct vault_config *config,
                                            struct vault_process *ret, struct b_err *err);
/* The wait status of a vault that ended (waits a moment for it), or -1. */
int vault_process_status(struct vault_process *p);
/* Whether it has ended by now. */
bool vault_process_has_ended(struct vault_process *p);
/* Closes the sockets, which ends the vault; kills it when it does not end in time. */
void vault_process_stop(struct vault_process *p);

#endif
