/*
 * The tap: authenticate the key of role auth with the fewest exchanges. Select and two frames are
 * three APDUs; a serial profile reads one file more; nothing else is asked of a card that answers
 * as the store remembers it.
 */
#include <string.h>

#include "profile/run_int.h"

static uint8_t auth_no(const struct profile_run *run)
{
    return (uint8_t)profile_key_no(&run->job->profile, KEY_ROLE_AUTH);
}

static enum profile_want ask(struct profile_run *run, int at)
{
    run->at = at;
    return PROFILE_TX;
}

static enum b_code inside_frame(void *ctx, enum df_auth how, const uint8_t challenge[static 16],
                                uint8_t frame[static 32], struct b_err *err)
{
    struct profile_run *run = ctx;
    run->proof.how = how;
    return run->keys.prove(run->keys.ctx, &run->proof, challenge, frame, err);
}

static enum b_code inside_check(void *ctx, enum df_auth how, struct b_rd answer, struct b_err *err)
{
    struct profile_run *run = ctx;
    if (answer.left != df_prove_answer_size(how))
        return b_err_set(err, B_E_CARD_PROTOCOL, 0, "%zu bytes instead of the card's proof",
                         answer.left);
    return run->keys.check(run->keys.ctx, &run->proof, answer, err);
}

/* By a key that stays where it is. */
static void prove_inside(struct profile_run *run, uint8_t generation)
{
    const struct profile *p = &run->job->profile;
    run->proof = (struct profile_proof){
        .role = KEY_ROLE_AUTH, .generation = generation, .diversification = p->diversification};
    run_facts(run, p->aid, auth_no(run), &run->proof.facts);
    run->prover = (struct df_prover){inside_frame, inside_check, run};
    df_req_prove(&run->request, run->tap.how, auth_no(run), &run->prover);
}

static enum profile_want ask_version(struct profile_run *run)
{
    run->has_told = true;
    run->error.code = B_OK;
    df_req_get_key_version(&run->request, auth_no(run));
    return ask(run, TAP_VERSION);
}

static enum profile_want prove(struct profile_run *run)
{
    struct profile_slot slot = {
        .kind = PROFILE_KEY_DIVERSIFIED, .type = DF_KEY_AES, .generation = run->tap.generation};
    if (!run_knows(run, KEY_ROLE_AUTH, slot.generation))
        return run_fail(run, B_E_GENERATION_RETIRED, "the badge's generation is not in use");
    run->error.code = B_OK;
    if (run->keys.stays != NULL && run->keys.stays(run->keys.ctx, KEY_ROLE_AUTH, slot.generation)) {
        prove_inside(run, slot.generation);
        return ask(run, TAP_PROOF);
    }
    enum b_code r = run_slot_key(run, run->job->profile.aid, auth_no(run), &slot, 0, &run->key);
    run->at = TAP_PROVE; /* where it is asked for again */
    if (r == B_E_STORED_KEY_MISSING && !run->has_told)
        return ask_version(run);
    if (r != B_OK)
        return run_no_key(run, r, "deriving the badge's key");
    df_req_authenticate(&run->request, run->tap.how, auth_no(run), &run->key);
    return ask(run, TAP_PROOF);
}

/* Status words other than 91xx: the card does not speak DESFire at all. */
static bool is_alien(const struct profile_run *run)
{
    return !run->is_good && df_pcd_error(&run->pcd)->aux > 0xFF;
}

static enum profile_want selected(struct profile_run *run)
{
    if (is_alien(run))
        return run_fail(run, B_E_NOT_DESFIRE, "selecting the establishment's application");
    if (!run->is_good) {
        if (df_pcd_status(&run->pcd) == DF_SW_APPLICATION_NOT_FOUND)
            return run_fail(run, B_E_BADGE_UNKNOWN,
                            "the card does not hold this establishment's application");
        return run_fail_card(run, "selecting the establishment's application");
    }
    const struct profile_file *f = run_serial_file(run);
    if (!crypto_div_uses_serial(run->diversification) || f == NULL)
        return prove(run);
    df_req_read_data(&run->request, f->no, 0, CRYPTO_SERIAL_MAX, DF_COMM_PLAIN);
    return ask(run, TAP_SERIAL);
}

