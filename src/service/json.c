#include "service/json.h"

#include <stdio.h>
#include <string.h>

static const char *const severities[] = {"info", "warning", "forbidden"};
static const char *const kinds[] = {"unknown", "factory",     "known",    "given",
                                    "derived", "diversified", "not-tried"};

bool service_is_conform(const struct profile_plan *plan)
{
    for (uint8_t i = 0; i < plan->note_count; i++) {
        if (profile_note_severity(plan->notes[i].id) == PROFILE_FORBIDDEN)
            return false;
    }
    return !plan->is_blocked && plan->step_count == 0;
}

static bool has_role(enum profile_step_kind kind)
{
    return kind == PROFILE_STEP_CHANGE_KEY || kind == PROFILE_STEP_CHANGE_CARD_KEY ||
           kind == PROFILE_STEP_RESET_CARD_KEY;
}

json_t *service_json_plan(const struct profile_plan *plan)
{
    json_t *steps = json_array(), *notes = json_array();
    char line[160];
    char digest[65];
    b_hex(digest, plan->digest, sizeof(plan->digest));
    for (uint8_t i = 0; i < plan->step_count; i++) {
        const struct profile_step *s = &plan->steps[i];
        char aid[9];
        (void)snprintf(aid, sizeof(aid), "%06X", s->aid);
        profile_step_print(s, line, sizeof(line));
        (void)json_array_append_new(
            steps, json_pack("{s:s, s:s, s:i, s:s?, s:i, s:i, s:s}", "step",
                             profile_step_name(s->kind), "application", aid, "number", (int)s->no,
                             "role", has_role(s->kind) ? key_role_name(s->role) : NULL, "from",
                             (int)s->from_generation, "to", (int)s->to_generation, "text", line));
    }
    for (uint8_t i = 0; i < plan->note_count; i++) {
        const struct profile_note *n = &plan->notes[i];
        (void)json_array_append_new(
            notes,
            json_pack("{s:s, s:s, s:s, s:o}", "note", profile_note_name(n->id), "severity",
                      severities[profile_note_severity(n->id)], "text", profile_note_text(n->id),
                      "number", n->key_no == 0xFF ? json_null() : json_integer(n->key_no)));
    }
    return json_pack("{s:s, s:b, s:s, s:s, s:o, s:o}", "digest", digest, "blocked",
                     plan->is_blocked, "obstacle", plan->is_blocked ? plan->blocker.msg : "",
                     "obstacle_code", plan->is_blocked ? b_code_name(plan->blocker.code) : "",
                     "steps", steps, "notes", notes);
}

static json_t *json_slot(const struct profile_slot *s, const char *role)
{
    return json_pack("{s:s, s:i, s:i, s:b, s:s}", "kind", kinds[s->kind], "version",
                     (int)s->version, "generation", (int)s->generation, "proved", s->is_proven,
                     "role", role);
}

json_t *service_json_state(const struct profile *profile, const struct profile_state *s)
{
    char uid[15] = "";
    json_t *keys = json_array(), *apps = json_array();
    b_hex(uid, s->uid, s->uid_len);
    for (uint8_t i = 0; s->has_app && i < s->slot_count; i++) {
        const char *role = i < profile->key_count ? key_role_name(profile->keys[i].role) : "";
        (void)json_array_append_new(keys, json_slot(&s->slots[i], role));
    }
    for (uint8_t i = 0; i < s->app_count; i++) {
        char aid[7];
        (void)snprintf(aid, sizeof(aid), "%06X", s->apps[i] & 0xFFFFFF);
        (void)json_array_append_new(apps, json_string(aid));
    }
    return json_pack("{s:s, s:i, s:i, s:i, s:s, s:b, s:b, s:b, s:s, s:b, s:o, s:o, s:b, s:o}",
                     "card", df_ev_name(s->ev), "storage", (int)s->version.hw_storage, "memory",
                     (int)df_storage_bytes(s->version.hw_storage), "free", (int)s->free_bytes,
                     "uid", uid, "random_uid", s->is_random_uid, "genuine_tried",
                     s->is_genuine_tried, "genuine", s->is_genuine, "product", s->product,
                     "lists_applications", s->lists_apps, "applications", apps, "card_key",
                     json_slot(&s->card_key, "picc"), "has_application", s->has_app, "keys", keys);
}

