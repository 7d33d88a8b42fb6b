/*
 * Inspection: a list of questions in a fixed order (enum inspect_at), each with what to make of its
 * answer. A question that does not apply is passed over; most refusals are answers too.
 */
#include <string.h>

#include "profile/run_int.h"

static enum profile_want ask(struct profile_run *run)
{
    run->is_asked = false;
    return PROFILE_TX;
}

static void go_to(struct profile_run *run, enum inspect_at at)
{
    run->at = (int)at;
    run->is_asked = false;
    run->index = 0;
    run->candidate = 0;
}

static bool is_scan(const struct profile_run *run)
{
    return run->job->goal == PROFILE_GOAL_SCAN;
}

/* What is not known of the card is asked of it at length. */
static bool is_curious(const struct profile_run *run)
{
    return is_scan(run) || run->job->goal == PROFILE_GOAL_TAKEOVER;
}

/* What a version byte tells before anything is proved. */
static void guess(const struct profile_run *run, df_aid aid, uint8_t no, struct profile_slot *slot)
{
    slot->kind = PROFILE_KEY_UNKNOWN;
    if (slot->version == KEY_GENERATION_FACTORY) {
        slot->kind = PROFILE_KEY_FACTORY;
    } else if (run_knows(run, run_role(run, aid, no), slot->version)) {
        slot->kind = PROFILE_KEY_DIVERSIFIED;
        slot->generation = slot->version;
    }
}

/* --- the questions
 * --------------------------------------------------------------------------------------- */

static enum profile_want on_version(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    if (!run->is_good || !df_rsp_version(df_pcd_answer(&run->pcd), &s->version))
        return run_fail_card(run, "asking the card for its version");
    s->ev = df_version_ev(&s->version);
    if (s->ev == DF_EV_D40)
        return run_fail(run, B_E_NOT_DESFIRE, "a DESFire of the first kind (D40) is too weak");
    static const uint8_t hidden[7];
    s->is_random_uid = memcmp(s->version.uid, hidden, sizeof(hidden)) == 0;
    if (!s->is_random_uid) {
        memcpy(s->uid, s->version.uid, sizeof(s->uid));
        s->uid_len = sizeof(s->uid);
    }
    bool is_same = s->uid_len == 0 || run->job->uid_len != 7 ||
                   memcmp(s->uid, run->job->uid, sizeof(s->uid)) == 0;
    if (!is_same)
        return run_fail(run, B_E_CARD_CHANGED, "the card is not the one that the reader showed");
    go_to(run, INSPECT_SIGNATURE);
    return PROFILE_DONE;
}

static enum profile_want on_signature(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    if (!is_curious(run) || run->is_asked || s->uid_len == 0) {
        if (run->is_asked && run->is_good && df_pcd_answer(&run->pcd).left == 56) {
            const char *product = df_originality(s->uid, df_pcd_answer(&run->pcd).p);
            s->is_genuine_tried = true;
            s->is_genuine = product != NULL;
            (void)strncpy(s->product, product != NULL ? product : "", sizeof(s->product) - 1);
        }
        go_to(run, crypto_div_uses_serial(run->diversification) ? INSPECT_SERIAL_SELECT
                   : s->uid_len == 0                            ? INSPECT_HIDDEN
                                                                : INSPECT_CARD_SETTINGS);
        return PROFILE_DONE;
    }
    df_req_read_signature(&run->request);
    return ask(run);
}

static enum profile_want on_serial(struct profile_run *run)
{
    const struct profile_file *f = run_serial_file(run);
    if (run->at == INSPECT_SERIAL_SELECT) {
        if (!run->is_asked) {
            df_req_select(&run->request, run->job->profile.aid);
            return ask(run);
        }
        go_to(run, run->is_good && f != NULL ? INSPECT_SERIAL_READ : INSPECT_HIDDEN);
        return PROFILE_DONE;
    }
    b_check(f != NULL); /* nothing else leads here */
    if (!run->is_asked) {
        df_req_read_data(&run->request, f->no, 0, CRYPTO_SERIAL_MAX, DF_COMM_PLAIN);
        return ask(run);
    }
    struct b_rd r = df_pcd_answer(&run->pcd);
    if (run->is_good && r.left == CRYPTO_SERIAL_MAX) {
        size_t n = CRYPTO_SERIAL_MAX;
        memcpy(run->state.serial, r.p, n);
        while (n > 0 && run->state.serial[n - 1] == 0)
            n--;
        run->state.serial_len = (uint8_t)n;
    }
    go_to(run, INSPECT_HIDDEN);
    return PROFILE_DONE;
}

