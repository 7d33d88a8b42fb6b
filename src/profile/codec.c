/* Wire forms of the model: one walk each, both directions. */
#include <string.h>

#include "profile/profile.h"

static void walk_df_settings(struct b_walk *k, struct df_file_settings *s)
{
    uint32_t rights = df_rights_pack(s->rights);
    B_WALK(k, s->type, DF_FILE_TMAC);
    B_WALK(k, s->option, 255);
    B_WALK(k, s->comm, DF_COMM_FULL);
    B_WALK(k, rights, 0xFFFF);
    s->rights = df_rights_unpack((uint16_t)rights);
    B_WALK(k, s->has_iso, 1);
    B_WALK(k, s->iso_fid, 0xFFFF);
    B_WALK(k, s->size, 0xFFFFFF);
    B_WALK(k, s->lower, UINT32_MAX);
    B_WALK(k, s->upper, UINT32_MAX);
    B_WALK(k, s->value, UINT32_MAX);
    B_WALK(k, s->limited_credit, 255);
    B_WALK(k, s->record_size, 0xFFFFFF);
    B_WALK(k, s->record_max, 0xFFFFFF);
    B_WALK(k, s->record_count, 0xFFFFFF);
}

static void walk_profile(struct b_walk *k, struct profile *p)
{
    b_walk_text(k, p->id, sizeof(p->id));
    B_WALK(k, p->revision, UINT32_MAX);
    B_WALK(k, p->is_guest, 1);
    B_WALK(k, p->wants_random_uid, 1);
    B_WALK(k, p->disables_format, 1);
    B_WALK(k, p->card_settings, 255);
    B_WALK(k, p->aid, 0xFFFFFF);
    B_WALK(k, p->app_settings, 255);
    B_WALK(k, p->has_iso, 1);
    B_WALK(k, p->iso_fid, 0xFFFF);
    B_WALK(k, p->df_name_len, DF_DF_NAME_MAX);
    b_walk_bytes(k, p->df_name, sizeof(p->df_name));
    B_WALK(k, p->key_count, PROFILE_KEYS_MAX);
    for (uint8_t i = 0; i < p->key_count; i++) {
        B_WALK(k, p->keys[i].no, PROFILE_KEYS_MAX - 1);
        B_WALK(k, p->keys[i].role, KEY_ROLE_COUNT - 1);
    }
    B_WALK(k, p->file_count, PROFILE_FILES_MAX);
    for (uint8_t i = 0; i < p->file_count; i++) {
        struct profile_file *f = &p->files[i];
        B_WALK(k, f->no, DF_FILE_MAX - 1);
        walk_df_settings(k, &f->settings);
        B_WALK(k, f->content, PROFILE_CONTENT_HOLDER);
        B_WALK(k, f->bytes_len, PROFILE_CONTENT_MAX);
        b_walk_bytes(k, f->bytes, f->bytes_len);
    }
    b_walk_text(k, p->diversification, sizeof(p->diversification));
    B_WALK(k, p->system_len, CRYPTO_SYSTEM_MAX);
    b_walk_bytes(k, p->system, sizeof(p->system));
}

static void walk_layout(struct b_walk *k, struct profile_layout *l)
{
    b_walk_text(k, l->id, sizeof(l->id));
    B_WALK(k, l->aid, 0xFFFFFF);
    B_WALK(k, l->type, DF_KEY_AES);
    B_WALK(k, l->key_count, PROFILE_KEYS_MAX);
    B_WALK(k, l->proof_key, PROFILE_KEYS_MAX - 1);
    B_WALK(k, l->has_uid_key, 1);
    B_WALK(k, l->uid_key, PROFILE_KEYS_MAX - 1);
    b_walk_text(k, l->diversification, sizeof(l->diversification));
    b_walk_text(k, l->card_diversification, sizeof(l->card_diversification));
    B_WALK(k, l->system_len, CRYPTO_SYSTEM_MAX);
    b_walk_bytes(k, l->system, sizeof(l->system));
    B_WALK(k, l->deletes, 1);
}

static void walk_version(struct b_walk *k, struct df_version *v)
{
    b_walk_bytes(k, v, sizeof(*v));
}
static_assert(sizeof(struct df_version) == 28, "a version is bytes alone, as on the wire");

static void walk_slot(struct b_walk *k, struct profile_slot *s)
{
    B_WALK(k, s->kind, PROFILE_KEY_NOT_TRIED);
    B_WALK(k, s->type, DF_KEY_AES);
    B_WALK(k, s->version, 255);
    B_WALK(k, s->generation, 255);
    B_WALK(k, s->is_proven, 1);
}

static void walk_app_settings(struct b_walk *k, struct df_key_settings *s)
{
    B_WALK(k, s->settings, 255);
    B_WALK(k, s->type, 0xC0);
    B_WALK(k, s->key_count, 15);
    B_WALK(k, s->has_iso, 1);
    B_WALK(k, s->key_sets, 255);
    B_WALK(k, s->key_set_version, 255);
    B_WALK(k, s->key_set_max_size, 255);
    B_WALK(k, s->key_set_settings, 255);
}

