/* Names, texts and rules of the model. */
#include <stdio.h>
#include <string.h>

#include "profile/profile.h"

static const struct {
    const char *name;
    enum profile_severity severity;
    const char *text;
} notes[] = {
#define PROFILE_NOTE(name, severity, text) {#name, severity, text},
#include "profile/note.def"
#undef PROFILE_NOTE
};

static const struct {
    const char *name, *text;
} steps[] = {
#define PROFILE_STEP(name, text) {#name, text},
#include "profile/step.def"
#undef PROFILE_STEP
};

/* Table identifiers as people type them: "CHANGE_KEY" is "change-key". Filled once. */
static const char *spoken(char room[static 32], const char *name)
{
    for (size_t i = 0; room[0] == '\0' || name[i] != '\0'; i++) {
        if (i >= 31 || name[i] == '\0')
            break;
        room[i] = (char)(name[i] == '_' ? '-' : name[i] | 0x20);
    }
    return room;
}

const char *profile_note_name(enum profile_note_id id)
{
    static char room[PROFILE_NOTE_COUNT][32];
    return (size_t)id < PROFILE_NOTE_COUNT ? spoken(room[id], notes[id].name) : "?";
}

const char *profile_note_text(enum profile_note_id id)
{
    return (size_t)id < PROFILE_NOTE_COUNT ? notes[id].text : "?";
}

enum profile_severity profile_note_severity(enum profile_note_id id)
{
    b_check((size_t)id < PROFILE_NOTE_COUNT);
    return notes[id].severity;
}

const char *profile_step_name(enum profile_step_kind kind)
{
    static char room[PROFILE_STEP_KIND_COUNT][32];
    return (size_t)kind < PROFILE_STEP_KIND_COUNT ? spoken(room[kind], steps[kind].name) : "?";
}

const char *profile_step_text(enum profile_step_kind kind)
{
    return (size_t)kind < PROFILE_STEP_KIND_COUNT ? steps[kind].text : "?";
}

static void print_generation(char *room, size_t cap, uint8_t generation)
{
    if (generation == KEY_GENERATION_FACTORY)
        (void)snprintf(room, cap, "factory");
    else
        (void)snprintf(room, cap, "generation %u", generation);
}

void profile_step_print(const struct profile_step *s, char *line, size_t cap)
{
    const char *text = steps[s->kind].text;
    char from[24], to[24];
    print_generation(from, sizeof(from), s->from_generation);
    print_generation(to, sizeof(to), s->to_generation);
    switch (s->kind) {
    case PROFILE_STEP_CHANGE_KEY:
        (void)snprintf(line, cap, "%s %u (%s) of application %06X from %s to %s", text, s->no,
                       key_role_name(s->role), s->aid, from, to);
        break;
    case PROFILE_STEP_CHANGE_CARD_KEY:
    case PROFILE_STEP_RESET_CARD_KEY:
        (void)snprintf(line, cap, "%s from %s to %s", text, from, to);
        break;
    case PROFILE_STEP_DELETE_FILE:
    case PROFILE_STEP_CREATE_FILE:
    case PROFILE_STEP_CHANGE_FILE_SETTINGS:
    case PROFILE_STEP_WRITE_FILE:
        (void)snprintf(line, cap, "%s %u of application %06X", text, s->no, s->aid);
        break;
    case PROFILE_STEP_CREATE_APPLICATION:
    case PROFILE_STEP_DELETE_APPLICATION:
    case PROFILE_STEP_OPEN_APPLICATION:
    case PROFILE_STEP_CHANGE_APP_SETTINGS:
        (void)snprintf(line, cap, "%s %06X", text, s->aid);
        break;
    case PROFILE_STEP_CHANGE_CARD_SETTINGS:
    case PROFILE_STEP_SET_RANDOM_UID:
    case PROFILE_STEP_DISABLE_FORMAT:
    case PROFILE_STEP_FORMAT:
    case PROFILE_STEP_RESET_CARD_SETTINGS:
    case PROFILE_STEP_KIND_COUNT:
        (void)snprintf(line, cap, "%s", text);
        break;
    }
}

int profile_key_no(const struct profile *p, enum key_role role)
{
    for (uint8_t i = 0; i < p->key_count; i++) {
        if (p->keys[i].role == role)
            return p->keys[i].no;
    }
    return -1;
}

/* --- rules
 * ----------------------------------------------------------------------------------------- */

static enum b_code broken(struct b_err *err, const char *field, const char *rule)
{
    return b_err_set(err, B_E_PROFILE_RULE, 0, "%s: %s", field, b_err_word(rule));
}

static enum b_code check_keys(const struct profile *p, struct b_err *err)
{
    uint32_t auth = 0;
    if (p->key_count < 2 || p->key_count > PROFILE_KEYS_MAX)
        return broken(err, "application.keys", "2 to 14 keys, one of them with the role auth");
    for (uint8_t i = 0; i < p->key_count; i++) {
        if (p->keys[i].no != i)
            return broken(err, "application.keys", "key numbers go from 0 without a gap");
        if ((p->keys[i].role == KEY_ROLE_APP) != (i == 0) || p->keys[i].role == KEY_ROLE_PICC)
            return broken(err, "application.keys", "key 0, and no other, has the role app");
        for (uint8_t j = 0; j < i; j++) {
            if (p->keys[j].role == p->keys[i].role)
                return broken(err, "application.keys", "each role has one key");
        }
        auth += p->keys[i].role == KEY_ROLE_AUTH;
    }
    return auth == 1 ? B_OK : broken(err, "application.keys", "one key has the role auth");
}

