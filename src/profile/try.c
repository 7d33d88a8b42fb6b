/* Which key opens a slot: trials, one authentication each. */
#include <string.h>

#include "profile/run_int.h"

static enum profile_want ask(struct profile_run *run)
{
    run->is_asked = false;
    return PROFILE_TX;
}

/* The n-th key to try on a slot: ours by its version byte, factory, known, given, made of given
 * ones. False: no more. */
static bool candidate_at(struct profile_run *run, const struct profile_slot *slot, uint8_t n)
{
    struct profile_slot *t = &run->trial;
    size_t known =
        run->job->tries_known_keys && slot->type == DF_KEY_AES ? profile_known_key_count() : 0;
    *t = *slot;
    t->generation = 0;
    if (n == 0) {
        t->kind = PROFILE_KEY_DIVERSIFIED;
        t->generation = slot->version;
        return true;
    }
    if (n == 1) {
        t->kind = PROFILE_KEY_FACTORY;
        return true;
    }
    if (n - 2u < known) {
        t->kind = PROFILE_KEY_KNOWN;
        run->trial_given = (uint8_t)(n - 2);
        return true;
    }
    run->trial_given = (uint8_t)(n - 2u - known);
    t->kind = run->trial_given < run->job->given_count ? PROFILE_KEY_GIVEN : PROFILE_KEY_DERIVED;
    return run->trial_given < run_given_count(run->job);
}

/* Whether a layout says that a key of this level is made so. */
static bool is_made_so(const struct profile_run *run, df_aid aid)
{
    const struct profile_layout *there = run_layout(run);
    const struct profile_layout *l = run_maker(run->job, run->trial_given);
    if (l == NULL) /* as it was given */
        return aid == 0 || there == NULL || aid != there->aid || there->diversification[0] == '\0';
    return aid == 0 ? l->card_diversification[0] != '\0'
                    : aid == l->aid && l->diversification[0] != '\0';
}

/* The card does not tell of what type its own key is until it is opened. */
static bool has_unknown_type(const struct profile_run *run, df_aid aid)
{
    return aid == 0 && !run->state.has_card_settings;
}

/* A candidate that cannot be the one costs no exchange. */
static bool is_worth_trying(struct profile_run *run, df_aid aid, uint8_t no)
{
    struct profile_slot *t = &run->trial;
    if (t->kind == PROFILE_KEY_DIVERSIFIED)
        return t->type == DF_KEY_AES && (aid == 0 || aid == run->job->profile.aid) &&
               run_knows(run, run_role(run, aid, no), t->generation);
    if (t->kind == PROFILE_KEY_GIVEN || t->kind == PROFILE_KEY_DERIVED) {
        enum df_key_type type = run->job->given[run->trial_given % run->job->given_count].type;
        if (has_unknown_type(run, aid))
            t->type = type;
        return type == t->type && is_made_so(run, aid);
    }
    /* A factory key has version 0 unless somebody set a default key with another. */
    return t->kind != PROFILE_KEY_FACTORY || t->version == 0 || run->job->tries_known_keys;
}

/* The next authentication to try on this slot; PROFILE_DONE when nothing is left to try. */
static enum profile_want try_next(struct profile_run *run, df_aid aid, uint8_t no,
                                  const struct profile_slot *slot)
{
    while (candidate_at(run, slot, run->candidate)) {
        if (is_worth_trying(run, aid, no)) {
            enum b_code r = run_slot_key(run, aid, no, &run->trial, run->trial_given, &run->key);
            if (r == B_OK) {
                df_req_authenticate(&run->request, run_auth(run, aid, run->trial.type), no,
                                    &run->key);
                return ask(run);
            }
            /* A key that this badge cannot have is passed over; a token that fails is not. One that
             * is awaited is tried when it is there. */
            run->is_asked = false;
            if (r != B_E_KEY_MISSING && r != B_E_STORED_KEY_MISSING && r != B_E_RANDOM_UID &&
                r != B_E_KEY_LENGTH)
                return run_no_key(run, r, "deriving a key of the badge");
            run->error.code = B_OK;
        }
        run->candidate++;
    }
    return PROFILE_DONE;
}

enum profile_want run_find_key(struct profile_run *run, df_aid aid, uint8_t no,
                               struct profile_slot *slot, uint8_t *ret_given)
{
    bool is_tried = run->is_asked && !run->is_selecting;
    run->is_selecting = false;
    if (is_tried && run->is_good) {
        *slot = run->trial;
        slot->is_proven = true;
        *ret_given = run->trial_given;
        return PROFILE_DONE;
    }
    if (is_tried)
        run->candidate++;
    /* A key of another length left the card in the middle of an authentication. */
    if (is_tried && has_unknown_type(run, aid)) {
        run->is_selecting = true;
        df_req_select(&run->request, aid);
        return ask(run);
    }
    enum profile_want want = try_next(run, aid, no, slot);
    if (want == PROFILE_DONE)
        slot->kind = PROFILE_KEY_UNKNOWN;
    return want;
}