/* The next layout with a key that all badges share, for a card that hides its UID: that comes
 * first, as other keys are made of it. */
static enum profile_want on_hidden(struct profile_run *run)
{
    const struct profile_fleet *f = &run->job->fleet;
    if (run->is_asked && run->is_good) {
        go_to(run, INSPECT_HIDDEN_VERSION);
        return PROFILE_DONE;
    }
    run->hidden_layout = (uint8_t)(run->hidden_layout + (run->is_asked ? 1 : 0));
    for (; run->state.uid_len == 0 && run->hidden_layout < f->count; run->hidden_layout++) {
        if (!f->layouts[run->hidden_layout].has_uid_key)
            continue;
        df_req_select(&run->request, f->layouts[run->hidden_layout].aid);
        return ask(run);
    }
    go_to(run, INSPECT_CARD_AGAIN);
    return PROFILE_DONE;
}

/* In an application of our number the key may be ours by now, as its version says. */
static enum profile_want on_hidden_key(struct profile_run *run)
{
    const struct profile_layout *l = &run->job->fleet.layouts[run->hidden_layout];
    if (run->at == INSPECT_HIDDEN_VERSION && !run->is_asked) {
        df_req_get_key_version(&run->request, l->uid_key);
        return ask(run);
    }
    if (run->at == INSPECT_HIDDEN_VERSION) {
        struct b_rd r = df_pcd_answer(&run->pcd);
        run->hidden = (struct profile_slot){.type = l->type};
        run->hidden.version = run->is_good ? b_rd_u8(&r) : 0;
        go_to(run, INSPECT_HIDDEN_KEY);
    }
    enum profile_want want =
        run_find_key(run, l->aid, l->uid_key, &run->hidden, &run->given_of_hidden);
    if (want == PROFILE_DONE)
        go_to(run, INSPECT_HIDDEN_UID);
    return want;
}

static enum profile_want on_card_settings(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    bool is_again = run->at == INSPECT_CARD_SETTINGS_AGAIN;
    if (!run->is_asked && !(is_again && (s->has_card_settings || !s->card_key.is_proven))) {
        df_req_plain(&run->request, DF_CMD_GET_KEY_SETTINGS);
        return ask(run);
    }
    struct df_key_settings got;
    if (run->is_asked && run->is_good && df_rsp_key_settings(df_pcd_answer(&run->pcd), &got)) {
        s->has_card_settings = true;
        s->card_settings = got.settings;
        if (!is_again)
            s->card_key.type = got.type;
    }
    go_to(run, is_again ? INSPECT_UID : INSPECT_CARD_VERSION);
    return PROFILE_DONE;
}

static enum profile_want on_card_version(struct profile_run *run)
{
    struct profile_slot *slot = &run->state.card_key;
    if (!run->is_asked) {
        df_req_get_key_version(&run->request, 0);
        return ask(run);
    }
    if (!run->is_good)
        return run_fail_card(run, "asking for the version of the card's key");
    struct b_rd r = df_pcd_answer(&run->pcd);
    slot->version = b_rd_u8(&r);
    /* Without settings the type is a guess: a factory key is DES, a key of ours is AES. */
    if (!run->state.has_card_settings)
        slot->type = slot->version == KEY_GENERATION_FACTORY ? DF_KEY_2K3DES : DF_KEY_AES;
    guess(run, 0, 0, slot);
    /* Another issuer's key is tried when it is the factory's, or on demand: a wrong try may be
     * counted by the card. */
    bool is_for_us = slot->version == KEY_GENERATION_FACTORY || run->job->tries_known_keys ||
                     run->job->given_count > 0;
    if (run->job->profile.is_guest && !(is_scan(run) && is_for_us))
        slot->kind = PROFILE_KEY_NOT_TRIED;
    go_to(run, slot->kind == PROFILE_KEY_NOT_TRIED ? INSPECT_APPS : INSPECT_CARD_KEY);
    return PROFILE_DONE;
}

