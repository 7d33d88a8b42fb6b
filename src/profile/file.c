/*
 * A badge profile from YAML. libcyaml checks the text against the schema below and fills the
 * structs of the first part; they are turned into the model, which profile_check then judges.
 */
#include "profile/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/schema.h"

/* --- the file as it is written ---------------------------------------------------------------- */

enum { TEXT_MAX = 64, CONTENT_TEXT_MAX = 3 * PROFILE_CONTENT_MAX + 8 };

struct raw_card {
    int is_guest;
    bool random_uid, disable_format;
    uint32_t settings;
};
struct raw_key {
    uint8_t no;
    int role;
};
struct raw_rights {
    char *read, *write, *read_write, *change;
};
struct raw_file {
    uint8_t no;
    int type, communication;
    char *iso_fid;
    uint32_t size, record_size, records;
    int32_t lower, upper, value;
    bool limited_credit;
    struct raw_rights rights;
    char *content;
};
struct raw_app {
    char *aid, *iso_fid, *df_name, *change_key;
    uint32_t settings;
    struct raw_key *keys;
    unsigned keys_count;
    struct raw_file *files;
    unsigned files_count;
};
struct raw_profile {
    char *id, *diversification;
    uint32_t revision;
    struct raw_card card;
    struct raw_app application;
};

enum { OWNED, GUEST };
static const cyaml_strval_t ownerships[] = {{"owned", OWNED}, {"guest", GUEST}};
static const cyaml_strval_t roles[] = {{"app", KEY_ROLE_APP},
                                       {"auth", KEY_ROLE_AUTH},
                                       {"read", KEY_ROLE_READ},
                                       {"write", KEY_ROLE_WRITE}};
static const cyaml_strval_t types[] = {{"standard", DF_FILE_STANDARD},
                                       {"backup", DF_FILE_BACKUP},
                                       {"value", DF_FILE_VALUE},
                                       {"linear", DF_FILE_LINEAR},
                                       {"cyclic", DF_FILE_CYCLIC}};
static const cyaml_strval_t communications[] = {
    {"plain", DF_COMM_PLAIN}, {"mac", DF_COMM_MAC}, {"full", DF_COMM_FULL}};
/* KeySett1 b3..0, the same for card and application. */
static const cyaml_strval_t settings[] = {{"master-key-changeable", 0x01},
                                          {"free-listing", 0x02},
                                          {"free-creation", 0x04},
                                          {"settings-changeable", 0x08}};