static bool is_right_good(const struct profile *p, uint8_t right)
{
    return right >= DF_RIGHT_FREE ? right <= DF_RIGHT_NEVER : right < p->key_count;
}

/* What the kind of file wants; NULL when it is good. */
static const char *what_shape_lacks(const struct df_file_settings *s)
{
    switch (s->type) {
    case DF_FILE_STANDARD:
    case DF_FILE_BACKUP:
        return s->size == 0 || s->size > 8192 ? "size: 1 to 8192 bytes" : NULL;
    case DF_FILE_VALUE:
        return s->lower > s->value || s->value > s->upper ? "value lies between lower and upper"
                                                          : NULL;
    case DF_FILE_LINEAR:
    case DF_FILE_CYCLIC:
        if (s->record_size == 0 || s->record_size > 8192)
            return "record-size: 1 to 8192 bytes";
        /* One record of a cyclic file is the one being written. */
        if (s->record_max < (s->type == DF_FILE_CYCLIC ? 2u : 1u) || s->record_max > 8192)
            return "records: at least 1, of a cyclic file at least 2";
        return NULL;
    case DF_FILE_TMAC:
        break;
    }
    return "a transaction MAC file is not made from a profile";
}

static enum b_code check_file(const struct profile *p, const struct profile_file *f,
                              struct b_err *err)
{
    const struct df_file_settings *s = &f->settings;
    char field[40];
    (void)snprintf(field, sizeof(field), "application.files, file %u", f->no);
    if (f->no >= DF_FILE_MAX)
        return broken(err, field, "file numbers go from 0 to 31");
    if (!is_right_good(p, s->rights.read) || !is_right_good(p, s->rights.write) ||
        !is_right_good(p, s->rights.read_write) || !is_right_good(p, s->rights.change))
        return broken(err, field, "a right names a key of the application, free or never");
    if (s->rights.change == DF_RIGHT_FREE || s->rights.write == DF_RIGHT_FREE ||
        s->rights.read_write == DF_RIGHT_FREE)
        return broken(err, field, "only reading may be free");
    const char *lacks = what_shape_lacks(s);
    if (lacks != NULL)
        return broken(err, field, lacks);
    if (s->has_iso && !p->has_iso)
        return broken(err, field, "iso-fid: the application has none");
    if (f->content != PROFILE_CONTENT_NONE && s->rights.write == DF_RIGHT_NEVER &&
        s->rights.read_write == DF_RIGHT_NEVER)
        return broken(err, field, "it has content, and nobody may write it");
    if (f->content != PROFILE_CONTENT_NONE && s->type != DF_FILE_STANDARD)
        return broken(err, field, "only a standard file has content of the profile");
    if (f->content != PROFILE_CONTENT_NONE &&
        (s->size > PROFILE_CONTENT_MAX || f->bytes_len > s->size))
        return broken(err, field, "content fits the file and has at most 128 bytes");
    if (f->content == PROFILE_CONTENT_SERIAL && s->size != CRYPTO_SERIAL_MAX)
        return broken(err, field, "a serial file has 16 bytes");
    if (f->content == PROFILE_CONTENT_SERIAL &&
        (s->rights.read != DF_RIGHT_FREE || s->comm != DF_COMM_PLAIN))
        return broken(err, field, "a serial is read freely and in plain");
    return B_OK;
}

enum b_code profile_check(const struct profile *p, struct b_err *err)
{
    const struct crypto_div_profile *d = crypto_div_find(p->diversification);
    if (p->id[0] == '\0')
        return broken(err, "id", "a profile has a name");
    if (p->aid == 0 || p->aid > 0xFFFFFF)
        return broken(err, "application.aid", "three bytes in hexadecimal, not 000000");
    if (p->df_name_len > 0 && !p->has_iso)
        return broken(err, "application.df-name", "a DF name goes with an iso-id");
    if (d == NULL)
        return broken(err, "diversification", "no diversification profile has this name");
    enum b_code r = check_keys(p, err);
    bool has_serial = false;
    for (uint8_t i = 0; r == B_OK && i < p->file_count; i++) {
        r = check_file(p, &p->files[i], err);
        has_serial |= p->files[i].content == PROFILE_CONTENT_SERIAL;
        for (uint8_t j = 0; r == B_OK && j < i; j++) {
            if (p->files[j].no == p->files[i].no)
                r = broken(err, "application.files", "two files have the same number");
        }
    }
    if (r != B_OK)
        return r;
    if (crypto_div_uses_serial(d) && !has_serial)
        return broken(err, "diversification", "a serial profile needs a file with content: serial");
    if (p->wants_random_uid && crypto_div_uses_uid(d))
        return broken(err, "card.random-uid", "a random UID needs the serial diversification");
    if (p->is_guest && (p->wants_random_uid || p->disables_format))
        return broken(err, "card", "a guest card is not ours to configure");
    if (!p->is_guest && (p->card_settings & 0xF9) != 0x09)
        return broken(err, "card.settings", "the master key and the settings stay changeable");
    if (p->disables_format && p->card_settings == 0x0F)
        return broken(err, "card.disable-format",
                      "card.settings differ from the factory's: they tell that it was done");
    uint8_t right = p->app_settings >> 4;
    if (right == 0xF || (right != 0xE && right >= p->key_count))
        return broken(err, "application.change-key", "itself, or a key of the application");
    if ((p->app_settings & 0x09) != 0x09)
        return broken(err, "application.settings",
                      "the master key and the settings stay changeable");
    return B_OK;
}
