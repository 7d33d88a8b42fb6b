/* The driver: requests to the reader's side, phases in their order, keys by slot. */
#include "profile/run.h"

#include <string.h>

#include "profile/run_int.h"

size_t profile_run_size(void)
{
    return sizeof(struct profile_run);
}

enum profile_want run_fail(struct profile_run *run, enum b_code code, const char *what)
{
    if (run->error.code == B_OK)
        (void)b_err_set(&run->error, code, 0, "%s", b_err_word(what));
    else
        (void)b_err_wrap(&run->error, "%s", b_err_word(what));
    run->phase = RUN_OVER;
    return PROFILE_FAILED;
}

enum profile_want run_fail_card(struct profile_run *run, const char *what)
{
    run->error = *df_pcd_error(&run->pcd);
    /* A card may answer well with bytes that are no answer to the command. */
    return run_fail(run, B_E_CARD_PROTOCOL, what);
}

/* --- keys
 * --------------------------------------------------------------------------------------------- */

enum key_role run_role(const struct profile_run *run, df_aid aid, uint8_t no)
{
    if (aid == 0)
        return KEY_ROLE_PICC;
    return no < run->job->profile.key_count ? run->job->profile.keys[no].role : KEY_ROLE_COUNT;
}

uint8_t run_changing_key(const struct profile_run *run, uint8_t no)
{
    uint8_t right = run->state.app_settings.settings >> 4;
    if (no == 0 || right == no)
        return 0;
    return right == 0xE ? no : right;
}

bool run_knows(const struct profile_run *run, enum key_role role, uint8_t generation)
{
    if (role >= KEY_ROLE_COUNT || generation == KEY_GENERATION_FACTORY)
        return false;
    const struct profile_generations *g = &run->job->generations[role];
    return memchr(g->known, generation, g->known_count) != NULL;
}

enum df_auth run_auth(const struct profile_run *run, df_aid aid, enum df_key_type type)
{
    if (type != DF_KEY_AES)
        return DF_AUTH_ISO;
    /* A key that goes back to DES is changed under EV1 messaging, whose cryptogram for it is
     * published; the one of EV2 is not. */
    bool goes_back = aid == 0 && run->job->goal == PROFILE_GOAL_BLANK;
    return run->state.ev >= DF_EV2 && !goes_back ? DF_AUTH_EV2_FIRST : DF_AUTH_AES;
}

void run_facts(const struct profile_run *run, df_aid aid, uint8_t no, struct crypto_div_facts *ret)
{
    const struct profile *p = &run->job->profile;
    const struct profile_state *s = &run->state;
    *ret = (struct crypto_div_facts){.key_no = no, .system_len = p->system_len};
    ret->aid[0] = (uint8_t)aid;
    ret->aid[1] = (uint8_t)(aid >> 8);
    ret->aid[2] = (uint8_t)(aid >> 16);
    memcpy(ret->system, p->system, sizeof(ret->system));
    /* What the card itself proved or said comes before what the reader shows. */
    const uint8_t *uid = s->uid_len != 0 ? s->uid : run->job->uid;
    ret->uid_len = s->uid_len != 0 ? s->uid_len : run->job->uid_len;
    memcpy(ret->uid, uid, ret->uid_len);
    const uint8_t *serial = s->serial_len != 0 ? s->serial : run->job->serial;
    ret->serial_len = s->serial_len != 0 ? s->serial_len : run->job->serial_len;
    memcpy(ret->serial, serial, ret->serial_len);
}

enum b_code run_new_key(struct profile_run *run, const struct profile_step *s, struct df_key *ret)
{
    struct crypto_div_facts facts;
    profile_key_fn *make = run->keys.new_key != NULL ? run->keys.new_key : run->keys.badge_key;
    run_facts(run, s->aid, s->no, &facts);
    return make(run->keys.ctx, s->role, s->to_generation, run->job->profile.diversification, &facts,
                ret, &run->error);
}

enum profile_want run_no_key(struct profile_run *run, enum b_code code, const char *what)
{
    if (code != B_E_KEY_AWAITED)
        return run_fail(run, code, what);
    run->error.code = B_OK;
    return PROFILE_AWAIT;
}

const struct profile_layout *run_layout(const struct profile_run *run)
{
    uint8_t layout = run->state.layout;
    return layout > 0 ? &run->job->fleet.layouts[layout - 1] : NULL;
}