static void walk_state(struct b_walk *k, struct profile_state *s)
{
    B_WALK(k, s->ev, DF_EV3);
    walk_version(k, &s->version);
    B_WALK(k, s->uid_len, 7);
    b_walk_bytes(k, s->uid, sizeof(s->uid));
    B_WALK(k, s->is_random_uid, 1);
    B_WALK(k, s->is_genuine_tried, 1);
    B_WALK(k, s->is_genuine, 1);
    b_walk_text(k, s->product, sizeof(s->product));
    B_WALK(k, s->free_bytes, UINT32_MAX);
    B_WALK(k, s->lists_apps, 1);
    B_WALK(k, s->app_count, PROFILE_APPS_MAX);
    for (uint8_t i = 0; i < s->app_count; i++)
        B_WALK(k, s->apps[i], 0xFFFFFF);
    walk_slot(k, &s->card_key);
    B_WALK(k, s->card_settings, 255);
    B_WALK(k, s->has_card_settings, 1);
    B_WALK(k, s->has_app, 1);
    B_WALK(k, s->has_app_settings, 1);
    walk_app_settings(k, &s->app_settings);
    B_WALK(k, s->slot_count, PROFILE_KEYS_MAX);
    for (uint8_t i = 0; i < s->slot_count; i++)
        walk_slot(k, &s->slots[i]);
    B_WALK(k, s->layout, PROFILE_LAYOUTS_MAX);
    walk_slot(k, &s->old);
    B_WALK(k, s->lists_files, 1);
    B_WALK(k, s->file_count, PROFILE_FILES_MAX);
    for (uint8_t i = 0; i < s->file_count; i++) {
        B_WALK(k, s->files[i].no, 255);
        B_WALK(k, s->files[i].is_content_right, 1);
        walk_df_settings(k, &s->files[i].settings);
    }
    B_WALK(k, s->serial_len, CRYPTO_SERIAL_MAX);
    b_walk_bytes(k, s->serial, sizeof(s->serial));
}

static void walk_plan(struct b_walk *k, struct profile_plan *p)
{
    b_walk_bytes(k, p->digest, sizeof(p->digest));
    B_WALK(k, p->step_count, PROFILE_STEPS_MAX);
    for (uint8_t i = 0; i < p->step_count; i++) {
        struct profile_step *s = &p->steps[i];
        B_WALK(k, s->kind, PROFILE_STEP_KIND_COUNT - 1);
        B_WALK(k, s->aid, 0xFFFFFF);
        B_WALK(k, s->no, 255);
        B_WALK(k, s->role, KEY_ROLE_COUNT - 1);
        B_WALK(k, s->from_generation, 255);
        B_WALK(k, s->to_generation, 255);
    }
    B_WALK(k, p->note_count, PROFILE_NOTES_MAX);
    for (uint8_t i = 0; i < p->note_count; i++) {
        B_WALK(k, p->notes[i].id, PROFILE_NOTE_COUNT - 1);
        B_WALK(k, p->notes[i].key_no, 255);
    }
    B_WALK(k, p->is_blocked, 1);
    B_WALK(k, p->blocker.code, B_CODE_COUNT - 1);
    B_WALK(k, p->blocker.aux, UINT32_MAX);
    b_walk_text(k, p->blocker.msg, sizeof(p->blocker.msg));
}

static void walk_job(struct b_walk *k, struct profile_job *j)
{
    B_WALK(k, j->goal, PROFILE_GOAL_UID);
    walk_profile(k, &j->profile);
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
        struct profile_generations *g = &j->generations[i];
        B_WALK(k, g->target, 255);
        B_WALK(k, g->known_count, PROFILE_GENERATIONS_MAX);
        b_walk_bytes(k, g->known, sizeof(g->known));
    }
    B_WALK(k, j->uid_len, sizeof(j->uid));
    b_walk_bytes(k, j->uid, sizeof(j->uid));
    B_WALK(k, j->serial_len, sizeof(j->serial));
    b_walk_bytes(k, j->serial, sizeof(j->serial));
    B_WALK(k, j->holder_len, sizeof(j->holder));
    b_walk_bytes(k, j->holder, sizeof(j->holder));
    B_WALK(k, j->rekey_roles, (1 << KEY_ROLE_COUNT) - 1);
    B_WALK(k, j->ev_hint, DF_EV3);
    B_WALK(k, j->auth_hint, 255);
    B_WALK(k, j->tries_known_keys, 1);
    B_WALK(k, j->given_count, PROFILE_GIVEN_KEYS_MAX);
    for (uint8_t i = 0; i < j->given_count; i++) {
        B_WALK(k, j->given[i].type, DF_KEY_AES);
        B_WALK(k, j->given[i].version, 255);
        b_walk_bytes(k, j->given[i].bytes, sizeof(j->given[i].bytes));
    }
    B_WALK(k, j->fleet.count, PROFILE_LAYOUTS_MAX);
    for (uint8_t i = 0; i < j->fleet.count; i++)
        walk_layout(k, &j->fleet.layouts[i]);
}

/* An encoder only reads, though its walk could write: the cast stands here once for all four. */
#define CODEC(name, type)                                             \
    void profile_##name##encode(const struct type *p, struct b_wr *w) \
    {                                                                 \
        struct b_walk k = {.w = w};                                   \
        walk_##type(&k, (struct type *)(uintptr_t)p);                 \
    }                                                                 \
    bool profile_##name##decode(struct b_rd *r, struct type *ret)     \
    {                                                                 \
        struct b_walk k = {.r = r};                                   \
        memset(ret, 0, sizeof(*ret));                                 \
        walk_##type(&k, ret);                                         \
        return b_walk_ok(&k);                                         \
    }
#define walk_profile_state walk_state
#define walk_profile_plan walk_plan
#define walk_profile_job walk_job
CODEC(, profile)
CODEC(state_, profile_state)
CODEC(plan_, profile_plan)
CODEC(job_, profile_job)
