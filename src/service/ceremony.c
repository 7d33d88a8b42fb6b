#include "service/ceremony.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/control.h"
#include "service/given.h"
#include "service/policy.h"
#include "service/proposal.h"

/* --- the backup file ---------------------------------------------------------------------------
 */

static const char format[] = "tessere-backup/v1";

static json_t *hex_of(const void *p, size_t n)
{
    char hex[2 * 64 + 1];
    b_check(n <= 64);
    b_hex(hex, p, n);
    return json_string(hex);
}

static json_t *key_json(const struct vault_backup *k)
{
    return json_pack("{s:s, s:i, s:o, s:s, s:o, s:s}", "role", key_role_name(k->role), "generation",
                     (int)k->generation, "kcv", hex_of(k->kcv, sizeof(k->kcv)), "kcv_method",
                     k->kcv_method, "wrapped", hex_of(k->wrapped, sizeof(k->wrapped)), "made",
                     k->is_inside ? "token" : "beside");
}

enum b_code service_backup_write(const struct service_backup *b, char *text, struct b_err *err)
{
    json_t *custodians = json_array();
    json_t *keys = json_array();
    for (size_t i = 0; i < b->ceremony.shares; i++)
        (void)json_array_append_new(
            custodians,
            json_pack("{s:i, s:s, s:s}", "share", (int)i + 1, "name", b->custodians[i].name, "how",
                      b->custodians[i].is_sealed ? "certificate" : "words"));
    for (size_t i = 0; i < b->count; i++)
        (void)json_array_append_new(keys, key_json(&b->keys[i]));
    json_t *o = json_pack(
        "{s:s, s:b, s:o, s:s, s:I, s:i, s:o, s:o, s:o}", "format", format, "rehearsal",
        b->ceremony.is_rehearsal, "ceremony", hex_of(b->ceremony.id, sizeof(b->ceremony.id)),
        "establishment", b->finess, "at", (json_int_t)b->at, "threshold",
        (int)b->ceremony.threshold, "check", hex_of(b->ceremony.check, sizeof(b->ceremony.check)),
        "custodians", custodians, "keys", keys);
    size_t n = o != NULL ? json_dumpb(o, text, SERVICE_BACKUP_TEXT_MAX - 1, JSON_INDENT(1)) : 0;
    json_decref(o);
    if (n == 0 || n >= SERVICE_BACKUP_TEXT_MAX - 1)
        return b_err_set(err, B_E_TOO_LARGE, 0, "the backup file");
    text[n] = '\0';
    return B_OK;
}

static bool take_hex(const json_t *o, const char *name, void *to, size_t n)
{
    const char *text = json_string_value(json_object_get(o, name));
    struct b_wr w = b_wr_from(to, n);
    return text != NULL && strlen(text) == 2 * n && b_unhex(&w, text) && w.len == n;
}

static bool take_text(const json_t *o, const char *name, char *to, size_t cap)
{
    const char *text = json_string_value(json_object_get(o, name));
    if (text == NULL || strlen(text) >= cap)
        return false;
    memcpy(to, text, strlen(text) + 1);
    return true;
}

static bool take_number(const json_t *o, const char *name, json_int_t min, json_int_t max,
                        json_int_t *ret)
{
    const json_t *v = json_object_get(o, name);
    *ret = json_integer_value(v);
    return json_is_integer(v) && *ret >= min && *ret <= max;
}

static bool take_role(const json_t *o, enum key_role *ret)
{
    const char *name = json_string_value(json_object_get(o, "role"));
    for (int i = 0; name != NULL && i < KEY_ROLE_ALL; i++) {
        if (strcmp(key_role_name((enum key_role)i), name) != 0)
            continue;
        *ret = (enum key_role)i;
        return true;
    }
    return false;
}

static bool read_key(const json_t *o, struct vault_backup *k)
{
    json_int_t generation = 0;
    char made[8];
    if (!take_role(o, &k->role) ||
        !take_number(o, "generation", 1, KEY_GENERATION_MAX, &generation) ||
        !take_hex(o, "kcv", k->kcv, sizeof(k->kcv)) ||
        !take_text(o, "kcv_method", k->kcv_method, sizeof(k->kcv_method)) ||
        !take_hex(o, "wrapped", k->wrapped, sizeof(k->wrapped)) ||
        !take_text(o, "made", made, sizeof(made)))
        return false;
    k->generation = (uint8_t)generation;
    k->is_inside = strcmp(made, "token") == 0;
    return k->is_inside || strcmp(made, "beside") == 0;
}