/* A serial is kept zero padded; its zeros are not part of it. */
static void take_serial(struct profile_run *run)
{
    struct b_rd r = df_pcd_answer(&run->pcd);
    size_t n = r.left < CRYPTO_SERIAL_MAX ? r.left : CRYPTO_SERIAL_MAX;
    b_rd_bytes(&r, run->state.serial, n);
    while (n > 0 && run->state.serial[n - 1] == 0)
        n--;
    run->state.serial_len = (uint8_t)n;
    memcpy(run->tap.serial, run->state.serial, n);
    run->tap.serial_len = (uint8_t)n;
}

static enum profile_want proved(struct profile_run *run)
{
    if (run->is_good) {
        run->tap.apdus = run->apdus;
        run->tap.ev = run->tap.how == DF_AUTH_AES ? DF_EV1 : DF_EV2;
        run->phase = RUN_OVER;
        return PROFILE_DONE;
    }
    if (df_pcd_status(&run->pcd) == DF_SW_ILLEGAL_COMMAND && run->tap.how == DF_AUTH_EV2_FIRST) {
        run->tap.how = DF_AUTH_AES; /* an EV1 card */
        return prove(run);
    }
    /* Only a card that refuses the key is asked what key it has; a card whose proof is wrong is
     * not believed anything. */
    if (df_pcd_status(&run->pcd) != DF_SW_AUTHENTICATION_ERROR)
        return run_fail_card(run, "authenticating the badge");
    run->was_tried = true;
    return ask_version(run);
}

static enum profile_want versioned(struct profile_run *run)
{
    struct b_rd r = df_pcd_answer(&run->pcd);
    if (!run->is_good)
        return run_fail_card(run, "asking the badge for its key version");
    uint8_t version = b_rd_u8(&r);
    if (version == KEY_GENERATION_FACTORY)
        return run_fail(run, B_E_KEY_TOO_WEAK, "the badge still has a factory key");
    if (run->was_tried && version == run->tap.generation)
        return run_fail(run, B_E_CARD_AUTH, "the badge does not hold its key");
    run->tap.generation = version;
    return prove(run);
}

enum profile_want tap_next(struct profile_run *run)
{
    const struct profile_job *j = run->job;
    switch ((enum tap_at)run->at) {
    case TAP_START:
        run->tap.generation =
            j->auth_hint != 0 ? j->auth_hint : j->generations[KEY_ROLE_AUTH].target;
        run->tap.how = j->ev_hint == DF_EV1 ? DF_AUTH_AES : DF_AUTH_EV2_FIRST;
        if (crypto_div_uses_uid(run->diversification) && j->uid_len == 0) {
            df_req_plain(&run->request, DF_CMD_GET_VERSION);
            return ask(run, TAP_UID);
        }
        run->tap.uid_len = j->uid_len == 7 ? 7 : 0;
        memcpy(run->tap.uid, j->uid, run->tap.uid_len);
        df_req_select(&run->request, j->profile.aid);
        return ask(run, TAP_SELECTED);
    case TAP_UID:
        if (is_alien(run))
            return run_fail(run, B_E_NOT_DESFIRE, "asking the card for its version");
        if (!run->is_good || !df_rsp_version(df_pcd_answer(&run->pcd), &run->state.version))
            return run_fail_card(run, "asking the card for its version");
        memcpy(run->state.uid, run->state.version.uid, 7);
        run->state.uid_len = 7;
        memcpy(run->tap.uid, run->state.uid, 7);
        run->tap.uid_len = 7;
        df_req_select(&run->request, j->profile.aid);
        return ask(run, TAP_SELECTED);
    case TAP_SELECTED:
        return selected(run);
    case TAP_SERIAL:
        if (!run->is_good)
            return run_fail_card(run, "reading the badge's serial");
        take_serial(run);
        return prove(run);
    case TAP_PROVE:
        return prove(run);
    case TAP_PROOF:
        return proved(run);
    case TAP_VERSION:
        return versioned(run);
    }
    return run_fail(run, B_E_INTERNAL, "tap");
}
