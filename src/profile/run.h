/*
 * The machine that carries out a job on one card.
 *
 *   want = profile_run_start(run, job, keys, random, &out)
 *   PROFILE_TX         send out, then profile_run_step(run, rapdu, &out)
 *   PROFILE_INSPECTED  profile_run_state is filled       -> profile_run_step(run, none, &out)
 *   PROFILE_PLANNED    profile_run_plan is filled; going on is approval   -> step(none)
 *   PROFILE_INTENT     profile_run_intent is about to be sent: journal it durably -> step(none)
 *   PROFILE_EFFECT     that step took effect: journal it -> step(none)
 *   PROFILE_AWAIT      the source of keys waits for what it asks of its own peer -> step(none)
 *   PROFILE_DONE       finished; PROFILE_FAILED: profile_run_error
 *
 * A scan ends after PLANNED notes, a UID after INSPECTED; a tap never plans: TX… then DONE with
 * profile_run_tap. After a tear, a new run on the same card converges from whatever is there.
 */
#ifndef TESSERE_PROFILE_RUN_H
#define TESSERE_PROFILE_RUN_H

#include "desfire/prove.h"
#include "profile/profile.h"

enum profile_want {
    PROFILE_TX,
    PROFILE_INSPECTED,
    PROFILE_PLANNED,
    PROFILE_INTENT,
    PROFILE_EFFECT,
    PROFILE_AWAIT,
    PROFILE_DONE,
    PROFILE_FAILED
};

struct profile_proof {
    enum key_role role;
    uint8_t generation;
    const char *diversification;
    struct crypto_div_facts facts;
    enum df_auth how;
    struct df_prove state; /* between the halves: secret until the verdict */
};
/* Where badge keys come from: the vault derives them from masters, or opens those that are stored;
 * tests have their own. The key of `role` and `generation` (1..255) for the badge and slot that
 * `facts` describes goes to *ret (AES, version = generation). B_E_KEY_AWAITED: the source must ask
 * its own peer first; the run then wants PROFILE_AWAIT, and asks for the key again after it. */
typedef enum b_code profile_key_fn(void *ctx, enum key_role role, uint8_t generation,
                                   const char *diversification,
                                   const struct crypto_div_facts *facts, struct df_key *ret,
                                   struct b_err *err);
struct profile_keys {
    profile_key_fn *badge_key;
    /* NULL: badge_key; for a key that is about to be written, which may have to be made. */
    profile_key_fn *new_key;
    /* NULL, or whether such keys stay where they are: a tap is then proved by the two halves of an
     * authentication (desfire/prove.h), and badge_key is not asked for them. */
    bool (*stays)(void *ctx, enum key_role role, uint8_t generation);
    enum b_code (*prove)(void *ctx, struct profile_proof *p, const uint8_t challenge[static 16],
                         uint8_t frame[static 32], struct b_err *err);
    enum b_code (*check)(void *ctx, struct profile_proof *p, struct b_rd answer, struct b_err *err);
    void *ctx;
};

struct profile_tap {
    uint8_t uid[7];
    uint8_t uid_len;
    uint8_t serial[CRYPTO_SERIAL_MAX];
    uint8_t serial_len;
    uint8_t generation;
    enum df_ev ev; /* DF_EV1 when only AuthenticateAES was possible */
    enum df_auth how;
    uint8_t apdus; /* how many the tap took */
};

struct profile_run; /* allocate profile_run_size() bytes in b_secret memory */
size_t profile_run_size(void);

enum profile_want profile_run_start(struct profile_run *run, const struct profile_job *job,
                                    struct profile_keys keys, struct df_random random,
                                    struct b_wr *out);
enum profile_want profile_run_step(struct profile_run *run, struct b_rd rapdu, struct b_wr *out);
void profile_run_drop(struct profile_run *run); /* wipes */

const struct profile_state *profile_run_state(const struct profile_run *run);
const struct profile_plan *profile_run_plan(const struct profile_run *run);
/* Index into the plan of the step of the last INTENT or EFFECT. */
size_t profile_run_intent(const struct profile_run *run);
const struct profile_tap *profile_run_tap(const struct profile_run *run);
const struct b_err *profile_run_error(const struct profile_run *run);

/* Keys published as examples or defaults, of 16 bytes: known_keys.c. */
size_t profile_known_key_count(void);
const uint8_t *profile_known_key(size_t i);

#endif