/* A key that others made for this badge: given is their master, and the layout says of what. */
static enum b_code derive_given(struct profile_run *run, df_aid aid, uint8_t no, uint8_t given,
                                struct df_key *ret)
{
    const struct profile_layout *l = run_maker(run->job, given);
    b_check(l != NULL); /* a trial of this kind names one */
    const struct df_key *master = &run->job->given[given % run->job->given_count];
    const struct crypto_div_profile *rule =
        crypto_div_find(aid == 0 ? l->card_diversification : l->diversification);
    enum crypto_cipher cipher = master->type == DF_KEY_AES      ? CRYPTO_AES128
                                : master->type == DF_KEY_3K3DES ? CRYPTO_TDEA3
                                                                : CRYPTO_TDEA2;
    uint8_t input[CRYPTO_DIV_INPUT_MAX];
    struct b_wr w = b_wr_from(input, sizeof(input));
    struct crypto_div_facts facts;
    struct crypto_key key;
    if (rule == NULL)
        return b_err_set(&run->error, B_E_KEY_MISSING, 0, "the layout names no diversification");
    run_facts(run, aid, no, &facts);
    memcpy(facts.system, l->system, sizeof(facts.system));
    facts.system_len = l->system_len;
    enum b_code r = crypto_div_input(rule, &facts, &w, &run->error);
    if (r != B_OK)
        return r;
    crypto_key_init(&key, cipher, master->bytes);
    *ret = (struct df_key){.type = master->type, .version = master->version};
    r = crypto_an10922(&key, input, w.len, ret->bytes, &run->error);
    crypto_key_drop(&key);
    return r;
}

enum b_code run_slot_key(struct profile_run *run, df_aid aid, uint8_t no,
                         const struct profile_slot *slot, uint8_t given, struct df_key *ret)
{
    struct crypto_div_facts facts;
    memset(ret, 0, sizeof(*ret));
    ret->type = slot->type;
    switch (slot->kind) {
    case PROFILE_KEY_FACTORY:
    case PROFILE_KEY_NOT_TRIED:
    case PROFILE_KEY_UNKNOWN:
        return B_OK; /* zero bytes; for an unknown one the card will say no */
    case PROFILE_KEY_KNOWN:
        memcpy(ret->bytes, profile_known_key(given), 16);
        return B_OK;
    case PROFILE_KEY_GIVEN:
        *ret = run->job->given[given];
        return B_OK;
    case PROFILE_KEY_DERIVED:
        return derive_given(run, aid, no, given, ret);
    case PROFILE_KEY_DIVERSIFIED:
        run_facts(run, aid, no, &facts);
        return run->keys.badge_key(run->keys.ctx, run_role(run, aid, no), slot->generation,
                                   run->job->profile.diversification, &facts, ret, &run->error);
    }
    return B_E_INTERNAL;
}

/* --- context
 * -------------------------------------------------------------------------------------------- */

enum profile_want run_context(struct profile_run *run, df_aid aid, int key_no)
{
    struct df_pcd *pcd = &run->pcd;
    if (df_pcd_selected(pcd) != aid) {
        df_req_select(&run->request, aid);
        return PROFILE_TX;
    }
    if (key_no < 0)
        return PROFILE_DONE;
    uint8_t no = (uint8_t)key_no;
    const struct profile_slot *slot = aid == 0 ? &run->state.card_key : &run->state.slots[no];
    enum df_auth how = run_auth(run, aid, slot->type);
    if (df_pcd_session(pcd) == how && df_pcd_session_key_no(pcd) == no)
        return PROFILE_DONE;
    uint8_t given = aid == 0 ? run->given_of_card : run->given_of_slot[no];
    enum b_code r = run_slot_key(run, aid, no, slot, given, &run->key);
    if (r != B_OK)
        return run_no_key(run, r, "deriving the badge's key");
    df_req_authenticate(&run->request, how, no, &run->key);
    return PROFILE_TX;
}

const struct profile_file *run_file(const struct profile_run *run, uint8_t no)
{
    const struct profile *p = &run->job->profile;
    for (uint8_t i = 0; i < p->file_count; i++) {
        if (p->files[i].no == no)
            return &p->files[i];
    }
    return NULL;
}

const struct profile_file *run_serial_file(const struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    for (uint8_t i = 0; i < p->file_count; i++) {
        if (p->files[i].content == PROFILE_CONTENT_SERIAL)
            return &p->files[i];
    }
    return NULL;
}

size_t run_content(const struct profile_run *run, const struct profile_file *f, uint8_t *out)
{
    const struct profile_job *j = run->job;
    size_t n = f->settings.size;
    memset(out, 0, n);
    if (f->content == PROFILE_CONTENT_BYTES) {
        memcpy(out, f->bytes, f->bytes_len);
    } else if (f->content == PROFILE_CONTENT_SERIAL && run->state.serial_len != 0) {
        /* A serial that stands on the card is kept: its keys may be made of it already. What was
         * read is written again all the same where no key proved it (plan.c). */
        memcpy(out, run->state.serial, run->state.serial_len);
    } else if (f->content == PROFILE_CONTENT_SERIAL) {
        memcpy(out, j->serial, j->serial_len);
    } else if (f->content == PROFILE_CONTENT_HOLDER) {
        memcpy(out, j->holder, j->holder_len < n ? j->holder_len : n);
    }
    return n;
}