static enum profile_want on_card_key(struct profile_run *run)
{
    enum profile_want want = run_find_key(run, 0, 0, &run->state.card_key, &run->given_of_card);
    if (want == PROFILE_DONE)
        go_to(run, INSPECT_CARD_SETTINGS_AGAIN);
    return want;
}

/* A card tells its own UID to whoever has one of its keys. */
static enum profile_want on_uid(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    bool is_hidden = run->at == INSPECT_HIDDEN_UID, is_app = run->at == INSPECT_APP_UID;
    const struct profile_slot *key = is_hidden ? &run->hidden
                                     : is_app  ? &s->slots[0]
                                               : &s->card_key;
    if (!run->is_asked && s->uid_len == 0 && key->is_proven) {
        df_req_get_card_uid(&run->request);
        return ask(run);
    }
    if (run->is_asked && run->is_good && df_pcd_answer(&run->pcd).left == 7) {
        memcpy(s->uid, df_pcd_answer(&run->pcd).p, 7);
        s->uid_len = 7;
    }
    run->hidden_layout = (uint8_t)(run->hidden_layout + (is_hidden ? 1 : 0));
    go_to(run, is_hidden ? INSPECT_HIDDEN : is_app ? INSPECT_APP_SETTINGS_AGAIN : INSPECT_APPS);
    return PROFILE_DONE;
}

static bool is_listed(const struct profile_run *run, df_aid aid)
{
    for (uint8_t i = 0; i < run->state.app_count; i++) {
        if (run->state.apps[i] == aid)
            return true;
    }
    return false;
}

/* How much room there is matters where our application is still to come. */
static enum profile_want on_free(struct profile_run *run)
{
    if (!run->is_asked && (is_scan(run) || !is_listed(run, run->job->profile.aid))) {
        df_req_plain(&run->request, DF_CMD_FREE_MEMORY);
        return ask(run);
    }
    if (run->is_asked && run->is_good)
        (void)!df_rsp_free_memory(df_pcd_answer(&run->pcd), &run->state.free_bytes);
    go_to(run, INSPECT_OLD);
    return PROFILE_DONE;
}

static enum profile_want on_apps(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    if (!run->is_asked) {
        df_req_plain(&run->request, DF_CMD_GET_APPLICATION_IDS);
        return ask(run);
    }
    size_t count = 0;
    s->lists_apps = run->is_good && df_rsp_application_ids(df_pcd_answer(&run->pcd), s->apps,
                                                           PROFILE_APPS_MAX, &count);
    s->app_count = (uint8_t)count;
    go_to(run, INSPECT_FREE);
    return PROFILE_DONE;
}

/* The first layout of the fleet whose application is there. Where it is ours, it is met as ours. */
static enum profile_want on_old(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    const struct profile_fleet *f = &run->job->fleet;
    if (run->is_asked && run->is_good) {
        s->layout = (uint8_t)(run->index + 1);
        go_to(run, INSPECT_OLD_SETTINGS);
        return PROFILE_DONE;
    }
    run->index = (uint8_t)(run->index + (run->is_asked ? 1 : 0));
    for (; run->index < f->count; run->index++) {
        df_aid aid = f->layouts[run->index].aid;
        if (aid == run->job->profile.aid || (s->lists_apps && !is_listed(run, aid)))
            continue;
        df_req_select(&run->request, aid);
        return ask(run);
    }
    go_to(run, INSPECT_APP);
    return PROFILE_DONE;
}