json_t *service_json_campaign(const struct store_campaign *k)
{
    return json_pack("{s:I, s:s, s:i, s:s, s:s, s:i, s:i, s:I, s:I, s:I, s:I}", "id",
                     (json_int_t)k->id, "role", key_role_name(k->role), "generation",
                     (int)k->generation, "state", store_campaign_state_name(k->state), "why",
                     k->why, "pace", (int)k->pace, "pause_percent", (int)k->pause_percent,
                     "tries_done", (json_int_t)k->done, "tries_failed", (json_int_t)k->failed,
                     "started_at", (json_int_t)k->started_at, "changed_at",
                     (json_int_t)k->changed_at);
}

json_t *service_json_badge(const struct store_badge *b)
{
    char uid[15];
    char serial[2 * sizeof(b->serial) + 1];
    b_hex(uid, b->uid, sizeof(b->uid));
    b_hex(serial, b->serial, b->serial_len);
    json_t *keys = json_object();
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++)
        (void)json_object_set_new(keys, key_role_name((enum key_role)i),
                                  json_integer(b->generation[i]));
    return json_pack("{s:I, s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:i, s:o, s:I, s:I, s:I, "
                     "s:I, s:I, s:b, s:I, s:b}",
                     "id", (json_int_t)b->id, "uid", uid, "serial", serial, "state",
                     store_badge_state_name(b->state), "holder", "ref", b->holder_ref, "name",
                     b->holder_name, "reason", b->reason, "card", df_ev_name((enum df_ev)b->ev),
                     "profile", b->profile_id, "profile_revision", (int)b->profile_revision,
                     "generations", keys, "created_at", (json_int_t)b->created_at, "changed_at",
                     (json_int_t)b->changed_at, "tapped_at", (json_int_t)b->tapped_at, "not_before",
                     (json_int_t)b->not_before, "not_after", (json_int_t)b->not_after, "temporary",
                     (int)b->is_temporary, "batch", (json_int_t)b->batch_id, "in_office",
                     (int)b->is_in_office);
}

json_t *service_json_batch(const struct store_batch *b, const struct store_stock *n)
{
    return json_pack(
        "{s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "batch",
        (json_int_t)b->id, "name", b->name, "supplier", b->supplier, "transport_key",
        b->transport_key, "received", (json_int_t)b->count, "at", (json_int_t)b->at, "blank",
        (json_int_t)n->blank, "begun", (json_int_t)n->begun, "encoded", (json_int_t)n->encoded,
        "issued", (json_int_t)n->issued, "returned", (json_int_t)n->returned, "destroyed",
        (json_int_t)n->destroyed, "lost", (json_int_t)n->lost, "adds_up", (int)(n->blank >= 0));
}

/* --- and back ----------------------------------------------------------------------------------
 */

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}

/* The value of a table's row by its name; -1: none. */
#define FINDER(find, type, name_of, count)           \
    static int find(const char *name)                \
    {                                                \
        for (int i = 0; i < (int)(count); i++)       \
            if (strcmp(name_of((type)i), name) == 0) \
                return i;                            \
        return -1;                                   \
    }
FINDER(find_step, enum profile_step_kind, profile_step_name, PROFILE_STEP_KIND_COUNT)
FINDER(find_note, enum profile_note_id, profile_note_name, PROFILE_NOTE_COUNT)
FINDER(find_role, enum key_role, key_role_name, KEY_ROLE_COUNT)
FINDER(find_code, enum b_code, b_code_name, B_CODE_COUNT)
FINDER(find_badge_state, enum store_badge_state, store_badge_state_name, STORE_BADGE_BLANKED + 1)
FINDER(find_ev, enum df_ev, df_ev_name, DF_EV3 + 1)
#undef FINDER

