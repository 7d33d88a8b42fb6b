/*
 * The plan: what stands between a card's state and its profile, as an ordered list of steps, and
 * what is to be said of the card. A pure function of state and job.
 *
 * The order keeps the two laws (profile.h). A blank card: the application is created in the
 * session of the factory key, then the card's own key is changed and only then its settings;
 * inside the application keys 1.. are changed by key 0 while it is still the factory's, files
 * follow, then key 0 is changed, as that ends the session, and files are written. Irreversible
 * settings come after everything else.
 *
 * Where keys are derived from the serial, the serial is on the card before the first of them, and
 * stays until the last of them is gone: the card's own key is changed after the application is
 * whole, and is back at the factory's before the application is deleted.
 *
 * No card tells that formatting was disabled: the card's settings, written after it, do.
 */
#include <stdio.h>
#include <string.h>

#include "profile/run_int.h"

/* KeySett1 of a factory card; of the application while it is encoded: master key and settings
 * changeable, free listing, no creation without key 0, keys changed by key 0. */
enum { FACTORY_SETTINGS = 0x0F, ENCODING_SETTINGS = 0x0B };
enum {
    SETTINGS_KEY_CHANGEABLE = 0x01,
    SETTINGS_FREE_CREATE = 0x04,
    SETTINGS_CHANGEABLE = 0x08,
    WHOLE = 0xFF
};

static void note(struct profile_run *run, enum profile_note_id id, uint8_t no)
{
    struct profile_plan *p = &run->plan;
    if (p->note_count < PROFILE_NOTES_MAX)
        p->notes[p->note_count++] = (struct profile_note){.id = id, .key_no = no};
}

static void block(struct profile_run *run, enum b_code code, const char *why)
{
    if (run->plan.is_blocked)
        return;
    run->plan.is_blocked = true;
    (void)b_err_set(&run->plan.blocker, code, 0, "%s", b_err_word(why));
}

static struct profile_step *add(struct profile_run *run, enum profile_step_kind kind, df_aid aid,
                                uint8_t no)
{
    struct profile_plan *p = &run->plan;
    b_check(p->step_count < PROFILE_STEPS_MAX);
    struct profile_step *s = &p->steps[p->step_count++];
    *s = (struct profile_step){.kind = kind, .aid = aid, .no = no};
    return s;
}

static void add_key(struct profile_run *run, enum profile_step_kind kind, df_aid aid, uint8_t no,
                    uint8_t from)
{
    struct profile_step *s = add(run, kind, aid, no);
    s->role = run_role(run, aid, no);
    s->from_generation = from;
    s->to_generation = run->job->generations[s->role].target;
}

/* --- what is to be said
 * ---------------------------------------------------------------------------------- */

static void note_slot(struct profile_run *run, const struct profile_slot *s, enum key_role role,
                      uint8_t no)
{
    switch (s->kind) {
    case PROFILE_KEY_FACTORY:
        note(run, PROFILE_NOTE_FACTORY_KEY, no);
        break;
    case PROFILE_KEY_KNOWN:
        note(run, PROFILE_NOTE_KNOWN_KEY, no);
        break;
    case PROFILE_KEY_GIVEN:
        note(run, PROFILE_NOTE_SHARED_KEY, no);
        break;
    case PROFILE_KEY_UNKNOWN:
    case PROFILE_KEY_DERIVED:
        note(run, PROFILE_NOTE_UNKNOWN_KEY, no);
        break;
    case PROFILE_KEY_DIVERSIFIED:
        if (role < KEY_ROLE_COUNT && s->generation != run->job->generations[role].target)
            note(run, PROFILE_NOTE_OLD_GENERATION, no);
        break;
    case PROFILE_KEY_NOT_TRIED:
        break;
    }
}

static bool has_others(const struct profile_run *run)
{
    const struct profile_state *s = &run->state;
    for (uint8_t i = 0; i < s->app_count; i++) {
        if (s->apps[i] != run->job->profile.aid)
            return true;
    }
    return false;
}

