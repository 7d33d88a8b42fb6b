#include "service/action.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/campaign.h"
#include "service/given.h"
#include "service/journal.h"
#include "service/party.h"
#include "service/policy.h"

/* --- master keys -------------------------------------------------------------------------------
 */

static enum b_code read_role(const char *text, enum key_role *ret, struct b_err *err)
{
    char name[16] = "";
    size_t n = strcspn(text, " ");
    if (n < sizeof(name))
        memcpy(name, text, n);
    *ret = key_role_from(name);
    return *ret != KEY_ROLE_COUNT ? B_OK
                                  : b_err_set(err, B_E_BAD_INPUT, 0, "no such role: %.20s", text);
}

static enum b_code prepare_rotate(struct service *sv, struct service_proposing *k,
                                  struct b_err *err)
{
    uint8_t next = 0;
    enum key_role role = KEY_ROLE_COUNT;
    enum b_code r = read_role(k->operands, &role, err);
    if (r == B_OK)
        r = service_next_generation(sv->store, role, &next, err);
    if (r == B_OK)
        (void)snprintf(k->argument, sizeof(k->argument), "%s %u", key_role_name(role), next);
    return r;
}

/* "auth 4" */
static enum b_code find_generation(struct store *s, const char *text, struct store_generation *ret,
                                   struct b_err *err)
{
    static _Thread_local struct store_generation gs[STORE_GENERATIONS_MAX];
    size_t count = 0;
    enum key_role role = KEY_ROLE_COUNT;
    enum b_code r = read_role(text, &role, err);
    const char *number = text + strcspn(text, " ");
    char *end = NULL; /* more words may follow */
    unsigned long generation = strtoul(number, &end, 10);
    if (r == B_OK)
        r = store_generation_list(s, gs, B_COUNT(gs), &count, err);
    for (size_t i = 0; r == B_OK && (*end == '\0' || *end == ' ') && i < count; i++) {
        if (gs[i].role != role || gs[i].generation != generation)
            continue;
        *ret = gs[i];
        return B_OK;
    }
    return r == B_OK ? b_err_set(err, B_E_NOT_FOUND, 0, "no generation %.40s", text) : r;
}

/* What new badges get, and what they are brought to, cannot end. */
static enum b_code check_replaced(const struct store_generation *g, struct b_err *err)
{
    return g->state != STORE_GENERATION_ACTIVE
               ? B_OK
               : b_err_set(err, B_E_GENERATION_NEEDED, 0,
                           "generation %u of role %s is the one in use", g->generation,
                           key_role_name(g->role));
}

static enum b_code refuse_needed(const struct store_generation *g, const struct service_needed *n,
                                 struct b_err *err)
{
    return b_err_set(err, B_E_GENERATION_NEEDED, 0, "%llu badges have generation %u of role %s",
                     (unsigned long long)n->count, g->generation, key_role_name(g->role));
}

static enum b_code prepare_generation(struct service *sv, struct service_proposing *k,
                                      struct b_err *err)
{
    struct store_generation g = {.generation = 0};
    enum b_code r = find_generation(sv->store, k->operands, &g, err);
    if (r == B_OK)
        (void)snprintf(k->argument, sizeof(k->argument), "%s %u", key_role_name(g.role),
                       g.generation);
    return r;
}

static enum b_code prepare_end(struct service *sv, struct service_proposing *k, struct b_err *err)
{
    struct store_generation g;
    enum b_code r = find_generation(sv->store, k->operands, &g, err);
    if (r == B_OK)
        r = check_replaced(&g, err);
    return r == B_OK ? prepare_generation(sv, k, err) : r;
}

/* "auth 3", or "auth 3 write-off 12 <digest>": those twelve badges, and no others. */
static enum b_code prepare_retire(struct service *sv, struct service_proposing *k,
                                  struct b_err *err)
{
    struct store_generation g;
    struct service_needed needed;
    char hex[65];
    const char *rest = strchr(k->operands, ' ');
    rest = rest != NULL ? strchr(rest + 1, ' ') : NULL;
    bool writes_off = rest != NULL && strcmp(rest, " write-off") == 0;
    enum b_code r = find_generation(sv->store, k->operands, &g, err);
    if (r == B_OK && rest != NULL && !writes_off)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "retire ROLE GENERATION [write-off], not \"%.60s\"",
                      k->operands);
    if (r == B_OK)
        r = check_replaced(&g, err);
    if (r == B_OK && g.state == STORE_GENERATION_RETIRED)
        r = b_err_set(err, B_E_BADGE_STATE, 0, "generation %u of role %s is retired already",
                      g.generation, key_role_name(g.role));
    if (r == B_OK)
        r = service_generation_needed(sv->store, &sv->profile, g.role, g.generation, &needed, err);
    if (r == B_OK && needed.count > 0 && !writes_off)
        r = refuse_needed(&g, &needed, err);
    if (r != B_OK)
        return r;
    b_hex(hex, needed.digest, sizeof(needed.digest));
    int n =
        snprintf(k->argument, sizeof(k->argument), "%s %u", key_role_name(g.role), g.generation);
    if (writes_off)
        (void)snprintf(k->argument + n, sizeof(k->argument) - (size_t)n, " write-off %llu %s",
                       (unsigned long long)needed.count, hex);
    return B_OK;
}