static bool read_aid(const char *text, df_aid *ret)
{
    uint8_t bytes[3];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    if (!b_unhex(&w, text) || w.len != sizeof(bytes))
        return false;
    *ret = (df_aid)bytes[0] << 16 | (df_aid)bytes[1] << 8 | bytes[2];
    return true;
}

static uint8_t byte_of(const json_t *o, const char *name)
{
    return (uint8_t)(json_integer_value(json_object_get(o, name)) & 0xFF);
}

static bool read_step(const json_t *o, struct profile_step *ret)
{
    int kind = find_step(text_of(o, "step"));
    int role = find_role(text_of(o, "role"));
    if (kind < 0 || (has_role((enum profile_step_kind)kind) && role < 0))
        return false;
    *ret = (struct profile_step){.kind = (enum profile_step_kind)kind,
                                 .no = byte_of(o, "number"),
                                 .role = (enum key_role)(role < 0 ? 0 : role),
                                 .from_generation = byte_of(o, "from"),
                                 .to_generation = byte_of(o, "to")};
    return read_aid(text_of(o, "application"), &ret->aid);
}

static bool read_note(const json_t *o, struct profile_note *ret)
{
    int id = find_note(text_of(o, "note"));
    const json_t *number = json_object_get(o, "number");
    ret->id = (enum profile_note_id)id;
    ret->key_no = json_is_integer(number) ? byte_of(o, "number") : 0xFF;
    return id >= 0;
}

bool service_json_plan_read(const json_t *o, struct profile_plan *ret)
{
    const json_t *steps = json_object_get(o, "steps");
    const json_t *notes = json_object_get(o, "notes");
    struct b_wr digest = b_wr_from(ret->digest, sizeof(ret->digest));
    *ret = (struct profile_plan){.is_blocked = json_is_true(json_object_get(o, "blocked"))};
    bool is_good = json_array_size(steps) <= PROFILE_STEPS_MAX &&
                   json_array_size(notes) <= PROFILE_NOTES_MAX &&
                   b_unhex(&digest, text_of(o, "digest")) && digest.len == sizeof(ret->digest);
    for (size_t i = 0; is_good && i < json_array_size(steps); i++)
        is_good = read_step(json_array_get(steps, i), &ret->steps[ret->step_count++]);
    for (size_t i = 0; is_good && i < json_array_size(notes); i++)
        is_good = read_note(json_array_get(notes, i), &ret->notes[ret->note_count++]);
    if (is_good && ret->is_blocked) {
        int code = find_code(text_of(o, "obstacle_code"));
        (void)b_err_set(&ret->blocker, code > B_OK ? (enum b_code)code : B_E_CARD_BLOCKED, 0,
                        "%.200s", text_of(o, "obstacle"));
    }
    return is_good;
}

static bool read_slot(const json_t *o, struct profile_slot *ret)
{
    int kind = (int)B_COUNT(kinds) - 1;
    while (kind >= 0 && strcmp(kinds[kind], text_of(o, "kind")) != 0)
        kind--;
    *ret = (struct profile_slot){.kind = (enum profile_key_kind)kind,
                                 .version = byte_of(o, "version"),
                                 .generation = byte_of(o, "generation"),
                                 .is_proven = json_is_true(json_object_get(o, "proved"))};
    return kind >= 0;
}

static bool read_keys(const json_t *keys, struct profile_state *ret, struct profile *ret_profile)
{
    bool is_good = json_array_size(keys) <= PROFILE_KEYS_MAX;
    for (size_t i = 0; is_good && i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        int role = find_role(text_of(key, "role"));
        is_good = read_slot(key, &ret->slots[ret->slot_count++]);
        if (role >= 0 && ret_profile->key_count == i)
            ret_profile->keys[ret_profile->key_count++].role = (enum key_role)role;
    }
    return is_good;
}