static void note_card(struct profile_run *run)
{
    const struct profile_state *s = &run->state;
    const struct profile *p = &run->job->profile;
    if (!p->is_guest)
        note_slot(run, &s->card_key, KEY_ROLE_PICC, WHOLE);
    if (!s->has_app)
        note(run, PROFILE_NOTE_NO_APPLICATION, WHOLE);
    for (uint8_t i = 0; s->has_app && i < s->slot_count; i++)
        note_slot(run, &s->slots[i], run_role(run, p->aid, i), i);
    if (s->is_random_uid)
        note(run, PROFILE_NOTE_RANDOM_UID, WHOLE);
    if (s->is_genuine_tried && !s->is_genuine)
        note(run, PROFILE_NOTE_NOT_GENUINE, WHOLE);
    if (!s->is_genuine_tried && run->job->goal == PROFILE_GOAL_SCAN)
        note(run, PROFILE_NOTE_NO_SIGNATURE, WHOLE);
    if (s->ev == DF_EV1)
        note(run, PROFILE_NOTE_OLD_MESSAGING, WHOLE);
    if (has_others(run))
        note(run, PROFILE_NOTE_OTHER_APPLICATION, WHOLE);
    if (s->layout > 0)
        note(run, PROFILE_NOTE_OLD_LAYOUT, WHOLE);
}

/* --- towards the profile
 * ------------------------------------------------------------------------------------ */

static const struct profile_file_state *file_state(const struct profile_run *run, uint8_t no)
{
    for (uint8_t i = 0; i < run->state.file_count; i++) {
        if (run->state.files[i].no == no)
            return &run->state.files[i];
    }
    return NULL;
}

static bool is_same_shape(const struct df_file_settings *a, const struct df_file_settings *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == DF_FILE_STANDARD || a->type == DF_FILE_BACKUP)
        return a->size == b->size;
    if (a->type == DF_FILE_VALUE)
        return a->lower == b->lower && a->upper == b->upper;
    return a->record_size == b->record_size && a->record_max == b->record_max;
}

static void create_file(struct profile_run *run, const struct profile_file *f)
{
    add(run, PROFILE_STEP_CREATE_FILE, run->job->profile.aid, f->no);
    if (f->content != PROFILE_CONTENT_NONE)
        add(run, PROFILE_STEP_WRITE_FILE, run->job->profile.aid, f->no);
}

/* A key of this badge's own was proved. */
static bool has_own_keys(const struct profile_run *run)
{
    const struct profile_state *s = &run->state;
    bool has = s->card_key.kind == PROFILE_KEY_DIVERSIFIED && s->card_key.is_proven;
    for (uint8_t i = 0; s->has_app && i < s->slot_count; i++)
        has |= s->slots[i].kind == PROFILE_KEY_DIVERSIFIED && s->slots[i].is_proven;
    return has;
}

/* A serial from which keys were derived is never written again; one that nothing proves is, before
 * the first key is derived from it. */
static bool is_content_right(const struct profile_run *run, const struct profile_file *f,
                             const struct profile_file_state *s)
{
    bool derives =
        f->content == PROFILE_CONTENT_SERIAL && crypto_div_uses_serial(run->diversification);
    return derives ? run->state.serial_len != 0 && has_own_keys(run) : s->is_content_right;
}

static void plan_file(struct profile_run *run, const struct profile_file *f)
{
    df_aid aid = run->job->profile.aid;
    const struct profile_file_state *s = file_state(run, f->no);
    if (s == NULL) {
        if (run->state.has_app)
            note(run, PROFILE_NOTE_FILE_MISSING, f->no);
        create_file(run, f);
        return;
    }
    bool has_rights = s->settings.comm == f->settings.comm &&
                      df_rights_pack(s->settings.rights) == df_rights_pack(f->settings.rights);
    bool has_shape = is_same_shape(&s->settings, &f->settings);
    if (!has_rights || !has_shape)
        note(run, PROFILE_NOTE_FILE_DIFFERS, f->no);
    bool is_lost = f->content == PROFILE_CONTENT_NONE ||
                   (f->content == PROFILE_CONTENT_SERIAL && run->state.serial_len != 0) ||
                   (f->content == PROFILE_CONTENT_HOLDER && run->job->holder_len == 0);
    if (!has_shape && is_lost) {
        block(run, B_E_CARD_BLOCKED,
              "a file of another shape stands where the profile wants one, "
              "and its data would be lost");
    } else if (!has_shape) {
        add(run, PROFILE_STEP_DELETE_FILE, aid, f->no);
        create_file(run, f);
    } else {
        if (!has_rights && s->settings.rights.change == DF_RIGHT_NEVER)
            block(run, B_E_CARD_BLOCKED, "the rights of a file can never be changed");
        else if (!has_rights)
            add(run, PROFILE_STEP_CHANGE_FILE_SETTINGS, aid, f->no);
        if (f->content != PROFILE_CONTENT_NONE && !is_content_right(run, f, s))
            add(run, PROFILE_STEP_WRITE_FILE, aid, f->no);
    }
}

