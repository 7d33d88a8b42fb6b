/*
 * A fleet description from YAML: the layouts that others' badges may have. No key is in it.
 */
#include "profile/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/diversify.h"
#include "profile/schema.h"

/* --- the file as it is written ---------------------------------------------------------------- */

enum { TEXT_MAX = 64 };

struct raw_layout {
    char *id, *application, *diversification, *card_diversification, *system;
    int type;
    uint8_t proof_key;
    uint8_t *uid_key; /* NULL: not there */
    uint8_t keys;
    int after;
};
struct raw_fleet {
    struct raw_layout *layouts;
    unsigned layouts_count;
};

enum { KEEP, DELETE };
static const cyaml_strval_t endings[] = {{"keep", KEEP}, {"delete", DELETE}};
/* DES is 2K3DES with equal halves. */
static const cyaml_strval_t types[] = {{"des", DF_KEY_2K3DES},
                                       {"2k3des", DF_KEY_2K3DES},
                                       {"3k3des", DF_KEY_3K3DES},
                                       {"aes", DF_KEY_AES}};

static const cyaml_schema_field_t layout_fields[] = {
    TEXT("id", NEEDED, struct raw_layout, id, PROFILE_ID_MAX - 1),
    TEXT("application", NEEDED, struct raw_layout, application, TEXT_MAX),
    WORD("crypto", NEEDED, struct raw_layout, type, types),
    CYAML_FIELD_UINT("keys", MAY, struct raw_layout, keys),
    CYAML_FIELD_UINT("proof-key", NEEDED, struct raw_layout, proof_key),
    CYAML_FIELD_UINT_PTR("uid-key", CYAML_FLAG_POINTER | MAY, struct raw_layout, uid_key),
    TEXT("diversification", NEEDED, struct raw_layout, diversification, PROFILE_ID_MAX - 1),
    TEXT("card-diversification", MAY, struct raw_layout, card_diversification, PROFILE_ID_MAX - 1),
    TEXT("system", MAY, struct raw_layout, system, TEXT_MAX),
    WORD("old-application", MAY, struct raw_layout, after, endings),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t layout_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_layout, layout_fields)};
static const cyaml_schema_field_t fleet_fields[] = {
    CYAML_FIELD_SEQUENCE("layouts", CYAML_FLAG_POINTER, struct raw_fleet, layouts, &layout_value, 1,
                         PROFILE_LAYOUTS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t fleet_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_fleet, fleet_fields)};

/* --- into the model --------------------------------------------------------------------------- */

static enum b_code wrong(const struct profile_schema *from, unsigned i, const char *field,
                         const char *what)
{
    char path[PATH_MAX_LEN];
    (void)snprintf(path, sizeof(path), "layouts/%u/%s", i, field);
    return profile_schema_wrong(from, path, what);
}

/* shared, or the id of a diversification profile that needs no serial; "" stands for shared. */
static bool take_diversification(const char *word, char ret[static PROFILE_ID_MAX])
{
    ret[0] = '\0';
    if (word == NULL || strcmp(word, "shared") == 0)
        return true;
    const struct crypto_div_profile *p = crypto_div_find(word);
    (void)snprintf(ret, PROFILE_ID_MAX, "%s", word);
    return p != NULL && !crypto_div_uses_serial(p);
}

/* A card that hides its UID tells it before any key can be made of it: to one that all badges
 * share. Where they share the one that proves, it need not be named. */
static enum b_code take_uid_key(const struct profile_schema *from, const struct raw_layout *raw,
                                unsigned i, struct profile_layout *l)
{
    bool is_shared = l->diversification[0] == '\0';
    l->has_uid_key = raw->uid_key != NULL || is_shared;
    if (!l->has_uid_key)
        return B_OK;
    l->uid_key = raw->uid_key != NULL ? *raw->uid_key : l->proof_key;
    if (l->uid_key >= (l->key_count > 0 ? l->key_count : PROFILE_KEYS_MAX))
        return wrong(from, i, "uid-key", "the application has no key of this number");
    if (l->uid_key == l->proof_key && !is_shared)
        return wrong(from, i, "uid-key",
                     "a key that all badges share: the one that proves is of each badge's own");
    return B_OK;
}

static enum b_code take_layout(const struct profile_schema *from, const struct raw_layout *raw,
                               unsigned i, struct profile_layout *l)
{
    uint8_t aid[3];
    struct b_wr w = b_wr_from(aid, sizeof(aid)), system = b_wr_from(l->system, sizeof(l->system));
    (void)snprintf(l->id, sizeof(l->id), "%s", raw->id);
    l->type = (enum df_key_type)raw->type;
    l->key_count = raw->keys;
    l->proof_key = raw->proof_key;
    l->deletes = raw->after == DELETE;
    if (!b_unhex(&w, raw->application) || w.len != sizeof(aid))
        return wrong(from, i, "application", "three bytes in hexadecimal, in quotes: \"F51234\"");
    l->aid = (df_aid)aid[0] << 16 | (df_aid)aid[1] << 8 | aid[2];
    if (l->aid == 0)
        return wrong(from, i, "application", "000000 is the card itself");
    if (l->key_count > PROFILE_KEYS_MAX)
        return wrong(from, i, "keys", "an application has up to 14 keys");
    if (l->proof_key >= (l->key_count > 0 ? l->key_count : PROFILE_KEYS_MAX))
        return wrong(from, i, "proof-key", "the application has no key of this number");
    if (!take_diversification(raw->diversification, l->diversification))
        return wrong(from, i, "diversification",
                     "shared, or a diversification profile that needs no serial");
    if (!take_diversification(raw->card_diversification, l->card_diversification))
        return wrong(from, i, "card-diversification",
                     "shared, or a diversification profile that needs no serial");
    if (raw->system != NULL && !b_unhex(&system, raw->system))
        return wrong(from, i, "system", "up to 16 bytes in hexadecimal, in quotes");
    l->system_len = (uint8_t)system.len;
    return take_uid_key(from, raw, i, l);
}

/* A card that has the application would be of both. */
static enum b_code check_apart(const struct profile_schema *from, const struct profile_fleet *f,
                               unsigned i)
{
    char what[120];
    for (unsigned other = 0; other < i; other++) {
        bool is_same_aid = f->layouts[other].aid == f->layouts[i].aid;
        if (!is_same_aid && strcmp(f->layouts[other].id, f->layouts[i].id) != 0)
            continue;
        (void)snprintf(what, sizeof(what),
                       b_err_word("layouts \"%s\" and \"%s\" are of the same %s"),
                       f->layouts[other].id, f->layouts[i].id,
                       is_same_aid ? b_err_word("application: no card could tell them apart")
                                   : b_err_word("name"));
        return wrong(from, i, is_same_aid ? "application" : "id", what);
    }
    return B_OK;
}

enum b_code profile_fleet_read(const char *name, const char *text, size_t n,
                               struct profile_fleet *ret, struct b_err *err)
{
    struct profile_schema from = {
        .name = name, .text = text, .n = n, .code = B_E_FLEET_FILE, .err = err};
    void *data = NULL;
    memset(ret, 0, sizeof(*ret));
    enum b_code r = profile_schema_load(&from, &fleet_value, &data);
    if (r != B_OK)
        return r;
    const struct raw_fleet *raw = data;
    for (unsigned i = 0; r == B_OK && i < raw->layouts_count; i++) {
        r = take_layout(&from, &raw->layouts[i], i, &ret->layouts[i]);
        if (r == B_OK)
            r = check_apart(&from, ret, i);
        ret->count++;
    }
    profile_schema_free(&fleet_value, data);
    return r;
}
