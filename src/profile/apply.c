/*
 * Carrying a plan out: for each step the context it needs (selection, session), the intent told
 * before the command is sent, the command, and, where a key changed itself and the card's answer
 * is bare, a proof that it has the new key; then the effect is told.
 */
#include <string.h>

#include "profile/run_int.h"

static const struct profile_step *step_of(const struct profile_run *run)
{
    return &run->plan.steps[run->step];
}

/* The key whose session the step needs: -1 none, -2 there is none that may. */
static int session_key(const struct profile_run *run, const struct profile_step *s)
{
    const struct profile_file *f = run_file(run, s->no);
    switch (s->kind) {
    case PROFILE_STEP_CREATE_APPLICATION:
        return run->job->profile.is_guest ? -1 : 0;
    case PROFILE_STEP_CHANGE_KEY:
        return run_changing_key(run, s->no) == 0xF ? -2 : run_changing_key(run, s->no);
    case PROFILE_STEP_CHANGE_FILE_SETTINGS:
        for (uint8_t i = 0; i < run->state.file_count; i++) {
            uint8_t right = run->state.files[i].settings.rights.change;
            if (run->state.files[i].no == s->no)
                return right == DF_RIGHT_FREE ? -1 : right;
        }
        return -2;
    case PROFILE_STEP_WRITE_FILE:
        if (f->settings.rights.write < DF_RIGHT_FREE)
            return f->settings.rights.write;
        return f->settings.rights.read_write < DF_RIGHT_FREE ? f->settings.rights.read_write : -2;
    case PROFILE_STEP_CHANGE_CARD_SETTINGS:
    case PROFILE_STEP_CHANGE_CARD_KEY:
    case PROFILE_STEP_DELETE_FILE:
    case PROFILE_STEP_CREATE_FILE:
    case PROFILE_STEP_OPEN_APPLICATION:
    case PROFILE_STEP_CHANGE_APP_SETTINGS:
    case PROFILE_STEP_SET_RANDOM_UID:
    case PROFILE_STEP_DISABLE_FORMAT:
    case PROFILE_STEP_DELETE_APPLICATION:
    case PROFILE_STEP_FORMAT:
    case PROFILE_STEP_RESET_CARD_SETTINGS:
    case PROFILE_STEP_RESET_CARD_KEY:
    case PROFILE_STEP_KIND_COUNT:
        break;
    }
    return 0;
}

/* At which level the step happens: application steps inside it, the rest on the card. */
static df_aid level_of(const struct profile_run *run, const struct profile_step *s)
{
    switch (s->kind) {
    case PROFILE_STEP_CHANGE_KEY:
    case PROFILE_STEP_DELETE_FILE:
    case PROFILE_STEP_CREATE_FILE:
    case PROFILE_STEP_CHANGE_FILE_SETTINGS:
    case PROFILE_STEP_WRITE_FILE:
    case PROFILE_STEP_OPEN_APPLICATION:
    case PROFILE_STEP_CHANGE_APP_SETTINGS:
        return s->aid;
    case PROFILE_STEP_DELETE_APPLICATION: /* a guest's application is deleted by its own key */
        return run->job->profile.is_guest ? s->aid : 0;
    case PROFILE_STEP_CREATE_APPLICATION:
    case PROFILE_STEP_CHANGE_CARD_SETTINGS:
    case PROFILE_STEP_CHANGE_CARD_KEY:
    case PROFILE_STEP_SET_RANDOM_UID:
    case PROFILE_STEP_DISABLE_FORMAT:
    case PROFILE_STEP_FORMAT:
    case PROFILE_STEP_RESET_CARD_SETTINGS:
    case PROFILE_STEP_RESET_CARD_KEY:
    case PROFILE_STEP_KIND_COUNT:
        break;
    }
    return 0;
}

/* --- requests
 * ---------------------------------------------------------------------------------------------- */

static void request_application(struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    struct df_app_spec spec = {.aid = p->aid,
                               .settings = 0x0B, /* see plan.c, ENCODING_SETTINGS */
                               .type = DF_KEY_AES,
                               .key_count = p->key_count,
                               .has_iso = p->has_iso,
                               .iso_fid = p->iso_fid,
                               .df_name_len = p->df_name_len};
    memcpy(spec.df_name, p->df_name, sizeof(spec.df_name));
    df_req_create_application(&run->request, &spec);
}