/* An application of that number with other keys is of no layout. */
static enum profile_want on_old_settings(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    const struct profile_layout *l = run_layout(run);
    struct df_key_settings got;
    if (!run->is_asked) {
        df_req_plain(&run->request, DF_CMD_GET_KEY_SETTINGS);
        return ask(run);
    }
    s->old = (struct profile_slot){.kind = PROFILE_KEY_UNKNOWN, .type = l->type};
    bool is_told = run->is_good && df_rsp_key_settings(df_pcd_answer(&run->pcd), &got);
    bool is_it = !is_told || (got.type == l->type && l->proof_key < got.key_count &&
                              (l->key_count == 0 || got.key_count == l->key_count));
    uint8_t next = s->layout;
    s->layout = is_it ? s->layout : 0;
    go_to(run, is_it ? INSPECT_OLD_KEY : INSPECT_OLD);
    run->index = is_it ? 0 : next;
    return PROFILE_DONE;
}

/* Its version byte proves nothing, and is not asked for. */
static enum profile_want on_old_key(struct profile_run *run)
{
    const struct profile_layout *l = run_layout(run);
    enum profile_want want =
        run_find_key(run, l->aid, l->proof_key, &run->state.old, &run->given_of_old);
    if (want == PROFILE_DONE)
        go_to(run, INSPECT_APP);
    return want;
}

static enum profile_want on_app(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    bool may_be_there = !s->lists_apps || is_listed(run, run->job->profile.aid);
    if (!run->is_asked && may_be_there) {
        df_req_select(&run->request, run->job->profile.aid);
        return ask(run);
    }
    s->has_app = run->is_asked && run->is_good;
    go_to(run, s->has_app ? INSPECT_APP_SETTINGS : INSPECT_END);
    return PROFILE_DONE;
}

static enum profile_want on_app_settings(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    bool is_again = run->at == INSPECT_APP_SETTINGS_AGAIN;
    if (!run->is_asked && !(is_again && (s->has_app_settings || !s->slots[0].is_proven))) {
        df_req_plain(&run->request, DF_CMD_GET_KEY_SETTINGS);
        return ask(run);
    }
    if (run->is_asked && run->is_good)
        s->has_app_settings = df_rsp_key_settings(df_pcd_answer(&run->pcd), &s->app_settings);
    if (!is_again) {
        s->slot_count =
            s->has_app_settings ? s->app_settings.key_count : run->job->profile.key_count;
        if (s->slot_count > PROFILE_KEYS_MAX)
            s->slot_count = PROFILE_KEYS_MAX;
    }
    go_to(run, is_again ? INSPECT_SLOT_VERSION : INSPECT_APP_VERSION);
    run->index = is_again ? 1 : 0;
    return PROFILE_DONE;
}

/* Key 0's version first; the others' in its session, where the answers are authentic. */
static enum profile_want on_slot_version(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    bool is_first = run->at == INSPECT_APP_VERSION;
    if (run->is_asked) {
        struct profile_slot *slot = &s->slots[run->index];
        struct b_rd r = df_pcd_answer(&run->pcd);
        if (!run->is_good)
            return run_fail_card(run, "asking for the version of a key");
        slot->type = s->has_app_settings ? s->app_settings.type : DF_KEY_AES;
        slot->version = b_rd_u8(&r);
        guess(run, run->job->profile.aid, run->index, slot);
        run->index++;
    }
    if (run->index < (is_first ? 1 : s->slot_count)) {
        df_req_get_key_version(&run->request, run->index);
        return ask(run);
    }
    go_to(run, is_first ? INSPECT_APP_KEY : INSPECT_FILE_IDS);
    return PROFILE_DONE;
}

static enum profile_want on_app_key(struct profile_run *run)
{
    enum profile_want want = PROFILE_DONE;
    if (run->state.slot_count > 0)
        want = run_find_key(run, run->job->profile.aid, 0, &run->state.slots[0],
                            &run->given_of_slot[0]);
    if (want == PROFILE_DONE)
        go_to(run, INSPECT_APP_UID);
    return want;
}