static bool is_at_target(const struct profile_run *run, const struct profile_slot *s,
                         enum key_role role)
{
    return s->kind == PROFILE_KEY_DIVERSIFIED &&
           s->generation == run->job->generations[role].target;
}

/* Where each key changes itself, a change takes an authentication before it and one after it. For
 * more than one it is shorter to let key 0 change them all, and to set the settings again. Where
 * others left it to no key, or to one that is not there, nothing else will do. */
static bool is_worth_opening(const struct profile_run *run, unsigned changes)
{
    const struct profile_state *s = &run->state;
    uint8_t right = s->app_settings.settings >> 4;
    bool is_shut = right == 0xF || (right != 0xE && right >= s->slot_count);
    return s->has_app && s->has_app_settings && changes > (is_shut ? 0u : 1u) &&
           (is_shut || right == 0xE);
}

/* Slots other than 0 whose key is not of the target generation. True when the settings of the
 * application were opened for it. */
static bool plan_keys(struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    const struct profile_state *s = &run->state;
    uint16_t wanted = 0;
    unsigned changes = 0;
    for (uint8_t i = 1; i < p->key_count; i++) {
        if (s->has_app && s->slots[i].kind == PROFILE_KEY_UNKNOWN)
            block(run, B_E_CARD_FOREIGN, "a key of the application is not one of ours");
        if (s->has_app && is_at_target(run, &s->slots[i], p->keys[i].role))
            continue;
        wanted = (uint16_t)(wanted | 1u << i);
        changes++;
    }
    bool opens = is_worth_opening(run, changes);
    if (opens)
        add(run, PROFILE_STEP_OPEN_APPLICATION, p->aid, 0);
    for (uint8_t i = 1; i < p->key_count; i++) {
        uint8_t from = s->has_app ? s->slots[i].generation : KEY_GENERATION_FACTORY;
        if (wanted >> i & 1)
            add_key(run, PROFILE_STEP_CHANGE_KEY, p->aid, i, from);
    }
    return opens;
}

static void plan_card_key(struct profile_run *run)
{
    const struct profile_slot *key = &run->state.card_key;
    if (!is_at_target(run, key, KEY_ROLE_PICC))
        add_key(run, PROFILE_STEP_CHANGE_CARD_KEY, 0, 0, key->generation);
}

static bool is_card_set(const struct profile_run *run)
{
    return run->state.has_card_settings &&
           run->state.card_settings == run->job->profile.card_settings;
}

static void plan_card_settings(struct profile_run *run)
{
    const struct profile_state *s = &run->state;
    if (is_card_set(run))
        return;
    if (s->has_app)
        note(run, PROFILE_NOTE_SETTINGS_DIFFER, WHOLE);
    if (s->has_card_settings && (s->card_settings & SETTINGS_CHANGEABLE) == 0)
        block(run, B_E_CARD_BLOCKED, "the card's settings are frozen");
    else
        add(run, PROFILE_STEP_CHANGE_CARD_SETTINGS, 0, 0);
}

static void plan_irreversible(struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    if (p->disables_format && !is_card_set(run))
        add(run, PROFILE_STEP_DISABLE_FORMAT, 0, 0);
    if (p->wants_random_uid && !run->state.is_random_uid)
        add(run, PROFILE_STEP_SET_RANDOM_UID, 0, 0);
}

/* Writing that needs another session than key 0's comes after what needs that one. */
static void move_writes_last(struct profile_run *run, uint8_t first)
{
    struct profile_plan *p = &run->plan;
    uint8_t end = p->step_count;
    for (uint8_t i = first; i < end;) {
        struct profile_step step = p->steps[i];
        if (step.kind != PROFILE_STEP_WRITE_FILE) {
            i++;
            continue;
        }
        memmove(&p->steps[i], &p->steps[i + 1],
                (size_t)(p->step_count - i - 1) * sizeof(p->steps[0]));
        p->steps[p->step_count - 1] = step;
        end--;
    }
}

