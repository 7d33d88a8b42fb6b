/*
 * Badge keys of roles that are stored: random, and wrapped (RFC 3394) for the peer to keep. The key
 * that wraps is derived in the token from the role's master of that generation, over role,
 * generation and badge: what was wrapped for one badge opens for no other, nor in another role or
 * generation, and nothing of it opens without the token. The master of a generation that is stored
 * derives nothing else.
 *
 * A session asks its peer for what it needs, one key at a time (PROFILE_AWAIT). A key that is to be
 * written to a card and that the peer does not have is drawn, and the peer says that it has kept it
 * before the card is sent anything.
 */
#ifndef TESSERE_VAULT_STORED_H
#define TESSERE_VAULT_STORED_H

#include "vault/vaultd.h"

/* The keys that a session was handed. No secrets: they are wrapped. */
struct vaultd_hand;
size_t vaultd_hand_size(void);
/* The key of which->role, generation and badge, into 16 bytes of secret memory. may_draw: it is
 * about to be written. B_E_KEY_AWAITED: the peer is asked for vaultd_hand_awaited first.
 * B_E_STORED_KEY_MISSING: the peer does not have it; B_E_STORED_KEY_BROKEN: nor is what it gave. */
enum b_code vaultd_hand_key(struct vaultd *d, struct vaultd_hand *h,
                            const struct vault_stored *which, bool may_draw, uint8_t *out,
                            struct b_err *err);
/* What the peer is to give, or to keep; NULL: nothing. */
const struct vault_stored *vaultd_hand_awaited(const struct vaultd_hand *h);
/* The peer's answer: the wrapped key, or nothing. */
enum b_code vaultd_hand_take(struct vaultd_hand *h, struct b_rd wrapped, struct b_err *err);

/* Opens which->wrapped. out: 16 bytes of secret memory. */
enum b_code vaultd_stored_open(struct vaultd *d, const struct vault_stored *which, uint8_t *out,
                               struct b_err *err);
/* Draws a key into which->wrapped; zeros and published keys are drawn again. */
enum b_code vaultd_stored_draw(struct vaultd *d, struct vault_stored *which, struct b_err *err);

#endif