bool service_json_state_read(const json_t *o, struct profile_state *ret,
                             struct profile *ret_profile)
{
    *ret = (struct profile_state){.lists_apps =
                                      json_is_true(json_object_get(o, "lists_applications"))};
    ret_profile->key_count = 0;
    const json_t *apps = json_object_get(o, "applications");
    int ev = find_ev(text_of(o, "card"));
    struct b_wr uid = b_wr_from(ret->uid, sizeof(ret->uid));
    bool is_good = ev >= 0 && json_array_size(apps) <= PROFILE_APPS_MAX &&
                   b_unhex(&uid, text_of(o, "uid")) &&
                   read_slot(json_object_get(o, "card_key"), &ret->card_key);
    for (size_t i = 0; is_good && i < json_array_size(apps); i++)
        is_good =
            json_is_string(json_array_get(apps, i)) &&
            read_aid(json_string_value(json_array_get(apps, i)), &ret->apps[ret->app_count++]);
    if (!is_good)
        return false;
    ret->ev = (enum df_ev)ev;
    ret->uid_len = (uint8_t)uid.len;
    ret->version.hw_storage = byte_of(o, "storage");
    ret->free_bytes = (uint32_t)json_integer_value(json_object_get(o, "free"));
    ret->is_random_uid = json_is_true(json_object_get(o, "random_uid"));
    ret->is_genuine_tried = json_is_true(json_object_get(o, "genuine_tried"));
    ret->is_genuine = json_is_true(json_object_get(o, "genuine"));
    ret->has_app = json_is_true(json_object_get(o, "has_application"));
    (void)snprintf(ret->product, sizeof(ret->product), "%s", text_of(o, "product"));
    return read_keys(json_object_get(o, "keys"), ret, ret_profile);
}

static int64_t number_of(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

bool service_json_badge_read(const json_t *o, struct store_badge *ret)
{
    const json_t *holder = json_object_get(o, "holder");
    const json_t *generations = json_object_get(o, "generations");
    struct b_wr uid = b_wr_from(ret->uid, sizeof(ret->uid));
    struct b_wr serial = b_wr_from(ret->serial, sizeof(ret->serial));
    int state = find_badge_state(text_of(o, "state"));
    int ev = find_ev(text_of(o, "card"));
    *ret = (struct store_badge){.id = number_of(o, "id"),
                                .created_at = number_of(o, "created_at"),
                                .changed_at = number_of(o, "changed_at"),
                                .tapped_at = number_of(o, "tapped_at"),
                                .not_before = number_of(o, "not_before"),
                                .not_after = number_of(o, "not_after"),
                                .is_temporary = json_is_true(json_object_get(o, "temporary")),
                                .batch_id = number_of(o, "batch"),
                                .is_in_office = json_is_true(json_object_get(o, "in_office"))};
    ret->profile_revision = (uint32_t)number_of(o, "profile_revision");
    if (ret->id <= 0 || state < 0 || ev < 0 || !b_unhex(&uid, text_of(o, "uid")) ||
        uid.len != sizeof(ret->uid) || !b_unhex(&serial, text_of(o, "serial")))
        return false;
    ret->state = (enum store_badge_state)state;
    ret->ev = (uint8_t)ev;
    ret->serial_len = (uint8_t)serial.len;
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++)
        ret->generation[i] = byte_of(generations, key_role_name((enum key_role)i));
    (void)snprintf(ret->holder_ref, sizeof(ret->holder_ref), "%s", text_of(holder, "ref"));
    (void)snprintf(ret->holder_name, sizeof(ret->holder_name), "%s", text_of(holder, "name"));
    (void)snprintf(ret->reason, sizeof(ret->reason), "%s", text_of(o, "reason"));
    (void)snprintf(ret->profile_id, sizeof(ret->profile_id), "%s", text_of(o, "profile"));
    return true;
}