static void plan_app(struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    const struct profile_state *s = &run->state;
    bool is_serial_first = crypto_div_uses_serial(run->diversification);
    for (uint8_t i = 0; is_serial_first && i < p->file_count; i++) {
        if (p->files[i].content == PROFILE_CONTENT_SERIAL)
            plan_file(run, &p->files[i]);
    }
    uint8_t first = run->plan.step_count;
    bool is_open = plan_keys(run);
    for (uint8_t i = 0; i < p->file_count; i++) {
        if (!is_serial_first || p->files[i].content != PROFILE_CONTENT_SERIAL)
            plan_file(run, &p->files[i]);
    }
    uint8_t settings = s->has_app_settings ? s->app_settings.settings : ENCODING_SETTINGS;
    if (s->has_app && settings != p->app_settings)
        note(run, PROFILE_NOTE_SETTINGS_DIFFER, 0);
    if (is_open || settings != p->app_settings)
        add(run, PROFILE_STEP_CHANGE_APP_SETTINGS, p->aid, 0);
    if (!s->has_app || !is_at_target(run, &s->slots[0], KEY_ROLE_APP))
        add_key(run, PROFILE_STEP_CHANGE_KEY, p->aid, 0,
                s->has_app ? s->slots[0].generation : KEY_GENERATION_FACTORY);
    move_writes_last(run, first);
}

/* An estimate that errs to the safe side: blocks of 32 bytes, one for the application and each
 * file besides keys and data. */
static uint32_t bytes_needed(const struct profile *p)
{
    uint32_t n = 64 + 16u * p->key_count + 32;
    for (uint8_t i = 0; i < p->file_count; i++) {
        const struct df_file_settings *f = &p->files[i].settings;
        uint32_t data = f->size + f->record_size * f->record_max;
        n += 32 + (data * (f->type == DF_FILE_BACKUP ? 2 : 1) + 31) / 32 * 32;
    }
    return n;
}

static void check_uid(struct profile_run *run)
{
    if (crypto_div_uses_uid(run->diversification) && run->state.is_random_uid)
        block(run, B_E_RANDOM_UID,
              "the card shows a random UID and the profile diversifies by UID");
}

static void check_serial(struct profile_run *run)
{
    /* A scan shows what an enrolment would do, which gives the card a serial. */
    if (crypto_div_uses_serial(run->diversification) && run->job->serial_len == 0 &&
        run->state.serial_len == 0 && run->job->goal != PROFILE_GOAL_SCAN)
        block(run, B_E_CARD_BLOCKED, "the card carries no serial and none was given");
}

static bool is_of_others(const struct profile_slot *s)
{
    return s->is_proven && (s->kind == PROFILE_KEY_GIVEN || s->kind == PROFILE_KEY_DERIVED);
}

/* The factory's key is everybody's: it proves the application of a fleet that is said to have it,
 * by giving it as a key like any other. */
static bool is_given_factory(const struct profile_run *run, const struct profile_slot *s)
{
    static const uint8_t zeros[DF_KEY_BYTES_MAX];
    const struct profile_job *j = run->job;
    bool is_given = false;
    for (uint8_t i = 0; i < j->given_count; i++)
        is_given |= j->given[i].type == s->type && b_ct_eq(j->given[i].bytes, zeros, sizeof(zeros));
    return is_given && s->is_proven && s->kind == PROFILE_KEY_FACTORY;
}

/* A badge is taken over when it proves to be one of the fleet: its UID alone is no proof. One that
 * has keys of ours by now, after a tear, has proved it before. */
static void check_takeover(struct profile_run *run)
{
    const struct profile_state *s = &run->state;
    const struct profile_layout *l = run_layout(run);
    bool is_theirs = l != NULL
                         ? is_of_others(&s->old) || is_given_factory(run, &s->old)
                         : is_of_others(&s->card_key) || (s->has_app && is_of_others(&s->slots[0]));
    bool must_open = l != NULL && l->deletes;
    if (l != NULL && !is_theirs && (must_open || !has_own_keys(run)))
        block(run, B_E_CARD_FOREIGN, "no key that was given opens the application of its layout");
    bool is_blank = s->app_count == 0 && s->card_key.kind == PROFILE_KEY_FACTORY;
    if (l == NULL && !is_theirs && !has_own_keys(run))
        block(run, is_blank ? B_E_CARD_BLOCKED : B_E_CARD_FOREIGN,
              is_blank ? "the card is blank: enrol it by `tessere badge enrol`"
                       : "it has no layout of the fleet, and no key that was given opens it");
    if (must_open && run->job->profile.is_guest)
        block(run, B_E_CARD_BLOCKED, "only the card's owner can delete the old application");
}