static enum b_code act_rotate(struct service_change *c, const struct service_carrying *k,
                              struct b_err *err)
{
    struct store_generation g;
    return service_note_rotation(c, k->key, &g, err);
}

static enum b_code change_generation(struct service_change *c, const char *argument,
                                     enum store_generation_state to, struct b_err *err)
{
    struct store_generation g;
    enum b_code r = find_generation(c->store, argument, &g, err);
    if (r == B_OK)
        r = check_replaced(&g, err);
    if (r != B_OK)
        return r;
    g.state = to;
    if (to == STORE_GENERATION_COMPROMISED)
        g.compromised_at = c->now;
    r = store_generation_put(c->store, &g, err);
    return r == B_OK
               ? service_log(c, (struct service_entry){.kind = "key-state", .generation = &g}, err)
               : r;
}

static enum b_code act_retire(struct service_change *c, const struct service_carrying *k,
                              struct b_err *err)
{
    struct store_generation g;
    struct service_needed needed;
    char now[SERVICE_ARGUMENT_MAX];
    char hex[65];
    const char *listed = strstr(k->argument, " write-off ");
    enum b_code r = find_generation(c->store, k->argument, &g, err);
    if (r == B_OK)
        r = service_generation_needed(c->store, k->profile, g.role, g.generation, &needed, err);
    if (r == B_OK && needed.count > 0 && listed == NULL)
        r = refuse_needed(&g, &needed, err);
    if (r != B_OK)
        return r;
    b_hex(hex, needed.digest, sizeof(needed.digest));
    (void)snprintf(now, sizeof(now), " write-off %llu %s", (unsigned long long)needed.count, hex);
    if (listed != NULL && strcmp(listed, now) != 0)
        return b_err_set(err, B_E_GENERATION_NEEDED, 0,
                         "the badges that have it are not those that were counted any more: %llu; "
                         "pause the campaign and begin again",
                         (unsigned long long)needed.count);
    r = change_generation(c, k->argument, STORE_GENERATION_RETIRED, err);
    return r == B_OK ? service_note_campaign_over(c, g.role, err) : r;
}

/* --- alone -------------------------------------------------------------------------------------
 */

static enum b_code refuse_roster(struct service *sv, const char *which, bool writes_off,
                                 struct b_err *err)
{
    struct vault_anchors a;
    enum b_code r = vault_anchors(sv->vault, &a, err);
    return r == B_OK && a.has_roster
               ? b_err_set(err, B_E_QUORUM, 0, "propose it: tessere proposal make \"retire %s%s\"",
                           which, writes_off ? " write-off" : "")
               : r;
}

enum b_code service_prepare_retiring(struct service *sv, const char *which, bool writes_off,
                                     char ret[static SERVICE_ARGUMENT_MAX], uint64_t *ret_count,
                                     struct b_err *err)
{
    static _Thread_local struct service_proposing k;
    char operands[64];
    (void)snprintf(operands, sizeof(operands), "%.40s%s", which, writes_off ? " write-off" : "");
    k.operands = operands;
    enum b_code r = refuse_roster(sv, which, writes_off, err);
    if (r == B_OK)
        r = prepare_retire(sv, &k, err);
    k.operands = NULL;
    if (r != B_OK)
        return r;
    const char *listed = strstr(k.argument, " write-off ");
    *ret_count = listed != NULL ? strtoull(listed + strlen(" write-off "), NULL, 10) : 0;
    memcpy(ret, k.argument, SERVICE_ARGUMENT_MAX);
    return B_OK;
}

static enum b_code note_retired(struct service_change *c, void *ctx, struct b_err *err)
{
    return act_retire(c, ctx, err);
}

