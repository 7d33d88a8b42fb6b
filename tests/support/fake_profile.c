/*
 * A machine of profile's shape that has no card behind it, for tests of the vault's dispatcher:
 *
 *   start  TX of the job's UID;  step  INSPECTED, PLANNED, INTENT, TX of the badge key XOR the
 *   answer (so that a test sees that the key was derived), EFFECT, DONE
 *
 * An answer of 6F 00 fails the job. Job on the wire: goal, given_count, uid_len, uid.
 */
#include <string.h>

#include "profile/run.h"

struct profile_run {
    unsigned at;
    const struct profile_job *job;
    struct profile_keys keys;
    struct df_key key;
    struct b_err err;
    struct profile_tap tap;
};
static struct profile_state state;
static struct profile_plan plan;

size_t profile_run_size(void)
{
    return sizeof(struct profile_run);
}

enum profile_want profile_run_start(struct profile_run *run, const struct profile_job *job,
                                    struct profile_keys keys, struct df_random random,
                                    struct b_wr *out)
{
    (void)random;
    *run = (struct profile_run){.job = job, .keys = keys};
    b_wr_bytes(out, job->uid, job->uid_len);
    return PROFILE_TX;
}

static enum profile_want use_key(struct profile_run *run, struct b_rd rapdu, struct b_wr *out)
{
    struct crypto_div_facts facts = {.uid_len = 7, .system = "NXP Abu", .system_len = 7};
    memcpy(facts.uid, run->job->uid, 7);
    if (run->keys.badge_key(run->keys.ctx, KEY_ROLE_AUTH, 1, "uid-aid-system", &facts, &run->key,
                            &run->err) != B_OK)
        return PROFILE_FAILED;
    for (size_t i = 0; i < 16; i++)
        b_wr_u8(out, (uint8_t)(run->key.bytes[i] ^ b_rd_u8(&rapdu)));
    return PROFILE_TX;
}

enum profile_want profile_run_step(struct profile_run *run, struct b_rd rapdu, struct b_wr *out)
{
    static const enum profile_want script[] = {PROFILE_INSPECTED, PROFILE_PLANNED, PROFILE_INTENT,
                                               PROFILE_TX,        PROFILE_EFFECT,  PROFILE_DONE};
    if (rapdu.left == 2 && rapdu.p[0] == 0x6F) {
        (void)b_err_set(&run->err, B_E_CARD_REMOVED, 0, "the card is gone");
        return PROFILE_FAILED;
    }
    enum profile_want want = script[run->at++ % B_COUNT(script)];
    if (want == PROFILE_TX)
        return use_key(run, rapdu, out);
    run->tap.generation = 1;
    run->tap.apdus = 2;
    return want;
}

void profile_run_drop(struct profile_run *run)
{
    b_wipe(run, sizeof(*run));
}

const struct profile_state *profile_run_state(const struct profile_run *run)
{
    (void)run;
    return &state;
}

const struct profile_plan *profile_run_plan(const struct profile_run *run)
{
    (void)run;
    return &plan;
}

size_t profile_run_intent(const struct profile_run *run)
{
    return run->at;
}

const struct profile_tap *profile_run_tap(const struct profile_run *run)
{
    return &run->tap;
}

const struct b_err *profile_run_error(const struct profile_run *run)
{
    return &run->err;
}

void profile_state_encode(const struct profile_state *s, struct b_wr *w)
{
    b_wr_le32(w, s->free_bytes);
}

bool profile_state_decode(struct b_rd *r, struct profile_state *ret)
{
    ret->free_bytes = b_rd_le32(r);
    return b_rd_ok(r);
}

void profile_plan_encode(const struct profile_plan *p, struct b_wr *w)
{
    b_wr_u8(w, p->step_count);
}

bool profile_plan_decode(struct b_rd *r, struct profile_plan *ret)
{
    ret->step_count = b_rd_u8(r);
    return b_rd_ok(r);
}

void profile_job_encode(const struct profile_job *j, struct b_wr *w)
{
    b_wr_u8(w, (uint8_t)j->goal);
    b_wr_u8(w, j->given_count);
    b_wr_u8(w, j->uid_len);
    b_wr_bytes(w, j->uid, j->uid_len);
}

bool profile_job_decode(struct b_rd *r, struct profile_job *ret)
{
    uint8_t goal = b_rd_u8(r);
    ret->given_count = b_rd_u8(r);
    ret->uid_len = b_rd_u8(r);
    if (goal > PROFILE_GOAL_REKEY || ret->uid_len > sizeof(ret->uid))
        return false;
    ret->goal = (enum profile_goal)goal;
    b_rd_bytes(r, ret->uid, ret->uid_len);
    return b_rd_ok(r);
}

enum b_code profile_check(const struct profile *p, struct b_err *err)
{
    return p->revision == 0 ? B_OK : b_err_set(err, B_E_PROFILE_RULE, 0, "a rule");
}