static enum profile_want on_file_ids(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    if (!run->is_asked) {
        df_req_plain(&run->request, DF_CMD_GET_FILE_IDS);
        return ask(run);
    }
    uint8_t ids[DF_FILE_MAX];
    size_t count = 0;
    s->lists_files =
        run->is_good && df_rsp_file_ids(df_pcd_answer(&run->pcd), ids, DF_FILE_MAX, &count);
    s->file_count = (uint8_t)(count < PROFILE_FILES_MAX ? count : PROFILE_FILES_MAX);
    for (uint8_t i = 0; i < s->file_count; i++)
        s->files[i].no = ids[i];
    go_to(run, INSPECT_FILE_SETTINGS);
    return PROFILE_DONE;
}

static enum profile_want on_file_settings(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    if (run->is_asked) {
        if (!run->is_good ||
            !df_rsp_file_settings(df_pcd_answer(&run->pcd), &s->files[run->index].settings))
            return run_fail_card(run, "asking for the settings of a file");
        run->index++;
    }
    if (run->index < s->file_count) {
        df_req_get_file_settings(&run->request, s->files[run->index].no);
        return ask(run);
    }
    go_to(run, INSPECT_CONTENT);
    return PROFILE_DONE;
}

/* The key that reads a file, -1 when reading is free, -2 when it cannot be read by us. */
static int reading_key(const struct df_file_settings *s)
{
    if (s->rights.read == DF_RIGHT_FREE || s->rights.read_write == DF_RIGHT_FREE)
        return -1;
    if (s->rights.read < DF_RIGHT_FREE)
        return s->rights.read;
    return s->rights.read_write < DF_RIGHT_FREE ? s->rights.read_write : -2;
}

/* Reads what the profile wrote, so that a file torn between creation and writing is seen. A file
 * that cannot be read is taken as not written: writing it again is harmless. */
static enum profile_want on_content(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    for (; run->index < s->file_count; run->index++, run->candidate = 0, run->is_asked = false) {
        struct profile_file_state *fs = &s->files[run->index];
        const struct profile_file *f = run_file(run, fs->no);
        int no = reading_key(&fs->settings);
        bool is_wanted = f != NULL && f->content != PROFILE_CONTENT_NONE &&
                         fs->settings.type == DF_FILE_STANDARD &&
                         fs->settings.size == f->settings.size && no > -2;
        if (!is_wanted)
            continue;
        /* candidate counts the exchanges of this file: context first, then the read itself */
        if (run->is_asked && !run->is_good)
            continue;
        if (run->is_asked && run->candidate == 1) {
            uint8_t want[PROFILE_CONTENT_MAX];
            size_t n = run_content(run, f, want);
            struct b_rd got = df_pcd_answer(&run->pcd);
            /* What is not given, after the enrolment, is right as it is there. */
            bool is_given = f->content == PROFILE_CONTENT_HOLDER   ? run->job->holder_len != 0
                            : f->content == PROFILE_CONTENT_SERIAL ? run->job->serial_len != 0
                                                                   : true;
            fs->is_content_right = got.left == n && (!is_given || b_ct_eq(got.p, want, n));
            continue;
        }
        enum profile_want w = run_context(run, run->job->profile.aid, no);
        if (w == PROFILE_TX)
            return ask(run);
        if (w != PROFILE_DONE)
            return w;
        run->candidate = 1;
        df_req_read_data(&run->request, f->no, 0, f->settings.size,
                         no < 0 ? DF_COMM_PLAIN : fs->settings.comm);
        return ask(run);
    }
    go_to(run, INSPECT_OTHER_KEYS);
    run->index = 1;
    return PROFILE_DONE;
}

/* A scan or takeover proves every key; other jobs meet them when they change them. But a serial
 * that was read is only believed for a key that it opens: where key 0 is not ours yet, another one
 * must do. */
static bool wants_proof(const struct profile_run *run, uint8_t no)
{
    const struct profile_state *s = &run->state;
    return is_curious(run) || (crypto_div_uses_serial(run->diversification) &&
                               s->slots[0].kind != PROFILE_KEY_DIVERSIFIED &&
                               s->slots[no].kind == PROFILE_KEY_DIVERSIFIED);
}