static void check_reach(struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    const struct profile_state *s = &run->state;
    check_uid(run);
    check_serial(run);
    if (run->job->goal == PROFILE_GOAL_TAKEOVER)
        check_takeover(run);
    if (!p->is_guest && !s->card_key.is_proven)
        block(run, B_E_CARD_FOREIGN, "the card's own key is not one of ours nor a factory key");
    if (!p->is_guest && !is_at_target(run, &s->card_key, KEY_ROLE_PICC) && s->has_card_settings &&
        (s->card_settings & SETTINGS_KEY_CHANGEABLE) == 0)
        block(run, B_E_CARD_BLOCKED, "the card's own key can never be changed");
    if (s->has_app && (s->slot_count < p->key_count || !s->slots[0].is_proven))
        block(run, B_E_CARD_FOREIGN, "the application is there with a master key that is not ours");
    if (s->has_app && s->has_app_settings &&
        (s->app_settings.type != DF_KEY_AES || s->app_settings.key_count != p->key_count))
        block(run, B_E_CARD_BLOCKED,
              "the application is there with other keys than the profile's: "
              "delete it first");
    if (s->has_app && s->has_app_settings &&
        (s->app_settings.settings & SETTINGS_CHANGEABLE) == 0 &&
        s->app_settings.settings != p->app_settings)
        block(run, B_E_CARD_BLOCKED, "the application's settings are frozen");
    if (!s->has_app && p->is_guest && s->has_card_settings &&
        (s->card_settings & SETTINGS_FREE_CREATE) == 0)
        block(run, B_E_CARD_BLOCKED, "the card's owner does not let others create applications");
    if (!s->has_app && s->free_bytes < bytes_needed(p))
        block(run, B_E_CARD_FULL, "the application does not fit the free memory");
}

/* Their application goes last: until ours stands, the badge is as good as it was. */
static void plan_old(struct profile_run *run)
{
    const struct profile_layout *l = run_layout(run);
    if (run->job->goal == PROFILE_GOAL_TAKEOVER && l != NULL && l->deletes)
        add(run, PROFILE_STEP_DELETE_APPLICATION, l->aid, 0);
}

static void plan_reach(struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    check_reach(run);
    if (run->plan.is_blocked)
        return;
    bool is_serial_first = crypto_div_uses_serial(run->diversification);
    /* After an inspection the application is selected: a card key of ours waits for its turn. */
    bool is_card_last = is_serial_first ||
                        (run->state.has_app && run->state.card_key.kind == PROFILE_KEY_DIVERSIFIED);
    if (!run->state.has_app)
        add(run, PROFILE_STEP_CREATE_APPLICATION, p->aid, 0);
    if (!p->is_guest && !is_card_last) {
        plan_card_key(run);
        if (!p->disables_format)
            plan_card_settings(run);
    }
    plan_app(run);
    if (p->is_guest)
        return;
    if (is_card_last)
        plan_card_key(run);
    plan_irreversible(run);
    if (is_card_last || p->disables_format)
        plan_card_settings(run);
    plan_old(run);
}

/* --- back to blank
 * --------------------------------------------------------------------------------------------- */

static void plan_removal(struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    const struct profile_state *s = &run->state;
    /* EV1 gives memory back only when it is formatted. */
    bool can_format = s->ev == DF_EV1 && s->lists_apps && !has_others(run) && !p->disables_format;
    if (s->has_app)
        add(run, can_format ? PROFILE_STEP_FORMAT : PROFILE_STEP_DELETE_APPLICATION, p->aid, 0);
}