static enum b_code request_key(struct profile_run *run, const struct profile_step *s)
{
    df_aid aid = s->aid;
    struct profile_slot *slot = aid == 0 ? &run->state.card_key : &run->state.slots[s->no];
    uint8_t given = aid == 0 ? run->given_of_card : run->given_of_slot[s->no];
    bool is_own = df_pcd_session_key_no(&run->pcd) == s->no;
    enum b_code r = run_new_key(run, s, &run->key);
    if (r == B_OK && !is_own)
        r = run_slot_key(run, aid, s->no, slot, given, &run->old_key);
    if (r != B_OK)
        return r;
    df_req_change_key(&run->request, s->no, &run->key, is_own ? NULL : &run->old_key);
    return B_OK;
}

static void request_write(struct profile_run *run, const struct profile_step *s)
{
    const struct profile_file *f = run_file(run, s->no);
    size_t n = run_content(run, f, run->content);
    df_req_write_data(&run->request, s->no, 0, run->content, n, f->settings.comm);
}

/* Builds the step's command. */
static enum b_code request(struct profile_run *run, const struct profile_step *s)
{
    const struct profile *p = &run->job->profile;
    const struct profile_file *f = run_file(run, s->no);
    switch (s->kind) {
    case PROFILE_STEP_CREATE_APPLICATION:
        request_application(run);
        break;
    case PROFILE_STEP_CHANGE_CARD_SETTINGS:
        df_req_change_key_settings(&run->request, p->card_settings);
        break;
    case PROFILE_STEP_CHANGE_CARD_KEY:
    case PROFILE_STEP_CHANGE_KEY:
        return request_key(run, s);
    case PROFILE_STEP_DELETE_FILE:
        df_req_delete_file(&run->request, s->no);
        break;
    case PROFILE_STEP_CREATE_FILE:
        df_req_create_file(&run->request, s->no, &f->settings);
        break;
    case PROFILE_STEP_CHANGE_FILE_SETTINGS:
        df_req_change_file_settings(&run->request, s->no, f->settings.comm, f->settings.rights,
                                    session_key(run, s) < 0);
        break;
    case PROFILE_STEP_WRITE_FILE:
        request_write(run, s);
        break;
    case PROFILE_STEP_OPEN_APPLICATION:
        df_req_change_key_settings(&run->request, p->app_settings & 0x0F);
        break;
    case PROFILE_STEP_CHANGE_APP_SETTINGS:
        df_req_change_key_settings(&run->request, p->app_settings);
        break;
    case PROFILE_STEP_SET_RANDOM_UID:
    case PROFILE_STEP_DISABLE_FORMAT:
        run->content[0] = s->kind == PROFILE_STEP_SET_RANDOM_UID ? 0x02 : 0x01;
        df_req_set_configuration(&run->request, 0x00, run->content, 1);
        break;
    case PROFILE_STEP_DELETE_APPLICATION:
        df_req_delete_application(&run->request, s->aid);
        break;
    case PROFILE_STEP_FORMAT:
        df_req_plain(&run->request, DF_CMD_FORMAT_PICC);
        break;
    case PROFILE_STEP_RESET_CARD_SETTINGS:
        df_req_change_key_settings(&run->request, 0x0F);
        break;
    case PROFILE_STEP_RESET_CARD_KEY:
        run->key = (struct df_key){.type = DF_KEY_2K3DES};
        df_req_change_key(&run->request, 0, &run->key, NULL);
        break;
    case PROFILE_STEP_KIND_COUNT:
        break;
    }
    return B_OK;
}

/* --- effects
 * ---------------------------------------------------------------------------------------------------
 */

static void remember_key(struct profile_run *run, const struct profile_step *s)
{
    struct profile_slot *slot = s->aid == 0 ? &run->state.card_key : &run->state.slots[s->no];
    bool is_ours = s->kind != PROFILE_STEP_RESET_CARD_KEY;
    slot->kind = is_ours ? PROFILE_KEY_DIVERSIFIED : PROFILE_KEY_FACTORY;
    slot->type = is_ours ? DF_KEY_AES : DF_KEY_2K3DES;
    slot->generation = slot->version = s->to_generation;
}

