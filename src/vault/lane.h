/* A lane to one of the vault's workers, and the vault as its client holds it. Private to src/vault.
 */
#ifndef TESSERE_VAULT_LANE_H
#define TESSERE_VAULT_LANE_H

#include <pthread.h>
#include <stdatomic.h>

#include "vault/process.h"

struct lane {
    struct vault *vault;
    int fd;
    struct lane *next_free;
    struct b_wr request;
    size_t answer_len; /* of the last answer, whose bytes may still be in buf */
    uint8_t buf[VAULT_MESSAGE_MAX];
};

struct vault {
    struct vault_process process;
    atomic_bool is_gone;
    atomic_bool has_lost_token;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct lane *free;
    bool is_changing;           /* the process is being replaced: no lane is taken */
    struct vault_config config; /* its strings are in owned */
    char *owned[6];
    struct lane lanes[];
};

/* A free lane, or the next that becomes free. It goes back by itself when the variable that holds
 * it goes out of scope: LANE *k = vault_lane_take(v); */
struct lane *vault_lane_take(struct vault *v);
void vault_lane_give_back(struct lane **k);
#define LANE __attribute__((cleanup(vault_lane_give_back))) struct lane

/* A request is begun, its fields written through the result, and sent by a call. */
struct wire_out vault_lane_begin(struct lane *k, enum vault_msg id);
/* Sends what begin began and gives the answer's fields; an error answer becomes this call's. */
B_NODISCARD enum b_code vault_lane_call(struct lane *k, const struct wire_out *o,
                                        struct wire_in *ret, struct b_err *err);
/* A call without answer fields. */
B_NODISCARD enum b_code vault_lane_call_void(struct lane *k, const struct wire_out *o,
                                             const char *name, struct b_err *err);
/* The answer does not fit its row: the vault is of no use any more. */
enum b_code vault_lane_misread(struct lane *k, const char *name, struct b_err *err);

#endif
