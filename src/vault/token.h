/*
 * tessere-token: the vendor's PKCS#11 module in a process of its own. It wants files, threads,
 * sometimes a network; the vault needs none of them once the module is elsewhere.
 *
 *   token_process.c   the vault starts it before it gives up starting anything
 *   token_client.c    the vault's keyring: each function a request on the worker's lane
 *   token_server.c    one request in, one answer out, over keyring.c
 *   token_main.c      the process: a thread for each lane
 *
 * A lane is a SOCK_SEQPACKET socketpair, one for each of the vault's workers. Requests and answers
 * are laid out as those of the vault (vault/wire.h), after the rows of token.def.
 */
#ifndef TESSERE_VAULT_TOKEN_H
#define TESSERE_VAULT_TOKEN_H

#include "vault/vaultd.h"

enum {
    TOKEN_MESSAGE_MAX = 8192,               /* the longest: all keys of the token */
    TOKEN_KEY_BYTES = 23,                   /* a key as token_key_put lays it out */
    TOKEN_STATE_BYTES = 2 * DF_PROVE_BLOCK, /* of an authentication between its halves */
    /* an answer with a key in it, or an error in its place */
    TOKEN_SECRET_MAX = sizeof(((struct b_err *)NULL)->msg) + 96,
};
static_assert(TOKEN_MESSAGE_MAX > CUSTODY_KEYS_MAX * TOKEN_KEY_BYTES + 16, "all keys fit");

enum token_msg {
#define TOKEN_MSG(id, NAME, ...) TOKEN_MSG_##NAME = (id),
#include "vault/token.def"
#undef TOKEN_MSG
};
struct token_row {
    uint8_t id;
    const char *name;
    const char *request;
    const char *answer;
};
/* NULL for an id that is not in the table. */
const struct token_row *token_row(uint8_t id);

/* A key as it travels: role:1 generation:1 is_safe:1 method:16 (zero padded) kcv:3
 * derives_inside:1. */
void token_key_put(struct b_wr *w, const struct custody_key *key);
B_NODISCARD bool token_key_get(struct b_rd *r, struct custody_key *ret);

/* token_process.c. Starts tessere-token beside this program; its lanes begin at VAULT_TOKEN_FD. Its
 * one argument says which keys stay in the token: TOKEN_IN_TOKEN and a struct key_stay as text. */
#define TOKEN_IN_TOKEN "--in-token="
B_NODISCARD enum b_code token_start(const struct vaultd_config *config, struct b_err *err);

/* token_client.c. The keyring of one worker. peer: the worker's socket; whoever waits for the
 * module must still end with it. */
struct vaultd_keyring token_keyring(unsigned worker, int peer);
/* tessere-token has ended: the vault can do nothing more. */
bool token_is_gone(void);
/* Closes a worker's lane, which ends tessere-token; waits a moment for it. */
void token_stop(unsigned worker);

/* token_server.c. */
struct token_lane {
    struct vaultd_keyring keyring;
    struct vaultd_config config;
    bool is_configured;
    struct custody_key keys[CUSTODY_KEYS_MAX]; /* no secrets: roles, generations, KCVs */
};
/* Answers one request. False: the vault broke the protocol, and the process must end. */
B_NODISCARD bool token_handle(struct token_lane *k, struct b_rd request, struct b_wr *answer);

#endif