static const cyaml_schema_field_t card_fields[] = {
    WORD("ownership", NEEDED, struct raw_card, is_guest, ownerships),
    CYAML_FIELD_BOOL("random-uid", MAY, struct raw_card, random_uid),
    CYAML_FIELD_BOOL("disable-format", MAY, struct raw_card, disable_format),
    WORDS("settings", MAY, struct raw_card, settings, settings),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t key_fields[] = {
    CYAML_FIELD_UINT("no", NEEDED, struct raw_key, no),
    WORD("role", NEEDED, struct raw_key, role, roles),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t rights_fields[] = {
    TEXT("read", NEEDED, struct raw_rights, read, TEXT_MAX),
    TEXT("write", NEEDED, struct raw_rights, write, TEXT_MAX),
    TEXT("read-write", NEEDED, struct raw_rights, read_write, TEXT_MAX),
    TEXT("change", NEEDED, struct raw_rights, change, TEXT_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_UINT("no", NEEDED, struct raw_file, no),
    WORD("type", NEEDED, struct raw_file, type, types),
    TEXT("iso-fid", MAY, struct raw_file, iso_fid, TEXT_MAX),
    CYAML_FIELD_UINT("size", MAY, struct raw_file, size),
    CYAML_FIELD_UINT("record-size", MAY, struct raw_file, record_size),
    CYAML_FIELD_UINT("records", MAY, struct raw_file, records),
    CYAML_FIELD_INT("lower", MAY, struct raw_file, lower),
    CYAML_FIELD_INT("upper", MAY, struct raw_file, upper),
    CYAML_FIELD_INT("value", MAY, struct raw_file, value),
    CYAML_FIELD_BOOL("limited-credit", MAY, struct raw_file, limited_credit),
    WORD("communication", NEEDED, struct raw_file, communication, communications),
    CYAML_FIELD_MAPPING("rights", NEEDED, struct raw_file, rights, rights_fields),
    TEXT("content", MAY, struct raw_file, content, CONTENT_TEXT_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t key_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_key, key_fields)};
static const cyaml_schema_value_t file_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_file, file_fields)};
static const cyaml_schema_field_t app_fields[] = {
    TEXT("aid", NEEDED, struct raw_app, aid, TEXT_MAX),
    TEXT("iso-fid", MAY, struct raw_app, iso_fid, TEXT_MAX),
    TEXT("df-name", MAY, struct raw_app, df_name, TEXT_MAX),
    WORDS("settings", MAY, struct raw_app, settings, settings),
    TEXT("change-key", MAY, struct raw_app, change_key, TEXT_MAX),
    CYAML_FIELD_SEQUENCE("keys", CYAML_FLAG_POINTER, struct raw_app, keys, &key_value, 1,
                         PROFILE_KEYS_MAX),
    CYAML_FIELD_SEQUENCE("files", CYAML_FLAG_POINTER | MAY, struct raw_app, files, &file_value, 0,
                         PROFILE_FILES_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t profile_fields[] = {
    TEXT("id", NEEDED, struct raw_profile, id, PROFILE_ID_MAX - 1),
    CYAML_FIELD_UINT("revision", NEEDED, struct raw_profile, revision),
    CYAML_FIELD_MAPPING("card", NEEDED, struct raw_profile, card, card_fields),
    CYAML_FIELD_MAPPING("application", NEEDED, struct raw_profile, application, app_fields),
    TEXT("diversification", MAY, struct raw_profile, diversification, PROFILE_ID_MAX - 1),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t profile_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_profile, profile_fields)};

/* --- into the model --------------------------------------------------------------------------- */

/* Exactly n bytes of hex. */
static bool hex(const char *text, uint8_t *out, size_t n)
{
    struct b_wr w = b_wr_from(out, n);
    return b_unhex(&w, text) && b_wr_ok(&w) && w.len == n;
}

static bool hex16(const char *text, uint16_t *ret)
{
    uint8_t bytes[2];
    if (!hex(text, bytes, sizeof(bytes)))
        return false;
    *ret = (uint16_t)(bytes[0] << 8 | bytes[1]);
    return true;
}

/* A key's number or role, free or never; 0xFF when it is none of them. */
static uint8_t right_of(const struct profile *p, const char *word)
{
    char *end;
    unsigned long no = strtoul(word, &end, 10);
    if (strcmp(word, "free") == 0)
        return DF_RIGHT_FREE;
    if (strcmp(word, "never") == 0)
        return DF_RIGHT_NEVER;
    if (word[0] >= '0' && word[0] <= '9' && *end == '\0')
        return no < PROFILE_KEYS_MAX ? (uint8_t)no : 0xFF;
    enum key_role role = key_role_from(word);
    int found = role < KEY_ROLE_COUNT ? profile_key_no(p, role) : -1;
    return found >= 0 ? (uint8_t)found : 0xFF;
}

static enum b_code take_rights(const struct profile_schema *from, const struct profile *p,
                               unsigned i, const struct raw_rights *raw, struct df_rights *ret)
{
    const struct {
        const char *name, *word;
        uint8_t *to;
    } rights[] = {{"read", raw->read, &ret->read},
                  {"write", raw->write, &ret->write},
                  {"read-write", raw->read_write, &ret->read_write},
                  {"change", raw->change, &ret->change}};
    for (size_t r = 0; r < B_COUNT(rights); r++) {
        char path[PATH_MAX_LEN];
        *rights[r].to = right_of(p, rights[r].word);
        if (*rights[r].to != 0xFF)
            continue;
        (void)snprintf(path, sizeof(path), "application/files/%u/rights/%s", i, rights[r].name);
        return profile_schema_wrong(from, path, "a right is a key's number or role, free or never");
    }
    return B_OK;
}

/* none, serial, holder, or hex: and bytes. */
static bool take_content(const char *word, struct profile_file *f)
{
    static const struct {
        const char *word;
        enum profile_content_kind kind;
    } kinds[] = {{"none", PROFILE_CONTENT_NONE},
                 {"serial", PROFILE_CONTENT_SERIAL},
                 {"holder", PROFILE_CONTENT_HOLDER}};
    for (size_t i = 0; i < B_COUNT(kinds); i++) {
        if (word == NULL || strcmp(word, kinds[i].word) == 0) {
            f->content = word == NULL ? PROFILE_CONTENT_NONE : kinds[i].kind;
            return true;
        }
    }
    struct b_wr w = b_wr_from(f->bytes, sizeof(f->bytes));
    if (strncmp(word, "hex:", 4) != 0 || !b_unhex(&w, word + 4 + strspn(word + 4, " ")) ||
        !b_wr_ok(&w))
        return false;
    f->content = PROFILE_CONTENT_BYTES;
    f->bytes_len = (uint8_t)w.len;
    return true;
}

static enum b_code take_file(const struct profile_schema *from, const struct raw_file *raw,
                             unsigned i, struct profile *p)
{
    struct profile_file *f = &p->files[i];
    struct df_file_settings *s = &f->settings;
    char path[PATH_MAX_LEN];
    f->no = raw->no;
    s->type = (enum df_file_type)raw->type;
    s->comm = (enum df_comm)raw->communication;
    s->option = (uint8_t)raw->communication;
    s->size = raw->size;
    s->record_size = raw->record_size;
    s->record_max = raw->records;
    s->lower = raw->lower;
    s->upper = raw->upper;
    s->value = raw->value;
    s->limited_credit = raw->limited_credit ? 1 : 0;
    s->has_iso = raw->iso_fid != NULL;
    (void)snprintf(path, sizeof(path), "application/files/%u/iso-fid", i);
    if (s->has_iso && !hex16(raw->iso_fid, &s->iso_fid))
        return profile_schema_wrong(from, path, "two bytes in hexadecimal, in quotes: \"E101\"");
    (void)snprintf(path, sizeof(path), "application/files/%u/content", i);
    if (!take_content(raw->content, f))
        return profile_schema_wrong(
            from, path, "none, serial, holder, or \"hex: 01 02 …\" (128 bytes at most)");
    return take_rights(from, p, i, &raw->rights, &s->rights);
}

/* KeySett1 b7..4: which key changes the others. */
static bool take_change_key(const char *word, struct profile *p)
{
    uint8_t right = 0xE;
    if (word != NULL && strcmp(word, "itself") != 0)
        right = strcmp(word, "free") == 0 || strcmp(word, "never") == 0 ? 0xFF : right_of(p, word);
    if (right == 0xFF)
        return false;
    p->app_settings = (uint8_t)(p->app_settings | right << 4);
    return true;
}

static enum b_code take_app(const struct profile_schema *from, const struct raw_app *raw,
                            struct profile *p)
{
    enum { DEFAULT_SETTINGS = 0x0B }; /* key and settings changeable, free listing */
    uint8_t aid[3];
    if (!hex(raw->aid, aid, sizeof(aid)))
        return profile_schema_wrong(from, "application/aid",
                                    "three bytes in hexadecimal, in quotes: \"F51234\"");
    p->aid = (df_aid)aid[0] << 16 | (df_aid)aid[1] << 8 | aid[2];
    p->has_iso = raw->iso_fid != NULL;
    if (p->has_iso && !hex16(raw->iso_fid, &p->iso_fid))
        return profile_schema_wrong(from, "application/iso-fid",
                                    "two bytes in hexadecimal, in quotes: \"E110\"");
    struct b_wr name = b_wr_from(p->df_name, sizeof(p->df_name));
    if (raw->df_name != NULL && (!b_unhex(&name, raw->df_name) || !b_wr_ok(&name)))
        return profile_schema_wrong(from, "application/df-name",
                                    "1 to 16 bytes in hexadecimal, in quotes");
    p->df_name_len = (uint8_t)name.len;
    p->key_count = (uint8_t)raw->keys_count;
    for (unsigned i = 0; i < raw->keys_count; i++)
        p->keys[i] =
            (struct profile_key){.no = raw->keys[i].no, .role = (enum key_role)raw->keys[i].role};
    p->app_settings = raw->settings != 0 ? (uint8_t)raw->settings : DEFAULT_SETTINGS;
    if (!take_change_key(raw->change_key, p))
        return profile_schema_wrong(from, "application/change-key",
                                    "itself, or a key's number or role");
    p->file_count = (uint8_t)raw->files_count;
    enum b_code r = B_OK;
    for (unsigned i = 0; r == B_OK && i < raw->files_count; i++)
        r = take_file(from, &raw->files[i], i, p);
    return r;
}

static enum b_code take(const struct profile_schema *from, const struct raw_profile *raw,
                        struct profile *p)
{
    enum { DEFAULT_SETTINGS = 0x09 }; /* key and settings changeable, nothing free */
    memset(p, 0, sizeof(*p));
    (void)snprintf(p->id, sizeof(p->id), "%s", raw->id);
    (void)snprintf(p->diversification, sizeof(p->diversification), "%s",
                   raw->diversification != NULL ? raw->diversification : "uid-aid-system");
    p->revision = raw->revision;
    p->is_guest = raw->card.is_guest == GUEST;
    p->wants_random_uid = raw->card.random_uid;
    p->disables_format = raw->card.disable_format;
    p->card_settings = raw->card.settings != 0 ? (uint8_t)raw->card.settings : DEFAULT_SETTINGS;
    return take_app(from, &raw->application, p);
}

/* profile_check names the field before its first colon: "application.files, file 3: …". */
static enum b_code judge(const struct profile_schema *from, const struct profile *p)
{
    struct b_err broken;
    char path[PATH_MAX_LEN];
    enum b_code r = profile_check(p, &broken);
    if (r == B_OK)
        return r;
    struct b_wr w = b_wr_from(path, sizeof(path) - 8);
    for (size_t i = 0; i < strcspn(broken.msg, " :,"); i++)
        b_wr_u8(&w, (uint8_t)(broken.msg[i] == '.' ? '/' : broken.msg[i]));
    path[w.len] = '\0';
    const char *file = strstr(broken.msg, ", file ");
    for (unsigned i = 0; file != NULL && i < p->file_count; i++) {
        if (p->files[i].no == strtoul(file + strlen(", file "), NULL, 10))
            (void)snprintf(path, sizeof(path), "application/files/%u", i);
    }
    return b_err_set(from->err, r, broken.aux, "%s:%zu: %s", from->name,
                     profile_schema_line(from, path), broken.msg);
}

enum b_code profile_file_read(const char *name, const char *text, size_t n, struct profile *ret,
                              struct b_err *err)
{
    struct profile_schema from = {
        .name = name, .text = text, .n = n, .code = B_E_PROFILE_SYNTAX, .err = err};
    void *raw = NULL;
    enum b_code r = profile_schema_load(&from, &profile_value, &raw);
    if (r != B_OK)
        return r;
    r = take(&from, raw, ret);
    if (r == B_OK)
        r = judge(&from, ret);
    profile_schema_free(&profile_value, raw);
    return r;
}