static bool read_custodian(const json_t *o, struct service_custodian *k)
{
    char how[16];
    if (!take_text(o, "name", k->name, sizeof(k->name)) || !take_text(o, "how", how, sizeof(how)))
        return false;
    k->is_sealed = strcmp(how, "certificate") == 0;
    return k->is_sealed || strcmp(how, "words") == 0;
}

static const char *read_head(const json_t *o, struct service_backup *b)
{
    char name[32];
    json_int_t at = 0;
    json_int_t threshold = 0;
    size_t shares = json_array_size(json_object_get(o, "custodians"));
    const json_t *rehearsal = json_object_get(o, "rehearsal");
    if (!take_text(o, "format", name, sizeof(name)) || strcmp(name, format) != 0)
        return "format";
    if (!json_is_boolean(rehearsal))
        return "rehearsal";
    if (!take_hex(o, "ceremony", b->ceremony.id, sizeof(b->ceremony.id)))
        return "ceremony";
    if (!take_hex(o, "check", b->ceremony.check, sizeof(b->ceremony.check)))
        return "check";
    if (!take_text(o, "establishment", b->finess, sizeof(b->finess)))
        return "establishment";
    if (!take_number(o, "at", 0, INT64_MAX, &at))
        return "at";
    if (shares < 2 || shares > VAULT_SHARES_MAX)
        return "custodians";
    if (!take_number(o, "threshold", 2, (json_int_t)shares, &threshold))
        return "threshold";
    b->at = at;
    b->ceremony.is_rehearsal = json_is_true(rehearsal);
    b->ceremony.threshold = (uint8_t)threshold;
    b->ceremony.shares = (uint8_t)shares;
    return NULL;
}

static const char *read_lists(const json_t *o, struct service_backup *b)
{
    const json_t *keys = json_object_get(o, "keys");
    const json_t *custodians = json_object_get(o, "custodians");
    for (size_t i = 0; i < b->ceremony.shares; i++)
        if (!read_custodian(json_array_get(custodians, i), &b->custodians[i]))
            return "custodians";
    b->count = json_array_size(keys);
    if (!json_is_array(keys) || b->count > SERVICE_BACKUP_KEYS_MAX)
        return "keys";
    for (size_t i = 0; i < b->count; i++) {
        if (!read_key(json_array_get(keys, i), &b->keys[i]))
            return "keys";
        for (size_t k = 0; k < i; k++)
            if (b->keys[k].role == b->keys[i].role &&
                b->keys[k].generation == b->keys[i].generation)
                return "keys";
    }
    return NULL;
}

enum b_code service_backup_read(const char *text, size_t n, struct service_backup *ret,
                                struct b_err *err)
{
    json_error_t where;
    json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    memset(ret, 0, sizeof(*ret));
    if (o == NULL)
        return b_err_set(err, B_E_BAD_INPUT, (uint32_t)where.line, "backup.json, line %d: %.80s",
                         where.line, where.text);
    const char *wrong = read_head(o, ret);
    if (wrong == NULL)
        wrong = read_lists(o, ret);
    json_decref(o);
    return wrong == NULL
               ? B_OK
               : b_err_set(err, B_E_BAD_INPUT, 0, "backup.json: \"%s\" is not right", wrong);
}

/* --- the store ---------------------------------------------------------------------------------
 */

static const struct store_generation *find(const struct store_generation *gs, size_t count,
                                           const struct vault_backup *k)
{
    for (size_t i = 0; i < count; i++)
        if (gs[i].role == k->role && gs[i].generation == k->generation)
            return &gs[i];
    return NULL;
}

enum b_code service_ceremony_compare(struct store *s, const struct service_backup *b,
                                     struct b_err *err)
{
    static _Thread_local struct store_generation gs[STORE_GENERATIONS_MAX];
    size_t count = 0;
    enum b_code r = store_generation_list(s, gs, B_COUNT(gs), &count, err);
    for (size_t i = 0; r == B_OK && i < b->count; i++) {
        const struct store_generation *g = find(gs, count, &b->keys[i]);
        if (g != NULL && !b_ct_eq(g->kcv, b->keys[i].kcv, sizeof(g->kcv)))
            r = b_err_set(err, B_E_KCV_DIFFERS, 0,
                          "master key %s of generation %u: the backup and the store do not agree",
                          key_role_name(g->role), g->generation);
    }
    return r;
}

