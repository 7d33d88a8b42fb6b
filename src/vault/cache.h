/*
 * Badge keys of role auth that were derived before, so that badges which tapped here tap on while
 * the token is away. Off unless a size is configured. A key enters when its badge has proved it, so
 * that made-up UIDs push nothing out; the one that was not used for longest gives its place. Keys
 * that stay in the token are never here. In locked memory; wiped when it leaves.
 */
#ifndef TESSERE_VAULT_CACHE_H
#define TESSERE_VAULT_CACHE_H

#include "base/base.h"
#include "crypto/diversify.h"

enum { VAULTD_CACHE_MAX = 100000 }; /* entries, of 64 bytes and a place in an index */

struct vaultd_cache;
/* Which badge key: its generation and its diversification input, 1..31 bytes. */
struct vaultd_cached {
    uint8_t generation;
    struct b_rd input;
};

/* entries: 1..VAULTD_CACHE_MAX. B_E_LOCK_MEMORY where so much cannot be locked. */
B_NODISCARD enum b_code vaultd_cache_new(uint32_t entries, struct vaultd_cache **ret,
                                         struct b_err *err);
void vaultd_cache_free(struct vaultd_cache **c);
/* The rest allow any thread, and a cache that is NULL: it is off. */
B_NODISCARD bool vaultd_cache_get(struct vaultd_cache *c, const struct vaultd_cached *which,
                                  uint8_t key[static 16]);
void vaultd_cache_put(struct vaultd_cache *c, const struct vaultd_cached *which,
                      const uint8_t key[static 16]);
/* Wipes every key of a generation, and keeps none of it from now on. */
void vaultd_cache_forget(struct vaultd_cache *c, uint8_t generation);
uint32_t vaultd_cache_count(struct vaultd_cache *c);

#endif
