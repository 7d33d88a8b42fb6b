/* What both ends of the vault's socket say of keys and of a session's steps. Encoder and decoder
 * of one thing stand together in event.c. */
#ifndef TESSERE_VAULT_EVENT_H
#define TESSERE_VAULT_EVENT_H

#include "vault/vault.h"
#include "vault/wire.h"

void vault_key_encode(const struct vault_key *k, struct b_wr *w);
B_NODISCARD bool vault_key_decode(struct b_rd *r, struct vault_key *ret);

void vault_stored_encode(const struct vault_stored *s, struct b_wr *w);

/* The vault's side of an event: what the machine wants, and the machine. apdu: what it wrote, or
 * the stored key that is awaited. */
void vault_event_encode(enum profile_want want, const struct profile_run *run, struct b_rd apdu,
                        uint32_t vault_us, struct b_wr *w);
/* The client's. Fields that do not belong to `want` are zero. */
B_NODISCARD bool vault_event_decode(struct b_rd r, struct vault_event *ret);

#endif