/* What the step made true, so that the next one knows. */
static void remember(struct profile_run *run, const struct profile_step *s)
{
    struct profile_state *st = &run->state;
    const struct profile *p = &run->job->profile;
    switch (s->kind) {
    case PROFILE_STEP_CREATE_APPLICATION:
        st->has_app = true;
        st->has_app_settings = true;
        st->app_settings = (struct df_key_settings){
            .settings = 0x0B, .type = DF_KEY_AES, .key_count = p->key_count};
        st->slot_count = p->key_count;
        for (uint8_t i = 0; i < p->key_count; i++)
            st->slots[i] = (struct profile_slot){.kind = PROFILE_KEY_FACTORY, .type = DF_KEY_AES};
        break;
    case PROFILE_STEP_CHANGE_CARD_KEY:
    case PROFILE_STEP_CHANGE_KEY:
    case PROFILE_STEP_RESET_CARD_KEY:
        remember_key(run, s);
        break;
    case PROFILE_STEP_OPEN_APPLICATION:
        st->app_settings.settings = p->app_settings & 0x0F;
        break;
    case PROFILE_STEP_CHANGE_APP_SETTINGS:
        st->app_settings.settings = p->app_settings;
        break;
    case PROFILE_STEP_DELETE_APPLICATION:
    case PROFILE_STEP_FORMAT:
        st->has_app = st->has_app && s->aid != p->aid;
        break;
    case PROFILE_STEP_WRITE_FILE:
        /* From here on keys are derived from what the card carries. */
        if (run_file(run, s->no)->content == PROFILE_CONTENT_SERIAL && st->serial_len == 0) {
            st->serial_len = run->job->serial_len;
            memcpy(st->serial, run->job->serial, sizeof(st->serial));
        }
        break;
    case PROFILE_STEP_CHANGE_CARD_SETTINGS:
    case PROFILE_STEP_DELETE_FILE:
    case PROFILE_STEP_CREATE_FILE:
    case PROFILE_STEP_CHANGE_FILE_SETTINGS:
    case PROFILE_STEP_SET_RANDOM_UID:
    case PROFILE_STEP_DISABLE_FORMAT:
    case PROFILE_STEP_RESET_CARD_SETTINGS:
    case PROFILE_STEP_KIND_COUNT:
        break;
    }
}

/* After a key changed itself the session is gone and the answer was bare: it must be proved. */
static bool wants_proof(const struct profile_run *run, const struct profile_step *s)
{
    bool is_key = s->kind == PROFILE_STEP_CHANGE_CARD_KEY || s->kind == PROFILE_STEP_CHANGE_KEY ||
                  s->kind == PROFILE_STEP_RESET_CARD_KEY;
    return is_key && df_pcd_session(&run->pcd) == DF_AUTH_NONE;
}

static enum profile_want fail_step(struct profile_run *run, const char *what)
{
    char line[128];
    profile_step_print(step_of(run), line, sizeof(line));
    run->error = *df_pcd_error(&run->pcd);
    (void)b_err_wrap(&run->error, "%s", b_err_word(what));
    return run_fail(run, run->error.code, line);
}

static enum profile_want take_effect(struct profile_run *run)
{
    run->at = APPLY_END;
    run->is_asked = false;
    return PROFILE_EFFECT;
}

static enum profile_want verify(struct profile_run *run)
{
    const struct profile_step *s = step_of(run);
    if (run->is_asked && !run->is_good)
        return fail_step(run, "proving the new key");
    enum profile_want want = run_context(run, level_of(run, s), s->no);
    return want == PROFILE_DONE ? take_effect(run) : want;
}

static enum profile_want context(struct profile_run *run)
{
    const struct profile_step *s = step_of(run);
    if (run->is_asked && !run->is_good)
        return fail_step(run, "authenticating");
    int no = session_key(run, s);
    if (no == -2)
        return run_fail(run, B_E_CARD_BLOCKED, "no key may do this step");
    enum profile_want want = run_context(run, level_of(run, s), no);
    if (want != PROFILE_DONE)
        return want;
    run->at = APPLY_SEND;
    run->is_asked = false;
    return PROFILE_INTENT;
}

/* The card is sent nothing before its keys are had: one that is new is kept by then. */
static enum profile_want send_step(struct profile_run *run)
{
    enum b_code r = request(run, step_of(run));
    if (r != B_OK)
        return run_no_key(run, r, "deriving the badge's key");
    run->at = APPLY_SENT;
    return PROFILE_TX;
}

enum profile_want apply_next(struct profile_run *run)
{
    for (;;) {
        switch ((enum apply_at)run->at) {
        case APPLY_CONTEXT:
            return context(run);
        case APPLY_SEND:
            return send_step(run);
        case APPLY_SENT:
            if (!run->is_good)
                return fail_step(run, "applying the plan");
            remember(run, step_of(run));
            if (!wants_proof(run, step_of(run)))
                return take_effect(run);
            run->at = APPLY_VERIFY;
            run->is_asked = false;
            break;
        case APPLY_VERIFY:
            return verify(run);
        case APPLY_END:
            run->step++;
            if (run->step == run->plan.step_count) {
                run->phase = RUN_OVER;
                return PROFILE_DONE;
            }
            run->at = APPLY_CONTEXT;
            run->is_asked = false;
            break;
        }
    }
}