/* --- driver
 * ---------------------------------------------------------------------------------------------- */

static enum profile_want planned_next(struct profile_run *run)
{
    if (run->plan.is_blocked && run->job->goal != PROFILE_GOAL_SCAN) {
        run->error = run->plan.blocker;
        run->phase = RUN_OVER;
        return PROFILE_FAILED;
    }
    bool is_over = run->job->goal == PROFILE_GOAL_SCAN || run->plan.step_count == 0;
    run->phase = is_over ? RUN_OVER : RUN_APPLY;
    run->at = APPLY_CONTEXT;
    run->is_asked = false;
    return is_over ? PROFILE_DONE : apply_next(run);
}

static enum profile_want report_plan(struct profile_run *run)
{
    run->phase = RUN_PLANNED;
    return PROFILE_PLANNED;
}

static enum profile_want end_with_uid(struct profile_run *run)
{
    if (run->state.uid_len == 0)
        return run_fail(
            run, B_E_CARD_FOREIGN,
            "it shows a random UID, and no key that was given tells its own: see uid-key "
            "in tessere-fleet(5)");
    run->phase = RUN_OVER;
    return PROFILE_DONE;
}

static enum profile_want next(struct profile_run *run)
{
    switch (run->phase) {
    case RUN_INSPECT:
        return inspect_next(run);
    case RUN_REPORT:
        return run->job->goal == PROFILE_GOAL_UID ? end_with_uid(run) : report_plan(run);
    case RUN_PLANNED:
        return planned_next(run);
    case RUN_APPLY:
        return apply_next(run);
    case RUN_TAP:
        return tap_next(run);
    case RUN_REKEY:
        return rekey_next(run);
    case RUN_OVER:
        break;
    }
    return run_fail(run, B_E_INTERNAL, "a run that is over was asked to go on");
}

static void take_outcome(struct profile_run *run, enum df_want want)
{
    run->is_waiting = false;
    run->is_asked = true;
    run->is_good = want == DF_DONE;
}

static enum profile_want drive(struct profile_run *run, struct b_wr *out)
{
    for (;;) {
        enum profile_want want = next(run);
        if (want != PROFILE_TX)
            return want;
        enum df_want card = df_pcd_start(&run->pcd, &run->request,
                                         b_wr_from(run->answer, sizeof(run->answer)), out);
        if (card == DF_TX) {
            run->apdus++;
            run->is_waiting = true;
            return PROFILE_TX;
        }
        take_outcome(run, card);
    }
}

enum profile_want profile_run_start(struct profile_run *run, const struct profile_job *job,
                                    struct profile_keys keys, struct df_random random,
                                    struct b_wr *out)
{
    memset(run, 0, sizeof(*run));
    run->job = job;
    run->keys = keys;
    run->diversification = crypto_div_find(job->profile.diversification);
    df_pcd_init(&run->pcd, random);
    if (run->diversification == NULL)
        return run_fail(run, B_E_PROFILE_RULE, "the profile names no diversification profile");
    static const enum run_phase first[] = {[PROFILE_GOAL_TAP] = RUN_TAP,
                                           [PROFILE_GOAL_REKEY] = RUN_REKEY,
                                           [PROFILE_GOAL_UID] = RUN_INSPECT};
    run->phase = first[job->goal]; /* what is not there: RUN_INSPECT */
    if (run->phase == RUN_REKEY)
        rekey_start(run);
    return drive(run, out);
}

enum profile_want profile_run_step(struct profile_run *run, struct b_rd rapdu, struct b_wr *out)
{
    if (run->is_waiting) {
        enum df_want card = df_pcd_step(&run->pcd, rapdu, out);
        if (card == DF_TX) {
            run->apdus++;
            return PROFILE_TX;
        }
        take_outcome(run, card);
    }
    return drive(run, out);
}

void profile_run_drop(struct profile_run *run)
{
    df_pcd_drop(&run->pcd);
    b_wipe(run, sizeof(*run));
}

const struct profile_state *profile_run_state(const struct profile_run *run)
{
    return &run->state;
}

const struct profile_plan *profile_run_plan(const struct profile_run *run)
{
    return &run->plan;
}

size_t profile_run_intent(const struct profile_run *run)
{
    return run->step;
}

const struct profile_tap *profile_run_tap(const struct profile_run *run)
{
    return run->job->goal == PROFILE_GOAL_TAP ? &run->tap : NULL;
}

const struct b_err *profile_run_error(const struct profile_run *run)
{
    return &run->error;
}