static enum profile_want on_other_keys(struct profile_run *run)
{
    struct profile_state *s = &run->state;
    while (run->index < s->slot_count) {
        enum profile_want want = PROFILE_DONE;
        if (run->is_asked || wants_proof(run, run->index))
            want = run_find_key(run, run->job->profile.aid, run->index, &s->slots[run->index],
                                &run->given_of_slot[run->index]);
        if (want != PROFILE_DONE)
            return want;
        run->index++;
        run->candidate = 0;
        run->is_asked = false;
    }
    go_to(run, INSPECT_END);
    return PROFILE_DONE;
}

static enum profile_want on_start(struct profile_run *run)
{
    if (!run->is_asked) {
        df_req_select(&run->request, 0);
        return ask(run);
    }
    if (!run->is_good)
        return run->at == INSPECT_START ? run_fail(run, B_E_NOT_DESFIRE, "selecting the card")
                                        : run_fail_card(run, "selecting the card");
    go_to(run, run->at == INSPECT_START ? INSPECT_VERSION : INSPECT_CARD_SETTINGS);
    return PROFILE_DONE;
}

static enum profile_want ask_version(struct profile_run *run)
{
    if (run->is_asked)
        return on_version(run);
    df_req_plain(&run->request, DF_CMD_GET_VERSION);
    return ask(run);
}

/* Nothing more is asked of the card. */
static bool has_uid_alone(const struct profile_run *run)
{
    return run->job->goal == PROFILE_GOAL_UID && run->state.uid_len != 0;
}

enum profile_want inspect_next(struct profile_run *run)
{
    static enum profile_want (*const questions[])(struct profile_run *) = {
        [INSPECT_START] = on_start,
        [INSPECT_VERSION] = ask_version,
        [INSPECT_SIGNATURE] = on_signature,
        [INSPECT_SERIAL_SELECT] = on_serial,
        [INSPECT_SERIAL_READ] = on_serial,
        [INSPECT_HIDDEN] = on_hidden,
        [INSPECT_HIDDEN_VERSION] = on_hidden_key,
        [INSPECT_HIDDEN_KEY] = on_hidden_key,
        [INSPECT_HIDDEN_UID] = on_uid,
        [INSPECT_CARD_AGAIN] = on_start,
        [INSPECT_CARD_SETTINGS] = on_card_settings,
        [INSPECT_CARD_VERSION] = on_card_version,
        [INSPECT_CARD_KEY] = on_card_key,
        [INSPECT_CARD_SETTINGS_AGAIN] = on_card_settings,
        [INSPECT_UID] = on_uid,
        [INSPECT_APPS] = on_apps,
        [INSPECT_FREE] = on_free,
        [INSPECT_OLD] = on_old,
        [INSPECT_OLD_SETTINGS] = on_old_settings,
        [INSPECT_OLD_KEY] = on_old_key,
        [INSPECT_APP] = on_app,
        [INSPECT_APP_SETTINGS] = on_app_settings,
        [INSPECT_APP_VERSION] = on_slot_version,
        [INSPECT_APP_KEY] = on_app_key,
        [INSPECT_APP_UID] = on_uid,
        [INSPECT_APP_SETTINGS_AGAIN] = on_app_settings,
        [INSPECT_SLOT_VERSION] = on_slot_version,
        [INSPECT_FILE_IDS] = on_file_ids,
        [INSPECT_FILE_SETTINGS] = on_file_settings,
        [INSPECT_CONTENT] = on_content,
        [INSPECT_OTHER_KEYS] = on_other_keys,
    };
    while (run->at != INSPECT_END && !has_uid_alone(run)) {
        enum profile_want want = questions[run->at](run);
        if (want != PROFILE_DONE)
            return want;
    }
    if (run->job->goal != PROFILE_GOAL_UID)
        plan_make(run);
    /* Told in two events: what is there, then what will be done. */
    run->phase = RUN_REPORT;
    return PROFILE_INSPECTED;
}
