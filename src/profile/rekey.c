/*
 * Re-keying inside a tap's visit: the person was let in, the card still lies on the reader. Only
 * the slots of the roles that are asked for are looked at, and each is proved before anything is
 * planned; whatever else is to be done to a card waits for the desk.
 *
 * A badge whose key changes itself takes seven exchanges: select, version, two frames, ChangeKey,
 * and two frames that prove the new key.
 */
#include <string.h>

#include "profile/run_int.h"

/* The card's own key is looked at after the application's. */
static bool is_card(const struct profile_run *run)
{
    return run->index == run->job->profile.key_count;
}

static bool is_wanted(const struct profile_run *run, enum key_role role)
{
    return role < KEY_ROLE_COUNT && (run->job->rekey_roles >> role & 1) != 0;
}

/* Asked for, or the key that changes one that is asked for. */
static bool is_looked_at(const struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    if (is_card(run))
        return !p->is_guest && is_wanted(run, KEY_ROLE_PICC);
    for (uint8_t no = 0; no < p->key_count; no++)
        if (is_wanted(run, p->keys[no].role) &&
            (no == run->index || run_changing_key(run, no) == run->index))
            return true;
    return false;
}

static void go_to(struct profile_run *run, enum rekey_at at)
{
    run->at = (int)at;
    run->is_asked = false;
}

static enum profile_want take_version(struct profile_run *run, struct profile_slot *slot,
                                      df_aid aid, uint8_t no)
{
    struct b_rd r = df_pcd_answer(&run->pcd);
    if (!run->is_good)
        return run_fail_card(run, "asking the badge for its key version");
    *slot = (struct profile_slot){.kind = PROFILE_KEY_DIVERSIFIED, .type = DF_KEY_AES};
    slot->version = slot->generation = b_rd_u8(&r);
    if (slot->generation == KEY_GENERATION_FACTORY)
        return run_fail(run, B_E_KEY_TOO_WEAK, "the badge still has a factory key");
    if (!run_knows(run, run_role(run, aid, no), slot->generation))
        return run_fail(run, B_E_GENERATION_RETIRED, "the badge's generation is not in use");
    go_to(run, REKEY_KEY);
    return PROFILE_DONE;
}

static enum profile_want look(struct profile_run *run)
{
    df_aid aid = is_card(run) ? 0 : run->job->profile.aid;
    uint8_t no = is_card(run) ? 0 : run->index;
    struct profile_slot *slot = is_card(run) ? &run->state.card_key : &run->state.slots[no];
    enum profile_want want = PROFILE_DONE;
    switch ((enum rekey_at)run->at) {
    case REKEY_SELECT:
        if (run->is_asked && !run->is_good)
            return run_fail_card(run, "selecting what is to be re-keyed");
        want = run_context(run, aid, -1);
        if (want == PROFILE_DONE)
            go_to(run, REKEY_VERSION);
        return want;
    case REKEY_VERSION:
        if (run->is_asked)
            return take_version(run, slot, aid, no);
        df_req_get_key_version(&run->request, no);
        return PROFILE_TX;
    case REKEY_KEY:
        if (run->is_asked && !run->is_good)
            return run_fail_card(run, "authenticating with the key that is to be changed");
        want = run_context(run, aid, no);
        if (want != PROFILE_DONE)
            return want;
        slot->is_proven = true;
        run->index++;
        go_to(run, REKEY_SELECT);
        break;
    }
    return want;
}

/* What is not looked at is neither doubted nor touched; a card with other settings than the
 * profile's refuses the change. */
void rekey_start(struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    struct profile_state *s = &run->state;
    s->ev = run->job->ev_hint != 0 ? run->job->ev_hint : DF_EV2;
    s->has_app = s->has_app_settings = true;
    s->app_settings = (struct df_key_settings){
        .settings = p->app_settings, .type = DF_KEY_AES, .key_count = p->key_count};
    s->slot_count = p->key_count;
    s->card_key.kind = PROFILE_KEY_NOT_TRIED;
    for (uint8_t i = 0; i < p->key_count; i++)
        s->slots[i].kind = PROFILE_KEY_NOT_TRIED;
    if (run->job->uid_len == 7) {
        s->uid_len = 7;
        memcpy(s->uid, run->job->uid, 7);
    }
    s->serial_len = run->job->serial_len;
    memcpy(s->serial, run->job->serial, sizeof(s->serial));
    go_to(run, REKEY_SELECT);
}

enum profile_want rekey_next(struct profile_run *run)
{
    while (run->index <= run->job->profile.key_count) {
        if (!is_looked_at(run)) {
            run->index++;
            continue;
        }
        enum profile_want want = look(run);
        if (want != PROFILE_DONE)
            return want;
    }
    plan_make(run);
    run->phase = RUN_REPORT;
    return PROFILE_INSPECTED;
}