enum b_code service_retire(struct service *sv, const char *argument, struct b_err *err)
{
    char copy[SERVICE_ARGUMENT_MAX];
    (void)snprintf(copy, sizeof(copy), "%s", argument);
    struct service_carrying k = {.argument = copy, .profile = &sv->profile};
    enum b_code r = refuse_roster(sv, copy, false, err);
    return r == B_OK ? service_change(sv, note_retired, &k, err) : r;
}

/* --- an incident -------------------------------------------------------------------------------
 */

static enum b_code act_compromise(struct service_change *c, const struct service_carrying *k,
                                  struct b_err *err)
{
    return change_generation(c, k->argument, STORE_GENERATION_COMPROMISED, err);
}

/* --- holders and the journal -------------------------------------------------------------------
 */

/* The holder is named by number: what is proposed stays in the journal for good, and a reference
 * that is to be forgotten must not. */
static enum b_code prepare_erase(struct service *sv, struct service_proposing *k, struct b_err *err)
{
    struct store_holder h;
    enum b_code r = store_holder_by_ref(sv->store, k->operands, &h, err);
    if (r == B_OK)
        (void)snprintf(k->argument, sizeof(k->argument), "holder %lld", (long long)h.id);
    return r;
}

static bool take_holder(void *ctx, const struct store_holder *h)
{
    *(struct store_holder *)ctx = *h;
    return false;
}

static enum b_code act_erase(struct service_change *c, const struct service_carrying *k,
                             struct b_err *err)
{
    struct store_holder h = {.id = 0};
    uint64_t count = 0;
    int64_t id = strncmp(k->argument, "holder ", 7) == 0 ? strtoll(k->argument + 7, NULL, 10) : 0;
    enum b_code r =
        id > 0 ? store_holder_each(c->store, id - 1, NULL, take_holder, &h, err) : B_E_NOT_FOUND;
    if (r == B_E_NOT_FOUND || (r == B_OK && h.id != id))
        return b_err_set(err, B_E_NOT_FOUND, 0, "no %.40s", k->argument);
    return r == B_OK ? service_note_erasure(c, h.ref, &count, err) : r;
}

/* Up to the newest checkpoint: what is added later is another export. */
static enum b_code prepare_export(struct service *sv, struct service_proposing *k,
                                  struct b_err *err)
{
    static _Thread_local char note[STORE_NOTE_MAX];
    uint64_t size = 0;
    enum b_code r = store_checkpoint_get(sv->store, UINT64_MAX, &size, note, sizeof(note), err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, r, 0, "no checkpoint was signed yet");
    (void)snprintf(k->argument, sizeof(k->argument), "%llu entries", (unsigned long long)size);
    return r;
}

/* The journal as it is now, whatever was signed before; the vault goes on from it. */
static enum b_code prepare_accept(struct service *sv, struct service_proposing *k,
                                  struct b_err *err)
{
    uint8_t root[JOURNAL_HASH];
    char hex[2 * JOURNAL_HASH + 1];
    uint64_t size = 0;
    enum b_code r = service_journal_tree(sv, &size, root, err);
    b_hex(hex, root, sizeof(root));
    (void)snprintf(k->argument, sizeof(k->argument), "%llu %s", (unsigned long long)size, hex);
    return r;
}

static enum b_code prepare_forget_key(struct service *sv, struct service_proposing *k,
                                      struct b_err *err)
{
    struct store_given there;
    enum b_code r = store_given_get(sv->store, k->operands, &there, err);
    if (r == B_OK)
        (void)snprintf(k->argument, sizeof(k->argument), "%s", there.name);
    return r;
}

static enum b_code act_forget_key(struct service_change *c, const struct service_carrying *k,
                                  struct b_err *err)
{
    return service_note_given_forgotten(c, k->argument, err);
}

/* "init", "share", "restore", "destroy <ceremony>", "give library"; "rotate auth" and "import
 * auth", which become "… auth 4"; "export auth 3". */