/* In order of generation, so that the last is the active one. */
static enum b_code note_keys(struct service_change *c, const struct service_backup *b,
                             struct b_err *err)
{
    static _Thread_local struct store_generation gs[STORE_GENERATIONS_MAX];
    size_t count = 0;
    enum b_code r = store_generation_list(c->store, gs, B_COUNT(gs), &count, err);
    for (unsigned generation = 1; r == B_OK && generation <= KEY_GENERATION_MAX; generation++) {
        for (size_t i = 0; r == B_OK && i < b->count; i++) {
            const struct vault_backup *from = &b->keys[i];
            struct vault_key key = {.role = from->role, .generation = from->generation};
            struct store_generation g;
            if (from->generation != generation || find(gs, count, from) != NULL)
                continue;
            memcpy(key.kcv_method, from->kcv_method, sizeof(key.kcv_method));
            memcpy(key.kcv, from->kcv, sizeof(key.kcv));
            r = service_note_rotation(c, &key, &g, err);
        }
    }
    return r;
}

void service_ceremony_key(const struct service_ceremony *k, json_t *to)
{
    char text[64];
    char kcv[7];
    if (k->key == NULL && k->given == NULL)
        return;
    if (k->given != NULL) {
        b_hex(kcv, k->given->kcv, sizeof(k->given->kcv));
        (void)snprintf(text, sizeof(text), "%s %s %s", k->given->name, k->given->type, kcv);
    } else {
        (void)snprintf(text, sizeof(text), "%s %u", key_role_name(k->key->role),
                       k->key->generation);
    }
    (void)json_object_set_new(to, "key", json_string(text));
}

static enum b_code note_ceremony(struct service_change *c, void *ctx, struct b_err *err)
{
    struct service_ceremony *k = ctx;
    const struct service_backup *b = k->backup;
    char id[SERVICE_CEREMONY_HEX];
    bool brings = !b->ceremony.is_rehearsal && strcmp(k->kind, "destroy") != 0 &&
                  strcmp(k->kind, "export") != 0 && k->given == NULL;
    b_hex(id, b->ceremony.id, sizeof(b->ceremony.id));
    enum b_code r = brings ? note_keys(c, b, err) : B_OK;
    if (r == B_OK && k->given != NULL && !b->ceremony.is_rehearsal)
        r = service_note_given(c, k->given, err);
    k->at = c->now;
    if (r != B_OK)
        return r;
    json_t *detail =
        json_pack("{s:s, s:s, s:b, s:s, s:i, s:i, s:i}", "ceremony", id, "what", k->kind,
                  "rehearsal", b->ceremony.is_rehearsal, "backup", k->digest, "keys", (int)b->count,
                  "threshold", (int)b->ceremony.threshold, "shares", (int)b->ceremony.shares);
    service_ceremony_key(k, detail);
    r = service_log(c, (struct service_entry){.kind = "ceremony", .detail = detail}, err);
    k->entry = c->edge->size - 1;
    return r;
}

enum b_code service_ceremony_note(struct service *sv, struct service_ceremony *k, struct b_err *err)
{
    return service_change(sv, note_ceremony, k, err);
}

/* --- dual control ------------------------------------------------------------------------------
 */

enum b_code service_ceremony_allow(struct service *sv, const char *what, struct b_err *err)
{
    struct store_proposal p;
    char proposal[160];
    struct vault_anchors a;
    enum b_code r = vault_anchors(sv->vault, &a, err);
    if (r != B_OK || !a.has_roster)
        return r; /* nobody to ask, or a token that knows nobody yet: then the shares decide */
    r = service_allowed(sv, "ceremony", what, &p, err);
    if (r == B_E_QUORUM && p.id == 0) {
        (void)snprintf(proposal, sizeof(proposal), "ceremony %.100s", what);
        return b_err_set(err, B_E_QUORUM, 0, "propose it: tessere proposal make \"%s\"", proposal);
    }
    if (r != B_OK)
        return r;
    return service_proposal_again(sv, &p, err);
}

enum b_code service_ceremony_roster(struct service *sv, struct b_err *err)
{
    static char roster[SERVICE_TEXT_MAX];
    static char policy[SERVICE_TEXT_MAX];
    char hex[SERVICE_DIGEST_HEX];
    uint8_t digest[32];
    struct vault_anchors a;
    enum b_code r = vault_anchors(sv->vault, &a, err);
    if (r != B_OK || a.has_roster)
        return r;
    r = service_setting_text(sv->store, "roster", hex, sizeof(hex), err);
    if (r != B_OK || hex[0] == '\0')
        return r;
    r = service_text_find(sv->store, hex, roster, err);
    if (r == B_OK)
        r = service_policy_text(sv, policy, err);
    if (r != B_OK)
        return r;
    crypto_sha256(policy, strlen(policy), digest);
    return vault_roster_found(sv->vault, roster, digest, err);
}