static void plan_factory(struct profile_run *run)
{
    const struct profile_state *s = &run->state;
    if (s->has_card_settings && s->card_settings != FACTORY_SETTINGS &&
        (s->card_settings & SETTINGS_CHANGEABLE))
        add(run, PROFILE_STEP_RESET_CARD_SETTINGS, 0, 0);
    if (s->card_key.kind == PROFILE_KEY_FACTORY && s->card_key.type != DF_KEY_AES)
        return;
    struct profile_step *step = add(run, PROFILE_STEP_RESET_CARD_KEY, 0, 0);
    step->role = KEY_ROLE_PICC;
    step->from_generation = s->card_key.generation;
}

/* Of a guest's card only our application goes, by its own key, where the card's owner lets it. */
static void plan_guest_blank(struct profile_run *run)
{
    const struct profile_state *s = &run->state;
    if (!s->has_app)
        return;
    if (!s->slots[0].is_proven)
        block(run, B_E_CARD_FOREIGN, "the application is there with a master key that is not ours");
    else if (s->has_card_settings && (s->card_settings & SETTINGS_FREE_CREATE) == 0)
        block(run, B_E_CARD_BLOCKED, "only the card's owner can delete applications");
    else
        add(run, PROFILE_STEP_DELETE_APPLICATION, run->job->profile.aid, 0);
}

/* With another issuer's application on the card, its key and settings stay as they are: giving
 * them back to the factory would open what is not ours. */
static void plan_blank(struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    const struct profile_state *s = &run->state;
    if (p->is_guest) {
        plan_guest_blank(run);
        return;
    }
    if (!s->card_key.is_proven) {
        block(run, B_E_CARD_FOREIGN, "the card's own key is not one of ours nor a factory key");
        return;
    }
    bool is_serial_last =
        crypto_div_uses_serial(run->diversification) && s->card_key.kind == PROFILE_KEY_DIVERSIFIED;
    bool has_more = has_others(run) || !s->lists_apps;
    if (has_more && is_serial_last && s->has_app) {
        block(run, B_E_CARD_BLOCKED,
              "other applications keep the card's key in place, and it is derived from the serial "
              "in ours");
        return;
    }
    if (!is_serial_last)
        plan_removal(run);
    if (!has_more)
        plan_factory(run);
    if (is_serial_last)
        plan_removal(run);
}

/* --- inside a tap's visit: keys alone
 * ---------------------------------------------------------------------- */

static bool is_rekeyed(const struct profile_run *run, const struct profile_slot *s,
                       enum key_role role)
{
    return s->is_proven && role < KEY_ROLE_COUNT && (run->job->rekey_roles >> role & 1) != 0 &&
           !is_at_target(run, s, role);
}

/* Key 0 after those that it may change. */
static void plan_rekey(struct profile_run *run)
{
    const struct profile *p = &run->job->profile;
    const struct profile_state *s = &run->state;
    for (uint8_t n = 1; n <= p->key_count; n++) {
        uint8_t no = n % p->key_count;
        if (is_rekeyed(run, &s->slots[no], p->keys[no].role))
            add_key(run, PROFILE_STEP_CHANGE_KEY, p->aid, no, s->slots[no].generation);
    }
    if (is_rekeyed(run, &s->card_key, KEY_ROLE_PICC))
        plan_card_key(run);
}

/* SHA-256 over the digests of profile, state and plan. */
static void make_digest(struct profile_run *run)
{
    uint8_t room[3900], parts[3][32];
    memset(run->plan.digest, 0, sizeof(run->plan.digest));
    for (int i = 0; i < 3; i++) {
        struct b_wr w = b_wr_from(room, sizeof(room));
        b_wr_u8(&w, (uint8_t)run->job->goal);
        if (i == 0)
            profile_encode(&run->job->profile, &w);
        else if (i == 1)
            profile_state_encode(&run->state, &w);
        else
            profile_plan_encode(&run->plan, &w);
        b_check(b_wr_ok(&w));
        crypto_sha256(room, w.len, parts[i]);
    }
    crypto_sha256(parts, sizeof(parts), run->plan.digest);
}

void plan_make(struct profile_run *run)
{
    run->plan = (struct profile_plan){0};
    note_card(run);
    if (run->job->goal == PROFILE_GOAL_BLANK)
        plan_blank(run);
    else if (run->job->goal == PROFILE_GOAL_REKEY)
        plan_rekey(run);
    else
        plan_reach(run);
    make_digest(run);
}