static enum b_code prepare_ceremony(struct service *sv, struct service_proposing *k,
                                    struct b_err *err)
{
    static const char *const alone[] = {"init", "share", "restore"};
    const char *what = k->operands;
    char key[40];
    bool is_next = strncmp(what, "rotate ", 7) == 0 || strncmp(what, "import ", 7) == 0;
    bool is_known = strncmp(what, "destroy ", 8) == 0 && strlen(what + 8) == 12 &&
                    strspn(what + 8, "0123456789ABCDEF") == 12;
    for (size_t i = 0; i < B_COUNT(alone); i++)
        is_known = is_known || strcmp(what, alone[i]) == 0;
    if (is_next || strncmp(what, "export ", 7) == 0) {
        k->operands = what + 7;
        enum b_code r = is_next ? prepare_rotate(sv, k, err) : prepare_generation(sv, k, err);
        (void)snprintf(key, sizeof(key), "%.39s", k->argument);
        (void)snprintf(k->argument, sizeof(k->argument), "%.6s %s", what, key); /* a verb has six */
        return r;
    }
    if (strncmp(what, "give ", 5) == 0) {
        enum b_code r = service_given_check(sv->store, what + 5, err);
        if (r != B_OK)
            return r;
        is_known = true;
    }
    if (is_known) {
        (void)snprintf(k->argument, sizeof(k->argument), "%.40s", what);
        return B_OK;
    }
    return b_err_set(err, B_E_BAD_INPUT, 0,
                     "ceremony: init, share, restore, rotate ROLE, import ROLE, export ROLE "
                     "GENERATION, give NAME or destroy ID, not \"%.40s\"",
                     what);
}

/* What it allows is done elsewhere: by the vault, or by `tessere journal export` or `tessere
 * ceremony`, which look for it. */
static enum b_code act_nothing(struct service_change *c, const struct service_carrying *k,
                               struct b_err *err)
{
    (void)c;
    (void)k;
    (void)err;
    return B_OK;
}

/* --- policy and roster -------------------------------------------------------------------------
 */

static enum b_code keep_text(struct service_proposing *k, const char *text, const char *after,
                             struct b_err *err)
{
    char hex[SERVICE_DIGEST_HEX];
    if (strlen(text) >= sizeof(k->kept) || strlen(after) > 160)
        return b_err_set(err, B_E_TOO_LARGE, 0, "a text of less than %d bytes", SERVICE_TEXT_MAX);
    memcpy(k->kept, text, strlen(text) + 1);
    service_text_digest(text, hex);
    (void)snprintf(k->argument, sizeof(k->argument), "%s%s%.160s", hex, after[0] != '\0' ? " " : "",
                   after);
    return B_OK;
}

static enum b_code prepare_policy(struct service *sv, struct service_proposing *k,
                                  struct b_err *err)
{
    (void)sv;
    enum b_code r = service_policy_check(k->text, err);
    return r == B_OK ? keep_text(k, k->text, "", err) : r;
}

static enum b_code act_policy(struct service_change *c, const struct service_carrying *k,
                              struct b_err *err)
{
    return service_note_policy(c, k->kept, "proposal", err);
}

static enum b_code prepare_roster(struct service *sv, struct service_proposing *k,
                                  struct b_err *err)
{
    static _Thread_local char next[SERVICE_ROSTER_MAX];
    char *end = NULL;
    unsigned long quorum = service_roster_quorum(k->roster);
    if (k->operands[0] != '\0')
        quorum = strtoul(k->operands, &end, 10);
    if (end != NULL && (*end != '\0' || quorum > 16))
        return b_err_set(err, B_E_BAD_INPUT, 0, "roster: a quorum from 2 on, not \"%.20s\"",
                         k->operands);
    enum b_code r = service_roster_write(sv, (unsigned)quorum, next, err);
    return r == B_OK ? keep_text(k, next, "", err) : r;
}

static enum b_code act_roster(struct service_change *c, const struct service_carrying *k,
                              struct b_err *err)
{
    return service_note_roster(c, k->kept, err);
}

/* --- people ------------------------------------------------------------------------------------
 */

/* "administrator,auditor Alice Martin" */
static enum b_code parse_person(const char *text, uint8_t *roles, const char **name,
                                struct b_err *err)
{
    char list[80] = "";
    size_t n = strcspn(text, " ");
    if (n < sizeof(list))
        memcpy(list, text, n);
    *roles = service_roles_from(list);
    *name = text[n] == ' ' ? text + n + 1 : "";
    if (*roles == 0 || (*name)[0] == '\0' || strlen(*name) >= STORE_NAME_MAX)
        return b_err_set(err, B_E_BAD_INPUT, 0, "person-add ROLES NAME, not \"%.60s\"", text);
    return B_OK;
}

