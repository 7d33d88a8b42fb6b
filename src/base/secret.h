/*
 * Memory for keys: one arena, mapped once, locked in RAM, kept out of core dumps, wiped on fork,
 * between guard pages. What is freed is wiped. Whatever holds a key, a session key or a PIN is
 * allocated here as a whole (a struct df_pcd, a struct df_key), never copied out by assignment.
 * All functions may be called by several threads at once; a block belongs to one of them.
 */
#ifndef TESSERE_BASE_SECRET_H
#define TESSERE_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

/* Maps the arena of `size` bytes (rounded up to pages). With must_lock, failing to lock it is an
 * error (the vault); else it is a warning that b_secret_is_locked tells. Idempotent. */
B_NODISCARD enum b_code b_secret_init(size_t size, bool must_lock, struct b_err *err);
bool b_secret_is_locked(void);
/* Zeroed memory of n bytes, 16-byte aligned, or NULL when the arena is full. */
B_NODISCARD void *b_secret_alloc(size_t n);
/* Wipes and gives back; NULL is allowed. */
void b_secret_free(void *p);
/* Zeroed memory of n bytes outside the arena, mapped as the arena is and locked if it is: for a
 * table whose size is known late. */
B_NODISCARD enum b_code b_secret_map(size_t n, void **ret, struct b_err *err);
/* Wipes and unmaps what was mapped with this n; NULL is allowed. */
void b_secret_unmap(void *p, size_t n);
/* How many bytes are handed out: 0 after every session has ended (asserted by tests). */
size_t b_secret_in_use(void);

#endif