static enum b_code prepare_person_add(struct service *sv, struct service_proposing *k,
                                      struct b_err *err)
{
    uint8_t roles = 0;
    const char *name = NULL;
    struct store_person p;
    enum b_code r = parse_person(k->operands, &roles, &name, err);
    if (r == B_OK)
        r = service_person_read(name, roles, k->text, &p, err);
    if (r != B_OK)
        return r;
    r = service_person_find(sv->store, name, &p, err);
    if (r == B_OK)
        return b_err_set(err, B_E_DUPLICATE, 0, "%s is registered", name);
    return r == B_E_NOT_FOUND ? keep_text(k, k->text, k->operands, err) : r;
}

static enum b_code act_person_add(struct service_change *c, const struct service_carrying *k,
                                  struct b_err *err)
{
    uint8_t roles = 0;
    const char *name = NULL;
    struct store_person p;
    const char *rest = k->argument + strcspn(k->argument, " ");
    enum b_code r = parse_person(rest + (*rest == ' '), &roles, &name, err);
    if (r == B_OK)
        r = service_person_read(name, roles, k->kept, &p, err);
    return r == B_OK ? service_note_person(c, &p, "person-add", err) : r;
}

struct count {
    int64_t without;
    unsigned approvers;
};

static bool count_approver(void *ctx, const struct store_person *p)
{
    struct count *k = ctx;
    k->approvers += p->id != k->without && p->state == STORE_PARTY_ACTIVE &&
                    (p->roles & SERVICE_APPROVERS) != 0;
    return true;
}

static enum b_code prepare_person(struct service *sv, struct service_proposing *k,
                                  struct b_err *err)
{
    struct store_person p;
    enum b_code r = service_person_find(sv->store, k->operands, &p, err);
    struct count left = {.without = p.id};
    if (r == B_OK)
        r = store_person_each(sv->store, 0, count_approver, &left, err);
    if (r == B_OK && left.approvers < service_roster_quorum(k->roster))
        r = b_err_set(err, B_E_QUORUM, 0,
                      "without %s nothing could be approved any more: have somebody else join "
                      "the roster first",
                      p.name);
    if (r == B_OK)
        (void)snprintf(k->argument, sizeof(k->argument), "%s", p.name);
    return r;
}

static enum b_code change_person(struct service_change *c, const char *name,
                                 enum store_party_state to, const char *kind, struct b_err *err)
{
    struct store_person p;
    enum b_code r = service_person_find(c->store, name, &p, err);
    return r == B_OK ? service_note_person_state(c, &p, to, kind, err) : r;
}

static enum b_code act_person_suspend(struct service_change *c, const struct service_carrying *k,
                                      struct b_err *err)
{
    return change_person(c, k->argument, STORE_PARTY_SUSPENDED, "person-suspend", err);
}

static enum b_code act_person_reinstate(struct service_change *c, const struct service_carrying *k,
                                        struct b_err *err)
{
    return change_person(c, k->argument, STORE_PARTY_ACTIVE, "person-reinstate", err);
}

static enum b_code act_person_end(struct service_change *c, const struct service_carrying *k,
                                  struct b_err *err)
{
    return change_person(c, k->argument, STORE_PARTY_ENDED, "person-end", err);
}

/* --- the table ---------------------------------------------------------------------------------
 */

static const struct service_action actions[] = {
#define ACTION(name, operands, text, prepare, act) {name, operands, text, prepare, act},
#include "service/action.def"
#undef ACTION
};

const struct service_action *service_action_find(const char *what)
{
    size_t n = strcspn(what, " ");
    for (size_t i = 0; i < B_COUNT(actions); i++)
        if (strlen(actions[i].name) == n && strncmp(actions[i].name, what, n) == 0)
            return &actions[i];
    return NULL;
}

void service_action_list(char *text, size_t cap)
{
    static const char all[] = ""
#define ACTION(name, operands, text, prepare, act) name " " operands "; "
#include "service/action.def"
#undef ACTION
        ;
    (void)snprintf(text, cap, "%.*s", (int)sizeof(all) - 3, all);
}

bool service_action_digest(const struct service_action *a, const char *argument,
                           char hex[static SERVICE_DIGEST_HEX])
{
    bool has_digest = a->text[0] != '\0' || strcmp(a->name, "roster") == 0;
    hex[0] = '\0';
    if (!has_digest || strspn(argument, "0123456789ABCDEF") != SERVICE_DIGEST_HEX - 1)
        return false;
    memcpy(hex, argument, SERVICE_DIGEST_HEX - 1);
    hex[SERVICE_DIGEST_HEX - 1] = '\0';
    return true;
}
